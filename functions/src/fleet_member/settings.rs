//! The settings of a fleet execution: its input, with every default filled in, without its list.

use serde::Serialize;
use serde_json::Value;

use crate::contract::Error;
use crate::model::FleetSpec;

/// So few that a mistake in all inputs is noticed before it is everywhere.
const DEFAULT_MAX_CONCURRENCY: u32 = 20;
/// What fails for one account may fail for all.
const DEFAULT_TOLERATED_FAILURE_PERCENTAGE: u32 = 10;
/// The functions' share of Lambda's default quota of 1,000 concurrent invocations in a region ends here,
/// and Step Functions' quota for describing executions a little earlier (docs/fleet.md).
const MAX_CONCURRENCY: std::ops::RangeInclusive<u32> = 1..=1000;
/// S3's limit for keys, in bytes.
const KEY_MAX: usize = 1024;

/// What the Map state needs to know. The list itself is in the execution's input, or in S3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// How many clusters at a time.
    pub max_concurrency: u32,
    /// How many of a hundred may fail before the rest is not started.
    pub tolerated_failure_percentage: u32,
    /// Where the list is in the stack's bucket; none if it is in the input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl Settings {
    /// Checks the input of a fleet execution. Its inputs are not looked at: one that is wrong fails
    /// alone.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] about the first field that is wrong.
    pub(crate) fn of(spec: &Value) -> Result<Self, Error> {
        let spec = FleetSpec::parse(spec)?;
        match (&spec.inputs, &spec.key) {
            (Some(inputs), None) if inputs.is_empty() => {
                return Err(Error::invalid("inputs", inputs, "one input or more"));
            }
            (Some(_), Some(key)) => {
                return Err(Error::invalid("key", key, "no key beside inputs"));
            }
            (None, None) => {
                let expected = "a list of inputs, or the key of one in the stack's bucket";
                return Err(Error::invalid("inputs", Value::Null, expected));
            }
            (None, Some(key)) if key.is_empty() || key.len() > KEY_MAX => {
                return Err(Error::invalid("key", key, "a key of S3, 1 to 1024 bytes"));
            }
            _ => {}
        }
        let max_concurrency = spec.max_concurrency.unwrap_or(DEFAULT_MAX_CONCURRENCY);
        if !MAX_CONCURRENCY.contains(&max_concurrency) {
            let expected = "a number from 1 to 1000";
            return Err(Error::invalid("maxConcurrency", max_concurrency, expected));
        }
        let default = DEFAULT_TOLERATED_FAILURE_PERCENTAGE;
        let percentage = spec.tolerated_failure_percentage.unwrap_or(default);
        if percentage > 100 {
            let field = "toleratedFailurePercentage";
            return Err(Error::invalid(field, percentage, "a number from 0 to 100"));
        }
        Ok(Self {
            max_concurrency,
            tolerated_failure_percentage: percentage,
            key: spec.key,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_list_is_enough() {
        let settings = Settings::of(&json!({"inputs": [{"clusterName": "demo"}]})).unwrap();
        assert_eq!(
            serde_json::to_value(settings).unwrap(),
            json!({"maxConcurrency": 20, "toleratedFailurePercentage": 10})
        );
    }

    #[test]
    fn a_list_in_s3_keeps_its_key() {
        let input =
            json!({"key": "lists/a.json", "maxConcurrency": 500, "toleratedFailurePercentage": 0});
        assert_eq!(
            Settings::of(&input).unwrap(),
            Settings {
                max_concurrency: 500,
                tolerated_failure_percentage: 0,
                key: Some("lists/a.json".to_owned()),
            }
        );
    }

    #[test]
    fn an_input_that_is_wrong_is_left_to_its_own_failure() {
        assert!(Settings::of(&json!({"inputs": [{"clusterNam": "demo"}, 7]})).is_ok());
    }

    #[test]
    fn wrong_settings_are_refused_by_name() {
        let inputs = json!([{"clusterName": "demo"}]);
        for (field, input) in [
            ("inputs", json!({})),
            ("inputs", json!({"inputs": []})),
            ("inputs", json!({"inputs": "all"})),
            ("key", json!({"inputs": inputs, "key": "lists/a.json"})),
            ("key", json!({"key": ""})),
            (
                "maxConcurrency",
                json!({"inputs": inputs, "maxConcurrency": 0}),
            ),
            (
                "maxConcurrency",
                json!({"inputs": inputs, "maxConcurrency": 1001}),
            ),
            (
                "toleratedFailurePercentage",
                json!({"inputs": inputs, "toleratedFailurePercentage": 101}),
            ),
            (
                "maxConcurency",
                json!({"inputs": inputs, "maxConcurency": 1}),
            ),
        ] {
            match Settings::of(&input) {
                Err(Error::InvalidRequest { field: named, .. }) => assert_eq!(named, field),
                other => panic!("{input}: {other:?}"),
            }
        }
    }
}
