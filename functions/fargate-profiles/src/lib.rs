//! Fargate profiles: which pods run on Fargate.
//!
//! EKS changes one profile of a cluster at a time, so each call starts at most one change and answers
//! `PENDING` until it is done. The profile that selects CoreDNS comes first: CoreDNS waits for it.
//!
//! Safe to repeat: a profile's name is unique in its cluster, its tag says whether it is ours. A
//! profile is immutable: one that differs from the plan is reported, not replaced, because replacing
//! it would evict its pods. Profiles that are ours but no longer in the plan are left, with a line in
//! the log, for the same reason.

mod wanted;

use aws_sdk_eks::error::ProvideErrorMetadata;
use aws_sdk_eks::types::{FargateProfile, FargateProfileHealth, FargateProfileStatus};
use serde::{Deserialize, Serialize};
use step::error::required;
use step::telemetry::{changed, changing};
use step::{
    Aws, During, Error, Outcome, Plan, Removed, Step, Target, ZoneSubnets, codes, eks, tags,
};

use crate::wanted::Wanted;

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
const CREATING_CHECK_SECONDS: u64 = 10;
/// Deleting one takes about two minutes.
const DELETING_CHECK_SECONDS: u64 = 15;
/// A hidden update of the cluster can refuse changes for more than ten minutes.
const UPDATE_CHECK_SECONDS: u64 = 30;

impl Step for FargateProfiles {
    const NAME: &'static str = "fargate-profiles";
    type Input = Input;
    type Output = Output;

    async fn ensure(aws: &Aws, plan: &Plan, input: Input) -> Result<Outcome<Output>, Error> {
        let existing = eks::find_fargate_profiles(aws, &plan.target).await?;
        let wanted = Wanted::all(plan, &input);
        for wanted in &wanted {
            if let Some(profile) = named(&existing, wanted.name()) {
                require_as_wanted(plan, wanted, profile)?;
            }
        }
        for wanted in &wanted {
            let outcome = match named(&existing, wanted.name()) {
                Some(profile) => status(profile)?,
                None => match busy(&existing) {
                    Some(sibling) => Some(waiting_for(wanted.name(), sibling)),
                    None => Some(create(aws, plan, wanted).await?),
                },
            };
            if let Some(pending) = outcome {
                return Ok(pending);
            }
        }
        report_surplus(plan, &existing);
        output(plan, &existing).map(Outcome::Ready)
    }

    async fn remove(aws: &Aws, target: &Target) -> Result<Outcome<Removed>, Error> {
        let existing = eks::find_fargate_profiles(aws, target).await?;
        let is_ours = |profile: &&FargateProfile| tags::eks_is_ours(profile.tags(), target);
        let Some(next) = existing.iter().filter(is_ours).next_back() else {
            return Ok(Outcome::Ready(Removed::default()));
        };
        match busy(&existing) {
            // A profile is never deleted while it is being created: EKS could not recover from that.
            Some(sibling) => Ok(Outcome::pending(DELETING_CHECK_SECONDS, describe(sibling))),
            None => delete(aws, target, next).await,
        }
    }
}

fn named<'a>(profiles: &'a [FargateProfile], name: &str) -> Option<&'a FargateProfile> {
    let mut profiles = profiles.iter();
    profiles.find(|profile| profile.fargate_profile_name() == Some(name))
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

/// `Fargate profile kube-system is CREATE_FAILED; AccessDenied: …`
fn describe(profile: &FargateProfile) -> String {
    let name = profile.fargate_profile_name().unwrap_or("without a name");
    let status = profile
        .status()
        .map_or("unknown", FargateProfileStatus::as_str);
    let issues = profile.health().map(FargateProfileHealth::issues);
    format!(
        "Fargate profile {name} is {}",
        eks::status_line(status, issues.unwrap_or_default())
    )
}

fn waiting_for(name: &str, sibling: &FargateProfile) -> Outcome<Output> {
    let reason = format!(
        "Fargate profile {name} has to wait: {}, and EKS changes one at a time",
        describe(sibling)
    );
    Outcome::pending(CREATING_CHECK_SECONDS, reason)
}

