//! CloudWatch Logs: log groups. What is in them is not simulated.

mod check;
pub mod log_group;
mod tags;
#[cfg(test)]
pub(crate) mod testing;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fault::Fault;
use crate::state::Context;

pub use log_group::LogGroup;

/// The log groups of one account in one region.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Logs {
    /// Log groups by name.
    pub groups: BTreeMap<String, LogGroup>,
}

/// What every operation is: it reads or changes the log groups and answers with its output.
type Operation = fn(&mut Context<'_>, &Value) -> Result<Value, Fault>;

/// All operations, by their names.
const OPERATIONS: &[(&str, Operation)] = &[
    ("CreateLogGroup", log_group::create),
    ("DeleteLogGroup", log_group::delete),
    ("DescribeLogGroups", log_group::describe),
    ("ListTagsForResource", tags::list),
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
        let call = world.logs.describe_destinations().send().await;
        assert_eq!(code(call), "UnknownOperationException");
    }
}
