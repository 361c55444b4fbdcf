//! Which Availability Zones.
//!
//! They are chosen by zone id, the same place in every account, and in the order of the ids, among those in
//! which EKS makes control planes and runs pods on Fargate. That is for a new cluster: one that exists keeps
//! its zones ([`crate::plan::placed_zones`]).

use aws_sdk_ec2::types::{AvailabilityZone, AvailabilityZoneOptInStatus, AvailabilityZoneState};

use crate::contract::Error;
use crate::model::spec::NetworkSpec;
use crate::model::zones as eks_zones;
use crate::plan::placed_zones::PlacedZones;

/// Local and wavelength zones are of other types.
const ZONE_TYPE: &str = "availability-zone";
/// How many zones when no number is asked for, if the region has as many.
const DEFAULT: usize = 3;
/// EKS needs subnets in two zones at the least.
pub(crate) const MIN: usize = 2;

const NUMBER: &str = "network.availabilityZones";

/// Ids and names of the chosen zones.
pub(crate) fn choose(
    found: &[AvailabilityZone],
    region: &str,
    asked: &NetworkSpec,
    placed: &PlacedZones,
) -> Result<Vec<(String, String)>, Error> {
    if !placed.of_cluster.is_empty() {
        check_unchanged(asked, &placed.of_cluster)?;
        return Ok(placed.of_cluster.clone());
    }
    let region = Region::of(found, region);
    match asked.availability_zone_ids.as_deref() {
        Some(named) => region.named(named),
        None => region.first(asked, placed),
    }
}

/// A cluster that exists keeps its zones; an input that says otherwise is refused rather than ignored.
fn check_unchanged(asked: &NetworkSpec, own: &[(String, String)]) -> Result<(), Error> {
    let ids: Vec<&str> = own.iter().map(|(id, _)| id.as_str()).collect();
    let kept = || {
        format!(
            "{}, or nothing: the cluster exists in these zones, and EKS does not move a control plane; for \
             other zones tear it down and build it again",
            ids.join(", ")
        )
    };
    if let Some(number) = asked.availability_zones
        && usize::from(number) != ids.len()
    {
        let expected = format!("{} of {}", ids.len(), kept());
        return Err(Error::invalid(NUMBER, number, expected));
    }
    let named = asked.availability_zone_ids.as_deref();
    let is_own = |named: &[String]| {
        named.len() == ids.len() && named.iter().all(|id| ids.contains(&id.as_str()))
    };
    if let Some(named) = named.filter(|named| !is_own(named)) {
        return Err(Error::invalid(eks_zones::NAMED, named, kept()));
    }
    let excluded = asked.excluded_availability_zone_ids.as_deref();
    let excluded = excluded.unwrap_or_default();
    if excluded.iter().any(|id| ids.contains(&id.as_str())) {
        let expected = format!("none of {}", kept());
        return Err(Error::invalid(eks_zones::EXCLUDED, excluded, expected));
    }
    Ok(())
}

/// The zones that an account sees in a region.
struct Region<'a> {
    name: &'a str,
    found: &'a [AvailabilityZone],
    /// Ids and names of those in which a cluster can be, in the order of the ids.
    usable: Vec<(String, String)>,
}

impl<'a> Region<'a> {
    fn of(found: &'a [AvailabilityZone], name: &'a str) -> Self {
        let usable = found.iter().filter(|zone| why_not(zone, name).is_none());
        let mut usable: Vec<_> = usable.filter_map(id_and_name).collect();
        usable.sort();
        Self {
            name,
            found,
            usable,
        }
    }

    fn named(&self, named: &[String]) -> Result<Vec<(String, String)>, Error> {
        let mut chosen = vec![];
        for (index, id) in named.iter().enumerate() {
            let zone = self.usable.iter().find(|(usable, _)| usable == id);
            let zone = zone.ok_or_else(|| {
                let field = format!("{}[{index}]", eks_zones::NAMED);
                let why = self.find(id).and_then(|zone| why_not(zone, self.name));
                let why = why.map(|why| format!("; {id} {why}")).unwrap_or_default();
                let expected = format!("one of {}{why}", self.ids());
                Error::invalid(field, id, expected)
            })?;
            chosen.push(zone.clone());
        }
        chosen.sort();
        Ok(chosen)
    }

