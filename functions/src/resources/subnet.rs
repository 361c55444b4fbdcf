//! The cluster's subnets: a public and a private one in each Availability Zone of the plan.

use aws_sdk_ec2::types::{Filter, Subnet, SubnetState};
use ipnet::Ipv4Net;

use crate::aws::{Aws, codes, list};
use crate::contract::error::required;
use crate::contract::{During, Error};
use crate::model::plan::Zone;
use crate::model::{Plan, tags};
use crate::resources::resource_change::{Change, Difference, ResourceChange};

/// CloudFormation's type name.
pub(crate) const KIND: &str = "AWS::EC2::Subnet";

const DESCRIBE: &str = "ec2:DescribeSubnets";

/// One of the two subnets of a zone, as the plan has it.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    /// Value of the tag `hardway:role`, for example `private-apne1-az1`.
    pub role: String,
    pub zone: &'a Zone,
    pub cidr: Ipv4Net,
    /// The tag by which the AWS Load Balancer Controller finds it.
    pub load_balancer_tag: (&'static str, &'static str),
}

/// What there is.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// All subnets of ours, with any role, in any VPC.
    ours: Vec<Subnet>,
    /// All subnets of the VPC, ours or not; not looked for where none of ours is missing.
    in_vpc: Vec<Subnet>,
}

/// One subnet of the plan, beside what there is of it.
#[derive(Debug)]
pub(crate) struct Compared<'a> {
    pub wanted: Wanted<'a>,
    /// The one of ours, where the plan has it.
    pub found: Option<&'a Subnet>,
}

/// The subnets that pass the filters; all of the region's if there are none.
pub(crate) async fn find(aws: &Aws, filters: Vec<Filter>) -> Result<Vec<Subnet>, Error> {
    let call = aws.ec2().describe_subnets().set_filters(Some(filters));
    list!(call).await.during(DESCRIBE)
}

/// The subnets with these ids, which lists may lack while they are new; none if one of them is gone.
pub(crate) async fn find_by_ids(aws: &Aws, ids: Vec<String>) -> Result<Option<Vec<Subnet>>, Error> {
    use aws_sdk_ec2::error::ProvideErrorMetadata;

    let call = aws.ec2().describe_subnets().set_subnet_ids(Some(ids));
    let answer = call.send().await;
    match answer.as_ref().err().and_then(ProvideErrorMetadata::code) {
        Some(codes::SUBNET_NOT_FOUND | codes::SUBNET_NOT_FOUND_TOO) => Ok(None),
        _ => Ok(answer.during(DESCRIBE)?.subnets),
    }
}

/// Looks at the subnets of ours, and at what is in their place where one of the plan's is missing.
pub(crate) async fn observe(aws: &Aws, plan: &Plan, vpc_id: Option<&str>) -> Result<Seen, Error> {
    let ours = find(aws, tags::ec2_filters(&plan.target)).await?;
    let is_there = |wanted: &Wanted<'_>| ours.iter().any(|it| wanted.is(plan, it));
    let in_vpc = match vpc_id {
        Some(vpc_id) if !wanted(plan).iter().all(is_there) => {
            find(aws, tags::ec2_in_vpc(vpc_id)).await?
        }
        _ => vec![],
    };
    Ok(Seen { ours, in_vpc })
}

/// Says what is to be done: the subnets of the plan, zone by zone, the public one first.
///
/// # Errors
/// [`Error::ResourceConflict`] if a subnet of ours is somewhere else, or somebody's has its addresses: VPC,
/// zone and CIDR block cannot be changed.
pub(crate) fn compare<'a>(
    plan: &'a Plan,
    vpc_id: Option<&str>,
    seen: &'a Seen,
) -> Result<Vec<Compared<'a>>, Error> {
    let compared = wanted(plan).into_iter().map(|wanted| {
        // A list by tags may lack what a list by VPC shows.
        let mut all = seen.ours.iter().chain(&seen.in_vpc);
        let found = all.find(|it| wanted.is(plan, it));
        match found {
            Some(found) => wanted.check(vpc_id, found)?,
            None => wanted.check_room(vpc_id, &seen.in_vpc)?,
        }
        Ok(Compared { wanted, found })
    });
    compared.collect()
}

