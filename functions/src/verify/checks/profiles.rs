//! What EKS says of the Fargate profiles.

use aws_sdk_eks::types::{FargateProfile, FargateProfileHealth, FargateProfileStatus};

use super::problem;
use crate::resources::eks;
use crate::verify::facts::{Facts, name_of};
use crate::verify::problem::{Problem, Severity};

/// A profile that failed, has health issues, or is on its way.
pub fn unhealthy(facts: &Facts) -> Vec<Problem> {
    facts.profiles().iter().filter_map(of).collect()
}

fn of(profile: &FargateProfile) -> Option<Problem> {
    let issues = profile
        .health()
        .map_or(&[][..], FargateProfileHealth::issues);
    let status = profile.status();
    let (severity, fix) = match status {
        Some(FargateProfileStatus::Active) if issues.is_empty() => return None,
        Some(FargateProfileStatus::Creating | FargateProfileStatus::Deleting)
            if issues.is_empty() =>
        {
            (Severity::Warning, "wait: it takes minutes")
        }
        _ => (
            Severity::Error,
            "put right what it names, then delete the profile and make it again",
        ),
    };
    let status = status.map_or("unknown", FargateProfileStatus::as_str);
    let seen = format!("it is {}", eks::status_line(status, issues));
    let arn = profile.fargate_profile_arn().unwrap_or(name_of(profile));
    Some(problem(
        severity,
        arn,
        seen,
        "status ACTIVE without health issues",
        fix,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::facts::Known;
    use crate::verify::fixtures::{healthy, profile};
    use aws_sdk_eks::types::{FargateProfileIssue, FargateProfileIssueCode};

    fn with(status: FargateProfileStatus, issue: Option<FargateProfileIssueCode>) -> Facts {
        let mut facts = healthy();
        let mut profile = profile("kube-system");
        profile.status = Some(status);
        let issue = issue.map(|code| {
            FargateProfileIssue::builder()
                .code(code)
                .message("no")
                .build()
        });
        let issues = issue.into_iter().collect();
        profile.health = Some(
            FargateProfileHealth::builder()
                .set_issues(Some(issues))
                .build(),
        );
        facts.profiles = Known::Read(vec![profile]);
        facts
    }

    #[test]
    fn a_failed_profile_says_what_eks_says() {
        let found = unhealthy(&with(
            FargateProfileStatus::CreateFailed,
            Some(FargateProfileIssueCode::AccessDenied),
        ));
        assert_eq!(found[0].severity, Severity::Error);
        assert_eq!(found[0].seen, "it is CREATE_FAILED; AccessDenied: no");
    }

    #[test]
    fn an_active_profile_may_have_issues_and_a_new_one_takes_its_time() {
        let issue = Some(FargateProfileIssueCode::ClusterUnreachable);
        let found = unhealthy(&with(FargateProfileStatus::Active, issue));
        assert_eq!(found[0].severity, Severity::Error);
        let found = unhealthy(&with(FargateProfileStatus::Creating, None));
        assert_eq!(found[0].severity, Severity::Warning);
    }
}
