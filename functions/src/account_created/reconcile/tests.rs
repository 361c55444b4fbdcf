//! Unit tests of what is done about many accounts. Scripted are Organizations and Step Functions, which the
//! simulator has not.

use super::*;
use aws_sdk_organizations::operation::describe_account::DescribeAccountOutput;
use aws_sdk_organizations::operation::list_accounts::ListAccountsOutput;
use aws_sdk_organizations::operation::list_accounts_for_parent::ListAccountsForParentOutput;
use aws_sdk_organizations::primitives::DateTime;
use aws_sdk_organizations::types::builders::AccountBuilder;
use aws_sdk_organizations::types::{AccountJoinedMethod, AccountState};
use aws_smithy_mocks::{Rule, mock};
use serde_json::{Value, json};

use crate::account_created::tests::{ACCOUNT, accepting, created, registered, starter, updated};
use crate::aws::mocks::json_error;

const NOW: &str = "2026-11-28T10:00:00Z";
const DAY: i64 = 24 * 3600;

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// An account that joined so many days ago.
fn account(id: &str, days: i64) -> Account {
    described(id, days).build()
}

fn described(id: &str, days: i64) -> AccountBuilder {
    Account::builder()
        .id(id)
        .arn(format!(
            "arn:aws:organizations::111122223333:account/o-exampleorgid/{id}"
        ))
        .state(AccountState::Active)
        .joined_method(AccountJoinedMethod::Created)
        .joined_timestamp(DateTime::from_secs(now().as_second() - days * DAY))
}

/// The organization's accounts, in pages of two.
fn list(accounts: Vec<Account>) -> Rule {
    mock!(aws_sdk_organizations::Client::list_accounts).then_compute_output(move |call| {
        let start: usize = call.next_token().map_or(0, |token| token.parse().unwrap());
        let end = accounts.len().min(start + 2);
        ListAccountsOutput::builder()
            .set_accounts(Some(accounts[start..end].to_vec()))
            .set_next_token((end < accounts.len()).then(|| end.to_string()))
            .build()
    })
}

fn policy(members: &Value) -> String {
    let mut policy = json!({"enabled": true, "input": {"clusterName": "main"}});
    let members = members.as_object().unwrap().clone();
    policy.as_object_mut().unwrap().extend(members);
    policy.to_string()
}

/// Whom a reconciliation starts for, and what it says.
async fn reconciled(members: Value, accounts: Vec<Account>) -> (Vec<String>, Answer) {
    let (accepts, starts) = accepting();
    let starter = starter(&policy(&members), &[&accepts], &[&list(accounts)]).await;
    let answer = starter.reconcile(now()).await.unwrap();
    let starts = starts.lock().unwrap();
    let ids = starts.iter().map(|input| input["account"]["id"].as_str());
    (ids.map(|id| id.unwrap().to_owned()).collect(), answer)
}

#[tokio::test(start_paused = true)]
async fn missing_clusters_are_started_in_active_accounts_that_are_new() {
    let suspended = described("222222222222", 1).state(AccountState::Suspended);
    let invited = described("333333333333", 1).joined_method(AccountJoinedMethod::Invited);
    let accounts = vec![
        account("111122223333", 1),
        account("100000000001", 29),
        suspended.build(),
        invited.build(),
        account("100000000002", 0),
        account("100000000003", 31),
        account("100000000004", 1),
    ];
    let excluded = json!({"excludeAccounts": ["100000000004"]});
    let (started, answer) = reconciled(excluded, accounts.clone()).await;
    assert_eq!(started, ["100000000001", "100000000002"]);
    assert_eq!(answer.status, Status::Started);
    for said in ["100000000001-ap-northeast-1-main", "5 accounts looked at"] {
        assert!(answer.reason.contains(said), "{}", answer.reason);
    }

    let (started, _) = reconciled(
        json!({"joinedSince": "2026-11-27T20:00:00Z"}),
        accounts.clone(),
    )
    .await;
    assert_eq!(started, ["100000000002"]);
    let (started, _) = reconciled(
        json!({"joinedSince": "2020-01-01T00:00:00Z"}),
        accounts.clone(),
    )
    .await;
    assert_eq!(started.len(), 4);
    // Which events count does not matter: nobody knows which of them was lost.
    let (started, _) = reconciled(json!({"events": []}), accounts.clone()).await;
    assert_eq!(started.len(), 3);
    let (started, answer) = reconciled(json!({"enabled": false}), accounts).await;
    assert_eq!((started.len(), answer.status), (0, Status::Ignored));
}

#[tokio::test(start_paused = true)]
async fn an_account_that_was_missed_is_new_since_it_joined() {
    let (accepts, starts) = accepting();
    let accounts = list(vec![account(ACCOUNT, 1)]);
    let starter = starter(&policy(&json!({})), &[&accepts], &[&accounts]).await;
    starter.reconcile(now()).await.unwrap();
    let starts = starts.lock().unwrap();
    let expected = json!({"id": ACCOUNT, "newSince": "2026-11-27T10:00:00Z"});
    assert_eq!(starts[0]["account"], expected);
}

