//! VPC Block Public Access: an account's, or its organization's, lock on internet gateways.
//!
//! VPC user guide, block public access to VPCs and subnets: `block-bidirectional` stops internet gateways
//! and egress-only internet gateways, and with them the NAT gateways behind; `block-ingress` lets NAT
//! gateways and egress-only internet gateways out. A VPC or a subnet can be excluded, unless a
//! declarative policy of the organization forbids exclusions. Only a test changes it here.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Ec2;
use super::request::{Request, unmodelled};
use crate::api_error::ApiError;
use crate::xml::Element;

/// The lock of one account in one region.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlockPublicAccess {
    /// What is blocked.
    pub mode: Mode,
    /// Whether a declarative policy of the organization says so, and not the account.
    pub is_declared: bool,
    /// Whether the organization forbids exclusions.
    pub forbids_exclusions: bool,
    /// What is excluded, by the id of the VPC or the subnet.
    pub exclusions: BTreeMap<String, Exclusion>,
    /// When it was changed last.
    pub updated_at: Option<Timestamp>,
}

/// botocore's EC2 model, BlockPublicAccessMode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// `off`
    #[default]
    Off,
    /// `block-ingress`
    BlockIngress,
    /// `block-bidirectional`
    BlockBidirectional,
}

/// botocore's EC2 model, InternetGatewayExclusionMode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exclusion {
    /// `allow-bidirectional`
    AllowBidirectional,
    /// `allow-egress`
    AllowEgress,
}

impl Mode {
    fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::BlockIngress => "block-ingress",
            Self::BlockBidirectional => "block-bidirectional",
        }
    }
}

impl Exclusion {
    fn as_str(self) -> &'static str {
        match self {
            Self::AllowBidirectional => "allow-bidirectional",
            Self::AllowEgress => "allow-egress",
        }
    }
}

impl BlockPublicAccess {
    /// What is blocked for the first of the ids that is excluded, else for all. That an exclusion shows
    /// in the state of what is excluded follows from the member's place; no captured answer shows it.
    pub(super) fn mode_for(&self, ids: &[&str]) -> Mode {
        let exclusion = ids.iter().find_map(|id| self.exclusions.get(*id));
        match (self.mode, exclusion) {
            (Mode::Off, _) | (_, Some(Exclusion::AllowBidirectional)) => Mode::Off,
            (_, Some(Exclusion::AllowEgress)) => Mode::BlockIngress,
            (mode, None) => mode,
        }
    }

    /// The member that DescribeVpcs and DescribeSubnets answer with (captured: radkawar/stackd,
    /// testdata/aws/ec2/networking.json).
    pub(super) fn states(&self, ids: &[&str]) -> Element {
        let mode = self.mode_for(ids).as_str();
        Element::new("blockPublicAccessStates")
            .child(Element::text("internetGatewayBlockMode", mode))
    }
}

/// `DescribeVpcBlockPublicAccessOptions`.
#[allow(
    clippy::unnecessary_wraps,
    reason = "it has the shape of every operation"
)]
pub(super) fn describe_options(
    ec2: &mut Ec2,
    request: &Request<'_>,
) -> Result<Vec<Element>, ApiError> {
    let lock = &ec2.block_public_access;
    let is_new = lock.updated_at.is_none() && lock.mode == Mode::Off;
    let state = if is_new {
        "default-state"
    } else {
        "update-complete"
    };
    let managed_by = if lock.is_declared {
        "declarative-policy"
    } else {
        "account"
    };
    let exclusions = if lock.forbids_exclusions {
        "not-allowed"
    } else {
        "allowed"
    };
    let mut options = vec![
        Element::text("awsAccountId", request.account),
        Element::text("awsRegion", request.region),
        Element::text("state", state),
        Element::text("internetGatewayBlockMode", lock.mode.as_str()),
        Element::text("managedBy", managed_by),
        Element::text("exclusionsAllowed", exclusions),
    ];
    let updated_at = lock.updated_at;
    options.extend(updated_at.map(|at| Element::text("lastUpdateTimestamp", at)));
    Ok(vec![
        Element::new("vpcBlockPublicAccessOptions").children(options),
    ])
}

