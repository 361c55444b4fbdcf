//! Conditions of policies.
//!
//! IAM user guide, condition operators, and multivalued context keys.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{variables, wildcard};

/// How one value of a policy is compared with one of the request.
type Compare = fn(wanted: &str, actual: &str) -> bool;

/// Whether a condition is fulfilled; not known where its operator is none of those here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Fulfilled,
    NotFulfilled,
    Unknown,
}

/// An operator without what is before and after its name.
#[derive(Debug, Clone, Copy)]
struct Operator<'a> {
    name: &'a str,
    quantifier: Quantifier,
    if_exists: bool,
}

/// Which of a key's values in the request must fulfil the condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantifier {
    Single,
    Any,
    All,
}

/// Operators that IAM has and that are not worked out here.
const OTHERS: &[&str] = &[
    "BinaryEquals",
    "DateEquals",
    "DateGreaterThan",
    "DateGreaterThanEquals",
    "DateLessThan",
    "DateLessThanEquals",
    "DateNotEquals",
    "IpAddress",
    "NotIpAddress",
];
const NULL: &str = "Null";

/// Whether IAM has the operator.
pub(super) fn is_operator(text: &str) -> bool {
    let operator = Operator::read(text);
    let is_bare = operator.quantifier == Quantifier::Single && !operator.if_exists;
    operator.comparison().is_some()
        || OTHERS.contains(&operator.name)
        || (operator.name == NULL && is_bare)
}

/// Whether a request with the `context` (keys in lower case) fulfils all conditions of a statement.
pub(super) fn verdict(conditions: &Map<String, Value>, context: &[(String, String)]) -> Verdict {
    let mut all = Verdict::Fulfilled;
    for (operator, keys) in conditions {
        let operator = Operator::read(operator);
        for (key, wanted) in keys.as_object().into_iter().flatten() {
            let key = key.to_lowercase();
            let of_key = context.iter().filter(|(name, _)| *name == key);
            let actual: Vec<&str> = of_key.map(|(_, value)| value.as_str()).collect();
            let filled: Option<Vec<Cow<'_, str>>> = texts(wanted)
                .into_iter()
                .map(|text| Some(Cow::Owned(variables::fill(&text, context)?.into_owned())))
                .collect();
            // What a variable stands for is not known: the caller gets nothing from it.
            let Some(filled) = filled else {
                all = Verdict::Unknown;
                continue;
            };
            match operator.compare(&filled, &actual) {
                Verdict::Fulfilled => {}
                Verdict::Unknown => all = Verdict::Unknown,
                Verdict::NotFulfilled => return Verdict::NotFulfilled,
            }
        }
    }
    all
}

impl<'a> Operator<'a> {
    fn read(text: &'a str) -> Self {
        let (quantifier, text) = match text.split_once(':') {
            Some(("ForAllValues", rest)) => (Quantifier::All, rest),
            Some(("ForAnyValue", rest)) => (Quantifier::Any, rest),
            _ => (Quantifier::Single, text),
        };
        let (name, if_exists) = match text.strip_suffix("IfExists") {
            Some(name) => (name, true),
            None => (text, false),
        };
        Self {
            name,
            quantifier,
            if_exists,
        }
    }

    /// How the operator compares, and whether it is negated.
    fn comparison(&self) -> Option<(Compare, bool)> {
        let comparison: (Compare, bool) = match self.name {
            "StringEquals" => (equal, false),
            "StringNotEquals" => (equal, true),
            "StringEqualsIgnoreCase" | "Bool" => (equal_ignoring_case, false),
            "StringNotEqualsIgnoreCase" => (equal_ignoring_case, true),
            "StringLike" => (wildcard::matches, false),
            "StringNotLike" => (wildcard::matches, true),
            // They do the same.
            "ArnEquals" | "ArnLike" => (is_arn_like, false),
            "ArnNotEquals" | "ArnNotLike" => (is_arn_like, true),
            "NumericEquals" => (|w, a| numbers(w, a, |w, a| a.total_cmp(&w).is_eq()), false),
            "NumericNotEquals" => (|w, a| numbers(w, a, |w, a| a.total_cmp(&w).is_eq()), true),
            "NumericLessThan" => (|w, a| numbers(w, a, |w, a| a < w), false),
            "NumericLessThanEquals" => (|w, a| numbers(w, a, |w, a| a <= w), false),
            "NumericGreaterThan" => (|w, a| numbers(w, a, |w, a| a > w), false),
            "NumericGreaterThanEquals" => (|w, a| numbers(w, a, |w, a| a >= w), false),
            _ => return None,
        };
        Some(comparison)
    }

