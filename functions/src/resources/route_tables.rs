//! A route table of ours: the way out of its subnets, and which subnets these are.
//!
//! The public and the private ones differ only in where `0.0.0.0/0` leads; what makes them safe to
//! repeat is here once. One look at all route tables of the VPC says everything: which is ours, where
//! its default route leads, and which table each subnet is associated with.

use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_sdk_ec2::types::{
    Filter, ResourceType, Route, RouteState, RouteTable, RouteTableAssociation,
    RouteTableAssociationStateCode,
};

use crate::aws::telemetry::{changed, changing};
use crate::aws::{Aws, change, codes, list};
use crate::contract::error::required;
use crate::contract::{During, Error, Resource};
use crate::model::{Plan, Target, names, tags};
use crate::resources::removal::Removal;

/// What the roles of private tables begin with; the id of their zone follows.
pub const PRIVATE_ROLE_PREFIX: &str = "private-routes-";

/// Everything that no other route covers.
const DEFAULT_DESTINATION: &str = "0.0.0.0/0";

/// How many client tokens are tried in one invocation: more than a table is deleted in a day.
const TOKENS_MAX: usize = 20;

const CREATE: &str = "ec2:CreateRouteTable";
const CREATE_ROUTE: &str = "ec2:CreateRoute";
const REPLACE_ROUTE: &str = "ec2:ReplaceRoute";
const ASSOCIATE: &str = "ec2:AssociateRouteTable";
const REPLACE_ASSOCIATION: &str = "ec2:ReplaceRouteTableAssociation";
const DISASSOCIATE: &str = "ec2:DisassociateRouteTable";
const DELETE: &str = "ec2:DeleteRouteTable";

/// Where the default route leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextHop<'a> {
    /// Id of an internet gateway.
    InternetGateway(&'a str),
    /// Id of a NAT gateway.
    NatGateway(&'a str),
}

impl<'a> NextHop<'a> {
    fn id(self) -> &'a str {
        match self {
            Self::InternetGateway(id) | Self::NatGateway(id) => id,
        }
    }

    fn internet_gateway(self) -> Option<String> {
        matches!(self, Self::InternetGateway(_)).then(|| self.id().to_owned())
    }

    fn nat_gateway(self) -> Option<String> {
        matches!(self, Self::NatGateway(_)).then(|| self.id().to_owned())
    }

    fn is_of(self, route: &Route) -> bool {
        match self {
            Self::InternetGateway(id) => route.gateway_id() == Some(id),
            Self::NatGateway(id) => route.nat_gateway_id() == Some(id),
        }
    }
}

/// What a route table has to be like.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Value of the tag `hardway:role`.
    pub role: &'a str,
    /// The VPC that it belongs to.
    pub vpc_id: &'a str,
    /// Where `0.0.0.0/0` leads.
    pub next_hop: NextHop<'a>,
    /// Ids of the subnets that are associated with it.
    pub subnet_ids: &'a [&'a str],
}

/// The route tables that pass the filters.
pub(crate) async fn find(aws: &Aws, filters: Vec<Filter>) -> Result<Vec<RouteTable>, Error> {
    let call = aws.ec2().describe_route_tables();
    let call = call.set_filters(Some(filters));
    list!(call).await.during("ec2:DescribeRouteTables")
}

/// Makes one route table so; `tables` are those that [`find`] saw. The answer is its id.
///
/// # Errors
/// [`Error::ResourceConflict`] if a subnet is associated with a table that is not ours.
pub async fn ensure(
    aws: &Aws,
    plan: &Plan,
    tables: &[RouteTable],
    wanted: &Wanted<'_>,
) -> Result<String, Error> {
    let is_ours = |table: &&RouteTable| tags::ec2_is(table.tags(), &plan.target, wanted.role);
    let mut ours: Vec<&RouteTable> = tables.iter().filter(is_ours).collect();
    // Of several the one that most of the subnets use, else the one with the smallest id: all invocations
    // decide alike.
    ours.sort_by_key(|table| {
        (
            std::cmp::Reverse(uses(table, wanted)),
            table.route_table_id(),
        )
    });
    let (table, surplus) = match ours.split_first() {
        Some((table, surplus)) => ((*table).clone(), surplus),
        None => (create(aws, plan, wanted).await?, &[][..]),
    };
    let id = required(table.route_table_id(), "ec2:DescribeRouteTables: an id")?;
    repair_route(aws, id, table.routes(), wanted.next_hop).await?;
    for subnet_id in wanted.subnet_ids {
        repair_association(aws, &plan.target, tables, id, subnet_id).await?;
    }
    for table in surplus {
        remove_surplus(aws, table, wanted).await?;
    }
    Ok(id.to_owned())
}

