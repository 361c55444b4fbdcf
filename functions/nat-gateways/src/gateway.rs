//! NAT gateways.

use aws_sdk_ec2::types::{NatGateway, NatGatewayState, ResourceType};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use step::error::required;
use step::telemetry::{changed, changing};
use step::{Aws, During, Error, Plan, Target, codes, names, tags};

/// Failure codes that another attempt cannot mend (EC2 API reference, NatGateway).
const HOPELESS: &[&str] = &["InsufficientFreeAddressesInSubnet"];
/// How many client tokens are tried when EC2 answers with gateways that are dead already.
const TOKENS_MAX: usize = 5;

/// Ours in every state, also those that died within the last hour.
pub(crate) async fn find(aws: &Aws, target: &Target) -> Result<Vec<NatGateway>, Error> {
    let mut pages = aws
        .ec2
        .describe_nat_gateways()
        .set_filter(Some(tags::ec2_filters(target)))
        .into_paginator()
        .items()
        .send();
    let mut gateways = Vec::new();
    while let Some(gateway) = pages.next().await {
        gateways.push(gateway.during("ec2:DescribeNatGateways")?);
    }
    gateways.sort_by(|one, other| one.nat_gateway_id().cmp(&other.nat_gateway_id()));
    Ok(gateways)
}

/// Whether a gateway works or will.
pub(crate) fn is_alive(gateway: &NatGateway) -> bool {
    matches!(
        gateway.state(),
        Some(NatGatewayState::Available | NatGatewayState::Pending)
    )
}

/// Refuses another attempt when it could only fail as well.
pub(crate) fn give_up_if_hopeless(
    role: &str,
    failed: &[&NatGateway],
    attempts_max: usize,
) -> Result<(), Error> {
    let hopeless = |gateway: &&&NatGateway| {
        failed.len() >= attempts_max
            || HOPELESS.contains(&gateway.failure_code().unwrap_or_default())
    };
    let Some(gateway) = failed.iter().find(hopeless) else {
        return Ok(());
    };
    Err(Error::ResourceFailed(format!(
        "{role} failed {} times; {} says {}: {}",
        failed.len(),
        gateway.nat_gateway_id().unwrap_or_default(),
        gateway.failure_code().unwrap_or_default(),
        gateway.failure_message().unwrap_or_default()
    )))
}

/// Creates a gateway; `attempt` is the number of dead ones that are still visible.
pub(crate) async fn create(
    aws: &Aws,
    plan: &Plan,
    role: &str,
    subnet_id: &str,
    allocation_id: &str,
    attempt: usize,
) -> Result<NatGateway, Error> {
    for attempt in attempt..attempt + TOKENS_MAX {
        changing("ec2:CreateNatGateway", role);
        let parts = [
            "nat-gateway",
            subnet_id,
            allocation_id,
            &attempt.to_string(),
        ];
        let answer = aws
            .ec2
            .create_nat_gateway()
            .subnet_id(subnet_id)
            .allocation_id(allocation_id)
            .client_token(names::client_token(&plan.target, parts))
            .tag_specifications(tags::ec2_specification(
                plan,
                ResourceType::Natgateway,
                role,
                &[],
            ))
            .send()
            .await
            .during("ec2:CreateNatGateway")?;
        let gateway = required(answer.nat_gateway, "ec2:CreateNatGateway: natGateway")?;
        changed(
            "ec2:CreateNatGateway",
            gateway.nat_gateway_id().unwrap_or_default(),
        );
        // The token may be that of a gateway that died so long ago that it is no longer described.
        if is_alive(&gateway) {
            return Ok(gateway);
        }
    }
    Err(Error::NotYetVisible(format!(
        "{role}: EC2 answers with gateways that are dead"
    )))
}

/// Starts the deletion of a gateway.
pub(crate) async fn delete(aws: &Aws, id: &str) -> Result<(), Error> {
    changing("ec2:DeleteNatGateway", id);
    match aws.ec2.delete_nat_gateway().nat_gateway_id(id).send().await {
        Err(error) if error.code() == Some(codes::NAT_GATEWAY_NOT_FOUND) => return Ok(()),
        answer => answer.during("ec2:DeleteNatGateway")?,
    };
    changed("ec2:DeleteNatGateway", id);
    Ok(())
}
