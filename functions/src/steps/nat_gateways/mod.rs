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

use aws_sdk_ec2::types::NatGatewayState;
use serde::{Deserialize, Serialize};

use crate::aws::Aws;
use crate::contract::{Error, Memory, Outcome, Removed, Step};
use crate::model::plan::Zone;
use crate::model::{Plan, Target, ZoneNatGateway, ZoneSubnets, tags};
use crate::resources::address::find as find_addresses;
use crate::resources::nat_gateway::{self, Compared};
use crate::steps::removal::Removal;

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
    /// Empty: a second look starts again.
    pub memory: Memory,
}

/// A NAT gateway is pending for one to two minutes.
const CHECK_AFTER_SECONDS: u64 = 15;
/// How long a look at a new address is after its allocation.
const LOOK_AFTER_SECONDS: u64 = 2;

/// How far the NAT gateway of one zone is.
enum Status {
    Available(ZoneNatGateway),
    Pending,
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
        let seen = nat_gateway::observe(aws, plan).await?;
        let subnet_of = |zone: &Zone| input.public_subnet(zone);
        let mut memory = input.memory.clone();
        let mut nat_gateways = vec![];
        let mut pending = vec![];
        let mut notes = BTreeSet::new();
        for compared in nat_gateway::compare(plan, subnet_of, &seen)? {
            let zone_id = &compared.zone.id;
            let subnet_id = subnet_of(compared.zone).ok_or_else(|| {
                Error::invalid("subnets", &input.subnets, format!("one in {zone_id}"))
            })?;
            let zone = InZone {
                compared: &compared,
                subnet_id,
            };
            match zone.apply(aws, plan, &mut memory, &mut notes).await? {
                Status::Available(gateway) => nat_gateways.push(gateway),
                Status::Pending => pending.push(zone_id.as_str()),
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
        for address in find_addresses(aws, tags::ec2_filters(target)).await? {
            address::release(aws, target, &address, &mut removal).await?;
        }
        Ok(removal.outcome())
    }
}

impl Input {
    fn public_subnet(&self, zone: &Zone) -> Option<&str> {
        let subnets = self.subnets.iter().find(|it| it.zone_id == zone.id);
        subnets.map(|it| it.public_subnet_id.as_str())
    }
}

/// What there is of ours in one zone, and where it belongs.
struct InZone<'a> {
    compared: &'a Compared<'a>,
    subnet_id: &'a str,
}

impl InZone<'_> {
    /// Makes the zone's gateway so, as far as that can be done now; `notes` gets what a person who
    /// waits for it should know.
    async fn apply(
        &self,
        aws: &Aws,
        plan: &Plan,
        memory: &mut Memory,
        notes: &mut BTreeSet<String>,
    ) -> Result<Status, Error> {
        let compared = self.compared;
        // A failed gateway holds its address until it is deleted.
        for failed in compared.failed() {
            gateway::delete(aws, failed, &mut Removal::default()).await?;
            notes.insert(format!("{}; it is replaced", nat_gateway::said(failed)?));
        }
        compared.check_failures()?;
        let Some(kept) = compared.kept else {
            return self.create(aws, plan, memory, notes).await;
        };
        for gateway in &compared.surplus {
            gateway::delete(aws, gateway, &mut Removal::default()).await?;
        }
        let held = address::release_surplus(aws, &plan.target, compared, None).await?;
        let is_held = !held.is_empty();
        notes.extend(held);
        if !nat_gateway::is_available(kept) || is_held {
            return Ok(Status::Pending);
        }
        gateway::output(kept, &compared.zone.id).map(Status::Available)
    }

    async fn create(
        &self,
        aws: &Aws,
        plan: &Plan,
        memory: &mut Memory,
        notes: &mut BTreeSet<String>,
    ) -> Result<Status, Error> {
        let Compared { role, dead, .. } = self.compared;
        let key = format!("{role}/gateway");
        let is_dead = |id: &str| dead.iter().any(|it| it.nat_gateway_id() == Some(id));
        if let Some(created) = memory.id(&key).filter(|id| !is_dead(id)) {
            notes.insert(format!("EC2 does not show {created} yet"));
            return Ok(Status::Pending);
        }
        let known = memory.id(role);
        let Some(allocation_id) = self.compared.address(known).or(known) else {
            let id = address::allocate(aws, plan, role).await?;
            memory.remember(role, &id);
            return Ok(Status::Allocated(id));
        };
        let held = address::release_surplus(aws, &plan.target, self.compared, known).await?;
        notes.extend(held);
        if let Some((address, holder)) = self.compared.held_for_new(allocation_id)? {
            notes.insert(address::waits_for(address, holder)?);
            return Ok(Status::Pending);
        }
        let place = Place {
            role,
            zone_id: &self.compared.zone.id,
            subnet_id: self.subnet_id,
            allocation_id,
        };
        let created = gateway::create(aws, plan, &place, dead).await?;
        memory.remember(&key, &created);
        Ok(Status::Pending)
    }
}

#[cfg(test)]
mod tests;
