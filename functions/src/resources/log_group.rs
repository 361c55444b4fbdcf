//! The log group that a control plane writes to. Its name is EKS's; its tags say whether it is ours.
//!
//! EKS makes the group when it has the first line to write, without our tags, and makes it again when
//! somebody deletes it too early. Made before the cluster, it is ours from the start.

use aws_sdk_cloudwatchlogs::error::ProvideErrorMetadata;

use crate::aws::{Aws, codes, list};
use crate::contract::{During, Error};
use crate::model::{Plan, Target, tags};
use crate::resources::resource_change::{Change, ResourceChange};

/// CloudFormation's type name.
pub const KIND: &str = "AWS::Logs::LogGroup";

/// Whose the group is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// There is no such group.
    Nobody,
    /// It has our tag.
    Us,
    /// It is without our tag: EKS made it, or somebody else.
    Another,
}

/// The group's name (EKS user guide, control plane logs).
#[must_use]
pub fn name(target: &Target) -> String {
    format!("/aws/eks/{}/cluster", target.cluster_name)
}

/// Whether the group refuses to be deleted.
///
/// # Errors
/// What CloudWatch Logs answers.
pub async fn is_protected(aws: &Aws, target: &Target) -> Result<bool, Error> {
    let name = name(target);
    let call = aws
        .logs()
        .describe_log_groups()
        .log_group_name_prefix(&name);
    let groups = list!(call).await.during("logs:DescribeLogGroups")?;
    let mut own = groups
        .iter()
        .filter(|it| it.log_group_name() == Some(&name));
    Ok(own.any(|it| it.deletion_protection_enabled() == Some(true)))
}

/// Looks whose the group is, if the plan wants any logs.
///
/// # Errors
/// What CloudWatch Logs answers.
pub async fn observe(aws: &Aws, plan: &Plan) -> Result<Option<Owner>, Error> {
    match plan.logging.as_slice() {
        [] => Ok(None),
        _ => find_owner(aws, &plan.target).await.map(Some),
    }
}

/// Says what is to be done, if the plan wants any logs. A group that is there is used, whosever it is, and nothing of
/// it is put right.
#[must_use]
pub fn compare(target: &Target, seen: Option<Owner>) -> Option<ResourceChange> {
    let change = match seen? {
        Owner::Nobody => Change::Create,
        Owner::Us => Change::Keep,
        Owner::Another => Change::Adopt,
    };
    Some(ResourceChange::new(KIND, name(target), change))
}

/// Looks whose the group is.
///
/// # Errors
/// What CloudWatch Logs answers.
pub async fn find_owner(aws: &Aws, target: &Target) -> Result<Owner, Error> {
    let arn = format!(
        "arn:{}:logs:{}:{}:log-group:{}",
        target.partition,
        target.region,
        target.account.id,
        name(target)
    );
    let call = aws.logs().list_tags_for_resource().resource_arn(arn);
    match call.send().await {
        Err(error) if error.code() == Some(codes::RESOURCE_NOT_FOUND) => Ok(Owner::Nobody),
        answer => {
            let answer = answer.during("logs:ListTagsForResource")?;
            let is_ours = tags::map_is_ours(answer.tags(), target);
            Ok(if is_ours { Owner::Us } else { Owner::Another })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_that_is_there_is_used_and_none_is_made_without_logs() {
        let target = Plan::example().target;
        for (seen, change) in [
            (Owner::Nobody, Change::Create),
            (Owner::Us, Change::Keep),
            (Owner::Another, Change::Adopt),
        ] {
            let compared = compare(&target, Some(seen)).unwrap();
            assert_eq!(compared.change, change);
        }
        assert_eq!(compare(&target, None), None);
    }
}
