//! A small walker for the states that hardway's machines use: Task, Choice, Wait, Pass, Parallel, Map,
//! Succeed and Fail, in the JSONPath query language.
//!
//! Source: the Amazon States Language specification (states-language.net). It refuses what it does
//! not know, so that no field of the real file is silently passed over. Time is Tokio's: in a paused
//! runtime waits and retries cost nothing.

mod distributed_map;
mod history;
mod inline_map;
mod path;
mod retry;

use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout};

pub use distributed_map::{Child, MapRun, Status};
pub use history::History;
use history::Meter;
use path::{Source, Variables};

/// An error name and its cause, as Catch sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The name that `ErrorEquals` matches.
    pub error: String,
    /// The sentence for people.
    pub cause: String,
}

impl Failure {
    /// A failure with this name and cause.
    pub fn new(error: impl Into<String>, cause: impl Into<String>) -> Self {
        Self {
            error: error.into(),
            cause: cause.into(),
        }
    }

    fn runtime(cause: impl Into<String>) -> Self {
        Self::new("States.Runtime", cause)
    }

    fn as_output(&self) -> Value {
        json!({"Error": self.error, "Cause": self.cause})
    }
}

/// Something that happened in an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Time since the execution started.
    pub at: Duration,
    /// The state.
    pub state: String,
    /// `entered`, `retried: …` or `caught: …`.
    pub what: String,
}

/// How an execution ended and what happened in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Execution {
    /// Its output, or the error that it failed with.
    pub result: Result<Value, Failure>,
    /// Its history, parallel branches included.
    pub events: Vec<Event>,
    /// How long it took.
    pub duration: Duration,
    /// What of Step Functions' quotas it used.
    pub history: History,
}

impl Execution {
    /// The output; a failed execution fails the test, with its history.
    ///
    /// # Panics
    /// If the execution failed.
    #[must_use]
    pub fn output(&self) -> &Value {
        match &self.result {
            Ok(output) => output,
            Err(failure) => panic!("{failure:#?}\n{}", self.timeline()),
        }
    }

    /// The failure; a succeeded execution fails the test.
    ///
    /// # Panics
    /// If the execution succeeded.
    #[must_use]
    pub fn failure(&self) -> &Failure {
        match &self.result {
            Err(failure) => failure,
            Ok(output) => panic!("succeeded with {output:#}"),
        }
    }

