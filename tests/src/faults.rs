//! What goes wrong in a run, and when: a script that says it call by call, or draws it from a seed.

use std::collections::BTreeMap;

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use simulator::InjectedError;
use strum::{EnumIter, IntoEnumIterator};

/// What can go wrong with a call of AWS. Every one but the last passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter)]
pub enum Trouble {
    /// AWS throttles it once.
    Throttled,
    /// AWS throttles it, and the same operation nine more times.
    ThrottledTenTimes,
    /// AWS makes a mistake: status 500.
    InternalError,
    /// AWS is overloaded: status 503.
    Unavailable,
    /// The connection breaks before the request is sent.
    ConnectionReset,
    /// AWS does it, and the connection breaks before the answer comes.
    AnswerLost,
    /// No answer ever comes, and AWS does nothing.
    Hangs,
    /// The function stands still before the call until Lambda ends it.
    FunctionHangs,
    /// AWS does it, and the function is killed before it gets the answer.
    FunctionKilled,
    /// A service control policy denies it.
    #[strum(disabled)]
    Denied,
}

/// What can go wrong with a Task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter)]
pub enum Mishap {
    /// The function is invoked twice, at once.
    InvokedTwice,
    /// Lambda has no room for it.
    TooManyRequests,
    /// The function does its work, and Step Functions does not hear of it in time.
    TimedOut,
}

/// What goes wrong in a run.
#[derive(Debug, Default)]
pub struct Script {
    calls: BTreeMap<usize, Trouble>,
    invocations: BTreeMap<usize, Mishap>,
    storm: Option<Storm>,
    /// The operation that a service control policy denies.
    denied: Option<String>,
    /// How many calls and invocations there were so far.
    counts: (usize, usize),
    /// The operation that is still throttled, and how often.
    throttled: Option<(String, usize)>,
    /// What went wrong so far, in words.
    log: Vec<String>,
}

/// Troubles at random.
#[derive(Debug)]
struct Storm {
    rng: ChaCha8Rng,
    /// The share of calls that go wrong.
    share: f64,
    /// How many calls and invocations it lasts; then the sky clears.
    ends_after: usize,
}

impl Script {
    /// Nothing goes wrong.
    #[must_use]
    pub fn calm() -> Self {
        Self::default()
    }

    /// One call goes wrong: the one with this number, counted from 0.
    #[must_use]
    pub fn with_call(number: usize, trouble: Trouble) -> Self {
        Self {
            calls: [(number, trouble)].into(),
            ..Self::default()
        }
    }

    /// One Task goes wrong: the invocation with this number, counted from 0.
    #[must_use]
    pub fn with_invocation(number: usize, mishap: Mishap) -> Self {
        Self {
            invocations: [(number, mishap)].into(),
            ..Self::default()
        }
    }

    /// A service control policy denies an operation, for example `CreateVpc`; one of EKS is named by its
    /// method and path.
    #[must_use]
    pub fn with_denied(operation: &str) -> Self {
        Self {
            denied: Some(operation.to_owned()),
            ..Self::default()
        }
    }

    /// A share of the first `ends_after` calls and Tasks goes wrong, at random.
    #[must_use]
    pub fn storm(seed: u64, share: f64, ends_after: usize) -> Self {
        Self {
            storm: Some(Storm {
                rng: ChaCha8Rng::seed_from_u64(seed),
                share,
                ends_after,
            }),
            ..Self::default()
        }
    }

    /// How many calls and invocations there were.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        self.counts
    }

    /// What went wrong, in words.
    #[must_use]
    pub fn log(&self) -> &[String] {
        &self.log
    }

    /// What goes wrong with the next call, which is of `operation`.
    pub(crate) fn next_call(&mut self, operation: &str) -> Option<Trouble> {
        let number = self.counts.0;
        self.counts.0 += 1;
        if self.denied.as_deref() == Some(operation) {
            return Some(Trouble::Denied);
        }
        if let Some((throttled, left)) = &mut self.throttled
            && throttled == operation
            && *left > 0
        {
            *left -= 1;
            return Some(Trouble::Throttled);
        }
        let drawn = self.storm.as_mut().and_then(|storm| storm.draw(number));
        let trouble = self.calls.get(&number).copied().or(drawn)?;
        if trouble == Trouble::ThrottledTenTimes {
            self.throttled = Some((operation.to_owned(), 9));
        }
        self.log
            .push(format!("call {number}, {operation}: {trouble:?}"));
        Some(trouble)
    }

    /// What goes wrong with the next invocation, which is of `function`.
    pub(crate) fn next_invocation(&mut self, function: &str) -> Option<Mishap> {
        let number = self.counts.1;
        self.counts.1 += 1;
        let drawn = self.storm.as_mut().and_then(|storm| storm.draw(number));
        let mishap = self.invocations.get(&number).copied().or(drawn)?;
        self.log
            .push(format!("invocation {number}, {function}: {mishap:?}"));
        Some(mishap)
    }
}

impl Storm {
    fn draw<T: IntoEnumIterator + Copy>(&mut self, number: usize) -> Option<T> {
        let is_hit = number < self.ends_after && self.rng.random_bool(self.share);
        let all: Vec<T> = T::iter().collect();
        is_hit.then(|| all.choose(&mut self.rng).copied()).flatten()
    }
}

impl Trouble {
    /// The error that AWS answers with, if it answers.
    pub(crate) fn injected_error(self) -> Option<InjectedError> {
        match self {
            Self::Throttled | Self::ThrottledTenTimes => Some(InjectedError::Throttled),
            Self::InternalError => Some(InjectedError::InternalError),
            Self::Unavailable => Some(InjectedError::Unavailable),
            Self::Denied => Some(InjectedError::ExplicitDeny),
            _ => None,
        }
    }
}
