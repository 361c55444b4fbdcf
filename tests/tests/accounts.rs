//! From a new account to a cluster, on the laptop's AWS: the deployed rules, function, queue and machine,
//! with IAM enforced for everything that ministack plays.
//!
//! Nobody but AWS may put events of `aws.*` on a bus, and the laptop's AWS refuses them as AWS does. So
//! the rules are asked whether they match, and the function is invoked as EventBridge invokes it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use futures::future::join_all;
use hardway::local::{Laptop, Options};
use jiff::Timestamp;
use serde_json::{Value, json};
use tests::laptop::{answers, aws, aws_as, call, deliver};
use tests::world::{ACCOUNT, REGION};
use tests::{left, project};

const FUNCTION: &str = "account-created";
/// Created by AWS Organizations.
const CREATED: &str = "444455556666";
/// Created by AWS Control Tower.
const MANAGED: &str = "777788889999";
/// How long anything that takes seconds may take before the test gives up.
const LIMIT: Duration = Duration::from_mins(2);
/// How long answers that come at all may be apart.
const GAP: Duration = Duration::from_secs(30);
/// How often it is asked.
const INTERVAL: Duration = Duration::from_millis(200);

fn event(name: &str) -> Value {
    project::read_json(&format!("statemachine/examples/events/{name}.json"))
}

fn created() -> Value {
    event("organizations-create-account-result")
}

fn joined() -> Value {
    event("organizations-account-joined-organization")
}

fn failed() -> Value {
    event("organizations-create-account-result-failed")
}

/// Control Tower's event, of another account than that of Organizations' events.
fn managed() -> Value {
    let mut event = event("control-tower-create-managed-account");
    let status = &mut event["detail"]["serviceEventDetails"]["createManagedAccountStatus"];
    status["account"]["accountId"] = json!(MANAGED);
    event
}

/// Control Tower could not set the account up.
fn not_managed() -> Value {
    let mut event = managed();
    event["detail"]["serviceEventDetails"]["createManagedAccountStatus"]["state"] = json!("FAILED");
    event
}

/// Somebody has mended that.
fn updated() -> Value {
    let mut event = event("control-tower-update-managed-account");
    let status = &mut event["detail"]["serviceEventDetails"]["updateManagedAccountStatus"];
    status["account"]["accountId"] = json!(MANAGED);
    event
}

fn moved() -> Value {
    event("organizations-move-account")
}

/// Events that look like those of new accounts, each with what is said about it.
fn malformed() -> Vec<(Value, &'static str)> {
    let with = |pointer: &str, value: Value| {
        let mut event = created();
        *event.pointer_mut(pointer).unwrap() = value;
        event
    };
    let status = "/detail/serviceEventDetails/createAccountStatus";
    vec![
        (
            with("/detail/eventName", json!("CloseAccount")),
            "detail.eventName",
        ),
        (
            with(&format!("{status}/accountId"), json!("44445555666")),
            "expected twelve digits",
        ),
        (
            with(&format!("{status}/accountId"), Value::Null),
            "expected twelve digits",
        ),
    ]
}

/// The answers of the function, by status.
type Answers = BTreeMap<String, Vec<String>>;

/// Delivers events, all at once, and waits for their answers: one for each event, and for one that the
/// function refuses one for each of its three tries.
///
/// Answers are lines in the log. The laptop's Lambda reads what an environment writes for a tenth of a
/// second after it has answered; on a busy machine a line comes with the environment's next invocation,
/// or never. So `expected` says how many there should be, and how many have to do when no more come.
async fn announce(laptop: &Laptop, events: &[Value], expected: RangeInclusive<usize>) -> Answers {
    let since = Timestamp::now();
    let is_new = |answer: &Value| {
        let at: Timestamp = answer["timestamp"].as_str().unwrap().parse().unwrap();
        at >= since
    };
    let name = format!("hardway-{FUNCTION}");
    join_all(events.iter().map(|event| deliver(laptop, &name, event))).await;

    let (mut latest, mut seen) = (Instant::now(), 0);
    loop {
        let mut answers = answers(laptop, FUNCTION).await;
        // A late line of an earlier announcement is none of this one's.
        answers.retain(is_new);
        assert!(answers.len() <= *expected.end(), "{answers:#?}");
        if answers.len() > seen {
            (latest, seen) = (Instant::now(), answers.len());
        }
        let is_enough = expected.contains(&seen) && latest.elapsed() > GAP;
        if seen == *expected.end() || is_enough {
            return by_status(&answers);
        }
        assert!(latest.elapsed() < LIMIT, "{answers:#?}");
        tokio::time::sleep(INTERVAL).await;
    }
}

