//! What EKS leaves in the VPC when a cluster is gone: network interfaces, and the security group that
//! EKS made. Mostly they follow the cluster within minutes; some stay for good, and then neither
//! subnets nor VPC can be deleted (aws/aws-k8s-tester issue 416, eksctl issue 7589).

use aws_sdk_ec2::types::{NetworkInterface, NetworkInterfaceStatus, SecurityGroup};

use crate::aws::{Aws, codes};
use crate::contract::error::required;
use crate::contract::{Error, Outcome, Removed, Resource};
use crate::model::Target;
use crate::resources::eks_network::{
    find_interfaces, find_security_groups, is_interface_of_cluster, is_of_cluster,
    is_of_control_plane,
};
use crate::resources::vpc;
use crate::steps::removal::{self, Removal};

/// Deletes what EKS has let go of, and waits for the rest. Only for a cluster that does not exist.
pub async fn remove(aws: &Aws, target: &Target) -> Result<Outcome<Removed>, Error> {
    let mut removal = Removal::default();
    for vpc in vpc::find_ours(aws, target).await? {
        let vpc_id = required(vpc.vpc_id(), "ec2:DescribeVpcs: vpcId")?;
        remove_from(aws, target, vpc_id, &mut removal).await?;
    }
    removal::outcome(removal, aws, target).await
}

async fn remove_from(
    aws: &Aws,
    target: &Target,
    vpc_id: &str,
    removal: &mut Removal,
) -> Result<(), Error> {
    let groups = find_security_groups(aws, vpc_id).await?;
    let interfaces = find_interfaces(aws, vpc_id).await?;
    let of_cluster = |it: &&NetworkInterface| is_interface_of_cluster(it, &groups, target);
    let mut are_gone = true;
    for interface in interfaces.iter().filter(of_cluster) {
        are_gone &= remove_interface(aws, target, interface, removal).await?;
    }
    if !are_gone {
        return Ok(());
    }
    for group in groups.iter().filter(|group| is_of_cluster(group, target)) {
        remove_group(aws, group, removal).await?;
    }
    Ok(())
}

/// Deletes an interface that EKS has let go of, if EKS says that it was its own. Any other that nothing uses
/// may be a pod's, which Fargate removes, or somebody's, who keeps an address: it is waited for.
async fn remove_interface(
    aws: &Aws,
    target: &Target,
    interface: &NetworkInterface,
    removal: &mut Removal,
) -> Result<bool, Error> {
    let id = interface.network_interface_id();
    let id = required(id, "ec2:DescribeNetworkInterfaces: networkInterfaceId")?;
    if interface.status() != Some(&NetworkInterfaceStatus::Available) {
        removal.wait_for(format!(
            "EKS has not let go of the network interface {id} yet"
        ));
        return Ok(false);
    }
    if !is_of_control_plane(interface, target) {
        let description = interface.description().unwrap_or_default();
        removal.wait_for(format!(
            "nothing uses the network interface {id} ({description}), which has EKS's security group and \
             may be somebody's: delete it if nobody needs it"
        ));
        return Ok(false);
    }
    let call = aws
        .ec2()
        .delete_network_interface()
        .network_interface_id(id);
    let resource = Resource::new("AWS::EC2::NetworkInterface", id);
    let not_found = [codes::NETWORK_INTERFACE_NOT_FOUND];
    removal
        .delete(
            "ec2:DeleteNetworkInterface",
            resource,
            &not_found,
            call.send(),
        )
        .await
}

async fn remove_group(
    aws: &Aws,
    group: &SecurityGroup,
    removal: &mut Removal,
) -> Result<bool, Error> {
    let id = required(group.group_id(), "ec2:DescribeSecurityGroups: groupId")?;
    let call = aws.ec2().delete_security_group().group_id(id);
    let resource = Resource::new("AWS::EC2::SecurityGroup", id);
    let not_found = [codes::SECURITY_GROUP_NOT_FOUND];
    removal
        .delete("ec2:DeleteSecurityGroup", resource, &not_found, call.send())
        .await
}
