//! The CoreDNS add-on, put on Fargate through the EKS API.
//!
//! Fargate takes a pod if a profile selects it *when it is admitted*; a pod that was born before the
//! profile was ACTIVE waits for ever on the default scheduler. So the add-on is created only once such
//! a profile is ACTIVE, with `{"computeType":"Fargate"}` and sizes that fit Fargate's smallest pod (0.25
//! vCPU, 0.5 GB, of which Fargate itself uses 256 MB). Everything goes through the EKS API: no kubectl,
//! no credentials for Kubernetes, and it works where the cluster's endpoint is private. What EKS stores
//! as the add-on's configuration also survives its next update, which a patched Deployment does not.
//!
//! Safe to repeat: the annotation [`PROFILE_ANNOTATION`](coredns::PROFILE_ANNOTATION) on the pods names the profile
//! that was ACTIVE
//! when they were made. Where it is missing or names another profile, the pods may be older than the
//! profile, and one UpdateAddon with the annotation makes EKS roll them out again; after that the
//! configuration is as wanted and nothing changes any more. Foreign keys of the configuration are kept.
//!
//! [`KUBERNETES_ANNOTATION`](coredns::KUBERNETES_ANNOTATION) does the same for the cluster's Kubernetes version. A
//! Fargate pod keeps the
//! kubelet of its birth, and old kubelets block upgrades to come: after each upgrade the pods are rolled
//! out once, with the add-on's default version for the new Kubernetes version. The old pods serve until
//! the new ones do.
//!
//! No token of our own goes with CreateAddon: EKS makes no second add-on of that name, while a token
//! would, for all that is known, answer a new attempt with the add-on that failed and was deleted.
//!
//! DEGRADED is not failure: EKS says so within seconds, and until the pods run, for twenty minutes at most. How long
//! it has been waited for is remembered from invocation to invocation; an execution that comes later waits again,
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
    cluster::require_ours(target, &cluster)?;
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
mod tests;
