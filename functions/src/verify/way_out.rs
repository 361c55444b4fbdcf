//! Where the traffic of a subnet goes.

use aws_sdk_ec2::types::{
    NatGateway, Route, RouteState, RouteTable, RouteTableAssociation,
    RouteTableAssociationStateCode,
};

use crate::verify::facts::{Facts, Known};

/// Everything that no other route covers.
const ANYWHERE: &str = "0.0.0.0/0";

/// Where a subnet's route table sends what goes to the internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WayOut<'a> {
    /// To a NAT gateway of the VPC.
    NatGateway(&'a str),
    /// To an internet gateway: the subnet is public.
    InternetGateway(&'a str),
    /// To something that is not there any more.
    BlackHole(&'a str),
    /// To a transit gateway, a firewall, an instance…: what is behind it, this account does not show.
    Elsewhere(&'a str),
    /// There is no route.
    Nowhere,
    /// No route table can be seen: the VPC may be another account's.
    Unknown,
}

/// The route table that a subnet uses: its own, else the VPC's main one.
pub fn route_table_of<'a>(facts: &'a Facts, subnet: &str) -> Option<&'a RouteTable> {
    let tables = facts.route_tables.read()?;
    let own = |it: &RouteTableAssociation| it.subnet_id() == Some(subnet) && is_associated(it);
    let is_own = |table: &&RouteTable| table.associations().iter().any(own);
    let is_main = |table: &&RouteTable| {
        table
            .associations()
            .iter()
            .any(|it| it.main() == Some(true))
    };
    tables
        .iter()
        .find(is_own)
        .or_else(|| tables.iter().find(is_main))
}

/// Whether it is in effect. Moving a subnet to another table takes a moment, and may fail.
fn is_associated(association: &RouteTableAssociation) -> bool {
    let state = association.association_state().and_then(|it| it.state());
    state.is_none_or(|state| {
        matches!(
            state,
            RouteTableAssociationStateCode::Associated
                | RouteTableAssociationStateCode::Associating
        )
    })
}

/// The way out of a subnet.
pub fn way_out<'a>(facts: &'a Facts, subnet: &str) -> WayOut<'a> {
    let Some(table) = route_table_of(facts, subnet) else {
        return WayOut::Unknown;
    };
    let mut routes = table.routes().iter();
    if let Some(route) = routes.find(|route| route.destination_cidr_block() == Some(ANYWHERE)) {
        return of_default_route(route);
    }
    // Proxies and shared endpoints may be behind any other route.
    let mut routes = table.routes().iter();
    let elsewhere = routes.find(|route| !is_local(route) && !is_of_gateway_endpoint(route));
    elsewhere.map_or(WayOut::Nowhere, |route| WayOut::Elsewhere(target_of(route)))
}

fn of_default_route(route: &Route) -> WayOut<'_> {
    let target = target_of(route);
    if route.state() == Some(&RouteState::Blackhole) {
        return WayOut::BlackHole(target);
    }
    match target.split('-').next() {
        Some("nat") => WayOut::NatGateway(target),
        Some("igw") => WayOut::InternetGateway(target),
        _ => WayOut::Elsewhere(target),
    }
}

fn is_local(route: &Route) -> bool {
    route.gateway_id() == Some("local")
}

/// EC2 puts the route of a gateway endpoint into the table, with a prefix list as its destination.
fn is_of_gateway_endpoint(route: &Route) -> bool {
    route.destination_prefix_list_id().is_some()
}

/// Id of what a route leads to.
fn target_of(route: &Route) -> &str {
    let targets = [
        route.nat_gateway_id(),
        route.gateway_id(),
        route.transit_gateway_id(),
        route.vpc_peering_connection_id(),
        route.network_interface_id(),
        route.instance_id(),
        route.local_gateway_id(),
        route.carrier_gateway_id(),
        route.core_network_arn(),
        route.egress_only_internet_gateway_id(),
    ];
    let mut known = targets.into_iter().flatten();
    known.next().unwrap_or("a target without an id")
}

/// The subnets of pods on Fargate that have this way out, each with it.
pub fn pod_subnets_with<'a>(
    facts: &'a Facts,
    is_wanted: impl Fn(WayOut<'a>) -> bool,
) -> Vec<(&'a str, WayOut<'a>)> {
    let subnets = facts.pod_subnets().into_iter();
    let ways = subnets.map(|subnet| (subnet, way_out(facts, subnet)));
    ways.filter(|(_, way)| is_wanted(*way)).collect()
}

/// The NAT gateways that pods on Fargate use, each with the subnets that use it.
pub fn nat_gateways_of_pods(facts: &Facts) -> Vec<(&NatGateway, Vec<&str>)> {
    let mut used: Vec<(&NatGateway, Vec<&str>)> = vec![];
    for (subnet, way) in pod_subnets_with(facts, |way| matches!(way, WayOut::NatGateway(_))) {
        let WayOut::NatGateway(id) = way else {
            continue;
        };
        match used.iter_mut().find(|it| it.0.nat_gateway_id() == Some(id)) {
            Some((_, subnets)) => subnets.push(subnet),
            None => used.extend(facts.nat_gateway(id).map(|it| (it, vec![subnet]))),
        }
    }
    used
}

