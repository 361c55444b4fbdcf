//! With one of the three classic pitfalls built in, CoreDNS must not come up, and the run must fail with
//! the pitfall's name.
//!
//! Each run walks the real state machine; the step that would prevent the pitfall is replaced by what
//! a person who does not know it would have done.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::ec2::route::Target;
use simulator::kubernetes::View;
use tests::asl::Invoke;
use tests::world::{ACCOUNT, REGION, provisioning, region};
use tests::{Execution, Failure, World};

/// What is wrong in a run.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Pitfall {
    /// Nothing: the run that proves that the others fail for their pitfall only.
    None,
    /// The private subnets get no route to a NAT gateway.
    NoNatRoute,
    /// Somebody turns the VPC's DNS hostnames off.
    DnsHostnamesOff,
    /// CoreDNS is installed for EC2 nodes.
    CoreDnsForEc2,
    /// Somebody deletes the routes to the NAT gateways when CoreDNS runs already.
    NoNatRouteAtTheEnd,
}

/// The world's functions, but for the one that the pitfall replaces.
struct Spoilt<'a> {
    world: &'a World,
    pitfall: Pitfall,
}

impl Invoke for Spoilt<'_> {
    async fn invoke(&self, resource: &str, payload: Value) -> Result<Value, Failure> {
        match (self.pitfall, resource) {
            (Pitfall::NoNatRoute, "${PrivateRoutesFunctionArn}") => {
                Ok(json!({"status": "READY", "routeTables": [], "memory": {}}))
            }
            (Pitfall::DnsHostnamesOff, "${VpcFunctionArn}") => {
                let answer = self.world.invoke(resource, payload).await?;
                if let Some(vpc) = answer["vpcId"].as_str() {
                    turn_dns_hostnames_off(self.world, vpc).await;
                }
                Ok(answer)
            }
            (Pitfall::CoreDnsForEc2, "${CorednsFunctionArn}") => {
                install_coredns_for_ec2(self.world).await
            }
            (Pitfall::NoNatRouteAtTheEnd, "${VerifyFunctionArn}") => {
                delete_nat_routes(self.world);
                self.world.invoke(resource, payload).await
            }
            _ => self.world.invoke(resource, payload).await,
        }
    }
}

async fn turn_dns_hostnames_off(world: &World, vpc: &str) {
    let off = aws_sdk_ec2::types::AttributeBooleanValue::builder()
        .value(false)
        .build();
    let ec2 = world.aws().ec2().clone();
    let change = ec2
        .modify_vpc_attribute()
        .vpc_id(vpc)
        .enable_dns_hostnames(off);
    change.send().await.unwrap();
}

fn delete_nat_routes(world: &World) {
    world.simulator.change(|state| {
        for table in region(state).ec2.route_tables.values_mut() {
            table
                .routes
                .retain(|route| !matches!(route.target, Target::NatGateway(_)));
        }
    });
}

