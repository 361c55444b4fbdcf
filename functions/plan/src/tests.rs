use aws_sdk_ec2::operation::describe_availability_zones::DescribeAvailabilityZonesOutput;
use aws_sdk_ec2::types::{AvailabilityZone, AvailabilityZoneState};
use aws_sdk_eks::operation::describe_cluster::DescribeClusterOutput;
use aws_sdk_eks::operation::describe_cluster_versions::DescribeClusterVersionsOutput;
use aws_sdk_eks::types::{Cluster, ClusterVersionInformation, VersionStatus};
use aws_smithy_mocks::{Rule, mock};
use serde_json::{Value, json};
use step::Spec;
use step::mocks::eks_refusal;
use step::spec::NatGateways;

use super::*;

/// The refusal of an input that needs no AWS to be found wrong: field, value, what would be right.
fn refusal(members: &Value) -> (String, String, String) {
    let mut input = json!({"clusterName": "demo"});
    for (name, value) in members.as_object().unwrap() {
        input[name] = value.clone();
    }
    match validate::spec(&Spec::parse(&input).unwrap()) {
        Err(Error::InvalidRequest {
            field,
            value,
            expected,
        }) => (field, value, expected),
        other => panic!("{input}: {other:?}"),
    }
}

fn profile(name: &str, namespace: &str) -> Value {
    json!({"name": name, "selectors": [{"namespace": namespace}]})
}

#[test]
fn wrong_values_are_named_with_what_would_be_right() {
    let coredns = profile("kube-system", "kube-system");
    for (members, field, right) in [
        (json!({"clusterName": ""}), "clusterName", "1 to 100"),
        (json!({"clusterName": "a b"}), "clusterName", "1 to 100"),
        (
            json!({"clusterName": "x".repeat(101)}),
            "clusterName",
            "1 to 100",
        ),
        (json!({"region": "Tokyo"}), "region", "ap-northeast-1"),
        (
            json!({"kubernetesVersion": "v1.36"}),
            "kubernetesVersion",
            "1.36",
        ),
        (
            json!({"account": {"id": "12345678901"}}),
            "account.id",
            "twelve digits",
        ),
        (
            json!({"account": {"id": "444455556666", "roleName": "arn:aws:iam::444455556666:role/x"}}),
            "account.roleName",
            "not its ARN",
        ),
        (
            json!({"network": {"cidr": "10.0.0.0"}}),
            "network.cidr",
            "10.100.0.0/16",
        ),
        (
            json!({"network": {"cidr": "10.0.0.0/25"}}),
            "network.cidr",
            "/16 to /24",
        ),
        (
            json!({"network": {"cidr": "10.0.0.0/8"}}),
            "network.cidr",
            "/16 to /24",
        ),
        (
            json!({"network": {"cidr": "10.0.1.0/16"}}),
            "network.cidr",
            "10.0.0.0/16",
        ),
        (
            json!({"network": {"cidr": "203.0.0.0/16"}}),
            "network.cidr",
            "192.168.0.0/16",
        ),
        (
            json!({"network": {"availabilityZones": 4}}),
            "network.availabilityZones",
            "2 or 3",
        ),
        (
            json!({"endpoint": {"public": false, "private": false}}),
            "endpoint.private",
            "nobody reaches",
        ),
        (
            json!({"endpoint": {"public": false, "publicCidrs": ["0.0.0.0/0"]}}),
            "endpoint.publicCidrs",
            "no blocks",
        ),
        (
            json!({"endpoint": {"publicCidrs": ["203.0.113.7/24"]}}),
            "endpoint.publicCidrs",
            "203.0.113.0/24",
        ),
        (
            json!({"endpoint": {"publicCidrs": ["203.0.113.0/24"], "private": false}}),
            "endpoint.private",
            "cannot register",
        ),
        (json!({"fargateProfiles": []}), "fargateProfiles", "1 to 10"),
        (
            json!({"fargateProfiles": [profile("apps", "apps")]}),
            "fargateProfiles",
            "kube-system",
        ),
        (
            json!({"fargateProfiles": [coredns, coredns]}),
            "fargateProfiles[].name",
            "only once",
        ),
        (
            json!({"fargateProfiles": [coredns, profile("eks-x", "x")]}),
            "fargateProfiles[1].name",
            "eks-",
        ),
        (
            json!({"fargateProfiles": [coredns, {"name": "x", "selectors": []}]}),
            "fargateProfiles[1].selectors",
            "1 to 5",
        ),
        (
            json!({"access": {"admins": ["Admin"]}}),
            "access.admins",
            "arn:aws:iam::ACCOUNT",
        ),
        (
            json!({"access": {"admins": ["arn:aws:sts::111122223333:assumed-role/Admin/me"]}}),
            "access.admins",
            "arn:aws:iam::111122223333:role/Admin",
        ),
        (
            json!({"logging": ["audit", "audit"]}),
            "logging",
            "only once",
        ),
        (json!({"kmsKeyArn": "alias/x"}), "kmsKeyArn", "arn:aws:kms"),
        (
            json!({"permissionsBoundaryArn": "x"}),
            "permissionsBoundaryArn",
            "policy/NAME",
        ),
        (
            json!({"tags": {"Name": "x"}}),
            "tags",
            "neither AWS nor hardway",
        ),
        (
            json!({"tags": {"hardway:cluster": "x"}}),
            "tags",
            "neither AWS nor hardway",
        ),
        (
            json!({"tags": {"team": "a{b}"}}),
            "tags.team",
            "letters, digits",
        ),
    ] {
        let (was, _, expected) = refusal(&members);
        assert_eq!(was, field, "{members}");
        assert!(expected.contains(right), "{members}: {expected}");
    }
}

