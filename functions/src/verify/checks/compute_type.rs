//! What CoreDNS' pods are marked for.

use serde_json::Value;

use super::problem;
use crate::verify::facts::Facts;
use crate::verify::problem::{Problem, Severity};

/// Exactly this spelling: EKS takes any text and says nothing when it means nothing
/// (hashicorp/terraform-provider-aws issue 44690).
const FARGATE: &str = "Fargate";
/// Older versions of CoreDNS were marked for EC2 nodes with this annotation (EKS user guide until 2024).
const ANNOTATION: &str = "eks.amazonaws.com/compute-type";

/// The add-on's configuration does not put the pods on Fargate, though a profile selects them.
///
/// Where the pods run all the same, someone has patched the Deployment: the next update of the add-on
/// undoes it.
pub fn not_fargate(facts: &Facts) -> Vec<Problem> {
    let Some(addon) = facts.addon() else {
        return vec![];
    };
    if facts.coredns_profiles().next().is_none() {
        return vec![];
    }
    let configuration = facts.coredns_configuration();
    let annotation = &configuration["podAnnotations"][ANNOTATION];
    let seen = match (&configuration["computeType"], annotation) {
        (Value::String(kind), Value::Null) if kind == FARGATE => return vec![],
        (Value::String(kind), Value::String(annotation)) if kind == FARGATE => {
            if annotation.eq_ignore_ascii_case(FARGATE) {
                return vec![];
            }
            format!("its pods have the annotation {ANNOTATION}: {annotation}")
        }
        (Value::Null, _) => "its configuration has no computeType".to_owned(),
        (other, _) => format!("its configuration has \"computeType\": {other}"),
    };
    let (severity, seen) = if facts.coredns_runs() {
        let why = "it runs only because its Deployment was changed by hand";
        (Severity::Warning, format!("{seen}; {why}"))
    } else {
        (Severity::Error, seen)
    };
    let fix = format!(
        "run aws eks update-addon --cluster-name {} --addon-name coredns --resolve-conflicts OVERWRITE \
         --configuration-values '{{\"computeType\":\"Fargate\"}}', with what else is in its \
         configuration",
        facts.cluster_name()
    );
    let expected = "\"computeType\": \"Fargate\", spelt so";
    let arn = addon.addon_arn().unwrap_or("coredns");
    vec![problem(severity, arn, seen, expected, fix)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::facts::Known;
    use crate::verify::fixtures::{degraded, healthy, profile};

    fn with(configuration: Option<&str>) -> Facts {
        let mut facts = healthy();
        let mut addon = degraded();
        addon.configuration_values = configuration.map(ToOwned::to_owned);
        facts.coredns = Known::Read(Some(addon));
        facts
    }

    #[test]
    fn only_the_exact_spelling_is_for_fargate() {
        assert_eq!(not_fargate(&with(Some(r#"{"computeType":"Fargate"}"#))), []);
        for configuration in [
            None,
            Some("{}"),
            Some(r#"{"computeType":"fargate"}"#),
            Some(r#"{"computeType":"ec2"}"#),
            Some(
                r#"{"computeType":"Fargate","podAnnotations":{"eks.amazonaws.com/compute-type":"ec2"}}"#,
            ),
        ] {
            let found = not_fargate(&with(configuration));
            assert_eq!(found.len(), 1, "{configuration:?}");
            assert_eq!(found[0].severity, Severity::Error);
        }
    }

    #[test]
    fn wrong_compute_type_of_a_running_addon_is_a_warning() {
        let mut facts = healthy();
        if let Known::Read(Some(addon)) = &mut facts.coredns {
            addon.configuration_values = None;
        }
        assert_eq!(not_fargate(&facts)[0].severity, Severity::Warning);
    }

    #[test]
    fn coredns_on_nodes_is_nobodys_mistake() {
        let mut facts = with(None);
        facts.profiles = Known::Read(vec![profile("default")]);
        assert_eq!(not_fargate(&facts), []);
    }
}
