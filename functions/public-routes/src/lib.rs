//! The way from the public subnets to the Internet: an internet gateway attached to the VPC, the public
//! route table with its default route, and its associations with the public subnets.
//!
//! CreateInternetGateway has no client token: it is tagged in the create call and looked for
//! afterwards, and what is double (a create whose answer was lost) is removed.

use aws_sdk_ec2::types::{InternetGateway, ResourceType};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use serde::{Deserialize, Serialize};
use step::ec2_routes::{self, Gateway, Wanted};
use step::error::required;
use step::telemetry::{changed, changing};
use step::{
    Aws, During, Error, Outcome, Plan, Removed, Resource, Step, Target, ZoneSubnets, codes, tags,
};

/// The step `public-routes`.
pub struct PublicRoutes;

/// What the public routes need of earlier steps.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// The VPC.
    pub vpc_id: String,
    /// The subnets of all zones.
    pub subnets: Vec<ZoneSubnets>,
}

/// What later steps need of the public routes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// The internet gateway.
    pub internet_gateway_id: String,
    /// The public route table.
    pub route_table_id: String,
}

const GATEWAY_ROLE: &str = "internet-gateway";
const TABLE_ROLE: &str = "public-routes";

impl Step for PublicRoutes {
    const NAME: &'static str = "public-routes";
    type Input = Input;
    type Output = Output;

    async fn ensure(aws: &Aws, plan: &Plan, input: Input) -> Result<Outcome<Output>, Error> {
        let mut found = find(aws, &plan.target).await?;
        if found.is_empty() {
            create(aws, plan).await?;
            found = find(aws, &plan.target).await?;
        }
        let gateway = keep_one(aws, found, &input.vpc_id).await?;
        let internet_gateway_id = gateway_id(&gateway)?;
        attach(aws, &gateway, &internet_gateway_id, &input.vpc_id).await?;
        let subnet_ids: Vec<&str> = input
            .subnets
            .iter()
            .map(|zone| zone.public_subnet_id.as_str())
            .collect();
        let table = Wanted {
            role: TABLE_ROLE,
            vpc_id: &input.vpc_id,
            gateway: Gateway::Internet(&internet_gateway_id),
            subnet_ids: &subnet_ids,
        };
        let route_table_id = ec2_routes::ensure(aws, plan, &table).await?;
        Ok(Outcome::Ready(Output {
            internet_gateway_id,
            route_table_id,
        }))
    }

    async fn remove(aws: &Aws, target: &Target) -> Result<Outcome<Removed>, Error> {
        let mut removed = match ec2_routes::remove(aws, target, TABLE_ROLE).await? {
            Outcome::Ready(removed) => removed,
            pending @ Outcome::Pending { .. } => return Ok(pending),
        };
        for gateway in find(aws, target).await? {
            let id = gateway_id(&gateway)?;
            for vpc_id in attachments(&gateway) {
                if let Some(why) = detach(aws, &id, vpc_id).await? {
                    let reason = format!("internet gateway {id} is in use: {why}");
                    return Ok(Outcome::pending(10, reason));
                }
            }
            if delete(aws, &id).await? {
                removed
                    .removed
                    .push(Resource::new("AWS::EC2::InternetGateway", id));
            }
        }
        Ok(Outcome::Ready(removed))
    }
}

fn gateway_id(gateway: &InternetGateway) -> Result<String, Error> {
    let id = gateway.internet_gateway_id.clone();
    required(id, "ec2:DescribeInternetGateways: internetGatewayId")
}

fn attachments(gateway: &InternetGateway) -> impl Iterator<Item = &str> {
    gateway
        .attachments()
        .iter()
        .filter_map(|attachment| attachment.vpc_id())
}

/// Ours, in the order of their ids. A cluster has one, so a page holds them.
async fn find(aws: &Aws, target: &Target) -> Result<Vec<InternetGateway>, Error> {
    let answer = aws
        .ec2
        .describe_internet_gateways()
        .set_filters(Some(tags::ec2_filters_for(target, GATEWAY_ROLE)))
        .send()
        .await
        .during("ec2:DescribeInternetGateways")?;
    let mut gateways = answer.internet_gateways.unwrap_or_default();
    gateways.sort_by(|one, other| one.internet_gateway_id().cmp(&other.internet_gateway_id()));
    Ok(gateways)
}

