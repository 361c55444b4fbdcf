//! `hardway`: the operator's tool.

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    hardway::run(hardway::Args::parse()).await
}
