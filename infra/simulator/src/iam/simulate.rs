//! `SimulatePrincipalPolicy`: what somebody's policies would say of calls that nobody makes.
//!
//! Form: botocore's IAM model, SimulatePrincipalPolicy, and the SDK guide's EvaluationResult: one result for
//! each action, however many resources there are, with the most restrictive decision of them all.
//! Source of the ids of policies, and of `IAM Policy` as their type: answers in public issues (the model's
//! own enumeration does not have it). Where a statement stands in its document is left out.
//!
//! Condition keys have the values that the request gives and no others. Users are not simulated: whoever is no session may do everything here, and is
//! answered as an administrator.

use std::collections::BTreeSet;

use serde_json::Value;

use super::policy::{Attempt, Effect};
use super::request::{no_such_entity, policy_arn, required};
use super::trust::{Document, text};
use super::{Iam, Role, no_such_role};
use crate::api_error::ApiError;
use crate::params::Params;
use crate::state::Context;
use crate::xml::Element;

/// botocore's IAM model, ActionNameType.
const ACTION_MIN: usize = 3;
const ACTION_MAX: usize = 128;
const ADMINISTRATOR: &str = "AdministratorAccess";

/// A statement, and the policy that it is in.
struct Statement {
    policy: String,
    document: Document,
}

/// What all statements together say of one action on one resource.
struct Verdict {
    decision: &'static str,
    matched: Vec<String>,
    missing: BTreeSet<String>,
    by_boundary: Option<bool>,
}

pub(super) fn simulate(
    context: &mut Context<'_>,
    params: &Params,
) -> Result<Vec<Element>, ApiError> {
    let arn = policy_arn(params, "PolicySourceArn")?;
    let actions = actions(params)?;
    let resources = params.list("ResourceArns");
    let keys = context_entries(params)?;
    let (statements, boundary) = policies(context.iam(), arn)?;
    let judge = |action: &str, resource: &str| {
        let resource = [resource.to_owned()];
        let attempt = Attempt {
            action,
            resource: &resource,
            context: &keys,
        };
        verdict(&statements, boundary.as_deref(), &attempt)
    };
    let results = actions.into_iter().map(|action| {
        let verdicts = resources.iter().map(|it| (*it, judge(action, it)));
        let verdicts: Vec<_> = verdicts.collect();
        if verdicts.is_empty() {
            return result(action, "*", &judge(action, "*"));
        }
        of_resources(action, &verdicts)
    });
    Ok(vec![
        Element::list("EvaluationResults", "member", results),
        Element::text("IsTruncated", false),
    ])
}

fn actions(params: &Params) -> Result<Vec<&str>, ApiError> {
    let actions = params.list("ActionNames");
    if actions.is_empty() {
        required(params, "ActionNames")?;
    }
    let lengths = ACTION_MIN..=ACTION_MAX;
    match actions.iter().find(|it| !lengths.contains(&it.len())) {
        None => Ok(actions),
        Some(wrong) => Err(ApiError::client(
            "ValidationError",
            format!(
                "1 validation error detected: Value '[{wrong}]' at 'actionNames' failed to satisfy \
                 constraint: Member must satisfy constraint: [Member must have length less than or \
                 equal to {ACTION_MAX}, Member must have length greater than or equal to {ACTION_MIN}]"
            ),
        )),
    }
}

/// Condition keys in lower case and their values.
fn context_entries(params: &Params) -> Result<Vec<(String, String)>, ApiError> {
    let mut keys = Vec::new();
    for entry in params.structures("ContextEntries") {
        let name = required(&entry, "ContextKeyName")?.to_lowercase();
        for value in entry.list("ContextKeyValues") {
            keys.push((name.clone(), value.to_owned()));
        }
    }
    Ok(keys)
}

