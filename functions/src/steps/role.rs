//! What two steps do to IAM roles: what makes it safe to repeat is here once.
//!
//! Both roles of a cluster differ only in name, trust and managed policy: the name follows from the plan, the
//! tags are set in the create call, and trust, permissions boundary and policy are compared before they are set.

use aws_sdk_iam::error::ProvideErrorMetadata;
use aws_sdk_iam::types::Role;
use serde::{Deserialize, Serialize};

use crate::aws::{Aws, change, codes};
use crate::contract::error::required;
use crate::contract::{During, Error, Outcome, Removed, Resource};
use crate::model::names::RoleOf;
use crate::model::{Plan, Target, tags};
use crate::resources::resource_change::Change;
use crate::resources::role::{self, Compared, Wanted};
use crate::resources::service_linked_role;

/// What later steps need of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleOutput {
    /// ARN of the role.
    pub role_arn: String,
}

const CREATE: &str = "iam:CreateRole";
const CREATE_SERVICE_LINKED: &str = "iam:CreateServiceLinkedRole";
const UPDATE_TRUST: &str = "iam:UpdateAssumeRolePolicy";
const PUT_BOUNDARY: &str = "iam:PutRolePermissionsBoundary";
const ATTACH: &str = "iam:AttachRolePolicy";
const DETACH: &str = "iam:DetachRolePolicy";
const DELETE_INLINE: &str = "iam:DeleteRolePolicy";
const DELETE: &str = "iam:DeleteRole";

/// Makes the role as wanted. A new role cannot be assumed at once: a step that passes it to EKS gets
/// [`Error::NotYetVisible`] until IAM has spread it.
///
/// # Errors
/// [`Error::ResourceConflict`] if a role of that name is not ours; what IAM answers otherwise.
pub(crate) async fn ensure(
    aws: &Aws,
    plan: &Plan,
    of: RoleOf,
) -> Result<Outcome<RoleOutput>, Error> {
    let wanted = Wanted::new(plan, of);
    let seen = role::observe(aws, &plan.target, of).await?;
    let compared = role::compare(&plan.target, &wanted, &seen)?;
    let role_arn = match compared.kept {
        Some(role) => {
            repair(aws, role.role_name(), &compared).await?;
            role.arn.clone()
        }
        None => create(aws, plan, &wanted).await?.arn,
    };
    Ok(Outcome::Ready(RoleOutput { role_arn }))
}

async fn create(aws: &Aws, plan: &Plan, wanted: &Wanted) -> Result<Role, Error> {
    let name = &wanted.name;
    let call = aws
        .iam()
        .create_role()
        .role_name(name)
        .path(&wanted.path)
        .assume_role_policy_document(wanted.trust.to_string())
        .set_permissions_boundary(wanted.boundary_arn.clone())
        .set_tags(Some(tags::iam(plan, wanted.role)?));
    let role = match change(CREATE, name, call.send()).await {
        // An earlier attempt made it and GetRole does not see it yet.
        Err(error) if error.code() == Some(codes::ENTITY_ALREADY_EXISTS) => {
            return Err(Error::NotYetVisible(format!(
                "IAM role {name} exists but cannot be read yet"
            )));
        }
        answer => required(answer.during(CREATE)?.role, "iam:CreateRole: Role")?,
    };
    attach(aws, name, wanted).await?;
    Ok(role)
}

async fn repair(aws: &Aws, name: &str, compared: &Compared<'_>) -> Result<(), Error> {
    let wanted = compared.wanted;
    if compared.trust.is_some() {
        let call = aws.iam().update_assume_role_policy().role_name(name);
        let call = call.policy_document(wanted.trust.to_string());
        let answer = change(UPDATE_TRUST, name, call.send()).await;
        answer.during(UPDATE_TRUST)?;
    }
    if compared.boundary.is_some() {
        let call = aws.iam().put_role_permissions_boundary().role_name(name);
        let call = call.set_permissions_boundary(wanted.boundary_arn.clone());
        let answer = change(PUT_BOUNDARY, name, call.send()).await;
        answer.during(PUT_BOUNDARY)?;
    }
    if compared.policy.is_some() {
        attach(aws, name, wanted).await?;
    }
    Ok(())
}

async fn attach(aws: &Aws, name: &str, wanted: &Wanted) -> Result<(), Error> {
    let call = aws.iam().attach_role_policy().role_name(name);
    let call = call.policy_arn(&wanted.policy_arn);
    let answer = change(ATTACH, name, call.send()).await;
    answer.during(ATTACH).map(drop)
}

