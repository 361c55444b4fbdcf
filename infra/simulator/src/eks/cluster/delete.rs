//! `DeleteCluster`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Cluster;
use crate::api_error::ApiError;
use crate::eks::errors::{in_use, invalid_request};
use crate::eks::request::Request;
use crate::eks::{after, parts};
use crate::state::Context;

/// `DeleteCluster`. The last minutes of a cluster: 28 to 48 seconds without nodes and logs on a real
/// account, up to four minutes in public Terraform logs.
pub(in crate::eks) fn delete(
    context: &mut Context<'_>,
    request: &Request<'_>,
) -> Result<Value, ApiError> {
    let now = context.now;
    let (eks, around) = parts(context);
    let cluster = eks.cluster(request.cluster())?;
    if cluster.gone_at.is_some() {
        return Ok(json!({"cluster": cluster.to_json(now)}));
    }
    check_protection(cluster, now)?;
    check_profiles(cluster, now)?;
    check_children(cluster)?;
    if now < cluster.active_at {
        return Err(in_use(&format!(
            "Cannot delete because cluster {} is in status CREATING",
            cluster.name
        )));
    }
    cluster.check_no_update("delete", now)?;
    let life = around
        .seed
        .duration("cluster-delete", &cluster.name, 28.0..240.0);
    cluster.gone_at = Some(after(now, life));
    Ok(json!({"cluster": cluster.to_json(now)}))
}

/// botocore's EKS model, deletionProtection. EKS user guide, deletion protection: a cluster that is
/// FAILED can be deleted all the same.
fn check_protection(cluster: &Cluster, now: jiff::Timestamp) -> Result<(), ApiError> {
    if cluster.deletion_protection && cluster.status(now) != "FAILED" {
        let message = format!(
            "Cannot delete cluster {} because deletion protection is enabled",
            cluster.name
        );
        return Err(invalid_request(&message));
    }
    Ok(())
}

/// botocore's EKS model, DeleteCluster: profiles first. The text is that of
/// kubernetes-sigs/cluster-api-provider-aws issue 4728.
fn check_profiles(cluster: &Cluster, now: jiff::Timestamp) -> Result<(), ApiError> {
    let profiles = cluster.fargate_profiles.values();
    let statuses: BTreeSet<&str> = profiles.map(|profile| profile.status(now)).collect();
    if statuses.is_empty() {
        return Ok(());
    }
    let statuses: Vec<&str> = statuses.into_iter().collect();
    let message = format!(
        "Cluster has Fargate Profiles in {} state",
        statuses.join("/")
    );
    Err(in_use(&message))
}

