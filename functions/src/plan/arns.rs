//! Checks of ARNs. Shapes first; what partition, region and account they must be in is known later.

use std::collections::BTreeSet;

use crate::contract::Error;
use crate::model::spec::Access;
use crate::model::{Target, names};
use crate::plan::shape::{is_like, parts};

/// Who may administer the cluster.
const ADMINS: &str = "access.admins";
const ADMIN_ROLE_NAMES: &str = "access.adminRoleNames";
const KMS_KEY: &str = "kmsKeyArn";
const PERMISSIONS_BOUNDARY: &str = "permissionsBoundaryArn";

/// Everybody in it calls AWS in the step's one invocation, which has a minute. More people share a role.
const ADMINS_MAX: usize = 50;
/// Names and paths: botocore's IAM model, roleNameType, userNameType and pathType.
const PRINCIPAL: &str = r"arn:(aws[a-z-]*):iam::([0-9]{12}):(?:role|user)/(?:[A-Za-z0-9_+=,.@-]+/){0,9}[A-Za-z0-9_+=,.@-]{1,64}";
/// IAM Identity Center user guide, referencing permission sets in resource policies:
/// `AWSReservedSSO_PERMISSION-SET_SUFFIX`. All wildcards
/// would find any of them.
const IDENTITY_CENTER_ROLE: &str = r"AWSReservedSSO_[A-Za-z0-9_+=,.@-][A-Za-z0-9_+=,.@*?-]{0,48}";
const SESSION: &str = r"arn:(aws[a-z-]*):sts::([0-9]{12}):assumed-role/([A-Za-z0-9_+=,.@-]+)/.*";
/// AWS KMS developer guide, key identifiers: a key's id is a UUID or `mrk-` and 32 digits; botocore's KMS
/// model, AliasNameType.
const KEY: &str = r"arn:(aws[a-z-]*):kms:([a-z0-9-]+):([0-9]{12}):(?:key/[A-Za-z0-9-]{1,64}|alias/[A-Za-z0-9/_-]{1,250})";
/// AWS KMS developer guide, AWS managed keys: only the service that made one can use it.
const AWS_MANAGED: &str = ":alias/aws/";
const POLICY: &str = r"arn:(aws[a-z-]*):iam::([0-9]{12}|aws):policy/(?:[A-Za-z0-9_+=,.@-]+/){0,9}[A-Za-z0-9_+=,.@-]{1,128}";
/// Path of service-linked roles, which EKS refuses in access entries.
const SERVICE_LINKED: &str = ":role/aws-service-role/";

/// Refuses administrators who cannot be any.
pub(crate) fn check_access(access: &Access) -> Result<(), Error> {
    check_admins(&access.admins)?;
    check_admin_role_names(&access.admin_role_names)?;
    if access.admins.len() + access.admin_role_names.len() > ADMINS_MAX {
        let expected =
            format!("at most {ADMINS_MAX} administrators; give more people a role to assume");
        return Err(Error::invalid("access", access, expected));
    }
    Ok(())
}

/// Refuses what cannot be the name of a role of IAM Identity Center, and doubles.
fn check_admin_role_names(names: &[String]) -> Result<(), Error> {
    for (index, name) in names.iter().enumerate() {
        let field = format!("{ADMIN_ROLE_NAMES}[{index}]");
        if !is_like(name, IDENTITY_CENTER_ROLE) {
            let expected = "the name of a role of IAM Identity Center, with wildcards for what differs \
                            from account to account, such as AWSReservedSSO_PlatformAdmin_*; other \
                            roles by their ARN in access.admins";
            return Err(Error::invalid(field, name, expected));
        }
        if names[..index].contains(name) {
            return Err(Error::invalid(field, name, "each name once"));
        }
    }
    Ok(())
}

/// Refuses what is not the ARN of an IAM role or user, and doubles.
fn check_admins(admins: &[String]) -> Result<(), Error> {
    if admins.len() > ADMINS_MAX {
        let expected = format!("at most {ADMINS_MAX} ARNs; give more people a role to assume");
        return Err(Error::invalid(ADMINS, admins, expected));
    }
    let mut seen = BTreeSet::new();
    for (index, arn) in admins.iter().enumerate() {
        let field = format!("{ADMINS}[{index}]");
        if !is_like(arn, PRINCIPAL) || arn.contains(SERVICE_LINKED) {
            return Err(Error::invalid(field, arn, principal_instead_of(arn)));
        }
        if !seen.insert(arn) {
            return Err(Error::invalid(field, arn, "each ARN once"));
        }
    }
    Ok(())
}

