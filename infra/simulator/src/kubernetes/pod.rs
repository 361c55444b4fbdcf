//! A pod on its way to a node.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::grounds::Grounds;
use super::{NAMESPACE, Node, Pod};
use crate::eks::{Surroundings, after};

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodState {
    /// Its name.
    pub name: String,
    /// The rollout that it belongs to.
    pub rollout: u32,
    /// Which pod of the deployment it is, counted from the first one ever.
    pub number: u32,
    /// When it was made; what it runs on was decided then.
    pub born_at: Timestamp,
    /// The Kubernetes version of its kubelet: that of the control plane when the pod was made, for as
    /// long as it lives (aws-samples/eks-cluster-upgrade issue 35).
    #[serde(default)]
    pub kubernetes: String,
    /// The Fargate profile that took it. Without one it waits for a node that never comes.
    pub profile: Option<String>,
    /// Where it has an address.
    pub place: Option<Place>,
    /// When it will run, if nothing comes in between.
    pub ready_at: Option<Timestamp>,
    /// The name of the node that it runs on.
    pub node: Option<String>,
}

/// A pod's network interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The subnet.
    pub subnet_id: String,
    /// The interface.
    pub interface_id: String,
    /// Its address.
    pub ip: Ipv4Addr,
}

/// What Fargate calls every node of a VPC without DNS hostnames.
const NODE_WITHOUT_HOSTNAME: &str = "fargate-null";

impl PodState {
    /// Whether it runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.node.is_some()
    }

    /// When a pod that does not run yet will; nothing while something is in its way.
    pub(super) fn advance(
        &mut self,
        grounds: &Grounds<'_>,
        around: &mut Surroundings<'_>,
        at: Timestamp,
    ) -> Option<Timestamp> {
        if self.is_running() {
            return None;
        }
        let profile = grounds.profiles.get(self.profile.as_deref()?)?;
        if self.place.is_none() {
            self.place = grounds.place(self, profile, around);
        }
        let subnet_id = &self.place.as_ref()?.subnet_id;
        if !grounds.let_run(subnet_id, profile, around, at) {
            self.ready_at = None;
            return None;
        }
        if self.ready_at.is_none() {
            let earliest = after(self.born_at, grounds.start(around.seed, self.number));
            let retried = after(at, grounds.retry(around.seed, self.number));
            let was_blocked = at > self.born_at;
            self.ready_at = Some(if was_blocked {
                earliest.max(retried)
            } else {
                earliest
            });
        }
        self.ready_at
    }

    /// The name that its node has, or would have.
    pub(super) fn node_name(
        &self,
        grounds: &Grounds<'_>,
        around: &Surroundings<'_>,
    ) -> Option<String> {
        let (_, has_hostnames) = around.ec2.dns(&grounds.vpc.vpc_id);
        let place = self.place.as_ref()?;
        Some(node_name(place.ip, around.region, has_hostnames))
    }

    pub(super) fn to_pod(&self) -> Pod {
        let running = self.place.as_ref().filter(|_| self.is_running());
        Pod {
            namespace: NAMESPACE.to_owned(),
            name: self.name.clone(),
            ready: if self.is_running() { "1/1" } else { "0/1" }.to_owned(),
            status: if self.is_running() {
                "Running"
            } else {
                "Pending"
            }
            .to_owned(),
            node: self.node.clone(),
            ip: running.map(|place| place.ip.to_string()),
        }
    }

    /// The node that it has for itself.
    pub(super) fn to_node(&self, version: &str) -> Option<Node> {
        Some(Node {
            name: self.node.clone()?,
            status: "Ready".to_owned(),
            version: version.to_owned(),
            ip: self.place.as_ref()?.ip.to_string(),
        })
    }
}

/// The name of a node: `fargate-` and the private DNS name of its address (VPC user guide, DNS
/// hostnames).
fn node_name(ip: Ipv4Addr, region: &str, has_hostname: bool) -> String {
    if !has_hostname {
        return NODE_WITHOUT_HOSTNAME.to_owned();
    }
    let host = ip.to_string().replace('.', "-");
    match region {
        "us-east-1" => format!("fargate-ip-{host}.ec2.internal"),
        _ => format!("fargate-ip-{host}.{region}.compute.internal"),
    }
}
