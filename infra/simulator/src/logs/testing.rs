//! A simulated region for tests, seen through the real SDK.

use aws_sdk_cloudwatchlogs::config::{Credentials, Region, retry::RetryConfig};
use aws_sdk_cloudwatchlogs::{Client, Config};

pub(super) use crate::testing::{code as code_of, code_of as code};
use crate::{Clock, Simulator};

pub(super) const ACCOUNT: &str = "111122223333";

/// A simulator in virtual time and a client of it.
pub(super) struct World {
    pub simulator: Simulator,
    pub logs: Client,
}

impl World {
    pub(super) fn new() -> Self {
        let simulator = Simulator::new(crate::Config {
            clock: Clock::virtual_time(),
            ..crate::Config::default()
        });
        let logs = client(&simulator, ACCOUNT, "ap-northeast-1");
        Self { simulator, logs }
    }

    pub(super) async fn group(&self, name: &str) {
        let call = self.logs.create_log_group().log_group_name(name);
        call.send().await.unwrap();
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
