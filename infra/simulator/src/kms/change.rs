//! What makes and changes keys.

use serde_json::{Value, json};

use super::key::{Key, KeyState, arn_of, find_own, id_of, text};
use crate::api_error::ApiError;
use crate::state::Context;

/// `CreateKey`: with KMS's own material and the default key policy.
pub(super) fn create_key(context: &mut Context<'_>, input: &Value) -> Result<Value, ApiError> {
    let members = [
        "Policy",
        "CustomKeyStoreId",
        "MultiRegion",
        "Origin",
        "XksKeyId",
    ];
    if let Some(member) = members.iter().find(|member| !input[**member].is_null()) {
        let message = format!("The simulator does not model {member}.");
        return Err(ApiError::client("UnsupportedOperationException", message));
    }
    let spec = input["KeySpec"].as_str().unwrap_or("SYMMETRIC_DEFAULT");
    // botocore's KMS model, CreateKeyRequest: an asymmetric key has to say what it is for.
    let usage = match input["KeyUsage"].as_str() {
        None if spec == "SYMMETRIC_DEFAULT" => "ENCRYPT_DECRYPT",
        None => {
            let message = "You must specify a KeyUsage value for all KMS keys except for symmetric \
                           encryption keys.";
            return Err(ApiError::client("ValidationException", message));
        }
        Some(usage) => usage,
    };
    let key = Key {
        spec: spec.to_owned(),
        usage: usage.to_owned(),
        description: input["Description"].as_str().unwrap_or_default().to_owned(),
        ..Key::symmetric(context.now)
    };
    let made = context.kms().keys.len().to_string();
    let place = format!("{}/{}/{made}", context.account, context.region);
    let digits = context.seed.hex("kms", &place, 32);
    let part = |from: usize, to: usize| digits[from..to].to_owned();
    // A key's id is a UUID of version 4 (RFC 9562).
    let id = [
        part(0, 8),
        part(8, 12),
        format!("4{}", part(13, 16)),
        format!("8{}", part(17, 20)),
        part(20, 32),
    ]
    .join("-");
    let output = key.to_json(&arn_of(context, &id));
    context.kms().keys.insert(id, key);
    Ok(json!({"KeyMetadata": output}))
}

/// `CreateAlias`: botocore's KMS model, CreateAliasRequest: the alias and its key are of one account.
pub(super) fn create_alias(context: &mut Context<'_>, input: &Value) -> Result<Value, ApiError> {
    let alias = text(input, "AliasName")?.to_owned();
    // botocore's KMS model, CreateAliasRequest.
    if !alias.starts_with("alias/") || alias.starts_with("alias/aws/") {
        let message = "Alias must start with the prefix \"alias/\" and not with \"alias/aws/\".";
        return Err(ApiError::client("ValidationException", message));
    }
    let (_, arn) = find_own(context, "CreateAlias", text(input, "TargetKeyId")?)?;
    if context.kms().aliases.contains_key(&alias) {
        let arn = arn_of(context, &alias);
        let message = format!("An alias with the name {arn} already exists");
        return Err(ApiError::client("AlreadyExistsException", message));
    }
    let id = id_of(&arn).unwrap_or_default().to_owned();
    context.kms().aliases.insert(alias, id);
    Ok(Value::Null)
}

/// `DisableKey`.
pub(super) fn disable(context: &mut Context<'_>, input: &Value) -> Result<Value, ApiError> {
    set(context, input, "DisableKey", KeyState::Disabled)
}

/// `EnableKey`.
pub(super) fn enable(context: &mut Context<'_>, input: &Value) -> Result<Value, ApiError> {
    set(context, input, "EnableKey", KeyState::Enabled)
}

fn set(
    context: &mut Context<'_>,
    input: &Value,
    action: &str,
    state: KeyState,
) -> Result<Value, ApiError> {
    change(context, input, action, |key| key.state = state)?;
    Ok(Value::Null)
}

/// `ScheduleKeyDeletion`: botocore's KMS model has 7 to 30 days, and 30 by default.
pub(super) fn schedule_deletion(
    context: &mut Context<'_>,
    input: &Value,
) -> Result<Value, ApiError> {
    let days = input["PendingWindowInDays"].as_i64().unwrap_or(30);
    if !(7..=30).contains(&days) {
        let message = format!("PendingWindowInDays must be between 7 and 30, not {days}.");
        return Err(ApiError::client("ValidationException", message));
    }
    let at = context.now + jiff::SignedDuration::from_hours(24 * days);
    let arn = change(context, input, "ScheduleKeyDeletion", |key| {
        key.state = KeyState::PendingDeletion;
        key.deletion_at = Some(at);
    })?;
    Ok(json!({
        "KeyId": arn,
        "DeletionDate": at.as_second(),
        "KeyState": KeyState::PendingDeletion,
        "PendingWindowInDays": days,
    }))
}

/// Changes a key of the caller's account. One that will be deleted cannot be changed (AWS KMS developer guide,
/// key states of KMS keys).
fn change(
    context: &mut Context<'_>,
    input: &Value,
    action: &str,
    change: impl FnOnce(&mut Key),
) -> Result<String, ApiError> {
    let (key, arn) = find_own(context, action, text(input, "KeyId")?)?;
    if key.state == KeyState::PendingDeletion {
        let message = format!("{arn} is pending deletion.");
        return Err(ApiError::client("KMSInvalidStateException", message));
    }
    let id = id_of(&arn).unwrap_or_default();
    if let Some(key) = context.kms().keys.get_mut(id) {
        change(key);
    }
    Ok(arn)
}
