//! Child processes that end with us, with all that they have started.

use std::process::{Output, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

/// A process group. Dropping it ends every process in it.
#[derive(Debug)]
pub struct Group(Option<Pid>);

impl Group {
    /// Starts a command in a group of its own: it can be ended with its children, and Ctrl-C reaches us
    /// first.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn spawn(command: &mut Command) -> std::io::Result<(Child, Self)> {
        let child = command
            .stdin(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Ok((child, Self(id.map(Pid::from_raw))))
    }

    /// Asks every process to end.
    pub fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            let _ = killpg(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

/// Runs a command to its end. When the future is dropped before, all that it has started ends.
///
/// # Errors
/// If it cannot be started.
pub async fn output(command: &mut Command) -> std::io::Result<Output> {
    let (child, _group) = Group::spawn(command)?;
    child.wait_with_output().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn children_of_a_command_end_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let mut command = Command::new("sh");
        let script = format!("sleep 60 & echo $! > {}; wait", file.display());
        command.args(["-c", &script]);
        let run = output(&mut command);
        // Until the grandchild runs; then the future is dropped.
        let started = async {
            while std::fs::read_to_string(&file).map_or(true, |pid| pid.trim().is_empty()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            _ = run => panic!("it ended by itself"),
            () = started => {}
        }
        let pid: i32 = std::fs::read_to_string(&file)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let is_gone = || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ")
        };
        while !is_gone() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
