//! Which faults AWS has: eventual consistency, throttling, and what fails by itself.
//!
//! By default there are few. How long each thing lags within a setting's bound, and whom a share hits, is drawn
//! from the seed and the thing's own name, as all durations are.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::seed::Seed;
use crate::throttle::Throttling;

/// Which faults AWS has. All bounds are upper bounds, in seconds; shares are between 0 and 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Faults {
    /// How long a new id of EC2 stays unknown to other calls (EC2 developer guide, eventual
    /// consistency).
    pub ec2_id_lag_seconds: f64,
    /// How long EC2's lists stay as they were: something new is missing unless it is asked for by its
    /// id, something deleted is still there, changed tags have their old values (same page).
    pub ec2_list_lag_seconds: f64,
    /// How long EKS answers "not found" for, and leaves out of its lists, what it has just accepted.
    pub eks_lag_seconds: f64,
    /// The share of calls of `DescribeCluster` for a missing cluster that get `ClientException`
    /// instead of `ResourceNotFoundException` (the Terraform AWS provider waits for both).
    pub eks_client_exception_share: f64,
    /// The share of refused cluster roles of which EKS speaks in other words than usual (the Terraform
    /// AWS provider knows five ways).
    pub eks_other_words_share: f64,
    /// How long other services see an old version of a role, or none (IAM user guide,
    /// troubleshooting IAM). In new accounts it can be minutes (aws/aws-cdk issue 16037).
    pub iam_lag_seconds: f64,
    /// The share of first clusters of an account for which the service-linked role that EKS makes for them
    /// has not spread when EKS needs it (aws/aws-k8s-tester issue 232, crossplane/provider-aws issue 218:
    /// sometimes).
    pub eks_service_linked_lag_share: f64,
    /// The share of NAT gateways that are accepted and fail later with `InternalError` (botocore's EC2
    /// model, NatGateway.FailureCode).
    pub nat_gateway_failure_share: f64,
    /// How many calls each account may make; `None` for as many as it likes.
    pub throttling: Option<Throttling>,
}

impl Default for Faults {
    /// EC2 and EKS are consistent at once, IAM within 15 seconds and never at once, nothing fails by
    /// itself, and nobody is throttled.
    fn default() -> Self {
        Self {
            ec2_id_lag_seconds: 0.0,
            ec2_list_lag_seconds: 0.0,
            eks_lag_seconds: 0.0,
            eks_client_exception_share: 0.0,
            eks_other_words_share: 0.0,
            iam_lag_seconds: 15.0,
            eks_service_linked_lag_share: 1.0,
            nat_gateway_failure_share: 0.0,
            throttling: None,
        }
    }
}

/// The end of a lag of at most `seconds` that begins `now`, for the thing `what` with the name `key`.
#[must_use]
pub(crate) fn end_of_lag(
    seed: Seed,
    now: Timestamp,
    seconds: f64,
    what: &str,
    key: &str,
) -> Timestamp {
    let lag = seed.duration(what, key, 0.0..seconds);
    now.saturating_add(lag).unwrap_or(Timestamp::MAX)
}
