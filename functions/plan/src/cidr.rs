//! CIDR blocks: of the VPC, of its subnets, of Kubernetes services.
//!
//! The VPC's block is cut into eight equal ones. The first four are for private subnets, the others for
//! public ones; of each four the last is spare.

use ipnet::Ipv4Net;
use std::net::Ipv4Addr;
use step::Error;
use step::plan::Zone;

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

/// Gives each zone (id and name) its subnets.
pub(crate) fn subnets(vpc: Ipv4Net, zones: Vec<(String, String)>) -> Result<Vec<Zone>, Error> {
    let blocks = vpc.subnets(vpc.prefix_len() + SUBNET_BITS);
    let blocks: Vec<_> = blocks.into_iter().flatten().collect();
    let (private, public) = blocks.split_at(PUBLIC.min(blocks.len()));
    if zones.len() > public.len() {
        let text = format!("{vpc} has no room for the subnets of {} zones", zones.len());
        return Err(Error::Unexpected(text));
    }
    let zones = zones.into_iter().zip(private.iter().zip(public));
    Ok(zones
        .map(|((id, name), (private, public))| Zone {
            id,
            name,
            public_cidr: *public,
            private_cidr: *private,
        })
        .collect())
}

fn overlap(one: Ipv4Net, other: Ipv4Net) -> bool {
    one.contains(&other) || other.contains(&one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
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
            let message = refusal(text);
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
        let zones = subnets("10.0.7.0/24".parse().unwrap(), zones.to_vec()).unwrap();
        let cidrs = |of: fn(&Zone) -> Ipv4Net| zones.iter().map(move |it| of(it).to_string());
        let private: Vec<_> = cidrs(|zone| zone.private_cidr).collect();
        let public: Vec<_> = cidrs(|zone| zone.public_cidr).collect();
        assert_eq!(private, ["10.0.7.0/27", "10.0.7.32/27", "10.0.7.64/27"]);
        assert_eq!(public, ["10.0.7.128/27", "10.0.7.160/27", "10.0.7.192/27"]);
    }
}
