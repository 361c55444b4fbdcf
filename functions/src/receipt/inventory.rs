//! Everything of ours, found by tag; what has no tags, by its place or its name.

use aws_sdk_ec2::types::{NatGatewayState, TagDescription};
use aws_sdk_eks::types::Cluster;

use crate::aws::{Aws, list};
use crate::contract::{During, Error, Resource};
use crate::model::names::RoleOf;
use crate::model::{Target, tags};
use crate::receipt::obstacles;
use crate::resources::eks_network::{find_security_groups, is_of_cluster};
use crate::resources::foreign_resource::{self, Foreign};
use crate::resources::log_group::{self, Owner};
use crate::resources::{
    addon, address, cluster, eks, fargate_profile, foreign, internet_gateway, nat_gateway, role,
    route_table, subnet, vpc,
};

/// Refuses what a teardown must not touch, as far as it can be seen by now. The answer is what may be
/// somebody's, too.
pub async fn refuse(
    aws: &Aws,
    target: &Target,
    disable_deletion_protection: bool,
) -> Result<Vec<Foreign>, Error> {
    let cluster = cluster::find(aws, target).await?;
    let mut foreign = vec![];
    match cluster {
        Some(cluster) if is_ours(&cluster, target) => {
            if cluster.deletion_protection() == Some(true) && !disable_deletion_protection {
                return Err(eks::deletion_protected(target));
            }
            foreign.extend(obstacles::in_cluster(aws, target).await?);
        }
        Some(cluster) => foreign.extend(obstacles::untagged_cluster(aws, target, &cluster).await?),
        None => {}
    }
    let in_vpcs = foreign::look(aws, target).await?;
    foreign.extend(in_vpcs.foreign);
    foreign.extend(obstacles::elsewhere(aws, target).await?);
    foreign_resource::refuse(&foreign)?;
    Ok(in_vpcs.unused)
}

fn is_ours(cluster: &Cluster, target: &Target) -> bool {
    tags::map_is_ours(cluster.tags(), target)
}

/// Everything of ours that is there, in the order in which it is removed.
pub async fn find(aws: &Aws, target: &Target) -> Result<Vec<Resource>, Error> {
    let mut found = in_cluster(aws, target).await?;
    found.extend(security_groups(aws, target).await?);
    found.extend(tagged(aws, target).await?);
    found.extend(roles(aws, target).await?);
    if log_group::find_owner(aws, target).await? == Owner::Us {
        found.push(Resource::new(log_group::KIND, log_group::name(target)));
    }
    Ok(found)
}

/// The cluster and what is in it.
async fn in_cluster(aws: &Aws, target: &Target) -> Result<Vec<Resource>, Error> {
    let cluster = cluster::find(aws, target).await?;
    if !cluster.is_some_and(|cluster| is_ours(&cluster, target)) {
        return Ok(vec![]);
    }
    let name = &target.cluster_name;
    let mut found = vec![];
    let addon = addon::find(aws, target, eks::COREDNS).await?;
    if addon.is_some_and(|addon| tags::map_is_ours(addon.tags(), target)) {
        found.push(Resource::new(addon::KIND, format!("{name}/coredns")));
    }
    let profiles = fargate_profile::find(aws, target).await?;
    let profiles = profiles
        .iter()
        .filter(|profile| tags::map_is_ours(profile.tags(), target));
    found.extend(profiles.map(|profile| {
        let profile = profile.fargate_profile_name().unwrap_or_default();
        Resource::new(fargate_profile::KIND, format!("{name}/{profile}"))
    }));
    found.push(Resource::new(cluster::KIND, name));
    Ok(found)
}

/// The groups that EKS made in the cluster's VPC.
async fn security_groups(aws: &Aws, target: &Target) -> Result<Vec<Resource>, Error> {
    let mut found = vec![];
    for vpc in vpc::find_ours(aws, target).await? {
        let groups = find_security_groups(aws, vpc.vpc_id().unwrap_or_default()).await?;
        let groups = groups.iter().filter(|group| is_of_cluster(group, target));
        found.extend(groups.map(|group| {
            Resource::new(
                "AWS::EC2::SecurityGroup",
                group.group_id().unwrap_or_default(),
            )
        }));
    }
    Ok(found)
}

