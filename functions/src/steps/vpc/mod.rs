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
use aws_sdk_ec2::types::{
    AttributeBooleanValue, Filter, ResourceType, Vpc as Ec2Vpc, VpcAttributeName, VpcState,
};
use serde::{Deserialize, Serialize};

use crate::aws::telemetry::{changed, changing};
use crate::aws::{Aws, change, codes, list};
use crate::contract::error::required;
use crate::contract::{During, Error, Memory, OnlyMemory, Outcome, Removed, Resource, Step, wait};
use crate::model::{Plan, Target, tags};
use crate::resources::removal::Removal;
use crate::resources::{foreign, guardduty};

/// The step `vpc`.
pub struct Vpc;

/// What later steps need of the VPC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// For example `vpc-0123456789abcdef0`.
    pub vpc_id: String,
}

/// Value of the tag `hardway:role`.
const ROLE: &str = "vpc";
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
const DESCRIBE_ATTRIBUTE: &str = "ec2:DescribeVpcAttribute";
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
        let found = find(aws, &plan.target).await?;
        if found.is_empty() && (memory.is_empty() || memory.looks > LOOKS_MAX) {
            return create(aws, plan).await;
        }
        if found.is_empty() || (!memory.is_empty() && memory.looks < LOOKS_MIN) {
            let id = memory.id(ROLE).unwrap_or_default();
            let reason = format!("{id} is new: EC2 may not show it everywhere yet");
            let pending = Outcome::pending(LOOK_AFTER_SECONDS, reason);
            return Ok(pending.remembering(memory.after_a_look()));
        }
        let vpc = keep_one(aws, &plan.target, found).await?;
        let vpc_id = id(&vpc)?.to_owned();
        check_cidr(plan, &vpc)?;
        if status(&vpc) == &VpcState::Pending {
            let reason = format!("{vpc_id} is pending");
            let pending = Outcome::pending(CHECK_AFTER_SECONDS, reason);
            return Ok(pending.remembering(memory));
        }
        repair(aws, &vpc_id).await?;
        Ok(Outcome::Ready(Output { vpc_id }))
    }

    async fn remove(aws: &Aws, target: &Target) -> Result<Outcome<Removed>, Error> {
        let mut removal = Removal::default();
        // Those that have lost the tag of their role, too.
        for vpc in foreign::find_vpcs(aws, target).await? {
            let id = id(&vpc)?;
            guardduty::remove(aws, id, &mut removal).await?;
            let call = aws.ec2().delete_vpc().vpc_id(id).send();
            let resource = Resource::new("AWS::EC2::VPC", id);
            removal
                .delete(DELETE, resource, &[codes::VPC_NOT_FOUND], call)
                .await?;
        }
        foreign::outcome(removal, aws, target).await
    }
}

async fn find(aws: &Aws, target: &Target) -> Result<Vec<Ec2Vpc>, Error> {
    let call = aws.ec2().describe_vpcs();
    let call = call.set_filters(Some(tags::ec2_filters_for(target, ROLE)));
    list!(call).await.during("ec2:DescribeVpcs")
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
    let id = id(&created)?;
    changed(CREATE, id);
    let mut memory = Memory::default();
    memory.remember(ROLE, id);
    let reason = format!("{id} is created");
    Ok(Outcome::pending(LOOK_AFTER_SECONDS, reason).remembering(memory))
}

/// Of several VPCs of ours keeps the one with subnets in it, else the one with the smallest id: whoever
/// looks, at any time, decides alike.
async fn keep_one(aws: &Aws, target: &Target, mut found: Vec<Ec2Vpc>) -> Result<Ec2Vpc, Error> {
    found.sort_by(|one, other| one.vpc_id().cmp(&other.vpc_id()));
    let used = match found.as_slice() {
        [_] => vec![],
        several => with_subnets(aws, several).await?,
    };
    let is_used = |vpc: &Ec2Vpc| used.iter().any(|id| Some(id.as_str()) == vpc.vpc_id());
    let place = found.iter().position(is_used).unwrap_or_default();
    let kept = found.remove(place);
    for surplus in &found {
        remove_surplus(aws, target, surplus, &kept).await?;
    }
    Ok(kept)
}