/// The endpoints without which no pod on Fargate starts where there is no way to the internet; who has
/// made one of them means to do without.
const OF_PRIVATE_CLUSTERS: [&str; 3] = ["ecr.api", "ecr.dkr", "sts"];

/// Whether the VPC is meant to work through VPC endpoints, without a way to the internet. Where the
/// endpoints are unread, nobody knows.
pub fn relies_on_endpoints(facts: &Facts) -> Known<bool> {
    let Some(endpoints) = facts.vpc_endpoints.read() else {
        return Known::Unread;
    };
    let mut names = endpoints.iter().filter_map(|it| it.service_name());
    Known::Read(names.any(|name| {
        let mut services = OF_PRIVATE_CLUSTERS.iter();
        services.any(|service| is_for(name, service))
    }))
}

/// Whether an endpoint's service name, for example `com.amazonaws.ap-northeast-1.ecr.api`, is that of
/// the service.
pub fn is_for(service_name: &str, service: &str) -> bool {
    let rest = service_name.strip_suffix(service);
    rest.is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::fixtures::{healthy, route, table};

    fn way_with(routes: Vec<Route>) -> WayOut<'static> {
        let mut facts = healthy();
        facts.route_tables = Known::Read(vec![table("rtb-1", &["subnet-a"], routes)]);
        match way_out(&facts, "subnet-a") {
            WayOut::NatGateway(_) => WayOut::NatGateway(""),
            WayOut::InternetGateway(_) => WayOut::InternetGateway(""),
            WayOut::BlackHole(_) => WayOut::BlackHole(""),
            WayOut::Elsewhere(_) => WayOut::Elsewhere(""),
            WayOut::Nowhere => WayOut::Nowhere,
            WayOut::Unknown => WayOut::Unknown,
        }
    }

    fn local() -> Route {
        let route = Route::builder().destination_cidr_block("10.0.0.0/16");
        route.gateway_id("local").build()
    }

    fn of_s3() -> Route {
        let route = Route::builder().destination_prefix_list_id("pl-1");
        route.gateway_id("vpce-1").build()
    }

    #[test]
    fn the_default_route_says_where_the_way_goes() {
        assert_eq!(
            way_with(vec![local(), route("nat-1")]),
            WayOut::NatGateway("")
        );
        assert_eq!(
            way_with(vec![local(), route("igw-1")]),
            WayOut::InternetGateway("")
        );
        assert_eq!(way_with(vec![local(), of_s3()]), WayOut::Nowhere);
        for firewall in ["vpce-1", "tgw-1", "eni-1", "vgw-1"] {
            assert_eq!(
                way_with(vec![local(), route(firewall)]),
                WayOut::Elsewhere("")
            );
        }
    }

    #[test]
    fn a_black_hole_is_no_way_whatever_it_was() {
        let mut gone = route("nat-1");
        gone.state = Some(RouteState::Blackhole);
        assert_eq!(way_with(vec![local(), gone]), WayOut::BlackHole(""));
    }

    #[test]
    fn route_into_another_network_cannot_be_judged() {
        let hub = Route::builder().destination_cidr_block("10.0.0.0/8");
        let hub = hub.transit_gateway_id("tgw-1").build();
        assert_eq!(way_with(vec![local(), hub]), WayOut::Elsewhere(""));
    }

    #[test]
    fn a_subnet_without_a_table_of_its_own_uses_the_main_one() {
        let mut facts = healthy();
        let main = RouteTableAssociation::builder().main(true).build();
        let table = RouteTable::builder().route_table_id("rtb-main");
        let table = table.associations(main).routes(route("igw-1")).build();
        facts.route_tables = Known::Read(vec![table]);
        assert_eq!(
            way_out(&facts, "subnet-a"),
            WayOut::InternetGateway("igw-1")
        );
        facts.route_tables = Known::Read(vec![]);
        assert_eq!(way_out(&facts, "subnet-a"), WayOut::Unknown);
    }

    #[test]
    fn services_are_known_by_the_end_of_their_name() {
        assert!(is_for("com.amazonaws.ap-northeast-1.s3", "s3"));
        assert!(is_for("com.amazonaws.ap-northeast-1.ecr.api", "ecr.api"));
        assert!(is_for("cn.com.amazonaws.cn-north-1.ecr.api", "ecr.api"));
        assert!(!is_for("com.amazonaws.ap-northeast-1.sts-fips", "sts"));
        assert!(!is_for(
            "com.amazonaws.vpce.ap-northeast-1.vpce-svc-1",
            "s3"
        ));
    }
}
