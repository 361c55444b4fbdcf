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
use crate::resources::address::{self, KIND, find, id};
use crate::resources::nat_gateway::{self, Compared};
use crate::steps::removal::Removal;

const ALLOCATE: &str = "ec2:AllocateAddress";
const RELEASE: &str = "ec2:ReleaseAddress";

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

/// Releases every address but the one to keep, where nothing uses it. Those that a dying gateway still holds
/// are named in the answer: they can be released later.
pub(crate) async fn release_surplus(
    aws: &Aws,
    target: &Target,
    compared: &Compared<'_>,
    known: Option<&str>,
) -> Result<Vec<String>, Error> {
    let keep = compared.address(known);
    for address in address::surplus(&compared.addresses, keep) {
        release(aws, target, address, &mut Removal::default()).await?;
    }
    let others = compared.addresses.iter();
    let others = others.filter(|it| keep.is_some() && it.allocation_id() != keep);
    let dying = || compared.surplus.iter().chain(&compared.dead).copied();
    let held = others.filter_map(|it| Some((it, holder(it, dying())?)));
    held.map(|(address, holder)| waits_for(address, holder))
        .collect()
}

/// What holds the address that a new gateway is to use: a dying gateway of ours, in words for a person.
///
/// # Errors
/// [`Error::NotYetVisible`] if it is something else: mostly a gateway of ours that an invocation made
/// which did not live to say so, and that EC2 does not show yet.
pub(crate) fn held_by(
    compared: &Compared<'_>,
    allocation_id: &str,
) -> Result<Option<String>, Error> {
    let mut addresses = compared.addresses.iter();
    let address = addresses.find(|it| it.allocation_id() == Some(allocation_id));
    let Some(address) = address.filter(|it| it.association_id().is_some()) else {
        return Ok(None);
    };
    match holder(address, compared.dead.iter().copied()) {
        Some(holder) => waits_for(address, holder).map(Some),
        None => Err(Error::NotYetVisible(format!(
            "the cluster's address {allocation_id} is associated with {}, of which no NAT gateway of the \
             cluster is known",
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
