//! Updates of clusters and add-ons: `UpdateClusterConfig`, `DescribeUpdate`, `ListUpdates`.

mod change;
mod config;
mod members;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::page::page;
use super::parts;
use super::refusal::not_found;
use super::request::{Request, epoch_seconds};
use super::sight::Sight;
use super::tokens::Token;
use crate::fault::Fault;
use crate::state::Context;

pub use change::Change;
pub(super) use config::start;
pub(super) use members::{
    AUTHENTICATION_MODES, Enabled, ScalingConfig, UpgradePolicy, VpcConfigRequest,
    refuse_unmodelled,
};

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
    /// The token of the request that started it.
    pub(super) token: Option<Token>,
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

/// `DescribeUpdate`: an add-on's update is found only with the add-on's name.
pub(super) fn describe(context: &mut Context<'_>, request: &Request<'_>) -> Result<Value, Fault> {
    let sight = Sight::of(context);
    let (eks, _) = parts(context);
    let cluster = eks.cluster(request.cluster())?;
    let id = request.child();
    let addon = request.query("addonName");
    let mut updates = cluster.updates.iter();
    let update = updates.find(|it| it.id == id && it.addon.as_deref() == addon);
    let update = update.filter(|it| sight.sees(&it.id, it.created_at));
    let update = update.ok_or_else(|| not_found(&format!("No update found for ID: {id}")))?;
    Ok(json!({"update": update.to_json()}))
}

/// `ListUpdates`.
pub(super) fn list(context: &mut Context<'_>, request: &Request<'_>) -> Result<Value, Fault> {
    let sight = Sight::of(context);
    let (eks, _) = parts(context);
    let cluster = eks.cluster(request.cluster())?;
    let addon = request.query("addonName");
    let updates = cluster.updates.iter();
    let updates = updates.filter(|update| {
        update.addon.as_deref() == addon && sight.sees(&update.id, update.created_at)
    });
    page(request, "updateIds", updates.map(|update| json!(update.id)))
}
