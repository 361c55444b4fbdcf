//! What a step answers when nothing went wrong.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::contract::Memory;

/// The answer of a step: its outputs, or when to ask again and why.
///
/// On the wire it is `{"status": "READY", …outputs…}` or
/// `{"status": "PENDING", "checkAfterSeconds": n, "reason": "…", "memory": {…}}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<T> {
    /// The resource is as the plan wants it; the outputs are what later steps need of it.
    Ready(T),
    /// AWS is still at work. Ask again after `check_after` (whole seconds on the wire, at least 1).
    Pending {
        /// How long the state machine should wait before it asks again.
        check_after: Duration,
        /// What is being waited for, in words that a person at the console understands.
        reason: String,
        /// What the next invocation should know.
        memory: Memory,
    },
}

impl<T> Outcome<T> {
    /// A `Pending` that asks again after `seconds`.
    pub fn pending(seconds: u64, reason: impl Into<String>) -> Self {
        Self::Pending {
            check_after: Duration::from_secs(seconds),
            reason: reason.into(),
            memory: Memory::default(),
        }
    }

    /// The same, with what the next invocation should know; `Ready` needs no next invocation.
    #[must_use]
    pub fn remembering(mut self, what: Memory) -> Self {
        if let Self::Pending { memory, .. } = &mut self {
            *memory = what;
        }
        self
    }

    /// Whether AWS is still at work.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        matches!(self, Self::Pending { .. })
    }

    /// The outputs, if the step is ready.
    pub fn ready(self) -> Option<T> {
        match self {
            Self::Ready(output) => Some(output),
            Self::Pending { .. } => None,
        }
    }
}

impl<T: Serialize> Serialize for Outcome<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(
            tag = "status",
            rename_all = "UPPERCASE",
            rename_all_fields = "camelCase"
        )]
        enum Wire<'a, T> {
            Ready(&'a T),
            Pending {
                check_after_seconds: u64,
                reason: &'a str,
                memory: &'a Memory,
            },
        }
        match self {
            Self::Ready(output) => Wire::Ready(output),
            Self::Pending {
                check_after,
                reason,
                memory,
            } => Wire::Pending {
                check_after_seconds: check_after.as_secs().max(1),
                reason,
                memory,
            },
        }
        .serialize(serializer)
    }
}

/// The answer of a removal that is done: what it removed in this invocation (empty when there was
/// nothing to remove).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// The resources that this invocation deleted.
    pub removed: Vec<Resource>,
}

/// One AWS resource as a person would name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// CloudFormation's word for the kind, for example `AWS::EC2::NatGateway`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The resource's id, or its ARN where it has no other id.
    pub id: String,
}

impl Resource {
    /// A resource of `kind` (CloudFormation's type name) with `id`.
    pub fn new(kind: &str, id: impl Into<String>) -> Self {
        Self {
            kind: kind.to_owned(),
            id: id.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Output {
        vpc_id: &'static str,
    }

    #[test]
    fn ready_carries_its_outputs_beside_the_status() {
        let outcome = Outcome::Ready(Output { vpc_id: "vpc-1" });
        assert_eq!(
            serde_json::to_value(outcome).unwrap(),
            json!({"status": "READY", "vpcId": "vpc-1"})
        );
    }

    #[test]
    fn pending_says_when_to_ask_again_and_why() {
        let outcome: Outcome<Output> = Outcome::pending(15, "the gateway is pending");
        assert_eq!(
            serde_json::to_value(outcome).unwrap(),
            json!({
                "status": "PENDING",
                "checkAfterSeconds": 15,
                "reason": "the gateway is pending",
                "memory": {"created": {}, "looks": 0},
            })
        );
    }

    #[test]
    fn pending_says_what_the_next_invocation_should_know() {
        let mut memory = Memory::default();
        memory.remember("vpc", "vpc-1");
        let outcome: Outcome<Output> = Outcome::pending(10, "vpc-1 is created");
        let outcome = outcome.remembering(memory.after_a_look());
        assert_eq!(
            serde_json::to_value(outcome).unwrap()["memory"],
            json!({"created": {"vpc": "vpc-1"}, "looks": 1})
        );
    }

    #[test]
    fn ready_remembers_nothing() {
        let mut memory = Memory::default();
        memory.remember("vpc", "vpc-1");
        let outcome = Outcome::Ready(()).remembering(memory);
        assert_eq!(outcome, Outcome::Ready(()));
    }

    #[test]
    fn a_wait_is_never_shorter_than_a_second() {
        let outcome: Outcome<Output> = Outcome::pending(0, "now");
        assert_eq!(
            serde_json::to_value(outcome).unwrap()["checkAfterSeconds"],
            1
        );
    }
}
