//! Eventual consistency of EC2: lists show late what is new, what was deleted, and tags that were changed.
//!
//! EC2 developer guide, eventual consistency: the result of a command may not be visible to all that
//! follow. Nothing of this happens unless [`Faults`](crate::Faults) says so.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::describe::Resource;
use super::request::Request;
use super::tags::Tags;
use super::{
    Address, CarrierGateway, Ec2, EgressOnlyInternetGateway, Instance, InternetGateway, NatGateway,
    NetworkAcl, NetworkInterface, RouteTable, SecurityGroup, Subnet, TransitGatewayAttachment, Vpc,
    VpcEndpoint, VpcPeeringConnection, VpnGateway,
};
use crate::faults::end_of_lag;

/// What lists do not know yet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct EventualConsistency {
    /// New ids that lists leave out, and until when.
    missing: BTreeMap<String, Timestamp>,
    /// Old tags by id, and until when they are shown.
    tags: BTreeMap<String, (Tags, Timestamp)>,
    /// Deleted ids that lists still have, and until when.
    remaining: BTreeMap<String, Timestamp>,
    remains: Remains,
}

/// What can be in a list.
pub(super) trait Listed: Resource + Clone {
    fn remains(remains: &Remains) -> &BTreeMap<String, Self>;
    fn set_tags(&mut self, tags: Tags);
}

macro_rules! kinds {
    ($($map:ident: $kind:ty),* $(,)?) => {
        /// Deleted resources as they were.
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        pub(super) struct Remains {
            $($map: BTreeMap<String, $kind>,)*
        }

        impl Remains {
            fn retain(&mut self, is_there: impl Fn(&String) -> bool) {
                $(self.$map.retain(|id, _| is_there(id));)*
            }
        }

        $(impl Listed for $kind {
            fn remains(remains: &Remains) -> &BTreeMap<String, Self> {
                &remains.$map
            }

            fn set_tags(&mut self, tags: Tags) {
                self.tags = tags;
            }
        })*

        impl EventualConsistency {
            /// Remembers in what the networking differs from what it was `before` the request.
            fn remember(&mut self, before: Ec2, after: &Ec2, request: &Request<'_>) {
                $(
                    self.remember_new(&before.$map, &after.$map, request);
                    for (id, resource) in before.$map {
                        if !after.$map.contains_key(&id) && !self.missing.contains_key(&id) {
                            self.remaining.insert(id.clone(), until(request, "deleted", &id));
                            self.remains.$map.insert(id, resource);
                        }
                    }
                )*
            }
        }
    };
}

kinds! {
    vpcs: Vpc,
    subnets: Subnet,
    internet_gateways: InternetGateway,
    addresses: Address,
    nat_gateways: NatGateway,
    route_tables: RouteTable,
    security_groups: SecurityGroup,
    network_interfaces: NetworkInterface,
    instances: Instance,
    vpc_peering_connections: VpcPeeringConnection,
    vpc_endpoints: VpcEndpoint,
    vpn_gateways: VpnGateway,
    egress_only_internet_gateways: EgressOnlyInternetGateway,
    network_acls: NetworkAcl,
    carrier_gateways: CarrierGateway,
    transit_gateway_attachments: TransitGatewayAttachment,
}

impl EventualConsistency {
    /// Forgets what everybody knows by `now`.
    pub(super) fn forget(&mut self, now: Timestamp) {
        self.missing.retain(|_, until| *until > now);
        self.tags.retain(|_, (_, until)| *until > now);
        self.remaining.retain(|_, until| *until > now);
        let remaining = &self.remaining;
        self.remains.retain(|id| remaining.contains_key(id));
    }

    /// New things, and new tags of old things.
    fn remember_new<R: Listed>(
        &mut self,
        before: &BTreeMap<String, R>,
        after: &BTreeMap<String, R>,
        request: &Request<'_>,
    ) {
        for (id, new) in after {
            match before.get(id) {
                None => {
                    let until = until(request, "listed", id);
                    self.missing.insert(id.clone(), until);
                }
                Some(old) if old.tags() != new.tags() && !self.tags.contains_key(id) => {
                    let until = until(request, "tagged", &format!("{id}/{}", request.now));
                    self.tags.insert(id.clone(), (old.tags().clone(), until));
                }
                Some(_) => {}
            }
        }
    }
}

fn until(request: &Request<'_>, what: &str, key: &str) -> Timestamp {
    let seconds = request.faults.ec2_list_lag_seconds;
    end_of_lag(request.seed, request.now, seconds, what, key)
}

impl Ec2 {
    /// Does the work of a request, and lets lists lag behind it.
    pub(super) fn eventually_consistent<R>(
        &mut self,
        request: &Request<'_>,
        work: impl FnOnce(&mut Self) -> R,
    ) -> R {
        if request.faults.ec2_list_lag_seconds <= 0.0 {
            return work(self);
        }
        let before = self.clone();
        let answer = work(self);
        let mut consistency = std::mem::take(&mut self.eventual_consistency);
        consistency.remember(before, self, request);
        self.eventual_consistency = consistency;
        answer
    }

    /// Whether lists leave the id out although it exists.
    pub(super) fn is_missing_in_lists(&self, id: &str) -> bool {
        self.eventual_consistency.missing.contains_key(id)
    }

