//! The first and the last word of a teardown: what there is of the cluster, and what is left of it.
//!
//! It looks by tag and by VPC, over EC2, EKS, IAM and CloudWatch Logs, and changes nothing. Before
//! anything is removed, the inventory refuses what a teardown must not touch: a cluster with deletion
//! protection, and things in the cluster's VPC that are not ours. Afterwards, the receipt says what was
//! removed; anything left is an error that names it.
//!
//! Needs no record of how the cluster was made.

mod inventory;
mod obstacles;
mod unused;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::aws::{Base, Session};
use crate::contract::function::{parse, respond};
use crate::contract::{Error, Function, Memory, Outcome, Resource};
use crate::model::Target;

/// The function `receipt`.
pub struct ReceiptOfTeardown;

/// `{"action": "inventory", "plan": {…}, "disableDeletionProtection": true, "memory": {…}}`, then
/// `{"action": "receipt", "plan": {…}, "found": […]}`.
#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "lowercase")]
enum Request {
    #[serde(rename_all = "camelCase")]
    Inventory {
        plan: Target,
        #[serde(default)]
        disable_deletion_protection: bool,
        #[serde(default)]
        memory: Memory,
    },
    Receipt {
        plan: Target,
        found: Vec<Resource>,
    },
}

/// What there is of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inventory {
    /// Everything of ours.
    pub found: Vec<Resource>,
    /// Whether the log group of the control plane is among it: its last lines come late.
    pub has_logs: bool,
}

/// What a teardown came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// What the inventory had found and is gone.
    pub removed: Vec<Resource>,
    /// What is still there: nothing, or else the receipt is an error.
    pub left: Vec<Resource>,
    /// The same as a sentence.
    pub summary: String,
}

#[derive(Debug, Serialize)]
struct Output {
    receipt: Receipt,
}

/// What it is in another account.
const SESSION: Session = Session {
    step: ReceiptOfTeardown::NAME,
    policy: include_str!("policy.json"),
};

impl Function for ReceiptOfTeardown {
    const NAME: &'static str = "receipt";

    fn longest_wait(action: &str) -> Duration {
        match action {
            "inventory" => unused::LIMIT,
            _ => Duration::ZERO,
        }
    }

    async fn handle(base: &Base, request: Value) -> Result<Value, Error> {
        let request: Request = parse(request)?;
        let (Request::Inventory { plan, .. } | Request::Receipt { plan, .. }) = &request;
        let aws = base.target(plan, &SESSION).await?;
        match &request {
            Request::Inventory {
                plan,
                disable_deletion_protection,
                memory,
            } => {
                let unused = inventory::refuse(&aws, plan, *disable_deletion_protection).await?;
                if let Some(pending) = unused::wait_for(unused, memory)? {
                    return respond(&pending);
                }
                let found = inventory::find(&aws, plan).await?;
                respond(&Outcome::Ready(inventory_of(found)))
            }
            Request::Receipt { plan, found } => {
                let left = inventory::find(&aws, plan).await?;
                let receipt = receipt(found, left)?;
                respond(&Outcome::Ready(Output { receipt }))
            }
        }
    }
}

fn inventory_of(found: Vec<Resource>) -> Inventory {
    let has_logs = found
        .iter()
        .any(|it| it.kind == crate::resources::log_group::KIND);
    Inventory { found, has_logs }
}

/// The receipt for what was found before and what is left now.
fn receipt(found: &[Resource], left: Vec<Resource>) -> Result<Receipt, Error> {
    let removed: Vec<Resource> = found
        .iter()
        .filter(|resource| !left.contains(resource))
        .cloned()
        .collect();
    if left.is_empty() {
        let summary = match removed.len() {
            0 => "there was nothing to remove".to_owned(),
            1 => "1 resource was removed, nothing is left".to_owned(),
            number => format!("{number} resources were removed, nothing is left"),
        };
        return Ok(Receipt {
            removed,
            left,
            summary,
        });
    }
    let names = left.iter().map(|it| format!("{} {}", it.kind, it.id));
    let names: Vec<String> = names.collect();
    Err(Error::ResourcesLeft(names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(ids: &[&str]) -> Vec<Resource> {
        let resource = |id: &&str| Resource::new("AWS::EC2::Subnet", *id);
        ids.iter().map(resource).collect()
    }

    #[test]
    fn resources_that_are_gone_count_as_removed() {
        let receipt = receipt(&resources(&["subnet-1", "subnet-2"]), vec![]).unwrap();
        assert_eq!(receipt.removed, resources(&["subnet-1", "subnet-2"]));
        assert_eq!(receipt.summary, "2 resources were removed, nothing is left");
    }

    #[test]
    fn a_second_teardown_has_nothing_to_remove() {
        let receipt = receipt(&[], vec![]).unwrap();
        assert_eq!(receipt.removed, []);
        assert_eq!(receipt.summary, "there was nothing to remove");
    }

    #[test]
    fn anything_left_is_an_error_that_names_it() {
        let found = resources(&["subnet-1", "subnet-2"]);
        let error = receipt(&found, resources(&["subnet-2", "subnet-3"])).unwrap_err();
        assert_eq!(error.name(), "ResourcesLeft");
        assert_eq!(
            error.to_string(),
            "not everything is removed: AWS::EC2::Subnet subnet-2, AWS::EC2::Subnet subnet-3"
        );
    }

    #[test]
    fn the_inventory_says_whether_late_logs_are_to_be_expected() {
        assert!(!inventory_of(resources(&["subnet-1"])).has_logs);
        let group = Resource::new(crate::resources::log_group::KIND, "/aws/eks/demo/cluster");
        assert!(inventory_of(vec![group]).has_logs);
    }
}
