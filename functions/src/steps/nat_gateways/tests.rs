//! Unit tests of the step.

use super::*;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::operation::allocate_address::AllocateAddressOutput;
use aws_sdk_ec2::operation::create_nat_gateway::{CreateNatGatewayInput, CreateNatGatewayOutput};
use aws_sdk_ec2::operation::delete_nat_gateway::DeleteNatGatewayOutput;
use aws_sdk_ec2::operation::describe_addresses::DescribeAddressesOutput;
use aws_sdk_ec2::operation::describe_nat_gateways::DescribeNatGatewaysOutput;
use aws_sdk_ec2::operation::release_address::ReleaseAddressOutput;
use aws_sdk_ec2::types::{Address, NatGateway, NatGatewayAddress, Tag};
use aws_smithy_mocks::{Rule, mock};
use std::sync::{Arc, Mutex};

use crate::aws::codes;
use crate::aws::mocks::ec2_refusal;
use crate::contract::Resource;
use crate::model::names;

/// A plan with one zone: what happens there happens in each.
fn plan() -> Plan {
    let mut plan = Plan::example();
    plan.network.zones.truncate(1);
    plan
}

fn input(plan: &Plan) -> Input {
    let zones = plan.network.zones.iter();
    let subnets = zones.map(|zone| ZoneSubnets {
        zone_id: zone.id.clone(),
        zone_name: zone.name.clone(),
        public_subnet_id: format!("public-{}", zone.id),
        private_subnet_id: format!("private-{}", zone.id),
    });
    Input {
        subnets: subnets.collect(),
        memory: Memory::default(),
    }
}

/// What is remembered of the address of the first zone and, once there is one, its gateway.
fn remembered(allocation_id: &str, gateway_id: Option<&str>) -> Memory {
    let mut memory = Memory::default();
    memory.remember("nat-gateway-apne1-az1", allocation_id);
    if let Some(id) = gateway_id {
        memory.remember("nat-gateway-apne1-az1/gateway", id);
    }
    memory
}

fn ours(zone_id: &str) -> Vec<Tag> {
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
    vec![
        tag(tags::CLUSTER, "demo"),
        tag(tags::ROLE, &format!("nat-gateway-{zone_id}")),
    ]
}

/// A gateway of the first zone, with the address `eipalloc-1`.
fn gateway(id: &str, state: NatGatewayState) -> NatGateway {
    let address = NatGatewayAddress::builder()
        .allocation_id("eipalloc-1")
        .public_ip("203.0.113.1")
        .is_primary(true);
    NatGateway::builder()
        .nat_gateway_id(id)
        .state(state)
        .subnet_id("public-apne1-az1")
        .nat_gateway_addresses(address.build())
        .set_tags(Some(ours("apne1-az1")))
        .build()
}

fn failed(id: &str, code: &str) -> NatGateway {
    let mut gateway = gateway(id, NatGatewayState::Failed);
    gateway.failure_code = Some(code.to_owned());
    gateway.failure_message = Some("as AWS says".to_owned());
    gateway
}

/// An address of the first zone that nothing uses.
fn free(id: &str) -> Address {
    Address::builder()
        .allocation_id(id)
        .set_tags(Some(ours("apne1-az1")))
        .build()
}

/// An address of the first zone that a network interface uses.
fn used(id: &str) -> Address {
    let mut address = free(id);
    address.association_id = Some("eipassoc-1".to_owned());
    address.network_interface_id = Some("eni-1".to_owned());
    address
}

/// An account: what is in it, and the calls that change it.
struct Account {
    gateways: Rule,
    addresses: Rule,
    allocate: Rule,
    release: Rule,
    create: Rule,
    delete: Rule,
    created: Arc<Mutex<Vec<CreateNatGatewayInput>>>,
    deleted: Arc<Mutex<Vec<String>>>,
    released: Arc<Mutex<Vec<String>>>,
}

