//! The upgrade of the control plane to the next Kubernetes version.
//!
//! Before it, CoreDNS gets a version that runs on both Kubernetes versions ([`crate::steps::cluster::coredns`]).
//! After it,
//! the step `coredns` brings CoreDNS, with new pods, to the new version. What blocks an upgrade is what
//! others run: EKS refuses it, nothing has changed, and the error is reported with what EKS's insights
//! say.

use aws_sdk_eks::error::ProvideErrorMetadata;
use aws_sdk_eks::types::InsightStatusValue;

use crate::aws::{Aws, change, codes};
use crate::contract::{During, Error, Memory, Outcome};
use crate::model::Plan;
use crate::resources::{eks, eks_insights};
use crate::steps::cluster::update::{Standing, remember, standing};
use crate::steps::cluster::{CHECK_AFTER_SECONDS, coredns};

/// Starts what the cluster, which runs `current`, needs to come to the plan's version; what is to be waited for.
pub async fn ensure<T>(
    aws: &Aws,
    plan: &Plan,
    current: &str,
    memory: &mut Memory,
) -> Result<Outcome<T>, Error> {
    let what = format!("Kubernetes {}", plan.kubernetes_version);
    match standing(aws, &plan.target, memory, &what).await? {
        Standing::Unasked => {}
        Standing::InProgress => return Ok(upgrading(plan, current)),
        Standing::Successful => {
            return Err(Error::NotYetVisible(format!(
                "cluster {} is upgraded, but still described as {current}",
                plan.target.cluster_name
            )));
        }
    }
    if let Some(wait) = coredns::make_fit(aws, plan, current, memory).await? {
        return Ok(wait);
    }
    start(aws, plan, current, memory).await
}

fn upgrading<T>(plan: &Plan, current: &str) -> Outcome<T> {
    let (name, version) = (&plan.target.cluster_name, &plan.kubernetes_version);
    let reason =
        format!("control plane {name} is being upgraded from Kubernetes {current} to {version}");
    Outcome::pending(CHECK_AFTER_SECONDS, reason)
}

async fn start<T>(
    aws: &Aws,
    plan: &Plan,
    current: &str,
    memory: &mut Memory,
) -> Result<Outcome<T>, Error> {
    let (name, version) = (&plan.target.cluster_name, &plan.kubernetes_version);
    // No token of our own: EKS takes one update at a time and no version twice, while a token made of the
    // versions would, after an update that failed, bring back that one instead of starting another.
    let call = aws
        .eks()
        .update_cluster_version()
        .name(name)
        .version(version);
    let answer = match change("eks:UpdateClusterVersion", name, call.send()).await {
        // Another update, or what EKS does after the last upgrade and does not show.
        Err(error) if eks::passes_by_itself(&error) => {
            let message = eks::message(&error);
            let reason = format!("control plane {name} cannot be upgraded yet: {message}");
            return Ok(Outcome::pending(CHECK_AFTER_SECONDS, reason));
        }
        Err(error) if is_blocked(&error) => {
            return Err(blocked(aws, plan, eks::message(&error)).await);
        }
        answer => answer.during("eks:UpdateClusterVersion")?,
    };
    remember(memory, &format!("Kubernetes {version}"), answer.update());
    Ok(upgrading(plan, current))
}

/// Whether EKS refuses the upgrade for what is in the cluster.
fn is_blocked(error: &impl ProvideErrorMetadata) -> bool {
    error.code() == Some(codes::INVALID_STATE)
        || eks::message(error).contains(codes::FARGATE_KUBELETS_MESSAGE)
}

/// The error, explained as far as EKS does; without its insights it stands for itself.
async fn blocked(aws: &Aws, plan: &Plan, message: &str) -> Error {
    let statuses = [InsightStatusValue::Error];
    let insights = eks_insights::find(aws, &plan.target, &statuses).await;
    let insights = insights.unwrap_or_default();
    eks_insights::conflict(&plan.target, &plan.kubernetes_version, message, &insights)
}
