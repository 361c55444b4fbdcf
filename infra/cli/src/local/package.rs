//! The functions, built and packaged by cargo-lambda for this machine.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use super::tools::Tools;

/// The names of the functions: the folders of `functions/`, but for what they share.
///
/// # Errors
/// If the folder cannot be read.
pub fn functions(root: &Path) -> Result<Vec<String>> {
    let folder = root.join("functions");
    let entries = std::fs::read_dir(&folder);
    let entries = entries.with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != "step" {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Builds `target/lambda/<function>/bootstrap.zip` of every function.
///
/// It is a build of the dev profile for the machine's own target, of the whole workspace, so that it
/// shares its artifacts with `cargo run` and `cargo test`.
///
/// # Errors
/// If the build fails; its messages go to standard error as they come.
pub async fn build(root: &Path, tools: &Tools) -> Result<()> {
    let mut command = tools.command("cargo-lambda");
    command
        .args([
            "lambda",
            "build",
            "--compiler",
            "cargo",
            "--output-format",
            "zip",
            "--quiet",
        ])
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    for function in functions(root)? {
        command.args(["--bin", &function]);
    }
    let status = command
        .status()
        .await
        .context("cargo-lambda cannot be started")?;
    ensure!(
        status.success(),
        "the functions cannot be built (see above)"
    );
    Ok(())
}
