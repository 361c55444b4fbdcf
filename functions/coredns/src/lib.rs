//! The CoreDNS add-on, put on Fargate through the EKS API.
//!
//! Fargate takes a pod if a profile selects it *when it is admitted*; a pod that was born before the
//! profile was ACTIVE waits for ever on the default scheduler. So the add-on is created only once such
//! a profile is ACTIVE, with `{"computeType":"Fargate"}` and sizes that fit Fargate's smallest pod (0.25
//! vCPU, 0.5 GB, of which Fargate itself uses 256 MB). Everything goes through the EKS API: no kubectl,
//! no credentials for Kubernetes, and it works where the cluster's endpoint is private. What EKS stores
//! as the add-on's configuration also survives its next update, which a patched Deployment does not.
//!
//! Safe to repeat: the annotation [`PROFILE_ANNOTATION`] on the pods names the profile that was ACTIVE
//! when they were made. Where it is missing or names another profile, the pods may be older than the
//! profile, and one UpdateAddon with the annotation makes EKS roll them out anew; after that the
//! configuration is as wanted and nothing changes any more. Foreign keys of the configuration are kept.
//!
//! DEGRADED is not failure: the add-on says so until its pods run.

mod configuration;

use aws_sdk_eks::primitives::DateTime;
use aws_sdk_eks::types::{
    Addon, AddonHealth, AddonInfo, AddonStatus, AddonVersionInfo, Cluster, FargateProfile,
    FargateProfileStatus, ResolveConflicts,
};
use serde::Serialize;
use step::error::required;
use step::telemetry::{changed, changing};
use step::{Aws, During, Error, NoInput, Outcome, Plan, Removed, Step, Target, eks, names, tags};

pub use configuration::PROFILE_ANNOTATION;

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

/// The add-on's name.
const COREDNS: &str = "coredns";
/// CoreDNS's pods take one to two minutes.
const CHECK_AFTER_SECONDS: u64 = 15;

impl Step for CoreDns {
    const NAME: &'static str = "coredns";
    type Input = NoInput;
    type Output = Output;

    async fn ensure(aws: &Aws, plan: &Plan, _: NoInput) -> Result<Outcome<Output>, Error> {
        let cluster = cluster(aws, &plan.target).await?;
        let profiles = eks::find_fargate_profiles(aws, &plan.target).await?;
        let Some(profile_arn) = selecting_profile(&profiles) else {
            let reason = "no ACTIVE Fargate profile selects the CoreDNS pods yet";
            return Ok(Outcome::pending(CHECK_AFTER_SECONDS, reason));
        };
        let Some(addon) = find(aws, &plan.target).await? else {
            return create(aws, plan, &cluster, profile_arn).await;
        };
        if !tags::eks_is_ours(addon.tags(), &plan.target) {
            adopt(aws, plan, &addon).await?;
        }
        status(aws, plan, &addon, profile_arn).await
    }

    async fn remove(aws: &Aws, target: &Target) -> Result<Outcome<Removed>, Error> {
        let Some(addon) = find(aws, target).await? else {
            return Ok(Outcome::Ready(Removed::default()));
        };
        if !tags::eks_is_ours(addon.tags(), target) {
            return Err(tags::not_ours("add-on coredns", target));
        }
        match addon.status() {
            Some(AddonStatus::Creating | AddonStatus::Updating | AddonStatus::Deleting) => {
                Ok(Outcome::pending(CHECK_AFTER_SECONDS, describe(&addon)))
            }
            _ => delete(aws, target).await,
        }
    }
}

/// The cluster, which has to be ours: an add-on in it may be adopted, one in another's may not.
async fn cluster(aws: &Aws, target: &Target) -> Result<Cluster, Error> {
    let cluster = eks::find_cluster(aws, target).await?.ok_or_else(|| {
        Error::NotYetVisible(format!(
            "cluster {} cannot be seen yet",
            target.cluster_name
        ))
    })?;
    if !tags::eks_is_ours(cluster.tags(), target) {
        let what = format!("EKS cluster {}", target.cluster_name);
        return Err(tags::not_ours(&what, target));
    }
    Ok(cluster)
}

