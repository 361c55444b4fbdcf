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
    let held = compared.held(keep);
    held.into_iter()
        .map(|(address, holder)| waits_for(address, holder))
        .collect()
}

/// What is said to a person who waits for it.
pub(crate) fn waits_for(address: &Address, holder: &NatGateway) -> Result<String, Error> {
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
