//! The catalogue: what can be wrong, the most likely first, each row a pure function of the facts.
//!
//! The order is that of the reports that users of other tools file; the three classic pitfalls come
//! first. What follows from another row is not reported beside it.

mod access_entry;
mod addon;
mod cluster;
mod cluster_endpoint;
mod cluster_group;
mod compute_type;
mod dns;
mod kubelets;
mod nat;
mod pod_role;
mod pods_and_profile;
mod profiles;
mod quota;
mod selectors;
mod subnets;
mod unread;
mod version;
mod vpc_endpoints;

use crate::verify::facts::Facts;
use crate::verify::problem::{Problem, Severity};

pub use addon::LOOK_NEXT;

/// A row of the catalogue.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Its stable name.
    pub id: &'static str,
    /// What is wrong, as a sentence.
    pub title: &'static str,
    /// Finds it.
    pub check: fn(&Facts) -> Vec<Problem>,
}

const fn row(id: &'static str, title: &'static str, check: fn(&Facts) -> Vec<Problem>) -> Row {
    Row { id, title, check }
}

/// The row that says only that CoreDNS does not run.
pub const SYMPTOM: &str = "coredns-unhealthy";

/// All rows, the most likely cause first.
pub const CATALOGUE: &[Row] = &[
    row(
        "no-nat-route",
        "The subnet of a Fargate profile has no route to a NAT gateway.",
        nat::no_route,
    ),
    row(
        "nat-route-blackhole",
        "The route of such a subnet leads to a gateway that is gone.",
        nat::black_hole,
    ),
    row(
        "nat-gateway-not-available",
        "The NAT gateway of such a subnet is not available.",
        nat::not_available,
    ),
    row(
        "nat-gateway-in-private-subnet",
        "The NAT gateway has no way to the internet itself.",
        nat::in_private_subnet,
    ),
    row(
        "vpc-block-public-access",
        "VPC Block Public Access cuts off the NAT gateway.",
        nat::blocked,
    ),
    row(
        "dns-hostnames-off",
        "The VPC's DNS hostnames are off: every node is called fargate-null.",
        dns::hostnames_off,
    ),
    row(
        "dns-support-off",
        "The VPC's DNS support is off.",
        dns::support_off,
    ),
    row(
        "coredns-not-on-fargate",
        "CoreDNS is not marked for Fargate.",
        compute_type::not_fargate,
    ),
    row(
        "coredns-older-than-profile",
        "CoreDNS' pods are older than the Fargate profile that selects them.",
        pods_and_profile::older,
    ),
    row(
        "coredns-not-selected",
        "No Fargate profile selects CoreDNS' pods.",
        selectors::not_selected,
    ),
    row(
        "pod-execution-role-missing",
        "The pod execution role of a profile does not exist.",
        pod_role::missing,
    ),
    row(
        "pod-execution-role-trust",
        "The pod execution role does not trust Fargate for the profile.",
        pod_role::trust,
    ),
    row(
        "pod-execution-role-policy",
        "The pod execution role may not pull images.",
        pod_role::policy,
    ),
    row(
        "access-entry-missing",
        "The pod execution role has no access entry of type FARGATE_LINUX.",
        access_entry::missing,
    ),
    row(
        "access-entry-stale",
        "The pod execution role was made again; its access entry holds for the old one.",
        access_entry::stale,
    ),
    row(
        "vpc-endpoint-missing",
        "A VPC without a way to the internet lacks a VPC endpoint.",
        vpc_endpoints::missing,
    ),
    row(
        "vpc-endpoint-not-routed",
        "The gateway endpoint of S3 is not in the route table of the pods' subnet.",
        vpc_endpoints::not_routed,
    ),
    row(
        "vpc-endpoint-without-private-dns",
        "A VPC endpoint is not found under the service's own name.",
        vpc_endpoints::without_private_dns,
    ),
    row(
        "vpc-endpoint-closed",
        "The security group of a VPC endpoint does not let the pods in.",
        vpc_endpoints::closed,
    ),
    row(
        "cluster-security-group-closed",
        "The cluster's security group does not let its own members in.",
        cluster_group::closed,
    ),
    row(
        "cluster-security-group-no-egress",
        "The cluster's security group does not let its members out.",
        cluster_group::no_egress,
    ),
    row(
        "cluster-endpoint-unreachable",
        "The cluster's endpoint does not answer the nodes.",
        cluster_endpoint::unreachable,
    ),
    row(
        "profile-in-public-subnet",
        "A Fargate profile has a public subnet.",
        subnets::public,
    ),
    row(
        "unsupported-zone",
        "A subnet is in an Availability Zone in which EKS or Fargate does not work.",
        subnets::unsupported_zone,
    ),
    row(
        "fargate-quota",
        "The account's quota of Fargate vCPUs is too low for CoreDNS.",
        quota::too_low,
    ),
    row(
        "no-free-addresses",
        "The subnets of a Fargate profile have no free address.",
        subnets::full,
    ),
    row(
        "fargate-profile-unhealthy",
        "EKS says that a Fargate profile is not well.",
        profiles::unhealthy,
    ),
    row(
        "cluster-unhealthy",
        "EKS says that the cluster is not well.",
        cluster::unhealthy,
    ),
    row(
        "user-access-entry-stale",
        "A person's role was made again; its access entry holds for the old one.",
        access_entry::stale_of_users,
    ),
    row(
        "coredns-missing",
        "CoreDNS is not an EKS add-on here.",
        addon::missing,
    ),
    row(
        "kubernetes-version-support",
        "The Kubernetes version is out of standard support.",
        version::out_of_support,
    ),
    row(
        "kubelets-too-old",
        "Pods' kubelets are too old for the next Kubernetes version.",
        kubelets::too_old,
    ),
    row(
        SYMPTOM,
        "EKS says that CoreDNS does not run as it should.",
        addon::unhealthy,
    ),
    row(
        "way-out-unknown",
        "Where the pods' traffic goes cannot be judged from here.",
        nat::unknown,
    ),
    row(
        "aws-auth-unknown",
        "Access is in the ConfigMap aws-auth, which AWS's APIs do not show.",
        access_entry::config_map,
    ),
    row(
        "not-checked",
        "Something could not be read.",
        unread::not_checked,
    ),
];

