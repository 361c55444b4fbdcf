//! What `CreateCluster` is asked for.

use ipnet::Ipv4Net;
use serde::Deserialize;

use super::check::service_cidr;
use super::{Logging, VpcConfig};
use crate::api_error::ApiError;
use crate::eks::errors::invalid_parameter;
use crate::eks::request::{Request, Tags, check_one_of, check_tags};
use crate::eks::{Surroundings, update};

/// botocore's EKS model, CreateClusterRequest.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateCluster {
    pub name: String,
    pub version: Option<String>,
    pub role_arn: String,
    pub resources_vpc_config: update::VpcConfigRequest,
    #[serde(default)]
    pub kubernetes_network_config: NetworkConfig,
    #[serde(default)]
    pub logging: Logging,
    #[serde(default)]
    pub tags: Tags,
    #[serde(default)]
    pub encryption_config: Vec<EncryptionConfig>,
    #[serde(default)]
    pub access_config: AccessConfig,
    pub bootstrap_self_managed_addons: Option<bool>,
    #[serde(default)]
    pub upgrade_policy: update::UpgradePolicy,
    #[serde(default)]
    pub zonal_shift_config: update::Enabled,
    pub deletion_protection: Option<bool>,
    #[serde(default)]
    pub control_plane_scaling_config: update::ScalingConfig,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct NetworkConfig {
    pub service_ipv4_cidr: Option<String>,
    pub ip_family: Option<String>,
    pub elastic_load_balancing: update::Enabled,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct EncryptionConfig {
    pub resources: Vec<String>,
    pub provider: Provider,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Provider {
    pub key_arn: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AccessConfig {
    pub bootstrap_cluster_creator_admin_permissions: Option<bool>,
    pub authentication_mode: Option<String>,
}

impl CreateCluster {
    /// Checks what does not depend on anything else.
    pub(super) fn check(&self, request: &Request<'_>) -> Result<(), ApiError> {
        update::refuse_unmodelled(request)?;
        let network = &self.kubernetes_network_config;
        if !matches!(network.ip_family.as_deref(), None | Some("ipv4")) {
            return Err(invalid_parameter("Only ipFamily ipv4 is simulated"));
        }
        if network.elastic_load_balancing.enabled == Some(true) {
            return Err(invalid_parameter("EKS Auto Mode is not simulated"));
        }
        if let Some(mode) = &self.access_config.authentication_mode {
            check_one_of("authenticationMode", mode, update::AUTHENTICATION_MODES)?;
        }
        self.upgrade_policy.check()?;
        self.control_plane_scaling_config.check()?;
        check_tags(&self.tags)?;
        self.check_encryption()
    }

    /// botocore's EKS model, EncryptionConfig: one at the most, of secrets.
    fn check_encryption(&self) -> Result<(), ApiError> {
        if self.encryption_config.len() > 1 {
            return Err(invalid_parameter("Only one encryptionConfig is allowed"));
        }
        for config in &self.encryption_config {
            // It no longer says what is encrypted, but it never could name anything else.
            if config
                .resources
                .iter()
                .any(|resource| resource != "secrets")
            {
                let message = "The only resource that can be encrypted is secrets";
                return Err(invalid_parameter(message));
            }
            let key = &config.provider.key_arn;
            if !key.starts_with("arn:") || !key.contains(":kms:") {
                return Err(invalid_parameter(&format!("Invalid KMS key ARN: {key}")));
            }
        }
        Ok(())
    }

    /// Where the cluster will be.
    pub(super) fn vpc(&self, around: &Surroundings<'_>) -> Result<VpcConfig, ApiError> {
        let asked = &self.resources_vpc_config;
        let subnet_ids = asked.subnet_ids.clone().unwrap_or_default();
        let vpc_id = around.check_cluster_subnets(&self.name, &subnet_ids)?;
        let security_group_ids = asked.security_group_ids.clone().unwrap_or_default();
        around.check_security_groups(&vpc_id, &security_group_ids)?;
        let old = VpcConfig {
            vpc_id,
            zones: around.zones_of_subnets(&subnet_ids)?,
            subnet_ids,
            security_group_ids,
            // botocore's EKS model: the defaults.
            endpoint_public_access: true,
            public_access_cidrs: vec!["0.0.0.0/0".to_owned()],
            egress_mode: "AWS_MANAGED".to_owned(),
            ..VpcConfig::default()
        };
        let (public, private, cidrs) = asked.endpoint(&old)?;
        let egress_mode = asked.egress_mode()?.unwrap_or(&old.egress_mode).to_owned();
        Ok(VpcConfig {
            endpoint_public_access: public,
            endpoint_private_access: private,
            public_access_cidrs: cidrs,
            egress_mode,
            ..old
        })
    }

    /// The addresses of Kubernetes' services.
    pub(super) fn service_cidr(
        &self,
        around: &Surroundings<'_>,
        vpc_id: &str,
    ) -> Result<Ipv4Net, ApiError> {
        let Some(text) = &self.kubernetes_network_config.service_ipv4_cidr else {
            return Ok(around.default_service_cidr(vpc_id));
        };
        let cidr = service_cidr(text)?;
        around.check_service_cidr(vpc_id, cidr)?;
        Ok(cidr)
    }
}
