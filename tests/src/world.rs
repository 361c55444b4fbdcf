//! A whole run in process: the real state machine, the real handlers, real SDK clients, a simulated
//! AWS, virtual time.

use functions::aws::Base;
use functions::contract::wait::Limits;
use functions::contract::{Error, Function, invoke};
use functions::model::RoleNames;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_types::retry::RetryConfig;
use futures::future::join_all;
use jiff::Timestamp;
use serde_json::{Value, json};
use simulator::kubernetes::Workload;
use simulator::state::Region as AccountRegion;
use simulator::{Call, Clock, Config, Simulator, State};
use tokio::time::timeout;

use crate::asl::{Execution, Failure, Invoke, Machine, MapRun};
use crate::bucket::{self, Bucket};
use crate::bus::Bus;
use crate::faults::{Mishap, Script};
use crate::hold::{HOLD, Hold, Holding};
use crate::step_functions::{PROVISION, StepFunctions, machine_arn};
use crate::wire::Wire;
use crate::{project, template};

/// The account that the state machine runs in.
pub const ACCOUNT: &str = "111122223333";
/// The region that the state machine runs in.
pub const REGION: &str = "ap-northeast-1";

/// A simulated AWS and the functions that work in it. Make it in a runtime whose time is paused.
#[derive(Debug, Clone)]
pub struct World {
    /// The simulated AWS.
    pub simulator: Simulator,
    /// The executions that functions have started.
    pub step_functions: StepFunctions,
    /// The bucket of fleets.
    pub bucket: Bucket,
    seed: u64,
    wire: Wire,
    base: Base,
    bus: Arc<Mutex<Bus>>,
    /// What is waited for, perhaps for ever.
    pub hold: Arc<Hold>,
    /// The inputs of the executions that were started and not waited for.
    started: Arc<Mutex<Vec<Value>>>,
}

/// An input that asks for one thing of each kind, and no more: a run with few calls.
#[must_use]
pub fn small_input() -> Value {
    json!({
        "clusterName": "demo",
        "network": {"availabilityZones": 2, "natGateways": "single"},
        "logging": ["audit"],
        "access": {"admins": ["arn:aws:iam::111122223333:role/Admin"]},
    })
}

/// What the state machine's own account has in its own region.
#[must_use]
pub fn region(state: &mut State) -> &mut AccountRegion {
    let account = state.accounts.entry(ACCOUNT.to_owned()).or_default();
    account.regions.entry(REGION.to_owned()).or_default()
}

/// A world as it stood at some time.
#[derive(Debug, Clone)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// All that there was.
    pub state: State,
}

impl Moment {
    /// The world as it stands now.
    #[must_use]
    pub fn of(simulator: &Simulator) -> Self {
        Self {
            at: simulator.now(),
            state: simulator.state(),
        }
    }
}

/// The role of a function, as CloudFormation names it for the stack `hardway`; its path is `/hardway/`.
#[must_use]
pub fn role_of_function(function: &str) -> String {
    format!("hardway-{}Role-1ABCDEFGHIJK", logical_id(function))
}

fn config(seed: u64, clock: Clock) -> Config {
    Config {
        seed,
        clock,
        ..Config::default()
    }
}

