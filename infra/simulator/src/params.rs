//! Parameters of the Query protocols (EC2, IAM, STS): `Filter.1.Value.2=x`.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api_error::ApiError;

/// The parameters of one request, by their flat names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params(BTreeMap<String, String>);

impl Params {
    /// Reads a form body.
    #[must_use]
    pub fn parse(body: &[u8]) -> Self {
        Self(
            form_urlencoded::parse(body)
                .map(|(key, value)| (key.into_owned(), value.into_owned()))
                .collect(),
        )
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of `name`, if given.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The value of `name`.
    ///
    /// # Errors
    /// `MissingParameter`, as EC2 says it.
    pub fn require(&self, name: &str) -> Result<&str, ApiError> {
        self.get(name).ok_or_else(|| {
            ApiError::client(
                "MissingParameter",
                format!("The request must contain the parameter {name}"),
            )
        })
    }

    /// The values of a list: `name.1`, `name.2`, … (also `name.member.1`, …, as IAM has it).
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<&str> {
        let plain = (1..).map_while(|n| self.get(&format!("{name}.{n}")));
        let member = (1..).map_while(|n| self.get(&format!("{name}.member.{n}")));
        plain.chain(member).collect()
    }

    /// The structures of a list, each with the names inside it.
    #[must_use]
    pub fn structures(&self, name: &str) -> Vec<Self> {
        let at = |prefix: String| {
            let inner = self.under(&prefix);
            (!inner.0.is_empty()).then_some(inner)
        };
        let plain = (1..).map_while(|n| at(format!("{name}.{n}")));
        let member = (1..).map_while(|n| at(format!("{name}.member.{n}")));
        plain.chain(member).collect()
    }

    /// The parameters whose names start with `prefix.`, without it.
    #[must_use]
    pub fn under(&self, prefix: &str) -> Self {
        Self(
            self.0
                .iter()
                .filter_map(|(key, value)| {
                    let key = key.strip_prefix(prefix)?.strip_prefix('.')?;
                    Some((key.to_owned(), value.clone()))
                })
                .collect(),
        )
    }

    /// The flat map as JSON, for the record of calls.
    #[must_use]
    pub fn to_json(&self) -> Value {
        self.0
            .iter()
            .map(|(key, value)| (key.clone(), Value::from(value.clone())))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_structures_are_read_in_order() {
        let params = Params::parse(
            b"SubnetId.1=a&SubnetId.2=b&Filter.1.Name=vpc-id&Filter.1.Value.1=v&Tags.member.1.Key=k",
        );
        assert_eq!(params.list("SubnetId"), ["a", "b"]);
        let filters = params.structures("Filter");
        assert_eq!(filters.len(), 1);
        assert_eq!(filters[0].get("Name"), Some("vpc-id"));
        assert_eq!(filters[0].list("Value"), ["v"]);
        assert_eq!(params.structures("Tags")[0].get("Key"), Some("k"));
    }

    #[test]
    fn a_missing_parameter_is_named() {
        let error = Params::default().require("VpcId").unwrap_err();
        assert_eq!(error.code, "MissingParameter");
        assert!(error.message.contains("VpcId"));
    }
}
