//! Unit tests of the step.

use aws_sdk_ec2::types::ResourceType;
use serde_json::{Value, json};
use simulator::ec2::NatGateway;
use simulator::ec2::address::Association;

use super::*;
use crate::aws::codes;
use crate::model::{names, spec};
use crate::testing::{World, wait};

const ROLE: &str = "nat-gateway-apne1-az1";
const SOONER_THAN_ANY: &str = "nat-00000000000000000";

/// A plan with one zone: what happens there happens in each.
fn plan() -> Plan {
    let mut plan = Plan::example();
    plan.network.zones.truncate(1);
    plan
}

/// One with a single gateway for all zones.
fn single() -> Plan {
    let mut plan = Plan::example();
    plan.network.nat_gateways = spec::NatGateways::Single;
    plan
}

/// Everything, with the ids of the only gateway and its address.
async fn world() -> (World, String, String) {
    let world = World::with_nat_gateways(plan()).await;
    let (gateway, address) = (gateways(&world).remove(0), addresses(&world).remove(0));
    (world, gateway, address)
}

/// What the step needs, and the only gateway has just failed by itself; with the ids.
async fn world_with_failure() -> (World, String, String) {
    let world = World::with_public_routes(plan()).await;
    world.faults(|faults| faults.nat_gateway_failure_share = 1.0);
    let answer = ensure(&world, &Value::Null).await.unwrap();
    wait_for_gateways(&world, &answer["memory"]).await;
    world.faults(|faults| faults.nat_gateway_failure_share = 0.0);
    let (gateway, address) = (gateways(&world).remove(0), addresses(&world).remove(0));
    (world, gateway, address)
}

/// Makes a gateway and lets the time pass until it is available or has failed.
async fn wait_for_gateways(world: &World, memory: &Value) {
    ensure(world, memory).await.unwrap();
    tokio::time::sleep(Duration::from_mins(3)).await;
    world.forget_calls();
}

async fn ensure(world: &World, memory: &Value) -> Result<Value, Error> {
    world.ensure::<NatGateways>(memory).await
}

/// Allocates an address of ours by hand.
async fn add_address(world: &World) -> String {
    let tags = tags::ec2_specification(&world.plan, ResourceType::ElasticIp, ROLE, &[]);
    let call = world
        .aws()
        .ec2()
        .allocate_address()
        .tag_specifications(tags);
    let made = call.send().await.unwrap();
    world.forget_calls();
    made.allocation_id.unwrap()
}

/// Deletes a gateway by hand.
async fn delete(world: &World, id: &str) {
    let call = world.aws().ec2().delete_nat_gateway().nat_gateway_id(id);
    call.send().await.unwrap();
    world.forget_calls();
}

fn gateways(world: &World) -> Vec<String> {
    world.region(|region| region.ec2.nat_gateways.keys().cloned().collect())
}

fn gateway(world: &World, id: &str) -> NatGateway {
    world.region(|region| region.ec2.nat_gateways[id].clone())
}

fn addresses(world: &World) -> Vec<String> {
    world.region(|region| region.ec2.addresses.keys().cloned().collect())
}

/// What is remembered of the address of the first zone and, once there is one, its gateway.
fn remembered(allocation_id: &str, gateway_id: Option<&str>) -> Value {
    let mut created = json!({ROLE: allocation_id});
    if let Some(id) = gateway_id {
        created[format!("{ROLE}/gateway")] = json!(id);
    }
    json!({"created": created, "looks": 0})
}

fn subnet(world: &World, place: usize, kind: &str) -> String {
    let id = &world.outputs["subnets"][place][kind];
    id.as_str().unwrap().to_owned()
}

/// The token of an attempt in the first zone.
fn token(world: &World, allocation_id: &str, attempt: &str) -> String {
    let subnet = subnet(world, 0, "publicSubnetId");
    let parts = ["nat-gateway", subnet.as_str(), allocation_id, attempt];
    names::client_token(&world.plan.target, parts)
}

