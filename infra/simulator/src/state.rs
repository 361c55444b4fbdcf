//! The simulated world: accounts, their IAM, their regions.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;
use crate::seed::Seed;
use crate::weather::Weather;
use crate::{ec2, eks, iam, logs, ssm, sts, throttle};

/// Everything that exists.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Accounts by their id.
    pub accounts: BTreeMap<String, Account>,
    /// Sessions of assumed roles.
    pub sessions: sts::Sessions,
    /// How rough AWS is. Tests turn it up.
    pub weather: Weather,
    /// How much is left of what callers may ask for.
    pub throttle_levels: throttle::Levels,
}

impl State {
    /// Lets happen everywhere what happens by itself until `now`.
    pub fn settle(&mut self, seed: Seed, now: Timestamp) {
        for (id, account) in &mut self.accounts {
            for (name, region) in &mut account.regions {
                // Before EC2, which forgets what has been.
                eks::Surroundings {
                    account: id,
                    region: name,
                    seed,
                    iam: &account.iam,
                    ec2: &mut region.ec2,
                    logs: &mut region.logs,
                }
                .settle(&mut region.eks, now);
                region.ec2.settle(now);
            }
        }
    }

    /// Adds an account, or roles to one that is there: their names and trust policies. They are as if
    /// they had been there for long.
    pub fn add_account<'a>(
        &mut self,
        id: &str,
        roles: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) {
        let account = self.accounts.entry(id.to_owned()).or_default();
        for (name, trust) in roles {
            let arn = format!("arn:aws:iam::{id}:role/{name}");
            let id = format!("AROA{}", Seed(0).hex("role", &arn, 17).to_uppercase());
            let role = iam::Role::of_old(&arn, id, trust, Timestamp::UNIX_EPOCH);
            account.iam.roles.insert(name.to_lowercase(), role);
        }
    }

    /// The trust policy of the role that AWS Organizations makes in a new account: it trusts the
    /// management account (botocore's Organizations model, CreateAccount).
    #[must_use]
    pub fn organization_trust(management_account: &str) -> String {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{management_account}:root"}},"Action":"sts:AssumeRole"}}]}}"#
        )
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
    /// Log groups.
    #[serde(default)]
    pub logs: logs::Logs,
    /// Parameters.
    #[serde(default)]
    pub ssm: ssm::Ssm,
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
    /// The caller's access key; empty where nobody calls.
    pub access_key: String,
    /// What durations and ids are drawn from.
    pub seed: Seed,
    /// Whether the call is to be refused, whatever it asks for.
    pub(crate) refusal: Option<Refusal>,
    /// The world.
    pub state: &'a mut State,
}

/// The partition of a region, for ARNs.
#[must_use]
pub fn partition(region: &str) -> &'static str {
    match region.split('-').next() {
        Some("cn") => "aws-cn",
        Some("us") if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
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

    /// The caller's log groups in the region of the call.
    pub fn logs(&mut self) -> &mut logs::Logs {
        &mut self.here().logs
    }

    /// The caller's parameters in the region of the call.
    pub fn ssm(&mut self) -> &mut ssm::Ssm {
        &mut self.here().ssm
    }

    /// The caller's IAM.
    pub fn iam(&mut self) -> &mut iam::Iam {
        &mut self.own().iam
    }

    /// The partition of the region, for ARNs.
    #[must_use]
    pub fn partition(&self) -> &'static str {
        partition(&self.region)
    }

    fn own(&mut self) -> &mut Account {
        self.state.accounts.entry(self.account.clone()).or_default()
    }

    fn here(&mut self) -> &mut Region {
        let region = self.region.clone();
        self.own().regions.entry(region).or_default()
    }
}
