//! A control plane that failed while it was made.
//!
//! EKS never brings it to life, and the name is taken: until it is deleted, every execution would find it
//! and fail. So the next execution deletes it and makes another, if it is certain that nothing lives in it
//! ([`cluster::failed_to_start`]). A cluster that is FAILED and was in use is a person's to decide about.
//!
//! One that this execution has made is reported instead: what was wrong would be wrong again.

use aws_sdk_eks::types::Cluster as EksCluster;

use crate::aws::Aws;
use crate::contract::{Error, Memory, Outcome};
use crate::model::Target;
use crate::resources::cluster;
use crate::steps::cluster::{CHECK_AFTER_SECONDS, Output};

/// What the memory has of a control plane that this execution has made.
const MADE: &str = "control plane";

/// Remembers that this execution has made the control plane.
pub fn remember_made(memory: &mut Memory, name: &str) {
    memory.remember(MADE, name);
}

/// Whether this execution has made the control plane.
pub fn is_made(memory: &Memory) -> bool {
    memory.id(MADE).is_some()
}

/// Deletes it; the invocation that does not find it any more makes another one.
pub async fn replace(
    aws: &Aws,
    target: &Target,
    cluster: &EksCluster,
) -> Result<Outcome<Output>, Error> {
    // Boxed: the future of a deletion is large, and every invocation would carry it.
    let deleting = Box::pin(crate::steps::cluster::delete(aws, target, cluster));
    let waiting = match deleting.await? {
        Outcome::Pending { reason, .. } => reason,
        Outcome::Ready(_) => "it is gone".to_owned(),
    };
    let reason = format!(
        "control plane {} is {} and never was ACTIVE, so it is replaced: {waiting}",
        target.cluster_name,
        cluster::status_line(cluster)
    );
    Ok(Outcome::pending(CHECK_AFTER_SECONDS, reason))
}
