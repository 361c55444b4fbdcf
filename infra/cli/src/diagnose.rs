//! What is wrong with a cluster, for a person to read: `verify` with the caller's own credentials.

use functions::aws::{Aws, Base, Session};
use functions::model::RoleNames;
use functions::model::Target;
use functions::model::target::{Account, MEMBER_ROLE_NAME};
use functions::verify::{CATALOGUE, Finding, Report, Severity};
use std::fmt::Write as _;

use anyhow::{Context, Result, bail};
use console::{Term, style};

use crate::args::{Cluster, Diagnose};

/// What a session in another account may do there: read, but of any cluster and any role, whoever made
/// them.
const SESSION: Session = Session {
    step: "diagnose",
    policy: r#"{
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Action": [
                "ec2:Describe*",
                "eks:Describe*",
                "eks:List*",
                "iam:GetRole",
                "iam:ListAttachedRolePolicies",
                "iam:ListRolePolicies",
                "servicequotas:GetServiceQuota"
            ],
            "Resource": "*"
        }]
    }"#,
};
/// Lines longer than this are hard to read, however wide the terminal is.
const WIDTH_MAX: usize = 110;
/// What is not written to a terminal is not wrapped as if it were narrow.
const WIDTH_WITHOUT_TERMINAL: usize = 100;

/// `hardway diagnose`.
///
/// # Errors
/// If the cluster cannot be looked at, or a finding is an error.
pub async fn run(options: &Diagnose) -> Result<()> {
    let base = Base::from_env().await;
    let target = target(&options.cluster, &base).await?;
    let aws: Aws = base.target(&target, &SESSION).await?;
    let report = functions::verify::examine(&aws, &target).await?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        let width = Term::stdout().size_checked();
        let width = width.map_or(WIDTH_WITHOUT_TERMINAL, |(_, columns)| usize::from(columns));
        print!("{}", text(&report, &target, width.min(WIDTH_MAX)));
    }
    match verdict(&report) {
        Ok(sentence) if options.json => {
            eprintln!("{sentence}");
            Ok(())
        }
        Ok(sentence) => {
            println!("{} {sentence}", style("✔").green().bold());
            Ok(())
        }
        Err(sentence) => bail!(sentence),
    }
}

/// Which cluster, where: what was not said is that of the credentials.
async fn target(cluster: &Cluster, base: &Base) -> Result<Target> {
    let region = cluster.region.as_deref().or(base.region());
    let region = region.context("no region is configured; say which with --region")?;
    let caller = base
        .own(Some(region))
        .sts()
        .get_caller_identity()
        .send()
        .await;
    let caller = caller
        .map_err(aws_error)
        .context("your credentials do not work")?;
    let arn = caller.arn().unwrap_or_default();
    let own = caller.account().unwrap_or_default();
    Ok(target_for(cluster, region, arn, own))
}

/// The SDK's errors say what happened only in their sources.
fn aws_error(error: impl std::error::Error + Send + Sync + 'static) -> anyhow::Error {
    anyhow::Error::new(error)
}

fn target_for(cluster: &Cluster, region: &str, caller: &str, own_account: &str) -> Target {
    let id = cluster.account.as_deref().unwrap_or(own_account);
    let default_role = (id != own_account).then(|| MEMBER_ROLE_NAME.to_owned());
    Target {
        cluster_name: cluster.name.clone(),
        region: region.to_owned(),
        partition: caller.split(':').nth(1).unwrap_or("aws").to_owned(),
        account: Account {
            id: id.to_owned(),
            role_name: cluster.role_name.clone().or(default_role),
            external_id: cluster.external_id.clone(),
        },
        iam: RoleNames::default(),
    }
}

/// All findings, each with a headline and what a person wants to know.
fn text(report: &Report, target: &Target, width: usize) -> String {
    let mut text = format!(
        "{} in {}, {}\n\n",
        style(&report.cluster_name).bold(),
        target.account.id,
        target.region
    );
    for finding in &report.findings {
        text.push_str(&paragraph(finding, width));
        text.push('\n');
    }
    if report.errors > 0 && report.causes().next().is_none() {
        for line in wrap(&report.summary, width) {
            text.push_str(&line);
            text.push('\n');
        }
    }
    text
}

fn paragraph(finding: &Finding, width: usize) -> String {
    let headline = match finding.severity {
        Severity::Error => style(format!("✘ {}", finding.id)).red().bold(),
        Severity::Warning => style(format!("▲ {}", finding.id)).yellow().bold(),
        Severity::Info => style(format!("· {}", finding.id)).dim(),
    };
    let row = CATALOGUE.iter().find(|row| row.id == finding.id);
    let title = row.map_or("", |row| row.title);
    let mut text = format!("{headline}  {title}\n");
    for (name, value) in [
        ("resource", &finding.resource),
        ("seen", &finding.seen),
        ("expected", &finding.expected),
        ("fix", &finding.fix),
    ] {
        let mut name = name;
        for line in wrap(value, width.saturating_sub(INDENT)) {
            let label = style(format!("  {name:<10}")).dim();
            let _ = writeln!(text, "{label}{line}");
            name = "";
        }
    }
    text
}

