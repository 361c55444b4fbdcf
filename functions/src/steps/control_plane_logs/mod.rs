//! The log group that the control plane writes to, if the plan wants any of its logs.
//!
//! EKS would make the group itself, without a tag, and nobody could tell later whose it is: so it is
//! made before the cluster. A group of that name that is there already, without our tag, is used and
//! never removed: it may hold the logs of an older cluster.
//!
//! Safe to repeat: the name follows from the cluster's. The removal has to come last: as long as EKS
//! has lines to write it makes the group anew, for minutes after the cluster is gone
//! (terraform-aws-modules/terraform-aws-eks issue 2763).

use aws_sdk_cloudwatchlogs::error::ProvideErrorMetadata;
use serde::Serialize;

use crate::aws::{Aws, change, codes};
use crate::contract::{During, Error, NoInput, Outcome, Removed, Resource, Step};
use crate::model::{Plan, Target, tags};
use crate::resources::log_group::{self, Owner};
use crate::resources::resource_change::Change;

/// The step `control-plane-logs`.
pub struct ControlPlaneLogs;

/// What later steps need of it: nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Output {}

const CREATE: &str = "logs:CreateLogGroup";
const DELETE: &str = "logs:DeleteLogGroup";

impl Step for ControlPlaneLogs {
    const NAME: &'static str = "control-plane-logs";
    const POLICY: &'static str = include_str!("policy.json");
    type Input = NoInput;
    type Output = Output;

    async fn ensure(aws: &Aws, plan: &Plan, _: NoInput) -> Result<Outcome<Output>, Error> {
        let seen = log_group::observe(aws, plan).await?;
        let compared = log_group::compare(&plan.target, seen);
        if let Some(group) = compared.filter(|it| it.change == Change::Create) {
            create(aws, plan, &group.name).await?;
        }
        Ok(Outcome::Ready(Output {}))
    }

    async fn remove(aws: &Aws, target: &Target) -> Result<Outcome<Removed>, Error> {
        match log_group::find_owner(aws, target).await? {
            Owner::Us => delete(aws, target).await,
            Owner::Nobody | Owner::Another => Ok(Outcome::Ready(Removed::default())),
        }
    }
}

async fn create(aws: &Aws, plan: &Plan, name: &str) -> Result<(), Error> {
    let call = aws.logs().create_log_group().log_group_name(name);
    let call = call.set_tags(Some(tags::map(plan, "control-plane-logs")));
    match change(CREATE, name, call.send()).await {
        // An earlier attempt's, or EKS's: whose it is matters to the removal only.
        Err(error) if error.code() == Some(codes::RESOURCE_ALREADY_EXISTS) => {}
        answer => {
            answer.during(CREATE)?;
        }
    }
    Ok(())
}