    /// The history as text, an event a line.
    #[must_use]
    pub fn timeline(&self) -> String {
        let lines = self.events.iter().map(|event| {
            let seconds = event.at.as_secs_f64();
            format!("{seconds:9.3} s  {}: {}", event.state, event.what)
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// A state machine.
#[derive(Debug, Clone)]
pub struct Machine {
    name: String,
    definition: Value,
}

/// What runs a Task: its `Resource`, its payload.
pub trait Invoke: Sync {
    /// Answers a Task, or fails it.
    fn invoke(
        &self,
        resource: &str,
        payload: Value,
    ) -> impl Future<Output = Result<Value, Failure>> + Send;

    /// What time it is.
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    /// Keeps a Map Run that has ended, for those who ask Step Functions about it.
    fn keep(&self, _run: MapRun) {}
}

/// The beginning of the ARN of what belongs to a machine, for example of its executions.
fn arn(kind: &str, machine: &str) -> String {
    format!("arn:aws:states:ap-northeast-1:111122223333:{kind}:{machine}")
}

impl Machine {
    /// The machine `hardway` with this definition (a JSON document in ASL).
    #[must_use]
    pub fn new(definition: Value) -> Self {
        Self::named("hardway", definition)
    }

    /// A machine with this name and definition.
    #[must_use]
    pub fn named(name: &str, definition: Value) -> Self {
        Self {
            name: name.to_owned(),
            definition,
        }
    }

    /// Runs an execution to its end. `seed` decides the jitter of retries.
    pub async fn run<I: Invoke>(
        &self,
        invoker: &I,
        name: &str,
        input: Value,
        seed: u64,
    ) -> Execution {
        let walker = Walker {
            invoker,
            machine: &self.name,
            context: json!({
                "Execution": {
                    "Id": format!("{}:{name}", arn("execution", &self.name)),
                    "Name": name,
                    "Input": input,
                    "StartTime": invoker.now().to_string(),
                },
                "StateMachine": {"Id": arn("stateMachine", &self.name)},
            }),
            start: Instant::now(),
            meter: Meter::default(),
            events: Mutex::default(),
            rng: Mutex::new(ChaCha8Rng::seed_from_u64(seed)),
        };
        let limit = self.definition["TimeoutSeconds"].as_u64();
        let limit = Duration::from_secs(limit.unwrap_or(u64::from(u32::MAX)));
        let result = timeout(limit, walker.execution(&self.definition, input)).await;
        let timed_out = || Err(Failure::new("States.Timeout", ""));
        Execution {
            result: result.unwrap_or_else(|_| timed_out()),
            duration: walker.start.elapsed(),
            history: walker.meter.read(),
            events: walker.events.into_inner().unwrap_or_default(),
        }
    }
}

/// One execution under way.
struct Walker<'a, I> {
    invoker: &'a I,
    /// Name of its machine.
    machine: &'a str,
    context: Value,
    start: Instant,
    meter: Meter,
    events: Mutex<Vec<Event>>,
    rng: Mutex<ChaCha8Rng>,
}

/// The variables of a machine, a branch or an iteration. One that is inside another reads the other's and
/// keeps its own to itself; a child execution of a distributed Map begins without any.
///
/// Source: Step Functions developer guide, "Passing data between states with variables".
#[derive(Default)]
struct Scope(Mutex<Variables>);

impl Scope {
    fn inner(&self) -> Self {
        Self(Mutex::new(self.read()))
    }

    fn read(&self) -> Variables {
        self.0.lock().unwrap().clone()
    }

    /// What a catcher assigns: values that are written out, no paths.
    fn assign(&self, catcher: &Value) -> Result<(), Failure> {
        for (name, value) in catcher["Assign"].as_object().into_iter().flatten() {
            if name.ends_with(".$") || !value.is_string() {
                return Err(Failure::runtime(format!("{name} is assigned {value}")));
            }
            self.0.lock().unwrap().insert(name.clone(), value.clone());
        }
        Ok(())
    }
}

/// Where a state leads: its output, and the next state if there is one.
type Step<'a> = (Value, Option<&'a str>);
type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl<I: Invoke> Walker<'_, I> {
    /// Runs a whole machine: its start and its end are events too.
    async fn execution(&self, definition: &Value, input: Value) -> Result<Value, Failure> {
        self.meter.measure("input", &input)?;
        self.meter.count(2)?;
        self.machine(definition, input, Scope::default()).await
    }

    /// Runs a machine or a branch from its `StartAt` to its end.
    fn machine<'a>(
        &'a self,
        definition: &'a Value,
        input: Value,
        scope: Scope,
    ) -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(async move {
            let mut name = text(definition, "StartAt")?;
            let mut data = input;
            loop {
                let state = &definition["States"][name];
                self.record(name, "entered");
                self.meter.count(1)?;
                let (output, next) = self.state(name, state, data, &scope).await?;
                self.meter.count(1)?;
                self.meter.measure(name, &output)?;
                data = output;
                match next {
                    Some(next) => name = next,
                    None => return Ok(data),
                }
            }
        })
    }

    async fn state<'a>(
        &self,
        name: &str,
        state: &'a Value,
        data: Value,
        scope: &Scope,
    ) -> Result<Step<'a>, Failure> {
        check_fields(name, state)?;
        match text(state, "Type")? {
            "Task" => self.task(name, state, data, scope).await,
            "Parallel" => self.parallel(name, state, data, scope).await,
            "Map" => match state["ItemProcessor"]["ProcessorConfig"]["Mode"].as_str() {
                Some("DISTRIBUTED") => self.distributed_map(name, state, data, scope).await,
                _ => self.inline_map(name, state, data, scope).await,
            },
            "Choice" => choose(state, &data).map(|next| (data, Some(next))),
            "Wait" => {
                tokio::time::sleep(self.wait_time(state, &data)?).await;
                Ok((data, next(state)))
            }
            "Pass" => {
                let result = match state.get("Result") {
                    Some(result) => result.clone(),
                    None => self.parameters(name, state, &data)?,
                };
                Ok((put(state, data, result)?, next(state)))
            }
            "Succeed" => match state["OutputPath"].as_str() {
                Some(path) => Ok((self.data(&data).get(path)?, None)),
                None => Ok((data, None)),
            },
            "Fail" => Err(self.fail(state, &data, scope)?),
            other => Err(Failure::runtime(format!("{name}: unknown type {other}"))),
        }
    }

    async fn task<'a>(
        &self,
        name: &str,
        state: &'a Value,
        data: Value,
        scope: &Scope,
    ) -> Result<Step<'a>, Failure> {
        let resource = text(state, "Resource")?;
        let limit = Duration::from_secs(state["TimeoutSeconds"].as_u64().unwrap_or(60));
        let mut retries = retry::Counts::default();
        // Filled in once: a retry is within the state, which keeps the time of its entry.
        let payload = self.parameters(name, state, &data)?;
        loop {
            let payload = payload.clone();
            self.meter.measure(name, &payload)?;
            // Scheduled, started, and succeeded or failed.
            self.meter.count(3)?;
            let answer = timeout(limit, self.invoker.invoke(resource, payload)).await;
            let failure = match answer {
                Ok(Ok(result)) => return Ok((self.result(state, data, result)?, next(state))),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::new("States.Timeout", ""),
            };
            let delay = {
                let mut rng = self.rng.lock().unwrap();
                retries.delay(state, &failure.error, &mut *rng)
            };
            let Some(delay) = delay else {
                return self.catch(name, state, data, failure, scope);
            };
            self.record(
                name,
                &format!("retried: {} {}", failure.error, failure.cause),
            );
            tokio::time::sleep(delay).await;
        }
    }

    async fn parallel<'a>(
        &self,
        name: &str,
        state: &'a Value,
        data: Value,
        scope: &Scope,
    ) -> Result<Step<'a>, Failure> {
        let input = self.parameters(name, state, &data)?;
        let branches = state["Branches"].as_array().map_or(&[][..], Vec::as_slice);
        let runs = branches
            .iter()
            .map(|branch| self.machine(branch, input.clone(), scope.inner()));
        // Started, and succeeded or failed.
        self.meter.count(2)?;
        // The first failure ends the others, as AWS does.
        match futures::future::try_join_all(runs).await {
            Ok(outputs) => {
                let output = self.result(state, data, Value::Array(outputs))?;
                Ok((output, next(state)))
            }
            Err(failure) => self.catch(name, state, data, failure, scope),
        }
    }

    fn catch<'a>(
        &self,
        name: &str,
        state: &'a Value,
        data: Value,
        failure: Failure,
        scope: &Scope,
    ) -> Result<Step<'a>, Failure> {
        for catcher in state["Catch"].as_array().into_iter().flatten() {
            if retry::matches(catcher, &failure.error) {
                self.record(
                    name,
                    &format!("caught: {} {}", failure.error, failure.cause),
                );
                scope.assign(catcher)?;
                let output = put(catcher, data, failure.as_output())?;
                return Ok((output, next(catcher)));
            }
        }
        Err(failure)
    }

    /// The state's effective input: `Parameters` filled in, or the data as they are.
    fn parameters(&self, name: &str, state: &Value, data: &Value) -> Result<Value, Failure> {
        let Some(template) = state.get("Parameters") else {
            return Ok(data.clone());
        };
        let mut context = self.context.clone();
        context["State"] = json!({
            "Name": name,
            "EnteredTime": self.invoker.now().to_string(),
        });
        Source {
            data,
            context: &context,
            variables: None,
        }
        .fill(template)
    }

    /// `ResultSelector`, then `ResultPath`.
    fn result(&self, state: &Value, data: Value, result: Value) -> Result<Value, Failure> {
        let selected = match state.get("ResultSelector") {
            Some(template) => self.data(&result).fill(template)?,
            None => result,
        };
        put(state, data, selected)
    }

    fn wait_time(&self, state: &Value, data: &Value) -> Result<Duration, Failure> {
        let seconds = match state.get("Seconds") {
            Some(seconds) => seconds.clone(),
            None => self.data(data).get(text(state, "SecondsPath")?)?,
        };
        let whole = seconds.as_u64();
        whole
            .map(Duration::from_secs)
            .ok_or_else(|| Failure::runtime(format!("{seconds} is no number of seconds")))
    }

    fn fail(&self, state: &Value, data: &Value, scope: &Scope) -> Result<Failure, Failure> {
        let variables = scope.read();
        let data = Source {
            variables: Some(&variables),
            ..self.data(data)
        };
        let member = |name: &str| -> Result<String, Failure> {
            let value = match state.get(format!("{name}Path")) {
                Some(path) => data.evaluate(path.as_str().unwrap_or(""))?,
                None => state[name].clone(),
            };
            let value = value.as_str().map(ToOwned::to_owned);
            value.ok_or_else(|| Failure::runtime(format!("{name} is no string")))
        };
        Ok(Failure::new(member("Error")?, member("Cause")?))
    }

    fn data<'d>(&'d self, data: &'d Value) -> Source<'d> {
        Source {
            data,
            context: &self.context,
            variables: None,
        }
    }

    fn record(&self, state: &str, what: &str) {
        self.events.lock().unwrap().push(Event {
            at: self.start.elapsed(),
            state: state.to_owned(),
            what: what.to_owned(),
        });
    }
}

fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str, Failure> {
    value[field]
        .as_str()
        .ok_or_else(|| Failure::runtime(format!("{field} is missing in {value}")))
}

fn next(state: &Value) -> Option<&str> {
    state["Next"].as_str()
}

/// Puts a result where `ResultPath` says (default `$`: it replaces the data).
fn put(state: &Value, data: Value, result: Value) -> Result<Value, Failure> {
    match state.get("ResultPath").map(|path| path.as_str()) {
        None | Some(Some("$")) => Ok(result),
        Some(None) => Ok(data),
        Some(Some(path)) => path::put(data, path, result),
    }
}

fn choose<'a>(state: &'a Value, data: &Value) -> Result<&'a str, Failure> {
    let nothing = Value::Object(Map::new());
    for choice in state["Choices"].as_array().into_iter().flatten() {
        let variable = text(choice, "Variable")?;
        let found = Source {
            data,
            context: &nothing,
            variables: None,
        }
        .get(variable);
        let equals = choice.get("StringEquals").or(choice.get("BooleanEquals"));
        let holds = match (equals, choice.get("IsPresent")) {
            (Some(expected), None) => &found? == expected,
            (None, Some(expected)) => Some(found.is_ok()) == expected.as_bool(),
            _ => return Err(Failure::runtime(format!("unknown test in {choice}"))),
        };
        if holds {
            return text(choice, "Next");
        }
    }
    next_default(state)
}