fn tokens(world: &World) -> Vec<String> {
    world.parameters("CreateNatGateway", "ClientToken")
}

const PENDING: &str = "NAT gateway in apne1-az1 is pending";

#[tokio::test(start_paused = true)]
async fn an_address_is_allocated_and_then_a_gateway_made_whether_or_not_lists_show_them() {
    for lag in [false, true] {
        let world = World::with_public_routes(plan()).await;
        if lag {
            world.lag_lists();
        }
        let answer = ensure(&world, &Value::Null).await.unwrap();
        let [address] = addresses(&world).try_into().unwrap();
        assert_eq!(answer["reason"], format!("{address} is allocated"));
        assert_eq!(answer["checkAfterSeconds"], 2);
        let known = remembered(&address, None);
        assert_eq!(answer["memory"]["created"], known["created"]);
        assert_eq!(world.changes(), ["AllocateAddress"]);
        let tags = world.region(|region| region.ec2.addresses[&address].tags.clone());
        assert_eq!((&*tags[tags::CLUSTER], &*tags[tags::ROLE]), ("demo", ROLE));

        let answer = ensure(&world, &known).await.unwrap();
        let [id] = gateways(&world).try_into().unwrap();
        assert_eq!(answer["reason"], PENDING);
        assert_eq!(answer["checkAfterSeconds"], 15);
        let known = remembered(&address, Some(&id));
        assert_eq!(answer["memory"]["created"], known["created"]);
        assert_eq!(tokens(&world), [token(&world, &address, "0")]);
        assert_eq!(world.changes(), ["CreateNatGateway"]);
        let gateway = gateway(&world, &id);
        assert_eq!(gateway.subnet_id, subnet(&world, 0, "publicSubnetId"));
        assert_eq!(gateway.tags, tags);
    }
}

