//! What an acceptance came to, for an issue: as JSON, and as Markdown (`markdown`).

use functions::contract::Resource;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::Serialize;

use super::caller::Caller;
use super::left::Left;
use super::log::ErrorCode;
use super::markdown;
use super::permissions::Permissions;
use super::questions::{Asked, Verdict};
use super::timeline::Step;

/// Everything.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    pub outcome: Outcome,
    /// The same as a sentence.
    pub summary: String,
    /// What went wrong, in the order in which it did.
    pub problems: Vec<String>,
    pub versions: Versions,
    pub partition: String,
    pub region: String,
    pub account: String,
    pub caller: String,
    pub stack: String,
    pub input: serde_json::Value,
    pub started_at: Timestamp,
    pub ended_at: Timestamp,
    /// How many times faster than AWS the time ran; 1 on AWS.
    pub speed: f64,
    pub permissions: Permissions,
    pub questions: Vec<Asked>,
    pub stages: Vec<Stage>,
    pub steps: Vec<Step>,
    pub codes: Vec<ErrorCode>,
    pub findings: Vec<String>,
    /// What the teardown's receipt says was removed.
    pub removed: Vec<Resource>,
    /// What is still there, looked for independently; none if nobody could look.
    pub left: Vec<Left>,
    /// Where nobody could look.
    pub unknown: Vec<String>,
    /// How many places were looked at.
    pub looked: usize,
    /// What AWS itself made, and keeps.
    pub kept_by_aws: Vec<String>,
    pub cost: Option<Cost>,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Outcome {
    /// Everything is as it should be.
    Passed,
    /// The run passed, and AWS does something otherwise than hardway believes.
    PassedWithSurprises,
    Failed,
}

/// What was tried with what.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Versions {
    pub hardway: String,
    pub commit: String,
    pub kubernetes: String,
    pub platform: String,
    pub coredns: String,
    pub tools: String,
}

/// Those of the sources; of the cluster they are known later.
pub(super) fn versions(root: &Path) -> Versions {
    let git = std::process::Command::new("git")
        .args(["describe", "--always", "--dirty"])
        .current_dir(root)
        .output();
    let commit = git.ok().filter(|it| it.status.success());
    let commit = commit.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned());
    let requirements = std::fs::read_to_string(root.join("infra/requirements.txt"));
    let requirements = requirements.unwrap_or_default();
    let tools = requirements.lines().filter(|line| line.starts_with("aws"));
    Versions {
        hardway: env!("CARGO_PKG_VERSION").to_owned(),
        commit: commit.unwrap_or_else(|| "no commit".to_owned()),
        tools: tools.collect::<Vec<_>>().join(", "),
        ..Versions::default()
    }
}

/// A part of the run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stage {
    pub name: &'static str,
    pub seconds: f64,
    pub passed: bool,
}

/// What it cost, by list prices.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cost {
    pub currency: String,
    pub at_most: f64,
    /// The day of the prices.
    pub date: String,
    pub hours: f64,
}

impl Report {
    /// Works out how it ended; `is_kept` says that nothing was to be removed.
    pub fn conclude(&mut self, is_kept: bool) {
        let end = if is_kept {
            "everything was kept"
        } else {
            "nothing is left"
        };
        let wrong = self.questions.iter();
        let wrong = wrong.filter(|it| it.verdict == Verdict::Otherwise).count();
        let outside = self.steps.iter().filter(|it| !it.is_within).count();
        if !self.problems.is_empty() {
            self.outcome = Outcome::Failed;
            self.summary = format!("Failed: {}", self.problems[0]);
        } else if wrong > 0 {
            self.outcome = Outcome::PassedWithSurprises;
            self.summary = format!(
                "The run passed and {end}, but AWS does otherwise than hardway believes in {wrong} {}",
                if wrong == 1 { "point" } else { "points" }
            );
        } else {
            self.outcome = Outcome::Passed;
            self.summary = format!("Passed; {end}");
        }
        if outside > 0 {
            let steps = if outside == 1 { "step" } else { "steps" };
            let _ = write!(
                self.summary,
                " ({outside} {steps} outside the simulator's times)"
            );
        }
    }

    /// Writes it as Markdown, and beside it as JSON.
    pub fn write(&self, path: &Path, mask: &Mask) -> Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("{} cannot be made", folder.display()))?;
        }
        let json = serde_json::to_string_pretty(self)?;
        for (path, text) in [
            (path.to_owned(), markdown::text(self)),
            (path.with_extension("json"), json + "\n"),
        ] {
            std::fs::write(&path, mask.apply(&text))
                .with_context(|| format!("{} cannot be written", path.display()))?;
        }
        Ok(())
    }
}

/// What a report does not tell: account ids, and who the caller is.
#[derive(Debug, Clone, Default)]
pub(super) struct Mask(Vec<(String, &'static str)>);

const ACCOUNT: &str = "(account)";
const CALLER: &str = "(caller)";
const ACCOUNT_DIGITS: usize = 12;

impl Mask {
    /// Of the caller's names, with whatever else is an account's id.
    pub fn of(caller: &Caller, entity: Option<&str>) -> Self {
        let name = |arn: &str| arn.rsplit(':').next().unwrap_or_default().to_owned();
        let arns = [Some(caller.arn.as_str()), entity];
        let arns = arns.into_iter().flatten();
        let mut names: Vec<(String, &'static str)> = arns
            .flat_map(|arn| [arn.to_owned(), name(arn)])
            .filter(|name| name.contains('/'))
            .map(|name| (name, CALLER))
            .collect();
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        Self(names)
    }

    fn apply(&self, text: &str) -> String {
        if self.0.is_empty() {
            return text.to_owned();
        }
        let mut text = text.to_owned();
        for (name, instead) in &self.0 {
            text = text.replace(name, instead);
        }
        without_accounts(&text)
    }
}

/// Every twelve digits in a row are taken for an account's id, unless they are the fraction of a number.
fn without_accounts(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut digits = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        let mut before = masked.chars().rev();
        let is_fraction =
            before.next() == Some('.') && before.next().is_some_and(|c| c.is_ascii_digit());
        masked.push_str(if digits.len() == ACCOUNT_DIGITS && !is_fraction {
            ACCOUNT
        } else {
            &digits
        });
        digits.clear();
        masked.push(c);
    }
    masked.pop();
    masked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acceptance::caller::Kind;

    #[test]
    fn accounts_and_the_caller_are_masked() {
        let caller = Caller {
            account: "111122223333".to_owned(),
            arn: "arn:aws:sts::111122223333:assumed-role/Admin/me@example.com".to_owned(),
            kind: Kind::Root,
        };
        let mask = Mask::of(&caller, Some("arn:aws:iam::111122223333:role/path/Admin"));
        let text = "User: arn:aws:sts::111122223333:assumed-role/Admin/me@example.com of 444455556666, \
                    as arn:aws:iam::111122223333:role/path/Admin; 1234567890123 and 12345678901 are no ids, \
                    hardway-packages-111122223333";
        assert_eq!(
            mask.apply(text),
            "User: (caller) of (account), as (caller); 1234567890123 and 12345678901 are no ids, \
             hardway-packages-(account)"
        );
        assert_eq!(Mask::default().apply("111122223333"), "111122223333");
        let number = r#"{"seconds": 596.123456789012}"#;
        assert_eq!(mask.apply(number), number);
    }
}
