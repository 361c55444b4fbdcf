//! The deployment of CoreDNS and its pods.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::NAMESPACE;
use super::grounds::Grounds;
use super::pod::PodState;
use super::template::Template;
use crate::eks::Surroundings;
use crate::seed::Seed;

/// The deployment of CoreDNS.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    /// How many pods there should be.
    pub replicas: u32,
    /// What the pods are like.
    pub template: Template,
    /// How many times the template has changed.
    pub rollout: u32,
    /// The pods; those of an earlier rollout run until all of the new ones do.
    pub pods: Vec<PodState>,
    /// How many pods there ever were.
    births: u32,
}

impl Deployment {
    /// Whether all pods that there should be run.
    #[must_use]
    pub fn is_running(&self) -> bool {
        let current = self.pods.iter().filter(|pod| pod.rollout == self.rollout);
        current.filter(|pod| pod.is_running()).count() >= self.replicas as usize
    }

    /// Whether a Fargate profile has taken any of the pods.
    #[must_use]
    pub fn has_nodes(&self) -> bool {
        self.pods.iter().any(|pod| pod.profile.is_some())
    }

    /// The network interfaces of the pods.
    pub fn interfaces(&self) -> impl Iterator<Item = &String> {
        let places = self.pods.iter().filter_map(|pod| pod.place.as_ref());
        places.map(|place| &place.interface_id)
    }

    /// When pods will run.
    pub fn moments(&self) -> impl Iterator<Item = Timestamp> {
        let waiting = self.pods.iter().filter(|pod| !pod.is_running());
        waiting.filter_map(|pod| pod.ready_at)
    }

    /// How many seconds the current pods take from their birth until all of them run.
    #[must_use]
    pub fn start_seconds(&self, grounds: &Grounds<'_>, seed: Seed) -> f64 {
        let current = self.pods.iter().filter(|pod| pod.rollout == self.rollout);
        let seconds = current.map(|pod| grounds.start(seed, pod.number).as_secs_f64());
        seconds.fold(0.0, f64::max)
    }

    /// Gives the deployment a template and a number of pods. Another template makes new pods; the old
    /// ones that run do so until the new ones run.
    pub fn roll_out(
        &mut self,
        template: Template,
        replicas: u32,
        grounds: &Grounds<'_>,
        around: &mut Surroundings<'_>,
        now: Timestamp,
    ) {
        let is_same = self.rollout > 0 && self.template.text == template.text;
        self.template = template;
        self.replicas = replicas;
        if !is_same {
            self.rollout += 1;
            self.remove(around, now, |pod| !pod.is_running());
        }
        let rollout = self.rollout;
        let current = |pod: &&PodState| pod.rollout == rollout;
        let mut surplus = self.pods.iter().filter(current).count();
        self.remove(around, now, |pod| {
            let goes = pod.rollout == rollout && surplus > replicas as usize;
            surplus -= usize::from(goes);
            goes
        });
        let missing = (replicas as usize).saturating_sub(surplus);
        for _ in 0..missing {
            self.give_birth(grounds, around.seed, now);
        }
        self.step(grounds, around, now);
    }

    /// Deletes the pods of a profile, which keep their interfaces until the profile is gone; others are
    /// born in their place.
    pub fn restart_pods_of(
        &mut self,
        profile: &str,
        grounds: &Grounds<'_>,
        around: &mut Surroundings<'_>,
        now: Timestamp,
    ) {
        let before = self.pods.len();
        let gone_at = (grounds.profiles.get(profile)).and_then(|profile| profile.gone_at);
        let end = gone_at.unwrap_or(now);
        self.remove(around, end, |pod| pod.profile.as_deref() == Some(profile));
        for _ in self.pods.len()..before {
            self.give_birth(grounds, around.seed, now);
        }
        self.step(grounds, around, now);
    }

    /// Removes pods; what they had on the network goes after `end`.
    fn remove(
        &mut self,
        around: &mut Surroundings<'_>,
        end: Timestamp,
        mut goes: impl FnMut(&PodState) -> bool,
    ) {
        let (gone, stay): (Vec<_>, Vec<_>) = self.pods.drain(..).partition(|pod| goes(pod));
        self.pods = stay;
        let places = gone.iter().filter_map(|pod| pod.place.as_ref());
        around.end_pods(places.map(|place| &place.interface_id), end);
    }

    /// A new pod. What it runs on is decided now, and never again (pulumi/pulumi-eks issue 1030).
    fn give_birth(&mut self, grounds: &Grounds<'_>, seed: Seed, now: Timestamp) {
        let number = self.births;
        self.births += 1;
        let key = format!("{}/{}", grounds.cluster, grounds.digits);
        let set = seed.hex("replica-set", &format!("{key}/{}", self.template.text), 9);
        let own = seed.hex("pod", &format!("{key}/{number}"), 5);
        let mut profiles = grounds.profiles.values();
        let labels = &self.template.labels;
        let profile = profiles.find(|profile| profile.takes(NAMESPACE, labels, now));
        let profile = profile.filter(|_| self.template.is_for_fargate && self.template.fits());
        self.pods.push(PodState {
            name: format!("coredns-{set}-{own}"),
            rollout: self.rollout,
            number,
            born_at: now,
            kubernetes: grounds.version.to_owned(),
            profile: profile.map(|profile| profile.name.clone()),
            place: None,
            ready_at: None,
            node: None,
        });
    }

    /// Brings the pods to what they are at `at`.
    pub fn step(&mut self, grounds: &Grounds<'_>, around: &mut Surroundings<'_>, at: Timestamp) {
        for index in 0..self.pods.len() {
            let Some(pod) = self.pods.get_mut(index) else {
                break;
            };
            let Some(ready_at) = pod.advance(grounds, around, at) else {
                continue;
            };
            if at < ready_at {
                continue;
            }
            // Two nodes cannot have one name: without DNS hostnames the first pod wins.
            let name = pod.node_name(grounds, around);
            let is_taken = self
                .pods
                .iter()
                .any(|pod| pod.node.is_some() && pod.node == name);
            if let Some(pod) = self.pods.get_mut(index).filter(|_| !is_taken) {
                pod.node = name;
            }
        }
        if self.is_running() {
            let rollout = self.rollout;
            self.remove(around, at, |pod| pod.rollout != rollout);
        }
    }
}
