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
use step::mocks::ec2_refusal;
use step::{Resource, codes, tags};

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
    }
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
    /// With the gateways of the first look, then those of every later one.
    fn new(
        first: Vec<InternetGateway>,
        later: Vec<InternetGateway>,
        table: Vec<RouteTable>,
    ) -> Self {
        let output = |gateways: Vec<InternetGateway>| {
            move || {
                DescribeInternetGatewaysOutput::builder()
                    .set_internet_gateways(Some(gateways.clone()))
                    .build()
            }
        };
        Self {
            gateways: mock!(Client::describe_internet_gateways)
                .match_requests(|call| {
                    let ours = tags::ec2_filters_for(&Plan::example().target, "internet-gateway");
                    *call.filters() == ours[..]
                })
                .sequence()
                .output(output(first))
                .output(output(later))
                .repeatedly()
                .build(),
            gateways_of_vpc: gateways_by("attachment.vpc-id", VPC, vec![]),
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

    fn with(gateways: Vec<InternetGateway>, table: Vec<RouteTable>) -> Self {
        Self::new(gateways.clone(), gateways, table)
    }

    fn aws(&self) -> Aws {
        let ec2 = step::mocked!(
            aws_sdk_ec2,
            [
                &self.gateways,
                &self.gateways_of_vpc,
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
        Aws {
            ec2,
            ..Aws::offline()
        }
    }

    async fn ensure(&self) -> Result<Outcome<Output>, Error> {
        PublicRoutes::ensure(&self.aws(), &Plan::example(), input()).await
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

fn ready() -> Outcome<Output> {
    Outcome::Ready(Output {
        internet_gateway_id: "igw-1".into(),
        route_table_id: "rtb-1".into(),
    })
}

#[tokio::test]
async fn creates_gateway_table_route_and_associations() {
    let account = Account::with(vec![], vec![]);
    assert_eq!(account.ensure().await, Ok(ready()));
    assert_eq!(account.gateway_changes(), [1, 1, 0, 0]);
    assert_eq!(account.table_changes(), [1, 1, 2, 0]);
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
async fn a_lost_answers_gateway_is_removed() {
    let found = vec![detached("igw-2"), detached("igw-1")];
    let account = Account::new(vec![], found, vec![table()]);
    assert_eq!(account.ensure().await, Ok(ready()));
    assert_eq!(account.gateway_changes(), [1, 1, 0, 1]);
}

#[tokio::test]
async fn of_two_gateways_the_attached_one_is_kept() {
    let found = vec![detached("igw-0"), attached("igw-1", VPC)];
    let mut account = Account::with(found, vec![table()]);
    account.delete = mock!(Client::delete_internet_gateway)
        .match_requests(|call| call.internet_gateway_id() == Some("igw-0"))
        .then_output(|| DeleteInternetGatewayOutput::builder().build());
    assert_eq!(account.ensure().await, Ok(ready()));
    assert_eq!(account.gateway_changes(), [0, 0, 0, 1]);
}

#[tokio::test]
async fn refuses_a_vpc_with_somebody_elses_gateway() {
    let mut account = Account::with(vec![detached("igw-1")], vec![]);
    let theirs = attached("igw-theirs", VPC);
    account.gateways_of_vpc = gateways_by("attachment.vpc-id", VPC, vec![theirs]);
    let error = account.ensure().await.unwrap_err();
    assert_eq!(error.name(), "ResourceConflict");
    assert!(error.to_string().contains("igw-theirs"), "{error}");
    assert_eq!(account.gateway_changes(), [0, 0, 0, 0]);
    assert_eq!(account.table_changes(), [0, 0, 0, 0]);
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
        let now = gateways_by(
            "internet-gateway-id",
            "igw-1",
            vec![attached("igw-1", vpc_id)],
        );
        let of_vpc = &account.gateways_of_vpc;
        let rules = [
            &account.gateways,
            of_vpc,
            &now,
            &account.attach,
            &account.tables,
        ];
        let [gateways, of_vpc, now, attach, tables] = rules;
        let aws = Aws {
            ec2: step::mocked!(aws_sdk_ec2, [gateways, of_vpc, now, attach, tables]),
            ..Aws::offline()
        };
        let answer = PublicRoutes::ensure(&aws, &Plan::example(), input()).await;
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
