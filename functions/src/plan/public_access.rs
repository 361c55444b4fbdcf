//! VPC Block Public Access: a lock on internet gateways that an account or its organization can set.
//!
//! `block-bidirectional` stops internet gateways and with them every NAT gateway behind: pods could pull no
//! image, which would show after twenty minutes, when everything is built. `block-ingress` lets NAT
//! gateways out (VPC user guide, block public access).

use aws_sdk_ec2::types::{
    BlockPublicAccessMode, BlockPublicAccessStates, InternetGatewayBlockMode, ManagedBy, Vpc,
    VpcBlockPublicAccessExclusionsAllowed, VpcBlockPublicAccessOptions,
};

use crate::aws::Aws;
use crate::contract::{During, Error};
use crate::model::{Plan, tags};
use crate::resources::{subnet, vpc};

const DESCRIBE: &str = "ec2:DescribeVpcBlockPublicAccessOptions";

/// Refuses a plan whose NAT gateways would pass nothing. The answer is what could not be read, a sentence
/// each.
///
/// # Errors
/// [`Error::ResourceConflict`] with the way out.
pub(crate) async fn check(aws: &Aws, plan: &Plan) -> Result<Vec<String>, Error> {
    let call = aws.ec2().describe_vpc_block_public_access_options();
    let options = match call.send().await.during(DESCRIBE) {
        Ok(answer) => answer.vpc_block_public_access_options,
        // An older member role, or a partition that does not have it.
        Err(Error::AccessDenied(why) | Error::ExplicitDeny(why) | Error::Unexpected(why)) => {
            return Ok(vec![format!("VPC Block Public Access is unknown: {why}")]);
        }
        Err(error) => return Err(error),
    };
    let Some(options) = options.filter(is_closed) else {
        return Ok(vec![]);
    };
    let seen = vpc::observe(aws, &plan.target).await?;
    let vpc = vpc::compare(plan, &seen)?.kept;
    let is_open = match vpc {
        Some(vpc) => {
            !blocks(vpc.block_public_access_states()) || has_open_subnets(aws, plan).await?
        }
        None => false,
    };
    if is_open {
        return Ok(vec![]);
    }
    Err(Error::ResourceConflict(message(
        plan,
        &options,
        vpc.and_then(Vpc::vpc_id),
    )))
}

fn is_closed(options: &VpcBlockPublicAccessOptions) -> bool {
    options.internet_gateway_block_mode() == Some(&InternetGatewayBlockMode::BlockBidirectional)
}

fn blocks(states: Option<&BlockPublicAccessStates>) -> bool {
    let mode = states.and_then(|it| it.internet_gateway_block_mode());
    mode == Some(&BlockPublicAccessMode::BlockBidirectional)
}

/// Whether all subnets of NAT gateways are there and excluded.
async fn has_open_subnets(aws: &Aws, plan: &Plan) -> Result<bool, Error> {
    let subnets = subnet::find(aws, tags::ec2_filters(&plan.target)).await?;
    Ok(plan.network.nat_zones().iter().all(|zone| {
        let wanted = subnet::Wanted::public(zone);
        let subnet = subnets.iter().find(|subnet| wanted.is(plan, subnet));
        subnet.is_some_and(|subnet| !blocks(subnet.block_public_access_states()))
    }))
}

fn message(plan: &Plan, options: &VpcBlockPublicAccessOptions, vpc_id: Option<&str>) -> String {
    let (account, region) = (&plan.target.account.id, &plan.target.region);
    let is_declared = options.managed_by() == Some(&ManagedBy::DeclarativePolicy);
    let (by, change) = if is_declared {
        let change = "have the organization's declarative policy say block-ingress";
        (
            "by a declarative policy of the organization",
            change.to_owned(),
        )
    } else {
        let change = format!(
            "run aws ec2 modify-vpc-block-public-access-options --region {region} \
             --internet-gateway-block-mode block-ingress"
        );
        ("by the account itself", change)
    };
    let allowed = VpcBlockPublicAccessExclusionsAllowed::Allowed;
    let exclude = match vpc_id {
        Some(id) if options.exclusions_allowed() == Some(&allowed) => format!(
            "; or exclude the VPC: aws ec2 create-vpc-block-public-access-exclusion --region {region} \
             --vpc-id {id} --internet-gateway-exclusion-mode allow-egress"
        ),
        _ => String::new(),
    };
    format!(
        "VPC Block Public Access is block-bidirectional in {region} of account {account}, set {by}: NAT \
         gateways would pass nothing, and no pod could pull its image. With block-ingress NAT gateways \
         work and nothing comes in: {change}{exclude}; then start again"
    )
}
