//! Zones of regions. Their ids are the same for everybody, their names differ between accounts.

use std::collections::{BTreeMap, BTreeSet};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Ec2;
use super::filters::Filters;
use super::request::{Request, invalid_value};
use super::tags::Tags;
use crate::api_error::ApiError;
use crate::xml::Element;

/// A zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// For example `apne1-az4`.
    pub id: String,
    /// For example `ap-northeast-1a`.
    pub name: String,
    /// What sort of zone it is.
    pub zone_type: ZoneType,
    /// Whether the account may use it.
    pub opt_in: OptIn,
    /// For example `ap-northeast-1-zg-1`.
    pub group: String,
    /// Where its public addresses are announced.
    pub network_border_group: String,
    /// How it is.
    #[serde(default)]
    pub state: ZoneState,
}

/// botocore's EC2 model, AvailabilityZoneState.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ZoneState {
    /// `available`
    #[default]
    Available,
    /// `impaired`
    Impaired,
    /// `unavailable`
    Unavailable,
}

/// How a region's zones are for an account: what differs from [`zones_of`]. Tests change it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ZoneConditions {
    /// Zones that are not available, by id.
    pub states: BTreeMap<String, ZoneState>,
    /// Ids of zones that the account does not see.
    pub unlisted: BTreeSet<String>,
    /// Zones that the region has got since.
    pub added: Vec<Zone>,
    /// Ids of zones without NAT gateways.
    pub without_nat_gateways: BTreeSet<String>,
    /// Ids of zones in which EKS makes no control planes, beside those that it says so of.
    pub without_control_planes: BTreeSet<String>,
}

impl ZoneConditions {
    /// The zones that an account sees in a region.
    #[must_use]
    pub fn of(&self, account: &str, region: &str) -> Vec<Zone> {
        let mut zones = zones_of(account, region);
        zones.extend(self.added.iter().cloned());
        zones.retain(|zone| !self.unlisted.contains(&zone.id));
        for zone in &mut zones {
            let state = self.states.get(&zone.id).copied();
            zone.state = state.unwrap_or(zone.state);
        }
        zones
    }
}

/// botocore's EC2 model, AvailabilityZone.ZoneType; Wavelength Zones are not modelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ZoneType {
    /// `availability-zone`
    AvailabilityZone,
    /// `local-zone`
    LocalZone,
}

/// botocore's EC2 model, AvailabilityZoneOptInStatus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OptIn {
    /// `opt-in-not-required`
    NotRequired,
    /// `not-opted-in`
    NotOptedIn,
}

/// Regions and the numbers of the zones that accounts see there. Among them the three that EKS does
/// not take (EKS user guide, network requirements): use1-az3, usw1-az2, cac1-az3.
const NUMBERS: &[(&str, &[u8])] = &[
    ("ap-northeast-1", &[1, 2, 4]),
    ("ap-southeast-2", &[1, 2, 3]),
    ("ca-central-1", &[1, 2, 3, 4]),
    ("cn-north-1", &[1, 2, 4]),
    ("eu-central-1", &[1, 2, 3]),
    ("eu-west-1", &[1, 2, 3]),
    ("us-east-1", &[1, 2, 3, 4, 5, 6]),
    ("us-west-1", &[1, 2, 3]),
    ("us-west-2", &[1, 2, 3, 4]),
];
const OTHER_NUMBERS: &[u8] = &[1, 2, 3];
/// A local zone of a region, by the code of its city.
const LOCAL: &[(&str, &str)] = &[
    ("ap-northeast-1", "tpe"),
    ("ap-southeast-2", "per"),
    ("eu-central-1", "ham"),
    ("us-east-1", "bos"),
    ("us-west-2", "lax"),
];

/// The zones of a region, with the names that they have when nothing is shuffled.
#[must_use]
pub fn zones(region: &str) -> Vec<Zone> {
    let numbers = NUMBERS.iter().find(|(name, _)| *name == region);
    let numbers = numbers.map_or(OTHER_NUMBERS, |(_, numbers)| numbers);
    let short = short_name(region);
    let mut zones: Vec<Zone> = (numbers.iter().zip('a'..))
        .map(|(number, letter)| Zone {
            id: format!("{short}-az{number}"),
            name: format!("{region}{letter}"),
            zone_type: ZoneType::AvailabilityZone,
            opt_in: OptIn::NotRequired,
            group: format!("{region}-zg-1"),
            network_border_group: region.to_owned(),
            state: ZoneState::Available,
        })
        .collect();
    let local = LOCAL.iter().filter(|(name, _)| *name == region);
    zones.extend(local.map(|(_, city)| Zone {
        id: format!("{short}-{city}1-az1"),
        name: format!("{region}-{city}-1a"),
        zone_type: ZoneType::LocalZone,
        opt_in: OptIn::NotOptedIn,
        group: format!("{region}-{city}-1"),
        network_border_group: format!("{region}-{city}-1"),
        state: ZoneState::Available,
    }));
    zones
}

