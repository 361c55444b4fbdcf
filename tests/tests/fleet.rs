//! Fleets: many clusters in many accounts, in virtual time, over the real machines and functions.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use simulator::State;
use simulator::ec2::Quotas;
use strum::IntoEnumIterator;
use tests::faults::{Mishap, Script, Trouble};
use tests::step_functions::{PROVISION, machine_arn};
use tests::world::{ACCOUNT, REGION};
use tests::{World, many};

const ROLE: &str = "HardwayMember";

/// The account with this number.
fn account(number: usize) -> String {
    format!("{}", 200_000_000_000 + number)
}

/// A small cluster in an account.
fn input(account: &str) -> Value {
    json!({
        "clusterName": "demo",
        "account": {"id": account},
        "network": {"availabilityZones": 2, "natGateways": "single"},
    })
}

/// Name of an attempt at it.
fn name(account: &str, attempt: u32) -> String {
    functions::model::names::execution(account, REGION, "demo", attempt)
}

/// What is wrong with an account.
#[derive(Debug, Clone, Copy)]
enum Flaw {
    NoAddresses,
    NoVpcs,
    RoleOfOthers,
    NoTrust,
}

const FLAWS: [Flaw; 4] = [
    Flaw::NoAddresses,
    Flaw::NoVpcs,
    Flaw::RoleOfOthers,
    Flaw::NoTrust,
];

impl Flaw {
    /// The error, and what its cause says first.
    fn failure(self) -> (&'static str, &'static str) {
        match self {
            Self::NoAddresses | Self::NoVpcs => ("QuotaExceeded", "Plan: "),
            Self::RoleOfOthers => ("ResourceConflict", "Cluster role: "),
            Self::NoTrust => ("AccountNotReady", "Plan: "),
        }
    }

    fn add(self, state: &mut State, account: &str) {
        let quotas = |state: &mut State, change: fn(&mut Quotas)| {
            let account = state.accounts.entry(account.to_owned()).or_default();
            let region = account.regions.entry(REGION.to_owned()).or_default();
            change(&mut region.ec2.quotas);
        };
        match self {
            Self::NoAddresses => quotas(state, |quotas| quotas.addresses = 0),
            Self::NoVpcs => quotas(state, |quotas| quotas.vpcs = 0),
            Self::RoleOfOthers => {
                let trust = State::organization_trust(account);
                state.add_account(account, [(ROLE_OF_OTHERS, trust.as_str())]);
            }
            Self::NoTrust => {
                let trust = State::organization_trust("444455556666");
                state.add_account(account, [(ROLE, trust.as_str())]);
            }
        }
    }

    fn mend(self, state: &mut State, account: &str) {
        match self {
            Self::NoTrust => {
                let trust = State::organization_trust(ACCOUNT);
                state.add_account(account, [(ROLE, trust.as_str())]);
            }
            Self::NoAddresses | Self::NoVpcs | Self::RoleOfOthers => {
                let account = state.accounts.entry(account.to_owned()).or_default();
                account.iam.roles.remove(ROLE_OF_OTHERS);
                let region = account.regions.entry(REGION.to_owned()).or_default();
                region.ec2.quotas = Quotas::default();
            }
        }
    }
}

const ROLE_OF_OTHERS: &str = "hardway-demo-ap-northeast-1-cluster";

/// A world with the organization's accounts.
fn organization(seed: u64, accounts: &[String]) -> World {
    let world = World::new(seed);
    let trust = State::organization_trust(ACCOUNT);
    world.simulator.change(|state| {
        for account in accounts {
            state.add_account(account, [(ROLE, trust.as_str())]);
        }
    });
    world
}

fn accounts(number: usize) -> Vec<String> {
    (0..number).map(account).collect()
}

fn inputs(accounts: &[String]) -> Vec<Value> {
    accounts.iter().map(|account| input(account)).collect()
}

/// One of the files that the Map Run of this fleet has written.
fn report(world: &World, fleet: &str, file: &str) -> Vec<Value> {
    let keys = world.bucket.keys(&format!("reports/{fleet}/"));
    let manifest = keys.iter().find(|key| key.ends_with("/manifest.json"));
    let manifest = world.bucket.json(manifest.unwrap());
    let files = manifest["ResultFiles"][file].as_array().unwrap();
    let entries = files.iter().flat_map(|file| {
        let content = world.bucket.json(file["Key"].as_str().unwrap());
        content.as_array().unwrap().clone()
    });
    entries.collect()
}

