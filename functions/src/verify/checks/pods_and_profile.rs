//! Which came first: CoreDNS' pods or the profile that selects them.
//!
//! What runs a pod is decided when the pod is admitted, and never again (pulumi/pulumi-eks issue 1030,
//! eksctl-io/eksctl issue 8355). Pods are as old as the add-on or its last update; the APIs do not
//! show pods.

use aws_sdk_eks::primitives::DateTime;
use aws_sdk_eks::types::{Addon, AddonStatus, FargateProfile};

use super::{compute_type, problem};
use crate::verify::facts::{Facts, name_of};
use crate::verify::problem::{Problem, Severity};

/// hardway's own mark on the pods: ARN of the profile that was ACTIVE when they were made.
const PROFILE_ANNOTATION: &str = "hardway.dev/fargate-profile";
/// A profile is ACTIVE up to six minutes after it was asked for (aws/containers-roadmap issue 2392).
const ACTIVE_AFTER_SECONDS: i64 = 360;

/// How sure it is.
enum Verdict {
    Older,
    MayBeOlder,
    Younger,
}

/// CoreDNS does not run, and its pods are, or may be, older than every profile that selects them.
pub fn older(facts: &Facts) -> Vec<Problem> {
    let Some(addon) = facts.addon().filter(|_| !facts.coredns_runs()) else {
        return vec![];
    };
    // Pods that are not for Fargate wait in any case.
    if !compute_type::not_fargate(facts).is_empty() {
        return vec![];
    }
    let age = |profile: &&FargateProfile| profile.created_at().map(DateTime::secs);
    let Some(profile) = facts.coredns_profiles().min_by_key(age) else {
        return vec![];
    };
    let verdict = match marked_profile(facts) {
        Some(arn) => of_mark(facts, &arn),
        None => of_times(addon, profile),
    };
    let (severity, are) = match verdict {
        Verdict::Older => (Severity::Error, "are"),
        Verdict::MayBeOlder => (Severity::Warning, "may be"),
        Verdict::Younger => return vec![],
    };
    let profile = name_of(profile);
    let seen = format!(
        "its pods {are} older than the Fargate profile {profile}, which they need: the add-on was made \
         {}, the profile {}",
        time(addon.created_at()),
        time(
            facts
                .coredns_profiles()
                .find_map(FargateProfile::created_at)
        ),
    );
    let cluster = facts.cluster_name();
    let fix = match addon.status() {
        // aws/containers-roadmap issue 1411: nothing else helps.
        Some(AddonStatus::CreateFailed) => format!(
            "make it again: aws eks delete-addon --cluster-name {cluster} --addon-name coredns, then \
             aws eks create-addon with the same configuration"
        ),
        _ => format!(
            "make new pods: run kubectl rollout restart deployment coredns -n kube-system, or change \
             an annotation with aws eks update-addon --cluster-name {cluster} --addon-name coredns \
             --configuration-values (podAnnotations)"
        ),
    };
    let expected = format!("pods that were made after {profile} became ACTIVE");
    let arn = addon.addon_arn().unwrap_or("coredns");
    vec![problem(severity, arn, seen, expected, fix)]
}

fn marked_profile(facts: &Facts) -> Option<String> {
    let configuration = facts.coredns_configuration();
    let arn = configuration["podAnnotations"][PROFILE_ANNOTATION].as_str()?;
    Some(arn.to_owned())
}

fn of_mark(facts: &Facts, arn: &str) -> Verdict {
    let mut profiles = facts.coredns_profiles();
    if profiles.any(|profile| profile.fargate_profile_arn() == Some(arn)) {
        Verdict::Younger
    } else {
        Verdict::Older
    }
}

