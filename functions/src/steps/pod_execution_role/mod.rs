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
    use super::*;
    use aws_sdk_iam::Client;
    use aws_sdk_iam::operation::attach_role_policy::AttachRolePolicyOutput;
    use aws_sdk_iam::operation::create_role::CreateRoleOutput;
    use aws_sdk_iam::operation::create_service_linked_role::CreateServiceLinkedRoleOutput;
    use aws_sdk_iam::operation::list_roles::ListRolesOutput;
    use aws_sdk_iam::primitives::DateTime;
    use aws_sdk_iam::types::Role;
    use aws_smithy_mocks::{Rule, mock};
    use serde_json::Value;

    use crate::aws::codes;
    use crate::aws::mocks::iam_refusal;

    const NAME: &str = "hardway-demo-ap-northeast-1-pod-execution";
    const POLICY_ARN: &str = "arn:aws:iam::aws:policy/AmazonEKSFargatePodExecutionRolePolicy";

    fn lists_nothing() -> Rule {
        mock!(Client::list_roles).then_output(|| {
            ListRolesOutput::builder()
                .set_roles(Some(vec![]))
                .build()
                .unwrap()
        })
    }

    fn missing() -> Rule {
        mock!(Client::get_role)
            .then_http_response(|| iam_refusal(404, codes::NO_SUCH_ENTITY, "not found"))
    }

    fn role() -> Role {
        Role::builder()
            .path("/")
            .role_name(NAME)
            .role_id("AROAEXAMPLE")
            .arn(format!("arn:aws:iam::111122223333:role/{NAME}"))
            .create_date(DateTime::from_secs(0))
            .build()
            .unwrap()
    }

    #[tokio::test]
    async fn makes_a_role_that_only_this_clusters_profiles_can_use() {
        let service_linked = mock!(Client::create_service_linked_role)
            .match_requests(|call| call.aws_service_name() == Some("eks-fargate.amazonaws.com"))
            .then_output(|| CreateServiceLinkedRoleOutput::builder().build());
        let created = mock!(Client::create_role)
            .match_requests(|call| {
                let trust = call.assume_role_policy_document().unwrap();
                let trust: Value = serde_json::from_str(trust).unwrap();
                let statement = &trust["Statement"][0];
                call.role_name() == Some(NAME)
                    && statement["Principal"]["Service"] == "eks-fargate-pods.amazonaws.com"
                    && statement["Condition"]["ArnLike"]["aws:SourceArn"]
                        == "arn:aws:eks:ap-northeast-1:111122223333:fargateprofile/demo/*"
            })
            .then_output(|| CreateRoleOutput::builder().role(role()).build());
        let attached = mock!(Client::attach_role_policy)
            .match_requests(|call| call.policy_arn() == Some(POLICY_ARN))
            .then_output(|| AttachRolePolicyOutput::builder().build());
        let aws = Aws::offline().with(crate::mocked!(
            aws_sdk_iam,
            [
                &missing(),
                &lists_nothing(),
                &service_linked,
                &created,
                &attached
            ]
        ));
        let outcome = PodExecutionRole::ensure(&aws, &Plan::example(), NoInput {}).await;
        let output = outcome.unwrap().ready().unwrap();
        assert_eq!(output.role_arn, role().arn());
        let calls = [&service_linked, &created, &attached].map(Rule::num_calls);
        assert_eq!(calls, [1, 1, 1]);
    }

    #[tokio::test]
    async fn remove_of_a_missing_role_succeeds_and_leaves_fargates_own_role() {
        let looked = mock!(Client::get_role)
            .match_requests(|call| call.role_name() == Some(NAME))
            .then_http_response(|| iam_refusal(404, codes::NO_SUCH_ENTITY, "not found"));
        let aws = Aws::offline().with(crate::mocked!(aws_sdk_iam, [&looked, &lists_nothing()]));
        let removed = PodExecutionRole::remove(&aws, &Plan::example().target).await;
        assert_eq!(removed, Ok(Outcome::Ready(Removed::default())));
        assert_eq!(looked.num_calls(), 1);
    }
}
