//! Access entries: who may use a cluster.

mod create;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::access_policy::{Association, CLUSTER_ADMIN, EVENT_POLICY, arn_of};
use super::errors::{invalid_request, not_found};
use super::eventual_consistency::EventualConsistency;
use super::page::page;
use super::request::{Request, Tags, epoch_seconds};
use super::tokens::Token;
use super::{Cluster, Surroundings, parts};
use crate::api_error::ApiError;
use crate::state::{Context, partition};

pub(super) use create::create;

/// An access entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccessEntry {
    /// The role or user.
    pub principal_arn: String,
    /// The id of the role: an entry does not hold for a role that is made again with the same name (EKS
    /// user guide, access entries).
    role_id: Option<String>,
    /// The entry's own ARN.
    pub arn: String,
    /// `STANDARD`, `FARGATE_LINUX`, …
    pub kind: String,
    /// Kubernetes groups.
    pub groups: Vec<String>,
    /// The name in Kubernetes.
    pub username: String,
    /// Associated access policies by their ARN.
    pub policies: BTreeMap<String, Association>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed.
    pub modified_at: Timestamp,
    /// Tags.
    pub tags: Tags,
    /// The token of the request that made it.
    token: Option<Token>,
}

/// EKS user guide, access entries.
const STANDARD: &str = "STANDARD";
const FARGATE_LINUX: &str = "FARGATE_LINUX";
/// What pods on Fargate are in Kubernetes.
const FARGATE_GROUPS: &[&str] = &[
    "system:bootstrappers",
    "system:nodes",
    "system:node-proxier",
];
const FARGATE_USERNAME: &str = "system:node:{{SessionName}}";

impl AccessEntry {
    fn new(
        cluster: &Cluster,
        around: &Surroundings<'_>,
        principal_arn: &str,
        kind: &str,
        now: Timestamp,
    ) -> Self {
        let (account, region) = (around.account, around.region);
        let mut parts = principal_arn.splitn(6, ':').skip(4);
        let of_account = parts.next().unwrap_or_default();
        let resource = parts.next().unwrap_or_default();
        let what = resource.split('/').next().unwrap_or_default();
        let name = resource.rsplit('/').next().unwrap_or_default();
        let uuid = cluster.uuid(around.seed, &format!("{principal_arn}/{now}"));
        Self {
            principal_arn: principal_arn.to_owned(),
            role_id: around
                .iam
                .role_by_arn(principal_arn)
                .map(|role| role.id.clone()),
            arn: format!(
                "arn:{}:eks:{region}:{account}:access-entry/{}/{what}/{of_account}/{name}/{uuid}",
                partition(region),
                cluster.name
            ),
            kind: kind.to_owned(),
            groups: Vec::new(),
            username: default_username(principal_arn, name, of_account, region),
            policies: BTreeMap::new(),
            created_at: now,
            modified_at: now,
            tags: Tags::new(),
            token: None,
        }
    }

    /// The entry of the one who has made the cluster: its administrator (EKS user guide, access
    /// entries).
    pub(super) fn of_creator(
        cluster: &Cluster,
        around: &Surroundings<'_>,
        principal_arn: &str,
        now: Timestamp,
    ) -> Self {
        let mut entry = Self::new(cluster, around, principal_arn, STANDARD, now);
        let arn = arn_of(around.region, CLUSTER_ADMIN);
        entry.policies.insert(arn, Association::with_cluster(now));
        entry
    }

    /// The entry with which EKS itself reads a cluster's events (captured on a real account: its
    /// service-linked role associates the policy by itself).
    fn of_eks(cluster: &Cluster, around: &Surroundings<'_>, now: Timestamp) -> Self {
        let (account, region) = (around.account, around.region);
        let arn = format!(
            "arn:{}:iam::{account}:role/aws-service-role/eks.amazonaws.com/AWSServiceRoleForAmazonEKS",
            partition(region)
        );
        let mut entry = Self::new(cluster, around, &arn, STANDARD, now);
        let policy = arn_of(region, EVENT_POLICY);
        entry
            .policies
            .insert(policy, Association::with_cluster(now));
        entry
    }

