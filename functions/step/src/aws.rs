//! SDK clients of the account and region that the cluster is built in.

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::{Builder, tls};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;

use crate::codes;
use crate::error::{During, Error};
use crate::names;
use crate::plan::Target;

/// How long a single try of a call may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a call may take with the SDK's retries; well below the function's own limit.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(30);
/// Role chaining caps a session at an hour; a step needs seconds.
const SESSION_SECONDS: i32 = 900;
/// The limit of STS for session names.
const SESSION_NAME_MAX: usize = 64;

/// The function's own identity: where it runs, before it goes anywhere.
#[derive(Debug, Clone)]
pub struct Base {
    config: SdkConfig,
}

impl Base {
    /// Reads credentials, region and endpoints from the environment, as the AWS CLI would.
    ///
    /// `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_<SERVICE>` are honoured by the SDK itself.
    pub async fn from_env() -> Self {
        let http_client = Builder::new()
            .tls_provider(tls::Provider::Rustls(
                tls::rustls_provider::CryptoMode::Ring,
            ))
            .build_https();
        let config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http_client)
            .retry_config(RetryConfig::standard())
            .timeout_config(Self::timeouts())
            .load()
            .await;
        Self { config }
    }

    /// How long calls may take.
    #[must_use]
    pub fn timeouts() -> TimeoutConfig {
        TimeoutConfig::builder()
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(OPERATION_TIMEOUT)
            .build()
    }

    /// Uses a ready configuration, for example one whose HTTP client is a simulator.
    #[must_use]
    pub fn new(config: SdkConfig) -> Self {
        Self { config }
    }

    /// The region that the function itself runs in.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.config.region().map(AsRef::as_ref)
    }

    /// The function's own configuration, for clients of services that are used only where it runs.
    #[must_use]
    pub fn config(&self) -> &SdkConfig {
        &self.config
    }

    /// Clients of the function's own account, in `region` (its own if none).
    #[must_use]
    pub fn own(&self, region: Option<&str>) -> Aws {
        let mut config = self.config.to_builder();
        if let Some(region) = region {
            config = config.region(Region::new(region.to_owned()));
        }
        Aws::new(&config.build())
    }

    /// Clients of the account that the cluster is built in.
    ///
    /// In another account the role is assumed anew by each invocation: role chaining caps sessions
    /// at an hour, and credentials never enter the state machine.
    ///
    /// # Errors
    /// [`Error::AccountNotReady`] while the role cannot be assumed (a new account's role spreads
    /// slowly); what STS says otherwise.
    pub async fn target(&self, target: &Target, session: &str) -> Result<Aws, Error> {
        let own = self.own(Some(&target.region));
        let account = &target.account;
        let Some(role_name) = &account.role_name else {
            return Ok(own);
        };
        let role_arn = names::role_arn(target, role_name);
        let answer = own
            .sts
            .assume_role()
            .role_arn(&role_arn)
            .role_session_name(session_name(session))
            .duration_seconds(SESSION_SECONDS)
            .set_external_id(account.external_id.clone())
            .send()
            .await;
        let answer = match answer {
            Err(error) if is_denied(&error) => {
                let message = error.message().unwrap_or("no message");
                return Err(Error::AccountNotReady(format!(
                    "{role_arn} cannot be assumed: {message}"
                )));
            }
            answer => answer.during("sts:AssumeRole")?,
        };
        let session = answer.credentials().ok_or_else(|| {
            Error::Unexpected("sts:AssumeRole answered without credentials".to_owned())
        })?;
        let credentials = Credentials::new(
            session.access_key_id(),
            session.secret_access_key(),
            Some(session.session_token().to_owned()),
            None,
            "hardway",
        );
        let config = self
            .config
            .to_builder()
            .region(Region::new(target.region.clone()))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build();
        Ok(Aws::new(&config))
    }
}

/// Whether it may heal: an explicit deny does not.
fn is_denied<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let is_explicit = |message: &str| message.contains(codes::EXPLICIT_DENY_MESSAGE);
    error
        .code()
        .is_some_and(|code| codes::ACCESS_DENIED.contains(&code))
        && !error.message().is_some_and(is_explicit)
}

/// What STS allows in a session name, and no longer than it allows.
fn session_name(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            c if c.is_ascii_alphanumeric() || "+=,.@_-".contains(c) => c,
            _ => '-',
        })
        .take(SESSION_NAME_MAX)
        .collect()
}

/// Clients of one account and region.
#[derive(Debug, Clone)]
pub struct Aws {
    /// Amazon EC2.
    pub ec2: aws_sdk_ec2::Client,
    /// Amazon EKS.
    pub eks: aws_sdk_eks::Client,
    /// AWS IAM.
    pub iam: aws_sdk_iam::Client,
    /// Amazon CloudWatch Logs.
    pub logs: aws_sdk_cloudwatchlogs::Client,
    /// Service Quotas.
    pub quotas: aws_sdk_servicequotas::Client,
    /// AWS STS, regional.
    pub sts: aws_sdk_sts::Client,
}

impl Aws {
    /// Clients with `config`.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            ec2: aws_sdk_ec2::Client::new(config),
            eks: aws_sdk_eks::Client::new(config),
            iam: aws_sdk_iam::Client::new(config),
            logs: aws_sdk_cloudwatchlogs::Client::new(config),
            quotas: aws_sdk_servicequotas::Client::new(config),
            sts: aws_sdk_sts::Client::new(config),
        }
    }

    /// Clients that reach nothing, for unit tests: a test replaces those that its step may use (see
    /// [`crate::mocked`]), and any other call fails it.
    #[must_use]
    pub fn offline() -> Self {
        Self::new(&Self::offline_config())
    }

    /// The configuration of [`Aws::offline`].
    #[must_use]
    pub fn offline_config() -> SdkConfig {
        use aws_smithy_runtime_api::client::http::{
            HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
        };
        use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
        use aws_smithy_runtime_api::client::result::ConnectorError;

        #[derive(Debug)]
        struct Offline;
        impl HttpConnector for Offline {
            fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
                let reason = format!("offline: {} {}", request.method(), request.uri());
                HttpConnectorFuture::ready(Err(ConnectorError::user(reason.into())))
            }
        }
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("ap-northeast-1"))
            .retry_config(RetryConfig::disabled())
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "AKIDEXAMPLE",
                "secret",
                None,
                None,
                "offline",
            )))
            .http_client(http_client_fn(|_, _| SharedHttpConnector::new(Offline)))
            .build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_names_have_only_what_sts_allows() {
        assert_eq!(session_name("hardway demo/vpc"), "hardway-demo-vpc");
        assert_eq!(session_name(&"x".repeat(100)).len(), SESSION_NAME_MAX);
    }
}
