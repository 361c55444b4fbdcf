//! Inline policies of roles.

use std::collections::BTreeMap;

use super::eventual_consistency::Spreading;
use super::page::page;
use super::request::{POLICY_NAME_MAX, document, limit_exceeded, name, no_such_entity, role_name};
use super::role::encode;
use super::trust::Document;
use crate::api_error::ApiError;
use crate::params::Params;
use crate::state::Context;
use crate::xml::Element;

/// IAM user guide, IAM quotas: characters of all inline policies of a role together.
const INLINE_MAX: usize = 10_240;

/// `PutRolePolicy`: new or instead of the one with that name.
pub(super) fn put(context: &mut Context<'_>, params: &Params) -> Result<Vec<Element>, ApiError> {
    let policy = name(params, "PolicyName", POLICY_NAME_MAX)?;
    let document = document(params, "PolicyDocument")?;
    let spreading = Spreading::of(context);
    let role = context.iam().find_mut(role_name(params)?)?;
    Document::parse(document)?.check_identity_policy()?;
    let mut inline = role.inline.current().clone();
    inline.insert(policy.to_owned(), document.to_owned());
    check_size(&inline, &role.name)?;
    let at = spreading.visible_at(&format!("{}/inline/{policy}", role.arn));
    role.inline.set(inline, spreading.now(), at);
    Ok(Vec::new())
}

/// `GetRolePolicy`.
pub(super) fn get(context: &mut Context<'_>, params: &Params) -> Result<Vec<Element>, ApiError> {
    let policy = name(params, "PolicyName", POLICY_NAME_MAX)?;
    let role = context.iam().find(role_name(params)?)?;
    let document = role.inline.current().get(policy);
    let document = document.ok_or_else(|| no_such_policy(policy))?;
    Ok(vec![
        Element::text("RoleName", &role.name),
        Element::text("PolicyName", policy),
        Element::text("PolicyDocument", encode(document)),
    ])
}

/// `ListRolePolicies`.
pub(super) fn list(context: &mut Context<'_>, params: &Params) -> Result<Vec<Element>, ApiError> {
    let role = context.iam().find(role_name(params)?)?;
    let (names, end) = page(params, role.inline.current().keys())?;
    let names = names.into_iter().map(|name| Element::text("member", name));
    let mut answer = vec![Element::new("PolicyNames").children(names)];
    answer.extend(end);
    Ok(answer)
}

/// `DeleteRolePolicy`.
pub(super) fn delete(context: &mut Context<'_>, params: &Params) -> Result<Vec<Element>, ApiError> {
    let policy = name(params, "PolicyName", POLICY_NAME_MAX)?;
    let spreading = Spreading::of(context);
    let role = context.iam().find_mut(role_name(params)?)?;
    let mut inline = role.inline.current().clone();
    if inline.remove(policy).is_none() {
        return Err(no_such_policy(policy));
    }
    let at = spreading.visible_at(&format!("{}/inline/{policy}", role.arn));
    role.inline.set(inline, spreading.now(), at);
    Ok(Vec::new())
}

/// White space does not count.
fn check_size(inline: &BTreeMap<String, String>, role: &str) -> Result<(), ApiError> {
    let chars = inline.values().flat_map(|document| document.chars());
    if chars.filter(|c| !c.is_whitespace()).count() <= INLINE_MAX {
        return Ok(());
    }
    let message = format!("Maximum policy size of {INLINE_MAX} bytes exceeded for role {role}");
    Err(limit_exceeded(message))
}

fn no_such_policy(policy: &str) -> ApiError {
    no_such_entity(format!(
        "The role policy with name {policy} cannot be found."
    ))
}

#[cfg(test)]
mod tests {
    use crate::iam::testing::{World, code};

    const DOCUMENT: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:DescribeVpcs","Resource":"*"}]}"#;

    #[tokio::test(start_paused = true)]
    async fn policy_is_put_read_listed_and_deleted() {
        let world = World::new();
        world.role("demo").await;
        let put = world
            .iam
            .put_role_policy()
            .role_name("demo")
            .policy_name("p");
        put.policy_document(DOCUMENT).send().await.unwrap();
        let get = || {
            world
                .iam
                .get_role_policy()
                .role_name("demo")
                .policy_name("p")
                .send()
        };
        let document = get().await.unwrap().policy_document;
        assert!(document.starts_with("%7B%22Version%22"), "{document}");
        let list = world.iam.list_role_policies().role_name("demo").send();
        assert_eq!(list.await.unwrap().policy_names(), ["p"]);
        let delete = world
            .iam
            .delete_role_policy()
            .role_name("demo")
            .policy_name("p");
        delete.send().await.unwrap();
        assert_eq!(code(get().await), "NoSuchEntity");
    }

    #[tokio::test(start_paused = true)]
    async fn policies_of_a_role_have_a_size_together() {
        let world = World::new();
        world.role("demo").await;
        let put = |name: &str, length: usize| {
            let document = DOCUMENT.replace("DescribeVpcs", &"x".repeat(length));
            let call = world.iam.put_role_policy().role_name("demo");
            call.policy_name(name).policy_document(document).send()
        };
        put("a", 6000).await.unwrap();
        assert_eq!(code(put("b", 5000).await), "LimitExceeded");
        put("a", 5000).await.unwrap();
        put("b", 5000).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn policy_without_actions_is_malformed() {
        let world = World::new();
        world.role("demo").await;
        let put = world
            .iam
            .put_role_policy()
            .role_name("demo")
            .policy_name("p");
        let put = put.policy_document(r#"{"Statement":[{"Effect":"Allow","Resource":"*"}]}"#);
        assert_eq!(code(put.send().await), "MalformedPolicyDocument");
    }
}
