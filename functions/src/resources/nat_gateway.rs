//! NAT gateways with their addresses: one in each Availability Zone of the plan, or a single one.
//!
//! When a plan that had a gateway in each zone becomes one with a single gateway, the others stay: routes may
//! still lead to them.

use aws_sdk_ec2::types::{Address, Filter, NatGateway, NatGatewayAddress, NatGatewayState};

use crate::aws::{Aws, codes, list};
use crate::contract::error::required;
use crate::contract::{During, Error};
use crate::model::plan::Zone;
use crate::model::{Plan, tags};
use crate::resources::address;
use crate::resources::resource_change::{Change, ResourceChange};

/// CloudFormation's type name.
pub(crate) const KIND: &str = "AWS::EC2::NatGateway";

/// How many failed gateways of a zone are replaced before it is given up.
const FAILURES_MAX: usize = 3;

/// What there is of ours, with any role.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Dead ones, too.
    gateways: Vec<NatGateway>,
    addresses: Vec<Address>,
}

/// What there is of ours in one zone of the plan.
#[derive(Debug)]
pub(crate) struct Compared<'a> {
    pub zone: &'a Zone,
    /// Value of the tag `hardway:role` of gateway and address.
    pub role: String,
    /// The one that works or will.
    pub kept: Option<&'a NatGateway>,
    /// More that work or will, to delete.
    pub surplus: Vec<&'a NatGateway>,
    /// Gateways that failed, are deleted or being deleted. EC2 shows them for about an hour.
    pub dead: Vec<&'a NatGateway>,
    pub addresses: Vec<&'a Address>,
}

/// The NAT gateways that pass the filters; all of the region's if there are none. EC2 shows one for about an
/// hour after it is gone.
pub(crate) async fn find(aws: &Aws, filters: Vec<Filter>) -> Result<Vec<NatGateway>, Error> {
    let call = aws.ec2().describe_nat_gateways().set_filter(Some(filters));
    list!(call).await.during("ec2:DescribeNatGateways")
}

/// Looks at the gateways and addresses of ours.
pub(crate) async fn observe(aws: &Aws, plan: &Plan) -> Result<Seen, Error> {
    Ok(Seen {
        gateways: find(aws, tags::ec2_filters(&plan.target)).await?,
        addresses: address::find(aws, tags::ec2_filters(&plan.target)).await?,
    })
}

/// Says what is to be done in each zone that has a gateway. `subnet_of` is the public subnet of a zone, if
/// there is one.
///
/// # Errors
/// [`Error::ResourceConflict`] if a gateway is in another subnet: it cannot move.
pub(crate) fn compare<'a>(
    plan: &'a Plan,
    subnet_of: impl Fn(&Zone) -> Option<&'a str>,
    seen: &'a Seen,
) -> Result<Vec<Compared<'a>>, Error> {
    let zones = plan.network.nat_zones().iter();
    let compared = zones.map(|zone| {
        let compared = Compared::new(plan, zone, seen);
        compared.check_subnet(subnet_of(zone))?;
        Ok(compared)
    });
    compared.collect()
}

impl<'a> Compared<'a> {
    fn new(plan: &Plan, zone: &'a Zone, seen: &'a Seen) -> Self {
        let role = role(zone);
        let gateways = seen.gateways.iter();
        let (mut live, dead): (Vec<_>, Vec<_>) = gateways
            .filter(|it| tags::ec2_is(it.tags(), &plan.target, &role))
            .partition(|gateway| is_live(gateway));
        live.sort_by_key(|gateway| (!is_available(gateway), gateway.nat_gateway_id()));
        let surplus = live.split_off(live.len().min(1));
        let addresses = seen.addresses.iter();
        let addresses = addresses.filter(|it| tags::ec2_is(it.tags(), &plan.target, &role));
        Self {
            zone,
            kept: live.pop(),
            surplus,
            dead,
            addresses: addresses.collect(),
            role,
        }
    }

    fn check_subnet(&self, subnet_id: Option<&str>) -> Result<(), Error> {
        match self.kept {
            Some(kept) if kept.subnet_id() != subnet_id => Err(Error::ResourceConflict(format!(
                "the cluster's {} is in {}, not in {}",
                id(kept)?,
                kept.subnet_id().unwrap_or("no subnet"),
                subnet_id.unwrap_or("a new subnet")
            ))),
            _ => Ok(()),
        }
    }

