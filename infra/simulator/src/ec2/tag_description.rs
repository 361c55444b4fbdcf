//! `DescribeTags`: the tags of everything, one by one.

use std::collections::BTreeMap;

use super::Ec2;
use super::describe::{Resource, Spelling, describe_listed};
use super::eventual_consistency::Listed;
use super::kind::Kind;
use super::request::Request;
use super::tags::Tags;
use crate::api_error::ApiError;
use crate::xml::Element;

/// One tag of one resource.
struct TagDescription {
    resource_id: String,
    resource_type: &'static str,
    /// The tag alone.
    tag: Tags,
}

/// `DescribeTags`. Tags go with their resource, and stay for as long as that is still described: those of
/// NAT gateways for about an hour after their deletion (VPC user guide, NAT gateways), those of
/// terminated instances, too.
pub(super) fn describe(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    check_filters(request)?;
    let spelling = Spelling {
        // Only filters choose.
        ids: "",
        set: "tagSet",
        page_limit: Some(1000),
    };
    describe_listed(ec2, request, &all(ec2), &spelling)
}

/// Other resources are filtered by `tag-key`, tags by `key` (botocore's EC2 model).
fn check_filters(request: &Request<'_>) -> Result<(), ApiError> {
    let filters = request.params.structures("Filter");
    let mut names = filters.iter().filter_map(|filter| filter.get("Name"));
    if names.any(|name| name == "tag-key") {
        let message = "The filter 'tag-key' is invalid";
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    Ok(())
}

/// All tags that lists know, by the id of their resource and their key.
fn all(ec2: &Ec2) -> BTreeMap<String, TagDescription> {
    let mut all = BTreeMap::new();
    add(ec2, &ec2.vpcs, &mut all);
    add(ec2, &ec2.subnets, &mut all);
    add(ec2, &ec2.internet_gateways, &mut all);
    add(ec2, &ec2.addresses, &mut all);
    add(ec2, &ec2.nat_gateways, &mut all);
    add(ec2, &ec2.route_tables, &mut all);
    add(ec2, &ec2.security_groups, &mut all);
    add(ec2, &ec2.network_interfaces, &mut all);
    add(ec2, &ec2.instances, &mut all);
    add(ec2, &ec2.vpc_peering_connections, &mut all);
    add(ec2, &ec2.vpc_endpoints, &mut all);
    add(ec2, &ec2.vpn_gateways, &mut all);
    add(ec2, &ec2.egress_only_internet_gateways, &mut all);
    add(ec2, &ec2.network_acls, &mut all);
    add(ec2, &ec2.carrier_gateways, &mut all);
    add(ec2, &ec2.transit_gateway_attachments, &mut all);
    all
}

fn add<R: Listed>(
    ec2: &Ec2,
    resources: &BTreeMap<String, R>,
    all: &mut BTreeMap<String, TagDescription>,
) {
    let listed = ec2.as_listed(resources);
    let is_known = |id: &String| !ec2.is_hidden(id) && !ec2.is_missing_in_lists(id);
    for (id, resource) in listed.iter().filter(|(id, _)| is_known(id)) {
        for (key, value) in resource.tags() {
            let description = TagDescription {
                resource_id: id.clone(),
                resource_type: R::KIND.tag_type,
                tag: Tags::from([(key.clone(), value.clone())]),
            };
            all.insert(format!("{id}/{key}"), description);
        }
    }
}

impl Resource for TagDescription {
    /// A tag has no id, and nothing asks for it by one.
    const KIND: Kind = Kind {
        prefix: "",
        tag_type: "",
        not_found: "InvalidID",
        malformed: "InvalidID",
        noun: "tag",
    };
    const FILTERS: &'static [&'static str] = &["key", "resource-id", "resource-type", "value"];

    fn tags(&self) -> &Tags {
        &self.tag
    }

    fn attribute(&self, name: &str, _: &Ec2, _: &Request<'_>) -> Vec<String> {
        match name {
            "key" => self.tag.keys().cloned().collect(),
            "resource-id" => vec![self.resource_id.clone()],
            "resource-type" => vec![self.resource_type.to_owned()],
            "value" => self.tag.values().cloned().collect(),
            _ => Vec::new(),
        }
    }

    fn content(&self, _: &Ec2, _: &Request<'_>) -> Vec<Element> {
        let mut content = vec![
            Element::text("resourceId", &self.resource_id),
            Element::text("resourceType", self.resource_type),
        ];
        for (key, value) in &self.tag {
            content.extend([Element::text("key", key), Element::text("value", value)]);
        }
        content
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{Filter, ResourceType, TagDescription};

    use crate::ec2::testing::{World, code, tag, wait};

    fn filter(name: &str, value: &str) -> Filter {
        Filter::builder().name(name).values(value).build()
    }

    async fn set(world: &World, id: &str, key: &str, value: &str) {
        let call = world.ec2.create_tags().resources(id);
        call.tags(tag(key, value)).send().await.unwrap();
    }

    async fn find(world: &World, name: &str, value: &str) -> Vec<TagDescription> {
        let call = world.ec2.describe_tags().filters(filter(name, value));
        call.send().await.unwrap().tags.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn tags_are_found_by_key_value_and_resource() {
        let world = World::new();
        let vpc = world.vpc().await;
        let subnet = world.subnet(&vpc, "10.0.0.0/24").await;
        set(&world, &vpc, "team", "web").await;
        set(&world, &vpc, "stage", "test").await;
        set(&world, &subnet, "team", "web").await;
        for (name, value, count) in [
            ("key", "team", 2),
            ("value", "test", 1),
            ("resource-id", vpc.as_str(), 2),
            ("resource-type", "subnet", 1),
            ("tag:team", "web", 2),
            ("tag:team", "test", 0),
            ("key", "t?am", 2),
        ] {
            assert_eq!(find(&world, name, value).await.len(), count, "{name}");
        }
        let found = find(&world, "resource-type", "subnet").await.remove(0);
        assert_eq!(found.resource_id.as_ref(), Some(&subnet));
        assert_eq!(found.resource_type, Some(ResourceType::Subnet));
        assert_eq!(found.key.as_deref(), Some("team"));
        assert_eq!(found.value.as_deref(), Some("web"));
        let call = world.ec2.describe_tags();
        let call = call.filters(filter("tag-key", "team")).send().await;
        assert_eq!(code(call), "InvalidParameterValue");
    }

    #[tokio::test(start_paused = true)]
    async fn everything_that_is_tagged_has_its_type() {
        let world = World::new();
        let network = world.network().await;
        for (id, expected) in [
            (&network.vpc, "vpc"),
            (&network.public, "subnet"),
            (&network.internet_gateway, "internet-gateway"),
            (&network.allocation, "elastic-ip"),
            (&network.nat_gateway, "natgateway"),
            (&network.private_routes, "route-table"),
        ] {
            set(&world, id, "team", "web").await;
            let found = find(&world, "resource-id", id).await.remove(0);
            let kind = found.resource_type.unwrap();
            assert_eq!(kind.as_str(), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn tags_of_a_deleted_nat_gateway_are_remembered_with_it() {
        let world = World::new();
        let network = world.network().await;
        set(&world, &network.nat_gateway, "team", "web").await;
        let call = world.ec2.delete_nat_gateway();
        let call = call.nat_gateway_id(&network.nat_gateway).send().await;
        call.unwrap();
        wait(95).await;
        assert_eq!(find(&world, "key", "team").await.len(), 1);
        wait(3600).await;
        assert!(find(&world, "key", "team").await.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn tags_of_a_deleted_vpc_go_with_it() {
        let world = World::new();
        let vpc = world.vpc().await;
        set(&world, &vpc, "team", "web").await;
        world.ec2.delete_vpc().vpc_id(&vpc).send().await.unwrap();
        assert!(find(&world, "key", "team").await.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn pages_add_up_to_everything_once() {
        let world = World::new();
        let vpc = world.vpc().await;
        for n in 10..22 {
            set(&world, &vpc, &format!("key-{n}"), "").await;
        }
        let pages = world.ec2.describe_tags().max_results(5).into_paginator();
        let mut pages = pages.send();
        let (mut keys, mut sizes) = (Vec::new(), Vec::new());
        while let Some(page) = pages.next().await {
            let tags = page.unwrap().tags.unwrap();
            sizes.push(tags.len());
            keys.extend(tags.into_iter().filter_map(|tag| tag.key));
        }
        assert_eq!(sizes, [5, 5, 2]);
        let expected: Vec<String> = (10..22).map(|n| format!("key-{n}")).collect();
        assert_eq!(keys, expected);
        let call = world.ec2.describe_tags().max_results(4).send().await;
        assert_eq!(code(call), "InvalidParameterValue");
    }
}
