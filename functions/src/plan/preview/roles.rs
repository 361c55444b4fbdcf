//! IAM roles, and the log group, which is made beside them.

use aws_sdk_iam::types::Role;

use super::{Change, ResourceChange};
use crate::aws::{Aws, list};
use crate::contract::{During, Error};
use crate::model::names::RoleOf;
use crate::model::{Plan, tags};
use crate::resources::iam_role;
use crate::resources::log_group::{self, Owner};

/// Roles that all clusters of an account share: names, and CloudFormation's word for the kind.
const SERVICE_LINKED: [&str; 2] = [
    "AWSServiceRoleForAmazonEKS",
    "AWSServiceRoleForAmazonEKSForFargate",
];
const SERVICE_LINKED_ROLE: &str = "AWS::IAM::ServiceLinkedRole";

/// What a role of the cluster has to have.
struct Wanted {
    of: RoleOf,
    /// Who assumes it.
    service: &'static str,
    policy: &'static str,
}

pub(super) async fn find(aws: &Aws, plan: &Plan) -> Result<Vec<ResourceChange>, Error> {
    let target = &plan.target;
    let mut resources = vec![];
    for name in SERVICE_LINKED {
        let is_there = iam_role::find(aws, name).await?.map(|_| true);
        let change = Change::to_right(is_there);
        resources.push(ResourceChange::new(SERVICE_LINKED_ROLE, name, change));
    }
    for wanted in [
        Wanted {
            of: RoleOf::Cluster,
            service: "eks.amazonaws.com",
            policy: "AmazonEKSClusterPolicy",
        },
        Wanted {
            of: RoleOf::PodExecution,
            service: "eks-fargate-pods.amazonaws.com",
            policy: "AmazonEKSFargatePodExecutionRolePolicy",
        },
    ] {
        let role = iam_role::look(aws, target, wanted.of).await?;
        let change = match &role {
            Some(role) => wanted.change(aws, plan, role).await?,
            None => Change::Create,
        };
        let name = role.map_or_else(|| wanted.of.name(target), |role| role.role_name);
        resources.push(ResourceChange::new("AWS::IAM::Role", name, change));
    }
    if !plan.logging.is_empty() {
        let change = match log_group::owner(aws, target).await? {
            Owner::Nobody => Change::Create,
            Owner::Us => Change::Keep,
            Owner::Another => Change::Adopt,
        };
        let name = log_group::name(target);
        resources.push(ResourceChange::new(log_group::KIND, name, change));
    }
    Ok(resources)
}

impl Wanted {
    async fn change(&self, aws: &Aws, plan: &Plan, role: &Role) -> Result<Change, Error> {
        if !tags::iam_is_ours(role.tags(), &plan.target) {
            return Err(tags::not_ours(
                &format!("IAM role {}", role.role_name()),
                &plan.target,
            ));
        }
        // IAM answers it percent-encoded, which leaves a service's name as it is.
        let trust = role.assume_role_policy_document().unwrap_or_default();
        let boundary = role.permissions_boundary();
        let boundary = boundary.and_then(|it| it.permissions_boundary_arn());
        let wanted_boundary = plan.permissions_boundary_arn.as_deref();
        let is_right = trust.contains(self.service)
            && (wanted_boundary.is_none() || boundary == wanted_boundary)
            && self.has_policy(aws, role.role_name()).await?;
        Ok(Change::to_right(Some(is_right)))
    }

    async fn has_policy(&self, aws: &Aws, role: &str) -> Result<bool, Error> {
        let call = aws.iam().list_attached_role_policies().role_name(role);
        let policies = list!(call).await.during("iam:ListAttachedRolePolicies")?;
        let mut names = policies.iter().filter_map(|policy| policy.policy_name());
        Ok(names.any(|name| name == self.policy))
    }
}
