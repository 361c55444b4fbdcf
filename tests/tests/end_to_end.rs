//! The deployed template on the laptop's AWS: real binaries, real state machine, real wire.

use hardway::local::{Laptop, Options};
use serde_json::{Value, json};
use simulator::state::Region;
use simulator::{Call, State};
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

    assert_eq!(entries(laptop), [""; 0]);

    let before = changes(laptop);
    let again = laptop.destroy(input).await.unwrap();
    assert_eq!(again.output().unwrap()["receipt"]["removed"], json!([]));
    assert_eq!(changes(laptop), before);
}

/// Provisioning that fails half way and was asked to clean up: somebody else has a role of that name.
async fn assert_a_failure_removes_what_it_made(laptop: &Laptop, input: &Value) {
    let role = format!("hardway-cheap-{REGION}-cluster");
    let trust = State::organization_trust(ACCOUNT);
    let theirs = [(role.as_str(), trust.as_str())];
    let simulator = laptop.simulator();
    simulator.change(|state| state.add_account(ACCOUNT, theirs));
    let mut input = input.clone();
    input["onFailure"] = json!("remove");
    let failed = laptop.execute(&input).await.unwrap();
    assert_eq!(failed.error.as_deref(), Some("ResourceConflict"));
    let cause = failed.cause.unwrap();
    assert!(cause.starts_with("Cluster role: "), "{cause}");
    assert!(cause.contains("Teardown: "), "{cause}");
    assert!(cause.ends_with("nothing is left"), "{cause}");
    // The role is not ours to remove.
    let removed = simulator.change(|state| {
        let account = state.accounts.get_mut(ACCOUNT).unwrap();
        account.iam.roles.remove(&role)
    });
    assert!(removed.is_some());
    assert_eq!(left(laptop), [""; 0]);
}

/// The names of the registry's entries.
fn entries(laptop: &Laptop) -> Vec<String> {
    let path = ["--path", "/hardway/hardway/clusters", "--recursive"];
    let parameters = aws(
        laptop,
        &[&["ssm", "get-parameters-by-path"], &path[..]].concat(),
    );
    let parameters = parameters["Parameters"].as_array().unwrap().iter();
    let names = parameters.map(|parameter| parameter["Name"].as_str().unwrap().to_owned());
    names.collect()
}

/// Looks at every cluster, and waits for the end of it.
fn check(laptop: &Laptop) {
    let machine = format!("arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:hardway-check");
    let start = ["stepfunctions", "start-execution", "--state-machine-arn"];
    let started = aws(laptop, &[&start[..], &[&machine, "--input", "{}"]].concat());
    let arn = started["executionArn"].as_str().unwrap();
    let describe = [
        "stepfunctions",
        "describe-execution",
        "--execution-arn",
        arn,
    ];
    let ended = loop {
        let execution = aws(laptop, &describe);
        if execution["status"] != "RUNNING" {
            break execution;
        }
    };
    assert_eq!(ended["status"], "SUCCEEDED", "{ended:#}");
    let output: Value = serde_json::from_str(ended["output"].as_str().unwrap()).unwrap();
    assert_eq!(output["clusters"][0]["clusterName"], "cheap");
    assert_eq!(output["clusters"][0]["status"], "CHECKED");
}

/// The AWS CLI on SQS, for which it takes its endpoint from no variable.
fn sqs(laptop: &Laptop, arguments: &[&str]) -> Value {
    let environment = laptop.environment();
    let endpoint = environment.iter().find(|it| it.0 == "AWS_ENDPOINT_URL");
    let to = ["--endpoint-url", &endpoint.unwrap().1];
    aws(laptop, &[&["sqs"], arguments, &to].concat())
}

/// A queue that gets what the topic of findings gets; its URL.
fn subscribe(laptop: &Laptop) -> String {
    let queue = sqs(laptop, &["create-queue", "--queue-name", "mails"]);
    let topic = format!("arn:aws:sns:{REGION}:{ACCOUNT}:hardway-notifications");
    let endpoint = format!("arn:aws:sqs:{REGION}:{ACCOUNT}:mails");
    let subscribe = ["sns", "subscribe", "--protocol", "sqs"];
    let which = ["--topic-arn", &topic, "--notification-endpoint", &endpoint];
    aws(laptop, &[&subscribe[..], &which].concat());
    queue["QueueUrl"].as_str().unwrap().to_owned()
}

/// The next mail, if one comes.
fn mail(laptop: &Laptop, queue: &str) -> Option<String> {
    let receive = ["receive-message", "--queue-url", queue];
    let how = ["--wait-time-seconds", "2", "--visibility-timeout", "600"];
    let received = sqs(laptop, &[&receive[..], &how].concat());
    let body = received["Messages"][0]["Body"].as_str()?;
    let body: Value = serde_json::from_str(body).unwrap();
    body["Message"].as_str().map(ToOwned::to_owned)
}

fn set_dns_hostnames(laptop: &Laptop, on: bool) {
    laptop.simulator().change(|state| {
        let account = state.accounts.get_mut(ACCOUNT).unwrap();
        let region = account.regions.get_mut(REGION).unwrap();
        for vpc in region.ec2.vpcs.values_mut() {
            vpc.dns_hostnames = on;
        }
    });
}

/// From what somebody broke to the mail that says so, and once more when it is mended.
fn assert_the_check_tells_what_is_new(laptop: &Laptop) {
    let name = format!("/hardway/hardway/clusters/{ACCOUNT}/{REGION}/cheap");
    assert_eq!(entries(laptop), [name]);
    let queue = subscribe(laptop);
    check(laptop);
    assert_eq!(mail(laptop, &queue), None, "a healthy cluster");
    set_dns_hostnames(laptop, false);
    check(laptop);
    let said = mail(laptop, &queue).unwrap();
    let start = format!(
        "\"Cluster cheap (account {ACCOUNT}, {REGION}) has a new finding: dns-hostnames-off (error).\""
    );
    assert_eq!(said.lines().next(), Some(start.as_str()), "{said}");
    assert_eq!(said.lines().count(), 5, "{said}");
    check(laptop);
    assert_eq!(mail(laptop, &queue), None);
    set_dns_hostnames(laptop, true);
    check(laptop);
    let said = mail(laptop, &queue).unwrap();
    assert!(said.contains("dns-hostnames-off is over"), "{said}");
}

/// One test, because a laptop takes seconds to start: refuse, build, look, build again, check, remove, fail.
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

    assert_the_check_tells_what_is_new(&laptop);
    assert_it_goes_without_a_trace(&laptop, &input).await;
    assert_a_failure_removes_what_it_made(&laptop, &input).await;
}
