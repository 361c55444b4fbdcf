//! STS.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::params::Params;
use crate::state::Context;
use crate::xml::Element;

/// Sessions of assumed roles, by access key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sessions(BTreeMap<String, String>);

impl Sessions {
    /// The account of a session's access key.
    #[must_use]
    pub fn account_of(&self, access_key: &str) -> Option<String> {
        self.0.get(access_key).cloned()
    }
}

/// Answers `operation` with the children of its result element.
///
/// # Errors
/// STS' own codes.
pub fn handle(
    _context: &mut Context<'_>,
    operation: &str,
    _params: &Params,
) -> Result<Vec<Element>, Fault> {
    Err(Fault::client(
        "InvalidAction",
        format!("Could not find operation {operation} for version 2011-06-15"),
    ))
}
