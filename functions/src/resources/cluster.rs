//! The EKS cluster: its control plane. Its name is unique in account and region; its tag says whether it is ours.
//!
//! What UpdateClusterConfig can change (endpoint access, logging, deletion protection) is put right. Role and
//! subnets are not: moving a running control plane is a person's decision. A support type that differs is left
//! alone, because changing it can upgrade the cluster, and so is a Kubernetes version newer than the plan's.

use std::collections::BTreeSet;
use std::fmt;

use aws_sdk_eks::types::{
    Certificate, Cluster, ClusterHealth, ClusterStatus, LogSetup, LogType as EksLogType, Logging,
    VpcConfigResponse,
};

use crate::aws::{Aws, list};
use crate::contract::error::required;
use crate::contract::{During, Error};
use crate::model::kubernetes_version::is_upgrade;
use crate::model::spec::LogType;
use crate::model::{KubernetesVersion, Plan, Target, tags};
use crate::resources::eks;
use crate::resources::resource_change::{Change, Difference, ResourceChange};

/// CloudFormation's type name.
pub(crate) const KIND: &str = "AWS::EKS::Cluster";

const LIST: &str = "eks:ListClusters";

/// What the cluster stands on.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub role_arn: &'a str,
    /// Its private subnets; none for those that are to be made.
    pub subnet_ids: Vec<Option<&'a str>>,
}

/// Settings that UpdateClusterConfig changes; EKS accepts one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting {
    /// Who reaches the API, from where.
    EndpointAccess,
    /// Which logs go to CloudWatch Logs.
    Logging,
    /// Whether EKS refuses to delete the cluster.
    DeletionProtection(bool),
}

/// What there is beside the plan.
#[derive(Debug)]
pub(crate) struct Compared<'a> {
    plan: &'a Plan,
    /// The one that stays.
    pub kept: Option<&'a Cluster>,
    /// Whether one that is FAILED and never was ACTIVE is deleted first.
    pub is_replaced: bool,
    /// The settings that have drifted from the plan.
    pub drift: Vec<(Setting, Vec<Difference>)>,
    /// The version that it has, if it is to be upgraded.
    pub upgrade_from: Option<&'a str>,
}

/// The cluster with the plan's name, ours or not; none if there is none.
pub(crate) async fn find(aws: &Aws, target: &Target) -> Result<Option<Cluster>, Error> {
    let call = aws.eks().describe_cluster().name(&target.cluster_name);
    match call.send().await {
        Err(error) if eks::is_absent(&error) => Ok(None),
        answer => {
            let cluster = answer.during("eks:DescribeCluster")?.cluster;
            required(cluster, "eks:DescribeCluster: cluster").map(Some)
        }
    }
}

/// The names of all clusters in the account and region.
pub(crate) async fn find_names(aws: &Aws) -> Result<Vec<String>, Error> {
    list!(aws.eks().list_clusters()).await.during(LIST)
}

/// Asks for one cluster, whichever: whether EKS answers in an account that may be new.
pub(crate) async fn probe(aws: &Aws, target: &Target) -> Result<(), Error> {
    let clusters = aws.eks().list_clusters().max_results(1).send().await;
    clusters.during_first(LIST, target).map(drop)
}

/// Says what is to be done.
///
/// # Errors
/// [`Error::ResourceConflict`] if the cluster is not ours or has another role or other subnets,
/// [`Error::InvalidRequest`] if it is more than one version older than the plan's, [`Error::ResourceFailed`] if it is
/// FAILED and was in use: that is a person's to decide about.
pub(crate) fn compare<'a>(
    plan: &'a Plan,
    wanted: &Wanted<'_>,
    cluster: Option<&'a Cluster>,
) -> Result<Compared<'a>, Error> {
    let none = Compared {
        plan,
        kept: None,
        is_replaced: false,
        drift: vec![],
        upgrade_from: None,
    };
    let Some(cluster) = cluster else {
        return Ok(none);
    };
    require_ours(&plan.target, cluster)?;
    match cluster.status() {
        // It is gone when the next one is made.
        Some(ClusterStatus::Deleting) => return Ok(none),
        Some(ClusterStatus::Failed) if failed_to_start(cluster) => {
            return Ok(Compared {
                is_replaced: true,
                ..none
            });
        }
        Some(ClusterStatus::Failed) => return Err(failed(&plan.target, cluster)),
        Some(
            ClusterStatus::Active
            | ClusterStatus::Creating
            | ClusterStatus::Pending
            | ClusterStatus::Updating,
        ) => {}
        other => {
            return Err(Error::Unexpected(format!(
                "control plane {} has the status {other:?}",
                plan.target.cluster_name
            )));
        }
    }
    require_unchangeable(&plan.target, wanted, cluster)?;
    let upgrade_from = upgrade_from(plan, cluster);
    if let Some(current) = upgrade_from {
        is_upgrade(current, &plan.kubernetes_version)?;
    }
    Ok(Compared {
        kept: Some(cluster),
        drift: drift(plan, cluster),
        upgrade_from,
        ..none
    })
}

