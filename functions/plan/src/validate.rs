//! What can be checked without AWS. Every refusal names the field, the value and what would be right.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::Ipv4Net;
use regex_lite::Regex;
use serde::Serialize;
use step::spec::{AccountSpec, EndpointSpec, FargateProfile, NetworkSpec};
use step::{Error, Spec, Target, tags};

type Check = Result<(), Error>;

/// EKS: 1 to 100 characters (botocore's EKS model, ClusterName).
const CLUSTER_NAME: &str = r"^[0-9A-Za-z][A-Za-z0-9_-]{0,99}$";
/// IAM: a role's name with its path (botocore's IAM model).
const ROLE_NAME: &str = r"^([A-Za-z0-9+=,.@_-]+/)*[A-Za-z0-9+=,.@_-]{1,64}$";
const REGION: &str = r"^[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}$";
const ACCOUNT_ID: &str = "^[0-9]{12}$";
const VERSION: &str = r"^1\.[0-9]{1,2}$";
const ADMIN_ARN: &str = r"^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/[\w+=,.@/-]+$";
const KEY_ARN: &str = r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$";
const POLICY_ARN: &str = r"^arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/[\w+=,.@/-]+$";
const EXTERNAL_ID: &str = r"^[\w+=,.@:/-]{2,1224}$";
/// What tags may contain beside letters, digits and spaces, in every service that we tag in.
const TAG_SIGNS: &str = "_.:/=+-@";
/// EKS quotas for profiles and their selectors (EKS user guide, service quotas).
const PROFILES_MAX: usize = 10;
const SELECTORS_MAX: usize = 5;
const LABELS_MAX: usize = 5;
const PUBLIC_CIDRS_MAX: usize = 40;
/// 50 for each resource, less those that hardway and its load balancer tags need.
const TAGS_MAX: usize = 40;
/// Smaller blocks leave subnets without the addresses that EKS recommends; larger ones are no VPC.
const VPC_PREFIXES: std::ops::RangeInclusive<u8> = 16..=24;
/// The private ranges of RFC 1918, and the shared one of RFC 6598.
const VPC_RANGES: [&str; 4] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
];

/// Checks a spec for everything that needs no AWS.
pub(crate) fn spec(spec: &Spec) -> Check {
    let name = "1 to 100 letters, digits, hyphens and underscores, starting with a letter or digit";
    matches("clusterName", &spec.cluster_name, CLUSTER_NAME, name)?;
    optional(
        "region",
        spec.region.as_ref(),
        REGION,
        "a region such as ap-northeast-1",
    )?;
    optional(
        "kubernetesVersion",
        spec.kubernetes_version.as_ref(),
        VERSION,
        "a version such as 1.36",
    )?;
    spec.account.as_ref().map_or(Ok(()), account)?;
    spec.network.as_ref().map_or(Ok(()), network)?;
    spec.endpoint.as_ref().map_or(Ok(()), endpoint)?;
    spec.fargate_profiles
        .as_deref()
        .map_or(Ok(()), fargate_profiles)?;
    let admins = spec
        .access
        .as_ref()
        .map_or(&[][..], |access| &access.admins);
    admins_are_principals(admins)?;
    unique("logging", spec.logging.iter().flatten())?;
    let key = "the ARN of a KMS key, arn:aws:kms:REGION:ACCOUNT:key/ID";
    optional("kmsKeyArn", spec.kms_key_arn.as_ref(), KEY_ARN, key)?;
    let policy = "the ARN of an IAM policy, arn:aws:iam::ACCOUNT:policy/NAME";
    optional(
        "permissionsBoundaryArn",
        spec.permissions_boundary_arn.as_ref(),
        POLICY_ARN,
        policy,
    )?;
    spec.tags.as_ref().map_or(Ok(()), user_tags)
}

/// ARNs of another partition than the target's lead nowhere.
pub(crate) fn partition(spec: &Spec, target: &Target) -> Check {
    let admins = spec.access.iter().flat_map(|access| &access.admins);
    let admins = admins.map(|arn| ("access.admins", arn));
    let key = spec.kms_key_arn.iter().map(|arn| ("kmsKeyArn", arn));
    let boundary = spec
        .permissions_boundary_arn
        .iter()
        .map(|arn| ("permissionsBoundaryArn", arn));
    for (field, arn) in admins.chain(key).chain(boundary) {
        if arn.split(':').nth(1) != Some(&target.partition) {
            let expected = format!("an ARN of the partition {}", target.partition);
            return Err(Error::invalid(field, arn, expected));
        }
    }
    Ok(())
}

