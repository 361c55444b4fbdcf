//! A cluster on this machine: AWS on a laptop, the real template, functions and state machine.

mod deploy;
mod ministack;
mod package;
pub(crate) mod process;
mod server;
pub(crate) mod tools;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use console::style;
use indicatif::ProgressBar;
use serde_json::Value;
use simulator::{Clock, Config, Simulator};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use crate::args::{DEFAULT_SPEED, Local};
use crate::aws::{self, LAPTOP_ACCOUNT};
use crate::destroy;
use crate::execution::{Ended, Executions, name_for};
use crate::fleet;
use crate::input;
use crate::receipt::Receipt;
use crate::stack::Stack;
use crate::summary;
use ministack::Setup;
pub use package::{functions, policy_file};
pub use server::Server;
use tools::{Lock, Tools};

/// The region of the laptop's AWS, unless the input names another.
const REGION: &str = "ap-northeast-1";
/// How often the laptop is asked.
const INTERVAL: Duration = Duration::from_millis(250);

/// How a laptop is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many times faster than AWS the time runs.
    pub speed: f64,
    /// What decides how long AWS takes for each resource.
    pub seed: u64,
    /// The region.
    pub region: String,
    /// Whether IAM is enforced for the services that ministack plays: a function may then call them only
    /// as its role's policies allow.
    pub auth: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            speed: DEFAULT_SPEED,
            seed: 1,
            region: REGION.to_owned(),
            auth: false,
        }
    }
}

/// AWS on this machine, with hardway deployed. Dropping it ends everything that it started.
#[derive(Debug)]
pub struct Laptop {
    simulator: Simulator,
    simulator_endpoint: String,
    server: JoinHandle<std::io::Result<()>>,
    ministack: Server,
    executions: Executions,
    options: Options,
    // The last to go: the others use it.
    _folder: TempDir,
}

impl Laptop {
    /// Prepares the tools, builds the functions, starts AWS and deploys the template.
    ///
    /// # Errors
    /// If one of them fails; with what to do.
    pub async fn start(options: Options) -> Result<Self> {
        Self::start_through(options, async |simulator| Ok(simulator.to_owned())).await
    }

    /// The same, with something between the functions and the simulator: `between` is told the
    /// simulator's URL, and answers the one that the functions shall have. Everyone else still talks to
    /// the simulator itself.
    ///
    /// # Errors
    /// As [`Laptop::start`]; or if `between` fails.
    pub async fn start_through(
        options: Options,
        between: impl AsyncFnOnce(&str) -> Result<String>,
    ) -> Result<Self> {
        let root = root()?;
        let lock = Lock::acquire(&root).await?;
        let tools = during("installing the tools", Tools::prepare(&root, &lock)).await?;
        during(
            "building the functions",
            package::build(&root, &tools, &lock),
        )
        .await?;
        let folder = tempfile::Builder::new()
            .prefix("hardway-")
            .tempdir_in(root.join("target"))?;

        let simulator = Simulator::new(Config {
            seed: options.seed,
            clock: Clock::scaled(options.speed),
            default_account: LAPTOP_ACCOUNT.to_owned(),
            ..Config::default()
        });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let simulator_endpoint = format!("http://{}", listener.local_addr()?);
        let aws = simulator.clone();
        let server = tokio::spawn(async move { aws.serve(listener).await });

        let setup = Setup {
            folder: folder.path(),
            region: &options.region,
            simulator: &between(&simulator_endpoint).await?,
            speed: options.speed,
            auth: options.auth,
        };
        let ministack = during("starting AWS", ministack::start(&tools, &setup)).await?;
        let endpoint = ministack.endpoint();
        let region = &options.region;
        let deploying = deploy::deploy(&root, &tools, folder.path(), endpoint, region, &lock);
        during("deploying infra/template.yaml", deploying).await?;
        drop(lock);

        let config = aws::laptop(endpoint, &options.region).await;
        let stack = Stack::find(&config, deploy::STACK).await?;
        let executions = Executions::new(&config, stack, INTERVAL, options.speed);
        Ok(Self {
            simulator,
            simulator_endpoint,
            server,
            ministack,
            executions,
            options,
            _folder: folder,
        })
    }

