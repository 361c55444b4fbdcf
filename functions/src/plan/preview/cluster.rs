//! The cluster, what it stands on and what is in it: what there is of it, beside the plan.

use aws_sdk_eks::types::{AddonStatus, Cluster, FargateProfile, FargateProfileStatus};

use super::{Change, ResourceChange};
use crate::aws::Aws;
use crate::contract::Error;
use crate::model::names::RoleOf;
use crate::model::spec::Selector;
use crate::model::{Plan, tags};
use crate::resources::cluster::{self, Wanted, failed_to_start, upgrade_from};
use crate::resources::coredns::{self, Birth};
use crate::resources::eks::{self, COREDNS};
use crate::resources::service_linked_role::{EKS, FARGATE};
use crate::resources::{access_entry, log_group, role, service_linked_role};

pub(super) use crate::resources::cluster::KIND;

/// CloudFormation's words.
pub(super) const PROFILE: &str = "AWS::EKS::FargateProfile";
pub(super) const ADDON: &str = "AWS::EKS::Addon";

/// The roles, the log group, the control plane and its administrators, and the control plane that stays, if one does.
/// `subnet_ids` are those of the private subnets, none for those that are to be made; `there` is the cluster that
/// there is.
pub(super) async fn compare<'a>(
    aws: &Aws,
    plan: &'a Plan,
    subnet_ids: &[Option<String>],
    there: Option<&'a Cluster>,
) -> Result<(Vec<ResourceChange>, Option<&'a Cluster>), Error> {
    let target = &plan.target;
    let mut changes = vec![];
    for wanted in [EKS, FARGATE] {
        let seen = service_linked_role::observe(aws, wanted).await?;
        changes.push(service_linked_role::compare(wanted, seen.as_ref()));
    }
    let mut role_arns = vec![];
    for of in RoleOf::ALL {
        let wanted = role::Wanted::new(plan, of);
        let seen = role::observe(aws, target, of).await?;
        let role = role::compare(target, &wanted, &seen)?;
        changes.push(role.change());
        role_arns.push(role.arn(target));
    }
    let seen = log_group::observe(aws, plan).await?;
    changes.extend(log_group::compare(target, seen));

    let wanted = Wanted {
        role_arn: &role_arns[0],
        subnet_ids: subnet_ids.iter().map(Option::as_deref).collect(),
    };
    let cluster = cluster::compare(plan, &wanted, there)?;
    changes.push(cluster.change());
    let entries = match cluster.kept {
        Some(_) => access_entry::observe(aws, plan).await?,
        None => None,
    };
    let entries = entries.unwrap_or_default();
    changes.extend(access_entry::compare(plan, &entries).changes());
    Ok((changes, cluster.kept))
}

/// Fargate profiles, those of CoreDNS first, and CoreDNS.
pub(super) async fn workload(
    aws: &Aws,
    plan: &Plan,
    cluster: Option<&Cluster>,
) -> Result<Vec<ResourceChange>, Error> {
    let target = &plan.target;
    let name = |of: &str| format!("{}/{of}", target.cluster_name);
    let cluster = cluster.filter(|cluster| !failed_to_start(cluster));
    let there = match cluster {
        Some(_) => eks::find_fargate_profiles(aws, target).await?,
        None => vec![],
    };
    let mut planned: Vec<_> = plan.fargate_profiles.iter().collect();
    planned.sort_by_key(|it| !it.selectors.iter().any(Selector::selects_coredns));
    let mut resources = vec![];
    for profile in planned {
        let found = there
            .iter()
            .find(|it| it.fargate_profile_name() == Some(&profile.name));
        if found.is_some_and(|found| !tags::map_is_ours(found.tags(), target)) {
            let what = format!("Fargate profile {}", profile.name);
            return Err(tags::not_ours(&what, target));
        }
        let change = match found.and_then(FargateProfile::status) {
            None | Some(FargateProfileStatus::Deleting) => Change::Create,
            Some(FargateProfileStatus::CreateFailed) => Change::Replace,
            Some(_) => Change::Keep,
        };
        resources.push(ResourceChange::new(PROFILE, name(&profile.name), change));
    }
    let change = match cluster {
        Some(cluster) => of_coredns(aws, plan, cluster, &there).await?,
        None => Change::Create,
    };
    resources.push(ResourceChange::new(ADDON, name(COREDNS), change));
    Ok(resources)
}

/// What happens to the add-on: rolled out anew where the step `coredns` finds another configuration than
/// it wants.
async fn of_coredns(
    aws: &Aws,
    plan: &Plan,
    cluster: &Cluster,
    profiles: &[FargateProfile],
) -> Result<Change, Error> {
    let Some(addon) = eks::find_addon(aws, &plan.target, COREDNS).await? else {
        return Ok(Change::Create);
    };
    if !tags::map_is_ours(addon.tags(), &plan.target) {
        return Ok(Change::Adopt);
    }
    let is_upgraded = upgrade_from(plan, cluster).is_some();
    let (Some(profile_arn), Some(kubernetes), false) = (
        coredns::selecting_profile(profiles),
        cluster.version(),
        is_upgraded,
    ) else {
        return Ok(Change::Change);
    };
    let birth = Birth {
        profile_arn,
        kubernetes,
    };
    if addon.status() == Some(&AddonStatus::CreateFailed) {
        return Ok(Change::Replace);
    }
    let wanted = coredns::merged(addon.configuration_values(), birth)?;
    Ok(Change::to_right(Some(wanted.is_none())))
}