    /// Makes the entry with which a profile's pods join the cluster, unless entries are off or it is
    /// there (EKS user guide, creating access entries).
    pub(super) fn ensure_for_pods(
        cluster: &mut Cluster,
        around: &Surroundings<'_>,
        role_arn: &str,
        now: Timestamp,
    ) {
        let is_off = cluster.authentication_mode == "CONFIG_MAP";
        if is_off || cluster.access_entries.contains_key(role_arn) {
            return;
        }
        let mut entry = Self::new(cluster, around, role_arn, FARGATE_LINUX, now);
        entry.become_nodes();
        cluster.access_entries.insert(role_arn.to_owned(), entry);
    }

    /// Gives it the name and the groups of nodes on Fargate.
    fn become_nodes(&mut self) {
        self.groups = (FARGATE_GROUPS.iter())
            .map(|group| String::from(*group))
            .collect();
        FARGATE_USERNAME.clone_into(&mut self.username);
    }

    /// Whether nodes on Fargate join the cluster with the role.
    pub(crate) fn lets_nodes_join(&self, around: &Surroundings<'_>) -> bool {
        let role = around.iam.role_by_arn(&self.principal_arn);
        self.kind == FARGATE_LINUX && self.role_id == role.map(|role| role.id.clone())
    }

    /// Whether policies can be associated with it.
    pub(super) fn is_standard(&self) -> bool {
        self.kind == STANDARD
    }

    fn to_json(&self, cluster: &str) -> Value {
        json!({
            "clusterName": cluster,
            "principalArn": self.principal_arn,
            "kubernetesGroups": self.groups,
            "accessEntryArn": self.arn,
            "createdAt": epoch_seconds(self.created_at),
            "modifiedAt": epoch_seconds(self.modified_at),
            "tags": self.tags,
            "username": self.username,
            "type": self.kind,
        })
    }
}

impl Cluster {
    /// When EKS makes an entry for itself: 237 and 241.6 seconds after CreateCluster on real accounts.
    pub(super) fn own_entry_at(&self, seed: crate::Seed) -> Timestamp {
        let since = seed.duration("event-policy", &self.digits, 236.0..242.0);
        super::after(self.created_at, since)
    }

    /// Makes EKS' own entry, if `at` is its time.
    pub(super) fn make_own_entry(&mut self, around: &Surroundings<'_>, at: Timestamp) {
        let has_entries = self.authentication_mode != "CONFIG_MAP";
        if has_entries && at == self.own_entry_at(around.seed) {
            let entry = AccessEntry::of_eks(self, around, at);
            self.access_entries
                .insert(entry.principal_arn.clone(), entry);
        }
    }
}

/// EKS user guide, creating access entries: a user's ARN, or the ARN of a role's sessions.
fn default_username(principal_arn: &str, name: &str, account: &str, region: &str) -> String {
    if !principal_arn.contains(":role/") {
        return principal_arn.to_owned();
    }
    let partition = partition(region);
    format!("arn:{partition}:sts::{account}:assumed-role/{name}/{{{{SessionName}}}}")
}

/// The cluster, if it has access entries (aws/containers-roadmap issue 185; the text is what users
/// report).
pub(super) fn cluster_with_entries<'a>(
    eks: &'a mut super::Eks,
    name: &str,
) -> Result<&'a mut Cluster, ApiError> {
    let cluster = eks.cluster(name)?;
    if cluster.authentication_mode == "CONFIG_MAP" {
        return Err(invalid_request(
            "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to \
             perform this operation.",
        ));
    }
    Ok(cluster)
}

/// The entry of a principal.
pub(super) fn find<'a>(
    cluster: &'a mut Cluster,
    principal_arn: &str,
) -> Result<&'a mut AccessEntry, ApiError> {
    cluster
        .access_entries
        .get_mut(principal_arn)
        .ok_or_else(missing)
}

fn missing() -> ApiError {
    not_found(
        "The specified principalArn could not be found. You can view your available access entries \
         with 'list-access-entries'.",
    )
}

