//! What AWS says about the cluster and what it lives in, read once.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{NatGateway, RouteTable, SecurityGroup, Subnet, VpcEndpoint};
use aws_sdk_eks::types::{
    AccessEntry, Addon, AddonStatus, AuthenticationMode, Cluster, ClusterVersionInformation,
    ComputeConfigResponse, FargateProfile, FargateProfileStatus, Insight, VpcConfigResponse,
};
use aws_sdk_iam::types::Role;
use serde_json::Value;

use crate::resources::fargate_profile;

/// A fact, if the caller may read it.
#[derive(Debug, Clone, Default)]
pub enum Known<T> {
    /// What AWS says.
    Read(T),
    /// Nobody knows; [`Facts::unread`] says why.
    #[default]
    Unread,
}

impl<T> Known<T> {
    /// The fact, if it is known.
    #[must_use]
    pub fn read(&self) -> Option<&T> {
        match self {
            Self::Read(fact) => Some(fact),
            Self::Unread => None,
        }
    }
}

/// A read that gave nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The call as IAM names it, for example `iam:GetRole`.
    pub action: &'static str,
    /// What AWS said.
    pub why: String,
}

/// The role with which pods of Fargate profiles start, and what lets it into the cluster.
#[derive(Debug, Clone)]
pub struct PodRole {
    /// As the profiles name it.
    pub arn: String,
    /// The role; none if there is none.
    pub role: Known<Option<Role>>,
    /// ARNs of the attached policies.
    pub attached: Known<Vec<String>>,
    /// Names of the inline policies.
    pub inline: Known<Vec<String>>,
    /// Its access entry; none if there is none. Not looked for in clusters without access entries.
    pub entry: Known<Option<AccessEntry>>,
}

/// A principal with an access entry of the type STANDARD: somebody who uses the cluster.
#[derive(Debug, Clone)]
pub struct User {
    /// As the entry names it.
    pub arn: String,
    /// Its entry.
    pub entry: AccessEntry,
    /// The role; none if there is none. Unread of what is no role of the account.
    pub role: Known<Option<Role>>,
}

/// Everything that the checks look at.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The cluster.
    pub cluster: Cluster,
    /// Its Fargate profiles.
    pub profiles: Known<Vec<FargateProfile>>,
    /// The add-on `coredns`; none if there is none.
    pub coredns: Known<Option<Addon>>,
    /// Names of its managed node groups.
    pub node_groups: Known<Vec<String>>,
    /// What EKS says of its Kubernetes version.
    pub version: Known<Option<ClusterVersionInformation>>,
    /// EKS's upgrade insights that speak against the next version.
    pub blocking_insights: Known<Vec<Insight>>,
    /// Whether the VPC answers DNS queries.
    pub dns_support: Known<bool>,
    /// Whether the VPC gives its addresses names.
    pub dns_hostnames: Known<bool>,
    /// The VPC's subnets.
    pub subnets: Known<Vec<Subnet>>,
    /// The VPC's route tables.
    pub route_tables: Known<Vec<RouteTable>>,
    /// The VPC's NAT gateways.
    pub nat_gateways: Known<Vec<NatGateway>>,
    /// The VPC's endpoints.
    pub vpc_endpoints: Known<Vec<VpcEndpoint>>,
    /// The VPC's security groups.
    pub security_groups: Known<Vec<SecurityGroup>>,
    /// The profiles' roles, each once.
    pub pod_roles: Vec<PodRole>,
    /// Who else has an access entry; empty in clusters without access entries.
    pub users: Vec<User>,
    /// The account's quota of Fargate vCPUs in the region.
    pub fargate_vcpus: Known<f64>,
    /// What could not be read.
    pub unread: Vec<Unread>,
}

impl Facts {
    /// Name of the cluster.
    pub(crate) fn cluster_name(&self) -> &str {
        self.cluster.name().unwrap_or_default()
    }

    /// ARN of the cluster.
    pub(crate) fn cluster_arn(&self) -> &str {
        self.cluster.arn().unwrap_or_default()
    }

    /// The region, which the cluster's ARN names.
    pub(crate) fn region(&self) -> &str {
        self.cluster_arn().split(':').nth(3).unwrap_or_default()
    }

    fn vpc_config(&self) -> Option<&VpcConfigResponse> {
        self.cluster.resources_vpc_config()
    }

