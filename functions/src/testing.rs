//! For unit tests of functions: the simulator in process, in virtual time.
//!
//! A test prepares a world (by running steps, or by hand as somebody at the console would), invokes one step,
//! and looks at what AWS was asked for and at what there is afterwards.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_ssm::types::ParameterType;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_types::retry::RetryConfig;
use serde_json::{Map, Value, json};
use simulator::eks::Cluster as AccountCluster;
use simulator::state::{Account, Region as AccountRegion};
use simulator::{ApiError, Clock, Config, Faults, Simulator};
use std::time::Duration;

use crate::aws::{Aws, Base};
use crate::contract::{Error, Step, invoke};
use crate::model::Plan;
use crate::steps::cluster::Cluster;
use crate::steps::cluster_role::ClusterRole;
use crate::steps::coredns::CoreDns;
use crate::steps::fargate_profiles::FargateProfiles;
use crate::steps::nat_gateways::NatGateways;
use crate::steps::pod_execution_role::PodExecutionRole;
use crate::steps::private_routes::PrivateRoutes;
use crate::steps::public_routes::PublicRoutes;
use crate::steps::subnets::Subnets;
use crate::steps::vpc::Vpc;

/// Longer than other services of AWS see an old version of a role.
const IAM_LAG: Duration = Duration::from_secs(20);

/// How long a list of EC2 stays as it was at most, where it does.
const LIST_LAG_SECONDS: f64 = 1e6;

/// More invocations than any removal needs.
const REMOVALS_MAX: usize = 1_000;

/// An account, and a plan for it. Make it in a runtime whose time is paused.
pub(crate) struct World {
    pub simulator: Simulator,
    /// What steps are asked for.
    pub plan: Plan,
    /// What earlier steps have answered.
    pub outputs: Map<String, Value>,
}

impl World {
    /// An empty account of the plan's.
    pub fn new(plan: Plan) -> Self {
        Self {
            simulator: Simulator::new(Config {
                clock: Clock::virtual_time(),
                ..Config::default()
            }),
            plan,
            outputs: Map::new(),
        }
    }

    /// One with the VPC.
    pub async fn with_vpc(plan: Plan) -> Self {
        let mut world = Self::new(plan);
        world.ready::<Vpc>().await;
        world
    }

    /// And with the subnets.
    pub async fn with_subnets(plan: Plan) -> Self {
        let mut world = Self::with_vpc(plan).await;
        world.make_subnets().await;
        world
    }

    /// Adds the subnets to a VPC; what names no step can do so after a change.
    pub async fn make_subnets(&mut self) {
        self.ready::<Subnets>().await;
    }

    /// And with the internet gateway and its route table.
    pub async fn with_public_routes(plan: Plan) -> Self {
        let mut world = Self::with_subnets(plan).await;
        world.ready::<PublicRoutes>().await;
        world
    }

    /// And with the NAT gateways.
    pub async fn with_nat_gateways(plan: Plan) -> Self {
        let mut world = Self::with_public_routes(plan).await;
        world.ready::<NatGateways>().await;
        world
    }

    /// Which faults AWS has from now on.
    pub fn faults(&self, change: impl FnOnce(&mut Faults)) {
        self.simulator.change(|state| change(&mut state.faults));
    }

    /// From now on EC2's lists stay as they were, some for longer than any test takes, until
    /// [`World::show`].
    pub fn lag_lists(&self) {
        self.faults(|faults| faults.ec2_list_lag_seconds = LIST_LAG_SECONDS);
    }

    /// Lets EC2's lists show everything.
    pub async fn show(&self) {
        self.faults(|faults| faults.ec2_list_lag_seconds = 0.0);
        tokio::time::sleep(Duration::from_secs_f64(LIST_LAG_SECONDS)).await;
    }

