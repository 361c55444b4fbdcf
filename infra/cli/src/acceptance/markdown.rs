//! The report as Markdown: first what matters, then everything.

use std::fmt::Write as _;

use super::questions::{Asked, Verdict};
use super::report::{Outcome, Report};
use super::timeline::Step;

pub(super) fn text(report: &Report) -> String {
    let mut text = format!(
        "# hardway acceptance: {}\n\n{}.\n",
        title(report.outcome),
        report.summary
    );
    for part in [
        surprises(report),
        problems(report),
        left(report),
        place(report),
        stages(report),
        questions(report),
        steps(report),
        codes(report),
        permissions(report),
        findings(report),
        receipt(report),
    ] {
        if !part.is_empty() {
            text.push('\n');
            text.push_str(&part);
        }
    }
    text
}

fn title(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "passed",
        Outcome::PassedWithSurprises => "passed with surprises",
        Outcome::Failed => "failed",
    }
}

fn surprises(report: &Report) -> String {
    let wrong = report.questions.iter();
    let wrong: Vec<&Asked> = wrong
        .filter(|it| it.verdict == Verdict::Otherwise)
        .collect();
    if wrong.is_empty() {
        return String::new();
    }
    let mut text = "## AWS does otherwise than hardway believes\n\n".to_owned();
    for answer in wrong {
        let question = answer.question;
        let _ = writeln!(
            text,
            "- **{}**: {} Believed: {}. Answer: {}",
            question.id, question.asks, question.belief, answer.answer
        );
    }
    text
}

fn problems(report: &Report) -> String {
    list(
        "## What went wrong",
        report.problems.iter().map(String::as_str),
    )
}

fn left(report: &Report) -> String {
    let mut text = "## What is left\n\n".to_owned();
    if report.left.is_empty() && report.unknown.is_empty() {
        let _ = writeln!(
            text,
            "Nothing: {} places were looked at with the caller's own credentials (tags, VPC, clusters, roles, log \
             groups, parameters, stack, buckets, event bus, queues).",
            report.looked
        );
    }
    if !report.left.is_empty() {
        text.push_str("| what | how to remove it |\n| --- | --- |\n");
        for left in &report.left {
            let _ = writeln!(text, "| {} | `{}` |", cell(&left.what), left.remove);
        }
    }
    for unknown in &report.unknown {
        let _ = writeln!(text, "- nobody could look: {unknown}");
    }
    for kept in &report.kept_by_aws {
        let _ = writeln!(text, "- AWS keeps: {kept}");
    }
    text
}

fn place(report: &Report) -> String {
    let versions = &report.versions;
    let minutes = report.ended_at.duration_since(report.started_at);
    let mut rows = vec![
        (
            "hardway",
            format!("{} ({})", versions.hardway, versions.commit),
        ),
        ("tools", versions.tools.clone()),
        (
            "partition, region",
            format!("{}, {}", report.partition, report.region),
        ),
        (
            "account, caller",
            format!("{}, {}", report.account, report.caller),
        ),
        ("stack and cluster", report.stack.clone()),
        (
            "Kubernetes",
            format!("{} {}", versions.kubernetes, versions.platform),
        ),
        ("CoreDNS", versions.coredns.clone()),
        ("started", report.started_at.to_string()),
        (
            "took",
            format!("{:.0} minutes", minutes.as_secs_f64() / 60.0),
        ),
    ];
    if report.speed > 1.0 {
        let speed = format!("no AWS: simulated, {} times faster", report.speed);
        rows.push(("time", speed));
    }
    if let Some(cost) = &report.cost {
        let hours = cost.hours;
        rows.push((
            "cost",
            format!(
                "at most {:.2} {} by the list prices of {}, for {hours:.2} hours counted as whole ones; without traffic, \
                 Lambda, Step Functions and logs, which come to cents",
                cost.at_most, cost.currency, cost.date
            ),
        ));
    }
    let mut text = "## What was tried\n\n| | |\n| --- | --- |\n".to_owned();
    for (name, value) in rows {
        let _ = writeln!(text, "| {name} | {} |", cell(&value));
    }
    text
}

