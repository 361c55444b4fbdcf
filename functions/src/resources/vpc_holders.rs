//! What else may hold a VPC, or the security group that EKS made in it, beside what is in its subnets:
//! network ACLs, carrier gateways, attachments to transit gateways, rules of the VPC's own group, and groups that
//! are associated with other VPCs.

use aws_sdk_ec2::types::{
    CarrierGateway, CarrierGatewayState, IpPermission, NetworkAcl, SecurityGroup,
    SecurityGroupVpcAssociation, SecurityGroupVpcAssociationState as AssociationState,
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

/// Associations of the VPC's groups with other VPCs, and of others' groups with it. EC2 deletes no group that is
/// associated (VPC user guide, associate security groups with multiple VPCs), and no VPC that a group is
/// associated with (botocore's EC2 model, DeleteVpc).
///
/// One call for both: filters by group and by VPC would have to be met at once.
pub(crate) async fn associations(
    aws: &Aws,
    vpc_id: &str,
    groups: &[SecurityGroup],
) -> Result<Vec<Foreign>, Error> {
    let call = aws.ec2().describe_security_group_vpc_associations();
    let associations = list!(call)
        .await
        .during("ec2:DescribeSecurityGroupVpcAssociations")?;
    let is_own = |it: &SecurityGroupVpcAssociation| {
        let mut own = groups.iter();
        own.any(|group| group.group_id() == it.group_id())
    };
    let associations = associations.iter().filter(|it| is_associated(it));
    let concerned = associations.filter(|it| it.vpc_id() == Some(vpc_id) || is_own(it));
    Ok(concerned.map(association).collect())
}

/// One that is going is gone before the teardown comes to the group.
fn is_associated(association: &SecurityGroupVpcAssociation) -> bool {
    !matches!(
        association.state(),
        Some(
            AssociationState::AssociationFailed
                | AssociationState::Disassociated
                | AssociationState::Disassociating
        )
    )
}

fn association(association: &SecurityGroupVpcAssociation) -> Foreign {
    let (id, owner) = (association.group_id(), association.group_owner_id());
    let vpc = association.vpc_id().unwrap_or("another VPC");
    Foreign::new("AWS::EC2::SecurityGroupVpcAssociation", id, owner)
        .with_note(Some(&format!("with {vpc}")))
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
