//! The CoreDNS add-on, put on Fargate through the EKS API.
//!
//! Fargate takes a pod if a profile selects it *when it is admitted*; a pod that was born before the
//! profile was ACTIVE waits for ever on the default scheduler. So the add-on is created only once such
//! a profile is ACTIVE, with `{"computeType":"Fargate"}` and sizes that fit Fargate's smallest pod (0.25
//! vCPU, 0.5 GB, of which Fargate itself uses 256 MB). Everything goes through the EKS API: no kubectl,
//! no credentials for Kubernetes, and it works where the cluster's endpoint is private. What EKS stores
//! as the add-on's configuration also survives its next update, which a patched Deployment does not.
//!
//! Safe to repeat: the annotation [`PROFILE_ANNOTATION`](coredns::PROFILE_ANNOTATION) on the pods names the profile that was ACTIVE
//! when they were made. Where it is missing or names another profile, the pods may be older than the
//! profile, and one UpdateAddon with the annotation makes EKS roll them out anew; after that the
//! configuration is as wanted and nothing changes any more. Foreign keys of the configuration are kept.
//!
//! [`KUBERNETES_ANNOTATION`](coredns::KUBERNETES_ANNOTATION) does the same for the cluster's Kubernetes version. A Fargate pod keeps the
//! kubelet of its birth, and old kubelets block upgrades to come: after each upgrade the pods are rolled
//! out once, with the add-on's default version for the new Kubernetes version. The old pods serve until
//! the new ones do.
//!
//! No token of our own goes with CreateAddon: EKS makes no second add-on of that name, while a token
//! would, for all that is known, answer a new attempt with the add-on that failed and was deleted.
//!
//! DEGRADED is not failure: EKS says so within seconds, and until the pods run, for twenty minutes at most. How long
//! it has been waited for is remembered from invocation to invocation; an execution that comes later waits anew,
//! and gives an add-on that had failed another chance, because what was wrong may have been put right.

use std::time::Duration;

use aws_sdk_eks::error::ProvideErrorMetadata;
use aws_sdk_eks::types::{Addon, AddonStatus, Cluster, ResolveConflicts};
use serde::Serialize;

use crate::aws::{Aws, change, codes};
use crate::contract::error::required;
use crate::contract::{During, Error, Memory, OnlyMemory, Outcome, Removed, Step};
use crate::model::{Plan, Target, tags};
use crate::resources::cluster;
use crate::resources::coredns::{self, Birth, Compared, required_default};
use crate::resources::eks::{self, COREDNS};
use crate::resources::{addon, fargate_profile};
use crate::steps::addon::{Asked, update as update_addon};

/// The step `coredns`.
pub struct CoreDns;

/// What is known of CoreDNS once it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// Version of the add-on, for example `v1.12.3-eksbuild.1`.
    pub addon_version: String,
    /// Status of the add-on: `ACTIVE`.
    pub health: String,
}

/// CoreDNS's pods take one to two minutes.
const CHECK_AFTER_SECONDS: u64 = 15;
/// How long pods that do not start are waited for: twenty minutes, as other tools wait.
const PODS_SECONDS: u64 = 20 * 60;

impl Step for CoreDns {
    const NAME: &'static str = "coredns";
    const POLICY: &'static str = include_str!("policy.json");
    /// Terraform gives an add-on 20 minutes to be made and 20 to be updated: pods that do not start end
    /// the wait earlier ([`PODS_SECONDS`]).
    const ENSURE_LIMIT: Duration = Duration::from_hours(1);
    /// Terraform gives the deletion 40 minutes.
    const REMOVE_LIMIT: Duration = Duration::from_mins(45);
    type Input = OnlyMemory;
    type Output = Output;

    async fn ensure(aws: &Aws, plan: &Plan, input: OnlyMemory) -> Result<Outcome<Output>, Error> {
        let memory = input.memory;
        let cluster = cluster(aws, &plan.target).await?;
        let profiles = fargate_profile::find(aws, &plan.target).await?;
        let Some(profile_arn) = coredns::selecting_profile(&profiles) else {
            let reason = "no ACTIVE Fargate profile selects the CoreDNS pods yet";
            return Ok(later(reason, memory));
        };
        let birth = Birth {
            profile_arn,
            kubernetes: required(cluster.version(), "eks:DescribeCluster: version")?,
        };
        let seen = coredns::observe(aws, &plan.target, birth.kubernetes).await?;
        let compared = coredns::compare(&plan.target, birth, &seen)?;
        apply(aws, plan, birth, compared, memory).await
    }

