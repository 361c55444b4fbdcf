//! Entries that hold for a role that is gone.
//!
//! Nothing shows it but the times of creation ([`crate::resources::access_entry`]): the entry is listed, its policy
//! is associated, and the API server answers 401. So an entry that is older than its role is deleted and
//! made again, of administrators if it carries our tag.
//!
//! The entry of the pod execution role is EKS's, made with the first Fargate profile, and has no tag of
//! ours. It is made again all the same: the role is ours, so is the cluster, and an entry for an id that
//! is no longer there serves nobody. If it is deleted and cannot be made yet, because EKS does not see the
//! new role, the next invocation finds profiles without it.

use aws_sdk_eks::types::AccessEntry;

use crate::aws::{Aws, change};
use crate::contract::error::required;
use crate::contract::{During, Error};
use crate::model::{Plan, Target, tags};
use crate::resources::access_entry::{self, FARGATE_LINUX, OfPods};
use crate::resources::eks;

/// Makes the entry of the plan's administrator number `index` again. Its policy is associated after it,
/// as with any new entry.
pub async fn of_admin(aws: &Aws, plan: &Plan, index: usize, admin: &str) -> Result<(), Error> {
    crate::steps::cluster_access::delete(aws, &plan.target, admin).await?;
    crate::steps::cluster_access::create(aws, plan, index, admin).await?;
    require_new(aws, &plan.target, admin).await
}

/// What the entry of the pod execution role is for the cluster.
const OF_PODS: &str = "pod-execution-access-entry";

/// Tags an entry of EKS's as ours: the function may delete no other.
async fn adopt(aws: &Aws, plan: &Plan, entry: &AccessEntry) -> Result<(), Error> {
    if tags::map_is_ours(entry.tags(), &plan.target) {
        return Ok(());
    }
    let arn = entry.access_entry_arn();
    let arn = required(arn, "eks:DescribeAccessEntry: accessEntryArn")?;
    let call = aws.eks().tag_resource().resource_arn(arn);
    let call = call.set_tags(Some(tags::map(plan, OF_PODS)));
    change("eks:TagResource", arn, call.send())
        .await
        .during("eks:TagResource")?;
    Ok(())
}

/// Makes the entry of the pod execution role, after the one that holds for an earlier role.
pub async fn of_pods(aws: &Aws, plan: &Plan, pods: &OfPods<'_>) -> Result<(), Error> {
    let target = &plan.target;
    let arn = access_entry::pod_execution_role_arn(target);
    if let OfPods::Replace(entry) = pods {
        adopt(aws, plan, entry).await?;
        crate::steps::cluster_access::delete(aws, target, &arn).await?;
    }
    create_of_pods(aws, plan, &arn).await
}

async fn create_of_pods(aws: &Aws, plan: &Plan, arn: &str) -> Result<(), Error> {
    let target = &plan.target;
    let call = aws
        .eks()
        .create_access_entry()
        .cluster_name(&target.cluster_name)
        .principal_arn(arn)
        .r#type(FARGATE_LINUX)
        .set_tags(Some(tags::map(plan, OF_PODS)));
    match change("eks:CreateAccessEntry", arn, call.send()).await {
        Err(error) if eks::is_in_use(&error) => return Err(still_there(arn)),
        answer => answer.during("eks:CreateAccessEntry")?,
    };
    Ok(())
}

/// The deletion may not be seen everywhere when the entry is made again: then the old one answers.
async fn require_new(aws: &Aws, target: &Target, principal: &str) -> Result<(), Error> {
    if access_entry::is_outlived(aws, target, principal).await? {
        return Err(still_there(principal));
    }
    Ok(())
}

fn still_there(principal: &str) -> Error {
    Error::NotYetVisible(format!(
        "the access entry of {principal} is deleted, to be made again, but still there"
    ))
}
