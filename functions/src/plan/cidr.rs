//! CIDR blocks: of the VPC, of its subnets, of Kubernetes services.
//!
//! The VPC's block is cut into eight equal ones. The first four are for private subnets, the others for
//! public ones; of each four the last is spare.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::contract::Error;
use crate::model::plan::Zone;

/// The VPC's block when none is asked for.
const DEFAULT: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 100, 0, 0), 16);
/// The prefix lengths that a VPC may have: EC2's largest, and the smallest whose eighths have room for
/// EKS's network interfaces (at least 6 free addresses, 16 recommended).
const PREFIXES: std::ops::RangeInclusive<u8> = 16..=24;
/// Where a VPC's block may be: RFC 1918 and RFC 6598.
const PRIVATE: [Ipv4Net; 4] = [
    Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8),
    Ipv4Net::new_assert(Ipv4Addr::new(172, 16, 0, 0), 12),
    Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 0, 0), 16),
    Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 10),
];
/// What no address of the Internet is in: the private blocks, and those of RFC 6890 and RFC 1112.
const RESERVED: [Ipv4Net; 5] = [
    Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 8),
    Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8),
    Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16),
    Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 4),
    Ipv4Net::new_assert(Ipv4Addr::new(240, 0, 0, 0), 4),
];
/// EKS's own defaults for services, in the order of preference.
const SERVICES: [Ipv4Net; 2] = [
    Ipv4Net::new_assert(Ipv4Addr::new(172, 20, 0, 0), 16),
    Ipv4Net::new_assert(Ipv4Addr::new(10, 100, 0, 0), 16),
];
/// Three more bits: eight subnets.
const SUBNET_BITS: u8 = 3;
/// The place of the first public subnet.
const PUBLIC: usize = 4;

/// The VPC's block: the one that is asked for, if it is fit.
pub(crate) fn of_vpc(asked: Option<&str>) -> Result<Ipv4Net, Error> {
    let Some(text) = asked else {
        return Ok(DEFAULT);
    };
    let cidr = parse("network.cidr", text)?;
    if !PREFIXES.contains(&cidr.prefix_len()) {
        let expected = "an IPv4 CIDR block from /16 (EC2's largest) to /24: an eighth of it is a \
                        subnet, which EKS wants to have 16 free addresses";
        return Err(Error::invalid("network.cidr", text, expected));
    }
    if !PRIVATE.iter().any(|block| block.contains(&cidr)) {
        let expected = "a block in 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or 100.64.0.0/10";
        return Err(Error::invalid("network.cidr", text, expected));
    }
    Ok(cidr)
}

/// Whether no address of the Internet is in it.
pub(crate) fn is_reserved(block: Ipv4Net) -> bool {
    let mut reserved = PRIVATE.iter().chain(&RESERVED);
    reserved.any(|other| other.contains(&block))
}

/// An IPv4 CIDR block without host bits.
pub(crate) fn parse(field: &str, text: &str) -> Result<Ipv4Net, Error> {
    let Ok(cidr) = text.parse::<Ipv4Net>() else {
        let expected = "an IPv4 CIDR block such as 10.100.0.0/16";
        return Err(Error::invalid(field, text, expected));
    };
    if cidr != cidr.trunc() {
        let expected = format!("{}: no bits set behind the prefix", cidr.trunc());
        return Err(Error::invalid(field, text, expected));
    }
    Ok(cidr)
}

/// The block of Kubernetes services: one that does not overlap the VPC's.
pub(crate) fn of_services(vpc: Ipv4Net) -> Result<Ipv4Net, Error> {
    let is_apart = |block: &Ipv4Net| !overlap(*block, vpc);
    let block = SERVICES.into_iter().find(is_apart);
    block.ok_or_else(|| Error::Unexpected(format!("{vpc} leaves no block for services")))
}

/// Gives each zone (id and name) its subnets. `taken` are the places of zones that have subnets already:
/// these zones keep them, and no other zone gets them.
pub(crate) fn subnets(
    vpc: Ipv4Net,
    zones: Vec<(String, String)>,
    taken: &BTreeMap<String, usize>,
) -> Result<Vec<Zone>, Error> {
    let blocks = blocks(vpc);
    let mut free = (0..PUBLIC).filter(|place| taken.values().all(|other| other != place));
    let mut placed = vec![];
    for (id, name) in zones {
        let place = taken.get(&id).copied().or_else(|| free.next());
        let blocks = place.and_then(|it| Some((it, blocks.get(it)?, blocks.get(PUBLIC + it)?)));
        let Some((place, private, public)) = blocks else {
            return Err(Error::ResourceConflict(format!(
                "{vpc} has no room for subnets in {id}: there are subnets of the cluster in {}; tear \
                 down what there is, then build it again",
                taken.keys().cloned().collect::<Vec<_>>().join(", ")
            )));
        };
        let zone = Zone {
            id,
            name,
            public_cidr: *public,
            private_cidr: *private,
        };
        placed.push((place, zone));
    }
    placed.sort_by_key(|(place, _)| *place);
    Ok(placed.into_iter().map(|(_, zone)| zone).collect())
}

