//! IAM.

use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::params::Params;
use crate::state::Context;
use crate::xml::Element;

/// The IAM of one account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Iam {}

/// Answers `operation` with the children of its result element.
///
/// # Errors
/// IAM's own codes.
pub fn handle(
    _context: &mut Context<'_>,
    operation: &str,
    _params: &Params,
) -> Result<Vec<Element>, Fault> {
    Err(Fault::client(
        "InvalidAction",
        format!("Could not find operation {operation} for version 2010-05-08"),
    ))
}