fn account(account: &AccountSpec) -> Check {
    matches("account.id", &account.id, ACCOUNT_ID, "twelve digits")?;
    let role = "the name of an IAM role, not its ARN";
    optional(
        "account.roleName",
        account.role_name.as_ref(),
        ROLE_NAME,
        role,
    )?;
    let external_id = "2 to 1224 letters, digits and the characters +=,.@:/-_";
    optional(
        "account.externalId",
        account.external_id.as_ref(),
        EXTERNAL_ID,
        external_id,
    )
}

fn network(network: &NetworkSpec) -> Check {
    if let Some(zones) = network
        .availability_zones
        .filter(|zones| !(2..=3).contains(zones))
    {
        return Err(Error::invalid("network.availabilityZones", zones, "2 or 3"));
    }
    network.cidr.as_deref().map_or(Ok(()), vpc_cidr)
}

fn vpc_cidr(text: &str) -> Check {
    let invalid = |expected: String| Err(Error::invalid("network.cidr", text, expected));
    let Ok(cidr) = text.parse::<Ipv4Net>() else {
        return invalid("an IPv4 CIDR block such as 10.100.0.0/16".to_owned());
    };
    if !VPC_PREFIXES.contains(&cidr.prefix_len()) {
        return invalid(format!(
            "a block from /16 to /24; this is a /{}",
            cidr.prefix_len()
        ));
    }
    if cidr.trunc() != cidr {
        return invalid(format!("{}: the block's first address", cidr.trunc()));
    }
    let is_private = VPC_RANGES
        .iter()
        .filter_map(|range| range.parse::<Ipv4Net>().ok())
        .any(|range| range.contains(&cidr));
    if !is_private {
        return invalid(format!("a block inside one of {}", VPC_RANGES.join(", ")));
    }
    Ok(())
}

fn endpoint(endpoint: &EndpointSpec) -> Check {
    let public = endpoint.public.unwrap_or(true);
    if !public && endpoint.private == Some(false) {
        let expected = "true when endpoint.public is false: else nobody reaches the API";
        return Err(Error::invalid("endpoint.private", false, expected));
    }
    let Some(cidrs) = &endpoint.public_cidrs else {
        return Ok(());
    };
    if !public {
        let expected = "no blocks when endpoint.public is false";
        return Err(Error::invalid("endpoint.publicCidrs", cidrs, expected));
    }
    if cidrs.is_empty() || cidrs.len() > PUBLIC_CIDRS_MAX {
        let expected = format!("1 to {PUBLIC_CIDRS_MAX} blocks");
        return Err(Error::invalid("endpoint.publicCidrs", cidrs, expected));
    }
    unique("endpoint.publicCidrs", cidrs)?;
    for cidr in cidrs {
        let expected = match cidr.parse::<Ipv4Net>() {
            Ok(net) if net.trunc() == net => continue,
            Ok(net) => format!("{}: the block's first address", net.trunc()),
            Err(_) => "an IPv4 CIDR block such as 203.0.113.0/24".to_owned(),
        };
        return Err(Error::invalid("endpoint.publicCidrs", cidr, expected));
    }
    // EKS user guide, "Get started with AWS Fargate": pods reach the API through the private endpoint
    // or from an allowed address; those of the NAT gateways are not known yet.
    if endpoint.private == Some(false) && !cidrs.iter().any(|cidr| cidr == "0.0.0.0/0") {
        let expected =
            "true when endpoint.publicCidrs is restricted: else Fargate's nodes cannot register";
        return Err(Error::invalid("endpoint.private", false, expected));
    }
    Ok(())
}

fn fargate_profiles(profiles: &[FargateProfile]) -> Check {
    let field = "fargateProfiles";
    if profiles.is_empty() || profiles.len() > PROFILES_MAX {
        let expected = format!("1 to {PROFILES_MAX} profiles");
        return Err(Error::invalid(field, profiles, expected));
    }
    unique(
        &format!("{field}[].name"),
        profiles.iter().map(|profile| &profile.name),
    )?;
    for (index, profile) in profiles.iter().enumerate() {
        fargate_profile(&format!("{field}[{index}]"), profile)?;
    }
    if !profiles.iter().any(selects_coredns) {
        let expected = "a profile that selects the namespace kube-system, where CoreDNS lives";
        return Err(Error::invalid(field, profiles, expected));
    }
    Ok(())
}

