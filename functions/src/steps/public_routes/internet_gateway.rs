//! The internet gateway of the VPC.

use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_sdk_ec2::types::{InternetGateway, ResourceType};

use crate::aws::telemetry::{changed, changing};
use crate::aws::{Aws, change, codes};
use crate::contract::error::required;
use crate::contract::{During, Error, Resource};
use crate::model::{Plan, Target, tags};
use crate::resources::internet_gateway::{self, KIND, ROLE, find, id, vpc_of};
use crate::steps::removal::Removal;

const CREATE: &str = "ec2:CreateInternetGateway";
const ATTACH: &str = "ec2:AttachInternetGateway";
const DETACH: &str = "ec2:DetachInternetGateway";
const DELETE: &str = "ec2:DeleteInternetGateway";

/// How far the gateway is.
pub(crate) enum Ensured {
    /// It is attached to the VPC.
    Attached(String),
    /// It was created a moment ago. The invocation ends here: whatever failed after it would forget the id.
    Created(String),
}

/// Makes an internet gateway of ours, attached to the VPC. `known` is the id of the one that an earlier
/// invocation created; EC2 may not show it yet.
pub(crate) async fn ensure(
    aws: &Aws,
    plan: &Plan,
    vpc_id: &str,
    known: Option<&str>,
) -> Result<Ensured, Error> {
    let seen = internet_gateway::observe(aws, &plan.target, Some(vpc_id)).await?;
    let compared = internet_gateway::compare(&plan.target, Some(vpc_id), &seen)?;
    for surplus in &compared.surplus {
        delete(aws, surplus, &mut Removal::default()).await?;
    }
    let Some(id) = compared.id().or(known) else {
        return create(aws, plan).await.map(Ensured::Created);
    };
    if !compared.is_attached {
        attach(aws, id, vpc_id).await?;
    }
    Ok(Ensured::Attached(id.to_owned()))
}

/// Detaches and deletes every internet gateway of ours, with or without the tag of its role; whether all are
/// gone.
pub(crate) async fn remove(
    aws: &Aws,
    target: &Target,
    removal: &mut Removal,
) -> Result<bool, Error> {
    let mut are_gone = true;
    for gateway in find(aws, tags::ec2_filters(target)).await? {
        are_gone &= detach(aws, &gateway, removal).await? && delete(aws, &gateway, removal).await?;
    }
    Ok(are_gone)
}

async fn create(aws: &Aws, plan: &Plan) -> Result<String, Error> {
    changing(CREATE, ROLE);
    let tags = tags::ec2_specification(plan, ResourceType::InternetGateway, ROLE, &[]);
    let call = aws.ec2().create_internet_gateway().tag_specifications(tags);
    let answer = call.send().await.during(CREATE)?;
    let created = required(answer.internet_gateway, "ec2:CreateInternetGateway: one")?;
    let id = id(&created)?.to_owned();
    changed(CREATE, &id);
    Ok(id)
}

async fn attach(aws: &Aws, gateway_id: &str, vpc_id: &str) -> Result<(), Error> {
    let call = aws.ec2().attach_internet_gateway().vpc_id(vpc_id);
    let call = call.internet_gateway_id(gateway_id);
    let answer = change(ATTACH, gateway_id, call.send()).await;
    if let Err(error) = &answer
        && error.code() == Some(codes::ALREADY_ASSOCIATED)
    {
        return check_attached(aws, gateway_id, vpc_id).await;
    }
    if let Err(error) = &answer
        && has_another(error)
    {
        return Err(Error::NotYetVisible(format!(
            "which internet gateway {vpc_id} has already"
        )));
    }
    answer.during(ATTACH)?;
    Ok(())
}

/// Whether the VPC has another gateway, which EC2 did not show a moment ago.
fn has_another(error: &impl ProvideErrorMetadata) -> bool {
    let message = error.message().unwrap_or_default();
    error.code() == Some(codes::INVALID_PARAMETER_VALUE)
        && message.contains(codes::HAS_INTERNET_GATEWAY_MESSAGE)
}

/// Attached a moment ago: that is success if it is to our VPC.
async fn check_attached(aws: &Aws, gateway_id: &str, vpc_id: &str) -> Result<(), Error> {
    let by_id = vec![tags::ec2_filter("internet-gateway-id", gateway_id)];
    let gateways = find(aws, by_id).await?;
    match gateways.first().and_then(vpc_of) {
        Some(attached) if attached == vpc_id => Ok(()),
        Some(other) => Err(internet_gateway::attached_elsewhere(
            gateway_id,
            other,
            Some(vpc_id),
        )),
        None => Err(Error::NotYetVisible(format!(
            "what {gateway_id} is attached to"
        ))),
    }
}

/// Whether the gateway is detached now.
async fn detach(
    aws: &Aws,
    gateway: &InternetGateway,
    removal: &mut Removal,
) -> Result<bool, Error> {
    let Some(vpc_id) = vpc_of(gateway) else {
        return Ok(true);
    };
    let id = id(gateway)?;
    let call = aws.ec2().detach_internet_gateway().vpc_id(vpc_id);
    let call = call.internet_gateway_id(id).send();
    let attachment = Resource::new("AWS::EC2::VPCGatewayAttachment", format!("{id}|{vpc_id}"));
    let not_found = [
        codes::GATEWAY_NOT_ATTACHED,
        codes::INTERNET_GATEWAY_NOT_FOUND,
    ];
    removal.delete(DETACH, attachment, &not_found, call).await
}

async fn delete(
    aws: &Aws,
    gateway: &InternetGateway,
    removal: &mut Removal,
) -> Result<bool, Error> {
    let id = id(gateway)?;
    let call = aws.ec2().delete_internet_gateway().internet_gateway_id(id);
    let not_found = [codes::INTERNET_GATEWAY_NOT_FOUND];
    removal
        .delete(DELETE, Resource::new(KIND, id), &not_found, call.send())
        .await
}
