//! `hardway`: the operator's tool.

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    Box::pin(hardway::run(hardway::Args::parse())).await
}
