//! Lists in pages: `maxResults` and `nextToken`, of the query or, in `ListInsights`, of the body.

use serde_json::{Map, Value, json};

use super::errors::invalid_parameter;
use super::request::Request;
use crate::api_error::ApiError;

/// botocore's EKS model: at most 100 for each page, and 100 if the request does not say.
const RESULTS_MAX: usize = 100;

/// The page of `items` that the request asks for, as the member `name` of the output.
pub(super) fn page(
    request: &Request<'_>,
    name: &str,
    items: impl IntoIterator<Item = Value>,
) -> Result<Value, ApiError> {
    let of_body = request.body["maxResults"].as_u64();
    let of_body = of_body.and_then(|number| usize::try_from(number).ok());
    let limit = match request.query("maxResults") {
        None => of_body.or(Some(RESULTS_MAX)),
        Some(text) => text.parse().ok(),
    };
    let limit = limit
        .filter(|limit| (1..=RESULTS_MAX).contains(limit))
        .ok_or_else(|| invalid_parameter("maxResults must be between 1 and 100."))?;
    let of_body = request.body["nextToken"].as_str();
    let start: usize = match request.query("nextToken").or(of_body) {
        None => 0,
        Some(token) => (token.parse()).map_err(|_| invalid_parameter("Invalid nextToken."))?,
    };
    let mut rest: Vec<Value> = items.into_iter().skip(start).collect();
    let has_more = rest.len() > limit;
    rest.truncate(limit);
    let mut output = Map::new();
    output.insert(name.to_owned(), rest.into());
    if has_more {
        output.insert("nextToken".to_owned(), json!((start + limit).to_string()));
    }
    Ok(Value::Object(output))
}
