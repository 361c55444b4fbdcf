//! SDK clients of the account and region that the cluster is built in.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_sts::operation::assume_role::AssumeRoleOutput;
use aws_smithy_http_client::{Builder, tls};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use jiff::Timestamp;

use crate::aws::error_log::ErrorLog;
use crate::aws::{Session, codes};
use crate::contract::error::{is_of_organization, required};
use crate::contract::{During, Error};
use crate::model::Target;
use crate::model::target::MEMBER_ROLE_NAME;
use crate::model::{RoleNames, names};

/// How long a single try of a call may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a call may take with the SDK's retries; well below the function's own limit.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(30);
/// Role chaining caps a session at an hour; a step needs seconds.
const SESSION_SECONDS: i32 = 900;

/// The function's own identity: where it runs, before it goes anywhere.
#[derive(Debug, Clone)]
pub struct Base {
    config: SdkConfig,
    roles: RoleNames,
    member_role_name: String,
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
        let base = Self::new(config);
        let value = |name, default| std::env::var(name).unwrap_or(default);
        Self {
            roles: RoleNames {
                path: value("CLUSTER_ROLE_PATH", base.roles.path),
                name_prefix: value("ROLE_NAME_PREFIX", base.roles.name_prefix),
            },
            member_role_name: value("MEMBER_ROLE_NAME", base.member_role_name),
            config: base.config,
        }
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
        Self {
            config,
            roles: RoleNames::default(),
            member_role_name: MEMBER_ROLE_NAME.to_owned(),
        }
    }

    /// The same in a stack with other names for the roles of clusters.
    #[must_use]
    pub fn with_role_names(self, roles: RoleNames) -> Self {
        Self { roles, ..self }
    }

    /// How the roles of all clusters are called, as far as the stack says.
    #[must_use]
    pub fn role_names(&self) -> &RoleNames {
        &self.roles
    }

    /// The same in a stack whose `MemberRoleName` is this.
    #[must_use]
    pub fn with_member_role_name(self, member_role_name: String) -> Self {
        Self {
            member_role_name,
            ..self
        }
    }

    /// The role that is assumed in another account if the input names none.
    #[must_use]
    pub fn member_role_name(&self) -> &str {
        &self.member_role_name
    }

    /// The region that the function itself runs in.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.config.region().map(AsRef::as_ref)
    }

    /// What time it is, by the clock of the configuration.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let clock = self.config.time_source().unwrap_or_default();
        Timestamp::try_from(clock.now()).unwrap_or_default()
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
    /// In another account the role is assumed again by each invocation: role chaining caps sessions
    /// at an hour, and credentials never enter the state machine. STS is asked at the endpoint of the
    /// target's region, so that no other region has to work, and the session may do no more than the
    /// function's own role (see [`Session`]).
    ///
    /// # Errors
    /// [`Error::AccountNotReady`] while the role cannot be assumed (a new account's role spreads
    /// slowly); what STS says otherwise.
    pub async fn target(&self, target: &Target, session: &Session) -> Result<Aws, Error> {
        let own = self.own(Some(&target.region));
        let account = &target.account;
        let Some(role_name) = &account.role_name else {
            return Ok(own);
        };
        let role_arn = names::role_arn(target, role_name);
        let answer = own
            .sts()
            .assume_role()
            .role_arn(&role_arn)
            .role_session_name(session.name(target))
            .policy(session.policy(target, &self.roles)?)
            .duration_seconds(SESSION_SECONDS)
            .set_external_id(account.external_id.clone())
            .send()
            .await;
        let answer = match answer {
            Err(error) if is_denied(&error) => {
                return Err(not_assumable(&role_arn, &error, target));
            }
            answer => answer.during_first("sts:AssumeRole", target)?,
        };
        log_size(&answer);
        let credentials = answer.credentials();
        let credentials = required(credentials, "sts:AssumeRole: credentials")?;
        let credentials = Credentials::new(
            credentials.access_key_id(),
            credentials.secret_access_key(),
            Some(credentials.session_token().to_owned()),
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

/// How near the session is to the limit of its token; in China STS still says it of the packed policy only.
#[allow(deprecated, reason = "it is what STS says in China")]
fn log_size(answer: &AssumeRoleOutput) {
    let utilization = answer.session_token_utilization();
    let utilization = utilization.or(answer.packed_policy_size());
    let (percent, bytes) = (
        utilization.unwrap_or_default(),
        answer.session_token_size().unwrap_or_default(),
    );
    tracing::info!(target: "hardway", percent, bytes, "the session's token has this part of its room");
}

/// Whether it may heal: an explicit deny does not.
fn is_denied<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    error.code() == Some(codes::STS_ACCESS_DENIED)
        && !error.message().is_some_and(is_of_organization)
}

/// STS says the same of a role that has not spread yet, that does not trust the caller, and that the
/// caller may not assume; so does the error.
fn not_assumable(role_arn: &str, error: &impl ProvideErrorMetadata, target: &Target) -> Error {
    let message = error.message().unwrap_or("no message");
    Error::AccountNotReady(format!(
        "{role_arn} cannot be assumed: {message}; the role of a new account spreads slowly, and any \
         role must trust the account that hardway runs in and be the MemberRoleName of its stack"
    ))
    .of_first_call(None, target)
}

/// Clients of one account and region. Each is made at its first use, so that a function's binary carries
/// only those that it uses.
#[derive(Debug, Clone)]
pub struct Aws {
    config: Arc<SdkConfig>,
    ec2: OnceLock<aws_sdk_ec2::Client>,
    eks: OnceLock<aws_sdk_eks::Client>,
    iam: OnceLock<aws_sdk_iam::Client>,
    kms: OnceLock<aws_sdk_kms::Client>,
    logs: OnceLock<aws_sdk_cloudwatchlogs::Client>,
    quotas: OnceLock<aws_sdk_servicequotas::Client>,
    sts: OnceLock<aws_sdk_sts::Client>,
}

/// A client of one of the services that steps call.
pub trait Service {
    /// Makes `aws` use it.
    fn replace_in(self, aws: &mut Aws);
}

macro_rules! services {
    ($($(#[$doc:meta])* $name:ident: $sdk:ident,)*) => {
        impl Aws {
            /// Clients with `config`, which log what AWS refuses.
            #[must_use]
            pub fn new(config: &SdkConfig) -> Self {
                Self {
                    config: Arc::new(config.clone()),
                    $($name: OnceLock::new(),)*
                }
            }

            $(
                $(#[$doc])*
                #[must_use]
                pub fn $name(&self) -> &$sdk::Client {
                    self.$name.get_or_init(|| {
                        let config = $sdk::config::Builder::from(self.config.as_ref());
                        $sdk::Client::from_conf(config.interceptor(ErrorLog).build())
                    })
                }
            )*
        }

        $(
            impl Service for $sdk::Client {
                fn replace_in(self, aws: &mut Aws) {
                    aws.$name = OnceLock::from(self);
                }
            }
        )*
    };
}

services! {
    /// Amazon EC2.
    ec2: aws_sdk_ec2,
    /// Amazon EKS.
    eks: aws_sdk_eks,
    /// AWS IAM.
    iam: aws_sdk_iam,
    /// AWS KMS.
    kms: aws_sdk_kms,
    /// Amazon CloudWatch Logs.
    logs: aws_sdk_cloudwatchlogs,
    /// Service Quotas.
    quotas: aws_sdk_servicequotas,
    /// AWS STS, regional.
    sts: aws_sdk_sts,
}

impl Aws {
    /// The same with another client, for unit tests.
    #[must_use]
    pub fn with(mut self, client: impl Service) -> Self {
        client.replace_in(&mut self);
        self
    }

    /// Clients that reach nothing, for unit tests: a test replaces those that its step may use ([`Aws::with`],
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
    use std::sync::{Arc, Mutex};

    use aws_smithy_runtime_api::client::http::{
        HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
    };
    use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
    use aws_smithy_types::body::SdkBody;
    use percent_encoding::percent_decode_str;

    use super::*;
    use crate::aws::mocks::iam_error;
    use crate::model::Plan;

    const SESSION: Session = Session {
        step: "vpc",
        policy: r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
            "Action": "ec2:CreateTags", "Resource": "arn:${Partition}:ec2:*:${AccountId}:vpc/*"}]}"#,
    };

    /// A request as it goes over the wire.
    #[derive(Debug, Clone)]
    struct Sent {
        uri: String,
        body: String,
        token: Option<String>,
    }

    /// AWS as far as it can be asked for one thing: it answers everything alike, and keeps what it got.
    #[derive(Debug, Clone)]
    struct Recorder {
        status: u16,
        answer: String,
        sent: Arc<Mutex<Vec<Sent>>>,
    }

    impl Recorder {
        fn answering(response: &HttpResponse) -> Self {
            let answer = response.body().bytes().unwrap_or_default();
            Self {
                status: response.status().as_u16(),
                answer: String::from_utf8_lossy(answer).into_owned(),
                sent: Arc::default(),
            }
        }

        fn base(&self) -> Base {
            let connector = SharedHttpConnector::new(self.clone());
            let config = Aws::offline_config().to_builder();
            let client = http_client_fn(move |_, _| connector.clone());
            Base::new(config.http_client(client).build())
        }

        fn sent(&self) -> Vec<Sent> {
            self.sent.lock().unwrap().clone()
        }
    }

    impl HttpConnector for Recorder {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let body = request.body().bytes().unwrap_or_default();
            let body = String::from_utf8_lossy(body).replace('+', " ");
            let token = request.headers().get("x-amz-security-token");
            self.sent.lock().unwrap().push(Sent {
                uri: request.uri().to_owned(),
                body: percent_decode_str(&body).decode_utf8_lossy().into_owned(),
                token: token.map(ToOwned::to_owned),
            });
            let status = self.status.try_into().unwrap();
            let body = SdkBody::from(self.answer.as_str());
            HttpConnectorFuture::ready(Ok(HttpResponse::new(status, body)))
        }
    }

    /// How STS answers AssumeRole.
    fn assumed() -> HttpResponse {
        let body = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
             <AssumeRoleResult><Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId>\
             <SecretAccessKey>secret</SecretAccessKey><SessionToken>the-session</SessionToken>\
             <Expiration>2026-11-01T00:15:00Z</Expiration></Credentials></AssumeRoleResult>\
             </AssumeRoleResponse>";
        HttpResponse::new(200.try_into().unwrap(), SdkBody::from(body))
    }

    fn target_in(partition: &str, region: &str) -> Target {
        let mut target = Plan::example().target;
        target.partition = partition.to_owned();
        target.region = region.to_owned();
        target.account.id = "444455556666".to_owned();
        target.account.role_name = Some("path/Builder".to_owned());
        target.account.external_id = Some("agreed".to_owned());
        target
    }

    #[tokio::test]
    async fn a_role_is_assumed_at_the_endpoint_of_the_targets_region() {
        for (partition, region, host) in [
            ("aws", "us-east-1", "sts.us-east-1.amazonaws.com"),
            ("aws", "eu-south-2", "sts.eu-south-2.amazonaws.com"),
            ("aws-cn", "cn-north-1", "sts.cn-north-1.amazonaws.com.cn"),
            (
                "aws-us-gov",
                "us-gov-west-1",
                "sts.us-gov-west-1.amazonaws.com",
            ),
        ] {
            let recorder = Recorder::answering(&assumed());
            let target = target_in(partition, region);
            recorder.base().target(&target, &SESSION).await.unwrap();
            let sent = recorder.sent();
            assert_eq!(sent.len(), 1);
            assert_eq!(sent[0].uri, format!("https://{host}/"));
            let role = format!("RoleArn=arn:{partition}:iam::444455556666:role/path/Builder");
            assert!(sent[0].body.contains(&role), "{}", sent[0].body);
        }
    }

    #[tokio::test]
    async fn a_session_has_a_name_a_policy_and_the_agreed_external_id() {
        let recorder = Recorder::answering(&assumed());
        let target = target_in("aws", "ap-northeast-1");
        let aws = recorder.base().target(&target, &SESSION).await.unwrap();
        let sent = recorder.sent().remove(0);
        let policy = SESSION.policy(&target, &RoleNames::default()).unwrap();
        for part in [
            "Action=AssumeRole",
            "RoleSessionName=hardway-vpc-demo",
            "ExternalId=agreed",
            "DurationSeconds=900",
            &format!("Policy={policy}"),
        ] {
            assert!(sent.body.contains(part), "{part}: {}", sent.body);
        }
        assert_eq!(sent.token, None);
        // Whatever is asked for next, the session asks for it, in the target's region.
        let _ = aws.ec2().describe_vpcs().send().await;
        let sent = recorder.sent().remove(1);
        assert_eq!(sent.uri, "https://ec2.ap-northeast-1.amazonaws.com/");
        assert_eq!(sent.token.as_deref(), Some("the-session"));
    }

    #[tokio::test]
    async fn no_role_is_assumed_in_the_own_account() {
        let recorder = Recorder::answering(&assumed());
        let target = Plan::example().target;
        recorder.base().target(&target, &SESSION).await.unwrap();
        assert!(recorder.sent().is_empty());
    }

    #[tokio::test]
    async fn a_role_that_cannot_be_assumed_yet_is_of_an_account_that_is_not_ready() {
        for (code, message, name) in [
            ("AccessDenied", "not authorized", "AccountNotReady"),
            (
                "AccessDenied",
                "with an explicit deny in a service control policy",
                "ExplicitDeny",
            ),
            ("RegionDisabledException", "", "AccountNotReady"),
            ("InvalidClientTokenId", "", "AccountNotReady"),
            ("OptInRequired", "", "AccountNotReady"),
            ("ExpiredToken", "", "AccessDenied"),
            ("ValidationError", "", "Unexpected"),
        ] {
            let recorder = Recorder::answering(&iam_error(403, code, message));
            let target = target_in("aws", "eu-south-2");
            let error = recorder.base().target(&target, &SESSION).await.unwrap_err();
            assert_eq!(error.name(), name, "{code}: {error}");
            let says_where = error
                .to_string()
                .contains("(account 444455556666, region eu-south-2)");
            assert_eq!(says_where, name == "AccountNotReady", "{error}");
        }
    }
}
