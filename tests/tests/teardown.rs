//! Teardown: everything that was made goes, from wherever provisioning stopped, and nothing else.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::State;
use simulator::ec2::instance::NewInstance;
use simulator::ec2::tags::Tags;
use simulator::ec2::vpc_endpoint::{EndpointKind, NewVpcEndpoint};
use simulator::ec2::vpc_peering_connection::{NewVpcPeeringConnection, Side};
use simulator::ec2::{NewInterface, NewSecurityGroup};
use tests::world::{ACCOUNT, REGION, region};
use tests::{Execution, World, left, many};

fn demo() -> Value {
    json!({"clusterName": "demo"})
}

/// Everything that an input can ask for that leaves a trace of its own.
fn elaborate() -> Value {
    json!({
        "clusterName": "demo",
        "logging": ["audit"],
        "deletionProtection": true,
        "access": {"admins": ["arn:aws:iam::111122223333:role/Admin"]},
        "fargateProfiles": [
            {"name": "system", "selectors": [{"namespace": "kube-*"}]},
            {"name": "apps", "selectors": [{"namespace": "apps"}]},
            {"name": "jobs", "selectors": [{"namespace": "jobs"}]},
        ],
    })
}

async fn provisioned(seed: u64, input: &Value) -> World {
    let world = World::new(seed);
    world.prepare_for(input);
    let execution = world.provision(input.clone()).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    world
}

fn removed(execution: &Execution) -> Vec<Value> {
    let receipt = &execution.output()["receipt"];
    assert_eq!(receipt["left"], json!([]), "{receipt:#}");
    receipt["removed"].as_array().unwrap().clone()
}

fn count(removed: &[Value], kind: &str) -> usize {
    removed.iter().filter(|it| it["type"] == kind).count()
}

/// After a while, in which EKS does by itself what it does late.
async fn left_in(world: &World) -> Vec<String> {
    tokio::time::sleep(Duration::from_mins(30)).await;
    left::everything(&world.simulator.state(), ACCOUNT)
}

#[tokio::test(start_paused = true)]
async fn a_cluster_goes_with_everything_that_was_made_for_it() {
    let world = provisioned(31, &demo()).await;
    let execution = world.tear_down(demo()).await;
    let removed = removed(&execution);
    for (kind, number) in [
        ("AWS::EKS::Addon", 1),
        ("AWS::EKS::FargateProfile", 2),
        ("AWS::EKS::Cluster", 1),
        ("AWS::EC2::SecurityGroup", 1),
        ("AWS::EC2::NatGateway", 3),
        ("AWS::EC2::EIP", 3),
        ("AWS::EC2::InternetGateway", 1),
        ("AWS::EC2::RouteTable", 4),
        ("AWS::EC2::Subnet", 6),
        ("AWS::EC2::VPC", 1),
        ("AWS::IAM::Role", 2),
    ] {
        assert_eq!(count(&removed, kind), number, "{kind}");
    }
    assert_eq!(removed.len(), 25);
    assert_eq!(execution.output()["clusterName"], "demo");
    assert_eq!(execution.output()["accountId"], ACCOUNT);
    assert_eq!(left_in(&world).await, [""; 0]);
    print_size("right after it was made", &execution);
}

fn print_size(when: &str, execution: &Execution) {
    let minutes = execution.duration.as_secs_f64() / 60.0;
    println!(
        "a teardown {when}: {} state transitions in {minutes:.1} minutes",
        execution.events.len()
    );
}

#[tokio::test(start_paused = true)]
async fn a_cluster_of_some_age_goes_faster() {
    let world = provisioned(48, &demo()).await;
    tokio::time::sleep(Duration::from_hours(1)).await;
    let execution = world.tear_down(demo()).await;
    assert!(!removed(&execution).is_empty());
    assert!(execution.duration < Duration::from_mins(15));
    print_size("later on", &execution);
}

#[tokio::test(start_paused = true)]
async fn a_second_teardown_succeeds_and_does_nothing() {
    let world = provisioned(32, &demo()).await;
    let first = world.tear_down(demo()).await;
    assert!(!removed(&first).is_empty());
    let changes = world.changes().len();
    let second = world.tear_down(demo()).await;
    assert_eq!(removed(&second), [] as [Value; 0]);
    assert_eq!(
        second.output()["receipt"]["summary"],
        "there was nothing to remove"
    );
    assert_eq!(world.changes().len(), changes);
}

