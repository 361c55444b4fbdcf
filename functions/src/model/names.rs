//! Names that follow from the plan alone, so that every repetition finds what it made before.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::model::Target;

/// IAM's limit for role names.
const ROLE_NAME_MAX: usize = 64;
/// The limit of EC2 and EKS for client tokens.
const CLIENT_TOKEN_LEN: usize = 64;
/// The limit of Step Functions for names of executions.
const EXECUTION_NAME_MAX: usize = 80;

/// The longest beginning of a role's name that leaves room for the cluster's.
pub const ROLE_NAME_PREFIX_MAX: usize = 32;

/// A role that a cluster has of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleOf {
    /// The control plane's.
    Cluster,
    /// With which Fargate pulls images.
    PodExecution,
}

impl RoleOf {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Cluster, Self::PodExecution];

    /// The end of its name, by which policies tell it from roles that are not a cluster's.
    const fn purpose(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::PodExecution => "pod-execution",
        }
    }

    /// Its name. IAM is global, so the region is part of it.
    #[must_use]
    pub fn name(self, target: &Target) -> String {
        role(target, &target.iam.name_prefix, self.purpose())
    }

    /// Its path.
    #[must_use]
    pub fn path(self, target: &Target) -> &str {
        match self {
            Self::Cluster => &target.iam.path,
            Self::PodExecution => "/",
        }
    }

    /// Whether the name would be its name under whatever prefix.
    #[must_use]
    pub fn is_named(self, target: &Target, name: &str) -> bool {
        let prefixes = (1..=ROLE_NAME_PREFIX_MAX).filter_map(|length| name.get(..length));
        let mut names = prefixes.map(|prefix| role(target, prefix, self.purpose()));
        name.ends_with(self.purpose()) && names.any(|possible| possible == name)
    }
}

/// Name of the cluster's IAM role.
#[must_use]
pub fn cluster_role(target: &Target) -> String {
    RoleOf::Cluster.name(target)
}

/// Name of the Fargate pod execution role.
#[must_use]
pub fn pod_execution_role(target: &Target) -> String {
    RoleOf::PodExecution.name(target)
}

/// ARN of an IAM role in the target account; `name` has the role's path before it, if it has one.
#[must_use]
pub fn role_arn(target: &Target, name: &str) -> String {
    format!(
        "arn:{}:iam::{}:role/{name}",
        target.partition, target.account.id
    )
}

/// Name of the execution that builds a cluster of its own accord: the same for the same account, region
/// and cluster, so that Step Functions itself refuses to start it twice. `attempt` counts from 1; later
/// attempts end in a point, which no cluster's name has, and their number.
#[must_use]
pub fn execution(account_id: &str, region: &str, cluster: &str, attempt: u32) -> String {
    let name = format!("{account_id}-{region}-{cluster}");
    let suffix = match attempt {
        0 | 1 => String::new(),
        attempt => format!(".{attempt}"),
    };
    cut(&name, &suffix, EXECUTION_NAME_MAX)
}

fn role(target: &Target, prefix: &str, purpose: &str) -> String {
    let name = format!("{prefix}{}-{}", target.cluster_name, target.region);
    cut(&name, &format!("-{purpose}"), ROLE_NAME_MAX)
}

/// `name` and `suffix`, no longer than `max`: a long name is cut, and the hash of the whole keeps two of
/// them apart.
fn cut(name: &str, suffix: &str, max: usize) -> String {
    let whole = format!("{name}{suffix}");
    if whole.len() <= max {
        return whole;
    }
    let tail = format!("-{}{suffix}", &hash([whole.as_str()])[..8]);
    format!("{}{tail}", &name[..max - tail.len()])
}

/// A client token (64 characters) that is the same for the same parts.
///
/// The SDK would fill in a random one for each call, which protects nothing when a step is repeated.
/// The parts must say which incarnation is meant (for a NAT gateway: its subnet and the attempt).
#[must_use]
pub fn client_token<'a>(target: &'a Target, parts: impl IntoIterator<Item = &'a str>) -> String {
    let place = [
        target.account.id.as_str(),
        target.region.as_str(),
        target.cluster_name.as_str(),
    ];
    let mut token = hash(place.into_iter().chain(parts));
    token.truncate(CLIENT_TOKEN_LEN);
    token
}