    /// The simulated EC2, IAM, STS, EKS and Systems Manager.
    #[must_use]
    pub fn simulator(&self) -> &Simulator {
        &self.simulator
    }

    /// Runs an execution to its end, with the live view.
    ///
    /// # Errors
    /// If it cannot be started or described; not if it fails.
    pub async fn execute(&self, input: &Value) -> Result<Ended> {
        let machine = &self.executions.stack().provision_arn;
        self.run(machine, input).await
    }

    /// Runs the teardown of what the provisioning `input` has built, with the live view.
    ///
    /// # Errors
    /// If it cannot be started or described; not if it fails.
    pub async fn destroy(&self, input: &Value) -> Result<Ended> {
        let machine = &self.executions.stack().teardown_arn;
        self.run(machine, &destroy::input_for(input)).await
    }

    /// Waits for the end of an execution that somebody else has started, with the live view.
    ///
    /// # Errors
    /// If it cannot be described; not if it fails.
    pub async fn follow(&self, execution_arn: &str) -> Result<Ended> {
        self.executions.follow(execution_arn).await
    }

    /// The deployed stack.
    #[must_use]
    pub fn stack(&self) -> &Stack {
        self.executions.stack()
    }

    /// The URL of the services that ministack plays.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.ministack.endpoint()
    }

    async fn run(&self, machine: &str, input: &Value) -> Result<Ended> {
        let name = name_for(input);
        let arn = self.executions.start(machine, &name, input).await?;
        self.executions.follow(&arn).await
    }

    /// Runs a fleet to its end, with its counts.
    ///
    /// # Errors
    /// If it cannot be started or described; not if it fails.
    pub async fn fleet(&self, name: &str, input: &Value) -> Result<(Ended, fleet::Report)> {
        let arn = fleet::start(&self.executions, name, input).await?;
        fleet::follow(&self.executions, &arn).await
    }

    /// The bucket of fleets' lists and reports.
    #[must_use]
    pub fn fleet_bucket(&self) -> &str {
        &self.executions.stack().fleet_bucket
    }

    /// The environment with which the AWS CLI talks to this laptop.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let region = self.options.region.as_str();
        let others = [
            ("AWS_ACCESS_KEY_ID", LAPTOP_ACCOUNT),
            ("AWS_SECRET_ACCESS_KEY", "laptop"),
            // The AWS CLI reads the second, SDKs the first.
            ("AWS_REGION", region),
            ("AWS_DEFAULT_REGION", region),
        ];
        [("AWS_ENDPOINT_URL", self.ministack.endpoint())]
            .into_iter()
            .chain(aws::simulated(&self.simulator_endpoint))
            .chain(others)
            .map(|(name, value)| (name, value.to_owned()))
            .collect()
    }
}