/// Refuses a cluster that is not ours.
pub(crate) fn require_ours(target: &Target, cluster: &Cluster) -> Result<(), Error> {
    if tags::map_is_ours(cluster.tags(), target) {
        return Ok(());
    }
    let what = format!("EKS cluster {}", target.cluster_name);
    Err(tags::not_ours(&what, target))
}

/// Whether a cluster is FAILED and never was ACTIVE, so that nothing can live in it.
///
/// EKS describes endpoint, certificate authority and issuer of a control plane once it is ACTIVE
/// (captured answers of CREATING clusters have none of them), and refuses profiles, add-ons and node
/// groups before. A cluster that is FAILED and has them was in use.
pub(crate) fn failed_to_start(cluster: &Cluster) -> bool {
    let authority = cluster.certificate_authority().and_then(Certificate::data);
    cluster.status() == Some(&ClusterStatus::Failed)
        && cluster.endpoint().is_none()
        && authority.is_none()
        && cluster.identity().is_none()
}

/// Whether it goes before the next one is made.
pub(crate) fn is_deleting(cluster: &Cluster) -> bool {
    cluster.status() == Some(&ClusterStatus::Deleting)
}

/// Whether it is the one that the execution ends with.
pub(crate) fn stays(cluster: &Cluster) -> bool {
    !failed_to_start(cluster) && !is_deleting(cluster)
}

/// The error of a control plane that is FAILED.
pub(crate) fn failed(target: &Target, cluster: &Cluster) -> Error {
    Error::ResourceFailed(format!(
        "control plane {} is {}",
        target.cluster_name,
        status_line(cluster)
    ))
}

/// Its status and its health issues; a new account's issues show while the cluster is still CREATING.
pub(crate) fn status_line(cluster: &Cluster) -> String {
    let status = cluster.status().map_or("unknown", ClusterStatus::as_str);
    let issues = cluster.health().map(ClusterHealth::issues);
    eks::status_line(status, issues.unwrap_or_default())
}

/// Refuses a cluster whose role or subnets are not the plan's.
fn require_unchangeable(
    target: &Target,
    wanted: &Wanted<'_>,
    cluster: &Cluster,
) -> Result<(), Error> {
    let conflict = |what: &str, has: &str, wanted: &str| {
        Err(Error::ResourceConflict(format!(
            "cluster {} has {what} {has} instead of {wanted}; hardway does not move a running \
             control plane",
            target.cluster_name
        )))
    };
    let role_arn = cluster.role_arn().unwrap_or_default();
    if role_arn != wanted.role_arn {
        return conflict("the role", role_arn, wanted.role_arn);
    }
    let subnets = cluster.resources_vpc_config();
    let subnets = subnets.map(VpcConfigResponse::subnet_ids);
    let subnets = sorted(subnets.unwrap_or_default());
    let new = wanted
        .subnet_ids
        .iter()
        .map(|id| id.unwrap_or("a new subnet"));
    let wanted = joined(new.collect());
    if subnets != wanted {
        return conflict("the subnets", &subnets, &wanted);
    }
    Ok(())
}

/// The version that the cluster has, where the execution brings it to a newer one. A cluster that is newer than
/// the plan stays so: EKS has upgraded it, or a person.
pub(crate) fn upgrade_from<'a>(plan: &Plan, cluster: &'a Cluster) -> Option<&'a str> {
    let current = cluster.version()?;
    let is_older =
        KubernetesVersion::parse(current)? < KubernetesVersion::parse(&plan.kubernetes_version)?;
    is_older.then_some(current)
}

