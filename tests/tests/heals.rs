//! A run heals what an earlier one left behind, or what somebody made again under an old name.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::State;
use simulator::eks::Cluster;
use tests::world::{ACCOUNT, region, small_input};
use tests::{World, left};

const ADMIN: &str = "arn:aws:iam::111122223333:role/Admin";

fn world() -> World {
    let world = World::new(5);
    world.prepare_for(&small_input());
    world
}

async fn built() -> World {
    let world = world();
    let execution = world.provision(small_input()).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    tokio::time::sleep(Duration::from_mins(30)).await;
    world
}

fn with_cluster<R>(world: &World, work: impl FnOnce(&mut Cluster) -> R) -> R {
    world
        .simulator
        .change(|state| work(region(state).eks.clusters.get_mut("demo").unwrap()))
}

/// What a dry run says of the resource whose name ends so.
async fn previewed(world: &World, name: &str) -> Value {
    let mut input = small_input();
    input["dryRun"] = json!(true);
    let execution = world.provision(input).await;
    let resources = execution.output()["preview"]["resources"].clone();
    let resources = resources.as_array().unwrap();
    let is_named = |it: &&Value| it["name"].as_str().unwrap().ends_with(name);
    let is_of_eks = |it: &&Value| it["type"].as_str().unwrap().starts_with("AWS::EKS::");
    let found = resources.iter().find(|it| is_of_eks(it) && is_named(it));
    found.unwrap()["change"].clone()
}

/// What was changed since `from`.
fn done(world: &World, from: usize) -> Vec<String> {
    let calls = world.changes().split_off(from).into_iter();
    let calls = calls.filter(|call| call.error.is_none() && call.service != "ssm");
    calls.map(|call| call.action()).collect()
}

#[tokio::test(start_paused = true)]
async fn the_preview_says_what_is_replaced() {
    for (name, fail) in [
        (
            "demo",
            (|state| region(state).eks.fails.clusters = true) as fn(&mut State),
        ),
        ("demo/kube-system", |state| {
            region(state).eks.fails.fargate_profiles = true;
        }),
    ] {
        let world = world();
        world.simulator.change(fail);
        assert!(world.provision(small_input()).await.result.is_err());
        let changes = world.changes().len();
        assert_eq!(previewed(&world, name).await, "replace", "{name}");
        assert_eq!(world.changes().len(), changes);
    }
}

#[tokio::test(start_paused = true)]
async fn a_control_plane_that_was_in_use_is_never_replaced() {
    let world = built().await;
    with_cluster(&world, |cluster| cluster.breaks = true);
    let changes = world.changes().len();
    let mut input = small_input();
    input["dryRun"] = json!(true);
    let [preview, execution] = [
        world.provision(input).await,
        world.provision(small_input()).await,
    ];
    let (preview, failure) = (preview.failure(), execution.failure());
    assert_eq!(failure.error, "ResourceFailed");
    assert_eq!(preview.error, failure.error);
    let reason = failure.cause.strip_prefix("Cluster: ");
    assert!(reason.is_some(), "{}", failure.cause);
    assert!(preview.cause.ends_with(reason.unwrap()), "{preview:?}");
    assert_eq!(done(&world, changes), [""; 0]);
}

/// Whether EKS' tokens outlive what they made nobody knows, so both have to do.
#[tokio::test(start_paused = true)]
async fn cluster_that_was_torn_down_is_built_again_on_the_same_day_whatever_a_token_means_then() {
    for outlive in [false, true] {
        let world = world();
        world
            .simulator
            .change(|state| region(state).eks.tokens_outlive_resources = outlive);
        for _ in 0..2 {
            let execution = world.provision(small_input()).await;
            assert!(execution.result.is_ok(), "{}", execution.timeline());
            assert!(world.coredns_runs("demo"));
            let teardown = world.tear_down(json!({"clusterName": "demo"})).await;
            assert!(teardown.result.is_ok(), "{}", teardown.timeline());
            assert_eq!(left::everything(&world.simulator.state(), ACCOUNT), [""; 0]);
        }
    }
}

