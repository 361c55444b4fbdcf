//! Tags of log groups.

use serde::Deserialize;
use serde_json::{Value, json};

use super::check::{invalid_parameter, read};
use crate::api_error::ApiError;
use crate::state::Context;

/// botocore's CloudWatch Logs model, ListTagsForResourceRequest.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListTags {
    #[serde(default)]
    resource_arn: String,
}

/// `ListTagsForResource`. A log group's ARN is the one without `:*` at its end (botocore's CloudWatch
/// Logs model, resourceArn).
pub(super) fn list(context: &mut Context<'_>, input: &Value) -> Result<Value, ApiError> {
    let asked: ListTags = read(input)?;
    let arn = &asked.resource_arn;
    if !arn.starts_with("arn:") || arn.ends_with(":*") {
        return Err(invalid_parameter(format!("Invalid resourceArn: {arn}")));
    }
    let mut groups = context.logs().groups.values();
    let group = groups.find(|group| group.arn == *arn).ok_or_else(|| {
        let message = "The specified resource does not exist.";
        ApiError::client("ResourceNotFoundException", message)
    })?;
    Ok(json!({ "tags": group.tags }))
}

#[cfg(test)]
mod tests {
    use crate::logs::testing::{World, code};

    const ARN: &str = "arn:aws:logs:ap-northeast-1:111122223333:log-group:a";

    #[tokio::test(start_paused = true)]
    async fn tags_are_those_of_the_creation() {
        let world = World::new();
        let call = world.logs.create_log_group().log_group_name("a");
        call.tags("team", "platform").send().await.unwrap();
        let call = world.logs.list_tags_for_resource().resource_arn(ARN);
        let tags = call.send().await.unwrap().tags.unwrap();
        assert_eq!(tags["team"], "platform");
    }

    #[tokio::test(start_paused = true)]
    async fn a_missing_group_and_an_arn_of_another_shape_are_told_apart() {
        let world = World::new();
        let list = |arn: String| world.logs.list_tags_for_resource().resource_arn(arn).send();
        assert_eq!(
            code(list(ARN.to_owned()).await),
            "ResourceNotFoundException"
        );
        world.group("a").await;
        assert!(list(ARN.to_owned()).await.is_ok());
        for arn in [format!("{ARN}:*"), "a".to_owned()] {
            assert_eq!(code(list(arn).await), "InvalidParameterException");
        }
    }
}
