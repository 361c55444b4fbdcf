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

/// Makes the role as wanted. A new role cannot be assumed at once: whoever passes it to EKS gets
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
    use serde_json::Value;

    use crate::resources::service_linked_role::EKS;

    const NAME: &str = "hardway-demo-ap-northeast-1-cluster";
    const ARN: &str = "arn:aws:iam::111122223333:role/hardway-demo-ap-northeast-1-cluster";
    const POLICY_ARN: &str = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy";
    const BOUNDARY_ARN: &str = "arn:aws:iam::111122223333:policy/Boundary";

    fn wanted() -> Wanted {
        Wanted::new(&Plan::example(), RoleOf::Cluster)
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
        let outcome = ensure(&aws, &plan_with_boundary(), RoleOf::Cluster).await;
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
        assert_eq!(
            ensure(&aws, &Plan::example(), RoleOf::Cluster).await,
            Ok(ready())
        );
        let calls = [&trust, &attach, &boundary].map(Rule::num_calls);
        assert_eq!(calls, [0, 0, 0]);
    }

    #[tokio::test]
    async fn repairs_trust_policy_and_boundary() {
        let (trust, attach, boundary) = (updates_trust(), attaches(), puts_boundary());
        let drifted = role().assume_role_policy_document("%7B%7D");
        let aws = aws!(&found(drifted), &attached(&[]), &trust, &attach, &boundary);
        assert_eq!(
            ensure(&aws, &plan_with_boundary(), RoleOf::Cluster).await,
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
        assert_eq!(
            ensure(&aws, &Plan::example(), RoleOf::Cluster).await,
            Ok(ready())
        );
        assert_eq!(boundary.num_calls(), 0);

        let aws = aws!(&found(bounded), &attached(&[POLICY_ARN]), &boundary);
        assert_eq!(
            ensure(&aws, &plan_with_boundary(), RoleOf::Cluster).await,
            Ok(ready())
        );
        assert_eq!(boundary.num_calls(), 1);
    }

    #[tokio::test]
    async fn refuses_a_role_of_another_cluster_and_touches_nothing() {
        let (trust, delete) = (updates_trust(), deletes());
        let aws = aws!(&found(role_of("other")), &trust, &delete);
        let error = ensure(&aws, &Plan::example(), RoleOf::Cluster)
            .await
            .unwrap_err();
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
        let error = ensure(&aws, &Plan::example(), RoleOf::Cluster)
            .await
            .unwrap_err();
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
        assert_eq!(
            ensure(&aws, &Plan::example(), RoleOf::Cluster).await,
            Ok(ready())
        );
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
        assert_eq!(ensure_service_linked(&aws, EKS).await, Ok(()));
        assert_eq!(created.num_calls(), 1);

        let created = creates_service_linked();
        let aws = aws!(&found(role_of("other")), &created);
        assert_eq!(ensure_service_linked(&aws, EKS).await, Ok(()));
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
        assert_eq!(ensure_service_linked(&aws, EKS).await, Ok(()));

        let aws = aws!(&missing(), &refused("Unknown service"));
        let error = ensure_service_linked(&aws, EKS).await.unwrap_err();
        assert_eq!(error.name(), "Unexpected");
    }
}