async fn delete(aws: &Aws, target: &Target) -> Result<Outcome<Removed>, Error> {
    let name = log_group::name(target);
    let call = aws.logs().delete_log_group().log_group_name(&name);
    match change(DELETE, &name, call.send()).await {
        Err(error) if error.code() == Some(codes::RESOURCE_NOT_FOUND) => {
            return Ok(Outcome::Ready(Removed::default()));
        }
        answer => answer.during(DELETE)?,
    };
    Ok(Outcome::Ready(Removed {
        removed: vec![Resource::new(log_group::KIND, name)],
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_cloudwatchlogs::Client;
    use aws_sdk_cloudwatchlogs::operation::create_log_group::CreateLogGroupOutput;
    use aws_sdk_cloudwatchlogs::operation::delete_log_group::DeleteLogGroupOutput;
    use aws_sdk_cloudwatchlogs::operation::list_tags_for_resource::ListTagsForResourceOutput;
    use aws_smithy_mocks::{Rule, mock};

    use crate::aws::mocks::json_refusal;
    use crate::model::spec::LogType;

    const NAME: &str = "/aws/eks/demo/cluster";

    fn audited() -> Plan {
        let mut plan = Plan::example();
        plan.logging = vec![LogType::Audit];
        plan
    }

    fn tagged(cluster: Option<&'static str>) -> Rule {
        mock!(Client::list_tags_for_resource)
            .match_requests(|call| {
                let arn = format!("arn:aws:logs:ap-northeast-1:111122223333:log-group:{NAME}");
                call.resource_arn() == Some(&arn)
            })
            .then_output(move || {
                let tags = ListTagsForResourceOutput::builder();
                match cluster {
                    Some(cluster) => tags.tags(tags::CLUSTER, cluster).build(),
                    None => tags.build(),
                }
            })
    }

    fn missing() -> Rule {
        mock!(Client::list_tags_for_resource)
            .then_http_response(|| json_refusal(codes::RESOURCE_NOT_FOUND, "no such group"))
    }

    fn creates() -> Rule {
        mock!(Client::create_log_group)
            .match_requests(|call| {
                let tags = call.tags().unwrap();
                call.log_group_name() == Some(NAME) && tags[tags::CLUSTER] == "demo"
            })
            .then_output(|| CreateLogGroupOutput::builder().build())
    }

    fn deletes() -> Rule {
        mock!(Client::delete_log_group)
            .match_requests(|call| call.log_group_name() == Some(NAME))
            .then_output(|| DeleteLogGroupOutput::builder().build())
    }

    fn aws(rules: [&Rule; 2]) -> Aws {
        let [one, other] = rules;
        Aws::offline().with(crate::mocked!(aws_sdk_cloudwatchlogs, [one, other]))
    }

    async fn ensure(rules: [&Rule; 2], plan: &Plan) -> Result<Outcome<Output>, Error> {
        ControlPlaneLogs::ensure(&aws(rules), plan, NoInput {}).await
    }

    async fn remove(rules: [&Rule; 2]) -> Vec<Resource> {
        let target = Plan::example().target;
        let outcome = ControlPlaneLogs::remove(&aws(rules), &target).await;
        outcome.unwrap().ready().unwrap().removed
    }

    #[tokio::test]
    async fn makes_the_group_with_our_tags_before_eks_does() {
        let created = creates();
        let outcome = ensure([&missing(), &created], &audited()).await;
        assert_eq!(outcome, Ok(Outcome::Ready(Output {})));
        assert_eq!(created.num_calls(), 1);
    }

    #[tokio::test]
    async fn a_cluster_without_logs_needs_no_group() {
        let (looked, created) = (missing(), creates());
        let outcome = ensure([&looked, &created], &Plan::example()).await;
        assert_eq!(outcome, Ok(Outcome::Ready(Output {})));
        assert_eq!((looked.num_calls(), created.num_calls()), (0, 0));
    }

    #[tokio::test]
    async fn a_group_that_is_there_is_used_whosever_it_is() {
        for owner in [Some("demo"), None] {
            let created = creates();
            ensure([&tagged(owner), &created], &audited())
                .await
                .unwrap();
            assert_eq!(created.num_calls(), 0);
        }
    }

    #[tokio::test]
    async fn a_group_that_was_made_meanwhile_is_used() {
        let taken = mock!(Client::create_log_group)
            .then_http_response(|| json_refusal(codes::RESOURCE_ALREADY_EXISTS, "exists"));
        assert!(ensure([&missing(), &taken], &audited()).await.is_ok());
    }

    #[tokio::test]
    async fn remove_deletes_our_group() {
        let deleted = deletes();
        let removed = remove([&tagged(Some("demo")), &deleted]).await;
        assert_eq!(removed, [Resource::new("AWS::Logs::LogGroup", NAME)]);
        assert_eq!(deleted.num_calls(), 1);
    }

    #[tokio::test]
    async fn remove_leaves_the_group_of_somebody_else() {
        for owner in [Some("other"), None] {
            let deleted = deletes();
            assert_eq!(remove([&tagged(owner), &deleted]).await, []);
            assert_eq!(deleted.num_calls(), 0);
        }
    }

    #[tokio::test]
    async fn remove_of_a_missing_group_succeeds() {
        let deleted = deletes();
        assert_eq!(remove([&missing(), &deleted]).await, []);
        assert_eq!(deleted.num_calls(), 0);
    }
}
