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
use crate::resources::resource_change::Change;
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
        let compared = access_entry::compare(plan, &seen);
        for (index, admin) in compared.admins.iter().enumerate() {
            let principal = &admin.name;
            match admin.change {
                Change::Create => create(aws, plan, index, principal).await?,
                Change::Replace => renewal::of_admin(aws, plan, index, principal).await?,
                Change::Change => {}
                Change::Keep | Change::Adopt | Change::Remove => continue,
            }
            grant(aws, &plan.target, principal).await?;
        }
        let pods = access_entry::pod_execution_role_arn(&plan.target);
        renewal::of_pods(aws, plan, &pods, seen.entry(&pods)).await?;
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
        .r#type("STANDARD")
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
    use super::*;
    use aws_sdk_eks::Client;
    use aws_sdk_eks::operation::associate_access_policy::AssociateAccessPolicyOutput;
    use aws_sdk_eks::operation::create_access_entry::CreateAccessEntryOutput;
    use aws_sdk_eks::operation::delete_access_entry::DeleteAccessEntryOutput;
    use aws_sdk_eks::operation::describe_access_entry::DescribeAccessEntryOutput;
    use aws_sdk_eks::operation::list_access_entries::ListAccessEntriesOutput;
    use aws_sdk_eks::operation::list_associated_access_policies::ListAssociatedAccessPoliciesOutput;
    use aws_sdk_eks::operation::list_fargate_profiles::ListFargateProfilesOutput;
    use aws_sdk_eks::primitives::DateTime;
    use aws_sdk_eks::types::{AccessEntry, AssociatedAccessPolicy};
    use aws_sdk_iam::operation::get_role::GetRoleOutput;
    use aws_sdk_iam::types::{Role, Tag};
    use aws_smithy_mocks::{Rule, mock};

    use crate::aws::mocks::eks_refusal;

    const ADMIN: &str = "arn:aws:iam::111122223333:role/Admin";
    const FORMER: &str = "arn:aws:iam::111122223333:role/Former";
    const ENTRY_MADE: i64 = 1_000_000;
    const POLICY: &str = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy";

    fn entries(principals: &'static [&'static str]) -> Rule {
        mock!(Client::list_access_entries).then_output(|| {
            let principals = principals.iter().map(|arn| (*arn).to_owned());
            ListAccessEntriesOutput::builder()
                .set_access_entries(Some(principals.collect()))
                .build()
        })
    }

    fn no_cluster() -> Rule {
        mock!(Client::list_access_entries)
            .then_http_response(|| eks_refusal(404, codes::RESOURCE_NOT_FOUND, "No cluster found"))
    }

    /// Entries that carry the tag of cluster `of`, and were made at [`ENTRY_MADE`].
    fn described(of: &'static str) -> Rule {
        mock!(Client::describe_access_entry).then_output(move || {
            let entry = AccessEntry::builder()
                .r#type("STANDARD")
                .created_at(DateTime::from_secs(ENTRY_MADE))
                .tags(tags::CLUSTER, of)
                .build();
            DescribeAccessEntryOutput::builder()
                .access_entry(entry)
                .build()
        })
    }

    fn granted(scopes: &'static [AccessScopeType]) -> Rule {
        mock!(Client::list_associated_access_policies).then_output(|| {
            let policies = scopes.iter().map(|scope| {
                AssociatedAccessPolicy::builder()
                    .policy_arn(POLICY)
                    .access_scope(AccessScope::builder().r#type(scope.clone()).build())
                    .build()
            });
            ListAssociatedAccessPoliciesOutput::builder()
                .set_associated_access_policies(Some(policies.collect()))
                .build()
        })
    }

    fn creates() -> Rule {
        mock!(Client::create_access_entry)
            .match_requests(|call| {
                call.cluster_name() == Some("demo")
                    && call.principal_arn() == Some(ADMIN)
                    && call.r#type() == Some("STANDARD")
                    && call.tags().unwrap()[tags::CLUSTER] == "demo"
                    && call.tags().unwrap()[tags::ROLE] == "access-entry"
            })
            .then_output(|| CreateAccessEntryOutput::builder().build())
    }

    fn grants() -> Rule {
        mock!(Client::associate_access_policy)
            .match_requests(|call| {
                let scope = call.access_scope().unwrap().r#type();
                call.principal_arn() == Some(ADMIN)
                    && call.policy_arn() == Some(POLICY)
                    && scope == Some(&AccessScopeType::Cluster)
            })
            .then_output(|| AssociateAccessPolicyOutput::builder().build())
    }

    fn deletes() -> Rule {
        mock!(Client::delete_access_entry)
            .match_requests(|call| call.principal_arn() == Some(FORMER))
            .then_output(|| DeleteAccessEntryOutput::builder().build())
    }

    fn no_profiles() -> Rule {
        mock!(Client::list_fargate_profiles).then_output(|| {
            let names = Some(vec![]);
            ListFargateProfilesOutput::builder()
                .set_fargate_profile_names(names)
                .build()
        })
    }

    /// All roles were made at that time, and are the cluster's.
    fn roles(made: i64) -> Rule {
        mock!(aws_sdk_iam::Client::get_role).then_output(move || {
            let tag = Tag::builder().key(tags::CLUSTER).value("demo").build();
            let role = Role::builder()
                .path("/")
                .role_name("Admin")
                .role_id("AROAEXAMPLE")
                .arn(ADMIN)
                .create_date(aws_sdk_iam::primitives::DateTime::from_secs(made))
                .tags(tag.unwrap());
            let role = role.build().unwrap();
            GetRoleOutput::builder().role(role).build()
        })
    }

    macro_rules! aws {
        ($($rule:expr),*) => {
            with_roles!(&roles(ENTRY_MADE - 60), $($rule),*)
        };
    }

    macro_rules! with_roles {
        ($roles:expr, $($rule:expr),*) => {
            Aws::offline().with(crate::mocked!(aws_sdk_eks, [$($rule,)* &no_profiles()])).with(crate::mocked!(aws_sdk_iam, [$roles]))
        };
    }

    async fn ensure(aws: Aws) -> Result<Outcome<Output>, Error> {
        ClusterAccess::ensure(&aws, &Plan::example(), NoInput {}).await
    }

    async fn remove(aws: Aws) -> Result<Outcome<Removed>, Error> {
        ClusterAccess::remove(&aws, &Plan::example().target).await
    }

    fn ready() -> Outcome<Output> {
        let admins = vec![ADMIN.to_owned()];
        Outcome::Ready(Output { admins })
    }

    #[tokio::test]
    async fn makes_an_entry_with_the_admin_policy() {
        let (created, associated) = (creates(), grants());
        let aws = aws!(&entries(&[]), &created, &granted(&[]), &associated);
        assert_eq!(ensure(aws).await, Ok(ready()));
        assert_eq!((created.num_calls(), associated.num_calls()), (1, 1));
    }

    #[tokio::test]
    async fn an_administrator_is_left_alone() {
        let (created, associated, deleted) = (creates(), grants(), deletes());
        let aws = aws!(
            &entries(&[ADMIN]),
            &described("demo"),
            &granted(&[AccessScopeType::Cluster]),
            &created,
            &associated,
            &deleted
        );
        assert_eq!(ensure(aws).await, Ok(ready()));
        let calls = [&created, &associated, &deleted].map(Rule::num_calls);
        assert_eq!(calls, [0, 0, 0]);
    }

    #[tokio::test]
    async fn the_policy_for_some_namespaces_is_not_enough() {
        let (created, associated) = (creates(), grants());
        let aws = aws!(
            &entries(&[ADMIN]),
            &described("other"),
            &granted(&[AccessScopeType::Namespace]),
            &created,
            &associated
        );
        assert_eq!(ensure(aws).await, Ok(ready()));
        assert_eq!((created.num_calls(), associated.num_calls()), (0, 1));
    }

    #[tokio::test]
    async fn an_entry_made_meanwhile_is_used() {
        let taken = mock!(Client::create_access_entry)
            .then_http_response(|| eks_refusal(409, codes::RESOURCE_IN_USE, "already in use"));
        let (looked, associated) = (described("demo"), grants());
        let aws = aws!(&entries(&[]), &taken, &looked, &granted(&[]), &associated);
        assert_eq!(ensure(aws).await, Ok(ready()));
        assert_eq!((looked.num_calls(), associated.num_calls()), (1, 1));
    }

    #[tokio::test]
    async fn a_former_administrators_entry_is_deleted_if_it_is_ours() {
        for (owner, deletions) in [("demo", 1), ("other", 0)] {
            let deleted = deletes();
            let aws = aws!(
                &entries(&[ADMIN, FORMER]),
                &granted(&[AccessScopeType::Cluster]),
                &described(owner),
                &deleted
            );
            assert_eq!(ensure(aws).await, Ok(ready()));
            assert_eq!(deleted.num_calls(), deletions, "{owner}");
        }
    }

    fn deletes_any() -> Rule {
        mock!(Client::delete_access_entry)
            .then_output(|| DeleteAccessEntryOutput::builder().build())
    }

    /// The first description is of the old entry, the second of the new one.
    fn described_then_renewed() -> Rule {
        let entry = |made| {
            let made = DateTime::from_secs(made);
            let entry = AccessEntry::builder().created_at(made);
            let entry = entry.tags(tags::CLUSTER, "demo").build();
            DescribeAccessEntryOutput::builder()
                .access_entry(entry)
                .build()
        };
        mock!(Client::describe_access_entry)
            .sequence()
            .output(move || entry(ENTRY_MADE))
            .output(move || entry(ENTRY_MADE + 120))
            .build()
    }

    #[tokio::test]
    async fn an_entry_that_is_older_than_its_role_is_made_again() {
        let (deleted, created, associated) = (deletes_any(), creates(), grants());
        let aws = with_roles!(
            &roles(ENTRY_MADE + 60),
            &entries(&[ADMIN]),
            &described_then_renewed(),
            &deleted,
            &created,
            &granted(&[]),
            &associated
        );
        assert_eq!(ensure(aws).await, Ok(ready()));
        let calls = [&deleted, &created, &associated].map(Rule::num_calls);
        assert_eq!(calls, [1, 1, 1]);
    }

    #[tokio::test]
    async fn an_old_entry_of_somebody_else_is_left_alone() {
        let (deleted, created) = (deletes_any(), creates());
        let aws = with_roles!(
            &roles(ENTRY_MADE + 60),
            &entries(&[ADMIN]),
            &described("other"),
            &deleted,
            &created,
            &granted(&[AccessScopeType::Cluster])
        );
        assert_eq!(ensure(aws).await, Ok(ready()));
        assert_eq!((deleted.num_calls(), created.num_calls()), (0, 0));
    }

    #[tokio::test]
    async fn a_role_that_may_not_be_read_is_taken_to_be_well() {
        let denied = mock!(aws_sdk_iam::Client::get_role).then_http_response(|| {
            crate::aws::mocks::iam_refusal(403, "AccessDenied", "not authorized")
        });
        let deleted = deletes_any();
        let aws = with_roles!(
            &denied,
            &entries(&[ADMIN]),
            &described("demo"),
            &deleted,
            &granted(&[AccessScopeType::Cluster])
        );
        assert_eq!(ensure(aws).await, Ok(ready()));
        assert_eq!(deleted.num_calls(), 0);
    }

    async fn refusal_of_principal(message: &'static str) -> Error {
        let refused = mock!(Client::create_access_entry)
            .then_http_response(move || eks_refusal(400, codes::INVALID_PARAMETER, message));
        let associated = grants();
        let error = ensure(aws!(&entries(&[]), &refused, &associated)).await;
        assert_eq!(associated.num_calls(), 0);
        error.unwrap_err()
    }

    #[tokio::test]
    async fn a_wrong_principal_blames_the_input() {
        let error = refusal_of_principal("The specified principalArn is invalid").await;
        assert_eq!(error.name(), "InvalidRequest");
        let text = error.to_string();
        assert!(text.contains("access.admins[0]"), "{text}");
        assert!(text.contains(ADMIN), "{text}");
    }

    #[tokio::test]
    async fn a_principal_that_does_not_exist_may_be_new() {
        for message in [
            "The principal does not exist",
            "The specified principalArn is invalid: invalid principal.",
        ] {
            let error = refusal_of_principal(message).await;
            assert_eq!(error.name(), "NotYetVisible");
            assert!(error.to_string().contains("access.admins[0]"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_cluster_that_cannot_be_seen_is_waited_for() {
        let created = creates();
        let error = ensure(aws!(&no_cluster(), &created)).await.unwrap_err();
        assert_eq!(error.name(), "NotYetVisible");
        assert_eq!(created.num_calls(), 0);
    }

    #[tokio::test]
    async fn remove_deletes_what_is_ours_only() {
        let deleted = deletes();
        let aws = aws!(&entries(&[FORMER]), &described("demo"), &deleted);
        let removed = remove(aws).await.unwrap().ready().unwrap();
        let resource = Resource::new("AWS::EKS::AccessEntry", FORMER);
        assert_eq!(removed.removed, [resource]);

        let kept = deletes();
        let aws = aws!(&entries(&[FORMER]), &described("other"), &kept);
        assert_eq!(remove(aws).await, Ok(Outcome::Ready(Removed::default())));
        assert_eq!((deleted.num_calls(), kept.num_calls()), (1, 0));
    }

    #[tokio::test]
    async fn remove_without_entry_or_cluster_succeeds() {
        let nothing = Ok(Outcome::Ready(Removed::default()));
        assert_eq!(remove(aws!(&no_cluster())).await, nothing);
        let gone = mock!(Client::delete_access_entry)
            .then_http_response(|| eks_refusal(404, codes::RESOURCE_NOT_FOUND, "no such entry"));
        let aws = aws!(&entries(&[FORMER]), &described("demo"), &gone);
        assert_eq!(remove(aws).await, nothing);
    }
}
