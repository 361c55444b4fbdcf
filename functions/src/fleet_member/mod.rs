//! One cluster of a fleet: its provisioning execution, started or found, to its end.
//!
//! The execution's name follows from account, region and cluster ([`crate::model::names::execution`]), so Step
//! Functions itself refuses to start it twice, whoever asks: this fleet, another one, or the event of a
//! new account. The last execution of that name says what is to do: it runs, then it is followed; it
//! has succeeded with the same input, then there is nothing to do; it has failed before this fleet, or
//! had another input, then the next attempt is started, under the same name with its number.
//!
//! Safe to repeat: a repetition finds what the first time has started. What has failed since the fleet
//! began is the fleet's failure and is not tried again.

mod executions;
mod settings;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::aws::Base;
use crate::contract::function::{parse, respond};
use crate::contract::{Error, Function, Memory, Outcome};
use crate::model::Spec;
use executions::{Attempt, Executions, State};
pub use settings::Settings;

/// The function `fleet-member`.
pub struct FleetMember;

/// `{"action": "settings", "spec": {…}}` with the input of a fleet execution, then for each of its
/// clusters `{"action": "ensure", "spec": {…}, "stateMachineArn": "…", "since": "…", "memory": {…}}`
/// with the input of provisioning, the machine that provisions, and when the fleet began.
#[derive(Deserialize)]
#[serde(
    tag = "action",
    rename_all = "lowercase",
    rename_all_fields = "camelCase"
)]
enum Request {
    Settings {
        spec: Value,
    },
    Ensure {
        spec: Value,
        state_machine_arn: String,
        since: Timestamp,
        #[serde(default)]
        memory: Memory,
    },
}

/// A cluster whose provisioning execution has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// The account that it is in.
    pub account_id: String,
    /// Its region.
    pub region: String,
    /// Its name.
    pub cluster_name: String,
    /// ARN of the execution.
    pub execution: String,
    /// Its name.
    pub execution_name: String,
    /// How it ended.
    #[serde(flatten)]
    pub end: End,
}

/// How an execution ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "result", rename_all = "UPPERCASE")]
pub enum End {
    /// The cluster is as its input wants it.
    Succeeded,
    /// It is not.
    Failed {
        /// The execution's error, for example `QuotaExceeded`; its status if it has none.
        error: String,
        /// The execution's cause.
        cause: String,
    },
}

/// A cluster takes a quarter of an hour. Step Functions lets an account describe ten executions a
/// second where it lets the least (developer guide, service quotas): enough for 600 clusters at a time.
const CHECK_AFTER_SECONDS: u64 = 60;
/// The time-out of the provisioning machine, which ends each execution by itself, and an hour: somebody
/// else's may be followed first.
const PROVISIONING_LIMIT: Duration = Duration::from_hours(73);
/// The longest time that the Task of a member lasts with its retries, those of `AccountNotReady` aside: many
/// members ask Step Functions at once, so throttling is retried for hours.
const RETRIES: Duration = Duration::from_secs(13_792);
/// Somebody else was faster: by then it can be described.
const LOOK_AGAIN_AFTER_SECONDS: u64 = 5;
/// What is remembered: which attempt is followed.
const ATTEMPT: &str = "attempt";

impl Function for FleetMember {
    const NAME: &'static str = "fleet-member";

    fn longest_wait(action: &str) -> Duration {
        match action {
            "ensure" => PROVISIONING_LIMIT,
            _ => Duration::ZERO,
        }
    }

    fn longest_retries() -> Duration {
        RETRIES
    }

    async fn handle(base: &Base, request: Value) -> Result<Value, Error> {
        match parse(request)? {
            Request::Settings { spec } => respond(&Outcome::Ready(Settings::of(&spec)?)),
            Request::Ensure {
                spec,
                state_machine_arn,
                since,
                memory,
            } => {
                let spec = Spec::parse(&spec)?;
                crate::plan::validate::check(&spec)?;
                let sfn = aws_sdk_sfn::Client::new(base.config());
                let executions = Executions::new(sfn, &state_machine_arn, spec)?;
                respond(&ensure(&executions, since, &memory).await?)
            }
        }
    }
}

async fn ensure(
    executions: &Executions,
    since: Timestamp,
    memory: &Memory,
) -> Result<Outcome<Output>, Error> {
    let remembered = memory.id(ATTEMPT).and_then(|number| number.parse().ok());
    let last = match remembered {
        Some(number) => executions.find(number).await?,
        None => executions.find_last().await?,
    };
    let Some(last) = last else {
        return start(executions, remembered.unwrap_or(1)).await;
    };
    match &last.state {
        State::Running => Ok(pending(executions, last.number, CHECK_AFTER_SECONDS)),
        State::Succeeded if executions.asked_for_the_same(&last) => {
            Ok(ready(executions, &last, End::Succeeded))
        }
        State::Failed { error, cause } if last.started_at >= since => {
            let (error, cause) = (error.clone(), cause.clone());
            Ok(ready(executions, &last, End::Failed { error, cause }))
        }
        State::Succeeded | State::Failed { .. } => start(executions, last.number + 1).await,
    }
}

async fn start(executions: &Executions, number: u32) -> Result<Outcome<Output>, Error> {
    let is_started = executions.start(number).await?;
    let seconds = if is_started {
        CHECK_AFTER_SECONDS
    } else {
        LOOK_AGAIN_AFTER_SECONDS
    };
    Ok(pending(executions, number, seconds))
}

fn pending(executions: &Executions, number: u32, seconds: u64) -> Outcome<Output> {
    let mut memory = Memory::default();
    memory.remember(ATTEMPT, &number.to_string());
    let reason = format!("the execution {} is running", executions.name(number));
    Outcome::pending(seconds, reason).remembering(memory)
}

fn ready(executions: &Executions, attempt: &Attempt, end: End) -> Outcome<Output> {
    let place = executions.place();
    Outcome::Ready(Output {
        account_id: place.account_id.clone(),
        region: place.region.clone(),
        cluster_name: place.cluster_name.clone(),
        execution: executions.arn(attempt.number),
        execution_name: executions.name(attempt.number),
        end,
    })
}

#[cfg(test)]
mod tests;
