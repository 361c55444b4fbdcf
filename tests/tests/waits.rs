//! Nothing waits for ever: whatever a machine waits for, if it never comes the execution ends with an
//! error that names it, long before the machine's own time-out, which no Catch sees.

use functions::contract::wait::{Limits, check_after};
use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tests::hold::Pending;
use tests::world::{ACCOUNT, Moment, limits, logical_id};
use tests::{Execution, World, left, many, project};

const SEED: u64 = 121;

/// What makes every step do, and wait for, as much as it can.
fn input() -> Value {
    json!({
        "clusterName": "demo",
        "onFailure": "remove",
        "logging": ["audit"],
        "deletionProtection": true,
        "access": {"admins": ["arn:aws:iam::111122223333:role/Admin"]},
        "fargateProfiles": [
            {"name": "system", "selectors": [{"namespace": "kube-*"}]},
            {"name": "apps", "selectors": [{"namespace": "apps"}]},
        ],
    })
}

fn teardown() -> Value {
    json!({"clusterName": "demo", "disableDeletionProtection": true})
}

fn new_world() -> World {
    let world = World::new(SEED);
    world.prepare_for(&input());
    world
}

/// Whether the execution ended with the reason that was given for ever; what is wrong else.
fn problem(world: &World, execution: &Execution, ends_with_receipt: bool) -> Option<String> {
    let Some(reason) = world.hold.reason() else {
        return Some("it was not waited for".to_owned());
    };
    let Err(failure) = &execution.result else {
        return Some("it succeeded".to_owned());
    };
    let is_named = failure.error == "WaitTimedOut" && failure.cause.contains(&reason);
    let has_receipt = failure.cause.contains("nothing is left");
    (!is_named || has_receipt != ends_with_receipt)
        .then(|| format!("{reason}: {failure:?}\n{}", execution.timeline()))
}

fn require_none(problems: Vec<Option<String>>) {
    let problems: Vec<String> = problems.into_iter().flatten().collect();
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}

#[test]
fn every_wait_of_provisioning_that_ends_in_vain_is_named_and_its_resources_are_removed() {
    let waits: Vec<Pending> = many::one(async || {
        let world = new_world();
        let execution = world.provision(input()).await;
        assert!(execution.result.is_ok(), "{}", execution.timeline());
        world.hold.seen().into_iter().collect()
    });
    for function in [
        "vpc",
        "public-routes",
        "nat-gateways",
        "cluster",
        "fargate-profiles",
        "coredns",
    ] {
        assert!(
            waits.iter().any(|it| it.function == function),
            "{function}: {waits:#?}"
        );
    }
    require_none(many::each(&waits, async |_, pending| {
        let world = new_world();
        world.hold.forever(pending.clone());
        let execution = world.provision(input()).await;
        let problem = problem(&world, &execution, true);
        // EKS does by itself some of what it does late.
        tokio::time::sleep(Duration::from_mins(30)).await;
        let left = left::everything(&world.simulator.state(), ACCOUNT);
        let problem = problem.or_else(|| (!left.is_empty()).then(|| format!("{left:#?}")));
        problem.map(|it| format!("{pending:?}: {it}"))
    }));
    println!("{} waits of provisioning end", waits.len());
}

