//! What runs in the cluster: Fargate profiles, those of CoreDNS first, and CoreDNS.

use aws_sdk_eks::types::Cluster;

use crate::aws::Aws;
use crate::contract::Error;
use crate::contract::error::required;
use crate::model::Plan;
use crate::resources::cluster::upgrade_from;
use crate::resources::coredns::{self, Birth, NEW_PROFILE};
use crate::resources::fargate_profile::{self, Needs};
use crate::resources::resource_change::ResourceChange;

/// In a cluster that is to be made, or that is made again, there is nothing.
pub(super) async fn compare(
    aws: &Aws,
    plan: &Plan,
    cluster: Option<&Cluster>,
    needs: &Needs<'_>,
    notes: &mut Vec<String>,
) -> Result<Vec<ResourceChange>, Error> {
    let seen = match cluster {
        Some(_) => fargate_profile::observe(aws, &plan.target).await?,
        None => fargate_profile::Seen::default(),
    };
    let stay = seen.not_planned(plan).into_iter();
    notes.extend(stay.map(|name| {
        format!("the Fargate profile {name} stays with its pods, though the input does not have it any more")
    }));
    let profiles = fargate_profile::compare(plan, needs, &seen)?;
    let mut resources: Vec<_> = profiles
        .iter()
        .map(fargate_profile::Compared::change)
        .collect();

    let kept = cluster.filter(|it| upgrade_from(plan, it).is_none());
    let kubernetes = match kept {
        Some(cluster) => required(cluster.version(), "eks:DescribeCluster: version")?,
        None => &plan.kubernetes_version,
    };
    let birth = Birth {
        profile_arn: coredns::selecting_profile(&seen.profiles).unwrap_or(NEW_PROFILE),
        kubernetes,
    };
    let seen = match cluster {
        Some(_) => coredns::observe(aws, &plan.target, kubernetes).await?,
        None => coredns::Seen::default(),
    };
    resources.push(coredns::compare(&plan.target, birth, &seen)?.change());
    Ok(resources)
}
