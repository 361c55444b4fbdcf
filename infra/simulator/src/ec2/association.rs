//! Associations of route tables.

use serde::{Deserialize, Serialize};

use super::kind::{ASSOCIATION, ROUTE_TABLE, SUBNET};
use super::request::Request;
use super::{Ec2, RouteTable, yes};
use crate::api_error::ApiError;
use crate::xml::Element;

/// An association of a route table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Association {
    /// The subnet; `None` for the main association, that of all subnets without one of their own.
    pub subnet_id: Option<String>,
}

impl Association {
    pub(super) fn is_main(&self) -> bool {
        self.subnet_id.is_none()
    }
}

/// `AssociateRouteTable`, with a subnet.
pub(super) fn create(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    request.refuse_unmodelled(&["GatewayId", "PublicIpv4Pool"])?;
    let table_id = request.id("RouteTableId", &ROUTE_TABLE)?;
    let subnet_id = request.id("SubnetId", &SUBNET)?;
    let table = ec2.look_up(&ec2.route_tables, &ROUTE_TABLE, table_id)?;
    let subnet = ec2.look_up(&ec2.subnets, &SUBNET, subnet_id)?;
    check_same_vpc(table, &subnet.vpc_id, subnet_id)?;
    let is_taken = |association: &Association| association.subnet_id.as_deref() == Some(subnet_id);
    let mut associations = (ec2.route_tables.values()).flat_map(|it| it.associations.values());
    if associations.any(is_taken) {
        // EC2 API reference, error codes; a subnet has one association at most.
        let message = format!(
            "the specified association for route table {table_id} conflicts with an existing \
             association"
        );
        return Err(ApiError::client("Resource.AlreadyAssociated", message));
    }
    let subnet_id = Some(subnet_id.to_owned());
    let id = insert(ec2, request, table_id, Association { subnet_id });
    Ok(associated("associationId", &id))
}

/// `ReplaceRouteTableAssociation`: a subnet gets another table, or the VPC another main table; the
/// association gets a new id.
pub(super) fn replace(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let association_id = request.id("AssociationId", &ASSOCIATION)?;
    let table_id = request.id("RouteTableId", &ROUTE_TABLE)?;
    let (old_table, association) = find(ec2, association_id)?;
    let table = ec2.look_up(&ec2.route_tables, &ROUTE_TABLE, table_id)?;
    let subject = association.subnet_id.as_deref().unwrap_or(association_id);
    check_same_vpc(table, &old_table.vpc_id, subject)?;

    let (old_table_id, association) = (old_table.id.clone(), association.clone());
    remove(ec2, &old_table_id, association_id);
    let id = insert(ec2, request, table_id, association);
    Ok(associated("newAssociationId", &id))
}

/// `DisassociateRouteTable`: the subnet uses the main table from now on.
pub(super) fn delete(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let association_id = request.id("AssociationId", &ASSOCIATION)?;
    let (table, association) = find(ec2, association_id)?;
    if association.is_main() {
        let message =
            format!("cannot disassociate the main route table association {association_id}");
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    let table_id = table.id.clone();
    remove(ec2, &table_id, association_id);
    Ok(yes())
}

fn find<'a>(ec2: &'a Ec2, id: &str) -> Result<(&'a RouteTable, &'a Association), ApiError> {
    let found = ec2.route_tables.values().find_map(|table| {
        let association = table.associations.get(id)?;
        Some((table, association))
    });
    found
        .filter(|_| !ec2.is_hidden(id))
        .ok_or_else(|| ASSOCIATION.missing(id))
}

fn insert(
    ec2: &mut Ec2,
    request: &Request<'_>,
    table_id: &str,
    association: Association,
) -> String {
    let subject = association.subnet_id.as_deref().unwrap_or("main");
    let id = ec2.mint(
        request,
        ASSOCIATION.prefix,
        &format!("{table_id}/{subject}"),
    );
    if let Some(table) = ec2.route_tables.get_mut(table_id) {
        table.associations.insert(id.clone(), association);
    }
    id
}

