//! How long a state may answer PENDING, and how often it is asked meanwhile.
//!
//! A machine's own time-out is no end of a wait: nothing in the machine catches it, so it leaves neither
//! a cause nor a diagnosis, and `onFailure: remove` is passed over. So every function says how long its
//! longest wait is, longer than AWS ever takes and shorter than the machine's time-out, and the runner
//! ends what lasts longer with an error of its own.
//!
//! What is counted, in the memory of the state, are the seconds that the machine was asked to wait. By how
//! much an answer is later than it was due went into the retries of its Task, of which each invocation has all.
//! As long as all of those of one invocation is no part of the wait: that is an outage which they bridge. What
//! is beyond it is part of the wait, so a fault that passes within the retries of one invocation and comes back
//! at the next ends with it.
//!
//! An answer that is later than such retries can last was held up by an account that is not ready, for which the
//! machine has retries of hours: as much as those of one Task is no part of the wait either, what is beyond it is.
//! One that is later still belongs to an execution that was redriven.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::contract::Error;

/// The limit of waits that AWS ends within seconds or minutes. Terraform gives route tables five minutes,
/// subnets and VPCs ten (its `timeouts` of `aws_route_table`, `aws_subnet`).
pub const BRIEF: Duration = Duration::from_mins(15);

/// The longest time that the Task of a step lasts with its retries in `statemachine/*.asl.json`, those of
/// `AccountNotReady` aside.
pub const RETRIES: Duration = Duration::from_secs(2_719);

/// The same with those of `AccountNotReady`.
pub const RETRIES_NOT_READY: Duration = Duration::from_hours(5);

/// The share of a wait's age by which it may be noticed late: polls slow down as it grows.
const AGE_PER_POLL: u64 = 20;
/// The longest time between two invocations, in seconds.
const SLOWEST_POLL: u64 = 300;

/// Member of the memory, which the function may read: how many seconds the state has waited.
const WAITED: &str = "waitedSeconds";

/// Member of the memory: when the next invocation is due, in seconds since the epoch.
const DUE: &str = "dueAt";
/// Member of the memory: how many seconds its answers were late, all in all.
const LATE: &str = "lateSeconds";
/// Member of the memory: the same of those that an account that was not ready has held up.
const NOT_READY: &str = "notReadySeconds";

/// How long the answers of a function may be waited for.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long it may answer PENDING.
    pub pending: Duration,
    /// How long its Task lasts with its retries, those of `AccountNotReady` aside.
    pub retries: Duration,
}

/// The wait that an invocation belongs to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wait {
    waited: Duration,
    late: Duration,
    not_ready: Duration,
    /// When the invocation was due, in seconds since the epoch.
    due: Option<i64>,
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
        let number = |name: &str| match &memory[name] {
            Value::Null => Ok(None),
            value => value.as_u64().map(Some).ok_or_else(|| {
                Error::invalid(format!("memory.{name}"), value, "a number of seconds")
            }),
        };
        Ok(Self {
            waited: Duration::from_secs(number(WAITED)?.unwrap_or_default()),
            late: Duration::from_secs(number(LATE)?.unwrap_or_default()),
            not_ready: Duration::from_secs(number(NOT_READY)?.unwrap_or_default()),
            due: number(DUE)?.and_then(|it| i64::try_from(it).ok()),
            remembers: memory.is_object(),
        })
    }

    /// What becomes of an answer that is given at `now`: one that is PENDING past its limit is an error, with its
    /// reason.
    ///
    /// # Errors
    /// [`Error::WaitTimedOut`]; [`Error::Unexpected`] of a step that has no limit, since no state waits
    /// for it.
    pub fn judge(self, mut answer: Value, limits: Limits, now: Timestamp) -> Result<Value, Error> {
        if answer["status"] != "PENDING" {
            // The same state may be entered once more, and starts to wait from nothing then.
            if self.remembers && answer.is_object() && answer["memory"].is_null() {
                answer["memory"] = json!({});
            }
            return Ok(answer);
        }
        let (late, not_ready) = self.late_after(limits.retries, now);
        // What has come on top of what is no part of the wait.
        let part = |before: Duration, after: Duration, free: Duration| {
            after
                .saturating_sub(free)
                .saturating_sub(before.saturating_sub(free))
        };
        let waited = self.waited
            + part(self.late, late, limits.retries)
            + part(self.not_ready, not_ready, RETRIES_NOT_READY);
        if waited >= limits.pending {
            return Err(timed_out(&answer, limits.pending));
        }
        let asked = answer["checkAfterSeconds"].as_u64().unwrap_or(1);
        let seconds = check_after(asked, waited, limits.pending);
        answer["checkAfterSeconds"] = json!(seconds);
        answer["memory"][WAITED] = json!(waited.as_secs() + seconds);
        answer["memory"][DUE] = json!(now.as_second().saturating_add_unsigned(seconds));
        for (name, late) in [(LATE, late), (NOT_READY, not_ready)] {
            if !late.is_zero() {
                answer["memory"][name] = json!(late.as_secs());
            }
        }
        Ok(answer)
    }

    /// How late the answers were with this one: because of retries, and because of an account that is not ready.
    fn late_after(self, retries: Duration, now: Timestamp) -> (Duration, Duration) {
        let late = self.due.map_or(0, |due| now.as_second() - due);
        let late = Duration::from_secs(u64::try_from(late).unwrap_or_default());
        if late <= retries {
            (self.late + late, self.not_ready)
        } else if late <= retries + RETRIES_NOT_READY {
            (self.late, self.not_ready + late)
        } else {
            (self.late, self.not_ready)
        }
    }
}

