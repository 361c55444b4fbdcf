//! Unit tests of the step.

use jiff::Timestamp;
use serde_json::{Value, json};
use simulator::eks::Addon;
use simulator::eks::addon::Phase;
use simulator::eks::fargate_profile::Selector;

use super::*;
use crate::resources::coredns::{KUBERNETES_ANNOTATION, PROFILE_ANNOTATION};
use crate::testing::{World, wait};

/// The default version of the add-on for Kubernetes 1.36, which the plan's cluster has.
const VERSION: &str = "v1.14.3-eksbuild.23";
/// One that runs on it, too.
const OLDER: &str = "v1.14.1-eksbuild.1";
/// One that does not.
const OUTDATED: &str = "v1.12.3-eksbuild.1";
/// What EKS says of an add-on whose pods do not run, and of one whose pods do.
const NO_PODS: &str = "InsufficientNumberOfReplicas: The add-on is unhealthy because all deployments \
                       have all pods unscheduled no nodes available to schedule pods";
const UNHEALTHY: &str = "InsufficientNumberOfReplicas: The add-on is unhealthy because it doesn't have \
                         the desired number of replicas.";
const NULL: Value = Value::Null;

/// A cluster with CoreDNS.
async fn world() -> World {
    World::with_coredns(Plan::example()).await
}

/// One without it.
async fn without_addon() -> World {
    World::with_fargate_profiles(Plan::example()).await
}

/// Changes the add-on by hand, or looks at it.
fn addon<R>(world: &World, change: impl FnOnce(&mut Addon) -> R) -> R {
    world.cluster(|cluster| change(cluster.addons.get_mut(COREDNS).unwrap()))
}

/// One in which it has that status until somebody changes it.
async fn world_with(status: &str) -> World {
    let world = world().await;
    let never = Timestamp::MAX;
    if ["CREATING", "DEGRADED", "UPDATING"].contains(&status) {
        world.cluster(|cluster| cluster.coredns = None);
    }
    addon(&world, |addon| match status {
        "ACTIVE" | "DEGRADED" => {}
        "CREATING" => addon.phase = Phase::Creating(never, never),
        "UPDATING" => addon.phase = Phase::Updating("1".to_owned(), never, never),
        "CREATE_FAILED" => addon.phase = Phase::CreateFailed,
        "UPDATE_FAILED" => addon.phase = Phase::UpdateFailed,
        "DELETING" => addon.gone_at = Some(never),
        other => panic!("{other}"),
    });
    world
}

fn set_configuration(world: &World, text: &str) {
    addon(world, |addon| addon.configuration = Some(text.to_owned()));
}

fn configuration(world: &World) -> Value {
    let text = addon(world, |addon| addon.configuration.clone().unwrap());
    serde_json::from_str(&text).unwrap()
}

/// ARN of the profile that CoreDNS runs on.
fn profile_arn(world: &World) -> String {
    world.cluster(|cluster| cluster.fargate_profiles["kube-system"].arn.clone())
}

/// The configuration of an add-on that was rolled out for a version of Kubernetes.
fn made_for(world: &World, kubernetes: &str) -> String {
    coredns::wanted(Birth {
        profile_arn: &profile_arn(world),
        kubernetes,
    })
}

async fn ensure(world: &World, memory: &Value) -> Value {
    world.ensure::<CoreDns>(memory).await.unwrap()
}

/// Why an invocation of an execution that has just begun waits.
async fn reason(world: &World) -> String {
    let answer = ensure(world, &NULL).await;
    assert_eq!(answer["checkAfterSeconds"], 15);
    answer["reason"].as_str().unwrap().to_owned()
}

/// What an invocation knows after so many seconds with pods that this execution made.
fn after(world: &World, seconds: u64) -> Value {
    json!({"created": {COREDNS: profile_arn(world)}, "waitedSeconds": seconds})
}

