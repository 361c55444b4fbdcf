//! A session in another account: named after cluster and step, and no wider than the step's own calls.
//!
//! The role there may allow far more (the one that AWS Organizations makes is an administrator's): what
//! a session may do is what both the role and the session's policy allow.

use serde_json::Value;

use crate::contract::Error;
use crate::model::RoleNames;
use crate::model::Target;

/// The limit of STS for session names (STS API reference, AssumeRole).
const NAME_MAX: usize = 64;
/// The limit of STS for a session policy, in characters (STS API reference, AssumeRole).
pub const POLICY_MAX: usize = 2048;

/// Who goes into another account, and what for.
#[derive(Debug, Clone, Copy)]
pub struct Session {
    /// Name of the function, for example `nat-gateways`.
    pub step: &'static str,
    /// The function's `policy.json`: what its own role allows it, as an IAM policy in which
    /// `${Partition}` and `${AccountId}` stand for those of the target, `${ClusterRolePath}` and
    /// `${RoleNamePrefix}` for the stack's parameters.
    pub policy: &'static str,
}

impl Session {
    /// `hardway-<step>-<cluster>`, as far as STS allows. CloudTrail shows it with each call.
    #[must_use]
    pub fn name(&self, target: &Target) -> String {
        format!("hardway-{}-{}", self.step, target.cluster_name)
            .chars()
            .map(|c| match c {
                c if c.is_ascii_alphanumeric() || "+=,.@_-".contains(c) => c,
                _ => '-',
            })
            .take(NAME_MAX)
            .collect()
    }

    /// The policy for the target, without white space; a test keeps it within [`POLICY_MAX`].
    ///
    /// # Errors
    /// [`Error::Unexpected`] if it is not JSON, which no function's is.
    pub fn policy(&self, target: &Target, roles: &RoleNames) -> Result<String, Error> {
        let filled_in = self
            .policy
            .replace("${Partition}", &target.partition)
            .replace("${AccountId}", &target.account.id)
            .replace("${ClusterRolePath}", &roles.path)
            .replace("${RoleNamePrefix}", &roles.name_prefix);
        let policy: Value = serde_json::from_str(&filled_in)
            .map_err(|error| Error::Unexpected(format!("policy of {}: {error}", self.step)))?;
        Ok(policy.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Plan;

    const SESSION: Session = Session {
        step: "vpc",
        policy: r#"{
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Action": "iam:GetRole",
                 "Resource": "arn:${Partition}:iam::${AccountId}:role${ClusterRolePath}${RoleNamePrefix}*-cluster"}
            ]
        }"#,
    };

    #[test]
    fn a_session_is_named_after_step_and_cluster_as_sts_allows() {
        let mut target = Plan::example().target;
        assert_eq!(SESSION.name(&target), "hardway-vpc-demo");
        target.cluster_name = "a b/c".to_owned();
        assert_eq!(SESSION.name(&target), "hardway-vpc-a-b-c");
        target.cluster_name = "x".repeat(100);
        assert_eq!(SESSION.name(&target).len(), NAME_MAX);
    }

    #[test]
    fn a_policy_is_filled_in_for_the_target_and_has_no_white_space() {
        let mut target = Plan::example().target;
        target.partition = "aws-cn".to_owned();
        target.account.id = "444455556666".to_owned();
        let roles = RoleNames {
            path: "/platform/".to_owned(),
            name_prefix: "eks-".to_owned(),
        };
        let expected = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:GetRole","Resource":"arn:aws-cn:iam::444455556666:role/platform/eks-*-cluster"}]}"#;
        assert_eq!(SESSION.policy(&target, &roles).unwrap(), expected);
    }

    #[test]
    fn a_policy_that_is_not_json_is_nobodys_mistake_but_ours() {
        let broken = Session {
            policy: "{",
            ..SESSION
        };
        let roles = RoleNames::default();
        let error = broken.policy(&Plan::example().target, &roles).unwrap_err();
        assert_eq!(error.name(), "Unexpected");
    }
}
