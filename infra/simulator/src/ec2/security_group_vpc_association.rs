//! Associations of security groups with other VPCs than their own.
//!
//! VPC user guide, associate security groups with multiple VPCs; botocore's EC2 model. A group, and the VPC
//! that it is associated with, are of one account here.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Ec2;
use super::describe::{Resource, Spelling, describe_listed};
use super::kind::{Kind, SECURITY_GROUP, VPC};
use super::request::{Request, invalid_value};
use super::tags::Tags;
use crate::api_error::ApiError;
use crate::xml::Element;

/// An association of a security group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroupVpcAssociation {
    /// The group.
    pub group_id: String,
    /// The VPC, which is not the group's own.
    pub vpc_id: String,
    /// The account that both belong to.
    pub owner: String,
    /// Until then it is associating.
    pub associated_at: Timestamp,
    /// When it is gone, if it was disassociated.
    pub gone_at: Option<Timestamp>,
}

/// botocore's EC2 model: its waiters ask every ten seconds, seven times.
const SECONDS: std::ops::Range<f64> = 5.0..60.0;

impl Ec2 {
    /// Associates a group with a VPC, as if it had been so for long.
    pub fn associate_security_group(&mut self, group_id: &str, vpc_id: &str, owner: &str) {
        let association = SecurityGroupVpcAssociation {
            group_id: group_id.to_owned(),
            vpc_id: vpc_id.to_owned(),
            owner: owner.to_owned(),
            associated_at: Timestamp::UNIX_EPOCH,
            gone_at: None,
        };
        let key = key(group_id, vpc_id);
        self.security_group_vpc_associations
            .insert(key, association);
    }

    /// Whether the group is associated with a VPC at a time.
    pub(super) fn is_associated(&self, group_id: &str, at: Timestamp) -> bool {
        let mut all = self.security_group_vpc_associations.values();
        all.any(|it| it.group_id == group_id && it.is_there(at))
    }
}

impl SecurityGroupVpcAssociation {
    fn is_there(&self, at: Timestamp) -> bool {
        self.gone_at.is_none_or(|gone_at| at < gone_at)
    }

    /// Whether the VPC cannot be deleted because of it. botocore's EC2 model, DeleteVpc: all security groups
    /// that are associated with the VPC have to go first, except the default one.
    pub(super) fn holds(&self, vpc_id: &str, at: Timestamp) -> bool {
        self.vpc_id == vpc_id && self.is_there(at)
    }

    /// botocore's EC2 model, SecurityGroupVpcAssociationState.
    fn state(&self, now: Timestamp) -> &'static str {
        match self.gone_at {
            Some(_) => "disassociating",
            None if now < self.associated_at => "associating",
            None => "associated",
        }
    }
}

/// Lets the associations go whose time has come.
pub(super) fn settle(ec2: &mut Ec2, now: Timestamp) {
    ec2.security_group_vpc_associations
        .retain(|_, it| it.is_there(now));
}

/// `AssociateSecurityGroupVpc`. What AWS refuses is documented, the codes are not.
pub(super) fn create(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let (group_id, vpc_id) = both(request)?;
    let group = ec2.look_up(&ec2.security_groups, &SECURITY_GROUP, group_id)?;
    ec2.look_up(&ec2.vpcs, &VPC, vpc_id)?;
    if group.is_default() {
        let why = "You cannot use this feature with default security groups.";
        return Err(invalid_value("GroupId", group_id, why));
    }
    if group.vpc_id == vpc_id {
        let why = "The security group is of this VPC.";
        return Err(invalid_value("VpcId", vpc_id, why));
    }
    let key = key(group_id, vpc_id);
    if ec2.security_group_vpc_associations.contains_key(&key) {
        let message = format!("{group_id} is already associated with {vpc_id}");
        return Err(ApiError::client("Resource.AlreadyAssociated", message));
    }
    let delay = request.seed.duration("sg-associated", &key, SECONDS);
    let association = SecurityGroupVpcAssociation {
        group_id: group_id.to_owned(),
        vpc_id: vpc_id.to_owned(),
        owner: request.account.to_owned(),
        associated_at: request.now + delay,
        gone_at: None,
    };
    Ok(insert(ec2, key, association, request.now))
}

