//! Network ACLs. Nothing here makes other ones than each VPC's own: they are what others have put into a
//! VPC.

use serde::{Deserialize, Serialize};

use super::Ec2;
use super::describe::{Resource, Spelling, describe as answer};
use super::kind::{Kind, NETWORK_ACL};
use super::request::Request;
use super::tags::{self, Tags};
use crate::api_error::ApiError;
use crate::seed::Seed;
use crate::xml::Element;

/// A network ACL. Which subnets have it is not modelled: DeleteSubnet does not mind (botocore's EC2
/// model).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkAcl {
    /// `acl-…`
    pub id: String,
    /// The VPC that it is in.
    pub vpc_id: String,
    /// Whether it came with the VPC.
    pub is_default: bool,
    /// The account that it belongs to.
    pub owner: String,
    /// Tags.
    pub tags: Tags,
}

impl Ec2 {
    /// Gives a VPC another network ACL, as somebody at the console would, and returns its id.
    pub fn add_network_acl(&mut self, seed: Seed, vpc_id: &str, owner: &str, tags: Tags) -> String {
        self.insert_network_acl(seed, vpc_id, owner, tags, false)
    }

    /// The ACL that comes with a VPC (VPC user guide, default network ACL).
    pub(super) fn add_default_network_acl(&mut self, request: &Request<'_>, vpc_id: &str) {
        self.insert_network_acl(request.seed, vpc_id, request.account, Tags::new(), true);
    }

    fn insert_network_acl(
        &mut self,
        seed: Seed,
        vpc_id: &str,
        owner: &str,
        tags: Tags,
        is_default: bool,
    ) -> String {
        let id = self.fresh_id(seed, NETWORK_ACL.prefix, vpc_id);
        let acl = NetworkAcl {
            id: id.clone(),
            vpc_id: vpc_id.to_owned(),
            is_default,
            owner: owner.to_owned(),
            tags,
        };
        self.network_acls.insert(id.clone(), acl);
        id
    }
}

impl NetworkAcl {
    /// Whether the VPC cannot be deleted because of it (VPC user guide, delete your VPC: each network
    /// ACL but the default one goes first).
    pub(super) fn holds(&self, vpc_id: &str) -> bool {
        !self.is_default && self.vpc_id == vpc_id
    }
}

/// `DescribeNetworkAcls`.
pub(super) fn describe(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let spelling = Spelling {
        ids: "NetworkAclId",
        set: "networkAclSet",
        page_limit: Some(1000),
    };
    answer(ec2, request, &ec2.network_acls, &spelling)
}

impl Resource for NetworkAcl {
    const KIND: Kind = NETWORK_ACL;
    const FILTERS: &'static [&'static str] = &[
        "association.association-id",
        "association.network-acl-id",
        "association.subnet-id",
        "default",
        "entry.cidr",
        "entry.egress",
        "entry.icmp.code",
        "entry.icmp.type",
        "entry.ipv6-cidr",
        "entry.port-range.from",
        "entry.port-range.to",
        "entry.protocol",
        "entry.rule-action",
        "entry.rule-number",
        "network-acl-id",
        "owner-id",
        "vpc-id",
    ];

    fn tags(&self) -> &Tags {
        &self.tags
    }

    fn attribute(&self, name: &str, _: &Ec2, _: &Request<'_>) -> Vec<String> {
        let value = match name {
            "default" => self.is_default.to_string(),
            "network-acl-id" => self.id.clone(),
            "owner-id" => self.owner.clone(),
            "vpc-id" => self.vpc_id.clone(),
            _ => return Vec::new(),
        };
        vec![value]
    }

    fn content(&self, _: &Ec2, _: &Request<'_>) -> Vec<Element> {
        vec![
            Element::text("networkAclId", &self.id),
            Element::text("vpcId", &self.vpc_id),
            Element::text("default", self.is_default),
            Element::text("ownerId", &self.owner),
            tags::element(&self.tags),
        ]
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::Filter;

    use crate::Seed;
    use crate::ec2::tags::Tags;
    use crate::ec2::testing::{ACCOUNT, World, code};

    #[tokio::test(start_paused = true)]
    async fn another_acl_holds_the_vpc_and_its_own_does_not() {
        let world = World::new();
        let vpc = world.vpc().await;
        let list = async |name: &str, value: &str| {
            let filter = Filter::builder().name(name).values(value).build();
            let call = world.ec2.describe_network_acls().filters(filter).send();
            call.await.unwrap().network_acls.unwrap()
        };
        assert_eq!(list("vpc-id", &vpc).await.len(), 1);
        assert_eq!(list("default", "true").await.len(), 1);
        let mut id = String::new();
        world.change(|ec2| id = ec2.add_network_acl(Seed(1), &vpc, ACCOUNT, Tags::new()));
        let others = list("default", "false").await;
        assert_eq!(others[0].network_acl_id.as_ref(), Some(&id));
        let delete = || world.ec2.delete_vpc().vpc_id(&vpc).send();
        assert_eq!(code(delete().await), "DependencyViolation");
        world.change(|ec2| {
            ec2.network_acls.remove(&id);
        });
        delete().await.unwrap();
        assert!(list("vpc-id", &vpc).await.is_empty());
    }
}
