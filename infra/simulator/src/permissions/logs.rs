//! What CloudWatch Logs' operations need.

use serde_json::Value;

use super::{Needed, Resource, json_tags};
use crate::api_error::ApiError;
use crate::state::Context;

pub(super) fn needed(context: &Context<'_>, operation: &str, input: &Value) -> Option<Vec<Needed>> {
    let action = format!("logs:{operation}");
    let name = input["logGroupName"].as_str().unwrap_or_default();
    let needed = match operation {
        "CreateLogGroup" => {
            let tags = json_tags(input);
            let mut needed = vec![Needed::new(action, group(context, name)).keys(tags.clone())];
            if !tags.is_empty() {
                needed.push(
                    Needed::new("logs:TagResource", Resource::new(arn(context, name)))
                        .keys(tags)
                        .or_else(untagged(context)),
                );
            }
            needed
        }
        "DeleteLogGroup" => {
            let arn = arn(context, name);
            vec![Needed::new(
                action,
                group(context, name).tagged(tags_of(context, &arn)),
            )]
        }
        "DescribeLogGroups" => vec![Needed::new(action, group(context, ""))],
        // botocore's CloudWatch Logs model, resourceArn: without `:*`.
        "ListTagsForResource" => {
            let arn = input["resourceArn"].as_str().unwrap_or_default();
            let tags = tags_of(context, arn);
            vec![Needed::new(action, Resource::new(arn).tagged(tags))]
        }
        _ => return None,
    };
    Some(needed)
}

fn tags_of<'a>(
    context: &'a Context<'_>,
    arn: &str,
) -> impl Iterator<Item = (&'a String, &'a String)> {
    let groups = context.state.accounts.get(&context.account);
    let groups = groups.and_then(|it| it.regions.get(&context.region));
    let group = groups.and_then(|it| it.logs.groups.values().find(|it| it.arn == arn));
    group.into_iter().flat_map(|group| &group.tags)
}

fn arn(context: &Context<'_>, name: &str) -> String {
    let (partition, region, account) = (context.partition(), &context.region, &context.account);
    format!("arn:{partition}:logs:{region}:{account}:log-group:{name}")
}

/// A log group as public logs show it where it is refused: usually with an empty stream, at times
/// without. Policies name it either way.
fn group(context: &Context<'_>, name: &str) -> Resource {
    let arn = arn(context, name);
    Resource::new(format!("{arn}:log-stream:")).also(arn)
}

/// awslabs/aws-well-architected-labs issue 745.
fn untagged(context: &Context<'_>) -> ApiError {
    let message = format!(
        "User with accountId: {} is not authorized to perform CreateLogGroup with Tags",
        context.account
    );
    ApiError::client("AccessDeniedException", message)
}
