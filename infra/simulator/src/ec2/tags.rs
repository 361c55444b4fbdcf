//! Tags.

use std::collections::BTreeMap;

use super::Ec2;
use super::kind::{self, Kind};
use super::request::{Request, invalid_value};
use super::yes;
use crate::api_error::ApiError;
use crate::params::Params;
use crate::xml::Element;

/// Tags by key.
pub type Tags = BTreeMap<String, String>;

/// botocore's EC2 model, CreateTags and Tag.
const TAGS_MAX: usize = 50;
const KEY_MAX: usize = 127;
const VALUE_MAX: usize = 256;
/// Keys that only AWS sets; such tags do not count against the quota (EC2 user guide, tag
/// restrictions).
const RESERVED_PREFIX: &str = "aws:";

/// Refuses tags of nothing, before anything is looked up (moto's test_ec2_validate_subnet_tags, made
/// after AWS's answer).
pub(super) fn check_specifications(request: &Request<'_>) -> Result<(), ApiError> {
    let mut all = request.params.structures("TagSpecification").into_iter();
    if all.all(|specification| specification.get("ResourceType").is_some()) {
        return Ok(());
    }
    let message = "Tag specification resource type must have a value";
    Err(ApiError::client("InvalidParameter", message))
}

/// The tags that a create call gives to the new resource of `kind`.
///
/// # Errors
/// `InvalidParameterValue` for another kind of resource and for tags that break the rules,
/// `TagLimitExceeded`.
pub(super) fn of_new(request: &Request<'_>, kind: &Kind) -> Result<Tags, ApiError> {
    check_specifications(request)?;
    let mut tags = Tags::new();
    for specification in request.params.structures("TagSpecification") {
        let tag_type = specification.require("ResourceType")?;
        if tag_type != kind.tag_type {
            let message =
                format!("'{tag_type}' is not a valid taggable resource type for this operation.");
            return Err(ApiError::client("InvalidParameterValue", message));
        }
        for (key, value) in read(&specification)? {
            if tags.insert(key.clone(), value).is_some() {
                return Err(duplicate(&key));
            }
        }
    }
    check_count(&tags)?;
    Ok(tags)
}

/// `CreateTags`: all of them on all of the resources, or nothing.
pub(super) fn create(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let ids = resources(request)?;
    let new = read(request.params)?;
    if new.is_empty() {
        request.params.require("Tag.1.Key")?;
    }
    let mut changed = Vec::new();
    for id in ids {
        let mut tags = tags_of(ec2, id)?.clone();
        tags.extend(new.clone());
        check_count(&tags)?;
        changed.push((id, tags));
    }
    for (id, tags) in changed {
        *tags_of(ec2, id)? = tags;
    }
    Ok(yes())
}

/// `DeleteTags`. botocore's EC2 model: with a value only a tag that has that value, an empty one
/// included; without any tags all of the user's.
pub(super) fn delete(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let doomed = request.params.structures("Tag");
    let is_doomed = |key: &str, value: &str| {
        let named = doomed.iter().any(|tag| {
            tag.get("Key") == Some(key) && tag.get("Value").is_none_or(|wanted| wanted == value)
        });
        !key.starts_with(RESERVED_PREFIX) && (doomed.is_empty() || named)
    };
    let ids = resources(request)?;
    for id in &ids {
        tags_of(ec2, id)?;
    }
    for id in ids {
        tags_of(ec2, id)?.retain(|key, value| !is_doomed(key, value));
    }
    Ok(yes())
}

impl Ec2 {
    /// The tags of what has the id.
    pub(crate) fn tags(&mut self, id: &str) -> Option<&Tags> {
        tags_of(self, id).ok().map(|tags| &*tags)
    }
}

/// The element of a resource's tags.
pub(super) fn element(tags: &Tags) -> Element {
    named_element("tagSet", tags)
}

