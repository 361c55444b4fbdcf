//! EKS's upgrade insights: what speaks against the next Kubernetes version, as EKS saw it when it last
//! looked.
//!
//! EKS looks once a day, and when somebody asks it to (`aws eks start-insights-refresh`). ERROR means that
//! the next minor version has a problem with what was found, WARNING that a later one has (EKS user guide,
//! cluster insights). Of kubelets it is all that the AWS API shows: which nodes they are on, and nothing of
//! their pods.

use aws_sdk_eks::types::{
    AddonCompatibilityDetail, Category, Insight, InsightCategorySpecificSummary,
    InsightResourceDetail, InsightStatus, InsightStatusValue, InsightSummary, InsightsFilter,
};
use aws_smithy_types::date_time::Format;

use crate::aws::{Aws, list};
use crate::contract::error::required;
use crate::contract::{During, Error};
use crate::model::Target;
use crate::resources::eks::is_absent;

/// Name of the insight about nodes whose kubelet is too old.
pub const KUBELET_VERSION_SKEW: &str = "Kubelet version skew";

/// What comes before a node's name in its path.
const NODES: &str = "/nodes/";

/// The upgrade insights of a cluster that have one of these statuses, with all their details; none if
/// there is no cluster.
///
/// One call for the list and one for each insight.
///
/// # Errors
/// What EKS answers otherwise.
pub async fn find(
    aws: &Aws,
    target: &Target,
    statuses: &[InsightStatusValue],
) -> Result<Vec<Insight>, Error> {
    let filter = InsightsFilter::builder()
        .categories(Category::UpgradeReadiness)
        .set_statuses(Some(statuses.to_vec()))
        .build();
    let pages = aws
        .eks()
        .list_insights()
        .cluster_name(&target.cluster_name)
        .filter(filter);
    let listed: Vec<InsightSummary> = match list!(pages).await {
        Err(error) if is_absent(&error) => return Ok(vec![]),
        answer => answer.during("eks:ListInsights")?,
    };
    let mut insights = Vec::with_capacity(listed.len());
    for summary in listed {
        let id = required(summary.id(), "eks:ListInsights: id")?;
        insights.extend(describe_one(aws, target, id).await?);
    }
    Ok(insights)
}

/// None if it went away meanwhile.
async fn describe_one(aws: &Aws, target: &Target, id: &str) -> Result<Option<Insight>, Error> {
    let call = aws
        .eks()
        .describe_insight()
        .cluster_name(&target.cluster_name)
        .id(id);
    match call.send().await {
        Err(error) if is_absent(&error) => Ok(None),
        answer => Ok(answer.during("eks:DescribeInsight")?.insight),
    }
}

/// Whether kubelets are what EKS found against an upgrade to a version.
#[must_use]
pub fn blocks_by_kubelets(insight: &Insight, version: &str) -> bool {
    insight.name() == Some(KUBELET_VERSION_SKEW)
        && insight.kubernetes_version() == Some(version)
        && status(insight) == Some(&InsightStatusValue::Error)
}

/// The insight's status.
#[must_use]
pub fn status(insight: &Insight) -> Option<&InsightStatusValue> {
    insight.insight_status().and_then(InsightStatus::status)
}

/// What the insight is about: names of nodes, other paths in Kubernetes, or ARNs.
#[must_use]
pub fn resources(insight: &Insight) -> Vec<&str> {
    insight
        .resources()
        .iter()
        .filter_map(resource_name)
        .collect()
}

fn resource_name(resource: &InsightResourceDetail) -> Option<&str> {
    let path = resource.kubernetes_resource_uri();
    let node = path.and_then(|path| Some(path.split_once(NODES)?.1));
    node.or(path).or(resource.arn())
}

/// The insight in a line: `Kubelet version skew is ERROR for Kubernetes 1.36: …; it is about
/// fargate-ip-…; seen at 2026-11-01T00:00:00Z`.
#[must_use]
pub fn line(insight: &Insight) -> String {
    let status = status(insight).map_or("unknown", InsightStatusValue::as_str);
    let reason = insight.insight_status().and_then(InsightStatus::reason);
    let mut line = format!(
        "{} is {status} for Kubernetes {}: {}",
        insight.name().unwrap_or("an insight"),
        insight.kubernetes_version().unwrap_or("of some version"),
        reason.unwrap_or("no reason").trim_end_matches('.'),
    );
    let resources = resources(insight);
    if !resources.is_empty() {
        line = format!("{line}; it is about {}", resources.join(", "));
    }
    for addon in compatible_addons(insight) {
        let versions = addon.compatible_versions().join(", ");
        line = format!(
            "{line}; {} would do with {versions}",
            addon.name().unwrap_or_default()
        );
    }
    let seen_at = insight.last_refresh_time();
    match seen_at.and_then(|time| time.fmt(Format::DateTime).ok()) {
        Some(time) => format!("{line}; seen at {time}"),
        None => line,
    }
}

fn compatible_addons(insight: &Insight) -> &[AddonCompatibilityDetail] {
    let summary = insight.category_specific_summary();
    summary.map_or(
        &[],
        InsightCategorySpecificSummary::addon_compatibility_details,
    )
}

