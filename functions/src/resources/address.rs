//! Elastic IP addresses.

use aws_sdk_ec2::types::{Address, Filter};

use crate::aws::Aws;
use crate::contract::error::required;
use crate::contract::{During, Error};

/// CloudFormation's type name.
pub(crate) const KIND: &str = "AWS::EC2::EIP";

/// The addresses that pass the filters; all of the region's if there are none. DescribeAddresses has no pages.
pub(crate) async fn find(aws: &Aws, filters: Vec<Filter>) -> Result<Vec<Address>, Error> {
    let call = aws.ec2().describe_addresses().set_filters(Some(filters));
    let answer = call.send().await.during("ec2:DescribeAddresses")?;
    Ok(answer.addresses.unwrap_or_default())
}

pub(crate) fn id(address: &Address) -> Result<&str, Error> {
    required(
        address.allocation_id(),
        "ec2:DescribeAddresses: allocationId",
    )
}