    async fn remove(aws: &Aws, target: &Target) -> Result<Outcome<Removed>, Error> {
        let Some(addon) = addon::find(aws, target, COREDNS).await? else {
            return Ok(Outcome::Ready(Removed::default()));
        };
        if !tags::map_is_ours(addon.tags(), target) {
            return Ok(Outcome::Ready(Removed::default()));
        }
        match addon.status() {
            Some(AddonStatus::Creating | AddonStatus::Updating | AddonStatus::Deleting) => {
                Ok(Outcome::pending(CHECK_AFTER_SECONDS, addon::line(&addon)))
            }
            _ => delete(aws, target).await,
        }
    }
}

/// The cluster, which has to be ours: an add-on in it may be adopted, one in another's may not.
async fn cluster(aws: &Aws, target: &Target) -> Result<Cluster, Error> {
    let cluster = cluster::find(aws, target).await?.ok_or_else(|| {
        Error::NotYetVisible(format!(
            "cluster {} cannot be seen yet",
            target.cluster_name
        ))
    })?;
    if !tags::map_is_ours(cluster.tags(), target) {
        let what = format!("EKS cluster {}", target.cluster_name);
        return Err(tags::not_ours(&what, target));
    }
    Ok(cluster)
}

async fn apply(
    aws: &Aws,
    plan: &Plan,
    birth: Birth<'_>,
    compared: Compared<'_>,
    memory: Memory,
) -> Result<Outcome<Output>, Error> {
    let version = compared.version;
    let Some(addon) = compared.found else {
        let version = required_default(version, birth.kubernetes)?;
        return create(aws, plan, birth, version, memory).await;
    };
    if !compared.is_ours {
        adopt(aws, plan, addon).await?;
    }
    match (addon.status(), compared.configuration) {
        (Some(AddonStatus::Active), None) => output(addon).map(Outcome::Ready),
        (
            Some(AddonStatus::Active | AddonStatus::Degraded | AddonStatus::UpdateFailed),
            Some(wanted),
        ) => update(aws, plan, version, birth, &wanted, memory).await,
        (Some(AddonStatus::Degraded | AddonStatus::Creating | AddonStatus::Updating), _) => {
            wait(addon, birth.profile_arn, memory)
        }
        (Some(AddonStatus::Deleting), _) => Ok(later(addon::line(addon), memory)),
        // It failed with a configuration that could not work, or before this execution came. Only a new
        // one helps: if that one fails too, it is remembered, and the branch below says so.
        (Some(AddonStatus::CreateFailed), Some(_)) => replace(aws, &plan.target, addon).await,
        (Some(AddonStatus::CreateFailed), None) if memory.is_empty() => {
            replace(aws, &plan.target, addon).await
        }
        (Some(AddonStatus::UpdateFailed), None) if memory.is_empty() => {
            let same = addon.configuration_values().unwrap_or_default();
            update(aws, plan, version, birth, same, memory).await
        }
        _ => Err(Error::ResourceFailed(addon::line(addon))),
    }
}

/// Asks again later, and forgets nothing.
fn later(reason: impl Into<String>, memory: Memory) -> Outcome<Output> {
    Outcome::pending(CHECK_AFTER_SECONDS, reason).remembering(memory)
}

/// That this execution has made (or has watched) pods for the profile.
fn watched(profile_arn: &str, mut memory: Memory) -> Memory {
    memory.remember(COREDNS, profile_arn);
    memory
}

/// Waits for the pods, but not for ever.
fn wait(addon: &Addon, profile_arn: &str, memory: Memory) -> Result<Outcome<Output>, Error> {
    let what = addon::line(addon);
    let memory = if memory.is_empty() {
        memory.of_new_wait()
    } else {
        memory
    };
    if memory.seconds_since_begun() >= PODS_SECONDS {
        let minutes = PODS_SECONDS / 60;
        return Err(Error::ResourceFailed(format!(
            "for {minutes} minutes {what}"
        )));
    }
    Ok(later(starting_line(addon), watched(profile_arn, memory)))
}

/// `the pods of CoreDNS are starting (the add-on says DEGRADED until they run; …)`: what is normal for a
/// minute or two, with EKS's words for the case that it lasts.
fn starting_line(addon: &Addon) -> String {
    let line = addon::status_line(addon);
    format!("the pods of CoreDNS are starting; until they run, EKS says of the add-on: {line}")
}

fn output(addon: &Addon) -> Result<Output, Error> {
    let version = required(addon.addon_version(), "eks:DescribeAddon: addonVersion")?;
    Ok(Output {
        addon_version: version.to_owned(),
        health: AddonStatus::Active.as_str().to_owned(),
    })
}

