//! The VPC endpoints that stand in for a way to the internet (EKS user guide, private clusters; Amazon
//! ECR user guide, interface VPC endpoints: images' layers come from S3).

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{IpPermission, SecurityGroup, VpcEndpoint, VpcEndpointType};
use ipnet::Ipv4Net;

use super::{error, problem};
use crate::verify::facts::{Facts, Known};
use crate::verify::problem::{Problem, Severity};
use crate::verify::way_out::{
    WayOut, is_for, pod_subnets_with, relies_on_endpoints, route_table_of,
};

/// A service that pods on Fargate need, or are likely to.
struct Needed {
    service: &'static str,
    severity: Severity,
    what_for: &'static str,
}

const NEEDED: &[Needed] = &[
    Needed {
        service: "ecr.api",
        severity: Severity::Error,
        what_for: "to pull images",
    },
    Needed {
        service: "ecr.dkr",
        severity: Severity::Error,
        what_for: "to pull images",
    },
    Needed {
        service: "s3",
        severity: Severity::Error,
        what_for: "to pull images, whose layers are in S3",
    },
    Needed {
        service: "sts",
        severity: Severity::Error,
        what_for: "to get credentials for the role",
    },
    Needed {
        service: "logs",
        severity: Severity::Warning,
        what_for: "to send logs to CloudWatch Logs",
    },
];

/// HTTPS.
const PORT: i32 = 443;

/// Subnets of pods that reach nothing but the VPC's endpoints, where that is meant so.
fn isolated(facts: &Facts) -> Vec<&str> {
    if !matches!(relies_on_endpoints(facts), Known::Read(true)) {
        return vec![];
    }
    let subnets = pod_subnets_with(facts, |way| way == WayOut::Nowhere);
    subnets.into_iter().map(|(subnet, _)| subnet).collect()
}

fn endpoints_for<'a>(facts: &'a Facts, service: &'a str) -> impl Iterator<Item = &'a VpcEndpoint> {
    let endpoints = facts.vpc_endpoints.read().map_or(&[][..], Vec::as_slice);
    let is_its =
        move |it: &&VpcEndpoint| it.service_name().is_some_and(|name| is_for(name, service));
    endpoints.iter().filter(is_its)
}

/// Those of a service that work. EC2 and its model disagree on the spelling of states.
fn available<'a>(facts: &'a Facts, service: &'a str) -> Vec<&'a VpcEndpoint> {
    let is_available = |it: &&VpcEndpoint| state(it).eq_ignore_ascii_case("available");
    endpoints_for(facts, service).filter(is_available).collect()
}

fn state(endpoint: &VpcEndpoint) -> &str {
    endpoint.state().map_or("unknown", |state| state.as_str())
}

fn is_gateway(endpoint: &VpcEndpoint) -> bool {
    endpoint.vpc_endpoint_type() == Some(&VpcEndpointType::Gateway)
}

fn id(endpoint: &VpcEndpoint) -> &str {
    endpoint.vpc_endpoint_id().unwrap_or_default()
}

/// A needed service has no endpoint that works.
pub fn missing(facts: &Facts) -> Vec<Problem> {
    let subnets = isolated(facts);
    if subnets.is_empty() {
        return vec![];
    }
    let lacks = |needed: &&Needed| available(facts, needed.service).is_empty();
    let lacking = NEEDED.iter().filter(lacks);
    lacking
        .map(|needed| {
            let Needed {
                service, what_for, ..
            } = needed;
            let others = endpoints_for(facts, service);
            let others: Vec<String> = others
                .map(|it| format!("{} is {}", id(it), state(it)))
                .collect();
            let seen = match others.as_slice() {
                [] => "there is no VPC endpoint for it".to_owned(),
                others => others.join(", "),
            };
            let seen = format!("{seen}; {} have no way to the internet", subnets.join(", "));
            let expected = format!("an endpoint that is available, {what_for}");
            let vpc = facts.vpc_id();
            let fix = format!("make the endpoint in {vpc}, or lead the subnets to a NAT gateway");
            problem(needed.severity, service, seen, expected, fix)
        })
        .collect()
}

