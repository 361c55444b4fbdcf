//! Checks of names and of blocks of addresses.

use ipnet::Ipv4Net;

use crate::api_error::ApiError;
use crate::eks::errors::invalid_parameter;

/// botocore's EKS model, ClusterName.
const NAME_MAX: usize = 100;
/// botocore's EKS model, serviceIpv4Cidr: between /24 and /12 of the private ranges.
const SERVICE_PREFIXES: std::ops::RangeInclusive<u8> = 12..=24;
/// RFC 1918.
const PRIVATE: [Ipv4Net; 3] = [
    Ipv4Net::new_assert(std::net::Ipv4Addr::new(10, 0, 0, 0), 8),
    Ipv4Net::new_assert(std::net::Ipv4Addr::new(172, 16, 0, 0), 12),
    Ipv4Net::new_assert(std::net::Ipv4Addr::new(192, 168, 0, 0), 16),
];
/// EKS user guide, service quotas.
const PUBLIC_CIDRS_MAX: usize = 40;

/// botocore's EKS model, ClusterName.
pub(in crate::eks) fn check_name(name: &str) -> Result<(), ApiError> {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if starts_well && name.len() <= NAME_MAX && name.chars().all(is_allowed) {
        return Ok(());
    }
    let message = format!(
        "The name {name} must start with a letter or digit, have only letters, digits, hyphens and \
         underscores, and no more than {NAME_MAX} of them"
    );
    Err(invalid_parameter(&message))
}

/// Checks where the public endpoint may be reached from: blocks of public addresses, or all.
pub(in crate::eks) fn check_cidrs(cidrs: &[String]) -> Result<(), ApiError> {
    if cidrs.len() > PUBLIC_CIDRS_MAX {
        let message = format!("At most {PUBLIC_CIDRS_MAX} publicAccessCidrs are allowed");
        return Err(invalid_parameter(&message));
    }
    for text in cidrs {
        let cidr: Option<Ipv4Net> = text.parse().ok();
        let is_private = |cidr: Ipv4Net| PRIVATE.iter().any(|range| range.contains(&cidr));
        if cidr.is_none_or(is_private) {
            let message = format!("The following CIDRs are invalid in publicAccessCidrs: [{text}]");
            return Err(invalid_parameter(&message));
        }
    }
    Ok(())
}

/// The block of addresses that the text stands for, if Kubernetes' services can have it.
pub(super) fn service_cidr(text: &str) -> Result<Ipv4Net, ApiError> {
    let cidr: Option<Ipv4Net> = text.parse().ok();
    let cidr = cidr.filter(|cidr| {
        SERVICE_PREFIXES.contains(&cidr.prefix_len())
            && cidr.trunc() == *cidr
            && PRIVATE.iter().any(|range| range.contains(cidr))
    });
    cidr.ok_or_else(|| {
        let message = format!(
            "The serviceIpv4Cidr {text} must be a block between /24 and /12 within 10.0.0.0/8, \
             172.16.0.0/12 or 192.168.0.0/16"
        );
        invalid_parameter(&message)
    })
}