/// The place of the zone whose subnet, public or private, has a block.
pub(crate) fn place_of(vpc: Ipv4Net, subnet: Ipv4Net) -> Option<usize> {
    let place = blocks(vpc).into_iter().position(|block| block == subnet)?;
    Some(place % PUBLIC)
}

fn blocks(vpc: Ipv4Net) -> Vec<Ipv4Net> {
    let blocks = vpc.subnets(vpc.prefix_len() + SUBNET_BITS);
    blocks.into_iter().flatten().collect()
}

fn overlap(one: Ipv4Net, other: Ipv4Net) -> bool {
    one.contains(&other) || other.contains(&one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invalid(text: &str) -> String {
        let error = of_vpc(Some(text)).unwrap_err();
        assert_eq!(error.name(), "InvalidRequest");
        error.to_string()
    }

    #[test]
    fn private_blocks_of_16_to_24_bits_are_fit() {
        assert_eq!(of_vpc(None), Ok(DEFAULT));
        for text in [
            "10.0.0.0/16",
            "172.31.0.0/20",
            "192.168.7.0/24",
            "100.64.0.0/16",
        ] {
            assert_eq!(of_vpc(Some(text)).unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_blocks_are_refused_with_what_would_be_right() {
        for (text, expected) in [
            ("10.0.0.0/15", "from /16"),
            ("10.0.0.0/25", "to /24"),
            ("10.0.0.1/16", "10.0.0.0/16: no bits set"),
            ("172.32.0.0/16", "172.16.0.0/12"),
            ("203.0.113.0/24", "10.0.0.0/8"),
            ("10.0.0.0", "an IPv4 CIDR block"),
            ("2001:db8::/32", "an IPv4 CIDR block"),
        ] {
            let message = invalid(text);
            assert!(message.contains(expected), "{message}");
            assert!(message.starts_with(&format!("network.cidr: \"{text}\"")));
        }
    }

    #[test]
    fn services_never_overlap_the_vpc() {
        for (vpc, services) in [
            ("10.100.0.0/16", "172.20.0.0/16"),
            ("172.20.64.0/20", "10.100.0.0/16"),
            ("172.31.0.0/16", "172.20.0.0/16"),
        ] {
            let block = of_services(vpc.parse().unwrap()).unwrap();
            assert_eq!(block.to_string(), services);
        }
    }

    #[test]
    fn subnets_are_eighths_of_the_vpc_that_do_not_overlap() {
        let zones = ["a", "b", "c"].map(|id| (id.to_owned(), id.to_owned()));
        let vpc = "10.0.7.0/24".parse().unwrap();
        let zones = subnets(vpc, zones.to_vec(), &BTreeMap::new()).unwrap();
        let cidrs = |of: fn(&Zone) -> Ipv4Net| zones.iter().map(move |it| of(it).to_string());
        let private: Vec<_> = cidrs(|zone| zone.private_cidr).collect();
        let public: Vec<_> = cidrs(|zone| zone.public_cidr).collect();
        assert_eq!(private, ["10.0.7.0/27", "10.0.7.32/27", "10.0.7.64/27"]);
        assert_eq!(public, ["10.0.7.128/27", "10.0.7.160/27", "10.0.7.192/27"]);
    }

    #[test]
    fn zones_keep_their_places_and_others_get_what_is_free() {
        let vpc: Ipv4Net = "10.100.0.0/16".parse().unwrap();
        let zones = |ids: &[&str]| {
            let named = |id: &&str| ((*id).to_owned(), format!("name-of-{id}"));
            ids.iter().map(named).collect::<Vec<_>>()
        };
        let taken = BTreeMap::from([("az1", 0), ("az3", 2)].map(|(id, at)| (id.to_owned(), at)));
        let placed = subnets(vpc, zones(&["az0", "az1", "az4"]), &taken).unwrap();
        let placed: Vec<_> = placed
            .iter()
            .map(|zone| (zone.id.as_str(), zone.private_cidr.to_string()))
            .collect();
        let expected = [
            ("az1", "10.100.0.0/19"),
            ("az0", "10.100.32.0/19"),
            ("az4", "10.100.96.0/19"),
        ];
        assert_eq!(placed, expected.map(|(id, block)| (id, block.to_owned())));
        let error = subnets(vpc, zones(&["az0", "az4", "az5"]), &taken).unwrap_err();
        assert_eq!(error.name(), "ResourceConflict");
        assert!(error.to_string().contains("az1, az3"), "{error}");
    }

    #[test]
    fn a_block_has_the_place_of_its_zone() {
        let vpc: Ipv4Net = "10.100.0.0/16".parse().unwrap();
        for (block, place) in [
            ("10.100.0.0/19", Some(0)),
            ("10.100.128.0/19", Some(0)),
            ("10.100.224.0/19", Some(3)),
            ("10.100.0.0/20", None),
            ("10.101.0.0/19", None),
        ] {
            assert_eq!(place_of(vpc, block.parse().unwrap()), place, "{block}");
        }
    }
}
