//! Fleets: many clusters in many accounts, started as one execution and followed by its counts.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use aws_sdk_sfn::types::{ExecutionStatus, MapRunItemCounts};
use comfy_table::{Cell, Table};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::args::Fleet;
use crate::execution::{Ended, Executions, on_aws, readable};
use crate::stack::Stack;
use crate::summary;

/// Step Functions' limit for the input of an execution, in bytes: 256 KiB.
const INPUT_MAX: usize = 256 * 1024;

/// How the clusters of a fleet have ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// How many there are.
    pub total: i64,
    /// How many are as their input wants them.
    pub succeeded: i64,
    /// How many were not started, or not followed to their end, because too many others had failed.
    pub left: i64,
    /// Those that have failed, by account.
    pub failures: Vec<Failure>,
}

/// A cluster that has failed, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Failure {
    /// Its account.
    pub account: String,
    /// Its region.
    pub region: String,
    /// Its name.
    pub cluster: String,
    /// The error's name.
    pub error: String,
    /// The error's cause, as a person can read it.
    pub cause: String,
}

impl Report {
    /// Whether every cluster is as its input wants it.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.succeeded == self.total
    }

    /// The failures as a table; the numbers below it.
    #[must_use]
    pub fn text(&self) -> String {
        let numbers = format!(
            "{} of {} clusters succeeded, {} failed",
            self.succeeded,
            self.total,
            self.failures.len()
        );
        let numbers = match self.left {
            0 => format!("{numbers}."),
            left => format!("{numbers}, {left} were left because too many failed."),
        };
        if self.failures.is_empty() {
            return numbers;
        }
        format!("{}\n\n{numbers}", table(&self.failures))
    }
}

fn table(failures: &[Failure]) -> Table {
    let mut table = summary::table();
    table.set_header(["ACCOUNT", "REGION", "CLUSTER", "ERROR", "CAUSE"]);
    for failure in failures {
        table.add_row([
            Cell::new(&failure.account),
            Cell::new(&failure.region),
            Cell::new(&failure.cluster),
            Cell::new(&failure.error),
            Cell::new(&failure.cause),
        ]);
    }
    table
}

/// `hardway fleet`.
///
/// # Errors
/// If the execution cannot be started or followed, or a cluster failed.
pub async fn run(options: &Fleet) -> Result<()> {
    let executions = on_aws(&options.deployed).await?;
    let input = input(options, executions.stack())?;
    let name = options.name.clone().unwrap_or_else(|| {
        let now = jiff::Timestamp::now().as_millisecond();
        format!("fleet-{now}")
    });
    let arn = start(&executions, &name, &input).await?;
    println!("{arn}");
    let (ended, report) = follow(&executions, &arn).await?;
    conclude(&ended, &report)
}

/// Prints the report; a fleet that is not complete is an error.
fn conclude(ended: &Ended, report: &Report) -> Result<()> {
    if report.total == 0 {
        // It ended before there was anything to count.
        ended.output()?;
    }
    println!("{}", report.text());
    ensure!(
        report.is_complete(),
        "not every cluster is built; mend what is wrong and start the same fleet again: it does only \
         what is not done"
    );
    Ok(())
}

/// Starts a fleet; the execution's ARN.
///
/// # Errors
/// What Step Functions refuses.
pub async fn start(executions: &Executions, name: &str, input: &Value) -> Result<String> {
    let machine = &executions.stack().fleet_arn;
    executions.start(machine, name, input).await
}

/// The input of the fleet's execution.
fn input(options: &Fleet, stack: &Stack) -> Result<Value> {
    let mut input = match (&options.input, &options.key) {
        (Some(path), _) => json!({"inputs": read_list(path)?}),
        (None, Some(key)) => json!({"key": key}),
        // The command line asks for one of them.
        (None, None) => bail!("there is neither an input nor a key"),
    };
    if let Some(number) = options.max_concurrency {
        input["maxConcurrency"] = number.into();
    }
    if let Some(number) = options.tolerated_failure_percentage {
        input["toleratedFailurePercentage"] = number.into();
    }
    let size = input.to_string().len();
    ensure!(
        size <= INPUT_MAX,
        "the list has {size} bytes, and an execution's input {INPUT_MAX} at most; put it into the \
         stack's bucket as a JSON array, and start it from there:\n\n\
         aws s3 cp LIST.json s3://{}/lists/LIST.json\n\
         hardway fleet --key lists/LIST.json",
        stack.fleet_bucket
    );
    Ok(input)
}