async fn with_subnets(aws: &Aws, vpcs: &[Ec2Vpc]) -> Result<Vec<String>, Error> {
    let ids = vpcs.iter().filter_map(Ec2Vpc::vpc_id).map(str::to_owned);
    let of_vpcs = Filter::builder()
        .name("vpc-id")
        .set_values(Some(ids.collect()))
        .build();
    let call = aws.ec2().describe_subnets().filters(of_vpcs);
    let subnets = list!(call).await.during("ec2:DescribeSubnets")?.into_iter();
    Ok(subnets.filter_map(|subnet| subnet.vpc_id).collect())
}

async fn remove_surplus(
    aws: &Aws,
    target: &Target,
    surplus: &Ec2Vpc,
    kept: &Ec2Vpc,
) -> Result<(), Error> {
    let (surplus, kept) = (id(surplus)?, id(kept)?);
    let call = aws.ec2().delete_vpc().vpc_id(surplus);
    let answer = change(DELETE, surplus, call.send()).await;
    match answer.as_ref().err().and_then(ProvideErrorMetadata::code) {
        Some(codes::VPC_NOT_FOUND) => return Ok(()),
        Some(codes::DEPENDENCY_VIOLATION) => {
            return Err(Error::ResourceConflict(format!(
                "{kept} and {surplus} are both tagged as the VPC of the cluster {}, and both are in \
                 use",
                target.cluster_name
            )));
        }
        _ => {}
    }
    answer.during(DELETE)?;
    Ok(())
}

/// A VPC's CIDR block cannot be changed.
fn check_cidr(plan: &Plan, vpc: &Ec2Vpc) -> Result<(), Error> {
    let (wanted, actual) = (plan.network.cidr.to_string(), vpc.cidr_block());
    if actual == Some(&wanted) {
        return Ok(());
    }
    Err(Error::ResourceConflict(format!(
        "the cluster {} has its VPC already: {} with the CIDR block {}, while network.cidr asks for \
         {wanted}",
        plan.target.cluster_name,
        id(vpc)?,
        actual.unwrap_or("(none)")
    )))
}

fn status(vpc: &Ec2Vpc) -> &VpcState {
    vpc.state().unwrap_or(&VpcState::Available)
}

fn id(vpc: &Ec2Vpc) -> Result<&str, Error> {
    required(vpc.vpc_id(), "ec2:DescribeVpcs: vpcId")
}

/// Turns on what is off. EC2 takes one attribute in a call; hostnames need support, so it comes first.
async fn repair(aws: &Aws, vpc_id: &str) -> Result<(), Error> {
    let on = || AttributeBooleanValue::builder().value(true).build();
    let modify = || aws.ec2().modify_vpc_attribute().vpc_id(vpc_id);
    for (name, call) in [
        (
            VpcAttributeName::EnableDnsSupport,
            modify().enable_dns_support(on()),
        ),
        (
            VpcAttributeName::EnableDnsHostnames,
            modify().enable_dns_hostnames(on()),
        ),
    ] {
        if is_on(aws, vpc_id, name).await? {
            continue;
        }
        change(MODIFY_ATTRIBUTE, vpc_id, call.send())
            .await
            .during(MODIFY_ATTRIBUTE)?;
    }
    Ok(())
}

async fn is_on(aws: &Aws, vpc_id: &str, name: VpcAttributeName) -> Result<bool, Error> {
    let call = aws.ec2().describe_vpc_attribute().vpc_id(vpc_id);
    let answer = call.attribute(name.clone()).send().await;
    let answer = answer.during(DESCRIBE_ATTRIBUTE)?;
    let attribute = match name {
        VpcAttributeName::EnableDnsSupport => answer.enable_dns_support,
        _ => answer.enable_dns_hostnames,
    };
    Ok(attribute.and_then(|it| it.value).unwrap_or_default())
}

#[cfg(test)]
mod tests;