fn by_status(answers: &[Value]) -> Answers {
    let mut by_status = Answers::new();
    for answer in answers {
        let text = |member: &str| answer[member].as_str().unwrap().to_owned();
        by_status
            .entry(text("status"))
            .or_default()
            .push(text("reason"));
    }
    by_status
}

/// What is in the queue when there is as much as expected.
async fn kept(laptop: &Laptop, expected: usize) -> Vec<Value> {
    let start = Instant::now();
    let outputs = aws(
        laptop,
        &[
            "cloudformation",
            "describe-stacks",
            "--stack-name",
            "hardway",
        ],
    );
    let mut outputs = outputs["Stacks"][0]["Outputs"].as_array().unwrap().iter();
    let queue = outputs
        .find(|it| it["OutputKey"] == "AccountEventsQueueUrl")
        .unwrap();
    let queue = queue["OutputValue"].as_str().unwrap();
    let mut kept = Vec::new();
    while kept.len() < expected {
        assert!(start.elapsed() < LIMIT, "{kept:#?}");
        // Not through the AWS CLI: version 1 has an endpoint of its own for SQS, whatever it is told.
        let request = json!({
            "QueueUrl": queue,
            "MaxNumberOfMessages": 10,
            "WaitTimeSeconds": 5,
            "VisibilityTimeout": 600,
        });
        let answer = call(laptop, "sqs", "AmazonSQS.ReceiveMessage", &request).await;
        let messages = answer["Messages"].as_array().into_iter().flatten();
        kept.extend(messages.map(|message| {
            serde_json::from_str::<Value>(message["Body"].as_str().unwrap()).unwrap()
        }));
    }
    assert_eq!(kept.len(), expected, "{kept:#?}");
    kept
}

fn executions(laptop: &Laptop) -> BTreeMap<String, String> {
    let machine = laptop.stack().provision_arn.as_str();
    let list = [
        "stepfunctions",
        "list-executions",
        "--state-machine-arn",
        machine,
    ];
    let list = aws(laptop, &list);
    let text = |it: &Value, member: &str| it[member].as_str().unwrap().to_owned();
    let list = list["executions"].as_array().unwrap().iter();
    list.map(|it| (text(it, "name"), text(it, "executionArn")))
        .collect()
}

fn set_policy(laptop: &Laptop, policy: &Value) {
    let policy = policy.to_string();
    let put = [
        "ssm",
        "put-parameter",
        "--name",
        "/hardway/new-accounts",
        "--overwrite",
        "--value",
        &policy,
    ];
    aws(laptop, &put);
}

/// An IAM user may do nothing before a policy lets them.
fn assert_iam_is_enforced(laptop: &Laptop) {
    let iam = [("AWS_ENDPOINT_URL_IAM", laptop.endpoint())];
    let iam = |arguments: &[&str]| aws_as(laptop, &iam, arguments).unwrap();
    iam(&["iam", "create-user", "--user-name", "nobody"]);
    let key = iam(&["iam", "create-access-key", "--user-name", "nobody"]);
    let key = |member: &str| key["AccessKey"][member].as_str().unwrap();
    let nobody = [
        ("AWS_ACCESS_KEY_ID", key("AccessKeyId")),
        ("AWS_SECRET_ACCESS_KEY", key("SecretAccessKey")),
    ];
    let refused = aws_as(laptop, &nobody, &["stepfunctions", "list-state-machines"]).unwrap_err();
    assert!(refused.contains("AccessDenied"), "{refused}");
}

