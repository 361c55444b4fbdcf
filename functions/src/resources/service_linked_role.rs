//! The service-linked roles that AWS defines and that all clusters of an account share. They are never removed.

use crate::aws::Aws;
use crate::contract::Error;
use crate::resources::resource_change::{Change, ResourceChange};
use crate::resources::role;

/// CloudFormation's type name.
const KIND: &str = "AWS::IAM::ServiceLinkedRole";

/// The role with which EKS itself works in the account.
pub(crate) const EKS: Wanted = Wanted {
    name: "AWSServiceRoleForAmazonEKS",
    service: "eks.amazonaws.com",
};
/// The role with which EKS makes Fargate's network interfaces.
pub(crate) const FARGATE: Wanted = Wanted {
    name: "AWSServiceRoleForAmazonEKSForFargate",
    service: "eks-fargate.amazonaws.com",
};

/// One of the two.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub name: &'static str,
    /// The service that assumes it.
    pub service: &'static str,
}

/// What there is of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    is_there: bool,
}

/// What there is beside what is wanted: AWS looks after everything else of the role.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Compared {
    pub wanted: Wanted,
    pub is_missing: bool,
}

/// Looks whether it is there.
pub(crate) async fn observe(aws: &Aws, wanted: Wanted) -> Result<Seen, Error> {
    let is_there = role::find(aws, wanted.name).await?.is_some();
    Ok(Seen { is_there })
}

/// Says what is to be done.
pub(crate) fn compare(wanted: Wanted, seen: Seen) -> Compared {
    Compared {
        wanted,
        is_missing: !seen.is_there,
    }
}

impl Compared {
    /// The same for a person.
    pub fn change(self) -> ResourceChange {
        let change = if self.is_missing {
            Change::Create
        } else {
            Change::Keep
        };
        ResourceChange::new(KIND, self.wanted.name, change)
    }
}