/// The same with a name of its own.
pub(super) fn named_element(name: &str, tags: &Tags) -> Element {
    let items = tags
        .iter()
        .map(|(key, value)| vec![Element::text("key", key), Element::text("value", value)]);
    Element::list(name, "item", items)
}

fn resources<'a>(request: &'a Request<'_>) -> Result<Vec<&'a str>, ApiError> {
    request.params.require("ResourceId.1")?;
    Ok(request.params.list("ResourceId"))
}

fn read(params: &Params) -> Result<Vec<(String, String)>, ApiError> {
    let mut tags: Vec<(String, String)> = Vec::new();
    for tag in params.structures("Tag") {
        let key = tag.require("Key")?;
        let value = tag.get("Value").unwrap_or_default();
        check(key, value)?;
        if tags.iter().any(|(earlier, _)| earlier == key) {
            return Err(duplicate(key));
        }
        tags.push((key.to_owned(), value.to_owned()));
    }
    Ok(tags)
}

fn check(key: &str, value: &str) -> Result<(), ApiError> {
    if key.to_ascii_lowercase().starts_with(RESERVED_PREFIX) {
        let message = "Tag keys starting with 'aws:' are reserved for internal use";
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    if key.is_empty() || key.chars().count() > KEY_MAX {
        let why = format!("Tag keys have 1 to {KEY_MAX} characters.");
        return Err(invalid_value("tagKey", key, &why));
    }
    if value.chars().count() > VALUE_MAX {
        let why = format!("Tag values have at most {VALUE_MAX} characters.");
        return Err(invalid_value("tagValue", value, &why));
    }
    Ok(())
}

fn check_count(tags: &Tags) -> Result<(), ApiError> {
    let own = tags.keys().filter(|key| !key.starts_with(RESERVED_PREFIX));
    if own.count() <= TAGS_MAX {
        return Ok(());
    }
    let message = format!("A resource can have at most {TAGS_MAX} tags.");
    Err(ApiError::client("TagLimitExceeded", message))
}

fn duplicate(key: &str) -> ApiError {
    let message = format!("Duplicate tag key '{key}' specified.");
    ApiError::client("InvalidParameterValue", message)
}

fn tags_of<'a>(ec2: &'a mut Ec2, id: &str) -> Result<&'a mut Tags, ApiError> {
    let prefix = id.rsplit_once('-').map_or(id, |(prefix, _)| prefix);
    let is_hidden = ec2.is_hidden(id);
    macro_rules! find {
        ($kind:expr, $map:ident) => {{
            $kind.check_form(id)?;
            let found = ec2.$map.get_mut(id).filter(|_| !is_hidden);
            found
                .map(|resource| &mut resource.tags)
                .ok_or_else(|| $kind.missing(id))
        }};
    }
    match prefix {
        "vpc" => find!(kind::VPC, vpcs),
        "subnet" => find!(kind::SUBNET, subnets),
        "igw" => find!(kind::INTERNET_GATEWAY, internet_gateways),
        "eipalloc" => find!(kind::ADDRESS, addresses),
        "nat" => find!(kind::NAT_GATEWAY, nat_gateways),
        "rtb" => find!(kind::ROUTE_TABLE, route_tables),
        "sg" => find!(kind::SECURITY_GROUP, security_groups),
        "eni" => find!(kind::NETWORK_INTERFACE, network_interfaces),
        "i" => find!(kind::INSTANCE, instances),
        "pcx" => find!(kind::VPC_PEERING_CONNECTION, vpc_peering_connections),
        "vpce" => find!(kind::VPC_ENDPOINT, vpc_endpoints),
        "vgw" => find!(kind::VPN_GATEWAY, vpn_gateways),
        "eigw" => find!(
            kind::EGRESS_ONLY_INTERNET_GATEWAY,
            egress_only_internet_gateways
        ),
        "acl" => find!(kind::NETWORK_ACL, network_acls),
        "cagw" => find!(kind::CARRIER_GATEWAY, carrier_gateways),
        "tgw-attach" => find!(
            kind::TRANSIT_GATEWAY_ATTACHMENT,
            transit_gateway_attachments
        ),
        _ => {
            let message = format!("The ID '{id}' is not valid");
            Err(ApiError::client("InvalidID", message))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::ec2::testing::{World, code, tag};

    #[tokio::test(start_paused = true)]
    async fn tags_are_added_overwritten_and_deleted() {
        let world = World::new();
        let vpc = world.vpc().await;
        let create = |key: &str, value: &str| {
            let call = world.ec2.create_tags().resources(&vpc);
            call.tags(tag(key, value)).send()
        };
        let tags = || world.read(|ec2| ec2.vpcs[&vpc].tags.clone());
        create("a", "1").await.unwrap();
        create("b", "1").await.unwrap();
        create("a", "2").await.unwrap();
        assert_eq!(tags()["a"], "2");
        let delete = |tag| world.ec2.delete_tags().resources(&vpc).tags(tag).send();
        delete(tag("a", "other")).await.unwrap();
        assert_eq!(tags().len(), 2);
        delete(tag("a", "2")).await.unwrap();
        let any_value = aws_sdk_ec2::types::Tag::builder().key("b").build();
        delete(any_value).await.unwrap();
        assert!(tags().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn refuses_reserved_doubled_and_too_many_tags() {
        let world = World::new();
        let vpc = world.vpc().await;
        let create = || world.ec2.create_tags().resources(&vpc);
        let reserved = create().tags(tag("aws:x", "1")).send().await;
        assert_eq!(code(reserved), "InvalidParameterValue");
        let doubled = create().tags(tag("a", "1")).tags(tag("a", "2"));
        assert_eq!(code(doubled.send().await), "InvalidParameterValue");
        let long = create().tags(tag(&"k".repeat(128), "1")).send().await;
        assert_eq!(code(long), "InvalidParameterValue");
        let long = create().tags(tag("k", &"v".repeat(257))).send().await;
        assert_eq!(code(long), "InvalidParameterValue");
        let many = (0..50).map(|n| tag(&n.to_string(), "")).collect();
        create().set_tags(Some(many)).send().await.unwrap();
        let more = create().tags(tag("one-more", "")).send().await;
        assert_eq!(code(more), "TagLimitExceeded");
        create().tags(tag("0", "changed")).send().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_missing_resource_has_the_code_of_its_kind_and_nothing_is_tagged() {
        let world = World::new();
        let vpc = world.vpc().await;
        for (id, expected) in [
            ("vpc-0123456789abcdef0", "InvalidVpcID.NotFound"),
            ("subnet-0123456789abcdef0", "InvalidSubnetID.NotFound"),
            ("igw-0123456789abcdef0", "InvalidInternetGatewayID.NotFound"),
            ("eipalloc-0123456789abcdef0", "InvalidAllocationID.NotFound"),
            ("nat-0123456789abcdef0", "NatGatewayNotFound"),
            ("rtb-0123456789abcdef0", "InvalidRouteTableID.NotFound"),
            ("sg-0123456789abcdef0", "InvalidGroup.NotFound"),
            (
                "eni-0123456789abcdef0",
                "InvalidNetworkInterfaceID.NotFound",
            ),
            ("i-0123456789abcdef0", "InvalidInstanceID.NotFound"),
            (
                "pcx-0123456789abcdef0",
                "InvalidVpcPeeringConnectionID.NotFound",
            ),
            ("vpce-0123456789abcdef0", "InvalidVpcEndpointId.NotFound"),
            ("vgw-0123456789abcdef0", "InvalidVpnGatewayID.NotFound"),
            ("eigw-0123456789abcdef0", "InvalidGatewayID.NotFound"),
            ("bucket", "InvalidID"),
        ] {
            let call = world.ec2.create_tags().resources(&vpc).resources(id);
            assert_eq!(code(call.tags(tag("a", "1")).send().await), expected);
        }
        assert!(world.read(|ec2| ec2.vpcs[&vpc].tags.is_empty()));
    }
}
