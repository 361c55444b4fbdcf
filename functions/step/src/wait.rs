//! How long a state may answer PENDING, and how often it is asked meanwhile.
//!
//! A machine's own time-out is no end of a wait: nothing in the machine catches it, so it leaves neither
//! a cause nor a diagnosis, and `onFailure: remove` is passed over. So every function says how long its
//! longest wait is, longer than AWS ever takes and shorter than the machine's time-out, and the runner
//! ends what lasts longer with an error of its own. Functions have no clock: Step Functions says with
//! each visit when it entered the state (`$$.State.EnteredTime`), and the memory of the state keeps the
//! first visit that answered PENDING.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::error::Error;

/// The limit of waits that AWS ends within seconds or minutes. Terraform gives route tables five minutes,
/// subnets and VPCs ten (its `timeouts` of `aws_route_table`, `aws_subnet`).
pub const BRIEF: Duration = Duration::from_mins(15);

/// The share of a wait's age by which it may be noticed late: polls slow down as it grows.
const AGE_PER_POLL: u64 = 20;
/// The longest time between two visits, in seconds.
const SLOWEST_POLL: u64 = 300;

/// Member of the memory: when the state answered PENDING first.
const SINCE: &str = "pendingSince";
/// Member of the memory that the function reads: how long that is ago, in seconds.
const WAITED: &str = "waitedSeconds";

/// The wait that a visit belongs to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wait {
    entered: Option<Timestamp>,
    since: Option<Timestamp>,
    /// Whether the state keeps a memory between visits.
    remembers: bool,
}

impl Wait {
    /// Reads it from a request, and tells the function in its memory how long it has lasted.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for a time that is none.
    pub fn of(request: &mut Value) -> Result<Self, Error> {
        let wait = Self {
            entered: time(request, "/enteredTime")?,
            since: time(request, &format!("/memory/{SINCE}"))?,
            remembers: request["memory"].is_object(),
        };
        if wait.remembers {
            request["memory"][WAITED] = json!(wait.age().as_secs());
        }
        Ok(wait)
    }

    /// How long the state has answered PENDING.
    fn age(self) -> Duration {
        let age = self.entered.zip(self.since);
        let age = age.map(|(entered, since)| entered.duration_since(since).unsigned_abs());
        age.unwrap_or_default()
    }

    /// What becomes of an answer: one that is PENDING past `limit` is an error, with its reason.
    ///
    /// # Errors
    /// [`Error::WaitTimedOut`].
    pub fn judge(self, mut answer: Value, limit: Duration) -> Result<Value, Error> {
        if answer["status"] != "PENDING" {
            // The same state may be entered once more, and waits anew then.
            if self.remembers && answer.is_object() && answer["memory"].is_null() {
                answer["memory"] = json!({});
            }
            return Ok(answer);
        }
        let (age, Some(entered)) = (self.age(), self.entered) else {
            return Ok(answer);
        };
        if age >= limit {
            let reason = answer["reason"].as_str().unwrap_or("no reason");
            return Err(Error::WaitTimedOut(format!(
                "{} minutes are more than AWS ever takes, and the last answer was: {reason}",
                limit.as_secs() / 60
            )));
        }
        answer["memory"][SINCE] = json!(self.since.unwrap_or(entered).to_string());
        let asked = answer["checkAfterSeconds"].as_u64().unwrap_or(1);
        answer["checkAfterSeconds"] = json!(check_after(asked, age, limit));
        Ok(answer)
    }
}

/// Seconds until the next visit of a wait of this age: the older, the more, and none long after the limit.
#[must_use]
pub fn check_after(asked: u64, age: Duration, limit: Duration) -> u64 {
    let slow = (age.as_secs() / AGE_PER_POLL).min(SLOWEST_POLL);
    let rest = limit.saturating_sub(age).as_secs().max(1);
    asked.max(slow).min(rest)
}

fn time(request: &Value, pointer: &str) -> Result<Option<Timestamp>, Error> {
    let Some(value) = request.pointer(pointer) else {
        return Ok(None);
    };
    let time = value.as_str().and_then(|text| text.parse().ok());
    time.map(Some).ok_or_else(|| {
        let field = pointer.trim_start_matches('/').replace('/', ".");
        Error::invalid(field, value, "a time as Step Functions writes it")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_hours(1);

    fn visit(at: &str, memory: &Value, answer: Value) -> Result<Value, Error> {
        let mut request = json!({"enteredTime": format!("2026-01-01T{at}Z"), "memory": memory});
        Wait::of(&mut request)?.judge(answer, LIMIT)
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
    fn the_first_visit_that_waits_is_remembered() {
        let first = visit("00:00:00.5", &json!({}), pending(15)).unwrap();
        assert_eq!(first["memory"]["looks"], 1);
        assert_eq!(first["checkAfterSeconds"], 15);
        let second = visit("00:00:20", &first["memory"], pending(15)).unwrap();
        assert_eq!(second["memory"][SINCE], first["memory"][SINCE]);
        assert_eq!(second["memory"][SINCE], "2026-01-01T00:00:00.5Z");
    }

    #[test]
    fn a_wait_past_its_limit_ends_with_the_last_reason() {
        let memory = json!({SINCE: "2026-01-01T00:00:00Z"});
        assert!(visit("00:59:59", &memory, pending(15)).is_ok());
        let error = visit("01:00:00", &memory, pending(15)).unwrap_err();
        assert_eq!(error.name(), "WaitTimedOut");
        let text = error.to_string();
        assert!(text.contains("60 minutes"), "{text}");
        assert!(text.contains("the kettle is cold"), "{text}");
    }

    #[test]
    fn polls_slow_down_with_age_and_the_last_one_is_at_the_limit() {
        let memory = json!({SINCE: "2026-01-01T00:00:00Z"});
        for (at, seconds) in [
            ("00:05:00", 15),
            ("00:10:00", 30),
            ("00:30:00", 90),
            ("00:59:50", 10),
        ] {
            let answer = visit(at, &memory, pending(15)).unwrap();
            assert_eq!(answer["checkAfterSeconds"], seconds, "{at}");
        }
        let day = Duration::from_hours(24);
        assert_eq!(check_after(15, day / 2, day), SLOWEST_POLL);
    }

    #[test]
    fn what_is_ready_after_a_long_time_is_ready_and_waits_anew_another_time() {
        let memory = json!({SINCE: "2026-01-01T00:00:00Z"});
        let ready = json!({"status": "READY", "cups": 4});
        let answer = visit("05:00:00", &memory, ready).unwrap();
        assert_eq!(answer, json!({"status": "READY", "cups": 4, "memory": {}}));
    }

    #[test]
    fn the_function_learns_how_long_it_has_waited() {
        let mut request = json!({
            "enteredTime": "2026-01-01T00:20:00Z",
            "memory": {SINCE: "2026-01-01T00:00:00Z"},
        });
        Wait::of(&mut request).unwrap();
        assert_eq!(request["memory"][WAITED], 1200);
    }

    #[test]
    fn a_time_that_is_none_is_invalid() {
        let error = Wait::of(&mut json!({"enteredTime": "noon"})).unwrap_err();
        assert_eq!(error.name(), "InvalidRequest");
        let error = Wait::of(&mut json!({"memory": {SINCE: 12}})).unwrap_err();
        assert!(error.to_string().contains("memory.pendingSince"), "{error}");
    }
}
