//! Unit tests of the step.

use super::*;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::operation::associate_route_table::AssociateRouteTableOutput;
use aws_sdk_ec2::operation::create_route::CreateRouteOutput;
use aws_sdk_ec2::operation::create_route_table::CreateRouteTableOutput;
use aws_sdk_ec2::operation::delete_route_table::DeleteRouteTableOutput;
use aws_sdk_ec2::operation::describe_route_tables::DescribeRouteTablesOutput;
use aws_sdk_ec2::operation::disassociate_route_table::DisassociateRouteTableOutput;
use aws_sdk_ec2::operation::replace_route::ReplaceRouteOutput;
use aws_sdk_ec2::operation::replace_route_table_association::ReplaceRouteTableAssociationOutput;
use aws_sdk_ec2::types::{Route, RouteState, RouteTable, RouteTableAssociation, Tag};
use aws_smithy_mocks::{Rule, mock};
use std::sync::{Arc, Mutex};

use crate::aws::codes;
use crate::aws::mocks::ec2_refusal;
use crate::contract::Resource;
use crate::model::plan::Network;
use crate::model::spec::NatGateways;
use crate::model::tags;

/// A plan with one zone: what happens there happens in each.
fn plan() -> Plan {
    let mut plan = Plan::example();
    plan.network.zones.truncate(1);
    plan
}

fn input(network: &Network) -> Input {
    let id = |prefix: &str, zone: &Zone| format!("{prefix}-{}", zone.id);
    Input {
        vpc_id: "vpc-1".into(),
        subnets: network
            .zones
            .iter()
            .map(|zone| ZoneSubnets {
                zone_id: zone.id.clone(),
                zone_name: zone.name.clone(),
                public_subnet_id: id("public", zone),
                private_subnet_id: id("private", zone),
            })
            .collect(),
        nat_gateways: network
            .nat_zones()
            .iter()
            .map(|zone| ZoneNatGateway {
                zone_id: zone.id.clone(),
                nat_gateway_id: id("nat", zone),
                allocation_id: id("eipalloc", zone),
                public_ip: "203.0.113.1".into(),
            })
            .collect(),
    }
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}

/// A route table with the default route and the association that the plan wants.
fn table(id: &str) -> RouteTable {
    RouteTable::builder()
        .route_table_id(id)
        .tags(tag(tags::CLUSTER, "demo"))
        .tags(tag(tags::ROLE, "private-routes-apne1-az1"))
        .routes(default_route("nat-apne1-az1", RouteState::Active))
        .associations(association("private-apne1-az1"))
        .build()
}

fn default_route(nat_gateway_id: &str, state: RouteState) -> Route {
    Route::builder()
        .destination_cidr_block("0.0.0.0/0")
        .nat_gateway_id(nat_gateway_id)
        .state(state)
        .build()
}

fn association(subnet_id: &str) -> RouteTableAssociation {
    RouteTableAssociation::builder()
        .route_table_association_id(format!("rtbassoc-{subnet_id}"))
        .subnet_id(subnet_id)
        .build()
}

/// An account: its route tables, and the calls that change them.
struct Account {
    tables: Rule,
    create: Rule,
    create_route: Rule,
    replace_route: Rule,
    associate: Rule,
    replace_association: Rule,
    disassociate: Rule,
    delete: Rule,
    /// Next hop of every route made, in order.
    hops: Arc<Mutex<Vec<String>>>,
}

