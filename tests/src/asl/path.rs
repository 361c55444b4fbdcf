//! Paths (`$.a.b[0]`, `$.a[*].b`, `$$.Execution.Id`), payload templates, `States.Format`,
//! `States.ArrayContains` and `States.Hash`; variables (`$name`).

use std::fmt::Write as _;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::Failure;

/// What a path can lead to: the state's data, and the context object.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) data: &'a Value,
    pub(super) context: &'a Value,
    /// The variables that have been assigned, where they may be read.
    pub(super) variables: Option<&'a Variables>,
}

/// What `Assign` has kept, by its name.
pub(super) type Variables = Map<String, Value>;

impl Source<'_> {
    /// The value at a path; of a path with `[*]` in it, the values of all items.
    pub(super) fn get(&self, path: &str) -> Result<Value, Failure> {
        if let Some((list, rest)) = path.split_once("[*]") {
            let list = self.get(list)?;
            let items = list.as_array().into_iter().flatten();
            let of_item = |data| Source { data, ..*self }.get(&format!("${rest}"));
            return items.map(of_item).collect();
        }
        let (root, rest) = match path.strip_prefix("$$") {
            Some(rest) => (self.context, rest),
            None => (self.data, path.strip_prefix('$').unwrap_or(path)),
        };
        if rest.starts_with(|first: char| first.is_alphabetic()) {
            let variable = self.variables.and_then(|all| all.get(rest)).cloned();
            return variable.ok_or_else(|| Failure::runtime(format!("no variable {path}")));
        }
        let mut value = root;
        for part in parts(rest) {
            let inner = match part.parse::<usize>() {
                Ok(index) => value.get(index),
                Err(_) => value.get(part),
            };
            value = inner.ok_or_else(|| {
                Failure::new(
                    "States.ParameterPathFailure",
                    format!("{path} leads nowhere in {root}"),
                )
            })?;
        }
        Ok(value.clone())
    }

    /// A path, or a call of an intrinsic function.
    pub(super) fn evaluate(&self, expression: &str) -> Result<Value, Failure> {
        if let Some(call) = expression.strip_prefix("States.ArrayContains(") {
            return self.array_contains(call);
        }
        if let Some(call) = expression.strip_prefix("States.Hash(") {
            return self.hash(call);
        }
        let Some(call) = expression.strip_prefix("States.Format('") else {
            return self.get(expression);
        };
        let bad = || Failure::new("States.IntrinsicFailure", expression);
        let (template, arguments) = call.split_once('\'').ok_or_else(bad)?;
        let arguments = arguments.strip_suffix(')').ok_or_else(bad)?;
        let mut text = template.to_owned();
        for path in arguments
            .split(',')
            .map(str::trim)
            .filter(|path| !path.is_empty())
        {
            let value = match self.get(path)? {
                Value::String(text) => text,
                other => other.to_string(),
            };
            let place = text.find("{}").ok_or_else(bad)?;
            text.replace_range(place..place + 2, &value);
        }
        Ok(Value::String(text))
    }

    /// `$.list, 'text')` of a call of `States.ArrayContains`.
    fn array_contains(&self, call: &str) -> Result<Value, Failure> {
        let bad = || Failure::new("States.IntrinsicFailure", call);
        let (list, text) = call.split_once(',').ok_or_else(bad)?;
        let text = text.trim().strip_prefix('\'').ok_or_else(bad)?;
        let text = text.strip_suffix("')").ok_or_else(bad)?;
        let list = self.get(list)?;
        let list = list.as_array().ok_or_else(bad)?;
        Ok(list.iter().any(|item| item == text).into())
    }

    /// `$.text, 'SHA-256')` of a call of `States.Hash`: 64 hexadecimal characters.
    fn hash(&self, call: &str) -> Result<Value, Failure> {
        let bad = || Failure::new("States.IntrinsicFailure", call);
        let path = call.strip_suffix(", 'SHA-256')").ok_or_else(bad)?;
        let text = self.get(path)?;
        let digest = Sha256::digest(text.as_str().ok_or_else(bad)?);
        let mut digits = String::new();
        for byte in digest {
            // Writing into a text cannot fail.
            let _ = write!(digits, "{byte:02x}");
        }
        Ok(Value::String(digits))
    }

    /// A payload template: members whose names end in `.$` are paths.
    pub(super) fn fill(&self, template: &Value) -> Result<Value, Failure> {
        match template {
            Value::Object(members) => members
                .iter()
                .map(|(name, value)| match name.strip_suffix(".$") {
                    Some(name) => {
                        let value = self.evaluate(value.as_str().unwrap_or(""))?;
                        Ok((name.to_owned(), value))
                    }
                    None => Ok((name.clone(), self.fill(value)?)),
                })
                .collect::<Result<Map<_, _>, _>>()
                .map(Value::Object),
            Value::Array(items) => items
                .iter()
                .map(|item| self.fill(item))
                .collect::<Result<Vec<_>, _>>()
                .map(Value::Array),
            other => Ok(other.clone()),
        }
    }
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split(['.', '[', ']']).filter(|part| !part.is_empty())
}

