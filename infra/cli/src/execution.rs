//! Executions: starting, following to the end.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use aws_config::SdkConfig;
use aws_sdk_cloudwatchlogs::error::DisplayErrorContext;
use aws_sdk_sfn::types::ExecutionStatus;
use serde_json::Value;

use crate::args::{Deployed, Start, Watch};
use crate::input;
use crate::plan;
use crate::receipt::{self, Receipt};
use crate::stack::Stack;
use crate::summary;
use crate::view::{Line, Steps, View};

/// How an execution ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// `SUCCEEDED`, `FAILED`, `TIMED_OUT` or `ABORTED`.
    pub status: String,
    /// The output of an execution that succeeded.
    pub output: Option<Value>,
    /// The error's name otherwise.
    pub error: Option<String>,
    /// The error's cause otherwise, as a person can read it.
    pub cause: Option<String>,
}

impl Ended {
    /// The output; a failure as an error.
    ///
    /// # Errors
    /// If the execution did not succeed: its error and cause.
    pub fn output(&self) -> Result<&Value> {
        if let Some(output) = &self.output {
            return Ok(output);
        }
        let error = self.error.as_deref().unwrap_or("no error name");
        let cause = self.cause.as_deref().unwrap_or("no cause");
        // A cause may have lines of its own, for example what a teardown after it has left.
        let cause = cause.replace('\n', "\n  ");
        bail!(
            "the execution {}: {error}\n  {cause}{}",
            self.status,
            self.left()
        )
    }

    /// What a teardown that failed has left, as far as its cause names it.
    fn left(&self) -> String {
        if self.error.as_deref() != Some(RESOURCES_LEFT) {
            return String::new();
        }
        let left = receipt::named_in(self.cause.as_deref().unwrap_or_default());
        if left.is_empty() {
            return String::new();
        }
        format!("\n\n{}", receipt::table("LEFT", &left))
    }
}

/// The error of a teardown that did not remove everything.
const RESOURCES_LEFT: &str = "ResourcesLeft";

/// Executions of one stack's state machines.
#[derive(Debug, Clone)]
pub struct Executions {
    sfn: aws_sdk_sfn::Client,
    logs: aws_sdk_cloudwatchlogs::Client,
    stack: Stack,
    /// How often is asked.
    interval: Duration,
    /// How many times faster than the clock on the wall the simulated time runs.
    speed: f64,
}

impl Executions {
    /// Executions of `stack`, looked at every `interval`; times are shown multiplied by `speed`.
    #[must_use]
    pub fn new(config: &SdkConfig, stack: Stack, interval: Duration, speed: f64) -> Self {
        Self {
            sfn: aws_sdk_sfn::Client::new(config),
            logs: aws_sdk_cloudwatchlogs::Client::new(config),
            stack,
            interval,
            speed,
        }
    }

    /// The stack that they belong to.
    #[must_use]
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// Starts an execution of the state machine `machine`; its ARN.
    ///
    /// # Errors
    /// What Step Functions refuses.
    pub async fn start(&self, machine: &str, name: &str, input: &Value) -> Result<String> {
        let answer = self
            .sfn
            .start_execution()
            .state_machine_arn(machine)
            .name(name)
            .input(input.to_string())
            .send()
            .await
            .map_err(aws_sdk_sfn::Error::from)
            .context("the execution cannot be started")?;
        Ok(answer.execution_arn)
    }

    /// The ARN of the execution called `name`, of whichever machine has one; provisioning comes first.
    ///
    /// # Errors
    /// If none has one.
    pub async fn find(&self, name: &str) -> Result<String> {
        for machine in [&self.stack.provision_arn, &self.stack.teardown_arn] {
            let executions = machine.replace(":stateMachine:", ":execution:");
            let arn = format!("{executions}:{name}");
            let call = self.sfn.describe_execution().execution_arn(&arn);
            match call.send().await.map_err(aws_sdk_sfn::Error::from) {
                Ok(_) => return Ok(arn),
                Err(aws_sdk_sfn::Error::ExecutionDoesNotExist(_)) => {}
                Err(error) => return Err(error).context("executions cannot be described"),
            }
        }
        bail!("there is no execution {name} of hardway's state machines here")
    }

