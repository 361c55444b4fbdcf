//! The quotas that there are, and where their values come from.

use serde_json::{Value, json};

use crate::state::Context;
use crate::{ec2, eks};

/// The values that the account has in the region; the defaults for an account that asked for no more.
#[derive(Debug, Clone, Default)]
pub(super) struct Values {
    ec2: ec2::Quotas,
    eks: eks::Quotas,
}

impl Values {
    pub(super) fn of(context: &mut Context<'_>) -> Self {
        Self {
            ec2: context.ec2().quotas.clone(),
            eks: context.eks().quotas.clone(),
        }
    }
}

/// A quota.
#[derive(Debug)]
pub(super) struct Quota {
    /// For example `vpc`.
    pub service: &'static str,
    /// For example `L-F678F1CE`.
    pub code: &'static str,
    name: &'static str,
    is_adjustable: bool,
    /// Its value among all.
    pub value: fn(&Values) -> f64,
}

/// Codes, names and whether they can be raised: for EKS the user guide, Amazon EKS service quotas; for
/// the others tables that users made with ListServiceQuotas, which agree with each other.
pub(super) const QUOTAS: &[Quota] = &[
    Quota {
        service: "vpc",
        code: "L-F678F1CE",
        name: "VPCs per Region",
        is_adjustable: true,
        value: |values| count(values.ec2.vpcs),
    },
    Quota {
        service: "vpc",
        code: "L-A4707A72",
        name: "Internet gateways per Region",
        is_adjustable: true,
        value: |values| count(values.ec2.internet_gateways),
    },
    Quota {
        service: "vpc",
        code: "L-FE5A380F",
        name: "NAT gateways per Availability Zone",
        is_adjustable: true,
        value: |values| count(values.ec2.nat_gateways_per_zone),
    },
    Quota {
        service: "vpc",
        code: "L-407747CB",
        name: "Subnets per VPC",
        is_adjustable: true,
        value: |values| count(values.ec2.subnets_per_vpc),
    },
    Quota {
        service: "ec2",
        code: "L-0263D0A3",
        name: "EC2-VPC Elastic IPs",
        is_adjustable: true,
        value: |values| count(values.ec2.addresses),
    },
    Quota {
        service: "eks",
        code: "L-1194D53C",
        name: "Clusters",
        is_adjustable: true,
        value: |values| count(values.eks.clusters),
    },
    Quota {
        service: "eks",
        code: "L-33415657",
        name: "Fargate profiles per cluster",
        is_adjustable: true,
        value: |values| count(values.eks.fargate_profiles_per_cluster),
    },
    Quota {
        service: "eks",
        code: "L-23414FF3",
        name: "Label pairs per Fargate profile selector",
        is_adjustable: true,
        value: |_| count(eks::LABELS_MAX),
    },
    Quota {
        service: "fargate",
        code: "L-3032A538",
        name: "Fargate On-Demand vCPU resource count",
        is_adjustable: true,
        value: |values| count(values.eks.fargate_vcpus),
    },
];

#[allow(
    clippy::cast_precision_loss,
    reason = "no quota is so large that it matters"
)]
fn count(number: usize) -> f64 {
    number as f64
}

impl Quota {
    /// botocore's Service Quotas model, ServiceQuota.
    pub(super) fn to_json(&self, context: &Context<'_>, value: f64) -> Value {
        let Self { service, code, .. } = self;
        json!({
            "ServiceCode": service,
            "ServiceName": service_name(service),
            "QuotaArn": format!(
                "arn:{}:servicequotas:{}:{}:{service}/{code}",
                context.partition(), context.region, context.account
            ),
            "QuotaCode": code,
            "QuotaName": self.name,
            "Value": value,
            "Unit": "None",
            "Adjustable": self.is_adjustable,
            "GlobalQuota": false,
            "QuotaAppliedAtLevel": "ACCOUNT",
        })
    }
}

fn service_name(service: &str) -> &'static str {
    match service {
        "vpc" => "Amazon Virtual Private Cloud (Amazon VPC)",
        "ec2" => "Amazon Elastic Compute Cloud (Amazon EC2)",
        "eks" => "Amazon Elastic Kubernetes Service (Amazon EKS)",
        _ => "AWS Fargate",
    }
}