    /// One key: any of the wanted values will do, none of them for a negated operator.
    fn compare(&self, wanted: &[Cow<'_, str>], actual: &[&str]) -> Verdict {
        if self.name == NULL {
            let is_null = actual.is_empty().to_string();
            return of(wanted.iter().any(|it| equal_ignoring_case(it, &is_null)));
        }
        let Some((compare, is_negated)) = self.comparison() else {
            return Verdict::Unknown;
        };
        let fulfils = |actual: &&str| wanted.iter().any(|it| compare(it, actual)) != is_negated;
        of(match self.quantifier {
            // A missing key fulfils what is negated, and nothing else.
            Quantifier::Single if actual.is_empty() => is_negated || self.if_exists,
            Quantifier::Any if actual.is_empty() => self.if_exists,
            Quantifier::Single if is_negated => actual.iter().all(fulfils),
            Quantifier::Single | Quantifier::Any => actual.iter().any(fulfils),
            Quantifier::All => actual.iter().all(fulfils),
        })
    }
}

fn of(is_fulfilled: bool) -> Verdict {
    if is_fulfilled {
        Verdict::Fulfilled
    } else {
        Verdict::NotFulfilled
    }
}

/// A value, or a list of values; booleans and numbers may be without quotation marks.
fn texts(value: &Value) -> Vec<Cow<'_, str>> {
    match value {
        Value::Array(many) => many.iter().flat_map(texts).collect(),
        Value::String(text) => vec![Cow::Borrowed(text)],
        Value::Bool(_) | Value::Number(_) => vec![Cow::Owned(value.to_string())],
        Value::Null | Value::Object(_) => Vec::new(),
    }
}

fn equal(wanted: &str, actual: &str) -> bool {
    wanted == actual
}

fn equal_ignoring_case(wanted: &str, actual: &str) -> bool {
    wanted.eq_ignore_ascii_case(actual)
}

/// Each of the six parts of an ARN is compared by itself: a `*` does not reach beyond its colons.
pub(super) fn is_arn_like(wanted: &str, actual: &str) -> bool {
    if wanted == "*" {
        return true;
    }
    let parts = |arn| str::splitn(arn, 6, ':').collect::<Vec<&str>>();
    let (wanted, actual) = (parts(wanted), parts(actual));
    let mut pairs = wanted.iter().zip(&actual);
    wanted.len() == actual.len() && pairs.all(|(wanted, actual)| wildcard::matches(wanted, actual))
}

