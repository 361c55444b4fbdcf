//! Capabilities (ACK, Argo CD, kro) and node groups. Nothing here makes them: they are what others have
//! put into a cluster.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::errors::invalid_parameter;
use super::page::page;
use super::parts;
use super::request::Request;
use crate::api_error::ApiError;
use crate::state::Context;

/// A capability of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capability {
    /// Unique in its cluster.
    pub name: String,
    /// `ACK`, `ARGOCD` or `KRO` (botocore's EKS model, CapabilityType).
    pub kind: String,
}

/// `ListCapabilities`. botocore's EKS model has no ResourceNotFoundException for it.
pub(super) fn list(context: &mut Context<'_>, request: &Request<'_>) -> Result<Value, ApiError> {
    let (eks, _) = parts(context);
    let cluster = eks.cluster(request.cluster());
    let cluster = cluster.map_err(|missing| invalid_parameter(&missing.message))?;
    let summary = |capability: &Capability| {
        json!({
            "capabilityName": capability.name,
            "type": capability.kind,
            "status": "ACTIVE",
        })
    };
    let all: Vec<Value> = cluster.capabilities.iter().map(summary).collect();
    page(request, "capabilities", all)
}

#[cfg(test)]
mod tests {
    use super::Capability;
    use crate::eks::testing::{ACCOUNT, REGION, World, code, message};

    fn change(world: &World, change: impl FnOnce(&mut crate::eks::Cluster)) {
        world.simulator.change(|state| {
            let account = state.accounts.get_mut(ACCOUNT).unwrap();
            let region = account.regions.get_mut(REGION).unwrap();
            change(region.eks.clusters.get_mut("demo").unwrap());
        });
    }

    #[tokio::test(start_paused = true)]
    async fn a_capability_is_listed_and_holds_its_cluster() {
        let world = World::new().await;
        world.cluster_active().await;
        let list = || world.eks.list_capabilities().cluster_name("demo").send();
        assert!(list().await.unwrap().capabilities().is_empty());
        change(&world, |cluster| {
            cluster.capabilities.push(Capability {
                name: "argocd".to_owned(),
                kind: "ARGOCD".to_owned(),
            });
        });
        let found = list().await.unwrap().capabilities.unwrap();
        assert_eq!(found[0].capability_name(), Some("argocd"));
        let delete = || world.eks.delete_cluster().name("demo").send();
        let refused = delete().await;
        assert_eq!(message(&refused), "Cluster has capabilities attached");
        assert_eq!(code(&refused), "ResourceInUseException");
        change(&world, |cluster| cluster.capabilities.clear());
        delete().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_group_is_listed_and_holds_its_cluster() {
        let world = World::new().await;
        world.cluster_active().await;
        change(&world, |cluster| {
            cluster.node_groups.insert("workers".to_owned());
        });
        let list = world.eks.list_nodegroups().cluster_name("demo").send();
        assert_eq!(list.await.unwrap().nodegroups(), ["workers"]);
        let refused = world.eks.delete_cluster().name("demo").send().await;
        assert_eq!(message(&refused), "Cluster has nodegroups attached");
    }
}
