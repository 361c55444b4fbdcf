//! Making resources gone, one delete call at a time.

use std::future::Future;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::codes;
use crate::error::{During, Error};
use crate::outcome::{Outcome, Removed, Resource};
use crate::telemetry::{changed, changing};

/// How long to wait for what still depends on a resource, in seconds.
const CHECK_AFTER_SECONDS: u64 = 15;

/// What a removal came to so far.
#[derive(Debug, Default)]
pub struct Removal {
    removed: Removed,
    waiting_for: Vec<String>,
}

impl Removal {
    /// Makes one delete call. `action` is its IAM name, `not_found` are the codes that say that the
    /// resource is gone already: success, but not ours to report.
    ///
    /// The answer says whether the resource is gone. If something still depends on it the removal is
    /// not done: [`Removal::outcome`] will be `Pending`.
    ///
    /// # Errors
    /// What AWS answers otherwise.
    pub async fn delete<T, E>(
        &mut self,
        action: &str,
        resource: Resource,
        not_found: &[&str],
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<bool, Error>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        changing(action, &resource.id);
        match call.await {
            Err(error) if error.code().is_some_and(|code| not_found.contains(&code)) => {}
            Err(error) if is_in_use(&error) => {
                let message = error.message().unwrap_or("it is in use");
                self.wait_for(format!("{} cannot go yet: {message}", resource.id));
                return Ok(false);
            }
            answer => {
                answer.during(action)?;
                changed(action, &resource.id);
                self.removed.removed.push(resource);
            }
        }
        Ok(true)
    }

    /// Notes something that has to happen before the removal is done, in words for a person.
    pub fn wait_for(&mut self, reason: impl Into<String>) {
        self.waiting_for.push(reason.into());
    }

    /// `Ready` with what this invocation deleted, or `Pending` with what is in the way.
    #[must_use]
    pub fn outcome(self) -> Outcome<Removed> {
        if self.waiting_for.is_empty() {
            Outcome::Ready(self.removed)
        } else {
            Outcome::pending(CHECK_AFTER_SECONDS, self.waiting_for.join("; "))
        }
    }
}

fn is_in_use(error: &impl ProvideErrorMetadata) -> bool {
    matches!(
        error.code(),
        Some(codes::DEPENDENCY_VIOLATION | codes::ADDRESS_IN_USE)
    )
}
