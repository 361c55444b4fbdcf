//! EKS.

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Lifetime;
use crate::fault::Fault;
use crate::state::Context;
use crate::wire::rest_json::{Query, RestAnswer};

/// The clusters of one account in one region.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Eks {}

/// Answers a call by its method and path.
pub fn handle(
    _context: &mut Context<'_>,
    _method: &Method,
    _path: &[&str],
    _query: &Query,
    _body: &Value,
) -> RestAnswer {
    RestAnswer {
        operation: "Unknown",
        result: Err(Fault::new(
            404,
            "UnknownOperationException",
            "no such operation",
        )),
    }
}

/// How long each resource took.
#[must_use]
pub fn lifetimes(_eks: &Eks) -> Vec<Lifetime> {
    Vec::new()
}
