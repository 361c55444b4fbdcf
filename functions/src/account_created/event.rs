//! What an event says about an account that may be new.
//!
//! Source and event name decide what it is, never the detail type, which AWS does not document for each
//! of them. The times inside stay what they are: Organizations writes `May 15, 2023 8:26:57 AM`, Control
//! Tower an offset without a colon. What is looked at is EventBridge's own.
//!
//! Sources of the shapes: `statemachine/examples/events/README.md`.

mod control_tower;
mod organizations;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::account_created::errors;
use crate::contract::Error;

/// The events that may be about a new account, by CloudTrail's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EventName {
    /// AWS Organizations has created an account, or failed to.
    CreateAccountResult,
    /// An account has become a member of the organization: it was created, or it was invited.
    AccountJoinedOrganization,
    /// An account was moved to another organizational unit. It counts only for a policy that has some.
    MoveAccount,
    /// AWS Control Tower has created an account and set it up, or failed to.
    CreateManagedAccount,
    /// AWS Control Tower has changed an account, or mended its set-up, or failed to.
    UpdateManagedAccount,
    /// AWS Control Tower has enrolled an organizational unit and the accounts in it.
    RegisterOrganizationalUnit,
    /// AWS Control Tower has enrolled an account or an organizational unit.
    EnableBaseline,
    /// AWS Control Tower has enrolled an account or an organizational unit once more.
    ResetEnabledBaseline,
    /// AWS Control Tower has brought the enrolment of an account or an organizational unit up to date.
    UpdateEnabledBaseline,
}

impl EventName {
    /// Whether the account that it is about may have been there for long.
    #[must_use]
    pub fn is_of_any_account(self) -> bool {
        !matches!(
            self,
            Self::CreateAccountResult
                | Self::AccountJoinedOrganization
                | Self::CreateManagedAccount
        )
    }
}

/// What an event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// There is an account that may be new.
    Created(NewAccount),
    /// The same of all accounts that are in an organizational unit.
    Unit(Unit),
    /// There is nothing to do: what it tells of has failed, or is about something else.
    Nothing {
        /// Why, with AWS's words.
        reason: String,
    },
    /// It is about an account that joined, and its shape is not the one that is assumed.
    Unclear(Error),
}

/// An account that may be new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccount {
    /// Its id, twelve digits.
    pub id: String,
    /// The event that tells of it; `None` if it was found in the list of all accounts.
    pub event: Option<EventName>,
    /// Whether it existed before and was invited.
    pub is_invited: bool,
    /// Id of the organizational unit that it is in, if that is known.
    pub organizational_unit: Option<String>,
    /// The organization's management account.
    pub management_account: String,
    /// Since when it is new: when it joined, or what the event tells of happened.
    pub since: Option<Timestamp>,
    /// When it joined the organization, if that is known.
    pub joined_at: Option<Timestamp>,
}

/// An organizational unit that was enrolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its id.
    pub id: String,
    /// The event that tells of it.
    pub event: EventName,
    /// The organization's management account.
    pub management_account: String,
    /// When that was.
    pub at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Envelope {
    source: String,
    account: String,
    #[serde(default)]
    time: Value,
    detail: Detail,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    event_name: String,
}

/// What all events have.
#[derive(Debug)]
struct Common {
    event: EventName,
    management_account: String,
    at: Option<Timestamp>,
}

impl Common {
    fn account(self, id: String) -> NewAccount {
        NewAccount {
            id,
            event: Some(self.event),
            is_invited: false,
            organizational_unit: None,
            management_account: self.management_account,
            since: self.at,
            joined_at: None,
        }
    }

    fn unit(self, id: String) -> Event {
        Event::Unit(Unit {
            id,
            event: self.event,
            management_account: self.management_account,
            at: self.at,
        })
    }
}

const ORGANIZATIONS: &str = "aws.organizations";
const CONTROL_TOWER: &str = "aws.controltower";

