//! `DeleteCluster`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Cluster;
use crate::eks::refusal::{in_use, invalid_request};
use crate::eks::request::Request;
use crate::eks::{after, parts};
use crate::fault::Fault;
use crate::state::Context;

/// `DeleteCluster`. The last minutes of a cluster: 1 to 4 (public Terraform logs).
pub(in crate::eks) fn delete(
    context: &mut Context<'_>,
    request: &Request<'_>,
) -> Result<Value, Fault> {
    let now = context.now;
    let (eks, around) = parts(context);
    let cluster = eks.cluster(request.cluster())?;
    if cluster.gone_at.is_some() {
        return Ok(json!({"cluster": cluster.to_json(now)}));
    }
    check_protection(cluster)?;
    check_profiles(cluster, now)?;
    if now < cluster.active_at {
        return Err(in_use(&format!(
            "Cannot delete because cluster {} is in status CREATING",
            cluster.name
        )));
    }
    cluster.check_no_update("delete", now)?;
    let life = around
        .seed
        .duration("cluster-delete", &cluster.name, 60.0..240.0);
    cluster.gone_at = Some(after(now, life));
    Ok(json!({"cluster": cluster.to_json(now)}))
}

/// botocore's EKS model, deletionProtection.
fn check_protection(cluster: &Cluster) -> Result<(), Fault> {
    if cluster.deletion_protection {
        let message = format!(
            "Cannot delete cluster {} because deletion protection is enabled",
            cluster.name
        );
        return Err(invalid_request(&message));
    }
    Ok(())
}

/// botocore's EKS model, DeleteCluster: profiles first. The text is that of
/// kubernetes-sigs/cluster-api-provider-aws issue 4728.
fn check_profiles(cluster: &Cluster, now: jiff::Timestamp) -> Result<(), Fault> {
    let profiles = cluster.fargate_profiles.values();
    let statuses: BTreeSet<&str> = profiles.map(|profile| profile.status(now)).collect();
    if statuses.is_empty() {
        return Ok(());
    }
    let statuses: Vec<&str> = statuses.into_iter().collect();
    let message = format!(
        "Cluster has Fargate Profiles in {} state",
        statuses.join("/")
    );
    Err(in_use(&message))
}
