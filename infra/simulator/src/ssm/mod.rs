//! AWS Systems Manager: the parameters of Parameter Store, as far as they are standard ones of type
//! `String`.

mod by_path;
mod check;
pub mod parameter;
#[cfg(test)]
pub(crate) mod testing;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fault::Fault;
use crate::state::Context;

pub use parameter::Parameter;

/// The parameters of one account in one region.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ssm {
    /// Parameters by name.
    pub parameters: BTreeMap<String, Parameter>,
}

/// What every operation is: it reads or changes the parameters and answers with its output.
type Operation = fn(&mut Context<'_>, &Value) -> Result<Value, Fault>;

/// All operations, by their names.
const OPERATIONS: &[(&str, Operation)] = &[
    ("DeleteParameter", parameter::delete),
    ("GetParameter", parameter::get),
    ("GetParametersByPath", by_path::get),
    ("PutParameter", parameter::put),
];

/// Answers `operation` with its output.
///
/// # Errors
/// The service's own codes.
pub fn handle(context: &mut Context<'_>, operation: &str, input: &Value) -> Result<Value, Fault> {
    let work = OPERATIONS.iter().find(|(name, _)| *name == operation);
    let (_, work) = work.ok_or_else(|| {
        let message = format!("Operation {operation} is not known.");
        Fault::client("UnknownOperationException", message)
    })?;
    work(context, input)
}

/// The names of all operations.
pub fn operations() -> impl Iterator<Item = &'static str> {
    OPERATIONS.iter().map(|(name, _)| *name)
}

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
