//! Policy documents: their form, and whether a trust policy lets somebody assume the role.
//!
//! Elements: IAM user guide, JSON policy elements reference.

use serde_json::{Map, Value};

use super::condition::{self, Verdict};
use super::wildcard;
use crate::api_error::ApiError;

/// A policy that has been read.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    pub(super) statements: Vec<Map<String, Value>>,
}

/// Who wants to assume a role, and what is known of the request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// A service, for example `eks.amazonaws.com`.
    pub service: Option<String>,
    /// The caller's account.
    pub account: Option<String>,
    /// The caller's ARNs: of the session and of its role, or of the user.
    pub arns: Vec<String>,
    /// Condition keys in lower case and their values.
    pub context: Vec<(String, String)>,
}

const ASSUME_ROLE: &str = "sts:assumerole";
/// IAM user guide, JSON policy elements reference: the elements of a statement.
const ELEMENTS: &[&str] = &[
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
];
const VERSIONS: &[&str] = &["2012-10-17", "2008-10-17"];

impl Document {
    /// Reads a policy.
    ///
    /// # Errors
    /// `MalformedPolicyDocument`.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        let value: Value = serde_json::from_str(text)
            .map_err(|_| malformed("This policy contains invalid Json"))?;
        let Value::Object(mut members) = value else {
            return Err(malformed("Syntax errors in policy."));
        };
        if let Some(version) = members.get("Version")
            && !VERSIONS.iter().any(|known| version == known)
        {
            return Err(malformed(
                "Policy document must be version 2012-10-17 or greater.",
            ));
        }
        // IAM user guide, IAM policy elements: variables need that version; elsewhere they are plain text,
        // which is nobody's.
        let has_variables = members.get("Version").is_some_and(|it| it == VERSIONS[0]);
        let known = |name: &String| ["Version", "Id", "Statement"].contains(&name.as_str());
        if !members.keys().all(known) {
            return Err(malformed("Syntax errors in policy."));
        }
        let statements = match members.remove("Statement") {
            Some(Value::Array(statements)) => statements,
            Some(statement @ Value::Object(_)) => vec![statement],
            _ => return Err(malformed("Syntax errors in policy.")),
        };
        if statements.is_empty() {
            return Err(malformed("Empty statements are not allowed."));
        }
        let statements = statements.into_iter().map(|statement| match statement {
            Value::Object(statement) => Ok(statement),
            _ => Err(malformed("Syntax errors in policy.")),
        });
        let statements = statements.collect::<Result<Vec<_>, _>>()?;
        let mut elements = statements.iter().flat_map(Map::keys);
        if !elements.all(|name| ELEMENTS.contains(&name.as_str())) {
            return Err(malformed("Syntax errors in policy."));
        }
        let mut document = Self { statements };
        document.check_effects()?;
        if !has_variables {
            let text = |it: Value| it.to_string().replace("${", "$\\u0000{");
            let plain = document.statements.into_iter().map(|statement| {
                serde_json::from_str(&text(Value::Object(statement)))
                    .map_err(|_| malformed("Syntax errors in policy."))
            });
            document.statements = plain.collect::<Result<_, _>>()?;
        }
        Ok(document)
    }

    fn check_effects(&self) -> Result<(), ApiError> {
        for statement in &self.statements {
            let effect = text(statement, "Effect");
            if !matches!(effect, Some("Allow" | "Deny")) {
                let message = format!("Invalid effect: {}", effect.unwrap_or("null"));
                return Err(malformed(&message));
            }
            if !statement.contains_key("Action") && !statement.contains_key("NotAction") {
                return Err(malformed("Missing required field Action"));
            }
            check_form(statement)?;
            check_condition(statement.get("Condition"))?;
        }
        Ok(())
    }

    /// Checks what a policy of an identity must have.
    ///
    /// # Errors
    /// `MalformedPolicyDocument`.
    pub fn check_identity_policy(&self) -> Result<(), ApiError> {
        for statement in &self.statements {
            if statement.contains_key("Principal") || statement.contains_key("NotPrincipal") {
                return Err(malformed("Policy document should not specify a principal."));
            }
            if !statement.contains_key("Resource") && !statement.contains_key("NotResource") {
                return Err(malformed("Policy statement must contain resources."));
            }
            check_names(statement)?;
        }
        Ok(())
    }

    /// Checks what a trust policy must have; `exists` tells of an ARN whether it is somebody's.
    ///
    /// # Errors
    /// `MalformedPolicyDocument`.
    pub fn check_trust_policy(&self, exists: impl Fn(&str) -> bool) -> Result<(), ApiError> {
        for statement in &self.statements {
            if statement.contains_key("Resource") || statement.contains_key("NotResource") {
                return Err(malformed("Has prohibited field Resource"));
            }
            let principals = principals(statement);
            if principals.is_empty() {
                return Err(malformed("Missing required field Principal"));
            }
            for action in strings(statement.get("Action")) {
                // Every pattern of such actions, but no other.
                let action = action.to_lowercase();
                let means = |known: &&str| wildcard::matches(&action, known);
                if !ASSUMING.iter().any(means) || !action.starts_with("sts:") {
                    let message = "AssumeRole policy may only specify STS AssumeRole actions.";
                    return Err(malformed(message));
                }
            }
            for (kind, name) in principals {
                let is_valid = match kind {
                    "AWS" => name == "*" || is_account(name) || (is_arn(name) && exists(name)),
                    "Service" => is_service(name),
                    "Federated" | "CanonicalUser" => true,
                    _ => false,
                };
                if !is_valid {
                    let message = format!("Invalid principal in policy: \"{kind}\":\"{name}\"");
                    return Err(malformed(&message));
                }
            }
        }
        Ok(())
    }

    /// Whether the trust policy lets the caller assume the role: allowed by a statement, and denied by
    /// none.
    #[must_use]
    pub fn lets_assume(&self, caller: &Caller) -> bool {
        let applies = |effect: &str| {
            (self.statements.iter()).any(|statement| {
                text(statement, "Effect") == Some(effect)
                    && is_about_assuming(statement)
                    && names(statement, caller)
                    && is_fulfilled(statement, &caller.context)
            })
        };
        applies("Allow") && !applies("Deny")
    }

    /// Whether a statement allows the service, whatever its conditions.
    #[must_use]
    pub fn trusts_service(&self, service: &str) -> bool {
        let caller = Caller {
            service: Some(service.to_owned()),
            ..Caller::default()
        };
        self.statements.iter().any(|statement| {
            text(statement, "Effect") == Some("Allow")
                && is_about_assuming(statement)
                && names(statement, &caller)
        })
    }

    /// Whether a statement allows the action, on whatever resource.
    #[must_use]
    pub fn allows_action(&self, action: &str) -> bool {
        self.statements.iter().any(|statement| {
            let actions = strings(statement.get("Action"));
            text(statement, "Effect") == Some("Allow")
                && (actions.iter())
                    .any(|it| wildcard::matches(&it.to_lowercase(), &action.to_lowercase()))
        })
    }
}

