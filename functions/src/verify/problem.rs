//! What one check of the catalogue says.

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// Pods on Fargate do not start, or soon will not.
    Error,
    /// It may be the cause of trouble, or will be.
    Warning,
    /// Worth knowing: something could not be looked at, or not be judged.
    Info,
}

/// What a check of the catalogue says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// ARN or id of what it is about; the action's name for what was not checked.
    pub resource: String,
    /// What AWS says.
    pub seen: String,
    /// What it should say.
    pub expected: String,
    /// What to do about it.
    pub fix: String,
}
