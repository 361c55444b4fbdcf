//! NAT gateways with their Elastic IP addresses: one in each Availability Zone, or a single one.
//!
//! A NAT gateway is accepted at once and fails later, if it fails. A failed one is deleted and
//! replaced, with the same address.
//!
//! Safe to repeat: both are found by their tags. CreateNatGateway has a client token that names the
//! attempt (see [`gateway`]); AllocateAddress has none, so the id of a new address is remembered until
//! EC2 shows it, and the surplus that a lost answer may have left is released whenever it is seen (see
//! [`address`]).
//!
//! When a plan that had a gateway in each zone becomes one with a single gateway, the others stay:
//! routes may still lead to them. Removing the step removes them all.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_ec2::types::{Address, NatGateway, NatGatewayState};
use serde::{Deserialize, Serialize};

use crate::aws::Aws;
use crate::contract::{Error, Memory, Outcome, Removed, Step};
use crate::model::plan::Zone;
use crate::model::{Plan, Target, ZoneNatGateway, ZoneSubnets, tags};
use crate::resources::removal::Removal;
use crate::resources::{self, nat_gateway};

mod address;
mod gateway;

use gateway::Place;

/// The step `nat-gateways`.
pub struct NatGateways;

/// What it needs of earlier steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// The subnets of each zone: a gateway lives in the public one.
    pub subnets: Vec<ZoneSubnets>,
    /// What the last invocation said.
    #[serde(default)]
    pub memory: Memory,
}

/// What later steps need of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// In the order of the plan's zones.
    pub nat_gateways: Vec<ZoneNatGateway>,
    /// Whether something was created in this execution: then a lost answer may have left a surplus that
    /// a second look finds.
    pub is_new: bool,
    /// Empty: a second look starts anew.
    pub memory: Memory,
}

/// What the value of the tag `hardway:role` of gateways and addresses starts with; the zone id follows.
const ROLE_PREFIX: &str = "nat-gateway-";
/// A NAT gateway is pending for one to two minutes.
const CHECK_AFTER_SECONDS: u64 = 15;
/// How long a look at a new address is after its allocation.
const LOOK_AFTER_SECONDS: u64 = 2;

/// How far the NAT gateway of one zone is.
enum Status {
    Available(ZoneNatGateway),
    Pending(String),
    /// An address was allocated. The invocation ends here: whatever failed after it would forget the id.
    Allocated(String),
}

impl Step for NatGateways {
    const NAME: &'static str = "nat-gateways";
    const POLICY: &'static str = include_str!("policy.json");
    /// Terraform gives a NAT gateway ten minutes.
    const ENSURE_LIMIT: Duration = Duration::from_mins(30);
    /// Terraform gives the deletion thirty; its addresses come after it.
    const REMOVE_LIMIT: Duration = Duration::from_mins(45);
    type Input = Input;
    type Output = Output;

    async fn ensure(aws: &Aws, plan: &Plan, input: Input) -> Result<Outcome<Output>, Error> {
        let gateways = nat_gateway::find(aws, tags::ec2_filters(&plan.target)).await?;
        let addresses = resources::address::find(aws, tags::ec2_filters(&plan.target)).await?;
        let mut memory = input.memory.clone();
        let mut nat_gateways = vec![];
        let mut pending = vec![];
        let mut notes = BTreeSet::new();
        for zone in plan.network.nat_zones() {
            let zone = InZone::new(plan, zone, &input, &gateways, &addresses)?;
            match zone.ensure(aws, plan, &mut memory, &mut notes).await? {
                Status::Available(gateway) => nat_gateways.push(gateway),
                Status::Pending(zone_id) => pending.push(zone_id),
                Status::Allocated(id) => {
                    let reason = format!("{id} is allocated");
                    let pending = Outcome::pending(LOOK_AFTER_SECONDS, reason);
                    return Ok(pending.remembering(memory));
                }
            }
        }
        if pending.is_empty() {
            return Ok(Outcome::Ready(Output {
                nat_gateways,
                is_new: !memory.is_empty(),
                memory: Memory::default(),
            }));
        }
        let noun = match pending.as_slice() {
            [_] => "NAT gateway in",
            _ => "NAT gateways in",
        };
        let verb = if pending.len() == 1 { "is" } else { "are" };
        let mut reason = format!("{noun} {} {verb} pending", pending.join(", "));
        for note in notes {
            reason = format!("{reason}; {note}");
        }
        Ok(Outcome::pending(CHECK_AFTER_SECONDS, reason).remembering(memory))
    }

