//! Virtual private gateways. Nothing here makes them: they are what others have put into a VPC.

use serde::{Deserialize, Serialize};

use super::Ec2;
use super::describe::{Resource, Spelling, describe as answer};
use super::kind::{Kind, VPN_GATEWAY};
use super::request::Request;
use super::tags::{self, Tags};
use crate::api_error::ApiError;
use crate::seed::Seed;
use crate::xml::Element;

/// A virtual private gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VpnGateway {
    /// `vgw-…`
    pub id: String,
    /// botocore's EC2 model, VpnState. Tests change it.
    pub state: String,
    /// The VPC that it is or was attached to.
    pub vpc_id: Option<String>,
    /// botocore's EC2 model, AttachmentStatus, of that attachment. Tests change it.
    pub attachment_state: String,
    /// Tags.
    pub tags: Tags,
}

/// The number that Amazon's side has unless one asks for another (botocore's EC2 model,
/// CreateVpnGateway).
const ASN: u64 = 64_512;

impl Ec2 {
    /// Attaches a new virtual private gateway to a VPC, as somebody at the console would, and returns
    /// its id.
    pub fn add_vpn_gateway(&mut self, seed: Seed, vpc_id: &str, tags: Tags) -> String {
        let id = self.fresh_id(seed, VPN_GATEWAY.prefix, vpc_id);
        let gateway = VpnGateway {
            id: id.clone(),
            state: "available".to_owned(),
            vpc_id: Some(vpc_id.to_owned()),
            attachment_state: "attached".to_owned(),
            tags,
        };
        self.vpn_gateways.insert(id.clone(), gateway);
        id
    }
}

impl VpnGateway {
    /// Whether the VPC cannot be deleted because of it: all gateways must be detached first (botocore's
    /// EC2 model, DeleteVpc).
    pub(super) fn holds(&self, vpc_id: &str) -> bool {
        self.attachment_state != "detached" && self.vpc_id.as_deref() == Some(vpc_id)
    }
}

/// `DescribeVpnGateways`, without pages.
pub(super) fn describe(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let spelling = Spelling {
        ids: "VpnGatewayId",
        set: "vpnGatewaySet",
        page_limit: None,
    };
    answer(ec2, request, &ec2.vpn_gateways, &spelling)
}

impl Resource for VpnGateway {
    const KIND: Kind = VPN_GATEWAY;
    const FILTERS: &'static [&'static str] = &[
        "amazon-side-asn",
        "attachment.state",
        "attachment.vpc-id",
        "availability-zone",
        "state",
        "type",
        "vpn-gateway-id",
    ];

    fn tags(&self) -> &Tags {
        &self.tags
    }

    fn attribute(&self, name: &str, _: &Ec2, _: &Request<'_>) -> Vec<String> {
        let attachment = self.vpc_id.as_ref();
        let value = match name {
            "amazon-side-asn" => Some(ASN.to_string()),
            "attachment.state" => attachment.map(|_| self.attachment_state.clone()),
            "attachment.vpc-id" => attachment.cloned(),
            "state" => Some(self.state.clone()),
            "type" => Some("ipsec.1".to_owned()),
            "vpn-gateway-id" => Some(self.id.clone()),
            _ => None,
        };
        value.into_iter().collect()
    }

    fn content(&self, _: &Ec2, _: &Request<'_>) -> Vec<Element> {
        let attachments = self.vpc_id.iter().map(|vpc_id| {
            vec![
                Element::text("vpcId", vpc_id),
                Element::text("state", &self.attachment_state),
            ]
        });
        vec![
            Element::text("vpnGatewayId", &self.id),
            Element::text("state", &self.state),
            Element::text("type", "ipsec.1"),
            Element::text("amazonSideAsn", ASN),
            Element::list("attachments", "item", attachments),
            tags::element(&self.tags),
        ]
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::Filter;

    use crate::Seed;
    use crate::ec2::tags::Tags;
    use crate::ec2::testing::{World, code};

    #[tokio::test(start_paused = true)]
    async fn attached_gateway_is_found_and_holds_the_vpc() {
        let world = World::new();
        let vpc = world.vpc().await;
        let mut id = String::new();
        world.change(|ec2| id = ec2.add_vpn_gateway(Seed(1), &vpc, Tags::new()));
        for (name, value) in [
            ("attachment.vpc-id", vpc.as_str()),
            ("attachment.state", "attached"),
            ("state", "available"),
        ] {
            let filter = Filter::builder().name(name).values(value).build();
            let call = world.ec2.describe_vpn_gateways().filters(filter).send();
            let found = call.await.unwrap().vpn_gateways.unwrap();
            assert_eq!(found[0].vpn_gateway_id.as_ref(), Some(&id), "{name}");
        }
        let delete = || world.ec2.delete_vpc().vpc_id(&vpc).send();
        assert_eq!(code(delete().await), "DependencyViolation");
        world.change(|ec2| {
            let gateway = ec2.vpn_gateways.get_mut(&id).unwrap();
            gateway.attachment_state = "detached".to_owned();
        });
        delete().await.unwrap();
    }
}
