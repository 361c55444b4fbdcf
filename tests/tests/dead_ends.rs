//! What cannot converge fails well: with the right error name, a cause that says what to do, and nothing
//! half made that the next run would double.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use simulator::State;
use simulator::ec2::Quotas;
use simulator::eks::Fails;
use tests::faults::Script;
use tests::world::{self, ACCOUNT, region, small_input};
use tests::{World, graph, left, many};

const SEED: u64 = 71;

fn world() -> World {
    let world = World::new(SEED);
    world.prepare_for(&small_input());
    world
}

async fn graph_of(world: &World) -> BTreeMap<String, Value> {
    tokio::time::sleep(Duration::from_mins(30)).await;
    graph::of(&world.simulator.state(), ACCOUNT).unwrap()
}

fn undisturbed() -> BTreeMap<String, Value> {
    many::one(async || {
        let world = world();
        let execution = world.provision(small_input()).await;
        assert!(execution.result.is_ok(), "{}", execution.timeline());
        graph_of(&world).await
    })
}

/// Every operation that changes something, as an undisturbed run calls it.
const OPERATIONS: &[&str] = &[
    "CreateVpc",
    "ModifyVpcAttribute",
    "CreateSubnet",
    "CreateRole",
    "AttachRolePolicy",
    "CreateServiceLinkedRole",
    "Logs_20140328.CreateLogGroup",
    "CreateInternetGateway",
    "AttachInternetGateway",
    "CreateRouteTable",
    "CreateRoute",
    "AssociateRouteTable",
    "AllocateAddress",
    "CreateNatGateway",
    "POST /clusters",
    "POST /clusters/demo/access-entries",
    "POST /clusters/demo/fargate-profiles",
    "POST /clusters/demo/addons",
];

