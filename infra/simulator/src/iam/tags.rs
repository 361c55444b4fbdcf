//! Tags of roles.

use std::collections::BTreeMap;

use super::page::page;
use super::request::{invalid, limit_exceeded, required, role_name};
use crate::api_error::ApiError;
use crate::params::Params;
use crate::state::Context;
use crate::xml::Element;

/// Tags by key. Keys are not distinguished by case (IAM user guide, rules for tagging).
pub type Tags = BTreeMap<String, String>;

/// botocore's IAM model, tagListType, tagKeyType and tagValueType.
const TAGS_MAX: usize = 50;
const KEY_MAX: usize = 128;
const VALUE_MAX: usize = 256;
const SYMBOLS: &str = "_.:/=+-@ ";

/// `TagRole`: adds tags, or gives them new values.
pub(super) fn tag(context: &mut Context<'_>, params: &Params) -> Result<Vec<Element>, ApiError> {
    let new = read(params)?;
    let role = context.iam().find_mut(role_name(params)?)?;
    let mut tags = role.tags.clone();
    for (key, value) in new {
        tags.retain(|old, _| !old.eq_ignore_ascii_case(&key));
        tags.insert(key, value);
    }
    check_count(&tags)?;
    role.tags = tags;
    Ok(Vec::new())
}

/// `UntagRole`.
pub(super) fn untag(context: &mut Context<'_>, params: &Params) -> Result<Vec<Element>, ApiError> {
    let role = context.iam().find_mut(role_name(params)?)?;
    let keys = params.list("TagKeys");
    if keys.len() > TAGS_MAX {
        let constraint = format!("Member must have length less than or equal to {TAGS_MAX}");
        return Err(invalid("tagKeys", &keys.join(", "), &constraint));
    }
    for key in keys {
        role.tags.retain(|old, _| !old.eq_ignore_ascii_case(key));
    }
    Ok(Vec::new())
}

/// `ListRoleTags`.
pub(super) fn list(context: &mut Context<'_>, params: &Params) -> Result<Vec<Element>, ApiError> {
    let role = context.iam().find(role_name(params)?)?;
    let (tags, end) = page(params, &role.tags)?;
    let mut answer = vec![element(tags)];
    answer.extend(end);
    Ok(answer)
}

/// The `Tags` of the request.
pub(super) fn read(params: &Params) -> Result<Tags, ApiError> {
    let given = params.structures("Tags");
    // The list of one call has botocore's limit, the tags of a role have a quota.
    if given.len() > TAGS_MAX {
        let constraint = format!("Member must have length less than or equal to {TAGS_MAX}");
        return Err(invalid(
            "tags",
            &format!("{} tags", given.len()),
            &constraint,
        ));
    }
    let mut tags = Tags::new();
    for tag in given {
        let key = required(&tag, "Key")?;
        let value = required(&tag, "Value")?;
        check("key", key, KEY_MAX)?;
        check("value", value, VALUE_MAX)?;
        if key.is_empty() || key.to_lowercase().starts_with("aws:") {
            let message = "System tags cannot be added/updated/deleted by requester.";
            return Err(ApiError::client("InvalidInput", message));
        }
        if tags.keys().any(|old| old.eq_ignore_ascii_case(key)) {
            let message =
                "Duplicate tag keys found. Please note that Tag keys are case insensitive.";
            return Err(ApiError::client("InvalidInput", message));
        }
        tags.insert(key.to_owned(), value.to_owned());
    }
    Ok(tags)
}

pub(super) fn element<'a>(tags: impl IntoIterator<Item = (&'a String, &'a String)>) -> Element {
    let items = tags
        .into_iter()
        .map(|(key, value)| vec![Element::text("Key", key), Element::text("Value", value)]);
    Element::list("Tags", "member", items)
}

fn check(member: &str, text: &str, max: usize) -> Result<(), ApiError> {
    let is_allowed = |c: char| c.is_alphanumeric() || SYMBOLS.contains(c);
    if text.chars().count() > max || !text.chars().all(is_allowed) {
        let constraint = format!("Member must have up to {max} letters, digits and {SYMBOLS}");
        return Err(invalid(
            &format!("tags.1.member.{member}"),
            text,
            &constraint,
        ));
    }
    Ok(())
}

fn check_count(tags: &Tags) -> Result<(), ApiError> {
    if tags.len() > TAGS_MAX {
        let message = format!("Cannot exceed quota for TagsPerRole: {TAGS_MAX}");
        return Err(limit_exceeded(message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::iam::testing::{World, code, tag};

    #[tokio::test(start_paused = true)]
    async fn tags_are_added_changed_listed_and_removed() {
        let world = World::new();
        world.role("demo").await;
        let call = world.iam.tag_role().role_name("demo");
        call.tags(tag("a", "1"))
            .tags(tag("b", "2"))
            .send()
            .await
            .unwrap();
        let call = world.iam.tag_role().role_name("demo").tags(tag("A", "3"));
        call.send().await.unwrap();
        let call = world.iam.untag_role().role_name("demo").tag_keys("b");
        call.send().await.unwrap();
        let call = world.iam.list_role_tags().role_name("demo").send();
        assert_eq!(call.await.unwrap().tags(), [tag("A", "3")]);
    }

    #[tokio::test(start_paused = true)]
    async fn keys_of_aws_are_refused() {
        let world = World::new();
        world.role("demo").await;
        let call = world
            .iam
            .tag_role()
            .role_name("demo")
            .tags(tag("aws:x", "1"));
        assert_eq!(code(call.send().await), "InvalidInput");
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_fifty_tags() {
        let world = World::new();
        world.role("demo").await;
        let add = |range: std::ops::Range<u32>| {
            let tags = range.map(|n| tag(&n.to_string(), "x")).collect();
            world
                .iam
                .tag_role()
                .role_name("demo")
                .set_tags(Some(tags))
                .send()
        };
        add(0..50).await.unwrap();
        assert_eq!(code(add(50..51).await), "LimitExceeded");
        assert_eq!(code(add(0..51).await), "ValidationError");
    }
}
