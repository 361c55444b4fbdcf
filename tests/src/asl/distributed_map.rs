//! The Map state in distributed mode: a Map Run, whose children are executions of their own.
//!
//! Source: Step Functions developer guide, "Using Map state in Distributed mode", "ItemReader",
//! "ResultWriter" and "Redriving Map Runs".

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use jiff::Timestamp;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::history::{History, Meter};
use super::path::Source;
use super::{BoxFuture, Failure, Invoke, Scope, Step, Walker, arn, next, text};

/// What a Distributed Map does without a number of its own.
const MAX_CONCURRENCY: usize = 10_000;

/// A Map Run that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct MapRun {
    /// Its ARN.
    pub arn: String,
    /// ARN of the execution that it belongs to.
    pub execution: String,
    /// ARN of the machine that its children are executions of.
    pub state_machine: String,
    /// Whether no more have failed than are tolerated.
    pub is_tolerable: bool,
    /// How many children there were at once, at most.
    pub peak: usize,
    /// Its children, in the order in which they have ended.
    pub children: Vec<Child>,
    /// The inputs of those that were not started, because too many others had failed.
    pub pending: Vec<Value>,
}

/// A child execution that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Child {
    /// Its name.
    pub name: String,
    /// Its input.
    pub input: Value,
    /// How it ended.
    pub status: Status,
    /// Its output or its failure; neither if it was aborted.
    pub result: Option<Result<Value, Failure>>,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended.
    pub stopped_at: Timestamp,
    /// What of Step Functions' quotas it used.
    pub history: History,
}

/// How a child execution ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It has an output.
    Succeeded,
    /// It has a failure.
    Failed,
    /// The Map Run had failed before.
    Aborted,
}

impl Status {
    /// As AWS writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Aborted => "ABORTED",
        }
    }
}

impl MapRun {
    /// How many children ended so.
    #[must_use]
    pub fn count(&self, status: Status) -> usize {
        let children = self.children.iter();
        children.filter(|child| child.status == status).count()
    }

    /// The most that any child used, of each quota.
    #[must_use]
    pub fn largest_child(&self) -> History {
        let histories = self.children.iter().map(|child| child.history);
        histories.fold(History::default(), |one, other| History {
            events: one.events.max(other.events),
            bytes: one.bytes.max(other.bytes),
        })
    }

    /// Part of the result files.
    fn entry(&self, child: &Child) -> Value {
        let executions = self.state_machine.replace(":stateMachine:", ":execution:");
        let mut entry = json!({
            "ExecutionArn": format!("{executions}:{}", child.name),
            "Input": child.input.to_string(),
            "InputDetails": {"Included": true},
            "Name": child.name,
            "OutputDetails": {"Included": true},
            "RedriveCount": 0,
            "StartDate": child.started_at.to_string(),
            "StateMachineArn": self.state_machine,
            "Status": child.status.as_str(),
            "StopDate": child.stopped_at.to_string(),
        });
        match &child.result {
            Some(Ok(output)) => {
                entry["Output"] = output.to_string().into();
                entry["RedriveStatus"] = "NOT_REDRIVABLE".into();
                entry["RedriveStatusReason"] =
                    "Execution is SUCCEEDED and cannot be redriven".into();
            }
            Some(Err(failure)) => {
                entry["Error"] = failure.error.clone().into();
                entry["Cause"] = failure.cause.clone().into();
                entry["RedriveStatus"] = "REDRIVABLE_BY_MAP_RUN".into();
            }
            None => entry["RedriveStatus"] = "REDRIVABLE_BY_MAP_RUN".into(),
        }
        entry
    }

    /// The result files: their names and contents. Timed-out and aborted children are among the failed.
    fn files(&self) -> BTreeMap<&'static str, Vec<Value>> {
        let of = |is_success: bool| {
            let children = self.children.iter();
            let chosen = children.filter(|it| (it.status == Status::Succeeded) == is_success);
            chosen.map(|child| self.entry(child)).collect::<Vec<_>>()
        };
        let pending = self.pending.iter().map(|input| {
            json!({
                "Input": input.to_string(),
                "InputDetails": {"Included": true},
                "Status": "PENDING",
            })
        });
        [
            ("FAILED", of(false)),
            ("PENDING", pending.collect()),
            ("SUCCEEDED", of(true)),
        ]
        .into()
    }
}

/// Refuses a member that the walker would pass over.
fn check_members(value: &Value, known: &[&str]) -> Result<(), Failure> {
    let members = value.as_object();
    let unknown = members.and_then(|it| it.keys().find(|key| !known.contains(&key.as_str())));
    match unknown {
        Some(key) => Err(Failure::runtime(format!("unknown field {key}"))),
        None => Ok(()),
    }
}

