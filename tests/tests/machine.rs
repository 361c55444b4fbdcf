//! Rules that the state machine keeps, as a person at the console would like to read it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends at the first surprise"
)]

use std::collections::BTreeSet;

use hardway::view::crate_of;
use serde_json::{Map, Value};
use strum::IntoEnumIterator;
use tests::{project, world};

/// The keys of a state, in the order in which they are written.
const KEY_ORDER: &[&str] = &[
    "Comment",
    "Type",
    "Resource",
    "Branches",
    "Choices",
    "Default",
    "SecondsPath",
    "Parameters",
    "ResultSelector",
    "ResultPath",
    "TimeoutSeconds",
    "Retry",
    "Catch",
    "ErrorPath",
    "CausePath",
    "Next",
    "End",
];

fn definition() -> Value {
    project::read_json("statemachine/provision.asl.json")
}

/// Every state of the machine and of its branches, with its name.
fn states(machine: &Value) -> Vec<(String, Map<String, Value>)> {
    let mut found = Vec::new();
    for (name, state) in machine["States"].as_object().unwrap() {
        found.push((name.clone(), state.as_object().unwrap().clone()));
        for branch in state["Branches"].as_array().into_iter().flatten() {
            found.extend(states(branch));
        }
    }
    found
}

fn of_type(kind: &str) -> Vec<(String, Map<String, Value>)> {
    let mut found = states(&definition());
    found.retain(|(_, state)| state["Type"] == kind);
    assert!(!found.is_empty(), "no {kind}");
    found
}

#[test]
fn every_task_has_retry_catch_with_result_path_and_timeout() {
    for (name, task) in of_type("Task") {
        assert!(task["TimeoutSeconds"].is_u64(), "{name} has no timeout");
        assert!(
            !task["Retry"].as_array().unwrap().is_empty(),
            "{name} has no Retry"
        );
        for catcher in task["Catch"].as_array().unwrap() {
            assert_eq!(catcher["ResultPath"], "$.error", "{name}");
        }
    }
    for (name, parallel) in of_type("Parallel") {
        for catcher in parallel["Catch"].as_array().unwrap() {
            assert_eq!(catcher["ResultPath"], "$.error", "{name}");
        }
    }
}

#[test]
fn every_error_name_of_the_machine_is_one_that_exists() {
    // AWS's own, from the Step Functions and Lambda documentation of error names.
    let aws = [
        "States.ALL",
        "States.Timeout",
        "Lambda.ServiceException",
        "Lambda.AWSLambdaException",
        "Lambda.SdkClientException",
        "Lambda.ClientExecutionTimeoutException",
        "Lambda.TooManyRequestsException",
        "Lambda.Unknown",
        "Sandbox.Timedout",
    ];
    let ours: Vec<&str> = step::Error::iter().map(|error| error.name()).collect();
    for (name, task) in of_type("Task") {
        for handler in ["Retry", "Catch"]
            .iter()
            .flat_map(|kind| task[*kind].as_array().unwrap())
        {
            for error in handler["ErrorEquals"].as_array().unwrap() {
                let error = error.as_str().unwrap();
                assert!(
                    aws.contains(&error) || ours.contains(&error),
                    "{name}: {error}"
                );
            }
        }
    }
}

#[test]
fn every_error_that_may_pass_is_retried_by_every_task_and_the_others_by_none() {
    let retried = [
        "AccountNotReady",
        "NotYetVisible",
        "Throttled",
        "AwsUnavailable",
        "AccessDenied",
    ];
    let terminal = [
        "InvalidRequest",
        "QuotaExceeded",
        "ResourceConflict",
        "ResourceFailed",
        "Unexpected",
    ];
    let all: BTreeSet<&str> = step::Error::iter().map(|error| error.name()).collect();
    assert_eq!(all, retried.iter().chain(&terminal).copied().collect());
    for (name, task) in of_type("Task") {
        let names: Vec<&str> = task["Retry"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|retrier| retrier["ErrorEquals"].as_array().unwrap())
            .map(|error| error.as_str().unwrap())
            .collect();
        for error in retried {
            assert!(names.contains(&error), "{name} does not retry {error}");
        }
        for error in terminal {
            assert!(!names.contains(&error), "{name} retries {error}");
        }
        assert!(names.contains(&"Lambda.TooManyRequestsException"), "{name}");
    }
}

