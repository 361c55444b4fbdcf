use aws_sdk_ssm::Client;
use aws_sdk_ssm::operation::delete_parameter::DeleteParameterOutput;
use aws_sdk_ssm::operation::get_parameter::GetParameterOutput;
use aws_sdk_ssm::operation::get_parameters_by_path::GetParametersByPathOutput;
use aws_sdk_ssm::operation::put_parameter::PutParameterOutput;
use aws_sdk_ssm::types::Parameter;
use aws_smithy_mocks::{Rule, mock};
use serde_json::json;

use super::*;
use crate::aws::codes;
use crate::aws::mocks::json_refusal as refusal;
use crate::model::Plan;

const NAME: &str = "/hardway/hardway/clusters/111122223333/ap-northeast-1/demo";

fn target() -> Target {
    Plan::example().target
}

fn told() -> Told {
    Told {
        id: "no-nat-route".to_owned(),
        severity: "error".to_owned(),
        resource: "rtb-1".to_owned(),
        since: "2026-11-24T10:00:00.000Z".to_owned(),
    }
}

fn parameter(name: &str, entry: &Entry) -> Parameter {
    let parameter = Parameter::builder().name(name);
    parameter.value(entry.value().unwrap()).build()
}

fn found(entry: &Entry) -> Rule {
    let parameter = parameter(NAME, entry);
    mock!(Client::get_parameter)
        .match_requests(|call| call.name() == Some(NAME))
        .then_output(move || {
            let output = GetParameterOutput::builder();
            output.parameter(parameter.clone()).build()
        })
}

fn missing() -> Rule {
    mock!(Client::get_parameter).then_http_response(|| refusal(codes::PARAMETER_NOT_FOUND, ""))
}

/// A call that makes the entry: it says its type, and overwrites nothing.
fn creates(entry: &Entry) -> Rule {
    let value = entry.value().unwrap();
    mock!(Client::put_parameter)
        .match_requests(move |call| {
            call.name() == Some(NAME)
                && call.value() == Some(value.as_str())
                && call.r#type().is_some()
                && call.overwrite() != Some(true)
        })
        .then_output(|| PutParameterOutput::builder().build())
}

/// A call that writes to the entry if there is one: it says no type.
fn updates(entry: &Entry) -> Rule {
    let value = entry.value().unwrap();
    mock!(Client::put_parameter)
        .match_requests(move |call| {
            call.name() == Some(NAME)
                && call.value() == Some(value.as_str())
                && call.r#type().is_none()
                && call.overwrite() == Some(true)
        })
        .then_output(|| PutParameterOutput::builder().build())
}

fn gone_meanwhile() -> Rule {
    mock!(Client::put_parameter).then_http_response(|| {
        let message = "A parameter type is required when you create a parameter.";
        refusal(codes::VALIDATION, message)
    })
}

fn deletes() -> Rule {
    mock!(Client::delete_parameter)
        .match_requests(|call| call.name() == Some(NAME))
        .then_output(|| DeleteParameterOutput::builder().build())
}

fn store(rules: [&Rule; 2]) -> Store {
    let [one, other] = rules;
    let client = crate::mocked!(aws_sdk_ssm, [one, other]);
    Store::new(client, "/hardway/hardway/clusters".to_owned())
}

#[tokio::test]
async fn makes_the_entry_of_a_new_cluster() {
    let created = creates(&Entry::of(target()));
    let answer = ensure(&store([&missing(), &created]), target()).await;
    assert_eq!(answer.unwrap(), json!({"status": "READY", "name": NAME}));
    assert_eq!(created.num_calls(), 1);
}

#[tokio::test]
async fn an_entry_that_is_there_keeps_what_was_told() {
    let entry = Entry {
        target: target(),
        findings: vec![told()],
    };
    let (looked, put) = (found(&entry), mock!(Client::put_parameter));
    let put = put.then_output(|| PutParameterOutput::builder().build());
    ensure(&store([&looked, &put]), target()).await.unwrap();
    assert_eq!((looked.num_calls(), put.num_calls()), (1, 0));
}

#[tokio::test]
async fn an_entry_learns_how_the_account_is_reached_now() {
    let mut entry = Entry {
        target: target(),
        findings: vec![told()],
    };
    let looked = found(&entry);
    entry.target.account.role_name = Some("Builder".to_owned());
    let updated = updates(&entry);
    let answer = ensure(&store([&looked, &updated]), entry.target.clone()).await;
    assert!(answer.is_ok(), "{answer:?}");
    assert_eq!(updated.num_calls(), 1);
}