impl World {
    /// A world in which nobody has made anything yet.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::of(seed, Simulator::new(config(seed, Clock::virtual_time())))
    }

    /// A world that goes on from a moment of another one with the same seed.
    #[must_use]
    pub fn resume(seed: u64, moment: &Moment) -> Self {
        let clock = Clock::virtual_time_from(moment.at);
        let simulator = Simulator::resume(config(seed, clock), moment.state.clone());
        Self::of(seed, simulator)
    }

    fn of(seed: u64, simulator: Simulator) -> Self {
        let wire = Wire::new(simulator.clone());
        Self {
            simulator,
            step_functions: StepFunctions::default(),
            bucket: Bucket::default(),
            seed,
            base: Base::new(sdk_config(&wire, ACCOUNT)),
            wire,
            bus: Arc::default(),
            hold: Arc::default(),
            started: Arc::default(),
        }
    }

    /// The same world, in which each step acts with the role that the template gives its function, named as
    /// CloudFormation names it for the stack `hardway`, and with the member role of this name, in the
    /// organization only.
    ///
    /// # Panics
    /// If the template has a policy that is none.
    #[must_use]
    pub fn with_roles(self, member_role_name: &str) -> Self {
        let trust = State::organization_trust(ACCOUNT);
        let member_role = json!({
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Resource": format!("arn:aws:iam::*:role/{member_role_name}"),
            "Condition": {"StringEquals": {"aws:ResourceOrgID": "${aws:PrincipalOrgID}"}},
        });
        let names = self.base.role_names();
        self.simulator.change(|state| {
            for (function, properties) in template::functions() {
                let Some(mut statements) = template::statements(&properties) else {
                    continue;
                };
                statements.push(member_role.clone());
                let policy = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
                let policy = policy.replace("${Partition}", "aws");
                let policy = policy.replace("${AccountId}", ACCOUNT);
                let policy = policy.replace("${ClusterRolePath}", &names.path);
                let policy = policy.replace("${RoleNamePrefix}", &names.name_prefix);
                let role = role_of_function(&function);
                state.add_role(ACCOUNT, &format!("hardway/{role}"), &trust, &policy);
                let session = state.add_session(&function, ACCOUNT, &role, None);
                session.unwrap();
            }
        });
        self
    }

    /// The same world in a stack with these parameters for the roles of clusters.
    #[must_use]
    pub fn with_role_names(self, names: RoleNames) -> Self {
        let base = self.base.with_role_names(names);
        Self { base, ..self }
    }

    /// From now on this goes wrong.
    pub fn follow(&self, script: Script) {
        *self.script() = script;
    }

    /// What goes wrong.
    pub fn script(&self) -> MutexGuard<'_, Script> {
        self.wire.script()
    }

    /// The moments after each call of a provisioning run, and the one before the first.
    ///
    /// # Panics
    /// If the run fails.
    pub async fn moments_of(seed: u64, input: &Value) -> Vec<Moment> {
        let mut world = Self::new(seed);
        world.prepare_for(input);
        let before = Moment::of(&world.simulator);
        world.wire.record();
        let execution = world.provision(input.clone()).await;
        assert!(execution.result.is_ok(), "{}", execution.timeline());
        [before].into_iter().chain(world.wire.moments()).collect()
    }

    /// Clients of the state machine's own account, as a person at the console would use them.
    #[must_use]
    pub fn aws(&self) -> functions::aws::Aws {
        self.base.own(None)
    }

    /// A client of Step Functions in the state machine's own account.
    #[must_use]
    pub fn sfn(&self) -> aws_sdk_sfn::Client {
        let wire = self.wire.for_invocation(self);
        aws_sdk_sfn::Client::new(&sdk_config(&wire, ACCOUNT))
    }

    /// Makes what an input takes for granted: the member account with its role, the administrators, those of
    /// IAM Identity Center among them, the permissions boundary, the key.
    pub fn prepare_for(&self, input: &Value) {
        let account = input["account"]["id"].as_str().unwrap_or(ACCOUNT);
        let trust = simulator::State::organization_trust(ACCOUNT);
        let role = input["account"]["roleName"].as_str();
        let admins = input["access"]["admins"].as_array().into_iter().flatten();
        let admins = admins.filter_map(|arn| arn.as_str()?.rsplit('/').next());
        let found = input["access"]["adminRoleNames"].as_array();
        let found = found.into_iter().flatten().filter_map(Value::as_str);
        let found: Vec<String> = found.map(identity_center_role).collect();
        let roles: Vec<(&str, &str)> = role
            .into_iter()
            .chain(admins)
            .chain(found.iter().map(String::as_str))
            .map(|name| (name, trust.as_str()))
            .collect();
        let boundary = input["permissionsBoundaryArn"].as_str();
        self.simulator.change(|state| {
            state.add_account(account, roles);
            let iam = &mut state.accounts.entry(account.to_owned()).or_default().iam;
            iam.policies.extend(boundary.map(ToOwned::to_owned));
            if let Some(key) = input["kmsKeyArn"].as_str() {
                state.add_key(key);
            }
        });
    }

    /// Runs the provisioning machine to its end.
    pub async fn provision(&self, input: Value) -> Execution {
        self.run(&provisioning(), input).await
    }

    /// Runs the provisioning machine to its end, under a name of its own.
    pub async fn provision_as(&self, name: &str, input: Value) -> Execution {
        self.run_as(&provisioning(), name, input).await
    }

    /// Runs the fleet machine to its end.
    pub async fn fleet(&self, name: &str, input: Value) -> Execution {
        self.run_as(&fleet(), name, input).await
    }

    /// The same, while somebody changes the world as soon as `plan` has looked at it: what it would refuse
    /// fails later.
    pub async fn provision_and(&self, input: Value, change: impl FnOnce(&mut State)) -> Execution {
        // The last that it looks at are the quotas.
        let has_looked = |call: &Call| call.service == "servicequotas" && call.access_key == "plan";
        let before = self.simulator.calls().len();
        let change = async {
            while !self.simulator.calls()[before..].iter().any(has_looked) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            self.simulator.change(change);
        };
        tokio::join!(self.provision(input), change).0
    }

    /// Runs the teardown machine to its end.
    pub async fn tear_down(&self, input: Value) -> Execution {
        self.run(&teardown(), input).await
    }

    /// Runs the check machine to its end, as the schedule starts it.
    pub async fn check(&self) -> Execution {
        self.run(&checking(), json!({})).await
    }

    /// The event bus.
    ///
    /// # Panics
    /// Never: nobody panics while something is put on it.
    pub fn bus(&self) -> MutexGuard<'_, Bus> {
        self.bus.lock().unwrap()
    }

    /// The inputs of the executions that an execution of the same machine has started, since the last
    /// time that somebody asked.
    ///
    /// # Panics
    /// Never: nobody panics while one is added.
    #[must_use]
    pub fn take_started(&self) -> Vec<Value> {
        std::mem::take(&mut *self.started.lock().unwrap())
    }

    /// Runs a machine, for example a changed one, to its end.
    pub async fn run(&self, machine: &Machine, input: Value) -> Execution {
        self.run_as(machine, "test", input).await
    }

    /// Runs a machine to its end, as an execution with this name.
    pub async fn run_as(&self, machine: &Machine, name: &str, input: Value) -> Execution {
        machine.run(self, name, input, self.seed).await
    }

    /// Asks a function to remove what it makes for a cluster of the own account, until it is done.
    ///
    /// # Panics
    /// If the removal fails.
    pub async fn remove(&self, function: &str, cluster: &str) {
        let target = json!({
            "clusterName": cluster,
            "region": REGION,
            "partition": "aws",
            "account": {"id": ACCOUNT},
        });
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

/// A role of IAM Identity Center, after its path, that the pattern of a name finds.
fn identity_center_role(pattern: &str) -> String {
    let name = pattern.replace('*', "0123456789abcdef");
    format!("aws-reserved/sso.amazonaws.com/eu-west-1/{name}")
}

/// The provisioning machine as it is deployed.
#[must_use]
pub fn provisioning() -> Machine {
    Machine::new(project::read_json("statemachine/provision.asl.json"))
}

/// The teardown machine as it is deployed.
#[must_use]
pub fn teardown() -> Machine {
    Machine::new(project::read_json("statemachine/teardown.asl.json"))
}

/// The fleet machine as it is deployed, with what the template substitutes in its definition.
///
/// # Panics
/// If its definition is not JSON.
#[must_use]
pub fn fleet() -> Machine {
    let definition = project::read("statemachine/fleet.asl.json")
        .replace("${ProvisionStateMachineArn}", &machine_arn(PROVISION))
        .replace("${FleetBucketName}", bucket::NAME);
    Machine::named("hardway-fleet", serde_json::from_str(&definition).unwrap())
}

/// A pod of somebody's whose kubelet is of that Kubernetes version.
#[must_use]
pub fn workload(kubernetes: &str) -> Workload {
    Workload {
        namespace: "default".to_owned(),
        name: "shop-5d9c7b6f4-x2x2x".to_owned(),
        node: "fargate-ip-10-100-1-9.ap-northeast-1.compute.internal".to_owned(),
        ip: "10.100.1.9".to_owned(),
        kubernetes: kubernetes.to_owned(),
    }
}

/// The check machine as it is deployed.
#[must_use]
pub fn checking() -> Machine {
    Machine::new(project::read_json("statemachine/check.asl.json"))
}

fn sdk_config(wire: &Wire, access_key: &str) -> SdkConfig {
    let credentials = Credentials::new(access_key, "secret", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .retry_config(RetryConfig::standard())
        .timeout_config(Base::timeouts())
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(wire.clone())
        .time_source(wire.clone())
        .build()
}

/// A function's time limit in the template.
pub const FUNCTION_TIMEOUT: Duration = Duration::from_mins(1);
/// How long an invocation takes beside its calls: what Lambda and Step Functions add.
const INVOCATION: Duration = Duration::from_millis(200);

/// The service integration that runs another execution to its end.
const START_EXECUTION: &str = "${StartExecutionSyncArn}";
/// The one that starts an execution and goes on.
const START_EXECUTION_ONLY: &str = "${StartExecutionArn}";
/// The one that puts events on a bus.
const PUT_EVENTS: &str = "${PutEventsArn}";

impl World {
    /// Runs an execution for another one. Source: the Step Functions developer guide, "Start workflow
    /// executions from a task state": the output is that of DescribeExecution with `Output` as JSON,
    /// and a failure is `States.TaskFailed` with the same as its cause.
    async fn nested(&self, payload: Value) -> Result<Value, Failure> {
        assert_eq!(payload["StateMachineArn"], "${TeardownStateMachineArn}");
        // Boxed: a machine's walk contains its Tasks, of which this is one.
        let (name, input) = (payload["Name"].as_str().unwrap(), payload["Input"].clone());
        let machine = teardown();
        let walk: Pin<Box<dyn Future<Output = Execution> + Send + '_>> =
            Box::pin(self.run_as(&machine, name, input));
        match walk.await.result {
            Ok(output) => Ok(json!({"Status": "SUCCEEDED", "Output": output})),
            Err(Failure { error, cause }) => {
                let description = json!({"Status": "FAILED", "Error": error, "Cause": cause});
                Err(Failure::new("States.TaskFailed", description.to_string()))
            }
        }
    }
}

impl World {
    /// Starts another execution of the machine that asks for it; it is the test's to run.
    fn start(&self, payload: &Value) -> Value {
        let machine = payload["StateMachineArn"].as_str();
        assert!(machine.is_some_and(|arn| arn.ends_with(":stateMachine:hardway")));
        self.started.lock().unwrap().push(payload["Input"].clone());
        json!({"ExecutionArn": "arn:aws:states:ap-northeast-1:111122223333:execution:hardway:rest"})
    }
}

impl Invoke for World {
    async fn invoke(&self, resource: &str, payload: Value) -> Result<Value, Failure> {
        tokio::time::sleep(INVOCATION).await;
        match resource {
            START_EXECUTION => return self.nested(payload).await,
            "${ListMapRunsArn}" => return Ok(self.step_functions.list_map_runs(&payload)),
            "${DescribeMapRunArn}" => return self.step_functions.describe_map_run(&payload),
            "${GetObjectArn}" => return self.bucket.get_object(&payload),
            "${PutObjectArn}" => return self.bucket.put_object(&payload),
            START_EXECUTION_ONLY => return Ok(self.start(&payload)),
            PUT_EVENTS => return self.bus().put(&payload),
            _ => {}
        }
        let mishap = self.script().next_invocation(resource);
        match mishap {
            None => self.once(resource, payload).await,
            Some(Mishap::TooManyRequests) => {
                let cause = "Rate exceeded";
                Err(Failure::new("Lambda.TooManyRequestsException", cause))
            }
            Some(Mishap::InvokedTwice) => {
                let both = [payload.clone(), payload].map(|it| self.once(resource, it));
                let [first, _] = <[_; 2]>::try_from(join_all(both).await).unwrap();
                first
            }
            Some(Mishap::TimedOut) => {
                let _ = self.once(resource, payload).await;
                Err(Failure::new("States.Timeout", ""))
            }
        }
    }

    fn now(&self) -> Timestamp {
        self.simulator.now()
    }

    fn keep(&self, run: MapRun) {
        self.step_functions.keep(run);
    }
}

impl World {
    /// One invocation of a function: its answer, its error, or what Lambda says when it does not end by
    /// itself (Lambda developer guide, invocation errors of Step Functions: `Lambda.Unknown` for a
    /// function that is gone, `Sandbox.Timedout` for one that took too long).
    async fn once(&self, resource: &str, payload: Value) -> Result<Value, Failure> {
        let wire = self.wire.for_invocation(self);
        let answer = tokio::select! {
            answer = timeout(FUNCTION_TIMEOUT, self.call(resource, payload, &wire)) => answer.ok(),
            () = wire.freeze() => {
                tokio::time::sleep(FUNCTION_TIMEOUT).await;
                None
            }
            () = wire.death() => {
                let cause = "The function exited before it answered";
                return Err(Failure::new("Lambda.Unknown", cause));
            }
        };
        let Some(answer) = answer else {
            let cause = "Task timed out after 60.00 seconds";
            return Err(Failure::new("Sandbox.Timedout", cause));
        };
        answer.map_err(|error| {
            let cause = json!({
                "errorType": error.name(),
                "errorMessage": error.to_string(),
            });
            Failure::new(error.name(), cause.to_string())
        })
    }
}

/// Calls a macro with the functions that machines invoke.
macro_rules! with_functions {
    ($macro:ident) => {
        $macro!(
            functions::plan::Planner,
            functions::steps::vpc::Vpc,
            functions::steps::subnets::Subnets,
            functions::steps::public_routes::PublicRoutes,
            functions::steps::nat_gateways::NatGateways,
            functions::steps::private_routes::PrivateRoutes,
            functions::steps::cluster_role::ClusterRole,
            functions::steps::pod_execution_role::PodExecutionRole,
            functions::steps::cluster::Cluster,
            functions::steps::cluster_access::ClusterAccess,
            functions::steps::fargate_profiles::FargateProfiles,
            functions::steps::coredns::CoreDns,
            functions::steps::control_plane_logs::ControlPlaneLogs,
            functions::receipt::ReceiptOfTeardown,
            functions::fleet_member::FleetMember,
            functions::verify::Verify,
            functions::registry::Registry,
        )
    };
}

/// How long the function that a Task's `Resource` names may answer PENDING, and be retried.
///
/// # Panics
/// If there is no such function.
#[must_use]
pub fn limits(resource: &str, action: &str) -> Limits {
    macro_rules! find {
        ($($function:ty),* $(,)?) => {
            match resource {
                $(name if name == placeholder(<$function as Function>::NAME) => Limits {
                    pending: <$function as Function>::longest_wait(action),
                    retries: <$function as Function>::longest_retries(),
                },)*
                other => panic!("no function for {other}"),
            }
        };
    }
    with_functions!(find)
}

impl World {
    /// Invokes the function that a Task's `Resource` names, `${VpcFunctionArn}` for `vpc`.
    async fn call(&self, resource: &str, payload: Value, wire: &Wire) -> Result<Value, Error> {
        macro_rules! dispatch {
            ($($function:ty),* $(,)?) => {
                match resource {
                    $(name if name == placeholder(<$function as Function>::NAME) => {
                        // Each function calls with an access key of its own, so that the record of
                        // calls tells them apart.
                        let key = <$function as Function>::NAME;
                        let names = self.base.role_names().clone();
                        let base = Base::new(sdk_config(wire, key)).with_role_names(names);
                        let answer = invoke::<Holding<$function>>(&base, payload);
                        HOLD.scope(Arc::clone(&self.hold), answer).await
                    })*
                    other => panic!("no function for {other}"),
                }
            };
        }
        with_functions!(dispatch)
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
