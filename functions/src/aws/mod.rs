//! What every call of AWS shares: clients and sessions of the target account, error codes, the lists, and
//! the log lines around a change.

pub(crate) mod calls;
mod clients;
pub mod codes;
pub(crate) mod execution;
pub mod mocks;
pub mod refusals;
pub mod session;
pub mod telemetry;

pub(crate) use calls::list;
pub use clients::{Aws, Base};
pub use session::Session;
