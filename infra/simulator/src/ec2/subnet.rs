//! Subnets.

use ipnet::Ipv4Net;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::cidr::overlap;
use super::describe::{Resource, Spelling, describe as answer};
use super::kind::{Kind, SUBNET, VPC};
use super::request::{Request, invalid_value};
use super::tags::{self, Tags};
use super::zones::{OptIn, Zone, zones_of};
use super::{Ec2, Quotas, yes};
use crate::fault::Fault;
use crate::xml::Element;

/// A subnet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subnet {
    /// `subnet-…`
    pub id: String,
    /// The VPC that it is in.
    pub vpc_id: String,
    /// Its block of addresses.
    pub cidr: Ipv4Net,
    /// The zone, for example `apne1-az4`.
    pub zone_id: String,
    /// The account's name for the zone, for example `ap-northeast-1a`.
    pub zone_name: String,
    /// Whether instances get public addresses at launch.
    pub map_public_ip_on_launch: bool,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Until then it is pending.
    pub available_at: Timestamp,
    /// Tags.
    pub tags: Tags,
}

/// botocore's EC2 model, CreateSubnet: the first four addresses and the last one are AWS'.
pub(super) const RESERVED_AT_START: u32 = 4;
pub(super) const RESERVED: u32 = RESERVED_AT_START + 1;

impl Subnet {
    /// botocore's EC2 model, SubnetState.
    fn state(&self, now: Timestamp) -> &'static str {
        if now < self.available_at {
            "pending"
        } else {
            "available"
        }
    }
}

