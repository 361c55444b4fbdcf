//! The IAM roles of a cluster: the control plane's, and the one with which Fargate pulls images.
//!
//! IAM finds no role by its tags. A role's name follows from the plan; if there is none of that name, one of ours
//! under another prefix is looked for in IAM's list, which shows no tags, by the rest of its name: a cluster keeps
//! its roles.

use aws_sdk_iam::error::ProvideErrorMetadata;
use aws_sdk_iam::types::{AttachedPermissionsBoundary, Role};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::aws::{Aws, codes, list};
use crate::contract::error::required;
use crate::contract::{During, Error};
use crate::model::names::{self, RoleOf};
use crate::model::{Plan, Target, tags};
use crate::resources::resource_change::{Change, Difference, ResourceChange};

/// CloudFormation's type name.
pub(crate) const KIND: &str = "AWS::IAM::Role";

/// The longest page of IAM's list of roles (botocore's IAM model, maxItemsType).
const LIST_MAX: i32 = 1000;

const LIST: &str = "iam:ListRoles";

/// What a role has to be like.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// Its name, if it is to be made.
    pub name: String,
    pub path: String,
    /// Value of the tag `hardway:role`.
    pub role: &'static str,
    /// Trust policy: who may assume it.
    pub trust: Value,
    /// ARN of the managed policy that is attached to it.
    pub policy_arn: String,
    pub boundary_arn: Option<String>,
}

/// What there is.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The role under the plan's name, ours or not; else ours under another one.
    role: Option<Role>,
    /// ARNs of the policies that are attached to it; not looked for where it is not ours.
    attached: Vec<String>,
}

/// What there is beside the plan.
#[derive(Debug)]
pub(crate) struct Compared<'a> {
    pub wanted: &'a Wanted,
    /// The one to keep.
    pub kept: Option<&'a Role>,
    /// That it trusts somebody else.
    pub trust: Option<Difference>,
    /// That it lacks the boundary.
    pub boundary: Option<Difference>,
    /// That it lacks the policy.
    pub policy: Option<Difference>,
}

/// The role with that name, ours or not; none if there is none.
pub(crate) async fn find(aws: &Aws, name: &str) -> Result<Option<Role>, Error> {
    match aws.iam().get_role().role_name(name).send().await {
        Err(error) if error.code() == Some(codes::NO_SUCH_ENTITY) => Ok(None),
        answer => required(answer.during("iam:GetRole")?.role, "iam:GetRole: Role").map(Some),
    }
}

/// The account's roles below a path, without their tags, which IAM's list does not show; all if there is no path.
pub(crate) async fn find_below(aws: &Aws, path: Option<&str>) -> Result<Vec<Role>, Error> {
    let call = aws.iam().list_roles().max_items(LIST_MAX);
    let call = call.set_path_prefix(path.map(ToOwned::to_owned));
    list!(call).await.during(LIST)
}

/// Asks for one role, whichever: whether IAM answers in an account that may be new.
pub(crate) async fn probe(aws: &Aws, target: &Target) -> Result<(), Error> {
    let roles = aws.iam().list_roles().max_items(1).send().await;
    roles.during_first(LIST, target).map(drop)
}

/// The role with that name, if it is ours.
pub(crate) async fn find_if_ours(
    aws: &Aws,
    target: &Target,
    name: &str,
) -> Result<Option<Role>, Error> {
    let role = find(aws, name).await?;
    Ok(role.filter(|role| tags::iam_is_ours(role.tags(), target)))
}

/// All of ours, under whatever name.
pub(crate) async fn find_ours(aws: &Aws, target: &Target, of: RoleOf) -> Result<Vec<Role>, Error> {
    let named = find_if_ours(aws, target, &of.name(target)).await?;
    let others = find_under_other_names(aws, target, of).await?;
    Ok(named.into_iter().chain(others).collect())
}

