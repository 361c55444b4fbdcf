//! VPC peering connections. Nothing here makes them: they are what others have put into a VPC.

use serde::{Deserialize, Serialize};

use super::Ec2;
use super::describe::{Resource, Spelling, describe as answer};
use super::kind::{Kind, VPC_PEERING_CONNECTION};
use super::request::Request;
use super::tags::{self, Tags};
use crate::api_error::ApiError;
use crate::seed::Seed;
use crate::xml::Element;

/// A VPC peering connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VpcPeeringConnection {
    /// `pcx-…`
    pub id: String,
    /// Who asked for it.
    pub requester: Side,
    /// Who was asked.
    pub accepter: Side,
    /// botocore's EC2 model, VpcPeeringConnectionStateReasonCode. Tests change it.
    pub status: String,
    /// Tags.
    pub tags: Tags,
}

/// One of the two VPCs of a peering connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// The VPC.
    pub vpc_id: String,
    /// Its block of addresses.
    pub cidr: String,
    /// The account that it belongs to.
    pub owner: String,
    /// The region that it is in.
    pub region: String,
}

/// What somebody connects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewVpcPeeringConnection {
    /// Who asks for it.
    pub requester: Side,
    /// Who is asked.
    pub accepter: Side,
    /// Tags.
    pub tags: Tags,
}

/// VPC peering guide, lifecycle: in these states there is no connection any more, and it takes no
/// action to be rid of it.
const OVER: &[&str] = &["deleted", "expired", "failed", "rejected"];

impl Ec2 {
    /// Connects two VPCs, as their owners would, and returns the connection's id. It is `active`. The
    /// other VPC's account or region has it only if it is added there, too.
    pub fn add_vpc_peering_connection(
        &mut self,
        seed: Seed,
        new: NewVpcPeeringConnection,
    ) -> String {
        let name = format!("{}/{}", new.requester.vpc_id, new.accepter.vpc_id);
        let id = self.fresh_id(seed, VPC_PEERING_CONNECTION.prefix, &name);
        let connection = VpcPeeringConnection {
            id: id.clone(),
            requester: new.requester,
            accepter: new.accepter,
            status: "active".to_owned(),
            tags: new.tags,
        };
        self.vpc_peering_connections.insert(id.clone(), connection);
        id
    }
}

impl VpcPeeringConnection {
    /// Whether a VPC cannot be deleted because of it.
    ///
    /// DeleteVpc answers DependencyViolation (giantswarm/aws-operator issue 401,
    /// hashicorp/terraform-provider-aws issue 3118). Only the console deletes an active connection along
    /// with the VPC (VPC peering guide, delete a VPC peering connection). The guide also lets a requester
    /// delete its VPC before another account has accepted; here it cannot.
    pub(super) fn holds(&self, vpc_id: &str) -> bool {
        let is_of = |side: &Side| side.vpc_id == vpc_id;
        (is_of(&self.requester) || is_of(&self.accepter)) && !OVER.contains(&self.status.as_str())
    }
}

/// `DescribeVpcPeeringConnections`.
pub(super) fn describe(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let spelling = Spelling {
        ids: "VpcPeeringConnectionId",
        set: "vpcPeeringConnectionSet",
        page_limit: Some(1000),
    };
    answer(ec2, request, &ec2.vpc_peering_connections, &spelling)
}

impl Side {
    fn element(&self, name: &str) -> Element {
        Element::new(name).children([
            Element::text("vpcId", &self.vpc_id),
            Element::text("cidrBlock", &self.cidr),
            Element::text("ownerId", &self.owner),
            Element::text("region", &self.region),
        ])
    }
}

impl Resource for VpcPeeringConnection {
    const KIND: Kind = VPC_PEERING_CONNECTION;
    const FILTERS: &'static [&'static str] = &[
        "accepter-vpc-info.cidr-block",
        "accepter-vpc-info.owner-id",
        "accepter-vpc-info.vpc-id",
        "expiration-time",
        "requester-vpc-info.cidr-block",
        "requester-vpc-info.owner-id",
        "requester-vpc-info.vpc-id",
        "status-code",
        "status-message",
        "vpc-peering-connection-id",
    ];

    fn tags(&self) -> &Tags {
        &self.tags
    }

    fn attribute(&self, name: &str, _: &Ec2, _: &Request<'_>) -> Vec<String> {
        let value = match name {
            "accepter-vpc-info.cidr-block" => &self.accepter.cidr,
            "accepter-vpc-info.owner-id" => &self.accepter.owner,
            "accepter-vpc-info.vpc-id" => &self.accepter.vpc_id,
            "requester-vpc-info.cidr-block" => &self.requester.cidr,
            "requester-vpc-info.owner-id" => &self.requester.owner,
            "requester-vpc-info.vpc-id" => &self.requester.vpc_id,
            "status-code" => &self.status,
            "vpc-peering-connection-id" => &self.id,
            _ => return Vec::new(),
        };
        vec![value.clone()]
    }

    fn content(&self, _: &Ec2, _: &Request<'_>) -> Vec<Element> {
        vec![
            Element::text("vpcPeeringConnectionId", &self.id),
            self.requester.element("requesterVpcInfo"),
            self.accepter.element("accepterVpcInfo"),
            Element::new("status").child(Element::text("code", &self.status)),
            tags::element(&self.tags),
        ]
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{Filter, VpcPeeringConnectionStateReasonCode};

    use super::{NewVpcPeeringConnection, Side};
    use crate::Seed;
    use crate::ec2::testing::{World, code};

    #[tokio::test(start_paused = true)]
    async fn connection_is_found_from_both_sides_and_holds_both_vpcs() {
        let world = World::new();
        let (vpc, other) = (world.vpc().await, world.vpc().await);
        let mut id = String::new();
        world.change(|ec2| {
            let side = |vpc_id: &String| Side {
                vpc_id: vpc_id.clone(),
                ..Side::default()
            };
            let new = NewVpcPeeringConnection {
                requester: side(&vpc),
                accepter: side(&other),
                ..NewVpcPeeringConnection::default()
            };
            id = ec2.add_vpc_peering_connection(Seed(1), new);
        });
        for (name, value) in [
            ("requester-vpc-info.vpc-id", vpc.as_str()),
            ("accepter-vpc-info.vpc-id", other.as_str()),
            ("status-code", "active"),
        ] {
            let filter = Filter::builder().name(name).values(value).build();
            let call = world.ec2.describe_vpc_peering_connections();
            let found = call.filters(filter).send().await.unwrap();
            let connection = &found.vpc_peering_connections()[0];
            assert_eq!(connection.vpc_peering_connection_id.as_ref(), Some(&id));
            let code = connection.status.as_ref().unwrap().code.as_ref();
            assert_eq!(code, Some(&VpcPeeringConnectionStateReasonCode::Active));
        }
        let delete = |vpc: &str| world.ec2.delete_vpc().vpc_id(vpc).send();
        assert_eq!(code(delete(&vpc).await), "DependencyViolation");
        assert_eq!(code(delete(&other).await), "DependencyViolation");
        world.change(|ec2| {
            let connection = ec2.vpc_peering_connections.get_mut(&id).unwrap();
            connection.status = "deleted".to_owned();
        });
        delete(&vpc).await.unwrap();
        delete(&other).await.unwrap();
    }
}
