//! Service quotas, before anything is made: what is in use, what the cluster needs, what AWS allows.
//!
//! What the cluster has already does not count, so that a run that carries on needs no more than it did.
//! Needed is therefore what others have and what the plan wants, and both are taken from the same list,
//! whatever that list does not show yet.
//!
//! Where the function may not ask for a quota, or the account has no value of its own, AWS's default
//! stands in for it, unless more than that is in use: then it was raised, and nobody knows to what. Where
//! Service Quotas does not answer at all, nothing is assumed: a raised quota would be refused.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{NatGateway, NatGatewayState, Tag};

use crate::aws::Aws;
use crate::contract::Error;
use crate::model::plan::Zone;
use crate::model::{Plan, Target, tags};
use crate::resources::service_quota::{
    self, ADDRESSES, CLUSTERS, FARGATE_PROFILES, FARGATE_VCPUS, INTERNET_GATEWAYS, NAT_GATEWAYS,
    Quota, VPCS,
};
use crate::resources::{
    address, cluster, fargate_profile, internet_gateway, nat_gateway, subnet, vpc,
};

/// Vcpus of CoreDNS: two pods of the smallest size (EKS user guide, Fargate pod configuration).
pub(crate) const COREDNS_VCPUS: f64 = 0.5;

/// What the plan needs of a quota.
#[derive(Debug, Clone, PartialEq)]
struct Need {
    quota: Quota,
    /// Of what: the region, a zone, the cluster.
    place: String,
    /// What is there that is not the cluster's; none where no API says it.
    others: Option<f64>,
    /// What is there of the cluster's.
    owned: f64,
    /// What the cluster has in the end.
    wanted: f64,
}

impl Need {
    fn in_use(&self) -> Option<f64> {
        self.others.map(|others| others + self.owned)
    }

    /// What the quota has to be.
    fn needed(&self) -> f64 {
        self.others.unwrap_or_default() + self.wanted.max(self.owned)
    }

    /// The default, where it may stand in for the value that could not be read.
    fn default_instead_of(&self, error: &Error) -> Option<f64> {
        if matches!(error, Error::Throttled(_) | Error::AwsUnavailable(_)) {
            return None;
        }
        let in_use = self.in_use().unwrap_or_default();
        self.quota.default.filter(|default| in_use <= *default)
    }

    /// What is wrong with a quota of `value`, and how to mend it.
    fn shortage(&self, value: f64, is_default: bool, region: &str) -> Option<String> {
        let needed = self.needed();
        if needed <= value {
            return None;
        }
        let Quota {
            service,
            code,
            name,
            ..
        } = self.quota;
        let in_use = match self.in_use() {
            Some(number) => format!("{number} in use"),
            None => "what is in use is not known".to_owned(),
        };
        let guessed = if is_default {
            " (AWS's default; the function could not read it)"
        } else {
            ""
        };
        let asked = needed.ceil();
        Some(format!(
            "{name} ({code}) of {}: the quota is {value}{guessed}, {in_use}, {needed} needed; ask for \
             it with `aws service-quotas request-service-quota-increase --region {region} \
             --service-code {service} --quota-code {code} --desired-value {asked}`, or remove what is \
             not used",
            self.place
        ))
    }
}

/// Refuses a plan that the account has no room for; what could not be found out, in words.
///
/// # Errors
/// [`Error::QuotaExceeded`] with every quota that is too small; what EC2 or EKS answer.
pub(crate) async fn check(aws: &Aws, plan: &Plan) -> Result<Vec<String>, Error> {
    let mut notes = vec![];
    let mut shortages = vec![];
    let mut last: Option<(&str, Result<f64, Error>)> = None;
    for need in needs(aws, plan).await? {
        let code = need.quota.code;
        let known = last.take().filter(|(of, _)| *of == code);
        let (_, answer) = match known {
            Some(known) => known,
            None => (code, service_quota::find(aws, need.quota).await),
        };
        let region = &plan.target.region;
        match &answer {
            Ok(value) => shortages.extend(need.shortage(*value, false, region)),
            Err(error) => {
                let default = need.default_instead_of(error);
                shortages.extend(default.and_then(|value| need.shortage(value, true, region)));
                notes.push(unread(&need, default, error));
            }
        }
        last = Some((code, answer));
    }
    notes.dedup();
    if shortages.is_empty() {
        return Ok(notes);
    }
    Err(Error::QuotaExceeded(shortages.join("; ")))
}

