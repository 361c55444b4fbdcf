//! The cluster's subnets: a public and a private one in each Availability Zone of the plan.
//!
//! Safe to repeat: subnets are found by their tags. CreateSubnet has no client token, but a VPC has
//! room for one subnet with a CIDR block: when EC2 refuses a second one the step looks again, so a lost
//! answer never leaves a surplus.

use std::time::Duration;

use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_sdk_ec2::types::{ResourceType, Subnet, Tag};
use serde::{Deserialize, Serialize};

use crate::aws::telemetry::{changed, changing};
use crate::aws::{Aws, change, codes};
use crate::contract::error::required;
use crate::contract::{During, Error, Outcome, Removed, Resource, Step, wait};
use crate::model::{Plan, Target, ZoneSubnets, tags};
use crate::resources::subnet::{self, Compared, KIND, Wanted};
use crate::resources::vpc;
use crate::steps::guardduty;
use crate::steps::removal::{self, Removal};

/// The step `subnets`.
pub struct Subnets;

/// What it needs of earlier steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// The VPC to make subnets in.
    pub vpc_id: String,
}

/// What later steps need of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// In the order of the plan's zones.
    pub subnets: Vec<ZoneSubnets>,
}

/// A subnet is pending for seconds.
const CHECK_AFTER_SECONDS: u64 = 2;

const CREATE: &str = "ec2:CreateSubnet";
const DELETE: &str = "ec2:DeleteSubnet";
const TAG: &str = "ec2:CreateTags";

impl Step for Subnets {
    const NAME: &'static str = "subnets";
    const POLICY: &'static str = include_str!("policy.json");
    const ENSURE_LIMIT: Duration = wait::BRIEF;
    /// Terraform gives the deletion of a subnet twenty minutes, because of the network interfaces of
    /// AWS's services.
    const REMOVE_LIMIT: Duration = Duration::from_mins(45);
    type Input = Input;
    type Output = Output;

    async fn ensure(aws: &Aws, plan: &Plan, input: Input) -> Result<Outcome<Output>, Error> {
        let vpc_id = &input.vpc_id;
        let seen = subnet::observe(aws, plan, Some(vpc_id)).await?;
        let mut ids = vec![];
        let mut pending = vec![];
        for compared in subnet::compare(plan, Some(vpc_id), &seen)? {
            let subnet = apply(aws, plan, vpc_id, &compared).await?;
            let id = subnet::id(&subnet)?.to_owned();
            if subnet::is_pending(&subnet) {
                pending.push(id.clone());
            }
            ids.push(id);
        }
        if pending.is_empty() {
            return Ok(Outcome::Ready(output(plan, &ids)));
        }
        let reason = format!("subnets {} are pending", pending.join(", "));
        Ok(Outcome::pending(CHECK_AFTER_SECONDS, reason))
    }

    async fn remove(aws: &Aws, target: &Target) -> Result<Outcome<Removed>, Error> {
        let mut removal = Removal::default();
        for vpc in vpc::find_ours(aws, target).await? {
            guardduty::remove(aws, vpc::id(&vpc)?, &mut removal).await?;
        }
        for subnet in subnet::find(aws, tags::ec2_filters(target)).await? {
            let id = subnet::id(&subnet)?;
            let call = aws.ec2().delete_subnet().subnet_id(id).send();
            let resource = Resource::new(KIND, id);
            let not_found = [codes::SUBNET_NOT_FOUND, codes::SUBNET_NOT_FOUND_TOO];
            removal.delete(DELETE, resource, &not_found, call).await?;
        }
        removal::outcome(removal, aws, target).await
    }
}

/// Makes one subnet so.
async fn apply(
    aws: &Aws,
    plan: &Plan,
    vpc_id: &str,
    compared: &Compared<'_>,
) -> Result<Subnet, Error> {
    let Some(subnet) = compared.found else {
        return create(aws, plan, vpc_id, &compared.wanted).await;
    };
    if compared.lacks_tag() {
        let (key, value) = compared.wanted.load_balancer_tag;
        let id = subnet::id(subnet)?;
        let tag = Tag::builder().key(key).value(value).build();
        let call = aws.ec2().create_tags().resources(id).tags(tag);
        change(TAG, id, call.send()).await.during(TAG)?;
    }
    Ok(subnet.clone())
}

async fn create(
    aws: &Aws,
    plan: &Plan,
    vpc_id: &str,
    wanted: &Wanted<'_>,
) -> Result<Subnet, Error> {
    changing(CREATE, &wanted.role);
    let answer = aws
        .ec2()
        .create_subnet()
        .vpc_id(vpc_id)
        .cidr_block(wanted.cidr.to_string())
        .availability_zone_id(&wanted.zone.id)
        .tag_specifications(tags::ec2_specification(
            plan,
            ResourceType::Subnet,
            &wanted.role,
            &[wanted.load_balancer_tag],
        ))
        .send()
        .await;
    if let Err(error) = &answer
        && error.code() == Some(codes::SUBNET_CONFLICT)
    {
        return find_in_the_way(aws, plan, vpc_id, wanted).await;
    }
    let subnet = required(answer.during(CREATE)?.subnet, "ec2:CreateSubnet: subnet")?;
    changed(CREATE, subnet::id(&subnet)?);
    Ok(subnet)
}

/// The CIDR block is taken: by a subnet of ours whose answer was lost, which is then adopted, or by
/// somebody else's.
async fn find_in_the_way(
    aws: &Aws,
    plan: &Plan,
    vpc_id: &str,
    wanted: &Wanted<'_>,
) -> Result<Subnet, Error> {
    let seen = subnet::observe(aws, plan, Some(vpc_id)).await?;
    let compared = subnet::compare(plan, Some(vpc_id), &seen)?;
    let adopted = compared.iter().find(|it| it.wanted.role == wanted.role);
    adopted.and_then(|it| it.found).cloned().ok_or_else(|| {
        let cidr = wanted.cidr;
        Error::NotYetVisible(format!("a subnet of {vpc_id} that overlaps {cidr}"))
    })
}

/// `ids` are a public and a private one for each zone.
fn output(plan: &Plan, ids: &[String]) -> Output {
    let zones = plan.network.zones.iter().zip(ids.chunks_exact(2));
    let subnets = zones.map(|(zone, ids)| ZoneSubnets {
        zone_id: zone.id.clone(),
        zone_name: zone.name.clone(),
        public_subnet_id: ids[0].clone(),
        private_subnet_id: ids[1].clone(),
    });
    Output {
        subnets: subnets.collect(),
    }
}

#[cfg(test)]
mod tests;