fn timed_out(answer: &Value, limit: Duration) -> Error {
    let reason = answer["reason"].as_str().unwrap_or("no reason");
    if limit.is_zero() {
        let text = format!("a step that never waits answered PENDING: {reason}");
        return Error::Unexpected(text);
    }
    Error::WaitTimedOut(format!(
        "{} minutes are more than AWS ever takes, and the last answer was: {reason}",
        limit.as_secs() / 60
    ))
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
    const NOW: Timestamp = Timestamp::constant(1_000_000, 0);

    fn invoke_at(seconds: i64, memory: &Value, answer: Value) -> Result<Value, Error> {
        let limits = Limits {
            pending: LIMIT,
            retries: RETRIES,
        };
        let now = Timestamp::from_second(seconds).unwrap();
        Wait::of(&json!({"memory": memory}))?.judge(answer, limits, now)
    }

    fn invoke(memory: &Value, answer: Value) -> Result<Value, Error> {
        invoke_at(NOW.as_second(), memory, answer)
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
        let memory = json!({"looks": 1, WAITED: 15, DUE: 1_000_015});
        assert_eq!(first["memory"], memory);
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
        let limits = Limits {
            pending: Duration::ZERO,
            retries: RETRIES,
        };
        let error = wait.judge(pending(15), limits, NOW).unwrap_err();
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
        let memory = json!({WAITED: 18_000, DUE: 999_000});
        let answer = invoke(&memory, ready).unwrap();
        assert_eq!(answer, json!({"status": "READY", "cups": 4, "memory": {}}));
    }

    #[test]
    fn a_number_that_is_none_is_invalid() {
        for name in [WAITED, DUE] {
            let error = Wait::of(&json!({"memory": {name: "noon"}})).unwrap_err();
            assert_eq!(error.name(), "InvalidRequest");
            let field = format!("memory.{name}");
            assert!(error.to_string().contains(&field), "{error}");
        }
    }

    /// What the memory says after an answer that comes so many seconds after it was due.
    fn late(seconds: i64, before: u64) -> (u64, u64) {
        let memory = json!({WAITED: 100, LATE: before, DUE: 1_000_000});
        let answer = invoke_at(1_000_000 + seconds, &memory, pending(15)).unwrap();
        let number = |name: &str| answer["memory"][name].as_u64().unwrap_or_default();
        (number(WAITED), number(LATE))
    }

    #[test]
    fn an_outage_that_the_retries_of_one_invocation_bridge_is_no_part_of_a_wait() {
        let most = i64::try_from(RETRIES.as_secs()).unwrap();
        assert_eq!(late(0, 0), (115, 0));
        assert_eq!(late(200, 0), (115, 200));
        assert_eq!(late(most, 0), (115, RETRIES.as_secs()));
        // The clocks of two hosts differ.
        assert_eq!(late(-3, 0), (115, 0));
    }

    #[test]
    fn what_more_invocations_spend_in_retries_is_part_of_a_wait() {
        let most = RETRIES.as_secs();
        assert_eq!(late(100, most - 40), (175, most + 60));
        assert_eq!(late(100, most), (215, most + 100));
    }

    #[test]
    fn more_than_retries_can_last_is_no_part_of_a_wait() {
        let most = RETRIES.as_secs();
        let more = i64::try_from(most).unwrap() + 1;
        assert_eq!(late(more, most), (115, most));
    }

    #[test]
    fn a_wait_whose_account_is_never_ready_for_long_ends_after_the_hours_of_one_task() {
        let (mut memory, mut now) = (json!({}), 1_000_000);
        let lateness = i64::try_from(RETRIES.as_secs()).unwrap() + 1;
        let error = loop {
            match invoke_at(now, &memory, pending(30)) {
                Ok(mut answer) => {
                    now += answer["checkAfterSeconds"].as_i64().unwrap() + lateness;
                    memory = answer["memory"].take();
                }
                Err(error) => break error,
            }
        };
        assert_eq!(error.name(), "WaitTimedOut");
        let lasted = Duration::from_secs(u64::try_from(now - 1_000_000).unwrap());
        assert!(
            lasted < RETRIES_NOT_READY + LIMIT + 2 * RETRIES,
            "{lasted:?}"
        );
    }

    #[test]
    fn a_wait_of_which_every_answer_is_late_ends_at_the_latest_two_invocations_after_its_limit() {
        let (mut memory, mut now) = (json!({}), 1_000_000);
        let error = loop {
            match invoke_at(now, &memory, pending(15)) {
                Ok(mut answer) => {
                    now += answer["checkAfterSeconds"].as_i64().unwrap() + 1_200;
                    memory = answer["memory"].take();
                }
                Err(error) => break error,
            }
        };
        assert_eq!(error.name(), "WaitTimedOut");
        let lasted = Duration::from_secs(u64::try_from(now - 1_000_000).unwrap());
        assert!(lasted > LIMIT + RETRIES, "{lasted:?}");
        assert!(lasted < LIMIT + RETRIES * 2, "{lasted:?}");
    }
}
