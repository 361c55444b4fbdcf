//! Unit tests of the step. What it shares with private routes is tested there.

use super::*;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::operation::associate_route_table::AssociateRouteTableOutput;
use aws_sdk_ec2::operation::attach_internet_gateway::AttachInternetGatewayOutput;
use aws_sdk_ec2::operation::create_internet_gateway::CreateInternetGatewayOutput;
use aws_sdk_ec2::operation::create_route::CreateRouteOutput;
use aws_sdk_ec2::operation::create_route_table::CreateRouteTableOutput;
use aws_sdk_ec2::operation::delete_internet_gateway::DeleteInternetGatewayOutput;
use aws_sdk_ec2::operation::delete_route_table::DeleteRouteTableOutput;
use aws_sdk_ec2::operation::describe_internet_gateways::DescribeInternetGatewaysOutput;
use aws_sdk_ec2::operation::describe_route_tables::DescribeRouteTablesOutput;
use aws_sdk_ec2::operation::describe_vpcs::DescribeVpcsOutput;
use aws_sdk_ec2::operation::detach_internet_gateway::DetachInternetGatewayOutput;
use aws_sdk_ec2::operation::disassociate_route_table::DisassociateRouteTableOutput;
use aws_sdk_ec2::operation::replace_route::ReplaceRouteOutput;
use aws_sdk_ec2::types::{
    InternetGateway, InternetGatewayAttachment, Route, RouteState, RouteTable,
    RouteTableAssociation, Tag,
};
use aws_smithy_mocks::{Rule, mock};

use crate::aws::codes;
use crate::aws::mocks::ec2_refusal;
use crate::contract::Resource;
use crate::model::tags;

const VPC: &str = "vpc-1";

fn input() -> Input {
    let zone = |number: u8| ZoneSubnets {
        zone_id: format!("apne1-az{number}"),
        zone_name: format!("ap-northeast-1-{number}"),
        public_subnet_id: format!("subnet-public-{number}"),
        private_subnet_id: format!("subnet-private-{number}"),
    };
    Input {
        vpc_id: VPC.into(),
        subnets: vec![zone(1), zone(2)],
        memory: Memory::default(),
    }
}

/// What is remembered of the gateway `igw-1` after the invocation that created it.
fn new_gateway() -> Memory {
    let mut memory = Memory::default();
    memory.remember("internet-gateway", "igw-1");
    memory
}

fn ours(role: &str) -> Vec<Tag> {
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
    vec![tag(tags::CLUSTER, "demo"), tag(tags::ROLE, role)]
}

fn detached(id: &str) -> InternetGateway {
    InternetGateway::builder()
        .internet_gateway_id(id)
        .set_tags(Some(ours("internet-gateway")))
        .build()
}

fn attached(id: &str, vpc_id: &str) -> InternetGateway {
    let attachment = InternetGatewayAttachment::builder().vpc_id(vpc_id).build();
    let mut gateway = detached(id);
    gateway.attachments = Some(vec![attachment]);
    gateway
}

/// The public route table as the plan wants it, to the gateway `igw-1`.
fn table() -> RouteTable {
    let association = |number: u8| {
        RouteTableAssociation::builder()
            .route_table_association_id(format!("rtbassoc-{number}"))
            .subnet_id(format!("subnet-public-{number}"))
            .build()
    };
    let route = Route::builder()
        .destination_cidr_block("0.0.0.0/0")
        .gateway_id("igw-1")
        .state(RouteState::Active);
    RouteTable::builder()
        .route_table_id("rtb-1")
        .set_tags(Some(ours("public-routes")))
        .routes(route.build())
        .associations(association(1))
        .associations(association(2))
        .build()
}

/// Nothing that is not ours is in the way: there is no VPC to look into.
fn nothing_foreign() -> Rule {
    mock!(Client::describe_vpcs)
        .match_requests(|call| *call.filters() == tags::ec2_filters(&Plan::example().target)[..])
        .then_output(|| DescribeVpcsOutput::builder().build())
}

