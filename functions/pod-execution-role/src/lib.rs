//! The IAM role with which Fargate pulls images for pods, and Fargate's service-linked role.
//!
//! The trust names the Fargate profiles of this one cluster, so that no other account's or cluster's
//! profile can have the role used for it (the confused deputy). Its path must be `/`.
//!
//! Safe to repeat: the role's name follows from cluster and region, its tags say whether it is ours
//! (see [`step::iam_role`]). The service-linked role is shared by all clusters of the account and is
//! never removed.

use serde_json::json;
use step::iam_role::{self, RoleOutput, ServiceLinkedRole, ServiceRole};
use step::{Aws, Error, NoInput, Outcome, Plan, Removed, Step, Target, names};

/// The step `pod-execution-role`.
pub struct PodExecutionRole;

/// The role with which EKS makes Fargate's network interfaces.
const SERVICE_LINKED: ServiceLinkedRole = ServiceLinkedRole {
    name: "AWSServiceRoleForAmazonEKSForFargate",
    service: "eks-fargate.amazonaws.com",
};

impl Step for PodExecutionRole {
    const NAME: &'static str = "pod-execution-role";
    type Input = NoInput;
    type Output = RoleOutput;

    async fn ensure(aws: &Aws, plan: &Plan, _: NoInput) -> Result<Outcome<RoleOutput>, Error> {
        iam_role::ensure_service_linked(aws, SERVICE_LINKED).await?;
        iam_role::ensure(aws, plan, &wanted(&plan.target)).await
    }

    async fn remove(aws: &Aws, target: &Target) -> Result<Outcome<Removed>, Error> {
        iam_role::remove(aws, target, &names::pod_execution_role(target)).await
    }
}

fn wanted(target: &Target) -> ServiceRole {
    ServiceRole {
        name: names::pod_execution_role(target),
        role: "pod-execution-role",
        trust: json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": {"Service": "eks-fargate-pods.amazonaws.com"},
                "Action": "sts:AssumeRole",
                "Condition": {"ArnLike": {"aws:SourceArn": profiles_of(target)}},
            }],
        }),
        policy_arn: format!(
            "arn:{}:iam::aws:policy/AmazonEKSFargatePodExecutionRolePolicy",
            target.partition
        ),
    }
}

/// The ARNs of all Fargate profiles of the cluster, as a pattern.
fn profiles_of(target: &Target) -> String {
    format!(
        "arn:{}:eks:{}:{}:fargateprofile/{}/*",
        target.partition, target.region, target.account.id, target.cluster_name
    )
}
