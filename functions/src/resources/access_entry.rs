//! Access entries: who may administer the cluster, and the roles that the entries hold for.
//!
//! A principal has one entry in a cluster. An entry that someone else made for a principal of the plan is used as it
//! is. Those that carry our tag and whose principal left the plan are surplus; all others are left alone (EKS keeps
//! some of its own, for Fargate and for itself).
//!
//! An entry holds for a role's unique id, not for its name (EKS user guide, access entries). A role that
//! is deleted and made again under its old name, as Terraform and StackSets do it, is another one to EKS,
//! while its entry looks as before. What the APIs show of it are the two times of creation.
//!
//! EKS makes the entry of the pod execution role by itself, with the first Fargate profile, and never again: one that
//! is gone while profiles have the role, or that holds for an earlier role, is made by the step.

use aws_sdk_eks::types::{
    AccessEntry, AccessScope, AccessScopeType, AssociatedAccessPolicy, FargateProfile,
};
use aws_sdk_iam::types::Role;

use crate::aws::{Aws, list};
use crate::contract::error::required;
use crate::contract::{During, Error};
use crate::model::{Plan, Target, names, tags};
use crate::resources::resource_change::{Change, Difference, ResourceChange};
use crate::resources::{eks, fargate_profile, role};

/// CloudFormation's type name.
pub(crate) const KIND: &str = "AWS::EKS::AccessEntry";

/// Type of the entries with which the nodes of Fargate join a cluster (EKS user guide, access entries).
pub(crate) const FARGATE_LINUX: &str = "FARGATE_LINUX";

/// Type of people's entries, and the only one that takes the policies of people (EKS user guide, associate access
/// policies with access entries). EC2 takes one for nodes, AmazonEKSAutoNodePolicy (aws/aws-cdk issue 37496); whether
/// it would take another nobody says, and its principal is a node's all the same.
pub(crate) const STANDARD: &str = "STANDARD";

/// An entry, and what it holds for.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub principal: String,
    pub described: AccessEntry,
    /// The principal's role, if it is one of the target's account, is there and may be read; looked for where an
    /// administrator's entry is ours. Of the pod execution role's entry: the role, if it is ours.
    role: Option<Role>,
    /// The principal's policies; looked for where an administrator's entry is to stay.
    policies: Vec<AssociatedAccessPolicy>,
}

/// What there is.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// All entries of the cluster.
    entries: Vec<Entry>,
    /// Whether a Fargate profile has the pod execution role; looked for where that has no entry.
    is_role_in_use: bool,
}

/// The pod execution role, by the time that its entry is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PodRole {
    /// It is there.
    Kept,
    /// It is to be made first, so it will be younger than any entry.
    New,
}

/// What is to be done with the entry of the pod execution role.
#[derive(Debug)]
pub(crate) enum OfPods<'a> {
    /// It is gone while profiles have the role.
    Create,
    /// It holds for an earlier role.
    Replace(&'a AccessEntry),
}

/// An administrator of the plan.
#[derive(Debug)]
pub(crate) struct Admin<'a> {
    pub principal: &'a str,
    pub access: Access<'a>,
}

/// What an administrator has.
#[derive(Debug)]
pub(crate) enum Access<'a> {
    /// No entry.
    Missing,
    /// An entry of ours that holds for an earlier role.
    Outlived,
    /// An entry without the policy.
    WithoutPolicy(&'a Entry),
    /// An entry with the policy.
    Granted(&'a Entry),
}

/// What there is beside the plan.
#[derive(Debug)]
pub(crate) struct Compared<'a> {
    /// Administrators, in the order of the plan.
    pub admins: Vec<Admin<'a>>,
    /// That of the pods; none if it is as it should be, or EKS makes it.
    pub pods: Option<OfPods<'a>>,
    /// Those to delete, by their principals.
    pub surplus: Vec<&'a str>,
    target: &'a Target,
}

/// The policy that makes a principal the cluster's administrator.
pub(crate) fn admin_policy(target: &Target) -> String {
    format!(
        "arn:{}:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy",
        target.partition
    )
}

