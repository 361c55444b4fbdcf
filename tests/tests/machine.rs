//! Rules that the state machines keep, as a person at the console would like to read it.

use std::collections::BTreeSet;

use hardway::view::crate_of;
use serde_json::{Map, Value, json};
use strum::IntoEnumIterator;
use tests::asl::Invoke;
use tests::{Failure, Machine, project, world};

/// The keys of a state, in the order in which they are written.
const KEY_ORDER: &[&str] = &[
    "Comment",
    "Type",
    "Resource",
    "Branches",
    "Label",
    "ItemReader",
    "ItemsPath",
    "ItemSelector",
    "MaxConcurrency",
    "MaxConcurrencyPath",
    "ToleratedFailurePercentagePath",
    "ItemProcessor",
    "ResultWriter",
    "Choices",
    "Default",
    "Seconds",
    "SecondsPath",
    "Parameters",
    "ResultSelector",
    "ResultPath",
    "TimeoutSeconds",
    "Retry",
    "Catch",
    "Error",
    "ErrorPath",
    "Cause",
    "CausePath",
    "OutputPath",
    "Next",
    "End",
];

/// Provisioning, teardown, fleet and the scheduled check.
const MACHINES: [&str; 4] = ["provision", "teardown", "fleet", "check"];

fn definitions() -> [Value; 4] {
    MACHINES.map(|name| project::read_json(&format!("statemachine/{name}.asl.json")))
}

/// The machines inside a state: the branches of a Parallel, what a Map does with each item.
fn inner(state: &Value) -> impl Iterator<Item = &Value> {
    let branches = state["Branches"].as_array().into_iter().flatten();
    branches.chain(state.get("ItemProcessor"))
}

/// Every state of the machine and of those inside it, with its name.
fn states(machine: &Value) -> Vec<(String, Map<String, Value>)> {
    let mut found = Vec::new();
    for (name, state) in machine["States"].as_object().unwrap() {
        found.push((name.clone(), state.as_object().unwrap().clone()));
        found.extend(inner(state).flat_map(states));
    }
    found
}

/// The states of one type of all machines.
fn of_type(kind: &str) -> Vec<(String, Map<String, Value>)> {
    let found: Vec<_> = definitions()
        .iter()
        .flat_map(|definition| of_type_in(definition, kind))
        .collect();
    assert!(!found.is_empty(), "no {kind}");
    found
}

fn of_type_in(definition: &Value, kind: &str) -> Vec<(String, Map<String, Value>)> {
    let mut found = states(definition);
    found.retain(|(_, state)| state["Type"] == kind);
    found
}

/// The Tasks that invoke a function; the others start executions or put events.
fn invocations(definition: &Value) -> Vec<(String, Map<String, Value>)> {
    let mut found = of_type_in(definition, "Task");
    found.retain(|(_, task)| task["Resource"].as_str().unwrap().ends_with("FunctionArn}"));
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
            // What fails after a failure must not hide what made it necessary; what fails while a cluster
            // is examined is what is said of it.
            let path = match name.as_str() {
                "Teardown" => "$.teardown",
                "Diagnose" => "$.diagnosis",
                "Examine" => "$.verification.error",
                _ => "$.error",
            };
            assert_eq!(catcher["ResultPath"], path, "{name}");
        }
    }
    for (name, outer) in of_type("Parallel").into_iter().chain(of_type("Map")) {
        for catcher in outer["Catch"].as_array().unwrap() {
            assert_eq!(catcher["ResultPath"], "$.error", "{name}");
        }
    }
}

