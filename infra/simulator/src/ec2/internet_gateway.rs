//! Internet gateways.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::describe::{Resource, Spelling, describe as answer};
use super::kind::{INTERNET_GATEWAY, Kind, VPC};
use super::request::Request;
use super::tags::{self, Tags};
use super::{Ec2, Quotas, yes};
use crate::api_error::ApiError;
use crate::faults::end_of_lag;
use crate::xml::Element;

/// An internet gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InternetGateway {
    /// `igw-…`
    pub id: String,
    /// The VPC that it is attached to.
    pub vpc_id: Option<String>,
    /// When routes may lead to it, if it was attached a moment ago.
    #[serde(default)]
    pub routable_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Tags.
    pub tags: Tags,
}

/// `CreateInternetGateway`. There is no client token: every call makes another one.
pub(super) fn create(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let tags = tags::of_new(request, &INTERNET_GATEWAY)?;
    let (used, quota) = (ec2.internet_gateways.len(), ec2.quotas.internet_gateways);
    let code = "InternetGatewayLimitExceeded";
    Quotas::check(used, quota, code, "internet gateways")?;

    let name = tags.get("Name").cloned().unwrap_or_default();
    let id = ec2.mint(request, INTERNET_GATEWAY.prefix, &name);
    let gateway = InternetGateway {
        id: id.clone(),
        vpc_id: None,
        routable_at: None,
        created_at: request.now,
        tags,
    };
    let content = gateway.content(ec2, request);
    ec2.internet_gateways.insert(id, gateway);
    Ok(vec![Element::new("internetGateway").children(content)])
}

/// `AttachInternetGateway`: one gateway for a VPC, one VPC for a gateway.
pub(super) fn attach(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let (id, vpc_id) = pair(ec2, request)?;
    if let Some(vpc_id) = &ec2.internet_gateways[id].vpc_id {
        // EC2 API reference, error codes.
        let message = format!("resource {id} is already attached to network {vpc_id}");
        return Err(ApiError::client("Resource.AlreadyAssociated", message));
    }
    if ec2.internet_gateway_of(vpc_id).is_some() {
        let message = format!("Network {vpc_id} already has an internet gateway attached");
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    set_vpc(ec2, id, Some(vpc_id.to_owned()));
    // EC2 developer guide, eventual consistency. Terraform waits for the attachment to be `available`
    // before it makes routes.
    let lag = request.faults.ec2_id_lag_seconds;
    if lag > 0.0 {
        let routable_at = end_of_lag(request.seed, request.now, lag, "routable", id);
        if let Some(gateway) = ec2.internet_gateways.get_mut(id) {
            gateway.routable_at = Some(routable_at);
        }
    }
    Ok(yes())
}

/// `DetachInternetGateway`.
pub(super) fn detach(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let (id, vpc_id) = pair(ec2, request)?;
    if ec2.internet_gateways[id].vpc_id.as_deref() != Some(vpc_id) {
        // EC2 API reference, error codes.
        let message = format!("resource {id} is not attached to network {vpc_id}");
        return Err(ApiError::client("Gateway.NotAttached", message));
    }
    // botocore's EC2 model, DetachInternetGateway: nothing in the VPC may have a public address. The
    // message is the one that clients report.
    let is_mapped = |interface: &super::NetworkInterface| {
        interface.vpc_id == vpc_id && interface.is_mapped(ec2)
    };
    if ec2.network_interfaces.values().any(is_mapped) {
        let message = format!(
            "Network {vpc_id} has some mapped public address(es). Please unmap those public \
             address(es) before detaching the gateway."
        );
        return Err(ApiError::client("DependencyViolation", message));
    }
    set_vpc(ec2, id, None);
    Ok(yes())
}

/// `DeleteInternetGateway`: only a detached one (botocore's EC2 model).
pub(super) fn delete(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let id = request.id("InternetGatewayId", &INTERNET_GATEWAY)?;
    let gateway = ec2.look_up(&ec2.internet_gateways, &INTERNET_GATEWAY, id)?;
    if gateway.vpc_id.is_some() {
        let message = format!("The internetGateway '{id}' has dependencies and cannot be deleted.");
        return Err(ApiError::client("DependencyViolation", message));
    }
    ec2.internet_gateways.remove(id);
    Ok(yes())
}

/// `DescribeInternetGateways`.
pub(super) fn describe(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let spelling = Spelling {
        ids: "InternetGatewayId",
        set: "internetGatewaySet",
        page_limit: Some(1000),
    };
    answer(ec2, request, &ec2.internet_gateways, &spelling)
}

/// Gateway and VPC of a request; both exist.
fn pair<'a>(ec2: &Ec2, request: &'a Request<'_>) -> Result<(&'a str, &'a str), ApiError> {
    let id = request.id("InternetGatewayId", &INTERNET_GATEWAY)?;
    let vpc_id = request.id("VpcId", &VPC)?;
    ec2.look_up(&ec2.internet_gateways, &INTERNET_GATEWAY, id)?;
    ec2.look_up(&ec2.vpcs, &VPC, vpc_id)?;
    Ok((id, vpc_id))
}