fn selects_coredns(profile: &FargateProfile) -> bool {
    profile
        .selectors
        .iter()
        .any(step::spec::Selector::selects_coredns)
}

fn fargate_profile(field: &str, profile: &FargateProfile) -> Check {
    let name = "1 to 100 letters, digits, hyphens and underscores, starting with a letter or digit";
    matches(&format!("{field}.name"), &profile.name, CLUSTER_NAME, name)?;
    if profile.name.starts_with("eks-") {
        let expected = "a name that does not start with eks-, which EKS keeps for itself";
        return Err(Error::invalid(
            format!("{field}.name"),
            &profile.name,
            expected,
        ));
    }
    let selectors = &profile.selectors;
    if selectors.is_empty() || selectors.len() > SELECTORS_MAX {
        let expected = format!("1 to {SELECTORS_MAX} selectors");
        return Err(Error::invalid(
            format!("{field}.selectors"),
            selectors,
            expected,
        ));
    }
    for (index, selector) in selectors.iter().enumerate() {
        let field = format!("{field}.selectors[{index}]");
        if selector.namespace.is_empty() {
            let expected = "the name of a namespace; * and ? are wildcards";
            return Err(Error::invalid(format!("{field}.namespace"), "", expected));
        }
        if selector.labels.len() > LABELS_MAX {
            let expected = format!("at most {LABELS_MAX} labels");
            return Err(Error::invalid(
                format!("{field}.labels"),
                &selector.labels,
                expected,
            ));
        }
    }
    Ok(())
}

fn admins_are_principals(admins: &[String]) -> Check {
    unique("access.admins", admins)?;
    for arn in admins {
        let expected = match assumed_role(arn) {
            Some(role) => format!("the role's own ARN, {role}, not a session's"),
            None => "the ARN of an IAM role or user, arn:aws:iam::ACCOUNT:role/NAME".to_owned(),
        };
        matches("access.admins", arn, ADMIN_ARN, &expected)?;
    }
    Ok(())
}

/// The role behind a session's ARN, as far as the ARN tells (it has no path).
fn assumed_role(arn: &str) -> Option<String> {
    let (head, session) = arn.split_once(":assumed-role/")?;
    let role = session.split('/').next()?;
    Some(format!("{}:role/{role}", head.replace(":sts:", ":iam:")))
}

fn user_tags(user: &BTreeMap<String, String>) -> Check {
    if user.len() > TAGS_MAX {
        let expected = format!("at most {TAGS_MAX} tags");
        return Err(Error::invalid("tags", user.len(), expected));
    }
    for (key, value) in user {
        let reserved = ["aws:", tags::RESERVED_PREFIX, "kubernetes.io/role/"];
        if key == tags::NAME
            || reserved
                .iter()
                .any(|prefix| key.to_lowercase().starts_with(prefix))
        {
            let expected = "a key that neither AWS nor hardway sets (Name, aws:, hardway:, kubernetes.io/role/)";
            return Err(Error::invalid("tags", key, expected));
        }
        let length = "a key of 1 to 128 characters";
        if key.is_empty() || key.chars().count() > 128 {
            return Err(Error::invalid("tags", key, length));
        }
        let field = format!("tags.{key}");
        if value.chars().count() > 256 {
            return Err(Error::invalid(
                field,
                value,
                "a value of at most 256 characters",
            ));
        }
        let is_allowed = |c: char| c.is_alphanumeric() || c == ' ' || TAG_SIGNS.contains(c);
        if !key.chars().chain(value.chars()).all(is_allowed) {
            let expected = format!("letters, digits, spaces and the characters {TAG_SIGNS}");
            return Err(Error::invalid(field, value, expected));
        }
    }
    Ok(())
}

fn optional(field: &str, value: Option<&String>, pattern: &str, expected: &str) -> Check {
    value.map_or(Ok(()), |value| matches(field, value, pattern, expected))
}

fn matches(field: &str, value: &str, pattern: &str, expected: &str) -> Check {
    let pattern = Regex::new(pattern).map_err(|error| Error::Unexpected(error.to_string()))?;
    if pattern.is_match(value) {
        return Ok(());
    }
    Err(Error::invalid(field, value, expected))
}

fn unique<T: Ord + Serialize>(field: &str, values: impl IntoIterator<Item = T>) -> Check {
    let mut seen = BTreeSet::new();
    for value in values {
        if seen.contains(&value) {
            return Err(Error::invalid(field, value, "each value only once"));
        }
        seen.insert(value);
    }
    Ok(())
}
