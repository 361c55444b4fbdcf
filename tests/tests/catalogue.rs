//! Every row of the diagnosis catalogue: exactly that is broken in a simulated, otherwise healthy
//! cluster, and `verify` names it first, and nothing false beside it.

use functions::model::{Plan, Target};
use functions::verify::{CATALOGUE, Finding, Report, Severity};
use std::sync::OnceLock;
use std::time::Duration;

use aws_sdk_ec2::types::AttributeBooleanValue;
use aws_sdk_eks::types::{FargateProfile, FargateProfileSelector, VpcConfigRequest};
use serde_json::{Value, json};
use simulator::ec2::block_public_access::Mode;
use simulator::ec2::route::Target as RouteTarget;
use simulator::ec2::{Ec2, NewInterface, SecurityGroup, VpcEndpoint};
use simulator::eks::Cluster;
use tests::faults::Script;
use tests::world::{ACCOUNT, Moment, region, workload};
use tests::{World, by_hand, many};

const SEED: u64 = 23;
const ROLE: &str = "hardway-demo-ap-northeast-1-pod-execution";

/// Few subnets, and small ones: one of the rows fills them up.
fn input() -> Value {
    json!({
        "clusterName": "demo",
        "network": {"cidr": "10.0.0.0/24", "availabilityZones": 2, "natGateways": "single"},
        "fargateProfiles": [{"name": "kube-system", "selectors": [{"namespace": "kube-system"}]}],
    })
}

/// A cluster that hardway has built, long ago.
fn built() -> &'static Moment {
    static BUILT: OnceLock<Moment> = OnceLock::new();
    BUILT.get_or_init(|| {
        many::one(async || {
            let world = World::new(SEED);
            let execution = world.provision(input()).await;
            assert!(execution.result.is_ok(), "{}", execution.timeline());
            wait(30).await;
            Moment::of(&world.simulator)
        })
    })
}

/// A cluster that somebody else has built, without a way to the internet.
fn made_by_hand() -> &'static Moment {
    static MADE: OnceLock<Moment> = OnceLock::new();
    MADE.get_or_init(|| {
        many::one(async || {
            let world = World::new(SEED);
            by_hand::make(&world).await;
            Moment::of(&world.simulator)
        })
    })
}

async fn wait(minutes: u64) {
    tokio::time::sleep(Duration::from_mins(minutes)).await;
}

/// One look at a cluster.
async fn examine(world: &World, cluster: &str) -> Report {
    let target = Target {
        cluster_name: cluster.to_owned(),
        ..Plan::example().target
    };
    let before = world.changes().len();
    let report = functions::verify::examine(&world.aws(), &target)
        .await
        .unwrap();
    assert_eq!(world.changes().len(), before, "it changes nothing");
    report
}

/// The world in which a row is wrong, and the cluster's name.
fn scene(id: &str) -> (World, &'static str) {
    if id.starts_with("vpc-endpoint-") {
        (World::resume(SEED, made_by_hand()), by_hand::CLUSTER)
    } else {
        (World::resume(SEED, built()), "demo")
    }
}

/// What follows from a row and is reported beside it.
fn symptoms(id: &str) -> &'static [&'static str] {
    match id {
        "coredns-not-on-fargate" | "coredns-older-than-profile" | "coredns-not-selected" => {
            &["coredns-unhealthy"]
        }
        _ => &[],
    }
}

