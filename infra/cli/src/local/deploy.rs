//! The real template, deployed by the SAM CLI.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use super::process::output;
use super::tools::{Lock, Tools};
use crate::aws::LAPTOP_ACCOUNT;

/// The stack's name, the one that `make deploy` uses.
pub const STACK: &str = "hardway";

/// Deploys `infra/template.yaml` to the AWS at `endpoint`. The lock keeps the packages whole meanwhile.
///
/// # Errors
/// If SAM fails; with what it said.
pub async fn deploy(
    root: &Path,
    tools: &Tools,
    folder: &Path,
    endpoint: &str,
    region: &str,
    _: &Lock,
) -> Result<()> {
    let mut sam = tools.command("sam");
    sam.args([
        "deploy",
        "--stack-name",
        STACK,
        "--region",
        region,
        "--no-progressbar",
    ])
    .args([
        "--parameter-overrides",
        &format!("Architecture={}", architecture()),
    ])
    .current_dir(root.join("infra"))
    .env("AWS_ENDPOINT_URL", endpoint)
    .env("AWS_ACCESS_KEY_ID", LAPTOP_ACCOUNT)
    .env("AWS_SECRET_ACCESS_KEY", "laptop")
    .env_remove("AWS_SESSION_TOKEN")
    .env_remove("AWS_PROFILE")
    // Neither its settings nor its questions are the user's.
    .env("__SAM_CLI_APP_DIR", folder.join("sam"))
    .env("SAM_CLI_TELEMETRY", "0")
    .env("SAM_CLI_POLL_DELAY", "1")
    .stdout(Stdio::piped())
    .stderr(Stdio::piped());
    let output = output(&mut sam)
        .await
        .context("the SAM CLI cannot be started")?;
    ensure!(
        output.status.success(),
        "infra/template.yaml cannot be deployed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// The machine's processor, as Lambda calls it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "x86_64",
    }
}
