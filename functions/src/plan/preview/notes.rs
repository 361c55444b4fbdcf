//! What a person should know before the execution starts.

use aws_sdk_eks::types::Cluster;
use ipnet::Ipv4Net;

use crate::model::spec::{FargateProfile, NatGateways, SupportType};
use crate::model::{KubernetesVersion, Plan};
use crate::plan::prices::MonthlyPrice;
use crate::plan::validate::EVERYONE;
use crate::plan::versions::Support;
use crate::resources::cluster::{failed_to_start, upgrade_from};

/// VPC user guide, VPC CIDR blocks: some AWS services use it for themselves.
const DOCKER: &str = "172.17.0.0/16";

/// Kubernetes documentation, labels: the longest value.
const LABEL_VALUE_MAX: usize = 63;

pub(super) fn of(
    plan: &Plan,
    cluster: Option<&Cluster>,
    support: &Support,
    price: Option<&MonthlyPrice>,
) -> Vec<String> {
    let notes = [
        of_support(plan, support),
        plan.admins.is_empty().then(|| {
            "nobody administers the cluster: name roles in access.admins".to_owned()
        }),
        (plan.endpoint.public_cidrs == [EVERYONE]).then(|| {
            "the Kubernetes API can be reached from every address (whoever has no access entry is \
             refused); endpoint.publicCidrs restricts it"
                .to_owned()
        }),
        (plan.network.nat_gateways == NatGateways::Single).then(|| {
            "one NAT gateway serves all zones: when its zone is down, no pod reaches anything outside"
                .to_owned()
        }),
        of_cidr(plan.network.cidr),
        cluster.map(|cluster| of_existing(plan, cluster)),
        Some(of_price(plan, price)),
    ];
    let long = plan.fargate_profiles.iter().filter_map(of_long_name);
    notes.into_iter().flatten().chain(long).collect()
}

/// Pods carry their profile's name as the value of the label `eks.amazonaws.com/fargate-profile` (EKS user
/// guide, Fargate profiles). EKS takes 100 characters, Kubernetes 63 for a label's value; what becomes of
/// pods in between nobody has reported, so it is said and not refused.
fn of_long_name(profile: &FargateProfile) -> Option<String> {
    let name = &profile.name;
    (name.len() > LABEL_VALUE_MAX).then(|| {
        format!(
            "the name of the Fargate profile {name} has {} characters; its pods carry it as a label, whose \
             values Kubernetes ends at {LABEL_VALUE_MAX}, so they may not start",
            name.len()
        )
    })
}

fn of_existing(plan: &Plan, cluster: &Cluster) -> String {
    if failed_to_start(cluster) {
        return "the control plane is FAILED and never was ACTIVE, so it is replaced; onFailure is keep"
            .to_owned();
    }
    let stays = "the cluster exists: onFailure is keep, its Fargate profiles stay as they are";
    match upgrade_from(plan, cluster) {
        Some(current) => format!(
            "{stays}; it is upgraded from Kubernetes {current} to {}, which hardway does not take back",
            plan.kubernetes_version
        ),
        None => match newer_than_asked(plan, cluster) {
            Some(current) => format!(
                "{stays}; it keeps Kubernetes {current}, though the input asks for {}: hardway makes no \
                 downgrade (EKS upgrades a cluster by itself at the end of standard support)",
                plan.kubernetes_version
            ),
            None => format!("{stays}, and so does its Kubernetes version"),
        },
    }
}

/// The version that the cluster has and keeps, where the input asks for an older one.
fn newer_than_asked<'a>(plan: &Plan, cluster: &'a Cluster) -> Option<&'a str> {
    let current = cluster.version()?;
    let is_newer =
        KubernetesVersion::parse(current)? > KubernetesVersion::parse(&plan.kubernetes_version)?;
    is_newer.then_some(current)
}