/// The error of a request to upgrade to a version: what EKS says, what its insights say, and what to do.
#[must_use]
pub fn conflict(target: &Target, version: &str, says: &str, insights: &[Insight]) -> Error {
    let name = &target.cluster_name;
    let lines: Vec<String> = [says.trim_end_matches('.').to_owned()]
        .into_iter()
        .filter(|text| !text.is_empty())
        .chain(insights.iter().map(line))
        .collect();
    Error::ResourceConflict(format!(
        "cluster {name} cannot be upgraded to Kubernetes {version}: {}. Restart the deployments whose \
         pods run on nodes with old kubelets (kubectl get nodes, kubectl rollout restart), update \
         add-ons that do not run on {version}, let EKS look again (aws eks start-insights-refresh \
         --cluster-name {name}), and start again",
        lines.join(". ")
    ))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_sdk_eks::primitives::DateTime;
    use serde_json::json;
    use simulator::kubernetes::Workload;

    use super::*;
    use crate::aws::codes;
    use crate::model::Plan;
    use crate::testing::World;

    const DAY: Duration = Duration::from_hours(24);

    fn insight(name: &str) -> Insight {
        let is_error = InsightStatus::builder()
            .status(InsightStatusValue::Error)
            .reason("They are too old.");
        let node = InsightResourceDetail::builder()
            .kubernetes_resource_uri("/api/v1/nodes/fargate-ip-10-0-2-9");
        let addon = InsightResourceDetail::builder().arn("arn:addon");
        Insight::builder()
            .name(name)
            .kubernetes_version("1.36")
            .insight_status(is_error.build())
            .resources(node.build())
            .resources(addon.build())
            .last_refresh_time(DateTime::from_secs(0))
            .build()
    }

    /// A cluster that a kubelet and CoreDNS keep from the next version, and EKS has seen it.
    async fn world() -> World {
        let plan = Plan {
            kubernetes_version: "1.34".to_owned(),
            ..Plan::example()
        };
        let world = World::with_cluster(plan).await;
        world.cluster(|cluster| {
            cluster.workloads.push(Workload {
                node: "fargate-ip-10-0-2-9".to_owned(),
                kubernetes: "1.31".to_owned(),
                ..Workload::default()
            });
        });
        let call = world.aws().eks().create_addon().cluster_name("demo");
        call.addon_name("coredns").send().await.unwrap();
        tokio::time::sleep(DAY).await;
        world.forget_calls();
        world
    }

    async fn errors(world: &World) -> Vec<Insight> {
        let statuses = [InsightStatusValue::Error];
        let found = find(&world.aws(), &world.plan.target, &statuses).await;
        found.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn each_insight_is_described() {
        let world = world().await;
        let found = errors(&world).await;
        let names: Vec<_> = found.iter().filter_map(Insight::name).collect();
        assert_eq!(
            names,
            [KUBELET_VERSION_SKEW, "EKS add-on version compatibility"]
        );
        assert_eq!(resources(&found[0]), ["fargate-ip-10-0-2-9"]);
        let filter = json!({"categories": ["UPGRADE_READINESS"], "statuses": ["ERROR"]});
        assert_eq!(world.requests("ListInsights")[0]["filter"], filter);
        let describe = "DescribeInsight";
        assert_eq!(world.calls(), ["ListInsights", describe, describe]);
    }

    #[tokio::test(start_paused = true)]
    async fn insight_that_has_disappeared_is_left_out() {
        let world = world().await;
        world.fail_next("DescribeInsight", codes::RESOURCE_NOT_FOUND, "gone");
        assert_eq!(errors(&world).await.len(), 1);
        let without_cluster = World::new(Plan::example());
        assert_eq!(errors(&without_cluster).await, []);
    }

    #[test]
    fn a_line_says_what_is_wrong_with_what_and_when_it_was_seen() {
        let expected = "Kubelet version skew is ERROR for Kubernetes 1.36: They are too old; it is about \
                        fargate-ip-10-0-2-9, arn:addon; seen at 1970-01-01T00:00:00Z";
        assert_eq!(line(&insight(KUBELET_VERSION_SKEW)), expected);
    }

    #[test]
    fn a_line_names_the_versions_of_addons_that_would_do() {
        let detail = AddonCompatibilityDetail::builder()
            .name("vpc-cni")
            .compatible_versions("v1.20.1-eksbuild.3");
        let summary =
            InsightCategorySpecificSummary::builder().addon_compatibility_details(detail.build());
        let mut insight = insight("EKS add-on version compatibility");
        insight.category_specific_summary = Some(summary.build());
        let line = line(&insight);
        assert!(
            line.contains("vpc-cni would do with v1.20.1-eksbuild.3"),
            "{line}"
        );
    }

    #[test]
    fn kubelets_block_the_version_that_they_are_too_old_for() {
        let kubelets = insight(KUBELET_VERSION_SKEW);
        assert!(blocks_by_kubelets(&kubelets, "1.36"));
        assert!(!blocks_by_kubelets(&kubelets, "1.37"));
        assert!(!blocks_by_kubelets(
            &insight("Cluster health issues"),
            "1.36"
        ));
        let mut warning = kubelets;
        let status = InsightStatus::builder().status(InsightStatusValue::Warning);
        warning.insight_status = Some(status.build());
        assert!(!blocks_by_kubelets(&warning, "1.36"));
    }

    #[test]
    fn a_conflict_says_what_eks_says_what_it_saw_and_what_to_do() {
        let seen = [insight(KUBELET_VERSION_SKEW)];
        let error = conflict(&Plan::example().target, "1.36", "EKS says no.", &seen);
        assert_eq!(error.name(), "ResourceConflict");
        let text = error.to_string();
        for part in [
            "cluster demo cannot be upgraded to Kubernetes 1.36: EKS says no. Kubelet version skew is",
            "fargate-ip-10-0-2-9",
            "kubectl rollout restart",
            "aws eks start-insights-refresh --cluster-name demo",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
