//! The rules for names and values, and how the service says that they are broken.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api_error::ApiError;

/// Systems Manager user guide, requirements and constraints for parameter names: beside letters and
/// digits.
const NAME_SYMBOLS: &str = "_.-";
/// The same page: the ARN in front of the name counts as well.
const ARN_LENGTH_MAX: usize = 1011;
/// The same page: hierarchy depth.
const LEVELS_MAX: usize = 15;
/// botocore's SSM model, PSParameterName.
const NAME_LENGTH_MAX: usize = 2048;
/// What the service says of the 4 KB that PutParameter's documentation names.
const STANDARD_VALUE_LENGTH_MAX: usize = 4096;

/// `ValidationException`.
pub(super) fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::client("ValidationException", message)
}

/// A value that breaks a constraint of the model.
pub(super) fn broken(value: &str, member: &str, constraint: &str) -> ApiError {
    invalid(format!(
        "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: \
         {constraint}"
    ))
}

/// The members of an input.
pub(super) fn read<T: DeserializeOwned>(input: &Value) -> Result<T, ApiError> {
    T::deserialize(input).map_err(|error| invalid(error.to_string()))
}

/// Refuses members that the service has and the simulator does not model.
pub(super) fn refuse_unmodelled(input: &Value, members: &[&str]) -> Result<(), ApiError> {
    match members.iter().find(|member| !input[**member].is_null()) {
        None => Ok(()),
        Some(member) => Err(invalid(format!("The simulator does not model {member}."))),
    }
}

/// The name of a parameter, wherever one is named: its shape.
pub(super) fn check_name(name: &str, member: &str) -> Result<(), ApiError> {
    if name.is_empty() {
        let constraint = "Member must have length greater than or equal to 1";
        return Err(broken(name, member, constraint));
    }
    if name.len() > NAME_LENGTH_MAX {
        let constraint = format!("Member must have length less than or equal to {NAME_LENGTH_MAX}");
        return Err(broken(name, member, &constraint));
    }
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || NAME_SYMBOLS.contains(c);
    let mut levels = name.strip_prefix('/').unwrap_or(name).split('/');
    if !levels.all(|level| !level.is_empty() && level.chars().all(is_allowed)) {
        return Err(bad_name());
    }
    // The user guide's "fully qualified": a name in a hierarchy begins with a slash.
    if name.contains('/') && !name.starts_with('/') {
        return Err(invalid("Parameter name must be a fully qualified name."));
    }
    Ok(())
}

/// As it is quoted in the terraform-provider-aws issues about names.
fn bad_name() -> ApiError {
    invalid(
        "Parameter name: can't be prefixed with \"ssm\" (case-insensitive). If formed as a path, it \
         can consist of sub-paths divided by slash symbol; each sub-path can be formed as a mix of \
         letters, numbers and the following 3 symbols .-_",
    )
}

/// The name of a parameter that is to be made: nobody may use the names of AWS. The user guide shows
/// examples; the codes are what users report for `/aws…` and `/ssm…`.
pub(super) fn check_new_name(name: &str, arn: &str) -> Result<(), ApiError> {
    check_name(name, "name")?;
    let bare = name.trim_start_matches('/');
    let begins_with = |prefix: &str| bare.to_lowercase().starts_with(prefix);
    if begins_with("aws") && name.starts_with('/') {
        let message = format!("No access to reserved parameter name: {bare}.");
        return Err(ApiError::client("AccessDeniedException", message));
    }
    if begins_with("aws") || begins_with("ssm") {
        return Err(bad_name());
    }
    if bare.split('/').count() > LEVELS_MAX {
        let message = format!("A hierarchy can have a maximum of {LEVELS_MAX} levels.");
        return Err(ApiError::client(
            "HierarchyLevelLimitExceededException",
            message,
        ));
    }
    if arn.len() > ARN_LENGTH_MAX {
        return Err(invalid(format!(
            "Parameter ARN must be at most {ARN_LENGTH_MAX} characters long."
        )));
    }
    Ok(())
}

/// The value of a standard parameter. botocore's SSM model, PutParameterRequest$Value: at most 4 KB, and
/// nothing in double brackets; the words are those that users report. A value is never quoted, it may be a
/// secret (captured answer, radkawar/stackd testdata/aws/ssm/empty_value.json).
pub(super) fn check_value(value: &str) -> Result<(), ApiError> {
    if value.is_empty() {
        return Err(invalid(
            "1 validation error detected: Value at 'value' failed to satisfy constraint: Member must have \
             length greater than or equal to 1",
        ));
    }
    if value.chars().count() > STANDARD_VALUE_LENGTH_MAX {
        return Err(invalid(format!(
            "Standard tier parameters support a maximum parameter value of \
             {STANDARD_VALUE_LENGTH_MAX} characters."
        )));
    }
    let brackets = value.split_once("{{").filter(|(_, it)| it.contains("}}"));
    if brackets.is_some() {
        let message = "Parameter value can't nest another parameter.";
        return Err(invalid(message));
    }
    Ok(())
}

/// What a person who reads a parameter may write for its name: the name or its ARN, and after a colon a
/// version (captured answers, radkawar/stackd testdata/aws/ssm/parameter_store.json and
/// selector_edges.json).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selected {
    /// The name.
    pub name: String,
    /// What comes after it, with its colon.
    pub selector: Option<String>,
}

impl Selected {
    pub(super) fn parse(text: &str) -> Result<Self, ApiError> {
        let (text, prefix) = match text.split_once(":parameter/") {
            Some((arn, rest)) if arn.starts_with("arn:") => (rest, "/"),
            _ => (text, ""),
        };
        let mut parts = text.split(':');
        let name = format!("{prefix}{}", parts.next().unwrap_or_default());
        match (parts.next(), parts.next()) {
            (None, _) => {
                check_name(&name, "name")?;
                Ok(Self {
                    name,
                    selector: None,
                })
            }
            (Some(selector), None) if !selector.is_empty() => {
                check_name(&name, "name")?;
                Ok(Self {
                    name,
                    selector: Some(format!(":{selector}")),
                })
            }
            _ => Err(invalid(
                "Invalid parameter name. Please use correct syntax for referencing a version/label  \
                 <name>:<version/label>",
            )),
        }
    }

    /// `ParameterVersionNotFound`. What is no number is a label, and no parameter has one here.
    pub(super) fn version_not_found(&self) -> ApiError {
        let name = &self.name;
        let asked = self.selector.as_deref().unwrap_or_default();
        let asked = asked.trim_start_matches(':');
        let is_version = !asked.is_empty() && asked.bytes().all(|byte| byte.is_ascii_digit());
        let message = if is_version {
            format!(
                "Systems Manager could not find version {asked} of {name}. Verify the version and try \
                 again."
            )
        } else {
            format!(
                "Systems Manager could not find a version of {name} that has the specified label, \
                 {asked}. Verify the parameter label and try again."
            )
        };
        ApiError::client("ParameterVersionNotFound", message)
    }
}