/// `DescribeAccessEntry`.
pub(super) fn describe(
    context: &mut Context<'_>,
    request: &Request<'_>,
) -> Result<Value, ApiError> {
    let consistency = EventualConsistency::of(context);
    let (eks, _) = parts(context);
    let cluster = cluster_with_entries(eks, request.cluster())?;
    let name = cluster.name.clone();
    let entry = find(cluster, request.child())?;
    if !consistency.shows(&entry.arn, entry.created_at) {
        return Err(missing());
    }
    Ok(json!({"accessEntry": entry.to_json(&name)}))
}

/// `ListAccessEntries`: all, or those with a policy.
pub(super) fn list(context: &mut Context<'_>, request: &Request<'_>) -> Result<Value, ApiError> {
    let policy = request.query("associatedPolicyArn");
    let consistency = EventualConsistency::of(context);
    let (eks, _) = parts(context);
    let cluster = cluster_with_entries(eks, request.cluster())?;
    let entries = cluster.access_entries.values();
    let entries = entries.filter(|entry| {
        policy.is_none_or(|arn| entry.policies.contains_key(arn))
            && consistency.shows(&entry.arn, entry.created_at)
    });
    page(
        request,
        "accessEntries",
        entries.map(|entry| json!(entry.principal_arn)),
    )
}

/// `DeleteAccessEntry`.
pub(super) fn delete(context: &mut Context<'_>, request: &Request<'_>) -> Result<Value, ApiError> {
    let (eks, _) = parts(context);
    let cluster = cluster_with_entries(eks, request.cluster())?;
    find(cluster, request.child())?;
    cluster.check_not_deleting("delete access entry")?;
    cluster.access_entries.remove(request.child());
    Ok(json!({}))
}

#[cfg(test)]
mod tests {
    use crate::eks::testing::{ACCOUNT, World, code, message, wait};

    #[tokio::test(start_paused = true)]
    async fn eks_makes_an_entry_for_itself_four_minutes_after_the_cluster_was_asked_for() {
        let world = World::new().await;
        let access = aws_sdk_eks::types::CreateAccessConfigRequest::builder()
            .authentication_mode(aws_sdk_eks::types::AuthenticationMode::Api)
            .bootstrap_cluster_creator_admin_permissions(false);
        let call = world.create("demo").access_config(access.build());
        call.send().await.unwrap();
        let entries = || world.eks.list_access_entries().cluster_name("demo").send();
        wait(235).await;
        assert!(entries().await.unwrap().access_entries().is_empty());
        wait(8).await;
        let arn = format!(
            "arn:aws:iam::{ACCOUNT}:role/aws-service-role/eks.amazonaws.com/AWSServiceRoleForAmazonEKS"
        );
        let listed = entries().await.unwrap().access_entries;
        assert_eq!(listed, Some(vec![arn.clone()]));
        let call = world.eks.list_associated_access_policies();
        let call = call.cluster_name("demo").principal_arn(&arn);
        let policies = call.send().await.unwrap();
        let policy = &policies.associated_access_policies()[0];
        let expected = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSEventPolicy";
        assert_eq!(policy.policy_arn(), Some(expected));
    }

    #[tokio::test(start_paused = true)]
    async fn cluster_that_is_being_deleted_refuses_changes_of_what_is_in_it() {
        let world = World::new().await;
        world.cluster_with_coredns().await;
        let principal = world.role("somebody", "eks.amazonaws.com").await;
        wait(720).await;
        world.create_entry(&principal).send().await.unwrap();
        world.change_cluster(|cluster| cluster.fargate_profiles.clear());
        let call = world.eks.delete_cluster().name("demo");
        call.send().await.unwrap();
        let call = world.eks.delete_access_entry().cluster_name("demo");
        let refused = call.principal_arn(&principal).send().await;
        assert_eq!(code(&refused), "InvalidRequestException");
        let call = world.eks.disassociate_access_policy().cluster_name("demo");
        let call = call.principal_arn(&principal).policy_arn("x");
        let refused = call.send().await;
        assert_eq!(
            message(&refused),
            "Failed to disassociate access policy because cluster was in DELETING state"
        );
        let call = world.eks.delete_addon().cluster_name("demo");
        let refused = call.addon_name("coredns").send().await;
        assert_eq!(code(&refused), "InvalidRequestException");
    }

