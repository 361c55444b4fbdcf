//! NAT gateways and their Elastic IP addresses: one for each Availability Zone, or a single one.
//!
//! AllocateAddress has no client token: an address is tagged in the call that allocates it and looked
//! for afterwards, and what is double is released, so that none leaks. CreateNatGateway has a token; it
//! names the subnet and the attempt, because a gateway can be accepted and fail later, and the same
//! token would bring the failed one back. A failed gateway is deleted and replaced, with the same
//! address.
//!
//! When the plan changes from one gateway for each zone to a single one, the surplus gateways stay:
//! routes may still lead to them while this step runs. The teardown finds them by their tags.

mod address;
mod gateway;

use aws_sdk_ec2::types::{NatGateway, NatGatewayState};
use serde::{Deserialize, Serialize};
use step::error::required;
use step::plan::Zone;
use step::{Aws, Error, Outcome, Plan, Removed, Step, Target, ZoneNatGateway, ZoneSubnets, tags};

/// The step `nat-gateways`.
pub struct NatGateways;

/// What the NAT gateways need of earlier steps.
#[derive(Debug, Clone, Deserialize)]
pub struct Input {
    /// The subnets of all zones.
    pub subnets: Vec<ZoneSubnets>,
}

/// What later steps need of the NAT gateways.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// The gateways, in the plan's order of zones.
    pub nat_gateways: Vec<ZoneNatGateway>,
}

/// A gateway takes one and a half to two minutes.
const CHECK_AFTER_SECONDS: u64 = 15;
/// Failures that are still visible, after which another attempt helps nobody.
const ATTEMPTS_MAX: usize = 3;

impl Step for NatGateways {
    const NAME: &'static str = "nat-gateways";
    type Input = Input;
    type Output = Output;

    async fn ensure(aws: &Aws, plan: &Plan, input: Input) -> Result<Outcome<Output>, Error> {
        let gateways = gateway::find(aws, &plan.target).await?;
        let addresses = address::find(aws, &plan.target).await?;
        let mut nat_gateways = Vec::new();
        let mut pending = Vec::new();
        for zone in plan.network.nat_zones() {
            let role = role(zone);
            let is_zones =
                |gateway: &&NatGateway| tags::ec2_value(gateway.tags(), tags::ROLE) == Some(&role);
            let of_zone: Vec<&NatGateway> = gateways.iter().filter(is_zones).collect();
            let allocation_id = address::ensure(aws, plan, &role, &addresses, &of_zone).await?;
            let subnet_id = public_subnet(&input, zone)?;
            let gateway =
                ensure_gateway(aws, plan, &role, subnet_id, &allocation_id, &of_zone).await?;
            match gateway.state() {
                Some(NatGatewayState::Available) => nat_gateways.push(output(zone, &gateway)?),
                _ => pending.push(zone.id.as_str()),
            }
        }
        if !pending.is_empty() {
            let reason = format!("NAT gateways in {} are pending", pending.join(", "));
            return Ok(Outcome::pending(CHECK_AFTER_SECONDS, reason));
        }
        Ok(Outcome::Ready(Output { nat_gateways }))
    }

    async fn remove(aws: &Aws, target: &Target) -> Result<Outcome<Removed>, Error> {
        let mut removed = Removed::default();
        let mut deleting = Vec::new();
        for gateway in gateway::find(aws, target).await? {
            let id = required(gateway.nat_gateway_id.clone(), "ec2: natGatewayId")?;
            match gateway.state() {
                Some(NatGatewayState::Deleted) => continue,
                Some(NatGatewayState::Deleting) => {}
                _ => gateway::delete(aws, &id).await?,
            }
            deleting.push(id);
        }
        if !deleting.is_empty() {
            // An address can be released only when its gateway is really gone.
            let reason = format!("NAT gateways {} are deleting", deleting.join(", "));
            return Ok(Outcome::pending(CHECK_AFTER_SECONDS, reason));
        }
        for address in address::find(aws, target).await? {
            match address::release(aws, &address).await? {
                Some(resource) => removed.removed.push(resource),
                None => return Ok(Outcome::pending(5, "an Elastic IP address is still in use")),
            }
        }
        Ok(Outcome::Ready(removed))
    }
}

/// Value of the tag `hardway:role` of a zone's gateway and of its address.
fn role(zone: &Zone) -> String {
    format!("nat-gateway-{}", zone.id)
}

fn public_subnet<'a>(input: &'a Input, zone: &Zone) -> Result<&'a str, Error> {
    let mut subnets = input.subnets.iter();
    subnets
        .find(|subnets| subnets.zone_id == zone.id)
        .map(|subnets| subnets.public_subnet_id.as_str())
        .ok_or_else(|| Error::invalid("subnets", &zone.id, "an element for each zone of the plan"))
}

/// The zone's gateway: the one that is there, or a new one. Failed ones are deleted.
async fn ensure_gateway(
    aws: &Aws,
    plan: &Plan,
    role: &str,
    subnet_id: &str,
    allocation_id: &str,
    of_zone: &[&NatGateway],
) -> Result<NatGateway, Error> {
    let (alive, dead): (Vec<&NatGateway>, Vec<&NatGateway>) = of_zone
        .iter()
        .partition(|gateway| gateway::is_alive(gateway));
    if let Some(gateway) = alive.first() {
        if gateway.subnet_id() != Some(subnet_id) {
            return Err(Error::ResourceConflict(format!(
                "NAT gateway {} ({role}) is in {}, not in {subnet_id}",
                gateway.nat_gateway_id().unwrap_or_default(),
                gateway.subnet_id().unwrap_or("no subnet")
            )));
        }
        return Ok((*gateway).clone());
    }
    let failed: Vec<&NatGateway> = dead
        .iter()
        .copied()
        .filter(|gateway| gateway.failure_code().is_some())
        .collect();
    gateway::give_up_if_hopeless(role, &failed, ATTEMPTS_MAX)?;
    for gateway in failed
        .iter()
        .filter(|gateway| gateway.state() == Some(&NatGatewayState::Failed))
    {
        gateway::delete(aws, gateway.nat_gateway_id().unwrap_or_default()).await?;
    }
    gateway::create(aws, plan, role, subnet_id, allocation_id, dead.len()).await
}

fn output(zone: &Zone, gateway: &NatGateway) -> Result<ZoneNatGateway, Error> {
    let address = required(
        gateway.nat_gateway_addresses().first(),
        "ec2:DescribeNatGateways: natGatewayAddresses",
    )?;
    Ok(ZoneNatGateway {
        zone_id: zone.id.clone(),
        nat_gateway_id: required(gateway.nat_gateway_id.clone(), "ec2: natGatewayId")?,
        allocation_id: required(address.allocation_id.clone(), "ec2: allocationId")?,
        public_ip: required(address.public_ip.clone(), "ec2: publicIp")?,
    })
}
