//! A simulated region for tests, seen through the real SDK.

use std::collections::BTreeMap;

use aws_sdk_eks::config::{Credentials, Region, retry::RetryConfig};
use aws_sdk_eks::error::SdkError;
use aws_sdk_eks::operation::create_access_entry::builders::CreateAccessEntryFluentBuilder;
use aws_sdk_eks::operation::create_addon::builders::CreateAddonFluentBuilder;
use aws_sdk_eks::operation::create_cluster::builders::CreateClusterFluentBuilder;
use aws_sdk_eks::operation::create_fargate_profile::builders::CreateFargateProfileFluentBuilder;
use aws_sdk_eks::operation::delete_fargate_profile::{
    DeleteFargateProfileError, DeleteFargateProfileOutput,
};
use aws_sdk_eks::operation::update_addon::builders::UpdateAddonFluentBuilder;
use aws_sdk_eks::types::builders::VpcConfigRequestBuilder;
use aws_sdk_eks::types::{
    Addon, AuthenticationMode, Cluster, ClusterStatus, CreateAccessConfigRequest,
    FargateProfileSelector, FargateProfileStatus, Update, VpcConfigRequest,
};

use crate::ec2::{EndpointKind, NewVpcEndpoint};
use crate::kubernetes::View;
use crate::state::partition;
pub(crate) use crate::testing::{code, message, wait};
use crate::{Clock, Simulator};

pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const REGION: &str = "ap-northeast-1";
const ANYWHERE: &str = "0.0.0.0/0";
const FARGATE: &str = r#"{"computeType":"Fargate"}"#;

/// A simulator in virtual time, clients of it, and a network for clusters.
pub(crate) struct World {
    pub simulator: Simulator,
    pub eks: aws_sdk_eks::Client,
    pub ec2: aws_sdk_ec2::Client,
    pub iam: aws_sdk_iam::Client,
    region: &'static str,
    network: Network,
}

/// A VPC with a public and a private subnet in each of two zones, and a NAT gateway for both.
#[derive(Default)]
pub(crate) struct Network {
    pub vpc: String,
    pub public: Vec<String>,
    pub private: Vec<String>,
    pub private_routes: String,
    pub nat_gateway: String,
}

impl World {
    /// With network and roles that everybody sees.
    pub(crate) async fn new() -> Self {
        Self::in_region(REGION, ["apne1-az1", "apne1-az4"]).await
    }

    pub(crate) async fn in_region(region: &'static str, zones: [&str; 2]) -> Self {
        let mut world = Self::empty(region);
        world.make_roles().await;
        world.make_network(zones).await;
        world
    }

    /// With a network only.
    pub(crate) async fn without_roles() -> Self {
        let mut world = Self::empty(REGION);
        world.make_network(["apne1-az1", "apne1-az4"]).await;
        world
    }

    /// Account, region and clients; nothing in it.
    fn empty(region: &'static str) -> Self {
        let simulator = Simulator::new(crate::Config {
            clock: Clock::virtual_time(),
            ..crate::Config::default()
        });
        let credentials = || Credentials::new(ACCOUNT, "secret", None, None, "test");
        let eks = aws_sdk_eks::Config::builder()
            .http_client(simulator.http_client())
            .credentials_provider(credentials())
            .region(Region::from_static(region))
            .retry_config(RetryConfig::disabled());
        let ec2 = aws_sdk_ec2::Config::builder()
            .http_client(simulator.http_client())
            .credentials_provider(credentials())
            .region(Region::from_static(region))
            .retry_config(RetryConfig::disabled());
        let iam = aws_sdk_iam::Config::builder()
            .http_client(simulator.http_client())
            .credentials_provider(credentials())
            .region(Region::from_static(region))
            .retry_config(RetryConfig::disabled());
        Self {
            eks: aws_sdk_eks::Client::from_conf(eks.build()),
            ec2: aws_sdk_ec2::Client::from_conf(ec2.build()),
            iam: aws_sdk_iam::Client::from_conf(iam.build()),
            simulator,
            region,
            network: Network::default(),
        }
    }

    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    async fn make_roles(&self) {
        self.service_linked_role().await;
        self.cluster_role().await;
        let role = self.role("pods", "eks-fargate-pods.amazonaws.com").await;
        assert_eq!(role, self.pod_role_arn());
        self.attach("pods", "AmazonEKSFargatePodExecutionRolePolicy")
            .await;
    }

