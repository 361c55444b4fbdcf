//! A route table of ours: the way out of its subnets, and which subnets these are.
//!
//! The public and the private ones differ only in where `0.0.0.0/0` leads. One look at all route tables of
//! the VPC says everything: which is ours, where its default route leads, and which table each subnet is
//! associated with.

use aws_sdk_ec2::types::{
    Filter, Route, RouteState, RouteTable, RouteTableAssociation, RouteTableAssociationStateCode,
};

use crate::aws::{Aws, list};
use crate::contract::error::required;
use crate::contract::{During, Error};
use crate::model::plan::Zone;
use crate::model::{Target, tags};
use crate::resources::resource_change::{Change, Difference, ResourceChange};

/// What the roles of private tables begin with; the id of their zone follows.
pub(crate) const PRIVATE_ROLE_PREFIX: &str = "private-routes-";
/// Value of the tag `hardway:role` of the table of all public subnets.
pub(crate) const PUBLIC_ROLE: &str = "public-routes";
/// CloudFormation's type name.
pub(crate) const KIND: &str = "AWS::EC2::RouteTable";
/// Everything that no other route covers.
pub(crate) const DEFAULT_DESTINATION: &str = "0.0.0.0/0";

/// Value of the tag `hardway:role` of a zone's private table.
pub(crate) fn private_role(zone: &Zone) -> String {
    format!("{PRIVATE_ROLE_PREFIX}{}", zone.id)
}

/// Where the default route leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NextHop<'a> {
    /// Id of an internet gateway.
    InternetGateway(&'a str),
    /// Id of a NAT gateway.
    NatGateway(&'a str),
}

/// What a route table has to be like. What is to be made yet is none.
#[derive(Debug, Clone)]
pub(crate) struct Wanted<'a> {
    /// Value of the tag `hardway:role`.
    pub role: &'a str,
    /// Where `0.0.0.0/0` leads.
    pub next_hop: Option<NextHop<'a>>,
    /// Ids of the subnets that are associated with it.
    pub subnet_ids: Vec<Option<&'a str>>,
}

/// What there is beside the plan.
#[derive(Debug)]
pub(crate) struct Compared<'a> {
    /// The table to keep.
    pub kept: Option<&'a RouteTable>,
    /// Those to delete: only subnets of ours use them.
    pub surplus: Vec<&'a RouteTable>,
    /// The default route of the one to keep.
    pub route: Option<&'a Route>,
    /// Whether it leads where it should.
    pub is_route_right: bool,
    /// The subnets that are not associated with it.
    pub astray: Vec<Astray<'a>>,
    wanted: Wanted<'a>,
}

/// A subnet that is not associated with its table.
#[derive(Debug)]
pub(crate) struct Astray<'a> {
    /// Its id, if it is there.
    pub subnet_id: Option<&'a str>,
    /// The association with another table of ours.
    pub association: Option<&'a RouteTableAssociation>,
}

/// The route tables that pass the filters.
pub(crate) async fn find(aws: &Aws, filters: Vec<Filter>) -> Result<Vec<RouteTable>, Error> {
    let call = aws.ec2().describe_route_tables();
    let call = call.set_filters(Some(filters));
    list!(call).await.during("ec2:DescribeRouteTables")
}

/// Says what is to be done; `tables` are all of the VPC, ours or not. Of several of ours the one is kept that
/// most of the subnets use, else the one with the smallest id: all invocations decide alike.
///
/// # Errors
/// [`Error::ResourceConflict`] if a subnet is associated with a table that is not ours.
pub(crate) fn compare<'a>(
    target: &Target,
    tables: &'a [RouteTable],
    wanted: Wanted<'a>,
) -> Result<Compared<'a>, Error> {
    let is_ours = |table: &&RouteTable| tags::ec2_is(table.tags(), target, wanted.role);
    let mut ours: Vec<&RouteTable> = tables.iter().filter(is_ours).collect();
    ours.sort_by_key(|table| {
        let uses = associated_subnets(table).filter(|id| wanted.is_for(id));
        (std::cmp::Reverse(uses.count()), table.route_table_id())
    });
    let surplus = ours.split_off(ours.len().min(1));
    let kept = ours.pop();
    let mut astray = vec![];
    for subnet_id in &wanted.subnet_ids {
        astray.extend(find_astray(target, tables, kept, *subnet_id)?);
    }
    let is_unused = |table: &&RouteTable| associated_subnets(table).all(|id| wanted.is_for(id));
    let is_default = |it: &&Route| it.destination_cidr_block() == Some(DEFAULT_DESTINATION);
    let route = kept.and_then(|kept| kept.routes().iter().find(is_default));
    let is_route_right = route.zip(wanted.next_hop).is_some_and(|(route, next_hop)| {
        next_hop.is_of(route) && route.state() != Some(&RouteState::Blackhole)
    });
    Ok(Compared {
        kept,
        surplus: surplus.into_iter().filter(is_unused).collect(),
        route,
        is_route_right,
        astray,
        wanted,
    })
}