    /// Id of the VPC.
    pub(crate) fn vpc_id(&self) -> &str {
        let config = self.vpc_config();
        config
            .and_then(VpcConfigResponse::vpc_id)
            .unwrap_or_default()
    }

    /// Id of the security group that EKS made, which the pods on Fargate have.
    pub(crate) fn cluster_security_group(&self) -> Option<&str> {
        self.vpc_config()?.cluster_security_group_id()
    }

    /// Whether the endpoint is reached within the VPC.
    pub(crate) fn has_private_endpoint(&self) -> bool {
        (self.vpc_config()).is_some_and(VpcConfigResponse::endpoint_private_access)
    }

    /// From where the public endpoint is reached.
    pub(crate) fn public_access_cidrs(&self) -> &[String] {
        let config = self.vpc_config();
        config.map_or(&[], VpcConfigResponse::public_access_cidrs)
    }

    /// How callers are authenticated; clusters that say nothing are old.
    pub(crate) fn authentication_mode(&self) -> AuthenticationMode {
        let config = self.cluster.access_config();
        let mode = config.and_then(|config| config.authentication_mode());
        mode.cloned().unwrap_or(AuthenticationMode::ConfigMap)
    }

    /// The Fargate profiles; none if they are unread.
    pub(crate) fn profiles(&self) -> &[FargateProfile] {
        self.profiles.read().map_or(&[], Vec::as_slice)
    }

    /// The profiles that select CoreDNS' pods.
    pub(crate) fn coredns_profiles(&self) -> impl Iterator<Item = &FargateProfile> {
        let selects = |profile: &&FargateProfile| {
            let mut selectors = profile.selectors().iter().map(fargate_profile::selector);
            profile.status() != Some(&FargateProfileStatus::Deleting)
                && selectors.any(|selector| selector.selects_coredns())
        };
        self.profiles().iter().filter(selects)
    }

    /// The add-on `coredns`, if there is one and it is known.
    pub(crate) fn addon(&self) -> Option<&Addon> {
        self.coredns.read()?.as_ref()
    }

    /// Whether EKS says that CoreDNS runs.
    pub(crate) fn coredns_runs(&self) -> bool {
        let addon = self.addon();
        addon.is_some_and(|addon| addon.status() == Some(&AddonStatus::Active))
    }

    /// The add-on's configuration; null if it has none, or none that is JSON.
    pub(crate) fn coredns_configuration(&self) -> Value {
        let text = self.addon().and_then(Addon::configuration_values);
        let read = text.and_then(|text| serde_json::from_str(text).ok());
        read.unwrap_or_default()
    }

    /// Whether pods may run elsewhere than on Fargate, as far as EKS knows: on managed node groups or
    /// with EKS Auto Mode. Where that is unknown, they may.
    pub(crate) fn may_have_nodes(&self) -> bool {
        let config = self.cluster.compute_config();
        config
            .and_then(ComputeConfigResponse::enabled)
            .unwrap_or_default()
            || self.node_groups.read().is_none_or(|it| !it.is_empty())
    }

    /// Ids of the subnets that pods on Fargate run in, each once.
    pub(crate) fn pod_subnets(&self) -> BTreeSet<&str> {
        let subnets = self.profiles().iter().flat_map(FargateProfile::subnets);
        subnets.map(String::as_str).collect()
    }

    /// Names of the profiles that run pods in one of the subnets, for a sentence.
    pub(crate) fn profiles_in(&self, subnets: &[&str]) -> String {
        let is_in = |profile: &&FargateProfile| {
            let mut own = profile.subnets().iter();
            own.any(|subnet| subnets.contains(&subnet.as_str()))
        };
        let profiles = self.profiles().iter().filter(is_in);
        let names: Vec<&str> = profiles.map(name_of).collect();
        names.join(", ")
    }

    /// The subnet with the id.
    pub(crate) fn subnet(&self, id: &str) -> Option<&Subnet> {
        let mut subnets = self.subnets.read()?.iter();
        subnets.find(|subnet| subnet.subnet_id() == Some(id))
    }

    /// The NAT gateway with the id.
    pub(crate) fn nat_gateway(&self, id: &str) -> Option<&NatGateway> {
        let mut gateways = self.nat_gateways.read()?.iter();
        gateways.find(|gateway| gateway.nat_gateway_id() == Some(id))
    }
}

/// Name of a profile.
pub(crate) fn name_of(profile: &FargateProfile) -> &str {
    profile.fargate_profile_name().unwrap_or_default()
}
