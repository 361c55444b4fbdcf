//! VPCs.

use ipnet::Ipv4Net;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::describe::{Resource, Spelling, describe as answer};
use super::kind::{Kind, VPC};
use super::request::{Request, invalid_value};
use super::tags::{self, Tags};
use super::{Ec2, Quotas, route_table, security_group, yes};
use crate::api_error::ApiError;
use crate::xml::Element;

/// A VPC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Vpc {
    /// `vpc-…`
    pub id: String,
    /// Its only block of addresses.
    pub cidr: Ipv4Net,
    /// Whether the Amazon DNS server answers.
    pub dns_support: bool,
    /// Whether instances get DNS host names.
    pub dns_hostnames: bool,
    /// Whether network address usage is measured.
    pub address_usage_metrics: bool,
    /// `default` or `dedicated`.
    pub tenancy: String,
    /// Its set of DHCP options, `dopt-…`: the account's default one.
    pub dhcp_options_id: String,
    /// The id of the association of its block.
    pub cidr_association_id: String,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Until then it is pending.
    pub available_at: Timestamp,
    /// Tags.
    pub tags: Tags,
}

impl Vpc {
    /// botocore's EC2 model, VpcState. Seconds, as for all network resources in public logs.
    fn state(&self, now: Timestamp) -> &'static str {
        if now < self.available_at {
            "pending"
        } else {
            "available"
        }
    }
}

/// `CreateVpc`. There is no client token: every call makes another VPC.
pub(super) fn create(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    request.refuse_unmodelled(&[
        "AmazonProvidedIpv6CidrBlock",
        "Ipv4IpamPoolId",
        "Ipv6CidrBlock",
        "Ipv6IpamPoolId",
        "Ipv6Pool",
        "VpcEncryptionControl",
    ])?;
    let cidr = block(request)?;
    let tenancy = tenancy(request)?;
    let tags = tags::of_new(request, &VPC)?;
    Quotas::check(ec2.vpcs.len(), ec2.quotas.vpcs, "VpcLimitExceeded", "VPCs")?;

    let id = ec2.mint(request, VPC.prefix, &cidr.to_string());
    let region = format!("{}/{}", request.account, request.region);
    let vpc = Vpc {
        cidr,
        // VPC user guide, DNS attributes: support is on in a new VPC, host names are off.
        dns_support: true,
        dns_hostnames: false,
        address_usage_metrics: false,
        tenancy,
        dhcp_options_id: request.seed.id("dopt", &region),
        cidr_association_id: request.seed.id("vpc-cidr-assoc", &id),
        created_at: request.now,
        available_at: request.now + request.seed.duration("vpc", &id, 1.0..3.0),
        tags,
        id: id.clone(),
    };
    let mut content = vpc.content(ec2, request);
    // Only the answer of CreateVpc has it (captured: radkawar/stackd, testdata/aws/ec2/networking.json).
    content.push(Element::new("ipv6CidrBlockAssociationSet"));
    ec2.vpcs.insert(id.clone(), vpc);
    route_table::create_main(ec2, request, &id, cidr);
    security_group::create_default(ec2, request, &id);
    ec2.add_default_network_acl(request, &id);
    Ok(vec![Element::new("vpc").children(content)])
}

/// VPC user guide, VPC CIDR blocks: between /16 and /28.
fn block(request: &Request<'_>) -> Result<Ipv4Net, ApiError> {
    let cidr = request.cidr("CidrBlock")?;
    if (16..=28).contains(&cidr.prefix_len()) {
        return Ok(cidr);
    }
    let message = format!("The CIDR '{cidr}' is invalid.");
    Err(ApiError::client("InvalidVpc.Range", message))
}

fn tenancy(request: &Request<'_>) -> Result<String, ApiError> {
    let tenancy = request.get("InstanceTenancy").unwrap_or("default");
    if ["default", "dedicated"].contains(&tenancy) {
        return Ok(tenancy.to_owned());
    }
    let why = "Use default or dedicated.";
    Err(invalid_value("InstanceTenancy", tenancy, why))
}

