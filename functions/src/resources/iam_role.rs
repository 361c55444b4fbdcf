//! An IAM role that an AWS service assumes, and the service-linked roles beside it.
//!
//! Both roles of a cluster differ only in name, trust and managed policy; what makes them safe to
//! repeat is here once: the name follows from the plan, the tags are set in the create call, and trust,
//! permissions boundary and policy are compared before they are set.
//!
//! A cluster keeps its roles: if the plan's name is not there, one of ours under another prefix is looked
//! for in IAM's list, which shows no tags, by the rest of its name.

use aws_sdk_iam::error::ProvideErrorMetadata;
use aws_sdk_iam::types::Role;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::aws::{Aws, change, codes, list};
use crate::contract::error::required;
use crate::contract::{During, Error, Outcome, Removed, Resource};
use crate::model::names::RoleOf;
use crate::model::{Plan, Target, tags};

/// The longest page of IAM's list of roles (botocore's IAM model, maxItemsType).
const LIST_MAX: i32 = 1000;

/// What a role has to be like.
#[derive(Debug, Clone)]
pub struct ServiceRole {
    /// Which of the cluster's roles it is; its name and path follow from that and the plan.
    pub of: RoleOf,
    /// Value of the tag `hardway:role`.
    pub role: &'static str,
    /// Trust policy: who may assume it.
    pub trust: Value,
    /// ARN of the managed policy that is attached to it.
    pub policy_arn: String,
}

/// A role that AWS defines and that all clusters of the account share. It is never removed.
#[derive(Debug, Clone, Copy)]
pub struct ServiceLinkedRole {
    /// Name of the role.
    pub name: &'static str,
    /// The service that assumes it.
    pub service: &'static str,
}

/// What later steps need of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleOutput {
    /// ARN of the role.
    pub role_arn: String,
}

/// Makes the role as wanted. A new role cannot be assumed at once: whoever passes it to EKS gets
/// [`Error::NotYetVisible`] until IAM has spread it.
///
/// # Errors
/// [`Error::ResourceConflict`] if a role of that name is not ours; what IAM answers otherwise.
pub async fn ensure(
    aws: &Aws,
    plan: &Plan,
    wanted: &ServiceRole,
) -> Result<Outcome<RoleOutput>, Error> {
    let role_arn = match look(aws, &plan.target, wanted.of).await? {
        Some(role) => {
            repair(aws, plan, wanted, &role).await?;
            role.arn
        }
        None => create(aws, plan, wanted).await?.arn,
    };
    Ok(Outcome::Ready(RoleOutput { role_arn }))
}

/// The role under the plan's name, ours or not; else ours under another one.
///
/// # Errors
/// What IAM answers.
pub async fn look(aws: &Aws, target: &Target, of: RoleOf) -> Result<Option<Role>, Error> {
    match find(aws, &of.name(target)).await? {
        Some(role) => Ok(Some(role)),
        None => Ok(find_under_other_names(aws, target, of).await?.pop()),
    }
}

/// All of ours, under whatever name.
///
/// # Errors
/// What IAM answers.
pub async fn find_all(aws: &Aws, target: &Target, of: RoleOf) -> Result<Vec<Role>, Error> {
    let named = find_ours(aws, target, &of.name(target)).await?;
    let others = find_under_other_names(aws, target, of).await?;
    Ok(named.into_iter().chain(others).collect())
}

async fn find_under_other_names(
    aws: &Aws,
    target: &Target,
    of: RoleOf,
) -> Result<Vec<Role>, Error> {
    let pages = aws.iam().list_roles().into_paginator().page_size(LIST_MAX);
    let listed: Result<Vec<Role>, _> = pages.items().send().try_collect().await;
    let known = of.name(target);
    let mut found = vec![];
    for role in listed.during("iam:ListRoles")? {
        let name = role.role_name();
        if name == known || !of.is_named(target, name) {
            continue;
        }
        match find_ours(aws, target, name).await {
            // Its prefix is none of the stack's, so the functions may not even read it.
            Err(Error::AccessDenied(reason)) => {
                tracing::warn!(target: "hardway", role = name, reason, "left alone");
            }
            answer => found.extend(answer?),
        }
    }
    Ok(found)
}

