//! Many faults at once, drawn from a seed: eventual consistency at its worst, two executions at the same
//! time, an execution stopped anywhere and started anew, drift made by hand between two runs.
//!
//! `make soak SEEDS=1000` tries more of them. A seed that fails is printed with what happened, and is
//! kept in [`REGRESSIONS`].

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::time::Duration;

use jiff::Timestamp;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use simulator::iam::EventuallyConsistent;
use simulator::{Faults, State};
use tests::faults::Script;
use tests::world::{ACCOUNT, region, small_input};
use tests::{Execution, World, graph, many};

/// How many storms `cargo test` tries.
const SEEDS: u64 = 200;
/// Seeds that failed once.
const REGRESSIONS: &[u64] = &[];
/// The share of calls and Tasks that go wrong.
const SHARE: f64 = 0.04;
/// How many calls and Tasks a storm lasts.
const ENDS_AFTER: usize = 150;

/// Eventual consistency at its worst.
fn inconsistent(rng: &mut ChaCha8Rng) -> Faults {
    Faults {
        ec2_id_lag_seconds: rng.random_range(0.0..20.0),
        ec2_list_lag_seconds: rng.random_range(0.0..60.0),
        eks_lag_seconds: rng.random_range(0.0..30.0),
        eks_client_exception_share: 0.5,
        eks_other_words_share: 0.5,
        iam_lag_seconds: rng.random_range(5.0..120.0),
        nat_gateway_failure_share: 0.1,
        ..Faults::default()
    }
}

/// Lists that two executions at once can live with: each sees the other's VPC before it uses its own.
fn mildly_inconsistent(rng: &mut ChaCha8Rng) -> Faults {
    Faults {
        ec2_id_lag_seconds: rng.random_range(0.0..5.0),
        ec2_list_lag_seconds: rng.random_range(0.0..15.0),
        eks_lag_seconds: rng.random_range(0.0..10.0),
        ..Faults::default()
    }
}

/// A storm: what happened, for a person, and the executions that have to succeed.
struct Storm {
    world: World,
    rng: ChaCha8Rng,
    story: Vec<String>,
}

impl Storm {
    fn new(seed: u64) -> Self {
        let world = World::new(seed);
        world.prepare_for(&small_input());
        world.follow(Script::storm(seed, SHARE, ENDS_AFTER));
        Self {
            world,
            rng: ChaCha8Rng::seed_from_u64(seed),
            story: vec![],
        }
    }

    fn faults(&mut self, faults: Faults) {
        self.story.push(format!("{faults:?}"));
        self.world.simulator.change(|state| state.faults = faults);
    }

    fn keep(&mut self, execution: &Execution) -> Result<(), String> {
        self.story.push(execution.timeline());
        match &execution.result {
            Ok(_) => Ok(()),
            Err(failure) => Err(format!("{}: {}", failure.error, failure.cause)),
        }
    }

    async fn one_execution(&mut self) -> Result<(), String> {
        let faults = inconsistent(&mut self.rng);
        self.faults(faults);
        let execution = self.world.provision(small_input()).await;
        self.keep(&execution)
    }

    async fn two_at_once(&mut self) -> Result<(), String> {
        let faults = mildly_inconsistent(&mut self.rng);
        self.faults(faults);
        let late = Duration::from_millis(self.rng.random_range(0..600_000));
        let world = &self.world;
        let second = async {
            tokio::time::sleep(late).await;
            world.provision_as("second", small_input()).await
        };
        let (first, second) = tokio::join!(world.provision_as("first", small_input()), second);
        self.story
            .push(format!("the second one starts after {late:?}"));
        self.keep(&first)?;
        self.keep(&second)
    }

    async fn stopped_and_started_anew(&mut self) -> Result<(), String> {
        let faults = inconsistent(&mut self.rng);
        self.faults(faults);
        for number in 1..=2 {
            let at = Duration::from_millis(self.rng.random_range(0..900_000));
            let name = format!("stopped-{number}");
            let run = self.world.provision_as(&name, small_input());
            let stopped = tokio::time::timeout(at, run).await.is_err();
            self.story.push(format!("stopped after {at:?}: {stopped}"));
        }
        let execution = self.world.provision_as("last", small_input()).await;
        self.keep(&execution)
    }

    async fn drift_between_two_runs(&mut self) -> Result<(), String> {
        let first = self.world.provision_as("first", small_input()).await;
        self.keep(&first)?;
        for _ in 0..self.rng.random_range(1..=3) {
            let (what, drift) = DRIFTS.choose(&mut self.rng).unwrap();
            self.story.push(format!("by hand: {what}"));
            self.world.simulator.change(drift);
        }
        let faults = mildly_inconsistent(&mut self.rng);
        self.faults(faults);
        let second = self.world.provision_as("second", small_input()).await;
        self.keep(&second)
    }
}

