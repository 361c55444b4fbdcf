//! Which version of the add-on.

use aws_sdk_eks::types::Addon;

use crate::aws::Aws;
use crate::contract::Error;
use crate::contract::error::required;
use crate::resources::addon_versions::{self, AddonVersion, numbers};
use crate::resources::eks::COREDNS;

/// The add-on's default version for a Kubernetes version.
pub async fn default_on(aws: &Aws, kubernetes: &str) -> Result<String, Error> {
    let versions = addon_versions::find(aws, COREDNS, kubernetes).await?;
    default_of(&versions, kubernetes).map(str::to_owned)
}

fn default_of<'a>(versions: &'a [AddonVersion], kubernetes: &str) -> Result<&'a str, Error> {
    let default = versions.iter().find(|version| version.is_default);
    required(
        default.map(|version| version.name.as_str()),
        &format!("eks:DescribeAddonVersions: a default version of coredns for {kubernetes}"),
    )
}

/// The version that a rollout brings, if it is another one than the add-on has.
///
/// It follows the cluster's Kubernetes version: pods that were rolled out for another one get the default
/// of this one, unless they are newer already. Where it is not known what they were rolled out for, the
/// version stays as long as it runs, because changing it is an upgrade.
pub async fn of_rollout(
    aws: &Aws,
    addon: &Addon,
    rolled_out_for: Option<&str>,
    kubernetes: &str,
) -> Result<Option<String>, Error> {
    if rolled_out_for == Some(kubernetes) {
        return Ok(None);
    }
    let current = required(addon.addon_version(), "eks:DescribeAddon: addonVersion")?;
    let versions = addon_versions::find(aws, COREDNS, kubernetes).await?;
    let default = default_of(&versions, kubernetes)?;
    let runs = versions.iter().any(|version| version.name == current);
    let is_new_enough = rolled_out_for.is_none() || numbers(current) >= numbers(default);
    Ok((!runs || !is_new_enough).then(|| default.to_owned()))
}