/// The statements of whom the ARN names, and those of the permissions boundary, if there is one that is
/// known here.
///
/// An assumed role's session is none of the entities that have policies (its words: aws-containers/amazon-ecs-exec-checker
/// pull request 10).
fn policies(iam: &Iam, arn: &str) -> Result<(Vec<Statement>, Option<Vec<Statement>>), ApiError> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let entity = match parts[..] {
        ["arn", _, "iam", "", _, entity] => entity.split_once('/'),
        _ => None,
    };
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    match entity {
        Some(("role", path)) => {
            let role = iam.role_by_arn(arn);
            let role = role.ok_or_else(|| no_such_role(&name(path)))?;
            let boundary = role.boundary.as_deref();
            let boundary = boundary.and_then(|arn| Some(managed(arn, iam.policy_document(arn)?)));
            Ok((of_role(iam, role), boundary))
        }
        Some(("user", _)) => {
            let arn = format!("arn:aws:iam::aws:policy/{ADMINISTRATOR}");
            let document = iam.policy_document(&arn).unwrap_or_default().to_owned();
            Ok((managed(&arn, &document), None))
        }
        Some(("group", path)) => Err(no_such_entity(format!(
            "The group with name {} cannot be found.",
            name(path)
        ))),
        _ => Err(ApiError::client(
            "InvalidInput",
            format!("Invalid Entity Arn: {arn} does not clearly define entity type and name."),
        )),
    }
}

/// IAM itself knows at once what others see later.
fn of_role(iam: &Iam, role: &Role) -> Vec<Statement> {
    let inline = role.inline.current().iter();
    let inline = inline.map(|(name, text)| statements(&format!("role_{}_{name}", role.name), text));
    let arns = role.managed.current().iter();
    let managed = arns.filter_map(|arn| Some(managed(arn, iam.policy_document(arn)?)));
    inline.chain(managed).flatten().collect()
}

fn managed(arn: &str, document: &str) -> Vec<Statement> {
    statements(arn.rsplit('/').next().unwrap_or_default(), document)
}

fn statements(policy: &str, text: &str) -> Vec<Statement> {
    let document = Document::parse(text).ok();
    let all = document.into_iter().flat_map(|it| it.statements);
    all.map(|statement| Statement {
        policy: policy.to_owned(),
        document: Document {
            statements: vec![statement],
        },
    })
    .collect()
}

/// IAM user guide, policy evaluation logic. If a statement denies, only those that deny are named
/// (EvaluationResult).
fn verdict(
    statements: &[Statement],
    boundary: Option<&[Statement]>,
    attempt: &Attempt<'_>,
) -> Verdict {
    let of = |statements: &[Statement], effect| {
        let those = statements.iter();
        let those = those.filter(|it| it.document.effect(attempt) == effect);
        those.map(|it| it.policy.clone()).collect::<Vec<_>>()
    };
    let limits = boundary.unwrap_or_default();
    let denied = [of(statements, Effect::Denied), of(limits, Effect::Denied)].concat();
    let by_boundary = boundary.map(|limits| {
        of(limits, Effect::Denied).is_empty() && !of(limits, Effect::Allowed).is_empty()
    });
    let allowed = of(statements, Effect::Allowed);
    let (decision, matched) = if !denied.is_empty() {
        ("explicitDeny", denied)
    } else if allowed.is_empty() || by_boundary == Some(false) {
        ("implicitDeny", Vec::new())
    } else {
        ("allowed", allowed)
    };
    let all = statements.iter().chain(limits);
    Verdict {
        decision,
        matched,
        missing: all.flat_map(|it| missing(it, attempt)).collect(),
        by_boundary,
    }
}

/// The condition keys of a statement about the action and resource that the request has no value for.
fn missing(statement: &Statement, attempt: &Attempt<'_>) -> Vec<String> {
    let Some(inner) = statement.document.statements.first() else {
        return Vec::new();
    };
    let Some(Value::Object(conditions)) = inner.get("Condition") else {
        return Vec::new();
    };
    let mut bare = inner.clone();
    bare.remove("Condition");
    let bare = Document {
        statements: vec![bare],
    };
    if bare.effect(attempt) == Effect::Silent || text(inner, "Effect").is_none() {
        return Vec::new();
    }
    let is_given = |key: &str| {
        let key = key.to_lowercase();
        attempt.context.iter().any(|(name, _)| *name == key)
    };
    let keys = conditions.values().filter_map(Value::as_object);
    let keys = keys.flat_map(serde_json::Map::keys);
    keys.filter(|key| !is_given(key)).cloned().collect()
}

