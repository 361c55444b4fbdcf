//! A simulated account for tests, seen through the real SDK.

use aws_sdk_iam::config::{Credentials, Region, retry::RetryConfig};
use aws_sdk_iam::error::SdkError;
use aws_sdk_iam::operation::attach_role_policy::{AttachRolePolicyError, AttachRolePolicyOutput};
use aws_sdk_iam::types::{Role, Tag};
use aws_sdk_iam::{Client, Config};

pub(super) use crate::testing::code_of as code;
use crate::{Clock, Simulator};

pub(super) const ACCOUNT: &str = "111122223333";
pub(crate) const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"eks.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;

/// A simulator in virtual time and a client of it.
pub(super) struct World {
    pub simulator: Simulator,
    pub iam: Client,
}

impl World {
    pub(super) fn new() -> Self {
        let simulator = Simulator::new(crate::Config {
            clock: Clock::virtual_time(),
            ..crate::Config::default()
        });
        let config = Config::builder()
            .http_client(simulator.http_client())
            .credentials_provider(Credentials::new(ACCOUNT, "secret", None, None, "test"))
            .region(Region::from_static("us-east-1"))
            .retry_config(RetryConfig::disabled());
        let iam = Client::from_conf(config.build());
        Self { simulator, iam }
    }

    /// Changes the account's IAM by hand.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut super::Iam) -> R) -> R {
        self.simulator.change(|state| {
            let account = state.accounts.entry(ACCOUNT.to_owned()).or_default();
            change(&mut account.iam)
        })
    }

    pub(super) async fn role(&self, name: &str) -> Role {
        let made = self.iam.create_role().role_name(name);
        let made = made.assume_role_policy_document(TRUST).send().await;
        made.unwrap().role.unwrap()
    }

    pub(super) async fn get(&self, name: &str) -> Role {
        let got = self.iam.get_role().role_name(name).send().await;
        got.unwrap().role.unwrap()
    }

    pub(super) async fn attach(
        &self,
        role: &str,
        policy: &str,
    ) -> Result<AttachRolePolicyOutput, SdkError<AttachRolePolicyError>> {
        let arn = format!("arn:aws:iam::aws:policy/{policy}");
        let call = self
            .iam
            .attach_role_policy()
            .role_name(role)
            .policy_arn(arn);
        call.send().await
    }
}

pub(super) fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build().unwrap()
}