impl Account {
    /// New gateways are pending, with the ids `nat-new-1`, `nat-new-2`…
    fn with(gateways: Vec<NatGateway>, addresses: Vec<Address>) -> Self {
        let (created, deleted, released) = (Arc::default(), Arc::default(), Arc::default());
        Self {
            gateways: mock!(Client::describe_nat_gateways).then_output(move || {
                DescribeNatGatewaysOutput::builder()
                    .set_nat_gateways(Some(gateways.clone()))
                    .build()
            }),
            addresses: mock!(Client::describe_addresses).then_output(move || {
                DescribeAddressesOutput::builder()
                    .set_addresses(Some(addresses.clone()))
                    .build()
            }),
            allocate: mock!(Client::allocate_address).then_output(|| {
                AllocateAddressOutput::builder()
                    .allocation_id("eipalloc-new")
                    .build()
            }),
            release: releases(&released),
            create: creates(&created, vec![]),
            delete: deletes(&deleted),
            created,
            deleted,
            released,
        }
    }

    fn aws(&self) -> Aws {
        let ec2 = crate::mocked!(
            aws_sdk_ec2,
            [
                &self.gateways,
                &self.addresses,
                &self.allocate,
                &self.release,
                &self.create,
                &self.delete,
            ]
        );
        Aws::offline().with(ec2)
    }

    async fn ensure(&self) -> Result<Outcome<Output>, Error> {
        self.ensure_after(Memory::default()).await
    }

    /// An invocation after one that said `memory`.
    async fn ensure_after(&self, memory: Memory) -> Result<Outcome<Output>, Error> {
        self.ensure_plan(&plan(), memory).await
    }

    async fn ensure_plan(&self, plan: &Plan, memory: Memory) -> Result<Outcome<Output>, Error> {
        let input = Input {
            memory,
            ..input(plan)
        };
        NatGateways::ensure(&self.aws(), plan, input).await
    }

    async fn remove(&self) -> Result<Outcome<Removed>, Error> {
        NatGateways::remove(&self.aws(), &plan().target).await
    }

    /// How often it was changed: addresses allocated and released, gateways created and deleted.
    fn changes(&self) -> [usize; 4] {
        [&self.allocate, &self.release, &self.create, &self.delete].map(Rule::num_calls)
    }

    fn tokens(&self) -> Vec<String> {
        let created = self.created.lock().unwrap();
        let tokens = created.iter().map(|it| it.client_token().unwrap());
        tokens.map(str::to_owned).collect()
    }
}

/// Answers with `replayed` first, as EC2 does for tokens that it remembers, then with new gateways.
fn creates(calls: &Arc<Mutex<Vec<CreateNatGatewayInput>>>, replayed: Vec<NatGateway>) -> Rule {
    let calls = Arc::clone(calls);
    mock!(Client::create_nat_gateway).then_compute_output(move |call| {
        let mut calls = calls.lock().unwrap();
        calls.push(call.clone());
        let new = || {
            gateway(
                &format!("nat-new-{}", calls.len()),
                NatGatewayState::Pending,
            )
        };
        let gateway = replayed.get(calls.len() - 1).cloned().unwrap_or_else(new);
        CreateNatGatewayOutput::builder()
            .nat_gateway(gateway)
            .build()
    })
}

fn deletes(ids: &Arc<Mutex<Vec<String>>>) -> Rule {
    let ids = Arc::clone(ids);
    mock!(Client::delete_nat_gateway).then_compute_output(move |call| {
        ids.lock().unwrap().extend(call.nat_gateway_id.clone());
        DeleteNatGatewayOutput::builder().build()
    })
}

fn releases(ids: &Arc<Mutex<Vec<String>>>) -> Rule {
    let ids = Arc::clone(ids);
    mock!(Client::release_address).then_compute_output(move |call| {
        ids.lock().unwrap().extend(call.allocation_id.clone());
        ReleaseAddressOutput::builder().build()
    })
}

