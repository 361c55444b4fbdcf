//! What EKS does in the VPC: the only place that touches EC2.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::Ipv4Net;
use jiff::Timestamp;

use super::errors::{invalid_parameter, unsupported_zone};
use super::{Cluster, Surroundings, after};
use crate::api_error::ApiError;
use crate::ec2::route::Target;
use crate::ec2::zones::ZoneType;
use crate::ec2::{NewInterface, NewSecurityGroup, Subnet};
use crate::kubernetes::Deployment;

/// EKS user guide, network requirements: zones in which a control plane cannot be.
const DISALLOWED_ZONES: &[&str] = &["use1-az3", "usw1-az2", "cac1-az3"];
/// Regions in which Fargate has only some zones (ECS developer guide, AWS Fargate Regions, Linux
/// containers; EKS's user guide refers to it).
const FARGATE_ZONES: &[(&str, &[&str])] = &[
    ("ap-northeast-1", &["apne1-az1", "apne1-az2", "apne1-az4"]),
    ("cn-north-1", &["cnn1-az1", "cnn1-az2"]),
    ("us-west-1", &["usw1-az1", "usw1-az3"]),
];
/// EKS user guide, network requirements: at least six free addresses in each subnet.
const FREE_ADDRESSES: u32 = 6;
/// botocore's EKS model, CreateCluster.
const SECURITY_GROUPS_MAX: usize = 5;
/// EKS user guide, network requirements: EKS makes two to four network interfaces.
const INTERFACES: std::ops::RangeInclusive<usize> = 2..=4;

/// Users whose teardown goes on as soon as the cluster is gone meet its interfaces, and after them its
/// security group: that is how theirs fail with DependencyViolation, and succeed when they are run again
/// (pulumi/pulumi-eks issues 779 and 1226, terraform-aws-modules/terraform-aws-eks issue 285). How long
/// it takes AWS does not say.
const INTERFACE_TIDY_SECONDS: std::ops::Range<f64> = 0.0..120.0;
const GROUP_TIDY_SECONDS: std::ops::Range<f64> = 0.0..60.0;
/// The same for what a pod on Fargate leaves behind.
const POD_TIDY_SECONDS: std::ops::Range<f64> = 1.0..30.0;

