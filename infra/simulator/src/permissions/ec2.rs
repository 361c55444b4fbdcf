//! What EC2's operations need.

use super::{Keys, Needed, Resource, request_tags};
use crate::ec2::kind::{
    self, ADDRESS, INTERNET_GATEWAY, Kind, NAT_GATEWAY, NETWORK_INTERFACE, ROUTE_TABLE,
    SECURITY_GROUP, SUBNET, VPC, VPC_ENDPOINT,
};
use crate::params::Params;
use crate::state::Context;

/// A resource that an operation is about.
#[derive(Debug, Clone, Copy)]
enum About {
    /// The new one.
    New(&'static Kind),
    /// The one whose id a parameter has; if it has none, any.
    The(&'static Kind, &'static str),
    /// The same, if the parameter is there.
    Maybe(&'static Kind, &'static str),
    /// What `ResourceId.1`, `ResourceId.2`, … have.
    Named,
    /// The route table and the subnet of an association.
    Associated,
    /// What `VpcEndpointId.1`, `VpcEndpointId.2`, … have.
    Endpoints,
}

use About::{Associated, Endpoints, Maybe, Named, New, The};

/// Operations that change something. Those that describe know no resources, but for
/// `DescribeVpcAttribute`.
const OPERATIONS: &[(&str, &[About])] = &[
    ("CreateVpc", &[New(&VPC)]),
    ("DeleteVpc", &[The(&VPC, "VpcId")]),
    ("ModifyVpcAttribute", &[The(&VPC, "VpcId")]),
    ("DescribeVpcAttribute", &[The(&VPC, "VpcId")]),
    ("CreateSubnet", &[New(&SUBNET), The(&VPC, "VpcId")]),
    ("DeleteSubnet", &[The(&SUBNET, "SubnetId")]),
    ("ModifySubnetAttribute", &[The(&SUBNET, "SubnetId")]),
    ("CreateInternetGateway", &[New(&INTERNET_GATEWAY)]),
    (
        "DeleteInternetGateway",
        &[The(&INTERNET_GATEWAY, "InternetGatewayId")],
    ),
    (
        "AttachInternetGateway",
        &[
            The(&INTERNET_GATEWAY, "InternetGatewayId"),
            The(&VPC, "VpcId"),
        ],
    ),
    (
        "DetachInternetGateway",
        &[
            The(&INTERNET_GATEWAY, "InternetGatewayId"),
            The(&VPC, "VpcId"),
        ],
    ),
    ("AllocateAddress", &[New(&ADDRESS)]),
    ("ReleaseAddress", &[The(&ADDRESS, "AllocationId")]),
    (
        "CreateNatGateway",
        &[
            New(&NAT_GATEWAY),
            The(&SUBNET, "SubnetId"),
            Maybe(&ADDRESS, "AllocationId"),
        ],
    ),
    ("DeleteNatGateway", &[The(&NAT_GATEWAY, "NatGatewayId")]),
    ("CreateRouteTable", &[New(&ROUTE_TABLE), The(&VPC, "VpcId")]),
    ("DeleteRouteTable", &[The(&ROUTE_TABLE, "RouteTableId")]),
    (
        "AssociateRouteTable",
        &[
            The(&ROUTE_TABLE, "RouteTableId"),
            Maybe(&SUBNET, "SubnetId"),
        ],
    ),
    (
        "ReplaceRouteTableAssociation",
        &[The(&ROUTE_TABLE, "RouteTableId"), Associated],
    ),
    ("DisassociateRouteTable", &[Associated]),
    ("CreateRoute", &[The(&ROUTE_TABLE, "RouteTableId")]),
    ("ReplaceRoute", &[The(&ROUTE_TABLE, "RouteTableId")]),
    ("DeleteRoute", &[The(&ROUTE_TABLE, "RouteTableId")]),
    (
        "CreateSecurityGroup",
        &[New(&SECURITY_GROUP), Maybe(&VPC, "VpcId")],
    ),
    ("DeleteSecurityGroup", &[The(&SECURITY_GROUP, "GroupId")]),
    (
        "AssociateSecurityGroupVpc",
        &[The(&SECURITY_GROUP, "GroupId"), The(&VPC, "VpcId")],
    ),
    (
        "DisassociateSecurityGroupVpc",
        &[The(&SECURITY_GROUP, "GroupId"), The(&VPC, "VpcId")],
    ),
    (
        "DeleteNetworkInterface",
        &[The(&NETWORK_INTERFACE, "NetworkInterfaceId")],
    ),
    ("DeleteVpcEndpoints", &[Endpoints]),
    ("CreateTags", &[Named]),
    ("DeleteTags", &[Named]),
];

pub(super) fn needed(
    context: &mut Context<'_>,
    operation: &str,
    params: &Params,
) -> Option<Vec<Needed>> {
    let action = format!("ec2:{operation}");
    let found = OPERATIONS.iter().find(|(name, _)| *name == operation);
    let Some((_, abouts)) = found else {
        let is_known = crate::ec2::operations().any(|name| name == operation);
        return is_known.then(|| vec![Needed::new(action, Resource::any())]);
    };
    let mut needed = Needed {
        action,
        resources: Vec::new(),
        keys: tags(params),
        instead: None,
    };
    for about in *abouts {
        needed.resources.extend(about.resources(context, params));
    }
    let mut all = vec![needed];
    // EC2 user guide, grant permission to tag resources during creation.
    if let Some(New(kind)) = abouts.first() {
        let tags = new_tags(params);
        if !tags.is_empty() {
            let create_tags = Needed::new("ec2:CreateTags", any_of(context, kind));
            all.push(create_tags.keys(tags).key("ec2:createaction", operation));
        }
    }
    Some(all)
}

impl About {
    fn resources(self, context: &mut Context<'_>, params: &Params) -> Vec<Resource> {
        match self {
            New(kind) => vec![any_of(context, kind)],
            The(kind, parameter) => vec![match params.get(parameter) {
                Some(id) => the(context, kind, id),
                None => any_of(context, kind),
            }],
            Maybe(kind, parameter) => {
                let id = params.get(parameter);
                id.map(|id| the(context, kind, id)).into_iter().collect()
            }
            Named => {
                let ids = params.list("ResourceId").into_iter();
                let kinds = ids.filter_map(|id| Some((kind::of_id(id)?, id)));
                kinds.map(|(kind, id)| the(context, kind, id)).collect()
            }
            Endpoints => {
                let ids = params.list("VpcEndpointId");
                if ids.is_empty() {
                    return vec![any_of(context, &VPC_ENDPOINT)];
                }
                let ids = ids.into_iter();
                ids.map(|id| the(context, &VPC_ENDPOINT, id)).collect()
            }
            Associated => {
                let id = params.get("AssociationId").unwrap_or_default();
                let mut tables = context.ec2().route_tables.values();
                let found = tables.find_map(|table| {
                    let association = table.associations.get(id)?;
                    Some((table.id.clone(), association.subnet_id.clone()))
                });
                let Some((table, subnet)) = found else {
                    return vec![any_of(context, &ROUTE_TABLE)];
                };
                let mut both = vec![the(context, &ROUTE_TABLE, &table)];
                both.extend(subnet.map(|id| the(context, &SUBNET, &id)));
                both
            }
        }
    }
}

fn arn(context: &Context<'_>, kind: &Kind, id: &str) -> String {
    let (partition, region, account) = (context.partition(), &context.region, &context.account);
    format!(
        "arn:{partition}:ec2:{region}:{account}:{}/{id}",
        kind.tag_type
    )
}

fn any_of(context: &Context<'_>, kind: &Kind) -> Resource {
    Resource::new(arn(context, kind, "*"))
}

fn the(context: &mut Context<'_>, kind: &Kind, id: &str) -> Resource {
    let mut resource = Resource::new(arn(context, kind, id));
    if let Some(tags) = context.ec2().tags(id) {
        resource = resource.tagged(tags);
        let of_ec2 = tags
            .iter()
            .map(|(key, value)| super::tag("ec2:resourcetag", key, value));
        resource.keys.extend(of_ec2);
    }
    resource
}

/// The tags that a request gives, to something new or to something that is there.
fn tags(params: &Params) -> Keys {
    let mut keys = new_tags(params);
    keys.extend(read(params));
    keys
}

fn new_tags(params: &Params) -> Keys {
    let specifications = params.structures("TagSpecification");
    specifications.iter().flat_map(read).collect()
}

fn read(params: &Params) -> Keys {
    let tags = params.structures("Tag");
    request_tags(tags.iter().filter_map(|tag| {
        let value = tag.get("Value").unwrap_or_default();
        Some((tag.get("Key")?, value))
    }))
}
