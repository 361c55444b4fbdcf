//! Unit tests of the step.

use super::*;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::operation::create_vpc::CreateVpcOutput;
use aws_sdk_ec2::operation::delete_vpc::DeleteVpcOutput;
use aws_sdk_ec2::operation::describe_security_groups::DescribeSecurityGroupsOutput;
use aws_sdk_ec2::operation::describe_subnets::DescribeSubnetsOutput;
use aws_sdk_ec2::operation::describe_vpc_attribute::DescribeVpcAttributeOutput;
use aws_sdk_ec2::operation::describe_vpc_endpoints::DescribeVpcEndpointsOutput;
use aws_sdk_ec2::operation::describe_vpcs::DescribeVpcsOutput;
use aws_sdk_ec2::operation::modify_vpc_attribute::ModifyVpcAttributeOutput;
use aws_sdk_ec2::types::{Subnet, Tag};
use aws_smithy_mocks::{Rule, mock};

use crate::aws::mocks::ec2_refusal;

/// Nothing of GuardDuty's is in the VPC.
fn no_endpoints() -> Rule {
    mock!(Client::describe_vpc_endpoints)
        .then_output(|| DescribeVpcEndpointsOutput::builder().build())
}

fn no_groups() -> Rule {
    mock!(Client::describe_security_groups)
        .then_output(|| DescribeSecurityGroupsOutput::builder().build())
}

fn vpc(id: &str) -> Ec2Vpc {
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
    Ec2Vpc::builder()
        .vpc_id(id)
        .cidr_block("10.100.0.0/16")
        .state(VpcState::Available)
        .tags(tag("hardway:cluster", "demo"))
        .tags(tag("hardway:role", "vpc"))
        .build()
}

fn pending(id: &str) -> Ec2Vpc {
    let mut vpc = vpc(id);
    vpc.state = Some(VpcState::Pending);
    vpc
}

/// An account: what is in it, and the calls that change it.
struct Account {
    vpcs: Rule,
    attributes: Rule,
    subnets: Rule,
    create: Rule,
    modify: Rule,
    delete: Rule,
}

impl Account {
    /// With the VPCs that EC2 shows; both attributes are on.
    fn with(vpcs: Vec<Ec2Vpc>) -> Self {
        Self {
            vpcs: mock!(Client::describe_vpcs)
                .match_requests(|call| {
                    let target = &Plan::example().target;
                    let ours = tags::ec2_filters_for(target, "vpc");
                    // A removal does not ask for the role.
                    [ours, tags::ec2_filters(target)]
                        .iter()
                        .any(|it| call.filters() == it)
                })
                .then_output(move || {
                    DescribeVpcsOutput::builder()
                        .set_vpcs(Some(vpcs.clone()))
                        .build()
                }),
            attributes: attributes(true, true),
            subnets: subnets_in(&[]),
            create: mock!(Client::create_vpc)
                .match_requests(|call| {
                    let tags = call.tag_specifications()[0].tags();
                    call.cidr_block() == Some("10.100.0.0/16")
                        && tags::ec2_is(tags, &Plan::example().target, "vpc")
                })
                .then_output(|| CreateVpcOutput::builder().vpc(pending("vpc-2")).build()),
            modify: mock!(Client::modify_vpc_attribute)
                .match_requests(|call| {
                    call.enable_dns_support().is_some() != call.enable_dns_hostnames().is_some()
                })
                .then_output(|| ModifyVpcAttributeOutput::builder().build()),
            delete: mock!(Client::delete_vpc)
                .match_requests(|call| call.vpc_id() == Some("vpc-2"))
                .then_output(|| DeleteVpcOutput::builder().build()),
        }
    }

    fn aws(&self) -> Aws {
        let ec2 = crate::mocked!(
            aws_sdk_ec2,
            [
                &self.vpcs,
                &self.attributes,
                &self.subnets,
                &self.create,
                &self.modify,
                &self.delete,
                &no_endpoints(),
                &no_groups()
            ]
        );
        Aws::offline().with(ec2)
    }

    async fn ensure(&self) -> Result<Outcome<Output>, Error> {
        self.ensure_after(Memory::default()).await
    }

    /// An invocation after one that said `memory`.
    async fn ensure_after(&self, memory: Memory) -> Result<Outcome<Output>, Error> {
        Vpc::ensure(&self.aws(), &Plan::example(), OnlyMemory { memory }).await
    }

    async fn remove(&self) -> Result<Outcome<Removed>, Error> {
        Vpc::remove(&self.aws(), &Plan::example().target).await
    }

