//! The way from the subnets of Fargate profiles to the internet, through which images come.

use aws_sdk_ec2::types::{BlockPublicAccessMode, ConnectivityType, NatGateway, NatGatewayState};

use super::{error, info, problem};
use crate::verify::facts::{Facts, Known};
use crate::verify::problem::{Problem, Severity};
use crate::verify::way_out::{
    WayOut, nat_gateways_of_pods, pod_subnets_with, relies_on_endpoints, route_table_of, way_out,
};

const EXPECTED: &str = "a route from 0.0.0.0/0 to a NAT gateway that is available";

/// No default route, and no VPC endpoints that would make up for it.
pub fn no_route(facts: &Facts) -> Vec<Problem> {
    let severity = match relies_on_endpoints(facts) {
        Known::Read(true) => return vec![],
        Known::Read(false) => Severity::Error,
        Known::Unread => Severity::Warning,
    };
    let fix = |table: &str| {
        format!(
            "make a NAT gateway in a public subnet, then run aws ec2 create-route --route-table-id \
             {table} --destination-cidr-block 0.0.0.0/0 --nat-gateway-id <its id>"
        )
    };
    let lost = pod_subnets_with(facts, |way| way == WayOut::Nowhere);
    let lost: Vec<&str> = lost.into_iter().map(|(subnet, _)| subnet).collect();
    by_route_table(facts, &lost)
        .into_iter()
        .map(|(table, subnets)| {
            let seen = format!("no route to the internet for {}", of(facts, &subnets));
            problem(severity, table, seen, EXPECTED, fix(table))
        })
        .collect()
}

/// A default route to what is gone.
pub fn black_hole(facts: &Facts) -> Vec<Problem> {
    let lost = pod_subnets_with(facts, |way| matches!(way, WayOut::BlackHole(_)));
    let ids: Vec<&str> = lost.iter().map(|(subnet, _)| *subnet).collect();
    by_route_table(facts, &ids)
        .into_iter()
        .map(|(table, subnets)| {
            let target = match way_out(facts, subnets.first().copied().unwrap_or_default()) {
                WayOut::BlackHole(target) => target,
                _ => "something",
            };
            let seen = format!(
                "0.0.0.0/0 leads to {target}, which is not there any more (state blackhole), for {}",
                of(facts, &subnets)
            );
            let fix = format!(
                "run aws ec2 replace-route --route-table-id {table} --destination-cidr-block \
                 0.0.0.0/0 --nat-gateway-id <one that is available>"
            );
            error(table, seen, EXPECTED, fix)
        })
        .collect()
}

/// A NAT gateway that is not (yet, or any more) at work.
pub fn not_available(facts: &Facts) -> Vec<Problem> {
    let used = nat_gateways_of_pods(facts).into_iter();
    let idle = used.filter(|(gateway, _)| gateway.state() != Some(&NatGatewayState::Available));
    idle.map(|(gateway, subnets)| {
        let state = gateway.state().map_or("unknown", |state| state.as_str());
        let why = [gateway.failure_code(), gateway.failure_message()];
        let why: Vec<&str> = why.into_iter().flatten().collect();
        let why = match why.as_slice() {
            [] => String::new(),
            why => format!(" ({})", why.join(": ")),
        };
        let seen = format!("it is {state}{why}; it serves {}", of(facts, &subnets));
        let (severity, fix) = match gateway.state() {
            Some(NatGatewayState::Pending) => {
                (Severity::Warning, "wait: it takes about two minutes")
            }
            _ => (
                Severity::Error,
                "make a new one in a public subnet, and lead the route there",
            ),
        };
        problem(severity, id(gateway), seen, "state available", fix)
    })
    .collect()
}

/// A NAT gateway whose own subnet does not lead to an internet gateway.
pub fn in_private_subnet(facts: &Facts) -> Vec<Problem> {
    let expected = "a public NAT gateway in a subnet whose 0.0.0.0/0 leads to an internet gateway";
    let used = nat_gateways_of_pods(facts).into_iter();
    let stuck = used.filter_map(|(gateway, subnets)| {
        // A regional one is in no subnet.
        let subnet = gateway.subnet_id().filter(|id| !id.is_empty())?;
        let is_private = gateway.connectivity_type() == Some(&ConnectivityType::Private);
        let why = match way_out(facts, subnet) {
            WayOut::Elsewhere(_) | WayOut::Unknown => return None,
            WayOut::InternetGateway(_) if !is_private => return None,
            WayOut::InternetGateway(_) => "it has no public address".to_owned(),
            WayOut::Nowhere => format!("its subnet {subnet} has no route to the internet"),
            WayOut::NatGateway(other) => {
                format!("its subnet {subnet} is private: 0.0.0.0/0 leads to {other}")
            }
            WayOut::BlackHole(target) => {
                format!("0.0.0.0/0 of its subnet {subnet} leads to {target}, which is not there")
            }
        };
        let seen = format!("{why}; it serves {}", of(facts, &subnets));
        let fix = "lead 0.0.0.0/0 of its subnet to the VPC's internet gateway, or make a NAT gateway \
                   in a public subnet";
        Some(error(id(gateway), seen, expected, fix))
    });
    stuck.collect()
}

