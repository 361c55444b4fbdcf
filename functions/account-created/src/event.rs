//! What an event says about a new account.
//!
//! Source and event name decide what it is, never the detail type, which AWS does not document for each
//! of them. Times stay what they are: Organizations writes `May 15, 2023 8:26:57 AM`, Control Tower an
//! offset without a colon, and nothing here depends on them.
//!
//! Sources of the shapes: `statemachine/examples/events/README.md`.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use step::Error;

use crate::refusal;

/// The events of a new account, by CloudTrail's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EventName {
    /// AWS Organizations has created an account, or failed to.
    CreateAccountResult,
    /// An account has become a member of the organization: it was created, or it was invited.
    AccountJoinedOrganization,
    /// AWS Control Tower has created an account and set it up, or failed to.
    CreateManagedAccount,
}

/// What an event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// There is a new account.
    Created(NewAccount),
    /// There is none: the creation failed.
    Failed {
        /// AWS's words.
        reason: String,
    },
}

/// A new account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccount {
    /// Its id, twelve digits.
    pub id: String,
    /// The event that tells of it.
    pub event: EventName,
    /// Whether it existed before and was invited.
    pub is_invited: bool,
    /// Id of the organizational unit that it is in, if the event says so.
    pub organizational_unit: Option<String>,
    /// The account that the event comes from: the organization's management account.
    pub management_account: String,
}

#[derive(Deserialize)]
struct Envelope {
    source: String,
    account: String,
    detail: Detail,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    event_name: String,
}