/// From now on the function's role is forbidden to read the policy.
fn forbid_the_function_its_policy(laptop: &Laptop) {
    let name = format!("hardway-{FUNCTION}");
    let configuration = [
        "lambda",
        "get-function-configuration",
        "--function-name",
        &name,
    ];
    let configuration = aws(laptop, &configuration);
    let role = configuration["Role"]
        .as_str()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap();
    let denies = json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "Action": "ssm:GetParameter", "Resource": "*"}],
    });
    let put = [
        "iam",
        "put-role-policy",
        "--role-name",
        role,
        "--policy-name",
        "Deny",
        "--policy-document",
        &denies.to_string(),
    ];
    aws_as(laptop, &[("AWS_ENDPOINT_URL_IAM", laptop.endpoint())], &put).unwrap();
}

/// Creates an account in the laptop's organization, directly in the root: the ids of both.
fn account_in_the_root(laptop: &Laptop) -> (String, String) {
    let create = [
        "organizations",
        "create-account",
        "--account-name",
        "excluded",
        "--email",
        "a@example.com",
    ];
    let account = aws(laptop, &create)["CreateAccountStatus"]["AccountId"].take();
    let root = aws(laptop, &["organizations", "list-roots"])["Roots"][0]["Id"].take();
    let text = |id: Value| id.as_str().unwrap().to_owned();
    (text(account), text(root))
}

/// The patterns of the deployed rules that invoke the function; the others are about hardway's own events.
async fn patterns(laptop: &Laptop) -> Vec<String> {
    let rules = call(laptop, "events", "AWSEvents.ListRules", &json!({})).await;
    let rules = rules["Rules"].as_array().unwrap().iter();
    let patterns: Vec<String> = rules
        .map(|rule| rule["EventPattern"].as_str().unwrap().to_owned())
        .filter(|pattern| !pattern.contains("hardway"))
        .collect();
    assert_eq!(patterns.len(), 2, "{patterns:?}");
    patterns
}

/// How many of the rules match an event.
async fn matches(laptop: &Laptop, patterns: &[String], event: &Value) -> usize {
    let asked = patterns.iter().map(async |pattern| {
        let request = json!({"EventPattern": pattern, "Event": event.to_string()});
        let answer = call(laptop, "events", "AWSEvents.TestEventPattern", &request).await;
        answer["Result"] == true
    });
    join_all(asked).await.into_iter().filter(|it| *it).count()
}

/// One rule for each event of a new account, and none for what is nearly one.
async fn assert_the_rules_match_what_they_should(laptop: &Laptop) {
    let patterns = patterns(laptop).await;
    let mut other_detail_type = joined();
    other_detail_type["detail-type"] = json!("AWS API Call via CloudTrail");
    let enrolled = [
        "register-organizational-unit",
        "enable-baseline",
        "reset-enabled-baseline",
        "update-enabled-baseline",
    ];
    let enrolled = enrolled.map(|name| event(&format!("control-tower-{name}")));
    let others = [
        created(),
        failed(),
        joined(),
        moved(),
        managed(),
        updated(),
        other_detail_type,
    ];
    for event in others.into_iter().chain(enrolled) {
        assert_eq!(matches(laptop, &patterns, &event).await, 1, "{event:#}");
    }

    let near = |event: Value, pointer: &str, value: &str| {
        let mut event = event;
        *event.pointer_mut(pointer).unwrap() = json!(value);
        event
    };
    for miss in [
        // The call that asks for an account is not yet its result.
        near(created(), "/detail/eventName", "CreateAccount"),
        near(created(), "/detail/eventName", "createAccountResult"),
        near(
            created(),
            "/detail/eventName",
            "AccountDepartedOrganization",
        ),
        near(created(), "/detail/eventName", "CreateManagedAccount"),
        near(created(), "/source", "aws.controltower"),
        near(created(), "/source", "organizations.amazonaws.com"),
        near(created(), "/source", "custom.organizations"),
        near(
            managed(),
            "/detail/eventName",
            "DeregisterOrganizationalUnit",
        ),
        near(managed(), "/detail/eventName", "DisableBaseline"),
        near(moved(), "/detail/eventName", "MoveAccounts"),
        near(managed(), "/detail/eventName", "CreateOrganizationalUnit"),
        near(managed(), "/source", "aws.organizations"),
    ] {
        assert_eq!(matches(laptop, &patterns, &miss).await, 0, "{miss:#}");
    }
}

