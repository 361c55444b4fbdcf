//! Route tables.

use std::collections::BTreeMap;

use ipnet::Ipv4Net;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::describe::{Resource, Spelling, describe as answer};
use super::kind::{ASSOCIATION, Kind, ROUTE_TABLE, VPC};
use super::request::Request;
use super::route::Route;
use super::tags::{self, Tags};
use super::tokens::Created;
use super::{Association, Ec2, Quotas, association, tokens, yes};
use crate::api_error::ApiError;
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

impl RouteTable {
    /// Whether it is the main route table of its VPC.
    #[must_use]
    pub fn is_main(&self) -> bool {
        self.associations.values().any(Association::is_main)
    }
}

const OPERATION: &str = "CreateRouteTable";

/// `CreateRouteTable`.
pub(super) fn create(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    if let Some(Created::RouteTable(earlier)) = ec2.earlier(OPERATION, request)? {
        let mut current = ec2.route_tables.get(&earlier.id).unwrap_or(earlier).clone();
        // Captured answers of AWS (see `tokens`): the tags as they were first, whatever they are now.
        current.tags.clone_from(&earlier.tags);
        return Ok(created(ec2, request, &current));
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
    answer.extend(tokens::echo(request));
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
pub(super) fn delete(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let id = request.id("RouteTableId", &ROUTE_TABLE)?;
    let table = ec2.look_up(&ec2.route_tables, &ROUTE_TABLE, id)?;
    if !table.associations.is_empty() {
        let message = format!("The routeTable '{id}' has dependencies and cannot be deleted.");
        return Err(ApiError::client("DependencyViolation", message));
    }
    ec2.route_tables.remove(id);
    Ok(yes())
}

/// `DescribeRouteTables`.
pub(super) fn describe(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let spelling = Spelling {
        ids: "RouteTableId",
        set: "routeTableSet",
        page_limit: Some(100),
    };
    answer(ec2, request, &ec2.route_tables, &spelling)
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
        // In no order (captured: radkawar/stackd, testdata/aws/ec2/internet_gateways.json).
        let mut routes: Vec<&Route> = self.routes.iter().collect();
        routes.sort_by_cached_key(|route| {
            let key = format!("{}/{}", self.id, route.destination);
            request.seed.hex("place-of-route", &key, 8)
        });
        let routes = routes.into_iter();
        let routes = routes.map(|route| route.content(ec2, &self.vpc_id, request.now));
        let associations = self.associations.iter().map(|(id, association)| {
            let subnet_id = association.subnet_id.as_ref();
            let mut content = vec![
                Element::text("routeTableAssociationId", id),
                Element::text("routeTableId", &self.id),
                Element::text("main", association.is_main()),
                association::state_element(),
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

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::error::ProvideErrorMetadata;
    use aws_sdk_ec2::types::{Filter, ResourceType};

    use crate::ec2::testing::{World, code, tagged};

    #[tokio::test(start_paused = true)]
    async fn new_vpc_has_a_main_route_table_with_the_local_route() {
        let world = World::new();
        let vpc = world.vpc().await;
        let filter = |name: &str, value: &str| Filter::builder().name(name).values(value).build();
        let call = world.ec2.describe_route_tables();
        let call = call.filters(filter("vpc-id", &vpc));
        let call = call.filters(filter("association.main", "true"));
        let tables = call.send().await.unwrap().route_tables.unwrap();
        assert_eq!(tables.len(), 1);
        let route = &tables[0].routes()[0];
        assert_eq!(route.gateway_id.as_deref(), Some("local"));
        assert_eq!(route.destination_cidr_block.as_deref(), Some("10.0.0.0/16"));
        assert_eq!(tables[0].associations()[0].main, Some(true));
    }

    #[tokio::test(start_paused = true)]
    async fn same_token_and_parameters_give_the_same_table_until_it_is_deleted() {
        let world = World::new();
        let vpc = world.vpc().await;
        let create = |token: &str, tags: &[(&str, &str)]| {
            let tags = tagged(ResourceType::RouteTable, tags);
            let call = world.ec2.create_route_table().vpc_id(&vpc);
            call.tag_specifications(tags).client_token(token).send()
        };
        let id = |made: aws_sdk_ec2::operation::create_route_table::CreateRouteTableOutput| {
            made.route_table.unwrap().route_table_id.unwrap()
        };
        let tags = [("Name", "a"), ("team", "x")];
        let first = id(create("t", &tags).await.unwrap());
        assert_eq!(id(create("t", &tags).await.unwrap()), first);
        for other in [
            &[("Name", "b"), ("team", "x")][..],
            &[tags[1], tags[0]],
            &[],
        ] {
            let refused = create("t", other).await;
            assert_eq!(
                refused.as_ref().unwrap_err().meta().message(),
                Some("Wrong arguments for request with token t")
            );
            assert_eq!(code(refused), "IdempotentParameterMismatch");
        }
        let tag = aws_sdk_ec2::types::Tag::builder().key("Name").value("now");
        let call = world.ec2.create_tags().resources(&first).tags(tag.build());
        call.send().await.unwrap();
        let again = create("t", &tags).await.unwrap().route_table.unwrap();
        assert_eq!(again.tags()[0].value(), Some("a"));

        let call = world.ec2.delete_route_table().route_table_id(&first);
        call.send().await.unwrap();
        let refused = create("t", &tags).await;
        let message = refused.as_ref().unwrap_err().meta().message().unwrap();
        assert!(message.ends_with("associated with a resource which is now deleted."));
        assert_eq!(code(refused), "IdempotentParameterMismatch");
        assert_ne!(id(create("t2", &tags).await.unwrap()), first);
    }

    #[tokio::test(start_paused = true)]
    async fn associated_table_cannot_be_deleted() {
        let world = World::new();
        let network = world.network().await;
        let call = world.ec2.delete_route_table();
        let call = call.route_table_id(&network.public_routes).send().await;
        assert_eq!(code(call), "DependencyViolation");
    }

    #[tokio::test(start_paused = true)]
    async fn tables_of_a_vpc_have_a_quota_and_the_main_one_counts() {
        let world = World::new();
        world.change(|ec2| ec2.quotas.route_tables_per_vpc = 2);
        let vpc = world.vpc().await;
        world.route_table(&vpc).await;
        let third = world.ec2.create_route_table().vpc_id(&vpc).send().await;
        assert_eq!(code(third), "RouteTableLimitExceeded");
    }

    #[tokio::test(start_paused = true)]
    async fn is_found_by_a_subnet_that_is_associated_explicitly() {
        let world = World::new();
        let network = world.network().await;
        let filter = Filter::builder().name("association.subnet-id");
        let call = world.ec2.describe_route_tables();
        let call = call.filters(filter.values(&network.private).build());
        let tables = call.send().await.unwrap().route_tables.unwrap();
        let ids: Vec<_> = tables.iter().filter_map(|it| it.route_table_id()).collect();
        assert_eq!(ids, [network.private_routes.as_str()]);
    }
}