/// A profile that somebody deletes by hand, to have it made with other selectors.
#[tokio::test(start_paused = true)]
async fn a_changed_profile_is_made_as_asked_and_not_as_an_old_token_remembers_it() {
    let world = world();
    world
        .simulator
        .change(|state| region(state).eks.tokens_outlive_resources = true);
    let profile = |namespace: &str| {
        let selectors = json!([{"namespace": "kube-system"}, {"namespace": namespace}]);
        let mut input = small_input();
        input["fargateProfiles"] = json!([{"name": "pods", "selectors": selectors}]);
        input
    };
    let execution = world.provision(profile("default")).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    tokio::time::sleep(Duration::from_mins(30)).await;
    let call = world.aws().eks().delete_fargate_profile();
    let call = call.cluster_name("demo").fargate_profile_name("pods");
    call.send().await.unwrap();
    tokio::time::sleep(Duration::from_mins(5)).await;
    let execution = world.provision(profile("apps")).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    let namespaces = with_cluster(&world, |cluster| {
        let selectors = cluster.fargate_profiles["pods"].selectors.iter();
        selectors.map(|it| it.namespace.clone()).collect::<Vec<_>>()
    });
    assert_eq!(namespaces, ["kube-system", "apps"]);
}

#[tokio::test(start_paused = true)]
async fn an_administrators_role_that_was_made_again_gets_its_access_back() {
    let world = built().await;
    world.simulator.change(|state| {
        let roles = &mut state.accounts.get_mut(ACCOUNT).unwrap().iam.roles;
        assert!(roles.remove("admin").is_some());
    });
    let trust = State::organization_trust(ACCOUNT);
    let call = world.aws().iam().create_role().role_name("Admin");
    let call = call.assume_role_policy_document(trust);
    call.send().await.unwrap();
    tokio::time::sleep(Duration::from_hours(1)).await;
    let born = world.simulator.now();

    let target = functions::model::Plan::example().target;
    let report = functions::verify::examine(&world.aws(), &target)
        .await
        .unwrap();
    let ids: Vec<&str> = report.findings.iter().map(|it| it.id).collect();
    assert_eq!(ids, ["user-access-entry-stale"]);
    assert_eq!(previewed(&world, "role/Admin").await, "replace");

    let changes = world.changes().len();
    let execution = world.provision(small_input()).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    assert_eq!(
        done(&world, changes),
        [
            "eks:DeleteAccessEntry",
            "eks:CreateAccessEntry",
            "eks:AssociateAccessPolicy"
        ]
    );
    with_cluster(&world, |cluster| {
        let entry = &cluster.access_entries[ADMIN];
        assert!(entry.created_at >= born);
        assert_eq!(entry.policies.len(), 1);
    });
    let report = functions::verify::examine(&world.aws(), &target)
        .await
        .unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);

    // Once more changes nothing.
    let changes = world.changes().len();
    assert!(world.provision(small_input()).await.result.is_ok());
    assert_eq!(done(&world, changes), [""; 0]);
    assert_eq!(previewed(&world, "role/Admin").await, "keep");
}

#[tokio::test(start_paused = true)]
async fn a_pod_execution_role_that_was_deleted_is_made_again_with_its_access_entry() {
    let world = built().await;
    world.simulator.change(|state| {
        let roles = &mut state.accounts.get_mut(ACCOUNT).unwrap().iam.roles;
        let before = roles.len();
        roles.retain(|name, _| !name.ends_with("-pod-execution"));
        assert_eq!(roles.len() + 1, before);
    });
    let execution = world.provision(small_input()).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    let target = functions::model::Plan::example().target;
    let report = functions::verify::examine(&world.aws(), &target)
        .await
        .unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    // Neither this entry nor EKS' own is taken for a former administrator's.
    let changes = world.changes().len();
    assert!(world.provision(small_input()).await.result.is_ok());
    assert_eq!(done(&world, changes), [""; 0]);
}
