//! What the pods of a deployment are like.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::quantity;

/// What the pods of a deployment are like.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// Whether the pods are marked for Fargate.
    pub is_for_fargate: bool,
    /// The CPU that a pod requests.
    pub cpu: String,
    /// The memory that a pod requests.
    pub memory: String,
    /// The pods' labels.
    pub labels: BTreeMap<String, String>,
    /// All of it, for telling one from another.
    pub text: String,
}

/// EKS user guide, Fargate pod configuration: the biggest pod, and what Fargate adds to its memory.
const CPU_MAX: f64 = 16.0;
const MEMORY_MAX: f64 = 120.0 * 1_073_741_824.0;
const MEMORY_OVERHEAD: f64 = 256.0 * 1_048_576.0;

impl Template {
    /// Whether there is a Fargate size that a pod fits.
    pub(super) fn fits(&self) -> bool {
        let cpu = quantity::parse(&self.cpu);
        let memory = quantity::parse(&self.memory);
        cpu.is_some_and(|cpu| cpu <= CPU_MAX)
            && memory.is_some_and(|memory| memory + MEMORY_OVERHEAD <= MEMORY_MAX)
    }
}
