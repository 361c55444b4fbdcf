//! The clock that a simulator is given: real, scaled or virtual.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Virtual time starts here, so that runs can be compared.
const VIRTUAL_EPOCH: Timestamp = Timestamp::constant(1_793_491_200, 0); // 2026-11-01T00:00:00Z

/// Tells the simulated time.
#[derive(Debug, Clone)]
pub struct Clock {
    epoch: Timestamp,
    start: Instant,
    speed: f64,
}

impl Clock {
    /// The time on the wall.
    #[must_use]
    pub fn real() -> Self {
        Self::scaled(1.0)
    }

    /// Starts now and runs `speed` times as fast as the time on the wall.
    #[must_use]
    pub fn scaled(speed: f64) -> Self {
        Self {
            epoch: Timestamp::now(),
            start: Instant::now(),
            speed,
        }
    }

    /// Tokio's time: in a runtime whose time is paused it stands still while there is work and jumps
    /// to the next timer when there is none. Starts at a fixed date. Make it inside that runtime.
    #[must_use]
    pub fn virtual_time() -> Self {
        Self {
            epoch: VIRTUAL_EPOCH,
            start: Instant::now(),
            speed: 1.0,
        }
    }

    /// [`Clock::virtual_time`] that starts at `epoch`, for a world that was saved then.
    #[must_use]
    pub fn virtual_time_from(epoch: Timestamp) -> Self {
        Self {
            epoch,
            ..Self::virtual_time()
        }
    }

    /// The simulated time, in whole milliseconds.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let elapsed = self.elapsed().as_millis();
        let elapsed = i64::try_from(elapsed).unwrap_or(i64::MAX);
        self.epoch
            .saturating_add(SignedDuration::from_millis(elapsed))
            .unwrap_or(Timestamp::MAX)
    }

    /// Simulated time since the clock was made.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed().mul_f64(self.speed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn virtual_time_jumps_to_the_next_timer() {
        let clock = Clock::virtual_time();
        tokio::time::sleep(Duration::from_mins(10)).await;
        assert_eq!(clock.now().to_string(), "2026-11-01T00:10:00Z");
    }

    #[tokio::test(start_paused = true)]
    async fn scaled_time_runs_faster() {
        let clock = Clock::scaled(60.0);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(clock.elapsed(), Duration::from_mins(2));
    }
}
