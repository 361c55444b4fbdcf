//! Unit tests of the function. Step Functions is scripted: the simulator has none.

use super::*;
use aws_sdk_sfn::Client;
use aws_sdk_sfn::operation::describe_execution::{DescribeExecutionError, DescribeExecutionOutput};
use aws_sdk_sfn::operation::start_execution::{StartExecutionError, StartExecutionOutput};
use aws_sdk_sfn::primitives::DateTime;
use aws_sdk_sfn::types::ExecutionStatus;
use aws_sdk_sfn::types::error::{ExecutionAlreadyExists, ExecutionDoesNotExist};
use aws_smithy_mocks::{Rule, mock};
use serde_json::json;

const MACHINE: &str = "arn:aws:states:ap-northeast-1:111122223333:stateMachine:hardway-provision";
const FIRST: &str = "444455556666-ap-northeast-1-demo";
/// When the fleet began.
const SINCE: i64 = 1_000_000;

fn demo() -> Value {
    json!({"clusterName": "demo", "account": {"id": "444455556666"}})
}

/// An execution that Step Functions knows, started this many seconds after the fleet began.
fn described(name: &str, status: ExecutionStatus, input: &Value, after: i64) -> Rule {
    let arn = format!("{}:{name}", MACHINE.replace("stateMachine", "execution"));
    let input = input.to_string();
    mock!(Client::describe_execution)
        .match_requests({
            let arn = arn.clone();
            move |call| call.execution_arn() == Some(&arn)
        })
        .then_output(move || {
            let failed = status == ExecutionStatus::Failed;
            DescribeExecutionOutput::builder()
                .execution_arn(&arn)
                .state_machine_arn(MACHINE)
                .status(status.clone())
                .start_date(DateTime::from_secs(SINCE + after))
                .input(&input)
                .set_error(failed.then(|| "QuotaExceeded".to_owned()))
                .set_cause(failed.then(|| "VPC: no more of them".to_owned()))
                .build()
                .unwrap()
        })
}

/// Every other execution is missing.
fn missing() -> Rule {
    mock!(Client::describe_execution).then_error(|| {
        let missing = ExecutionDoesNotExist::builder().build();
        DescribeExecutionError::ExecutionDoesNotExist(missing)
    })
}

/// Takes a start of this name.
fn startable(name: &'static str) -> Rule {
    mock!(Client::start_execution)
        .match_requests(move |call| {
            call.name() == Some(name) && call.state_machine_arn() == Some(MACHINE)
        })
        .then_output(|| {
            StartExecutionOutput::builder()
                .execution_arn("arn")
                .start_date(DateTime::from_secs(0))
                .build()
                .unwrap()
        })
}

async fn ask(sfn: Client, memory: &Memory) -> Result<Value, Error> {
    let spec = Spec::parse(&demo()).unwrap();
    let executions = Executions::new(sfn, MACHINE, spec).unwrap();
    let since = Timestamp::from_second(SINCE).unwrap();
    respond(&ensure(&executions, since, memory).await?)
}

fn remembering(attempt: &str) -> Memory {
    let mut memory = Memory::default();
    memory.remember(ATTEMPT, attempt);
    memory
}

#[tokio::test]
async fn a_cluster_that_nobody_asked_for_yet_is_started() {
    let (missing, start) = (missing(), startable(FIRST));
    let sfn = crate::mocked!(aws_sdk_sfn, [&missing, &start]);
    let answer = ask(sfn, &Memory::default()).await.unwrap();
    assert_eq!(answer["status"], "PENDING");
    assert_eq!(answer["memory"]["created"], json!({"attempt": "1"}));
    assert_eq!((missing.num_calls(), start.num_calls()), (1, 1));
}

#[tokio::test]
async fn an_execution_that_runs_is_followed_whoever_started_it() {
    let running = described(FIRST, ExecutionStatus::Running, &demo(), -60);
    let (missing, start) = (missing(), startable(FIRST));
    let sfn = crate::mocked!(aws_sdk_sfn, [&running, &missing, &start]);
    let answer = ask(sfn, &Memory::default()).await.unwrap();
    assert_eq!(answer["status"], "PENDING");
    assert_eq!(answer["checkAfterSeconds"], 60);
    assert_eq!(start.num_calls(), 0);
}

#[tokio::test]
async fn remembered_execution_takes_one_look() {
    let second = format!("{FIRST}.2");
    let running = described(&second, ExecutionStatus::Running, &demo(), 1);
    let sfn = crate::mocked!(aws_sdk_sfn, [&running]);
    let answer = ask(sfn, &remembering("2")).await.unwrap();
    assert_eq!(answer["memory"]["created"], json!({"attempt": "2"}));
    assert_eq!(running.num_calls(), 1);
}

#[tokio::test]
async fn a_cluster_that_is_done_is_left_alone() {
    // The same, with a default that was named, as the event of a new account starts it.
    let input = json!({
        "clusterName": "demo",
        "account": {"id": "444455556666", "newSince": "2026-11-28T10:00:00Z"},
        "region": "ap-northeast-1"
    });
    let done = described(FIRST, ExecutionStatus::Succeeded, &input, -60);
    let (missing, start) = (missing(), startable(FIRST));
    let sfn = crate::mocked!(aws_sdk_sfn, [&done, &missing, &start]);
    let answer = ask(sfn, &Memory::default()).await.unwrap();
    assert_eq!(
        answer,
        json!({
            "status": "READY",
            "accountId": "444455556666",
            "region": "ap-northeast-1",
            "clusterName": "demo",
            "execution": format!("{}:{FIRST}", MACHINE.replace("stateMachine", "execution")),
            "executionName": FIRST,
            "result": "SUCCEEDED",
        })
    );
    assert_eq!(start.num_calls(), 0);
}

