//! NAT gateways themselves.
//!
//! The client token of a creation names subnet, address and attempt, and the attempt's number is that
//! of the dead gateways: a repetition gets the gateway of the lost answer, a replacement gets a new
//! one. EC2 forgets dead gateways after about an hour, but may remember their tokens for longer; then
//! it refuses the token or answers with a dead gateway, and the next number is tried.

use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_sdk_ec2::types::{NatGateway, ResourceType};

use crate::aws::telemetry::{changed, changing};
use crate::aws::{Aws, codes};
use crate::contract::error::required;
use crate::contract::{During, Error, Resource};
use crate::model::{Plan, ZoneNatGateway, names, tags, zones};
use crate::resources::nat_gateway::{KIND, address_of, id, is_live};
use crate::steps::removal::Removal;

/// How many tokens are tried in one invocation.
const TOKENS_MAX: usize = 5;
const CREATE: &str = "ec2:CreateNatGateway";
const DELETE: &str = "ec2:DeleteNatGateway";

/// What a gateway is made of.
pub(crate) struct Place<'a> {
    /// Value of the tag `hardway:role`.
    pub(crate) role: &'a str,
    pub(crate) zone_id: &'a str,
    pub(crate) subnet_id: &'a str,
    pub(crate) allocation_id: &'a str,
}

/// Creates the gateway that comes after the dead ones; its id.
pub(crate) async fn create(
    aws: &Aws,
    plan: &Plan,
    place: &Place<'_>,
    dead: &[&NatGateway],
) -> Result<String, Error> {
    for attempt in (dead.len()..).take(TOKENS_MAX) {
        changing(CREATE, place.role);
        let Some(gateway) = try_create(aws, plan, place, attempt).await? else {
            continue;
        };
        let id = id(&gateway)?;
        if is_live(&gateway) && !dead.iter().any(|it| it.nat_gateway_id() == Some(id)) {
            changed(CREATE, id);
            return Ok(id.to_owned());
        }
    }
    Err(Error::ResourceFailed(format!(
        "no new NAT gateway for {} in {}: EC2 answers {TOKENS_MAX} client tokens with gateways \
         that are deleted or failed; it forgets the tokens within a day",
        place.role, place.subnet_id
    )))
}

/// None if the token was used before, with other parameters or for a gateway that is deleted.
async fn try_create(
    aws: &Aws,
    plan: &Plan,
    place: &Place<'_>,
    attempt: usize,
) -> Result<Option<NatGateway>, Error> {
    let attempt = attempt.to_string();
    let parts = [
        "nat-gateway",
        place.subnet_id,
        place.allocation_id,
        &attempt,
    ];
    let tags = tags::ec2_specification(plan, ResourceType::Natgateway, place.role, &[]);
    let answer = aws
        .ec2()
        .create_nat_gateway()
        .subnet_id(place.subnet_id)
        .allocation_id(place.allocation_id)
        .client_token(names::client_token(&plan.target, parts))
        .tag_specifications(tags)
        .send()
        .await;
    if let Err(error) = &answer {
        if error.code() == Some(codes::IDEMPOTENT_PARAMETER_MISMATCH) {
            return Ok(None);
        }
        if error.code() == Some(codes::NOT_AVAILABLE_IN_ZONE) {
            let message = error.message().unwrap_or_default();
            return Err(zones::unavailable(
                plan,
                "NAT gateway",
                &[place.zone_id],
                message,
            ));
        }
    }
    required(
        answer.during(CREATE)?.nat_gateway,
        "ec2:CreateNatGateway: natGateway",
    )
    .map(Some)
}

/// Starts the deletion of a gateway.
pub(crate) async fn delete(
    aws: &Aws,
    gateway: &NatGateway,
    removal: &mut Removal,
) -> Result<(), Error> {
    let id = id(gateway)?;
    let call = aws.ec2().delete_nat_gateway().nat_gateway_id(id).send();
    let not_found = [codes::NAT_GATEWAY_NOT_FOUND];
    removal
        .delete(DELETE, Resource::new(KIND, id), &not_found, call)
        .await?;
    Ok(())
}

pub(crate) fn output(gateway: &NatGateway, zone_id: &str) -> Result<ZoneNatGateway, Error> {
    let address = required(address_of(gateway), "ec2:DescribeNatGateways: an address")?;
    let allocation_id = address.allocation_id();
    Ok(ZoneNatGateway {
        zone_id: zone_id.to_owned(),
        nat_gateway_id: id(gateway)?.to_owned(),
        allocation_id: required(allocation_id, "ec2:DescribeNatGateways: allocationId")?.to_owned(),
        public_ip: required(address.public_ip(), "ec2:DescribeNatGateways: publicIp")?.to_owned(),
    })
}