/// The token of an attempt in the first zone.
fn token(allocation_id: &str, attempt: &str) -> String {
    let parts = ["nat-gateway", "public-apne1-az1", allocation_id, attempt];
    names::client_token(&plan().target, parts)
}

/// What the next invocation should know.
fn memory(outcome: Result<Outcome<Output>, Error>) -> Memory {
    match outcome.unwrap() {
        Outcome::Pending { memory, .. } => memory,
        ready @ Outcome::Ready(_) => panic!("not pending: {ready:?}"),
    }
}

fn reason<T: std::fmt::Debug>(outcome: Result<Outcome<T>, Error>) -> String {
    match outcome.unwrap() {
        Outcome::Pending { reason, .. } => reason,
        ready @ Outcome::Ready(_) => panic!("not pending: {ready:?}"),
    }
}

#[tokio::test]
async fn allocates_an_address_and_ends_the_invocation_remembering_it() {
    let account = Account::with(vec![], vec![]);
    let allocated = Outcome::pending(2, "eipalloc-new is allocated");
    let allocated = allocated.remembering(remembered("eipalloc-new", None));
    assert_eq!(account.ensure().await, Ok(allocated));
    assert_eq!(account.changes(), [1, 0, 0, 0]);
}

#[tokio::test]
async fn creates_a_gateway_with_a_remembered_address_that_is_not_shown_yet() {
    let account = Account::with(vec![], vec![]);
    let answer = account.ensure_after(remembered("eipalloc-9", None)).await;
    let pending = Outcome::pending(15, "NAT gateway in apne1-az1 is pending");
    let pending = pending.remembering(remembered("eipalloc-9", Some("nat-new-1")));
    assert_eq!(answer, Ok(pending));
    assert_eq!(account.changes(), [0, 0, 1, 0]);
    assert_eq!(account.tokens(), [token("eipalloc-9", "0")]);
}

#[tokio::test]
async fn a_remembered_gateway_that_is_not_shown_yet_is_not_created_again() {
    let known = remembered("eipalloc-1", Some("nat-1"));
    for addresses in [vec![], vec![free("eipalloc-1")], vec![used("eipalloc-1")]] {
        let account = Account::with(vec![], addresses);
        let expected = "NAT gateway in apne1-az1 is pending; EC2 does not show nat-1 yet";
        let expected = Outcome::pending(15, expected).remembering(known.clone());
        assert_eq!(account.ensure_after(known.clone()).await, Ok(expected));
        assert_eq!(account.changes(), [0, 0, 0, 0]);
    }
}

#[tokio::test]
async fn a_remembered_gateway_that_failed_is_replaced() {
    let found = failed("nat-1", "InternalError");
    let account = Account::with(vec![found], vec![free("eipalloc-1")]);
    let known = remembered("eipalloc-1", Some("nat-1"));
    let now = memory(account.ensure_after(known).await);
    assert_eq!(now, remembered("eipalloc-1", Some("nat-new-1")));
    assert_eq!(*account.deleted.lock().unwrap(), ["nat-1"]);
    assert_eq!(account.tokens(), [token("eipalloc-1", "1")]);

    assert_eq!(memory(account.ensure_after(now.clone()).await), now);
    assert_eq!(account.create.num_calls(), 1);
}

#[tokio::test]
async fn only_what_was_created_in_this_execution_is_new() {
    let found = gateway("nat-1", NatGatewayState::Available);
    for (memory, is_new) in [
        (Memory::default(), false),
        (remembered("eipalloc-1", None), true),
        (remembered("eipalloc-1", Some("nat-1")), true),
    ] {
        let account = Account::with(vec![found.clone()], vec![used("eipalloc-1")]);
        let output = account.ensure_after(memory).await.unwrap().ready().unwrap();
        assert_eq!(output.is_new, is_new);
        assert!(output.memory.is_empty());
        assert_eq!(account.changes(), [0, 0, 0, 0]);
    }
}

