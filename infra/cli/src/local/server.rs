//! Servers on this machine: child processes that listen on a port of 127.0.0.1.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use super::process::Group;

/// How long a server may take to listen.
const START_LIMIT: Duration = Duration::from_mins(1);
/// How long it may take to end by itself.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// A running server. Dropping it ends it and everything that it started.
#[derive(Debug)]
pub struct Server {
    child: Child,
    group: Group,
    endpoint: String,
}

impl Server {
    /// Starts `command`, which is told a free port, and waits until it listens there. What it says goes
    /// to the file `log`.
    ///
    /// # Errors
    /// If it does not start; with the end of its log.
    pub async fn start(
        name: &str,
        log: &Path,
        command: impl FnOnce(u16) -> Command,
    ) -> Result<Self> {
        let port = free_port().await?;
        let file = File::create(log)?;
        let mut command = command(port);
        command.stdout(file.try_clone()?).stderr(file);
        let spawned = Group::spawn(&mut command);
        let (child, group) = spawned.with_context(|| format!("{name} cannot be started"))?;
        let mut server = Self {
            child,
            group,
            endpoint: endpoint(port),
        };
        server.listens(name, port, log).await?;
        Ok(server)
    }

    /// Its URL.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    fn is_listening(&self) -> bool {
        let address = self.endpoint.trim_start_matches("http://");
        std::net::TcpStream::connect(address).is_ok()
    }

    async fn listens(&mut self, name: &str, port: u16, log: &Path) -> Result<()> {
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{name} ended with {status}:\n{}", tail(log));
            }
            if start.elapsed() > START_LIMIT {
                bail!("{name} does not listen on port {port}:\n{}", tail(log));
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.group.signal(Signal::SIGTERM);
        let start = std::time::Instant::now();
        while start.elapsed() < STOP_LIMIT && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        // Its children are in the same group; whoever is left ends now, and a moment later for good.
        self.group.signal(Signal::SIGKILL);
        let _ = self.child.try_wait();
        while start.elapsed() < STOP_LIMIT && self.is_listening() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The URL of a server that listens on `port`.
#[must_use]
pub fn endpoint(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// A port that nobody listens on. Between asking and using somebody may take it; then the server says
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

#[cfg(test)]
mod tests {
    use super::*;

    async fn start(script: &str) -> Result<Server> {
        let folder = tempfile::tempdir()?;
        let log = folder.path().join("log");
        let command = |port: u16| {
            let mut command = Command::new("sh");
            command.args(["-c", script]).env("PORT", port.to_string());
            command
        };
        Server::start("the server", &log, command).await
    }

    #[tokio::test]
    async fn a_server_listens_when_it_is_started_and_no_longer_when_it_is_dropped() {
        let server = start("python3 -m http.server --bind 127.0.0.1 $PORT; true")
            .await
            .unwrap();
        let address = server
            .endpoint()
            .strip_prefix("http://")
            .unwrap()
            .to_owned();
        assert!(TcpStream::connect(&address).await.is_ok());
        drop(server);
        assert!(TcpStream::connect(&address).await.is_err());
    }

    #[tokio::test]
    async fn a_server_that_ends_instead_is_an_error_with_its_last_words() {
        let error = start("echo no memory; exit 3").await.unwrap_err();
        let error = error.to_string();
        assert!(error.starts_with("the server ended with"), "{error}");
        assert!(error.ends_with("no memory"), "{error}");
    }
}
