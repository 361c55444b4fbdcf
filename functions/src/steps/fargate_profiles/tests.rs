//! Unit tests of the step.

use std::collections::BTreeMap;

use aws_sdk_eks::Client;
use aws_sdk_eks::operation::delete_fargate_profile::DeleteFargateProfileOutput;
use aws_sdk_eks::operation::describe_fargate_profile::DescribeFargateProfileOutput;
use aws_sdk_eks::operation::list_fargate_profiles::ListFargateProfilesOutput;
use aws_sdk_eks::types::{FargateProfileHealth, FargateProfileIssue, FargateProfileIssueCode};
use aws_smithy_mocks::mock;
use jiff::Timestamp;
use serde_json::{Value, json};
use simulator::eks::FargateProfile as SimulatedProfile;

use super::*;
use crate::testing::{World, wait};

const NULL: Value = Value::Null;
const KUBE_SYSTEM: &str = "kube-system";
const NO_CHANGES: [&str; 0] = [];

/// A cluster with the plan's profiles, with which EKS is done.
async fn world() -> World {
    let world = World::with_fargate_profiles(Plan::example()).await;
    tokio::time::sleep(Duration::from_mins(15)).await;
    world
}

/// One without profiles.
async fn without_profiles() -> World {
    World::with_pod_execution_role(Plan::example()).await
}

/// Changes all profiles by hand, or looks at them.
fn profiles<R>(
    world: &World,
    change: impl FnOnce(&mut BTreeMap<String, SimulatedProfile>) -> R,
) -> R {
    world.cluster(|cluster| change(&mut cluster.fargate_profiles))
}

/// Changes one.
fn profile<R>(world: &World, name: &str, change: impl FnOnce(&mut SimulatedProfile) -> R) -> R {
    profiles(world, |all| change(all.get_mut(name).unwrap()))
}

/// Makes a profile like one of ours by hand.
fn add_profile(world: &World, name: &str, is_ours: bool) {
    profiles(world, |all| {
        let mut profile = all["default"].clone();
        name.clone_into(&mut profile.name);
        if !is_ours {
            profile.tags.clear();
        }
        all.insert(name.to_owned(), profile);
    });
}

fn names(world: &World) -> Vec<String> {
    profiles(world, |all| all.keys().cloned().collect())
}

fn set_status(world: &World, name: &str, status: &str) {
    profile(world, name, |profile| match status {
        "CREATING" => profile.active_at = Timestamp::MAX,
        "DELETING" => profile.gone_at = Some(Timestamp::MAX),
        other => panic!("{other}"),
    });
}

