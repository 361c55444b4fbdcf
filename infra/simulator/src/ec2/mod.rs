//! EC2 networking: VPCs, subnets, gateways, addresses, routes, security groups, network interfaces.
//!
//! One file for each kind of resource, with its operations and the rules that EC2 states for it. What
//! they share: `kind` (ids and their error codes), `describe` and `filters`, `eventual_consistency` (what
//! lists show late), `tags`, `tokens`.
//!
//! What others put into a VPC (instances, load balancers' interfaces, peering connections, endpoints,
//! virtual private and egress-only internet gateways) has no operations that make it: it is added by
//! hand, can be described, and is in the way of a deletion where EC2 says so.
//!
//! An account starts without a default VPC, as landing zones leave it. To have one count against the
//! quota, lower [`Quotas::vpcs`]. IPv6, regional NAT gateways, IPAM, Outposts and what else EC2 can do
//! beyond the operations here is refused with `UnsupportedOperation`, never silently ignored.

mod account;
pub mod address;
pub mod association;
pub mod block_public_access;
pub mod carrier_gateway;
mod cidr;
mod describe;
pub mod egress_only_internet_gateway;
mod eventual_consistency;
mod filters;
pub mod instance;
pub mod internet_gateway;
pub mod kind;
pub mod load_balancer;
pub mod nat_gateway;
pub mod network_acl;
pub mod network_interface;
mod queries;
mod region;
mod request;
pub mod route;
pub mod route_table;
pub mod security_group;
pub mod security_group_vpc_association;
pub mod subnet;
mod tag_description;
pub mod tags;
#[cfg(test)]
pub(crate) mod testing;
mod tokens;
pub mod transit_gateway_attachment;
pub mod vpc;
pub mod vpc_endpoint;
pub mod vpc_peering_connection;
pub mod vpn_gateway;
pub mod zones;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Lifetime;
use crate::api_error::ApiError;
use crate::faults::end_of_lag;
use crate::params::Params;
use crate::state::Context;
use crate::xml::Element;

pub use address::Address;
pub use association::Association;
pub use block_public_access::BlockPublicAccess;
pub use carrier_gateway::CarrierGateway;
pub use egress_only_internet_gateway::EgressOnlyInternetGateway;
pub use instance::{Instance, NewInstance};
pub use internet_gateway::InternetGateway;
pub use load_balancer::NewLoadBalancerInterface;
pub use nat_gateway::NatGateway;
pub use network_acl::NetworkAcl;
pub use network_interface::{NetworkInterface, NewInterface};
pub use route_table::RouteTable;
pub use security_group::{NewSecurityGroup, SecurityGroup};
pub use security_group_vpc_association::SecurityGroupVpcAssociation;
pub use subnet::{DnsNames, Subnet};
pub use transit_gateway_attachment::TransitGatewayAttachment;
pub use vpc::Vpc;
pub use vpc_endpoint::{EndpointKind, NewVpcEndpoint, VpcEndpoint};
pub use vpc_peering_connection::{NewVpcPeeringConnection, Side, VpcPeeringConnection};
pub use vpn_gateway::VpnGateway;
pub use zones::{Zone, ZoneConditions, zones, zones_of};

use request::Request;

