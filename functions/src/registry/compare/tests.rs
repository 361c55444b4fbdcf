use super::*;
use crate::model::Plan;

const BEFORE: &str = "2026-11-24T09:00:00.000Z";
const NOW: &str = "2026-11-24T10:00:00.000Z";
const LATER: &str = "2026-11-24T11:00:00.000Z";

fn finding(id: &str, resource: &str) -> Finding {
    Finding {
        id: id.to_owned(),
        severity: "error".to_owned(),
        resource: resource.to_owned(),
        seen: "seen".to_owned(),
        expected: "expected".to_owned(),
        fix: "fix".to_owned(),
    }
}

fn told_at(since: &str, id: &str, resource: &str) -> Told {
    told(&finding(id, resource), since)
}

fn entry(findings: Vec<Told>) -> Entry {
    Entry {
        target: Plan::example().target,
        findings,
    }
}

fn saw(findings: &[(&str, &str)]) -> Verification {
    let findings = findings.iter();
    Verification {
        findings: findings
            .map(|(id, resource)| finding(id, resource))
            .collect(),
        error: None,
    }
}

fn failed(cause: &str) -> Verification {
    Verification {
        findings: vec![],
        error: Some(Failure {
            error: "AccountNotReady".to_owned(),
            cause: cause.to_owned(),
        }),
    }
}

/// The changes as `+id resource` and `-id resource`.
fn words(changes: &[Change]) -> Vec<String> {
    let word = |change: &Change| match change {
        Change::Resolved(told) => format!("-{} {}", told.id, told.resource),
        Change::Appeared(told, _) => format!("+{} {}", told.id, told.resource),
    };
    changes.iter().map(word).collect()
}

/// Tells everything, ten at a time as the state machine does, and writes it down.
fn tell(entry: &mut Entry, verification: &Verification, at: &str) -> Vec<String> {
    let mut said = vec![];
    loop {
        let changes = compare(entry, verification, at);
        let now = changes.get(..10).unwrap_or(&changes);
        if now.is_empty() {
            return said;
        }
        said.extend(words(now));
        entry.findings = after(entry, now);
        assert!(entry.bytes() <= VALUE_BYTES_MAX, "{}", entry.bytes());
        assert!(said.len() < 1000, "it never ends: {said:?}");
    }
}

#[test]
fn finding_appears_once_and_is_resolved_once() {
    let mut entry = entry(vec![]);
    let broken = saw(&[("no-nat-route", "rtb-1"), ("dns-hostnames-off", "vpc-1")]);
    assert_eq!(
        tell(&mut entry, &broken, BEFORE),
        ["+no-nat-route rtb-1", "+dns-hostnames-off vpc-1"]
    );
    assert_eq!(tell(&mut entry, &broken, NOW), [""; 0]);
    assert_eq!(entry.findings[0].since, BEFORE);
    let better = saw(&[("dns-hostnames-off", "vpc-1")]);
    assert_eq!(tell(&mut entry, &better, NOW), ["-no-nat-route rtb-1"]);
    assert_eq!(
        tell(&mut entry, &saw(&[]), NOW),
        ["-dns-hostnames-off vpc-1"]
    );
    assert_eq!(entry.findings, []);
}

#[test]
fn the_same_trouble_of_another_thing_is_news() {
    let mut entry = entry(vec![told_at(BEFORE, "no-nat-route", "rtb-1")]);
    let seen = saw(&[("no-nat-route", "rtb-1"), ("no-nat-route", "rtb-2")]);
    assert_eq!(tell(&mut entry, &seen, NOW), ["+no-nat-route rtb-2"]);
}

#[test]
fn duplicate_finding_is_reported_once() {
    let seen = saw(&[("no-nat-route", "rtb-1"), ("no-nat-route", "rtb-1")]);
    assert_eq!(words(&compare(&entry(vec![]), &seen, NOW)).len(), 1);
}

#[test]
fn a_cluster_that_cannot_be_examined_is_a_finding_and_resolves_nothing() {
    let mut entry = entry(vec![
        told_at(BEFORE, "no-nat-route", "rtb-1"),
        told_at(BEFORE, "not-checked", "iam:GetRole"),
    ]);
    let cause =
        r#"Examine: {"errorType":"AccountNotReady","errorMessage":"the role is gone","trace":[]}"#;
    let changes = compare(&entry, &failed(cause), NOW);
    let [Change::Appeared(_, finding)] = changes.as_slice() else {
        panic!("{changes:?}");
    };
    assert_eq!(finding.id, "not-examined");
    assert_eq!(finding.resource, "demo");
    assert_eq!(finding.seen, "AccountNotReady: the role is gone");
    tell(&mut entry, &failed(cause), NOW);
    assert_eq!(tell(&mut entry, &failed("timed out"), LATER), [""; 0]);
    assert_eq!(entry.findings.len(), 3);
    assert_eq!(
        tell(&mut entry, &saw(&[]), LATER),
        [
            "-no-nat-route rtb-1",
            "-not-checked iam:GetRole",
            "-not-examined demo"
        ]
    );
}

