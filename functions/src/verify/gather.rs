//! The one pass of reads.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::VpcAttributeName;
use aws_sdk_eks::types::{AuthenticationMode, ClusterVersionInformation, InsightStatusValue};

use crate::aws::{Aws, codes};
use crate::contract::Error;
use crate::model::{Target, tags};
use crate::resources::eks_network::find_security_groups;
use crate::resources::service_quota::{self, FARGATE_VCPUS};
use crate::resources::{
    access_entry, addon, cluster, cluster_version, eks, eks_insights, fargate_profile, nat_gateway,
    nodegroup, role, route_table, subnet, vpc, vpc_endpoint,
};
use crate::verify::facts::{Facts, Known, PodRole, Unread, User};

/// Reads everything that the checks look at.
///
/// # Errors
/// [`Error::InvalidRequest`] if there is no such cluster. What a repetition may heal (throttling, AWS
/// being unavailable); what may not be read is part of the facts instead.
pub async fn facts(aws: &Aws, target: &Target) -> Result<Facts, Error> {
    let name = &target.cluster_name;
    let cluster = cluster::find(aws, target).await?.ok_or_else(|| {
        let region = &target.region;
        Error::invalid(
            "clusterName",
            name,
            format!("the name of a cluster in {region}"),
        )
    })?;
    let vpc_id = cluster.resources_vpc_config().and_then(|it| it.vpc_id());
    let vpc_id = vpc_id.unwrap_or_default().to_owned();
    let mut unread = Unreadable::default();

    let profiles = fargate_profile::find(aws, target).await;
    let profiles = unread.keep("eks:ListFargateProfiles", profiles)?;
    let coredns = addon::find(aws, target, eks::COREDNS).await;
    let coredns = unread.keep("eks:DescribeAddon", coredns)?;
    let node_groups = nodegroup::find(aws, target).await;
    let node_groups = unread.keep(nodegroup::LIST, node_groups)?;
    let current = cluster.version().unwrap_or_default();
    let versions = cluster_version::find(aws, Some(current)).await;
    let is_current = |it: &ClusterVersionInformation| it.cluster_version() == Some(current);
    let version = versions.map(|versions| versions.into_iter().find(is_current));
    let version = unread.keep(cluster_version::DESCRIBE, version)?;

    let insights = eks_insights::find(aws, target, &[InsightStatusValue::Error]).await;
    let blocking_insights = unread.keep("eks:ListInsights", insights)?;

    let dns_support = vpc::has_attribute(aws, &vpc_id, &VpcAttributeName::EnableDnsSupport).await;
    let dns_support = unread.keep(VPC_ATTRIBUTE, dns_support)?;
    let dns_hostnames =
        vpc::has_attribute(aws, &vpc_id, &VpcAttributeName::EnableDnsHostnames).await;
    let dns_hostnames = unread.keep(VPC_ATTRIBUTE, dns_hostnames)?;
    let of_vpc = || tags::ec2_in_vpc(&vpc_id);
    let subnets = unread.keep("ec2:DescribeSubnets", subnet::find(aws, of_vpc()).await)?;
    let tables = route_table::find(aws, of_vpc()).await;
    let route_tables = unread.keep("ec2:DescribeRouteTables", tables)?;
    let gateways = nat_gateway::find(aws, of_vpc()).await;
    let nat_gateways = unread.keep("ec2:DescribeNatGateways", gateways)?;
    let endpoints = vpc_endpoint::find(aws, of_vpc()).await;
    let vpc_endpoints = unread.keep("ec2:DescribeVpcEndpoints", endpoints)?;
    let groups = find_security_groups(aws, &vpc_id).await;
    let security_groups = unread.keep("ec2:DescribeSecurityGroups", groups)?;
    // Not worth a failure, whatever the answer: it is one check of many.
    let fargate_vcpus = match service_quota::find(aws, FARGATE_VCPUS).await {
        Ok(quota) => Known::Read(quota),
        Err(error) => unread.note(service_quota::GET, error.to_string()),
    };

    let mut facts = Facts {
        cluster,
        profiles,
        coredns,
        node_groups,
        version,
        blocking_insights,
        dns_support,
        dns_hostnames,
        subnets,
        route_tables,
        nat_gateways,
        vpc_endpoints,
        security_groups,
        pod_roles: vec![],
        users: vec![],
        fargate_vcpus,
        unread: vec![],
    };
    let roles = facts.profiles().iter();
    let roles: BTreeSet<String> = roles
        .filter_map(|profile| profile.pod_execution_role_arn().map(ToOwned::to_owned))
        .collect();
    let has_entries = facts.authentication_mode() != AuthenticationMode::ConfigMap;
    for arn in roles {
        let role = pod_role(aws, target, arn, has_entries, &mut unread).await?;
        facts.pod_roles.push(role);
    }
    if has_entries {
        facts.users = users(aws, target, &facts.pod_roles, &mut unread).await?;
    }
    facts.unread = unread.0;
    Ok(facts)
}

