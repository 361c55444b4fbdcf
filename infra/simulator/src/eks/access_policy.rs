//! Access policies: what an access entry's principal may do.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::access_entry::{cluster_with_entries, find};
use super::errors::{invalid_parameter, invalid_request, not_found};
use super::page::page;
use super::parts;
use super::request::{Request, check_one_of, epoch_seconds};
use crate::api_error::ApiError;
use crate::state::{Context, partition};

/// A policy's association with an access entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Association {
    /// `cluster` or `namespace`.
    pub scope: String,
    /// For the scope `namespace`.
    pub namespaces: Vec<String>,
    /// When it was made.
    pub associated_at: Timestamp,
    /// When its scope was changed.
    pub modified_at: Timestamp,
}

/// The policy of a cluster's administrators.
pub(super) const CLUSTER_ADMIN: &str = "AmazonEKSClusterAdminPolicy";
/// The policy with which EKS reads events.
pub(super) const EVENT_POLICY: &str = "AmazonEKSEventPolicy";
/// EKS user guide, access policy permissions. The first two, and the order, are those of a captured
/// answer; of the policies for AWS' own services only some are here.
const POLICIES: &[&str] = &[
    "AIDevOpsAgentAccessPolicy",
    "AWSBatchClusterPolicy",
    "AmazonEKSAdminPolicy",
    "AmazonEKSAdminViewPolicy",
    CLUSTER_ADMIN,
    "AmazonEKSEditPolicy",
    EVENT_POLICY,
    "AmazonEKSViewPolicy",
];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AssociateAccessPolicy {
    policy_arn: String,
    access_scope: AccessScope,
}

#[derive(Debug, Deserialize)]
struct AccessScope {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    namespaces: Vec<String>,
}

/// The ARN of a policy.
pub(super) fn arn_of(region: &str, name: &str) -> String {
    format!(
        "arn:{}:eks::aws:cluster-access-policy/{name}",
        partition(region)
    )
}

impl Association {
    /// With the scope of the whole cluster.
    pub(super) fn with_cluster(now: Timestamp) -> Self {
        Self {
            scope: "cluster".to_owned(),
            namespaces: Vec::new(),
            associated_at: now,
            modified_at: now,
        }
    }

    fn to_json(&self, policy_arn: &str) -> Value {
        json!({
            "policyArn": policy_arn,
            "accessScope": {"type": self.scope, "namespaces": self.namespaces},
            "associatedAt": epoch_seconds(self.associated_at),
            "modifiedAt": epoch_seconds(self.modified_at),
        })
    }
}

/// `AssociateAccessPolicy`; once more changes the scope.
pub(super) fn associate(
    context: &mut Context<'_>,
    request: &Request<'_>,
) -> Result<Value, ApiError> {
    let now = context.now;
    let asked: AssociateAccessPolicy = request.read()?;
    asked.access_scope.check()?;
    let (eks, around) = parts(context);
    let mut known = POLICIES.iter().map(|name| arn_of(around.region, name));
    if !known.any(|arn| arn == asked.policy_arn) {
        let message = format!(
            "The policyArn parameter format is not valid: {}",
            asked.policy_arn
        );
        return Err(invalid_parameter(&message));
    }
    let cluster = cluster_with_entries(eks, request.cluster())?;
    cluster.check_not_deleting("associate access policy")?;
    let name = cluster.name.clone();
    let entry = find(cluster, request.child())?;
    if !entry.is_standard() {
        let message = format!(
            "Access policies cannot be associated with type {}",
            entry.kind
        );
        return Err(invalid_request(&message));
    }
    let before = entry.policies.get(&asked.policy_arn);
    let association = Association {
        scope: asked.access_scope.kind,
        namespaces: asked.access_scope.namespaces,
        associated_at: before.map_or(now, |before| before.associated_at),
        modified_at: now,
    };
    let output = association.to_json(&asked.policy_arn);
    entry.policies.insert(asked.policy_arn, association);
    Ok(json!({
        "clusterName": name,
        "principalArn": request.child(),
        "associatedAccessPolicy": output,
    }))
}

impl AccessScope {
    /// botocore's EKS model, AccessScope.
    fn check(&self) -> Result<(), ApiError> {
        check_one_of("accessScope.type", &self.kind, &["cluster", "namespace"])?;
        if (self.kind == "namespace") == self.namespaces.is_empty() {
            let message = "namespaces must be given with the scope namespace, and only with it";
            return Err(invalid_parameter(message));
        }
        Ok(())
    }
}