/// The clusters of an account, in the region of the stack; there must be none elsewhere.
fn clusters(laptop: &Laptop, account: &str) -> BTreeSet<String> {
    let state = laptop.simulator().state();
    let regions = state.accounts.get(account).map(|account| &account.regions);
    let regions = regions.into_iter().flatten();
    let clusters = regions.flat_map(|(name, region)| {
        let clusters = region.eks.clusters.keys();
        assert!(name == REGION || clusters.len() == 0, "{name}");
        clusters.cloned()
    });
    clusters.collect()
}

/// The policy that builds small clusters in all new accounts.
fn policy() -> Value {
    let mut policy = project::read_json("statemachine/examples/policies/minimal.json");
    policy["input"]["network"] = json!({"availabilityZones": 2, "natGateways": "single"});
    policy
}

/// As it is deployed, it starts nothing.
async fn assert_nothing_is_started_unasked(laptop: &Laptop) {
    let answers = announce(laptop, &[created()], 1..=1).await;
    let ignored = &answers["IGNORED"];
    assert!(ignored[0].contains("not enabled"), "{ignored:?}");
    assert_eq!(executions(laptop), BTreeMap::new());
}

/// Everything at once: two accounts announced fifty times each, one of them by its other event as well,
/// an account that could not be created, and events that nobody can make sense of.
async fn assert_each_account_gets_one_execution(laptop: &Laptop) {
    let mut events = vec![failed()];
    for (event, times) in [
        (created(), 50),
        (joined(), 10),
        (managed(), 25),
        (updated(), 25),
    ] {
        events.extend(std::iter::repeat_n(event, times));
    }
    events.extend(malformed().into_iter().map(|(event, _)| event));

    let answers = announce(laptop, &events, 110..=1 + 110 + 3 * 3).await;
    let expected = [
        ("ALREADY_STARTED", 108),
        ("ERROR", 9),
        ("IGNORED", 1),
        ("STARTED", 2),
    ];
    let most = |status: &str| {
        expected
            .iter()
            .find(|it| it.0 == status)
            .map_or(0, |it| it.1)
    };
    let is_right = |(status, lines): (&String, &Vec<String>)| lines.len() <= most(status);
    assert!(answers.iter().all(is_right), "{answers:#?}");
    let mut ignored = answers.get("IGNORED").into_iter().flatten();
    assert!(ignored.all(|reason| reason.contains("EMAIL_ALREADY_EXISTS")));
    let names: Vec<String> = executions(laptop).into_keys().collect();
    assert_eq!(
        names,
        [CREATED, MANAGED].map(|id| format!("{id}-{REGION}-main"))
    );
}

/// In both accounts, and nowhere else.
async fn assert_there_is_one_cluster_in_each(laptop: &Laptop) {
    for arn in executions(laptop).values() {
        let ended = laptop.follow(arn).await.unwrap();
        assert_eq!(ended.output().unwrap()["clusterName"], "main");
    }
    for account in [CREATED, MANAGED] {
        let clusters = clusters(laptop, account);
        assert_eq!(clusters, BTreeSet::from(["main".to_owned()]), "{account}");
        let view = laptop
            .simulator()
            .kubernetes(account, REGION, "main")
            .unwrap();
        assert!(hardway::summary::coredns_runs(&view), "{view:#?}");
    }
    assert_eq!(
        left::everything(&laptop.simulator().state(), ACCOUNT),
        [""; 0]
    );
}

/// The name stays taken when the execution has ended.
async fn assert_late_events_start_nothing(laptop: &Laptop) {
    let before = executions(laptop);
    let answers = announce(laptop, &[joined(), managed(), updated()], 3..=3).await;
    assert_eq!(answers["ALREADY_STARTED"].len(), 3);
    assert_eq!(executions(laptop), before);
}

