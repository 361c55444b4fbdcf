//! Executions of the provisioning machine that functions start.

use aws_sdk_sfn::Client;
use aws_sdk_sfn::operation::start_execution::StartExecutionError;

use crate::aws::change;
use crate::contract::{During, Error};
use crate::model::Spec;

const START: &str = "states:StartExecution";

/// Starts an execution with this name; `false` if there is one of that name already, whatever its input.
///
/// # Errors
/// What Step Functions answers otherwise.
pub async fn start(
    sfn: &Client,
    state_machine_arn: &str,
    name: &str,
    spec: &Spec,
) -> Result<bool, Error> {
    let input = serde_json::to_string(spec);
    let input = input.map_err(|error| Error::Unexpected(error.to_string()))?;
    let call = sfn.start_execution().state_machine_arn(state_machine_arn);
    let call = call.name(name).input(input);
    let answer = change(START, name, call.send()).await;
    let exists = answer.as_ref().is_err_and(|error| {
        let error = error.as_service_error();
        error.is_some_and(StartExecutionError::is_execution_already_exists)
    });
    if exists {
        return Ok(false);
    }
    answer.during(START)?;
    Ok(true)
}
