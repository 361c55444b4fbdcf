//! What went wrong, sorted by what the state machine does about it.
//!
//! The names of the variants are an interface: they are what `ErrorEquals` matches (a test holds the
//! two together). ARCHITECTURE.md has the table of names and reactions.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use lambda_runtime::Diagnostic;
use strum::{EnumIter, IntoStaticStr};

use crate::aws::codes;
use crate::model::Target;

/// An error of a step; the variant's name is the error's name in the state machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, IntoStaticStr, EnumIter)]
pub enum Error {
    /// The input is wrong. Fails at once.
    #[error("{field}: {value} is not valid; expected {expected}")]
    InvalidRequest {
        /// Path of the field in the input, for example `network.cidr`.
        field: String,
        /// The value as it was given, as JSON text.
        value: String,
        /// What would be right.
        expected: String,
    },
    /// A new account is not usable yet. Retried for hours, slowly.
    #[error("the account is not ready: {0}")]
    AccountNotReady(String),
    /// AWS has blocked the account, which no waiting changes. Fails at once with what to do.
    #[error("the account is blocked: {0}")]
    AccountBlocked(String),
    /// Eventual consistency or IAM propagation. Retried for minutes.
    #[error("not visible yet: {0}")]
    NotYetVisible(String),
    /// The API's rate limit, after the SDK's own retries. Retried with full jitter.
    #[error("throttled: {0}")]
    Throttled(String),
    /// A 5xx, a time-out or a lost connection, after the SDK's own retries. Retried.
    #[error("AWS is unavailable: {0}")]
    AwsUnavailable(String),
    /// A service quota is used up. Fails with the fix in the cause.
    #[error("a service quota is used up: {0}")]
    QuotaExceeded(String),
    /// Something in the way is not ours. Fails and touches nothing.
    #[error("something that is not ours is in the way: {0}")]
    ResourceConflict(String),
    /// An action is not allowed. A few retries (a new policy spreads slowly), then fails.
    #[error("access denied: {0}")]
    AccessDenied(String),
    /// A policy of the organization denies an action, whatever the function's role allows. Fails at once;
    /// see [`Error::in_new_account`].
    #[error("forbidden by a policy: {0}")]
    ExplicitDeny(String),
    /// AWS says that the resource failed; carries AWS's health issues. Fails.
    #[error("the resource failed: {0}")]
    ResourceFailed(String),
    /// Something was waited for longer than AWS ever takes; carries what it was. Fails.
    #[error("it was waited for too long: {0}")]
    WaitTimedOut(String),
    /// A teardown found something of the cluster at its end. Looked at again for minutes, because lists
    /// lag behind deletions, then fails.
    #[error("not everything is removed: {0}")]
    ResourcesLeft(String),
    /// What was built is not as it has to be; names each cause, the most likely first. Looked at again
    /// for minutes, because lists lag behind changes, then fails.
    #[error("the cluster is not as it has to be: {0}")]
    VerificationFailed(String),
    /// An answer of AWS that no one planned for. Fails at once with all that AWS said.
    #[error("unexpected answer: {0}")]
    Unexpected(String),
}

impl Error {
    /// An [`Error::InvalidRequest`] about `field`, with the value as a person typed it.
    pub fn invalid(
        field: impl Into<String>,
        value: impl serde::Serialize,
        expected: impl Into<String>,
    ) -> Self {
        Self::InvalidRequest {
            field: field.into(),
            value: serde_json::to_string(&value).unwrap_or_else(|_| "<not JSON>".to_owned()),
            expected: expected.into(),
        }
    }

    /// The name that the state machine matches, for example `NotYetVisible`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.into()
    }

    /// Sorts an answer of AWS by its code.
    ///
    /// `action` is the IAM name of the call, for example `ec2:CreateVpc`; `code` and `message` are
    /// AWS's, `status` is the HTTP status (0 when unknown).
    #[must_use]
    pub fn classify(action: &str, code: &str, message: &str, status: u16) -> Self {
        let text = format!("{action} answered {code}: {message}");
        let is = |codes: &[&str]| codes.contains(&code);
        if is(codes::THROTTLED) {
            Self::Throttled(text)
        } else if is(codes::UNAVAILABLE) {
            Self::AwsUnavailable(text)
        } else if is(codes::ACCOUNT_NOT_READY) || is_of_new_account(code, message) {
            Self::AccountNotReady(text)
        } else if code == codes::BLOCKED {
            Self::AccountBlocked(format!(
                "{text}; only AWS Support can lift that: open a case from the account, then start again"
            ))
        } else if is(codes::ACCESS_DENIED) && is_of_organization(message) {
            Self::ExplicitDeny(format!(
                "{text}; ask for an exception in the policy that it names, then start again"
            ))
        } else if is(codes::ACCESS_DENIED) || is_of_key(code, message) {
            Self::AccessDenied(text)
        } else if is(codes::QUOTA_EXCEEDED) {
            Self::QuotaExceeded(text)
        } else if code == codes::RESOURCE_IN_USE {
            Self::ResourceConflict(text)
        } else if is(codes::NOT_YET_VISIBLE)
            || is_iam_propagation(code, message)
            || is_of_cluster_that_goes(code, message)
        {
            Self::NotYetVisible(text)
        } else if status >= 500 {
            Self::AwsUnavailable(text)
        } else {
            Self::Unexpected(text)
        }
    }
}

