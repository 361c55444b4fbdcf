//! Sessions of assumed roles, and who a caller is.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::state::Context;

/// Sessions of assumed roles.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sessions {
    /// By access key.
    live: BTreeMap<String, Session>,
    /// Access keys of live sessions by the time at which they expire.
    expiring: BTreeMap<Timestamp, Vec<String>>,
    /// The accounts of sessions that have expired, by access key: no more is kept of them.
    expired: BTreeMap<String, String>,
    /// How many there were so far.
    made: usize,
}

/// A session of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The account of the role: calls with the session's key act there.
    pub account: String,
    /// The role's ARN.
    pub role_arn: String,
    /// The role's id.
    pub role_id: String,
    /// What the caller named the session.
    pub name: String,
    /// The policy that was passed when the role was assumed: the session may do no more.
    #[serde(default)]
    pub policy: Option<String>,
    /// When its credentials stop working.
    pub expires_at: Timestamp,
}

impl Sessions {
    /// The account of a session's access key, expired or not.
    #[must_use]
    pub fn account_of(&self, access_key: &str) -> Option<&str> {
        let live = self.live.get(access_key).map(|session| &session.account);
        live.or_else(|| self.expired.get(access_key))
            .map(String::as_str)
    }

    /// The session with the access key, if it has not expired by `now`.
    #[must_use]
    pub fn get(&self, access_key: &str, now: Timestamp) -> Option<&Session> {
        let session = self.live.get(access_key);
        session.filter(|session| now < session.expires_at)
    }

    /// Whether the access key is that of a session that has expired by `now`.
    #[must_use]
    pub fn has_expired(&self, access_key: &str, now: Timestamp) -> bool {
        self.account_of(access_key).is_some() && self.get(access_key, now).is_none()
    }

    /// How many sessions there were so far.
    pub(super) fn count(&self) -> usize {
        self.made
    }

    /// Adds a session, and forgets those that have expired by `now`.
    pub fn add(&mut self, access_key: String, session: Session, now: Timestamp) {
        while let Some(first) = self.expiring.first_entry() {
            if now < *first.key() {
                break;
            }
            for key in first.remove() {
                if let Some(session) = self.live.remove(&key) {
                    self.expired.insert(key, session.account);
                }
            }
        }
        self.made += 1;
        let expiring = self.expiring.entry(session.expires_at).or_default();
        expiring.push(access_key.clone());
        self.live.insert(access_key, session);
    }
}

/// Who a caller is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The ARN of the user or of the session.
    pub arn: String,
    /// The ARN of the user or of the session's role.
    pub principal_arn: String,
    /// The id of the user, or that of the role and the session's name.
    pub user_id: String,
    /// Whether it is a session of a role.
    pub is_session: bool,
}

/// Who makes the call: the session of the access key, else a user of the account.
#[must_use]
pub fn identity(context: &Context<'_>) -> Identity {
    let partition = context.partition();
    if let Some(session) = context.session() {
        return Identity {
            arn: session.arn(partition),
            principal_arn: session.role_arn.clone(),
            user_id: format!("{}:{}", session.role_id, session.name),
            is_session: true,
        };
    }
    let arn = format!("arn:{partition}:iam::{}:user/operator", context.account);
    let id = context.seed.hex("user", &arn, 17).to_uppercase();
    Identity {
        principal_arn: arn.clone(),
        arn,
        user_id: format!("AIDA{id}"),
        is_session: false,
    }
}

impl Session {
    /// The session's ARN. The role's path is not in it (IAM user guide, IAM identifiers).
    pub(super) fn arn(&self, partition: &str) -> String {
        let role = self.role_arn.rsplit('/').next().unwrap_or_default();
        let (account, name) = (&self.account, &self.name);
        format!("arn:{partition}:sts::{account}:assumed-role/{role}/{name}")
    }
}