    /// As many as are asked for: first those in which there are subnets already.
    fn first(
        &self,
        asked: &NetworkSpec,
        placed: &PlacedZones,
    ) -> Result<Vec<(String, String)>, Error> {
        let excluded = asked.excluded_availability_zone_ids.as_deref();
        let excluded = excluded.unwrap_or_default();
        for (index, id) in excluded.iter().enumerate() {
            if self.find(id).is_none() {
                let field = format!("{}[{index}]", eks_zones::EXCLUDED);
                let expected = format!("a zone of {}, for example of {}", self.name, self.ids());
                return Err(Error::invalid(field, id, expected));
            }
        }
        let mut usable = self.usable.clone();
        usable.retain(|(id, _)| !excluded.contains(id));
        let ids: Vec<_> = usable.iter().map(|(id, _)| id.as_str()).collect();
        let ids = ids.join(", ");
        if usable.len() < MIN && !excluded.is_empty() {
            let expected = format!("fewer, so that {MIN} are left of {}", self.ids());
            return Err(Error::invalid(eks_zones::EXCLUDED, excluded, expected));
        }
        if usable.len() < MIN {
            let expected =
                format!("a region with {MIN} Availability Zones for EKS on Fargate; it has: {ids}");
            return Err(Error::invalid("region", self.name, expected));
        }
        let number = asked.availability_zones;
        let count = number.map_or(DEFAULT.min(usable.len()), usize::from);
        if count > usable.len() {
            let expected = format!(
                "{}: {} has only {ids} for EKS on Fargate",
                usable.len(),
                self.name
            );
            return Err(Error::invalid(NUMBER, number, expected));
        }
        usable.sort_by_key(|(id, _)| (!placed.places.contains_key(id), id.clone()));
        usable.truncate(count);
        usable.sort();
        Ok(usable)
    }

    fn find(&self, id: &str) -> Option<&AvailabilityZone> {
        let mut found = self.found.iter();
        found.find(|zone| zone.zone_id() == Some(id))
    }

    fn ids(&self) -> String {
        let ids: Vec<_> = self.usable.iter().map(|(id, _)| id.as_str()).collect();
        ids.join(", ")
    }
}

fn id_and_name(zone: &AvailabilityZone) -> Option<(String, String)> {
    Some((zone.zone_id()?.to_owned(), zone.zone_name()?.to_owned()))
}