/// How many of the wanted subnets use a table.
fn uses(table: &RouteTable, wanted: &Wanted<'_>) -> usize {
    let subnets = associated_subnets(table);
    subnets.filter(|id| wanted.subnet_ids.contains(id)).count()
}

/// Ids of the subnets that are explicitly associated with a table.
fn associated_subnets(table: &RouteTable) -> impl Iterator<Item = &str> {
    let associations = table.associations().iter().filter(|it| is_associated(it));
    associations.filter_map(|association| association.subnet_id())
}

/// A second table of the same role, of a creation whose answer was lost and whose client token did not
/// bring it back. Its subnets have moved to the other one; one that others use stays.
async fn remove_surplus(aws: &Aws, table: &RouteTable, wanted: &Wanted<'_>) -> Result<(), Error> {
    if associated_subnets(table).any(|id| !wanted.subnet_ids.contains(&id)) {
        return Ok(());
    }
    let mut removal = Removal::default();
    delete(aws, table, &mut removal).await
}

/// The token protects against a second table when an answer is lost. Once the table that a token made is
/// deleted, EC2 refuses the token, for how long it does not say: the next attempt's token is tried then.
/// A new gateway means new tokens, so that few of them are ever used up.
async fn create(aws: &Aws, plan: &Plan, wanted: &Wanted<'_>) -> Result<RouteTable, Error> {
    for attempt in 0..TOKENS_MAX {
        if let Some(table) = try_create(aws, plan, wanted, attempt).await? {
            return Ok(table);
        }
    }
    Err(Error::ResourceFailed(format!(
        "no new route table {} in {}: EC2 refuses {TOKENS_MAX} client tokens, whose route tables were \
         deleted; it forgets them in time, so try again tomorrow",
        wanted.role, wanted.vpc_id
    )))
}

/// None if the token was used before, for a table that is deleted or has other tags.
async fn try_create(
    aws: &Aws,
    plan: &Plan,
    wanted: &Wanted<'_>,
    attempt: usize,
) -> Result<Option<RouteTable>, Error> {
    let attempt = attempt.to_string();
    let parts = [wanted.role, wanted.vpc_id, wanted.next_hop.id(), &attempt];
    changing(CREATE, wanted.role);
    let answer = aws
        .ec2()
        .create_route_table()
        .vpc_id(wanted.vpc_id)
        .client_token(names::client_token(&plan.target, parts))
        .tag_specifications(tags::ec2_specification(
            plan,
            ResourceType::RouteTable,
            wanted.role,
            &[],
        ))
        .send()
        .await;
    if let Err(error) = &answer
        && error.code() == Some(codes::IDEMPOTENT_PARAMETER_MISMATCH)
    {
        return Ok(None);
    }
    let table = answer.during(CREATE)?.route_table;
    let table = required(table, "ec2:CreateRouteTable: routeTable")?;
    changed(CREATE, table.route_table_id().unwrap_or_default());
    Ok(Some(table))
}

async fn repair_route(
    aws: &Aws,
    table_id: &str,
    routes: &[Route],
    next_hop: NextHop<'_>,
) -> Result<(), Error> {
    let is_default = |route: &&Route| route.destination_cidr_block() == Some(DEFAULT_DESTINATION);
    match routes.iter().find(is_default) {
        Some(route) if next_hop.is_of(route) && route.state() != Some(&RouteState::Blackhole) => {
            Ok(())
        }
        Some(_) => set_route(aws, table_id, next_hop, true).await,
        None => set_route(aws, table_id, next_hop, false).await,
    }
}