/// `DeleteVpc`: what EC2 made with it (main route table, default security group) goes with it.
pub(super) fn delete(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let id = request.id("VpcId", &VPC)?;
    ec2.look_up(&ec2.vpcs, &VPC, id)?;
    if has_dependencies(ec2, id, request.now) {
        let message = format!("The vpc '{id}' has dependencies and cannot be deleted.");
        return Err(ApiError::client("DependencyViolation", message));
    }
    ec2.vpcs.remove(id);
    ec2.route_tables.retain(|_, table| table.vpc_id != id);
    ec2.security_groups.retain(|_, group| group.vpc_id != id);
    ec2.network_acls.retain(|_, acl| acl.vpc_id != id);
    Ok(yes())
}

/// botocore's EC2 model, DeleteVpc: all gateways and resources must be detached or deleted first,
/// all security groups and route tables but the default ones included. What holds a VPC beside these is
/// said where it is.
fn has_dependencies(ec2: &Ec2, id: &str, now: Timestamp) -> bool {
    let is_attached = |gateway: &super::InternetGateway| gateway.vpc_id.as_deref() == Some(id);
    ec2.subnets.values().any(|subnet| subnet.vpc_id == id)
        || ec2.internet_gateways.values().any(is_attached)
        || (ec2.nat_gateways.values()).any(|nat| nat.vpc_id == id && nat.exists(now))
        || (ec2.network_interfaces.values()).any(|interface| interface.vpc_id == id)
        || (ec2.vpc_peering_connections.values()).any(|connection| connection.holds(id))
        || (ec2.vpc_endpoints.values()).any(|endpoint| endpoint.holds(id))
        || (ec2.vpn_gateways.values()).any(|gateway| gateway.holds(id))
        || (ec2.egress_only_internet_gateways.values()).any(|gateway| gateway.vpc_id == id)
        || (ec2.network_acls.values()).any(|acl| acl.holds(id))
        || (ec2.carrier_gateways.values()).any(|gateway| gateway.holds(id))
        || (ec2.transit_gateway_attachments.values()).any(|attachment| attachment.holds(id))
        || (ec2.security_group_vpc_associations.values()).any(|it| it.holds(id, now))
        || (ec2.route_tables.values()).any(|table| table.vpc_id == id && !table.is_main())
        || (ec2.security_groups.values()).any(|group| group.vpc_id == id && !group.is_default())
}

/// `DescribeVpcs`.
pub(super) fn describe(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let spelling = Spelling {
        ids: "VpcId",
        set: "vpcSet",
        page_limit: Some(1000),
    };
    answer(ec2, request, &ec2.vpcs, &spelling)
}

const SUPPORT: &str = "EnableDnsSupport";
const HOSTNAMES: &str = "EnableDnsHostnames";
const METRICS: &str = "EnableNetworkAddressUsageMetrics";

