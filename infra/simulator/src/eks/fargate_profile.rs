//! Fargate profiles: one change at a time in each cluster.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::page::page;
use super::refusal::{in_use, invalid_parameter, limit_exceeded, not_found};
use super::request::{Request, Tags, check_tags, epoch_seconds};
use super::{AccessEntry, Cluster, Surroundings, after, cluster, parts, roles};
use crate::fault::Fault;
use crate::iam::{service_linked_role, wildcard};
use crate::state::{Context, partition};

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
    token: Option<(String, Value)>,
}

/// Which pods a profile takes: a namespace and labels, with `*` and `?` (EKS user guide, Fargate
/// profiles).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selector {
    /// The pod's namespace.
    #[serde(default)]
    pub namespace: String,
    /// Labels, all of which the pod must have.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// EKS user guide, service quotas.
const PROFILES_MAX: usize = 10;
const SELECTORS_MAX: usize = 5;
const LABELS_MAX: usize = 5;

/// botocore's EKS model, CreateFargateProfileRequest.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateFargateProfile {
    fargate_profile_name: String,
    pod_execution_role_arn: String,
    #[serde(default)]
    subnets: Vec<String>,
    #[serde(default)]
    selectors: Vec<Selector>,
    client_request_token: Option<String>,
    #[serde(default)]
    tags: Tags,
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
            "health": {"issues": []},
        })
    }
}

/// `CreateFargateProfile`.
pub(super) fn create(context: &mut Context<'_>, request: &Request<'_>) -> Result<Value, Fault> {
    let now = context.now;
    let asked: CreateFargateProfile = request.read()?;
    let (eks, _) = parts(context);
    let cluster = eks.cluster(request.cluster())?;
    cluster.check_active(now)?;
    if let Some(profile) = repeated(cluster, &asked, request.body)? {
        return Ok(json!({"fargateProfile": profile.to_json(&cluster.name, now)}));
    }
    asked.check()?;
    let name = &asked.fargate_profile_name;
    check_alone(cluster, &format!("create Fargate Profile {name}"), now)?;
    check_not_updating(cluster, &format!("create Fargate Profile {name}"), now)?;
    if cluster.fargate_profiles.len() >= PROFILES_MAX {
        let message = format!(
            "You have reached the limit of {PROFILES_MAX} Fargate Profiles for the cluster"
        );
        return Err(limit_exceeded(&message));
    }
    // EKS user guide, service-linked roles: made with the first profile of an account.
    service_linked_role::ensure(context, service_linked_role::FARGATE_SERVICE);

    let (eks, around) = parts(context);
    let cluster = eks.cluster(request.cluster())?;
    roles::check_pod_execution_role(around.iam, &asked.pod_execution_role_arn, now)?;
    let mut profile = asked.profile(cluster, &around, now)?;
    profile.token = (asked.client_request_token).map(|token| (token, request.body.clone()));
    AccessEntry::ensure_for_pods(cluster, &around, &profile.role_arn, now);
    let output = json!({"fargateProfile": profile.to_json(&cluster.name, now)});
    cluster
        .fargate_profiles
        .insert(profile.name.clone(), profile);
    Ok(output)
}

/// The profile that an earlier call with the same token has made. A name that is taken otherwise is
/// refused (eksctl-io/eksctl issue 5652).
fn repeated<'a>(
    cluster: &'a Cluster,
    asked: &CreateFargateProfile,
    body: &Value,
) -> Result<Option<&'a FargateProfile>, Fault> {
    let Some(profile) = cluster.fargate_profiles.get(&asked.fargate_profile_name) else {
        return Ok(None);
    };
    match &profile.token {
        Some((token, first)) if asked.client_request_token.as_ref() == Some(token) => {
            if first == body {
                return Ok(Some(profile));
            }
            let message = "The client request token was used before with other parameters";
            Err(invalid_parameter(message))
        }
        _ => Err(in_use(
            "A Fargate Profile already exists with this name in this cluster.",
        )),
    }
}