#[test]
fn every_error_name_of_the_machine_is_one_that_exists() {
    // AWS's own, from the Step Functions and Lambda documentation of error names.
    let aws = [
        "States.ALL",
        "States.TaskFailed",
        "States.Timeout",
        "Lambda.ServiceException",
        "Lambda.AWSLambdaException",
        "Lambda.SdkClientException",
        "Lambda.ClientExecutionTimeoutException",
        "Lambda.TooManyRequestsException",
        "Lambda.Unknown",
        "Runtime.ExitError",
        "Runtime.OutOfMemory",
        "Sandbox.Timedout",
        "StepFunctions.ExecutionLimitExceededException",
        "StepFunctions.AWSStepFunctionsException",
        "StepFunctions.SdkClientException",
        "Sfn.SfnException",
        "Sfn.SdkClientException",
    ];
    let ours: Vec<&str> = functions::contract::Error::iter()
        .map(|error| error.name())
        .collect();
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
    // Only the last look of a teardown finds what lists have not forgotten yet.
    let of_receipt = "ResourcesLeft";
    // Only the last look of a provisioning run finds what lists do not show yet.
    let of_verify = "VerificationFailed";
    let terminal = [
        "InvalidRequest",
        "AccountBlocked",
        "QuotaExceeded",
        "ResourceConflict",
        "ExplicitDeny",
        "ResourceFailed",
        "WaitTimedOut",
        "Unexpected",
    ];
    let all: BTreeSet<&str> = functions::contract::Error::iter()
        .map(|error| error.name())
        .collect();
    let known = retried
        .iter()
        .chain(&terminal)
        .chain([&of_receipt, &of_verify]);
    assert_eq!(all, known.copied().collect());
    for (name, task) in definitions().iter().flat_map(invocations) {
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
        for error in [
            "Lambda.TooManyRequestsException",
            "Runtime.ExitError",
            "Runtime.OutOfMemory",
        ] {
            assert!(names.contains(&error), "{name}: {error}");
        }
        assert_eq!(names.contains(&of_receipt), name == "Receipt", "{name}");
        assert_eq!(names.contains(&of_verify), name == "Verify", "{name}");
    }
}

/// The waits of a Task's retrier for an error, in seconds.
fn waits(task: &Map<String, Value>, error: &str) -> Vec<f64> {
    let retriers = task["Retry"].as_array().unwrap().iter();
    let is_for = |retrier: &&Value| {
        let mut errors = retrier["ErrorEquals"].as_array().unwrap().iter();
        errors.any(|it| it == error)
    };
    let retrier = retriers.clone().find(is_for).unwrap();
    assert!(retrier["JitterStrategy"].is_null(), "{retrier}");
    let number = |name: &str| retrier[name].as_f64().unwrap();
    let rate = number("BackoffRate");
    assert!(rate > 1.0, "{retrier}");
    let attempts = i32::try_from(retrier["MaxAttempts"].as_i64().unwrap()).unwrap();
    (0..attempts)
        .map(|used| number("IntervalSeconds") * rate.powi(used))
        .map(|wait| wait.min(number("MaxDelaySeconds")))
        .collect()
}

/// AWS says of PendingVerification that it may take four hours, and so does the error of `plan`.
#[test]
fn an_account_that_is_not_ready_is_asked_again_for_four_hours_and_in_a_teardown_for_less_than_one()
{
    let [provision, teardown, ..] = definitions();
    let hours = |task: &Map<String, Value>| {
        let waits = waits(task, "AccountNotReady");
        assert!(waits[0] <= 60.0, "the first wait is short");
        waits.iter().sum::<f64>() / 3600.0
    };
    for (name, task) in invocations(&provision) {
        let hours = hours(&task);
        assert!((3.83..=4.17).contains(&hours), "{name}: {hours} h");
        let limit = provision["TimeoutSeconds"].as_f64().unwrap() / 3600.0;
        assert!(hours < limit - 2.0, "no time is left to build something");
    }
    // Its account was ready once, or there is nothing to remove.
    for (name, task) in invocations(&teardown) {
        let hours = hours(&task);
        assert!((0.5..1.0).contains(&hours), "{name}: {hours} h");
    }
}

