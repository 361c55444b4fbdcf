//! NAT gateways: zonal ones, public and private.
//!
//! A request is accepted with little more than a look at its ids; what is wrong with it shows later, as
//! a gateway that has failed (botocore's EC2 model, NatGateway.FailureCode).

use std::net::Ipv4Addr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::address::Association;
use super::describe::{Resource, Spelling, describe as answer};
use super::kind::{ADDRESS, Kind, NAT_GATEWAY, SUBNET};
use super::network_interface::NewInterface;
use super::request::{Request, invalid_value, unmodelled};
use super::tags::{self, Tags};
use super::tokens::Created;
use super::zones::zones;
use super::{Ec2, Quotas, Subnet};
use crate::fault::Fault;
use crate::xml::Element;

/// A NAT gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NatGateway {
    /// `nat-…`
    pub id: String,
    /// The subnet that it is in.
    pub subnet_id: String,
    /// The VPC that it is in.
    pub vpc_id: String,
    /// The zone that it is in.
    pub zone_id: String,
    /// The Elastic IP address of a public gateway; `None` for a private one.
    pub allocation_id: Option<String>,
    /// What it got when it was accepted; `None` if it will fail.
    pub interface: Option<Interface>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Until then it is pending.
    pub pending_until: Timestamp,
    /// Why it failed; shown once it is no longer pending.
    pub failure: Option<Failure>,
    /// Whether the end of pending has been dealt with.
    settled: bool,
    /// Its end, if it was deleted.
    pub deletion: Option<Deletion>,
    /// Tags.
    pub tags: Tags,
}

/// The network interface of a NAT gateway, as it was even when the gateway is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// `eni-…`
    pub id: String,
    /// Its address in the subnet.
    pub private_ip: Ipv4Addr,
    /// The Elastic IP address.
    pub public_ip: Option<Ipv4Addr>,
    /// The association of the Elastic IP address.
    pub association_id: Option<String>,
}

/// Why a NAT gateway failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// For example `Gateway.NotAttached`.
    pub code: String,
    /// The sentence for people.
    pub message: String,
}

/// The end of a NAT gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// When it was asked for.
    pub started_at: Timestamp,
    /// Until then it is deleting.
    pub done_at: Timestamp,
}

/// botocore's EC2 model, NatGatewayState.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Being made.
    Pending,
    /// Could not be made.
    Failed,
    /// Works.
    Available,
    /// Going away, and may still work.
    Deleting,
    /// Gone.
    Deleted,
}

/// VPC user guide, NAT gateways: failed and deleted gateways stay visible for about an hour.
const VISIBLE_AFTER_END: SignedDuration = SignedDuration::from_hours(1);
/// From public logs of Terraform: 1m25s to 2m05s until available, 42 s to 1m34s until deleted.
const PENDING_SECONDS: std::ops::Range<f64> = 85.0..125.0;
const DELETING_SECONDS: std::ops::Range<f64> = 42.0..94.0;

const OPERATION: &str = "CreateNatGateway";

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Failed => "failed",
            Self::Available => "available",
            Self::Deleting => "deleting",
            Self::Deleted => "deleted",
        }
    }
}

impl NatGateway {
    /// Its state at a time.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> State {
        match (&self.deletion, &self.failure) {
            (Some(deletion), _) if now < deletion.done_at => State::Deleting,
            (Some(_), _) => State::Deleted,
            (None, _) if now < self.pending_until => State::Pending,
            (None, Some(_)) => State::Failed,
            (None, None) => State::Available,
        }
    }

    /// Whether it takes up its place: what failed or was deleted does not.
    #[must_use]
    pub fn exists(&self, now: Timestamp) -> bool {
        !matches!(self.state(now), State::Failed | State::Deleted)
    }

    fn is_public(&self) -> bool {
        self.allocation_id.is_some()
    }
}