impl Account {
    fn with(tables: Vec<RouteTable>) -> Self {
        let hops = Arc::<Mutex<Vec<String>>>::default();
        let (made, replaced) = (Arc::clone(&hops), Arc::clone(&hops));
        Self {
            tables: mock!(Client::describe_route_tables).then_output(move || {
                DescribeRouteTablesOutput::builder()
                    .set_route_tables(Some(tables.clone()))
                    .build()
            }),
            create: mock!(Client::create_route_table)
                .match_requests(|call| {
                    let tags = call.tag_specifications()[0].tags();
                    let role = tags::ec2_value(tags, tags::ROLE).unwrap();
                    call.client_token().is_some_and(|it| it.len() == 64)
                        && tags::ec2_is(tags, &plan().target, role)
                })
                .then_output(|| {
                    let table = RouteTable::builder().route_table_id("rtb-new").build();
                    CreateRouteTableOutput::builder().route_table(table).build()
                }),
            create_route: mock!(Client::create_route).then_compute_output(move |call| {
                made.lock()
                    .unwrap()
                    .push(call.nat_gateway_id().unwrap().to_owned());
                CreateRouteOutput::builder().build()
            }),
            replace_route: mock!(Client::replace_route).then_compute_output(move |call| {
                replaced
                    .lock()
                    .unwrap()
                    .push(call.nat_gateway_id().unwrap().to_owned());
                ReplaceRouteOutput::builder().build()
            }),
            associate: mock!(Client::associate_route_table)
                .then_output(|| AssociateRouteTableOutput::builder().build()),
            replace_association: mock!(Client::replace_route_table_association)
                .match_requests(|call| call.association_id() == Some("rtbassoc-private-apne1-az1"))
                .then_output(|| ReplaceRouteTableAssociationOutput::builder().build()),
            disassociate: mock!(Client::disassociate_route_table)
                .then_output(|| DisassociateRouteTableOutput::builder().build()),
            delete: mock!(Client::delete_route_table)
                .then_output(|| DeleteRouteTableOutput::builder().build()),
            hops,
        }
    }

    fn aws(&self) -> Aws {
        let ec2 = crate::mocked!(
            aws_sdk_ec2,
            [
                &self.tables,
                &self.create,
                &self.create_route,
                &self.replace_route,
                &self.associate,
                &self.replace_association,
                &self.disassociate,
                &self.delete,
            ]
        );
        Aws::offline().with(ec2)
    }

    async fn ensure(&self, plan: &Plan) -> Result<Outcome<Output>, Error> {
        PrivateRoutes::ensure(&self.aws(), plan, input(&plan.network)).await
    }

    async fn remove(&self) -> Result<Outcome<Removed>, Error> {
        PrivateRoutes::remove(&self.aws(), &plan().target).await
    }

    /// How often it was changed: tables made, routes made and replaced, associations made and replaced.
    fn changes(&self) -> [usize; 5] {
        [
            &self.create,
            &self.create_route,
            &self.replace_route,
            &self.associate,
            &self.replace_association,
        ]
        .map(Rule::num_calls)
    }

