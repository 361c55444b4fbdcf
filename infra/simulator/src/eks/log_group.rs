//! The log group that a control plane writes to, and makes where it is missing.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Cluster, Surroundings, after};

/// EKS user guide, control plane logs: the name of a cluster's log group.
fn name(cluster: &str) -> String {
    format!("/aws/eks/{cluster}/cluster")
}

/// terraform-aws-modules/terraform-aws-eks issues 920 and 2763: a group that is deleted while its
/// cluster logs comes back, because EKS itself makes it. A control plane always has something to say,
/// so that takes no longer than this.
const SILENCE_SECONDS: std::ops::Range<f64> = 15.0..60.0;
/// How long before it is ACTIVE a control plane begins to write: 60 to 75 seconds on real accounts.
const HEAD_START_SECONDS: std::ops::Range<f64> = 60.0..75.0;
/// The same issues: the last lines of a cluster arrive when it is gone, and make the group anew.
const LAST_LINES_SECONDS: std::ops::Range<f64> = 0.0..240.0;

/// The last lines of a cluster that is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LastLines {
    cluster: String,
    at: Timestamp,
}

impl Cluster {
    /// When its control plane writes for the first time, if it is to write at all.
    fn logs_since(&self, seed: crate::Seed) -> Timestamp {
        let before = seed.duration("log-head-start", &self.digits, HEAD_START_SECONDS);
        after(self.active_at, -before)
    }

    /// Whether its control plane writes logs at `at`.
    fn logs(&self, seed: crate::Seed, at: Timestamp) -> bool {
        let is_gone = self.gone_at.is_some_and(|gone_at| gone_at <= at);
        !self.logging.is_empty() && self.logs_since(seed) <= at && !is_gone
    }

    /// When it writes again after `at`: at regular times since it began, whoever asks.
    fn next_lines(&self, seed: crate::Seed, at: Timestamp) -> Timestamp {
        let silence = seed.duration("log-lines", &self.digits, SILENCE_SECONDS);
        let period = silence.as_millis().max(1);
        let start = self.logs_since(seed);
        let since = at.duration_since(start).as_millis();
        let next = (since.div_euclid(period) + 1) * period;
        let next = i64::try_from(next).unwrap_or(i64::MAX);
        after(start, SignedDuration::from_millis(next))
    }

    /// When its log group will be there by itself, if it is not.
    pub(super) fn log_group_moment(
        &self,
        around: &Surroundings<'_>,
        at: Timestamp,
    ) -> Option<Timestamp> {
        let start = self.logs_since(around.seed);
        if at < start {
            return Some(start);
        }
        let is_there = around.logs.groups.contains_key(&name(&self.name));
        (self.logs(around.seed, at) && !is_there).then(|| self.next_lines(around.seed, at))
    }

    /// Writes, if `at` is a time at which it does.
    pub(super) fn write_logs(&self, around: &mut Surroundings<'_>, at: Timestamp) {
        let just_before = after(at, SignedDuration::from_millis(-1));
        let writes =
            at == self.logs_since(around.seed) || self.next_lines(around.seed, just_before) == at;
        if self.logs(around.seed, at) && writes {
            around.ensure_log_group(&self.name, at);
        }
    }

    /// What arrives when the cluster is gone.
    pub(super) fn last_lines(&self, seed: crate::Seed, gone_at: Timestamp) -> Option<LastLines> {
        let delay = seed.duration("last-log-lines", &self.digits, LAST_LINES_SECONDS);
        (!self.logging.is_empty()).then(|| LastLines {
            cluster: self.name.clone(),
            at: after(gone_at, delay),
        })
    }
}

