//! Fargate profiles: which pods run on Fargate.
//!
//! EKS changes one profile of a cluster at a time, so each call starts at most one change and answers
//! `PENDING` until it is done. The profile that selects CoreDNS comes first: CoreDNS waits for it.
//!
//! Safe to repeat: a profile's name is unique in its cluster, its tag says whether it is ours. A
//! profile is immutable: one that differs from the plan is reported, not replaced, because replacing
//! it would evict its pods. Profiles that are ours but no longer in the plan are left, with a line in
//! the log, for the same reason.
//!
//! A profile that is CREATE_FAILED never was ACTIVE, so no pod runs on it: one of ours that an earlier
//! execution has left is deleted and made again. One that this execution has made is reported: what is
//! wrong would be wrong again.

use std::time::Duration;

use aws_sdk_eks::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_eks::operation::create_fargate_profile::CreateFargateProfileError;
use aws_sdk_eks::types::{FargateProfile, FargateProfileSelector, FargateProfileStatus};
use serde::{Deserialize, Serialize};

use crate::aws::{Aws, change, codes};
use crate::contract::error::required;
use crate::contract::{During, Error, Memory, Outcome, Removed, Step};
use crate::model::spec::Selector;
use crate::model::{Plan, Target, ZoneSubnets, tags, zones};
use crate::resources::eks;
use crate::resources::fargate_profile::{self, Compared, Needs, line, named};

/// The step `fargate-profiles`.
pub struct FargateProfiles;

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

impl Input {
    fn private_subnet_ids(&self) -> impl Iterator<Item = &str> {
        self.subnets.iter().map(|zone| &*zone.private_subnet_id)
    }
}

/// What later steps need of the profiles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// The profiles, in the plan's order.
    pub fargate_profiles: Vec<Profile>,
}

/// An ACTIVE Fargate profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// Name of the profile.
    pub name: String,
    /// ARN of the profile.
    pub arn: String,
}

/// A profile takes half a minute to five minutes.
const CREATING_CHECK_SECONDS: u64 = 15;
/// Deleting one takes about two minutes.
const DELETING_CHECK_SECONDS: u64 = 15;
/// A hidden update of the cluster can refuse changes for more than ten minutes.
const UPDATE_CHECK_SECONDS: u64 = 30;

impl Step for FargateProfiles {
    const NAME: &'static str = "fargate-profiles";
    const POLICY: &'static str = include_str!("policy.json");
    /// Terraform gives a profile ten minutes; a cluster has up to ten of them, one after the other.
    const ENSURE_LIMIT: Duration = Duration::from_hours(2);
    /// The same for their deletion, which takes two to five minutes each.
    const REMOVE_LIMIT: Duration = Duration::from_hours(2);
    type Input = Input;
    type Output = Output;

    async fn ensure(aws: &Aws, plan: &Plan, input: Input) -> Result<Outcome<Output>, Error> {
        let seen = fargate_profile::observe(aws, &plan.target).await?;
        let needs = Needs {
            role_arn: Some(&input.role_arn),
            subnet_ids: input.private_subnet_ids().map(Some).collect(),
        };
        let existing = &seen.profiles;
        let mut memory = input.memory.clone();
        for compared in fargate_profile::compare(plan, &needs, &seen)? {
            let outcome = match compared.found {
                Some(profile) if is_left_failed(profile, &memory) => {
                    Some(replace(aws, plan, profile).await?)
                }
                Some(profile) => status(profile)?,
                None => match busy(existing) {
                    Some(sibling) => Some(waiting_for(&compared.planned.name, sibling)),
                    None => Some(create(aws, plan, &input, &compared, &mut memory).await?),
                },
            };
            if let Some(pending) = outcome {
                return Ok(pending.remembering(memory));
            }
        }
        for name in seen.not_planned(plan) {
            tracing::warn!(
                target: "hardway", resource = name,
                "fargate profile is no longer in the plan; it is left as it is"
            );
        }
        output(plan, existing).map(Outcome::Ready)
    }