/// An add-on that is CREATING or CREATE_FAILED was never updated: its pods are as old as it is.
fn of_times(addon: &Addon, profile: &FargateProfile) -> Verdict {
    let (Some(profile), Some(made)) = (profile.created_at(), addon.created_at()) else {
        return Verdict::Younger;
    };
    let was_updated = !matches!(
        addon.status(),
        Some(AddonStatus::Creating | AddonStatus::CreateFailed)
    );
    let changed = addon.modified_at().filter(|_| was_updated).unwrap_or(made);
    // Later on, EKS may have changed it by itself.
    let is_at_it = addon.status() == Some(&AddonStatus::Updating);
    let made = if is_at_it { changed } else { made };
    if changed.secs() < profile.secs() {
        Verdict::Older
    } else if made.secs() < profile.secs() + ACTIVE_AFTER_SECONDS {
        Verdict::MayBeOlder
    } else {
        Verdict::Younger
    }
}

/// Without fractions of a second.
fn time(time: Option<&DateTime>) -> String {
    let time = time.map(|time| DateTime::from_secs(time.secs()).to_string());
    time.unwrap_or_else(|| "some time".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::facts::Known;
    use crate::verify::fixtures::{PROFILE_MADE, degraded, healthy};

    /// An add-on without hardway's mark, made and changed so long after the profile was made.
    fn with(status: AddonStatus, made: i64, changed: i64) -> Facts {
        let mut addon = degraded();
        addon.status = Some(status);
        addon.configuration_values = Some(r#"{"computeType":"Fargate"}"#.to_owned());
        addon.created_at = Some(DateTime::from_secs(PROFILE_MADE + made));
        addon.modified_at = Some(DateTime::from_secs(PROFILE_MADE + changed));
        let mut facts = healthy();
        facts.coredns = Known::Read(Some(addon));
        facts
    }

    fn severity(facts: &Facts) -> Option<Severity> {
        older(facts).first().map(|problem| problem.severity)
    }

    #[test]
    fn pods_that_were_never_made_anew_are_as_old_as_the_addon() {
        // That it changed since is EKS's own doing: it gave up.
        let facts = with(AddonStatus::CreateFailed, -90, 1100);
        assert_eq!(severity(&facts), Some(Severity::Error));
        let facts = with(AddonStatus::Degraded, -90, -60);
        assert_eq!(severity(&facts), Some(Severity::Error));
    }

    #[test]
    fn an_update_may_have_made_new_pods() {
        let facts = with(AddonStatus::Degraded, -90, 900);
        assert_eq!(severity(&facts), Some(Severity::Warning));
    }

    #[test]
    fn an_update_that_is_under_way_makes_new_pods() {
        let facts = with(AddonStatus::Updating, -90, 900);
        assert_eq!(severity(&facts), None);
    }

    #[test]
    fn pods_that_came_before_the_profile_was_active_may_be_too_old() {
        let facts = with(AddonStatus::Degraded, 20, 20);
        assert_eq!(severity(&facts), Some(Severity::Warning));
        let facts = with(AddonStatus::Degraded, 400, 400);
        assert_eq!(severity(&facts), None);
    }

    #[test]
    fn hardways_mark_says_which_profile_the_pods_know() {
        let mut facts = with(AddonStatus::Degraded, 20, 20);
        let mark = |facts: &mut Facts, arn: &str| {
            let annotations = serde_json::json!({
                "computeType": "Fargate",
                "podAnnotations": {PROFILE_ANNOTATION: arn},
            });
            if let Known::Read(Some(addon)) = &mut facts.coredns {
                addon.configuration_values = Some(annotations.to_string());
            }
        };
        mark(
            &mut facts,
            "arn:aws:eks:ap-northeast-1:111122223333:fargateprofile/demo/kube-system/1",
        );
        assert_eq!(severity(&facts), None);
        mark(&mut facts, "arn:of-an-earlier-one");
        assert_eq!(severity(&facts), Some(Severity::Error));
    }

    #[test]
    fn running_addon_is_young_enough() {
        assert_eq!(severity(&with(AddonStatus::Active, -90, -60)), None);
    }
}
