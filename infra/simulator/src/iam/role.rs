//! Roles.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use super::eventual_consistency::{EventuallyConsistent, Spreading};
use super::page::page;
use super::request::{description, document, invalid, limit_exceeded, number, role_name};
use super::tags::{self, Tags};
use super::trust::Document;
use super::{Iam, boundary};
use crate::api_error::ApiError;
use crate::params::Params;
use crate::state::{Context, State};
use crate::xml::Element;

/// A role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// For example `/`.
    pub path: String,
    /// `AROA…`; another one if the role is made again.
    pub id: String,
    /// With the path in it.
    pub arn: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// For people.
    pub description: Option<String>,
    /// How long a session of it may be, in seconds.
    pub max_session_seconds: u32,
    /// The policy that says who may assume it, as it was given.
    pub trust: EventuallyConsistent<String>,
    /// ARNs of the managed policies attached to it.
    pub managed: EventuallyConsistent<BTreeSet<String>>,
    /// Inline policies by name.
    pub inline: EventuallyConsistent<BTreeMap<String, String>>,
    /// The ARN of its permissions boundary.
    pub boundary: Option<String>,
    /// Tags.
    pub tags: Tags,
}

/// botocore's IAM model: an hour if `MaxSessionDuration` does not say otherwise, up to twelve.
const SESSION_SECONDS: u32 = 3600;
const SESSION_SECONDS_MAX: u32 = 43_200;
/// botocore's IAM model, pathType.
const PATH_MAX: usize = 512;
/// IAM user guide, IAM quotas: characters of a trust policy, white space aside.
const TRUST_MAX: usize = 2048;
/// IAM user guide, IAM quotas.
const ROLES_MAX: usize = 1000;
/// RFC 3986, which botocore's IAM model names for policy documents: all else is escaped.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What a role is shown for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Made,
    Read,
    Listed,
}

impl Role {
    /// Whether it belongs to an AWS service (IAM user guide, service-linked roles).
    #[must_use]
    pub fn is_service_linked(&self) -> bool {
        self.path.starts_with("/aws-service-role/")
    }

    /// Makes the role visible to everybody from the beginning, as if it had been there for long.
    #[must_use]
    pub fn of_old(arn: &str, id: String, trust: &str, created_at: Timestamp) -> Self {
        let (path, name) = path_and_name(arn);
        Self {
            name,
            path,
            id,
            arn: arn.to_owned(),
            created_at,
            description: None,
            max_session_seconds: SESSION_SECONDS,
            trust: EventuallyConsistent::new(trust.to_owned(), created_at),
            managed: EventuallyConsistent::new(BTreeSet::new(), created_at),
            inline: EventuallyConsistent::new(BTreeMap::new(), created_at),
            boundary: None,
            tags: Tags::new(),
        }
    }

    /// The children of a `Role` element. Lists leave out boundary and tags (botocore's IAM model,
    /// ListRoles); the answer of a creation has no `MaxSessionDuration`, and only GetRole says when the
    /// role was last used, which nobody has done here (captured answers of AWS).
    pub(super) fn content(&self, answer: Answer) -> Vec<Element> {
        let mut content = vec![
            Element::text("Path", &self.path),
            Element::text("RoleName", &self.name),
            Element::text("RoleId", &self.id),
            Element::text("Arn", &self.arn),
            Element::text("CreateDate", self.created_at.strftime("%Y-%m-%dT%H:%M:%SZ")),
            Element::text("AssumeRolePolicyDocument", encode(self.trust.current())),
        ];
        if answer != Answer::Made {
            content.push(Element::text(
                "MaxSessionDuration",
                self.max_session_seconds,
            ));
        }
        if answer == Answer::Read {
            content.push(Element::new("RoleLastUsed"));
        }
        let description = self.description.as_ref();
        content.extend(description.map(|text| Element::text("Description", text)));
        if answer != Answer::Listed {
            content.extend(self.boundary.as_deref().map(boundary::element));
            if !self.tags.is_empty() {
                content.push(tags::element(&self.tags));
            }
        }
        content
    }
}

/// A document as IAM answers it.
pub(super) fn encode(document: &str) -> String {
    utf8_percent_encode(document, UNRESERVED).to_string()
}

