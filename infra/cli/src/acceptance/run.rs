//! The run: each stage after the other, and what it came to.

use functions::contract::Resource;
use functions::plan::Preview;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use console::style;
use jiff::Timestamp;
use serde_json::Value;

use super::left::{self, Found};
use super::log::Log;
use super::permissions::{self, Permissions};
use super::place::Place;
use super::questions::{self, Answers};
use super::report::{Cost, Outcome, Report, Stage, Versions};
use super::timeline::{self, Step};
use super::{notice, stack};
use crate::args::Acceptance;
use crate::execution::{Executions, name_for};

/// The last state of a building execution.
const LAST_STATE: &str = "Registry";
/// How long CloudWatch Logs may take to show a line.
const LOG_TRIES: usize = 20;
const LOG_SECONDS: f64 = 3.0;
const SECONDS_PER_HOUR: f64 = 3600.0;

/// An execution that was started.
pub(super) struct Started {
    pub arn: String,
    pub has_ended: bool,
}

/// What was done so far. Everything in it survives an interruption.
pub(super) struct Run<'a> {
    pub place: &'a Place,
    options: &'a Acceptance,
    input: Value,
    preview: Preview,
    started_at: Timestamp,
    stage: Option<(&'static str, Instant)>,
    stages: Vec<Stage>,
    problems: Vec<String>,
    permissions: Permissions,
    pub answers: Answers,
    /// Whether anything may be there that has to be removed.
    pub has_begun: bool,
    pub executions: Option<Executions>,
    pub building: Vec<Started>,
    pub teardown: Option<String>,
    pub log: Log,
    pub vpc: Option<String>,
    pub removed: Vec<Resource>,
    pub steps: Vec<Step>,
    pub found: Found,
    findings: Vec<String>,
    versions: Versions,
    /// Service-linked roles that were there before.
    roles_before: Vec<&'static str>,
    built_at: Option<Timestamp>,
    pub gone_at: Option<Timestamp>,
}

/// Runs a part of the run and keeps how long it took and how it ended. A macro, because the part borrows the
/// run, too.
macro_rules! stage {
    ($run:expr, $name:literal, $work:expr) => {{
        $run.begin($name);
        let done = $work.await;
        $run.end(&done);
        done
    }};
}
pub(super) use stage;

impl<'a> Run<'a> {
    pub fn new(place: &'a Place, options: &'a Acceptance, input: Value, preview: Preview) -> Self {
        Self {
            place,
            options,
            input,
            preview,
            started_at: Timestamp::now(),
            stage: None,
            stages: Vec::new(),
            problems: Vec::new(),
            permissions: Permissions::default(),
            answers: Answers::default(),
            has_begun: false,
            executions: None,
            building: Vec::new(),
            teardown: None,
            log: Log::default(),
            vpc: None,
            removed: Vec::new(),
            steps: Vec::new(),
            found: Found::default(),
            findings: Vec::new(),
            versions: super::report::versions(&place.root),
            roles_before: Vec::new(),
            built_at: None,
            gone_at: None,
        }
    }

    /// Notes what went wrong; the first of them is the reason of all.
    pub fn problem(&mut self, what: String) {
        if let Some((name, start)) = self.stage.take() {
            self.stages.push(Stage {
                name,
                seconds: start.elapsed().as_secs_f64(),
                passed: false,
            });
        }
        self.problems.push(what);
    }

    pub fn begin(&mut self, name: &'static str) {
        eprintln!("{} {name}", style("▸").cyan().bold());
        self.stage = Some((name, Instant::now()));
    }

    pub fn end(&mut self, done: &Result<()>) {
        let Some((name, start)) = self.stage.take() else {
            return;
        };
        let seconds = start.elapsed().as_secs_f64();
        let passed = done.is_ok();
        let took = style(format!("({seconds:.0} s)")).dim();
        match done {
            Ok(()) => eprintln!("{} {name} {took}", style("✔").green()),
            Err(error) => eprintln!("{} {name} {took}: {error:#}", style("✘").red().bold()),
        }
        self.stages.push(Stage {
            name,
            seconds,
            passed,
        });
        if let Err(error) = done {
            self.problems.push(format!("{name}: {error:#}"));
        }
    }

