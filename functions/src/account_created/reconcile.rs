//! Accounts that were missed. Events are delivered as best CloudTrail can, so a schedule compares the list
//! of accounts with what was started.

use std::time::Duration;

use aws_sdk_organizations::types::Account;
use jiff::{SignedDuration, Timestamp};

use crate::account_created::event::{NewAccount, Unit};
use crate::account_created::organization::{Organization, hint, listed};
use crate::account_created::policy::Policy;
use crate::account_created::{Answer, Starter, Status, ignored};
use crate::contract::{During, Error};

/// An account is new for so long, if the policy does not say it.
const NEW_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);
/// As many executions are started at once: a mistake in the policy shows in a few accounts, and the rest is
/// the next invocation's.
pub(crate) const STARTS_MAX: usize = 10;
/// Between two pages of a list. AWS Organizations allows few calls a second to a whole organization, and
/// others need them, too.
const PACE: Duration = Duration::from_millis(250);

/// What was done about many accounts.
#[derive(Debug, Default)]
struct Tally {
    started: Vec<String>,
    left: usize,
    looked_at: usize,
    error: Option<Error>,
}

impl Starter {
    /// Starts what is missing in the organization's accounts.
    ///
    /// # Errors
    /// The first one, when all accounts were looked at.
    pub async fn reconcile(&self, now: Timestamp) -> Result<Answer, Error> {
        let policy = self.policy().await?;
        if !policy.enabled {
            return Ok(ignored("the policy is not enabled".to_owned()));
        }
        let since = policy.joined_since();
        let since = since.unwrap_or_else(|| now.saturating_sub(NEW_FOR).unwrap_or(Timestamp::MIN));
        let call = self.organizations.list_accounts();
        let mut pages = call.into_paginator().send();
        let mut organization = Organization::new(&self.organizations);
        let mut tally = Tally::default();
        while let Some(page) = pages.next().await {
            let page = page.during("organizations:ListAccounts").map_err(hint)?;
            let accounts = page.accounts.unwrap_or_default();
            let accounts = accounts.iter().filter_map(|account| listed(account, None));
            for account in accounts.filter(|it| it.joined_at.is_some_and(|at| at >= since)) {
                if tally.started.len() == STARTS_MAX {
                    tally.left += 1;
                    continue;
                }
                let answer = self.consider(account, &policy, &mut organization).await;
                tally.add(answer);
            }
            tokio::time::sleep(PACE).await;
        }
        tally.answer()
    }

    /// Starts what is missing in the accounts that are right in an organizational unit. Those of units
    /// below it are enrolled with their own.
    pub(crate) async fn enrolled(&self, unit: &Unit, policy: &Policy) -> Result<Answer, Error> {
        if !policy.enabled || !policy.counts(unit.event) {
            let reason = format!("the policy does not count {:?}", unit.event);
            return Ok(ignored(reason));
        }
        let call = self.organizations.list_accounts_for_parent();
        let mut pages = call.parent_id(&unit.id).into_paginator().send();
        let mut organization = Organization::new(&self.organizations);
        let mut tally = Tally::default();
        while let Some(page) = pages.next().await {
            let page = page.during("organizations:ListAccountsForParent");
            let accounts = page.map_err(hint)?.accounts.unwrap_or_default();
            for account in accounts.iter().filter_map(|account| of(unit, account)) {
                let answer = self.consider(account, policy, &mut organization).await;
                tally.add(answer);
            }
            tokio::time::sleep(PACE).await;
        }
        tally.answer()
    }
}

/// An account of a unit that was enrolled, if it is active.
fn of(unit: &Unit, account: &Account) -> Option<NewAccount> {
    Some(NewAccount {
        event: Some(unit.event),
        organizational_unit: Some(unit.id.clone()),
        management_account: unit.management_account.clone(),
        ..listed(account, unit.at)?
    })
}

impl Tally {
    /// One account is in no other's way.
    fn add(&mut self, answer: Result<Answer, Error>) {
        self.looked_at += 1;
        match answer {
            Ok(answer) if answer.status == Status::Started => self.started.push(answer.reason),
            Ok(_) => {}
            Err(error) => self.error = self.error.take().or(Some(error)),
        }
    }

    fn answer(self) -> Result<Answer, Error> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let left = match self.left {
            0 => String::new(),
            left => format!("; {left} are left for the next time"),
        };
        let looked_at = format!("{} accounts looked at{left}", self.looked_at);
        if self.started.is_empty() {
            return Ok(ignored(format!("nothing is missing: {looked_at}")));
        }
        let status = Status::Started;
        let reason = format!("{}; {looked_at}", self.started.join("; "));
        Ok(Answer { status, reason })
    }
}

#[cfg(test)]
mod tests;