async fn create(
    aws: &Aws,
    plan: &Plan,
    birth: Birth<'_>,
    version: &str,
    memory: Memory,
) -> Result<Outcome<Output>, Error> {
    let call = aws
        .eks()
        .create_addon()
        .cluster_name(&plan.target.cluster_name)
        .addon_name(COREDNS)
        .addon_version(version)
        .configuration_values(coredns::wanted(birth))
        .resolve_conflicts(ResolveConflicts::Overwrite)
        .set_tags(Some(tags::map(plan, COREDNS)));
    match change("eks:CreateAddon", COREDNS, call.send()).await {
        // It exists by now, or the cluster is changing: the next look decides.
        Err(error) if eks::passes_by_itself(&error) => {
            let message = eks::message(&error);
            let reason = format!("add-on coredns cannot be created yet: {message}");
            return Ok(later(reason, memory));
        }
        answer => answer.during("eks:CreateAddon")?,
    };
    let reason = format!("add-on coredns {version} is being created");
    Ok(later(
        reason,
        watched(birth.profile_arn, memory.of_new_wait()),
    ))
}

/// Tags an add-on that came with the cluster or that a person made, so that it is ours from now on.
async fn adopt(aws: &Aws, plan: &Plan, addon: &Addon) -> Result<(), Error> {
    let arn = required(addon.addon_arn(), "eks:DescribeAddon: addonArn")?;
    let call = aws
        .eks()
        .tag_resource()
        .resource_arn(arn)
        .set_tags(Some(tags::map(plan, COREDNS)));
    change("eks:TagResource", arn, call.send())
        .await
        .during("eks:TagResource")?;
    Ok(())
}

/// Sets the configuration, and with a new Kubernetes version the add-on's.
async fn update(
    aws: &Aws,
    plan: &Plan,
    version: Option<&str>,
    birth: Birth<'_>,
    wanted: &str,
    memory: Memory,
) -> Result<Outcome<Output>, Error> {
    let reason = match version {
        Some(version) => format!("CoreDNS {version} is being rolled out on Fargate"),
        None => "CoreDNS is being rolled out on Fargate".to_owned(),
    };
    let asked = update_addon(aws, &plan.target, version, Some(wanted)).await?;
    if let Asked::Later(reason) = asked {
        return Ok(later(reason, memory));
    }
    Ok(later(
        reason,
        watched(birth.profile_arn, memory.of_new_wait()),
    ))
}

async fn replace(aws: &Aws, target: &Target, addon: &Addon) -> Result<Outcome<Output>, Error> {
    let line = addon::line(addon);
    let reason = match delete_addon(aws, target).await? {
        Deletion::Refused(message) => {
            format!("{line}; it cannot be deleted yet, to be made again: {message}")
        }
        Deletion::Begun | Deletion::Gone => format!("{line}; it is deleted, to be made again"),
    };
    Ok(Outcome::pending(CHECK_AFTER_SECONDS, reason))
}

async fn delete(aws: &Aws, target: &Target) -> Result<Outcome<Removed>, Error> {
    let reason = match delete_addon(aws, target).await? {
        Deletion::Gone => return Ok(Outcome::Ready(Removed::default())),
        Deletion::Begun => "add-on coredns is being deleted".to_owned(),
        Deletion::Refused(message) => format!("add-on coredns cannot be deleted yet: {message}"),
    };
    Ok(Outcome::pending(CHECK_AFTER_SECONDS, reason))
}

/// What came of a deletion.
enum Deletion {
    /// The add-on was gone already.
    Gone,
    /// EKS deletes it.
    Begun,
    /// Not now, with EKS's words.
    Refused(String),
}

/// Whether EKS refuses a deletion because the add-on, or the cluster, is changing. DeleteAddon has no
/// ResourceInUseException in botocore's model, so it may be said as InvalidRequestException; what lasts is
/// ended by the limit of the wait.
fn is_busy(error: &impl ProvideErrorMetadata) -> bool {
    eks::passes_by_itself(error) || error.code() == Some(codes::INVALID_REQUEST)
}

async fn delete_addon(aws: &Aws, target: &Target) -> Result<Deletion, Error> {
    let call = aws
        .eks()
        .delete_addon()
        .cluster_name(&target.cluster_name)
        .addon_name(COREDNS);
    match change("eks:DeleteAddon", COREDNS, call.send()).await {
        Err(error) if eks::is_absent(&error) => return Ok(Deletion::Gone),
        Err(error) if is_busy(&error) => {
            return Ok(Deletion::Refused(eks::message(&error).to_owned()));
        }
        answer => answer.during("eks:DeleteAddon")?,
    };
    Ok(Deletion::Begun)
}

#[cfg(test)]
mod tests {
    use aws_sdk_eks::primitives::DateTime;
    use aws_sdk_eks::types::{FargateProfile, FargateProfileStatus};

