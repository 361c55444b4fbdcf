//! What texts have to look like.

use regex_lite::Regex;

use crate::contract::Error;

/// Refuses a value that is not, as a whole, like `pattern`.
pub(crate) fn check_shape(
    field: &str,
    value: &str,
    pattern: &str,
    expected: &str,
) -> Result<(), Error> {
    if is_like(value, pattern) {
        return Ok(());
    }
    Err(Error::invalid(field, value, expected))
}

/// Whether the whole text is like `pattern`.
pub(crate) fn is_like(text: &str, pattern: &str) -> bool {
    parts(text, pattern).is_some()
}

/// The groups of `pattern`, if the whole text is like it.
pub(crate) fn parts<'a>(text: &'a str, pattern: &str) -> Option<Vec<&'a str>> {
    // A pattern of ours that is not valid matches nothing; the tests use every one of them.
    let pattern = Regex::new(&format!("^(?:{pattern})$")).ok()?;
    let captures = pattern.captures(text)?;
    let groups = captures.iter().skip(1).flatten();
    Some(groups.map(|group| group.as_str()).collect())
}
