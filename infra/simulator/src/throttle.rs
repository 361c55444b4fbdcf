//! Throttling: token buckets that calls drain and time fills again.
//!
//! Each account has buckets of its own in each region (in IAM one for all regions), and in all of
//! them but STS one for each operation (in Systems Manager one for all that only read). A call that is refused takes nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::api_error::ApiError;
use crate::params::Params;
use crate::state::Context;

/// How large a bucket is and how fast it fills.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// Calls that a full bucket lets through at once.
    pub size: f64,
    /// Calls that each second brings back.
    pub per_second: f64,
}

/// The buckets of all services.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Throttling {
    /// EC2's operations that only read.
    pub ec2_reads: Bucket,
    /// Those of them that a smaller bucket is for when they are asked for everything at once.
    pub ec2_unfiltered_reads: Bucket,
    /// EC2's other operations.
    pub ec2_changes: Bucket,
    /// EC2's operations with sizes of their own.
    pub ec2_own: BTreeMap<String, Bucket>,
    /// Each of EKS' operations.
    pub eks: Bucket,
    /// Each of IAM's operations.
    pub iam: Bucket,
    /// All of STS' operations together.
    pub sts: Bucket,
    /// Each of CloudWatch Logs' operations.
    pub logs: Bucket,
    /// CloudWatch Logs' operations with sizes of their own.
    pub logs_own: BTreeMap<String, Bucket>,
    /// All of Systems Manager's operations that only read, together.
    pub ssm_reads: Bucket,
    /// Each of Systems Manager's other operations.
    pub ssm_changes: Bucket,
}

/// EC2 developer guide, request throttling: unfiltered and unpaginated non-mutating actions.
const UNFILTERED: &[&str] = &["DescribeNetworkInterfaces", "DescribeSecurityGroups"];
/// EC2 developer guide, request throttling: uncategorized actions.
const OWN: &[(&str, Bucket)] = &[
    ("CreateNatGateway", bucket(10.0, 1.0)),
    ("CreateTags", bucket(100.0, 10.0)),
    ("DeleteNatGateway", bucket(10.0, 1.0)),
    ("DeleteNetworkInterface", bucket(100.0, 5.0)),
    ("DeleteTags", bucket(100.0, 10.0)),
];
/// CloudWatch Logs user guide, CloudWatch Logs quotas: throttle limits in transactions per second.
const LOGS_OWN: &[(&str, Bucket)] = &[
    ("CreateLogGroup", bucket(10.0, 10.0)),
    ("DeleteLogGroup", bucket(10.0, 10.0)),
    ("DescribeLogGroups", bucket(10.0, 10.0)),
];
/// botocore's EKS model: the operations here for which `ThrottlingException` is modelled.
const EKS_MODELLED: &[&str] = &["UpdateClusterConfig", "UpdateClusterVersion"];

/// Buckets by the names of operations.
fn by_operation(own: &[(&str, Bucket)]) -> BTreeMap<String, Bucket> {
    own.iter()
        .map(|(name, own)| ((*name).to_owned(), *own))
        .collect()
}

const fn bucket(size: f64, per_second: f64) -> Bucket {
    Bucket { size, per_second }
}

impl Default for Throttling {
    /// What AWS documents. Of EKS and IAM nothing is: there the numbers stand for what users ran into.
    fn default() -> Self {
        Self {
            // EC2 developer guide, request throttling: request token bucket sizes and refill rates.
            ec2_reads: bucket(100.0, 20.0),
            ec2_unfiltered_reads: bucket(50.0, 10.0),
            ec2_changes: bucket(50.0, 5.0),
            ec2_own: by_operation(OWN),
            // fidelity/kconnect issue 751: of a hundred calls at once, some twenty were refused.
            eks: bucket(80.0, 10.0),
            iam: bucket(50.0, 5.0),
            // IAM user guide, IAM and STS quotas: 600 a second for each account and region.
            sts: bucket(600.0, 600.0),
            // CloudWatch Logs user guide, CloudWatch Logs quotas: ListTagsForResource.
            logs: bucket(5.0, 5.0),
            logs_own: by_operation(LOGS_OWN),
            // AWS General Reference, Systems Manager endpoints and quotas: 40 a second by default, which
            // GetParameter, GetParameters and GetParametersByPath share.
            ssm_reads: bucket(40.0, 40.0),
            // PutParameter: what AWS support told users (github-aws-runners/terraform-aws-github-runner
            // issue 2944). Of the others nothing is known.
            ssm_changes: bucket(3.0, 3.0),
        }
    }
}

