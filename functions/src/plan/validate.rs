//! What can be checked in the input, each with the field, the value and what would be right.

use std::collections::BTreeSet;

use ipnet::Ipv4Net;

use crate::contract::Error;
use crate::model::RoleNames;
use crate::model::names::ROLE_NAME_PREFIX_MAX;
use crate::model::spec::{AccountSpec, EndpointSpec, IamSpec, LogType, NetworkSpec};
use crate::model::{Spec, Target, TeardownSpec, zones};
use crate::plan::shape::{check_shape, is_like};
use crate::plan::{arns, cidr, fargate, new_account, region, user_tags};

/// Every IPv4 address.
pub(crate) const EVERYONE: &str = "0.0.0.0/0";
/// EKS's quota.
const PUBLIC_CIDRS_MAX: usize = 40;
/// What EKS needs at the least, and what the CIDR blocks are cut for at the most.
const ZONES: std::ops::RangeInclusive<u8> = 2..=3;

const ROLE_PATH: &str = "iam.path";
const ROLE_NAME_PREFIX: &str = "iam.namePrefix";
const ROLE_PATH_MAX: usize = 64;
/// Where only AWS makes roles (IAM user guide, service-linked roles; IAM Identity Center user guide).
const ROLE_PATHS_OF_AWS: &[&str] = &["/aws-service-role/", "/aws-reserved/"];

/// Checks everything that needs no AWS.
///
/// # Errors
/// [`Error::InvalidRequest`] about the first field that is wrong.
pub fn check(spec: &Spec) -> Result<(), Error> {
    check_place(
        &spec.cluster_name,
        spec.region.as_deref(),
        spec.account.as_ref(),
    )?;
    if let Some(version) = &spec.kubernetes_version {
        let expected = "a minor version of Kubernetes such as 1.36";
        check_shape("kubernetesVersion", version, r"1\.[0-9]{2}", expected)?;
    }
    spec.network.as_ref().map_or(Ok(()), check_network)?;
    spec.endpoint.as_ref().map_or(Ok(()), check_endpoint)?;
    let profiles = spec.fargate_profiles.as_deref();
    profiles.map_or(Ok(()), fargate::check)?;
    let access = spec.access.as_ref();
    access.map_or(Ok(()), arns::check_access)?;
    spec.logging.as_deref().map_or(Ok(()), check_logging)?;
    spec.iam.as_ref().map_or(Ok(()), check_iam)?;
    arns::check_kms_key(spec.kms_key_arn.as_deref())?;
    arns::check_permissions_boundary(spec.permissions_boundary_arn.as_deref())?;
    spec.tags.as_ref().map_or(Ok(()), user_tags::check)
}

/// Checks what depends on where the cluster is built.
///
/// # Errors
/// [`Error::InvalidRequest`] about the first field that is wrong.
pub fn check_for(spec: &Spec, target: &Target) -> Result<(), Error> {
    region::check_for(spec.region.as_deref(), target)?;
    let access = spec.access.as_ref();
    access.map_or(Ok(()), |access| {
        arns::check_admins_for(&access.admins, target)
    })?;
    arns::check_kms_key_for(spec.kms_key_arn.as_deref(), target)?;
    arns::check_permissions_boundary_for(spec.permissions_boundary_arn.as_deref(), target)
}

/// Checks the input of a teardown.
///
/// # Errors
/// [`Error::InvalidRequest`] about the first field that is wrong.
pub fn check_teardown(spec: &TeardownSpec) -> Result<(), Error> {
    check_place(
        &spec.cluster_name,
        spec.region.as_deref(),
        spec.account.as_ref(),
    )
}

/// Which cluster, where.
fn check_place(
    cluster_name: &str,
    region: Option<&str>,
    account: Option<&AccountSpec>,
) -> Result<(), Error> {
    let expected = "1 to 100 letters, digits, hyphens and underscores, a letter or digit first";
    let shape = "[0-9A-Za-z][A-Za-z0-9_-]{0,99}";
    check_shape("clusterName", cluster_name, shape, expected)?;
    region.map_or(Ok(()), region::check)?;
    account.map_or(Ok(()), check_account)
}

