//! The simulated world: accounts, their IAM, their regions.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::seed::Seed;
use crate::{ec2, eks, iam, sts};

/// Everything that exists.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Accounts by their id.
    pub accounts: BTreeMap<String, Account>,
    /// Sessions of assumed roles.
    pub sessions: sts::Sessions,
    /// At most how many seconds a new id of EC2 stays unknown to other calls; 0, the default, means
    /// that everything is visible at once. Tests turn it up.
    pub ec2_lag_seconds: f64,
}

impl State {
    /// Lets happen everywhere what happens by itself until `now`.
    pub fn settle(&mut self, now: Timestamp) {
        let accounts = self.accounts.values_mut();
        for region in accounts.flat_map(|account| account.regions.values_mut()) {
            region.ec2.settle(now);
        }
    }
}

/// What one account has.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// IAM is the same in all regions.
    pub iam: iam::Iam,
    /// Regions by their name.
    pub regions: BTreeMap<String, Region>,
}

/// What one account has in one region.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Region {
    /// Networking.
    pub ec2: ec2::Ec2,
    /// Clusters.
    pub eks: eks::Eks,
}

/// What an operation works with: who called, where, when, and the world.
#[derive(Debug)]
pub struct Context<'a> {
    /// The simulated time of the call.
    pub now: Timestamp,
    /// The caller's account.
    pub account: String,
    /// The region that the call went to.
    pub region: String,
    /// What durations and ids are drawn from.
    pub seed: Seed,
    /// The world.
    pub state: &'a mut State,
}

impl Context<'_> {
    /// The caller's networking in the region of the call.
    pub fn ec2(&mut self) -> &mut ec2::Ec2 {
        &mut self.here().ec2
    }

    /// The caller's clusters in the region of the call.
    pub fn eks(&mut self) -> &mut eks::Eks {
        &mut self.here().eks
    }

    /// The caller's IAM.
    pub fn iam(&mut self) -> &mut iam::Iam {
        &mut self.own().iam
    }

    /// The partition of the region, for ARNs.
    #[must_use]
    pub fn partition(&self) -> &'static str {
        match self.region.split('-').next() {
            Some("cn") => "aws-cn",
            Some("us") if self.region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        }
    }

    fn own(&mut self) -> &mut Account {
        self.state.accounts.entry(self.account.clone()).or_default()
    }

    fn here(&mut self) -> &mut Region {
        let region = self.region.clone();
        self.own().regions.entry(region).or_default()
    }
}
