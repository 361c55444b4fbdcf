//! Whether what the check tells reaches anybody: an event on a bus of its own, and a queue that subscribes
//! to the stack's topic.

use serde_json::{Value, json};

use super::{Answers, Said, either};
use crate::acceptance::place::Place;

const MARK: &str = "acceptance-question";
/// How long an event may take.
const TRIES: usize = 12;
const WAIT_SECONDS: &str = "5";

fn queue(place: &Place) -> String {
    format!("{}-questions", place.stack())
}

fn topic(place: &Place) -> String {
    place.fill_in("arn:${Partition}:sns:${Region}:${AccountId}:${Stack}-notifications")
}

pub(in super::super) async fn ask(place: &Place, answers: &mut Answers) {
    let said = either(arrives(place).await);
    answers.keep("events-to-the-topic", said);
}

async fn cli(place: &Place, arguments: &[&str]) -> Result<Value, Said> {
    let call = arguments[..2].join(" ");
    let answer = place.cli(arguments).await;
    answer.map_err(|error| Said::not_answered(format!("{call}: {error}")))
}

async fn arrives(place: &Place) -> Result<Said, Said> {
    let url = subscribe(place).await?;
    put(place).await?;
    for _ in 0..TRIES {
        let receive = ["sqs", "receive-message", "--queue-url", &url];
        let how = ["--wait-time-seconds", WAIT_SECONDS];
        let received = cli(place, &[&receive[..], &how].concat()).await?;
        let messages = received["Messages"].as_array().into_iter().flatten();
        let mut bodies = messages.filter_map(|it| it["Body"].as_str());
        if bodies.any(|body| body.contains(MARK)) {
            return Ok(Said::believed(true, "it arrived"));
        }
    }
    Ok(Said::believed(false, "it did not arrive within a minute"))
}

/// A queue that gets what the topic gets; its URL.
async fn subscribe(place: &Place) -> Result<String, Said> {
    let arn = format!(
        "arn:${{Partition}}:sqs:${{Region}}:${{AccountId}}:{}",
        queue(place)
    );
    let arn = place.fill_in(&arn);
    let topic = topic(place);
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }]});
    let attributes = json!({"Policy": policy.to_string()}).to_string();
    let name = queue(place);
    let create = ["sqs", "create-queue", "--queue-name", &name];
    let create = [&create[..], &["--attributes", &attributes]].concat();
    let made = cli(place, &create).await?;
    let url = made["QueueUrl"].as_str().unwrap_or_default().to_owned();
    let subscribe = ["sns", "subscribe", "--topic-arn", &topic];
    let how = ["--protocol", "sqs", "--notification-endpoint", &arn];
    cli(place, &[&subscribe[..], &how].concat()).await?;
    Ok(url)
}

/// The event that the check puts when a finding appears.
async fn put(place: &Place) -> Result<(), Said> {
    let detail = json!({
        "clusterName": place.stack(),
        "accountId": place.target.account.id,
        "region": place.region(),
        "finding": {
            "id": MARK,
            "severity": "info",
            "resource": place.stack(),
            "seen": "a question of hardway acceptance",
            "expected": "nothing",
            "fix": "nothing",
        },
    });
    let entries = json!([{
        "Source": "hardway",
        "DetailType": "Cluster Finding Appeared",
        "EventBusName": place.stack(),
        "Detail": detail.to_string(),
    }]);
    let put = ["events", "put-events", "--entries", &entries.to_string()];
    let answer = cli(place, &put).await?;
    if answer["FailedEntryCount"].as_u64() == Some(0) {
        return Ok(());
    }
    Err(Said::not_answered(format!("events put-events: {answer}")))
}

/// What EventBridge has counted, late in the run: the metric is minutes behind.
pub(in super::super) async fn ask_at_the_end(place: &Place, answers: &mut Answers) {
    let said = either(failed_invocations(place).await);
    answers.keep("failed-invocations", said);
}

async fn failed_invocations(place: &Place) -> Result<Said, Said> {
    let list = ["events", "list-rules", "--event-bus-name", place.stack()];
    let rules = cli(place, &list).await?;
    let rules = rules["Rules"].as_array().into_iter().flatten();
    let name = rules
        .filter_map(|rule| rule["Name"].as_str())
        .find(|name| name.contains("FindingAppeared"));
    let name = name.ok_or_else(|| Said::not_answered("the rule is not on the bus"))?;
    let now = jiff::Timestamp::now();
    let hours = jiff::SignedDuration::from_hours(3);
    let start = now.saturating_sub(hours).unwrap_or(now).to_string();
    let end = now.to_string();
    let bus = format!("Name=EventBusName,Value={}", place.stack());
    let rule = format!("Name=RuleName,Value={name}");
    let sum = async |metric: &str| {
        let get = [
            "cloudwatch",
            "get-metric-statistics",
            "--namespace",
            "AWS/Events",
        ];
        let what = ["--metric-name", metric, "--dimensions", &bus, &rule];
        let when = ["--start-time", &start, "--end-time", &end];
        let how = ["--period", "3600", "--statistics", "Sum"];
        let answer = cli(place, &[&get[..], &what, &when, &how].concat()).await?;
        let points = answer["Datapoints"].as_array().into_iter().flatten();
        let points: Vec<f64> = points.filter_map(|it| it["Sum"].as_f64()).collect();
        Ok::<_, Said>((!points.is_empty()).then(|| points.iter().sum::<f64>()))
    };
    let failed = sum("FailedInvocations").await?;
    let matched = sum("TriggeredRules").await?;
    Ok(match (failed, matched) {
        (Some(failed), _) => Said::believed(failed < 0.5, format!("{failed} times")),
        // EventBridge counts a failure only when there is one.
        (None, Some(matched)) => Said::believed(
            true,
            format!("no failure is counted, the rule matched {matched} times"),
        ),
        (None, None) => Said::not_answered("there are no metrics of the rule"),
    })
}

/// Removes the queue; the subscription goes with the topic.
pub(in super::super) async fn undo(place: &Place) -> Result<(), String> {
    let name = queue(place);
    let get = ["sqs", "get-queue-url", "--queue-name", &name];
    let Ok(found) = place.cli(&get).await else {
        return Ok(());
    };
    let url = found["QueueUrl"].as_str().unwrap_or_default();
    let delete = ["sqs", "delete-queue", "--queue-url", url];
    let deleted = place.cli(&delete).await;
    deleted
        .map(drop)
        .map_err(|error| format!("queue {name}: {error}"))
}