/// `CreateRole`.
pub(super) fn create(context: &mut Context<'_>, params: &Params) -> Result<Vec<Element>, ApiError> {
    let name = role_name(params)?;
    let path = path(params)?;
    // botocore's IAM model, CreateRole: only AWS makes roles there.
    if path.starts_with("/aws-service-role/") {
        let message = "The path /aws-service-role/ is reserved for service-linked roles.";
        return Err(ApiError::client("InvalidInput", message));
    }
    let trust = document(params, "AssumeRolePolicyDocument")?;
    let session = number(
        params,
        "MaxSessionDuration",
        SESSION_SECONDS,
        SESSION_SECONDS_MAX,
    )?;
    let description = description(params)?;
    let tags = tags::read(params)?;
    check_trust(context.state, trust)?;
    if let Some(arn) = params.get("PermissionsBoundary") {
        boundary::check(context, arn)?;
    }
    check_room(context.iam(), name)?;

    let role = Role {
        description: description.map(str::to_owned),
        max_session_seconds: session.unwrap_or(SESSION_SECONDS),
        boundary: params.get("PermissionsBoundary").map(str::to_owned),
        tags,
        ..make(context, path, name, trust)
    };
    let answer = Element::new("Role").children(role.content(Answer::Made));
    context.iam().roles.insert(name.to_lowercase(), role);
    Ok(vec![answer])
}

/// A role that others do not see yet.
pub(super) fn make(context: &mut Context<'_>, path: &str, name: &str, trust: &str) -> Role {
    let account = context.account.clone();
    let arn = format!(
        "arn:{}:iam::{account}:role{path}{name}",
        context.partition()
    );
    let count = context.iam().made.entry(name.to_lowercase()).or_default();
    *count += 1;
    let key = format!("{arn}#{count}");
    let id = format!("AROA{}", context.seed.hex("role", &key, 17).to_uppercase());
    let at = Spreading::of(context).visible_at(&arn);
    Role {
        trust: EventuallyConsistent::new(trust.to_owned(), at),
        ..Role::of_old(&arn, id, trust, context.now)
    }
}

/// `GetRole`.
pub(super) fn get(context: &mut Context<'_>, params: &Params) -> Result<Vec<Element>, ApiError> {
    let role = context.iam().find(role_name(params)?)?;
    Ok(vec![
        Element::new("Role").children(role.content(Answer::Read)),
    ])
}

/// `ListRoles`.
pub(super) fn list(context: &mut Context<'_>, params: &Params) -> Result<Vec<Element>, ApiError> {
    let prefix = params.get("PathPrefix").unwrap_or("/");
    let roles = context.iam().roles.values();
    let (roles, end) = page(params, roles.filter(|role| role.path.starts_with(prefix)))?;
    let items = roles.into_iter().map(|role| role.content(Answer::Listed));
    let mut answer = vec![Element::list("Roles", "member", items)];
    answer.extend(end);
    Ok(answer)
}

/// `UpdateAssumeRolePolicy`.
pub(super) fn update_trust(
    context: &mut Context<'_>,
    params: &Params,
) -> Result<Vec<Element>, ApiError> {
    let name = role_name(params)?;
    let document = document(params, "PolicyDocument")?;
    context.iam().find_mut(name)?;
    check_trust(context.state, document)?;
    let spreading = Spreading::of(context);
    let role = context.iam().find_mut(name)?;
    let at = spreading.visible_at(&format!("{}/trust", role.arn));
    role.trust.set(document.to_owned(), spreading.now(), at);
    Ok(Vec::new())
}

/// `DeleteRole`: only of a role without policies (botocore's IAM model).
pub(super) fn delete(context: &mut Context<'_>, params: &Params) -> Result<Vec<Element>, ApiError> {
    let name = role_name(params)?;
    let role = context.iam().find_mut(name)?;
    let conflict = |message: &str| Err(ApiError::new(409, "DeleteConflict", message));
    if !role.managed.current().is_empty() {
        return conflict("Cannot delete entity, must detach all policies first.");
    }
    if !role.inline.current().is_empty() {
        return conflict("Cannot delete entity, must delete policies first.");
    }
    let name = role.name.clone();
    // The text is that of hashicorp/terraform issue 2761.
    if context
        .iam()
        .instance_profiles
        .values()
        .any(|it| *it == name)
    {
        return Err(ApiError::new(
            409,
            "DeleteConflict",
            "Cannot delete entity, must remove roles from instance profile first.",
        ));
    }
    context.iam().roles.remove(&name.to_lowercase());
    Ok(Vec::new())
}