/// It is none of a failure, and one of what mends it.
async fn assert_what_failed_starts_nothing(laptop: &Laptop) {
    let answers = announce(laptop, &[not_managed()], 1..=1).await;
    assert_eq!(answers["IGNORED"].len(), 1);
    assert_eq!(executions(laptop), BTreeMap::new());
}

/// An account that no event told of is found in the list of the organization's, once.
async fn assert_what_was_missed_is_started(laptop: &Laptop) {
    let (account, _) = account_in_the_root(laptop);
    let trust = simulator::State::organization_trust(ACCOUNT);
    laptop.simulator().change(|state| {
        let role = ("HardwayMember", trust.as_str());
        state.add_account(&account, [role]);
    });
    let reconcile = json!({"action": "reconcile"});
    let answers = announce(laptop, std::slice::from_ref(&reconcile), 1..=1).await;
    let name = format!("{account}-{REGION}-main");
    assert!(answers["STARTED"][0].contains(&name), "{answers:#?}");
    let arn = executions(laptop).remove(&name).unwrap();
    laptop.follow(&arn).await.unwrap().output().unwrap();
    assert_eq!(clusters(laptop, &account).len(), 1);

    let answers = announce(laptop, &[reconcile], 1..=1).await;
    assert!(
        answers["IGNORED"][0].contains("nothing is missing"),
        "{answers:#?}"
    );
}

/// Where an account is, AWS Organizations says.
async fn assert_a_unit_is_excluded(laptop: &Laptop) {
    let (account, root) = account_in_the_root(laptop);
    let mut policy = policy();
    policy["organizationalUnits"] = json!([{"id": root, "exclude": true}]);
    set_policy(laptop, &policy);
    let mut event = created();
    event["detail"]["serviceEventDetails"]["createAccountStatus"]["accountId"] = json!(account);
    let answers = announce(laptop, &[event], 1..=1).await;
    let ignored = &answers["IGNORED"];
    assert!(ignored[0].contains(&root), "{ignored:?}");
}

/// What was not understood, and what IAM forbids: the whole event, and why.
async fn assert_what_fails_is_kept(laptop: &Laptop) {
    forbid_the_function_its_policy(laptop);
    let answers = announce(laptop, &[created()], 3..=3).await;
    assert_eq!(answers["ERROR"].len(), 3);

    let mut expected = malformed();
    expected.push((created(), "ssm:GetParameter"));
    let kept = kept(laptop, expected.len()).await;
    for (event, reason) in expected {
        let of_event = |kept: &&Value| {
            let said = kept["responsePayload"]["errorMessage"].as_str().unwrap();
            kept["requestPayload"] == event && said.contains(reason)
        };
        assert_eq!(
            kept.iter().filter(of_event).count(),
            1,
            "{event}: {kept:#?}"
        );
    }
    let errors = kept
        .iter()
        .map(|kept| kept["responsePayload"]["errorType"].as_str().unwrap());
    let errors: BTreeSet<&str> = errors.collect();
    assert_eq!(errors, BTreeSet::from(["ExplicitDeny", "InvalidRequest"]));
}

/// One test, because a laptop takes seconds to start.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_account_gets_one_cluster_however_often_it_is_announced() {
    let laptop = Laptop::start(Options {
        speed: 60.0,
        auth: true,
        ..Options::default()
    })
    .await
    .unwrap();
    let trust = simulator::State::organization_trust(ACCOUNT);
    laptop.simulator().change(|state| {
        for account in [CREATED, MANAGED] {
            state.add_account(account, [("HardwayMember", trust.as_str())]);
        }
    });
    assert_iam_is_enforced(&laptop);
    assert_the_rules_match_what_they_should(&laptop).await;

    assert_nothing_is_started_unasked(&laptop).await;
    set_policy(&laptop, &policy());
    assert_what_failed_starts_nothing(&laptop).await;
    assert_each_account_gets_one_execution(&laptop).await;
    assert_there_is_one_cluster_in_each(&laptop).await;
    assert_late_events_start_nothing(&laptop).await;
    assert_what_was_missed_is_started(&laptop).await;
    assert_a_unit_is_excluded(&laptop).await;
    assert_what_fails_is_kept(&laptop).await;
}