/// `DescribeVpcBlockPublicAccessExclusions`: all of them.
pub(super) fn describe_exclusions(
    ec2: &mut Ec2,
    request: &Request<'_>,
) -> Result<Vec<Element>, ApiError> {
    request.refuse_unmodelled(&["ExclusionId", "Filter", "MaxResults", "NextToken"])?;
    let mut items = vec![];
    for (id, exclusion) in &ec2.block_public_access.exclusions {
        let kind = super::kind::of_id(id).ok_or_else(|| unmodelled(id))?;
        items.push(vec![
            Element::text(
                "exclusionId",
                request
                    .seed
                    .id("vpcbpa-exclude", &format!("{id}/exclusion")),
            ),
            Element::text("internetGatewayExclusionMode", exclusion.as_str()),
            Element::text("resourceArn", request.arn(&format!("{}/{id}", kind.prefix))),
            Element::text("state", "create-complete"),
        ]);
    }
    let set = "vpcBlockPublicAccessExclusionSet";
    Ok(vec![Element::list(set, "item", items)])
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{
        InternetGatewayBlockMode, InternetGatewayExclusionMode, ManagedBy,
        VpcBlockPublicAccessExclusionsAllowed, VpcBlockPublicAccessState,
    };

    use super::*;
    use crate::ec2::testing::World;

    /// What DescribeVpcs and DescribeSubnets say of a network's VPC, its public subnet and its private one.
    async fn states(world: &World, ids: [&str; 3]) -> [String; 3] {
        let vpc = world.ec2.describe_vpcs().vpc_ids(ids[0]).send();
        let vpc = vpc.await.unwrap().vpcs.unwrap().remove(0);
        let mut states = vec![vpc.block_public_access_states];
        for id in &ids[1..] {
            let subnet = world.describe_subnet(id).await;
            states.push(subnet.block_public_access_states);
        }
        let mode = |index: usize| {
            let state = states[index].clone().unwrap();
            state.internet_gateway_block_mode.unwrap().to_string()
        };
        [mode(0), mode(1), mode(2)]
    }

    #[tokio::test(start_paused = true)]
    async fn block_public_access_is_off_by_default() {
        let world = World::new();
        let network = world.network().await;
        let ids = [&*network.vpc, &*network.public, &*network.private];
        assert_eq!(states(&world, ids).await, ["off", "off", "off"]);
        let options = || world.ec2.describe_vpc_block_public_access_options().send();
        let before = options().await.unwrap().vpc_block_public_access_options;
        let before = before.unwrap();
        assert_eq!(before.state, Some(VpcBlockPublicAccessState::DefaultState));
        assert_eq!(
            before.internet_gateway_block_mode,
            Some(InternetGatewayBlockMode::Off)
        );
        world.change(|ec2| {
            ec2.block_public_access.mode = Mode::BlockBidirectional;
            ec2.block_public_access.is_declared = true;
            ec2.block_public_access.forbids_exclusions = true;
        });
        let after = options().await.unwrap().vpc_block_public_access_options;
        let after = after.unwrap();
        assert_eq!(after.managed_by, Some(ManagedBy::DeclarativePolicy));
        assert_eq!(
            after.exclusions_allowed,
            Some(VpcBlockPublicAccessExclusionsAllowed::NotAllowed)
        );
        assert_eq!(states(&world, ids).await, ["block-bidirectional"; 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn nat_gateways_work_unless_both_ways_are_blocked_where_they_are() {
        let world = World::new();
        let network = world.network().await;
        let now = world.simulator.now();
        let works = |mode: Mode, exclusion: Option<(&str, Exclusion)>| {
            world.change(|ec2| {
                ec2.block_public_access.mode = mode;
                let exclusion = exclusion.map(|(id, exclusion)| (id.to_owned(), exclusion));
                ec2.block_public_access.exclusions = exclusion.into_iter().collect();
            });
            world.read(|ec2| ec2.has_working_nat_route(&network.private, now))
        };
        let both = Mode::BlockBidirectional;
        assert!(works(Mode::BlockIngress, None));
        assert!(!works(both, None));
        for exclusion in [Exclusion::AllowBidirectional, Exclusion::AllowEgress] {
            assert!(works(both, Some((&network.vpc, exclusion))));
            assert!(works(both, Some((&network.public, exclusion))));
            assert!(!works(both, Some((&network.private, exclusion))));
        }
        let call = world.ec2.describe_vpc_block_public_access_exclusions();
        let found = call
            .send()
            .await
            .unwrap()
            .vpc_block_public_access_exclusions;
        let found = found.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].internet_gateway_exclusion_mode,
            Some(InternetGatewayExclusionMode::AllowEgress)
        );
        assert!(
            found[0]
                .resource_arn
                .as_ref()
                .unwrap()
                .ends_with(&network.private)
        );
    }
}
