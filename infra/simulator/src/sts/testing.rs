//! Simulated accounts for tests, seen through the real SDK.

use aws_sdk_sts::config::{Credentials, Region, retry::RetryConfig};
use aws_sdk_sts::operation::assume_role::builders::AssumeRoleFluentBuilder;
use aws_sdk_sts::{Client, Config};

pub(crate) use crate::testing::code_of as code;
use crate::{Clock, Simulator, State};

pub(crate) const MANAGEMENT: &str = "111122223333";
pub(crate) const MEMBER: &str = "444455556666";
pub(crate) const ROLE_ARN: &str = "arn:aws:iam::444455556666:role/OrganizationAccountAccessRole";

/// A simulator in virtual time.
pub(crate) struct World {
    pub simulator: Simulator,
}

impl World {
    pub(crate) fn new() -> Self {
        let simulator = Simulator::new(crate::Config {
            clock: Clock::virtual_time(),
            ..crate::Config::default()
        });
        Self { simulator }
    }

    /// A member account as AWS Organizations makes it.
    pub(crate) fn member(&self) {
        self.simulator.change(|state| {
            let trust = State::organization_trust(MANAGEMENT);
            state.add_account(MEMBER, [("OrganizationAccountAccessRole", trust.as_str())]);
        });
    }

    pub(crate) fn client(&self, key: &str, token: Option<String>) -> Client {
        let config = Config::builder()
            .http_client(self.simulator.http_client())
            .credentials_provider(Credentials::new(key, "secret", token, None, "test"))
            .region(Region::from_static("us-east-1"))
            .retry_config(RetryConfig::disabled());
        Client::from_conf(config.build())
    }

    /// A client with the credentials of a session.
    pub(crate) fn session(&self, credentials: &aws_sdk_sts::types::Credentials) -> Client {
        let token = credentials.session_token.clone();
        self.client(&credentials.access_key_id, Some(token))
    }

    /// `AssumeRole` of the member's role by somebody in the account.
    pub(crate) fn assume(&self, account: &str) -> AssumeRoleFluentBuilder {
        let call = self.client(account, None).assume_role();
        call.role_arn(ROLE_ARN).role_session_name("test")
    }
}
