//! The stack of an acceptance: deployed as `make deploy` does it, but from a bucket of its own, and removed
//! with what CloudFormation leaves.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use aws_sdk_cloudformation::types::StackStatus;

use super::place::{Place, said};
use super::questions::Reply;
use crate::local::process::output;
use crate::local::tools::Lock;
use crate::stack::Stack;

/// How often CloudFormation is asked, and how often at most: an hour.
const SECONDS: f64 = 5.0;
const TRIES: usize = 720;
/// What CloudFormation says, as ValidationError, of a stack that is not there.
const NO_STACK_MESSAGE: &str = "does not exist";

/// Refuses what is there already: nothing of the user's is touched.
pub(super) async fn require_none(place: &Place) -> Result<()> {
    let name = place.stack();
    ensure!(
        status(place, name).await?.is_none(),
        "there is a stack {name} already; choose another name with --stack-name"
    );
    let cluster = place.aws.eks().describe_cluster().name(name).send().await;
    ensure!(
        cluster.is_err(),
        "there is a cluster {name} already; choose another name with --stack-name"
    );
    let left = super::left::find(place, None).await;
    let found: Vec<String> = left.things.iter().map(|it| it.what.clone()).collect();
    ensure!(
        found.is_empty(),
        "something of that name is there already ({}); choose another name with --stack-name",
        found.join(", ")
    );
    Ok(())
}

/// Every package that the template names has to be there.
pub(super) fn require_packages(place: &Place) -> Result<()> {
    for function in crate::local::functions(&place.root)? {
        let package = format!("target/lambda/{function}/bootstrap.zip");
        ensure!(
            place.root.join(&package).is_file(),
            "{package} is missing; `make acceptance` builds it"
        );
    }
    Ok(())
}

/// Makes the bucket of the packages and the event bus, and deploys.
pub(super) async fn deploy(place: &Place, architecture: &str) -> Result<Stack> {
    let (name, bucket) = (place.stack(), place.packages_bucket());
    let region = place.region();
    let constraint = format!("LocationConstraint={region}");
    let mut create = vec!["s3api", "create-bucket", "--bucket", &bucket];
    // Where it is the default it may not be said (S3 API reference, CreateBucket).
    if region != "us-east-1" {
        create.extend(["--create-bucket-configuration", &constraint]);
    }
    let made = place.cli(&create).await;
    made.context("the bucket of the packages cannot be made")?;
    let made = place
        .cli(&["events", "create-event-bus", "--name", name])
        .await;
    made.context("the event bus cannot be made")?;
    sam(place, architecture, &bucket).await?;
    Stack::find(&place.config, name).await
}

async fn sam(place: &Place, architecture: &str, bucket: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    // Not the one of `make deploy`: its bucket is shared with whatever else is deployed with SAM.
    let settings = folder.path().join("samconfig.toml");
    std::fs::write(&settings, "version = 0.1\n")?;
    // The lock keeps the packages whole meanwhile.
    let lock = Lock::acquire(&place.root).await?;
    let mut sam = place.tools.command("sam");
    sam.args(["deploy", "--stack-name", place.stack()])
        .args(["--region", place.region(), "--s3-bucket", bucket])
        .args(["--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset"])
        .args(["--no-fail-on-empty-changeset", "--no-progressbar"])
        .arg("--config-file")
        .arg(&settings)
        .args(["--tags", &format!("hardway-acceptance={}", place.stack())])
        .arg("--parameter-overrides")
        .args([
            format!("Architecture={architecture}"),
            format!("EventBusName={}", place.stack()),
        ])
        .current_dir(place.root.join("infra"))
        .env("SAM_CLI_TELEMETRY", "0")
        .env("SAM_CLI_POLL_DELAY", poll_delay(place.speed))
        .env("__SAM_CLI_APP_DIR", folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let done = output(&mut sam).await;
    drop(lock);
    let done = done.context("the SAM CLI cannot be started")?;
    if done.status.success() {
        return Ok(());
    }
    let all = [done.stdout, done.stderr].concat();
    let all = String::from_utf8_lossy(&all);
    let told = all.lines().filter(|line| is_telling(line));
    let told: Vec<&str> = told.collect();
    bail!("the stack cannot be deployed:\n{}", told.join("\n"))
}

/// SAM's own is half a second, which many stacks at once throttle.
fn poll_delay(speed: f64) -> &'static str {
    if speed > 1.0 { "1" } else { "5" }
}

/// Of all that SAM says, what is about failures.
fn is_telling(line: &str) -> bool {
    ["FAILED", "Error", "error", "not authorized"]
        .iter()
        .any(|word| line.contains(word))
}

/// The status of a stack; none if there is none.
pub(super) async fn status(place: &Place, name: &str) -> Result<Option<StackStatus>> {
    let call = place.cloudformation.describe_stacks().stack_name(name);
    let found = match call.send().await {
        Ok(found) => found,
        Err(error) => {
            let words = said(&error);
            let reply = Reply::of::<_, _>(Err::<(), _>(error));
            if reply.message().contains(NO_STACK_MESSAGE) {
                return Ok(None);
            }
            bail!("cloudformation:DescribeStacks: {words}");
        }
    };
    let status = found.stacks().first().and_then(|it| it.stack_status());
    Ok(status
        .filter(|it| **it != StackStatus::DeleteComplete)
        .cloned())
}

