//! The control plane and who may use it.

use std::collections::BTreeSet;

use aws_sdk_eks::types::{AccessScopeType, Cluster, LogSetup, Logging};

use super::{Change, ResourceChange};
use crate::aws::{Aws, list};
use crate::contract::{During, Error};
use crate::model::spec::LogType;
use crate::model::{KubernetesVersion, Plan, Target, tags};
use crate::resources::access_entries::{self, FARGATE_LINUX};
use crate::resources::eks;

/// CloudFormation's words.
pub(super) const KIND: &str = "AWS::EKS::Cluster";
const ACCESS_ENTRY: &str = "AWS::EKS::AccessEntry";

/// The control plane and its administrators.
pub(super) async fn control_plane(
    aws: &Aws,
    plan: &Plan,
    cluster: Option<&Cluster>,
) -> Result<Vec<ResourceChange>, Error> {
    let target = &plan.target;
    if cluster.is_some_and(|cluster| !tags::map_is_ours(cluster.tags(), target)) {
        let what = format!("EKS cluster {}", target.cluster_name);
        return Err(tags::not_ours(&what, target));
    }
    let is_right = cluster.map(|cluster| is_as_planned(plan, cluster));
    let change = match cluster {
        Some(cluster) if eks::failed_to_start(cluster) => Change::Replace,
        _ => Change::to_right(is_right),
    };
    let mut resources = vec![ResourceChange::new(KIND, &target.cluster_name, change)];
    let there = match cluster {
        Some(cluster) if !eks::failed_to_start(cluster) => principals(aws, target).await?,
        _ => vec![],
    };
    for admin in &plan.admins {
        let change = if there.contains(admin) {
            of_entry(aws, target, admin).await?
        } else {
            Change::Create
        };
        resources.push(ResourceChange::new(ACCESS_ENTRY, admin, change));
    }
    let others = there.iter().filter(|it| !plan.admins.contains(it));
    for principal in others {
        if is_surplus(aws, target, principal).await? {
            resources.push(ResourceChange::new(ACCESS_ENTRY, principal, Change::Remove));
        }
    }
    Ok(resources)
}

/// The version that the cluster has, where the execution brings it to a newer one.
pub(super) fn upgrade_from<'a>(plan: &Plan, cluster: &'a Cluster) -> Option<&'a str> {
    let current = cluster.version()?;
    let versions =
        KubernetesVersion::parse(current).zip(KubernetesVersion::parse(&plan.kubernetes_version));
    versions
        .is_some_and(|(current, planned)| current < planned)
        .then_some(current)
}

/// The version that the cluster has and keeps, where the input asks for an older one.
pub(super) fn newer_than_asked<'a>(plan: &Plan, cluster: &'a Cluster) -> Option<&'a str> {
    let current = cluster.version()?;
    let versions =
        KubernetesVersion::parse(current).zip(KubernetesVersion::parse(&plan.kubernetes_version));
    versions
        .is_some_and(|(current, asked)| asked < current)
        .then_some(current)
}

/// Whether there is nothing that the step `cluster` puts right: version, endpoint, logs, deletion
/// protection.
fn is_as_planned(plan: &Plan, cluster: &Cluster) -> bool {
    let wanted = &plan.endpoint;
    let has_endpoint = cluster.resources_vpc_config().is_none_or(|actual| {
        let cidrs: BTreeSet<&String> = actual.public_access_cidrs().iter().collect();
        actual.endpoint_public_access() == wanted.public
            && actual.endpoint_private_access() == wanted.private
            && (wanted.public_cidrs.is_empty() || cidrs == wanted.public_cidrs.iter().collect())
    });
    let setups = cluster.logging().map(Logging::cluster_logging);
    let enabled = setups.unwrap_or_default().iter();
    let enabled = enabled.filter(|setup| setup.enabled() == Some(true));
    let logs: BTreeSet<&str> = enabled
        .flat_map(LogSetup::types)
        .map(aws_sdk_eks::types::LogType::as_str)
        .collect();
    let protection = cluster.deletion_protection().unwrap_or_default();
    upgrade_from(plan, cluster).is_none()
        && has_endpoint
        && logs == plan.logging.iter().copied().map(log_type).collect()
        && protection == plan.deletion_protection
}

/// botocore's EKS model, LogType.
fn log_type(log_type: LogType) -> &'static str {
    match log_type {
        LogType::Api => "api",
        LogType::Audit => "audit",
        LogType::Authenticator => "authenticator",
        LogType::ControllerManager => "controllerManager",
        LogType::Scheduler => "scheduler",
    }
}

async fn principals(aws: &Aws, target: &Target) -> Result<Vec<String>, Error> {
    let call = aws.eks().list_access_entries();
    let call = call.cluster_name(&target.cluster_name);
    list!(call).await.during("eks:ListAccessEntries")
}

/// Whether an entry is ours and of a person, not of pods.
async fn is_surplus(aws: &Aws, target: &Target, principal: &str) -> Result<bool, Error> {
    let entry = access_entries::find(aws, target, principal).await?;
    let entry = entry.filter(|entry| entry.r#type() != Some(FARGATE_LINUX));
    Ok(entry.is_some_and(|entry| tags::map_is_ours(entry.tags(), target)))
}

async fn of_entry(aws: &Aws, target: &Target, principal: &str) -> Result<Change, Error> {
    let call = aws.eks().list_associated_access_policies();
    let call = call.cluster_name(&target.cluster_name);
    let call = call.principal_arn(principal);
    let policies = list!(call)
        .await
        .during("eks:ListAssociatedAccessPolicies")?;
    let is_admin = policies.iter().any(|policy| {
        let scope = policy.access_scope().and_then(|scope| scope.r#type());
        let arn = policy.policy_arn().unwrap_or_default();
        arn.ends_with("/AmazonEKSClusterAdminPolicy") && scope == Some(&AccessScopeType::Cluster)
    });
    let entry = access_entries::find(aws, target, principal).await?;
    let Some(entry) = entry.filter(|entry| tags::map_is_ours(entry.tags(), target)) else {
        return Ok(if is_admin {
            Change::Adopt
        } else {
            Change::Change
        });
    };
    let is_outlived = access_entries::is_outlived(aws, target, principal, &entry).await?;
    Ok(match (is_outlived, is_admin) {
        (true, _) => Change::Replace,
        (false, false) => Change::Change,
        (false, true) => Change::Keep,
    })
}
