//! Facts for tests: a healthy cluster, and what is built of its parts.

use aws_sdk_ec2::types::{
    IpPermission, NatGateway, NatGatewayAddress, NatGatewayState, Route, RouteState, RouteTable,
    RouteTableAssociation, SecurityGroup, SecurityGroupIdentifier, State, Subnet, UserIdGroupPair,
    VpcEndpoint, VpcEndpointType,
};
use aws_sdk_eks::primitives::DateTime;
use aws_sdk_eks::types::{
    AccessConfigResponse, AccessEntry, Addon, AddonHealth, AddonIssue, AddonIssueCode, AddonStatus,
    AuthenticationMode, Cluster, ClusterStatus, ClusterVersionInformation, FargateProfile,
    FargateProfileSelector, FargateProfileStatus, VersionStatus, VpcConfigResponse,
};
use aws_sdk_iam::types::Role;
use serde_json::{Value, json};

use crate::verify::facts::{Facts, Known, PodRole};

/// When the pod execution role was made, the profile, and the add-on: in this order, far apart.
pub const ROLE_MADE: i64 = 1_000_000;
pub const PROFILE_MADE: i64 = 1_001_000;
const ADDON_MADE: i64 = 1_002_000;

const PREFIX: &str = "arn:aws:eks:ap-northeast-1:111122223333";

/// A cluster `demo` with one profile in `subnet-a` and `subnet-b`, which go out through `nat-1` in
/// `subnet-p`.
pub fn healthy() -> Facts {
    Facts {
        cluster: cluster(),
        profiles: Known::Read(vec![profile("kube-system")]),
        coredns: Known::Read(Some(addon(AddonStatus::Active))),
        node_groups: Known::Read(vec![]),
        version: Known::Read(Some(
            ClusterVersionInformation::builder()
                .version_status(VersionStatus::StandardSupport)
                .build(),
        )),
        blocking_insights: Known::Read(vec![]),
        dns_support: Known::Read(true),
        dns_hostnames: Known::Read(true),
        subnets: Known::Read(["subnet-a", "subnet-b", "subnet-p"].map(subnet).to_vec()),
        route_tables: Known::Read(vec![private_table(), public_table()]),
        nat_gateways: Known::Read(vec![nat_gateway()]),
        vpc_endpoints: Known::Read(vec![]),
        security_groups: Known::Read(vec![]),
        pod_roles: vec![pod_role()],
        users: vec![],
        fargate_vcpus: Known::Read(6.0),
        unread: vec![],
    }
}

/// The same without the private route table's default route.
pub fn without_default_route() -> Facts {
    let mut facts = healthy();
    let private = table("rtb-private", &["subnet-a", "subnet-b"], vec![]);
    facts.route_tables = Known::Read(vec![private, public_table()]);
    facts
}

/// A cluster without a way to the internet, with all VPC endpoints that it needs.
pub fn private_only() -> Facts {
    let mut facts = without_default_route();
    let interfaces = ["ecr.api", "ecr.dkr", "sts", "logs"].map(|service| {
        let group = SecurityGroupIdentifier::builder().group_id("sg-endpoints");
        endpoint(service, VpcEndpointType::Interface)
            .groups(group.build())
            .private_dns_enabled(true)
            .build()
    });
    let s3 = endpoint("s3", VpcEndpointType::Gateway).route_table_ids("rtb-private");
    let endpoints = interfaces.into_iter().chain([s3.build()]);
    facts.vpc_endpoints = Known::Read(endpoints.collect());
    facts.nat_gateways = Known::Read(vec![]);
    let pods = UserIdGroupPair::builder().group_id("sg-cluster").build();
    let rule = IpPermission::builder()
        .ip_protocol("tcp")
        .user_id_group_pairs(pods);
    let rule = rule.from_port(443).to_port(443).build();
    let group = SecurityGroup::builder().group_id("sg-endpoints");
    facts.security_groups = Known::Read(vec![group.ip_permissions(rule).build()]);
    facts
}

fn endpoint(
    service: &str,
    kind: VpcEndpointType,
) -> aws_sdk_ec2::types::builders::VpcEndpointBuilder {
    VpcEndpoint::builder()
        .vpc_endpoint_id(format!("vpce-{service}"))
        .service_name(format!("com.amazonaws.ap-northeast-1.{service}"))
        .vpc_endpoint_type(kind)
        .state(State::Available)
}

fn cluster() -> Cluster {
    let config = VpcConfigResponse::builder()
        .vpc_id("vpc-1")
        .cluster_security_group_id("sg-cluster")
        .endpoint_private_access(true)
        .endpoint_public_access(true)
        .public_access_cidrs("0.0.0.0/0")
        .set_subnet_ids(Some(
            ["subnet-a", "subnet-b", "subnet-p"]
                .map(Into::into)
                .to_vec(),
        ));
    let access = AccessConfigResponse::builder().authentication_mode(AuthenticationMode::Api);
    Cluster::builder()
        .name("demo")
        .arn(format!("{PREFIX}:cluster/demo"))
        .version("1.36")
        .status(ClusterStatus::Active)
        .resources_vpc_config(config.build())
        .access_config(access.build())
        .build()
}

