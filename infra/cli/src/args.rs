//! What a person types.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Builds Amazon EKS clusters on Fargate, step by step.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What hardway can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build a cluster on this machine: the real template, functions and state machine, no AWS account
    Local(Local),
    /// Show what an execution would make, how long it would take and what it would cost; makes nothing
    Plan(Plan),
    /// Start an execution on AWS and follow it
    Start(Start),
    /// Follow an execution on AWS, of building or of removing a cluster
    Watch(Watch),
    /// Remove a cluster on AWS, with everything that was made for it
    Destroy(Destroy),
    /// Build clusters in many accounts on AWS, as one execution, and follow it
    Fleet(Fleet),
    /// Say what is wrong with a cluster on Fargate, whoever made it, most likely cause first
    Diagnose(Diagnose),
    /// Try hardway on an AWS account: deploy, build, check, remove everything, and write a report
    Acceptance(Acceptance),
    /// Install what `local` and `make` need beside Rust, under target/
    Tools,
}

/// Options of `hardway local`.
#[derive(Debug, Clone, clap::Args)]
pub struct Local {
    /// The input of the execution, a JSON file
    #[arg(
        long,
        value_name = "FILE",
        default_value = "statemachine/examples/minimal.json"
    )]
    pub input: PathBuf,
    /// How many times faster than AWS the time runs
    #[arg(long, value_name = "N", default_value_t = DEFAULT_SPEED, value_parser = speed)]
    pub speed: f64,
    /// What decides how long AWS takes for each resource
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Stay up after the run, for the AWS CLI and further executions
    #[arg(long)]
    pub keep: bool,
    /// Remove the cluster after a run that succeeded, and show that nothing is left
    #[arg(long)]
    pub destroy: bool,
}

/// A run of a quarter of an hour takes half a minute.
pub const DEFAULT_SPEED: f64 = 40.0;

/// Options of `hardway plan`.
#[derive(Debug, Clone, clap::Args)]
pub struct Plan {
    /// The input of the execution, a JSON file
    #[arg(
        long,
        value_name = "FILE",
        default_value = "statemachine/examples/minimal.json"
    )]
    pub input: PathBuf,
    /// Print the plan as data
    #[arg(long)]
    pub json: bool,
    /// The CloudFormation stack whose parameters say how roles are called [default: hardway, if it is there]
    #[arg(long, value_name = "NAME")]
    pub stack: Option<String>,
}

/// Options of `hardway start`.
#[derive(Debug, Clone, clap::Args)]
pub struct Start {
    /// The input of the execution, a JSON file
    #[arg(
        long,
        value_name = "FILE",
        default_value = "statemachine/examples/minimal.json"
    )]
    pub input: PathBuf,
    /// Where it runs.
    #[command(flatten)]
    pub deployed: Deployed,
    /// Name of the execution [default: the cluster's name and the time]
    #[arg(long)]
    pub name: Option<String>,
}

/// Options of `hardway watch`.
#[derive(Debug, Clone, clap::Args)]
pub struct Watch {
    /// ARN or name of the execution
    pub execution: String,
    /// Where it runs.
    #[command(flatten)]
    pub deployed: Deployed,
}

/// Options of `hardway destroy`.
#[derive(Debug, Clone, clap::Args)]
pub struct Destroy {
    /// Which one.
    #[command(flatten)]
    pub cluster: Cluster,
    /// Remove the cluster even if it is protected from deletion
    #[arg(long)]
    pub disable_deletion_protection: bool,
    /// Ask nothing
    #[arg(long)]
    pub yes: bool,
    /// Where it runs.
    #[command(flatten)]
    pub deployed: Deployed,
    /// Name of the execution [default: the cluster's name and the time]
    #[arg(long)]
    pub name: Option<String>,
}