    /// Just before the next call of an operation somebody changes the region.
    pub fn before_next(
        &self,
        operation: &str,
        change: impl FnOnce(&mut AccountRegion) + Send + 'static,
    ) {
        let target = self.plan.target.clone();
        self.simulator.before_next(operation, move |state| {
            let account = state.accounts.entry(target.account.id).or_default();
            change(account.region(&target.region));
        });
    }

    /// The next call of an operation fails with this code.
    pub fn fail_next(&self, operation: &str, code: &str, message: &str) {
        let error = ApiError::client(code, message);
        self.simulator.fail_next(operation, error);
    }

    /// The function's own account, which is the plan's.
    pub fn base(&self) -> Base {
        Base::new(self.config())
    }

    fn config(&self) -> SdkConfig {
        let account = self.plan.target.account.id.as_str();
        let credentials = Credentials::new(account, "secret", None, None, "test");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.plan.target.region.clone()))
            .retry_config(RetryConfig::disabled())
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(self.simulator.http_client())
            .build()
    }

    /// Clients of the account.
    pub fn aws(&self) -> Aws {
        self.base().own(None)
    }

    /// Invokes a step once with the outputs of the earlier ones, and with what the last invocation said.
    pub async fn ensure<S: Step>(&self, memory: &Value) -> Result<Value, Error> {
        let mut request = self.outputs.clone();
        request.insert("action".to_owned(), json!("ensure"));
        request.insert("plan".to_owned(), json!(self.plan));
        if !memory.is_null() {
            request.insert("memory".to_owned(), memory.clone());
        }
        invoke::<S>(&self.base(), request.into()).await
    }

    /// Invokes a step until it is ready, as the state machine does.
    pub async fn until_ready<S: Step>(&self) -> Result<Value, Error> {
        let mut memory = Value::Null;
        loop {
            let mut answer = self.ensure::<S>(&memory).await?;
            if !is_pending(&answer) {
                return Ok(answer);
            }
            wait(&answer).await;
            memory = answer["memory"].take();
        }
    }

    /// The same for a step whose outputs later ones need. Forgets the calls.
    pub async fn ready<S: Step>(&mut self) {
        let answer = self.until_ready::<S>().await.unwrap();
        let Value::Object(mut outputs) = answer else {
            panic!("{} answers no object", S::NAME);
        };
        outputs.retain(|name, _| name != "status" && name != "memory");
        self.outputs.extend(outputs);
        self.forget_calls();
    }

    /// What was called so far does not matter.
    pub fn forget_calls(&self) {
        drop(self.simulator.take_calls());
    }

    /// Asks a step once to remove what it makes.
    pub async fn remove<S: Step>(&self) -> Result<Value, Error> {
        let request = json!({"action": "remove", "plan": self.plan.target});
        invoke::<S>(&self.base(), request).await
    }

    /// Asks for it until everything is gone, within a day. The answer is what was deleted by the last invocation.
    pub async fn until_removed<S: Step>(&self) -> Value {
        for _ in 0..REMOVALS_MAX {
            let answer = self.remove::<S>().await.unwrap();
            if !is_pending(&answer) {
                return answer["removed"].clone();
            }
            wait(&answer).await;
        }
        panic!("{} is never done", S::NAME);
    }

    /// What the calls of an operation since somebody asked last gave for a parameter; those of [`World::calls`]
    /// and [`World::changes`] are forgotten.
    pub fn parameters(&self, operation: &str, parameter: &str) -> Vec<String> {
        let calls = self.simulator.calls().into_iter();
        let calls = calls.filter(|call| call.operation == operation);
        let values = calls.map(|call| call.request[parameter].as_str().map(str::to_owned));
        values.map(Option::unwrap_or_default).collect()
    }

    /// The names of the calls since somebody asked last; what failed has its code: `DeleteVpc:
    /// DependencyViolation`.
    pub fn calls(&self) -> Vec<String> {
        let calls = self.simulator.take_calls().into_iter();
        calls.map(named).collect()
    }

    /// The same of those that change something.
    pub fn changes(&self) -> Vec<String> {
        let calls = self.simulator.take_calls().into_iter();
        let calls = calls.filter(|call| !call.is_read_only());
        calls.map(named).collect()
    }

    /// Changes the region by hand, or looks at it.
    pub fn region<R>(&self, change: impl FnOnce(&mut AccountRegion) -> R) -> R {
        let target = &self.plan.target;
        self.simulator
            .change_account(&target.account.id, |account| {
                change(account.region(&target.region))
            })
    }

    /// With the subnets and a cluster role that EKS does not see yet.
    pub async fn with_new_cluster_role(plan: Plan) -> Self {
        let mut world = Self::with_subnets(plan).await;
        world.ready::<ClusterRole>().await;
        world
    }

    /// The same a moment later.
    pub async fn with_cluster_role(plan: Plan) -> Self {
        let world = Self::with_new_cluster_role(plan).await;
        tokio::time::sleep(IAM_LAG).await;
        world
    }

    /// And with the cluster, which is ACTIVE.
    pub async fn with_cluster(plan: Plan) -> Self {
        let mut world = Self::with_cluster_role(plan).await;
        world.ready::<Cluster>().await;
        world
    }

    /// Changes the account by hand, or looks at it.
    pub fn account<R>(&self, change: impl FnOnce(&mut Account) -> R) -> R {
        let id = &self.plan.target.account.id;
        self.simulator.change_account(id, change)
    }

    /// Changes the cluster by hand, or looks at it.
    pub fn cluster<R>(&self, change: impl FnOnce(&mut AccountCluster) -> R) -> R {
        let name = &self.plan.target.cluster_name;
        self.region(|region| change(region.eks.clusters.get_mut(name).unwrap()))
    }

    /// The requests of an operation since somebody asked last for [`World::calls`] or [`World::changes`], which
    /// forget them.
    pub fn requests(&self, operation: &str) -> Vec<Value> {
        let calls = self.simulator.calls().into_iter();
        let calls = calls.filter(|call| call.operation == operation);
        calls.map(|call| call.request).collect()
    }

    /// And with all that Fargate profiles need: routes to the internet, and a pod execution role that EKS sees.
    pub async fn with_pod_execution_role(plan: Plan) -> Self {
        let mut world = Self::with_cluster(plan).await;
        world.ready::<PublicRoutes>().await;
        world.ready::<NatGateways>().await;
        world.ready::<PrivateRoutes>().await;
        world.ready::<PodExecutionRole>().await;
        tokio::time::sleep(IAM_LAG).await;
        world
    }

    /// And with its Fargate profiles.
    pub async fn with_fargate_profiles(plan: Plan) -> Self {
        let mut world = Self::with_pod_execution_role(plan).await;
        world.ready::<FargateProfiles>().await;
        world
    }

    /// And with CoreDNS.
    pub async fn with_coredns(plan: Plan) -> Self {
        let mut world = Self::with_fargate_profiles(plan).await;
        world.ready::<CoreDns>().await;
        world
    }

    /// Makes a parameter of Systems Manager by hand.
    pub async fn put_parameter(&self, name: &str, value: &str) {
        let ssm = aws_sdk_ssm::Client::new(&self.config());
        let call = ssm.put_parameter().name(name).value(value);
        let call = call.r#type(ParameterType::String);
        call.send().await.unwrap();
        self.forget_calls();
    }

    /// What a parameter holds; none if there is none.
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.region(|region| region.ssm.parameters.get(name).map(|it| it.value.clone()))
    }
}

fn is_pending(answer: &Value) -> bool {
    answer["status"] == "PENDING"
}

fn named(call: simulator::Call) -> String {
    match call.error {
        Some(code) => format!("{}: {code}", call.operation),
        None => call.operation,
    }
}

/// Lets the time pass that an answer asks for.
pub(crate) async fn wait(answer: &Value) {
    let seconds = answer["checkAfterSeconds"].as_u64().unwrap();
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}
