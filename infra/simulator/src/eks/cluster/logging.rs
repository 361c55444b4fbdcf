//! Which logs of the control plane go to CloudWatch Logs.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::api_error::ApiError;
use crate::eks::request::check_one_of;

/// botocore's EKS model, LogType.
const TYPES: &[&str] = &[
    "api",
    "audit",
    "authenticator",
    "controllerManager",
    "scheduler",
];

/// botocore's EKS model, Logging.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::eks) struct Logging {
    cluster_logging: Vec<LogSetup>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LogSetup {
    types: Vec<String>,
    enabled: Option<bool>,
}

impl Logging {
    /// The kinds that are on after the change; what is not named stays as it is.
    pub(in crate::eks) fn apply(
        &self,
        old: &BTreeSet<String>,
    ) -> Result<BTreeSet<String>, ApiError> {
        let mut new = old.clone();
        for setup in &self.cluster_logging {
            for kind in &setup.types {
                check_one_of("Log type", kind, TYPES)?;
                if setup.enabled == Some(true) {
                    new.insert(kind.clone());
                } else {
                    new.remove(kind);
                }
            }
        }
        Ok(new)
    }
}

/// All kinds, those that are on and those that are off.
pub(in crate::eks) fn to_json(on: &BTreeSet<String>) -> Value {
    let off: Vec<&&str> = TYPES.iter().filter(|kind| !on.contains(**kind)).collect();
    let mut setups = Vec::new();
    if !on.is_empty() {
        setups.push(json!({"types": on, "enabled": true}));
    }
    if !off.is_empty() {
        setups.push(json!({"types": off, "enabled": false}));
    }
    json!({"clusterLogging": setups})
}