impl Surroundings<'_> {
    /// Checks the subnets of a cluster and returns the id of their VPC.
    pub(super) fn check_cluster_subnets(
        &self,
        name: &str,
        ids: &[String],
    ) -> Result<String, ApiError> {
        let subnets = self.subnets(ids)?;
        let vpcs: BTreeSet<&str> = subnets.iter().map(|it| it.vpc_id.as_str()).collect();
        if vpcs.len() > 1 {
            let message = "Subnets specified must all be in the same VPC";
            return Err(invalid_parameter(message));
        }
        let zones: BTreeSet<&str> = subnets.iter().map(|it| it.zone_id.as_str()).collect();
        if zones.len() < 2 {
            // awsdocs/amazon-eks-user-guide pull request 795.
            let message = "Subnets specified must be in at least two different AZs";
            return Err(invalid_parameter(message));
        }
        let valid = self.valid_zones();
        if let Some(subnet) = subnets.iter().find(|it| !valid.contains(&it.zone_name)) {
            // EKS user guide, troubleshooting: insufficient capacity.
            let message = format!(
                "Cannot create cluster '{name}' because {}, the targeted availability zone, does not \
                 currently have sufficient capacity to support the cluster. Retry and choose from \
                 these availability zones: {}",
                subnet.zone_name,
                valid.join(", ")
            );
            return Err(unsupported_zone(&message, &valid));
        }
        for subnet in &subnets {
            let free = self.ec2.free_addresses(&subnet.id);
            if free < FREE_ADDRESSES {
                let message = format!(
                    "Subnet {} has {free} free IP addresses, and needs at least {FREE_ADDRESSES}",
                    subnet.id
                );
                return Err(invalid_parameter(&message));
            }
        }
        Ok(vpcs.into_iter().collect())
    }

    /// Checks the security groups that a cluster is to have beside its own.
    pub(super) fn check_security_groups(
        &self,
        vpc_id: &str,
        ids: &[String],
    ) -> Result<(), ApiError> {
        if ids.len() > SECURITY_GROUPS_MAX {
            let message = format!("At most {SECURITY_GROUPS_MAX} security groups are allowed");
            return Err(invalid_parameter(&message));
        }
        for id in ids {
            let group = self.ec2.security_groups.get(id);
            if group.is_none_or(|group| group.vpc_id != vpc_id) {
                let message = format!("The security group '{id}' does not exist in VPC '{vpc_id}'");
                return Err(invalid_parameter(&message));
            }
        }
        Ok(())
    }

    /// Refuses services' addresses that the VPC has itself (botocore's EKS model, serviceIpv4Cidr).
    pub(super) fn check_service_cidr(
        &self,
        vpc_id: &str,
        services: Ipv4Net,
    ) -> Result<(), ApiError> {
        let vpc = self.ec2.vpc(vpc_id).map(|vpc| vpc.cidr);
        if vpc.is_some_and(|vpc| vpc.contains(&services) || services.contains(&vpc)) {
            let message =
                format!("The serviceIpv4Cidr {services} overlaps with the CIDR of {vpc_id}");
            return Err(invalid_parameter(&message));
        }
        Ok(())
    }

    /// Which of the two ranges EKS takes by itself (botocore's EKS model, serviceIpv4Cidr): the one
    /// that is not the VPC's.
    pub(super) fn default_service_cidr(&self, vpc_id: &str) -> Ipv4Net {
        let first = Ipv4Net::new_assert([10, 100, 0, 0].into(), 16);
        let second = Ipv4Net::new_assert([172, 20, 0, 0].into(), 16);
        let vpc = self
            .ec2
            .vpc(vpc_id)
            .map(|vpc| vpc.cidr.network().octets()[0]);
        // What EKS does: 172.20.0.0/16 for VPCs in 10.0.0.0/8.
        if vpc == Some(10) { second } else { first }
    }

    /// Checks the subnets of a Fargate profile.
    pub(super) fn check_profile_subnets(
        &self,
        vpc_id: &str,
        ids: &[String],
    ) -> Result<(), ApiError> {
        let valid = self.valid_fargate_zones();
        for subnet in self.subnets(ids)? {
            let id = &subnet.id;
            if subnet.vpc_id != vpc_id {
                let message = format!("Subnet {id} is not in the VPC of the cluster");
                return Err(invalid_parameter(&message));
            }
            if !valid.contains(&subnet.zone_name) {
                let message = format!(
                    "Fargate Profile creation for the Availability Zone {} for Subnet {id} is not \
                     supported",
                    subnet.zone_name
                );
                return Err(unsupported_zone(&message, &valid));
            }
            if !self.ec2.is_private(id) {
                // awslabs/eks-perf-tests issue 195.
                let message =
                    format!("Subnet {id} provided in Fargate Profile is not a private subnet");
                return Err(invalid_parameter(&message));
            }
        }
        Ok(())
    }

    /// Those of the subnets that are private.
    pub(super) fn private_of(&self, ids: &[String]) -> Vec<String> {
        let is_private = |id: &&String| self.ec2.is_private(id);
        ids.iter().filter(is_private).cloned().collect()
    }

    /// Makes the cluster's security group (EKS user guide, security group requirements: name and tags).
    pub(super) fn make_security_group(&mut self, cluster: &str, vpc_id: &str, key: &str) -> String {
        let number = u64::from_str_radix(&self.seed.hex("cluster-sg", key, 8), 16).unwrap_or(0);
        let name = format!("eks-cluster-sg-{cluster}-{number}");
        let tags = BTreeMap::from([
            ("Name".to_owned(), name.clone()),
            ("aws:eks:cluster-name".to_owned(), cluster.to_owned()),
            (
                format!("kubernetes.io/cluster/{cluster}"),
                "owned".to_owned(),
            ),
        ]);
        let new = NewSecurityGroup {
            vpc_id: vpc_id.to_owned(),
            name,
            description: "Made by EKS for the control plane and what it manages.".to_owned(),
            owner: self.account.to_owned(),
            tags,
        };
        self.ec2.add_security_group(self.seed, new)
    }

    /// Makes the interfaces through which the control plane reaches the VPC, and returns their ids.
    pub(super) fn make_control_plane_interfaces(
        &mut self,
        cluster: &str,
        subnets: &[String],
        security_groups: &[String],
    ) -> Vec<String> {
        let count = subnets.len().clamp(*INTERFACES.start(), *INTERFACES.end());
        let subnets: Vec<String> = subnets.iter().cycle().take(count).cloned().collect();
        let new = |subnet_id| NewInterface {
            subnet_id,
            description: format!("Amazon EKS {cluster}"),
            requester_id: Some("amazon-eks".to_owned()),
            security_groups: security_groups.to_vec(),
            owner: self.account.to_owned(),
        };
        let new: Vec<NewInterface> = subnets.into_iter().map(new).collect();
        let seed = self.seed;
        new.into_iter()
            .map(|new| self.ec2.add_interface(seed, new))
            .collect()
    }

    /// Makes the interface of a pod on Fargate in the first of the subnets that has room.
    pub(crate) fn make_pod_interface(
        &mut self,
        pod: &str,
        subnets: &[String],
        security_group: &str,
    ) -> Option<(String, String)> {
        let has_room = |id: &&String| self.ec2.free_addresses(id) > 0;
        let subnet_id = subnets.iter().find(has_room)?.clone();
        let new = NewInterface {
            subnet_id: subnet_id.clone(),
            description: format!("Fargate pod {pod}"),
            requester_id: Some("amazon-eks-fargate".to_owned()),
            // EKS user guide, Fargate: pods use the cluster's security group.
            security_groups: vec![security_group.to_owned()],
            owner: self.account.to_owned(),
        };
        Some((subnet_id, self.ec2.add_interface(self.seed, new)))
    }

    /// Lets the interfaces of pods go that end at `at`: Fargate tidies up after them, not with them.
    pub(crate) fn end_pods<'b>(
        &mut self,
        ids: impl IntoIterator<Item = &'b String>,
        at: Timestamp,
    ) {
        for id in ids {
            let delay = self
                .seed
                .duration("pod-interface-end", id, POD_TIDY_SECONDS);
            self.ec2.remove_interface_at(id, after(at, delay));
        }
    }

    /// Leaves what EKS has made in the VPC of a cluster that is gone: the control plane's interfaces,
    /// detached, and the cluster's security group. EKS deletes them later, the group after the last of
    /// its interfaces; or, if they are `abandoned`, never.
    pub(super) fn leave_network(&mut self, cluster: &Cluster, gone_at: Timestamp, abandoned: bool) {
        let pods = cluster.coredns.iter().flat_map(Deployment::interfaces);
        self.end_pods(pods, gone_at);
        for id in &cluster.interfaces {
            self.ec2.detach_interface(id);
        }
        if abandoned {
            return;
        }
        for id in &cluster.interfaces {
            let delay = self
                .seed
                .duration("interface-end", id, INTERFACE_TIDY_SECONDS);
            self.ec2.remove_interface_at(id, after(gone_at, delay));
        }
        let group = &cluster.vpc.cluster_security_group_id;
        let last = self.ec2.last_end_of_interfaces_in(group);
        let delay = self
            .seed
            .duration("cluster-sg-end", group, GROUP_TIDY_SECONDS);
        let last = last.map_or(gone_at, |last| last.max(gone_at));
        self.ec2.remove_security_group_at(group, after(last, delay));
    }

    /// The address of an interface.
    pub(crate) fn address_of(&self, interface_id: &str) -> Option<std::net::Ipv4Addr> {
        let interface = self.ec2.network_interfaces.get(interface_id);
        interface.map(|interface| interface.private_ip)
    }

    /// Whether a pod in the subnet, with the cluster's security group, reaches registries and STS at `at`:
    /// through NAT, or through VPC endpoints.
    pub(crate) fn has_way_out(&self, subnet_id: &str, group_id: &str, at: Timestamp) -> bool {
        self.ec2.has_working_nat_route(subnet_id, at)
            || self.ec2.has_endpoints_for_pods(subnet_id, group_id)
    }

    /// Whether the cluster's security group lets pods, nodes and the control plane talk to each other, and
    /// out (EKS user guide, security group requirements).
    pub(crate) fn group_serves_pods(&self, group_id: &str) -> bool {
        let group = self.ec2.security_groups.get(group_id);
        group.is_none_or(crate::ec2::SecurityGroup::serves_its_members)
    }

    /// The address with which what is in the subnet is seen on the internet: that of its NAT gateway.
    pub(crate) fn public_address_of(&self, subnet_id: &str) -> Option<std::net::Ipv4Addr> {
        let mut routes = self.ec2.route_table_of(subnet_id)?.routes.iter();
        let route = routes.find(|route| route.destination.prefix_len() == 0)?;
        let Target::NatGateway(id) = &route.target else {
            return None;
        };
        let allocation = self.ec2.nat_gateways.get(id)?.allocation_id.as_ref()?;
        Some(self.ec2.addresses.get(allocation)?.public_ip)
    }

    /// When NAT gateways become available by themselves.
    pub(super) fn nat_gateways_available_at(&self) -> impl Iterator<Item = Timestamp> {
        self.ec2
            .nat_gateways
            .values()
            .map(|gateway| gateway.pending_until)
    }

    /// The names of the zones that the subnets are in.
    pub(super) fn zones_of_subnets(&self, ids: &[String]) -> Result<BTreeSet<String>, ApiError> {
        let subnets = self.subnets(ids)?.into_iter();
        Ok(subnets.map(|subnet| subnet.zone_name.clone()).collect())
    }

    fn subnets(&self, ids: &[String]) -> Result<Vec<&Subnet>, ApiError> {
        let find = |id: &String| {
            self.ec2.subnet(id).ok_or_else(|| {
                let message = format!("The subnet ID '{id}' does not exist");
                invalid_parameter(&message)
            })
        };
        ids.iter().map(find).collect()
    }

    /// The names of the zones in which a cluster can be.
    fn valid_zones(&self) -> Vec<String> {
        let refused = &self.ec2.zones.without_control_planes;
        let is_refused = |id: &str| refused.contains(id) || DISALLOWED_ZONES.contains(&id);
        self.names_of_zones(|id| !is_refused(id))
    }

    /// The names of the zones in which pods can run on Fargate. Those without a control plane are none
    /// either (eksctl-io/eksctl issue 5677: cac1-az3).
    fn valid_fargate_zones(&self) -> Vec<String> {
        let mut regions = FARGATE_ZONES.iter();
        let only = regions.find(|(region, _)| *region == self.region);
        self.names_of_zones(|id| {
            let is_in_list = only.is_none_or(|(_, zones)| zones.contains(&id));
            is_in_list && !DISALLOWED_ZONES.contains(&id)
        })
    }

    fn names_of_zones(&self, is_wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let zones = self.ec2.zones.of(self.account, self.region).into_iter();
        zones
            .filter(|zone| zone.zone_type == ZoneType::AvailabilityZone && is_wanted(&zone.id))
            .map(|zone| zone.name)
            .collect()
    }
}
