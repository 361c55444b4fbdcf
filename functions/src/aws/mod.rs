//! What every call of AWS shares: clients and sessions of the target account, error codes, and the log
//! lines around a change.

mod clients;
pub mod codes;
pub(crate) mod execution;
pub mod mocks;
pub mod refusals;
pub mod session;
pub mod telemetry;

pub use clients::{Aws, Base};
pub use session::Session;
