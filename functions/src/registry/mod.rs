//! Which clusters hardway has made, and what the scheduled check has last told of each.
//!
//! An entry is a parameter of Systems Manager in hardway's own account and region, whatever account and
//! region the cluster is in: `<path>/<account>/<region>/<cluster>`, where the path comes from the
//! template. Provisioning ends with making it, a teardown with deleting it. In between only the check
//! writes to it, and never makes one: a cluster that was removed meanwhile stays removed.
//!
//! Safe to repeat: the name follows from the cluster's place, and an entry that is there is kept.
//!
//! What a check has seen, against what was told, gives the changes that are news ([`compare`]), which
//! become events ([`event`]); the entry is written when they are told, so that nothing is lost.

mod compare;
mod entry;
pub mod event;
mod store;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::aws::Base;
use crate::contract::function::{parse, respond};
use crate::contract::{Error, Function, Outcome, Removed, Resource};
use crate::model::Target;
pub use compare::{Change, Finding, Verification};
pub use entry::{Entry, Told};
use store::Store;

/// The function `registry`.
pub struct Registry;

/// `{"action": "ensure"}`, `"remove"`, `"compare"` or `"record"` with `"plan"`, of which no more is
/// needed than its [`Target`]; or `{"action": "list", "from": {"after": "…"}}`.
#[derive(Deserialize)]
#[serde(
    tag = "action",
    rename_all = "lowercase",
    rename_all_fields = "camelCase"
)]
enum Request {
    Ensure {
        plan: Target,
    },
    Remove {
        plan: Target,
    },
    List {
        /// No [`Start`] yet, which a list could be read as, too.
        from: serde_json::Map<String, Value>,
    },
    Compare {
        plan: Target,
        verification: Verification,
        /// When the check began; later times sort behind earlier ones.
        at: String,
        event_bus_name: String,
    },
    Record {
        plan: Target,
        findings: Vec<Told>,
    },
}

/// Where a list begins: the input of a check, in which anything else may be.
#[derive(Deserialize)]
struct Start {
    /// The name of the entry that the list before ended with.
    after: Option<String>,
}

/// The entry of a cluster.
#[derive(Debug, Serialize)]
struct Ensured {
    /// Name of the parameter.
    name: String,
}

/// Some of the clusters.
#[derive(Debug, Serialize)]
struct Listed {
    clusters: Vec<Target>,
    /// With what the next list begins, if there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
}

/// What is news, as much of it as can be told at once.
#[derive(Debug, Serialize)]
struct Compared {
    /// Whether anything is.
    changed: bool,
    /// Entries for PutEvents.
    events: Vec<Value>,
    /// What will have been told then.
    findings: Vec<Told>,
}

#[derive(Debug, Serialize)]
struct Recorded {
    /// Whether there still was an entry.
    recorded: bool,
}

/// Clusters in one list: as many as one execution of the check can see to. Each takes 14 events of its
/// history, and 17 more for every ten changes (Step Functions quotas: 25,000 events).
const CLUSTERS_MAX: usize = 300;
/// Bytes in one list; the rest of a state's input is small (Step Functions quotas: 256 KiB).
const LIST_BYTES_MAX: usize = 128 * 1024;
/// Events that can be told at once (EventBridge quotas, PutEvents).
const EVENTS_MAX: usize = 10;

impl Function for Registry {
    const NAME: &'static str = "registry";

    async fn handle(base: &Base, request: Value) -> Result<Value, Error> {
        let store = Store::from_env(base);
        match parse(request)? {
            Request::Ensure { plan } => ensure(&store, plan).await,
            Request::Remove { plan } => remove(&store, &plan).await,
            Request::List { from } => {
                let start: Start = parse(Value::Object(from))?;
                list(&store, start.after.as_deref()).await
            }
            Request::Compare {
                plan,
                verification,
                at,
                event_bus_name,
            } => {
                let Some(entry) = store.find(&plan).await? else {
                    return respond(&Outcome::Ready(news(&Entry::of(plan), &[], "")));
                };
                let changes = compare::compare(&entry, &verification, &at);
                respond(&Outcome::Ready(news(&entry, &changes, &event_bus_name)))
            }
            Request::Record { plan, findings } => {
                let recorded = record(&store, &plan, findings).await?;
                respond(&Outcome::Ready(Recorded { recorded }))
            }
        }
    }
}

/// Makes the entry, or tells it how the account is reached now; what was told of the cluster stays.
async fn ensure(store: &Store, target: Target) -> Result<Value, Error> {
    let name = store.name(&target);
    match store.find(&target).await? {
        None => store.create(&Entry::of(target)).await?,
        Some(entry) if entry.target == target => {}
        Some(Entry { findings, .. }) => {
            let entry = Entry { target, findings }.fitted();
            if !store.update(&entry).await? {
                return Err(Error::NotYetVisible(format!(
                    "{name} was deleted meanwhile"
                )));
            }
        }
    }
    respond(&Outcome::Ready(Ensured { name }))
}

/// Deletes the entry.
async fn remove(store: &Store, target: &Target) -> Result<Value, Error> {
    let is_removed = store.delete(target).await?;
    let removed = is_removed.then(|| Resource::new(store::KIND, store.name(target)));
    respond(&Outcome::Ready(Removed {
        removed: removed.into_iter().collect(),
    }))
}

/// The clusters behind the entry `after`, in the order of their names.
async fn list(store: &Store, after: Option<&str>) -> Result<Value, Error> {
    let entries = store.list().await?;
    let is_next = |name: &str| after.is_none_or(|after| name > after);
    let rest = entries.into_iter().filter(|(name, _)| is_next(name));
    respond(&Outcome::Ready(some_of(rest.collect())?))
}

/// As many clusters as one list may have.
fn some_of(entries: Vec<(String, Entry)>) -> Result<Listed, Error> {
    let (mut clusters, mut bytes) = (vec![], 0);
    let mut last = None;
    for (name, entry) in entries {
        bytes += respond(&entry.target)?.to_string().len();
        if clusters.len() == CLUSTERS_MAX || bytes > LIST_BYTES_MAX {
            return Ok(Listed {
                clusters,
                after: last,
            });
        }
        clusters.push(entry.target);
        last = Some(name);
    }
    Ok(Listed {
        clusters,
        after: None,
    })
}

/// The first of the changes, as events and as what the entry will hold when they are told.
fn news(entry: &Entry, changes: &[Change], event_bus_name: &str) -> Compared {
    let now = changes.get(..EVENTS_MAX).unwrap_or(changes);
    let events = now.iter();
    Compared {
        changed: !now.is_empty(),
        events: events
            .map(|change| event::of(&entry.target, change, event_bus_name))
            .collect(),
        findings: compare::after(entry, now),
    }
}

/// Keeps what was told; `false` if the cluster was removed meanwhile.
async fn record(store: &Store, target: &Target, findings: Vec<Told>) -> Result<bool, Error> {
    // The entry knows how the account is reached better than the check, which read it a while ago.
    let Some(entry) = store.find(target).await? else {
        return Ok(false);
    };
    let entry = Entry { findings, ..entry };
    store.update(&entry.fitted()).await
}

#[cfg(test)]
mod tests;