fn remove(ec2: &mut Ec2, table_id: &str, id: &str) {
    if let Some(table) = ec2.route_tables.get_mut(table_id) {
        table.associations.remove(id);
    }
}

fn check_same_vpc(table: &RouteTable, vpc_id: &str, subject: &str) -> Result<(), ApiError> {
    if table.vpc_id == vpc_id {
        return Ok(());
    }
    let message = format!(
        "Route table {} and {subject} belong to different networks",
        table.id
    );
    Err(ApiError::client("InvalidParameterValue", message))
}

fn associated(name: &str, id: &str) -> Vec<Element> {
    vec![Element::text(name, id), state_element()]
}

pub(super) fn state_element() -> Element {
    Element::new("associationState").child(Element::text("state", "associated"))
}

#[cfg(test)]
mod tests {
    use crate::ec2::testing::{World, code};

    #[tokio::test(start_paused = true)]
    async fn a_subnet_has_one_explicit_association() {
        let world = World::new();
        let vpc = world.vpc().await;
        let subnet = world.subnet(&vpc, "10.0.0.0/24").await;
        let (table, other) = (world.route_table(&vpc).await, world.route_table(&vpc).await);
        let id = world.associate(&table, &subnet).await;
        for table in [&table, &other] {
            let call = world.ec2.associate_route_table().route_table_id(table);
            let again = call.subnet_id(&subnet).send().await;
            assert_eq!(code(again), "Resource.AlreadyAssociated");
        }
        let call = world.ec2.replace_route_table_association();
        let call = call.association_id(&id).route_table_id(&other).send().await;
        let new_id = call.unwrap().new_association_id.unwrap();
        assert_ne!(new_id, id);
        let used = world.read(|ec2| ec2.route_table_of(&subnet).unwrap().id.clone());
        assert_eq!(used, other);
        let disassociate = |id: &str| {
            world
                .ec2
                .disassociate_route_table()
                .association_id(id)
                .send()
        };
        let gone = disassociate(&id).await;
        assert_eq!(code(gone), "InvalidAssociationID.NotFound");
        disassociate(&new_id).await.unwrap();
        assert!(world.read(|ec2| ec2.route_table_of(&subnet).unwrap().is_main()));
    }

    #[tokio::test(start_paused = true)]
    async fn main_association_can_only_move() {
        let world = World::new();
        let vpc = world.vpc().await;
        let subnet = world.subnet(&vpc, "10.0.0.0/24").await;
        let (main, association) = world.read(|ec2| {
            let table = ec2.route_table_of(&subnet).unwrap();
            (
                table.id.clone(),
                table.associations.keys().next().unwrap().clone(),
            )
        });
        let call = world
            .ec2
            .disassociate_route_table()
            .association_id(&association);
        assert_eq!(code(call.send().await), "InvalidParameterValue");
        let delete = || world.ec2.delete_route_table().route_table_id(&main).send();
        assert_eq!(code(delete().await), "DependencyViolation");

        let table = world.route_table(&vpc).await;
        let call = world.ec2.replace_route_table_association();
        let call = call.association_id(&association).route_table_id(&table);
        call.send().await.unwrap();
        let used = world.read(|ec2| ec2.route_table_of(&subnet).unwrap().id.clone());
        assert_eq!(used, table);
        delete().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn table_and_subnet_are_of_one_vpc() {
        let world = World::new();
        let (vpc, other) = (world.vpc().await, world.vpc().await);
        let subnet = world.subnet(&vpc, "10.0.0.0/24").await;
        let table = world.route_table(&other).await;
        let call = world.ec2.associate_route_table().route_table_id(table);
        let call = call.subnet_id(&subnet).send().await;
        assert_eq!(code(call), "InvalidParameterValue");
    }
}