/// Reads a list of inputs: a JSON array, or a JSON object on each line.
///
/// # Errors
/// If it is not there, or neither.
fn read_list(path: &Path) -> Result<Vec<Value>> {
    let place = path.display();
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the list {place} cannot be read"))?;
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(&text)
            .with_context(|| format!("the list {place} is not a JSON array"));
    }
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            let number = index + 1;
            serde_json::from_str(line)
                .with_context(|| format!("line {number} of {place} is not JSON"))
        })
        .collect()
}

/// Shows a fleet's counts until it ends; then collects who has failed, and why.
///
/// # Errors
/// If it cannot be described.
pub async fn follow(executions: &Executions, arn: &str) -> Result<(Ended, Report)> {
    let bar = ProgressBar::new(0).with_style(style());
    let (ended, map_run) = loop {
        let ended = executions.ended(arn).await?;
        let map_run = map_run(executions, arn).await?;
        if let Some(map_run) = &map_run {
            show(&bar, &counts(executions, map_run).await?);
        }
        if let Some(ended) = ended {
            break (ended, map_run);
        }
        executions.pause().await;
    };
    bar.finish_and_clear();
    let Some(map_run) = map_run else {
        return Ok((ended, Report::default()));
    };
    let counts = counts(executions, &map_run).await?;
    let report = Report {
        total: counts.total,
        succeeded: counts.succeeded,
        left: counts.pending + counts.aborted,
        failures: failures(executions, &map_run).await?,
    };
    Ok((ended, report))
}

