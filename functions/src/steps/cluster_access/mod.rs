//! Access entries: who may administer the cluster.
//!
//! The creator of the cluster is a function's role that nobody can use, so each principal of the plan
//! becomes an administrator through an access entry with EKS's cluster admin policy. Access takes
//! effect after several seconds.
//!
//! Safe to repeat: a principal has one entry in a cluster, and both entry and policy are looked for
//! before they are made ([`access_entry`]). No token of our own goes with a request: EKS
//! refuses a second entry of a principal by itself, while a token made of the principal's name could,
//! for all that is known, bring back the answer about an entry that is long deleted.
//!
//! An entry of ours that is older than its role holds for an earlier role of that name, and is made
//! again ([`renewal`]).

mod renewal;

use aws_sdk_eks::error::ProvideErrorMetadata;
use aws_sdk_eks::types::{AccessScope, AccessScopeType};
use serde::Serialize;

use crate::aws::{Aws, change, codes};
use crate::contract::error::is_iam_propagation;
use crate::contract::{During, Error, NoInput, Outcome, Removed, Resource, Step};
use crate::model::{Plan, Target, tags};
use crate::resources::access_entry::{Access, PodRole};
use crate::resources::{access_entry, eks};

/// The step `cluster-access`.
pub struct ClusterAccess;

/// What is known of the cluster's administrators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// ARNs of the principals that administer the cluster.
    pub admins: Vec<String>,
}

impl Step for ClusterAccess {
    const NAME: &'static str = "cluster-access";
    const POLICY: &'static str = include_str!("policy.json");
    type Input = NoInput;
    type Output = Output;

    async fn ensure(aws: &Aws, plan: &Plan, _: NoInput) -> Result<Outcome<Output>, Error> {
        let Some(seen) = access_entry::observe(aws, plan).await? else {
            return Err(Error::NotYetVisible(format!(
                "cluster {} cannot be seen yet",
                plan.target.cluster_name
            )));
        };
        let compared = access_entry::compare(plan, PodRole::Kept, &seen)?;
        for (index, admin) in compared.admins.iter().enumerate() {
            let principal = admin.principal;
            match admin.access {
                Access::Missing => create(aws, plan, index, principal).await?,
                Access::Outlived => renewal::of_admin(aws, plan, index, principal).await?,
                Access::WithoutPolicy(_) => {}
                Access::Granted(_) => continue,
            }
            grant(aws, &plan.target, principal).await?;
        }
        if let Some(pods) = compared.pods {
            renewal::of_pods(aws, plan, &pods).await?;
        }
        for principal in compared.surplus {
            delete(aws, &plan.target, principal).await?;
        }
        let admins = plan.admins.clone();
        Ok(Outcome::Ready(Output { admins }))
    }

    async fn remove(aws: &Aws, target: &Target) -> Result<Outcome<Removed>, Error> {
        let mut removed = Removed::default();
        let principals = access_entry::find_principals(aws, target).await?;
        for principal in principals.unwrap_or_default() {
            let entry = access_entry::find(aws, target, &principal).await?;
            let is_ours = entry.is_some_and(|it| tags::map_is_ours(it.tags(), target));
            if is_ours && delete(aws, target, &principal).await? {
                let resource = Resource::new(access_entry::KIND, principal);
                removed.removed.push(resource);
            }
        }
        Ok(Outcome::Ready(removed))
    }
}