/// The principals of all entries, ours or not; none if there is no cluster.
pub(crate) async fn find_principals(
    aws: &Aws,
    target: &Target,
) -> Result<Option<Vec<String>>, Error> {
    let call = aws.eks().list_access_entries();
    let call = call.cluster_name(&target.cluster_name);
    match list!(call).await {
        Err(error) if eks::is_absent(&error) => Ok(None),
        answer => answer.during("eks:ListAccessEntries").map(Some),
    }
}

/// The entry of a principal, ours or not; none if there is none, or no cluster.
pub(crate) async fn find(
    aws: &Aws,
    target: &Target,
    principal: &str,
) -> Result<Option<AccessEntry>, Error> {
    let call = aws.eks().describe_access_entry();
    let call = call.cluster_name(&target.cluster_name);
    match call.principal_arn(principal).send().await {
        Err(error) if eks::is_absent(&error) => Ok(None),
        answer => {
            let entry = answer.during("eks:DescribeAccessEntry")?.access_entry;
            required(entry, "eks:DescribeAccessEntry: accessEntry").map(Some)
        }
    }
}

/// The access policies of a principal that has an entry.
async fn find_policies(
    aws: &Aws,
    target: &Target,
    principal: &str,
) -> Result<Vec<AssociatedAccessPolicy>, Error> {
    let call = aws.eks().list_associated_access_policies();
    let call = call.cluster_name(&target.cluster_name);
    let call = call.principal_arn(principal);
    list!(call).await.during("eks:ListAssociatedAccessPolicies")
}

/// Whether the entry of a principal is ours and holds for an earlier role of the same name.
pub(crate) async fn is_outlived(
    aws: &Aws,
    target: &Target,
    principal: &str,
) -> Result<bool, Error> {
    let Some(mut entry) = Entry::find(aws, target, principal).await? else {
        return Ok(false);
    };
    entry.role = find_role(aws, target, &entry).await?;
    Ok(entry.is_outlived())
}

/// The role of a principal whose entry is ours. What may not be read cannot be known, and its entry is taken to be
/// well.
async fn find_role(aws: &Aws, target: &Target, entry: &Entry) -> Result<Option<Role>, Error> {
    let principal = entry.principal.as_str();
    let name = role::name_in_arn(&target.account.id, principal);
    let Some(name) = name.filter(|_| entry.is_ours(target)) else {
        return Ok(None);
    };
    match role::find(aws, name).await {
        Err(Error::AccessDenied(why) | Error::ExplicitDeny(why)) => {
            tracing::warn!(
                target: "hardway", resource = principal, why,
                "role cannot be read; whether its access entry holds for it is not known"
            );
            Ok(None)
        }
        role => role,
    }
}

/// Looks at all entries, at the roles and policies of administrators, and at what the pods' entry is to hold for;
/// none if there is no cluster.
pub(crate) async fn observe(aws: &Aws, plan: &Plan) -> Result<Option<Seen>, Error> {
    let target = &plan.target;
    let Some(principals) = find_principals(aws, target).await? else {
        return Ok(None);
    };
    let mut seen = Seen::default();
    for principal in principals {
        let Some(mut entry) = Entry::find(aws, target, &principal).await? else {
            continue;
        };
        if plan.admins.contains(&principal) {
            entry.role = find_role(aws, target, &entry).await?;
            if !entry.is_outlived() {
                entry.policies = find_policies(aws, target, &principal).await?;
            }
        }
        seen.entries.push(entry);
    }
    seen.observe_of_pods(aws, target).await?;
    Ok(Some(seen))
}

/// Says what is to be done.
///
/// # Errors
/// [`Error::ResourceConflict`] if an administrator has an entry of a type that cannot have the policy. A type cannot
/// be changed (UpdateAccessEntry has none).
pub(crate) fn compare<'a>(
    plan: &'a Plan,
    pod_role: PodRole,
    seen: &'a Seen,
) -> Result<Compared<'a>, Error> {
    let admins = plan.admins.iter();
    let is_surplus = |it: &&Entry| {
        !plan.admins.contains(&it.principal) && !it.is_of_pods() && it.is_ours(&plan.target)
    };
    let surplus = seen.entries.iter().filter(is_surplus);
    let admins = admins.map(|principal| seen.compare(&plan.target, principal));
    Ok(Compared {
        admins: admins.collect::<Result<_, Error>>()?,
        pods: seen.compare_of_pods(&plan.target, pod_role),
        surplus: surplus.map(|it| it.principal.as_str()).collect(),
        target: &plan.target,
    })
}

