//! How much Fargate the account may have.

use serde_json::Value;

use super::error;
use crate::verify::facts::Facts;
use crate::verify::problem::Problem;

/// EKS user guide, Fargate pod configuration: pods are rounded up to one of these.
const SIZES: &[f64] = &[0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0];
/// CoreDNS' pods without `replicaCount`.
const REPLICAS: u32 = 2;

/// The quota is lower than what CoreDNS alone needs, as in some new accounts; what else runs on Fargate
/// counts, too, and cannot be seen here.
pub fn too_low(facts: &Facts) -> Vec<Problem> {
    let Some(quota) = facts.fargate_vcpus.read() else {
        return vec![];
    };
    if facts.coredns_profiles().next().is_none() {
        return vec![];
    }
    let configuration = facts.coredns_configuration();
    let replicas = configuration["replicaCount"].as_u64();
    let replicas = replicas
        .and_then(|it| u32::try_from(it).ok())
        .unwrap_or(REPLICAS);
    let needed = f64::from(replicas) * vcpus_of_a_pod(&configuration["resources"]);
    if *quota >= needed {
        return vec![];
    }
    let region = facts.cluster_arn().split(':').nth(3).unwrap_or_default();
    vec![error(
        "L-3032A538",
        format!("the quota \"Fargate On-Demand vCPU resource count\" is {quota} in {region}"),
        format!("at least {needed}: CoreDNS has {replicas} pods"),
        format!(
            "run aws service-quotas request-service-quota-increase --region {region} --service-code \
             fargate --quota-code L-3032A538 --desired-value <more>, or ask AWS Support"
        ),
    )]
}

/// What Fargate gives a pod with these requests.
fn vcpus_of_a_pod(resources: &Value) -> f64 {
    let asked = ["requests", "limits"].map(|kind| resources[kind]["cpu"].as_str());
    let asked = asked
        .into_iter()
        .flatten()
        .next()
        .and_then(cpu)
        .unwrap_or(0.0);
    let mut sizes = SIZES.iter().copied();
    sizes.find(|size| asked <= *size).unwrap_or(asked)
}

/// Kubernetes' quantities of CPU: `250m` or `0.25`.
fn cpu(text: &str) -> Option<f64> {
    match text.strip_suffix('m') {
        Some(milli) => milli.parse::<f64>().ok().map(|milli| milli / 1000.0),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::facts::Known;
    use crate::verify::fixtures::healthy;
    use serde_json::json;

    fn with(quota: f64, configuration: &Value) -> Facts {
        let mut facts = healthy();
        facts.fargate_vcpus = Known::Read(quota);
        if let Known::Read(Some(addon)) = &mut facts.coredns {
            addon.configuration_values = Some(configuration.to_string());
        }
        facts
    }

    #[test]
    fn two_of_the_smallest_pods_need_half_a_vcpu() {
        let plain = json!({"computeType": "Fargate"});
        assert_eq!(too_low(&with(0.5, &plain)), []);
        let found = too_low(&with(0.0, &plain));
        assert!(
            found[0].expected.starts_with("at least 0.5"),
            "{:?}",
            found[0]
        );
        assert!(found[0].fix.contains("L-3032A538"));
    }

    #[test]
    fn more_and_larger_pods_need_more() {
        let large = json!({"replicaCount": 3, "resources": {"requests": {"cpu": "600m"}}});
        assert_eq!(too_low(&with(3.0, &large)), []);
        let found = too_low(&with(2.75, &large));
        assert!(
            found[0].expected.starts_with("at least 3"),
            "{:?}",
            found[0]
        );
    }

    #[test]
    fn quantities_are_read_in_both_spellings() {
        assert_eq!(cpu("250m"), Some(0.25));
        assert_eq!(cpu("0.25"), Some(0.25));
        assert_eq!(cpu("x"), None);
    }
}
