//! Subnets.

use ipnet::Ipv4Net;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::cidr::overlap;
use super::describe::{Resource, Spelling, describe as answer};
use super::kind::{Kind, SUBNET, VPC};
use super::request::{Request, invalid_value};
use super::tags::{self, Tags};
use super::zones::{OptIn, Zone};
use super::{Ec2, Quotas, yes};
use crate::api_error::ApiError;
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
    /// What DNS names instances get at launch.
    #[serde(default)]
    pub dns_names: DnsNames,
    /// Tags.
    pub tags: Tags,
}

/// botocore's EC2 model, PrivateDnsNameOptionsOnLaunch; the default is that of a new subnet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsNames {
    /// Whether host names are made of the instance's id (`resource-name`) and not of its address.
    pub of_resources: bool,
    /// Whether there are A records for them.
    pub has_a_records: bool,
    /// Whether there are AAAA records for them.
    pub has_aaaa_records: bool,
}

impl DnsNames {
    fn hostname_type(self) -> &'static str {
        if self.of_resources {
            RESOURCE_NAME
        } else {
            IP_NAME
        }
    }
}

/// botocore's EC2 model, HostnameType.
const IP_NAME: &str = "ip-name";
const RESOURCE_NAME: &str = "resource-name";
/// What every subnet is from the answer of CreateSubnet on (captured: radkawar/stackd,
/// testdata/aws/ec2/networking.json; so do all examples of the AWS CLI's reference).
const STATE: &str = "available";

/// botocore's EC2 model, CreateSubnet: the first four addresses and the last one are AWS'.
pub(super) const RESERVED_AT_START: u32 = 4;
pub(super) const RESERVED: u32 = RESERVED_AT_START + 1;

/// `CreateSubnet`. There is no client token; a repetition meets its own first subnet as a conflict.
pub(super) fn create(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    request.refuse_unmodelled(&[
        "Ipv4IpamPoolId",
        "Ipv6CidrBlock",
        "Ipv6IpamPoolId",
        "Ipv6Native",
        "OutpostArn",
    ])?;
    tags::check_specifications(request)?;
    let vpc_id = request.id("VpcId", &VPC)?;
    let vpc = ec2.look_up(&ec2.vpcs, &VPC, vpc_id)?;
    let cidr = request.cidr("CidrBlock")?;
    let zone = zone(ec2, request)?;
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
        dns_names: DnsNames::default(),
        tags,
        id: id.clone(),
    };
    ec2.subnets.insert(id, subnet.clone());
    let content = subnet.content(ec2, request);
    Ok(vec![Element::new("subnet").children(content)])
}

/// botocore's EC2 model, CreateSubnet: between /28 and /16, and within the VPC's block.
fn check_range(vpc: Ipv4Net, cidr: Ipv4Net) -> Result<(), ApiError> {
    if vpc.contains(&cidr) && (16..=28).contains(&cidr.prefix_len()) {
        return Ok(());
    }
    let message = format!("The CIDR '{cidr}' is invalid.");
    Err(ApiError::client("InvalidSubnet.Range", message))
}

fn check_siblings(ec2: &Ec2, vpc_id: &str, cidr: Ipv4Net) -> Result<(), ApiError> {
    let siblings = || {
        ec2.subnets
            .values()
            .filter(|subnet| subnet.vpc_id == vpc_id)
    };
    // botocore's EC2 model: a block must not overlap that of another subnet of the VPC.
    if siblings().any(|subnet| overlap(subnet.cidr, cidr)) {
        let message = format!("The CIDR '{cidr}' conflicts with another subnet");
        return Err(ApiError::client("InvalidSubnet.Conflict", message));
    }
    let (used, quota) = (siblings().count(), ec2.quotas.subnets_per_vpc);
    Quotas::check(used, quota, "SubnetLimitExceeded", "subnets")
}

