//! What would refuse a deletion later on, and can be seen before the first one: what EKS deletes no
//! cluster with, addresses and gateways of ours that somebody uses elsewhere, roles of ours in instance
//! profiles. What is in the VPC is [`crate::resources::foreign`]'s.

use aws_sdk_ec2::types::{Address, AddressAttribute, AddressAttributeName, InternetGateway};
use aws_sdk_eks::types::Cluster;

use crate::aws::{Aws, list};
use crate::contract::{During, Error};
use crate::model::names::RoleOf;
use crate::model::{Target, tags};
use crate::resources::eks_network::{find_interfaces, is_of_nat_gateway};
use crate::resources::foreign_resource::Foreign;
use crate::resources::log_group::{self, Owner};
use crate::resources::{
    address, capability, cluster, fargate_profile, internet_gateway, nodegroup, role, vpc,
};

/// EKS deletes no cluster that has a Fargate profile, a node group or a capability, whosever it is.
/// Add-ons, access entries, Pod Identity associations and identity providers go with it.
pub(super) async fn in_cluster(aws: &Aws, target: &Target) -> Result<Vec<Foreign>, Error> {
    let owner = Some(target.account.id.as_str());
    let profiles = fargate_profile::find(aws, target).await?;
    let others = profiles.iter();
    let others = others.filter(|profile| !tags::map_is_ours(profile.tags(), target));
    let mut found: Vec<Foreign> = others
        .map(|it| Foreign::new(fargate_profile::KIND, it.fargate_profile_name(), owner))
        .collect();
    for group in nodegroup::find(aws, target).await? {
        found.push(Foreign::new(nodegroup::KIND, Some(&group), owner));
    }
    for capability in capability::find(aws, target).await? {
        let name = capability.capability_name();
        let kind = capability.r#type().map(AsRef::as_ref);
        found.push(Foreign::new(capability::KIND, name, owner).with_note(kind));
    }
    Ok(found)
}

/// A cluster of that name that is not tagged as ours, and lives in our VPC: somebody has taken its tags, and
/// everything that would be removed is what it stands on.
pub(super) async fn untagged_cluster(
    aws: &Aws,
    target: &Target,
    cluster: &Cluster,
) -> Result<Option<Foreign>, Error> {
    let vpc_id = cluster.resources_vpc_config().and_then(|it| it.vpc_id());
    let vpcs = vpc::find_ours(aws, target).await?;
    if !vpcs.iter().any(|vpc| vpc.vpc_id() == vpc_id) {
        return Ok(None);
    }
    let name = Some(target.cluster_name.as_str());
    let note = format!(
        "it is in the cluster's VPC, without the tag {}: give it the tag again, if it is hardway's",
        tags::CLUSTER
    );
    let found = Foreign::new(cluster::KIND, name, Some(&target.account.id));
    Ok(Some(found.with_note(Some(&note))))
}

/// What is ours, but is held by something outside the cluster and its VPC.
pub(super) async fn elsewhere(aws: &Aws, target: &Target) -> Result<Vec<Foreign>, Error> {
    let mut found = addresses(aws, target).await?;
    found.extend(internet_gateways(aws, target).await?);
    found.extend(instance_profiles(aws, target).await?);
    let is_ours = log_group::find_owner(aws, target).await? == Owner::Us;
    if is_ours && log_group::is_protected(aws, target).await? {
        let name = log_group::name(target);
        let note = Some("the cluster's, with deletion protection");
        found.push(Foreign::new(log_group::KIND, Some(&name), None).with_note(note));
    }
    Ok(found)
}

/// Addresses of ours that EC2 would not release.
async fn addresses(aws: &Aws, target: &Target) -> Result<Vec<Foreign>, Error> {
    let found = address::find(aws, tags::ec2_filters(target)).await?;
    let mut foreign = used_elsewhere(aws, target, &found).await?;
    foreign.extend(with_ptr_record(aws, &found).await?);
    Ok(foreign)
}

