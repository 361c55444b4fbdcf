//! Rules that the SAM template keeps: one function for each crate, each with a role of its own and no
//! more than its step calls.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends at the first surprise"
)]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tests::{project, world};

/// The template with CloudFormation's short tags (`!Sub x`) as plain values (`x`).
fn template() -> Value {
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
fn functions() -> BTreeMap<String, Value> {
    let template = template();
    let resources = template["Resources"].as_object().unwrap();
    let crates = crates();
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

fn crates() -> BTreeSet<String> {
    std::fs::read_dir(project::root().join("functions"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "step")
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

#[test]
fn every_crate_has_its_function_with_code_of_its_own() {
    for (name, function) in functions() {
        let code = function["CodeUri"].as_str().unwrap();
        assert!(
            code.contains(&format!("target/lambda/{name}/")),
            "{name}: {code}"
        );
        let policies = function["Policies"].as_array();
        assert!(
            policies.is_some_and(|p| !p.is_empty()),
            "{name} has no policy beside it"
        );
        assert!(function.get("Role").is_none(), "{name} shares a role");
    }
}

#[test]
fn functions_run_on_al2023_with_tracing_in_one_log_group_with_retention() {
    let template = template();
    let globals = &template["Globals"]["Function"];
    assert_eq!(globals["Runtime"], "provided.al2023");
    assert_eq!(globals["Tracing"], "Active");
    assert_eq!(template["Parameters"]["Architecture"]["Default"], "arm64");
    assert!(
        globals["LoggingConfig"]["LogGroup"].is_object(),
        "{globals:#}"
    );
    for (id, resource) in template["Resources"].as_object().unwrap() {
        if resource["Type"] == "AWS::Logs::LogGroup" {
            assert!(
                resource["Properties"].get("RetentionInDays").is_some(),
                "{id}"
            );
        }
    }
}

#[test]
fn no_policy_allows_whole_services() {
    for (name, function) in functions() {
        let actions = actions(&function);
        assert!(!actions.is_empty(), "{name}");
        for action in actions {
            assert!(!action.contains('*'), "{name} may {action}");
        }
    }
}

#[test]
fn roles_are_passed_to_one_service_only() {
    for (name, function) in functions() {
        let text = function["Policies"].to_string();
        for needed in [
            ("iam:PassRole", "iam:PassedToService"),
            ("iam:CreateServiceLinkedRole", "iam:AWSServiceName"),
        ] {
            if text.contains(needed.0) {
                assert!(
                    text.contains(needed.1),
                    "{name}: {} without {}",
                    needed.0,
                    needed.1
                );
            }
        }
    }
}

#[test]
fn no_account_id_and_no_partition_is_written_out() {
    let text = project::read("infra/template.yaml");
    let digits = |word: &str| word.len() == 12 && word.bytes().all(|b| b.is_ascii_digit());
    assert!(!text.split(|c: char| !c.is_ascii_alphanumeric()).any(digits));
    assert!(!text.contains("arn:aws:"));
}

#[test]
fn the_state_machine_gets_every_function_and_logs_everything() {
    let template = template();
    let machine = &template["Resources"]["ProvisionStateMachine"]["Properties"];
    let substitutions = machine["DefinitionSubstitutions"].as_object().unwrap();
    let expected: BTreeSet<String> = crates()
        .iter()
        .map(|name| format!("{}Arn", world::logical_id(name)))
        .collect();
    let given: BTreeSet<String> = substitutions.keys().cloned().collect();
    assert_eq!(given, expected);
    assert_eq!(machine["Logging"]["Level"], "ALL");
    assert_eq!(machine["Tracing"]["Enabled"], true);
}
