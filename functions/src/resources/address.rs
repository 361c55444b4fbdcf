//! The Elastic IP addresses of NAT gateways.

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

/// The one for a new gateway: the known one, else a free one, else the first.
pub(crate) fn first<'a>(found: &[&'a Address], known: Option<&str>) -> Option<&'a Address> {
    let key = |address: &&Address| {
        let is_known = known.is_some() && address.allocation_id() == known;
        let is_free = address.association_id.is_none();
        (!is_known, !is_free, address.allocation_id.clone())
    };
    found.iter().copied().min_by_key(key)
}

/// Those beside the one to keep that nothing uses. Without knowing which one is in use, none is surplus.
pub(crate) fn surplus<'a>(
    found: &[&'a Address],
    keep: Option<&'a str>,
) -> impl Iterator<Item = &'a Address> {
    let is_surplus = move |it: &&Address| {
        keep.is_some() && it.allocation_id() != keep && it.association_id().is_none()
    };
    found.iter().copied().filter(is_surplus)
}

pub(crate) fn id(address: &Address) -> Result<&str, Error> {
    required(
        address.allocation_id(),
        "ec2:DescribeAddresses: allocationId",
    )
}
