//! Route tables, for the two steps that make them.
//!
//! A route table with one role belongs to one place; its default route and its associations are
//! repaired whatever somebody made of them.

use aws_sdk_ec2::types::{ResourceType, Route, RouteState, RouteTable, RouteTableAssociation};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::aws::Aws;
use crate::codes;
use crate::error::{During, Error, required};
use crate::names;
use crate::outcome::{Outcome, Removed, Resource};
use crate::plan::{Plan, Target};
use crate::tags;
use crate::telemetry::{changed, changing};

/// Every address outside the VPC.
pub const EVERYWHERE: &str = "0.0.0.0/0";

/// Where a route table's default route leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gateway<'a> {
    /// An internet gateway, by its id.
    Internet(&'a str),
    /// A NAT gateway, by its id.
    Nat(&'a str),
}

/// A route table as it should be.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Value of the tag `hardway:role`.
    pub role: &'a str,
    /// The VPC.
    pub vpc_id: &'a str,
    /// Where `0.0.0.0/0` leads.
    pub gateway: Gateway<'a>,
    /// The subnets that use the table.
    pub subnet_ids: &'a [&'a str],
}

/// Makes the route table so; its id.
///
/// # Errors
/// [`Error::ResourceConflict`] if a subnet uses a route table that is not ours.
pub async fn ensure(aws: &Aws, plan: &Plan, wanted: &Wanted<'_>) -> Result<String, Error> {
    let table = match find(aws, &plan.target, wanted.role)
        .await?
        .into_iter()
        .next()
    {
        Some(table) if table.vpc_id() == Some(wanted.vpc_id) => table,
        Some(table) => return Err(elsewhere(&table, wanted)),
        None => create(aws, plan, wanted).await?,
    };
    let table_id = required(table.route_table_id.clone(), "ec2: routeTableId")?;
    repair_default_route(aws, &table, &table_id, wanted.gateway).await?;
    for subnet_id in wanted.subnet_ids {
        if !is_associated(&table, subnet_id) {
            associate(aws, &plan.target, &table_id, subnet_id).await?;
        }
    }
    Ok(table_id)
}

/// Deletes our route tables whose role starts with `role`, after their associations.
///
/// # Errors
/// What EC2 refuses.
pub async fn remove(aws: &Aws, target: &Target, role: &str) -> Result<Outcome<Removed>, Error> {
    let mut removed = Removed::default();
    let tables = find_all(aws, target).await?;
    for table in tables {
        let is_role =
            tags::ec2_value(table.tags(), tags::ROLE).is_some_and(|value| value.starts_with(role));
        let Some(table_id) = table.route_table_id().filter(|_| is_role) else {
            continue;
        };
        for association in table.associations() {
            disassociate(aws, association).await?;
        }
        changing("ec2:DeleteRouteTable", table_id);
        match aws
            .ec2
            .delete_route_table()
            .route_table_id(table_id)
            .send()
            .await
        {
            Err(error) if is_absent(&error) => continue,
            Err(error) if error.code() == Some(codes::DEPENDENCY_VIOLATION) => {
                let reason = format!("route table {table_id} is still in use");
                return Ok(Outcome::pending(5, reason));
            }
            answer => answer.during("ec2:DeleteRouteTable")?,
        };
        changed("ec2:DeleteRouteTable", table_id);
        removed
            .removed
            .push(Resource::new("AWS::EC2::RouteTable", table_id));
    }
    Ok(Outcome::Ready(removed))
}

/// Ours with exactly this role: none, or one (creating it has a client token).
async fn find(aws: &Aws, target: &Target, role: &str) -> Result<Vec<RouteTable>, Error> {
    let mut tables = find_all(aws, target).await?;
    tables.retain(|table| tags::ec2_is(table.tags(), target, role));
    tables.sort_by(|one, other| one.route_table_id().cmp(&other.route_table_id()));
    Ok(tables)
}

/// All of the cluster's route tables: four at the most, so one page holds them.
async fn find_all(aws: &Aws, target: &Target) -> Result<Vec<RouteTable>, Error> {
    let answer = aws
        .ec2
        .describe_route_tables()
        .set_filters(Some(tags::ec2_filters(target)))
        .send()
        .await
        .during("ec2:DescribeRouteTables")?;
    Ok(answer.route_tables.unwrap_or_default())
}

fn elsewhere(table: &RouteTable, wanted: &Wanted<'_>) -> Error {
    Error::ResourceConflict(format!(
        "route table {} ({}) is in {}, not in {}",
        table.route_table_id().unwrap_or_default(),
        wanted.role,
        table.vpc_id().unwrap_or("no VPC"),
        wanted.vpc_id
    ))
}

async fn create(aws: &Aws, plan: &Plan, wanted: &Wanted<'_>) -> Result<RouteTable, Error> {
    changing("ec2:CreateRouteTable", wanted.role);
    let token = names::client_token(&plan.target, ["route-table", wanted.role, wanted.vpc_id]);
    let specification = tags::ec2_specification(plan, ResourceType::RouteTable, wanted.role, &[]);
    let answer = aws
        .ec2
        .create_route_table()
        .vpc_id(wanted.vpc_id)
        .client_token(token)
        .tag_specifications(specification)
        .send()
        .await
        .during("ec2:CreateRouteTable")?;
    let table = required(answer.route_table, "ec2:CreateRouteTable: routeTable")?;
    changed(
        "ec2:CreateRouteTable",
        table.route_table_id().unwrap_or_default(),
    );
    Ok(table)
}