#[test]
fn every_wait_of_a_teardown_that_ends_in_vain_is_named() {
    let moments = many::one(async || World::moments_of(SEED, &input()).await);
    // Whatever was made last is in all kinds of states when the teardown comes.
    let some: Vec<Moment> = moments.iter().rev().step_by(9).cloned().collect();
    let seen = many::each(&some, async |_, moment| {
        let world = World::resume(SEED, moment);
        let execution = world.tear_down(teardown()).await;
        assert!(execution.result.is_ok(), "{}", execution.timeline());
        world.hold.seen()
    });
    let mut waits: BTreeMap<Pending, Moment> = BTreeMap::new();
    for (seen, moment) in seen.into_iter().zip(some) {
        for pending in seen {
            waits.entry(pending).or_insert_with(|| moment.clone());
        }
    }
    for function in ["coredns", "fargate-profiles", "cluster", "nat-gateways"] {
        assert!(waits.keys().any(|it| it.function == function), "{function}");
    }
    let unprotects = |it: &Pending| it.reason.contains("deletion protection");
    assert!(waits.keys().any(unprotects), "{:#?}", waits.keys());
    let waits: Vec<_> = waits.into_iter().collect();
    require_none(many::each(&waits, async |_, (pending, moment)| {
        let world = World::resume(SEED, moment);
        world.hold.forever(pending.clone());
        let execution = world.tear_down(teardown()).await;
        let problem = problem(&world, &execution, false);
        problem.map(|it| format!("{pending:?}: {it}"))
    }));
    println!("{} waits of teardowns end", waits.len());
}

#[test]
fn a_member_that_never_ends_fails_and_not_the_whole_fleet_with_it() {
    let execution = many::one(async || {
        let world = new_world();
        world.hold.forever(Pending {
            function: "fleet-member".to_owned(),
            action: "ensure".to_owned(),
            reason: "the execution # is running".to_owned(),
        });
        let execution = world.fleet("fleet", json!({"inputs": [input()]})).await;
        assert!(world.hold.reason().is_some(), "{}", execution.timeline());
        execution
    });
    let failure = execution.failure();
    assert_eq!(failure.error, "States.ExceedToleratedFailureThreshold");
    // Provisioning may take three days, and ends by itself.
    assert!(execution.duration > Duration::from_hours(72));
    assert!(execution.duration < Duration::from_hours(74));
}

/// `NotYetVisible` has thirty retries, and almost all of them take about thirteen minutes.
const RETRIES: usize = 29;
const RETRIES_LAST: Duration = Duration::from_secs(786);

/// What fails at each invocation, and passes each time within the retries, would be waited for as often as the
/// step is asked within its limit.
#[test]
fn a_wait_whose_every_invocation_is_retried_ends_soon_after_its_limit() {
    let waits: Vec<Pending> = many::one(async || {
        let world = new_world();
        let execution = world.provision(input()).await;
        assert!(execution.result.is_ok(), "{}", execution.timeline());
        let seen = world.hold.seen();
        let first = |function| seen.iter().find(|it| it.function == function).unwrap();
        ["vpc", "nat-gateways", "cluster"]
            .map(|it| first(it).clone())
            .to_vec()
    });
    let mut input = input();
    input["onFailure"] = "keep".into();
    require_none(many::each(&waits, async |_, pending| {
        let world = new_world();
        world.hold.forever_after(RETRIES, pending.clone());
        let execution = world.provision(input.clone()).await;
        let resource = format!("${{{}Arn}}", logical_id(&pending.function));
        let limits = limits(&resource, &pending.action);
        let lasted = execution.duration;
        println!("{pending:?}: {lasted:?} of {limits:?}");
        // The steps before it, the retries that are no part of the wait, and those under way at its limit.
        let most = Duration::from_mins(10) + limits.pending + limits.retries + RETRIES_LAST;
        let problem = problem(&world, &execution, false);
        let is_long = lasted > most;
        problem.or_else(|| is_long.then(|| format!("{pending:?}: {lasted:?} of {most:?}")))
    }));
}

fn definition(name: &str) -> Value {
    project::read_json(&format!("statemachine/{name}.asl.json"))
}

/// The states of a machine and of those inside it that have a wait.
fn waiting(machine: &Value) -> Vec<(&String, &Value)> {
    let mut found = vec![];
    for (name, state) in machine["States"].as_object().unwrap() {
        if state["Next"] == format!("{name} ready?") {
            found.push((name, state));
        }
        let branches = state["Branches"].as_array().into_iter().flatten();
        found.extend(branches.flat_map(waiting));
        found.extend(state.get("ItemProcessor").into_iter().flat_map(waiting));
    }
    found
}