impl Surroundings<'_> {
    /// Lets the last lines arrive whose time has come.
    pub(super) fn receive(&mut self, last_lines: &mut Vec<LastLines>, until: Timestamp) {
        last_lines.retain(|lines| {
            let has_come = lines.at <= until;
            if has_come {
                self.ensure_log_group(&lines.cluster, lines.at);
            }
            !has_come
        });
    }

    fn ensure_log_group(&mut self, cluster: &str, at: Timestamp) {
        self.logs
            .ensure(self.account, self.region, &name(cluster), at);
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_eks::types::{LogSetup, LogType, Logging};

    use crate::eks::testing::{ACCOUNT, REGION, World, wait};

    fn audit(enabled: bool) -> Logging {
        let setup = LogSetup::builder().types(LogType::Audit).enabled(enabled);
        Logging::builder().cluster_logging(setup.build()).build()
    }

    /// Whether the log group of the cluster is there.
    fn is_there(world: &World) -> bool {
        let state = world.simulator.state();
        let logs = &state.accounts[ACCOUNT].regions[REGION].logs;
        logs.groups.contains_key("/aws/eks/demo/cluster")
    }

    async fn delete_group(world: &World) {
        let logs = crate::logs::testing::client(&world.simulator, ACCOUNT, REGION);
        let call = logs.delete_log_group();
        let call = call.log_group_name("/aws/eks/demo/cluster");
        call.send().await.unwrap();
    }

    async fn delete_cluster(world: &World) {
        let call = world.eks.delete_cluster().name("demo").send();
        call.await.unwrap();
        while world.clusters().contains_key("demo") {
            wait(1).await;
        }
    }

    async fn logging_cluster(world: &World) {
        world
            .create("demo")
            .logging(audit(true))
            .send()
            .await
            .unwrap();
        assert!(!is_there(world));
        world.wait_until_active().await;
    }

    #[tokio::test(start_paused = true)]
    async fn group_is_made_a_minute_before_a_logging_cluster_is_active() {
        let world = World::new().await;
        world
            .create("demo")
            .logging(audit(true))
            .send()
            .await
            .unwrap();
        let seconds = world.seconds_until_active().await;
        assert!(is_there(&world), "{seconds}");
        let groups = world.simulator.state();
        let group = &groups.accounts[ACCOUNT].regions[REGION].logs.groups["/aws/eks/demo/cluster"];
        let before = world.clusters()["demo"]
            .active_at
            .duration_since(group.created_at);
        assert!((60..=75).contains(&before.as_secs()), "{before}");
    }

    #[tokio::test(start_paused = true)]
    async fn group_is_made_when_logging_is_turned_on_later() {
        let world = World::new().await;
        world.cluster_active().await;
        wait(600).await;
        assert!(!is_there(&world));
        let call = world.eks.update_cluster_config().name("demo");
        call.logging(audit(true)).send().await.unwrap();
        wait(120 + 60).await;
        assert!(is_there(&world));
    }

    #[tokio::test(start_paused = true)]
    async fn deleted_group_comes_back_while_the_cluster_logs() {
        let world = World::new().await;
        logging_cluster(&world).await;
        delete_group(&world).await;
        assert!(!is_there(&world));
        wait(60).await;
        assert!(is_there(&world));
        let call = world.eks.update_cluster_config().name("demo");
        call.logging(audit(false)).send().await.unwrap();
        wait(120).await;
        delete_group(&world).await;
        wait(600).await;
        assert!(!is_there(&world));
    }

    #[tokio::test(start_paused = true)]
    async fn last_lines_of_a_cluster_make_the_group_anew() {
        let world = World::new().await;
        logging_cluster(&world).await;
        delete_cluster(&world).await;
        delete_group(&world).await;
        wait(240).await;
        assert!(is_there(&world));
        delete_group(&world).await;
        wait(600).await;
        assert!(!is_there(&world));
    }

    #[tokio::test(start_paused = true)]
    async fn cluster_that_did_not_log_has_no_last_lines() {
        let world = World::new().await;
        world.cluster_active().await;
        delete_cluster(&world).await;
        wait(240).await;
        assert!(!is_there(&world));
    }
}