fn style() -> ProgressStyle {
    // A template of literals: it cannot fail.
    ProgressStyle::with_template("  {wide_bar} {pos}/{len}  {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn show(bar: &ProgressBar, counts: &MapRunItemCounts) {
    let ended = counts.succeeded + counts.failed + counts.timed_out + counts.aborted;
    let number = |number: i64| u64::try_from(number).unwrap_or_default();
    bar.set_length(number(counts.total));
    bar.set_position(number(ended));
    bar.set_message(format!(
        "{} running, {} failed",
        counts.running,
        counts.failed + counts.timed_out
    ));
}

/// ARN of the Map Run of an execution, if it has one already.
async fn map_run(executions: &Executions, arn: &str) -> Result<Option<String>> {
    let call = executions.sfn().list_map_runs().execution_arn(arn);
    let answer = call.send().await.map_err(aws_sdk_sfn::Error::from);
    let answer = answer.context("the fleet's Map Run cannot be found")?;
    let first = answer.map_runs.into_iter().next();
    Ok(first.map(|run| run.map_run_arn))
}

async fn counts(executions: &Executions, map_run: &str) -> Result<MapRunItemCounts> {
    let call = executions.sfn().describe_map_run().map_run_arn(map_run);
    let answer = call.send().await.map_err(aws_sdk_sfn::Error::from);
    let answer = answer.context("the fleet's Map Run cannot be described")?;
    answer
        .item_counts
        .context("the fleet's Map Run has no counts")
}

/// The members that have failed, and why.
async fn failures(executions: &Executions, map_run: &str) -> Result<Vec<Failure>> {
    let mut failures = Vec::new();
    for status in [ExecutionStatus::Failed, ExecutionStatus::TimedOut] {
        let mut members = executions
            .sfn()
            .list_executions()
            .map_run_arn(map_run)
            .status_filter(status)
            .into_paginator()
            .items()
            .send();
        while let Some(member) = members.next().await {
            let member = member.map_err(aws_sdk_sfn::Error::from);
            let member = member.context("the fleet's failures cannot be listed")?;
            let member = executions.describe(&member.execution_arn).await?;
            let input = member.input.as_deref().unwrap_or_default();
            let input = serde_json::from_str(input).unwrap_or_default();
            let error = member.error.unwrap_or_else(|| member.status.to_string());
            let cause = readable(&member.cause.unwrap_or_default());
            failures.push(failure(&input, executions.stack(), error, cause));
        }
    }
    failures.sort();
    Ok(failures)
}

/// Whoever names no account and no region means the stack's own.
fn failure(member: &Value, stack: &Stack, error: String, cause: String) -> Failure {
    let spec = &member["spec"];
    let text = |value: &Value, default: &str| value.as_str().unwrap_or(default).to_owned();
    Failure {
        account: text(&spec["account"]["id"], stack.account()),
        region: text(&spec["region"], stack.region()),
        cluster: text(&spec["clusterName"], "(no name)"),
        error,
        cause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Args, Command};
    use crate::execution::mocks;
    use aws_sdk_sfn::Client;
    use aws_sdk_sfn::operation::describe_execution::DescribeExecutionOutput;
    use aws_sdk_sfn::operation::describe_map_run::DescribeMapRunOutput;
    use aws_sdk_sfn::operation::list_executions::ListExecutionsOutput;
    use aws_sdk_sfn::operation::list_map_runs::ListMapRunsOutput;
    use aws_sdk_sfn::operation::start_execution::StartExecutionOutput;
    use aws_sdk_sfn::primitives::DateTime;
    use aws_sdk_sfn::types::{ExecutionListItem, MapRunListItem, MapRunStatus};
    use aws_smithy_mocks::mock;
    use clap::Parser;
    use std::io::Write;

    const FLEET: &str = "arn:aws:states:ap-northeast-1:111122223333:execution:hardway-fleet:one";
    const MEMBER: &str =
        "arn:aws:states:ap-northeast-1:111122223333:execution:hardway-fleet/Members:two";

    fn options(arguments: &[&str]) -> Fleet {
        let args = ["hardway", "fleet"].iter().chain(arguments);
        match Args::parse_from(args).command {
            Command::Fleet(options) => options,
            other => panic!("{other:?}"),
        }
    }

    fn stack() -> Stack {
        let sfn = functions::mocked!(aws_sdk_sfn, []);
        mocks::executions(sfn).stack().clone()
    }

    fn of_file(content: &str, more: &[&str]) -> Result<Value> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content.as_bytes()).unwrap();
        let path = file.path().to_str().unwrap().to_owned();
        let arguments: Vec<&str> = ["--input", &path]
            .into_iter()
            .chain(more.iter().copied())
            .collect();
        input(&options(&arguments), &stack())
    }

    #[test]
    fn a_list_is_an_array_or_lines() {
        let wanted = json!({"inputs": [{"clusterName": "a"}, {"clusterName": "b"}]});
        let array = r#" [{"clusterName": "a"}, {"clusterName": "b"}]"#;
        assert_eq!(of_file(array, &[]).unwrap(), wanted);
        let lines = "{\"clusterName\": \"a\"}\n\n{\"clusterName\": \"b\"}\n";
        assert_eq!(of_file(lines, &[]).unwrap(), wanted);
        let error = of_file("{\"clusterName\": \"a\"}\n{", &[]).unwrap_err();
        assert!(error.to_string().starts_with("line 2 of "), "{error}");
    }

    #[test]
    fn settings_go_with_the_list() {
        let more = [
            "--max-concurrency",
            "50",
            "--tolerated-failure-percentage",
            "0",
        ];
        let input = of_file("[]", &more).unwrap();
        assert_eq!(
            input,
            json!({"inputs": [], "maxConcurrency": 50, "toleratedFailurePercentage": 0})
        );
    }

    #[test]
    fn a_list_that_is_too_long_goes_through_the_bucket() {
        let long = json!([{"clusterName": "x".repeat(INPUT_MAX)}]).to_string();
        let error = of_file(&long, &[]).unwrap_err().to_string();
        assert!(error.contains("s3://hardway-bucket/lists/"), "{error}");
        let input = input(&options(&["--key", "lists/a.json"]), &stack()).unwrap();
        assert_eq!(input, json!({"key": "lists/a.json"}));
    }

    #[tokio::test]
    async fn a_fleet_is_an_execution_of_its_own_machine() {
        let start = mock!(Client::start_execution)
            .match_requests(|call| {
                call.state_machine_arn()
                    .is_some_and(|arn| arn.ends_with("hardway-fleet"))
                    && call.name() == Some("one")
                    && call.input() == Some(r#"{"key":"lists/a.json"}"#)
            })
            .then_output(|| {
                StartExecutionOutput::builder()
                    .execution_arn(FLEET)
                    .start_date(DateTime::from_secs(0))
                    .build()
                    .unwrap()
            });
        let executions = mocks::executions(functions::mocked!(aws_sdk_sfn, [&start]));
        let input = json!({"key": "lists/a.json"});
        let arn = super::start(&executions, "one", &input).await;
        assert_eq!(arn.unwrap(), FLEET);
    }

    fn described(
        arn: &'static str,
        input: Value,
        error: &'static str,
        cause: &'static str,
    ) -> aws_smithy_mocks::Rule {
        mock!(Client::describe_execution)
            .match_requests(move |call| call.execution_arn() == Some(arn))
            .then_output(move || {
                DescribeExecutionOutput::builder()
                    .execution_arn(arn)
                    .state_machine_arn("m")
                    .status(ExecutionStatus::Failed)
                    .start_date(DateTime::from_secs(0))
                    .input(input.to_string())
                    .error(error)
                    .cause(cause)
                    .build()
                    .unwrap()
            })
    }

    #[tokio::test]
    async fn the_report_says_who_failed_and_why() {
        let fleet = described(
            FLEET,
            json!({}),
            "States.ExceedToleratedFailureThreshold",
            "",
        );
        let cause = r#"444455556666-eu-west-1-demo: VPC: {"errorType":"QuotaExceeded","errorMessage":"a quota"}"#;
        let input = json!({"spec": {"clusterName": "demo", "region": "eu-west-1", "account": {"id": "444455556666"}}});
        let member = described(MEMBER, input, "QuotaExceeded", cause);
        let runs = mock!(Client::list_map_runs)
            .match_requests(|call| call.execution_arn() == Some(FLEET))
            .then_output(|| {
                let run = MapRunListItem::builder()
                    .execution_arn(FLEET)
                    .map_run_arn("run")
                    .state_machine_arn("m")
                    .start_date(DateTime::from_secs(0));
                ListMapRunsOutput::builder()
                    .map_runs(run.build().unwrap())
                    .build()
                    .unwrap()
            });
        let run = mock!(Client::describe_map_run).then_output(|| {
            let counts = MapRunItemCounts::builder()
                .total(4)
                .succeeded(1)
                .failed(1)
                .aborted(1)
                .pending(1)
                .running(0)
                .timed_out(0)
                .results_written(0);
            DescribeMapRunOutput::builder()
                .map_run_arn("run")
                .execution_arn(FLEET)
                .status(MapRunStatus::Failed)
                .start_date(DateTime::from_secs(0))
                .max_concurrency(1)
                .tolerated_failure_percentage(10.0)
                .tolerated_failure_count(0)
                .item_counts(counts.build())
                .build()
                .unwrap()
        });
        let failed = mock!(Client::list_executions)
            .match_requests(|call| {
                call.map_run_arn() == Some("run")
                    && call.status_filter() == Some(&ExecutionStatus::Failed)
            })
            .then_output(|| {
                let member = ExecutionListItem::builder()
                    .execution_arn(MEMBER)
                    .state_machine_arn("m")
                    .name("two")
                    .status(ExecutionStatus::Failed)
                    .start_date(DateTime::from_secs(0));
                ListExecutionsOutput::builder()
                    .executions(member.build().unwrap())
                    .build()
                    .unwrap()
            });
        let timed_out = mock!(Client::list_executions).then_output(|| {
            ListExecutionsOutput::builder()
                .set_executions(Some(vec![]))
                .build()
                .unwrap()
        });
        let sfn = functions::mocked!(
            aws_sdk_sfn,
            [&fleet, &member, &runs, &run, &failed, &timed_out]
        );
        let executions = mocks::executions(sfn);
        let (ended, report) = follow(&executions, FLEET).await.unwrap();
        assert_eq!(ended.status, "FAILED");
        assert_eq!(
            report,
            Report {
                total: 4,
                succeeded: 1,
                left: 2,
                failures: vec![Failure {
                    account: "444455556666".to_owned(),
                    region: "eu-west-1".to_owned(),
                    cluster: "demo".to_owned(),
                    error: "QuotaExceeded".to_owned(),
                    cause: "444455556666-eu-west-1-demo: VPC: a quota".to_owned(),
                }],
            }
        );
        let text = report.text();
        assert!(text.contains("QuotaExceeded"), "{text}");
        assert!(
            text.ends_with(
                "1 of 4 clusters succeeded, 1 failed, 2 were left because too many failed."
            ),
            "{text}"
        );
        assert!(conclude(&ended, &report).is_err());
    }

    #[test]
    fn a_member_without_a_place_is_in_the_stacks() {
        let member = json!({"spec": {"clusterName": "demo"}});
        let failure = failure(&member, &stack(), "E".to_owned(), "c".to_owned());
        assert_eq!(failure.account, "111122223333");
        assert_eq!(failure.region, "ap-northeast-1");
    }

    #[test]
    fn a_complete_fleet_is_a_success() {
        let report = Report {
            total: 2,
            succeeded: 2,
            ..Report::default()
        };
        let ended = Ended {
            status: "SUCCEEDED".to_owned(),
            output: Some(json!({})),
            error: None,
            cause: None,
        };
        assert_eq!(report.text(), "2 of 2 clusters succeeded, 0 failed.");
        assert!(conclude(&ended, &report).is_ok());
    }

    #[test]
    fn a_fleet_that_ended_before_it_began_says_why() {
        let ended = Ended {
            status: "FAILED".to_owned(),
            output: None,
            error: Some("InvalidRequest".to_owned()),
            cause: Some("Settings: inputs".to_owned()),
        };
        let error = conclude(&ended, &Report::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains("Settings: inputs"), "{error}");
    }
}
