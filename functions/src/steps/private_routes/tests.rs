//! Unit tests of the step.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use simulator::ec2::RouteTable;
use simulator::ec2::route::Target as Hop;
use simulator::state::Region;

use super::*;
use crate::aws::codes;
use crate::model::spec::NatGateways;
use crate::testing::World;

const ROLE: &str = "private-routes-apne1-az1";
const SOONER_THAN_ANY: &str = "rtb-00000000000000000";

/// A plan with one zone: what happens there happens in each.
fn plan() -> Plan {
    let mut plan = Plan::example();
    plan.network.zones.truncate(1);
    plan
}

/// What the step needs.
async fn before() -> World {
    World::with_nat_gateways(plan()).await
}

/// Everything, with the table.
async fn world() -> (World, RouteTable) {
    let mut world = before().await;
    world.ready::<PrivateRoutes>().await;
    let table = table(&world);
    (world, table)
}

async fn ensure(world: &World) -> Result<Value, Error> {
    world.ensure::<PrivateRoutes>(&Value::Null).await
}

/// The first zone's table.
fn table(world: &World) -> RouteTable {
    let tables = world.region(|region| region.ec2.route_tables.clone());
    let is_it = |table: &RouteTable| table.tags.get("hardway:role").is_some_and(|it| it == ROLE);
    tables.into_values().find(is_it).unwrap()
}

/// Puts a table into the world by hand, instead of the one with its id if there is one.
fn put(world: &World, table: RouteTable) {
    world.region(|region| region.ec2.route_tables.insert(table.id.clone(), table));
}

/// Another table like this one, with the smallest id.
fn copy(table: &RouteTable) -> RouteTable {
    let mut copy = table.clone();
    copy.id = SOONER_THAN_ANY.to_owned();
    copy
}

/// Moves the subnet of the table to another one, which has a role of its own or is somebody's.
fn lead_astray(world: &World, table: &RouteTable, role: Option<&str>) {
    let mut other = copy(table);
    other.tags.clear();
    if let Some(role) = role {
        other.tags.clone_from(&table.tags);
        other
            .tags
            .insert("hardway:role".to_owned(), role.to_owned());
    }
    put(world, other);
    let mut left = table.clone();
    left.associations.clear();
    put(world, left);
}

/// Leads the default routes of private tables to a gateway that is gone, or removes them.
fn set_routes(region: &mut Region, hop: Option<&str>) {
    for table in region.ec2.route_tables.values_mut() {
        let is_nat = |hop: &Hop| matches!(hop, Hop::NatGateway(_));
        match hop {
            None => table.routes.retain(|route| !is_nat(&route.target)),
            Some(id) => {
                let routes = table.routes.iter_mut().filter(|it| is_nat(&it.target));
                routes.for_each(|route| route.target = Hop::NatGateway(id.to_owned()));
            }
        }
    }
}

/// Asserts that the first zone's table is as it was.
fn assert_table(world: &World, expected: &RouteTable) {
    let table = table(world);
    assert_eq!((&table.id, &table.routes), (&expected.id, &expected.routes));
    let subnets = |table: &RouteTable| table.associations.values().cloned().collect::<Vec<_>>();
    assert_eq!(subnets(&table), subnets(expected));
}

