//! Reading parameters as IAM and STS do, and the errors that they share.

use crate::api_error::ApiError;
use crate::params::Params;

/// botocore's IAM model, roleNameType.
pub(crate) const ROLE_NAME_MAX: usize = 64;
/// botocore's IAM model, policyNameType.
pub(super) const POLICY_NAME_MAX: usize = 128;
/// botocore's IAM model, arnType.
const ARN_MIN: usize = 20;
const ARN_MAX: usize = 2048;
/// botocore's IAM model, roleDescriptionType.
const DESCRIPTION_MAX: usize = 1000;
/// The characters of names beside letters, digits and underscore (botocore's IAM model).
const NAME_SYMBOLS: &str = "_+=,.@-";

/// `NoSuchEntity`, 404.
pub(super) fn no_such_entity(message: String) -> ApiError {
    ApiError::new(404, "NoSuchEntity", message)
}

/// `LimitExceeded`, 409.
pub(super) fn limit_exceeded(message: String) -> ApiError {
    ApiError::new(409, "LimitExceeded", message)
}

/// A value that breaks a constraint of the model.
pub(crate) fn invalid(parameter: &str, value: &str, constraint: &str) -> ApiError {
    let message = format!(
        "1 validation error detected: Value '{value}' at '{parameter}' failed to satisfy constraint: \
         {constraint}"
    );
    ApiError::client("ValidationError", message)
}

/// The value of a parameter that must be there.
pub(crate) fn required<'a>(params: &'a Params, name: &str) -> Result<&'a str, ApiError> {
    params.get(name).ok_or_else(|| {
        let message = format!(
            "1 validation error detected: Value null at '{}' failed to satisfy constraint: Member \
             must not be null",
            camel(name)
        );
        ApiError::client("ValidationError", message)
    })
}

/// The ARN of a policy (botocore's IAM model, arnType).
pub(super) fn policy_arn<'a>(params: &'a Params, parameter: &str) -> Result<&'a str, ApiError> {
    let arn = required(params, parameter)?;
    if arn.chars().count() < ARN_MIN {
        let constraint = format!("Member must have length greater than or equal to {ARN_MIN}");
        return Err(invalid(&camel(parameter), arn, &constraint));
    }
    if arn.chars().count() > ARN_MAX {
        let constraint = format!("Member must have length less than or equal to {ARN_MAX}");
        return Err(invalid(&camel(parameter), arn, &constraint));
    }
    // In these words, both blanks included (LocalStack's snapshots, recorded on AWS).
    if !arn.starts_with("arn:") {
        return Err(ApiError::client(
            "ValidationError",
            "Invalid ARN:  Could not be parsed!",
        ));
    }
    Ok(arn)
}

/// A policy: botocore's IAM model, policyDocumentType.
pub(super) fn document<'a>(params: &'a Params, parameter: &str) -> Result<&'a str, ApiError> {
    let text = required(params, parameter)?;
    let is_allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{ff}');
    if text.is_empty() || !text.chars().all(is_allowed) {
        let constraint =
            r"Member must satisfy regular expression pattern: [\u0009\u000A\u000D\u0020-\u00FF]+";
        return Err(invalid(&camel(parameter), text, constraint));
    }
    Ok(text)
}

/// A description: botocore's IAM model, roleDescriptionType.
pub(super) fn description(params: &Params) -> Result<Option<&str>, ApiError> {
    let text = params.get("Description");
    let is_allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{a1}'..='\u{ff}');
    if let Some(text) = text.filter(|text| text.chars().count() > DESCRIPTION_MAX) {
        let constraint = format!("Member must have length less than or equal to {DESCRIPTION_MAX}");
        return Err(invalid("description", text, &constraint));
    }
    if let Some(text) = text.filter(|text| !text.chars().all(is_allowed)) {
        let constraint = r"Member must satisfy regular expression pattern: [\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF]*";
        return Err(invalid("description", text, constraint));
    }
    Ok(text)
}

/// A name within `range` of lengths, of the characters that IAM allows.
pub(crate) fn name<'a>(
    params: &'a Params,
    parameter: &str,
    max: usize,
) -> Result<&'a str, ApiError> {
    let value = required(params, parameter)?;
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || NAME_SYMBOLS.contains(c);
    if value.is_empty() || !value.chars().all(is_allowed) {
        let constraint = r"Member must satisfy regular expression pattern: [\w+=,.@-]+";
        return Err(invalid(&camel(parameter), value, constraint));
    }
    if value.chars().count() > max {
        let constraint = format!("Member must have length less than or equal to {max}");
        return Err(invalid(&camel(parameter), value, &constraint));
    }
    Ok(value)
}

/// The name of the role that the request is about.
pub(super) fn role_name(params: &Params) -> Result<&str, ApiError> {
    name(params, "RoleName", ROLE_NAME_MAX)
}

/// A whole number within bounds, if given.
pub(crate) fn number(
    params: &Params,
    parameter: &str,
    min: u32,
    max: u32,
) -> Result<Option<u32>, ApiError> {
    let Some(text) = params.get(parameter) else {
        return Ok(None);
    };
    let number: u32 = text.parse().map_err(|_| {
        let message = format!("{text} is not a valid integer");
        ApiError::client("MalformedInput", message)
    })?;
    if number < min {
        let constraint = format!("Member must have value greater than or equal to {min}");
        return Err(invalid(&camel(parameter), text, &constraint));
    }
    if number > max {
        let constraint = format!("Member must have value less than or equal to {max}");
        return Err(invalid(&camel(parameter), text, &constraint));
    }
    Ok(Some(number))
}

/// `RoleName` as messages have it: `roleName`.
fn camel(parameter: &str) -> String {
    let mut chars = parameter.chars();
    let first = chars.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}