/// The networking of one account in one region.
///
/// Everything is settled up to the last call: what happened by itself since (a NAT gateway became
/// available, failed, or was gone; another service deleted what it had made) is put in by [`Ec2::settle`] before anybody looks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ec2 {
    /// VPCs by id.
    pub vpcs: BTreeMap<String, Vpc>,
    /// Subnets by id.
    pub subnets: BTreeMap<String, Subnet>,
    /// Internet gateways by id.
    pub internet_gateways: BTreeMap<String, InternetGateway>,
    /// Elastic IP addresses by allocation id.
    pub addresses: BTreeMap<String, Address>,
    /// NAT gateways by id; failed and deleted ones stay for an hour.
    pub nat_gateways: BTreeMap<String, NatGateway>,
    /// Route tables by id, main ones included.
    pub route_tables: BTreeMap<String, RouteTable>,
    /// Security groups by id, default ones included.
    pub security_groups: BTreeMap<String, SecurityGroup>,
    /// Network interfaces by id.
    pub network_interfaces: BTreeMap<String, NetworkInterface>,
    /// Instances by id.
    #[serde(default)]
    pub instances: BTreeMap<String, Instance>,
    /// VPC peering connections by id.
    #[serde(default)]
    pub vpc_peering_connections: BTreeMap<String, VpcPeeringConnection>,
    /// VPC endpoints by id.
    #[serde(default)]
    pub vpc_endpoints: BTreeMap<String, VpcEndpoint>,
    /// Virtual private gateways by id.
    #[serde(default)]
    pub vpn_gateways: BTreeMap<String, VpnGateway>,
    /// Egress-only internet gateways by id.
    #[serde(default)]
    pub egress_only_internet_gateways: BTreeMap<String, EgressOnlyInternetGateway>,
    /// VPC Block Public Access.
    #[serde(default)]
    pub block_public_access: BlockPublicAccess,
    /// How the region's zones are.
    #[serde(default)]
    pub zones: ZoneConditions,
    /// Network ACLs by id, default ones included.
    #[serde(default)]
    pub network_acls: BTreeMap<String, NetworkAcl>,
    /// Carrier gateways by id.
    #[serde(default)]
    pub carrier_gateways: BTreeMap<String, CarrierGateway>,
    /// Attachments of VPCs to transit gateways by id.
    #[serde(default)]
    pub transit_gateway_attachments: BTreeMap<String, TransitGatewayAttachment>,
    /// Associations of security groups with other VPCs, by both ids.
    #[serde(default)]
    pub security_group_vpc_associations: BTreeMap<String, SecurityGroupVpcAssociation>,
    /// What the account may have. Tests change it.
    pub quotas: Quotas,
    /// Allocation ids that were released.
    released: BTreeSet<String>,
    /// Client tokens that were used.
    tokens: BTreeMap<String, tokens::Use>,
    /// How many ids were made for each kind and name: EC2 never gives an id twice.
    minted: BTreeMap<String, u32>,
    /// Ids that other calls do not see yet, and until when.
    hidden: BTreeMap<String, Timestamp>,
    /// What lists do not know yet.
    eventual_consistency: eventual_consistency::EventualConsistency,
}

/// What an account may have in a region, with AWS' defaults (VPC user guide, Amazon VPC quotas;
/// EC2 user guide, Elastic IP address quota).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quotas {
    /// `VpcLimitExceeded` beyond.
    pub vpcs: usize,
    /// `InternetGatewayLimitExceeded` beyond.
    pub internet_gateways: usize,
    /// `AddressLimitExceeded` beyond.
    pub addresses: usize,
    /// `NatGatewayLimitExceeded` beyond; pending, available and deleting ones count.
    pub nat_gateways_per_zone: usize,
    /// `SubnetLimitExceeded` beyond.
    pub subnets_per_vpc: usize,
    /// `RouteTableLimitExceeded` beyond; the main one counts.
    pub route_tables_per_vpc: usize,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            vpcs: 5,
            internet_gateways: 5,
            addresses: 5,
            nat_gateways_per_zone: 5,
            subnets_per_vpc: 200,
            route_tables_per_vpc: 200,
        }
    }
}

impl Quotas {
    /// Refuses one more of `what` if there are `used` of `quota` already.
    fn check(used: usize, quota: usize, code: &str, what: &str) -> Result<(), ApiError> {
        if used < quota {
            return Ok(());
        }
        let message = format!("The maximum number of {what} has been reached.");
        Err(ApiError::client(code, message))
    }
}

