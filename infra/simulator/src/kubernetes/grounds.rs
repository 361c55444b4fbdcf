//! What a pod needs around it to run on Fargate.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::pod::{Place, PodState};
use crate::eks::cluster::VpcConfig;
use crate::eks::{AccessEntry, FargateProfile, Surroundings, can_start_pods};
use crate::seed::Seed;

/// What of its cluster a deployment depends on.
#[derive(Debug, Clone, Copy)]
pub struct Grounds<'a> {
    /// The cluster's name.
    pub cluster: &'a str,
    /// What tells it from another cluster of that name.
    pub digits: &'a str,
    /// Its Fargate profiles by name.
    pub profiles: &'a BTreeMap<String, FargateProfile>,
    /// Its access entries by the ARN of their principal.
    pub entries: &'a BTreeMap<String, AccessEntry>,
    /// How callers are authenticated.
    pub authentication_mode: &'a str,
    /// From where its endpoint is reached.
    pub vpc: &'a VpcConfig,
    /// The Kubernetes version of its control plane, for example `1.36`.
    pub version: &'a str,
}

/// Public eksctl logs: CoreDNS on Fargate was ready after 63 to 127 seconds.
const START_SECONDS: std::ops::Range<f64> = 60.0..127.0;
/// The kubelet tries again to pull an image that could not be pulled.
const RETRY_SECONDS: std::ops::Range<f64> = 10.0..40.0;

impl Grounds<'_> {
    /// How long a pod takes from its birth until it runs.
    pub(super) fn start(&self, seed: Seed, number: u32) -> SignedDuration {
        seed.duration(
            "pod-start",
            &format!("{}/{number}", self.cluster),
            START_SECONDS,
        )
    }

    /// How long it takes until an image that could not be pulled is tried again.
    pub(super) fn retry(&self, seed: Seed, number: u32) -> SignedDuration {
        seed.duration(
            "pod-retry",
            &format!("{}/{number}", self.cluster),
            RETRY_SECONDS,
        )
    }

    /// Gives a pod an address. Fargate spreads pods over the subnets of the profile (EKS user guide,
    /// Fargate profiles).
    pub(super) fn place(
        &self,
        pod: &PodState,
        profile: &FargateProfile,
        around: &mut Surroundings<'_>,
    ) -> Option<Place> {
        let mut subnets = profile.subnets.clone();
        let turns = pod.number as usize % subnets.len().max(1);
        subnets.rotate_left(turns);
        let (subnet_id, interface_id) =
            around.make_pod_interface(&pod.name, &subnets, &self.vpc.cluster_security_group_id)?;
        let ip = around.address_of(&interface_id)?;
        Some(Place {
            subnet_id,
            interface_id,
            ip,
        })
    }

    /// Whether a pod in the subnet gets its image and joins the cluster at `at`.
    pub(super) fn let_run(
        &self,
        subnet_id: &str,
        profile: &FargateProfile,
        around: &Surroundings<'_>,
        at: Timestamp,
    ) -> bool {
        let (has_dns_support, _) = around.ec2.dns(&self.vpc.vpc_id);
        has_dns_support
            && around.has_way_out(subnet_id, &self.vpc.cluster_security_group_id, at)
            && around.group_serves_pods(&self.vpc.cluster_security_group_id)
            && self.endpoint_is_reached_from(subnet_id, around)
            && can_start_pods(
                around.iam,
                &profile.role_arn,
                &profile.arn,
                around.account,
                at,
            )
            && self.let_join(&profile.role_arn, around)
    }

    /// Whether the role's nodes may join: by their access entry; without entries by the config map, which
    /// does not know paths (EKS user guide, pod execution role).
    fn let_join(&self, role_arn: &str, around: &Surroundings<'_>) -> bool {
        if self.authentication_mode == "CONFIG_MAP" {
            let role = around.iam.role_by_arn(role_arn);
            return role.is_some_and(|role| role.path == "/");
        }
        let entry = self.entries.get(role_arn);
        entry.is_some_and(|entry| entry.lets_nodes_join(around))
    }

    /// Whether the endpoint answers what is in the subnet: privately, or publicly to the address of the
    /// subnet's NAT gateway (botocore's EKS model, endpointPrivateAccess and publicAccessCidrs).
    fn endpoint_is_reached_from(&self, subnet_id: &str, around: &Surroundings<'_>) -> bool {
        if self.vpc.endpoint_private_access {
            return true;
        }
        let Some(address) = around.public_address_of(subnet_id) else {
            return false;
        };
        let blocks = self.vpc.public_access_cidrs.iter();
        let mut blocks = blocks.filter_map(|block| block.parse::<ipnet::Ipv4Net>().ok());
        blocks.any(|block| block.contains(&address))
    }
}