fn numbers(wanted: &str, actual: &str, compare: impl Fn(f64, f64) -> bool) -> bool {
    match (wanted.parse(), actual.parse()) {
        (Ok(wanted), Ok(actual)) => compare(wanted, actual),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn verdict_of(conditions: &Value, context: &[(&str, &str)]) -> Verdict {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let context: Vec<_> = context.iter().map(owned).collect();
        verdict(conditions.as_object().unwrap(), &context)
    }

    fn holds(operator: &str, wanted: impl Into<Value>, actual: &[&str]) -> bool {
        let context: Vec<_> = actual.iter().map(|value| ("k", *value)).collect();
        let verdict = verdict_of(&json!({operator: {"K": wanted.into()}}), &context);
        assert_ne!(verdict, Verdict::Unknown, "{operator}");
        verdict == Verdict::Fulfilled
    }

    #[test]
    fn values_are_compared_as_the_operator_says() {
        for (operator, wanted, good, bad) in [
            ("StringEquals", json!(["a", "b"]), "b", "B"),
            ("StringEqualsIgnoreCase", json!("a"), "A", "b"),
            ("StringLike", json!("a*c?"), "abbcd", "abc"),
            ("StringNotEquals", json!(["a", "b"]), "c", "a"),
            ("StringNotEqualsIgnoreCase", json!("a"), "b", "A"),
            ("StringNotLike", json!("a*"), "b", "abc"),
            ("Bool", json!(true), "true", "false"),
            ("Bool", json!("False"), "false", "true"),
            ("NumericEquals", json!(3), "3.0", "4"),
            ("NumericNotEquals", json!("3"), "4", "3"),
            ("NumericLessThan", json!(3), "2", "3"),
            ("NumericLessThanEquals", json!(3), "3", "4"),
            ("NumericGreaterThan", json!(3), "4", "3"),
            ("NumericGreaterThanEquals", json!(3), "3", "x"),
        ] {
            assert!(
                holds(operator, wanted.clone(), &[good]),
                "{operator} {good}"
            );
            assert!(!holds(operator, wanted, &[bad]), "{operator} {bad}");
        }
    }

    #[test]
    fn arns_are_compared_part_by_part() {
        let actual = ["arn:aws:eks:us-east-1:111122223333:cluster/a"];
        for operator in ["ArnLike", "ArnEquals"] {
            assert!(holds(
                operator,
                "arn:aws:eks:*:111122223333:cluster/*",
                &actual
            ));
            assert!(holds(operator, "arn:*:*:*:*:*", &actual));
            assert!(!holds(operator, "arn:aws:eks:*", &actual));
            assert!(!holds(operator, "arn:aws:eks:*:cluster/a", &actual));
        }
        assert!(!holds("ArnNotLike", "arn:*:*:*:*:*", &actual));
        assert!(holds("ArnNotEquals", "arn:aws:eks:*", &actual));
    }

    #[test]
    fn missing_key_fulfils_what_is_negated_or_may_be_missing() {
        for (operator, is_fulfilled) in [
            ("StringEquals", false),
            ("Bool", false),
            ("NumericLessThan", false),
            ("ArnLike", false),
            ("StringEqualsIfExists", true),
            ("BoolIfExists", true),
            ("StringNotEquals", true),
            ("StringNotEqualsIgnoreCase", true),
            ("StringNotLike", true),
            ("ArnNotEquals", true),
            ("ArnNotLike", true),
            ("NumericNotEquals", true),
            ("ForAllValues:StringEquals", true),
            ("ForAnyValue:StringEquals", false),
            ("ForAnyValue:StringNotEquals", false),
        ] {
            assert_eq!(holds(operator, "1", &[]), is_fulfilled, "{operator}");
        }
    }

    #[test]
    fn null_asks_whether_the_key_is_missing() {
        assert!(holds("Null", "true", &[]));
        assert!(!holds("Null", true, &["a"]));
        assert!(holds("Null", "false", &["a"]));
        assert!(!holds("Null", false, &[]));
    }

    #[test]
    fn sets_are_compared_value_by_value() {
        let wanted = || json!(["a", "b"]);
        let (all, any) = ("ForAllValues:StringEquals", "ForAnyValue:StringEquals");
        assert!(holds(all, wanted(), &["a", "b"]));
        assert!(!holds(all, wanted(), &["a", "c"]));
        assert!(holds(any, wanted(), &["a", "c"]));
        assert!(!holds(any, wanted(), &["c"]));
        assert!(holds("ForAnyValue:StringNotLike", wanted(), &["a", "c"]));
        assert!(!holds("ForAllValues:StringNotLike", wanted(), &["a", "c"]));
    }

    #[test]
    fn all_keys_and_operators_must_hold() {
        let conditions = json!({"StringEquals": {"a": "1", "b": "2"}, "Bool": {"c": "true"}});
        let all = [("a", "1"), ("b", "2"), ("c", "true")];
        assert_eq!(verdict_of(&conditions, &all), Verdict::Fulfilled);
        assert_eq!(verdict_of(&conditions, &all[..2]), Verdict::NotFulfilled);
    }

    #[test]
    fn variables_are_compared_by_the_requests_values() {
        let same = json!({"StringEquals": {"aws:ResourceOrgID": "${aws:PrincipalOrgID}"}});
        let of = |resource, principal| {
            let context = [
                ("aws:resourceorgid", resource),
                ("aws:principalorgid", principal),
            ];
            verdict_of(&same, &context)
        };
        assert_eq!(of("o-1", "o-1"), Verdict::Fulfilled);
        assert_eq!(of("o-1", "o-2"), Verdict::NotFulfilled);
        let standalone = verdict_of(&same, &[("aws:resourceorgid", "o-1")]);
        assert_eq!(standalone, Verdict::Unknown);
    }

    #[test]
    fn operators_of_iam_are_known_even_where_their_verdict_is_not() {
        for operator in [
            "DateLessThan",
            "IpAddressIfExists",
            "ForAnyValue:StringLike",
            "Null",
        ] {
            assert!(is_operator(operator), "{operator}");
        }
        for operator in [
            "StringFoo",
            "stringequals",
            "NullIfExists",
            "ForSomeValues:Bool",
        ] {
            assert!(!is_operator(operator), "{operator}");
        }
        let dated = verdict_of(&json!({"DateLessThan": {"aws:CurrentTime": "x"}}), &[]);
        assert_eq!(dated, Verdict::Unknown);
    }
}
