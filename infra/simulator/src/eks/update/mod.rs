//! Updates of clusters and add-ons: `UpdateClusterConfig`, `UpdateClusterVersion`, `DescribeUpdate`,
//! `ListUpdates`.

mod change;
mod config;
mod members;
mod version;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::errors::{in_use, not_found};
use super::eventual_consistency::EventualConsistency;
use super::page::page;
use super::request::{Request, epoch_seconds};
use super::{Cluster, after, parts};
use crate::api_error::ApiError;
use crate::seed::Seed;
use crate::state::Context;

pub use change::Change;
pub(super) use config::start;
pub(super) use members::{
    AUTHENTICATION_MODES, Enabled, ScalingConfig, UpgradePolicy, VpcConfigRequest,
    refuse_unmodelled,
};
pub(super) use version::{KUBELET_SKEW_MAX, start as start_version};

/// A change of a cluster or of an add-on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Update {
    /// A UUID.
    pub id: String,
    /// botocore's EKS model, UpdateType.
    pub kind: String,
    /// The add-on, if it is not the cluster that changes.
    pub addon: Option<String>,
    /// What was asked for: names of botocore's EKS model, UpdateParamType, and values.
    pub params: Vec<(String, String)>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it will be finished, if that is known already.
    pub done_at: Option<Timestamp>,
    /// Where it stands.
    pub status: Status,
    /// botocore's EKS model, ErrorCode, and a sentence, if it failed.
    pub error: Option<(String, String)>,
    /// What becomes of the cluster when it is finished.
    pub change: Option<Change>,
    /// Whether it comes to nothing.
    #[serde(default)]
    pub fails: bool,
}

/// botocore's EKS model, UpdateStatus. Nothing is ever cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Not finished.
    InProgress,
    /// Finished, and nothing has changed.
    Failed,
    /// Finished.
    Successful,
}

impl Update {
    pub(super) fn is_in_progress(&self) -> bool {
        self.status == Status::InProgress
    }

    /// Ends it; what becomes of the cluster, if it has not failed.
    ///
    /// botocore's EKS model, ErrorCode: Unknown, with the words of a cluster's InternalFailure.
    pub(super) fn finish(&mut self) -> Option<Change> {
        let change = self.change.take();
        if self.fails {
            self.status = Status::Failed;
            let text = "An internal error has occurred";
            self.error = Some(("Unknown".to_owned(), text.to_owned()));
            return None;
        }
        self.status = Status::Successful;
        change
    }

    pub(super) fn to_json(&self) -> Value {
        let params = self.params.iter();
        let params = params.map(|(kind, value)| json!({"type": kind, "value": value}));
        let errors = self.error.iter();
        let errors = errors.map(
            |(code, text)| json!({"errorCode": code, "errorMessage": text, "resourceIds": []}),
        );
        json!({
            "id": self.id,
            "status": self.status,
            "type": self.kind,
            "params": params.collect::<Vec<_>>(),
            "createdAt": epoch_seconds(self.created_at),
            "errors": errors.collect::<Vec<_>>(),
        })
    }
}

/// Begins a change of a cluster; the update as it is described.
fn begin(
    cluster: &mut Cluster,
    change: Change,
    (seed, fails): (Seed, bool),
    now: Timestamp,
) -> Value {
    let count = cluster.updates.len();
    let key = format!("{}/{}/{count}", cluster.name, change.kind());
    let life = seed.duration("update", &key, change.seconds());
    let update = Update {
        id: cluster.uuid(seed, &format!("update/{count}")),
        kind: change.kind().to_owned(),
        addon: None,
        params: change.params(),
        created_at: now,
        done_at: Some(after(now, life)),
        status: Status::InProgress,
        error: None,
        change: Some(change),
        fails,
    };
    let output = update.to_json();
    cluster.updates.push(update);
    output
}

/// Refuses a change beside another.
///
/// aws/aws-cdk issue 33452, and rancher/eks-operator issue 547 for the version;
/// aws/containers-roadmap issue 1500 for EKS' own changes.
fn check_alone(cluster: &Cluster, change: &Change, now: Timestamp) -> Result<(), ApiError> {
    if cluster.is_updating_secretly(now) {
        return Err(cluster.update_in_progress_fault(change.kind()));
    }
    if let Some(other) = cluster.update_in_progress() {
        let message = format!(
            "Cannot {} because cluster {} currently has update {} in progress",
            change.kind(),
            cluster.name,
            other.id
        );
        return Err(in_use(&message));
    }
    Ok(())
}

/// `DescribeUpdate`: an add-on's update is found only with the add-on's name.
pub(super) fn describe(
    context: &mut Context<'_>,
    request: &Request<'_>,
) -> Result<Value, ApiError> {
    let consistency = EventualConsistency::of(context);
    let (eks, _) = parts(context);
    let cluster = eks.cluster(request.cluster())?;
    let id = request.child();
    let addon = request.query("addonName");
    let mut updates = cluster.updates.iter();
    let update = updates.find(|it| it.id == id && it.addon.as_deref() == addon);
    let update = update.filter(|it| consistency.shows(&it.id, it.created_at));
    let update = update.ok_or_else(|| not_found(&format!("No update found for ID: {id}")))?;
    Ok(json!({"update": update.to_json()}))
}

/// `ListUpdates`.
pub(super) fn list(context: &mut Context<'_>, request: &Request<'_>) -> Result<Value, ApiError> {
    let consistency = EventualConsistency::of(context);
    let (eks, _) = parts(context);
    let cluster = eks.cluster(request.cluster())?;
    let addon = request.query("addonName");
    let updates = cluster.updates.iter();
    let updates = updates.filter(|update| {
        update.addon.as_deref() == addon && consistency.shows(&update.id, update.created_at)
    });
    page(request, "updateIds", updates.map(|update| json!(update.id)))
}
