//! The SAM template, read for tests.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{project, world};

/// The template with CloudFormation's short tags (`!Sub x`) as plain values (`x`).
///
/// # Panics
/// If it is no YAML.
#[must_use]
pub fn template() -> Value {
    let yaml: serde_yaml_ng::Value =
        serde_yaml_ng::from_str(&project::read("infra/template.yaml")).unwrap();
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

/// The functions of the template, by crate.
///
/// # Panics
/// If a function has no crate, or a crate no function.
#[must_use]
pub fn functions() -> BTreeMap<String, Value> {
    let template = template();
    let resources = template["Resources"].as_object().unwrap();
    let crates = project::functions();
    let functions: BTreeMap<_, _> = resources
        .iter()
        .filter(|(_, resource)| resource["Type"] == "AWS::Serverless::Function")
        .map(|(id, resource)| {
            let name = crates.iter().find(|name| world::logical_id(name) == *id);
            let name = name.unwrap_or_else(|| panic!("{id} has no crate"));
            (name.clone(), resource["Properties"].clone())
        })
        .collect();
    assert_eq!(
        functions.keys().collect::<Vec<_>>(),
        crates.iter().collect::<Vec<_>>()
    );
    functions
}

/// The actions that each function's own policy allows, by crate.
#[must_use]
pub fn policies() -> BTreeMap<String, BTreeSet<String>> {
    let functions = functions().into_iter();
    functions
        .map(|(name, function)| (name, actions(&function)))
        .collect()
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