/// Creates the default route, or puts another in its place when it leads elsewhere or nowhere.
async fn repair_default_route(
    aws: &Aws,
    table: &RouteTable,
    table_id: &str,
    gateway: Gateway<'_>,
) -> Result<(), Error> {
    let existing = table
        .routes()
        .iter()
        .find(|route| route.destination_cidr_block() == Some(EVERYWHERE));
    match existing {
        Some(route) if leads_to(route, gateway) => Ok(()),
        Some(_) => replace_default_route(aws, table_id, gateway).await,
        None => create_default_route(aws, table_id, gateway).await,
    }
}

fn leads_to(route: &Route, gateway: Gateway<'_>) -> bool {
    let target = match gateway {
        Gateway::Internet(id) => route.gateway_id() == Some(id),
        Gateway::Nat(id) => route.nat_gateway_id() == Some(id),
    };
    target && route.state() != Some(&RouteState::Blackhole)
}

async fn create_default_route(aws: &Aws, table: &str, gateway: Gateway<'_>) -> Result<(), Error> {
    changing("ec2:CreateRoute", table);
    let call = aws
        .ec2
        .create_route()
        .route_table_id(table)
        .destination_cidr_block(EVERYWHERE);
    let call = match gateway {
        Gateway::Internet(id) => call.gateway_id(id),
        Gateway::Nat(id) => call.nat_gateway_id(id),
    };
    match call.send().await {
        // Somebody was faster since we looked; whose route it is shows the next look.
        Err(error) if error.code() == Some(codes::ROUTE_ALREADY_EXISTS) => {
            replace_default_route(aws, table, gateway).await
        }
        answer => {
            answer.during("ec2:CreateRoute")?;
            changed("ec2:CreateRoute", table);
            Ok(())
        }
    }
}

async fn replace_default_route(aws: &Aws, table: &str, gateway: Gateway<'_>) -> Result<(), Error> {
    changing("ec2:ReplaceRoute", table);
    let call = aws
        .ec2
        .replace_route()
        .route_table_id(table)
        .destination_cidr_block(EVERYWHERE);
    let call = match gateway {
        Gateway::Internet(id) => call.gateway_id(id),
        Gateway::Nat(id) => call.nat_gateway_id(id),
    };
    call.send().await.during("ec2:ReplaceRoute")?;
    changed("ec2:ReplaceRoute", table);
    Ok(())
}

fn is_associated(table: &RouteTable, subnet_id: &str) -> bool {
    let mut associations = table.associations().iter();
    associations.any(|association| association.subnet_id() == Some(subnet_id))
}

/// Associates a subnet that uses another table (of ours) or none explicitly.
async fn associate(aws: &Aws, target: &Target, table: &str, subnet: &str) -> Result<(), Error> {
    let answer = aws
        .ec2
        .describe_route_tables()
        .filters(tags::ec2_filter("association.subnet-id", subnet))
        .send()
        .await
        .during("ec2:DescribeRouteTables")?;
    let Some(current) = answer.route_tables().first() else {
        return associate_anew(aws, table, subnet).await;
    };
    if current.route_table_id() == Some(table) {
        return Ok(());
    }
    if tags::ec2_value(current.tags(), tags::CLUSTER) != Some(&target.cluster_name) {
        return Err(Error::ResourceConflict(format!(
            "subnet {subnet} uses route table {}, which is not ours",
            current.route_table_id().unwrap_or_default()
        )));
    }
    let association = current
        .associations()
        .iter()
        .find(|association| association.subnet_id() == Some(subnet))
        .and_then(RouteTableAssociation::route_table_association_id);
    changing("ec2:ReplaceRouteTableAssociation", subnet);
    aws.ec2
        .replace_route_table_association()
        .set_association_id(association.map(ToOwned::to_owned))
        .route_table_id(table)
        .send()
        .await
        .during("ec2:ReplaceRouteTableAssociation")?;
    changed("ec2:ReplaceRouteTableAssociation", subnet);
    Ok(())
}

async fn associate_anew(aws: &Aws, table: &str, subnet: &str) -> Result<(), Error> {
    changing("ec2:AssociateRouteTable", subnet);
    let call = aws
        .ec2
        .associate_route_table()
        .route_table_id(table)
        .subnet_id(subnet);
    match call.send().await {
        // An association that the look above could not see yet: look again in a moment.
        Err(error) if error.code() == Some(codes::ALREADY_ASSOCIATED) => {
            let message = error.message().unwrap_or_default();
            Err(Error::NotYetVisible(format!(
                "association of {subnet}: {message}"
            )))
        }
        answer => {
            answer.during("ec2:AssociateRouteTable")?;
            changed("ec2:AssociateRouteTable", subnet);
            Ok(())
        }
    }
}

async fn disassociate(aws: &Aws, association: &RouteTableAssociation) -> Result<(), Error> {
    let Some(id) = association.route_table_association_id() else {
        return Ok(());
    };
    changing("ec2:DisassociateRouteTable", id);
    match aws
        .ec2
        .disassociate_route_table()
        .association_id(id)
        .send()
        .await
    {
        Err(error) if error.code() == Some(codes::ASSOCIATION_NOT_FOUND) => return Ok(()),
        answer => answer.during("ec2:DisassociateRouteTable")?,
    };
    changed("ec2:DisassociateRouteTable", id);
    Ok(())
}

fn is_absent(error: &impl ProvideErrorMetadata) -> bool {
    [
        codes::ROUTE_TABLE_NOT_FOUND,
        codes::ROUTE_TABLE_NOT_FOUND_TOO,
    ]
    .contains(&error.code().unwrap_or_default())
}
