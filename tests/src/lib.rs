//! What the tests of whole runs share: the state machine walked in process, over the real
//! handlers, against the simulated AWS, in virtual time.
//!
//! It is no test of its own: `tests/*.rs` beside this folder are.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "all of it is for tests, which end at the first surprise"
)]

pub mod asl;
pub mod bucket;
pub mod bus;
pub mod by_hand;
pub mod faults;
pub mod generated;
pub mod graph;
pub mod hold;
pub mod inputs;
pub mod laptop;
pub mod left;
pub mod many;
pub mod member_role;
pub mod project;
pub mod proxy;
pub mod resources;
pub mod step_functions;
pub mod template;
pub mod wire;
pub mod world;

pub use asl::{Execution, Failure, Machine};
pub use world::World;