/// Profiles are made and deleted one at a time (hashicorp/terraform-provider-aws issues 13372 and
/// 16272; botocore's EKS model, CreateFargateProfile and DeleteFargateProfile).
fn check_alone(cluster: &Cluster, what: &str, now: Timestamp) -> Result<(), Fault> {
    let mut profiles = cluster.fargate_profiles.values();
    let Some(busy) = profiles.find(|profile| profile.status(now) != "ACTIVE") else {
        return Ok(());
    };
    Err(in_use(&format!(
        "Cannot {what} because cluster {} currently has Fargate profile {} in status {}",
        cluster.name,
        busy.name,
        busy.status(now)
    )))
}

/// eksctl-io/eksctl issue 8514: soon after an add-on was made, the cluster has an update of which
/// nothing shows.
fn check_not_updating(cluster: &Cluster, what: &str, now: Timestamp) -> Result<(), Fault> {
    let is_busy = cluster.update_in_progress().is_some()
        || cluster
            .addons
            .values()
            .any(|addon| now < addon.installed_at);
    if is_busy {
        return Err(cluster.update_in_progress_fault(what));
    }
    Ok(())
}

impl CreateFargateProfile {
    fn check(&self) -> Result<(), Fault> {
        cluster::check_name(&self.fargate_profile_name)?;
        check_tags(&self.tags)?;
        if self.selectors.is_empty() {
            return Err(invalid_parameter(
                "Fargate Profile must have at least one selector.",
            ));
        }
        if self.selectors.len() > SELECTORS_MAX {
            let message = format!("Fargate Profile has more than {SELECTORS_MAX} selectors.");
            return Err(invalid_parameter(&message));
        }
        for selector in &self.selectors {
            if selector.namespace.is_empty() {
                return Err(invalid_parameter("Selector must have a namespace."));
            }
            if selector.labels.len() > LABELS_MAX {
                let message = format!("Selector has more than {LABELS_MAX} labels.");
                return Err(invalid_parameter(&message));
            }
        }
        Ok(())
    }

    fn profile(
        &self,
        cluster: &mut Cluster,
        around: &Surroundings<'_>,
        now: Timestamp,
    ) -> Result<FargateProfile, Fault> {
        let subnets = self.subnets(cluster, around)?;
        let name = &self.fargate_profile_name;
        let made = cluster.count_made(&format!("fargateprofile/{name}"));
        let uuid = cluster.uuid(around.seed, &format!("fargateprofile/{name}#{made}"));
        let (account, region) = (around.account, around.region);
        let arn = format!(
            "arn:{}:eks:{region}:{account}:fargateprofile/{}/{name}/{uuid}",
            partition(region),
            cluster.name
        );
        let key = format!("{}/{name}", cluster.name);
        // aws/containers-roadmap issue 2392: from 26 seconds to more than five minutes.
        let start = around.seed.duration("fargate-profile", &key, 26.0..300.0);
        let settling = around
            .seed
            .duration("fargate-profile-settling", &key, 600.0..720.0);
        let active_at = after(now, start);
        Ok(FargateProfile {
            name: name.clone(),
            arn,
            created_at: now,
            active_at,
            settled_at: after(active_at, settling),
            gone_at: None,
            role_arn: self.pod_execution_role_arn.clone(),
            subnets,
            selectors: self.selectors.clone(),
            tags: self.tags.clone(),
            token: None,
        })
    }

    /// The subnets asked for, else the cluster's private ones.
    fn subnets(&self, cluster: &Cluster, around: &Surroundings<'_>) -> Result<Vec<String>, Fault> {
        let subnets = if self.subnets.is_empty() {
            around.private_of(&cluster.vpc.subnet_ids)
        } else {
            self.subnets.clone()
        };
        if subnets.is_empty() {
            let message = "No private subnets found for the Fargate Profile";
            return Err(invalid_parameter(message));
        }
        around.check_profile_subnets(&cluster.vpc.vpc_id, &subnets)?;
        Ok(subnets)
    }
}

