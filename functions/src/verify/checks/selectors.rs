//! Which pods the profiles select.

use aws_sdk_eks::types::FargateProfile;

use super::{error, info};
use crate::resources::fargate_profile;
use crate::verify::facts::{Facts, name_of};
use crate::verify::problem::Problem;

/// CoreDNS does not run, and no profile selects it.
pub fn not_selected(facts: &Facts) -> Vec<Problem> {
    let Some(addon) = facts.addon().filter(|_| !facts.coredns_runs()) else {
        return vec![];
    };
    if facts.profiles.read().is_none() || facts.coredns_profiles().next().is_some() {
        return vec![];
    }
    let seen = match facts.profiles() {
        [] => "the cluster has no Fargate profile".to_owned(),
        profiles => {
            let selectors: Vec<String> = profiles.iter().map(selectors_of).collect();
            format!("no profile selects its pods: {}", selectors.join("; "))
        }
    };
    let expected = "a profile with the namespace kube-system, and no labels but \
                    k8s-app=kube-dns or eks.amazonaws.com/component=coredns";
    let arn = addon.addon_arn().unwrap_or("coredns");
    if facts.may_have_nodes() {
        let fix = "look at the nodes that it is meant to run on, or make such a profile and then new \
                   pods";
        return vec![info(arn, seen, expected, fix)];
    }
    let fix = "make such a profile, wait until it is ACTIVE, then make new pods: kubectl rollout \
               restart deployment coredns -n kube-system";
    vec![error(arn, seen, expected, fix)]
}

/// `default selects default, kube-system {k8s-app=x}`
fn selectors_of(profile: &FargateProfile) -> String {
    let selectors = profile.selectors().iter().map(|selector| {
        let selector = fargate_profile::selector(selector);
        let labels = selector
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"));
        match labels.collect::<Vec<_>>().as_slice() {
            [] => selector.namespace,
            labels => format!("{} {{{}}}", selector.namespace, labels.join(", ")),
        }
    });
    let selectors: Vec<String> = selectors.collect();
    format!("{} selects {}", name_of(profile), selectors.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::facts::Known;
    use crate::verify::fixtures::{degraded, healthy, profile};
    use crate::verify::problem::Severity;
    use aws_sdk_eks::types::FargateProfileSelector;

    fn with(profiles: Vec<FargateProfile>) -> Facts {
        let mut facts = healthy();
        facts.coredns = Known::Read(Some(degraded()));
        facts.profiles = Known::Read(profiles);
        facts
    }

    #[test]
    fn other_labels_and_other_namespaces_are_named() {
        let mut labelled = profile("kube-system");
        let selector = FargateProfileSelector::builder().namespace("kube-system");
        labelled.selectors = Some(vec![selector.labels("k8s-app", "metrics-server").build()]);
        let found = not_selected(&with(vec![profile("default"), labelled]));
        assert_eq!(
            found[0].seen,
            "no profile selects its pods: default selects default; kube-system selects kube-system \
             {k8s-app=metrics-server}"
        );
        assert_eq!(found[0].severity, Severity::Error);
        assert!(
            not_selected(&with(vec![]))[0]
                .seen
                .contains("no Fargate profile")
        );
    }

    #[test]
    fn where_there_are_nodes_it_may_be_meant_so() {
        let mut facts = with(vec![profile("default")]);
        facts.node_groups = Known::Read(vec!["workers".to_owned()]);
        assert_eq!(not_selected(&facts)[0].severity, Severity::Info);
    }

    #[test]
    fn running_pods_need_no_profile() {
        let mut facts = healthy();
        facts.profiles = Known::Read(vec![profile("default")]);
        assert_eq!(not_selected(&facts), []);
    }
}
