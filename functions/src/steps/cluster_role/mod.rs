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
    use super::*;
    use aws_sdk_iam::Client;
    use aws_sdk_iam::operation::attach_role_policy::AttachRolePolicyOutput;
    use aws_sdk_iam::operation::create_role::CreateRoleOutput;
    use aws_sdk_iam::operation::create_service_linked_role::CreateServiceLinkedRoleOutput;
    use aws_sdk_iam::operation::list_roles::ListRolesOutput;
    use aws_sdk_iam::primitives::DateTime;
    use aws_sdk_iam::types::Role;
    use aws_smithy_mocks::{Rule, mock};

    use crate::aws::codes;
    use crate::aws::mocks::iam_refusal;

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
            .role_name("hardway-demo-ap-northeast-1-cluster")
            .role_id("AROAEXAMPLE")
            .arn("arn:aws:iam::111122223333:role/hardway-demo-ap-northeast-1-cluster")
            .create_date(DateTime::from_secs(0))
            .build()
            .unwrap()
    }

    #[tokio::test]
    async fn makes_a_role_for_eks_and_ekss_own_role_in_a_new_account() {
        let service_linked = mock!(Client::create_service_linked_role)
            .match_requests(|call| call.aws_service_name() == Some("eks.amazonaws.com"))
            .then_output(|| CreateServiceLinkedRoleOutput::builder().build());
        let created = mock!(Client::create_role)
            .match_requests(|call| {
                let trust = call.assume_role_policy_document().unwrap();
                call.role_name() == Some("hardway-demo-ap-northeast-1-cluster")
                    && trust
                        .contains(r#"{"Service":"eks.amazonaws.com"},"Action":"sts:AssumeRole""#)
            })
            .then_output(|| CreateRoleOutput::builder().role(role()).build());
        let attached = mock!(Client::attach_role_policy)
            .match_requests(|call| {
                call.policy_arn() == Some("arn:aws:iam::aws:policy/AmazonEKSClusterPolicy")
            })
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
        let outcome = ClusterRole::ensure(&aws, &Plan::example(), NoInput {}).await;
        let output = outcome.unwrap().ready().unwrap();
        assert_eq!(output.role_arn, role().arn());
        let calls = [&service_linked, &created, &attached].map(Rule::num_calls);
        assert_eq!(calls, [1, 1, 1]);
    }

    #[tokio::test]
    async fn remove_of_a_missing_role_succeeds_and_leaves_ekss_own_role() {
        let looked = mock!(Client::get_role)
            .match_requests(|call| call.role_name() == Some("hardway-demo-ap-northeast-1-cluster"))
            .then_http_response(|| iam_refusal(404, codes::NO_SUCH_ENTITY, "not found"));
        let aws = Aws::offline().with(crate::mocked!(aws_sdk_iam, [&looked, &lists_nothing()]));
        let removed = ClusterRole::remove(&aws, &Plan::example().target).await;
        assert_eq!(removed, Ok(Outcome::Ready(Removed::default())));
        assert_eq!(looked.num_calls(), 1);
    }
}
