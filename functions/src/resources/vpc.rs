//! The cluster's VPC.
//!
//! Without DNS hostnames every Fargate node is called `fargate-null`, so that at most one pod runs: both
//! attributes have to be on.

use aws_sdk_ec2::types::{Filter, Vpc, VpcAttributeName, VpcState};

use crate::aws::{Aws, list};
use crate::contract::error::required;
use crate::contract::{During, Error};
use crate::model::tags;
use crate::model::{Plan, Target};
use crate::resources::resource_change::{Change, Difference, ResourceChange};
use crate::resources::{internet_gateway, subnet};

/// Value of the tag `hardway:role`.
pub(crate) const ROLE: &str = "vpc";
/// CloudFormation's type name.
pub(crate) const KIND: &str = "AWS::EC2::VPC";

/// In the order in which they are turned on: EC2 takes one in a call, and hostnames need support.
const ATTRIBUTES: [VpcAttributeName; 2] = [
    VpcAttributeName::EnableDnsSupport,
    VpcAttributeName::EnableDnsHostnames,
];

/// What there is.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// VPCs of ours; several only if a repeated creation left a surplus one.
    vpcs: Vec<Vpc>,
    /// The ids of those with subnets, and of those with a gateway; not looked for where there is one.
    used: Vec<String>,
    connected: Vec<String>,
    /// The attributes of the one to keep that are off.
    off: Vec<VpcAttributeName>,
}

/// What there is beside the plan.
#[derive(Debug)]
pub(crate) struct Compared<'a> {
    /// The one to keep.
    pub kept: Option<&'a Vpc>,
    /// Those to delete: nothing is in them.
    pub surplus: &'a [Vpc],
    /// The attributes to turn on.
    pub off: &'a [VpcAttributeName],
}

/// The VPCs that pass the filters; all of the region's if there are none.
pub(crate) async fn find(aws: &Aws, filters: Vec<Filter>) -> Result<Vec<Vpc>, Error> {
    let call = aws.ec2().describe_vpcs().set_filters(Some(filters));
    list!(call).await.during("ec2:DescribeVpcs")
}

/// All VPCs of ours, those that have lost the tag of their role, too.
pub(crate) async fn find_ours(aws: &Aws, target: &Target) -> Result<Vec<Vpc>, Error> {
    find(aws, tags::ec2_filters(target)).await
}

/// Looks at the VPCs with the tag of the role. Of several the one with subnets in it is kept, else the one
/// with the smallest id: all invocations decide alike, at any time.
pub(crate) async fn observe(aws: &Aws, target: &Target) -> Result<Seen, Error> {
    let mut vpcs = find(aws, tags::ec2_filters_for(target, ROLE)).await?;
    let (used, connected) = match vpcs.as_slice() {
        [] | [_] => (vec![], vec![]),
        several => (
            with_subnets(aws, several).await?,
            with_gateways(aws, several).await?,
        ),
    };
    vpcs.sort_by_key(|vpc| (!is_used(vpc, &used), vpc.vpc_id.clone()));
    let mut off = vec![];
    if let Some(kept) = vpcs.first().filter(|vpc| !is_pending(vpc)) {
        for name in ATTRIBUTES {
            if !has_attribute(aws, id(kept)?, &name).await? {
                off.push(name);
            }
        }
    }
    Ok(Seen {
        vpcs,
        used,
        connected,
        off,
    })
}

/// Says what is to be done.
///
/// # Errors
/// [`Error::ResourceConflict`] if two are in use, or if the block is another one: it cannot be changed.
pub(crate) fn compare<'a>(plan: &Plan, seen: &'a Seen) -> Result<Compared<'a>, Error> {
    let (kept, surplus) = match seen.vpcs.split_first() {
        Some((kept, surplus)) => (Some(kept), surplus),
        None => (None, &[][..]),
    };
    if let Some(kept) = kept {
        let is_in_use = |vpc: &&Vpc| is_used(vpc, &seen.used) || is_used(vpc, &seen.connected);
        if let Some(other) = surplus.iter().find(is_in_use) {
            return Err(both_in_use(plan, id(kept)?, id(other)?));
        }
        check_cidr(plan, kept)?;
    }
    Ok(Compared {
        kept,
        surplus,
        off: &seen.off,
    })
}

