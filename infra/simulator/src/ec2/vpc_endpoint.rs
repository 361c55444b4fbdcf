//! VPC endpoints. Nothing here makes them: they are what others have put into a VPC.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::describe::{Resource, Spelling, describe as answer};
use super::kind::{Kind, VPC_ENDPOINT};
use super::request::Request;
use super::tags::{self, Tags};
use super::{Ec2, NewInterface};
use crate::api_error::ApiError;
use crate::seed::Seed;
use crate::xml::Element;

/// A VPC endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VpcEndpoint {
    /// `vpce-…`
    pub id: String,
    /// Whether it is of interfaces or of routes.
    pub kind: EndpointKind,
    /// The VPC that it is in.
    pub vpc_id: String,
    /// For example `com.amazonaws.ap-northeast-1.s3`.
    pub service_name: String,
    /// The account that it belongs to.
    pub owner: String,
    /// Its interfaces, one in each of its subnets; none if it is a gateway.
    pub interface_ids: Vec<String>,
    /// Ids of its interfaces' security groups.
    #[serde(default)]
    pub security_groups: Vec<String>,
    /// Ids of the route tables that lead to it, if it is a gateway.
    #[serde(default)]
    pub route_table_ids: Vec<String>,
    /// Whether the service's own name leads to it within the VPC.
    #[serde(default)]
    pub private_dns_enabled: bool,
    /// As EC2 answers it, for example `available`. Tests change it.
    pub state: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it will be gone, once its deletion has begun.
    #[serde(default)]
    pub gone_at: Option<Timestamp>,
    /// Tags.
    pub tags: Tags,
}

/// botocore's EC2 model, VpcEndpointType.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndpointKind {
    /// With network interfaces in subnets.
    #[default]
    Interface,
    /// A target of routes; it has no interfaces.
    Gateway,
}

/// What somebody wants to reach from within a VPC.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewVpcEndpoint {
    /// Whether it is of interfaces or of routes.
    pub kind: EndpointKind,
    /// The VPC.
    pub vpc_id: String,
    /// For example `com.amazonaws.ap-northeast-1.s3`.
    pub service_name: String,
    /// The subnets in which it is to have interfaces.
    pub subnet_ids: Vec<String>,
    /// Ids of the interfaces' security groups.
    pub security_groups: Vec<String>,
    /// Ids of the route tables that are to lead to it, if it is a gateway.
    pub route_table_ids: Vec<String>,
    /// Whether the service's own name is to lead to it within the VPC.
    pub private_dns_enabled: bool,
    /// The account that it belongs to.
    pub owner: String,
    /// Tags.
    pub tags: Tags,
}

/// What is in these states is not in the VPC any more (botocore's EC2 model, VpcEndpoint.State).
const OVER: &[&str] = &["deleted", "expired", "failed", "rejected"];
/// The type of an endpoint's interface (botocore's EC2 model, NetworkInterfaceType).
const INTERFACE_TYPE: &str = "vpc_endpoint";

impl EndpointKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Interface => "Interface",
            Self::Gateway => "Gateway",
        }
    }
}

impl Ec2 {
    /// Makes an endpoint, `available`, as somebody at the console would, and returns its id.
    pub fn add_vpc_endpoint(&mut self, seed: Seed, new: NewVpcEndpoint) -> String {
        let name = format!("{}/{}", new.vpc_id, new.service_name);
        let id = self.fresh_id(seed, VPC_ENDPOINT.prefix, &name);
        let subnets = match new.kind {
            EndpointKind::Interface => new.subnet_ids,
            EndpointKind::Gateway => Vec::new(),
        };
        let interface = |subnet_id| NewInterface {
            subnet_id,
            description: format!("VPC Endpoint Interface {id}"),
            requester_id: Some("amazon-vpc-endpoints".to_owned()),
            security_groups: new.security_groups.clone(),
            owner: new.owner.clone(),
        };
        let interfaces = subnets.into_iter().map(interface);
        let interface_ids = interfaces
            .map(|interface| self.add_interface_of_type(seed, interface, INTERFACE_TYPE))
            .collect();
        let vpc = self.vpcs.get(&new.vpc_id);
        let endpoint = VpcEndpoint {
            created_at: vpc.map_or(Timestamp::UNIX_EPOCH, |vpc| vpc.created_at),
            id: id.clone(),
            kind: new.kind,
            vpc_id: new.vpc_id,
            service_name: new.service_name,
            owner: new.owner,
            interface_ids,
            security_groups: new.security_groups,
            route_table_ids: new.route_table_ids,
            private_dns_enabled: new.private_dns_enabled,
            state: "available".to_owned(),
            gone_at: None,
            tags: new.tags,
        };
        self.vpc_endpoints.insert(id.clone(), endpoint);
        id
    }