impl Error {
    /// What the error of a call with `code` means while nobody knows whether the account can be used: an
    /// account that is not ready also knows no credentials. Says which account and region are meant, and
    /// what a person can do if it is the region.
    #[must_use]
    pub fn of_first_call(self, code: Option<&str>, target: &Target) -> Self {
        let is_unknown = code.is_some_and(|code| codes::UNKNOWN_CREDENTIALS.contains(&code));
        let text = match self {
            Self::AccountNotReady(text) => text,
            Self::AccessDenied(text) if is_unknown => text,
            other => return other,
        };
        let (account, region) = (&target.account.id, &target.region);
        let hint = if is_unknown || code == Some(codes::REGION_DISABLED) {
            format!(
                "; if {region} is an opt-in region, enable it there and in the account that hardway \
                 runs in"
            )
        } else {
            String::new()
        };
        Self::AccountNotReady(format!("{text} (account {account}, region {region}){hint}"))
    }
}

impl Error {
    /// What the error means in an account that is new: a landing zone lets nobody do anything there until
    /// it has set the account up (awslabs/landing-zone-accelerator-on-aws issue 850), so a service control
    /// policy's error is one of an account that is not ready.
    #[must_use]
    pub fn in_new_account(self) -> Self {
        match self {
            Self::ExplicitDeny(text) if text.contains(codes::SERVICE_CONTROL_POLICY_MESSAGE) => {
                Self::AccountNotReady(format!(
                    "{text}; the account is new, and such a policy may be taken off when it is set up"
                ))
            }
            other => other,
        }
    }
}

/// Whether a policy forbids the call, which no permission of the function's role changes.
#[must_use]
pub fn is_of_organization(message: &str) -> bool {
    message.contains(codes::EXPLICIT_DENY_MESSAGE)
        || message.contains(codes::NOT_ON_ALLOW_LIST_MESSAGE)
}

/// Whether EKS complains about its service-linked role, which spreads slowly in a new account.
fn is_of_new_account(code: &str, message: &str) -> bool {
    is_iam_propagation(code, message) && message.contains(codes::SERVICE_LINKED_ROLE_PATH)
}

/// Whether EKS refuses a change because somebody deletes the cluster meanwhile: it is gone in minutes.
fn is_of_cluster_that_goes(code: &str, message: &str) -> bool {
    code == codes::INVALID_REQUEST && message.contains(codes::CLUSTER_DELETING_MESSAGE)
}

/// Whether EKS refuses a key that its caller may not use.
fn is_of_key(code: &str, message: &str) -> bool {
    code == codes::INVALID_REQUEST && message.contains(codes::KEY_DENIED_MESSAGE)
}

/// Whether EKS complains about a role that IAM has not propagated yet.
#[must_use]
pub fn is_iam_propagation(code: &str, message: &str) -> bool {
    code == codes::INVALID_PARAMETER
        && codes::IAM_PROPAGATION_MESSAGES
            .iter()
            .any(|known| message.contains(known))
}

/// Turns the result of an SDK call into the result of a step.
pub trait During<T> {
    /// Names the call (as IAM does, for example `ec2:CreateVpc`) in the error, and sorts it.
    ///
    /// # Errors
    /// The variant of [`Error`] that says what the state machine does about it.
    fn during(self, action: &str) -> Result<T, Error>;

    /// The same for one of the first calls in an account, which may be new ([`Error::of_first_call`]).
    ///
    /// # Errors
    /// The variant of [`Error`] that says what the state machine does about it.
    fn during_first(self, action: &str, target: &Target) -> Result<T, Error>;
}

