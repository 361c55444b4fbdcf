//! The scheduled check over the real machine and the real handlers, in virtual time: what appears is told
//! once, what is over is told once, and nothing is lost.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use simulator::ssm::Parameter;
use simulator::{Call, InjectedError, State};
use tests::faults::Script;
use tests::world::{ACCOUNT, REGION, checking, region};
use tests::{Execution, World, project};

/// Where the entries are when the template says nothing.
const PATH: &str = "/hardway/hardway/clusters";
const MEMBER: &str = "444455556666";

fn demo() -> Value {
    json!({"clusterName": "demo", "network": {"availabilityZones": 2, "natGateways": "single"}})
}

fn in_member_account() -> Value {
    json!({
        "clusterName": "member",
        "network": {"availabilityZones": 2, "natGateways": "single"},
        "account": {"id": MEMBER, "roleName": "Builder"},
    })
}

/// A world with these clusters, some hours old, of which a check has told what it cannot look at there.
async fn provisioned(seed: u64, inputs: &[Value]) -> World {
    let world = World::new(seed);
    for input in inputs {
        world.prepare_for(input);
        let execution = world.provision(input.clone()).await;
        assert!(execution.result.is_ok(), "{}", execution.timeline());
    }
    let first = later(&world).await;
    assert_eq!(
        first.output()["clusters"].as_array().unwrap().len(),
        inputs.len()
    );
    assert_eq!(world.bus().take(), [Value::Null; 0]);
    world
}

/// A check an hour later.
async fn later(world: &World) -> Execution {
    tokio::time::sleep(Duration::from_hours(1)).await;
    world.check().await
}

/// What a check tells: `Appeared dns-hostnames-off of demo`.
async fn told(world: &World) -> Vec<String> {
    let execution = later(world).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    words(&world.bus().take())
}

fn words(events: &[Value]) -> Vec<String> {
    let word = |event: &Value| {
        let kind = event["DetailType"].as_str().unwrap().rsplit(' ').next();
        let detail = &event["Detail"];
        let id = detail["finding"]["id"].as_str().unwrap();
        let cluster = detail["clusterName"].as_str().unwrap();
        format!("{} {id} of {cluster}", kind.unwrap())
    };
    events.iter().map(word).collect()
}

/// Turns the DNS hostnames of every VPC in an account on or off, as somebody at the console would.
fn set_dns_hostnames(world: &World, account: &str, on: bool) {
    world.simulator.change(|state| {
        let region = state
            .accounts
            .get_mut(account)
            .unwrap()
            .regions
            .get_mut(REGION);
        for vpc in region.unwrap().ec2.vpcs.values_mut() {
            vpc.dns_hostnames = on;
        }
    });
}

fn entries(state: &State) -> BTreeMap<String, Parameter> {
    let mut parameters = state.accounts[ACCOUNT].regions[REGION]
        .ssm
        .parameters
        .clone();
    parameters.retain(|name, _| name.starts_with(PATH));
    parameters
}

