//! ministack: Lambda, Step Functions, CloudFormation, S3 and CloudWatch Logs on this machine.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::server::{Server, endpoint};
use super::tools::Tools;
use crate::aws;

/// What a ministack is started with.
#[derive(Debug, Clone)]
pub struct Setup<'a> {
    /// A folder of its own, for its log and what it unpacks.
    pub folder: &'a Path,
    /// The region that it plays.
    pub region: &'a str,
    /// Where the functions find EC2, IAM, STS, EKS and Systems Manager, and the log groups of clusters.
    pub simulator: &'a str,
    /// How many times faster than AWS its waits and retries are.
    pub speed: f64,
    /// Whether it enforces IAM.
    pub auth: bool,
}

/// How long Lambda waits before it tries an asynchronous invocation again, in seconds: a minute, then two.
/// Source: the AWS Lambda developer guide, error handling of asynchronous invocation.
const ASYNC_RETRY_SECONDS: f64 = 60.0;
/// Starts it with what it lacks of Step Functions.
const SCRIPT: &str = include_str!("ministack.py");
/// How many functions run at once in an account. Source: the AWS Lambda developer guide, quotas.
const CONCURRENCY: u32 = 1000;

/// Starts it on a free port and waits until it listens.
///
/// # Errors
/// If it does not start; with the end of its log.
pub async fn start(tools: &Tools, setup: &Setup<'_>) -> Result<Server> {
    let log = setup.folder.join("ministack.log");
    // Python looks for packages beside a script first: its name must be another than theirs.
    let script = setup.folder.join("start_ministack.py");
    fs::write(&script, SCRIPT)?;
    let command = |port: u16| {
        let mut command = tools.command("python");
        command
            .arg(&script)
            .env("GATEWAY_PORT", port.to_string())
            .env("BIND_HOST", "127.0.0.1")
            .env("MINISTACK_REGION", setup.region)
            .env("SFN_WAIT_SCALE", (1.0 / setup.speed).to_string())
            .env(
                "LAMBDA_ASYNC_RETRY_BASE_SECONDS",
                (ASYNC_RETRY_SECONDS / setup.speed).to_string(),
            )
            .env("LAMBDA_ACCOUNT_CONCURRENCY", CONCURRENCY.to_string())
            .env("AUTH", setup.auth.to_string())
            .env("TMPDIR", setup.folder)
            // The functions inherit these.
            .env("AWS_ENDPOINT_URL", endpoint(port))
            .envs(aws::simulated_for_functions(setup.simulator))
            .env_remove("AWS_PROFILE")
            .current_dir(setup.folder);
        command
    };
    Server::start("ministack", &log, command).await
}
