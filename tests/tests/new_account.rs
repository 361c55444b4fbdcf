//! From a new account to a cluster: the account becomes usable in its own time, the role in it is a
//! narrow one, and nobody is at the keyboard.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};
use simulator::{Activation, Call, Quarantine, State};
use tests::member_role::{member_role, trusted_role_arns};
use tests::world::{ACCOUNT, REGION};
use tests::{Execution, World, left, project};

const MEMBER: &str = "444455556666";
const EXTERNAL_ID: &str = "agreed";
const MINUTE: Duration = Duration::from_mins(1);

/// The input for the member account, with the role that AWS Organizations makes.
fn input() -> Value {
    json!({"clusterName": "demo", "account": {"id": MEMBER}})
}

/// A world with a member account of AWS Organizations.
fn world(seed: u64) -> World {
    let world = World::new(seed);
    let trust = State::organization_trust(ACCOUNT);
    let role = ("HardwayMember", trust.as_str());
    world
        .simulator
        .change(|state| state.add_account(MEMBER, [role]));
    world
}

fn coredns_runs(world: &World) -> bool {
    let view = world.simulator.kubernetes(MEMBER, REGION, "demo");
    view.is_some_and(|view| hardway::summary::coredns_runs(&view))
}

/// The errors that were waited for, in their order.
fn retried(execution: &Execution) -> Vec<(Duration, &str, &str)> {
    let events = execution.events.iter();
    events
        .filter_map(|event| {
            let error = event.what.strip_prefix("retried: ")?;
            Some((event.at, event.state.as_str(), error))
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn an_account_that_becomes_usable_in_stages_gets_its_cluster_without_a_person() {
    const OPEN_AFTER: Duration = Duration::from_mins(90);
    let world = world(81);
    let begin = world.simulator.now();
    let minutes = |minutes| begin + SignedDuration::from_mins(minutes);
    world.simulator.change(|state| {
        let ready_after = SignedDuration::try_from(OPEN_AFTER).unwrap();
        state.accounts.get_mut(MEMBER).unwrap().activation =
            Activation::in_stages(begin, ready_after);
    });
    let execution = world.provision(input()).await;
    let output = execution.output();
    assert_eq!(output["accountId"], MEMBER);
    assert!(coredns_runs(&world), "{}", execution.timeline());

    let waits = retried(&execution);
    let of_account = |wait: &&(Duration, &str, &str)| wait.2.starts_with("AccountNotReady");
    assert!(waits.iter().filter(of_account).all(|wait| wait.1 == "Plan"));
    let calls = world.simulator.calls();
    let (waiting, building): (Vec<&Call>, Vec<&Call>) =
        calls.iter().partition(|call| call.at < minutes(90));
    let changes: Vec<_> = waiting.iter().filter(|call| !call.is_read_only()).collect();
    assert!(changes.is_empty(), "{changes:#?}");
    // The longest interval, and what a run takes.
    assert!(execution.duration < OPEN_AFTER + 10 * MINUTE + 40 * MINUTE);
    println!(
        "usable after 90 minutes, cluster after {:.0}: {} calls while waiting ({} attempts), {} in all",
        execution.duration.as_secs_f64() / 60.0,
        waiting.len(),
        waits.iter().filter(of_account).count(),
        waiting.len() + building.len(),
    );
    assert!(waiting.len() <= 60, "{}", waiting.len());
    assert!(building.len() < 400, "{}", building.len());
}

#[tokio::test(start_paused = true)]
async fn an_account_that_never_becomes_usable_is_given_up_after_four_hours_and_says_why() {
    let world = world(82);
    let never = world.simulator.now() + SignedDuration::from_hours(24);
    world.simulator.change(|state| {
        state.accounts.get_mut(MEMBER).unwrap().activation.sts_from = Some(never);
    });
    let execution = world.provision(input()).await;
    let failure = execution.failure();
    assert_eq!(failure.error, "AccountNotReady");
    for said in [
        "Plan: ",
        "sts:AssumeRole answered RegionDisabledException",
        "account 444455556666, region ap-northeast-1",
        "opt-in region",
        "asked again for up to four hours",
    ] {
        assert!(failure.cause.contains(said), "{said}: {}", failure.cause);
    }
    let hours = execution.duration.as_secs_f64() / 3600.0;
    assert!((3.83..4.17).contains(&hours), "{hours} h");
    assert!(world.changes().is_empty());
}

/// A member account with the role of `infra/member-role.yaml`, and functions that have roles.
fn world_with_member_role(seed: u64) -> (World, Value) {
    let trusted = trusted_role_arns(ACCOUNT);
    let role = member_role(
        MEMBER,
        &[("TrustedRoleArns", &trusted), ("ExternalId", EXTERNAL_ID)],
    );
    let world = World::new(seed).with_roles(&role.name);
    let trust = role.trust.to_string();
    world.simulator.change(|state| {
        state.add_role(MEMBER, &role.name, &trust, &role.permissions.to_string());
    });
    let account = json!({"id": MEMBER, "roleName": role.name, "externalId": EXTERNAL_ID});
    (world, account)
}

#[tokio::test(start_paused = true)]
async fn the_member_role_and_its_external_id_are_enough_to_build_and_to_remove() {
    let (world, account) = world_with_member_role(83);
    let before = left::everything(&world.simulator.state(), ACCOUNT);
    let input = json!({"clusterName": "demo", "account": account});
    let execution = world.provision(input.clone()).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    assert!(coredns_runs(&world));
    let execution = world.tear_down(input).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    let after = world.simulator.state();
    assert_eq!(left::everything(&after, MEMBER), [""; 0]);
    // The registry's entry has come and gone.
    assert_eq!(left::everything(&after, ACCOUNT), before);

    // Each function went there anew, under its name, with no more than its policy.
    let calls = world.simulator.calls();
    let mut functions = BTreeSet::new();
    let of_member = format!(":{MEMBER}:");
    for call in calls.iter().filter(|it| it.operation == "AssumeRole") {
        let role = call.request["RoleArn"].as_str().unwrap();
        if !role.contains(&of_member) {
            continue;
        }
        assert_eq!(call.region, REGION);
        let name = call.request["RoleSessionName"].as_str().unwrap();
        let name = name.strip_prefix("hardway-").unwrap();
        let function = name.strip_suffix("-demo").unwrap();
        let policy: Value = serde_json::from_str(call.request["Policy"].as_str().unwrap()).unwrap();
        let expected = project::read(&project::policy_file(function));
        let expected = expected.replace("${Partition}", "aws");
        let expected = expected.replace("${AccountId}", MEMBER);
        let expected = expected.replace("${ClusterRolePath}", "/");
        let expected = expected.replace("${RoleNamePrefix}", "hardway-");
        assert_eq!(policy, serde_json::from_str::<Value>(&expected).unwrap());
        functions.insert(function.to_owned());
    }
    // The others have no business in another account.
    let has_session = |function: &String| {
        project::root()
            .join(project::policy_file(function))
            .is_file()
    };
    let mut all = project::functions();
    all.retain(has_session);
    // No logs are asked for.
    all.remove("control-plane-logs");
    functions.remove("control-plane-logs");
    assert_eq!(functions, all);
}

#[tokio::test(start_paused = true)]
async fn member_role_can_be_assumed_by_the_functions_only() {
    let (world, account) = world_with_member_role(84);
    // A person in hardway's account, with the external id.
    let call = world.aws().sts().assume_role();
    let role = account["roleName"].as_str().unwrap();
    let call = call.role_arn(format!("arn:aws:iam::{MEMBER}:role/{role}"));
    let call = call.role_session_name("person").external_id(EXTERNAL_ID);
    assert!(call.send().await.is_err());
    // The functions, without it.
    let input = json!({"clusterName": "demo", "account": {"id": MEMBER, "roleName": role}});
    let execution = world.provision(input).await;
    let failure = execution.failure();
    assert_eq!(failure.error, "AccountNotReady");
    assert!(
        failure.cause.contains("MemberRoleName"),
        "{}",
        failure.cause
    );
    assert!(world.changes().is_empty());
}

/// What a service control policy says to everybody in the member account, until so many minutes from now.
fn quarantine(world: &World, minutes: i64, is_allow_list: bool) {
    let until = world.simulator.now() + SignedDuration::from_mins(minutes);
    world.simulator.change_account(MEMBER, |account| {
        account.activation.quarantine = Some(Quarantine {
            until,
            is_allow_list,
            exempt: vec![],
        });
    });
}

/// The member account as it is in the input of an execution for a new account.
fn new_since(world: &World, account: &Value, minutes_ago: i64) -> Value {
    let since = world.simulator.now() - SignedDuration::from_mins(minutes_ago);
    let mut account = account.clone();
    account["newSince"] = json!(since.to_string());
    json!({"clusterName": "demo", "account": account})
}

#[tokio::test(start_paused = true)]
async fn a_quarantine_of_a_new_account_is_waited_for() {
    for (seed, is_allow_list) in [(85, false), (86, true)] {
        let (world, account) = world_with_member_role(seed);
        quarantine(&world, 90, is_allow_list);
        let lifted = world.simulator.now() + SignedDuration::from_mins(90);
        let execution = world.provision(new_since(&world, &account, 10)).await;
        assert!(execution.result.is_ok(), "{}", execution.timeline());
        assert!(coredns_runs(&world));
        let waits = retried(&execution);
        let of_account = |wait: &&(Duration, &str, &str)| wait.2.starts_with("AccountNotReady");
        assert!(waits.iter().filter(of_account).all(|wait| wait.1 == "Plan"));
        assert!(world.changes().iter().all(|change| change.at >= lifted));
        assert!(execution.duration < 90 * MINUTE + 10 * MINUTE + 40 * MINUTE);
    }
}

#[tokio::test(start_paused = true)]
async fn a_quarantine_that_is_never_lifted_is_given_up_after_four_hours_with_its_words() {
    let (world, account) = world_with_member_role(87);
    quarantine(&world, 24 * 60, false);
    let execution = world.provision(new_since(&world, &account, 0)).await;
    let failure = execution.failure();
    assert_eq!(failure.error, "AccountNotReady");
    for said in [
        "explicit deny in a service control policy",
        "ec2:DescribeAvailabilityZones",
        "the account is new",
        "asked again for up to four hours",
    ] {
        assert!(failure.cause.contains(said), "{said}: {}", failure.cause);
    }
    let hours = execution.duration.as_secs_f64() / 3600.0;
    assert!((3.83..4.17).contains(&hours), "{hours} h");
    assert!(world.changes().is_empty());
}

/// Somebody has forbidden it, and that is not taken off by itself.
#[tokio::test(start_paused = true)]
async fn denial_by_the_organization_in_an_old_account_fails_at_once() {
    for (seed, is_allow_list, age) in [(88, false, None), (89, true, None), (90, false, Some(241))]
    {
        let (world, account) = world_with_member_role(seed);
        quarantine(&world, 24 * 60, is_allow_list);
        let input = match age {
            Some(minutes) => new_since(&world, &account, minutes),
            None => json!({"clusterName": "demo", "account": account}),
        };
        let execution = world.provision(input).await;
        let failure = execution.failure();
        assert_eq!(failure.error, "ExplicitDeny");
        assert!(failure.cause.contains("service control policy"));
        assert!(execution.duration < MINUTE, "{:?}", execution.duration);
        assert!(world.changes().is_empty());
    }
}

/// It lies on the account again when the network is there: landing zones do what they do.
#[tokio::test(start_paused = true)]
async fn a_quarantine_that_comes_later_is_waited_for_by_the_step_that_meets_it() {
    let (world, account) = world_with_member_role(91);
    let input = new_since(&world, &account, 10);
    let has_vpc = |call: &Call| call.operation == "CreateVpc" && call.error.is_none();
    let deny = async {
        while !world.simulator.calls().iter().any(has_vpc) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        quarantine(&world, 30, false);
    };
    let (execution, ()) = tokio::join!(world.provision(input), deny);
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    assert!(coredns_runs(&world));
    let waits = retried(&execution);
    assert!(
        waits
            .iter()
            .any(|wait| wait.1 != "Plan" && wait.2.starts_with("AccountNotReady"))
    );
}

const SSO_PATH: &str = "aws-reserved/sso.amazonaws.com/eu-west-1";
const SSO_ROLE: &str = "AWSReservedSSO_Admin_0123456789abcdef";

/// IAM Identity Center makes a role in the member account after so many minutes.
async fn assign(world: &World, minutes: u64) {
    tokio::time::sleep(Duration::from_mins(minutes)).await;
    let trust = State::organization_trust(ACCOUNT);
    world.simulator.change(|state| {
        let name = format!("{SSO_PATH}/{SSO_ROLE}");
        state.add_account(MEMBER, [(name.as_str(), trust.as_str())]);
    });
}

#[tokio::test(start_paused = true)]
async fn an_administrators_role_that_comes_after_the_account_is_waited_for() {
    let arn = format!("arn:aws:iam::{MEMBER}:role/{SSO_PATH}/{SSO_ROLE}");
    for (seed, access) in [
        (92, json!({"adminRoleNames": ["AWSReservedSSO_Admin_*"]})),
        (93, json!({"admins": [arn]})),
    ] {
        let (world, account) = world_with_member_role(seed);
        let mut input = new_since(&world, &account, 10);
        input["access"] = access;
        let (execution, ()) = tokio::join!(world.provision(input), assign(&world, 45));
        let output = execution.output();
        assert_eq!(output["admins"], json!([arn]), "{output:#}");
        assert!(execution.duration > 45 * MINUTE);
        assert!(coredns_runs(&world));
    }
}

#[tokio::test(start_paused = true)]
async fn an_administrators_role_that_is_not_there_is_an_error_where_the_account_is_not_new() {
    let (world, account) = world_with_member_role(94);
    let access = json!({"adminRoleNames": ["AWSReservedSSO_Admin_*"]});
    let input = json!({"clusterName": "demo", "account": account, "access": access});
    let execution = world.provision(input.clone()).await;
    let failure = execution.failure();
    assert_eq!(failure.error, "InvalidRequest");
    assert!(
        failure.cause.contains("access.adminRoleNames[0]"),
        "{}",
        failure.cause
    );
    assert!(world.changes().is_empty());
    // With it, the same input builds the cluster.
    assign(&world, 1).await;
    let execution = world.provision(input).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
}