/// Options of `hardway fleet`.
#[derive(Debug, Clone, clap::Args)]
pub struct Fleet {
    /// The inputs of the clusters: a file with a JSON array, or with a JSON object on each line
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "key",
        conflicts_with = "key"
    )]
    pub input: Option<PathBuf>,
    /// The same as a JSON array in the stack's bucket: its key there
    #[arg(long)]
    pub key: Option<String>,
    /// How many clusters are built at a time [default: 20]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub max_concurrency: Option<u32>,
    /// How many of a hundred may fail before the rest is not started [default: 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100))]
    pub tolerated_failure_percentage: Option<u32>,
    /// Where it runs.
    #[command(flatten)]
    pub deployed: Deployed,
    /// Name of the execution [default: the time]
    #[arg(long)]
    pub name: Option<String>,
}

/// Options of `hardway diagnose`.
#[derive(Debug, Clone, clap::Args)]
pub struct Diagnose {
    /// Which one.
    #[command(flatten)]
    pub cluster: Cluster,
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `hardway acceptance`.
#[derive(Debug, Clone, clap::Args)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub struct Acceptance {
    /// Region to deploy to and to build in [default: that of your credentials]
    #[arg(long)]
    pub region: Option<String>,
    /// Name of the stack and of the cluster, which must not exist [default: hardway-acceptance- and a number]
    #[arg(long, value_name = "NAME", value_parser = stack_name)]
    pub stack_name: Option<String>,
    /// The input of the cluster, a JSON file; its name is replaced
    #[arg(
        long,
        value_name = "FILE",
        default_value = "statemachine/examples/cheap.json"
    )]
    pub input: PathBuf,
    /// Where the report goes, as Markdown; beside it as JSON [default: target/acceptance/NAME.md]
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Write account ids and the caller's ARN into the report as they are
    #[arg(long)]
    pub unmasked: bool,
    /// Ask nothing
    #[arg(long)]
    pub yes: bool,
    /// Go on although the policy simulator says that something is denied
    #[arg(long)]
    pub ignore_denials: bool,
    /// Remove nothing at the end, and say how to
    #[arg(long)]
    pub keep: bool,
    /// Processor of the packages under target/lambda
    #[arg(long, value_name = "NAME", default_value = "arm64", value_parser = ["arm64", "x86_64"])]
    pub architecture: String,
    /// How many times faster than AWS the time of a kept laptop runs
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = speed)]
    pub speed: f64,
}

/// The stack of `make deploy`.
pub const DEFAULT_STACK: &str = "hardway";

/// Where hardway runs.
#[derive(Debug, Clone, clap::Args)]
pub struct Deployed {
    /// The CloudFormation stack that hardway was deployed as
    #[arg(long, default_value = DEFAULT_STACK)]
    pub stack: String,
    /// How many times faster than AWS the time of a kept laptop runs
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = speed)]
    pub speed: f64,
}

/// A cluster that is there.
#[derive(Debug, Clone, clap::Args)]
pub struct Cluster {
    /// Name of the cluster
    #[arg(id = "cluster", value_name = "CLUSTER")]
    pub name: String,
    /// Region of the cluster [default: that of your credentials]
    #[arg(long)]
    pub region: Option<String>,
    /// Account of the cluster [default: that of your credentials]
    #[arg(long, value_name = "ID")]
    pub account: Option<String>,
    /// The role to assume in that account [default: HardwayMember]
    #[arg(long, value_name = "NAME", requires = "account")]
    pub role_name: Option<String>,
    /// The external id that the role asks for
    #[arg(long, value_name = "ID", requires = "account")]
    pub external_id: Option<String>,
}

/// The longest name with which every resource of the stack has one that AWS takes.
const STACK_NAME_MAX: usize = 30;