impl Seen {
    fn entry(&self, principal: &str) -> Option<&Entry> {
        self.entries.iter().find(|it| it.principal == principal)
    }

    async fn observe_of_pods(&mut self, aws: &Aws, target: &Target) -> Result<(), Error> {
        let arn = pod_execution_role_arn(target);
        let mut entries = self.entries.iter_mut();
        if let Some(entry) = entries.find(|it| it.principal == arn) {
            if entry.is_of_pods() {
                let name = names::pod_execution_role(target);
                entry.role = role::find_if_ours(aws, target, &name).await?;
            }
            return Ok(());
        }
        let profiles = fargate_profile::find(aws, target).await?;
        let mut roles = profiles.iter().map(FargateProfile::pod_execution_role_arn);
        self.is_role_in_use = roles.any(|role| role == Some(arn.as_str()));
        Ok(())
    }

    fn compare_of_pods(&self, target: &Target, role: PodRole) -> Option<OfPods<'_>> {
        let Some(entry) = self.entry(&pod_execution_role_arn(target)) else {
            return self.is_role_in_use.then_some(OfPods::Create);
        };
        let is_outlived = role == PodRole::New || entry.is_outlived();
        let is_replaced = entry.is_of_pods() && is_outlived;
        is_replaced.then_some(OfPods::Replace(&entry.described))
    }

    fn compare<'a>(&'a self, target: &Target, principal: &'a str) -> Result<Admin<'a>, Error> {
        let policy = admin_policy(target);
        let access = match self.entry(principal) {
            None => Access::Missing,
            Some(entry) if !entry.is_standard() && !entry.has_for_cluster(&policy) => {
                return Err(entry.no_policies(target));
            }
            Some(entry) if entry.is_outlived() => Access::Outlived,
            Some(entry) if entry.has_for_cluster(&policy) => Access::Granted(entry),
            Some(entry) => Access::WithoutPolicy(entry),
        };
        Ok(Admin { principal, access })
    }
}

impl Admin<'_> {
    fn change(&self, target: &Target) -> ResourceChange {
        let change = match self.access {
            Access::Missing => Change::Create,
            Access::Outlived => Change::Replace,
            Access::WithoutPolicy(entry) => {
                let should_be = format!("{} (cluster)", admin_policy(target));
                let policies = Difference::new("AccessPolicies", entry.policy_line(), should_be);
                return ResourceChange::of(KIND, self.principal, vec![policies]);
            }
            Access::Granted(entry) if entry.is_ours(target) => Change::Keep,
            Access::Granted(_) => Change::Adopt,
        };
        ResourceChange::new(KIND, self.principal, change)
    }
}

impl Entry {
    async fn find(aws: &Aws, target: &Target, principal: &str) -> Result<Option<Self>, Error> {
        let described = find(aws, target, principal).await?;
        Ok(described.map(|described| Self {
            principal: principal.to_owned(),
            described,
            role: None,
            policies: vec![],
        }))
    }

    pub fn is_ours(&self, target: &Target) -> bool {
        tags::map_is_ours(self.described.tags(), target)
    }

    /// Whether it is of pods, not of a person.
    pub fn is_of_pods(&self) -> bool {
        self.described.r#type() == Some(FARGATE_LINUX)
    }

    fn is_standard(&self) -> bool {
        self.described.r#type().is_none_or(|it| it == STANDARD)
    }

    fn no_policies(&self, target: &Target) -> Error {
        let (principal, cluster) = (&self.principal, &target.cluster_name);
        let kind = self.described.r#type().unwrap_or("unknown");
        Error::ResourceConflict(format!(
            "the access entry of {principal} has the type {kind}, which cannot have the policy of an \
             administrator; delete it with `aws eks delete-access-entry --region {} --cluster-name \
             {cluster} --principal-arn {principal}`, or take {principal} out of access.admins",
            target.region
        ))
    }

