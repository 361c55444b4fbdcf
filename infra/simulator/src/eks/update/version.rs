//! `UpdateClusterVersion`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Change, begin, check_alone};
use crate::api_error::ApiError;
use crate::eks::errors::{invalid_parameter, invalid_request, invalid_state};
use crate::eks::insight::is_ready_for;
use crate::eks::request::Request;
use crate::eks::tokens::Token;
use crate::eks::version::{minor, of_update};
use crate::eks::{Cluster, parts};
use crate::state::Context;

/// botocore's EKS model, UpdateClusterVersionRequest.
#[derive(Debug, Deserialize)]
struct UpdateClusterVersion {
    version: String,
    #[serde(default)]
    force: bool,
}

/// By how many minor versions a kubelet may be older than the control plane (EKS user guide, update a
/// cluster, since 2023-12 of managed and Fargate nodes alike, as of Kubernetes 1.28; before, both had to
/// be the same).
pub(in crate::eks) const KUBELET_SKEW_MAX: u32 = 3;

/// `UpdateClusterVersion`.
pub(in crate::eks) fn start(
    context: &mut Context<'_>,
    request: &Request<'_>,
) -> Result<Value, ApiError> {
    let now = context.now;
    let asked: UpdateClusterVersion = request.read()?;
    Token::of(request)?;
    if request.has("rollbackConfig") {
        return Err(invalid_parameter("rollbackConfig is not simulated"));
    }
    let (eks, around) = parts(context);
    let fails = eks.fails.updates;
    let cluster = eks.cluster(request.cluster())?;
    let version = of_update(&cluster.version, &asked.version, now)?;
    let change = Change::Version(version.name.to_owned());
    cluster.check_active(now)?;
    check_alone(cluster, &change, now)?;
    check_kubelets(cluster, version.name)?;
    // hashicorp/terraform-provider-aws issue 42031. As of 2025-03 EKS enforced it for some days
    // (aws/containers-roadmap issue 2570); the model, and what EKS does before it takes an update back,
    // say that it is to be reckoned with.
    if !asked.force && !is_ready_for(cluster, version.name) {
        return Err(invalid_state(
            "Upgrade readiness issues detected. Call the EKS ListInsights API to view upgrade blocking \
             issues detected by EKS. Pass the force flag to override upgrade readiness errors and proceed \
             with upgrade.",
        ));
    }
    let update = begin(cluster, change, (around.seed, fails), now);
    Ok(json!({"update": update}))
}

/// oslokommune/okctl issue 1015: a pod that has not been made anew for too long.
fn check_kubelets(cluster: &Cluster, new: &str) -> Result<(), ApiError> {
    let mut kubelets = cluster.kubelets();
    if kubelets.all(|(_, kubelet)| minor(kubelet) + KUBELET_SKEW_MAX >= minor(new)) {
        return Ok(());
    }
    Err(invalid_request(&format!(
        "Kubelet version of Fargate pods must be updated to match cluster version {} before updating \
         cluster version; Please recycle all offending pod replicas",
        cluster.version
    )))
}

#[cfg(test)]
mod tests {
    use aws_sdk_eks::operation::update_cluster_version::builders::UpdateClusterVersionFluentBuilder;
    use aws_sdk_eks::types::{ClusterStatus, SupportType, UpdateStatus, UpdateType};

    use crate::eks::testing::{World, code, message, wait};
    use crate::kubernetes::Workload;

    async fn world(version: &str) -> World {
        let world = World::new().await;
        let policy =
            aws_sdk_eks::types::UpgradePolicyRequest::builder().support_type(SupportType::Extended);
        let call = world.create("demo").version(version);
        call.upgrade_policy(policy.build()).send().await.unwrap();
        world.wait_until_active().await;
        world
    }

    fn update(world: &World, version: &str) -> UpdateClusterVersionFluentBuilder {
        let call = world.eks.update_cluster_version().name("demo");
        call.version(version)
    }

