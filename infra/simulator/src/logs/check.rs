//! The constraints of botocore's CloudWatch Logs model, and how the service says that they are broken.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api_error::ApiError;

/// LogGroupName and LogGroupNamePattern: these characters beside letters and digits.
const NAME_SYMBOLS: &str = ".-_/#";
const NAME_LENGTH_MAX: usize = 512;
/// Tags, TagKey and TagValue.
const TAGS: RangeInclusive<usize> = 1..=50;
const TAG_KEY_MAX: usize = 128;
const TAG_VALUE_MAX: usize = 256;

/// `InvalidParameterException`.
pub(super) fn invalid_parameter(message: impl Into<String>) -> ApiError {
    ApiError::client("InvalidParameterException", message)
}

/// A value that breaks a constraint of the model.
pub(super) fn broken(value: &str, member: &str, constraint: &str) -> ApiError {
    invalid_parameter(format!(
        "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: \
         {constraint}"
    ))
}

/// The members of an input.
pub(super) fn read<T: DeserializeOwned>(input: &Value) -> Result<T, ApiError> {
    T::deserialize(input).map_err(|error| invalid_parameter(error.to_string()))
}

/// Refuses members that the service has and the simulator does not model.
pub(super) fn refuse_unmodelled(input: &Value, members: &[&str]) -> Result<(), ApiError> {
    let is_given = |member: &&&str| {
        let value = &input[**member];
        !value.is_null() && *value != Value::Bool(false)
    };
    match members.iter().find(is_given) {
        None => Ok(()),
        Some(member) => Err(invalid_parameter(format!(
            "The simulator does not model {member}."
        ))),
    }
}

/// The name of a log group, or the beginning of one.
pub(super) fn check_name(name: &str, member: &str) -> Result<(), ApiError> {
    if name.is_empty() {
        let constraint = "Member must have length greater than or equal to 1";
        return Err(broken(name, member, constraint));
    }
    check_pattern(name, member)
}

/// Part of a log group's name, which may be empty.
pub(super) fn check_pattern(pattern: &str, member: &str) -> Result<(), ApiError> {
    if pattern.len() > NAME_LENGTH_MAX {
        let constraint = format!("Member must have length less than or equal to {NAME_LENGTH_MAX}");
        return Err(broken(pattern, member, &constraint));
    }
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || NAME_SYMBOLS.contains(c);
    if !pattern.chars().all(is_allowed) {
        let constraint = r"Member must satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+";
        return Err(broken(pattern, member, constraint));
    }
    Ok(())
}

pub(super) fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), ApiError> {
    if !TAGS.contains(&tags.len()) {
        let constraint = "Member must have length between 1 and 50";
        return Err(broken(&format!("{} tags", tags.len()), "tags", constraint));
    }
    for (key, value) in tags {
        let is_too_long =
            key.chars().count() > TAG_KEY_MAX || value.chars().count() > TAG_VALUE_MAX;
        if key.is_empty() || is_too_long || key.to_lowercase().starts_with("aws:") {
            return Err(invalid_parameter(format!("Invalid tag: {key}={value}")));
        }
    }
    Ok(())
}

/// LogGroupClass. Groups for deliveries only are not modelled.
pub(super) fn check_class(class: &str) -> Result<(), ApiError> {
    if ["STANDARD", "INFREQUENT_ACCESS"].contains(&class) {
        return Ok(());
    }
    let constraint = "Member must satisfy enum value set: [STANDARD, INFREQUENT_ACCESS]";
    Err(broken(class, "logGroupClass", constraint))
}
