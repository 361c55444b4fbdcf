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

impl Seen {
    /// The ids of those of ours that work in zones for which the plan has none: they stay, because routes may still
    /// lead to them.
    pub fn not_planned(&self, plan: &Plan) -> Vec<&str> {
        let roles: Vec<String> = plan.network.nat_zones().iter().map(role).collect();
        let is_planned = |it: &&NatGateway| {
            let role = tags::ec2_value(it.tags(), tags::ROLE);
            roles.iter().any(|planned| Some(planned.as_str()) == role)
        };
        let live = self.gateways.iter().filter(|it| is_live(it));
        let others = live.filter(|it| !is_planned(it));
        others.filter_map(|it| it.nat_gateway_id()).collect()
    }
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

    /// The addresses beside the one to keep that a gateway which goes still holds, each with it.
    pub fn held(&self, keep: Option<&str>) -> Vec<(&'a Address, &'a NatGateway)> {
        let others = self.addresses.iter().copied();
        let others = others.filter(|it| keep.is_some() && it.allocation_id() != keep);
        let going = || self.surplus.iter().chain(&self.dead).copied();
        let held = others.filter_map(|it| Some((it, address::holder(it, going())?)));
        held.collect()
    }

    /// The address for a new gateway and the dead one that still holds it, if one does.
    ///
    /// # Errors
    /// [`Error::NotYetVisible`] if something else holds it: mostly a gateway of ours that an invocation made which
    /// did not live to say so, and that EC2 does not show yet.
    pub fn held_for_new(
        &self,
        allocation_id: &str,
    ) -> Result<Option<(&'a Address, &'a NatGateway)>, Error> {
        let mut addresses = self.addresses.iter().copied();
        let address = addresses.find(|it| it.allocation_id() == Some(allocation_id));
        let Some(address) = address.filter(|it| it.association_id().is_some()) else {
            return Ok(None);
        };
        let holder = address::holder(address, self.dead.iter().copied());
        let holder = holder.ok_or_else(|| {
            Error::NotYetVisible(format!(
                "the cluster's address {allocation_id} is associated with {}, of which no NAT gateway of the \
                 cluster is known",
                address.network_interface_id().unwrap_or("something")
            ))
        })?;
        Ok(Some((address, holder)))
    }

    /// The same for a person: the address, then the gateway.
    ///
    /// # Errors
    /// Those of [`Compared::check_failures`] and [`Compared::held_for_new`], as the execution would say them.
    pub fn changes(&self) -> Result<Vec<ResourceChange>, Error> {
        self.check_failures()?;
        let keep = self.address(None);
        if let (None, Some(address)) = (self.kept, keep) {
            self.held_for_new(address)?;
        }
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
        let held = self.held(keep).into_iter().map(|(address, _)| address);
        let surplus = address::surplus(&self.addresses, keep).chain(held);
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

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::Tag;

    use super::*;

    const ROLE: &str = "nat-gateway-apne1-az1";
    const SUBNET: &str = "subnet-1";

    fn ours() -> Vec<Tag> {
        let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
        vec![tag(tags::CLUSTER, "demo"), tag(tags::ROLE, ROLE)]
    }

    fn gateway(id: &str, state: NatGatewayState) -> NatGateway {
        let address = NatGatewayAddress::builder().allocation_id("eipalloc-1");
        NatGateway::builder()
            .nat_gateway_id(id)
            .state(state)
            .subnet_id(SUBNET)
            .nat_gateway_addresses(address.build())
            .set_tags(Some(ours()))
            .build()
    }

    fn failed(id: &str, code: &str) -> NatGateway {
        let mut gateway = gateway(id, NatGatewayState::Failed);
        gateway.failure_code = Some(code.to_owned());
        gateway.failure_message = Some("as AWS says".to_owned());
        gateway
    }

    fn address(id: &str) -> Address {
        let address = Address::builder().allocation_id(id);
        address.set_tags(Some(ours())).build()
    }

    /// What is said of the first zone, in a plan with one.
    fn changes(
        gateways: Vec<NatGateway>,
        addresses: Vec<Address>,
    ) -> Result<Vec<ResourceChange>, Error> {
        let mut plan = Plan::example();
        plan.network.zones.truncate(1);
        let seen = Seen {
            gateways,
            addresses,
        };
        let compared = compare(&plan, |_| Some(SUBNET), &seen)?;
        compared[0].changes()
    }

    /// What becomes of address and gateway.
    fn said(address: Change, gateway: Change) -> Vec<ResourceChange> {
        vec![
            ResourceChange::new(address::KIND, ROLE, address),
            ResourceChange::new(KIND, ROLE, gateway),
        ]
    }

    #[test]
    fn a_failed_gateway_is_replaced_and_its_address_kept() {
        let found = || vec![address("eipalloc-1")];
        for (gateways, addresses, expected) in [
            (vec![], vec![], said(Change::Create, Change::Create)),
            (vec![], found(), said(Change::Keep, Change::Create)),
            (
                vec![failed("nat-1", "InternalError")],
                found(),
                said(Change::Keep, Change::Replace),
            ),
            (
                vec![gateway("nat-1", NatGatewayState::Deleted)],
                found(),
                said(Change::Keep, Change::Create),
            ),
            (
                vec![gateway("nat-1", NatGatewayState::Pending)],
                found(),
                said(Change::Keep, Change::Keep),
            ),
        ] {
            assert_eq!(changes(gateways, addresses), Ok(expected));
        }
    }

    #[test]
    fn surplus_gateways_and_free_addresses_are_removed() {
        let pending = gateway("nat-0", NatGatewayState::Pending);
        let kept = gateway("nat-1", NatGatewayState::Available);
        let addresses = ["eipalloc-0", "eipalloc-1"].map(address);
        let [one, other] = said(Change::Keep, Change::Keep).try_into().unwrap();
        let removed = |kind, id| ResourceChange::new(kind, id, Change::Remove);
        let expected = vec![
            one,
            removed(address::KIND, "eipalloc-0"),
            other,
            removed(KIND, "nat-0"),
        ];
        assert_eq!(changes(vec![pending, kept], addresses.into()), Ok(expected));
    }

    #[test]
    fn a_terminal_failure_and_the_fourth_are_refused() {
        let code = codes::TERMINAL_NAT_GATEWAY_FAILURES[0];
        let four = ["nat-1", "nat-2", "nat-3", "nat-4"].map(|id| failed(id, "InternalError"));
        for (failures, text) in [
            (
                vec![failed("nat-1", code)],
                format!("nat-1 failed: {code}: as AWS says"),
            ),
            (
                four.to_vec(),
                "the last one with InternalError: as AWS says".to_owned(),
            ),
        ] {
            let error = changes(failures, vec![]).unwrap_err();
            assert_eq!(error.name(), "ResourceFailed");
            assert!(error.to_string().ends_with(&text), "{error}");
        }
        assert!(changes(four[..3].to_vec(), vec![]).is_ok());
    }

    #[test]
    fn a_gateway_in_another_subnet_is_refused() {
        let mut elsewhere = gateway("nat-1", NatGatewayState::Available);
        elsewhere.subnet_id = Some("subnet-2".to_owned());
        let error = changes(vec![elsewhere], vec![]).unwrap_err();
        let text = "nat-1 is in subnet-2, not in subnet-1";
        assert!(error.to_string().ends_with(text), "{error}");
    }
}
