//! Parameters of Systems Manager.

use aws_sdk_ssm::Client;
use aws_sdk_ssm::error::ProvideErrorMetadata;
use aws_sdk_ssm::types::Parameter;

use crate::aws::codes;
use crate::contract::error::required;
use crate::contract::{During, Error};

const GET: &str = "ssm:GetParameter";
const PARAMETER: &str = "ssm:GetParameter: parameter";

/// The parameter with that name; none if there is none.
pub(crate) async fn find(ssm: &Client, name: &str) -> Result<Option<Parameter>, Error> {
    match ssm.get_parameter().name(name).send().await {
        Err(error) if error.code() == Some(codes::PARAMETER_NOT_FOUND) => Ok(None),
        answer => required(answer.during(GET)?.parameter, PARAMETER).map(Some),
    }
}

/// The parameter with that name, which has to be there.
pub(crate) async fn get(ssm: &Client, name: &str) -> Result<Parameter, Error> {
    let answer = ssm.get_parameter().name(name).send().await;
    required(answer.during(GET)?.parameter, PARAMETER)
}
