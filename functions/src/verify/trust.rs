//! Whether a role's trust policy lets Fargate start the pods of a profile.

use serde_json::Value;

use crate::model::spec::matches_wildcards;

/// Who starts pods on Fargate (EKS user guide, pod execution role). In China the name may have an
/// ending.
pub const PODS_SERVICE: &str = "eks-fargate-pods.amazonaws.com";

/// What a trust policy says to Fargate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// It lets it.
    Allows,
    /// It does not; why not.
    Refuses(String),
    /// It has conditions that cannot be judged from here.
    Unclear,
}

/// Reads a trust policy as JSON, for the profile with the ARN.
pub fn of(policy: &Value, profile_arn: &str) -> Trust {
    let statements: Vec<Trust> = many(&policy["Statement"])
        .into_iter()
        .filter(|it| is_about_pods(it))
        .map(|it| conditions(&it["Condition"], profile_arn))
        .collect();
    if statements.contains(&Trust::Allows) {
        return Trust::Allows;
    }
    if statements.contains(&Trust::Unclear) {
        return Trust::Unclear;
    }
    let refused = statements.into_iter().next();
    refused.unwrap_or_else(|| Trust::Refuses(format!("{PODS_SERVICE} is not among its principals")))
}

fn is_about_pods(statement: &Value) -> bool {
    let services = many(&statement["Principal"]["Service"]);
    let mut services = services.into_iter().filter_map(Value::as_str);
    let actions = many(&statement["Action"]);
    let mut actions = actions.into_iter().filter_map(Value::as_str);
    statement["Effect"] == "Allow"
        && services.any(|service| service.starts_with(PODS_SERVICE))
        && actions.any(|action| matches_wildcards(&action.to_lowercase(), "sts:assumerole"))
}

/// All conditions must hold.
fn conditions(block: &Value, profile_arn: &str) -> Trust {
    let operators = block.as_object().into_iter().flatten();
    let mut unclear = false;
    for (operator, keys) in operators {
        for (key, values) in keys.as_object().into_iter().flatten() {
            let Some(actual) = actual(key, profile_arn) else {
                unclear = true;
                continue;
            };
            let values: Vec<&str> = many(values).into_iter().filter_map(Value::as_str).collect();
            let operator = operator.trim_end_matches("IfExists");
            let holds = match operator {
                "ArnLike" | "ArnEquals" | "StringLike" => {
                    values.iter().any(|value| matches_wildcards(value, actual))
                }
                "StringEquals" => values.contains(&actual),
                _ => {
                    unclear = true;
                    continue;
                }
            };
            if !holds {
                return Trust::Refuses(format!(
                    "its condition wants {key} to be {}, and the profile's is {actual}",
                    values.join(" or ")
                ));
            }
        }
    }
    if unclear {
        Trust::Unclear
    } else {
        Trust::Allows
    }
}

/// What Fargate says of itself.
fn actual<'a>(key: &str, profile_arn: &'a str) -> Option<&'a str> {
    match key.to_lowercase().as_str() {
        "aws:sourcearn" => Some(profile_arn),
        "aws:sourceaccount" => profile_arn.split(':').nth(4),
        _ => None,
    }
}

/// One or a list of them: policies allow both everywhere.
fn many(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => vec![],
        Value::Array(items) => items.iter().collect(),
        one => vec![one],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PROFILE: &str =
        "arn:aws:eks:ap-northeast-1:111122223333:fargateprofile/demo/kube-system/1";

    fn policy(service: &Value, condition: &Value) -> Value {
        json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": "sts:AssumeRole",
            "Condition": condition,
        }]})
    }

    fn with_condition(condition: &Value) -> Trust {
        of(&policy(&json!(PODS_SERVICE), condition), PROFILE)
    }

    #[test]
    fn fargate_must_be_a_principal() {
        let none = json!({});
        assert_eq!(
            of(&policy(&json!(PODS_SERVICE), &none), PROFILE),
            Trust::Allows
        );
        let both = json!(["ec2.amazonaws.com", PODS_SERVICE]);
        assert_eq!(of(&policy(&both, &none), PROFILE), Trust::Allows);
        let other = of(&policy(&json!("eks.amazonaws.com"), &none), PROFILE);
        assert!(matches!(other, Trust::Refuses(why) if why.contains(PODS_SERVICE)));
    }

    #[test]
    fn a_single_statement_needs_no_list() {
        let mut policy = policy(&json!(PODS_SERVICE), &json!({}));
        policy["Statement"] = policy["Statement"][0].take();
        assert_eq!(of(&policy, PROFILE), Trust::Allows);
    }

    #[test]
    fn a_condition_must_fit_the_profile() {
        let arn = |cluster: &str| {
            let own = format!("arn:aws:eks:ap-northeast-1:111122223333:fargateprofile/{cluster}/*");
            json!({"ArnLike": {"aws:SourceArn": own}})
        };
        assert_eq!(with_condition(&arn("demo")), Trust::Allows);
        let Trust::Refuses(why) = with_condition(&arn("other")) else {
            panic!("another cluster's profiles");
        };
        assert!(
            why.contains("fargateprofile/other/*") && why.contains(PROFILE),
            "{why}"
        );
        let account = |id: &str| json!({"StringEquals": {"aws:SourceAccount": id}});
        assert_eq!(with_condition(&account("111122223333")), Trust::Allows);
        assert!(matches!(
            with_condition(&account("444455556666")),
            Trust::Refuses(_)
        ));
    }

    #[test]
    fn other_conditions_cannot_be_judged() {
        let other = json!({"StringEquals": {"aws:PrincipalOrgID": "o-1"}});
        assert_eq!(with_condition(&other), Trust::Unclear);
        let negative = json!({"ArnNotLike": {"aws:SourceArn": "x"}});
        assert_eq!(with_condition(&negative), Trust::Unclear);
    }
}