/// Which steps wait is said by their code, and held by the runner, which lets no other answer PENDING.
#[test]
fn every_task_that_may_answer_pending_is_asked_again_and_no_other_has_a_wait() {
    for definition in definitions() {
        let all = states(&definition);
        let state = |name: &str| &all.iter().find(|(other, _)| other == name).unwrap().1;
        let mut waits = BTreeSet::new();
        for (name, task) in invocations(&definition) {
            let action = task["Parameters"]["action"].as_str().unwrap();
            let limit = world::limits(task["Resource"].as_str().unwrap(), action).pending;
            let result = task["ResultPath"].as_str().unwrap();
            let memory = task["Parameters"].get("memory.$");
            if limit.is_zero() {
                assert_eq!(memory, None, "{name}");
                continue;
            }
            let choice = state(task["Next"].as_str().unwrap());
            assert_eq!(task["Next"], format!("{name} ready?"));
            assert_eq!(choice["Choices"][0]["Variable"], format!("{result}.status"));
            assert_eq!(choice["Choices"][0]["StringEquals"], "READY");
            let wait = state(choice["Default"].as_str().unwrap());
            assert_eq!(wait["SecondsPath"], format!("{result}.checkAfterSeconds"));
            assert_eq!(wait["Next"], name);
            // How long it has waited already is told to it, and remembered.
            let expected: Value = format!("{result}.memory").into();
            assert_eq!(memory, Some(&expected), "{name}");
            waits.insert(choice["Default"].as_str().unwrap().to_owned());
        }
        for (name, wait) in of_type_in(&definition, "Wait") {
            // The others wait for what no function says.
            assert!(waits.contains(&name) || wait["Seconds"].is_u64(), "{name}");
        }
    }
}

#[test]
fn every_question_has_more_than_one_answer() {
    for (name, choice) in of_type("Choice") {
        let choices = choice["Choices"].as_array().unwrap().iter();
        let answers: BTreeSet<&str> = choices
            .map(|it| &it["Next"])
            .chain([&choice["Default"]])
            .map(|next| next.as_str().unwrap())
            .collect();
        assert!(answers.len() > 1, "{name}");
    }
}

/// Step Functions refuses no second execution that has no name, so a repeated call would start another.
#[test]
fn executions_are_started_under_a_name_and_retried_whatever_step_functions_says() {
    let mut found = 0;
    for (name, task) in of_type("Task") {
        if !task["Resource"]
            .as_str()
            .unwrap()
            .starts_with("${StartExecution")
        {
            continue;
        }
        found += 1;
        let hash = "States.Hash($$.Execution.Id, 'SHA-256')";
        assert_eq!(task["Parameters"]["Name.$"], hash, "{name}");
        let errors = task["Retry"][0]["ErrorEquals"].as_array().unwrap();
        // A failure of the other execution is States.TaskFailed, and is not repeated.
        assert!(errors.contains(&"StepFunctions.AWSStepFunctionsException".into()));
        assert!(!errors.contains(&"States.TaskFailed".into()), "{name}");
        assert!(!errors.contains(&"States.ALL".into()), "{name}");
    }
    assert_eq!(found, 2);
}

#[test]
fn an_input_that_is_no_object_has_room_for_an_error() {
    for definition in definitions() {
        assert_eq!(definition["StartAt"], "Input");
        let input = &definition["States"]["Input"];
        assert_eq!(input["Type"], "Pass");
        let parameters = input["Parameters"].as_object().unwrap();
        assert!(parameters.values().all(|path| path == "$"), "{input}");
    }
}

#[test]
fn state_crate_and_function_have_one_name() {
    let mut used = BTreeSet::new();
    for (name, task) in definitions().iter().flat_map(invocations) {
        let function = match name.as_str() {
            // A function may have a second thing to say; the state says which.
            "Target" => "plan".to_owned(),
            "Inventory" => "receipt".to_owned(),
            "Duplicate VPCs" => "vpc".to_owned(),
            "Settings" | "Fleet member from S3" => "fleet-member".to_owned(),
            "Diagnose" | "Examine" => "verify".to_owned(),
            "Clusters" | "Compare" | "Record" => "registry".to_owned(),
            _ => crate_of(&name),
        };
        let id = world::logical_id(&function);
        assert_eq!(task["Resource"], format!("${{{id}Arn}}"), "{name}");
        used.insert(function);
    }
    // EventBridge invokes this one, and it starts the machine.
    used.insert("account-created".to_owned());
    assert_eq!(used, project::functions());
}