/// The zones of a region with the names that they have for an account: which letter is which zone
/// differs between accounts (EC2 user guide, Availability Zones).
#[must_use]
pub fn zones_of(account: &str, region: &str) -> Vec<Zone> {
    let mut zones = zones(region);
    let is_regular = |zone: &Zone| zone.zone_type == ZoneType::AvailabilityZone;
    let mut names: Vec<String> = (zones.iter())
        .filter(|zone| is_regular(zone))
        .map(|zone| zone.name.clone())
        .collect();
    let digest = Sha256::digest(format!("{account}/{region}"));
    names.shuffle(&mut ChaCha8Rng::from_seed(digest.into()));
    let regular = zones.iter_mut().filter(|zone| is_regular(zone));
    for (zone, name) in regular.zip(names) {
        zone.name = name;
    }
    zones.sort_by_key(|zone| (!is_regular(zone), zone.name.clone()));
    zones
}

/// `ap-northeast-1` is `apne1` in zone ids, `us-gov-west-1` is `usgw1`.
fn short_name(region: &str) -> String {
    let mut parts = region.split('-');
    let mut short = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part {
            "northeast" => short.push_str("ne"),
            "northwest" => short.push_str("nw"),
            "southeast" => short.push_str("se"),
            "southwest" => short.push_str("sw"),
            _ if part.bytes().all(|byte| byte.is_ascii_digit()) => short.push_str(part),
            _ => short.extend(part.chars().next()),
        }
    }
    short
}

/// botocore's EC2 model, DescribeAvailabilityZones.
const FILTERS: &[&str] = &[
    "group-long-name",
    "group-name",
    "message",
    "opt-in-status",
    "parent-zone-id",
    "parent-zone-name",
    "region-name",
    "state",
    "zone-id",
    "zone-name",
    "zone-type",
];

/// `DescribeAvailabilityZones`: zones that the account has not opted in to only when all are asked for.
pub(super) fn describe(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let filters = Filters::read(request.params, FILTERS)?;
    let all = request.flag("AllAvailabilityZones")?.unwrap_or(false);
    let mut zones = ec2.zones.of(request.account, request.region);
    zones.retain(|zone| all || zone.opt_in != OptIn::NotOptedIn);
    for (parameter, of) in [
        ("ZoneName", (|zone| &zone.name) as fn(&Zone) -> &String),
        ("ZoneId", |zone| &zone.id),
    ] {
        let wanted = request.params.list(parameter);
        let is_unknown = |value: &&&str| !zones.iter().any(|zone| of(zone) == **value);
        if let Some(unknown) = wanted.iter().find(is_unknown) {
            return Err(invalid_value(parameter, unknown, "There is no such zone."));
        }
        zones.retain(|zone| wanted.is_empty() || wanted.contains(&of(zone).as_str()));
    }
    zones.retain(|zone| {
        filters.accept(&Tags::new(), |name| {
            zone.attribute(name, request).into_iter().collect()
        })
    });
    let items = zones.iter().map(|zone| zone.content(request));
    Ok(vec![Element::list("availabilityZoneInfo", "item", items)])
}

