//! What a run is about, without a call: the input, the plan, names, tags, versions and zones.

pub(crate) mod kubernetes_version;
pub mod names;
pub(crate) mod network;
pub mod plan;
pub mod spec;
pub mod tags;
pub mod target;
pub(crate) mod zones;

pub use kubernetes_version::KubernetesVersion;
pub use network::{ZoneNatGateway, ZoneSubnets};
pub use plan::Plan;
pub use spec::{FleetSpec, Spec, TeardownSpec};
pub use target::{Account, RoleNames, Target};
