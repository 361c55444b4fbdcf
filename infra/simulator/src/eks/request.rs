//! Reading requests.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::errors::invalid_parameter;
use crate::api_error::ApiError;
use crate::wire::rest_json::Query;

/// Tags by key.
pub type Tags = BTreeMap<String, String>;

/// botocore's EKS model, TagMap, TagKey and TagValue.
const TAGS_MAX: usize = 50;
const TAG_KEY_MAX: usize = 128;
const TAG_VALUE_MAX: usize = 256;

/// A call's path, query and body.
pub(super) struct Request<'a> {
    /// The segments of the path, decoded.
    pub path: &'a [&'a str],
    /// What is after the question mark.
    pub query: &'a Query,
    /// The members of the body.
    pub body: &'a Value,
}

impl<'a> Request<'a> {
    /// The name of the cluster in the path.
    pub(super) fn cluster(&self) -> &'a str {
        self.segment(1)
    }

    /// The name of the cluster's profile, add-on or entry in the path.
    pub(super) fn child(&self) -> &'a str {
        self.segment(3)
    }

    pub(super) fn segment(&self, at: usize) -> &'a str {
        self.path.get(at).copied().unwrap_or_default()
    }

    /// The value of a query parameter.
    pub(super) fn query(&self, name: &str) -> Option<&'a str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The values of a query parameter that may be repeated.
    pub(super) fn query_list(&self, name: &str) -> Vec<&'a str> {
        let found = self.query.iter().filter(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).collect()
    }

    /// A query parameter that is `true` or `false`.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.query(name) == Some("true")
    }

    /// The members of the body.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let empty = Value::Object(serde_json::Map::new());
        let body = if self.body.is_null() {
            &empty
        } else {
            self.body
        };
        T::deserialize(body).map_err(|error| invalid_parameter(&error.to_string()))
    }

    /// Whether the body has a member that is not null.
    pub(super) fn has(&self, member: &str) -> bool {
        self.body.get(member).is_some_and(|value| !value.is_null())
    }
}

/// Checks the tags of a resource.
pub(super) fn check_tags(tags: &Tags) -> Result<(), ApiError> {
    if tags.len() > TAGS_MAX {
        return Err(invalid_parameter("Too many tags."));
    }
    for (key, value) in tags {
        let is_too_long =
            key.chars().count() > TAG_KEY_MAX || value.chars().count() > TAG_VALUE_MAX;
        // botocore's EKS model, TagKey: aws: is not for users.
        if key.is_empty() || is_too_long || key.to_lowercase().starts_with("aws:") {
            return Err(invalid_parameter(&format!("Invalid tag: {key}={value}")));
        }
    }
    Ok(())
}

/// One of the values of an enumeration.
pub(super) fn check_one_of(member: &str, value: &str, allowed: &[&str]) -> Result<(), ApiError> {
    if allowed.contains(&value) {
        return Ok(());
    }
    let message = format!("{member} must be one of [{}]: {value}", allowed.join(", "));
    Err(invalid_parameter(&message))
}

/// A time as EKS writes it: seconds since 1970, with milliseconds.
#[allow(
    clippy::cast_precision_loss,
    reason = "milliseconds are exact until far after 9999"
)]
pub(super) fn epoch_seconds(time: Timestamp) -> Value {
    Value::from(time.as_millisecond() as f64 / 1000.0)
}
