//! The IAM role of the EKS control plane, and EKS's service-linked role.
//!
//! EKS assumes the role to look after the cluster's network interfaces and load balancers. The managed
//! policy is more than a Fargate cluster needs, but it is the one that EKS checks for and keeps current.
//!
//! Safe to repeat: the role's name follows from cluster and region, its tags say whether it is ours
//! (see [`step::iam_role`]). The service-linked role is shared by all clusters of the account and is
//! never removed.

use serde_json::json;
use step::iam_role::{self, RoleOutput, ServiceLinkedRole, ServiceRole};
use step::{Aws, Error, NoInput, Outcome, Plan, Removed, Step, Target, names};

/// The step `cluster-role`.
pub struct ClusterRole;

/// The role with which EKS itself works in the account.
const SERVICE_LINKED: ServiceLinkedRole = ServiceLinkedRole {
    name: "AWSServiceRoleForAmazonEKS",
    service: "eks.amazonaws.com",
};

impl Step for ClusterRole {
    const NAME: &'static str = "cluster-role";
    type Input = NoInput;
    type Output = RoleOutput;

    async fn ensure(aws: &Aws, plan: &Plan, _: NoInput) -> Result<Outcome<RoleOutput>, Error> {
        iam_role::ensure_service_linked(aws, SERVICE_LINKED).await?;
        iam_role::ensure(aws, plan, &wanted(&plan.target)).await
    }

    async fn remove(aws: &Aws, target: &Target) -> Result<Outcome<Removed>, Error> {
        iam_role::remove(aws, target, &names::cluster_role(target)).await
    }
}

fn wanted(target: &Target) -> ServiceRole {
    ServiceRole {
        name: names::cluster_role(target),
        role: "cluster-role",
        trust: json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": {"Service": "eks.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }],
        }),
        policy_arn: format!(
            "arn:{}:iam::aws:policy/AmazonEKSClusterPolicy",
            target.partition
        ),
    }
}
