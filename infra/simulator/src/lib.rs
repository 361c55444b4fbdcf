//! AWS on a laptop: EC2 networking, IAM, STS, EKS, log groups and parameters with their lifecycles,
//! constraints and errors, and Service Quotas.
//!
//! It speaks the real wire protocols, in process (as the HTTP client of an AWS SDK,
//! [`Simulator::http_client`]) and as a server ([`Simulator::serve`]). It models what makes the job
//! hard: resources that are pending for a while, ordering constraints, one Fargate profile change at a
//! time, IAM roles that must exist, several accounts, and CoreDNS that becomes healthy only if
//! network, DNS hostnames, profile and compute type are right.
//!
//! Nothing runs in the background. Every resource keeps the times at which it changes, and its state
//! is worked out when somebody asks, from the [`Clock`] that the simulator was given. Durations are
//! drawn from the seed and the resource's own name, never from the order of calls: the same seed gives
//! the same timeline.
//!
//! It knows nothing of its users. A rule says beside it where AWS states it.

pub mod activation;
pub mod api_error;
pub mod call;
pub mod clock;
pub mod ec2;
pub mod eks;
pub mod faults;
pub mod iam;
pub mod injected_error;
pub mod kms;
pub mod kubernetes;
pub mod logs;
pub mod params;
mod permissions;
pub mod quotas;
#[cfg(test)]
mod readme;
pub mod regions;
pub mod seed;
pub mod ssm;
pub mod state;
pub mod sts;
#[cfg(test)]
mod testing;
pub mod throttle;
pub mod wire;
pub mod xml;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use activation::{Activation, Quarantine};
pub use api_error::ApiError;
pub use call::{Call, Record};
pub use clock::Clock;
pub use faults::Faults;
pub use injected_error::InjectedError;
use injected_error::NextCall;
pub use seed::Seed;
pub use state::{Account, Context, State};
pub use throttle::Throttling;

/// How a simulator is set up.
#[derive(Debug, Clone)]
pub struct Config {
    /// What all durations and ids are drawn from.
    pub seed: u64,
    /// What time it is.
    pub clock: Clock,
    /// The account of a caller whose access key says nothing else (a key of twelve digits is the
    /// account's id).
    pub default_account: String,
    /// What is kept of calls.
    pub record: Record,
}

impl Default for Config {
    /// Seed 1, real time, account 111122223333, calls with their requests.
    fn default() -> Self {
        Self {
            seed: 1,
            clock: Clock::real(),
            default_account: "111122223333".to_owned(),
            record: Record::Requests,
        }
    }
}

/// How long AWS took for a resource: what the seed decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lifetime {
    /// CloudFormation's type name, for example `AWS::EC2::NatGateway`.
    pub kind: String,
    /// The resource's name as a person would say it.
    pub name: String,
    /// Seconds from the accepted request until the resource was usable.
    pub seconds: f64,
}

/// All operations that are simulated, as services and names.
pub fn operations() -> impl Iterator<Item = (&'static str, &'static str)> {
    let of = |service| move |operation| (service, operation);
    (ec2::operations().map(of("ec2")))
        .chain(eks::operations().map(of("eks")))
        .chain(iam::operations().map(of("iam")))
        .chain(sts::operations().map(of("sts")))
        .chain(logs::OPERATIONS.names().map(of("logs")))
        .chain(kms::OPERATIONS.names().map(of("kms")))
        .chain(quotas::OPERATIONS.names().map(of("servicequotas")))
        .chain(ssm::OPERATIONS.names().map(of("ssm")))
}

/// The simulated AWS. Clones share one world.
#[derive(Debug, Clone)]
pub struct Simulator {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    world: Mutex<World>,
}

#[derive(Debug, Default)]
struct World {
    state: State,
    calls: Vec<Call>,
    /// How many calls there were in each account.
    counts: BTreeMap<String, usize>,
    injected_error: Option<InjectedError>,
    /// What the next calls of operations meet.
    next_calls: Vec<(String, NextCall)>,
}

impl World {
    fn plan_next(&mut self, operation: &str, meets: NextCall) {
        self.next_calls.push((operation.to_owned(), meets));
    }

    fn record(&mut self, mut call: Call, record: Record) {
        match self.counts.get_mut(&call.account) {
            Some(count) => *count += 1,
            None => drop(self.counts.insert(call.account.clone(), 1)),
        }
        match record {
            Record::Requests => {}
            Record::Calls => call.request = serde_json::Value::Null,
            Record::Counts => return,
        }
        self.calls.push(call);
    }
}