    /// Removes an endpoint and its interfaces.
    pub fn remove_vpc_endpoint(&mut self, id: &str) {
        let endpoint = self.vpc_endpoints.remove(id);
        for interface_id in endpoint.into_iter().flat_map(|it| it.interface_ids) {
            self.remove_interface(&interface_id);
        }
    }
}

impl VpcEndpoint {
    /// Whether it works for who asks for the service by its own name.
    pub(super) fn answers_for(&self, vpc_id: &str, service: &str) -> bool {
        let rest = self.service_name.strip_suffix(service);
        self.vpc_id == vpc_id
            && self.state == "available"
            && rest.is_some_and(|rest| rest.ends_with('.'))
            && (self.kind == EndpointKind::Gateway || self.private_dns_enabled)
    }

    /// Whether the VPC cannot be deleted because of it, which goes for gateway endpoints as well:
    /// gruntwork-io/cloud-nuke issue 252 is a VPC without subnets that nothing but endpoints held.
    pub(super) fn holds(&self, vpc_id: &str) -> bool {
        self.vpc_id == vpc_id && !OVER.contains(&self.state.as_str())
    }
}

/// How long an endpoint is `deleting`, in seconds: an AWS workshop for EKS and GuardDuty says five to ten
/// minutes, others one.
const DELETING_SECONDS: std::ops::Range<f64> = 60.0..600.0;

/// Lets the endpoints go whose deletion is over.
pub(super) fn settle(ec2: &mut Ec2, now: Timestamp) {
    let is_gone = |it: &&VpcEndpoint| it.gone_at.is_some_and(|gone_at| gone_at <= now);
    let gone = ec2.vpc_endpoints.values().filter(is_gone);
    let gone: Vec<String> = gone.map(|it| it.id.clone()).collect();
    for id in gone {
        ec2.remove_vpc_endpoint(&id);
    }
}

/// `DeleteVpcEndpoints`: what cannot be deleted is named in the answer, which is no error (botocore's EC2
/// model).
pub(super) fn delete(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let ids = request.params.list("VpcEndpointId");
    let mut unsuccessful = vec![];
    for id in ids {
        VPC_ENDPOINT.check_form(id)?;
        let life = request
            .seed
            .duration("vpc-endpoint-delete", id, DELETING_SECONDS);
        match ec2.vpc_endpoints.get_mut(id) {
            Some(endpoint) => {
                "deleting".clone_into(&mut endpoint.state);
                let gone_at = request.now.saturating_add(life).unwrap_or(Timestamp::MAX);
                endpoint.gone_at.get_or_insert(gone_at);
            }
            None => unsuccessful.push(missing(id)),
        }
    }
    Ok(vec![Element::list("unsuccessful", "item", unsuccessful)])
}

fn missing(id: &str) -> Vec<Element> {
    let error = VPC_ENDPOINT.missing(id);
    vec![
        Element::new("error").children([
            Element::text("code", error.code),
            Element::text("message", error.message),
        ]),
        Element::text("resourceId", id),
    ]
}

/// `DescribeVpcEndpoints`.
pub(super) fn describe(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let spelling = Spelling {
        ids: "VpcEndpointId",
        set: "vpcEndpointSet",
        page_limit: Some(1000),
    };
    answer(ec2, request, &ec2.vpc_endpoints, &spelling)
}