    use super::*;
    use aws_sdk_eks::Client;
    use aws_sdk_eks::operation::create_addon::CreateAddonOutput;
    use aws_sdk_eks::operation::delete_addon::DeleteAddonOutput;
    use aws_sdk_eks::operation::describe_addon::DescribeAddonOutput;
    use aws_sdk_eks::operation::describe_addon_versions::DescribeAddonVersionsOutput;
    use aws_sdk_eks::operation::describe_cluster::DescribeClusterOutput;
    use aws_sdk_eks::operation::describe_fargate_profile::DescribeFargateProfileOutput;
    use aws_sdk_eks::operation::list_fargate_profiles::ListFargateProfilesOutput;
    use aws_sdk_eks::operation::tag_resource::TagResourceOutput;
    use aws_sdk_eks::operation::update_addon::UpdateAddonOutput;
    use aws_sdk_eks::types::AddonStatus::{
        Active, CreateFailed, Creating, Degraded, Deleting, UpdateFailed, Updating,
    };
    use aws_sdk_eks::types::builders::{AddonBuilder, ClusterBuilder, FargateProfileBuilder};
    use aws_sdk_eks::types::{
        AddonHealth, AddonInfo, AddonIssue, AddonIssueCode, AddonVersionInfo, Compatibility,
        FargateProfileSelector,
    };
    use aws_smithy_mocks::{Rule, mock};
    use serde_json::{Value, json};

    use crate::aws::codes;
    use crate::aws::mocks::eks_refusal;
    use crate::resources::coredns::{KUBERNETES_ANNOTATION, PROFILE_ANNOTATION};

    const PROFILE_ARN: &str = "arn:aws:eks:ap-northeast-1:111122223333:fargateprofile/demo/k/1";
    const VERSION: &str = "v1.12.3-eksbuild.1";