/// Makes sure that a service-linked role exists.
///
/// EKS would make it on demand and then fail the first time in a new account, because the role has not
/// spread yet. Made early, its propagation hides behind the VPC.
///
/// # Errors
/// What IAM answers.
pub(crate) async fn ensure_service_linked(
    aws: &Aws,
    wanted: service_linked_role::Wanted,
) -> Result<(), Error> {
    let seen = service_linked_role::observe(aws, wanted).await?;
    if service_linked_role::compare(wanted, seen.as_ref()).change == Change::Keep {
        return Ok(());
    }
    let call = aws.iam().create_service_linked_role();
    let call = call.aws_service_name(wanted.service);
    match change(CREATE_SERVICE_LINKED, wanted.name, call.send()).await {
        Err(error) if is_taken(&error) => Ok(()),
        answer => answer.during(CREATE_SERVICE_LINKED).map(drop),
    }
}

fn is_taken(error: &impl ProvideErrorMetadata) -> bool {
    error.code() == Some(codes::INVALID_INPUT)
        && error
            .message()
            .is_some_and(|message| message.contains(codes::SERVICE_LINKED_ROLE_EXISTS_MESSAGE))
}

/// Detaches every policy of the cluster's role and deletes it, under whatever name it was made. One that is
/// not ours stays.
///
/// # Errors
/// [`Error::ResourceConflict`] if someone gave the role inline policies or an instance profile; what
/// IAM answers otherwise.
pub(crate) async fn remove(
    aws: &Aws,
    target: &Target,
    of: RoleOf,
) -> Result<Outcome<Removed>, Error> {
    let mut removed = vec![];
    for role in role::find_ours(aws, target, of).await? {
        removed.extend(remove_one(aws, role.role_name()).await?);
    }
    Ok(Outcome::Ready(Removed { removed }))
}

/// The role, if this call deleted it.
async fn remove_one(aws: &Aws, name: &str) -> Result<Option<Resource>, Error> {
    for policy_arn in role::find_attached_policies(aws, name).await? {
        detach(aws, name, &policy_arn).await?;
    }
    // Inline policies that others gave the role go with it, as attachments do.
    for policy in role::find_inline_policies(aws, name).await? {
        delete_inline(aws, name, &policy).await?;
    }
    let call = aws.iam().delete_role().role_name(name);
    match change(DELETE, name, call.send()).await {
        Err(error) if error.code() == Some(codes::NO_SUCH_ENTITY) => return Ok(None),
        Err(error) if error.code() == Some(codes::DELETE_CONFLICT) => {
            return Err(Error::ResourceConflict(format!(
                "IAM role {name} has something that hardway did not give it: {}",
                error.message().unwrap_or("no message")
            )));
        }
        answer => answer.during(DELETE)?,
    };
    Ok(Some(Resource::new(role::KIND, name)))
}

async fn detach(aws: &Aws, name: &str, policy_arn: &str) -> Result<(), Error> {
    let call = aws.iam().detach_role_policy().role_name(name);
    let call = call.policy_arn(policy_arn);
    match change(DETACH, name, call.send()).await {
        Err(error) if error.code() == Some(codes::NO_SUCH_ENTITY) => Ok(()),
        answer => answer.during(DETACH).map(drop),
    }
}

