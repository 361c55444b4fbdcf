//! NAT gateways.

use aws_sdk_ec2::types::{Filter, NatGateway};

use crate::aws::{Aws, list};
use crate::contract::error::required;
use crate::contract::{During, Error};

/// CloudFormation's type name.
pub(crate) const KIND: &str = "AWS::EC2::NatGateway";

/// The NAT gateways that pass the filters; all of the region's if there are none. EC2 shows one for about an
/// hour after it is gone.
pub(crate) async fn find(aws: &Aws, filters: Vec<Filter>) -> Result<Vec<NatGateway>, Error> {
    let call = aws.ec2().describe_nat_gateways().set_filter(Some(filters));
    list!(call).await.during("ec2:DescribeNatGateways")
}

pub(crate) fn id(gateway: &NatGateway) -> Result<&str, Error> {
    required(
        gateway.nat_gateway_id(),
        "ec2:DescribeNatGateways: natGatewayId",
    )
}