/// `DescribeFargateProfile`.
pub(super) fn describe(context: &mut Context<'_>, request: &Request<'_>) -> Result<Value, Fault> {
    let now = context.now;
    let (eks, _) = parts(context);
    let cluster = eks.cluster(request.cluster())?;
    let profile = find(cluster, request.child())?;
    Ok(json!({"fargateProfile": profile.to_json(&cluster.name, now)}))
}

/// `ListFargateProfiles`.
pub(super) fn list(context: &mut Context<'_>, request: &Request<'_>) -> Result<Value, Fault> {
    let (eks, _) = parts(context);
    let cluster = eks.cluster(request.cluster())?;
    let names = cluster.fargate_profiles.keys().map(|name| json!(name));
    page(request, "fargateProfileNames", names)
}

/// `DeleteFargateProfile`: its pods are deleted with it, and born anew (botocore's EKS model).
pub(super) fn delete(context: &mut Context<'_>, request: &Request<'_>) -> Result<Value, Fault> {
    let now = context.now;
    let (eks, mut around) = parts(context);
    let cluster = eks.cluster(request.cluster())?;
    let name = request.child();
    find(cluster, name)?;
    let what = format!("delete Fargate Profile {name}");
    check_alone(cluster, &what, now)?;
    cluster.check_no_update(&what, now)?;

    let key = format!("{}/{name}", cluster.name);
    // aws/containers-roadmap issue 2392: about two minutes.
    let life = around
        .seed
        .duration("fargate-profile-delete", &key, 90.0..150.0);
    if let Some(profile) = cluster.fargate_profiles.get_mut(name) {
        profile.gone_at = Some(after(now, life));
    }
    cluster.restart_pods_of(name, &mut around, now);
    let profile = find(cluster, name)?;
    Ok(json!({"fargateProfile": profile.to_json(&cluster.name, now)}))
}

