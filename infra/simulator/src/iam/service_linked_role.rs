//! Service-linked roles.

use super::eventual_consistency::EventuallyConsistent;
use super::request::{description, required};
use super::role::{Answer, make};
use crate::api_error::ApiError;
use crate::params::Params;
use crate::state::Context;
use crate::xml::Element;

/// The service of [`EKS`].
pub const EKS_SERVICE: &str = "eks.amazonaws.com";
/// The role with which EKS manages a cluster.
pub const EKS: &str = "AWSServiceRoleForAmazonEKS";
/// The service of [`FARGATE`].
pub const FARGATE_SERVICE: &str = "eks-fargate.amazonaws.com";
/// The role with which EKS runs pods on Fargate.
pub const FARGATE: &str = "AWSServiceRoleForAmazonEKSForFargate";

/// Services, their roles and the policies of those (EKS user guide, service-linked roles).
const ROLES: &[(&str, &str, &str)] = &[
    (EKS_SERVICE, EKS, "AmazonEKSServiceRolePolicy"),
    (
        FARGATE_SERVICE,
        FARGATE,
        "AmazonEKSForFargateServiceRolePolicy",
    ),
    (
        "eks-nodegroup.amazonaws.com",
        "AWSServiceRoleForAmazonEKSNodegroup",
        "AWSServiceRoleForAmazonEKSNodegroup",
    ),
];

/// The name of a service's role.
#[must_use]
pub fn name_of(service: &str) -> Option<&'static str> {
    let found = ROLES.iter().find(|(known, ..)| *known == service);
    found.map(|(_, name, _)| *name)
}

/// `CreateServiceLinkedRole`.
pub(super) fn create(context: &mut Context<'_>, params: &Params) -> Result<Vec<Element>, ApiError> {
    let service = required(params, "AWSServiceName")?;
    let description = description(params)?;
    if params.get("CustomSuffix").is_some() {
        let message = format!("Custom suffix is not allowed for {service}");
        return Err(ApiError::client("InvalidInput", message));
    }
    let Some((_, name, _)) = ROLES.iter().find(|(known, ..)| *known == service) else {
        return Err(unknown(service));
    };
    if context.iam().role(name).is_some() {
        let message = format!(
            "Service role name {name} has been taken in this account, please try a different suffix."
        );
        return Err(ApiError::client("InvalidInput", message));
    }
    ensure(context, service);
    if let Some(role) = context.iam().roles.get_mut(&name.to_lowercase()) {
        role.description = description.map(str::to_owned);
    }
    let role = context.iam().find(name)?;
    Ok(vec![
        Element::new("Role").children(role.content(Answer::Made)),
    ])
}

/// Other services that have such roles (LocalStack's snapshots, recorded on AWS): they are not simulated,
/// which is not what AWS says of services that do not exist.
const OTHERS: &[&str] = &[
    "autoscaling.amazonaws.com",
    "batch.amazonaws.com",
    "config.amazonaws.com",
    "ecs.amazonaws.com",
    "elasticache.amazonaws.com",
    "elasticbeanstalk.amazonaws.com",
    "elasticfilesystem.amazonaws.com",
    "elasticloadbalancing.amazonaws.com",
    "es.amazonaws.com",
    "guardduty.amazonaws.com",
    "organizations.amazonaws.com",
    "rds.amazonaws.com",
    "spot.amazonaws.com",
    "spotfleet.amazonaws.com",
    "sso.amazonaws.com",
    "support.amazonaws.com",
    "transitgateway.amazonaws.com",
    "trustedadvisor.amazonaws.com",
];

fn unknown(service: &str) -> ApiError {
    if OTHERS.contains(&service) {
        let message = format!("The simulator does not model the service-linked role of {service}.");
        return ApiError::client("UnsupportedOperation", message);
    }
    let message = format!("Cannot find Service Linked Role template for {service}");
    ApiError::client("InvalidInput", message)
}

/// Makes the role of a service if it is missing, as the service itself does when it first needs it.
/// Others do not see a new one at once.
pub fn ensure(context: &mut Context<'_>, service: &str) {
    let Some((_, name, policy)) = ROLES.iter().find(|(known, ..)| *known == service) else {
        return;
    };
    if context.iam().role(name).is_some() {
        return;
    }
    let trust = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"Service":"{service}"}},"Action":"sts:AssumeRole"}}]}}"#
    );
    let mut role = make(
        context,
        &format!("/aws-service-role/{service}/"),
        name,
        &trust,
    );
    let policy = format!(
        "arn:{}:iam::aws:policy/aws-service-role/{policy}",
        context.partition()
    );
    role.managed.set([policy].into(), context.now, context.now);
    let share = context.state.faults.eks_service_linked_lag_share;
    if !context.seed.hits("service-linked-lag", &role.arn, share) {
        role.trust = EventuallyConsistent::new(trust, context.now);
    }
    context.iam().roles.insert(name.to_lowercase(), role);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iam::testing::{World, code};

    #[tokio::test(start_paused = true)]
    async fn role_is_made_once() {
        let world = World::new();
        let create = || {
            world
                .iam
                .create_service_linked_role()
                .aws_service_name(EKS_SERVICE)
                .send()
        };
        let role = create().await.unwrap().role.unwrap();
        assert_eq!(
            role.arn,
            format!("arn:aws:iam::111122223333:role/aws-service-role/eks.amazonaws.com/{EKS}")
        );
        let error = create().await.unwrap_err().into_service_error();
        assert!(error.is_invalid_input_exception());
        assert_eq!(
            error.meta().message(),
            Some(
                "Service role name AWSServiceRoleForAmazonEKS has been taken in this account, please \
                 try a different suffix."
            )
        );
    }

    #[tokio::test(start_paused = true)]
    async fn account_cannot_change_it() {
        let world = World::new();
        let call = world
            .iam
            .create_service_linked_role()
            .aws_service_name(FARGATE_SERVICE);
        call.send().await.unwrap();
        assert_eq!(
            code(world.attach(FARGATE, "ReadOnlyAccess").await),
            "UnmodifiableEntity"
        );
        let delete = world.iam.delete_role().role_name(FARGATE).send().await;
        assert_eq!(code(delete), "UnmodifiableEntity");
    }

    #[tokio::test(start_paused = true)]
    async fn unknown_service_has_none() {
        let world = World::new();
        let call = world
            .iam
            .create_service_linked_role()
            .aws_service_name("x.amazonaws.com");
        assert_eq!(code(call.send().await), "InvalidInput");
    }
}