fn of_support(plan: &Plan, support: &Support) -> Option<String> {
    let version = &support.version;
    if support.is_extended {
        let until = support.extended_until.as_deref().unwrap_or("its end");
        return Some(format!(
            "Kubernetes {version} is in extended support until {until}: the control plane costs 0.60 \
             USD an hour instead of 0.10"
        ));
    }
    let until = support.standard_until.as_deref()?;
    let then = match plan.support_type {
        SupportType::Standard => "then EKS upgrades the cluster by itself",
        SupportType::Extended => "then the control plane costs six times as much",
    };
    Some(format!(
        "Kubernetes {version} has standard support until {until}; {then}"
    ))
}

fn of_cidr(cidr: Ipv4Net) -> Option<String> {
    let docker: Ipv4Net = DOCKER.parse().ok()?;
    (cidr.contains(&docker) || docker.contains(&cidr))
        .then(|| format!("{cidr} overlaps {DOCKER}, which some AWS services use for themselves"))
}

fn of_price(plan: &Plan, price: Option<&MonthlyPrice>) -> String {
    match price {
        Some(price) => format!(
            "prices are list prices as of {}, without traffic, log lines and your own pods",
            price.date
        ),
        None => format!(
            "hardway knows no prices of {}: see the pricing pages of EKS, VPC and Fargate",
            plan.target.region
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn support(is_extended: bool) -> Support {
        Support {
            version: "1.33".to_owned(),
            is_extended,
            standard_until: Some("2026-07-29".to_owned()),
            extended_until: Some("2027-07-29".to_owned()),
        }
    }

    fn notes(change: impl FnOnce(&mut Plan), is_extended: bool) -> String {
        let mut plan = Plan::example();
        change(&mut plan);
        of(&plan, None, &support(is_extended), None).join("\n")
    }

    #[test]
    fn extended_support_is_said_with_its_price_and_its_end() {
        let extended = notes(|_| (), true);
        assert!(extended.contains("until 2027-07-29: the control plane costs 0.60"));
        let standard = notes(|_| (), false);
        assert!(
            standard.contains("until 2026-07-29; then EKS upgrades"),
            "{standard}"
        );
    }

    #[test]
    fn risks_are_noted() {
        let calm = notes(|_| (), false);
        for (change, said) in [
            (
                (|plan| plan.admins.clear()) as fn(&mut Plan),
                "nobody administers",
            ),
            (
                |plan| plan.network.nat_gateways = NatGateways::Single,
                "one NAT gateway",
            ),
            (
                |plan| plan.network.cidr = "172.17.0.0/20".parse().unwrap(),
                "overlaps 172.17.0.0/16",
            ),
        ] {
            assert!(notes(change, false).contains(said), "{said}");
            assert!(!calm.contains(said), "{said}");
        }
        assert!(calm.contains("from every address"));
        let restricted = notes(
            |plan| plan.endpoint.public_cidrs = vec!["203.0.113.0/24".to_owned()],
            false,
        );
        assert!(!restricted.contains("from every address"));
    }

    #[test]
    fn of_a_cluster_that_exists_is_said_what_stays_and_what_does_not() {
        let plan = Plan::example();
        let said = |version: &str| {
            let cluster = Cluster::builder().version(version).build();
            of(&plan, Some(&cluster), &support(false), None).join("\n")
        };
        let same = said(&plan.kubernetes_version);
        assert!(
            same.contains("and so does its Kubernetes version"),
            "{same}"
        );
        let older = said("1.35");
        assert!(
            older.contains("upgraded from Kubernetes 1.35 to 1.36"),
            "{older}"
        );
        assert!(!notes(|_| (), false).contains("the cluster exists"));
        let newer = said("1.37");
        assert!(newer.contains("keeps Kubernetes 1.37"), "{newer}");
        assert!(newer.contains("asks for 1.36"), "{newer}");
    }

    #[test]
    fn a_profile_name_that_is_too_long_for_a_label_is_said() {
        let named = |length: usize| {
            notes(
                |plan| plan.fargate_profiles[0].name = "x".repeat(length),
                false,
            )
        };
        assert!(!named(63).contains("carry it as a label"));
        let said = named(64);
        assert!(said.contains("has 64 characters"), "{said}");
    }

    #[test]
    fn a_region_without_prices_is_named() {
        assert!(notes(|_| (), false).contains("no prices of ap-northeast-1"));
    }
}
