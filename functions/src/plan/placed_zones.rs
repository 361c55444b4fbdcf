//! The Availability Zones in which the cluster has subnets already.
//!
//! A control plane does not move, so the zones of a cluster that exists are those of its subnets, in
//! whatever state the zones are: a zone that is impaired, that EC2 leaves out of its list, or in which EKS
//! makes no control planes any more changes nothing for a cluster that is there. Nor do CIDR blocks move.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::Subnet;
use aws_sdk_eks::types::Cluster;
use ipnet::Ipv4Net;

use crate::aws::Aws;
use crate::contract::Error;
use crate::model::{Target, tags};
use crate::plan::cidr;
use crate::resources::subnet;

/// What was found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct PlacedZones {
    /// Ids and names of the zones of a cluster that exists, in the order of their blocks; empty where
    /// there is none, or one that is not ours.
    pub of_cluster: Vec<(String, String)>,
    /// The places of the zones in which there are subnets, by id, those of a network without a cluster
    /// included.
    pub places: BTreeMap<String, usize>,
}

pub(crate) async fn find(
    aws: &Aws,
    target: &Target,
    cluster: Option<&Cluster>,
    vpc: Ipv4Net,
) -> Result<PlacedZones, Error> {
    let mut subnets = subnet::find(aws, tags::ec2_filters(target)).await?;
    let mut of_cluster = BTreeSet::new();
    if let Some(cluster) = cluster {
        let own = subnets_of(aws, target, cluster).await?;
        // Without one of them nobody knows which of the tagged ones were the cluster's.
        let zones = own.as_ref().unwrap_or(&subnets).iter();
        of_cluster = zones.filter_map(zone_of).collect();
        subnets.extend(own.unwrap_or_default());
    }
    let mut places = BTreeMap::new();
    for subnet in &subnets {
        if let (Some((id, _)), Some(place)) = (zone_of(subnet), place_of(vpc, subnet)) {
            places.entry(id).or_insert(place);
        }
    }
    let mut of_cluster: Vec<_> = of_cluster.into_iter().collect();
    of_cluster.sort_by_key(|(id, _)| (places.get(id).copied(), id.clone()));
    Ok(PlacedZones { of_cluster, places })
}

/// The cluster's own subnets, as far as they are tagged as ours; none if one of them is gone. They are
/// asked for by their ids, because EC2's lists may lack what is new.
async fn subnets_of(
    aws: &Aws,
    target: &Target,
    cluster: &Cluster,
) -> Result<Option<Vec<Subnet>>, Error> {
    let config = cluster.resources_vpc_config();
    let ids = config.map_or(&[][..], |config| config.subnet_ids());
    if ids.is_empty() {
        return Ok(Some(vec![]));
    }
    let Some(mut subnets) = subnet::find_by_ids(aws, ids.to_vec()).await? else {
        return Ok(None);
    };
    subnets.retain(|subnet| tags::ec2_is_ours(subnet.tags(), target));
    Ok(Some(subnets))
}

fn zone_of(subnet: &Subnet) -> Option<(String, String)> {
    let (id, name) = (subnet.availability_zone_id()?, subnet.availability_zone()?);
    Some((id.to_owned(), name.to_owned()))
}

fn place_of(vpc: Ipv4Net, subnet: &Subnet) -> Option<usize> {
    cidr::place_of(vpc, subnet.cidr_block()?.parse().ok()?)
}