fn problem(
    severity: Severity,
    resource: &str,
    seen: impl Into<String>,
    expected: impl Into<String>,
    fix: impl Into<String>,
) -> Problem {
    Problem {
        severity,
        resource: resource.to_owned(),
        seen: seen.into(),
        expected: expected.into(),
        fix: fix.into(),
    }
}

fn error(
    resource: &str,
    seen: impl Into<String>,
    expected: impl Into<String>,
    fix: impl Into<String>,
) -> Problem {
    problem(Severity::Error, resource, seen, expected, fix)
}

fn warning(
    resource: &str,
    seen: impl Into<String>,
    expected: impl Into<String>,
    fix: impl Into<String>,
) -> Problem {
    problem(Severity::Warning, resource, seen, expected, fix)
}

fn info(
    resource: &str,
    seen: impl Into<String>,
    expected: impl Into<String>,
    fix: impl Into<String>,
) -> Problem {
    problem(Severity::Info, resource, seen, expected, fix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::fixtures::healthy;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_unique_and_in_kebab_case() {
        let ids: BTreeSet<&str> = CATALOGUE.iter().map(|row| row.id).collect();
        assert_eq!(ids.len(), CATALOGUE.len());
        for id in ids {
            let is_kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(id.chars().all(is_kebab), "{id}");
        }
    }

    #[test]
    fn no_row_finds_anything_in_a_healthy_cluster() {
        let facts = healthy();
        for row in CATALOGUE {
            assert_eq!((row.check)(&facts), [], "{}", row.id);
        }
    }

    #[test]
    fn the_page_for_people_has_the_same_rows_in_the_same_order() {
        let page = include_str!("../../../../docs/diagnosis.md");
        let cells = |line: &str| {
            let mut cells = line
                .trim_matches('|')
                .split('|')
                .map(|it| it.trim().to_owned());
            Some((cells.next()?, cells.next()?))
        };
        let rows: Vec<_> = page
            .lines()
            .filter(|line| line.starts_with("| `"))
            .filter_map(cells)
            .collect();
        let expected: Vec<_> = CATALOGUE
            .iter()
            .map(|row| (format!("`{}`", row.id), row.title.to_owned()))
            .collect();
        assert_eq!(rows, expected);
    }
}
