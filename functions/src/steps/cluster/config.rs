//! The plan's settings of the control plane in EKS's words, and where a cluster has drifted from them.

use std::collections::BTreeSet;
use std::fmt;

use aws_sdk_eks::operation::update_cluster_config::builders::UpdateClusterConfigFluentBuilder;
use aws_sdk_eks::types::{
    AuthenticationMode, Cluster, CreateAccessConfigRequest, EncryptionConfig,
    KubernetesNetworkConfigRequest, LogSetup, LogType as EksLogType, Logging, Provider,
    SupportType as EksSupportType, UpgradePolicyRequest, VpcConfigRequest, VpcConfigResponse,
};

use crate::contract::Error;
use crate::model::Plan;
use crate::model::spec::{LogType, SupportType};

/// Endpoint access, and the subnets, which only CreateCluster needs.
pub fn vpc(plan: &Plan, subnet_ids: Vec<String>) -> VpcConfigRequest {
    let subnet_ids = (!subnet_ids.is_empty()).then_some(subnet_ids);
    let cidrs = &plan.endpoint.public_cidrs;
    VpcConfigRequest::builder()
        .set_subnet_ids(subnet_ids)
        .endpoint_public_access(plan.endpoint.public)
        .endpoint_private_access(plan.endpoint.private)
        .set_public_access_cidrs((!cidrs.is_empty()).then(|| cidrs.clone()))
        .build()
}

/// The CIDR block of Kubernetes services.
pub fn network(plan: &Plan) -> KubernetesNetworkConfigRequest {
    KubernetesNetworkConfigRequest::builder()
        .service_ipv4_cidr(plan.network.service_cidr.to_string())
        .build()
}

/// Access through access entries only. The defaults of the API are the opposite: the aws-auth
/// ConfigMap, with the creator as administrator.
pub fn access() -> CreateAccessConfigRequest {
    CreateAccessConfigRequest::builder()
        .authentication_mode(AuthenticationMode::Api)
        .bootstrap_cluster_creator_admin_permissions(false)
        .build()
}

/// What happens at the end of standard support. The API's default is the one that costs more later.
pub fn upgrade_policy(plan: &Plan) -> UpgradePolicyRequest {
    let support_type = match plan.support_type {
        SupportType::Standard => EksSupportType::Standard,
        SupportType::Extended => EksSupportType::Extended,
    };
    UpgradePolicyRequest::builder()
        .support_type(support_type)
        .build()
}

/// The user's key for the envelope encryption of secrets, if any.
#[allow(
    deprecated,
    reason = "EKS encrypts all Kubernetes data by now and ignores the value, but its shape still has it"
)]
pub fn encryption(plan: &Plan) -> Option<Vec<EncryptionConfig>> {
    let key_arn = plan.kms_key_arn.as_ref()?;
    Some(vec![
        EncryptionConfig::builder()
            .resources("secrets")
            .provider(Provider::builder().key_arn(key_arn).build())
            .build(),
    ])
}

/// The wanted log types of a new cluster, whose logs are off unless they are asked for.
pub fn logging_of_new(wanted: &[LogType]) -> Option<Logging> {
    (!wanted.is_empty()).then(|| logging(wanted))
}

/// The wanted log types on, all others off.
pub fn logging(wanted: &[LogType]) -> Logging {
    let wanted: BTreeSet<_> = wanted.iter().copied().map(eks_log_type).collect();
    let (on, off): (Vec<_>, Vec<_>) = [
        EksLogType::Api,
        EksLogType::Audit,
        EksLogType::Authenticator,
        EksLogType::ControllerManager,
        EksLogType::Scheduler,
    ]
    .into_iter()
    .partition(|log_type| wanted.contains(log_type));
    let setups = [(on, true), (off, false)]
        .into_iter()
        .filter(|(types, _)| !types.is_empty())
        .map(|(types, enabled)| {
            LogSetup::builder()
                .set_types(Some(types))
                .enabled(enabled)
                .build()
        });
    Logging::builder()
        .set_cluster_logging(Some(setups.collect()))
        .build()
}

