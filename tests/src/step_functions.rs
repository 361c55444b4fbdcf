//! Step Functions, as far as functions use it: executions of the provisioning machine that run side by
//! side in the same virtual time, and what there is to know about them.
//!
//! Source: the service's model in botocore (stepfunctions 2016-11-23), and the developer guide, "Service
//! quotas".

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::Failure;
use crate::asl::{Execution, MapRun, Status};
use crate::world::{ACCOUNT, REGION, World, provisioning};

/// Name of the provisioning machine.
pub const PROVISION: &str = "hardway-provision";

/// How long a call takes.
const LATENCY: Duration = Duration::from_millis(50);
/// Its limit for names of executions.
const NAME_MAX: usize = 80;
/// Its limit for inputs, in bytes.
const INPUT_MAX: usize = 256 * 1024;

/// ARN of a machine.
#[must_use]
pub fn machine_arn(name: &str) -> String {
    format!("arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{name}")
}

/// The service. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct StepFunctions {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    /// By their ARN.
    executions: BTreeMap<String, Provisioning>,
    map_runs: Vec<MapRun>,
    buckets: BTreeMap<String, Bucket>,
    calls: Vec<StatesCall>,
    running: usize,
    peak: usize,
}

/// A provisioning execution.
#[derive(Debug, Clone)]
pub struct Provisioning {
    /// Its name.
    pub name: String,
    /// Its input, as text.
    pub input: String,
    /// When it started.
    pub started_at: Timestamp,
    /// How it ended, and when; `None` while it runs.
    pub ended: Option<(Execution, Timestamp)>,
}

/// A call of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatesCall {
    /// The caller's access key: the function's name.
    pub access_key: String,
    /// For example `states:StartExecution`.
    pub action: String,
    /// The error's code, if it failed.
    pub error: Option<String>,
}