    /// Gateways first: an address can be released once its gateway is deleted.
    async fn remove(aws: &Aws, target: &Target) -> Result<Outcome<Removed>, Error> {
        let mut removal = Removal::default();
        let mut deleting = vec![];
        for gateway in nat_gateway::find(aws, tags::ec2_filters(target)).await? {
            if gateway.state() == Some(&NatGatewayState::Deleted) {
                continue;
            }
            if gateway.state() != Some(&NatGatewayState::Deleting) {
                gateway::delete(aws, &gateway, &mut removal).await?;
            }
            deleting.push(nat_gateway::id(&gateway)?.to_owned());
        }
        if !deleting.is_empty() {
            removal.wait_for(format!(
                "NAT gateways being deleted: {}",
                deleting.join(", ")
            ));
            return Ok(removal.outcome());
        }
        for address in resources::address::find(aws, tags::ec2_filters(target)).await? {
            address::release(aws, target, &address, &mut removal).await?;
        }
        Ok(removal.outcome())
    }
}

/// What there is of ours in one zone, and where it belongs.
struct InZone<'a> {
    zone: &'a Zone,
    role: String,
    subnet_id: &'a str,
    /// Gateways that work or will; the one to keep comes first.
    live: Vec<&'a NatGateway>,
    /// Gateways that failed, are deleted or being deleted. EC2 shows them for about an hour.
    dead: Vec<&'a NatGateway>,
    addresses: Vec<&'a Address>,
}

impl<'a> InZone<'a> {
    fn new(
        plan: &Plan,
        zone: &'a Zone,
        input: &'a Input,
        gateways: &'a [NatGateway],
        addresses: &'a [Address],
    ) -> Result<Self, Error> {
        let role = format!("{ROLE_PREFIX}{}", zone.id);
        let subnets = input.subnets.iter().find(|it| it.zone_id == zone.id);
        let subnets = subnets.ok_or_else(|| {
            Error::invalid("subnets", &input.subnets, format!("one in {}", zone.id))
        })?;
        let (mut live, dead): (Vec<_>, Vec<_>) = gateways
            .iter()
            .filter(|gateway| tags::ec2_is(gateway.tags(), &plan.target, &role))
            .partition(|gateway| gateway::is_live(gateway));
        live.sort_by_key(|gateway| (!gateway::is_available(gateway), gateway.nat_gateway_id()));
        let addresses = addresses
            .iter()
            .filter(|address| tags::ec2_is(address.tags(), &plan.target, &role))
            .collect();
        Ok(Self {
            zone,
            subnet_id: &subnets.public_subnet_id,
            role,
            live,
            dead,
            addresses,
        })
    }

    /// Makes the zone's gateway so, as far as that can be done now; `notes` gets what a person who
    /// waits for it should know.
    async fn ensure(
        &self,
        aws: &Aws,
        plan: &Plan,
        memory: &mut Memory,
        notes: &mut BTreeSet<String>,
    ) -> Result<Status, Error> {
        notes.extend(gateway::retire_failed(aws, &self.dead).await?);
        let Some((kept, surplus)) = self.live.split_first() else {
            return self.create(aws, plan, memory, notes).await;
        };
        gateway::check_subnet(kept, self.subnet_id)?;
        for gateway in surplus {
            gateway::delete(aws, gateway, &mut Removal::default()).await?;
        }
        let used = gateway::address(kept);
        let keep = used.and_then(|used| used.allocation_id());
        let held = surplus.iter().chain(&self.dead).copied();
        let held = address::release_surplus(aws, &plan.target, &self.addresses, keep, held).await?;
        notes.extend(held.iter().cloned());
        if !gateway::is_available(kept) || !held.is_empty() {
            return Ok(Status::Pending(self.zone.id.clone()));
        }
        gateway::output(kept, &self.zone.id).map(Status::Available)
    }

    async fn create(
        &self,
        aws: &Aws,
        plan: &Plan,
        memory: &mut Memory,
        notes: &mut BTreeSet<String>,
    ) -> Result<Status, Error> {
        let pending = Status::Pending(self.zone.id.clone());
        let key = format!("{}/gateway", self.role);
        if let Some(created) = memory.id(&key)
            && !self
                .dead
                .iter()
                .any(|it| it.nat_gateway_id() == Some(created))
        {
            notes.insert(format!("EC2 does not show {created} yet"));
            return Ok(pending);
        }
        let known = memory.id(&self.role);
        let Some(address) = address::choose(aws, &plan.target, &self.addresses, known).await?
        else {
            let id = address::allocate(aws, plan, &self.role).await?;
            memory.remember(&self.role, &id);
            return Ok(Status::Allocated(id));
        };
        if let Some(held) = address::held_by(&address, self.dead.iter().copied())? {
            notes.insert(held);
            return Ok(pending);
        }
        let place = Place {
            role: &self.role,
            zone_id: &self.zone.id,
            subnet_id: self.subnet_id,
            allocation_id: resources::address::id(&address)?,
        };
        let created = gateway::create(aws, plan, &place, &self.dead).await?;
        memory.remember(&key, &created);
        Ok(pending)
    }
}

#[cfg(test)]
mod tests;