/// `detail.serviceEventDetails`, as `D`.
#[derive(Deserialize)]
struct Service<D> {
    detail: ServiceDetail<D>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServiceDetail<D> {
    service_event_details: D,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateAccount {
    create_account_status: CreateAccountStatus,
}

/// An account that failed has no id.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateAccountStatus {
    state: String,
    account_id: Option<String>,
    failure_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateManagedAccount {
    create_managed_account_status: CreateManagedAccountStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateManagedAccountStatus {
    state: String,
    account: Option<ManagedAccount>,
    organizational_unit: Option<OrganizationalUnit>,
    message: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ManagedAccount {
    account_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OrganizationalUnit {
    organizational_unit_id: Option<String>,
}

const ORGANIZATIONS: &str = "aws.organizations";
const CONTROL_TOWER: &str = "aws.controltower";
/// Where CloudTrail says who called: the management account's id stands there as well.
const CALLER: &str = "userIdentity";

impl Event {
    /// Understands an event.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] about the first field that is not as it should be. What happened in the
    /// organization is then unknown, so nothing may be done.
    pub fn parse(event: &Value) -> Result<Self, Error> {
        let envelope: Envelope = read(event)?;
        let management_account = envelope.account;
        match (
            envelope.source.as_str(),
            envelope.detail.event_name.as_str(),
        ) {
            (ORGANIZATIONS, "CreateAccountResult") => {
                let service: Service<CreateAccount> = read(event)?;
                let status = service.detail.service_event_details.create_account_status;
                let place = "detail.serviceEventDetails.createAccountStatus";
                if !has_succeeded(&status.state, place)? {
                    let reason = status.failure_reason;
                    return Ok(Self::failed(reason));
                }
                Ok(Self::Created(NewAccount {
                    id: account_id(status.account_id, place)?,
                    event: EventName::CreateAccountResult,
                    is_invited: false,
                    organizational_unit: None,
                    management_account,
                }))
            }
            (CONTROL_TOWER, "CreateManagedAccount") => {
                let service: Service<CreateManagedAccount> = read(event)?;
                let details = service.detail.service_event_details;
                let status = details.create_managed_account_status;
                let place = "detail.serviceEventDetails.createManagedAccountStatus";
                if !has_succeeded(&status.state, place)? {
                    return Ok(Self::failed(status.message));
                }
                let id = status.account.and_then(|account| account.account_id);
                let unit = status.organizational_unit;
                Ok(Self::Created(NewAccount {
                    id: account_id(id, &format!("{place}.account"))?,
                    event: EventName::CreateManagedAccount,
                    is_invited: false,
                    organizational_unit: unit.and_then(|unit| unit.organizational_unit_id),
                    management_account,
                }))
            }
            (ORGANIZATIONS, "AccountJoinedOrganization") => Ok(Self::Created(NewAccount {
                id: joined_id(&event["detail"], &management_account)?,
                event: EventName::AccountJoinedOrganization,
                is_invited: is_invited(&event["detail"])?,
                organizational_unit: None,
                management_account,
            })),
            (source, name) => {
                let expected = "CreateAccountResult or AccountJoinedOrganization of \
                                aws.organizations, or CreateManagedAccount of aws.controltower";
                let value = Value::from(format!("{name} of {source}"));
                Err(refusal::invalid("detail.eventName", &value, expected))
            }
        }
    }

    fn failed(reason: Option<String>) -> Self {
        let reason = reason.unwrap_or_else(|| "AWS gives no reason".to_owned());
        Self::Failed { reason }
    }
}

/// Reads what is needed of an event; what else it has is none of our business.
fn read<T: DeserializeOwned>(event: &Value) -> Result<T, Error> {
    serde_path_to_error::deserialize(event).map_err(|error| {
        let field = error.path().to_string();
        let expected = format!("the shape that AWS gives it ({})", error.inner());
        refusal::invalid(&field, refusal::value_at(event, &field), &expected)
    })
}

/// Whether a state is that of a success. AWS writes it in capitals; Control Tower's guide also in words.
fn has_succeeded(state: &str, place: &str) -> Result<bool, Error> {
    match state.to_ascii_uppercase().as_str() {
        "SUCCEEDED" => Ok(true),
        "FAILED" => Ok(false),
        _ => {
            let field = format!("{place}.state");
            Err(refusal::invalid(
                &field,
                &Value::from(state),
                "SUCCEEDED or FAILED",
            ))
        }
    }
}

fn account_id(id: Option<String>, place: &str) -> Result<String, Error> {
    match id {
        Some(id) if is_account_id(&id) => Ok(id),
        id => {
            let field = format!("{place}.accountId");
            Err(refusal::invalid(&field, &Value::from(id), "twelve digits"))
        }
    }
}

/// Whether it is twelve digits, those of ASCII.
#[must_use]
pub fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The account of an AccountJoinedOrganization: AWS documents that the event exists, not where in it the
/// id stands. So it is looked for everywhere but in the caller's identity, and there must be one.
fn joined_id(detail: &Value, management_account: &str) -> Result<String, Error> {
    let found = members(detail, "accountId");
    let mut ids = BTreeSet::new();
    for id in found {
        match id.as_str() {
            Some(id) if is_account_id(id) => ids.insert(id),
            _ => {
                return Err(refusal::invalid("detail…accountId", id, "twelve digits"));
            }
        };
    }
    if ids.len() > 1 {
        ids.remove(management_account);
    }
    match ids.pop_first() {
        Some(id) if ids.is_empty() => Ok(id.to_owned()),
        _ => {
            let expected = "one accountId, beside that of the caller";
            Err(refusal::invalid("detail", detail, expected))
        }
    }
}

/// How it joined: Organizations' API model writes `Created` and `Invited`, newer versions in capitals.
fn is_invited(detail: &Value) -> Result<bool, Error> {
    let methods = members(detail, "joinedMethod");
    let method = methods.first().copied().unwrap_or(&Value::Null);
    let text = method.as_str().map(str::to_ascii_uppercase);
    match text.as_deref() {
        Some("CREATED") => Ok(false),
        Some("INVITED") => Ok(true),
        _ => Err(refusal::invalid(
            "detail…joinedMethod",
            method,
            "Created or Invited",
        )),
    }
}

/// The members called `name`, at any depth, but for what is said about the caller.
fn members<'a>(detail: &'a Value, name: &str) -> Vec<&'a Value> {
    let mut found = Vec::new();
    collect(detail, name, &mut found);
    found
}

fn collect<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                if key == name {
                    found.push(value);
                } else if key != CALLER {
                    collect(value, name, found);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, name, found)),
        _ => {}
    }
}