/// Detaches every policy of the cluster's role and deletes it, under whatever name it was made. One that is
/// not ours stays.
///
/// # Errors
/// [`Error::ResourceConflict`] if someone gave the role inline policies or an instance profile; what
/// IAM answers otherwise.
pub async fn remove(aws: &Aws, target: &Target, of: RoleOf) -> Result<Outcome<Removed>, Error> {
    let mut removed = vec![];
    for role in find_all(aws, target, of).await? {
        removed.extend(remove_one(aws, role.role_name()).await?);
    }
    Ok(Outcome::Ready(Removed { removed }))
}

/// The role, if this call deleted it.
async fn remove_one(aws: &Aws, name: &str) -> Result<Option<Resource>, Error> {
    for policy_arn in attached_policies(aws, name).await? {
        detach(aws, name, &policy_arn).await?;
    }
    remove_inline_policies(aws, name).await?;
    let call = aws.iam().delete_role().role_name(name);
    match change("iam:DeleteRole", name, call.send()).await {
        Err(error) if error.code() == Some(codes::NO_SUCH_ENTITY) => return Ok(None),
        Err(error) if error.code() == Some(codes::DELETE_CONFLICT) => {
            return Err(Error::ResourceConflict(format!(
                "IAM role {name} has something that hardway did not give it: {}",
                error.message().unwrap_or("no message")
            )));
        }
        answer => answer.during("iam:DeleteRole")?,
    };
    Ok(Some(Resource::new("AWS::IAM::Role", name)))
}

/// Inline policies that others gave the role go with it, as attachments do.
async fn remove_inline_policies(aws: &Aws, name: &str) -> Result<(), Error> {
    let call = aws.iam().list_role_policies().role_name(name);
    for policy in list!(call).await.during("iam:ListRolePolicies")? {
        let call = aws.iam().delete_role_policy().role_name(name);
        let call = call.policy_name(&policy);
        match change("iam:DeleteRolePolicy", &policy, call.send()).await {
            Err(error) if error.code() == Some(codes::NO_SUCH_ENTITY) => {}
            answer => {
                answer.during("iam:DeleteRolePolicy")?;
            }
        }
    }
    Ok(())
}

/// Makes sure that a service-linked role exists.
///
/// EKS would make it on demand and then fail the first time in a new account, because the role has not
/// spread yet. Made early, its propagation hides behind the VPC.
///
/// # Errors
/// What IAM answers.
pub async fn ensure_service_linked(aws: &Aws, role: ServiceLinkedRole) -> Result<(), Error> {
    if find(aws, role.name).await?.is_some() {
        return Ok(());
    }
    let call = aws
        .iam()
        .create_service_linked_role()
        .aws_service_name(role.service);
    match change("iam:CreateServiceLinkedRole", role.name, call.send()).await {
        Err(error) if is_taken(&error) => {}
        answer => {
            answer.during("iam:CreateServiceLinkedRole")?;
        }
    }
    Ok(())
}

fn is_taken(error: &impl ProvideErrorMetadata) -> bool {
    error.code() == Some(codes::INVALID_INPUT)
        && error
            .message()
            .is_some_and(|message| message.contains(codes::SERVICE_LINKED_ROLE_EXISTS_MESSAGE))
}

/// The role of that name, if it is ours.
///
/// # Errors
/// What IAM answers.
pub async fn find_ours(aws: &Aws, target: &Target, name: &str) -> Result<Option<Role>, Error> {
    let role = find(aws, name).await?;
    Ok(role.filter(|role| tags::iam_is_ours(role.tags(), target)))
}

/// The role with that name, ours or not; none if there is none.
///
/// # Errors
/// What IAM answers otherwise.
pub async fn find(aws: &Aws, name: &str) -> Result<Option<Role>, Error> {
    match aws.iam().get_role().role_name(name).send().await {
        Err(error) if error.code() == Some(codes::NO_SUCH_ENTITY) => Ok(None),
        answer => required(answer.during("iam:GetRole")?.role, "iam:GetRole: Role").map(Some),
    }
}

fn require_ours(role: &Role, target: &Target) -> Result<(), Error> {
    if tags::iam_is_ours(role.tags(), target) {
        return Ok(());
    }
    Err(tags::not_ours(
        &format!("IAM role {}", role.role_name()),
        target,
    ))
}

