//! The security group that EKS made: the control plane and all pods on Fargate have it.
//!
//! EKS user guide, security group requirements: it lets itself in, and everything out. Who restricts it
//! has to leave at least 443, 10250 and DNS between its members, and the way to the registries. Tools that
//! take "open" rules away take these (eksctl issue 6455, aws/containers-roadmap issue 1355).

use aws_sdk_ec2::types::{IpPermission, SecurityGroup};
use ipnet::Ipv4Net;

use super::error;
use crate::verify::facts::Facts;
use crate::verify::problem::Problem;

/// What the members of the group have to reach of each other: protocol, port, and what it is for.
const NEEDED: [(&str, i32, &str); 4] = [
    ("tcp", 443, "the Kubernetes API"),
    ("tcp", 10250, "the kubelets"),
    ("tcp", 53, "CoreDNS"),
    ("udp", 53, "CoreDNS"),
];
/// HTTPS, to registries and to AWS.
const HTTPS: (&str, i32) = ("tcp", 443);

/// The group does not let its own members in.
pub fn closed(facts: &Facts) -> Vec<Problem> {
    let group = group(facts);
    let lacking = group.map(|group| lacking(facts, group.ip_permissions()));
    let lacking = lacking.filter(|lacking| !lacking.is_empty());
    let id = facts.cluster_security_group().unwrap_or_default();
    let found = lacking.map(|lacking| {
        error(
            id,
            format!(
                "it does not let its own members in to {}",
                lacking.join(", ")
            ),
            "a rule that lets in all traffic from the group itself, as EKS made it",
            format!(
                "run aws ec2 authorize-security-group-ingress --group-id {id} --protocol all \
                 --source-group {id}"
            ),
        )
    });
    found.into_iter().collect()
}

/// The group does not let its members out: to each other, or to the internet.
pub fn no_egress(facts: &Facts) -> Vec<Problem> {
    let Some(group) = group(facts) else {
        return vec![];
    };
    let rules = group.ip_permissions_egress();
    let mut lacking = lacking(facts, rules);
    if !rules.iter().any(lets_out) {
        lacking.push("TCP 443 outside the group (registries, STS)".to_owned());
    }
    if lacking.is_empty() {
        return vec![];
    }
    let id = facts.cluster_security_group().unwrap_or_default();
    vec![error(
        id,
        format!("it does not let its members out to {}", lacking.join(", ")),
        "a rule that lets out all traffic, as EKS made it",
        format!(
            "run aws ec2 authorize-security-group-egress --group-id {id} --protocol all --cidr 0.0.0.0/0"
        ),
    )]
}

/// The group, if it can be seen.
fn group(facts: &Facts) -> Option<&SecurityGroup> {
    let id = facts.cluster_security_group()?;
    let mut groups = facts.security_groups.read()?.iter();
    groups.find(|group| group.group_id() == Some(id))
}

/// What of [`NEEDED`] the rules do not let through between the group's members.
fn lacking(facts: &Facts, rules: &[IpPermission]) -> Vec<String> {
    let is_let_through = |protocol: &str, port: i32| {
        rules
            .iter()
            .any(|rule| has_port(rule, protocol, port) && is_between_members(facts, rule))
    };
    let needed = NEEDED.iter();
    let lacking = needed.filter(|(protocol, port, _)| !is_let_through(protocol, *port));
    lacking
        .map(|(protocol, port, what)| format!("{} {port} ({what})", protocol.to_uppercase()))
        .collect()
}

fn has_port(rule: &IpPermission, protocol: &str, port: i32) -> bool {
    let number = if protocol == "tcp" { "6" } else { "17" };
    match rule.ip_protocol() {
        Some("-1") => true,
        Some(of) if of == protocol || of == number => {
            rule.from_port().is_none_or(|from| from <= port)
                && rule.to_port().is_none_or(|to| port <= to)
        }
        _ => false,
    }
}

/// Whether the rule is about the group itself, or about all subnets of pods. What is in a prefix list is
/// not read, so it may be.
fn is_between_members(facts: &Facts, rule: &IpPermission) -> bool {
    let own = facts.cluster_security_group();
    let mut pairs = rule.user_id_group_pairs().iter();
    pairs.any(|pair| pair.group_id() == own)
        || !rule.prefix_list_ids().is_empty()
        || has_pod_subnets(facts, rule)
}

