//! What AWS Organizations knows of accounts and units. It answers the management account and delegated
//! administrators, and nobody else.

use std::collections::BTreeMap;

use aws_sdk_organizations::Client;
use aws_sdk_organizations::types::{
    Account, AccountJoinedMethod, AccountState, AccountStatus, Parent, ParentType,
};
use jiff::Timestamp;

use crate::account_created::event::{NewAccount, is_root_id};
use crate::contract::error::required;
use crate::contract::{During, Error};

/// Organizational units nest five deep, below the root. Source: the AWS Organizations user guide, quotas.
const UNITS_MAX: usize = 6;

/// The organization, as one invocation sees it: it asks for each parent once.
#[derive(Debug)]
pub(crate) struct Organization<'a> {
    client: &'a Client,
    parents: BTreeMap<String, Parent>,
}

impl<'a> Organization<'a> {
    pub(crate) fn new(client: &'a Client) -> Self {
        Self {
            client,
            parents: BTreeMap::new(),
        }
    }

    /// The organizational units that an account is in, the root first.
    pub(crate) async fn units_of(&mut self, account: &NewAccount) -> Result<Vec<String>, Error> {
        let mut units: Vec<String> = account.organizational_unit.iter().cloned().collect();
        while units.len() < UNITS_MAX && !units.last().is_some_and(|unit| is_root_id(unit)) {
            let child = units.last().unwrap_or(&account.id).clone();
            let parent = self.parent(&child).await?;
            units.push(required(parent.id, "organizations:ListParents: id")?);
            if parent.r#type == Some(ParentType::Root) {
                break;
            }
        }
        units.reverse();
        Ok(units)
    }

    /// The one parent that an account or an organizational unit has.
    async fn parent(&mut self, child: &str) -> Result<Parent, Error> {
        if let Some(known) = self.parents.get(child) {
            return Ok(known.clone());
        }
        let call = self.client.list_parents().child_id(child);
        let mut pages = call.into_paginator().send();
        // A page may be empty and still not be the last one.
        while let Some(page) = pages.next().await {
            let page = page.during("organizations:ListParents").map_err(hint)?;
            if let Some(parent) = page.parents.unwrap_or_default().pop() {
                self.parents.insert(child.to_owned(), parent.clone());
                return Ok(parent);
            }
        }
        let message = format!("organizations:ListParents: {child} has no parent");
        Err(Error::Unexpected(message))
    }

    /// When an account joined the organization.
    pub(crate) async fn joined_at(&self, account: &str) -> Result<Option<Timestamp>, Error> {
        let call = self.client.describe_account().account_id(account);
        let answer = call.send().await;
        let answer = answer
            .during("organizations:DescribeAccount")
            .map_err(hint)?;
        Ok(answer.account.as_ref().and_then(joined_at))
    }
}

/// An account of a list, if it is active: what there is to know of it.
pub(crate) fn listed(account: &Account, since: Option<Timestamp>) -> Option<NewAccount> {
    // arn:aws:organizations::MANAGEMENT:account/o-…/ID
    let management_account = account.arn.as_deref()?.split(':').nth(4)?;
    let joined_at = joined_at(account);
    is_active(account).then(|| NewAccount {
        id: account.id.clone().unwrap_or_default(),
        event: None,
        is_invited: account.joined_method == Some(AccountJoinedMethod::Invited),
        organizational_unit: None,
        management_account: management_account.to_owned(),
        since: since.or(joined_at),
        joined_at,
    })
}

/// `Status` retired in September 2026 (botocore's Organizations model); partitions may lag behind.
fn is_active(account: &Account) -> bool {
    match (&account.state, old_status(account)) {
        (Some(state), _) => *state == AccountState::Active,
        (None, status) => status == Some(&AccountStatus::Active),
    }
}

#[allow(deprecated, reason = "what there is where there is no state yet")]
fn old_status(account: &Account) -> Option<&AccountStatus> {
    account.status()
}

fn joined_at(account: &Account) -> Option<Timestamp> {
    let millis = account.joined_timestamp?.to_millis().ok()?;
    Timestamp::from_millisecond(millis).ok()
}

/// Who may ask AWS Organizations is no matter of the function's policy alone.
pub(crate) fn hint(error: Error) -> Error {
    match error {
        Error::AccessDenied(text) => Error::AccessDenied(format!(
            "{text}; the organization is seen only from the management account and from delegated \
             administrators"
        )),
        other => other,
    }
}
