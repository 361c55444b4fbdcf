//! Retriers and catchers.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::Rng;
use serde_json::Value;

/// How often each retrier of a state has been used.
#[derive(Default)]
pub(super) struct Counts(BTreeMap<usize, u64>);

impl Counts {
    /// How long to wait before the next attempt; `None` when no retrier wants one.
    pub(super) fn delay(
        &mut self,
        state: &Value,
        error: &str,
        rng: &mut impl Rng,
    ) -> Option<Duration> {
        let retriers = state["Retry"].as_array()?;
        let is_limit = error == "States.DataLimitExceeded";
        let (index, retrier) = retriers
            .iter()
            .enumerate()
            .find(|(_, retrier)| matches(retrier, error) && !is_limit)?;
        let used = self.0.entry(index).or_default();
        if *used >= retrier["MaxAttempts"].as_u64().unwrap_or(3) {
            return None;
        }
        let delay = seconds(retrier, *used);
        *used += 1;
        let delay = match retrier["JitterStrategy"].as_str() {
            Some("FULL") => rng.random_range(0.0..=delay),
            _ => delay,
        };
        Some(Duration::from_secs_f64(delay))
    }
}

fn seconds(retrier: &Value, used: u64) -> f64 {
    let number = |name: &str, default: f64| retrier[name].as_f64().unwrap_or(default);
    let exponent = i32::try_from(used).unwrap_or(i32::MAX);
    let delay = number("IntervalSeconds", 1.0) * number("BackoffRate", 2.0).powi(exponent);
    delay.min(number("MaxDelaySeconds", f64::MAX))
}

/// Whether a catcher, or a retrier, is meant for `error`.
///
/// `States.ALL` matches all but `States.Runtime`. The developer guide says so of
/// `States.DataLimitExceeded`, too, and so it is for a retrier; but a Task's catcher does get it, as
/// LocalStack's snapshots of Step Functions show (`test_base_scenarios`, payloads that are too large).
pub(super) fn matches(handler: &Value, error: &str) -> bool {
    let terminal = error == "States.Runtime";
    let names = handler["ErrorEquals"].as_array();
    names.into_iter().flatten().any(|name| match name.as_str() {
        Some("States.ALL") => !terminal,
        Some("States.TaskFailed") => !terminal && error != "States.Timeout",
        name => name == Some(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use serde_json::json;

    #[test]
    fn delays_grow_up_to_their_limit_and_end() {
        let state = json!({"Retry": [{
            "ErrorEquals": ["Busy"], "IntervalSeconds": 2, "MaxAttempts": 4, "MaxDelaySeconds": 10
        }]});
        let mut counts = Counts::default();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut next = |error: &str| {
            let delay = counts.delay(&state, error, &mut rng);
            delay.map(|delay| delay.as_secs())
        };
        let delays: Vec<_> = (0..5).map(|_| next("Busy")).collect();
        assert_eq!(delays, [Some(2), Some(4), Some(8), Some(10), None]);
        assert_eq!(next("Other"), None);
    }
}
