//! The cluster's VPC, with DNS support and DNS hostnames on.
//!
//! Without DNS hostnames every Fargate node is called `fargate-null`, so that at most one pod runs:
//! both attributes are read at every invocation and turned on when they are off.
//!
//! Safe to repeat: the VPC is found by its tags. CreateVpc has no client token, so the id of a new VPC is
//! remembered until EC2 shows it, and the surplus that a lost answer may have left is removed when it
//! is seen.

use std::time::Duration;

use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_sdk_ec2::types::{AttributeBooleanValue, ResourceType, Vpc as Ec2Vpc, VpcAttributeName};
use serde::{Deserialize, Serialize};

use crate::aws::telemetry::{changed, changing};
use crate::aws::{Aws, change, codes};
use crate::contract::error::required;
use crate::contract::{During, Error, Memory, OnlyMemory, Outcome, Removed, Resource, Step, wait};
use crate::model::{Plan, Target, tags};
use crate::resources::vpc::{self, KIND, ROLE};
use crate::steps::guardduty;
use crate::steps::removal::{self, Removal};

/// The step `vpc`.
pub struct Vpc;

/// What later steps need of the VPC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// For example `vpc-0123456789abcdef0`.
    pub vpc_id: String,
}

/// A VPC is pending for seconds.
const CHECK_AFTER_SECONDS: u64 = 2;
/// How long a look at a new VPC is after the last one.
const LOOK_AFTER_SECONDS: u64 = 10;
/// How many looks a new VPC waits before it is used: everything hangs on it, and another execution may
/// have created one at the same time that EC2 does not show yet.
const LOOKS_MIN: u32 = 2;
/// After how many looks a VPC that was created must have been deleted by somebody.
const LOOKS_MAX: u32 = 30;

const CREATE: &str = "ec2:CreateVpc";
const DELETE: &str = "ec2:DeleteVpc";
const MODIFY_ATTRIBUTE: &str = "ec2:ModifyVpcAttribute";

impl Step for Vpc {
    const NAME: &'static str = "vpc";
    const POLICY: &'static str = include_str!("policy.json");
    const ENSURE_LIMIT: Duration = wait::BRIEF;
    /// What AWS's services leave in a VPC goes by itself within half an hour.
    const REMOVE_LIMIT: Duration = Duration::from_mins(45);
    type Input = OnlyMemory;
    type Output = Output;

    async fn ensure(aws: &Aws, plan: &Plan, input: OnlyMemory) -> Result<Outcome<Output>, Error> {
        let memory = input.memory;
        if !memory.is_empty() && memory.looks < LOOKS_MIN {
            return Ok(look_again(memory));
        }
        let seen = vpc::observe(aws, &plan.target).await?;
        let compared = vpc::compare(plan, &seen)?;
        let Some(kept) = compared.kept else {
            if memory.is_empty() || memory.looks > LOOKS_MAX {
                return create(aws, plan).await;
            }
            return Ok(look_again(memory));
        };
        let vpc_id = vpc::id(kept)?.to_owned();
        for surplus in compared.surplus {
            remove_surplus(aws, plan, surplus, &vpc_id).await?;
        }
        if vpc::is_pending(kept) {
            let reason = format!("{vpc_id} is pending");
            let pending = Outcome::pending(CHECK_AFTER_SECONDS, reason);
            return Ok(pending.remembering(memory));
        }
        for attribute in compared.off {
            turn_on(aws, &vpc_id, attribute).await?;
        }
        Ok(Outcome::Ready(Output { vpc_id }))
    }

    async fn remove(aws: &Aws, target: &Target) -> Result<Outcome<Removed>, Error> {
        let mut removal = Removal::default();
        for vpc in vpc::find_ours(aws, target).await? {
            let id = vpc::id(&vpc)?;
            guardduty::remove(aws, id, &mut removal).await?;
            let call = aws.ec2().delete_vpc().vpc_id(id).send();
            let resource = Resource::new(KIND, id);
            removal
                .delete(DELETE, resource, &[codes::VPC_NOT_FOUND], call)
                .await?;
        }
        removal::outcome(removal, aws, target).await
    }
}

/// EC2 may not show a new VPC yet.
fn look_again(memory: Memory) -> Outcome<Output> {
    let id = memory.id(ROLE).unwrap_or_default();
    let reason = format!("{id} is new: EC2 may not show it everywhere yet");
    Outcome::pending(LOOK_AFTER_SECONDS, reason).remembering(memory.after_a_look())
}

/// Creates the VPC. The invocation ends here: whatever failed after it would forget the id.
async fn create(aws: &Aws, plan: &Plan) -> Result<Outcome<Output>, Error> {
    changing(CREATE, ROLE);
    let answer = aws
        .ec2()
        .create_vpc()
        .cidr_block(plan.network.cidr.to_string())
        .tag_specifications(tags::ec2_specification(plan, ResourceType::Vpc, ROLE, &[]))
        .send()
        .await
        .during(CREATE)?;
    let created = required(answer.vpc, "ec2:CreateVpc: vpc")?;
    let id = vpc::id(&created)?;
    changed(CREATE, id);
    let mut memory = Memory::default();
    memory.remember(ROLE, id);
    let reason = format!("{id} is created");
    Ok(Outcome::pending(LOOK_AFTER_SECONDS, reason).remembering(memory))
}

async fn remove_surplus(aws: &Aws, plan: &Plan, surplus: &Ec2Vpc, kept: &str) -> Result<(), Error> {
    let surplus = vpc::id(surplus)?;
    let call = aws.ec2().delete_vpc().vpc_id(surplus);
    let answer = change(DELETE, surplus, call.send()).await;
    match answer.as_ref().err().and_then(ProvideErrorMetadata::code) {
        Some(codes::VPC_NOT_FOUND) => return Ok(()),
        Some(codes::DEPENDENCY_VIOLATION) => return Err(vpc::both_in_use(plan, kept, surplus)),
        _ => {}
    }
    answer.during(DELETE)?;
    Ok(())
}

/// EC2 takes one attribute in a call.
async fn turn_on(aws: &Aws, vpc_id: &str, attribute: &VpcAttributeName) -> Result<(), Error> {
    let on = AttributeBooleanValue::builder().value(true).build();
    let call = aws.ec2().modify_vpc_attribute().vpc_id(vpc_id);
    let call = match attribute {
        VpcAttributeName::EnableDnsSupport => call.enable_dns_support(on),
        _ => call.enable_dns_hostnames(on),
    };
    change(MODIFY_ATTRIBUTE, vpc_id, call.send())
        .await
        .during(MODIFY_ATTRIBUTE)?;
    Ok(())
}

#[cfg(test)]
mod tests;