    /// Shows an execution until it ends.
    ///
    /// # Errors
    /// If it cannot be described.
    pub async fn follow(&self, arn: &str) -> Result<Ended> {
        let mut view = View::new(self.steps(arn).await?, self.speed);
        let mut since = self.started_at(arn).await?;
        loop {
            let ended = self.ended(arn).await?;
            for line in self.lines(arn, &mut since).await {
                view.show(&line);
            }
            view.tick();
            if let Some(ended) = ended {
                view.finish(ended.output.is_some());
                return Ok(ended);
            }
            self.pause().await;
        }
    }

    /// The Tasks of an execution's state machine, in their order. They are those with which it was
    /// started: the machine may have been deployed again since.
    async fn steps(&self, execution: &str) -> Result<Steps> {
        let answer = self
            .sfn
            .describe_state_machine_for_execution()
            .execution_arn(execution)
            .send()
            .await
            .map_err(aws_sdk_sfn::Error::from)
            .with_context(|| format!("the state machine of {execution} cannot be described"))?;
        let definition: Value = serde_json::from_str(&answer.definition)?;
        Ok(Steps::of(&definition))
    }

    async fn started_at(&self, arn: &str) -> Result<Cursor> {
        let answer = self.describe(arn).await?;
        let start = answer.start_date.to_millis()?;
        Ok(Cursor {
            since: start,
            seen: Vec::new(),
            has_reported: false,
        })
    }

    /// What they are asked through.
    pub(crate) fn sfn(&self) -> &aws_sdk_sfn::Client {
        &self.sfn
    }

    /// Waits until it is time to ask again.
    pub(crate) async fn pause(&self) {
        tokio::time::sleep(self.interval).await;
    }

    /// Describes an execution.
    pub(crate) async fn describe(
        &self,
        arn: &str,
    ) -> Result<aws_sdk_sfn::operation::describe_execution::DescribeExecutionOutput> {
        let call = self.sfn.describe_execution().execution_arn(arn);
        let answer = call.send().await.map_err(aws_sdk_sfn::Error::from);
        answer.with_context(|| format!("the execution {arn} cannot be described"))
    }

    /// How an execution ended, if it has.
    pub(crate) async fn ended(&self, arn: &str) -> Result<Option<Ended>> {
        let answer = self.describe(arn).await?;
        if answer.status == ExecutionStatus::Running {
            return Ok(None);
        }
        let output = answer.output.as_deref().map(serde_json::from_str);
        let succeeded = answer.status == ExecutionStatus::Succeeded;
        Ok(Some(Ended {
            status: answer.status.as_str().to_owned(),
            output: output.transpose()?.filter(|_| succeeded),
            error: answer.error,
            cause: answer.cause.as_deref().map(readable),
        }))
    }

    /// The lines that the functions have written for an execution since the last call.
    ///
    /// Logs that cannot be read spoil the view, not the execution: they are reported and passed over.
    async fn lines(&self, execution: &str, cursor: &mut Cursor) -> Vec<Line> {
        let mut pages = self
            .logs
            .filter_log_events()
            .log_group_name(&self.stack.log_group)
            .start_time(cursor.since)
            .filter_pattern(format!("{{ $.execution = \"{execution}\" }}"))
            .into_paginator()
            .send();
        let mut lines = Vec::new();
        while let Some(page) = pages.next().await {
            let events = match page {
                Ok(page) => page.events.unwrap_or_default(),
                Err(error) => {
                    cursor.report(&DisplayErrorContext(&error).to_string());
                    break;
                }
            };
            for event in events {
                let message = event.message.unwrap_or_default();
                if cursor.is_new(&message, event.timestamp.unwrap_or_default()) {
                    lines.extend(Line::parse(&message).filter(|line| line.execution == execution));
                }
            }
        }
        lines
    }
}