    /// Resources as lists have them: with what was deleted, and with old tags.
    pub(super) fn as_listed<'a, R: Listed>(
        &self,
        all: &'a BTreeMap<String, R>,
    ) -> Cow<'a, BTreeMap<String, R>> {
        let remains = R::remains(&self.eventual_consistency.remains);
        if remains.is_empty() && self.eventual_consistency.tags.is_empty() {
            return Cow::Borrowed(all);
        }
        let mut listed = all.clone();
        listed.extend(remains.iter().map(|(id, it)| (id.clone(), it.clone())));
        for (id, (tags, _)) in &self.eventual_consistency.tags {
            if let Some(resource) = listed.get_mut(id) {
                resource.set_tags(tags.clone());
            }
        }
        Cow::Owned(listed)
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{Filter, Tag};

    use crate::Seed;
    use crate::ec2::tags::Tags;
    use crate::ec2::testing::{World, code, wait};

    const LAG: u64 = 30;

    fn with_lag() -> World {
        let world = World::new();
        #[allow(clippy::cast_precision_loss, reason = "it is small")]
        world
            .simulator
            .change(|state| state.faults.ec2_list_lag_seconds = LAG as f64);
        world
    }

    async fn listed(world: &World) -> usize {
        let found = world.ec2.describe_vpcs().send().await.unwrap();
        found.vpcs().len()
    }

    async fn tagged(world: &World) -> usize {
        let filter = Filter::builder().name("tag-key").values("team").build();
        let found = world.ec2.describe_vpcs().filters(filter).send().await;
        found.unwrap().vpcs().len()
    }

    #[tokio::test(start_paused = true)]
    async fn new_things_are_missing_in_lists_but_known_by_their_id() {
        let world = with_lag();
        let vpc = world.vpc().await;
        assert_eq!(listed(&world).await, 0);
        let by_id = world.ec2.describe_vpcs().vpc_ids(&vpc).send().await;
        assert_eq!(by_id.unwrap().vpcs().len(), 1);
        world.subnet(&vpc, "10.0.0.0/24").await;
        wait(LAG).await;
        assert_eq!(listed(&world).await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn deleted_things_are_still_listed_but_gone_for_everything_else() {
        let world = with_lag();
        let vpc = world.vpc().await;
        wait(LAG).await;
        let delete = || world.ec2.delete_vpc().vpc_id(&vpc).send();
        delete().await.unwrap();
        assert_eq!(listed(&world).await, 1);
        assert_eq!(code(delete().await), "InvalidVpcID.NotFound");
        wait(LAG).await;
        assert_eq!(listed(&world).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn things_that_nobody_saw_are_not_listed_when_they_are_gone() {
        let world = with_lag();
        let vpc = world.vpc().await;
        world.ec2.delete_vpc().vpc_id(&vpc).send().await.unwrap();
        assert_eq!(listed(&world).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn new_tags_are_not_found_at_once() {
        let world = with_lag();
        let vpc = world.vpc().await;
        wait(LAG).await;
        let tag = Tag::builder().key("team").value("a").build();
        let call = world.ec2.create_tags().resources(&vpc).tags(tag);
        call.send().await.unwrap();
        assert_eq!(tagged(&world).await, 0);
        wait(LAG).await;
        assert_eq!(tagged(&world).await, 1);
    }

    async fn described_tags(world: &World) -> Vec<String> {
        let found = world.ec2.describe_tags().send().await.unwrap();
        let tags = found.tags().iter().filter_map(|tag| tag.value.clone());
        tags.collect()
    }

    #[tokio::test(start_paused = true)]
    async fn tags_are_described_as_late_as_their_resources_are_listed() {
        let world = with_lag();
        let vpc = world.vpc().await;
        let set = |value: &str| {
            let tag = Tag::builder().key("team").value(value).build();
            world.ec2.create_tags().resources(&vpc).tags(tag).send()
        };
        set("a").await.unwrap();
        assert!(described_tags(&world).await.is_empty());
        wait(LAG).await;
        set("b").await.unwrap();
        assert_eq!(described_tags(&world).await, ["a"]);
        wait(LAG).await;
        assert_eq!(described_tags(&world).await, ["b"]);
        world.ec2.delete_vpc().vpc_id(&vpc).send().await.unwrap();
        assert_eq!(described_tags(&world).await, ["b"]);
        wait(LAG).await;
        assert!(described_tags(&world).await.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn new_tags_of_what_others_made_are_not_found_at_once() {
        let world = with_lag();
        let vpc = world.vpc().await;
        let mut id = String::new();
        world.change(|ec2| id = ec2.add_vpn_gateway(Seed(1), &vpc, Tags::new()));
        let tag = Tag::builder().key("team").value("a").build();
        let call = world.ec2.create_tags().resources(&id).tags(tag);
        call.send().await.unwrap();
        let found = || async {
            let filter = Filter::builder().name("tag-key").values("team").build();
            let call = world.ec2.describe_vpn_gateways().filters(filter);
            call.send().await.unwrap().vpn_gateways().len()
        };
        assert_eq!(found().await, 0);
        wait(LAG).await;
        assert_eq!(found().await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn released_addresses_are_still_listed() {
        let world = with_lag();
        let id = world.address().await;
        wait(LAG).await;
        let call = world.ec2.release_address().allocation_id(&id).send();
        call.await.unwrap();
        let listed = || async {
            let call = world.ec2.describe_addresses().send().await.unwrap();
            call.addresses().len()
        };
        assert_eq!(listed().await, 1);
        wait(LAG).await;
        assert_eq!(listed().await, 0);
    }
}
