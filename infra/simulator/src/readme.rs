//! The table of operations in the README is that of the code.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// What stands before the table and after it.
const MARKERS: [&str; 2] = [
    "<!-- operations: UPDATE_OPERATIONS=1 cargo test --lib operations_of_the_readme -->\n",
    "<!-- end of operations -->",
];

/// A row for each service, with its operations in the order of the alphabet.
fn table() -> String {
    let mut services: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (service, operation) in crate::operations() {
        services.entry(service).or_default().insert(operation);
    }
    let mut table = "| service | | operations |\n| --- | ---: | --- |\n".to_owned();
    for (service, operations) in services {
        let names: Vec<String> = operations.iter().map(|name| format!("`{name}`")).collect();
        let (count, names) = (names.len(), names.join(", "));
        writeln!(table, "| `{service}` | {count} | {names} |").unwrap();
    }
    table
}

/// `UPDATE_OPERATIONS=1` writes the table.
#[test]
fn the_operations_of_the_readme_are_those_of_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once(MARKERS[0]).unwrap();
    let (committed, after) = rest.split_once(MARKERS[1]).unwrap();
    let wanted = format!("\n{}\n", table());
    if std::env::var("UPDATE_OPERATIONS").is_ok_and(|value| value == "1") {
        let page = [before, MARKERS[0], &wanted, MARKERS[1], after].concat();
        std::fs::write(path, page).unwrap();
        return;
    }
    assert!(
        committed == wanted,
        "run `UPDATE_OPERATIONS=1 cargo test --lib operations_of_the_readme` and commit {path}"
    );
}
