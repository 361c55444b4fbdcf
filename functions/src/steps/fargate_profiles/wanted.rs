//! What a Fargate profile has to be like, and how one that exists differs from it.

use std::collections::BTreeSet;

use aws_sdk_eks::operation::create_fargate_profile::builders::CreateFargateProfileFluentBuilder;
use aws_sdk_eks::types::{FargateProfile, FargateProfileSelector, FargateProfileStatus};

use serde::Deserialize;

use crate::contract::{Error, Memory};
use crate::model::spec::{self, Selector};
use crate::model::{Plan, Target, ZoneSubnets, tags};
use crate::resources::eks;

/// What the profiles need of earlier steps.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// The subnets of all zones; pods run in the private ones, each associated with its routes.
    pub subnets: Vec<ZoneSubnets>,
    /// ARN of the pod execution role.
    pub role_arn: String,
    /// What the last invocation said: the profiles that this execution has made.
    #[serde(default)]
    pub memory: Memory,
}

/// A profile of the plan with what it needs of other steps.
pub struct Wanted<'a> {
    planned: &'a spec::FargateProfile,
    subnet_ids: Vec<&'a str>,
    role_arn: &'a str,
}

impl<'a> Wanted<'a> {
    /// The profiles of the plan, those that select CoreDNS first.
    pub fn all(plan: &'a Plan, input: &'a Input) -> Vec<Self> {
        let zones = input.subnets.iter();
        let subnet_ids: Vec<_> = zones.map(|zone| zone.private_subnet_id.as_str()).collect();
        let (first, rest): (Vec<_>, Vec<_>) = plan
            .fargate_profiles
            .iter()
            .partition(|profile| profile.selectors.iter().any(Selector::selects_coredns));
        first
            .into_iter()
            .chain(rest)
            .map(|planned| Self {
                planned,
                subnet_ids: subnet_ids.clone(),
                role_arn: &input.role_arn,
            })
            .collect()
    }

    /// Name of the profile.
    pub fn name(&self) -> &'a str {
        &self.planned.name
    }

    /// Fills in a create request, all but the tags.
    ///
    /// No token of our own: EKS makes no second profile of a name. It does not compare what else is asked
    /// with a token that it knows, so a token without the selectors would answer a changed request with
    /// the profile as it was.
    pub fn request(
        &self,
        call: CreateFargateProfileFluentBuilder,
        target: &Target,
    ) -> CreateFargateProfileFluentBuilder {
        let subnet_ids = self.subnet_ids.iter().map(|id| (*id).to_owned());
        let selectors = self.planned.selectors.iter().map(eks_selector);
        call.cluster_name(&target.cluster_name)
            .fargate_profile_name(self.name())
            .pod_execution_role_arn(self.role_arn)
            .set_subnets(Some(subnet_ids.collect()))
            .set_selectors(Some(selectors.collect()))
    }

    /// Refuses a profile of this name that is not ours, or that differs from the plan.
    ///
    /// A profile on its way out is not compared, and neither is one that never came to be: the one that
    /// follows it will be as wanted.
    pub fn require(&self, plan: &Plan, profile: &FargateProfile) -> Result<(), Error> {
        let (name, target) = (self.name(), &plan.target);
        if !tags::map_is_ours(profile.tags(), target) {
            return Err(tags::not_ours(&format!("Fargate profile {name}"), target));
        }
        let differences = self.differences(profile);
        let is_replaced = matches!(
            profile.status(),
            Some(FargateProfileStatus::Deleting | FargateProfileStatus::CreateFailed)
        );
        if differences.is_empty() || is_replaced {
            return Ok(());
        }
        Err(Error::ResourceConflict(format!(
            "Fargate profile {name} differs from the plan and a profile cannot be changed: {}; \
             delete it with `aws eks delete-fargate-profile --region {} --cluster-name {} \
             --fargate-profile-name {name}` (its pods go with it), or give the planned one another \
             name",
            differences.join("; "),
            target.region,
            target.cluster_name,
        )))
    }

    /// How an existing profile differs, one sentence for each difference.
    fn differences(&self, profile: &FargateProfile) -> Vec<String> {
        let mut differences = vec![];
        let role_arn = profile.pod_execution_role_arn().unwrap_or_default();
        if role_arn != self.role_arn {
            differences.push(format!("its role is {role_arn}, not {}", self.role_arn));
        }
        let subnets: BTreeSet<_> = profile.subnets().iter().map(String::as_str).collect();
        let wanted: BTreeSet<_> = self.subnet_ids.iter().copied().collect();
        if subnets != wanted {
            differences.push(format!(
                "its subnets are {}, not {}",
                list(subnets),
                list(wanted)
            ));
        }
        let selectors = texts(profile.selectors().iter().map(eks::selector));
        let wanted = texts(self.planned.selectors.iter().cloned());
        if selectors != wanted {
            differences.push(format!(
                "its selectors are {}, not {}",
                list(selectors.iter().map(String::as_str)),
                list(wanted.iter().map(String::as_str))
            ));
        }
        differences
    }
}

fn eks_selector(selector: &Selector) -> FargateProfileSelector {
    let labels = selector.labels.clone().into_iter().collect();
    FargateProfileSelector::builder()
        .namespace(&selector.namespace)
        .set_labels((!selector.labels.is_empty()).then_some(labels))
        .build()
}

/// Selectors as a person reads them, in no order: `kube-system` or `default{app=web}`.
fn texts(selectors: impl Iterator<Item = Selector>) -> BTreeSet<String> {
    selectors
        .map(|selector| {
            let labels = selector.labels.iter();
            let labels: Vec<_> = labels
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            match labels.as_slice() {
                [] => selector.namespace,
                labels => format!("{}{{{}}}", selector.namespace, labels.join(",")),
            }
        })
        .collect()
}

fn list<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    texts.into_iter().collect::<Vec<_>>().join(", ")
}
