//! What happens by itself: everything in the order of its time, worked out when somebody asks.
//!
//! Between two calls nothing changes but what has a time of its own. These times are the moments: at
//! each of them the cluster is looked at anew, with the network as it was then.

use jiff::Timestamp;

use super::addon::COREDNS;
use super::{Cluster, Eks, Surroundings, after, roles};
use crate::kubernetes::{Deployment, Grounds, Template};
use crate::seed::Seed;

impl Surroundings<'_> {
    /// Lets happen what happens by itself until `until`.
    pub fn settle(&mut self, eks: &mut Eks, until: Timestamp) {
        // Before clusters of the same name do something.
        self.receive(&mut eks.last_lines, until);
        let mut gone = Vec::new();
        for cluster in eks.clusters.values_mut() {
            let mut at = cluster.settled_at;
            loop {
                cluster.step(self, at);
                match self.next_moment(cluster, at, until) {
                    Some(next) => at = next,
                    None => break,
                }
            }
            cluster.settled_at = until;
            if let Some(gone_at) = cluster.gone_at.filter(|gone_at| *gone_at <= until) {
                (eks.last_lines).extend(cluster.last_lines(self.seed, gone_at));
                self.leave_network(cluster, gone_at, eks.leaves_interfaces_behind);
                gone.push(cluster.name.clone());
            }
        }
        eks.clusters.retain(|name, _| !gone.contains(name));
        self.receive(&mut eks.last_lines, until);
    }

    /// The first moment after `at` and not after `until`.
    fn next_moment(&self, cluster: &Cluster, at: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let mut moments = vec![cluster.active_at, cluster.next_look_at()];
        moments.push(cluster.own_entry_at(self.seed));
        moments.extend(cluster.updates.iter().filter_map(|update| update.done_at));
        for profile in cluster.fargate_profiles.values() {
            moments.push(profile.active_at);
            moments.extend(profile.gone_at);
            moments.extend(roles::visible_at(self.iam, &profile.role_arn));
        }
        moments.extend(cluster.addons.values().flat_map(super::Addon::moments));
        moments.extend(cluster.coredns.iter().flat_map(Deployment::moments));
        moments.extend(self.nat_gateways_available_at());
        moments.extend(cluster.log_group_moment(self, at));
        moments
            .into_iter()
            .filter(|moment| at < *moment && *moment <= until)
            .min()
    }
}

impl Cluster {
    /// Brings the cluster to what it is at `at`.
    fn step(&mut self, around: &mut Surroundings<'_>, at: Timestamp) {
        self.finish_updates(around.seed, at);
        self.make_own_entry(around, at);
        if self.has_self_managed_addons && self.active_at == at && self.coredns.is_none() {
            self.deploy_coredns(Template::default(), 2, around, at);
        }
        let is_gone = |gone_at: Option<Timestamp>| gone_at.is_some_and(|gone_at| gone_at <= at);
        self.fargate_profiles
            .retain(|_, profile| !is_gone(profile.gone_at));
        self.run_pods(around, at);
        self.settle_addon(at);
        self.look_for_insights(at);
        self.write_logs(around, at);
        if let Some(addon) = self.addons.get(COREDNS)
            && is_gone(addon.gone_at)
        {
            if !addon.is_preserved {
                let pods = self.coredns.take();
                around.end_pods(pods.iter().flat_map(Deployment::interfaces), at);
            }
            self.addons.remove(COREDNS);
        }
    }

    fn finish_updates(&mut self, seed: Seed, at: Timestamp) {
        let mut changes = Vec::new();
        for update in &mut self.updates {
            let is_done = update.done_at.is_some_and(|done_at| done_at <= at);
            if update.is_in_progress() && is_done {
                changes.extend(update.finish());
            }
        }
        for change in changes {
            if change.replaces_control_plane() {
                self.settle_new_control_plane(seed, at);
            }
            change.apply(self);
        }
    }

    /// aws/containers-roadmap issue 2677: for a while after an update of the version the cluster says
    /// ACTIVE, no update is listed, and the next one is refused. How long AWS does not say.
    fn settle_new_control_plane(&mut self, seed: Seed, at: Timestamp) {
        let key = format!("{}/{at}", self.name);
        let until = after(at, seed.duration("etcd", &key, 300.0..900.0));
        self.hidden_update_until = self.hidden_update_until.max(Some(until));
        // What EKS saw was about the version that the cluster now has.
        self.insights = None;
    }

    fn run_pods(&mut self, around: &mut Surroundings<'_>, at: Timestamp) {
        let Some(mut coredns) = self.coredns.take() else {
            return;
        };
        coredns.step(&self.grounds(), around, at);
        self.coredns = Some(coredns);
    }

    /// Deploys CoreDNS, or changes what is deployed.
    pub(super) fn deploy_coredns(
        &mut self,
        template: Template,
        replicas: u32,
        around: &mut Surroundings<'_>,
        now: Timestamp,
    ) {
        let mut coredns = self.coredns.take().unwrap_or_default();
        coredns.roll_out(template, replicas, &self.grounds(), around, now);
        self.coredns = Some(coredns);
    }

    /// How many seconds CoreDNS' pods take from their birth until all of them run.
    pub(super) fn coredns_start_seconds(&self, seed: Seed) -> f64 {
        let coredns = self.coredns.as_ref();
        coredns.map_or(0.0, |coredns| coredns.start_seconds(&self.grounds(), seed))
    }

    /// Deletes the pods of a profile; others are born in their place.
    pub(super) fn restart_pods_of(
        &mut self,
        profile: &str,
        around: &mut Surroundings<'_>,
        now: Timestamp,
    ) {
        let Some(mut coredns) = self.coredns.take() else {
            return;
        };
        coredns.restart_pods_of(profile, &self.grounds(), around, now);
        self.coredns = Some(coredns);
    }

    fn grounds(&self) -> Grounds<'_> {
        Grounds {
            cluster: &self.name,
            digits: &self.digits,
            profiles: &self.fargate_profiles,
            entries: &self.access_entries,
            authentication_mode: &self.authentication_mode,
            vpc: &self.vpc,
            version: &self.version,
        }
    }
}
