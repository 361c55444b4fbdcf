//! Unit tests of the function.

use aws_sdk_ssm::Client;
use serde_json::json;

use super::*;
use crate::aws::codes;
use crate::model::Plan;
use crate::testing::World;

const PATH: &str = "/hardway/hardway/clusters";
const NAME: &str = "/hardway/hardway/clusters/111122223333/ap-northeast-1/demo";

fn target() -> Target {
    Plan::example().target
}

/// The entry of a cluster of which something was told.
fn told_entry() -> Entry {
    Entry {
        target: target(),
        findings: vec![told()],
    }
}

fn told() -> Told {
    Told {
        id: "no-nat-route".to_owned(),
        severity: "error".to_owned(),
        resource: "rtb-1".to_owned(),
        since: "2026-11-24T10:00:00.000Z".to_owned(),
    }
}

fn store(world: &World) -> Store {
    Store::new(Client::new(world.base().config()), PATH.to_owned())
}

/// An account without entries.
fn world() -> World {
    World::new(Plan::example())
}

/// One with the cluster's entry.
async fn world_with(value: &str) -> World {
    let world = world();
    world.put_parameter(NAME, value).await;
    world
}

async fn world_with_entry(entry: &Entry) -> World {
    world_with(&entry.value().unwrap()).await
}

/// What the cluster's entry is now.
fn entry(world: &World) -> Option<Entry> {
    let value = world.parameter(NAME)?;
    Some(Entry::parse(NAME, &value).unwrap())
}

/// The types of the parameters that were written. One that is made has to have one; without one nothing is
/// made.
fn types(world: &World) -> Vec<String> {
    world.parameters("PutParameter", "Type")
}

/// Lets the next update find that the parameter is gone.
fn delete_meanwhile(world: &World) {
    let message = "A parameter type is required when you create a parameter.";
    world.fail_next("PutParameter", codes::VALIDATION, message);
}