/// The zone that is asked for by id or name; without either EC2 picks one.
fn zone(ec2: &Ec2, request: &Request<'_>) -> Result<Zone, ApiError> {
    let (by_id, by_name) = (
        request.get("AvailabilityZoneId"),
        request.get("AvailabilityZone"),
    );
    let mut usable = ec2.zones.of(request.account, request.region);
    usable.retain(|zone| zone.opt_in != OptIn::NotOptedIn);
    let found = match (by_id, by_name) {
        (Some(_), Some(_)) => {
            let message = "Only one of AvailabilityZone and AvailabilityZoneId can be specified";
            return Err(ApiError::client("InvalidParameterCombination", message));
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
pub(super) fn delete(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let id = request.id("SubnetId", &SUBNET)?;
    ec2.look_up(&ec2.subnets, &SUBNET, id)?;
    // EC2 API reference, DependencyViolation: a network interface is in it, that of a NAT gateway for
    // one.
    let has_interfaces = (ec2.network_interfaces.values()).any(|eni| eni.subnet_id == id);
    let has_gateways =
        (ec2.nat_gateways.values()).any(|nat| nat.subnet_id == id && nat.exists(request.now));
    if has_interfaces || has_gateways {
        let message = format!("The subnet '{id}' has dependencies and cannot be deleted.");
        return Err(ApiError::client("DependencyViolation", message));
    }
    ec2.subnets.remove(id);
    for table in ec2.route_tables.values_mut() {
        (table.associations).retain(|_, association| association.subnet_id.as_deref() != Some(id));
    }
    Ok(yes())
}

/// `DescribeSubnets`.
pub(super) fn describe(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
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
) -> Result<Vec<Element>, ApiError> {
    let id = request.id("SubnetId", &SUBNET)?;
    ec2.look_up(&ec2.subnets, &SUBNET, id)?;
    request.refuse_unmodelled(&[
        "AssignIpv6AddressOnCreation",
        "CustomerOwnedIpv4Pool",
        "DisableLniAtDeviceIndex",
        "EnableDns64",
        "EnableLniAtDeviceIndex",
        "MapCustomerOwnedIpOnLaunch",
    ])?;
    let hostname_type = request.get("PrivateDnsHostnameTypeOnLaunch");
    let change = match hostname_type {
        Some(IP_NAME) => Change::HostnameType(false),
        Some(RESOURCE_NAME) => Change::HostnameType(true),
        Some(other) => {
            let why = "Use ip-name or resource-name.";
            return Err(invalid_value("PrivateDnsHostnameTypeOnLaunch", other, why));
        }
        None => Change::Flag(request.one_attribute(&[PUBLIC_IP, A_RECORDS, AAAA_RECORDS])?),
    };
    if let Some(subnet) = ec2.subnets.get_mut(id) {
        match change {
            Change::HostnameType(of_resources) => subnet.dns_names.of_resources = of_resources,
            Change::Flag((A_RECORDS, value)) => subnet.dns_names.has_a_records = value,
            Change::Flag((AAAA_RECORDS, value)) => subnet.dns_names.has_aaaa_records = value,
            Change::Flag((_, value)) => subnet.map_public_ip_on_launch = value,
        }
    }
    Ok(yes())
}

const PUBLIC_IP: &str = "MapPublicIpOnLaunch";
const A_RECORDS: &str = "EnableResourceNameDnsARecordOnLaunch";
const AAAA_RECORDS: &str = "EnableResourceNameDnsAAAARecordOnLaunch";

/// What ModifySubnetAttribute changes.
enum Change {
    HostnameType(bool),
    Flag((&'static str, bool)),
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
            | "map-customer-owned-ip-on-launch" => "false".to_owned(),
            "private-dns-name-options-on-launch.enable-resource-name-dns-a-record" => {
                self.dns_names.has_a_records.to_string()
            }
            "private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record" => {
                self.dns_names.has_aaaa_records.to_string()
            }
            "map-public-ip-on-launch" => self.map_public_ip_on_launch.to_string(),
            "owner-id" => request.account.to_owned(),
            "private-dns-name-options-on-launch.hostname-type" => {
                self.dns_names.hostname_type().to_owned()
            }
            "state" => STATE.to_owned(),
            "subnet-arn" => request.arn(&format!("subnet/{}", self.id)),
            "subnet-id" => self.id.clone(),
            "vpc-id" => self.vpc_id.clone(),
            _ => return Vec::new(),
        };
        vec![value]
    }

    fn content(&self, ec2: &Ec2, request: &Request<'_>) -> Vec<Element> {
        let dns_name_options = [
            Element::text("hostnameType", self.dns_names.hostname_type()),
            Element::text("enableResourceNameDnsARecord", self.dns_names.has_a_records),
            Element::text(
                "enableResourceNameDnsAAAARecord",
                self.dns_names.has_aaaa_records,
            ),
        ];
        vec![
            Element::text("subnetId", &self.id),
            Element::text("subnetArn", request.arn(&format!("subnet/{}", self.id))),
            Element::text("state", STATE),
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
            ec2.block_public_access.states(&[&self.id, &self.vpc_id]),
            tags::element(&self.tags),
        ]
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{
        AttributeBooleanValue, HostnameType, SubnetState, Tag, TagSpecification,
    };

    use crate::ec2::testing::{World, code, wait};

    #[tokio::test(start_paused = true)]
    async fn subnet_is_available_at_once_and_lives_in_its_zone() {
        let world = World::new();
        let vpc = world.vpc().await;
        let call = world.ec2.create_subnet().vpc_id(&vpc);
        let call = call
            .cidr_block("10.0.0.0/24")
            .availability_zone_id("apne1-az1");
        let subnet = call.send().await.unwrap().subnet.unwrap();
        assert_eq!(subnet.state, Some(SubnetState::Available));
        assert_eq!(subnet.availability_zone_id.as_deref(), Some("apne1-az1"));
        assert_eq!(subnet.available_ip_address_count, Some(251));
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
        wait(115).await;
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

    #[tokio::test(start_paused = true)]
    async fn dns_names_of_resources_can_be_turned_on_one_at_a_time() {
        let world = World::new();
        let vpc = world.vpc().await;
        let id = world.subnet(&vpc, "10.0.0.0/24").await;
        let on = || AttributeBooleanValue::builder().value(true).build();
        let modify = || world.ec2.modify_subnet_attribute().subnet_id(&id);
        let call = modify().enable_resource_name_dns_a_record_on_launch(on());
        call.send().await.unwrap();
        let call = modify().private_dns_hostname_type_on_launch(HostnameType::ResourceName);
        call.send().await.unwrap();
        let subnet = world.describe_subnet(&id).await;
        let names = subnet.private_dns_name_options_on_launch.unwrap();
        assert_eq!(names.hostname_type, Some(HostnameType::ResourceName));
        assert_eq!(names.enable_resource_name_dns_a_record, Some(true));
        assert_eq!(names.enable_resource_name_dns_aaaa_record, Some(false));
    }

    #[tokio::test(start_paused = true)]
    async fn tags_without_a_resource_type_are_refused_before_the_vpc_is_looked_up() {
        let world = World::new();
        let call = world.ec2.create_subnet().vpc_id("vpc-0123456789abcdef0");
        let call = call.cidr_block("10.0.0.0/24");
        let tag = Tag::builder().key("a").value("b").build();
        let tags = TagSpecification::builder().tags(tag).build();
        let refused = call.tag_specifications(tags).send().await;
        assert_eq!(code(refused), "InvalidParameter");
    }
}