/// `ModifyVpcAttribute`.
pub(super) fn modify_attribute(
    ec2: &mut Ec2,
    request: &Request<'_>,
) -> Result<Vec<Element>, ApiError> {
    let id = request.id("VpcId", &VPC)?;
    let vpc = ec2.look_up(&ec2.vpcs, &VPC, id)?;
    let (attribute, value) = request.one_attribute(&[SUPPORT, HOSTNAMES, METRICS])?;
    // botocore's EC2 model: host names can be turned on only while DNS support is on.
    if attribute == HOSTNAMES && value && !vpc.dns_support {
        let message = "EnableDnsHostnames requires that EnableDnsSupport is true.";
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    if let Some(vpc) = ec2.vpcs.get_mut(id) {
        match attribute {
            SUPPORT => vpc.dns_support = value,
            HOSTNAMES => vpc.dns_hostnames = value,
            _ => vpc.address_usage_metrics = value,
        }
    }
    Ok(yes())
}

/// `DescribeVpcAttribute`.
pub(super) fn describe_attribute(
    ec2: &mut Ec2,
    request: &Request<'_>,
) -> Result<Vec<Element>, ApiError> {
    let id = request.id("VpcId", &VPC)?;
    let attribute = request.params.require("Attribute")?;
    let vpc = ec2.look_up(&ec2.vpcs, &VPC, id)?;
    let value = match attribute {
        "enableDnsSupport" => vpc.dns_support,
        "enableDnsHostnames" => vpc.dns_hostnames,
        "enableNetworkAddressUsageMetrics" => vpc.address_usage_metrics,
        _ => return Err(invalid_value("Attribute", attribute, "Unknown attribute.")),
    };
    Ok(vec![
        Element::text("vpcId", id),
        Element::new(attribute).child(Element::text("value", value)),
    ])
}

impl Request<'_> {
    /// The only one of `names` that is given as `NAME.Value`.
    ///
    /// botocore's EC2 model, ModifyVpcAttribute and ModifySubnetAttribute: one attribute for each
    /// request.
    pub(super) fn one_attribute<'n>(&self, names: &[&'n str]) -> Result<(&'n str, bool), ApiError> {
        let mut given = Vec::new();
        for name in names {
            if let Some(value) = self.flag(&format!("{name}.Value"))? {
                given.push((*name, value));
            }
        }
        match given.as_slice() {
            [one] => Ok(*one),
            [] => Err(ApiError::client(
                "InvalidParameterCombination",
                "No attributes specified.",
            )),
            _ => Err(ApiError::client(
                "InvalidParameterCombination",
                "Fields for multiple attribute types specified",
            )),
        }
    }
}

