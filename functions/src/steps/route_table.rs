//! What two steps do to route tables: what makes it safe to repeat is here once.

use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_sdk_ec2::types::{ResourceType, RouteTable};

use crate::aws::telemetry::{changed, changing};
use crate::aws::{Aws, change, codes};
use crate::contract::error::required;
use crate::contract::{During, Error, Resource};
use crate::model::{Plan, Target, names, tags};
use crate::resources::route_table::{
    self, Astray, DEFAULT_DESTINATION, KIND, NextHop, Wanted, find, id, is_associated, is_main,
};
use crate::steps::removal::Removal;

/// How many client tokens are tried in one invocation: more than a table is deleted in a day.
const TOKENS_MAX: usize = 20;

const CREATE: &str = "ec2:CreateRouteTable";
const CREATE_ROUTE: &str = "ec2:CreateRoute";
const REPLACE_ROUTE: &str = "ec2:ReplaceRoute";
const ASSOCIATE: &str = "ec2:AssociateRouteTable";
const REPLACE_ASSOCIATION: &str = "ec2:ReplaceRouteTableAssociation";
const DISASSOCIATE: &str = "ec2:DisassociateRouteTable";
const DELETE: &str = "ec2:DeleteRouteTable";

/// Makes one route table of a VPC so; `tables` are all that there are in it. The answer is its id.
///
/// # Errors
/// [`Error::ResourceConflict`] if a subnet is associated with a table that is not ours.
pub(crate) async fn apply(
    aws: &Aws,
    plan: &Plan,
    vpc_id: &str,
    tables: &[RouteTable],
    next_hop: NextHop<'_>,
    wanted: Wanted<'_>,
) -> Result<String, Error> {
    let role = wanted.role;
    let compared = route_table::compare(&plan.target, tables, wanted)?;
    let table_id = match compared.kept {
        Some(table) => id(table)?.to_owned(),
        None => create(aws, plan, [role, vpc_id, next_hop.id()]).await?,
    };
    if !compared.is_route_right {
        set_route(aws, &table_id, next_hop, compared.route.is_some()).await?;
    }
    for astray in &compared.astray {
        associate(aws, &table_id, astray).await?;
    }
    // Of a creation whose answer was lost and whose client token did not bring it back.
    for surplus in &compared.surplus {
        delete(aws, surplus, &mut Removal::default()).await?;
    }
    Ok(table_id)
}

/// The token protects against a second table when an answer is lost. Once the table that a token made is
/// deleted, EC2 refuses the token, for how long it does not say: the next attempt's token is tried then.
/// A new gateway means new tokens, so that few of them are ever used up.
async fn create(aws: &Aws, plan: &Plan, parts: [&str; 3]) -> Result<String, Error> {
    for attempt in 0..TOKENS_MAX {
        if let Some(table) = try_create(aws, plan, parts, attempt).await? {
            return Ok(table);
        }
    }
    let [role, vpc_id, _] = parts;
    Err(Error::ResourceFailed(format!(
        "no new route table {role} in {vpc_id}: EC2 refuses {TOKENS_MAX} client tokens, whose route tables were \
         deleted; it forgets them in time, so try again tomorrow"
    )))
}

/// None if the token was used before, for a table that is deleted or has other tags.
async fn try_create(
    aws: &Aws,
    plan: &Plan,
    [role, vpc_id, next_hop]: [&str; 3],
    attempt: usize,
) -> Result<Option<String>, Error> {
    let attempt = attempt.to_string();
    let parts = [role, vpc_id, next_hop, &attempt];
    changing(CREATE, role);
    let answer = aws
        .ec2()
        .create_route_table()
        .vpc_id(vpc_id)
        .client_token(names::client_token(&plan.target, parts))
        .tag_specifications(tags::ec2_specification(
            plan,
            ResourceType::RouteTable,
            role,
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
    let id = id(&table)?;
    changed(CREATE, id);
    Ok(Some(id.to_owned()))
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

async fn associate(aws: &Aws, table_id: &str, astray: &Astray<'_>) -> Result<(), Error> {
    let subnet_id = astray.subnet_id.unwrap_or_default();
    let Some(association) = astray.association else {
        return associate_first(aws, table_id, subnet_id).await;
    };
    let id = required(
        association.route_table_association_id(),
        "ec2:DescribeRouteTables: the id of an association",
    )?;
    let call = aws.ec2().replace_route_table_association();
    let call = call.association_id(id).route_table_id(table_id);
    change(REPLACE_ASSOCIATION, subnet_id, call.send())
        .await
        .during(REPLACE_ASSOCIATION)?;
    Ok(())
}

async fn associate_first(aws: &Aws, table_id: &str, subnet_id: &str) -> Result<(), Error> {
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
    let id = id(table)?;
    let call = aws.ec2().delete_route_table().route_table_id(id);
    let resource = Resource::new(KIND, id);
    let not_found = [
        codes::ROUTE_TABLE_NOT_FOUND,
        codes::ROUTE_TABLE_NOT_FOUND_TOO,
    ];
    removal
        .delete(DELETE, resource, &not_found, call.send())
        .await?;
    Ok(())
}
