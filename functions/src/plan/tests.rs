//! Unit tests of the planner.

use super::*;
use aws_sdk_ec2::types::{AvailabilityZone, AvailabilityZoneOptInStatus, AvailabilityZoneState};
use aws_sdk_eks::operation::describe_cluster::DescribeClusterOutput;
use aws_sdk_eks::operation::describe_cluster_versions::DescribeClusterVersionsOutput;
use aws_sdk_eks::operation::describe_insight::DescribeInsightOutput;
use aws_sdk_eks::operation::list_insights::ListInsightsOutput;
use aws_sdk_eks::types::{
    Cluster, ClusterVersionInformation, Insight, InsightResourceDetail, InsightStatus,
    InsightStatusValue, InsightSummary, VersionStatus, VpcConfigResponse,
};
use aws_smithy_mocks::{Rule, mock};
use serde_json::json;

use crate::aws::codes;
use crate::aws::mocks::eks_refusal;
use crate::model::spec::{NatGateways, OnFailure, SupportType};
use crate::model::tags;
use crate::resources::{cluster, eks_insights};
use crate::testing::World;

fn spec(members: Value) -> Spec {
    let mut input = json!({"clusterName": "demo"});
    let Value::Object(members) = members else {
        panic!("members of an object")
    };
    input.as_object_mut().unwrap().extend(members);
    Spec::parse(&input).unwrap()
}

fn availability_zones() -> [AvailabilityZone; 3] {
    let zone = |number: u8, letter: char| {
        AvailabilityZone::builder()
            .zone_id(format!("apne1-az{number}"))
            .zone_name(format!("ap-northeast-1{letter}"))
            .zone_type("availability-zone")
            .state(AvailabilityZoneState::Available)
            .opt_in_status(AvailabilityZoneOptInStatus::OptInNotRequired)
            .build()
    };
    [zone(4, 'a'), zone(1, 'c'), zone(2, 'd')]
}

fn versions() -> Rule {
    let version = |version: &str, status| {
        ClusterVersionInformation::builder()
            .cluster_version(version)
            .version_status(status)
            .build()
    };
    mock!(aws_sdk_eks::Client::describe_cluster_versions).then_output(move || {
        DescribeClusterVersionsOutput::builder()
            .cluster_versions(version("1.36", VersionStatus::StandardSupport))
            .cluster_versions(version("1.35", VersionStatus::StandardSupport))
            .cluster_versions(version("1.33", VersionStatus::ExtendedSupport))
            .build()
    })
}

fn no_cluster(code: &'static str) -> Rule {
    mock!(aws_sdk_eks::Client::describe_cluster)
        .then_http_response(move || eks_refusal(404, code, "No cluster found for name: demo."))
}

fn cluster(version: &'static str) -> Rule {
    mock!(aws_sdk_eks::Client::describe_cluster)
        .match_requests(|call| call.name() == Some("demo"))
        .then_output(move || {
            let cluster = Cluster::builder().version(version).build();
            DescribeClusterOutput::builder().cluster(cluster).build()
        })
}

/// What is planned where EKS answers so.
async fn decide_in(world: &World, spec: &Spec, eks: aws_sdk_eks::Client) -> Result<Plan, Error> {
    let aws = world.aws().with(eks);
    let target = Plan::example().target;
    let existing = cluster::find(&aws, &target).await?;
    decide(&aws, spec, target, existing.as_ref(), &availability_zones()).await
}

/// The same in an account without subnets.
async fn decide_with(spec: &Spec, cluster: &Rule, versions: &Rule) -> Result<Plan, Error> {
    let eks = crate::mocked!(aws_sdk_eks, [cluster, versions]);
    decide_in(&World::new(Plan::example()), spec, eks).await
}

#[tokio::test]
async fn a_name_becomes_the_example_plan() {
    let absent = no_cluster(codes::RESOURCE_NOT_FOUND);
    let plan = decide_with(&spec(json!({})), &absent, &versions()).await;
    let mut expected = Plan::example();
    expected.admins.clear();
    assert_eq!(plan.unwrap(), expected);
}

