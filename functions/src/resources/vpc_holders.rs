//! What else may hold a VPC, or the security group that EKS made in it, beside what is in its subnets:
//! network ACLs, carrier gateways, attachments to transit gateways, and rules of the VPC's own group.

use aws_sdk_ec2::types::{
    CarrierGateway, CarrierGatewayState, IpPermission, NetworkAcl, SecurityGroup,
    TransitGatewayAttachmentState, TransitGatewayVpcAttachment,
};

use crate::aws::{Aws, list};
use crate::contract::{During, Error};
use crate::model::Target;
use crate::model::tags::ec2_filter;
use crate::resources::eks_network::is_of_cluster;
use crate::resources::foreign_resource::Foreign;

/// Network ACLs, carrier gateways and attachments in the VPC: DeleteVpc takes none of them along (VPC
/// user guide, delete your VPC).
pub(crate) async fn find(aws: &Aws, vpc_id: &str) -> Result<Vec<Foreign>, Error> {
    let call = aws.ec2().describe_network_acls();
    let call = call.filters(ec2_filter("vpc-id", vpc_id));
    let call = call.filters(ec2_filter("default", "false"));
    let acls = list!(call).await.during("ec2:DescribeNetworkAcls")?;

    let call = aws.ec2().describe_carrier_gateways();
    let call = call.filters(ec2_filter("vpc-id", vpc_id));
    let gateways = list!(call).await.during("ec2:DescribeCarrierGateways")?;
    let is_there = |it: &&CarrierGateway| it.state() != Some(&CarrierGatewayState::Deleted);

    let call = aws.ec2().describe_transit_gateway_vpc_attachments();
    let call = call.filters(ec2_filter("vpc-id", vpc_id));
    let attachments = list!(call)
        .await
        .during("ec2:DescribeTransitGatewayVpcAttachments")?;

    let found = acls.iter().map(network_acl);
    let gateways = gateways.iter().filter(is_there).map(carrier_gateway);
    let attachments = attachments
        .iter()
        .filter(|it| is_attached(it))
        .map(attachment);
    Ok(found.chain(gateways).chain(attachments).collect())
}

fn is_attached(attachment: &TransitGatewayVpcAttachment) -> bool {
    !matches!(
        attachment.state(),
        Some(
            TransitGatewayAttachmentState::Deleted
                | TransitGatewayAttachmentState::Failed
                | TransitGatewayAttachmentState::Rejected
        )
    )
}

fn network_acl(acl: &NetworkAcl) -> Foreign {
    Foreign::new("AWS::EC2::NetworkAcl", acl.network_acl_id(), acl.owner_id())
}

fn carrier_gateway(gateway: &CarrierGateway) -> Foreign {
    let (id, owner) = (gateway.carrier_gateway_id(), gateway.owner_id());
    Foreign::new("AWS::EC2::CarrierGateway", id, owner)
}

fn attachment(attachment: &TransitGatewayVpcAttachment) -> Foreign {
    let id = attachment.transit_gateway_attachment_id();
    let owner = attachment.vpc_owner_id();
    Foreign::new("AWS::EC2::TransitGatewayAttachment", id, owner)
        .with_note(attachment.transit_gateway_id())
}

/// Rules of the VPC's default group that name a group that EKS made: EC2 deletes no group that a rule of
/// another one names, and EKS itself fails at it (hashicorp/terraform-provider-aws issue 12443,
/// openshift/installer pull request 4440). The group is the VPC's, but the rule is somebody's.
pub(crate) fn rules(groups: &[SecurityGroup], target: &Target) -> Vec<Foreign> {
    let of_eks: Vec<&str> = groups
        .iter()
        .filter(|group| is_of_cluster(group, target))
        .filter_map(SecurityGroup::group_id)
        .collect();
    let own = groups
        .iter()
        .filter(|it| it.group_name() == Some("default"));
    own.flat_map(|group| {
        let ingress = named(group.ip_permissions(), &of_eks);
        let egress = named(group.ip_permissions_egress(), &of_eks);
        let ingress = ingress.map(|it| rule("AWS::EC2::SecurityGroupIngress", group, it));
        let egress = egress.map(|it| rule("AWS::EC2::SecurityGroupEgress", group, it));
        ingress.chain(egress).collect::<Vec<_>>()
    })
    .collect()
}

/// The groups among `wanted` that rules name.
fn named<'a>(
    rules: &'a [IpPermission],
    wanted: &'a [&'a str],
) -> impl Iterator<Item = &'a str> + 'a {
    let pairs = rules.iter().flat_map(IpPermission::user_id_group_pairs);
    let ids = pairs.filter_map(|pair| pair.group_id());
    ids.filter(|id| wanted.contains(id))
}

fn rule(kind: &'static str, group: &SecurityGroup, named: &str) -> Foreign {
    let note = format!("a rule of the VPC's default group that names {named}");
    Foreign::new(kind, group.group_id(), group.owner_id()).with_note(Some(&note))
}