async fn find_under_other_names(
    aws: &Aws,
    target: &Target,
    of: RoleOf,
) -> Result<Vec<Role>, Error> {
    let known = of.name(target);
    let mut found = vec![];
    for role in find_below(aws, None).await? {
        let name = role.role_name();
        if name == known || !of.is_named(target, name) {
            continue;
        }
        match find_if_ours(aws, target, name).await {
            // Its prefix is none of the stack's, so the functions may not even read it.
            Err(Error::AccessDenied(reason)) => {
                tracing::warn!(target: "hardway", role = name, reason, "left alone");
            }
            answer => found.extend(answer?),
        }
    }
    Ok(found)
}

/// ARNs of the managed policies that are attached to the role with this name.
///
/// # Errors
/// What IAM answers, that there is no such role included.
pub(crate) async fn find_attached_policies(aws: &Aws, name: &str) -> Result<Vec<String>, Error> {
    let call = aws.iam().list_attached_role_policies().role_name(name);
    let policies = list!(call).await.during("iam:ListAttachedRolePolicies")?;
    let arns = policies.into_iter().filter_map(|policy| policy.policy_arn);
    Ok(arns.collect())
}

/// Names of the inline policies of the role with this name.
///
/// # Errors
/// What IAM answers, that there is no such role included.
pub(crate) async fn find_inline_policies(aws: &Aws, name: &str) -> Result<Vec<String>, Error> {
    let call = aws.iam().list_role_policies().role_name(name);
    list!(call).await.during("iam:ListRolePolicies")
}

/// Looks at the role under the plan's name, else at ours under another one.
pub(crate) async fn observe(aws: &Aws, target: &Target, of: RoleOf) -> Result<Seen, Error> {
    let role = match find(aws, &of.name(target)).await? {
        Some(role) => Some(role),
        None => find_under_other_names(aws, target, of).await?.pop(),
    };
    let attached = match &role {
        Some(role) if tags::iam_is_ours(role.tags(), target) => {
            find_attached_policies(aws, role.role_name()).await?
        }
        _ => vec![],
    };
    Ok(Seen { role, attached })
}

/// Says what is to be done.
///
/// # Errors
/// [`Error::ResourceConflict`] if the role of that name is not ours.
pub(crate) fn compare<'a>(
    target: &Target,
    wanted: &'a Wanted,
    seen: &'a Seen,
) -> Result<Compared<'a>, Error> {
    let kept = seen.role.as_ref();
    if let Some(role) = kept
        && !tags::iam_is_ours(role.tags(), target)
    {
        let what = format!("IAM role {}", role.role_name());
        return Err(tags::not_ours(&what, target));
    }
    let trust = kept.and_then(trust_of);
    let is_trusting = trust.as_ref() == Some(&wanted.trust);
    // A boundary that the plan does not ask for is someone's deliberate limit: it stays.
    let boundary = kept.and_then(boundary_of);
    let wanted_boundary = wanted.boundary_arn.as_deref().or(boundary);
    let is_attached = seen.attached.contains(&wanted.policy_arn);
    let attached = (!seen.attached.is_empty()).then(|| seen.attached.join(", "));
    let is = |text: Option<String>| text.unwrap_or_else(|| "(none)".to_owned());
    Ok(Compared {
        wanted,
        kept,
        trust: (!is_trusting).then(|| {
            let trust = is(trust.as_ref().map(Value::to_string));
            Difference::new("AssumeRolePolicyDocument", trust, wanted.trust.to_string())
        }),
        boundary: Difference::between(
            "PermissionsBoundary",
            boundary.unwrap_or("(none)"),
            wanted_boundary.unwrap_or("(none)"),
        ),
        policy: (!is_attached)
            .then(|| Difference::new("ManagedPolicyArns", is(attached), &wanted.policy_arn)),
    })
}

