//! CIDR blocks in parameters.

use ipnet::Ipv4Net;

use super::request::{Request, invalid_value};
use crate::api_error::ApiError;

impl Request<'_> {
    /// A required IPv4 CIDR block, in its canonical form.
    ///
    /// botocore's EC2 model, CreateVpc, CreateSubnet and CreateRoute: bits of the host are not an
    /// error, EC2 clears them (100.68.0.18/18 becomes 100.68.0.0/18).
    pub(super) fn cidr(&self, name: &str) -> Result<Ipv4Net, ApiError> {
        let text = self.params.require(name)?;
        match text.parse::<Ipv4Net>() {
            Ok(net) => Ok(net.trunc()),
            Err(_) => Err(invalid_value(name, text, "This is not a valid CIDR block.")),
        }
    }
}

/// Whether two blocks have addresses in common.
pub(super) fn overlap(one: Ipv4Net, other: Ipv4Net) -> bool {
    one.contains(&other) || other.contains(&one)
}
