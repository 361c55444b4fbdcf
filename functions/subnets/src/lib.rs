//! A public and a private subnet in each Availability Zone of the plan.
//!
//! Zones are named by their ids: names differ between accounts. The subnets carry the tags by which
//! load balancer controllers find them, which are repaired when they are missing.
//!
//! CreateSubnet has no client token, but a CIDR block fits into a VPC only once: a repeated create is
//! refused, and the subnet that is there is ours or in the way.

use aws_sdk_ec2::types::{ResourceType, Subnet, SubnetState, Tag};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use serde::{Deserialize, Serialize};
use step::error::required;
use step::telemetry::{changed, changing};
use step::{
    Aws, During, Error, Outcome, Plan, Removed, Resource, Step, Target, ZoneSubnets, codes, tags,
};

/// The step `subnets`.
pub struct Subnets;

/// What the subnets need of earlier steps.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// The VPC.
    pub vpc_id: String,
}

/// What later steps need of the subnets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Output {
    /// The subnets of each zone, in the plan's order.
    pub subnets: Vec<ZoneSubnets>,
}

/// A subnet as it should be.
struct Wanted {
    role: String,
    zone_id: String,
    cidr: String,
    load_balancer_tag: &'static str,
}

/// Tag keys by which the AWS Load Balancer Controller finds subnets (EKS user guide, network
/// requirements).
const PUBLIC_LOAD_BALANCERS: &str = "kubernetes.io/role/elb";
const INTERNAL_LOAD_BALANCERS: &str = "kubernetes.io/role/internal-elb";

impl Step for Subnets {
    const NAME: &'static str = "subnets";
    type Input = Input;
    type Output = Output;

    async fn ensure(aws: &Aws, plan: &Plan, input: Input) -> Result<Outcome<Output>, Error> {
        let found = find(aws, &plan.target).await?;
        let mut subnets = Vec::new();
        let mut pending = Vec::new();
        for zone in &plan.network.zones {
            let mut ids = Vec::new();
            for wanted in wanted(zone) {
                let subnet = ensure_subnet(aws, plan, &input.vpc_id, &found, &wanted).await?;
                let id = required(subnet.subnet_id.clone(), "ec2: subnetId")?;
                if subnet.state() == Some(&SubnetState::Pending) {
                    pending.push(id.clone());
                }
                ids.push(id);
            }
            let [public_subnet_id, private_subnet_id] = ids
                .try_into()
                .map_err(|_| Error::Unexpected("a zone has two subnets".to_owned()))?;
            subnets.push(ZoneSubnets {
                zone_id: zone.id.clone(),
                zone_name: zone.name.clone(),
                public_subnet_id,
                private_subnet_id,
            });
        }
        if !pending.is_empty() {
            let reason = format!("subnets {} are pending", pending.join(", "));
            return Ok(Outcome::pending(2, reason));
        }
        Ok(Outcome::Ready(Output { subnets }))
    }

    async fn remove(aws: &Aws, target: &Target) -> Result<Outcome<Removed>, Error> {
        let mut removed = Removed::default();
        for subnet in find(aws, target).await? {
            let id = required(subnet.subnet_id, "ec2:DescribeSubnets: subnetId")?;
            changing("ec2:DeleteSubnet", &id);
            match aws.ec2.delete_subnet().subnet_id(&id).send().await {
                Err(error) if is_absent(&error) => continue,
                Err(error) if error.code() == Some(codes::DEPENDENCY_VIOLATION) => {
                    let why = error.message().unwrap_or_default();
                    return Ok(Outcome::pending(
                        10,
                        format!("subnet {id} is in use: {why}"),
                    ));
                }
                answer => answer.during("ec2:DeleteSubnet")?,
            };
            changed("ec2:DeleteSubnet", &id);
            removed.removed.push(Resource::new("AWS::EC2::Subnet", id));
        }
        Ok(Outcome::Ready(removed))
    }
}

/// The public and the private subnet of a zone, in this order.
fn wanted(zone: &step::plan::Zone) -> [Wanted; 2] {
    [
        Wanted {
            role: format!("public-{}", zone.id),
            zone_id: zone.id.clone(),
            cidr: zone.public_cidr.to_string(),
            load_balancer_tag: PUBLIC_LOAD_BALANCERS,
        },
        Wanted {
            role: format!("private-{}", zone.id),
            zone_id: zone.id.clone(),
            cidr: zone.private_cidr.to_string(),
            load_balancer_tag: INTERNAL_LOAD_BALANCERS,
        },
    ]
}

/// Ours: six at the most, so a page holds them.
async fn find(aws: &Aws, target: &Target) -> Result<Vec<Subnet>, Error> {
    let answer = aws
        .ec2
        .describe_subnets()
        .set_filters(Some(tags::ec2_filters(target)))
        .send()
        .await
        .during("ec2:DescribeSubnets")?;
    Ok(answer.subnets.unwrap_or_default())
}

