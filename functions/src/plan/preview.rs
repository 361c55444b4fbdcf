//! What an execution would do: the resources that it would create, change, adopt or remove, how long it
//! would take, what it would cost. It looks and changes nothing.
//!
//! Listed is what hardway makes of a cluster. What AWS makes along with it (the VPC's default security group
//! and main route table, the control plane's network interfaces and security group) comes and goes by itself,
//! and the cluster's entry in the registry is hardway's own. EKS makes the access entry of Fargate's nodes with
//! the first profile and not again, so it is listed only where hardway has to make it.
//! Names are those by which hardway finds a resource again: the value of its tag `hardway:role`, or its own
//! name where it has one.

mod cluster;
mod network;
mod notes;
mod workload;

use aws_sdk_eks::types::Cluster;
use serde::{Deserialize, Serialize};

use crate::aws::Aws;
use crate::contract::Error;
use crate::model::Plan;
use crate::plan::prices::{self, MonthlyPrice};
use crate::plan::versions;
use crate::resources::cluster::{find, is_deleting, upgrade_from};
use crate::resources::fargate_profile::{self, Needs};
use crate::resources::{addon, cluster_version, nat_gateway, vpc};

pub use crate::resources::resource_change::{Change, Difference, ResourceChange};

/// What an execution with the plan would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    /// Everything that hardway makes or uses, in the order in which it is made.
    pub resources: Vec<ResourceChange>,
    /// How long it takes, from what each resource usually takes; 0 where nothing is to be done.
    pub minutes: u32,
    /// What the cluster costs; none in a region whose prices hardway does not know.
    pub monthly_price: Option<MonthlyPrice>,
    /// What a person should know, a sentence each.
    pub notes: Vec<String>,
}

/// Looks what there is of the plan. `notes` are those that there are already.
///
/// # Errors
/// [`Error::ResourceConflict`] where something that is not ours has a name of ours, as the execution would
/// say it; what AWS answers otherwise.
pub(crate) async fn of(aws: &Aws, plan: &Plan, mut notes: Vec<String>) -> Result<Preview, Error> {
    let network = network::compare(aws, plan, &mut notes).await?;
    let there = find(aws, &plan.target).await?;
    let subnet_ids = &network.private_subnet_ids;
    let control_plane = cluster::compare(aws, plan, subnet_ids, there.as_ref()).await?;
    let kept = control_plane.kept;
    let existing = there.as_ref().filter(|it| !is_deleting(it));
    let mut resources = network.base;
    resources.extend(control_plane.changes);
    resources.extend(network.routes);
    let needs = Needs {
        role_arn: Some(&control_plane.pod_role_arn),
        subnet_ids: subnet_ids.iter().map(Option::as_deref).collect(),
    };
    resources.extend(workload::compare(aws, plan, kept, &needs, &mut notes).await?);

    let offered = cluster_version::find(aws, None).await?;
    let upgrade_from = kept.and_then(|it| upgrade_from(plan, it));
    let current = kept.and_then(Cluster::version);
    let version = current.filter(|_| upgrade_from.is_none());
    let version = version.unwrap_or(&plan.kubernetes_version);
    let support = versions::support(&offered, version);
    let monthly_price = prices::of(plan, support.is_extended)?;
    let more = notes::of(plan, existing, &support, monthly_price.as_ref());
    Ok(Preview {
        minutes: minutes(&resources, upgrade_from.is_some()),
        monthly_price,
        notes: more.into_iter().chain(notes).collect(),
        resources,
    })
}

/// What resources usually take, in minutes, from the Terraform, eksctl and issue logs that the simulator's
/// durations come from: control planes 8 to 11, their upgrades 8 to 12, NAT gateways 1.5 to 2, Fargate profiles from
/// half a minute
/// to five, CoreDNS 1 to 2; the rest is done in seconds.
mod usual {
    pub(super) const NETWORK: u32 = 1;
    pub(super) const CONTROL_PLANE: u32 = 10;
    pub(super) const CONTROL_PLANE_DELETION: u32 = 2;
    pub(super) const UPGRADE: u32 = 10;
    pub(super) const CONTROL_PLANE_UPDATE: u32 = 3;
    /// The gateways, and the second look two minutes after them.
    pub(super) const NAT_GATEWAYS: u32 = 4;
    pub(super) const FARGATE_PROFILE: u32 = 3;
    pub(super) const FARGATE_PROFILE_DELETION: u32 = 2;
    pub(super) const COREDNS: u32 = 2;
}