    pub(crate) async fn service_linked_role(&self) {
        let call = self.iam.create_service_linked_role();
        call.aws_service_name("eks.amazonaws.com")
            .send()
            .await
            .unwrap();
    }

    pub(crate) async fn cluster_role(&self) {
        self.role("cluster", "eks.amazonaws.com").await;
        self.attach("cluster", "AmazonEKSClusterPolicy").await;
    }

    /// A role that trusts a service; its ARN.
    pub(crate) async fn role(&self, name: &str, service: &str) -> String {
        let trust = crate::iam::testing::TRUST.replace("eks.amazonaws.com", service);
        let call = self.iam.create_role().role_name(name);
        let made = call
            .assume_role_policy_document(trust)
            .send()
            .await
            .unwrap();
        made.role.unwrap().arn
    }

    async fn attach(&self, role: &str, policy: &str) {
        let partition = partition(self.region);
        let arn = format!("arn:{partition}:iam::aws:policy/{policy}");
        let call = self
            .iam
            .attach_role_policy()
            .role_name(role)
            .policy_arn(arn);
        call.send().await.unwrap();
    }

    async fn make_network(&mut self, zones: [&str; 2]) {
        let ec2 = &self.ec2;
        let vpc = ec2
            .create_vpc()
            .cidr_block("10.0.0.0/16")
            .send()
            .await
            .unwrap();
        let vpc = vpc.vpc.unwrap().vpc_id.unwrap();
        self.network.vpc = vpc.clone();
        self.set_dns_hostnames(true).await;
        let mut subnets = Vec::new();
        for (third, zone) in [(0, zones[0]), (1, zones[1]), (2, zones[0]), (3, zones[1])] {
            let call = self.ec2.create_subnet().vpc_id(&vpc);
            let call = call
                .cidr_block(format!("10.0.{third}.0/24"))
                .availability_zone_id(zone);
            let subnet = call.send().await.unwrap().subnet.unwrap();
            subnets.push(subnet.subnet_id.unwrap());
        }
        self.network.private = subnets.split_off(2);
        self.network.public = subnets;
        let gateway = self.ec2.create_internet_gateway().send().await.unwrap();
        let gateway = gateway
            .internet_gateway
            .unwrap()
            .internet_gateway_id
            .unwrap();
        let call = self
            .ec2
            .attach_internet_gateway()
            .internet_gateway_id(&gateway);
        call.vpc_id(&vpc).send().await.unwrap();
        let routes = self.route_table(&self.network.public).await;
        let call = self.ec2.create_route().route_table_id(routes);
        let call = call.destination_cidr_block(ANYWHERE).gateway_id(gateway);
        call.send().await.unwrap();
        let address = self.ec2.allocate_address().send().await.unwrap();
        let call = self
            .ec2
            .create_nat_gateway()
            .subnet_id(&self.network.public[0]);
        let made = call
            .allocation_id(address.allocation_id.unwrap())
            .send()
            .await
            .unwrap();
        self.network.nat_gateway = made.nat_gateway.unwrap().nat_gateway_id.unwrap();
        self.network.private_routes = self.route_table(&self.network.private).await;
        self.route_to_nat().await;
        wait(130).await;
    }

    pub(crate) async fn small_subnet(&self, cidr: &str) -> String {
        let call = self
            .ec2
            .create_subnet()
            .vpc_id(&self.network.vpc)
            .cidr_block(cidr);
        let made = call.availability_zone_id("apne1-az1").send().await.unwrap();
        made.subnet.unwrap().subnet_id.unwrap()
    }

    async fn route_table(&self, subnets: &[String]) -> String {
        let made = self
            .ec2
            .create_route_table()
            .vpc_id(&self.network.vpc)
            .send()
            .await;
        let id = made.unwrap().route_table.unwrap().route_table_id.unwrap();
        for subnet in subnets {
            let call = self.ec2.associate_route_table().route_table_id(&id);
            call.subnet_id(subnet).send().await.unwrap();
        }
        id
    }