#[tokio::test]
async fn a_missing_cluster_has_two_spellings() {
    let absent = no_cluster(codes::CLIENT_EXCEPTION);
    let plan = decide_with(&spec(json!({})), &absent, &versions()).await;
    assert_eq!(plan.unwrap().kubernetes_version, "1.36");
}

#[tokio::test]
async fn input_is_planned_as_it_is_asked_for() {
    let spec = spec(json!({
        "kubernetesVersion": "1.33",
        "supportType": "EXTENDED",
        "network": {"cidr": "172.20.0.0/20", "availabilityZones": 2, "natGateways": "single"},
        "endpoint": {"publicCidrs": ["203.0.113.0/24"]},
        "access": {"admins": ["arn:aws:iam::111122223333:role/Admin"]},
        "deletionProtection": true,
        "onFailure": "remove",
        "tags": {"team": "platform"},
    }));
    let (cluster, versions) = (no_cluster(codes::RESOURCE_NOT_FOUND), versions());
    let plan = decide_with(&spec, &cluster, &versions).await.unwrap();
    assert_eq!(plan.kubernetes_version, "1.33");
    assert_eq!(plan.support_type, SupportType::Extended);
    assert_eq!(plan.network.nat_gateways, NatGateways::Single);
    assert_eq!(plan.network.service_cidr.to_string(), "10.100.0.0/16");
    let zones = plan.network.zones.iter();
    let subnets: Vec<_> = zones
        .map(|it| (it.id.as_str(), it.private_cidr.to_string()))
        .collect();
    let expected = [
        ("apne1-az1", "172.20.0.0/23"),
        ("apne1-az2", "172.20.2.0/23"),
    ];
    assert_eq!(subnets, expected.map(|(id, cidr)| (id, cidr.to_owned())));
    assert_eq!(plan.endpoint.public_cidrs, ["203.0.113.0/24"]);
    assert!(plan.endpoint.private && plan.deletion_protection);
    assert_eq!(plan.admins, ["arn:aws:iam::111122223333:role/Admin"]);
    assert_eq!(plan.on_failure, OnFailure::Remove);
    assert_eq!(plan.tags["team"], "platform");
}

#[tokio::test]
async fn a_cluster_that_exists_keeps_its_version() {
    let versions = versions();
    let plan = decide_with(&spec(json!({})), &cluster("1.35"), &versions).await;
    assert_eq!(plan.unwrap().kubernetes_version, "1.35");
    assert_eq!(versions.num_calls(), 0);
}

#[tokio::test]
async fn a_version_that_eks_does_not_offer_is_refused() {
    let spec = spec(json!({"kubernetesVersion": "1.99"}));
    let answer = decide_with(&spec, &cluster("1.35"), &versions()).await;
    let error = answer.unwrap_err();
    assert_eq!(error.name(), "InvalidRequest");
    assert!(error.to_string().contains("1.36, 1.35"), "{error}");
}

/// Our cluster of that version.
fn our_cluster(version: &'static str) -> Rule {
    mock!(aws_sdk_eks::Client::describe_cluster).then_output(move || {
        let cluster = Cluster::builder()
            .version(version)
            .tags(tags::CLUSTER, "demo");
        DescribeClusterOutput::builder()
            .cluster(cluster.build())
            .build()
    })
}

/// An insight about kubelets, of that status.
fn insights(status: InsightStatusValue) -> [Rule; 2] {
    let listed = mock!(aws_sdk_eks::Client::list_insights).then_output(|| {
        let summary = InsightSummary::builder().id("i-1").build();
        ListInsightsOutput::builder().insights(summary).build()
    });
    let described = mock!(aws_sdk_eks::Client::describe_insight).then_output(move || {
        let status = InsightStatus::builder().status(status.clone()).build();
        let node = InsightResourceDetail::builder()
            .kubernetes_resource_uri("/api/v1/nodes/fargate-ip-10-0-2-9");
        let insight = Insight::builder()
            .name(eks_insights::KUBELET_VERSION_SKEW)
            .kubernetes_version("1.36")
            .insight_status(status)
            .resources(node.build());
        DescribeInsightOutput::builder()
            .insight(insight.build())
            .build()
    });
    [listed, described]
}

