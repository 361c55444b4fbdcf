//! What every call of AWS shares: clients and sessions of the target account, error codes, and the log
//! lines around a change.

mod clients;
pub mod codes;
pub mod error_log;
pub(crate) mod execution;
pub mod mocks;
pub mod session;
pub mod telemetry;

pub use clients::{Aws, Base};
pub use session::Session;