#[test]
fn a_teardown_removes_what_provisioning_makes() {
    let [provision, teardown, ..] = definitions();
    let functions = |definition: &Value, action: &str| -> BTreeSet<String> {
        let mut tasks = invocations(definition);
        tasks.retain(|(_, task)| task["Parameters"]["action"] == action);
        let resource = |task: &Map<String, Value>| task["Resource"].as_str().unwrap().to_owned();
        tasks.iter().map(|(_, task)| resource(task)).collect()
    };
    let mut made = functions(&provision, "ensure");
    // Access entries go with their cluster; until then people may need them to see what is wrong.
    assert!(made.remove("${ClusterAccessFunctionArn}"));
    assert_eq!(functions(&teardown, "remove"), made);
}

/// Lists in the input and lists in S3 need a Map state each, because ASL reads from one place only; what
/// they do with a member is the same but for the names, which are unique in a machine.
#[test]
fn a_fleet_does_the_same_with_a_member_wherever_the_list_is() {
    let [_, _, fleet, _] = definitions();
    let of = |map: &str| fleet["States"][map]["ItemProcessor"].to_string();
    let from_s3 = of("Members from S3");
    assert!(from_s3.contains(" from S3"));
    assert_eq!(from_s3.replace(" from S3", ""), of("Members"));
    for field in [
        "ItemSelector",
        "MaxConcurrencyPath",
        "ToleratedFailurePercentagePath",
        "ResultWriter",
        "Next",
    ] {
        let [inline, from_s3] = ["Members", "Members from S3"].map(|map| &fleet["States"][map]);
        assert_eq!(inline[field], from_s3[field], "{field}");
        assert!(!inline[field].is_null(), "{field}");
    }
}

/// Each machine, and each machine inside another: the states of one level.
fn levels(machine: &Value) -> Vec<&Map<String, Value>> {
    let own = machine["States"].as_object().unwrap();
    let inner = own.values().flat_map(inner).flat_map(levels);
    std::iter::once(own).chain(inner).collect()
}

/// What leads to another state after a failure that no later one should hide.
const AFTER_A_FAILURE: [&str; 2] = ["Diagnose", "Teardown"];
/// What fails for one cluster of many: that it is not checked is all that the execution says of it.
const OF_A_CHECK: [&str; 4] = ["Examine", "Compare", "Send events", "Record"];

/// A Fail state cannot see which state failed; the catcher can say so.
#[test]
fn every_failure_names_its_step_and_a_level_has_one_fail_state_for_all_of_them() {
    for definition in definitions() {
        for (depth, states) in levels(&definition).into_iter().enumerate() {
            let variable = if depth == 0 { "step" } else { "stepOfBranch" };
            let mut fails = BTreeSet::new();
            let catching = states
                .iter()
                .filter(|(_, state)| state.get("Catch").is_some());
            let catching: Vec<_> = catching.collect();
            for (name, state) in &catching {
                let is_other = AFTER_A_FAILURE.contains(&name.as_str());
                if is_other || OF_A_CHECK.contains(&name.as_str()) {
                    continue;
                }
                let catcher = state["Catch"].as_array().unwrap().last().unwrap();
                assert_eq!(catcher["ErrorEquals"], json!(["States.ALL"]), "{name}");
                let fail = fail_after(states, catcher);
                fails.insert(fail);
                let cause = &states[fail]["CausePath"];
                if catching.len() == 1 {
                    assert_eq!(fail, format!("{name} failed"));
                    assert_eq!(
                        cause,
                        &format!("States.Format('{name}: {{}}', $.error.Cause)")
                    );
                    continue;
                }
                let expected = format!("States.Format('{{}}{{}}', ${variable}, $.error.Cause)");
                assert_eq!(cause, &expected, "{fail}");
                // The cause of a Parallel begins with the step of its branch already.
                let step = match state["Type"].as_str().unwrap() {
                    "Parallel" => String::new(),
                    _ => format!("{name}: "),
                };
                assert_eq!(catcher["Assign"], json!({variable: step}), "{name}");
            }
            assert!(fails.len() < 2, "{fails:?}");
        }
    }
}

