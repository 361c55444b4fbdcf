//! What happens to the network between two runs, and what a region's zones do: the next run carries on,
//! or says what to do.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_ec2::types::RouteTable;
use serde_json::{Value, json};
use simulator::ec2::block_public_access::{Exclusion, Mode};
use simulator::ec2::zones::ZoneState;
use simulator::ec2::{Ec2, zones};
use tests::faults::Script;
use tests::world::{ACCOUNT, REGION, region, small_input};
use tests::{Execution, World, graph, left};

const SEED: u64 = 61;

fn world() -> World {
    let world = World::new(SEED);
    world.prepare_for(&small_input());
    world
}

async fn graph_of(world: &World) -> BTreeMap<String, Value> {
    tokio::time::sleep(Duration::from_mins(30)).await;
    graph::of(&world.simulator.state(), ACCOUNT).unwrap()
}

/// Removes the private route tables, as somebody at the console would; how many there were.
async fn delete_private_tables(world: &World) -> usize {
    let ec2 = world.aws().ec2().clone();
    let tables = ec2.describe_route_tables().send().await.unwrap();
    let is_private = |table: &&RouteTable| {
        let mut tags = table.tags().iter();
        tags.any(|tag| {
            tag.value()
                .is_some_and(|it| it.starts_with("private-routes-"))
        })
    };
    let mut deleted = 0;
    for table in tables.route_tables().iter().filter(is_private) {
        for association in table.associations() {
            let id = association.route_table_association_id().unwrap();
            let call = ec2.disassociate_route_table().association_id(id);
            call.send().await.unwrap();
        }
        let call = ec2.delete_route_table();
        let call = call.route_table_id(table.route_table_id().unwrap());
        call.send().await.unwrap();
        deleted += 1;
    }
    deleted
}

