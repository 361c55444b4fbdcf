//! Attachments of VPCs to transit gateways. Nothing here makes them: they are what others have put into a
//! VPC.

use serde::{Deserialize, Serialize};

use super::describe::{Resource, Spelling, describe as answer};
use super::kind::{Kind, TRANSIT_GATEWAY_ATTACHMENT};
use super::request::Request;
use super::tags::{self, Tags};
use super::{Ec2, NewInterface};
use crate::api_error::ApiError;
use crate::seed::Seed;
use crate::xml::Element;

/// An attachment of a VPC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransitGatewayAttachment {
    /// `tgw-attach-…`
    pub id: String,
    /// `tgw-…`, which may belong to another account.
    pub transit_gateway_id: String,
    /// The VPC.
    pub vpc_id: String,
    /// The account that the VPC belongs to.
    pub vpc_owner: String,
    /// The subnets in which it has interfaces.
    pub subnet_ids: Vec<String>,
    /// botocore's EC2 model, TransitGatewayAttachmentState. Tests change it.
    pub state: String,
    /// Tags.
    pub tags: Tags,
}

/// What is in these states is not in the VPC any more (botocore's EC2 model,
/// TransitGatewayAttachmentState).
const OVER: &[&str] = &["deleted", "failed", "rejected"];
/// The type of an attachment's interface (botocore's EC2 model, NetworkInterfaceType).
const INTERFACE_TYPE: &str = "transit_gateway";

impl Ec2 {
    /// Attaches the subnets of a VPC to somebody's transit gateway and returns the attachment's id.
    pub fn attach_to_transit_gateway(
        &mut self,
        seed: Seed,
        vpc_id: &str,
        subnet_ids: Vec<String>,
        owner: &str,
    ) -> String {
        let id = self.fresh_id(seed, TRANSIT_GATEWAY_ATTACHMENT.prefix, vpc_id);
        for subnet_id in &subnet_ids {
            let interface = NewInterface {
                subnet_id: subnet_id.clone(),
                description: format!("Network Interface for Transit Gateway Attachment {id}"),
                requester_id: Some("amazon-aws".to_owned()),
                security_groups: vec![],
                owner: owner.to_owned(),
            };
            self.add_interface_of_type(seed, interface, INTERFACE_TYPE);
        }
        let attachment = TransitGatewayAttachment {
            id: id.clone(),
            transit_gateway_id: "tgw-0123456789abcdef0".to_owned(),
            vpc_id: vpc_id.to_owned(),
            vpc_owner: owner.to_owned(),
            subnet_ids,
            state: "available".to_owned(),
            tags: Tags::new(),
        };
        (self.transit_gateway_attachments).insert(id.clone(), attachment);
        id
    }
}

impl TransitGatewayAttachment {
    /// Whether the VPC cannot be deleted because of it (VPC user guide, delete your VPC).
    pub(super) fn holds(&self, vpc_id: &str) -> bool {
        self.vpc_id == vpc_id && !OVER.contains(&self.state.as_str())
    }
}

/// `DescribeTransitGatewayVpcAttachments`.
pub(super) fn describe(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let spelling = Spelling {
        ids: "TransitGatewayAttachmentIds",
        set: "transitGatewayVpcAttachments",
        page_limit: Some(1000),
    };
    answer(ec2, request, &ec2.transit_gateway_attachments, &spelling)
}

impl Resource for TransitGatewayAttachment {
    const KIND: Kind = TRANSIT_GATEWAY_ATTACHMENT;
    const FILTERS: &'static [&'static str] = &[
        "state",
        "transit-gateway-attachment-id",
        "transit-gateway-id",
        "vpc-id",
    ];

    fn tags(&self) -> &Tags {
        &self.tags
    }

    fn attribute(&self, name: &str, _: &Ec2, _: &Request<'_>) -> Vec<String> {
        let value = match name {
            "state" => &self.state,
            "transit-gateway-attachment-id" => &self.id,
            "transit-gateway-id" => &self.transit_gateway_id,
            "vpc-id" => &self.vpc_id,
            _ => return Vec::new(),
        };
        vec![value.clone()]
    }

    fn content(&self, _: &Ec2, _: &Request<'_>) -> Vec<Element> {
        let subnets = self.subnet_ids.iter().map(|id| Element::text("item", id));
        vec![
            Element::text("transitGatewayAttachmentId", &self.id),
            Element::text("transitGatewayId", &self.transit_gateway_id),
            Element::text("vpcId", &self.vpc_id),
            Element::text("vpcOwnerId", &self.vpc_owner),
            Element::text("state", &self.state),
            Element::new("subnetIds").children(subnets),
            tags::element(&self.tags),
        ]
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::Filter;

    use crate::Seed;
    use crate::ec2::testing::{ACCOUNT, World, code};

    #[tokio::test(start_paused = true)]
    async fn an_attachment_is_found_and_holds_the_vpc() {
        let world = World::new();
        let vpc = world.vpc().await;
        let mut id = String::new();
        world.change(|ec2| id = ec2.attach_to_transit_gateway(Seed(1), &vpc, vec![], ACCOUNT));
        for (name, value) in [("vpc-id", vpc.as_str()), ("state", "available")] {
            let filter = Filter::builder().name(name).values(value).build();
            let call = world.ec2.describe_transit_gateway_vpc_attachments();
            let found = call.filters(filter).send().await.unwrap();
            let found = found.transit_gateway_vpc_attachments.unwrap();
            let found = found[0].transit_gateway_attachment_id.as_ref();
            assert_eq!(found, Some(&id), "{name}");
        }
        let delete = || world.ec2.delete_vpc().vpc_id(&vpc).send();
        assert_eq!(code(delete().await), "DependencyViolation");
        world.change(|ec2| {
            let attachment = ec2.transit_gateway_attachments.get_mut(&id).unwrap();
            attachment.state = "deleted".to_owned();
        });
        delete().await.unwrap();
    }
}
