//! Add-ons. CoreDNS is the one that is simulated: the VPC CNI and kube-proxy are daemon sets, which do
//! not run on Fargate (EKS user guide, Fargate considerations).

mod change;
mod coredns;
mod create;
mod describe;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Cluster;
use super::errors::not_found;
use super::request::{Tags, epoch_seconds};
use super::tokens::Token;
use super::update::Status;
use crate::api_error::ApiError;

pub(super) use change::{delete, update};
pub(super) use coredns::versions_on;
pub(super) use create::create;
pub(super) use describe::{configuration, describe, list, versions};

/// The add-on's name.
pub const COREDNS: &str = "coredns";

/// An add-on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Addon {
    /// Its name, unique in its cluster.
    pub name: String,
    /// Its ARN, with a UUID at the end.
    pub arn: String,
    /// For example `v1.13.1-eksbuild.1`.
    pub version: String,
    /// The configuration that was asked for: JSON, as it was given.
    pub configuration: Option<String>,
    /// The role of its service account.
    pub service_account_role_arn: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it was changed, by somebody or by itself.
    pub modified_at: Timestamp,
    /// Until then the cluster has an update of which nothing shows.
    pub(super) installed_at: Timestamp,
    /// How many seconds it takes until it is ACTIVE if nothing is in its way.
    pub(super) start_seconds: f64,
    /// How far it has come.
    pub phase: Phase,
    /// When it will be gone, once its deletion has begun.
    pub gone_at: Option<Timestamp>,
    /// Whether its pods stay when it is gone.
    pub(super) is_preserved: bool,
    /// Tags.
    pub tags: Tags,
    pub(super) token: Option<Token>,
}

/// How far an add-on has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Its first pods are awaited: until the first time it says CREATING, then DEGRADED, and from the
    /// second time on it has failed.
    Creating(Timestamp, Timestamp),
    /// The pods of the update with the id are awaited: not before the first time, and from the second
    /// time on the update has failed.
    Updating(String, Timestamp, Timestamp),
    /// All pods ran once. If they do no longer, it is DEGRADED.
    Settled,
    /// It will fail (or has failed) at the time, because what is there already is in its way.
    Conflict(Timestamp),
    /// Its first pods did not run in time. Only deleting it helps (aws/containers-roadmap issue 1411).
    CreateFailed,
    /// The pods of an update did not run in time.
    UpdateFailed,
}

/// botocore's EKS model, AddonIssueCode and ErrorCode.
const INSUFFICIENT_REPLICAS: &str = "InsufficientNumberOfReplicas";
const INSUFFICIENT_REPLICAS_TEXT: &str =
    "The add-on is unhealthy because it doesn't have the desired number of replicas.";
/// What a real account answered while no node took any of the pods.
const UNSCHEDULED_TEXT: &str = "The add-on is unhealthy because all deployments have all pods unscheduled \
                                no nodes available to schedule pods";
/// What a real account answered after a conflict.
const CONFLICT_TEXT: &str = "Conflicts found when trying to apply. Will not continue due to resolve conflicts \
                             mode. Conflicts:\nConfigMap coredns - .data.Corefile";

