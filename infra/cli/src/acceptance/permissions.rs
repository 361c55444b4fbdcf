//! What the caller needs to be allowed, asked of IAM's policy simulator before anything is made.
//!
//! CloudFormation acts with the caller's permissions, so the deployment needs those of everything in the
//! stack. What the functions need, their roles have.

use aws_sdk_iam::types::{ContextEntry, ContextKeyTypeEnum, PolicyEvaluationDecisionType};
use serde::{Deserialize, Serialize};

use super::caller::Kind;
use super::place::{Place, said};

/// What is needed, by purpose; `needs.json` beside this file.
#[derive(Debug, Deserialize)]
struct Need {
    purpose: String,
    actions: Vec<String>,
    resources: Vec<String>,
    #[serde(default)]
    context: std::collections::BTreeMap<String, String>,
}

const NEEDS: &str = include_str!("needs.json");

/// What the policy simulator said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Permissions {
    /// How many actions were asked for.
    pub checked: usize,
    /// Those that are not allowed.
    pub denied: Vec<Denied>,
    /// What could not be checked, and why.
    pub unchecked: Vec<String>,
}

/// An action that the simulator does not allow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Denied {
    pub action: String,
    pub resource: String,
    pub purpose: String,
    /// `implicitDeny` or `explicitDeny`, and by which policies.
    pub why: String,
}

/// What the simulator cannot know of any caller.
const ALWAYS_UNCHECKED: &str = "what depends on values of the real requests (tags, source addresses, \
    multi-factor authentication), on a session's own policy, and on resource control policies";

/// Asks. What cannot be asked is said, and stops nothing.
pub(super) async fn check(place: &Place) -> Permissions {
    let mut found = Permissions::default();
    let source = match &place.caller.kind {
        Kind::Entity(arn) => arn,
        Kind::Root => {
            let why = "the root user has no policies that could be simulated; it may do everything that \
                       no policy of the organization forbids";
            found.unchecked.push(why.to_owned());
            return found;
        }
        Kind::Other(why) => {
            found.unchecked.push(format!("no permission at all: {why}"));
            return found;
        }
    };
    let needs: Vec<Need> = serde_json::from_str(NEEDS).unwrap_or_default();
    for need in needs {
        if let Err(why) = simulate(place, source, &need, &mut found).await {
            found.unchecked.push(format!("{}: {why}", need.purpose));
        }
    }
    found.unchecked.push(ALWAYS_UNCHECKED.to_owned());
    found
}

async fn simulate(
    place: &Place,
    source: &str,
    need: &Need,
    found: &mut Permissions,
) -> Result<(), String> {
    let entry = |(key, value): (&String, &String)| {
        ContextEntry::builder()
            .context_key_name(key)
            .context_key_type(ContextKeyTypeEnum::String)
            .context_key_values(place.fill_in(value))
            .build()
    };
    let region = ("aws:RequestedRegion".to_owned(), place.region().to_owned());
    let context = need.context.iter().chain([(&region.0, &region.1)]);
    let call = place.aws.iam().simulate_principal_policy();
    let mut pages = call
        .policy_source_arn(source)
        .set_action_names(Some(need.actions.clone()))
        .set_resource_arns(Some(filled(place, &need.resources)))
        .set_context_entries(Some(context.map(entry).collect()))
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| said(&error))?;
        for result in page.evaluation_results() {
            found.checked += 1;
            if result.eval_decision() != &PolicyEvaluationDecisionType::Allowed {
                found.denied.push(denied(need, result));
            }
        }
    }
    Ok(())
}

fn filled(place: &Place, patterns: &[String]) -> Vec<String> {
    patterns.iter().map(|it| place.fill_in(it)).collect()
}

fn denied(need: &Need, result: &aws_sdk_iam::types::EvaluationResult) -> Denied {
    let mut why = result.eval_decision().as_str().to_owned();
    let policies = result.matched_statements().iter();
    let policies: Vec<_> = policies.filter_map(|it| it.source_policy_id()).collect();
    if !policies.is_empty() {
        why = format!("{why} by {}", policies.join(", "));
    }
    if result
        .organizations_decision_detail()
        .is_some_and(|it| !it.allowed_by_organizations())
    {
        why.push_str(", by a policy of the organization");
    }
    if !result.missing_context_values().is_empty() {
        let missing = result.missing_context_values().join(", ");
        why = format!("{why}; it depends on {missing}");
    }
    Denied {
        action: result.eval_action_name().to_owned(),
        resource: result.eval_resource_name().unwrap_or("*").to_owned(),
        purpose: need.purpose.clone(),
        why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_need_names_actions_resources_and_a_purpose() {
        let needs: Vec<Need> = serde_json::from_str(NEEDS).unwrap();
        for need in &needs {
            assert!(!need.purpose.is_empty() && !need.resources.is_empty());
            assert!(!need.actions.is_empty(), "{}", need.purpose);
            for action in &need.actions {
                let (service, name) = action.split_once(':').unwrap();
                assert!(!service.is_empty() && !name.contains('*'), "{action}");
            }
        }
        let all = needs.iter().flat_map(|need| &need.actions);
        assert!(all.clone().any(|it| it == "cloudformation:CreateChangeSet"));
        assert!(all.clone().any(|it| it == "iam:PassRole"));
    }
}
