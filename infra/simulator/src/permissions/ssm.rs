//! What Systems Manager's operations need.

use serde_json::Value;

use super::{Needed, Resource};
use crate::ssm::parameter;
use crate::state::Context;

pub(super) fn needed(context: &Context<'_>, operation: &str, input: &Value) -> Option<Vec<Needed>> {
    if operation == "GetParameters" {
        let names = input["Names"].as_array().into_iter().flatten();
        let names = names.filter_map(Value::as_str);
        let of_each = |name| Resource::new(parameter::arn(context, name));
        let mut needed = Needed::new("ssm:GetParameters", Resource::any());
        let resources: Vec<Resource> = names.map(of_each).collect();
        if !resources.is_empty() {
            needed.resources = resources;
        }
        return Some(vec![needed]);
    }
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