async fn version_of(
    asked: &str,
    cluster: &Rule,
    versions: &Rule,
    [listed, described]: &[Rule; 2],
) -> Result<String, Error> {
    let spec = spec(json!({"kubernetesVersion": asked}));
    let eks = crate::mocked!(aws_sdk_eks, [cluster, versions, listed, described]);
    let plan = decide_in(&World::new(Plan::example()), &spec, eks).await?;
    Ok(plan.kubernetes_version)
}

#[tokio::test]
async fn a_cluster_of_ours_keeps_the_version_that_it_has_whatever_eks_offers() {
    let (versions, insights) = (versions(), insights(InsightStatusValue::Error));
    let version = version_of("1.31", &our_cluster("1.31"), &versions, &insights).await;
    assert_eq!(version, Ok("1.31".to_owned()));
    assert_eq!((versions.num_calls(), insights[0].num_calls()), (0, 0));
}

#[tokio::test]
async fn a_cluster_of_ours_is_upgraded_to_the_next_version() {
    let insights = insights(InsightStatusValue::Warning);
    let version = version_of("1.36", &our_cluster("1.35"), &versions(), &insights).await;
    assert_eq!(version, Ok("1.36".to_owned()));
    assert_eq!(insights[0].num_calls(), 1);
}

#[tokio::test]
async fn a_cluster_of_ours_takes_no_leap() {
    let (versions, insights) = (versions(), insights(InsightStatusValue::Error));
    let version = version_of("1.36", &our_cluster("1.34"), &versions, &insights).await;
    let error = version.unwrap_err();
    assert_eq!(error.name(), "InvalidRequest");
    let says = "1.35, the next version: the cluster runs 1.34";
    assert!(error.to_string().contains(says), "{error}");
    assert_eq!(insights[0].num_calls(), 0);
}

#[tokio::test]
async fn an_older_version_is_no_reason_to_refuse_a_cluster_of_ours() {
    let (versions, insights) = (versions(), insights(InsightStatusValue::Error));
    let version = version_of("1.33", &our_cluster("1.34"), &versions, &insights).await;
    assert_eq!(version, Ok("1.33".to_owned()));
    assert_eq!((versions.num_calls(), insights[0].num_calls()), (0, 0));
}

#[tokio::test]
async fn the_next_version_has_to_be_offered() {
    let insights = insights(InsightStatusValue::Passing);
    let version = version_of("1.37", &our_cluster("1.36"), &versions(), &insights).await;
    let error = version.unwrap_err();
    assert!(error.to_string().contains("one of 1.36, 1.35"), "{error}");
}

#[tokio::test]
async fn old_kubelets_are_in_the_way_of_an_upgrade() {
    let insights = insights(InsightStatusValue::Error);
    let version = version_of("1.36", &our_cluster("1.35"), &versions(), &insights).await;
    let error = version.unwrap_err();
    assert_eq!(error.name(), "ResourceConflict");
    assert!(error.to_string().contains("fargate-ip-10-0-2-9"), "{error}");
}

#[tokio::test]
async fn caller_that_may_not_read_insights_may_upgrade() {
    let [_, described] = insights(InsightStatusValue::Error);
    let denied = mock!(aws_sdk_eks::Client::list_insights)
        .then_http_response(|| eks_refusal(403, "AccessDeniedException", "not authorized"));
    let insights = [denied, described];
    let version = version_of("1.36", &our_cluster("1.35"), &versions(), &insights).await;
    assert_eq!(version, Ok("1.36".to_owned()));
}

