//! What one subnet has to be like.

use aws_sdk_ec2::types::Subnet;
use ipnet::Ipv4Net;

use crate::contract::Error;
use crate::model::plan::Zone;

/// One of the two subnets of a zone.
pub(crate) struct Wanted<'a> {
    /// Value of the tag `hardway:role`, for example `private-apne1-az1`.
    pub(crate) role: String,
    pub(crate) zone: &'a Zone,
    pub(crate) cidr: Ipv4Net,
    /// The tag by which the AWS Load Balancer Controller finds it.
    pub(crate) load_balancer_tag: (&'static str, &'static str),
}

impl<'a> Wanted<'a> {
    /// The subnet for NAT gateways and load balancers that face the Internet.
    pub(crate) fn public(zone: &'a Zone) -> Self {
        Self {
            role: format!("public-{}", zone.id),
            zone,
            cidr: zone.public_cidr,
            load_balancer_tag: ("kubernetes.io/role/elb", "1"),
        }
    }

    /// The subnet for Fargate's pods and internal load balancers.
    pub(crate) fn private(zone: &'a Zone) -> Self {
        Self {
            role: format!("private-{}", zone.id),
            zone,
            cidr: zone.private_cidr,
            load_balancer_tag: ("kubernetes.io/role/internal-elb", "1"),
        }
    }

    /// Refuses a subnet of ours that is somewhere else: VPC, zone and CIDR block cannot be changed.
    pub(crate) fn check(&self, vpc_id: &str, subnet: &Subnet) -> Result<(), Error> {
        let cidr = self.cidr.to_string();
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

    /// Whether a subnet takes some of the addresses.
    pub(crate) fn overlaps(&self, subnet: &Subnet) -> bool {
        let block = subnet.cidr_block().map(str::parse::<Ipv4Net>);
        matches!(block, Some(Ok(block)) if block.contains(&self.cidr) || self.cidr.contains(&block))
    }
}
