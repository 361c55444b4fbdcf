//! Tags of clusters and of what is in them. Tagging goes on while a cluster updates.

use serde::Deserialize;
use serde_json::{Value, json};

use super::request::{Request, Tags, check_tags};
use super::{Eks, parts};
use crate::api_error::ApiError;
use crate::state::Context;

#[derive(Debug, Deserialize)]
struct TagResource {
    tags: Tags,
}

/// botocore's EKS model, TagKeyList.
const TAG_KEYS_MAX: usize = 50;

/// `TagResource`.
pub(super) fn tag(context: &mut Context<'_>, request: &Request<'_>) -> Result<Value, ApiError> {
    let asked: TagResource = request.read()?;
    let (eks, _) = parts(context);
    let tags = tags_of(eks, &arn(request))?;
    let mut new = tags.clone();
    new.extend(asked.tags);
    check_tags(&new).map_err(|error| bad_request(&error.message))?;
    *tags = new;
    Ok(json!({}))
}

/// `UntagResource`.
pub(super) fn untag(context: &mut Context<'_>, request: &Request<'_>) -> Result<Value, ApiError> {
    let keys = request.query_list("tagKeys");
    if keys.is_empty() {
        return Err(bad_request("tagKeys must have at least one key"));
    }
    if keys.len() > TAG_KEYS_MAX {
        return Err(bad_request("tagKeys must have at most 50 keys"));
    }
    let (eks, _) = parts(context);
    let tags = tags_of(eks, &arn(request))?;
    tags.retain(|key, _| !keys.contains(&key.as_str()));
    Ok(json!({}))
}

/// `ListTagsForResource`.
pub(super) fn list(context: &mut Context<'_>, request: &Request<'_>) -> Result<Value, ApiError> {
    let (eks, _) = parts(context);
    Ok(json!({"tags": tags_of(eks, &arn(request))?}))
}

/// The ARN in the path, whether its slashes were escaped or not.
fn arn(request: &Request<'_>) -> String {
    request.path.get(1..).unwrap_or_default().join("/")
}

/// The tags of the resource with the ARN (botocore's EKS model, TagResource: BadRequestException and
/// NotFoundException, unlike elsewhere).
fn tags_of<'a>(eks: &'a mut Eks, arn: &str) -> Result<&'a mut Tags, ApiError> {
    let resource = arn
        .splitn(6, ':')
        .nth(5)
        .filter(|_| arn.starts_with("arn:"));
    let Some(resource) = resource else {
        return Err(bad_request(&format!("Invalid resource ARN: {arn}")));
    };
    let missing = || {
        ApiError::new(
            404,
            "NotFoundException",
            format!("No resource found: {arn}"),
        )
    };
    let mut parts = resource.split('/');
    let (kind, name) = (parts.next(), parts.next().unwrap_or_default());
    let cluster = eks.clusters.get_mut(name).ok_or_else(missing)?;
    let child = parts.next().unwrap_or_default();
    let found = match kind {
        Some("cluster") => Some((&cluster.arn, &mut cluster.tags)),
        Some("fargateprofile") => {
            let profile = cluster.fargate_profiles.get_mut(child);
            profile.map(|profile| (&profile.arn, &mut profile.tags))
        }
        Some("addon") => {
            let addon = cluster.addons.get_mut(child);
            addon.map(|addon| (&addon.arn, &mut addon.tags))
        }
        Some("access-entry") => {
            let mut entries = cluster.access_entries.values_mut();
            let entry = entries.find(|entry| entry.arn == arn);
            entry.map(|entry| (&entry.arn, &mut entry.tags))
        }
        _ => None,
    };
    let found = found.filter(|(actual, _)| *actual == arn);
    found.map(|(_, tags)| tags).ok_or_else(missing)
}

fn bad_request(message: &str) -> ApiError {
    ApiError::client("BadRequestException", message)
}

#[cfg(test)]
mod tests {
    use crate::eks::testing::{World, code};

    #[tokio::test(start_paused = true)]
    async fn everything_that_has_an_arn_can_be_tagged() {
        let world = World::new().await;
        world.cluster_active().await;
        world.profile("kube-system").await;
        let clusters = world.clusters();
        let cluster = &clusters["demo"];
        let entry = cluster.access_entries.values().next().unwrap();
        let profile = &cluster.fargate_profiles["kube-system"];
        for arn in [&cluster.arn, &entry.arn, &profile.arn] {
            let call = world.eks.tag_resource().resource_arn(arn);
            call.tags("a", "1").tags("b", "2").send().await.unwrap();
            let call = world.eks.untag_resource().resource_arn(arn).tag_keys("a");
            call.send().await.unwrap();
            let tags = world.eks.list_tags_for_resource().resource_arn(arn).send();
            let tags = tags.await.unwrap().tags.unwrap();
            assert_eq!(
                tags.into_iter().collect::<Vec<_>>(),
                [("b".into(), "2".into())]
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn missing_resources_have_no_tags() {
        let world = World::new().await;
        world.cluster_active().await;
        let list = |arn: &str| world.eks.list_tags_for_resource().resource_arn(arn).send();
        let missing = "arn:aws:eks:ap-northeast-1:111122223333:cluster/x";
        assert_eq!(code(&list(missing).await), "NotFoundException");
        assert_eq!(code(&list("demo").await), "BadRequestException");
    }
}
