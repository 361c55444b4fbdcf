//! What EKS says of the add-on `coredns`: whether it runs, not why.

use aws_sdk_eks::types::{Addon, AddonHealth, AddonIssueCode, AddonStatus};

use super::{problem, warning};
use crate::resources::eks;
use crate::verify::facts::Facts;
use crate::verify::problem::{Problem, Severity};

/// Where to look when the APIs show nothing. The account's block is only in the pods' events
/// (clowdhaus/eks-reference-architecture issue 12).
pub const LOOK_NEXT: &str = "Look at the pods' events next: kubectl describe pod -n kube-system -l \
    k8s-app=kube-dns. \"Your AWS account is currently blocked and thus cannot launch any Fargate pods\" \
    is for AWS Support, as is a limit of pods in a new account; \"Fargate capacity is unavailable\" \
    passes; a time-out while an image is pulled points to a firewall or a network ACL.";

/// There is no add-on: CoreDNS is self-managed, or not there at all.
pub fn missing(facts: &Facts) -> Vec<Problem> {
    if !facts.coredns.read().is_some_and(Option::is_none) {
        return vec![];
    }
    let cluster = facts.cluster_name();
    vec![warning(
        facts.cluster_arn(),
        "it has no add-on coredns: whether CoreDNS runs, the APIs do not show",
        "the add-on coredns with \"computeType\": \"Fargate\"",
        format!(
            "run aws eks create-addon --cluster-name {cluster} --addon-name coredns \
             --resolve-conflicts OVERWRITE --configuration-values '{{\"computeType\":\"Fargate\"}}' \
             once a Fargate profile that selects it is ACTIVE"
        ),
    )]
}

/// The add-on is not ACTIVE, or has health issues.
pub fn unhealthy(facts: &Facts) -> Vec<Problem> {
    let Some(addon) = facts.addon() else {
        return vec![];
    };
    let issues = addon.health().map_or(&[][..], AddonHealth::issues);
    let severity = match addon.status() {
        Some(AddonStatus::Active) if issues.is_empty() => return vec![],
        Some(AddonStatus::Creating | AddonStatus::Updating | AddonStatus::Deleting)
            if issues.is_empty() =>
        {
            Severity::Warning
        }
        _ => Severity::Error,
    };
    let status = addon.status().map_or("unknown", AddonStatus::as_str);
    let seen = format!("the add-on coredns is {}", eks::status_line(status, issues));
    let has = |code: &AddonIssueCode| issues.iter().any(|issue| issue.code() == Some(code));
    let fix = if has(&AddonIssueCode::ConfigurationConflict) {
        "update the add-on with --resolve-conflicts OVERWRITE"
    } else {
        "it follows from what stands before it; if nothing does, it takes two minutes from new pods \
         to ACTIVE, and after that the pods' events say why not: kubectl describe pod -n kube-system \
         -l k8s-app=kube-dns"
    };
    let expected = "status ACTIVE without health issues";
    vec![problem(severity, arn(addon), seen, expected, fix)]
}

fn arn(addon: &Addon) -> &str {
    addon.addon_arn().unwrap_or("coredns")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::facts::Known;
    use crate::verify::fixtures::{degraded, healthy};

    #[test]
    fn a_degraded_addon_is_said_with_its_issues() {
        let mut facts = healthy();
        facts.coredns = Known::Read(Some(degraded()));
        let found = unhealthy(&facts);
        assert_eq!(found[0].severity, Severity::Error);
        let seen = "the add-on coredns is DEGRADED; InsufficientNumberOfReplicas: no replicas";
        assert_eq!(found[0].seen, seen);
    }

    #[test]
    fn an_addon_at_work_is_a_warning() {
        let mut facts = healthy();
        let mut addon = degraded();
        addon.status = Some(AddonStatus::Updating);
        addon.health = None;
        facts.coredns = Known::Read(Some(addon));
        assert_eq!(unhealthy(&facts)[0].severity, Severity::Warning);
    }

    #[test]
    fn without_the_addon_nobody_knows() {
        let mut facts = healthy();
        facts.coredns = Known::Read(None);
        assert_eq!(unhealthy(&facts), []);
        assert_eq!(missing(&facts)[0].severity, Severity::Warning);
        facts.coredns = Known::Unread;
        assert_eq!(missing(&facts), []);
    }
}