/// What an answer says that is PENDING: for how long, and why.
fn pending(answer: Result<Value, Error>) -> (u64, String) {
    let answer = answer.unwrap();
    let reason = answer["reason"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"));
    (
        answer["checkAfterSeconds"].as_u64().unwrap(),
        reason.to_owned(),
    )
}

async fn ensure(world: &World) -> (u64, String) {
    pending(world.ensure::<FargateProfiles>(&NULL).await)
}

async fn remove(world: &World) -> (u64, String) {
    pending(world.remove::<FargateProfiles>().await)
}

#[tokio::test(start_paused = true)]
async fn profiles_are_made_one_after_the_other_and_that_of_coredns_first() {
    let mut world = without_profiles().await;
    world.plan.fargate_profiles.reverse();
    for name in [KUBE_SYSTEM, "default"] {
        let answer = world.ensure::<FargateProfiles>(&NULL).await.unwrap();
        let said = format!("Fargate profile {name} is being created");
        assert_eq!(answer["reason"], said);
        assert_eq!(answer["checkAfterSeconds"], 15);
        assert_eq!(answer["memory"]["created"], json!({name: name}));
        let (_, reason) = ensure(&world).await;
        assert_eq!(reason, format!("Fargate profile {name} is CREATING"));
        assert_eq!(world.changes(), ["CreateFargateProfile"]);
        tokio::time::sleep(Duration::from_mins(5)).await;
    }
    let subnets = world.outputs["subnets"].as_array().unwrap().clone();
    let subnets: Vec<_> = subnets.iter().map(|it| &it["privateSubnetId"]).collect();
    for name in names(&world) {
        profile(&world, &name, |profile| {
            assert_eq!(profile.role_arn, world.outputs["roleArn"]);
            assert_eq!(json!(profile.subnets), json!(subnets));
            assert_eq!(json!(profile.selectors), json!([{"namespace": name}]));
            assert_eq!(profile.tags["hardway:cluster"], "demo");
            let role = format!("fargate-profile-{name}");
            assert_eq!(profile.tags["hardway:role"], role);
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_strangers_changing_profile_holds_back_ours() {
    let world = world().await;
    add_profile(&world, "batch", false);
    set_status(&world, "batch", "DELETING");
    profiles(&world, |all| all.remove("default"));
    let (seconds, reason) = ensure(&world).await;
    assert_eq!(seconds, 15);
    assert!(
        reason.contains("Fargate profile batch is DELETING"),
        "{reason}"
    );
    assert_eq!(world.changes(), NO_CHANGES);
}

#[tokio::test(start_paused = true)]
async fn active_profiles_are_ready_in_the_plans_order_and_surplus_ones_are_left() {
    let world = world().await;
    add_profile(&world, "former", true);
    let answer = world.ensure::<FargateProfiles>(&NULL).await.unwrap();
    let arn = |name| profile(&world, name, |profile| profile.arn.clone());
    let expected = [KUBE_SYSTEM, "default"].map(|name| json!({"name": name, "arn": arn(name)}));
    assert_eq!(answer["fargateProfiles"], json!(expected));
    assert_eq!(world.changes(), NO_CHANGES);
}

#[tokio::test(start_paused = true)]
async fn a_deleting_profile_is_made_again_when_it_is_gone() {
    let world = world().await;
    set_status(&world, KUBE_SYSTEM, "DELETING");
    profile(&world, KUBE_SYSTEM, |it| it.role_arn = "arn:old".to_owned());
    let (seconds, reason) = ensure(&world).await;
    assert_eq!(seconds, 15);
    assert_eq!(reason, "Fargate profile kube-system is DELETING");
    assert_eq!(world.changes(), NO_CHANGES);
    profiles(&world, |all| all.remove(KUBE_SYSTEM));
    ensure(&world).await;
    assert_eq!(world.changes(), ["CreateFargateProfile"]);
}

const FAILED: &str = "Fargate profile kube-system is CREATE_FAILED; InternalFailure: An internal error \
                      has occurred";

/// A world whose first profile has failed, and what the execution remembers that made it.
async fn with_failed_profile() -> (World, Value) {
    let world = without_profiles().await;
    world.region(|region| region.eks.fails.fargate_profiles = true);
    let answer = world.ensure::<FargateProfiles>(&NULL).await.unwrap();
    tokio::time::sleep(Duration::from_mins(5)).await;
    world.forget_calls();
    (world, answer["memory"].clone())
}

#[tokio::test(start_paused = true)]
async fn a_profile_that_never_was_active_is_replaced() {
    let (world, _) = with_failed_profile().await;
    // It may differ: the one that follows it is as wanted.
    profile(&world, KUBE_SYSTEM, |it| it.role_arn = "arn:old".to_owned());
    let (seconds, reason) = ensure(&world).await;
    assert_eq!(seconds, 15);
    let end = "it is made again: Fargate profile kube-system is being deleted";
    assert_eq!(reason, format!("{FAILED}; {end}"));
    assert_eq!(world.changes(), ["DeleteFargateProfile"]);
}

#[tokio::test(start_paused = true)]
async fn a_profile_that_failed_in_this_execution_carries_its_health_issues() {
    let (world, memory) = with_failed_profile().await;
    let error = world.ensure::<FargateProfiles>(&memory).await;
    assert_eq!(error, Err(Error::ResourceFailed(FAILED.to_owned())));
    assert_eq!(world.changes(), NO_CHANGES);
}

#[tokio::test(start_paused = true)]
async fn a_profile_that_is_not_ours_is_refused_before_anything_is_created() {
    let world = world().await;
    profiles(&world, |all| all.remove(KUBE_SYSTEM));
    profile(&world, "default", |profile| profile.tags.clear());
    let error = world.ensure::<FargateProfiles>(&NULL).await.unwrap_err();
    assert_eq!(error.name(), "ResourceConflict");
    assert!(error.to_string().contains("Fargate profile default"));
    assert_eq!(world.changes(), NO_CHANGES);
}

#[tokio::test(start_paused = true)]
async fn a_profile_that_differs_is_a_conflict_that_says_what() {
    let world = world().await;
    let before = profile(&world, KUBE_SYSTEM, |profile| profile.clone());
    profiles(&world, |all| all.remove("default"));
    let mut subnets = before.subnets.clone();
    subnets.sort();
    let subnets = subnets.join(", ");
    let changed = |change: fn(&mut SimulatedProfile)| {
        let mut changed = before.clone();
        change(&mut changed);
        changed
    };
    for (differing, what) in [
        (
            changed(|it| it.role_arn = "arn:old".to_owned()),
            "its role is arn:old, not arn:".to_owned(),
        ),
        (
            changed(|it| it.subnets.insert(0, "subnet-z".to_owned())),
            format!("its subnets are {subnets}, subnet-z, not {subnets};"),
        ),
        (
            changed(|it| {
                let labels = &mut it.selectors[0].labels;
                labels.insert("k8s-app".to_owned(), "kube-dns".to_owned());
            }),
            "its selectors are kube-system{k8s-app=kube-dns}, not kube-system".to_owned(),
        ),
    ] {
        profile(&world, KUBE_SYSTEM, |profile| *profile = differing);
        let error = world.ensure::<FargateProfiles>(&NULL).await.unwrap_err();
        assert_eq!(error.name(), "ResourceConflict");
        assert!(error.to_string().contains(&what), "{error}");
    }
    assert_eq!(world.changes(), NO_CHANGES);
}

/// The next look at a profile does not see it yet.
fn hide_next(world: &World) {
    let code = codes::RESOURCE_NOT_FOUND;
    world.fail_next("DescribeFargateProfile", code, "No Fargate Profile found");
}

const REFUSED: &str = "CreateFargateProfile: ResourceInUseException";

#[tokio::test(start_paused = true)]
async fn in_use_because_it_exists_means_looking_at_it() {
    let world = without_profiles().await;
    ensure(&world).await;
    world.forget_calls();
    hide_next(&world);
    let (_, reason) = ensure(&world).await;
    assert!(reason.contains("an earlier attempt made it"), "{reason}");

    profile(&world, KUBE_SYSTEM, |profile| profile.tags.clear());
    hide_next(&world);
    let error = world.ensure::<FargateProfiles>(&NULL).await.unwrap_err();
    assert_eq!(error.name(), "ResourceConflict");
    assert_eq!(world.changes(), [REFUSED; 2]);
}

#[tokio::test(start_paused = true)]
async fn in_use_because_a_sibling_changes_means_waiting_a_little() {
    let world = world().await;
    profiles(&world, |all| all.remove(KUBE_SYSTEM));
    set_status(&world, "default", "CREATING");
    hide_next(&world);
    let (seconds, reason) = ensure(&world).await;
    assert_eq!(seconds, 15);
    let said = "Cannot create Fargate Profile kube-system because cluster demo currently has Fargate \
                profile default in status CREATING";
    assert!(reason.contains(said), "{reason}");
    assert_eq!(world.changes(), [REFUSED]);
}

#[tokio::test(start_paused = true)]
async fn in_use_because_of_a_hidden_update_means_waiting_longer() {
    let world = without_profiles().await;
    world.cluster(|cluster| cluster.hidden_update_until = Some(Timestamp::MAX));
    let (seconds, reason) = ensure(&world).await;
    assert_eq!(seconds, 30);
    let said = "Cannot create Fargate Profile kube-system because cluster demo currently has an update \
                in progress";
    assert!(reason.contains(said), "{reason}");
    assert_eq!(world.changes(), [REFUSED]);
}

#[tokio::test(start_paused = true)]
async fn routes_and_trust_that_have_not_spread_are_not_yet_visible() {
    let world = without_profiles().await;
    for message in [
        "Subnet subnet-private1 provided in Fargate Profile is not a private subnet",
        "Misconfigured PodExecutionRole Trust Policy; Please add the \
         eks-fargate-pods.amazonaws.com Service Principal",
    ] {
        let code = codes::INVALID_PARAMETER;
        world.fail_next("CreateFargateProfile", code, message);
        let error = world.ensure::<FargateProfiles>(&NULL).await.unwrap_err();
        assert_eq!(error.name(), "NotYetVisible", "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_removal_deletes_one_profile_of_ours_at_a_time_and_no_others() {
    let world = world().await;
    add_profile(&world, "theirs", false);
    for name in [KUBE_SYSTEM, "default"] {
        let (seconds, reason) = remove(&world).await;
        assert_eq!(seconds, 15);
        assert_eq!(reason, format!("Fargate profile {name} is being deleted"));
        let answer = world.remove::<FargateProfiles>().await.unwrap();
        let said = format!("Fargate profile {name} is DELETING");
        assert_eq!(answer["reason"], said);
        assert_eq!(answer["checkAfterSeconds"], 15);
        while names(&world).iter().any(|it| it == name) {
            wait(&answer).await;
        }
        assert_eq!(world.changes(), ["DeleteFargateProfile"]);
    }
    assert_eq!(world.until_removed::<FargateProfiles>().await, json!([]));
    assert_eq!(names(&world), ["theirs"]);
    assert_eq!(world.changes(), NO_CHANGES);
}

#[tokio::test(start_paused = true)]
async fn a_removal_waits_for_a_profile_on_its_way() {
    for status in ["CREATING", "DELETING"] {
        let world = world().await;
        set_status(&world, KUBE_SYSTEM, status);
        let (_, reason) = remove(&world).await;
        assert_eq!(reason, format!("Fargate profile kube-system is {status}"));
        assert_eq!(world.changes(), NO_CHANGES);
    }
}

#[tokio::test(start_paused = true)]
async fn a_removal_waits_for_the_clusters_hidden_update() {
    let world = World::with_fargate_profiles(Plan::example()).await;
    let (seconds, reason) = remove(&world).await;
    assert_eq!(seconds, 30);
    let said = "cluster demo currently has an update in progress";
    assert!(reason.contains(said), "{reason}");
}

/// Scripted: no captured answer has a profile that is DELETE_FAILED, so the simulator has none.
#[tokio::test]
async fn a_removal_tries_a_failed_deletion_again_and_reports_it() {
    let listed = mock!(Client::list_fargate_profiles).then_output(|| {
        let listed = ListFargateProfilesOutput::builder().fargate_profile_names("default");
        listed.build()
    });
    let described = mock!(Client::describe_fargate_profile).then_output(|| {
        let issue = FargateProfileIssue::builder()
            .code(FargateProfileIssueCode::AccessDenied)
            .message("the role cannot be assumed");
        let health = FargateProfileHealth::builder().issues(issue.build());
        let profile = FargateProfile::builder()
            .fargate_profile_name("default")
            .status(FargateProfileStatus::DeleteFailed)
            .health(health.build())
            .tags(tags::CLUSTER, "demo");
        DescribeFargateProfileOutput::builder()
            .fargate_profile(profile.build())
            .build()
    });
    let deleted = mock!(Client::delete_fargate_profile)
        .match_requests(|call| call.fargate_profile_name() == Some("default"))
        .then_output(|| DeleteFargateProfileOutput::builder().build());
    let eks = crate::mocked!(aws_sdk_eks, [&listed, &described, &deleted]);
    let aws = Aws::offline().with(eks);
    let error = FargateProfiles::remove(&aws, &Plan::example().target).await;
    let error = error.unwrap_err();
    assert_eq!(error.name(), "ResourceFailed");
    assert!(error.to_string().contains("AccessDenied"), "{error}");
    assert_eq!(deleted.num_calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_removal_without_a_cluster_succeeds() {
    let world = World::new(Plan::example());
    assert_eq!(world.until_removed::<FargateProfiles>().await, json!([]));
    assert_eq!(
        world.calls(),
        ["ListFargateProfiles: ResourceNotFoundException"]
    );
}
