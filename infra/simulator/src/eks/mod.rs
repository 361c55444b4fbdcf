//! EKS: clusters on their way to ACTIVE and beyond, their Fargate profiles, add-ons and access entries.
//!
//! One file or folder for each kind of resource. What they share: `request` (reading), `errors`,
//! `page` (lists), `roles` (what EKS sees of IAM), `network` (what it does in the VPC), `log_group` (what
//! it does in CloudWatch Logs), `eventual_consistency` (what it does not find yet), `tokens` (requests
//! that are repeated) and `settle` (what happens by itself).
//!
//! EKS Auto Mode, hybrid nodes, Outposts, node groups and IPv6 are refused, never silently ignored.

pub mod access_entry;
pub mod access_policy;
pub mod addon;
pub mod capability;
pub mod cluster;
mod errors;
mod eventual_consistency;
pub mod fargate_profile;
mod insight;
mod log_group;
mod network;
mod node_group;
mod page;
mod request;
mod roles;
mod routes;
mod settle;
mod tag;
#[cfg(test)]
pub(crate) mod testing;
mod tokens;
pub mod update;
pub mod version;

use std::collections::BTreeMap;

use http::Method;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Lifetime;
use crate::api_error::ApiError;
use crate::ec2::Ec2;
use crate::iam::Iam;
use crate::logs::Logs;
use crate::seed::Seed;
use crate::state::Context;
use crate::wire::rest_json::{Query, RestAnswer};

pub use access_entry::AccessEntry;
pub use addon::Addon;
pub use capability::Capability;
pub use cluster::Cluster;
pub use fargate_profile::FargateProfile;
pub(crate) use fargate_profile::LABELS_MAX;
pub use update::Update;

pub(crate) use roles::can_start_pods;
pub use routes::operations;

use request::Request;
use routes::route;

/// What fails after it was accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fails {
    /// Clusters.
    pub clusters: bool,
    /// Fargate profiles.
    pub fargate_profiles: bool,
    /// Changes of clusters: of their configuration, and of their version.
    #[serde(default)]
    pub updates: bool,
}

/// The health of what failed (botocore's EKS model: both ClusterIssueCode and FargateProfileIssueCode
/// have InternalFailure).
fn health(has_failed: bool) -> serde_json::Value {
    if has_failed {
        let message = "An internal error has occurred";
        serde_json::json!({"issues": [{"code": "InternalFailure", "message": message}]})
    } else {
        serde_json::json!({"issues": []})
    }
}

/// What an account may have in a region, with AWS' defaults (EKS user guide, Amazon EKS service quotas).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quotas {
    /// `ResourceLimitExceededException` beyond.
    pub clusters: usize,
    /// `ResourceLimitExceededException` beyond.
    pub fargate_profiles_per_cluster: usize,
    /// What Fargate's pods may have together. No API that is simulated here refuses more. Accounts start
    /// with six or less and get more as they use it (AWS Fargate user guide, service quotas).
    pub fargate_vcpus: usize,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            clusters: 100,
            fargate_profiles_per_cluster: 10,
            fargate_vcpus: 6,
        }
    }
}

/// The clusters of one account in one region.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Eks {
    /// Clusters by name.
    pub clusters: BTreeMap<String, Cluster>,
    /// Whether what EKS made in the VPC for a cluster stays when the cluster is gone: its network
    /// interfaces, `available`, and its security group, until somebody deletes them. Users see it at
    /// random (eksctl-io/eksctl issues 4932 and 5135, terraform-aws-modules/terraform-aws-eks issue
    /// 3073). Tests turn it on.
    #[serde(default)]
    pub leaves_interfaces_behind: bool,
    /// Whether clusters that are made now will be FAILED instead of ACTIVE, Fargate profiles
    /// CREATE_FAILED, and updates of clusters Failed. Tests turn it on.
    #[serde(default)]
    pub fails: Fails,
    /// What the account may have. Tests change it.
    #[serde(default)]
    pub quotas: Quotas,
    /// Whether a create with a token that was used before answers as the first one did although what it
    /// made is deleted. Nobody knows; tests try both.
    #[serde(default)]
    pub tokens_outlive_resources: bool,
    /// What creates answered, if tokens outlive what they made.
    #[serde(default)]
    answers: tokens::Answers,
    /// What clusters that are gone have still to say.
    #[serde(default)]
    last_lines: Vec<log_group::LastLines>,
    /// How many clusters were made of each name: one that is made again has other ids.
    made: BTreeMap<String, u32>,
}

