//! The operator's tool: a whole cluster on the laptop ([`local`]), and executions on AWS
//! ([`execution`]), both with the same live [`view`]; before either, what would be made ([`plan`]).

pub mod acceptance;
pub mod args;
pub mod aws;
pub mod destroy;
pub mod diagnose;
pub mod execution;
pub mod fleet;
pub mod input;
pub mod local;
pub mod plan;
pub mod receipt;
pub mod stack;
pub mod summary;
pub mod view;

use std::process::ExitCode;

use anyhow::Result;

pub use args::Args;
use args::Command;

/// Runs a command; its exit code is 0 only if everything that it was asked for is so.
pub async fn run(args: Args) -> ExitCode {
    let done = match args.command {
        Command::Local(options) => local::run(&options).await,
        Command::Plan(options) => plan::run(&options).await,
        Command::Start(options) => execution::start(&options).await,
        Command::Watch(options) => execution::watch(&options).await,
        Command::Destroy(options) => destroy::run(&options).await,
        Command::Fleet(options) => fleet::run(&options).await,
        Command::Diagnose(options) => diagnose::run(&options).await,
        Command::Acceptance(options) => Box::pin(acceptance::run(&options)).await,
        Command::Tools => local::install_tools().await,
    };
    finish(done)
}

fn finish(done: Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{} {error:#}", console::style("error:").red().bold());
            ExitCode::FAILURE
        }
    }
}
