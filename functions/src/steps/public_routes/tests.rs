//! Unit tests of the step. What it shares with private routes is tested there.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use simulator::ec2::InternetGateway;
use simulator::ec2::route::Target as Hop;
use simulator::ec2::tags::Tags;

use super::*;
use crate::aws::codes;
use crate::testing::World;

const SOONER_THAN_ANY: &str = "igw-00000000000000000";

/// Everything, with the id of the gateway.
async fn world() -> (World, String) {
    let world = World::with_public_routes(Plan::example()).await;
    let id = gateways(&world).into_keys().next().unwrap();
    (world, id)
}

async fn ensure(world: &World, memory: &Value) -> Result<Value, Error> {
    world.ensure::<PublicRoutes>(memory).await
}

fn gateways(world: &World) -> BTreeMap<String, InternetGateway> {
    world.region(|region| region.ec2.internet_gateways.clone())
}

/// Changes the only gateway by hand.
fn change(world: &World, change: impl FnOnce(&mut InternetGateway)) {
    world.region(|region| change(region.ec2.internet_gateways.values_mut().next().unwrap()));
}

/// Adds another gateway of ours by hand, detached and with the smallest id.
fn add_gateway(world: &World) {
    let mut gateway = gateways(world).into_values().next().unwrap();
    (gateway.id, gateway.vpc_id) = (SOONER_THAN_ANY.to_owned(), None);
    world.region(|region| {
        region
            .ec2
            .internet_gateways
            .insert(gateway.id.clone(), gateway)
    });
}

fn vpc_of(world: &World) -> Option<String> {
    world.outputs["vpcId"].as_str().map(str::to_owned)
}

/// What is remembered of a new gateway.
fn remembered(id: &str) -> Value {
    json!({"created": {"internet-gateway": id}, "looks": 0})
}

/// What makes the routes.
const ROUTES: [&str; 5] = [
    "CreateRouteTable",
    "CreateRoute",
    "AssociateRouteTable",
    "AssociateRouteTable",
    "AssociateRouteTable",
];

