//! Kubernetes versions.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::errors::invalid_parameter;
use super::page::page;
use super::request::{Request, check_one_of, epoch_seconds};
use crate::api_error::ApiError;
use crate::state::Context;

/// A Kubernetes version that EKS has or had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// For example `1.36`.
    pub name: &'static str,
    /// The version of the control plane and of the kubelets.
    pub patch: &'static str,
    /// EKS's platform version; EKS numbers them for each Kubernetes version.
    pub(super) platform: &'static str,
    released: &'static str,
    standard_until: &'static str,
    extended_until: &'static str,
}

/// Dates: EKS user guide, Kubernetes versions, and for 1.35 and 1.36 what was published of their
/// calendar; the end of extended support is a year after that of standard support where nothing else
/// is known. Patch levels and platform versions stand for whatever EKS runs.
const VERSIONS: &[Version] = &[
    version(
        ["1.36", "1.36.1", "eks.14"],
        ["2026-06-02", "2027-08-02", "2028-08-02"],
    ),
    version(
        ["1.35", "1.35.4", "eks.9"],
        ["2026-01-28", "2027-03-27", "2028-03-27"],
    ),
    version(
        ["1.34", "1.34.7", "eks.14"],
        ["2025-10-02", "2026-12-02", "2027-12-02"],
    ),
    version(
        ["1.33", "1.33.11", "eks.22"],
        ["2025-05-29", "2026-07-29", "2027-07-29"],
    ),
    version(
        ["1.32", "1.32.13", "eks.29"],
        ["2025-01-23", "2026-03-23", "2027-03-23"],
    ),
    version(
        ["1.31", "1.31.14", "eks.46"],
        ["2024-09-26", "2025-11-26", "2026-11-26"],
    ),
];

/// botocore's EKS model, CreateCluster: the default might not be the latest. A captured answer of a real
/// account (us-east-1, 2026-09-28) has this one, and its platform version.
const DEFAULT: &str = "1.36";

/// A line of the table: name, patch level and platform; released, and the ends of both kinds of support.
const fn version(names: [&'static str; 3], dates: [&'static str; 3]) -> Version {
    let [name, patch, platform] = names;
    let [released, standard_until, extended_until] = dates;
    Version {
        name,
        patch,
        platform,
        released,
        standard_until,
        extended_until,
    }
}

/// botocore's EKS model, VersionStatus.
const STANDARD_SUPPORT: &str = "STANDARD_SUPPORT";
const EXTENDED_SUPPORT: &str = "EXTENDED_SUPPORT";
const UNSUPPORTED: &str = "UNSUPPORTED";

/// The version with the name, whether supported or not.
#[must_use]
pub fn find(name: &str) -> Option<&'static Version> {
    VERSIONS.iter().find(|version| version.name == name)
}

/// The version for a new cluster: the one asked for, or the default.
///
/// EKS user guide, Kubernetes versions: from the end of extended support on no new clusters.
pub(super) fn of_new_cluster(
    name: Option<&str>,
    support_type: &str,
    now: Timestamp,
) -> Result<&'static Version, ApiError> {
    let name = name.unwrap_or(DEFAULT);
    let version = supported(name, now)?;
    // EKS user guide, create a cluster: no STANDARD for what is in extended support already.
    if support_type == "STANDARD" && version.status(now) == EXTENDED_SUPPORT {
        let message = format!(
            "Kubernetes version {name} is in extended support: the support type must be EXTENDED"
        );
        return Err(invalid_parameter(&message));
    }
    Ok(version)
}

fn supported(name: &str, now: Timestamp) -> Result<&'static Version, ApiError> {
    let is_supported =
        |version: &&Version| version.is_released(now) && version.status(now) != UNSUPPORTED;
    let version = find(name).filter(is_supported);
    version.ok_or_else(|| invalid_parameter(&format!("unsupported Kubernetes version {name}")))
}

/// The version that a cluster of version `old` is to be updated to: the next one, and no other.
///
/// The text is what users report of a leap (terraform-aws-modules/terraform-aws-eks issue 2607), of an
/// older version (rancher/rancher issue 43316) and of the same (rancher/rancher issue 21043). Since 2026
/// EKS can take an update back within a week (EKS user guide, roll back a cluster); that is not
/// simulated.
pub(super) fn of_update(
    old: &str,
    name: &str,
    now: Timestamp,
) -> Result<&'static Version, ApiError> {
    let version = supported(name, now)?;
    if minor(name) != minor(old) + 1 {
        let message = format!("Unsupported Kubernetes minor version update from {old} to {name}");
        return Err(invalid_parameter(&message));
    }
    Ok(version)
}

/// The number after the point: 36 of `1.36`. There has been no Kubernetes 2.
#[must_use]
pub fn minor(name: &str) -> u32 {
    let minor = name.split('.').nth(1).and_then(|text| text.parse().ok());
    minor.unwrap_or_default()
}

/// The version after the one with the name, once it is released.
pub(super) fn next(name: &str, now: Timestamp) -> Option<&'static Version> {
    let next = find(&format!("1.{}", minor(name) + 1));
    next.filter(|version| version.is_released(now))
}

