//! Fargate profiles: which pods run on Fargate.
//!
//! A profile is immutable: one of ours that differs from the plan is refused, not replaced, because replacing it
//! would evict its pods. One that is CREATE_FAILED never was ACTIVE, so no pod runs on it, and it is made again.

use std::collections::BTreeSet;

use aws_sdk_eks::types::{
    FargateProfile, FargateProfileHealth, FargateProfileSelector, FargateProfileStatus,
};

use crate::aws::{Aws, list};
use crate::contract::error::required;
use crate::contract::{During, Error};
use crate::model::spec::{self, Selector};
use crate::model::{Plan, Target, tags};
use crate::resources::eks;
use crate::resources::resource_change::{Change, ResourceChange};

/// CloudFormation's type name.
pub(crate) const KIND: &str = "AWS::EKS::FargateProfile";

/// What the plan's profiles have of other resources; what is to be made is none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Needs<'a> {
    /// ARN of the pod execution role.
    pub role_arn: Option<&'a str>,
    /// The private subnets of the plan's zones.
    pub subnet_ids: Vec<Option<&'a str>>,
}

/// What there is: all profiles of the cluster, ours or not.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub profiles: Vec<FargateProfile>,
}

impl Seen {
    /// The names of those of ours that the plan does not have any more: they stay, with their pods.
    pub fn not_planned(&self, plan: &Plan) -> Vec<&str> {
        let is_planned = |name: &str| plan.fargate_profiles.iter().any(|it| it.name == name);
        let profiles = self.profiles.iter();
        let ours = profiles.filter(|it| tags::map_is_ours(it.tags(), &plan.target));
        let names = ours.filter_map(|it| it.fargate_profile_name());
        names.filter(|name| !is_planned(name)).collect()
    }
}

/// What there is of one profile of the plan.
#[derive(Debug)]
pub(crate) struct Compared<'a> {
    pub planned: &'a spec::FargateProfile,
    /// The one with its name, which is made again if it is CREATE_FAILED or DELETING.
    pub found: Option<&'a FargateProfile>,
    target: &'a Target,
    needs: &'a Needs<'a>,
}

/// All Fargate profiles of the cluster, ours or not; none if there is no cluster.
///
/// One call for each profile: a cluster has at most ten (an adjustable quota).
pub(crate) async fn find(aws: &Aws, target: &Target) -> Result<Vec<FargateProfile>, Error> {
    let call = aws.eks().list_fargate_profiles();
    let names: Vec<String> = match list!(call.cluster_name(&target.cluster_name)).await {
        Err(error) if eks::is_absent(&error) => return Ok(vec![]),
        answer => answer.during("eks:ListFargateProfiles")?,
    };
    let mut profiles = Vec::with_capacity(names.len());
    for name in names {
        profiles.extend(find_named(aws, target, &name).await?);
    }
    Ok(profiles)
}

/// The Fargate profile with that name, ours or not; none if there is none.
pub(crate) async fn find_named(
    aws: &Aws,
    target: &Target,
    name: &str,
) -> Result<Option<FargateProfile>, Error> {
    let call = aws.eks().describe_fargate_profile();
    let call = call.cluster_name(&target.cluster_name);
    match call.fargate_profile_name(name).send().await {
        Err(error) if eks::is_absent(&error) => Ok(None),
        answer => {
            let profile = answer.during("eks:DescribeFargateProfile")?.fargate_profile;
            required(profile, "eks:DescribeFargateProfile: fargateProfile").map(Some)
        }
    }
}

/// Looks at all profiles of the cluster: any of them keeps the others from changing.
pub(crate) async fn observe(aws: &Aws, target: &Target) -> Result<Seen, Error> {
    let profiles = find(aws, target).await?;
    Ok(Seen { profiles })
}

