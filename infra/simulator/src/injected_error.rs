//! Errors that AWS may answer to any call, whatever it asks for: tests inject them.

use std::fmt;

use crate::api_error::ApiError;
use crate::state::{Context, State};
use crate::throttle;

/// The error that the next call gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InjectedError {
    /// Too many calls.
    Throttled,
    /// AWS made a mistake: status 500.
    InternalError,
    /// AWS is overloaded: status 503.
    Unavailable,
    /// A service control policy denies it.
    ExplicitDeny,
}

/// What the next call of an operation meets.
pub(crate) enum NextCall {
    /// It gets this error.
    Fails(ApiError),
    /// Somebody has changed the world just before it.
    Follows(Box<dyn FnOnce(&mut State) + Send>),
}

impl fmt::Debug for NextCall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fails(error) => formatter.debug_tuple("Fails").field(error).finish(),
            Self::Follows(_) => formatter.write_str("Follows"),
        }
    }
}

/// Changes the world and fails the call, if a test has asked for it.
pub(crate) fn check(
    context: &mut Context<'_>,
    service: &str,
    operation: &str,
) -> Result<(), ApiError> {
    if let Some(injected) = context.injected_error.take() {
        return Err(injected.error(service, operation));
    }
    let is_next = |(name, _): &(String, NextCall)| name == operation;
    while let Some(place) = context.next_calls.iter().position(is_next) {
        match context.next_calls.remove(place).1 {
            NextCall::Fails(error) => return Err(error),
            NextCall::Follows(change) => change(context.state),
        }
    }
    Ok(())
}

impl InjectedError {
    /// Codes of 500 and 503: EC2's list of server error codes, botocore's EKS, CloudWatch Logs, Service
    /// Quotas and SSM models, IAM's and STS' common errors. The words of an explicit deny: IAM user guide,
    /// troubleshoot access denied error messages.
    fn error(self, service: &str, operation: &str) -> ApiError {
        match self {
            Self::Throttled => throttle::throttled(service, operation),
            Self::InternalError => {
                let code = match service {
                    "ec2" => "InternalError",
                    "eks" => "ServerException",
                    "iam" => "ServiceFailure",
                    "kms" => "KMSInternalException",
                    "servicequotas" => "ServiceException",
                    "ssm" => "InternalServerError",
                    _ => "InternalFailure",
                };
                ApiError::new(500, code, "An internal error has occurred")
            }
            Self::Unavailable => {
                let code = match service {
                    "eks" | "logs" => "ServiceUnavailableException",
                    _ => "ServiceUnavailable",
                };
                let message = "The server is overloaded and can't handle the request.";
                ApiError::new(503, code, message)
            }
            Self::ExplicitDeny => {
                let code = match service {
                    "ec2" => "UnauthorizedOperation",
                    "eks" | "kms" | "logs" | "servicequotas" | "ssm" => "AccessDeniedException",
                    _ => "AccessDenied",
                };
                let message = format!(
                    "User is not authorized to perform: {service}:{operation} with an explicit deny \
                     in a service control policy"
                );
                ApiError::new(403, code, message)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::InjectedError;
    use crate::ec2::testing::{ACCOUNT, World};
    use crate::testing::code_of as code;

    #[tokio::test(start_paused = true)]
    async fn next_call_fails_with_the_injected_error_and_has_no_effect() {
        let world = World::new();
        for (error, expected) in [
            (InjectedError::Throttled, "RequestLimitExceeded"),
            (InjectedError::InternalError, "InternalError"),
            (InjectedError::Unavailable, "ServiceUnavailable"),
            (InjectedError::ExplicitDeny, "UnauthorizedOperation"),
        ] {
            world.simulator.fail_next_call(error);
            let call = world.ec2.create_vpc().cidr_block("10.0.0.0/16");
            assert_eq!(code(call.send().await), expected);
        }
        let call = world.ec2.create_internet_gateway().send().await;
        assert!(call.is_ok());
        let ec2 = &world.simulator.state().accounts[ACCOUNT].regions["ap-northeast-1"].ec2;
        assert_eq!((ec2.vpcs.len(), ec2.internet_gateways.len()), (0, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn next_call_of_an_operation_meets_what_changed_just_before_it() {
        let world = World::new();
        let vpc = world.ec2.create_vpc().cidr_block("10.0.0.0/16").send();
        let vpc = vpc.await.unwrap().vpc.unwrap().vpc_id.unwrap();
        let deleted = vpc.clone();
        world.simulator.before_next("CreateSubnet", move |state| {
            let account = state.accounts.get_mut(ACCOUNT).unwrap();
            let ec2 = &mut account.region("ap-northeast-1").ec2;
            ec2.vpcs.remove(&deleted);
        });
        let seen = world.ec2.describe_vpcs().send().await.unwrap();
        assert_eq!(seen.vpcs().len(), 1);
        let call = world.ec2.create_subnet().vpc_id(vpc);
        let answer = call.cidr_block("10.0.0.0/24").send().await;
        assert_eq!(code(answer), "InvalidVpcID.NotFound");
    }
}
