//! What steps and readers share about one kind of resource each.

pub(crate) mod access_entries;
pub(crate) mod addon_versions;
pub(crate) mod coredns;
pub(crate) mod eks;
pub(crate) mod eks_insights;
pub(crate) mod eks_network;
pub(crate) mod foreign;
pub(crate) mod foreign_resource;
pub(crate) mod guardduty;
pub(crate) mod iam_role;
pub(crate) mod log_group;
pub(crate) mod removal;
pub(crate) mod route_tables;
mod vpc_holders;