/// An account: what is in it, and the calls that change it.
struct Account {
    gateways: Rule,
    gateways_of_vpc: Rule,
    gateway_by_id: Rule,
    tables: Rule,
    create: Rule,
    attach: Rule,
    detach: Rule,
    delete: Rule,
    create_table: Rule,
    create_route: Rule,
    replace_route: Rule,
    associate: Rule,
    disassociate: Rule,
    delete_table: Rule,
}

impl Account {
    /// With the gateways of ours that EC2 shows; none is shown as that of the VPC.
    fn with(gateways: Vec<InternetGateway>, table: Vec<RouteTable>) -> Self {
        Self {
            gateways: mock!(Client::describe_internet_gateways)
                .match_requests(|call| {
                    let target = &Plan::example().target;
                    let ours = tags::ec2_filters_for(target, "internet-gateway");
                    // A removal does not ask for the role.
                    [ours, tags::ec2_filters(target)]
                        .iter()
                        .any(|it| call.filters() == it)
                })
                .then_output(move || {
                    DescribeInternetGatewaysOutput::builder()
                        .set_internet_gateways(Some(gateways.clone()))
                        .build()
                }),
            gateways_of_vpc: gateways_by("attachment.vpc-id", VPC, vec![]),
            gateway_by_id: gateways_by("internet-gateway-id", "igw-1", vec![]),
            tables: mock!(Client::describe_route_tables).then_output(move || {
                DescribeRouteTablesOutput::builder()
                    .set_route_tables(Some(table.clone()))
                    .build()
            }),
            create: mock!(Client::create_internet_gateway)
                .match_requests(|call| {
                    let tags = call.tag_specifications()[0].tags();
                    tags::ec2_is(tags, &Plan::example().target, "internet-gateway")
                })
                .then_output(|| {
                    CreateInternetGatewayOutput::builder()
                        .internet_gateway(detached("igw-1"))
                        .build()
                }),
            attach: mock!(Client::attach_internet_gateway)
                .match_requests(|call| {
                    (call.vpc_id(), call.internet_gateway_id()) == (Some(VPC), Some("igw-1"))
                })
                .then_output(|| AttachInternetGatewayOutput::builder().build()),
            detach: mock!(Client::detach_internet_gateway)
                .then_output(|| DetachInternetGatewayOutput::builder().build()),
            delete: mock!(Client::delete_internet_gateway)
                .then_output(|| DeleteInternetGatewayOutput::builder().build()),
            create_table: mock!(Client::create_route_table).then_output(|| {
                let table = RouteTable::builder().route_table_id("rtb-1").build();
                CreateRouteTableOutput::builder().route_table(table).build()
            }),
            create_route: mock!(Client::create_route)
                .match_requests(|call| call.gateway_id() == Some("igw-1"))
                .then_output(|| CreateRouteOutput::builder().build()),
            replace_route: mock!(Client::replace_route)
                .match_requests(|call| call.gateway_id() == Some("igw-1"))
                .then_output(|| ReplaceRouteOutput::builder().build()),
            associate: mock!(Client::associate_route_table)
                .match_requests(|call| {
                    call.subnet_id()
                        .is_some_and(|id| id.starts_with("subnet-public-"))
                })
                .then_output(|| AssociateRouteTableOutput::builder().build()),
            disassociate: mock!(Client::disassociate_route_table)
                .then_output(|| DisassociateRouteTableOutput::builder().build()),
            delete_table: mock!(Client::delete_route_table)
                .then_output(|| DeleteRouteTableOutput::builder().build()),
        }
    }

    fn aws(&self) -> Aws {
        let ec2 = crate::mocked!(
            aws_sdk_ec2,
            [
                &self.gateways,
                &self.gateways_of_vpc,
                &self.gateway_by_id,
                &self.tables,
                &self.create,
                &self.attach,
                &self.detach,
                &self.delete,
                &self.create_table,
                &self.create_route,
                &self.replace_route,
                &self.associate,
                &self.disassociate,
                &self.delete_table,
                &nothing_foreign(),
            ]
        );
        Aws::offline().with(ec2)
    }

    async fn ensure(&self) -> Result<Outcome<Output>, Error> {
        self.ensure_after(Memory::default()).await
    }