impl Throttling {
    /// The same with all sizes and rates multiplied; no bucket is smaller than one call.
    #[must_use]
    pub fn times(mut self, factor: f64) -> Self {
        let fixed = [
            &mut self.ec2_reads,
            &mut self.ec2_unfiltered_reads,
            &mut self.ec2_changes,
            &mut self.eks,
            &mut self.iam,
            &mut self.sts,
            &mut self.logs,
            &mut self.ssm_reads,
            &mut self.ssm_changes,
        ];
        let own = (self.ec2_own.values_mut()).chain(self.logs_own.values_mut());
        for bucket in fixed.into_iter().chain(own) {
            bucket.size = (bucket.size * factor).max(1.0);
            bucket.per_second *= factor;
        }
        self
    }

    /// The name and the kind of the bucket of an operation.
    fn bucket(&self, service: &str, operation: &str, params: &Params) -> (String, Bucket) {
        let name = format!("{service}/{operation}");
        match service {
            "ec2" => self.ec2(name, operation, params),
            "eks" => (name, self.eks),
            "iam" => (name, self.iam),
            "logs" => (name, *self.logs_own.get(operation).unwrap_or(&self.logs)),
            "ssm" if operation.starts_with("Get") => ("ssm/reads".to_owned(), self.ssm_reads),
            "ssm" => (name, self.ssm_changes),
            _ => (service.to_owned(), self.sts),
        }
    }

    fn ec2(&self, name: String, operation: &str, params: &Params) -> (String, Bucket) {
        if let Some(own) = self.ec2_own.get(operation) {
            return (name, *own);
        }
        let is_unfiltered = UNFILTERED.contains(&operation)
            && params.under("Filter").is_empty()
            && params.get("MaxResults").is_none();
        if is_unfiltered {
            return (format!("{name}/unfiltered"), self.ec2_unfiltered_reads);
        }
        if crate::ec2::only_reads(operation) {
            return (name, self.ec2_reads);
        }
        (name, self.ec2_changes)
    }
}

/// How full the buckets are that were used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Levels(BTreeMap<String, Level>);

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Level {
    tokens: f64,
    at: Timestamp,
}

impl Levels {
    /// Takes a token out of a bucket, if there is one.
    fn take(&mut self, name: String, bucket: Bucket, now: Timestamp) -> bool {
        let full = Level {
            tokens: bucket.size,
            at: now,
        };
        let level = self.0.entry(name).or_insert(full);
        let seconds = now.duration_since(level.at).as_secs_f64();
        level.tokens = (level.tokens + seconds * bucket.per_second).min(bucket.size);
        level.at = now;
        let has_one = level.tokens >= 1.0;
        if has_one {
            level.tokens -= 1.0;
        }
        has_one
    }
}

/// Refuses a call for which there is no token, if throttling is turned on.
pub(crate) fn check(
    context: &mut Context<'_>,
    service: &str,
    operation: &str,
    params: &Params,
) -> Result<(), ApiError> {
    let Some(throttling) = &context.state.faults.throttling else {
        return Ok(());
    };
    let (name, bucket) = throttling.bucket(service, operation, params);
    let region = if service == "iam" {
        ""
    } else {
        &context.region
    };
    let name = format!("{}/{region}/{name}", context.account);
    let levels = &mut context.state.throttle_levels;
    if levels.take(name, bucket, context.now) {
        return Ok(());
    }
    Err(throttled(service, operation))
}

