//! From a new account to the execution that builds a cluster in it.
//!
//! EventBridge hands over what AWS Organizations and AWS Control Tower say ([`event`]); the policy for
//! new accounts, one parameter of Systems Manager, says what is to be built ([`policy`]). A schedule may
//! ask for what no event told of ([`Starter::reconcile`]).
//!
//! Safe to repeat: the execution's name follows from account, region and cluster, so Step Functions itself
//! refuses to start it twice, however often and by whichever of its events an account is announced; and
//! what was started once is written down ([`started`]), because Step Functions forgets.
//!
//! What is not understood is an error: Lambda keeps the event whole, with the reason, in the queue that
//! the template gives it. Nothing is started for it.

mod errors;
mod event;
mod organization;
mod policy;
mod reconcile;
mod started;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::aws::{Base, execution, parameters};
use crate::contract::error::required;
use crate::contract::function::respond;
use crate::contract::{Error, Function};
use crate::model::{Spec, names};
use event::{Event, NewAccount};
use organization::Organization;
use policy::{Decision, Place, Policy};
use started::{Cluster, Started};

/// The function `account-created`.
pub struct AccountCreated;

/// What the schedule sends instead of an event: `{"action": "reconcile"}`.
const RECONCILE: &str = "reconcile";

impl Function for AccountCreated {
    const NAME: &'static str = "account-created";

    async fn handle(base: &Base, event: Value) -> Result<Value, Error> {
        let starter = Starter::new(base, &Settings::from_env()?)?;
        let answer = if event["action"] == RECONCILE {
            starter.reconcile(Timestamp::now()).await?
        } else {
            starter.handle(&event).await?
        };
        respond(&answer)
    }
}

/// What the template says.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Name of the parameter with the policy.
    pub parameter: String,
    /// ARN of the provisioning machine.
    pub state_machine_arn: String,
    /// Path of the parameters that say what was started.
    pub started_path: String,
    /// Path of the registry's parameters.
    pub registry_path: String,
}

impl Settings {
    fn from_env() -> Result<Self, Error> {
        Ok(Self {
            parameter: variable("NEW_ACCOUNTS_PARAMETER")?,
            state_machine_arn: variable("STATE_MACHINE_ARN")?,
            started_path: variable("STARTED_PATH")?,
            registry_path: variable("REGISTRY_PATH")?,
        })
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
    started: Started,
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

impl Starter {
    /// A starter of executions of a state machine, by the policy in a parameter.
    ///
    /// # Errors
    /// [`Error::Unexpected`] if the machine's ARN is none.
    pub fn new(base: &Base, settings: &Settings) -> Result<Self, Error> {
        let state_machine_arn = &settings.state_machine_arn;
        let part = |index: usize| {
            let part = state_machine_arn.split(':').nth(index);
            let part = part.filter(|part| !part.is_empty()).map(ToOwned::to_owned);
            part.ok_or_else(|| Error::Unexpected(format!("{state_machine_arn} is not an ARN")))
        };
        let ssm = aws_sdk_ssm::Client::new(base.config());
        Ok(Self {
            started: Started {
                ssm: ssm.clone(),
                path: settings.started_path.clone(),
                registry: settings.registry_path.clone(),
            },
            ssm,
            sfn: aws_sdk_sfn::Client::new(base.config()),
            organizations: aws_sdk_organizations::Client::new(base.config()),
            parameter: settings.parameter.clone(),
            place: Place {
                partition: part(1)?,
                region: part(3)?,
                iam: base.role_names().clone(),
            },
            state_machine_arn: state_machine_arn.clone(),
        })
    }

    /// Starts the execution for the account that an event tells of, if the policy says so.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] if event or policy are not understood; what AWS answers otherwise.
    pub async fn handle(&self, event: &Value) -> Result<Answer, Error> {
        let event = Event::parse(event).map_err(|error| errors::within(error, "the event"))?;
        if let Event::Nothing { reason } = event {
            return Ok(ignored(format!("there is no new account: {reason}")));
        }
        let policy = self.policy().await?;
        let mut organization = Organization::new(&self.organizations);
        match event {
            Event::Created(account) => self.consider(account, &policy, &mut organization).await,
            Event::Unit(unit) => self.enrolled(&unit, &policy).await,
            Event::Unclear(error) if policy.needs_joining() => {
                Err(errors::within(error, "the event"))
            }
            Event::Unclear(error) => Ok(ignored(format!("another event tells of it: {error}"))),
            Event::Nothing { reason } => Ok(ignored(reason)),
        }
    }

    async fn policy(&self) -> Result<Policy, Error> {
        let parameter = parameters::get(&self.ssm, &self.parameter).await?;
        let text = required(parameter.value(), "ssm:GetParameter: value")?;
        Policy::parse(text).map_err(|error| Policy::refused(error, &self.parameter))
    }

    /// Starts the execution for an account, if the policy says so and there was none.
    async fn consider(
        &self,
        mut account: NewAccount,
        policy: &Policy,
        organization: &mut Organization<'_>,
    ) -> Result<Answer, Error> {
        if let Some(reason) = policy.passes_over(&account) {
            return Ok(ignored(reason));
        }
        let is_of_any = account
            .event
            .is_some_and(event::EventName::is_of_any_account);
        if policy.joined_since().is_some() && is_of_any && account.joined_at.is_none() {
            account.joined_at = organization.joined_at(&account.id).await?;
            if let Some(reason) = policy.passes_over(&account) {
                return Ok(ignored(reason));
            }
        }
        let units = match policy.organizational_units[..] {
            [] => vec![],
            _ => organization.units_of(&account).await?,
        };
        let decision = policy.decide(&account, &units, &self.place);
        match decision.map_err(|error| Policy::refused(error, &self.parameter))? {
            Decision::Build(spec) => self.start(&account, &spec).await,
            Decision::PassOver(reason) => Ok(ignored(reason)),
        }
    }

    async fn start(&self, account: &NewAccount, spec: &Spec) -> Result<Answer, Error> {
        let (id, name) = (&account.id, &spec.cluster_name);
        let region = spec.region.as_deref().unwrap_or(&self.place.region);
        let cluster = Cluster {
            account: id,
            region,
            name,
        };
        let execution = names::execution(id, region, name, 1);
        let status = if self.started.has(&cluster).await? {
            Status::AlreadyStarted
        } else {
            let arn = &self.state_machine_arn;
            let is_started = execution::start(&self.sfn, arn, &execution, spec).await?;
            self.started.add(&cluster, &execution).await?;
            if is_started {
                Status::Started
            } else {
                Status::AlreadyStarted
            }
        };
        let reason = format!("execution {execution}: cluster {name} in account {id}, {region}");
        Ok(Answer { status, reason })
    }
}

fn ignored(reason: String) -> Answer {
    let status = Status::Ignored;
    Answer { status, reason }
}

#[cfg(test)]
mod mangled;
#[cfg(test)]
mod tests;
