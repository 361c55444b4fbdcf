//! The network: what there is of it, found by its tags.

use aws_sdk_ec2::types::{
    InternetGateway, NatGateway, NatGatewayState, RouteState, RouteTable, Subnet, Tag, Vpc,
    VpcAttributeName,
};

use super::{Change, Resource};
use crate::aws::{Aws, list};
use crate::contract::{During, Error};
use crate::model::plan::Zone;
use crate::model::{Plan, tags};
use crate::resources::route_tables;

/// In two parts, because other things are made between them.
pub(super) struct Network {
    /// The VPC and its subnets.
    pub base: Vec<Resource>,
    /// Gateways, addresses and route tables.
    pub routes: Vec<Resource>,
}

/// By which the AWS Load Balancer Controller finds public and private subnets.
const LOAD_BALANCER_TAGS: [(&str, &str); 2] = [
    ("public", "kubernetes.io/role/elb"),
    ("private", "kubernetes.io/role/internal-elb"),
];
const EVERYWHERE: &str = "0.0.0.0/0";

/// What there is in EC2 of the cluster's.
struct Found {
    vpc: Option<Vpc>,
    subnets: Vec<Subnet>,
    internet_gateway: Option<InternetGateway>,
    /// Those that work or will.
    nat_gateways: Vec<NatGateway>,
    route_tables: Vec<RouteTable>,
}

pub(super) async fn find(aws: &Aws, plan: &Plan) -> Result<Network, Error> {
    let found = Found {
        vpc: vpc(aws, plan).await?,
        subnets: subnets(aws, plan).await?,
        internet_gateway: internet_gateway(aws, plan).await?,
        nat_gateways: nat_gateways(aws, plan).await?,
        route_tables: vec![],
    };
    let route_tables = match found.vpc.as_ref().and_then(Vpc::vpc_id) {
        Some(id) => route_tables::find(aws, id).await?,
        None => vec![],
    };
    let found = Found {
        route_tables,
        ..found
    };
    let has_dns = has_dns(aws, found.vpc.as_ref()).await?;
    let mut base = vec![Resource::new(
        "AWS::EC2::VPC",
        "vpc",
        Change::to_right(has_dns),
    )];
    for zone in &plan.network.zones {
        base.extend(LOAD_BALANCER_TAGS.map(|(kind, tag)| {
            let role = format!("{kind}-{}", zone.id);
            let subnet = found.subnet(plan, &role);
            let is_right = subnet.map(|it| tags::ec2_value(it.tags(), tag) == Some("1"));
            Resource::new("AWS::EC2::Subnet", role, Change::to_right(is_right))
        }));
    }
    let addresses = addresses(aws, plan).await?;
    Ok(Network {
        base,
        routes: found.routes(plan, &addresses),
    })
}

impl Found {
    fn subnet(&self, plan: &Plan, role: &str) -> Option<&Subnet> {
        let is_ours = |subnet: &&Subnet| tags::ec2_is(subnet.tags(), &plan.target, role);
        self.subnets.iter().find(is_ours)
    }

    fn nat_gateway(&self, plan: &Plan, zone: &Zone) -> Option<&NatGateway> {
        let role = format!("nat-gateway-{}", zone.id);
        let is_ours = |it: &&NatGateway| tags::ec2_is(it.tags(), &plan.target, &role);
        self.nat_gateways.iter().find(is_ours)
    }

    /// `addresses` are the tags of the cluster's addresses.
    fn routes(&self, plan: &Plan, addresses: &[Vec<Tag>]) -> Vec<Resource> {
        let mut routes = vec![];
        let gateway = self.internet_gateway.as_ref();
        let vpc_id = self.vpc.as_ref().and_then(Vpc::vpc_id);
        let is_attached = gateway.map(|gateway| {
            let attachment = gateway.attachments().first();
            vpc_id.is_some() && attachment.and_then(|it| it.vpc_id()) == vpc_id
        });
        routes.push(Resource::new(
            "AWS::EC2::InternetGateway",
            "internet-gateway",
            Change::to_right(is_attached),
        ));
        let next_hop = gateway.and_then(InternetGateway::internet_gateway_id);
        let subnets: Vec<String> = (plan.network.zones.iter())
            .map(|zone| format!("public-{}", zone.id))
            .collect();
        routes.push(self.route_table(plan, "public-routes", next_hop, &subnets));
        for zone in plan.network.nat_zones() {
            let role = format!("nat-gateway-{}", zone.id);
            let is_live = self.nat_gateway(plan, zone).is_some();
            let has_address = addresses
                .iter()
                .any(|tags| tags::ec2_is(tags, &plan.target, &role));
            let address = Change::to_right((is_live || has_address).then_some(true));
            let gateway = Change::to_right(is_live.then_some(true));
            routes.push(Resource::new("AWS::EC2::EIP", &role, address));
            routes.push(Resource::new("AWS::EC2::NatGateway", &role, gateway));
        }
        for zone in &plan.network.zones {
            let gateway = self.nat_gateway(plan, plan.network.nat_zone_of(zone));
            let next_hop = gateway.and_then(NatGateway::nat_gateway_id);
            let role = format!("private-routes-{}", zone.id);
            let subnets = [format!("private-{}", zone.id)];
            routes.push(self.route_table(plan, &role, next_hop, &subnets));
        }
        routes
    }

