//! What holds for every input: `plan` never panics, what it accepts is built, and what its preview says is
//! what the run then creates.
//!
//! `PLAN_SEED=7 cargo test --test all plan_property::` tries other inputs.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use simulator::Call;
use tests::asl::Invoke;
use tests::world::{Moment, small_input};
use tests::{Execution, Failure, World, inputs, many, project, resources};

/// How many inputs are shown to `plan`, and how many of those that it accepts are built.
const INPUTS: u64 = 3000;
const BUILT: usize = 40;
/// How many fit inputs are previewed and built.
const PREVIEWED: u64 = 24;

static SEED: LazyLock<u64> = LazyLock::new(|| {
    let seed = std::env::var("PLAN_SEED").ok();
    seed.and_then(|text| text.parse().ok()).unwrap_or(1)
});

fn rng(number: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(SEED.wrapping_mul(1_000_000_000).wrapping_add(number))
}

async fn plan(world: &World, input: &Value) -> Result<Value, Failure> {
    let request = json!({"action": "ensure", "execution": "x", "state": "Plan", "spec": input});
    world.invoke("${PlanFunctionArn}", request).await
}

/// Whether AWS says that what it was asked for is wrong.
fn is_wrong_request(call: &Call) -> bool {
    let code = call.error.as_deref().unwrap_or_default();
    [
        "Invalid",
        "Malformed",
        "Validation",
        "Missing",
        "Unsupported",
    ]
    .iter()
    .any(|start| code.starts_with(start))
}

/// Wrong requests that were not right later: EKS calls a role that IAM has not spread yet a wrong
/// parameter, and takes it a few seconds later.
fn wrong_for_good(calls: &[Call]) -> Vec<String> {
    let succeeds = |wrong: &Call| {
        let is_the_same = |call: &Call| {
            call.action() == wrong.action() && call.at > wrong.at && call.error.is_none()
        };
        calls.iter().any(is_the_same)
    };
    let wrong = calls.iter().filter(|call| is_wrong_request(call));
    wrong
        .filter(|call| !succeeds(call))
        .map(|call| format!("{call:?}"))
        .collect()
}