/// `CreateNatGateway`.
pub(super) fn create(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, Fault> {
    if let Some(Created::NatGateway(earlier)) = ec2.earlier(OPERATION, request)? {
        let current = ec2.nat_gateways.get(&earlier.id).unwrap_or(earlier);
        return Ok(created(ec2, request, current));
    }
    if request.get("AvailabilityMode") == Some("regional") {
        return Err(unmodelled("regional NAT gateways"));
    }
    request.refuse_unmodelled(&[
        "AvailabilityZoneAddress",
        "PrivateIpAddress",
        "SecondaryAllocationId",
        "SecondaryPrivateIpAddress",
        "SecondaryPrivateIpAddressCount",
    ])?;
    let subnet_id = request.id("SubnetId", &SUBNET)?;
    let subnet = ec2.look_up(&ec2.subnets, &SUBNET, subnet_id)?.clone();
    let allocation_id = allocation(ec2, request)?;
    let tags = tags::of_new(request, &NAT_GATEWAY)?;
    let in_zone = |nat: &&NatGateway| nat.zone_id == subnet.zone_id && nat.exists(request.now);
    let used = ec2.nat_gateways.values().filter(in_zone).count();
    let quota = ec2.quotas.nat_gateways_per_zone;
    let code = "NatGatewayLimitExceeded";
    Quotas::check(used, quota, code, "NAT gateways")?;

    let place = format!("{}/{}", subnet.zone_id, subnet.cidr);
    let id = ec2.mint(request, NAT_GATEWAY.prefix, &format!("{subnet_id}/{place}"));
    let failure = failure_on_arrival(ec2, request, &subnet, allocation_id.as_deref());
    let interface = match failure {
        Some(_) => None,
        None => Some(settle_in(
            ec2,
            request,
            &id,
            subnet_id,
            allocation_id.as_deref(),
        )),
    };
    let pending = (request.seed).duration("nat-gateway", &request.placed(&place), PENDING_SECONDS);
    let gateway = NatGateway {
        subnet_id: subnet.id,
        vpc_id: subnet.vpc_id,
        zone_id: subnet.zone_id,
        allocation_id,
        interface: interface.flatten(),
        created_at: request.now,
        pending_until: request.now + pending,
        failure,
        settled: false,
        deletion: None,
        tags,
        id: id.clone(),
    };
    ec2.remember(OPERATION, request, Created::NatGateway(gateway.clone()));
    let answer = created(ec2, request, &gateway);
    ec2.nat_gateways.insert(id, gateway);
    Ok(answer)
}

fn created(ec2: &Ec2, request: &Request<'_>, gateway: &NatGateway) -> Vec<Element> {
    let mut answer = vec![Element::new("natGateway").children(gateway.content(ec2, request))];
    let token = request.get("ClientToken");
    answer.extend(token.map(|token| Element::text("clientToken", token)));
    answer
}

/// The Elastic IP address that a public gateway needs and a private one must not have.
fn allocation(ec2: &Ec2, request: &Request<'_>) -> Result<Option<String>, Fault> {
    match request.get("ConnectivityType").unwrap_or("public") {
        "public" => {
            let id = request.id("AllocationId", &ADDRESS)?;
            ec2.look_up(&ec2.addresses, &ADDRESS, id)?;
            Ok(Some(id.to_owned()))
        }
        "private" if request.get("AllocationId").is_none() => Ok(None),
        "private" => Err(Fault::client(
            "InvalidParameterCombination",
            "AllocationId cannot be specified for a private NAT gateway",
        )),
        other => Err(invalid_value(
            "ConnectivityType",
            other,
            "Use public or private.",
        )),
    }
}

/// What is wrong already when the request is accepted. Codes and messages: botocore's EC2 model,
/// NatGateway.FailureMessage.
fn failure_on_arrival(
    ec2: &Ec2,
    request: &Request<'_>,
    subnet: &Subnet,
    allocation_id: Option<&str>,
) -> Option<Failure> {
    if ec2.free_addresses(&subnet.id) == 0 {
        return Some(Failure {
            code: "InsufficientFreeAddressesInSubnet".to_owned(),
            message: "Subnet has insufficient free addresses to create this NAT gateway".to_owned(),
        });
    }
    let address = ec2.addresses.get(allocation_id?)?;
    let id = &address.id;
    if address.association.is_some() {
        return Some(Failure {
            code: "Resource.AlreadyAssociated".to_owned(),
            message: format!("Elastic IP address {id} is already associated"),
        });
    }
    // botocore's EC2 model, CreateNatGateway: address and zone must have the same network border group.
    let zone = zones(request.region)
        .into_iter()
        .find(|zone| zone.id == subnet.zone_id)?;
    (zone.network_border_group != address.network_border_group).then(|| Failure {
        code: "InvalidAllocationID.NotFound".to_owned(),
        message: format!("Elastic IP address {id} could not be associated with this NAT gateway"),
    })
}

/// Makes the gateway's network interface and takes the address.
fn settle_in(
    ec2: &mut Ec2,
    request: &Request<'_>,
    id: &str,
    subnet_id: &str,
    allocation_id: Option<&str>,
) -> Option<Interface> {
    let new = NewInterface {
        subnet_id: subnet_id.to_owned(),
        description: format!("Interface for NAT Gateway {id}"),
        requester_id: Some("amazon-natgateway".to_owned()),
        security_groups: Vec::new(),
        owner: request.account.to_owned(),
    };
    let interface_id = ec2.add_interface_of_type(request.seed, new, "nat_gateway");
    let private_ip = ec2.network_interfaces.get(&interface_id)?.private_ip;
    let mut interface = Interface {
        id: interface_id,
        private_ip,
        public_ip: None,
        association_id: None,
    };
    if let Some(address) = allocation_id.and_then(|id| ec2.addresses.get_mut(id)) {
        let association = Association {
            id: request.seed.id("eipassoc", &interface.id),
            interface_id: interface.id.clone(),
        };
        interface.public_ip = Some(address.public_ip);
        interface.association_id = Some(association.id.clone());
        address.association = Some(association);
    }
    Some(interface)
}

/// Lets pending gateways become available or fail, deleting ones go, and old ones vanish.
pub(super) fn settle(ec2: &mut Ec2, now: Timestamp) {
    let ids: Vec<String> = ec2.nat_gateways.keys().cloned().collect();
    for id in ids {
        end_pending(ec2, &id, now);
        let Some(gateway) = ec2.nat_gateways.get(&id) else {
            continue;
        };
        if !gateway.exists(now)
            && let Some(interface) = gateway.interface.clone()
        {
            ec2.remove_interface(&interface.id);
        }
    }
    ec2.nat_gateways.retain(|_, gateway| {
        let ended_at =
            (gateway.deletion).map_or(gateway.pending_until, |deletion| deletion.done_at);
        gateway.exists(now) || now < ended_at + VISIBLE_AFTER_END
    });
}

/// The verdict at the end of pending.
fn end_pending(ec2: &mut Ec2, id: &str, now: Timestamp) {
    let Some(gateway) = ec2.nat_gateways.get(id) else {
        return;
    };
    if gateway.settled || gateway.deletion.is_some() || now < gateway.pending_until {
        return;
    }
    let vpc_id = gateway.vpc_id.clone();
    let lacks_internet = gateway.is_public() && ec2.internet_gateway_of(&vpc_id).is_none();
    let Some(gateway) = ec2.nat_gateways.get_mut(id) else {
        return;
    };
    gateway.settled = true;
    if lacks_internet && gateway.failure.is_none() {
        gateway.failure = Some(Failure {
            code: "Gateway.NotAttached".to_owned(),
            message: format!("Network {vpc_id} has no Internet gateway attached"),
        });
    }
}

/// `DeleteNatGateway`: the address is disassociated when the gateway is gone, and not released; routes
/// to it stay, as black holes (botocore's EC2 model).
pub(super) fn delete(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, Fault> {
    let id = request.id("NatGatewayId", &NAT_GATEWAY)?;
    let gateway = ec2.look_up(&ec2.nat_gateways, &NAT_GATEWAY, id)?;
    let place = ec2.place_of(gateway);
    let wait =
        (request.seed).duration("nat-gateway-end", &request.placed(&place), DELETING_SECONDS);
    let now = request.now;
    let done_at = match gateway.state(now) {
        State::Deleted => return Err(NAT_GATEWAY.missing(id)),
        State::Deleting => None,
        // It has nothing that would have to be taken down.
        State::Failed => Some(now),
        State::Pending | State::Available => Some(now + wait),
    };
    if let (Some(done_at), Some(gateway)) = (done_at, ec2.nat_gateways.get_mut(id)) {
        let started_at = now;
        gateway.deletion = Some(Deletion {
            started_at,
            done_at,
        });
    }
    Ok(vec![Element::text("natGatewayId", id)])
}

/// `DescribeNatGateways`.
pub(super) fn describe(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, Fault> {
    let spelling = Spelling {
        ids: "NatGatewayId",
        set: "natGatewaySet",
        page_limit: Some(1000),
    };
    answer(ec2, request, &ec2.nat_gateways, &spelling)
}

impl Ec2 {
    fn place_of(&self, gateway: &NatGateway) -> String {
        let cidr = (self.subnets.get(&gateway.subnet_id)).map(|subnet| subnet.cidr.to_string());
        format!("{}/{}", gateway.zone_id, cidr.unwrap_or_default())
    }
}

impl Request<'_> {
    /// What a duration is drawn from: where the thing is, and never the order of calls.
    fn placed(&self, place: &str) -> String {
        format!("{}/{}/{place}", self.account, self.region)
    }
}

impl Resource for NatGateway {
    const KIND: Kind = NAT_GATEWAY;
    const FILTERS: &'static [&'static str] = &["nat-gateway-id", "state", "subnet-id", "vpc-id"];

    fn tags(&self) -> &Tags {
        &self.tags
    }

    fn attribute(&self, name: &str, _: &Ec2, request: &Request<'_>) -> Vec<String> {
        let value = match name {
            "nat-gateway-id" => self.id.clone(),
            "state" => self.state(request.now).as_str().to_owned(),
            "subnet-id" => self.subnet_id.clone(),
            "vpc-id" => self.vpc_id.clone(),
            _ => return Vec::new(),
        };
        vec![value]
    }

    fn content(&self, _: &Ec2, request: &Request<'_>) -> Vec<Element> {
        let state = self.state(request.now);
        let connectivity = if self.is_public() {
            "public"
        } else {
            "private"
        };
        let mut content = vec![
            Element::text("natGatewayId", &self.id),
            Element::text("subnetId", &self.subnet_id),
            Element::text("vpcId", &self.vpc_id),
            Element::text("state", state.as_str()),
            Element::text("createTime", format!("{:.3}", self.created_at)),
            Element::text("connectivityType", connectivity),
            Element::text("availabilityMode", "zonal"),
            Element::list("natGatewayAddressSet", "item", [self.address(state)]),
            tags::element(&self.tags),
        ];
        if let Some(deletion) = &self.deletion {
            content.push(Element::text(
                "deleteTime",
                format!("{:.3}", deletion.started_at),
            ));
        }
        if let Some(failure) = self.failure.as_ref().filter(|_| state != State::Pending) {
            content.push(Element::text("failureCode", &failure.code));
            content.push(Element::text("failureMessage", &failure.message));
        }
        content
    }
}

impl NatGateway {
    /// The only address. While the gateway is pending EC2 shows no more than the allocation.
    fn address(&self, state: State) -> Vec<Element> {
        let allocation = self.allocation_id.as_ref();
        let mut address: Vec<Element> = allocation
            .map(|id| Element::text("allocationId", id))
            .into_iter()
            .collect();
        let interface = match state {
            State::Pending | State::Failed => None,
            _ => self.interface.as_ref(),
        };
        let Some(interface) = interface else {
            return address;
        };
        address.extend([
            Element::text("networkInterfaceId", &interface.id),
            Element::text("privateIp", interface.private_ip),
            Element::text("isPrimary", true),
            Element::text("status", "succeeded"),
        ]);
        let public_ip = interface.public_ip.as_ref();
        address.extend(public_ip.map(|ip| Element::text("publicIp", ip)));
        let association = interface.association_id.as_ref();
        address.extend(association.map(|id| Element::text("associationId", id)));
        address
    }
}