/// Addresses that are associated with something else than a NAT gateway of the cluster's VPC.
async fn used_elsewhere(
    aws: &Aws,
    target: &Target,
    addresses: &[Address],
) -> Result<Vec<Foreign>, Error> {
    let used = addresses.iter();
    let used: Vec<&Address> = used.filter(|it| it.association_id().is_some()).collect();
    if used.is_empty() {
        return Ok(vec![]);
    }
    let mut gateways = vec![];
    for vpc in vpc::find_ours(aws, target).await? {
        let interfaces = find_interfaces(aws, vpc.vpc_id().unwrap_or_default()).await?;
        let of_gateways = interfaces.into_iter().filter(is_of_nat_gateway);
        gateways.extend(of_gateways.filter_map(|it| it.network_interface_id));
    }
    let is_at_home = |it: &&Address| {
        let interface = it.network_interface_id();
        gateways.iter().any(|id| Some(id.as_str()) == interface)
    };
    let away = used.into_iter().filter(|it| !is_at_home(it));
    Ok(away.map(address_away).collect())
}

/// EC2 releases no address that has a PTR record ([`crate::aws::codes::ADDRESS_HAS_PTR_RECORD`]), and the record is
/// somebody's: mail is sent from the address.
async fn with_ptr_record(aws: &Aws, addresses: &[Address]) -> Result<Vec<Foreign>, Error> {
    let ids: Vec<String> = addresses
        .iter()
        .filter_map(|it| it.allocation_id.clone())
        .collect();
    if ids.is_empty() {
        return Ok(vec![]);
    }
    let call = aws.ec2().describe_addresses_attribute();
    let call = call.attribute(AddressAttributeName::DomainName);
    let call = call.set_allocation_ids(Some(ids));
    let attributes = list!(call).await.during("ec2:DescribeAddressesAttribute")?;
    let named = |it: &AddressAttribute| {
        let record = it.ptr_record().filter(|record| !record.is_empty())?;
        let note = format!("the cluster's, with the PTR record {record}");
        let found = Foreign::new(address::KIND, it.allocation_id(), None);
        Some(found.with_note(Some(&note)))
    };
    Ok(attributes.iter().filter_map(named).collect())
}

fn address_away(address: &Address) -> Foreign {
    let holder = address.network_interface_id().or(address.instance_id());
    let note = format!(
        "the cluster's, associated with {}",
        holder.unwrap_or("something else")
    );
    Foreign::new(address::KIND, address.allocation_id(), None).with_note(Some(&note))
}

/// Internet gateways of ours that are attached to a VPC of somebody else's.
async fn internet_gateways(aws: &Aws, target: &Target) -> Result<Vec<Foreign>, Error> {
    let gateways = internet_gateway::find(aws, tags::ec2_filters(target)).await?;
    let vpcs = vpc::find_ours(aws, target).await?;
    let is_own = |id: &str| vpcs.iter().any(|vpc| vpc.vpc_id() == Some(id));
    let away = |gateway: &InternetGateway| {
        let vpc = gateway.attachments().first()?.vpc_id()?;
        let note = format!("the cluster's, attached to {vpc}");
        let id = gateway.internet_gateway_id();
        let found = Foreign::new(internet_gateway::KIND, id, gateway.owner_id());
        (!is_own(vpc)).then(|| found.with_note(Some(&note)))
    };
    Ok(gateways.iter().filter_map(away).collect())
}

/// IAM deletes no role that is in an instance profile.
async fn instance_profiles(aws: &Aws, target: &Target) -> Result<Vec<Foreign>, Error> {
    let mut found = vec![];
    let mut roles = role::find_ours(aws, target, RoleOf::Cluster).await?;
    roles.extend(role::find_ours(aws, target, RoleOf::PodExecution).await?);
    for role in roles {
        let name = role.role_name();
        let call = aws.iam().list_instance_profiles_for_role().role_name(name);
        let profiles = list!(call)
            .await
            .during("iam:ListInstanceProfilesForRole")?;
        let note = format!("it holds the cluster's role {name}");
        found.extend(profiles.iter().map(|it| {
            let profile = Some(it.instance_profile_name());
            Foreign::new("AWS::IAM::InstanceProfile", profile, None).with_note(Some(&note))
        }));
    }
    Ok(found)
}