/// `DisassociateSecurityGroupVpc`. Whether AWS refuses it, or says so later with `disassociation-failed`, while
/// an interface in the VPC has the group, is documented nowhere: here it is refused.
pub(super) fn delete(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let (group_id, vpc_id) = both(request)?;
    ec2.look_up(&ec2.security_groups, &SECURITY_GROUP, group_id)?;
    let key = key(group_id, vpc_id);
    let found = ec2.security_group_vpc_associations.get(&key);
    let mut association = found.cloned().ok_or_else(|| {
        let why = format!("It is not associated with {group_id}.");
        invalid_value("VpcId", vpc_id, &why)
    })?;
    let mut interfaces = ec2.network_interfaces.values();
    let has_group = |ids: &[String]| ids.iter().any(|it| it == group_id);
    if interfaces.any(|it| it.vpc_id == vpc_id && has_group(&it.security_groups)) {
        let message = format!("resource {group_id} has a dependent object");
        return Err(ApiError::client("DependencyViolation", message));
    }
    let delay = request.seed.duration("sg-disassociated", &key, SECONDS);
    association.gone_at.get_or_insert(request.now + delay);
    Ok(insert(ec2, key, association, request.now))
}

fn both<'a>(request: &'a Request<'_>) -> Result<(&'a str, &'a str), ApiError> {
    let group_id = request.id("GroupId", &SECURITY_GROUP)?;
    Ok((group_id, request.id("VpcId", &VPC)?))
}

fn key(group_id: &str, vpc_id: &str) -> String {
    format!("{group_id}/{vpc_id}")
}

fn insert(
    ec2: &mut Ec2,
    key: String,
    association: SecurityGroupVpcAssociation,
    now: Timestamp,
) -> Vec<Element> {
    let state = association.state(now);
    ec2.security_group_vpc_associations.insert(key, association);
    vec![Element::text("state", state)]
}

/// `DescribeSecurityGroupVpcAssociations`.
pub(super) fn describe(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let spelling = Spelling {
        // Only filters choose.
        ids: "",
        set: "securityGroupVpcAssociationSet",
        page_limit: Some(1000),
    };
    describe_listed(
        ec2,
        request,
        &ec2.security_group_vpc_associations,
        &spelling,
    )
}

static NO_TAGS: Tags = Tags::new();

