//! Managed policies and their attachment to roles.

use super::eventual_consistency::Spreading;
use super::page::page;
use super::request::{limit_exceeded, no_such_entity, policy_arn, role_name};
use crate::api_error::ApiError;
use crate::params::Params;
use crate::state::Context;
use crate::xml::Element;

/// AWS' own policies, by their path and name, one in a line, sorted (AWS managed policy reference, as of
/// October 2026).
const OF_AWS: &str = include_str!("aws_managed_policies.txt");
/// Those of them whose documents are known here, by their name (AWS managed policy reference).
const DOCUMENTS: &[(&str, &str)] = &[
    (
        "AdministratorAccess",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
    ),
    (
        "PowerUserAccess",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","NotAction":["iam:*","organizations:*","account:*"],"Resource":"*"},{"Effect":"Allow","Action":["iam:CreateServiceLinkedRole","iam:DeleteServiceLinkedRole","iam:ListRoles","organizations:DescribeOrganization","account:ListRegions","account:GetAccountInformation"],"Resource":"*"}]}"#,
    ),
];
/// IAM user guide, IAM quotas: managed policies attached to a role.
const ATTACHED_MAX: usize = 10;

/// `GetPolicy`. When a policy was made is not simulated: long ago.
pub(super) fn get(context: &mut Context<'_>, params: &Params) -> Result<Vec<Element>, ApiError> {
    let arn = policy_arn(params, "PolicyArn")?;
    if !exists(context, arn) {
        return Err(no_such_entity(format!("Policy {arn} was not found.")));
    }
    let roles = context.iam().roles.values();
    let attachments = roles.filter(|role| role.managed.current().contains(arn));
    let attachments = attachments.count();
    let id = context.seed.hex("policy", arn, 17).to_uppercase();
    let made = "2015-02-06T18:40:00Z";
    let policy = Element::new("Policy").children([
        Element::text("PolicyName", policy_name(arn)),
        Element::text("PolicyId", format!("ANPA{id}")),
        Element::text("Arn", arn),
        Element::text("Path", path(arn)),
        Element::text("DefaultVersionId", "v1"),
        Element::text("AttachmentCount", attachments),
        Element::text("IsAttachable", !is_service_policy(arn)),
        Element::text("CreateDate", made),
        Element::text("UpdateDate", made),
    ]);
    Ok(vec![policy])
}

/// `AttachRolePolicy`. Attaching again changes nothing and is no error (botocore's IAM model has none
/// for it).
pub(super) fn attach(context: &mut Context<'_>, params: &Params) -> Result<Vec<Element>, ApiError> {
    let name = role_name(params)?;
    let arn = policy_arn(params, "PolicyArn")?;
    let is_known = exists(context, arn);
    let spreading = Spreading::of(context);
    let role = context.iam().find_mut(name)?;
    if !is_known {
        let message = format!("Policy {arn} does not exist or is not attachable.");
        return Err(no_such_entity(message));
    }
    if is_service_policy(arn) {
        let message = "Cannot attach a Service Role Policy to a Customer Role.";
        return Err(ApiError::client("PolicyNotAttachable", message));
    }
    let mut attached = role.managed.current().clone();
    if !attached.insert(arn.to_owned()) {
        return Ok(Vec::new());
    }
    if attached.len() > ATTACHED_MAX {
        let message = format!("Cannot exceed quota for PoliciesPerRole: {ATTACHED_MAX}");
        return Err(limit_exceeded(message));
    }
    let at = spreading.visible_at(&format!("{}/{arn}", role.arn));
    role.managed.set(attached, spreading.now(), at);
    Ok(Vec::new())
}

/// `DetachRolePolicy`.
pub(super) fn detach(context: &mut Context<'_>, params: &Params) -> Result<Vec<Element>, ApiError> {
    let name = role_name(params)?;
    let arn = policy_arn(params, "PolicyArn")?;
    let spreading = Spreading::of(context);
    let role = context.iam().find_mut(name)?;
    let mut attached = role.managed.current().clone();
    if !attached.remove(arn) {
        return Err(no_such_entity(format!("Policy {arn} was not found.")));
    }
    let at = spreading.visible_at(&format!("{}/{arn}", role.arn));
    role.managed.set(attached, spreading.now(), at);
    Ok(Vec::new())
}

/// `ListAttachedRolePolicies`.
pub(super) fn list(context: &mut Context<'_>, params: &Params) -> Result<Vec<Element>, ApiError> {
    let prefix = params.get("PathPrefix").unwrap_or("/").to_owned();
    let role = context.iam().find(role_name(params)?)?;
    let attached = role.managed.current();
    let attached = (attached.iter()).filter(|arn| path(arn).starts_with(&prefix));
    let (attached, end) = page(params, attached)?;
    let items = attached.into_iter().map(|arn| {
        vec![
            Element::text("PolicyName", policy_name(arn)),
            Element::text("PolicyArn", arn),
        ]
    });
    let mut answer = vec![Element::list("AttachedPolicies", "member", items)];
    answer.extend(end);
    Ok(answer)
}