/// Breaks exactly what the row is about, as somebody at the console would, or time does.
async fn break_it(world: &World, id: &str) {
    match id {
        "no-nat-route" => drop_routes(world, |target| matches!(target, RouteTarget::NatGateway(_))),
        "nat-route-blackhole" => {
            delete_nat_gateway(world).await;
            wait(10).await;
        }
        "nat-gateway-not-available" => delete_nat_gateway(world).await,
        "nat-gateway-in-private-subnet" => {
            drop_routes(world, |target| {
                matches!(target, RouteTarget::InternetGateway(_))
            });
        }
        "vpc-block-public-access" => change_ec2(world, |ec2| {
            ec2.block_public_access.mode = Mode::BlockBidirectional;
        }),
        "dns-hostnames-off" => {
            let call = world.aws().ec2().modify_vpc_attribute().vpc_id(vpc(world));
            call.enable_dns_hostnames(off()).send().await.unwrap();
        }
        "dns-support-off" => {
            let call = world.aws().ec2().modify_vpc_attribute().vpc_id(vpc(world));
            call.enable_dns_support(off()).send().await.unwrap();
        }
        "vpc-endpoint-missing" => {
            change_endpoint(world, "sts", |endpoint| {
                "deleted".clone_into(&mut endpoint.state);
            });
        }
        "vpc-endpoint-not-routed" => {
            change_endpoint(world, "s3", |endpoint| endpoint.route_table_ids.clear());
        }
        "vpc-endpoint-without-private-dns" => {
            change_endpoint(world, "ecr.dkr", |endpoint| {
                endpoint.private_dns_enabled = false;
            });
        }
        "vpc-endpoint-closed" => world.simulator.change(|state| {
            let groups = region(state).ec2.security_groups.values_mut();
            let mut groups = groups.filter(|group| group.name == "endpoints");
            groups.next().unwrap().ingress_from.clear();
        }),
        "cluster-security-group-closed" => {
            change_cluster_group(world, |group| group.ingress_from.clear());
        }
        "cluster-security-group-no-egress" => {
            change_cluster_group(world, |group| group.egress_to.clear());
        }
        "profile-in-public-subnet" => change_ec2(world, |ec2| {
            let gateway = ec2.internet_gateways.keys().next().unwrap().clone();
            change_nat_routes(ec2, &RouteTarget::InternetGateway(gateway));
        }),
        "unsupported-zone" => {
            let subnet = describe_profile(world).await.subnets.unwrap().remove(0);
            change_ec2(world, |ec2| {
                let subnet = ec2.subnets.get_mut(&subnet).unwrap();
                "use1-az3".clone_into(&mut subnet.zone_id);
            });
        }
        "no-free-addresses" => fill_subnets(world).await,
        "way-out-unknown" => change_ec2(world, |ec2| {
            change_nat_routes(
                ec2,
                &RouteTarget::TransitGateway("tgw-0123456789abcdef0".to_owned()),
            );
        }),
        other => break_in_the_cluster(world, other).await,
    }
}

