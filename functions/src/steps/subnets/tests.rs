//! Unit tests of the step.

use super::*;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::operation::create_subnet::{CreateSubnetInput, CreateSubnetOutput};
use aws_sdk_ec2::operation::create_tags::CreateTagsOutput;
use aws_sdk_ec2::operation::delete_subnet::DeleteSubnetOutput;
use aws_sdk_ec2::operation::describe_subnets::DescribeSubnetsOutput;
use aws_sdk_ec2::operation::describe_vpcs::DescribeVpcsOutput;
use aws_sdk_ec2::types::SubnetState;
use aws_smithy_mocks::{Rule, mock};
use std::sync::{Arc, Mutex};

use crate::aws::mocks::ec2_refusal;

const VPC: &str = "vpc-1";

/// The subnet that the plan wants, available, with the id `subnet-<role>`.
fn subnet(wanted: &Wanted<'_>) -> Subnet {
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
    let (key, value) = wanted.load_balancer_tag;
    Subnet::builder()
        .subnet_id(format!("subnet-{}", wanted.role))
        .vpc_id(VPC)
        .availability_zone_id(&wanted.zone.id)
        .cidr_block(wanted.cidr.to_string())
        .state(SubnetState::Available)
        .tags(tag("hardway:cluster", "demo"))
        .tags(tag("hardway:role", &wanted.role))
        .tags(tag(key, value))
        .build()
}

/// All six subnets of the example plan.
fn all() -> Vec<Subnet> {
    let plan = Plan::example();
    let zones = plan.network.zones.iter();
    zones
        .flat_map(|zone| {
            [
                subnet(&Wanted::public(zone)),
                subnet(&Wanted::private(zone)),
            ]
        })
        .collect()
}

/// Nothing that is not ours is in the way: there is no VPC to look into.
fn nothing_foreign() -> Rule {
    mock!(Client::describe_vpcs)
        .match_requests(|call| *call.filters() == tags::ec2_filters(&Plan::example().target)[..])
        .then_output(|| DescribeVpcsOutput::builder().build())
}

/// An account: what is in it, and the calls that change it.
struct Account {
    subnets: Rule,
    create: Rule,
    created: Arc<Mutex<Vec<CreateSubnetInput>>>,
    tag: Rule,
    delete: Rule,
}

impl Account {
    fn with(subnets: Vec<Subnet>) -> Self {
        let created = Arc::default();
        Self {
            subnets: mock!(Client::describe_subnets).then_output(move || {
                DescribeSubnetsOutput::builder()
                    .set_subnets(Some(subnets.clone()))
                    .build()
            }),
            create: creates(&created),
            created,
            tag: mock!(Client::create_tags).then_output(|| CreateTagsOutput::builder().build()),
            delete: mock!(Client::delete_subnet)
                .then_output(|| DeleteSubnetOutput::builder().build()),
        }
    }

    /// In which EC2 refuses a new subnet; `in_vpc` are then the subnets of the VPC.
    fn refusing(in_vpc: Vec<Subnet>) -> Self {
        let mut account = Self::with(vec![]);
        account.subnets = mock!(Client::describe_subnets)
            .sequence()
            .output(|| DescribeSubnetsOutput::builder().build())
            .output(move || {
                DescribeSubnetsOutput::builder()
                    .set_subnets(Some(in_vpc.clone()))
                    .build()
            })
            .repeatedly()
            .build();
        account.create = mock!(Client::create_subnet)
            .then_http_response(|| ec2_refusal(codes::SUBNET_CONFLICT, "conflicts"));
        account
    }

    fn aws(&self) -> Aws {
        let rules = [&self.subnets, &self.create, &self.tag, &self.delete];
        let [subnets, create, tag, delete] = rules;
        Aws::offline().with(crate::mocked!(
            aws_sdk_ec2,
            [subnets, create, tag, delete, &nothing_foreign()]
        ))
    }