async fn ensure_subnet(
    aws: &Aws,
    plan: &Plan,
    vpc_id: &str,
    found: &[Subnet],
    wanted: &Wanted,
) -> Result<Subnet, Error> {
    let ours = found
        .iter()
        .find(|subnet| tags::ec2_is(subnet.tags(), &plan.target, &wanted.role));
    let Some(subnet) = ours else {
        return create(aws, plan, vpc_id, wanted).await;
    };
    check(subnet, vpc_id, wanted)?;
    repair_load_balancer_tag(aws, subnet, wanted).await?;
    Ok(subnet.clone())
}

/// What cannot be changed must be as planned.
fn check(subnet: &Subnet, vpc_id: &str, wanted: &Wanted) -> Result<(), Error> {
    let id = subnet.subnet_id().unwrap_or_default();
    let members = [
        ("VPC", subnet.vpc_id(), vpc_id),
        ("CIDR block", subnet.cidr_block(), &wanted.cidr),
        ("zone", subnet.availability_zone_id(), &wanted.zone_id),
    ];
    for (what, is, should_be) in members {
        if is != Some(should_be) {
            return Err(Error::ResourceConflict(format!(
                "subnet {id} ({}) has the {what} {}, the plan wants {should_be}; it cannot be changed",
                wanted.role,
                is.unwrap_or("none")
            )));
        }
    }
    Ok(())
}

async fn create(aws: &Aws, plan: &Plan, vpc_id: &str, wanted: &Wanted) -> Result<Subnet, Error> {
    changing("ec2:CreateSubnet", &wanted.role);
    let extra = [(wanted.load_balancer_tag, "1")];
    let specification = tags::ec2_specification(plan, ResourceType::Subnet, &wanted.role, &extra);
    let answer = aws
        .ec2
        .create_subnet()
        .vpc_id(vpc_id)
        .cidr_block(&wanted.cidr)
        .availability_zone_id(&wanted.zone_id)
        .tag_specifications(specification)
        .send()
        .await;
    let subnet = match answer {
        Err(error) if error.code() == Some(codes::SUBNET_CONFLICT) => {
            return in_the_way(aws, &plan.target, vpc_id, wanted).await;
        }
        answer => required(
            answer.during("ec2:CreateSubnet")?.subnet,
            "ec2:CreateSubnet: subnet",
        )?,
    };
    changed("ec2:CreateSubnet", subnet.subnet_id().unwrap_or_default());
    Ok(subnet)
}

/// Another subnet holds the CIDR block: ours that we could not see yet, or somebody else's.
async fn in_the_way(
    aws: &Aws,
    target: &Target,
    vpc_id: &str,
    wanted: &Wanted,
) -> Result<Subnet, Error> {
    let answer = aws
        .ec2
        .describe_subnets()
        .filters(tags::ec2_filter("vpc-id", vpc_id))
        .send()
        .await
        .during("ec2:DescribeSubnets")?;
    let subnets = answer.subnets.unwrap_or_default();
    let ours = subnets
        .iter()
        .find(|subnet| tags::ec2_is(subnet.tags(), target, &wanted.role));
    if let Some(subnet) = ours {
        return Ok(subnet.clone());
    }
    let others: Vec<String> = subnets
        .iter()
        .filter(|subnet| {
            tags::ec2_value(subnet.tags(), tags::CLUSTER) != Some(&target.cluster_name)
        })
        .map(|subnet| {
            let id = subnet.subnet_id().unwrap_or_default();
            format!("{id} ({})", subnet.cidr_block().unwrap_or_default())
        })
        .collect();
    if others.is_empty() {
        let message = format!("the subnet with {} cannot be described yet", wanted.cidr);
        return Err(Error::NotYetVisible(message));
    }
    Err(Error::ResourceConflict(format!(
        "{} for {} overlaps a subnet of VPC {vpc_id} that is not ours: {}",
        wanted.cidr,
        wanted.role,
        others.join(", ")
    )))
}

async fn repair_load_balancer_tag(
    aws: &Aws,
    subnet: &Subnet,
    wanted: &Wanted,
) -> Result<(), Error> {
    if tags::ec2_value(subnet.tags(), wanted.load_balancer_tag).is_some() {
        return Ok(());
    }
    let id = subnet.subnet_id().unwrap_or_default();
    changing("ec2:CreateTags", id);
    let tag = Tag::builder()
        .key(wanted.load_balancer_tag)
        .value("1")
        .build();
    aws.ec2
        .create_tags()
        .resources(id)
        .tags(tag)
        .send()
        .await
        .during("ec2:CreateTags")?;
    changed("ec2:CreateTags", id);
    Ok(())
}

fn is_absent(error: &impl ProvideErrorMetadata) -> bool {
    [codes::SUBNET_NOT_FOUND, codes::SUBNET_NOT_FOUND_TOO]
        .contains(&error.code().unwrap_or_default())
}
