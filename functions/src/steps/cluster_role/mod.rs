//! The IAM role of the EKS control plane, and EKS's service-linked role.
//!
//! EKS assumes the role to look after the cluster's network interfaces and load balancers. The managed
//! policy is more than a Fargate cluster needs, but it is the one that EKS checks for and keeps current.
//!
//! Safe to repeat: the role's name follows from cluster and region, its tags say whether it is ours
//! (see [`crate::steps::role`]). The service-linked role is shared by all clusters of the account and is
//! never removed.

use crate::aws::Aws;
use crate::contract::{Error, NoInput, Outcome, Removed, Step};
use crate::model::names::RoleOf;
use crate::model::{Plan, Target};
use crate::resources::service_linked_role;
use crate::steps::role::{self, RoleOutput};

/// The step `cluster-role`.
pub struct ClusterRole;

impl Step for ClusterRole {
    const NAME: &'static str = "cluster-role";
    const POLICY: &'static str = include_str!("policy.json");
    type Input = NoInput;
    type Output = RoleOutput;

    async fn ensure(aws: &Aws, plan: &Plan, _: NoInput) -> Result<Outcome<RoleOutput>, Error> {
        role::ensure_service_linked(aws, service_linked_role::EKS).await?;
        role::ensure(aws, plan, RoleOf::Cluster).await
    }

    async fn remove(aws: &Aws, target: &Target) -> Result<Outcome<Removed>, Error> {
        role::remove(aws, target, RoleOf::Cluster).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::World;

    const NAME: &str = "hardway-demo-ap-northeast-1-cluster";

    #[tokio::test(start_paused = true)]
    async fn makes_a_role_for_eks_and_ekss_own_role_in_a_new_account() {
        let world = World::new(Plan::example());
        let answer = world.ensure::<ClusterRole>(&json!(null)).await.unwrap();
        let expected = ["CreateServiceLinkedRole", "CreateRole", "AttachRolePolicy"];
        assert_eq!(world.changes(), expected);
        world.account(|account| {
            assert!(account.iam.role("AWSServiceRoleForAmazonEKS").is_some());
            let role = account.iam.role(NAME).unwrap();
            assert_eq!(answer["roleArn"], role.arn);
            let trust: Value = serde_json::from_str(role.trust.current()).unwrap();
            let statement = &trust["Statement"][0];
            assert_eq!(
                statement["Principal"],
                json!({"Service": "eks.amazonaws.com"})
            );
            assert_eq!(statement["Action"], "sts:AssumeRole");
            let policy = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy".to_owned();
            assert_eq!(role.managed.current(), &[policy].into());
        });
    }

    #[tokio::test(start_paused = true)]
    async fn remove_leaves_ekss_own_role_and_succeeds_without_a_role() {
        let mut world = World::new(Plan::example());
        world.ready::<ClusterRole>().await;
        for removed in [json!([{"type": "AWS::IAM::Role", "id": NAME}]), json!([])] {
            let answer = world.remove::<ClusterRole>().await.unwrap();
            assert_eq!(answer["removed"], removed);
        }
        let roles = world.account(|account| account.iam.roles.clone());
        assert_eq!(roles.len(), 1);
        assert!(roles.contains_key("awsserviceroleforamazoneks"));
    }
}
