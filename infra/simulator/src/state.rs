//! The simulated world: accounts, their IAM, their regions.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::activation::Activation;
use crate::api_error::ApiError;
use crate::faults::Faults;
use crate::iam::trust::Document;
use crate::injected_error::{InjectedError, NextCall};
use crate::seed::Seed;
use crate::{ec2, eks, iam, kms, logs, ssm, sts, throttle};

/// The id of the organization that accounts are in.
const ORGANIZATION: &str = "o-a1b2c3d4e5";

/// Everything that exists.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Accounts by their id.
    pub accounts: BTreeMap<String, Account>,
    /// Sessions of assumed roles.
    pub sessions: sts::Sessions,
    /// Which faults AWS has: few, unless tests ask for more.
    pub faults: Faults,
    /// How much is left of what callers may ask for.
    pub throttle_levels: throttle::Levels,
}

impl State {
    /// Lets happen everywhere what happens by itself until `now`.
    pub fn settle(&mut self, seed: Seed, now: Timestamp) {
        for (id, account) in &mut self.accounts {
            account.settle(id, seed, now);
        }
    }

    /// Lets happen in one account what happens by itself until `now`. Accounts do not wait for each
    /// other: nothing that happens by itself in one has to do with another.
    pub fn settle_account(&mut self, seed: Seed, id: &str, now: Timestamp) {
        if let Some(account) = self.accounts.get_mut(id) {
            account.settle(id, seed, now);
        }
    }

    /// Adds an account, or roles to one that is there: their names, after their paths if they have some, and
    /// trust policies. They are
    /// administrators, as the role that AWS Organizations makes is, and as if they had been there for
    /// long.
    pub fn add_account<'a>(
        &mut self,
        id: &str,
        roles: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) {
        self.accounts.entry(id.to_owned()).or_default();
        for (name, trust) in roles {
            let role = self.role_of_old(id, name, trust);
            let administrator = "arn:aws:iam::aws:policy/AdministratorAccess";
            role.managed =
                iam::EventuallyConsistent::new([administrator.to_owned()].into(), role.created_at);
        }
    }

    /// Adds a role that may do what `permissions` allow, a policy's document, and no more; the account,
    /// too, if it is missing. It is as if it had been there for long.
    pub fn add_role(&mut self, account: &str, name: &str, trust: &str, permissions: &str) {
        let role = self.role_of_old(account, name, trust);
        let inline = [("permissions".to_owned(), permissions.to_owned())].into();
        role.inline = iam::EventuallyConsistent::new(inline, role.created_at);
    }

    /// The name may have a path before it.
    fn role_of_old(&mut self, account: &str, name: &str, trust: &str) -> &mut iam::Role {
        let arn = format!("arn:aws:iam::{account}:role/{name}");
        let id = format!("AROA{}", Seed(0).hex("role", &arn, 17).to_uppercase());
        let role = iam::Role::of_old(&arn, id, trust, Timestamp::UNIX_EPOCH);
        let roles = &mut self
            .accounts
            .entry(account.to_owned())
            .or_default()
            .iam
            .roles;
        roles
            .entry(role.name.to_lowercase())
            .insert_entry(role)
            .into_mut()
    }

    /// Lets calls with the access key act as a session of a role that is there, without end, with the
    /// session policy if there is one: as if somebody had assumed the role.
    ///
    /// # Errors
    /// `NoSuchEntity` if there is no such role, `MalformedPolicyDocument`.
    pub fn add_session(
        &mut self,
        access_key: &str,
        account: &str,
        role: &str,
        policy: Option<&str>,
    ) -> Result<(), ApiError> {
        if let Some(policy) = policy {
            Document::parse(policy)?.check_identity_policy()?;
        }
        let roles = self.accounts.get(account).map(|account| &account.iam);
        let role = roles.and_then(|iam| iam.role(role)).ok_or_else(|| {
            let message = format!("The role with name {role} cannot be found.");
            ApiError::new(404, "NoSuchEntity", message)
        })?;
        let session = sts::Session {
            account: account.to_owned(),
            role_arn: role.arn.clone(),
            role_id: role.id.clone(),
            name: access_key.to_owned(),
            policy: policy.map(str::to_owned),
            expires_at: Timestamp::MAX,
        };
        let long_ago = Timestamp::UNIX_EPOCH;
        self.sessions.add(access_key.to_owned(), session, long_ago);
        Ok(())
    }

    /// Adds a symmetric key that can be used, or another alias of it: `arn` is that of a key, or of an alias
    /// whose key has the alias's name as its id.
    pub fn add_key(&mut self, arn: &str) {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let [_, _, _, region, account, what] = parts[..] else {
            return;
        };
        let account = self.accounts.entry(account.to_owned()).or_default();
        let kms = &mut account.region(region).kms;
        let id = what.rsplit('/').next().unwrap_or_default().to_owned();
        if what.starts_with("alias/") {
            kms.aliases.insert(what.to_owned(), id.clone());
        }
        let key = || kms::Key::symmetric(Timestamp::UNIX_EPOCH);
        kms.keys.entry(id).or_insert_with(key);
    }

    /// The id of the organization that an account is in; none for an account that is in none, or is not
    /// simulated.
    #[must_use]
    pub fn organization_of(&self, account: &str) -> Option<&'static str> {
        let account = self.accounts.get(account)?;
        (!account.is_standalone).then_some(ORGANIZATION)
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
    /// What works already. An account works from its beginning unless tests say otherwise.
    #[serde(default)]
    pub activation: Activation,
    /// The regions that it has enabled of those that need it ([`crate::regions`]).
    #[serde(default)]
    pub opted_in: BTreeSet<String>,
    /// Whether it is in no organization. All others are in one and the same.
    #[serde(default)]
    pub is_standalone: bool,
    /// Regions by their name.
    pub regions: BTreeMap<String, Region>,
}

impl Account {
    /// All regions: what a role is now is not what it was when something in another region looked at it.
    fn settle(&mut self, id: &str, seed: Seed, now: Timestamp) {
        for (name, region) in &mut self.regions {
            // Before EC2, which forgets what has been.
            eks::Surroundings {
                account: id,
                region: name,
                seed,
                iam: &self.iam,
                ec2: &mut region.ec2,
                logs: &mut region.logs,
            }
            .settle(&mut region.eks, now);
            region.ec2.settle(now);
        }
    }

    /// What the account has in a region; there is something afterwards.
    pub fn region(&mut self, name: &str) -> &mut Region {
        self.regions.entry(name.to_owned()).or_default()
    }
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
    /// Keys.
    #[serde(default)]
    pub kms: kms::Kms,
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
    /// The error that a test wants the call to get, whatever it asks for.
    pub(crate) injected_error: Option<InjectedError>,
    /// What a test wants the next calls of operations to meet.
    pub(crate) next_calls: &'a mut Vec<(String, NextCall)>,
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

    /// The caller's keys in the region of the call.
    pub fn kms(&mut self) -> &mut kms::Kms {
        &mut self.here().kms
    }

    /// The caller's IAM.
    pub fn iam(&mut self) -> &mut iam::Iam {
        &mut self.own().iam
    }

    /// The session that makes the call, if it is one.
    #[must_use]
    pub fn session(&self) -> Option<&sts::Session> {
        self.state.sessions.get(&self.access_key, self.now)
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