const ACCESS_ENTRY: &str = "eks:DescribeAccessEntry";
const VPC_ATTRIBUTE: &str = "ec2:DescribeVpcAttribute";

/// What could not be read so far.
#[derive(Default)]
struct Unreadable(Vec<Unread>);

impl Unreadable {
    /// Keeps an answer. What is not allowed, or not there to be asked, is noted instead.
    fn keep<T>(
        &mut self,
        action: &'static str,
        answer: Result<T, Error>,
    ) -> Result<Known<T>, Error> {
        match answer {
            Ok(fact) => Ok(Known::Read(fact)),
            Err(Error::AccessDenied(why) | Error::ExplicitDeny(why) | Error::Unexpected(why)) => {
                Ok(self.note(action, why))
            }
            Err(error) => Err(error),
        }
    }

    fn note<T>(&mut self, action: &'static str, why: String) -> Known<T> {
        self.0.push(Unread { action, why });
        Known::Unread
    }
}

async fn pod_role(
    aws: &Aws,
    target: &Target,
    arn: String,
    has_entries: bool,
    unread: &mut Unreadable,
) -> Result<PodRole, Error> {
    let name = arn.rsplit('/').next().unwrap_or_default();
    let role = unread.keep("iam:GetRole", role::find(aws, name).await)?;
    let mut found = PodRole {
        role,
        attached: Known::Unread,
        inline: Known::Unread,
        entry: Known::Unread,
        arn: arn.clone(),
    };
    if matches!(found.role, Known::Read(Some(_))) {
        let attached = role::find_attached_policies(aws, name).await;
        found.attached = unread.keep("iam:ListAttachedRolePolicies", attached)?;
        let inline = role::find_inline_policies(aws, name).await;
        found.inline = unread.keep("iam:ListRolePolicies", inline)?;
    }
    if has_entries {
        found.entry = unread.keep(ACCESS_ENTRY, access_entry::find(aws, target, &arn).await)?;
    }
    Ok(found)
}

/// The roles of the account that have an entry beside the pods' ones, and that IAM can be asked about.
async fn users(
    aws: &Aws,
    target: &Target,
    pod_roles: &[PodRole],
    unread: &mut Unreadable,
) -> Result<Vec<User>, Error> {
    let principals = access_entry::find_principals(aws, target).await;
    let principals = unread.keep("eks:ListAccessEntries", principals)?;
    let mut users = vec![];
    for arn in principals.read().into_iter().flatten().flatten() {
        let is_of_pods = pod_roles.iter().any(|role| role.arn == *arn);
        let name = role::name_in_arn(&target.account.id, arn);
        let name = name.filter(|_| !is_of_pods && !arn.contains(codes::SERVICE_LINKED_ROLE_PATH));
        let Some(name) = name else {
            continue;
        };
        let entry = unread.keep(ACCESS_ENTRY, access_entry::find(aws, target, arn).await)?;
        if let Known::Read(Some(entry)) = entry {
            let role = unread.keep("iam:GetRole", role::find(aws, name).await)?;
            let arn = arn.clone();
            users.push(User { arn, entry, role });
        }
    }
    Ok(users)
}
