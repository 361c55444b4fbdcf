//! Lifecycle events of AWS Control Tower (its user guide, lifecycle events; the shapes of the newer ones as
//! `aws_lambda_events` models them).

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Common, Event, NewAccount, account_id, has_succeeded, read, unit_id};
use crate::account_created::errors;
use crate::contract::Error;

/// What CloudTrail calls the event of an API call, which has the same name as the event of its result.
const API_CALL: &str = "AwsApiCall";
/// The baseline that enrols an account. Others are those of the log archive, of the audit account, of IAM
/// Identity Center and of backups (AWS Control Tower user guide, types of baselines; the id as the examples
/// of `enable-baseline` in the AWS CLI show it).
const ACCOUNT_BASELINE: &str = "17BSJV3IGJ2QSGA2";

#[derive(Deserialize)]
struct Whole<D> {
    detail: Detail<D>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail<D> {
    service_event_details: D,
}

/// Each event names its status after itself.
#[derive(Deserialize)]
enum Managed {
    #[serde(rename = "createManagedAccountStatus")]
    Created(ManagedStatus),
    #[serde(rename = "updateManagedAccountStatus")]
    Updated(ManagedStatus),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ManagedStatus {
    state: String,
    account: Option<Account>,
    organizational_unit: Option<OrganizationalUnit>,
    message: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Account {
    account_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OrganizationalUnit {
    organizational_unit_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Registered {
    register_organizational_unit_status: RegisteredStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RegisteredStatus {
    state: String,
    message: Option<String>,
    organizational_unit: Option<OrganizationalUnit>,
}

#[derive(Deserialize)]
enum Baseline {
    #[serde(rename = "enableBaselineStatus")]
    Enabled(BaselineStatus),
    #[serde(rename = "resetEnabledBaselineStatus")]
    Reset(BaselineStatus),
    #[serde(rename = "updateEnabledBaselineStatus")]
    Updated(BaselineStatus),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BaselineStatus {
    enabled_baseline_details: EnabledBaseline,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EnabledBaseline {
    baseline_identifier: String,
    target_identifier: String,
    status_summary: StatusSummary,
}

#[derive(Deserialize)]
struct StatusSummary {
    status: String,
}

/// CreateManagedAccount and UpdateManagedAccount.
pub(super) fn managed(event: &Value, common: Common) -> Result<Event, Error> {
    let Some(details) = details(event)? else {
        return Ok(not_yet());
    };
    let (status, name) = match details {
        Managed::Created(status) => (status, "createManagedAccountStatus"),
        Managed::Updated(status) => (status, "updateManagedAccountStatus"),
    };
    let place = format!("detail.serviceEventDetails.{name}");
    if !has_succeeded(&status.state, &format!("{place}.state"))? {
        return Ok(Event::failed(status.message));
    }
    let id = status.account.and_then(|account| account.account_id);
    let id = account_id(id, &format!("{place}.account.accountId"))?;
    let unit = status.organizational_unit;
    Ok(Event::Created(NewAccount {
        organizational_unit: unit.and_then(|unit| unit.organizational_unit_id),
        ..common.account(id)
    }))
}

/// RegisterOrganizationalUnit.
pub(super) fn registered(event: &Value, common: Common) -> Result<Event, Error> {
    let Some(details) = details::<Registered>(event)? else {
        return Ok(not_yet());
    };
    let status = details.register_organizational_unit_status;
    let place = "detail.serviceEventDetails.registerOrganizationalUnitStatus";
    if !has_succeeded(&status.state, &format!("{place}.state"))? {
        return Ok(Event::failed(status.message));
    }
    let unit = status.organizational_unit;
    let id = unit.and_then(|unit| unit.organizational_unit_id);
    let field = format!("{place}.organizationalUnit.organizationalUnitId");
    Ok(common.unit(unit_id(id, &field)?))
}

/// EnableBaseline, ResetEnabledBaseline and UpdateEnabledBaseline.
pub(super) fn enrolled(event: &Value, common: Common) -> Result<Event, Error> {
    let Some(details) = details(event)? else {
        return Ok(not_yet());
    };
    let (status, name) = match details {
        Baseline::Enabled(status) => (status, "enableBaselineStatus"),
        Baseline::Reset(status) => (status, "resetEnabledBaselineStatus"),
        Baseline::Updated(status) => (status, "updateEnabledBaselineStatus"),
    };
    let baseline = status.enabled_baseline_details;
    let place = format!("detail.serviceEventDetails.{name}.enabledBaselineDetails");
    if !has_succeeded(
        &baseline.status_summary.status,
        &format!("{place}.statusSummary.status"),
    )? {
        return Ok(Event::failed(None));
    }
    let kind = baseline.baseline_identifier.rsplit('/').next();
    if kind != Some(ACCOUNT_BASELINE) {
        let reason = format!("{} enrols no accounts", baseline.baseline_identifier);
        return Ok(Event::Nothing { reason });
    }
    target(&baseline.target_identifier, &place, common)
}

/// What a baseline was enabled for: `arn:…:account/o-…/ID` or `arn:…:ou/o-…/ID`.
fn target(arn: &str, place: &str, common: Common) -> Result<Event, Error> {
    let field = format!("{place}.targetIdentifier");
    let resource = arn.rsplit(':').next().unwrap_or_default();
    match resource.split('/').collect::<Vec<_>>()[..] {
        ["account", _, id] => {
            let id = account_id(Some(id.to_owned()), &field)?;
            Ok(Event::Created(common.account(id)))
        }
        ["ou", _, id] => Ok(common.unit(unit_id(Some(id.to_owned()), &field)?)),
        _ => {
            let expected = "the ARN of an account or of an organizational unit";
            Err(errors::invalid(&field, &Value::from(arn), expected))
        }
    }
}

/// The details of a lifecycle event; `None` of a call that only asks for what it will tell of.
fn details<D: DeserializeOwned>(event: &Value) -> Result<Option<D>, Error> {
    if event["detail"]["eventType"] == API_CALL {
        return Ok(None);
    }
    let whole: Whole<D> = read(event)?;
    Ok(Some(whole.detail.service_event_details))
}

fn not_yet() -> Event {
    let reason = "it is the call, not its result".to_owned();
    Event::Nothing { reason }
}