    /// An invocation after one that said `memory`.
    async fn ensure_after(&self, memory: Memory) -> Result<Outcome<Output>, Error> {
        let input = Input { memory, ..input() };
        PublicRoutes::ensure(&self.aws(), &Plan::example(), input).await
    }

    async fn remove(&self) -> Result<Outcome<Removed>, Error> {
        PublicRoutes::remove(&self.aws(), &Plan::example().target).await
    }

    /// How often gateways were made, attached, detached and deleted.
    fn gateway_changes(&self) -> [usize; 4] {
        [&self.create, &self.attach, &self.detach, &self.delete].map(Rule::num_calls)
    }

    /// How often tables, routes and associations were made, and routes replaced.
    fn table_changes(&self) -> [usize; 4] {
        [
            &self.create_table,
            &self.create_route,
            &self.associate,
            &self.replace_route,
        ]
        .map(Rule::num_calls)
    }
}

fn gateways_by(name: &'static str, value: &'static str, found: Vec<InternetGateway>) -> Rule {
    mock!(Client::describe_internet_gateways)
        .match_requests(move |call| call.filters() == [tags::ec2_filter(name, value)])
        .then_output(move || {
            DescribeInternetGatewaysOutput::builder()
                .set_internet_gateways(Some(found.clone()))
                .build()
        })
}

fn deletes(id: &'static str) -> Rule {
    mock!(Client::delete_internet_gateway)
        .match_requests(move |call| call.internet_gateway_id() == Some(id))
        .then_output(|| DeleteInternetGatewayOutput::builder().build())
}

fn ready() -> Outcome<Output> {
    Outcome::Ready(Output {
        internet_gateway_id: "igw-1".into(),
        route_table_id: "rtb-1".into(),
        memory: Memory::default(),
    })
}

#[tokio::test]
async fn creates_a_gateway_and_ends_the_invocation_remembering_it() {
    let account = Account::with(vec![], vec![]);
    let created = Outcome::pending(2, "igw-1 is created").remembering(new_gateway());
    assert_eq!(account.ensure().await, Ok(created));
    assert_eq!(account.gateway_changes(), [1, 0, 0, 0]);
    assert_eq!(account.table_changes(), [0, 0, 0, 0]);
}

#[tokio::test]
async fn attaches_a_remembered_gateway_that_is_not_shown_yet_and_creates_the_routes() {
    let account = Account::with(vec![], vec![]);
    assert_eq!(account.ensure_after(new_gateway()).await, Ok(ready()));
    assert_eq!(account.gateway_changes(), [0, 1, 0, 0]);
    assert_eq!(account.table_changes(), [1, 1, 2, 0]);
}

#[tokio::test]
async fn a_remembered_gateway_that_is_shown_is_used() {
    for (found, attachments) in [(detached("igw-1"), 1), (attached("igw-1", VPC), 0)] {
        let account = Account::with(vec![found], vec![table()]);
        assert_eq!(account.ensure_after(new_gateway()).await, Ok(ready()));
        assert_eq!(account.gateway_changes(), [0, attachments, 0, 0]);
    }
}

#[tokio::test]
async fn a_remembered_gateway_that_is_attached_already_is_used_once_that_is_shown() {
    let mut account = Account::with(vec![], vec![table()]);
    let refuses = || ec2_refusal(codes::ALREADY_ASSOCIATED, "already attached");
    account.attach = mock!(Client::attach_internet_gateway).then_http_response(refuses);
    account.gateway_by_id = gateways_by("internet-gateway-id", "igw-1", vec![]);
    let error = account.ensure_after(new_gateway()).await.unwrap_err();
    assert_eq!(error.name(), "NotYetVisible");

    let now = attached("igw-1", VPC);
    account.gateways_of_vpc = gateways_by("attachment.vpc-id", VPC, vec![now.clone()]);
    account.attach = mock!(Client::attach_internet_gateway).then_http_response(refuses);
    account.gateway_by_id = gateways_by("internet-gateway-id", "igw-1", vec![now]);
    assert_eq!(account.ensure_after(new_gateway()).await, Ok(ready()));
    assert_eq!(account.create.num_calls(), 0);
}

