//! What is in the cluster's VPC and is not ours: a load balancer's network interface, an instance, a
//! peering connection. It is reported and never touched.

use aws_sdk_ec2::types::{
    EgressOnlyInternetGateway, Filter, InternetGateway, NatGateway, NatGatewayState,
    NetworkInterface, NetworkInterfaceStatus, NetworkInterfaceType, RouteTable, SecurityGroup,
    State as EndpointState, Subnet, VpcEndpoint, VpcPeeringConnection, VpnGateway,
};

use crate::aws::{Aws, list};
use crate::contract::{During, Error};
use crate::model::Target;
use crate::model::tags::{self, ec2_filter};
use crate::resources::eks_network::{
    find_interfaces, find_security_groups, instance_of, is_interface_of_cluster, is_of_cluster,
    is_of_control_plane, is_of_nat_gateway,
};
use crate::resources::foreign_resource::Foreign;
use crate::resources::{
    guardduty, internet_gateway, nat_gateway, route_table, subnet, vpc, vpc_endpoint, vpc_holders,
};

/// States of a peering connection that is there, or may still be.
const LIVE_PEERINGS: [&str; 4] = [
    "initiating-request",
    "pending-acceptance",
    "provisioning",
    "active",
];

/// What is in the VPC (or VPCs) of the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InVpcs {
    /// Everything that neither we nor EKS made.
    pub foreign: Vec<Foreign>,
    /// Interfaces with EKS's security group that nothing uses, beside those of the control plane: a pod's for a
    /// moment, or somebody's.
    pub unused: Vec<Foreign>,
}

/// Everything in the VPC (or VPCs) of the cluster that neither we nor EKS made.
///
/// # Errors
/// What EC2 answers.
pub async fn find(aws: &Aws, target: &Target) -> Result<Vec<Foreign>, Error> {
    Ok(look(aws, target).await?.foreign)
}

/// The same, and what may be somebody's.
///
/// # Errors
/// What EC2 answers.
pub async fn look(aws: &Aws, target: &Target) -> Result<InVpcs, Error> {
    let mut found = InVpcs::default();
    for vpc in vpc::find_ours(aws, target).await? {
        let id = vpc.vpc_id().unwrap_or_default();
        look_in(aws, target, id, &mut found).await?;
    }
    Ok(found)
}

async fn look_in(
    aws: &Aws,
    target: &Target,
    vpc_id: &str,
    in_vpcs: &mut InVpcs,
) -> Result<(), Error> {
    let groups = find_security_groups(aws, vpc_id).await?;
    let interfaces = find_interfaces(aws, vpc_id).await?;
    let is_of_eks = |it: &NetworkInterface| is_interface_of_cluster(it, &groups, target);
    let is_foreign = |it: &&NetworkInterface| !has_an_owner_here(it) && !is_of_eks(it);
    let found = &mut in_vpcs.foreign;
    found.extend(interfaces.iter().filter(is_foreign).map(interface));
    let is_foreign = |it: &&SecurityGroup| {
        it.group_name() != Some("default") && !is_of_cluster(it, target) && !guardduty::is_group(it)
    };
    found.extend(groups.iter().filter(is_foreign).map(security_group));
    found.extend(subnets_and_routes(aws, target, vpc_id).await?);
    found.extend(internet_gateways(aws, target, vpc_id).await?);
    found.extend(connections(aws, vpc_id).await?);
    found.extend(vpc_holders::rules(&groups, target));
    found.extend(vpc_holders::associations(aws, vpc_id, &groups).await?);
    found.extend(vpc_holders::find(aws, vpc_id).await?);
    let is_unused = |it: &&NetworkInterface| {
        it.status() == Some(&NetworkInterfaceStatus::Available)
            && is_of_eks(it)
            && !is_of_control_plane(it, target)
    };
    let unused = interfaces.iter().filter(is_unused);
    in_vpcs.unused.extend(unused.map(interface));
    Ok(())
}

