//! Whose credentials they are.

use aws_sdk_sts::operation::get_caller_identity::GetCallerIdentityOutput;

use crate::aws::Aws;
use crate::contract::{During, Error};
use crate::model::Target;

const GET: &str = "sts:GetCallerIdentity";

/// The identity behind the clients. `first_in` is where it is the first call, in an account that may be new.
pub(crate) async fn of(
    aws: &Aws,
    first_in: Option<&Target>,
) -> Result<GetCallerIdentityOutput, Error> {
    let answer = aws.sts().get_caller_identity().send().await;
    match first_in {
        Some(target) => answer.during_first(GET, target),
        None => answer.during(GET),
    }
}