/// The rows about roles, profiles, CoreDNS and what EKS says of them.
async fn break_in_the_cluster(world: &World, id: &str) {
    match id {
        "coredns-not-on-fargate" => {
            let call = world.aws().eks().update_addon().cluster_name("demo");
            let call = call.addon_name("coredns");
            let call = call.configuration_values(r#"{"computeType":"ec2"}"#);
            call.send().await.unwrap();
            wait(2).await;
        }
        "coredns-older-than-profile" => make_profile_again(world, &[]).await,
        "coredns-not-selected" => make_profile_again(world, &[("k8s-app", "metrics")]).await,
        "pod-execution-role-missing" => delete_role(world).await,
        "pod-execution-role-trust" => {
            let call = world
                .aws()
                .iam()
                .update_assume_role_policy()
                .role_name(ROLE);
            call.policy_document(trust("other")).send().await.unwrap();
        }
        "pod-execution-role-policy" => detach_policy(world).await,
        "access-entry-missing" => {
            let call = world.aws().eks().delete_access_entry().cluster_name("demo");
            let arn = format!("arn:aws:iam::{ACCOUNT}:role/{ROLE}");
            call.principal_arn(arn).send().await.unwrap();
        }
        "access-entry-stale" => {
            delete_role(world).await;
            make_role(world).await;
        }
        "user-access-entry-stale" => make_admin_again(world).await,
        "cluster-endpoint-unreachable" => restrict_endpoint(world).await,
        "fargate-quota" => world
            .simulator
            .change(|state| region(state).eks.quotas.fargate_vcpus = 0),
        "fargate-profile-unhealthy" => change_cluster(world, |cluster| {
            cluster
                .fargate_profiles
                .get_mut("kube-system")
                .unwrap()
                .fails = true;
        }),
        "cluster-unhealthy" => change_cluster(world, |cluster| cluster.fails = true),
        "coredns-missing" => {
            let call = world.aws().eks().delete_addon().cluster_name("demo");
            call.addon_name("coredns").send().await.unwrap();
            wait(2).await;
        }
        "kubernetes-version-support" => {
            change_cluster(world, |cluster| "1.33".clone_into(&mut cluster.version));
        }
        "kubelets-too-old" => {
            change_cluster(world, |cluster| {
                cluster.workloads = vec![workload("1.32")];
                // The newest version has no next one.
                "1.35".clone_into(&mut cluster.version);
            });
            // EKS looks once a day.
            wait(24 * 60).await;
        }
        // Pods are gone, and nothing shows why.
        "coredns-unhealthy" => change_cluster(world, |cluster| {
            for pod in &mut cluster.coredns.as_mut().unwrap().pods {
                (pod.profile, pod.node) = (None, None);
            }
        }),
        "aws-auth-unknown" => change_cluster(world, |cluster| {
            "CONFIG_MAP".clone_into(&mut cluster.authentication_mode);
        }),
        "not-checked" => world.follow(Script::with_denied("DescribeRouteTables")),
        other => panic!("nothing breaks {other}"),
    }
}

fn off() -> AttributeBooleanValue {
    AttributeBooleanValue::builder().value(false).build()
}

fn change_ec2(world: &World, change: impl FnOnce(&mut Ec2)) {
    world
        .simulator
        .change(|state| change(&mut region(state).ec2));
}

fn change_cluster_group(world: &World, change: impl FnOnce(&mut SecurityGroup)) {
    change_ec2(world, |ec2| {
        let mut groups = ec2.security_groups.values_mut();
        let its = groups.find(|group| group.name.starts_with("eks-cluster-sg-demo-"));
        change(its.unwrap());
    });
}

/// A role with an access entry, which is deleted and made again.
async fn make_admin_again(world: &World) {
    let aws = world.aws();
    let make = || {
        let call = aws.iam().create_role().role_name("Admin");
        call.assume_role_policy_document(trust("demo")).send()
    };
    make().await.unwrap();
    wait(1).await;
    let call = aws.eks().create_access_entry().cluster_name("demo");
    let arn = format!("arn:aws:iam::{ACCOUNT}:role/Admin");
    call.principal_arn(arn).send().await.unwrap();
    wait(1).await;
    aws.iam()
        .delete_role()
        .role_name("Admin")
        .send()
        .await
        .unwrap();
    make().await.unwrap();
    wait(1).await;
}

fn change_cluster(world: &World, change: impl FnOnce(&mut Cluster)) {
    world.simulator.change(|state| {
        change(region(state).eks.clusters.get_mut("demo").unwrap());
    });
}

fn change_endpoint(world: &World, service: &str, change: impl FnOnce(&mut VpcEndpoint)) {
    change_ec2(world, |ec2| {
        let mut endpoints = ec2.vpc_endpoints.values_mut();
        let its = endpoints.find(|it| it.service_name.ends_with(&format!(".{service}")));
        change(its.unwrap());
    });
}

fn vpc(world: &World) -> String {
    let vpcs = world
        .simulator
        .change(|state| region(state).ec2.vpcs.clone());
    vpcs.into_keys().next().unwrap()
}

fn drop_routes(world: &World, goes: fn(&RouteTarget) -> bool) {
    change_ec2(world, |ec2| {
        for table in ec2.route_tables.values_mut() {
            table.routes.retain(|route| !goes(&route.target));
        }
    });
}

fn change_nat_routes(ec2: &mut Ec2, target: &RouteTarget) {
    let tables = ec2.route_tables.values_mut();
    let routes = tables.flat_map(|table| table.routes.iter_mut());
    let routes = routes.filter(|route| matches!(route.target, RouteTarget::NatGateway(_)));
    routes.for_each(|route| route.target = target.clone());
}

async fn delete_nat_gateway(world: &World) {
    let ids = world
        .simulator
        .change(|state| region(state).ec2.nat_gateways.clone());
    let call = world.aws().ec2().delete_nat_gateway();
    let call = call.nat_gateway_id(ids.keys().next().unwrap());
    call.send().await.unwrap();
}

async fn describe_profile(world: &World) -> FargateProfile {
    let call = world.aws().eks().describe_fargate_profile();
    let call = call
        .cluster_name("demo")
        .fargate_profile_name("kube-system");
    call.send().await.unwrap().fargate_profile.unwrap()
}

/// Deletes the profile of CoreDNS and makes it again: CoreDNS' pods are born in between.
async fn make_profile_again(world: &World, labels: &[(&str, &str)]) {
    let profile = describe_profile(world).await;
    let eks = world.aws().eks().clone();
    let call = eks.delete_fargate_profile().cluster_name("demo");
    call.fargate_profile_name("kube-system")
        .send()
        .await
        .unwrap();
    wait(10).await;
    let mut selector = FargateProfileSelector::builder().namespace("kube-system");
    for (key, value) in labels {
        selector = selector.labels(*key, *value);
    }
    let call = eks.create_fargate_profile().cluster_name("demo");
    let call = call
        .fargate_profile_name("kube-system")
        .selectors(selector.build());
    let call = call.set_subnets(profile.subnets);
    let call = call.pod_execution_role_arn(profile.pod_execution_role_arn.unwrap());
    call.send().await.unwrap();
    wait(10).await;
}

const POLICY: &str = "arn:aws:iam::aws:policy/AmazonEKSFargatePodExecutionRolePolicy";

async fn detach_policy(world: &World) {
    let call = world.aws().iam().detach_role_policy().role_name(ROLE);
    call.policy_arn(POLICY).send().await.unwrap();
}

async fn delete_role(world: &World) {
    detach_policy(world).await;
    let call = world.aws().iam().delete_role().role_name(ROLE);
    call.send().await.unwrap();
}

async fn make_role(world: &World) {
    let iam = world.aws().iam().clone();
    let call = iam.create_role().role_name(ROLE);
    let call = call.assume_role_policy_document(trust("demo"));
    call.send().await.unwrap();
    let call = iam.attach_role_policy().role_name(ROLE);
    call.policy_arn(POLICY).send().await.unwrap();
}

/// Trust for the profiles of a cluster.
fn trust(cluster: &str) -> String {
    let profiles = format!("arn:aws:eks:ap-northeast-1:{ACCOUNT}:fargateprofile/{cluster}/*");
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"Service": "eks-fargate-pods.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"ArnLike": {"aws:SourceArn": profiles}},
    }]})
    .to_string()
}