/// Asserts that the public subnets, and no other, lead to the gateway of the answer.
fn assert_routes(world: &World, answer: &Value) {
    let table_id = answer["routeTableId"].as_str().unwrap();
    let table = world.region(|region| region.ec2.route_tables[table_id].clone());
    assert_eq!(table.tags["hardway:role"], "public-routes");
    let gateway_id = answer["internetGatewayId"].as_str().unwrap();
    assert_eq!(table.routes[1].destination.to_string(), "0.0.0.0/0");
    let hop = Hop::InternetGateway(gateway_id.to_owned());
    assert_eq!(table.routes[1].target, hop);
    assert_eq!(gateways(world)[gateway_id].vpc_id, vpc_of(world));
    let associated = table.associations.values();
    let mut associated: Vec<_> = associated.map(|it| json!(it.subnet_id)).collect();
    let zones = world.outputs["subnets"].as_array().unwrap().iter();
    let mut public: Vec<_> = zones.map(|it| it["publicSubnetId"].clone()).collect();
    associated.sort_by_key(Value::to_string);
    public.sort_by_key(Value::to_string);
    assert_eq!(associated, public);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_is_made_and_then_attached_whether_or_not_lists_show_it() {
    for lag in [false, true] {
        let world = World::with_subnets(Plan::example()).await;
        if lag {
            world.lag_lists();
        }
        let answer = ensure(&world, &Value::Null).await.unwrap();
        let (id, gateway) = gateways(&world).pop_first().unwrap();
        assert_eq!(answer["reason"], format!("{id} is created"));
        assert_eq!(answer["checkAfterSeconds"], 2);
        let memory = remembered(&id);
        assert_eq!(answer["memory"]["created"], memory["created"]);
        assert_eq!(gateway.tags["hardway:cluster"], "demo");
        assert_eq!(gateway.tags["hardway:role"], "internet-gateway");
        assert_eq!(world.changes(), ["CreateInternetGateway"]);

        let answer = ensure(&world, &memory).await.unwrap();
        assert_eq!(answer["internetGatewayId"], id);
        assert_eq!(answer["memory"]["created"], json!({}));
        let attach = vec!["AttachInternetGateway"];
        assert_eq!(world.changes(), [attach, ROUTES.to_vec()].concat());
        assert_routes(&world, &answer);
    }
}

#[tokio::test(start_paused = true)]
async fn a_remembered_gateway_that_is_attached_already_is_used_once_that_is_shown() {
    let world = World::with_subnets(Plan::example()).await;
    world.lag_lists();
    let answer = ensure(&world, &Value::Null).await.unwrap();
    let memory = &answer["memory"];
    let made = ensure(&world, memory).await.unwrap();
    world.forget_calls();
    let error = ensure(&world, memory).await.unwrap_err();
    assert_eq!(error.name(), "NotYetVisible");
    let refused = "AttachInternetGateway: Resource.AlreadyAssociated";
    assert_eq!(world.changes(), [refused]);
    world.show().await;
    let answer = ensure(&world, memory).await.unwrap();
    assert_eq!(answer["internetGatewayId"], made["internetGatewayId"]);
    assert_eq!(world.changes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_is_there_is_left_alone() {
    let (world, id) = world().await;
    for memory in [Value::Null, remembered(&id), remembered("igw-2")] {
        let answer = ensure(&world, &memory).await.unwrap();
        assert_eq!(answer["routeTableId"], world.outputs["routeTableId"]);
        assert_routes(&world, &answer);
        assert_eq!(world.changes(), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_detached_gateway_is_attached() {
    let (world, _) = world().await;
    change(&world, |gateway| gateway.vpc_id = None);
    let answer = ensure(&world, &Value::Null).await.unwrap();
    assert_eq!(world.changes(), ["AttachInternetGateway"]);
    assert_routes(&world, &answer);
}

#[tokio::test(start_paused = true)]
async fn a_route_to_a_gateway_that_is_gone_is_replaced() {
    let (world, _) = world().await;
    world.region(|region| region.ec2.internet_gateways.clear());
    let answer = world.until_ready::<PublicRoutes>().await.unwrap();
    let changes = [
        "CreateInternetGateway",
        "AttachInternetGateway",
        "ReplaceRoute",
    ];
    assert_eq!(world.changes(), changes);
    assert_routes(&world, &answer);
}

#[tokio::test(start_paused = true)]
async fn of_two_detached_gateways_the_smaller_id_is_kept_whatever_is_remembered() {
    let (world, id) = world().await;
    change(&world, |gateway| gateway.vpc_id = None);
    add_gateway(&world);
    let before = world.simulator.state();
    for memory in [Value::Null, remembered(SOONER_THAN_ANY), remembered(&id)] {
        let answer = ensure(&world, &memory).await.unwrap();
        assert_eq!(answer["internetGatewayId"], SOONER_THAN_ANY);
        assert!(!gateways(&world).contains_key(&id));
        let changes = [
            "DeleteInternetGateway",
            "AttachInternetGateway",
            "ReplaceRoute",
        ];
        assert_eq!(world.changes(), changes);
        assert_routes(&world, &answer);
        let before = before.clone();
        world.simulator.change(|state| *state = before);
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_gateways_the_attached_one_is_kept() {
    let (world, id) = world().await;
    add_gateway(&world);
    let answer = ensure(&world, &Value::Null).await.unwrap();
    assert_eq!(answer["internetGatewayId"], id);
    assert!(gateways(&world).into_keys().eq([id]));
    assert_eq!(world.changes(), ["DeleteInternetGateway"]);
}

#[tokio::test(start_paused = true)]
async fn a_vpc_with_somebody_elses_gateway_is_refused() {
    let of_another = |tags: &mut Tags| {
        tags.insert("hardway:cluster".to_owned(), "other".to_owned());
    };
    for others in [Tags::clear as fn(&mut Tags), of_another] {
        for (has_ours, memory) in [(true, Value::Null), (false, remembered("igw-2"))] {
            let (world, id) = world().await;
            if has_ours {
                add_gateway(&world);
            }
            world.region(|region| {
                others(&mut region.ec2.internet_gateways.get_mut(&id).unwrap().tags);
            });
            let error = ensure(&world, &memory).await.unwrap_err();
            assert_eq!(error.name(), "ResourceConflict");
            assert!(error.to_string().contains(&id), "{error}");
            assert_eq!(world.changes(), [""; 0]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_vpc_whose_gateway_is_not_shown_yet_is_looked_at_again() {
    let invalid = codes::INVALID_PARAMETER_VALUE;
    let message = "Network vpc-1 already has an internet gateway attached";
    for (message, expected) in [
        (message, "NotYetVisible"),
        ("Value is invalid", "Unexpected"),
    ] {
        let (world, _) = world().await;
        change(&world, |gateway| gateway.vpc_id = None);
        world.fail_next("AttachInternetGateway", invalid, message);
        let error = ensure(&world, &Value::Null).await.unwrap_err();
        assert_eq!(error.name(), expected);
        let attach = format!("AttachInternetGateway: {invalid}");
        assert_eq!(world.changes(), [attach]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_of_ours_in_another_vpc_is_refused() {
    let (world, _) = world().await;
    change(&world, |gateway| gateway.vpc_id = Some("vpc-2".to_owned()));
    let error = ensure(&world, &Value::Null).await.unwrap_err();
    assert_eq!(error.name(), "ResourceConflict");
    assert!(error.to_string().contains("vpc-2"), "{error}");
    assert_eq!(world.changes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn attached_meanwhile_is_success_only_if_it_is_to_our_vpc() {
    for is_ours in [true, false] {
        let (world, id) = world().await;
        change(&world, |gateway| gateway.vpc_id = None);
        let vpc_id = vpc_of(&world).filter(|_| is_ours);
        let vpc_id = vpc_id.unwrap_or_else(|| "vpc-2".to_owned());
        world.before_next("AttachInternetGateway", move |region| {
            region.ec2.internet_gateways.get_mut(&id).unwrap().vpc_id = Some(vpc_id);
        });
        let answer = ensure(&world, &Value::Null).await;
        let answer = answer.as_ref().map_or_else(Error::name, |_| "ok");
        assert_eq!(answer, if is_ours { "ok" } else { "ResourceConflict" });
        let attach = "AttachInternetGateway: Resource.AlreadyAssociated";
        assert_eq!(world.changes(), [attach]);
    }
}

fn kinds(removed: &Value) -> Vec<&str> {
    let removed = removed.as_array().unwrap().iter();
    removed.map(|it| it["type"].as_str().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_removal_detaches_and_deletes_the_gateway_and_then_the_table() {
    let (world, id) = world().await;
    let removed = world.until_removed::<PublicRoutes>().await;
    let expected = [
        "AWS::EC2::VPCGatewayAttachment",
        "AWS::EC2::InternetGateway",
        "AWS::EC2::SubnetRouteTableAssociation",
        "AWS::EC2::SubnetRouteTableAssociation",
        "AWS::EC2::SubnetRouteTableAssociation",
        "AWS::EC2::RouteTable",
    ];
    assert_eq!(kinds(&removed), expected);
    assert_eq!(removed[1]["id"], id);
    assert!(gateways(&world).is_empty());
    let tables = world.region(|region| region.ec2.route_tables.clone());
    assert!(tables.values().all(simulator::ec2::RouteTable::is_main));
}

#[tokio::test(start_paused = true)]
async fn a_removal_waits_for_public_addresses_and_keeps_the_table_until_then() {
    let mut plan = Plan::example();
    plan.network.zones.truncate(1);
    let world = World::with_nat_gateways(plan).await;
    let answer = world.remove::<PublicRoutes>().await.unwrap();
    assert_eq!(answer["checkAfterSeconds"], 15);
    let reason = answer["reason"].as_str().unwrap();
    assert!(reason.contains("mapped public address"), "{reason}");
    assert_eq!(
        world.changes(),
        ["DetachInternetGateway: DependencyViolation"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_removal_of_what_is_gone_succeeds() {
    let nothing = World::new(Plan::example());
    assert_eq!(nothing.until_removed::<PublicRoutes>().await, json!([]));
    assert_eq!(nothing.changes(), [""; 0]);

    let (world, _) = world().await;
    world.region(|region| region.ec2.route_tables.clear());
    world.fail_next("DetachInternetGateway", codes::GATEWAY_NOT_ATTACHED, "gone");
    let code = codes::INTERNET_GATEWAY_NOT_FOUND;
    world.fail_next("DeleteInternetGateway", code, "gone");
    let answer = world.remove::<PublicRoutes>().await.unwrap();
    assert_eq!(answer["removed"], json!([]));
}
