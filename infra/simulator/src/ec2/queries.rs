//! What other services ask of the networking. They see everything, also what a call would not see
//! yet.

use ipnet::Ipv4Net;
use jiff::Timestamp;

use super::block_public_access::Mode;
use super::nat_gateway::State;
use super::route::Target;
use super::subnet::RESERVED;
use super::{Address, Ec2, EndpointKind, InternetGateway, RouteTable, Subnet, Vpc, VpcEndpoint};

/// All of the internet.
const ANYWHERE: Ipv4Net = Ipv4Net::new_assert(std::net::Ipv4Addr::UNSPECIFIED, 0);

impl Ec2 {
    /// The VPC with the id.
    #[must_use]
    pub fn vpc(&self, id: &str) -> Option<&Vpc> {
        self.vpcs.get(id)
    }

    /// The subnet with the id.
    #[must_use]
    pub fn subnet(&self, id: &str) -> Option<&Subnet> {
        self.subnets.get(id)
    }

    /// Whether a VPC has DNS support and DNS host names; neither if there is no such VPC.
    #[must_use]
    pub fn dns(&self, vpc_id: &str) -> (bool, bool) {
        let vpc = self.vpc(vpc_id);
        vpc.map_or((false, false), |vpc| (vpc.dns_support, vpc.dns_hostnames))
    }

    /// The internet gateway that is attached to a VPC.
    #[must_use]
    pub fn internet_gateway_of(&self, vpc_id: &str) -> Option<&InternetGateway> {
        let mut gateways = self.internet_gateways.values();
        gateways.find(|gateway| gateway.vpc_id.as_deref() == Some(vpc_id))
    }

    /// The address that is associated with a network interface.
    #[must_use]
    pub fn address_of_interface(&self, interface_id: &str) -> Option<&Address> {
        self.addresses.values().find(|address| {
            let association = address.association.as_ref();
            association.is_some_and(|association| association.interface_id == interface_id)
        })
    }

    /// The route table that a subnet uses: its own, else the VPC's main one.
    #[must_use]
    pub fn route_table_of(&self, subnet_id: &str) -> Option<&RouteTable> {
        let vpc_id = &self.subnet(subnet_id)?.vpc_id;
        let of_vpc = || (self.route_tables.values()).filter(|table| table.vpc_id == *vpc_id);
        let is_own = |table: &&RouteTable| {
            (table.associations.values())
                .any(|association| association.subnet_id.as_deref() == Some(subnet_id))
        };
        of_vpc()
            .find(is_own)
            .or_else(|| of_vpc().find(|table| table.is_main()))
    }

    /// Whether a subnet is private: its route table has no route to an internet gateway.
    #[must_use]
    pub fn is_private(&self, subnet_id: &str) -> bool {
        self.route_table_of(subnet_id).is_some_and(|table| {
            let mut routes = table.routes.iter();
            !routes.any(|route| matches!(route.target, Target::InternetGateway(_)))
        })
    }

    /// Whether what is in a subnet reaches the internet through NAT now: the subnet's default route
    /// goes to a public NAT gateway of the same VPC that is available, and the default route of that
    /// gateway's subnet to the VPC's internet gateway.
    #[must_use]
    pub fn has_working_nat_route(&self, subnet_id: &str, now: Timestamp) -> bool {
        let Some(Target::NatGateway(id)) = self.default_target(subnet_id) else {
            return false;
        };
        let (Some(gateway), Some(subnet)) = (self.nat_gateways.get(id), self.subnet(subnet_id))
        else {
            return false;
        };
        let Some(Target::InternetGateway(way_out)) = self.default_target(&gateway.subnet_id) else {
            return false;
        };
        let attached = self.internet_gateway_of(&gateway.vpc_id);
        let place = [gateway.subnet_id.as_str(), gateway.vpc_id.as_str()];
        gateway.state(now) == State::Available
            && self.block_public_access.mode_for(&place) != Mode::BlockBidirectional
            && gateway.allocation_id.is_some()
            && gateway.vpc_id == subnet.vpc_id
            && attached.is_some_and(|attached| attached.id == *way_out)
    }