#[test]
fn an_explicit_deny_ends_the_run_at_once_and_the_next_run_carries_on() {
    let expected = undisturbed();
    let problems = many::each(OPERATIONS, async |_, operation| {
        let world = world();
        world.follow(Script::with_denied(operation));
        let execution = world.provision(small_input()).await;
        let Err(failure) = &execution.result else {
            return Some(format!("{operation} is not called"));
        };
        let says = failure.cause.contains("service control policy");
        let retries = execution
            .events
            .iter()
            .filter(|it| it.what.contains("ExplicitDeny"));
        if failure.error != "ExplicitDeny" || !says || retries.count() > 2 {
            return Some(format!(
                "{operation}: {failure:?}\n{}",
                execution.timeline()
            ));
        }
        world.follow(Script::calm());
        let again = world.provision(small_input()).await;
        let difference = graph::difference(&expected, &graph_of(&world).await);
        let is_as_planned = again.result.is_ok() && difference.is_empty();
        (!is_as_planned).then(|| format!("{operation}: {difference:#?}\n{}", again.timeline()))
    });
    let problems: Vec<String> = problems.into_iter().flatten().collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Lowers a quota.
type Lower = fn(&mut Quotas);

#[test]
fn a_quota_that_is_used_up_is_named_and_the_next_run_carries_on() {
    let expected = undisturbed();
    let quotas: &[(&str, Lower)] = &[
        ("CreateVpc", |it| it.vpcs = 0),
        ("CreateSubnet", |it| it.subnets_per_vpc = 3),
        ("CreateInternetGateway", |it| it.internet_gateways = 0),
        ("CreateRouteTable", |it| it.route_tables_per_vpc = 2),
        ("AllocateAddress", |it| it.addresses = 0),
        ("CreateNatGateway", |it| it.nat_gateways_per_zone = 0),
    ];
    let problems = many::each(quotas, async |_, (operation, lower)| {
        let world = world();
        let use_up = |state: &mut State| lower(&mut region(state).ec2.quotas);
        let execution = world.provision_and(small_input(), use_up).await;
        let Err(failure) = &execution.result else {
            return Some(format!("{operation}: the quota is not reached"));
        };
        if failure.error != "QuotaExceeded" || !failure.cause.contains(operation) {
            return Some(format!("{operation}: {failure:?}"));
        }
        world
            .simulator
            .change(|state| region(state).ec2.quotas = Quotas::default());
        let again = world.provision(small_input()).await;
        let difference = graph::difference(&expected, &graph_of(&world).await);
        let is_as_planned = again.result.is_ok() && difference.is_empty();
        (!is_as_planned).then(|| format!("{operation}: {difference:#?}\n{}", again.timeline()))
    });
    let problems: Vec<String> = problems.into_iter().flatten().collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn a_role_of_somebody_else_in_the_way_is_named_and_left_alone() {
    let world = world();
    let name = "hardway-demo-ap-northeast-1-cluster";
    let trust = simulator::State::organization_trust(ACCOUNT);
    world
        .simulator
        .change(|state| state.add_account(ACCOUNT, [(name, trust.as_str())]));
    let before = world.simulator.state().accounts[ACCOUNT].iam.roles[name].clone();
    let execution = world.provision(small_input()).await;
    let failure = execution.failure();
    assert_eq!(failure.error, "ResourceConflict");
    assert!(failure.cause.contains(name), "{}", failure.cause);
    assert_eq!(
        world.simulator.state().accounts[ACCOUNT].iam.roles[name],
        before
    );
}

#[tokio::test(start_paused = true)]
async fn foreign_subnet_in_the_way_is_named_and_left_alone() {
    let world = world();
    let machine = world.provision(small_input());
    let intruder = async {
        // Between the VPC and its subnets.
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let vpc = world
                .simulator
                .change(|state| region(state).ec2.vpcs.keys().next().cloned());
            if let Some(vpc) = vpc {
                let call = world.aws().ec2().create_subnet().vpc_id(vpc);
                let call = call.cidr_block("10.100.0.0/20").send().await;
                break call.unwrap().subnet.unwrap().subnet_id.unwrap();
            }
        }
    };
    let (execution, subnet) = tokio::join!(machine, intruder);
    let failure = execution.failure();
    assert_eq!(
        failure.error,
        "ResourceConflict",
        "{}",
        execution.timeline()
    );
    assert!(failure.cause.contains(&subnet), "{}", failure.cause);
    assert!(
        world
            .simulator
            .change(|state| region(state).ec2.subnets.contains_key(&subnet))
    );
}

#[test]
fn an_input_that_is_no_object_is_refused_by_every_machine() {
    let machines = [
        world::provisioning(),
        world::teardown(),
        world::fleet(),
        world::checking(),
    ];
    for machine in &machines {
        for input in [
            json!("demo"),
            json!(7),
            json!(null),
            json!([]),
            json!(["demo"]),
        ] {
            let execution = many::one(async || world().run(machine, input.clone()).await);
            let failure = execution.failure();
            assert_eq!(failure.error, "InvalidRequest", "{input}: {failure:?}");
        }
    }
}

/// EKS accepts it, and fails. `again` are the changes with which the next run tries once more.
async fn check_failure(step: &str, fail: fn(&mut Fails), again: [&str; 2]) {
    let world = world();
    world
        .simulator
        .change(|state| fail(&mut region(state).eks.fails));
    let execution = world.provision(small_input()).await;
    let failure = execution.failure();
    assert_eq!(failure.error, "ResourceFailed", "{}", execution.timeline());
    assert!(failure.cause.starts_with(step), "{}", failure.cause);
    for said in [
        "FAILED",
        "InternalFailure",
        "An internal error has occurred",
    ] {
        assert!(failure.cause.contains(said), "{said}: {}", failure.cause);
    }
    // The next run replaces it, once, and says the same.
    let changes = world.changes().len();
    let next = world.provision(small_input()).await;
    assert_eq!(next.failure().error, "ResourceFailed");
    assert_eq!(done(&world, changes), again);
    // The one after it is lucky.
    world
        .simulator
        .change(|state| region(state).eks.fails = Fails::default());
    let changes = world.changes().len();
    let built = world.provision(small_input()).await;
    assert!(built.result.is_ok(), "{}", built.timeline());
    assert_eq!(done(&world, changes)[..2], again);
    assert!(world.coredns_runs("demo"));
    let teardown = world.tear_down(json!({"clusterName": "demo"})).await;
    assert!(teardown.result.is_ok(), "{}", teardown.timeline());
    assert_eq!(left::everything(&world.simulator.state(), ACCOUNT), [""; 0]);
}

/// What was changed in EKS since `from`.
fn done(world: &World, from: usize) -> Vec<String> {
    let calls = world.changes().split_off(from).into_iter();
    let calls = calls.filter(|call| call.error.is_none() && call.service == "eks");
    calls.map(|call| call.action()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_control_plane_that_fails_is_reported_with_its_health() {
    let again = ["eks:DeleteCluster", "eks:CreateCluster"];
    check_failure("Cluster: ", |fails| fails.clusters = true, again).await;
}

#[tokio::test(start_paused = true)]
async fn a_fargate_profile_that_fails_is_reported_with_its_health() {
    let again = ["eks:DeleteFargateProfile", "eks:CreateFargateProfile"];
    let fail = |fails: &mut Fails| fails.fargate_profiles = true;
    check_failure("Fargate profiles: ", fail, again).await;
}