    /// A table is right if its default route leads to the gateway, and the subnets are associated with it.
    fn route_table(
        &self,
        plan: &Plan,
        role: &str,
        next_hop: Option<&str>,
        subnets: &[String],
    ) -> Resource {
        let is_ours = |table: &&RouteTable| tags::ec2_is(table.tags(), &plan.target, role);
        let table = self.route_tables.iter().find(is_ours);
        let is_right = table.map(|table| {
            next_hop.is_some_and(|next_hop| leads_to(table, next_hop))
                && subnets.iter().all(|role| {
                    let id = self.subnet(plan, role).and_then(Subnet::subnet_id);
                    let mut associations = table.associations().iter();
                    id.is_some() && associations.any(|it| it.subnet_id() == id)
                })
        });
        Resource::new("AWS::EC2::RouteTable", role, Change::to_right(is_right))
    }
}

fn leads_to(table: &RouteTable, next_hop: &str) -> bool {
    table.routes().iter().any(|route| {
        route.destination_cidr_block() == Some(EVERYWHERE)
            && route.state() != Some(&RouteState::Blackhole)
            && [route.gateway_id(), route.nat_gateway_id()].contains(&Some(next_hop))
    })
}

/// Of several, the one that the step `vpc` keeps when none has subnets.
async fn vpc(aws: &Aws, plan: &Plan) -> Result<Option<Vpc>, Error> {
    let call = aws.ec2().describe_vpcs();
    let call = call.set_filters(Some(tags::ec2_filters_for(&plan.target, "vpc")));
    let vpcs = list!(call).await.during("ec2:DescribeVpcs")?;
    let first = vpcs.into_iter().min_by_key(|vpc| vpc.vpc_id.clone());
    let Some(vpc) = first else {
        return Ok(None);
    };
    let (wanted, actual) = (plan.network.cidr.to_string(), vpc.cidr_block());
    if actual == Some(&wanted) {
        return Ok(Some(vpc));
    }
    Err(Error::ResourceConflict(format!(
        "the cluster {} has its VPC already: {} with the CIDR block {}, while network.cidr asks for \
         {wanted}",
        plan.target.cluster_name,
        vpc.vpc_id().unwrap_or_default(),
        actual.unwrap_or("(none)")
    )))
}

/// Whether both of the VPC's DNS attributes are on; none if there is no VPC.
async fn has_dns(aws: &Aws, vpc: Option<&Vpc>) -> Result<Option<bool>, Error> {
    let Some(vpc) = vpc else {
        return Ok(None);
    };
    let id = vpc.vpc_id().unwrap_or_default();
    for name in [
        VpcAttributeName::EnableDnsSupport,
        VpcAttributeName::EnableDnsHostnames,
    ] {
        let call = aws.ec2().describe_vpc_attribute().vpc_id(id);
        let answer = call.attribute(name).send().await;
        let answer = answer.during("ec2:DescribeVpcAttribute")?;
        let attribute = answer.enable_dns_support.or(answer.enable_dns_hostnames);
        if attribute.and_then(|it| it.value) != Some(true) {
            return Ok(Some(false));
        }
    }
    Ok(Some(true))
}

async fn subnets(aws: &Aws, plan: &Plan) -> Result<Vec<Subnet>, Error> {
    let call = aws.ec2().describe_subnets();
    let call = call.set_filters(Some(tags::ec2_filters(&plan.target)));
    list!(call).await.during("ec2:DescribeSubnets")
}

async fn internet_gateway(aws: &Aws, plan: &Plan) -> Result<Option<InternetGateway>, Error> {
    let call = aws.ec2().describe_internet_gateways();
    let filters = tags::ec2_filters_for(&plan.target, "internet-gateway");
    let call = call.set_filters(Some(filters));
    let gateways = list!(call).await.during("ec2:DescribeInternetGateways")?;
    let is_idle = |it: &InternetGateway| it.attachments().is_empty();
    let best = gateways
        .into_iter()
        .min_by_key(|it| (is_idle(it), it.internet_gateway_id.clone()));
    Ok(best)
}

async fn nat_gateways(aws: &Aws, plan: &Plan) -> Result<Vec<NatGateway>, Error> {
    let call = aws.ec2().describe_nat_gateways();
    let call = call.set_filter(Some(tags::ec2_filters(&plan.target)));
    let mut gateways = list!(call).await.during("ec2:DescribeNatGateways")?;
    gateways.retain(|gateway| {
        matches!(
            gateway.state(),
            Some(NatGatewayState::Pending | NatGatewayState::Available)
        )
    });
    Ok(gateways)
}

/// The tags of the cluster's addresses.
async fn addresses(aws: &Aws, plan: &Plan) -> Result<Vec<Vec<Tag>>, Error> {
    let call = aws.ec2().describe_addresses();
    let call = call.set_filters(Some(tags::ec2_filters(&plan.target)));
    let answer = call.send().await.during("ec2:DescribeAddresses")?;
    let addresses = answer.addresses.unwrap_or_default().into_iter();
    Ok(addresses.filter_map(|address| address.tags).collect())
}