#[tokio::test(start_paused = true)]
async fn the_default_version_is_created_for_fargate() {
    let world = without_addon().await;
    let answer = ensure(&world, &NULL).await;
    let expected = format!("add-on coredns {VERSION} is being created");
    assert_eq!(answer["reason"], expected);
    assert_eq!(answer["memory"]["created"][COREDNS], profile_arn(&world));
    let overwrites = world.parameters("CreateAddon", "resolveConflicts");
    assert_eq!(overwrites, ["OVERWRITE"]);
    assert_eq!(world.changes(), ["CreateAddon"]);
    let size = json!({"cpu": "0.25", "memory": "256M"});
    let expected = json!({
        "computeType": "Fargate",
        "resources": {"limits": size, "requests": size},
        "podAnnotations": {
            PROFILE_ANNOTATION: profile_arn(&world),
            KUBERNETES_ANNOTATION: "1.36",
        },
    });
    assert_eq!(configuration(&world), expected);
    addon(&world, |addon| {
        assert_eq!(addon.version, VERSION);
        assert_eq!(addon.tags["hardway:cluster"], "demo");
        assert_eq!(addon.tags["hardway:role"], "coredns");
    });
}

#[tokio::test(start_paused = true)]
async fn nothing_is_created_before_an_active_profile_selects_coredns() {
    let world = without_addon().await;
    world.cluster(|cluster| {
        let profile = cluster.fargate_profiles.get_mut("kube-system").unwrap();
        profile.active_at = Timestamp::MAX;
    });
    for removed in ["", "kube-system", "default"] {
        world.cluster(|cluster| cluster.fargate_profiles.remove(removed));
        let reason = reason(&world).await;
        assert!(reason.contains("no ACTIVE Fargate profile"), "{reason}");
    }
    assert_eq!(world.changes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_addon_that_is_as_wanted_is_ready_and_left_alone_whatever_profiles_are_younger() {
    let world = world().await;
    world.cluster(|cluster| {
        let mut younger = cluster.fargate_profiles["kube-system"].clone();
        younger.created_at = cluster.fargate_profiles["default"].created_at;
        (younger.name, younger.arn) = ("all".to_owned(), "arn:younger".to_owned());
        let namespace = "*".to_owned();
        younger.selectors = vec![Selector {
            namespace,
            ..Selector::default()
        }];
        cluster.fargate_profiles.insert("all".to_owned(), younger);
    });
    let answer = ensure(&world, &NULL).await;
    assert_eq!(
        answer,
        json!({"status": "READY", "addonVersion": VERSION, "health": "ACTIVE"})
    );
    assert_eq!(world.changes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn degraded_while_pods_start_is_pending_with_the_health_issues() {
    let world = world_with("DEGRADED").await;
    let expected = format!(
        "the pods of CoreDNS are starting; until they run, EKS says of the add-on: DEGRADED; {NO_PODS}"
    );
    assert_eq!(reason(&world).await, expected);
    assert_eq!(world.changes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_addon_at_work_is_waited_for_whatever_its_configuration() {
    for (status, begin) in [
        ("CREATING", "the pods of CoreDNS are starting; "),
        ("UPDATING", "the pods of CoreDNS are starting; "),
        ("DELETING", "add-on coredns is "),
    ] {
        let world = world_with(status).await;
        set_configuration(&world, "{}");
        let reason = reason(&world).await;
        assert!(reason.starts_with(begin), "{reason}");
        assert!(reason.ends_with(status), "{reason}");
        assert_eq!(world.changes(), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_fargate_needs_is_merged_into_a_foreign_configuration_and_rolled_out() {
    let world = world().await;
    let foreign = json!({
        "replicaCount": 3,
        "computeType": "fargate",
        "podAnnotations": {"team": "dns"},
    });
    set_configuration(&world, &foreign.to_string());
    let said = reason(&world).await;
    assert_eq!(said, "CoreDNS is being rolled out on Fargate");
    let asked = |parameter| world.parameters("UpdateAddon", parameter);
    assert_eq!(asked("resolveConflicts"), ["OVERWRITE"]);
    assert_eq!(asked("addonVersion"), [""]);
    assert_eq!(world.changes(), ["UpdateAddon"]);
    let size = json!({"cpu": "0.25", "memory": "256M"});
    let expected = json!({
        "replicaCount": 3,
        "computeType": "Fargate",
        "podAnnotations": {
            "team": "dns",
            PROFILE_ANNOTATION: profile_arn(&world),
            KUBERNETES_ANNOTATION: "1.36",
        },
        "resources": {"limits": size, "requests": size},
    });
    assert_eq!(configuration(&world), expected);
}

#[tokio::test(start_paused = true)]
async fn sizes_that_someone_chose_stay() {
    let world = world().await;
    let chosen = json!({"requests": {"memory": "1G"}});
    set_configuration(&world, &json!({"resources": chosen}).to_string());
    reason(&world).await;
    assert_eq!(world.changes(), ["UpdateAddon"]);
    assert_eq!(configuration(&world)["resources"], chosen);
}

#[tokio::test(start_paused = true)]
async fn pods_older_than_the_profile_are_rolled_out_once() {
    for status in ["ACTIVE", "DEGRADED"] {
        let world = world_with(status).await;
        world.cluster(|cluster| {
            let profile = cluster.fargate_profiles.get_mut("kube-system").unwrap();
            profile.arn.push_str("-new");
        });
        world.until_ready::<CoreDns>().await.unwrap();
        assert_eq!(world.parameters("UpdateAddon", "addonVersion"), [""]);
        assert_eq!(world.changes(), ["UpdateAddon"]);
        let annotations = &configuration(&world)["podAnnotations"];
        assert_eq!(annotations[PROFILE_ANNOTATION], profile_arn(&world));
    }
}

#[tokio::test(start_paused = true)]
async fn pods_older_than_the_clusters_version_are_rolled_out_once_with_its_default() {
    for version in [OLDER, OUTDATED] {
        let world = world().await;
        set_configuration(&world, &made_for(&world, "1.35"));
        addon(&world, |addon| addon.version = version.to_owned());
        let expected = format!("CoreDNS {VERSION} is being rolled out on Fargate");
        assert_eq!(reason(&world).await, expected);
        tokio::time::sleep(Duration::from_mins(5)).await;
        assert_eq!(ensure(&world, &NULL).await["addonVersion"], VERSION);
        assert_eq!(world.changes(), ["UpdateAddon"]);
        let expected: Value = serde_json::from_str(&made_for(&world, "1.36")).unwrap();
        assert_eq!(configuration(&world), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_version_newer_than_the_default_stays_in_an_upgrade() {
    let world = world().await;
    world.cluster(|cluster| cluster.version = "1.35".to_owned());
    set_configuration(&world, &made_for(&world, "1.34"));
    addon(&world, |addon| addon.version = OLDER.to_owned());
    reason(&world).await;
    assert_eq!(world.parameters("UpdateAddon", "addonVersion"), [""]);
    assert_eq!(world.changes(), ["UpdateAddon"]);
}

#[tokio::test(start_paused = true)]
async fn pods_that_do_not_say_what_they_were_made_for_keep_a_version_that_runs() {
    for (version, asked) in [(OLDER, ""), (OUTDATED, VERSION)] {
        let world = world().await;
        let unmarked = json!({"podAnnotations": {PROFILE_ANNOTATION: profile_arn(&world)}});
        set_configuration(&world, &unmarked.to_string());
        addon(&world, |addon| addon.version = version.to_owned());
        reason(&world).await;
        assert_eq!(world.parameters("UpdateAddon", "addonVersion"), [asked]);
        assert_eq!(world.changes(), ["UpdateAddon"]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_addon_that_came_with_our_cluster_is_adopted() {
    let world = world().await;
    addon(&world, |addon| {
        addon.tags.clear();
        addon.configuration = None;
    });
    reason(&world).await;
    assert_eq!(world.changes(), ["TagResource", "UpdateAddon"]);
    addon(&world, |addon| {
        assert_eq!(addon.tags["hardway:cluster"], "demo");
    });
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_is_not_ours_and_a_configuration_that_is_not_json_are_conflicts() {
    let of_another = without_addon().await;
    of_another.cluster(|cluster| cluster.tags.clear());
    let yaml = world().await;
    set_configuration(&yaml, "replicaCount: 3");
    for world in [of_another, yaml] {
        let error = world.ensure::<CoreDns>(&NULL).await.unwrap_err();
        assert_eq!(error.name(), "ResourceConflict");
        assert_eq!(world.changes(), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_addon_that_failed_with_our_configuration_carries_its_health_issues() {
    for status in ["CREATE_FAILED", "UPDATE_FAILED"] {
        let world = world_with(status).await;
        let error = world.ensure::<CoreDns>(&after(&world, 15)).await;
        let said = format!("add-on coredns is {status}; {UNHEALTHY}");
        assert_eq!(error, Err(Error::ResourceFailed(said)));
        assert_eq!(world.changes(), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_addon_that_failed_before_this_execution_gets_another_chance() {
    let world = world_with("CREATE_FAILED").await;
    let said = reason(&world).await;
    assert!(said.contains("deleted, to be made again"), "{said}");
    world.until_ready::<CoreDns>().await.unwrap();
    assert_eq!(world.changes(), ["DeleteAddon", "CreateAddon"]);

    let world = world_with("UPDATE_FAILED").await;
    let before = configuration(&world);
    let said = reason(&world).await;
    assert_eq!(said, "CoreDNS is being rolled out on Fargate");
    assert_eq!(world.changes(), ["UpdateAddon"]);
    assert_eq!(configuration(&world), before);
}

#[tokio::test(start_paused = true)]
async fn an_addon_that_failed_with_another_configuration_is_deleted_to_be_made_anew() {
    for waited in [NULL, json!(15)] {
        let world = world_with("CREATE_FAILED").await;
        set_configuration(&world, "{}");
        let memory = waited.as_u64().map_or(NULL, |it| after(&world, it));
        let answer = ensure(&world, &memory).await;
        let said = answer["reason"].as_str().unwrap();
        assert!(said.contains("CREATE_FAILED"), "{said}");
        assert_eq!(answer["memory"]["created"], json!({}));
        assert_eq!(world.changes(), ["DeleteAddon"]);
    }
}

#[tokio::test(start_paused = true)]
async fn pods_that_do_not_start_are_waited_for_twenty_minutes_and_no_longer() {
    for (status, issues) in [("DEGRADED", NO_PODS), ("CREATING", ""), ("UPDATING", "")] {
        let world = world_with(status).await;
        let last = after(&world, PODS_SECONDS - 1);
        let memory = ensure(&world, &last).await["memory"].take();
        assert_eq!(memory["created"], last["created"]);
        assert_eq!(memory["begunAfterSeconds"], NULL);
        let end = after(&world, PODS_SECONDS);
        let error = world.ensure::<CoreDns>(&end).await;
        let said = format!("for 20 minutes add-on coredns is {status}; {issues}");
        let said = said.trim_end_matches("; ").to_owned();
        assert_eq!(error, Err(Error::ResourceFailed(said)));
        assert_eq!(world.changes(), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn new_pods_are_waited_for_anew() {
    let world = world_with("DEGRADED").await;
    set_configuration(&world, "{}");
    let answer = ensure(&world, &after(&world, PODS_SECONDS)).await;
    assert_eq!(answer["memory"]["begunAfterSeconds"], PODS_SECONDS);
    assert_eq!(answer["memory"]["created"][COREDNS], profile_arn(&world));
    assert_eq!(world.changes(), ["UpdateAddon"]);
}

#[tokio::test(start_paused = true)]
async fn in_use_means_looking_again_later() {
    let world = without_addon().await;
    let code = codes::RESOURCE_IN_USE;
    world.fail_next("CreateAddon", code, "Addon already exists.");
    let said = reason(&world).await;
    assert!(said.contains("Addon already exists."), "{said}");

    world.until_ready::<CoreDns>().await.unwrap();
    set_configuration(&world, "{}");
    world.fail_next("UpdateAddon", code, "an update is in progress");
    let said = reason(&world).await;
    assert!(said.contains("cannot be updated yet"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_removal_deletes_waits_and_succeeds_where_nothing_is_left() {
    let world = world().await;
    let answer = world.remove::<CoreDns>().await.unwrap();
    assert_eq!(answer["reason"], "add-on coredns is being deleted");
    let answer = world.remove::<CoreDns>().await.unwrap();
    assert_eq!(answer["reason"], "add-on coredns is DELETING");
    while !world.cluster(|cluster| cluster.addons.is_empty()) {
        wait(&answer).await;
    }
    let answer = world.remove::<CoreDns>().await.unwrap();
    assert_eq!(answer, json!({"status": "READY", "removed": []}));
    assert_eq!(world.changes(), ["DeleteAddon"]);
}

#[tokio::test(start_paused = true)]
async fn a_removal_leaves_an_addon_that_is_not_ours() {
    let world = world().await;
    addon(&world, |addon| addon.tags.clear());
    let answer = world.remove::<CoreDns>().await.unwrap();
    assert_eq!(answer, json!({"status": "READY", "removed": []}));
    assert_eq!(world.changes(), [""; 0]);
}
