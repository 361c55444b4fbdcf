//! The service-linked roles that AWS defines and that all clusters of an account share. They are never removed.

use aws_sdk_iam::types::Role;

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

/// Looks whether it is there. AWS looks after everything else of the role.
pub(crate) async fn observe(aws: &Aws, wanted: Wanted) -> Result<Option<Role>, Error> {
    role::find(aws, wanted.name).await
}

/// Says what is to be done.
pub(crate) fn compare(wanted: Wanted, seen: Option<&Role>) -> ResourceChange {
    let change = seen.map_or(Change::Create, |_| Change::Keep);
    ResourceChange::new(KIND, wanted.name, change)
}