    /// Whether what is in a subnet, and in a security group, pulls images and gets credentials without
    /// the internet, through VPC endpoints (EKS user guide, private clusters; Amazon ECR user guide,
    /// interface VPC endpoints: images' layers come from S3).
    #[must_use]
    pub fn has_endpoints_for_pods(&self, subnet_id: &str, group_id: &str) -> bool {
        let Some(subnet) = self.subnet(subnet_id) else {
            return false;
        };
        let table = self.route_table_of(subnet_id).map(|table| &table.id);
        let lets_in = |endpoint: &VpcEndpoint| match endpoint.kind {
            EndpointKind::Gateway => endpoint.route_table_ids.iter().any(|id| Some(id) == table),
            EndpointKind::Interface => endpoint.security_groups.iter().any(|id| {
                let group = self.security_groups.get(id);
                group.is_some_and(|group| group.ingress_from.iter().any(|from| from == group_id))
            }),
        };
        ["ecr.api", "ecr.dkr", "s3", "sts"].iter().all(|service| {
            let mut endpoints = self.vpc_endpoints.values();
            endpoints.any(|it| it.answers_for(&subnet.vpc_id, service) && lets_in(it))
        })
    }

    /// When the last of the interfaces in a security group goes, of those that go by themselves.
    #[must_use]
    pub fn last_end_of_interfaces_in(&self, group_id: &str) -> Option<Timestamp> {
        let interfaces = self.network_interfaces.values();
        let worn = interfaces.filter(|it| it.security_groups.iter().any(|id| id == group_id));
        worn.filter_map(|interface| interface.gone_at).max()
    }

    /// How many addresses of a subnet are free; none if there is no such subnet.
    #[must_use]
    pub fn free_addresses(&self, subnet_id: &str) -> u32 {
        let Some(subnet) = self.subnet(subnet_id) else {
            return 0;
        };
        let interfaces = self.network_interfaces.values();
        let used = interfaces.filter(|interface| interface.subnet_id == subnet_id);
        let used = u32::try_from(used.count()).unwrap_or(u32::MAX);
        subnet.size().saturating_sub(RESERVED).saturating_sub(used)
    }

    fn default_target(&self, subnet_id: &str) -> Option<&Target> {
        let mut routes = self.route_table_of(subnet_id)?.routes.iter();
        let route = routes.find(|route| route.destination == ANYWHERE)?;
        Some(&route.target)
    }
}

#[cfg(test)]
mod tests {
    use crate::ec2::testing::{ANYWHERE, World, wait};

    #[tokio::test(start_paused = true)]
    async fn private_subnet_reaches_the_internet_through_its_nat_gateway() {
        let world = World::new();
        let network = world.network().await;
        let now = world.simulator.now();
        world.read(|ec2| {
            assert!(ec2.is_private(&network.private));
            assert!(!ec2.is_private(&network.public));
            assert!(ec2.has_working_nat_route(&network.private, now));
            assert!(!ec2.has_working_nat_route(&network.public, now));
        });
    }

    #[tokio::test(start_paused = true)]
    async fn pending_or_deleted_nat_gateway_does_not_work() {
        let world = World::new();
        let network = world.network().await;
        let call = world.ec2.delete_nat_gateway();
        call.nat_gateway_id(&network.nat_gateway)
            .send()
            .await
            .unwrap();
        wait(115).await;
        let works = || {
            let now = world.simulator.now();
            world.read(|ec2| ec2.has_working_nat_route(&network.private, now))
        };
        assert!(!works());
        let id = world
            .nat_gateway(&network.public, &network.allocation)
            .await;
        let call = world
            .ec2
            .replace_route()
            .route_table_id(&network.private_routes);
        let call = call.destination_cidr_block(ANYWHERE).nat_gateway_id(id);
        call.send().await.unwrap();
        assert!(!works());
        wait(125).await;
        assert!(works());
    }

    #[tokio::test(start_paused = true)]
    async fn nat_gateway_in_a_private_subnet_does_not_work() {
        let world = World::new();
        let network = world.network().await;
        let call = world
            .ec2
            .delete_route()
            .route_table_id(&network.public_routes);
        let call = call.destination_cidr_block(ANYWHERE);
        call.send().await.unwrap();
        let now = world.simulator.now();
        assert!(!world.read(|ec2| ec2.has_working_nat_route(&network.private, now)));
    }

    #[tokio::test(start_paused = true)]
    async fn subnet_without_association_uses_the_main_table() {
        let world = World::new();
        let network = world.network().await;
        let other = world.subnet(&network.vpc, "10.0.2.0/24").await;
        world.read(|ec2| {
            assert!(ec2.route_table_of(&other).unwrap().is_main());
            assert!(ec2.is_private(&other));
            assert_eq!(
                ec2.route_table_of(&network.private).unwrap().id,
                network.private_routes
            );
            assert!(!ec2.has_working_nat_route(&other, world.simulator.now()));
        });
    }
}