#[test]
fn a_cause_that_is_no_json_is_said_as_it_is() {
    for cause in ["Examine: Task timed out", "Examine: {broken", ""] {
        assert_eq!(readable(cause), cause);
    }
}

#[test]
fn denied_check_does_not_resolve_an_earlier_finding() {
    let mut entry = entry(vec![told_at(BEFORE, "no-nat-route", "rtb-1")]);
    let blind = saw(&[("not-checked", "ec2:DescribeRouteTables")]);
    for at in [NOW, LATER] {
        let said = tell(&mut entry, &blind, at);
        assert!(
            !said.contains(&"-no-nat-route rtb-1".to_owned()),
            "{said:?}"
        );
    }
    assert_eq!(
        tell(&mut entry, &saw(&[]), LATER),
        [
            "-no-nat-route rtb-1",
            "-not-checked ec2:DescribeRouteTables"
        ]
    );
}

#[test]
fn check_denied_from_the_start_does_not_hide_a_later_finding() {
    let mut entry = entry(vec![told_at(
        BEFORE,
        "not-checked",
        "servicequotas:GetServiceQuota",
    )]);
    let blind = ("not-checked", "servicequotas:GetServiceQuota");
    tell(&mut entry, &saw(&[blind, ("no-nat-route", "rtb-1")]), NOW);
    assert_eq!(
        tell(&mut entry, &saw(&[blind]), LATER),
        ["-no-nat-route rtb-1"]
    );
}

fn many(number: usize) -> Verification {
    let findings = (0..number).map(|it| finding("no-nat-route", &format!("rtb-{it:017}")));
    Verification {
        findings: findings.collect(),
        error: None,
    }
}

#[test]
fn surplus_findings_are_counted_and_reported_when_there_is_room() {
    let mut entry = entry(vec![]);
    let changes = compare(&entry, &many(100), BEFORE);
    let Some(Change::Appeared(_, more)) = changes.last() else {
        panic!("{changes:?}");
    };
    let surplus = 100 - (changes.len() - 1);
    assert_eq!(
        more.seen,
        format!("{surplus} more findings than can be told")
    );
    assert!((25..50).contains(&changes.len()), "{}", changes.len());

    let said = tell(&mut entry, &many(100), BEFORE);
    assert_eq!(said, words(&changes));
    assert_eq!(tell(&mut entry, &many(100), NOW), [""; 0]);

    let last = Verification {
        findings: many(100).findings.split_off(80),
        error: None,
    };
    let said = tell(&mut entry, &last, NOW);
    assert!(said.contains(&"-more-findings demo".to_owned()), "{said:?}");
    let resources: Vec<&str> = entry
        .findings
        .iter()
        .map(|it| it.resource.as_str())
        .collect();
    let expected: Vec<&str> = last
        .findings
        .iter()
        .map(|it| it.resource.as_str())
        .collect();
    assert_eq!(resources, expected);
}

#[test]
fn reported_findings_are_not_displaced_by_new_ones() {
    let mut entry = entry(vec![]);
    tell(&mut entry, &many(100), BEFORE);
    let mut seen = many(100);
    seen.findings
        .insert(0, finding("dns-hostnames-off", "vpc-1"));
    assert_eq!(tell(&mut entry, &seen, NOW), [""; 0]);
}

#[test]
fn there_is_room_for_what_is_always_said_even_with_the_longest_name() {
    let mut target = Plan::example().target;
    target.cluster_name = "x".repeat(100);
    let failure = Failure {
        error: String::new(),
        cause: String::new(),
    };
    let own = [not_examined(&target, &failure), more(&target, 1)];
    let entry = Entry::of(target);
    let with = Entry {
        findings: own.iter().map(|it| told(it, NOW)).collect(),
        ..entry.clone()
    };
    assert!(with.bytes() - entry.bytes() <= RESERVED_BYTES);
}

#[test]
fn the_longest_way_into_an_account_leaves_room_for_findings() {
    let mut target = Plan::example().target;
    target.cluster_name = "x".repeat(100);
    target.account.role_name = Some("r".repeat(512 + 64));
    target.account.external_id = Some("e".repeat(1224));
    let mut entry = Entry::of(target);
    let said = tell(&mut entry, &many(100), NOW);
    assert!(said.len() > 5, "{said:?}");
    tell(&mut entry, &failed("x"), LATER);
    assert!(entry.findings.iter().any(|it| it.id == NOT_EXAMINED));
}
