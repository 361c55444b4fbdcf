//! Fargate profiles: one change at a time in each cluster.

mod create;
mod delete;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::errors::{in_use, not_found};
use super::eventual_consistency::EventualConsistency;
use super::page::page;
use super::request::{Request, Tags, epoch_seconds};
use super::tokens::Token;
use super::{Cluster, health, parts};
use crate::api_error::ApiError;
use crate::iam::wildcard;
use crate::state::Context;

pub(crate) use create::LABELS_MAX;
pub(super) use create::create;
pub(super) use delete::delete;

/// A Fargate profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FargateProfile {
    /// Unique in its cluster.
    pub name: String,
    /// Its ARN, with a UUID at the end.
    pub arn: String,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Until then it is CREATING.
    pub active_at: Timestamp,
    /// Until then the cluster refuses deletions, though everything says ACTIVE.
    pub settled_at: Timestamp,
    /// When it will be gone, once its deletion has begun.
    pub gone_at: Option<Timestamp>,
    /// The role with which pods are started.
    pub role_arn: String,
    /// Where its pods run.
    pub subnets: Vec<String>,
    /// Which pods it takes.
    pub selectors: Vec<Selector>,
    /// Tags.
    pub tags: Tags,
    /// Whether it ends CREATE_FAILED.
    #[serde(default)]
    pub fails: bool,
    token: Option<Token>,
}

/// Which pods a profile takes: a namespace and labels, with `*` and `?` (EKS user guide, Fargate
/// profiles).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selector {
    /// The pod's namespace.
    #[serde(default)]
    pub namespace: String,
    /// Labels, all of which the pod must have; left out where there are none (the AWS CLI's examples).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl Selector {
    fn matches(&self, namespace: &str, labels: &BTreeMap<String, String>) -> bool {
        let has = |key: &String, value: &String| {
            let mut labels = labels.iter();
            labels.any(|(k, v)| wildcard::matches(key, k) && wildcard::matches(value, v))
        };
        wildcard::matches(&self.namespace, namespace)
            && self.labels.iter().all(|(key, value)| has(key, value))
    }
}

impl FargateProfile {
    /// botocore's EKS model, FargateProfileStatus.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> &'static str {
        if self.gone_at.is_some() {
            "DELETING"
        } else if now < self.active_at {
            "CREATING"
        } else if self.fails {
            "CREATE_FAILED"
        } else {
            "ACTIVE"
        }
    }

    /// Whether a pod that is born now runs on it.
    #[must_use]
    pub fn takes(
        &self,
        namespace: &str,
        labels: &BTreeMap<String, String>,
        now: Timestamp,
    ) -> bool {
        let mut selectors = self.selectors.iter();
        self.status(now) == "ACTIVE" && selectors.any(|it| it.matches(namespace, labels))
    }

    /// Whether it is ACTIVE, but the cluster is not done with it.
    pub(super) fn is_still_settling(&self, now: Timestamp) -> bool {
        self.status(now) == "ACTIVE" && now < self.settled_at
    }

    fn to_json(&self, cluster: &str, now: Timestamp) -> Value {
        json!({
            "fargateProfileName": self.name,
            "fargateProfileArn": self.arn,
            "clusterName": cluster,
            "createdAt": epoch_seconds(self.created_at),
            "podExecutionRoleArn": self.role_arn,
            "subnets": self.subnets,
            "selectors": self.selectors,
            "status": self.status(now),
            "tags": self.tags,
            "health": health(self.status(now) == "CREATE_FAILED"),
        })
    }
}

/// `DescribeFargateProfile`.
pub(super) fn describe(
    context: &mut Context<'_>,
    request: &Request<'_>,
) -> Result<Value, ApiError> {
    let (now, consistency) = (context.now, EventualConsistency::of(context));
    let (eks, _) = parts(context);
    let cluster = eks.cluster(request.cluster())?;
    let profile = find(cluster, request.child())?;
    if !consistency.shows(&profile.arn, profile.created_at) {
        return Err(missing(&profile.name));
    }
    Ok(json!({"fargateProfile": profile.to_json(&cluster.name, now)}))
}

/// `ListFargateProfiles`.
pub(super) fn list(context: &mut Context<'_>, request: &Request<'_>) -> Result<Value, ApiError> {
    let consistency = EventualConsistency::of(context);
    let (eks, _) = parts(context);
    let cluster = eks.cluster(request.cluster())?;
    let profiles = cluster.fargate_profiles.values();
    let seen = profiles.filter(|it| consistency.shows(&it.arn, it.created_at));
    page(
        request,
        "fargateProfileNames",
        seen.map(|profile| json!(profile.name)),
    )
}

fn find<'a>(cluster: &'a Cluster, name: &str) -> Result<&'a FargateProfile, ApiError> {
    let profile = cluster.fargate_profiles.get(name);
    profile.ok_or_else(|| missing(name))
}

fn missing(name: &str) -> ApiError {
    not_found(&format!("No Fargate Profile found with name: {name}."))
}

/// Profiles are made and deleted one at a time (hashicorp/terraform-provider-aws issues 13372 and
/// 16272; botocore's EKS model, CreateFargateProfile and DeleteFargateProfile).
fn check_alone(cluster: &Cluster, what: &str, now: Timestamp) -> Result<(), ApiError> {
    let mut profiles = cluster.fargate_profiles.values();
    let changes = ["CREATING", "DELETING"];
    let Some(busy) = profiles.find(|profile| changes.contains(&profile.status(now))) else {
        return Ok(());
    };
    Err(in_use(&format!(
        "Cannot {what} because cluster {} currently has Fargate profile {} in status {}",
        cluster.name,
        busy.name,
        busy.status(now)
    )))
}

#[cfg(test)]
mod tests {
    use aws_sdk_eks::types::FargateProfileStatus;

    use super::*;
    use crate::eks::testing::{World, wait};

    #[test]
    fn selectors_match_namespaces_and_labels_with_wildcards() {
        let labels = BTreeMap::from([("k8s-app".to_owned(), "kube-dns".to_owned())]);
        let matches = |namespace: &str, wanted: &[(&str, &str)]| {
            let wanted = wanted
                .iter()
                .map(|(key, value)| (String::from(*key), String::from(*value)));
            let selector = Selector {
                namespace: namespace.to_owned(),
                labels: wanted.collect(),
            };
            selector.matches("kube-system", &labels)
        };
        assert!(matches("kube-system", &[]));
        assert!(matches("kube-*", &[("k8s-*", "kube-dn?")]));
        assert!(!matches("default", &[]));
        assert!(!matches(
            "kube-system",
            &[("k8s-app", "kube-dns"), ("tier", "x")]
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn profile_becomes_active_within_minutes() {
        let world = World::new().await;
        world.cluster_active().await;
        world.profile("kube-system").await;
        let status = || world.profile_status("kube-system");
        assert_eq!(status().await, Some(FargateProfileStatus::Creating));
        wait(25).await;
        assert_eq!(status().await, Some(FargateProfileStatus::Creating));
        wait(276).await;
        assert_eq!(status().await, Some(FargateProfileStatus::Active));
        let listed = world
            .eks
            .list_fargate_profiles()
            .cluster_name("demo")
            .send();
        assert_eq!(
            listed.await.unwrap().fargate_profile_names(),
            ["kube-system"]
        );
        // Fargate's pods may join the cluster.
        let entry = world.eks.describe_access_entry().cluster_name("demo");
        let entry = entry
            .principal_arn(world.pod_role_arn())
            .send()
            .await
            .unwrap();
        assert_eq!(entry.access_entry.unwrap().r#type(), Some("FARGATE_LINUX"));
    }
}
