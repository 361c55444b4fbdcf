//! The role with which Fargate starts pods (EKS user guide, pod execution role).

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::{error, info};
use crate::verify::facts::{Facts, Known, PodRole, name_of};
use crate::verify::problem::Problem;
use crate::verify::trust::{self, PODS_SERVICE, Trust};

/// AWS's own policies that let a role pull images from Amazon ECR.
const POLICIES: &[&str] = &[
    "AmazonEKSFargatePodExecutionRolePolicy",
    "AmazonEC2ContainerRegistryReadOnly",
    "AmazonEC2ContainerRegistryPullOnly",
    "AmazonEC2ContainerRegistryPowerUser",
    "AmazonEC2ContainerRegistryFullAccess",
    "PowerUserAccess",
    "AdministratorAccess",
];

/// The role does not exist.
pub fn missing(facts: &Facts) -> Vec<Problem> {
    let gone = |role: &&PodRole| matches!(role.role, Known::Read(None));
    let roles = facts.pod_roles.iter().filter(gone);
    roles
        .map(|role| {
            let profiles: Vec<&str> = profiles_of(facts, role).map(name_of).collect();
            error(
                &role.arn,
                format!(
                    "there is no such role; Fargate profiles: {}",
                    profiles.join(", ")
                ),
                "a role that trusts Fargate and may pull images",
                "make the role again under this name, then its access entry again: an entry holds \
                 for the very role that it was made for",
            )
        })
        .collect()
}

fn profiles_of<'a>(
    facts: &'a Facts,
    role: &'a PodRole,
) -> impl Iterator<Item = &'a aws_sdk_eks::types::FargateProfile> {
    let is_its = |it: &&aws_sdk_eks::types::FargateProfile| {
        it.pod_execution_role_arn() == Some(role.arn.as_str())
    };
    facts.profiles().iter().filter(is_its)
}

/// The role's trust policy does not let Fargate start the pods of a profile.
pub fn trust(facts: &Facts) -> Vec<Problem> {
    let roles = facts.pod_roles.iter();
    roles.filter_map(|role| distrust(facts, role)).collect()
}

fn distrust(facts: &Facts, role: &PodRole) -> Option<Problem> {
    let policy = trust_policy(role)?;
    let mut profiles = profiles_of(facts, role).filter_map(|it| it.fargate_profile_arn());
    let why = profiles.find_map(|profile| match trust::of(&policy, profile) {
        Trust::Refuses(why) => Some(why),
        Trust::Allows | Trust::Unclear => None,
    })?;
    let own = own_profiles(facts);
    Some(error(
        &role.arn,
        format!("its trust policy does not let Fargate start pods: {why}"),
        format!(
            "{PODS_SERVICE} may sts:AssumeRole, with no condition or with ArnLike aws:SourceArn {own}"
        ),
        "correct it with aws iam update-assume-role-policy",
    ))
}

/// `arn:aws:eks:…:fargateprofile/demo/*`
fn own_profiles(facts: &Facts) -> String {
    let arn = facts.cluster_arn();
    format!("{}/*", arn.replacen(":cluster/", ":fargateprofile/", 1))
}

/// IAM answers it percent-encoded.
fn trust_policy(role: &PodRole) -> Option<Value> {
    let role = role.role.read()?.as_ref()?;
    let text = role.assume_role_policy_document()?;
    let text = percent_decode_str(text).decode_utf8().ok()?;
    serde_json::from_str(&text).ok()
}

/// No policy lets the role pull images.
pub fn policy(facts: &Facts) -> Vec<Problem> {
    facts.pod_roles.iter().filter_map(powerless).collect()
}

fn powerless(role: &PodRole) -> Option<Problem> {
    let (attached, inline) = (role.attached.read()?, role.inline.read()?);
    let is_of_aws = |arn: &&String| arn.contains(":iam::aws:policy/");
    let mut names = attached.iter().filter(is_of_aws);
    if names.any(|arn| {
        arn.rsplit('/')
            .next()
            .is_some_and(|name| POLICIES.contains(&name))
    }) {
        return None;
    }
    let expected = "AmazonEKSFargatePodExecutionRolePolicy, or the same actions of Amazon ECR";
    let own = attached.iter().filter(|arn| !is_of_aws(arn)).chain(inline);
    let own: Vec<&str> = own.map(String::as_str).collect();
    if !own.is_empty() {
        let seen = format!("only policies that are not read here: {}", own.join(", "));
        let fix = "look whether they allow pulling images, if pods do not start";
        return Some(info(&role.arn, seen, expected, fix));
    }
    let seen = match attached.as_slice() {
        [] => "it has no policy".to_owned(),
        others => format!("it has only {}", others.join(", ")),
    };
    let name = role.arn.rsplit('/').next().unwrap_or_default();
    let partition = role.arn.split(':').nth(1).unwrap_or("aws");
    let fix = format!(
        "run aws iam attach-role-policy --role-name {name} --policy-arn \
         arn:{partition}:iam::aws:policy/AmazonEKSFargatePodExecutionRolePolicy"
    );
    Some(error(&role.arn, seen, expected, fix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::fixtures::{healthy, role_with_trust};
    use crate::verify::problem::Severity;
    use serde_json::json;

    fn with(change: impl FnOnce(&mut PodRole)) -> Facts {
        let mut facts = healthy();
        change(&mut facts.pod_roles[0]);
        facts
    }

    #[test]
    fn a_role_that_is_gone_is_one_finding() {
        let facts = with(|role| {
            role.role = Known::Read(None);
            role.attached = Known::Unread;
            role.inline = Known::Unread;
        });
        assert_eq!(
            missing(&facts)[0].resource,
            "arn:aws:iam::111122223333:role/pods"
        );
        assert_eq!(trust(&facts), []);
        assert_eq!(policy(&facts), []);
    }

    #[test]
    fn another_clusters_condition_is_named() {
        let other = "arn:aws:eks:ap-northeast-1:111122223333:fargateprofile/other/*";
        let document = json!({"Statement": {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": PODS_SERVICE},
            "Condition": {"ArnLike": {"aws:SourceArn": other}},
        }});
        let facts = with(|role| role.role = Known::Read(Some(role_with_trust(&document))));
        let found = trust(&facts);
        assert!(found[0].seen.contains(other), "{:?}", found[0]);
        let own = "arn:aws:eks:ap-northeast-1:111122223333:fargateprofile/demo/*";
        assert!(found[0].expected.contains(own), "{:?}", found[0]);
    }

    #[test]
    fn a_role_needs_a_policy_to_pull_images() {
        let facts = with(|role| role.attached = Known::Read(vec![]));
        assert_eq!(policy(&facts)[0].seen, "it has no policy");
        let s3 = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess".to_owned();
        let facts = with(|role| role.attached = Known::Read(vec![s3]));
        assert_eq!(policy(&facts)[0].severity, Severity::Error);
    }

    #[test]
    fn policies_of_ones_own_are_not_judged() {
        let facts = with(|role| {
            role.attached = Known::Read(vec![]);
            role.inline = Known::Read(vec!["pull".to_owned()]);
        });
        assert_eq!(policy(&facts)[0].severity, Severity::Info);
    }
}
