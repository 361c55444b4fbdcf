//! The network: what there is of it, beside the plan.

use crate::aws::Aws;
use crate::contract::Error;
use crate::model::plan::Zone;
use crate::model::{Plan, tags};
use crate::resources::resource_change::ResourceChange;
use crate::resources::route_table::{self, NextHop, PUBLIC_ROLE, Wanted};
use crate::resources::{internet_gateway, nat_gateway, subnet, vpc};

/// In two parts, because other things are made between them.
pub(super) struct Network {
    /// The VPC and its subnets.
    pub base: Vec<ResourceChange>,
    /// Gateways, addresses and route tables.
    pub routes: Vec<ResourceChange>,
    /// Ids of the private subnets; none for those that are to be made.
    pub private_subnet_ids: Vec<Option<String>>,
}

pub(super) async fn compare(
    aws: &Aws,
    plan: &Plan,
    notes: &mut Vec<String>,
) -> Result<Network, Error> {
    let target = &plan.target;
    let seen = vpc::observe(aws, target).await?;
    let of_vpc = vpc::compare(plan, &seen)?;
    let vpc_id = of_vpc.id();

    let seen = subnet::observe(aws, plan, vpc_id).await?;
    let subnets = subnet::compare(plan, vpc_id, &seen)?;
    let subnet_id = |role: &str| {
        let subnet = subnets.iter().find(|it| it.wanted.role == role)?;
        subnet.found?.subnet_id()
    };
    let public_subnet = |zone: &Zone| subnet_id(&subnet::public_role(zone));
    let mut base = of_vpc.changes();
    base.extend(subnets.iter().map(subnet::Compared::change));

    let seen = internet_gateway::observe(aws, target, vpc_id).await?;
    let internet_gateway = internet_gateway::compare(target, vpc_id, &seen)?;
    let seen = nat_gateway::observe(aws, plan).await?;
    let stay = seen.not_planned(plan).into_iter();
    notes.extend(stay.map(|id| {
        format!("the NAT gateway {id} stays, and costs, though the input asks for fewer: routes may lead to it")
    }));
    let nat_gateways = nat_gateway::compare(plan, public_subnet, &seen)?;
    let tables = match vpc_id {
        Some(vpc_id) => route_table::find(aws, tags::ec2_in_vpc(vpc_id)).await?,
        None => vec![],
    };

    let mut routes = internet_gateway.changes();
    let zones = plan.network.zones.iter();
    let wanted = Wanted {
        role: PUBLIC_ROLE,
        next_hop: internet_gateway.id().map(NextHop::InternetGateway),
        subnet_ids: zones.map(public_subnet).collect(),
    };
    routes.extend(route_table::compare(target, &tables, wanted)?.changes());
    for gateway in &nat_gateways {
        routes.extend(gateway.changes()?);
    }
    for zone in &plan.network.zones {
        let nat_zone = plan.network.nat_zone_of(zone);
        let gateway = nat_gateways.iter().find(|it| it.zone.id == nat_zone.id);
        let gateway = gateway.and_then(|it| it.kept?.nat_gateway_id());
        let wanted = Wanted {
            role: &route_table::private_role(zone),
            next_hop: gateway.map(NextHop::NatGateway),
            subnet_ids: vec![subnet_id(&subnet::private_role(zone))],
        };
        routes.extend(route_table::compare(target, &tables, wanted)?.changes());
    }
    let zones = plan.network.zones.iter();
    let private_subnet = |zone| subnet_id(&subnet::private_role(zone)).map(ToOwned::to_owned);
    Ok(Network {
        base,
        routes,
        private_subnet_ids: zones.map(private_subnet).collect(),
    })
}