/// What every operation is: it reads or changes the networking and answers with the children of its
/// response element.
type Operation = fn(&mut Ec2, &Request<'_>) -> Result<Vec<Element>, ApiError>;

/// Answers `operation` with the children of its response element.
///
/// # Errors
/// EC2's own codes.
pub fn handle(
    context: &mut Context<'_>,
    operation: &str,
    params: &Params,
) -> Result<Vec<Element>, ApiError> {
    let work = find(operation).ok_or_else(|| {
        let message = format!("The action {operation} is not valid for this web service.");
        ApiError::client("InvalidAction", message)
    })?;
    let (account, region) = (context.account.clone(), context.region.clone());
    let faults = context.state.faults.clone();
    let opted_in = (context.state.accounts.get(&account))
        .map(|account| account.opted_in.clone())
        .unwrap_or_default();
    let request = Request {
        now: context.now,
        account: &account,
        region: &region,
        partition: context.partition(),
        seed: context.seed,
        faults: &faults,
        opted_in: &opted_in,
        params,
    };
    tokens::check(operation, &request)?;
    address::check_before_dry_run(operation, &request)?;
    // botocore's EC2 model, DryRun: the answer to a permitted dry run is an error. It comes before ids,
    // targets and states are looked at (captured: radkawar/stackd, testdata/aws/ec2).
    if request.flag("DryRun")? == Some(true) {
        let message = "Request would have succeeded, but DryRun flag is set.";
        return Err(ApiError::new(412, "DryRunOperation", message));
    }
    let ec2 = context.ec2();
    ec2.settle(request.now);
    ec2.eventually_consistent(&request, |ec2| work(ec2, &request))
}

/// All operations, by their names.
const OPERATIONS: &[(&str, Operation)] = &[
    ("CreateVpc", vpc::create),
    ("DeleteVpc", vpc::delete),
    ("DescribeVpcs", vpc::describe),
    ("ModifyVpcAttribute", vpc::modify_attribute),
    ("DescribeVpcAttribute", vpc::describe_attribute),
    ("CreateSubnet", subnet::create),
    ("DeleteSubnet", subnet::delete),
    ("DescribeSubnets", subnet::describe),
    ("ModifySubnetAttribute", subnet::modify_attribute),
    ("CreateInternetGateway", internet_gateway::create),
    ("DeleteInternetGateway", internet_gateway::delete),
    ("AttachInternetGateway", internet_gateway::attach),
    ("DetachInternetGateway", internet_gateway::detach),
    ("DescribeInternetGateways", internet_gateway::describe),
    ("AllocateAddress", address::allocate),
    ("ReleaseAddress", address::release),
    ("DescribeAddresses", address::describe),
    ("DescribeAddressesAttribute", address::describe_attribute),
    ("CreateNatGateway", nat_gateway::create),
    ("DeleteNatGateway", nat_gateway::delete),
    ("DescribeNatGateways", nat_gateway::describe),
    ("CreateRouteTable", route_table::create),
    ("DeleteRouteTable", route_table::delete),
    ("DescribeRouteTables", route_table::describe),
    ("AssociateRouteTable", association::create),
    ("ReplaceRouteTableAssociation", association::replace),
    ("DisassociateRouteTable", association::delete),
    ("CreateRoute", route::create),
    ("ReplaceRoute", route::replace),
    ("DeleteRoute", route::delete),
    ("CreateSecurityGroup", security_group::create),
    ("DeleteSecurityGroup", security_group::delete),
    ("DescribeSecurityGroups", security_group::describe),
    (
        "AssociateSecurityGroupVpc",
        security_group_vpc_association::create,
    ),
    (
        "DisassociateSecurityGroupVpc",
        security_group_vpc_association::delete,
    ),
    (
        "DescribeSecurityGroupVpcAssociations",
        security_group_vpc_association::describe,
    ),
    ("DescribeNetworkInterfaces", network_interface::describe),
    ("DeleteNetworkInterface", network_interface::delete),
    ("DescribeInstances", instance::describe),
    (
        "DescribeVpcPeeringConnections",
        vpc_peering_connection::describe,
    ),
    ("DescribeVpcEndpoints", vpc_endpoint::describe),
    ("DescribeVpnGateways", vpn_gateway::describe),
    (
        "DescribeEgressOnlyInternetGateways",
        egress_only_internet_gateway::describe,
    ),
    ("DeleteVpcEndpoints", vpc_endpoint::delete),
    ("DescribeNetworkAcls", network_acl::describe),
    ("DescribeCarrierGateways", carrier_gateway::describe),
    (
        "DescribeTransitGatewayVpcAttachments",
        transit_gateway_attachment::describe,
    ),
    ("CreateTags", tags::create),
    ("DeleteTags", tags::delete),
    ("DescribeTags", tag_description::describe),
    (
        "DescribeVpcBlockPublicAccessOptions",
        block_public_access::describe_options,
    ),
    (
        "DescribeVpcBlockPublicAccessExclusions",
        block_public_access::describe_exclusions,
    ),
    ("DescribeAvailabilityZones", zones::describe),
    ("DescribeRegions", region::describe),
    ("DescribeAccountAttributes", account::describe_attributes),
];

/// The names of all operations.
pub fn operations() -> impl Iterator<Item = &'static str> {
    OPERATIONS.iter().map(|(name, _)| *name)
}

