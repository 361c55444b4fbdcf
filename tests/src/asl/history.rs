//! How much of Step Functions' quotas an execution uses, and its end where they end.
//!
//! Source: Step Functions developer guide, "Service quotas": 25,000 entries in the history of a Standard
//! execution, 256 KiB as UTF-8 text for the input or result of a task, a state or an execution.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::Failure;

/// More than these fail an execution.
const EVENTS_MAX: usize = 25_000;
/// 256 KiB.
const BYTES_MAX: usize = 256 * 1024;

/// What an execution used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct History {
    /// Entries of its history: entering and leaving a state is one each, a Task's attempt three, the
    /// branches of a Parallel, a Map and each of its iterations in line two, start and end of the execution one each.
    pub events: usize,
    /// Bytes of the longest input or output of a state.
    pub bytes: usize,
}

/// Counts while an execution runs.
#[derive(Debug, Default)]
pub(super) struct Meter {
    events: AtomicUsize,
    bytes: AtomicUsize,
}

impl Meter {
    /// Adds entries to the history.
    pub(super) fn count(&self, events: usize) -> Result<(), Failure> {
        let before = self.events.fetch_add(events, Ordering::Relaxed);
        if before + events > EVENTS_MAX {
            let cause = "The execution reached the maximum number of history events (25000).";
            return Err(Failure::runtime(cause));
        }
        Ok(())
    }

    /// Looks how long some data are.
    pub(super) fn measure(&self, name: &str, data: &Value) -> Result<(), Failure> {
        let mut length = Length(0);
        serde_json::to_writer(&mut length, data).unwrap();
        self.bytes.fetch_max(length.0, Ordering::Relaxed);
        if length.0 > BYTES_MAX {
            let cause = format!("{name}: {} bytes are more than {BYTES_MAX}", length.0);
            return Err(Failure::new("States.DataLimitExceeded", cause));
        }
        Ok(())
    }

    pub(super) fn read(&self) -> History {
        History {
            events: self.events.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

/// Counts bytes instead of keeping them.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_last_event_and_the_last_byte_are_allowed() {
        let meter = Meter::default();
        assert_eq!(meter.count(EVENTS_MAX), Ok(()));
        assert_eq!(meter.count(1).unwrap_err().error, "States.Runtime");
        // With its quotation marks.
        let text = |bytes: usize| json!("x".repeat(bytes - 2));
        assert_eq!(meter.measure("A", &text(BYTES_MAX)), Ok(()));
        let error = meter.measure("A", &text(BYTES_MAX + 1)).unwrap_err();
        assert_eq!(error.error, "States.DataLimitExceeded");
        assert_eq!(meter.read().bytes, BYTES_MAX + 1);
    }
}