fn set_vpc(ec2: &mut Ec2, id: &str, vpc_id: Option<String>) {
    if let Some(gateway) = ec2.internet_gateways.get_mut(id) {
        gateway.vpc_id = vpc_id;
    }
}

impl Resource for InternetGateway {
    const KIND: Kind = INTERNET_GATEWAY;
    const FILTERS: &'static [&'static str] = &[
        "attachment.state",
        "attachment.vpc-id",
        "internet-gateway-id",
        "owner-id",
    ];

    fn tags(&self) -> &Tags {
        &self.tags
    }

    fn attribute(&self, name: &str, _: &Ec2, request: &Request<'_>) -> Vec<String> {
        match name {
            "attachment.state" => self.vpc_id.iter().map(|_| "available".into()).collect(),
            "attachment.vpc-id" => self.vpc_id.iter().cloned().collect(),
            "internet-gateway-id" => vec![self.id.clone()],
            "owner-id" => vec![request.account.to_owned()],
            _ => Vec::new(),
        }
    }

    fn content(&self, _: &Ec2, request: &Request<'_>) -> Vec<Element> {
        // For internet gateways EC2 says `available` where it means attached.
        let attachments = self.vpc_id.iter().map(|vpc_id| {
            vec![
                Element::text("vpcId", vpc_id),
                Element::text("state", "available"),
            ]
        });
        vec![
            Element::text("internetGatewayId", &self.id),
            Element::text("ownerId", request.account),
            Element::list("attachmentSet", "item", attachments),
            tags::element(&self.tags),
        ]
    }
}

#[cfg(test)]
mod tests {
    use crate::ec2::testing::{World, code, wait};

    #[tokio::test(start_paused = true)]
    async fn a_gateway_and_a_vpc_have_only_each_other() {
        let world = World::new();
        let (vpc, other_vpc) = (world.vpc().await, world.vpc().await);
        let (gateway, other) = (
            world.internet_gateway().await,
            world.internet_gateway().await,
        );
        let attach = |gateway: &str, vpc: &str| {
            let call = world.ec2.attach_internet_gateway();
            call.internet_gateway_id(gateway).vpc_id(vpc).send()
        };
        attach(&gateway, &vpc).await.unwrap();
        for vpc in [&vpc, &other_vpc] {
            let again = attach(&gateway, vpc).await;
            assert_eq!(code(again), "Resource.AlreadyAssociated");
        }
        assert_eq!(code(attach(&other, &vpc).await), "InvalidParameterValue");
        attach(&other, &other_vpc).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn attached_gateway_cannot_be_deleted() {
        let world = World::new();
        let vpc = world.vpc().await;
        let gateway = world.internet_gateway().await;
        world.attach(&gateway, &vpc).await;
        let delete = || {
            world
                .ec2
                .delete_internet_gateway()
                .internet_gateway_id(&gateway)
        };
        let detach = || {
            let call = world.ec2.detach_internet_gateway().vpc_id(&vpc);
            call.internet_gateway_id(&gateway).send()
        };
        assert_eq!(code(delete().send().await), "DependencyViolation");
        detach().await.unwrap();
        assert_eq!(code(detach().await), "Gateway.NotAttached");
        delete().send().await.unwrap();
        let again = delete().send().await;
        assert_eq!(code(again), "InvalidInternetGatewayID.NotFound");
    }

    #[tokio::test(start_paused = true)]
    async fn gateway_stays_attached_while_the_vpc_has_public_addresses() {
        let world = World::new();
        let network = world.network().await;
        let detach = || {
            let call = world.ec2.detach_internet_gateway().vpc_id(&network.vpc);
            call.internet_gateway_id(&network.internet_gateway).send()
        };
        assert_eq!(code(detach().await), "DependencyViolation");
        let call = world.ec2.delete_nat_gateway();
        call.nat_gateway_id(&network.nat_gateway)
            .send()
            .await
            .unwrap();
        assert_eq!(code(detach().await), "DependencyViolation");
        wait(115).await;
        detach().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn is_found_by_the_vpc_that_it_is_attached_to() {
        let world = World::new();
        let vpc = world.vpc().await;
        let gateway = world.internet_gateway().await;
        world.internet_gateway().await;
        world.attach(&gateway, &vpc).await;
        let filter = aws_sdk_ec2::types::Filter::builder();
        let filter = filter.name("attachment.vpc-id").values(&vpc).build();
        let call = world.ec2.describe_internet_gateways().filters(filter);
        let found = call.send().await.unwrap().internet_gateways.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].internet_gateway_id.as_ref(), Some(&gateway));
        assert_eq!(found[0].attachments()[0].vpc_id.as_ref(), Some(&vpc));
    }

    #[tokio::test(start_paused = true)]
    async fn gateways_have_a_quota() {
        let world = World::new();
        for _ in 0..5 {
            world.internet_gateway().await;
        }
        let sixth = world.ec2.create_internet_gateway().send().await;
        assert_eq!(code(sixth), "InternetGatewayLimitExceeded");
    }
}