#[tokio::test]
async fn another_input_and_an_earlier_failure_are_the_next_attempts() {
    let mut other = demo();
    other["logging"] = json!(["audit"]);
    for last in [
        described(FIRST, ExecutionStatus::Succeeded, &other, -60),
        described(FIRST, ExecutionStatus::Failed, &demo(), -60),
        described(FIRST, ExecutionStatus::TimedOut, &demo(), -60),
        described(FIRST, ExecutionStatus::Aborted, &demo(), -60),
    ] {
        let second = startable("444455556666-ap-northeast-1-demo.2");
        let missing = missing();
        let sfn = crate::mocked!(aws_sdk_sfn, [&last, &missing, &second]);
        let answer = ask(sfn, &Memory::default()).await.unwrap();
        assert_eq!(answer["memory"]["created"], json!({"attempt": "2"}));
        assert_eq!(second.num_calls(), 1);
    }
}

#[tokio::test]
async fn a_failure_since_the_fleet_began_is_the_fleets() {
    for memory in [Memory::default(), remembering("1")] {
        let failed = described(FIRST, ExecutionStatus::Failed, &demo(), 0);
        let (missing, start) = (missing(), startable(FIRST));
        let sfn = crate::mocked!(aws_sdk_sfn, [&failed, &missing, &start]);
        let answer = ask(sfn, &memory).await.unwrap();
        assert_eq!(answer["result"], "FAILED");
        assert_eq!(answer["error"], "QuotaExceeded");
        assert_eq!(answer["cause"], "VPC: no more of them");
        assert_eq!(answer["executionName"], FIRST);
        assert_eq!(start.num_calls(), 0);
    }
}

#[tokio::test]
async fn an_execution_that_was_stopped_fails_with_its_status() {
    let stopped = described(FIRST, ExecutionStatus::Aborted, &demo(), 1);
    let sfn = crate::mocked!(aws_sdk_sfn, [&stopped]);
    let answer = ask(sfn, &remembering("1")).await.unwrap();
    assert_eq!(answer["error"], "ABORTED");
    assert_eq!(answer["cause"], "it is ABORTED");
}

#[tokio::test]
async fn second_starter_looks_again() {
    let taken = mock!(Client::start_execution).then_error(|| {
        let exists = ExecutionAlreadyExists::builder().build();
        StartExecutionError::ExecutionAlreadyExists(exists)
    });
    let missing = missing();
    let sfn = crate::mocked!(aws_sdk_sfn, [&missing, &taken]);
    let answer = ask(sfn, &Memory::default()).await.unwrap();
    assert_eq!(answer["status"], "PENDING");
    assert_eq!(answer["checkAfterSeconds"], 5);
    assert_eq!(answer["memory"]["created"], json!({"attempt": "1"}));
}

#[tokio::test]
async fn the_last_of_many_attempts_is_found_with_few_looks() {
    const ATTEMPTS: u32 = 21;
    let arn = |number| {
        let name = crate::model::names::execution("444455556666", "ap-northeast-1", "demo", number);
        format!("{}:{name}", MACHINE.replace("stateMachine", "execution"))
    };
    let arns: Vec<String> = (1..=ATTEMPTS).map(arn).collect();
    let failed = mock!(Client::describe_execution)
        .match_requests(move |call| arns.iter().any(|arn| call.execution_arn() == Some(arn)))
        .then_output(|| {
            DescribeExecutionOutput::builder()
                .execution_arn("arn")
                .state_machine_arn(MACHINE)
                .status(ExecutionStatus::Failed)
                .start_date(DateTime::from_secs(SINCE - 1))
                .build()
                .unwrap()
        });
    let (missing, next) = (missing(), startable("444455556666-ap-northeast-1-demo.22"));
    let sfn = crate::mocked!(aws_sdk_sfn, [&failed, &missing, &next]);
    ask(sfn, &Memory::default()).await.unwrap();
    let looks = failed.num_calls() + missing.num_calls();
    assert!(looks <= 10, "{looks}");
    assert_eq!(next.num_calls(), 1);
}

#[tokio::test]
async fn a_cluster_without_account_and_region_is_the_machines_own() {
    let spec = Spec::parse(&json!({"clusterName": "demo"})).unwrap();
    let executions = Executions::new(crate::mocked!(aws_sdk_sfn, []), MACHINE, spec).unwrap();
    assert_eq!(executions.name(1), "111122223333-ap-northeast-1-demo");
    assert_eq!(executions.name(3), "111122223333-ap-northeast-1-demo.3");
}

/// What the machine sends; nothing answers, so that nothing may be called.
async fn request(spec: Value) -> Error {
    let request = json!({
        "action": "ensure",
        "execution": "one",
        "stateMachineArn": MACHINE,
        "since": "2026-11-24T10:09:31.214Z",
        "spec": spec,
        "memory": {},
    });
    let base = Base::new(crate::aws::Aws::offline_config());
    FleetMember::handle(&base, request).await.unwrap_err()
}

#[tokio::test]
async fn an_input_that_is_wrong_names_its_field_and_starts_nothing() {
    for (field, spec) in [
        ("clusterNam", json!({"clusterNam": "demo"})),
        (
            "account.id",
            json!({"clusterName": "demo", "account": {"id": "12"}}),
        ),
        ("clusterName", json!({"clusterName": "no/slash"})),
        ("input", json!("demo")),
    ] {
        let error = request(spec).await;
        assert_eq!(error.name(), "InvalidRequest", "{error}");
        assert!(error.to_string().contains(field), "{error}");
    }
    // A right one gets as far as Step Functions, which is not there.
    assert_eq!(request(demo()).await.name(), "AwsUnavailable");
}