impl<T, E> During<T> for Result<T, SdkError<E, HttpResponse>>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    fn during(self, action: &str) -> Result<T, Error> {
        self.map_err(|error| match &error {
            SdkError::ServiceError(service) => {
                let metadata = service.err().meta();
                Error::classify(
                    action,
                    metadata.code().unwrap_or("no error code"),
                    metadata.message().unwrap_or("no message"),
                    service.raw().status().as_u16(),
                )
            }
            SdkError::ConstructionFailure(_) => {
                Error::Unexpected(format!("{action} could not be built: {}", chain(&error)))
            }
            _ => Error::AwsUnavailable(format!("{action} got no answer: {}", chain(&error))),
        })
    }

    fn during_first(self, action: &str, target: &Target) -> Result<T, Error> {
        let code = self.as_ref().err().and_then(ProvideErrorMetadata::code);
        let code = code.map(ToOwned::to_owned);
        let answer = self.during(action);
        answer.map_err(|error| error.of_first_call(code.as_deref(), target))
    }
}

/// A member of AWS's answer that is always there; `what` names it, for example
/// `eks:DescribeCluster: endpoint`.
///
/// # Errors
/// [`Error::Unexpected`] when it is not there after all.
pub fn required<T>(member: Option<T>, what: &str) -> Result<T, Error> {
    member.ok_or_else(|| Error::Unexpected(format!("{what} is missing in AWS's answer")))
}

