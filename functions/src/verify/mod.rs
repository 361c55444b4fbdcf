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
    use crate::model::Plan;
    use crate::testing::World;

    async fn examine_in(world: &World) -> Result<Report, Error> {
        examine(&world.aws(), &world.plan.target).await
    }

    #[tokio::test(start_paused = true)]
    async fn without_the_cluster_there_is_nothing_to_look_at() {
        let error = examine_in(&World::new(Plan::example())).await.unwrap_err();
        assert_eq!(error.name(), "InvalidRequest");
        assert!(error.to_string().contains("demo"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn denied_reads_are_reported_and_fail_nothing() {
        let world = World::with_coredns(Plan::example()).await;
        assert_eq!(examine_in(&world).await.unwrap().findings, []);
        let ec2 = [
            "ec2:DescribeVpcAttribute",
            "ec2:DescribeVpcAttribute",
            "ec2:DescribeSubnets",
            "ec2:DescribeRouteTables",
            "ec2:DescribeNatGateways",
            "ec2:DescribeVpcEndpoints",
            "ec2:DescribeSecurityGroups",
        ];
        let others = [
            "eks:ListFargateProfiles",
            "eks:DescribeAddon",
            "eks:ListNodegroups",
            "eks:DescribeClusterVersions",
            "eks:ListInsights",
            "eks:ListAccessEntries",
            "servicequotas:GetServiceQuota",
        ];
        let ec2 = ec2.map(|action| (action, "UnauthorizedOperation"));
        let others = others.map(|action| (action, "AccessDeniedException"));
        let mut denied: Vec<_> = ec2.into_iter().chain(others).collect();
        for (action, code) in &denied {
            let (_, operation) = action.split_once(':').unwrap();
            world.fail_next(operation, code, "not authorized");
        }
        let report = examine_in(&world).await.unwrap();
        assert_eq!(report.errors, 0);
        let findings = report.findings.iter();
        let mut said: Vec<_> = findings.map(|it| (it.id, it.resource.as_str())).collect();
        said.sort_unstable();
        denied.sort_unstable();
        let expected: Vec<_> = denied.iter().map(|it| ("not-checked", it.0)).collect();
        assert_eq!(said, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_down_is_for_the_machine_to_retry() {
        let world = World::new(Plan::example());
        world.fail_next("DescribeCluster", "ThrottlingException", "Rate exceeded");
        let error = examine_in(&world).await.unwrap_err();
        assert_eq!(error.name(), "Throttled");
    }
}
