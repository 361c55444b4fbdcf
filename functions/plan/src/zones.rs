//! Which Availability Zones.
//!
//! They are chosen by zone id, the same place in every account, and in the order of the ids: the choice
//! follows from region and number alone, so a later execution finds the same subnets.

use aws_sdk_ec2::types::{AvailabilityZone, AvailabilityZoneOptInStatus, AvailabilityZoneState};
use step::Error;

/// Zones in which EKS makes no control plane (EKS user guide, VPC and subnet requirements).
const REFUSED_BY_EKS: [&str; 3] = ["use1-az3", "usw1-az2", "cac1-az3"];
/// Local and wavelength zones are of other types.
const ZONE_TYPE: &str = "availability-zone";
/// How many zones when no number is asked for, if the region has as many.
const DEFAULT: usize = 3;
/// EKS needs subnets in two zones at the least.
pub(crate) const MIN: usize = 2;

/// Ids and names of the chosen zones.
pub(crate) fn choose(
    found: &[AvailabilityZone],
    region: &str,
    asked: Option<u8>,
) -> Result<Vec<(String, String)>, Error> {
    let mut usable: Vec<_> = found.iter().filter_map(usable).collect();
    usable.sort();
    let ids: Vec<_> = usable.iter().map(|(id, _)| id.as_str()).collect();
    let ids = ids.join(", ");
    if usable.len() < MIN {
        let expected = format!("a region with {MIN} Availability Zones for EKS; it has: {ids}");
        return Err(Error::invalid("region", region, expected));
    }
    let number = asked.map_or(DEFAULT.min(usable.len()), usize::from);
    if number > usable.len() {
        let expected = format!("{}: {region} has only {ids} for EKS", usable.len());
        return Err(Error::invalid("network.availabilityZones", asked, expected));
    }
    usable.truncate(number);
    Ok(usable)
}

/// Id and name of a zone in which the cluster can be.
fn usable(zone: &AvailabilityZone) -> Option<(String, String)> {
    let is_open = matches!(
        zone.opt_in_status(),
        Some(AvailabilityZoneOptInStatus::OptInNotRequired | AvailabilityZoneOptInStatus::OptedIn)
    );
    let is_available = zone.state() == Some(&AvailabilityZoneState::Available);
    let (id, name) = (zone.zone_id()?, zone.zone_name()?);
    let is_usable = zone.zone_type() == Some(ZONE_TYPE)
        && is_open
        && is_available
        && !REFUSED_BY_EKS.contains(&id);
    is_usable.then(|| (id.to_owned(), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(id: &str) -> AvailabilityZone {
        AvailabilityZone::builder()
            .zone_id(id)
            .zone_name(format!("name-of-{id}"))
            .zone_type(ZONE_TYPE)
            .state(AvailabilityZoneState::Available)
            .opt_in_status(AvailabilityZoneOptInStatus::OptInNotRequired)
            .build()
    }

    fn ids(found: &[AvailabilityZone], asked: Option<u8>) -> Result<Vec<String>, Error> {
        let chosen = choose(found, "us-east-1", asked)?;
        Ok(chosen.into_iter().map(|(id, _)| id).collect())
    }

    #[test]
    fn three_zones_in_the_order_of_their_ids() {
        let found = ["use1-az4", "use1-az1", "use1-az6", "use1-az2"].map(zone);
        assert_eq!(
            ids(&found, None).unwrap(),
            ["use1-az1", "use1-az2", "use1-az4"]
        );
        assert_eq!(ids(&found, Some(2)).unwrap(), ["use1-az1", "use1-az2"]);
    }

    #[test]
    fn zones_that_eks_refuses_are_left_out() {
        let found = ["use1-az1", "use1-az2", "use1-az3", "use1-az4"].map(zone);
        assert_eq!(
            ids(&found, Some(3)).unwrap(),
            ["use1-az1", "use1-az2", "use1-az4"]
        );
    }

    #[test]
    fn local_closed_and_impaired_zones_are_left_out() {
        let mut local = zone("use1-az1");
        local.zone_type = Some("local-zone".to_owned());
        let mut closed = zone("use1-az2");
        closed.opt_in_status = Some(AvailabilityZoneOptInStatus::NotOptedIn);
        let mut impaired = zone("use1-az4");
        impaired.state = Some(AvailabilityZoneState::Impaired);
        let found = [local, closed, impaired, zone("use1-az5"), zone("use1-az6")];
        assert_eq!(ids(&found, None).unwrap(), ["use1-az5", "use1-az6"]);
    }

    #[test]
    fn three_zones_are_refused_where_there_are_two() {
        let error = ids(&["use1-az1", "use1-az2"].map(zone), Some(3)).unwrap_err();
        let message = error.to_string();
        assert!(
            message.starts_with("network.availabilityZones: 3"),
            "{message}"
        );
        assert!(message.contains("use1-az1, use1-az2"), "{message}");
    }

    #[test]
    fn a_region_with_a_single_zone_is_refused() {
        let error = ids(&["use1-az1", "use1-az3"].map(zone), None).unwrap_err();
        assert!(
            error.to_string().starts_with("region: \"us-east-1\""),
            "{error}"
        );
    }
}
