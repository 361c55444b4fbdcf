//! What KMS's operations need (service authorization reference).

use serde_json::Value;

use super::{Needed, Resource};
use crate::kms;
use crate::state::Context;

pub(super) fn needed(context: &Context<'_>, operation: &str, input: &Value) -> Option<Vec<Needed>> {
    let of = |member: &str| {
        let name = input[member].as_str().unwrap_or_default();
        // AWS KMS developer guide, controlling access with aliases: the alias stands for its key. One that is
        // not there stands for no key.
        Resource::new(kms::key_of(context, name).unwrap_or_else(|| "*".to_owned()))
    };
    let action = format!("kms:{operation}");
    match operation {
        "CreateKey" => Some(vec![Needed::new(action, Resource::any())]),
        // The alias and its key, each.
        "CreateAlias" => {
            let alias = input["AliasName"].as_str().unwrap_or_default();
            let alias = Resource::new(kms::arn_of(context, alias));
            let target = Needed::new(action.clone(), of("TargetKeyId"));
            Some(vec![Needed::new(action, alias), target])
        }
        "DescribeKey" | "DisableKey" | "EnableKey" | "ScheduleKeyDeletion" => {
            Some(vec![Needed::new(action, of("KeyId"))])
        }
        _ => None,
    }
}
