//! The way from the private subnets to the Internet: for each Availability Zone a route table whose
//! default route leads to a NAT gateway, associated with the zone's private subnet.
//!
//! Without that route a Fargate pod cannot pull its image. Each subnet is associated explicitly: EKS
//! looks at the associated table when it decides whether a subnet is private enough for Fargate.
//!
//! Routes are repaired in every run: missing, leading elsewhere, or leading to a gateway that is gone.

use serde::{Deserialize, Serialize};
use step::ec2_routes::{self, Gateway, Wanted};
use step::{Aws, Error, Outcome, Plan, Removed, Step, Target, ZoneNatGateway, ZoneSubnets};

/// The step `private-routes`.
pub struct PrivateRoutes;

/// What the private routes need of earlier steps.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// The VPC.
    pub vpc_id: String,
    /// The subnets of all zones.
    pub subnets: Vec<ZoneSubnets>,
    /// The NAT gateways: one for each zone, or a single one.
    pub nat_gateways: Vec<ZoneNatGateway>,
}

/// What later steps need of the private routes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// The route table of each zone, in the plan's order.
    pub route_tables: Vec<ZoneRouteTable>,
}

/// The private route table of one Availability Zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ZoneRouteTable {
    /// Zone id, for example `apne1-az1`.
    pub zone_id: String,
    /// The route table.
    pub route_table_id: String,
    /// The NAT gateway that its default route leads to.
    pub nat_gateway_id: String,
}

const ROLE: &str = "private-routes-";

impl Step for PrivateRoutes {
    const NAME: &'static str = "private-routes";
    type Input = Input;
    type Output = Output;

    async fn ensure(aws: &Aws, plan: &Plan, input: Input) -> Result<Outcome<Output>, Error> {
        let mut route_tables = Vec::new();
        for zone in &plan.network.zones {
            let nat_zone = &plan.network.nat_zone_of(zone).id;
            let subnet = of_zone(
                &input.subnets,
                |subnets| &subnets.zone_id,
                &zone.id,
                "subnets",
            )?;
            let gateway = of_zone(
                &input.nat_gateways,
                |nat| &nat.zone_id,
                nat_zone,
                "natGateways",
            )?;
            let table = Wanted {
                role: &format!("{ROLE}{}", zone.id),
                vpc_id: &input.vpc_id,
                gateway: Gateway::Nat(&gateway.nat_gateway_id),
                subnet_ids: &[&subnet.private_subnet_id],
            };
            route_tables.push(ZoneRouteTable {
                zone_id: zone.id.clone(),
                route_table_id: ec2_routes::ensure(aws, plan, &table).await?,
                nat_gateway_id: gateway.nat_gateway_id.clone(),
            });
        }
        Ok(Outcome::Ready(Output { route_tables }))
    }

    async fn remove(aws: &Aws, target: &Target) -> Result<Outcome<Removed>, Error> {
        ec2_routes::remove(aws, target, ROLE).await
    }
}

/// The element for a zone; a request without it was not made by the state machine.
fn of_zone<'a, T>(
    elements: &'a [T],
    zone_of: impl Fn(&T) -> &String,
    zone_id: &str,
    field: &str,
) -> Result<&'a T, Error> {
    let mut elements = elements.iter();
    elements
        .find(|element| zone_of(element) == zone_id)
        .ok_or_else(|| Error::invalid(field, zone_id, "an element for each zone of the plan"))
}