/// All subnets of the plan, zone by zone, the public one first.
fn wanted(plan: &Plan) -> Vec<Wanted<'_>> {
    let zones = plan.network.zones.iter();
    zones
        .flat_map(|zone| [Wanted::public(zone), Wanted::private(zone)])
        .collect()
}

impl Compared<'_> {
    /// The same for a person.
    pub fn change(&self) -> ResourceChange {
        let Some(found) = self.found else {
            return ResourceChange::new(KIND, &self.wanted.role, Change::Create);
        };
        let (key, value) = self.wanted.load_balancer_tag;
        let is = tags::ec2_value(found.tags(), key).unwrap_or("(none)");
        let lacks = self.lacks_tag();
        let tag = lacks.then(|| Difference::new(format!("Tags[{key}]"), is, value));
        ResourceChange::of(KIND, &self.wanted.role, tag.into_iter().collect())
    }

    /// Whether the AWS Load Balancer Controller would not find it.
    pub fn lacks_tag(&self) -> bool {
        let (key, value) = self.wanted.load_balancer_tag;
        self.found
            .is_some_and(|found| tags::ec2_value(found.tags(), key) != Some(value))
    }
}

impl<'a> Wanted<'a> {
    /// The subnet for NAT gateways and load balancers that face the Internet.
    pub fn public(zone: &'a Zone) -> Self {
        Self {
            role: public_role(zone),
            zone,
            cidr: zone.public_cidr,
            load_balancer_tag: ("kubernetes.io/role/elb", "1"),
        }
    }

    /// The subnet for Fargate's pods and internal load balancers.
    pub fn private(zone: &'a Zone) -> Self {
        Self {
            role: private_role(zone),
            zone,
            cidr: zone.private_cidr,
            load_balancer_tag: ("kubernetes.io/role/internal-elb", "1"),
        }
    }

    /// Whether a subnet is this one, by its tags.
    pub fn is(&self, plan: &Plan, subnet: &Subnet) -> bool {
        tags::ec2_is(subnet.tags(), &plan.target, &self.role)
    }

    fn check(&self, vpc_id: Option<&str>, subnet: &Subnet) -> Result<(), Error> {
        let cidr = self.cidr.to_string();
        let vpc_id = vpc_id.unwrap_or("a new VPC");
        let wanted = [vpc_id, self.zone.id.as_str(), cidr.as_str()];
        let actual = [
            subnet.vpc_id(),
            subnet.availability_zone_id(),
            subnet.cidr_block(),
        ]
        .map(|value| value.unwrap_or("(none)"));
        if actual == wanted {
            return Ok(());
        }
        let say = |[vpc_id, zone, cidr]: [&str; 3]| format!("{cidr} in {zone} of {vpc_id}");
        Err(Error::ResourceConflict(format!(
            "{} is tagged as the cluster's {} with {}, while the plan has {}",
            subnet.subnet_id().unwrap_or("a subnet"),
            self.role,
            say(actual),
            say(wanted)
        )))
    }

    /// Refuses a place that another subnet of the VPC has.
    pub fn check_room(&self, vpc_id: Option<&str>, in_vpc: &[Subnet]) -> Result<(), Error> {
        let cidr = self.cidr;
        let Some(subnet) = in_vpc.iter().find(|subnet| self.overlaps(subnet)) else {
            return Ok(());
        };
        Err(Error::ResourceConflict(format!(
            "{} ({}) in {} overlaps {cidr}, which the plan has for {}",
            id(subnet)?,
            subnet.cidr_block().unwrap_or("no CIDR block"),
            vpc_id.unwrap_or("the VPC"),
            self.role
        )))
    }