/// A NAT gateway whose subnet VPC Block Public Access cuts off. `block-ingress` lets NAT gateways out
/// (VPC user guide, block public access).
pub fn blocked(facts: &Facts) -> Vec<Problem> {
    let expected = "block-ingress, with which NAT gateways work, or off";
    let used = nat_gateways_of_pods(facts).into_iter();
    let blocked = used.filter_map(|(gateway, subnets)| {
        let subnet = gateway.subnet_id()?;
        let states = facts.subnet(subnet)?.block_public_access_states();
        let mode = states.and_then(|states| states.internet_gateway_block_mode());
        if mode != Some(&BlockPublicAccessMode::BlockBidirectional) {
            return None;
        }
        let seen = format!(
            "VPC Block Public Access is block-bidirectional for its subnet {subnet}: it passes nothing; it \
             serves {}",
            of(facts, &subnets)
        );
        let fix = format!(
            "have the account's setting, or the organization's declarative policy, say block-ingress; or \
             run aws ec2 create-vpc-block-public-access-exclusion --vpc-id {} \
             --internet-gateway-exclusion-mode allow-egress",
            facts.vpc_id()
        );
        Some(error(id(gateway), seen, expected, fix))
    });
    blocked.collect()
}

/// A way that leaves what this account shows.
pub fn unknown(facts: &Facts) -> Vec<Problem> {
    let is_unknown =
        |way| matches!(way, WayOut::Elsewhere(_)) || (way == WayOut::Unknown && has_tables(facts));
    let unknown = pod_subnets_with(facts, is_unknown).into_iter();
    unknown
        .map(|(subnet, way)| {
            let seen = match way {
                WayOut::Elsewhere(target) => format!("its traffic leaves through {target}"),
                _ => "its route table cannot be seen: the VPC may be another account's".to_owned(),
            };
            info(
                subnet,
                seen,
                "a way to the registries of the images and to the cluster's endpoint",
                "look whether what is behind it lets HTTPS through, if pods there do not start",
            )
        })
        .collect()
}

fn has_tables(facts: &Facts) -> bool {
    facts.route_tables.read().is_some()
}

fn id(gateway: &NatGateway) -> &str {
    gateway.nat_gateway_id().unwrap_or_default()
}

/// `subnet-a, subnet-b (Fargate profiles kube-system, default)`
fn of(facts: &Facts, subnets: &[&str]) -> String {
    let profiles = facts.profiles_in(subnets);
    format!("{} (Fargate profiles: {profiles})", subnets.join(", "))
}

