//! Which cluster, in which account and region, and how its own roles are called.

use serde::{Deserialize, Serialize};

/// The role in another account, unless the stack or the input says otherwise: that of
/// infra/member-role.yaml, which may do no more than the steps need.
pub const MEMBER_ROLE_NAME: &str = "HardwayMember";

/// Which cluster, where. All that a removal needs to know: tags say the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// Name of the EKS cluster.
    pub cluster_name: String,
    /// AWS region, for example `ap-northeast-1`.
    pub region: String,
    /// AWS partition, for example `aws` or `aws-cn`.
    pub partition: String,
    /// The account to build in.
    pub account: Account,
    /// How its own roles are called.
    #[serde(default, skip_serializing_if = "RoleNames::is_default")]
    pub iam: RoleNames,
}

/// The account to build in, in the shape of the input's `account`: what a plan says of its target can
/// be the input of a teardown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// Twelve digits.
    pub id: String,
    /// Name (with its path, if any) of the role to assume; none in the state machine's own account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_name: Option<String>,
    /// External id that the role's trust policy asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
}

/// How the cluster's own roles are called: the stack's parameters, or what the input says more of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleNames {
    /// IAM path of the cluster role, for example `/platform/`. The pod execution role has none: EKS takes
    /// it with the path `/` only (EKS user guide, pod execution role).
    pub path: String,
    /// How the names of both roles begin.
    pub name_prefix: String,
}

impl Default for RoleNames {
    fn default() -> Self {
        Self {
            path: "/".to_owned(),
            name_prefix: "hardway-".to_owned(),
        }
    }
}

impl RoleNames {
    /// Whether they are as in every stack that does not say otherwise.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