/// The longest way through the machine: the network, then the control plane beside the NAT gateways,
/// then one Fargate profile after the other, then CoreDNS.
fn minutes(resources: &[ResourceChange], is_upgrade: bool) -> u32 {
    let number = |kind: &str, change: Change| {
        let wanted = resources.iter();
        let wanted = wanted.filter(|it| it.kind == kind && it.change == change);
        u32::try_from(wanted.count()).unwrap_or(u32::MAX)
    };
    let is_any = |kind: &str, change: Change| number(kind, change) > 0;
    let of_network = if is_any(vpc::KIND, Change::Create) {
        usual::NETWORK
    } else {
        0
    };
    let control_plane = if is_any(cluster::KIND, Change::Create) {
        usual::CONTROL_PLANE
    } else if is_any(cluster::KIND, Change::Replace) {
        usual::CONTROL_PLANE_DELETION + usual::CONTROL_PLANE
    } else if is_upgrade {
        usual::UPGRADE
    } else if is_any(cluster::KIND, Change::Change) {
        usual::CONTROL_PLANE_UPDATE
    } else {
        0
    };
    let gateways = if is_any(nat_gateway::KIND, Change::Create)
        || is_any(nat_gateway::KIND, Change::Replace)
    {
        usual::NAT_GATEWAYS
    } else {
        0
    };
    let of_profile = usual::FARGATE_PROFILE;
    let replaced = usual::FARGATE_PROFILE_DELETION + of_profile;
    let profiles = number(fargate_profile::KIND, Change::Create) * of_profile
        + number(fargate_profile::KIND, Change::Replace) * replaced;
    let is_made_or_rolled_out =
        |resource: &ResourceChange| resource.kind == addon::KIND && resource.change != Change::Keep;
    let coredns = if resources.iter().any(is_made_or_rolled_out) {
        usual::COREDNS
    } else {
        0
    };
    of_network + control_plane.max(gateways) + profiles + coredns
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(changes: &[(&str, Change)]) -> Vec<ResourceChange> {
        let resource = |(kind, change): &(&str, Change)| ResourceChange::new(kind, "x", *change);
        changes.iter().map(resource).collect()
    }

    #[test]
    fn a_new_cluster_takes_its_control_plane_its_profiles_and_coredns() {
        let all = resources(&[
            (vpc::KIND, Change::Create),
            (nat_gateway::KIND, Change::Create),
            (cluster::KIND, Change::Create),
            (fargate_profile::KIND, Change::Create),
            (fargate_profile::KIND, Change::Create),
            (addon::KIND, Change::Create),
        ]);
        assert_eq!(minutes(&all, false), 1 + 10 + 2 * 3 + 2);
    }

    #[test]
    fn replaced_resource_is_deleted_first() {
        let all = resources(&[
            (cluster::KIND, Change::Replace),
            (fargate_profile::KIND, Change::Create),
            (addon::KIND, Change::Create),
        ]);
        assert_eq!(minutes(&all, false), 2 + 10 + 3 + 2);
        let all = resources(&[
            (cluster::KIND, Change::Keep),
            (fargate_profile::KIND, Change::Replace),
            (addon::KIND, Change::Create),
        ]);
        assert_eq!(minutes(&all, false), 2 + 3 + 2);
    }

    #[test]
    fn an_upgrade_takes_as_long_as_a_new_control_plane_and_coredns_follows() {
        let all = resources(&[
            (vpc::KIND, Change::Keep),
            (cluster::KIND, Change::Change),
            (fargate_profile::KIND, Change::Keep),
            (addon::KIND, Change::Change),
        ]);
        assert_eq!(minutes(&all, true), 10 + 2);
        assert_eq!(minutes(&all, false), 3 + 2);
    }

    #[test]
    fn existing_resource_takes_no_time() {
        let all = resources(&[
            (vpc::KIND, Change::Keep),
            (cluster::KIND, Change::Keep),
            (fargate_profile::KIND, Change::Keep),
            (addon::KIND, Change::Keep),
        ]);
        assert_eq!(minutes(&all, false), 0);
        let gateways = resources(&[(nat_gateway::KIND, Change::Create)]);
        assert_eq!(minutes(&gateways, false), 4);
    }
}
