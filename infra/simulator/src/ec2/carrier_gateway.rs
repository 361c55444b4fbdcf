//! Carrier gateways. Nothing here makes them: they are what others have put into a VPC.

use serde::{Deserialize, Serialize};

use super::Ec2;
use super::describe::{Resource, Spelling, describe as answer};
use super::kind::{CARRIER_GATEWAY, Kind};
use super::request::Request;
use super::tags::{self, Tags};
use crate::api_error::ApiError;
use crate::seed::Seed;
use crate::xml::Element;

/// A carrier gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarrierGateway {
    /// `cagw-…`
    pub id: String,
    /// The VPC that it is of.
    pub vpc_id: String,
    /// botocore's EC2 model, CarrierGatewayState. Tests change it.
    pub state: String,
    /// The account that it belongs to.
    pub owner: String,
    /// Tags.
    pub tags: Tags,
}

impl Ec2 {
    /// Gives a VPC a carrier gateway, as somebody at the console would, and returns its id.
    pub fn add_carrier_gateway(&mut self, seed: Seed, vpc_id: &str, owner: &str) -> String {
        let id = self.fresh_id(seed, CARRIER_GATEWAY.prefix, vpc_id);
        let gateway = CarrierGateway {
            id: id.clone(),
            vpc_id: vpc_id.to_owned(),
            state: "available".to_owned(),
            owner: owner.to_owned(),
            tags: Tags::new(),
        };
        self.carrier_gateways.insert(id.clone(), gateway);
        id
    }
}

impl CarrierGateway {
    /// Whether the VPC cannot be deleted because of it: all gateways go first (botocore's EC2 model,
    /// DeleteVpc).
    pub(super) fn holds(&self, vpc_id: &str) -> bool {
        self.state != "deleted" && self.vpc_id == vpc_id
    }
}

/// `DescribeCarrierGateways`.
pub(super) fn describe(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let spelling = Spelling {
        ids: "CarrierGatewayId",
        set: "carrierGatewaySet",
        page_limit: Some(1000),
    };
    answer(ec2, request, &ec2.carrier_gateways, &spelling)
}

impl Resource for CarrierGateway {
    const KIND: Kind = CARRIER_GATEWAY;
    const FILTERS: &'static [&'static str] = &["carrier-gateway-id", "owner-id", "state", "vpc-id"];

    fn tags(&self) -> &Tags {
        &self.tags
    }

    fn attribute(&self, name: &str, _: &Ec2, _: &Request<'_>) -> Vec<String> {
        let value = match name {
            "carrier-gateway-id" => &self.id,
            "owner-id" => &self.owner,
            "state" => &self.state,
            "vpc-id" => &self.vpc_id,
            _ => return Vec::new(),
        };
        vec![value.clone()]
    }

    fn content(&self, _: &Ec2, _: &Request<'_>) -> Vec<Element> {
        vec![
            Element::text("carrierGatewayId", &self.id),
            Element::text("vpcId", &self.vpc_id),
            Element::text("state", &self.state),
            Element::text("ownerId", &self.owner),
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
    async fn a_carrier_gateway_is_found_and_holds_the_vpc() {
        let world = World::new();
        let vpc = world.vpc().await;
        let mut id = String::new();
        world.change(|ec2| id = ec2.add_carrier_gateway(Seed(1), &vpc, ACCOUNT));
        for (name, value) in [("vpc-id", vpc.as_str()), ("state", "available")] {
            let filter = Filter::builder().name(name).values(value).build();
            let call = world.ec2.describe_carrier_gateways().filters(filter);
            let found = call.send().await.unwrap().carrier_gateways.unwrap();
            assert_eq!(found[0].carrier_gateway_id.as_ref(), Some(&id), "{name}");
        }
        let delete = || world.ec2.delete_vpc().vpc_id(&vpc).send();
        assert_eq!(code(delete().await), "DependencyViolation");
        world.change(|ec2| {
            let gateway = ec2.carrier_gateways.get_mut(&id).unwrap();
            gateway.state = "deleted".to_owned();
        });
        delete().await.unwrap();
    }
}
