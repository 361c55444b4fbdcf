//! The event bus, as Step Functions' service integration of PutEvents reaches it.

use serde_json::{Value, json};

use crate::asl::Failure;

/// What was put on the bus, and what will go wrong there.
#[derive(Debug, Default)]
pub struct Bus {
    events: Vec<Value>,
    errors: usize,
}

impl Bus {
    /// The next calls are refused.
    pub fn refuse(&mut self, calls: usize) {
        self.errors = calls;
    }

    /// The events since the last time that somebody asked.
    #[must_use]
    pub fn take(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.events)
    }

    /// PutEvents. Source: the Step Functions developer guide, "Add EventBridge events": `Detail` is
    /// JSON, and a task with an entry that failed fails with `EventBridge.FailedEntry`.
    ///
    /// # Panics
    /// If the request is none that EventBridge takes (its API reference, PutEvents: one to ten entries
    /// of 256 KB together, with these members).
    pub(crate) fn put(&mut self, request: &Value) -> Result<Value, Failure> {
        let entries = request["Entries"].as_array().unwrap();
        assert!(
            (1..=10).contains(&entries.len()),
            "{} entries",
            entries.len()
        );
        assert!(request.to_string().len() <= 256 * 1024);
        for entry in entries {
            let members: Vec<&String> = entry.as_object().unwrap().keys().collect();
            assert_eq!(members, ["Source", "DetailType", "EventBusName", "Detail"]);
            assert!(entry["Detail"].is_object(), "{entry:#}");
        }
        if self.errors > 0 {
            self.errors -= 1;
            return Err(Failure::new("EventBridge.FailedEntry", "no room"));
        }
        self.events.extend(entries.iter().cloned());
        Ok(json!({"FailedEntryCount": 0, "Entries": []}))
    }
}