#[tokio::test]
async fn creates_an_address_and_a_gateway_in_each_zone_with_one_address_at_each_invocation() {
    let (account, plan) = (Account::with(vec![], vec![]), Plan::example());
    let mut known = Memory::default();
    for changes in [[1, 0, 0, 0], [2, 0, 1, 0], [3, 0, 2, 0]] {
        let answer = account.ensure_plan(&plan, known).await.unwrap();
        assert_eq!(account.changes(), changes);
        known = memory(Ok(answer));
    }
    let answer = account.ensure_plan(&plan, known).await;
    let shown = "EC2 does not show nat-new-1 yet; EC2 does not show nat-new-2 yet";
    let pending = "NAT gateways in apne1-az1, apne1-az2, apne1-az4 are pending";
    known = memory(answer.clone());
    assert_eq!(reason(answer), format!("{pending}; {shown}"));
    assert_eq!(known.created.len(), 6);
    assert_eq!(account.changes(), [3, 0, 3, 0]);
    assert_eq!(
        memory(account.ensure_plan(&plan, known.clone()).await),
        known
    );
    assert_eq!(account.changes(), [3, 0, 3, 0]);
    let created = account.created.lock().unwrap();
    let subnets: Vec<_> = created.iter().filter_map(|it| it.subnet_id()).collect();
    let public = ["public-apne1-az1", "public-apne1-az2", "public-apne1-az4"];
    assert_eq!(subnets, public);
}

#[tokio::test]
async fn a_single_gateway_is_in_the_first_zone() {
    let mut plan = Plan::example();
    plan.network.nat_gateways = crate::model::spec::NatGateways::Single;
    let account = Account::with(vec![], vec![]);
    let known = memory(account.ensure_plan(&plan, Memory::default()).await);
    let expected = "NAT gateway in apne1-az1 is pending";
    assert_eq!(reason(account.ensure_plan(&plan, known).await), expected);
    assert_eq!(account.changes(), [1, 0, 1, 0]);
    assert_eq!(account.tokens(), [token("eipalloc-new", "0")]);
}

#[tokio::test]
async fn gateways_of_other_zones_stay_when_a_single_one_is_wanted() {
    let mut plan = Plan::example();
    plan.network.nat_gateways = crate::model::spec::NatGateways::Single;
    let mut second = gateway("nat-2", NatGatewayState::Available);
    second.tags = Some(ours("apne1-az2"));
    let first = gateway("nat-1", NatGatewayState::Available);
    let account = Account::with(vec![first, second], vec![used("eipalloc-1")]);
    let answer = account.ensure_plan(&plan, Memory::default()).await;
    let output = answer.unwrap().ready().unwrap();
    assert_eq!(output.nat_gateways.len(), 1);
    assert_eq!(account.changes(), [0, 0, 0, 0]);
}

#[tokio::test]
async fn adopts_an_available_gateway() {
    let found = gateway("nat-1", NatGatewayState::Available);
    let account = Account::with(vec![found], vec![used("eipalloc-1")]);
    let output = account.ensure().await.unwrap().ready().unwrap();
    let expected = ZoneNatGateway {
        zone_id: "apne1-az1".into(),
        nat_gateway_id: "nat-1".into(),
        allocation_id: "eipalloc-1".into(),
        public_ip: "203.0.113.1".into(),
    };
    assert_eq!(output.nat_gateways, [expected]);
    assert_eq!(account.changes(), [0, 0, 0, 0]);
}

#[tokio::test]
async fn waits_for_a_pending_gateway_without_touching_it() {
    let found = gateway("nat-1", NatGatewayState::Pending);
    let account = Account::with(vec![found], vec![free("eipalloc-1")]);
    let expected = "NAT gateway in apne1-az1 is pending";
    assert_eq!(reason(account.ensure().await), expected);
    assert_eq!(account.changes(), [0, 0, 0, 0]);
}

