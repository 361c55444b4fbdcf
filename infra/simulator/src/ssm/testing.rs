//! A simulated region for tests, seen through the real SDK.

use aws_sdk_ssm::config::{Credentials, Region, retry::RetryConfig};
use aws_sdk_ssm::types::{Parameter, ParameterType};
use aws_sdk_ssm::{Client, Config};

pub(super) use crate::testing::{code as code_of, code_of as code, message};
use crate::{Clock, Simulator};

pub(super) const ACCOUNT: &str = "111122223333";

/// A simulator in virtual time and a client of it.
pub(super) struct World {
    pub simulator: Simulator,
    pub ssm: Client,
}

impl World {
    pub(super) fn new() -> Self {
        let simulator = Simulator::new(crate::Config {
            clock: Clock::virtual_time(),
            ..crate::Config::default()
        });
        let ssm = client(&simulator, ACCOUNT, "ap-northeast-1");
        Self { simulator, ssm }
    }

    /// Makes a parameter.
    pub(super) async fn put(&self, name: &str, value: &str) {
        let call = self.ssm.put_parameter().name(name).value(value);
        call.r#type(ParameterType::String).send().await.unwrap();
    }

    /// A parameter that must be there.
    pub(super) async fn get(&self, name: &str) -> Parameter {
        let answer = self.ssm.get_parameter().name(name).send().await;
        answer.unwrap().parameter.unwrap()
    }
}

/// A client whose calls are not retried.
pub(crate) fn client(simulator: &Simulator, account: &str, region: &'static str) -> Client {
    let config = Config::builder()
        .http_client(simulator.http_client())
        .credentials_provider(Credentials::new(account, "secret", None, None, "test"))
        .region(Region::from_static(region))
        .retry_config(RetryConfig::disabled());
    Client::from_conf(config.build())
}
