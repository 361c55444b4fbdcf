//! How long a state may answer PENDING, and how often it is asked meanwhile.
//!
//! A machine's own time-out is no end of a wait: nothing in the machine catches it, so it leaves neither
//! a cause nor a diagnosis, and `onFailure: remove` is passed over. So every function says how long its
//! longest wait is, longer than AWS ever takes and shorter than the machine's time-out, and the runner
//! ends what lasts longer with an error of its own. No clock is needed: what is counted, in the memory of
//! the state, are the seconds that the machine was asked to wait. So the hours that an account may need to
//! be ready, which the machine's retries wait for, are no part of another wait, and neither are the days
//! until an execution is redriven.
//!
//! Other retries are no part of it either, and each invocation has all of them, because it enters its Task again.
//! A fault that passes within the retries of one invocation and comes back at the next may so hold an execution
//! up longer than its waits say; the machine's time-out ends it then.

use std::time::Duration;

use serde_json::{Value, json};

use crate::contract::Error;

/// The limit of waits that AWS ends within seconds or minutes. Terraform gives route tables five minutes,
/// subnets and VPCs ten (its `timeouts` of `aws_route_table`, `aws_subnet`).
pub const BRIEF: Duration = Duration::from_mins(15);

/// The share of a wait's age by which it may be noticed late: polls slow down as it grows.
const AGE_PER_POLL: u64 = 20;
/// The longest time between two invocations, in seconds.
const SLOWEST_POLL: u64 = 300;

/// Member of the memory, which the function may read: how many seconds the state has waited.
const WAITED: &str = "waitedSeconds";

/// The wait that an invocation belongs to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wait {
    waited: Duration,
    /// Whether the state keeps a memory between invocations.
    remembers: bool,
}

impl Wait {
    /// Reads it from a request.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for a number that is none.
    pub fn of(request: &Value) -> Result<Self, Error> {
        let memory = &request["memory"];
        let seconds = match &memory[WAITED] {
            Value::Null => 0,
            value => value.as_u64().ok_or_else(|| {
                Error::invalid(format!("memory.{WAITED}"), value, "a number of seconds")
            })?,
        };
        Ok(Self {
            waited: Duration::from_secs(seconds),
            remembers: memory.is_object(),
        })
    }

    /// What becomes of an answer: one that is PENDING past `limit` is an error, with its reason.
    ///
    /// # Errors
    /// [`Error::WaitTimedOut`]; [`Error::Unexpected`] of a step that has no limit, since no state waits
    /// for it.
    pub fn judge(self, mut answer: Value, limit: Duration) -> Result<Value, Error> {
        if answer["status"] != "PENDING" {
            // The same state may be entered once more, and starts to wait from nothing then.
            if self.remembers && answer.is_object() && answer["memory"].is_null() {
                answer["memory"] = json!({});
            }
            return Ok(answer);
        }
        if self.waited >= limit {
            let reason = answer["reason"].as_str().unwrap_or("no reason");
            if limit.is_zero() {
                let text = format!("a step that never waits answered PENDING: {reason}");
                return Err(Error::Unexpected(text));
            }
            return Err(Error::WaitTimedOut(format!(
                "{} minutes are more than AWS ever takes, and the last answer was: {reason}",
                limit.as_secs() / 60
            )));
        }
        let asked = answer["checkAfterSeconds"].as_u64().unwrap_or(1);
        let seconds = check_after(asked, self.waited, limit);
        answer["checkAfterSeconds"] = json!(seconds);
        answer["memory"][WAITED] = json!(self.waited.as_secs() + seconds);
        Ok(answer)
    }
}

/// Seconds until the next invocation of a wait of this age: the older, the more, and none long after the limit.
#[must_use]
pub fn check_after(asked: u64, age: Duration, limit: Duration) -> u64 {
    let slow = (age.as_secs() / AGE_PER_POLL).min(SLOWEST_POLL);
    let rest = limit.saturating_sub(age).as_secs().max(1);
    asked.max(slow).min(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_hours(1);

    fn invoke(memory: &Value, answer: Value) -> Result<Value, Error> {
        Wait::of(&json!({"memory": memory}))?.judge(answer, LIMIT)
    }

    fn pending(seconds: u64) -> Value {
        json!({
            "status": "PENDING",
            "checkAfterSeconds": seconds,
            "reason": "the kettle is cold",
            "memory": {"looks": 1},
        })
    }

    #[test]
    fn waits_of_the_machine_are_added_up() {
        let first = invoke(&json!({}), pending(15)).unwrap();
        assert_eq!(first["memory"], json!({"looks": 1, WAITED: 15}));
        assert_eq!(first["checkAfterSeconds"], 15);
        let second = invoke(&first["memory"], pending(20)).unwrap();
        assert_eq!(second["memory"][WAITED], 35);
    }

    #[test]
    fn a_wait_past_its_limit_ends_with_the_last_reason() {
        assert!(invoke(&json!({WAITED: 3599}), pending(15)).is_ok());
        let error = invoke(&json!({WAITED: 3600}), pending(15)).unwrap_err();
        assert_eq!(error.name(), "WaitTimedOut");
        let text = error.to_string();
        assert!(text.contains("60 minutes"), "{text}");
        assert!(text.contains("the kettle is cold"), "{text}");
    }

    #[test]
    fn a_step_without_a_limit_must_not_answer_pending() {
        let wait = Wait::of(&json!({})).unwrap();
        let error = wait.judge(pending(15), Duration::ZERO).unwrap_err();
        assert_eq!(error.name(), "Unexpected");
        assert!(error.to_string().contains("the kettle is cold"), "{error}");
    }

    #[test]
    fn polls_slow_down_with_age_and_the_last_one_is_at_the_limit() {
        for (waited, seconds) in [(300, 15), (600, 30), (1800, 90), (3590, 10)] {
            let answer = invoke(&json!({WAITED: waited}), pending(15)).unwrap();
            assert_eq!(answer["checkAfterSeconds"], seconds, "{waited}");
        }
        let day = Duration::from_hours(24);
        assert_eq!(check_after(15, day / 2, day), SLOWEST_POLL);
    }

    #[test]
    fn ready_after_a_long_time_is_ready_and_the_next_wait_starts_at_zero() {
        let ready = json!({"status": "READY", "cups": 4});
        let answer = invoke(&json!({WAITED: 18_000}), ready).unwrap();
        assert_eq!(answer, json!({"status": "READY", "cups": 4, "memory": {}}));
    }

    #[test]
    fn a_number_that_is_none_is_invalid() {
        let error = Wait::of(&json!({"memory": {WAITED: "noon"}})).unwrap_err();
        assert_eq!(error.name(), "InvalidRequest");
        assert!(
            error.to_string().contains("memory.waitedSeconds"),
            "{error}"
        );
    }
}