fn next_default(state: &Value) -> Result<&str, Failure> {
    state["Default"]
        .as_str()
        .ok_or_else(|| Failure::new("States.NoChoiceMatched", ""))
}

/// Refuses a field that the walker would pass over.
fn check_fields(name: &str, state: &Value) -> Result<(), Failure> {
    const KNOWN: &[&str] = &[
        "Comment",
        "Type",
        "Resource",
        "Parameters",
        "ResultSelector",
        "ResultPath",
        "TimeoutSeconds",
        "Retry",
        "Catch",
        "Next",
        "End",
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
        "OutputPath",
        "Choices",
        "Default",
        "Seconds",
        "SecondsPath",
        "Result",
        "Error",
        "ErrorPath",
        "Cause",
        "CausePath",
    ];
    let fields = state.as_object();
    let fields = fields.ok_or_else(|| Failure::runtime(format!("there is no state {name}")))?;
    match fields.keys().find(|field| !KNOWN.contains(&field.as_str())) {
        Some(field) => Err(Failure::runtime(format!("{name}: unknown field {field}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails every Task with its resource as the cause.
    struct Refusing;

    impl Invoke for Refusing {
        async fn invoke(&self, resource: &str, _: Value) -> Result<Value, Failure> {
            Err(Failure::new("Refused", resource))
        }
    }

    fn task(variable: &str, step: &str) -> Value {
        let catcher = json!({
            "ErrorEquals": ["States.ALL"],
            "Assign": {variable: step},
            "ResultPath": "$.error",
            "Next": "Failed",
        });
        json!({"Type": "Task", "Resource": step, "Catch": [catcher], "End": true})
    }

    fn fail(variable: &str) -> Value {
        json!({
            "Type": "Fail",
            "ErrorPath": "$.error.Error",
            "CausePath": format!("States.Format('{{}}: {{}}', ${variable}, $.error.Cause)"),
        })
    }

    async fn cause(definition: Value) -> String {
        let machine = Machine::new(definition);
        let execution = machine.run(&Refusing, "test", json!({}), 1).await;
        execution.failure().cause.clone()
    }

    #[tokio::test(start_paused = true)]
    async fn a_catcher_keeps_a_name_for_the_fail_state() {
        let states = json!({"A": task("step", "A"), "Failed": fail("step")});
        assert_eq!(
            cause(json!({"StartAt": "A", "States": states})).await,
            "A: A"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_branch_keeps_its_variables_to_itself() {
        let branch = json!({"StartAt": "A", "States": {
            "A": task("inner", "A"),
            "Failed": fail("inner"),
        }});
        let mut parallel = task("outer", "All");
        parallel["Type"] = "Parallel".into();
        parallel["Branches"] = json!([branch]);
        let states = |variable| json!({"All": parallel, "Failed": fail(variable)});
        let definition = |variable| json!({"StartAt": "All", "States": states(variable)});
        assert_eq!(cause(definition("outer")).await, "All: A: A");
        assert_eq!(cause(definition("inner")).await, "no variable $inner");
    }
}
