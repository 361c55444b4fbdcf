//! Who may do what: the permissions that a call needs, and whether the caller has them.
//!
//! Checked are the calls of sessions. A session may do what its role's policies allow, within the role's
//! permissions boundary and within the policy that was passed when the role was assumed; what one of
//! them denies it may not (IAM user guide, policy evaluation logic). All other callers may do everything.
//!
//! Which actions and resources AWS looks at for an operation: service authorization reference. One file
//! for each service. Of a role's managed policies those count whose documents are known: those of
//! [`crate::iam::Iam::documents`], `AdministratorAccess` and `PowerUserAccess`; the others allow nothing
//! here. A boundary whose document is not known limits nothing.

mod ec2;
mod eks;
mod iam;
mod kms;
mod logs;
mod quotas;
mod ssm;
mod sts;

use serde_json::Value;

use crate::activation::Quarantine;
use crate::api_error::ApiError;
use crate::iam::policy::{Attempt, Effect, effect};
use crate::iam::trust::Document;
use crate::iam::{Iam, Role};
use crate::params::Params;
use crate::state::Context;
use crate::sts::Session;
use crate::sts::{Identity, identity};
use crate::wire::rest_json::Query;

/// A call's content, as its protocol has it.
pub(crate) enum Asked<'a> {
    /// Of the Query protocols.
    Params(&'a Params),
    /// Of the REST-JSON protocol: the decoded segments of the path, the query and the body.
    Rest(&'a [&'a str], &'a Query, &'a Value),
    /// Of the JSON protocol.
    Input(&'a Value),
}

/// Condition keys in lower case and their values.
type Keys = Vec<(String, String)>;

/// A permission that a call needs.
#[derive(Debug, Clone, PartialEq)]
struct Needed {
    /// For example `ec2:CreateVpc`.
    action: String,
    /// All of them must be allowed.
    resources: Vec<Resource>,
    /// What is known of the request.
    keys: Keys,
    /// The answer if it is missing, where that is not the usual one.
    instead: Option<ApiError>,
}

/// What an action is about.
#[derive(Debug, Clone, PartialEq)]
struct Resource {
    /// The ARNs under which AWS may know it; `*` where an action knows none.
    arns: Vec<String>,
    /// How it is called where it is refused.
    shown: Option<String>,
    /// What is known of the resource.
    keys: Keys,
}

impl Needed {
    fn new(action: impl Into<String>, resource: Resource) -> Self {
        Self {
            action: action.into(),
            resources: vec![resource],
            keys: Keys::new(),
            instead: None,
        }
    }

    fn key(mut self, key: &str, value: impl Into<String>) -> Self {
        self.keys.push((key.to_owned(), value.into()));
        self
    }

    fn keys(mut self, keys: Keys) -> Self {
        self.keys.extend(keys);
        self
    }

    fn or_else(mut self, error: ApiError) -> Self {
        self.instead = Some(error);
        self
    }
}

impl Resource {
    /// Of an action that knows no resources.
    fn any() -> Self {
        Self {
            arns: vec!["*".to_owned()],
            shown: None,
            keys: Keys::new(),
        }
    }

    fn new(arn: impl Into<String>) -> Self {
        let arn = arn.into();
        Self {
            shown: Some(arn.clone()),
            arns: vec![arn],
            keys: Keys::new(),
        }
    }

    /// Known under another ARN, too.
    fn also(mut self, arn: impl Into<String>) -> Self {
        self.arns.push(arn.into());
        self
    }

    fn shown_as(mut self, shown: impl Into<String>) -> Self {
        self.shown = Some(shown.into());
        self
    }

    /// With its tags (IAM user guide, controlling access to AWS resources using tags).
    fn tagged<'a>(mut self, tags: impl IntoIterator<Item = (&'a String, &'a String)>) -> Self {
        let tags = tags.into_iter();
        let tags = tags.map(|(key, value)| tag("aws:resourcetag", key, value));
        self.keys.extend(tags);
        self
    }
}

/// IAM user guide, controlling access during AWS requests: the tags that a request gives.
fn request_tags<'a>(tags: impl IntoIterator<Item = (&'a str, &'a str)>) -> Keys {
    let mut keys = Keys::new();
    for (key, value) in tags {
        keys.push(tag("aws:requesttag", key, value));
        keys.push(("aws:tagkeys".to_owned(), key.to_owned()));
    }
    keys
}

