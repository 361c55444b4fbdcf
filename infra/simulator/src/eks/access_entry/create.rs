//! `CreateAccessEntry`.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{AccessEntry, FARGATE_LINUX, STANDARD, cluster_with_entries};
use crate::api_error::ApiError;
use crate::eks::errors::{in_use, invalid_parameter};
use crate::eks::request::{Request, Tags, check_tags};
use crate::eks::tokens::{Token, earlier};
use crate::eks::{Surroundings, parts};
use crate::state::Context;

/// botocore's EKS model, CreateAccessEntry.
const TYPES: &[&str] = &[
    STANDARD,
    FARGATE_LINUX,
    "EC2_LINUX",
    "EC2_WINDOWS",
    "EC2",
    "HYBRID_LINUX",
    "HYPERPOD_LINUX",
];
/// EKS user guide, creating access entries: how user names must not start.
const RESERVED: &[&str] = &["system:", "eks:", "aws:", "amazon:", "iam:"];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateAccessEntry {
    principal_arn: String,
    #[serde(default)]
    kubernetes_groups: Vec<String>,
    #[serde(default)]
    tags: Tags,
    username: Option<String>,
    r#type: Option<String>,
}

/// `CreateAccessEntry`.
pub(in crate::eks) fn create(
    context: &mut Context<'_>,
    request: &Request<'_>,
) -> Result<Value, ApiError> {
    let now = context.now;
    let asked: CreateAccessEntry = request.read()?;
    let token = Token::of(request)?;
    let (eks, around) = parts(context);
    let cluster = cluster_with_entries(eks, request.cluster())?;
    cluster.check_active(now)?;
    let entries = cluster.access_entries.values();
    if let Some(made) = earlier(entries, |entry| entry.token.as_ref(), token.as_ref()) {
        return Ok(json!({"accessEntry": made.to_json(&cluster.name)}));
    }
    let kind = asked.r#type.as_deref().unwrap_or(STANDARD);
    asked.check(kind)?;
    check_principal(&around, &asked.principal_arn, kind, now)?;
    if cluster.access_entries.contains_key(&asked.principal_arn) {
        // aws/eks-distro issue 2805.
        let message = "The specified access entry resource is already in use on this cluster.";
        return Err(in_use(message));
    }
    let mut entry = AccessEntry::new(cluster, &around, &asked.principal_arn, kind, now);
    if kind == FARGATE_LINUX {
        entry.become_nodes();
    } else {
        entry.groups = asked.kubernetes_groups;
    }
    if let Some(username) = asked.username {
        entry.username = username;
    }
    entry.tags = asked.tags;
    entry.token = token;
    let output = json!({"accessEntry": entry.to_json(&cluster.name)});
    cluster.access_entries.insert(asked.principal_arn, entry);
    Ok(output)
}

impl CreateAccessEntry {
    fn check(&self, kind: &str) -> Result<(), ApiError> {
        check_tags(&self.tags)?;
        if !TYPES.contains(&kind) {
            let message = format!("The specified type is invalid: {kind}");
            return Err(invalid_parameter(&message));
        }
        let has_names = self.username.is_some() || !self.kubernetes_groups.is_empty();
        if kind != STANDARD && has_names {
            let message = format!("Type {kind} cannot have a username or kubernetesGroups");
            return Err(invalid_parameter(&message));
        }
        let username = self.username.as_deref().unwrap_or_default();
        if RESERVED.iter().any(|start| username.starts_with(start)) {
            let message = format!(
                "The username {username} is invalid, it cannot start with {}",
                RESERVED.join(", ")
            );
            return Err(invalid_parameter(&message));
        }
        let mut groups = self.kubernetes_groups.iter();
        if let Some(group) = groups.find(|group| group.starts_with("system:")) {
            let message = format!(
                "The kubernetes group name {group} is invalid, it cannot start with system:"
            );
            return Err(invalid_parameter(&message));
        }
        Ok(())
    }
}

/// botocore's EKS model, principalArn; EKS user guide, creating access entries: no session, no
/// service-linked role; in the cluster's own account it must exist, and only a STANDARD one may be of
/// another account. IAM users are not simulated: any will do.
fn check_principal(
    around: &Surroundings<'_>,
    arn: &str,
    kind: &str,
    now: Timestamp,
) -> Result<(), ApiError> {
    let invalid =
        |why: &str| invalid_parameter(&format!("The specified principalArn is invalid: {why}."));
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", _, "iam", "", account, resource] = parts[..] else {
        return Err(invalid("invalid principal"));
    };
    let is_role = resource.starts_with("role/");
    let is_known_kind = is_role || resource.starts_with("user/") || resource == "root";
    if !is_known_kind {
        return Err(invalid("invalid principal"));
    }
    if resource.starts_with("role/aws-service-role/") {
        return Err(invalid("service-linked roles are not allowed"));
    }
    let is_own = account == around.account;
    if kind != STANDARD && !(is_own && is_role) {
        return Err(invalid("it must be a role in the account of the cluster"));
    }
    if is_own && is_role {
        let role = around.iam.role_by_arn(arn);
        if role.and_then(|role| role.trust.seen_at(now)).is_none() {
            return Err(invalid("invalid principal"));
        }
    }
    Ok(())
}
