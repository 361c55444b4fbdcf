//! The VPC, with DNS support and DNS hostnames on.
//!
//! With DNS hostnames off every Fargate node is called `fargate-null`, so at most one pod runs: both
//! attributes are read in every run and turned on when found off.
//!
//! CreateVpc has no client token, so a repeated create makes a second VPC. It is tagged in the create
//! call and looked for afterwards: what is double (a create whose answer was lost) is removed.

use aws_sdk_ec2::types::{
    AttributeBooleanValue, ResourceType, Vpc as Ec2Vpc, VpcAttributeName, VpcState,
};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use serde::Serialize;
use step::error::required;
use step::telemetry::{changed, changing};
use step::{
    Aws, During, Error, NoInput, Outcome, Plan, Removed, Resource, Step, Target, codes, tags,
};

/// The step `vpc`.
pub struct Vpc;

/// What later steps need of the VPC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// The VPC.
    pub vpc_id: String,
}

const ROLE: &str = "vpc";

impl Step for Vpc {
    const NAME: &'static str = "vpc";
    type Input = NoInput;
    type Output = Output;

    async fn ensure(aws: &Aws, plan: &Plan, _: NoInput) -> Result<Outcome<Output>, Error> {
        let mut found = find(aws, &plan.target).await?;
        if found.is_empty() {
            create(aws, plan).await?;
            found = find(aws, &plan.target).await?;
        }
        let vpc = keep_one(aws, found).await?;
        let vpc_id = required(vpc.vpc_id.clone(), "ec2:DescribeVpcs: vpcId")?;
        let cidr = plan.network.cidr.to_string();
        if vpc.cidr_block() != Some(&cidr) {
            return Err(Error::ResourceConflict(format!(
                "VPC {vpc_id} of this cluster has the CIDR block {}, the plan wants {cidr}; \
                 a VPC's block cannot be changed",
                vpc.cidr_block().unwrap_or("none")
            )));
        }
        if vpc.state() == Some(&VpcState::Pending) {
            return Ok(Outcome::pending(2, format!("VPC {vpc_id} is pending")));
        }
        repair_dns(aws, &vpc_id, VpcAttributeName::EnableDnsSupport).await?;
        repair_dns(aws, &vpc_id, VpcAttributeName::EnableDnsHostnames).await?;
        Ok(Outcome::Ready(Output { vpc_id }))
    }

    async fn remove(aws: &Aws, target: &Target) -> Result<Outcome<Removed>, Error> {
        let mut removed = Removed::default();
        for vpc in find(aws, target).await? {
            let vpc_id = required(vpc.vpc_id, "ec2:DescribeVpcs: vpcId")?;
            match delete(aws, &vpc_id).await? {
                Deleted::Yes => removed.removed.push(Resource::new("AWS::EC2::VPC", vpc_id)),
                Deleted::Absent => {}
                Deleted::InUse(why) => {
                    return Ok(Outcome::pending(
                        10,
                        format!("VPC {vpc_id} is in use: {why}"),
                    ));
                }
            }
        }
        Ok(Outcome::Ready(removed))
    }
}

/// Ours, in the order of their ids. A cluster has one, so a page holds them.
async fn find(aws: &Aws, target: &Target) -> Result<Vec<Ec2Vpc>, Error> {
    let answer = aws
        .ec2
        .describe_vpcs()
        .set_filters(Some(tags::ec2_filters_for(target, ROLE)))
        .send()
        .await
        .during("ec2:DescribeVpcs")?;
    let mut vpcs = answer.vpcs.unwrap_or_default();
    vpcs.sort_by(|one, other| one.vpc_id().cmp(&other.vpc_id()));
    Ok(vpcs)
}

async fn create(aws: &Aws, plan: &Plan) -> Result<(), Error> {
    let cidr = plan.network.cidr.to_string();
    changing("ec2:CreateVpc", &cidr);
    let answer = aws
        .ec2
        .create_vpc()
        .cidr_block(cidr)
        .tag_specifications(tags::ec2_specification(plan, ResourceType::Vpc, ROLE, &[]))
        .send()
        .await
        .during("ec2:CreateVpc")?;
    let vpc = required(answer.vpc, "ec2:CreateVpc: vpc")?;
    changed("ec2:CreateVpc", vpc.vpc_id().unwrap_or_default());
    Ok(())
}

/// The one VPC of the cluster. A second one is the trace of a create whose answer was lost: nothing
/// is in it, so it can be deleted, while the one in use refuses.
async fn keep_one(aws: &Aws, mut found: Vec<Ec2Vpc>) -> Result<Ec2Vpc, Error> {
    let mut in_use = Vec::new();
    while let Some(vpc) = found.pop() {
        if found.is_empty() && in_use.is_empty() {
            return Ok(vpc);
        }
        let vpc_id = required(vpc.vpc_id.clone(), "ec2:DescribeVpcs: vpcId")?;
        if let Deleted::InUse(_) = delete(aws, &vpc_id).await? {
            in_use.push(vpc);
        }
    }
    if in_use.len() > 1 {
        let ids: Vec<_> = in_use.iter().filter_map(Ec2Vpc::vpc_id).collect();
        return Err(Error::ResourceConflict(format!(
            "the VPCs {} carry this cluster's tags and all are in use; remove all but one",
            ids.join(", ")
        )));
    }
    in_use.pop().ok_or_else(|| {
        Error::NotYetVisible("the VPC that was just created cannot be described yet".to_owned())
    })
}

async fn repair_dns(aws: &Aws, vpc_id: &str, name: VpcAttributeName) -> Result<(), Error> {
    let answer = aws
        .ec2
        .describe_vpc_attribute()
        .vpc_id(vpc_id)
        .attribute(name.clone())
        .send()
        .await
        .during("ec2:DescribeVpcAttribute")?;
    let is_support = name == VpcAttributeName::EnableDnsSupport;
    let attribute = match is_support {
        true => answer.enable_dns_support,
        false => answer.enable_dns_hostnames,
    };
    if attribute.and_then(|attribute| attribute.value) == Some(true) {
        return Ok(());
    }
    changing("ec2:ModifyVpcAttribute", name.as_str());
    let on = AttributeBooleanValue::builder().value(true).build();
    // One attribute per call: EC2 refuses two.
    let call = aws.ec2.modify_vpc_attribute().vpc_id(vpc_id);
    let call = match is_support {
        true => call.enable_dns_support(on),
        false => call.enable_dns_hostnames(on),
    };
    call.send().await.during("ec2:ModifyVpcAttribute")?;
    changed("ec2:ModifyVpcAttribute", name.as_str());
    Ok(())
}

/// How a deletion went.
enum Deleted {
    Yes,
    Absent,
    InUse(String),
}

async fn delete(aws: &Aws, vpc_id: &str) -> Result<Deleted, Error> {
    changing("ec2:DeleteVpc", vpc_id);
    match aws.ec2.delete_vpc().vpc_id(vpc_id).send().await {
        Err(error) if error.code() == Some(codes::VPC_NOT_FOUND) => return Ok(Deleted::Absent),
        Err(error) if error.code() == Some(codes::DEPENDENCY_VIOLATION) => {
            return Ok(Deleted::InUse(
                error.message().unwrap_or_default().to_owned(),
            ));
        }
        answer => answer.during("ec2:DeleteVpc")?,
    };
    changed("ec2:DeleteVpc", vpc_id);
    Ok(Deleted::Yes)
}
