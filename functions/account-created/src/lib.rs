//! From a new account to the execution that builds a cluster in it.
//!
//! EventBridge hands over what AWS Organizations and AWS Control Tower say ([`event`]); the policy for
//! new accounts, one parameter of Systems Manager, says what is to be built ([`policy`]).
//!
//! Safe to repeat: the execution's name follows from account, region and cluster, and its input from the
//! policy alone, so Step Functions itself refuses to start it twice, however often and by whichever of
//! its events an account is announced.
//!
//! What is not understood is an error: Lambda keeps the event whole, with the reason, in the queue that
//! the template gives it. Nothing is started for it.

pub mod event;
pub mod policy;
mod refusal;

use aws_sdk_organizations::types::{Parent, ParentType};
use serde::Serialize;
use serde_json::Value;
use step::error::required;
use step::function::respond;
use step::{Base, During, Error, Function, Spec, execution, names};

use event::{Event, NewAccount};
use policy::{Decision, Place, Policy};

/// The function `account-created`.
pub struct AccountCreated;

impl Function for AccountCreated {
    const NAME: &'static str = "account-created";

    async fn handle(base: &Base, event: Value) -> Result<Value, Error> {
        let starter = Starter::new(
            base,
            &variable("NEW_ACCOUNTS_PARAMETER")?,
            &variable("STATE_MACHINE_ARN")?,
        )?;
        respond(&starter.handle(&event).await?)
    }
}

/// A variable that the template sets.
fn variable(name: &str) -> Result<String, Error> {
    std::env::var(name)
        .map_err(|error| Error::Unexpected(format!("environment variable {name}: {error}")))
}

/// Starts executions for new accounts.
#[derive(Debug, Clone)]
pub struct Starter {
    ssm: aws_sdk_ssm::Client,
    sfn: aws_sdk_sfn::Client,
    organizations: aws_sdk_organizations::Client,
    parameter: String,
    state_machine_arn: String,
    place: Place,
}

/// What was done about an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Whether there is an execution.
    pub status: Status,
    /// Which one, or why there is none; for people.
    pub reason: String,
}

/// Whether there is an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// There is one for this event.
    Started,
    /// There was one before.
    AlreadyStarted,
    /// There is none, and there shall be none.
    Ignored,
}

/// Organizational units nest five deep, below the root. Source: the AWS Organizations user guide, quotas.
const UNITS_MAX: usize = 6;

impl Starter {
    /// A starter of executions of a state machine, by the policy in a parameter.
    ///
    /// # Errors
    /// [`Error::Unexpected`] if the ARN is none.
    pub fn new(base: &Base, parameter: &str, state_machine_arn: &str) -> Result<Self, Error> {
        let part = |index: usize| {
            let part = state_machine_arn.split(':').nth(index);
            let part = part.filter(|part| !part.is_empty()).map(ToOwned::to_owned);
            part.ok_or_else(|| Error::Unexpected(format!("{state_machine_arn} is not an ARN")))
        };
        Ok(Self {
            ssm: aws_sdk_ssm::Client::new(base.config()),
            sfn: aws_sdk_sfn::Client::new(base.config()),
            organizations: aws_sdk_organizations::Client::new(base.config()),
            parameter: parameter.to_owned(),
            place: Place {
                partition: part(1)?,
                region: part(3)?,
            },
            state_machine_arn: state_machine_arn.to_owned(),
        })
    }

    /// Starts the execution for the account that an event tells of, if the policy says so.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] if event or policy are not understood; what AWS answers otherwise.
    pub async fn handle(&self, event: &Value) -> Result<Answer, Error> {
        let event = Event::parse(event).map_err(|error| refusal::within(error, "the event"))?;
        let account = match event {
            Event::Created(account) => account,
            Event::Failed { reason } => {
                return Ok(ignored(format!("no account was created: {reason}")));
            }
        };
        let policy = self.policy().await?;
        if let Some(reason) = policy.passes_over(&account) {
            return Ok(ignored(reason));
        }
        let units = match policy.organizational_units[..] {
            [] => vec![],
            _ => self.organizational_units(&account).await?,
        };
        let decision = policy.decide(&account, &units, &self.place);
        match decision.map_err(|error| Policy::refused(error, &self.parameter))? {
            Decision::Build(spec) => self.start(&account, &spec).await,
            Decision::PassOver(reason) => Ok(ignored(reason)),
        }
    }

    async fn policy(&self) -> Result<Policy, Error> {
        let call = self.ssm.get_parameter().name(&self.parameter);
        let answer = call.send().await.during("ssm:GetParameter")?;
        let parameter = required(answer.parameter(), "ssm:GetParameter: parameter")?;
        let text = required(parameter.value(), "ssm:GetParameter: value")?;
        Policy::parse(text).map_err(|error| Policy::refused(error, &self.parameter))
    }

    /// The organizational units that an account is in, the root first.
    async fn organizational_units(&self, account: &NewAccount) -> Result<Vec<String>, Error> {
        let mut units: Vec<String> = account.organizational_unit.iter().cloned().collect();
        while units.len() < UNITS_MAX {
            let child = units.last().unwrap_or(&account.id);
            let parent = self.parent(child).await?;
            units.push(required(parent.id, "organizations:ListParents: id")?);
            if parent.r#type == Some(ParentType::Root) {
                break;
            }
        }
        units.reverse();
        Ok(units)
    }

    /// The one parent that an account or an organizational unit has.
    async fn parent(&self, child: &str) -> Result<Parent, Error> {
        let call = self.organizations.list_parents().child_id(child);
        let mut pages = call.into_paginator().send();
        // A page may be empty and still not be the last one.
        while let Some(page) = pages.next().await {
            let page = page.during("organizations:ListParents").map_err(hint)?;
            if let Some(parent) = page.parents.unwrap_or_default().pop() {
                return Ok(parent);
            }
        }
        let message = format!("organizations:ListParents: {child} has no parent");
        Err(Error::Unexpected(message))
    }

    async fn start(&self, account: &NewAccount, spec: &Spec) -> Result<Answer, Error> {
        let (id, cluster) = (&account.id, &spec.cluster_name);
        let region = spec.region.as_deref().unwrap_or(&self.place.region);
        let name = names::execution(id, region, cluster, 1);
        let is_started = execution::start(&self.sfn, &self.state_machine_arn, &name, spec).await?;
        let status = if is_started {
            Status::Started
        } else {
            Status::AlreadyStarted
        };
        let reason = format!("execution {name}: cluster {cluster} in account {id}, {region}");
        Ok(Answer { status, reason })
    }
}

fn ignored(reason: String) -> Answer {
    let status = Status::Ignored;
    Answer { status, reason }
}

/// Who may ask AWS Organizations is no matter of the function's policy alone.
fn hint(error: Error) -> Error {
    match error {
        Error::AccessDenied(text) => Error::AccessDenied(format!(
            "{text}; organizational units are seen only from the management account and from \
             delegated administrators"
        )),
        other => other,
    }
}

#[cfg(test)]
mod mangled;
#[cfg(test)]
mod tests;
