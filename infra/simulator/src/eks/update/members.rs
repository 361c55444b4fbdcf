//! Members of the request that `UpdateClusterConfig` shares with `CreateCluster`.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::json;

use super::Change;
use crate::api_error::ApiError;
use crate::eks::cluster::{VpcConfig, check_cidrs};
use crate::eks::errors::invalid_parameter;
use crate::eks::request::{Request, check_one_of};
use crate::eks::{Cluster, Surroundings};

/// botocore's EKS model, AuthenticationMode; each can be changed only to a later one (EKS user guide,
/// authentication modes).
pub(in crate::eks) const AUTHENTICATION_MODES: &[&str] =
    &["CONFIG_MAP", "API_AND_CONFIG_MAP", "API"];
/// botocore's EKS model, SupportType.
const SUPPORT_TYPES: &[&str] = &["STANDARD", "EXTENDED"];
/// botocore's EKS model, ControlPlaneEgressModeType.
const EGRESS_MODES: &[&str] = &["AWS_MANAGED", "CUSTOMER_ROUTED", "CUSTOMER_ISOLATED"];
/// botocore's EKS model, ProvisionedControlPlaneTier.
const TIERS: &[&str] = &["standard", "tier-xl", "tier-2xl", "tier-4xl", "tier-8xl"];
/// What is not simulated: Outposts, EKS Auto Mode, hybrid nodes, settings of control plane components.
const UNMODELLED: &[&str] = &[
    "outpostConfig",
    "computeConfig",
    "storageConfig",
    "remoteNetworkConfig",
    "kubeApiServerConfig",
    "kubeSchedulerConfig",
    "kubeControllerManagerConfig",
];

/// botocore's EKS model, VpcConfigRequest.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::eks) struct VpcConfigRequest {
    pub subnet_ids: Option<Vec<String>>,
    pub security_group_ids: Option<Vec<String>>,
    endpoint_public_access: Option<bool>,
    endpoint_private_access: Option<bool>,
    public_access_cidrs: Option<Vec<String>>,
    control_plane_egress_mode: Option<String>,
}

/// Something that is on or off.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::eks) struct Enabled {
    pub enabled: Option<bool>,
}

/// botocore's EKS model, UpgradePolicyRequest.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::eks) struct UpgradePolicy {
    support_type: Option<String>,
}

/// botocore's EKS model, ControlPlaneScalingConfig.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::eks) struct ScalingConfig {
    tier: Option<String>,
}

/// Refuses what is not simulated, unless it is switched off.
pub(in crate::eks) fn refuse_unmodelled(request: &Request<'_>) -> Result<(), ApiError> {
    let is_off = |member: &str| request.body[member]["enabled"] == json!(false);
    let block_storage_off =
        |member: &str| request.body[member]["blockStorage"]["enabled"] == json!(false);
    let mut wanted = UNMODELLED
        .iter()
        .filter(|member| request.has(member) && !is_off(member) && !block_storage_off(member));
    match wanted.next() {
        Some(member) => Err(invalid_parameter(&format!("{member} is not simulated"))),
        None => Ok(()),
    }
}

/// A cluster stays in the zones that it was made in (EKS user guide, network requirements;
/// aws/containers-roadmap issue 2330). The text is what users report.
fn check_same_zones(new: &BTreeSet<String>, made_in: &BTreeSet<String>) -> Result<(), ApiError> {
    if new == made_in {
        return Ok(());
    }
    let list = |zones: &BTreeSet<String>| {
        let names: Vec<&str> = zones.iter().map(String::as_str).collect();
        names.join(",")
    };
    Err(invalid_parameter(&format!(
        "Provided subnets belong to the AZs '{}'. But they should belong to the exact set of AZs '{}' \
         in which subnets were provided during cluster creation.",
        list(new),
        list(made_in)
    )))
}

impl VpcConfigRequest {
    pub(super) fn changes(
        &self,
        cluster: &Cluster,
        around: &Surroundings<'_>,
    ) -> Result<Vec<Change>, ApiError> {
        let old = &cluster.vpc;
        let mut changes = Vec::new();
        let is_about_endpoint = self.endpoint_public_access.is_some()
            || self.endpoint_private_access.is_some()
            || self.public_access_cidrs.is_some();
        if is_about_endpoint {
            let (public, private, cidrs) = self.endpoint(old)?;
            changes.push(Change::Endpoint(public, private, cidrs));
        }
        if self.subnet_ids.is_some() || self.security_group_ids.is_some() {
            let subnets = self.subnet_ids.as_ref().unwrap_or(&old.subnet_ids).clone();
            let groups = self.security_group_ids.as_ref();
            let groups = groups.unwrap_or(&old.security_group_ids).clone();
            let vpc_id = around.check_cluster_subnets(&cluster.name, &subnets)?;
            if vpc_id != old.vpc_id {
                return Err(invalid_parameter("The VPC of a cluster cannot be changed"));
            }
            check_same_zones(&around.zones_of_subnets(&subnets)?, &old.zones)?;
            around.check_security_groups(&vpc_id, &groups)?;
            changes.push(Change::Vpc(subnets, groups));
        }
        let mode = self.egress_mode()?;
        changes.extend(mode.map(|mode| Change::Egress(mode.to_owned())));
        Ok(changes)
    }

    /// Public access, private access, and from where.
    pub(in crate::eks) fn endpoint(
        &self,
        old: &VpcConfig,
    ) -> Result<(bool, bool, Vec<String>), ApiError> {
        let public = self
            .endpoint_public_access
            .unwrap_or(old.endpoint_public_access);
        let private = self
            .endpoint_private_access
            .unwrap_or(old.endpoint_private_access);
        if !public && !private {
            let message = "Private and public endpoint access cannot be false";
            return Err(invalid_parameter(message));
        }
        let cidrs = match &self.public_access_cidrs {
            Some(cidrs) if !cidrs.is_empty() => {
                check_cidrs(cidrs)?;
                cidrs.clone()
            }
            _ => old.public_access_cidrs.clone(),
        };
        Ok((public, private, cidrs))
    }

    pub(in crate::eks) fn egress_mode(&self) -> Result<Option<&str>, ApiError> {
        if let Some(mode) = &self.control_plane_egress_mode {
            check_one_of("controlPlaneEgressMode", mode, EGRESS_MODES)?;
        }
        Ok(self.control_plane_egress_mode.as_deref())
    }
}

impl UpgradePolicy {
    /// New clusters have extended support unless they say otherwise (botocore's EKS model).
    pub(in crate::eks) fn support_type(&self) -> &str {
        self.support_type.as_deref().unwrap_or("EXTENDED")
    }

    pub(in crate::eks) fn check(&self) -> Result<(), ApiError> {
        check_one_of("supportType", self.support_type(), SUPPORT_TYPES)
    }
}

impl ScalingConfig {
    pub(in crate::eks) fn tier(&self) -> &str {
        self.tier.as_deref().unwrap_or("standard")
    }

    pub(in crate::eks) fn check(&self) -> Result<(), ApiError> {
        check_one_of("tier", self.tier(), TIERS)
    }
}
