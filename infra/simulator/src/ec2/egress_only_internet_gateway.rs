//! Egress-only internet gateways. Nothing here makes them: they are what others have put into a VPC.

use serde::{Deserialize, Serialize};

use super::Ec2;
use super::describe::{Resource, Spelling, describe as answer};
use super::kind::{EGRESS_ONLY_INTERNET_GATEWAY, Kind};
use super::request::Request;
use super::tags::{self, Tags};
use crate::api_error::ApiError;
use crate::seed::Seed;
use crate::xml::Element;

/// An egress-only internet gateway. It is attached for as long as it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EgressOnlyInternetGateway {
    /// `eigw-…`
    pub id: String,
    /// The VPC that it is attached to.
    pub vpc_id: String,
    /// Tags.
    pub tags: Tags,
}

impl Ec2 {
    /// Gives a VPC an egress-only internet gateway, as somebody at the console would, and returns its
    /// id. As long as it is in [`Ec2::egress_only_internet_gateways`] DeleteVpc answers
    /// DependencyViolation (gruntwork-io/cloud-nuke issue 345).
    pub fn add_egress_only_internet_gateway(
        &mut self,
        seed: Seed,
        vpc_id: &str,
        tags: Tags,
    ) -> String {
        let id = self.fresh_id(seed, EGRESS_ONLY_INTERNET_GATEWAY.prefix, vpc_id);
        let gateway = EgressOnlyInternetGateway {
            id: id.clone(),
            vpc_id: vpc_id.to_owned(),
            tags,
        };
        (self.egress_only_internet_gateways).insert(id.clone(), gateway);
        id
    }
}

/// `DescribeEgressOnlyInternetGateways`.
pub(super) fn describe(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let spelling = Spelling {
        ids: "EgressOnlyInternetGatewayId",
        set: "egressOnlyInternetGatewaySet",
        page_limit: Some(255),
    };
    answer(ec2, request, &ec2.egress_only_internet_gateways, &spelling)
}

impl Resource for EgressOnlyInternetGateway {
    const KIND: Kind = EGRESS_ONLY_INTERNET_GATEWAY;
    /// Only tags: there is no filter for the VPC (botocore's EC2 model).
    const FILTERS: &'static [&'static str] = &[];

    fn tags(&self) -> &Tags {
        &self.tags
    }

    fn attribute(&self, _: &str, _: &Ec2, _: &Request<'_>) -> Vec<String> {
        Vec::new()
    }

    fn content(&self, _: &Ec2, _: &Request<'_>) -> Vec<Element> {
        let attachment = vec![
            Element::text("vpcId", &self.vpc_id),
            Element::text("state", "attached"),
        ];
        vec![
            Element::text("egressOnlyInternetGatewayId", &self.id),
            Element::list("attachmentSet", "item", [attachment]),
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
    async fn gateway_is_found_by_its_tags_only_and_holds_the_vpc() {
        let world = World::new();
        let vpc = world.vpc().await;
        let mut id = String::new();
        let tags: Tags = [("team".to_owned(), "web".to_owned())].into();
        world.change(|ec2| id = ec2.add_egress_only_internet_gateway(Seed(1), &vpc, tags));
        let describe = |name: &str, value: &str| {
            let filter = Filter::builder().name(name).values(value).build();
            let call = world.ec2.describe_egress_only_internet_gateways();
            call.filters(filter).send()
        };
        let found = describe("tag:team", "web").await.unwrap();
        let gateway = &found.egress_only_internet_gateways()[0];
        assert_eq!(gateway.egress_only_internet_gateway_id.as_ref(), Some(&id));
        assert_eq!(gateway.attachments()[0].vpc_id.as_ref(), Some(&vpc));
        let by_vpc = describe("attachment.vpc-id", &vpc).await;
        assert_eq!(code(by_vpc), "InvalidParameterValue");

        let delete = || world.ec2.delete_vpc().vpc_id(&vpc).send();
        assert_eq!(code(delete().await), "DependencyViolation");
        world.change(|ec2| {
            ec2.egress_only_internet_gateways.remove(&id);
        });
        delete().await.unwrap();
    }
}