impl Zone {
    fn type_name(&self) -> &'static str {
        match self.zone_type {
            ZoneType::AvailabilityZone => "availability-zone",
            ZoneType::LocalZone => "local-zone",
        }
    }

    fn state_name(&self) -> &'static str {
        match self.state {
            ZoneState::Available => "available",
            ZoneState::Impaired => "impaired",
            ZoneState::Unavailable => "unavailable",
        }
    }

    fn opt_in_status(&self) -> &'static str {
        match self.opt_in {
            OptIn::NotRequired => "opt-in-not-required",
            OptIn::NotOptedIn => "not-opted-in",
        }
    }

    fn attribute(&self, name: &str, request: &Request<'_>) -> Option<String> {
        let value = match name {
            "group-name" => &self.group,
            "opt-in-status" => self.opt_in_status(),
            "region-name" => request.region,
            "state" => self.state_name(),
            "zone-id" => &self.id,
            "zone-name" => &self.name,
            "zone-type" => self.type_name(),
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn content(&self, request: &Request<'_>) -> Vec<Element> {
        vec![
            Element::text("zoneName", &self.name),
            Element::text("zoneId", &self.id),
            Element::text("zoneState", self.state_name()),
            Element::text("zoneType", self.type_name()),
            Element::text("regionName", request.region),
            Element::text("groupName", &self.group),
            Element::text("networkBorderGroup", &self.network_border_group),
            Element::text("optInStatus", self.opt_in_status()),
            Element::new("messageSet"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{AvailabilityZone, AvailabilityZoneOptInStatus};

    use super::*;
    use crate::ec2::testing::{World, code};

    #[test]
    fn zone_ids_start_with_the_short_name_of_the_region() {
        for (region, short) in [
            ("ap-northeast-1", "apne1"),
            ("us-east-1", "use1"),
            ("ca-central-1", "cac1"),
            ("cn-north-1", "cnn1"),
            ("eu-west-2", "euw2"),
            ("us-gov-west-1", "usgw1"),
            ("ap-southeast-2", "apse2"),
        ] {
            assert_eq!(short_name(region), short);
        }
        let ids: Vec<String> = zones("eu-west-2").into_iter().map(|zone| zone.id).collect();
        assert_eq!(ids, ["euw2-az1", "euw2-az2", "euw2-az3"]);
    }

    #[test]
    fn names_are_shuffled_for_each_account() {
        let mapping = |account: &str| {
            let zones = zones_of(account, "us-east-1").into_iter();
            let regular = zones.filter(|zone| zone.zone_type == ZoneType::AvailabilityZone);
            regular.map(|zone| (zone.name, zone.id)).collect::<Vec<_>>()
        };
        assert_eq!(mapping("111122223333"), mapping("111122223333"));
        assert_ne!(mapping("111122223333"), mapping("444455556666"));
        let mut ids: Vec<_> = mapping("111122223333").into_iter().map(|it| it.1).collect();
        ids.sort();
        assert_eq!(ids[0], "use1-az1");
        assert_eq!(ids.len(), 6);
    }

    #[tokio::test(start_paused = true)]
    async fn zones_can_be_impaired_missing_and_new() {
        let world = World::new();
        world.change(|ec2| {
            let conditions = &mut ec2.zones;
            let id = |number: u8| format!("apne1-az{number}");
            conditions.states.insert(id(1), ZoneState::Impaired);
            conditions.unlisted.insert(id(2));
            let mut new = zones("ap-northeast-1").remove(0);
            (new.id, new.name) = (id(5), "ap-northeast-1e".to_owned());
            conditions.added.push(new);
        });
        let call = world
            .ec2
            .describe_availability_zones()
            .send()
            .await
            .unwrap();
        let found = call.availability_zones().iter();
        let found = found.map(|zone| {
            let state = zone.state().unwrap().to_string();
            (zone.zone_id().unwrap().to_owned(), state)
        });
        let found: BTreeMap<String, String> = found.collect();
        let expected = [
            ("apne1-az1", "impaired"),
            ("apne1-az4", "available"),
            ("apne1-az5", "available"),
        ];
        let expected = expected.map(|(id, state)| (id.to_owned(), state.to_owned()));
        assert_eq!(found, BTreeMap::from(expected));
    }

    #[tokio::test(start_paused = true)]
    async fn zones_that_are_not_opted_in_are_shown_only_among_all() {
        let world = World::new();
        let describe = || world.ec2.describe_availability_zones();
        let call = describe().send().await.unwrap();
        let usable = call.availability_zones();
        assert_eq!(usable.len(), 3);
        let is_regular = |zone: &AvailabilityZone| {
            zone.zone_type() == Some("availability-zone")
                && zone.opt_in_status() == Some(&AvailabilityZoneOptInStatus::OptInNotRequired)
        };
        assert!(usable.iter().all(is_regular));
        let call = describe()
            .all_availability_zones(true)
            .send()
            .await
            .unwrap();
        let local = call.availability_zones().iter().find(|it| !is_regular(it));
        let local = local.unwrap();
        assert_eq!(local.zone_type(), Some("local-zone"));
        assert_eq!(local.network_border_group(), Some("ap-northeast-1-tpe-1"));
        let one = describe().zone_ids("apne1-az4").send().await.unwrap();
        assert_eq!(one.availability_zones().len(), 1);
        let none = describe().zone_ids("apne1-az3").send().await;
        assert_eq!(code(none), "InvalidParameterValue");
    }
}