#[tokio::test]
async fn a_version_of_a_cluster_that_is_not_ours_is_checked_as_a_new_one() {
    let insights = insights(InsightStatusValue::Error);
    let version = version_of("1.36", &cluster("1.30"), &versions(), &insights).await;
    assert_eq!(version, Ok("1.36".to_owned()));
    assert_eq!(insights[0].num_calls(), 0);
}

#[test]
fn without_a_public_endpoint_there_are_no_public_cidrs() {
    let endpoint = endpoint(&spec(json!({"endpoint": {"public": false}})));
    let expected = Endpoint {
        public: false,
        public_cidrs: vec![],
        private: true,
    };
    assert_eq!(endpoint, expected);
}

#[test]
fn a_role_is_assumed_only_in_another_account() {
    let asked = |id: &str, role_name: Option<&str>| AccountSpec {
        id: id.to_owned(),
        role_name: role_name.map(str::to_owned),
        external_id: Some("secret".to_owned()),
        new_since: None,
    };
    let own = "111122223333";
    let role = "MemberRoleOfTheStack";
    let own_account = account_of(None, own, role);
    assert_eq!(
        (own_account.id.as_str(), &own_account.role_name),
        (own, &None)
    );
    assert_eq!(
        account_of(Some(&asked(own, Some("X"))), own, role),
        own_account
    );

    let other = account_of(Some(&asked("444455556666", None)), own, role);
    assert_eq!(other.role_name.as_deref(), Some(role));
    assert_eq!(other.external_id.as_deref(), Some("secret"));
    let other = account_of(Some(&asked("444455556666", Some("a/Builder"))), own, role);
    assert_eq!(other.role_name.as_deref(), Some("a/Builder"));
}

async fn ask(request: Value) -> Error {
    let base = Base::new(Aws::offline_config());
    Planner::handle(&base, request).await.unwrap_err()
}

#[tokio::test]
async fn bad_input_is_refused_before_aws_is_asked() {
    for (spec, field) in [
        (json!({"clusterName": "demo", "colour": "red"}), "colour"),
        (json!({"clusterName": "-"}), "clusterName"),
        (
            json!({"clusterName": "demo", "network": {"cidr": "10.0.0.0/28"}}),
            "network.cidr",
        ),
    ] {
        let error = ask(json!({"action": "ensure", "execution": "x", "spec": spec})).await;
        assert_eq!(error.name(), "InvalidRequest");
        assert!(error.to_string().contains(field), "{error}");
    }
    let good = json!({"action": "ensure", "execution": "x", "spec": {"clusterName": "demo"}});
    let error = ask(good).await;
    assert_eq!(error.name(), "AwsUnavailable");
    assert!(
        error.to_string().contains("sts:GetCallerIdentity"),
        "{error}"
    );
}

#[tokio::test]
async fn a_preview_takes_the_time_for_that_of_an_executions_start() {
    let account = json!({"id": "444455556666", "newSince": "9999-01-01T00:00:00Z"});
    let input = json!({"clusterName": "demo", "account": account});
    let base = Base::new(Aws::offline_config());
    let error = dry_run(&base, &input).await.unwrap_err();
    assert!(error.to_string().starts_with("account.newSince"), "{error}");
}

#[tokio::test]
async fn bad_input_of_a_teardown_is_refused_before_aws_is_asked() {
    for (spec, field) in [
        (json!({"clusterName": "demo", "force": true}), "force"),
        (json!({"clusterName": "-"}), "clusterName"),
        (json!({"clusterName": "demo", "region": "Tokyo"}), "region"),
        (
            json!({"clusterName": "demo", "account": {"id": "1"}}),
            "account.id",
        ),
    ] {
        let error = ask(json!({"action": "remove", "spec": spec})).await;
        assert_eq!(error.name(), "InvalidRequest");
        assert!(error.to_string().contains(field), "{error}");
    }
    let good = json!({"action": "remove", "spec": {"clusterName": "demo"}});
    assert_eq!(ask(good).await.name(), "AwsUnavailable");
}