/// Says what is to be done with each profile of the plan, in the order in which they are made: CoreDNS waits for
/// those that select it.
///
/// # Errors
/// [`Error::ResourceConflict`] if a profile is not ours or differs from the plan, [`Error::ResourceFailed`] if it
/// could not be deleted.
pub(crate) fn compare<'a>(
    plan: &'a Plan,
    needs: &'a Needs<'a>,
    seen: &'a Seen,
) -> Result<Vec<Compared<'a>>, Error> {
    let mut planned: Vec<_> = plan.fargate_profiles.iter().collect();
    planned.sort_by_key(|it| !it.selectors.iter().any(Selector::selects_coredns));
    let compared = planned.into_iter().map(|planned| {
        let compared = Compared {
            planned,
            found: named(&seen.profiles, &planned.name),
            target: &plan.target,
            needs,
        };
        if let Some(found) = compared.found {
            compared.check(found)?;
        }
        Ok(compared)
    });
    let compared = compared.collect::<Result<Vec<_>, Error>>()?;
    for found in compared.iter().filter_map(|it| it.found) {
        check_status(found)?;
    }
    Ok(compared)
}

pub(crate) fn named<'a>(profiles: &'a [FargateProfile], name: &str) -> Option<&'a FargateProfile> {
    let mut profiles = profiles.iter();
    profiles.find(|profile| profile.fargate_profile_name() == Some(name))
}

impl Compared<'_> {
    /// The same for a person.
    pub fn change(&self) -> ResourceChange {
        let name = format!("{}/{}", self.target.cluster_name, self.planned.name);
        let change = match self.found.map(FargateProfile::status) {
            None | Some(Some(FargateProfileStatus::Deleting)) => Change::Create,
            Some(Some(FargateProfileStatus::CreateFailed)) => Change::Replace,
            Some(_) => Change::Keep,
        };
        ResourceChange::new(KIND, name, change)
    }

    /// Refuses a profile of this name that is not ours, or that differs from the plan.
    ///
    /// A profile on its way out is not compared, and neither is one that never came to be: the one that
    /// follows it will be as wanted.
    pub fn check(&self, profile: &FargateProfile) -> Result<(), Error> {
        let (name, target) = (&self.planned.name, self.target);
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

    /// How an existing profile differs, one sentence for each difference. The ARN of a role that is to be made
    /// follows from its name, so nothing is said of it.
    fn differences(&self, profile: &FargateProfile) -> Vec<String> {
        let mut differences = vec![];
        let is = profile.pod_execution_role_arn().unwrap_or_default();
        if let Some(role_arn) = self.needs.role_arn.filter(|it| *it != is) {
            differences.push(format!("its role is {is}, not {role_arn}"));
        }
        let wanted = self.needs.subnet_ids.iter();
        let wanted = wanted.map(|id| id.unwrap_or("a new subnet").to_owned());
        let (subnets, wanted) = (set(profile.subnets().iter().cloned()), set(wanted));
        if subnets != wanted {
            let (is, wanted) = (in_words(subnets), in_words(wanted));
            differences.push(format!("its subnets are {is}, not {wanted}"));
        }
        let selectors = set(profile.selectors().iter().map(|it| text(&selector(it))));
        let wanted = set(self.planned.selectors.iter().map(text));
        if selectors != wanted {
            let (is, wanted) = (in_words(selectors), in_words(wanted));
            differences.push(format!("its selectors are {is}, not {wanted}"));
        }
        differences
    }
}

/// Of a profile that could not be deleted nobody knows what works.
fn check_status(profile: &FargateProfile) -> Result<(), Error> {
    match profile.status() {
        Some(
            FargateProfileStatus::Active
            | FargateProfileStatus::Creating
            | FargateProfileStatus::Deleting
            | FargateProfileStatus::CreateFailed,
        ) => Ok(()),
        Some(FargateProfileStatus::DeleteFailed) => Err(Error::ResourceFailed(line(profile))),
        _ => Err(Error::Unexpected(line(profile))),
    }
}

/// `Fargate profile kube-system is CREATE_FAILED; AccessDenied: …`
pub(crate) fn line(profile: &FargateProfile) -> String {
    let name = profile.fargate_profile_name().unwrap_or("without a name");
    let status = profile.status().map_or("unknown", AsRef::as_ref);
    let issues = profile.health().map(FargateProfileHealth::issues);
    format!(
        "Fargate profile {name} is {}",
        eks::status_line(status, issues.unwrap_or_default())
    )
}

/// A selector of a Fargate profile in the plan's words.
pub(crate) fn selector(selector: &FargateProfileSelector) -> Selector {
    let labels = selector.labels().into_iter().flatten();
    let labels = labels.map(|(key, value)| (key.clone(), value.clone()));
    Selector {
        namespace: selector.namespace().unwrap_or_default().to_owned(),
        labels: labels.collect(),
    }
}

