//! The SAM template, read for tests.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{project, world};

/// The template with CloudFormation's short tags (`!Sub x`) as plain values (`x`).
///
/// # Panics
/// If it is no YAML.
#[must_use]
pub fn template() -> Value {
    read("infra/template.yaml")
}

/// Any template of the project, in the same form.
///
/// # Panics
/// If it is no YAML.
#[must_use]
pub fn read(path: &str) -> Value {
    let yaml: serde_yaml_ng::Value = serde_yaml_ng::from_str(&project::read(path)).unwrap();
    plain(&yaml)
}

fn plain(yaml: &serde_yaml_ng::Value) -> Value {
    use serde_yaml_ng::Value as Yaml;
    match yaml {
        Yaml::Tagged(tagged) => {
            let name = tagged.tag.to_string();
            Value::Object([(name, plain(&tagged.value))].into_iter().collect())
        }
        Yaml::Mapping(mapping) => mapping
            .iter()
            .map(|(key, value)| (key.as_str().unwrap_or_default().to_owned(), plain(value)))
            .collect(),
        Yaml::Sequence(items) => items.iter().map(plain).collect(),
        other => serde_json::to_value(other).unwrap(),
    }
}

/// The functions of the template, by name. Each has one policy: its own statements, and after them those of
/// the stack's policies that it refers to.
///
/// # Panics
/// If a function has no binary, or a binary no function.
#[must_use]
pub fn functions() -> BTreeMap<String, Value> {
    let template = template();
    let resources = template["Resources"].as_object().unwrap();
    let binaries = project::functions();
    let functions: BTreeMap<_, _> = resources
        .iter()
        .filter(|(_, resource)| resource["Type"] == "AWS::Serverless::Function")
        .map(|(id, resource)| {
            let name = binaries.iter().find(|name| world::logical_id(name) == *id);
            let name = name.unwrap_or_else(|| panic!("{id} has no binary"));
            let mut function = resource["Properties"].clone();
            function["Policies"] = in_one(&function["Policies"], &template);
            (name.clone(), function)
        })
        .collect();
    assert_eq!(
        functions.keys().collect::<Vec<_>>(),
        binaries.iter().collect::<Vec<_>>()
    );
    functions
}

/// A function's policies as one.
fn in_one(policies: &Value, template: &Value) -> Value {
    let policies = policies.as_array().unwrap().iter();
    let (shared, own): (Vec<_>, Vec<_>) = policies.partition(|it| it.get("!Ref").is_some());
    let shared = shared.into_iter().map(|reference| {
        let policy = &template["Resources"][reference["!Ref"].as_str().unwrap()];
        assert_eq!(policy["Type"], "AWS::IAM::ManagedPolicy", "{reference}");
        &policy["Properties"]["PolicyDocument"]
    });
    let all = own.into_iter().chain(shared);
    let statements = all.flat_map(|policy| policy["Statement"].as_array().unwrap().clone());
    json!([{"Statement": statements.collect::<Vec<_>>()}])
}

/// The actions that each function's own policy allows, by name.
#[must_use]
pub fn policies() -> BTreeMap<String, BTreeSet<String>> {
    let functions = functions().into_iter();
    functions
        .map(|(name, function)| (name, actions(&function)))
        .collect()
}

/// The statements of the policy of a function that may assume a role in another account, as its
/// `policy.json` has them: without that one. `None` for a function that stays in its own account.
///
/// # Panics
/// If a statement has a function of CloudFormation that policies need not have.
#[must_use]
pub fn statements(function: &Value) -> Option<Vec<Value>> {
    let policies = function["Policies"].as_array().into_iter().flatten();
    let all = policies.flat_map(|policy| policy["Statement"].as_array().unwrap());
    let (assuming, others): (Vec<_>, Vec<_>) =
        all.partition(|statement| statement["Action"] == "sts:AssumeRole");
    let others = others.into_iter().map(with_placeholders);
    (!assuming.is_empty()).then(|| others.collect())
}

/// A part of the template in which `${Partition}` and `${AccountId}` stand for CloudFormation's.
fn with_placeholders(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            if let Some(text) = members.get("!Sub").and_then(Value::as_str) {
                let text = text.replace("${AWS::Partition}", "${Partition}");
                return text.replace("${AWS::AccountId}", "${AccountId}").into();
            }
            let is_plain = members.keys().all(|key| !key.starts_with('!'));
            assert!(is_plain, "{value}");
            members
                .iter()
                .map(|(key, value)| (key.clone(), with_placeholders(value)))
                .collect()
        }
        Value::Array(items) => items.iter().map(with_placeholders).collect(),
        other => other.clone(),
    }
}

/// Every action that a function's own policy allows.
fn actions(function: &Value) -> BTreeSet<String> {
    fn collect(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    match (name.as_str(), value) {
                        ("Action", Value::String(action)) => drop(found.insert(action.clone())),
                        ("Action", Value::Array(actions)) => {
                            found.extend(actions.iter().map(|a| a.as_str().unwrap().to_owned()));
                        }
                        _ => collect(value, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    collect(&function["Policies"], &mut found);
    found
}