    pub(crate) async fn set_dns_hostnames(&self, on: bool) {
        let value = aws_sdk_ec2::types::AttributeBooleanValue::builder()
            .value(on)
            .build();
        let call = self.ec2.modify_vpc_attribute().vpc_id(&self.network.vpc);
        call.enable_dns_hostnames(value).send().await.unwrap();
    }

    pub(crate) async fn route_to_nat(&self) {
        let call = self
            .ec2
            .create_route()
            .route_table_id(&self.network.private_routes);
        let call = call
            .destination_cidr_block(ANYWHERE)
            .nat_gateway_id(&self.network.nat_gateway);
        call.send().await.unwrap();
    }

    pub(crate) async fn remove_route_to_nat(&self) {
        let call = self
            .ec2
            .delete_route()
            .route_table_id(&self.network.private_routes);
        call.destination_cidr_block(ANYWHERE).send().await.unwrap();
    }

    /// An endpoint for a service that is open for the cluster's pods.
    pub(crate) fn vpc_endpoint(&self, service: &str) {
        let group = &self.clusters()["demo"].vpc.cluster_security_group_id;
        let new = NewVpcEndpoint {
            kind: if service == "s3" {
                EndpointKind::Gateway
            } else {
                EndpointKind::Interface
            },
            vpc_id: self.network.vpc.clone(),
            service_name: format!("com.amazonaws.{}.{service}", self.region),
            subnet_ids: self.network.private.clone(),
            security_groups: vec![group.clone()],
            route_table_ids: vec![self.network.private_routes.clone()],
            private_dns_enabled: true,
            owner: ACCOUNT.to_owned(),
            ..NewVpcEndpoint::default()
        };
        self.simulator.change(|state| {
            let account = state.accounts.get_mut(ACCOUNT).unwrap();
            let ec2 = &mut account.regions.get_mut(self.region).unwrap().ec2;
            ec2.add_vpc_endpoint(crate::Seed(1), new);
        });
    }

    /// The subnets of a cluster.
    pub(crate) fn vpc_config(&self) -> VpcConfigRequestBuilder {
        let subnets = [self.network.public.clone(), self.network.private.clone()].concat();
        VpcConfigRequest::builder().set_subnet_ids(Some(subnets))
    }

    pub(crate) fn role_arn(&self, name: &str) -> String {
        let partition = partition(self.region);
        format!("arn:{partition}:iam::{ACCOUNT}:role/{name}")
    }

    pub(crate) fn pod_role_arn(&self) -> String {
        self.role_arn("pods")
    }

    /// `CreateCluster` with access entries and without self-managed add-ons, of a version that has a next
    /// one.
    pub(crate) fn create(&self, name: &str) -> CreateClusterFluentBuilder {
        let access =
            CreateAccessConfigRequest::builder().authentication_mode(AuthenticationMode::Api);
        let call = self.eks.create_cluster().name(name);
        call.version("1.35")
            .role_arn(self.role_arn("cluster"))
            .resources_vpc_config(self.vpc_config().build())
            .access_config(access.build())
            .bootstrap_self_managed_addons(false)
    }

    pub(crate) async fn cluster_creating(&self) {
        self.create("demo").send().await.unwrap();
    }

    pub(crate) async fn cluster(&self) -> Cluster {
        let call = self.eks.describe_cluster().name("demo").send().await;
        call.unwrap().cluster.unwrap()
    }

    pub(crate) async fn seconds_until_active(&self) -> u64 {
        let mut seconds = 0;
        while self.cluster().await.status() != Some(&ClusterStatus::Active) {
            wait(1).await;
            seconds += 1;
        }
        seconds
    }

    pub(crate) async fn wait_until_active(&self) {
        wait(720).await;
        assert_eq!(self.cluster().await.status(), Some(&ClusterStatus::Active));
    }

    pub(crate) async fn cluster_active(&self) {
        self.cluster_creating().await;
        self.wait_until_active().await;
    }

    /// An active cluster with an active profile for kube-system.
    pub(crate) async fn cluster_with_profile(&self) {
        self.cluster_active().await;
        self.profile("kube-system").await;
        wait(301).await;
    }