fn result(action: &str, resource: &str, verdict: &Verdict) -> Vec<Element> {
    let mut result = vec![
        Element::text("EvalActionName", action),
        Element::text("EvalResourceName", resource),
        Element::text("EvalDecision", verdict.decision),
    ];
    result.extend(grounds(verdict));
    result
}

/// The whole of an action: the most restrictive decision, and each resource's own.
fn of_resources(action: &str, verdicts: &[(&str, Verdict)]) -> Vec<Element> {
    let order = ["explicitDeny", "implicitDeny", "allowed"];
    let rank = |verdict: &Verdict| order.iter().position(|it| *it == verdict.decision);
    let Some((resource, worst)) = verdicts.iter().min_by_key(|(_, it)| rank(it)) else {
        return Vec::new();
    };
    let mut all = result(action, resource, worst);
    let each = verdicts.iter().map(|(resource, verdict)| {
        let mut one = vec![
            Element::text("EvalResourceName", resource),
            Element::text("EvalResourceDecision", verdict.decision),
        ];
        one.extend(grounds(verdict));
        one
    });
    all.push(Element::list("ResourceSpecificResults", "member", each));
    all
}

fn grounds(verdict: &Verdict) -> Vec<Element> {
    let matched = verdict.matched.iter().map(|policy| {
        vec![
            Element::text("SourcePolicyId", policy),
            Element::text("SourcePolicyType", "IAM Policy"),
        ]
    });
    let missing = verdict.missing.iter();
    let missing = missing.map(|key| Element::text("member", key));
    let mut grounds = vec![
        Element::list("MatchedStatements", "member", matched),
        Element::new("MissingContextValues").children(missing),
    ];
    grounds.extend(verdict.by_boundary.map(|allowed| {
        let detail = Element::new("PermissionsBoundaryDecisionDetail");
        detail.child(Element::text("AllowedByPermissionsBoundary", allowed))
    }));
    grounds
}

#[cfg(test)]
mod tests {
    use aws_sdk_iam::error::ProvideErrorMetadata;
    use aws_sdk_iam::types::{
        ContextEntry, ContextKeyTypeEnum, EvaluationResult,
        PolicyEvaluationDecisionType as Decision,
    };

    use super::super::testing::{ACCOUNT, World, code};

    fn arn(role: &str) -> String {
        format!("arn:aws:iam::{ACCOUNT}:role/{role}")
    }

    /// A role with one inline policy of these statements.
    async fn world(statements: serde_json::Value) -> World {
        let world = World::new();
        world.role("demo").await;
        let document = serde_json::json!({"Version": "2012-10-17", "Statement": statements});
        let put = world.iam.put_role_policy().role_name("demo");
        let put = put.policy_name("own").policy_document(document.to_string());
        put.send().await.unwrap();
        world
    }

    async fn simulate(
        world: &World,
        action: &str,
        resources: &[&str],
        region: Option<&str>,
    ) -> EvaluationResult {
        let call = world.iam.simulate_principal_policy();
        let mut call = call.policy_source_arn(arn("demo")).action_names(action);
        for resource in resources {
            call = call.resource_arns(*resource);
        }
        if let Some(region) = region {
            let entry = ContextEntry::builder()
                .context_key_name("aws:RequestedRegion")
                .context_key_type(ContextKeyTypeEnum::String)
                .context_key_values(region);
            call = call.context_entries(entry.build());
        }
        let answer = call.send().await.unwrap();
        assert_eq!(answer.evaluation_results().len(), 1);
        answer.evaluation_results()[0].clone()
    }

