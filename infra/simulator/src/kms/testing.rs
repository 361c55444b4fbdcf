//! A simulated region for tests, seen through the real SDK.

use aws_sdk_kms::Client;
use aws_sdk_kms::types::KeyMetadata;

use crate::{Clock, Simulator};

pub(super) const ACCOUNT: &str = "111122223333";

/// A simulator in virtual time and a client of it.
pub(super) struct World {
    pub simulator: Simulator,
    pub kms: Client,
}

impl World {
    pub(super) fn new() -> Self {
        let simulator = Simulator::new(crate::Config {
            clock: Clock::virtual_time(),
            ..crate::Config::default()
        });
        let kms = client(&simulator, ACCOUNT);
        Self { simulator, kms }
    }

    /// The key of that name.
    pub(super) async fn key(&self, name: &str) -> KeyMetadata {
        let answer = self.kms.describe_key().key_id(name).send().await;
        answer.unwrap().key_metadata.unwrap()
    }

    /// Makes a key.
    pub(super) async fn create(&self) -> KeyMetadata {
        let answer = self.kms.create_key().send().await;
        answer.unwrap().key_metadata.unwrap()
    }
}

/// A client whose calls are not retried.
pub(super) fn client(simulator: &Simulator, account: &'static str) -> Client {
    crate::testing::client!(aws_sdk_kms, simulator, account, "ap-northeast-1")
}
