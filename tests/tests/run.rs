//! Whole runs over the real state machine and the real handlers, in virtual time.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::kms::{Key, KeyState};
use simulator::{Call, State};
use tests::world::{ACCOUNT, REGION};
use tests::{Execution, World, project};

fn demo() -> Value {
    json!({"clusterName": "demo"})
}

fn count(calls: &[Call], action: &str) -> usize {
    calls
        .iter()
        .filter(|call| call.action() == action && call.error.is_none())
        .count()
}

fn entered(execution: &Execution, state: &str) -> Duration {
    let event = execution.events.iter().find(|event| event.state == state);
    event
        .unwrap_or_else(|| panic!("{state} was never entered"))
        .at
}

#[tokio::test(start_paused = true)]
async fn a_name_is_enough_for_a_cluster_whose_coredns_runs_on_fargate() {
    let world = World::new(1);
    let execution = world.provision(demo()).await;
    let output = execution.output();

    assert_eq!(output["clusterName"], "demo");
    assert_eq!(output["accountId"], ACCOUNT);
    assert_eq!(output["region"], REGION);
    assert_eq!(output["kubernetesVersion"], "1.36");
    assert_eq!(output["coredns"]["status"], "ACTIVE");
    assert_eq!(
        output["updateKubeconfig"],
        "aws eks update-kubeconfig --region ap-northeast-1 --name demo"
    );
    assert_eq!(output["subnets"].as_array().unwrap().len(), 3);
    assert_eq!(output["natGateways"].as_array().unwrap().len(), 3);
    let view = world.simulator.kubernetes(ACCOUNT, REGION, "demo").unwrap();
    assert_eq!(view.pods.len(), 2);
    assert_eq!(view.nodes.len(), view.pods.len());
    assert!(
        view.nodes
            .iter()
            .all(|node| node.name.starts_with("fargate-ip-10-100-"))
    );
    assert!(world.coredns_runs("demo"));
}

