//! An IAM role that an AWS service assumes, and the service-linked roles beside it.
//!
//! Both roles of a cluster differ only in name, trust and managed policy; what makes them safe to
//! repeat is here once: the name follows from the plan, the tags are set in the create call, and trust,
//! permissions boundary and policy are compared before they are set.

use aws_sdk_iam::error::ProvideErrorMetadata;
use aws_sdk_iam::types::Role;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::aws::Aws;
use crate::codes;
use crate::error::{During, Error, required};
use crate::outcome::{Outcome, Removed, Resource};
use crate::plan::{Plan, Target};
use crate::tags;
use crate::telemetry::{changed, changing};

/// What a role has to be like.
#[derive(Debug, Clone)]
pub struct ServiceRole {
    /// Name of the role; its path is `/`.
    pub name: String,
    /// Value of the tag `hardway:role`.
    pub role: &'static str,
    /// Trust policy: who may assume it.
    pub trust: Value,
    /// ARN of the managed policy that is attached to it.
    pub policy_arn: String,
}

/// A role that AWS defines and that all clusters of the account share. It is never removed.
#[derive(Debug, Clone, Copy)]
pub struct ServiceLinkedRole {
    /// Name of the role.
    pub name: &'static str,
    /// The service that assumes it.
    pub service: &'static str,
}

/// What later steps need of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleOutput {
    /// ARN of the role.
    pub role_arn: String,
}

/// Makes the role as wanted. A new role cannot be assumed at once: whoever passes it to EKS gets
/// [`Error::NotYetVisible`] until IAM has spread it.
///
/// # Errors
/// [`Error::ResourceConflict`] if a role of that name is not ours; what IAM answers otherwise.
pub async fn ensure(
    aws: &Aws,
    plan: &Plan,
    wanted: &ServiceRole,
) -> Result<Outcome<RoleOutput>, Error> {
    let role_arn = match find(aws, &wanted.name).await? {
        Some(role) => {
            repair(aws, plan, wanted, &role).await?;
            role.arn
        }
        None => create(aws, plan, wanted).await?.arn,
    };
    Ok(Outcome::Ready(RoleOutput { role_arn }))
}

/// Detaches every policy of the role and deletes it.
///
/// # Errors
/// [`Error::ResourceConflict`] if the role is not ours, or if someone gave it inline policies or an
/// instance profile; what IAM answers otherwise.
pub async fn remove(aws: &Aws, target: &Target, name: &str) -> Result<Outcome<Removed>, Error> {
    let Some(role) = find(aws, name).await? else {
        return Ok(Outcome::Ready(Removed::default()));
    };
    require_ours(&role, target)?;
    for policy_arn in attached_policies(aws, name).await? {
        detach(aws, name, &policy_arn).await?;
    }
    changing("iam:DeleteRole", name);
    match aws.iam.delete_role().role_name(name).send().await {
        Err(error) if error.code() == Some(codes::NO_SUCH_ENTITY) => {
            return Ok(Outcome::Ready(Removed::default()));
        }
        Err(error) if error.code() == Some(codes::DELETE_CONFLICT) => {
            return Err(Error::ResourceConflict(format!(
                "IAM role {name} has something that hardway did not give it: {}",
                error.message().unwrap_or("no message")
            )));
        }
        answer => answer.during("iam:DeleteRole")?,
    };
    changed("iam:DeleteRole", name);
    Ok(Outcome::Ready(Removed {
        removed: vec![Resource::new("AWS::IAM::Role", name)],
    }))
}

/// Makes sure that a service-linked role exists.
///
/// EKS would make it on demand and then fail the first time in a new account, because the role has not
/// spread yet. Made early, its propagation hides behind the VPC.
///
/// # Errors
/// What IAM answers.
pub async fn ensure_service_linked(aws: &Aws, role: ServiceLinkedRole) -> Result<(), Error> {
    if find(aws, role.name).await?.is_some() {
        return Ok(());
    }
    changing("iam:CreateServiceLinkedRole", role.name);
    let call = aws
        .iam
        .create_service_linked_role()
        .aws_service_name(role.service);
    match call.send().await {
        Err(error) if is_taken(&error) => {}
        answer => {
            answer.during("iam:CreateServiceLinkedRole")?;
            changed("iam:CreateServiceLinkedRole", role.name);
        }
    }
    Ok(())
}

fn is_taken(error: &impl ProvideErrorMetadata) -> bool {
    error.code() == Some(codes::INVALID_INPUT)
        && error
            .message()
            .is_some_and(|message| message.contains(codes::SERVICE_LINKED_ROLE_EXISTS_MESSAGE))
}

async fn find(aws: &Aws, name: &str) -> Result<Option<Role>, Error> {
    match aws.iam.get_role().role_name(name).send().await {
        Err(error) if error.code() == Some(codes::NO_SUCH_ENTITY) => Ok(None),
        answer => required(answer.during("iam:GetRole")?.role, "iam:GetRole: Role").map(Some),
    }
}

