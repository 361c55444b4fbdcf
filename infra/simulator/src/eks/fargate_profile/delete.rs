//! `DeleteFargateProfile`.

use serde_json::{Value, json};

use super::{check_alone, find};
use crate::api_error::ApiError;
use crate::eks::request::Request;
use crate::eks::{after, parts};
use crate::state::Context;

/// `DeleteFargateProfile`: its pods are deleted with it, and born anew (botocore's EKS model). What they
/// have on the network goes after it.
pub(in crate::eks) fn delete(
    context: &mut Context<'_>,
    request: &Request<'_>,
) -> Result<Value, ApiError> {
    let now = context.now;
    let (eks, mut around) = parts(context);
    let cluster = eks.cluster(request.cluster())?;
    let name = request.child();
    find(cluster, name)?;
    let what = format!("delete Fargate Profile {name}");
    check_alone(cluster, &what, now)?;
    cluster.check_no_update(&what, now)?;

    let key = format!("{}/{name}", cluster.name);
    // aws/containers-roadmap issue 2392: about two minutes.
    let life = around
        .seed
        .duration("fargate-profile-delete", &key, 90.0..150.0);
    if let Some(profile) = cluster.fargate_profiles.get_mut(name) {
        profile.gone_at = Some(after(now, life));
    }
    cluster.restart_pods_of(name, &mut around, now);
    let profile = find(cluster, name)?;
    Ok(json!({"fargateProfile": profile.to_json(&cluster.name, now)}))
}

#[cfg(test)]
mod tests {
    use aws_sdk_eks::types::FargateProfileStatus;

    use crate::eks::testing::{World, code, message, wait};

    #[tokio::test(start_paused = true)]
    async fn deletions_are_refused_for_more_than_ten_minutes_after_active() {
        let world = World::new().await;
        world.cluster_active().await;
        world.profile("kube-system").await;
        wait(301).await;
        let call = world.delete_profile("kube-system").await;
        assert_eq!(code(&call), "ResourceInUseException");
        assert_eq!(
            message(&call),
            "Cannot delete Fargate Profile kube-system because cluster demo currently has an update \
             in progress"
        );
        // Other profiles can be made meanwhile.
        world
            .create_profile("default", "default")
            .send()
            .await
            .unwrap();
        wait(301 + 720).await;
        let deleted = world.delete_profile("kube-system").await.unwrap();
        let status = deleted.fargate_profile.unwrap().status.unwrap();
        assert_eq!(status, FargateProfileStatus::Deleting);
        let second = world.delete_profile("default").await;
        assert_eq!(code(&second), "ResourceInUseException");
        wait(150).await;
        let call = world.delete_profile("kube-system").await;
        assert_eq!(code(&call), "ResourceNotFoundException");
        world.delete_profile("default").await.unwrap();
    }
    #[tokio::test(start_paused = true)]
    async fn interfaces_of_its_pods_go_after_it() {
        let world = World::new().await;
        world.cluster_with_coredns().await;
        wait(720).await;
        let interfaces = || async {
            let call = world.ec2.describe_network_interfaces().send().await;
            let all = call.unwrap().network_interfaces.unwrap().into_iter();
            let of_pod = |text: &str| text.starts_with("Fargate pod ");
            all.filter(|it| it.description().is_some_and(of_pod))
                .count()
        };
        world.delete_profile("kube-system").await.unwrap();
        while world.clusters()["demo"]
            .fargate_profiles
            .contains_key("kube-system")
        {
            assert_eq!(interfaces().await, 2);
            wait(1).await;
        }
        assert_eq!(interfaces().await, 2);
        let subnet = &world.network().private[0];
        let call = world.ec2.delete_subnet().subnet_id(subnet).send().await;
        assert_eq!(code(&call), "DependencyViolation");
        wait(30).await;
        assert_eq!(interfaces().await, 0);
    }
}