/// Whether the interface goes with a NAT gateway or a VPC endpoint, which are looked at themselves.
fn has_an_owner_here(interface: &NetworkInterface) -> bool {
    let kind = interface.interface_type().map(NetworkInterfaceType::as_str);
    let is_of_endpoint = matches!(
        kind,
        Some("vpc_endpoint" | "gateway_load_balancer_endpoint")
    );
    is_of_endpoint || is_of_nat_gateway(interface)
}

fn interface(interface: &NetworkInterface) -> Foreign {
    let note = match (instance_of(interface), interface.requester_id()) {
        (Some(instance), _) => Some(format!("of the instance {instance}")),
        (None, Some(requester)) => Some(format!(
            "{requester}: {}",
            interface.description().unwrap_or_default()
        )),
        (None, None) => interface.description().map(ToOwned::to_owned),
    };
    Foreign::new(
        "AWS::EC2::NetworkInterface",
        interface.network_interface_id(),
        interface.owner_id(),
    )
    .with_note(note.as_deref())
}

fn security_group(group: &SecurityGroup) -> Foreign {
    Foreign::new(
        "AWS::EC2::SecurityGroup",
        group.group_id(),
        group.owner_id(),
    )
    .with_note(group.group_name())
}

async fn subnets_and_routes(
    aws: &Aws,
    target: &Target,
    vpc_id: &str,
) -> Result<Vec<Foreign>, Error> {
    let subnets = subnet::find(aws, tags::ec2_in_vpc(vpc_id)).await?;
    let tables = route_table::find(aws, tags::ec2_in_vpc(vpc_id)).await?;
    let gateways = nat_gateway::find(aws, tags::ec2_in_vpc(vpc_id)).await?;

    let subnet = |it: &Subnet| Foreign::new(subnet::KIND, it.subnet_id(), it.owner_id());
    let table =
        |it: &RouteTable| Foreign::new(route_table::KIND, it.route_table_id(), it.owner_id());
    let gateway = |it: &NatGateway| Foreign::new(nat_gateway::KIND, it.nat_gateway_id(), None);
    let subnets = subnets
        .iter()
        .filter(|it| !tags::ec2_is_ours(it.tags(), target));
    let tables = tables
        .iter()
        .filter(|it| !route_table::is_main(it) && !tags::ec2_is_ours(it.tags(), target));
    let gateways = gateways.iter();
    let gateways = gateways.filter(|it| it.state() != Some(&NatGatewayState::Deleted));
    let gateways = gateways.filter(|it| !tags::ec2_is_ours(it.tags(), target));
    Ok(subnets
        .map(subnet)
        .chain(tables.map(table))
        .chain(gateways.map(gateway))
        .collect())
}

/// Other ways to the Internet than ours.
async fn internet_gateways(
    aws: &Aws,
    target: &Target,
    vpc_id: &str,
) -> Result<Vec<Foreign>, Error> {
    let of_vpc = vec![ec2_filter("attachment.vpc-id", vpc_id)];
    let gateways = internet_gateway::find(aws, of_vpc).await?;
    // EC2 has no filter by VPC for them.
    let call = aws.ec2().describe_egress_only_internet_gateways();
    let egress_only = list!(call)
        .await
        .during("ec2:DescribeEgressOnlyInternetGateways")?;

    let gateway = |it: &InternetGateway| {
        let id = it.internet_gateway_id();
        Foreign::new(internet_gateway::KIND, id, it.owner_id())
    };
    let egress_gateway = |it: &EgressOnlyInternetGateway| {
        let id = it.egress_only_internet_gateway_id();
        Foreign::new("AWS::EC2::EgressOnlyInternetGateway", id, None)
    };
    let is_here = |it: &&EgressOnlyInternetGateway| {
        let mut attachments = it.attachments().iter();
        attachments.any(|attachment| attachment.vpc_id() == Some(vpc_id))
    };
    let gateways = gateways
        .iter()
        .filter(|it| !tags::ec2_is_ours(it.tags(), target));
    let egress_only = egress_only.iter().filter(is_here);
    Ok(gateways
        .map(gateway)
        .chain(egress_only.map(egress_gateway))
        .collect())
}

