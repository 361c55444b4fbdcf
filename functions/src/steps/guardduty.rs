//! The removal of what Amazon GuardDuty has put into a VPC ([`crate::resources::guardduty`]), which holds subnets and
//! VPC alike.

use aws_sdk_ec2::types::{State, UnsuccessfulItem, VpcEndpoint};

use crate::aws::telemetry::{changed, changing};
use crate::aws::{Aws, codes};
use crate::contract::{During, Error, Resource};
use crate::model::tags;
use crate::resources::eks_network::find_security_groups;
use crate::resources::guardduty::{is_endpoint, is_group};
use crate::resources::vpc_endpoint;
use crate::steps::removal::Removal;

const DELETE_ENDPOINT: &str = "ec2:DeleteVpcEndpoints";

/// Makes it gone: the endpoint, which takes minutes, then its group. Only for a VPC of ours without a
/// cluster.
///
/// # Errors
/// What EC2 answers.
pub async fn remove(aws: &Aws, vpc_id: &str, removal: &mut Removal) -> Result<(), Error> {
    let endpoints = vpc_endpoint::find(aws, tags::ec2_in_vpc(vpc_id)).await?;
    let is_there = |it: &&VpcEndpoint| is_endpoint(it) && !is_in(it, "deleted");
    let mut are_gone = true;
    for endpoint in endpoints.iter().filter(is_there) {
        remove_endpoint(aws, endpoint, removal).await?;
        are_gone = false;
    }
    if !are_gone {
        return Ok(());
    }
    let groups = find_security_groups(aws, vpc_id).await?;
    for group in groups.iter().filter(|it| is_group(it)) {
        let id = group.group_id().unwrap_or_default();
        let call = aws.ec2().delete_security_group().group_id(id);
        let resource = Resource::new("AWS::EC2::SecurityGroup", id);
        let not_found = [codes::SECURITY_GROUP_NOT_FOUND];
        removal
            .delete("ec2:DeleteSecurityGroup", resource, &not_found, call.send())
            .await?;
    }
    Ok(())
}

/// The model says Deleted, EC2 answers deleted (aws/aws-sdk issue 258).
fn is_in(endpoint: &VpcEndpoint, state: &str) -> bool {
    let actual = endpoint.state().map(State::as_str);
    actual.is_some_and(|actual| actual.eq_ignore_ascii_case(state))
}

async fn remove_endpoint(
    aws: &Aws,
    endpoint: &VpcEndpoint,
    removal: &mut Removal,
) -> Result<(), Error> {
    let id = endpoint.vpc_endpoint_id().unwrap_or_default();
    removal.wait_for(format!("GuardDuty's endpoint {id} is being deleted"));
    if is_in(endpoint, "deleting") {
        return Ok(());
    }
    changing(DELETE_ENDPOINT, id);
    let call = aws.ec2().delete_vpc_endpoints().vpc_endpoint_ids(id);
    let answer = call.send().await.during(DELETE_ENDPOINT)?;
    let mut errors = answer.unsuccessful().iter();
    match errors.find_map(UnsuccessfulItem::error) {
        Some(error) if error.code() == Some(codes::VPC_ENDPOINT_NOT_FOUND) => {}
        Some(error) => {
            let code = error.code().unwrap_or("no error code");
            let message = error.message().unwrap_or("no message");
            return Err(Error::classify(DELETE_ENDPOINT, code, message, 0));
        }
        None => changed(DELETE_ENDPOINT, id),
    }
    Ok(())
}