/// Shapes are those of IAM and STS.
fn check_account(account: &AccountSpec) -> Result<(), Error> {
    check_shape("account.id", &account.id, "[0-9]{12}", "twelve digits")?;
    if let Some(name) = &account.role_name {
        let expected = "the name of an IAM role, after its path if it has one; not its ARN";
        let shape = "([A-Za-z0-9_+=,.@-]+/){0,9}[A-Za-z0-9_+=,.@-]{1,64}";
        check_shape("account.roleName", name, shape, expected)?;
    }
    if let Some(id) = &account.external_id {
        let expected = "2 to 1224 letters, digits and _+=,.@:/-";
        let is_long = (2..=1224).contains(&id.len());
        if !is_long || !is_like(id, "[A-Za-z0-9_+=,.@:/-]*") {
            return Err(Error::invalid("account.externalId", id, expected));
        }
    }
    let new_since = account.new_since.as_deref();
    new_since.map_or(Ok(()), |since| new_account::check(since).map(drop))
}

/// The characters are IAM's (botocore's IAM model, pathType and roleNameType); a policy with the path in it
/// is part of every session in another account, so it is kept short.
fn check_iam(iam: &IamSpec) -> Result<(), Error> {
    if let Some(path) = &iam.path {
        let expected = format!(
            "a path of your own that begins and ends with a slash, such as /platform/, of at most \
             {ROLE_PATH_MAX} characters"
        );
        let is_own = path.len() <= ROLE_PATH_MAX
            && !ROLE_PATHS_OF_AWS
                .iter()
                .any(|of_aws| path.starts_with(of_aws));
        if !is_own || !is_like(path, "/([A-Za-z0-9+=,.@_-]+/)*") {
            return Err(Error::invalid(ROLE_PATH, path, expected));
        }
    }
    if let Some(prefix) = &iam.name_prefix {
        let expected = "1 to 32 letters, digits and +=,.@_-";
        let shape = format!("[A-Za-z0-9+=,.@_-]{{1,{ROLE_NAME_PREFIX_MAX}}}");
        check_shape(ROLE_NAME_PREFIX, prefix, &shape, expected)?;
    }
    Ok(())
}

/// The stack's names, and the prefix that the input says more of: the functions' policies reach no others.
///
/// # Errors
/// [`Error::InvalidRequest`] about the first field that begins otherwise.
pub fn role_names(stack: &RoleNames, asked: Option<&IamSpec>) -> Result<RoleNames, Error> {
    let path = asked.and_then(|asked| asked.path.as_ref());
    if let Some(path) = path.filter(|path| **path != stack.path) {
        let expected = format!("{}, which is the stack's ClusterRolePath", stack.path);
        return Err(Error::invalid(ROLE_PATH, path, expected));
    }
    let prefix = asked.and_then(|asked| asked.name_prefix.as_ref());
    let (own, parameter) = (stack.name_prefix.as_str(), "RoleNamePrefix");
    if let Some(prefix) = prefix.filter(|prefix| !prefix.starts_with(own)) {
        let expected = format!("one that begins with {own}, which is the stack's {parameter}");
        return Err(Error::invalid(ROLE_NAME_PREFIX, prefix, expected));
    }
    Ok(RoleNames {
        path: stack.path.clone(),
        name_prefix: prefix.unwrap_or(&stack.name_prefix).clone(),
    })
}

fn check_network(network: &NetworkSpec) -> Result<(), Error> {
    cidr::of_vpc(network.cidr.as_deref())?;
    if let Some(number) = network.availability_zones
        && !ZONES.contains(&number)
    {
        let field = "network.availabilityZones";
        return Err(Error::invalid(field, number, "2 or 3"));
    }
    if let Some(excluded) = &network.excluded_availability_zone_ids {
        check_zone_ids(zones::EXCLUDED, excluded)?;
        if network.availability_zone_ids.is_some() {
            let expected = format!(
                "either this or {}: named zones need no exclusions",
                zones::NAMED
            );
            return Err(Error::invalid(zones::EXCLUDED, excluded, expected));
        }
    }
    let named = network.availability_zone_ids.as_deref();
    named.map_or(Ok(()), |named| {
        check_named(named, network.availability_zones)
    })
}