impl<I: Invoke> Walker<'_, I> {
    pub(super) fn distributed_map<'s, 'a: 's>(
        &'s self,
        name: &'s str,
        state: &'a Value,
        data: Value,
        scope: &'s Scope,
    ) -> BoxFuture<'s, Result<Step<'a>, Failure>> {
        Box::pin(async move {
            match self.distributed(name, state, &data).await {
                Ok(result) => Ok((self.result(state, data, result)?, next(state))),
                Err(failure) => self.catch(name, state, data, failure, scope),
            }
        })
    }

    async fn distributed(&self, name: &str, state: &Value, data: &Value) -> Result<Value, Failure> {
        let processor = &state["ItemProcessor"];
        let config = json!({"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"});
        if processor["ProcessorConfig"] != config {
            return Err(Failure::runtime(format!("{name} is not distributed")));
        }
        check_members(
            processor,
            &["ProcessorConfig", "Comment", "StartAt", "States"],
        )?;
        let items = self.items(state, data).await?;
        let inputs: Result<VecDeque<Value>, Failure> = items
            .into_iter()
            .enumerate()
            .map(|(index, item)| self.select(state, data, index, item))
            .collect();
        let limit = match self.number(state, data, "MaxConcurrencyPath")? {
            None | Some(0) => MAX_CONCURRENCY,
            Some(limit) => limit,
        };
        let tolerated = self.number(state, data, "ToleratedFailurePercentagePath")?;
        if tolerated.is_some_and(|tolerated| tolerated > 100) {
            return Err(Failure::runtime("a percentage is 0 to 100"));
        }
        let run = MapRun {
            arn: format!(
                "{}/{}:{}",
                arn("mapRun", self.machine),
                text(state, "Label")?,
                self.uuid()
            ),
            execution: text(&self.context["Execution"], "Id")?.to_owned(),
            state_machine: format!(
                "{}/{}",
                arn("stateMachine", self.machine),
                text(state, "Label")?
            ),
            is_tolerable: true,
            peak: 0,
            children: Vec::new(),
            pending: Vec::new(),
        };
        // The Map Run has started, and has succeeded or failed.
        self.meter.count(2)?;
        let run = self
            .children(run, processor, inputs?, limit, tolerated.unwrap_or(0))
            .await;
        let written = self.write(state, data, &run).await?;
        let is_tolerable = run.is_tolerable;
        self.invoker.keep(run);
        if is_tolerable {
            return Ok(written);
        }
        Err(Failure::new(
            "States.ExceedToleratedFailureThreshold",
            "The specified tolerated failure threshold was exceeded",
        ))
    }

    /// The items: those at `ItemsPath`, or those of an object in S3.
    async fn items(&self, state: &Value, data: &Value) -> Result<Vec<Value>, Failure> {
        let items = if let Some(reader) = state.get("ItemReader") {
            self.read(reader, data).await?
        } else {
            let path = state["ItemsPath"].as_str().unwrap_or("$");
            self.data(data).get(path)?
        };
        match items {
            Value::Array(items) => Ok(items),
            other => Err(Failure::runtime(format!("{other} is no array"))),
        }
    }

    async fn read(&self, reader: &Value, data: &Value) -> Result<Value, Failure> {
        check_members(reader, &["Resource", "ReaderConfig", "Parameters"])?;
        if reader["ReaderConfig"] != json!({"InputType": "JSON"}) {
            return Err(Failure::runtime("only a JSON array is read"));
        }
        let parameters = self.data(data).fill(&reader["Parameters"])?;
        let failed = |cause| Failure::new("States.ItemReaderFailed", cause);
        let resource = text(reader, "Resource")?;
        let object = self.invoker.invoke(resource, parameters).await;
        let object = object.map_err(|failure| failed(failure.cause))?;
        let body = object["Body"].as_str().unwrap_or_default();
        serde_json::from_str(body).map_err(|error| failed(error.to_string()))
    }

    /// A child's input: `ItemSelector` filled in, or the item.
    fn select(
        &self,
        state: &Value,
        data: &Value,
        index: usize,
        item: Value,
    ) -> Result<Value, Failure> {
        let Some(template) = state.get("ItemSelector") else {
            return Ok(item);
        };
        let mut context = json!({"Execution": {}});
        context["Execution"]["Id"] = self.context["Execution"]["Id"].clone();
        context["Execution"]["Name"] = self.context["Execution"]["Name"].clone();
        context["Map"] = json!({"Item": {"Index": index, "Value": item}});
        Source {
            data,
            context: &context,
            variables: None,
        }
        .fill(template)
    }

    fn number(&self, state: &Value, data: &Value, field: &str) -> Result<Option<usize>, Failure> {
        let Some(path) = state[field].as_str() else {
            return Ok(None);
        };
        let value = self.data(data).get(path)?;
        let number = value.as_u64().and_then(|it| usize::try_from(it).ok());
        let no_number = || Failure::runtime(format!("{field}: {value} is no number"));
        number.map(Some).ok_or_else(no_number)
    }

    /// Runs the children, so many at a time, until all have ended or too many have failed.
    async fn children(
        &self,
        mut run: MapRun,
        processor: &Value,
        mut inputs: VecDeque<Value>,
        limit: usize,
        tolerated: usize,
    ) -> MapRun {
        let total = inputs.len();
        let mut failed = 0;
        let mut under_way = BTreeMap::new();
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < limit
                && let Some(input) = inputs.pop_front()
            {
                let child = Child {
                    name: self.uuid(),
                    input,
                    status: Status::Aborted,
                    result: None,
                    started_at: self.invoker.now(),
                    stopped_at: self.invoker.now(),
                    history: History::default(),
                };
                under_way.insert(child.name.clone(), child.clone());
                running.push(self.child(&run.state_machine, processor, child));
            }
            run.peak = run.peak.max(running.len());
            let Some(child) = running.next().await else {
                break;
            };
            under_way.remove(&child.name);
            failed += usize::from(child.status == Status::Failed);
            run.children.push(child);
            if failed * 100 > tolerated * total {
                run.is_tolerable = false;
                break;
            }
        }
        drop(running);
        let now = self.invoker.now();
        let aborted = under_way.into_values();
        run.children.extend(aborted.map(|child| Child {
            stopped_at: now,
            ..child
        }));
        run.pending = inputs.into();
        run
    }

    /// Runs a child to its end.
    async fn child(&self, state_machine: &str, processor: &Value, child: Child) -> Child {
        let executions = state_machine.replace(":stateMachine:", ":execution:");
        let walker = Walker {
            invoker: self.invoker,
            machine: self.machine,
            context: json!({
                "Execution": {
                    "Id": format!("{executions}:{}", child.name),
                    "Name": child.name,
                    "Input": child.input,
                    "StartTime": child.started_at.to_string(),
                },
            }),
            start: Instant::now(),
            meter: Meter::default(),
            events: Mutex::default(),
            rng: Mutex::new(ChaCha8Rng::seed_from_u64(self.random())),
        };
        let result: BoxFuture<'_, _> = Box::pin(walker.execution(processor, child.input.clone()));
        let result = result.await;
        Child {
            status: if result.is_ok() {
                Status::Succeeded
            } else {
                Status::Failed
            },
            result: Some(result),
            stopped_at: self.invoker.now(),
            history: walker.meter.read(),
            ..child
        }
    }

    /// Writes the results where `ResultWriter` says; what the state's result is then.
    async fn write(&self, state: &Value, data: &Value, run: &MapRun) -> Result<Value, Failure> {
        let Some(writer) = state.get("ResultWriter") else {
            let outputs = run.children.iter().map(|child| match &child.result {
                Some(Ok(output)) => output.clone(),
                _ => Value::Null,
            });
            return Ok(outputs.collect());
        };
        check_members(writer, &["Resource", "Parameters"])?;
        let resource = text(writer, "Resource")?;
        let place = self.data(data).fill(&writer["Parameters"])?;
        let (bucket, prefix) = (text(&place, "Bucket")?, text(&place, "Prefix")?);
        let id = run.arn.rsplit(':').next().unwrap_or_default();
        let put = async |name: &str, content: &Value| -> Result<(String, usize), Failure> {
            let key = format!("{prefix}/{id}/{name}");
            let body = content.to_string();
            let size = body.len();
            let object = json!({"Bucket": bucket, "Key": key, "Body": body});
            let answer = self.invoker.invoke(resource, object).await;
            answer.map_err(|it| Failure::new("States.ResultWriterFailed", it.cause))?;
            Ok((key, size))
        };
        let mut manifest = json!({
            "DestinationBucket": bucket,
            "MapRunArn": run.arn,
            "ResultFiles": {"FAILED": [], "PENDING": [], "SUCCEEDED": []},
        });
        for (status, entries) in run.files() {
            if entries.is_empty() {
                continue;
            }
            let name = format!("{status}_0.json");
            let (key, size) = put(&name, &Value::Array(entries)).await?;
            manifest["ResultFiles"][status] = json!([{"Key": key, "Size": size}]);
        }
        let (key, _) = put("manifest.json", &manifest).await?;
        Ok(json!({
            "MapRunArn": run.arn,
            "ResultWriterDetails": {"Bucket": bucket, "Key": key},
        }))
    }

    fn random(&self) -> u64 {
        self.rng.lock().unwrap().random()
    }

    /// A name for a Map Run or a child: never the same in two executions, whatever their seeds.
    fn uuid(&self) -> String {
        let of = |part: u8| {
            let mut hasher = DefaultHasher::new();
            (
                &self.context["Execution"]["Id"].to_string(),
                self.random(),
                part,
            )
                .hash(&mut hasher);
            hasher.finish()
        };
        let (high, low) = (of(0), of(1));
        format!(
            "{:08x}-{:04x}-3{:03x}-8{:03x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            low >> 48 & 0xfff,
            low & 0xffff_ffff_ffff
        )
    }
}