#[tokio::test]
async fn reuses_an_address_and_releases_the_surplus_of_a_lost_answer() {
    for (known, kept, surplus) in [
        (Memory::default(), "eipalloc-1", "eipalloc-2"),
        (remembered("eipalloc-2", None), "eipalloc-2", "eipalloc-1"),
    ] {
        let account = Account::with(vec![], vec![free("eipalloc-2"), free("eipalloc-1")]);
        reason(account.ensure_after(known).await);
        assert_eq!(account.changes(), [0, 1, 1, 0]);
        assert_eq!(*account.released.lock().unwrap(), [surplus]);
        let created = account.created.lock().unwrap();
        assert_eq!(created[0].allocation_id(), Some(kept));
    }
}

#[tokio::test]
async fn a_surplus_address_beside_a_gateway_is_released() {
    let found = gateway("nat-1", NatGatewayState::Available);
    let addresses = vec![free("eipalloc-0"), used("eipalloc-1")];
    let account = Account::with(vec![found], addresses);
    assert!(account.ensure().await.unwrap().ready().is_some());
    assert_eq!(*account.released.lock().unwrap(), ["eipalloc-0"]);
    assert_eq!(account.changes(), [0, 1, 0, 0]);
}

#[tokio::test]
async fn a_failed_gateway_is_replaced_with_its_address_and_another_token() {
    let found = failed("nat-1", "Gateway.NotAttached");
    let account = Account::with(vec![found], vec![free("eipalloc-1")]);
    let reason = reason(account.ensure().await);
    assert!(
        reason.contains("nat-1 failed: Gateway.NotAttached: as AWS says"),
        "{reason}"
    );
    assert_eq!(*account.deleted.lock().unwrap(), ["nat-1"]);
    assert_eq!(account.tokens(), [token("eipalloc-1", "1")]);
    assert_eq!(account.changes(), [0, 0, 1, 1]);
}

#[tokio::test]
async fn a_replayed_dead_gateway_is_answered_with_the_next_token() {
    let mut account = Account::with(vec![], vec![free("eipalloc-1")]);
    let dead = gateway("nat-old", NatGatewayState::Deleted);
    account.create = creates(&account.created, vec![dead]);
    reason(account.ensure().await);
    let tokens = [token("eipalloc-1", "0"), token("eipalloc-1", "1")];
    assert_eq!(account.tokens(), tokens);
}

#[tokio::test]
async fn gives_up_when_every_token_answers_with_a_dead_gateway() {
    let mut account = Account::with(vec![], vec![free("eipalloc-1")]);
    let dead = vec![gateway("nat-old", NatGatewayState::Failed); 9];
    account.create = creates(&account.created, dead);
    assert_eq!(account.ensure().await.unwrap_err().name(), "ResourceFailed");
    assert_eq!(account.changes(), [0, 0, 5, 0]);
}

#[tokio::test]
async fn a_token_that_was_used_with_other_parameters_is_not_used_again() {
    let mut account = Account::with(vec![], vec![free("eipalloc-1")]);
    account.create = mock!(Client::create_nat_gateway)
        .sequence()
        .http_response(|| ec2_refusal(codes::IDEMPOTENT_PARAMETER_MISMATCH, "mismatch"))
        .output(|| {
            CreateNatGatewayOutput::builder()
                .nat_gateway(gateway("nat-1", NatGatewayState::Pending))
                .build()
        })
        .build();
    reason(account.ensure().await);
    assert_eq!(account.changes(), [0, 0, 2, 0]);
}

#[tokio::test]
async fn a_full_subnet_is_reported_after_the_failed_gateway_is_deleted() {
    let found = failed("nat-1", "InsufficientFreeAddressesInSubnet");
    let account = Account::with(vec![found], vec![free("eipalloc-1")]);
    let error = account.ensure().await.unwrap_err();
    assert_eq!(error.name(), "ResourceFailed");
    assert!(
        error
            .to_string()
            .contains("InsufficientFreeAddressesInSubnet")
    );
    assert_eq!(account.changes(), [0, 0, 0, 1]);
}

