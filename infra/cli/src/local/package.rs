//! The functions, built and packaged by cargo-lambda for this machine.

use std::path::Path;
use std::process::Stdio;
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use super::process::output;
use super::tools::{Lock, Tools};

/// The names of the functions: their binaries in `functions/src/bin`.
///
/// # Errors
/// If the folder cannot be read.
pub fn functions(root: &Path) -> Result<Vec<String>> {
    let folder = root.join("functions/src/bin");
    let entries = std::fs::read_dir(&folder);
    let entries = entries.with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".rs").map(ToOwned::to_owned));
    }
    names.sort();
    Ok(names)
}

/// The policy of the sessions of `function` in other accounts: a path below the project's root. Not
/// every function has one.
#[must_use]
pub fn policy_file(root: &Path, function: &str) -> String {
    let folder = function.replace('-', "_");
    let step = format!("functions/src/steps/{folder}");
    if root.join(&step).is_dir() {
        format!("{step}/policy.json")
    } else {
        format!("functions/src/{folder}/policy.json")
    }
}

/// Makes `target/lambda/<function>/bootstrap.zip` of every function.
///
/// It is a build of the dev profile for the machine's own target, of the whole workspace, so that it
/// shares its artifacts with `cargo run` and `cargo test`. Packaging takes seconds for each function,
/// so only those are packaged whose binary is newer than their package.
///
/// # Errors
/// If the build fails; its messages go to standard error as they come.
pub async fn build(root: &Path, tools: &Tools, _: &Lock) -> Result<()> {
    let functions = functions(root)?;
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet"]);
    for function in &functions {
        cargo.args(["--bin", function]);
    }
    succeed(root, &mut cargo, "cargo").await?;

    let stale: Vec<&String> = functions
        .iter()
        .filter(|name| is_stale(root, name))
        .collect();
    if stale.is_empty() {
        return Ok(());
    }
    let mut lambda = tools.command("cargo-lambda");
    lambda.args([
        "lambda",
        "build",
        "--compiler",
        "cargo",
        "--output-format",
        "zip",
        "--quiet",
    ]);
    for function in stale {
        lambda.args(["--bin", function]);
    }
    succeed(root, &mut lambda, "cargo-lambda").await
}

async fn succeed(root: &Path, command: &mut Command, name: &str) -> Result<()> {
    // What `cargo run` and `cargo test` say of this package is not meant for the packages built here:
    // ring's build script would see a change in it, and everything above TLS would be built again.
    for (name, _) in std::env::vars().filter(|(name, _)| is_of_this_package(name)) {
        command.env_remove(name);
    }
    command.current_dir(root).stdout(Stdio::null());
    let done = output(command).await;
    let status = done
        .with_context(|| format!("{name} cannot be started"))?
        .status;
    ensure!(
        status.success(),
        "the functions cannot be built (see above)"
    );
    Ok(())
}

fn is_of_this_package(variable: &str) -> bool {
    variable.starts_with("CARGO_PKG_") || variable.starts_with("CARGO_MANIFEST_")
}

/// Whether a function's package is missing, or older than the binary that was just built.
fn is_stale(root: &Path, function: &str) -> bool {
    let package = root.join(format!("target/lambda/{function}/bootstrap.zip"));
    let (package, binary) = (modified(&package), binary_modified(root, function));
    package.is_none() || binary.is_none() || package < binary
}

/// When a function's binary was built. It lies in the folder of the machine's own target, whatever
/// that is called.
fn binary_modified(root: &Path, function: &str) -> Option<SystemTime> {
    let targets = std::fs::read_dir(root.join("target")).ok()?;
    let binaries = targets.filter_map(|entry| {
        let binary = entry.ok()?.path().join("debug").join(function);
        modified(&binary)
    });
    binaries.max()
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_the_binaries_of_their_package() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let functions = functions(&root).unwrap();
        assert!(functions.contains(&"nat-gateways".to_owned()));
        assert!(!functions.contains(&"steps".to_owned()));
    }

    #[test]
    fn a_package_is_stale_when_it_is_missing_or_older_than_its_binary() {
        let root = tempfile::tempdir().unwrap();
        let make = |path: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "").unwrap();
            std::fs::File::options().write(true).open(path).unwrap()
        };
        let binary = make("target/x86_64-unknown-linux-gnu/debug/vpc");
        assert!(is_stale(root.path(), "vpc"));
        let package = make("target/lambda/vpc/bootstrap.zip");
        assert!(!is_stale(root.path(), "vpc"));
        let later =
            package.metadata().unwrap().modified().unwrap() + std::time::Duration::from_secs(1);
        binary.set_modified(later).unwrap();
        assert!(is_stale(root.path(), "vpc"));
    }
}