/// The account that a file's entry is about.
fn account_of(entry: &Value) -> String {
    let input: Value = serde_json::from_str(entry["Input"].as_str().unwrap()).unwrap();
    input["spec"]["account"]["id"].as_str().unwrap().to_owned()
}

/// How many calls each account has got since the first `from` ones.
fn calls_by_account(world: &World, from: usize) -> BTreeMap<String, usize> {
    let mut calls = BTreeMap::new();
    for call in &world.simulator.calls()[from..] {
        *calls.entry(call.account.clone()).or_default() += 1;
    }
    calls
}

fn hours(duration: Duration) -> f64 {
    duration.as_secs_f64() / 3600.0
}

/// Step Functions' limits, which the walker enforces too: nobody comes near them.
fn assert_limits(world: &World, execution: &tests::Execution) {
    let run = world.step_functions.map_runs().pop().unwrap();
    let (parent, child) = (execution.history, run.largest_child());
    println!(
        "events: {} of the fleet, {} of its largest member; bytes: {} and {}",
        parent.events, child.events, parent.bytes, child.bytes
    );
    assert!(parent.events < 100, "{parent:?}");
    assert!(child.events < 25_000 / 4, "{child:?}");
    assert!(parent.bytes.max(child.bytes) < 256 * 1024);
}

/// `make fleet` tries a thousand.
#[tokio::test(start_paused = true)]
async fn of_many_accounts_the_flawed_ones_are_named_and_alone_done_again() {
    let number = std::env::var("ACCOUNTS").map_or(50, |number| number.parse().unwrap());
    let accounts = accounts(number);
    let flawed: BTreeMap<String, Flaw> = (0..(number * 3 / 100).max(FLAWS.len()))
        .map(|index| (account(index * 33 % number), FLAWS[index % FLAWS.len()]))
        .collect();
    let world = organization(1, &accounts);
    world.simulator.change(|state| {
        for (account, flaw) in &flawed {
            flaw.add(state, account);
        }
    });
    let fleet = json!({"inputs": inputs(&accounts), "maxConcurrency": 100});

    let wall = Instant::now();
    let first = world.fleet("first", fleet.clone()).await;
    println!(
        "{number} clusters in {:.1} hours, {} at once at most; {:.0} s on this machine",
        hours(first.duration),
        world.step_functions.peak(),
        wall.elapsed().as_secs_f64()
    );
    let output = first.output();
    assert_eq!(output["total"], number);
    assert_eq!(world.step_functions.peak(), number.min(100));
    assert_eq!(output["succeeded"], number - flawed.len());
    assert_eq!(output["failed"], flawed.len());
    assert_limits(&world, &first);

    let failed = report(&world, "first", "FAILED");
    let named: BTreeSet<String> = failed.iter().map(account_of).collect();
    assert_eq!(named, flawed.keys().cloned().collect());
    for entry in &failed {
        let account = account_of(entry);
        let (error, cause) = flawed[&account].failure();
        assert_eq!(entry["Error"], error, "{entry:#}");
        let cause = format!("{}: {cause}", name(&account, 1));
        assert!(
            entry["Cause"].as_str().unwrap().starts_with(&cause),
            "{entry:#}"
        );
    }
    let done: BTreeSet<String> = report(&world, "first", "SUCCEEDED")
        .iter()
        .map(account_of)
        .collect();
    assert!(done.is_disjoint(&named));
    assert_eq!(done.len() + named.len(), number);

    world.simulator.change(|state| {
        for (account, flaw) in &flawed {
            flaw.mend(state, account);
        }
    });
    let before = world.simulator.calls().len();
    let second = world.fleet("second", fleet).await;
    println!("the flawed ones again: {:.1} hours", hours(second.duration));
    let failed = report(&world, "second", "FAILED");
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(second.output()["succeeded"], number);
    let mut touched = calls_by_account(&world, before);
    // Roles are assumed from here.
    touched.remove(ACCOUNT);
    assert_eq!(touched.keys().cloned().collect::<BTreeSet<_>>(), named);
    for account in &accounts {
        let again = world.step_functions.execution(&name(account, 2));
        assert_eq!(again.is_some(), named.contains(account), "{account}");
        assert!(world.step_functions.execution(&name(account, 3)).is_none());
    }
    assert_limits(&world, &second);
}

