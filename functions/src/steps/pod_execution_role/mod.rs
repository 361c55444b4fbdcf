//! The IAM role with which Fargate pulls images for pods, and Fargate's service-linked role.
//!
//! The trust names the Fargate profiles of this one cluster, so that no other account's or cluster's
//! profile can have the role used for it (the confused deputy). Its path must be `/`.
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

/// The step `pod-execution-role`.
pub struct PodExecutionRole;

impl Step for PodExecutionRole {
    const NAME: &'static str = "pod-execution-role";
    const POLICY: &'static str = include_str!("policy.json");
    type Input = NoInput;
    type Output = RoleOutput;

    async fn ensure(aws: &Aws, plan: &Plan, _: NoInput) -> Result<Outcome<RoleOutput>, Error> {
        role::ensure_service_linked(aws, service_linked_role::FARGATE).await?;
        role::ensure(aws, plan, RoleOf::PodExecution).await
    }

    async fn remove(aws: &Aws, target: &Target) -> Result<Outcome<Removed>, Error> {
        role::remove(aws, target, RoleOf::PodExecution).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::World;

    const NAME: &str = "hardway-demo-ap-northeast-1-pod-execution";

    #[tokio::test(start_paused = true)]
    async fn makes_a_role_that_only_this_clusters_profiles_can_use() {
        let world = World::new(Plan::example());
        let answer = world
            .ensure::<PodExecutionRole>(&json!(null))
            .await
            .unwrap();
        let expected = ["CreateServiceLinkedRole", "CreateRole", "AttachRolePolicy"];
        assert_eq!(world.changes(), expected);
        world.account(|account| {
            let own = account.iam.role("AWSServiceRoleForAmazonEKSForFargate");
            assert_eq!(
                own.unwrap().path,
                "/aws-service-role/eks-fargate.amazonaws.com/"
            );
            let role = account.iam.role(NAME).unwrap();
            assert_eq!(answer["roleArn"], role.arn);
            let trust: Value = serde_json::from_str(role.trust.current()).unwrap();
            let statement = &trust["Statement"][0];
            let fargate = json!({"Service": "eks-fargate-pods.amazonaws.com"});
            assert_eq!(statement["Principal"], fargate);
            let profiles = "arn:aws:eks:ap-northeast-1:111122223333:fargateprofile/demo/*";
            assert_eq!(statement["Condition"]["ArnLike"]["aws:SourceArn"], profiles);
            let policy = "arn:aws:iam::aws:policy/AmazonEKSFargatePodExecutionRolePolicy";
            assert_eq!(role.managed.current(), &[policy.to_owned()].into());
        });
    }

    #[tokio::test(start_paused = true)]
    async fn remove_leaves_fargates_own_role_and_succeeds_without_a_role() {
        let mut world = World::new(Plan::example());
        world.ready::<PodExecutionRole>().await;
        for removed in [json!([{"type": "AWS::IAM::Role", "id": NAME}]), json!([])] {
            let answer = world.remove::<PodExecutionRole>().await.unwrap();
            assert_eq!(answer["removed"], removed);
        }
        let roles = world.account(|account| account.iam.roles.clone());
        assert_eq!(roles.len(), 1);
        assert!(roles.contains_key("awsserviceroleforamazoneksforfargate"));
    }
}