impl Resource for SecurityGroupVpcAssociation {
    /// An association has no id, and nothing asks for it by one.
    const KIND: Kind = Kind {
        prefix: "",
        tag_type: "",
        not_found: "InvalidID",
        malformed: "InvalidID",
        noun: "association",
    };
    const FILTERS: &'static [&'static str] = &[
        "group-id",
        "group-owner-id",
        "state",
        "vpc-id",
        "vpc-owner-id",
    ];

    fn tags(&self) -> &Tags {
        &NO_TAGS
    }

    fn attribute(&self, name: &str, _: &Ec2, request: &Request<'_>) -> Vec<String> {
        let value = match name {
            "group-id" => &self.group_id,
            "group-owner-id" | "vpc-owner-id" => &self.owner,
            "state" => return vec![self.state(request.now).to_owned()],
            "vpc-id" => &self.vpc_id,
            _ => return Vec::new(),
        };
        vec![value.clone()]
    }

    fn content(&self, _: &Ec2, request: &Request<'_>) -> Vec<Element> {
        vec![
            Element::text("groupId", &self.group_id),
            Element::text("vpcId", &self.vpc_id),
            Element::text("vpcOwnerId", &self.owner),
            Element::text("state", self.state(request.now)),
            Element::text("groupOwnerId", &self.owner),
        ]
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{Filter, SecurityGroupVpcAssociation};

    use crate::Seed;
    use crate::ec2::NewInterface;
    use crate::ec2::testing::{ACCOUNT, World, code, wait};

    /// A group of one VPC, and another VPC.
    async fn group_and_other_vpc(world: &World) -> (String, String) {
        let (own, other) = (world.vpc().await, world.vpc().await);
        let call = world.ec2.create_security_group().vpc_id(own);
        let call = call.group_name("shared").description("shared");
        let group = call.send().await.unwrap().group_id.unwrap();
        (group, other)
    }

    async fn associations(world: &World, filter: (&str, &str)) -> Vec<SecurityGroupVpcAssociation> {
        let (name, value) = filter;
        let filter = Filter::builder().name(name).values(value).build();
        let call = world.ec2.describe_security_group_vpc_associations();
        let found = call.filters(filter).send().await.unwrap();
        found.security_group_vpc_associations.unwrap_or_default()
    }

    #[tokio::test(start_paused = true)]
    async fn an_association_holds_the_group_and_the_vpc_until_it_is_gone() {
        let world = World::new();
        let (group, vpc) = group_and_other_vpc(&world).await;
        let associate = || {
            let call = world.ec2.associate_security_group_vpc();
            call.group_id(&group).vpc_id(&vpc).send()
        };
        let state = associate().await.unwrap().state.unwrap();
        assert_eq!(state.as_str(), "associating");
        assert_eq!(code(associate().await), "Resource.AlreadyAssociated");
        wait(60).await;
        for filter in [
            ("group-id", group.as_str()),
            ("vpc-id", vpc.as_str()),
            ("state", "associated"),
            ("group-owner-id", ACCOUNT),
        ] {
            let found = associations(&world, filter).await;
            assert_eq!(found[0].group_id(), Some(group.as_str()), "{filter:?}");
            assert_eq!(found[0].vpc_id(), Some(vpc.as_str()));
        }
        let delete_group = || world.ec2.delete_security_group().group_id(&group).send();
        let delete_vpc = || world.ec2.delete_vpc().vpc_id(&vpc).send();
        assert_eq!(code(delete_group().await), "DependencyViolation");
        assert_eq!(code(delete_vpc().await), "DependencyViolation");

        let call = world.ec2.disassociate_security_group_vpc();
        let call = call.group_id(&group).vpc_id(&vpc).send().await.unwrap();
        assert_eq!(call.state.unwrap().as_str(), "disassociating");
        assert_eq!(code(delete_group().await), "DependencyViolation");
        wait(60).await;
        assert!(associations(&world, ("group-id", &group)).await.is_empty());
        delete_group().await.unwrap();
        delete_vpc().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_group_in_use_there_is_not_disassociated() {
        let world = World::new();
        let (group, vpc) = group_and_other_vpc(&world).await;
        let subnet = world.subnet(&vpc, "10.0.0.0/24").await;
        let disassociate = || {
            let call = world.ec2.disassociate_security_group_vpc();
            call.group_id(&group).vpc_id(&vpc).send()
        };
        assert_eq!(code(disassociate().await), "InvalidParameterValue");
        world.change(|ec2| {
            ec2.associate_security_group(&group, &vpc, ACCOUNT);
            let interface = NewInterface {
                subnet_id: subnet,
                description: "theirs".to_owned(),
                requester_id: None,
                security_groups: vec![group.clone()],
                owner: ACCOUNT.to_owned(),
            };
            ec2.add_interface(Seed(1), interface);
        });
        assert_eq!(code(disassociate().await), "DependencyViolation");
    }

    #[tokio::test(start_paused = true)]
    async fn default_groups_and_own_vpcs_are_not_associated() {
        let world = World::new();
        let (group, vpc) = group_and_other_vpc(&world).await;
        let associate = |group: &str, vpc: &str| {
            let call = world.ec2.associate_security_group_vpc();
            call.group_id(group).vpc_id(vpc).send()
        };
        let (default, own) = world.read(|ec2| {
            let own = ec2.security_groups[&group].vpc_id.clone();
            let mut groups = ec2.security_groups.values();
            let default = groups.find(|it| it.is_default() && it.vpc_id == own);
            (default.unwrap().id.clone(), own)
        });
        for (group, vpc) in [(&default, &vpc), (&group, &own)] {
            assert_eq!(code(associate(group, vpc).await), "InvalidParameterValue");
        }
        let missing = associate(&group, "vpc-0123456789abcdef0").await;
        assert_eq!(code(missing), "InvalidVpcID.NotFound");
    }
}
