//! The deployed stack, found through its outputs.

use anyhow::{Context, Result};
use aws_config::SdkConfig;

/// What the stack's outputs say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// ARN of the provisioning state machine.
    pub provision_arn: String,
    /// ARN of the teardown state machine.
    pub teardown_arn: String,
    /// ARN of the fleet state machine.
    pub fleet_arn: String,
    /// The bucket of fleets' lists and reports.
    pub fleet_bucket: String,
    /// The log group of all functions.
    pub log_group: String,
}

impl Stack {
    /// Reads the outputs of the stack `name`.
    ///
    /// # Errors
    /// If there is no such stack, or it is not hardway's.
    pub async fn find(config: &SdkConfig, name: &str) -> Result<Self> {
        let client = aws_sdk_cloudformation::Client::new(config);
        let answer = client
            .describe_stacks()
            .stack_name(name)
            .send()
            .await
            .map_err(|error| anyhow::Error::new(error.into_service_error()))
            .with_context(|| {
                format!("there is no stack {name} here; deploy it with `make deploy`, or name yours with --stack")
            })?;
        let stack = answer.stacks().first();
        let output = |key: &str| {
            let outputs = stack.map(aws_sdk_cloudformation::types::Stack::outputs);
            let mut outputs = outputs.unwrap_or_default().iter();
            outputs
                .find(|output| output.output_key() == Some(key))
                .and_then(|output| output.output_value())
                .map(ToOwned::to_owned)
                .with_context(|| format!("the stack {name} has no output {key}; is it hardway's, and of this version?"))
        };
        Ok(Self {
            provision_arn: output("ProvisionStateMachineArn")?,
            teardown_arn: output("TeardownStateMachineArn")?,
            fleet_arn: output("FleetStateMachineArn")?,
            fleet_bucket: output("FleetBucketName")?,
            log_group: output("FunctionsLogGroup")?,
        })
    }
    /// The region that it is deployed in.
    #[must_use]
    pub fn region(&self) -> &str {
        self.arn_part(3)
    }

    /// The account that it is deployed in.
    #[must_use]
    pub fn account(&self) -> &str {
        self.arn_part(4)
    }

    /// A part of `arn:partition:states:region:account:stateMachine:name`.
    fn arn_part(&self, index: usize) -> &str {
        self.provision_arn.split(':').nth(index).unwrap_or_default()
    }
}
