//! Kubernetes' view of a cluster.

use serde::{Deserialize, Serialize};

use crate::state::Context;

/// What `kubectl get pods` and `kubectl get nodes` would show.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// CoreDNS' pods.
    pub pods: Vec<Pod>,
    /// The nodes.
    pub nodes: Vec<Node>,
}

/// A pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Ready containers of all, for example `1/1`.
    pub ready: String,
    /// Its phase, for example `Running` or `Pending`.
    pub status: String,
    /// The node that it runs on.
    pub node: Option<String>,
    /// Its address.
    pub ip: Option<String>,
}

/// A node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// `Ready` or `NotReady`.
    pub status: String,
    /// The version of its kubelet.
    pub version: String,
    /// Its address.
    pub ip: String,
}

/// The view of a cluster; `None` if there is no such cluster.
pub fn view(_context: &mut Context<'_>, _cluster: &str) -> Option<View> {
    None
}
