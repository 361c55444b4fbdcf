//! Routes.

use ipnet::Ipv4Net;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::kind::{INTERNET_GATEWAY, NAT_GATEWAY, ROUTE_TABLE};
use super::nat_gateway::State;
use super::request::Request;
use super::route_table::RouteTable;
use super::{Ec2, yes};
use crate::api_error::ApiError;
use crate::xml::Element;

/// A route of a route table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Where the traffic wants to go.
    pub destination: Ipv4Net,
    /// Where it is sent.
    pub target: Target,
}

/// Where a route sends traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// Within the VPC.
    Local,
    /// An internet gateway, by id.
    InternetGateway(String),
    /// A NAT gateway, by id.
    NatGateway(String),
    /// A transit gateway, by id: a way into another network. No operation here makes it.
    TransitGateway(String),
}

impl Route {
    /// The route that every table has.
    pub(super) fn local(destination: Ipv4Net) -> Self {
        let target = Target::Local;
        Self {
            destination,
            target,
        }
    }

    /// botocore's EC2 model, Route.State: a black hole if the target is not available, for example a
    /// gateway that is not attached to the VPC.
    fn is_black_hole(&self, ec2: &Ec2, vpc_id: &str, now: Timestamp) -> bool {
        match &self.target {
            Target::Local | Target::TransitGateway(_) => false,
            Target::InternetGateway(id) => {
                let gateway = ec2.internet_gateways.get(id);
                gateway.is_none_or(|gateway| gateway.vpc_id.as_deref() != Some(vpc_id))
            }
            Target::NatGateway(id) => {
                let gateway = ec2.nat_gateways.get(id);
                gateway.is_none_or(|gateway| !gateway.exists(now))
            }
        }
    }

    fn state(&self, ec2: &Ec2, vpc_id: &str, now: Timestamp) -> &'static str {
        if self.is_black_hole(ec2, vpc_id, now) {
            "blackhole"
        } else {
            "active"
        }
    }

    fn origin(&self) -> &'static str {
        match self.target {
            Target::Local => "CreateRouteTable",
            _ => "CreateRoute",
        }
    }

    /// Its value for a filter of DescribeRouteTables that starts with `route.`.
    pub(super) fn attribute(
        &self,
        name: &str,
        ec2: &Ec2,
        vpc_id: &str,
        now: Timestamp,
    ) -> Option<String> {
        match (name, &self.target) {
            ("route.destination-cidr-block", _) => Some(self.destination.to_string()),
            ("route.origin", _) => Some(self.origin().to_owned()),
            ("route.state", _) => Some(self.state(ec2, vpc_id, now).to_owned()),
            ("route.gateway-id", Target::Local) => Some("local".to_owned()),
            ("route.gateway-id", Target::InternetGateway(id))
            | ("route.nat-gateway-id", Target::NatGateway(id))
            | ("route.transit-gateway-id", Target::TransitGateway(id)) => Some(id.clone()),
            _ => None,
        }
    }

    pub(super) fn content(&self, ec2: &Ec2, vpc_id: &str, now: Timestamp) -> Vec<Element> {
        let target = match &self.target {
            Target::Local => Element::text("gatewayId", "local"),
            Target::InternetGateway(id) => Element::text("gatewayId", id),
            Target::NatGateway(id) => Element::text("natGatewayId", id),
            Target::TransitGateway(id) => Element::text("transitGatewayId", id),
        };
        vec![
            Element::text("destinationCidrBlock", self.destination),
            target,
            Element::text("state", self.state(ec2, vpc_id, now)),
            Element::text("origin", self.origin()),
        ]
    }
}

/// `CreateRoute`.
pub(super) fn create(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let (table, destination) = table_and_destination(ec2, request)?;
    let target = target(ec2, request, table)?;
    let mut routes = table.routes.iter();
    if let Some(route) = routes.find(|it| it.destination == destination) {
        // The same route again is no error (captured: radkawar/stackd, testdata/aws/ec2/networking.json).
        if route.target == target {
            return Ok(yes());
        }
        let message = format!("The route identified by {destination} already exists.");
        return Err(ApiError::client("RouteAlreadyExists", message));
    }
    check_destination(table, destination)?;
    let table_id = table.id.clone();
    if let Some(table) = ec2.route_tables.get_mut(&table_id) {
        table.routes.push(Route {
            destination,
            target,
        });
    }
    Ok(yes())
}

