//! Eventual consistency of EKS: what it does not find yet, though it has accepted it.
//!
//! Nothing of this happens unless [`Faults`](crate::Faults) says so. It is about reading only: what was accepted has
//! its name, and keeps others from it.

use jiff::Timestamp;

use super::Cluster;
use super::errors::{client, not_found};
use crate::api_error::ApiError;
use crate::faults::end_of_lag;
use crate::seed::Seed;
use crate::state::Context;

/// What a call sees.
#[derive(Debug, Clone, Copy)]
pub(super) struct EventualConsistency {
    seed: Seed,
    now: Timestamp,
    lag_seconds: f64,
    client_exception_share: f64,
}

impl EventualConsistency {
    pub(super) fn of(context: &Context<'_>) -> Self {
        let faults = &context.state.faults;
        Self {
            seed: context.seed,
            now: context.now,
            lag_seconds: faults.eks_lag_seconds,
            client_exception_share: faults.eks_client_exception_share,
        }
    }

    /// Whether what was accepted at a time shows by now.
    pub(super) fn shows(&self, arn_or_id: &str, accepted_at: Timestamp) -> bool {
        let key = format!("{arn_or_id}/{accepted_at}");
        let lag = self.lag_seconds;
        self.now >= end_of_lag(self.seed, accepted_at, lag, "eks-visible", &key)
    }

    pub(super) fn shows_cluster(&self, cluster: &Cluster) -> bool {
        self.shows(&cluster.arn, cluster.created_at)
    }

    /// The error of `DescribeCluster` for a missing cluster, in either of its spellings (the Terraform
    /// AWS provider, internal/service/eks/cluster.go).
    pub(super) fn cluster_missing(&self, name: &str) -> ApiError {
        let message = format!("No cluster found for name: {name}.");
        let key = format!("{name}/{}", self.now);
        let share = self.client_exception_share;
        if self.seed.hits("eks-client-exception", &key, share) {
            return client(&message);
        }
        not_found(&message)
    }
}

#[cfg(test)]
mod tests {
    use crate::eks::testing::{World, code, message, wait};

    const LAG: u64 = 30;

    fn add_lag(world: &World) {
        #[allow(clippy::cast_precision_loss, reason = "it is small")]
        world
            .simulator
            .change(|state| state.faults.eks_lag_seconds = LAG as f64);
    }

    #[tokio::test(start_paused = true)]
    async fn new_cluster_is_not_found_at_once() {
        let world = World::new().await;
        add_lag(&world);
        world.cluster_creating().await;
        let describe = || world.eks.describe_cluster().name("demo").send();
        let early = describe().await;
        assert_eq!(code(&early), "ResourceNotFoundException");
        assert_eq!(message(&early), "No cluster found for name: demo.");
        let list = world.eks.list_clusters().send().await.unwrap();
        assert!(list.clusters().is_empty());
        let again = world.create("demo").send().await;
        assert_eq!(code(&again), "ResourceInUseException");
        wait(LAG).await;
        describe().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn new_profile_addon_and_entry_are_not_found_at_once() {
        let world = World::new().await;
        world.cluster_active().await;
        add_lag(&world);
        let (eks, missing) = (&world.eks, "ResourceNotFoundException");

        world.profile("kube-system").await;
        let profile = || eks.describe_fargate_profile().cluster_name("demo");
        let profile = || profile().fargate_profile_name("kube-system").send();
        assert_eq!(code(&profile().await), missing);
        let profiles = || eks.list_fargate_profiles().cluster_name("demo").send();
        assert!(profiles().await.unwrap().fargate_profile_names().is_empty());

        world.coredns(None).send().await.unwrap();
        let addon = || eks.describe_addon().cluster_name("demo");
        let addon = || addon().addon_name("coredns").send();
        assert_eq!(code(&addon().await), missing);
        let addons = || eks.list_addons().cluster_name("demo").send();
        assert!(addons().await.unwrap().addons().is_empty());

        let role = world.role("somebody", "eks.amazonaws.com").await;
        wait(15).await;
        world.create_entry(&role).send().await.unwrap();
        let entry = || eks.describe_access_entry().cluster_name("demo");
        let entry = || entry().principal_arn(&role).send();
        assert_eq!(code(&entry().await), missing);

        wait(LAG).await;
        profile().await.unwrap();
        assert_eq!(profiles().await.unwrap().fargate_profile_names().len(), 1);
        addon().await.unwrap();
        assert_eq!(addons().await.unwrap().addons().len(), 1);
        entry().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn new_update_is_not_found_at_once() {
        let world = World::new().await;
        world.cluster_active().await;
        add_lag(&world);
        let call = world.eks.update_cluster_config().name("demo");
        let update = call.deletion_protection(true).send().await.unwrap();
        let id = update.update.unwrap().id.unwrap();
        let describe = || {
            let call = world.eks.describe_update().name("demo");
            call.update_id(&id).send()
        };
        assert_eq!(code(&describe().await), "ResourceNotFoundException");
        wait(LAG).await;
        describe().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn missing_cluster_has_two_spellings() {
        let world = World::without_roles().await;
        world
            .simulator
            .change(|state| state.faults.eks_client_exception_share = 0.5);
        let mut codes = std::collections::BTreeSet::new();
        for _ in 0..20 {
            let call = world.eks.describe_cluster().name("demo").send().await;
            assert_eq!(message(&call), "No cluster found for name: demo.");
            codes.insert(code(&call).to_owned());
            wait(1).await;
        }
        let both = ["ClientException", "ResourceNotFoundException"];
        assert!(codes.iter().eq(both), "{codes:?}");
    }
}
