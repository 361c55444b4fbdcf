//! The tools that are not Rust: a virtual environment under `target/`, from pinned requirements.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::process::Command;

use super::process::output;

/// ministack and the SAM CLI need it.
const PYTHON_MIN: (u32, u32) = (3, 10);

/// The right to change what lies under `target/`: two runs at once share tools and packages. Dropping
/// it lets the next one.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code, reason = "closing the file unlocks it")] File);

impl Lock {
    /// Waits until nobody else has it.
    ///
    /// # Errors
    /// If the lock file cannot be made.
    pub async fn acquire(root: &Path) -> Result<Self> {
        fs::create_dir_all(root.join("target"))?;
        let file = File::create(root.join("target/hardway.lock"))?;
        // Asking again instead of waiting in the kernel: Ctrl-C must be able to end it.
        let mut has_waited = false;
        while let Err(TryLockError::WouldBlock) = file.try_lock() {
            if !has_waited {
                eprintln!("waiting for another run that is preparing itself");
                has_waited = true;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(Self(file))
    }
}

/// The virtual environment with ministack, cargo-lambda, the SAM CLI and the AWS CLI.
#[derive(Debug, Clone)]
pub struct Tools {
    bin: PathBuf,
}

impl Tools {
    /// Installs the tools if they are missing, their requirements have changed, or the project has
    /// moved: an environment's scripts hold its path.
    ///
    /// # Errors
    /// If Python is missing or too old, or the packages cannot be installed; with what to do.
    pub async fn prepare(root: &Path, _: &Lock) -> Result<Self> {
        let venv = root.join("target/venv");
        let requirements = root.join("infra/requirements.txt");
        let text = fs::read_to_string(&requirements)
            .with_context(|| format!("{} cannot be read", requirements.display()))?;
        // The scripts hold the real path, which is another one where a link leads there.
        let wanted = || {
            let real = venv.canonicalize().unwrap_or_else(|_| venv.clone());
            format!("# {}\n{text}", real.display())
        };
        let stamp = venv.join("installed.txt");
        if fs::read_to_string(&stamp).ok() != Some(wanted()) {
            unlink(&venv)?;
            install(&venv, &requirements).await?;
            fs::write(&stamp, wanted())?;
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

/// Takes away a link, and leaves what it leads to: somebody else's environment is not ours to clear.
fn unlink(venv: &Path) -> Result<()> {
    if venv.is_symlink() {
        fs::remove_file(venv)
            .with_context(|| format!("the link {} cannot be removed", venv.display()))?;
    }
    Ok(())
}

async fn install(venv: &Path, requirements: &Path) -> Result<()> {
    check_python().await?;
    let mut python = Command::new("python3");
    python.args(["-m", "venv", "--clear"]).arg(venv);
    let made = captured(&mut python).await?;
    ensure!(
        made.status.success(),
        "python3 cannot make a virtual environment (on Debian: apt-get install python3-venv):\n{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let mut pip = Command::new(venv.join("bin/pip"));
    pip.args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--requirement",
    ])
    .arg(requirements);
    let installed = captured(&mut pip).await?;
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
    let answer = captured(Command::new("python3").arg("--version")).await;
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

/// Runs a command and keeps what it says.
async fn captured(command: &mut Command) -> std::io::Result<std::process::Output> {
    output(
        command
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped()),
    )
    .await
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
    fn target_of_a_link_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (theirs, link) = (folder.path().join("theirs"), folder.path().join("venv"));
        fs::create_dir(&theirs).unwrap();
        fs::write(theirs.join("tool"), "").unwrap();
        std::os::unix::fs::symlink(&theirs, &link).unwrap();
        unlink(&link).unwrap();
        assert!(!link.exists() && theirs.join("tool").exists());
        // What is no link stays as it is.
        unlink(&theirs).unwrap();
        assert!(theirs.join("tool").exists());
    }

    #[test]
    fn versions_are_compared_by_number() {
        assert_eq!(parse_version("Python 3.11.7\n"), Some((3, 11)));
        assert!(parse_version("Python 3.9.2") < Some(PYTHON_MIN));
        assert_eq!(parse_version("what?"), None);
    }
}