impl Simulator {
    /// An AWS in which nobody has made anything yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            inner: Arc::new(Inner {
                config,
                world: Mutex::default(),
            }),
        }
    }

    /// An AWS that goes on from a world that was saved (see [`Simulator::state`]); nothing has been
    /// called in it yet.
    #[must_use]
    pub fn resume(config: Config, state: State) -> Self {
        let simulator = Self::new(config);
        simulator.world().state = state;
        simulator
    }

    /// The simulated time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.inner.config.clock.now()
    }

    /// Every call so far, in the order in which they arrived, as far as they are kept (see [`Record`]).
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.world().calls.clone()
    }

    /// The same, and forgets them: the next time only later ones are there.
    #[must_use]
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.world().calls)
    }

    /// How many calls there were so far in each account, whatever is kept of them.
    #[must_use]
    pub fn call_counts(&self) -> BTreeMap<String, usize> {
        self.world().counts.clone()
    }

    /// The whole world as it stands now, for looking at and comparing. It is a copy; to look at a part,
    /// [`Simulator::look`] takes none.
    #[must_use]
    pub fn state(&self) -> State {
        self.look(State::clone)
    }

    /// Looks at the whole world as it stands now.
    pub fn look<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        self.change(|state| look(state))
    }

    /// Looks at one account as it stands now: with many accounts that is less work than
    /// [`Simulator::look`], which brings all of them up to date. `None` if there is no such account.
    pub fn look_into<R>(&self, account: &str, look: impl FnOnce(&Account) -> R) -> Option<R> {
        let now = self.now();
        let mut world = self.world();
        world.state.settle_account(self.seed(), account, now);
        world.state.accounts.get(account).map(look)
    }

    /// The next call gets this error and has no effect.
    pub fn fail_next_call(&self, error: InjectedError) {
        self.world().injected_error = Some(error);
    }

    /// The next call of an operation, for example `CreateVpc`, gets this error and has no effect. Said twice,
    /// the next two calls fail.
    pub fn fail_next(&self, operation: &str, error: ApiError) {
        self.world().plan_next(operation, NextCall::Fails(error));
    }

    /// Just before the next call of an operation, whose caller may have looked already, somebody changes the
    /// world.
    pub fn before_next(&self, operation: &str, change: impl FnOnce(&mut State) + Send + 'static) {
        let change = NextCall::Follows(Box::new(change));
        self.world().plan_next(operation, change);
    }

    /// Changes the world by hand, as somebody at the console would.
    pub fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let now = self.now();
        let mut world = self.world();
        world.state.settle(self.seed(), now);
        change(&mut world.state)
    }

    /// Changes one account by hand; there is one afterwards. With many accounts that is less work than
    /// [`Simulator::change`], which brings all of them up to date.
    pub fn change_account<R>(&self, account: &str, change: impl FnOnce(&mut Account) -> R) -> R {
        let now = self.now();
        let mut world = self.world();
        world.state.settle_account(self.seed(), account, now);
        let accounts = &mut world.state.accounts;
        change(accounts.entry(account.to_owned()).or_default())
    }

    /// Kubernetes' view of a cluster: CoreDNS' pods and their nodes. `None` if there is no such
    /// cluster.
    #[must_use]
    pub fn kubernetes(
        &self,
        account: &str,
        region: &str,
        cluster: &str,
    ) -> Option<kubernetes::View> {
        self.in_context(account, region, "", |context| {
            kubernetes::view(context, cluster)
        })
    }

    /// How long AWS took for each resource that takes time, in all accounts and regions.
    #[must_use]
    pub fn durations(&self) -> Vec<Lifetime> {
        let world = self.world();
        let regions = world
            .state
            .accounts
            .values()
            .flat_map(|account| account.regions.values());
        regions
            .flat_map(|region| {
                let mut all = ec2::lifetimes(&region.ec2);
                all.extend(eks::lifetimes(&region.eks));
                all
            })
            .collect()
    }

    fn in_context<R>(
        &self,
        account: &str,
        region: &str,
        access_key: &str,
        work: impl FnOnce(&mut Context<'_>) -> R,
    ) -> R {
        let now = self.now();
        let mut world = self.world();
        // Of other accounts a call sees nothing but roles, and these do not change by themselves.
        world.state.settle_account(self.seed(), account, now);
        let world = &mut *world;
        work(&mut Context {
            injected_error: world.injected_error.take(),
            next_calls: &mut world.next_calls,
            now,
            account: account.to_owned(),
            region: region.to_owned(),
            access_key: access_key.to_owned(),
            seed: self.seed(),
            state: &mut world.state,
        })
    }

    fn seed(&self) -> Seed {
        Seed(self.inner.config.seed)
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.inner
            .world
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ec2::testing::{ACCOUNT, client};
    use crate::testing::wait;

    const OTHER: &str = "444455556666";
    const REGION: &str = "ap-northeast-1";

    fn simulator(record: Record) -> Simulator {
        Simulator::new(Config {
            clock: Clock::virtual_time(),
            record,
            ..Config::default()
        })
    }

    /// Leaves a NAT gateway behind that is gone after an hour.
    async fn leave_nat_gateway(ec2: &aws_sdk_ec2::Client) {
        let vpc = ec2.create_vpc().cidr_block("10.0.0.0/16").send().await;
        let vpc = vpc.unwrap().vpc.unwrap().vpc_id.unwrap();
        let subnet = ec2.create_subnet().vpc_id(vpc).cidr_block("10.0.0.0/24");
        let subnet = subnet.send().await.unwrap().subnet.unwrap();
        let address = ec2.allocate_address().send().await.unwrap();
        let gateway = ec2
            .create_nat_gateway()
            .subnet_id(subnet.subnet_id.unwrap());
        let gateway = gateway.allocation_id(address.allocation_id.unwrap());
        let gateway = gateway.send().await.unwrap().nat_gateway.unwrap();
        wait(600).await;
        let delete = ec2.delete_nat_gateway();
        let delete = delete.nat_gateway_id(gateway.nat_gateway_id.unwrap());
        delete.send().await.unwrap();
    }

    fn nat_gateways(state: &State, account: &str) -> usize {
        state.accounts[account].regions[REGION]
            .ec2
            .nat_gateways
            .len()
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_brings_its_own_account_up_to_date_and_a_look_all() {
        let simulator = simulator(Record::Requests);
        for account in [ACCOUNT, OTHER] {
            leave_nat_gateway(&client(&simulator, account, REGION)).await;
        }
        wait(2 * 3600).await;
        let ec2 = client(&simulator, ACCOUNT, REGION);
        let left = ec2.describe_nat_gateways().send().await.unwrap();
        assert!(left.nat_gateways().is_empty());
        let of_both = |state: &State| [ACCOUNT, OTHER].map(|it| nat_gateways(state, it));
        assert_eq!(of_both(&simulator.world().state), [0, 1]);
        let of_other = simulator.look_into(OTHER, |other| {
            other.regions[REGION].ec2.nat_gateways.is_empty()
        });
        assert_eq!(of_other, Some(true));
        assert_eq!(simulator.look(of_both), [0, 0]);
        assert_eq!(simulator.look_into("999900001111", |_| ()), None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_is_changed_as_it_stands_now() {
        let simulator = simulator(Record::Requests);
        leave_nat_gateway(&client(&simulator, OTHER, REGION)).await;
        wait(2 * 3600).await;
        let left = simulator.change_account(OTHER, |other| {
            let ec2 = &mut other.region(REGION).ec2;
            ec2.quotas.vpcs = 1;
            ec2.nat_gateways.len()
        });
        assert_eq!(left, 0);
        let more = client(&simulator, OTHER, REGION).create_vpc();
        let more = more.cidr_block("10.0.0.0/16").send().await;
        assert_eq!(crate::testing::code_of(more), "VpcLimitExceeded");
    }

    #[tokio::test(start_paused = true)]
    async fn of_calls_is_kept_what_was_asked_for() {
        for (record, kept, has_request) in [
            (Record::Requests, 2, true),
            (Record::Calls, 2, false),
            (Record::Counts, 0, false),
        ] {
            let simulator = simulator(record);
            let describe = |account| {
                let ec2 = client(&simulator, account, REGION);
                async move { ec2.describe_vpcs().send().await.unwrap() }
            };
            describe(ACCOUNT).await;
            describe(OTHER).await;
            let calls = simulator.take_calls();
            assert_eq!(calls.len(), kept, "{record:?}");
            assert!(calls.iter().all(|it| it.request.is_object() == has_request));
            assert!(simulator.calls().is_empty());
            describe(OTHER).await;
            let counts = simulator.call_counts();
            assert_eq!((counts[ACCOUNT], counts[OTHER]), (1, 2), "{record:?}");
        }
    }
}