impl Wanted {
    pub fn new(plan: &Plan, of: RoleOf) -> Self {
        let target = &plan.target;
        let (role, trust, policy) = match of {
            RoleOf::Cluster => (
                "cluster-role",
                trusting("eks.amazonaws.com", None),
                "AmazonEKSClusterPolicy",
            ),
            RoleOf::PodExecution => (
                "pod-execution-role",
                trusting("eks-fargate-pods.amazonaws.com", Some(profiles_of(target))),
                "AmazonEKSFargatePodExecutionRolePolicy",
            ),
        };
        Self {
            name: of.name(target),
            path: of.path(target).to_owned(),
            role,
            trust,
            policy_arn: format!("arn:{}:iam::aws:policy/{policy}", target.partition),
            boundary_arn: plan.permissions_boundary_arn.clone(),
        }
    }
}

/// A trust policy for a service, and for these resources of it only, if any are named.
fn trusting(service: &str, source_arns: Option<String>) -> Value {
    let mut statement = json!({
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
    });
    if let Some(arns) = source_arns {
        statement["Condition"] = json!({"ArnLike": {"aws:SourceArn": arns}});
    }
    json!({"Version": "2012-10-17", "Statement": [statement]})
}

/// The ARNs of all Fargate profiles of the cluster, as a pattern: no other account's or cluster's profile can have
/// the role used for it (the confused deputy).
fn profiles_of(target: &Target) -> String {
    format!(
        "arn:{}:eks:{}:{}:fargateprofile/{}/*",
        target.partition, target.region, target.account.id, target.cluster_name
    )
}

impl Compared<'_> {
    /// The same for a person.
    pub fn change(&self) -> ResourceChange {
        let Some(role) = self.kept else {
            return ResourceChange::new(KIND, &self.wanted.name, Change::Create);
        };
        let differences = [&self.trust, &self.boundary, &self.policy];
        let differences = differences.into_iter().flatten().cloned();
        ResourceChange::of(KIND, role.role_name(), differences.collect())
    }

    /// The ARN of the one to keep, else that of the one to make.
    pub fn arn(&self, target: &Target) -> String {
        let Wanted { path, name, .. } = self.wanted;
        match self.kept {
            Some(role) => role.arn.clone(),
            None => names::role_arn(target, &format!("{}{name}", path.trim_start_matches('/'))),
        }
    }
}

/// The trust policy, which IAM returns percent-encoded and with its own spacing.
fn trust_of(role: &Role) -> Option<Value> {
    let document = percent_decode_str(role.assume_role_policy_document()?);
    serde_json::from_str(&document.decode_utf8().ok()?).ok()
}

fn boundary_of(role: &Role) -> Option<&str> {
    role.permissions_boundary()
        .and_then(AttachedPermissionsBoundary::permissions_boundary_arn)
}