/// None if the subnet is associated with the table to keep.
fn find_astray<'a>(
    target: &Target,
    tables: &'a [RouteTable],
    kept: Option<&RouteTable>,
    subnet_id: Option<&'a str>,
) -> Result<Option<Astray<'a>>, Error> {
    let none = Astray {
        subnet_id,
        association: None,
    };
    let Some((table, association)) = subnet_id.and_then(|id| association_of(tables, id)) else {
        return Ok(Some(none));
    };
    let current = table.route_table_id();
    if kept.is_some_and(|kept| kept.route_table_id() == current) {
        return Ok(None);
    }
    if tags::ec2_is_ours(table.tags(), target) {
        return Ok(Some(Astray {
            association: Some(association),
            ..none
        }));
    }
    Err(Error::ResourceConflict(format!(
        "{} is associated with the route table {}, which is not tagged {}={}",
        subnet_id.unwrap_or_default(),
        current.unwrap_or_default(),
        tags::CLUSTER,
        target.cluster_name
    )))
}

impl Wanted<'_> {
    fn is_for(&self, subnet_id: &str) -> bool {
        self.subnet_ids.contains(&Some(subnet_id))
    }
}

impl Compared<'_> {
    /// The same for a person.
    pub fn changes(&self) -> Vec<ResourceChange> {
        let kept = match self.kept {
            None => ResourceChange::new(KIND, self.wanted.role, Change::Create),
            Some(_) => ResourceChange::of(KIND, self.wanted.role, self.differences()),
        };
        let surplus = self.surplus.iter().filter_map(|it| it.route_table_id());
        let surplus = surplus.map(|id| ResourceChange::new(KIND, id, Change::Remove));
        std::iter::once(kept).chain(surplus).collect()
    }

    fn differences(&self) -> Vec<Difference> {
        let is = self.route.and_then(next_hop_of).unwrap_or("(none)");
        let should_be = self.wanted.next_hop.map_or("a new gateway", NextHop::id);
        let route = Difference::new(format!("Routes[{DEFAULT_DESTINATION}]"), is, should_be);
        let route = (!self.is_route_right).then_some(route);
        let associations = self.astray.iter().map(|astray| {
            let is = astray.association.and_then(|it| it.route_table_id());
            let subnet = astray.subnet_id.unwrap_or("a new subnet");
            let should_be = self.kept.and_then(RouteTable::route_table_id);
            Difference::new(
                format!("Associations[{subnet}]"),
                is.unwrap_or("(none)"),
                should_be.unwrap_or("the new table"),
            )
        });
        route.into_iter().chain(associations).collect()
    }
}

impl<'a> NextHop<'a> {
    pub fn id(self) -> &'a str {
        match self {
            Self::InternetGateway(id) | Self::NatGateway(id) => id,
        }
    }

    pub fn internet_gateway(self) -> Option<String> {
        matches!(self, Self::InternetGateway(_)).then(|| self.id().to_owned())
    }

    pub fn nat_gateway(self) -> Option<String> {
        matches!(self, Self::NatGateway(_)).then(|| self.id().to_owned())
    }

    fn is_of(self, route: &Route) -> bool {
        match self {
            Self::InternetGateway(id) => route.gateway_id() == Some(id),
            Self::NatGateway(id) => route.nat_gateway_id() == Some(id),
        }
    }
}

/// Where a route leads, if it is a gateway.
fn next_hop_of(route: &Route) -> Option<&str> {
    route.nat_gateway_id().or(route.gateway_id())
}