/// What clusters live in: the account's roles and the region's networking.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// The account.
    pub account: &'a str,
    /// The region.
    pub region: &'a str,
    /// What durations and ids are drawn from.
    pub seed: Seed,
    /// The account's roles.
    pub iam: &'a Iam,
    /// The region's networking.
    pub ec2: &'a mut Ec2,
    /// The region's log groups.
    pub logs: &'a mut Logs,
}

/// What every operation is: it reads or changes the clusters and answers with its output.
type Operation = fn(&mut Context<'_>, &Request<'_>) -> Result<Value, ApiError>;

/// Answers a call by its method and path.
pub fn handle(
    context: &mut Context<'_>,
    method: &Method,
    path: &[&str],
    query: &Query,
    body: &Value,
) -> RestAnswer {
    let (operation, work) = route(method, path);
    let Some(work) = work else {
        return RestAnswer {
            operation,
            result: Err(ApiError::new(
                404,
                "UnknownOperationException",
                "no such operation",
            )),
        };
    };
    let request = Request { path, query, body };
    if let Some(answer) = tokens::remembered(context, operation, &request) {
        return RestAnswer {
            operation,
            result: Ok(answer),
        };
    }
    let result = work(context, &request).map_err(|error| name_cluster(error, &request));
    if let Ok(answer) = &result {
        tokens::remember(context, operation, &request, answer);
    }
    RestAnswer { operation, result }
}

/// Errors about what is in a cluster name it (captured answers of a real account, and botocore's EKS
/// model, where most errors have the member).
fn name_cluster(error: ApiError, request: &Request<'_>) -> ApiError {
    match request.path {
        ["clusters", name, ..] => error.with("clusterName", *name),
        _ => error,
    }
}

/// The name of the operation that a method and a path stand for.
#[must_use]
pub fn operation(method: &Method, path: &[&str]) -> &'static str {
    route(method, path).0
}

/// The clusters of the call's account and region, and what they live in.
fn parts<'a>(context: &'a mut Context<'_>) -> (&'a mut Eks, Surroundings<'a>) {
    let account = context.state.accounts.entry(context.account.clone());
    let account = account.or_default();
    let region = account.regions.entry(context.region.clone()).or_default();
    let around = Surroundings {
        account: &context.account,
        region: &context.region,
        seed: context.seed,
        iam: &account.iam,
        ec2: &mut region.ec2,
        logs: &mut region.logs,
    };
    (&mut region.eks, around)
}

impl Eks {
    /// The cluster with the name.
    ///
    /// # Errors
    /// `ResourceNotFoundException`.
    fn cluster(&mut self, name: &str) -> Result<&mut Cluster, ApiError> {
        let missing = || errors::not_found(&format!("No cluster found for name: {name}."));
        self.clusters.get_mut(name).ok_or_else(missing)
    }
}

/// How long clusters, profiles and add-ons take until they are ACTIVE.
#[must_use]
pub fn lifetimes(eks: &Eks) -> Vec<Lifetime> {
    let lifetime = |kind: &str, name: String, seconds: f64| Lifetime {
        kind: format!("AWS::EKS::{kind}"),
        name,
        seconds,
    };
    let mut lifetimes = Vec::new();
    for cluster in eks.clusters.values() {
        let seconds = seconds_between(cluster.created_at, cluster.active_at);
        lifetimes.push(lifetime("Cluster", cluster.name.clone(), seconds));
        for profile in cluster.fargate_profiles.values() {
            let seconds = seconds_between(profile.created_at, profile.active_at);
            lifetimes.push(lifetime("FargateProfile", profile.name.clone(), seconds));
        }
        for addon in cluster.addons.values() {
            lifetimes.push(lifetime("Addon", addon.name.clone(), addon.start_seconds));
        }
    }
    lifetimes
}

fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

/// `duration` after `time`.
pub(crate) fn after(time: Timestamp, duration: jiff::SignedDuration) -> Timestamp {
    time.saturating_add(duration).unwrap_or(Timestamp::MAX)
}
