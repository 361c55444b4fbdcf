//! A whole run in process: the real state machine, the real handlers, real SDK clients, a simulated
//! AWS, virtual time.

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_types::retry::RetryConfig;
use serde_json::Value;
use simulator::{Call, Clock, Config, Simulator};
use step::{Base, Error, Function, invoke};

use crate::asl::{Execution, Failure, Invoke, Machine};
use crate::project;

/// The account that the state machine runs in.
pub const ACCOUNT: &str = "111122223333";
/// The region that the state machine runs in.
pub const REGION: &str = "ap-northeast-1";

/// A simulated AWS and the functions that work in it. Make it in a runtime whose time is paused.
#[derive(Debug, Clone)]
pub struct World {
    /// The simulated AWS.
    pub simulator: Simulator,
    seed: u64,
    base: Base,
}

impl World {
    /// A world in which nobody has made anything yet.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let simulator = Simulator::new(Config {
            seed,
            clock: Clock::virtual_time(),
            ..Config::default()
        });
        let base = Base::new(sdk_config(&simulator));
        Self {
            simulator,
            seed,
            base,
        }
    }

    /// Clients of the state machine's own account, as a person at the console would use them.
    #[must_use]
    pub fn aws(&self) -> step::Aws {
        self.base.own(None)
    }

    /// Runs the provisioning machine to its end.
    pub async fn provision(&self, input: Value) -> Execution {
        self.run(&provisioning(), input).await
    }

    /// Runs a machine, for example a changed one, to its end.
    pub async fn run(&self, machine: &Machine, input: Value) -> Execution {
        machine.run(self, "test", input, self.seed).await
    }

    /// The calls that changed something, or tried to.
    #[must_use]
    pub fn changes(&self) -> Vec<Call> {
        let mut calls = self.simulator.calls();
        calls.retain(|call| !call.is_read_only());
        calls
    }

    /// Whether CoreDNS runs as the article proves it: all its pods Running, as many Ready nodes.
    #[must_use]
    pub fn coredns_runs(&self, cluster: &str) -> bool {
        let Some(view) = self.simulator.kubernetes(ACCOUNT, REGION, cluster) else {
            return false;
        };
        let ready = view.nodes.iter().filter(|node| node.status == "Ready");
        !view.pods.is_empty()
            && view.pods.iter().all(|pod| pod.status == "Running")
            && ready.count() == view.pods.len()
    }
}

/// The provisioning machine as it is deployed.
#[must_use]
pub fn provisioning() -> Machine {
    Machine::new(project::read_json("statemachine/provision.asl.json"))
}

fn sdk_config(simulator: &Simulator) -> SdkConfig {
    // An access key of twelve digits says which account the caller is in.
    let credentials = Credentials::new(ACCOUNT, "secret", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .retry_config(RetryConfig::standard())
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(simulator.http_client())
        .build()
}

/// How long an invocation takes beside its calls: what Lambda and Step Functions add.
const INVOCATION: Duration = Duration::from_millis(200);

impl Invoke for World {
    async fn invoke(&self, resource: &str, payload: Value) -> Result<Value, Failure> {
        tokio::time::sleep(INVOCATION).await;
        let answer = self.call(resource, payload).await;
        answer.map_err(|error| {
            let cause = serde_json::json!({
                "errorType": error.name(),
                "errorMessage": error.to_string(),
            });
            Failure::new(error.name(), cause.to_string())
        })
    }
}

impl World {
    /// Invokes the function that a Task's `Resource` names, `${VpcFunctionArn}` for `vpc`.
    async fn call(&self, resource: &str, payload: Value) -> Result<Value, Error> {
        macro_rules! dispatch {
            ($($function:ty),* $(,)?) => {
                match resource {
                    $(name if name == placeholder(<$function as Function>::NAME) => {
                        invoke::<$function>(&self.base, payload).await
                    })*
                    other => panic!("no function for {other}"),
                }
            };
        }
        dispatch!(
            plan::Planner,
            vpc::Vpc,
            subnets::Subnets,
            public_routes::PublicRoutes,
            nat_gateways::NatGateways,
            private_routes::PrivateRoutes,
            cluster_role::ClusterRole,
            pod_execution_role::PodExecutionRole,
            cluster::Cluster,
            cluster_access::ClusterAccess,
            fargate_profiles::FargateProfiles,
            coredns::CoreDns,
        )
    }
}

/// The logical id of a function in the template: `nat-gateways` is `NatGatewaysFunction`.
#[must_use]
pub fn logical_id(function: &str) -> String {
    let camel = function.split('-').map(|word| {
        let (first, rest) = word.split_at(1);
        first.to_uppercase() + rest
    });
    camel.collect::<String>() + "Function"
}

/// What stands for a function's ARN in a machine's definition.
fn placeholder(function: &str) -> String {
    format!("${{{}Arn}}", logical_id(function))
}