/// Ids of the subnets that are explicitly associated with a table.
fn associated_subnets(table: &RouteTable) -> impl Iterator<Item = &str> {
    let associations = table.associations().iter().filter(|it| is_associated(it));
    associations.filter_map(|association| association.subnet_id())
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

pub(crate) fn is_associated(association: &RouteTableAssociation) -> bool {
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

pub(crate) fn id(table: &RouteTable) -> Result<&str, Error> {
    required(table.route_table_id(), "ec2:DescribeRouteTables: an id")
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::Tag;

    use super::*;
    use crate::model::Plan;

    const WANTED: NextHop<'_> = NextHop::NatGateway("nat-1");
    const SUBNET: &str = "subnet-1";

    /// A table of ours as it should be.
    fn table(id: &str, role: &str) -> RouteTable {
        let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
        let route = Route::builder().destination_cidr_block(DEFAULT_DESTINATION);
        let route = route.nat_gateway_id("nat-1").state(RouteState::Active);
        let association = RouteTableAssociation::builder().subnet_id(SUBNET);
        RouteTable::builder()
            .route_table_id(id)
            .tags(tag(tags::CLUSTER, "demo"))
            .tags(tag(tags::ROLE, role))
            .routes(route.build())
            .associations(association.route_table_id(id).build())
            .build()
    }

    fn changes(tables: &[RouteTable]) -> Result<Vec<ResourceChange>, Error> {
        let wanted = Wanted {
            role: "role",
            next_hop: Some(WANTED),
            subnet_ids: vec![Some(SUBNET)],
        };
        compare(&Plan::example().target, tables, wanted).map(|it| it.changes())
    }

    fn differs(property: &str, is: &str, should_be: &str) -> Vec<ResourceChange> {
        let difference = Difference::new(property, is, should_be);
        vec![ResourceChange::of(KIND, "role", vec![difference])]
    }

    #[test]
    fn a_route_that_is_missing_a_black_hole_or_leads_elsewhere_differs() {
        let route = |change: fn(&mut Route)| {
            let mut table = table("rtb-1", "role");
            change(&mut table.routes.as_mut().unwrap()[0]);
            changes(&[table]).unwrap()
        };
        let property = "Routes[0.0.0.0/0]";
        let kept = vec![ResourceChange::new(KIND, "role", Change::Keep)];
        assert_eq!(route(|_| {}), kept);
        let black_hole = route(|it| it.state = Some(RouteState::Blackhole));
        assert_eq!(black_hole, differs(property, "nat-1", "nat-1"));
        let elsewhere = route(|it| it.nat_gateway_id = Some("nat-2".to_owned()));
        assert_eq!(elsewhere, differs(property, "nat-2", "nat-1"));
        let missing = route(|it| it.destination_cidr_block = None);
        assert_eq!(missing, differs(property, "(none)", "nat-1"));
    }

    #[test]
    fn a_subnet_of_another_table_of_ours_differs_and_of_somebodys_is_refused() {
        let mut kept = table("rtb-1", "role");
        kept.associations = None;
        let property = "Associations[subnet-1]";
        let none = changes(std::slice::from_ref(&kept));
        assert_eq!(none, Ok(differs(property, "(none)", "rtb-1")));
        let mut other = table("rtb-2", "another");
        let moved = changes(&[kept.clone(), other.clone()]);
        assert_eq!(moved, Ok(differs(property, "rtb-2", "rtb-1")));
        other.tags = None;
        let error = changes(&[kept, other]).unwrap_err();
        let said = "subnet-1 is associated with the route table rtb-2, which is not tagged";
        assert!(error.to_string().contains(said), "{error}");
    }

    #[test]
    fn of_several_tables_of_ours_the_used_one_is_kept_then_the_smallest_id() {
        let mut unused = table("rtb-1", "role");
        unused.associations = None;
        let removed = |id| ResourceChange::new(KIND, id, Change::Remove);
        let kept = ResourceChange::new(KIND, "role", Change::Keep);
        let all = [unused.clone(), table("rtb-2", "role")];
        assert_eq!(changes(&all), Ok(vec![kept, removed("rtb-1")]));
        let mut last = unused.clone();
        last.route_table_id = Some("rtb-3".to_owned());
        let [kept] = differs("Associations[subnet-1]", "(none)", "rtb-1")
            .try_into()
            .unwrap();
        assert_eq!(changes(&[last, unused]), Ok(vec![kept, removed("rtb-3")]));
        let made = vec![ResourceChange::new(KIND, "role", Change::Create)];
        assert_eq!(changes(&[]), Ok(made));
    }
}