fn require_ours(role: &Role, target: &Target) -> Result<(), Error> {
    if tags::iam_is_ours(role.tags(), target) {
        return Ok(());
    }
    Err(tags::not_ours(
        &format!("IAM role {}", role.role_name()),
        target,
    ))
}

async fn create(aws: &Aws, plan: &Plan, wanted: &ServiceRole) -> Result<Role, Error> {
    changing("iam:CreateRole", &wanted.name);
    let call = aws
        .iam
        .create_role()
        .role_name(&wanted.name)
        .assume_role_policy_document(wanted.trust.to_string())
        .set_permissions_boundary(plan.permissions_boundary_arn.clone())
        .set_tags(Some(tags::iam(plan, wanted.role)?));
    let role = match call.send().await {
        // An earlier attempt made it and GetRole does not see it yet.
        Err(error) if error.code() == Some(codes::ENTITY_ALREADY_EXISTS) => {
            return Err(Error::NotYetVisible(format!(
                "IAM role {} exists but cannot be read yet",
                wanted.name
            )));
        }
        answer => required(
            answer.during("iam:CreateRole")?.role,
            "iam:CreateRole: Role",
        )?,
    };
    changed("iam:CreateRole", &wanted.name);
    attach(aws, wanted).await?;
    Ok(role)
}

async fn repair(aws: &Aws, plan: &Plan, wanted: &ServiceRole, role: &Role) -> Result<(), Error> {
    require_ours(role, &plan.target)?;
    if !trusts(role, &wanted.trust) {
        update_trust(aws, wanted).await?;
    }
    // A boundary that the plan does not ask for is someone's deliberate limit: it stays.
    let boundary = role
        .permissions_boundary()
        .and_then(|boundary| boundary.permissions_boundary_arn());
    if let Some(wanted_arn) = &plan.permissions_boundary_arn
        && boundary != Some(wanted_arn)
    {
        put_boundary(aws, &wanted.name, wanted_arn).await?;
    }
    if !attached_policies(aws, &wanted.name)
        .await?
        .contains(&wanted.policy_arn)
    {
        attach(aws, wanted).await?;
    }
    Ok(())
}

/// Whether the trust policy is the wanted one. IAM returns it percent-encoded and with its own
/// spacing, so it is compared as JSON.
fn trusts(role: &Role, wanted: &Value) -> bool {
    role.assume_role_policy_document()
        .and_then(|document| percent_decode_str(document).decode_utf8().ok())
        .and_then(|document| serde_json::from_str::<Value>(&document).ok())
        .is_some_and(|trust| trust == *wanted)
}

async fn update_trust(aws: &Aws, wanted: &ServiceRole) -> Result<(), Error> {
    changing("iam:UpdateAssumeRolePolicy", &wanted.name);
    aws.iam
        .update_assume_role_policy()
        .role_name(&wanted.name)
        .policy_document(wanted.trust.to_string())
        .send()
        .await
        .during("iam:UpdateAssumeRolePolicy")?;
    changed("iam:UpdateAssumeRolePolicy", &wanted.name);
    Ok(())
}

async fn put_boundary(aws: &Aws, name: &str, boundary_arn: &str) -> Result<(), Error> {
    changing("iam:PutRolePermissionsBoundary", name);
    aws.iam
        .put_role_permissions_boundary()
        .role_name(name)
        .permissions_boundary(boundary_arn)
        .send()
        .await
        .during("iam:PutRolePermissionsBoundary")?;
    changed("iam:PutRolePermissionsBoundary", name);
    Ok(())
}

async fn attached_policies(aws: &Aws, name: &str) -> Result<Vec<String>, Error> {
    let pages = aws
        .iam
        .list_attached_role_policies()
        .role_name(name)
        .into_paginator();
    let policies: Vec<_> = pages
        .items()
        .send()
        .try_collect()
        .await
        .during("iam:ListAttachedRolePolicies")?;
    Ok(policies
        .into_iter()
        .filter_map(|policy| policy.policy_arn)
        .collect())
}

async fn attach(aws: &Aws, wanted: &ServiceRole) -> Result<(), Error> {
    changing("iam:AttachRolePolicy", &wanted.name);
    aws.iam
        .attach_role_policy()
        .role_name(&wanted.name)
        .policy_arn(&wanted.policy_arn)
        .send()
        .await
        .during("iam:AttachRolePolicy")?;
    changed("iam:AttachRolePolicy", &wanted.name);
    Ok(())
}

async fn detach(aws: &Aws, name: &str, policy_arn: &str) -> Result<(), Error> {
    changing("iam:DetachRolePolicy", name);
    let call = aws
        .iam
        .detach_role_policy()
        .role_name(name)
        .policy_arn(policy_arn);
    match call.send().await {
        Err(error) if error.code() == Some(codes::NO_SUCH_ENTITY) => {}
        answer => {
            answer.during("iam:DetachRolePolicy")?;
        }
    }
    changed("iam:DetachRolePolicy", name);
    Ok(())
}
