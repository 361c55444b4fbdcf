//! Upgrades of a cluster that exists: whole runs over the real machine and handlers, with CoreDNS watched
//! in every second of them.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::eks::Cluster;
use tests::faults::{Script, Trouble};
use tests::world::{ACCOUNT, Moment, REGION, region, workload};
use tests::{Execution, World, many};

const SEED: u64 = 31;

fn input(version: &str) -> Value {
    json!({
        "clusterName": "demo",
        "kubernetesVersion": version,
        "network": {"availabilityZones": 2, "natGateways": "single"},
    })
}

/// A world in which a cluster of the version has been for a while.
async fn world(version: &str) -> World {
    let world = World::new(SEED);
    let execution = world.provision(input(version)).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    tokio::time::sleep(Duration::from_hours(1)).await;
    world
}

fn with_cluster<R>(world: &World, work: impl FnOnce(&mut Cluster) -> R) -> R {
    world.simulator.change(|state| {
        let clusters = &mut region(state).eks.clusters;
        work(clusters.get_mut("demo").unwrap())
    })
}

/// Looks at CoreDNS in every second, for ever: at least one pod runs on Fargate, and none is one that
/// Fargate does not take.
async fn watch_coredns(world: &World) {
    loop {
        let view = world.simulator.kubernetes(ACCOUNT, REGION, "demo").unwrap();
        let is_on_fargate = |node: &Option<String>| {
            node.as_ref()
                .is_some_and(|name| name.starts_with("fargate-ip-"))
        };
        let mut coredns = view
            .pods
            .iter()
            .filter(|pod| pod.name.starts_with("coredns-"));
        let serves = coredns.any(|pod| pod.ready == "1/1" && is_on_fargate(&pod.node));
        assert!(
            serves,
            "CoreDNS is down at {}: {view:#?}",
            world.simulator.now()
        );
        with_cluster(world, |cluster| {
            let pods = &cluster.coredns.as_ref().unwrap().pods;
            assert!(pods.iter().all(|pod| pod.profile.is_some()), "{pods:#?}");
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// A run in every second of which CoreDNS serves.
async fn provision(world: &World, input: Value) -> Execution {
    tokio::select! {
        execution = world.provision(input) => execution,
        () = watch_coredns(world) => unreachable!("the watch has no end"),
    }
}

/// What a run changed, as the actions that EKS took.
fn changes(world: &World, since: usize) -> Vec<String> {
    let calls = world.changes().into_iter().skip(since);
    let taken = calls.filter(|call| call.error.is_none());
    taken.map(|call| call.action()).collect()
}

/// The minor versions of all kubelets: `v1.36`.
fn kubelets(world: &World) -> Vec<String> {
    let view = world.simulator.kubernetes(ACCOUNT, REGION, "demo").unwrap();
    let minor = |version: String| version.rsplitn(2, '.').last().unwrap().to_owned();
    view.nodes
        .into_iter()
        .map(|node| minor(node.version))
        .collect()
}

/// A pod of somebody's whose kubelet is of that Kubernetes version.
fn run_workload(world: &World, kubernetes: &str) {
    with_cluster(world, |cluster| {
        cluster.workloads = vec![workload(kubernetes)];
    });
}

#[tokio::test(start_paused = true)]
async fn the_next_version_is_reached_with_coredns_on_fargate_throughout() {
    let world = world("1.35").await;
    let before = world.changes().len();
    let old = with_cluster(&world, |cluster| cluster.arn.clone());
    assert_eq!(kubelets(&world), ["v1.35", "v1.35"]);

    let execution = provision(&world, input("1.36")).await;
    let output = execution.output();
    assert_eq!(output["kubernetesVersion"], "1.36");
    assert_eq!(output["clusterArn"], old);
    assert_eq!(output["coredns"]["status"], "ACTIVE");
    assert!(world.coredns_runs("demo"));
    // The next upgrade finds no old kubelet of ours.
    assert_eq!(kubelets(&world), ["v1.36", "v1.36"]);
    assert_eq!(
        changes(&world, before),
        ["eks:UpdateClusterVersion", "eks:UpdateAddon"]
    );
    println!(
        "an upgrade took {:.1} minutes",
        execution.duration.as_secs_f64() / 60.0
    );

    // Once more changes nothing.
    let before = world.changes().len();
    let again = provision(&world, input("1.36")).await;
    assert_eq!(again.output(), output);
    assert_eq!(changes(&world, before), [""; 0]);
    assert!(
        again.duration < Duration::from_secs(10),
        "{:?}",
        again.duration
    );
}

#[tokio::test(start_paused = true)]
async fn two_versions_are_two_runs_with_coredns_on_fargate_throughout() {
    let world = world("1.34").await;
    let before = world.changes().len();
    let first = provision(&world, input("1.35")).await;
    assert_eq!(first.output()["kubernetesVersion"], "1.35");
    // The default of 1.34 does not run on 1.35: CoreDNS is updated before the control plane and, for the
    // sake of its kubelets, after it.
    assert_eq!(
        changes(&world, before),
        [
            "eks:UpdateAddon",
            "eks:UpdateClusterVersion",
            "eks:UpdateAddon"
        ]
    );
    // At once: EKS is still at work, shows nothing of it, and is waited for.
    let second = provision(&world, input("1.36")).await;
    assert_eq!(second.output()["kubernetesVersion"], "1.36");
    assert_eq!(kubelets(&world), ["v1.36", "v1.36"]);
    let refused = world.changes().into_iter();
    let refused = refused.filter(|call| call.error.as_deref() == Some("ResourceInUseException"));
    assert!(refused.count() > 0, "{}", second.timeline());
}

#[tokio::test(start_paused = true)]
async fn without_a_version_a_cluster_keeps_its_own() {
    let world = world("1.35").await;
    let before = world.changes().len();
    let mut wish = input("1.35");
    wish.as_object_mut().unwrap().remove("kubernetesVersion");
    let execution = provision(&world, wish).await;
    assert_eq!(execution.output()["kubernetesVersion"], "1.35");
    assert_eq!(changes(&world, before), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn leaps_are_refused_and_change_nothing() {
    let world = world("1.34").await;
    let before = world.changes().len();
    let execution = provision(&world, input("1.36")).await;
    let failure = execution.failure();
    assert_eq!(failure.error, "InvalidRequest", "{}", failure.cause);
    assert!(failure.cause.starts_with("Plan: "), "{}", failure.cause);
    let says = "1.35, the next version: the cluster runs 1.34";
    assert!(failure.cause.contains(says), "{}", failure.cause);
    assert_eq!(world.changes().len(), before);
}

/// The end of standard support: EKS upgrades the cluster, and the input still has the old version.
#[tokio::test(start_paused = true)]
async fn a_cluster_that_eks_has_upgraded_is_repaired_and_keeps_its_version() {
    let world = world("1.35").await;
    with_cluster(&world, |cluster| "1.36".clone_into(&mut cluster.version));
    let mut wish = input("1.35");
    wish["dryRun"] = json!(true);
    let preview = provision(&world, wish).await;
    let notes = preview.output()["preview"]["notes"].to_string();
    assert!(notes.contains("it keeps Kubernetes 1.36"), "{notes}");
    let before = world.changes().len();
    let execution = provision(&world, input("1.35")).await;
    assert_eq!(execution.output()["kubernetesVersion"], "1.36");
    // CoreDNS follows, and the control plane is left alone.
    assert_eq!(changes(&world, before), ["eks:UpdateAddon"]);
    let before = world.changes().len();
    let again = provision(&world, input("1.35")).await;
    assert_eq!(again.output(), execution.output());
    assert_eq!(changes(&world, before), [""; 0]);
}

/// Waits until the cluster is as wanted.
async fn until(world: &World, is_so: fn(&Cluster) -> bool) {
    while !with_cluster(world, |cluster| is_so(cluster)) {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_that_was_interrupted_goes_on_in_the_next_run() {
    let moments: [fn(&Cluster) -> bool; 3] = [
        |cluster| !cluster.updates.is_empty(),
        |cluster| cluster.version == "1.36",
        |cluster| {
            cluster
                .updates
                .iter()
                .any(|update| update.kind == "AddonUpdate")
        },
    ];
    for moment in moments {
        let world = world("1.35").await;
        let before = world.changes().len();
        tokio::select! {
            execution = provision(&world, input("1.36")) => {
                panic!("it was not interrupted\n{}", execution.timeline())
            }
            () = until(&world, moment) => {}
        }
        let execution = provision(&world, input("1.36")).await;
        assert_eq!(execution.output()["kubernetesVersion"], "1.36");
        assert_eq!(kubelets(&world), ["v1.36", "v1.36"]);
        assert_eq!(
            changes(&world, before),
            ["eks:UpdateClusterVersion", "eks:UpdateAddon"]
        );
    }
}

/// The whole of an upgrade in which CoreDNS is updated before and after, with a fault at one of its calls.
async fn upgrade_with(moment: &Moment, script: Script) -> (World, Execution) {
    let world = World::resume(SEED, moment);
    world.follow(script);
    let execution = world.provision(input("1.35")).await;
    (world, execution)
}

#[test]
fn an_answer_that_is_lost_at_whichever_call_upgrades_nothing_twice() {
    let moment = many::one(async || Moment::of(&world("1.34").await.simulator));
    let calls = many::one(async || {
        let (world, execution) = upgrade_with(&moment, Script::calm()).await;
        assert!(execution.result.is_ok(), "{}", execution.timeline());
        world.script().counts().0
    });
    let troubles = [Trouble::AnswerLost, Trouble::FunctionKilled];
    let cases: Vec<_> = (0..calls)
        .flat_map(|number| troubles.map(|trouble| (number, trouble)))
        .collect();
    let problems = many::each(&cases, async |_, (number, trouble)| {
        let script = Script::with_call(*number, *trouble);
        let (world, execution) = upgrade_with(&moment, script).await;
        let kinds = with_cluster(&world, |cluster| {
            let updates = cluster.updates.iter();
            updates
                .map(|update| update.kind.clone())
                .collect::<Vec<_>>()
        });
        let expected = ["AddonUpdate", "VersionUpdate", "AddonUpdate"];
        let is_right = execution.result.is_ok()
            && kinds == expected
            && kubelets(&world) == ["v1.35", "v1.35"]
            && world.coredns_runs("demo");
        (!is_right).then(|| format!("{number}, {trouble:?}: {kinds:?}\n{}", execution.timeline()))
    });
    let problems: Vec<String> = problems.into_iter().flatten().collect();
    println!("{} lost answers at {calls} calls", cases.len());
    assert!(
        problems.is_empty(),
        "{} problems, the first: {}",
        problems.len(),
        problems[0]
    );
}

#[tokio::test(start_paused = true)]
async fn a_pod_with_an_old_kubelet_is_named_before_anything_changes() {
    let world = world("1.35").await;
    run_workload(&world, "1.32");
    let before = changes(&world, 0);
    // EKS has not looked since: it is EKS that refuses.
    let failure = provision(&world, input("1.36")).await.result.unwrap_err();
    assert_eq!(failure.error, "ResourceConflict", "{}", failure.cause);
    assert!(failure.cause.starts_with("Cluster: "), "{}", failure.cause);
    assert!(
        failure.cause.contains("Kubelet version of Fargate pods"),
        "{}",
        failure.cause
    );
    // A day later the insight names the node, and the plan refuses.
    tokio::time::sleep(Duration::from_hours(24)).await;
    let failure = provision(&world, input("1.36")).await.result.unwrap_err();
    assert_eq!(failure.error, "ResourceConflict", "{}", failure.cause);
    assert!(failure.cause.starts_with("Plan: "), "{}", failure.cause);
    assert!(
        failure.cause.contains("fargate-ip-10-100-1-9"),
        "{}",
        failure.cause
    );
    assert!(
        failure.cause.contains("kubectl rollout restart"),
        "{}",
        failure.cause
    );
    assert_eq!(changes(&world, 0), before);
    // The pod is made anew, EKS looks again, and nothing is in the way.
    run_workload(&world, "1.35");
    tokio::time::sleep(Duration::from_hours(24)).await;
    let execution = provision(&world, input("1.36")).await;
    assert_eq!(execution.output()["kubernetesVersion"], "1.36");
    // Other people's pods are theirs to restart.
    let mut kubelets = kubelets(&world);
    kubelets.sort();
    assert_eq!(kubelets, ["v1.35", "v1.36", "v1.36"]);
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_that_fails_is_reported_and_the_next_run_tries_anew() {
    let world = world("1.35").await;
    let before = world.changes().len();
    let fail = |on: bool| {
        world
            .simulator
            .change(|state| region(state).eks.fails.updates = on);
    };
    fail(true);
    let failure = provision(&world, input("1.36")).await.result.unwrap_err();
    assert_eq!(failure.error, "ResourceFailed", "{}", failure.cause);
    for part in [
        "Cluster: ",
        "Kubernetes 1.36",
        "Failed",
        "An internal error has occurred",
    ] {
        assert!(failure.cause.contains(part), "{part}: {}", failure.cause);
    }
    assert_eq!(changes(&world, before), ["eks:UpdateClusterVersion"]);
    let version = with_cluster(&world, |cluster| cluster.version.clone());
    assert_eq!(version, "1.35");
    fail(false);
    let execution = provision(&world, input("1.36")).await;
    assert_eq!(execution.output()["kubernetesVersion"], "1.36");
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_configuration_that_fails_is_reported_and_not_repeated() {
    let world = world("1.35").await;
    let before = world.changes().len();
    world
        .simulator
        .change(|state| region(state).eks.fails.updates = true);
    let mut wish = input("1.35");
    wish["deletionProtection"] = json!(true);
    let execution = provision(&world, wish).await;
    let failure = execution.failure();
    assert_eq!(failure.error, "ResourceFailed", "{}", failure.cause);
    assert!(
        failure
            .cause
            .contains("(deletion protection true) is Failed"),
        "{}",
        failure.cause
    );
    assert_eq!(changes(&world, before), ["eks:UpdateClusterConfig"]);
    assert!(
        execution.duration < Duration::from_mins(5),
        "{:?}",
        execution.duration
    );
}

/// Before this version of hardway the pods did not say which Kubernetes version they were made for.
#[tokio::test(start_paused = true)]
async fn coredns_that_does_not_say_what_it_was_made_for_is_rolled_out_once() {
    let world = world("1.35").await;
    with_cluster(&world, |cluster| {
        let addon = cluster.addons.get_mut("coredns").unwrap();
        let text = addon.configuration.clone().unwrap();
        let mut configuration: Value = serde_json::from_str(&text).unwrap();
        let annotations = configuration["podAnnotations"].as_object_mut().unwrap();
        annotations
            .remove("hardway.dev/kubernetes-version")
            .unwrap();
        addon.configuration = Some(configuration.to_string());
    });
    for expected in [&["eks:UpdateAddon"][..], &[]] {
        let before = world.changes().len();
        let execution = provision(&world, input("1.35")).await;
        assert!(execution.result.is_ok(), "{}", execution.timeline());
        assert_eq!(changes(&world, before), expected);
    }
}
