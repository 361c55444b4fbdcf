//! Unit tests of the step.

use aws_sdk_ec2::Client;
use aws_sdk_ec2::operation::create_subnet::CreateSubnetOutput;
use aws_sdk_ec2::operation::describe_subnets::DescribeSubnetsOutput;
use aws_sdk_ec2::types::SubnetState;
use aws_smithy_mocks::mock;
use serde_json::{Value, json};

use super::*;
use crate::testing::World;

const FIRST_CIDR: &str = "10.100.128.0/19";

/// The ids of the subnets in an answer, zone by zone, the public one first.
fn ids(answer: &Value) -> Vec<String> {
    let zones = answer["subnets"].as_array().unwrap().iter();
    let ids = zones.flat_map(|zone| [&zone["publicSubnetId"], &zone["privateSubnetId"]]);
    ids.map(|id| id.as_str().unwrap().to_owned()).collect()
}

/// All subnets, with their ids.
async fn world() -> (World, Vec<String>) {
    let world = World::with_subnets(Plan::example()).await;
    let ids = ids(&Value::Object(world.outputs.clone()));
    (world, ids)
}

async fn ensure(world: &World) -> Result<Value, Error> {
    world.ensure::<Subnets>(&Value::Null).await
}

#[tokio::test(start_paused = true)]
async fn a_public_and_a_private_subnet_are_made_in_each_zone() {
    let world = World::with_vpc(Plan::example()).await;
    let answer = ensure(&world).await.unwrap();
    assert_eq!(world.changes(), ["CreateSubnet"; 6]);
    let (elb, internal) = ("kubernetes.io/role/elb", "kubernetes.io/role/internal-elb");
    let expected = [
        ("apne1-az1", FIRST_CIDR, "public-apne1-az1", elb),
        ("apne1-az1", "10.100.0.0/19", "private-apne1-az1", internal),
        ("apne1-az2", "10.100.160.0/19", "public-apne1-az2", elb),
        ("apne1-az2", "10.100.32.0/19", "private-apne1-az2", internal),
        ("apne1-az4", "10.100.192.0/19", "public-apne1-az4", elb),
        ("apne1-az4", "10.100.64.0/19", "private-apne1-az4", internal),
    ];
    for (id, (zone, cidr, role, elb)) in ids(&answer).iter().zip(expected) {
        let subnet = world.region(|region| region.ec2.subnets[id].clone());
        assert_eq!(subnet.vpc_id, world.outputs["vpcId"]);
        assert_eq!((&*subnet.zone_id, &*subnet.cidr.to_string()), (zone, cidr));
        assert_eq!(subnet.tags["hardway:cluster"], "demo");
        assert_eq!(subnet.tags["hardway:role"], role);
        let mut of_kubernetes = subnet.tags.iter();
        let tag = of_kubernetes.find(|(key, _)| key.starts_with("kubernetes.io"));
        assert_eq!(tag, Some((&elb.to_owned(), &"1".to_owned())));
    }
    let names = ["ap-northeast-1c", "ap-northeast-1d", "ap-northeast-1a"];
    for (place, name) in names.iter().enumerate() {
        assert_eq!(answer["subnets"][place]["zoneName"], *name);
    }
}

/// Scripted: in the simulator a subnet is available at once, as in all answers of AWS that it was made after.
/// But botocore's EC2 model has the state `pending`.
#[tokio::test]
async fn pending_subnets_are_waited_for() {
    let nothing =
        mock!(Client::describe_subnets).then_output(|| DescribeSubnetsOutput::builder().build());
    let pending = mock!(Client::create_subnet).then_compute_output(|call| {
        let subnet = Subnet::builder().state(SubnetState::Pending);
        let subnet = subnet.set_subnet_id(call.cidr_block.clone());
        CreateSubnetOutput::builder().subnet(subnet.build()).build()
    });
    let aws = Aws::offline().with(crate::mocked!(aws_sdk_ec2, [&nothing, &pending]));
    let mut plan = Plan::example();
    plan.network.zones.truncate(1);
    let vpc_id = "vpc-1".to_owned();
    let answer = Subnets::ensure(&aws, &plan, Input { vpc_id }).await;
    let reason = "subnets 10.100.128.0/19, 10.100.0.0/19 are pending";
    assert_eq!(answer, Ok(Outcome::pending(2, reason)));
}

#[tokio::test(start_paused = true)]
async fn subnets_that_are_there_are_left_alone() {
    let (world, all) = world().await;
    assert_eq!(ids(&ensure(&world).await.unwrap()), all);
    assert_eq!(world.calls(), ["DescribeSubnets"]);
}

#[tokio::test(start_paused = true)]
async fn only_what_is_missing_is_made() {
    let (world, all) = world().await;
    world.region(|region| region.ec2.subnets.remove(&all[5]));
    let answer = ensure(&world).await.unwrap();
    assert_eq!(ids(&answer)[..5], all[..5]);
    let cidr = world.parameters("CreateSubnet", "CidrBlock");
    assert_eq!(cidr, ["10.100.64.0/19"]);
    assert_eq!(world.changes(), ["CreateSubnet"]);
}