/// Deletes the stack, and waits for it. What is not there is deleted.
pub(super) async fn remove(place: &Place) -> Result<(), String> {
    let name = place.stack();
    for _ in 0..2 {
        let delete = place.cloudformation.delete_stack().stack_name(name);
        let delete = Reply::of(delete.send().await);
        if !matches!(delete, Reply::Accepted(_)) {
            return Err(format!("stack {name}: {}", delete.words()));
        }
        if until_gone(place, name).await? {
            return Ok(());
        }
    }
    Err(format!("stack {name}: {}", failures(place, name).await))
}

async fn until_gone(place: &Place, name: &str) -> Result<bool, String> {
    for _ in 0..TRIES {
        match status(place, name).await.map_err(|it| format!("{it:#}"))? {
            None => return Ok(true),
            Some(StackStatus::DeleteFailed) => return Ok(false),
            Some(_) => place.sleep(SECONDS).await,
        }
    }
    Ok(false)
}

/// Why resources could not be deleted.
async fn failures(place: &Place, name: &str) -> String {
    let events = place.cloudformation.describe_stack_events();
    let events = events.stack_name(name).send().await;
    let Ok(events) = events else {
        return "it is not deleted".to_owned();
    };
    let failed = events.stack_events().iter().filter(|event| {
        event
            .resource_status()
            .is_some_and(|it| it.as_str() == "DELETE_FAILED")
    });
    let failed = failed.map(|event| {
        let what = event.logical_resource_id().unwrap_or("?");
        let why = event.resource_status_reason().unwrap_or("no reason");
        format!("{what}: {why}")
    });
    let failed: Vec<String> = failed.take(5).collect();
    format!("it is not deleted: {}", failed.join("; "))
}

/// Removes what the stack does not take along: its bucket (which it keeps on purpose), the bucket of the
/// packages, the event bus, and log groups that a late line has made once more.
pub(super) async fn remove_the_rest(place: &Place) -> Result<(), String> {
    let mut problems = Vec::new();
    for bucket in buckets(place).await? {
        let url = format!("s3://{bucket}");
        if let Err(error) = place.cli(&["s3", "rb", &url, "--force"]).await {
            problems.push(format!("bucket {bucket}: {error}"));
        }
    }
    if has_bus(place).await {
        let delete = ["events", "delete-event-bus", "--name", place.stack()];
        if let Err(error) = place.cli(&delete).await {
            problems.push(format!("event bus {}: {error}", place.stack()));
        }
    }
    for group in log_groups(place).await? {
        let delete = place.aws.logs().delete_log_group().log_group_name(&group);
        let delete = Reply::of(delete.send().await);
        if !matches!(delete, Reply::Accepted(_)) {
            problems.push(format!("log group {group}: {}", delete.words()));
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(problems.join("; "))
}

/// The buckets whose names begin with the stack's.
pub(super) async fn buckets(place: &Place) -> Result<Vec<String>, String> {
    let all = place.cli(&["s3api", "list-buckets"]).await;
    let all = all.map_err(|error| format!("s3:ListAllMyBuckets: {error}"))?;
    let prefix = format!("{}-", place.stack());
    let names = all["Buckets"].as_array().into_iter().flatten();
    let names = names.filter_map(|bucket| bucket["Name"].as_str());
    let names = names.filter(|name| name.starts_with(&prefix));
    Ok(names.map(str::to_owned).collect())
}

pub(super) async fn has_bus(place: &Place) -> bool {
    let describe = ["events", "describe-event-bus", "--name", place.stack()];
    place.cli(&describe).await.is_ok()
}

/// The log groups of the stack and of the cluster.
pub(super) async fn log_groups(place: &Place) -> Result<Vec<String>, String> {
    let name = place.stack();
    let wanted = [
        format!("/aws/lambda/{name}"),
        format!("/aws/vendedlogs/states/{name}"),
        format!("/aws/eks/{name}/cluster"),
    ];
    let mut found = Vec::new();
    for group in wanted {
        let call = place.aws.logs().describe_log_groups();
        let groups = call.log_group_name_prefix(&group).send().await;
        let groups = Reply::of(groups).or_why("logs:DescribeLogGroups");
        let groups = groups.map_err(|said| said.1)?;
        let mut names = groups
            .log_groups()
            .iter()
            .filter_map(|it| it.log_group_name());
        if names.any(|name| name == group) {
            found.push(group);
        }
    }
    Ok(found)
}

/// How often an execution is looked at.
pub(super) fn interval(speed: f64) -> Duration {
    Duration::from_secs(3)
        .div_f64(speed)
        .max(Duration::from_millis(250))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_sam_says_the_failures_are_told() {
        assert!(is_telling(
            "CREATE_FAILED  AWS::Lambda::Function  VpcFunction  not authorized"
        ));
        assert!(is_telling("Error: Failed to create changeset"));
        assert!(!is_telling(
            "CREATE_COMPLETE  AWS::Lambda::Function  VpcFunction  -"
        ));
    }

    #[test]
    fn a_laptop_is_asked_more_often() {
        assert_eq!(interval(1.0), Duration::from_secs(3));
        assert_eq!(interval(60.0), Duration::from_millis(250));
    }
}
