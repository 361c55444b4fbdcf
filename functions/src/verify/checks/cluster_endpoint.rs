//! Whether nodes reach the Kubernetes API (EKS user guide, cluster endpoint access: with a restricted
//! public endpoint and without a private one, what pods on Fargate come from must be among the allowed
//! blocks).

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::{problem, warning};
use crate::verify::facts::{Facts, Known};
use crate::verify::problem::{Problem, Severity};
use crate::verify::way_out::{WayOut, nat_gateways_of_pods, pod_subnets_with, relies_on_endpoints};

/// Private access is off, and the public endpoint is not open for the pods' NAT gateways.
pub fn unreachable(facts: &Facts) -> Vec<Problem> {
    if facts.has_private_endpoint() {
        return vec![];
    }
    let blocks = facts.public_access_cidrs();
    let isolated = pod_subnets_with(facts, |way| way == WayOut::Nowhere);
    if !isolated.is_empty() && matches!(relies_on_endpoints(facts), Known::Read(true)) {
        let seen = "private access is off, and the pods' subnets have no way to the internet";
        return vec![of(facts, Severity::Error, seen.to_owned())];
    }
    let lets_in = |address: Ipv4Addr| {
        let blocks = blocks
            .iter()
            .filter_map(|block| block.parse::<Ipv4Net>().ok());
        blocks.into_iter().any(|block| block.contains(&address))
    };
    let mut refused: Vec<String> = vec![];
    for (gateway, _) in nat_gateways_of_pods(facts) {
        let addresses = gateway.nat_gateway_addresses().iter();
        let addresses = addresses.filter_map(|it| it.public_ip()?.parse::<Ipv4Addr>().ok());
        refused.extend(
            addresses
                .filter(|it| !lets_in(*it))
                .map(|it| it.to_string()),
        );
    }
    if !refused.is_empty() {
        let seen = format!(
            "private access is off, and publicAccessCidrs ({}) does not have the addresses of the \
             NAT gateways: {}",
            blocks.join(", "),
            refused.join(", ")
        );
        return vec![of(facts, Severity::Error, seen)];
    }
    let elsewhere = pod_subnets_with(facts, |way| matches!(way, WayOut::Elsewhere(_)));
    let is_open = lets_in(Ipv4Addr::UNSPECIFIED) && lets_in(Ipv4Addr::BROADCAST);
    if elsewhere.is_empty() || is_open {
        return vec![];
    }
    vec![warning(
        facts.cluster_arn(),
        format!(
            "private access is off, publicAccessCidrs is {}, and from which address the pods come \
             cannot be seen",
            blocks.join(", ")
        ),
        "private access on",
        fix(facts),
    )]
}

fn of(facts: &Facts, severity: Severity, seen: String) -> Problem {
    let expected = "private access on, or publicAccessCidrs with the addresses of the NAT gateways";
    problem(severity, facts.cluster_arn(), seen, expected, fix(facts))
}

fn fix(facts: &Facts) -> String {
    format!(
        "run aws eks update-cluster-config --name {} --resources-vpc-config \
         endpointPrivateAccess=true",
        facts.cluster_name()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::fixtures::{healthy, private_only, public_table, route, table};

    fn with_public(mut facts: Facts, blocks: &[&str]) -> Facts {
        let config = facts.cluster.resources_vpc_config.as_mut().unwrap();
        config.endpoint_private_access = false;
        config.endpoint_public_access = true;
        config.public_access_cidrs = Some(blocks.iter().map(ToString::to_string).collect());
        facts
    }

    #[test]
    fn an_open_endpoint_or_one_that_knows_the_gateway_answers() {
        for blocks in [&["0.0.0.0/0"][..], &["192.0.2.0/24", "203.0.113.10/32"]] {
            assert_eq!(unreachable(&with_public(healthy(), blocks)), []);
        }
    }

    #[test]
    fn a_gateway_that_is_not_let_in_is_named() {
        let found = unreachable(&with_public(healthy(), &["192.0.2.0/24"]));
        assert_eq!(found[0].severity, Severity::Error);
        assert!(found[0].seen.ends_with("203.0.113.10"), "{:?}", found[0]);
        // Privately it is reached whatever the public one says.
        let mut facts = with_public(healthy(), &["192.0.2.0/24"]);
        let config = facts.cluster.resources_vpc_config.as_mut().unwrap();
        config.endpoint_private_access = true;
        assert_eq!(unreachable(&facts), []);
    }

    #[test]
    fn without_a_way_out_only_a_private_endpoint_answers() {
        let found = unreachable(&with_public(private_only(), &["0.0.0.0/0"]));
        assert!(found[0].seen.contains("no way to the internet"));
    }

    #[test]
    fn an_unknown_address_is_a_warning_unless_all_are_let_in() {
        let mut facts = healthy();
        let private = table(
            "rtb-private",
            &["subnet-a", "subnet-b"],
            vec![route("tgw-1")],
        );
        facts.route_tables = Known::Read(vec![private, public_table()]);
        let found = unreachable(&with_public(facts.clone(), &["192.0.2.0/24"]));
        assert_eq!(found[0].severity, Severity::Warning);
        assert_eq!(unreachable(&with_public(facts, &["0.0.0.0/0"])), []);
    }
}