/// Ways between the VPC and other networks.
async fn connections(aws: &Aws, vpc_id: &str) -> Result<Vec<Foreign>, Error> {
    let mut found = vec![];
    for side in ["requester-vpc-info.vpc-id", "accepter-vpc-info.vpc-id"] {
        found.extend(
            peerings(aws, ec2_filter(side, vpc_id))
                .await?
                .iter()
                .map(peering),
        );
    }
    let endpoints = vpc_endpoint::find(aws, tags::ec2_in_vpc(vpc_id)).await?;
    // The model says Deleted, EC2 answers deleted (aws/aws-sdk issue 258).
    let is_there = |it: &&VpcEndpoint| {
        let state = it.state().map(EndpointState::as_str);
        !state.is_some_and(|state| state.eq_ignore_ascii_case("deleted"))
            && !guardduty::is_endpoint(it)
    };
    found.extend(endpoints.iter().filter(is_there).map(endpoint));
    let call = aws.ec2().describe_vpn_gateways();
    let call = call.filters(ec2_filter("attachment.vpc-id", vpc_id));
    let gateways = call.send().await.during("ec2:DescribeVpnGateways")?;
    let is_attached = |it: &&VpnGateway| {
        let mut here = it.vpc_attachments().iter();
        here.any(|it| {
            it.vpc_id() == Some(vpc_id) && it.state().map(AsRef::as_ref) != Some("detached")
        })
    };
    found.extend(
        gateways
            .vpn_gateways()
            .iter()
            .filter(is_attached)
            .map(vpn_gateway),
    );
    Ok(found)
}

async fn peerings(aws: &Aws, side: Filter) -> Result<Vec<VpcPeeringConnection>, Error> {
    let live = LIVE_PEERINGS.map(ToOwned::to_owned).to_vec();
    let live = Filter::builder().name("status-code").set_values(Some(live));
    let call = aws.ec2().describe_vpc_peering_connections();
    let call = call.filters(side).filters(live.build());
    list!(call)
        .await
        .during("ec2:DescribeVpcPeeringConnections")
}

fn peering(connection: &VpcPeeringConnection) -> Foreign {
    let owner = connection.requester_vpc_info().and_then(|it| it.owner_id());
    Foreign::new(
        "AWS::EC2::VPCPeeringConnection",
        connection.vpc_peering_connection_id(),
        owner,
    )
}

fn endpoint(endpoint: &VpcEndpoint) -> Foreign {
    Foreign::new(
        "AWS::EC2::VPCEndpoint",
        endpoint.vpc_endpoint_id(),
        endpoint.owner_id(),
    )
    .with_note(endpoint.service_name())
}

fn vpn_gateway(gateway: &VpnGateway) -> Foreign {
    Foreign::new("AWS::EC2::VPNGateway", gateway.vpn_gateway_id(), None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::foreign_resource;

    #[test]
    fn each_thing_is_listed_with_type_id_owner_and_what_it_is_for() {
        let balancer = NetworkInterface::builder()
            .network_interface_id("eni-1")
            .owner_id("111122223333")
            .requester_id("amazon-elb")
            .description("ELB app/web/1")
            .build();
        let gateway = Foreign::new("AWS::EC2::VPNGateway", Some("vgw-1"), None);
        let error = foreign_resource::refuse(&[interface(&balancer), gateway]).unwrap_err();
        assert_eq!(error.name(), "ResourceConflict");
        let text = error.to_string();
        assert!(
            text.ends_with(
                "AWS::EC2::NetworkInterface eni-1 (owner 111122223333, amazon-elb: ELB app/web/1); \
                 AWS::EC2::VPNGateway vgw-1"
            ),
            "{text}"
        );
        assert_eq!(foreign_resource::refuse(&[]), Ok(()));
    }

    #[test]
    fn a_nat_gateways_interface_is_the_nat_gateways() {
        let of = |kind: &str| {
            NetworkInterface::builder()
                .interface_type(kind.into())
                .build()
        };
        assert!(has_an_owner_here(&of("nat_gateway")));
        assert!(has_an_owner_here(&of("natGateway")));
        assert!(!has_an_owner_here(&of("interface")));
    }
}
