//! The deployed template on the laptop's AWS: real binaries, real state machine, real wire.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::process::Command;

use hardway::local::{Laptop, Options};
use serde_json::{Value, json};
use simulator::Call;
use simulator::state::Region;
use tests::project;
use tests::world::{ACCOUNT, REGION};

/// The AWS CLI as a person would use it.
fn aws(laptop: &Laptop, arguments: &[&str]) -> Value {
    let output = Command::new(project::root().join("target/venv/bin/aws"))
        .args(arguments)
        .args(["--output", "json"])
        .envs(laptop.environment())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "aws {arguments:?}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn region(laptop: &Laptop) -> Region {
    laptop.simulator().state().accounts[ACCOUNT].regions[REGION].clone()
}

fn changes(laptop: &Laptop) -> Vec<Call> {
    let mut calls = laptop.simulator().calls();
    calls.retain(|call| !call.is_read_only());
    calls
}

/// Exactly the resources of a cluster with two zones and a single NAT gateway, and nothing beside.
fn assert_resource_graph(laptop: &Laptop) {
    let ec2 = region(laptop).ec2;
    assert_eq!(ec2.vpcs.len(), 1);
    assert_eq!(ec2.subnets.len(), 4);
    assert_eq!(ec2.internet_gateways.len(), 1);
    assert_eq!(ec2.addresses.len(), 1);
    assert_eq!(ec2.nat_gateways.len(), 1);
    // Public, one private for each zone, and the VPC's own main table.
    assert_eq!(ec2.route_tables.len(), 4);
    let now = laptop.simulator().now();
    let vpc = ec2.vpcs.keys().next().unwrap();
    assert_eq!(ec2.dns(vpc), (true, true));
    let private: Vec<&String> = ec2.subnets.keys().filter(|id| ec2.is_private(id)).collect();
    assert_eq!(private.len(), 2);
    assert!(private.iter().all(|id| ec2.has_working_nat_route(id, now)));
}

fn assert_the_aws_cli_sees_it(laptop: &Laptop) {
    let vpcs = aws(laptop, &["ec2", "describe-vpcs"]);
    assert_eq!(vpcs["Vpcs"][0]["CidrBlock"], "10.100.0.0/16");
    let cluster = aws(laptop, &["eks", "describe-cluster", "--name", "cheap"]);
    assert_eq!(cluster["cluster"]["status"], "ACTIVE");
    assert_eq!(
        cluster["cluster"]["accessConfig"]["authenticationMode"],
        "API"
    );
    let profiles = aws(
        laptop,
        &["eks", "list-fargate-profiles", "--cluster-name", "cheap"],
    );
    assert_eq!(
        profiles["fargateProfileNames"],
        json!(["default", "kube-system"])
    );
    let addon = [
        "eks",
        "describe-addon",
        "--cluster-name",
        "cheap",
        "--addon-name",
        "coredns",
    ];
    let addon = aws(laptop, &addon);
    assert_eq!(addon["addon"]["status"], "ACTIVE");
    let configuration = addon["addon"]["configurationValues"].as_str().unwrap();
    let configuration: Value = serde_json::from_str(configuration).unwrap();
    assert_eq!(configuration["computeType"], "Fargate");
}

/// One test, because a laptop takes seconds to start: build, look, build again, refuse.
#[tokio::test(flavor = "multi_thread")]
async fn the_deployed_template_builds_a_cluster_once_and_refuses_wrong_input() {
    let laptop = Laptop::start(Options {
        speed: 60.0,
        ..Options::default()
    })
    .await
    .unwrap();

    let wrong = json!({"clusterName": "cheap", "network": {"availabilityZones": 1}});
    let refused = laptop.execute(&wrong).await.unwrap();
    assert_eq!(refused.error.as_deref(), Some("InvalidRequest"));
    let cause = refused.cause.unwrap();
    assert!(
        cause.starts_with("Plan: network.availabilityZones: 1"),
        "{cause}"
    );
    assert_eq!(changes(&laptop), []);

    let input = project::read_json("statemachine/examples/cheap.json");
    let built = laptop.execute(&input).await.unwrap();
    let output = built.output().unwrap();
    assert_eq!(output["natGateways"].as_array().unwrap().len(), 1);
    assert_eq!(output["coredns"]["status"], "ACTIVE");
    assert_resource_graph(&laptop);
    assert_the_aws_cli_sees_it(&laptop);
    let view = laptop
        .simulator()
        .kubernetes(ACCOUNT, REGION, "cheap")
        .unwrap();
    assert!(hardway::summary::coredns_runs(&view), "{view:#?}");

    let before = changes(&laptop);
    let again = laptop.execute(&input).await.unwrap();
    assert_eq!(again.output().unwrap(), output);
    assert_eq!(changes(&laptop), before);
    assert_resource_graph(&laptop);
}