#[tokio::test(start_paused = true)]
async fn a_new_cluster_gets_an_entry() {
    let world = world();
    let answer = ensure(&store(&world), target()).await;
    assert_eq!(answer.unwrap(), json!({"status": "READY", "name": NAME}));
    assert_eq!(entry(&world), Some(Entry::of(target())));
    assert_eq!(types(&world), ["String"]);
    assert_eq!(world.changes(), ["PutParameter"]);
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_is_there_keeps_what_was_told() {
    let world = world_with_entry(&told_entry()).await;
    ensure(&store(&world), target()).await.unwrap();
    assert_eq!(entry(&world), Some(told_entry()));
    assert_eq!(world.calls(), ["GetParameter"]);
}

#[tokio::test(start_paused = true)]
async fn an_entry_learns_how_the_account_is_reached_now() {
    let world = world_with_entry(&told_entry()).await;
    let mut expected = told_entry();
    expected.target.account.role_name = Some("Builder".to_owned());
    let answer = ensure(&store(&world), expected.target.clone()).await;
    assert!(answer.is_ok(), "{answer:?}");
    assert_eq!(entry(&world), Some(expected.clone()));
    assert_eq!(types(&world), [""]);

    expected.target.account.role_name = None;
    delete_meanwhile(&world);
    let error = ensure(&store(&world), expected.target).await.unwrap_err();
    assert_eq!(error.name(), "NotYetVisible");
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_somebody_else_makes_at_the_same_time_is_looked_at_again() {
    let world = world_with_entry(&told_entry()).await;
    world.fail_next("GetParameter", codes::PARAMETER_NOT_FOUND, "");
    let error = ensure(&store(&world), target()).await;
    assert_eq!(error.unwrap_err().name(), "NotYetVisible");
    assert_eq!(entry(&world), Some(told_entry()));
    assert_eq!(world.changes(), ["PutParameter: ParameterAlreadyExists"]);
}

#[tokio::test(start_paused = true)]
async fn errors_are_sorted_as_everywhere() {
    for (code, name) in [
        ("ThrottlingException", "Throttled"),
        ("InternalServerError", "AwsUnavailable"),
        ("TooManyUpdates", "NotYetVisible"),
        ("ParameterLimitExceeded", "QuotaExceeded"),
        ("AccessDeniedException", "AccessDenied"),
    ] {
        let world = world();
        world.fail_next("PutParameter", code, "");
        let error = ensure(&store(&world), target()).await;
        assert_eq!(error.unwrap_err().name(), name, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_removal_deletes_the_entry_even_if_it_cannot_be_read() {
    for value in [Entry::of(target()).value().unwrap(), "hello".to_owned()] {
        let world = world_with(&value).await;
        let answer = remove(&store(&world), &target()).await.unwrap();
        assert_eq!(answer["removed"][0]["type"], "AWS::SSM::Parameter");
        assert_eq!(answer["removed"][0]["id"], NAME);
        assert_eq!(world.changes(), ["DeleteParameter"]);
        assert_eq!(entry(&world), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_removal_of_a_missing_entry_succeeds() {
    let world = world();
    let answer = remove(&store(&world), &target()).await;
    assert_eq!(answer.unwrap(), json!({"status": "READY", "removed": []}));
    assert_eq!(world.changes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn reported_findings_are_recorded() {
    let world = world_with_entry(&Entry::of(target())).await;
    let recorded = record(&store(&world), &target(), vec![told()]).await;
    assert_eq!(recorded, Ok(true));
    assert_eq!(entry(&world), Some(told_entry()));
    assert_eq!(types(&world), [""]);
}

#[tokio::test(start_paused = true)]
async fn the_entry_of_a_cluster_that_was_removed_does_not_come_back() {
    let removed = world();
    assert_eq!(record(&store(&removed), &target(), vec![]).await, Ok(false));
    assert_eq!(removed.changes(), [""; 0]);
    let meanwhile = world_with_entry(&told_entry()).await;
    delete_meanwhile(&meanwhile);
    assert_eq!(
        record(&store(&meanwhile), &target(), vec![]).await,
        Ok(false)
    );
}

#[tokio::test(start_paused = true)]
async fn the_list_has_every_page_in_the_order_of_the_names() {
    let world = world();
    // Systems Manager begins with those that are less deep.
    let names = (10..22).map(|number| format!("1/c{number}"));
    let names: Vec<String> = names.chain(["2".to_owned()]).collect();
    for name in &names {
        let mut entry = Entry::of(target());
        entry.target.cluster_name.clone_from(name);
        let value = entry.value().unwrap();
        world.put_parameter(&format!("{PATH}/{name}"), &value).await;
    }
    let listed = |answer: Value| -> Vec<String> {
        let clusters = answer["clusters"].as_array().unwrap().clone();
        let names = clusters
            .iter()
            .map(|it| it["clusterName"].as_str().unwrap());
        names.map(ToOwned::to_owned).collect()
    };
    let all = list(&store(&world), None).await.unwrap();
    assert!(all.get("after").is_none());
    assert_eq!(listed(all), names);
    assert_eq!(world.calls(), ["GetParametersByPath"; 2]);
    let after = format!("{PATH}/1/c10");
    let rest = list(&store(&world), Some(&after)).await.unwrap();
    assert_eq!(listed(rest), names[1..]);
}

fn entries(number: usize, external_id: usize) -> Vec<(String, Entry)> {
    let entry = |it: usize| {
        let mut target = target();
        target.cluster_name = format!("cluster-{it:04}");
        target.account.external_id = Some("e".repeat(external_id));
        (target.cluster_name.clone(), Entry::of(target))
    };
    (0..number).map(entry).collect()
}

#[test]
fn a_list_ends_where_an_execution_would_have_too_much_to_do() {
    let listed = some_of(entries(CLUSTERS_MAX, 1)).unwrap();
    assert_eq!((listed.clusters.len(), listed.after), (CLUSTERS_MAX, None));
    let listed = some_of(entries(CLUSTERS_MAX + 1, 1)).unwrap();
    assert_eq!(listed.clusters.len(), CLUSTERS_MAX);
    assert_eq!(listed.after.as_deref(), Some("cluster-0299"));
}

#[test]
fn a_list_ends_where_the_state_machine_could_not_carry_more() {
    let listed = some_of(entries(CLUSTERS_MAX, 1224)).unwrap();
    assert!((50..CLUSTERS_MAX).contains(&listed.clusters.len()));
    assert!(listed.after.is_some());
    assert!(respond(&listed).unwrap().to_string().len() < 200 * 1024);
}

#[test]
fn no_more_is_told_at_once_than_one_call_takes() {
    let entry = Entry::of(target());
    let finding = |number: usize| Finding {
        id: "no-nat-route".to_owned(),
        severity: "error".to_owned(),
        resource: format!("rtb-{number}"),
        seen: String::new(),
        expected: String::new(),
        fix: String::new(),
    };
    let verification = Verification {
        findings: (0..12).map(finding).collect(),
        error: None,
    };
    let changes = compare::compare(&entry, &verification, "2026-11-24T10:00:00.000Z");
    let news = news(&entry, &changes, "default");
    assert!(news.changed);
    assert_eq!((news.events.len(), news.findings.len()), (10, 10));
    assert!(!super::news(&entry, &[], "default").changed);
}

#[tokio::test]
async fn a_request_is_read_as_the_machines_write_it() {
    for request in [
        json!({"action": "ensure", "execution": "e", "state": "Registry", "plan": Plan::example()}),
        json!({"action": "remove", "plan": target()}),
        json!({"action": "list", "from": {}}),
        json!({"action": "list", "from": {"after": "x", "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID": "e"}}),
        json!({
            "action": "compare",
            "plan": target(),
            "verification": {"status": "READY", "errors": 0, "findings": []},
            "at": "2026-11-24T10:00:00.000Z",
            "eventBusName": "default",
        }),
        json!({
            "action": "compare",
            "plan": target(),
            "verification": {"error": {"Error": "States.Timeout", "Cause": ""}},
            "at": "2026-11-24T10:00:00.000Z",
            "eventBusName": "default",
        }),
        json!({"action": "record", "plan": target(), "findings": [told()]}),
    ] {
        let parsed: Result<Request, _> = parse(request.clone());
        assert!(parsed.is_ok(), "{request:#}: {:?}", parsed.err());
    }
}