#[tokio::test]
async fn gives_up_after_too_many_failures() {
    let failures = ["nat-1", "nat-2", "nat-3", "nat-4"].map(|id| failed(id, "InternalError"));
    let account = Account::with(failures.to_vec(), vec![free("eipalloc-1")]);
    let error = account.ensure().await.unwrap_err();
    assert_eq!(error.name(), "ResourceFailed");
    assert!(
        error.to_string().contains("InternalError: as AWS says"),
        "{error}"
    );
    assert_eq!(account.changes(), [0, 0, 0, 4]);
}

#[tokio::test]
async fn waits_for_a_dying_gateway_to_let_go_of_the_address() {
    let dying = gateway("nat-1", NatGatewayState::Deleting);
    let account = Account::with(vec![dying], vec![used("eipalloc-1")]);
    let reason = reason(account.ensure().await);
    assert!(
        reason.contains("eipalloc-1 is still held by nat-1"),
        "{reason}"
    );
    assert_eq!(account.changes(), [0, 0, 0, 0]);
}

#[tokio::test]
async fn an_address_that_something_unknown_uses_waits_for_it_to_be_shown() {
    let account = Account::with(vec![], vec![used("eipalloc-1")]);
    let error = account.ensure().await.unwrap_err();
    assert_eq!(error.name(), "NotYetVisible");
    assert!(error.to_string().contains("eni-1"), "{error}");
    assert_eq!(account.changes(), [0, 0, 0, 0]);
}

#[tokio::test]
async fn refuses_a_gateway_in_another_subnet() {
    let mut elsewhere = gateway("nat-1", NatGatewayState::Available);
    elsewhere.subnet_id = Some("private-apne1-az1".to_owned());
    let account = Account::with(vec![elsewhere], vec![]);
    assert_eq!(
        account.ensure().await.unwrap_err().name(),
        "ResourceConflict"
    );
    assert_eq!(account.changes(), [0, 0, 0, 0]);
}

#[tokio::test]
async fn of_two_live_gateways_the_available_one_is_kept() {
    let pending = gateway("nat-0", NatGatewayState::Pending);
    let available = gateway("nat-1", NatGatewayState::Available);
    let account = Account::with(vec![pending, available], vec![used("eipalloc-1")]);
    let output = account.ensure().await.unwrap().ready().unwrap();
    assert_eq!(output.nat_gateways[0].nat_gateway_id, "nat-1");
    assert_eq!(*account.deleted.lock().unwrap(), ["nat-0"]);
}

#[tokio::test]
async fn remove_deletes_gateways_first_and_waits_for_them() {
    let found = gateway("nat-1", NatGatewayState::Available);
    let account = Account::with(vec![found], vec![used("eipalloc-1")]);
    assert_eq!(
        reason(account.remove().await),
        "NAT gateways being deleted: nat-1"
    );
    assert_eq!(account.changes(), [0, 0, 0, 1]);

    let found = gateway("nat-1", NatGatewayState::Deleting);
    let account = Account::with(vec![found], vec![used("eipalloc-1")]);
    reason(account.remove().await);
    assert_eq!(account.changes(), [0, 0, 0, 0]);
}

#[tokio::test]
async fn remove_releases_addresses_of_deleted_gateways() {
    let found = gateway("nat-1", NatGatewayState::Deleted);
    let account = Account::with(vec![found], vec![free("eipalloc-1")]);
    let removed = account.remove().await.unwrap().ready().unwrap().removed;
    assert_eq!(removed, [Resource::new("AWS::EC2::EIP", "eipalloc-1")]);
    assert_eq!(account.changes(), [0, 1, 0, 0]);
}