impl Resource for Vpc {
    const KIND: Kind = VPC;
    // `cidr-block`, `cidrBlock`, `dhcpOptionsId` and `isDefault` are in no documentation, and clients
    // use them (amazon.aws, ec2_vpc_net.py and ec2_instance.py; Terraform's data source aws_vpc).
    const FILTERS: &'static [&'static str] = &[
        "cidr",
        "cidr-block",
        "cidr-block-association.association-id",
        "cidr-block-association.cidr-block",
        "cidr-block-association.state",
        "cidrBlock",
        "dhcp-options-id",
        "dhcpOptionsId",
        "ipv6-cidr-block-association.association-id",
        "ipv6-cidr-block-association.ipv6-cidr-block",
        "ipv6-cidr-block-association.ipv6-pool",
        "ipv6-cidr-block-association.state",
        "is-default",
        "isDefault",
        "owner-id",
        "state",
        "vpc-id",
    ];

    fn tags(&self) -> &Tags {
        &self.tags
    }

    fn attribute(&self, name: &str, _: &Ec2, request: &Request<'_>) -> Vec<String> {
        let value = match name {
            "cidr" | "cidr-block" | "cidrBlock" | "cidr-block-association.cidr-block" => {
                self.cidr.to_string()
            }
            "cidr-block-association.association-id" => self.cidr_association_id.clone(),
            "cidr-block-association.state" => "associated".to_owned(),
            "dhcp-options-id" | "dhcpOptionsId" => self.dhcp_options_id.clone(),
            "is-default" | "isDefault" => "false".to_owned(),
            "owner-id" => request.account.to_owned(),
            "state" => self.state(request.now).to_owned(),
            "vpc-id" => self.id.clone(),
            _ => return Vec::new(),
        };
        vec![value]
    }

    fn content(&self, ec2: &Ec2, request: &Request<'_>) -> Vec<Element> {
        let association = vec![
            Element::text("associationId", &self.cidr_association_id),
            Element::text("cidrBlock", self.cidr),
            Element::new("cidrBlockState").child(Element::text("state", "associated")),
        ];
        vec![
            Element::text("vpcId", &self.id),
            Element::text("ownerId", request.account),
            Element::text("state", self.state(request.now)),
            Element::text("cidrBlock", self.cidr),
            Element::list("cidrBlockAssociationSet", "item", [association]),
            Element::text("dhcpOptionsId", &self.dhcp_options_id),
            Element::text("instanceTenancy", &self.tenancy),
            Element::text("isDefault", false),
            ec2.block_public_access.states(&[&self.id]),
            tags::element(&self.tags),
        ]
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{
        AttributeBooleanValue, Filter, ResourceType, VpcAttributeName, VpcState,
    };

    use crate::ec2::testing::{World, code, tagged, wait};

    #[tokio::test(start_paused = true)]
    async fn vpc_is_pending_for_seconds_and_then_available() {
        let world = World::new();
        let made = world.ec2.create_vpc().cidr_block("10.0.0.0/16").send();
        let vpc = made.await.unwrap().vpc.unwrap();
        assert_eq!(vpc.state, Some(VpcState::Pending));
        wait(3).await;
        let found = world.ec2.describe_vpcs().vpc_ids(vpc.vpc_id.unwrap());
        let found = found.send().await.unwrap().vpcs.unwrap().remove(0);
        assert_eq!(found.state, Some(VpcState::Available));
        assert_eq!(found.cidr_block.as_deref(), Some("10.0.0.0/16"));
    }

    #[tokio::test(start_paused = true)]
    async fn every_create_makes_another_vpc_until_the_quota() {
        let world = World::new();
        let mut ids = std::collections::BTreeSet::new();
        for _ in 0..5 {
            ids.insert(world.vpc().await);
        }
        assert_eq!(ids.len(), 5);
        let sixth = world.ec2.create_vpc().cidr_block("10.0.0.0/16").send();
        assert_eq!(code(sixth.await), "VpcLimitExceeded");
        world.change(|ec2| ec2.quotas.vpcs = 6);
        world.vpc().await;
    }

    #[tokio::test(start_paused = true)]
    async fn refuses_blocks_that_are_malformed_or_of_a_wrong_size() {
        let world = World::new();
        for (cidr, expected) in [
            ("10.0.0.0/15", "InvalidVpc.Range"),
            ("10.0.0.0/29", "InvalidVpc.Range"),
            ("10.0.0.0", "InvalidParameterValue"),
            ("300.0.0.0/16", "InvalidParameterValue"),
        ] {
            let call = world.ec2.create_vpc().cidr_block(cidr).send();
            assert_eq!(code(call.await), expected, "{cidr}");
        }
        assert_eq!(
            code(world.ec2.create_vpc().send().await),
            "MissingParameter"
        );
        assert!(world.read(|ec2| ec2.vpcs.is_empty()));
    }

    #[tokio::test(start_paused = true)]
    async fn bits_of_the_host_are_cleared() {
        let world = World::new();
        let made = world.ec2.create_vpc().cidr_block("100.68.0.18/18").send();
        let vpc = made.await.unwrap().vpc.unwrap();
        assert_eq!(vpc.cidr_block.as_deref(), Some("100.68.0.0/18"));
    }

    #[tokio::test(start_paused = true)]
    async fn dns_attributes_change_one_at_a_time_and_hostnames_need_support() {
        let world = World::new();
        let vpc = world.vpc().await;
        let set = |value| AttributeBooleanValue::builder().value(value).build();
        let modify = || world.ec2.modify_vpc_attribute().vpc_id(&vpc);
        assert_eq!(world.read(|ec2| ec2.dns(&vpc)), (true, false));

        let both = modify()
            .enable_dns_support(set(true))
            .enable_dns_hostnames(set(true));
        assert_eq!(code(both.send().await), "InvalidParameterCombination");
        assert_eq!(code(modify().send().await), "InvalidParameterCombination");
        modify()
            .enable_dns_support(set(false))
            .send()
            .await
            .unwrap();
        let hostnames = || modify().enable_dns_hostnames(set(true)).send();
        assert_eq!(code(hostnames().await), "InvalidParameterValue");
        modify().enable_dns_support(set(true)).send().await.unwrap();
        hostnames().await.unwrap();

        assert_eq!(world.read(|ec2| ec2.dns(&vpc)), (true, true));
        let attribute = VpcAttributeName::EnableDnsHostnames;
        let call = world
            .ec2
            .describe_vpc_attribute()
            .vpc_id(&vpc)
            .attribute(attribute);
        let value = call.send().await.unwrap().enable_dns_hostnames.unwrap();
        assert_eq!(value.value, Some(true));
    }

    #[tokio::test(start_paused = true)]
    async fn vpc_with_anything_in_it_cannot_be_deleted() {
        let world = World::new();
        let vpc = world.vpc().await;
        let delete = || world.ec2.delete_vpc().vpc_id(&vpc).send();

        let subnet = world.subnet(&vpc, "10.0.0.0/24").await;
        assert_eq!(code(delete().await), "DependencyViolation");
        let call = world.ec2.delete_subnet().subnet_id(subnet).send();
        call.await.unwrap();

        let gateway = world.internet_gateway().await;
        world.attach(&gateway, &vpc).await;
        assert_eq!(code(delete().await), "DependencyViolation");
        let call = world.ec2.detach_internet_gateway().vpc_id(&vpc);
        call.internet_gateway_id(gateway).send().await.unwrap();

        let table = world.route_table(&vpc).await;
        assert_eq!(code(delete().await), "DependencyViolation");
        let call = world.ec2.delete_route_table().route_table_id(table);
        call.send().await.unwrap();

        let call = world
            .ec2
            .create_security_group()
            .vpc_id(&vpc)
            .group_name("web");
        let group = call
            .description("web")
            .send()
            .await
            .unwrap()
            .group_id
            .unwrap();
        assert_eq!(code(delete().await), "DependencyViolation");
        let call = world.ec2.delete_security_group().group_id(group);
        call.send().await.unwrap();

        delete().await.unwrap();
        assert_eq!(code(delete().await), "InvalidVpcID.NotFound");
        assert!(world.read(|ec2| ec2.route_tables.is_empty() && ec2.security_groups.is_empty()));
    }

    #[tokio::test(start_paused = true)]
    async fn tags_are_given_at_creation_only_to_the_right_kind() {
        let world = World::new();
        let create = |kind| {
            let tags = tagged(kind, &[("team", "platform")]);
            let call = world.ec2.create_vpc().cidr_block("10.0.0.0/16");
            call.tag_specifications(tags).send()
        };
        let made = create(ResourceType::Vpc).await.unwrap().vpc.unwrap();
        assert_eq!(made.tags.unwrap()[0].value.as_deref(), Some("platform"));
        let error = code(create(ResourceType::Subnet).await);
        assert_eq!(error, "InvalidParameterValue");
    }

    #[tokio::test(start_paused = true)]
    async fn a_deleted_vpc_never_lends_its_id_to_another() {
        let world = World::new();
        let first = world.vpc().await;
        world.ec2.delete_vpc().vpc_id(&first).send().await.unwrap();
        assert_ne!(world.vpc().await, first);
    }

    #[tokio::test(start_paused = true)]
    async fn filters_that_no_documentation_has_work() {
        let world = World::new();
        let made = world.ec2.create_vpc().cidr_block("10.0.0.0/16").send();
        let made = made.await.unwrap().vpc.unwrap();
        assert_eq!(made.ipv6_cidr_block_association_set, Some(vec![]));
        let options = made.dhcp_options_id.unwrap();
        for (name, value) in [
            ("cidr-block", "10.0.0.0/16"),
            ("cidrBlock", "10.0.0.0/16"),
            ("dhcpOptionsId", options.as_str()),
            ("isDefault", "false"),
        ] {
            let filter = Filter::builder().name(name).values(value).build();
            let call = world.ec2.describe_vpcs().filters(filter).send();
            assert_eq!(call.await.unwrap().vpcs().len(), 1, "{name}");
        }
    }
}
