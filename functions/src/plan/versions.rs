//! Which Kubernetes version. None is hard-coded: EKS says what it offers.

use aws_sdk_eks::primitives::{DateTime, DateTimeFormat};
use aws_sdk_eks::types::{Cluster, ClusterVersionInformation, InsightStatusValue, VersionStatus};

use crate::aws::Aws;
use crate::contract::Error;
use crate::model::kubernetes_version::{FIELD, is_upgrade};
use crate::model::spec::SupportType;
use crate::model::{Target, tags};
use crate::resources::{cluster, cluster_version, eks_insights};

/// Refuses a version that EKS does not offer, and of a cluster of ours that exists any that is newer than
/// the next one. Its own it keeps, whatever EKS offers by now, and an older one is a line in the log and
/// in the preview: EKS may have upgraded the cluster by itself.
pub(crate) async fn check_asked(
    aws: &Aws,
    target: &Target,
    existing: Option<&Cluster>,
    asked: &str,
    support: SupportType,
) -> Result<(), Error> {
    let ours = existing
        .filter(|cluster| tags::map_is_ours(cluster.tags(), target) && cluster::stays(cluster));
    let Some(current) = ours.and_then(Cluster::version) else {
        return check(&cluster_version::find(aws, None).await?, asked, support);
    };
    if is_upgrade(current, asked)? {
        check(&cluster_version::find(aws, None).await?, asked, support)?;
        check_kubelets(aws, target, asked).await?;
    } else if current != asked {
        tracing::warn!(
            target: "hardway", asked, current,
            "the cluster runs a newer Kubernetes version than the input asks for; it keeps its own"
        );
    }
    Ok(())
}

/// Refuses an upgrade that EKS is known to refuse, because pods run on nodes whose kubelets are too old.
/// Only what EKS is sure of counts; and who may not read it finds out from EKS's error.
async fn check_kubelets(aws: &Aws, target: &Target, version: &str) -> Result<(), Error> {
    let errors = match eks_insights::find(aws, target, &[InsightStatusValue::Error]).await {
        Err(Error::AccessDenied(_) | Error::ExplicitDeny(_)) => return Ok(()),
        found => found?,
    };
    let blocks = |insight: &_| eks_insights::blocks_by_kubelets(insight, version);
    match errors.into_iter().find(blocks) {
        Some(insight) => Err(eks_insights::conflict(target, version, "", &[insight])),
        None => Ok(()),
    }
}

/// The newest version in standard support.
pub(crate) fn newest(offered: &[ClusterVersionInformation]) -> Result<String, Error> {
    let standard = with_status(offered, &VersionStatus::StandardSupport);
    let newest = standard.first().map(|version| (*version).to_owned());
    newest.ok_or_else(|| {
        Error::Unexpected("EKS offers no Kubernetes version in standard support".to_owned())
    })
}

/// Refuses a version that EKS does not offer, or not with that kind of support.
pub(crate) fn check(
    offered: &[ClusterVersionInformation],
    asked: &str,
    support: SupportType,
) -> Result<(), Error> {
    let is_asked = |it: &&ClusterVersionInformation| it.cluster_version() == Some(asked);
    let found = offered.iter().find(is_asked);
    let standard = with_status(offered, &VersionStatus::StandardSupport).join(", ");
    let extended = with_status(offered, &VersionStatus::ExtendedSupport).join(", ");
    match found.and_then(ClusterVersionInformation::version_status) {
        None | Some(VersionStatus::Unsupported) => {
            let expected = format!("one of {standard}; or, in extended support, {extended}");
            Err(Error::invalid(FIELD, asked, expected))
        }
        Some(VersionStatus::ExtendedSupport) if support == SupportType::Standard => {
            let expected = format!(
                "EXTENDED for Kubernetes {asked}, whose standard support has ended; or one of \
                 {standard} as {FIELD}"
            );
            Err(Error::invalid("supportType", support, expected))
        }
        Some(_) => Ok(()),
    }
}

/// How long EKS supports a version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Support {
    /// The version.
    pub version: String,
    /// Whether it is in extended support, which costs more.
    pub is_extended: bool,
    /// The day on which standard support ends, for example `2026-12-02`.
    pub standard_until: Option<String>,
    /// The day on which extended support ends.
    pub extended_until: Option<String>,
}

/// How long `version` is supported.
pub(crate) fn support(offered: &[ClusterVersionInformation], version: &str) -> Support {
    let found = offered
        .iter()
        .find(|it| it.cluster_version() == Some(version));
    let day = |time: Option<&DateTime>| {
        let text = time?.fmt(DateTimeFormat::DateTime).ok()?;
        text.split('T').next().map(str::to_owned)
    };
    Support {
        version: version.to_owned(),
        is_extended: found.and_then(|it| it.version_status())
            == Some(&VersionStatus::ExtendedSupport),
        standard_until: found.and_then(|it| day(it.end_of_standard_support_date())),
        extended_until: found.and_then(|it| day(it.end_of_extended_support_date())),
    }
}

/// The versions with that status, the newest first.
fn with_status<'a>(
    offered: &'a [ClusterVersionInformation],
    status: &VersionStatus,
) -> Vec<&'a str> {
    let mut versions: Vec<_> = offered
        .iter()
        .filter(|it| it.version_status() == Some(status))
        .filter_map(ClusterVersionInformation::cluster_version)
        .collect();
    versions.sort_by_key(|version| std::cmp::Reverse(numbers(version)));
    versions
}

/// `1.36` as numbers: as text, 1.9 would be newer than 1.36.
fn numbers(version: &str) -> Vec<u32> {
    let parts = version.split('.');
    parts.map(|part| part.parse().unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered() -> Vec<ClusterVersionInformation> {
        let version = |version: &str, status| {
            ClusterVersionInformation::builder()
                .cluster_version(version)
                .version_status(status)
                .build()
        };
        vec![
            version("1.9", VersionStatus::StandardSupport),
            version("1.35", VersionStatus::StandardSupport),
            version("1.36", VersionStatus::StandardSupport),
            version("1.33", VersionStatus::ExtendedSupport),
            version("1.30", VersionStatus::Unsupported),
            version("1.37", VersionStatus::ExtendedSupport),
        ]
    }

    #[test]
    fn the_newest_in_standard_support_by_number() {
        assert_eq!(newest(&offered()).unwrap(), "1.36");
        assert_eq!(newest(&[]).unwrap_err().name(), "Unexpected");
    }

    #[test]
    fn offered_versions_are_fit_for_their_support() {
        let offered = offered();
        assert_eq!(check(&offered, "1.35", SupportType::Standard), Ok(()));
        assert_eq!(check(&offered, "1.35", SupportType::Extended), Ok(()));
        assert_eq!(check(&offered, "1.33", SupportType::Extended), Ok(()));
    }

    #[test]
    fn unknown_and_unsupported_versions_are_refused_with_those_on_offer() {
        for asked in ["1.30", "1.99"] {
            let error = check(&offered(), asked, SupportType::Extended).unwrap_err();
            let message = error.to_string();
            assert!(message.contains("1.36, 1.35, 1.9; or, in extended support, 1.37, 1.33"));
            assert!(message.starts_with(&format!("kubernetesVersion: \"{asked}\"")));
        }
    }

    #[test]
    fn extended_support_has_to_be_asked_for() {
        let error = check(&offered(), "1.33", SupportType::Standard).unwrap_err();
        let message = error.to_string();
        assert!(
            message.starts_with("supportType: \"STANDARD\""),
            "{message}"
        );
        assert!(
            message.contains("EXTENDED for Kubernetes 1.33"),
            "{message}"
        );
    }
}
