//! A whole run in process: the real state machine, the real handlers, real SDK clients, a simulated
//! AWS, virtual time.

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_types::retry::RetryConfig;
use serde_json::{Value, json};
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
        let base = Base::new(sdk_config(&simulator, ACCOUNT));
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

    /// Makes what an input takes for granted: the member account with its role, the administrators, the
    /// permissions boundary.
    pub fn prepare_for(&self, input: &Value) {
        let account = input["account"]["id"].as_str().unwrap_or(ACCOUNT);
        let trust = simulator::State::organization_trust(ACCOUNT);
        let role = input["account"]["roleName"].as_str();
        let admins = input["access"]["admins"].as_array().into_iter().flatten();
        let admins = admins.filter_map(|arn| arn.as_str()?.rsplit('/').next());
        let roles: Vec<(&str, &str)> = role
            .into_iter()
            .chain(admins)
            .map(|name| (name, trust.as_str()))
            .collect();
        let boundary = input["permissionsBoundaryArn"].as_str();
        self.simulator.change(|state| {
            state.add_account(account, roles);
            let iam = &mut state.accounts.entry(account.to_owned()).or_default().iam;
            iam.policies.extend(boundary.map(ToOwned::to_owned));
        });
    }

    /// Runs the provisioning machine to its end.
    pub async fn provision(&self, input: Value) -> Execution {
        self.run(&provisioning(), input).await
    }

    /// Runs a machine, for example a changed one, to its end.
    pub async fn run(&self, machine: &Machine, input: Value) -> Execution {
        machine.run(self, "test", input, self.seed).await
    }

    /// Removes a cluster of the own account: every function's `remove`, until it is done, in the
    /// reverse order of what needs what.
    ///
    /// # Panics
    /// If a removal fails.
    pub async fn remove_all(&self, cluster: &str) {
        let target = json!({
            "clusterName": cluster,
            "region": REGION,
            "partition": "aws",
            "account": {"id": ACCOUNT},
        });
        for function in REMOVAL_ORDER {
            let request = json!({"action": "remove", "plan": target});
            loop {
                let answer = self.invoke(&placeholder(function), request.clone()).await;
                let answer = answer.unwrap_or_else(|failure| panic!("{function}: {failure:?}"));
                match answer["checkAfterSeconds"].as_u64() {
                    Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
                    None => break,
                }
            }
        }
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
        let view = self.simulator.kubernetes(ACCOUNT, REGION, cluster);
        view.is_some_and(|view| hardway::summary::coredns_runs(&view))
    }
}

/// The provisioning machine as it is deployed.
#[must_use]
pub fn provisioning() -> Machine {
    Machine::new(project::read_json("statemachine/provision.asl.json"))
}

fn sdk_config(simulator: &Simulator, access_key: &str) -> SdkConfig {
    let credentials = Credentials::new(access_key, "secret", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .retry_config(RetryConfig::standard())
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(simulator.http_client())
        .build()
}

/// What is removed before what it needs.
const REMOVAL_ORDER: &[&str] = &[
    "coredns",
    "fargate-profiles",
    "cluster-access",
    "cluster",
    "private-routes",
    "nat-gateways",
    "public-routes",
    "subnets",
    "vpc",
    "pod-execution-role",
    "cluster-role",
];

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
                        // Each function calls with an access key of its own, so that the record of
                        // calls tells them apart.
                        let key = <$function as Function>::NAME;
                        let base = Base::new(sdk_config(&self.simulator, key));
                        invoke::<$function>(&base, payload).await
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
