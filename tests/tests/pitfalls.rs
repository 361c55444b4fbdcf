//! The oracle itself: with one of the three classic pitfalls built in, CoreDNS must not come up.
//!
//! Each run walks the real state machine; the step that would prevent the pitfall is replaced by what
//! a person who does not know it would have done. Such a run never ends by itself: it is cut off
//! after two (virtual) hours.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends at the first surprise"
)]

use serde_json::{Value, json};
use simulator::kubernetes::View;
use tests::asl::Invoke;
use tests::world::{ACCOUNT, REGION};
use tests::{Execution, Failure, Machine, World, project};

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
                Ok(json!({"status": "READY", "routeTables": []}))
            }
            (Pitfall::DnsHostnamesOff, "${VpcFunctionArn}") => {
                let answer = self.world.invoke(resource, payload).await?;
                if let Some(vpc) = answer["vpcId"].as_str() {
                    turn_dns_hostnames_off(self.world, vpc).await;
                }
                Ok(answer)
            }
            (Pitfall::CoreDnsForEc2, "${CorednsFunctionArn}") => {
                Ok(install_coredns_for_ec2(self.world).await)
            }
            _ => self.world.invoke(resource, payload).await,
        }
    }
}

async fn turn_dns_hostnames_off(world: &World, vpc: &str) {
    let off = aws_sdk_ec2::types::AttributeBooleanValue::builder()
        .value(false)
        .build();
    let ec2 = world.aws().ec2;
    let change = ec2
        .modify_vpc_attribute()
        .vpc_id(vpc)
        .enable_dns_hostnames(off);
    change.send().await.unwrap();
}

/// Installs CoreDNS with the compute type `ec2` once, and then only looks.
async fn install_coredns_for_ec2(world: &World) -> Value {
    let eks = world.aws().eks;
    let described = eks
        .describe_addon()
        .cluster_name("demo")
        .addon_name("coredns")
        .send()
        .await;
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
        return json!({"status": "PENDING", "checkAfterSeconds": 15, "reason": "just created"});
    };
    let addon = described.addon().unwrap();
    match addon.status().unwrap().as_str() {
        "ACTIVE" => json!({"status": "READY", "addonVersion": "", "health": "ACTIVE"}),
        status => json!({"status": "PENDING", "checkAfterSeconds": 15, "reason": status}),
    }
}

async fn run(pitfall: Pitfall) -> (World, Execution) {
    let world = World::new(11);
    let mut definition = project::read_json("statemachine/provision.asl.json");
    definition["TimeoutSeconds"] = json!(2 * 60 * 60);
    let spoilt = Spoilt {
        world: &world,
        pitfall,
    };
    let input = json!({"clusterName": "demo"});
    let execution = Machine::new(definition)
        .run(&spoilt, "spoilt", input, 11)
        .await;
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

/// The run got as far as CoreDNS and ended without it.
fn assert_stuck_at_coredns(world: &World, execution: &Execution) {
    assert!(execution.result.is_err(), "{:#}", execution.output());
    let asked = execution
        .events
        .iter()
        .any(|event| event.state == "CoreDNS");
    assert!(asked, "it never came to CoreDNS\n{}", execution.timeline());
    assert!(!world.coredns_runs("demo"), "{:#?}", view(world));
    assert_eq!(view(world).pods.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn without_a_pitfall_coredns_runs() {
    let (world, execution) = run(Pitfall::None).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    assert!(world.coredns_runs("demo"));
}

#[tokio::test(start_paused = true)]
async fn without_a_nat_route_no_pod_runs() {
    let (world, execution) = run(Pitfall::NoNatRoute).await;
    assert_stuck_at_coredns(&world, &execution);
    assert_eq!(running(&view(&world)), 0);
}

#[tokio::test(start_paused = true)]
async fn without_dns_hostnames_every_node_is_fargate_null_and_one_pod_runs_at_most() {
    let (world, execution) = run(Pitfall::DnsHostnamesOff).await;
    assert_stuck_at_coredns(&world, &execution);
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
    assert_stuck_at_coredns(&world, &execution);
    assert_eq!(running(&view(&world)), 0);
    assert!(view(&world).nodes.is_empty());
}
