//! The plan: the spec with every default filled in and every choice made, once.
//!
//! It travels through the state machine as `$.plan`. Steps carry it out and decide nothing.

use std::collections::BTreeMap;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::contract::Error;
use crate::model::spec::{FargateProfile, LogType, NatGateways, OnFailure, SupportType};
use crate::model::{Account, RoleNames, Target};

/// Everything that the steps need to know, decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Which cluster, where.
    #[serde(flatten)]
    pub target: Target,
    /// Kubernetes version, for example `1.36`.
    pub kubernetes_version: String,
    /// The VPC and its subnets.
    pub network: Network,
    /// Who reaches the Kubernetes API, from where.
    pub endpoint: Endpoint,
    /// Which pods run on Fargate; one of them selects `kube-system`.
    pub fargate_profiles: Vec<FargateProfile>,
    /// ARNs of the principals that become cluster administrators.
    pub admins: Vec<String>,
    /// Control-plane logs that go to CloudWatch Logs.
    pub logging: Vec<LogType>,
    /// KMS key for the envelope encryption of secrets; AWS's own key if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key_arn: Option<String>,
    /// What happens at the end of the version's standard support.
    pub support_type: SupportType,
    /// Whether EKS refuses to delete the cluster.
    pub deletion_protection: bool,
    /// Permissions boundary of both IAM roles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions_boundary_arn: Option<String>,
    /// What to do with a half-made cluster when a step fails for good.
    pub on_failure: OnFailure,
    /// Whether the account was new when the execution started ([`crate::contract::Error::in_new_account`]).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_new_account: bool,
    /// The user's tags.
    pub tags: BTreeMap<String, String>,
}

/// The VPC and its subnets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    /// IPv4 CIDR block of the VPC.
    pub cidr: Ipv4Net,
    /// IPv4 CIDR block of Kubernetes services; does not overlap the VPC's.
    pub service_cidr: Ipv4Net,
    /// One NAT gateway for each zone, or a single one in the first zone.
    pub nat_gateways: NatGateways,
    /// The Availability Zones, in the order of their CIDR blocks: that of their ids, but for zones that
    /// came later.
    pub zones: Vec<Zone>,
}

/// An Availability Zone and the subnets in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Zone {
    /// Zone id, for example `apne1-az1`: the same place in every account.
    pub id: String,
    /// Zone name, for example `ap-northeast-1a`: differs between accounts.
    pub name: String,
    /// IPv4 CIDR block of the public subnet.
    pub public_cidr: Ipv4Net,
    /// IPv4 CIDR block of the private subnet.
    pub private_cidr: Ipv4Net,
}

/// Who reaches the Kubernetes API, from where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Whether the API has a public endpoint.
    pub public: bool,
    /// CIDR blocks that may use the public endpoint; empty when there is none.
    pub public_cidrs: Vec<String>,
    /// Whether the API has an endpoint inside the VPC.
    pub private: bool,
}

impl Network {
    /// The zones that get a NAT gateway: all, or only the first.
    #[must_use]
    pub fn nat_zones(&self) -> &[Zone] {
        match self.nat_gateways {
            NatGateways::OnePerAz => &self.zones,
            NatGateways::Single => self.zones.get(..1).unwrap_or_default(),
        }
    }

    /// The zone whose NAT gateway `zone` uses: its own, or the first one's.
    #[must_use]
    pub fn nat_zone_of<'a>(&'a self, zone: &'a Zone) -> &'a Zone {
        match self.nat_gateways {
            NatGateways::OnePerAz => zone,
            NatGateways::Single => self.zones.first().unwrap_or(zone),
        }
    }
}

impl Plan {
    /// What an error of AWS means in the plan's account, which may be new.
    #[must_use]
    pub fn sort(&self, error: Error) -> Error {
        if self.is_new_account {
            error.in_new_account()
        } else {
            error
        }
    }

    /// A complete plan for tests: cluster `demo` in ap-northeast-1 of account 111122223333 with
    /// three zones, one NAT gateway in each, and the profiles `kube-system` and `default`.
    ///
    /// # Panics
    /// Never: its literals are valid.
    #[must_use]
    #[allow(clippy::expect_used, reason = "a fixture made of literals")]
    pub fn example() -> Self {
        let zone = |place: u8, id: &str, letter: char| Zone {
            id: id.to_owned(),
            name: format!("ap-northeast-1{letter}"),
            private_cidr: format!("10.100.{}.0/19", place * 32)
                .parse()
                .expect("a CIDR block"),
            public_cidr: format!("10.100.{}.0/19", 128 + place * 32)
                .parse()
                .expect("a CIDR block"),
        };
        let profile = |namespace: &str| FargateProfile {
            name: namespace.to_owned(),
            selectors: vec![crate::model::spec::Selector {
                namespace: namespace.to_owned(),
                labels: BTreeMap::new(),
            }],
        };
        Self {
            target: Target {
                cluster_name: "demo".to_owned(),
                region: "ap-northeast-1".to_owned(),
                partition: "aws".to_owned(),
                account: Account {
                    id: "111122223333".to_owned(),
                    role_name: None,
                    external_id: None,
                },
                iam: RoleNames::default(),
            },
            kubernetes_version: "1.36".to_owned(),
            network: Network {
                cidr: "10.100.0.0/16".parse().expect("a CIDR block"),
                service_cidr: "172.20.0.0/16".parse().expect("a CIDR block"),
                nat_gateways: NatGateways::OnePerAz,
                zones: vec![
                    zone(0, "apne1-az1", 'c'),
                    zone(1, "apne1-az2", 'd'),
                    zone(2, "apne1-az4", 'a'),
                ],
            },
            endpoint: Endpoint {
                public: true,
                public_cidrs: vec!["0.0.0.0/0".to_owned()],
                private: true,
            },
            fargate_profiles: vec![profile("kube-system"), profile("default")],
            admins: vec!["arn:aws:iam::111122223333:role/Admin".to_owned()],
            logging: vec![],
            kms_key_arn: None,
            support_type: SupportType::Standard,
            deletion_protection: false,
            permissions_boundary_arn: None,
            on_failure: OnFailure::Keep,
            is_new_account: false,
            tags: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_survives_its_way_through_the_state_machine() {
        let plan = Plan::example();
        let json = serde_json::to_value(&plan).unwrap();
        assert_eq!(json["clusterName"], "demo");
        assert_eq!(json["network"]["zones"][0]["privateCidr"], "10.100.0.0/19");
        assert_eq!(serde_json::from_value::<Plan>(json).unwrap(), plan);
    }

    #[test]
    fn a_target_can_be_read_from_a_whole_plan() {
        let plan = Plan::example();
        let json = serde_json::to_value(&plan).unwrap();
        assert_eq!(serde_json::from_value::<Target>(json).unwrap(), plan.target);
    }

    #[test]
    fn a_single_nat_gateway_serves_every_zone() {
        let mut network = Plan::example().network;
        network.nat_gateways = NatGateways::Single;
        assert_eq!(network.nat_zones().len(), 1);
        let first = &network.zones[0];
        assert!(
            network
                .zones
                .iter()
                .all(|zone| network.nat_zone_of(zone) == first)
        );
    }
}
