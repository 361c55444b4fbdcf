//! The internet gateway of the VPC.

use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_sdk_ec2::types::{InternetGateway, ResourceType};

use crate::aws::telemetry::{changed, changing};
use crate::aws::{Aws, change, codes};
use crate::contract::error::required;
use crate::contract::{During, Error, Resource};
use crate::model::{Plan, Target, tags};
use crate::resources::internet_gateway::{KIND, ROLE, find, id, vpc_of};
use crate::resources::removal::Removal;

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
    let found = find(aws, tags::ec2_filters_for(&plan.target, ROLE)).await?;
    let gateway = match (found.is_empty(), known) {
        (false, _) => keep_one(aws, found, vpc_id).await?,
        (true, Some(known)) => InternetGateway::builder()
            .internet_gateway_id(known)
            .build(),
        (true, None) => return create(aws, plan).await.map(Ensured::Created),
    };
    let attached = match vpc_of(&gateway) {
        Some(attached) if attached == vpc_id => id(&gateway)?.to_owned(),
        Some(other) => {
            return Err(Error::ResourceConflict(format!(
                "the cluster's internet gateway {} is attached to {other}, not to {vpc_id}",
                id(&gateway)?
            )));
        }
        None => attach(aws, plan, &gateway, vpc_id).await?,
    };
    Ok(Ensured::Attached(attached))
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

/// Of several gateways of ours keeps the one that is attached to the VPC, else the one with the
/// smallest id: whoever looks, at any time, decides alike. Only what is not attached is surplus.
async fn keep_one(
    aws: &Aws,
    mut found: Vec<InternetGateway>,
    vpc_id: &str,
) -> Result<InternetGateway, Error> {
    found.sort_by(|one, other| one.internet_gateway_id().cmp(&other.internet_gateway_id()));
    let is_ours = |gateway: &InternetGateway| vpc_of(gateway) == Some(vpc_id);
    let place = found.iter().position(is_ours).unwrap_or_default();
    let kept = found.remove(place);
    for surplus in found.iter().filter(|gateway| vpc_of(gateway).is_none()) {
        delete(aws, surplus, &mut Removal::default()).await?;
    }
    Ok(kept)
}

/// A VPC has room for one internet gateway, so that of somebody else is a conflict, and another one of
/// ours is the one to use. The answer is the id of the one that is attached.
async fn attach(
    aws: &Aws,
    plan: &Plan,
    gateway: &InternetGateway,
    vpc_id: &str,
) -> Result<String, Error> {
    let gateway_id = id(gateway)?;
    let of_vpc = vec![tags::ec2_filter("attachment.vpc-id", vpc_id)];
    if let Some(other) = find(aws, of_vpc).await?.first()
        && other.internet_gateway_id() != Some(gateway_id)
    {
        if tags::ec2_is(other.tags(), &plan.target, ROLE) {
            return Ok(id(other)?.to_owned());
        }
        return Err(Error::ResourceConflict(format!(
            "{vpc_id} has the internet gateway {} already, which is not the cluster's",
            id(other)?
        )));
    }
    let call = aws.ec2().attach_internet_gateway().vpc_id(vpc_id);
    let call = call.internet_gateway_id(gateway_id);
    let answer = change(ATTACH, gateway_id, call.send()).await;
    if let Err(error) = &answer
        && error.code() == Some(codes::ALREADY_ASSOCIATED)
    {
        check_attached(aws, gateway_id, vpc_id).await?;
        return Ok(gateway_id.to_owned());
    }
    if let Err(error) = &answer
        && has_another(error)
    {
        return Err(Error::NotYetVisible(format!(
            "which internet gateway {vpc_id} has already"
        )));
    }
    answer.during(ATTACH)?;
    Ok(gateway_id.to_owned())
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
        Some(other) => Err(Error::ResourceConflict(format!(
            "the cluster's internet gateway {gateway_id} is attached to {other}, not to {vpc_id}"
        ))),
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
