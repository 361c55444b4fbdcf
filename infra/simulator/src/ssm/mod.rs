//! AWS Systems Manager: the parameters of Parameter Store, as far as they are standard ones and no secrets.

mod by_path;
mod check;
pub mod parameter;
#[cfg(test)]
pub(crate) mod testing;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::wire::aws_json::Operations;

pub use parameter::Parameter;

/// The parameters of one account in one region.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ssm {
    /// Parameters by name.
    pub parameters: BTreeMap<String, Parameter>,
}

/// All operations, by their names.
pub(crate) const OPERATIONS: Operations = Operations(&[
    ("DeleteParameter", parameter::delete),
    ("GetParameter", parameter::get),
    ("GetParameters", parameter::get_many),
    ("GetParametersByPath", by_path::get),
    ("PutParameter", parameter::put),
]);

#[cfg(test)]
mod tests {
    use super::testing::{World, code};

    #[tokio::test(start_paused = true)]
    async fn unknown_operations_are_refused() {
        let world = World::new();
        let call = world.ssm.describe_parameters().send().await;
        assert_eq!(code(call), "UnknownOperationException");
    }
}
