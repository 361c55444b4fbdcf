//! Route tables and their associations.

use std::collections::BTreeMap;

use ipnet::Ipv4Net;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::describe::{Resource, Spelling, describe as answer};
use super::kind::{ASSOCIATION, Kind, ROUTE_TABLE, SUBNET, VPC};
use super::request::Request;
use super::route::Route;
use super::tags::{self, Tags};
use super::tokens::Created;
use super::{Ec2, Quotas, yes};
use crate::fault::Fault;
use crate::xml::Element;

/// A route table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RouteTable {
    /// `rtb-…`
    pub id: String,
    /// The VPC that it is of.
    pub vpc_id: String,
    /// Its routes, the local one first.
    pub routes: Vec<Route>,
    /// What uses it, by association id.
    pub associations: BTreeMap<String, Association>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Tags.
    pub tags: Tags,
}

/// An association of a route table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Association {
    /// The subnet; `None` for the main association, that of all subnets without one of their own.
    pub subnet_id: Option<String>,
}

impl RouteTable {
    /// Whether it is the main route table of its VPC.
    #[must_use]
    pub fn is_main(&self) -> bool {
        self.associations.values().any(Association::is_main)
    }
}

impl Association {
    fn is_main(&self) -> bool {
        self.subnet_id.is_none()
    }
}

const OPERATION: &str = "CreateRouteTable";

