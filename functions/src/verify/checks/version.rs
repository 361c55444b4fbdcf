//! The Kubernetes version's support (EKS user guide, Kubernetes versions).

use aws_sdk_eks::types::VersionStatus;

use super::warning;
use crate::verify::facts::Facts;
use crate::verify::problem::Problem;

/// Extended support costs more; after it EKS upgrades the cluster by itself.
pub fn out_of_support(facts: &Facts) -> Vec<Problem> {
    let Some(Some(version)) = facts.version.read() else {
        return vec![];
    };
    let name = facts.cluster.version().unwrap_or_default();
    let day = |time: Option<&aws_sdk_eks::primitives::DateTime>| {
        let time = time.map(ToString::to_string).unwrap_or_default();
        time.get(..10).unwrap_or("an unknown day").to_owned()
    };
    let seen = match version.version_status() {
        Some(VersionStatus::ExtendedSupport) => format!(
            "Kubernetes {name} is in extended support, which costs more, until {}",
            day(version.end_of_extended_support_date())
        ),
        Some(VersionStatus::Unsupported) => format!(
            "Kubernetes {name} is not supported any more; EKS upgrades such clusters by itself"
        ),
        _ => return vec![],
    };
    vec![warning(
        facts.cluster_arn(),
        seen,
        "a version in standard support",
        "upgrade the cluster, one minor version at a time",
    )]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::facts::Known;
    use crate::verify::fixtures::healthy;
    use aws_sdk_eks::primitives::DateTime;
    use aws_sdk_eks::types::ClusterVersionInformation;

    fn with(status: VersionStatus) -> Facts {
        let mut facts = healthy();
        let version = ClusterVersionInformation::builder().version_status(status);
        let end = DateTime::from_secs(1_800_000_000);
        let version = version.end_of_extended_support_date(end).build();
        facts.version = Known::Read(Some(version));
        facts
    }

    #[test]
    fn only_standard_support_is_silent() {
        assert_eq!(out_of_support(&with(VersionStatus::StandardSupport)), []);
        let found = out_of_support(&with(VersionStatus::ExtendedSupport));
        assert!(
            found[0].seen.ends_with("until 2027-01-15"),
            "{:?}",
            found[0]
        );
        assert_eq!(out_of_support(&with(VersionStatus::Unsupported)).len(), 1);
    }
}
