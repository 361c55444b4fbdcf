//! The control plane, what it stands on and who may use it: what there is of it, beside the plan.

use aws_sdk_eks::types::Cluster;

use super::ResourceChange;
use crate::aws::Aws;
use crate::contract::Error;
use crate::model::Plan;
use crate::model::names::RoleOf;
use crate::resources::access_entry::PodRole;
use crate::resources::cluster::{self, Wanted};
use crate::resources::service_linked_role::{EKS, FARGATE};
use crate::resources::{access_entry, log_group, role, service_linked_role};

pub(super) use crate::resources::cluster::KIND;

/// What there is.
pub(super) struct ControlPlane<'a> {
    pub changes: Vec<ResourceChange>,
    /// The cluster that stays, if one does.
    pub kept: Option<&'a Cluster>,
    /// ARN of the role of the pods.
    pub pod_role_arn: String,
}

/// The roles, the log group, the control plane and its administrators. `subnet_ids` are those of the private subnets,
/// none for those that are to be made; `there` is the cluster that
/// there is.
pub(super) async fn compare<'a>(
    aws: &Aws,
    plan: &'a Plan,
    subnet_ids: &[Option<String>],
    there: Option<&'a Cluster>,
) -> Result<ControlPlane<'a>, Error> {
    let target = &plan.target;
    let mut changes = vec![];
    for wanted in [EKS, FARGATE] {
        let seen = service_linked_role::observe(aws, wanted).await?;
        changes.push(service_linked_role::compare(wanted, seen.as_ref()));
    }
    let mut role_arns = [String::new(), String::new()];
    let mut pod_role = PodRole::Kept;
    for (of, arn) in [RoleOf::Cluster, RoleOf::PodExecution]
        .into_iter()
        .zip(&mut role_arns)
    {
        let wanted = role::Wanted::new(plan, of);
        let seen = role::observe(aws, target, of).await?;
        let role = role::compare(target, &wanted, &seen)?;
        changes.push(role.change());
        *arn = role.arn(target);
        if of == RoleOf::PodExecution && role.kept.is_none() {
            pod_role = PodRole::New;
        }
    }
    let [role_arn, pod_role_arn] = role_arns;
    let seen = log_group::observe(aws, plan).await?;
    changes.extend(log_group::compare(target, seen));

    let wanted = Wanted {
        role_arn: &role_arn,
        subnet_ids: subnet_ids.iter().map(Option::as_deref).collect(),
    };
    let cluster = cluster::compare(plan, &wanted, there)?;
    changes.push(cluster.change());
    let entries = match cluster.kept {
        Some(_) => access_entry::observe(aws, plan).await?,
        None => None,
    };
    let entries = entries.unwrap_or_default();
    changes.extend(access_entry::compare(plan, pod_role, &entries)?.changes());
    Ok(ControlPlane {
        changes,
        kept: cluster.kept,
        pod_role_arn,
    })
}
