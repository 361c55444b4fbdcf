//! Tags are the identity: what carries `hardway:cluster` and `hardway:role` is ours, and nothing else.
//!
//! Everything that can be tagged is tagged in the call that creates it.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_ec2::types::{Filter, ResourceType, Tag, TagSpecification};

use crate::contract::Error;
use crate::model::{Plan, Target};

/// Tag key: the cluster that the resource belongs to.
pub const CLUSTER: &str = "hardway:cluster";
/// Tag key: what the resource is for the cluster, for example `private-apne1-az1`.
pub const ROLE: &str = "hardway:role";
/// Tag key: what consoles show.
pub const NAME: &str = "Name";

/// Prefix of tag keys that only hardway sets.
pub const RESERVED_PREFIX: &str = "hardway:";

/// The tags of the resource with `role`: the user's, then hardway's own.
#[must_use]
pub fn of(plan: &Plan, role: &str) -> Vec<(String, String)> {
    of_target(&plan.target, &plan.tags, role)
}

/// The same before there is a plan: for a target and the user's tags.
#[must_use]
pub fn of_target(
    target: &Target,
    user_tags: &BTreeMap<String, String>,
    role: &str,
) -> Vec<(String, String)> {
    let cluster = &target.cluster_name;
    let own = [
        (NAME, format!("{cluster}/{role}")),
        (CLUSTER, cluster.clone()),
        (ROLE, role.to_owned()),
    ];
    user_tags
        .clone()
        .into_iter()
        .chain(own.map(|(key, value)| (key.to_owned(), value)))
        .collect()
}

/// The tags of [`of`] for an EC2 create call, and `extra` ones.
#[must_use]
pub fn ec2_specification(
    plan: &Plan,
    kind: ResourceType,
    role: &str,
    extra: &[(&str, &str)],
) -> TagSpecification {
    let tags = of(plan, role)
        .into_iter()
        .chain(
            extra
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned())),
        )
        .map(|(key, value)| Tag::builder().key(key).value(value).build());
    TagSpecification::builder()
        .resource_type(kind)
        .set_tags(Some(tags.collect()))
        .build()
}

/// EC2 filters that find what is ours, with any role.
#[must_use]
pub fn ec2_filters(target: &Target) -> Vec<Filter> {
    vec![ec2_filter(&format!("tag:{CLUSTER}"), &target.cluster_name)]
}

/// EC2 filters that find what is ours with `role`.
#[must_use]
pub fn ec2_filters_for(target: &Target, role: &str) -> Vec<Filter> {
    let mut filters = ec2_filters(target);
    filters.push(ec2_filter(&format!("tag:{ROLE}"), role));
    filters
}

/// An EC2 filter for one value.
#[must_use]
pub fn ec2_filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}

/// EC2 filters that find what is in a VPC.
#[must_use]
pub fn ec2_in_vpc(vpc_id: &str) -> Vec<Filter> {
    vec![ec2_filter("vpc-id", vpc_id)]
}

/// The value of a tag of an EC2 resource.
#[must_use]
pub fn ec2_value<'a>(tags: &'a [Tag], key: &str) -> Option<&'a str> {
    tags.iter()
        .find(|tag| tag.key() == Some(key))
        .and_then(Tag::value)
}

/// Whether an EC2 resource is ours, with any role.
#[must_use]
pub fn ec2_is_ours(tags: &[Tag], target: &Target) -> bool {
    ec2_value(tags, CLUSTER) == Some(&target.cluster_name)
}

/// Whether an EC2 resource is ours, for the role `role`.
#[must_use]
pub fn ec2_is(tags: &[Tag], target: &Target, role: &str) -> bool {
    ec2_is_ours(tags, target) && ec2_value(tags, ROLE) == Some(role)
}

/// The tags of [`of`] for a create call that takes a map (EKS, CloudWatch Logs).
#[must_use]
pub fn map(plan: &Plan, role: &str) -> HashMap<String, String> {
    of(plan, role).into_iter().collect()
}

/// The tags of [`of`] for an IAM create call.
///
/// # Errors
/// Never in practice: key and value are always set.
pub fn iam(plan: &Plan, role: &str) -> Result<Vec<aws_sdk_iam::types::Tag>, Error> {
    of(plan, role)
        .into_iter()
        .map(|(key, value)| {
            aws_sdk_iam::types::Tag::builder()
                .key(key)
                .value(value)
                .build()
                .map_err(|error| Error::Unexpected(error.to_string()))
        })
        .collect()
}

/// Whether a tag map (EKS, CloudWatch Logs) says that the resource belongs to the target's cluster.
#[must_use]
#[allow(clippy::implicit_hasher, reason = "it is the SDK's map")]
pub fn map_is_ours(tags: Option<&HashMap<String, String>>, target: &Target) -> bool {
    tags.and_then(|tags| tags.get(CLUSTER)) == Some(&target.cluster_name)
}

/// Whether IAM tags say that the role belongs to the target's cluster.
#[must_use]
pub fn iam_is_ours(tags: &[aws_sdk_iam::types::Tag], target: &Target) -> bool {
    tags.iter()
        .any(|tag| tag.key() == CLUSTER && tag.value() == target.cluster_name)
}

/// The error for `what` (for example `IAM role hardway-demo-cluster`), which has a name of ours
/// without being ours.
#[must_use]
pub fn not_ours(what: &str, target: &Target) -> Error {
    Error::ResourceConflict(format!(
        "{what} exists without the tag {CLUSTER}={}",
        target.cluster_name
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_tags_follow_the_users_tags() {
        let mut plan = Plan::example();
        plan.tags.insert("team".into(), "platform".into());
        let tags = of(&plan, "vpc");
        let pairs: Vec<_> = tags.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(
            pairs,
            [
                ("team", "platform"),
                ("Name", "demo/vpc"),
                ("hardway:cluster", "demo"),
                ("hardway:role", "vpc"),
            ]
        );
    }

    #[test]
    fn ownership_needs_cluster_and_role() {
        let target = Plan::example().target;
        let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
        let tags = [tag(CLUSTER, "demo"), tag(ROLE, "vpc")];
        assert!(ec2_is(&tags, &target, "vpc"));
        assert!(!ec2_is(&tags, &target, "internet-gateway"));
        assert!(!ec2_is(
            &[tag(CLUSTER, "other"), tag(ROLE, "vpc")],
            &target,
            "vpc"
        ));
        assert!(!ec2_is(&[], &target, "vpc"));
    }
}