/// An error and its sources in one line, each said once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let part = error.to_string();
        if !text.contains(&part) {
            text = format!("{text}: {part}");
        }
        source = error.source();
    }
    text
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Self {
            error_type: error.name().to_owned(),
            error_message: error.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_of(code: &str, message: &str) -> &'static str {
        Error::classify("x:Y", code, message, 400).name()
    }

    #[test]
    fn codes_are_sorted_by_the_reaction_to_them() {
        for (code, name) in [
            ("RequestLimitExceeded", "Throttled"),
            ("ServiceUnavailableException", "AwsUnavailable"),
            ("OptInRequired", "AccountNotReady"),
            ("RegionDisabledException", "AccountNotReady"),
            ("PendingVerification", "AccountNotReady"),
            ("SubscriptionRequiredException", "AccountNotReady"),
            ("Blocked", "AccountBlocked"),
            ("InvalidClientTokenId", "AccessDenied"),
            ("UnauthorizedOperation", "AccessDenied"),
            ("AddressLimitExceeded", "QuotaExceeded"),
            ("InvalidSubnetId.NotFound", "NotYetVisible"),
            ("NoSuchEntity", "NotYetVisible"),
            ("OperationAbortedException", "NotYetVisible"),
            ("MalformedPolicyDocument", "Unexpected"),
        ] {
            assert_eq!(name_of(code, ""), name, "{code}");
        }
    }

    #[test]
    fn an_unpropagated_role_is_not_yet_visible_and_other_bad_parameters_are_not() {
        let role = "Role with arn: arn:aws:iam::111122223333:role/x, could not be assumed because \
                    it does not exist or the trusted entity is not correct";
        assert_eq!(name_of(codes::INVALID_PARAMETER, role), "NotYetVisible");
        assert_eq!(
            name_of(codes::INVALID_PARAMETER, "unsupported Kubernetes version"),
            "Unexpected"
        );
    }

    #[test]
    fn a_change_in_a_cluster_that_is_being_deleted_waits_for_its_end() {
        let message = "Failed to delete access entry because cluster was in DELETING state";
        assert_eq!(name_of(codes::INVALID_REQUEST, message), "NotYetVisible");
        assert_eq!(name_of(codes::INVALID_REQUEST, "other"), "Unexpected");
    }

    #[test]
    fn a_key_that_the_caller_may_not_use_is_a_missing_permission() {
        let message = "User not authorized to perform kms:CreateGrant operation";
        assert_eq!(name_of(codes::INVALID_REQUEST, message), "AccessDenied");
    }

    #[test]
    fn a_service_linked_role_that_has_not_spread_is_of_a_new_account() {
        let role = "Role with arn: arn:aws:iam::111122223333:role/aws-service-role/eks.amazonaws.com/\
                    AWSServiceRoleForAmazonEKS, could not be assumed because it does not exist or the \
                    trusted entity is not correct";
        assert_eq!(name_of(codes::INVALID_PARAMETER, role), "AccountNotReady");
        assert_eq!(name_of("Other", role), "Unexpected");
    }

    #[test]
    fn a_blocked_account_is_for_a_person() {
        let error = Error::classify("ec2:CreateVpc", codes::BLOCKED, "blocked", 400);
        assert!(error.to_string().contains("AWS Support"), "{error}");
    }

    #[test]
    fn first_error_of_a_new_account_names_account_and_region() {
        let target = crate::model::Plan::example().target;
        let first = |code: &str, message: &str| {
            Error::classify("x:Y", code, message, 400).of_first_call(Some(code), &target)
        };
        for (code, has_hint) in [
            ("OptInRequired", false),
            ("PendingVerification", false),
            ("SubscriptionRequiredException", false),
            ("RegionDisabledException", true),
            ("AuthFailure", true),
            ("InvalidClientTokenId", true),
            ("UnrecognizedClientException", true),
        ] {
            let error = first(code, "");
            assert_eq!(error.name(), "AccountNotReady", "{code}");
            let text = error.to_string();
            let place = "(account 111122223333, region ap-northeast-1)";
            assert!(text.contains(place) && text.contains(code), "{text}");
            assert_eq!(text.contains("opt-in region"), has_hint, "{text}");
        }
        for (code, name) in [
            ("UnauthorizedOperation", "AccessDenied"),
            ("AccessDenied", "AccessDenied"),
            ("Blocked", "AccountBlocked"),
            ("RequestLimitExceeded", "Throttled"),
            ("Odd", "Unexpected"),
        ] {
            assert_eq!(first(code, "").name(), name);
        }
        let denied = "not authorized with an explicit deny in a service control policy";
        assert_eq!(first("AuthFailure", denied).name(), "ExplicitDeny");
    }

    #[test]
    fn an_explicit_deny_is_not_waited_for() {
        let message = "User: x is not authorized to perform: ec2:CreateVpc with an explicit deny in a \
                       service control policy";
        assert_eq!(name_of("UnauthorizedOperation", message), "ExplicitDeny");
        assert_eq!(
            name_of("UnauthorizedOperation", "not authorized"),
            "AccessDenied"
        );
    }

    #[test]
    fn an_allow_list_that_does_not_have_the_call_is_an_explicit_deny() {
        let message = "User: x is not authorized to perform: eks:CreateCluster because no service \
                       control policy allows the eks:CreateCluster action";
        assert_eq!(name_of("AccessDeniedException", message), "ExplicitDeny");
        let own = "User: x is not authorized to perform: eks:CreateCluster because no identity-based \
                   policy allows the eks:CreateCluster action";
        assert_eq!(name_of("AccessDeniedException", own), "AccessDenied");
    }

    #[test]
    fn denial_by_a_service_control_policy_in_a_new_account_is_waited_for() {
        let denied = |message: &str| Error::classify("x:Y", "AccessDenied", message, 403);
        for (message, name) in [
            (
                "with an explicit deny in a service control policy",
                "AccountNotReady",
            ),
            (
                "with an explicit deny in a service control policy: arn:aws:organizations::\
                 111122223333:policy/o-a/service_control_policy/p-b",
                "AccountNotReady",
            ),
            (
                "because no service control policy allows the x:Y action",
                "AccountNotReady",
            ),
            // These are not taken off by themselves.
            (
                "with an explicit deny in a resource control policy",
                "ExplicitDeny",
            ),
            (
                "with an explicit deny in a permissions boundary",
                "ExplicitDeny",
            ),
            (
                "because no identity-based policy allows the x:Y action",
                "AccessDenied",
            ),
        ] {
            let error = denied(message).in_new_account();
            assert_eq!(error.name(), name, "{error}");
            assert!(error.to_string().contains(message), "{error}");
        }
        let other = Error::Throttled("slow down".to_owned());
        assert_eq!(other.clone().in_new_account(), other);
    }

    #[test]
    fn an_unknown_code_with_a_5xx_status_is_an_unavailable_aws() {
        assert_eq!(
            Error::classify("x:Y", "Odd", "", 503).name(),
            "AwsUnavailable"
        );
    }

    #[test]
    fn the_state_machine_gets_name_and_message() {
        let diagnostic = Diagnostic::from(Error::invalid(
            "network.cidr",
            "10.0.0.0/30",
            "a /16 to /24",
        ));
        assert_eq!(diagnostic.error_type, "InvalidRequest");
        assert_eq!(
            diagnostic.error_message,
            "network.cidr: \"10.0.0.0/30\" is not valid; expected a /16 to /24"
        );
    }
}
