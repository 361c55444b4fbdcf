//! What the steps around one EKS cluster share: reading EKS's errors and health issues.

use std::fmt::Write as _;

use aws_sdk_eks::types::{
    AddonIssue, AddonIssueCode, ClusterIssue, ClusterIssueCode, ErrorCode, ErrorDetail,
    FargateProfileIssue, FargateProfileIssueCode,
};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::aws::codes;
use crate::contract::Error;
use crate::model::Target;

/// Name of the CoreDNS add-on.
pub const COREDNS: &str = "coredns";

/// Whether EKS says that the cluster, or what was asked for in it, does not exist.
///
/// DescribeCluster sometimes answers ClientException instead of ResourceNotFoundException.
#[must_use]
pub fn is_absent(error: &impl ProvideErrorMetadata) -> bool {
    match error.code() {
        Some(codes::RESOURCE_NOT_FOUND) => true,
        Some(codes::CLIENT_EXCEPTION) => error
            .message()
            .is_some_and(|message| message.contains(codes::NO_CLUSTER_FOUND_MESSAGE)),
        _ => false,
    }
}

/// The error of a request to remove a cluster that has deletion protection.
#[must_use]
pub fn deletion_protected(target: &Target) -> Error {
    Error::ResourceConflict(format!(
        "cluster {} has deletion protection; to remove it all the same, start the teardown with \
         \"disableDeletionProtection\": true",
        target.cluster_name
    ))
}

/// Whether it is a ResourceInUseException.
///
/// The code means three things: the name is taken, a sibling is changing, or the cluster has an
/// update in progress that no describe call shows. Whoever gets it looks again before deciding. Not
/// every operation that answers it models it, so it is recognised by its code.
#[must_use]
pub fn is_in_use(error: &impl ProvideErrorMetadata) -> bool {
    error.code() == Some(codes::RESOURCE_IN_USE)
}

/// Whether it is a ResourceInUseException that passes by itself. Any other names something that stays until
/// somebody removes it, and is an [`Error::ResourceConflict`].
#[must_use]
pub fn passes_by_itself(error: &impl ProvideErrorMetadata) -> bool {
    let mut passing = codes::PASSING_IN_USE_MESSAGES.iter();
    is_in_use(error) && passing.any(|known| message(error).contains(known))
}

/// EKS's message in an error.
#[must_use]
pub fn message(error: &impl ProvideErrorMetadata) -> &str {
    error.message().unwrap_or("no message")
}

/// A health issue of a cluster, a Fargate profile or an add-on, or why an update failed: its code, AWS's
/// message and the ids of the resources that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// AWS's code, for example `InsufficientNumberOfReplicas`.
    pub code: String,
    /// AWS's message.
    pub message: String,
    /// Ids of the resources that it is about.
    pub resource_ids: Vec<String>,
}

impl Issue {
    fn new(code: Option<&str>, message: Option<&str>, resource_ids: &[String]) -> Self {
        Self {
            code: code.unwrap_or("no code").to_owned(),
            message: message.unwrap_or("no message").to_owned(),
            resource_ids: resource_ids.to_vec(),
        }
    }
}

impl From<&ClusterIssue> for Issue {
    fn from(issue: &ClusterIssue) -> Self {
        let code = issue.code().map(ClusterIssueCode::as_str);
        Self::new(code, issue.message(), issue.resource_ids())
    }
}

impl From<&FargateProfileIssue> for Issue {
    fn from(issue: &FargateProfileIssue) -> Self {
        let code = issue.code().map(FargateProfileIssueCode::as_str);
        Self::new(code, issue.message(), issue.resource_ids())
    }
}

impl From<&AddonIssue> for Issue {
    fn from(issue: &AddonIssue) -> Self {
        let code = issue.code().map(AddonIssueCode::as_str);
        Self::new(code, issue.message(), issue.resource_ids())
    }
}

impl From<&ErrorDetail> for Issue {
    fn from(error: &ErrorDetail) -> Self {
        let code = error.error_code().map(ErrorCode::as_str);
        Self::new(code, error.error_message(), error.resource_ids())
    }
}

/// A status and its health issues in one line, for example
/// `CREATE_FAILED; AccessDenied: the role cannot be assumed (arn:…)`.
#[must_use]
pub fn status_line<'a, I>(status: &str, issues: impl IntoIterator<Item = &'a I>) -> String
where
    I: 'a,
    Issue: From<&'a I>,
{
    let mut line = status.to_owned();
    for issue in issues.into_iter().map(Issue::from) {
        let _ = write!(line, "; {}: {}", issue.code, issue.message);
        if !issue.resource_ids.is_empty() {
            let _ = write!(line, " ({})", issue.resource_ids.join(", "));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_eks::error::ErrorMetadata;

    fn error(code: &str, message: &str) -> ErrorMetadata {
        ErrorMetadata::builder().code(code).message(message).build()
    }

    #[test]
    fn a_missing_cluster_has_two_spellings() {
        assert!(is_absent(&error(codes::RESOURCE_NOT_FOUND, "")));
        assert!(is_absent(&error(
            codes::CLIENT_EXCEPTION,
            "No cluster found for name: demo."
        )));
        assert!(!is_absent(&error(codes::CLIENT_EXCEPTION, "bad request")));
    }

    #[test]
    fn a_status_line_names_code_message_and_resources() {
        let issue = ClusterIssue::builder()
            .code(ClusterIssueCode::Ec2SubnetNotFound)
            .message("the subnet is gone")
            .resource_ids("subnet-1")
            .build();
        assert_eq!(
            status_line("FAILED", &[issue]),
            "FAILED; Ec2SubnetNotFound: the subnet is gone (subnet-1)"
        );
        assert_eq!(status_line::<ClusterIssue>("ACTIVE", &[]), "ACTIVE");
    }
}
