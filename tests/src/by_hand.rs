//! A cluster that hardway did not make: in a VPC without a way to the internet, with VPC endpoints
//! instead, and without a single tag.

use std::time::Duration;

use aws_sdk_ec2::types::AttributeBooleanValue;
use aws_sdk_eks::types::{
    AuthenticationMode, CreateAccessConfigRequest, FargateProfileSelector, VpcConfigRequest,
};
use serde_json::json;
use simulator::Seed;
use simulator::ec2::{EndpointKind, NewVpcEndpoint};

use crate::World;
use crate::world::{ACCOUNT, REGION, region};

/// The name of the cluster.
pub const CLUSTER: &str = "by-hand";
/// The services that it has endpoints for.
const SERVICES: [&str; 5] = ["ecr.api", "ecr.dkr", "s3", "sts", "logs"];

/// What it lives in.
struct Network {
    vpc: String,
    subnets: Vec<String>,
    /// The security group of the endpoints.
    group: String,
}

/// Makes it, with CoreDNS on Fargate, and waits until all of it is old.
///
/// # Panics
/// If AWS refuses something.
pub async fn make(world: &World) {
    let network = network(world).await;
    let [cluster_role, pod_role] = roles(world).await;
    // IAM spreads them.
    wait(5).await;
    cluster(world, &network, &cluster_role).await;
    endpoints(world, &network).await;
    let selector = FargateProfileSelector::builder().namespace("kube-system");
    let call = world.aws().eks().create_fargate_profile();
    let call = call.cluster_name(CLUSTER).fargate_profile_name("system");
    let call = call.pod_execution_role_arn(pod_role);
    let call = call
        .set_subnets(Some(network.subnets))
        .selectors(selector.build());
    call.send().await.unwrap();
    wait(10).await;
    let call = world.aws().eks().create_addon();
    let call = call.cluster_name(CLUSTER).addon_name("coredns");
    let call = call.configuration_values(r#"{"computeType":"Fargate"}"#);
    call.send().await.unwrap();
    wait(30).await;
    assert!(world.coredns_runs(CLUSTER));
}

async fn wait(minutes: u64) {
    tokio::time::sleep(Duration::from_mins(minutes)).await;
}

async fn network(world: &World) -> Network {
    let ec2 = world.aws().ec2().clone();
    let made = ec2.create_vpc().cidr_block("10.9.0.0/16").send().await;
    let vpc = made.unwrap().vpc.unwrap().vpc_id.unwrap();
    let on = AttributeBooleanValue::builder().value(true).build();
    let call = ec2.modify_vpc_attribute().vpc_id(&vpc);
    call.enable_dns_hostnames(on).send().await.unwrap();
    let mut subnets = vec![];
    for (block, zone) in [("10.9.0.0/24", "apne1-az1"), ("10.9.1.0/24", "apne1-az4")] {
        let call = ec2.create_subnet().vpc_id(&vpc).cidr_block(block);
        let made = call.availability_zone_id(zone).send().await.unwrap();
        subnets.push(made.subnet.unwrap().subnet_id.unwrap());
    }
    let call = ec2.create_security_group().vpc_id(&vpc);
    let call = call.group_name("endpoints").description("VPC endpoints");
    let group = call.send().await.unwrap().group_id.unwrap();
    Network {
        vpc,
        subnets,
        group,
    }
}

/// The cluster's role and the pods'.
async fn roles(world: &World) -> [String; 2] {
    let iam = world.aws().iam().clone();
    let call = iam.create_service_linked_role();
    call.aws_service_name("eks.amazonaws.com")
        .send()
        .await
        .unwrap();
    let mut arns = vec![];
    for (name, service, policy) in [
        (
            "by-hand-cluster",
            "eks.amazonaws.com",
            "AmazonEKSClusterPolicy",
        ),
        (
            "by-hand-pods",
            "eks-fargate-pods.amazonaws.com",
            "AmazonEKSFargatePodExecutionRolePolicy",
        ),
    ] {
        let trust = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": "sts:AssumeRole",
        }]});
        let call = iam.create_role().role_name(name);
        let call = call.assume_role_policy_document(trust.to_string());
        arns.push(call.send().await.unwrap().role.unwrap().arn);
        let call = iam.attach_role_policy().role_name(name);
        let call = call.policy_arn(format!("arn:aws:iam::aws:policy/{policy}"));
        call.send().await.unwrap();
    }
    arns.try_into().unwrap()
}

async fn cluster(world: &World, network: &Network, role: &str) {
    let config = VpcConfigRequest::builder()
        .set_subnet_ids(Some(network.subnets.clone()))
        .endpoint_private_access(true)
        .endpoint_public_access(false);
    let access = CreateAccessConfigRequest::builder().authentication_mode(AuthenticationMode::Api);
    let call = world.aws().eks().create_cluster().name(CLUSTER);
    let call = call.role_arn(role).resources_vpc_config(config.build());
    let call = call.access_config(access.build());
    let call = call.bootstrap_self_managed_addons(false);
    call.send().await.unwrap();
    wait(15).await;
}

/// All endpoints that pods on Fargate need, open for them.
async fn endpoints(world: &World, network: &Network) {
    let described = world
        .aws()
        .eks()
        .describe_cluster()
        .name(CLUSTER)
        .send()
        .await;
    let config = described.unwrap().cluster.unwrap().resources_vpc_config;
    let pods = config.unwrap().cluster_security_group_id.unwrap();
    world.simulator.change(|state| {
        let ec2 = &mut region(state).ec2;
        let group = ec2.security_groups.get_mut(&network.group).unwrap();
        group.ingress_from.push(pods);
        let tables = ec2.route_tables.values();
        let tables = tables.filter(|table| table.vpc_id == network.vpc);
        let tables: Vec<String> = tables.map(|table| table.id.clone()).collect();
        for service in SERVICES {
            let new = NewVpcEndpoint {
                kind: if service == "s3" {
                    EndpointKind::Gateway
                } else {
                    EndpointKind::Interface
                },
                vpc_id: network.vpc.clone(),
                service_name: format!("com.amazonaws.{REGION}.{service}"),
                subnet_ids: network.subnets.clone(),
                security_groups: vec![network.group.clone()],
                route_table_ids: tables.clone(),
                private_dns_enabled: true,
                owner: ACCOUNT.to_owned(),
                ..NewVpcEndpoint::default()
            };
            ec2.add_vpc_endpoint(Seed(1), new);
        }
    });
}