/// The same, with their limits.
fn waits_of(machine: &Value) -> Vec<(String, Duration)> {
    let all = waiting(machine).into_iter();
    all.map(|(name, state)| (name.clone(), limit(state)))
        .collect()
}

fn limits_of(task: &Value) -> Limits {
    let action = task["Parameters"]["action"].as_str().unwrap();
    limits(task["Resource"].as_str().unwrap(), action)
}

fn limit(task: &Value) -> Duration {
    limits_of(task).pending
}

/// The invocations of a wait that asks as often as any step does.
fn invocations(limit: Duration) -> usize {
    let mut age = Duration::ZERO;
    let mut invocations = 1;
    while age < limit {
        age += Duration::from_secs(check_after(2, age, limit));
        invocations += 1;
    }
    invocations
}

/// All that the retriers of a machine allow.
fn attempts(value: &Value) -> usize {
    let own = value["MaxAttempts"].as_u64().unwrap_or_default();
    let inner: usize = match value {
        Value::Object(members) => members.values().map(attempts).sum(),
        Value::Array(items) => items.iter().map(attempts).sum(),
        _ => 0,
    };
    inner + usize::try_from(own).unwrap()
}

/// Every wait of an execution at its limit, every retry used up, and the routes gone over twice.
#[test]
fn no_history_reaches_its_quota() {
    for name in ["provision", "teardown"] {
        let machine = definition(name);
        // An attempt is three.
        let retries = attempts(&machine) * 3;
        let again = ["Public routes", "NAT gateways", "Private routes"];
        let events: usize = waits_of(&machine)
            .iter()
            .map(|(state, limit)| {
                // A Task is five, its Choice and its Wait two each.
                let times = if again.contains(&state.as_str()) {
                    2
                } else {
                    1
                };
                invocations(*limit) * 9 * times
            })
            .sum();
        println!("{name}: {events} events of waits, at most {retries} of retries");
        assert!(events + retries < 25_000, "{name}: {events} + {retries}");
    }
    // Each member of a fleet has a history of its own.
    for (state, limit) in waits_of(&definition("fleet")) {
        assert!(invocations(limit) * 9 < 24_000, "{state}");
    }
}

/// Far more than the few calls of an invocation take.
const INVOCATION_SECONDS: u64 = 10;

/// The longest time between entering a state and the end of its machine, in seconds.
fn longest_path(machine: &Value, name: &str, on_path: &mut Vec<String>) -> u64 {
    // The routes may be gone over once more.
    if on_path.iter().filter(|it| *it == name).count() >= 2 {
        return 0;
    }
    on_path.push(name.to_owned());
    let state = &machine["States"][name];
    let mut targets: Vec<&str> = vec![];
    let catchers = state["Catch"].as_array().into_iter().flatten();
    targets.extend(catchers.filter_map(|it| it["Next"].as_str()));
    let is_wait = state["Next"] == format!("{name} ready?");
    if is_wait {
        let ready = &machine["States"][format!("{name} ready?")];
        targets.extend(ready["Choices"][0]["Next"].as_str());
    } else {
        let choices = state["Choices"].as_array().into_iter().flatten();
        targets.extend(choices.filter_map(|it| it["Next"].as_str()));
        targets.extend(state["Next"].as_str());
        targets.extend(state["Default"].as_str());
    }
    let rest = targets
        .into_iter()
        .map(|next| longest_path(machine, next, on_path))
        .max();
    on_path.pop();
    longest_stay(state, is_wait) + rest.unwrap_or_default()
}