    fn overlaps(&self, subnet: &Subnet) -> bool {
        let block = subnet.cidr_block().map(str::parse::<Ipv4Net>);
        matches!(block, Some(Ok(block)) if block.contains(&self.cidr) || self.cidr.contains(&block))
    }
}

/// Value of the tag `hardway:role` of a zone's public subnet.
pub(crate) fn public_role(zone: &Zone) -> String {
    format!("public-{}", zone.id)
}

/// Value of the tag `hardway:role` of a zone's private subnet.
pub(crate) fn private_role(zone: &Zone) -> String {
    format!("private-{}", zone.id)
}

pub(crate) fn is_pending(subnet: &Subnet) -> bool {
    subnet.state() == Some(&SubnetState::Pending)
}

pub(crate) fn id(subnet: &Subnet) -> Result<&str, Error> {
    required(subnet.subnet_id(), "ec2:DescribeSubnets: subnetId")
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::Tag;

    use super::*;

    const VPC: &str = "vpc-1";

    fn tag(key: &str, value: &str) -> Tag {
        Tag::builder().key(key).value(value).build()
    }

    /// A subnet of somebody.
    fn theirs(cidr: &str) -> Subnet {
        let subnet = Subnet::builder().subnet_id("subnet-1").cidr_block(cidr);
        subnet.vpc_id(VPC).build()
    }

    /// A zone's public subnet without the tag for load balancers.
    fn ours(wanted: &Wanted<'_>) -> Subnet {
        let mut subnet = theirs(&wanted.cidr.to_string());
        subnet.availability_zone_id = Some(wanted.zone.id.clone());
        subnet.tags = Some(vec![
            tag(tags::CLUSTER, "demo"),
            tag(tags::ROLE, &wanted.role),
        ]);
        subnet
    }

    #[test]
    fn a_subnet_of_ours_that_only_the_list_of_the_vpc_shows_is_found() {
        let plan = Plan::example();
        let wanted = Wanted::public(&plan.network.zones[1]);
        let seen = Seen {
            ours: vec![],
            in_vpc: vec![ours(&wanted)],
        };
        let compared = compare(&plan, Some(VPC), &seen).unwrap();
        let found = |it: &Compared<'_>| it.found.is_some();
        let found: Vec<bool> = compared.iter().map(found).collect();
        assert_eq!(found, [false, false, true, false, false, false]);
        let differences = vec![Difference::new(
            "Tags[kubernetes.io/role/elb]",
            "(none)",
            "1",
        )];
        let change = ResourceChange::of(KIND, "public-apne1-az2", differences);
        assert_eq!(compared[2].change(), change);
        let made = ResourceChange::new(KIND, "private-apne1-az2", Change::Create);
        assert_eq!(compared[3].change(), made);
    }

    #[test]
    fn a_block_that_is_part_of_somebodys_or_has_it_as_a_part_is_refused() {
        let plan = Plan::example();
        for (cidr, is_refused) in [
            ("10.100.0.0/17", true),
            ("10.100.1.0/24", true),
            ("10.100.96.0/19", false),
        ] {
            let seen = Seen {
                ours: vec![],
                in_vpc: vec![theirs(cidr)],
            };
            let error = compare(&plan, Some(VPC), &seen).err();
            assert_eq!(error.is_some(), is_refused, "{cidr}");
            let said = format!("subnet-1 ({cidr}) in {VPC} overlaps 10.100.0.0/19");
            assert!(error.is_none_or(|it| it.to_string().contains(&said)));
        }
    }

    #[test]
    fn a_subnet_of_ours_in_a_vpc_that_is_gone_is_refused() {
        let plan = Plan::example();
        let seen = Seen {
            ours: vec![ours(&Wanted::public(&plan.network.zones[0]))],
            in_vpc: vec![],
        };
        let error = compare(&plan, None, &seen).unwrap_err();
        assert!(error.to_string().ends_with("of a new VPC"), "{error}");
    }
}
