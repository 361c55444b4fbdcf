//! What the functions have written about the run's executions.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::place::{Place, said};

/// A line that a function has written, as far as it matters here.
#[derive(Debug, Clone)]
pub(super) struct Line(Value);

impl Line {
    fn text(&self, key: &str) -> &str {
        self.0[key].as_str().unwrap_or_default()
    }

    fn at(&self) -> Option<Timestamp> {
        self.text("timestamp").parse().ok()
    }

    fn is(&self, message: &str) -> bool {
        self.text("message") == message
    }
}

/// Everything in the log group, oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Log(Vec<Line>);

impl Log {
    /// Reads it.
    pub async fn read(place: &Place, group: &str) -> Result<Self, String> {
        let call = place.aws.logs().filter_log_events().log_group_name(group);
        let mut pages = call.into_paginator().send();
        let mut lines = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| format!("logs:FilterLogEvents: {}", said(&error)))?;
            let messages = page.events().iter().filter_map(|event| event.message());
            lines.extend(
                messages
                    .filter_map(|it| serde_json::from_str(it).ok())
                    .map(Line),
            );
        }
        // Streams of several functions come one after the other.
        lines.sort_by_key(Line::at);
        Ok(Self(lines))
    }

    fn of<'a>(&'a self, execution: &'a str) -> impl Iterator<Item = &'a Line> {
        let lines = self.0.iter();
        lines.filter(move |line| line.text("execution") == execution)
    }

    /// Whether the last of the execution's lines is there: lines arrive late.
    pub fn has_the_end_of(&self, execution: &str, last_state: &str) -> bool {
        self.of(execution)
            .any(|line| line.text("state") == last_state && line.text("status") == "READY")
    }

    /// The changes that an execution has made in AWS, as IAM names the calls.
    pub fn changes(&self, execution: &str) -> Vec<String> {
        let lines = self.of(execution).filter(|line| line.is("changing"));
        let calls = lines.map(|line| format!("{} {}", line.text("call"), line.text("resource")));
        calls.collect()
    }

    /// How long each state of an execution took, from its function's first answer to its last: seconds, in the
    /// order in which they began.
    pub fn durations(&self, execution: &str) -> Vec<(String, f64)> {
        let mut states: Vec<(String, Timestamp, Timestamp)> = Vec::new();
        for line in self
            .of(execution)
            .filter(|line| line.is(functions::aws::telemetry::ANSWERED))
        {
            let Some(at) = line.at() else { continue };
            let state = line.text("state");
            match states.iter_mut().find(|(name, ..)| name == state) {
                Some((_, _, last)) => *last = at,
                None => states.push((state.to_owned(), at, at)),
            }
        }
        let seconds = |(state, first, last): (String, Timestamp, Timestamp)| {
            (state, last.duration_since(first).as_secs_f64())
        };
        states.into_iter().map(seconds).collect()
    }

    /// Every code with which AWS has refused a call of the functions, and how often.
    pub fn codes(&self) -> Vec<ErrorCode> {
        let mut codes: BTreeMap<(String, String), ErrorCode> = BTreeMap::new();
        for line in self
            .0
            .iter()
            .filter(|line| line.is(functions::aws::error_log::AWS_ERROR))
        {
            let (call, code) = (line.text("call").to_owned(), line.text("code").to_owned());
            let found = codes.entry((call.clone(), code.clone()));
            let found = found.or_insert_with(|| ErrorCode {
                call,
                code,
                count: 0,
                message: line.text("reason").to_owned(),
            });
            found.count += 1;
        }
        codes.into_values().collect()
    }
}

/// A code of AWS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ErrorCode {
    /// As IAM names it.
    pub call: String,
    pub code: String,
    pub count: usize,
    /// The first one's.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn log() -> Log {
        let answered = |second: u32, state: &str, status: &str| {
            json!({
                "timestamp": format!("2026-11-28T17:00:{second:02}Z"), "message": "answered",
                "execution": "arn:1", "state": state, "status": status,
            })
        };
        let refused = |code: &str| {
            json!({
                "timestamp": "2026-11-28T17:00:00Z", "message": "AWS answered with an error", "execution": "arn:1",
                "call": "iam:GetRole", "code": code, "reason": "no role",
            })
        };
        let lines = [
            answered(1, "VPC", "PENDING"),
            answered(2, "Cluster", "PENDING"),
            answered(9, "VPC", "READY"),
            answered(40, "Cluster", "READY"),
            refused("NoSuchEntity"),
            refused("NoSuchEntity"),
            refused("Throttling"),
            json!({"message": "changing", "execution": "arn:1", "call": "ec2:CreateVpc", "resource": "vpc"}),
            json!({"message": "changing", "execution": "arn:2", "call": "ec2:DeleteVpc", "resource": "vpc-1"}),
        ];
        Log(lines.into_iter().map(Line).collect())
    }

    #[test]
    fn states_last_from_their_first_answer_to_their_last() {
        let expected = [("VPC".to_owned(), 8.0), ("Cluster".to_owned(), 38.0)];
        assert_eq!(log().durations("arn:1"), expected);
        assert_eq!(log().durations("arn:2"), []);
        assert!(log().has_the_end_of("arn:1", "Cluster"));
        assert!(!log().has_the_end_of("arn:1", "Registry"));
    }

    #[test]
    fn codes_are_counted_by_call() {
        let codes = log().codes();
        let codes: Vec<_> = codes
            .iter()
            .map(|it| (it.code.as_str(), it.count))
            .collect();
        assert_eq!(codes, [("NoSuchEntity", 2), ("Throttling", 1)]);
    }

    #[test]
    fn changes_are_those_of_the_execution() {
        assert_eq!(log().changes("arn:1"), ["ec2:CreateVpc vpc"]);
        assert_eq!(log().changes("arn:3"), [""; 0]);
    }
}