/// An error: its code and message.
type ErrorAnswer = (&'static str, String);

impl StepFunctions {
    /// Answers a call.
    pub(crate) async fn call(&self, world: &World, request: &HttpRequest) -> HttpResponse {
        tokio::time::sleep(LATENCY).await;
        let header = |name| request.headers().get(name).unwrap_or_default();
        let operation = header("x-amz-target").rsplit('.').next();
        let operation = operation.unwrap_or_default().to_owned();
        let credential = header("authorization").split("Credential=").nth(1);
        let access_key = credential.and_then(|it| it.split('/').next());
        let access_key = access_key.unwrap_or_default().to_owned();
        let body = request.body().bytes().unwrap_or_default();
        let body: Value = serde_json::from_slice(body).unwrap();
        let is_throttled = !self.inner().take(&operation);
        let answer = match operation.as_str() {
            _ if is_throttled => Err(("ThrottlingException", "Rate exceeded".to_owned())),
            "StartExecution" => self.start(world, &body),
            "DescribeExecution" => self.describe(&body),
            other => panic!("{other} is not played"),
        };
        self.inner().calls.push(StatesCall {
            access_key,
            action: format!("states:{operation}"),
            error: answer.as_ref().err().map(|(code, _)| (*code).to_owned()),
        });
        let (status, body) = match answer {
            Ok(body) => (200, body),
            Err((code, message)) => (400, json!({"__type": code, "message": message})),
        };
        let status = StatusCode::try_from(status).unwrap();
        HttpResponse::new(status, SdkBody::from(body.to_string()))
    }

    /// `StartExecution`. The same name with the same input while it runs is the same execution; any
    /// other repetition of a name is refused.
    fn start(&self, world: &World, request: &Value) -> Result<Value, ErrorAnswer> {
        let text = |member: &str| request[member].as_str().unwrap_or_default().to_owned();
        let (machine, name, input) = (text("stateMachineArn"), text("name"), text("input"));
        if machine != machine_arn(PROVISION) {
            return Err(("StateMachineDoesNotExist", machine));
        }
        if name.is_empty() || name.chars().count() > NAME_MAX || name.contains(is_forbidden) {
            return Err(("InvalidName", name));
        }
        let parsed: Option<Value> = serde_json::from_str(&input).ok();
        let parsed = parsed.filter(|_| input.len() <= INPUT_MAX);
        let Some(parsed) = parsed else {
            return Err(("InvalidExecutionInput", input));
        };
        let arn = execution_arn(&name);
        let mut inner = self.inner();
        if let Some(there) = inner.executions.get(&arn) {
            if there.ended.is_none() && there.input == input {
                return Ok(started(&arn, there.started_at));
            }
            return Err(("ExecutionAlreadyExists", arn));
        }
        let started_at = world.simulator.now();
        let execution = Provisioning {
            name: name.clone(),
            input,
            started_at,
            ended: None,
        };
        inner.executions.insert(arn.clone(), execution);
        inner.running += 1;
        inner.peak = inner.peak.max(inner.running);
        drop(inner);
        self.run(world.clone(), name, arn.clone(), parsed);
        Ok(started(&arn, started_at))
    }

    /// Runs an execution beside everything else.
    fn run(&self, world: World, name: String, arn: String, input: Value) {
        let step_functions = self.clone();
        tokio::spawn(async move {
            let execution = world.run_as(&provisioning(), &name, input).await;
            let now = world.simulator.now();
            let mut inner = step_functions.inner();
            inner.running -= 1;
            if let Some(there) = inner.executions.get_mut(&arn) {
                there.ended = Some((execution, now));
            }
        });
    }

    /// `DescribeExecution`.
    fn describe(&self, request: &Value) -> Result<Value, ErrorAnswer> {
        let arn = request["executionArn"].as_str().unwrap_or_default();
        let inner = self.inner();
        let Some(there) = inner.executions.get(arn) else {
            let message = format!("Execution Does Not Exist: '{arn}'");
            return Err(("ExecutionDoesNotExist", message));
        };
        let mut answer = json!({
            "executionArn": arn,
            "stateMachineArn": machine_arn(PROVISION),
            "name": there.name,
            "input": there.input,
            "inputDetails": {"included": true},
            "startDate": seconds(there.started_at),
            "status": "RUNNING",
        });
        if let Some((execution, stopped_at)) = &there.ended {
            answer["stopDate"] = seconds(*stopped_at).into();
            match &execution.result {
                Ok(output) => {
                    answer["status"] = "SUCCEEDED".into();
                    answer["output"] = output.to_string().into();
                }
                Err(Failure { error, cause }) if error == "States.Timeout" && cause.is_empty() => {
                    answer["status"] = "TIMED_OUT".into();
                }
                Err(Failure { error, cause }) => {
                    answer["status"] = "FAILED".into();
                    answer["error"] = error.as_str().into();
                    answer["cause"] = cause.as_str().into();
                }
            }
        }
        Ok(answer)
    }

    /// `ListMapRuns`, as an AWS SDK integration of a machine.
    pub(crate) fn list_map_runs(&self, request: &Value) -> Value {
        let inner = self.inner();
        let runs = inner.map_runs.iter().rev();
        let runs = runs.filter(|run| request["ExecutionArn"] == run.execution);
        let runs = runs.map(|run| {
            json!({
                "ExecutionArn": run.execution,
                "MapRunArn": run.arn,
                "StateMachineArn": run.state_machine,
            })
        });
        json!({"MapRuns": runs.collect::<Vec<_>>()})
    }

    /// `DescribeMapRun`, as an AWS SDK integration of a machine.
    pub(crate) fn describe_map_run(&self, request: &Value) -> Result<Value, Failure> {
        let inner = self.inner();
        let mut runs = inner.map_runs.iter();
        let run = runs.find(|run| request["MapRunArn"] == run.arn);
        let missing = || Failure::new("Sfn.ResourceNotFoundException", "no such Map Run");
        let run = run.ok_or_else(missing)?;
        let counts = json!({
            "Pending": run.pending.len(),
            "Running": 0,
            "Succeeded": run.count(Status::Succeeded),
            "Failed": run.count(Status::Failed),
            "TimedOut": 0,
            "Aborted": run.count(Status::Aborted),
            "Total": run.children.len() + run.pending.len(),
            "ResultsWritten": run.children.len() + run.pending.len(),
        });
        Ok(json!({
            "MapRunArn": run.arn,
            "ExecutionArn": run.execution,
            "Status": if run.is_tolerable { "SUCCEEDED" } else { "FAILED" },
            "ItemCounts": counts,
            "ExecutionCounts": counts,
        }))
    }

    /// Keeps a Map Run that has ended.
    pub(crate) fn keep(&self, run: MapRun) {
        self.inner().map_runs.push(run);
    }

    /// The Map Runs that have ended, the last one at the end.
    #[must_use]
    pub fn map_runs(&self) -> Vec<MapRun> {
        self.inner().map_runs.clone()
    }

    /// The provisioning executions, by name.
    #[must_use]
    pub fn executions(&self) -> Vec<Provisioning> {
        self.inner().executions.values().cloned().collect()
    }

    /// The provisioning execution with this name.
    #[must_use]
    pub fn execution(&self, name: &str) -> Option<Provisioning> {
        self.inner().executions.get(&execution_arn(name)).cloned()
    }

    /// How many provisioning executions there were at once, at most.
    #[must_use]
    pub fn peak(&self) -> usize {
        self.inner().peak
    }

    /// The calls so far.
    #[must_use]
    pub fn calls(&self) -> Vec<StatesCall> {
        self.inner().calls.clone()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }
}

impl Inner {
    /// Takes a call out of its operation's bucket, if there is one left.
    fn take(&mut self, operation: &str) -> bool {
        // The smaller of the two columns: that of ap-northeast-1, among others.
        let (size, per_second) = match operation {
            "StartExecution" => (800.0, 150.0),
            "DescribeExecution" => (250.0, 10.0),
            other => panic!("no bucket for {other}"),
        };
        let now = Instant::now();
        let bucket = self.buckets.entry(operation.to_owned()).or_insert(Bucket {
            tokens: size,
            filled: now,
        });
        let new = now.duration_since(bucket.filled).as_secs_f64() * per_second;
        bucket.tokens = (bucket.tokens + new).min(size);
        bucket.filled = now;
        if bucket.tokens < 1.0 {
            return false;
        }
        bucket.tokens -= 1.0;
        true
    }
}

/// A token bucket of the service's throttling.
#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: Instant,
}

/// What a name must not contain.
fn is_forbidden(c: char) -> bool {
    c.is_whitespace() || c.is_control() || "?*<>{}[]\"#%\\^|~`$&,;:/".contains(c)
}

fn execution_arn(name: &str) -> String {
    format!("arn:aws:states:{REGION}:{ACCOUNT}:execution:{PROVISION}:{name}")
}

fn started(arn: &str, at: Timestamp) -> Value {
    json!({"executionArn": arn, "startDate": seconds(at)})
}

/// A time as the protocol writes it.
#[allow(
    clippy::cast_precision_loss,
    reason = "milliseconds of this century fit into 53 bits"
)]
fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}
