//! Where the project's files are, for tests that read them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The project's root folder.
///
/// # Panics
/// Never: this crate lies in it.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap().to_owned()
}

/// A text file of the project.
///
/// # Panics
/// If there is no such file.
#[must_use]
pub fn read(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A JSON file of the project.
///
/// # Panics
/// If it is not there or not JSON.
#[must_use]
pub fn read_json(path: &str) -> Value {
    serde_json::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The example inputs: their file names and contents.
///
/// # Panics
/// If one of them is not JSON.
#[must_use]
pub fn examples() -> Vec<(String, Value)> {
    let folder = "statemachine/examples";
    let mut examples: Vec<_> = fs::read_dir(root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| Path::new(name).extension().is_some_and(|end| end == "json"))
        .map(|name| {
            let example = read_json(&format!("{folder}/{name}"));
            (name, example)
        })
        .collect();
    examples.sort_by(|one, other| one.0.cmp(&other.0));
    examples
}

/// The functions: the binaries of their package.
///
/// # Panics
/// If they cannot be listed.
#[must_use]
pub fn functions() -> BTreeSet<String> {
    let names = hardway::local::functions(&root());
    names.unwrap().into_iter().collect()
}

/// The policy of a function's sessions in other accounts: its path below the project's root.
#[must_use]
pub fn policy_file(function: &str) -> String {
    hardway::local::policy_file(&root(), function)
}
