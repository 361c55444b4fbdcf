//! The deployed functions when the wire is bad: a proxy between them and the simulated AWS answers
//! errors, cuts connections, loses answers and holds requests back.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::time::Instant;

use hardway::execution::Ended;
use hardway::local::{Laptop, Options};
use serde_json::{Value, json};
use simulator::State;
use tests::proxy::{Proxy, often, rule};
use tests::world::{ACCOUNT, REGION, World};
use tests::{left, many, project};

/// Four minutes of AWS are a second: most of the time goes into the SDK's pauses between its tries,
/// which are of real seconds.
const SPEED: f64 = 240.0;

/// A way in which the wire is bad.
struct Trouble {
    /// Its name, which is the cluster's as well.
    name: &'static str,
    /// What the proxy does.
    rules: Vec<Value>,
    /// How it calls what it has done.
    action: &'static str,
}

fn troubles() -> [Trouble; 4] {
    let unavailable = json!({"error": {"code": "ServiceUnavailable", "status": 503}});
    let lost = json!({"response": {"abort_frac": 0.5}});
    [
        Trouble {
            name: "error",
            rules: often(&unavailable),
            action: "error:",
        },
        Trouble {
            name: "reset",
            rules: often(&json!({"reset": true})),
            action: "reset",
        },
        Trouble {
            name: "lost-answer",
            rules: often(&lost),
            action: "response:abort",
        },
        Trouble {
            name: "latency",
            rules: held_back(),
            action: "latency:",
        },
    ]
}

/// Many requests are a little late, and a few are held back for longer than the functions wait (ten
/// seconds of real time), so that they arrive after their own repetition.
///
/// Only what AWS tells from its repetition, by a client token or by a name, is held back so long: what
/// such a late CreateVpc makes, after its step has looked for the last time, nobody can find.
fn held_back() -> Vec<Value> {
    let too_late = ["CreateCluster", "CreateNatGateway", "DeleteCluster"].map(|operation| {
        let first = json!({"operation": operation, "times": 1});
        rule(&first, &json!({"latency": 11_000}))
    });
    let late = often(&json!({"latency": 200}));
    too_late.into_iter().chain(late).collect()
}

async fn laptop_behind_a_proxy() -> (Laptop, Proxy) {
    let mut proxy = None;
    let options = Options {
        speed: SPEED,
        ..Options::default()
    };
    let laptop = Laptop::start_through(options, async |simulator| {
        let started = Proxy::start(simulator).await;
        let endpoint = started.endpoint().to_owned();
        proxy = Some(started);
        Ok(endpoint)
    });
    (laptop.await.unwrap(), proxy.unwrap())
}

/// Runs an execution while the proxy makes trouble, which spares no operation that changes something.
async fn disturbed<E: Debug>(
    laptop: &Laptop,
    proxy: &Proxy,
    trouble: &Trouble,
    run: impl Future<Output = Result<Ended, E>>,
) -> Value {
    proxy.inject(&trouble.rules).await;
    let (start, before) = (Instant::now(), laptop.simulator().calls().len());
    let ended = run.await.unwrap();
    let took = start.elapsed();
    let calls = laptop.simulator().calls().split_off(before);
    let faults = proxy.injected().await;
    println!(
        "{}: {} calls, {} faults, {:.1} s",
        trouble.name,
        calls.len(),
        faults.len(),
        took.as_secs_f64()
    );
    let is_meant = |action: &str| action.starts_with(trouble.action);
    assert!(faults.iter().all(|it| is_meant(&it.action)), "{faults:#?}");
    let hit: BTreeSet<&str> = faults.iter().map(|it| it.operation.as_str()).collect();
    let changes = calls.iter().filter(|call| !call.is_read_only());
    let changes: BTreeSet<&str> = changes.map(|call| call.operation.as_str()).collect();
    assert!(!changes.is_empty());
    assert!(changes.is_subset(&hit), "{changes:?} {hit:?}");
    ended.output().unwrap().clone()
}

/// How many resources of each kind there are.
fn resources(state: &State) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for thing in left::everything(state, ACCOUNT) {
        let kind = thing.rsplit_once(' ').unwrap().0.to_owned();
        *counts.entry(kind).or_default() += 1;
    }
    let eks = &state.accounts[ACCOUNT].regions[REGION].eks;
    let clusters = || eks.clusters.values();
    let profiles = clusters().map(|cluster| cluster.fargate_profiles.len());
    counts.insert("profiles".to_owned(), profiles.sum());
    let addons = clusters().map(|cluster| cluster.addons.len());
    counts.insert("add-ons".to_owned(), addons.sum());
    counts
}

/// What a run leaves that nothing disturbs.
fn resources_when_undisturbed(input: &Value) -> BTreeMap<String, usize> {
    let run = async |_, input: &Value| {
        let world = World::new(1);
        let execution = world.provision(input.clone()).await;
        assert!(execution.result.is_ok(), "{}", execution.timeline());
        resources(&world.simulator.state())
    };
    let mut resources = many::each(std::slice::from_ref(input), run).remove(0);
    let some = [
        ("vpcs", 1),
        ("subnets", 4),
        ("internet_gateways", 1),
        ("addresses", 1),
        ("nat_gateways", 1),
        ("route_tables", 4),
        ("roles", 2),
        ("clusters", 1),
        ("profiles", 2),
        ("add-ons", 1),
    ];
    assert_eq!(some.map(|(kind, _)| (kind, resources[kind])), some);
    // The registry's: on a laptop another AWS has it.
    resources.remove("parameters");
    resources
}

/// One test, because a laptop takes seconds to start.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_built_once_and_removed_without_a_trace_however_bad_the_wire_is() {
    let mut input = project::read_json("statemachine/examples/cheap.json");
    let undisturbed = resources_when_undisturbed(&input);
    let (laptop, proxy) = laptop_behind_a_proxy().await;
    let state = || laptop.simulator().state();
    for trouble in troubles() {
        input["clusterName"] = json!(trouble.name);

        let built = disturbed(&laptop, &proxy, &trouble, laptop.execute(&input)).await;
        assert_eq!(built["coredns"]["status"], "ACTIVE");
        assert_eq!(resources(&state()), undisturbed, "{}", trouble.name);

        let destroyed = disturbed(&laptop, &proxy, &trouble, laptop.destroy(&input)).await;
        assert_eq!(destroyed["receipt"]["left"], json!([]));
        assert_eq!(left::everything(&state(), ACCOUNT), [""; 0]);
    }
}