/// How far the logs have been read. Lines may arrive late: those of the last seconds are read again.
///
/// A line is known by its text, which has the time and the request in it; not every CloudWatch Logs
/// gives its events an id.
#[derive(Debug)]
struct Cursor {
    since: i64,
    seen: Vec<(String, i64)>,
    has_reported: bool,
}

/// How late a line may arrive.
const LATE_MILLIS: i64 = 10_000;

impl Cursor {
    fn is_new(&mut self, line: &str, at: i64) -> bool {
        if self.seen.iter().any(|(seen, _)| seen == line) {
            return false;
        }
        self.seen.push((line.to_owned(), at));
        self.since = self.since.max(at - LATE_MILLIS);
        let since = self.since;
        self.seen.retain(|(_, at)| *at >= since);
        true
    }

    /// Says once what is wrong with the logs.
    fn report(&mut self, problem: &str) {
        if !self.has_reported {
            eprintln!("the functions' logs cannot be read: {problem}");
            self.has_reported = true;
        }
    }
}

/// A cause as a person can read it: `VPC: {"errorType":…,"errorMessage":"…"}` is `VPC: …`.
///
/// What follows the JSON is kept: a teardown adds a line of its own to the cause that it was run for.
pub(crate) fn readable(cause: &str) -> String {
    let Some(start) = cause.find(": {") else {
        return cause.to_owned();
    };
    let (before, json) = cause.split_at(start + ": ".len());
    let mut values = serde_json::Deserializer::from_str(json).into_iter::<Value>();
    let parsed = values.next().and_then(Result::ok);
    let message = parsed
        .as_ref()
        .and_then(|cause| cause["errorMessage"].as_str());
    match message {
        Some(message) => {
            let after = &json[values.byte_offset()..];
            format!("{before}{message}{}", readable(after))
        }
        None => cause.to_owned(),
    }
}

/// A name for an execution: the cluster's and the time. What names may not contain is left out.
#[must_use]
pub fn name_for(input: &Value) -> String {
    let cluster: String = input["clusterName"]
        .as_str()
        .unwrap_or("unnamed")
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c))
        .take(60)
        .collect();
    format!("{cluster}-{}", jiff::Timestamp::now().as_millisecond())
}

/// How often AWS is asked. CloudWatch Logs takes seconds to show a line anyway.
const AWS_INTERVAL: Duration = Duration::from_secs(3);

/// `hardway start`.
///
/// # Errors
/// If the execution cannot be started, or fails.
pub async fn start(options: &Start) -> Result<()> {
    let input = input::read(&options.input)?;
    let executions = on_aws(&options.deployed).await?;
    let name = options.name.clone().unwrap_or_else(|| name_for(&input));
    let machine = &executions.stack.provision_arn;
    let arn = executions.start(machine, &name, &input).await?;
    println!("{arn}");
    conclude(&executions.follow(&arn).await?)
}

/// `hardway watch`.
///
/// # Errors
/// If there is no such execution, or it fails.
pub async fn watch(options: &Watch) -> Result<()> {
    let executions = on_aws(&options.deployed).await?;
    let arn = if options.execution.starts_with("arn:") {
        options.execution.clone()
    } else {
        executions.find(&options.execution).await?
    };
    conclude(&executions.follow(&arn).await?)
}

/// Executions of the stack in the AWS of environment and profile.
pub(crate) async fn on_aws(deployed: &Deployed) -> Result<Executions> {
    let config = crate::aws::from_env().await;
    let stack = Stack::find(&config, &deployed.stack).await?;
    let (interval, speed) = (AWS_INTERVAL.div_f64(deployed.speed), deployed.speed);
    Ok(Executions::new(&config, stack, interval, speed))
}