/// `CreateSubnet`. There is no client token; a repetition meets its own first subnet as a conflict.
pub(super) fn create(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, Fault> {
    request.refuse_unmodelled(&[
        "Ipv4IpamPoolId",
        "Ipv6CidrBlock",
        "Ipv6IpamPoolId",
        "Ipv6Native",
        "OutpostArn",
    ])?;
    let vpc_id = request.id("VpcId", &VPC)?;
    let vpc = ec2.look_up(&ec2.vpcs, &VPC, vpc_id)?;
    let cidr = request.cidr("CidrBlock")?;
    let zone = zone(request)?;
    let tags = tags::of_new(request, &SUBNET)?;
    check_range(vpc.cidr, cidr)?;
    check_siblings(ec2, vpc_id, cidr)?;

    let id = ec2.mint(request, SUBNET.prefix, &format!("{vpc_id}/{cidr}"));
    let subnet = Subnet {
        vpc_id: vpc_id.to_owned(),
        cidr,
        zone_id: zone.id,
        zone_name: zone.name,
        map_public_ip_on_launch: false,
        created_at: request.now,
        available_at: request.now + request.seed.duration("subnet", &id, 1.0..3.0),
        tags,
        id: id.clone(),
    };
    ec2.subnets.insert(id, subnet.clone());
    let content = subnet.content(ec2, request);
    Ok(vec![Element::new("subnet").children(content)])
}

/// botocore's EC2 model, CreateSubnet: between /28 and /16, and within the VPC's block.
fn check_range(vpc: Ipv4Net, cidr: Ipv4Net) -> Result<(), Fault> {
    if vpc.contains(&cidr) && (16..=28).contains(&cidr.prefix_len()) {
        return Ok(());
    }
    let message = format!("The CIDR '{cidr}' is invalid.");
    Err(Fault::client("InvalidSubnet.Range", message))
}

fn check_siblings(ec2: &Ec2, vpc_id: &str, cidr: Ipv4Net) -> Result<(), Fault> {
    let siblings = || {
        ec2.subnets
            .values()
            .filter(|subnet| subnet.vpc_id == vpc_id)
    };
    // botocore's EC2 model: a block must not overlap that of another subnet of the VPC.
    if siblings().any(|subnet| overlap(subnet.cidr, cidr)) {
        let message = format!("The CIDR '{cidr}' conflicts with another subnet");
        return Err(Fault::client("InvalidSubnet.Conflict", message));
    }
    let (used, quota) = (siblings().count(), ec2.quotas.subnets_per_vpc);
    Quotas::check(used, quota, "SubnetLimitExceeded", "subnets")
}

/// The zone that is asked for by id or name; without either EC2 picks one.
fn zone(request: &Request<'_>) -> Result<Zone, Fault> {
    let (by_id, by_name) = (
        request.get("AvailabilityZoneId"),
        request.get("AvailabilityZone"),
    );
    let mut usable = zones_of(request.account, request.region);
    usable.retain(|zone| zone.opt_in != OptIn::NotOptedIn);
    let found = match (by_id, by_name) {
        (Some(_), Some(_)) => {
            let message = "Only one of AvailabilityZone and AvailabilityZoneId can be specified";
            return Err(Fault::client("InvalidParameterCombination", message));
        }
        (None, None) => usable.first(),
        (Some(id), None) => usable.iter().find(|zone| zone.id == id),
        (None, Some(name)) => usable.iter().find(|zone| zone.name == name),
    };
    found.cloned().ok_or_else(|| {
        let names: Vec<&str> = usable.iter().map(|zone| zone.name.as_str()).collect();
        let why = format!(
            "Subnets can currently only be created in the following availability zones: {}.",
            names.join(", ")
        );
        let asked = by_id.or(by_name).unwrap_or_default();
        invalid_value("availabilityZone", asked, &why)
    })
}

/// `DeleteSubnet`: its explicit association with a route table goes with it.
pub(super) fn delete(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, Fault> {
    let id = request.id("SubnetId", &SUBNET)?;
    ec2.look_up(&ec2.subnets, &SUBNET, id)?;
    // EC2 API reference, DependencyViolation: a network interface is in it, that of a NAT gateway for
    // one.
    let has_interfaces = (ec2.network_interfaces.values()).any(|eni| eni.subnet_id == id);
    let has_gateways =
        (ec2.nat_gateways.values()).any(|nat| nat.subnet_id == id && nat.exists(request.now));
    if has_interfaces || has_gateways {
        let message = format!("The subnet '{id}' has dependencies and cannot be deleted.");
        return Err(Fault::client("DependencyViolation", message));
    }
    ec2.subnets.remove(id);
    for table in ec2.route_tables.values_mut() {
        (table.associations).retain(|_, association| association.subnet_id.as_deref() != Some(id));
    }
    Ok(yes())
}

/// `DescribeSubnets`.
pub(super) fn describe(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, Fault> {
    let spelling = Spelling {
        ids: "SubnetId",
        set: "subnetSet",
        page_limit: Some(1000),
    };
    answer(ec2, request, &ec2.subnets, &spelling)
}

/// `ModifySubnetAttribute`.
pub(super) fn modify_attribute(
    ec2: &mut Ec2,
    request: &Request<'_>,
) -> Result<Vec<Element>, Fault> {
    let id = request.id("SubnetId", &SUBNET)?;
    ec2.look_up(&ec2.subnets, &SUBNET, id)?;
    request.refuse_unmodelled(&[
        "AssignIpv6AddressOnCreation",
        "CustomerOwnedIpv4Pool",
        "DisableLniAtDeviceIndex",
        "EnableDns64",
        "EnableLniAtDeviceIndex",
        "EnableResourceNameDnsAAAARecordOnLaunch",
        "EnableResourceNameDnsARecordOnLaunch",
        "MapCustomerOwnedIpOnLaunch",
        "PrivateDnsHostnameTypeOnLaunch",
    ])?;
    let (_, value) = request.one_attribute(&["MapPublicIpOnLaunch"])?;
    if let Some(subnet) = ec2.subnets.get_mut(id) {
        subnet.map_public_ip_on_launch = value;
    }
    Ok(yes())
}

impl Resource for Subnet {
    const KIND: Kind = SUBNET;
    const FILTERS: &'static [&'static str] = &[
        "availability-zone",
        "availability-zone-id",
        "availabilityZone",
        "availabilityZoneId",
        "available-ip-address-count",
        "cidr",
        "cidr-block",
        "cidrBlock",
        "customer-owned-ipv4-pool",
        "default-for-az",
        "defaultForAz",
        "enable-dns64",
        "enable-lni-at-device-index",
        "ipv6-cidr-block-association.association-id",
        "ipv6-cidr-block-association.ipv6-cidr-block",
        "ipv6-cidr-block-association.state",
        "ipv6-native",
        "map-customer-owned-ip-on-launch",
        "map-public-ip-on-launch",
        "outpost-arn",
        "owner-id",
        "private-dns-name-options-on-launch.enable-resource-name-dns-a-record",
        "private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record",
        "private-dns-name-options-on-launch.hostname-type",
        "state",
        "subnet-arn",
        "subnet-id",
        "vpc-id",
    ];

    fn tags(&self) -> &Tags {
        &self.tags
    }

    fn attribute(&self, name: &str, ec2: &Ec2, request: &Request<'_>) -> Vec<String> {
        let value = match name {
            "availability-zone" | "availabilityZone" => self.zone_name.clone(),
            "availability-zone-id" | "availabilityZoneId" => self.zone_id.clone(),
            "available-ip-address-count" => ec2.free_addresses(&self.id).to_string(),
            "cidr" | "cidr-block" | "cidrBlock" => self.cidr.to_string(),
            "default-for-az"
            | "defaultForAz"
            | "enable-dns64"
            | "ipv6-native"
            | "map-customer-owned-ip-on-launch"
            | "private-dns-name-options-on-launch.enable-resource-name-dns-a-record"
            | "private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record" => {
                "false".to_owned()
            }
            "map-public-ip-on-launch" => self.map_public_ip_on_launch.to_string(),
            "owner-id" => request.account.to_owned(),
            "private-dns-name-options-on-launch.hostname-type" => "ip-name".to_owned(),
            "state" => self.state(request.now).to_owned(),
            "subnet-arn" => request.arn(&format!("subnet/{}", self.id)),
            "subnet-id" => self.id.clone(),
            "vpc-id" => self.vpc_id.clone(),
            _ => return Vec::new(),
        };
        vec![value]
    }

    fn content(&self, ec2: &Ec2, request: &Request<'_>) -> Vec<Element> {
        let dns_name_options = [
            Element::text("hostnameType", "ip-name"),
            Element::text("enableResourceNameDnsARecord", false),
            Element::text("enableResourceNameDnsAAAARecord", false),
        ];
        vec![
            Element::text("subnetId", &self.id),
            Element::text("subnetArn", request.arn(&format!("subnet/{}", self.id))),
            Element::text("state", self.state(request.now)),
            Element::text("ownerId", request.account),
            Element::text("vpcId", &self.vpc_id),
            Element::text("cidrBlock", self.cidr),
            Element::new("ipv6CidrBlockAssociationSet"),
            Element::text("availableIpAddressCount", ec2.free_addresses(&self.id)),
            Element::text("availabilityZone", &self.zone_name),
            Element::text("availabilityZoneId", &self.zone_id),
            Element::text("defaultForAz", false),
            Element::text("mapPublicIpOnLaunch", self.map_public_ip_on_launch),
            Element::text("assignIpv6AddressOnCreation", false),
            Element::text("mapCustomerOwnedIpOnLaunch", false),
            Element::text("enableDns64", false),
            Element::text("ipv6Native", false),
            Element::new("privateDnsNameOptionsOnLaunch").children(dns_name_options),
            tags::element(&self.tags),
        ]
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{AttributeBooleanValue, SubnetState};

    use crate::ec2::testing::{World, code, wait};

    #[tokio::test(start_paused = true)]
    async fn subnet_is_pending_for_seconds_and_lives_in_its_zone() {
        let world = World::new();
        let vpc = world.vpc().await;
        let id = world.subnet(&vpc, "10.0.0.0/24").await;
        let subnet = world.describe_subnet(&id).await;
        assert_eq!(subnet.state, Some(SubnetState::Pending));
        assert_eq!(subnet.availability_zone_id.as_deref(), Some("apne1-az1"));
        assert_eq!(subnet.available_ip_address_count, Some(251));
        wait(3).await;
        let subnet = world.describe_subnet(&id).await;
        assert_eq!(subnet.state, Some(SubnetState::Available));
    }

    #[tokio::test(start_paused = true)]
    async fn refuses_overlapping_subnets() {
        let world = World::new();
        let vpc = world.vpc().await;
        world.subnet(&vpc, "10.0.0.0/20").await;
        for cidr in ["10.0.0.0/20", "10.0.15.0/24", "10.0.0.0/19"] {
            let call = world.ec2.create_subnet().vpc_id(&vpc).cidr_block(cidr);
            assert_eq!(code(call.send().await), "InvalidSubnet.Conflict", "{cidr}");
        }
        world.subnet(&vpc, "10.0.16.0/20").await;
        let other = world.vpc().await;
        world.subnet(&other, "10.0.0.0/20").await;
    }

    #[tokio::test(start_paused = true)]
    async fn refuses_blocks_outside_the_vpc_or_of_a_wrong_size() {
        let world = World::new();
        let vpc = world.vpc().await;
        for (cidr, expected) in [
            ("10.1.0.0/24", "InvalidSubnet.Range"),
            ("10.0.0.0/15", "InvalidSubnet.Range"),
            ("10.0.0.0/29", "InvalidSubnet.Range"),
            ("10.0.0.0/", "InvalidParameterValue"),
        ] {
            let call = world.ec2.create_subnet().vpc_id(&vpc).cidr_block(cidr);
            assert_eq!(code(call.send().await), expected, "{cidr}");
        }
        let missing = world.ec2.create_subnet().vpc_id("vpc-0123456789abcdef0");
        let missing = missing.cidr_block("10.0.0.0/24").send().await;
        assert_eq!(code(missing), "InvalidVpcID.NotFound");
    }

    #[tokio::test(start_paused = true)]
    async fn refuses_zones_that_are_not_there_or_not_opted_in() {
        let world = World::new();
        let vpc = world.vpc().await;
        let create = || {
            world
                .ec2
                .create_subnet()
                .vpc_id(&vpc)
                .cidr_block("10.0.0.0/24")
        };
        for zone in ["apne1-az3", "apne1-tpe1-az1"] {
            let call = create().availability_zone_id(zone).send();
            assert_eq!(code(call.await), "InvalidParameterValue", "{zone}");
        }
        let both = create().availability_zone_id("apne1-az1");
        let both = both.availability_zone("ap-northeast-1a").send().await;
        assert_eq!(code(both), "InvalidParameterCombination");
        let call = create().availability_zone("ap-northeast-1a").send();
        let subnet = call.await.unwrap().subnet.unwrap();
        assert_eq!(subnet.availability_zone.as_deref(), Some("ap-northeast-1a"));
    }

    #[tokio::test(start_paused = true)]
    async fn subnets_of_a_vpc_have_a_quota() {
        let world = World::new();
        world.change(|ec2| ec2.quotas.subnets_per_vpc = 1);
        let vpc = world.vpc().await;
        world.subnet(&vpc, "10.0.0.0/24").await;
        let second = world
            .ec2
            .create_subnet()
            .vpc_id(&vpc)
            .cidr_block("10.0.1.0/24");
        assert_eq!(code(second.send().await), "SubnetLimitExceeded");
    }

    #[tokio::test(start_paused = true)]
    async fn subnet_with_nat_gateway_cannot_be_deleted() {
        let world = World::new();
        let network = world.network().await;
        let delete = || world.ec2.delete_subnet().subnet_id(&network.public).send();
        assert_eq!(code(delete().await), "DependencyViolation");
        let call = world.ec2.delete_nat_gateway();
        call.nat_gateway_id(&network.nat_gateway)
            .send()
            .await
            .unwrap();
        assert_eq!(code(delete().await), "DependencyViolation");
        wait(95).await;
        delete().await.unwrap();
        let table = world.describe_route_table(&network.public_routes).await;
        assert_eq!(table.associations().len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn public_addresses_at_launch_can_be_turned_on() {
        let world = World::new();
        let vpc = world.vpc().await;
        let id = world.subnet(&vpc, "10.0.0.0/24").await;
        assert_eq!(
            world.describe_subnet(&id).await.map_public_ip_on_launch,
            Some(false)
        );
        let on = AttributeBooleanValue::builder().value(true).build();
        let call = world.ec2.modify_subnet_attribute().subnet_id(&id);
        call.map_public_ip_on_launch(on).send().await.unwrap();
        assert_eq!(
            world.describe_subnet(&id).await.map_public_ip_on_launch,
            Some(true)
        );
    }
}