fn drift(plan: &Plan, cluster: &Cluster) -> Vec<(Setting, Vec<Difference>)> {
    let wanted = plan.logging.iter().copied().map(eks_log_type).collect();
    let logs = Difference::between("Logging", logs(&enabled_logs(cluster)), logs(&wanted));
    let is_protected = cluster.deletion_protection().unwrap_or_default();
    let protection = Difference::between(
        "DeletionProtection",
        is_protected.to_string(),
        plan.deletion_protection.to_string(),
    );
    let protected = Setting::DeletionProtection(plan.deletion_protection);
    let mut drift = vec![
        (Setting::EndpointAccess, endpoint_drift(plan, cluster)),
        (Setting::Logging, Vec::from_iter(logs)),
        (protected, Vec::from_iter(protection)),
    ];
    drift.retain(|(_, differences)| !differences.is_empty());
    drift
}

/// The plan has no CIDR blocks without a public endpoint, while EKS remembers the last ones.
fn endpoint_drift(plan: &Plan, cluster: &Cluster) -> Vec<Difference> {
    let Some(actual) = cluster.resources_vpc_config() else {
        return vec![];
    };
    let wanted = &plan.endpoint;
    let cidrs = sorted(actual.public_access_cidrs());
    let wanted_cidrs = match wanted.public_cidrs.as_slice() {
        [] => cidrs.clone(),
        asked => sorted(asked),
    };
    let is_public = actual.endpoint_public_access().to_string();
    let is_private = actual.endpoint_private_access().to_string();
    let differences = [
        Difference::between("EndpointPublicAccess", is_public, wanted.public.to_string()),
        Difference::between(
            "EndpointPrivateAccess",
            is_private,
            wanted.private.to_string(),
        ),
        Difference::between("PublicAccessCidrs", cidrs, wanted_cidrs),
    ];
    differences.into_iter().flatten().collect()
}

fn enabled_logs(cluster: &Cluster) -> BTreeSet<EksLogType> {
    let setups = cluster.logging().map(Logging::cluster_logging);
    let setups = setups.unwrap_or_default().iter();
    let enabled = setups.filter(|setup| setup.enabled() == Some(true));
    enabled.flat_map(LogSetup::types).cloned().collect()
}

pub(crate) fn eks_log_type(log_type: LogType) -> EksLogType {
    match log_type {
        LogType::Api => EksLogType::Api,
        LogType::Audit => EksLogType::Audit,
        LogType::Authenticator => EksLogType::Authenticator,
        LogType::ControllerManager => EksLogType::ControllerManager,
        LogType::Scheduler => EksLogType::Scheduler,
    }
}

fn logs(types: &BTreeSet<EksLogType>) -> String {
    joined(types.iter().map(EksLogType::as_str).collect())
}

fn sorted(texts: &[String]) -> String {
    joined(texts.iter().map(String::as_str).collect())
}

fn joined(texts: BTreeSet<&str>) -> String {
    if texts.is_empty() {
        return "(none)".to_owned();
    }
    Vec::from_iter(texts).join(", ")
}

/// As reasons name it, and as an execution remembers it.
impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EndpointAccess => f.write_str("endpoint access"),
            Self::Logging => f.write_str("logging"),
            Self::DeletionProtection(on) => write!(f, "deletion protection {on}"),
        }
    }
}

