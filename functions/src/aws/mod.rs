//! What every call of AWS shares: clients and sessions of the target account, error codes, and the two
//! kinds of calls: those that change something, and those that list.

pub(crate) mod calls;
mod clients;
pub mod codes;
pub mod error_log;
pub(crate) mod execution;
pub(crate) mod identity;
pub mod mocks;
pub(crate) mod parameters;
pub mod session;
pub mod telemetry;

pub(crate) use calls::{change, list};
pub use clients::{Aws, Base};
pub use session::Session;