/// `ReplaceRoute`.
pub(super) fn replace(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    request.refuse_unmodelled(&["LocalTarget"])?;
    let (table, destination) = table_and_destination(ec2, request)?;
    let target = target(ec2, request, table)?;
    check_destination(table, destination)?;
    let table_id = table.id.clone();
    let route = ec2.route_tables.get_mut(&table_id).and_then(|table| {
        let mut routes = table.routes.iter_mut();
        routes.find(|route| route.destination == destination)
    });
    // Against its own list of codes EC2 does not say InvalidRoute.NotFound here (moto's pull request
    // 6425, tried against AWS).
    let Some(route) = route else {
        let message = format!(
            "There is no route defined for '{destination}' in the route table. Use CreateRoute \
             instead."
        );
        return Err(ApiError::client("InvalidParameterValue", message));
    };
    route.target = target;
    Ok(yes())
}

/// `DeleteRoute`. A route of a table that is gone is what is missing, not the table (captured:
/// radkawar/stackd, testdata/aws/ec2/internet_gateways.json).
pub(super) fn delete(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let found = table_and_destination(ec2, request);
    let (table, destination) = found.map_err(|error| {
        if error.code != ROUTE_TABLE.not_found {
            return error;
        }
        let [destination, table_id] = ["DestinationCidrBlock", "RouteTableId"]
            .map(|name| request.get(name).unwrap_or_default());
        no_route(destination, table_id)
    })?;
    let table_id = table.id.clone();
    let Some(route) = table.routes.iter().find(|it| it.destination == destination) else {
        return Err(no_route(&destination.to_string(), &table_id));
    };
    if route.target == Target::Local {
        let message = format!("cannot remove local route {destination} in route table {table_id}");
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    if let Some(table) = ec2.route_tables.get_mut(&table_id) {
        table.routes.retain(|it| it.destination != destination);
    }
    Ok(yes())
}

/// EC2 API reference, error codes.
fn no_route(destination: &str, table_id: &str) -> ApiError {
    let message =
        format!("no route with destination-cidr-block {destination} in route table {table_id}");
    ApiError::client("InvalidRoute.NotFound", message)
}

fn table_and_destination<'a>(
    ec2: &'a Ec2,
    request: &Request<'_>,
) -> Result<(&'a RouteTable, Ipv4Net), ApiError> {
    // Captured: radkawar/stackd, testdata/aws/ec2/internet_gateways.json.
    check_one(
        request,
        &[
            "DestinationCidrBlock",
            "DestinationIpv6CidrBlock",
            "DestinationPrefixListId",
        ],
        "destination",
    )?;
    request.refuse_unmodelled(&["DestinationIpv6CidrBlock", "DestinationPrefixListId"])?;
    let table_id = request.id("RouteTableId", &ROUTE_TABLE)?;
    let table = ec2.look_up(&ec2.route_tables, &ROUTE_TABLE, table_id)?;
    Ok((table, request.cidr("DestinationCidrBlock")?))
}

/// Traffic within the VPC stays there: its block belongs to the local route, and gateways to the
/// outside cannot have parts of it (VPC user guide, route tables).
fn check_destination(table: &RouteTable, destination: Ipv4Net) -> Result<(), ApiError> {
    let is_inside =
        |route: &Route| route.target == Target::Local && route.destination.contains(&destination);
    if !table.routes.iter().any(is_inside) {
        return Ok(());
    }
    let message = format!(
        "The destination CIDR block {destination} is equal to or more specific than one of this \
         VPC's CIDR blocks."
    );
    Err(ApiError::client("InvalidParameterValue", message))
}

/// Refuses more than one of the parameters.
fn check_one(request: &Request<'_>, names: &[&str], what: &str) -> Result<(), ApiError> {
    let given = names.iter().filter(|name| request.get(name).is_some());
    if given.count() < 2 {
        return Ok(());
    }
    let message = format!("The request must contain exactly one {what}");
    Err(ApiError::client("InvalidParameterCombination", message))
}

/// The targets that the simulator has not.
const OTHER_TARGETS: [&str; 10] = [
    "CarrierGatewayId",
    "CoreNetworkArn",
    "EgressOnlyInternetGatewayId",
    "InstanceId",
    "LocalGatewayId",
    "NetworkInterfaceId",
    "OdbNetworkArn",
    "TransitGatewayId",
    "VpcEndpointId",
    "VpcPeeringConnectionId",
];

/// Exactly one target (botocore's EC2 model, CreateRoute), and of the table's own VPC.
fn target(ec2: &Ec2, request: &Request<'_>, table: &RouteTable) -> Result<Target, ApiError> {
    let all = [&OTHER_TARGETS[..], &["GatewayId", "NatGatewayId"]].concat();
    check_one(request, &all, "target")?;
    request.refuse_unmodelled(&OTHER_TARGETS)?;
    match (request.get("GatewayId"), request.get("NatGatewayId")) {
        (Some(id), _) => internet_gateway(ec2, request.now, id, table),
        (None, Some(id)) => nat_gateway(ec2, request.now, id, table),
        (None, None) => Err(ApiError::client(
            "MissingParameter",
            "The request must contain exactly one target, for example GatewayId or NatGatewayId",
        )),
    }
}

