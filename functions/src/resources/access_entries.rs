//! Access entries, and the roles that they hold for.
//!
//! An entry holds for a role's unique id, not for its name (EKS user guide, access entries). A role that
//! is deleted and made again under its old name, as Terraform and StackSets do it, is another one to EKS,
//! while its entry looks as before. What the APIs show of it are the two times of creation.

use aws_sdk_eks::types::AccessEntry;
use aws_sdk_iam::types::Role;

use crate::aws::Aws;
use crate::contract::error::required;
use crate::contract::{During, Error};
use crate::model::{Target, names};
use crate::resources::{eks, iam_role};

/// Type of the entries with which the nodes of Fargate join a cluster (EKS user guide, access entries).
pub const FARGATE_LINUX: &str = "FARGATE_LINUX";

/// The entry of a principal, ours or not; none if there is none, or no cluster.
///
/// # Errors
/// What EKS answers otherwise.
pub async fn find(
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

/// Whether the entry holds for an earlier role of the same name.
///
/// EKS refuses an entry for a role that is not there, so one that is older than the role was made for
/// another. Both times are AWS's and have whole seconds at least: an entry of the role's own second is
/// taken to be younger.
#[must_use]
pub fn is_stale(entry: &AccessEntry, role: &Role) -> bool {
    let made = entry.created_at();
    made.is_some_and(|made| made.secs() < role.create_date().secs())
}

/// The name of the role that an ARN stands for, if it is one of the account that IAM can be asked about.
#[must_use]
pub fn role_name<'a>(account_id: &str, principal: &'a str) -> Option<&'a str> {
    let mut parts = principal.splitn(6, ':').skip(4);
    let is_own = parts.next() == Some(account_id);
    let name = parts.next()?.strip_prefix("role/")?;
    is_own.then(|| name.rsplit('/').next()).flatten()
}

/// The role of a principal: none if it is no role of the target's account, or is not there.
///
/// # Errors
/// What IAM answers.
pub async fn role(aws: &Aws, target: &Target, principal: &str) -> Result<Option<Role>, Error> {
    match role_name(&target.account.id, principal) {
        Some(name) => iam_role::find(aws, name).await,
        None => Ok(None),
    }
}

/// Whether the entry of a principal holds for an earlier role of the same name. What may not be read
/// cannot be known, and is taken to be well.
///
/// # Errors
/// What IAM answers, if it is no error.
pub async fn is_outlived(
    aws: &Aws,
    target: &Target,
    principal: &str,
    entry: &AccessEntry,
) -> Result<bool, Error> {
    match role(aws, target, principal).await {
        Err(Error::AccessDenied(why) | Error::ExplicitDeny(why)) => {
            tracing::warn!(
                target: "hardway", resource = principal, why,
                "role cannot be read; whether its access entry holds for it is not known"
            );
            Ok(false)
        }
        role => Ok(role?.is_some_and(|role| is_stale(entry, &role))),
    }
}

/// ARN of the role with which the cluster's pods start.
#[must_use]
pub fn pod_execution_role_arn(target: &Target) -> String {
    names::role_arn(target, &names::pod_execution_role(target))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_eks::primitives::DateTime;

    #[test]
    fn an_entry_that_is_older_than_the_role_is_stale() {
        let role = Role::builder()
            .path("/")
            .role_name("Admin")
            .role_id("AROAEXAMPLE")
            .arn("arn:aws:iam::111122223333:role/Admin")
            .create_date(aws_sdk_iam::primitives::DateTime::from_secs(1000))
            .build()
            .unwrap();
        let made = |seconds| {
            let made = DateTime::from_secs(seconds);
            AccessEntry::builder().created_at(made).build()
        };
        assert!(is_stale(&made(999), &role));
        assert!(!is_stale(&made(1000), &role));
        assert!(!is_stale(&made(1060), &role));
        assert!(!is_stale(&AccessEntry::builder().build(), &role));
    }

    #[test]
    fn only_roles_of_the_account_can_be_asked_about() {
        let name = |arn| role_name("111122223333", arn);
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