/// ARN of the ACTIVE Fargate profile that CoreDNS runs on: the oldest of those that select it, so that
/// another profile, made later, changes nothing. The ARN is another one when a profile is made anew.
fn selecting_profile(profiles: &[FargateProfile]) -> Option<&str> {
    let selects = |profile: &&FargateProfile| {
        let mut selectors = profile.selectors().iter().map(eks::selector);
        profile.status() == Some(&FargateProfileStatus::Active)
            && selectors.any(|selector| selector.selects_coredns())
    };
    let age = |profile: &&FargateProfile| profile.created_at().map(DateTime::secs);
    let oldest = profiles.iter().filter(selects).min_by_key(age)?;
    oldest.fargate_profile_arn()
}

async fn find(aws: &Aws, target: &Target) -> Result<Option<Addon>, Error> {
    let call = aws
        .eks
        .describe_addon()
        .cluster_name(&target.cluster_name)
        .addon_name(COREDNS);
    match call.send().await {
        Err(error) if eks::is_absent(&error) => Ok(None),
        answer => {
            let addon = answer.during("eks:DescribeAddon")?.addon;
            required(addon, "eks:DescribeAddon: addon").map(Some)
        }
    }
}

/// `add-on coredns is DEGRADED; InsufficientNumberOfReplicas: …`
fn describe(addon: &Addon) -> String {
    let status = addon.status().map_or("unknown", AddonStatus::as_str);
    let issues = addon.health().map(AddonHealth::issues);
    format!(
        "add-on coredns is {}",
        eks::status_line(status, issues.unwrap_or_default())
    )
}

async fn status(
    aws: &Aws,
    plan: &Plan,
    addon: &Addon,
    profile_arn: &str,
) -> Result<Outcome<Output>, Error> {
    let wanted = configuration::merged(addon.configuration_values(), profile_arn)?;
    match (addon.status(), wanted) {
        (Some(AddonStatus::Active), None) => output(addon).map(Outcome::Ready),
        (Some(AddonStatus::Active | AddonStatus::Degraded), Some(wanted)) => {
            update(aws, plan, wanted).await
        }
        (
            Some(
                AddonStatus::Degraded
                | AddonStatus::Creating
                | AddonStatus::Updating
                | AddonStatus::Deleting,
            ),
            _,
        ) => Ok(Outcome::pending(CHECK_AFTER_SECONDS, describe(addon))),
        // It failed with a configuration that could not work. Only a new one helps, and that one is
        // made as wanted: if it fails too, the next branch says so.
        (Some(AddonStatus::CreateFailed), Some(_)) => replace(aws, &plan.target, addon).await,
        (
            Some(AddonStatus::CreateFailed | AddonStatus::UpdateFailed | AddonStatus::DeleteFailed),
            _,
        ) => Err(Error::ResourceFailed(describe(addon))),
        _ => Err(Error::Unexpected(describe(addon))),
    }
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
    cluster: &Cluster,
    profile_arn: &str,
) -> Result<Outcome<Output>, Error> {
    let version = default_version(aws, cluster).await?;
    changing("eks:CreateAddon", COREDNS);
    let call = aws
        .eks
        .create_addon()
        .cluster_name(&plan.target.cluster_name)
        .addon_name(COREDNS)
        .addon_version(&version)
        .configuration_values(configuration::wanted(profile_arn))
        .resolve_conflicts(ResolveConflicts::Overwrite)
        .client_request_token(names::client_token(
            &plan.target,
            [COREDNS, profile_arn, &version],
        ))
        .set_tags(Some(tags::eks(plan, COREDNS)));
    match call.send().await {
        // It exists by now, or the cluster is changing: the next look decides.
        Err(error) if eks::is_in_use(&error) => {
            let message = eks::message(&error);
            let reason = format!("add-on coredns cannot be created yet: {message}");
            return Ok(Outcome::pending(CHECK_AFTER_SECONDS, reason));
        }
        answer => answer.during("eks:CreateAddon")?,
    };
    changed("eks:CreateAddon", COREDNS);
    let reason = format!("add-on coredns {version} is being created");
    Ok(Outcome::pending(CHECK_AFTER_SECONDS, reason))
}