/// `CreateRouteTable`.
pub(super) fn create(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, Fault> {
    if let Some(Created::RouteTable(earlier)) = ec2.earlier(OPERATION, request)? {
        let current = ec2.route_tables.get(&earlier.id).unwrap_or(earlier);
        return Ok(created(ec2, request, current));
    }
    let vpc_id = request.id("VpcId", &VPC)?;
    let cidr = ec2.look_up(&ec2.vpcs, &VPC, vpc_id)?.cidr;
    let tags = tags::of_new(request, &ROUTE_TABLE)?;
    let of_vpc = |table: &&RouteTable| table.vpc_id == vpc_id;
    let used = ec2.route_tables.values().filter(of_vpc).count();
    let (quota, code) = (ec2.quotas.route_tables_per_vpc, "RouteTableLimitExceeded");
    Quotas::check(used, quota, code, "route tables")?;

    let table = new(ec2, request, vpc_id, cidr, tags);
    ec2.remember(OPERATION, request, Created::RouteTable(table.clone()));
    let answer = created(ec2, request, &table);
    ec2.route_tables.insert(table.id.clone(), table);
    Ok(answer)
}

fn created(ec2: &Ec2, request: &Request<'_>, table: &RouteTable) -> Vec<Element> {
    let mut answer = vec![Element::new("routeTable").children(table.content(ec2, request))];
    let token = request.get("ClientToken");
    answer.extend(token.map(|token| Element::text("clientToken", token)));
    answer
}

/// The main route table, which every new VPC has (VPC user guide, route tables).
pub(super) fn create_main(ec2: &mut Ec2, request: &Request<'_>, vpc_id: &str, cidr: Ipv4Net) {
    let mut table = new(ec2, request, vpc_id, cidr, Tags::new());
    let association_id = ec2.mint(request, ASSOCIATION.prefix, &format!("{vpc_id}/main"));
    let association = Association { subnet_id: None };
    table.associations.insert(association_id, association);
    ec2.route_tables.insert(table.id.clone(), table);
}

fn new(
    ec2: &mut Ec2,
    request: &Request<'_>,
    vpc_id: &str,
    cidr: Ipv4Net,
    tags: Tags,
) -> RouteTable {
    let name = tags.get("Name").map_or("", String::as_str);
    let id = ec2.mint(request, ROUTE_TABLE.prefix, &format!("{vpc_id}/{name}"));
    RouteTable {
        id,
        vpc_id: vpc_id.to_owned(),
        routes: vec![Route::local(cidr)],
        associations: BTreeMap::new(),
        created_at: request.now,
        tags,
    }
}

/// `DeleteRouteTable`: not the main one, and not while subnets use it (botocore's EC2 model).
pub(super) fn delete(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, Fault> {
    let id = request.id("RouteTableId", &ROUTE_TABLE)?;
    let table = ec2.look_up(&ec2.route_tables, &ROUTE_TABLE, id)?;
    if !table.associations.is_empty() {
        let message = format!("The routeTable '{id}' has dependencies and cannot be deleted.");
        return Err(Fault::client("DependencyViolation", message));
    }
    ec2.route_tables.remove(id);
    Ok(yes())
}

/// `DescribeRouteTables`.
pub(super) fn describe(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, Fault> {
    let spelling = Spelling {
        ids: "RouteTableId",
        set: "routeTableSet",
        page_limit: Some(100),
    };
    answer(ec2, request, &ec2.route_tables, &spelling)
}

/// `AssociateRouteTable`, with a subnet.
pub(super) fn associate(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, Fault> {
    request.refuse_unmodelled(&["GatewayId", "PublicIpv4Pool"])?;
    let table_id = request.id("RouteTableId", &ROUTE_TABLE)?;
    let subnet_id = request.id("SubnetId", &SUBNET)?;
    let table = ec2.look_up(&ec2.route_tables, &ROUTE_TABLE, table_id)?;
    let subnet = ec2.look_up(&ec2.subnets, &SUBNET, subnet_id)?;
    check_same_vpc(table, &subnet.vpc_id, subnet_id)?;
    let is_taken = |association: &Association| association.subnet_id.as_deref() == Some(subnet_id);
    let mut associations = (ec2.route_tables.values()).flat_map(|it| it.associations.values());
    if associations.any(is_taken) {
        // EC2 API reference, error codes; a subnet has one association at most.
        let message = format!(
            "the specified association for route table {table_id} conflicts with an existing \
             association"
        );
        return Err(Fault::client("Resource.AlreadyAssociated", message));
    }
    let subnet_id = Some(subnet_id.to_owned());
    let id = insert_association(ec2, request, table_id, Association { subnet_id });
    Ok(associated("associationId", &id))
}

/// `ReplaceRouteTableAssociation`: a subnet gets another table, or the VPC another main table; the
/// association gets a new id.
pub(super) fn replace_association(
    ec2: &mut Ec2,
    request: &Request<'_>,
) -> Result<Vec<Element>, Fault> {
    let association_id = request.id("AssociationId", &ASSOCIATION)?;
    let table_id = request.id("RouteTableId", &ROUTE_TABLE)?;
    let (old_table, association) = find_association(ec2, association_id)?;
    let table = ec2.look_up(&ec2.route_tables, &ROUTE_TABLE, table_id)?;
    let subject = association.subnet_id.as_deref().unwrap_or(association_id);
    check_same_vpc(table, &old_table.vpc_id, subject)?;

    let (old_table_id, association) = (old_table.id.clone(), association.clone());
    remove_association(ec2, &old_table_id, association_id);
    let id = insert_association(ec2, request, table_id, association);
    Ok(associated("newAssociationId", &id))
}

/// `DisassociateRouteTable`: the subnet uses the main table from now on.
pub(super) fn disassociate(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, Fault> {
    let association_id = request.id("AssociationId", &ASSOCIATION)?;
    let (table, association) = find_association(ec2, association_id)?;
    if association.is_main() {
        let message =
            format!("cannot disassociate the main route table association {association_id}");
        return Err(Fault::client("InvalidParameterValue", message));
    }
    let table_id = table.id.clone();
    remove_association(ec2, &table_id, association_id);
    Ok(yes())
}

fn find_association<'a>(
    ec2: &'a Ec2,
    id: &str,
) -> Result<(&'a RouteTable, &'a Association), Fault> {
    let found = ec2.route_tables.values().find_map(|table| {
        let association = table.associations.get(id)?;
        Some((table, association))
    });
    found
        .filter(|_| !ec2.is_hidden(id))
        .ok_or_else(|| ASSOCIATION.missing(id))
}

fn insert_association(
    ec2: &mut Ec2,
    request: &Request<'_>,
    table_id: &str,
    association: Association,
) -> String {
    let subject = association.subnet_id.as_deref().unwrap_or("main");
    let id = ec2.mint(
        request,
        ASSOCIATION.prefix,
        &format!("{table_id}/{subject}"),
    );
    if let Some(table) = ec2.route_tables.get_mut(table_id) {
        table.associations.insert(id.clone(), association);
    }
    id
}

fn remove_association(ec2: &mut Ec2, table_id: &str, id: &str) {
    if let Some(table) = ec2.route_tables.get_mut(table_id) {
        table.associations.remove(id);
    }
}

fn check_same_vpc(table: &RouteTable, vpc_id: &str, subject: &str) -> Result<(), Fault> {
    if table.vpc_id == vpc_id {
        return Ok(());
    }
    let message = format!(
        "Route table {} and {subject} belong to different networks",
        table.id
    );
    Err(Fault::client("InvalidParameterValue", message))
}

fn associated(name: &str, id: &str) -> Vec<Element> {
    vec![Element::text(name, id), association_state()]
}

fn association_state() -> Element {
    Element::new("associationState").child(Element::text("state", "associated"))
}

impl Resource for RouteTable {
    const KIND: Kind = ROUTE_TABLE;
    const FILTERS: &'static [&'static str] = &[
        "association.gateway-id",
        "association.main",
        "association.route-table-association-id",
        "association.route-table-id",
        "association.subnet-id",
        "owner-id",
        "route-table-id",
        "route.destination-cidr-block",
        "route.destination-ipv6-cidr-block",
        "route.destination-prefix-list-id",
        "route.egress-only-internet-gateway-id",
        "route.gateway-id",
        "route.instance-id",
        "route.nat-gateway-id",
        "route.origin",
        "route.state",
        "route.transit-gateway-id",
        "route.vpc-peering-connection-id",
        "vpc-id",
    ];

    fn tags(&self) -> &Tags {
        &self.tags
    }

    fn attribute(&self, name: &str, ec2: &Ec2, request: &Request<'_>) -> Vec<String> {
        let associations = || self.associations.iter();
        match name {
            "association.main" => associations()
                .map(|(_, association)| association.is_main().to_string())
                .collect(),
            "association.route-table-association-id" => {
                associations().map(|(id, _)| id.clone()).collect()
            }
            "association.route-table-id" => associations().map(|_| self.id.clone()).collect(),
            "association.subnet-id" => associations()
                .filter_map(|(_, association)| association.subnet_id.clone())
                .collect(),
            "owner-id" => vec![request.account.to_owned()],
            "route-table-id" => vec![self.id.clone()],
            "vpc-id" => vec![self.vpc_id.clone()],
            _ => (self.routes.iter())
                .filter_map(|route| route.attribute(name, ec2, &self.vpc_id, request.now))
                .collect(),
        }
    }

    fn content(&self, ec2: &Ec2, request: &Request<'_>) -> Vec<Element> {
        let routes =
            (self.routes.iter()).map(|route| route.content(ec2, &self.vpc_id, request.now));
        let associations = self.associations.iter().map(|(id, association)| {
            let subnet_id = association.subnet_id.as_ref();
            let mut content = vec![
                Element::text("routeTableAssociationId", id),
                Element::text("routeTableId", &self.id),
                Element::text("main", association.is_main()),
                association_state(),
            ];
            content.extend(subnet_id.map(|id| Element::text("subnetId", id)));
            content
        });
        vec![
            Element::text("routeTableId", &self.id),
            Element::text("vpcId", &self.vpc_id),
            Element::text("ownerId", request.account),
            Element::list("routeSet", "item", routes),
            Element::list("associationSet", "item", associations),
            Element::new("propagatingVgwSet"),
            tags::element(&self.tags),
        ]
    }
}