async fn create(aws: &Aws, plan: &Plan, wanted: &ServiceRole) -> Result<Role, Error> {
    let name = &wanted.of.name(&plan.target);
    let call = aws
        .iam()
        .create_role()
        .role_name(name)
        .path(wanted.of.path(&plan.target))
        .assume_role_policy_document(wanted.trust.to_string())
        .set_permissions_boundary(plan.permissions_boundary_arn.clone())
        .set_tags(Some(tags::iam(plan, wanted.role)?));
    let role = match change("iam:CreateRole", name, call.send()).await {
        // An earlier attempt made it and GetRole does not see it yet.
        Err(error) if error.code() == Some(codes::ENTITY_ALREADY_EXISTS) => {
            return Err(Error::NotYetVisible(format!(
                "IAM role {name} exists but cannot be read yet"
            )));
        }
        answer => required(
            answer.during("iam:CreateRole")?.role,
            "iam:CreateRole: Role",
        )?,
    };
    attach(aws, name, wanted).await?;
    Ok(role)
}

async fn repair(aws: &Aws, plan: &Plan, wanted: &ServiceRole, role: &Role) -> Result<(), Error> {
    require_ours(role, &plan.target)?;
    let name = role.role_name();
    if !trusts(role, &wanted.trust) {
        update_trust(aws, name, wanted).await?;
    }
    // A boundary that the plan does not ask for is someone's deliberate limit: it stays.
    let boundary = role
        .permissions_boundary()
        .and_then(|boundary| boundary.permissions_boundary_arn());
    if let Some(wanted_arn) = &plan.permissions_boundary_arn
        && boundary != Some(wanted_arn)
    {
        put_boundary(aws, name, wanted_arn).await?;
    }
    if !attached_policies(aws, name)
        .await?
        .contains(&wanted.policy_arn)
    {
        attach(aws, name, wanted).await?;
    }
    Ok(())
}

/// Whether the trust policy is the wanted one. IAM returns it percent-encoded and with its own
/// spacing, so it is compared as JSON.
fn trusts(role: &Role, wanted: &Value) -> bool {
    role.assume_role_policy_document()
        .and_then(|document| percent_decode_str(document).decode_utf8().ok())
        .and_then(|document| serde_json::from_str::<Value>(&document).ok())
        .is_some_and(|trust| trust == *wanted)
}

async fn update_trust(aws: &Aws, name: &str, wanted: &ServiceRole) -> Result<(), Error> {
    let call = aws
        .iam()
        .update_assume_role_policy()
        .role_name(name)
        .policy_document(wanted.trust.to_string());
    change("iam:UpdateAssumeRolePolicy", name, call.send())
        .await
        .during("iam:UpdateAssumeRolePolicy")?;
    Ok(())
}

async fn put_boundary(aws: &Aws, name: &str, boundary_arn: &str) -> Result<(), Error> {
    let call = aws
        .iam()
        .put_role_permissions_boundary()
        .role_name(name)
        .permissions_boundary(boundary_arn);
    change("iam:PutRolePermissionsBoundary", name, call.send())
        .await
        .during("iam:PutRolePermissionsBoundary")?;
    Ok(())
}

/// ARNs of the managed policies that are attached to the role with this name.
///
/// # Errors
/// What IAM answers, that there is no such role included.
pub async fn attached_policies(aws: &Aws, name: &str) -> Result<Vec<String>, Error> {
    let pages = aws.iam().list_attached_role_policies().role_name(name);
    let policies = list!(pages).await.during("iam:ListAttachedRolePolicies")?;
    Ok(policies
        .into_iter()
        .filter_map(|policy| policy.policy_arn)
        .collect())
}

async fn attach(aws: &Aws, name: &str, wanted: &ServiceRole) -> Result<(), Error> {
    let call = aws
        .iam()
        .attach_role_policy()
        .role_name(name)
        .policy_arn(&wanted.policy_arn);
    change("iam:AttachRolePolicy", name, call.send())
        .await
        .during("iam:AttachRolePolicy")?;
    Ok(())
}

