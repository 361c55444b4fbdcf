//! What the plan costs by the month: list prices from a dated table beside this file, without traffic.
//!
//! A region that is not in the table has no price here rather than a guessed one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::contract::Error;
use crate::model::Plan;
use crate::plan::quotas::COREDNS_VCPUS;

/// The table, with the source of each of its prices.
const TABLE: &str = include_str!("prices.json");
/// The partition that its prices are of.
const PARTITION: &str = "aws";
/// Two pods of 0.5 GB.
const COREDNS_GB: f64 = 1.0;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Table {
    currency: String,
    hours_per_month: f64,
    everywhere: Everywhere,
    regions: BTreeMap<String, Region>,
}

/// Prices for an hour.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Everywhere {
    control_plane: f64,
    control_plane_in_extended_support: f64,
    public_ipv4: f64,
}

/// Prices for an hour; Linux on x86, because EKS has no other Fargate (aws/containers-roadmap issue 1629).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    nat_gateway: f64,
    fargate_vcpu: f64,
    fargate_gb: f64,
    date: String,
}

/// What a plan costs in a month of 730 hours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MonthlyPrice {
    /// `USD`.
    pub currency: String,
    /// The sum of the lines.
    pub total: f64,
    /// The day of the region's prices, for example `2026-09-25`.
    pub date: String,
    /// What it is made of.
    pub lines: Vec<Line>,
}

/// One thing that is paid by the hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// For example `NAT gateways`.
    pub item: String,
    /// How many.
    pub quantity: f64,
    /// What one costs in an hour.
    pub per_hour: f64,
    /// What all of them cost in a month, in whole cents.
    pub per_month: f64,
}

/// The price of the plan; none in a region that the table does not have.
///
/// # Errors
/// Never: the table is part of the program, and a test reads it.
pub(crate) fn of(plan: &Plan, is_in_extended_support: bool) -> Result<Option<MonthlyPrice>, Error> {
    let table: Table =
        serde_json::from_str(TABLE).map_err(|error| Error::Unexpected(error.to_string()))?;
    let region = table.regions.get(&plan.target.region);
    let Some(region) = region.filter(|_| plan.target.partition == PARTITION) else {
        return Ok(None);
    };
    let everywhere = &table.everywhere;
    let control_plane = if is_in_extended_support {
        (
            "EKS control plane, extended support",
            everywhere.control_plane_in_extended_support,
        )
    } else {
        ("EKS control plane", everywhere.control_plane)
    };
    let gateways = count(plan.network.nat_zones().len());
    let lines = [
        (control_plane.0, 1.0, control_plane.1),
        ("NAT gateways", gateways, region.nat_gateway),
        ("public IPv4 addresses", gateways, everywhere.public_ipv4),
        (
            "CoreDNS on Fargate, vCPU",
            COREDNS_VCPUS,
            region.fargate_vcpu,
        ),
        ("CoreDNS on Fargate, GB", COREDNS_GB, region.fargate_gb),
    ];
    let lines: Vec<Line> = lines
        .into_iter()
        .map(|(item, quantity, per_hour)| Line {
            item: item.to_owned(),
            quantity,
            per_hour,
            per_month: cents(quantity * per_hour * table.hours_per_month),
        })
        .collect();
    Ok(Some(MonthlyPrice {
        currency: table.currency,
        total: cents(lines.iter().map(|line| line.per_month).sum()),
        date: region.date.clone(),
        lines,
    }))
}

/// Rounded to whole cents.
fn cents(amount: f64) -> f64 {
    (amount * 100.0).round() / 100.0
}

#[allow(clippy::cast_precision_loss, reason = "there are three at the most")]
fn count(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::spec::NatGateways;

    fn price(change: impl FnOnce(&mut Plan), is_in_extended_support: bool) -> MonthlyPrice {
        let mut plan = Plan::example();
        change(&mut plan);
        of(&plan, is_in_extended_support).unwrap().unwrap()
    }

    fn is(actual: f64, expected: f64) -> bool {
        (actual - expected).abs() < 0.001
    }

    #[test]
    fn every_line_is_quantity_times_price_times_730_hours() {
        let price = price(|plan| plan.target.region = "us-east-1".to_owned(), false);
        let expected = [
            ("EKS control plane", 1.0, 73.0),
            ("NAT gateways", 3.0, 98.55),
            ("public IPv4 addresses", 3.0, 10.95),
            ("CoreDNS on Fargate, vCPU", 0.5, 14.78),
            ("CoreDNS on Fargate, GB", 1.0, 3.24),
        ];
        assert_eq!(price.lines.len(), expected.len());
        for (line, (item, quantity, per_month)) in price.lines.iter().zip(expected) {
            assert_eq!(line.item, item);
            assert!(is(line.quantity, quantity), "{line:?}");
            assert!(is(line.per_month, per_month), "{line:?}");
        }
        assert!(is(price.total, 200.52), "{price:?}");
    }

    #[test]
    fn extended_support_costs_six_times_as_much() {
        let standard = price(|_| (), false);
        let extended = price(|_| (), true);
        assert!(is(extended.total - standard.total, 365.0));
        assert!(extended.lines[0].item.contains("extended support"));
    }

    #[test]
    fn a_single_gateway_saves_two_with_their_addresses() {
        let single = price(
            |plan| plan.network.nat_gateways = NatGateways::Single,
            false,
        );
        let all = price(|_| (), false);
        assert!(is(all.total - single.total, 2.0 * 730.0 * (0.062 + 0.005)));
    }

    #[test]
    fn where_there_are_no_prices_none_are_made_up() {
        let mut plan = Plan::example();
        plan.target.region = "ap-southeast-7".to_owned();
        assert_eq!(of(&plan, false), Ok(None));
        plan.target.region = "us-east-1".to_owned();
        plan.target.partition = "aws-cn".to_owned();
        assert_eq!(of(&plan, false), Ok(None));
    }

    #[test]
    fn every_price_has_its_source_and_its_day() {
        let table: serde_json::Value = serde_json::from_str(TABLE).unwrap();
        assert_eq!(table["sources"].as_object().unwrap().len(), 2);
        for (region, prices) in table["regions"].as_object().unwrap() {
            assert!(prices["source"].as_str().unwrap().len() > 20, "{region}");
            let date = prices["date"].as_str().unwrap();
            assert!(
                regex_lite::Regex::new("^20[0-9]{2}-[0-9]{2}-[0-9]{2}$")
                    .unwrap()
                    .is_match(date)
            );
            for name in ["natGateway", "fargateVcpu", "fargateGb"] {
                let price = prices[name].as_f64().unwrap();
                assert!((0.001..0.2).contains(&price), "{region}: {name}");
            }
        }
    }
}
