//! What EKS makes in the VPC by itself: the cluster's security group, and the network interfaces of
//! control plane and pods. They carry no tag of ours and may outlive the cluster for minutes, or for
//! good.

use aws_sdk_ec2::types::{NetworkInterface, SecurityGroup};

use crate::aws::Aws;
use crate::error::{During, Error};
use crate::plan::Target;
use crate::tags;

/// Tag key that only EKS can set; its value is the cluster's name.
const CLUSTER_NAME_TAG: &str = "aws:eks:cluster-name";

/// All network interfaces of a VPC.
///
/// # Errors
/// What EC2 answers.
pub async fn find_interfaces(aws: &Aws, vpc_id: &str) -> Result<Vec<NetworkInterface>, Error> {
    let call = aws.ec2.describe_network_interfaces();
    let call = call.filters(tags::ec2_filter("vpc-id", vpc_id));
    let interfaces: Result<Vec<_>, _> = call.into_paginator().items().send().collect().await;
    interfaces.during("ec2:DescribeNetworkInterfaces")
}

/// All security groups of a VPC.
///
/// # Errors
/// What EC2 answers.
pub async fn find_security_groups(aws: &Aws, vpc_id: &str) -> Result<Vec<SecurityGroup>, Error> {
    let call = aws.ec2.describe_security_groups();
    let call = call.filters(tags::ec2_filter("vpc-id", vpc_id));
    let groups: Result<Vec<_>, _> = call.into_paginator().items().send().collect().await;
    groups.during("ec2:DescribeSecurityGroups")
}

/// Whether EKS made the security group for the target's cluster.
#[must_use]
pub fn is_of_cluster(group: &SecurityGroup, target: &Target) -> bool {
    tags::ec2_value(group.tags(), CLUSTER_NAME_TAG) == Some(&target.cluster_name)
}

/// Whether the interface is the control plane's or a Fargate pod's: EKS describes the former's with the
/// cluster's name, and the latter's have the cluster's security group (EKS user guide, Fargate) and no
/// instance of the account behind them.
#[must_use]
pub fn is_interface_of_cluster(
    interface: &NetworkInterface,
    groups: &[SecurityGroup],
    target: &Target,
) -> bool {
    let description = format!("Amazon EKS {}", target.cluster_name);
    let has_group = |id: Option<&str>| {
        let mut own = groups.iter().filter(|group| is_of_cluster(group, target));
        own.any(|group| group.group_id() == id)
    };
    interface.description() == Some(&description)
        || (instance_of(interface).is_none()
            && interface.groups().iter().any(|it| has_group(it.group_id())))
}

/// The instance that the interface is attached to, if there is one.
#[must_use]
pub fn instance_of(interface: &NetworkInterface) -> Option<&str> {
    interface.attachment().and_then(|it| it.instance_id())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use aws_sdk_ec2::types::{GroupIdentifier, NetworkInterfaceAttachment, Tag};

    fn group() -> SecurityGroup {
        let tag = Tag::builder().key(CLUSTER_NAME_TAG).value("demo").build();
        SecurityGroup::builder().group_id("sg-1").tags(tag).build()
    }

    fn in_group() -> aws_sdk_ec2::types::builders::NetworkInterfaceBuilder {
        let group = GroupIdentifier::builder().group_id("sg-1").build();
        NetworkInterface::builder().groups(group)
    }

    fn is_of_demo(interface: &NetworkInterface) -> bool {
        is_interface_of_cluster(interface, &[group()], &Plan::example().target)
    }

    #[test]
    fn the_control_planes_interfaces_say_whose_they_are() {
        let described = |text: &str| NetworkInterface::builder().description(text).build();
        assert!(is_of_demo(&described("Amazon EKS demo")));
        assert!(!is_of_demo(&described("Amazon EKS demo-2")));
        assert!(!is_of_demo(&described("ELB app/demo/1")));
    }

    #[test]
    fn a_pods_interface_has_the_clusters_group_and_a_nodes_has_an_instance() {
        assert!(is_of_demo(&in_group().build()));
        let attachment = NetworkInterfaceAttachment::builder()
            .instance_id("i-1")
            .build();
        assert!(!is_of_demo(&in_group().attachment(attachment).build()));
    }
}