#[tokio::test(start_paused = true)]
async fn when_too_many_fail_the_rest_is_not_started_and_the_report_is_there() {
    let accounts = accounts(20);
    let world = organization(2, &accounts);
    world.simulator.change(|state| {
        for account in &accounts {
            Flaw::NoVpcs.add(state, account);
        }
    });
    let fleet = json!({"inputs": inputs(&accounts), "maxConcurrency": 4});
    let execution = world.fleet("fleet", fleet).await;
    let failure = execution.failure();
    assert_eq!(failure.error, "States.ExceedToleratedFailureThreshold");
    // The third is more than a tenth; up to three others were under way then.
    let failed = report(&world, "fleet", "FAILED");
    let pending = report(&world, "fleet", "PENDING");
    let of = |status: &str| failed.iter().filter(|it| it["Status"] == status).count();
    assert_eq!(of("FAILED"), 3);
    assert!((1..=3).contains(&of("ABORTED")), "{failed:#?}");
    assert_eq!(failed.len() + pending.len(), 20);
    // Some had not got as far as to start theirs.
    let started = world.step_functions.executions().len();
    assert!((3..=failed.len()).contains(&started), "{started}");
    let numbers = format!(
        "3 of 20 failed, {} were cut short and {} not started, because more than 10 % failed",
        of("ABORTED"),
        pending.len()
    );
    assert!(failure.cause.starts_with(&numbers), "{}", failure.cause);
    let place = "s3://hardway-fleet-bucket/reports/fleet/";
    assert!(failure.cause.ends_with(place), "{}", failure.cause);
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_runs_already_is_waited_for_and_not_started_twice() {
    let accounts = accounts(1);
    let world = organization(3, &accounts);
    let start = |world: &World| {
        let call = world.sfn().start_execution();
        let call = call.state_machine_arn(machine_arn(PROVISION));
        let call = call.name(name(&accounts[0], 1));
        call.input(input(&accounts[0]).to_string()).send()
    };
    start(&world).await.unwrap();
    tokio::time::sleep(Duration::from_mins(5)).await;
    let before = world.simulator.now();
    let execution = world
        .fleet("fleet", json!({"inputs": inputs(&accounts)}))
        .await;
    assert_eq!(execution.output()["succeeded"], 1);
    let executions = world.step_functions.executions();
    assert_eq!(executions.len(), 1);
    let (ended, at) = executions[0].ended.clone().unwrap();
    assert!(ended.result.is_ok() && at > before);
    // And whoever comes too late does not start it either.
    let error = start(&world).await.unwrap_err().into_service_error();
    assert!(error.is_execution_already_exists(), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn another_input_is_another_attempt_and_the_same_one_is_none() {
    let accounts = accounts(1);
    let world = organization(4, &accounts);
    let mut input = input(&accounts[0]);
    let execution = world.fleet("one", json!({"inputs": [input]})).await;
    assert_eq!(execution.output()["succeeded"], 1);
    // The same in other words.
    input["region"] = json!(REGION);
    let execution = world.fleet("two", json!({"inputs": [input]})).await;
    assert_eq!(execution.output()["succeeded"], 1);
    assert_eq!(world.step_functions.executions().len(), 1);
    assert!(execution.duration < Duration::from_secs(10));

    input["tags"] = json!({"team": "platform"});
    let execution = world.fleet("three", json!({"inputs": [input]})).await;
    assert_eq!(execution.output()["succeeded"], 1);
    let second = world
        .step_functions
        .execution(&name(&accounts[0], 2))
        .unwrap();
    assert!(second.input.contains("platform"), "{}", second.input);
}

#[tokio::test(start_paused = true)]
async fn an_input_that_is_wrong_fails_alone_with_its_field() {
    let accounts = accounts(2);
    let world = organization(5, &accounts);
    let inputs = json!([
        input(&accounts[0]),
        {"clusterName": "demo", "account": {"id": accounts[1]}, "network": {"cidrs": "10.0.0.0/16"}},
        "demo",
        {"clusterName": "demo", "account": {"id": accounts[1]}, "kubernetesVersion": "1.99"},
    ]);
    let fleet = json!({"inputs": inputs, "toleratedFailurePercentage": 75});
    let execution = world.fleet("fleet", fleet).await;
    assert_eq!(execution.output()["succeeded"], 1);
    assert_eq!(execution.output()["failed"], 3);
    let failed = report(&world, "fleet", "FAILED");
    for (error, field) in [
        ("InvalidRequest", "network.cidrs"),
        ("InvalidRequest", "input: "),
        ("InvalidRequest", "kubernetesVersion"),
    ] {
        let is_named = |entry: &Value| {
            entry["Error"] == error && entry["Cause"].as_str().unwrap().contains(field)
        };
        assert!(failed.iter().any(is_named), "{field}: {failed:#?}");
    }
    // Only `plan` knows the versions.
    assert_eq!(world.step_functions.executions().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_list_in_s3_is_as_good_as_one_in_the_input() {
    let accounts = accounts(3);
    let world = organization(6, &accounts);
    let list = Value::Array(inputs(&accounts)).to_string();
    world.bucket.put("lists/three.json", list);
    let execution = world
        .fleet("fleet", json!({"key": "lists/three.json"}))
        .await;
    assert_eq!(
        *execution.output(),
        json!({
            "total": 3,
            "succeeded": 3,
            "failed": 0,
            "timedOut": 0,
            "aborted": 0,
            "notStarted": 0,
            "mapRunArn": world.step_functions.map_runs()[0].arn,
            "files": "s3://hardway-fleet-bucket/reports/fleet/",
        })
    );
    let done = report(&world, "fleet", "SUCCEEDED");
    let output: Value = serde_json::from_str(done[0]["Output"].as_str().unwrap()).unwrap();
    let account = account_of(&done[0]);
    let arn = machine_arn(PROVISION).replace("stateMachine", "execution");
    assert_eq!(
        output,
        json!({
            "accountId": account,
            "region": REGION,
            "clusterName": "demo",
            "execution": format!("{arn}:{}", name(&account, 1)),
        })
    );

    let missing = world
        .fleet("missing", json!({"key": "lists/four.json"}))
        .await;
    let failure = missing.failure();
    assert_eq!(failure.error, "States.ItemReaderFailed");
    assert!(
        failure.cause.starts_with("Members from S3: "),
        "{}",
        failure.cause
    );
}

#[tokio::test(start_paused = true)]
async fn wrong_settings_are_refused_before_anything_is_started() {
    let world = organization(7, &accounts(1));
    for (field, fleet) in [
        ("inputs", json!({})),
        (
            "maxConcurrency",
            json!({"inputs": inputs(&accounts(1)), "maxConcurrency": 0}),
        ),
    ] {
        let execution = world.fleet("fleet", fleet).await;
        let failure = execution.failure();
        assert_eq!(failure.error, "InvalidRequest");
        assert!(failure.cause.starts_with("Settings: "), "{}", failure.cause);
        assert!(failure.cause.contains(field), "{}", failure.cause);
    }
    assert!(world.step_functions.executions().is_empty());
    assert!(world.step_functions.map_runs().is_empty());
}

/// Whatever goes wrong between the function and Step Functions, one execution is started.
#[test]
fn cluster_is_started_once_whatever_goes_wrong() {
    // Settings is invocation 0, and calls nothing. The first invocation looks twice at most, and starts.
    let mishaps = Mishap::iter().map(|mishap| Script::with_invocation(1, mishap));
    let troubles =
        (0..2).flat_map(|call| Trouble::iter().map(move |it| Script::with_call(call, it)));
    let scripts: Vec<_> = mishaps
        .chain(troubles)
        .map(|it| std::sync::Mutex::new(Some(it)))
        .collect();
    many::each(&scripts, async |_, script| {
        let accounts = accounts(1);
        let world = organization(8, &accounts);
        world.follow(script.lock().unwrap().take().unwrap());
        let execution = world
            .fleet("fleet", json!({"inputs": inputs(&accounts)}))
            .await;
        let log = world.script().log().to_vec();
        assert_eq!(log.len(), 1, "{log:?}");
        assert!(
            execution.result.is_ok(),
            "{log:?}\n{}",
            execution.timeline()
        );
        assert_eq!(execution.output()["succeeded"], 1, "{log:?}");
        assert_eq!(world.step_functions.executions().len(), 1, "{log:?}");
    });
}
