//! Eventual consistency of IAM: what it knows at once, other services see a few seconds later.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::activation::is_early;
use crate::seed::Seed;
use crate::state::Context;

/// A value that others see late.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventuallyConsistent<T> {
    current: T,
    /// What others see until `visible_at`; nothing if it is new.
    before: Option<T>,
    visible_at: Timestamp,
}

impl<T> EventuallyConsistent<T> {
    /// A new value: others see nothing until `visible_at`.
    pub fn new(value: T, visible_at: Timestamp) -> Self {
        Self {
            current: value,
            before: None,
            visible_at,
        }
    }

    /// What IAM itself answers.
    pub fn current(&self) -> &T {
        &self.current
    }

    /// What another service sees at `now`.
    pub fn seen_at(&self, now: Timestamp) -> Option<&T> {
        if now >= self.visible_at {
            return Some(&self.current);
        }
        self.before.as_ref()
    }

    /// From when on others see the current value.
    pub fn visible_at(&self) -> Timestamp {
        self.visible_at
    }

    /// Changes the value; others go on seeing what they see at `now` until `visible_at`.
    pub fn set(&mut self, value: T, now: Timestamp, visible_at: Timestamp) {
        let old = std::mem::replace(&mut self.current, value);
        if now >= self.visible_at {
            self.before = Some(old);
        }
        // A later change never overtakes an earlier one.
        self.visible_at = self.visible_at.max(visible_at);
    }
}

/// How changes that are made now spread to other services.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spreading {
    seed: Seed,
    now: Timestamp,
    at_least: f64,
    seconds: f64,
}

/// Users never report less.
const SECONDS_MIN: f64 = 5.0;
/// In new accounts it can be minutes (aws/aws-cdk issue 16037).
const SLOW_SECONDS: f64 = 180.0;

impl Spreading {
    pub(super) fn of(context: &Context<'_>) -> Self {
        let account = context.state.accounts.get(&context.account);
        let slow_until = account.and_then(|account| account.activation.slow_iam_until);
        let seconds = context.state.faults.iam_lag_seconds;
        let is_slow = is_early(slow_until, context.now);
        Self {
            seed: context.seed,
            now: context.now,
            at_least: if is_slow { seconds } else { SECONDS_MIN },
            seconds: if is_slow {
                seconds.max(SLOW_SECONDS)
            } else {
                seconds
            },
        }
    }

    /// When the changes are made.
    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    /// When others see the change `what`.
    ///
    /// IAM user guide, troubleshooting IAM: changes are not always immediately visible. How long is
    /// what users report of EKS: usually seconds, in new accounts minutes.
    pub(super) fn visible_at(&self, what: &str) -> Timestamp {
        let range = self.at_least.min(self.seconds)..self.seconds;
        let lag = self.seed.duration("iam-propagation", what, range);
        self.now.saturating_add(lag).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::constant(1_800_000_000 + second, 0)
    }

    #[test]
    fn new_value_is_not_seen_before_its_time() {
        let value = EventuallyConsistent::new("a", at(10));
        assert_eq!(value.current(), &"a");
        assert_eq!(value.seen_at(at(9)), None);
        assert_eq!(value.seen_at(at(10)), Some(&"a"));
    }

    #[test]
    fn old_value_is_seen_until_the_change_has_spread() {
        let mut value = EventuallyConsistent::new("a", at(10));
        value.set("b", at(20), at(30));
        assert_eq!(value.current(), &"b");
        assert_eq!(value.seen_at(at(29)), Some(&"a"));
        assert_eq!(value.seen_at(at(30)), Some(&"b"));
    }

    #[test]
    fn change_before_anybody_saw_the_first_value_shows_nothing_of_it() {
        let mut value = EventuallyConsistent::new("a", at(10));
        value.set("b", at(5), at(8));
        assert_eq!(value.seen_at(at(9)), None);
        assert_eq!(value.seen_at(at(10)), Some(&"b"));
    }
}
