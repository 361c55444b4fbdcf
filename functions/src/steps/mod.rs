//! The steps of the hard way, a folder each, named as in the state machine.

mod addon;
pub mod cluster;
pub mod cluster_access;
pub mod cluster_role;
pub mod control_plane_logs;
pub mod coredns;
pub mod fargate_profiles;
mod guardduty;
pub mod nat_gateways;
pub mod pod_execution_role;
pub mod private_routes;
pub mod public_routes;
mod removal;
mod role;
mod route_table;
pub mod subnets;
pub mod vpc;