async fn delete_inline(aws: &Aws, name: &str, policy: &str) -> Result<(), Error> {
    let call = aws.iam().delete_role_policy().role_name(name);
    let call = call.policy_name(policy);
    match change(DELETE_INLINE, policy, call.send()).await {
        Err(error) if error.code() == Some(codes::NO_SUCH_ENTITY) => Ok(()),
        answer => answer.during(DELETE_INLINE).map(drop),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_iam::types::Tag;
    use serde_json::Value;
    use simulator::iam::Role as AccountRole;

    use super::*;
    use crate::testing::World;
    use service_linked_role::EKS;

    const NAME: &str = "hardway-demo-ap-northeast-1-cluster";
    const OF_BEFORE: &str = "hardway-team-demo-ap-northeast-1-cluster";
    const POLICY_ARN: &str = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy";
    const BOUNDARY_ARN: &str = "arn:aws:iam::111122223333:policy/Boundary";
    const DENY_ALL: &str =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}"#;

    fn wanted() -> Wanted {
        Wanted::new(&Plan::example(), RoleOf::Cluster)
    }

    fn plan_with_boundary() -> Plan {
        Plan {
            permissions_boundary_arn: Some(BOUNDARY_ARN.to_owned()),
            ..Plan::example()
        }
    }

    /// An account with a boundary, and with roles that are not the cluster's.
    async fn world() -> World {
        let world = World::new(Plan::example());
        world.account(|account| account.iam.policies.insert(BOUNDARY_ARN.to_owned()));
        add_role(&world, "Admin", "demo").await;
        add_role(&world, "hardway-other-ap-northeast-1-cluster", "other").await;
        world
    }

    /// One that has the cluster's role, too.
    async fn world_with_role() -> World {
        let world = world().await;
        ensure_in(&world, &Plan::example()).await.unwrap();
        world.forget_calls();
        world
    }

    /// Makes a role of a cluster that trusts whom it should and may do nothing.
    async fn add_role(world: &World, name: &str, cluster: &str) {
        let tag = Tag::builder().key(tags::CLUSTER).value(cluster).build();
        let call = world.aws().iam().create_role().role_name(name);
        let call = call.tags(tag.unwrap());
        let call = call.assume_role_policy_document(wanted().trust.to_string());
        call.send().await.unwrap();
        world.forget_calls();
    }

    /// Changes a role by hand, or looks at it.
    fn role<R>(world: &World, name: &str, change: impl FnOnce(&mut AccountRole) -> R) -> R {
        world.account(|account| change(account.iam.roles.get_mut(name).unwrap()))
    }

    fn has_role(world: &World, name: &str) -> bool {
        world.account(|account| account.iam.role(name).is_some())
    }

    /// The ARN of the role that is there afterwards.
    async fn ensure_in(world: &World, plan: &Plan) -> Result<String, Error> {
        let outcome = ensure(&world.aws(), plan, RoleOf::Cluster).await?;
        Ok(outcome.ready().unwrap().role_arn)
    }

    async fn remove_in(world: &World) -> Result<Vec<Resource>, Error> {
        let outcome = remove(&world.aws(), &world.plan.target, RoleOf::Cluster).await?;
        Ok(outcome.ready().unwrap().removed)
    }

    fn assert_is_as_wanted(role: &AccountRole) {
        let trust: Value = serde_json::from_str(role.trust.current()).unwrap();
        assert_eq!(trust, wanted().trust);
        assert!(role.managed.current().contains(POLICY_ARN));
        assert_eq!(role.boundary.as_deref(), Some(BOUNDARY_ARN));
    }

    #[tokio::test(start_paused = true)]
    async fn creates_a_role_with_trust_boundary_and_tags_in_one_call() {
        let world = world().await;
        let arn = ensure_in(&world, &plan_with_boundary()).await.unwrap();
        assert_eq!(world.changes(), ["CreateRole", "AttachRolePolicy"]);
        role(&world, NAME, |role| {
            assert_is_as_wanted(role);
            assert_eq!(role.arn, arn);
            assert_eq!(role.tags[tags::CLUSTER], "demo");
            assert_eq!(role.tags[tags::ROLE], "cluster-role");
        });
    }

    #[tokio::test(start_paused = true)]
    async fn a_role_that_is_as_wanted_is_left_alone() {
        let world = world_with_role().await;
        let arn = ensure_in(&world, &Plan::example()).await.unwrap();
        assert_eq!(arn, format!("arn:aws:iam::111122223333:role/{NAME}"));
        assert_eq!(world.changes(), [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn repairs_trust_policy_and_boundary() {
        let world = world_with_role().await;
        let now = world.simulator.now();
        role(&world, NAME, |role| {
            role.trust.set("{}".to_owned(), now, now);
            role.managed.set([].into(), now, now);
        });
        ensure_in(&world, &plan_with_boundary()).await.unwrap();
        let expected = [
            "UpdateAssumeRolePolicy",
            "PutRolePermissionsBoundary",
            "AttachRolePolicy",
        ];
        assert_eq!(world.changes(), expected);
        role(&world, NAME, |role| assert_is_as_wanted(role));
    }

    #[tokio::test(start_paused = true)]
    async fn a_boundary_that_the_plan_does_not_know_stays() {
        let world = world_with_role().await;
        let stricter = "arn:aws:iam::111122223333:policy/Stricter";
        role(&world, NAME, |role| {
            role.boundary = Some(stricter.to_owned());
        });
        ensure_in(&world, &Plan::example()).await.unwrap();
        assert_eq!(world.changes(), [""; 0]);
        ensure_in(&world, &plan_with_boundary()).await.unwrap();
        assert_eq!(world.changes(), ["PutRolePermissionsBoundary"]);
    }

    #[tokio::test(start_paused = true)]
    async fn refuses_a_role_of_another_cluster_and_touches_nothing() {
        let world = world().await;
        add_role(&world, NAME, "other").await;
        let error = ensure_in(&world, &Plan::example()).await.unwrap_err();
        assert_eq!(error.name(), "ResourceConflict");
        assert!(error.to_string().contains(NAME), "{error}");
        assert_eq!(remove_in(&world).await, Ok(vec![]));
        assert_eq!(world.changes(), [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_was_taken_a_moment_ago_is_looked_at_again() {
        let world = world().await;
        world.fail_next("CreateRole", codes::ENTITY_ALREADY_EXISTS, "exists");
        let error = ensure_in(&world, &Plan::example()).await.unwrap_err();
        assert_eq!(error.name(), "NotYetVisible");
        assert_eq!(world.changes(), ["CreateRole: EntityAlreadyExists"]);
    }

    #[tokio::test(start_paused = true)]
    async fn remove_detaches_every_policy_first() {
        let world = world_with_role().await;
        let now = world.simulator.now();
        role(&world, NAME, |role| {
            let also = "arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned();
            role.managed
                .set([POLICY_ARN.to_owned(), also].into(), now, now);
            let theirs = [("theirs".to_owned(), DENY_ALL.to_owned())];
            role.inline.set(theirs.into(), now, now);
        });
        let removed = remove_in(&world).await.unwrap();
        assert_eq!(removed, [Resource::new("AWS::IAM::Role", NAME)]);
        let detach = "DetachRolePolicy";
        let expected = [detach, detach, "DeleteRolePolicy", "DeleteRole"];
        assert_eq!(world.changes(), expected);
        assert!(!has_role(&world, NAME));
    }

    #[tokio::test(start_paused = true)]
    async fn remove_of_what_is_gone_succeeds() {
        let nothing = world().await;
        assert_eq!(remove_in(&nothing).await, Ok(vec![]));
        assert_eq!(nothing.changes(), [""; 0]);

        let world = world_with_role().await;
        for operation in ["DetachRolePolicy", "DeleteRole"] {
            world.fail_next(operation, codes::NO_SUCH_ENTITY, "not found");
        }
        assert_eq!(remove_in(&world).await, Ok(vec![]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_cluster_keeps_the_role_that_was_made_under_another_prefix() {
        let world = world().await;
        add_role(&world, OF_BEFORE, "demo").await;
        let arn = ensure_in(&world, &Plan::example()).await.unwrap();
        assert!(arn.ends_with(OF_BEFORE), "{arn}");
        assert_eq!(world.changes(), ["AttachRolePolicy"]);
        let policies = role(&world, OF_BEFORE, |role| role.managed.current().clone());
        assert_eq!(policies, [POLICY_ARN.to_owned()].into());
    }

    #[tokio::test(start_paused = true)]
    async fn remove_finds_the_role_under_every_prefix() {
        let world = world().await;
        add_role(&world, OF_BEFORE, "demo").await;
        let removed = remove_in(&world).await.unwrap();
        assert_eq!(removed, [Resource::new("AWS::IAM::Role", OF_BEFORE)]);
        assert!(!has_role(&world, OF_BEFORE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_role_that_may_not_be_read_is_left_alone() {
        let world = world().await;
        add_role(&world, OF_BEFORE, "demo").await;
        world.fail_next("GetRole", codes::NO_SUCH_ENTITY, "not found");
        world.fail_next("GetRole", "AccessDenied", "not authorized");
        assert_eq!(remove_in(&world).await, Ok(vec![]));
        let expected = [
            "GetRole: NoSuchEntity",
            "ListRoles",
            "GetRole: AccessDenied",
        ];
        assert_eq!(world.calls(), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn remove_reports_what_a_person_gave_the_role() {
        let world = world_with_role().await;
        world.account(|account| {
            let profiles = &mut account.iam.instance_profiles;
            profiles.insert("nodes".to_owned(), NAME.to_owned());
        });
        let error = remove_in(&world).await.unwrap_err();
        assert_eq!(error.name(), "ResourceConflict");
        let words = "must remove roles from instance profile first";
        assert!(error.to_string().contains(words), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_linked_role_is_made_once_for_all_clusters() {
        let world = world().await;
        for changes in [&["CreateServiceLinkedRole"][..], &[]] {
            assert_eq!(ensure_service_linked(&world.aws(), EKS).await, Ok(()));
            assert_eq!(world.changes(), changes);
        }
        let path = "/aws-service-role/eks.amazonaws.com/";
        let name = EKS.name.to_lowercase();
        assert_eq!(role(&world, &name, |role| role.path.clone()), path);
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_linked_role_that_has_been_taken_exists() {
        let world = world().await;
        let create = "CreateServiceLinkedRole";
        world.fail_next(create, codes::INVALID_INPUT, "Unknown service");
        let error = ensure_service_linked(&world.aws(), EKS).await.unwrap_err();
        assert_eq!(error.name(), "Unexpected");

        ensure_service_linked(&world.aws(), EKS).await.unwrap();
        world.forget_calls();
        world.fail_next("GetRole", codes::NO_SUCH_ENTITY, "not found");
        assert_eq!(ensure_service_linked(&world.aws(), EKS).await, Ok(()));
        assert_eq!(world.changes(), [format!("{create}: InvalidInput")]);
    }
}
