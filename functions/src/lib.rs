//! The functions of hardway: a library, and a binary for each AWS Lambda function.
//!
//! A step is a small Lambda function that owns one kind of AWS resource: it can make it so
//! ([`Step::ensure`](contract::Step::ensure)) and make it gone
//! ([`Step::remove`](contract::Step::remove)). Both look first, do what can be done now and answer
//! [`Outcome::Ready`](contract::Outcome::Ready) or [`Outcome::Pending`](contract::Outcome::Pending);
//! neither sleeps. Waiting and order are the state machine's.
//!
//! Data flows one way: [`model::spec`] (what a person types) becomes [`model::plan`] (every default
//! filled in, decided once), which each step carries out with the clients of [`aws`] and answers with
//! an outcome or an error, whose name the state machine matches ([`contract`]).
//!
//! A step does not use another step: both use `resources`.

pub mod account_created;
pub mod aws;
pub mod contract;
pub mod fleet_member;
pub mod model;
pub mod plan;
pub mod receipt;
pub mod registry;
mod resources;
pub mod steps;
#[cfg(test)]
mod testing;
pub mod verify;
