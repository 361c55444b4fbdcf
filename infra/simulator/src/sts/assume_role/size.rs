//! How large a session's token is.
//!
//! Since 15 September 2026 there is one limit, of 4,096 bytes for the token, in all commercial regions,
//! AWS GovCloud (US) and the European Sovereign Cloud ("What's New", AWS STS); `PackedPolicySize` has the
//! value of `SessionTokenUtilization` since then (botocore 1.44.8's STS model). China is not named: the
//! packed limit of before is assumed to hold there.

use serde_json::Value;

use crate::api_error::ApiError;
use crate::xml::Element;

/// Bytes of a token.
const TOKEN_MAX: usize = 4096;
/// A token without any policy, as they are seen everywhere.
const TOKEN_MIN: usize = 700;
/// What public reports say of packed policies, in per cent: 18 actions (736 characters) 82, 31 actions
/// 118, 42 actions (1,690 characters) 157, each with three session tags. A line through them, rounded up.
const PACKED_BASE: usize = 26;
const PACKED_PER_TEN_ACTIONS: usize = 32;

/// How much of its room the token of a session takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    /// Bytes of the token.
    Token(usize),
    /// Per cent of the packed policy's room; none without a policy.
    Packed(Option<usize>),
}

impl Size {
    /// # Errors
    /// `PackedPolicyTooLarge`.
    pub(super) fn of(partition: &str, policy: Option<&str>) -> Result<Self, ApiError> {
        if partition == "aws-cn" {
            return match policy.map(packed) {
                Some(percent) if percent > 100 => Err(too_large(&format!(
                    "Packed policy consumes {percent}% of allotted space, please use smaller policy."
                ))),
                percent => Ok(Self::Packed(percent)),
            };
        }
        // A token is written in base64; whether the policy is compressed in it is not known.
        let bytes = TOKEN_MIN + policy.map_or(0, |policy| policy.len().div_ceil(3) * 4);
        if bytes > TOKEN_MAX {
            return Err(too_large(&format!(
                "Session token size {bytes} bytes exceeds the maximum of {TOKEN_MAX} bytes"
            )));
        }
        Ok(Self::Token(bytes))
    }

    pub(super) fn elements(self) -> Vec<Element> {
        match self {
            Self::Packed(percent) => {
                let percent = percent.map(|it| Element::text("PackedPolicySize", it));
                percent.into_iter().collect()
            }
            Self::Token(bytes) => {
                let percent = (bytes * 100).div_ceil(TOKEN_MAX);
                vec![
                    Element::text("PackedPolicySize", percent),
                    Element::text("SessionTokenUtilization", percent),
                    Element::text("SessionTokenSize", bytes),
                ]
            }
        }
    }
}

fn packed(policy: &str) -> usize {
    let policy: Value = serde_json::from_str(policy).unwrap_or_default();
    let statements = match &policy["Statement"] {
        Value::Array(many) => many.iter().collect(),
        one => vec![one],
    };
    let actions = |statement: &Value| match &statement["Action"] {
        Value::Array(many) => many.len(),
        _ => 1,
    };
    let actions: usize = statements.into_iter().map(actions).sum();
    PACKED_BASE + (actions * PACKED_PER_TEN_ACTIONS).div_ceil(10)
}

fn too_large(message: &str) -> ApiError {
    ApiError::client("PackedPolicyTooLarge", message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(actions: usize, length: usize) -> String {
        let actions: Vec<String> = (0..actions).map(|n| format!("ec2:{n}")).collect();
        let statement = json!({"Effect": "Allow", "Action": actions, "Resource": "*"});
        let policy = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
        format!(
            "{policy}{}",
            " ".repeat(length.saturating_sub(policy.len()))
        )
    }

    #[test]
    fn a_policy_of_the_greatest_length_fits_where_the_token_counts() {
        let size = Size::of("aws", Some(&policy(60, 2048))).unwrap();
        assert_eq!(size, Size::Token(700 + 2732));
        assert_eq!(Size::of("aws-us-gov", None), Ok(Size::Token(700)));
    }

    #[test]
    fn many_actions_are_too_many_where_the_packed_policy_counts() {
        for (actions, percent) in [(18, 84), (23, 100)] {
            let size = Size::of("aws-cn", Some(&policy(actions, 0)));
            assert_eq!(size, Ok(Size::Packed(Some(percent))));
        }
        for actions in [24, 31, 42] {
            let error = Size::of("aws-cn", Some(&policy(actions, 0))).unwrap_err();
            assert_eq!(error.code, "PackedPolicyTooLarge", "{actions}");
        }
    }
}