/// `DescribeClusterVersions`. Without a filter those that are supported.
pub(super) fn describe(
    context: &mut Context<'_>,
    request: &Request<'_>,
) -> Result<Value, ApiError> {
    let now = context.now;
    if let Some(cluster_type) = request.query("clusterType") {
        check_one_of("clusterType", cluster_type, &["eks", "eks-local-outposts"])?;
    }
    let status = request.query("versionStatus").map(str::to_owned);
    // The deprecated filter spells the same statuses differently.
    let deprecated = request.query("status");
    let deprecated = deprecated.map(|status| status.to_uppercase().replace('-', "_"));
    let status = status.or(deprecated);
    if let Some(status) = &status {
        let all = [STANDARD_SUPPORT, EXTENDED_SUPPORT, UNSUPPORTED];
        check_one_of("versionStatus", status, &all)?;
    }
    let names = request.query_list("clusterVersions");
    let default_only = request.flag("defaultOnly");
    let includes_all = request.flag("includeAll") || status.is_some() || !names.is_empty();
    let versions = VERSIONS.iter().filter(|version| {
        version.is_released(now)
            && (includes_all || version.status(now) != UNSUPPORTED)
            && (status.as_deref()).is_none_or(|status| status == version.status(now))
            && (names.is_empty() || names.contains(&version.name))
            && (!default_only || version.name == DEFAULT)
            && request.query("clusterType") != Some("eks-local-outposts")
    });
    let versions = versions.map(|version| version.to_json(now));
    page(request, "clusterVersions", versions)
}

impl Version {
    fn is_released(&self, now: Timestamp) -> bool {
        now >= midnight(self.released)
    }

    fn status(&self, now: Timestamp) -> &'static str {
        if now < midnight(self.standard_until) {
            STANDARD_SUPPORT
        } else if now < midnight(self.extended_until) {
            EXTENDED_SUPPORT
        } else {
            UNSUPPORTED
        }
    }

    /// Whether it is in extended support.
    pub(super) fn is_in_extended_support(&self, now: Timestamp) -> bool {
        self.status(now) == EXTENDED_SUPPORT
    }

    fn to_json(self, now: Timestamp) -> Value {
        let status = self.status(now);
        json!({
            "clusterVersion": self.name,
            "clusterType": "eks",
            "defaultPlatformVersion": self.platform,
            "defaultVersion": self.name == DEFAULT,
            "releaseDate": epoch_seconds(midnight(self.released)),
            "endOfStandardSupportDate": epoch_seconds(midnight(self.standard_until)),
            "endOfExtendedSupportDate": epoch_seconds(midnight(self.extended_until)),
            "status": status.to_lowercase().replace('_', "-"),
            "versionStatus": status,
            "kubernetesPatchVersion": self.patch,
        })
    }
}

/// The first moment of a day of the table, in UTC.
fn midnight(date: &str) -> Timestamp {
    format!("{date}T00:00:00Z")
        .parse()
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use aws_sdk_eks::types::VersionStatus;

    use super::*;
    use crate::eks::testing::World;

    fn on(date: &str) -> Timestamp {
        midnight(date)
    }

    #[test]
    fn every_date_of_the_table_is_a_date() {
        for version in VERSIONS {
            for date in [
                version.released,
                version.standard_until,
                version.extended_until,
            ] {
                assert_ne!(midnight(date), Timestamp::MAX, "{date}");
            }
            assert!(version.patch.starts_with(version.name));
        }
    }

    #[test]
    fn support_ends_on_its_day() {
        let standard = |name, date| of_new_cluster(Some(name), "STANDARD", on(date));
        standard("1.34", "2026-12-01").unwrap();
        standard("1.34", "2026-12-02").unwrap_err();
        let extended = |name, date| of_new_cluster(Some(name), "EXTENDED", on(date));
        extended("1.31", "2026-11-25").unwrap();
        extended("1.31", "2026-11-26").unwrap_err();
        extended("1.36", "2026-06-01").unwrap_err();
        extended("1.99", "2026-11-01").unwrap_err();
    }

    #[test]
    fn an_update_goes_to_the_next_version_only() {
        let to = |name| of_update("1.34", name, on("2026-11-01"));
        assert_eq!(to("1.35").unwrap().name, "1.35");
        for name in ["1.36", "1.34", "1.33"] {
            let expected =
                format!("Unsupported Kubernetes minor version update from 1.34 to {name}");
            assert_eq!(to(name).unwrap_err().message, expected);
        }
        let message = of_update("1.36", "1.37", on("2026-11-01"))
            .unwrap_err()
            .message;
        assert_eq!(message, "unsupported Kubernetes version 1.37");
    }

    #[tokio::test(start_paused = true)]
    async fn versions_are_described_with_their_status_on_the_day() {
        let world = World::new().await;
        let call = world.eks.describe_cluster_versions().send().await.unwrap();
        let versions = call.cluster_versions();
        assert_eq!(versions.len(), 6);
        assert_eq!(versions[0].cluster_version(), Some("1.36"));
        assert_eq!(
            versions[0].version_status(),
            Some(&VersionStatus::StandardSupport)
        );
        assert_eq!(
            versions[5].version_status(),
            Some(&VersionStatus::ExtendedSupport)
        );
        let defaults: Vec<_> = versions.iter().filter(|it| it.default_version).collect();
        assert_eq!(defaults.len(), 1);
        assert_eq!(defaults[0].cluster_version(), Some("1.36"));
    }

    #[tokio::test(start_paused = true)]
    async fn versions_are_filtered() {
        let world = World::new().await;
        let call = world.eks.describe_cluster_versions();
        let call = call.version_status(VersionStatus::ExtendedSupport).send();
        let names: Vec<_> = (call.await.unwrap().cluster_versions.unwrap().into_iter())
            .map(|version| version.cluster_version.unwrap())
            .collect();
        assert_eq!(names, ["1.33", "1.32", "1.31"]);
        let call = world
            .eks
            .describe_cluster_versions()
            .default_only(true)
            .send();
        assert_eq!(call.await.unwrap().cluster_versions().len(), 1);
        let call = world
            .eks
            .describe_cluster_versions()
            .cluster_versions("1.34")
            .send();
        assert_eq!(call.await.unwrap().cluster_versions().len(), 1);
    }
}