/// Whether there is a managed policy with the ARN: AWS' own, or the account's.
pub(super) fn exists(context: &mut Context<'_>, arn: &str) -> bool {
    let of_aws = format!("arn:{}:iam::aws:policy/", context.partition());
    match arn.strip_prefix(&of_aws) {
        Some(name) => OF_AWS.lines().any(|known| known == name),
        None => context.iam().policies.contains(arn),
    }
}

/// The document of one of AWS' own policies, if it is known here.
pub(super) fn document_of_aws(arn: &str) -> Option<&'static str> {
    let (_, name) = arn.split_once(":iam::aws:policy/")?;
    let found = DOCUMENTS.iter().find(|(known, _)| *known == name);
    found.map(|(_, document)| *document)
}

fn is_service_policy(arn: &str) -> bool {
    arn.contains(":iam::aws:policy/aws-service-role/")
}

fn policy_name(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

/// Between `policy` and the name, slashes included.
fn path(arn: &str) -> &str {
    let resource = arn
        .split_once(":policy")
        .map_or(arn, |(_, resource)| resource);
    let end = resource.rfind('/').map_or(0, |at| at + 1);
    &resource[..end]
}

#[cfg(test)]
mod tests {
    use crate::iam::testing::{World, code};

    #[tokio::test(start_paused = true)]
    async fn policies_of_aws_are_found_and_others_are_not() {
        let world = World::new();
        let get = |arn: &str| world.iam.get_policy().policy_arn(arn).send();
        let of_aws = get("arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole");
        let policy = of_aws.await.unwrap().policy.unwrap();
        assert_eq!(policy.policy_name(), Some("AWSLambdaBasicExecutionRole"));
        assert_eq!(policy.path(), Some("/service-role/"));
        let missing = get("arn:aws:iam::111122223333:policy/nothing").await;
        assert_eq!(code(missing), "NoSuchEntity");
        for name in [
            "AmazonSSMManagedInstanceCore",
            "AmazonEC2ContainerRegistryPullOnly",
            "AmazonEKSWorkerNodeMinimalPolicy",
            "service-role/AmazonEBSCSIDriverPolicy",
            "AmazonVPCFullAccess",
            "IAMFullAccess",
            "SecurityAudit",
            "job-function/ViewOnlyAccess",
        ] {
            get(&format!("arn:aws:iam::aws:policy/{name}"))
                .await
                .unwrap();
        }
    }

    /// LocalStack's snapshot `test_role_attach_policy`, recorded on AWS.
    #[tokio::test(start_paused = true)]
    async fn malformed_arn_cannot_be_parsed() {
        let world = World::new();
        world.role("demo").await;
        let call = world.iam.attach_role_policy().role_name("demo");
        let refused = call.policy_arn("longpolicynamebutnoarn").send().await;
        let message = crate::testing::message(&refused).to_owned();
        assert_eq!(message, "Invalid ARN:  Could not be parsed!");
        assert_eq!(code(refused), "ValidationError");
    }

    #[tokio::test(start_paused = true)]
    async fn attaching_twice_is_no_error() {
        let world = World::new();
        world.role("demo").await;
        for _ in 0..2 {
            world
                .attach("demo", "AmazonEKSClusterPolicy")
                .await
                .unwrap();
        }
        let call = world.iam.list_attached_role_policies().role_name("demo");
        let listed = call.send().await.unwrap();
        let listed = listed.attached_policies();
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].policy_name(), Some("AmazonEKSClusterPolicy"));
    }

    #[tokio::test(start_paused = true)]
    async fn unknown_policy_and_unattached_policy_do_not_exist() {
        let world = World::new();
        world.role("demo").await;
        let unknown = world.attach("demo", "AmazonEKSFriendlyPolicy").await;
        assert_eq!(code(unknown), "NoSuchEntity");
        let call = world.iam.detach_role_policy().role_name("demo");
        let call = call.policy_arn("arn:aws:iam::aws:policy/ReadOnlyAccess");
        assert_eq!(code(call.send().await), "NoSuchEntity");
    }

    #[tokio::test(start_paused = true)]
    async fn policy_of_a_service_linked_role_cannot_be_attached() {
        let world = World::new();
        world.role("demo").await;
        let name = "aws-service-role/AmazonEKSServiceRolePolicy";
        assert_eq!(
            code(world.attach("demo", name).await),
            "PolicyNotAttachable"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_ten_policies() {
        let world = World::new();
        world.role("demo").await;
        let mut attachable = super::OF_AWS.lines().filter(|name| !name.contains('/'));
        for policy in attachable.by_ref().take(10) {
            world.attach("demo", policy).await.unwrap();
        }
        let one_more = world.attach("demo", attachable.next().unwrap()).await;
        assert_eq!(code(one_more), "LimitExceeded");
    }
}