#[tokio::test(start_paused = true)]
async fn private_route_tables_that_somebody_has_removed_are_made_again_and_again() {
    let world = world();
    let first = world.provision(small_input()).await;
    assert!(first.result.is_ok(), "{}", first.timeline());
    let expected = graph_of(&world).await;
    for _ in 0..3 {
        assert_eq!(delete_private_tables(&world).await, 2);
        let again = world.provision(small_input()).await;
        assert!(again.result.is_ok(), "{}", again.timeline());
        let difference = graph::difference(&expected, &graph_of(&world).await);
        assert!(difference.is_empty(), "{difference:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cluster_is_built_again_after_a_teardown_that_failed_half_way() {
    let world = world();
    let first = world.provision(small_input()).await;
    assert!(first.result.is_ok(), "{}", first.timeline());
    let expected = graph_of(&world).await;
    // The branch of the NAT gateways fails; the one of the private routes beside it may still end.
    world.follow(Script::with_denied("DeleteNatGateway"));
    let teardown = world.tear_down(json!({"clusterName": "demo"})).await;
    assert_eq!(teardown.failure().error, "ExplicitDeny");
    assert_eq!(delete_private_tables(&world).await, 2);

    world.follow(Script::calm());
    let again = world.provision(small_input()).await;
    assert!(again.result.is_ok(), "{}", again.timeline());
    let difference = graph::difference(&expected, &graph_of(&world).await);
    assert!(difference.is_empty(), "{difference:#?}");
}

fn change(world: &World, change: impl FnOnce(&mut Ec2)) {
    world
        .simulator
        .change(|state| change(&mut region(state).ec2));
}

fn demo(network: &Value) -> Value {
    json!({"clusterName": "demo", "network": network})
}

/// Ids of the zones of a cluster that an execution has built.
fn zones_of(execution: &Execution) -> Vec<String> {
    let output = execution.output();
    let subnets = output["subnets"].as_array().unwrap().iter();
    let ids = subnets.map(|it| it["zoneId"].as_str().unwrap().to_owned());
    ids.collect()
}

#[tokio::test(start_paused = true)]
async fn a_cluster_keeps_its_zones_whatever_becomes_of_the_region() {
    let world = World::new(SEED);
    let input = || json!({"clusterName": "demo"});
    let first = world.provision(input()).await;
    let own = zones_of(&first);
    assert_eq!(own, ["apne1-az1", "apne1-az2", "apne1-az4"]);
    let before = world.changes().len();
    let later: [fn(&mut Ec2); 4] = [
        |ec2| {
            let states = &mut ec2.zones.states;
            states.insert("apne1-az1".to_owned(), ZoneState::Impaired);
        },
        |ec2| {
            ec2.zones.unlisted.insert("apne1-az4".to_owned());
        },
        |ec2| {
            let mut new = zones(REGION).remove(0);
            (new.id, new.name) = ("apne1-az0".to_owned(), format!("{REGION}z"));
            ec2.zones.added.push(new);
        },
        |ec2| {
            let without = &mut ec2.zones.without_control_planes;
            without.insert("apne1-az2".to_owned());
        },
    ];
    for outage in later {
        change(&world, outage);
        let again = world.provision(input()).await;
        assert_eq!(zones_of(&again), own, "{}", again.timeline());
        let changes = world.changes();
        assert!(changes.len() == before, "{:#?}", &changes[before..]);
    }
    // What is broken while a zone is out is mended.
    assert_eq!(delete_private_tables(&world).await, 3);
    let again = world.provision(input()).await;
    assert!(again.result.is_ok(), "{}", again.timeline());
}

#[tokio::test(start_paused = true)]
async fn a_region_that_gets_a_zone_changes_no_cluster() {
    let world = World::new(SEED);
    change(&world, |ec2| {
        ec2.zones.unlisted.insert("apne1-az1".to_owned());
    });
    let input = || json!({"clusterName": "demo"});
    let first = world.provision(input()).await;
    assert_eq!(zones_of(&first), ["apne1-az2", "apne1-az4"]);
    change(&world, |ec2| ec2.zones.unlisted.clear());
    let before = world.changes().len();
    let again = world.provision(input()).await;
    assert_eq!(zones_of(&again), ["apne1-az2", "apne1-az4"]);
    assert_eq!(world.changes().len(), before);
}

#[tokio::test(start_paused = true)]
async fn other_zones_of_a_cluster_that_exists_are_refused_with_the_way_out() {
    let world = World::new(SEED);
    let named = json!({"availabilityZoneIds": ["apne1-az4", "apne1-az2"]});
    let first = world.provision(demo(&named)).await;
    assert_eq!(zones_of(&first), ["apne1-az2", "apne1-az4"]);
    let before = world.changes().len();
    for (field, network) in [
        ("network.availabilityZones", json!({"availabilityZones": 3})),
        (
            "network.availabilityZoneIds",
            json!({"availabilityZoneIds": ["apne1-az1", "apne1-az2"]}),
        ),
        (
            "network.excludedAvailabilityZoneIds",
            json!({"excludedAvailabilityZoneIds": ["apne1-az2"]}),
        ),
    ] {
        let failure = world.provision(demo(&network)).await.failure().clone();
        assert_eq!(failure.error, "InvalidRequest", "{}", failure.cause);
        for said in [field, "apne1-az2, apne1-az4", "tear it down"] {
            assert!(failure.cause.contains(said), "{}", failure.cause);
        }
    }
    let again = world.provision(demo(&named)).await;
    assert!(again.result.is_ok(), "{}", again.timeline());
    assert_eq!(world.changes().len(), before);
}

#[tokio::test(start_paused = true)]
async fn a_zone_that_eks_refuses_is_named_and_can_be_left_out() {
    let world = World::new(SEED);
    change(&world, |ec2| {
        let zones = &mut ec2.zones.without_control_planes;
        zones.insert("apne1-az2".to_owned());
    });
    let failure = world.provision(demo(&json!({}))).await.failure().clone();
    assert_eq!(failure.error, "InvalidRequest", "{}", failure.cause);
    for said in [
        "zones other than apne1-az2,",
        "network.excludedAvailabilityZoneIds",
        "does not currently have sufficient capacity",
    ] {
        assert!(failure.cause.contains(said), "{}", failure.cause);
    }
    // The network of the first attempt is there: its other zones keep their blocks.
    let excluding = json!({"excludedAvailabilityZoneIds": ["apne1-az2"]});
    let again = world.provision(demo(&excluding)).await;
    assert_eq!(zones_of(&again), ["apne1-az1", "apne1-az4"]);
    let third = world.provision(demo(&excluding)).await;
    assert_eq!(zones_of(&third), ["apne1-az1", "apne1-az4"]);
    let teardown = world.tear_down(json!({"clusterName": "demo"})).await;
    assert!(teardown.result.is_ok(), "{}", teardown.timeline());
    tokio::time::sleep(Duration::from_mins(30)).await;
    assert_eq!(left::everything(&world.simulator.state(), ACCOUNT), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_zone_without_nat_gateways_is_named_and_can_be_left_out() {
    let world = World::new(SEED);
    change(&world, |ec2| {
        let zones = &mut ec2.zones.without_nat_gateways;
        zones.insert("apne1-az1".to_owned());
    });
    let failure = world.provision(demo(&json!({}))).await.failure().clone();
    assert_eq!(failure.error, "InvalidRequest", "{}", failure.cause);
    for said in [
        "zones other than apne1-az1,",
        "Nat Gateway is not available",
    ] {
        assert!(failure.cause.contains(said), "{}", failure.cause);
    }
    let teardown = world.tear_down(json!({"clusterName": "demo"})).await;
    assert!(teardown.result.is_ok(), "{}", teardown.timeline());
    let excluding = json!({"excludedAvailabilityZoneIds": ["apne1-az1"]});
    let again = world.provision(demo(&excluding)).await;
    assert_eq!(zones_of(&again), ["apne1-az2", "apne1-az4"]);
}

#[tokio::test(start_paused = true)]
async fn block_public_access_is_refused_before_anything_is_built() {
    let world = world();
    for is_declared in [false, true] {
        change(&world, |ec2| {
            ec2.block_public_access.mode = Mode::BlockBidirectional;
            ec2.block_public_access.is_declared = is_declared;
        });
        let failure = world.provision(small_input()).await.failure().clone();
        assert_eq!(failure.error, "ResourceConflict", "{}", failure.cause);
        let by = if is_declared {
            "declarative policy"
        } else {
            "modify-vpc-block-public-access-options"
        };
        for said in [
            "VPC Block Public Access is block-bidirectional",
            "block-ingress",
            by,
        ] {
            assert!(failure.cause.contains(said), "{}", failure.cause);
        }
        assert!(world.changes().is_empty(), "{:#?}", world.changes());
    }
    change(&world, |ec2| {
        ec2.block_public_access.mode = Mode::BlockIngress;
        ec2.block_public_access.is_declared = false;
    });
    let built = world.provision(small_input()).await;
    assert!(built.result.is_ok(), "{}", built.timeline());

    // Later it is turned on; only an exclusion of what the NAT gateway lives in helps then.
    change(&world, |ec2| {
        ec2.block_public_access.mode = Mode::BlockBidirectional;
    });
    let failure = world.provision(small_input()).await.failure().clone();
    let exclude = "create-vpc-block-public-access-exclusion";
    assert!(failure.cause.contains(exclude), "{}", failure.cause);
    let vpc = |ec2: &Ec2| ec2.vpcs.keys().next().unwrap().clone();
    change(&world, |ec2| {
        let excluded = [(vpc(ec2), Exclusion::AllowEgress)];
        ec2.block_public_access.exclusions = excluded.into();
    });
    let again = world.provision(small_input()).await;
    assert!(again.result.is_ok(), "{}", again.timeline());
}
