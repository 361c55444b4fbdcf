//! Unit tests of the starter. Step Functions and AWS Organizations are scripted: the simulator has neither.

use std::sync::{Arc, Mutex};

use super::*;
use aws_sdk_organizations::operation::list_parents::ListParentsOutput;
use aws_sdk_organizations::types::{Parent, ParentType};
use aws_sdk_sfn::operation::start_execution::{StartExecutionError, StartExecutionOutput};
use aws_sdk_sfn::types::error::ExecutionAlreadyExists;
use aws_smithy_mocks::{Rule, mock};
use serde_json::json;

use crate::aws::mocks::json_error;
use crate::model::{Plan, RoleNames};
use crate::testing::World;

const MACHINE: &str = "arn:aws:states:ap-northeast-1:111122223333:stateMachine:hardway-provision";
pub(crate) const PARAMETER: &str = "/hardway/new-accounts";
pub(crate) const ACCOUNT: &str = "444455556666";
const STARTED: &str = "/hardway/hardway/started";
const REGISTRY: &str = "/hardway/hardway/clusters";
const NAME: &str = "444455556666-ap-northeast-1-main";

/// A committed example.
pub(crate) fn example(path: &str) -> Value {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../statemachine/examples");
    let text = std::fs::read_to_string(format!("{folder}/{path}.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

pub(crate) fn created() -> Value {
    example("events/organizations-create-account-result")
}

pub(crate) fn joined() -> Value {
    example("events/organizations-account-joined-organization")
}

pub(crate) fn registered() -> Value {
    example("events/control-tower-register-organizational-unit")
}

pub(crate) fn managed() -> Value {
    example("events/control-tower-create-managed-account")
}

fn failed() -> Value {
    example("events/organizations-create-account-result-failed")
}

fn minimal() -> Value {
    example("policies/minimal")
}

pub(crate) fn updated() -> Value {
    example("events/control-tower-update-managed-account")
}

pub(crate) fn moved() -> Value {
    example("events/organizations-move-account")
}

pub(crate) fn enrolled() -> Value {
    example("events/control-tower-enable-baseline")
}

/// The account of the stack, with this policy; nothing was started before.
pub(crate) async fn world_with(policy: &str) -> World {
    let world = World::new(Plan::example());
    world.put_parameter(PARAMETER, policy).await;
    world
}

/// What is written down of the cluster that the minimal policy makes.
fn written(world: &World) -> Option<String> {
    world.parameter(&format!("{STARTED}/{ACCOUNT}/ap-northeast-1/main"))
}

/// A starter with this policy that reaches nothing of Step Functions and AWS Organizations but what the rules
/// answer.
pub(crate) async fn starter(policy: &str, sfn: &[&Rule], organizations: &[&Rule]) -> Starter {
    starter_in(&world_with(policy).await.base(), sfn, organizations)
}

/// The same in an account.
pub(crate) fn starter_in(base: &Base, sfn: &[&Rule], organizations: &[&Rule]) -> Starter {
    let settings = Settings {
        parameter: PARAMETER.to_owned(),
        state_machine_arn: MACHINE.to_owned(),
        started_path: STARTED.to_owned(),
        registry_path: REGISTRY.to_owned(),
    };
    let mut starter = Starter::new(base, &settings).unwrap();
    if let [rule] = sfn {
        starter.sfn = crate::mocked!(aws_sdk_sfn, [rule]);
    }
    match organizations {
        [] => {}
        [one] => starter.organizations = crate::mocked!(aws_sdk_organizations, [one]),
        [one, other] => starter.organizations = crate::mocked!(aws_sdk_organizations, [one, other]),
        other => panic!("{} rules", other.len()),
    }
    starter
}

/// Where the stack of [`starter`] is.
fn place() -> Place {
    Place {
        region: "ap-northeast-1".to_owned(),
        partition: "aws".to_owned(),
        iam: RoleNames::default(),
    }
}

/// Accepts this execution, and no other.
fn accepts(name: &'static str, input: Value) -> Rule {
    mock!(aws_sdk_sfn::Client::start_execution)
        .match_requests(move |call| {
            let given = call.input().unwrap_or_default();
            assert_eq!(call.name(), Some(name));
            assert_eq!(call.state_machine_arn(), Some(MACHINE));
            assert_eq!(serde_json::from_str::<Value>(given).unwrap(), input);
            // Nothing between the tokens: the same policy gives the same text.
            assert_eq!(given, input.to_string());
            true
        })
        .then_output(execution)
}

/// Accepts every execution. The inputs are those that it was asked for.
pub(crate) fn accepting() -> (Rule, Arc<Mutex<Vec<Value>>>) {
    let inputs = Arc::new(Mutex::new(Vec::new()));
    let record = inputs.clone();
    let accepts = mock!(aws_sdk_sfn::Client::start_execution).then_compute_output(move |call| {
        let input = serde_json::from_str(call.input().unwrap()).unwrap();
        record.lock().unwrap().push(input);
        execution()
    });
    (accepts, inputs)
}

fn execution() -> StartExecutionOutput {
    StartExecutionOutput::builder()
        .execution_arn("arn")
        .start_date(aws_sdk_sfn::primitives::DateTime::from_secs(0))
        .build()
        .unwrap()
}

/// The input that the minimal policy makes of an event.
fn main_cluster(event: &Value) -> Value {
    json!({
        "clusterName": "main",
        "region": "ap-northeast-1",
        "account": {"id": ACCOUNT, "newSince": event["time"]},
    })
}

async fn started(event: &Value, policy: &Value, name: &'static str, input: Value) -> Answer {
    let accepts = accepts(name, input);
    let starter = starter(&policy.to_string(), &[&accepts], &[]).await;
    let answer = starter.handle(event).await.unwrap();
    assert_eq!(accepts.num_calls(), 1);
    answer
}

/// What is said about an event for which nothing is started.
async fn ignored(event: &Value, policy: &Value) -> String {
    let starter = starter(&policy.to_string(), &[], &[]).await;
    let answer = starter.handle(event).await.unwrap();
    assert_eq!(answer.status, Status::Ignored);
    answer.reason
}

async fn refused(event: &Value, policy: &str) -> String {
    let starter = starter(policy, &[], &[]).await;
    let error = starter.handle(event).await.unwrap_err();
    assert_eq!(error.name(), "InvalidRequest");
    error.to_string()
}

#[tokio::test(start_paused = true)]
async fn each_event_of_a_new_account_starts_the_same_execution() {
    for event in [created(), joined(), managed(), updated(), enrolled()] {
        let answer = started(&event, &minimal(), NAME, main_cluster(&event)).await;
        assert_eq!(answer.status, Status::Started);
        assert!(answer.reason.contains(NAME), "{}", answer.reason);
    }
}

#[tokio::test(start_paused = true)]
async fn the_detail_type_does_not_matter() {
    let mut event = joined();
    event["detail-type"] = json!("AWS API Call via CloudTrail");
    started(&event, &minimal(), NAME, main_cluster(&event)).await;
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_taken_is_success() {
    let taken = mock!(aws_sdk_sfn::Client::start_execution).then_error(|| {
        StartExecutionError::ExecutionAlreadyExists(ExecutionAlreadyExists::builder().build())
    });
    let starter = starter(&minimal().to_string(), &[&taken], &[]).await;
    let answer = starter.handle(&created()).await.unwrap();
    assert_eq!(answer.status, Status::AlreadyStarted);
    assert!(answer.reason.contains(NAME), "{}", answer.reason);
}

#[tokio::test(start_paused = true)]
async fn other_errors_of_step_functions_are_errors() {
    let denied = || json_error("AccessDeniedException", "not authorized");
    let refuses = mock!(aws_sdk_sfn::Client::start_execution).then_http_response(denied);
    let starter = starter(&minimal().to_string(), &[&refuses], &[]).await;
    let error = starter.handle(&created()).await.unwrap_err();
    assert_eq!(error.name(), "AccessDenied");
    assert!(
        error.to_string().contains("states:StartExecution"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_failed_creation_starts_nothing_and_says_why() {
    let reason = ignored(&failed(), &minimal()).await;
    assert!(reason.contains("EMAIL_ALREADY_EXISTS"), "{reason}");
    let mut event = managed();
    let status = &mut event["detail"]["serviceEventDetails"]["createManagedAccountStatus"];
    status["state"] = json!("FAILED");
    status["message"] = json!("AWS Control Tower failed to create a managed account.");
    let reason = ignored(&event, &minimal()).await;
    assert!(
        reason.contains("failed to create a managed account"),
        "{reason}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_is_not_enabled_starts_nothing() {
    let policy = json!({"input": {"clusterName": "main"}});
    let reason = ignored(&created(), &policy).await;
    assert!(reason.contains("not enabled"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn accounts_outside_the_policy_are_ignored() {
    let mut policy = minimal();
    policy["excludeAccounts"] = json!([ACCOUNT]);
    let reason = ignored(&created(), &policy).await;
    assert!(reason.contains("excludes account"), "{reason}");

    let mut policy = minimal();
    policy["events"] = json!(["CreateManagedAccount"]);
    let reason = ignored(&created(), &policy).await;
    assert!(reason.contains("CreateAccountResult"), "{reason}");
    started(&managed(), &policy, NAME, main_cluster(&managed())).await;
}

#[tokio::test(start_paused = true)]
async fn the_management_account_is_no_new_account() {
    // CreateOrganization lets the management account join its own organization.
    let mut event = joined();
    event["detail"]["serviceEventDetails"]["accountId"] = json!("111122223333");
    let reason = ignored(&event, &minimal()).await;
    assert!(reason.contains("management account"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn an_invited_account_is_new_only_if_the_policy_says_so() {
    let mut event = joined();
    event["detail"]["serviceEventDetails"]["joinedMethod"] = json!("INVITED");
    let reason = ignored(&event, &minimal()).await;
    assert!(reason.contains("invited"), "{reason}");
    let mut policy = minimal();
    policy["invitedAccounts"] = json!(true);
    started(&event, &policy, NAME, main_cluster(&event)).await;
}

#[tokio::test(start_paused = true)]
async fn the_account_that_joined_is_found_wherever_it_stands_and_only_if_there_is_one() {
    let mut event = joined();
    let detail = &mut event["detail"];
    detail["serviceEventDetails"] = Value::Null;
    detail["requestParameters"] = json!({"accountId": ACCOUNT, "joinedMethod": "Created"});
    started(&event, &minimal(), NAME, main_cluster(&event)).await;

    // The management account beside it is no second one; another account is.
    event["detail"]["responseElements"] = json!([{"accountId": "111122223333"}]);
    started(&event, &minimal(), NAME, main_cluster(&event)).await;
    event["detail"]["responseElements"] = json!([{"accountId": "777788889999"}]);
    let message = refused(&event, &with(json!({"invitedAccounts": true}))).await;
    assert!(message.contains("one accountId"), "{message}");

    event["detail"]["requestParameters"] = json!({"joinedMethod": "Created"});
    event["detail"]["responseElements"] = Value::Null;
    let message = refused(&event, &with(json!({"invitedAccounts": true}))).await;
    assert!(message.contains("one accountId"), "{message}");
}

/// Its shape is assumed. Another event tells of the same account, unless it was invited.
#[tokio::test(start_paused = true)]
async fn an_account_that_joined_somehow_is_passed_over_unless_no_other_event_tells_of_it() {
    let mut event = joined();
    event["detail"]["serviceEventDetails"] = json!({"account": ACCOUNT});
    for policy in [
        json!({}),
        json!({"enabled": false, "invitedAccounts": true}),
        json!({"events": ["CreateAccountResult"], "invitedAccounts": true}),
    ] {
        let policy: Value = serde_json::from_str(&with(policy)).unwrap();
        let reason = ignored(&event, &policy).await;
        assert!(reason.contains("another event"), "{reason}");
    }
    for policy in [
        json!({"invitedAccounts": true}),
        json!({"events": ["AccountJoinedOrganization"]}),
    ] {
        let message = refused(&event, &with(policy)).await;
        assert!(message.contains("in the event"), "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_that_was_changed_is_started_for_as_a_new_one_if_the_policy_says_so() {
    // Its creation failed, and somebody mended it in Service Catalog.
    let mut event = managed();
    event["detail"]["serviceEventDetails"]["createManagedAccountStatus"]["state"] = json!("FAILED");
    ignored(&event, &minimal()).await;
    started(&updated(), &minimal(), NAME, main_cluster(&updated())).await;

    let mut event = updated();
    event["detail"]["serviceEventDetails"]["updateManagedAccountStatus"]["state"] = json!("FAILED");
    ignored(&event, &minimal()).await;
    let policy: Value =
        serde_json::from_str(&with(json!({"events": ["CreateManagedAccount"]}))).unwrap();
    let reason = ignored(&updated(), &policy).await;
    assert!(reason.contains("UpdateManagedAccount"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_baseline_counts_if_it_enrols_accounts_and_is_there() {
    let details = |event: &mut Value| {
        event["detail"]["serviceEventDetails"]["enableBaselineStatus"]["enabledBaselineDetails"]
            .take()
    };
    for (pointer, value, said) in [
        (
            "/baselineIdentifier",
            "arn:aws:controltower:ap-northeast-1::baseline/LN25R72TTG6IGPTQ",
            "enrols no accounts",
        ),
        ("/statusSummary/status", "FAILED", "no reason"),
    ] {
        let mut event = enrolled();
        let mut changed = details(&mut event);
        *changed.pointer_mut(pointer).unwrap() = json!(value);
        event["detail"]["serviceEventDetails"]["enableBaselineStatus"]["enabledBaselineDetails"] =
            changed;
        let reason = ignored(&event, &minimal()).await;
        assert!(reason.contains(said), "{reason}");
    }
    // The call that asks for it has the same name and source.
    let mut call = enrolled();
    call["detail"]["eventType"] = json!("AwsApiCall");
    call["detail"]["serviceEventDetails"] = Value::Null;
    let reason = ignored(&call, &minimal()).await;
    assert!(reason.contains("not its result"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_move_counts_for_a_policy_that_depends_on_where_an_account_is() {
    let reason = ignored(&moved(), &minimal()).await;
    assert!(reason.contains("does not depend"), "{reason}");
    let policy = json!({
        "enabled": true,
        "input": {"clusterName": "main"},
        "organizationalUnits": [{"id": "r-abcd", "exclude": true}, {"id": "ou-abcd-1a2b3c4d", "exclude": false}],
    });
    let parent = mock!(aws_sdk_organizations::Client::list_parents)
        .match_requests(|call| call.child_id() == Some("ou-abcd-1a2b3c4d"))
        .then_output(|| {
            let root = Parent::builder().id("r-abcd").r#type(ParentType::Root);
            ListParentsOutput::builder().parents(root.build()).build()
        });
    let accepts = accepts(NAME, main_cluster(&moved()));
    let starter = starter(&policy.to_string(), &[&accepts], &[&parent]).await;
    let answer = starter.handle(&moved()).await.unwrap();
    assert_eq!(answer.status, Status::Started);

    // Back to the root, which has no parent to ask for.
    let mut back = moved();
    back["detail"]["requestParameters"]["destinationParentId"] = json!("r-abcd");
    let answer = starter.handle(&back).await.unwrap();
    assert_eq!(answer.status, Status::Ignored);
    assert_eq!((accepts.num_calls(), parent.num_calls()), (1, 1));

    let mut failed = moved();
    failed["detail"]["errorCode"] = json!("DuplicateAccountException");
    let answer = starter.handle(&failed).await.unwrap();
    assert!(
        answer.reason.contains("DuplicateAccountException"),
        "{answer:?}"
    );
}

/// Step Functions forgets names; an account may be changed years later.
#[tokio::test(start_paused = true)]
async fn started_or_known_clusters_are_never_started_again() {
    for path in [STARTED, REGISTRY] {
        let world = world_with(&minimal().to_string()).await;
        let name = format!("{path}/{ACCOUNT}/ap-northeast-1/main");
        world.put_parameter(&name, "x").await;
        let starter = starter_in(&world.base(), &[], &[]);
        let answer = starter.handle(&updated()).await.unwrap();
        assert_eq!(answer.status, Status::AlreadyStarted);
        assert_eq!(world.changes(), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn started_execution_is_recorded_and_a_failure_to_record_is_an_error() {
    let accepts = accepts(NAME, main_cluster(&created()));
    let world = world_with(&minimal().to_string()).await;
    let starter = starter_in(&world.base(), &[&accepts], &[]);
    world.fail_next("PutParameter", "ThrottlingException", "Rate exceeded");
    let error = starter.handle(&created()).await.unwrap_err();
    assert_eq!(error.name(), "Throttled");
    assert_eq!((accepts.num_calls(), written(&world)), (1, None));

    starter.handle(&created()).await.unwrap();
    assert_eq!(written(&world).as_deref(), Some(NAME));
    // To say it once more changes nothing.
    let cluster = Cluster {
        account: ACCOUNT,
        region: "ap-northeast-1",
        name: "main",
    };
    starter.started.add(&cluster, "another").await.unwrap();
    assert_eq!(written(&world).as_deref(), Some(NAME));
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_not_understood_is_refused_with_its_field() {
    let (details, status) = ("detail.serviceEventDetails", "createAccountStatus");
    let (state, id) = (
        format!("{details}.{status}.state"),
        format!("{details}.{status}.accountId"),
    );
    for (field, changed, value) in [
        (
            "detail.eventName",
            "detail.eventName",
            json!("CloseAccount"),
        ),
        (
            "detail.eventName",
            "detail.eventName",
            json!("UpdateManagedAccount"),
        ),
        ("detail.eventName", "source", json!("aws.controltower")),
        ("source", "source", json!(7)),
        (details, details, Value::Null),
        (&state, &state, json!("MAYBE")),
        (&id, &id, json!("44445555666")),
        (&id, &id, json!(444_455_556_666_u64)),
        (&id, &id, json!("４４４４５５５５６６６６")),
        (&id, &id, Value::Null),
    ] {
        let mut event = created();
        let pointer = format!("/{}", changed.replace('.', "/"));
        *event.pointer_mut(&pointer).unwrap() = value;
        let message = refused(&event, &minimal().to_string()).await;
        let expected = format!("{field} in the event: ");
        assert!(message.starts_with(&expected), "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_policy_is_refused_with_its_field() {
    for (field, policy) in [
        ("the policy", "enabled: true".to_owned()),
        ("the policy", "[]".to_owned()),
        ("enable", json!({"enable": true, "input": {}}).to_string()),
        ("the policy", json!({"enabled": true}).to_string()),
        ("events[0]", with(json!({"events": ["CreateAccount"]}))),
        (
            "input",
            json!({"enabled": true, "input": {"region": "eu-west-1"}}).to_string(),
        ),
        (
            "input.clusterName",
            with(json!({"input": {"clusterName": "-{accountId}"}})),
        ),
        (
            "input.account",
            with(json!({"input": {"clusterName": "a", "account": {}}})),
        ),
        (
            "input.dryRun",
            with(json!({"input": {"clusterName": "a", "dryRun": true}})),
        ),
        (
            "input.network.cidrs",
            with(json!({"input": {"clusterName": "a", "network": {"cidrs": ""}}})),
        ),
        (
            "input.region",
            with(json!({"input": {"clusterName": "a", "region": "Tokyo"}})),
        ),
        (
            "account.roleName",
            with(json!({"account": {"roleName": "arn:aws:iam::1:role/x"}})),
        ),
        (
            "excludeAccounts[1]",
            with(json!({"excludeAccounts": [ACCOUNT, "4444"]})),
        ),
        ("joinedSince", with(json!({"joinedSince": "last week"}))),
        (
            "organizationalUnits[0].id",
            with(json!({"organizationalUnits": [{"id": "Sandbox"}]})),
        ),
        (
            "organizationalUnits[1].id",
            with(json!({"organizationalUnits": [{"id": "r-abcd"}, {"id": "r-abcd"}]})),
        ),
        (
            "organizationalUnits[0].input.account",
            with(json!({
                "organizationalUnits": [{"id": "r-abcd", "input": {"account": {}}}],
            })),
        ),
    ] {
        let message = refused(&created(), &policy).await;
        let expected = format!("{field} in the parameter {PARAMETER}: ");
        assert!(message.starts_with(&expected), "{policy}: {message}");
    }
}

/// The minimal policy with other members.
fn with(members: Value) -> String {
    let mut policy = minimal();
    let Value::Object(members) = members else {
        panic!("members of an object")
    };
    policy.as_object_mut().unwrap().extend(members);
    policy.to_string()
}

/// AWS Organizations with an account in `ou-abcd-apps0001`, that in `ou-abcd-prod0001`, that in the root.
fn organization() -> [Rule; 2] {
    let parent = |id: &str, kind: ParentType| {
        let parent = Parent::builder().id(id).r#type(kind).build();
        ListParentsOutput::builder().parents(parent).build()
    };
    let of_root = mock!(aws_sdk_organizations::Client::list_parents)
        .match_requests(|call| call.child_id() == Some("ou-abcd-prod0001"))
        .then_output(move || parent("r-abcd", ParentType::Root));
    let of_unit = mock!(aws_sdk_organizations::Client::list_parents)
        .match_requests(|call| call.child_id() != Some("ou-abcd-prod0001"))
        .then_compute_output(move |call| match call.child_id() {
            Some(ACCOUNT) => parent("ou-abcd-apps0001", ParentType::OrganizationalUnit),
            _ => parent("ou-abcd-prod0001", ParentType::OrganizationalUnit),
        });
    [of_root, of_unit]
}

async fn in_the_organization(event: &Value, policy: Value) -> Result<Answer, Error> {
    let [of_root, of_unit] = organization();
    let accepts = mock!(aws_sdk_sfn::Client::start_execution).then_compute_output(|call| {
        StartExecutionOutput::builder()
            .execution_arn(call.input().unwrap_or_default())
            .start_date(aws_sdk_sfn::primitives::DateTime::from_secs(0))
            .build()
            .unwrap()
    });
    let policy = policy.to_string();
    let starter = starter(&policy, &[&accepts], &[&of_root, &of_unit]).await;
    let answer = starter.handle(event).await;
    assert_eq!(
        of_root.num_calls(),
        1,
        "asks up to the root, and no further"
    );
    answer
}

#[tokio::test(start_paused = true)]
async fn the_unit_nearest_to_the_account_has_the_last_word() {
    let policy = |units: Value| json!({"enabled": true, "input": {"clusterName": "main"}, "organizationalUnits": units});
    // The order in the policy does not matter, that in the organization does.
    let of_parent_only = policy(json!([
        {"id": "ou-abcd-apps0001", "exclude": false},
        {"id": "ou-abcd-prod0001"},
        {"id": "r-abcd", "exclude": true},
    ]));
    let answer = in_the_organization(&created(), of_parent_only)
        .await
        .unwrap();
    assert_eq!(answer.status, Status::Started);

    let excluded_above = policy(json!([{"id": "ou-abcd-prod0001", "exclude": true}]));
    let answer = in_the_organization(&created(), excluded_above)
        .await
        .unwrap();
    assert_eq!(answer.status, Status::Ignored);
    assert!(
        answer.reason.contains("ou-abcd-prod0001"),
        "{}",
        answer.reason
    );
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_the_event_names_is_not_asked_for() {
    let policy = json!({
        "enabled": true,
        "input": {"clusterName": "main"},
        "organizationalUnits": [{"id": "ou-abcd-1a2b3c4d", "exclude": true}],
    });
    let answer = in_the_organization(&managed(), policy).await.unwrap();
    assert_eq!(answer.status, Status::Ignored);
}

#[tokio::test(start_paused = true)]
async fn a_unit_changes_the_input_for_its_accounts_only() {
    let policy = json!({
        "enabled": true,
        "account": {"roleName": "Builder", "externalId": "x-1"},
        "input": {
            "clusterName": "c-{accountId}",
            "network": {"natGateways": "single", "availabilityZones": 2},
            "access": {"admins": ["arn:aws:iam::{accountId}:role/Admin"]},
            "logging": ["audit"],
        },
        "organizationalUnits": [
            {"id": "ou-abcd-apps0001", "input": {"network": {"natGateways": "onePerAz"}}},
            {"id": "ou-abcd-prod0001", "input": {
                "network": {"natGateways": "single", "cidr": "10.20.0.0/16"}, "logging": null,
            }},
            {"id": "ou-abcd-other001", "input": {"region": "eu-west-1"}},
        ],
    });
    let policy = Policy::parse(&policy.to_string()).unwrap();
    let Event::Created(account) = Event::parse(&created()).unwrap() else {
        panic!("it was created");
    };
    let units = ["r-abcd", "ou-abcd-prod0001", "ou-abcd-apps0001"].map(str::to_owned);
    let place = place();
    let Decision::Build(spec) = policy.decide(&account, &units, &place).unwrap() else {
        panic!("it is built");
    };
    assert_eq!(
        serde_json::to_value(&spec).unwrap(),
        json!({
            "clusterName": "c-444455556666",
            "region": "ap-northeast-1",
            "account": {
                "id": ACCOUNT, "roleName": "Builder", "externalId": "x-1",
                "newSince": "2023-05-15T08:27:14Z",
            },
            "network": {"cidr": "10.20.0.0/16", "availabilityZones": 2, "natGateways": "onePerAz"},
            "access": {"admins": ["arn:aws:iam::444455556666:role/Admin"]},
        })
    );
}

/// Each would be an execution that `plan` refuses, and the account would count as started.
#[tokio::test(start_paused = true)]
async fn roles_that_the_stack_does_not_reach_are_refused_before_anything_is_started() {
    let platform = RoleNames {
        path: "/platform/".to_owned(),
        name_prefix: "platform-".to_owned(),
    };
    for (names, iam, field, expected) in [
        (
            RoleNames::default(),
            json!({"namePrefix": "platform-"}),
            "input.iam.namePrefix",
            "RoleNamePrefix",
        ),
        (
            platform.clone(),
            json!({"path": "/"}),
            "input.iam.path",
            "/platform/, which is the stack's ClusterRolePath",
        ),
    ] {
        let policy = json!({"enabled": true, "input": {"clusterName": "main", "iam": iam}});
        let world = world_with(&policy.to_string()).await;
        let starter = starter_in(&world.base().with_role_names(names), &[], &[]);
        let text = starter.handle(&created()).await.unwrap_err().to_string();
        assert!(text.contains(field), "{text}");
        assert!(text.contains(expected), "{text}");
    }
    let iam = json!({"path": "/platform/", "namePrefix": "platform-a-"});
    let policy = json!({"enabled": true, "input": {"clusterName": "main", "iam": iam}});
    let Event::Created(account) = Event::parse(&created()).unwrap() else {
        panic!("it was created");
    };
    let policy = Policy::parse(&policy.to_string()).unwrap();
    let place = Place {
        iam: platform,
        ..place()
    };
    let decision = policy.decide(&account, &[], &place).unwrap();
    assert!(matches!(decision, Decision::Build(_)), "{decision:?}");
}

/// It is a time to begin at, and no mistake.
#[tokio::test(start_paused = true)]
async fn until_joined_since_has_come_no_account_gets_a_cluster() {
    let policy = json!({
        "enabled": true,
        "joinedSince": "9999-01-01T00:00:00Z",
        "input": {"clusterName": "main"},
    });
    let starter = starter(&policy.to_string(), &[], &[]).await;
    let answer = starter.handle(&created()).await.unwrap();
    assert_eq!(answer.status, Status::Ignored);
    assert!(answer.reason.contains("before 9999"), "{}", answer.reason);
}

#[tokio::test(start_paused = true)]
async fn a_mistake_in_a_units_changes_is_named_where_it_stands() {
    let policy = |input: Value| {
        json!({
            "enabled": true,
            "input": {"clusterName": "main", "network": {"cidr": "10.0.0.0/30"}},
            "organizationalUnits": [
                {"id": "r-abcd", "input": {"network": {"natGateways": "single"}}},
                {"id": "ou-abcd-apps0001", "input": input},
            ],
        })
    };
    for (field, input) in [
        (
            "organizationalUnits[1].input.network.cidr",
            json!({"network": {"cidr": "10.0.0.0/29"}}),
        ),
        (
            "input.network.cidr",
            json!({"network": {"availabilityZones": 2}}),
        ),
        (
            "organizationalUnits[1].input.kubernetesVersion",
            json!({"kubernetesVersion": "2"}),
        ),
        ("input", json!({"clusterName": null})),
    ] {
        let error = in_the_organization(&created(), policy(input))
            .await
            .unwrap_err();
        let expected = format!("{field} in the parameter {PARAMETER}: ");
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn missing_permission_on_the_organization_is_reported() {
    let denied = || json_error("AccessDeniedException", "You don't have permissions");
    let refuses = mock!(aws_sdk_organizations::Client::list_parents).then_http_response(denied);
    let policy = with(json!({"organizationalUnits": [{"id": "r-abcd", "exclude": true}]}));
    let starter = starter(&policy, &[], &[&refuses]).await;
    let error = starter.handle(&created()).await.unwrap_err();
    assert_eq!(error.name(), "AccessDenied");
    let message = error.to_string();
    assert!(message.contains("organizations:ListParents"), "{message}");
    assert!(message.contains("delegated administrators"), "{message}");
}

#[test]
fn the_own_account_is_as_good_as_any() {
    let mut event = managed();
    event["account"] = json!("999900001111");
    let Event::Created(account) = Event::parse(&event).unwrap() else {
        panic!("it was created");
    };
    let policy = Policy::parse(&minimal().to_string()).unwrap();
    assert_eq!(policy.passes_over(&account), None);
}

#[test]
fn the_committed_policies_fit_types_and_schema() {
    let schema = serde_json::to_value(schemars::schema_for!(Policy)).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    for name in ["minimal", "organizational-units"] {
        let example = example(&format!("policies/{name}"));
        let policy = Policy::parse(&example.to_string()).unwrap();
        assert_eq!(serde_json::to_value(&policy).unwrap(), example, "{name}");
        assert!(schema.is_valid(&example), "{name}");
    }
    for wrong in [
        json!({"enabled": true}),
        json!({"enabled": true, "input": {}}),
        json!({"enabled": true, "input": {"clusterName": "a", "account": {"id": ACCOUNT}}}),
        json!({"enabled": true, "input": {"clusterName": "a"}, "organizationalUnits": [{"id": "Prod"}]}),
        json!({"enabled": true, "input": {"clusterName": "a"}, "events": ["CreateAccount"]}),
        json!({"enabled": true, "input": {"clusterName": "a"}, "excludeAccounts": ["12"]}),
    ] {
        assert!(!schema.is_valid(&wrong), "{wrong}");
    }
}

#[test]
fn the_policies_in_the_documentation_are_fit() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/new-accounts.md");
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("```json").skip(1);
    let policies: Vec<&str> = blocks.filter_map(|it| it.split("```").next()).collect();
    assert_eq!(policies.len(), 2);
    let Event::Created(account) = Event::parse(&managed()).unwrap() else {
        panic!("it was created");
    };
    let place = place();
    for text in policies {
        let policy = Policy::parse(text).unwrap();
        assert_eq!(policy.passes_over(&account), None);
        let mut units = vec!["r-abcd".to_owned()];
        for unit in &policy.organizational_units {
            units.extend((unit.id != "r-abcd").then(|| unit.id.clone()));
        }
        let decision = policy.decide(&account, &units, &place).unwrap();
        assert!(matches!(decision, Decision::Build(_)), "{decision:?}");
    }
}

/// The schema is for editors and for people; `UPDATE_SCHEMA=1` writes it again.
#[test]
fn the_committed_schema_is_that_of_the_types() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../statemachine");
    let path = format!("{folder}/account-policy.schema.json");
    let schema = serde_json::to_string_pretty(&schemars::schema_for!(Policy)).unwrap() + "\n";
    if std::env::var("UPDATE_SCHEMA").is_ok_and(|value| value == "1") {
        std::fs::write(&path, &schema).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == schema,
        "run `UPDATE_SCHEMA=1 cargo test` and commit {path}"
    );
}