/// Installs CoreDNS with the compute type `ec2` once, and then only looks.
async fn install_coredns_for_ec2(world: &World) -> Result<Value, Failure> {
    let eks = world.aws().eks().clone();
    let described = eks
        .describe_addon()
        .cluster_name("demo")
        .addon_name("coredns")
        .send()
        .await;
    let pending = |reason: &str| json!({"status": "PENDING", "checkAfterSeconds": 15, "reason": reason, "memory": {}});
    let Ok(described) = described else {
        let create = eks
            .create_addon()
            .cluster_name("demo")
            .addon_name("coredns");
        create
            .configuration_values(r#"{"computeType":"ec2"}"#)
            .send()
            .await
            .unwrap();
        return Ok(pending("just created"));
    };
    let addon = described.addon().unwrap();
    match addon.status().unwrap().as_str() {
        "ACTIVE" => Ok(json!({"status": "READY", "addonVersion": "", "health": "ACTIVE"})),
        "CREATE_FAILED" => Err(Failure::new("ResourceFailed", "CREATE_FAILED")),
        status => Ok(pending(status)),
    }
}

async fn run(pitfall: Pitfall) -> (World, Execution) {
    let world = World::new(11);
    let spoilt = Spoilt {
        world: &world,
        pitfall,
    };
    let input = json!({"clusterName": "demo"});
    let execution = provisioning().run(&spoilt, "spoilt", input, 11).await;
    (world, execution)
}

fn view(world: &World) -> View {
    world.simulator.kubernetes(ACCOUNT, REGION, "demo").unwrap()
}

fn running(view: &View) -> usize {
    view.pods
        .iter()
        .filter(|pod| pod.status == "Running")
        .count()
}

/// The run got as far as CoreDNS, ended without it within half an hour of it, and says why.
fn assert_fails_with(world: &World, execution: &Execution, id: &str) {
    let failure = execution.failure();
    assert_eq!(failure.error, "ResourceFailed", "{}", execution.timeline());
    let cause = &failure.cause;
    assert!(cause.starts_with("CoreDNS: "), "{cause}");
    let diagnosis = cause.split(" Diagnosis: ").nth(1).unwrap();
    assert!(
        diagnosis.starts_with(&format!("The cause: {id} (")),
        "{diagnosis}"
    );
    let entered = execution.events.iter().find(|it| it.state == "CoreDNS");
    let end = execution.events.last().unwrap().at;
    assert!(end < entered.unwrap().at + Duration::from_mins(30));
    assert!(!world.coredns_runs("demo"), "{:#?}", view(world));
    assert_eq!(view(world).pods.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn without_a_pitfall_coredns_runs_and_nothing_is_found() {
    let (world, execution) = run(Pitfall::None).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    assert!(world.coredns_runs("demo"));
    assert_eq!(execution.output()["findings"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn without_a_nat_route_no_pod_runs() {
    let (world, execution) = run(Pitfall::NoNatRoute).await;
    assert_fails_with(&world, &execution, "no-nat-route");
    assert_eq!(running(&view(&world)), 0);
}

#[tokio::test(start_paused = true)]
async fn without_dns_hostnames_every_node_is_fargate_null_and_one_pod_runs_at_most() {
    let (world, execution) = run(Pitfall::DnsHostnamesOff).await;
    assert_fails_with(&world, &execution, "dns-hostnames-off");
    let view = view(&world);
    assert!(running(&view) <= 1, "{view:#?}");
    assert!(
        view.nodes.iter().all(|node| node.name == "fargate-null"),
        "{view:#?}"
    );
}

#[tokio::test(start_paused = true)]
async fn marked_for_ec2_no_pod_finds_a_node() {
    let (world, execution) = run(Pitfall::CoreDnsForEc2).await;
    assert_fails_with(&world, &execution, "coredns-not-on-fargate");
    assert_eq!(running(&view(&world)), 0);
    assert!(view(&world).nodes.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_coredns_came_up_by_luck_does_not_succeed() {
    let (world, execution) = run(Pitfall::NoNatRouteAtTheEnd).await;
    let failure = execution.failure();
    assert_eq!(
        failure.error,
        "VerificationFailed",
        "{}",
        execution.timeline()
    );
    let cause = &failure.cause;
    assert!(cause.starts_with("Verify: "), "{cause}");
    assert!(
        cause.contains("the most likely first: 1. no-nat-route (rtb-"),
        "{cause}"
    );
    assert!(world.coredns_runs("demo"));
}

#[tokio::test(start_paused = true)]
async fn repaired_pitfall_lets_the_next_run_succeed() {
    for pitfall in [
        Pitfall::NoNatRoute,
        Pitfall::DnsHostnamesOff,
        Pitfall::CoreDnsForEc2,
    ] {
        let (world, execution) = run(pitfall).await;
        assert!(execution.result.is_err(), "{pitfall:?}");
        let again = world
            .provision_as("again", json!({"clusterName": "demo"}))
            .await;
        assert!(again.result.is_ok(), "{pitfall:?}: {}", again.timeline());
        assert!(
            world.coredns_runs("demo"),
            "{pitfall:?}: {:#?}",
            view(&world)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn where_the_apis_show_nothing_the_run_says_where_to_look() {
    let world = World::new(11);
    let spoilt = Blocked(&world);
    let input = json!({"clusterName": "demo"});
    let execution = provisioning().run(&spoilt, "blocked", input, 11).await;
    let failure = execution.failure();
    assert_eq!(failure.error, "ResourceFailed", "{}", execution.timeline());
    for part in [
        "add-on coredns is CREATE_FAILED; InsufficientNumberOfReplicas",
        "Everything else that EC2, EKS, IAM and Service Quotas show is right",
        "Your AWS account is currently blocked and thus cannot launch any Fargate pods",
        "kubectl describe pod",
    ] {
        assert!(failure.cause.contains(part), "{part}: {}", failure.cause);
    }
}

/// A new account in which no pod starts on Fargate, and nothing says so.
struct Blocked<'a>(&'a World);

impl Invoke for Blocked<'_> {
    async fn invoke(&self, resource: &str, payload: Value) -> Result<Value, Failure> {
        let answer = self.0.invoke(resource, payload).await;
        self.0.simulator.change(|state| {
            let cluster = region(state).eks.clusters.get_mut("demo");
            let coredns = cluster.and_then(|cluster| cluster.coredns.as_mut());
            for pod in coredns.into_iter().flat_map(|it| it.pods.iter_mut()) {
                pod.profile = None;
            }
        });
        answer
    }
}
