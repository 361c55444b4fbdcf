//! The record of the calls that a simulator got.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One call and how it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// When it arrived (simulated time).
    pub at: Timestamp,
    /// The caller's account.
    pub account: String,
    /// The caller's access key.
    pub access_key: String,
    /// The region that it went to.
    pub region: String,
    /// `ec2`, `eks`, `iam`, `logs`, `ssm` or `sts`.
    pub service: String,
    /// For example `CreateVpc`.
    pub operation: String,
    /// The parameters: a flat map for Query protocols, path and body members for JSON ones.
    pub request: Value,
    /// The error's code, if it failed.
    pub error: Option<String>,
}

impl Call {
    /// The call as IAM names it, for example `ec2:CreateVpc`.
    #[must_use]
    pub fn action(&self) -> String {
        format!("{}:{}", self.service, self.operation)
    }

    /// Whether the operation only reads; one that is not simulated changes nothing either.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        ["Describe", "Get", "List", "AssumeRole", "Unknown"]
            .iter()
            .any(|verb| self.operation.starts_with(verb))
    }
}