/// None for a profile that is ready.
fn status(profile: &FargateProfile) -> Result<Option<Outcome<Output>>, Error> {
    let pending = |seconds| Ok(Some(Outcome::pending(seconds, describe(profile))));
    match profile.status() {
        Some(FargateProfileStatus::Active) => Ok(None),
        Some(FargateProfileStatus::Creating) => pending(CREATING_CHECK_SECONDS),
        Some(FargateProfileStatus::Deleting) => pending(DELETING_CHECK_SECONDS),
        Some(FargateProfileStatus::CreateFailed | FargateProfileStatus::DeleteFailed) => {
            Err(Error::ResourceFailed(describe(profile)))
        }
        _ => Err(Error::Unexpected(describe(profile))),
    }
}

/// A profile on its way out is not compared: the one that follows it will be as wanted.
fn require_as_wanted(
    plan: &Plan,
    wanted: &Wanted<'_>,
    profile: &FargateProfile,
) -> Result<(), Error> {
    let name = wanted.name();
    if !tags::eks_is_ours(profile.tags(), &plan.target) {
        return Err(tags::not_ours(
            &format!("Fargate profile {name}"),
            &plan.target,
        ));
    }
    if profile.status() == Some(&FargateProfileStatus::Deleting) {
        return Ok(());
    }
    let differences = wanted.differences(profile);
    if differences.is_empty() {
        return Ok(());
    }
    Err(Error::ResourceConflict(format!(
        "Fargate profile {name} differs from the plan and a profile cannot be changed: {}; delete it \
         with `aws eks delete-fargate-profile --region {} --cluster-name {} --fargate-profile-name \
         {name}` (its pods go with it), or give the planned one another name",
        differences.join("; "),
        plan.target.region,
        plan.target.cluster_name,
    )))
}

async fn create(aws: &Aws, plan: &Plan, wanted: &Wanted<'_>) -> Result<Outcome<Output>, Error> {
    let name = wanted.name();
    changing("eks:CreateFargateProfile", name);
    let answer = wanted
        .request(aws.eks.create_fargate_profile(), &plan.target)
        .set_tags(Some(tags::eks(plan, &format!("fargate-profile-{name}"))))
        .send()
        .await;
    match answer {
        Err(error) if eks::is_in_use(&error) => {
            return in_use(aws, plan, wanted, eks::message(&error)).await;
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
    changed("eks:CreateFargateProfile", name);
    let reason = format!("Fargate profile {name} is being created");
    Ok(Outcome::pending(CREATING_CHECK_SECONDS, reason))
}

/// Decides what a ResourceInUseException means by looking again: the profile exists, or something in
/// the cluster is changing.
async fn in_use(
    aws: &Aws,
    plan: &Plan,
    wanted: &Wanted<'_>,
    message: &str,
) -> Result<Outcome<Output>, Error> {
    let name = wanted.name();
    if let Some(profile) = eks::find_fargate_profile(aws, &plan.target, name).await? {
        require_as_wanted(plan, wanted, &profile)?;
        let reason = format!("{}; an earlier attempt made it", describe(&profile));
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

fn report_surplus(plan: &Plan, existing: &[FargateProfile]) {
    let planned = |name: &str| plan.fargate_profiles.iter().any(|p| p.name == name);
    for profile in existing {
        let name = profile.fargate_profile_name().unwrap_or_default();
        if tags::eks_is_ours(profile.tags(), &plan.target) && !planned(name) {
            tracing::warn!(
                target: "hardway", resource = name,
                "fargate profile is no longer in the plan; it is left as it is"
            );
        }
    }
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
    changing("eks:DeleteFargateProfile", name);
    let call = aws
        .eks
        .delete_fargate_profile()
        .cluster_name(&target.cluster_name)
        .fargate_profile_name(name);
    match call.send().await {
        Err(error) if eks::is_absent(&error) => {}
        Err(error) if eks::is_in_use(&error) => {
            let message = eks::message(&error);
            let reason = format!("Fargate profile {name} cannot be deleted yet: {message}");
            return Ok(Outcome::pending(busy_seconds(message), reason));
        }
        answer => {
            answer.during("eks:DeleteFargateProfile")?;
            changed("eks:DeleteFargateProfile", name);
        }
    }
    if profile.status() == Some(&FargateProfileStatus::DeleteFailed) {
        return Err(Error::ResourceFailed(format!(
            "{}; its deletion was started again",
            describe(profile)
        )));
    }
    let reason = format!("Fargate profile {name} is being deleted");
    Ok(Outcome::pending(DELETING_CHECK_SECONDS, reason))
}