/// Provisioning stops after any call; the teardown starts at once.
fn check_every_moment(seed: u64, input: &Value) {
    let moments = many::one(async || World::moments_of(seed, input).await);
    assert!(moments.len() > 150, "{}", moments.len());
    let teardown = json!({"clusterName": "demo", "disableDeletionProtection": true});
    let problems = many::each(&moments, async |number, moment| {
        let world = World::resume(seed, moment);
        let first = world.tear_down(teardown.clone()).await;
        if let Err(failure) = &first.result {
            return Some(format!("call {number}: {failure:?}\n{}", first.timeline()));
        }
        let left = left_in(&world).await;
        if !left.is_empty() {
            return Some(format!(
                "call {number} leaves {left:#?}\n{}",
                first.timeline()
            ));
        }
        let changes = world.changes().len();
        let second = world.tear_down(teardown.clone()).await;
        if !removed(&second).is_empty() || world.changes().len() > changes {
            return Some(format!("call {number}: the second one does something"));
        }
        None
    });
    let problems: Vec<String> = problems.into_iter().flatten().collect();
    assert!(
        problems.is_empty(),
        "seed {seed}: {} of {}; the first: {}",
        problems.len(),
        moments.len(),
        problems[0]
    );
    println!(
        "seed {seed}: torn down after each of {} calls",
        moments.len() - 1
    );
}

#[test]
fn nothing_is_left_wherever_provisioning_stops() {
    check_every_moment(33, &demo());
}

#[test]
fn nothing_is_left_wherever_an_elaborate_provisioning_stops() {
    check_every_moment(34, &elaborate());
}

