//! What the tests of all services share: time, and calls that must fail.

use std::time::Duration;

use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};

/// Lets simulated time pass.
pub(crate) async fn wait(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

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