    /// How often it was changed: by CreateVpc, ModifyVpcAttribute and DeleteVpc.
    fn changes(&self) -> [usize; 3] {
        [&self.create, &self.modify, &self.delete].map(Rule::num_calls)
    }
}

fn attributes(support: bool, hostnames: bool) -> Rule {
    mock!(Client::describe_vpc_attribute).then_compute_output(move |call| {
        let value = |on| AttributeBooleanValue::builder().value(on).build();
        let answer = DescribeVpcAttributeOutput::builder();
        match call.attribute() {
            Some(VpcAttributeName::EnableDnsSupport) => {
                answer.enable_dns_support(value(support)).build()
            }
            _ => answer.enable_dns_hostnames(value(hostnames)).build(),
        }
    })
}

fn subnets_in(vpc_ids: &'static [&str]) -> Rule {
    mock!(Client::describe_subnets).then_output(move || {
        let subnets = vpc_ids
            .iter()
            .map(|id| Subnet::builder().vpc_id(*id).build());
        DescribeSubnetsOutput::builder()
            .set_subnets(Some(subnets.collect()))
            .build()
    })
}

/// What is remembered of the VPC `vpc-2` after so many looks at it.
fn new_vpc(looks: u32) -> Memory {
    let mut memory = Memory::default();
    memory.remember("vpc", "vpc-2");
    memory.looks = looks;
    memory
}

/// Another look at the VPC `vpc-2` in 10 seconds, which will be the one after `looks`.
fn look_again(looks: u32) -> Outcome<Output> {
    let reason = "vpc-2 is new: EC2 may not show it everywhere yet";
    Outcome::pending(10, reason).remembering(new_vpc(looks))
}

fn created() -> Outcome<Output> {
    Outcome::pending(10, "vpc-2 is created").remembering(new_vpc(0))
}

fn ready(id: &str) -> Outcome<Output> {
    Outcome::Ready(Output { vpc_id: id.into() })
}

#[tokio::test]
async fn creates_a_vpc_where_there_is_none_and_ends_the_invocation_remembering_it() {
    let account = Account::with(vec![]);
    assert_eq!(account.ensure().await, Ok(created()));
    assert_eq!(account.changes(), [1, 0, 0]);
    assert_eq!(account.vpcs.num_calls(), 1);
    assert_eq!(account.attributes.num_calls(), 0);
}

#[tokio::test]
async fn a_new_vpc_waits_two_looks_before_it_is_used() {
    let account = Account::with(vec![vpc("vpc-2")]);
    for looks in [0, 1] {
        let answer = account.ensure_after(new_vpc(looks)).await;
        assert_eq!(answer, Ok(look_again(looks + 1)));
    }
    assert_eq!(account.attributes.num_calls(), 0);
    assert_eq!(account.ensure_after(new_vpc(2)).await, Ok(ready("vpc-2")));
    assert_eq!(account.attributes.num_calls(), 2);
    assert_eq!(account.changes(), [0, 0, 0]);
}

#[tokio::test]
async fn a_remembered_vpc_that_is_not_shown_yet_is_not_created_again() {
    let account = Account::with(vec![]);
    for looks in [0, 1, 2, 30] {
        let answer = account.ensure_after(new_vpc(looks)).await;
        assert_eq!(answer, Ok(look_again(looks + 1)));
    }
    assert_eq!(account.changes(), [0, 0, 0]);
}

#[tokio::test]
async fn a_remembered_vpc_that_is_never_shown_is_created_again() {
    let account = Account::with(vec![]);
    assert_eq!(account.ensure_after(new_vpc(31)).await, Ok(created()));
    assert_eq!(account.changes(), [1, 0, 0]);
}

#[tokio::test]
async fn a_vpc_that_shows_late_is_used_however_often_was_looked() {
    let account = Account::with(vec![vpc("vpc-2")]);
    assert_eq!(account.ensure_after(new_vpc(31)).await, Ok(ready("vpc-2")));
    assert_eq!(account.changes(), [0, 0, 0]);
}

#[tokio::test]
async fn waits_for_a_pending_vpc_and_still_remembers_it() {
    let account = Account::with(vec![pending("vpc-2")]);
    let expected = Outcome::pending(2, "vpc-2 is pending");
    for memory in [Memory::default(), new_vpc(2)] {
        let answer = account.ensure_after(memory.clone()).await;
        assert_eq!(answer, Ok(expected.clone().remembering(memory)));
    }
    assert_eq!(account.attributes.num_calls(), 0);
    assert_eq!(account.changes(), [0, 0, 0]);
}