#[tokio::test]
async fn remove_waits_for_an_address_in_use() {
    let mut account = Account::with(vec![], vec![used("eipalloc-1")]);
    account.release = mock!(Client::release_address)
        .then_http_response(|| ec2_refusal(codes::ADDRESS_IN_USE, "in use"));
    assert_eq!(
        reason(account.remove().await),
        "eipalloc-1 cannot go yet: in use"
    );
}

#[tokio::test]
async fn an_address_that_is_released_or_in_use_is_no_missing_permission() {
    let nothing = Ok(Outcome::Ready(Removed::default()));
    for later in [vec![], vec![used("eipalloc-1")], vec![free("eipalloc-1")]] {
        let is_there = !later.is_empty();
        let mut account = Account::with(vec![], vec![]);
        account.addresses = mock!(Client::describe_addresses)
            .sequence()
            .output(|| {
                DescribeAddressesOutput::builder()
                    .addresses(free("eipalloc-1"))
                    .build()
            })
            .output(move || {
                DescribeAddressesOutput::builder()
                    .set_addresses(Some(later.clone()))
                    .build()
            })
            .build();
        account.release = mock!(Client::release_address)
            .then_http_response(|| ec2_refusal(codes::AUTH_FAILURE, "does not belong to you"));
        let answer = account.remove().await;
        if is_there {
            let reason = reason(answer);
            assert!(reason.starts_with("eipalloc-1 is still in use"), "{reason}");
        } else {
            assert_eq!(answer, nothing);
        }
    }
}

#[tokio::test]
async fn a_missing_permission_to_release_an_address_is_not_waited_for() {
    let mut account = Account::with(vec![], vec![free("eipalloc-1")]);
    account.release = mock!(Client::release_address)
        .then_http_response(|| ec2_refusal("UnauthorizedOperation", "not authorized"));
    assert_eq!(account.remove().await.unwrap_err().name(), "AccessDenied");
}

#[tokio::test]
async fn a_zone_without_nat_gateways_is_named_with_the_field_that_avoids_it() {
    let mut account = Account::with(vec![], vec![free("eipalloc-1")]);
    account.create = mock!(Client::create_nat_gateway).then_http_response(|| {
        let message = "Nat Gateway is not available in this availability zone";
        ec2_refusal(codes::NOT_AVAILABLE_IN_ZONE, message)
    });
    let error = account.ensure().await.unwrap_err();
    assert_eq!(error.name(), "InvalidRequest");
    let text = error.to_string();
    assert!(
        text.contains("network.excludedAvailabilityZoneIds"),
        "{text}"
    );
    assert!(text.contains("other than apne1-az1,"), "{text}");
}

#[tokio::test]
async fn a_surplus_address_that_is_released_already_is_no_missing_permission() {
    let kept = used("eipalloc-1");
    for is_shown in [false, true] {
        let found = gateway("nat-1", NatGatewayState::Available);
        let mut account = Account::with(vec![found], vec![]);
        let answer = |addresses: Vec<Address>| {
            move || {
                DescribeAddressesOutput::builder()
                    .set_addresses(Some(addresses.clone()))
                    .build()
            }
        };
        let before = vec![kept.clone(), free("eipalloc-2")];
        let mut later = before.clone();
        later.truncate(if is_shown { 2 } else { 1 });
        account.addresses = mock!(Client::describe_addresses)
            .sequence()
            .output(answer(before))
            .output(answer(later))
            .build();
        account.release = mock!(Client::release_address)
            .then_http_response(|| ec2_refusal(codes::AUTH_FAILURE, "does not belong to you"));
        account.ensure().await.unwrap();
        assert_eq!(account.addresses.num_calls(), 2);
    }
}

#[tokio::test]
async fn remove_of_missing_gateways_succeeds() {
    let account = Account::with(vec![], vec![]);
    let nothing = Ok(Outcome::Ready(Removed::default()));
    assert_eq!(account.remove().await, nothing);
    assert_eq!(account.changes(), [0, 0, 0, 0]);
}
