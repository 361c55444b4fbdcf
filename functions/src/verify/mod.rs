//! What is wrong with a cluster on Fargate, as far as AWS's APIs show, the most likely cause first.
//!
//! It only reads, and only from EC2, EKS, IAM and Service Quotas: no kubectl, no way into the cluster's
//! network, so it works with a private endpoint, and on any cluster with Fargate profiles, whoever made
//! it. Everything follows from DescribeCluster; no tag is needed.
//!
//! Data flows one way: one pass of reads gives the [`Facts`], the rows of the [`CATALOGUE`] are pure
//! functions from facts to problems, and the [`Report`] puts their findings in order. What the caller
//! may not read is said (`not-checked`) and takes nothing else with it.
//!
//! `docs/diagnosis.md` explains the catalogue for people.

mod checks;
mod facts;
#[cfg(test)]
mod fixtures;
mod gather;
mod problem;
mod report;
mod trust;
mod way_out;

use serde::Deserialize;
use serde_json::Value;

use crate::aws::{Aws, Base, Session};
use crate::contract::function::{parse, respond};
use crate::contract::{Error, Function, Outcome};
use crate::model::Target;
pub use checks::{CATALOGUE, Row};
pub use facts::{Facts, Known, PodRole, Unread};
pub use problem::{Problem, Severity};
pub use report::{Finding, Report};

/// The function `verify`.
pub struct Verify;

/// `{"action": "verify", "plan": {…}}` fails if something is wrong; `{"action": "diagnose", "plan": {…}}`
/// says what is. Of the plan no more is needed than its [`Target`].
#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "lowercase")]
enum Request {
    Verify { plan: Target },
    Diagnose { plan: Target },
}

/// What it is in another account.
pub const SESSION: Session = Session {
    step: Verify::NAME,
    policy: include_str!("policy.json"),
};

impl Function for Verify {
    const NAME: &'static str = "verify";

    /// Answers `{"status": "READY", "clusterName": …, "summary": …, "errors": n, "findings": […]}`.
    async fn handle(base: &Base, request: Value) -> Result<Value, Error> {
        let request: Request = parse(request)?;
        let (Request::Verify { plan } | Request::Diagnose { plan }) = &request;
        let aws = base.target(plan, &SESSION).await?;
        let report = examine(&aws, plan).await?;
        if matches!(request, Request::Verify { .. }) && report.errors > 0 {
            return Err(Error::VerificationFailed(report.summary));
        }
        respond(&Outcome::Ready(report))
    }
}

/// Looks at the cluster with the target's name and says what is wrong with it.
///
/// # Errors
/// [`Error::InvalidRequest`] if there is no such cluster; what AWS answers if it is to be asked again
/// later, or if not even the cluster can be read.
pub async fn examine(aws: &Aws, target: &Target) -> Result<Report, Error> {
    Ok(Report::of(&gather::facts(aws, target).await?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_eks::operation::describe_cluster::DescribeClusterOutput;
    use aws_smithy_mocks::mock;

    use crate::aws::codes;
    use crate::aws::mocks::eks_refusal;
    use crate::model::Plan;

    fn target() -> Target {
        Plan::example().target
    }

    #[tokio::test]
    async fn without_the_cluster_there_is_nothing_to_look_at() {
        let missing = mock!(aws_sdk_eks::Client::describe_cluster)
            .then_http_response(|| eks_refusal(404, codes::RESOURCE_NOT_FOUND, "No cluster found"));
        let aws = Aws::offline().with(crate::mocked!(aws_sdk_eks, [&missing]));
        let error = examine(&aws, &target()).await.unwrap_err();
        assert_eq!(error.name(), "InvalidRequest");
        assert!(error.to_string().contains("demo"), "{error}");
    }

    #[tokio::test]
    async fn denied_reads_are_reported_and_fail_nothing() {
        let described = mock!(aws_sdk_eks::Client::describe_cluster).then_output(|| {
            let cluster = fixtures::healthy().cluster;
            DescribeClusterOutput::builder().cluster(cluster).build()
        });
        let denied = || eks_refusal(403, "AccessDeniedException", "not authorized");
        let ec2_denied =
            || crate::aws::mocks::ec2_refusal("UnauthorizedOperation", "not authorized");
        let rules = [
            mock!(aws_sdk_eks::Client::list_fargate_profiles).then_http_response(denied),
            mock!(aws_sdk_eks::Client::describe_addon).then_http_response(denied),
            mock!(aws_sdk_eks::Client::list_nodegroups).then_http_response(denied),
            mock!(aws_sdk_eks::Client::describe_cluster_versions).then_http_response(denied),
            mock!(aws_sdk_eks::Client::list_insights).then_http_response(denied),
            mock!(aws_sdk_eks::Client::list_access_entries).then_http_response(denied),
        ];
        let [profiles, addon, groups, versions, insights, entries] = &rules;
        let attribute =
            mock!(aws_sdk_ec2::Client::describe_vpc_attribute).then_http_response(ec2_denied);
        let subnets = mock!(aws_sdk_ec2::Client::describe_subnets).then_http_response(ec2_denied);
        let tables =
            mock!(aws_sdk_ec2::Client::describe_route_tables).then_http_response(ec2_denied);
        let gateways =
            mock!(aws_sdk_ec2::Client::describe_nat_gateways).then_http_response(ec2_denied);
        let endpoints =
            mock!(aws_sdk_ec2::Client::describe_vpc_endpoints).then_http_response(ec2_denied);
        let security_groups =
            mock!(aws_sdk_ec2::Client::describe_security_groups).then_http_response(ec2_denied);
        // Service Quotas gives no answer at all.
        let aws = Aws::offline()
            .with(crate::mocked!(
                aws_sdk_eks,
                [
                    &described, profiles, addon, groups, versions, insights, entries
                ]
            ))
            .with(crate::mocked!(
                aws_sdk_ec2,
                [
                    &attribute,
                    &subnets,
                    &tables,
                    &gateways,
                    &endpoints,
                    &security_groups
                ]
            ));
        let report = examine(&aws, &target()).await.unwrap();
        assert_eq!(report.errors, 0);
        let seen: Vec<&str> = report.findings.iter().map(|it| it.id).collect();
        assert_eq!(seen, ["not-checked"; 14]);
        let said: Vec<&str> = (report.findings.iter())
            .map(|it| it.resource.as_str())
            .collect();
        for action in [
            "eks:ListFargateProfiles",
            "eks:DescribeAddon",
            "ec2:DescribeRouteTables",
            "servicequotas:GetServiceQuota",
        ] {
            assert!(said.contains(&action), "{said:?}");
        }
    }

    #[tokio::test]
    async fn a_slow_down_is_for_the_machine_to_retry() {
        let throttled = mock!(aws_sdk_eks::Client::describe_cluster)
            .then_http_response(|| eks_refusal(429, "ThrottlingException", "Rate exceeded"));
        let aws = Aws::offline().with(crate::mocked!(aws_sdk_eks, [&throttled]));
        let error = examine(&aws, &target()).await.unwrap_err();
        assert_eq!(error.name(), "Throttled");
    }
}