#[tokio::test]
async fn a_vpc_from_an_earlier_attempt_is_adopted_without_further_looks() {
    let account = Account::with(vec![vpc("vpc-1")]);
    assert_eq!(account.ensure().await, Ok(ready("vpc-1")));
    assert_eq!(account.changes(), [0, 0, 0]);
    assert_eq!(account.subnets.num_calls(), 0);
}

#[tokio::test]
async fn turns_on_dns_hostnames_and_only_them() {
    let mut account = Account::with(vec![vpc("vpc-1")]);
    account.attributes = attributes(true, false);
    account.modify = mock!(Client::modify_vpc_attribute)
        .match_requests(|call| {
            let value = call
                .enable_dns_hostnames()
                .and_then(AttributeBooleanValue::value);
            value == Some(true) && call.enable_dns_support().is_none()
        })
        .then_output(|| ModifyVpcAttributeOutput::builder().build());
    assert_eq!(account.ensure().await, Ok(ready("vpc-1")));
    assert_eq!(account.changes(), [0, 1, 0]);
}

#[tokio::test]
async fn turns_on_both_attributes_in_two_calls() {
    let mut account = Account::with(vec![vpc("vpc-1")]);
    account.attributes = attributes(false, false);
    assert_eq!(account.ensure().await, Ok(ready("vpc-1")));
    assert_eq!(account.changes(), [0, 2, 0]);
}

#[tokio::test]
async fn the_surplus_of_a_lost_answer_is_removed_whenever_it_is_seen() {
    for memory in [Memory::default(), new_vpc(2)] {
        let account = Account::with(vec![pending("vpc-2"), vpc("vpc-1")]);
        assert_eq!(account.ensure_after(memory).await, Ok(ready("vpc-1")));
        assert_eq!(account.changes(), [0, 0, 1]);
    }
}

#[tokio::test]
async fn surplus_that_is_gone_meanwhile_is_success() {
    let mut account = Account::with(vec![vpc("vpc-1"), vpc("vpc-2")]);
    account.delete = mock!(Client::delete_vpc)
        .then_http_response(|| ec2_refusal(codes::VPC_NOT_FOUND, "does not exist"));
    assert_eq!(account.ensure().await, Ok(ready("vpc-1")));
    assert_eq!(account.changes(), [0, 0, 1]);
}

#[tokio::test]
async fn of_two_vpcs_the_one_with_subnets_is_kept() {
    let mut account = Account::with(vec![vpc("vpc-2"), vpc("vpc-3")]);
    account.subnets = subnets_in(&["vpc-3"]);
    assert_eq!(account.ensure().await, Ok(ready("vpc-3")));
    assert_eq!(account.changes(), [0, 0, 1]);
}

#[tokio::test]
async fn two_vpcs_in_use_are_a_conflict() {
    let mut account = Account::with(vec![vpc("vpc-1"), vpc("vpc-2")]);
    account.delete = mock!(Client::delete_vpc)
        .then_http_response(|| ec2_refusal(codes::DEPENDENCY_VIOLATION, "has dependencies"));
    let error = account.ensure().await.unwrap_err();
    assert_eq!(error.name(), "ResourceConflict");
    assert!(error.to_string().contains("vpc-1 and vpc-2"), "{error}");
}

#[tokio::test]
async fn refuses_vpc_with_another_cidr_block() {
    let mut other = vpc("vpc-1");
    other.cidr_block = Some("10.0.0.0/16".to_owned());
    let account = Account::with(vec![other]);
    let error = account.ensure().await.unwrap_err();
    assert_eq!(error.name(), "ResourceConflict");
    for part in ["vpc-1", "10.0.0.0/16", "10.100.0.0/16"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    assert_eq!(account.changes(), [0, 0, 0]);
}

#[tokio::test]
async fn remove_deletes_the_vpc() {
    let account = Account::with(vec![vpc("vpc-2")]);
    let removed = account.remove().await.unwrap().ready().unwrap();
    assert_eq!(removed.removed, [Resource::new("AWS::EC2::VPC", "vpc-2")]);
    assert_eq!(account.changes(), [0, 0, 1]);
}

#[tokio::test]
async fn remove_of_missing_vpc_succeeds() {
    let account = Account::with(vec![]);
    assert_eq!(
        account.remove().await,
        Ok(Outcome::Ready(Removed::default()))
    );
    assert_eq!(account.changes(), [0, 0, 0]);

    let mut account = Account::with(vec![vpc("vpc-2")]);
    account.delete = mock!(Client::delete_vpc)
        .then_http_response(|| ec2_refusal(codes::VPC_NOT_FOUND, "does not exist"));
    assert_eq!(
        account.remove().await,
        Ok(Outcome::Ready(Removed::default()))
    );
}
