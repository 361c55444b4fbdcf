//! `hardway acceptance`: hardway on an AWS account, from the deployment to the last trace, with a report that
//! can be attached to an issue.
//!
//! Whatever happens, it removes what it has made ([`Run::clean_up`]), looks itself whether anything is left
//! ([`left`]), and says of what is left how to remove it.

mod caller;
mod left;
mod log;
mod markdown;
mod notice;
mod permissions;
mod place;
mod questions;
mod removal;
mod report;
mod run;
mod stack;
pub mod timeline;

use std::io::IsTerminal;

use anyhow::{Context, Result, bail, ensure};
use console::style;
use serde_json::Value;

use crate::args::Acceptance;
use crate::input;
use crate::local::interrupted;
use caller::Kind;
use place::Place;
use report::{Mask, Outcome, Report};
use run::Run;

/// `hardway acceptance`.
///
/// # Errors
/// If nobody agrees to it, something fails, something is left, or AWS does otherwise than hardway believes.
pub async fn run(options: &Acceptance) -> Result<()> {
    let can_ask = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    ensure!(
        options.yes || can_ask,
        "there is no terminal to ask on; --yes tries hardway without a question"
    );
    let input = input::read(&options.input)?;
    let place = Place::find(options).await?;
    stack::require_packages(&place)?;
    let input = input_for(&place, input)?;
    let looked = functions::plan::dry_run(&place.base, &input).await;
    let (_, preview) = looked.context("the cluster cannot be built here; nothing was made")?;
    stack::require_none(&place).await?;
    eprintln!("\n{}\n", notice::text(&place, options, &preview));
    if !options.yes {
        ensure!(ask()?, "nothing was made");
    }
    let mut run = Run::new(&place, options, input, preview);
    tokio::select! {
        () = run.try_everything() => {}
        signal = interrupted() => {
            eprintln!("\n{signal}: removing everything; once more to leave it as it is");
            run.problem(format!("{signal} by the user"));
        }
    }
    if !options.keep {
        tokio::select! {
            () = run.clean_up() => {}
            signal = interrupted() => run.problem(format!("{signal} while everything was being removed")),
        }
    }
    let report = run.report().await;
    write(&place, options, &report)?;
    conclude(&report)
}

fn ask() -> Result<bool> {
    let answer: String = dialoguer::Input::new()
        .with_prompt("Type yes to begin")
        .allow_empty(true)
        .interact_text()
        .context("the question cannot be asked: nothing was made")?;
    Ok(answer.trim() == "yes")
}

/// The input with the name and the place of this run.
fn input_for(place: &Place, mut input: Value) -> Result<Value> {
    let fields = input.as_object_mut();
    let fields = fields.context("the input is no JSON object")?;
    ensure!(
        !fields.contains_key("account"),
        "the input names an account; an acceptance builds in that of your credentials"
    );
    fields.remove("dryRun");
    // It is removed by this run, which looks at it first.
    fields.remove("onFailure");
    fields.insert("clusterName".to_owned(), place.stack().into());
    fields.insert("region".to_owned(), place.region().into());
    Ok(input)
}

fn write(place: &Place, options: &Acceptance, report: &Report) -> Result<()> {
    let folder = place.root.join("target/acceptance");
    let path = options.report.clone();
    let path = path.unwrap_or_else(|| folder.join(format!("{}.md", place.stack())));
    let entity = match &place.caller.kind {
        Kind::Entity(arn) => Some(arn.as_str()),
        Kind::Root | Kind::Other(_) => None,
    };
    let mask = if options.unmasked {
        Mask::default()
    } else {
        Mask::of(&place.caller, entity)
    };
    report.write(&path, &mask)?;
    eprintln!("\nThe report is {} (and .json beside it).", path.display());
    Ok(())
}

/// The last words; a failure and a surprise are errors.
fn conclude(report: &Report) -> Result<()> {
    for answer in &report.questions {
        if answer.verdict == questions::Verdict::Otherwise {
            eprintln!(
                "{} {}\n  believed: {}\n  answer:   {}",
                style("AWS does otherwise:").yellow().bold(),
                answer.question.asks,
                answer.question.belief,
                answer.answer
            );
        }
    }
    for problem in report.problems.iter().skip(1) {
        eprintln!("{} {problem}", style("also:").red());
    }
    for left in &report.left {
        let what = style(format!("left: {}", left.what)).red().bold();
        eprintln!("{what}\n  remove it with: {}", left.remove);
    }
    for unknown in &report.unknown {
        eprintln!("{} {unknown}", style("nobody could look:").red().bold());
    }
    for kept in &report.kept_by_aws {
        eprintln!("AWS keeps: {kept}");
    }
    if report.outcome == Outcome::Passed {
        println!("{} {}.", style("✔").green().bold(), report.summary);
        return Ok(());
    }
    bail!("{}", report.summary)
}
