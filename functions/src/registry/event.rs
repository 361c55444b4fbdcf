//! What is told, as events of EventBridge.
//!
//! One event for each finding, so that a rule can choose by its id and severity. Where a rule's input
//! transformer puts a text into a mail it escapes nothing, so quotation marks and line breaks become
//! harmless ones here.

use serde_json::{Value, json};

use crate::model::Target;
use crate::registry::compare::{Change, Finding};
use crate::registry::entry::Told;

/// The source of hardway's events.
pub const SOURCE: &str = "hardway";
/// The type of an event about a finding that is new.
pub const APPEARED: &str = "Cluster Finding Appeared";
/// The type of an event about a finding that is over.
pub const RESOLVED: &str = "Cluster Finding Resolved";

/// Characters of one text: ten events with four of them each are far from PutEvents' 256 KB.
const TEXT_MAX: usize = 1000;

/// An entry for PutEvents. Its `Detail` is JSON, which the state machine makes text of.
#[must_use]
pub fn of(target: &Target, change: &Change, event_bus_name: &str) -> Value {
    let (kind, finding) = match change {
        Change::Resolved(told) => (RESOLVED, resolved(told)),
        Change::Appeared(told, finding) => (APPEARED, appeared(told, finding)),
    };
    let Target {
        cluster_name,
        region,
        partition,
        account,
        ..
    } = target;
    let account = &account.id;
    json!({
        "Source": SOURCE,
        "DetailType": kind,
        "EventBusName": event_bus_name,
        "Detail": {
            "clusterName": cluster_name,
            "clusterArn": format!("arn:{partition}:eks:{region}:{account}:cluster/{cluster_name}"),
            "region": region,
            "accountId": account,
            "finding": finding,
        },
    })
}

fn resolved(told: &Told) -> Value {
    json!({
        "id": text(&told.id),
        "severity": text(&told.severity),
        "resource": text(&told.resource),
        "since": text(&told.since),
    })
}

fn appeared(told: &Told, finding: &Finding) -> Value {
    let mut members = resolved(told);
    members["seen"] = text(&finding.seen).into();
    members["expected"] = text(&finding.expected).into();
    members["fix"] = text(&finding.fix).into();
    members
}

/// A text on one line, short enough, and with nothing in it that would end a text around it.
fn text(text: &str) -> String {
    let plain = |c: char| match c {
        '"' => '\'',
        '\\' => '/',
        c if c.is_control() => ' ',
        c => c,
    };
    let mut short: String = text.chars().take(TEXT_MAX).map(plain).collect();
    if text.chars().nth(TEXT_MAX).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Plan;

    fn told() -> Told {
        Told {
            id: "no-nat-route".to_owned(),
            severity: "error".to_owned(),
            resource: "rtb-1".to_owned(),
            since: "2026-11-24T10:09:31.214Z".to_owned(),
        }
    }

    fn finding(seen: &str) -> Finding {
        Finding {
            id: "no-nat-route".to_owned(),
            severity: "error".to_owned(),
            resource: "rtb-1".to_owned(),
            seen: seen.to_owned(),
            expected: "a route to a NAT gateway".to_owned(),
            fix: "start the provisioning again".to_owned(),
        }
    }

    #[test]
    fn an_event_says_which_cluster_and_what_is_wrong_with_it() {
        let mut target = Plan::example().target;
        target.account.external_id = Some("not for everybody".to_owned());
        let event = of(&target, &Change::Appeared(told(), finding("none")), "ops");
        assert_eq!(
            event,
            json!({
                "Source": "hardway",
                "DetailType": "Cluster Finding Appeared",
                "EventBusName": "ops",
                "Detail": {
                    "clusterName": "demo",
                    "clusterArn": "arn:aws:eks:ap-northeast-1:111122223333:cluster/demo",
                    "region": "ap-northeast-1",
                    "accountId": "111122223333",
                    "finding": {
                        "id": "no-nat-route",
                        "severity": "error",
                        "resource": "rtb-1",
                        "since": "2026-11-24T10:09:31.214Z",
                        "seen": "none",
                        "expected": "a route to a NAT gateway",
                        "fix": "start the provisioning again",
                    },
                },
            })
        );
    }

    #[test]
    fn an_event_about_the_end_of_a_finding_says_since_when_it_was() {
        let event = of(
            &Plan::example().target,
            &Change::Resolved(told()),
            "default",
        );
        assert_eq!(event["DetailType"], "Cluster Finding Resolved");
        let finding = event["Detail"]["finding"].as_object().unwrap();
        let members: Vec<&String> = finding.keys().collect();
        assert_eq!(members, ["id", "severity", "resource", "since"]);
    }

    #[test]
    fn texts_are_short_and_fit_between_quotation_marks() {
        let seen = format!("\"a\\b\"\n{}", "ü".repeat(5000));
        let event = of(
            &Plan::example().target,
            &Change::Appeared(told(), finding(&seen)),
            "default",
        );
        let seen = event["Detail"]["finding"]["seen"].as_str().unwrap();
        assert!(seen.starts_with("'a/b' ü"), "{seen}");
        assert_eq!(seen.chars().count(), TEXT_MAX + 1);
        assert!(seen.ends_with('…'));
    }

    #[test]
    fn ten_events_with_the_longest_texts_fit_into_one_call() {
        let mut target = Plan::example().target;
        target.cluster_name = "x".repeat(100);
        let long = "漢".repeat(TEXT_MAX + 1);
        let finding = Finding {
            id: long.clone(),
            severity: long.clone(),
            resource: long.clone(),
            seen: long.clone(),
            expected: long.clone(),
            fix: long.clone(),
        };
        let told = Told {
            id: long.clone(),
            severity: long.clone(),
            resource: long.clone(),
            since: long,
        };
        let event = of(&target, &Change::Appeared(told, finding), "default");
        assert!(event.to_string().len() * 10 < 256 * 1024);
    }
}