#[tokio::test(start_paused = true)]
async fn each_zone_gets_a_table_to_its_own_nat_gateway_or_to_the_single_one() {
    for (gateways, hops) in [
        (NatGateways::OnePerAz, [0, 1, 2]),
        (NatGateways::Single, [0; 3]),
    ] {
        let mut plan = Plan::example();
        plan.network.nat_gateways = gateways;
        let world = World::with_nat_gateways(plan).await;
        let answer = ensure(&world).await.unwrap();
        let each = ["CreateRouteTable", "CreateRoute", "AssociateRouteTable"];
        let tokens = world.parameters("CreateRouteTable", "ClientToken");
        assert!(tokens.iter().all(|token| token.len() == 64), "{tokens:?}");
        assert_eq!(world.changes(), [each; 3].concat());
        let zones = ["apne1-az1", "apne1-az2", "apne1-az4"];
        for (place, (zone, hop)) in zones.into_iter().zip(hops).enumerate() {
            let said = &answer["routeTables"][place];
            let hop = &world.outputs["natGateways"][hop]["natGatewayId"];
            assert_eq!(
                (&said["zoneId"], &said["natGatewayId"]),
                (&json!(zone), hop)
            );
            let id = said["routeTableId"].as_str().unwrap();
            let table = world.region(|region| region.ec2.route_tables[id].clone());
            assert_eq!(table.tags["hardway:cluster"], "demo");
            assert_eq!(table.tags["hardway:role"], format!("private-routes-{zone}"));
            assert_eq!(table.routes[1].destination.to_string(), "0.0.0.0/0");
            let hop = Hop::NatGateway(hop.as_str().unwrap().to_owned());
            assert_eq!(table.routes[1].target, hop);
            let [association] = table.associations.values().collect::<Vec<_>>()[..] else {
                panic!("not one association: {table:?}");
            };
            let subnet = &world.outputs["subnets"][place]["privateSubnetId"];
            assert_eq!(json!(association.subnet_id), *subnet);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_table_that_is_there_is_looked_at_once_and_left_alone() {
    let (world, table) = world().await;
    let answer = ensure(&world).await.unwrap();
    assert_eq!(answer["routeTables"][0]["routeTableId"], table.id);
    assert_eq!(world.calls(), ["DescribeRouteTables"]);
}

#[tokio::test(start_paused = true)]
async fn a_missing_route_and_association_are_put_back() {
    let (world, table) = world().await;
    let mut bare = table.clone();
    bare.routes.truncate(1);
    bare.associations.clear();
    put(&world, bare);
    ensure(&world).await.unwrap();
    assert_eq!(world.changes(), ["CreateRoute", "AssociateRouteTable"]);
    assert_table(&world, &table);
}

#[tokio::test(start_paused = true)]
async fn a_route_to_another_gateway_is_replaced() {
    let (world, table) = world().await;
    world.region(|region| set_routes(region, Some("nat-gone")));
    ensure(&world).await.unwrap();
    assert_eq!(world.changes(), ["ReplaceRoute"]);
    assert_table(&world, &table);
}

#[tokio::test(start_paused = true)]
async fn a_route_that_appeared_meanwhile_is_replaced() {
    let (world, table) = world().await;
    let wrong = table.clone();
    world.region(|region| set_routes(region, None));
    world.before_next("CreateRoute", move |region| {
        region.ec2.route_tables.insert(wrong.id.clone(), wrong);
        set_routes(region, Some("nat-gone"));
    });
    ensure(&world).await.unwrap();
    let exists = "CreateRoute: RouteAlreadyExists";
    assert_eq!(world.changes(), [exists, "ReplaceRoute"]);
    assert_table(&world, &table);
}

#[tokio::test(start_paused = true)]
async fn a_route_that_is_gone_meanwhile_is_made_unless_somebody_keeps_changing_it() {
    for keeps_changing in [false, true] {
        let (world, table) = world().await;
        world.region(|region| set_routes(region, Some("nat-gone")));
        world.before_next("ReplaceRoute", |region| set_routes(region, None));
        if keeps_changing {
            let code = codes::ROUTE_ALREADY_EXISTS;
            world.fail_next("CreateRoute", code, "exists");
            let error = ensure(&world).await.unwrap_err();
            assert_eq!(error.name(), "NotYetVisible");
        } else {
            ensure(&world).await.unwrap();
            let gone = "ReplaceRoute: InvalidParameterValue";
            assert_eq!(world.changes(), [gone, "CreateRoute"]);
            assert_table(&world, &table);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_attachment_that_cannot_be_seen_yet_is_tried_again() {
    let networks = "route table rtb-1 and network gateway igw-1 belong to different networks";
    for (hop, operation, message, expected) in [
        (None, "CreateRoute", networks, "NotYetVisible"),
        (Some("nat-gone"), "ReplaceRoute", networks, "NotYetVisible"),
        (None, "CreateRoute", "something else", "Unexpected"),
    ] {
        let (world, _) = world().await;
        world.region(|region| set_routes(region, hop));
        world.fail_next(operation, codes::INVALID_PARAMETER_VALUE, message);
        let error = ensure(&world).await.unwrap_err();
        assert_eq!(error.name(), expected);
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_whose_table_is_deleted_is_followed_by_another() {
    let (world, _) = world().await;
    let (refused, made) = (
        "CreateRouteTable: IdempotentParameterMismatch",
        "CreateRouteTable",
    );
    for deleted in 1..=2 {
        let id = table(&world).id;
        world.region(|region| region.ec2.route_tables.remove(&id));
        ensure(&world).await.unwrap();
        let tokens = world.parameters("CreateRouteTable", "ClientToken");
        let different: BTreeSet<_> = tokens.iter().collect();
        assert_eq!(different.len(), deleted + 1);
        let changes = world.changes();
        assert_eq!(
            changes[..=deleted],
            [vec![refused; deleted], vec![made]].concat()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_table_is_given_up_when_every_token_is_used() {
    let world = before().await;
    for _ in 0..20 {
        let code = codes::IDEMPOTENT_PARAMETER_MISMATCH;
        world.fail_next("CreateRouteTable", code, "now deleted.");
    }
    let error = ensure(&world).await.unwrap_err();
    assert_eq!(error.name(), "ResourceFailed");
    assert!(error.to_string().contains("client tokens"), "{error}");
    assert_eq!(world.changes().len(), 20);
}

#[tokio::test(start_paused = true)]
async fn of_two_tables_of_one_role_the_used_one_stays() {
    let (world, table) = world().await;
    let mut unused = copy(&table);
    unused.associations.clear();
    put(&world, unused);
    let answer = ensure(&world).await.unwrap();
    assert_eq!(answer["routeTables"][0]["routeTableId"], table.id);
    let deleted = world.parameters("DeleteRouteTable", "RouteTableId");
    assert_eq!(deleted, [SOONER_THAN_ANY]);
    assert_eq!(world.changes(), ["DeleteRouteTable"]);
}

#[tokio::test(start_paused = true)]
async fn a_second_table_that_other_subnets_use_stays() {
    let (world, table) = world().await;
    let mut other = copy(&table);
    for association in other.associations.values_mut() {
        association.subnet_id = Some("subnet-of-somebody".to_owned());
    }
    put(&world, other);
    ensure(&world).await.unwrap();
    assert_eq!(world.changes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_subnet_is_moved_from_another_table_of_ours() {
    let (world, table) = world().await;
    lead_astray(&world, &table, Some("private-routes-apne1-az2"));
    ensure(&world).await.unwrap();
    assert_eq!(world.changes(), ["ReplaceRouteTableAssociation"]);
    assert_table(&world, &table);
}

#[tokio::test(start_paused = true)]
async fn a_subnet_that_is_associated_with_a_table_of_others_is_refused() {
    let (world, table) = world().await;
    lead_astray(&world, &table, None);
    let error = ensure(&world).await.unwrap_err();
    assert_eq!(error.name(), "ResourceConflict");
    let subnet = &world.outputs["subnets"][0]["privateSubnetId"];
    for part in [SOONER_THAN_ANY, subnet.as_str().unwrap()] {
        assert!(error.to_string().contains(part), "{error}");
    }
    assert_eq!(world.changes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_association_that_cannot_be_seen_yet_is_tried_again() {
    let (world, table) = world().await;
    let mut bare = table.clone();
    bare.associations.clear();
    put(&world, bare);
    world.before_next("AssociateRouteTable", |region| {
        region.ec2.route_tables.insert(table.id.clone(), table);
    });
    let error = ensure(&world).await.unwrap_err();
    assert_eq!(error.name(), "NotYetVisible");
    let refused = "AssociateRouteTable: Resource.AlreadyAssociated";
    assert_eq!(world.changes(), [refused]);
}

#[tokio::test(start_paused = true)]
async fn a_zone_without_a_nat_gateway_or_a_subnet_is_refused_before_anything_is_made() {
    for missing in ["natGateways", "subnets"] {
        let mut world = before().await;
        world.outputs.insert(missing.to_owned(), json!([]));
        let error = ensure(&world).await.unwrap_err();
        assert_eq!(error.name(), "InvalidRequest");
        assert!(error.to_string().contains("apne1-az1"), "{error}");
        assert_eq!(world.changes(), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_removal_disassociates_and_deletes_private_tables_only() {
    let (world, table) = world().await;
    let before = world.region(|region| region.ec2.route_tables.len());
    let removed = world.until_removed::<PrivateRoutes>().await;
    let association = table.associations.keys().next();
    let expected = json!([
        {"type": "AWS::EC2::SubnetRouteTableAssociation", "id": association},
        {"type": "AWS::EC2::RouteTable", "id": table.id},
    ]);
    assert_eq!(removed, expected);
    assert_eq!(
        world.changes(),
        ["DisassociateRouteTable", "DeleteRouteTable"]
    );
    let after = world.region(|region| region.ec2.route_tables.len());
    assert_eq!(after, before - 1);
}

#[tokio::test(start_paused = true)]
async fn a_removal_of_what_is_gone_succeeds() {
    let nothing = World::new(plan());
    assert_eq!(nothing.until_removed::<PrivateRoutes>().await, json!([]));
    assert_eq!(nothing.changes(), [""; 0]);

    for code in [
        codes::ROUTE_TABLE_NOT_FOUND,
        codes::ROUTE_TABLE_NOT_FOUND_TOO,
    ] {
        let (world, _) = world().await;
        let gone = codes::ASSOCIATION_NOT_FOUND;
        world.fail_next("DisassociateRouteTable", gone, "gone");
        world.fail_next("DeleteRouteTable", code, "gone");
        assert_eq!(world.until_removed::<PrivateRoutes>().await, json!([]));
    }
}
