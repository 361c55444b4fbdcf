//! A simulated region for tests, seen through the real SDK.

use aws_sdk_servicequotas::config::{Credentials, Region, retry::RetryConfig};
use aws_sdk_servicequotas::{Client, Config};

pub(super) use crate::testing::code_of as code;
use crate::{Clock, Simulator};

pub(super) const ACCOUNT: &str = "111122223333";
pub(super) const REGION: &str = "ap-northeast-1";

/// A simulator in virtual time and a client of it.
pub(super) struct World {
    pub simulator: Simulator,
    pub quotas: Client,
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
            .region(Region::from_static(REGION))
            .retry_config(RetryConfig::disabled());
        let quotas = Client::from_conf(config.build());
        Self { simulator, quotas }
    }
}
