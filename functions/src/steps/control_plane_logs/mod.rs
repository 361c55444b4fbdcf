//! The log group that the control plane writes to, if the plan wants any of its logs.
//!
//! EKS would make the group itself, without a tag, and nobody could tell later whose it is: so it is
//! made before the cluster. A group of that name that is there already, without our tag, is used and
//! never removed: it may hold the logs of an older cluster.
//!
//! Safe to repeat: the name follows from the cluster's. The removal has to come last: as long as EKS
//! has lines to write it makes the group again, for minutes after the cluster is gone
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
    use serde_json::json;

    use super::*;
    use crate::model::spec::LogType;
    use crate::testing::World;

    const NAME: &str = "/aws/eks/demo/cluster";

    /// An account whose plan wants logs.
    fn world() -> World {
        World::new(Plan {
            logging: vec![LogType::Audit],
            ..Plan::example()
        })
    }

    /// One with the log group of a cluster, or of nobody.
    async fn world_with_group_of(cluster: Option<&str>) -> World {
        let world = world();
        let call = world.aws().logs().create_log_group().log_group_name(NAME);
        let tags = cluster.map(|name| [(tags::CLUSTER.to_owned(), name.to_owned())].into());
        call.set_tags(tags).send().await.unwrap();
        world.forget_calls();
        world
    }

    async fn ensure(world: &World) {
        let answer = world.ensure::<ControlPlaneLogs>(&json!(null)).await;
        assert_eq!(answer.unwrap()["status"], "READY");
    }

    async fn remove(world: &World) -> serde_json::Value {
        let answer = world.remove::<ControlPlaneLogs>().await;
        answer.unwrap()["removed"].take()
    }

    fn has_group(world: &World) -> bool {
        world.region(|region| region.logs.groups.contains_key(NAME))
    }

    #[tokio::test(start_paused = true)]
    async fn makes_the_group_with_our_tags_before_eks_does() {
        let world = world();
        ensure(&world).await;
        assert_eq!(world.changes(), ["CreateLogGroup"]);
        let tags = world.region(|region| region.logs.groups[NAME].tags.clone());
        assert_eq!(tags[tags::CLUSTER], "demo");
    }

    #[tokio::test(start_paused = true)]
    async fn a_cluster_without_logs_needs_no_group() {
        let world = World::new(Plan::example());
        ensure(&world).await;
        assert_eq!(world.calls(), [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_group_that_is_there_is_used_whosever_it_is() {
        for owner in [Some("demo"), None] {
            let world = world_with_group_of(owner).await;
            ensure(&world).await;
            assert_eq!(world.calls(), ["ListTagsForResource"]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_group_that_was_made_meanwhile_is_used() {
        let world = world_with_group_of(None).await;
        let missing = codes::RESOURCE_NOT_FOUND;
        world.fail_next("ListTagsForResource", missing, "no such group");
        ensure(&world).await;
        let expected = ["CreateLogGroup: ResourceAlreadyExistsException"];
        assert_eq!(world.changes(), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn remove_deletes_our_group() {
        let world = world_with_group_of(Some("demo")).await;
        let expected = json!([{"type": "AWS::Logs::LogGroup", "id": NAME}]);
        assert_eq!(remove(&world).await, expected);
        assert!(!has_group(&world));
    }

    #[tokio::test(start_paused = true)]
    async fn remove_leaves_the_group_of_somebody_else() {
        for owner in [Some("other"), None] {
            let world = world_with_group_of(owner).await;
            assert_eq!(remove(&world).await, json!([]));
            assert_eq!(world.changes(), [""; 0]);
            assert!(has_group(&world));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn remove_of_what_is_gone_succeeds() {
        let nothing = world();
        assert_eq!(remove(&nothing).await, json!([]));
        assert_eq!(nothing.changes(), [""; 0]);

        let world = world_with_group_of(Some("demo")).await;
        world.fail_next("DeleteLogGroup", codes::RESOURCE_NOT_FOUND, "gone");
        assert_eq!(remove(&world).await, json!([]));
    }
}
