//! Lists in pages: `MaxItems` and `Marker`.

use super::request::{invalid, number};
use crate::api_error::ApiError;
use crate::params::Params;
use crate::xml::Element;

/// botocore's IAM model: 100 items if `MaxItems` does not say otherwise, at most 1000.
const ITEMS: u32 = 100;
const ITEMS_MAX: u32 = 1000;

/// The page of `items` that the request asks for, and the elements that say whether there is more.
pub(super) fn page<T>(
    params: &Params,
    items: impl IntoIterator<Item = T>,
) -> Result<(Vec<T>, Vec<Element>), ApiError> {
    let limit = number(params, "MaxItems", 1, ITEMS_MAX)?.unwrap_or(ITEMS) as usize;
    let start: usize = match params.get("Marker") {
        None => 0,
        Some(marker) => (marker.parse())
            .map_err(|_| invalid("marker", marker, "Member must be a marker of an answer"))?,
    };
    let mut rest: Vec<T> = items.into_iter().skip(start).collect();
    let is_truncated = rest.len() > limit;
    rest.truncate(limit);
    let mut end = vec![Element::text("IsTruncated", is_truncated)];
    if is_truncated {
        end.push(Element::text("Marker", start + limit));
    }
    Ok((rest, end))
}
