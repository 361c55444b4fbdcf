//! Node groups. Nothing here makes them: they are what others have put into a cluster.

use serde_json::Value;

use super::page::page;
use super::parts;
use super::request::Request;
use crate::api_error::ApiError;
use crate::state::Context;

/// `ListNodegroups`.
pub(super) fn list(context: &mut Context<'_>, request: &Request<'_>) -> Result<Value, ApiError> {
    let (eks, _) = parts(context);
    let cluster = eks.cluster(request.cluster())?;
    let names: Vec<Value> = cluster
        .node_groups
        .iter()
        .map(|name| name.as_str().into())
        .collect();
    page(request, "nodegroups", names)
}

#[cfg(test)]
mod tests {
    use crate::eks::testing::{World, code};

    #[tokio::test(start_paused = true)]
    async fn a_cluster_has_no_node_groups_and_a_missing_one_is_not_found() {
        let world = World::new().await;
        let list = || world.eks.list_nodegroups().cluster_name("demo").send();
        assert_eq!(code(&list().await), "ResourceNotFoundException");
        world.cluster_creating().await;
        assert!(list().await.unwrap().nodegroups().is_empty());
    }
}