/// IAM JSON policy elements reference: an element and its opposite exclude each other, an action is one text
/// or a list of some, and a Sid is letters and digits.
fn check_form(statement: &Map<String, Value>) -> Result<(), ApiError> {
    let pairs = [
        ("Action", "NotAction"),
        ("Resource", "NotResource"),
        ("Principal", "NotPrincipal"),
    ];
    let has_both = |(one, other): &(&str, &str)| {
        statement.contains_key(*one) && statement.contains_key(*other)
    };
    let is_list_of_texts = |name: &str| match statement.get(name) {
        None | Some(Value::String(_)) => true,
        Some(Value::Array(many)) => !many.is_empty() && many.iter().all(Value::is_string),
        Some(_) => false,
    };
    let names = ["Action", "NotAction", "Resource", "NotResource"];
    let is_sid = match statement.get("Sid") {
        None => true,
        Some(Value::String(sid)) => sid.bytes().all(|byte| byte.is_ascii_alphanumeric()),
        Some(_) => false,
    };
    if pairs.iter().any(has_both) || !names.into_iter().all(is_list_of_texts) || !is_sid {
        return Err(malformed("Syntax errors in policy."));
    }
    Ok(())
}

/// The actions of a trust policy (IAM user guide, roles terms and concepts; STS API reference).
const ASSUMING: &[&str] = &[
    "sts:*",
    "sts:assumerole",
    "sts:assumerolewithsaml",
    "sts:assumerolewithwebidentity",
    "sts:setcontext",
    "sts:setsourceidentity",
    "sts:tagsession",
];