/// A gateway that is not attached to the table's VPC, or not visibly so yet, is refused like one of
/// another VPC.
fn internet_gateway(
    ec2: &Ec2,
    now: Timestamp,
    id: &str,
    table: &RouteTable,
) -> Result<Target, ApiError> {
    // In routes a gateway that does not exist has a code of its own, which AWS answers for NAT
    // gateways in the wrong parameter as well.
    let found = ec2.look_up(&ec2.internet_gateways, &INTERNET_GATEWAY, id);
    let gateway = found.map_err(|_| {
        let message = format!("The gateway ID '{id}' does not exist");
        ApiError::client("InvalidGatewayID.NotFound", message)
    })?;
    let is_attached = gateway.vpc_id.as_deref() == Some(table.vpc_id.as_str());
    if !is_attached || gateway.routable_at.is_some_and(|at| now < at) {
        return Err(different_networks(table, id));
    }
    Ok(Target::InternetGateway(id.to_owned()))
}

/// A pending one will do (boto3's issue 779 shows AWS accept it); one that failed or is going does not.
fn nat_gateway(
    ec2: &Ec2,
    now: Timestamp,
    id: &str,
    table: &RouteTable,
) -> Result<Target, ApiError> {
    NAT_GATEWAY.check_form(id)?;
    // In routes a NAT gateway that does not exist has a code of its own (the same issue).
    let found = ec2.look_up(&ec2.nat_gateways, &NAT_GATEWAY, id).ok();
    let usable =
        found.filter(|gateway| matches!(gateway.state(now), State::Pending | State::Available));
    let gateway = usable.ok_or_else(|| {
        let message = format!("The natGateway ID '{id}' does not exist");
        ApiError::client("InvalidNatGatewayID.NotFound", message)
    })?;
    if gateway.vpc_id != table.vpc_id {
        return Err(different_networks(table, id));
    }
    Ok(Target::NatGateway(id.to_owned()))
}