fn tag(prefix: &str, key: &str, value: &str) -> (String, String) {
    (format!("{prefix}/{}", key.to_lowercase()), value.to_owned())
}

/// The tags of a JSON protocol's request.
fn json_tags(body: &Value) -> Keys {
    let tags = body["tags"].as_object().into_iter().flatten();
    request_tags(tags.map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default())))
}

/// What an operation needs; `None` if nothing is known of it.
fn needed(
    context: &mut Context<'_>,
    service: &str,
    operation: &str,
    asked: &Asked<'_>,
) -> Option<Vec<Needed>> {
    match (service, asked) {
        ("ec2", Asked::Params(params)) => ec2::needed(context, operation, params),
        ("iam", Asked::Params(params)) => iam::needed(context, operation, params),
        ("sts", Asked::Params(params)) => sts::needed(operation, params),
        ("eks", Asked::Rest(path, query, body)) => {
            eks::needed(context, operation, path, query, body)
        }
        ("kms", Asked::Input(input)) => kms::needed(context, operation, input),
        ("logs", Asked::Input(input)) => logs::needed(context, operation, input),
        ("servicequotas", Asked::Input(_)) => quotas::needed(operation),
        ("ssm", Asked::Input(input)) => ssm::needed(context, operation, input),
        _ => None,
    }
}

/// The service control policy that lies on the caller's account, if there is one.
fn quarantine<'a>(context: &'a Context<'_>) -> Option<&'a Quarantine> {
    let account = context.state.accounts.get(&context.account)?;
    account.activation.quarantine.as_ref()
}

/// Refuses what a service control policy forbids all principals of the caller's account.
fn check_organization(
    context: &Context<'_>,
    service: &str,
    who: &Identity,
    all: &[Needed],
) -> Result<(), ApiError> {
    let Some(quarantine) = quarantine(context) else {
        return Ok(());
    };
    for needed in all {
        let why = quarantine.denial(context.now, &who.principal_arn, &needed.action);
        if let (Some(why), Some(resource)) = (why, needed.resources.first()) {
            return Err(access_denied(
                service,
                &who.arn,
                &needed.action,
                resource,
                &why,
            ));
        }
    }
    Ok(())
}

/// Refuses what the organization forbids, and a session's call that its policies do not allow.
pub(crate) fn check(
    context: &mut Context<'_>,
    service: &str,
    operation: &str,
    asked: &Asked<'_>,
) -> Result<(), ApiError> {
    let session = context.session().cloned();
    if session.is_none() && quarantine(context).is_none() {
        return Ok(());
    }
    // What there is no such operation for is refused as that.
    let all = needed(context, service, operation, asked).unwrap_or_default();
    let who = identity(context);
    check_organization(context, service, &who, &all)?;
    let Some(session) = session else {
        return Ok(());
    };
    let policies = Policies::of(context, &session);
    let common = common_keys(context, service, &who);
    for needed in all {
        for resource in &needed.resources {
            let owner = owner_keys(context, resource);
            let keys = [&common[..], &owner, &needed.keys, &resource.keys].concat();
            let attempt = Attempt {
                action: &needed.action,
                resource: &resource.arns,
                context: &keys,
            };
            let Some(why) = policies.denial(&attempt) else {
                continue;
            };
            let usual = || access_denied(service, &who.arn, &needed.action, resource, &why);
            return Err(needed.instead.clone().unwrap_or_else(usual));
        }
    }
    Ok(())
}

/// IAM user guide, AWS global condition context keys. IAM is served from one region.
fn common_keys(context: &Context<'_>, service: &str, who: &Identity) -> Keys {
    let region = match (service, context.partition()) {
        ("iam", "aws") => "us-east-1",
        _ => &context.region,
    };
    [
        ("aws:requestedregion", region),
        ("aws:principalarn", &who.principal_arn),
        ("aws:principalaccount", &context.account),
        ("aws:userid", &who.user_id),
    ]
    .into_iter()
    .chain(organization_key(
        context,
        "aws:principalorgid",
        &context.account,
    ))
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect()
}