/// Makes the entry of `principal`, which is the plan's administrator number `index`.
async fn create(aws: &Aws, plan: &Plan, index: usize, principal: &str) -> Result<(), Error> {
    let call = aws
        .eks()
        .create_access_entry()
        .cluster_name(&plan.target.cluster_name)
        .principal_arn(principal)
        .r#type(access_entry::STANDARD)
        .set_tags(Some(tags::map(plan, "access-entry")));
    let answer = change("eks:CreateAccessEntry", principal, call.send()).await;
    match answer {
        Err(error) if eks::is_in_use(&error) => require_entry(aws, plan, principal).await?,
        Err(error) if is_unseen_principal(&error) => {
            return Err(Error::NotYetVisible(format!(
                "access.admins[{index}]: EKS does not see {principal} yet, or there is no such role or \
                 user: {}",
                eks::message(&error)
            )));
        }
        Err(error) if error.code() == Some(codes::INVALID_PARAMETER) => {
            return Err(bad_principal(index, principal, &error));
        }
        answer => {
            answer.during("eks:CreateAccessEntry")?;
        }
    }
    Ok(())
}

/// EKS says that there is an entry: there has to be one.
async fn require_entry(aws: &Aws, plan: &Plan, principal: &str) -> Result<(), Error> {
    match access_entry::find(aws, &plan.target, principal).await? {
        Some(_) => Ok(()),
        None => Err(Error::NotYetVisible(format!(
            "the access entry of {principal} exists but cannot be described yet"
        ))),
    }
}

/// Whether EKS does not see the principal. A role that was made minutes ago "does not exist" for EKS
/// either, so that is retried for minutes before it fails, and only other complaints blame the input at
/// once.
fn is_unseen_principal(error: &impl ProvideErrorMetadata) -> bool {
    error.code() == Some(codes::INVALID_PARAMETER)
        && is_iam_propagation(codes::INVALID_PARAMETER, eks::message(error))
}

fn bad_principal(index: usize, principal: &str, error: &impl ProvideErrorMetadata) -> Error {
    Error::invalid(
        format!("access.admins[{index}]"),
        principal,
        format!(
            "the ARN of an IAM role or user that exists; EKS says: {}",
            eks::message(error)
        ),
    )
}

async fn grant(aws: &Aws, target: &Target, principal: &str) -> Result<(), Error> {
    let scope = AccessScope::builder()
        .r#type(AccessScopeType::Cluster)
        .build();
    let call = aws
        .eks()
        .associate_access_policy()
        .cluster_name(&target.cluster_name)
        .principal_arn(principal)
        .policy_arn(access_entry::admin_policy(target))
        .access_scope(scope);
    change("eks:AssociateAccessPolicy", principal, call.send())
        .await
        .during("eks:AssociateAccessPolicy")?;
    Ok(())
}

