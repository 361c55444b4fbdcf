//! What the pages say of the code is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use tests::project;

/// The page that says how each known difference between AWS and our beliefs is handled.
const PAGE: &str = "docs/dev/real-aws.md";

/// The cells of each row of the page's tables.
fn rows() -> Vec<Vec<String>> {
    let page = project::read(PAGE);
    let rows = page.lines().filter(|line| line.starts_with('|'));
    let cells = |row: &str| {
        let row = row.trim().trim_start_matches('|').trim_end_matches('|');
        // A bar inside a cell is written \|.
        let row = row.replace("\\|", "\u{1}");
        row.split('|')
            .map(|cell| cell.replace('\u{1}', "|").trim().to_owned())
            .collect()
    };
    rows.map(cells)
        .filter(|row: &Vec<String>| !row[0].starts_with("---") && row[0] != "id")
        .collect()
}

/// The texts between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Names of the functions in the Rust and Python files below a folder.
fn function_names(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("target") {
                function_names(&path, found);
            }
            continue;
        }
        if !path
            .extension()
            .is_some_and(|end| end == "rs" || end == "py")
        {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for start in ["fn ", "def "] {
            found.extend(text.split(start).skip(1).map(|rest| {
                let is_name = |it: &char| it.is_alphanumeric() || *it == '_';
                rest.chars().take_while(is_name).collect()
            }));
        }
    }
}

#[test]
fn every_finding_and_case_has_a_row() {
    let ids: BTreeSet<String> = rows().into_iter().map(|row| row[0].clone()).collect();
    let numbered = |letter: char, numbers: &[u32]| -> Vec<String> {
        numbers.iter().map(|n| format!("{letter}{n}")).collect()
    };
    let all = |last: u32| (1..=last).collect::<Vec<u32>>();
    let cases: Vec<u32> = all(42)
        .into_iter()
        .filter(|n| ![6, 9, 22, 26, 29].contains(n))
        .collect();
    let wanted = [
        numbered('A', &all(15)),
        numbered('S', &all(16)),
        numbered('M', &all(7)),
        numbered('P', &all(8)),
        numbered('B', &cases),
        numbered('R', &all(30)),
        numbered('K', &all(30)),
    ];
    let missing: Vec<String> = wanted
        .concat()
        .into_iter()
        .filter(|id| !ids.contains(id))
        .collect();
    assert!(missing.is_empty(), "{PAGE} lacks {missing:?}");
}

#[test]
fn every_row_says_what_is_done_and_names_tests_that_exist() {
    let root = project::root();
    let mut names = BTreeSet::new();
    for folder in ["functions", "infra", "tests"] {
        function_names(&root.join(folder), &mut names);
    }
    for row in rows() {
        assert_eq!(row.len(), 4, "{row:?}");
        assert!(!row[2].is_empty(), "{row:?}: handled how?");
        for name in quoted(&row[3]) {
            let exists = names.contains(name) || root.join(name).exists();
            assert!(exists, "{}: there is no test {name}", row[0]);
        }
        let is_open = row[2].starts_with("not");
        assert!(
            is_open || quoted(&row[3]).next().is_some() || row[3].starts_with("read"),
            "{}: which test shows it?",
            row[0]
        );
    }
}

/// The definition that a part of a JSON Schema refers to, perhaps as one of two choices; else the part itself.
fn resolved<'a>(schema: &'a Value, part: &'a Value) -> &'a Value {
    let choices = part["anyOf"].as_array().into_iter().flatten();
    let mut names = choices
        .chain([part])
        .filter_map(|it| it["$ref"].as_str()?.strip_prefix("#/$defs/"));
    names.next().map_or(part, |name| &schema["$defs"][name])
}

/// The fields of a part of a JSON Schema that have no fields of their own, with the path to them.
fn fields(schema: &Value, part: &Value, path: &str, found: &mut BTreeSet<String>) {
    let part = resolved(schema, part);
    if let Some(members) = part["properties"].as_object() {
        let start = if path.is_empty() {
            String::new()
        } else {
            format!("{path}.")
        };
        for (name, member) in members {
            fields(schema, member, &format!("{start}{name}"), found);
        }
    } else if resolved(schema, &part["items"])["properties"].is_object() {
        fields(schema, &part["items"], &format!("{path}[]"), found);
    } else {
        found.insert(path.to_owned());
    }
}

#[test]
fn the_page_of_the_input_has_a_row_for_each_field() {
    let schema = project::read_json("statemachine/input.schema.json");
    let mut wanted = BTreeSet::new();
    fields(&schema, &schema, "", &mut wanted);
    let page = project::read("docs/input.md");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|row| quoted(row).next());
    let found: BTreeSet<String> = cells.map(str::to_owned).collect();
    assert_eq!(found, wanted);
}