/// `ListAssociatedAccessPolicies`.
pub(super) fn list_associated(
    context: &mut Context<'_>,
    request: &Request<'_>,
) -> Result<Value, ApiError> {
    let (eks, _) = parts(context);
    let cluster = cluster_with_entries(eks, request.cluster())?;
    let entry = find(cluster, request.child())?;
    let policies = entry
        .policies
        .iter()
        .map(|(arn, association)| association.to_json(arn));
    let mut output = page(request, "associatedAccessPolicies", policies)?;
    output["clusterName"] = request.cluster().into();
    output["principalArn"] = request.child().into();
    Ok(output)
}

/// `DisassociateAccessPolicy`.
pub(super) fn disassociate(
    context: &mut Context<'_>,
    request: &Request<'_>,
) -> Result<Value, ApiError> {
    let (eks, _) = parts(context);
    let cluster = cluster_with_entries(eks, request.cluster())?;
    cluster.check_not_deleting("disassociate access policy")?;
    let entry = find(cluster, request.child())?;
    let policy = request.segment(5);
    if entry.policies.remove(policy).is_none() {
        let message = format!("The access policy {policy} is not associated with the access entry");
        return Err(not_found(&message));
    }
    Ok(json!({}))
}

/// `ListAccessPolicies`.
pub(super) fn list(context: &mut Context<'_>, request: &Request<'_>) -> Result<Value, ApiError> {
    let region = context.region.clone();
    let policies = POLICIES.iter();
    let policies = policies.map(|name| json!({"name": name, "arn": arn_of(&region, name)}));
    page(request, "accessPolicies", policies)
}

#[cfg(test)]
mod tests {
    use aws_sdk_eks::types::{AccessScope, AccessScopeType};

    use crate::eks::testing::{World, code};

    const PRINCIPAL: &str = "arn:aws:iam::444455556666:role/admin";
    const VIEW: &str = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy";

    #[tokio::test(start_paused = true)]
    async fn policy_is_associated_changed_and_disassociated() {
        let world = World::new().await;
        world.cluster_active().await;
        world.create_entry(PRINCIPAL).send().await.unwrap();
        let associate = |scope: AccessScope| {
            let call = world.eks.associate_access_policy().cluster_name("demo");
            call.principal_arn(PRINCIPAL)
                .policy_arn(VIEW)
                .access_scope(scope)
                .send()
        };
        let namespace = AccessScope::builder().r#type(AccessScopeType::Namespace);
        assert_eq!(
            code(&associate(namespace.clone().build()).await),
            "InvalidParameterException"
        );
        associate(namespace.namespaces("default").build())
            .await
            .unwrap();
        let cluster = AccessScope::builder()
            .r#type(AccessScopeType::Cluster)
            .build();
        associate(cluster).await.unwrap();
        let list = || {
            let call = world
                .eks
                .list_associated_access_policies()
                .cluster_name("demo");
            call.principal_arn(PRINCIPAL).send()
        };
        let listed = list().await.unwrap();
        let listed = listed.associated_access_policies();
        assert_eq!(listed.len(), 1);
        let scope = listed[0].access_scope().unwrap();
        assert_eq!(scope.r#type(), Some(&AccessScopeType::Cluster));
        let entries = world.eks.list_access_entries().cluster_name("demo");
        let entries = entries.associated_policy_arn(VIEW).send().await.unwrap();
        assert_eq!(entries.access_entries(), [PRINCIPAL]);
        let call = world.eks.disassociate_access_policy().cluster_name("demo");
        call.principal_arn(PRINCIPAL)
            .policy_arn(VIEW)
            .send()
            .await
            .unwrap();
        assert!(
            list()
                .await
                .unwrap()
                .associated_access_policies()
                .is_empty()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn every_listed_policy_can_be_associated_and_no_other() {
        let world = World::new().await;
        world.cluster_active().await;
        world.create_entry(PRINCIPAL).send().await.unwrap();
        let associate = |arn: String| {
            let scope = AccessScope::builder()
                .r#type(AccessScopeType::Cluster)
                .build();
            let call = world.eks.associate_access_policy().cluster_name("demo");
            call.principal_arn(PRINCIPAL)
                .policy_arn(arn)
                .access_scope(scope)
                .send()
        };
        let listed = world.eks.list_access_policies().send().await.unwrap();
        for policy in listed.access_policies() {
            associate(policy.arn().unwrap().to_owned()).await.unwrap();
        }
        let other = associate(VIEW.replace("View", "Friendly")).await;
        assert_eq!(code(&other), "InvalidParameterException");
    }
}