/// The subnets by the id of the route table that they use.
fn by_route_table<'a>(facts: &'a Facts, subnets: &[&'a str]) -> Vec<(&'a str, Vec<&'a str>)> {
    let mut tables: Vec<(&str, Vec<&str>)> = vec![];
    for subnet in subnets {
        let table = route_table_of(facts, subnet).and_then(|table| table.route_table_id());
        let table = table.unwrap_or(subnet);
        match tables.iter_mut().find(|(id, _)| *id == table) {
            Some((_, subnets)) => subnets.push(subnet),
            None => tables.push((table, vec![subnet])),
        }
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::fixtures::{
        healthy, nat_gateway, public_table, route, table, without_default_route,
    };
    use aws_sdk_ec2::types::{BlockPublicAccessStates, Route, RouteState};

    /// A healthy cluster whose private route table has these routes.
    fn with_private_routes(routes: Vec<Route>) -> Facts {
        let mut facts = healthy();
        let private = table("rtb-private", &["subnet-a", "subnet-b"], routes);
        facts.route_tables = Known::Read(vec![private, public_table()]);
        facts
    }

    #[test]
    fn a_route_table_is_reported_once_with_its_subnets_and_profiles() {
        let found = no_route(&without_default_route());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].resource, "rtb-private");
        assert_eq!(found[0].severity, Severity::Error);
        let seen =
            "no route to the internet for subnet-a, subnet-b (Fargate profiles: kube-system)";
        assert_eq!(found[0].seen, seen);
        assert!(found[0].fix.contains("--route-table-id rtb-private"));
    }

    #[test]
    fn without_a_look_at_endpoints_a_missing_route_is_only_likely() {
        let mut facts = without_default_route();
        facts.vpc_endpoints = Known::Unread;
        assert_eq!(no_route(&facts)[0].severity, Severity::Warning);
    }

    #[test]
    fn a_black_hole_names_what_is_gone() {
        let mut gone = route("nat-gone");
        gone.state = Some(RouteState::Blackhole);
        let facts = with_private_routes(vec![gone]);
        let found = black_hole(&facts);
        assert_eq!(found.len(), 1);
        assert!(found[0].seen.contains("nat-gone"), "{:?}", found[0]);
        assert_eq!(no_route(&facts), []);
    }

    #[test]
    fn a_failed_gateway_says_why_and_a_pending_one_takes_its_time() {
        let mut facts = healthy();
        let mut failed = nat_gateway();
        failed.state = Some(NatGatewayState::Failed);
        failed.failure_code = Some("Gateway.NotAttached".to_owned());
        facts.nat_gateways = Known::Read(vec![failed]);
        let found = not_available(&facts);
        assert_eq!(found[0].resource, "nat-1");
        assert!(
            found[0]
                .seen
                .starts_with("it is failed (Gateway.NotAttached)")
        );
        assert_eq!(found[0].severity, Severity::Error);

        let mut pending = nat_gateway();
        pending.state = Some(NatGatewayState::Pending);
        facts.nat_gateways = Known::Read(vec![pending]);
        assert_eq!(not_available(&facts)[0].severity, Severity::Warning);
    }

    #[test]
    fn a_gateway_needs_a_public_subnet_and_a_public_address() {
        let mut facts = healthy();
        let private = table(
            "rtb-private",
            &["subnet-a", "subnet-b", "subnet-p"],
            vec![route("nat-1")],
        );
        facts.route_tables = Known::Read(vec![private]);
        let found = in_private_subnet(&facts);
        assert_eq!(found[0].resource, "nat-1");
        assert!(
            found[0].seen.contains("subnet-p is private"),
            "{:?}",
            found[0]
        );

        let mut facts = healthy();
        let mut gateway = nat_gateway();
        gateway.connectivity_type = Some(ConnectivityType::Private);
        facts.nat_gateways = Known::Read(vec![gateway]);
        assert!(
            in_private_subnet(&facts)[0]
                .seen
                .contains("no public address")
        );
    }

    #[test]
    fn a_regional_gateway_is_in_no_subnet() {
        let mut facts = healthy();
        let mut gateway = nat_gateway();
        gateway.subnet_id = None;
        facts.nat_gateways = Known::Read(vec![gateway]);
        assert_eq!(in_private_subnet(&facts), []);
    }

    #[test]
    fn behind_a_transit_gateway_nothing_is_judged() {
        let facts = with_private_routes(vec![route("tgw-1")]);
        for check in [no_route, black_hole, not_available, in_private_subnet] {
            assert_eq!(check(&facts), []);
        }
        let found = unknown(&facts);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].severity, Severity::Info);
        assert!(found[0].seen.contains("tgw-1"));
    }

    #[test]
    fn in_a_shared_vpc_nothing_is_judged() {
        let mut facts = healthy();
        facts.route_tables = Known::Read(vec![]);
        assert_eq!(no_route(&facts), []);
        assert_eq!(unknown(&facts).len(), 2);
        // What was not read is said once, elsewhere.
        facts.route_tables = Known::Unread;
        assert_eq!(unknown(&facts), []);
    }

    #[test]
    fn a_gateway_behind_block_public_access_is_named_with_the_way_out() {
        let with_mode = |mode: BlockPublicAccessMode| {
            let mut facts = healthy();
            let states = BlockPublicAccessStates::builder().internet_gateway_block_mode(mode);
            let states = states.build();
            let mut subnets = facts.subnets.read().unwrap().clone();
            for subnet in &mut subnets {
                if subnet.subnet_id() == Some("subnet-p") {
                    subnet.block_public_access_states = Some(states.clone());
                }
            }
            facts.subnets = Known::Read(subnets);
            blocked(&facts)
        };
        let problems = with_mode(BlockPublicAccessMode::BlockBidirectional);
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].resource, "nat-1");
        assert!(problems[0].fix.contains("--vpc-id vpc-1"), "{problems:?}");
        assert_eq!(with_mode(BlockPublicAccessMode::BlockIngress), []);
        assert_eq!(with_mode(BlockPublicAccessMode::Off), []);
    }
}