fn different_networks(table: &RouteTable, gateway_id: &str) -> ApiError {
    let message = format!(
        "route table {} and network gateway {gateway_id} belong to different networks",
        table.id
    );
    ApiError::client("InvalidParameterValue", message)
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::operation::create_route::builders::CreateRouteFluentBuilder;
    use aws_sdk_ec2::types::RouteState;

    use crate::ec2::testing::{ANYWHERE, World, code, wait};

    fn to_anywhere(world: &World, table: &str) -> CreateRouteFluentBuilder {
        let call = world.ec2.create_route().route_table_id(table);
        call.destination_cidr_block(ANYWHERE)
    }

    async fn default_route(world: &World, table: &str) -> aws_sdk_ec2::types::Route {
        let table = world.describe_route_table(table).await;
        let mut routes = table.routes().iter();
        let is_it = |route: &&aws_sdk_ec2::types::Route| {
            route.destination_cidr_block.as_deref() == Some(ANYWHERE)
        };
        routes.find(is_it).unwrap().clone()
    }

    #[tokio::test(start_paused = true)]
    async fn a_destination_has_one_route() {
        let world = World::new();
        let network = world.network().await;
        let create = to_anywhere(&world, &network.private_routes);
        let again = create.nat_gateway_id(&network.nat_gateway).send().await;
        again.unwrap();
        let other = to_anywhere(&world, &network.private_routes);
        let other = other.gateway_id(&network.internet_gateway).send().await;
        assert_eq!(code(other), "RouteAlreadyExists");
    }

    #[tokio::test(start_paused = true)]
    async fn gateways_of_another_vpc_are_refused() {
        let world = World::new();
        let network = world.network().await;
        let other = world.vpc().await;
        let table = world.route_table(&other).await;
        let create = || to_anywhere(&world, &table);
        let call = create().gateway_id(&network.internet_gateway).send().await;
        assert_eq!(code(call), "InvalidParameterValue");
        let call = create().nat_gateway_id(&network.nat_gateway).send().await;
        assert_eq!(code(call), "InvalidParameterValue");
        let detached = world.internet_gateway().await;
        let call = create().gateway_id(detached).send().await;
        assert_eq!(code(call), "InvalidParameterValue");
    }

    #[tokio::test(start_paused = true)]
    async fn missing_targets_have_codes_of_their_own() {
        let world = World::new();
        let vpc = world.vpc().await;
        let table = world.route_table(&vpc).await;
        let create = || to_anywhere(&world, &table);
        let call = create().gateway_id("igw-0123456789abcdef0").send().await;
        assert_eq!(code(call), "InvalidGatewayID.NotFound");
        let call = create()
            .nat_gateway_id("nat-0123456789abcdef0")
            .send()
            .await;
        assert_eq!(code(call), "InvalidNatGatewayID.NotFound");
        let call = create().nat_gateway_id("nat-1").send().await;
        assert_eq!(code(call), "NatGatewayMalformed");
        assert_eq!(code(create().send().await), "MissingParameter");
        let both = create().nat_gateway_id("nat-1").gateway_id("igw-1");
        assert_eq!(code(both.send().await), "InvalidParameterCombination");
        let both = create().instance_id("i-1").gateway_id("igw-1");
        assert_eq!(code(both.send().await), "InvalidParameterCombination");
        let both = create().gateway_id("igw-1");
        let both = both.destination_ipv6_cidr_block("::/0").send().await;
        assert_eq!(code(both), "InvalidParameterCombination");
    }

    #[tokio::test(start_paused = true)]
    async fn routes_within_the_vpc_are_local() {
        let world = World::new();
        let network = world.network().await;
        let create = |cidr: &str| {
            let call = world
                .ec2
                .create_route()
                .route_table_id(&network.public_routes);
            let call = call.destination_cidr_block(cidr);
            call.gateway_id(&network.internet_gateway).send()
        };
        assert_eq!(code(create("10.0.0.0/16").await), "RouteAlreadyExists");
        assert_eq!(code(create("10.0.3.0/24").await), "InvalidParameterValue");
        create("10.0.0.0/8").await.unwrap();
        let call = world
            .ec2
            .delete_route()
            .route_table_id(&network.public_routes);
        let call = call.destination_cidr_block("10.0.0.0/16").send().await;
        assert_eq!(code(call), "InvalidParameterValue");
    }

    #[tokio::test(start_paused = true)]
    async fn route_is_replaced_and_deleted_only_if_it_exists() {
        let world = World::new();
        let network = world.network().await;
        let table = world.route_table(&network.vpc).await;
        let replace = || {
            let call = world.ec2.replace_route().route_table_id(&table);
            let call = call.destination_cidr_block(ANYWHERE);
            call.nat_gateway_id(&network.nat_gateway).send()
        };
        let delete = || {
            let call = world.ec2.delete_route().route_table_id(&table);
            call.destination_cidr_block(ANYWHERE).send()
        };
        assert_eq!(code(replace().await), "InvalidParameterValue");
        assert_eq!(code(delete().await), "InvalidRoute.NotFound");
        let create = to_anywhere(&world, &table);
        create
            .gateway_id(&network.internet_gateway)
            .send()
            .await
            .unwrap();
        replace().await.unwrap();
        let route = default_route(&world, &table).await;
        assert_eq!(route.nat_gateway_id.as_ref(), Some(&network.nat_gateway));
        assert_eq!(route.gateway_id, None);
        delete().await.unwrap();
        assert_eq!(world.describe_route_table(&table).await.routes().len(), 1);
        let call = world.ec2.delete_route_table().route_table_id(&table);
        call.send().await.unwrap();
        assert_eq!(code(delete().await), "InvalidRoute.NotFound");
    }

    #[tokio::test(start_paused = true)]
    async fn attachment_of_a_gateway_may_be_seen_late() {
        let world = World::new();
        let vpc = world.vpc().await;
        let table = world.route_table(&vpc).await;
        let gateway = world.internet_gateway().await;
        (world.simulator).change(|state| state.faults.ec2_id_lag_seconds = 30.0);
        world.attach(&gateway, &vpc).await;
        let create = || to_anywhere(&world, &table).gateway_id(&gateway).send();
        assert_eq!(code(create().await), "InvalidParameterValue");
        wait(30).await;
        create().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn routes_are_in_no_order() {
        let world = World::new();
        let network = world.network().await;
        let mut first = std::collections::BTreeSet::new();
        for _ in 0..8 {
            let table = world.route_table(&network.vpc).await;
            let create = to_anywhere(&world, &table);
            let call = create.gateway_id(&network.internet_gateway);
            call.send().await.unwrap();
            let table = world.describe_route_table(&table).await;
            first.insert(table.routes()[0].destination_cidr_block.clone().unwrap());
        }
        assert_eq!(first.len(), 2, "{first:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn route_to_a_detached_gateway_is_a_black_hole() {
        let world = World::new();
        let network = world.network().await;
        let call = world.ec2.delete_nat_gateway();
        call.nat_gateway_id(&network.nat_gateway)
            .send()
            .await
            .unwrap();
        wait(115).await;
        let call = world.ec2.detach_internet_gateway().vpc_id(&network.vpc);
        let call = call.internet_gateway_id(&network.internet_gateway);
        call.send().await.unwrap();
        let route = default_route(&world, &network.public_routes).await;
        assert_eq!(route.state, Some(RouteState::Blackhole));
    }
}