    async fn ensure(&self) -> Result<Outcome<Output>, Error> {
        let input = Input { vpc_id: VPC.into() };
        Subnets::ensure(&self.aws(), &Plan::example(), input).await
    }

    async fn remove(&self) -> Result<Outcome<Removed>, Error> {
        Subnets::remove(&self.aws(), &Plan::example().target).await
    }

    /// How often it was changed: by CreateSubnet, CreateTags and DeleteSubnet.
    fn changes(&self) -> [usize; 3] {
        [&self.create, &self.tag, &self.delete].map(Rule::num_calls)
    }
}

fn creates(calls: &Arc<Mutex<Vec<CreateSubnetInput>>>) -> Rule {
    let calls = Arc::clone(calls);
    mock!(Client::create_subnet).then_compute_output(move |call| {
        let mut calls = calls.lock().unwrap();
        calls.push(call.clone());
        let subnet = Subnet::builder()
            .subnet_id(format!("subnet-{}", calls.len()))
            .state(SubnetState::Pending);
        CreateSubnetOutput::builder().subnet(subnet.build()).build()
    })
}

#[tokio::test]
async fn creates_a_public_and_a_private_subnet_in_each_zone() {
    let account = Account::with(vec![]);
    let reason = "subnets subnet-1, subnet-2, subnet-3, subnet-4, subnet-5, subnet-6 are pending";
    assert_eq!(account.ensure().await, Ok(Outcome::pending(2, reason)));
    assert_eq!(account.changes(), [6, 0, 0]);

    let created = account.created.lock().unwrap();
    let facts: Vec<_> = created
        .iter()
        .map(|call| {
            let tags = call.tag_specifications()[0].tags();
            (
                call.availability_zone_id().unwrap(),
                call.cidr_block().unwrap(),
                tags::ec2_value(tags, tags::ROLE).unwrap(),
                tags.last().unwrap().key().unwrap(),
            )
        })
        .collect();
    let (elb, internal) = ("kubernetes.io/role/elb", "kubernetes.io/role/internal-elb");
    assert_eq!(
        facts,
        [
            ("apne1-az1", "10.100.128.0/19", "public-apne1-az1", elb),
            ("apne1-az1", "10.100.0.0/19", "private-apne1-az1", internal),
            ("apne1-az2", "10.100.160.0/19", "public-apne1-az2", elb),
            ("apne1-az2", "10.100.32.0/19", "private-apne1-az2", internal),
            ("apne1-az4", "10.100.192.0/19", "public-apne1-az4", elb),
            ("apne1-az4", "10.100.64.0/19", "private-apne1-az4", internal),
        ]
    );
}

#[tokio::test]
async fn adopts_subnets_from_an_earlier_attempt() {
    let account = Account::with(all());
    let output = account.ensure().await.unwrap().ready().unwrap();
    assert_eq!(output.subnets.len(), 3);
    assert_eq!(
        output.subnets[1],
        ZoneSubnets {
            zone_id: "apne1-az2".into(),
            zone_name: "ap-northeast-1d".into(),
            public_subnet_id: "subnet-public-apne1-az2".into(),
            private_subnet_id: "subnet-private-apne1-az2".into(),
        }
    );
    assert_eq!(account.changes(), [0, 0, 0]);
}

#[tokio::test]
async fn creates_only_what_is_missing() {
    let account = Account::with(all()[..5].to_vec());
    let reason = "subnets subnet-1 are pending";
    assert_eq!(account.ensure().await, Ok(Outcome::pending(2, reason)));
    let created = account.created.lock().unwrap();
    assert_eq!(created[0].cidr_block(), Some("10.100.64.0/19"));
    assert_eq!(account.changes(), [1, 0, 0]);
}

