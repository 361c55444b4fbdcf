//! Which Availability Zones, which CIDR blocks.

use aws_sdk_ec2::types::{AvailabilityZone, AvailabilityZoneState};
use ipnet::Ipv4Net;
use step::plan::{Network, Zone};
use step::spec::NetworkSpec;
use step::{Aws, During, Error};

/// The article's VPC.
pub(crate) const DEFAULT_CIDR: &str = "10.100.0.0/16";
/// Zones in which EKS cannot put a control plane (EKS user guide, network requirements).
const REFUSED_BY_EKS: &[&str] = &["use1-az3", "usw1-az2", "cac1-az3"];
/// EKS's own two defaults for the services' block; the second is for a VPC that overlaps the first.
const SERVICE_CIDRS: [&str; 2] = ["172.20.0.0/16", "10.100.0.0/16"];
/// The VPC's block is cut into 8: private subnets take the first half, public ones the second.
const SUBNET_BITS: u8 = 3;
const FIRST_PUBLIC: usize = 4;
/// EKS wants subnets in two zones; a third is for high availability.
const ZONES_MIN: usize = 2;
const ZONES_DEFAULT: usize = 3;

/// The network of a valid spec.
pub(crate) async fn plan(
    aws: &Aws,
    spec: Option<&NetworkSpec>,
    region: &str,
) -> Result<Network, Error> {
    let cidr = spec
        .and_then(|spec| spec.cidr.as_deref())
        .unwrap_or(DEFAULT_CIDR);
    let cidr = parse("network.cidr", cidr)?;
    let wanted = spec
        .and_then(|spec| spec.availability_zones)
        .map(usize::from);
    let zones = choose(usable(aws).await?, wanted, region)?;
    let blocks: Vec<Ipv4Net> = cidr
        .subnets(cidr.prefix_len() + SUBNET_BITS)
        .map_err(|_| Error::invalid("network.cidr", cidr, "a block from /16 to /24"))?
        .collect();
    let blocks = |index: usize| {
        let block = blocks.get(index).copied();
        block.ok_or_else(|| Error::Unexpected("a VPC has eight blocks".to_owned()))
    };
    let zones = zones.into_iter().enumerate().map(|(index, (id, name))| {
        Ok(Zone {
            id,
            name,
            private_cidr: blocks(index)?,
            public_cidr: blocks(FIRST_PUBLIC + index)?,
        })
    });
    Ok(Network {
        cidr,
        service_cidr: service_cidr(cidr)?,
        nat_gateways: spec.and_then(|spec| spec.nat_gateways).unwrap_or_default(),
        zones: zones.collect::<Result<_, Error>>()?,
    })
}

fn parse(field: &str, text: &str) -> Result<Ipv4Net, Error> {
    text.parse()
        .map_err(|_| Error::invalid(field, text, "an IPv4 CIDR block such as 10.100.0.0/16"))
}

/// Kubernetes services must not hide addresses of the VPC.
fn service_cidr(vpc: Ipv4Net) -> Result<Ipv4Net, Error> {
    for candidate in SERVICE_CIDRS {
        let candidate = parse("serviceCidr", candidate)?;
        if !vpc.contains(&candidate) && !candidate.contains(&vpc) {
            return Ok(candidate);
        }
    }
    Err(Error::invalid(
        "network.cidr",
        vpc,
        "a block from /16 to /24",
    ))
}

/// The zones that can hold subnets and a control plane, by id: id and name.
async fn usable(aws: &Aws) -> Result<Vec<(String, String)>, Error> {
    let answer = aws
        .ec2
        .describe_availability_zones()
        .send()
        .await
        .during("ec2:DescribeAvailabilityZones")?;
    let zones = answer.availability_zones.unwrap_or_default();
    let mut usable: Vec<_> = zones
        .into_iter()
        .filter(is_usable)
        .filter_map(id_and_name)
        .collect();
    usable.sort();
    Ok(usable)
}

fn is_usable(zone: &AvailabilityZone) -> bool {
    zone.zone_type() == Some("availability-zone")
        && zone.state() == Some(&AvailabilityZoneState::Available)
        && zone
            .opt_in_status()
            .is_none_or(|status| status.as_str() != "not-opted-in")
        && zone
            .zone_id()
            .is_some_and(|id| !REFUSED_BY_EKS.contains(&id))
}

fn id_and_name(zone: AvailabilityZone) -> Option<(String, String)> {
    Some((zone.zone_id?, zone.zone_name?))
}

fn choose(
    mut usable: Vec<(String, String)>,
    wanted: Option<usize>,
    region: &str,
) -> Result<Vec<(String, String)>, Error> {
    if usable.len() < ZONES_MIN {
        let expected = format!(
            "a region with at least two Availability Zones that EKS supports; this one has {}",
            usable.len()
        );
        return Err(Error::invalid("region", region, expected));
    }
    if let Some(wanted) = wanted.filter(|wanted| *wanted > usable.len()) {
        let expected = format!("2: EKS supports only {} zones in {region}", usable.len());
        return Err(Error::invalid(
            "network.availabilityZones",
            wanted,
            expected,
        ));
    }
    usable.truncate(wanted.unwrap_or(ZONES_DEFAULT));
    Ok(usable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones(ids: &[&str]) -> Vec<(String, String)> {
        ids.iter()
            .map(|id| ((*id).to_owned(), format!("name of {id}")))
            .collect()
    }

    #[test]
    fn three_zones_are_chosen_or_two_where_there_are_no_more() {
        let all = zones(&["a", "b", "c", "d"]);
        assert_eq!(choose(all.clone(), None, "r").unwrap().len(), 3);
        assert_eq!(choose(all.clone(), Some(2), "r").unwrap(), all[..2]);
        assert_eq!(choose(zones(&["a", "b"]), None, "r").unwrap().len(), 2);
    }

    #[test]
    fn too_few_zones_are_refused_by_the_field_that_can_change_it() {
        let error = choose(zones(&["a", "b"]), Some(3), "r").unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("network.availabilityZones: 3"),
            "{error}"
        );
        let error = choose(zones(&["a"]), None, "r").unwrap_err();
        assert!(error.to_string().starts_with("region: \"r\""), "{error}");
    }

    #[test]
    fn services_never_overlap_the_vpc() {
        for vpc in [
            "10.100.0.0/16",
            "172.20.0.0/16",
            "172.20.8.0/24",
            "192.168.0.0/16",
        ] {
            let vpc: Ipv4Net = vpc.parse().unwrap();
            let services = service_cidr(vpc).unwrap();
            assert!(
                !vpc.contains(&services) && !services.contains(&vpc),
                "{vpc} {services}"
            );
        }
        assert_eq!(
            service_cidr("10.100.0.0/16".parse().unwrap())
                .unwrap()
                .to_string(),
            "172.20.0.0/16"
        );
    }
}
