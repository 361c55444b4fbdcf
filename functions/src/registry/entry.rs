//! What the registry knows of one cluster.

use serde::{Deserialize, Serialize};

use crate::contract::Error;
use crate::model::Target;

/// A standard parameter's limit (Systems Manager, PutParameter: 4 KB).
pub(crate) const VALUE_BYTES_MAX: usize = 4096;

/// An entry: the cluster's place, and what was told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Which cluster, where, and how its account is reached.
    #[serde(flatten)]
    pub target: Target,
    /// The findings that were told and not yet resolved, in the order in which they were told.
    #[serde(default)]
    pub findings: Vec<Told>,
}

/// A finding that was told: enough to know it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// Id of its row in the catalogue, for example `no-nat-route`.
    pub id: String,
    /// How bad it was when it was told: `error`, `warning` or `info`.
    pub severity: String,
    /// ARN or id of what it is about.
    pub resource: String,
    /// When the check that told it began.
    pub since: String,
}

impl Told {
    /// Whether both are about the same trouble of the same thing.
    #[must_use]
    pub fn is_same(&self, id: &str, resource: &str) -> bool {
        self.id == id && self.resource == resource
    }
}

impl Entry {
    /// An entry of which nothing was told yet.
    #[must_use]
    pub fn of(target: Target) -> Self {
        Self {
            target,
            findings: vec![],
        }
    }

    /// The entry as the value of a parameter.
    ///
    /// # Errors
    /// [`Error::Unexpected`] if it cannot be JSON, which it always can.
    pub fn value(&self) -> Result<String, Error> {
        serde_json::to_string(self).map_err(|error| Error::Unexpected(error.to_string()))
    }

    /// An entry from the value of the parameter `name`.
    ///
    /// # Errors
    /// [`Error::ResourceConflict`] if somebody else wrote it.
    pub fn parse(name: &str, value: &str) -> Result<Self, Error> {
        serde_json::from_str(value).map_err(|error| {
            Error::ResourceConflict(format!(
                "parameter {name} is no entry of a cluster ({error}); delete it, and start the \
                 provisioning of the cluster again, which makes it again"
            ))
        })
    }

    /// The entry without the latest findings that a parameter has no room for: they will be told again.
    #[must_use]
    pub fn fitted(mut self) -> Self {
        while self.bytes() > VALUE_BYTES_MAX && self.findings.pop().is_some() {}
        self
    }

    /// How long the value is.
    pub(crate) fn bytes(&self) -> usize {
        self.value().map_or(usize::MAX, |value| value.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Plan;

    fn told(number: usize) -> Told {
        Told {
            id: "no-nat-route".to_owned(),
            severity: "error".to_owned(),
            resource: format!("rtb-{number:017}"),
            since: "2026-11-24T10:09:31.214Z".to_owned(),
        }
    }

    #[test]
    fn an_entry_is_the_target_and_what_was_told() {
        let mut entry = Entry::of(Plan::example().target);
        entry.findings.push(told(1));
        let value = entry.value().unwrap();
        assert!(
            value.starts_with(
                r#"{"clusterName":"demo","region":"ap-northeast-1","partition":"aws","account":{"id":"111122223333"},"findings":[{"id":"no-nat-route","#
            ),
            "{value}"
        );
        assert_eq!(Entry::parse("/x", &value), Ok(entry));
    }

    #[test]
    fn foreign_parameter_is_a_conflict_that_names_it() {
        let error = Entry::parse("/clusters/demo", "hello").unwrap_err();
        assert_eq!(error.name(), "ResourceConflict");
        assert!(error.to_string().contains("/clusters/demo"), "{error}");
    }

    #[test]
    fn the_latest_findings_go_when_there_is_no_room() {
        let mut entry = Entry::of(Plan::example().target);
        entry.findings.extend((0..100).map(told));
        let fitted = entry.clone().fitted();
        assert!(fitted.bytes() <= VALUE_BYTES_MAX);
        assert!(fitted.findings.len() > 20, "{}", fitted.findings.len());
        assert_eq!(fitted.findings[..], entry.findings[..fitted.findings.len()]);
        assert_eq!(fitted.clone().fitted(), fitted);
    }
}
