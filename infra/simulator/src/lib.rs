//! AWS on a laptop: EC2 networking, IAM, STS, EKS, log groups and parameters with their lifecycles,
//! constraints and errors.
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

pub mod call;
pub mod clock;
pub mod ec2;
pub mod eks;
pub mod fault;
pub mod iam;
pub mod kubernetes;
pub mod logs;
pub mod params;
pub mod refusal;
pub mod seed;
pub mod ssm;
pub mod state;
pub mod sts;
#[cfg(test)]
mod testing;
pub mod throttle;
pub mod weather;
pub mod wire;
pub mod xml;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use call::Call;
pub use clock::Clock;
pub use fault::Fault;
pub use refusal::Refusal;
pub use seed::Seed;
pub use state::{Context, State};
pub use throttle::Throttling;
pub use weather::Weather;

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
}

impl Default for Config {
    /// Seed 1, real time, account 111122223333.
    fn default() -> Self {
        Self {
            seed: 1,
            clock: Clock::real(),
            default_account: "111122223333".to_owned(),
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
        .chain(logs::operations().map(of("logs")))
        .chain(ssm::operations().map(of("ssm")))
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
    refusal: Option<Refusal>,
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

    /// Every call so far, in the order in which they arrived.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.world().calls.clone()
    }

    /// The whole world as it stands now, for looking at and comparing.
    #[must_use]
    pub fn state(&self) -> State {
        self.change(|state| state.clone())
    }

    /// The next call gets this answer and has no effect.
    pub fn refuse_next(&self, refusal: Refusal) {
        self.world().refusal = Some(refusal);
    }

    /// Changes the world by hand, as somebody at the console would.
    pub fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let now = self.now();
        let mut world = self.world();
        world.state.settle(self.seed(), now);
        change(&mut world.state)
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
        world.state.settle(self.seed(), now);
        let refusal = world.refusal.take();
        work(&mut Context {
            refusal,
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