/// People copy the ARN of their session; the role's own is meant.
fn principal_instead_of(arn: &str) -> String {
    match parts(arn, SESSION).as_deref() {
        Some([partition, account, role]) => format!(
            "the role's ARN instead of the session's: arn:{partition}:iam::{account}:role/{role}, \
             with the role's path if it has one"
        ),
        _ => {
            "the ARN of an IAM role or user, such as arn:aws:iam::111122223333:role/Admin; not of \
              a service-linked role"
                .to_owned()
        }
    }
}

/// Refuses what is not the ARN of a KMS key.
pub(crate) fn check_kms_key(arn: Option<&str>) -> Result<(), Error> {
    match arn {
        Some(arn) if !is_like(arn, KEY) => {
            let expected = "the ARN of a KMS key or alias, such as \
                            arn:aws:kms:ap-northeast-1:111122223333:key/…";
            Err(Error::invalid(KMS_KEY, arn, expected))
        }
        Some(arn) if arn.contains(AWS_MANAGED) => {
            let expected = "a key of your own: AWS managed keys (alias/aws/…) serve only the service \
                            that made them";
            Err(Error::invalid(KMS_KEY, arn, expected))
        }
        _ => Ok(()),
    }
}

/// Refuses what is not the ARN of an IAM policy.
pub(crate) fn check_permissions_boundary(arn: Option<&str>) -> Result<(), Error> {
    match arn {
        Some(arn) if !is_like(arn, POLICY) => {
            let expected =
                "the ARN of an IAM policy, such as arn:aws:iam::111122223333:policy/Limit";
            Err(Error::invalid(PERMISSIONS_BOUNDARY, arn, expected))
        }
        _ => Ok(()),
    }
}

/// Refuses administrators of another partition, since there is no trust between partitions, and the
/// pods' own role, whose only access entry is the one that EKS makes for its nodes.
pub(crate) fn check_admins_for(admins: &[String], target: &Target) -> Result<(), Error> {
    let pods = names::role_arn(target, &names::pod_execution_role(target));
    if let Some(index) = admins.iter().position(|arn| *arn == pods) {
        let expected = "another role: this one is the cluster's pod execution role";
        return Err(Error::invalid(format!("{ADMINS}[{index}]"), pods, expected));
    }
    let partition = Some(target.partition.as_str());
    let is_foreign = |arn: &str| arn.split(':').nth(1) != partition;
    match admins.iter().position(|arn| is_foreign(arn)) {
        Some(index) => Err(Error::invalid(
            format!("{ADMINS}[{index}]"),
            admins.get(index),
            format!("an ARN in the partition {}", target.partition),
        )),
        None => Ok(()),
    }
}

/// Refuses a key of another partition or region; it may be another account's.
pub(crate) fn check_kms_key_for(arn: Option<&str>, target: &Target) -> Result<(), Error> {
    let wanted = [target.partition.as_str(), target.region.as_str()];
    match arn.and_then(|arn| parts(arn, KEY)).as_deref() {
        Some([partition, region, _]) if [*partition, *region] != wanted => Err(Error::invalid(
            KMS_KEY,
            arn,
            format!(
                "a key in {} of the partition {}",
                target.region, target.partition
            ),
        )),
        _ => Ok(()),
    }
}

/// Refuses a boundary of another partition or account: a role's boundary is of its own account.
pub(crate) fn check_permissions_boundary_for(
    arn: Option<&str>,
    target: &Target,
) -> Result<(), Error> {
    let is_fit = |partition: &str, account: &str| {
        partition == target.partition && (account == "aws" || account == target.account.id)
    };
    match arn.and_then(|arn| parts(arn, POLICY)).as_deref() {
        Some([partition, account]) if !is_fit(partition, account) => Err(Error::invalid(
            PERMISSIONS_BOUNDARY,
            arn,
            format!(
                "a policy of the account {} (or of AWS) in the partition {}",
                target.account.id, target.partition
            ),
        )),
        _ => Ok(()),
    }
}