/// Hexadecimal SHA-256 of the parts, each ended by a zero byte.
fn hash<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update(part);
        sha.update([0]);
    }
    sha.finalize().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Plan, RoleNames};

    #[test]
    fn roles_are_named_after_cluster_region_and_purpose() {
        let target = Plan::example().target;
        assert_eq!(cluster_role(&target), "hardway-demo-ap-northeast-1-cluster");
        assert_eq!(
            pod_execution_role(&target),
            "hardway-demo-ap-northeast-1-pod-execution"
        );
    }

    #[test]
    fn roles_are_known_under_every_prefix_and_only_in_their_region() {
        let mut target = Plan::example().target;
        for prefix in ["hardway-", "x", &"p".repeat(ROLE_NAME_PREFIX_MAX)] {
            for cluster in ["demo", &"x".repeat(100)] {
                target.cluster_name = cluster.to_owned();
                target.iam.name_prefix = prefix.to_owned();
                for of in RoleOf::ALL {
                    let name = of.name(&target);
                    assert!(name.len() <= ROLE_NAME_MAX, "{name}");
                    assert!(name.starts_with(prefix), "{name}");
                    let mut here = target.clone();
                    here.iam = RoleNames::default();
                    assert!(of.is_named(&here, &name), "{name}");
                    here.region = "eu-west-1".to_owned();
                    assert!(!of.is_named(&here, &name), "{name}");
                }
            }
        }
        target.cluster_name = "demo".to_owned();
        for other in [
            "demo-ap-northeast-1-cluster",
            "hardway-demo-cluster",
            "cluster",
            "",
        ] {
            assert!(!RoleOf::Cluster.is_named(&target, other), "{other}");
        }
        assert!(!RoleOf::Cluster.is_named(&target, &pod_execution_role(&target)));
    }

    #[test]
    fn only_the_cluster_role_has_a_path() {
        let mut target = Plan::example().target;
        target.iam.path = "/platform/".to_owned();
        assert_eq!(RoleOf::Cluster.path(&target), "/platform/");
        assert_eq!(RoleOf::PodExecution.path(&target), "/");
    }

    #[test]
    fn long_cluster_names_give_short_and_distinct_role_names() {
        let mut one = Plan::example().target;
        one.cluster_name = format!("{}1", "x".repeat(99));
        let mut two = one.clone();
        two.cluster_name = format!("{}2", "x".repeat(99));
        assert_eq!(pod_execution_role(&one).len(), ROLE_NAME_MAX);
        assert_ne!(pod_execution_role(&one), pod_execution_role(&two));
    }

    #[test]
    fn executions_are_named_after_account_region_and_cluster() {
        let name =
            |cluster: &str, attempt| execution("444455556666", "eu-west-1", cluster, attempt);
        assert_eq!(name("demo", 1), "444455556666-eu-west-1-demo");
        assert_eq!(name("demo", 2), "444455556666-eu-west-1-demo.2");
        let long = "x".repeat(100);
        assert_eq!(name(&long, 1).len(), EXECUTION_NAME_MAX);
        assert_ne!(name(&long, 1), name(&long, 2));
        assert_ne!(name(&long, 1), name(&format!("{}y", &long[1..]), 1));
    }

    #[test]
    fn tokens_repeat_for_the_same_parts_and_differ_for_others() {
        let target = Plan::example().target;
        let token = client_token(&target, ["nat", "1"]);
        assert_eq!(token.len(), CLIENT_TOKEN_LEN);
        assert_eq!(token, client_token(&target, ["nat", "1"]));
        assert_ne!(token, client_token(&target, ["nat", "2"]));
        assert_ne!(token, client_token(&target, ["na", "t1"]));
    }
}
