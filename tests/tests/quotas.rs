//! Quotas that are too small are refused before anything is created.

use serde_json::{Value, json};
use simulator::state::Region;
use tests::faults::Script;
use tests::world::region;
use tests::{World, many};

fn demo() -> Value {
    json!({"clusterName": "demo"})
}

fn lower(world: &World, change: impl FnOnce(&mut Region)) {
    world.simulator.change(|state| change(region(state)));
}

#[tokio::test(start_paused = true)]
async fn one_address_too_few_is_refused_with_its_code_and_the_value_needed() {
    let world = World::new(91);
    lower(&world, |region| region.ec2.quotas.addresses = 2);
    let execution = world.provision(demo()).await;
    let failure = execution.failure();
    assert_eq!(failure.error, "QuotaExceeded");
    for said in [
        "L-0263D0A3",
        "the quota is 2, 0 in use, 3 needed",
        "--desired-value 3",
    ] {
        assert!(failure.cause.contains(said), "{}", failure.cause);
    }
    assert!(world.changes().is_empty(), "{:#?}", world.changes());
    lower(&world, |region| region.ec2.quotas.addresses = 3);
    let execution = world.provision(demo()).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
}

/// What is lowered by one too many, by the code of its quota.
type Lower = fn(&mut Region);

const QUOTAS: &[(&str, &str, Lower)] = &[
    ("L-F678F1CE", "1 needed", |it| it.ec2.quotas.vpcs = 0),
    ("L-A4707A72", "1 needed", |it| {
        it.ec2.quotas.internet_gateways = 0;
    }),
    ("L-FE5A380F", "1 needed", |it| {
        it.ec2.quotas.nat_gateways_per_zone = 0;
    }),
    ("L-0263D0A3", "3 needed", |it| it.ec2.quotas.addresses = 2),
    ("L-1194D53C", "1 needed", |it| it.eks.quotas.clusters = 0),
    ("L-3032A538", "0.5 needed", |it| {
        it.eks.quotas.fargate_vcpus = 0;
    }),
];

#[test]
fn every_quota_is_looked_at_before_anything_is_created() {
    let problems = many::each(QUOTAS, async |_, (code, needed, change)| {
        let world = World::new(92);
        lower(&world, change);
        let execution = world.provision(demo()).await;
        let Err(failure) = &execution.result else {
            return Some(format!("{code}: the quota is not reached"));
        };
        let says = failure.cause.contains(code) && failure.cause.contains(needed);
        let is_refused = failure.error == "QuotaExceeded" && says && world.changes().is_empty();
        (!is_refused).then(|| format!("{code}: {failure:?}"))
    });
    let problems: Vec<String> = problems.into_iter().flatten().collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn every_quota_that_is_too_small_is_named_at_once() {
    let world = World::new(93);
    for (_, _, change) in QUOTAS {
        lower(&world, change);
    }
    let execution = world.provision(demo()).await;
    let cause = &execution.failure().cause;
    for (code, ..) in QUOTAS {
        assert!(cause.contains(code), "{code}: {cause}");
    }
}

#[tokio::test(start_paused = true)]
async fn resources_of_the_cluster_are_not_counted_twice() {
    let world = World::new(94);
    let first = world.provision(demo()).await;
    assert!(first.result.is_ok(), "{}", first.timeline());
    lower(&world, |region| {
        region.ec2.quotas.vpcs = 1;
        region.ec2.quotas.internet_gateways = 1;
        region.ec2.quotas.nat_gateways_per_zone = 1;
        region.ec2.quotas.addresses = 3;
        region.eks.quotas.clusters = 1;
        region.eks.quotas.fargate_profiles_per_cluster = 2;
        region.eks.quotas.fargate_vcpus = 1;
    });
    let changes = world.changes().len();
    let second = world.provision(demo()).await;
    assert!(second.result.is_ok(), "{}", second.timeline());
    assert_eq!(world.changes().len(), changes);
    // Another one has no room.
    let execution = world.provision(json!({"clusterName": "other"})).await;
    let cause = &execution.failure().cause;
    for said in ["L-F678F1CE", "1 in use, 2 needed", "3 in use, 6 needed"] {
        assert!(cause.contains(said), "{cause}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_profile_too_many_is_refused() {
    let world = World::new(95);
    let first = world.provision(demo()).await;
    assert!(first.result.is_ok(), "{}", first.timeline());
    lower(&world, |region| {
        region.eks.quotas.fargate_profiles_per_cluster = 2;
    });
    let profile = |name: &str| json!({"name": name, "selectors": [{"namespace": name}]});
    let input = json!({
        "clusterName": "demo",
        "fargateProfiles": [profile("kube-system"), profile("apps")],
    });
    let changes = world.changes().len();
    let execution = world.provision(input).await;
    let cause = &execution.failure().cause;
    assert!(cause.contains("L-33415657"), "{cause}");
    assert!(
        cause.contains("the quota is 2, 2 in use, 3 needed"),
        "{cause}"
    );
    assert_eq!(world.changes().len(), changes);
}

/// Whoever may not read the quotas gets by with AWS's defaults.
#[tokio::test(start_paused = true)]
async fn without_the_permission_the_defaults_are_assumed_and_that_is_said() {
    let world = World::new(96);
    world.follow(Script::with_denied(
        "ServiceQuotasV20190624.GetServiceQuota",
    ));
    let input = json!({"clusterName": "demo", "dryRun": true});
    let execution = world.provision(input).await;
    let notes = execution.output()["preview"]["notes"].to_string();
    assert!(notes.contains("(L-0263D0A3) could not be read, so AWS's default of 5 is assumed"));
    assert!(notes.contains("(L-3032A538) could not be read, so it is not checked"));
    for number in 0..3 {
        let call = world.aws().ec2().allocate_address();
        call.send()
            .await
            .unwrap_or_else(|error| panic!("{number}: {error}"));
    }
    let execution = world.provision(demo()).await;
    let cause = &execution.failure().cause;
    for said in ["AWS's default", "3 in use, 6 needed"] {
        assert!(cause.contains(said), "{cause}");
    }
    // More than the default is there: it was raised.
    lower(&world, |region| region.ec2.quotas.addresses = 20);
    for _ in 0..3 {
        world.aws().ec2().allocate_address().send().await.unwrap();
    }
    let execution = world.provision(demo()).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
}
