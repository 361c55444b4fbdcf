//! Whatever fails, at whichever call: the run ends with exactly the resources of an undisturbed one.
//!
//! `cargo test --test all sweep:: -- --nocapture` prints the table of docs/reliability.md.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use serde_json::Value;
use strum::IntoEnumIterator;
use tests::faults::{Mishap, Script, Trouble};
use tests::world::{ACCOUNT, small_input};
use tests::{Execution, World, graph, many};

const SEED: u64 = 61;
/// A fault may cost at most this much more than an undisturbed run: a function's time limit, the back-off
/// after it, and what a poll comes later.
const DELAY_MAX: Duration = Duration::from_mins(6);

/// How a run ended.
struct Ended {
    result: Result<BTreeMap<String, Value>, String>,
    counts: (usize, usize),
    /// What happened, for a run that has to be explained.
    execution: Execution,
}

async fn run(script: Script) -> Ended {
    let world = World::new(SEED);
    world.prepare_for(&small_input());
    world.follow(script);
    let execution = world.provision(small_input()).await;
    let counts = world.script().counts();
    // What EKS and EC2 do late, they do now.
    tokio::time::sleep(Duration::from_mins(30)).await;
    let result = match &execution.result {
        Ok(_) if !world.coredns_runs("demo") => Err("CoreDNS does not run".to_owned()),
        Ok(_) => graph::of(&world.simulator.state(), ACCOUNT),
        Err(failure) => Err(format!("{}: {}", failure.error, failure.cause)),
    };
    Ended {
        result,
        counts,
        execution,
    }
}

/// One cell of the table: what went wrong, where, and what came of it.
struct Outcome {
    problem: Option<String>,
    delay: Duration,
}

fn judge(undisturbed: &Ended, ended: &Ended) -> Outcome {
    let usual = undisturbed.execution.duration;
    let delay = ended.execution.duration.saturating_sub(usual);
    let problem = match &ended.result {
        Err(problem) => Some(problem.clone()),
        Ok(graph) => {
            let expected = undisturbed.result.as_ref().unwrap();
            let difference = graph::difference(expected, graph);
            (!difference.is_empty()).then(|| difference.join("\n"))
        }
    };
    let problem = problem.or_else(|| {
        let is_late = delay > DELAY_MAX;
        is_late.then(|| format!("takes {delay:?} longer"))
    });
    Outcome {
        problem: problem.map(|problem| format!("{problem}\n{}", ended.execution.timeline())),
        delay,
    }
}

/// Runs one fault, the `index`-th of its kind, at its places; prints its line of the table; the problems.
///
/// Its places are every third one, so that each place meets a third of the faults, and with `SWEEP=full`
/// all of them.
fn sweep<T: Debug + Copy + Sync>(
    undisturbed: &Ended,
    (index, fault): (usize, T),
    places: usize,
    script: impl Fn(usize, T) -> Script + Sync,
) -> Vec<String> {
    let is_full = std::env::var("SWEEP").is_ok_and(|value| value == "full");
    let numbers = (0..places).filter(|number| is_full || (number + index).is_multiple_of(3));
    let numbers: Vec<usize> = numbers.collect();
    let places = numbers.len();
    let outcomes = many::each(&numbers, async |_, number| {
        judge(undisturbed, &run(script(*number, fault)).await)
    });
    let slowest = outcomes.iter().map(|it| it.delay).max().unwrap_or_default();
    let problems: Vec<String> = numbers
        .iter()
        .zip(outcomes)
        .filter_map(|(number, outcome)| {
            Some(format!("{fault:?} at {number}: {}", outcome.problem?))
        })
        .collect();
    let name = format!("{fault:?}");
    println!(
        "| {name:<17} | {places:>6} | {:>9} | {:>13} |",
        places - problems.len(),
        format!("{:.0} s", slowest.as_secs_f64())
    );
    problems
}

fn undisturbed() -> Ended {
    let ended = many::one(async || run(Script::calm()).await);
    assert!(
        ended.result.is_ok(),
        "{:?}\n{}",
        ended.result,
        ended.execution.timeline()
    );
    ended
}

fn report(problems: &[String]) {
    let first = problems.first();
    assert!(
        first.is_none(),
        "{} problems, the first:\n{}",
        problems.len(),
        first.unwrap()
    );
}

#[test]
fn every_call_may_go_wrong_in_every_way() {
    let undisturbed = undisturbed();
    let (calls, _) = undisturbed.counts;
    let problems: Vec<String> = Trouble::iter()
        .enumerate()
        .flat_map(|trouble| sweep(&undisturbed, trouble, calls, Script::with_call))
        .collect();
    report(&problems);
}

#[test]
fn every_task_may_go_wrong_in_every_way() {
    let undisturbed = undisturbed();
    let (_, invocations) = undisturbed.counts;
    let problems: Vec<String> = Mishap::iter()
        .enumerate()
        .flat_map(|mishap| sweep(&undisturbed, mishap, invocations, Script::with_invocation))
        .collect();
    report(&problems);
}