/// Whether this call deleted it; false if it was gone already.
async fn delete(aws: &Aws, target: &Target, principal: &str) -> Result<bool, Error> {
    let call = aws
        .eks()
        .delete_access_entry()
        .cluster_name(&target.cluster_name)
        .principal_arn(principal);
    match change("eks:DeleteAccessEntry", principal, call.send()).await {
        Err(error) if eks::is_absent(&error) => return Ok(false),
        answer => answer.during("eks:DeleteAccessEntry")?,
    };
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};
    use simulator::eks::AccessEntry;

    use super::*;
    use crate::testing::World;

    const ADMIN: &str = "arn:aws:iam::111122223333:role/Admin";
    const FORMER: &str = "arn:aws:iam::111122223333:role/Former";
    const POLICY: &str = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy";

    /// A cluster, and the roles of an administrator and of a former one.
    async fn world() -> World {
        let world = World::with_cluster(Plan::example()).await;
        let account = &world.plan.target.account.id;
        let roles = ["Admin", "Former"].map(|name| (name, "{}"));
        world
            .simulator
            .change(|state| state.add_account(account, roles));
        world
    }

    /// One with the administrator's entry.
    async fn world_with_entry() -> World {
        let mut world = world().await;
        world.ready::<ClusterAccess>().await;
        world
    }

    /// Makes an entry by hand that carries the tag of a cluster.
    async fn add_entry(world: &World, principal: &str, cluster: &str) {
        let call = world.aws().eks().create_access_entry();
        let call = call.cluster_name("demo").principal_arn(principal);
        call.tags(tags::CLUSTER, cluster).send().await.unwrap();
        world.forget_calls();
    }

    /// Makes an entry by hand that carries the tag of another cluster, with the policy.
    async fn add_granted(world: &World, scope: AccessScopeType) {
        add_entry(world, ADMIN, "other").await;
        let namespaces = matches!(scope, AccessScopeType::Namespace).then(|| "default".to_owned());
        let scope = AccessScope::builder().r#type(scope);
        let scope = scope.set_namespaces(namespaces.map(|it| vec![it])).build();
        let call = world.aws().eks().associate_access_policy();
        let call = call.cluster_name("demo").principal_arn(ADMIN);
        let call = call.policy_arn(POLICY).access_scope(scope);
        call.send().await.unwrap();
        world.forget_calls();
    }

    /// Deletes the administrator's role and makes it again, a minute after its entry.
    async fn make_role_again(world: &World) {
        tokio::time::sleep(Duration::from_mins(1)).await;
        let now = world.simulator.now();
        world.account(|account| {
            let role = account.iam.roles.get_mut("admin").unwrap();
            role.created_at = now;
            role.id = "AROAAGAIN".to_owned();
        });
        tokio::time::sleep(Duration::from_mins(1)).await;
    }

    fn entry(world: &World, principal: &str) -> Option<AccessEntry> {
        world.cluster(|cluster| cluster.access_entries.get(principal).cloned())
    }

    async fn ensure(world: &World) -> Result<Value, Error> {
        world.ensure::<ClusterAccess>(&json!(null)).await
    }

    /// What is changed to make the plan's administrator one.
    async fn changes_of_ensure(world: &World) -> Vec<String> {
        let answer = ensure(world).await.unwrap();
        assert_eq!(answer["admins"], json!([ADMIN]));
        let scope = entry(world, ADMIN).unwrap().policies[POLICY].scope.clone();
        assert_eq!(scope, "cluster");
        world.changes()
    }

    async fn remove(world: &World) -> Value {
        let answer = world.remove::<ClusterAccess>().await;
        answer.unwrap()["removed"].take()
    }

    #[tokio::test(start_paused = true)]
    async fn makes_an_entry_with_the_admin_policy() {
        let world = world().await;
        let expected = ["CreateAccessEntry", "AssociateAccessPolicy"];
        assert_eq!(changes_of_ensure(&world).await, expected);
        let entry = entry(&world, ADMIN).unwrap();
        assert_eq!(entry.kind, "STANDARD");
        assert_eq!(entry.tags[tags::CLUSTER], "demo");
        assert_eq!(entry.tags[tags::ROLE], "access-entry");
    }

    #[tokio::test(start_paused = true)]
    async fn an_administrator_is_left_alone() {
        let world = world_with_entry().await;
        assert_eq!(changes_of_ensure(&world).await, [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_policy_for_some_namespaces_is_not_enough() {
        let world = world().await;
        add_granted(&world, AccessScopeType::Namespace).await;
        assert_eq!(changes_of_ensure(&world).await, ["AssociateAccessPolicy"]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_entry_made_meanwhile_is_used() {
        let world = world().await;
        add_entry(&world, ADMIN, "other").await;
        let missing = codes::RESOURCE_NOT_FOUND;
        world.fail_next("DescribeAccessEntry", missing, "no such entry");
        let expected = [
            "CreateAccessEntry: ResourceInUseException",
            "AssociateAccessPolicy",
        ];
        assert_eq!(changes_of_ensure(&world).await, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn an_entry_made_meanwhile_that_is_not_seen_is_waited_for() {
        let world = world().await;
        add_entry(&world, ADMIN, "other").await;
        // Of the administrator's entry, of EKS's own, and of the administrator's again.
        for _ in 0..3 {
            let missing = codes::RESOURCE_NOT_FOUND;
            world.fail_next("DescribeAccessEntry", missing, "no such entry");
        }
        let error = ensure(&world).await.unwrap_err();
        assert_eq!(error.name(), "NotYetVisible");
        let expected = ["CreateAccessEntry: ResourceInUseException"];
        assert_eq!(world.changes(), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_former_administrators_entry_is_deleted_if_it_is_ours() {
        for (owner, changes) in [("demo", &["DeleteAccessEntry"][..]), ("other", &[])] {
            let world = world_with_entry().await;
            add_entry(&world, FORMER, owner).await;
            assert_eq!(changes_of_ensure(&world).await, changes, "{owner}");
            assert_eq!(entry(&world, FORMER).is_none(), owner == "demo");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_entry_that_is_older_than_its_role_is_made_again() {
        let world = world_with_entry().await;
        make_role_again(&world).await;
        let expected = [
            "DeleteAccessEntry",
            "CreateAccessEntry",
            "AssociateAccessPolicy",
        ];
        assert_eq!(changes_of_ensure(&world).await, expected);
        assert_eq!(entry(&world, ADMIN).unwrap().tags[tags::CLUSTER], "demo");
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_entry_of_somebody_else_is_left_alone() {
        let world = world().await;
        add_granted(&world, AccessScopeType::Cluster).await;
        make_role_again(&world).await;
        assert_eq!(changes_of_ensure(&world).await, [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_role_that_may_not_be_read_is_taken_to_be_well() {
        let world = world_with_entry().await;
        make_role_again(&world).await;
        world.fail_next("GetRole", "AccessDenied", "not authorized");
        assert_eq!(changes_of_ensure(&world).await, [""; 0]);
    }

    async fn error_of_principal(world: &World) -> Error {
        let error = ensure(world).await.unwrap_err();
        let expected = ["CreateAccessEntry: InvalidParameterException"];
        assert_eq!(world.changes(), expected);
        assert!(error.to_string().contains("access.admins[0]"), "{error}");
        assert!(error.to_string().contains(ADMIN), "{error}");
        error
    }

    #[tokio::test(start_paused = true)]
    async fn a_wrong_principal_blames_the_input() {
        let world = world().await;
        let message = "The specified principalArn is invalid";
        world.fail_next("CreateAccessEntry", codes::INVALID_PARAMETER, message);
        let error = error_of_principal(&world).await;
        assert_eq!(error.name(), "InvalidRequest");
    }

    #[tokio::test(start_paused = true)]
    async fn a_principal_that_does_not_exist_may_be_new() {
        let world = world().await;
        let message = "The principal does not exist";
        world.fail_next("CreateAccessEntry", codes::INVALID_PARAMETER, message);
        let error = error_of_principal(&world).await;
        assert_eq!(error.name(), "NotYetVisible");

        world.account(|account| account.iam.roles.remove("admin"));
        let error = error_of_principal(&world).await;
        assert_eq!(error.name(), "NotYetVisible");
    }

    #[tokio::test(start_paused = true)]
    async fn a_cluster_that_cannot_be_seen_is_waited_for() {
        let world = World::new(Plan::example());
        let error = ensure(&world).await.unwrap_err();
        assert_eq!(error.name(), "NotYetVisible");
        assert_eq!(world.changes(), [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn remove_deletes_what_is_ours_only() {
        let world = world().await;
        add_entry(&world, FORMER, "demo").await;
        add_entry(&world, ADMIN, "other").await;
        let expected = json!([{"type": "AWS::EKS::AccessEntry", "id": FORMER}]);
        assert_eq!(remove(&world).await, expected);
        assert_eq!(world.changes(), ["DeleteAccessEntry"]);
        assert!(entry(&world, FORMER).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn remove_without_entry_or_cluster_succeeds() {
        assert_eq!(remove(&World::new(Plan::example())).await, json!([]));
        let world = world_with_entry().await;
        let missing = codes::RESOURCE_NOT_FOUND;
        world.fail_next("DeleteAccessEntry", missing, "no such entry");
        assert_eq!(remove(&world).await, json!([]));
    }
}