    /// Everything up to the teardown. What makes the rest pointless ends it.
    pub async fn try_everything(&mut self) {
        let is_through = stage!(self, "permissions", self.ask_permissions()).is_ok()
            && stage!(self, "questions", self.ask_first()).is_ok()
            && stage!(self, "deployment", self.deploy()).is_ok()
            && stage!(self, "question about events", self.ask_of_events()).is_ok()
            && stage!(self, "cluster", self.build()).is_ok();
        if !is_through {
            return;
        }
        let _ = stage!(self, "second run", self.run_again());
        let _ = stage!(self, "diagnosis", self.diagnose());
        let _ = stage!(self, "one change", self.change());
        // The last: an answer that nobody believes may leave something that the next run would put right.
        let _ = stage!(self, "questions about EKS", self.ask_of_eks());
    }

    async fn ask_permissions(&mut self) -> Result<()> {
        self.permissions = permissions::check(self.place).await;
        for unchecked in &self.permissions.unchecked {
            eprintln!("  not checked: {unchecked}");
        }
        let denied = &self.permissions.denied;
        for denied in denied {
            let (action, resource) = (&denied.action, &denied.resource);
            eprintln!(
                "  {action} on {resource}: {} (for {})",
                denied.why, denied.purpose
            );
        }
        ensure!(
            denied.is_empty() || self.options.ignore_denials,
            "{} of {} actions are not allowed; --ignore-denials goes on nevertheless",
            denied.len(),
            self.permissions.checked
        );
        Ok(())
    }

    async fn ask_first(&mut self) -> Result<()> {
        self.roles_before = super::removal::service_linked_roles(self.place).await;
        self.has_begun = true;
        questions::iam::ask(self.place, &mut self.answers).await;
        questions::network::ask(self.place, &mut self.answers).await;
        // At once: until the cluster's own VPC is made there may be room for no other.
        let undone = questions::network::undo(self.place).await;
        undone.map_err(anyhow::Error::msg)
    }

    async fn deploy(&mut self) -> Result<()> {
        let stack = stack::deploy(self.place, &self.options.architecture).await?;
        let interval = stack::interval(self.place.speed);
        let (config, speed) = (&self.place.config, self.place.speed);
        self.executions = Some(Executions::new(config, stack, interval, speed));
        Ok(())
    }

    async fn ask_of_events(&mut self) -> Result<()> {
        questions::events::ask(self.place, &mut self.answers).await;
        Ok(())
    }

    /// Starts a building execution and follows it; its ARN and output.
    async fn provision(&mut self, input: &Value) -> Result<(String, Value)> {
        let executions = self.executions.clone().context("there is no stack")?;
        let machine = executions.stack().provision_arn.clone();
        let arn = executions.start(&machine, &name_for(input), input).await?;
        self.building.push(Started {
            arn: arn.clone(),
            has_ended: false,
        });
        let ended = executions.follow(&arn).await?;
        if let Some(started) = self.building.last_mut() {
            started.has_ended = true;
        }
        Ok((arn, ended.output()?.clone()))
    }

    async fn build(&mut self) -> Result<()> {
        self.built_at = Some(Timestamp::now());
        let input = self.input.clone();
        let (_, output) = self.provision(&input).await?;
        let text = |pointer: &str| {
            let value = output.pointer(pointer).and_then(Value::as_str);
            value.unwrap_or_default().to_owned()
        };
        self.vpc = Some(text("/vpcId"));
        self.versions.kubernetes = text("/kubernetesVersion");
        self.versions.platform = text("/platformVersion");
        self.versions.coredns = text("/coredns/addonVersion");
        Ok(())
    }

    /// What the functions say of an execution, when its end is there, or CloudWatch Logs takes too long.
    async fn log_of(&self, execution: &str) -> Result<Log> {
        let executions = self.executions.as_ref().context("there is no stack")?;
        let group = &executions.stack().log_group;
        let mut tries = 0;
        loop {
            let log = Log::read(self.place, group).await;
            let log = log.map_err(anyhow::Error::msg)?;
            tries += 1;
            if log.has_the_end_of(execution, LAST_STATE) || tries == LOG_TRIES {
                return Ok(log);
            }
            self.place.sleep(LOG_SECONDS).await;
        }
    }

    async fn run_again(&mut self) -> Result<()> {
        let input = self.input.clone();
        let (arn, _) = self.provision(&input).await?;
        let changes = self.log_of(&arn).await?.changes(&arn);
        ensure!(
            changes.is_empty(),
            "it changed something: {}",
            changes.join(", ")
        );
        Ok(())
    }

    async fn diagnose(&mut self) -> Result<()> {
        let report = functions::verify::examine(&self.place.aws, &self.place.target).await?;
        self.findings = report.findings.iter().map(ToString::to_string).collect();
        ensure!(report.errors == 0, "{}", report.summary);
        Ok(())
    }

    async fn ask_of_eks(&mut self) -> Result<()> {
        questions::cluster::ask(self.place, &mut self.answers).await;
        Ok(())
    }

