//! Filters of the Describe operations.

use super::tags::Tags;
use crate::api_error::ApiError;
use crate::params::Params;

/// The filters of one request. All must match; of the values of one filter, any.
pub(super) struct Filters(Vec<Filter>);

struct Filter {
    name: String,
    values: Vec<String>,
}

impl Filters {
    /// Reads `Filter.N.Name` and `Filter.N.Value.M`.
    ///
    /// # Errors
    /// `InvalidParameterValue` for a name that is neither in `known` nor about tags.
    pub(super) fn read(params: &Params, known: &[&str]) -> Result<Self, ApiError> {
        let filters = params.structures("Filter").into_iter().map(|filter| {
            let name = filter.require("Name")?.to_owned();
            let is_known =
                name.starts_with("tag:") || name == "tag-key" || known.contains(&name.as_str());
            if !is_known {
                return Err(invalid(&name));
            }
            let values: Vec<String> = filter.list("Value").into_iter().map(Into::into).collect();
            if values.is_empty() {
                return Err(ApiError::client(
                    "InvalidParameterValue",
                    format!("The filter '{name}' must have at least one value"),
                ));
            }
            Ok(Filter { name, values })
        });
        filters.collect::<Result<_, _>>().map(Self)
    }

    /// Whether a resource with `tags` and the values that `attribute` has for a filter's name passes.
    pub(super) fn accept(&self, tags: &Tags, attribute: impl Fn(&str) -> Vec<String>) -> bool {
        self.0.iter().all(|filter| {
            if let Some(key) = filter.name.strip_prefix("tag:") {
                return tags.get(key).is_some_and(|value| filter.matches(value));
            }
            if filter.name == "tag-key" {
                return tags.keys().any(|key| filter.matches(key));
            }
            let actual = attribute(&filter.name);
            actual.iter().any(|value| filter.matches(value))
        })
    }
}

impl Filter {
    fn matches(&self, actual: &str) -> bool {
        self.values
            .iter()
            .any(|pattern| is_like(pattern.as_bytes(), actual.as_bytes()))
    }
}

fn invalid(name: &str) -> ApiError {
    let message = format!("The filter '{name}' is invalid");
    ApiError::client("InvalidParameterValue", message)
}

/// EC2 user guide, list and filter using the CLI and API: `*` stands for any characters, `?` for one,
/// a backslash before either for itself; upper and lower case differ.
fn is_like(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            is_like(rest, text) || (!text.is_empty() && is_like(pattern, &text[1..]))
        }
        ([b'?', rest @ ..], [_, text @ ..]) => is_like(rest, text),
        ([b'\\', wanted, rest @ ..] | [wanted, rest @ ..], [byte, text @ ..]) => {
            wanted == byte && is_like(rest, text)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(query: &str, tags: &[(&str, &str)], attribute: &str) -> Result<bool, ApiError> {
        let filters = Filters::read(&Params::parse(query.as_bytes()), &["vpc-id"])?;
        let tags = tags.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        Ok(filters.accept(&tags.collect(), |_| vec![attribute.to_owned()]))
    }

    #[test]
    fn all_filters_must_match_with_any_of_their_values() {
        let query = "Filter.1.Name=vpc-id&Filter.1.Value.1=a&Filter.1.Value.2=b\
                     &Filter.2.Name=tag:team&Filter.2.Value.1=x";
        assert!(accepts(query, &[("team", "x")], "b").unwrap());
        assert!(!accepts(query, &[("team", "y")], "b").unwrap());
        assert!(!accepts(query, &[("team", "x")], "c").unwrap());
    }

    #[test]
    fn wildcards_match_unless_escaped() {
        for (pattern, text, matches) in [
            ("de*o", "demo", true),
            ("d?mo", "demo", true),
            ("demo", "Demo", false),
            ("*", "", true),
            ("d\\*o", "d*o", true),
            ("d\\*o", "demo", false),
        ] {
            assert_eq!(
                is_like(pattern.as_bytes(), text.as_bytes()),
                matches,
                "{pattern}"
            );
        }
    }

    #[test]
    fn refuses_unknown_filters() {
        let error = accepts("Filter.1.Name=colour&Filter.1.Value.1=red", &[], "").unwrap_err();
        assert_eq!(error.code, "InvalidParameterValue");
        assert!(error.message.contains("colour"));
    }
}
