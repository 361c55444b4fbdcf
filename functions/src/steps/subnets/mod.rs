//! The cluster's subnets: a public and a private one in each Availability Zone of the plan.
//!
//! Safe to repeat: subnets are found by their tags. CreateSubnet has no client token, but a VPC has
//! room for one subnet with a CIDR block: when EC2 refuses a second one the step looks again, so a lost
//! answer never leaves a surplus.

use std::time::Duration;

use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_sdk_ec2::types::{ResourceType, Subnet, SubnetState, Tag};
use serde::{Deserialize, Serialize};

use crate::aws::telemetry::{changed, changing};
use crate::aws::{Aws, change, codes, list};
use crate::contract::error::required;
use crate::contract::{During, Error, Outcome, Removed, Resource, Step, wait};
use crate::model::plan::Zone;
use crate::model::{Plan, Target, ZoneSubnets, tags};
use crate::resources::removal::Removal;
use crate::resources::{foreign, guardduty};

mod wanted;

use wanted::Wanted;

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
const DESCRIBE: &str = "ec2:DescribeSubnets";
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
        let found = find(aws, &plan.target).await?;
        let mut subnets = vec![];
        let mut pending = vec![];
        for zone in &plan.network.zones {
            let public = Wanted::public(zone);
            let public = ensure_one(aws, plan, &input.vpc_id, &found, &public).await?;
            let private = Wanted::private(zone);
            let private = ensure_one(aws, plan, &input.vpc_id, &found, &private).await?;
            subnets.push(both(zone, &public, &private)?);
            let waiting = [public, private].into_iter().filter(is_pending);
            pending.extend(waiting.filter_map(|subnet| subnet.subnet_id));
        }
        if pending.is_empty() {
            return Ok(Outcome::Ready(Output { subnets }));
        }
        let reason = format!("subnets {} are pending", pending.join(", "));
        Ok(Outcome::pending(CHECK_AFTER_SECONDS, reason))
    }

    async fn remove(aws: &Aws, target: &Target) -> Result<Outcome<Removed>, Error> {
        let mut removal = Removal::default();
        for vpc in foreign::find_vpcs(aws, target).await? {
            guardduty::remove(aws, vpc.vpc_id().unwrap_or_default(), &mut removal).await?;
        }
        for subnet in find(aws, target).await? {
            let id = id(&subnet)?;
            let call = aws.ec2().delete_subnet().subnet_id(id).send();
            let resource = Resource::new("AWS::EC2::Subnet", id);
            let not_found = [codes::SUBNET_NOT_FOUND, codes::SUBNET_NOT_FOUND_TOO];
            removal.delete(DELETE, resource, &not_found, call).await?;
        }
        foreign::outcome(removal, aws, target).await
    }
}

/// All subnets of the cluster, with any role, in any VPC.
async fn find(aws: &Aws, target: &Target) -> Result<Vec<Subnet>, Error> {
    let call = aws.ec2().describe_subnets();
    let call = call.set_filters(Some(tags::ec2_filters(target)));
    list!(call).await.during(DESCRIBE)
}

/// All subnets of the VPC, ours or not.
async fn find_in_vpc(aws: &Aws, vpc_id: &str) -> Result<Vec<Subnet>, Error> {
    let call = aws.ec2().describe_subnets();
    let call = call.filters(tags::ec2_filter("vpc-id", vpc_id));
    list!(call).await.during(DESCRIBE)
}

async fn ensure_one(
    aws: &Aws,
    plan: &Plan,
    vpc_id: &str,
    found: &[Subnet],
    wanted: &Wanted<'_>,
) -> Result<Subnet, Error> {
    let is_ours = |subnet: &&Subnet| tags::ec2_is(subnet.tags(), &plan.target, &wanted.role);
    let Some(subnet) = found.iter().find(is_ours) else {
        return create(aws, plan, vpc_id, wanted).await;
    };
    wanted.check(vpc_id, subnet)?;
    repair(aws, subnet, wanted).await?;
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
        return find_in_the_way(aws, &plan.target, vpc_id, wanted).await;
    }
    let subnet = required(answer.during(CREATE)?.subnet, "ec2:CreateSubnet: subnet")?;
    changed(CREATE, id(&subnet)?);
    Ok(subnet)
}

/// The CIDR block is taken: by a subnet of ours whose answer was lost, which is then adopted, or by
/// somebody else's.
async fn find_in_the_way(
    aws: &Aws,
    target: &Target,
    vpc_id: &str,
    wanted: &Wanted<'_>,
) -> Result<Subnet, Error> {
    let subnets = find_in_vpc(aws, vpc_id).await?;
    let is_ours = |subnet: &&Subnet| tags::ec2_is(subnet.tags(), target, &wanted.role);
    if let Some(subnet) = subnets.iter().find(is_ours) {
        wanted.check(vpc_id, subnet)?;
        return Ok(subnet.clone());
    }
    let cidr = wanted.cidr;
    let Some(subnet) = subnets.iter().find(|subnet| wanted.overlaps(subnet)) else {
        return Err(Error::NotYetVisible(format!(
            "a subnet of {vpc_id} that overlaps {cidr}"
        )));
    };
    Err(Error::ResourceConflict(format!(
        "{} ({}) in {vpc_id} overlaps {cidr}, which the plan has for {}",
        id(subnet)?,
        subnet.cidr_block().unwrap_or("no CIDR block"),
        wanted.role
    )))
}

/// Puts back the tag by which the AWS Load Balancer Controller finds the subnet.
async fn repair(aws: &Aws, subnet: &Subnet, wanted: &Wanted<'_>) -> Result<(), Error> {
    let (key, value) = wanted.load_balancer_tag;
    if tags::ec2_value(subnet.tags(), key) == Some(value) {
        return Ok(());
    }
    let id = id(subnet)?;
    let call = aws
        .ec2()
        .create_tags()
        .resources(id)
        .tags(Tag::builder().key(key).value(value).build());
    change(TAG, id, call.send()).await.during(TAG)?;
    Ok(())
}

fn both(zone: &Zone, public: &Subnet, private: &Subnet) -> Result<ZoneSubnets, Error> {
    Ok(ZoneSubnets {
        zone_id: zone.id.clone(),
        zone_name: zone.name.clone(),
        public_subnet_id: id(public)?.to_owned(),
        private_subnet_id: id(private)?.to_owned(),
    })
}

fn is_pending(subnet: &Subnet) -> bool {
    subnet.state() == Some(&SubnetState::Pending)
}

fn id(subnet: &Subnet) -> Result<&str, Error> {
    required(subnet.subnet_id(), "ec2:DescribeSubnets: subnetId")
}

#[cfg(test)]
mod tests;