/// S3 has a gateway endpoint, but not for the subnet's route table.
pub fn not_routed(facts: &Facts) -> Vec<Problem> {
    let s3 = available(facts, "s3");
    // An interface endpoint needs no route.
    if s3.is_empty() || s3.iter().any(|endpoint| !is_gateway(endpoint)) {
        return vec![];
    }
    let is_routed = |table: &str| {
        let mut tables = s3.iter().flat_map(|endpoint| endpoint.route_table_ids());
        tables.any(|id| id == table)
    };
    let isolated = isolated(facts).into_iter();
    let tables = isolated.filter_map(|subnet| route_table_of(facts, subnet)?.route_table_id());
    let tables: BTreeSet<&str> = tables.filter(|table| !is_routed(table)).collect();
    let endpoint = s3.first().map_or("", |endpoint| id(endpoint));
    tables
        .into_iter()
        .map(|table| {
            error(
                endpoint,
                format!(
                    "it is not in the route table {table}, which subnets of Fargate profiles use"
                ),
                "a route to S3 in the route table of every such subnet",
                format!(
                    "run aws ec2 modify-vpc-endpoint --vpc-endpoint-id {endpoint} \
                     --add-route-table-ids {table}"
                ),
            )
        })
        .collect()
}

/// The interface endpoints that pods need, each with its severity.
fn interfaces(facts: &Facts) -> Vec<(&VpcEndpoint, Severity)> {
    if isolated(facts).is_empty() {
        return vec![];
    }
    let of = |needed: &Needed| {
        let endpoints = available(facts, needed.service).into_iter();
        let interfaces = endpoints.filter(|endpoint| !is_gateway(endpoint));
        let severity = needed.severity;
        interfaces
            .map(move |endpoint| (endpoint, severity))
            .collect::<Vec<_>>()
    };
    NEEDED.iter().flat_map(of).collect()
}

/// An endpoint that nobody finds, because everybody asks for the service's own name.
pub fn without_private_dns(facts: &Facts) -> Vec<Problem> {
    let hidden = interfaces(facts).into_iter();
    let hidden = hidden.filter(|(endpoint, _)| endpoint.private_dns_enabled() != Some(true));
    hidden
        .map(|(endpoint, severity)| {
            let (endpoint, service) = (id(endpoint), endpoint.service_name().unwrap_or_default());
            problem(
                severity,
                endpoint,
                format!("private DNS is off for {service}"),
                "private DNS on: the service's own name leads to the endpoint",
                format!(
                    "run aws ec2 modify-vpc-endpoint --vpc-endpoint-id {endpoint} --private-dns-enabled"
                ),
            )
        })
        .collect()
}

/// An endpoint whose security groups do not let the pods in.
pub fn closed(facts: &Facts) -> Vec<Problem> {
    let Some(groups) = facts.security_groups.read() else {
        return vec![];
    };
    let own = facts.cluster_security_group().unwrap_or_default();
    let closed = interfaces(facts).into_iter();
    let closed = closed.filter(|(endpoint, _)| !is_open(facts, endpoint, groups));
    closed
        .map(|(endpoint, severity)| {
            let worn = endpoint.groups().iter().filter_map(|group| group.group_id());
            let worn: Vec<&str> = worn.collect();
            let group = worn.first().copied().unwrap_or_default();
            problem(
                severity,
                id(endpoint),
                format!(
                    "its security groups ({}) do not let in TCP port {PORT} from the cluster's, {own}",
                    worn.join(", ")
                ),
                format!("TCP port {PORT} open for {own}, which pods on Fargate have"),
                format!(
                    "run aws ec2 authorize-security-group-ingress --group-id {group} --protocol tcp \
                     --port {PORT} --source-group {own}"
                ),
            )
        })
        .collect()
}

fn is_open(facts: &Facts, endpoint: &VpcEndpoint, groups: &[SecurityGroup]) -> bool {
    let mut worn = endpoint
        .groups()
        .iter()
        .filter_map(|group| group.group_id());
    worn.any(|id| {
        let group = groups.iter().find(|group| group.group_id() == Some(id));
        // A group that cannot be seen cannot be blamed.
        group.is_none_or(|group| {
            group
                .ip_permissions()
                .iter()
                .any(|it| lets_pods_in(facts, it))
        })
    })
}

fn lets_pods_in(facts: &Facts, rule: &IpPermission) -> bool {
    let is_port = match rule.ip_protocol() {
        Some("-1") => true,
        Some("tcp" | "6") => {
            rule.from_port().is_none_or(|from| from <= PORT)
                && rule.to_port().is_none_or(|to| PORT <= to)
        }
        _ => false,
    };
    let own = facts.cluster_security_group();
    let mut pairs = rule.user_id_group_pairs().iter();
    let is_group = pairs.any(|pair| pair.group_id() == own);
    // What is in a prefix list is not read.
    let is_list = !rule.prefix_list_ids().is_empty();
    is_port && (is_group || is_list || lets_subnets_in(facts, rule))
}

