//! What was found, in the order in which a person should look at it.

use std::fmt;

use serde::Serialize;

use crate::verify::checks::{self, CATALOGUE};
use crate::verify::facts::Facts;
use crate::verify::problem::{Problem, Severity};

/// A problem with the id of its row in the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Id of the row, for example `no-nat-route`. It never changes.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// ARN or id of what it is about.
    pub resource: String,
    /// What AWS says.
    pub seen: String,
    /// What it should say.
    pub expected: String,
    /// What to do about it.
    pub fix: String,
}

impl Finding {
    fn new(id: &'static str, problem: Problem) -> Self {
        Self {
            id,
            severity: problem.severity,
            resource: problem.resource,
            seen: problem.seen,
            expected: problem.expected,
            fix: problem.fix,
        }
    }

    /// Whether it says only that CoreDNS does not run, and not why.
    #[must_use]
    pub fn is_symptom(&self) -> bool {
        self.id == checks::SYMPTOM
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, resource, .. } = self;
        write!(f, "{id} ({resource}): {}; ", self.seen)?;
        write!(f, "expected {}; to fix it: {}.", self.expected, self.fix)
    }
}

/// All findings of one look at a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Name of the cluster.
    pub cluster_name: String,
    /// All of it in words, on one line.
    pub summary: String,
    /// How many findings are errors.
    pub errors: usize,
    /// Errors before warnings before the rest, and within each the most likely cause first.
    pub findings: Vec<Finding>,
}

/// A summary is for a line in a console: the rest is in the findings.
const SUMMARY_MAX: usize = 8;

impl Report {
    /// Every row of the catalogue, applied to the facts.
    #[must_use]
    pub fn of(facts: &Facts) -> Self {
        let of_row = |row: &crate::verify::Row| {
            let problems = (row.check)(facts).into_iter();
            let findings = problems.map(|problem| Finding::new(row.id, problem));
            findings.collect::<Vec<_>>()
        };
        let mut findings: Vec<Finding> = CATALOGUE.iter().flat_map(of_row).collect();
        // Stable: within a severity the catalogue's order stays.
        findings.sort_by_key(|finding| finding.severity);
        let errors = findings.iter().filter(|it| it.severity == Severity::Error);
        Self {
            cluster_name: facts.cluster.name().unwrap_or_default().to_owned(),
            summary: summary(&findings),
            errors: errors.count(),
            findings,
        }
    }

    /// The errors that may be causes: all but the symptom.
    pub fn causes(&self) -> impl Iterator<Item = &Finding> {
        causes(&self.findings)
    }
}

fn causes(findings: &[Finding]) -> impl Iterator<Item = &Finding> {
    let is_error = |it: &&Finding| it.severity == Severity::Error && !it.is_symptom();
    findings.iter().filter(is_error)
}

fn summary(findings: &[Finding]) -> String {
    let causes: Vec<&Finding> = causes(findings).collect();
    let symptom = findings.iter().find(|finding| finding.is_symptom());
    let warnings = findings
        .iter()
        .filter(|it| it.severity == Severity::Warning && !it.is_symptom());
    let warnings: Vec<&Finding> = warnings.collect();
    let start = match (causes.len(), symptom) {
        (0, None) => "Nothing is wrong that EC2, EKS, IAM and Service Quotas show.".to_owned(),
        (0, Some(symptom)) => format!(
            "Everything else that EC2, EKS, IAM and Service Quotas show is right, and yet {}. {}",
            symptom.seen,
            checks::LOOK_NEXT
        ),
        (1, _) => format!("The cause: {}", list(&causes)),
        (number, _) => format!("{number} causes, the most likely first: {}", list(&causes)),
    };
    if warnings.is_empty() {
        return start;
    }
    format!("{start} Worth a look: {}", list(&warnings))
}

/// `no-nat-route (rtb-1): …`; several of them with their numbers.
fn list(findings: &[&Finding]) -> String {
    if let [finding] = findings {
        return finding.to_string();
    }
    let shown = findings.iter().take(SUMMARY_MAX).enumerate();
    let mut shown: Vec<String> = shown
        .map(|(at, finding)| format!("{}. {finding}", at + 1))
        .collect();
    if findings.len() > SUMMARY_MAX {
        shown.push(format!("(and {} more)", findings.len() - SUMMARY_MAX));
    }
    shown.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::facts::Known;
    use crate::verify::fixtures::{degraded, healthy, without_default_route};
    use serde_json::json;

    #[test]
    fn a_healthy_cluster_has_no_findings() {
        let report = Report::of(&healthy());
        assert_eq!(report.findings, []);
        assert_eq!(report.errors, 0);
        assert!(report.summary.starts_with("Nothing is wrong"), "{report:?}");
    }

    #[test]
    fn the_cause_comes_before_what_follows_from_it() {
        let mut facts = without_default_route();
        facts.coredns = Known::Read(Some(degraded()));
        let report = Report::of(&facts);
        let ids: Vec<&str> = report.findings.iter().map(|it| it.id).collect();
        assert_eq!(ids, ["no-nat-route", "coredns-unhealthy"]);
        assert_eq!(report.causes().count(), 1);
        let summary = &report.summary;
        assert!(
            summary.starts_with("The cause: no-nat-route (rtb-private): "),
            "{summary}"
        );
        assert!(!summary.contains('\n'), "{summary}");
    }

    #[test]
    fn without_a_cause_it_says_so_and_where_to_look_next() {
        let mut facts = healthy();
        facts.coredns = Known::Read(Some(degraded()));
        let report = Report::of(&facts);
        assert_eq!(report.errors, 1);
        for part in [
            "Everything else",
            "DEGRADED",
            "kubectl describe pod",
            "Your AWS account is currently blocked and thus cannot launch any Fargate pods",
        ] {
            assert!(report.summary.contains(part), "{}", report.summary);
        }
    }

    #[test]
    fn of_several_causes_the_most_likely_is_the_first() {
        let mut facts = without_default_route();
        facts.dns_hostnames = Known::Read(false);
        facts.fargate_vcpus = Known::Read(0.0);
        let report = Report::of(&facts);
        let ids: Vec<&str> = report.findings.iter().map(|it| it.id).collect();
        assert_eq!(ids, ["no-nat-route", "dns-hostnames-off", "fargate-quota"]);
        assert!(
            report
                .summary
                .starts_with("3 causes, the most likely first: 1. no-nat-route"),
            "{}",
            report.summary
        );
    }

    #[test]
    fn a_finding_is_json_in_camel_case() {
        let mut facts = healthy();
        facts.dns_hostnames = Known::Read(false);
        let report = serde_json::to_value(Report::of(&facts)).unwrap();
        assert_eq!(report["clusterName"], "demo");
        assert_eq!(report["errors"], 1);
        let finding = &report["findings"][0];
        assert_eq!(finding["id"], "dns-hostnames-off");
        assert_eq!(finding["severity"], "error");
        assert_eq!(finding["resource"], "vpc-1");
        for member in ["seen", "expected", "fix"] {
            assert_ne!(finding[member], json!(""), "{member}");
        }
    }
}
