//! Sessions of assumed roles, and who a caller is.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::state::Context;

/// Sessions of assumed roles, by access key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sessions(BTreeMap<String, Session>);

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
    /// When its credentials stop working.
    pub expires_at: Timestamp,
}

impl Sessions {
    /// The account of a session's access key.
    #[must_use]
    pub fn account_of(&self, access_key: &str) -> Option<String> {
        self.get(access_key).map(|session| session.account.clone())
    }

    /// The session with the access key, expired or not.
    #[must_use]
    pub fn get(&self, access_key: &str) -> Option<&Session> {
        self.0.get(access_key)
    }

    /// How many sessions there were so far.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    pub(super) fn add(&mut self, access_key: String, session: Session) {
        self.0.insert(access_key, session);
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
    if let Some(session) = context.state.sessions.get(&context.access_key) {
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