/// Whether every subnet of pods is within the rule's blocks.
fn lets_subnets_in(facts: &Facts, rule: &IpPermission) -> bool {
    let blocks = rule.ip_ranges().iter().filter_map(|range| range.cidr_ip());
    let blocks: Vec<Ipv4Net> = blocks.filter_map(|block| block.parse().ok()).collect();
    facts.pod_subnets().into_iter().all(|subnet| {
        let block = facts.subnet(subnet).and_then(|it| it.cidr_block());
        let block = block.and_then(|block| block.parse::<Ipv4Net>().ok());
        block.is_some_and(|subnet| blocks.iter().any(|block| block.contains(&subnet)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::fixtures::private_only;
    use aws_sdk_ec2::types::{IpRange, State};

    fn change(facts: &mut Facts, service: &str, change: impl Fn(&mut VpcEndpoint)) {
        let Known::Read(endpoints) = &mut facts.vpc_endpoints else {
            panic!("unread");
        };
        let its = endpoints
            .iter_mut()
            .filter(|it| is_for(it.service_name().unwrap(), service));
        its.for_each(change);
    }

    #[test]
    fn a_cluster_with_all_endpoints_lacks_nothing() {
        let facts = private_only();
        for check in [missing, not_routed, without_private_dns, closed] {
            assert_eq!(check(&facts), []);
        }
    }

    #[test]
    fn each_missing_service_is_named_and_only_logs_are_optional() {
        for needed in NEEDED {
            let mut facts = private_only();
            change(&mut facts, needed.service, |it| {
                it.state = Some(State::Failed);
            });
            let found = missing(&facts);
            assert_eq!(found.len(), 1, "{}", needed.service);
            assert_eq!(found[0].resource, needed.service);
            assert_eq!(
                found[0].severity == Severity::Warning,
                needed.service == "logs"
            );
            assert!(found[0].seen.contains("is Failed"), "{:?}", found[0]);
        }
    }

    #[test]
    fn states_are_read_in_either_spelling() {
        let mut facts = private_only();
        change(&mut facts, "sts", |it| {
            it.state = Some(State::from("available"));
        });
        assert_eq!(missing(&facts), []);
    }

    #[test]
    fn s3_must_be_in_the_route_table_of_the_pods() {
        let mut facts = private_only();
        change(&mut facts, "s3", |it| {
            it.route_table_ids = Some(vec!["rtb-other".to_owned()]);
        });
        let found = not_routed(&facts);
        assert_eq!(found.len(), 1);
        assert!(found[0].seen.contains("rtb-private"), "{:?}", found[0]);
        change(&mut facts, "s3", |it| {
            it.vpc_endpoint_type = Some(VpcEndpointType::Interface);
        });
        assert_eq!(not_routed(&facts), []);
    }

    #[test]
    fn an_endpoint_must_have_the_services_name() {
        let mut facts = private_only();
        change(&mut facts, "ecr.dkr", |it| {
            it.private_dns_enabled = Some(false);
        });
        let found = without_private_dns(&facts);
        assert_eq!(found.len(), 1);
        assert!(found[0].seen.ends_with(".ecr.dkr"));
    }

    /// The endpoints' group with one rule.
    fn with_rule(protocol: &str, ports: Option<(i32, i32)>, block: &str) -> Facts {
        let mut facts = private_only();
        let range = IpRange::builder().cidr_ip(block).build();
        let mut rule = IpPermission::builder()
            .ip_protocol(protocol)
            .ip_ranges(range);
        if let Some((from, to)) = ports {
            rule = rule.from_port(from).to_port(to);
        }
        let group = SecurityGroup::builder().group_id("sg-endpoints");
        let group = group.ip_permissions(rule.build()).build();
        facts.security_groups = Known::Read(vec![group]);
        facts
    }

    #[test]
    fn endpoints_must_be_open_for_pods() {
        let open = [
            with_rule("-1", None, "0.0.0.0/0"),
            with_rule("tcp", Some((443, 443)), "10.0.0.0/16"),
            with_rule("tcp", Some((0, 65535)), "10.0.0.0/16"),
        ];
        for facts in open {
            assert_eq!(closed(&facts), []);
        }
        let shut = [
            with_rule("tcp", Some((80, 80)), "10.0.0.0/16"),
            with_rule("udp", Some((443, 443)), "10.0.0.0/16"),
            with_rule("tcp", Some((443, 443)), "192.168.0.0/16"),
        ];
        for facts in shut {
            // ecr.api, ecr.dkr, sts and logs; S3 has a gateway.
            assert_eq!(closed(&facts).len(), 4);
        }
    }
}