#[test]
fn arns_of_another_partition_are_refused() {
    let input = json!({"clusterName": "demo", "access": {"admins": ["arn:aws-cn:iam::111122223333:role/x"]}});
    let spec = Spec::parse(&input).unwrap();
    assert_eq!(validate::spec(&spec), Ok(()));
    let error = validate::partition(&spec, &Plan::example().target).unwrap_err();
    assert!(error.to_string().starts_with("access.admins"), "{error}");
}

#[test]
fn the_own_account_needs_no_role_and_another_one_gets_the_organizations_default() {
    let own = "111122223333".to_owned();
    let spec = |id: &str| AccountSpec {
        id: id.to_owned(),
        ..AccountSpec::default()
    };
    let role = |spec: Option<&AccountSpec>| account(spec, own.clone(), "aws-cn").role_arn;
    assert_eq!(role(None), None);
    assert_eq!(role(Some(&spec("111122223333"))), None);
    assert_eq!(
        role(Some(&spec("444455556666"))).as_deref(),
        Some("arn:aws-cn:iam::444455556666:role/OrganizationAccountAccessRole")
    );
}

/// A region with the zones of us-east-1 that matter: one that EKS refuses, one local zone.
fn zones() -> Rule {
    mock!(aws_sdk_ec2::Client::describe_availability_zones).then_output(|| {
        let zone = |id: &str, kind: &str| {
            AvailabilityZone::builder()
                .zone_id(id)
                .zone_name(format!("name of {id}"))
                .zone_type(kind)
                .state(AvailabilityZoneState::Available)
                .build()
        };
        DescribeAvailabilityZonesOutput::builder()
            .availability_zones(zone("use1-az4", "availability-zone"))
            .availability_zones(zone("use1-az3", "availability-zone"))
            .availability_zones(zone("use1-az2", "availability-zone"))
            .availability_zones(zone("use1-az1", "availability-zone"))
            .availability_zones(zone("use1-atl1-az1", "local-zone"))
            .build()
    })
}

