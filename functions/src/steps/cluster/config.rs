//! The plan's settings of the control plane in EKS's words.

use std::collections::BTreeSet;

use aws_sdk_eks::operation::update_cluster_config::builders::UpdateClusterConfigFluentBuilder;
use aws_sdk_eks::types::{
    AuthenticationMode, CreateAccessConfigRequest, EncryptionConfig,
    KubernetesNetworkConfigRequest, LogSetup, LogType as EksLogType, Logging, Provider,
    SupportType as EksSupportType, UpgradePolicyRequest, VpcConfigRequest,
};

use crate::model::Plan;
use crate::model::spec::{LogType, SupportType};
use crate::resources::cluster::{Setting, eks_log_type};

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

/// Adds a setting of the plan's to a request.
pub fn update(
    plan: &Plan,
    setting: Setting,
    call: UpdateClusterConfigFluentBuilder,
) -> UpdateClusterConfigFluentBuilder {
    match setting {
        Setting::EndpointAccess => call.resources_vpc_config(vpc(plan, vec![])),
        Setting::Logging => call.logging(logging(&plan.logging)),
        Setting::DeletionProtection(on) => call.deletion_protection(on),
    }
}