/// Creates the route or, if it is there by what was seen, replaces it; whichever EC2 refuses because it
/// sees otherwise, the other one is tried.
async fn set_route(
    aws: &Aws,
    table_id: &str,
    next_hop: NextHop<'_>,
    is_there: bool,
) -> Result<(), Error> {
    for is_there in [is_there, !is_there] {
        let is_set = if is_there {
            replace_route(aws, table_id, next_hop).await?
        } else {
            create_route(aws, table_id, next_hop).await?
        };
        if is_set {
            return Ok(());
        }
    }
    Err(Error::NotYetVisible(format!(
        "whether {table_id} has a route to {DEFAULT_DESTINATION}"
    )))
}

/// False if there is one to somewhere else. The same route again is a success.
async fn create_route(aws: &Aws, table_id: &str, next_hop: NextHop<'_>) -> Result<bool, Error> {
    let call = aws
        .ec2()
        .create_route()
        .route_table_id(table_id)
        .destination_cidr_block(DEFAULT_DESTINATION)
        .set_gateway_id(next_hop.internet_gateway())
        .set_nat_gateway_id(next_hop.nat_gateway());
    let answer = change(CREATE_ROUTE, table_id, call.send()).await;
    if let Err(error) = &answer {
        if error.code() == Some(codes::ROUTE_ALREADY_EXISTS) {
            return Ok(false);
        }
        refuse_unseen_attachment(error)?;
    }
    answer.during(CREATE_ROUTE)?;
    Ok(true)
}

/// False if there is none.
async fn replace_route(aws: &Aws, table_id: &str, next_hop: NextHop<'_>) -> Result<bool, Error> {
    let call = aws
        .ec2()
        .replace_route()
        .route_table_id(table_id)
        .destination_cidr_block(DEFAULT_DESTINATION)
        .set_gateway_id(next_hop.internet_gateway())
        .set_nat_gateway_id(next_hop.nat_gateway());
    let answer = change(REPLACE_ROUTE, table_id, call.send()).await;
    if let Err(error) = &answer {
        if says(error, codes::NO_ROUTE_MESSAGE) {
            return Ok(false);
        }
        refuse_unseen_attachment(error)?;
    }
    answer.during(REPLACE_ROUTE)?;
    Ok(true)
}

/// The gateway was attached to the VPC a moment ago, and EC2 does not see that everywhere yet.
fn refuse_unseen_attachment(error: &impl ProvideErrorMetadata) -> Result<(), Error> {
    if !says(error, codes::DIFFERENT_NETWORKS_MESSAGE) {
        return Ok(());
    }
    let message = error.message().unwrap_or_default();
    Err(Error::NotYetVisible(format!("an attachment: {message}")))
}

fn says(error: &impl ProvideErrorMetadata, words: &str) -> bool {
    let message = error.message().unwrap_or_default();
    error.code() == Some(codes::INVALID_PARAMETER_VALUE) && message.contains(words)
}

async fn repair_association(
    aws: &Aws,
    target: &Target,
    tables: &[RouteTable],
    table_id: &str,
    subnet_id: &str,
) -> Result<(), Error> {
    let Some((table, association)) = association_of(tables, subnet_id) else {
        return associate(aws, table_id, subnet_id).await;
    };
    let current = table.route_table_id().unwrap_or_default();
    if current == table_id {
        return Ok(());
    }
    if tags::ec2_value(table.tags(), tags::CLUSTER) != Some(&target.cluster_name) {
        return Err(Error::ResourceConflict(format!(
            "{subnet_id} is associated with the route table {current}, which is not tagged {}={}",
            tags::CLUSTER,
            target.cluster_name
        )));
    }
    let id = required(
        association.route_table_association_id(),
        "ec2:DescribeRouteTables: the id of an association",
    )?;
    let call = aws
        .ec2()
        .replace_route_table_association()
        .association_id(id)
        .route_table_id(table_id);
    change(REPLACE_ASSOCIATION, subnet_id, call.send())
        .await
        .during(REPLACE_ASSOCIATION)?;
    Ok(())
}

