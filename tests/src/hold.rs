//! Waits that never end: a function's answer PENDING, given again for ever.

use functions::aws::Base;
use functions::contract::{Error, Function};
use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

/// A kind of PENDING: who says it, when asked for what, and why (ids and numbers left out).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pending {
    /// Name of the function.
    pub function: String,
    /// `ensure` or `remove`.
    pub action: String,
    /// The reason, in which `#` stands for each word with a digit.
    pub reason: String,
}

impl Pending {
    fn of(function: &str, action: &str, answer: &Value) -> Option<Self> {
        if answer["status"] != "PENDING" {
            return None;
        }
        Some(Self {
            function: function.to_owned(),
            action: action.to_owned(),
            reason: without_numbers(answer["reason"].as_str().unwrap_or_default()),
        })
    }
}

fn without_numbers(text: &str) -> String {
    let has_digit = |word: &&str| word.contains(|it: char| it.is_ascii_digit());
    let words = text.split(' ');
    let words = words.map(|word| if has_digit(&word) { "#" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// What has been waited for, and what is waited for in vain.
#[derive(Debug, Default)]
pub struct Hold {
    seen: Mutex<BTreeSet<Pending>>,
    held: Mutex<Option<Held>>,
}

/// What is answered for ever.
#[derive(Debug)]
struct Held {
    pending: Pending,
    /// The answer, once it was given.
    answer: Option<Value>,
    /// How many attempts of each Task fail before it is given again.
    retries: usize,
    /// How many attempts there were since it was given.
    attempts: usize,
}

impl Held {
    fn next(&mut self) -> Option<Result<Value, Error>> {
        let answer = self.answer.clone()?;
        if self.attempts < self.retries {
            self.attempts += 1;
            return Some(Err(Error::NotYetVisible("it was there before".to_owned())));
        }
        self.attempts = 0;
        Some(Ok(answer))
    }
}

impl Hold {
    /// From the next time on that it is answered, nothing else is.
    ///
    /// # Panics
    /// Never: nobody panics while it is held.
    pub fn forever(&self, pending: Pending) {
        self.forever_after(0, pending);
    }

    /// The same, and each time so many attempts of the Task fail first, in a way that is retried.
    ///
    /// # Panics
    /// Never: nobody panics while it is held.
    pub fn forever_after(&self, retries: usize, pending: Pending) {
        *self.held.lock().unwrap() = Some(Held {
            pending,
            answer: None,
            retries,
            attempts: 0,
        });
    }

    /// Every kind of PENDING that has been answered.
    ///
    /// # Panics
    /// Never: nobody panics while it is held.
    #[must_use]
    pub fn seen(&self) -> BTreeSet<Pending> {
        self.seen.lock().unwrap().clone()
    }

    /// The reason that is answered for ever, once it is.
    ///
    /// # Panics
    /// Never: nobody panics while it is held.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        let held = self.held.lock().unwrap();
        let answer = held.as_ref()?.answer.as_ref()?;
        answer["reason"].as_str().map(ToOwned::to_owned)
    }

    fn answer(&self, function: &str, action: &str) -> Option<Result<Value, Error>> {
        let mut held = self.held.lock().unwrap();
        let held = held.as_mut()?;
        let is_held = held.pending.function == function && held.pending.action == action;
        if is_held { held.next() } else { None }
    }

    fn notice(&self, pending: Pending, answer: &Value) {
        if let Some(held) = self.held.lock().unwrap().as_mut()
            && held.pending == pending
        {
            held.answer = Some(answer.clone());
        }
        self.seen.lock().unwrap().insert(pending);
    }
}

tokio::task_local! {
    /// The hold of the world in which a function is invoked.
    pub static HOLD: Arc<Hold>;
}

/// The function `F`, whose answers may be held.
pub struct Holding<F>(PhantomData<F>);

impl<F: Function> Function for Holding<F> {
    const NAME: &'static str = F::NAME;

    fn longest_wait(action: &str) -> Duration {
        F::longest_wait(action)
    }

    fn longest_retries() -> Duration {
        F::longest_retries()
    }

    async fn handle(base: &Base, request: Value) -> Result<Value, Error> {
        let hold = HOLD.get();
        let action = request["action"].as_str().unwrap_or_default().to_owned();
        if let Some(answer) = hold.answer(F::NAME, &action) {
            return answer;
        }
        let answer = F::handle(base, request).await?;
        if let Some(pending) = Pending::of(F::NAME, &action, &answer) {
            hold.notice(pending, &answer);
        }
        Ok(answer)
    }
}