fn find<'a>(cluster: &'a Cluster, name: &str) -> Result<&'a FargateProfile, Fault> {
    let missing = || not_found(&format!("No Fargate Profile found with name: {name}."));
    cluster.fargate_profiles.get(name).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use aws_sdk_eks::types::{AuthenticationMode, FargateProfileSelector, FargateProfileStatus};

    use super::*;
    use crate::eks::testing::{World, code, message, pod_role_arn, wait};

    fn selector(namespace: &str) -> FargateProfileSelector {
        FargateProfileSelector::builder()
            .namespace(namespace)
            .build()
    }

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
        let entry = entry.principal_arn(pod_role_arn()).send().await.unwrap();
        assert_eq!(entry.access_entry.unwrap().r#type(), Some("FARGATE_LINUX"));
    }

    #[tokio::test(start_paused = true)]
    async fn one_profile_at_a_time() {
        let world = World::new().await;
        world.cluster_active().await;
        world.profile("kube-system").await;
        let second = world.create_profile("default", "default").send().await;
        assert_eq!(code(&second), "ResourceInUseException");
        assert_eq!(
            message(&second),
            "Cannot create Fargate Profile default because cluster demo currently has Fargate \
             profile kube-system in status CREATING"
        );
        let delete = world.delete_profile("kube-system").await;
        assert_eq!(code(&delete), "ResourceInUseException");
    }

    #[tokio::test(start_paused = true)]
    async fn taken_name_is_in_use_and_the_same_token_is_the_same_profile() {
        let world = World::new().await;
        world.cluster_active().await;
        let create = |token: &str| {
            let call = world.create_profile("kube-system", "kube-system");
            call.client_request_token(token).send()
        };
        let first = create("a").await.unwrap();
        assert_eq!(
            create("a").await.unwrap().fargate_profile,
            first.fargate_profile
        );
        let other = create("b").await;
        assert_eq!(code(&other), "ResourceInUseException");
        let expected = "A Fargate Profile already exists with this name in this cluster.";
        assert_eq!(message(&other), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn public_subnets_are_refused() {
        let world = World::new().await;
        world.cluster_active().await;
        let public = world.network().public[0].clone();
        let call = world
            .create_profile("p", "default")
            .set_subnets(Some(vec![public.clone()]));
        let call = call.send().await;
        assert_eq!(code(&call), "InvalidParameterException");
        let expected =
            format!("Subnet {public} provided in Fargate Profile is not a private subnet");
        assert_eq!(message(&call), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn role_needs_the_trust_of_fargate_and_time_to_spread() {
        let world = World::new().await;
        world.cluster_active().await;
        let wrong = format!("arn:aws:iam::{}:role/cluster", crate::eks::testing::ACCOUNT);
        let call = world
            .create_profile("p", "default")
            .pod_execution_role_arn(wrong);
        let call = call.send().await;
        assert_eq!(code(&call), "InvalidParameterException");
        let start = "Misconfigured PodExecutionRole Trust Policy";
        assert!(message(&call).starts_with(start), "{}", message(&call));
        let new = world.role("late", "eks-fargate-pods.amazonaws.com").await;
        let create = || {
            world
                .create_profile("p", "default")
                .pod_execution_role_arn(&new)
                .send()
        };
        assert!(message(&create().await).starts_with(start));
        wait(15).await;
        create().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn selectors_and_labels_are_counted() {
        let world = World::new().await;
        world.cluster_active().await;
        let with = |selectors: Vec<FargateProfileSelector>| {
            let call = world.create_profile("p", "default");
            call.set_selectors(Some(selectors)).send()
        };
        let invalid = "InvalidParameterException";
        assert_eq!(code(&with(vec![]).await), invalid);
        assert_eq!(code(&with(vec![selector("a"); 6]).await), invalid);
        assert_eq!(code(&with(vec![selector("")]).await), invalid);
        let mut many = FargateProfileSelector::builder().namespace("a");
        for n in 0..6 {
            many = many.labels(n.to_string(), "x");
        }
        assert_eq!(code(&with(vec![many.build()]).await), invalid);
    }

    #[tokio::test(start_paused = true)]
    async fn cluster_must_be_active() {
        let world = World::new().await;
        world.cluster_creating().await;
        let call = world.create_profile("p", "default").send().await;
        assert_eq!(code(&call), "InvalidRequestException");
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_ten_profiles() {
        let world = World::new().await;
        world.cluster_active().await;
        for n in 0..10 {
            let call = world.create_profile(&format!("p{n}"), "default");
            call.send().await.unwrap();
            wait(301).await;
        }
        let one_more = world.create_profile("one-more", "default").send().await;
        assert_eq!(code(&one_more), "ResourceLimitExceededException");
    }

    #[tokio::test(start_paused = true)]
    async fn deletions_are_refused_for_more_than_ten_minutes_after_active() {
        let world = World::new().await;
        world.cluster_active().await;
        world.profile("kube-system").await;
        wait(301).await;
        let call = world.delete_profile("kube-system").await;
        assert_eq!(code(&call), "ResourceInUseException");
        assert_eq!(
            message(&call),
            "Cannot delete Fargate Profile kube-system because cluster demo currently has an update \
             in progress"
        );
        // Other profiles can be made meanwhile.
        world
            .create_profile("default", "default")
            .send()
            .await
            .unwrap();
        wait(301 + 720).await;
        let deleted = world.delete_profile("kube-system").await.unwrap();
        let status = deleted.fargate_profile.unwrap().status.unwrap();
        assert_eq!(status, FargateProfileStatus::Deleting);
        let second = world.delete_profile("default").await;
        assert_eq!(code(&second), "ResourceInUseException");
        wait(150).await;
        let call = world.delete_profile("kube-system").await;
        assert_eq!(code(&call), "ResourceNotFoundException");
        world.delete_profile("default").await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn without_access_entries_none_is_made() {
        let world = World::new().await;
        world
            .create("demo")
            .set_access_config(None)
            .send()
            .await
            .unwrap();
        world.wait_until_active().await;
        let mode = world
            .cluster()
            .await
            .access_config
            .unwrap()
            .authentication_mode;
        assert_eq!(mode, Some(AuthenticationMode::ConfigMap));
        world.profile("kube-system").await;
        let clusters = world.clusters();
        let mut entries = clusters["demo"].access_entries.values();
        assert!(entries.all(|entry| entry.kind == "STANDARD"));
    }
}
