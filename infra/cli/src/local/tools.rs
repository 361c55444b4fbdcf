//! The tools that are not Rust: a virtual environment under `target/`, from pinned requirements.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use tokio::process::Command;

/// ministack and the SAM CLI need it.
const PYTHON_MIN: (u32, u32) = (3, 10);

/// The virtual environment with ministack, cargo-lambda, the SAM CLI and the AWS CLI.
#[derive(Debug, Clone)]
pub struct Tools {
    bin: PathBuf,
}

impl Tools {
    /// Installs the tools if they are missing or their requirements have changed.
    ///
    /// # Errors
    /// If Python is missing or too old, or the packages cannot be installed; with what to do.
    pub async fn prepare(root: &Path) -> Result<Self> {
        let venv = root.join("target/venv");
        let requirements = root.join("infra/requirements.txt");
        fs::create_dir_all(root.join("target"))?;
        // Two runs at once share the environment: one installs, the other waits.
        let lock = File::create(root.join("target/venv.lock"))?;
        lock.lock().context("target/venv.lock cannot be locked")?;
        let wanted = fs::read_to_string(&requirements)
            .with_context(|| format!("{} cannot be read", requirements.display()))?;
        let stamp = venv.join("requirements.txt");
        if fs::read_to_string(&stamp).ok().as_deref() != Some(&wanted) {
            install(&venv, &requirements).await?;
            fs::write(&stamp, wanted)?;
        }
        Ok(Self {
            bin: venv.join("bin"),
        })
    }

    /// A command of one of the tools, with all of them on its path.
    #[must_use]
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", self.bin.display()));
        command
    }
}

async fn install(venv: &Path, requirements: &Path) -> Result<()> {
    check_python().await?;
    let made = Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(venv)
        .output()
        .await?;
    ensure!(
        made.status.success(),
        "python3 cannot make a virtual environment (on Debian: apt-get install python3-venv):\n{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let installed = Command::new(venv.join("bin/pip"))
        .args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--requirement",
        ])
        .arg(requirements)
        .output()
        .await?;
    if !installed.status.success() {
        bail!(
            "the packages of {} cannot be installed; the first run needs the network:\n{}",
            requirements.display(),
            String::from_utf8_lossy(&installed.stderr)
        );
    }
    Ok(())
}

async fn check_python() -> Result<()> {
    let (major, minor) = PYTHON_MIN;
    let answer = Command::new("python3").arg("--version").output().await;
    let answer = answer
        .with_context(|| format!("python3 is missing; install Python {major}.{minor} or newer"))?;
    let version = String::from_utf8_lossy(&answer.stdout).into_owned();
    ensure!(
        parse_version(&version) >= Some(PYTHON_MIN),
        "python3 is {}; hardway local needs Python {major}.{minor} or newer",
        version.trim()
    );
    Ok(())
}

/// `Python 3.11.7` is (3, 11).
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split_whitespace().nth(1)?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert_eq!(parse_version("Python 3.11.7\n"), Some((3, 11)));
        assert!(parse_version("Python 3.9.2") < Some(PYTHON_MIN));
        assert_eq!(parse_version("what?"), None);
    }
}
