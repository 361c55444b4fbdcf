//! Elastic IP addresses.

use aws_sdk_ec2::types::{Address, DomainType, NatGateway, ResourceType};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use step::error::required;
use step::telemetry::{changed, changing};
use step::{Aws, During, Error, Plan, Resource, Target, codes, tags};

/// Ours, in the order of their ids. DescribeAddresses has no pages.
pub(crate) async fn find(aws: &Aws, target: &Target) -> Result<Vec<Address>, Error> {
    let answer = aws
        .ec2
        .describe_addresses()
        .set_filters(Some(tags::ec2_filters(target)))
        .send()
        .await
        .during("ec2:DescribeAddresses")?;
    let mut addresses = answer.addresses.unwrap_or_default();
    addresses.sort_by(|one, other| one.allocation_id().cmp(&other.allocation_id()));
    Ok(addresses)
}

/// The one address with `role`; its allocation's id.
///
/// Of several (a call whose answer was lost), the one that a gateway uses stays, and the others are
/// released.
pub(crate) async fn ensure(
    aws: &Aws,
    plan: &Plan,
    role: &str,
    found: &[Address],
    gateways: &[&NatGateway],
) -> Result<String, Error> {
    let mut ours = with_role(found, role);
    if ours.is_empty() {
        allocate(aws, plan, role).await?;
        ours = with_role(&find(aws, &plan.target).await?, role);
    }
    let is_used = |address: &Address| {
        let gateways = gateways
            .iter()
            .flat_map(|gateway| gateway.nat_gateway_addresses());
        let mut used = gateways.filter_map(|used| used.allocation_id());
        address.association_id().is_some() || used.any(|id| address.allocation_id() == Some(id))
    };
    let keep = ours.iter().position(is_used).unwrap_or(0);
    for (index, address) in ours.iter().enumerate() {
        if index != keep && !is_used(address) {
            release(aws, address).await?;
        }
    }
    let kept = ours.get(keep).ok_or_else(|| {
        Error::NotYetVisible(format!("the address for {role} cannot be described yet"))
    })?;
    required(
        kept.allocation_id.clone(),
        "ec2:DescribeAddresses: allocationId",
    )
}

fn with_role(addresses: &[Address], role: &str) -> Vec<Address> {
    let is_role = |address: &&Address| tags::ec2_value(address.tags(), tags::ROLE) == Some(role);
    addresses.iter().filter(is_role).cloned().collect()
}

async fn allocate(aws: &Aws, plan: &Plan, role: &str) -> Result<(), Error> {
    changing("ec2:AllocateAddress", role);
    let answer = aws
        .ec2
        .allocate_address()
        .domain(DomainType::Vpc)
        .tag_specifications(tags::ec2_specification(
            plan,
            ResourceType::ElasticIp,
            role,
            &[],
        ))
        .send()
        .await
        .during("ec2:AllocateAddress")?;
    changed(
        "ec2:AllocateAddress",
        answer.allocation_id().unwrap_or_default(),
    );
    Ok(())
}

/// Releases an address; nothing if it is still in use.
pub(crate) async fn release(aws: &Aws, address: &Address) -> Result<Option<Resource>, Error> {
    let id = required(
        address.allocation_id.clone(),
        "ec2:DescribeAddresses: allocationId",
    )?;
    changing("ec2:ReleaseAddress", &id);
    match aws.ec2.release_address().allocation_id(&id).send().await {
        Err(error) if error.code() == Some(codes::ADDRESS_IN_USE) => return Ok(None),
        // A released address answers AuthFailure: it was there when we looked, so another run has
        // released it since. That it is really gone shows the next look.
        Err(error)
            if [codes::ALLOCATION_NOT_FOUND, codes::AUTH_FAILURE]
                .contains(&error.code().unwrap_or_default()) => {}
        answer => {
            answer.during("ec2:ReleaseAddress")?;
            changed("ec2:ReleaseAddress", &id);
        }
    }
    Ok(Some(Resource::new("AWS::EC2::EIP", id)))
}