async fn restrict_endpoint(world: &World) {
    let config = VpcConfigRequest::builder()
        .endpoint_private_access(false)
        .endpoint_public_access(true)
        .public_access_cidrs("203.0.113.0/24");
    let call = world.aws().eks().update_cluster_config().name("demo");
    let call = call.resources_vpc_config(config.build());
    call.send().await.unwrap();
    wait(15).await;
}

/// Somebody's interfaces take every address of the profile's subnets.
async fn fill_subnets(world: &World) {
    let subnets = describe_profile(world).await.subnets.unwrap();
    change_ec2(world, |ec2| {
        for subnet in subnets {
            for number in 0..ec2.free_addresses(&subnet) {
                let new = NewInterface {
                    subnet_id: subnet.clone(),
                    description: format!("somebody's {number}"),
                    owner: ACCOUNT.to_owned(),
                    ..NewInterface::default()
                };
                ec2.add_interface(simulator::Seed(1), new);
            }
        }
    });
}

fn ids(report: &Report) -> Vec<&'static str> {
    report.findings.iter().map(|finding| finding.id).collect()
}

/// What is wrong with the report on a row that is broken.
fn complaint(id: &'static str, report: &Report) -> Option<String> {
    let allowed = |finding: &Finding| finding.id == id || symptoms(id).contains(&finding.id);
    let is_first = report
        .findings
        .first()
        .is_some_and(|finding| finding.id == id);
    let is_alone = report.findings.iter().all(allowed);
    let says_all = report.findings.iter().all(|it| {
        ![&it.resource, &it.seen, &it.expected, &it.fix]
            .iter()
            .any(|text| text.is_empty())
    });
    let is_right = is_first && is_alone && says_all;
    (!is_right).then(|| format!("{id}: {:#?}", report.findings))
}