/// EC2 developer guide, request throttling; for IAM and STS re:Post, IAM and STS throttling errors; for
/// CloudWatch Logs re:Post, throttling in CloudWatch Logs; for KMS its developer guide, throttling requests; for Systems Manager re:Post, throttling of
/// Parameter Store; for EKS awslabs/amazon-eks-ami pull request 218, where nothing is modelled; for
/// Service Quotas botocore's model.
pub(crate) fn throttled(service: &str, operation: &str) -> ApiError {
    match service {
        "ec2" => ApiError::new(503, "RequestLimitExceeded", "Request limit exceeded."),
        "eks" if EKS_MODELLED.contains(&operation) => {
            ApiError::new(429, "ThrottlingException", "Rate exceeded")
        }
        "eks" => ApiError::new(429, "TooManyRequestsException", "Too Many Requests"),
        "kms" | "logs" | "ssm" => ApiError::client("ThrottlingException", "Rate exceeded"),
        "servicequotas" => ApiError::client("TooManyRequestsException", "Too Many Requests"),
        _ => ApiError::client("Throttling", "Rate exceeded"),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::Filter;

    use super::Throttling;
    use crate::ec2::testing::{ACCOUNT, World, client};
    use crate::eks::testing::World as EksWorld;
    use crate::logs::testing::client as logs_client;
    use crate::ssm::testing::client as ssm_client;
    use crate::testing::{code, code_of, wait};

    fn throttled(simulator: &crate::Simulator, factor: f64) {
        simulator.change(|state| {
            state.faults.throttling = Some(Throttling::default().times(factor));
        });
    }

    #[tokio::test(start_paused = true)]
    async fn burst_empties_the_bucket_and_time_fills_it() {
        let world = World::new();
        throttled(&world.simulator, 1.0);
        let describe = || world.ec2.describe_vpcs().send();
        for _ in 0..100 {
            describe().await.unwrap();
        }
        let refused = describe().await;
        assert_eq!(code(&refused), "RequestLimitExceeded");
        let raw = refused.unwrap_err().raw_response().unwrap().status();
        assert_eq!(raw.as_u16(), 503);
        wait(1).await;
        for _ in 0..20 {
            describe().await.unwrap();
        }
        assert_eq!(code_of(describe().await), "RequestLimitExceeded");
    }

    #[tokio::test(start_paused = true)]
    async fn operations_accounts_and_regions_have_their_own_buckets() {
        let world = World::new();
        throttled(&world.simulator, 0.0);
        let vpcs = |ec2: &aws_sdk_ec2::Client| ec2.describe_vpcs().send();
        vpcs(&world.ec2).await.unwrap();
        assert_eq!(code_of(vpcs(&world.ec2).await), "RequestLimitExceeded");
        world.ec2.describe_subnets().send().await.unwrap();
        for (account, region) in [(ACCOUNT, "us-east-1"), ("444455556666", "ap-northeast-1")] {
            vpcs(&client(&world.simulator, account, region))
                .await
                .unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn some_reads_have_a_smaller_bucket_for_everything_at_once() {
        let world = World::new();
        throttled(&world.simulator, 1.0);
        let groups = || world.ec2.describe_security_groups();
        for _ in 0..50 {
            groups().send().await.unwrap();
        }
        assert_eq!(code_of(groups().send().await), "RequestLimitExceeded");
        let filter = Filter::builder().name("group-name").values("x").build();
        groups().filters(filter).send().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn some_changes_have_buckets_of_their_own() {
        let world = World::new();
        throttled(&world.simulator, 1.0);
        let create = || world.ec2.create_nat_gateway().send();
        for _ in 0..10 {
            assert_eq!(code_of(create().await), "MissingParameter");
        }
        assert_eq!(code_of(create().await), "RequestLimitExceeded");
    }

    #[tokio::test(start_paused = true)]
    async fn every_service_has_its_own_words() {
        let world = EksWorld::new().await;
        world.cluster_active().await;
        throttled(&world.simulator, 0.0);
        let describe = || world.eks.describe_cluster().name("demo").send();
        describe().await.unwrap();
        assert_eq!(code_of(describe().await), "TooManyRequestsException");
        let update = || world.eks.update_cluster_config().name("demo").send();
        update().await.unwrap_err();
        let refused = update().await.unwrap_err().into_service_error();
        assert!(refused.is_throttling_exception());
        let list = || world.iam.list_roles().send();
        list().await.unwrap();
        assert_eq!(code_of(list().await), "Throttling");
    }

    #[tokio::test(start_paused = true)]
    async fn log_groups_may_be_listed_more_often_than_their_tags() {
        let world = World::new();
        throttled(&world.simulator, 1.0);
        let logs = logs_client(&world.simulator, ACCOUNT, "ap-northeast-1");
        let groups = || logs.describe_log_groups().send();
        for _ in 0..10 {
            groups().await.unwrap();
        }
        assert_eq!(code_of(groups().await), "ThrottlingException");
        let arn = "arn:aws:logs:ap-northeast-1:111122223333:log-group:a";
        let tags = || logs.list_tags_for_resource().resource_arn(arn).send();
        for _ in 0..5 {
            assert_eq!(code_of(tags().await), "ResourceNotFoundException");
        }
        assert_eq!(code_of(tags().await), "ThrottlingException");
        wait(1).await;
        groups().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn parameters_are_read_from_one_bucket_and_written_from_another() {
        let world = World::new();
        throttled(&world.simulator, 1.0);
        let ssm = ssm_client(&world.simulator, ACCOUNT, "ap-northeast-1");
        for _ in 0..20 {
            let by_path = ssm.get_parameters_by_path().path("/a").send();
            by_path.await.unwrap();
            let get = ssm.get_parameter().name("/a").send();
            assert_eq!(code_of(get.await), "ParameterNotFound");
        }
        let get = ssm.get_parameter().name("/a").send();
        assert_eq!(code_of(get.await), "ThrottlingException");
        let put = || ssm.put_parameter().name("/a").value("x").send();
        for _ in 0..3 {
            assert_eq!(code_of(put().await), "ValidationException");
        }
        assert_eq!(code_of(put().await), "ThrottlingException");
    }

    #[tokio::test(start_paused = true)]
    async fn calm_has_no_limits() {
        let world = World::new();
        for _ in 0..1000 {
            world.ec2.describe_vpcs().send().await.unwrap();
        }
    }
}
