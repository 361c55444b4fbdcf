//! What is news: what a check has seen, against what was told.
//!
//! Three rules keep it honest:
//!
//! - A finding is resolved when it is not seen any more, and not when it could not be looked for. While
//!   the cluster cannot be looked at at all (`not-examined`), everything stays. What `verify` may not
//!   read (`not-checked`) may hide every finding that is older than that; one that was seen while it
//!   could not be read is not hidden by it.
//! - An entry has room for some thirty findings. What does not fit is neither told nor forgotten: one
//!   more finding, `more-findings`, says how many there are, and they come up when there is room.
//! - Told first, written down afterwards: what is told twice is a nuisance, what is lost is a danger.

use serde::{Deserialize, Serialize};

use crate::model::Target;
use crate::registry::entry::{Entry, Told, VALUE_BYTES_MAX};

/// A finding, as `verify` answers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Id of its row in the catalogue, for example `no-nat-route`.
    pub id: String,
    /// How bad it is: `error`, `warning` or `info`.
    pub severity: String,
    /// ARN or id of what it is about.
    pub resource: String,
    /// What AWS says.
    pub seen: String,
    /// What it should say.
    pub expected: String,
    /// What to do about it.
    pub fix: String,
}

/// What a check came to: the answer of `verify`, or the error that it ended with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// What is wrong, the worst first.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// Why there are no findings.
    #[serde(default)]
    pub error: Option<Failure>,
}

/// An error as the state machine catches it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Failure {
    /// Its name.
    pub error: String,
    /// Its cause: what Lambda says of a function that failed.
    pub cause: String,
}

/// Something that is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It was told and is over.
    Resolved(Told),
    /// It was not told yet.
    Appeared(Told, Finding),
}

/// `verify`'s id for something that it may not read.
const NOT_CHECKED: &str = "not-checked";
/// A cluster that could not be looked at at all.
const NOT_EXAMINED: &str = "not-examined";
/// What the entry has no room for.
const MORE_FINDINGS: &str = "more-findings";
/// Room in an entry for the two of these that this module adds, with the longest name that a cluster may
/// have.
const RESERVED_BYTES: usize = 512;

/// What is to be told: first what is over, which makes room, then what is new.
#[must_use]
pub fn compare(entry: &Entry, verification: &Verification, at: &str) -> Vec<Change> {
    let mut seen = seen(&entry.target, verification);
    let unread_since = unread_since(entry, &seen, at);
    let is_hidden = |told: &Told| {
        let may_be_hidden = ![NOT_CHECKED, NOT_EXAMINED].contains(&told.id.as_str());
        let is_older = unread_since.is_some_and(|since| told.since.as_str() < since);
        verification.error.is_some() || (may_be_hidden && is_older)
    };
    let stays = |told: &&Told| is_seen(&seen, told) || is_hidden(told);
    let is_more = |told: &&Told| told.id == MORE_FINDINGS;
    let kept = entry.findings.iter().filter(|it| !is_more(it));
    let mut kept: Vec<Told> = kept.filter(stays).cloned().collect();
    let hides_more = entry.findings.iter().find(is_more).is_some_and(is_hidden);
    let over: Vec<Told> = entry
        .findings
        .iter()
        .filter(|it| !stays(it))
        .cloned()
        .collect();

    seen.retain(|finding| {
        !kept
            .iter()
            .any(|it| it.is_same(&finding.id, &finding.resource))
    });
    let mut new = vec![];
    let mut surplus = 0;
    for finding in seen {
        let told = told(&finding, at);
        let mut with = kept.clone();
        with.push(told.clone());
        if finding.id != NOT_EXAMINED && !has_room(&entry.target, with) {
            surplus += 1;
            continue;
        }
        kept.push(told.clone());
        new.push(Change::Appeared(told, finding));
    }
    let more = (surplus > 0).then(|| more(&entry.target, surplus));
    let is_told = entry.findings.iter().any(|it| is_more(&it));
    let over = over
        .into_iter()
        .filter(|it| !is_more(&it) || (more.is_none() && !hides_more));
    let mut changes: Vec<Change> = over.map(Change::Resolved).collect();
    changes.extend(new);
    let more = more.filter(|_| !is_told);
    changes.extend(more.map(|finding| Change::Appeared(told(&finding, at), finding)));
    changes
}

/// What the entry holds when the changes are told.
#[must_use]
pub fn after(entry: &Entry, changes: &[Change]) -> Vec<Told> {
    let mut findings = entry.findings.clone();
    for change in changes {
        match change {
            Change::Resolved(told) => findings.retain(|it| it != told),
            Change::Appeared(told, _) => findings.push(told.clone()),
        }
    }
    findings
}

/// What the check has seen, each once.
fn seen(target: &Target, verification: &Verification) -> Vec<Finding> {
    let failure = verification.error.iter();
    let all = failure.map(|failure| not_examined(target, failure));
    let mut seen: Vec<Finding> = vec![];
    for finding in all.chain(verification.findings.iter().cloned()) {
        let is_same = |it: &Finding| it.id == finding.id && it.resource == finding.resource;
        if !seen.iter().any(is_same) {
            seen.push(finding);
        }
    }
    seen
}

fn is_seen(seen: &[Finding], told: &Told) -> bool {
    let mut seen = seen.iter();
    seen.any(|finding| told.is_same(&finding.id, &finding.resource))
}

/// Since when something cannot be read; the latest of several.
fn unread_since<'a>(entry: &'a Entry, seen: &[Finding], at: &'a str) -> Option<&'a str> {
    let unread = seen.iter().filter(|finding| finding.id == NOT_CHECKED);
    let since = unread.map(|finding| {
        let mut told = entry.findings.iter();
        let told = told.find(|it| it.is_same(&finding.id, &finding.resource));
        told.map_or(at, |it| it.since.as_str())
    });
    since.max()
}

fn has_room(target: &Target, findings: Vec<Told>) -> bool {
    let entry = Entry {
        target: target.clone(),
        findings,
    };
    entry.bytes() + RESERVED_BYTES <= VALUE_BYTES_MAX
}

fn told(finding: &Finding, at: &str) -> Told {
    Told {
        id: finding.id.clone(),
        severity: finding.severity.clone(),
        resource: finding.resource.clone(),
        since: at.to_owned(),
    }
}

fn more(target: &Target, number: usize) -> Finding {
    let cluster = &target.cluster_name;
    Finding {
        id: MORE_FINDINGS.to_owned(),
        severity: "warning".to_owned(),
        resource: cluster.clone(),
        seen: format!("{number} more findings than can be told"),
        expected: "none".to_owned(),
        fix: format!("mend what was told, or look at all of them with hardway diagnose {cluster}"),
    }
}

fn not_examined(target: &Target, failure: &Failure) -> Finding {
    Finding {
        id: NOT_EXAMINED.to_owned(),
        severity: "error".to_owned(),
        resource: target.cluster_name.clone(),
        seen: format!("{}: {}", failure.error, readable(&failure.cause)),
        expected: "a cluster that can be looked at".to_owned(),
        fix: "mend what the message says; if the cluster was removed by hand, run its teardown, which \
              takes it out of the registry"
            .to_owned(),
    }
}

/// A cause as a person can read it: `{"errorType": …, "errorMessage": "…"}` is `…`.
fn readable(cause: &str) -> String {
    let json = cause.find('{').map(|start| &cause[start..]);
    let json = json.and_then(|json| serde_json::from_str::<serde_json::Value>(json).ok());
    let message = json.as_ref().and_then(|it| it["errorMessage"].as_str());
    message.unwrap_or(cause).to_owned()
}

#[cfg(test)]
mod tests;