/// The width of the labels.
const INDENT: usize = 12;

/// Lines of whole words; a word that is longer than a line has one of its own.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line > 0 && line + 1 + word.chars().count() > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// The last word: good, or what to do first.
fn verdict(report: &Report) -> Result<String, String> {
    let cluster = &report.cluster_name;
    let of = |severity: Severity| {
        let findings = report.findings.iter();
        findings.filter(|it| it.severity == severity).count()
    };
    let (warnings, infos) = (of(Severity::Warning), of(Severity::Info));
    let counts = [
        count(report.errors, "error"),
        count(warnings, "warning"),
        count(infos, "note"),
    ];
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    let counts = counts.join(", ");
    if report.errors == 0 && counts.is_empty() {
        return Ok(format!(
            "Nothing is wrong with {cluster}, as far as the APIs show."
        ));
    }
    if report.errors == 0 {
        return Ok(format!("{cluster} has no errors ({counts})."));
    }
    match report.causes().next() {
        Some(first) => Err(format!("{cluster} has {counts}; fix {} first", first.id)),
        None => Err(format!(
            "{cluster}: CoreDNS does not run, and the APIs show no cause"
        )),
    }
}

fn count(number: usize, what: &str) -> Option<String> {
    match number {
        0 => None,
        1 => Some(format!("1 {what}")),
        many => Some(format!("{many} {what}s")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Args, Command};
    use clap::Parser;

    fn options(more: &[&str]) -> Diagnose {
        let args = ["hardway", "diagnose", "demo"].iter().chain(more);
        match Args::parse_from(args).command {
            Command::Diagnose(options) => options,
            other => panic!("{other:?}"),
        }
    }

    const CALLER: &str = "arn:aws-cn:sts::111122223333:assumed-role/Admin/me";

    fn target_with(more: &[&str]) -> Target {
        target_for(&options(more).cluster, "eu-west-1", CALLER, "111122223333")
    }

    #[test]
    fn the_own_account_needs_no_role() {
        let target = target_with(&[]);
        assert_eq!(target.partition, "aws-cn");
        assert_eq!(target.account.id, "111122223333");
        assert_eq!(target.account.role_name, None);
        assert_eq!(
            target_with(&["--account", "111122223333"])
                .account
                .role_name,
            None
        );
    }

    #[test]
    fn another_account_is_entered_by_its_role() {
        let target = target_with(&["--account", "444455556666"]);
        assert_eq!(target.account.role_name.as_deref(), Some(MEMBER_ROLE_NAME));
        let more = [
            "--account",
            "444455556666",
            "--role-name",
            "Reader",
            "--external-id",
            "x",
        ];
        let target = target_with(&more);
        assert_eq!(target.account.role_name.as_deref(), Some("Reader"));
        assert_eq!(target.account.external_id.as_deref(), Some("x"));
    }

    fn finding(id: &'static str, severity: Severity) -> Finding {
        Finding {
            id,
            severity,
            resource: "rtb-1".to_owned(),
            seen: "no route to the internet for subnet-a, subnet-b".to_owned(),
            expected: "a route".to_owned(),
            fix: "make one".to_owned(),
        }
    }

    fn report(findings: Vec<Finding>) -> Report {
        let errors = findings.iter().filter(|it| it.severity == Severity::Error);
        Report {
            cluster_name: "demo".to_owned(),
            summary: "Everything else is right.".to_owned(),
            errors: errors.count(),
            findings,
        }
    }

    #[test]
    fn each_finding_has_a_headline_and_wrapped_lines() {
        let report = report(vec![finding("no-nat-route", Severity::Error)]);
        let text = text(&report, &target_with(&[]), 40);
        let text = console::strip_ansi_codes(&text);
        assert_eq!(
            text,
            "demo in 111122223333, eu-west-1\n\n\
             ✘ no-nat-route  The subnet of a Fargate profile has no route to a NAT gateway.\n  \
             resource  rtb-1\n  \
             seen      no route to the internet for\n            \
             subnet-a, subnet-b\n  \
             expected  a route\n  \
             fix       make one\n\n"
        );
    }

    #[test]
    fn the_last_word_says_what_to_do_first() {
        let warning = || finding("kubernetes-version-support", Severity::Warning);
        assert!(
            verdict(&report(vec![]))
                .unwrap()
                .starts_with("Nothing is wrong")
        );
        let fine = verdict(&report(vec![warning(), warning()]));
        assert_eq!(fine.unwrap(), "demo has no errors (2 warnings).");
        let error = finding("no-nat-route", Severity::Error);
        let bad = verdict(&report(vec![error, warning()]));
        assert_eq!(
            bad.unwrap_err(),
            "demo has 1 error, 1 warning; fix no-nat-route first"
        );
    }

    #[test]
    fn without_a_cause_the_summary_says_where_to_look() {
        let report = report(vec![finding("coredns-unhealthy", Severity::Error)]);
        let text = text(&report, &target_with(&[]), 80);
        assert!(text.ends_with("Everything else is right.\n"), "{text}");
        assert!(verdict(&report).unwrap_err().contains("no cause"));
    }
}
