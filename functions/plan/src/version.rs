//! Which Kubernetes version.

use aws_sdk_eks::types::{ClusterVersionInformation, VersionStatus};
use step::spec::SupportType;
use step::{Aws, During, Error, Spec, Target, eks};

/// The version that the input names, the one that the cluster has, or the newest in standard support.
pub(crate) async fn choose(aws: &Aws, spec: &Spec, target: &Target) -> Result<String, Error> {
    let known = describe(aws).await?;
    if let Some(wanted) = &spec.kubernetes_version {
        check(wanted, spec.support_type.unwrap_or_default(), &known)?;
        return Ok(wanted.clone());
    }
    // A cluster keeps its version: a newer one in EKS's list must not make another plan of the same
    // input.
    let cluster = eks::find_cluster(aws, target).await?;
    if let Some(version) = cluster.and_then(|cluster| cluster.version) {
        return Ok(version);
    }
    newest(&known).ok_or_else(|| {
        Error::Unexpected(
            "eks:DescribeClusterVersions names no version in standard support".to_owned(),
        )
    })
}

/// All versions that EKS knows.
async fn describe(aws: &Aws) -> Result<Vec<ClusterVersionInformation>, Error> {
    let mut pages = aws
        .eks
        .describe_cluster_versions()
        .into_paginator()
        .items()
        .send();
    let mut versions = Vec::new();
    while let Some(version) = pages.next().await {
        versions.push(version.during("eks:DescribeClusterVersions")?);
    }
    Ok(versions)
}

fn is(version: &ClusterVersionInformation, status: &VersionStatus) -> bool {
    version.version_status() == Some(status)
}

/// The newest version in standard support; `1.9` is older than `1.36`.
fn newest(known: &[ClusterVersionInformation]) -> Option<String> {
    standard(known).into_iter().next_back()
}

/// The versions in standard support, oldest first.
fn standard(known: &[ClusterVersionInformation]) -> Vec<String> {
    let mut versions: Vec<&str> = known
        .iter()
        .filter(|version| is(version, &VersionStatus::StandardSupport))
        .filter_map(|version| version.cluster_version())
        .collect();
    versions.sort_by_key(|version| numbers(version));
    versions.into_iter().map(ToOwned::to_owned).collect()
}

fn numbers(version: &str) -> Vec<u32> {
    version
        .split('.')
        .filter_map(|number| number.parse().ok())
        .collect()
}

fn check(
    wanted: &str,
    support: SupportType,
    known: &[ClusterVersionInformation],
) -> Result<(), Error> {
    let offered = || standard(known).join(", ");
    let found = known
        .iter()
        .find(|version| version.cluster_version() == Some(wanted));
    let expected = match found {
        Some(version) if is(version, &VersionStatus::StandardSupport) => return Ok(()),
        Some(version) if is(version, &VersionStatus::ExtendedSupport) => match support {
            SupportType::Extended => return Ok(()),
            SupportType::Standard => format!(
                "one of {}, or supportType EXTENDED: {wanted} is in extended support",
                offered()
            ),
        },
        _ => format!("a version that EKS supports: one of {}", offered()),
    };
    Err(Error::invalid("kubernetesVersion", wanted, expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<ClusterVersionInformation> {
        [
            ("1.9", VersionStatus::StandardSupport),
            ("1.35", VersionStatus::StandardSupport),
            ("1.36", VersionStatus::StandardSupport),
            ("1.33", VersionStatus::ExtendedSupport),
            ("1.30", VersionStatus::Unsupported),
        ]
        .map(|(version, status)| {
            ClusterVersionInformation::builder()
                .cluster_version(version)
                .version_status(status)
                .build()
        })
        .into()
    }

    #[test]
    fn the_newest_is_found_by_number() {
        assert_eq!(newest(&known()).as_deref(), Some("1.36"));
        assert_eq!(newest(&[]), None);
    }

    #[test]
    fn a_version_in_extended_support_needs_that_support_type() {
        assert!(check("1.33", SupportType::Extended, &known()).is_ok());
        let error = check("1.33", SupportType::Standard, &known()).unwrap_err();
        assert!(
            error.to_string().contains("supportType EXTENDED"),
            "{error}"
        );
    }

    #[test]
    fn unsupported_and_unknown_versions_are_refused_with_those_that_are_offered() {
        for wanted in ["1.30", "1.99"] {
            let error = check(wanted, SupportType::Extended, &known()).unwrap_err();
            assert!(error.to_string().contains("1.9, 1.35, 1.36"), "{error}");
        }
    }
}
