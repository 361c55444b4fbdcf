//! The input of an execution, in a file.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

/// Reads it. What is in it, the function `plan` judges.
///
/// # Errors
/// If the file is not there, or is not JSON.
pub fn read(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the input {} cannot be read", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("the input {} is not JSON", path.display()))
}
