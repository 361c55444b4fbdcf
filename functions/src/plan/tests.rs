//! Unit tests of the planner.

use super::*;
use aws_sdk_ec2::types::{
    AvailabilityZone, AvailabilityZoneOptInStatus, AvailabilityZoneState, ResourceType,
};
use serde_json::json;
use simulator::kubernetes::Workload;
use std::time::Duration;

use crate::model::spec::{NatGateways, OnFailure, SupportType};
use crate::model::tags;
use crate::resources::cluster;
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

/// An account without a cluster.
fn world() -> World {
    World::new(Plan::example())
}

/// One with a cluster of ours of that version.
async fn world_with(version: &str) -> World {
    let world = World::with_cluster(Plan::example()).await;
    world.cluster(|cluster| version.clone_into(&mut cluster.version));
    world
}

/// What is planned for the cluster that EKS describes.
async fn decide_in(world: &World, spec: &Spec) -> Result<Plan, Error> {
    let (aws, target) = (world.aws(), Plan::example().target);
    let existing = cluster::find(&aws, &target).await?;
    decide(&aws, spec, target, existing.as_ref(), &availability_zones()).await
}

#[tokio::test(start_paused = true)]
async fn a_name_becomes_the_example_plan() {
    let plan = decide_in(&world(), &spec(json!({}))).await;
    let mut expected = Plan::example();
    expected.admins.clear();
    assert_eq!(plan.unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_missing_cluster_has_two_spellings() {
    let world = world();
    world.faults(|faults| faults.eks_client_exception_share = 1.0);
    let plan = decide_in(&world, &spec(json!({}))).await;
    assert_eq!(plan.unwrap().kubernetes_version, "1.36");
    assert_eq!(world.calls()[0], "DescribeCluster: ClientException");
}

#[tokio::test(start_paused = true)]
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
    let plan = decide_in(&world(), &spec).await.unwrap();
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

#[tokio::test(start_paused = true)]
async fn a_cluster_that_exists_keeps_its_version() {
    let world = world_with("1.35").await;
    let plan = decide_in(&world, &spec(json!({}))).await;
    assert_eq!(plan.unwrap().kubernetes_version, "1.35");
    assert_eq!(lookups(&world), [""; 0]);
}

/// Which of its lists EKS was asked for, of the versions that it offers and of insights.
fn lookups(world: &World) -> Vec<String> {
    let mut calls = world.calls();
    calls.retain(|call| {
        call.starts_with("DescribeClusterVersions") || call.starts_with("ListInsights")
    });
    calls
}

const VERSIONS: &str = "DescribeClusterVersions";
const INSIGHTS: &str = "ListInsights";
const NODE: &str = "fargate-ip-10-0-2-9";

/// A cluster of ours of that version with a pod whose node's kubelet is so old, at which EKS has looked.
async fn world_with_kubelet(version: &str, kubelet: &str) -> World {
    let world = world_with(version).await;
    world.cluster(|cluster| {
        cluster.workloads.push(Workload {
            node: NODE.to_owned(),
            kubernetes: kubelet.to_owned(),
            ..Workload::default()
        });
    });
    tokio::time::sleep(Duration::from_hours(25)).await;
    world
}

async fn version_of(asked: &str, world: &World) -> Result<String, Error> {
    let plan = decide_in(world, &spec(json!({"kubernetesVersion": asked}))).await?;
    Ok(plan.kubernetes_version)
}

#[tokio::test(start_paused = true)]
async fn a_version_that_eks_does_not_offer_is_refused() {
    let error = version_of("1.99", &world()).await.unwrap_err();
    assert_eq!(error.name(), "InvalidRequest");
    assert!(error.to_string().contains("1.36, 1.35"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_cluster_of_ours_keeps_a_version_that_it_has_or_that_is_older_whatever_eks_offers() {
    for (current, asked) in [("1.30", "1.30"), ("1.34", "1.33")] {
        let world = world_with_kubelet(current, "1.27").await;
        assert_eq!(version_of(asked, &world).await, Ok(asked.to_owned()));
        assert_eq!(lookups(&world), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cluster_of_ours_is_upgraded_to_the_next_version() {
    // EKS warns of such kubelets.
    let world = world_with_kubelet("1.35", "1.33").await;
    assert_eq!(version_of("1.36", &world).await, Ok("1.36".to_owned()));
    assert_eq!(lookups(&world), [VERSIONS, INSIGHTS]);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_of_ours_takes_no_leap() {
    let world = world_with_kubelet("1.34", "1.31").await;
    let error = version_of("1.36", &world).await.unwrap_err();
    assert_eq!(error.name(), "InvalidRequest");
    let says = "1.35, the next version: the cluster runs 1.34";
    assert!(error.to_string().contains(says), "{error}");
    assert_eq!(lookups(&world), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn the_next_version_has_to_be_offered() {
    let error = version_of("1.37", &world_with("1.36").await).await;
    let error = error.unwrap_err();
    assert!(error.to_string().contains("one of 1.36, 1.35"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn old_kubelets_are_in_the_way_of_an_upgrade_unless_the_caller_may_not_know() {
    let world = world_with_kubelet("1.35", "1.32").await;
    let error = version_of("1.36", &world).await.unwrap_err();
    assert_eq!(error.name(), "ResourceConflict");
    assert!(error.to_string().contains(NODE), "{error}");

    world.fail_next(INSIGHTS, "AccessDeniedException", "not authorized");
    assert_eq!(version_of("1.36", &world).await, Ok("1.36".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_version_of_a_cluster_that_is_not_ours_is_checked_as_a_new_one() {
    let world = world_with_kubelet("1.30", "1.27").await;
    world.cluster(|cluster| cluster.tags.clear());
    assert_eq!(version_of("1.36", &world).await, Ok("1.36".to_owned()));
    assert_eq!(lookups(&world), [VERSIONS]);
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

#[tokio::test(start_paused = true)]
async fn a_cluster_that_was_there_before_is_not_removed_by_a_failure() {
    let wish = spec(json!({"onFailure": "remove", "kubernetesVersion": "1.36"}));
    let plan = decide_in(&world_with("1.36").await, &wish).await;
    assert_eq!(plan.unwrap().on_failure, OnFailure::Keep);
    let plan = decide_in(&world(), &wish).await;
    assert_eq!(plan.unwrap().on_failure, OnFailure::Remove);
}

/// The schemas are for editors and for people; `UPDATE_SCHEMA=1` writes them again.
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

/// Makes a private subnet of ours by hand.
async fn add_subnet(world: &World, zone: &str, block: &str) -> String {
    let role = format!("private-{zone}");
    let specification = tags::ec2_specification(&world.plan, ResourceType::Subnet, &role, &[]);
    let call = world.aws().ec2().create_subnet().availability_zone_id(zone);
    let call = call.vpc_id(world.outputs["vpcId"].as_str().unwrap());
    let made = call.cidr_block(block).tag_specifications(specification);
    let made = made.send().await.unwrap().subnet.unwrap();
    made.subnet_id.unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_zones_of_a_cluster_are_those_of_its_subnets() {
    for is_listed in [true, false] {
        let world = world_with("1.36").await;
        world.region(|region| region.ec2.subnets.clear());
        if !is_listed {
            world.lag_lists();
        }
        // One in a zone that the account does not see any more, and one that is no subnet of the cluster.
        let unseen = add_subnet(&world, "apne1-az1", "10.100.64.0/19").await;
        let seen = add_subnet(&world, "apne1-az2", "10.100.0.0/19").await;
        add_subnet(&world, "apne1-az4", "10.100.32.0/19").await;
        world.region(|region| {
            let subnet = region.ec2.subnets.get_mut(&unseen).unwrap();
            subnet.zone_id = "apne1-az3".to_owned();
        });
        world.cluster(|cluster| cluster.vpc.subnet_ids = vec![unseen, seen]);
        let listed = world.aws().ec2().describe_subnets().send().await.unwrap();
        assert_eq!(listed.subnets().len(), if is_listed { 3 } else { 0 });

        let plan = decide_in(&world, &spec(json!({}))).await.unwrap();
        let zones = plan.network.zones.iter();
        let zones: Vec<_> = zones
            .map(|it| (it.id.as_str(), it.private_cidr.to_string()))
            .collect();
        let expected = [
            ("apne1-az2", "10.100.0.0/19"),
            ("apne1-az3", "10.100.64.0/19"),
        ];
        assert_eq!(zones, expected.map(|(id, cidr)| (id, cidr.to_owned())));
    }
}