/// An ACTIVE profile for the namespace of the same name.
pub fn profile(namespace: &str) -> FargateProfile {
    let selector = FargateProfileSelector::builder().namespace(namespace);
    FargateProfile::builder()
        .fargate_profile_name(namespace)
        .fargate_profile_arn(format!("{PREFIX}:fargateprofile/demo/{namespace}/1"))
        .created_at(DateTime::from_secs(PROFILE_MADE))
        .pod_execution_role_arn("arn:aws:iam::111122223333:role/pods")
        .status(FargateProfileStatus::Active)
        .selectors(selector.build())
        .set_subnets(Some(["subnet-a", "subnet-b"].map(Into::into).to_vec()))
        .build()
}

fn addon(status: AddonStatus) -> Addon {
    Addon::builder()
        .addon_arn(format!("{PREFIX}:addon/demo/coredns/1"))
        .status(status)
        .configuration_values(r#"{"computeType":"Fargate"}"#)
        .created_at(DateTime::from_secs(ADDON_MADE))
        .modified_at(DateTime::from_secs(ADDON_MADE))
        .build()
}

/// The add-on without its pods.
pub fn degraded() -> Addon {
    let issue = AddonIssue::builder()
        .code(AddonIssueCode::InsufficientNumberOfReplicas)
        .message("no replicas");
    let mut addon = addon(AddonStatus::Degraded);
    addon.health = Some(AddonHealth::builder().issues(issue.build()).build());
    addon
}

pub fn subnet(id: &str) -> Subnet {
    let block = match id {
        "subnet-a" => "10.0.0.0/24",
        "subnet-b" => "10.0.1.0/24",
        _ => "10.0.2.0/24",
    };
    Subnet::builder()
        .subnet_id(id)
        .availability_zone_id("apne1-az1")
        .available_ip_address_count(200)
        .cidr_block(block)
        .build()
}

/// A default route to what the id says.
pub fn route(target: &str) -> Route {
    let route = Route::builder()
        .destination_cidr_block("0.0.0.0/0")
        .state(RouteState::Active);
    match target.split('-').next() {
        Some("nat") => route.nat_gateway_id(target),
        Some("tgw") => route.transit_gateway_id(target),
        Some("eni") => route.network_interface_id(target),
        _ => route.gateway_id(target),
    }
    .build()
}

pub fn table(id: &str, subnets: &[&str], routes: Vec<Route>) -> RouteTable {
    let associations = subnets
        .iter()
        .map(|subnet| RouteTableAssociation::builder().subnet_id(*subnet).build());
    let local = Route::builder()
        .destination_cidr_block("10.0.0.0/16")
        .gateway_id("local")
        .build();
    let routes = [local].into_iter().chain(routes);
    RouteTable::builder()
        .route_table_id(id)
        .set_associations(Some(associations.collect()))
        .set_routes(Some(routes.collect()))
        .build()
}

fn private_table() -> RouteTable {
    table(
        "rtb-private",
        &["subnet-a", "subnet-b"],
        vec![route("nat-1")],
    )
}

pub fn public_table() -> RouteTable {
    table("rtb-public", &["subnet-p"], vec![route("igw-1")])
}

pub fn nat_gateway() -> NatGateway {
    let address = NatGatewayAddress::builder().public_ip("203.0.113.10");
    NatGateway::builder()
        .nat_gateway_id("nat-1")
        .subnet_id("subnet-p")
        .state(NatGatewayState::Available)
        .nat_gateway_addresses(address.build())
        .build()
}

fn pod_role() -> PodRole {
    let policy = "arn:aws:iam::aws:policy/AmazonEKSFargatePodExecutionRolePolicy";
    let entry = AccessEntry::builder()
        .r#type("FARGATE_LINUX")
        .created_at(DateTime::from_secs(ROLE_MADE + 60));
    let trust = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"Service": "eks-fargate-pods.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"ArnLike": {"aws:SourceArn": format!("{PREFIX}:fargateprofile/demo/*")}},
    }]});
    PodRole {
        arn: "arn:aws:iam::111122223333:role/pods".to_owned(),
        role: Known::Read(Some(role_with_trust(&trust))),
        attached: Known::Read(vec![policy.to_owned()]),
        inline: Known::Read(vec![]),
        entry: Known::Read(Some(entry.build())),
    }
}

/// The pod execution role with a trust policy, encoded as IAM does it.
pub fn role_with_trust(trust: &Value) -> Role {
    let encode = percent_encoding::utf8_percent_encode;
    let text = trust.to_string();
    let text = encode(&text, percent_encoding::NON_ALPHANUMERIC).to_string();
    Role::builder()
        .path("/")
        .role_name("pods")
        .role_id("AROAEXAMPLE")
        .arn("arn:aws:iam::111122223333:role/pods")
        .create_date(aws_sdk_iam::primitives::DateTime::from_secs(ROLE_MADE))
        .assume_role_policy_document(text)
        .build()
        .unwrap()
}