    /// Whether the principal has a policy for the whole cluster, not only for namespaces.
    fn has_for_cluster(&self, policy_arn: &str) -> bool {
        self.policies.iter().any(|it| {
            let scope = it.access_scope().and_then(AccessScope::r#type);
            it.policy_arn() == Some(policy_arn) && scope == Some(&AccessScopeType::Cluster)
        })
    }

    fn policy_line(&self) -> String {
        let policies = self.policies.iter().filter_map(|it| {
            let scope = it.access_scope()?.r#type()?;
            Some(format!("{} ({})", it.policy_arn()?, scope.as_str()))
        });
        let line = policies.reduce(|all, it| format!("{all}, {it}"));
        line.unwrap_or_else(|| "(none)".to_owned())
    }

    /// Whether it holds for an earlier role of the same name.
    fn is_outlived(&self) -> bool {
        let role = self.role.as_ref();
        role.is_some_and(|role| is_stale(&self.described, role))
    }
}

impl Compared<'_> {
    /// The same for a person.
    pub fn changes(&self) -> Vec<ResourceChange> {
        let pods = self.pods.as_ref().map(|pods| {
            let change = match pods {
                OfPods::Create => Change::Create,
                OfPods::Replace(_) => Change::Replace,
            };
            ResourceChange::new(KIND, pod_execution_role_arn(self.target), change)
        });
        let surplus = self.surplus.iter();
        let surplus = surplus.map(|it| ResourceChange::new(KIND, *it, Change::Remove));
        let admins = self.admins.iter().map(|it| it.change(self.target));
        admins.chain(pods).chain(surplus).collect()
    }
}

/// Whether the entry holds for an earlier role of the same name.
///
/// EKS refuses an entry for a role that is not there, so one that is older than the role was made for
/// another. Both times are AWS's and have whole seconds at least: an entry of the role's own second is
/// taken to be younger.
pub(crate) fn is_stale(entry: &AccessEntry, role: &Role) -> bool {
    let made = entry.created_at();
    made.is_some_and(|made| made.secs() < role.create_date().secs())
}

