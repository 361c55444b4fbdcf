//! The deployed template on the laptop's AWS: real binaries, real state machine, real wire.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use hardway::local::{Laptop, Options};
use serde_json::{Value, json};
use simulator::Call;
use simulator::state::Region;
use tests::laptop::aws;
use tests::world::{ACCOUNT, REGION};
use tests::{left, project};

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

fn left(laptop: &Laptop) -> Vec<String> {
    left::everything(&laptop.simulator().state(), ACCOUNT)
}

/// A teardown of everything, and one of nothing.
async fn assert_it_goes_without_a_trace(laptop: &Laptop, input: &Value) {
    let destroyed = laptop.destroy(input).await.unwrap();
    let receipt = &destroyed.output().unwrap()["receipt"];
    assert_eq!(receipt["left"], json!([]));
    let removed = receipt["removed"].as_array().unwrap();
    let kinds = |kind: &str| removed.iter().filter(|it| it["type"] == kind).count();
    assert_eq!(kinds("AWS::EKS::Cluster"), 1);
    assert_eq!(kinds("AWS::EC2::EIP"), 1);
    assert_eq!(kinds("AWS::IAM::Role"), 2);
    assert_eq!(kinds("AWS::Logs::LogGroup"), 1);
    assert_eq!(left(laptop), [""; 0]);

    let before = changes(laptop);
    let again = laptop.destroy(input).await.unwrap();
    assert_eq!(again.output().unwrap()["receipt"]["removed"], json!([]));
    assert_eq!(changes(laptop), before);
}

/// Provisioning that fails half way and was asked to clean up.
async fn assert_a_failure_removes_what_it_made(laptop: &Laptop, input: &Value) {
    laptop.simulator().change(|state| {
        let account = state.accounts.get_mut(ACCOUNT).unwrap();
        account
            .regions
            .get_mut(REGION)
            .unwrap()
            .ec2
            .quotas
            .addresses = 0;
    });
    let mut input = input.clone();
    input["onFailure"] = json!("remove");
    let failed = laptop.execute(&input).await.unwrap();
    assert_eq!(failed.error.as_deref(), Some("QuotaExceeded"));
    let cause = failed.cause.unwrap();
    assert!(cause.starts_with("NAT gateways: "), "{cause}");
    assert!(cause.contains("Teardown: "), "{cause}");
    assert!(cause.ends_with("nothing is left"), "{cause}");
    assert_eq!(left(laptop), [""; 0]);
}

/// One test, because a laptop takes seconds to start: refuse, build, look, build again, remove, fail.
#[tokio::test(flavor = "multi_thread")]
async fn the_deployed_template_builds_a_cluster_once_and_removes_it_without_a_trace() {
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

    let mut input = project::read_json("statemachine/examples/cheap.json");
    input["logging"] = json!(["audit"]);
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

    assert_it_goes_without_a_trace(&laptop, &input).await;
    assert_a_failure_removes_what_it_made(&laptop, &input).await;
}