    #[tokio::test(start_paused = true)]
    async fn says_which_policy_allows_what_and_that_none_does() {
        let allow = serde_json::json!({"Effect": "Allow", "Action": "ec2:*", "Resource": "*"});
        let world = world(allow).await;
        world.attach("demo", "AdministratorAccess").await.unwrap();
        let result = simulate(&world, "ec2:CreateVpc", &[], None).await;
        assert_eq!(result.eval_decision(), &Decision::Allowed);
        assert_eq!(result.eval_resource_name(), Some("*"));
        let matched = result.matched_statements().iter();
        let matched: Vec<_> = matched.filter_map(|it| it.source_policy_id()).collect();
        assert_eq!(matched, ["role_demo_own", "AdministratorAccess"]);
        world.change(|iam| {
            let role = iam.roles.get_mut("demo").unwrap();
            role.managed.set(
                [].into(),
                jiff::Timestamp::UNIX_EPOCH,
                jiff::Timestamp::UNIX_EPOCH,
            );
        });
        let result = simulate(&world, "eks:CreateCluster", &[], None).await;
        assert_eq!(result.eval_decision(), &Decision::ImplicitDeny);
        assert!(result.matched_statements().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_denial_is_named_alone_and_decides_for_all_resources() {
        let statements = serde_json::json!([
            {"Effect": "Allow", "Action": "*", "Resource": "*"},
            {"Effect": "Deny", "Action": "iam:*", "Resource": arn("theirs")},
        ]);
        let world = world(statements).await;
        let (ours, theirs) = (arn("ours"), arn("theirs"));
        let result = simulate(&world, "iam:GetRole", &[&ours, &theirs], None).await;
        assert_eq!(result.eval_decision(), &Decision::ExplicitDeny);
        assert_eq!(result.matched_statements().len(), 1);
        let each = result.resource_specific_results().iter();
        let each: Vec<_> = each.map(|it| it.eval_resource_decision().clone()).collect();
        assert_eq!(each, [Decision::Allowed, Decision::ExplicitDeny]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_condition_without_its_value_is_missing() {
        let statement = serde_json::json!({
            "Effect": "Allow", "Action": "ec2:*", "Resource": "*",
            "Condition": {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}},
        });
        let world = world(statement).await;
        let result = simulate(&world, "ec2:CreateVpc", &[], None).await;
        assert_eq!(result.eval_decision(), &Decision::ImplicitDeny);
        assert_eq!(result.missing_context_values(), ["aws:RequestedRegion"]);
        let result = simulate(&world, "ec2:CreateVpc", &[], Some("eu-west-1")).await;
        assert_eq!(result.eval_decision(), &Decision::Allowed);
        assert!(result.missing_context_values().is_empty());
        // It is no matter of this statement.
        let result = simulate(&world, "eks:ListClusters", &[], None).await;
        assert!(result.missing_context_values().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_boundary_limits_and_says_so() {
        let allow = serde_json::json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
        let world = world(allow).await;
        let boundary = "arn:aws:iam::aws:policy/PowerUserAccess";
        let put = world.iam.put_role_permissions_boundary().role_name("demo");
        put.permissions_boundary(boundary).send().await.unwrap();
        for (action, decision, inside) in [
            ("iam:CreateRole", Decision::ImplicitDeny, false),
            ("ec2:CreateVpc", Decision::Allowed, true),
        ] {
            let result = simulate(&world, action, &[], None).await;
            assert_eq!(result.eval_decision(), &decision, "{action}");
            let detail = result.permissions_boundary_decision_detail().unwrap();
            assert_eq!(detail.allowed_by_permissions_boundary(), inside, "{action}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_has_no_policies_of_its_own_to_look_at() {
        let world = World::new();
        world.role("demo").await;
        let ask = |arn: String| {
            let call = world.iam.simulate_principal_policy().policy_source_arn(arn);
            call.action_names("ec2:CreateVpc").send()
        };
        let session = format!("arn:aws:sts::{ACCOUNT}:assumed-role/demo/me");
        let error = ask(session.clone()).await.unwrap_err();
        assert_eq!(error.code(), Some("InvalidInput"));
        let message = error.message().unwrap_or_default();
        assert!(message.contains(&session), "{message}");
        assert!(message.ends_with("does not clearly define entity type and name."));
        assert_eq!(code(ask(arn("nobody")).await), "NoSuchEntity");
        // A role's path is a part of its ARN.
        assert_eq!(code(ask(arn("path/demo")).await), "NoSuchEntity");
        let user = ask(format!("arn:aws:iam::{ACCOUNT}:user/operator")).await;
        let user = user.unwrap();
        assert_eq!(
            user.evaluation_results()[0].eval_decision(),
            &Decision::Allowed
        );
    }
}