fn stages(report: &Report) -> String {
    let mut text = "## Stages\n\n| stage | seconds | |\n| --- | ---: | --- |\n".to_owned();
    for stage in &report.stages {
        let passed = if stage.passed { "passed" } else { "**failed**" };
        let _ = writeln!(text, "| {} | {:.0} | {passed} |", stage.name, stage.seconds);
    }
    text
}

fn questions(report: &Report) -> String {
    let mut text =
        "## Questions\n\n| id | | answer | believed |\n| --- | --- | --- | --- |\n".to_owned();
    for answer in &report.questions {
        let verdict = match answer.verdict {
            Verdict::AsBelieved => "as believed",
            Verdict::Otherwise => "**otherwise**",
            Verdict::Recorded => "recorded",
            Verdict::NotAnswered => "not answered here",
        };
        let _ = writeln!(
            text,
            "| {} | {verdict} | {} | {} |",
            answer.question.id,
            cell(&answer.answer),
            cell(answer.question.belief)
        );
    }
    text
}

fn steps(report: &Report) -> String {
    let mut text = "## Durations\n\nSeconds of each step, beside those of the simulator.\n\n\
                    | machine | step | seconds | simulator | |\n| --- | --- | ---: | ---: | --- |\n"
        .to_owned();
    for step in &report.steps {
        let _ = writeln!(text, "{}", step_row(step));
    }
    text
}

fn step_row(step: &Step) -> String {
    let range = match step.expected {
        Some((shortest, longest)) => format!("{shortest:.0} to {longest:.0}"),
        None => "no such step".to_owned(),
    };
    let within = if step.is_within { "" } else { "**outside**" };
    format!(
        "| {} | {} | {:.0} | {range} | {within} |",
        step.machine, step.state, step.seconds
    )
}

fn codes(report: &Report) -> String {
    let mut text =
        "## Error codes of AWS\n\nEvery error code that the functions met, expected or not.\n\n\
                    | call | code | times | first message |\n| --- | --- | ---: | --- |\n"
            .to_owned();
    for code in &report.codes {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            code.call,
            code.code,
            code.count,
            cell(&code.message)
        );
    }
    text
}

fn permissions(report: &Report) -> String {
    let permissions = &report.permissions;
    let mut text = format!(
        "## The caller's permissions\n\n{} actions were simulated, {} are denied.\n",
        permissions.checked,
        permissions.denied.len()
    );
    if !permissions.denied.is_empty() {
        text.push_str("\n| action | on | for | why |\n| --- | --- | --- | --- |\n");
    }
    for denied in &permissions.denied {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            denied.action,
            cell(&denied.resource),
            denied.purpose,
            cell(&denied.why)
        );
    }
    text.push('\n');
    for unchecked in &permissions.unchecked {
        let _ = writeln!(text, "- not checked: {unchecked}");
    }
    text
}

fn findings(report: &Report) -> String {
    if report.findings.is_empty() {
        return String::new();
    }
    list("## Diagnosis", report.findings.iter().map(String::as_str))
}

fn receipt(report: &Report) -> String {
    if report.removed.is_empty() {
        return String::new();
    }
    let mut text =
        "## Receipt of the teardown\n\n| removed | number |\n| --- | ---: |\n".to_owned();
    let mut kinds: Vec<&str> = report.removed.iter().map(|it| it.kind.as_str()).collect();
    kinds.sort_unstable();
    for kind in kinds.chunk_by(|one, other| one == other) {
        let _ = writeln!(text, "| {} | {} |", kind[0], kind.len());
    }
    text
}

fn list<'a>(heading: &str, lines: impl Iterator<Item = &'a str>) -> String {
    let lines: Vec<String> = lines
        .map(|line| format!("- {}\n", line.replace('\n', "\n  ")))
        .collect();
    if lines.is_empty() {
        return String::new();
    }
    format!("{heading}\n\n{}", lines.concat())
}

/// Neither a line break nor a column's end belongs into a table's cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
