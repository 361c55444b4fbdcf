//! What there is in AWS, and whether it is as the plan wants it: a file for each kind of resource, and a few for
//! what several have in common. They read and change nothing.
//!
//! `find` is the only place that calls the kind's Describe, Get or List operation. `observe` finds what there is of
//! the plan's resource; `compare` is pure and says what is kept, what is surplus and what differs, or refuses it
//! with an error. Steps apply what `compare` says, the preview of a dry run tells it as
//! [`resource_change::ResourceChange`]s.

pub(crate) mod access_entry;
pub(crate) mod addon;
pub(crate) mod address;
pub(crate) mod capability;
pub(crate) mod cluster;
pub(crate) mod cluster_version;
pub(crate) mod coredns;
pub(crate) mod eks;
pub(crate) mod eks_insights;
pub(crate) mod eks_network;
pub(crate) mod fargate_profile;
pub(crate) mod foreign;
pub(crate) mod foreign_resource;
pub(crate) mod guardduty;
pub(crate) mod internet_gateway;
pub(crate) mod log_group;
pub(crate) mod nat_gateway;
pub(crate) mod nodegroup;
pub(crate) mod resource_change;
pub(crate) mod role;
pub(crate) mod route_table;
pub(crate) mod service_linked_role;
pub(crate) mod service_quota;
pub(crate) mod subnet;
pub(crate) mod vpc;
pub(crate) mod vpc_endpoint;
mod vpc_holders;
