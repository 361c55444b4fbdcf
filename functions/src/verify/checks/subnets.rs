//! The subnets of the Fargate profiles.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::Subnet;

use super::{error, problem};
use crate::model::zones;
use crate::verify::facts::{Facts, name_of};
use crate::verify::problem::{Problem, Severity};
use crate::verify::way_out::{WayOut, pod_subnets_with, route_table_of};

/// A subnet whose default route leads to an internet gateway: pods on Fargate have no public address.
pub fn public(facts: &Facts) -> Vec<Problem> {
    let public = pod_subnets_with(facts, |way| matches!(way, WayOut::InternetGateway(_)));
    public
        .into_iter()
        .map(|(subnet, way)| {
            let gateway = match way {
                WayOut::InternetGateway(id) => id,
                _ => "an internet gateway",
            };
            let table = route_table_of(facts, subnet).and_then(|table| table.route_table_id());
            let table = table.unwrap_or("its route table");
            error(
                subnet,
                format!(
                    "0.0.0.0/0 leads to {gateway} (in {table}), and pods on Fargate have no public \
                     address; Fargate profiles: {}",
                    facts.profiles_in(&[subnet])
                ),
                "a private subnet, whose 0.0.0.0/0 leads to a NAT gateway",
                "make the profile again with private subnets, or give the subnet a route table of its \
                 own that leads to a NAT gateway",
            )
        })
        .collect()
}

/// A subnet where no control plane, or no pod on Fargate, can be.
pub fn unsupported_zone(facts: &Facts) -> Vec<Problem> {
    let config = facts.cluster.resources_vpc_config();
    let own = config.map_or(&[][..], |config| config.subnet_ids());
    let pods = facts.pod_subnets();
    let mut subnets: BTreeSet<&str> = own.iter().map(String::as_str).collect();
    subnets.extend(&pods);
    let zones = subnets.into_iter().filter_map(|subnet| {
        let zone = facts.subnet(subnet)?.availability_zone_id()?;
        if !zones::has_control_plane(zone) {
            return Some((subnet, zone, "EKS has no control planes"));
        }
        let is_unfit = pods.contains(subnet) && !zones::has_fargate(facts.region(), zone);
        is_unfit.then_some((subnet, zone, "there is no Fargate"))
    });
    zones
        .map(|(subnet, zone, why)| {
            error(
                subnet,
                format!("it is in the Availability Zone {zone}, where {why}"),
                "a zone with control planes of EKS and with Fargate",
                "make a subnet in another zone, and the Fargate profile again without this one",
            )
        })
        .collect()
}

/// No address is free: an error where a profile has no other subnet.
pub fn full(facts: &Facts) -> Vec<Problem> {
    let is_full = |id: &str| {
        let subnet = facts.subnet(id);
        subnet.and_then(Subnet::available_ip_address_count) == Some(0)
    };
    let full = facts.pod_subnets().into_iter().filter(|id| is_full(id));
    full.map(|subnet| {
        let mut profiles = facts.profiles().iter();
        let stuck = profiles.find(|profile| {
            let subnets = profile.subnets();
            subnets.iter().any(|id| id == subnet) && subnets.iter().all(|id| is_full(id))
        });
        let (severity, which) = if let Some(profile) = stuck {
            let name = name_of(profile);
            let which = format!("the Fargate profile {name} has no other subnet with one");
            (Severity::Error, which)
        } else {
            let profiles = facts.profiles_in(&[subnet]);
            (Severity::Warning, format!("Fargate profiles: {profiles}"))
        };
        let seen = format!("no address is free; {which}");
        let fix = "free some, or make a larger subnet and the Fargate profile again with it";
        problem(severity, subnet, seen, "a free address for each pod", fix)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::facts::Known;
    use crate::verify::fixtures::{healthy, route, subnet, table};

    fn with_subnets(change: impl Fn(&mut Subnet)) -> Facts {
        let mut facts = healthy();
        let mut subnets = vec![subnet("subnet-a"), subnet("subnet-b"), subnet("subnet-p")];
        change(&mut subnets[0]);
        facts.subnets = Known::Read(subnets);
        facts
    }

    #[test]
    fn a_public_subnet_is_named_with_its_route_table_and_gateway() {
        let mut facts = healthy();
        let public = table(
            "rtb-public",
            &["subnet-a", "subnet-b"],
            vec![route("igw-1")],
        );
        facts.route_tables = Known::Read(vec![public]);
        let found = public_of(&facts);
        assert_eq!(found.len(), 2);
        assert!(found[0].contains("igw-1 (in rtb-public)"), "{found:?}");
    }

    fn public_of(facts: &Facts) -> Vec<String> {
        public(facts).into_iter().map(|it| it.seen).collect()
    }

    #[test]
    fn an_unsupported_zone_is_known_by_its_id() {
        for (zone, why) in [("use1-az3", "control planes"), ("apne1-az3", "no Fargate")] {
            let facts = with_subnets(|it| it.availability_zone_id = Some(zone.to_owned()));
            let found = unsupported_zone(&facts);
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].resource, "subnet-a");
            assert!(found[0].seen.contains(why), "{found:?}");
        }
    }

    #[test]
    fn one_full_subnet_of_two_is_a_warning_and_the_last_one_an_error() {
        let mut facts = with_subnets(|it| it.available_ip_address_count = Some(0));
        assert_eq!(full(&facts)[0].severity, Severity::Warning);
        if let Known::Read(subnets) = &mut facts.subnets {
            subnets[1].available_ip_address_count = Some(0);
        }
        let found = full(&facts);
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|it| it.severity == Severity::Error));
    }
}