/// The name of the role that an ARN stands for, if it is one of the account that IAM can be asked about.
pub(crate) fn name_in_arn<'a>(account_id: &str, arn: &'a str) -> Option<&'a str> {
    let mut parts = arn.splitn(6, ':').skip(4);
    let is_own = parts.next() == Some(account_id);
    let name = parts.next()?.strip_prefix("role/")?;
    is_own.then(|| name.rsplit('/').next()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_iam::primitives::DateTime;
    use aws_sdk_iam::types::Tag;

    const BOUNDARY: &str = "arn:aws:iam::111122223333:policy/Boundary";

    fn wanted(of: RoleOf) -> Wanted {
        Wanted::new(&Plan::example(), of)
    }

    /// A pod execution role of ours with that trust policy and these policies.
    fn seen(trust: &Value, attached: &[&str]) -> Seen {
        let tag = Tag::builder().key(tags::CLUSTER).value("demo").build();
        let role = Role::builder()
            .path("/")
            .role_name("earlier-demo-ap-northeast-1-pod-execution")
            .role_id("AROAEXAMPLE")
            .arn("arn:aws:iam::111122223333:role/earlier-demo-ap-northeast-1-pod-execution")
            .create_date(DateTime::from_secs(0))
            .assume_role_policy_document(trust.to_string())
            .tags(tag.unwrap());
        Seen {
            role: Some(role.build().unwrap()),
            attached: attached.iter().map(ToString::to_string).collect(),
        }
    }

    fn differing(wanted: &Wanted, seen: &Seen) -> Vec<String> {
        let compared = compare(&Plan::example().target, wanted, seen).unwrap();
        let differences = compared.change().differences.into_iter();
        differences.map(|it| it.property).collect()
    }

    #[test]
    fn role_that_is_right_is_kept_under_its_own_name() {
        let wanted = wanted(RoleOf::PodExecution);
        let seen = seen(&wanted.trust, &[&wanted.policy_arn]);
        let target = Plan::example().target;
        let compared = compare(&target, &wanted, &seen).unwrap();
        let role = seen.role.as_ref().unwrap();
        let kept = ResourceChange::new(KIND, role.role_name(), Change::Keep);
        assert_eq!(compared.change(), kept);
        assert_eq!(compared.arn(&target), role.arn());
    }

    /// The right service alone is not the right trust policy: without the condition every profile of everybody
    /// has the role used for it.
    #[test]
    fn trust_policy_without_its_condition_differs() {
        let wanted = wanted(RoleOf::PodExecution);
        let trust = trusting("eks-fargate-pods.amazonaws.com", None);
        let seen = seen(&trust, &[&wanted.policy_arn]);
        assert_eq!(differing(&wanted, &seen), ["AssumeRolePolicyDocument"]);
    }

    #[test]
    fn policy_of_that_name_in_the_account_is_another_one() {
        let wanted = wanted(RoleOf::PodExecution);
        let own = "arn:aws:iam::111122223333:policy/AmazonEKSFargatePodExecutionRolePolicy";
        let seen = seen(&wanted.trust, &[own]);
        assert_eq!(differing(&wanted, &seen), ["ManagedPolicyArns"]);
    }

    #[test]
    fn boundary_differs_only_if_the_plan_asks_for_one() {
        let mut wanted = wanted(RoleOf::PodExecution);
        let seen = seen(&wanted.trust, &[&wanted.policy_arn]);
        assert_eq!(differing(&wanted, &seen), [""; 0]);
        wanted.boundary_arn = Some(BOUNDARY.to_owned());
        assert_eq!(differing(&wanted, &seen), ["PermissionsBoundary"]);
    }

    #[test]
    fn role_of_another_cluster_is_refused() {
        let wanted = wanted(RoleOf::PodExecution);
        let seen = seen(&wanted.trust, &[]);
        let mut target = Plan::example().target;
        target.cluster_name = "other".to_owned();
        let error = compare(&target, &wanted, &seen).unwrap_err();
        assert_eq!(error.name(), "ResourceConflict");
    }

    #[test]
    fn role_that_is_to_be_made_has_its_path_in_its_arn() {
        let mut plan = Plan::example();
        plan.target.iam.path = "/platform/".to_owned();
        let wanted = Wanted::new(&plan, RoleOf::Cluster);
        let seen = Seen::default();
        let compared = compare(&plan.target, &wanted, &seen).unwrap();
        assert_eq!(
            compared.arn(&plan.target),
            "arn:aws:iam::111122223333:role/platform/hardway-demo-ap-northeast-1-cluster"
        );
        assert_eq!(compared.change().change, Change::Create);
    }

    #[test]
    fn other_partitions_have_policies_of_their_own() {
        let mut plan = Plan::example();
        plan.target.partition = "aws-cn".to_owned();
        assert_eq!(
            Wanted::new(&plan, RoleOf::Cluster).policy_arn,
            "arn:aws-cn:iam::aws:policy/AmazonEKSClusterPolicy"
        );
    }

    #[test]
    fn only_roles_of_the_account_can_be_asked_about() {
        let name = |arn| name_in_arn("111122223333", arn);
        assert_eq!(name("arn:aws:iam::111122223333:role/Admin"), Some("Admin"));
        let reserved = "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/Admin";
        assert_eq!(name(reserved), Some("Admin"));
        for other in [
            "arn:aws:iam::444455556666:role/Admin",
            "arn:aws:iam::111122223333:user/anna",
            "arn:aws:iam::111122223333:root",
            "nothing",
        ] {
            assert_eq!(name(other), None, "{other}");
        }
    }
}
