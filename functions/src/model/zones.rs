//! Which Availability Zones EKS works in, by zone id: the same places in every account.
//!
//! The control plane and Fargate have lists of their own, and neither of them is an API's answer.

use serde::Serialize;

use crate::contract::Error;
use crate::model::Plan;

/// Zones in which EKS makes no control plane (EKS user guide, VPC and subnet requirements).
const WITHOUT_CONTROL_PLANE: [&str; 3] = ["use1-az3", "usw1-az2", "cac1-az3"];
/// Regions in which Fargate has only some zones (ECS developer guide, AWS Fargate Regions).
const WITH_FARGATE: [(&str, &[&str]); 3] = [
    ("ap-northeast-1", &["apne1-az1", "apne1-az2", "apne1-az4"]),
    ("cn-north-1", &["cnn1-az1", "cnn1-az2"]),
    ("us-west-1", &["usw1-az1", "usw1-az3"]),
];
/// Partitions without EKS on Fargate (GovCloud user guide, Amazon EKS).
const PARTITIONS_WITHOUT_FARGATE: [&str; 1] = ["aws-us-gov"];

/// The input's field that names zones.
pub const NAMED: &str = "network.availabilityZoneIds";
/// The input's field that leaves zones out.
pub const EXCLUDED: &str = "network.excludedAvailabilityZoneIds";

/// Whether EKS makes control planes in the zone.
#[must_use]
pub fn has_control_plane(zone_id: &str) -> bool {
    !WITHOUT_CONTROL_PLANE.contains(&zone_id)
}

/// Whether pods run on Fargate in the zone of the region. Where there is no control plane there is no
/// Fargate either (eksctl issue 5677).
#[must_use]
pub fn has_fargate(region: &str, zone_id: &str) -> bool {
    let mut regions = WITH_FARGATE.iter();
    let only = regions.find(|(name, _)| *name == region);
    has_control_plane(zone_id) && only.is_none_or(|(_, zones)| zones.contains(&zone_id))
}

/// Whether the partition has EKS on Fargate.
#[must_use]
pub fn partition_has_fargate(partition: &str) -> bool {
    !PARTITIONS_WITHOUT_FARGATE.contains(&partition)
}

/// The error for zones of the plan in which AWS refuses to make `what`: it names the fields with which
/// the next run avoids them. `zone_ids` are those; where AWS does not say which, all of the plan.
#[must_use]
pub fn unavailable(plan: &Plan, what: &str, zone_ids: &[&str], aws_says: &str) -> Error {
    let zones = plan.network.zones.iter();
    let ids: Vec<&str> = zones.map(|zone| zone.id.as_str()).collect();
    let avoid = if zone_ids.is_empty() {
        &ids[..]
    } else {
        zone_ids
    };
    invalid(
        &ids,
        format!(
            "zones other than {avoid}, where AWS makes no {what} now: name others there, or put {avoid} \
             into {EXCLUDED}; if the cluster exists already, tear it down first, because its zones do \
             not change; AWS says: {aws_says}",
            avoid = avoid.join(", ")
        ),
    )
}

/// The plan's zones, as ids, whose names are not among those that AWS says would do.
#[must_use]
pub fn not_among<'a>(plan: &'a Plan, valid_names: &[String]) -> Vec<&'a str> {
    if valid_names.is_empty() {
        return vec![];
    }
    let zones = plan.network.zones.iter();
    let others = zones.filter(|zone| !valid_names.contains(&zone.name));
    others.map(|zone| zone.id.as_str()).collect()
}

fn invalid(zones: impl Serialize, expected: String) -> Error {
    Error::invalid(NAMED, zones, expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_planes_and_fargate_have_lists_of_their_own() {
        for (region, zone, control_plane, fargate) in [
            ("us-east-1", "use1-az1", true, true),
            ("us-east-1", "use1-az3", false, false),
            ("ca-central-1", "cac1-az3", false, false),
            ("us-west-1", "usw1-az2", false, false),
            ("us-west-1", "usw1-az3", true, true),
            ("ap-northeast-1", "apne1-az3", true, false),
            ("cn-north-1", "cnn1-az4", true, false),
            ("cn-north-1", "cnn1-az2", true, true),
        ] {
            assert_eq!(has_control_plane(zone), control_plane, "{zone}");
            assert_eq!(has_fargate(region, zone), fargate, "{zone}");
        }
        assert!(partition_has_fargate("aws") && partition_has_fargate("aws-cn"));
        assert!(!partition_has_fargate("aws-us-gov"));
    }

    #[test]
    fn unavailable_zones_are_named_by_id_with_both_fields() {
        let plan = Plan::example();
        let valid = ["ap-northeast-1a", "ap-northeast-1c"].map(ToOwned::to_owned);
        let others = not_among(&plan, &valid);
        assert_eq!(others, ["apne1-az2"]);
        assert_eq!(not_among(&plan, &[]), [""; 0]);
        let error = unavailable(&plan, "control plane", &others, "no capacity");
        let text = error.to_string();
        assert_eq!(error.name(), "InvalidRequest");
        for said in [NAMED, EXCLUDED, "other than apne1-az2,", "no capacity"] {
            assert!(text.contains(said), "{said}: {text}");
        }
        let all = unavailable(&plan, "control plane", &[], "no capacity");
        assert!(all.to_string().contains("apne1-az1, apne1-az2, apne1-az4"));
    }
}