fn entry(world: &World, name: &str) -> Value {
    let entries = entries(&world.simulator.state());
    serde_json::from_str(&entries[&format!("{PATH}/{name}")].value).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_finding_is_told_when_it_appears_and_when_it_is_over_and_not_in_between() {
    let world = provisioned(61, &[demo()]).await;
    assert_eq!(told(&world).await, [""; 0]);

    set_dns_hostnames(&world, ACCOUNT, false);
    let execution = later(&world).await;
    assert_eq!(execution.output()["clusters"][0]["status"], "CHECKED");
    let events = world.bus().take();
    assert_eq!(words(&events), ["Appeared dns-hostnames-off of demo"]);
    let event = &events[0];
    assert_eq!(event["Source"], "hardway");
    assert_eq!(event["DetailType"], "Cluster Finding Appeared");
    assert_eq!(event["EventBusName"], "${EventBusName}");
    let detail = &event["Detail"];
    assert_eq!(
        (&detail["accountId"], &detail["region"]),
        (&json!(ACCOUNT), &json!(REGION))
    );
    assert!(
        detail["finding"]["resource"]
            .as_str()
            .unwrap()
            .starts_with("vpc-")
    );
    assert_eq!(detail["finding"]["severity"], "error");
    for member in ["seen", "expected", "fix", "since"] {
        assert!(
            !detail["finding"][member].as_str().unwrap().is_empty(),
            "{member}"
        );
    }

    assert_eq!(told(&world).await, [""; 0]);
    set_dns_hostnames(&world, ACCOUNT, true);
    assert_eq!(told(&world).await, ["Resolved dns-hostnames-off of demo"]);
    assert_eq!(told(&world).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_has_nothing_to_tell_changes_nothing() {
    let world = provisioned(62, &[demo()]).await;
    let changes = world.changes().len();
    let before = entries(&world.simulator.state());
    assert_eq!(told(&world).await, [""; 0]);
    assert_eq!(world.changes().len(), changes);
    assert_eq!(entries(&world.simulator.state()), before);
}

#[tokio::test(start_paused = true)]
async fn without_clusters_there_is_nothing_to_check() {
    let world = World::new(63);
    let execution = world.check().await;
    assert_eq!(execution.output(), &json!({"clusters": []}));
}

#[tokio::test(start_paused = true)]
async fn the_registry_lives_in_hardways_own_account_and_region() {
    let world = provisioned(64, &[in_member_account()]).await;
    let name = format!("{PATH}/{MEMBER}/{REGION}/member");
    let entries = entries(&world.simulator.state());
    assert_eq!(entries.keys().collect::<Vec<_>>(), [&name]);
    let entry = entry(&world, &format!("{MEMBER}/{REGION}/member"));
    assert_eq!(
        entry["account"],
        json!({"id": MEMBER, "roleName": "Builder"})
    );
    assert_eq!(entry["partition"], "aws");
    let in_member = world.simulator.state().accounts[MEMBER].regions[REGION]
        .ssm
        .clone();
    assert!(in_member.parameters.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_second_provisioning_keeps_what_was_told() {
    let world = provisioned(65, &[demo()]).await;
    world.simulator.change(|state| {
        let parameters = region(state).ssm.parameters.values_mut();
        for parameter in parameters {
            let mut entry: Value = serde_json::from_str(&parameter.value).unwrap();
            let told = json!({
                "id": "kept", "severity": "error", "resource": "r", "since": "2026-01-01T00:00:00.000Z"
            });
            entry["findings"] = json!([told]);
            parameter.value = entry.to_string();
        }
    });
    let before = entries(&world.simulator.state());
    let execution = world.provision(demo()).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    assert_eq!(entries(&world.simulator.state()), before);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_was_torn_down_is_checked_no_more() {
    let world = provisioned(66, &[demo()]).await;
    set_dns_hostnames(&world, ACCOUNT, false);
    assert_eq!(told(&world).await.len(), 1);
    let execution = world.tear_down(json!({"clusterName": "demo"})).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    assert!(entries(&world.simulator.state()).is_empty());
    let execution = later(&world).await;
    assert_eq!(execution.output(), &json!({"clusters": []}));
    assert_eq!(world.bus().take(), [Value::Null; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_cannot_be_looked_at_is_told_and_hides_nothing() {
    let world = provisioned(67, &[demo(), in_member_account()]).await;
    set_dns_hostnames(&world, MEMBER, false);
    assert_eq!(told(&world).await, ["Appeared dns-hostnames-off of member"]);

    // The role goes, and what it would show is mended: nobody can know.
    let role = world.simulator.change(|state| {
        let iam = &mut state.accounts.get_mut(MEMBER).unwrap().iam;
        iam.roles.remove("builder").unwrap()
    });
    set_dns_hostnames(&world, MEMBER, true);
    // Meanwhile another cluster breaks: it is not in the way of the other's failure.
    set_dns_hostnames(&world, ACCOUNT, false);
    let execution = later(&world).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    let events = world.bus().take();
    let mut said = words(&events);
    said.sort();
    assert_eq!(
        said,
        [
            "Appeared dns-hostnames-off of demo",
            "Appeared not-examined of member"
        ]
    );
    let failure = events
        .iter()
        .find(|it| it["Detail"]["clusterName"] == "member");
    let seen = failure.unwrap()["Detail"]["finding"]["seen"]
        .as_str()
        .unwrap();
    assert!(seen.starts_with("AccountNotReady: "), "{seen}");
    assert!(seen.contains("role/Builder"), "{seen}");
    assert_eq!(told(&world).await, [""; 0]);

    world.simulator.change(|state| {
        let iam = &mut state.accounts.get_mut(MEMBER).unwrap().iam;
        iam.roles.insert("builder".to_owned(), role);
    });
    assert_eq!(
        told(&world).await,
        [
            "Resolved dns-hostnames-off of member",
            "Resolved not-examined of member"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn undelivered_findings_are_reported_by_the_next_check() {
    let world = provisioned(68, &[demo(), in_member_account()]).await;
    set_dns_hostnames(&world, ACCOUNT, false);
    let before = entries(&world.simulator.state());
    world.bus().refuse(usize::MAX);
    let execution = later(&world).await;
    assert_eq!(execution.failure().error, "ClustersNotChecked");
    assert_eq!(entries(&world.simulator.state()), before);
    world.bus().refuse(0);
    assert_eq!(told(&world).await, ["Appeared dns-hostnames-off of demo"]);
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_refuses_for_a_while_is_asked_again() {
    let world = provisioned(69, &[demo()]).await;
    set_dns_hostnames(&world, ACCOUNT, false);
    world.bus().refuse(3);
    assert_eq!(told(&world).await, ["Appeared dns-hostnames-off of demo"]);
}

#[tokio::test(start_paused = true)]
async fn unrecorded_findings_are_reported_again_rather_than_lost() {
    let world = provisioned(70, &[demo()]).await;
    set_dns_hostnames(&world, ACCOUNT, false);
    world.follow(Script::with_denied("AmazonSSM.PutParameter"));
    let execution = later(&world).await;
    assert_eq!(execution.failure().error, "ClustersNotChecked");
    world.follow(Script::calm());
    let appeared = "Appeared dns-hostnames-off of demo";
    assert_eq!(words(&world.bus().take()), [appeared]);
    assert_eq!(told(&world).await, [appeared]);
    assert_eq!(told(&world).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_cannot_be_read_fails_the_check_by_its_name() {
    let world = provisioned(71, &[demo()]).await;
    world.simulator.fail_next_call(InjectedError::ExplicitDeny);
    let execution = world.check().await;
    let failure = execution.failure();
    assert_eq!(failure.error, "ExplicitDeny");
    assert!(failure.cause.starts_with("Clusters: "), "{}", failure.cause);
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_cannot_be_written_fails_provisioning_and_removes_nothing() {
    let world = World::new(72);
    world.follow(Script::with_denied("AmazonSSM.PutParameter"));
    let mut input = demo();
    input["onFailure"] = json!("remove");
    let execution = world.provision(input.clone()).await;
    let failure = execution.failure();
    assert_eq!(failure.error, "ExplicitDeny");
    assert!(failure.cause.starts_with("Registry: "), "{}", failure.cause);
    assert!(world.coredns_runs("demo"));

    world.follow(Script::calm());
    let changes = world.changes().len();
    let execution = world.provision(input).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    let new: Vec<String> = world.changes()[changes..]
        .iter()
        .map(Call::action)
        .collect();
    assert_eq!(new, ["ssm:PutParameter"]);
}

/// Puts entries of clusters that nobody has made into the registry.
fn register(world: &World, number: usize) {
    let now = world.simulator.now();
    world.simulator.change(|state| {
        for number in 0..number {
            // As long as EKS allows.
            let cluster = format!("{}-{number:04}", "x".repeat(95));
            let name = format!("{PATH}/{ACCOUNT}/{REGION}/{cluster}");
            let entry = json!({
                "clusterName": cluster,
                "region": REGION,
                "partition": "aws",
                "account": {"id": ACCOUNT},
                "findings": [],
            });
            let parameter = Parameter {
                name: name.clone(),
                arn: format!("arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{name}"),
                kind: "String".to_owned(),
                value: entry.to_string(),
                version: 1,
                modified_at: now,
                tags: BTreeMap::new(),
                earlier: vec![],
            };
            region(state).ssm.parameters.insert(name, parameter);
        }
    });
}

/// How many events the history of an execution of the check has on AWS. Source: the Step Functions API
/// reference, HistoryEvent: what a state writes when it is entered and left, a Task when it is scheduled,
/// started and done, a Map when it and each of its iterations is started and done.
fn history_events(execution: &Execution) -> usize {
    let definition = project::read_json("statemachine/check.asl.json");
    let inner = &definition["States"]["Check each"]["ItemProcessor"]["States"];
    let of_event = |event: &tests::asl::Event| {
        let state = match &definition["States"][&event.state] {
            Value::Null => &inner[&event.state],
            state => state,
        };
        match (event.what.as_str(), state["Type"].as_str().unwrap()) {
            ("entered", "Task") if event.state == "Examine" => 5 + 2,
            ("entered", "Task") => 5,
            ("entered", "Map") => 4,
            ("entered", _) => 2,
            (what, _) if what.starts_with("retried") => 3,
            _ => 0,
        }
    };
    2 + execution.events.iter().map(of_event).sum::<usize>()
}

#[tokio::test(start_paused = true)]
async fn more_clusters_than_one_execution_sees_to_are_those_of_the_next() {
    let world = World::new(73);
    register(&world, 310);
    let execution = world.check().await;
    let clusters = execution.output()["clusters"].as_array().unwrap();
    assert_eq!(clusters.len(), 300);
    // None of them exists, so that there is something to tell of each.
    assert_eq!(world.bus().take().len(), 300);
    // AWS ends an execution with 25,000 events: more than half of them are left for retries.
    let events = history_events(&execution);
    assert!((300 * 31..12_500).contains(&events), "{events}");
    println!("a check of 300 clusters with news of each: {events} events of its history");

    let started = world.take_started();
    assert_eq!(started.len(), 1);
    let rest = world.run(&checking(), started[0].clone()).await;
    assert_eq!(rest.output()["clusters"].as_array().unwrap().len(), 10);
    assert_eq!(world.bus().take().len(), 10);
    assert_eq!(world.take_started(), [Value::Null; 0]);
    assert_eq!(entries(&world.simulator.state()).len(), 310);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_check_of_many_clusters_leaves_most_of_its_history_for_retries() {
    let world = World::new(74);
    register(&world, 300);
    assert!(world.check().await.result.is_ok());
    let execution = later(&world).await;
    assert!(execution.result.is_ok());
    let events = history_events(&execution);
    assert!(events < 6_000, "{events}");
    println!("a check of 300 clusters without news: {events} events of its history");
    assert_eq!(world.take_started(), [Value::Null; 0]);
}