/// The Fail state in which a failure ends, whatever is done before.
fn fail_after<'a>(states: &'a Map<String, Value>, catcher: &'a Value) -> &'a str {
    let mut name = catcher["Next"].as_str().unwrap();
    loop {
        let state = &states[name];
        if state["Type"] == "Fail" {
            return name;
        }
        let next = state.get("Default").or(state.get("Next"));
        name = next.unwrap().as_str().unwrap();
    }
}

#[test]
fn names_are_unique_and_short_enough_and_keys_are_in_order() {
    for definition in definitions() {
        check_names_and_keys(&definition);
    }
}

#[test]
fn a_list_of_errors_stands_on_one_line() {
    for name in MACHINES {
        let path = project::root().join(format!("statemachine/{name}.asl.json"));
        let text = std::fs::read_to_string(path).unwrap();
        for line in text.lines().filter(|line| line.contains("\"ErrorEquals\"")) {
            assert!(line.contains("], "), "{name}: {line}");
        }
    }
}

fn check_names_and_keys(definition: &Value) {
    let mut seen = BTreeSet::new();
    for (name, state) in states(definition) {
        assert!(name.len() <= 80, "{name}");
        assert!(seen.insert(name.clone()), "{name} is there twice");
        let place = |key: &str| KEY_ORDER.iter().position(|known| *known == key);
        let places: Vec<_> = state
            .keys()
            .map(|key| place(key).unwrap_or_else(|| panic!("{name}: {key}")))
            .collect();
        assert!(places.is_sorted(), "{name}: {:?}", state.keys());
        for catcher in state
            .get("Catch")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let mut keys: Vec<&str> = catcher
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .collect();
            keys.retain(|key| *key != "Assign");
            assert_eq!(keys, ["ErrorEquals", "ResultPath", "Next"], "{name}");
        }
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
    for definition in definitions() {
        assert!(definition["TimeoutSeconds"].is_u64());
    }
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
            inner(state).for_each(check);
        }
        assert_eq!(reached.len(), all.len(), "{reached:?} of {:?}", all.keys());
    }
    definitions().iter().for_each(check);
}

/// Answers every state with all that any may ask for, but for the one that fails without a word.
struct Failing(String);

impl Invoke for Failing {
    async fn invoke(&self, _: &str, payload: Value) -> Result<Value, Failure> {
        if payload["state"] == self.0.as_str() {
            return Err(Failure::new("Refused", ""));
        }
        let plan = json!({
            "clusterName": "demo",
            "region": "eu-west-1",
            "account": {"id": "111122223333"},
            "onFailure": "keep",
        });
        Ok(json!({
            "status": "READY",
            "plan": plan,
            "dryRun": false,
            "preview": {},
            "vpcId": "vpc-1",
            "subnets": [],
            "roleArn": "arn",
            "arn": "arn",
            "endpoint": "https://eks",
            "version": "1.35",
            "platformVersion": "eks.1",
            "admins": [],
            "internetGatewayId": "igw-1",
            // The second time it is not, and the routes exist.
            "isNew": self.0 == "Duplicate VPCs",
            "natGateways": [],
            "routeTables": [],
            "fargateProfiles": [],
            "health": "ACTIVE",
            "addonVersion": "v1",
            "findings": [],
            "disableDeletionProtection": false,
            "hasLogs": true,
            "found": [],
            "receipt": {},
            "clusters": [],
        }))
    }
}

#[tokio::test(start_paused = true)]
async fn every_failing_step_is_named_by_the_cause_even_if_it_said_nothing() {
    for (machine, definition) in MACHINES.into_iter().zip(definitions()) {
        let mut named = 0;
        for (name, _) in invocations(&definition) {
            let other = AFTER_A_FAILURE.contains(&name.as_str())
                || OF_A_CHECK.contains(&name.as_str())
                || name.starts_with("Fleet member");
            if other {
                continue;
            }
            let failing = Failing(name.clone());
            let machine = Machine::new(definition.clone());
            let execution = machine.run(&failing, "test", json!({}), 1).await;
            let expected = Failure::new("Refused", format!("{name}: "));
            assert_eq!(execution.result, Err(expected), "{}", execution.timeline());
            named += 1;
        }
        println!("{machine}: {named} steps are named");
        assert!(named > 0, "{machine}");
    }
}
