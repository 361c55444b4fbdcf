//! Whole runs, and what holds for the whole repository: a module for each subject.
//!
//! One binary, so that everything is linked once: `cargo test --test all`, and for one subject
//! `cargo test --test all sweep::`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends at the first surprise"
)]

mod acceptance;
mod accounts;
mod bad_inputs;
mod catalogue;
mod check;
mod conformance;
mod dead_ends;
mod end_to_end;
mod examples;
mod fleet;
mod fleet_deployed;
mod heals;
mod layout;
mod machine;
mod network;
mod new_account;
mod obstacles;
mod over_the_wire;
mod pages;
mod pitfalls;
mod plan_property;
mod policies;
mod preview;
mod prices;
mod quotas;
mod run;
mod storms;
mod sweep;
mod teardown;
mod template;
mod upgrade;
mod waits;
