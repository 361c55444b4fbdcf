//! What becomes of a resource, and why: what `compare` of each kind of resource comes to, as a person reads it.

use serde::{Deserialize, Serialize};

/// A resource of the plan, beside what there is of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceChange {
    /// CloudFormation's word for the kind, for example `AWS::EC2::NatGateway`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is for the cluster, for example `private-apne1-az1`, or its name.
    pub name: String,
    /// What happens to it.
    pub change: Change,
    /// What is put right; of a resource that is made or kept there is nothing to say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
}

/// What happens to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// It is not there and is made.
    Create,
    /// It is there, and something of it is put right.
    Change,
    /// Somebody else made it, and the cluster uses it.
    Adopt,
    /// It is there as it should be.
    Keep,
    /// It is there, came to nothing or holds for something that is gone, and is made again.
    Replace,
    /// It is hardway's, and the input no longer asks for it, or it is one too many.
    Remove,
}

/// A property that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// AWS's word for it, for example `EnableDnsHostnames`.
    pub property: String,
    /// What AWS says.
    pub is: String,
    /// What the plan says.
    pub should_be: String,
}

impl ResourceChange {
    /// Of a resource that is there, or is to be.
    pub(crate) fn new(kind: &str, name: impl Into<String>, change: Change) -> Self {
        Self {
            kind: kind.to_owned(),
            name: name.into(),
            change,
            differences: vec![],
        }
    }

    /// Of a resource of ours that is there: changed if there are differences, else kept.
    pub(crate) fn of(kind: &str, name: impl Into<String>, differences: Vec<Difference>) -> Self {
        let change = match differences.as_slice() {
            [] => Change::Keep,
            _ => Change::Change,
        };
        Self {
            differences,
            ..Self::new(kind, name, change)
        }
    }
}

impl Difference {
    pub(crate) fn new(
        property: impl Into<String>,
        is: impl Into<String>,
        should_be: impl Into<String>,
    ) -> Self {
        Self {
            property: property.into(),
            is: is.into(),
            should_be: should_be.into(),
        }
    }

    /// None if both are the same.
    pub(crate) fn between(
        property: &str,
        is: impl Into<String>,
        should_be: impl Into<String>,
    ) -> Option<Self> {
        let difference = Self::new(property, is, should_be);
        (difference.is != difference.should_be).then_some(difference)
    }
}
