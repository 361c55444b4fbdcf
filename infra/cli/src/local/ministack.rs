//! ministack: Lambda, Step Functions, CloudFormation, S3 and CloudWatch Logs on this machine.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Child;
use tokio::time::{Instant, sleep};

use super::process::Group;
use super::tools::Tools;
use crate::aws;

/// How long ministack may take to listen.
const START_LIMIT: Duration = Duration::from_mins(1);
/// How long it may take to end by itself.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// A running ministack. Dropping it ends it and everything that it started.
#[derive(Debug)]
pub struct Ministack {
    child: Child,
    group: Group,
    endpoint: String,
}

/// What a ministack is started with.
#[derive(Debug, Clone)]
pub struct Setup<'a> {
    /// A folder of its own, for its log and what it unpacks.
    pub folder: &'a Path,
    /// The region that it plays.
    pub region: &'a str,
    /// Where EC2, IAM, STS and EKS are, and the log groups of clusters.
    pub simulator: &'a str,
    /// How many times faster than AWS its waits and retries are.
    pub speed: f64,
}

impl Ministack {
    /// Starts it on a free port of 127.0.0.1 and waits until it listens.
    ///
    /// # Errors
    /// If it does not start; with the end of its log.
    pub async fn start(tools: &Tools, setup: &Setup<'_>) -> Result<Self> {
        let port = free_port().await?;
        let endpoint = format!("http://127.0.0.1:{port}");
        let log_path = setup.folder.join("ministack.log");
        let log = File::create(&log_path)?;
        let mut command = tools.command("ministack");
        command
            .env("GATEWAY_PORT", port.to_string())
            .env("BIND_HOST", "127.0.0.1")
            .env("MINISTACK_REGION", setup.region)
            .env("SFN_WAIT_SCALE", (1.0 / setup.speed).to_string())
            .env("TMPDIR", setup.folder)
            // The functions inherit these.
            .env("AWS_ENDPOINT_URL", &endpoint)
            .envs(aws::simulated_for_functions(setup.simulator))
            .env_remove("AWS_PROFILE")
            .current_dir(setup.folder)
            .stdout(log.try_clone()?)
            .stderr(log);
        let (child, group) = Group::spawn(&mut command).context("ministack cannot be started")?;
        let mut ministack = Self {
            child,
            group,
            endpoint,
        };
        ministack.listens(port, &log_path).await?;
        Ok(ministack)
    }

    /// Its URL.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    async fn listens(&mut self, port: u16, log: &Path) -> Result<()> {
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("ministack ended with {status}:\n{}", tail(log));
            }
            if start.elapsed() > START_LIMIT {
                bail!("ministack does not listen on port {port}:\n{}", tail(log));
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

impl Drop for Ministack {
    fn drop(&mut self) {
        self.group.signal(Signal::SIGTERM);
        let start = std::time::Instant::now();
        while start.elapsed() < STOP_LIMIT && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        // Its functions are in the same group; whoever is left ends now.
        self.group.signal(Signal::SIGKILL);
        let _ = self.child.try_wait();
    }
}

/// A port that nobody listens on. Between asking and using somebody may take it; then ministack says
/// so.
async fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    Ok(listener.local_addr()?.port())
}

/// The end of a log.
fn tail(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
