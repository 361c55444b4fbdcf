//! What every step of hardway shares.
//!
//! A step is a small Lambda function that owns one kind of AWS resource: it can make it so
//! ([`Step::ensure`]) and make it gone ([`Step::remove`]). Both look first, do what can be done now
//! and answer [`Outcome::Ready`] or [`Outcome::Pending`]; neither sleeps. Waiting and order are the
//! state machine's.
//!
//! Data flows one way: [`spec`] (what a person types) becomes [`plan`] (every default filled in,
//! decided once), which each step carries out with the clients of [`aws`] and answers with an
//! [`outcome`] or an [`error`] whose name the state machine matches.

pub mod access_entries;
pub mod addon_versions;
pub mod aws;
pub mod codes;
pub mod coredns;
pub mod eks;
pub mod eks_insights;
pub mod eks_network;
pub mod error;
pub mod execution;
pub mod foreign;
pub mod function;
pub mod guardduty;
pub mod iam_role;
pub mod kubernetes_version;
pub mod log_group;
pub mod memory;
pub mod mocks;
pub mod names;
pub mod network;
pub mod outcome;
pub mod plan;
pub mod refusals;
pub mod removal;
pub mod route_tables;
pub mod session;
pub mod spec;
pub mod tags;
pub mod telemetry;
mod vpc_holders;
pub mod wait;
pub mod zones;

pub use aws::{Aws, Base};
pub use error::{During, Error};
pub use function::{Function, NoInput, Step, invoke, run};
pub use kubernetes_version::KubernetesVersion;
pub use memory::{Memory, OnlyMemory};
pub use network::{ZoneNatGateway, ZoneSubnets};
pub use outcome::{Outcome, Removed, Resource};
pub use plan::{Plan, Target};
pub use session::Session;
pub use spec::{FleetSpec, Spec, TeardownSpec};