impl Event {
    /// Understands an event.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] about the first field that is not as it should be. What happened in the
    /// organization is then unknown, so nothing may be done.
    pub fn parse(event: &Value) -> Result<Self, Error> {
        use EventName::{
            AccountJoinedOrganization, CreateAccountResult, CreateManagedAccount, EnableBaseline,
            MoveAccount, RegisterOrganizationalUnit, ResetEnabledBaseline, UpdateEnabledBaseline,
            UpdateManagedAccount,
        };
        let envelope: Envelope = read(event)?;
        let name = envelope.detail.event_name;
        let known: Option<EventName> = serde_json::from_value(Value::from(name.as_str())).ok();
        let source = envelope.source.as_str();
        let (Some(known), ORGANIZATIONS | CONTROL_TOWER) = (known, source) else {
            return Err(unknown(&name, source));
        };
        let common = Common {
            event: known,
            management_account: envelope.account,
            at: envelope.time.as_str().and_then(|time| time.parse().ok()),
        };
        match (source, known) {
            (ORGANIZATIONS, CreateAccountResult) => organizations::created(event, common),
            (ORGANIZATIONS, AccountJoinedOrganization) => Ok(organizations::joined(event, common)),
            (ORGANIZATIONS, MoveAccount) => organizations::moved(event, common),
            (CONTROL_TOWER, CreateManagedAccount | UpdateManagedAccount) => {
                control_tower::managed(event, common)
            }
            (CONTROL_TOWER, RegisterOrganizationalUnit) => control_tower::registered(event, common),
            (CONTROL_TOWER, EnableBaseline | ResetEnabledBaseline | UpdateEnabledBaseline) => {
                control_tower::enrolled(event, common)
            }
            _ => Err(unknown(&name, source)),
        }
    }

    fn failed(reason: Option<String>) -> Self {
        let reason = reason.unwrap_or_else(|| "AWS gives no reason".to_owned());
        Self::Nothing { reason }
    }
}

fn unknown(name: &str, source: &str) -> Error {
    let expected = "CreateAccountResult, AccountJoinedOrganization or MoveAccount of \
                    aws.organizations, or an event of an account's enrolment of aws.controltower";
    let value = Value::from(format!("{name} of {source}"));
    errors::invalid("detail.eventName", &value, expected)
}

/// Reads what is needed of an event; what else it has is none of our business.
fn read<T: DeserializeOwned>(event: &Value) -> Result<T, Error> {
    serde_path_to_error::deserialize(event).map_err(|error| {
        let field = error.path().to_string();
        let expected = format!("the shape that AWS gives it ({})", error.inner());
        errors::invalid(&field, errors::value_at(event, &field), &expected)
    })
}

/// Whether a state is that of a success. AWS writes it in capitals; Control Tower's guide also in words.
fn has_succeeded(state: &str, field: &str) -> Result<bool, Error> {
    match state.to_ascii_uppercase().as_str() {
        "SUCCEEDED" => Ok(true),
        "FAILED" => Ok(false),
        _ => Err(errors::invalid(
            field,
            &Value::from(state),
            "SUCCEEDED or FAILED",
        )),
    }
}

fn account_id(id: Option<String>, field: &str) -> Result<String, Error> {
    match id {
        Some(id) if is_account_id(&id) => Ok(id),
        id => Err(errors::invalid(field, &Value::from(id), "twelve digits")),
    }
}

fn unit_id(id: Option<String>, field: &str) -> Result<String, Error> {
    match id {
        Some(id) if is_unit_id(&id) => Ok(id),
        id => {
            let expected = "the id of an organizational unit (ou-…) or of the root (r-…)";
            Err(errors::invalid(field, &Value::from(id), expected))
        }
    }
}

/// Whether it is twelve digits, those of ASCII.
#[must_use]
pub fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether it is the id of an organizational unit or of a root. The shapes are those of AWS Organizations'
/// API model.
#[must_use]
pub fn is_unit_id(id: &str) -> bool {
    let is_word = |word: &str, min: usize| {
        (min..=32).contains(&word.len())
            && word
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    match id.split('-').collect::<Vec<_>>()[..] {
        ["r", root] => is_word(root, 4),
        ["ou", root, unit] => is_word(root, 4) && is_word(unit, 8),
        _ => false,
    }
}

/// Whether it is the id of a root.
#[must_use]
pub fn is_root_id(id: &str) -> bool {
    id.starts_with("r-")
}