impl Resource for VpcEndpoint {
    const KIND: Kind = VPC_ENDPOINT;
    const FILTERS: &'static [&'static str] = &[
        "ip-address-type",
        "service-name",
        "service-region",
        "vpc-endpoint-id",
        "vpc-endpoint-state",
        "vpc-endpoint-type",
        "vpc-id",
    ];

    fn tags(&self) -> &Tags {
        &self.tags
    }

    fn attribute(&self, name: &str, _: &Ec2, request: &Request<'_>) -> Vec<String> {
        let value = match name {
            "ip-address-type" => "ipv4",
            "service-name" => &self.service_name,
            "service-region" => request.region,
            "vpc-endpoint-id" => &self.id,
            "vpc-endpoint-state" => &self.state,
            "vpc-endpoint-type" => self.kind.as_str(),
            "vpc-id" => &self.vpc_id,
            _ => return Vec::new(),
        };
        vec![value.to_owned()]
    }

    fn content(&self, ec2: &Ec2, _: &Request<'_>) -> Vec<Element> {
        let interfaces = self.interface_ids.iter();
        let known = interfaces.filter_map(|id| ec2.network_interfaces.get(id));
        let mut content = vec![
            Element::text("vpcEndpointId", &self.id),
            Element::text("vpcEndpointType", self.kind.as_str()),
            Element::text("vpcId", &self.vpc_id),
            Element::text("serviceName", &self.service_name),
            Element::text("state", &self.state),
            Element::text("ownerId", &self.owner),
            Element::text("ipAddressType", "ipv4"),
            Element::text("requesterManaged", false),
            Element::text("privateDnsEnabled", self.private_dns_enabled),
            Element::text("creationTimestamp", self.created_at),
            tags::element(&self.tags),
        ];
        let (mut ids, mut subnets) = (
            Element::new("networkInterfaceIdSet"),
            Element::new("subnetIdSet"),
        );
        for interface in known {
            ids = ids.child(Element::text("item", &interface.id));
            subnets = subnets.child(Element::text("item", &interface.subnet_id));
        }
        let mut tables = Element::new("routeTableIdSet");
        for table in &self.route_table_ids {
            tables = tables.child(Element::text("item", table));
        }
        let groups = self.security_groups.iter().map(|id| {
            let name = ec2.security_groups.get(id).map_or("", |group| &group.name);
            vec![
                Element::text("groupId", id),
                Element::text("groupName", name),
            ]
        });
        let groups = Element::list("groupSet", "item", groups);
        content.extend([ids, subnets, tables, groups]);
        content
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{Filter, VpcEndpointType};

    use super::{EndpointKind, NewVpcEndpoint};
    use crate::Seed;
    use crate::ec2::testing::{World, code};

    fn add(world: &World, vpc: &str, kind: EndpointKind, subnets: &[&String]) -> String {
        let mut id = String::new();
        world.change(|ec2| {
            let new = NewVpcEndpoint {
                kind,
                vpc_id: vpc.to_owned(),
                service_name: "com.amazonaws.ap-northeast-1.s3".to_owned(),
                subnet_ids: subnets.iter().map(|id| (*id).clone()).collect(),
                ..NewVpcEndpoint::default()
            };
            id = ec2.add_vpc_endpoint(Seed(1), new);
        });
        id
    }

    #[tokio::test(start_paused = true)]
    async fn interface_endpoint_holds_its_subnets() {
        let world = World::new();
        let vpc = world.vpc().await;
        let subnet = world.subnet(&vpc, "10.0.0.0/24").await;
        let id = add(&world, &vpc, EndpointKind::Interface, &[&subnet]);
        let call = world.ec2.describe_vpc_endpoints().vpc_endpoint_ids(&id);
        let found = call.send().await.unwrap().vpc_endpoints.unwrap();
        let kind = found[0].vpc_endpoint_type.as_ref();
        assert_eq!(kind, Some(&VpcEndpointType::Interface));
        assert_eq!(found[0].subnet_ids(), std::slice::from_ref(&subnet));
        let interface = &found[0].network_interface_ids()[0];
        let call = world.ec2.describe_network_interfaces();
        let call = call.network_interface_ids(interface).send().await;
        let interface = call.unwrap().network_interfaces.unwrap().remove(0);
        let description = format!("VPC Endpoint Interface {id}");
        assert_eq!(interface.description, Some(description));
        let kind = interface.interface_type.unwrap();
        assert_eq!(kind.as_str(), "vpc_endpoint");

        let delete = || world.ec2.delete_subnet().subnet_id(&subnet).send();
        assert_eq!(code(delete().await), "DependencyViolation");
        world.change(|ec2| ec2.remove_vpc_endpoint(&id));
        delete().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn gateway_endpoint_holds_the_vpc_without_any_interface() {
        let world = World::new();
        let vpc = world.vpc().await;
        let id = add(&world, &vpc, EndpointKind::Gateway, &[]);
        for (name, value) in [
            ("vpc-id", vpc.as_str()),
            ("vpc-endpoint-state", "available"),
            ("vpc-endpoint-type", "Gateway"),
        ] {
            let filter = Filter::builder().name(name).values(value).build();
            let call = world.ec2.describe_vpc_endpoints().filters(filter).send();
            let found = call.await.unwrap().vpc_endpoints.unwrap();
            assert_eq!(found[0].vpc_endpoint_id.as_ref(), Some(&id), "{name}");
        }
        assert!(world.read(|ec2| ec2.network_interfaces.is_empty()));
        let delete = || world.ec2.delete_vpc().vpc_id(&vpc).send();
        assert_eq!(code(delete().await), "DependencyViolation");
        world.change(|ec2| {
            let endpoint = ec2.vpc_endpoints.get_mut(&id).unwrap();
            endpoint.state = "deleted".to_owned();
        });
        delete().await.unwrap();
    }
}
