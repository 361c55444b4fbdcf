//! CloudWatch Logs: log groups. What is in them is not simulated.

mod check;
pub mod log_group;
mod tags;
#[cfg(test)]
pub(crate) mod testing;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::wire::aws_json::Operations;

pub use log_group::LogGroup;

/// The log groups of one account in one region.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Logs {
    /// Log groups by name.
    pub groups: BTreeMap<String, LogGroup>,
    /// Until when somebody else's change of a log group is under way, by the group's name.
    #[serde(default)]
    pub busy_until: BTreeMap<String, jiff::Timestamp>,
}

/// All operations, by their names.
pub(crate) const OPERATIONS: Operations = Operations(&[
    ("CreateLogGroup", log_group::create),
    ("DeleteLogGroup", log_group::delete),
    ("DescribeLogGroups", log_group::describe),
    ("ListTagsForResource", tags::list),
]);

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