/// Buckets are named after it, too: no capitals.
fn stack_name(text: &str) -> Result<String, String> {
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let begins = text.starts_with(|c: char| c.is_ascii_lowercase());
    let fits = (3..=STACK_NAME_MAX).contains(&text.len());
    let is_reserved = text.starts_with("aws") || text.starts_with("ssm");
    if begins && fits && !is_reserved && !text.ends_with('-') && text.chars().all(is_allowed) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "3 to {STACK_NAME_MAX} of a-z, 0-9 and hyphens, beginning with a letter, neither with aws nor with ssm"
    ))
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if (1.0..=1000.0).contains(&speed) => Ok(speed),
        _ => Err("a number from 1 to 1000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_holds_together() {
        Args::command().debug_assert();
    }

    #[test]
    fn local_needs_nothing() {
        let args = Args::parse_from(["hardway", "local"]);
        let Command::Local(local) = args.command else {
            panic!("{args:?}");
        };
        assert!(!local.keep && !local.destroy);
        assert_eq!(local.seed, 1);
        assert!(local.input.ends_with("minimal.json"));
    }

    #[test]
    fn local_destroys_and_stays_up_at_once() {
        let args = Args::parse_from(["hardway", "local", "--destroy", "--keep"]);
        let Command::Local(local) = args.command else {
            panic!("{args:?}");
        };
        assert!(local.keep && local.destroy);
    }

    #[test]
    fn plan_prints_tables_by_default() {
        let args = Args::parse_from(["hardway", "plan", "--input", "x.json"]);
        let Command::Plan(plan) = args.command else {
            panic!("{args:?}");
        };
        assert!(!plan.json && plan.stack.is_none());
        assert!(plan.input.ends_with("x.json"));
    }

    #[test]
    fn destroy_needs_a_cluster_and_asks_by_default() {
        assert!(Args::try_parse_from(["hardway", "destroy"]).is_err());
        let args = Args::parse_from(["hardway", "destroy", "demo"]);
        let Command::Destroy(destroy) = args.command else {
            panic!("{args:?}");
        };
        assert_eq!(destroy.cluster.name, "demo");
        assert_eq!(destroy.deployed.stack, "hardway");
        assert!(!destroy.yes && !destroy.disable_deletion_protection);
    }

    #[test]
    fn a_role_without_its_account_is_refused() {
        for option in ["--role-name", "--external-id"] {
            let mut args = vec!["hardway", "destroy", "demo", option, "x"];
            assert!(Args::try_parse_from(&args).is_err(), "{option}");
            args.extend(["--account", "222222222222"]);
            assert!(Args::try_parse_from(&args).is_ok(), "{option}");
        }
    }

    #[test]
    fn a_fleet_has_its_list_in_one_place() {
        let parse = |more: &[&str]| {
            let args = ["hardway", "fleet"].iter().chain(more);
            Args::try_parse_from(args)
        };
        assert!(parse(&[]).is_err());
        assert!(parse(&["--input", "a", "--key", "b"]).is_err());
        assert!(parse(&["--input", "a", "--max-concurrency", "0"]).is_err());
        for list in [["--input", "a"], ["--key", "b"]] {
            assert!(parse(&list).is_ok());
        }
    }

    #[test]
    fn an_acceptance_asks_and_removes_by_default() {
        let args = Args::parse_from(["hardway", "acceptance"]);
        let Command::Acceptance(options) = args.command else {
            panic!("{args:?}");
        };
        assert!(!options.yes && !options.keep && !options.unmasked && !options.ignore_denials);
        assert!(options.input.ends_with("cheap.json"));
        assert_eq!(options.architecture, "arm64");
    }

    #[test]
    fn a_stack_name_that_some_resource_cannot_have_is_refused() {
        let parse = |name: &str| {
            Args::try_parse_from(["hardway", "acceptance", "--stack-name", name]).is_ok()
        };
        for name in ["try", "hardway-acceptance-1", &"x".repeat(30)] {
            assert!(parse(name), "{name}");
        }
        let long = "x".repeat(31);
        for name in [
            "", "x", "Try", "1try", "try_it", "try-", "awstry", "ssm-try", &long,
        ] {
            assert!(!parse(name), "{name}");
        }
    }

    #[test]
    fn a_speed_that_stops_time_is_refused() {
        assert!(Args::try_parse_from(["hardway", "local", "--speed", "0"]).is_err());
    }
}
