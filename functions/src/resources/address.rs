//! The Elastic IP addresses of NAT gateways.

use aws_sdk_ec2::types::{Address, Filter, NatGateway};

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

/// The gateway among `gateways` that an associated address belongs to.
pub(crate) fn holder<'a>(
    address: &Address,
    gateways: impl IntoIterator<Item = &'a NatGateway>,
) -> Option<&'a NatGateway> {
    address.association_id()?;
    let uses = |gateway: &&NatGateway| {
        let mut addresses = gateway.nat_gateway_addresses().iter();
        addresses.any(|it| it.allocation_id() == address.allocation_id())
    };
    gateways.into_iter().find(uses)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn address(id: &str, is_used: bool) -> Address {
        let association = is_used.then(|| "eipassoc-1".to_owned());
        let address = Address::builder().allocation_id(id);
        address.set_association_id(association).build()
    }

    #[test]
    fn the_known_address_is_first_then_a_free_one_then_the_smallest_id() {
        let all = [
            address("eipalloc-1", true),
            address("eipalloc-3", false),
            address("eipalloc-2", false),
        ];
        let all: Vec<&Address> = all.iter().collect();
        let of =
            |found: &[&Address], known| first(found, known).and_then(|it| it.allocation_id.clone());
        assert_eq!(of(&all, Some("eipalloc-1")).as_deref(), Some("eipalloc-1"));
        assert_eq!(of(&all, None).as_deref(), Some("eipalloc-2"));
        assert_eq!(of(&all[..1], None).as_deref(), Some("eipalloc-1"));
        assert_eq!(of(&[], Some("eipalloc-1")), None);
    }

    #[test]
    fn addresses_in_use_are_no_surplus_and_none_is_while_the_one_to_keep_is_unknown() {
        let all = ["eipalloc-1", "eipalloc-2"].map(|id| address(id, false));
        let used = address("eipalloc-3", true);
        let all: Vec<&Address> = all.iter().chain([&used]).collect();
        let of = |keep| {
            surplus(&all, keep)
                .filter_map(Address::allocation_id)
                .collect::<Vec<_>>()
        };
        assert_eq!(of(Some("eipalloc-1")), ["eipalloc-2"]);
        assert_eq!(of(None), [""; 0]);
    }
}
