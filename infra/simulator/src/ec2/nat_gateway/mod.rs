//! NAT gateways: zonal ones, public and private.
//!
//! A request is accepted with little more than a look at its ids; what is wrong with it shows later, as
//! a gateway that has failed (botocore's EC2 model, NatGateway.FailureCode).

mod create;

use std::net::Ipv4Addr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Ec2;
use super::describe::{Resource, Spelling, describe as answer};
use super::kind::{Kind, NAT_GATEWAY};
use super::request::Request;
use super::tags::{self, Tags};
use crate::api_error::ApiError;
use crate::xml::Element;

pub(super) use create::create;

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
/// How long its interface, and with it the association of its address, outlives a gateway that is
/// `deleted`: moments, as those report who release the address then (eformat/sno-for-100 issue 9).
const TIDYING_SECONDS: std::ops::Range<f64> = 0.0..20.0;

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

/// Lets pending gateways become available or fail, deleting ones go, and old ones vanish.
pub(super) fn settle(ec2: &mut Ec2, now: Timestamp) {
    let ids: Vec<String> = ec2.nat_gateways.keys().cloned().collect();
    for id in ids {
        end_pending(ec2, &id, now);
        let Some(gateway) = ec2.nat_gateways.get(&id) else {
            continue;
        };
        if gateway.state(now) == State::Failed
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
pub(super) fn delete(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let id = request.id("NatGatewayId", &NAT_GATEWAY)?;
    let gateway = ec2.look_up(&ec2.nat_gateways, &NAT_GATEWAY, id)?;
    let place = ec2.place_of(gateway);
    let interface = gateway.interface.as_ref().map(|it| it.id.clone());
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
        if let Some(interface) = interface {
            let tidying = (request.seed).duration("nat-gateway-tidy", id, TIDYING_SECONDS);
            ec2.remove_interface_at(&interface, done_at + tidying);
        }
    }
    Ok(vec![Element::text("natGatewayId", id)])
}

/// `DescribeNatGateways`.
pub(super) fn describe(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use aws_sdk_ec2::types::{NatGatewayState, RouteState};

    use crate::ec2::testing::{World, code, wait};

    #[tokio::test(start_paused = true)]
    async fn nat_gateway_is_pending_for_minutes_and_then_available() {
        let world = World::new();
        let vpc = world.vpc().await;
        let subnet = world.subnet(&vpc, "10.0.0.0/24").await;
        let gateway = world.internet_gateway().await;
        world.attach(&gateway, &vpc).await;
        let allocation = world.address().await;
        let id = world.nat_gateway(&subnet, &allocation).await;
        wait(84).await;
        let nat = world.describe_nat_gateway(&id).await;
        assert_eq!(nat.state, Some(NatGatewayState::Pending));
        let address = &nat.nat_gateway_addresses()[0];
        assert_eq!(address.allocation_id.as_ref(), Some(&allocation));
        assert_eq!(address.public_ip, None);
        wait(41).await;
        let nat = world.describe_nat_gateway(&id).await;
        assert_eq!(nat.state, Some(NatGatewayState::Available));
        let address = &nat.nat_gateway_addresses()[0];
        let public_ip = world.read(|ec2| ec2.addresses[&allocation].public_ip.to_string());
        assert_eq!(address.public_ip.as_ref(), Some(&public_ip));
        assert_eq!(nat.vpc_id.as_ref(), Some(&vpc));
        assert!(nat.create_time.is_some());
        let lifetimes = world.simulator.durations();
        assert_eq!(lifetimes.len(), 1);
        assert_eq!(lifetimes[0].kind, "AWS::EC2::NatGateway");
        assert!((85.0..125.0).contains(&lifetimes[0].seconds));
    }

    #[tokio::test(start_paused = true)]
    async fn nat_gateway_without_internet_gateway_fails_later() {
        let world = World::new();
        let vpc = world.vpc().await;
        let subnet = world.subnet(&vpc, "10.0.0.0/24").await;
        let allocation = world.address().await;
        let id = world.nat_gateway(&subnet, &allocation).await;
        let nat = world.describe_nat_gateway(&id).await;
        assert_eq!(nat.state, Some(NatGatewayState::Pending));
        assert_eq!(nat.failure_code, None);
        wait(125).await;
        let nat = world.describe_nat_gateway(&id).await;
        assert_eq!(nat.state, Some(NatGatewayState::Failed));
        assert_eq!(nat.failure_code.as_deref(), Some("Gateway.NotAttached"));
        let message = nat.failure_message.unwrap();
        assert_eq!(
            message,
            format!("Network {vpc} has no Internet gateway attached")
        );

        let call = world.ec2.release_address().allocation_id(&allocation);
        call.send().await.unwrap();
        let call = world.ec2.delete_subnet().subnet_id(&subnet);
        call.send().await.unwrap();
        assert!(world.simulator.durations().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn internet_gateway_may_come_while_the_nat_gateway_is_pending() {
        let world = World::new();
        let vpc = world.vpc().await;
        let subnet = world.subnet(&vpc, "10.0.0.0/24").await;
        let id = world.nat_gateway(&subnet, &world.address().await).await;
        wait(60).await;
        let gateway = world.internet_gateway().await;
        world.attach(&gateway, &vpc).await;
        wait(65).await;
        let nat = world.describe_nat_gateway(&id).await;
        assert_eq!(nat.state, Some(NatGatewayState::Available));
    }

    #[tokio::test(start_paused = true)]
    async fn deleted_nat_gateway_frees_its_address_and_leaves_a_black_hole() {
        let world = World::new();
        let network = world.network().await;
        let delete = || {
            let call = world.ec2.delete_nat_gateway();
            call.nat_gateway_id(&network.nat_gateway).send()
        };
        delete().await.unwrap();
        let nat = world.describe_nat_gateway(&network.nat_gateway).await;
        assert_eq!(nat.state, Some(NatGatewayState::Deleting));
        delete().await.unwrap();
        wait(41).await;
        // Until it is gone it keeps its address, its interface and its routes.
        let release = || {
            let call = world.ec2.release_address();
            call.allocation_id(&network.allocation).send()
        };
        assert_eq!(code(release().await), "AuthFailure");
        let state = async || {
            let table = world.describe_route_table(&network.private_routes).await;
            let mut routes = table.routes().iter();
            let route = routes.find(|it| it.nat_gateway_id.is_some()).unwrap();
            route.state.clone()
        };
        assert_eq!(state().await, Some(RouteState::Active));
        assert!(world.read(|ec2| !ec2.network_interfaces.is_empty()));
        // It holds its address for moments after it is `deleted`.
        let mut was_held = false;
        for _ in 0..53 + 20 {
            wait(1).await;
            let nat = world.describe_nat_gateway(&network.nat_gateway).await;
            let is_there = world.read(|ec2| !ec2.network_interfaces.is_empty());
            if is_there && nat.state == Some(NatGatewayState::Deleted) {
                assert_eq!(code(release().await), "AuthFailure");
                was_held = true;
            }
        }
        assert!(was_held);
        assert!(world.read(|ec2| ec2.network_interfaces.is_empty()));
        let nat = world.describe_nat_gateway(&network.nat_gateway).await;
        assert_eq!(nat.state, Some(NatGatewayState::Deleted));
        assert!(nat.delete_time.is_some());
        assert_eq!(code(delete().await), "NatGatewayNotFound");

        let table = world.describe_route_table(&network.private_routes).await;
        let mut routes = table.routes().iter();
        let route = routes.find(|it| it.nat_gateway_id.is_some()).unwrap();
        assert_eq!(route.state, Some(RouteState::Blackhole));
        let id = route.nat_gateway_id.as_ref();
        assert_eq!(id, Some(&network.nat_gateway));
        let call = world.ec2.describe_addresses().send();
        let addresses = call.await.unwrap().addresses.unwrap();
        assert_eq!(addresses[0].association_id, None);
        release().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn ended_nat_gateways_vanish_after_an_hour() {
        let world = World::new();
        let vpc = world.vpc().await;
        let subnet = world.subnet(&vpc, "10.0.0.0/24").await;
        let id = world.nat_gateway(&subnet, &world.address().await).await;
        wait(3600).await;
        world.describe_nat_gateway(&id).await;
        wait(126).await;
        let call = world
            .ec2
            .describe_nat_gateways()
            .nat_gateway_ids(&id)
            .send();
        assert_eq!(code(call.await), "NatGatewayNotFound");
    }

    #[tokio::test(start_paused = true)]
    async fn durations_come_from_the_place_and_not_from_the_order() {
        let mut seen = BTreeMap::new();
        for cidrs in [
            ["10.0.0.0/24", "10.0.1.0/24"],
            ["10.0.1.0/24", "10.0.0.0/24"],
        ] {
            let world = World::new();
            let vpc = world.vpc().await;
            for cidr in cidrs {
                let subnet = world.subnet(&vpc, cidr).await;
                let id = world.nat_gateway(&subnet, &world.address().await).await;
                let pending = world.read(|ec2| {
                    let nat = &ec2.nat_gateways[&id];
                    nat.pending_until.duration_since(nat.created_at)
                });
                let earlier = seen.insert(cidr, pending);
                assert!(earlier.is_none_or(|earlier| earlier == pending));
            }
        }
        assert_eq!(seen.len(), 2);
        assert_ne!(seen["10.0.0.0/24"], seen["10.0.1.0/24"]);
    }
}