#[tokio::test(start_paused = true)]
async fn a_remembered_gateway_that_is_not_shown_yet_is_not_made_again() {
    for (is_shown, is_used) in [(false, false), (true, false), (true, true)] {
        let (world, id, address) = world().await;
        world.region(|region| {
            region.ec2.nat_gateways.clear();
            region.ec2.addresses.retain(|_, _| is_shown);
            let unused = region.ec2.addresses.values_mut().filter(|_| !is_used);
            unused.for_each(|it| it.association = None);
        });
        let known = remembered(&address, Some(&id));
        let answer = ensure(&world, &known).await.unwrap();
        let reason = format!("{PENDING}; EC2 does not show {id} yet");
        assert_eq!(answer["reason"], reason);
        assert_eq!(answer["checkAfterSeconds"], 15);
        assert_eq!(answer["memory"]["created"], known["created"]);
        assert_eq!(world.changes(), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_gateway_is_replaced_once_with_its_address_and_another_token() {
    let (world, failed, address) = world_with_failure().await;
    for known in [Value::Null, remembered(&address, Some(&failed))] {
        let before = world.simulator.state();
        let answer = ensure(&world, &known).await.unwrap();
        let reason = answer["reason"].as_str().unwrap();
        let said = format!("{failed} failed: InternalError: Network interface");
        assert!(reason.contains(&said), "{reason}");
        assert_eq!(tokens(&world), [token(&world, &address, "1")]);
        assert_eq!(world.changes(), ["DeleteNatGateway", "CreateNatGateway"]);
        let new = gateways(&world).into_iter().find(|id| *id != failed);
        let known = &answer["memory"];
        assert_eq!(known["created"][format!("{ROLE}/gateway")], json!(new));
        // Lists may still have the old one only.
        world.region(|region| region.ec2.nat_gateways.remove(&new.unwrap()));
        let answer = ensure(&world, known).await.unwrap();
        assert_eq!(answer["memory"]["created"], known["created"]);
        assert_eq!(world.changes(), [""; 0]);
        world.simulator.change(|state| *state = before);
    }
}

#[tokio::test(start_paused = true)]
async fn only_what_was_made_in_this_execution_is_new() {
    let (world, id, address) = world().await;
    for (memory, is_new) in [
        (Value::Null, false),
        (remembered(&address, None), true),
        (remembered(&address, Some(&id)), true),
    ] {
        let answer = ensure(&world, &memory).await.unwrap();
        assert_eq!(answer["isNew"], is_new);
        assert_eq!(answer["memory"]["created"], json!({}));
        assert_eq!(world.changes(), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn each_zone_gets_an_address_and_a_gateway_with_one_address_at_each_invocation() {
    let world = World::with_public_routes(Plan::example()).await;
    world.lag_lists();
    let mut answer = json!({});
    let (allocate, create) = ("AllocateAddress", "CreateNatGateway");
    for changes in [
        vec![allocate],
        vec![create, allocate],
        vec![create, allocate],
    ] {
        answer = ensure(&world, &answer["memory"]).await.unwrap();
        assert_eq!(world.changes(), changes);
    }
    answer = ensure(&world, &answer["memory"]).await.unwrap();
    let reason = answer["reason"].as_str().unwrap();
    let pending = "NAT gateways in apne1-az1, apne1-az2, apne1-az4 are pending; ";
    assert!(reason.starts_with(pending), "{reason}");
    assert_eq!(reason.matches("EC2 does not show nat-").count(), 2);
    let known = &answer["memory"]["created"];
    assert_eq!(known.as_object().unwrap().len(), 6);
    assert_eq!(world.changes(), [create]);
    let again = ensure(&world, &answer["memory"]).await.unwrap();
    assert_eq!(again["memory"]["created"], *known);
    assert_eq!(world.changes(), [""; 0]);
    for (place, zone) in ["apne1-az1", "apne1-az2", "apne1-az4"].iter().enumerate() {
        let id = &known[format!("nat-gateway-{zone}/gateway")];
        let gateway = gateway(&world, id.as_str().unwrap());
        assert_eq!(gateway.subnet_id, subnet(&world, place, "publicSubnetId"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_single_gateway_is_in_the_first_zone() {
    let world = World::with_public_routes(single()).await;
    let answer = world.until_ready::<NatGateways>().await.unwrap();
    assert_eq!(answer["natGateways"].as_array().unwrap().len(), 1);
    let address = &addresses(&world)[0];
    assert_eq!(tokens(&world), [token(&world, address, "0")]);
    assert_eq!(world.changes(), ["AllocateAddress", "CreateNatGateway"]);
}

#[tokio::test(start_paused = true)]
async fn gateways_of_other_zones_stay_when_a_single_one_is_wanted() {
    let mut world = World::with_nat_gateways(Plan::example()).await;
    world.plan = single();
    let answer = ensure(&world, &Value::Null).await.unwrap();
    assert_eq!(answer["natGateways"].as_array().unwrap().len(), 1);
    assert_eq!(world.changes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_available_gateway_is_used() {
    let (world, id, address) = world().await;
    let answer = ensure(&world, &Value::Null).await.unwrap();
    let public_ip = world.region(|region| region.ec2.addresses[&address].public_ip);
    let expected = json!({
        "zoneId": "apne1-az1",
        "natGatewayId": id,
        "allocationId": address,
        "publicIp": public_ip,
    });
    assert_eq!(answer["natGateways"], json!([expected]));
    assert_eq!(world.changes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_pending_gateway_is_waited_for_and_left_alone() {
    let world = World::with_public_routes(plan()).await;
    let answer = ensure(&world, &Value::Null).await.unwrap();
    ensure(&world, &answer["memory"]).await.unwrap();
    world.forget_calls();
    let answer = ensure(&world, &Value::Null).await.unwrap();
    assert_eq!(answer["reason"], PENDING);
    assert_eq!(world.changes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_address_is_used_again_and_the_surplus_of_a_lost_answer_released() {
    for known in [0, 1] {
        let world = World::with_public_routes(plan()).await;
        add_address(&world).await;
        add_address(&world).await;
        let both = addresses(&world);
        let memory = if known == 0 {
            Value::Null
        } else {
            remembered(&both[known], None)
        };
        ensure(&world, &memory).await.unwrap();
        assert_eq!(world.changes(), ["ReleaseAddress", "CreateNatGateway"]);
        assert_eq!(addresses(&world), [both[known].clone()]);
        let gateway = gateway(&world, &gateways(&world)[0]);
        assert_eq!(gateway.allocation_id.as_ref(), Some(&both[known]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_surplus_address_beside_a_gateway_is_released() {
    let (world, _, address) = world().await;
    add_address(&world).await;
    let answer = ensure(&world, &Value::Null).await.unwrap();
    assert_eq!(answer["natGateways"][0]["allocationId"], address);
    assert_eq!(world.changes(), ["ReleaseAddress"]);
    assert_eq!(addresses(&world), [address]);
}

#[tokio::test(start_paused = true)]
async fn a_surplus_address_that_is_released_already_is_no_missing_permission() {
    for is_shown in [false, true] {
        let (world, _, _) = world().await;
        let surplus = add_address(&world).await;
        world.before_next("ReleaseAddress", move |region| {
            region
                .ec2
                .addresses
                .retain(|id, _| is_shown || *id != surplus);
        });
        world.fail_next("ReleaseAddress", codes::AUTH_FAILURE, "not yours");
        let answer = ensure(&world, &Value::Null).await.unwrap();
        assert!(answer["natGateways"].is_array());
        let calls = world.calls();
        assert_eq!(calls.last().unwrap(), "DescribeAddresses");
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_of_gateways_that_have_failed_unseen_are_passed_over_until_there_are_too_many() {
    let world = World::with_public_routes(plan()).await;
    world.lag_lists();
    world.faults(|faults| faults.nat_gateway_failure_share = 1.0);
    let address = add_address(&world).await;
    let known = remembered(&address, None);
    let all = ["0", "1", "2", "3", "4"].map(|attempt| token(&world, &address, attempt));
    for round in 1..=5 {
        ensure(&world, &known).await.unwrap();
        assert_eq!(tokens(&world), all[..round]);
        assert_eq!(gateways(&world).len(), round);
        tokio::time::sleep(Duration::from_mins(3)).await;
        world.forget_calls();
    }
    let error = ensure(&world, &known).await.unwrap_err();
    assert_eq!(error.name(), "ResourceFailed");
    assert_eq!(tokens(&world), all);
    assert_eq!(gateways(&world).len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_token_whose_gateway_is_deleted_is_not_used_again() {
    let (world, id, address) = world().await;
    delete(&world, &id).await;
    tokio::time::sleep(Duration::from_hours(2)).await;
    ensure(&world, &Value::Null).await.unwrap();
    let mismatch = "CreateNatGateway: IdempotentParameterMismatch";
    let both = ["0", "1"].map(|attempt| token(&world, &address, attempt));
    assert_eq!(tokens(&world), both);
    assert_eq!(world.changes(), [mismatch, "CreateNatGateway"]);
}

#[tokio::test(start_paused = true)]
async fn a_full_subnet_is_reported_after_the_failed_gateway_is_deleted() {
    let (world, failed, _) = world_with_failure().await;
    let code = "InsufficientFreeAddressesInSubnet";
    world.region(|region| {
        let gateway = region.ec2.nat_gateways.get_mut(&failed).unwrap();
        gateway.failure.as_mut().unwrap().code = code.to_owned();
    });
    let error = ensure(&world, &Value::Null).await.unwrap_err();
    assert_eq!(error.name(), "ResourceFailed");
    assert!(error.to_string().contains(code), "{error}");
    assert_eq!(world.changes(), ["DeleteNatGateway"]);
}

#[tokio::test(start_paused = true)]
async fn a_zone_is_given_up_after_four_failures() {
    let world = World::with_public_routes(plan()).await;
    world.faults(|faults| faults.nat_gateway_failure_share = 1.0);
    let error = world.until_ready::<NatGateways>().await.unwrap_err();
    assert_eq!(error.name(), "ResourceFailed");
    let said = "InternalError: Network interface";
    assert!(error.to_string().contains(said), "{error}");
    let again = [["DeleteNatGateway", "CreateNatGateway"]; 3].concat();
    let changes = [
        vec!["AllocateAddress", "CreateNatGateway"],
        again,
        vec!["DeleteNatGateway"],
    ];
    assert_eq!(world.changes(), changes.concat());
}

#[tokio::test(start_paused = true)]
async fn a_dying_gateway_is_waited_for_to_let_go_of_the_address() {
    let (world, id, address) = world().await;
    delete(&world, &id).await;
    let answer = ensure(&world, &Value::Null).await.unwrap();
    let reason = answer["reason"].as_str().unwrap();
    let held = format!("{address} is still held by {id}");
    assert!(reason.contains(&held), "{reason}");
    assert_eq!(world.changes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_surplus_address_that_a_dying_gateway_holds_is_waited_for() {
    let (world, id, address) = world().await;
    delete(&world, &id).await;
    add_address(&world).await;
    ensure(&world, &Value::Null).await.unwrap();
    assert_eq!(world.changes(), ["CreateNatGateway"]);
    tokio::time::sleep(Duration::from_secs(30)).await;
    let answer = ensure(&world, &Value::Null).await.unwrap();
    let reason = format!("{PENDING}; {address} is still held by {id}, which is being deleted");
    assert_eq!(answer["reason"], reason);
    assert_eq!(world.changes(), [""; 0]);
    tokio::time::sleep(Duration::from_mins(2)).await;
    world.until_ready::<NatGateways>().await.unwrap();
    assert_eq!(world.changes(), ["ReleaseAddress"]);
    assert!(!addresses(&world).contains(&address));
}

#[tokio::test(start_paused = true)]
async fn an_address_that_something_unknown_uses_waits_for_it_to_be_shown() {
    let (world, id, _) = world().await;
    let interface = gateway(&world, &id).interface.unwrap().id;
    world.region(|region| region.ec2.nat_gateways.clear());
    let error = ensure(&world, &Value::Null).await.unwrap_err();
    assert_eq!(error.name(), "NotYetVisible");
    assert!(error.to_string().contains(&interface), "{error}");
    assert_eq!(world.changes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_in_another_subnet_is_refused() {
    let (world, id, _) = world().await;
    let private = subnet(&world, 0, "privateSubnetId");
    world.region(|region| region.ec2.nat_gateways.get_mut(&id).unwrap().subnet_id = private);
    let error = ensure(&world, &Value::Null).await.unwrap_err();
    assert_eq!(error.name(), "ResourceConflict");
    assert!(error.to_string().contains(&id), "{error}");
    assert_eq!(world.changes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn of_two_live_gateways_the_available_one_is_kept() {
    let (world, id, _) = world().await;
    let mut pending = gateway(&world, &id);
    pending.id = SOONER_THAN_ANY.to_owned();
    pending.pending_until += jiff::SignedDuration::from_hours(1);
    world.region(|region| region.ec2.nat_gateways.insert(pending.id.clone(), pending));
    let answer = ensure(&world, &Value::Null).await.unwrap();
    assert_eq!(answer["natGateways"][0]["natGatewayId"], id);
    let deleted = world.parameters("DeleteNatGateway", "NatGatewayId");
    assert_eq!(deleted, [SOONER_THAN_ANY]);
    assert_eq!(world.changes(), ["DeleteNatGateway"]);
}

#[tokio::test(start_paused = true)]
async fn a_zone_without_nat_gateways_is_named_with_the_field_that_avoids_it() {
    let world = World::with_public_routes(plan()).await;
    world.region(|region| {
        let zones = &mut region.ec2.zones.without_nat_gateways;
        zones.insert("apne1-az1".to_owned())
    });
    let error = world.until_ready::<NatGateways>().await.unwrap_err();
    assert_eq!(error.name(), "InvalidRequest");
    for part in [
        "network.excludedAvailabilityZoneIds",
        "other than apne1-az1,",
    ] {
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_zone_whose_subnets_are_not_said_is_refused_before_anything_is_made() {
    let mut world = World::with_public_routes(plan()).await;
    world.outputs.insert("subnets".to_owned(), json!([]));
    let error = ensure(&world, &Value::Null).await.unwrap_err();
    assert_eq!(error.name(), "InvalidRequest");
    assert_eq!(world.changes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_removal_deletes_gateways_first_and_then_their_addresses() {
    let (world, id, address) = world().await;
    for changes in [vec!["DeleteNatGateway"], vec![]] {
        let answer = world.remove::<NatGateways>().await.unwrap();
        assert_eq!(
            answer["reason"],
            format!("NAT gateways being deleted: {id}")
        );
        assert_eq!(answer["checkAfterSeconds"], 15);
        assert_eq!(world.changes(), changes);
    }
    let removed = world.until_removed::<NatGateways>().await;
    assert_eq!(removed, json!([{"type": "AWS::EC2::EIP", "id": address}]));
    assert_eq!(world.changes().last().unwrap(), "ReleaseAddress");
    assert_eq!(addresses(&world), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_removal_waits_for_an_address_in_use() {
    let world = World::new(plan());
    let address = add_address(&world).await;
    let association = Association {
        id: "eipassoc-1".to_owned(),
        interface_id: "eni-1".to_owned(),
    };
    let used = address.clone();
    world.region(|region| {
        region.ec2.addresses.get_mut(&used).unwrap().association = Some(association);
    });
    let answer = world.remove::<NatGateways>().await.unwrap();
    let reason = answer["reason"].as_str().unwrap();
    let start = format!("{address} cannot go yet: Address");
    assert!(reason.starts_with(&start), "{reason}");
    wait(&answer).await;
    world.region(|region| region.ec2.addresses.get_mut(&used).unwrap().association = None);
    world.until_removed::<NatGateways>().await;
    assert_eq!(addresses(&world), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_is_released_or_in_use_is_no_missing_permission() {
    for is_there in [false, true] {
        let world = World::new(plan());
        let address = add_address(&world).await;
        world.before_next("ReleaseAddress", move |region| {
            region.ec2.addresses.retain(|_, _| is_there);
        });
        world.fail_next("ReleaseAddress", codes::AUTH_FAILURE, "not yours");
        let answer = world.remove::<NatGateways>().await.unwrap();
        if is_there {
            let reason = answer["reason"].as_str().unwrap();
            let start = format!("{address} is still in use: ");
            assert!(reason.starts_with(&start), "{reason}");
        } else {
            assert_eq!(answer["removed"], json!([]));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_permission_to_release_an_address_is_not_waited_for() {
    let world = World::new(plan());
    add_address(&world).await;
    world.fail_next("ReleaseAddress", "UnauthorizedOperation", "not authorized");
    let error = world.remove::<NatGateways>().await.unwrap_err();
    assert_eq!(error.name(), "AccessDenied");
}

#[tokio::test(start_paused = true)]
async fn a_removal_of_what_is_gone_succeeds() {
    let world = World::new(plan());
    assert_eq!(world.until_removed::<NatGateways>().await, json!([]));
    assert_eq!(world.changes(), [""; 0]);
}