fn versions() -> Rule {
    mock!(aws_sdk_eks::Client::describe_cluster_versions).then_output(|| {
        let version = |name: &str| {
            ClusterVersionInformation::builder()
                .cluster_version(name)
                .version_status(VersionStatus::StandardSupport)
                .build()
        };
        DescribeClusterVersionsOutput::builder()
            .cluster_versions(version("1.36"))
            .cluster_versions(version("1.35"))
            .build()
    })
}

fn no_cluster() -> Rule {
    mock!(aws_sdk_eks::Client::describe_cluster)
        .then_http_response(|| eks_refusal(404, "ResourceNotFoundException", "No cluster found"))
}

fn cluster_with(version: &'static str) -> Rule {
    mock!(aws_sdk_eks::Client::describe_cluster).then_output(move || {
        let cluster = Cluster::builder().name("demo").version(version).build();
        DescribeClusterOutput::builder().cluster(cluster).build()
    })
}

async fn planned(input: Value, cluster: Rule) -> Plan {
    let spec = Spec::parse(&input).unwrap();
    let aws = Aws {
        ec2: step::mocked!(aws_sdk_ec2, [&zones()]),
        eks: step::mocked!(aws_sdk_eks, [&versions(), &cluster]),
        ..Aws::offline()
    };
    plan(&aws, spec, Plan::example().target).await.unwrap()
}

#[tokio::test]
async fn a_name_becomes_a_whole_plan() {
    let plan = planned(json!({"clusterName": "demo"}), no_cluster()).await;
    assert_eq!(plan.kubernetes_version, "1.36");
    assert_eq!(plan.network.nat_gateways, NatGateways::OnePerAz);
    assert_eq!(plan.network.service_cidr.to_string(), "172.20.0.0/16");
    let zones: Vec<_> = plan
        .network
        .zones
        .iter()
        .map(|zone| {
            (
                zone.id.as_str(),
                zone.private_cidr.to_string(),
                zone.public_cidr.to_string(),
            )
        })
        .collect();
    let zone = |id, private: &str, public: &str| (id, private.to_owned(), public.to_owned());
    assert_eq!(
        zones,
        [
            zone("use1-az1", "10.100.0.0/19", "10.100.128.0/19"),
            zone("use1-az2", "10.100.32.0/19", "10.100.160.0/19"),
            zone("use1-az4", "10.100.64.0/19", "10.100.192.0/19"),
        ]
    );
    assert!(plan.endpoint.public && plan.endpoint.private);
    assert_eq!(plan.endpoint.public_cidrs, ["0.0.0.0/0"]);
    let profiles: Vec<_> = plan
        .fargate_profiles
        .iter()
        .map(|profile| &profile.name)
        .collect();
    assert_eq!(profiles, ["kube-system", "default"]);
}

#[tokio::test]
async fn a_private_endpoint_has_no_public_blocks() {
    let input = json!({"clusterName": "demo", "endpoint": {"public": false}});
    let plan = planned(input, no_cluster()).await;
    assert!(!plan.endpoint.public && plan.endpoint.private);
    assert!(plan.endpoint.public_cidrs.is_empty());
}

#[tokio::test]
async fn a_cluster_keeps_its_version_when_a_newer_one_comes_out() {
    let plan = planned(json!({"clusterName": "demo"}), cluster_with("1.35")).await;
    assert_eq!(plan.kubernetes_version, "1.35");
}

#[test]
fn the_schema_of_the_input_is_that_of_its_types() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../statemachine/input.schema.json"
    );
    let schema = serde_json::to_string_pretty(&schemars::schema_for!(Spec)).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, &schema).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == schema,
        "run UPDATE_SCHEMA=1 cargo test --lib schema"
    );
}

#[test]
fn every_example_is_valid() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../statemachine/examples");
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let input = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let spec = Spec::parse(&input).unwrap();
        assert_eq!(validate::spec(&spec), Ok(()), "{}", path.display());
    }
}