    #[tokio::test(start_paused = true)]
    async fn creator_is_the_administrator() {
        let world = World::new().await;
        world.cluster_active().await;
        let entries = world.eks.list_access_entries().cluster_name("demo").send();
        let creator = format!("arn:aws:iam::{ACCOUNT}:user/operator");
        let entries = entries.await.unwrap().access_entries.unwrap();
        let (own, others): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .partition(|arn| arn.contains(":role/aws-service-role/"));
        assert_eq!((own.len(), others), (1, vec![creator.clone()]));
        let call = world
            .eks
            .list_associated_access_policies()
            .cluster_name("demo");
        let policies = call.principal_arn(creator).send().await.unwrap();
        let policies = policies.associated_access_policies();
        assert_eq!(
            policies[0].policy_arn(),
            Some("arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy")
        );
    }

    #[tokio::test(start_paused = true)]
    async fn entry_is_made_described_and_deleted() {
        let world = World::new().await;
        world.cluster_active().await;
        let admin = world.role("admin", "ec2.amazonaws.com").await;
        wait(15).await;
        let create = || world.create_entry(&admin).tags("team", "platform").send();
        let made = create().await.unwrap().access_entry.unwrap();
        assert_eq!(made.r#type(), Some("STANDARD"));
        let username = format!("arn:aws:sts::{ACCOUNT}:assumed-role/admin/{{{{SessionName}}}}");
        assert_eq!(made.username(), Some(username.as_str()));
        let describe = world.eks.describe_access_entry().cluster_name("demo");
        let described = describe.principal_arn(&admin).send().await.unwrap();
        assert_eq!(described.access_entry.unwrap(), made);
        let again = create().await;
        assert_eq!(code(&again), "ResourceInUseException");
        let expected = "The specified access entry resource is already in use on this cluster.";
        assert_eq!(message(&again), expected);
        let delete = || {
            let call = world.eks.delete_access_entry().cluster_name("demo");
            call.principal_arn(&admin).send()
        };
        delete().await.unwrap();
        assert_eq!(code(&delete().await), "ResourceNotFoundException");
    }

    #[tokio::test(start_paused = true)]
    async fn principals_must_be_right() {
        let world = World::new().await;
        world.cluster_active().await;
        let new = world.role("new", "ec2.amazonaws.com").await;
        for arn in [
            format!("arn:aws:iam::{ACCOUNT}:role/missing"),
            format!("arn:aws:sts::{ACCOUNT}:assumed-role/cluster/session"),
            format!(
                "arn:aws:iam::{ACCOUNT}:role/aws-service-role/eks.amazonaws.com/AWSServiceRoleForAmazonEKS"
            ),
            // Not spread yet.
            new,
        ] {
            let call = world.create_entry(&arn).send().await;
            assert_eq!(code(&call), "InvalidParameterException", "{arn}");
        }
        let elsewhere = "arn:aws:iam::444455556666:role/admin";
        let call = world
            .create_entry(elsewhere)
            .r#type("FARGATE_LINUX")
            .send()
            .await;
        assert_eq!(code(&call), "InvalidParameterException");
        world.create_entry(elsewhere).send().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn names_of_kubernetes_itself_are_refused() {
        let world = World::new().await;
        world.cluster_active().await;
        let entry = || world.create_entry("arn:aws:iam::444455556666:role/admin");
        let group = entry().kubernetes_groups("system:masters").send().await;
        assert_eq!(code(&group), "InvalidParameterException");
        let username = entry().username("eks:x").send().await;
        assert_eq!(code(&username), "InvalidParameterException");
        let kind = entry().r#type("WINDOWS").send().await;
        assert_eq!(code(&kind), "InvalidParameterException");
    }

    #[tokio::test(start_paused = true)]
    async fn cluster_without_the_api_mode_has_no_entries() {
        let world = World::new().await;
        world
            .create("demo")
            .set_access_config(None)
            .send()
            .await
            .unwrap();
        world.wait_until_active().await;
        let call = world
            .create_entry("arn:aws:iam::444455556666:role/admin")
            .send()
            .await;
        assert_eq!(code(&call), "InvalidRequestException");
        let start =
            "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP]";
        assert!(message(&call).starts_with(start), "{}", message(&call));
    }
}
