//! What a step remembers from one invocation to the next.
//!
//! A VPC, an internet gateway and an Elastic IP address are created without a client token, and EC2's
//! lists may not show a new one for a while: a step that only looks would create it again at every
//! invocation. So the invocation that creates one ends there, and its answer carries the id; the state machine
//! hands it back with the next request, repetitions after errors included. What is lost with a lost
//! answer is found by the second look that the machine takes minutes later.
//!
//! An update of a cluster is remembered as well: only its id tells whether it failed.
//!
//! How long a state has answered PENDING, and when it is asked next, is the runner's to remember
//! ([`crate::contract::wait`]).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What was created, and how often has been looked since.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Memory {
    /// Ids by the value of the tag `hardway:role`; those of updates by what they change.
    pub created: BTreeMap<String, String>,
    /// Invocations since the first creation.
    pub looks: u32,
    /// How many seconds the state had waited when what it waits for now was begun.
    #[serde(skip_serializing_if = "is_zero")]
    pub begun_after_seconds: u64,
    /// How many seconds the state has answered PENDING; the runner says it with each invocation.
    #[serde(skip_serializing)]
    pub waited_seconds: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(seconds: &u64) -> bool {
    *seconds == 0
}

impl Memory {
    /// The id of what was created for `role`.
    #[must_use]
    pub fn id(&self, role: &str) -> Option<&str> {
        self.created.get(role).map(String::as_str)
    }

    /// Remembers a creation.
    pub fn remember(&mut self, role: &str, id: &str) {
        self.created.insert(role.to_owned(), id.to_owned());
    }

    /// Whether something was created in this execution, as far as is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.created.is_empty()
    }

    /// What is known when something new is begun, and waited for from now on: nothing but when.
    #[must_use]
    pub fn of_new_wait(&self) -> Self {
        Self {
            begun_after_seconds: self.waited_seconds,
            waited_seconds: self.waited_seconds,
            ..Self::default()
        }
    }

    /// How many seconds have passed since what is waited for was begun.
    #[must_use]
    pub fn seconds_since_begun(&self) -> u64 {
        self.waited_seconds.saturating_sub(self.begun_after_seconds)
    }

    /// What the next invocation should know: one more look.
    #[must_use]
    pub fn after_a_look(mut self) -> Self {
        self.looks += 1;
        self
    }
}

/// The input of a step that needs nothing of earlier steps but remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnlyMemory {
    /// What the last invocation said.
    #[serde(default)]
    pub memory: Memory,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn kettle() -> Memory {
        let mut memory = Memory::default();
        memory.remember("kettle", "k-1");
        memory
    }

    #[test]
    fn memory_is_empty_at_first() {
        let memory = Memory::default();
        assert!(memory.is_empty());
        assert_eq!((memory.id("kettle"), memory.looks), (None, 0));
    }

    #[test]
    fn remembers_the_last_creation_of_each_role() {
        let mut memory = kettle();
        memory.remember("cup", "c-1");
        memory.remember("cup", "c-2");
        assert!(!memory.is_empty());
        assert_eq!(memory.id("kettle"), Some("k-1"));
        assert_eq!(memory.id("cup"), Some("c-2"));
        assert_eq!(memory.id("pot"), None);
    }

    #[test]
    fn a_look_is_counted_and_forgets_nothing() {
        let memory = kettle().after_a_look().after_a_look();
        assert_eq!(memory.looks, 2);
        assert_eq!(memory.id("kettle"), Some("k-1"));
    }

    #[test]
    fn new_wait_counts_from_its_own_beginning() {
        let wire = json!({"created": {"kettle": "k-1"}, "waitedSeconds": 700});
        let memory: Memory = serde_json::from_value(wire).unwrap();
        assert_eq!(memory.seconds_since_begun(), 700);
        let new = memory.of_new_wait();
        assert_eq!((new.is_empty(), new.seconds_since_begun()), (true, 0));
        let wire = serde_json::to_value(&new).unwrap();
        let expected = json!({"created": {}, "looks": 0, "begunAfterSeconds": 700});
        assert_eq!(wire, expected);
    }

    #[test]
    fn comes_back_from_the_wire_as_it_was() {
        let memory = kettle().after_a_look();
        let wire = serde_json::to_value(&memory).unwrap();
        assert_eq!(wire, json!({"created": {"kettle": "k-1"}, "looks": 1}));
        assert_eq!(serde_json::from_value::<Memory>(wire).unwrap(), memory);
    }

    #[test]
    fn a_missing_memory_and_an_empty_one_are_none() {
        for wire in [json!({}), json!({"memory": {}})] {
            let input: OnlyMemory = serde_json::from_value(wire).unwrap();
            assert_eq!(input, OnlyMemory::default());
        }
    }
}
