//! A simulated region for tests, seen through the real SDK.

use aws_sdk_ec2::config::{Credentials, Region, retry::RetryConfig};
use aws_sdk_ec2::types::{NatGateway, ResourceType, RouteTable, Subnet, Tag, TagSpecification};
use aws_sdk_ec2::{Client, Config};

pub(super) use crate::testing::{code_of as code, wait};
use crate::{Clock, Simulator, State};

pub(crate) const ACCOUNT: &str = "111122223333";
pub(super) const REGION: &str = "ap-northeast-1";
pub(super) const ANYWHERE: &str = "0.0.0.0/0";

/// A simulator in virtual time and a client of it.
pub(crate) struct World {
    pub simulator: Simulator,
    pub ec2: Client,
}

impl World {
    pub(crate) fn new() -> Self {
        let simulator = Simulator::new(crate::Config {
            clock: Clock::virtual_time(),
            ..crate::Config::default()
        });
        let ec2 = client(&simulator, ACCOUNT, REGION);
        Self { simulator, ec2 }
    }

    /// Changes the networking by hand.
    pub(super) fn change(&self, change: impl FnOnce(&mut super::Ec2)) {
        self.simulator.change(|state| change(networking(state)));
    }

    /// Reads the networking.
    pub(super) fn read<R>(&self, read: impl FnOnce(&super::Ec2) -> R) -> R {
        read(networking(&mut self.simulator.state()))
    }

    pub(super) async fn vpc(&self) -> String {
        let made = self.ec2.create_vpc().cidr_block("10.0.0.0/16").send();
        made.await.unwrap().vpc.unwrap().vpc_id.unwrap()
    }

    pub(super) async fn subnet(&self, vpc: &str, cidr: &str) -> String {
        let made = self.ec2.create_subnet().vpc_id(vpc).cidr_block(cidr);
        let made = made.availability_zone_id("apne1-az1").send().await.unwrap();
        made.subnet.unwrap().subnet_id.unwrap()
    }

    pub(super) async fn internet_gateway(&self) -> String {
        let made = self.ec2.create_internet_gateway().send().await.unwrap();
        made.internet_gateway.unwrap().internet_gateway_id.unwrap()
    }

    pub(super) async fn attach(&self, gateway: &str, vpc: &str) {
        let call = self
            .ec2
            .attach_internet_gateway()
            .internet_gateway_id(gateway);
        call.vpc_id(vpc).send().await.unwrap();
    }

    pub(super) async fn address(&self) -> String {
        let made = self.ec2.allocate_address().send().await.unwrap();
        made.allocation_id.unwrap()
    }

    /// A public NAT gateway, pending.
    pub(super) async fn nat_gateway(&self, subnet: &str, allocation: &str) -> String {
        let call = self.ec2.create_nat_gateway().subnet_id(subnet);
        let made = call.allocation_id(allocation).send().await.unwrap();
        made.nat_gateway.unwrap().nat_gateway_id.unwrap()
    }

    pub(super) async fn route_table(&self, vpc: &str) -> String {
        let made = self
            .ec2
            .create_route_table()
            .vpc_id(vpc)
            .send()
            .await
            .unwrap();
        made.route_table.unwrap().route_table_id.unwrap()
    }

    pub(super) async fn associate(&self, table: &str, subnet: &str) -> String {
        let call = self.ec2.associate_route_table().route_table_id(table);
        call.subnet_id(subnet)
            .send()
            .await
            .unwrap()
            .association_id
            .unwrap()
    }

    pub(super) async fn describe_nat_gateway(&self, id: &str) -> NatGateway {
        let call = self.ec2.describe_nat_gateways().nat_gateway_ids(id).send();
        call.await.unwrap().nat_gateways.unwrap().remove(0)
    }

    pub(super) async fn describe_route_table(&self, id: &str) -> RouteTable {
        let call = self.ec2.describe_route_tables().route_table_ids(id).send();
        call.await.unwrap().route_tables.unwrap().remove(0)
    }

    pub(super) async fn describe_subnet(&self, id: &str) -> Subnet {
        let call = self.ec2.describe_subnets().subnet_ids(id).send();
        call.await.unwrap().subnets.unwrap().remove(0)
    }

    /// A VPC with a public subnet that has an available NAT gateway, and a private one that routes to
    /// it.
    pub(super) async fn network(&self) -> Network {
        let vpc = self.vpc().await;
        let public = self.subnet(&vpc, "10.0.0.0/24").await;
        let private = self.subnet(&vpc, "10.0.1.0/24").await;
        let internet_gateway = self.internet_gateway().await;
        self.attach(&internet_gateway, &vpc).await;
        let allocation = self.address().await;
        let nat_gateway = self.nat_gateway(&public, &allocation).await;

        let public_routes = self.route_table(&vpc).await;
        let call = self.ec2.create_route().route_table_id(&public_routes);
        let call = call
            .destination_cidr_block(ANYWHERE)
            .gateway_id(&internet_gateway);
        call.send().await.unwrap();
        self.associate(&public_routes, &public).await;

        let private_routes = self.route_table(&vpc).await;
        let call = self.ec2.create_route().route_table_id(&private_routes);
        let call = call
            .destination_cidr_block(ANYWHERE)
            .nat_gateway_id(&nat_gateway);
        call.send().await.unwrap();
        self.associate(&private_routes, &private).await;
        wait(130).await;
        Network {
            vpc,
            public,
            private,
            internet_gateway,
            allocation,
            nat_gateway,
            public_routes,
            private_routes,
        }
    }
}

/// The ids of [`World::network`].
pub(super) struct Network {
    pub vpc: String,
    pub public: String,
    pub private: String,
    pub internet_gateway: String,
    pub allocation: String,
    pub nat_gateway: String,
    pub public_routes: String,
    pub private_routes: String,
}

/// A client whose calls are not retried.
pub(crate) fn client(simulator: &Simulator, account: &str, region: &'static str) -> Client {
    let config = Config::builder()
        .http_client(simulator.http_client())
        .credentials_provider(Credentials::new(account, "secret", None, None, "test"))
        .region(Region::from_static(region))
        .retry_config(RetryConfig::disabled());
    Client::from_conf(config.build())
}

pub(super) fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}

pub(super) fn tagged(kind: ResourceType, tags: &[(&str, &str)]) -> TagSpecification {
    let tags = tags.iter().map(|(key, value)| tag(key, value)).collect();
    TagSpecification::builder()
        .resource_type(kind)
        .set_tags(Some(tags))
        .build()
}

fn networking(state: &mut State) -> &mut super::Ec2 {
    let account = state.accounts.entry(ACCOUNT.to_owned()).or_default();
    let region = account.regions.entry(REGION.to_owned()).or_default();
    &mut region.ec2
}