    /// An active cluster on which CoreDNS runs.
    pub(crate) async fn cluster_with_coredns(&self) {
        self.cluster_with_profile().await;
        self.coredns(Some(FARGATE)).send().await.unwrap();
        wait(128).await;
    }

    /// A profile for the namespace of the same name.
    pub(crate) async fn profile(&self, name: &str) {
        self.create_profile(name, name).send().await.unwrap();
    }

    pub(crate) fn create_profile(
        &self,
        name: &str,
        namespace: &str,
    ) -> CreateFargateProfileFluentBuilder {
        let selector = FargateProfileSelector::builder()
            .namespace(namespace)
            .build();
        let call = self.eks.create_fargate_profile().cluster_name("demo");
        call.fargate_profile_name(name)
            .pod_execution_role_arn(self.pod_role_arn())
            .set_subnets(Some(self.network.private.clone()))
            .selectors(selector)
    }

    pub(crate) async fn delete_profile(
        &self,
        name: &str,
    ) -> Result<DeleteFargateProfileOutput, SdkError<DeleteFargateProfileError>> {
        let call = self.eks.delete_fargate_profile().cluster_name("demo");
        call.fargate_profile_name(name).send().await
    }

    pub(crate) async fn profile_status(&self, name: &str) -> Option<FargateProfileStatus> {
        let call = self.eks.describe_fargate_profile().cluster_name("demo");
        let call = call.fargate_profile_name(name).send().await.unwrap();
        call.fargate_profile.unwrap().status
    }

    pub(crate) fn coredns(&self, configuration: Option<&str>) -> CreateAddonFluentBuilder {
        let call = self
            .eks
            .create_addon()
            .cluster_name("demo")
            .addon_name("coredns");
        call.set_configuration_values(configuration.map(str::to_owned))
    }

    pub(crate) fn update_coredns(&self, configuration: &str) -> UpdateAddonFluentBuilder {
        let call = self
            .eks
            .update_addon()
            .cluster_name("demo")
            .addon_name("coredns");
        call.configuration_values(configuration)
    }

    pub(crate) async fn addon(&self) -> Addon {
        let call = self
            .eks
            .describe_addon()
            .cluster_name("demo")
            .addon_name("coredns");
        call.send().await.unwrap().addon.unwrap()
    }

    /// Whether updates of clusters that begin now come to nothing.
    pub(crate) fn fail_updates(&self, on: bool) {
        self.simulator.change(|state| {
            let account = state.accounts.entry(ACCOUNT.to_owned()).or_default();
            let region = account.regions.entry(self.region.to_owned()).or_default();
            region.eks.fails.updates = on;
        });
    }

    /// Changes what the account has in the region, by hand.
    pub(crate) fn change_eks(&self, change: impl FnOnce(&mut super::Eks)) {
        self.simulator.change(|state| {
            let account = state.accounts.get_mut(ACCOUNT).unwrap();
            change(&mut account.regions.get_mut(self.region).unwrap().eks);
        });
    }

    /// Changes the cluster by hand.
    pub(crate) fn change_cluster(&self, change: impl FnOnce(&mut super::Cluster)) {
        self.simulator.change(|state| {
            let account = state.accounts.get_mut(ACCOUNT).unwrap();
            let region = account.regions.get_mut(self.region).unwrap();
            change(region.eks.clusters.get_mut("demo").unwrap());
        });
    }

    /// An update of the cluster.
    pub(crate) async fn update(&self, id: &str) -> Update {
        let call = self.eks.describe_update().name("demo").update_id(id);
        call.send().await.unwrap().update.unwrap()
    }

    pub(crate) fn create_entry(&self, principal: &str) -> CreateAccessEntryFluentBuilder {
        let call = self.eks.create_access_entry().cluster_name("demo");
        call.principal_arn(principal)
    }

    /// The clusters as they are kept.
    pub(crate) fn clusters(&self) -> BTreeMap<String, super::Cluster> {
        let state = self.simulator.state();
        state.accounts[ACCOUNT].regions[self.region]
            .eks
            .clusters
            .clone()
    }

    pub(crate) fn view(&self) -> View {
        self.simulator
            .kubernetes(ACCOUNT, self.region, "demo")
            .unwrap()
    }
}
