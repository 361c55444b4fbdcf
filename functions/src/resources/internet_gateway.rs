//! The internet gateway of the cluster's VPC.

use aws_sdk_ec2::types::{Filter, InternetGateway};

use crate::aws::{Aws, list};
use crate::contract::error::required;
use crate::contract::{During, Error};

/// Value of the tag `hardway:role`.
pub(crate) const ROLE: &str = "internet-gateway";
/// CloudFormation's type name.
pub(crate) const KIND: &str = "AWS::EC2::InternetGateway";

/// The internet gateways that pass the filters; all of the region's if there are none.
pub(crate) async fn find(aws: &Aws, filters: Vec<Filter>) -> Result<Vec<InternetGateway>, Error> {
    let call = aws.ec2().describe_internet_gateways();
    let call = call.set_filters(Some(filters));
    list!(call).await.during("ec2:DescribeInternetGateways")
}

/// The VPC that a gateway is attached to (or is being attached to).
pub(crate) fn vpc_of(gateway: &InternetGateway) -> Option<&str> {
    gateway.attachments().first().and_then(|it| it.vpc_id())
}

pub(crate) fn id(gateway: &InternetGateway) -> Result<&str, Error> {
    required(
        gateway.internet_gateway_id(),
        "ec2:DescribeInternetGateways: internetGatewayId",
    )
}
