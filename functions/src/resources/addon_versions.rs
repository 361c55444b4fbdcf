//! Versions of an EKS add-on, and the Kubernetes versions that they run on.

use aws_sdk_eks::types::AddonInfo;

use crate::aws::{Aws, list};
use crate::contract::{During, Error};

/// A version of an add-on that runs on the Kubernetes version that was asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddonVersion {
    /// For example `v1.12.3-eksbuild.1`.
    pub name: String,
    /// Whether EKS installs it there when no version is named.
    pub is_default: bool,
}

/// The versions of an add-on that run on a Kubernetes version, for example `1.36`.
///
/// # Errors
/// What EKS answers.
pub async fn find(
    aws: &Aws,
    addon: &str,
    kubernetes_version: &str,
) -> Result<Vec<AddonVersion>, Error> {
    let pages = aws
        .eks()
        .describe_addon_versions()
        .addon_name(addon)
        .kubernetes_version(kubernetes_version);
    let addons = list!(pages).await.during("eks:DescribeAddonVersions")?;
    let versions = addons.iter().flat_map(AddonInfo::addon_versions);
    let fit = versions.filter_map(|version| {
        let mut all = version.compatibilities().iter();
        let one = all.find(|it| it.cluster_version() == Some(kubernetes_version))?;
        Some(AddonVersion {
            name: version.addon_version()?.to_owned(),
            is_default: one.default_version(),
        })
    });
    Ok(fit.collect())
}

/// The numbers in a version's name, which order versions as time does: 1, 12, 3, 1 for
/// `v1.12.3-eksbuild.1`.
#[must_use]
pub fn numbers(name: &str) -> Vec<u32> {
    let parts = name.split(|character: char| !character.is_ascii_digit());
    parts.filter_map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        assert_eq!(numbers("v1.12.3-eksbuild.1"), [1, 12, 3, 1]);
        assert!(numbers("v1.9.3-eksbuild.10") < numbers("v1.10.0-eksbuild.1"));
        assert!(numbers("v1.12.3-eksbuild.9") < numbers("v1.12.3-eksbuild.10"));
    }
}
