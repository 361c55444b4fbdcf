//! The VPC's two DNS attributes (VPC user guide, DNS attributes): both must be on (EKS user guide,
//! network requirements).

use super::error;
use crate::verify::facts::{Facts, Known};
use crate::verify::problem::Problem;

/// Two nodes called `fargate-null` are one: at most one pod runs.
pub fn hostnames_off(facts: &Facts) -> Vec<Problem> {
    let why = "enableDnsHostnames is false: every node on Fargate is called fargate-null, so that at \
               most one pod runs";
    off(facts, &facts.dns_hostnames, why, "--enable-dns-hostnames")
}

/// Nothing finds the cluster's endpoint or a registry.
pub fn support_off(facts: &Facts) -> Vec<Problem> {
    let why = "enableDnsSupport is false: names of registries and of the cluster's endpoint are not \
               resolved";
    off(facts, &facts.dns_support, why, "--enable-dns-support")
}

fn off(facts: &Facts, attribute: &Known<bool>, why: &str, option: &str) -> Vec<Problem> {
    if attribute.read() != Some(&false) {
        return vec![];
    }
    let vpc = facts.vpc_id();
    let fix = format!(
        "run aws ec2 modify-vpc-attribute --vpc-id {vpc} {option} '{{\"Value\":true}}'; pods that \
         are stuck start by themselves or when they are deleted"
    );
    vec![error(vpc, why, "true", fix)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::fixtures::healthy;

    #[test]
    fn each_attribute_has_a_row_of_its_own() {
        let mut facts = healthy();
        facts.dns_hostnames = Known::Read(false);
        assert_eq!(support_off(&facts), []);
        let found = hostnames_off(&facts);
        assert_eq!(found[0].resource, "vpc-1");
        assert!(found[0].seen.contains("fargate-null"));
        assert!(found[0].fix.contains("--enable-dns-hostnames"));

        let mut facts = healthy();
        facts.dns_support = Known::Read(false);
        assert_eq!(hostnames_off(&facts), []);
        assert!(support_off(&facts)[0].fix.contains("--enable-dns-support"));
    }

    #[test]
    fn unread_attribute_is_not_off() {
        let mut facts = healthy();
        facts.dns_hostnames = Known::Unread;
        assert_eq!(hostnames_off(&facts), []);
    }
}