#[tokio::test(start_paused = true)]
async fn a_missing_load_balancer_tag_is_put_back() {
    let (world, all) = world().await;
    let (id, key) = (&all[1], "kubernetes.io/role/internal-elb");
    let before = world.region(|region| {
        let subnet = region.ec2.subnets.get_mut(id).unwrap();
        let before = subnet.tags.clone();
        subnet.tags.remove(key);
        before
    });
    assert_eq!(ids(&ensure(&world).await.unwrap()), all);
    assert_eq!(world.parameters("CreateTags", "Tag.1.Key"), [key]);
    assert_eq!(world.parameters("CreateTags", "Tag.2.Key"), [""]);
    assert_eq!(world.changes(), ["CreateTags"]);
    let after = world.region(|region| region.ec2.subnets[id].tags.clone());
    assert_eq!(after, before);
}

#[tokio::test(start_paused = true)]
async fn a_subnet_of_ours_with_another_cidr_block_zone_or_vpc_is_refused() {
    for change in [
        (|it| it.cidr = "10.100.96.0/19".parse().unwrap()) as fn(&mut simulator::ec2::Subnet),
        |it| it.zone_id = "apne1-az2".to_owned(),
        |it| it.vpc_id = "vpc-2".to_owned(),
    ] {
        let (world, all) = world().await;
        world.region(|region| change(region.ec2.subnets.get_mut(&all[0]).unwrap()));
        let error = ensure(&world).await.unwrap_err();
        assert_eq!(error.name(), "ResourceConflict");
        assert!(error.to_string().contains(&all[0]), "{error}");
        assert_eq!(world.changes(), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_subnet_of_somebody_in_the_place_is_refused_before_a_call_and_after() {
    for (appears_late, calls) in [
        (false, vec![]),
        (true, vec!["CreateSubnet: InvalidSubnet.Conflict"]),
    ] {
        let (world, all) = world().await;
        let mut theirs = world.region(|region| region.ec2.subnets.remove(&all[0]).unwrap());
        theirs.tags.clear();
        let add = move |region: &mut simulator::state::Region| {
            region.ec2.subnets.insert(theirs.id.clone(), theirs);
        };
        if appears_late {
            world.before_next("CreateSubnet", add);
        } else {
            world.region(add);
        }
        let error = ensure(&world).await.unwrap_err();
        assert_eq!(error.name(), "ResourceConflict");
        let vpc_id = world.outputs["vpcId"].as_str().unwrap();
        for part in [all[0].as_str(), vpc_id, FIRST_CIDR] {
            assert!(error.to_string().contains(part), "{error}");
        }
        assert_eq!(world.changes(), calls);
    }
}

#[tokio::test(start_paused = true)]
async fn a_subnet_whose_answer_was_lost_is_used() {
    let (world, all) = world().await;
    let made = world.region(|region| region.ec2.subnets.remove(&all[0]).unwrap());
    world.before_next("CreateSubnet", |region| {
        region.ec2.subnets.insert(made.id.clone(), made);
    });
    assert_eq!(ids(&ensure(&world).await.unwrap()), all);
    let refused = "CreateSubnet: InvalidSubnet.Conflict";
    assert_eq!(world.changes(), [refused]);
}

#[tokio::test(start_paused = true)]
async fn a_conflict_with_a_subnet_that_lists_do_not_show_yet_is_tried_again() {
    let world = World::with_vpc(Plan::example()).await;
    world.lag_lists();
    let made = ids(&ensure(&world).await.unwrap());
    let error = ensure(&world).await.unwrap_err();
    assert_eq!(error.name(), "NotYetVisible");
    world.show().await;
    world.forget_calls();
    assert_eq!(ids(&ensure(&world).await.unwrap()), made);
    assert_eq!(world.changes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_removal_deletes_every_subnet_and_says_so() {
    let (world, all) = world().await;
    let answer = world.remove::<Subnets>().await.unwrap();
    let removed = answer["removed"].as_array().unwrap();
    assert_eq!(removed.len(), 6);
    assert!(removed.contains(&json!({"type": KIND, "id": all[3]})));
    assert_eq!(world.changes(), ["DeleteSubnet"; 6]);
    assert!(world.region(|region| region.ec2.subnets.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn a_removal_of_what_is_gone_succeeds() {
    let nothing = World::new(Plan::example());
    let answer = nothing.remove::<Subnets>().await.unwrap();
    assert_eq!(answer["removed"], json!([]));
    assert_eq!(nothing.changes(), [""; 0]);

    let (world, _) = world().await;
    for _ in 0..3 {
        for code in [codes::SUBNET_NOT_FOUND, codes::SUBNET_NOT_FOUND_TOO] {
            world.fail_next("DeleteSubnet", code, "does not exist");
        }
    }
    let answer = world.remove::<Subnets>().await.unwrap();
    assert_eq!(answer["removed"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_removal_goes_on_beside_a_subnet_with_network_interfaces_and_waits_for_it() {
    let (world, all) = world().await;
    let code = codes::DEPENDENCY_VIOLATION;
    world.fail_next("DeleteSubnet", code, "The subnet has dependencies.");
    let answer = world.remove::<Subnets>().await.unwrap();
    assert_eq!(answer["status"], "PENDING");
    assert_eq!(answer["checkAfterSeconds"], 15);
    let left = world.region(|region| region.ec2.subnets.keys().cloned().collect::<Vec<_>>());
    assert_eq!(left.len(), 1);
    assert!(all.contains(&left[0]));
    let reason = format!("{} cannot go yet: The subnet has dependencies.", left[0]);
    assert_eq!(answer["reason"], reason);
    assert_eq!(
        world
            .calls()
            .iter()
            .filter(|it| it.starts_with("DeleteSubnet"))
            .count(),
        6
    );
}
