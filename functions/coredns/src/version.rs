//! Which version of the add-on a new one gets.

use aws_sdk_eks::types::{AddonInfo, AddonVersionInfo, Cluster};
use step::error::required;
use step::{Aws, During, Error};

use crate::COREDNS;

/// The add-on's default version for the Kubernetes version that the cluster really runs.
pub async fn default_of(aws: &Aws, cluster: &Cluster) -> Result<String, Error> {
    let kubernetes = required(cluster.version(), "eks:DescribeCluster: version")?;
    let pages = aws
        .eks
        .describe_addon_versions()
        .addon_name(COREDNS)
        .kubernetes_version(kubernetes)
        .into_paginator();
    let addons: Vec<_> = pages
        .items()
        .send()
        .try_collect()
        .await
        .during("eks:DescribeAddonVersions")?;
    let is_default = |version: &&AddonVersionInfo| {
        version.compatibilities().iter().any(|compatibility| {
            compatibility.default_version() && compatibility.cluster_version() == Some(kubernetes)
        })
    };
    let versions = addons.iter().flat_map(AddonInfo::addon_versions);
    let default = versions.into_iter().find(is_default);
    required(
        default.and_then(|version| version.addon_version()),
        &format!("eks:DescribeAddonVersions: a default version of coredns for {kubernetes}"),
    )
    .map(str::to_owned)
}