fn has_pod_subnets(facts: &Facts, rule: &IpPermission) -> bool {
    let blocks = rule.ip_ranges().iter().filter_map(|range| range.cidr_ip());
    let blocks: Vec<Ipv4Net> = blocks.filter_map(|block| block.parse().ok()).collect();
    !blocks.is_empty()
        && facts.pod_subnets().into_iter().all(|subnet| {
            let block = facts.subnet(subnet).and_then(|it| it.cidr_block());
            let block = block.and_then(|block| block.parse::<Ipv4Net>().ok());
            block.is_some_and(|subnet| blocks.iter().any(|block| block.contains(&subnet)))
        })
}

/// Whether HTTPS leaves for anywhere: where exactly the registries are, or the endpoints for them, is not
/// judged here.
fn lets_out(rule: &IpPermission) -> bool {
    let (protocol, port) = HTTPS;
    let is_anywhere = !rule.ip_ranges().is_empty() || !rule.prefix_list_ids().is_empty();
    let has_groups = !rule.user_id_group_pairs().is_empty();
    has_port(rule, protocol, port) && (is_anywhere || has_groups)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::facts::Known;
    use crate::verify::fixtures::healthy;
    use aws_sdk_ec2::types::{IpRange, UserIdGroupPair};

    const OWN: &str = "sg-cluster";

    fn all() -> aws_sdk_ec2::types::builders::IpPermissionBuilder {
        IpPermission::builder().ip_protocol("-1")
    }

    fn itself(
        rule: aws_sdk_ec2::types::builders::IpPermissionBuilder,
    ) -> aws_sdk_ec2::types::builders::IpPermissionBuilder {
        rule.user_id_group_pairs(UserIdGroupPair::builder().group_id(OWN).build())
    }

    fn block(cidr: &str) -> IpRange {
        IpRange::builder().cidr_ip(cidr).build()
    }

    fn with(ingress: Vec<IpPermission>, egress: Vec<IpPermission>) -> Facts {
        let mut facts = healthy();
        let group = SecurityGroup::builder()
            .group_id(OWN)
            .set_ip_permissions(Some(ingress))
            .set_ip_permissions_egress(Some(egress));
        facts.security_groups = Known::Read(vec![group.build()]);
        facts
    }

    fn as_eks_made_it() -> (IpPermission, IpPermission) {
        let out = all().ip_ranges(block("0.0.0.0/0"));
        (itself(all()).build(), out.build())
    }

    #[test]
    fn the_group_as_eks_made_it_is_right() {
        let (ingress, egress) = as_eks_made_it();
        let facts = with(vec![ingress], vec![egress]);
        assert_eq!((closed(&facts), no_egress(&facts)), (vec![], vec![]));
    }

    #[test]
    fn a_group_without_rules_lacks_everything() {
        let facts = with(vec![], vec![]);
        let seen = &closed(&facts)[0].seen;
        for port in ["TCP 443", "TCP 10250", "TCP 53", "UDP 53"] {
            assert!(seen.contains(port), "{seen}");
        }
        let seen = &no_egress(&facts)[0].seen;
        assert!(seen.contains("registries"), "{seen}");
    }

    #[test]
    fn the_least_rules_that_eks_names_are_enough() {
        let least = || {
            NEEDED.map(|(protocol, port, _)| {
                let rule = IpPermission::builder().ip_protocol(protocol);
                itself(rule.from_port(port).to_port(port)).build()
            })
        };
        let https = IpPermission::builder().ip_protocol("tcp");
        let https = https.from_port(443).to_port(443);
        let https = https.ip_ranges(block("0.0.0.0/0")).build();
        let egress = least().into_iter().chain([https]).collect();
        let facts = with(least().to_vec(), egress);
        assert_eq!((closed(&facts), no_egress(&facts)), (vec![], vec![]));
        let without_dns = least()[..2].to_vec();
        let seen = &closed(&with(without_dns, vec![]))[0].seen;
        assert!(seen.contains("UDP 53") && !seen.contains("10250"), "{seen}");
    }

    #[test]
    fn blocks_of_all_pod_subnets_stand_for_the_group() {
        let (_, egress) = as_eks_made_it();
        let of = |cidr: &str| vec![all().ip_ranges(block(cidr)).build()];
        assert_eq!(closed(&with(of("10.0.0.0/16"), vec![egress.clone()])), []);
        let some = closed(&with(of("10.0.0.0/24"), vec![egress]));
        assert_eq!(some.len(), 1);
    }

    #[test]
    fn a_group_that_cannot_be_seen_is_not_blamed() {
        let mut facts = healthy();
        assert_eq!((closed(&facts), no_egress(&facts)), (vec![], vec![]));
        facts.security_groups = Known::Unread;
        assert_eq!((closed(&facts), no_egress(&facts)), (vec![], vec![]));
    }
}
