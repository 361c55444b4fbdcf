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
    let lists: Vec<&str> = template["Parameters"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, it)| it["Type"] == "CommaDelimitedList")
        .map(|(name, _)| name.as_str())
        .collect();
    let pseudo = [("AWS::Partition", partition), ("AWS::AccountId", account)];
    for (name, value) in given.iter().copied().chain(pseudo) {
        values.insert(name.to_owned(), value.to_owned());
    }
    let role = &template["Resources"]["MemberRole"]["Properties"];
    let mut role = resolve(role, &values).unwrap();
    split(&mut role, &lists, &values);
    let policies = role["Policies"].as_array().unwrap();
    assert_eq!(policies.len(), 1);
    MemberRole {
        name: role["RoleName"].as_str().unwrap().to_owned(),
        trust: role["AssumeRolePolicyDocument"].clone(),
        permissions: policies[0]["PolicyDocument"].clone(),
    }
}

/// Parameters that are lists, as lists: nothing else has their value.
fn split(value: &mut Value, lists: &[&str], values: &BTreeMap<String, String>) {
    match value {
        Value::Object(members) => {
            let members = members.values_mut();
            members.for_each(|it| split(it, lists, values));
        }
        Value::Array(items) => items.iter_mut().for_each(|it| split(it, lists, values)),
        Value::String(text) if lists.iter().any(|name| values.get(*name) == Some(text)) => {
            *value = text.split(',').map(Value::from).collect();
        }
        _ => {}
    }
}

/// The ARNs of the roles of all functions that go into other accounts, as the stack's output has them.
#[must_use]
pub fn trusted_role_arns(account: &str) -> String {
    let functions = template::functions().into_iter();
    let assuming = functions.filter(|(_, it)| template::statements(it).is_some());
    let arns = assuming.map(|(name, _)| {
        let role = crate::world::role_of_function(&name);
        format!("arn:aws:iam::{account}:role/hardway/{role}")
    });
    arns.collect::<Vec<_>>().join(",")
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