    fn hops(&self) -> Vec<String> {
        self.hops.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn each_zone_gets_a_table_to_its_own_nat_gateway() {
    let account = Account::with(vec![]);
    let output = account.ensure(&Plan::example()).await.unwrap();
    let tables = output.ready().unwrap().route_tables;
    let zones: Vec<_> = tables.iter().map(|it| it.zone_id.as_str()).collect();
    assert_eq!(zones, ["apne1-az1", "apne1-az2", "apne1-az4"]);
    assert_eq!(
        account.hops(),
        ["nat-apne1-az1", "nat-apne1-az2", "nat-apne1-az4"]
    );
    assert_eq!(account.changes(), [3, 3, 0, 3, 0]);
}

#[tokio::test]
async fn with_a_single_nat_gateway_every_zone_leads_to_it() {
    let mut plan = Plan::example();
    plan.network.nat_gateways = NatGateways::Single;
    let account = Account::with(vec![]);
    account.ensure(&plan).await.unwrap();
    assert_eq!(account.hops(), ["nat-apne1-az1"; 3]);
}

#[tokio::test]
async fn adopts_a_table_from_an_earlier_attempt() {
    let account = Account::with(vec![table("rtb-1")]);
    let output = account.ensure(&plan()).await.unwrap().ready().unwrap();
    assert_eq!(output.route_tables[0].route_table_id, "rtb-1");
    assert_eq!(account.changes(), [0, 0, 0, 0, 0]);
}

#[tokio::test]
async fn puts_back_a_missing_route_and_association() {
    let mut bare = table("rtb-1");
    (bare.routes, bare.associations) = (None, None);
    let account = Account::with(vec![bare]);
    account.ensure(&plan()).await.unwrap();
    assert_eq!(account.changes(), [0, 1, 0, 1, 0]);
}

#[tokio::test]
async fn replaces_a_route_to_another_gateway_and_a_black_hole() {
    for wrong in [
        default_route("nat-other", RouteState::Active),
        default_route("nat-apne1-az1", RouteState::Blackhole),
    ] {
        let mut table = table("rtb-1");
        table.routes = Some(vec![wrong]);
        let account = Account::with(vec![table]);
        account.ensure(&plan()).await.unwrap();
        assert_eq!(account.hops(), ["nat-apne1-az1"]);
        assert_eq!(account.changes(), [0, 0, 1, 0, 0]);
    }
}

#[tokio::test]
async fn a_route_that_appeared_meanwhile_is_replaced() {
    let mut account = Account::with(vec![]);
    account.create_route = mock!(Client::create_route)
        .then_http_response(|| ec2_refusal(codes::ROUTE_ALREADY_EXISTS, "exists"));
    account.ensure(&plan()).await.unwrap();
    assert_eq!(account.changes(), [1, 1, 1, 1, 0]);
}

#[tokio::test]
async fn a_route_that_is_gone_meanwhile_is_created() {
    let mut wrong = table("rtb-1");
    wrong.routes = Some(vec![default_route("nat-other", RouteState::Active)]);
    let mut account = Account::with(vec![wrong]);
    account.replace_route = mock!(Client::replace_route).then_http_response(|| {
        let message = "There is no route defined for '0.0.0.0/0' in the route table. Use CreateRoute \
                       instead.";
        ec2_refusal(codes::INVALID_PARAMETER_VALUE, message)
    });
    account.ensure(&plan()).await.unwrap();
    assert_eq!(account.hops(), ["nat-apne1-az1"]);
    assert_eq!(account.changes(), [0, 1, 1, 0, 0]);
    // Neither there nor not there: somebody is changing it.
    account.create_route = mock!(Client::create_route)
        .then_http_response(|| ec2_refusal(codes::ROUTE_ALREADY_EXISTS, "exists"));
    let error = account.ensure(&plan()).await.unwrap_err();
    assert_eq!(error.name(), "NotYetVisible");
}

#[tokio::test]
async fn an_attachment_that_cannot_be_seen_yet_is_tried_again() {
    for is_there in [false, true] {
        let mut table = table("rtb-1");
        table.routes = is_there.then(|| vec![default_route("nat-other", RouteState::Active)]);
        let mut account = Account::with(vec![table]);
        let refuse = || {
            let message =
                "route table rtb-1 and network gateway igw-1 belong to different networks";
            ec2_refusal(codes::INVALID_PARAMETER_VALUE, message)
        };
        account.create_route = mock!(Client::create_route).then_http_response(refuse);
        account.replace_route = mock!(Client::replace_route).then_http_response(refuse);
        let error = account.ensure(&plan()).await.unwrap_err();
        assert_eq!(error.name(), "NotYetVisible");
        assert!(error.to_string().contains("different networks"), "{error}");
    }
    let mut account = Account::with(vec![]);
    account.create_route = mock!(Client::create_route)
        .then_http_response(|| ec2_refusal(codes::INVALID_PARAMETER_VALUE, "something else"));
    let error = account.ensure(&plan()).await.unwrap_err();
    assert_eq!(error.name(), "Unexpected");
}

#[tokio::test]
async fn a_token_whose_table_is_deleted_is_followed_by_another() {
    let tokens = Arc::<Mutex<Vec<String>>>::default();
    let seen = Arc::clone(&tokens);
    let mut account = Account::with(vec![]);
    let made = || {
        let table = RouteTable::builder().route_table_id("rtb-new").build();
        CreateRouteTableOutput::builder().route_table(table).build()
    };
    account.create = mock!(Client::create_route_table)
        .match_requests(move |call| {
            let token = call.client_token().unwrap().to_owned();
            seen.lock().unwrap().push(token);
            true
        })
        .sequence()
        .http_response(|| ec2_refusal(codes::IDEMPOTENT_PARAMETER_MISMATCH, "now deleted."))
        .http_response(|| ec2_refusal(codes::IDEMPOTENT_PARAMETER_MISMATCH, "now deleted."))
        .output(made)
        .build();
    account.ensure(&plan()).await.unwrap();
    let mut tokens = tokens.lock().unwrap().clone();
    assert_eq!(tokens.len(), 3);
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), 3, "each attempt has a token of its own");
}

#[tokio::test]
async fn gives_up_when_every_token_is_used() {
    let mut account = Account::with(vec![]);
    account.create = mock!(Client::create_route_table)
        .then_http_response(|| ec2_refusal(codes::IDEMPOTENT_PARAMETER_MISMATCH, "now deleted."));
    let error = account.ensure(&plan()).await.unwrap_err();
    assert_eq!(error.name(), "ResourceFailed");
    assert!(error.to_string().contains("client tokens"), "{error}");
}

