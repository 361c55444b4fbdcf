//! What IAM's operations need.

use super::{Needed, Resource, request_tags};
use crate::iam::service_linked_role;
use crate::params::Params;
use crate::state::Context;

/// Operations that are about a role that is there.
const OF_ROLE: &[&str] = &[
    "AttachRolePolicy",
    "DeleteRole",
    "DeleteRolePermissionsBoundary",
    "DeleteRolePolicy",
    "DetachRolePolicy",
    "GetRole",
    "GetRolePolicy",
    "ListAttachedRolePolicies",
    "ListInstanceProfilesForRole",
    "ListRolePolicies",
    "ListRoleTags",
    "PutRolePermissionsBoundary",
    "PutRolePolicy",
    "TagRole",
    "UntagRole",
    "UpdateAssumeRolePolicy",
];

pub(super) fn needed(
    context: &Context<'_>,
    operation: &str,
    params: &Params,
) -> Option<Vec<Needed>> {
    let action = format!("iam:{operation}");
    let tags = params.structures("Tags");
    let tags = request_tags(tags.iter().filter_map(|tag| {
        let value = tag.get("Value").unwrap_or_default();
        Some((tag.get("Key")?, value))
    }));
    let mut needed = match operation {
        "CreateRole" => {
            let path = params.get("Path").unwrap_or("/");
            let name = params.get("RoleName").unwrap_or_default();
            let role = Resource::new(arn(context, path, name));
            let mut needed = vec![Needed::new(action, role.clone())];
            // IAM user guide, tagging IAM resources: roles are tagged as they are made only by those
            // who may tag them.
            if !tags.is_empty() {
                needed.push(Needed::new("iam:TagRole", role));
            }
            needed
        }
        "ListRoles" => {
            let prefix = params.get("PathPrefix").unwrap_or("/");
            vec![Needed::new(action, Resource::new(arn(context, prefix, "")))]
        }
        "CreateServiceLinkedRole" => {
            let service = params.get("AWSServiceName").unwrap_or_default();
            vec![create_service_linked_role(context, service)]
        }
        "GetPolicy" => {
            let policy = params.get("PolicyArn").unwrap_or_default();
            vec![Needed::new(
                action,
                Resource::new(policy).shown_as(format!("policy {policy}")),
            )]
        }
        "SimulatePrincipalPolicy" => {
            let principal = params.get("PolicySourceArn").unwrap_or_default();
            vec![Needed::new(action, Resource::new(principal))]
        }
        of_role if OF_ROLE.contains(&of_role) => {
            let name = params.get("RoleName").unwrap_or_default();
            vec![Needed::new(action, role(context, name))]
        }
        _ => return None,
    };
    for needed in &mut needed {
        needed.keys.extend(tags.clone());
        needed.keys.extend(own_keys(params));
    }
    Some(needed)
}

/// IAM user guide, IAM condition context keys.
fn own_keys(params: &Params) -> impl Iterator<Item = (String, String)> {
    let keys = [
        ("iam:policyarn", "PolicyArn"),
        ("iam:permissionsboundary", "PermissionsBoundary"),
    ];
    keys.into_iter()
        .filter_map(|(key, parameter)| Some((key.to_owned(), params.get(parameter)?.to_owned())))
}

/// Making the role of a service.
pub(super) fn create_service_linked_role(context: &Context<'_>, service: &str) -> Needed {
    let name = service_linked_role::name_of(service).unwrap_or("*");
    let path = format!("/aws-service-role/{service}/");
    let role = Resource::new(arn(context, &path, name));
    Needed::new("iam:CreateServiceLinkedRole", role).key("iam:awsservicename", service)
}

fn arn(context: &Context<'_>, path: &str, name: &str) -> String {
    let (partition, account) = (context.partition(), &context.account);
    format!("arn:{partition}:iam::{account}:role{path}{name}")
}

/// A role by its name: IAM says it without its ARN, as public logs show. Of a role that is not there IAM
/// does not know the path, that of a service included, and asks about the ARN without one: AWS' own
/// policies name both (AWSSystemsManagerEnableConfigRecordingExecutionPolicy) or `role/*AWSServiceRoleFor…`
/// (AmazonGuardDutyFullAccess).
pub(super) fn role(context: &Context<'_>, name: &str) -> Resource {
    let account = context.state.accounts.get(&context.account);
    let role = account.and_then(|account| account.iam.role(name));
    let resource = match role {
        Some(role) => Resource::new(&role.arn).tagged(&role.tags),
        None => Resource::new(arn(context, "/", name)),
    };
    resource.shown_as(format!("role {name}"))
}
