//! What an update makes of a cluster.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::eks::{Cluster, version};

/// A change of a cluster: one kind in each update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// From where the endpoint is reached: publicly, privately, and from which blocks.
    Endpoint(bool, bool, Vec<String>),
    /// Subnets and security groups.
    Vpc(Vec<String>, Vec<String>),
    /// How the control plane reaches others.
    Egress(String),
    /// Kinds of logs that are on.
    Logging(BTreeSet<String>),
    /// How callers are authenticated.
    AuthenticationMode(String),
    /// What happens at the end of standard support.
    SupportType(String),
    /// Whether zonal shift is on.
    ZonalShift(bool),
    /// Whether the cluster refuses to be deleted.
    DeletionProtection(bool),
    /// The tier of the control plane.
    Tier(String),
    /// Kubernetes' version, and with it the platform's: the name of a version that there is.
    Version(String),
}

impl Change {
    /// botocore's EKS model, UpdateType.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Endpoint(..) => "EndpointAccessUpdate",
            Self::Vpc(..) => "VpcConfigUpdate",
            Self::Egress(_) => "ControlPlaneEgressUpdate",
            Self::Logging(_) => "LoggingUpdate",
            Self::AuthenticationMode(_) => "AccessConfigUpdate",
            Self::SupportType(_) => "UpgradePolicyUpdate",
            Self::ZonalShift(_) => "ZonalShiftConfigUpdate",
            Self::DeletionProtection(_) => "DeletionProtectionUpdate",
            Self::Tier(_) => "ControlPlaneScalingConfigUpdate",
            Self::Version(_) => "VersionUpdate",
        }
    }

    /// Seconds that it takes. EKS user guide, control plane egress: typically within ten minutes; the
    /// others are what users see, and no promise of AWS.
    pub(super) fn seconds(&self) -> std::ops::Range<f64> {
        match self {
            Self::Version(_) => 480.0..720.0,
            Self::Egress(_) | Self::Tier(_) => 300.0..600.0,
            Self::Endpoint(..) | Self::Vpc(..) => 120.0..300.0,
            Self::Logging(_) | Self::AuthenticationMode(_) => 30.0..120.0,
            Self::SupportType(_) | Self::ZonalShift(_) | Self::DeletionProtection(_) => 5.0..30.0,
        }
    }

    /// What was asked for, by the names of botocore's EKS model, UpdateParamType.
    pub(super) fn params(&self) -> Vec<(String, String)> {
        let params = match self {
            Self::Endpoint(public, private, cidrs) => vec![
                ("EndpointPublicAccess", public.to_string()),
                ("EndpointPrivateAccess", private.to_string()),
                ("PublicAccessCidrs", json!(cidrs).to_string()),
            ],
            Self::Vpc(subnets, groups) => vec![
                ("Subnets", json!(subnets).to_string()),
                ("SecurityGroups", json!(groups).to_string()),
            ],
            Self::Egress(mode) => vec![("ControlPlaneEgressMode", mode.clone())],
            Self::Logging(on) => vec![("ClusterLogging", json!(on).to_string())],
            Self::AuthenticationMode(mode) => vec![("AuthenticationMode", mode.clone())],
            Self::SupportType(kind) => vec![("UpgradePolicy", kind.clone())],
            Self::ZonalShift(on) => vec![("ZonalShiftConfig", on.to_string())],
            Self::DeletionProtection(on) => vec![("DeletionProtection", on.to_string())],
            Self::Tier(tier) => vec![("UpdatedTier", tier.clone())],
            Self::Version(name) => {
                let platform = version::find(name).map_or("", |version| version.platform);
                vec![
                    ("Version", name.clone()),
                    ("PlatformVersion", platform.to_owned()),
                ]
            }
        };
        let named = |(name, value): (&str, String)| (name.to_owned(), value);
        params.into_iter().map(named).collect()
    }

    /// Whether another control plane takes the place of the one that there is.
    pub(in crate::eks) fn replaces_control_plane(&self) -> bool {
        matches!(self, Self::Version(_))
    }

    /// Carries it out.
    pub(in crate::eks) fn apply(self, cluster: &mut Cluster) {
        match self {
            Self::Endpoint(public, private, cidrs) => {
                cluster.vpc.endpoint_public_access = public;
                cluster.vpc.endpoint_private_access = private;
                cluster.vpc.public_access_cidrs = cidrs;
            }
            Self::Vpc(subnets, groups) => {
                cluster.vpc.subnet_ids = subnets;
                cluster.vpc.security_group_ids = groups;
            }
            Self::Egress(mode) => cluster.vpc.egress_mode = mode,
            Self::Logging(on) => cluster.logging = on,
            Self::AuthenticationMode(mode) => cluster.authentication_mode = mode,
            Self::SupportType(kind) => cluster.support_type = kind,
            Self::ZonalShift(on) => cluster.zonal_shift = on,
            Self::DeletionProtection(on) => cluster.deletion_protection = on,
            Self::Tier(tier) => cluster.scaling_tier = tier,
            Self::Version(name) => cluster.version = name,
        }
    }

    /// Whether it would change nothing.
    pub(super) fn is_in_effect(&self, cluster: &Cluster) -> bool {
        let vpc = &cluster.vpc;
        match self {
            Self::Endpoint(public, private, cidrs) => {
                (*public, *private) == (vpc.endpoint_public_access, vpc.endpoint_private_access)
                    && *cidrs == vpc.public_access_cidrs
            }
            Self::Vpc(subnets, groups) => {
                *subnets == vpc.subnet_ids && *groups == vpc.security_group_ids
            }
            Self::Egress(mode) => *mode == vpc.egress_mode,
            Self::Logging(on) => *on == cluster.logging,
            Self::AuthenticationMode(mode) => *mode == cluster.authentication_mode,
            Self::SupportType(kind) => *kind == cluster.support_type,
            Self::ZonalShift(on) => *on == cluster.zonal_shift,
            Self::DeletionProtection(on) => *on == cluster.deletion_protection,
            Self::Tier(tier) => *tier == cluster.scaling_tier,
            Self::Version(name) => *name == cluster.version,
        }
    }
}
