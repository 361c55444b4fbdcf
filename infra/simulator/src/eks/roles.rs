//! What EKS sees of the account's roles: late, and not all of it right.

use jiff::Timestamp;

use super::refusal::invalid_parameter;
use crate::fault::Fault;
use crate::iam::trust::Document;
use crate::iam::{Iam, Role, service_linked_role};

/// EKS user guide, cluster IAM role: what a role needs at the least if it does not have the managed
/// policy.
const CLUSTER_ACTIONS: &[&str] = &[
    "ec2:CreateTags",
    "ec2:DescribeInstances",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeVpcs",
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeAvailabilityZones",
    "ec2:DescribeInstanceTopology",
    "kms:DescribeKey",
];
const CLUSTER_POLICIES: &[&str] = &["AmazonEKSClusterPolicy", "AdministratorAccess"];
/// EKS user guide, pod execution role: it pulls images from Amazon ECR.
const POD_ACTIONS: &[&str] = &[
    "ecr:GetAuthorizationToken",
    "ecr:BatchCheckLayerAvailability",
    "ecr:GetDownloadUrlForLayer",
    "ecr:BatchGetImage",
];
const POD_POLICIES: &[&str] = &[
    "AmazonEKSFargatePodExecutionRolePolicy",
    "AmazonEC2ContainerRegistryReadOnly",
    "AdministratorAccess",
];
/// Who starts pods on Fargate.
pub(super) const PODS_SERVICE: &str = "eks-fargate-pods.amazonaws.com";

/// Refuses a cluster role that EKS cannot assume yet, or that cannot do its work.
///
/// The texts are what the Terraform AWS provider retries.
pub(super) fn check_cluster_role(iam: &Iam, arn: &str, now: Timestamp) -> Result<(), Fault> {
    let cannot_be_assumed = || {
        invalid_parameter(&format!(
            "Role with arn: {arn}, could not be assumed because it does not exist or the trusted \
             entity is not correct"
        ))
    };
    let role = iam.role_by_arn(arn).ok_or_else(cannot_be_assumed)?;
    if !trusts(role, service_linked_role::EKS_SERVICE, now) {
        return Err(cannot_be_assumed());
    }
    // The service-linked roles are made by AWS with what they need.
    if !role.is_service_linked() && !may(role, CLUSTER_POLICIES, CLUSTER_ACTIONS, now) {
        return Err(invalid_parameter(
            "The provided role doesn't have the Amazon EKS Managed Policies associated with it. \
             Please ensure the following policies [arn:aws:iam::aws:policy/AmazonEKSClusterPolicy] \
             are attached",
        ));
    }
    Ok(())
}

/// Refuses a service-linked role that has not spread yet (aws/aws-k8s-tester issue 232: the first
/// cluster of an account).
pub(super) fn check_service_linked_role(iam: &Iam, now: Timestamp) -> Result<(), Fault> {
    let role = iam.role(service_linked_role::EKS);
    role.map_or(Ok(()), |role| check_cluster_role(iam, &role.arn, now))
}

/// Refuses a pod execution role that EKS does not see, or sees without the trust that it needs. The
/// text is what the Terraform AWS provider retries.
pub(super) fn check_pod_execution_role(iam: &Iam, arn: &str, now: Timestamp) -> Result<(), Fault> {
    let role = iam.role_by_arn(arn);
    if role.is_some_and(|role| trusts(role, PODS_SERVICE, now)) {
        return Ok(());
    }
    Err(invalid_parameter(
        "Misconfigured PodExecutionRole Trust Policy; Please add the eks-fargate-pods.amazonaws.com \
         Service Principal",
    ))
}

/// Whether Fargate can start pods of the profile with the ARN: the role's conditions let it, and the
/// role may pull images.
pub(crate) fn can_start_pods(
    iam: &Iam,
    role_arn: &str,
    profile_arn: &str,
    account: &str,
    now: Timestamp,
) -> bool {
    let Some(role) = iam.role_by_arn(role_arn) else {
        return false;
    };
    let caller = crate::iam::trust::Caller {
        service: Some(PODS_SERVICE.to_owned()),
        context: vec![
            ("aws:sourcearn".to_owned(), profile_arn.to_owned()),
            ("aws:sourceaccount".to_owned(), account.to_owned()),
        ],
        ..crate::iam::trust::Caller::default()
    };
    let trust = document(role, now);
    trust.is_some_and(|trust| trust.lets_assume(&caller))
        && may(role, POD_POLICIES, POD_ACTIONS, now)
}

/// When what can still change of what EKS sees of a role has changed.
pub(super) fn visible_at(iam: &Iam, role_arn: &str) -> impl Iterator<Item = Timestamp> {
    let role = iam.role_by_arn(role_arn);
    role.into_iter().flat_map(|role| {
        [
            role.trust.visible_at(),
            role.managed.visible_at(),
            role.inline.visible_at(),
        ]
    })
}

fn document(role: &Role, now: Timestamp) -> Option<Document> {
    Document::parse(role.trust.seen_at(now)?).ok()
}

fn trusts(role: &Role, service: &str, now: Timestamp) -> bool {
    document(role, now).is_some_and(|trust| trust.trusts_service(service))
}

/// Whether the role has one of the managed policies, or inline policies with all the actions.
fn may(role: &Role, policies: &[&str], actions: &[&str], now: Timestamp) -> bool {
    let attached = role.managed.seen_at(now).into_iter().flatten();
    // What is in the account's own policies is not known.
    let of_aws = attached.filter(|arn| arn.contains(":iam::aws:policy/"));
    let mut names = of_aws.filter_map(|arn| arn.rsplit('/').next());
    if names.any(|name| policies.contains(&name)) {
        return true;
    }
    let inline = role.inline.seen_at(now).into_iter().flatten();
    let documents: Vec<Document> = inline
        .filter_map(|(_, document)| Document::parse(document).ok())
        .collect();
    let is_allowed = |action: &str| documents.iter().any(|it| it.allows_action(action));
    actions.iter().all(|action| is_allowed(action))
}
