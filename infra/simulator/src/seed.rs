//! Durations and ids, drawn from a seed and a name, never from the order of calls.

use std::fmt::Write as _;
use std::ops::Range;

use jiff::SignedDuration;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// The seed of a simulated world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub u64);

impl Seed {
    /// A duration within `seconds`, for the thing `what` with the name `key`. An empty range is its
    /// start.
    #[must_use]
    pub fn duration(self, what: &str, key: &str, seconds: Range<f64>) -> SignedDuration {
        let seconds = if seconds.is_empty() {
            seconds.start
        } else {
            self.rng(what, key).random_range(seconds)
        };
        #[allow(clippy::cast_possible_truncation, reason = "durations are minutes")]
        SignedDuration::from_millis((seconds * 1000.0) as i64)
    }

    /// Whether the thing `what` with the name `key` is among the `share` of those that are hit.
    #[must_use]
    pub fn hits(self, what: &str, key: &str, share: f64) -> bool {
        self.rng(what, key).random::<f64>() < share
    }

    /// An id like `vpc-0123456789abcdef0`: the prefix, a hyphen and 17 hexadecimal digits.
    #[must_use]
    pub fn id(self, prefix: &str, key: &str) -> String {
        format!("{prefix}-0{}", self.hex(prefix, key, 16))
    }

    /// `digits` (at most 64) hexadecimal digits for the thing `what` with the name `key`.
    #[must_use]
    pub fn hex(self, what: &str, key: &str, digits: usize) -> String {
        let mut hex = self
            .digest(what, key)
            .iter()
            .fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            });
        hex.truncate(digits);
        hex
    }

    /// A generator of its own for the thing `what` with the name `key`.
    #[must_use]
    pub fn rng(self, what: &str, key: &str) -> ChaCha8Rng {
        ChaCha8Rng::from_seed(self.digest(what, key))
    }

    fn digest(self, what: &str, key: &str) -> [u8; 32] {
        let mut sha = Sha256::new();
        sha.update(self.0.to_be_bytes());
        sha.update(what);
        sha.update([0]);
        sha.update(key);
        sha.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_repeat_for_the_same_name_and_differ_for_others() {
        let seed = Seed(7);
        let draw = |key| seed.duration("nat", key, 85.0..125.0);
        assert_eq!(draw("a"), draw("a"));
        assert_ne!(draw("a"), draw("b"));
        assert_ne!(draw("a"), Seed(8).duration("nat", "a", 85.0..125.0));
    }

    #[test]
    fn an_empty_range_is_its_start() {
        let drawn = Seed(1).duration("x", "y", 3.0..3.0);
        assert_eq!(drawn, SignedDuration::from_secs(3));
    }

    #[test]
    fn shares_are_hit_as_often_as_they_say() {
        let hits = |share| {
            let keys = (0..1000).map(|n| n.to_string());
            keys.filter(|key| Seed(1).hits("x", key, share)).count()
        };
        assert_eq!(hits(0.0), 0);
        assert!((250..350).contains(&hits(0.3)));
        assert_eq!(hits(1.0), 1000);
    }

    #[test]
    fn ids_look_like_aws_ids() {
        let id = Seed(1).id("vpc", "x");
        assert_eq!(id.len(), "vpc-0123456789abcdef0".len());
        assert!(id.starts_with("vpc-0"));
    }
}
