//! Regions: those that every account has, and those that an account has to enable.

use crate::api_error::ApiError;
use crate::state::{Account, Context, partition};

/// Enabled in every account: launched before March 20, 2019 (Account Management reference guide, enable
/// or disable AWS Regions).
const DEFAULT: &[&str] = &[
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];
/// Disabled until an account opts in (same page; the partitions that the SDKs know).
const OPT_IN: &[&str] = &[
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-south-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-west-1",
    "eu-central-2",
    "eu-south-1",
    "eu-south-2",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
];
const CHINA: &[&str] = &["cn-north-1", "cn-northwest-1"];
const GOV_CLOUD: &[&str] = &["us-gov-east-1", "us-gov-west-1"];

/// The regions of the partition in which `region` is.
pub(crate) fn around(region: &str) -> Vec<&'static str> {
    match partition(region) {
        "aws-cn" => CHINA.to_vec(),
        "aws-us-gov" => GOV_CLOUD.to_vec(),
        _ => [DEFAULT, OPT_IN].concat(),
    }
}

/// Whether accounts have the region only when they have opted in.
#[must_use]
pub fn is_opt_in(region: &str) -> bool {
    OPT_IN.contains(&region)
}

impl Account {
    /// Whether the account may use the region.
    #[must_use]
    pub fn has_enabled(&self, region: &str) -> bool {
        !is_opt_in(region) || self.opted_in.contains(region)
    }
}

/// Refuses callers whose account has not enabled the region: services there do not know them.
/// turbot/steampipe-plugin-aws issue 75 (EC2), aws/aws-sdk-ruby issue 2850 (STS), aws-samples/
/// aws-control-tower-config-customization issue 27 (others). IAM is the same everywhere.
pub(crate) fn check(context: &Context<'_>, service: &str) -> Result<(), ApiError> {
    let account = context.state.accounts.get(&context.account);
    let is_enabled = match account {
        Some(account) => account.has_enabled(&context.region),
        None => !is_opt_in(&context.region),
    };
    if is_enabled || service == "iam" {
        return Ok(());
    }
    let invalid = "The security token included in the request is invalid";
    Err(match service {
        "ec2" => {
            let message = "AWS was not able to validate the provided access credentials";
            ApiError::new(401, "AuthFailure", message)
        }
        "eks" => ApiError::new(403, "UnrecognizedClientException", invalid),
        "logs" => ApiError::client("UnrecognizedClientException", invalid),
        _ => ApiError::new(403, "InvalidClientTokenId", invalid),
    })
}

#[cfg(test)]
mod tests {
    use crate::sts::testing::{MANAGEMENT, MEMBER, ROLE_ARN, World, code};
    use crate::testing::client;

    const REGION: &str = "mx-central-1";

    #[tokio::test(start_paused = true)]
    async fn services_of_a_region_do_not_know_accounts_that_have_not_enabled_it() {
        let world = World::new();
        let ec2 = || client!(aws_sdk_ec2, world.simulator, MEMBER, REGION);
        let eks = || client!(aws_sdk_eks, world.simulator, MEMBER, REGION);
        let logs = client!(aws_sdk_cloudwatchlogs, world.simulator, MEMBER, REGION);
        let sts = client!(aws_sdk_sts, world.simulator, MEMBER, REGION);
        let refused = ec2().describe_vpcs().send().await;
        let status = refused.as_ref().unwrap_err().raw_response().unwrap();
        assert_eq!(status.status().as_u16(), 401);
        assert_eq!(code(refused), "AuthFailure");
        let clusters = eks().list_clusters().send().await;
        assert_eq!(code(clusters), "UnrecognizedClientException");
        let groups = logs.describe_log_groups().send().await;
        assert_eq!(code(groups), "UnrecognizedClientException");
        let who = sts.get_caller_identity().send().await;
        assert_eq!(code(who), "InvalidClientTokenId");
        let iam = client!(aws_sdk_iam, world.simulator, MEMBER, REGION);
        iam.list_roles().send().await.unwrap();

        world.simulator.change_account(MEMBER, |account| {
            account.opted_in.insert(REGION.to_owned());
        });
        ec2().describe_vpcs().send().await.unwrap();
        eks().list_clusters().send().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_takes_both_accounts_to_have_enabled_the_region() {
        let world = World::new();
        world.member();
        let assume = || {
            let sts = client!(aws_sdk_sts, world.simulator, MANAGEMENT, REGION);
            let call = sts.assume_role().role_arn(ROLE_ARN);
            call.role_session_name("test").send()
        };
        let opt_in = |account: &str| {
            world.simulator.change_account(account, |account| {
                account.opted_in.insert(REGION.to_owned());
            });
        };
        assert_eq!(code(assume().await), "InvalidClientTokenId");
        opt_in(MANAGEMENT);
        assert_eq!(code(assume().await), "RegionDisabledException");
        opt_in(MEMBER);
        assume().await.unwrap();
    }
}