impl Drop for Laptop {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// `hardway tools`.
///
/// # Errors
/// If they cannot be installed; with what to do.
pub async fn install_tools() -> Result<()> {
    let root = root()?;
    let lock = Lock::acquire(&root).await?;
    during("installing the tools", Tools::prepare(&root, &lock)).await?;
    Ok(())
}

/// `hardway local`.
///
/// # Errors
/// If the execution fails, CoreDNS does not run at its end, or a teardown leaves something.
pub async fn run(options: &Local) -> Result<()> {
    let input = input::read(&options.input)?;
    tokio::select! {
        done = run_to_the_end(options, &input) => done,
        signal = interrupted() => bail!("{signal}: everything that was started has been ended"),
    }
}

async fn run_to_the_end(options: &Local, input: &Value) -> Result<()> {
    let laptop = Laptop::start(Options {
        speed: options.speed,
        seed: options.seed,
        region: input["region"].as_str().unwrap_or(REGION).to_owned(),
        ..Options::default()
    })
    .await?;
    let mut done = build_cluster(&laptop, input).await;
    if options.destroy && done.is_ok() {
        done = destroy_cluster(&laptop, input).await;
    }
    if options.keep {
        if let Err(error) = &done {
            eprintln!("{} {error:#}\n", style("error:").red().bold());
        }
        println!("{}", invitation(&laptop));
        std::future::pending::<()>().await;
    }
    done
}

async fn build_cluster(laptop: &Laptop, input: &Value) -> Result<()> {
    let start = Instant::now();
    let ended = laptop.execute(input).await?;
    let took = start.elapsed();
    let output = ended.output()?;
    if output["preview"].is_object() {
        println!("\n{}", crate::plan::text_of(output)?);
        return Ok(());
    }
    println!("\n{}\n", summary::resources(output));
    println!("{}\n", summary::durations(&laptop.simulator.durations()));
    let text = |field: &str| output[field].as_str().unwrap_or_default();
    let view = laptop
        .simulator
        .kubernetes(text("accountId"), text("region"), text("clusterName"))
        .context("the execution succeeded, but there is no such cluster")?;
    println!("{}\n\n{}\n", summary::pods(&view), summary::nodes(&view));
    if !summary::coredns_runs(&view) {
        bail!("the execution succeeded, but CoreDNS does not run");
    }
    println!(
        "CoreDNS runs on Fargate: {} pods on {} nodes, after {:.0} s.",
        view.pods.len(),
        view.nodes.len(),
        took.as_secs_f64()
    );
    Ok(())
}

async fn destroy_cluster(laptop: &Laptop, input: &Value) -> Result<()> {
    let ended = laptop.destroy(input).await?;
    Receipt::of(ended.output()?)?.conclude()
}

/// What can be done with a laptop that stays up.
fn invitation(laptop: &Laptop) -> String {
    let exports: Vec<String> = laptop
        .environment()
        .iter()
        .map(|(name, value)| format!("export {name}={value}"))
        .collect();
    let exports = exports.join("\n");
    format!(
        "AWS stays up until Ctrl-C. In another terminal:\n\n{exports}\n\n\
         aws ec2 describe-vpcs\n\
         aws eks list-clusters\n\
         aws stepfunctions start-execution --input '{{\"clusterName\": \"demo\"}}' \\\n  \
         --state-machine-arn {}\n\
         cargo run -- watch EXECUTION --speed {speed}\n\
         cargo run -- diagnose CLUSTER\n\
         cargo run -- destroy CLUSTER --speed {speed}\n",
        laptop.executions.stack().provision_arn,
        speed = laptop.options.speed
    )
}

/// Waits for Ctrl-C or for being asked to end; the signal's name.
pub(crate) async fn interrupted() -> &'static str {
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        // Without handlers the signals end the process as they always do.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => "interrupted",
        _ = terminate.recv() => "terminated",
    }
}

/// Shows what is being done while it is being done.
pub(crate) async fn during<T>(
    what: &'static str,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let start = Instant::now();
    let spinner = ProgressBar::new_spinner().with_message(what);
    spinner.enable_steady_tick(Duration::from_millis(100));
    let done = work.await;
    spinner.finish_and_clear();
    let seconds = start.elapsed().as_secs_f64();
    if done.is_ok() {
        eprintln!(
            "{} {what} {}",
            style("✔").green(),
            style(format!("({seconds:.1} s)")).dim()
        );
    }
    done
}

/// The project's root: `hardway local` needs its sources.
pub(crate) fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here
        .ancestors()
        .nth(2)
        .context("no project around infra/cli")?;
    if !root.join("infra/template.yaml").is_file() {
        bail!(
            "{} does not hold hardway's sources any more; run it with `cargo run`",
            root.display()
        );
    }
    Ok(root.to_owned())
}