#[tokio::test(start_paused = true)]
async fn interfaces_that_eks_leaves_behind_are_removed() {
    let world = provisioned(35, &demo()).await;
    world.simulator.change(|state| {
        let region = region(state);
        region.eks.leaves_interfaces_behind = true;
    });
    let execution = world.tear_down(demo()).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    assert_eq!(left_in(&world).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn deletion_protection_is_respected_before_anything_is_removed() {
    let input = json!({"clusterName": "demo", "deletionProtection": true});
    let world = provisioned(36, &input).await;
    let changes = world.changes().len();
    let refused = world.tear_down(demo()).await;
    let failure = refused.failure();
    assert_eq!(failure.error, "ResourceConflict");
    assert!(
        failure.cause.contains("disableDeletionProtection"),
        "{}",
        failure.cause
    );
    assert_eq!(world.changes().len(), changes);

    let asked = json!({"clusterName": "demo", "disableDeletionProtection": true});
    let execution = world.tear_down(asked).await;
    assert!(!removed(&execution).is_empty());
    assert_eq!(left_in(&world).await, [""; 0]);
}

/// The network interface of somebody's load balancer in the cluster's VPC; its id.
fn add_balancer(state: &mut State) -> String {
    let ec2 = &mut region(state).ec2;
    let subnet_id = ec2.subnets.keys().next().unwrap().clone();
    ec2.add_interface(
        simulator::Seed(1),
        NewInterface {
            subnet_id,
            description: "ELB app/web/0123456789abcdef".to_owned(),
            requester_id: Some("amazon-elb".to_owned()),
            security_groups: vec![],
            owner: ACCOUNT.to_owned(),
        },
    )
}

#[tokio::test(start_paused = true)]
async fn foreign_interface_stops_the_teardown_before_anything_is_removed() {
    let world = provisioned(37, &demo()).await;
    let id = world.simulator.change(add_balancer);
    let changes = world.changes().len();
    let refused = world.tear_down(demo()).await;
    let failure = refused.failure();
    assert_eq!(failure.error, "ResourceConflict");
    for said in [&id, "AWS::EC2::NetworkInterface", "amazon-elb", ACCOUNT] {
        assert!(failure.cause.contains(said), "{said}: {}", failure.cause);
    }
    assert_eq!(world.changes().len(), changes);

    world
        .simulator
        .change(|state| region(state).ec2.remove_interface(&id));
    assert!(!removed(&world.tear_down(demo()).await).is_empty());
    assert_eq!(left_in(&world).await, [""; 0]);
}

/// Something of each kind that others may put into a VPC: what has to be said of it.
fn add_one_of_each(state: &mut State) -> Vec<(&'static str, String)> {
    let seed = simulator::Seed(1);
    let ec2 = &mut region(state).ec2;
    let subnet_id = ec2.subnets.keys().next().unwrap().clone();
    let vpc_id = ec2.subnets[&subnet_id].vpc_id.clone();
    let owner = "444455556666".to_owned();
    let instance = ec2.add_instance(
        seed,
        NewInstance {
            subnet_id: subnet_id.clone(),
            owner: owner.clone(),
            ..NewInstance::default()
        },
    );
    let side = |vpc_id: &str| Side {
        vpc_id: vpc_id.to_owned(),
        cidr: "10.0.0.0/16".to_owned(),
        owner: owner.clone(),
        region: REGION.to_owned(),
    };
    let mut peering = |requester: &str, accepter: &str| {
        let new = NewVpcPeeringConnection {
            requester: side(requester),
            accepter: side(accepter),
            ..NewVpcPeeringConnection::default()
        };
        ec2.add_vpc_peering_connection(seed, new)
    };
    let peerings = [
        peering(&vpc_id, "vpc-0123456789abcdef0"),
        peering("vpc-0123456789abcdef0", &vpc_id),
    ];
    let endpoint = ec2.add_vpc_endpoint(
        seed,
        NewVpcEndpoint {
            kind: EndpointKind::Gateway,
            vpc_id: vpc_id.clone(),
            service_name: format!("com.amazonaws.{REGION}.s3"),
            owner: owner.clone(),
            ..NewVpcEndpoint::default()
        },
    );
    let group = ec2.add_security_group(
        seed,
        NewSecurityGroup {
            name: "theirs".to_owned(),
            description: "theirs".to_owned(),
            vpc_id: vpc_id.clone(),
            owner,
            tags: Tags::new(),
        },
    );
    let gateway = ec2.add_vpn_gateway(seed, &vpc_id, Tags::new());
    let egress_only = ec2.add_egress_only_internet_gateway(seed, &vpc_id, Tags::new());
    let [requested, accepted] = peerings;
    vec![
        ("of the instance", instance),
        ("AWS::EC2::VPCPeeringConnection", requested),
        ("AWS::EC2::VPCPeeringConnection", accepted),
        ("AWS::EC2::VPCEndpoint", endpoint),
        ("AWS::EC2::SecurityGroup", group),
        ("AWS::EC2::VPNGateway", gateway),
        ("AWS::EC2::EgressOnlyInternetGateway", egress_only),
    ]
}

#[tokio::test(start_paused = true)]
async fn everything_that_is_not_ours_is_named_with_type_and_owner() {
    let world = provisioned(46, &demo()).await;
    let things = world.simulator.change(add_one_of_each);
    let changes = world.changes().len();
    let refused = world.tear_down(demo()).await;
    let cause = &refused.failure().cause;
    for (kind, id) in things {
        assert!(
            cause.contains(&format!("{kind} {id}")),
            "{kind} {id}: {cause}"
        );
    }
    assert!(cause.contains("owner 444455556666"), "{cause}");
    assert_eq!(world.changes().len(), changes);
}

#[tokio::test(start_paused = true)]
async fn a_fargate_profile_of_somebody_else_is_named_before_anything_is_removed() {
    let world = provisioned(47, &demo()).await;
    world.simulator.change(|state| {
        let cluster = region(state).eks.clusters.get_mut("demo").unwrap();
        let profile = cluster.fargate_profiles.get_mut("default").unwrap();
        profile.tags.clear();
    });
    let changes = world.changes().len();
    let refused = world.tear_down(demo()).await;
    assert_eq!(refused.failure().error, "ResourceConflict");
    let cause = &refused.failure().cause;
    assert!(
        cause.contains("AWS::EKS::FargateProfile default"),
        "{cause}"
    );
    assert_eq!(world.changes().len(), changes);
}

#[tokio::test(start_paused = true)]
async fn an_interface_that_comes_while_the_cluster_goes_is_named_too() {
    let world = provisioned(38, &demo()).await;
    let late = async {
        tokio::time::sleep(Duration::from_mins(2)).await;
        world.simulator.change(add_balancer)
    };
    let (refused, id) = tokio::join!(world.tear_down(demo()), late);
    let failure = refused.failure();
    assert_eq!(failure.error, "ResourceConflict", "{}", failure.cause);
    assert!(failure.cause.contains(&id), "{}", failure.cause);
    assert!(
        world.simulator.state().accounts[ACCOUNT].regions[REGION]
            .ec2
            .network_interfaces
            .contains_key(&id)
    );

    world
        .simulator
        .change(|state| region(state).ec2.remove_interface(&id));
    assert!(!removed(&world.tear_down(demo()).await).is_empty());
    assert_eq!(left_in(&world).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn the_other_cluster_of_the_account_stays_byte_for_byte() {
    let one =
        json!({"clusterName": "one", "network": {"natGateways": "single"}, "logging": ["api"]});
    let other = json!({"clusterName": "other", "logging": ["api"]});
    let world = provisioned(39, &one).await;
    let execution = world.provision(other).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    // Let the clusters' hidden updates end by themselves.
    tokio::time::sleep(Duration::from_hours(1)).await;
    let before = left::of_cluster(&world.simulator.state(), ACCOUNT, "other");
    assert!(before.len() > 25, "{:#?}", before.keys());
    let execution = world.tear_down(json!({"clusterName": "one"})).await;
    assert!(!removed(&execution).is_empty());
    tokio::time::sleep(Duration::from_mins(30)).await;
    let state = world.simulator.state();
    let after = left::of_cluster(&state, ACCOUNT, "other");
    assert_eq!(
        before.keys().collect::<Vec<_>>(),
        after.keys().collect::<Vec<_>>()
    );
    for (name, bytes) in &before {
        assert_eq!(bytes, &after[name], "{name}");
    }
    assert_eq!(left::of_cluster(&state, ACCOUNT, "one").len(), 0);
    assert!(world.coredns_runs("other"));
}

#[tokio::test(start_paused = true)]
async fn a_cluster_of_somebody_else_with_that_name_is_left_alone() {
    let world = provisioned(40, &demo()).await;

    world.simulator.change(|state| {
        let cluster = region(state).eks.clusters.get_mut("demo").unwrap();
        assert!(cluster.tags.remove("hardway:cluster").is_some());
    });
    // Everything else still has its tags, so there is something to remove, but the cluster's interfaces
    // are in the way: nothing of the cluster's goes.
    let execution = world.tear_down(demo()).await;
    assert!(execution.result.is_err(), "{}", execution.timeline());
    let state = world.simulator.state();
    assert!(
        state.accounts[ACCOUNT].regions[REGION]
            .eks
            .clusters
            .contains_key("demo")
    );
}

#[tokio::test(start_paused = true)]
async fn a_failing_provisioning_removes_what_it_made_if_it_was_asked_to() {
    let input = json!({"clusterName": "demo", "onFailure": "remove", "deletionProtection": true});
    let world = World::new(41);
    // No room for the third address: the NAT gateways fail while the control plane is being made.
    let use_up = |state: &mut State| region(state).ec2.quotas.addresses = 2;
    let execution = world.provision_and(input, use_up).await;
    let failure = execution.failure();
    assert_eq!(failure.error, "QuotaExceeded", "{}", execution.timeline());
    assert!(
        failure.cause.starts_with("NAT gateways: "),
        "{}",
        failure.cause
    );
    assert!(
        failure.cause.contains("nothing is left"),
        "{}",
        failure.cause
    );
    assert_eq!(left_in(&world).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_failing_provisioning_keeps_what_it_made_by_default() {
    let world = World::new(42);
    let use_up = |state: &mut State| region(state).ec2.quotas.addresses = 2;
    let execution = world.provision_and(demo(), use_up).await;
    assert_eq!(execution.failure().error, "QuotaExceeded");
    let state = world.simulator.state();
    assert!(!left::of_cluster(&state, ACCOUNT, "demo").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_was_there_before_survives_a_failing_provisioning() {
    let world = provisioned(43, &demo()).await;
    // A second run that has to fail: its administrator is deleted meanwhile. One more profile, so that
    // `plan` looks at a quota.
    let profile = |name: &str| json!({"name": name, "selectors": [{"namespace": name}]});
    let input = json!({
        "clusterName": "demo",
        "onFailure": "remove",
        "access": {"admins": ["arn:aws:iam::111122223333:role/Nobody"]},
        "fargateProfiles": [profile("kube-system"), profile("default"), profile("apps")],
    });
    world.prepare_for(&input);
    let delete = |state: &mut State| {
        let roles = &mut state.accounts.get_mut(ACCOUNT).unwrap().iam.roles;
        assert!(roles.remove("nobody").is_some());
    };
    let execution = world.provision_and(input, delete).await;
    let failure = execution.failure();
    assert!(
        failure.cause.starts_with("Cluster access: "),
        "{}",
        failure.cause
    );
    assert!(world.coredns_runs("demo"));
}

#[tokio::test(start_paused = true)]
async fn a_teardown_in_another_account_works_with_its_role() {
    let account = json!({"id": "444455556666", "roleName": "Builder"});
    let input = json!({"clusterName": "demo", "account": account});
    let world = provisioned(44, &input).await;
    let execution = world.tear_down(input).await;
    assert!(!removed(&execution).is_empty());
    tokio::time::sleep(Duration::from_mins(30)).await;
    let state = world.simulator.state();
    assert_eq!(left::everything(&state, "444455556666"), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn wrong_input_is_refused_by_name() {
    for (field, input) in [
        ("clusterNam", json!({"clusterNam": "demo"})),
        ("force", json!({"clusterName": "demo", "force": true})),
        (
            "account.id",
            json!({"clusterName": "demo", "account": {"id": "12"}}),
        ),
    ] {
        let world = World::new(45);
        let execution = world.tear_down(input).await;
        let failure = execution.failure();
        assert_eq!(failure.error, "InvalidRequest");
        assert!(failure.cause.contains(field), "{}", failure.cause);
        assert!(failure.cause.starts_with("Target: "), "{}", failure.cause);
    }
}