#[test]
fn every_task_is_asked_again_after_the_wait_that_it_wants() {
    let all = states(&definition());
    let state = |name: &str| &all.iter().find(|(other, _)| other == name).unwrap().1;
    for (name, task) in of_type("Task")
        .into_iter()
        .filter(|(name, _)| name != "Plan")
    {
        let result = task["ResultPath"].as_str().unwrap();
        let choice = state(task["Next"].as_str().unwrap());
        assert_eq!(task["Next"], format!("{name} ready?"));
        assert_eq!(choice["Choices"][0]["Variable"], format!("{result}.status"));
        assert_eq!(choice["Choices"][0]["StringEquals"], "READY");
        let wait = state(choice["Default"].as_str().unwrap());
        assert_eq!(wait["SecondsPath"], format!("{result}.checkAfterSeconds"));
        assert_eq!(wait["Next"], name);
    }
}

#[test]
fn state_crate_and_function_have_one_name() {
    let crates = project::functions();
    let tasks: BTreeSet<String> = of_type("Task")
        .iter()
        .map(|(name, _)| crate_of(name))
        .collect();
    assert_eq!(tasks, crates);
    for (name, task) in of_type("Task") {
        let id = world::logical_id(&crate_of(&name));
        assert_eq!(task["Resource"], format!("${{{id}Arn}}"));
    }
}

#[test]
fn every_failure_names_its_step() {
    let all = states(&definition());
    for (name, task) in of_type("Task") {
        let failed = format!("{name} failed");
        assert_eq!(task["Catch"][0]["Next"], failed);
        let state = &all.iter().find(|(other, _)| *other == failed).unwrap().1;
        let cause = match state["Type"].as_str().unwrap() {
            "Fail" => &state["CausePath"],
            _ => &state["Parameters"]["Cause.$"],
        };
        assert_eq!(
            cause,
            &format!("States.Format('{name}: {{}}', $.error.Cause)")
        );
    }
}

#[test]
fn names_are_unique_and_short_enough_and_keys_are_in_order() {
    let mut seen = BTreeSet::new();
    for (name, state) in states(&definition()) {
        assert!(name.len() <= 80, "{name}");
        assert!(seen.insert(name.clone()), "{name} is there twice");
        let place = |key: &str| KEY_ORDER.iter().position(|known| *known == key);
        let places: Vec<_> = state
            .keys()
            .map(|key| place(key).unwrap_or_else(|| panic!("{name}: {key}")))
            .collect();
        assert!(places.is_sorted(), "{name}: {:?}", state.keys());
        let kind = state["Type"].as_str().unwrap();
        assert_eq!(name.ends_with('?'), kind == "Choice", "{name}");
        assert_eq!(name.starts_with("Wait for "), kind == "Wait", "{name}");
    }
}

#[test]
fn every_step_says_what_it_is_for() {
    for (name, task) in of_type("Task") {
        assert!(task["Comment"].as_str().unwrap().len() > 30, "{name}");
    }
    assert!(definition()["TimeoutSeconds"].is_u64());
}

#[test]
fn every_state_can_be_reached() {
    fn check(machine: &Value) {
        let all = machine["States"].as_object().unwrap();
        let mut reached = BTreeSet::new();
        let mut todo = vec![machine["StartAt"].as_str().unwrap()];
        while let Some(name) = todo.pop() {
            if !reached.insert(name) {
                continue;
            }
            let state = all.get(name).unwrap_or_else(|| panic!("no state {name}"));
            let handlers = ["Choices", "Catch"].map(|kind| state[kind].as_array());
            let targets = handlers.into_iter().flatten().flatten().map(|h| &h["Next"]);
            todo.extend(
                targets
                    .chain([&state["Next"], &state["Default"]])
                    .filter_map(Value::as_str),
            );
            state["Branches"]
                .as_array()
                .into_iter()
                .flatten()
                .for_each(check);
        }
        assert_eq!(reached.len(), all.len(), "{reached:?} of {:?}", all.keys());
    }
    check(&definition());
}