fn path(params: &Params) -> Result<&str, ApiError> {
    let path = params.get("Path").unwrap_or("/");
    let is_path = path.starts_with('/') && path.ends_with('/') && path.len() <= PATH_MAX;
    if !is_path || !path.chars().all(|c| c.is_ascii_graphic()) {
        let constraint = r"Member must satisfy regular expression pattern: (\u002F)|(\u002F[\u0021-\u007E]+\u002F)";
        return Err(invalid("path", path, constraint));
    }
    Ok(path)
}

fn path_and_name(arn: &str) -> (String, String) {
    let resource = arn
        .split_once(":role")
        .map_or(arn, |(_, resource)| resource);
    let at = resource.rfind('/').map_or(0, |at| at + 1);
    (resource[..at].to_owned(), resource[at..].to_owned())
}

fn check_room(iam: &Iam, name: &str) -> Result<(), ApiError> {
    if iam.role(name).is_some() {
        let message = format!("Role with name {name} already exists.");
        return Err(ApiError::new(409, "EntityAlreadyExists", message));
    }
    if iam.roles.len() >= ROLES_MAX {
        let message = format!("Cannot exceed quota for RolesPerAccount: {ROLES_MAX}");
        return Err(limit_exceeded(message));
    }
    Ok(())
}

/// A trust policy's form, size and principals: a role that it names must exist (IAM user guide,
/// troubleshooting: invalid principal). Of accounts that are not simulated nothing is known.
fn check_trust(state: &State, document: &str) -> Result<(), ApiError> {
    let size = document.chars().filter(|c| !c.is_whitespace()).count();
    if size > TRUST_MAX {
        let message = format!("Cannot exceed quota for ACLSizePerRole: {TRUST_MAX}");
        return Err(limit_exceeded(message));
    }
    Document::parse(document)?.check_trust_policy(|arn| {
        let Some((account, _)) = arn
            .split_once("::")
            .and_then(|(_, rest)| rest.split_once(':'))
        else {
            return false;
        };
        let is_role = arn.contains(":role/");
        let account = state.accounts.get(account);
        !is_role || account.is_none_or(|account| account.iam.role_by_arn(arn).is_some())
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_iam::types::PermissionsBoundaryAttachmentType;

    use crate::iam::testing::{ACCOUNT, TRUST, World, code, tag};

    const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:DescribeVpcs","Resource":"*"}]}"#;

    #[tokio::test(start_paused = true)]
    async fn role_is_answered_as_it_was_made() {
        let world = World::new();
        let boundary = format!("arn:aws:iam::{ACCOUNT}:policy/boundary");
        world.change(|iam| iam.policies.insert(boundary.clone()));
        let made = world.iam.create_role().role_name("demo").path("/clusters/");
        let made = made
            .assume_role_policy_document(TRUST)
            .description("for a test");
        let made = made
            .permissions_boundary(&boundary)
            .tags(tag("team", "platform"));
        let made = made.send().await.unwrap().role.unwrap();
        assert_eq!(
            made.arn,
            format!("arn:aws:iam::{ACCOUNT}:role/clusters/demo")
        );
        assert!(made.role_id.starts_with("AROA"), "{}", made.role_id);
        assert_eq!(made.max_session_duration(), None);
        let got = world.get("demo").await;
        assert_eq!(got.max_session_duration(), Some(3600));
        assert!(got.role_last_used().is_some());
        assert_eq!((got.arn(), got.role_id()), (made.arn(), made.role_id()));
        assert_eq!(got.tags(), [tag("team", "platform")]);
        let shown = got.permissions_boundary().unwrap();
        assert_eq!(shown.permissions_boundary_arn(), Some(boundary.as_str()));
        let kind = PermissionsBoundaryAttachmentType::Policy;
        assert_eq!(shown.permissions_boundary_type(), Some(&kind));
        let document = got.assume_role_policy_document().unwrap();
        assert!(
            document.starts_with("%7B%22Version%22%3A%222012-10-17%22"),
            "{document}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn name_is_taken_whatever_its_case() {
        let world = World::new();
        world.role("demo").await;
        let again = world.iam.create_role().role_name("DEMO");
        let again = again.assume_role_policy_document(TRUST).send().await;
        assert_eq!(code(again), "EntityAlreadyExists");
    }

    #[tokio::test(start_paused = true)]
    async fn description_is_at_most_a_thousand_characters() {
        let world = World::new();
        let create = |length| {
            let call = world.iam.create_role().role_name("demo");
            let call = call.assume_role_policy_document(TRUST);
            call.description("x".repeat(length)).send()
        };
        assert_eq!(code(create(1001).await), "ValidationError");
        create(1000).await.unwrap();
        let call = world.iam.create_role().role_name("other");
        let call = call
            .assume_role_policy_document(TRUST)
            .description("\u{2013}");
        assert_eq!(code(call.send().await), "ValidationError");
    }

    #[tokio::test(start_paused = true)]
    async fn name_follows_the_rules() {
        let world = World::new();
        for name in ["a b".to_owned(), "x".repeat(65)] {
            let made = world.iam.create_role().role_name(name);
            let made = made.assume_role_policy_document(TRUST).send().await;
            assert_eq!(code(made), "ValidationError");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn role_with_policies_cannot_be_deleted() {
        let world = World::new();
        world.role("demo").await;
        world.attach("demo", "ReadOnlyAccess").await.unwrap();
        let delete = || world.iam.delete_role().role_name("demo").send();
        assert_eq!(code(delete().await), "DeleteConflict");
        let detach = world.iam.detach_role_policy().role_name("demo");
        let detach = detach.policy_arn("arn:aws:iam::aws:policy/ReadOnlyAccess");
        detach.send().await.unwrap();
        let put = world.iam.put_role_policy().role_name("demo");
        let put = put.policy_name("inline").policy_document(POLICY);
        put.send().await.unwrap();
        assert_eq!(code(delete().await), "DeleteConflict");
        let remove = world.iam.delete_role_policy().role_name("demo");
        remove.policy_name("inline").send().await.unwrap();
        delete().await.unwrap();
        assert_eq!(code(delete().await), "NoSuchEntity");
    }

    #[tokio::test(start_paused = true)]
    async fn role_that_is_made_again_has_another_id() {
        let world = World::new();
        let first = world.role("demo").await;
        world
            .iam
            .delete_role()
            .role_name("demo")
            .send()
            .await
            .unwrap();
        assert_ne!(world.role("demo").await.role_id, first.role_id);
    }

    #[tokio::test(start_paused = true)]
    async fn roles_are_listed_in_pages() {
        let world = World::new();
        for name in ["a", "b", "c"] {
            world.role(name).await;
        }
        let first = world.iam.list_roles().max_items(2).send().await.unwrap();
        assert!(first.is_truncated);
        let rest = world.iam.list_roles().marker(first.marker.unwrap()).send();
        let rest = rest.await.unwrap();
        assert_eq!(first.roles.len() + rest.roles.len(), 3);
        assert_eq!(rest.roles[0].role_name, "c");
        assert!(!rest.is_truncated);
    }

    #[tokio::test(start_paused = true)]
    async fn trust_is_replaced() {
        let world = World::new();
        world.role("demo").await;
        let document = TRUST.replace("eks.", "eks-fargate-pods.");
        let call = world.iam.update_assume_role_policy().role_name("demo");
        call.policy_document(document).send().await.unwrap();
        let got = world.get("demo").await.assume_role_policy_document.unwrap();
        assert!(got.contains("eks-fargate-pods.amazonaws.com"), "{got}");
    }

    #[tokio::test(start_paused = true)]
    async fn trust_in_a_missing_role_is_malformed() {
        let world = World::new();
        world.role("other").await;
        let make = |principal: &str| {
            let trust = TRUST.replace(
                r#"{"Service":"eks.amazonaws.com"}"#,
                &format!(r#"{{"AWS":"arn:aws:iam::{ACCOUNT}:role/{principal}"}}"#),
            );
            let made = world.iam.create_role().role_name("demo");
            made.assume_role_policy_document(trust).send()
        };
        assert_eq!(code(make("missing").await), "MalformedPolicyDocument");
        make("other").await.unwrap();
    }
}
