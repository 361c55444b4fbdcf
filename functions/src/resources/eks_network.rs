//! What EKS makes in the VPC by itself: the cluster's security group, and the network interfaces of
//! control plane and pods. They carry no tag of ours and may outlive the cluster for minutes, or for
//! good.

use aws_sdk_ec2::types::{NetworkInterface, NetworkInterfaceType, SecurityGroup};

use crate::aws::{Aws, list};
use crate::contract::{During, Error};
use crate::model::{Target, tags};

/// Tag key that only EKS can set; its value is the cluster's name.
const CLUSTER_NAME_TAG: &str = "aws:eks:cluster-name";

/// All network interfaces of a VPC.
///
/// # Errors
/// What EC2 answers.
pub async fn find_interfaces(aws: &Aws, vpc_id: &str) -> Result<Vec<NetworkInterface>, Error> {
    let call = aws.ec2().describe_network_interfaces();
    let call = call.filters(tags::ec2_filter("vpc-id", vpc_id));
    list!(call).await.during("ec2:DescribeNetworkInterfaces")
}

/// All security groups of a VPC.
///
/// # Errors
/// What EC2 answers.
pub async fn find_security_groups(aws: &Aws, vpc_id: &str) -> Result<Vec<SecurityGroup>, Error> {
    let call = aws.ec2().describe_security_groups();
    let call = call.filters(tags::ec2_filter("vpc-id", vpc_id));
    list!(call).await.during("ec2:DescribeSecurityGroups")
}

/// Whether EKS made the security group for the target's cluster.
#[must_use]
pub fn is_of_cluster(group: &SecurityGroup, target: &Target) -> bool {
    tags::ec2_value(group.tags(), CLUSTER_NAME_TAG) == Some(&target.cluster_name)
}

/// How other services describe the interfaces that they make (re:Post, find the resources that use an elastic
/// network interface; for the VPC CNI plugin amazon-vpc-cni-k8s, pkg/awsutils/awsutils.go; for tasks of ECS
/// its developer guide, task networking). All of them can be given EKS's security group.
const OTHER_SERVICES: &[&str] = &[
    "ELB ",
    "EFS mount target for ",
    "AWS Lambda VPC ENI",
    "RDSNetworkInterface",
    "RedshiftNetworkInterface",
    "DMSNetworkInterface",
    "ElastiCache ",
    "Attached to Glue using role",
    "AWS created network interface for ",
    "aws-K8S-",
    "aws-k8s-branch-eni",
    "arn:aws",
];

/// Whether another service than EKS has made the interface: by its type, by the alias of who asked for it
/// (`amazon-elb`), or by its description.
fn is_of_another_service(interface: &NetworkInterface) -> bool {
    let kind = interface.interface_type();
    let requester = interface.requester_id().unwrap_or_default();
    let description = interface.description().unwrap_or_default();
    kind.is_some_and(|kind| *kind != NetworkInterfaceType::Interface)
        || (requester.starts_with("amazon-") && !requester.starts_with("amazon-eks"))
        || OTHER_SERVICES.iter().any(|it| description.starts_with(it))
}

/// Whether EKS has made the interface for the cluster's control plane: it says so.
#[must_use]
pub fn is_of_control_plane(interface: &NetworkInterface, target: &Target) -> bool {
    let description = format!("Amazon EKS {}", target.cluster_name);
    interface.description() == Some(&description)
}

/// Whether the interface is the control plane's or a Fargate pod's. The latter have the cluster's security
/// group (EKS user guide, Fargate), no instance of the account behind them, and no mark of another service;
/// how EKS describes them is documented nowhere.
#[must_use]
pub fn is_interface_of_cluster(
    interface: &NetworkInterface,
    groups: &[SecurityGroup],
    target: &Target,
) -> bool {
    let has_group = |id: Option<&str>| {
        let mut own = groups.iter().filter(|group| is_of_cluster(group, target));
        own.any(|group| group.group_id() == id)
    };
    is_of_control_plane(interface, target)
        || (instance_of(interface).is_none()
            && !is_of_another_service(interface)
            && interface.groups().iter().any(|it| has_group(it.group_id())))
}

/// The instance that the interface is attached to, if there is one.
#[must_use]
pub fn instance_of(interface: &NetworkInterface) -> Option<&str> {
    interface.attachment().and_then(|it| it.instance_id())
}

/// Whether the interface is a NAT gateway's. The model says natGateway, EC2 answers nat_gateway.
#[must_use]
pub fn is_of_nat_gateway(interface: &NetworkInterface) -> bool {
    let kind = interface.interface_type().map(NetworkInterfaceType::as_str);
    matches!(kind, Some("natGateway" | "nat_gateway"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Plan;
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

    #[test]
    fn another_services_interface_is_not_the_clusters_though_it_has_its_group() {
        let described = |text: &str| in_group().description(text).build();
        for description in [
            "ELB app/web/0123456789abcdef",
            "EFS mount target for fs-1 (fsmt-1)",
            "RDSNetworkInterface",
            "aws-K8S-i-1",
            "arn:aws:ecs:ap-northeast-1:111122223333:attachment/1",
        ] {
            assert!(!is_of_demo(&described(description)), "{description}");
        }
        let asked = |who: &str| in_group().requester_id(who).build();
        assert!(!is_of_demo(&asked("amazon-elasticache")));
        assert!(is_of_demo(&asked("AROAEXAMPLE:eks")));
        let lambda = in_group().interface_type(NetworkInterfaceType::Lambda);
        assert!(!is_of_demo(&lambda.build()));
        assert!(is_of_demo(&described("something of a pod")));
    }
}
