//! What Systems Manager's operations need.

use serde_json::Value;

use super::{Needed, Resource};
use crate::ssm::parameter;
use crate::state::Context;

pub(super) fn needed(context: &Context<'_>, operation: &str, input: &Value) -> Option<Vec<Needed>> {
    // Service authorization reference: a path is a parameter's name, too.
    let member = match operation {
        "DeleteParameter" | "GetParameter" | "PutParameter" => "Name",
        "GetParametersByPath" => "Path",
        _ => return None,
    };
    let name = input[member].as_str().unwrap_or_default();
    let parameter = Resource::new(parameter::arn(context, name));
    Some(vec![Needed::new(format!("ssm:{operation}"), parameter)])
}
