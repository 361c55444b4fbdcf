//! The provisioning executions of one cluster, attempt by attempt.

use aws_sdk_sfn::Client;
use aws_sdk_sfn::operation::describe_execution::{DescribeExecutionError, DescribeExecutionOutput};
use aws_sdk_sfn::types::ExecutionStatus;
use jiff::Timestamp;
use serde_json::Value;

use crate::aws::execution;
use crate::contract::{During, Error};
use crate::model::spec::AccountSpec;
use crate::model::{Spec, names};

const DESCRIBE: &str = "states:DescribeExecution";
/// Step Functions' limit for a cause is 32,768 characters; the execution's name comes before it.
const CAUSE_MAX: usize = 32_000;

/// Which cluster, where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub account_id: String,
    pub region: String,
    pub cluster_name: String,
}

/// The executions that have built a cluster, or may.
#[derive(Debug)]
pub(crate) struct Executions {
    sfn: Client,
    state_machine_arn: String,
    spec: Spec,
    /// The machine's own account and region, where a spec names no other.
    own: (String, String),
    place: Place,
}

/// One execution.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// From 1.
    pub number: u32,
    pub state: State,
    pub started_at: Timestamp,
    input: Option<Spec>,
}

/// How an execution stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum State {
    Running,
    Succeeded,
    Failed { error: String, cause: String },
}

impl Executions {
    /// Executions of the state machine with this ARN for the cluster of `spec`.
    pub(crate) fn new(sfn: Client, state_machine_arn: &str, spec: Spec) -> Result<Self, Error> {
        // arn:partition:states:region:account:stateMachine:name
        let parts: Vec<&str> = state_machine_arn.split(':').collect();
        let [_, _, "states", region, account, "stateMachine", _] = parts[..] else {
            let expected = "the ARN of a state machine";
            return Err(Error::invalid(
                "stateMachineArn",
                state_machine_arn,
                expected,
            ));
        };
        let own = (account.to_owned(), region.to_owned());
        let (account_id, region) = whereabouts(&spec, &own);
        let place = Place {
            account_id,
            region,
            cluster_name: spec.cluster_name.clone(),
        };
        Ok(Self {
            sfn,
            state_machine_arn: state_machine_arn.to_owned(),
            spec,
            own,
            place,
        })
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Name of an attempt.
    pub(crate) fn name(&self, number: u32) -> String {
        let place = &self.place;
        names::execution(
            &place.account_id,
            &place.region,
            &place.cluster_name,
            number,
        )
    }

    /// ARN of an attempt.
    pub(crate) fn arn(&self, number: u32) -> String {
        let executions = self
            .state_machine_arn
            .replacen(":stateMachine:", ":execution:", 1);
        format!("{executions}:{}", self.name(number))
    }

    /// Looks an attempt up.
    pub(crate) async fn find(&self, number: u32) -> Result<Option<Attempt>, Error> {
        let call = self.sfn.describe_execution();
        let answer = call.execution_arn(self.arn(number)).send().await;
        let is_missing = answer.as_ref().is_err_and(|error| {
            let error = error.as_service_error();
            error.is_some_and(DescribeExecutionError::is_execution_does_not_exist)
        });
        if is_missing {
            return Ok(None);
        }
        attempt(number, answer.during(DESCRIBE)?).map(Some)
    }

    /// The last attempt: they are numbered without a gap, so few looks find it among many.
    pub(crate) async fn find_last(&self) -> Result<Option<Attempt>, Error> {
        let (mut last, mut missing) = (None, 1);
        while let Some(found) = self.find(missing).await? {
            missing = found.number * 2;
            last = Some(found);
        }
        loop {
            let number = last.as_ref().map_or(0, |last: &Attempt| last.number);
            if missing - number <= 1 {
                return Ok(last);
            }
            let middle = number.midpoint(missing);
            match self.find(middle).await? {
                Some(found) => last = Some(found),
                None => missing = middle,
            }
        }
    }

    /// Starts an attempt; `false` if somebody else has.
    pub(crate) async fn start(&self, number: u32) -> Result<bool, Error> {
        let name = self.name(number);
        execution::start(&self.sfn, &self.state_machine_arn, &name, &self.spec).await
    }

    /// Whether an attempt was asked for what is asked for now, whether or not the defaults were named. Since
    /// when the account is new says how to wait, not what to build.
    pub(crate) fn asked_for_the_same(&self, attempt: &Attempt) -> bool {
        let input = attempt.input.clone();
        input.is_some_and(|input| self.complete(input) == self.complete(self.spec.clone()))
    }

    fn complete(&self, mut spec: Spec) -> Spec {
        let (account, region) = whereabouts(&spec, &self.own);
        spec.region = Some(region);
        spec.account.get_or_insert_with(|| AccountSpec {
            id: account,
            ..AccountSpec::default()
        });
        if let Some(account) = &mut spec.account {
            account.new_since = None;
        }
        spec
    }
}

/// Account and region of a spec.
fn whereabouts(spec: &Spec, (account, region): &(String, String)) -> (String, String) {
    let asked = spec.account.as_ref().map(|account| &account.id);
    (
        asked.unwrap_or(account).clone(),
        spec.region.as_ref().unwrap_or(region).clone(),
    )
}

fn attempt(number: u32, answer: DescribeExecutionOutput) -> Result<Attempt, Error> {
    let started_at = answer.start_date.to_millis().ok();
    let started_at = started_at.and_then(|millis| Timestamp::from_millisecond(millis).ok());
    let started_at = started_at.ok_or_else(|| {
        Error::Unexpected(format!("{DESCRIBE}: startDate {:?}", answer.start_date))
    })?;
    let input: Option<Value> = answer
        .input
        .as_deref()
        .and_then(|input| serde_json::from_str(input).ok());
    Ok(Attempt {
        number,
        started_at,
        input: input.and_then(|input| Spec::parse(&input).ok()),
        state: match answer.status {
            ExecutionStatus::Succeeded => State::Succeeded,
            ExecutionStatus::Failed | ExecutionStatus::TimedOut | ExecutionStatus::Aborted => {
                let status = answer.status.as_str().to_owned();
                let cause = answer.cause.unwrap_or_else(|| format!("it is {status}"));
                State::Failed {
                    error: answer.error.unwrap_or(status),
                    cause: cause.chars().take(CAUSE_MAX).collect(),
                }
            }
            _ => State::Running,
        },
    })
}
