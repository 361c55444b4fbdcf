//! EC2 networking.

use serde::{Deserialize, Serialize};

use crate::Lifetime;
use crate::fault::Fault;
use crate::params::Params;
use crate::state::Context;
use crate::xml::Element;

/// The networking of one account in one region.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ec2 {}

/// Answers `operation` with the children of its response element.
///
/// # Errors
/// EC2's own codes.
pub fn handle(
    _context: &mut Context<'_>,
    operation: &str,
    _params: &Params,
) -> Result<Vec<Element>, Fault> {
    Err(Fault::client(
        "InvalidAction",
        format!("The action {operation} is not valid for this web service."),
    ))
}

/// How long each resource took.
#[must_use]
pub fn lifetimes(_ec2: &Ec2) -> Vec<Lifetime> {
    Vec::new()
}
