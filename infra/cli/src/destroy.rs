//! Removing a cluster: what is asked before, and the teardown's input.

use functions::model::TeardownSpec;
use functions::model::spec::AccountSpec;
use std::io::IsTerminal;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

use crate::args::Destroy;
use crate::execution::{Executions, name_for, on_aws};
use crate::receipt::Receipt;
use crate::stack::Stack;
use crate::summary;

/// `hardway destroy`.
///
/// # Errors
/// If nobody agrees to it, the execution cannot be started or fails, or something is left.
pub async fn run(options: &Destroy) -> Result<()> {
    // The question is written to standard error and answered on standard input.
    let can_ask = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    check_consent(options, can_ask)?;
    let executions = on_aws(&options.deployed).await?;
    eprintln!("{}\n", notice(options, executions.stack()));
    let arn = start(options, &executions, ask).await?;
    println!("{arn}");
    let ended = executions.follow(&arn).await?;
    Receipt::of(ended.output()?)?.conclude()
}

/// Somebody must be there to ask, or have agreed already.
fn check_consent(options: &Destroy, can_ask: bool) -> Result<()> {
    ensure!(
        options.yes || can_ask,
        "there is no terminal to ask on whether {} shall be removed; --yes removes it without a question",
        options.cluster.name
    );
    Ok(())
}

/// Starts the teardown, if the answer to the question is the cluster's name; the execution's ARN.
async fn start(
    options: &Destroy,
    executions: &Executions,
    ask: impl FnOnce() -> Result<String>,
) -> Result<String> {
    if !options.yes {
        let answer = ask()?;
        ensure!(
            answer.trim() == options.cluster.name,
            "that is not {}: nothing was started",
            options.cluster.name
        );
    }
    let input = input(options);
    let name = options.name.clone().unwrap_or_else(|| name_for(&input));
    let machine = &executions.stack().teardown_arn;
    executions.start(machine, &name, &input).await
}

fn ask() -> Result<String> {
    dialoguer::Input::new()
        .with_prompt("Type the cluster's name to remove it")
        .allow_empty(true)
        .interact_text()
        .context("the question cannot be asked: nothing was started")
}

/// What is going to be removed, and from where.
fn notice(options: &Destroy, stack: &Stack) -> String {
    let cluster = &options.cluster;
    let account = cluster.account.as_deref().unwrap_or(stack.account());
    let account = match &cluster.role_name {
        Some(role) => format!("{account}, with its role {role}"),
        None => account.to_owned(),
    };
    let region = cluster.region.as_deref().unwrap_or(stack.region());
    let mut table = summary::table();
    table.add_row(["cluster", &cluster.name]);
    table.add_row(["account", &account]);
    table.add_row(["region", region]);
    if options.disable_deletion_protection {
        table.add_row(["deletion protection", "is turned off first"]);
    }
    format!(
        "This removes a cluster with all that runs in it, its network and its roles, for good:\n\n{table}"
    )
}

/// The input of the teardown.
fn input(options: &Destroy) -> Value {
    let cluster = &options.cluster;
    let account = cluster.account.as_ref().map(|id| AccountSpec {
        id: id.clone(),
        role_name: cluster.role_name.clone(),
        external_id: cluster.external_id.clone(),
        ..AccountSpec::default()
    });
    json!(TeardownSpec {
        cluster_name: cluster.name.clone(),
        region: cluster.region.clone(),
        account,
        disable_deletion_protection: options.disable_deletion_protection.then_some(true),
        started_by: None,
    })
}