/// Prints what an execution of either machine has made or removed.
fn conclude(ended: &Ended) -> Result<()> {
    let output = ended.output()?;
    if output["receipt"].is_object() {
        return Receipt::of(output)?.conclude();
    }
    if output["preview"].is_object() {
        println!("{}", plan::text_of(output)?);
        return Ok(());
    }
    println!("{}", summary::resources(output));
    Ok(())
}

#[cfg(test)]
pub(crate) mod mocks {
    //! Executions whose Step Functions answers by rules.

    use super::*;

    pub const PROVISION: &str =
        "arn:aws:states:ap-northeast-1:111122223333:stateMachine:hardway-provision";
    pub const TEARDOWN: &str =
        "arn:aws:states:ap-northeast-1:111122223333:stateMachine:hardway-teardown";

    pub fn executions(sfn: aws_sdk_sfn::Client) -> Executions {
        let stack = Stack {
            provision_arn: PROVISION.to_owned(),
            teardown_arn: TEARDOWN.to_owned(),
            fleet_arn: PROVISION.replace("provision", "fleet"),
            fleet_bucket: "hardway-bucket".to_owned(),
            log_group: "/aws/lambda/hardway".to_owned(),
        };
        let offline = functions::aws::Aws::offline_config();
        Executions {
            sfn,
            ..Executions::new(&offline, stack, Duration::ZERO, 1.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_sfn::Client;
    use aws_sdk_sfn::operation::describe_execution::{
        DescribeExecutionError, DescribeExecutionOutput,
    };
    use aws_sdk_sfn::operation::describe_state_machine_for_execution::DescribeStateMachineForExecutionOutput;
    use aws_smithy_mocks::mock;
    use serde_json::json;

    #[test]
    fn a_cause_is_made_readable() {
        let cause = r#"VPC: {"errorType":"QuotaExceeded","errorMessage":"a quota: x","trace":[]}"#;
        assert_eq!(readable(cause), "VPC: a quota: x");
        assert_eq!(readable("VPC: something else"), "VPC: something else");
        assert_eq!(readable("VPC: {broken"), "VPC: {broken");
    }

    #[test]
    fn teardown_note_in_a_cause_is_kept_on_its_own_line() {
        let original = r#"VPC: {"errorType":"QuotaExceeded","errorMessage":"a quota: x"}"#;
        let cause = format!("{original}\nTeardown: everything was removed.");
        assert_eq!(
            readable(&cause),
            "VPC: a quota: x\nTeardown: everything was removed."
        );
        let cause = format!("{original}\nTeardown: {original}");
        assert_eq!(
            readable(&cause),
            "VPC: a quota: x\nTeardown: VPC: a quota: x"
        );

        let text = failed("QuotaExceeded", &readable(&cause));
        assert!(
            text.ends_with("QuotaExceeded\n  VPC: a quota: x\n  Teardown: VPC: a quota: x"),
            "{text}"
        );
    }

    #[test]
    fn names_contain_only_what_step_functions_allows() {
        let name = name_for(&json!({"clusterName": "a b$c"}));
        assert!(name.starts_with("abc-"), "{name}");
        assert!(name_for(&json!({})).starts_with("unnamed-"));
    }

    #[test]
    fn a_line_is_shown_once_and_late_ones_are_not_missed() {
        let mut cursor = Cursor {
            since: 0,
            seen: Vec::new(),
            has_reported: false,
        };
        assert!(cursor.is_new("a", 20_000));
        assert!(!cursor.is_new("a", 20_000));
        assert!(cursor.is_new("b", 15_000));
        assert_eq!(cursor.since, 10_000);
        assert!(cursor.is_new("c", 40_000));
        assert_eq!(cursor.seen.len(), 1);
    }

    fn failed(error: &str, cause: &str) -> String {
        let ended = Ended {
            status: "FAILED".to_owned(),
            output: None,
            error: Some(error.to_owned()),
            cause: Some(cause.to_owned()),
        };
        ended.output().unwrap_err().to_string()
    }

    #[test]
    fn a_failure_is_told_with_error_and_cause() {
        let text = failed("InvalidRequest", "Plan: clusterName");
        assert!(text.contains("FAILED: InvalidRequest"), "{text}");
        assert!(text.contains("Plan: clusterName"), "{text}");
    }

    #[test]
    fn a_teardown_that_leaves_something_lists_it() {
        let cause = "Receipt: 1 resource is left: AWS::EC2::VPC vpc-1";
        let text = failed("ResourcesLeft", cause);
        assert!(text.contains(cause), "{text}");
        assert!(text.contains("LEFT"), "{text}");
        let text = failed("ResourcesLeft", "Receipt: something is left");
        assert!(!text.contains("LEFT"), "{text}");
        let text = failed("ResourceConflict", "VPC: AWS::EC2::VPC vpc-1 is not ours");
        assert!(!text.contains("LEFT"), "{text}");
    }

    fn described(arn: &str) -> Option<DescribeExecutionOutput> {
        let start = aws_sdk_sfn::primitives::DateTime::from_secs(0);
        let running = DescribeExecutionOutput::builder()
            .execution_arn(arn)
            .state_machine_arn(mocks::TEARDOWN)
            .status(ExecutionStatus::Running)
            .start_date(start);
        running.build().ok()
    }

    /// A Step Functions with this execution and no other.
    fn with_execution(arn: &'static str) -> Executions {
        let there = mock!(Client::describe_execution)
            .match_requests(move |call| call.execution_arn() == Some(arn))
            .then_output(move || described(arn).unwrap());
        let missing = mock!(Client::describe_execution)
            .match_requests(move |call| call.execution_arn() != Some(arn))
            .then_error(|| {
                let missing = aws_sdk_sfn::types::error::ExecutionDoesNotExist::builder();
                DescribeExecutionError::ExecutionDoesNotExist(missing.build())
            });
        mocks::executions(functions::mocked!(aws_sdk_sfn, [&there, &missing]))
    }

    #[tokio::test]
    async fn an_execution_is_found_by_name_in_either_machine() {
        for arn in [
            "arn:aws:states:ap-northeast-1:111122223333:execution:hardway-provision:demo-1",
            "arn:aws:states:ap-northeast-1:111122223333:execution:hardway-teardown:demo-1",
        ] {
            let executions = with_execution(arn);
            assert_eq!(executions.find("demo-1").await.unwrap(), arn);
            let missing = executions.find("demo-2").await.unwrap_err().to_string();
            assert!(missing.contains("no execution demo-2"), "{missing}");
        }
    }

    #[tokio::test]
    async fn the_steps_are_those_of_the_executions_own_machine() {
        let machine = mock!(Client::describe_state_machine_for_execution)
            .match_requests(|call| call.execution_arn() == Some("e"))
            .then_output(|| {
                let date = aws_sdk_sfn::primitives::DateTime::from_secs(0);
                DescribeStateMachineForExecutionOutput::builder()
                    .state_machine_arn(mocks::TEARDOWN)
                    .name("hardway-teardown")
                    .role_arn("arn:aws:iam::111122223333:role/x")
                    .update_date(date)
                    .definition(r#"{"StartAt":"VPC","States":{"VPC":{"Type":"Task","End":true}}}"#)
                    .build()
                    .unwrap()
            });
        let executions = mocks::executions(functions::mocked!(aws_sdk_sfn, [&machine]));
        let definition = json!({"StartAt": "VPC", "States": {"VPC": {"Type": "Task"}}});
        let steps = executions.steps("e").await.unwrap();
        assert_eq!(steps, Steps::of(&definition));
    }
}