fn unread(need: &Need, default: Option<f64>, error: &Error) -> String {
    let Quota { code, name, .. } = need.quota;
    tracing::warn!(target: "hardway", code, reason = error.to_string(), "a quota cannot be read");
    let assumed = match default {
        Some(default) => format!("AWS's default of {default} is assumed"),
        None => "it is not checked".to_owned(),
    };
    format!("the quota {name} ({code}) could not be read, so {assumed}")
}

/// What the plan needs and does not have yet.
async fn needs(aws: &Aws, plan: &Plan) -> Result<Vec<Need>, Error> {
    let target = &plan.target;
    let mut needs = vec![
        vpcs(aws, target).await?,
        internet_gateways(aws, target).await?,
    ];
    let gateways = nat_gateways(aws).await?;
    needs.extend(nat_gateways_by_zone(aws, plan, &gateways).await?);
    needs.push(addresses(aws, plan, &gateways).await?);
    let clusters = clusters(aws, target).await?;
    let has_cluster = clusters.owned > 0.0;
    needs.push(clusters);
    if has_cluster {
        needs.push(fargate_profiles(aws, plan).await?);
    } else {
        needs.push(Need {
            quota: FARGATE_VCPUS,
            place: target.region.clone(),
            others: None,
            owned: 0.0,
            wanted: COREDNS_VCPUS,
        });
    }
    needs.retain(|need| need.owned < need.wanted);
    Ok(needs)
}

/// A need of one thing, of which there are these: `true` for ours.
fn one(quota: Quota, place: &str, found: impl Iterator<Item = bool>) -> Need {
    let (owned, others): (Vec<bool>, Vec<bool>) = found.partition(|is_ours| *is_ours);
    Need {
        quota,
        place: place.to_owned(),
        others: Some(count(others.len())),
        // A second one is surplus that its step removes.
        owned: count(owned.len().min(1)),
        wanted: 1.0,
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "nobody has so many resources that it matters"
)]
fn count(number: usize) -> f64 {
    number as f64
}

async fn vpcs(aws: &Aws, target: &Target) -> Result<Need, Error> {
    let vpcs = vpc::find(aws, vec![]).await?;
    let found = vpcs.iter().map(|vpc| tags::ec2_is_ours(vpc.tags(), target));
    Ok(one(VPCS, &target.region, found))
}

async fn internet_gateways(aws: &Aws, target: &Target) -> Result<Need, Error> {
    let gateways = internet_gateway::find(aws, vec![]).await?;
    let found = gateways
        .iter()
        .map(|it| tags::ec2_is_ours(it.tags(), target));
    Ok(one(INTERNET_GATEWAYS, &target.region, found))
}

/// Those that count: pending, available and deleting ones (VPC user guide, Amazon VPC quotas).
async fn nat_gateways(aws: &Aws) -> Result<Vec<NatGateway>, Error> {
    let mut gateways = nat_gateway::find(aws, vec![]).await?;
    gateways.retain(|gateway| {
        !matches!(
            gateway.state(),
            Some(NatGatewayState::Failed | NatGatewayState::Deleted)
        )
    });
    Ok(gateways)
}

fn is_there(gateway: &NatGateway) -> bool {
    gateway.state() != Some(&NatGatewayState::Deleting)
}

/// A gateway tells its subnet, and the subnet its zone.
async fn nat_gateways_by_zone(
    aws: &Aws,
    plan: &Plan,
    gateways: &[NatGateway],
) -> Result<Vec<Need>, Error> {
    let mut needs = vec![];
    for zone in plan.network.nat_zones() {
        let subnets = if gateways.is_empty() {
            BTreeSet::new()
        } else {
            subnets_of(aws, zone).await?
        };
        let in_zone = gateways
            .iter()
            .filter(|it| it.subnet_id().is_some_and(|id| subnets.contains(id)));
        let found = in_zone.map(|it| is_there(it) && tags::ec2_is_ours(it.tags(), &plan.target));
        let place = format!("{} ({})", zone.id, zone.name);
        needs.push(one(NAT_GATEWAYS, &place, found));
    }
    Ok(needs)
}

async fn subnets_of(aws: &Aws, zone: &Zone) -> Result<BTreeSet<String>, Error> {
    let in_zone = vec![tags::ec2_filter("availability-zone-id", &zone.id)];
    let subnets = subnet::find(aws, in_zone).await?;
    Ok(subnets
        .into_iter()
        .filter_map(|subnet| subnet.subnet_id)
        .collect())
}

