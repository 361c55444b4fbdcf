//! Shapes of the network's resources as steps hand them on.

use serde::{Deserialize, Serialize};

/// The two subnets of one Availability Zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ZoneSubnets {
    /// Zone id, for example `apne1-az1`.
    pub zone_id: String,
    /// Zone name, for example `ap-northeast-1a`.
    pub zone_name: String,
    /// The subnet with the route to the internet gateway.
    pub public_subnet_id: String,
    /// The subnet that Fargate's pods live in.
    pub private_subnet_id: String,
}

/// The NAT gateway of one Availability Zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ZoneNatGateway {
    /// Zone id, for example `apne1-az1`.
    pub zone_id: String,
    /// The NAT gateway.
    pub nat_gateway_id: String,
    /// The allocation of its Elastic IP address.
    pub allocation_id: String,
    /// The address that the Internet sees.
    pub public_ip: String,
}