    async fn remove(aws: &Aws, target: &Target) -> Result<Outcome<Removed>, Error> {
        let existing = fargate_profile::find(aws, target).await?;
        let is_ours = |profile: &&FargateProfile| tags::map_is_ours(profile.tags(), target);
        let Some(next) = existing.iter().rfind(is_ours) else {
            return Ok(Outcome::Ready(Removed::default()));
        };
        match busy(&existing) {
            // A profile is never deleted while it is being created: EKS could not recover from that.
            Some(sibling) => Ok(Outcome::pending(DELETING_CHECK_SECONDS, line(sibling))),
            None => delete(aws, target, next).await,
        }
    }
}

/// The profile, ours or not, that keeps all others from changing.
fn busy(profiles: &[FargateProfile]) -> Option<&FargateProfile> {
    profiles.iter().find(|profile| {
        matches!(
            profile.status(),
            Some(FargateProfileStatus::Creating | FargateProfileStatus::Deleting)
        )
    })
}

fn waiting_for(name: &str, sibling: &FargateProfile) -> Outcome<Output> {
    let reason = format!(
        "Fargate profile {name} has to wait: {}, and EKS changes one at a time",
        line(sibling)
    );
    Outcome::pending(CREATING_CHECK_SECONDS, reason)
}

/// None for a profile that is ready.
fn status(profile: &FargateProfile) -> Result<Option<Outcome<Output>>, Error> {
    let pending = |seconds| Ok(Some(Outcome::pending(seconds, line(profile))));
    match profile.status() {
        Some(FargateProfileStatus::Active) => Ok(None),
        Some(FargateProfileStatus::Creating) => pending(CREATING_CHECK_SECONDS),
        Some(FargateProfileStatus::Deleting) => pending(DELETING_CHECK_SECONDS),
        _ => Err(Error::ResourceFailed(line(profile))),
    }
}

/// Whether a profile never came to be, and this execution has not made it.
fn is_left_failed(profile: &FargateProfile, memory: &Memory) -> bool {
    let name = profile.fargate_profile_name().unwrap_or_default();
    profile.status() == Some(&FargateProfileStatus::CreateFailed) && memory.id(name).is_none()
}

/// Deletes a profile that never came to be; the next invocation that does not find it makes it again.
async fn replace(
    aws: &Aws,
    plan: &Plan,
    profile: &FargateProfile,
) -> Result<Outcome<Output>, Error> {
    let reason = match delete(aws, &plan.target, profile).await? {
        Outcome::Pending { reason, .. } => reason,
        Outcome::Ready(_) => String::new(),
    };
    let reason = format!("{}; it is made again: {reason}", line(profile));
    Ok(Outcome::pending(DELETING_CHECK_SECONDS, reason))
}

/// No token of our own: EKS makes no second profile of a name. It does not compare what else is asked
/// with a token that it knows, so a token without the selectors would answer a changed request with
/// the profile as it was.
async fn create(
    aws: &Aws,
    plan: &Plan,
    input: &Input,
    compared: &Compared<'_>,
    memory: &mut Memory,
) -> Result<Outcome<Output>, Error> {
    let name = &compared.planned.name;
    let subnet_ids = input.private_subnet_ids().map(str::to_owned);
    let selectors = compared.planned.selectors.iter().map(selector);
    let call = aws
        .eks()
        .create_fargate_profile()
        .cluster_name(&plan.target.cluster_name)
        .fargate_profile_name(name)
        .pod_execution_role_arn(&input.role_arn)
        .set_subnets(Some(subnet_ids.collect()))
        .set_selectors(Some(selectors.collect()))
        .set_tags(Some(tags::map(plan, &format!("fargate-profile-{name}"))));
    let answer = change("eks:CreateFargateProfile", name, call.send()).await;
    match answer {
        Err(error) if eks::passes_by_itself(&error) => {
            return in_use(aws, plan, compared, eks::message(&error)).await;
        }
        Err(error) if error.code() == Some(codes::UNSUPPORTED_AVAILABILITY_ZONE) => {
            return Err(unsupported_zone(plan, &error));
        }
        // The route table was associated a moment ago and EKS does not see it yet.
        Err(error) if is_not_private(&error) => {
            return Err(Error::NotYetVisible(format!(
                "Fargate profile {name}: {}",
                eks::message(&error)
            )));
        }
        answer => answer.during("eks:CreateFargateProfile")?,
    };
    memory.remember(name, name);
    let reason = format!("Fargate profile {name} is being created");
    Ok(Outcome::pending(CREATING_CHECK_SECONDS, reason))
}

