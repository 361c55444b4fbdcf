//! Rules that the SAM template keeps: one function for each crate, each with a role of its own and no
//! more than its step calls.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends at the first surprise"
)]

use std::collections::BTreeSet;

use tests::template::{functions, policies, template};
use tests::{project, world};

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
    for (name, actions) in policies() {
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
    let expected: BTreeSet<String> = project::functions()
        .iter()
        .map(|name| format!("{}Arn", world::logical_id(name)))
        .collect();
    let given: BTreeSet<String> = substitutions.keys().cloned().collect();
    assert_eq!(given, expected);
    assert_eq!(machine["Logging"]["Level"], "ALL");
    assert_eq!(machine["Tracing"]["Enabled"], true);
}
