//! The resources of a simulated account in the words of a plan's preview: type and name.

use std::collections::BTreeSet;

use simulator::State;
use simulator::ec2::tags::Tags;

/// Everything of the account and region that a preview would list.
///
/// # Panics
/// If something of the cluster's is there twice.
#[must_use]
pub fn of(state: &State, account: &str, region: &str) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    let Some(account) = state.accounts.get(account) else {
        return found;
    };
    let mut add = |kind: &str, name: &str| {
        let is_new = found.insert((kind.to_owned(), name.to_owned()));
        assert!(is_new, "{kind} {name} is there twice");
    };
    for role in account.iam.roles.values() {
        if role.is_service_linked() {
            add("AWS::IAM::ServiceLinkedRole", &role.name);
        } else {
            add("AWS::IAM::Role", &role.name);
        }
    }
    let Some(region) = account.regions.get(region) else {
        return found;
    };
    let ec2 = &region.ec2;
    let live = ec2.nat_gateways.values();
    let live = live.filter(|it| it.deletion.is_none() && it.failure.is_none());
    let tagged = (ec2.vpcs.values().map(|it| ("VPC", &it.tags)))
        .chain(ec2.subnets.values().map(|it| ("Subnet", &it.tags)))
        .chain((ec2.internet_gateways.values()).map(|it| ("InternetGateway", &it.tags)))
        .chain(ec2.addresses.values().map(|it| ("EIP", &it.tags)))
        .chain(live.map(|it| ("NatGateway", &it.tags)))
        .chain(ec2.route_tables.values().map(|it| ("RouteTable", &it.tags)));
    for (kind, tags) in tagged {
        if let Some(role) = role_of(tags) {
            add(&format!("AWS::EC2::{kind}"), role);
        }
    }
    for cluster in region.eks.clusters.values() {
        let name = &cluster.name;
        add("AWS::EKS::Cluster", name);
        for profile in cluster.fargate_profiles.keys() {
            add("AWS::EKS::FargateProfile", &format!("{name}/{profile}"));
        }
        for addon in cluster.addons.keys() {
            add("AWS::EKS::Addon", &format!("{name}/{addon}"));
        }
        // EKS makes that of Fargate's nodes.
        let entries = cluster.access_entries.values();
        for entry in entries.filter(|it| it.kind == "STANDARD") {
            // EKS makes one for itself.
            if !entry.principal_arn.contains(":role/aws-service-role/") {
                add("AWS::EKS::AccessEntry", &entry.principal_arn);
            }
        }
    }
    for group in region.logs.groups.keys() {
        add("AWS::Logs::LogGroup", group);
    }
    found
}

/// What AWS makes by itself has no tags.
fn role_of(tags: &Tags) -> Option<&str> {
    tags.get("hardway:role").map(String::as_str)
}
