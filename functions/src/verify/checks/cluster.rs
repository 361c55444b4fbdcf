//! What EKS says of the cluster.

use aws_sdk_eks::types::{ClusterHealth, ClusterStatus};

use super::problem;
use crate::resources::eks;
use crate::verify::facts::Facts;
use crate::verify::problem::{Problem, Severity};

/// A cluster that failed, has health issues, or is on its way up or down.
pub fn unhealthy(facts: &Facts) -> Vec<Problem> {
    let cluster = &facts.cluster;
    let issues = cluster.health().map_or(&[][..], ClusterHealth::issues);
    let (severity, fix) = match cluster.status() {
        Some(ClusterStatus::Active | ClusterStatus::Updating) if issues.is_empty() => {
            return vec![];
        }
        Some(ClusterStatus::Creating | ClusterStatus::Pending | ClusterStatus::Deleting)
            if issues.is_empty() =>
        {
            (
                Severity::Warning,
                "wait: it takes up to a quarter of an hour",
            )
        }
        Some(ClusterStatus::Failed) => (
            Severity::Error,
            "put right what it names; a cluster that failed while it was made has to be deleted and \
             made again",
        ),
        _ => (Severity::Error, "put right what it names"),
    };
    let status = cluster.status().map_or("unknown", ClusterStatus::as_str);
    let seen = format!("it is {}", eks::status_line(status, issues));
    let expected = "status ACTIVE without health issues";
    vec![problem(severity, facts.cluster_arn(), seen, expected, fix)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::fixtures::healthy;
    use aws_sdk_eks::types::{ClusterIssue, ClusterIssueCode};

    #[test]
    fn issues_of_an_active_cluster_are_said_with_their_resources() {
        let mut facts = healthy();
        let issue = ClusterIssue::builder()
            .code(ClusterIssueCode::Ec2SubnetNotFound)
            .message("gone")
            .resource_ids("subnet-a");
        facts.cluster.health = Some(ClusterHealth::builder().issues(issue.build()).build());
        let found = unhealthy(&facts);
        assert_eq!(found[0].severity, Severity::Error);
        assert_eq!(
            found[0].seen,
            "it is ACTIVE; Ec2SubnetNotFound: gone (subnet-a)"
        );
    }

    #[test]
    fn an_update_is_no_trouble_and_a_creation_takes_its_time() {
        let mut facts = healthy();
        facts.cluster.status = Some(ClusterStatus::Updating);
        assert_eq!(unhealthy(&facts), []);
        facts.cluster.status = Some(ClusterStatus::Creating);
        assert_eq!(unhealthy(&facts)[0].severity, Severity::Warning);
        facts.cluster.status = Some(ClusterStatus::Failed);
        assert_eq!(unhealthy(&facts)[0].severity, Severity::Error);
    }
}
