//! Making resources gone, one delete call at a time.

use std::future::Future;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::aws::{Aws, change, codes};
use crate::contract::{During, Error, Outcome, Removed, Resource};
use crate::model::Target;
use crate::resources::{foreign, foreign_resource};

/// How long to wait for what still depends on a resource, in seconds.
const CHECK_AFTER_SECONDS: u64 = 15;

/// What a removal came to so far.
#[derive(Debug, Default)]
pub struct Removal {
    removed: Removed,
    waiting_for: Vec<String>,
    /// Whether something that still depends on a resource kept it from being deleted.
    is_blocked: bool,
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
        match change(action, &resource.id, call).await {
            Err(error) if error.code().is_some_and(|code| not_found.contains(&code)) => {}
            Err(error) if is_in_use(&error) => {
                self.is_blocked = true;
                let message = error.message().unwrap_or("it is in use");
                self.wait_for(format!("{} cannot go yet: {message}", resource.id));
                return Ok(false);
            }
            answer => {
                answer.during(action)?;
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

    /// Whether something that still depends on a resource kept it from being deleted.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.is_blocked
    }
}

/// What the removal of something in the VPC came to. What blocks it is ours, EKS's (then it goes by itself,
/// or its own step removes it) or somebody else's: then waiting would be in vain.
///
/// # Errors
/// [`Error::ResourceConflict`] that lists each thing that is not ours with type, id and owner; what EC2
/// answers.
pub async fn outcome(
    removal: Removal,
    aws: &Aws,
    target: &Target,
) -> Result<Outcome<Removed>, Error> {
    if removal.is_blocked() {
        foreign_resource::refuse(&foreign::find(aws, target).await?)?;
    }
    Ok(removal.outcome())
}

/// Whether something still uses the resource. EC2 API reference, error codes: DependencyViolation of what has
/// dependants, InvalidIPAddress.InUse of an associated address, OperationNotPermitted of an interface in the
/// hands of an AWS service. An attached interface has no code of its own for it: it is an invalid parameter
/// (hashicorp/terraform-provider-aws, internal/service/ec2/vpc_network_interface.go). All of them pass when
/// what uses it is gone; what does not go by itself is named by [`outcome`].
fn is_in_use(error: &impl ProvideErrorMetadata) -> bool {
    let says_so = || {
        let message = error.message().unwrap_or_default();
        message.contains(codes::CURRENTLY_IN_USE_MESSAGE)
    };
    match error.code() {
        Some(
            codes::DEPENDENCY_VIOLATION
            | codes::ADDRESS_IN_USE
            | codes::ADDRESS_HAS_PTR_RECORD
            | codes::OPERATION_NOT_PERMITTED,
        ) => true,
        Some(codes::INVALID_PARAMETER_VALUE) => says_so(),
        _ => false,
    }
}
