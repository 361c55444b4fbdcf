//! Add-ons of a cluster, and the versions that EKS offers of them.

use aws_sdk_eks::types::{Addon, AddonHealth, AddonInfo};

use crate::aws::{Aws, list};
use crate::contract::error::required;
use crate::contract::{During, Error};
use crate::model::Target;
use crate::resources::eks;

/// CloudFormation's type name.
pub(crate) const KIND: &str = "AWS::EKS::Addon";

/// A version of an add-on that runs on the Kubernetes version that was asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AddonVersion {
    /// For example `v1.12.3-eksbuild.1`.
    pub name: String,
    /// Whether EKS installs it there when no version is named.
    pub is_default: bool,
}

/// The add-on with that name, ours or not; none if there is none.
pub(crate) async fn find(aws: &Aws, target: &Target, name: &str) -> Result<Option<Addon>, Error> {
    let call = aws.eks().describe_addon();
    let call = call.cluster_name(&target.cluster_name).addon_name(name);
    match call.send().await {
        Err(error) if eks::is_absent(&error) => Ok(None),
        answer => {
            let addon = answer.during("eks:DescribeAddon")?.addon;
            required(addon, "eks:DescribeAddon: addon").map(Some)
        }
    }
}

/// The versions of an add-on that run on a Kubernetes version, for example `1.36`.
pub(crate) async fn find_versions(
    aws: &Aws,
    name: &str,
    kubernetes: &str,
) -> Result<Vec<AddonVersion>, Error> {
    let call = aws.eks().describe_addon_versions();
    let call = call.addon_name(name).kubernetes_version(kubernetes);
    let addons = list!(call).await.during("eks:DescribeAddonVersions")?;
    let versions = addons.iter().flat_map(AddonInfo::addon_versions);
    let fit = versions.filter_map(|version| {
        let mut all = version.compatibilities().iter();
        let one = all.find(|it| it.cluster_version() == Some(kubernetes))?;
        Some(AddonVersion {
            name: version.addon_version()?.to_owned(),
            is_default: one.default_version(),
        })
    });
    Ok(fit.collect())
}

/// The numbers in a version's name, which order versions as time does: 1, 12, 3, 1 for
/// `v1.12.3-eksbuild.1`.
pub(crate) fn numbers(name: &str) -> Vec<u32> {
    let parts = name.split(|character: char| !character.is_ascii_digit());
    parts.filter_map(|part| part.parse().ok()).collect()
}

/// `DEGRADED; InsufficientNumberOfReplicas: …`
pub(crate) fn status_line(addon: &Addon) -> String {
    let status = addon.status().map_or("unknown", AsRef::as_ref);
    let issues = addon.health().map(AddonHealth::issues);
    eks::status_line(status, issues.unwrap_or_default())
}

/// `add-on coredns is DEGRADED; InsufficientNumberOfReplicas: …`
pub(crate) fn line(addon: &Addon) -> String {
    let name = addon.addon_name().unwrap_or(eks::COREDNS);
    format!("add-on {name} is {}", status_line(addon))
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