impl Compared<'_> {
    /// The same for a person.
    pub fn change(&self) -> ResourceChange {
        let name = &self.plan.target.cluster_name;
        if self.is_replaced {
            return ResourceChange::new(KIND, name, Change::Replace);
        }
        if self.kept.is_none() {
            return ResourceChange::new(KIND, name, Change::Create);
        }
        let drift = self.drift.iter().flat_map(|(_, it)| it.clone());
        let version = self.upgrade_from.and_then(|current| {
            Difference::between("Version", current, self.plan.kubernetes_version.as_str())
        });
        ResourceChange::of(KIND, name, drift.chain(version).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_eks::types::builders::ClusterBuilder;

    const ROLE_ARN: &str = "arn:aws:iam::111122223333:role/hardway-demo-ap-northeast-1-cluster";

    /// The cluster of [`Plan::example`], ours.
    fn cluster(status: ClusterStatus) -> ClusterBuilder {
        let vpc = VpcConfigResponse::builder()
            .subnet_ids("subnet-1")
            .subnet_ids("subnet-2")
            .endpoint_public_access(true)
            .endpoint_private_access(true)
            .public_access_cidrs("0.0.0.0/0");
        Cluster::builder()
            .role_arn(ROLE_ARN)
            .status(status)
            .endpoint("https://example.eks.amazonaws.com")
            .version("1.36")
            .tags(tags::CLUSTER, "demo")
            .resources_vpc_config(vpc.build())
    }

    fn compared(cluster: ClusterBuilder, plan: &Plan) -> Result<ResourceChange, Error> {
        on_subnets(cluster, plan, vec![Some("subnet-2"), Some("subnet-1")])
    }

    fn on_subnets(
        cluster: ClusterBuilder,
        plan: &Plan,
        subnet_ids: Vec<Option<&str>>,
    ) -> Result<ResourceChange, Error> {
        let wanted = Wanted {
            role_arn: ROLE_ARN,
            subnet_ids,
        };
        compare(plan, &wanted, Some(&cluster.build())).map(|it| it.change())
    }

    fn change_of(status: ClusterStatus) -> Change {
        compared(cluster(status), &Plan::example()).unwrap().change
    }

    fn error_of(cluster: ClusterBuilder) -> Error {
        compared(cluster, &Plan::example()).unwrap_err()
    }

    #[test]
    fn cluster_as_planned_is_kept_while_it_changes_too() {
        for status in [
            ClusterStatus::Active,
            ClusterStatus::Creating,
            ClusterStatus::Pending,
            ClusterStatus::Updating,
        ] {
            assert_eq!(change_of(status), Change::Keep);
        }
    }

    #[test]
    fn cluster_is_made_after_one_that_is_being_deleted() {
        assert_eq!(change_of(ClusterStatus::Deleting), Change::Create);
    }

    #[test]
    fn failed_cluster_is_replaced_only_if_it_never_was_active() {
        let failed = || cluster(ClusterStatus::Failed);
        let never_active = compared(failed().set_endpoint(None), &Plan::example());
        assert_eq!(never_active.unwrap().change, Change::Replace);
        let error = error_of(failed());
        assert_eq!(error.name(), "ResourceFailed");
        assert!(error.to_string().contains("control plane demo is FAILED"));
    }

    #[test]
    fn each_setting_that_differs_is_named_with_both_values() {
        let mut plan = Plan::example();
        plan.endpoint.private = false;
        plan.endpoint.public_cidrs = vec!["203.0.113.0/24".to_owned()];
        plan.logging = vec![LogType::ControllerManager, LogType::Audit];
        plan.deletion_protection = true;
        let older = cluster(ClusterStatus::Active).version("1.35");
        let change = compared(older, &plan).unwrap();
        let expected = [
            ("EndpointPrivateAccess", "true", "false"),
            ("PublicAccessCidrs", "0.0.0.0/0", "203.0.113.0/24"),
            ("Logging", "(none)", "audit, controllerManager"),
            ("DeletionProtection", "false", "true"),
            ("Version", "1.35", "1.36"),
        ];
        let expected = expected.map(|(it, is, should_be)| Difference::new(it, is, should_be));
        assert_eq!(change.differences, expected);
    }

    #[test]
    fn newer_version_stays() {
        let newer = cluster(ClusterStatus::Active).version("1.37");
        let change = compared(newer, &Plan::example()).unwrap();
        assert_eq!(change.change, Change::Keep);
    }

    #[test]
    fn upgrade_over_two_versions_is_refused() {
        let error = error_of(cluster(ClusterStatus::Active).version("1.34"));
        assert_eq!(error.name(), "InvalidRequest");
    }

    #[test]
    fn cluster_of_another_role_is_refused() {
        let error = error_of(cluster(ClusterStatus::Active).role_arn("arn:other"));
        assert_eq!(error.name(), "ResourceConflict");
        assert!(error.to_string().contains("has the role arn:other"));
    }

    #[test]
    fn cluster_one_of_whose_subnets_is_to_be_made_is_refused() {
        let active = cluster(ClusterStatus::Active);
        let subnet_ids = vec![Some("subnet-1"), None];
        let error = on_subnets(active, &Plan::example(), subnet_ids).unwrap_err();
        assert_eq!(error.name(), "ResourceConflict");
        let said = "has the subnets subnet-1, subnet-2 instead of a new subnet, subnet-1;";
        assert!(error.to_string().contains(said), "{error}");
    }

    #[test]
    fn cluster_of_somebody_else_is_refused() {
        let error = error_of(cluster(ClusterStatus::Active).tags(tags::CLUSTER, "other"));
        assert_eq!(error.name(), "ResourceConflict");
    }
}
