//! The worked examples of docs/prices.md are what a dry run says.

use serde_json::Value;
use tests::{World, many, project};

/// The rows of the documentation's tables whose first cell is an example: file, region, further members
/// of the input, dollars.
fn examples() -> Vec<[String; 4]> {
    let text = project::read("docs/prices.md");
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells = row.trim_matches('|').split('|');
        let cells = cells.map(|cell| cell.trim().trim_matches('`').to_owned());
        <[String; 4]>::try_from(cells.collect::<Vec<_>>()).unwrap()
    })
    .collect()
}

async fn price(world: &World, mut input: Value) -> Value {
    input["dryRun"] = true.into();
    let dry_run = world.provision(input).await;
    dry_run.output()["preview"]["monthlyPrice"].clone()
}

#[test]
fn every_worked_example_costs_what_the_documentation_says() {
    let examples = examples();
    assert!(examples.len() >= 5);
    let problems = many::each(&examples, async |_, [file, region, more, dollars]| {
        let mut input = project::read_json(&format!("statemachine/examples/{file}"));
        input["region"] = region.clone().into();
        if !more.is_empty() {
            let more: Value = serde_json::from_str(more).unwrap();
            let members = more.as_object().unwrap().clone();
            input.as_object_mut().unwrap().extend(members);
        }
        let world = World::new(111);
        world.prepare_for(&input);
        let price = price(&world, input).await;
        let total = price["total"].as_f64().unwrap();
        let said = format!("{total:.2}");
        (said != *dollars).then(|| format!("{file} in {region}: {price:#} instead of {dollars}"))
    });
    let problems: Vec<String> = problems.into_iter().flatten().collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn where_prices_are_not_known_a_note_says_so() {
    let world = World::new(112);
    let input = serde_json::json!({"clusterName": "demo", "region": "eu-north-1", "dryRun": true});
    let dry_run = world.provision(input).await;
    let preview = &dry_run.output()["preview"];
    assert!(preview["monthlyPrice"].is_null(), "{preview:#}");
    let notes = preview["notes"].to_string();
    assert!(notes.contains("no prices of eu-north-1"), "{notes}");
}
