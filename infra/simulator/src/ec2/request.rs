//! One call: who, where, when, and its parameters.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::kind::Kind;
use crate::api_error::ApiError;
use crate::faults::Faults;
use crate::params::Params;
use crate::seed::Seed;

/// What an operation gets beside the networking.
pub(super) struct Request<'a> {
    pub now: Timestamp,
    pub account: &'a str,
    pub region: &'a str,
    pub partition: &'static str,
    pub seed: Seed,
    pub faults: &'a Faults,
    /// The regions that the account has opted in to.
    pub opted_in: &'a BTreeSet<String>,
    pub params: &'a Params,
}

impl Request<'_> {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.params.get(name)
    }

    /// A required parameter that is an id of `kind`; its form is checked.
    pub(super) fn id(&self, name: &str, kind: &Kind) -> Result<&str, ApiError> {
        let id = self.params.require(name)?;
        kind.check_form(id)?;
        Ok(id)
    }

    /// A boolean, if given.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(invalid_value(name, other, "It must be true or false.")),
        }
    }

    /// Refuses parameters that EC2 has and the simulator does not model.
    pub(super) fn refuse_unmodelled(&self, names: &[&str]) -> Result<(), ApiError> {
        let asked_for = |name: &&&str| {
            let is_set = self.get(name).is_some_and(|value| value != "false");
            is_set || !self.params.under(name).is_empty()
        };
        match names.iter().find(asked_for) {
            None => Ok(()),
            Some(name) => Err(unmodelled(name)),
        }
    }

    pub(super) fn arn(&self, resource: &str) -> String {
        format!(
            "arn:{}:ec2:{}:{}:{resource}",
            self.partition, self.region, self.account
        )
    }
}

/// What the simulator does not model.
pub(super) fn unmodelled(what: &str) -> ApiError {
    let message = format!("The simulator does not model {what}.");
    ApiError::client("UnsupportedOperation", message)
}

/// `InvalidParameterValue` in EC2's words.
pub(super) fn invalid_value(name: &str, value: &str, why: &str) -> ApiError {
    let mut name = name.to_owned();
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    ApiError::client(
        "InvalidParameterValue",
        format!("Value ({value}) for parameter {name} is invalid. {why}"),
    )
}