type Drift = fn(&mut State);

/// What a person may do to a cluster between two runs.
const DRIFTS: &[(&str, Drift)] = &[
    ("a route is deleted", |state| {
        let tables = region(state).ec2.route_tables.values_mut();
        tables
            .filter(|table| !table.tags.is_empty())
            .for_each(|table| table.routes.retain(|it| it.destination.prefix_len() > 0));
    }),
    ("DNS hostnames are turned off", |state| {
        region(state)
            .ec2
            .vpcs
            .values_mut()
            .for_each(|vpc| vpc.dns_hostnames = false);
    }),
    ("DNS support is turned off", |state| {
        region(state).ec2.vpcs.values_mut().for_each(|vpc| {
            vpc.dns_hostnames = false;
            vpc.dns_support = false;
        });
    }),
    ("a trust policy is edited", |state| {
        let iam = &mut state.accounts.get_mut(ACCOUNT).unwrap().iam;
        let roles = iam.roles.values_mut();
        roles
            .filter(|role| role.name.starts_with("hardway-"))
            .for_each(|role| {
                role.trust = old(r#"{"Version":"2012-10-17","Statement":[]}"#.to_owned());
            });
    }),
    ("a managed policy is detached", |state| {
        let iam = &mut state.accounts.get_mut(ACCOUNT).unwrap().iam;
        let roles = iam.roles.values_mut();
        roles
            .filter(|role| role.name.starts_with("hardway-"))
            .for_each(|role| role.managed = old(BTreeSet::new()));
    }),
    ("a tag for load balancers is removed", |state| {
        region(state).ec2.subnets.values_mut().for_each(|subnet| {
            subnet
                .tags
                .retain(|key, _| !key.starts_with("kubernetes.io/"));
        });
    }),
];

/// A part of a role that everybody has seen for long.
fn old<T: Clone>(value: T) -> EventuallyConsistent<T> {
    EventuallyConsistent::new(value, Timestamp::UNIX_EPOCH)
}

/// What there is when nothing goes wrong.
fn expected() -> BTreeMap<String, Value> {
    many::one(async || {
        let world = World::new(1);
        world.prepare_for(&small_input());
        let execution = world.provision(small_input()).await;
        assert!(execution.result.is_ok(), "{}", execution.timeline());
        graph::of(&world.simulator.state(), ACCOUNT).unwrap()
    })
}

/// What is wrong after the storm with this seed.
async fn weather_out(seed: u64, expected: &BTreeMap<String, Value>) -> Option<String> {
    let mut storm = Storm::new(seed);
    let ended = match seed % 4 {
        0 => storm.one_execution().await,
        1 => storm.two_at_once().await,
        2 => storm.stopped_and_started_anew().await,
        _ => storm.drift_between_two_runs().await,
    };
    // What EC2 and EKS do late, they do now.
    tokio::time::sleep(Duration::from_mins(90)).await;
    let problem =
        ended.err().or_else(
            || match graph::of(&storm.world.simulator.state(), ACCOUNT) {
                Err(double) => Some(double),
                Ok(_) if !storm.world.coredns_runs("demo") => {
                    Some("CoreDNS does not run".to_owned())
                }
                Ok(graph) => {
                    let difference = graph::difference(expected, &graph);
                    (!difference.is_empty()).then(|| difference.join("\n"))
                }
            },
        );
    problem.map(|problem| {
        let log = storm.world.script().log().join("\n");
        format!("seed {seed}: {problem}\n{log}\n{}", storm.story.join("\n"))
    })
}

#[test]
fn the_cluster_is_as_planned_after_every_storm() {
    let number =
        |name: &str, default: u64| env::var(name).map_or(default, |text| text.parse().unwrap());
    let first = number("FIRST_SEED", 1);
    let mut seeds: Vec<u64> = (first..first + number("SEEDS", SEEDS)).collect();
    seeds.extend(REGRESSIONS);
    let expected = expected();
    let problems = many::each(&seeds, async |_, seed| weather_out(*seed, &expected).await);
    let problems: Vec<String> = problems.into_iter().flatten().collect();
    println!(
        "{} storms, {} converged",
        seeds.len(),
        seeds.len() - problems.len()
    );
    for problem in &problems {
        println!("{}", problem.lines().next().unwrap_or_default());
    }
    assert!(
        problems.is_empty(),
        "{} of {} seeds; the first:\n{}",
        problems.len(),
        seeds.len(),
        problems[0]
    );
}