/// One for each NAT gateway; a gateway that there is has its own.
async fn addresses(aws: &Aws, plan: &Plan, gateways: &[NatGateway]) -> Result<Need, Error> {
    let found = address::find(aws, vec![]).await?;
    let target = &plan.target;
    let zones = plan.network.nat_zones().iter();
    let roles: Vec<String> = zones.map(nat_gateway::role).collect();
    let has_one = |role: &&String| {
        let mut gateways = gateways.iter().filter(|it| is_there(it));
        found.iter().any(|it| tags::ec2_is(it.tags(), target, role))
            || gateways.any(|it| tags::ec2_is(it.tags(), target, role))
    };
    // An address of ours in a zone that the plan does not have stays, and counts.
    let is_wanted = |tags: &[Tag]| roles.iter().any(|role| tags::ec2_is(tags, target, role));
    let others = found.iter().filter(|it| !is_wanted(it.tags()));
    Ok(Need {
        quota: ADDRESSES,
        place: target.region.clone(),
        others: Some(count(others.count())),
        owned: count(roles.iter().filter(has_one).count()),
        wanted: count(roles.len()),
    })
}

async fn clusters(aws: &Aws, target: &Target) -> Result<Need, Error> {
    let names = cluster::find_names(aws).await?;
    let found = names.iter().map(|name| *name == target.cluster_name);
    Ok(one(CLUSTERS, &target.region, found))
}

async fn fargate_profiles(aws: &Aws, plan: &Plan) -> Result<Need, Error> {
    let existing = fargate_profile::find(aws, &plan.target).await?;
    let is_planned = |name: &str| plan.fargate_profiles.iter().any(|it| it.name == name);
    let names = existing.iter().filter_map(|it| it.fargate_profile_name());
    let (planned, others): (Vec<&str>, Vec<&str>) = names.partition(|name| is_planned(name));
    Ok(Need {
        quota: FARGATE_PROFILES,
        place: format!("cluster {}", plan.target.cluster_name),
        others: Some(count(others.len())),
        owned: count(planned.len()),
        wanted: count(plan.fargate_profiles.len()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(others: Option<f64>, owned: f64, wanted: f64) -> Need {
        Need {
            quota: ADDRESSES,
            place: "eu-west-1".to_owned(),
            others,
            owned,
            wanted,
        }
    }

    #[test]
    fn quota_needed_is_usage_plus_demand() {
        let need = need(Some(3.0), 1.0, 3.0);
        assert_eq!(need.shortage(6.0, false, "eu-west-1"), None);
        let shortage = need.shortage(5.0, false, "eu-west-1").unwrap();
        for said in [
            "EC2-VPC Elastic IPs (L-0263D0A3) of eu-west-1",
            "the quota is 5, 4 in use, 6 needed",
            "--region eu-west-1 --service-code ec2 --quota-code L-0263D0A3 --desired-value 6`",
        ] {
            assert!(shortage.contains(said), "{shortage}");
        }
    }

    #[test]
    fn a_part_of_a_vcpu_is_asked_for_as_a_whole_one() {
        let shortage = need(None, 0.0, 0.5).shortage(0.0, false, "x").unwrap();
        assert!(shortage.contains("0.5 needed"), "{shortage}");
        assert!(shortage.contains("--desired-value 1`"), "{shortage}");
        assert!(shortage.contains("not known"), "{shortage}");
    }

    #[test]
    fn a_default_stands_in_where_the_quota_may_not_be_read_and_was_not_raised() {
        let denied = Error::AccessDenied(String::new());
        let down = Error::AwsUnavailable(String::new());
        assert_eq!(
            need(Some(4.0), 1.0, 3.0).default_instead_of(&denied),
            Some(5.0)
        );
        assert_eq!(need(Some(6.0), 0.0, 3.0).default_instead_of(&denied), None);
        assert_eq!(need(Some(4.0), 0.0, 3.0).default_instead_of(&down), None);
    }

    #[test]
    fn of_several_of_ours_one_is_counted() {
        let found = [true, false, true].into_iter();
        let need = one(VPCS, "eu-west-1", found);
        assert_eq!((need.others, need.owned), (Some(1.0), 1.0));
    }
}
