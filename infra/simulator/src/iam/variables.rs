//! Variables in policies.
//!
//! IAM user guide, IAM policy elements: variables and tags. A value of the request that has a wildcard in
//! it stands for itself on AWS; here it matches nothing, since the comparison could not tell it apart.

use std::borrow::Cow;

/// The text with the request's values in place of its variables; `None` if one of them has none.
pub(super) fn fill<'a>(text: &'a str, context: &[(String, String)]) -> Option<Cow<'a, str>> {
    if !text.contains("${") {
        return Some(Cow::Borrowed(text));
    }
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (variable, after) = after.split_once('}')?;
        filled.push_str(before);
        filled.push_str(&value(variable, context)?);
        rest = after;
    }
    filled.push_str(rest);
    Some(Cow::Owned(filled))
}

/// `aws:username`, or with a default: `aws:username, 'nobody'`. Keys with several values are no variables.
fn value(variable: &str, context: &[(String, String)]) -> Option<String> {
    let (key, default) = match variable.split_once(',') {
        Some((key, default)) => (key, default.trim().strip_prefix('\'')?.strip_suffix('\'')),
        None => (variable, None),
    };
    let key = key.trim().to_lowercase();
    let mut values = context.iter().filter(|(name, _)| *name == key);
    let value = match (values.next(), values.next()) {
        (Some((_, value)), None) => value.as_str(),
        (None, _) => default?,
        (Some(_), Some(_)) => return None,
    };
    (!value.contains(['*', '?'])).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_have_the_requests_values_or_their_defaults() {
        let context = [("aws:principalorgid".to_owned(), "o-1".to_owned())];
        let fill = |text: &str| fill(text, &context).map(Cow::into_owned);
        assert_eq!(fill("plain").as_deref(), Some("plain"));
        assert_eq!(fill("a${aws:PrincipalOrgID}b").as_deref(), Some("ao-1b"));
        assert_eq!(fill("${aws:username, 'x'}").as_deref(), Some("x"));
        assert_eq!(fill("${aws:username}"), None);
        assert_eq!(fill("${aws:PrincipalOrgID"), None);
    }
}