/// ARN of the role with which the cluster's pods start.
pub(crate) fn pod_execution_role_arn(target: &Target) -> String {
    names::role_arn(target, &names::pod_execution_role(target))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_eks::primitives::DateTime;

    const ADMIN: &str = "arn:aws:iam::111122223333:role/Admin";

    /// A role that was made at second 1000.
    fn role() -> Role {
        Role::builder()
            .path("/")
            .role_name("Admin")
            .role_id("AROAEXAMPLE")
            .arn(ADMIN)
            .create_date(aws_sdk_iam::primitives::DateTime::from_secs(1000))
            .build()
            .unwrap()
    }

    #[test]
    fn an_entry_that_is_older_than_the_role_is_stale() {
        let role = role();
        let made = |seconds| {
            let made = DateTime::from_secs(seconds);
            AccessEntry::builder().created_at(made).build()
        };
        assert!(is_stale(&made(999), &role));
        assert!(!is_stale(&made(1000), &role));
        assert!(!is_stale(&made(1060), &role));
        assert!(!is_stale(&AccessEntry::builder().build(), &role));
    }

    /// The entry of [`ADMIN`] with the tag of a cluster and these policies, for the whole cluster.
    fn seen(cluster: &str, policies: &[&str]) -> Seen {
        let scope = AccessScope::builder().r#type(AccessScopeType::Cluster);
        let policy = |arn: &&str| {
            let policy = AssociatedAccessPolicy::builder().policy_arn(*arn);
            policy.access_scope(scope.clone().build()).build()
        };
        let entry = AccessEntry::builder().tags(tags::CLUSTER, cluster);
        Seen {
            entries: vec![Entry {
                principal: ADMIN.to_owned(),
                described: entry.r#type("STANDARD").build(),
                role: None,
                policies: policies.iter().map(policy).collect(),
            }],
            ..Seen::default()
        }
    }

    /// The pods' entry of a type, made at that second, for a role that was made at second 1000.
    fn seen_of_pods(kind: &str, second: i64) -> Seen {
        let entry = AccessEntry::builder().created_at(DateTime::from_secs(second));
        let entry = Entry {
            principal: pod_execution_role_arn(&Plan::example().target),
            described: entry.r#type(kind).build(),
            role: Some(role()),
            policies: vec![],
        };
        Seen {
            entries: vec![entry],
            ..Seen::default()
        }
    }

    #[test]
    fn entry_of_pods_is_made_where_eks_does_not_make_it_and_listed_only_then() {
        let mut plan = Plan::example();
        plan.admins.clear();
        let in_use = Seen {
            is_role_in_use: true,
            ..Seen::default()
        };
        for (role, seen, expected) in [
            (PodRole::Kept, Seen::default(), None),
            (PodRole::New, Seen::default(), None),
            (PodRole::Kept, in_use, Some(Change::Create)),
            (PodRole::Kept, seen_of_pods(FARGATE_LINUX, 1000), None),
            (
                PodRole::Kept,
                seen_of_pods(FARGATE_LINUX, 999),
                Some(Change::Replace),
            ),
            (
                PodRole::New,
                seen_of_pods(FARGATE_LINUX, 1000),
                Some(Change::Replace),
            ),
            (PodRole::New, seen_of_pods("EC2_LINUX", 999), None),
        ] {
            let arn = pod_execution_role_arn(&plan.target);
            let expected = expected.map(|change| ResourceChange::new(KIND, arn, change));
            let changes = compare(&plan, role, &seen).unwrap().changes();
            assert_eq!(changes, Vec::from_iter(expected), "{role:?} {seen:?}");
        }
    }

    fn change(seen: &Seen) -> ResourceChange {
        let plan = Plan::example();
        let changes = compare(&plan, PodRole::Kept, seen).unwrap().changes();
        assert_eq!(changes.len(), 1);
        changes[0].clone()
    }

    #[test]
    fn administrator_is_kept_adopted_or_made() {
        let policy = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy";
        for (seen, expected) in [
            (seen("demo", &[policy]), Change::Keep),
            (seen("other", &[policy]), Change::Adopt),
            (Seen::default(), Change::Create),
        ] {
            assert_eq!(change(&seen), ResourceChange::new(KIND, ADMIN, expected));
        }
    }

    #[test]
    fn policy_of_that_name_in_another_partition_is_another_one() {
        let other = "arn:aws-cn:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy";
        for cluster in ["demo", "other"] {
            let change = change(&seen(cluster, &[other]));
            assert_eq!(change.change, Change::Change);
            let is = format!("{other} (cluster)");
            assert_eq!(change.differences[0].is, is);
        }
    }

    #[test]
    fn entry_that_is_older_than_its_role_is_replaced() {
        let mut seen = seen("demo", &[]);
        seen.entries[0].described.created_at = Some(DateTime::from_secs(999));
        seen.entries[0].role = Some(role());
        assert_eq!(change(&seen).change, Change::Replace);
    }

    #[test]
    fn administrator_whose_entry_cannot_have_the_policy_is_refused() {
        let policy = admin_policy(&Plan::example().target);
        for kind in ["EC2_LINUX", "EC2_WINDOWS", "HYBRID_LINUX", FARGATE_LINUX] {
            let mut seen = seen("other", &[]);
            seen.entries[0].described.r#type = Some(kind.to_owned());
            let error = compare(&Plan::example(), PodRole::Kept, &seen).unwrap_err();
            assert_eq!(error.name(), "ResourceConflict");
            let said = format!("the access entry of {ADMIN} has the type {kind}");
            assert!(error.to_string().contains(&said), "{error}");
        }
        let mut seen = seen("other", &[&policy]);
        seen.entries[0].described.r#type = Some("EC2".to_owned());
        assert_eq!(change(&seen).change, Change::Adopt);
    }

    #[test]
    fn entry_of_somebody_who_left_the_plan_is_surplus_if_it_is_ours_and_not_of_pods() {
        let mut plan = Plan::example();
        plan.admins.clear();
        let removed = |seen: &Seen| compare(&plan, PodRole::Kept, seen).unwrap().surplus == [ADMIN];
        assert!(removed(&seen("demo", &[])));
        assert!(!removed(&seen("other", &[])));
        let mut of_pods = seen("demo", &[]);
        of_pods.entries[0].described.r#type = Some(FARGATE_LINUX.to_owned());
        assert!(!removed(&of_pods));
    }
}
