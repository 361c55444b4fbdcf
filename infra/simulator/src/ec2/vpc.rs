//! VPCs.

use ipnet::Ipv4Net;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::describe::{Resource, Spelling, describe as answer};
use super::kind::{Kind, VPC};
use super::request::{Request, invalid_value};
use super::tags::{self, Tags};
use super::{Ec2, Quotas, route_table, security_group, yes};
use crate::fault::Fault;
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
pub(super) fn create(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, Fault> {
    request.refuse_unmodelled(&[
        "AmazonProvidedIpv6CidrBlock",
        "Ipv4IpamPoolId",
        "Ipv6CidrBlock",
        "Ipv6IpamPoolId",
        "Ipv6Pool",
        "VpcEncryptionControl",
    ])?;
    let cidr = request.cidr("CidrBlock")?;
    // VPC user guide, VPC CIDR blocks: between /16 and /28.
    if !(16..=28).contains(&cidr.prefix_len()) {
        let message = format!("The CIDR '{cidr}' is invalid.");
        return Err(Fault::client("InvalidVpc.Range", message));
    }
    let tenancy = request.get("InstanceTenancy").unwrap_or("default");
    if !["default", "dedicated"].contains(&tenancy) {
        let why = "Use default or dedicated.";
        return Err(invalid_value("InstanceTenancy", tenancy, why));
    }
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
        tenancy: tenancy.to_owned(),
        dhcp_options_id: request.seed.id("dopt", &region),
        cidr_association_id: request.seed.id("vpc-cidr-assoc", &id),
        created_at: request.now,
        available_at: request.now + request.seed.duration("vpc", &id, 1.0..3.0),
        tags,
        id: id.clone(),
    };
    let content = vpc.content(ec2, request);
    ec2.vpcs.insert(id.clone(), vpc);
    route_table::create_main(ec2, request, &id, cidr);
    security_group::create_default(ec2, request, &id);
    Ok(vec![Element::new("vpc").children(content)])
}

/// `DeleteVpc`: what EC2 made with it (main route table, default security group) goes with it.
pub(super) fn delete(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, Fault> {
    let id = request.id("VpcId", &VPC)?;
    ec2.look_up(&ec2.vpcs, &VPC, id)?;
    if has_dependencies(ec2, id, request.now) {
        let message = format!("The vpc '{id}' has dependencies and cannot be deleted.");
        return Err(Fault::client("DependencyViolation", message));
    }
    ec2.vpcs.remove(id);
    ec2.route_tables.retain(|_, table| table.vpc_id != id);
    ec2.security_groups.retain(|_, group| group.vpc_id != id);
    Ok(yes())
}

/// botocore's EC2 model, DeleteVpc: all gateways and resources must be detached or deleted first,
/// all security groups and route tables but the default ones included.
fn has_dependencies(ec2: &Ec2, id: &str, now: Timestamp) -> bool {
    let is_attached = |gateway: &super::InternetGateway| gateway.vpc_id.as_deref() == Some(id);
    ec2.subnets.values().any(|subnet| subnet.vpc_id == id)
        || ec2.internet_gateways.values().any(is_attached)
        || (ec2.nat_gateways.values()).any(|nat| nat.vpc_id == id && nat.exists(now))
        || (ec2.network_interfaces.values()).any(|interface| interface.vpc_id == id)
        || (ec2.route_tables.values()).any(|table| table.vpc_id == id && !table.is_main())
        || (ec2.security_groups.values()).any(|group| group.vpc_id == id && !group.is_default())
}

/// `DescribeVpcs`.
pub(super) fn describe(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, Fault> {
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
) -> Result<Vec<Element>, Fault> {
    let id = request.id("VpcId", &VPC)?;
    let vpc = ec2.look_up(&ec2.vpcs, &VPC, id)?;
    let (attribute, value) = request.one_attribute(&[SUPPORT, HOSTNAMES, METRICS])?;
    // botocore's EC2 model: host names can be turned on only while DNS support is on.
    if attribute == HOSTNAMES && value && !vpc.dns_support {
        let message = "EnableDnsHostnames requires that EnableDnsSupport is true.";
        return Err(Fault::client("InvalidParameterValue", message));
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
) -> Result<Vec<Element>, Fault> {
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
    pub(super) fn one_attribute<'n>(&self, names: &[&'n str]) -> Result<(&'n str, bool), Fault> {
        let mut given = Vec::new();
        for name in names {
            if let Some(value) = self.flag(&format!("{name}.Value"))? {
                given.push((*name, value));
            }
        }
        match given.as_slice() {
            [one] => Ok(*one),
            [] => Err(Fault::client(
                "InvalidParameterCombination",
                "No attributes specified.",
            )),
            _ => Err(Fault::client(
                "InvalidParameterCombination",
                "Fields for multiple attribute types specified",
            )),
        }
    }
}

impl Resource for Vpc {
    const KIND: Kind = VPC;
    const FILTERS: &'static [&'static str] = &[
        "cidr",
        "cidr-block-association.association-id",
        "cidr-block-association.cidr-block",
        "cidr-block-association.state",
        "dhcp-options-id",
        "ipv6-cidr-block-association.association-id",
        "ipv6-cidr-block-association.ipv6-cidr-block",
        "ipv6-cidr-block-association.ipv6-pool",
        "ipv6-cidr-block-association.state",
        "is-default",
        "owner-id",
        "state",
        "vpc-id",
    ];

    fn tags(&self) -> &Tags {
        &self.tags
    }

    fn attribute(&self, name: &str, _: &Ec2, request: &Request<'_>) -> Vec<String> {
        let value = match name {
            "cidr" | "cidr-block-association.cidr-block" => self.cidr.to_string(),
            "cidr-block-association.association-id" => self.cidr_association_id.clone(),
            "cidr-block-association.state" => "associated".to_owned(),
            "dhcp-options-id" => self.dhcp_options_id.clone(),
            "is-default" => "false".to_owned(),
            "owner-id" => request.account.to_owned(),
            "state" => self.state(request.now).to_owned(),
            "vpc-id" => self.id.clone(),
            _ => return Vec::new(),
        };
        vec![value]
    }

    fn content(&self, _: &Ec2, request: &Request<'_>) -> Vec<Element> {
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
            tags::element(&self.tags),
        ]
    }
}
