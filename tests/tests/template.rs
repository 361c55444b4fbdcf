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
fn each_state_machine_gets_what_its_definition_names_and_logs_everything() {
    let template = template();
    for (id, file) in [
        ("ProvisionStateMachine", "provision"),
        ("TeardownStateMachine", "teardown"),
        ("FleetStateMachine", "fleet"),
    ] {
        let machine = &template["Resources"][id]["Properties"];
        let definition = project::read(&format!("statemachine/{file}.asl.json"));
        let substitutions = machine["DefinitionSubstitutions"].as_object().unwrap();
        let given: BTreeSet<&str> = substitutions.keys().map(String::as_str).collect();
        assert_eq!(given, placeholders(&definition), "{id}");
        assert_eq!(machine["Logging"]["Level"], "ALL", "{id}");
        assert_eq!(machine["Tracing"]["Enabled"], true, "{id}");
        assert_eq!(
            machine["DefinitionUri"],
            format!("../statemachine/{file}.asl.json")
        );
    }
}

#[test]
fn each_state_machine_may_invoke_the_functions_of_its_definition_and_no_others() {
    let template = template();
    for id in [
        "ProvisionStateMachine",
        "TeardownStateMachine",
        "FleetStateMachine",
    ] {
        let machine = &template["Resources"][id]["Properties"];
        let substitutions = machine["DefinitionSubstitutions"].as_object().unwrap();
        let named: BTreeSet<&str> = substitutions
            .values()
            .filter_map(|value| value["!GetAtt"].as_str())
            .collect();
        assert!(!named.is_empty(), "{id}");
        let statements = machine["Policies"][0]["Statement"].as_array().unwrap();
        let invoke = statements
            .iter()
            .find(|it| it["Action"] == "lambda:InvokeFunction");
        let allowed: BTreeSet<&str> = invoke.unwrap()["Resource"]
            .as_array()
            .unwrap()
            .iter()
            .map(|arn| arn["!GetAtt"].as_str().unwrap())
            .collect();
        assert_eq!(allowed, named, "{id}");
    }
}

#[test]
fn every_function_is_in_a_state_machine() {
    let definitions = ["provision", "teardown", "fleet"]
        .map(|file| project::read(&format!("statemachine/{file}.asl.json")))
        .concat();
    let used = placeholders(&definitions);
    for function in project::functions() {
        let name = format!("{}Arn", world::logical_id(&function));
        assert!(used.contains(name.as_str()), "{function}");
    }
}

/// What a fleet reads and writes is the organization's own business.
#[test]
fn buckets_are_private_encrypted_and_empty_themselves() {
    let template = template();
    let mut buckets = template["Resources"].as_object().unwrap().clone();
    buckets.retain(|_, resource| resource["Type"] == "AWS::S3::Bucket");
    assert!(!buckets.is_empty());
    for (id, bucket) in buckets {
        let properties = &bucket["Properties"];
        let access = properties["PublicAccessBlockConfiguration"].as_object();
        let access = access.unwrap_or_else(|| panic!("{id}"));
        assert_eq!(access.len(), 4, "{id}");
        assert!(access.values().all(|blocked| blocked == true), "{id}");
        assert!(properties["BucketEncryption"].is_object(), "{id}");
        let rules = properties["LifecycleConfiguration"]["Rules"].as_array();
        let expires = |rule: &serde_json::Value| rule["ExpirationInDays"].is_u64();
        assert!(rules.is_some_and(|rules| rules.iter().any(expires)), "{id}");
        for policy in ["DeletionPolicy", "UpdateReplacePolicy"] {
            assert_eq!(bucket[policy], "Retain", "{id}");
        }
    }
}

/// The names in `${…}`.
fn placeholders(text: &str) -> BTreeSet<&str> {
    let parts = text.split("${").skip(1);
    parts.filter_map(|part| part.split('}').next()).collect()
}