/// Puts `value` at `path` (`$.a.b`), making the objects on the way.
pub(super) fn put(mut data: Value, path: &str, value: Value) -> Result<Value, Failure> {
    let mut place = &mut data;
    for part in parts(path.strip_prefix('$').unwrap_or(path)) {
        if place.is_null() {
            *place = Value::Object(Map::new());
        }
        let object = place.as_object_mut().ok_or_else(|| {
            Failure::new(
                "States.ResultPathMatchFailure",
                format!("{path} cannot be set"),
            )
        })?;
        place = object.entry(part).or_insert(Value::Null);
    }
    *place = value;
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_lead_into_data_and_context() {
        let (data, context) = (json!({"a": [{"b": 1}]}), json!({"Execution": {"Id": "x"}}));
        let data = Source {
            data: &data,
            context: &context,
            variables: None,
        };
        assert_eq!(data.get("$.a[0].b").unwrap(), 1);
        assert_eq!(data.get("$$.Execution.Id").unwrap(), "x");
        assert_eq!(
            data.get("$.c").unwrap_err().error,
            "States.ParameterPathFailure"
        );
        let text = data.evaluate("States.Format('{} of {}', $.a[0].b, $$.Execution.Id)");
        assert_eq!(text.unwrap(), "1 of x");
    }

    #[test]
    fn a_list_contains_what_one_of_its_items_has() {
        let data = json!({"all": [{"is": "a"}, {"is": "b"}], "none": []});
        let data = Source {
            data: &data,
            context: &Value::Null,
            variables: None,
        };
        assert_eq!(data.get("$.all[*].is").unwrap(), json!(["a", "b"]));
        let contains = |call: &str| data.evaluate(&format!("States.ArrayContains({call})"));
        assert_eq!(contains("$.all[*].is, 'b'").unwrap(), true);
        assert_eq!(contains("$.all[*].is, 'c'").unwrap(), false);
        assert_eq!(contains("$.none[*].is, 'b'").unwrap(), false);
        assert_eq!(
            contains("$.all[*].it, 'b'").unwrap_err().error,
            "States.ParameterPathFailure"
        );
    }

    #[test]
    fn templates_are_filled_at_every_depth() {
        let data = json!({"a": 1});
        let filled = Source {
            data: &data,
            context: &Value::Null,
            variables: None,
        }
        .fill(&json!({"x": {"y.$": "$.a"}, "z": "$.a"}));
        assert_eq!(filled.unwrap(), json!({"x": {"y": 1}, "z": "$.a"}));
    }

    #[test]
    fn a_result_is_put_beside_the_data() {
        let data = put(json!({"a": 1}), "$.b.c", json!(2)).unwrap();
        assert_eq!(data, json!({"a": 1, "b": {"c": 2}}));
    }
}