#[tokio::test]
async fn an_entry_that_somebody_else_makes_at_the_same_time_is_looked_at_again() {
    let taken = mock!(Client::put_parameter)
        .then_http_response(|| refusal(codes::PARAMETER_ALREADY_EXISTS, "exists"));
    let error = ensure(&store([&missing(), &taken]), target()).await;
    assert_eq!(error.unwrap_err().name(), "NotYetVisible");
}

#[tokio::test]
async fn errors_are_sorted_as_everywhere() {
    for (code, name) in [
        ("ThrottlingException", "Throttled"),
        ("InternalServerError", "AwsUnavailable"),
        ("TooManyUpdates", "NotYetVisible"),
        ("ParameterLimitExceeded", "QuotaExceeded"),
        ("AccessDeniedException", "AccessDenied"),
    ] {
        let refused = mock!(Client::put_parameter).then_http_response(move || refusal(code, ""));
        let error = ensure(&store([&missing(), &refused]), target()).await;
        assert_eq!(error.unwrap_err().name(), name, "{code}");
    }
}

#[tokio::test]
async fn remove_deletes_the_entry() {
    let deleted = deletes();
    let store = store([&found(&Entry::of(target())), &deleted]);
    let answer = remove(&store, &target()).await.unwrap();
    assert_eq!(answer["removed"][0]["type"], "AWS::SSM::Parameter");
    assert_eq!(answer["removed"][0]["id"], NAME);
    assert_eq!(deleted.num_calls(), 1);
}

#[tokio::test]
async fn remove_of_a_missing_entry_succeeds() {
    let deleted = deletes();
    let answer = remove(&store([&missing(), &deleted]), &target()).await;
    assert_eq!(answer.unwrap(), json!({"status": "READY", "removed": []}));
    assert_eq!(deleted.num_calls(), 0);
}

#[tokio::test]
async fn remove_deletes_even_what_it_cannot_read() {
    let unreadable = mock!(Client::get_parameter).then_output(|| {
        let parameter = Parameter::builder().name(NAME).value("hello").build();
        GetParameterOutput::builder().parameter(parameter).build()
    });
    let deleted = deletes();
    let answer = remove(&store([&unreadable, &deleted]), &target()).await;
    assert!(answer.is_ok(), "{answer:?}");
    assert_eq!(deleted.num_calls(), 1);
}

#[tokio::test]
async fn reported_findings_are_recorded() {
    let mut entry = Entry::of(target());
    let looked = found(&entry);
    entry.findings.push(told());
    let updated = updates(&entry);
    let store = store([&looked, &updated]);
    assert_eq!(record(&store, &target(), vec![told()]).await, Ok(true));
    assert_eq!(updated.num_calls(), 1);
}

#[tokio::test]
async fn the_entry_of_a_cluster_that_was_removed_does_not_come_back() {
    let updated = updates(&Entry::of(target()));
    let removed = store([&missing(), &updated]);
    assert_eq!(record(&removed, &target(), vec![]).await, Ok(false));
    assert_eq!(updated.num_calls(), 0);
    let meanwhile = store([&found(&Entry::of(target())), &gone_meanwhile()]);
    assert_eq!(record(&meanwhile, &target(), vec![]).await, Ok(false));
}

#[tokio::test]
async fn the_list_has_every_page_in_the_order_of_the_names() {
    let page = |names: &'static [&'static str], token: Option<&'static str>| {
        move || {
            let entry = |name: &&str| {
                let mut target = target();
                target.cluster_name = (*name).to_owned();
                parameter(
                    &format!("/hardway/hardway/clusters/{name}"),
                    &Entry::of(target),
                )
            };
            let output = GetParametersByPathOutput::builder();
            let output = output.set_parameters(Some(names.iter().map(entry).collect()));
            output.set_next_token(token.map(ToOwned::to_owned)).build()
        }
    };
    let first = mock!(Client::get_parameters_by_path)
        .match_requests(|call| {
            call.path() == Some("/hardway/hardway/clusters")
                && call.recursive() == Some(true)
                && call.next_token().is_none()
        })
        .then_output(page(&["c", "a"], Some("more")));
    let second = mock!(Client::get_parameters_by_path)
        .match_requests(|call| call.next_token() == Some("more"))
        .then_output(page(&["b"], None));
    let store = store([&first, &second]);
    let names = |answer: Value| -> Vec<String> {
        let clusters = answer["clusters"].as_array().unwrap().clone();
        let names = clusters
            .iter()
            .map(|it| it["clusterName"].as_str().unwrap());
        names.map(ToOwned::to_owned).collect()
    };
    let all = list(&store, None).await.unwrap();
    assert!(all.get("after").is_none());
    assert_eq!(names(all), ["a", "b", "c"]);
    let rest = list(&store, Some("/hardway/hardway/clusters/a"))
        .await
        .unwrap();
    assert_eq!(names(rest), ["b", "c"]);
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
