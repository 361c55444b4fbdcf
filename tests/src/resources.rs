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
    for (kind, name, _) in with_ids(state, account, region) {
        let is_new = found.insert((kind.clone(), name.clone()));
        assert!(is_new, "{kind} {name} is there twice");
    }
    found
}

/// The same with what tells a resource from a later one with its name: its id, or when it was made.
#[must_use]
pub fn with_ids(state: &State, account: &str, region: &str) -> Vec<(String, String, String)> {
    let mut found = vec![];
    let Some(account) = state.accounts.get(account) else {
        return found;
    };
    let mut add = |kind: &str, name: &str, id: String| {
        found.push((kind.to_owned(), name.to_owned(), id));
    };
    for role in account.iam.roles.values() {
        let kind = if role.is_service_linked() {
            "AWS::IAM::ServiceLinkedRole"
        } else {
            "AWS::IAM::Role"
        };
        add(kind, &role.name, role.id.clone());
    }
    let Some(region) = account.regions.get(region) else {
        return found;
    };
    let ec2 = &region.ec2;
    let live = ec2.nat_gateways.values();
    let live = live.filter(|it| it.deletion.is_none() && it.failure.is_none());
    let tagged = (ec2.vpcs.values().map(|it| ("VPC", &it.id, &it.tags)))
        .chain((ec2.subnets.values()).map(|it| ("Subnet", &it.id, &it.tags)))
        .chain((ec2.internet_gateways.values()).map(|it| ("InternetGateway", &it.id, &it.tags)))
        .chain((ec2.addresses.values()).map(|it| ("EIP", &it.id, &it.tags)))
        .chain(live.map(|it| ("NatGateway", &it.id, &it.tags)))
        .chain((ec2.route_tables.values()).map(|it| ("RouteTable", &it.id, &it.tags)));
    for (kind, id, tags) in tagged {
        if let Some(role) = role_of(tags) {
            add(&format!("AWS::EC2::{kind}"), role, id.clone());
        }
    }
    for cluster in region.eks.clusters.values() {
        let name = &cluster.name;
        add("AWS::EKS::Cluster", name, cluster.created_at.to_string());
        for (profile, made) in &cluster.fargate_profiles {
            let name = format!("{name}/{profile}");
            add(
                "AWS::EKS::FargateProfile",
                &name,
                made.created_at.to_string(),
            );
        }
        for (addon, made) in &cluster.addons {
            let name = format!("{name}/{addon}");
            add("AWS::EKS::Addon", &name, made.created_at.to_string());
        }
        // EKS makes that of Fargate's nodes ([`entries_of_pods`]).
        let entries = cluster.access_entries.values();
        for entry in entries.filter(|it| it.kind == "STANDARD") {
            // EKS makes one for itself.
            if !entry.principal_arn.contains(":role/aws-service-role/") {
                let made = entry.created_at.to_string();
                add("AWS::EKS::AccessEntry", &entry.principal_arn, made);
            }
        }
    }
    for (name, group) in &region.logs.groups {
        add("AWS::Logs::LogGroup", name, group.created_at.to_string());
    }
    found
}

/// The access entries of Fargate's nodes in the same form. EKS makes them with the first profile, so a preview lists
/// them only where the run makes one.
#[must_use]
pub fn entries_of_pods(
    state: &State,
    account: &str,
    region: &str,
) -> Vec<(String, String, String)> {
    let account = state.accounts.get(account);
    let region = account.and_then(|account| account.regions.get(region));
    let clusters = region.into_iter().flat_map(|it| it.eks.clusters.values());
    let entries = clusters.flat_map(|cluster| cluster.access_entries.values());
    let of_pods = entries.filter(|entry| entry.kind == "FARGATE_LINUX");
    let named = of_pods.map(|entry| {
        let kind = "AWS::EKS::AccessEntry".to_owned();
        (
            kind,
            entry.principal_arn.clone(),
            entry.created_at.to_string(),
        )
    });
    named.collect()
}

/// What AWS makes by itself has no tags.
fn role_of(tags: &Tags) -> Option<&str> {
    tags.get("hardway:role").map(String::as_str)
}
