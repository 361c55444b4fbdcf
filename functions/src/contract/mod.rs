//! The contract of a function: what it is asked, what it answers, and how it is run.

pub(crate) mod error;
pub(crate) mod function;
pub(crate) mod memory;
pub(crate) mod outcome;
pub mod wait;

pub use error::{During, Error};
pub use function::{Function, NoInput, Step, invoke, run};
pub use memory::{Memory, OnlyMemory};
pub use outcome::{Outcome, Removed, Resource};
