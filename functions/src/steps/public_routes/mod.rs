//! The public subnets' way out: the internet gateway, and one route table to it for all of them.
//!
//! Safe to repeat: gateway and table are found by their tags and repaired. CreateInternetGateway has
//! no client token, so the id of a new one is remembered until EC2 shows it, and the surplus that a lost
//! answer may have left is removed whenever it is seen.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::aws::Aws;
use crate::contract::{Error, Memory, Outcome, Removed, Step, wait};
use crate::model::{Plan, Target, ZoneSubnets, tags};
use crate::resources::internet_gateway::ROLE;
use crate::resources::route_table::{self, NextHop, PRIVATE_ROLE_PREFIX, PUBLIC_ROLE, Wanted};
use crate::steps::removal::{self, Removal};
use crate::steps::route_table::{apply, remove as remove_tables};

mod internet_gateway;

use internet_gateway::Ensured;

/// The step `public-routes`.
pub struct PublicRoutes;

/// What it needs of earlier steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// The VPC of the subnets.
    pub vpc_id: String,
    /// The subnets of each zone.
    pub subnets: Vec<ZoneSubnets>,
    /// What the last invocation said.
    #[serde(default)]
    pub memory: Memory,
}

/// What later steps need of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// The internet gateway.
    pub internet_gateway_id: String,
    /// The route table of all public subnets.
    pub route_table_id: String,
    /// Empty: a second look starts again.
    pub memory: Memory,
}

/// How long a look at a new gateway is after its creation.
const LOOK_AFTER_SECONDS: u64 = 2;

impl Step for PublicRoutes {
    const NAME: &'static str = "public-routes";
    const POLICY: &'static str = include_str!("policy.json");
    const ENSURE_LIMIT: Duration = wait::BRIEF;
    /// Terraform gives the deletion of an internet gateway twenty minutes: EC2 detaches none while
    /// addresses are mapped through it.
    const REMOVE_LIMIT: Duration = Duration::from_mins(30);
    type Input = Input;
    type Output = Output;

    async fn ensure(aws: &Aws, plan: &Plan, input: Input) -> Result<Outcome<Output>, Error> {
        let known = input.memory.id(ROLE);
        let internet_gateway_id =
            match internet_gateway::ensure(aws, plan, &input.vpc_id, known).await? {
                Ensured::Attached(id) => id,
                Ensured::Created(id) => {
                    let mut memory = Memory::default();
                    memory.remember(ROLE, &id);
                    let reason = format!("{id} is created");
                    let pending = Outcome::pending(LOOK_AFTER_SECONDS, reason);
                    return Ok(pending.remembering(memory));
                }
            };
        let vpc_id = &input.vpc_id;
        let tables = route_table::find(aws, tags::ec2_in_vpc(vpc_id)).await?;
        let next_hop = NextHop::InternetGateway(&internet_gateway_id);
        let subnets = input.subnets.iter();
        let wanted = Wanted {
            role: PUBLIC_ROLE,
            next_hop: Some(next_hop),
            subnet_ids: subnets.map(|it| Some(&*it.public_subnet_id)).collect(),
        };
        let table = apply(aws, plan, vpc_id, &tables, next_hop, wanted).await?;
        Ok(Outcome::Ready(Output {
            internet_gateway_id,
            route_table_id: table,
            memory: Memory::default(),
        }))
    }

    /// The gateway goes first: EC2 refuses to detach it while something in the VPC has a public
    /// address, and a removal that is given up at that point leaves a table that can be repaired.
    async fn remove(aws: &Aws, target: &Target) -> Result<Outcome<Removed>, Error> {
        let mut removal = Removal::default();
        if internet_gateway::remove(aws, target, &mut removal).await? {
            // One that has lost the tag of its role, too.
            let is_wanted = |role: &str| !role.starts_with(PRIVATE_ROLE_PREFIX);
            remove_tables(aws, target, is_wanted, &mut removal).await?;
        }
        removal::outcome(removal, aws, target).await
    }
}

#[cfg(test)]
mod tests;
