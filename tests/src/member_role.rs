//! `infra/member-role.yaml`, as CloudFormation would make it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::template;

/// The role in a member account.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberRole {
    /// Its name.
    pub name: String,
    /// Its trust policy.
    pub trust: Value,
    /// Its inline policy.
    pub permissions: Value,
}

/// The role for these parameters; those that are not given have their defaults.
///
/// # Panics
/// If the template needs a parameter that is not given, or has something that is not known here.
#[must_use]
pub fn member_role(account: &str, given: &[(&str, &str)]) -> MemberRole {
    of_partition("aws", account, given)
}

/// The same in any partition.
///
/// # Panics
/// As [`member_role`].
#[must_use]
pub fn of_partition(partition: &str, account: &str, given: &[(&str, &str)]) -> MemberRole {
    let template = template::read("infra/member-role.yaml");
    let declared = template["Parameters"].as_object().unwrap().iter();
    let mut values: BTreeMap<String, String> = declared
        .filter_map(|(name, it)| Some((name.clone(), it["Default"].as_str()?.to_owned())))
        .collect();
    let pseudo = [("AWS::Partition", partition), ("AWS::AccountId", account)];
    for (name, value) in given.iter().copied().chain(pseudo) {
        values.insert(name.to_owned(), value.to_owned());
    }
    let role = &template["Resources"]["MemberRole"]["Properties"];
    let role = resolve(role, &values).unwrap();
    let policies = role["Policies"].as_array().unwrap();
    assert_eq!(policies.len(), 1);
    MemberRole {
        name: role["RoleName"].as_str().unwrap().to_owned(),
        trust: role["AssumeRolePolicyDocument"].clone(),
        permissions: policies[0]["PolicyDocument"].clone(),
    }
}

/// The value without CloudFormation's functions; `None` for `AWS::NoValue`.
fn resolve(value: &Value, values: &BTreeMap<String, String>) -> Option<Value> {
    match value {
        Value::Object(members) => {
            let function = members
                .iter()
                .next()
                .filter(|(name, _)| name.starts_with('!'));
            if let Some((name, argument)) = function {
                return call(name, argument, values);
            }
            let members = members.iter();
            let members = members.filter_map(|(key, it)| Some((key.clone(), resolve(it, values)?)));
            Some(members.collect())
        }
        Value::Array(items) => Some(items.iter().filter_map(|it| resolve(it, values)).collect()),
        other => Some(other.clone()),
    }
}

fn call(name: &str, argument: &Value, values: &BTreeMap<String, String>) -> Option<Value> {
    match (name, argument) {
        ("!Ref", Value::String(name)) if name == "AWS::NoValue" => None,
        ("!Ref", Value::String(name)) => Some(values[name].clone().into()),
        ("!Sub", Value::String(text)) => {
            let text = values.iter().fold(text.clone(), |text, (name, value)| {
                text.replace(&format!("${{{name}}}"), value)
            });
            Some(text.into())
        }
        ("!If", Value::Array(parts)) if parts[0] == "HasExternalId" => {
            let chosen = if values["ExternalId"].is_empty() {
                2
            } else {
                1
            };
            resolve(&parts[chosen], values)
        }
        other => panic!("unknown: {other:?}"),
    }
}