#[tokio::test(start_paused = true)]
async fn every_example_input_makes_its_cluster() {
    for (name, input) in project::examples() {
        let world = World::new(2);
        world.prepare_for(&input);
        let execution = world.provision(input.clone()).await;
        let output = execution.output();
        assert_eq!(output["clusterName"], input["clusterName"], "{name}");
        let gateways = match input["network"]["natGateways"].as_str() {
            Some("single") => 1,
            _ => output["subnets"].as_array().unwrap().len(),
        };
        assert_eq!(
            output["natGateways"].as_array().unwrap().len(),
            gateways,
            "{name}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn run_twice_equals_run_once() {
    let world = World::new(3);
    let first = world.provision(demo()).await;
    let (before, changes) = (world.simulator.state(), world.changes().len());
    let second = world.provision(demo()).await;
    assert_eq!(second.output(), first.output());
    let new = &world.changes()[changes..];
    assert!(new.is_empty(), "{new:#?}");
    let after = world.simulator.state();
    let account = |state: &State| state.accounts[ACCOUNT].clone();
    assert!(account(&after).iam == account(&before).iam);
    assert!(account(&after).regions[REGION].ec2 == account(&before).regions[REGION].ec2);
    assert!(
        second.duration < Duration::from_secs(10),
        "{:?}",
        second.duration
    );
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_timeline() {
    let (one, other) = (World::new(4), World::new(4));
    let (first, second) = (one.provision(demo()).await, other.provision(demo()).await);
    assert_eq!(first.timeline(), second.timeline());
    assert_eq!(one.simulator.durations(), other.simulator.durations());
    assert_ne!(
        World::new(5).provision(demo()).await.timeline(),
        first.timeline()
    );
}

#[tokio::test(start_paused = true)]
async fn nat_gateways_and_routes_are_made_while_the_control_plane_is_being_made() {
    let world = World::new(6);
    let execution = world.provision(demo()).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    let active = entered(&execution, "Cluster access");
    assert!(entered(&execution, "Public routes") < Duration::from_mins(1));
    assert!(entered(&execution, "Routes exist") < active);
    assert!(entered(&execution, "Fargate profiles") < active + Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn second_run_makes_nothing_twice() {
    let world = World::new(7);
    let execution = world.provision(demo()).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    let calls = world.simulator.calls();
    for (action, times) in [
        ("ec2:CreateVpc", 1),
        ("ec2:CreateSubnet", 6),
        ("ec2:CreateInternetGateway", 1),
        ("ec2:AllocateAddress", 3),
        ("ec2:CreateNatGateway", 3),
        ("ec2:CreateRouteTable", 4),
        ("iam:CreateRole", 2),
        ("iam:CreateServiceLinkedRole", 2),
        ("eks:CreateCluster", 1),
        ("eks:CreateFargateProfile", 2),
        ("eks:CreateAddon", 1),
    ] {
        assert_eq!(count(&calls, action), times, "{action}");
    }
}

#[tokio::test(start_paused = true)]
async fn wrong_input_is_refused_by_name_before_anything_is_created() {
    for (field, input) in [
        ("clusterNam", json!({"clusterNam": "demo"})),
        ("clusterName", json!({"clusterName": "-demo-"})),
        (
            "network.cidr",
            json!({"clusterName": "demo", "network": {"cidr": "10.0.0.0/28"}}),
        ),
        (
            "network.cidr",
            json!({"clusterName": "demo", "network": {"cidr": "10.0.0.1/16"}}),
        ),
        (
            "network.availabilityZones",
            json!({"clusterName": "demo", "network": {"availabilityZones": 1}}),
        ),
        (
            "kubernetesVersion",
            json!({"clusterName": "demo", "kubernetesVersion": "1.12"}),
        ),
        (
            "fargateProfiles",
            json!({"clusterName": "demo", "fargateProfiles": [
                {"name": "apps", "selectors": [{"namespace": "apps"}]}
            ]}),
        ),
        (
            "account.id",
            json!({"clusterName": "demo", "account": {"id": "1234"}}),
        ),
    ] {
        let world = World::new(8);
        let execution = world.provision(input).await;
        let failure = execution.failure();
        assert_eq!(failure.error, "InvalidRequest", "{}", failure.cause);
        assert!(failure.cause.starts_with("Plan: "), "{}", failure.cause);
        assert!(failure.cause.contains(field), "{field}: {}", failure.cause);
        assert!(world.changes().is_empty(), "{:#?}", world.changes());
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_eks_could_not_use_is_refused_before_anything_is_created() {
    let arn = format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/1234");
    let foreign = arn.replace(ACCOUNT, "444455556666");
    let usable = Key::symmetric(jiff::Timestamp::UNIX_EPOCH);
    let in_state = |state| Key {
        state,
        ..usable.clone()
    };
    let asymmetric = Key {
        spec: "RSA_2048".to_owned(),
        usage: "SIGN_VERIFY".to_owned(),
        ..usable.clone()
    };
    let (disabled, ending) = (KeyState::Disabled, KeyState::PendingDeletion);
    let missing = arn.replace("1234", "5678");
    for (named, key, error, words) in [
        (
            &arn,
            in_state(disabled),
            "InvalidRequest",
            "is Disabled; enable it",
        ),
        (&arn, in_state(ending), "InvalidRequest", "PendingDeletion"),
        (&arn, asymmetric, "InvalidRequest", "key spec is RSA_2048"),
        (&missing, usable.clone(), "InvalidRequest", "make it first"),
        (&foreign, usable.clone(), "AccessDenied", "kms:CreateGrant"),
    ] {
        let world = World::new(8);
        world.simulator.change(|state| {
            state.add_key(&foreign);
            state.add_key(&arn);
            let account = state.accounts.get_mut(ACCOUNT).unwrap();
            let keys = &mut account.region(REGION).kms.keys;
            keys.insert("1234".to_owned(), key);
        });
        let input = json!({"clusterName": "demo", "kmsKeyArn": named});
        let execution = world.provision(input).await;
        let failure = execution.failure();
        assert_eq!(failure.error, error, "{}", failure.cause);
        assert!(failure.cause.starts_with("Plan: "), "{}", failure.cause);
        for words in ["kmsKeyArn", named, words] {
            assert!(failure.cause.contains(words), "{words}: {}", failure.cause);
        }
        assert!(world.changes().is_empty(), "{:#?}", world.changes());
    }
}

/// A rerun repairs a cluster whatever became of its key: that is for a person to mend.
#[tokio::test(start_paused = true)]
async fn a_cluster_that_exists_keeps_its_key_and_is_not_asked_for_it_again() {
    let world = World::new(8);
    let arn = format!("arn:aws:kms:{REGION}:{ACCOUNT}:alias/secrets");
    let input = json!({"clusterName": "demo", "kmsKeyArn": arn});
    world.prepare_for(&input);
    let execution = world.provision(input.clone()).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    world.simulator.change(|state| {
        let account = state.accounts.get_mut(ACCOUNT).unwrap();
        let keys = &mut account.region(REGION).kms.keys;
        for key in keys.values_mut() {
            key.state = KeyState::Disabled;
        }
    });
    let execution = world.provision(input).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    assert_eq!(count(&world.simulator.calls(), "kms:DescribeKey"), 1);
}

/// Standard workflows are billed by state transitions; a retry is one too.
#[tokio::test(start_paused = true)]
async fn a_run_makes_few_state_transitions() {
    let world = World::new(9);
    let execution = world.provision(demo()).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    let retries = execution
        .events
        .iter()
        .filter(|event| event.what.starts_with("retried"))
        .count();
    println!(
        "{} state transitions, {retries} of them retries, in {:.1} minutes; {} AWS calls",
        execution.events.len(),
        execution.duration.as_secs_f64() / 60.0,
        world.simulator.calls().len()
    );
    assert!(execution.events.len() < 400, "{}", execution.timeline());
}