#[test]
fn every_row_is_named_first_and_nothing_false_beside_it() {
    let complaints = many::each(CATALOGUE, async |_, row| {
        let (world, cluster) = scene(row.id);
        break_it(&world, row.id).await;
        complaint(row.id, &examine(&world, cluster).await)
    });
    let complaints: Vec<String> = complaints.into_iter().flatten().collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn a_healthy_cluster_has_no_finding() {
    for (moment, cluster) in [(built(), "demo"), (made_by_hand(), by_hand::CLUSTER)] {
        let report = many::one(async || {
            let world = World::resume(SEED, moment);
            assert!(world.coredns_runs(cluster));
            examine(&world, cluster).await
        });
        assert_eq!(ids(&report), [""; 0], "{cluster}: {:#?}", report.findings);
        assert!(report.summary.starts_with("Nothing is wrong"));
    }
}

#[test]
fn every_service_that_pods_need_without_the_internet_is_named() {
    let services = ["ecr.api", "ecr.dkr", "s3", "sts", "logs"];
    let reports = many::each(&services, async |_, service| {
        let world = World::resume(SEED, made_by_hand());
        change_endpoint(&world, service, |endpoint| {
            "failed".clone_into(&mut endpoint.state);
        });
        examine(&world, by_hand::CLUSTER).await
    });
    for (service, report) in services.iter().zip(reports) {
        assert_eq!(ids(&report), ["vpc-endpoint-missing"], "{service}");
        let finding = &report.findings[0];
        assert_eq!(finding.resource, *service);
        // Pods run without logs.
        assert_eq!(finding.severity == Severity::Error, *service != "logs");
    }
}

#[test]
fn of_a_pitfall_and_what_follows_from_it_the_pitfall_is_the_first() {
    let report = many::one(async || {
        let world = World::resume(SEED, built());
        drop_routes(&world, |target| {
            matches!(target, RouteTarget::NatGateway(_))
        });
        // New pods, which find no way out.
        let eks = world.aws().eks().clone();
        let call = eks
            .describe_addon()
            .cluster_name("demo")
            .addon_name("coredns");
        let addon = call.send().await.unwrap().addon.unwrap();
        let configuration = addon.configuration_values.unwrap();
        let mut configuration: Value = serde_json::from_str(&configuration).unwrap();
        configuration["podAnnotations"]["restarted"] = json!("today");
        let call = eks
            .update_addon()
            .cluster_name("demo")
            .addon_name("coredns");
        let call = call.configuration_values(configuration.to_string());
        call.send().await.unwrap();
        wait(30).await;
        examine(&world, "demo").await
    });
    let mut found = ids(&report);
    found.dedup();
    assert_eq!(
        found,
        ["no-nat-route", "coredns-unhealthy"],
        "{:#?}",
        report.findings
    );
    assert!(report.causes().all(|finding| finding.id == "no-nat-route"));
}
