//! What Amazon GuardDuty puts into the VPC by itself: with runtime monitoring on, and an organization's
//! administrator may have it on everywhere, an endpoint for its agents and that endpoint's security group
//! (hashicorp/terraform-provider-aws issue 46747). It does not take them away, and they hold subnets and
//! VPC. They are AWS's, not somebody's: no teardown is refused because of them, and they go when the
//! cluster that they watched is gone. Before that GuardDuty would make them again.

use aws_sdk_ec2::types::{SecurityGroup, Tag, VpcEndpoint};

use crate::model::tags;

/// The tag with which GuardDuty marks what it makes; its value is `true`.
const TAG: &str = "GuardDutyManaged";
/// What the endpoint's service ends with, in every region.
const SERVICE_SUFFIX: &str = ".guardduty-data";
/// What the group's name begins with; the VPC's id follows.
const GROUP_PREFIX: &str = "GuardDutyManagedSecurityGroup-";

fn is_tagged(tags: &[Tag]) -> bool {
    tags::ec2_value(tags, TAG).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// Whether GuardDuty made the endpoint.
#[must_use]
pub fn is_endpoint(endpoint: &VpcEndpoint) -> bool {
    let service = endpoint.service_name().unwrap_or_default();
    service.ends_with(SERVICE_SUFFIX) && is_tagged(endpoint.tags())
}

/// Whether GuardDuty made the security group.
#[must_use]
pub fn is_group(group: &SecurityGroup) -> bool {
    let name = group.group_name().unwrap_or_default();
    name.starts_with(GROUP_PREFIX) && is_tagged(group.tags())
}
