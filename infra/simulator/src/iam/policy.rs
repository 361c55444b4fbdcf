//! What an identity's policy says of an action.
//!
//! IAM user guide, policy evaluation logic, and JSON policy elements: Action, Resource and their
//! opposites. Policy variables are filled in; what has one that the request does not know matches nothing.

use serde_json::{Map, Value};

use super::condition::is_arn_like;
use super::trust::{Document, is_fulfilled, strings, text};
use super::{variables, wildcard};

/// What somebody wants to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt<'a> {
    /// For example `ec2:CreateVpc`.
    pub action: &'a str,
    /// The ARNs under which the resource is known; `*` for an action that knows none.
    pub resource: &'a [String],
    /// Condition keys in lower case and their values.
    pub context: &'a [(String, String)],
}

/// What a policy says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// A statement denies it.
    Denied,
    /// A statement allows it, and none denies it.
    Allowed,
    /// No statement is about it.
    Silent,
}

impl Document {
    /// What the policy says of the attempt.
    pub(crate) fn effect(&self, attempt: &Attempt<'_>) -> Effect {
        let applies = |effect: &str| {
            self.statements.iter().any(|statement| {
                text(statement, "Effect") == Some(effect)
                    && is_about_action(statement, attempt.action)
                    && is_about_resource(statement, attempt)
                    && is_fulfilled(statement, attempt.context)
            })
        };
        if applies("Deny") {
            Effect::Denied
        } else if applies("Allow") {
            Effect::Allowed
        } else {
            Effect::Silent
        }
    }
}

/// Of several policies of one kind.
pub(crate) fn effect(documents: &[Document], attempt: &Attempt<'_>) -> Effect {
    let effects = documents.iter().map(|document| document.effect(attempt));
    effects.fold(Effect::Silent, |all, one| match (all, one) {
        (Effect::Denied, _) | (_, Effect::Denied) => Effect::Denied,
        (Effect::Allowed, _) | (_, Effect::Allowed) => Effect::Allowed,
        (Effect::Silent, Effect::Silent) => Effect::Silent,
    })
}

fn is_about_action(statement: &Map<String, Value>, action: &str) -> bool {
    let action = action.to_lowercase();
    let has = |member: &str| {
        let patterns = strings(statement.get(member));
        (patterns.iter()).any(|it| wildcard::matches(&it.to_lowercase(), &action))
    };
    has("Action") || (statement.contains_key("NotAction") && !has("NotAction"))
}

fn is_about_resource(statement: &Map<String, Value>, attempt: &Attempt<'_>) -> bool {
    let has = |member: &str| {
        let patterns = strings(statement.get(member)).into_iter();
        patterns
            .filter_map(|pattern| variables::fill(pattern, attempt.context))
            .any(|wanted| (attempt.resource.iter()).any(|arn| is_arn_like(&wanted, arn)))
    };
    has("Resource") || (statement.contains_key("NotResource") && !has("NotResource"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn effect_of(statement: &Value, action: &str, arn: &str) -> Effect {
        let document = Document::parse(&json!({"Statement": statement}).to_string()).unwrap();
        document.check_identity_policy().unwrap();
        let context = [("aws:requestedregion".to_owned(), "eu-west-1".to_owned())];
        document.effect(&Attempt {
            action,
            resource: &[arn.to_owned()],
            context: &context,
        })
    }

    const VPC: &str = "arn:aws:ec2:eu-west-1:111122223333:vpc/vpc-1";

    #[test]
    fn actions_match_whatever_their_case() {
        for (action, expected) in [
            ("ec2:DeleteVpc", Effect::Allowed),
            ("EC2:deletevpc", Effect::Allowed),
            ("ec2:Delete*", Effect::Allowed),
            ("ec2:?eleteVpc", Effect::Allowed),
            ("*", Effect::Allowed),
            ("ec2:DescribeVpcs", Effect::Silent),
            ("eks:*", Effect::Silent),
        ] {
            let statement = json!({"Effect": "Allow", "Action": action, "Resource": "*"});
            assert_eq!(
                effect_of(&statement, "ec2:DeleteVpc", VPC),
                expected,
                "{action}"
            );
        }
    }

    #[test]
    fn resources_match_part_by_part() {
        for (resource, expected) in [
            (json!("*"), Effect::Allowed),
            (json!(VPC), Effect::Allowed),
            (json!("arn:aws:ec2:*:111122223333:vpc/*"), Effect::Allowed),
            (json!(["arn:aws:ec2:*:*:subnet/*", VPC]), Effect::Allowed),
            (json!("arn:aws:ec2:*:111122223333:subnet/*"), Effect::Silent),
            (json!("arn:aws:ec2:*:vpc:*"), Effect::Silent),
        ] {
            let statement = json!({"Effect": "Allow", "Action": "*", "Resource": resource});
            assert_eq!(
                effect_of(&statement, "ec2:DeleteVpc", VPC),
                expected,
                "{resource}"
            );
        }
    }

    #[test]
    fn an_action_without_resource_is_allowed_on_all_or_not_at_all() {
        let on = |resource: &str| {
            let statement = json!({"Effect": "Allow", "Action": "*", "Resource": resource});
            effect_of(&statement, "ec2:DescribeVpcs", "*")
        };
        assert_eq!(on("*"), Effect::Allowed);
        assert_eq!(on("arn:aws:ec2:*:*:*"), Effect::Silent);
    }

    #[test]
    fn all_but_some_are_meant() {
        let statement = json!({"Effect": "Allow", "NotAction": "iam:*", "NotResource": VPC});
        let effect = |action, arn| effect_of(&statement, action, arn);
        assert_eq!(effect("ec2:DeleteVpc", "*"), Effect::Allowed);
        assert_eq!(effect("ec2:DeleteVpc", VPC), Effect::Silent);
        assert_eq!(effect("iam:GetRole", "*"), Effect::Silent);
    }

    #[test]
    fn variables_stand_for_what_the_request_knows() {
        let on = |resource: &str| {
            let document = json!({"Version": "2012-10-17", "Statement": {
                "Effect": "Allow", "Action": "*", "Resource": resource,
            }});
            let document = Document::parse(&document.to_string()).unwrap();
            let context = [("aws:requestedregion".to_owned(), "eu-west-1".to_owned())];
            document.effect(&Attempt {
                action: "ec2:DeleteVpc",
                resource: &[VPC.to_owned()],
                context: &context,
            })
        };
        let arn = |region: &str| format!("arn:aws:ec2:{region}:111122223333:vpc/*");
        assert_eq!(on(&arn("${aws:RequestedRegion}")), Effect::Allowed);
        assert_eq!(on(&arn("${aws:PrincipalOrgID}")), Effect::Silent);
    }

    #[test]
    fn conditions_decide_and_denial_wins() {
        let allow = |region: &str| {
            let condition = json!({"StringEquals": {"aws:RequestedRegion": region}});
            json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition})
        };
        let effect = |statement| effect_of(&statement, "ec2:DeleteVpc", VPC);
        assert_eq!(effect(allow("eu-west-1")), Effect::Allowed);
        assert_eq!(effect(allow("us-east-1")), Effect::Silent);
        let deny = json!({"Effect": "Deny", "Action": "ec2:Delete*", "Resource": "*"});
        assert_eq!(effect(json!([allow("eu-west-1"), deny])), Effect::Denied);
    }
}
