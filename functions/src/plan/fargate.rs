//! Checks of Fargate profiles.

use std::collections::BTreeSet;

use crate::contract::Error;
use crate::model::spec::{FargateProfile, Selector};
use crate::plan::shape::{check_shape, is_like};

/// EKS's quotas: profiles of a cluster, selectors of a profile, labels of a selector.
const PROFILES_MAX: usize = 10;
const SELECTORS_MAX: usize = 5;
const LABELS_MAX: usize = 5;
/// Names that start with it are AWS's own.
const RESERVED_PREFIX: &str = "eks-";
const FIELD: &str = "fargateProfiles";

/// Kubernetes documentation, names (RFC 1123 label) and labels; the wildcards are EKS's (EKS user guide,
/// Fargate profile wildcards).
const NAMESPACE: &str = "[a-z0-9*?](?:[a-z0-9*?-]{0,61}[a-z0-9*?])?";
const LABEL_VALUE: &str = r"[A-Za-z0-9*?](?:[A-Za-z0-9*?_.-]{0,61}[A-Za-z0-9*?])?";
const LABEL_KEY: &str = r"(?:[a-z0-9*?](?:[a-z0-9*?.-]{0,251}[a-z0-9*?])?/)?[A-Za-z0-9*?](?:[A-Za-z0-9*?_.-]{0,61}[A-Za-z0-9*?])?";

/// Refuses profiles that EKS would refuse, and those without a place for CoreDNS.
pub(crate) fn check(profiles: &[FargateProfile]) -> Result<(), Error> {
    if profiles.is_empty() || profiles.len() > PROFILES_MAX {
        let expected = format!("1 to {PROFILES_MAX} profiles");
        return Err(Error::invalid(FIELD, profiles, expected));
    }
    let mut names = BTreeSet::new();
    for (index, profile) in profiles.iter().enumerate() {
        let field = format!("{FIELD}[{index}]");
        check_name(&format!("{field}.name"), &profile.name)?;
        if !names.insert(&profile.name) {
            let expected = "a name that no other profile has";
            return Err(Error::invalid(
                format!("{field}.name"),
                &profile.name,
                expected,
            ));
        }
        check_selectors(&format!("{field}.selectors"), &profile.selectors)?;
    }
    let mut selectors = profiles.iter().flat_map(|it| &it.selectors);
    if selectors.any(Selector::selects_coredns) {
        return Ok(());
    }
    let expected = "a profile with a selector for CoreDNS: namespace kube-system, without labels or \
                    with k8s-app=kube-dns";
    Err(Error::invalid(FIELD, profiles, expected))
}

fn check_name(field: &str, name: &str) -> Result<(), Error> {
    let expected = "1 to 100 letters, digits, hyphens and underscores, a letter or digit first";
    check_shape(field, name, "[0-9A-Za-z][A-Za-z0-9_-]{0,99}", expected)?;
    if name.starts_with(RESERVED_PREFIX) {
        let expected = "a name that does not start with eks-, which is reserved for AWS";
        return Err(Error::invalid(field, name, expected));
    }
    Ok(())
}

fn check_selectors(field: &str, selectors: &[Selector]) -> Result<(), Error> {
    if selectors.is_empty() || selectors.len() > SELECTORS_MAX {
        let expected = format!("1 to {SELECTORS_MAX} selectors");
        return Err(Error::invalid(field, selectors, expected));
    }
    for (index, selector) in selectors.iter().enumerate() {
        let field = format!("{field}[{index}]");
        let expected = "a Kubernetes namespace (1 to 63 small letters, digits and hyphens, none of \
                        them at an end), in which * and ? may stand for other characters";
        let namespace = format!("{field}.namespace");
        check_shape(&namespace, &selector.namespace, NAMESPACE, expected)?;
        check_labels(&format!("{field}.labels"), selector)?;
        if selectors[..index].contains(selector) {
            let expected = "each selector once in a profile";
            return Err(Error::invalid(field, selector, expected));
        }
    }
    Ok(())
}

fn check_labels(field: &str, selector: &Selector) -> Result<(), Error> {
    let labels = &selector.labels;
    if labels.len() > LABELS_MAX {
        return Err(Error::invalid(
            field,
            labels,
            format!(
                "at most {LABELS_MAX} labels, EKS's default quota of label pairs in a selector, which \
                 hardway keeps to"
            ),
        ));
    }
    let is_label = |(key, value): (&String, &String)| {
        is_like(key, LABEL_KEY) && (value.is_empty() || is_like(value, LABEL_VALUE))
    };
    if labels.iter().all(is_label) {
        return Ok(());
    }
    let expected = "Kubernetes labels (at most 63 letters, digits and _.- with a letter or digit at \
                    both ends; a key may have a DNS name and a slash before it), in which * and ? may \
                    stand for other characters";
    Err(Error::invalid(field, labels, expected))
}