    /// Those that failed and are still there.
    pub fn failed(&self) -> impl Iterator<Item = &'a NatGateway> {
        let dead = self.dead.iter().copied();
        dead.filter(|it| it.state() == Some(&NatGatewayState::Failed))
    }

    /// Whether there is a sense in making another one.
    ///
    /// # Errors
    /// [`Error::ResourceFailed`] if it would fail as well, or if too many have failed.
    pub fn check_failures(&self) -> Result<(), Error> {
        if let Some(terminal) = self.failed().find(|it| is_terminal(it)) {
            return Err(Error::ResourceFailed(said(terminal)?));
        }
        let failures: Vec<_> = self.dead.iter().filter_map(|it| failure(it)).collect();
        match failures.last() {
            Some(last) if failures.len() > FAILURES_MAX => Err(Error::ResourceFailed(format!(
                "{} NAT gateways have failed within about an hour, the last one with {last}",
                failures.len()
            ))),
            _ => Ok(()),
        }
    }

    /// The same for a person: the address, then the gateway.
    ///
    /// # Errors
    /// Those of [`Compared::check_failures`], as the execution would say them.
    pub fn changes(&self) -> Result<Vec<ResourceChange>, Error> {
        self.check_failures()?;
        let address = match (self.kept, self.addresses.is_empty()) {
            (None, true) => Change::Create,
            _ => Change::Keep,
        };
        let gateway = match self.kept {
            Some(_) => Change::Keep,
            None if self.failed().next().is_some() => Change::Replace,
            None => Change::Create,
        };
        let mut changes = vec![ResourceChange::new(address::KIND, &self.role, address)];
        let surplus = address::surplus(&self.addresses, self.address(None));
        let surplus = surplus.filter_map(|it| it.allocation_id());
        changes.extend(surplus.map(|id| ResourceChange::new(address::KIND, id, Change::Remove)));
        changes.push(ResourceChange::new(KIND, &self.role, gateway));
        let surplus = self.surplus.iter().filter_map(|it| it.nat_gateway_id());
        changes.extend(surplus.map(|id| ResourceChange::new(KIND, id, Change::Remove)));
        Ok(changes)
    }

    /// The id of the address to keep: the gateway's, or the one for a new gateway. `known` is one that was
    /// allocated in this execution, which a client token may name already.
    pub fn address(&self, known: Option<&str>) -> Option<&str> {
        match self.kept {
            Some(kept) => address_of(kept).and_then(NatGatewayAddress::allocation_id),
            None => {
                address::first(&self.addresses, known).and_then(|address| address.allocation_id())
            }
        }
    }
}

/// Value of the tag `hardway:role` of a zone's gateway and its address.
pub(crate) fn role(zone: &Zone) -> String {
    format!("nat-gateway-{}", zone.id)
}

/// The address that a gateway was made with.
pub(crate) fn address_of(gateway: &NatGateway) -> Option<&NatGatewayAddress> {
    let addresses = gateway.nat_gateway_addresses();
    let is_primary = |it: &&NatGatewayAddress| it.is_primary() == Some(true);
    addresses.iter().find(is_primary).or(addresses.first())
}

pub(crate) fn is_available(gateway: &NatGateway) -> bool {
    gateway.state() == Some(&NatGatewayState::Available)
}

/// Whether it works or will.
pub(crate) fn is_live(gateway: &NatGateway) -> bool {
    !matches!(
        gateway.state(),
        Some(NatGatewayState::Failed | NatGatewayState::Deleting | NatGatewayState::Deleted)
    )
}

/// Whether another gateway in the same subnet would fail as well.
fn is_terminal(gateway: &NatGateway) -> bool {
    let code = gateway.failure_code();
    code.is_some_and(|code| codes::TERMINAL_NAT_GATEWAY_FAILURES.contains(&code))
}

/// AWS's code and message, if it failed.
fn failure(gateway: &NatGateway) -> Option<String> {
    let code = gateway.failure_code()?;
    let message = gateway.failure_message().unwrap_or("no message");
    Some(format!("{code}: {message}"))
}

/// Which one failed, and why.
pub(crate) fn said(gateway: &NatGateway) -> Result<String, Error> {
    let failure = failure(gateway).unwrap_or_else(|| "no reason given".to_owned());
    Ok(format!("{} failed: {failure}", id(gateway)?))
}

pub(crate) fn id(gateway: &NatGateway) -> Result<&str, Error> {
    required(
        gateway.nat_gateway_id(),
        "ec2:DescribeNatGateways: natGatewayId",
    )
}
