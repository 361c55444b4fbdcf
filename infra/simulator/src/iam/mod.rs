//! IAM: roles, their trust and policies, service-linked roles.
//!
//! IAM answers for what it was told at once; other services see it a few seconds later
//! ([`EventuallyConsistent`]). What a policy allows: `policy`; who is asked: [`crate::permissions`].

mod boundary;
mod condition;
mod eventual_consistency;
mod inline_policy;
mod instance_profile;
mod managed_policy;
mod page;
pub(crate) mod policy;
pub(crate) mod request;
pub mod role;
pub mod service_linked_role;
mod simulate;
mod tags;
#[cfg(test)]
pub(crate) mod testing;
pub mod trust;
mod variables;
pub mod wildcard;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::api_error::ApiError;
use crate::params::Params;
use crate::state::Context;
use crate::xml::Element;

pub use eventual_consistency::EventuallyConsistent;
pub use role::Role;

/// The IAM of one account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Iam {
    /// Roles by their name in lower case: names are not distinguished by case (botocore's IAM model,
    /// CreateRole).
    pub roles: BTreeMap<String, Role>,
    /// ARNs of the account's own managed policies. Those of AWS are known to everybody.
    pub policies: BTreeSet<String>,
    /// Documents of the account's own managed policies by their ARN, as far as somebody has said them.
    #[serde(default)]
    pub documents: BTreeMap<String, String>,
    /// How many roles were made of each name: a role that is made again has another id.
    made: BTreeMap<String, u32>,
    /// Instance profiles, with the name of the role in each. Tests add them.
    #[serde(default)]
    pub instance_profiles: BTreeMap<String, String>,
}

type Operation = fn(&mut Context<'_>, &Params) -> Result<Vec<Element>, ApiError>;

/// Answers `operation` with the children of its result element.
///
/// # Errors
/// IAM's own codes.
pub fn handle(
    context: &mut Context<'_>,
    operation: &str,
    params: &Params,
) -> Result<Vec<Element>, ApiError> {
    let work = find(operation).ok_or_else(|| {
        let message = format!("Could not find operation {operation} for version 2010-05-08");
        ApiError::client("InvalidAction", message)
    })?;
    work(context, params)
}

/// All operations, by their names.
const OPERATIONS: &[(&str, Operation)] = &[
    ("CreateRole", role::create),
    ("GetRole", role::get),
    ("ListRoles", role::list),
    ("UpdateAssumeRolePolicy", role::update_trust),
    ("DeleteRole", role::delete),
    (
        "ListInstanceProfilesForRole",
        instance_profile::list_for_role,
    ),
    ("CreateServiceLinkedRole", service_linked_role::create),
    ("GetPolicy", managed_policy::get),
    ("AttachRolePolicy", managed_policy::attach),
    ("DetachRolePolicy", managed_policy::detach),
    ("ListAttachedRolePolicies", managed_policy::list),
    ("PutRolePolicy", inline_policy::put),
    ("GetRolePolicy", inline_policy::get),
    ("ListRolePolicies", inline_policy::list),
    ("DeleteRolePolicy", inline_policy::delete),
    ("PutRolePermissionsBoundary", boundary::put),
    ("DeleteRolePermissionsBoundary", boundary::delete),
    ("TagRole", tags::tag),
    ("UntagRole", tags::untag),
    ("ListRoleTags", tags::list),
    ("SimulatePrincipalPolicy", simulate::simulate),
];

/// The names of all operations.
pub fn operations() -> impl Iterator<Item = &'static str> {
    OPERATIONS.iter().map(|(name, _)| *name)
}

fn find(operation: &str) -> Option<Operation> {
    let found = OPERATIONS.iter().find(|(name, _)| *name == operation);
    found.map(|(_, work)| *work)
}

impl Iam {
    /// The role with the name, whatever its case.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<&Role> {
        self.roles.get(&name.to_lowercase())
    }

    /// The role with the ARN.
    #[must_use]
    pub fn role_by_arn(&self, arn: &str) -> Option<&Role> {
        let name = arn.rsplit('/').next()?;
        self.role(name).filter(|role| role.arn == arn)
    }

    /// The document of a managed policy, the account's or AWS' own, if it is known.
    #[must_use]
    pub fn policy_document(&self, arn: &str) -> Option<&str> {
        let own = self.documents.get(arn).map(String::as_str);
        own.or_else(|| managed_policy::document_of_aws(arn))
    }

    /// The role with the name.
    ///
    /// # Errors
    /// `NoSuchEntity`.
    fn find(&self, name: &str) -> Result<&Role, ApiError> {
        self.role(name).ok_or_else(|| no_such_role(name))
    }

    /// The role with the name, to be changed by the account's own callers.
    ///
    /// # Errors
    /// `NoSuchEntity`; `UnmodifiableEntity` for a service-linked role.
    fn find_mut(&mut self, name: &str) -> Result<&mut Role, ApiError> {
        let role = self.roles.get_mut(&name.to_lowercase());
        let role = role.ok_or_else(|| no_such_role(name))?;
        // botocore's IAM model, UnmodifiableEntityException: only the service may change it.
        if role.is_service_linked() {
            let message = format!(
                "Cannot perform the operation on the protected role '{}' - this role is only \
                 modifiable by AWS",
                role.name
            );
            return Err(ApiError::client("UnmodifiableEntity", message));
        }
        Ok(role)
    }
}

fn no_such_role(name: &str) -> ApiError {
    request::no_such_entity(format!("The role with name {name} cannot be found."))
}

#[cfg(test)]
mod tests {
    use super::testing::{World, code};

    #[tokio::test(start_paused = true)]
    async fn unknown_operations_are_invalid_actions() {
        let world = World::new();
        assert_eq!(code(world.iam.list_users().send().await), "InvalidAction");
    }

    #[tokio::test(start_paused = true)]
    async fn state_survives_being_written_and_read() {
        let world = World::new();
        world.role("demo").await;
        world
            .attach("demo", "AmazonEKSClusterPolicy")
            .await
            .unwrap();
        let state = world.simulator.state();
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<crate::State>(&text).unwrap(), state);
    }
}