/// EKS's principals, of which all are known (EKS user guide); of other services' only the form is.
const OF_EKS: &[&str] = &[
    "capabilities.eks",
    "eks",
    "eks-connector",
    "eks-fargate",
    "eks-fargate-pods",
    "eks-nodegroup",
    "pods.eks",
];

/// Whether there is such a service: the name ends as all of them do in every partition, and if it is one of
/// EKS's it is a known one. IAM refuses `eks.amazonaws.com.cn` (terraform-aws-eks issues).
fn is_service(name: &str) -> bool {
    let suffixes = [".amazonaws.com", ".amazon.com", ".aws.internal", ".api.aws"];
    let Some(service) = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)) else {
        // Some services have another name in China (AWS China: EC2, for example).
        return ["ec2.amazonaws.com.cn"].contains(&name);
    };
    let is_of_eks = service.split(['.', '-']).any(|part| part == "eks");
    let is_form = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
    let is_known = !is_of_eks || OF_EKS.contains(&service);
    is_known && !service.is_empty() && service.chars().all(is_form)
}

/// Actions begin with a service, and resources are ARNs.
fn check_names(statement: &Map<String, Value>) -> Result<(), ApiError> {
    let all = |one, other| [strings(statement.get(one)), strings(statement.get(other))].concat();
    let is_action = |name: &&str| *name == "*" || name.contains(':');
    let has_more = |name: &&str| name.matches(':').count() > 1;
    if all("Action", "NotAction").iter().any(has_more) {
        let message = "Actions/Condition can contain only one colon.";
        return Err(malformed(message));
    }
    if !all("Action", "NotAction").iter().all(is_action) {
        let message = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.";
        return Err(malformed(message));
    }
    let is_arn =
        |name: &&&str| **name == "*" || name.starts_with("arn:") && name.matches(':').count() >= 5;
    let resources = all("Resource", "NotResource");
    if let Some(wrong) = resources.iter().find(|name| !is_arn(name)) {
        let message = format!("Resource {wrong} must be in ARN format or \"*\".");
        return Err(malformed(&message));
    }
    let of_partition = |name: &&&str| {
        let partition = name.split(':').nth(1).unwrap_or_default();
        **name == "*" || partition.starts_with("aws") || partition.contains('*')
    };
    if let Some(wrong) = resources.iter().find(|name| !of_partition(name)) {
        let partition = wrong.split(':').nth(1).unwrap_or_default();
        let message = format!("Partition \"{partition}\" is not valid for resource \"{wrong}\".");
        return Err(malformed(&message));
    }
    let has_region = |name: &&&str| {
        let parts: Vec<&str> = name.splitn(6, ':').collect();
        matches!(parts[..], [_, _, "iam" | "s3", region, ..] if !["", "*"].contains(&region))
    };
    if let Some(wrong) = resources.iter().find(has_region) {
        let message = format!("Resource {wrong} can not contain region information.");
        return Err(malformed(&message));
    }
    Ok(())
}

/// A condition has known operators, and keys with values.
fn check_condition(value: Option<&Value>) -> Result<(), ApiError> {
    let operators = match value {
        None => return Ok(()),
        Some(Value::Object(operators)) => operators,
        Some(_) => return Err(malformed("Syntax errors in policy.")),
    };
    for (operator, keys) in operators {
        if !condition::is_operator(operator) {
            let message = format!("Invalid Condition type : {operator}");
            return Err(malformed(&message));
        }
        if !keys.is_object() {
            return Err(malformed("Syntax errors in policy."));
        }
    }
    Ok(())
}