#[tokio::test]
async fn of_two_tables_of_one_role_the_used_one_stays() {
    let mut unused = table("rtb-1");
    unused.associations = None;
    let account = Account::with(vec![unused, table("rtb-2")]);
    let output = account.ensure(&plan()).await.unwrap().ready().unwrap();
    assert_eq!(output.route_tables[0].route_table_id, "rtb-2");
    assert_eq!(account.changes(), [0, 0, 0, 0, 0]);
    assert_eq!(account.delete.num_calls(), 1);
}

#[tokio::test]
async fn a_second_table_that_other_subnets_use_stays() {
    let mut other = table("rtb-2");
    other.associations = Some(vec![association("subnet-of-somebody")]);
    let account = Account::with(vec![table("rtb-1"), other]);
    account.ensure(&plan()).await.unwrap();
    assert_eq!(account.delete.num_calls(), 0);
}

#[tokio::test]
async fn moves_the_subnet_from_another_table_of_ours() {
    let mut empty = table("rtb-1");
    empty.associations = None;
    let mut other = table("rtb-2");
    other.tags = Some(vec![
        tag(tags::CLUSTER, "demo"),
        tag(tags::ROLE, "private-routes-apne1-az2"),
    ]);
    let account = Account::with(vec![empty, other]);
    account.ensure(&plan()).await.unwrap();
    assert_eq!(account.changes(), [0, 0, 0, 0, 1]);
}

#[tokio::test]
async fn refuses_a_subnet_that_is_associated_with_a_table_of_others() {
    let mut empty = table("rtb-1");
    empty.associations = None;
    let mut theirs = table("rtb-theirs");
    theirs.tags = None;
    let account = Account::with(vec![empty, theirs]);
    let error = account.ensure(&plan()).await.unwrap_err();
    assert_eq!(error.name(), "ResourceConflict");
    for part in ["rtb-theirs", "private-apne1-az1"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    assert_eq!(account.changes(), [0, 0, 0, 0, 0]);
}

#[tokio::test]
async fn an_association_that_cannot_be_seen_yet_is_tried_again() {
    let mut account = Account::with(vec![]);
    account.associate = mock!(Client::associate_route_table)
        .then_http_response(|| ec2_refusal(codes::ALREADY_ASSOCIATED, "already associated"));
    let error = account.ensure(&plan()).await.unwrap_err();
    assert_eq!(error.name(), "NotYetVisible");
}

#[tokio::test]
async fn a_zone_without_a_nat_gateway_is_refused_before_anything_is_made() {
    let account = Account::with(vec![]);
    let mut input = input(&plan().network);
    input.nat_gateways.clear();
    let answer = PrivateRoutes::ensure(&account.aws(), &plan(), input).await;
    let error = answer.unwrap_err();
    assert_eq!(error.name(), "InvalidRequest");
    assert!(error.to_string().contains("apne1-az1"), "{error}");
    assert_eq!(account.changes(), [0, 0, 0, 0, 0]);
}

#[tokio::test]
async fn remove_disassociates_and_deletes_private_tables_only() {
    let mut public = table("rtb-2");
    public.tags = Some(vec![
        tag(tags::CLUSTER, "demo"),
        tag(tags::ROLE, "public-routes"),
    ]);
    let account = Account::with(vec![table("rtb-1"), public]);
    let removed = account.remove().await.unwrap().ready().unwrap().removed;
    assert_eq!(
        removed,
        [
            Resource::new(
                "AWS::EC2::SubnetRouteTableAssociation",
                "rtbassoc-private-apne1-az1"
            ),
            Resource::new("AWS::EC2::RouteTable", "rtb-1"),
        ]
    );
    assert_eq!(account.delete.num_calls(), 1);
}

#[tokio::test]
async fn remove_of_missing_tables_succeeds() {
    let account = Account::with(vec![]);
    let nothing = Ok(Outcome::Ready(Removed::default()));
    assert_eq!(account.remove().await, nothing);
    assert_eq!(account.delete.num_calls(), 0);

    let mut account = Account::with(vec![table("rtb-1")]);
    account.disassociate = mock!(Client::disassociate_route_table)
        .then_http_response(|| ec2_refusal(codes::ASSOCIATION_NOT_FOUND, "gone"));
    account.delete = mock!(Client::delete_route_table)
        .then_http_response(|| ec2_refusal(codes::ROUTE_TABLE_NOT_FOUND, "gone"));
    assert_eq!(account.remove().await, nothing);
}