    fn birth(profile_arn: &'static str, kubernetes: &'static str) -> Birth<'static> {
        Birth {
            profile_arn,
            kubernetes,
        }
    }

    const NOW: Birth<'static> = Birth {
        profile_arn: PROFILE_ARN,
        kubernetes: "1.36",
    };

    fn our_cluster() -> ClusterBuilder {
        Cluster::builder()
            .version("1.36")
            .tags(tags::CLUSTER, "demo")
    }

    fn profile(namespace: &str) -> FargateProfileBuilder {
        let selector = FargateProfileSelector::builder()
            .namespace(namespace)
            .build();
        FargateProfile::builder()
            .fargate_profile_arn(PROFILE_ARN)
            .created_at(DateTime::from_secs(1000))
            .selectors(selector)
            .status(FargateProfileStatus::Active)
    }

    /// An add-on of ours that is as hardway makes it.
    fn addon(status: AddonStatus) -> AddonBuilder {
        Addon::builder()
            .addon_arn("arn:addon")
            .addon_version(VERSION)
            .status(status)
            .configuration_values(coredns::wanted(NOW))
            .tags(tags::CLUSTER, "demo")
    }

    fn with_issue(addon: AddonBuilder) -> AddonBuilder {
        let issue = AddonIssue::builder()
            .code(AddonIssueCode::InsufficientNumberOfReplicas)
            .message("no replicas")
            .build();
        addon.health(AddonHealth::builder().issues(issue).build())
    }

    /// What is there in EKS before the step looks.
    struct World {
        cluster: ClusterBuilder,
        profiles: Vec<FargateProfileBuilder>,
        addon: Option<AddonBuilder>,
    }

    impl World {
        fn with(addon: impl Into<Option<AddonBuilder>>) -> Self {
            Self {
                cluster: our_cluster(),
                profiles: vec![profile("kube-system")],
                addon: addon.into(),
            }
        }

        fn rules(self) -> [Rule; 5] {
            let (cluster, profiles) = (self.cluster.build(), self.profiles);
            let names: Vec<_> = (0..profiles.len()).map(|index| index.to_string()).collect();
            [
                mock!(Client::describe_cluster).then_output(move || {
                    DescribeClusterOutput::builder()
                        .cluster(cluster.clone())
                        .build()
                }),
                mock!(Client::list_fargate_profiles).then_output(move || {
                    ListFargateProfilesOutput::builder()
                        .set_fargate_profile_names(Some(names.clone()))
                        .build()
                }),
                mock!(Client::describe_fargate_profile).then_compute_output(move |call| {
                    let index: usize = call.fargate_profile_name().unwrap().parse().unwrap();
                    DescribeFargateProfileOutput::builder()
                        .fargate_profile(profiles[index].clone().build())
                        .build()
                }),
                match self.addon {
                    Some(addon) => mock!(Client::describe_addon).then_output(move || {
                        let addon = addon.clone().build();
                        DescribeAddonOutput::builder().addon(addon).build()
                    }),
                    None => mock!(Client::describe_addon).then_http_response(|| {
                        eks_refusal(404, codes::RESOURCE_NOT_FOUND, "no such add-on")
                    }),
                },
                versions(),
            ]
        }
    }

    fn versions() -> Rule {
        let version = |name: &str, kubernetes: &str, is_default: bool| {
            let compatibility = Compatibility::builder()
                .cluster_version(kubernetes)
                .default_version(is_default)
                .build();
            AddonVersionInfo::builder()
                .addon_version(name)
                .compatibilities(compatibility)
                .build()
        };
        mock!(Client::describe_addon_versions)
            .match_requests(|call| {
                call.kubernetes_version() == Some("1.36") && call.addon_name() == Some("coredns")
            })
            .then_output(move || {
                let addon = AddonInfo::builder()
                    .addon_versions(version("v1.13.0-eksbuild.1", "1.36", false))
                    .addon_versions(version("v1.11.4-eksbuild.2", "1.35", true))
                    .addon_versions(version("v1.12.0-eksbuild.1", "1.36", false))
                    .addon_versions(version(VERSION, "1.36", true))
                    .build();
                DescribeAddonVersionsOutput::builder().addons(addon).build()
            })
    }

    /// The calls that may change something.
    struct Changes {
        creates: Rule,
        updates: Rule,
        tags: Rule,
        deletes: Rule,
    }

    impl Changes {
        fn new() -> Self {
            Self::with_update(|_| true)
        }

        fn with_update(is_right: fn(&Value) -> bool) -> Self {
            Self::with_version(None, is_right)
        }

        fn with_version(version: Option<&'static str>, is_right: fn(&Value) -> bool) -> Self {
            Self {
                creates: mock!(Client::create_addon)
                    .match_requests(|call| {
                        let text = call.configuration_values().unwrap();
                        let size = json!({"cpu": "0.25", "memory": "256M"});
                        call.addon_version() == Some(VERSION)
                            && call.resolve_conflicts() == Some(&ResolveConflicts::Overwrite)
                            && call.tags().unwrap()[tags::CLUSTER] == "demo"
                            && call.tags().unwrap()[tags::ROLE] == "coredns"
                            && serde_json::from_str::<Value>(text).unwrap()
                                == json!({
                                    "computeType": "Fargate",
                                    "resources": {"limits": size, "requests": size},
                                    "podAnnotations": {
                                        PROFILE_ANNOTATION: PROFILE_ARN,
                                        KUBERNETES_ANNOTATION: "1.36",
                                    },
                                })
                    })
                    .then_output(|| CreateAddonOutput::builder().build()),
                updates: mock!(Client::update_addon)
                    .match_requests(move |call| {
                        let text = call.configuration_values().unwrap();
                        call.addon_version() == version
                            && call.resolve_conflicts() == Some(&ResolveConflicts::Overwrite)
                            && is_right(&serde_json::from_str(text).unwrap())
                    })
                    .then_output(|| UpdateAddonOutput::builder().build()),
                tags: mock!(Client::tag_resource)
                    .match_requests(|call| {
                        call.resource_arn() == Some("arn:addon")
                            && call.tags().unwrap()[tags::CLUSTER] == "demo"
                    })
                    .then_output(|| TagResourceOutput::builder().build()),
                deletes: mock!(Client::delete_addon)
                    .match_requests(|call| call.addon_name() == Some("coredns"))
                    .then_output(|| DeleteAddonOutput::builder().build()),
            }
        }

        /// How often it was created, updated, tagged and deleted.
        fn calls(&self) -> [usize; 4] {
            [&self.creates, &self.updates, &self.tags, &self.deletes].map(Rule::num_calls)
        }
    }

    fn aws(world: World, changes: &Changes) -> Aws {
        let [cluster, profiles, profile, addon, versions] = &world.rules();
        let Changes {
            creates,
            updates,
            tags,
            deletes,
        } = changes;
        Aws::offline().with(crate::mocked!(
            aws_sdk_eks,
            [
                cluster, profiles, profile, addon, versions, creates, updates, tags, deletes
            ]
        ))
    }

    async fn ensure(world: World, changes: &Changes) -> Result<Outcome<Output>, Error> {
        ensure_remembering(world, changes, Memory::default()).await
    }

    async fn ensure_remembering(
        world: World,
        changes: &Changes,
        memory: Memory,
    ) -> Result<Outcome<Output>, Error> {
        let input = OnlyMemory { memory };
        CoreDns::ensure(&aws(world, changes), &Plan::example(), input).await
    }

    /// What an invocation knows after so many seconds with pods that this execution made.
    fn after(waited_seconds: u64) -> Memory {
        Memory {
            waited_seconds,
            ..watched(PROFILE_ARN, Memory::default())
        }
    }

    async fn remove(world: World, changes: &Changes) -> Result<Outcome<Removed>, Error> {
        CoreDns::remove(&aws(world, changes), &Plan::example().target).await
    }

    fn reason<T: std::fmt::Debug>(outcome: Result<Outcome<T>, Error>) -> String {
        match outcome {
            Ok(Outcome::Pending { reason, .. }) => reason,
            other => panic!("expected Pending, got {other:?}"),
        }
    }

    #[tokio::test]
    async fn creates_the_default_version_for_fargate() {
        let changes = Changes::new();
        let reason = reason(ensure(World::with(None), &changes).await);
        assert_eq!(reason, format!("add-on coredns {VERSION} is being created"));
        assert_eq!(changes.calls(), [1, 0, 0, 0]);
    }

    #[tokio::test]
    async fn creates_nothing_before_an_active_profile_selects_coredns() {
        let creating = profile("kube-system").status(FargateProfileStatus::Creating);
        for profiles in [vec![], vec![profile("default")], vec![creating]] {
            let changes = Changes::new();
            let world = World {
                profiles,
                ..World::with(None)
            };
            let reason = reason(ensure(world, &changes).await);
            assert!(reason.contains("no ACTIVE Fargate profile"), "{reason}");
            assert_eq!(changes.calls(), [0, 0, 0, 0]);
        }
    }

    #[tokio::test]
    async fn an_addon_that_is_as_wanted_is_ready_and_left_alone() {
        let changes = Changes::new();
        let younger = profile("*")
            .fargate_profile_arn("arn:younger")
            .created_at(DateTime::from_secs(2000));
        let world = World {
            profiles: vec![younger, profile("kube-system")],
            ..World::with(addon(Active))
        };
        let output = ensure(world, &changes).await.unwrap().ready().unwrap();
        assert_eq!(output.addon_version, VERSION);
        assert_eq!(output.health, "ACTIVE");
        assert_eq!(changes.calls(), [0, 0, 0, 0]);
    }

    #[tokio::test]
    async fn degraded_while_pods_start_is_pending_with_the_health_issues() {
        let changes = Changes::new();
        let world = World::with(with_issue(addon(Degraded)));
        assert_eq!(
            reason(ensure(world, &changes).await),
            "the pods of CoreDNS are starting; until they run, EKS says of the add-on: DEGRADED; \
             InsufficientNumberOfReplicas: no replicas"
        );
        assert_eq!(changes.calls(), [0, 0, 0, 0]);
    }

    #[tokio::test]
    async fn an_addon_at_work_is_waited_for_whatever_its_configuration() {
        for (status, begin) in [
            (Creating, "the pods of CoreDNS are starting; "),
            (Updating, "the pods of CoreDNS are starting; "),
            (Deleting, "add-on coredns is "),
        ] {
            let changes = Changes::new();
            let world = World::with(addon(status.clone()).configuration_values("{}"));
            let reason = reason(ensure(world, &changes).await);
            assert!(reason.starts_with(begin), "{reason}");
            assert!(reason.ends_with(status.as_str()), "{reason}");
            assert_eq!(changes.calls(), [0, 0, 0, 0]);
        }
    }

    #[tokio::test]
    async fn merges_into_a_foreign_configuration_and_forces_a_rollout() {
        let changes = Changes::with_update(|configuration| {
            let size = json!({"cpu": "0.25", "memory": "256M"});
            *configuration
                == json!({
                    "replicaCount": 3,
                    "computeType": "Fargate",
                    "podAnnotations": {
                        "team": "dns",
                        PROFILE_ANNOTATION: PROFILE_ARN,
                        KUBERNETES_ANNOTATION: "1.36",
                    },
                    "resources": {"limits": size, "requests": size},
                })
        });
        let foreign =
            r#"{"replicaCount":3,"computeType":"fargate","podAnnotations":{"team":"dns"}}"#;
        let world = World::with(addon(Active).configuration_values(foreign));
        let reason = reason(ensure(world, &changes).await);
        assert_eq!(reason, "CoreDNS is being rolled out on Fargate");
        assert_eq!(changes.calls(), [0, 1, 0, 0]);
    }

    #[tokio::test]
    async fn sizes_that_someone_chose_stay() {
        let changes = Changes::with_update(|configuration| {
            configuration["resources"] == json!({"requests": {"memory": "1G"}})
        });
        let chosen = r#"{"resources":{"requests":{"memory":"1G"}}}"#;
        let world = World::with(addon(Active).configuration_values(chosen));
        reason(ensure(world, &changes).await);
        assert_eq!(changes.calls(), [0, 1, 0, 0]);
    }

    #[tokio::test]
    async fn pods_older_than_the_profile_are_rolled_out_once() {
        let old = coredns::wanted(birth("arn:aws:eks:…:fargateprofile/demo/k/0", "1.36"));
        for status in [Active, Degraded] {
            let changes = Changes::with_update(|configuration| {
                configuration["podAnnotations"][PROFILE_ANNOTATION] == PROFILE_ARN
            });
            let stuck = addon(status.clone()).configuration_values(&old);
            reason(ensure(World::with(with_issue(stuck)), &changes).await);
            assert_eq!(changes.calls(), [0, 1, 0, 0]);

            let again = addon(status).configuration_values(coredns::wanted(NOW));
            ensure(World::with(again), &changes).await.unwrap();
            assert_eq!(changes.calls(), [0, 1, 0, 0]);
        }
    }

    #[tokio::test]
    async fn pods_older_than_the_clusters_version_are_rolled_out_once_with_its_default() {
        let changes = Changes::with_version(Some(VERSION), |configuration| {
            configuration["podAnnotations"][KUBERNETES_ANNOTATION] == "1.36"
                && configuration["computeType"] == "Fargate"
        });
        let before = coredns::wanted(birth(PROFILE_ARN, "1.35"));
        for version in ["v1.11.4-eksbuild.2", "v1.12.0-eksbuild.1"] {
            let old = addon(Active)
                .addon_version(version)
                .configuration_values(&before);
            assert_eq!(
                reason(ensure(World::with(old), &changes).await),
                format!("CoreDNS {VERSION} is being rolled out on Fargate")
            );
        }
        assert_eq!(changes.calls(), [0, 2, 0, 0]);
        ensure(World::with(addon(Active)), &changes).await.unwrap();
        assert_eq!(changes.calls(), [0, 2, 0, 0]);
    }

    #[tokio::test]
    async fn a_version_newer_than_the_default_stays_in_an_upgrade() {
        let changes = Changes::new();
        let newer = addon(Active)
            .addon_version("v1.13.0-eksbuild.1")
            .configuration_values(coredns::wanted(birth(PROFILE_ARN, "1.35")));
        reason(ensure(World::with(newer), &changes).await);
        assert_eq!(changes.calls(), [0, 1, 0, 0]);
    }

    #[tokio::test]
    async fn pods_that_do_not_say_what_they_were_made_for_keep_a_version_that_runs() {
        let unmarked = json!({"podAnnotations": {PROFILE_ANNOTATION: PROFILE_ARN}}).to_string();
        let changes = Changes::new();
        let runs = addon(Active)
            .addon_version("v1.13.0-eksbuild.1")
            .configuration_values(&unmarked);
        reason(ensure(World::with(runs), &changes).await);
        assert_eq!(changes.calls(), [0, 1, 0, 0]);

        let changes = Changes::with_version(Some(VERSION), |_| true);
        let does_not = addon(Active)
            .addon_version("v1.11.4-eksbuild.2")
            .configuration_values(&unmarked);
        reason(ensure(World::with(does_not), &changes).await);
        assert_eq!(changes.calls(), [0, 1, 0, 0]);
    }

    #[tokio::test]
    async fn adopts_the_addon_that_came_with_our_cluster() {
        let changes = Changes::new();
        let theirs = addon(Active).set_tags(None).set_configuration_values(None);
        reason(ensure(World::with(theirs), &changes).await);
        assert_eq!(changes.calls(), [0, 1, 1, 0]);
    }

    #[tokio::test]
    async fn refuses_a_cluster_that_is_not_ours() {
        let changes = Changes::new();
        let world = World {
            cluster: our_cluster().set_tags(None),
            ..World::with(None)
        };
        let error = ensure(world, &changes).await.unwrap_err();
        assert_eq!(error.name(), "ResourceConflict");
        assert_eq!(changes.calls(), [0, 0, 0, 0]);
    }

    #[tokio::test]
    async fn a_configuration_that_is_not_json_is_not_overwritten() {
        let changes = Changes::new();
        let yaml = addon(Active).configuration_values("replicaCount: 3");
        let error = ensure(World::with(yaml), &changes).await.unwrap_err();
        assert_eq!(error.name(), "ResourceConflict");
        assert_eq!(changes.calls(), [0, 0, 0, 0]);
    }

    #[tokio::test]
    async fn an_addon_that_failed_with_our_configuration_carries_its_health_issues() {
        for status in [CreateFailed, UpdateFailed] {
            let changes = Changes::new();
            let world = World::with(with_issue(addon(status.clone())));
            let answer = ensure_remembering(world, &changes, after(15)).await;
            let error = answer.unwrap_err();
            assert_eq!(
                error,
                Error::ResourceFailed(format!(
                    "add-on coredns is {status}; InsufficientNumberOfReplicas: no replicas"
                ))
            );
            assert_eq!(changes.calls(), [0, 0, 0, 0]);
        }
    }

    #[tokio::test]
    async fn an_addon_that_failed_before_this_execution_gets_another_chance() {
        let changes = Changes::new();
        let failed = World::with(with_issue(addon(CreateFailed)));
        let text = reason(ensure(failed, &changes).await);
        assert!(text.contains("deleted, to be made again"), "{text}");
        assert_eq!(changes.calls(), [0, 0, 0, 1]);

        let changes = Changes::with_update(|configuration| {
            configuration["podAnnotations"][PROFILE_ANNOTATION] == PROFILE_ARN
        });
        let failed = World::with(with_issue(addon(UpdateFailed)));
        let text = reason(ensure(failed, &changes).await);
        assert_eq!(text, "CoreDNS is being rolled out on Fargate");
        assert_eq!(changes.calls(), [0, 1, 0, 0]);
    }

    #[tokio::test]
    async fn pods_that_do_not_start_are_waited_for_twenty_minutes_and_no_longer() {
        for status in [Degraded, Creating, Updating] {
            let changes = Changes::new();
            let world = || World::with(with_issue(addon(status.clone())));
            let last = ensure_remembering(world(), &changes, after(PODS_SECONDS - 1)).await;
            let Ok(Outcome::Pending { memory, .. }) = last else {
                panic!("{last:?}");
            };
            assert_eq!(memory, after(PODS_SECONDS - 1));
            let error = ensure_remembering(world(), &changes, after(PODS_SECONDS)).await;
            assert_eq!(
                error,
                Err(Error::ResourceFailed(format!(
                    "for 20 minutes add-on coredns is {status}; InsufficientNumberOfReplicas: no \
                     replicas"
                )))
            );
            assert_eq!(changes.calls(), [0, 0, 0, 0]);
        }
    }

    #[tokio::test]
    async fn new_pods_are_waited_for_anew() {
        let changes = Changes::with_update(|_| true);
        let drifted = World::with(addon(Degraded).configuration_values("{}"));
        let answer = ensure_remembering(drifted, &changes, after(PODS_SECONDS)).await;
        let Ok(Outcome::Pending { memory, .. }) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(memory.seconds_since_begun(), 0);
        assert_eq!(memory.begun_after_seconds, PODS_SECONDS);
    }

    #[tokio::test]
    async fn an_addon_that_failed_with_another_configuration_is_deleted_to_be_made_anew() {
        let changes = Changes::new();
        let world = World::with(addon(CreateFailed).configuration_values("{}"));
        let reason = reason(ensure(world, &changes).await);
        assert!(reason.contains("CREATE_FAILED"), "{reason}");
        assert_eq!(changes.calls(), [0, 0, 0, 1]);
    }

    #[tokio::test]
    async fn in_use_means_looking_again_later() {
        let in_use = || eks_refusal(409, codes::RESOURCE_IN_USE, "Addon already exists.");
        let changes = Changes {
            creates: mock!(Client::create_addon).then_http_response(in_use),
            ..Changes::new()
        };
        let text = reason(ensure(World::with(None), &changes).await);
        assert!(text.contains("Addon already exists."), "{text}");

        let changes = Changes {
            updates: mock!(Client::update_addon).then_http_response(in_use),
            ..Changes::new()
        };
        let drifted = addon(Active).configuration_values("{}");
        let text = reason(ensure(World::with(drifted), &changes).await);
        assert!(text.contains("cannot be updated yet"), "{text}");
    }

    #[tokio::test]
    async fn remove_deletes_and_waits() {
        let changes = Changes::new();
        let text = reason(remove(World::with(addon(Active)), &changes).await);
        assert_eq!(text, "add-on coredns is being deleted");
        assert_eq!(changes.calls(), [0, 0, 0, 1]);

        let changes = Changes::new();
        let text = reason(remove(World::with(addon(Deleting)), &changes).await);
        assert_eq!(text, "add-on coredns is DELETING");
        assert_eq!(changes.calls(), [0, 0, 0, 0]);
    }

    #[tokio::test]
    async fn remove_of_a_missing_addon_succeeds() {
        let changes = Changes::new();
        let outcome = remove(World::with(None), &changes).await;
        assert_eq!(outcome, Ok(Outcome::Ready(Removed::default())));
        assert_eq!(changes.calls(), [0, 0, 0, 0]);
    }

    #[tokio::test]
    async fn remove_leaves_an_addon_that_is_not_ours() {
        let changes = Changes::new();
        let outcome = remove(World::with(addon(Active).set_tags(None)), &changes).await;
        assert_eq!(outcome, Ok(Outcome::Ready(Removed::default())));
        assert_eq!(changes.calls(), [0, 0, 0, 0]);
    }
}