fn malformed(message: &str) -> ApiError {
    ApiError::client("MalformedPolicyDocument", message)
}

pub(super) fn text<'a>(statement: &'a Map<String, Value>, member: &str) -> Option<&'a str> {
    statement.get(member)?.as_str()
}

/// A string, or a list of strings.
pub(super) fn strings(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The kinds and names of a statement's principals.
fn principals(statement: &Map<String, Value>) -> Vec<(&str, &str)> {
    match statement.get("Principal") {
        Some(Value::String(all)) => vec![("AWS", all)],
        Some(Value::Object(kinds)) => (kinds.iter())
            .flat_map(|(kind, names)| {
                let names = strings(Some(names)).into_iter();
                names.map(move |name| (kind.as_str(), name))
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn is_about_assuming(statement: &Map<String, Value>) -> bool {
    let has = |member: &str| {
        let actions = strings(statement.get(member));
        (actions.iter()).any(|action| wildcard::matches(&action.to_lowercase(), ASSUME_ROLE))
    };
    has("Action") || (statement.contains_key("NotAction") && !has("NotAction"))
}

fn names(statement: &Map<String, Value>, caller: &Caller) -> bool {
    principals(statement)
        .into_iter()
        .any(|(kind, name)| match kind {
            "Service" => caller.service.as_deref() == Some(name),
            "AWS" if name == "*" => true,
            "AWS" => {
                let account = caller.account.as_deref();
                // An account's id and its root stand for everybody in it.
                let of_root = name
                    .strip_suffix(":root")
                    .and_then(|arn| arn.rsplit(':').next());
                let is_account = account.is_some_and(|id| name == id || of_root == Some(id));
                is_account || caller.arns.iter().any(|arn| arn == name)
            }
            _ => false,
        })
}

/// Whether the request fulfils the statement's conditions. A condition that is not understood here is
/// in the caller's disfavour: not fulfilled where something is allowed, fulfilled where it is denied.
pub(super) fn is_fulfilled(statement: &Map<String, Value>, context: &[(String, String)]) -> bool {
    let Some(Value::Object(conditions)) = statement.get("Condition") else {
        return !statement.contains_key("Condition");
    };
    match condition::verdict(conditions, context) {
        Verdict::Fulfilled => true,
        Verdict::NotFulfilled => false,
        Verdict::Unknown => text(statement, "Effect") == Some("Deny"),
    }
}

fn is_account(name: &str) -> bool {
    name.len() == 12 && name.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_arn(name: &str) -> bool {
    let parts: Vec<&str> = name.splitn(6, ':').collect();
    parts.len() == 6 && parts[0] == "arn" && is_account(parts[4])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(statement: &Value) -> Document {
        Document::parse(&json!({"Statement": statement}).to_string()).unwrap()
    }

    fn assume(principal: &Value, condition: Option<Value>) -> Document {
        let mut statement =
            json!({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"});
        if let Some(condition) = condition {
            statement["Condition"] = condition;
        }
        document(&statement)
    }

    fn caller(context: &[(&str, &str)]) -> Caller {
        Caller {
            service: None,
            account: Some("111122223333".to_owned()),
            arns: vec!["arn:aws:iam::111122223333:role/a".to_owned()],
            context: (context.iter())
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }

    #[test]
    fn malformed_policies_are_refused() {
        for (text, reason) in [
            ("{", "no JSON"),
            ("[]", "no object"),
            (r#"{"Version":"2020-01-01","Statement":[]}"#, "version"),
            (r#"{"Version":"2012-10-17"}"#, "no statement"),
            (r#"{"Statement":[]}"#, "empty"),
            (
                r#"{"Statement":{"Effect":"Maybe","Action":"sts:AssumeRole"}}"#,
                "effect",
            ),
            (r#"{"Statement":{"Effect":"Allow"}}"#, "no action"),
            (
                r#"{"Statement":{"Effect":"Allow","Actions":"*","Action":"*"}}"#,
                "unknown element",
            ),
            (
                r#"{"Statement":{"Effect":"Allow","Action":"*","Condition":{"Foo":{}}}}"#,
                "operator",
            ),
            (
                r#"{"Statement":{"Effect":"Allow","Action":"*","Condition":[]}}"#,
                "condition",
            ),
        ] {
            let error = Document::parse(text).unwrap_err();
            assert_eq!(error.code, "MalformedPolicyDocument", "{reason}");
        }
    }

    #[test]
    fn trust_policies_have_principals_and_no_resources() {
        let all = |_: &str| true;
        let good = json!({"Service": "eks.amazonaws.com"});
        assume(&good, None).check_trust_policy(all).unwrap();
        let missing = document(&json!({"Effect": "Allow", "Action": "sts:AssumeRole"}));
        missing.check_trust_policy(all).unwrap_err();
        let with_resource = document(&json!({
            "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": good, "Resource": "*"
        }));
        with_resource.check_trust_policy(all).unwrap_err();
        let other_action =
            document(&json!({"Effect": "Allow", "Action": "ec2:RunInstances", "Principal": good}));
        other_action.check_trust_policy(all).unwrap_err();
        let nobody = assume(&json!({"AWS": "arn:aws:iam::111122223333:role/a"}), None);
        nobody.check_trust_policy(|_| false).unwrap_err();
    }

    #[test]
    fn identity_policies_name_actions_of_services_and_resources_by_arn() {
        let policy = |action: &str, resource: &str| {
            document(&json!({"Effect": "Allow", "Action": action, "Resource": resource}))
        };
        for (action, resource) in [
            ("*", "*"),
            ("ec2:*", "arn:aws:ec2:*:*:vpc/*"),
            ("logs:CreateLogGroup", "arn:aws:logs:*:*:log-group:a:*"),
        ] {
            policy(action, resource).check_identity_policy().unwrap();
        }
        for (action, resource) in [
            ("CreateVpc", "*"),
            ("ec2:*", "vpc/*"),
            ("ec2:*", "arn:aws:*"),
        ] {
            let error = policy(action, resource)
                .check_identity_policy()
                .unwrap_err();
            assert_eq!(error.code, "MalformedPolicyDocument", "{action} {resource}");
        }
    }

    #[test]
    fn services_that_do_not_exist_cannot_be_trusted() {
        for (service, is_there) in [
            ("eks.amazonaws.com", true),
            ("eks-fargate-pods.amazonaws.com", true),
            ("ec2.amazonaws.com", true),
            ("delivery.logs.amazonaws.com", true),
            ("eks-fargate-pod.amazonaws.com", false),
            ("eks.amazonaws.com.cn", false),
            ("eks", false),
            ("EKS.amazonaws.com", false),
        ] {
            let trust = assume(&json!({"Service": service}), None);
            let checked = trust.check_trust_policy(|_| true);
            assert_eq!(checked.is_ok(), is_there, "{service}");
        }
    }

    #[test]
    fn trust_policies_are_about_assuming_roles() {
        let principal = json!({"Service": "eks.amazonaws.com"});
        for (action, is_right) in [
            (json!("sts:AssumeRole"), true),
            (json!(["sts:AssumeRole", "sts:TagSession"]), true),
            (json!("sts:Assume*"), true),
            (json!("sts:BadAssumeRole"), false),
            (json!("sts:GetCallerIdentity"), false),
            (json!("*"), false),
        ] {
            let statement = json!({"Effect": "Allow", "Principal": principal, "Action": action});
            let checked = document(&statement).check_trust_policy(|_| true);
            assert_eq!(checked.is_ok(), is_right, "{action}");
        }
    }

    #[test]
    fn statements_have_a_form() {
        let right = json!({"Sid": "A1", "Effect": "Allow", "Action": ["s3:Get*"], "Resource": "*"});
        let parse = |statement: &Value| {
            let document = Document::parse(&json!({"Statement": statement}).to_string())?;
            document.check_identity_policy()
        };
        parse(&right).unwrap();
        for (member, value) in [
            ("Sid", json!("a b")),
            ("Action", json!([])),
            ("Action", json!({"a": "b"})),
            ("Action", json!("s3:List:Bucket")),
            ("NotAction", json!("s3:Put*")),
            ("Resource", json!([])),
            ("Resource", json!("arn:error:s3:::x")),
            ("Resource", json!("arn:aws:s3:us-east-1::x")),
            ("NotResource", json!("*")),
        ] {
            let mut wrong = right.clone();
            wrong[member] = value.clone();
            let error = parse(&wrong).unwrap_err();
            assert_eq!(error.code, "MalformedPolicyDocument", "{member}: {value}");
        }
    }

    #[test]
    fn account_and_role_can_be_trusted() {
        for principal in [
            json!("*"),
            json!({"AWS": "111122223333"}),
            json!({"AWS": ["444455556666", "arn:aws:iam::111122223333:root"]}),
            json!({"AWS": "arn:aws:iam::111122223333:role/a"}),
        ] {
            assert!(
                assume(&principal, None).lets_assume(&caller(&[])),
                "{principal}"
            );
        }
        for principal in [
            json!({"AWS": "arn:aws:iam::444455556666:root"}),
            json!({"AWS": "arn:aws:iam::111122223333:role/b"}),
            json!({"Service": "eks.amazonaws.com"}),
        ] {
            assert!(
                !assume(&principal, None).lets_assume(&caller(&[])),
                "{principal}"
            );
        }
    }

    #[test]
    fn conditions_must_be_fulfilled() {
        let condition = json!({"StringEquals": {"sts:ExternalId": "x"}});
        let trust = assume(&json!("*"), Some(condition));
        assert!(trust.lets_assume(&caller(&[("sts:externalid", "x")])));
        assert!(!trust.lets_assume(&caller(&[("sts:externalid", "y")])));
        assert!(!trust.lets_assume(&caller(&[])));
    }

    #[test]
    fn denial_of_all_but_one_external_id_denies_callers_without_one() {
        let trust = document(&json!([
            {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"},
            {"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole",
             "Condition": {"StringNotEquals": {"sts:ExternalId": "x"}}},
        ]));
        assert!(trust.lets_assume(&caller(&[("sts:externalid", "x")])));
        assert!(!trust.lets_assume(&caller(&[])));
    }

    #[test]
    fn condition_that_is_not_understood_is_in_the_callers_disfavour() {
        let by_date = json!({"DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}});
        let allowed = assume(&json!("*"), Some(by_date.clone()));
        assert!(!allowed.lets_assume(&caller(&[])));
        let denied = document(&json!([
            {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"},
            {"Effect": "Deny", "Principal": "*", "Action": "sts:*", "Condition": by_date},
        ]));
        assert!(!denied.lets_assume(&caller(&[])));
    }

    #[test]
    fn all_but_some_actions_can_be_denied() {
        let all_but = |action: &str| {
            document(&json!([
                {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"},
                {"Effect": "Deny", "Principal": "*", "NotAction": action},
            ]))
        };
        assert!(all_but("sts:AssumeRole").lets_assume(&caller(&[])));
        assert!(!all_but("sts:TagSession").lets_assume(&caller(&[])));
    }

    #[test]
    fn denial_wins() {
        let trust = document(&json!([
            {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"},
            {"Effect": "Deny", "Principal": {"AWS": "111122223333"}, "Action": "sts:*"},
        ]));
        assert!(!trust.lets_assume(&caller(&[])));
    }

    #[test]
    fn service_is_trusted_whatever_the_conditions() {
        let condition = json!({"ArnLike": {"aws:SourceArn": "arn:aws:eks:*"}});
        let trust = assume(
            &json!({"Service": "eks-fargate-pods.amazonaws.com"}),
            Some(condition),
        );
        assert!(trust.trusts_service("eks-fargate-pods.amazonaws.com"));
        assert!(!trust.trusts_service("eks.amazonaws.com"));
    }
}
