//! The example inputs, the schema of the input, and the types hold together.

use functions::model::Spec;
use serde_json::{Value, json};
use tests::project;

fn schema() -> Value {
    project::read_json("statemachine/input.schema.json")
}

#[test]
fn there_is_an_example_of_each_kind() {
    let names: Vec<String> = project::examples()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        names,
        [
            "all-fields.json",
            "cheap.json",
            "minimal.json",
            "three-azs.json"
        ]
    );
}

#[test]
fn every_example_survives_a_round_trip() {
    for (name, input) in project::examples() {
        let spec = Spec::parse(&input).unwrap();
        assert_eq!(serde_json::to_value(&spec).unwrap(), input, "{name}");
    }
}

#[test]
fn every_example_fits_the_schema() {
    let schema = jsonschema::validator_for(&schema()).unwrap();
    for (name, input) in project::examples() {
        let errors: Vec<String> = schema.iter_errors(&input).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}");
    }
}

#[test]
fn the_schema_refuses_what_the_types_refuse() {
    let schema = jsonschema::validator_for(&schema()).unwrap();
    for wrong in [
        json!({}),
        json!({"clusterName": "demo", "clusterNam": "demo"}),
        json!({"clusterName": "-demo"}),
        json!({"clusterName": "demo", "network": {"availabilityZones": 4}}),
        json!({"clusterName": "demo", "network": {"natGateways": "two"}}),
        json!({"clusterName": "demo", "account": {"id": "12"}}),
    ] {
        assert!(!schema.is_valid(&wrong), "{wrong}");
    }
}

#[test]
fn the_example_with_all_fields_has_every_field_of_the_schema() {
    let all = project::read_json("statemachine/examples/all-fields.json");
    for field in schema()["properties"].as_object().unwrap().keys() {
        assert!(all.get(field).is_some(), "{field} is missing");
    }
}