fn selector(selector: &Selector) -> FargateProfileSelector {
    let labels = selector.labels.clone().into_iter().collect();
    FargateProfileSelector::builder()
        .namespace(&selector.namespace)
        .set_labels((!selector.labels.is_empty()).then_some(labels))
        .build()
}

/// Fargate has zones of its own, which EKS names in its answer.
fn unsupported_zone<R>(plan: &Plan, error: &SdkError<CreateFargateProfileError, R>) -> Error {
    let valid = match error.as_service_error() {
        Some(CreateFargateProfileError::UnsupportedAvailabilityZoneException(e)) => e.valid_zones(),
        _ => &[],
    };
    let others = zones::not_among(plan, valid);
    zones::unavailable(plan, "pods on Fargate", &others, eks::message(error))
}

/// Decides what a ResourceInUseException means by looking again: the profile exists, or something in
/// the cluster is changing.
async fn in_use(
    aws: &Aws,
    plan: &Plan,
    compared: &Compared<'_>,
    message: &str,
) -> Result<Outcome<Output>, Error> {
    let name = &compared.planned.name;
    if let Some(profile) = fargate_profile::find_named(aws, &plan.target, name).await? {
        compared.check(&profile)?;
        let reason = format!("{}; an earlier attempt made it", line(&profile));
        return Ok(Outcome::pending(CREATING_CHECK_SECONDS, reason));
    }
    let reason = format!("Fargate profile {name} cannot be created yet: {message}");
    Ok(Outcome::pending(busy_seconds(message), reason))
}

/// A sibling is done soon; the cluster's hidden update is not.
fn busy_seconds(message: &str) -> u64 {
    if message.contains(codes::SIBLING_IN_STATUS_MESSAGE) {
        DELETING_CHECK_SECONDS
    } else {
        UPDATE_CHECK_SECONDS
    }
}

fn is_not_private(error: &impl ProvideErrorMetadata) -> bool {
    error.code() == Some(codes::INVALID_PARAMETER)
        && eks::message(error).contains(codes::NOT_A_PRIVATE_SUBNET_MESSAGE)
}

fn output(plan: &Plan, existing: &[FargateProfile]) -> Result<Output, Error> {
    let profile = |name: &str| {
        let arn = named(existing, name).and_then(FargateProfile::fargate_profile_arn);
        Ok(Profile {
            name: name.to_owned(),
            arn: required(arn, "eks:DescribeFargateProfile: fargateProfileArn")?.to_owned(),
        })
    };
    let profiles = plan.fargate_profiles.iter();
    let fargate_profiles: Result<_, Error> = profiles.map(|p| profile(&p.name)).collect();
    Ok(Output {
        fargate_profiles: fargate_profiles?,
    })
}

/// Starts the deletion of one profile.
///
/// A profile that could not be deleted before is tried again, but reported as failed: a removal must
/// not go round in circles unseen. The next one finds it gone or says so again.
async fn delete(
    aws: &Aws,
    target: &Target,
    profile: &FargateProfile,
) -> Result<Outcome<Removed>, Error> {
    let name = required(
        profile.fargate_profile_name(),
        "eks:DescribeFargateProfile: fargateProfileName",
    )?;
    let call = aws
        .eks()
        .delete_fargate_profile()
        .cluster_name(&target.cluster_name)
        .fargate_profile_name(name);
    match change("eks:DeleteFargateProfile", name, call.send()).await {
        Err(error) if eks::is_absent(&error) => {}
        Err(error) if eks::passes_by_itself(&error) => {
            let message = eks::message(&error);
            let reason = format!("Fargate profile {name} cannot be deleted yet: {message}");
            return Ok(Outcome::pending(busy_seconds(message), reason));
        }
        answer => {
            answer.during("eks:DeleteFargateProfile")?;
        }
    }
    if profile.status() == Some(&FargateProfileStatus::DeleteFailed) {
        return Err(Error::ResourceFailed(format!(
            "{}; its deletion was started again",
            line(profile)
        )));
    }
    let reason = format!("Fargate profile {name} is being deleted");
    Ok(Outcome::pending(DELETING_CHECK_SECONDS, reason))
}

#[cfg(test)]
mod tests;