#[tokio::test]
async fn adopts_everything_from_an_earlier_attempt() {
    let account = Account::with(vec![attached("igw-1", VPC)], vec![table()]);
    assert_eq!(account.ensure().await, Ok(ready()));
    assert_eq!(account.gateway_changes(), [0, 0, 0, 0]);
    assert_eq!(account.table_changes(), [0, 0, 0, 0]);
}

#[tokio::test]
async fn attaches_a_detached_gateway() {
    let account = Account::with(vec![detached("igw-1")], vec![table()]);
    assert_eq!(account.ensure().await, Ok(ready()));
    assert_eq!(account.gateway_changes(), [0, 1, 0, 0]);
}

#[tokio::test]
async fn replaces_a_black_hole() {
    let mut table = table();
    table.routes.as_mut().unwrap()[0].state = Some(RouteState::Blackhole);
    let account = Account::with(vec![attached("igw-1", VPC)], vec![table]);
    assert_eq!(account.ensure().await, Ok(ready()));
    assert_eq!(account.table_changes(), [0, 0, 0, 1]);
}

#[tokio::test]
async fn a_lost_answers_gateway_is_removed_whenever_it_is_seen() {
    for memory in [Memory::default(), new_gateway()] {
        let found = vec![detached("igw-2"), detached("igw-1")];
        let mut account = Account::with(found, vec![table()]);
        account.delete = deletes("igw-2");
        assert_eq!(account.ensure_after(memory).await, Ok(ready()));
        assert_eq!(account.gateway_changes(), [0, 1, 0, 1]);
    }
}

#[tokio::test]
async fn of_two_gateways_the_attached_one_is_kept() {
    let found = vec![detached("igw-0"), attached("igw-1", VPC)];
    let mut account = Account::with(found, vec![table()]);
    account.delete = deletes("igw-0");
    assert_eq!(account.ensure().await, Ok(ready()));
    assert_eq!(account.gateway_changes(), [0, 0, 0, 1]);
}

#[tokio::test]
async fn another_gateway_of_ours_that_is_attached_is_used_instead_of_a_new_one() {
    let of_ours = attached("igw-1", VPC);
    let mut remembered = Memory::default();
    remembered.remember("internet-gateway", "igw-2");
    for (found, memory, deleted) in [
        (vec![], remembered, 0),
        (vec![detached("igw-2")], Memory::default(), 1),
    ] {
        let mut account = Account::with(found, vec![table()]);
        account.gateways_of_vpc = gateways_by("attachment.vpc-id", VPC, vec![of_ours.clone()]);
        assert_eq!(account.ensure_after(memory).await, Ok(ready()));
        assert_eq!(account.gateway_changes(), [0, 0, 0, deleted]);
        assert_eq!(account.table_changes(), [0, 0, 0, 0]);
    }
}

#[tokio::test]
async fn refuses_a_vpc_with_somebody_elses_gateway() {
    let mut untagged = attached("igw-theirs", VPC);
    untagged.tags = None;
    let mut other_clusters = attached("igw-theirs", VPC);
    other_clusters.tags.as_mut().unwrap()[0].value = Some("other".to_owned());
    for theirs in [untagged, other_clusters] {
        for (found, memory) in [
            (vec![detached("igw-1")], Memory::default()),
            (vec![], new_gateway()),
        ] {
            let mut account = Account::with(found, vec![]);
            account.gateways_of_vpc = gateways_by("attachment.vpc-id", VPC, vec![theirs.clone()]);
            let error = account.ensure_after(memory).await.unwrap_err();
            assert_eq!(error.name(), "ResourceConflict");
            assert!(error.to_string().contains("igw-theirs"), "{error}");
            assert_eq!(account.gateway_changes(), [0, 0, 0, 0]);
            assert_eq!(account.table_changes(), [0, 0, 0, 0]);
        }
    }
}