/// Whether an operation changes nothing.
pub(crate) fn only_reads(operation: &str) -> bool {
    let verbs = ["Describe", "Get", "List", "Search"];
    verbs.iter().any(|verb| operation.starts_with(verb))
}

fn find(operation: &str) -> Option<Operation> {
    let found = OPERATIONS.iter().find(|(name, _)| *name == operation);
    found.map(|(_, work)| *work)
}

impl Ec2 {
    /// Lets happen what happens by itself until `now`.
    pub fn settle(&mut self, now: Timestamp) {
        self.hidden.retain(|_, until| *until > now);
        self.eventual_consistency.forget(now);
        nat_gateway::settle(self, now);
        // Groups before interfaces: they go by what used them at their time.
        vpc_endpoint::settle(self, now);
        security_group_vpc_association::settle(self, now);
        security_group::settle(self, now);
        network_interface::settle(self, now);
    }

    /// An id that was never used before, for something with the name `name` within the account and
    /// region of the request. Other calls may not see it for a while.
    fn mint(&mut self, request: &Request<'_>, prefix: &str, name: &str) -> String {
        let name = format!("{}/{}/{name}", request.account, request.region);
        let id = self.fresh_id(request.seed, prefix, &name);
        // EC2 developer guide, eventual consistency: a new id may be unknown to the next call.
        let lag = request.faults.ec2_id_lag_seconds;
        if lag > 0.0 {
            let until = end_of_lag(request.seed, request.now, lag, "visible", &id);
            self.hidden.insert(id.clone(), until);
        }
        id
    }

    fn fresh_id(&mut self, seed: crate::Seed, prefix: &str, name: &str) -> String {
        let count = self.minted.entry(format!("{prefix}/{name}")).or_default();
        *count += 1;
        seed.id(prefix, &format!("{name}#{count}"))
    }

    fn is_hidden(&self, id: &str) -> bool {
        self.hidden.contains_key(id)
    }
}

/// How long each NAT gateway that did not fail was (or will be) pending.
#[must_use]
pub fn lifetimes(ec2: &Ec2) -> Vec<Lifetime> {
    let gateways = ec2.nat_gateways.values();
    gateways
        .filter(|gateway| gateway.failure.is_none())
        .map(|gateway| Lifetime {
            kind: "AWS::EC2::NatGateway".to_owned(),
            name: gateway.tags.get("Name").unwrap_or(&gateway.id).clone(),
            seconds: gateway
                .pending_until
                .duration_since(gateway.created_at)
                .as_secs_f64(),
        })
        .collect()
}

/// The answer of operations that say nothing but yes.
fn yes() -> Vec<Element> {
    vec![Element::text("return", true)]
}

#[cfg(test)]
mod tests {
    use super::testing::{ACCOUNT, World};
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn state_survives_being_written_and_read() {
        let world = World::new();
        world.network().await;
        let state = world.simulator.state();
        let text = serde_json::to_string(&state).unwrap();
        let read: crate::State = serde_json::from_str(&text).unwrap();
        assert_eq!(read, state);
        assert_eq!(state.accounts[ACCOUNT].regions.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn same_calls_make_the_same_world() {
        let (one, other) = (World::new(), World::new());
        // At the same time, because virtual time is one for all.
        tokio::join!(one.network(), other.network());
        // Client tokens are drawn by the SDK.
        let without_tokens = |world: &World| {
            world.read(|ec2| Ec2 {
                tokens: BTreeMap::new(),
                ..ec2.clone()
            })
        };
        assert_eq!(without_tokens(&one), without_tokens(&other));
    }

    #[tokio::test(start_paused = true)]
    async fn unknown_operations_are_invalid_actions() {
        let world = World::new();
        let call = world.ec2.describe_volumes().send().await;
        assert_eq!(testing::code(call), "InvalidAction");
    }
}
