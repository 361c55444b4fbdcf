//! Kubernetes' view of a cluster: what `kubectl get pods` and `kubectl get nodes` would show.
//!
//! A pod of CoreDNS runs on Fargate only if all of it is right: a profile that was ACTIVE before the
//! pod was born, the compute type, the way out of its subnet, the VPC's DNS, the role, and its size.

mod deployment;
mod grounds;
mod pod;
mod quantity;
mod template;
mod workload;

use serde::{Deserialize, Serialize};

use crate::eks::version;
use crate::state::Context;

pub use deployment::Deployment;
pub use grounds::Grounds;
pub use pod::PodState;
pub use template::Template;
pub use workload::Workload;

/// What `kubectl get pods` and `kubectl get nodes` would show.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// CoreDNS' pods, and those of others.
    pub pods: Vec<Pod>,
    /// The nodes.
    pub nodes: Vec<Node>,
}

/// A pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Ready containers of all, for example `1/1`.
    pub ready: String,
    /// Its phase, for example `Running` or `Pending`.
    pub status: String,
    /// The node that it runs on.
    pub node: Option<String>,
    /// Its address.
    pub ip: Option<String>,
}

/// A node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// `Ready` or `NotReady`.
    pub status: String,
    /// The version of its kubelet.
    pub version: String,
    /// Its address.
    pub ip: String,
}

/// Where CoreDNS is.
pub(crate) const NAMESPACE: &str = "kube-system";

