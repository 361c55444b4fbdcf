//! Inputs that cannot work, each with the field and the error that it must give: `plan` refuses them
//! before anything is created.
//!
//! A file of `tests/bad_inputs` is `{"input": …, "field": "network.cidr", "error": "InvalidRequest",
//! "expected": "a part of what would be right"}`; its name says what is wrong.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;
use tests::{World, many, project};

const FOLDER: &str = "tests/bad_inputs";
/// How many there are at the least.
const NUMBER: usize = 150;

/// File names and contents.
fn corpus() -> Vec<(String, Value)> {
    let files = fs::read_dir(project::root().join(FOLDER)).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut corpus: Vec<_> = names
        .map(|name| {
            let content = project::read_json(&format!("{FOLDER}/{name}"));
            (name, content)
        })
        .collect();
    corpus.sort_by(|one, other| one.0.cmp(&other.0));
    corpus
}

/// What the function said, in the cause of an execution that its step failed.
fn message_of(cause: &str) -> String {
    let cause = cause.strip_prefix("Plan: ").unwrap_or_default();
    let cause: Value = serde_json::from_str(cause).unwrap_or_default();
    cause["errorMessage"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn every_bad_input_is_refused_with_its_field_before_anything_is_created() {
    let corpus = corpus();
    assert!(corpus.len() >= NUMBER, "{} bad inputs", corpus.len());
    let problems = many::each(&corpus, async |_, (name, bad)| {
        let world = World::new(81);
        let execution = world.provision(bad["input"].clone()).await;
        let Err(failure) = &execution.result else {
            return Some(format!("{name} is accepted"));
        };
        let text = |key: &str| bad[key].as_str().unwrap_or_else(|| panic!("{name}: {key}"));
        let message = message_of(&failure.cause);
        let start = format!("{}: ", text("field"));
        let (_, hint) = message.split_once("expected ").unwrap_or_default();
        let is_named = failure.error == text("error")
            && message.starts_with(&start)
            && hint.contains(text("expected"));
        if !is_named {
            return Some(format!("{name}: {}: {}", failure.error, failure.cause));
        }
        let changes = world.changes();
        (!changes.is_empty()).then(|| format!("{name}: {changes:#?}"))
    });
    let problems: Vec<String> = problems.into_iter().flatten().collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_bad_input_is_another_one() {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for (name, bad) in corpus() {
        let other = seen.insert(bad["input"].to_string(), name.clone());
        assert_eq!(other, None, "{name}");
    }
}

#[test]
fn every_field_of_the_input_has_its_bad_values() {
    let schema = project::read_json("statemachine/input.schema.json");
    let corpus = corpus();
    for field in schema["properties"].as_object().unwrap().keys() {
        let is_of = |(_, bad): &&(String, Value)| {
            let name = bad["field"].as_str().unwrap();
            name.split(['.', '[']).next() == Some(field)
        };
        assert!(corpus.iter().any(|bad| is_of(&bad)), "{field}");
    }
}