/// Node groups first, and capabilities. The texts are those of ekristen/aws-nuke issue 970 and of
/// hashicorp/terraform-provider-aws's sweepers.
fn check_children(cluster: &Cluster) -> Result<(), ApiError> {
    if !cluster.node_groups.is_empty() {
        return Err(in_use("Cluster has nodegroups attached"));
    }
    if !cluster.capabilities.is_empty() {
        return Err(in_use("Cluster has capabilities attached"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{Filter, NetworkInterface, NetworkInterfaceStatus};
    use aws_sdk_eks::types::ClusterStatus;

    use crate::eks::testing::{ACCOUNT, REGION, World, code, message, wait};

    const GROUP: &str = "eks-cluster-sg-demo-*";

    async fn delete(world: &World) {
        let call = world.eks.delete_cluster().name("demo").send();
        call.await.unwrap();
    }

    /// Waits until the cluster is not found.
    async fn wait_until_gone(world: &World) {
        let mut seconds = 0;
        while world.clusters().contains_key("demo") {
            wait(1).await;
            seconds += 1;
        }
        assert!((28..=240).contains(&seconds), "{seconds}");
    }

    /// The interfaces of the control plane.
    async fn interfaces(world: &World) -> Vec<NetworkInterface> {
        let filter = Filter::builder().name("description");
        let call = world.ec2.describe_network_interfaces();
        let call = call.filters(filter.values("Amazon EKS demo").build());
        call.send().await.unwrap().network_interfaces.unwrap()
    }

    /// Ids of the security groups that EKS has made.
    async fn groups(world: &World) -> Vec<String> {
        let filter = Filter::builder().name("group-name").values(GROUP).build();
        let call = world.ec2.describe_security_groups().filters(filter).send();
        let groups = call.await.unwrap().security_groups.unwrap().into_iter();
        groups.filter_map(|group| group.group_id).collect()
    }

    fn leave_behind(world: &World) {
        world.simulator.change(|state| {
            let account = state.accounts.get_mut(ACCOUNT).unwrap();
            let region = account.regions.get_mut(REGION).unwrap();
            region.eks.leaves_interfaces_behind = true;
        });
    }

    #[tokio::test(start_paused = true)]
    async fn interfaces_and_group_outlive_the_cluster_by_minutes() {
        let world = World::new().await;
        world.cluster_active().await;
        delete(&world).await;
        let status = world.cluster().await.status;
        assert_eq!(status, Some(ClusterStatus::Deleting));
        wait_until_gone(&world).await;
        let left = interfaces(&world).await;
        assert!(!left.is_empty());
        for interface in &left {
            let available = Some(NetworkInterfaceStatus::Available);
            assert_eq!(interface.status, available);
            assert_eq!(interface.attachment, None);
        }
        let group = groups(&world).await.remove(0);
        let delete_group = || world.ec2.delete_security_group().group_id(&group).send();
        assert_eq!(code(&delete_group().await), "DependencyViolation");
        let subnet = left[0].subnet_id().unwrap();
        let call = world.ec2.delete_subnet().subnet_id(subnet).send().await;
        assert_eq!(code(&call), "DependencyViolation");

        let mut last_interface = 0;
        while !interfaces(&world).await.is_empty() {
            assert_eq!(groups(&world).await.len(), 1);
            wait(1).await;
            last_interface += 1;
        }
        assert!(last_interface <= 120, "{last_interface}");
        wait(60).await;
        assert!(groups(&world).await.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn how_often_one_asks_does_not_change_what_is_left() {
        let world = World::new().await;
        world.cluster_active().await;
        delete(&world).await;
        // Nobody asks in between.
        wait(240 + 120 + 60).await;
        assert!(interfaces(&world).await.is_empty());
        assert!(groups(&world).await.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn abandoned_interfaces_stay_until_somebody_deletes_them() {
        let world = World::new().await;
        leave_behind(&world);
        world.cluster_active().await;
        delete(&world).await;
        wait(24 * 3600).await;
        let left = interfaces(&world).await;
        assert_eq!(left.len(), 4);
        let group = groups(&world).await.remove(0);
        let delete_group = || world.ec2.delete_security_group().group_id(&group).send();
        assert_eq!(code(&delete_group().await), "DependencyViolation");
        for interface in left {
            let id = interface.network_interface_id.unwrap();
            let call = world.ec2.delete_network_interface();
            call.network_interface_id(id).send().await.unwrap();
        }
        delete_group().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn group_that_somebody_else_uses_stays() {
        let world = World::new().await;
        world.cluster_active().await;
        let group = groups(&world).await.remove(0);
        world.simulator.change(|state| {
            let account = state.accounts.get_mut(ACCOUNT).unwrap();
            let ec2 = &mut account.regions.get_mut(REGION).unwrap().ec2;
            let new = crate::ec2::NewInterface {
                subnet_id: world.network().private[0].clone(),
                security_groups: vec![group.clone()],
                ..crate::ec2::NewInterface::default()
            };
            ec2.add_interface(crate::Seed(1), new);
        });
        delete(&world).await;
        wait(3600).await;
        assert!(interfaces(&world).await.is_empty());
        assert_eq!(groups(&world).await, [group]);
    }

    #[tokio::test(start_paused = true)]
    async fn detached_interface_of_eks_can_be_deleted_by_hand() {
        let world = World::new().await;
        world.cluster_active().await;
        let delete_interface = |interface: NetworkInterface| {
            let call = world.ec2.delete_network_interface();
            let id = interface.network_interface_id;
            call.set_network_interface_id(id).send()
        };
        let attached = delete_interface(interfaces(&world).await.remove(0)).await;
        assert_eq!(code(&attached), "InvalidParameterValue");
        delete(&world).await;
        wait_until_gone(&world).await;
        for interface in interfaces(&world).await {
            delete_interface(interface).await.unwrap();
        }
        let group = groups(&world).await.remove(0);
        let call = world.ec2.delete_security_group().group_id(group);
        call.send().await.unwrap();
        wait(300).await;
        assert!(groups(&world).await.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn cluster_of_the_same_name_keeps_what_is_its_own() {
        let world = World::new().await;
        world.cluster_active().await;
        delete(&world).await;
        wait_until_gone(&world).await;
        let old = groups(&world).await;
        world.cluster_creating().await;
        assert_eq!(groups(&world).await.len(), 2);
        world.wait_until_active().await;
        let left = groups(&world).await;
        assert_eq!(left.len(), 1);
        assert_ne!(left, old);
        let attached = interfaces(&world).await;
        assert_eq!(attached.len(), 4);
        let in_use = Some(NetworkInterfaceStatus::InUse);
        assert!(attached.iter().all(|interface| interface.status == in_use));
    }

    #[tokio::test(start_paused = true)]
    async fn cluster_that_eks_is_changing_refuses_to_be_deleted_and_says_active() {
        let world = World::new().await;
        world.cluster_active().await;
        let until = world.simulator.now() + jiff::SignedDuration::from_mins(20);
        world.simulator.change(|state| {
            let account = state.accounts.get_mut(ACCOUNT).unwrap();
            let eks = &mut account.regions.get_mut(REGION).unwrap().eks;
            let cluster = eks.clusters.get_mut("demo").unwrap();
            cluster.hidden_update_until = Some(until);
        });
        let delete = || world.eks.delete_cluster().name("demo").send();
        let refused = delete().await;
        assert_eq!(code(&refused), "ResourceInUseException");
        let expected = "Cannot delete because cluster demo currently has an update in progress";
        assert_eq!(message(&refused), expected);
        let status = world.cluster().await.status;
        assert_eq!(status, Some(ClusterStatus::Active));
        let call = world.eks.update_cluster_config().name("demo");
        let call = call.deletion_protection(true).send().await;
        assert_eq!(code(&call), "ResourceInUseException");
        wait(20 * 60).await;
        delete().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn cluster_whose_addon_was_just_made_refuses_to_be_deleted() {
        let world = World::new().await;
        world.cluster_active().await;
        world.coredns(None).send().await.unwrap();
        let delete = || world.eks.delete_cluster().name("demo").send();
        assert_eq!(code(&delete().await), "ResourceInUseException");
        wait(90).await;
        delete().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn cluster_that_is_being_made_refuses_to_be_deleted() {
        let world = World::new().await;
        world.cluster_creating().await;
        let call = world.eks.delete_cluster().name("demo").send().await;
        assert_eq!(code(&call), "ResourceInUseException");
        let expected = "Cannot delete because cluster demo is in status CREATING";
        assert_eq!(message(&call), expected);
    }
}
