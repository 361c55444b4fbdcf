//! The deployed stack, found through its outputs, and what its parameters say of roles.

use anyhow::{Context, Result};
use aws_config::SdkConfig;
use aws_sdk_cloudformation::{Client, types};
use functions::aws::Base;
use functions::model::RoleNames;

use crate::args::DEFAULT_STACK;

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
        let client = Client::new(config);
        let stack = describe(&client, name).await?;
        let output = |key: &str| {
            let mut outputs = stack.outputs().iter();
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

async fn describe(client: &Client, name: &str) -> Result<types::Stack> {
    let answer = client.describe_stacks().stack_name(name).send().await;
    let answer = answer
        .map_err(|error| anyhow::Error::new(error.into_service_error()))
        .with_context(|| {
            format!("there is no stack {name} here; deploy it with `make deploy`, or name yours with --stack")
        })?;
    let stack = answer.stacks.unwrap_or_default().into_iter().next();
    stack.with_context(|| format!("CloudFormation says nothing of the stack {name}"))
}

/// `base` with the names of roles that the functions of the stack `name` have.
///
/// What needs no stack takes the names of a stack that is deployed as it comes, if nobody names one and that
/// is not there or may not be read.
///
/// # Errors
/// If the stack that somebody has named cannot be read.
pub async fn with_roles_of(client: &Client, name: Option<&str>, base: Base) -> Result<Base> {
    let stack = match describe(client, name.unwrap_or(DEFAULT_STACK)).await {
        Err(error) if name.is_none() => {
            eprintln!("The names of roles are the defaults: {error:#}");
            return Ok(base);
        }
        stack => stack?,
    };
    let parameter = |key: &str| {
        let mut parameters = stack.parameters().iter();
        let parameter = parameters.find(|it| it.parameter_key() == Some(key));
        parameter?.parameter_value().map(ToOwned::to_owned)
    };
    let RoleNames { path, name_prefix } = base.role_names().clone();
    let names = RoleNames {
        path: parameter("ClusterRolePath").unwrap_or(path),
        name_prefix: parameter("RoleNamePrefix").unwrap_or(name_prefix),
    };
    let base = base.with_role_names(names);
    Ok(match parameter("MemberRoleName") {
        Some(name) => base.with_member_role_name(name),
        None => base,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_cloudformation::error::ErrorMetadata;
    use aws_sdk_cloudformation::operation::describe_stacks::{
        DescribeStacksError, DescribeStacksOutput,
    };
    use aws_sdk_cloudformation::primitives::DateTime;
    use aws_sdk_cloudformation::types::{Parameter, StackStatus};
    use aws_smithy_mocks::{Rule, mock};

    fn stack(name: &'static str, parameters: &[(&str, &str)]) -> Rule {
        let parameters = parameters.iter().map(|(key, value)| {
            let parameter = Parameter::builder().parameter_key(*key);
            parameter.parameter_value(*value).build()
        });
        let stack = types::Stack::builder()
            .stack_name(name)
            .creation_time(DateTime::from_secs(0))
            .stack_status(StackStatus::CreateComplete)
            .set_parameters(Some(parameters.collect()))
            .build();
        mock!(Client::describe_stacks)
            .match_requests(move |call| call.stack_name() == Some(name))
            .then_output(move || {
                DescribeStacksOutput::builder()
                    .stacks(stack.clone())
                    .build()
            })
    }

    fn failing(code: &'static str) -> Rule {
        mock!(Client::describe_stacks).then_error(move || {
            DescribeStacksError::generic(ErrorMetadata::builder().code(code).build())
        })
    }

    async fn roles(rule: &Rule, name: Option<&str>) -> Result<(RoleNames, String)> {
        let client = functions::mocked!(aws_sdk_cloudformation, [rule]);
        let base = Base::new(functions::aws::Aws::offline_config());
        let base = with_roles_of(&client, name, base).await?;
        Ok((
            base.role_names().clone(),
            base.member_role_name().to_owned(),
        ))
    }

    #[tokio::test]
    async fn roles_are_called_as_the_parameters_of_the_stack_say() {
        let parameters = [
            ("ClusterRolePath", "/platform/"),
            ("RoleNamePrefix", "platform-"),
            ("MemberRoleName", "Builder"),
            ("Architecture", "arm64"),
        ];
        let names = RoleNames {
            path: "/platform/".to_owned(),
            name_prefix: "platform-".to_owned(),
        };
        let expected = (names, "Builder".to_owned());
        for (stack_name, named) in [("hardway", None), ("other", Some("other"))] {
            let rule = stack(stack_name, &parameters);
            assert_eq!(roles(&rule, named).await.unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn a_stack_that_nobody_named_need_not_be_there() {
        let base = Base::new(functions::aws::Aws::offline_config());
        let defaults = (
            base.role_names().clone(),
            base.member_role_name().to_owned(),
        );
        // The first is CloudFormation's answer about a stack that does not exist.
        for code in ["ValidationError", "AccessDenied"] {
            assert_eq!(roles(&failing(code), None).await.unwrap(), defaults);
            let error = roles(&failing(code), Some("other")).await.unwrap_err();
            assert!(error.to_string().contains("stack other"), "{error}");
        }
        // A stack of an earlier version.
        let rule = stack("hardway", &[("ClusterRolePath", "/platform/")]);
        let (names, member) = roles(&rule, None).await.unwrap();
        assert_eq!(names.path, "/platform/");
        assert_eq!(names.name_prefix, defaults.0.name_prefix);
        assert_eq!(member, defaults.1);
    }
}
