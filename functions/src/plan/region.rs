//! Checks of the region's name. Whether the account has it switched on is another question.

use crate::contract::Error;
use crate::model::{Target, zones};
use crate::plan::shape::{check_shape, is_like};

const FIELD: &str = "region";

/// Partitions and what their regions are called (botocore's partitions.json, regionRegex).
const PARTITIONS: &[(&str, &str)] = &[
    ("aws", "(?:us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-[0-9]{1,2}"),
    ("aws-cn", "cn-[a-z]+-[0-9]{1,2}"),
    ("aws-eusc", "eusc-de-[a-z]+-[0-9]{1,2}"),
    ("aws-iso", "us-iso-[a-z]+-[0-9]{1,2}"),
    ("aws-iso-b", "us-isob-[a-z]+-[0-9]{1,2}"),
    ("aws-iso-e", "eu-isoe-[a-z]+-[0-9]{1,2}"),
    ("aws-iso-f", "us-isof-[a-z]+-[0-9]{1,2}"),
    ("aws-us-gov", "us-gov-[a-z]+-[0-9]{1,2}"),
];

/// Refuses what is no region's name in any partition.
pub(crate) fn check(region: &str) -> Result<(), Error> {
    let shapes: Vec<&str> = PARTITIONS.iter().map(|(_, shape)| *shape).collect();
    let expected = "an AWS region such as ap-northeast-1; not one of its zones";
    check_shape(FIELD, region, &shapes.join("|"), expected)
}

/// Refuses a region of another partition, where accounts and credentials end, and one without Fargate.
pub(crate) fn check_for(region: Option<&str>, target: &Target) -> Result<(), Error> {
    check_partition(region, target)?;
    if zones::partition_has_fargate(&target.partition) {
        return Ok(());
    }
    let expected = format!(
        "a region with EKS on Fargate, which the partition {} has not (GovCloud user guide, Amazon \
         EKS): EKS would refuse every Fargate profile",
        target.partition
    );
    Err(Error::invalid(FIELD, &target.region, expected))
}

fn check_partition(region: Option<&str>, target: &Target) -> Result<(), Error> {
    let Some(region) = region else {
        return Ok(());
    };
    let own = PARTITIONS
        .iter()
        .find(|(name, _)| *name == target.partition);
    match own {
        Some((_, shape)) if !is_like(region, shape) => {
            let expected = format!(
                "a region of the partition {}, which the account is in",
                target.partition
            );
            Err(Error::invalid(FIELD, region, expected))
        }
        // A partition that is newer than this table decides for itself.
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Plan;

    #[test]
    fn regions_of_all_partitions_have_names_of_their_own() {
        for region in [
            "us-east-1",
            "ap-southeast-5",
            "cn-northwest-1",
            "us-gov-west-1",
            "us-isob-east-1",
            "eusc-de-east-1",
        ] {
            assert_eq!(check(region), Ok(()), "{region}");
            let fits = |shape: &str| is_like(region, shape);
            let partitions = PARTITIONS.iter().filter(|(_, shape)| fits(shape));
            assert_eq!(partitions.count(), 1, "{region}");
        }
        for wrong in ["ap-northeast-1a", "tokyo", "xx-east-1", "us-east", ""] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_region_is_in_the_partition_of_the_account() {
        let mut target = Plan::example().target;
        assert_eq!(check_for(Some("eu-west-1"), &target), Ok(()));
        assert_eq!(check_for(None, &target), Ok(()));
        let error = check_for(Some("cn-north-1"), &target).unwrap_err();
        assert!(error.to_string().contains("partition aws,"), "{error}");
        target.partition = "aws-us-gov".to_owned();
        target.region = "us-gov-west-1".to_owned();
        for region in [None, Some("us-gov-west-1")] {
            let error = check_for(region, &target).unwrap_err().to_string();
            assert!(error.starts_with("region: \"us-gov-west-1\""), "{error}");
            assert!(error.contains("EKS on Fargate"), "{error}");
        }
        target.partition = "aws-new".to_owned();
        assert_eq!(check_for(Some("cn-north-1"), &target), Ok(()));
    }
}
