//! What STS' operations need.

use super::{Needed, Resource};
use crate::params::Params;

/// `GetCallerIdentity` needs nothing (botocore's STS model). In its own account a role would be content
/// with a trust policy that names it; here it needs the permission.
pub(super) fn needed(operation: &str, params: &Params) -> Option<Vec<Needed>> {
    let needed = match operation {
        "AssumeRole" => {
            let role = Resource::new(params.get("RoleArn").unwrap_or("*"));
            let mut needed = Needed::new("sts:AssumeRole", role);
            for (key, parameter) in [
                ("sts:externalid", "ExternalId"),
                ("sts:rolesessionname", "RoleSessionName"),
            ] {
                if let Some(value) = params.get(parameter) {
                    needed = needed.key(key, value);
                }
            }
            vec![needed]
        }
        "GetCallerIdentity" => Vec::new(),
        _ => return None,
    };
    Some(needed)
}
