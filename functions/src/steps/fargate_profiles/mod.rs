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
        report_surplus(plan, existing);
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
    zones::refused(plan, "pods on Fargate", &others, eks::message(error))
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

fn report_surplus(plan: &Plan, existing: &[FargateProfile]) {
    let planned = |name: &str| plan.fargate_profiles.iter().any(|p| p.name == name);
    for profile in existing {
        let name = profile.fargate_profile_name().unwrap_or_default();
        if tags::map_is_ours(profile.tags(), &plan.target) && !planned(name) {
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
mod tests {
    use super::*;
    use aws_sdk_eks::Client;
    use aws_sdk_eks::operation::create_fargate_profile::CreateFargateProfileOutput;
    use aws_sdk_eks::operation::delete_fargate_profile::DeleteFargateProfileOutput;
    use aws_sdk_eks::operation::describe_fargate_profile::DescribeFargateProfileOutput;
    use aws_sdk_eks::operation::list_fargate_profiles::ListFargateProfilesOutput;
    use aws_sdk_eks::types::FargateProfileStatus::{
        Active, CreateFailed, Creating, DeleteFailed, Deleting,
    };
    use aws_sdk_eks::types::builders::FargateProfileBuilder;
    use aws_sdk_eks::types::{FargateProfileHealth, FargateProfileIssue, FargateProfileIssueCode};
    use aws_smithy_mocks::{Rule, mock};

    use crate::aws::mocks::eks_refusal;

    const ROLE_ARN: &str = "arn:aws:iam::111122223333:role/pod-execution";

    fn input() -> Input {
        let zone = |number: u8| ZoneSubnets {
            zone_id: format!("apne1-az{number}"),
            zone_name: format!("ap-northeast-1{number}"),
            public_subnet_id: format!("subnet-public{number}"),
            private_subnet_id: format!("subnet-private{number}"),
        };
        Input {
            subnets: [1, 2].map(zone).to_vec(),
            role_arn: ROLE_ARN.to_owned(),
            memory: Memory::default(),
        }
    }

    /// A profile of [`Plan::example`], ours, named after the namespace that it selects.
    fn profile(name: &str, status: FargateProfileStatus) -> FargateProfileBuilder {
        FargateProfile::builder()
            .fargate_profile_name(name)
            .fargate_profile_arn(format!("arn:{name}"))
            .pod_execution_role_arn(ROLE_ARN)
            .subnets("subnet-private2")
            .subnets("subnet-private1")
            .selectors(FargateProfileSelector::builder().namespace(name).build())
            .status(status)
            .tags(tags::CLUSTER, "demo")
    }

    fn with_issue(profile: FargateProfileBuilder) -> FargateProfileBuilder {
        let issue = FargateProfileIssue::builder()
            .code(FargateProfileIssueCode::AccessDenied)
            .message("the role cannot be assumed")
            .build();
        profile.health(FargateProfileHealth::builder().issues(issue).build())
    }

    fn listed(profiles: &[FargateProfileBuilder]) -> Rule {
        let names: Vec<_> = profiles
            .iter()
            .map(|profile| profile.get_fargate_profile_name().clone().unwrap())
            .collect();
        mock!(Client::list_fargate_profiles).then_output(move || {
            ListFargateProfilesOutput::builder()
                .set_fargate_profile_names(Some(names.clone()))
                .build()
        })
    }

    fn described(profiles: &[FargateProfileBuilder]) -> Rule {
        let profiles: Vec<_> = profiles
            .iter()
            .map(|profile| profile.clone().build())
            .collect();
        mock!(Client::describe_fargate_profile).then_compute_output(move |call| {
            let profile = named(&profiles, call.fargate_profile_name().unwrap());
            DescribeFargateProfileOutput::builder()
                .set_fargate_profile(profile.cloned())
                .build()
        })
    }

    fn creates(name: &'static str) -> Rule {
        mock!(Client::create_fargate_profile)
            .match_requests(move |call| {
                call.cluster_name() == Some("demo")
                    && call.fargate_profile_name() == Some(name)
                    && call.pod_execution_role_arn() == Some(ROLE_ARN)
                    && call.subnets() == ["subnet-private1", "subnet-private2"]
                    && call.selectors()[0].namespace() == Some(name)
                    && call.tags().unwrap()[tags::CLUSTER] == "demo"
                    && call.tags().unwrap()[tags::ROLE] == format!("fargate-profile-{name}")
            })
            .then_output(|| CreateFargateProfileOutput::builder().build())
    }

    fn refuses(code: &'static str, message: &'static str) -> Rule {
        mock!(Client::create_fargate_profile)
            .then_http_response(move || eks_refusal(409, code, message))
    }

    fn deletes(name: &'static str) -> Rule {
        mock!(Client::delete_fargate_profile)
            .match_requests(move |call| call.fargate_profile_name() == Some(name))
            .then_output(|| DeleteFargateProfileOutput::builder().build())
    }

    fn aws(existing: &[FargateProfileBuilder], rule: &Rule) -> Aws {
        let (listed, described) = (listed(existing), described(existing));
        Aws::offline().with(crate::mocked!(aws_sdk_eks, [&listed, &described, rule]))
    }

    async fn ensure(
        existing: &[FargateProfileBuilder],
        rule: &Rule,
    ) -> Result<Outcome<Output>, Error> {
        FargateProfiles::ensure(&aws(existing, rule), &Plan::example(), input()).await
    }

    async fn remove(
        existing: &[FargateProfileBuilder],
        rule: &Rule,
    ) -> Result<Outcome<Removed>, Error> {
        FargateProfiles::remove(&aws(existing, rule), &Plan::example().target).await
    }

    fn pending<T: std::fmt::Debug>(outcome: Result<Outcome<T>, Error>) -> (u64, String) {
        match outcome {
            Ok(Outcome::Pending {
                check_after,
                reason,
                ..
            }) => (check_after.as_secs(), reason),
            other => panic!("expected Pending, got {other:?}"),
        }
    }

    #[tokio::test]
    async fn creates_the_profile_of_coredns_first_and_only_that_one() {
        let mut plan = Plan::example();
        plan.fargate_profiles.reverse();
        let created = creates("kube-system");
        let outcome = FargateProfiles::ensure(&aws(&[], &created), &plan, input()).await;
        let (seconds, reason) = pending(outcome);
        assert_eq!(seconds, 15);
        assert_eq!(reason, "Fargate profile kube-system is being created");
        assert_eq!(created.num_calls(), 1);
    }

    #[tokio::test]
    async fn a_profile_being_created_holds_back_the_next() {
        let created = creates("default");
        let existing = [profile("kube-system", Creating)];
        let (_, reason) = pending(ensure(&existing, &created).await);
        assert_eq!(reason, "Fargate profile kube-system is CREATING");
        assert_eq!(created.num_calls(), 0);
    }

    #[tokio::test]
    async fn a_strangers_changing_profile_holds_back_ours() {
        let created = creates("default");
        let stranger = profile("batch", Deleting).set_tags(None);
        let existing = [stranger, profile("kube-system", Active)];
        let (_, reason) = pending(ensure(&existing, &created).await);
        assert!(
            reason.contains("Fargate profile batch is DELETING"),
            "{reason}"
        );
        assert_eq!(created.num_calls(), 0);
    }

    #[tokio::test]
    async fn creates_the_next_profile_once_the_first_is_active() {
        let created = creates("default");
        let existing = [profile("kube-system", Active)];
        pending(ensure(&existing, &created).await);
        assert_eq!(created.num_calls(), 1);
    }

    #[tokio::test]
    async fn active_profiles_are_ready_in_the_plans_order_and_surplus_ones_are_left() {
        let deleted = deletes("former");
        let existing = ["default", "former", "kube-system"].map(|name| profile(name, Active));
        let output = ensure(&existing, &deleted).await.unwrap().ready().unwrap();
        let arns: Vec<_> = output
            .fargate_profiles
            .iter()
            .map(|p| p.arn.as_str())
            .collect();
        assert_eq!(arns, ["arn:kube-system", "arn:default"]);
        assert_eq!(deleted.num_calls(), 0);
    }

    #[tokio::test]
    async fn a_deleting_profile_is_made_again_when_it_is_gone() {
        let created = creates("kube-system");
        let other_role = profile("kube-system", Deleting).pod_execution_role_arn("arn:old");
        let (seconds, reason) = pending(ensure(&[other_role], &created).await);
        assert_eq!(seconds, 15);
        assert_eq!(reason, "Fargate profile kube-system is DELETING");
        assert_eq!(created.num_calls(), 0);
    }

    #[tokio::test]
    async fn a_profile_that_never_was_active_is_replaced() {
        let deleted = deletes("kube-system");
        // It may differ: the one that follows it is as wanted.
        let failed = with_issue(profile("kube-system", CreateFailed));
        let failed = failed.pod_execution_role_arn("arn:old");
        let (seconds, reason) = pending(ensure(&[failed], &deleted).await);
        assert_eq!(seconds, 15);
        assert_eq!(
            reason,
            "Fargate profile kube-system is CREATE_FAILED; AccessDenied: the role cannot be assumed; it \
             is made again: Fargate profile kube-system is being deleted"
        );
        assert_eq!(deleted.num_calls(), 1);
    }

    #[tokio::test]
    async fn a_profile_that_failed_in_this_execution_carries_its_health_issues() {
        let made = creates("kube-system");
        let outcome = ensure(&[], &made).await;
        let Ok(Outcome::Pending { memory, .. }) = outcome else {
            panic!("{outcome:?}");
        };
        let created = deletes("kube-system");
        let failed = with_issue(profile("kube-system", CreateFailed));
        let aws = aws(&[failed], &created);
        let input = Input { memory, ..input() };
        let outcome = FargateProfiles::ensure(&aws, &Plan::example(), input).await;
        assert_eq!(
            outcome,
            Err(Error::ResourceFailed(
                "Fargate profile kube-system is CREATE_FAILED; AccessDenied: the role cannot be \
                 assumed"
                    .to_owned()
            ))
        );
        assert_eq!(created.num_calls(), 0);
    }

    #[tokio::test]
    async fn refuses_a_profile_that_is_not_ours_before_anything_is_created() {
        let created = creates("kube-system");
        let theirs = profile("default", Active).set_tags(None);
        let error = ensure(&[theirs], &created).await.unwrap_err();
        assert_eq!(error.name(), "ResourceConflict");
        assert!(error.to_string().contains("Fargate profile default"));
        assert_eq!(created.num_calls(), 0);
    }

    #[tokio::test]
    async fn a_profile_that_differs_is_a_conflict_that_says_what() {
        let labelled = FargateProfileSelector::builder()
            .namespace("kube-system")
            .labels("k8s-app", "kube-dns")
            .build();
        let created = creates("default");
        for (differing, what) in [
            (
                profile("kube-system", Active).pod_execution_role_arn("arn:old"),
                "its role is arn:old",
            ),
            (
                profile("kube-system", Active).subnets("subnet-9"),
                "its subnets are subnet-9, subnet-private1, subnet-private2, not subnet-private1",
            ),
            (
                profile("kube-system", Active).set_selectors(Some(vec![labelled])),
                "its selectors are kube-system{k8s-app=kube-dns}, not kube-system",
            ),
        ] {
            let error = ensure(&[differing], &created).await.unwrap_err();
            assert_eq!(error.name(), "ResourceConflict");
            assert!(error.to_string().contains(what), "{error}");
        }
        assert_eq!(created.num_calls(), 0);
    }

    /// What comes of a create call that EKS refuses; `existing` is what a second look finds.
    async fn refused(
        existing: Option<FargateProfileBuilder>,
        refusal: &Rule,
    ) -> Result<Outcome<Output>, Error> {
        let listed = listed(&[]);
        let looked = match existing {
            Some(profile) => described(&[profile]),
            None => mock!(Client::describe_fargate_profile)
                .then_http_response(|| eks_refusal(404, codes::RESOURCE_NOT_FOUND, "none")),
        };
        let aws = Aws::offline().with(crate::mocked!(aws_sdk_eks, [&listed, refusal, &looked]));
        FargateProfiles::ensure(&aws, &Plan::example(), input()).await
    }

    #[tokio::test]
    async fn in_use_because_it_exists_means_looking_at_it() {
        let message = "A Fargate Profile already exists with this name in this cluster.";
        let refusal = refuses(codes::RESOURCE_IN_USE, message);
        let ours = profile("kube-system", Creating);
        let (_, reason) = pending(refused(Some(ours), &refusal).await);
        assert!(reason.contains("an earlier attempt made it"), "{reason}");

        let theirs = profile("kube-system", Creating).set_tags(None);
        let error = refused(Some(theirs), &refusal).await.unwrap_err();
        assert_eq!(error.name(), "ResourceConflict");
    }

    #[tokio::test]
    async fn in_use_because_a_sibling_changes_means_waiting_a_little() {
        let message = "Cannot create Fargate Profile kube-system because cluster demo currently \
                       has Fargate profile batch in status CREATING";
        let refusal = refuses(codes::RESOURCE_IN_USE, message);
        let (seconds, reason) = pending(refused(None, &refusal).await);
        assert_eq!(seconds, 15);
        assert!(reason.contains(message), "{reason}");
    }

    #[tokio::test]
    async fn in_use_because_of_a_hidden_update_means_waiting_longer() {
        let message = "Cannot create Fargate Profile kube-system because cluster demo currently \
                       has an update in progress";
        let refusal = refuses(codes::RESOURCE_IN_USE, message);
        let (seconds, reason) = pending(refused(None, &refusal).await);
        assert_eq!(seconds, 30);
        assert!(reason.contains(message), "{reason}");
    }

    #[tokio::test]
    async fn routes_and_trust_that_have_not_spread_are_not_yet_visible() {
        for message in [
            "Subnet subnet-private1 provided in Fargate Profile is not a private subnet",
            "Misconfigured PodExecutionRole Trust Policy; Please add the \
             eks-fargate-pods.amazonaws.com Service Principal",
        ] {
            let refusal = refuses(codes::INVALID_PARAMETER, message);
            let error = ensure(&[], &refusal).await.unwrap_err();
            assert_eq!(error.name(), "NotYetVisible", "{message}");
        }
    }

    #[tokio::test]
    async fn remove_deletes_one_profile_of_ours_at_a_time() {
        let deleted = deletes("kube-system");
        let theirs = profile("theirs", Active).set_tags(None);
        let existing = [
            profile("default", Active),
            profile("kube-system", Active),
            theirs,
        ];
        let (seconds, reason) = pending(remove(&existing, &deleted).await);
        assert_eq!(seconds, 15);
        assert_eq!(reason, "Fargate profile kube-system is being deleted");
        assert_eq!(deleted.num_calls(), 1);
    }

    #[tokio::test]
    async fn remove_waits_for_a_profile_on_its_way() {
        for status in [Creating, Deleting] {
            let deleted = deletes("default");
            let existing = [
                profile("default", Active),
                profile("kube-system", status.clone()),
            ];
            let (_, reason) = pending(remove(&existing, &deleted).await);
            assert_eq!(reason, format!("Fargate profile kube-system is {status}"));
            assert_eq!(deleted.num_calls(), 0);
        }
    }

    #[tokio::test]
    async fn remove_waits_for_the_clusters_hidden_update() {
        let message = "cluster demo currently has an update in progress";
        let refusal = mock!(Client::delete_fargate_profile)
            .then_http_response(move || eks_refusal(409, codes::RESOURCE_IN_USE, message));
        let existing = [profile("default", Active)];
        let (seconds, reason) = pending(remove(&existing, &refusal).await);
        assert_eq!(seconds, 30);
        assert!(reason.contains(message), "{reason}");
    }

    #[tokio::test]
    async fn remove_tries_a_failed_deletion_again_and_reports_it() {
        let deleted = deletes("default");
        let failed = with_issue(profile("default", DeleteFailed));
        let error = remove(&[failed], &deleted).await.unwrap_err();
        assert_eq!(error.name(), "ResourceFailed");
        assert!(error.to_string().contains("AccessDenied"), "{error}");
        assert_eq!(deleted.num_calls(), 1);
    }

    #[tokio::test]
    async fn remove_leaves_what_is_not_ours() {
        let deleted = deletes("default");
        let theirs = profile("default", Active).set_tags(None);
        let outcome = remove(&[theirs], &deleted).await;
        assert_eq!(outcome, Ok(Outcome::Ready(Removed::default())));
        assert_eq!(deleted.num_calls(), 0);
    }

    #[tokio::test]
    async fn remove_without_a_cluster_succeeds() {
        let none = mock!(Client::list_fargate_profiles)
            .then_http_response(|| eks_refusal(404, codes::RESOURCE_NOT_FOUND, "No cluster found"));
        let aws = Aws::offline().with(crate::mocked!(aws_sdk_eks, [&none]));
        let outcome = FargateProfiles::remove(&aws, &Plan::example().target).await;
        assert_eq!(outcome, Ok(Outcome::Ready(Removed::default())));
    }
}