fn longest_stay(state: &Value, is_wait: bool) -> u64 {
    let branches = state["Branches"].as_array().into_iter().flatten();
    let branches =
        branches.map(|it| longest_path(it, it["StartAt"].as_str().unwrap(), &mut vec![]));
    // What is limited are the seconds between the invocations; the few calls of an invocation take seconds
    // themselves.
    let wait = if is_wait {
        let limit = limit(state);
        limit.as_secs() + u64::try_from(invocations(limit)).unwrap() * INVOCATION_SECONDS
    } else {
        0
    };
    let seconds = state["Seconds"].as_u64().unwrap_or_default();
    let attempt = state["TimeoutSeconds"].as_u64().unwrap_or_default();
    // As long as all retries of one invocation is no part of a wait, and it may end with those of two more.
    let times = if is_wait { 3 } else { 1 };
    let retries = retries(state, attempt) * times;
    branches.max().unwrap_or_default() + wait + seconds + attempt + retries
}

/// An account that is not ready is waited for once, and not by each Task.
const ACCOUNT_NOT_READY: &str = "AccountNotReady";

fn retries(state: &Value, attempt: u64) -> u64 {
    let retriers = state["Retry"].as_array().into_iter().flatten();
    let retriers = retriers.filter(|it| it["ErrorEquals"][0] != ACCOUNT_NOT_READY);
    retriers.map(|it| of_retrier(it, attempt)).sum()
}

fn of_retrier(retrier: &Value, attempt: u64) -> u64 {
    let number = |name: &str| retrier[name].as_f64().unwrap_or(f64::MAX);
    let attempts = retrier["MaxAttempts"].as_u64().unwrap();
    let mut interval = number("IntervalSeconds");
    let mut total = 0.0;
    for _ in 0..attempts {
        total += interval.min(number("MaxDelaySeconds"));
        interval *= number("BackoffRate");
    }
    let names = retrier["ErrorEquals"].as_array().unwrap();
    let times_out = names.iter().any(|it| it == "States.Timeout");
    let lost = if times_out { attempts * attempt } else { 0 };
    Duration::from_secs_f64(total).as_secs() + lost
}

/// What an answer is late by is told from other reasons by how long such retries can last.
#[test]
fn functions_know_how_long_their_tasks_are_retried() {
    for name in ["provision", "teardown", "fleet"] {
        for (state, task) in waiting(&definition(name)) {
            let attempt = task["TimeoutSeconds"].as_u64().unwrap();
            let longest = Duration::from_secs(attempt + retries(task, attempt));
            assert_eq!(limits_of(task).retries, longest, "{name}: {state}");
        }
    }
}

/// The machine's own time-out is for what nobody thought of: it leaves no cause.
#[test]
fn a_machine_outlasts_everything_in_it() {
    let hours = |seconds: u64| Duration::from_secs(seconds).as_secs_f64() / 3600.0;
    let mut time_outs = BTreeMap::new();
    for (name, first) in [("teardown", "Target"), ("provision", "Plan")] {
        let machine = definition(name);
        let retriers = machine["States"][first]["Retry"].as_array().unwrap();
        let not_ready = retriers
            .iter()
            .find(|it| it["ErrorEquals"][0] == ACCOUNT_NOT_READY);
        let longest = longest_path(&machine, machine["StartAt"].as_str().unwrap(), &mut vec![])
            + of_retrier(not_ready.unwrap(), 0);
        let limit = machine["TimeoutSeconds"].as_u64().unwrap();
        println!("{name}: {:.1} h of {:.1} h", hours(longest), hours(limit));
        assert!(longest < limit, "{name}: {longest} s of {limit} s");
        time_outs.insert(name, limit);
    }
    let provision = definition("provision");
    let task = &provision["States"]["Teardown"]["TimeoutSeconds"];
    assert!(task.as_u64().unwrap() > time_outs["teardown"]);
    for (state, limit) in waits_of(&definition("fleet")) {
        assert!(limit.as_secs() > time_outs["provision"], "{state}");
        let fleet = definition("fleet")["TimeoutSeconds"].as_u64().unwrap();
        assert!(limit.as_secs() < fleet, "{state}");
    }
}
