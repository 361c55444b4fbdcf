//! What others run on Fargate.

use serde::{Deserialize, Serialize};

use super::{Node, Pod};

/// A pod that runs, on a node of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// The node's name.
    pub node: String,
    /// The address of both.
    pub ip: String,
    /// The Kubernetes version of the node's kubelet, for example `1.36`.
    pub kubernetes: String,
}

impl Workload {
    pub(super) fn to_pod(&self) -> Pod {
        Pod {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            ready: "1/1".to_owned(),
            status: "Running".to_owned(),
            node: Some(self.node.clone()),
            ip: Some(self.ip.clone()),
        }
    }

    pub(super) fn to_node(&self, version: &str) -> Node {
        Node {
            name: self.node.clone(),
            status: "Ready".to_owned(),
            version: version.to_owned(),
            ip: self.ip.clone(),
        }
    }
}