/// A selector as a person reads it: `kube-system` or `default{app=web}`.
fn text(selector: &Selector) -> String {
    let labels = selector.labels.iter();
    let labels: Vec<_> = labels
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    match labels.as_slice() {
        [] => selector.namespace.clone(),
        labels => format!("{}{{{}}}", selector.namespace, labels.join(",")),
    }
}

/// EKS keeps no order.
fn set(texts: impl Iterator<Item = String>) -> BTreeSet<String> {
    texts.collect()
}

fn in_words(texts: BTreeSet<String>) -> String {
    texts.into_iter().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_eks::types::builders::FargateProfileBuilder;

    /// The profile `kube-system` of [`Plan::example`], ours and as it should be.
    fn profile(status: FargateProfileStatus) -> FargateProfileBuilder {
        let selector = FargateProfileSelector::builder().namespace("kube-system");
        FargateProfile::builder()
            .fargate_profile_name("kube-system")
            .pod_execution_role_arn("arn:role")
            .subnets("subnet-1")
            .selectors(selector.build())
            .status(status)
            .tags(tags::CLUSTER, "demo")
    }

    fn needs() -> Needs<'static> {
        Needs {
            role_arn: Some("arn:role"),
            subnet_ids: vec![Some("subnet-1")],
        }
    }

    /// What is said of `kube-system` beside `found`.
    fn change(found: FargateProfileBuilder, needs: &Needs<'_>) -> Result<Change, Error> {
        let (plan, profiles) = (Plan::example(), vec![found.build()]);
        let seen = Seen { profiles };
        let compared = compare(&plan, needs, &seen)?;
        Ok(compared[0].change().change)
    }

    #[test]
    fn profiles_are_told_in_the_order_in_which_they_are_made() {
        let mut plan = Plan::example();
        plan.fargate_profiles.reverse();
        let (needs, seen) = (needs(), Seen::default());
        let compared = compare(&plan, &needs, &seen).unwrap();
        let changes = compared.iter().map(Compared::change);
        let expected = ["demo/kube-system", "demo/default"];
        let expected = expected.map(|name| ResourceChange::new(KIND, name, Change::Create));
        assert_eq!(changes.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_becomes_of_a_profile_depends_on_its_status() {
        for (status, expected) in [
            (FargateProfileStatus::Active, Change::Keep),
            (FargateProfileStatus::Creating, Change::Keep),
            (FargateProfileStatus::CreateFailed, Change::Replace),
            (FargateProfileStatus::Deleting, Change::Create),
        ] {
            assert_eq!(change(profile(status), &needs()), Ok(expected));
        }
        let failed = change(profile(FargateProfileStatus::DeleteFailed), &needs());
        assert_eq!(
            failed,
            Err(Error::ResourceFailed(
                "Fargate profile kube-system is DELETE_FAILED".to_owned()
            ))
        );
    }

    #[test]
    fn a_profile_with_other_selectors_subnets_or_role_is_refused() {
        let other = FargateProfileSelector::builder().namespace("other").build();
        let active = || profile(FargateProfileStatus::Active);
        for (found, said) in [
            (
                active().selectors(other),
                "its selectors are kube-system, other, not kube-system",
            ),
            (
                active().subnets("subnet-9"),
                "its subnets are subnet-1, subnet-9, not subnet-1",
            ),
            (
                active().pod_execution_role_arn("arn:old"),
                "its role is arn:old, not arn:role",
            ),
        ] {
            let error = change(found, &needs()).unwrap_err();
            assert_eq!(error.name(), "ResourceConflict");
            assert!(error.to_string().contains(said), "{error}");
        }
    }

    #[test]
    fn a_profile_does_not_move_to_a_subnet_that_is_to_be_made() {
        let needs = Needs {
            role_arn: None,
            subnet_ids: vec![None],
        };
        let error = change(profile(FargateProfileStatus::Active), &needs).unwrap_err();
        let said = "its subnets are subnet-1, not a new subnet;";
        assert!(error.to_string().contains(said), "{error}");
    }

    #[test]
    fn a_role_that_is_to_be_made_may_have_the_arn_that_the_profile_names() {
        let needs = Needs {
            role_arn: None,
            ..needs()
        };
        let kept = change(profile(FargateProfileStatus::Active), &needs);
        assert_eq!(kept, Ok(Change::Keep));
    }
}