/// EC2's words for what carries tags, CloudFormation's for the same; in the order of removal.
const KINDS: &[(&str, &str)] = &[
    ("natgateway", nat_gateway::KIND),
    ("elastic-ip", address::KIND),
    ("internet-gateway", internet_gateway::KIND),
    ("route-table", route_table::KIND),
    ("subnet", subnet::KIND),
    ("vpc", vpc::KIND),
];

/// Everything of EC2's that carries the cluster's tag, whatever it is.
async fn tagged(aws: &Aws, target: &Target) -> Result<Vec<Resource>, Error> {
    let call = aws.ec2().describe_tags();
    let call = call
        .filters(tags::ec2_filter("key", tags::CLUSTER))
        .filters(tags::ec2_filter("value", &target.cluster_name));
    let mut found = list!(call).await.during("ec2:DescribeTags")?;
    found.sort_by_key(|it| (place(it), it.resource_id().map(ToOwned::to_owned)));
    let gone = dead_nat_gateways(aws, target).await?;
    let is_there =
        |it: &&TagDescription| !gone.iter().any(|id| Some(id.as_str()) == it.resource_id());
    Ok(found.iter().filter(is_there).map(resource).collect())
}

fn place(tag: &TagDescription) -> usize {
    let kind = kind(tag);
    let known = KINDS.iter().position(|(name, _)| *name == kind);
    known.unwrap_or(KINDS.len())
}

fn kind(tag: &TagDescription) -> &str {
    tag.resource_type().map_or("resource", AsRef::as_ref)
}

fn resource(tag: &TagDescription) -> Resource {
    let kind = kind(tag);
    let known = KINDS.iter().find(|(name, _)| *name == kind);
    let id = tag.resource_id().unwrap_or_default();
    match known {
        Some((_, kind)) => Resource::new(kind, id),
        None => Resource::new(&format!("AWS::EC2::{kind}"), id),
    }
}

/// EC2 shows NAT gateways, and their tags, for about an hour after they are gone.
async fn dead_nat_gateways(aws: &Aws, target: &Target) -> Result<Vec<String>, Error> {
    let gateways = nat_gateway::find(aws, tags::ec2_filters(target)).await?;
    let dead = gateways
        .into_iter()
        .filter(|gateway| gateway.state() == Some(&NatGatewayState::Deleted));
    Ok(dead.filter_map(|gateway| gateway.nat_gateway_id).collect())
}

/// IAM finds no role by its tags, but their names follow from the cluster's, whatever is before it.
async fn roles(aws: &Aws, target: &Target) -> Result<Vec<Resource>, Error> {
    let mut found = vec![];
    for of in RoleOf::ALL {
        let roles = role::find_ours(aws, target, of).await?;
        let roles = roles.into_iter();
        found.extend(roles.map(|role| Resource::new(role::KIND, role.role_name)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(kind: &str, id: &str) -> TagDescription {
        TagDescription::builder()
            .resource_type(kind.into())
            .resource_id(id)
            .build()
    }

    #[test]
    fn things_have_cloudformations_names() {
        assert_eq!(
            resource(&tag("elastic-ip", "eipalloc-1")),
            Resource::new("AWS::EC2::EIP", "eipalloc-1")
        );
        assert_eq!(
            resource(&tag("volume", "vol-1")),
            Resource::new("AWS::EC2::volume", "vol-1")
        );
    }

    #[test]
    fn the_vpc_comes_last_of_what_we_make_and_strangers_after_it() {
        let mut tags = [tag("volume", "v"), tag("vpc", "v"), tag("natgateway", "n")];
        tags.sort_by_key(place);
        let kinds: Vec<&str> = tags.iter().map(kind).collect();
        assert_eq!(kinds, ["natgateway", "vpc", "volume"]);
    }
}
