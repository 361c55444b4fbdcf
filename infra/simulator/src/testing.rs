//! What the tests of all services share: time, and calls that must fail.

use std::time::Duration;

use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};

/// Lets simulated time pass.
pub(crate) async fn wait(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// A client of a service that is the caller with the access key. Its calls are not retried.
macro_rules! client {
    ($service:ident, $simulator:expr, $key:expr, $region:expr) => {{
        use $service::config::{Credentials, Region, retry::RetryConfig};
        let config = $service::Config::builder()
            .http_client($simulator.http_client())
            .credentials_provider(Credentials::new($key, "secret", None, None, "test"))
            .region(Region::from_static($region))
            .retry_config(RetryConfig::disabled());
        $service::Client::from_conf(config.build())
    }};
}
pub(crate) use client;

/// The code of a call that must have failed.
pub(crate) fn code<T, E: ProvideErrorMetadata>(result: &Result<T, SdkError<E>>) -> &str {
    match result {
        Ok(_) => panic!("the call succeeded"),
        Err(error) => error.code().expect("an error with a code"),
    }
}

/// The code of a call that must have failed, where nothing else of the answer is looked at.
#[allow(
    clippy::needless_pass_by_value,
    reason = "it takes what a call has just answered"
)]
pub(crate) fn code_of<T, E: ProvideErrorMetadata>(result: Result<T, SdkError<E>>) -> String {
    code(&result).to_owned()
}

/// The sentence of a call that must have failed.
pub(crate) fn message<T, E: ProvideErrorMetadata>(result: &Result<T, SdkError<E>>) -> &str {
    match result {
        Ok(_) => panic!("the call succeeded"),
        Err(error) => error.message().expect("an error with a message"),
    }
}
