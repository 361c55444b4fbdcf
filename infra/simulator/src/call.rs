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
    /// `ec2`, `eks`, `iam`, `kms`, `logs`, `servicequotas`, `ssm` or `sts`.
    pub service: String,
    /// For example `CreateVpc`.
    pub operation: String,
    /// The parameters: a flat map for Query protocols, path and body members for JSON ones. `null` if
    /// requests are not kept ([`Record`]).
    pub request: Value,
    /// The error's code, if it failed.
    pub error: Option<String>,
}

/// What is kept of calls. How many there were in each account is always known
/// ([`crate::Simulator::call_counts`]).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Record {
    /// The calls with their requests.
    #[default]
    Requests,
    /// The calls, with `null` for the request.
    Calls,
    /// No call.
    Counts,
}

impl Call {
    /// The call as IAM names it, for example `ec2:CreateVpc`.
    #[must_use]
    pub fn action(&self) -> String {
        format!("{}:{}", self.service, self.operation)
    }

    /// Whether the call changes nothing: its operation only reads, or it is a dry run.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        let is_dry_run =
            self.request["DryRun"] == "true" || self.error.as_deref() == Some("DryRunOperation");
        is_dry_run
            || ["Describe", "Get", "List", "AssumeRole", "Simulate"]
                .iter()
                .any(|verb| self.operation.starts_with(verb))
    }
}