#[tokio::test]
async fn puts_back_a_missing_load_balancer_tag() {
    let mut subnets = all();
    subnets[1].tags.as_mut().unwrap().pop();
    let mut account = Account::with(subnets);
    account.tag = mock!(Client::create_tags)
        .match_requests(|call| {
            let tags = call.tags();
            call.resources() == ["subnet-private-apne1-az1"]
                && tags::ec2_value(tags, "kubernetes.io/role/internal-elb") == Some("1")
                && tags.len() == 1
        })
        .then_output(|| CreateTagsOutput::builder().build());
    assert!(account.ensure().await.unwrap().ready().is_some());
    assert_eq!(account.changes(), [0, 1, 0]);
}

#[tokio::test]
async fn refuses_a_subnet_of_ours_with_another_cidr_block_or_zone() {
    for change in [
        (|subnet| subnet.cidr_block = Some("10.100.96.0/19".into())) as fn(&mut Subnet),
        |subnet| subnet.availability_zone_id = Some("apne1-az2".into()),
        |subnet| subnet.vpc_id = Some("vpc-2".into()),
    ] {
        let mut subnets = all();
        change(&mut subnets[0]);
        let account = Account::with(subnets);
        let error = account.ensure().await.unwrap_err();
        assert_eq!(error.name(), "ResourceConflict");
        assert!(error.to_string().contains("subnet-public-apne1-az1"));
        assert_eq!(account.changes(), [0, 0, 0]);
    }
}

#[tokio::test]
async fn refuses_subnet_of_another_cluster() {
    let mut in_the_way = all().remove(0);
    in_the_way.subnet_id = Some("subnet-theirs".into());
    in_the_way.tags = None;
    let account = Account::refusing(vec![in_the_way]);
    let error = account.ensure().await.unwrap_err();
    assert_eq!(error.name(), "ResourceConflict");
    for part in ["subnet-theirs", VPC, "10.100.128.0/19"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    assert_eq!(account.changes(), [0, 0, 0]);
}

#[tokio::test]
async fn a_subnet_whose_answer_was_lost_is_adopted() {
    let account = Account::refusing(all());
    let output = account.ensure().await.unwrap().ready().unwrap();
    assert_eq!(
        output.subnets[0].public_subnet_id,
        "subnet-public-apne1-az1"
    );
}

#[tokio::test]
async fn a_conflict_with_a_subnet_that_cannot_be_seen_yet_is_tried_again() {
    let account = Account::refusing(vec![]);
    assert_eq!(account.ensure().await.unwrap_err().name(), "NotYetVisible");
}

#[tokio::test]
async fn remove_deletes_every_subnet() {
    let account = Account::with(all());
    let removed = account.remove().await.unwrap().ready().unwrap();
    assert_eq!(removed.removed.len(), 6);
    assert_eq!(account.changes(), [0, 0, 6]);
}

#[tokio::test]
async fn remove_of_missing_subnets_succeeds() {
    let account = Account::with(vec![]);
    assert_eq!(
        account.remove().await,
        Ok(Outcome::Ready(Removed::default()))
    );
    assert_eq!(account.changes(), [0, 0, 0]);

    let mut account = Account::with(all());
    account.delete = mock!(Client::delete_subnet)
        .then_http_response(|| ec2_refusal(codes::SUBNET_NOT_FOUND_TOO, "does not exist"));
    assert_eq!(
        account.remove().await,
        Ok(Outcome::Ready(Removed::default()))
    );
}

#[tokio::test]
async fn remove_waits_for_network_interfaces_and_goes_on_with_the_rest() {
    let mut account = Account::with(all());
    account.delete = mock!(Client::delete_subnet).then_http_response(|| {
        ec2_refusal(
            codes::DEPENDENCY_VIOLATION,
            "The subnet has dependencies and cannot be deleted.",
        )
    });
    let Outcome::Pending { reason, .. } = account.remove().await.unwrap() else {
        panic!("not pending");
    };
    assert!(reason.starts_with("subnet-public-apne1-az1 cannot go yet: The subnet has"));
    assert_eq!(account.changes(), [0, 0, 6]);
}