/// The place of a plan is what a failing execution gives its teardown.
#[test]
fn the_place_of_a_plan_is_the_input_of_a_teardown() {
    let mut target = Plan::example().target;
    target.account.role_name = Some("Builder".to_owned());
    let place = serde_json::to_value(&target).unwrap();
    let input = json!({
        "clusterName": place["clusterName"],
        "region": place["region"],
        "account": place["account"],
        "disableDeletionProtection": true,
        "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID": "arn",
    });
    let spec = TeardownSpec::parse(&input).unwrap();
    assert_eq!(validate::check_teardown(&spec), Ok(()));
    let account = account_of(spec.account.as_ref(), "999900001111", "HardwayMember");
    assert_eq!(account.role_name.as_deref(), Some("Builder"));
}

#[tokio::test]
async fn a_cluster_that_was_there_before_is_not_removed_by_a_failure() {
    let wish = spec(json!({"onFailure": "remove", "kubernetesVersion": "1.36"}));
    let plan = decide_with(&wish, &cluster("1.36"), &versions()).await;
    assert_eq!(plan.unwrap().on_failure, OnFailure::Keep);
    let absent = no_cluster(codes::RESOURCE_NOT_FOUND);
    let plan = decide_with(&wish, &absent, &versions()).await;
    assert_eq!(plan.unwrap().on_failure, OnFailure::Remove);
}

/// The schemas are for editors and for people; `UPDATE_SCHEMA=1` writes them anew.
#[test]
fn the_committed_schemas_are_those_of_the_types() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../statemachine");
    for (name, schema) in [
        ("input", schemars::schema_for!(Spec)),
        ("teardown", schemars::schema_for!(TeardownSpec)),
        ("fleet", schemars::schema_for!(crate::model::FleetSpec)),
    ] {
        let path = format!("{folder}/{name}.schema.json");
        let schema = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var("UPDATE_SCHEMA").is_ok_and(|value| value == "1") {
            std::fs::write(&path, &schema).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == schema,
            "run `UPDATE_SCHEMA=1 cargo test` and commit {path}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_zones_of_a_cluster_are_those_of_its_subnets_whether_or_not_lists_show_them() {
    for lag in [false, true] {
        let mut world = World::with_vpc(Plan::example()).await;
        if lag {
            world.lag_lists();
        }
        world.make_subnets().await;
        let ids = [0, 2].map(|place| {
            let id = &world.outputs["subnets"][place]["privateSubnetId"];
            id.as_str().unwrap().to_owned()
        });
        // One in a zone that the account does not see any more, and one that is no subnet of the cluster.
        world.region(|region| {
            let subnets = &mut region.ec2.subnets;
            subnets.retain(|_, subnet| subnet.tags[tags::ROLE].starts_with("private-"));
            subnets.get_mut(&ids[1]).unwrap().zone_id = "apne1-az3".to_owned();
        });
        let cluster = mock!(aws_sdk_eks::Client::describe_cluster).then_output(move || {
            let config = VpcConfigResponse::builder().set_subnet_ids(Some(ids.to_vec()));
            let cluster = Cluster::builder().version("1.36");
            let cluster = cluster.resources_vpc_config(config.build()).build();
            DescribeClusterOutput::builder().cluster(cluster).build()
        });
        let eks = crate::mocked!(aws_sdk_eks, [&cluster, &versions()]);
        let plan = decide_in(&world, &spec(json!({})), eks).await.unwrap();
        let zones = plan.network.zones.into_iter();
        let zones: Vec<_> = zones
            .map(|it| (it.id, it.private_cidr.to_string()))
            .collect();
        let expected = [
            ("apne1-az1", "10.100.0.0/19"),
            ("apne1-az3", "10.100.64.0/19"),
        ];
        let expected = expected.map(|(id, block)| (id.to_owned(), block.to_owned()));
        assert_eq!(zones, expected);
    }
}