#[tokio::test]
async fn a_vpc_whose_gateway_is_not_shown_yet_is_looked_at_again() {
    let message = "Network vpc-1 already has an internet gateway attached";
    for (message, expected) in [
        (message, "NotYetVisible"),
        ("Value is invalid", "Unexpected"),
    ] {
        let mut account = Account::with(vec![], vec![]);
        account.attach = mock!(Client::attach_internet_gateway)
            .then_http_response(move || ec2_refusal(codes::INVALID_PARAMETER_VALUE, message));
        let error = account.ensure_after(new_gateway()).await.unwrap_err();
        assert_eq!(error.name(), expected);
        assert_eq!(account.gateway_changes(), [0, 1, 0, 0]);
        assert_eq!(account.table_changes(), [0, 0, 0, 0]);
    }
}

#[tokio::test]
async fn refuses_a_gateway_of_ours_in_another_vpc() {
    let account = Account::with(vec![attached("igw-1", "vpc-2")], vec![]);
    let error = account.ensure().await.unwrap_err();
    assert_eq!(error.name(), "ResourceConflict");
    assert!(error.to_string().contains("vpc-2"), "{error}");
    assert_eq!(account.gateway_changes(), [0, 0, 0, 0]);
}

#[tokio::test]
async fn attached_meanwhile_is_success_only_if_it_is_to_our_vpc() {
    for (vpc_id, expected) in [(VPC, "ok"), ("vpc-2", "ResourceConflict")] {
        let mut account = Account::with(vec![detached("igw-1")], vec![table()]);
        account.attach = mock!(Client::attach_internet_gateway)
            .then_http_response(|| ec2_refusal(codes::ALREADY_ASSOCIATED, "already attached"));
        let now = vec![attached("igw-1", vpc_id)];
        account.gateway_by_id = gateways_by("internet-gateway-id", "igw-1", now);
        let answer = account.ensure().await;
        let actual = answer.as_ref().map_or_else(Error::name, |_| "ok");
        assert_eq!(actual, expected);
    }
}

#[tokio::test]
async fn remove_detaches_and_deletes_the_gateway_then_the_table() {
    let account = Account::with(vec![attached("igw-1", VPC)], vec![table()]);
    let removed = account.remove().await.unwrap().ready().unwrap().removed;
    let kinds: Vec<_> = removed.iter().map(|it| it.kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "AWS::EC2::VPCGatewayAttachment",
            "AWS::EC2::InternetGateway",
            "AWS::EC2::SubnetRouteTableAssociation",
            "AWS::EC2::SubnetRouteTableAssociation",
            "AWS::EC2::RouteTable",
        ]
    );
    assert_eq!(
        removed[1],
        Resource::new("AWS::EC2::InternetGateway", "igw-1")
    );
}

#[tokio::test]
async fn remove_waits_for_public_addresses_and_keeps_the_table_until_then() {
    let mut account = Account::with(vec![attached("igw-1", VPC)], vec![table()]);
    account.detach = mock!(Client::detach_internet_gateway).then_http_response(|| {
        ec2_refusal(
            codes::DEPENDENCY_VIOLATION,
            "Network vpc-1 has some mapped public address(es).",
        )
    });
    let Outcome::Pending { reason, .. } = account.remove().await.unwrap() else {
        panic!("not pending");
    };
    assert!(reason.contains("mapped public address"), "{reason}");
    assert_eq!(account.delete.num_calls(), 0);
    assert_eq!(account.delete_table.num_calls(), 0);
}

#[tokio::test]
async fn remove_of_missing_routes_succeeds() {
    let account = Account::with(vec![], vec![]);
    let nothing = Ok(Outcome::Ready(Removed::default()));
    assert_eq!(account.remove().await, nothing);
    assert_eq!(account.gateway_changes(), [0, 0, 0, 0]);

    let mut account = Account::with(vec![attached("igw-1", VPC)], vec![]);
    account.detach = mock!(Client::detach_internet_gateway)
        .then_http_response(|| ec2_refusal(codes::GATEWAY_NOT_ATTACHED, "not attached"));
    account.delete = mock!(Client::delete_internet_gateway)
        .then_http_response(|| ec2_refusal(codes::INTERNET_GATEWAY_NOT_FOUND, "gone"));
    assert_eq!(account.remove().await, nothing);
}
