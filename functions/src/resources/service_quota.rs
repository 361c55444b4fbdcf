//! Service quotas that a cluster needs something of.

use crate::aws::Aws;
use crate::contract::error::required;
use crate::contract::{During, Error};

/// The action that reads them.
pub(crate) const GET: &str = "servicequotas:GetServiceQuota";

/// A quota of AWS's: in which service, its code, its name, its default.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Quota {
    pub service: &'static str,
    pub code: &'static str,
    pub name: &'static str,
    /// None where it differs between accounts.
    pub default: Option<f64>,
}

/// Codes and defaults: for EKS the user guide, Amazon EKS service quotas; for the others the tables that
/// users made with ListServiceQuotas (cortexlabs/cortex, openshift/osd-cluster-ready and others agree),
/// and the VPC user guide, Amazon VPC quotas.
pub(crate) const VPCS: Quota = quota("vpc", "L-F678F1CE", "VPCs per Region", Some(5.0));
pub(crate) const INTERNET_GATEWAYS: Quota = quota(
    "vpc",
    "L-A4707A72",
    "Internet gateways per Region",
    Some(5.0),
);
pub(crate) const NAT_GATEWAYS: Quota = quota(
    "vpc",
    "L-FE5A380F",
    "NAT gateways per Availability Zone",
    Some(5.0),
);
pub(crate) const ADDRESSES: Quota = quota("ec2", "L-0263D0A3", "EC2-VPC Elastic IPs", Some(5.0));
pub(crate) const CLUSTERS: Quota = quota("eks", "L-1194D53C", "Clusters", Some(100.0));
pub(crate) const FARGATE_PROFILES: Quota = quota(
    "eks",
    "L-33415657",
    "Fargate profiles per cluster",
    Some(10.0),
);
/// New accounts have less than others (EKS user guide, service quotas).
pub(crate) const FARGATE_VCPUS: Quota = quota(
    "fargate",
    "L-3032A538",
    "Fargate On-Demand vCPU resource count",
    None,
);

const fn quota(
    service: &'static str,
    code: &'static str,
    name: &'static str,
    default: Option<f64>,
) -> Quota {
    Quota {
        service,
        code,
        name,
        default,
    }
}

/// The value of a quota in the account.
pub(crate) async fn find(aws: &Aws, quota: Quota) -> Result<f64, Error> {
    let call = aws.quotas().get_service_quota();
    let call = call.service_code(quota.service).quota_code(quota.code);
    let found = call.send().await.during(GET)?.quota;
    required(
        found.and_then(|it| it.value),
        "servicequotas:GetServiceQuota: value",
    )
}