/// The input that removes what the provisioning `input` has built. It was built to be removed: its own
/// deletion protection is no obstacle.
#[must_use]
pub fn input_for(input: &Value) -> Value {
    let mut teardown = Map::new();
    for field in ["clusterName", "region", "account"] {
        if let Some(value) = input.get(field) {
            teardown.insert(field.to_owned(), value.clone());
        }
    }
    if input["deletionProtection"] == true {
        teardown.insert("disableDeletionProtection".to_owned(), true.into());
    }
    Value::Object(teardown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Args, Command};
    use crate::execution::mocks::{self, TEARDOWN};
    use aws_sdk_sfn::Client;
    use aws_sdk_sfn::operation::start_execution::StartExecutionOutput;
    use aws_smithy_mocks::{Rule, mock};
    use clap::Parser;

    fn options(more: &[&str]) -> Destroy {
        let args = ["hardway", "destroy", "demo"].iter().chain(more);
        match Args::parse_from(args).command {
            Command::Destroy(options) => options,
            other => panic!("{other:?}"),
        }
    }

    const OTHER_ACCOUNT: [&str; 8] = [
        "--region",
        "us-east-1",
        "--account",
        "222222222222",
        "--role-name",
        "Builder",
        "--external-id",
        "x",
    ];

    /// A Step Functions that starts a teardown of `demo` and nothing else.
    fn starts() -> Rule {
        mock!(Client::start_execution)
            .match_requests(|call| {
                call.state_machine_arn() == Some(TEARDOWN)
                    && call.input() == Some(r#"{"clusterName":"demo"}"#)
            })
            .then_output(|| {
                let date = aws_sdk_sfn::primitives::DateTime::from_secs(0);
                let answer = StartExecutionOutput::builder().start_date(date);
                answer.execution_arn("arn:e").build().unwrap()
            })
    }

    async fn start_with(options: &Destroy, rule: &Rule, answer: &str) -> Result<String> {
        let executions = mocks::executions(functions::mocked!(aws_sdk_sfn, [rule]));
        start(options, &executions, || Ok(answer.to_owned())).await
    }

    #[tokio::test]
    async fn the_cluster_is_removed_when_its_name_was_typed() {
        let rule = starts();
        let arn = start_with(&options(&[]), &rule, "demo\n").await;
        assert_eq!(arn.unwrap(), "arn:e");
        assert_eq!(rule.num_calls(), 1);
    }

    #[tokio::test]
    async fn nothing_is_started_when_another_name_was_typed() {
        for answer in ["", "demo2", "Demo", "yes"] {
            let rule = starts();
            let error = start_with(&options(&[]), &rule, answer).await.unwrap_err();
            assert_eq!(error.to_string(), "that is not demo: nothing was started");
            assert_eq!(rule.num_calls(), 0);
        }
    }

    #[tokio::test]
    async fn with_yes_nobody_is_asked() {
        let rule = starts();
        let executions = mocks::executions(functions::mocked!(aws_sdk_sfn, [&rule]));
        let asked = || panic!("somebody is asked");
        start(&options(&["--yes"]), &executions, asked)
            .await
            .unwrap();
        assert_eq!(rule.num_calls(), 1);
    }

    #[tokio::test]
    async fn nothing_is_started_when_the_question_cannot_be_asked() {
        let rule = starts();
        let executions = mocks::executions(functions::mocked!(aws_sdk_sfn, [&rule]));
        let gone = || anyhow::bail!("the terminal is gone");
        let error = start(&options(&[]), &executions, gone).await.unwrap_err();
        assert_eq!(error.to_string(), "the terminal is gone");
        assert_eq!(rule.num_calls(), 0);
    }

    #[test]
    fn without_a_terminal_somebody_must_have_said_yes() {
        let error = check_consent(&options(&[]), false).unwrap_err().to_string();
        assert!(error.contains("demo") && error.contains("--yes"), "{error}");
        assert!(check_consent(&options(&["--yes"]), false).is_ok());
        assert!(check_consent(&options(&[]), true).is_ok());
    }

    #[test]
    fn the_input_holds_only_what_was_said() {
        assert_eq!(input(&options(&[])), json!({"clusterName": "demo"}));
        let mut more = OTHER_ACCOUNT.to_vec();
        more.push("--disable-deletion-protection");
        assert_eq!(
            input(&options(&more)),
            json!({
                "clusterName": "demo",
                "region": "us-east-1",
                "account": {"id": "222222222222", "roleName": "Builder", "externalId": "x"},
                "disableDeletionProtection": true,
            })
        );
        let account = input(&options(&["--account", "222222222222"]));
        assert_eq!(account["account"], json!({"id": "222222222222"}));
    }

    #[test]
    fn the_notice_names_cluster_account_and_region() {
        let executions = mocks::executions(functions::mocked!(aws_sdk_sfn, []));
        let stack = executions.stack();
        let text = notice(&options(&[]), stack);
        for part in ["demo", "111122223333", "ap-northeast-1"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("deletion protection"), "{text}");
        let text = notice(&options(&OTHER_ACCOUNT), stack);
        for part in ["222222222222, with its role Builder", "us-east-1"] {
            assert!(text.contains(part), "{text}");
        }
        let text = notice(&options(&["--disable-deletion-protection"]), stack);
        assert!(text.contains("deletion protection"), "{text}");
    }

    #[test]
    fn a_teardown_is_for_the_cluster_that_was_built() {
        let built = json!({
            "clusterName": "demo",
            "account": {"id": "222222222222"},
            "network": {"natGateways": "single"},
            "deletionProtection": false,
        });
        assert_eq!(
            input_for(&built),
            json!({"clusterName": "demo", "account": {"id": "222222222222"}})
        );
        let protected = json!({"clusterName": "demo", "deletionProtection": true});
        assert_eq!(
            input_for(&protected),
            json!({"clusterName": "demo", "disableDeletionProtection": true})
        );
    }
}