#[tokio::test(start_paused = true)]
async fn few_are_started_at_once_and_the_rest_is_said() {
    let many = (0..25).map(|n| account(&format!("1000000000{n:02}"), 1));
    let (started, answer) = reconciled(json!({}), many.collect()).await;
    assert_eq!(started.len(), STARTS_MAX);
    assert!(answer.reason.contains("15 are left"), "{}", answer.reason);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_fails_is_in_no_others_way_and_is_told() {
    let (accepts, starts) = accepting();
    let policy = policy(&json!({"input": {"clusterName": "c", "region": "Tokyo"}}));
    let accounts = list(vec![account("100000000001", 1), account("100000000002", 1)]);
    let starter = starter(&policy, &[&accepts], &[&accounts]).await;
    let error = starter.reconcile(now()).await.unwrap_err();
    assert_eq!(error.name(), "InvalidRequest");
    assert!(starts.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn missing_permission_to_list_accounts_is_reported() {
    let denied = || json_error("AccessDeniedException", "You don't have permissions");
    let refuses = mock!(aws_sdk_organizations::Client::list_accounts).then_http_response(denied);
    let starter = starter(&policy(&json!({})), &[], &[&refuses]).await;
    let error = starter.reconcile(now()).await.unwrap_err();
    assert_eq!(error.name(), "AccessDenied");
    let message = error.to_string();
    assert!(message.contains("organizations:ListAccounts"), "{message}");
    assert!(message.contains("delegated administrators"), "{message}");
}

/// The accounts right in the unit of the event.
fn in_unit(accounts: Vec<Account>) -> Rule {
    mock!(aws_sdk_organizations::Client::list_accounts_for_parent)
        .match_requests(|call| call.parent_id() == Some("ou-abcd-1a2b3c4d"))
        .then_output(move || {
            ListAccountsForParentOutput::builder()
                .set_accounts(Some(accounts.clone()))
                .build()
        })
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_is_enrolled_is_started_for_account_by_account_however_old_they_are() {
    let mut reset =
        crate::account_created::tests::example("events/control-tower-reset-enabled-baseline");
    reset["time"] = registered()["time"].clone();
    for event in [registered(), reset] {
        let (accepts, starts) = accepting();
        let accounts = in_unit(vec![
            account("100000000001", 1),
            account("100000000002", 900),
        ]);
        let starter = starter(&policy(&json!({})), &[&accepts], &[&accounts]).await;
        let answer = starter.handle(&event).await.unwrap();
        assert_eq!(answer.status, Status::Started);
        let starts = starts.lock().unwrap();
        let since: Vec<&Value> = starts.iter().map(|it| &it["account"]["newSince"]).collect();
        assert_eq!(since, [&event["time"]; 2]);
    }
    let mut failed = registered();
    let status = &mut failed["detail"]["serviceEventDetails"]["registerOrganizationalUnitStatus"];
    status["state"] = json!("FAILED");
    for (event, members) in [
        (failed, json!({})),
        (registered(), json!({"enabled": false})),
        (registered(), json!({"events": ["CreateAccountResult"]})),
    ] {
        let starter = starter(&policy(&members), &[], &[]).await;
        let answer = starter.handle(&event).await.unwrap();
        assert_eq!(answer.status, Status::Ignored, "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_that_joined_too_long_ago_is_passed_over_whatever_happens_to_it() {
    let describe = |days: i64| {
        mock!(aws_sdk_organizations::Client::describe_account)
            .match_requests(|call| call.account_id() == Some(ACCOUNT))
            .then_output(move || {
                let account = account(ACCOUNT, days);
                DescribeAccountOutput::builder().account(account).build()
            })
    };
    let since = json!({"joinedSince": "2026-11-01T00:00:00Z"});
    let today = |mut event: Value| {
        event["time"] = json!(NOW);
        event
    };
    for (days, expected) in [(1, Status::Started), (90, Status::Ignored)] {
        let (accepts, _) = accepting();
        let starter = starter(&policy(&since), &[&accepts], &[&describe(days)]).await;
        let answer = starter.handle(&today(updated())).await.unwrap();
        assert_eq!(answer.status, expected, "{answer:?}");
    }
    // What is created now is not asked about.
    let (accepts, _) = accepting();
    let knowing = starter(&policy(&since), &[&accepts], &[]).await;
    let answer = knowing.handle(&today(created())).await.unwrap();
    assert_eq!(answer.status, Status::Started);
    // The accounts of old events had joined by then, and are not asked about either.
    for event in [created(), updated()] {
        let starter = starter(&policy(&since), &[], &[]).await;
        let answer = starter.handle(&event).await.unwrap();
        assert_eq!(answer.status, Status::Ignored, "{answer:?}");
    }
}