fn check_named(named: &[String], number: Option<u8>) -> Result<(), Error> {
    check_zone_ids(zones::NAMED, named)?;
    let count = u8::try_from(named.len()).unwrap_or(u8::MAX);
    if !ZONES.contains(&count) {
        return Err(Error::invalid(zones::NAMED, named, "2 or 3 zones"));
    }
    match number {
        Some(number) if number != count => {
            let expected = format!(
                "as many zones as network.availabilityZones says ({number}), or leave that out"
            );
            Err(Error::invalid(zones::NAMED, named, expected))
        }
        _ => Ok(()),
    }
}

/// Whether a region has them, only AWS can tell.
fn check_zone_ids(field: &str, ids: &[String]) -> Result<(), Error> {
    let expected = "the id of an Availability Zone such as apne1-az1, which is the same in all \
                    accounts; not its name such as ap-northeast-1a";
    for (index, id) in ids.iter().enumerate() {
        let field = format!("{field}[{index}]");
        check_shape(&field, id, "[a-z][a-z0-9-]{1,30}-az[0-9]{1,2}", expected)?;
        if ids[..index].contains(id) {
            return Err(Error::invalid(field, id, "each zone once"));
        }
    }
    Ok(())
}

fn check_endpoint(endpoint: &EndpointSpec) -> Result<(), Error> {
    let public = endpoint.public.unwrap_or(true);
    let private = endpoint.private.unwrap_or(true);
    if !public && !private {
        let expected = "public or private on: nobody reaches a cluster without an endpoint";
        return Err(Error::invalid("endpoint", endpoint, expected));
    }
    let Some(cidrs) = &endpoint.public_cidrs else {
        return Ok(());
    };
    if !public {
        let expected = "no publicCidrs, since the public endpoint is off";
        return Err(Error::invalid("endpoint.publicCidrs", cidrs, expected));
    }
    let blocks = public_blocks(cidrs)?;
    let is_everyone = Ipv4Net::aggregate(&blocks)
        .iter()
        .any(|it| it.prefix_len() == 0);
    if !private && !is_everyone {
        // Fargate's nodes would come from NAT addresses, which nobody knows before they exist.
        let expected = "true where publicCidrs are restricted: Fargate's nodes reach the API by it";
        return Err(Error::invalid("endpoint.private", private, expected));
    }
    Ok(())
}

fn public_blocks(cidrs: &[String]) -> Result<Vec<Ipv4Net>, Error> {
    if cidrs.is_empty() || cidrs.len() > PUBLIC_CIDRS_MAX {
        let expected = format!("1 to {PUBLIC_CIDRS_MAX} CIDR blocks");
        return Err(Error::invalid("endpoint.publicCidrs", cidrs, expected));
    }
    let mut blocks = vec![];
    for (index, text) in cidrs.iter().enumerate() {
        let field = format!("endpoint.publicCidrs[{index}]");
        let block = cidr::parse(&field, text)?;
        if cidr::is_reserved(block) {
            let expected = "addresses of the Internet: nobody comes to a public endpoint from a \
                            private or reserved block";
            return Err(Error::invalid(field, text, expected));
        }
        if blocks.contains(&block) {
            return Err(Error::invalid(field, text, "each block once"));
        }
        blocks.push(block);
    }
    Ok(blocks)
}

fn check_logging(logging: &[LogType]) -> Result<(), Error> {
    let unique: BTreeSet<_> = logging.iter().collect();
    if unique.len() == logging.len() {
        return Ok(());
    }
    Err(Error::invalid("logging", logging, "each kind of log once"))
}

#[cfg(test)]
mod tests;
