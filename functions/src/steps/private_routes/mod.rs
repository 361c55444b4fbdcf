//! The private subnets' way out: a route table in each Availability Zone, to the NAT gateway of that
//! zone (or to the only one, where the plan has a single one).
//!
//! Without this route pods on Fargate cannot pull images, and without an explicit association EKS may
//! refuse the subnet for a Fargate profile.
//!
//! Safe to repeat: a table is found by its tags, its route and association are compared with what is
//! wanted and repaired (see [`crate::steps::route_table`]).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::aws::Aws;
use crate::contract::{Error, Outcome, Removed, Step, wait};
use crate::model::plan::Zone;
use crate::model::{Plan, Target, ZoneNatGateway, ZoneSubnets, tags};
use crate::resources::route_table::{self, NextHop, PRIVATE_ROLE_PREFIX, Wanted};
use crate::steps::removal::{self, Removal};
use crate::steps::route_table::{apply, remove as remove_tables};

/// The step `private-routes`.
pub struct PrivateRoutes;

/// What it needs of earlier steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// The VPC of the subnets.
    pub vpc_id: String,
    /// The subnets of each zone.
    pub subnets: Vec<ZoneSubnets>,
    /// The NAT gateways.
    pub nat_gateways: Vec<ZoneNatGateway>,
}

/// What later steps need of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// In the order of the plan's zones.
    pub route_tables: Vec<ZoneRouteTable>,
}

/// The private route table of one Availability Zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ZoneRouteTable {
    /// Zone id, for example `apne1-az1`.
    pub zone_id: String,
    /// The route table.
    pub route_table_id: String,
    /// Where its default route leads.
    pub nat_gateway_id: String,
}

impl Step for PrivateRoutes {
    const NAME: &'static str = "private-routes";
    const POLICY: &'static str = include_str!("policy.json");
    const REMOVE_LIMIT: Duration = wait::BRIEF;
    type Input = Input;
    type Output = Output;

    async fn ensure(aws: &Aws, plan: &Plan, input: Input) -> Result<Outcome<Output>, Error> {
        let tables = route_table::find(aws, tags::ec2_in_vpc(&input.vpc_id)).await?;
        let mut output = Output {
            route_tables: vec![],
        };
        for zone in &plan.network.zones {
            let nat_gateway_id = nat_gateway_of(plan, &input, zone)?;
            let next_hop = NextHop::NatGateway(nat_gateway_id);
            let wanted = Wanted {
                role: &route_table::private_role(zone),
                next_hop: Some(next_hop),
                subnet_ids: vec![Some(private_subnet_of(&input, zone)?)],
            };
            let vpc_id = &input.vpc_id;
            let route_table_id = apply(aws, plan, vpc_id, &tables, next_hop, wanted).await?;
            output.route_tables.push(ZoneRouteTable {
                zone_id: zone.id.clone(),
                route_table_id,
                nat_gateway_id: nat_gateway_id.to_owned(),
            });
        }
        Ok(Outcome::Ready(output))
    }

    async fn remove(aws: &Aws, target: &Target) -> Result<Outcome<Removed>, Error> {
        let mut removal = Removal::default();
        let is_wanted = |role: &str| role.starts_with(PRIVATE_ROLE_PREFIX);
        remove_tables(aws, target, is_wanted, &mut removal).await?;
        removal::outcome(removal, aws, target).await
    }
}

fn private_subnet_of<'a>(input: &'a Input, zone: &Zone) -> Result<&'a str, Error> {
    let subnets = input.subnets.iter().find(|it| it.zone_id == zone.id);
    subnets
        .map(|it| it.private_subnet_id.as_str())
        .ok_or_else(|| Error::invalid("subnets", &input.subnets, format!("one in {}", zone.id)))
}

fn nat_gateway_of<'a>(plan: &Plan, input: &'a Input, zone: &Zone) -> Result<&'a str, Error> {
    let zone_id = &plan.network.nat_zone_of(zone).id;
    let gateway = input.nat_gateways.iter().find(|it| it.zone_id == *zone_id);
    gateway.map(|it| it.nat_gateway_id.as_str()).ok_or_else(|| {
        Error::invalid(
            "natGateways",
            &input.nat_gateways,
            format!("one in {zone_id}"),
        )
    })
}

#[cfg(test)]
mod tests;