/// The add-on's default version for the Kubernetes version that the cluster really runs.
async fn default_version(aws: &Aws, cluster: &Cluster) -> Result<String, Error> {
    let kubernetes = required(cluster.version(), "eks:DescribeCluster: version")?;
    let pages = aws
        .eks
        .describe_addon_versions()
        .addon_name(COREDNS)
        .kubernetes_version(kubernetes)
        .into_paginator();
    let addons: Vec<_> = pages
        .items()
        .send()
        .try_collect()
        .await
        .during("eks:DescribeAddonVersions")?;
    let is_default = |version: &&AddonVersionInfo| {
        version.compatibilities().iter().any(|compatibility| {
            compatibility.default_version() && compatibility.cluster_version() == Some(kubernetes)
        })
    };
    let versions = addons.iter().flat_map(AddonInfo::addon_versions);
    let default = versions.into_iter().find(is_default);
    required(
        default.and_then(|version| version.addon_version()),
        &format!("eks:DescribeAddonVersions: a default version of coredns for {kubernetes}"),
    )
    .map(str::to_owned)
}

/// Tags an add-on that came with the cluster or that a person made, so that it is ours from now on.
async fn adopt(aws: &Aws, plan: &Plan, addon: &Addon) -> Result<(), Error> {
    let arn = required(addon.addon_arn(), "eks:DescribeAddon: addonArn")?;
    changing("eks:TagResource", arn);
    aws.eks
        .tag_resource()
        .resource_arn(arn)
        .set_tags(Some(tags::eks(plan, COREDNS)))
        .send()
        .await
        .during("eks:TagResource")?;
    changed("eks:TagResource", arn);
    Ok(())
}

/// Sets the configuration; the version stays, because changing it is an upgrade.
async fn update(aws: &Aws, plan: &Plan, wanted: String) -> Result<Outcome<Output>, Error> {
    changing("eks:UpdateAddon", COREDNS);
    // The configuration is all of the request, and the same one twice is one: no token of our own.
    let call = aws
        .eks
        .update_addon()
        .cluster_name(&plan.target.cluster_name)
        .addon_name(COREDNS)
        .configuration_values(wanted)
        .resolve_conflicts(ResolveConflicts::Overwrite);
    match call.send().await {
        Err(error) if eks::is_in_use(&error) => {
            let message = eks::message(&error);
            let reason = format!("add-on coredns cannot be updated yet: {message}");
            return Ok(Outcome::pending(CHECK_AFTER_SECONDS, reason));
        }
        answer => answer.during("eks:UpdateAddon")?,
    };
    changed("eks:UpdateAddon", COREDNS);
    let reason = "CoreDNS is being rolled out on Fargate";
    Ok(Outcome::pending(CHECK_AFTER_SECONDS, reason))
}

async fn replace(aws: &Aws, target: &Target, addon: &Addon) -> Result<Outcome<Output>, Error> {
    delete_addon(aws, target).await?;
    let reason = format!("{}; it is deleted to be made anew", describe(addon));
    Ok(Outcome::pending(CHECK_AFTER_SECONDS, reason))
}

async fn delete(aws: &Aws, target: &Target) -> Result<Outcome<Removed>, Error> {
    if !delete_addon(aws, target).await? {
        return Ok(Outcome::Ready(Removed::default()));
    }
    let reason = "add-on coredns is being deleted";
    Ok(Outcome::pending(CHECK_AFTER_SECONDS, reason))
}

/// Whether there is something to wait for; false if the add-on is gone already.
async fn delete_addon(aws: &Aws, target: &Target) -> Result<bool, Error> {
    changing("eks:DeleteAddon", COREDNS);
    let call = aws
        .eks
        .delete_addon()
        .cluster_name(&target.cluster_name)
        .addon_name(COREDNS);
    match call.send().await {
        Err(error) if eks::is_absent(&error) => return Ok(false),
        Err(error) if eks::is_in_use(&error) => return Ok(true),
        answer => answer.during("eks:DeleteAddon")?,
    };
    changed("eks:DeleteAddon", COREDNS);
    Ok(true)
}
