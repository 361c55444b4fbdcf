//! Which operation a call is for.

use http::Method;

use super::{
    Operation, access_entry, access_policy, addon, capability, cluster, fargate_profile, insight,
    node_group, tag, update, version,
};

/// All operations: names, methods and paths (botocore's EKS model). In a path `*` is any segment, and
/// `**` any rest.
const OPERATIONS: &[(&str, &str, Operation)] = &[
    ("CreateCluster", "POST /clusters", cluster::create),
    ("ListClusters", "GET /clusters", cluster::list),
    ("DescribeCluster", "GET /clusters/*", cluster::describe),
    ("DeleteCluster", "DELETE /clusters/*", cluster::delete),
    (
        "DescribeClusterVersions",
        "GET /cluster-versions",
        version::describe,
    ),
    (
        "UpdateClusterConfig",
        "POST /clusters/*/update-config",
        update::start,
    ),
    (
        "UpdateClusterVersion",
        "POST /clusters/*/updates",
        update::start_version,
    ),
    ("ListUpdates", "GET /clusters/*/updates", update::list),
    (
        "DescribeUpdate",
        "GET /clusters/*/updates/*",
        update::describe,
    ),
    ("ListInsights", "POST /clusters/*/insights", insight::list),
    (
        "DescribeInsight",
        "GET /clusters/*/insights/*",
        insight::describe,
    ),
    (
        "CreateFargateProfile",
        "POST /clusters/*/fargate-profiles",
        fargate_profile::create,
    ),
    (
        "ListFargateProfiles",
        "GET /clusters/*/fargate-profiles",
        fargate_profile::list,
    ),
    (
        "DescribeFargateProfile",
        "GET /clusters/*/fargate-profiles/*",
        fargate_profile::describe,
    ),
    (
        "DeleteFargateProfile",
        "DELETE /clusters/*/fargate-profiles/*",
        fargate_profile::delete,
    ),
    (
        "ListNodegroups",
        "GET /clusters/*/node-groups",
        node_group::list,
    ),
    (
        "ListCapabilities",
        "GET /clusters/*/capabilities",
        capability::list,
    ),
    (
        "DescribeAddonVersions",
        "GET /addons/supported-versions",
        addon::versions,
    ),
    (
        "DescribeAddonConfiguration",
        "GET /addons/configuration-schemas",
        addon::configuration,
    ),
    ("CreateAddon", "POST /clusters/*/addons", addon::create),
    ("ListAddons", "GET /clusters/*/addons", addon::list),
    ("DescribeAddon", "GET /clusters/*/addons/*", addon::describe),
    (
        "UpdateAddon",
        "POST /clusters/*/addons/*/update",
        addon::update,
    ),
    ("DeleteAddon", "DELETE /clusters/*/addons/*", addon::delete),
    (
        "CreateAccessEntry",
        "POST /clusters/*/access-entries",
        access_entry::create,
    ),
    (
        "ListAccessEntries",
        "GET /clusters/*/access-entries",
        access_entry::list,
    ),
    (
        "DescribeAccessEntry",
        "GET /clusters/*/access-entries/*",
        access_entry::describe,
    ),
    (
        "DeleteAccessEntry",
        "DELETE /clusters/*/access-entries/*",
        access_entry::delete,
    ),
    (
        "AssociateAccessPolicy",
        "POST /clusters/*/access-entries/*/access-policies",
        access_policy::associate,
    ),
    (
        "ListAssociatedAccessPolicies",
        "GET /clusters/*/access-entries/*/access-policies",
        access_policy::list_associated,
    ),
    (
        "DisassociateAccessPolicy",
        "DELETE /clusters/*/access-entries/*/access-policies/*",
        access_policy::disassociate,
    ),
    (
        "ListAccessPolicies",
        "GET /access-policies",
        access_policy::list,
    ),
    ("TagResource", "POST /tags/**", tag::tag),
    ("UntagResource", "DELETE /tags/**", tag::untag),
    ("ListTagsForResource", "GET /tags/**", tag::list),
];

/// The names of all operations.
pub fn operations() -> impl Iterator<Item = &'static str> {
    OPERATIONS.iter().map(|(name, ..)| *name)
}

/// The operation that a method and a path stand for.
pub(super) fn route(method: &Method, path: &[&str]) -> (&'static str, Option<Operation>) {
    let mut all = OPERATIONS.iter();
    match all.find(|(_, route, _)| is_on(route, method, path)) {
        Some((name, _, work)) => (name, Some(*work)),
        None => ("Unknown", None),
    }
}

/// Whether a call goes where the route goes.
fn is_on(route: &str, method: &Method, path: &[&str]) -> bool {
    let mut wanted = route.split(['/', ' ']).filter(|part| !part.is_empty());
    if wanted.next() != Some(method.as_str()) {
        return false;
    }
    let mut path = path.iter();
    for wanted in wanted {
        match (wanted, path.next()) {
            ("**", _) => return true,
            ("*", Some(_)) => {}
            (wanted, Some(segment)) if wanted == *segment => {}
            _ => return false,
        }
    }
    path.next().is_none()
}