impl Addon {
    /// botocore's EKS model, AddonStatus. While pods are not running, an add-on is DEGRADED (the
    /// Terraform AWS provider waits for it as for CREATING).
    #[must_use]
    pub fn status(&self, is_running: bool, now: Timestamp) -> &'static str {
        if self.gone_at.is_some() {
            return "DELETING";
        }
        self.progress(is_running, now)
    }

    /// Its status, whether it is being deleted or not.
    fn progress(&self, is_running: bool, now: Timestamp) -> &'static str {
        match &self.phase {
            Phase::Creating(unhealthy_at, _) if now < *unhealthy_at => "CREATING",
            Phase::Conflict(fails_at) if now < *fails_at => "CREATING",
            Phase::Conflict(_) | Phase::CreateFailed => "CREATE_FAILED",
            Phase::UpdateFailed => "UPDATE_FAILED",
            Phase::Updating(..) => "UPDATING",
            Phase::Settled if is_running => "ACTIVE",
            Phase::Creating(..) | Phase::Settled => "DEGRADED",
        }
    }

    /// What is wrong with it, if that is its progress: code and message, and no ids of resources.
    fn issues(&self, progress: &str, has_nodes: bool) -> Vec<Value> {
        let issue = |code: &str, text: &str| json!({"code": code, "message": text});
        match progress {
            "CREATE_FAILED" if matches!(self.phase, Phase::Conflict(_)) => {
                vec![issue("ConfigurationConflict", CONFLICT_TEXT)]
            }
            "DEGRADED" | "CREATE_FAILED" | "UPDATE_FAILED" => {
                let text = if has_nodes {
                    INSUFFICIENT_REPLICAS_TEXT
                } else {
                    UNSCHEDULED_TEXT
                };
                vec![issue(INSUFFICIENT_REPLICAS, text)]
            }
            _ => Vec::new(),
        }
    }

    fn to_json(&self, cluster: &Cluster, now: Timestamp) -> Value {
        let is_running = cluster.coredns_is_running();
        let status = self.status(is_running, now);
        // What was wrong stays to be read while it is being deleted (captured).
        let issues = self.issues(
            self.progress(is_running, now),
            cluster.has_nodes_for_coredns(),
        );
        let mut addon = json!({
            "addonName": self.name,
            "clusterName": cluster.name,
            "status": status,
            "addonVersion": self.version,
            "health": {"issues": issues},
            "addonArn": self.arn,
            "createdAt": epoch_seconds(self.created_at),
            "modifiedAt": epoch_seconds(self.modified_at),
            "tags": self.tags,
            "namespaceConfig": {"namespace": "kube-system"},
        });
        if let Some(role) = &self.service_account_role_arn {
            addon["serviceAccountRoleArn"] = role.clone().into();
        }
        if let Some(configuration) = &self.configuration {
            addon["configurationValues"] = configuration.clone().into();
        }
        addon
    }

    /// When something happens by itself.
    pub(super) fn moments(&self) -> Vec<Timestamp> {
        let mut moments: Vec<Timestamp> = self.gone_at.into_iter().collect();
        match &self.phase {
            Phase::Creating(_, fails_at) => moments.push(*fails_at),
            Phase::Updating(_, not_before, fails_at) => moments.extend([*not_before, *fails_at]),
            _ => {}
        }
        moments
    }
}

impl Cluster {
    /// Whether CoreDNS has all the pods that it should have.
    #[must_use]
    pub fn coredns_is_running(&self) -> bool {
        (self.coredns.as_ref()).is_some_and(crate::kubernetes::Deployment::is_running)
    }

    /// Whether any of CoreDNS' pods was taken by a Fargate profile.
    fn has_nodes_for_coredns(&self) -> bool {
        (self.coredns.as_ref()).is_some_and(crate::kubernetes::Deployment::has_nodes)
    }

    /// Lets the add-on come as far as its pods at `at`.
    pub(super) fn settle_addon(&mut self, at: Timestamp) {
        let is_running = self.coredns_is_running();
        let Some(addon) = self.addons.get_mut(COREDNS) else {
            return;
        };
        let (phase, update) = match &addon.phase {
            Phase::Creating(..) if is_running => (Phase::Settled, None),
            Phase::Creating(_, fails_at) if at >= *fails_at => (Phase::CreateFailed, None),
            Phase::Updating(id, not_before, _) if is_running && at >= *not_before => {
                (Phase::Settled, Some((id.clone(), Status::Successful)))
            }
            Phase::Updating(id, _, fails_at) if at >= *fails_at => {
                (Phase::UpdateFailed, Some((id.clone(), Status::Failed)))
            }
            _ => return,
        };
        addon.phase = phase;
        addon.modified_at = at;
        let Some((id, status)) = update else {
            return;
        };
        if let Some(update) = self.updates.iter_mut().find(|update| update.id == id) {
            update.status = status;
            update.done_at = Some(at);
            update.error = (status == Status::Failed).then(|| {
                (
                    INSUFFICIENT_REPLICAS.to_owned(),
                    INSUFFICIENT_REPLICAS_TEXT.to_owned(),
                )
            });
        }
    }
}

fn find<'a>(cluster: &'a Cluster, name: &str) -> Result<&'a Addon, ApiError> {
    let addon = cluster.addons.get(name);
    addon.ok_or_else(|| missing(cluster, name))
}

fn missing(cluster: &Cluster, name: &str) -> ApiError {
    not_found(&format!(
        "No addon: {name} found in cluster: {}",
        cluster.name
    ))
}
