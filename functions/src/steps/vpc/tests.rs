//! Unit tests of the step.

use serde_json::json;

use super::*;
use crate::testing::World;

fn world() -> World {
    World::new(Plan::example())
}

/// Makes a VPC of ours by hand.
async fn add_vpc(world: &World, cidr: &str) -> String {
    let specification = tags::ec2_specification(&world.plan, ResourceType::Vpc, ROLE, &[]);
    let call = world.aws().ec2().create_vpc().cidr_block(cidr);
    let made = call.tag_specifications(specification).send().await.unwrap();
    world.forget_calls();
    made.vpc.unwrap().vpc_id.unwrap()
}

async fn add_subnet(world: &World, vpc_id: &str) {
    let call = world.aws().ec2().create_subnet().vpc_id(vpc_id);
    call.cidr_block("10.100.0.0/24").send().await.unwrap();
    world.forget_calls();
}

fn vpcs(world: &World) -> Vec<String> {
    world.region(|region| region.ec2.vpcs.keys().cloned().collect())
}

/// What is remembered of a new VPC after so many looks at it.
fn remembered(id: &str, looks: u32) -> serde_json::Value {
    json!({"created": {"vpc": id}, "looks": looks})
}

#[tokio::test(start_paused = true)]
async fn a_vpc_is_made_where_there_is_none_and_the_invocation_ends_remembering_it() {
    let world = world();
    let answer = world.ensure::<Vpc>(&json!(null)).await.unwrap();
    let [id] = vpcs(&world).try_into().unwrap();
    assert_eq!(answer["status"], "PENDING");
    assert_eq!(answer["reason"], format!("{id} is created"));
    assert_eq!(answer["memory"]["created"], json!({"vpc": id}));
    assert_eq!(world.calls(), ["DescribeVpcs", "CreateVpc"]);
    world.region(|region| {
        let vpc = &region.ec2.vpcs[&id];
        assert_eq!(vpc.cidr.to_string(), "10.100.0.0/16");
        assert_eq!(vpc.tags["hardway:cluster"], "demo");
        assert_eq!(vpc.tags["hardway:role"], "vpc");
    });
}

#[tokio::test(start_paused = true)]
async fn a_new_vpc_waits_two_looks_before_it_is_used() {
    let world = world();
    let id = add_vpc(&world, "10.100.0.0/16").await;
    for looks in [0, 1] {
        let answer = world.ensure::<Vpc>(&remembered(&id, looks)).await.unwrap();
        assert_eq!(answer["status"], "PENDING");
        assert_eq!(answer["checkAfterSeconds"], 10);
        assert_eq!(answer["memory"]["looks"], looks + 1);
    }
    assert_eq!(world.calls(), [""; 0]);
    let answer = world.ensure::<Vpc>(&remembered(&id, 2)).await.unwrap();
    assert_eq!(answer["reason"], format!("{id} is pending"));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let answer = world.ensure::<Vpc>(&remembered(&id, 2)).await.unwrap();
    assert_eq!(answer["vpcId"], id);
}

#[tokio::test(start_paused = true)]
async fn a_remembered_vpc_that_is_not_shown_is_made_again_after_thirty_looks() {
    let world = world();
    for looks in [0, 1, 2, 30] {
        let memory = remembered("vpc-2", looks);
        let answer = world.ensure::<Vpc>(&memory).await.unwrap();
        assert_eq!(answer["memory"]["looks"], looks + 1);
    }
    assert_eq!(world.changes(), [""; 0]);
    world.ensure::<Vpc>(&remembered("vpc-2", 31)).await.unwrap();
    assert_eq!(world.changes(), ["CreateVpc"]);
}