/// IAM user guide, AWS global condition context keys: whose the resource is. An account in no organization
/// has no such key.
fn owner_keys(context: &Context<'_>, resource: &Resource) -> Keys {
    let of_arn = resource.arns.first().and_then(|arn| arn.split(':').nth(4));
    let owner = of_arn.filter(|account| account.len() == 12);
    let owner = owner.unwrap_or(&context.account);
    let organization = organization_key(context, "aws:resourceorgid", owner);
    [("aws:resourceaccount", owner)]
        .into_iter()
        .chain(organization)
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn organization_key<'a>(
    context: &'a Context<'_>,
    key: &'a str,
    account: &str,
) -> Option<(&'a str, &'a str)> {
    Some((key, context.state.organization_of(account)?))
}

/// The policies that a session is subject to.
struct Policies {
    identity: Vec<Document>,
    boundary: Option<Document>,
    session: Option<Document>,
}

impl Policies {
    fn of(context: &Context<'_>, session: &Session) -> Self {
        let account = context.state.accounts.get(&session.account);
        let iam = account.map(|account| &account.iam);
        // A role that was made again is another one, and its sessions are of the old one.
        let role = iam.and_then(|iam| iam.role_by_arn(&session.role_arn));
        let role = role.filter(|role| role.id == session.role_id);
        let (Some(iam), Some(role)) = (iam, role) else {
            return Self {
                identity: Vec::new(),
                boundary: None,
                session: None,
            };
        };
        Self {
            identity: identity_policies(context, iam, role),
            boundary: (role.boundary.as_deref())
                .and_then(|arn| iam.policy_document(arn))
                .and_then(parse),
            session: session.policy.as_deref().and_then(parse),
        }
    }

    /// Why the attempt is refused, in the words of IAM's user guide (troubleshoot access denied error
    /// messages): with a denial before all, else for the first kind of policy that does not allow it.
    fn denial(&self, attempt: &Attempt<'_>) -> Option<String> {
        let kinds = [
            (
                "identity-based policy",
                Some(effect(&self.identity, attempt)),
            ),
            (
                "permissions boundary",
                self.boundary.as_ref().map(|it| it.effect(attempt)),
            ),
            (
                "session policy",
                self.session.as_ref().map(|it| it.effect(attempt)),
            ),
        ];
        let first = |wanted| kinds.iter().find(|(_, effect)| *effect == Some(wanted));
        if let Some((kind, _)) = first(Effect::Denied) {
            let article = if kind.starts_with('i') { "an" } else { "a" };
            return Some(format!("with an explicit deny in {article} {kind}"));
        }
        let (kind, _) = first(Effect::Silent)?;
        Some(format!(
            "because no {kind} allows the {} action",
            attempt.action
        ))
    }
}

/// The role's policies as services see them now.
fn identity_policies(context: &Context<'_>, iam: &Iam, role: &Role) -> Vec<Document> {
    let inline = role.inline.seen_at(context.now).into_iter().flatten();
    let managed = role.managed.seen_at(context.now).into_iter().flatten();
    let managed = managed.filter_map(|arn| iam.policy_document(arn));
    let texts = inline.map(|(_, document)| document.as_str()).chain(managed);
    texts.filter_map(parse).collect()
}

/// What is no policy says nothing.
fn parse(text: &str) -> Option<Document> {
    Document::parse(text).ok()
}

/// EC2's error codes, the common errors of EKS, CloudWatch Logs, Service Quotas and SSM, IAM's and STS' common errors. EC2 names no
/// resource where there is none.
fn access_denied(
    service: &str,
    who: &str,
    action: &str,
    resource: &Resource,
    why: &str,
) -> ApiError {
    let on = match &resource.shown {
        Some(shown) => format!(" on resource: {shown}"),
        None => String::new(),
    };
    let message = format!("User: {who} is not authorized to perform: {action}{on} {why}");
    match service {
        "ec2" => ApiError::new(
            403,
            "UnauthorizedOperation",
            format!("You are not authorized to perform this operation. {message}"),
        ),
        "eks" => ApiError::new(403, "AccessDeniedException", message),
        "kms" | "logs" | "servicequotas" | "ssm" => {
            ApiError::client("AccessDeniedException", message)
        }
        _ => ApiError::new(403, "AccessDenied", message),
    }
}

#[cfg(test)]
mod tests;