async fn associate(aws: &Aws, table_id: &str, subnet_id: &str) -> Result<(), Error> {
    let call = aws
        .ec2()
        .associate_route_table()
        .route_table_id(table_id)
        .subnet_id(subnet_id);
    let answer = change(ASSOCIATE, subnet_id, call.send()).await;
    if let Err(error) = &answer
        && error.code() == Some(codes::ALREADY_ASSOCIATED)
    {
        // Whose association it is can be seen in a moment.
        let message = error.message().unwrap_or("already associated").to_owned();
        return Err(Error::NotYetVisible(format!("{subnet_id}: {message}")));
    }
    answer.during(ASSOCIATE)?;
    Ok(())
}

/// The table that a subnet is explicitly associated with.
fn association_of<'a>(
    tables: &'a [RouteTable],
    subnet_id: &str,
) -> Option<(&'a RouteTable, &'a RouteTableAssociation)> {
    tables
        .iter()
        .flat_map(|table| table.associations().iter().map(move |it| (table, it)))
        .find(|(_, it)| it.subnet_id() == Some(subnet_id) && is_associated(it))
}

fn is_associated(association: &RouteTableAssociation) -> bool {
    let state = association.association_state().and_then(|it| it.state());
    !matches!(
        state,
        Some(
            RouteTableAssociationStateCode::Disassociated
                | RouteTableAssociationStateCode::Disassociating
                | RouteTableAssociationStateCode::Failed
        )
    )
}

/// Whether the table is its VPC's main one, which goes with the VPC and not before (VPC user guide, delete a
/// route table).
pub(crate) fn is_main(table: &RouteTable) -> bool {
    let mut associations = table.associations().iter();
    associations.any(|it| it.main() == Some(true))
}

/// Makes the cluster's route tables gone whose role passes `is_wanted`, their associations first. The role of
/// a table that has lost the tag is empty. A table that somebody made the VPC's main one is left to the VPC.
///
/// # Errors
/// What EC2 answers.
pub async fn remove(
    aws: &Aws,
    target: &Target,
    is_wanted: impl Fn(&str) -> bool,
    removal: &mut Removal,
) -> Result<(), Error> {
    for table in find(aws, tags::ec2_filters(target)).await? {
        let role = tags::ec2_value(table.tags(), tags::ROLE).unwrap_or_default();
        if is_wanted(role) {
            remove_one(aws, &table, removal).await?;
        }
    }
    Ok(())
}

async fn remove_one(aws: &Aws, table: &RouteTable, removal: &mut Removal) -> Result<(), Error> {
    let associations = table.associations().iter();
    for association in associations.filter(|it| it.subnet_id().is_some() && is_associated(it)) {
        let id = required(
            association.route_table_association_id(),
            "ec2:DescribeRouteTables: the id of an association",
        )?;
        let call = aws.ec2().disassociate_route_table().association_id(id);
        let resource = Resource::new("AWS::EC2::SubnetRouteTableAssociation", id);
        let not_found = [codes::ASSOCIATION_NOT_FOUND];
        removal
            .delete(DISASSOCIATE, resource, &not_found, call.send())
            .await?;
    }
    if is_main(table) {
        return Ok(());
    }
    delete(aws, table, removal).await
}

async fn delete(aws: &Aws, table: &RouteTable, removal: &mut Removal) -> Result<(), Error> {
    let id = required(table.route_table_id(), "ec2:DescribeRouteTables: an id")?;
    let call = aws.ec2().delete_route_table().route_table_id(id);
    let resource = Resource::new("AWS::EC2::RouteTable", id);
    let not_found = [
        codes::ROUTE_TABLE_NOT_FOUND,
        codes::ROUTE_TABLE_NOT_FOUND_TOO,
    ];
    removal
        .delete(DELETE, resource, &not_found, call.send())
        .await?;
    Ok(())
}