    /// Deletion protection: a change that takes seconds, and that the teardown has to cope with.
    async fn change(&mut self) -> Result<()> {
        let mut input = self.input.clone();
        let wanted = input["deletionProtection"] != true;
        input["deletionProtection"] = wanted.into();
        let (arn, _) = self.provision(&input).await?;
        let call = self.place.aws.eks().describe_cluster();
        let found = call.name(self.place.stack()).send().await;
        let found = found.map_err(|error| anyhow::anyhow!(super::place::said(&error)))?;
        let is_protected = found.cluster();
        let is_protected = is_protected.and_then(aws_sdk_eks::types::Cluster::deletion_protection);
        if is_protected != Some(wanted) {
            bail!("deletionProtection is {is_protected:?} after the change to {wanted}");
        }
        let changes = self.log_of(&arn).await?.changes(&arn);
        let others = changes
            .iter()
            .filter(|it| !it.starts_with("eks:UpdateClusterConfig"));
        let others: Vec<&str> = others.map(String::as_str).collect();
        ensure!(
            others.is_empty(),
            "more than that was changed: {}",
            others.join(", ")
        );
        Ok(())
    }
}

impl Run<'_> {
    /// Compares how long the steps took, as far as the executions have come.
    pub async fn measure(&mut self) -> Result<()> {
        let executions = self.executions.clone().context("there is no stack")?;
        let group = &executions.stack().log_group;
        let log = Log::read(self.place, group).await;
        self.log = log.map_err(anyhow::Error::msg)?;
        let table = timeline::table();
        let first = self.building.first().map(|it| it.arn.clone());
        let runs = [
            ("provision", &table.provision, first),
            ("teardown", &table.teardown, self.teardown.clone()),
        ];
        for (name, expected, arn) in runs {
            let Some(arn) = arn else { continue };
            let described = executions.describe(&arn).await?;
            let has_succeeded = described.status.as_str() == "SUCCEEDED";
            let took = described.stop_date.filter(|_| has_succeeded);
            let took = took.map(|stop| stop.as_secs_f64() - described.start_date.as_secs_f64());
            let scaled = |seconds: f64| seconds * self.place.speed;
            let states = self.log.durations(&arn).into_iter();
            let states = states.map(|(state, seconds)| (state, scaled(seconds)));
            let steps = timeline::compare(name, expected, took.map(scaled), states.collect());
            self.steps.extend(steps);
        }
        Ok(())
    }

    /// The whole of it.
    pub async fn report(mut self) -> Report {
        if self.has_begun && self.found.looked == 0 {
            self.found = left::find(self.place, self.vpc.as_deref()).await;
        }
        if !self.options.keep && !self.found.is_nothing() {
            let left = self.found.things.len();
            let unknown = self.found.unknown.len();
            self.problems.push(format!(
                "{left} things are left, and {unknown} places could not be looked at"
            ));
        }
        let kept = super::removal::kept_by_aws(self.place, &self.roles_before);
        let kept_by_aws = if self.has_begun { kept.await } else { vec![] };
        let cost = self.cost();
        let place = self.place;
        let why = "the run ended before it was asked";
        let mut report = Report {
            outcome: Outcome::Failed,
            summary: String::new(),
            problems: self.problems,
            versions: self.versions,
            partition: place.target.partition.clone(),
            region: place.region().to_owned(),
            account: place.target.account.id.clone(),
            caller: place.caller.arn.clone(),
            stack: place.stack().to_owned(),
            input: self.input,
            started_at: self.started_at,
            ended_at: Timestamp::now(),
            speed: place.speed,
            permissions: self.permissions,
            questions: self.answers.all(why),
            stages: self.stages,
            steps: self.steps,
            codes: self.log.codes(),
            findings: self.findings,
            removed: self.removed,
            left: self.found.things,
            unknown: self.found.unknown,
            looked: self.found.looked,
            kept_by_aws,
            cost,
        };
        report.conclude(self.options.keep);
        report
    }

    /// From the start of the first execution to the end of the teardown.
    fn cost(&self) -> Option<Cost> {
        let start = self.built_at?;
        let end = self.gone_at.unwrap_or_else(Timestamp::now);
        let seconds = end.duration_since(start).as_secs_f64() * self.place.speed;
        let hours = seconds / SECONDS_PER_HOUR;
        let (at_most, currency, date) = notice::price(&self.preview, hours)?;
        Some(Cost {
            currency: currency.to_owned(),
            at_most,
            date: date.to_owned(),
            hours,
        })
    }
}