async fn detach(aws: &Aws, name: &str, policy_arn: &str) -> Result<(), Error> {
    let call = aws
        .iam()
        .detach_role_policy()
        .role_name(name)
        .policy_arn(policy_arn);
    match change("iam:DetachRolePolicy", name, call.send()).await {
        Err(error) if error.code() == Some(codes::NO_SUCH_ENTITY) => {}
        answer => {
            answer.during("iam:DetachRolePolicy")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::mocks::iam_refusal;
    use aws_sdk_iam::Client;
    use aws_sdk_iam::operation::attach_role_policy::AttachRolePolicyOutput;
    use aws_sdk_iam::operation::create_role::CreateRoleOutput;
    use aws_sdk_iam::operation::create_service_linked_role::CreateServiceLinkedRoleOutput;
    use aws_sdk_iam::operation::delete_role::DeleteRoleOutput;
    use aws_sdk_iam::operation::delete_role_policy::DeleteRolePolicyOutput;
    use aws_sdk_iam::operation::detach_role_policy::DetachRolePolicyOutput;
    use aws_sdk_iam::operation::get_role::GetRoleOutput;
    use aws_sdk_iam::operation::list_attached_role_policies::ListAttachedRolePoliciesOutput;
    use aws_sdk_iam::operation::list_role_policies::ListRolePoliciesOutput;
    use aws_sdk_iam::operation::list_roles::ListRolesOutput;
    use aws_sdk_iam::operation::put_role_permissions_boundary::PutRolePermissionsBoundaryOutput;
    use aws_sdk_iam::operation::update_assume_role_policy::UpdateAssumeRolePolicyOutput;
    use aws_sdk_iam::primitives::DateTime;
    use aws_sdk_iam::types::builders::RoleBuilder;
    use aws_sdk_iam::types::{AttachedPermissionsBoundary, AttachedPolicy, Tag};
    use aws_smithy_mocks::{Rule, mock};
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use serde_json::json;

    const NAME: &str = "hardway-demo-ap-northeast-1-cluster";
    const ARN: &str = "arn:aws:iam::111122223333:role/hardway-demo-ap-northeast-1-cluster";
    const POLICY_ARN: &str = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy";
    const BOUNDARY_ARN: &str = "arn:aws:iam::111122223333:policy/Boundary";
    const SERVICE_LINKED: ServiceLinkedRole = ServiceLinkedRole {
        name: "AWSServiceRoleForAmazonEKS",
        service: "eks.amazonaws.com",
    };

    fn wanted() -> ServiceRole {
        ServiceRole {
            of: RoleOf::Cluster,
            role: "cluster-role",
            trust: json!({"Statement": [{"Principal": {"Service": "eks.amazonaws.com"}}]}),
            policy_arn: POLICY_ARN.to_owned(),
        }
    }

    fn plan_with_boundary() -> Plan {
        let mut plan = Plan::example();
        plan.permissions_boundary_arn = Some(BOUNDARY_ARN.to_owned());
        plan
    }

    /// A role of cluster `demo`, or of whichever is given, that trusts whom it should.
    fn role_of(cluster: &str) -> RoleBuilder {
        // IAM's own spacing, percent-encoded.
        let trust = format!("{:#}", wanted().trust);
        Role::builder()
            .path("/")
            .role_name(NAME)
            .role_id("AROAEXAMPLE")
            .arn(ARN)
            .create_date(DateTime::from_secs(0))
            .assume_role_policy_document(utf8_percent_encode(&trust, NON_ALPHANUMERIC).to_string())
            .tags(
                Tag::builder()
                    .key(tags::CLUSTER)
                    .value(cluster)
                    .build()
                    .unwrap(),
            )
    }

    fn role() -> RoleBuilder {
        role_of("demo")
    }

    fn found(role: RoleBuilder) -> Rule {
        mock!(Client::get_role).then_output(move || {
            let role = role.clone().build().unwrap();
            GetRoleOutput::builder().role(role).build()
        })
    }

    fn missing() -> Rule {
        mock!(Client::get_role)
            .then_http_response(|| iam_refusal(404, codes::NO_SUCH_ENTITY, "not found"))
    }

    fn attached(arns: &'static [&'static str]) -> Rule {
        mock!(Client::list_attached_role_policies).then_output(|| {
            let policies = arns
                .iter()
                .map(|arn| AttachedPolicy::builder().policy_arn(*arn).build());
            ListAttachedRolePoliciesOutput::builder()
                .set_attached_policies(Some(policies.collect()))
                .is_truncated(false)
                .build()
        })
    }

    fn has_inline(names: &'static [&'static str]) -> Rule {
        mock!(Client::list_role_policies).then_output(|| {
            let names = names.iter().map(ToString::to_string);
            ListRolePoliciesOutput::builder()
                .set_policy_names(Some(names.collect()))
                .is_truncated(false)
                .build()
                .unwrap()
        })
    }

    fn deletes_inline() -> Rule {
        mock!(Client::delete_role_policy)
            .match_requests(|call| call.policy_name() == Some("theirs"))
            .then_output(|| DeleteRolePolicyOutput::builder().build())
    }

    fn attaches() -> Rule {
        mock!(Client::attach_role_policy)
            .match_requests(|call| {
                call.role_name() == Some(NAME) && call.policy_arn() == Some(POLICY_ARN)
            })
            .then_output(|| AttachRolePolicyOutput::builder().build())
    }

    fn updates_trust() -> Rule {
        mock!(Client::update_assume_role_policy)
            .match_requests(|call| {
                let document = call.policy_document().unwrap();
                serde_json::from_str::<Value>(document).unwrap() == wanted().trust
            })
            .then_output(|| UpdateAssumeRolePolicyOutput::builder().build())
    }

    fn puts_boundary() -> Rule {
        mock!(Client::put_role_permissions_boundary)
            .match_requests(|call| call.permissions_boundary() == Some(BOUNDARY_ARN))
            .then_output(|| PutRolePermissionsBoundaryOutput::builder().build())
    }

    fn detaches() -> Rule {
        mock!(Client::detach_role_policy).then_output(|| DetachRolePolicyOutput::builder().build())
    }

    fn deletes() -> Rule {
        mock!(Client::delete_role).then_output(|| DeleteRoleOutput::builder().build())
    }

    fn lists(names: &'static [&'static str]) -> Rule {
        mock!(Client::list_roles).then_output(|| {
            let roles = names
                .iter()
                .map(|name| role().role_name(*name).build().unwrap());
            ListRolesOutput::builder()
                .set_roles(Some(roles.collect()))
                .build()
                .unwrap()
        })
    }

    /// An account in whose list are roles that are not the cluster's.
    macro_rules! aws {
        ($($rule:expr),*) => {
            aws!(listing &["Admin", "hardway-other-ap-northeast-1-cluster"]; $($rule),*)
        };
        (listing $names:expr; $($rule:expr),*) => {{
            let (listed, inline) = (lists($names), has_inline(&["theirs"]));
            let (listing, gone) = (&listed, deletes_inline());
            Aws::offline().with(crate::mocked!(aws_sdk_iam, [listing, &inline, &gone, $($rule),*]))
        }};
    }

    fn ready() -> Outcome<RoleOutput> {
        Outcome::Ready(RoleOutput {
            role_arn: ARN.to_owned(),
        })
    }

    #[tokio::test]
    async fn creates_a_role_with_trust_boundary_and_tags_in_one_call() {
        let created = mock!(Client::create_role)
            .match_requests(|call| {
                let tag = |key: &str, value: &str| {
                    let mut tags = call.tags().iter();
                    tags.any(|tag| tag.key() == key && tag.value() == value)
                };
                call.role_name() == Some(NAME)
                    && call.permissions_boundary() == Some(BOUNDARY_ARN)
                    && call.assume_role_policy_document() == Some(&wanted().trust.to_string())
                    && tag(tags::CLUSTER, "demo")
                    && tag(tags::ROLE, "cluster-role")
            })
            .then_output(|| {
                let role = role().build().unwrap();
                CreateRoleOutput::builder().role(role).build()
            });
        let attached = attaches();
        let aws = aws!(&missing(), &created, &attached);
        let outcome = ensure(&aws, &plan_with_boundary(), &wanted()).await;
        assert_eq!(outcome, Ok(ready()));
        assert_eq!((created.num_calls(), attached.num_calls()), (1, 1));
    }

    #[tokio::test]
    async fn a_role_that_is_as_wanted_is_left_alone() {
        let (trust, attach, boundary) = (updates_trust(), attaches(), puts_boundary());
        let aws = aws!(
            &found(role()),
            &attached(&[POLICY_ARN]),
            &trust,
            &attach,
            &boundary
        );
        assert_eq!(ensure(&aws, &Plan::example(), &wanted()).await, Ok(ready()));
        let calls = [&trust, &attach, &boundary].map(Rule::num_calls);
        assert_eq!(calls, [0, 0, 0]);
    }

    #[tokio::test]
    async fn repairs_trust_policy_and_boundary() {
        let (trust, attach, boundary) = (updates_trust(), attaches(), puts_boundary());
        let drifted = role().assume_role_policy_document("%7B%7D");
        let aws = aws!(&found(drifted), &attached(&[]), &trust, &attach, &boundary);
        assert_eq!(
            ensure(&aws, &plan_with_boundary(), &wanted()).await,
            Ok(ready())
        );
        let calls = [&trust, &attach, &boundary].map(Rule::num_calls);
        assert_eq!(calls, [1, 1, 1]);
    }

    #[tokio::test]
    async fn a_boundary_that_the_plan_does_not_know_stays() {
        let limit = AttachedPermissionsBoundary::builder()
            .permissions_boundary_arn("arn:aws:iam::111122223333:policy/Stricter")
            .build();
        let bounded = role().permissions_boundary(limit);
        let boundary = puts_boundary();
        let aws = aws!(&found(bounded.clone()), &attached(&[POLICY_ARN]), &boundary);
        assert_eq!(ensure(&aws, &Plan::example(), &wanted()).await, Ok(ready()));
        assert_eq!(boundary.num_calls(), 0);

        let aws = aws!(&found(bounded), &attached(&[POLICY_ARN]), &boundary);
        assert_eq!(
            ensure(&aws, &plan_with_boundary(), &wanted()).await,
            Ok(ready())
        );
        assert_eq!(boundary.num_calls(), 1);
    }

    #[tokio::test]
    async fn refuses_a_role_of_another_cluster_and_touches_nothing() {
        let (trust, delete) = (updates_trust(), deletes());
        let aws = aws!(&found(role_of("other")), &trust, &delete);
        let error = ensure(&aws, &Plan::example(), &wanted()).await.unwrap_err();
        assert_eq!(error.name(), "ResourceConflict");
        assert!(error.to_string().contains(NAME), "{error}");
        let removed = remove(&aws, &Plan::example().target, RoleOf::Cluster).await;
        assert_eq!(removed, Ok(Outcome::Ready(Removed::default())));
        assert_eq!((trust.num_calls(), delete.num_calls()), (0, 0));
    }

    #[tokio::test]
    async fn a_name_that_was_taken_a_moment_ago_is_looked_at_again() {
        let taken = mock!(Client::create_role)
            .then_http_response(|| iam_refusal(409, codes::ENTITY_ALREADY_EXISTS, "exists"));
        let attach = attaches();
        let aws = aws!(&missing(), &taken, &attach);
        let error = ensure(&aws, &Plan::example(), &wanted()).await.unwrap_err();
        assert_eq!(error.name(), "NotYetVisible");
        assert_eq!(attach.num_calls(), 0);
    }

    #[tokio::test]
    async fn remove_detaches_every_policy_first() {
        let (detach, delete) = (detaches(), deletes());
        let aws = aws!(
            &found(role()),
            &attached(&[POLICY_ARN, "arn:aws:iam::aws:policy/ReadOnlyAccess"]),
            &detach,
            &delete
        );
        let removed = remove(&aws, &Plan::example().target, RoleOf::Cluster)
            .await
            .unwrap();
        let resource = Resource::new("AWS::IAM::Role", NAME);
        assert_eq!(removed.ready().unwrap().removed, [resource]);
        assert_eq!((detach.num_calls(), delete.num_calls()), (2, 1));
    }

    #[tokio::test]
    async fn remove_of_a_missing_role_succeeds() {
        let delete = deletes();
        let aws = aws!(&missing(), &delete);
        let removed = remove(&aws, &Plan::example().target, RoleOf::Cluster).await;
        assert_eq!(removed, Ok(Outcome::Ready(Removed::default())));
        assert_eq!(delete.num_calls(), 0);
    }

    const OF_BEFORE: &str = "hardway-team-demo-ap-northeast-1-cluster";

    /// Of all names, only that one is of a role.
    fn only_under(name: &'static str) -> [Rule; 2] {
        let there = mock!(Client::get_role)
            .match_requests(move |call| call.role_name() == Some(name))
            .then_output(move || {
                let role = role().role_name(name).build().unwrap();
                GetRoleOutput::builder().role(role).build()
            });
        let missing = mock!(Client::get_role)
            .match_requests(move |call| call.role_name() != Some(name))
            .then_http_response(|| iam_refusal(404, codes::NO_SUCH_ENTITY, "not found"));
        [there, missing]
    }

    #[tokio::test]
    async fn a_cluster_keeps_the_role_that_was_made_under_another_prefix() {
        let [there, elsewhere] = only_under(OF_BEFORE);
        let attach = mock!(Client::attach_role_policy)
            .match_requests(|call| call.role_name() == Some(OF_BEFORE))
            .then_output(|| AttachRolePolicyOutput::builder().build());
        let aws = aws!(listing &["Admin", OF_BEFORE]; &there, &elsewhere, &attached(&[]), &attach);
        assert_eq!(ensure(&aws, &Plan::example(), &wanted()).await, Ok(ready()));
        assert_eq!(attach.num_calls(), 1);
    }

    #[tokio::test]
    async fn remove_finds_the_role_under_every_prefix() {
        let [there, elsewhere] = only_under(OF_BEFORE);
        let delete = mock!(Client::delete_role)
            .match_requests(|call| call.role_name() == Some(OF_BEFORE))
            .then_output(|| DeleteRoleOutput::builder().build());
        let aws = aws!(listing &[OF_BEFORE]; &there, &elsewhere, &attached(&[]), &delete);
        let removed = remove(&aws, &Plan::example().target, RoleOf::Cluster).await;
        let resource = Resource::new("AWS::IAM::Role", OF_BEFORE);
        assert_eq!(removed.unwrap().ready().unwrap().removed, [resource]);
    }

    #[tokio::test]
    async fn a_role_that_may_not_be_read_is_left_alone() {
        let missing = mock!(Client::get_role)
            .match_requests(|call| call.role_name() == Some(NAME))
            .then_http_response(|| iam_refusal(404, codes::NO_SUCH_ENTITY, "not found"));
        let denied = mock!(Client::get_role)
            .match_requests(|call| call.role_name() == Some(OF_BEFORE))
            .then_http_response(|| iam_refusal(403, "AccessDenied", "not authorized"));
        let delete = deletes();
        let aws = aws!(listing &[OF_BEFORE]; &missing, &denied, &delete);
        let removed = remove(&aws, &Plan::example().target, RoleOf::Cluster).await;
        assert_eq!(removed, Ok(Outcome::Ready(Removed::default())));
        assert_eq!((denied.num_calls(), delete.num_calls()), (1, 0));
    }

    #[tokio::test]
    async fn remove_reports_what_a_person_gave_the_role() {
        let refused = mock!(Client::delete_role).then_http_response(|| {
            iam_refusal(409, codes::DELETE_CONFLICT, "must delete policies first")
        });
        let aws = aws!(&found(role()), &attached(&[]), &refused);
        let error = remove(&aws, &Plan::example().target, RoleOf::Cluster)
            .await
            .unwrap_err();
        assert_eq!(error.name(), "ResourceConflict");
        assert!(error.to_string().contains("must delete policies first"));
    }

    fn creates_service_linked() -> Rule {
        mock!(Client::create_service_linked_role)
            .match_requests(|call| call.aws_service_name() == Some("eks.amazonaws.com"))
            .then_output(|| CreateServiceLinkedRoleOutput::builder().build())
    }

    #[tokio::test]
    async fn a_service_linked_role_is_made_once_for_all_clusters() {
        let created = creates_service_linked();
        let aws = aws!(&missing(), &created);
        assert_eq!(ensure_service_linked(&aws, SERVICE_LINKED).await, Ok(()));
        assert_eq!(created.num_calls(), 1);

        let created = creates_service_linked();
        let aws = aws!(&found(role_of("other")), &created);
        assert_eq!(ensure_service_linked(&aws, SERVICE_LINKED).await, Ok(()));
        assert_eq!(created.num_calls(), 0);
    }

    #[tokio::test]
    async fn a_service_linked_role_that_has_been_taken_exists() {
        let refused = |message: &'static str| {
            mock!(Client::create_service_linked_role)
                .then_http_response(move || iam_refusal(400, codes::INVALID_INPUT, message))
        };
        let taken = "Service role name AWSServiceRoleForAmazonEKS has been taken in this account";
        let aws = aws!(&missing(), &refused(taken));
        assert_eq!(ensure_service_linked(&aws, SERVICE_LINKED).await, Ok(()));

        let aws = aws!(&missing(), &refused("Unknown service"));
        let error = ensure_service_linked(&aws, SERVICE_LINKED)
            .await
            .unwrap_err();
        assert_eq!(error.name(), "Unexpected");
    }
}