/// Why a cluster cannot be in a zone, for a sentence that begins with its id.
fn why_not(zone: &AvailabilityZone, region: &str) -> Option<String> {
    let is_open = matches!(
        zone.opt_in_status(),
        Some(AvailabilityZoneOptInStatus::OptInNotRequired | AvailabilityZoneOptInStatus::OptedIn)
    );
    let id = zone.zone_id().unwrap_or_default();
    if zone.zone_type() != Some(ZONE_TYPE) {
        return Some("is no Availability Zone but a local zone or the like".to_owned());
    }
    if !is_open {
        return Some("is not enabled in the account".to_owned());
    }
    if zone.state() != Some(&AvailabilityZoneState::Available) {
        let state = zone
            .state()
            .map_or("unknown", AvailabilityZoneState::as_str);
        return Some(format!("is {state} now"));
    }
    if !eks_zones::has_control_plane(id) {
        return Some("has no control planes of EKS".to_owned());
    }
    (!eks_zones::has_fargate(region, id)).then(|| "has no Fargate".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn zone(id: &str) -> AvailabilityZone {
        AvailabilityZone::builder()
            .zone_id(id)
            .zone_name(format!("name-of-{id}"))
            .zone_type(ZONE_TYPE)
            .state(AvailabilityZoneState::Available)
            .opt_in_status(AvailabilityZoneOptInStatus::OptInNotRequired)
            .build()
    }

    fn strings(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    fn named(ids: &[&str]) -> NetworkSpec {
        NetworkSpec {
            availability_zone_ids: Some(strings(ids)),
            ..NetworkSpec::default()
        }
    }

    fn excluding(ids: &[&str]) -> NetworkSpec {
        NetworkSpec {
            excluded_availability_zone_ids: Some(strings(ids)),
            ..NetworkSpec::default()
        }
    }

    fn of_number(number: u8) -> NetworkSpec {
        NetworkSpec {
            availability_zones: Some(number),
            ..NetworkSpec::default()
        }
    }

    fn chosen(
        found: &[AvailabilityZone],
        asked: &NetworkSpec,
        placed: &PlacedZones,
    ) -> Result<Vec<String>, Error> {
        let chosen = choose(found, "us-east-1", asked, placed)?;
        Ok(chosen.into_iter().map(|(id, _)| id).collect())
    }

    fn ids(found: &[AvailabilityZone], asked: &NetworkSpec) -> Result<Vec<String>, Error> {
        chosen(found, asked, &PlacedZones::default())
    }

    fn cluster_in(zones: &[&str]) -> PlacedZones {
        let of_cluster = strings(zones).into_iter();
        PlacedZones {
            of_cluster: of_cluster.map(|id| (id.clone(), id)).collect(),
            places: BTreeMap::new(),
        }
    }

    const FOUR: [&str; 4] = ["use1-az4", "use1-az1", "use1-az6", "use1-az2"];

    #[test]
    fn three_zones_in_the_order_of_their_ids() {
        let found = FOUR.map(zone);
        let default = NetworkSpec::default();
        let three = ["use1-az1", "use1-az2", "use1-az4"];
        assert_eq!(ids(&found, &default).unwrap(), three);
        assert_eq!(ids(&found, &of_number(2)).unwrap(), three[..2]);
    }

    #[test]
    fn zones_without_control_planes_or_fargate_are_left_out() {
        let found = ["use1-az1", "use1-az2", "use1-az3", "use1-az4"].map(zone);
        assert_eq!(
            ids(&found, &of_number(3)).unwrap(),
            ["use1-az1", "use1-az2", "use1-az4"]
        );
        for (region, seen, expected) in [
            ("cn-north-1", "cnn1-az", &["cnn1-az1", "cnn1-az2"][..]),
            ("us-west-1", "usw1-az", &["usw1-az1", "usw1-az3"]),
            (
                "ap-northeast-1",
                "apne1-az",
                &["apne1-az1", "apne1-az2", "apne1-az4"],
            ),
        ] {
            let found = ["1", "2", "3", "4"].map(|number| zone(&format!("{seen}{number}")));
            let none = PlacedZones::default();
            let chosen = choose(&found, region, &NetworkSpec::default(), &none).unwrap();
            let chosen: Vec<_> = chosen.into_iter().map(|(id, _)| id).collect();
            assert_eq!(chosen, expected, "{region}");
        }
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
        assert_eq!(
            ids(&found, &NetworkSpec::default()).unwrap(),
            ["use1-az5", "use1-az6"]
        );
        for (id, why) in [
            ("use1-az1", "local zone"),
            ("use1-az2", "not enabled"),
            ("use1-az4", "impaired"),
        ] {
            let text = ids(&found, &named(&["use1-az5", id])).unwrap_err();
            assert!(text.to_string().contains(why), "{text}");
        }
    }

    #[test]
    fn three_zones_are_refused_where_there_are_two() {
        let error = ids(&["use1-az1", "use1-az2"].map(zone), &of_number(3)).unwrap_err();
        let message = error.to_string();
        assert!(
            message.starts_with("network.availabilityZones: 3"),
            "{message}"
        );
        assert!(message.contains("use1-az1, use1-az2"), "{message}");
    }

    #[test]
    fn a_region_with_a_single_zone_is_refused() {
        let found = ["use1-az1", "use1-az3"].map(zone);
        let error = ids(&found, &NetworkSpec::default()).unwrap_err();
        assert!(
            error.to_string().starts_with("region: \"us-east-1\""),
            "{error}"
        );
    }

    #[test]
    fn named_zones_are_taken_in_the_order_of_their_ids() {
        let found = FOUR.map(zone);
        let asked = named(&["use1-az6", "use1-az2"]);
        assert_eq!(ids(&found, &asked).unwrap(), ["use1-az2", "use1-az6"]);
        for (wrong, said) in [
            ("use1-az9", "one of use1-az1, use1-az2, use1-az4, use1-az6"),
            ("use1-az3", "one of use1-az1"),
        ] {
            let error = ids(&found, &named(&["use1-az1", wrong])).unwrap_err();
            let text = error.to_string();
            let field = format!("network.availabilityZoneIds[1]: \"{wrong}\"");
            assert!(text.starts_with(&field) && text.contains(said), "{text}");
        }
        let with_bad = [FOUR[1], "use1-az3"].map(zone);
        let error = ids(&with_bad, &named(&["use1-az1", "use1-az3"])).unwrap_err();
        assert!(error.to_string().contains("no control planes"), "{error}");
    }

    #[test]
    fn excluded_zones_are_left_out_and_unknown_ones_refused() {
        let found = FOUR.map(zone);
        let asked = excluding(&["use1-az1"]);
        assert_eq!(
            ids(&found, &asked).unwrap(),
            ["use1-az2", "use1-az4", "use1-az6"]
        );
        let error = ids(&found, &excluding(&["use1-az9"])).unwrap_err();
        let field = "network.excludedAvailabilityZoneIds[0]: \"use1-az9\"";
        assert!(error.to_string().starts_with(field), "{error}");
        let most = excluding(&["use1-az1", "use1-az2", "use1-az4"]);
        let error = ids(&found, &most).unwrap_err().to_string();
        assert!(
            error.starts_with("network.excludedAvailabilityZoneIds"),
            "{error}"
        );
        assert!(error.contains("so that 2 are left"), "{error}");
    }

    #[test]
    fn a_cluster_keeps_its_zones_whatever_the_region_has() {
        let own = cluster_in(&["use1-az1", "use1-az3"]);
        for found in [&FOUR.map(zone)[..], &[]] {
            for asked in [
                NetworkSpec::default(),
                of_number(2),
                named(&["use1-az3", "use1-az1"]),
                excluding(&["use1-az4"]),
            ] {
                let kept = chosen(found, &asked, &own).unwrap();
                assert_eq!(kept, ["use1-az1", "use1-az3"]);
            }
        }
    }

    #[test]
    fn other_zones_are_refused_for_a_cluster_that_exists() {
        let own = cluster_in(&["use1-az1", "use1-az2"]);
        for (field, asked) in [
            ("network.availabilityZones: 3", of_number(3)),
            (
                "network.availabilityZoneIds",
                named(&["use1-az1", "use1-az4"]),
            ),
            (
                "network.availabilityZoneIds",
                named(&["use1-az1", "use1-az2", "use1-az4"]),
            ),
            (
                "network.excludedAvailabilityZoneIds",
                excluding(&["use1-az2"]),
            ),
        ] {
            let error = chosen(&FOUR.map(zone), &asked, &own).unwrap_err();
            let text = error.to_string();
            assert_eq!(error.name(), "InvalidRequest");
            assert!(text.starts_with(field), "{text}");
            for said in ["use1-az1, use1-az2", "tear it down"] {
                assert!(text.contains(said), "{text}");
            }
        }
    }

    #[test]
    fn a_network_without_a_cluster_is_gone_on_with() {
        let placed = PlacedZones {
            of_cluster: vec![],
            places: BTreeMap::from([("use1-az6".to_owned(), 2)]),
        };
        let found = FOUR.map(zone);
        let two = chosen(&found, &of_number(2), &placed).unwrap();
        assert_eq!(two, ["use1-az1", "use1-az6"]);
        let without = chosen(&found, &excluding(&["use1-az6"]), &placed).unwrap();
        assert_eq!(without, ["use1-az1", "use1-az2", "use1-az4"]);
    }
}
