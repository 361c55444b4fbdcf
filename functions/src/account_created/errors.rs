//! What is said about an event or a policy that is wrong: the field, the value, what would be right, and
//! in what it stands.

use serde_json::Value;

use crate::contract::Error;

/// A value is shown no longer than this many characters: an event may be huge, and a message in a queue
/// is read by people, beside the whole event.
const SHOWN_MAX: usize = 200;

/// An [`Error::InvalidRequest`] that shows the value, or its beginning.
#[must_use]
pub fn invalid(field: &str, value: &Value, expected: &str) -> Error {
    Error::InvalidRequest {
        field: field.to_owned(),
        value: beginning(&value.to_string()),
        expected: expected.to_owned(),
    }
}

/// The same error, with the place that its field is in.
#[must_use]
pub fn within(error: Error, place: &str) -> Error {
    match error {
        Error::InvalidRequest {
            field,
            value,
            expected,
        } => Error::InvalidRequest {
            field: format!("{field} in {place}"),
            value: beginning(&value),
            expected,
        },
        other => other,
    }
}

/// The value at a path like `detail.eventName` or `excludeAccounts[0]`; the whole where it leads nowhere.
#[must_use]
pub fn value_at<'a>(whole: &'a Value, path: &str) -> &'a Value {
    let mut value = whole;
    for key in keys(path) {
        let next = match value {
            Value::Array(items) => key.parse().ok().and_then(|index: usize| items.get(index)),
            _ => value.get(key),
        };
        match next {
            Some(next) => value = next,
            None => return whole,
        }
    }
    value
}

/// The members and indices of a path.
pub fn keys(path: &str) -> impl Iterator<Item = &str> {
    let parts = path.split(['.', '[']);
    parts
        .map(|part| part.trim_end_matches(']'))
        .filter(|part| !part.is_empty())
}

fn beginning(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_path_leads_to_its_value_or_else_to_the_whole() {
        let whole = json!({"a": {"b": [1, {"c": 2}]}});
        assert_eq!(value_at(&whole, "a.b[1].c"), &json!(2));
        assert_eq!(value_at(&whole, "a.x"), &whole);
        assert_eq!(value_at(&whole, "."), &whole);
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let error = invalid("x", &json!("é".repeat(10_000)), "less").to_string();
        assert!(error.chars().count() < 300, "{error}");
        assert!(error.contains('…'), "{error}");
    }
}