impl Compared<'_> {
    /// The same for a person.
    pub fn changes(&self) -> Vec<ResourceChange> {
        let attribute = |name: &VpcAttributeName| {
            let name = name.as_str();
            let property = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
            Difference::new(property, "false", "true")
        };
        let kept = match self.kept {
            Some(_) => ResourceChange::of(KIND, ROLE, self.off.iter().map(attribute).collect()),
            None => ResourceChange::new(KIND, ROLE, Change::Create),
        };
        let surplus = self.surplus.iter().filter_map(Vpc::vpc_id);
        let surplus = surplus.map(|id| ResourceChange::new(KIND, id, Change::Remove));
        std::iter::once(kept).chain(surplus).collect()
    }

    /// The id of the one to keep.
    pub fn id(&self) -> Option<&str> {
        self.kept.and_then(Vpc::vpc_id)
    }
}

/// The error of two VPCs of ours of which neither can go.
pub(crate) fn both_in_use(plan: &Plan, kept: &str, other: &str) -> Error {
    Error::ResourceConflict(format!(
        "{kept} and {other} are both tagged as the VPC of the cluster {}, and both are in use",
        plan.target.cluster_name
    ))
}

/// A VPC's CIDR block cannot be changed.
fn check_cidr(plan: &Plan, vpc: &Vpc) -> Result<(), Error> {
    let (wanted, actual) = (plan.network.cidr.to_string(), vpc.cidr_block());
    if actual == Some(&wanted) {
        return Ok(());
    }
    Err(Error::ResourceConflict(format!(
        "the cluster {} has its VPC already: {} with the CIDR block {}, while network.cidr asks for \
         {wanted}",
        plan.target.cluster_name,
        id(vpc)?,
        actual.unwrap_or("(none)")
    )))
}

async fn with_subnets(aws: &Aws, vpcs: &[Vpc]) -> Result<Vec<String>, Error> {
    let subnets = subnet::find(aws, of_vpcs("vpc-id", vpcs))
        .await?
        .into_iter();
    Ok(subnets.filter_map(|subnet| subnet.vpc_id).collect())
}

async fn with_gateways(aws: &Aws, vpcs: &[Vpc]) -> Result<Vec<String>, Error> {
    let gateways = internet_gateway::find(aws, of_vpcs("attachment.vpc-id", vpcs)).await?;
    let vpcs = gateways.iter().filter_map(internet_gateway::vpc_of);
    Ok(vpcs.map(ToOwned::to_owned).collect())
}

/// The filter for what is in one of several VPCs.
fn of_vpcs(name: &str, vpcs: &[Vpc]) -> Vec<Filter> {
    let ids = vpcs.iter().filter_map(|vpc| vpc.vpc_id.clone()).collect();
    vec![Filter::builder().name(name).set_values(Some(ids)).build()]
}

/// Whether an attribute of a VPC, whosever it is, is on.
pub(crate) async fn has_attribute(
    aws: &Aws,
    vpc_id: &str,
    name: &VpcAttributeName,
) -> Result<bool, Error> {
    let call = aws.ec2().describe_vpc_attribute().vpc_id(vpc_id);
    let answer = call.attribute(name.clone()).send().await;
    let answer = answer.during("ec2:DescribeVpcAttribute")?;
    let attribute = match name {
        VpcAttributeName::EnableDnsSupport => answer.enable_dns_support,
        _ => answer.enable_dns_hostnames,
    };
    Ok(attribute.and_then(|it| it.value).unwrap_or_default())
}

fn is_used(vpc: &Vpc, used: &[String]) -> bool {
    used.iter().any(|id| Some(id.as_str()) == vpc.vpc_id())
}

pub(crate) fn is_pending(vpc: &Vpc) -> bool {
    vpc.state() == Some(&VpcState::Pending)
}

pub(crate) fn id(vpc: &Vpc) -> Result<&str, Error> {
    required(vpc.vpc_id(), "ec2:DescribeVpcs: vpcId")
}