    #[tokio::test(start_paused = true)]
    async fn version_and_platform_change_when_the_update_is_done() {
        let world = world("1.35").await;
        let old = world.cluster().await;
        let begun = update(&world, "1.36").send().await.unwrap().update.unwrap();
        assert_eq!(begun.r#type(), Some(&UpdateType::VersionUpdate));
        assert_eq!(begun.params().len(), 2);
        wait(5).await;
        let cluster = world.cluster().await;
        assert_eq!(cluster.status(), Some(&ClusterStatus::Updating));
        assert_eq!(cluster.version(), Some("1.35"));
        wait(470).await;
        let id = begun.id.unwrap();
        let status = |update: aws_sdk_eks::types::Update| update.status.unwrap();
        assert_eq!(status(world.update(&id).await), UpdateStatus::InProgress);
        wait(245).await;
        assert_eq!(status(world.update(&id).await), UpdateStatus::Successful);
        let cluster = world.cluster().await;
        assert_eq!(cluster.status(), Some(&ClusterStatus::Active));
        assert_eq!(cluster.version(), Some("1.36"));
        assert_ne!(cluster.platform_version(), old.platform_version());
        assert_eq!(cluster.endpoint(), old.endpoint());
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_next_version_that_there_is() {
        let world = world("1.34").await;
        for wrong in ["1.36", "1.34", "1.33", "1.99"] {
            let call = update(&world, wrong).send().await;
            assert_eq!(code(&call), "InvalidParameterException", "{wrong}");
        }
        let leap = update(&world, "1.36").send().await;
        let expected = "Unsupported Kubernetes minor version update from 1.34 to 1.36";
        assert_eq!(message(&leap), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn one_update_at_a_time_and_none_for_a_while_after_it() {
        let world = world("1.34").await;
        update(&world, "1.35").send().await.unwrap();
        let second = update(&world, "1.35").send().await;
        assert_eq!(code(&second), "ResourceInUseException");
        let start = "Cannot VersionUpdate because cluster demo currently has update ";
        assert!(message(&second).starts_with(start), "{}", message(&second));
        wait(725).await;
        let next = || update(&world, "1.36").send();
        let early = next().await;
        assert_eq!(code(&early), "ResourceInUseException");
        let expected =
            "Cannot VersionUpdate because cluster demo currently has an update in progress";
        assert_eq!(message(&early), expected);
        assert_eq!(world.cluster().await.status(), Some(&ClusterStatus::Active));
        wait(900).await;
        next().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn failed_update_leaves_the_version() {
        let world = world("1.35").await;
        world.fail_updates(true);
        let begun = update(&world, "1.36").send().await.unwrap().update.unwrap();
        wait(720).await;
        let update = world.update(begun.id().unwrap()).await;
        assert_eq!(update.status(), Some(&UpdateStatus::Failed));
        assert_eq!(world.cluster().await.version(), Some("1.35"));
    }

    #[tokio::test(start_paused = true)]
    async fn pods_keep_their_kubelet_until_they_are_made_anew() {
        let world = World::new().await;
        world.cluster_with_coredns().await;
        let kubelets = |world: &World| -> Vec<String> {
            let nodes = world.view().nodes.into_iter();
            nodes.map(|node| node.version).collect()
        };
        wait(20).await;
        update(&world, "1.36").send().await.unwrap();
        wait(725).await;
        assert!(kubelets(&world).iter().all(|it| it.starts_with("v1.35.")));
        let again = r#"{"computeType":"Fargate","podAnnotations":{"again":"1"}}"#;
        world.update_coredns(again).send().await.unwrap();
        wait(128).await;
        let new = kubelets(&world);
        assert_eq!(new.len(), 2);
        assert!(new.iter().all(|it| it.starts_with("v1.36.")), "{new:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn kubelets_may_be_three_versions_older_and_no_more() {
        for (kubelet, is_refused) in [("1.33", false), ("1.32", true)] {
            let world = world("1.35").await;
            world.change_cluster(|cluster| {
                cluster.workloads.push(Workload {
                    kubernetes: kubelet.to_owned(),
                    ..Workload::default()
                });
            });
            let call = update(&world, "1.36").force(true).send().await;
            assert_eq!(call.is_err(), is_refused, "{kubelet}");
            if is_refused {
                assert_eq!(code(&call), "InvalidRequestException");
                let text = message(&call);
                assert!(text.contains("to match cluster version 1.35"), "{text}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn addon_that_does_not_run_on_the_new_version_is_in_the_way_unless_it_is_forced() {
        let world = world("1.34").await;
        world.profile("kube-system").await;
        wait(301).await;
        world.coredns(None).send().await.unwrap();
        wait(300).await;
        let refused = update(&world, "1.35").send().await;
        assert_eq!(code(&refused), "InvalidStateException");
        let start = "Upgrade readiness issues detected.";
        assert!(
            message(&refused).starts_with(start),
            "{}",
            message(&refused)
        );
        update(&world, "1.35").force(true).send().await.unwrap();
    }
}
