//! Events of AWS Organizations.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use super::{Common, Event, NewAccount, account_id, has_succeeded, is_account_id, read, unit_id};
use crate::account_created::errors;
use crate::contract::Error;

/// Where CloudTrail says who called: the management account's id stands there as well.
const CALLER: &str = "userIdentity";

#[derive(Deserialize)]
struct Created {
    detail: CreatedDetail,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreatedDetail {
    service_event_details: CreateAccount,
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

pub(super) fn created(event: &Value, common: Common) -> Result<Event, Error> {
    let created: Created = read(event)?;
    let status = created.detail.service_event_details.create_account_status;
    let place = "detail.serviceEventDetails.createAccountStatus";
    if !has_succeeded(&status.state, &format!("{place}.state"))? {
        return Ok(Event::failed(status.failure_reason));
    }
    let id = account_id(status.account_id, &format!("{place}.accountId"))?;
    Ok(Event::Created(common.account(id)))
}

/// The event exists since May 2026, and AWS does not say what it looks like.
pub(super) fn joined(event: &Value, common: Common) -> Event {
    let detail = &event["detail"];
    let id = joined_id(detail, &common.management_account);
    match id.and_then(|id| Ok((id, is_invited(detail)?))) {
        Ok((id, is_invited)) => Event::Created(NewAccount {
            is_invited,
            ..common.account(id)
        }),
        Err(error) => Event::Unclear(error),
    }
}

#[derive(Deserialize)]
struct Moved {
    detail: MovedDetail,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MovedDetail {
    error_code: Option<String>,
    #[serde(default)]
    request_parameters: MoveAccount,
}

/// The request of the API's MoveAccount, as CloudTrail shows it.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct MoveAccount {
    account_id: Option<String>,
    destination_parent_id: Option<String>,
}

/// A call of the API, which CloudTrail records whether it succeeds or not.
pub(super) fn moved(event: &Value, common: Common) -> Result<Event, Error> {
    let moved: Moved = read(event)?;
    if let Some(code) = moved.detail.error_code {
        return Ok(Event::failed(Some(format!(
            "the account was not moved: {code}"
        ))));
    }
    let (place, request) = ("detail.requestParameters", moved.detail.request_parameters);
    let id = account_id(request.account_id, &format!("{place}.accountId"))?;
    let unit = request.destination_parent_id;
    let unit = unit_id(unit, &format!("{place}.destinationParentId"))?;
    Ok(Event::Created(NewAccount {
        organizational_unit: Some(unit),
        ..common.account(id)
    }))
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
                return Err(errors::invalid("detail…accountId", id, "twelve digits"));
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
            Err(errors::invalid("detail", detail, expected))
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
        _ => Err(errors::invalid(
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