#[tokio::test(start_paused = true)]
async fn a_vpc_that_shows_late_is_used_however_often_was_looked() {
    let world = World::with_vpc(Plan::example()).await;
    let [id] = vpcs(&world).try_into().unwrap();
    let answer = world.ensure::<Vpc>(&remembered(&id, 31)).await.unwrap();
    assert_eq!(answer["vpcId"], id);
    assert_eq!(world.changes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_pending_vpc_is_waited_for_and_still_remembered() {
    let world = world();
    let id = add_vpc(&world, "10.100.0.0/16").await;
    let answer = world.ensure::<Vpc>(&remembered(&id, 2)).await.unwrap();
    assert_eq!(answer["reason"], format!("{id} is pending"));
    assert_eq!(answer["checkAfterSeconds"], 2);
    assert_eq!(answer["memory"]["created"], json!({"vpc": id}));
    assert_eq!(world.calls(), ["DescribeVpcs"]);
}

#[tokio::test(start_paused = true)]
async fn a_vpc_that_is_there_is_looked_at_once_and_left_alone() {
    let world = World::with_vpc(Plan::example()).await;
    let answer = world.ensure::<Vpc>(&json!(null)).await.unwrap();
    assert_eq!(answer["vpcId"], vpcs(&world)[0]);
    let attribute = "DescribeVpcAttribute";
    assert_eq!(world.calls(), ["DescribeVpcs", attribute, attribute]);
}

#[tokio::test(start_paused = true)]
async fn dns_attributes_are_turned_on_and_only_those_that_are_off() {
    for (support, hostnames) in [(true, false), (false, false)] {
        let world = World::with_vpc(Plan::example()).await;
        world.region(|region| {
            for vpc in region.ec2.vpcs.values_mut() {
                (vpc.dns_support, vpc.dns_hostnames) = (support, hostnames);
            }
        });
        world.ensure::<Vpc>(&json!(null)).await.unwrap();
        let calls = world.changes();
        assert_eq!(calls, vec!["ModifyVpcAttribute"; 2 - usize::from(support)]);
        world.region(|region| {
            let mut vpcs = region.ec2.vpcs.values();
            assert!(vpcs.all(|vpc| vpc.dns_support && vpc.dns_hostnames));
        });
    }
}

#[tokio::test(start_paused = true)]
async fn the_surplus_of_a_lost_answer_is_removed_whenever_it_is_seen() {
    for memory in [json!(null), remembered("vpc-2", 2)] {
        let world = World::with_vpc(Plan::example()).await;
        add_vpc(&world, "10.100.0.0/16").await;
        world.ensure::<Vpc>(&memory).await.unwrap();
        assert_eq!(world.changes(), ["DeleteVpc"]);
        assert_eq!(vpcs(&world).len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn surplus_that_is_gone_meanwhile_is_success() {
    let world = World::with_vpc(Plan::example()).await;
    add_vpc(&world, "10.100.0.0/16").await;
    world.fail_next("DeleteVpc", codes::VPC_NOT_FOUND, "does not exist");
    world.ensure::<Vpc>(&json!(null)).await.unwrap();
    assert_eq!(world.changes(), ["DeleteVpc: InvalidVpcID.NotFound"]);
}

#[tokio::test(start_paused = true)]
async fn of_two_vpcs_the_one_with_subnets_is_kept() {
    for place in [0, 1] {
        let world = World::with_vpc(Plan::example()).await;
        add_vpc(&world, "10.100.0.0/16").await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let used = vpcs(&world)[place].clone();
        add_subnet(&world, &used).await;
        let answer = world.until_ready::<Vpc>().await.unwrap();
        assert_eq!(answer["vpcId"], used);
        assert_eq!(vpcs(&world), [used]);
    }
}

#[tokio::test(start_paused = true)]
async fn two_vpcs_in_use_are_a_conflict_and_left_alone() {
    let world = World::with_vpc(Plan::example()).await;
    add_vpc(&world, "10.100.0.0/16").await;
    for id in vpcs(&world) {
        add_subnet(&world, &id).await;
    }
    let error = world.ensure::<Vpc>(&json!(null)).await.unwrap_err();
    assert_eq!(error.name(), "ResourceConflict");
    let [one, other] = vpcs(&world).try_into().unwrap();
    assert!(
        error.to_string().contains(&format!("{one} and {other}")),
        "{error}"
    );
    assert_eq!(world.changes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn surplus_that_is_in_use_by_something_else_than_subnets_is_a_conflict() {
    let world = World::with_vpc(Plan::example()).await;
    add_vpc(&world, "10.100.0.0/16").await;
    let code = codes::DEPENDENCY_VIOLATION;
    world.fail_next("DeleteVpc", code, "has dependencies");
    let error = world.ensure::<Vpc>(&json!(null)).await.unwrap_err();
    assert_eq!(error.name(), "ResourceConflict");
}

#[tokio::test(start_paused = true)]
async fn a_vpc_with_another_cidr_block_is_refused() {
    let world = world();
    let id = add_vpc(&world, "10.0.0.0/16").await;
    let error = world.ensure::<Vpc>(&json!(null)).await.unwrap_err();
    assert_eq!(error.name(), "ResourceConflict");
    for part in [&id, "10.0.0.0/16", "10.100.0.0/16"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    assert_eq!(world.changes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_removal_deletes_the_vpc_and_says_so() {
    let world = World::with_vpc(Plan::example()).await;
    let [id] = vpcs(&world).try_into().unwrap();
    let answer = world.remove::<Vpc>().await.unwrap();
    assert_eq!(answer["removed"], json!([{"type": KIND, "id": id}]));
    assert_eq!(vpcs(&world), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_removal_of_what_is_gone_succeeds() {
    let nothing = world();
    let answer = nothing.remove::<Vpc>().await.unwrap();
    assert_eq!(answer["removed"], json!([]));
    assert_eq!(nothing.changes(), [""; 0]);

    let world = World::with_vpc(Plan::example()).await;
    world.fail_next("DeleteVpc", codes::VPC_NOT_FOUND, "does not exist");
    let answer = world.remove::<Vpc>().await.unwrap();
    assert_eq!(answer["removed"], json!([]));
}