async fn create(aws: &Aws, plan: &Plan) -> Result<(), Error> {
    changing("ec2:CreateInternetGateway", GATEWAY_ROLE);
    let specification =
        tags::ec2_specification(plan, ResourceType::InternetGateway, GATEWAY_ROLE, &[]);
    let answer = aws
        .ec2
        .create_internet_gateway()
        .tag_specifications(specification)
        .send()
        .await
        .during("ec2:CreateInternetGateway")?;
    let gateway = required(
        answer.internet_gateway,
        "ec2:CreateInternetGateway: internetGateway",
    )?;
    changed("ec2:CreateInternetGateway", &gateway_id(&gateway)?);
    Ok(())
}

/// The gateway that is attached to the VPC, or the first; the others are deleted.
async fn keep_one(
    aws: &Aws,
    found: Vec<InternetGateway>,
    vpc_id: &str,
) -> Result<InternetGateway, Error> {
    let attached = found
        .iter()
        .position(|gateway| attachments(gateway).any(|id| id == vpc_id));
    let keep = attached.unwrap_or(0);
    let mut kept = None;
    for (index, gateway) in found.into_iter().enumerate() {
        if index == keep {
            kept = Some(gateway);
        } else {
            delete(aws, &gateway_id(&gateway)?).await?;
        }
    }
    kept.ok_or_else(|| {
        let message = "the internet gateway that was just created cannot be described yet";
        Error::NotYetVisible(message.to_owned())
    })
}

async fn attach(aws: &Aws, gateway: &InternetGateway, id: &str, vpc_id: &str) -> Result<(), Error> {
    match attachments(gateway).next() {
        Some(attached) if attached == vpc_id => return Ok(()),
        Some(other) => {
            return Err(Error::ResourceConflict(format!(
                "internet gateway {id} of this cluster is attached to {other}, not to {vpc_id}"
            )));
        }
        None => {}
    }
    changing("ec2:AttachInternetGateway", id);
    let call = aws
        .ec2
        .attach_internet_gateway()
        .internet_gateway_id(id)
        .vpc_id(vpc_id);
    match call.send().await {
        // Either it is this gateway, which the look above could not see yet, or the VPC has another
        // one, which is not ours: the next look tells.
        Err(error) if error.code() == Some(codes::ALREADY_ASSOCIATED) => {
            attached_already(aws, id, vpc_id).await
        }
        answer => {
            answer.during("ec2:AttachInternetGateway")?;
            changed("ec2:AttachInternetGateway", id);
            Ok(())
        }
    }
}

async fn attached_already(aws: &Aws, id: &str, vpc_id: &str) -> Result<(), Error> {
    let answer = aws
        .ec2
        .describe_internet_gateways()
        .filters(tags::ec2_filter("attachment.vpc-id", vpc_id))
        .send()
        .await
        .during("ec2:DescribeInternetGateways")?;
    match answer
        .internet_gateways()
        .first()
        .and_then(InternetGateway::internet_gateway_id)
    {
        Some(other) if other != id => Err(Error::ResourceConflict(format!(
            "VPC {vpc_id} has the internet gateway {other}, which is not ours"
        ))),
        Some(_) => Ok(()),
        None => Err(Error::NotYetVisible(format!(
            "the attachment of {id} to {vpc_id}"
        ))),
    }
}

/// Detaches the gateway; why not, if EC2 refuses because public addresses are still mapped.
async fn detach(aws: &Aws, id: &str, vpc_id: &str) -> Result<Option<String>, Error> {
    changing("ec2:DetachInternetGateway", id);
    let call = aws
        .ec2
        .detach_internet_gateway()
        .internet_gateway_id(id)
        .vpc_id(vpc_id);
    match call.send().await {
        Err(error) if error.code() == Some(codes::GATEWAY_NOT_ATTACHED) => return Ok(None),
        Err(error) if error.code() == Some(codes::DEPENDENCY_VIOLATION) => {
            return Ok(Some(error.message().unwrap_or_default().to_owned()));
        }
        answer => answer.during("ec2:DetachInternetGateway")?,
    };
    changed("ec2:DetachInternetGateway", id);
    Ok(None)
}

/// Deletes the gateway; whether there was one.
async fn delete(aws: &Aws, id: &str) -> Result<bool, Error> {
    changing("ec2:DeleteInternetGateway", id);
    match aws
        .ec2
        .delete_internet_gateway()
        .internet_gateway_id(id)
        .send()
        .await
    {
        Err(error) if error.code() == Some(codes::INTERNET_GATEWAY_NOT_FOUND) => return Ok(false),
        answer => answer.during("ec2:DeleteInternetGateway")?,
    };
    changed("ec2:DeleteInternetGateway", id);
    Ok(true)
}