#[test]
fn no_input_panics_and_what_plan_accepts_is_built_without_a_wrong_request() {
    println!("PLAN_SEED={}", *SEED);
    let numbers: Vec<u64> = (0..INPUTS).collect();
    let chunks: Vec<&[u64]> = numbers.chunks(100).collect();
    let accepted = many::each(&chunks, async |_, chunk| {
        let world = World::new(101);
        inputs::prepare(&world);
        let mut accepted = vec![];
        for number in *chunk {
            // From fit ones to rather strange ones.
            let oddness = f64::from(u32::try_from(number % 10).unwrap()) / 20.0;
            let input = inputs::input(&mut rng(*number), oddness);
            match plan(&world, &input).await {
                Ok(_) => accepted.push((*number, input)),
                // A role that cannot be assumed may be that of a new account.
                Err(failure) => assert!(
                    ["InvalidRequest", "AccountNotReady"].contains(&failure.error.as_str()),
                    "{input:#}\n{failure:?}"
                ),
            }
        }
        assert!(world.changes().is_empty());
        accepted
    });
    let mut accepted: Vec<(u64, Value)> = accepted.into_iter().flatten().collect();
    println!("{} of {INPUTS} inputs are accepted", accepted.len());
    // Neither are all refused nor all accepted.
    assert!((300..2900).contains(&accepted.len()));
    // What is fit throughout is built by the other tests.
    accepted.retain(|(number, _)| number % 10 > 0);
    let step = accepted.len() / BUILT;
    let built: Vec<_> = accepted.into_iter().step_by(step).collect();
    let problems = many::each(&built, async |_, (_, input)| {
        let world = World::new(102);
        inputs::prepare(&world);
        let execution = world.provision(input.clone()).await;
        let wrong = wrong_for_good(&world.simulator.calls());
        let is_built = execution.result.is_ok() && wrong.is_empty();
        (!is_built).then(|| format!("{input:#}\n{:?}\n{}", execution.result, wrong.join("\n")))
    });
    let problems: Vec<String> = problems.into_iter().flatten().collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// The resources of a preview to which one of the changes happens.
fn listed(preview: &Value, changes: &[&str]) -> BTreeSet<(String, String)> {
    let all = preview["preview"]["resources"].as_array().unwrap();
    let found: Vec<_> = all
        .iter()
        .filter(|it| changes.contains(&it["change"].as_str().unwrap()))
        .map(|it| ["type", "name"].map(|key| it[key].as_str().unwrap().to_owned()))
        .map(|[kind, name]| (kind, name))
        .collect();
    let set: BTreeSet<_> = found.iter().cloned().collect();
    assert_eq!(set.len(), found.len(), "twice in the list: {found:?}");
    set
}

fn dry(input: &Value) -> Value {
    let mut input = input.clone();
    input["dryRun"] = true.into();
    input
}

/// Previews a run, does it, and compares: what it created, and whether it changed anything at all.
async fn compare(world: &World, input: &Value) -> (Option<String>, Execution) {
    let changes = world.changes().len();
    let dry_run = world.provision(dry(input)).await;
    let Ok(preview) = &dry_run.result else {
        return (Some(format!("{:?}", dry_run.result)), dry_run);
    };
    assert_eq!(
        world.changes().len(),
        changes,
        "a dry run changes something"
    );
    let target = &preview["plan"];
    let here = |world: &World| {
        let account = target["account"]["id"].as_str().unwrap();
        let region = target["region"].as_str().unwrap();
        resources::of(&world.simulator.state(), account, region)
    };
    let before = here(world);
    let execution = world.provision(input.clone()).await;
    if execution.result.is_err() {
        return (Some(format!("{:?}", execution.result)), execution);
    }
    let after = here(world);
    let created: BTreeSet<_> = after.difference(&before).cloned().collect();
    let said = listed(preview, &["create"]);
    let missing: Vec<_> = created.difference(&said).collect();
    let surplus: Vec<_> = said.difference(&created).collect();
    let kept = listed(preview, &["keep", "change", "adopt", "replace"]);
    let not_there: Vec<_> = kept.difference(&before).collect();
    let is_quiet = listed(preview, &["create", "change", "adopt", "replace", "remove"]).is_empty();
    // The registry's entry is hardway's, not the cluster's.
    let has_changed = (world.changes()[changes..].iter()).any(|call| call.service != "ssm");
    let is_right = missing.is_empty() && surplus.is_empty() && not_there.is_empty();
    let problem = if !is_right {
        Some(format!(
            "created and not listed: {missing:?}; listed and not created: {surplus:?}; kept though it is \
             not there: {not_there:?}"
        ))
    } else if is_quiet && has_changed {
        Some(format!(
            "changed although all was to stay: {:#?}",
            world.changes()
        ))
    } else {
        None
    };
    (problem, execution)
}

/// After a run there is nothing to do.
async fn nothing_is_left_to_do(world: &World, input: &Value) -> Option<String> {
    let dry_run = world.provision(dry(input)).await;
    let preview = dry_run.output();
    let left = listed(preview, &["create", "change", "remove"]);
    let minutes = &preview["preview"]["minutes"];
    (!left.is_empty() || minutes != 0).then(|| format!("{minutes} minutes for {left:?}"))
}

fn report(problems: Vec<Option<String>>) {
    let problems: Vec<String> = problems.into_iter().flatten().collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_preview_of_every_example_is_what_the_run_creates() {
    report(many::each(
        &project::examples(),
        async |_, (name, input)| {
            let world = World::new(103);
            world.prepare_for(input);
            let (problem, execution) = compare(&world, input).await;
            let problem = match problem {
                None => nothing_is_left_to_do(&world, input).await,
                problem => problem,
            };
            problem.map(|problem| format!("{name}: {problem}\n{}", execution.timeline()))
        },
    ));
}

#[test]
fn the_preview_of_random_inputs_is_what_the_run_creates() {
    let numbers: Vec<u64> = (0..PREVIEWED).collect();
    report(many::each(&numbers, async |_, number| {
        let input = inputs::fit(&mut rng(10_000_000 + number));
        let world = World::new(104);
        inputs::prepare(&world);
        let (problem, execution) = compare(&world, &input).await;
        let problem = match problem {
            None => nothing_is_left_to_do(&world, &input).await,
            problem => problem,
        };
        problem.map(|problem| format!("{input:#}: {problem}\n{}", execution.timeline()))
    }));
}

/// After every call of a run another one could begin.
#[test]
fn the_preview_of_a_half_made_cluster_is_what_the_second_run_creates() {
    const SEED: u64 = 105;
    let input = small_input();
    let moments = many::one(async || World::moments_of(SEED, &input).await);
    let every = moments.len() / 30;
    let moments: Vec<Moment> = moments.into_iter().step_by(every.max(1)).collect();
    assert!(moments.len() >= 30);
    report(many::each(&moments, async |number, moment| {
        let world = World::resume(SEED, moment);
        let (problem, execution) = compare(&world, &input).await;
        problem.map(|problem| format!("{number}: {problem}\n{}", execution.timeline()))
    }));
}

/// The estimate is for a person who decides whether to wait.
#[test]
fn the_estimated_minutes_are_about_those_that_the_run_takes() {
    let seeds: Vec<u64> = (1..=6).collect();
    report(many::each(&seeds, async |_, seed| {
        let world = World::new(*seed);
        let input = json!({"clusterName": "demo"});
        let dry_run = world.provision(dry(&input)).await;
        let estimated = dry_run.output()["preview"]["minutes"].as_f64().unwrap();
        let execution = world.provision(input).await;
        assert!(execution.result.is_ok(), "{}", execution.timeline());
        let taken = execution.duration.as_secs_f64() / 60.0;
        println!("estimated {estimated} minutes, taken {taken:.1}");
        let is_near = (taken * 0.65..taken * 1.5).contains(&estimated);
        (!is_near).then(|| format!("estimated {estimated} minutes, taken {taken:.1}"))
    }));
}