/// The view of a cluster; `None` if there is no such cluster.
pub fn view(context: &mut Context<'_>, cluster: &str) -> Option<View> {
    let seed = context.seed;
    let cluster = context.eks().clusters.get(cluster)?;
    let kubelet = |kubernetes: &str| {
        let patch = version::find(kubernetes).map_or("", |version| version.patch);
        format!("v{patch}-eks-{}", seed.hex("kubelet", patch, 7))
    };
    let pods = cluster
        .coredns
        .as_ref()
        .map_or(&[][..], |coredns| &coredns.pods);
    let others = &cluster.workloads;
    let mut view = View {
        pods: pods.iter().map(PodState::to_pod).collect(),
        nodes: (pods.iter())
            .filter_map(|pod| pod.to_node(&kubelet(&pod.kubernetes)))
            .collect(),
    };
    view.pods.extend(others.iter().map(Workload::to_pod));
    let nodes = others.iter().map(|it| it.to_node(&kubelet(&it.kubernetes)));
    view.nodes.extend(nodes);
    Some(view)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use aws_sdk_eks::types::{AddonStatus, FargateProfileSelector};

    use crate::eks::testing::{World, wait};

    const FARGATE: &str = r#"{"computeType":"Fargate"}"#;

    fn running(world: &World) -> usize {
        let pods = world.view().pods.into_iter();
        pods.filter(|pod| pod.status == "Running").count()
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_no_view_of_a_missing_cluster() {
        let world = World::new().await;
        assert_eq!(
            world
                .simulator
                .kubernetes("111122223333", "ap-northeast-1", "x"),
            None
        );
    }

    #[tokio::test(start_paused = true)]
    async fn pods_run_on_nodes_of_their_own_in_the_private_subnets() {
        let world = World::new().await;
        world.cluster_with_profile().await;
        world.coredns(Some(FARGATE)).send().await.unwrap();
        wait(59).await;
        assert_eq!(running(&world), 0);
        wait(69).await;
        let view = world.view();
        assert_eq!(running(&world), 2);
        assert_eq!(view.nodes.len(), 2);
        for (pod, node) in view.pods.iter().zip(&view.nodes) {
            assert_eq!(pod.node.as_ref(), Some(&node.name));
            assert_eq!(pod.ip.as_ref(), Some(&node.ip));
            assert_eq!(
                (pod.namespace.as_str(), pod.ready.as_str()),
                ("kube-system", "1/1")
            );
            let expected = format!(
                "fargate-ip-{}.ap-northeast-1.compute.internal",
                node.ip.replace('.', "-")
            );
            assert_eq!(node.name, expected);
            assert_eq!(node.status, "Ready");
            assert!(node.version.starts_with("v1.35."), "{}", node.version);
        }
        // One in each of the two subnets, each with a network interface there.
        let subnets: BTreeSet<&str> = (view.nodes.iter())
            .map(|node| node.ip.rsplit_once('.').unwrap().0)
            .collect();
        assert_eq!(subnets, BTreeSet::from(["10.0.2", "10.0.3"]));
        let call = world
            .ec2
            .describe_network_interfaces()
            .send()
            .await
            .unwrap();
        let interfaces = call.network_interfaces.unwrap();
        for node in &view.nodes {
            let address = Some(node.ip.as_str());
            assert!(
                interfaces
                    .iter()
                    .any(|it| it.private_ip_address() == address)
            );
        }
    }

    /// The first pitfall: no NAT route in a Fargate subnet.
    #[tokio::test(start_paused = true)]
    async fn without_a_way_out_images_cannot_be_pulled_until_there_is_one() {
        let world = World::new().await;
        let vpc = world.vpc_config().endpoint_private_access(true).build();
        let call = world.create("demo").resources_vpc_config(vpc);
        call.send().await.unwrap();
        world.wait_until_active().await;
        world.profile("kube-system").await;
        wait(301).await;
        world.remove_route_to_nat().await;
        world.coredns(Some(FARGATE)).send().await.unwrap();
        wait(600).await;
        assert_eq!(running(&world), 0);
        assert_eq!(world.addon().await.status(), Some(&AddonStatus::Degraded));
        world.route_to_nat().await;
        wait(40).await;
        assert_eq!(running(&world), 2);
        assert_eq!(world.addon().await.status(), Some(&AddonStatus::Active));
    }

    #[tokio::test(start_paused = true)]
    async fn vpc_endpoints_stand_in_for_the_internet_if_all_of_them_are_there() {
        for missing in [None, Some("sts"), Some("s3"), Some("ecr.dkr")] {
            let world = World::new().await;
            let vpc = world.vpc_config().endpoint_private_access(true).build();
            let call = world.create("demo").resources_vpc_config(vpc);
            call.send().await.unwrap();
            world.wait_until_active().await;
            world.profile("kube-system").await;
            wait(301).await;
            world.remove_route_to_nat().await;
            for service in ["ecr.api", "ecr.dkr", "s3", "sts"] {
                if missing != Some(service) {
                    world.vpc_endpoint(service);
                }
            }
            world.coredns(Some(FARGATE)).send().await.unwrap();
            wait(300).await;
            let expected = if missing.is_none() { 2 } else { 0 };
            assert_eq!(running(&world), expected, "{missing:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pods_run_once_a_pending_nat_gateway_is_available() {
        let world = World::new().await;
        world.cluster_with_profile().await;
        let address = world.ec2.allocate_address().send().await.unwrap();
        let call = world
            .ec2
            .create_nat_gateway()
            .subnet_id(&world.network().public[1]);
        let made = call
            .allocation_id(address.allocation_id.unwrap())
            .send()
            .await;
        let id = made.unwrap().nat_gateway.unwrap().nat_gateway_id.unwrap();
        let call = world
            .ec2
            .replace_route()
            .route_table_id(&world.network().private_routes);
        let call = call.destination_cidr_block("0.0.0.0/0").nat_gateway_id(&id);
        call.send().await.unwrap();
        world.coredns(Some(FARGATE)).send().await.unwrap();
        // Nobody asks meanwhile, and yet the add-on became ACTIVE in time.
        wait(600).await;
        assert_eq!(running(&world), 2);
        let addon = &world.clusters()["demo"].addons["coredns"];
        let seconds = addon.modified_at.duration_since(addon.created_at).as_secs();
        assert!((85..170).contains(&seconds), "{seconds}");
    }

    /// The second pitfall: DNS hostnames are off.
    #[tokio::test(start_paused = true)]
    async fn without_dns_hostnames_all_nodes_have_one_name_and_one_pod_runs() {
        let world = World::new().await;
        world.cluster_with_profile().await;
        world.set_dns_hostnames(false).await;
        world.coredns(Some(FARGATE)).send().await.unwrap();
        wait(600).await;
        let view = world.view();
        assert_eq!(running(&world), 1);
        assert_eq!(view.nodes.len(), 1);
        assert_eq!(view.nodes[0].name, "fargate-null");
        assert_eq!(world.addon().await.status(), Some(&AddonStatus::Degraded));
        world.set_dns_hostnames(true).await;
        wait(1).await;
        assert_eq!(running(&world), 2);
    }

    /// The third pitfall: CoreDNS is not marked for Fargate.
    #[tokio::test(start_paused = true)]
    async fn with_any_other_compute_type_pods_wait_for_ever() {
        for configuration in [None, Some(r#"{"computeType":"fargate"}"#)] {
            let world = World::new().await;
            world.cluster_with_profile().await;
            world.coredns(configuration).send().await.unwrap();
            wait(3600).await;
            let view = world.view();
            assert_eq!(view.pods.len(), 2);
            assert!(
                view.pods
                    .iter()
                    .all(|pod| pod.status == "Pending" && pod.node.is_none())
            );
            assert!(view.nodes.is_empty());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pods_that_are_older_than_the_profile_never_move_but_new_ones_run() {
        let world = World::new().await;
        world.cluster_active().await;
        world.coredns(Some(FARGATE)).send().await.unwrap();
        wait(90).await;
        world.profile("kube-system").await;
        wait(900).await;
        assert_eq!(running(&world), 0);
        let restarted = r#"{"computeType":"Fargate","podAnnotations":{"restarted":"1"}}"#;
        world.update_coredns(restarted).send().await.unwrap();
        wait(128).await;
        assert_eq!(running(&world), 2);
        assert_eq!(world.view().pods.len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn selectors_decide_by_labels_as_well() {
        for (value, expected) in [("kube-dns", 2), ("other", 0)] {
            let world = World::new().await;
            world.cluster_active().await;
            let selector = FargateProfileSelector::builder().namespace("kube-system");
            let selector = selector.labels("k8s-app", value).build();
            let call = world
                .create_profile("dns", "x")
                .set_selectors(Some(vec![selector]));
            call.send().await.unwrap();
            wait(301).await;
            world.coredns(Some(FARGATE)).send().await.unwrap();
            wait(128).await;
            assert_eq!(running(&world), expected, "{value}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pods_too_big_for_fargate_wait() {
        let world = World::new().await;
        world.cluster_with_profile().await;
        let big = r#"{"computeType":"Fargate","resources":{"requests":{"memory":"200Gi"}}}"#;
        world.coredns(Some(big)).send().await.unwrap();
        wait(600).await;
        assert_eq!(running(&world), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn role_that_cannot_pull_images_or_trusts_another_cluster_starts_no_pods() {
        let condition = r#","Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:eks:ap-northeast-1:111122223333:fargateprofile/CLUSTER/*"}}}]"#;
        for (cluster, policy, expected) in
            [("demo", true, 2), ("other", true, 0), ("demo", false, 0)]
        {
            let world = World::new().await;
            let trust = crate::iam::testing::TRUST
                .replace("eks.amazonaws.com", "eks-fargate-pods.amazonaws.com")
                .replace("}]", &condition.replace("CLUSTER", cluster));
            let call = world.iam.update_assume_role_policy().role_name("pods");
            call.policy_document(trust).send().await.unwrap();
            if !policy {
                let call = world.iam.detach_role_policy().role_name("pods");
                let arn = "arn:aws:iam::aws:policy/AmazonEKSFargatePodExecutionRolePolicy";
                call.policy_arn(arn).send().await.unwrap();
            }
            world.cluster_with_coredns().await;
            assert_eq!(running(&world), expected, "{cluster} {policy}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn public_endpoint_must_let_the_nat_gateway_in() {
        let world = World::new().await;
        let addresses = world.ec2.describe_addresses().send().await.unwrap();
        let address = addresses.addresses()[0].public_ip().unwrap().to_owned();
        let own = format!("{address}/32");
        for (block, private, expected) in [
            (own.as_str(), false, 2),
            ("203.0.113.0/24", false, 0),
            ("203.0.113.0/24", true, 2),
        ] {
            let world = World::new().await;
            let vpc = world.vpc_config().public_access_cidrs(block);
            let vpc = vpc.endpoint_private_access(private).build();
            let call = world.create("demo").resources_vpc_config(vpc);
            call.send().await.unwrap();
            world.wait_until_active().await;
            world.profile("kube-system").await;
            wait(301).await;
            world.coredns(Some(FARGATE)).send().await.unwrap();
            wait(128).await;
            assert_eq!(running(&world), expected, "{block} {private}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nodes_join_only_with_an_access_entry_of_the_very_role() {
        let world = World::new().await;
        world.cluster_with_profile().await;
        let call = world.eks.delete_access_entry().cluster_name("demo");
        call.principal_arn(world.pod_role_arn())
            .send()
            .await
            .unwrap();
        world.coredns(Some(FARGATE)).send().await.unwrap();
        wait(300).await;
        assert_eq!(running(&world), 0);
        let entry = || {
            world
                .create_entry(&world.pod_role_arn())
                .r#type("FARGATE_LINUX")
                .send()
        };
        entry().await.unwrap();
        wait(40).await;
        assert_eq!(running(&world), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn pods_of_a_deleted_profile_go_to_another_or_wait() {
        let world = World::new().await;
        world.cluster_with_coredns().await;
        wait(720).await;
        let delete = world.delete_profile("kube-system").await.unwrap();
        assert!(delete.fargate_profile.is_some());
        wait(300).await;
        assert_eq!(running(&world), 0);
        assert_eq!(world.view().pods.len(), 2);
        assert_eq!(world.addon().await.status(), Some(&AddonStatus::Degraded));
    }

    #[tokio::test(start_paused = true)]
    async fn how_often_one_asks_changes_nothing() {
        let (asked, alone) = (World::new().await, World::new().await);
        for world in [&asked, &alone] {
            world.cluster_with_profile().await;
            world.coredns(Some(FARGATE)).send().await.unwrap();
        }
        // Both worlds share the virtual clock, not the moment at which they began.
        for _ in 0..128 {
            asked.view();
            wait(1).await;
        }
        assert_eq!(asked.view().pods.len(), alone.view().pods.len());
        let lifetimes = |world: &World| world.simulator.durations();
        assert_eq!(lifetimes(&asked), lifetimes(&alone));
        let addon = |world: &World| {
            let addon = &world.clusters()["demo"].addons["coredns"];
            addon
                .modified_at
                .duration_since(addon.created_at)
                .as_secs_f64()
        };
        assert!((addon(&asked) - addon(&alone)).abs() < 1e-9);
        let kinds: Vec<String> = lifetimes(&asked).into_iter().map(|it| it.kind).collect();
        assert_eq!(
            kinds,
            [
                "AWS::EC2::NatGateway",
                "AWS::EKS::Cluster",
                "AWS::EKS::FargateProfile",
                "AWS::EKS::Addon",
            ]
        );
        let said = lifetimes(&asked).pop().unwrap().seconds;
        assert!((said - addon(&asked)).abs() < 1e-9, "{said}");
    }
}