fn eks_log_type(log_type: LogType) -> EksLogType {
    match log_type {
        LogType::Api => EksLogType::Api,
        LogType::Audit => EksLogType::Audit,
        LogType::Authenticator => EksLogType::Authenticator,
        LogType::ControllerManager => EksLogType::ControllerManager,
        LogType::Scheduler => EksLogType::Scheduler,
    }
}

/// Refuses a cluster whose role or subnets are not the plan's.
pub fn require_unchangeable(
    cluster: &Cluster,
    role_arn: &str,
    subnet_ids: &[String],
) -> Result<(), Error> {
    let name = cluster.name().unwrap_or_default();
    let conflict = |what: &str, has: String, wanted: String| {
        Err(Error::ResourceConflict(format!(
            "cluster {name} has {what} {has} instead of {wanted}; hardway does not move a running \
             control plane"
        )))
    };
    let actual_role = cluster.role_arn().unwrap_or_default();
    if actual_role != role_arn {
        return conflict("the role", actual_role.to_owned(), role_arn.to_owned());
    }
    let actual = cluster.resources_vpc_config();
    let actual = set(actual
        .map(VpcConfigResponse::subnet_ids)
        .unwrap_or_default());
    let wanted = set(subnet_ids);
    if actual != wanted {
        let list = |ids: BTreeSet<&str>| ids.into_iter().collect::<Vec<_>>().join(", ");
        return conflict("the subnets", list(actual), list(wanted));
    }
    Ok(())
}

/// One kind of change; EKS accepts one at a time.
#[derive(Debug)]
pub enum Update {
    /// Who reaches the API, from where.
    EndpointAccess(VpcConfigRequest),
    /// Which logs go to CloudWatch Logs.
    Logging(Logging),
    /// Whether EKS refuses to delete the cluster.
    DeletionProtection(bool),
}

impl Update {
    /// Adds the change to a request.
    pub fn apply(
        &self,
        call: UpdateClusterConfigFluentBuilder,
    ) -> UpdateClusterConfigFluentBuilder {
        match self {
            Self::EndpointAccess(vpc) => call.resources_vpc_config(vpc.clone()),
            Self::Logging(logging) => call.logging(logging.clone()),
            Self::DeletionProtection(on) => call.deletion_protection(*on),
        }
    }
}

impl fmt::Display for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EndpointAccess(_) => f.write_str("endpoint access"),
            Self::Logging(_) => f.write_str("logging"),
            Self::DeletionProtection(on) => write!(f, "deletion protection {on}"),
        }
    }
}

/// What would have to change for the cluster to be as planned.
pub fn drift(plan: &Plan, cluster: &Cluster) -> Vec<Update> {
    let endpoint =
        endpoint_drifted(plan, cluster).then(|| Update::EndpointAccess(vpc(plan, vec![])));
    let logging = (enabled_logs(cluster)
        != plan.logging.iter().copied().map(eks_log_type).collect())
    .then(|| Update::Logging(logging(&plan.logging)));
    let protection = (cluster.deletion_protection().unwrap_or_default()
        != plan.deletion_protection)
        .then_some(Update::DeletionProtection(plan.deletion_protection));
    [endpoint, logging, protection]
        .into_iter()
        .flatten()
        .collect()
}

/// The plan has no CIDR blocks without a public endpoint, while EKS remembers the last ones.
fn endpoint_drifted(plan: &Plan, cluster: &Cluster) -> bool {
    let Some(actual) = cluster.resources_vpc_config() else {
        return false;
    };
    let wanted = &plan.endpoint;
    let cidrs_drifted = !wanted.public_cidrs.is_empty()
        && set(actual.public_access_cidrs()) != set(&wanted.public_cidrs);
    actual.endpoint_public_access() != wanted.public
        || actual.endpoint_private_access() != wanted.private
        || cidrs_drifted
}

fn enabled_logs(cluster: &Cluster) -> BTreeSet<EksLogType> {
    let setups = cluster.logging().map(Logging::cluster_logging);
    let enabled = setups
        .unwrap_or_default()
        .iter()
        .filter(|setup| setup.enabled() == Some(true));
    enabled.flat_map(LogSetup::types).cloned().collect()
}

fn set(texts: &[String]) -> BTreeSet<&str> {
    texts.iter().map(String::as_str).collect()
}
