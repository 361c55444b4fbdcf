//! The Elastic IP addresses of NAT gateways.
//!
//! An address that nobody uses costs money and counts against a quota of five, so none is leaked: it
//! is tagged in the call that allocates it, reused by the gateway that replaces a failed one, and
//! released when a lost answer has left one too many.

use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_sdk_ec2::types::{Address, DomainType, NatGateway, ResourceType};

use crate::aws::telemetry::{changed, changing};
use crate::aws::{Aws, codes};
use crate::contract::error::required;
use crate::contract::{During, Error, Resource};
use crate::model::{Plan, Target, tags};
use crate::resources::address::{KIND, find, id};
use crate::resources::nat_gateway;
use crate::resources::removal::Removal;

const ALLOCATE: &str = "ec2:AllocateAddress";
const RELEASE: &str = "ec2:ReleaseAddress";

/// The address for a new gateway: the one that is `known` from an earlier invocation, which its client token
/// may name already, else a free one of those that were `found`; the known one even if EC2 does not show
/// it yet. None if one has to be allocated.
pub(crate) async fn choose(
    aws: &Aws,
    target: &Target,
    found: &[&Address],
    known: Option<&str>,
) -> Result<Option<Address>, Error> {
    let first = found.iter().min_by_key(|address| {
        let is_known = known.is_some() && address.allocation_id() == known;
        let is_free = address.association_id.is_none();
        (!is_known, !is_free, address.allocation_id())
    });
    let Some(kept) = first else {
        let known = known.map(|id| Address::builder().allocation_id(id).build());
        return Ok(known);
    };
    release_surplus(aws, target, found, kept.allocation_id(), []).await?;
    Ok(Some((*kept).clone()))
}

/// Allocates an address; its id.
pub(crate) async fn allocate(aws: &Aws, plan: &Plan, role: &str) -> Result<String, Error> {
    changing(ALLOCATE, role);
    let tags = tags::ec2_specification(plan, ResourceType::ElasticIp, role, &[]);
    let answer = aws
        .ec2()
        .allocate_address()
        .domain(DomainType::Vpc)
        .tag_specifications(tags)
        .send()
        .await
        .during(ALLOCATE)?;
    let id = required(answer.allocation_id, "ec2:AllocateAddress: allocationId")?;
    changed(ALLOCATE, &id);
    Ok(id)
}

/// Releases every address but the one to `keep`, where nothing uses it. Those that a dying gateway
/// still holds are named in the answer: they can be released later.
pub(crate) async fn release_surplus<'a>(
    aws: &Aws,
    target: &Target,
    found: &[&Address],
    keep: Option<&str>,
    dying: impl IntoIterator<Item = &'a NatGateway>,
) -> Result<Vec<String>, Error> {
    let dying: Vec<_> = dying.into_iter().collect();
    let mut held = vec![];
    // Without knowing which address is in use, none is surplus.
    let surplus = found
        .iter()
        .filter(|it| keep.is_some() && it.allocation_id() != keep);
    for address in surplus {
        match holder(address, dying.iter().copied()) {
            Some(holder) => held.push(waits_for(address, holder)?),
            None if address.association_id().is_some() => {}
            None => release(aws, target, address, &mut Removal::default()).await?,
        }
    }
    Ok(held)
}

/// What holds an address that a new gateway is to use: a dying gateway of ours, in words for a person.
///
/// # Errors
/// [`Error::NotYetVisible`] if it is something else: mostly a gateway of ours that an invocation made
/// which did not live to say so, and that EC2 does not show yet.
pub(crate) fn held_by<'a>(
    address: &Address,
    dying: impl IntoIterator<Item = &'a NatGateway>,
) -> Result<Option<String>, Error> {
    if address.association_id().is_none() {
        return Ok(None);
    }
    match holder(address, dying) {
        Some(holder) => waits_for(address, holder).map(Some),
        None => Err(Error::NotYetVisible(format!(
            "the cluster's address {} is associated with {}, of which no NAT gateway of the cluster is \
             known",
            id(address)?,
            address.network_interface_id().unwrap_or("something")
        ))),
    }
}

/// The dying gateway that an associated address belongs to.
fn holder<'a>(
    address: &Address,
    dying: impl IntoIterator<Item = &'a NatGateway>,
) -> Option<&'a NatGateway> {
    address.association_id()?;
    let uses = |gateway: &&NatGateway| {
        let mut addresses = gateway.nat_gateway_addresses().iter();
        addresses.any(|it| it.allocation_id() == address.allocation_id())
    };
    dying.into_iter().find(uses)
}

fn waits_for(address: &Address, holder: &NatGateway) -> Result<String, Error> {
    Ok(format!(
        "{} is still held by {}, which is being deleted",
        id(address)?,
        nat_gateway::id(holder)?
    ))
}

/// Releases an address of a gateway that is gone.
///
/// A released address answers AuthFailure, as if it belonged to somebody else, and so does one that a
/// service still uses: its association outlives the gateway for moments. Then the step looks whether it
/// is there at all, and waits if it is. Who may not release it gets another code.
pub(crate) async fn release(
    aws: &Aws,
    target: &Target,
    address: &Address,
    removal: &mut Removal,
) -> Result<(), Error> {
    let id = id(address)?;
    let mut is_not_ours = false;
    let call = async {
        let answer = aws.ec2().release_address().allocation_id(id).send().await;
        let code = answer.as_ref().err().and_then(ProvideErrorMetadata::code);
        is_not_ours = code == Some(codes::AUTH_FAILURE);
        answer
    };
    let not_found = [codes::ALLOCATION_NOT_FOUND];
    let resource = Resource::new(KIND, id);
    let answer = removal.delete(RELEASE, resource, &not_found, call).await;
    match answer {
        Err(Error::AccessDenied(said)) if is_not_ours => {
            let found = find(aws, tags::ec2_filters(target)).await?;
            if found.iter().any(|it| it.allocation_id() == Some(id)) {
                removal.wait_for(format!("{id} is still in use: {said}"));
            }
            Ok(())
        }
        answer => answer.map(drop),
    }
}
