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
    use super::*;
    use aws_sdk_eks::Client;
    use aws_sdk_eks::operation::describe_insight::DescribeInsightOutput;
    use aws_sdk_eks::operation::list_insights::ListInsightsOutput;
    use aws_sdk_eks::primitives::DateTime;
    use aws_smithy_mocks::{Rule, mock};

    use crate::aws::codes;
    use crate::aws::mocks::eks_refusal;
    use crate::model::Plan;

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

    fn lists(ids: &'static [&'static str]) -> Rule {
        mock!(Client::list_insights)
            .match_requests(|call| {
                let filter = call.filter().unwrap();
                filter.categories() == [Category::UpgradeReadiness]
                    && filter.statuses() == [InsightStatusValue::Error]
            })
            .then_output(|| {
                let summary = |id: &&str| InsightSummary::builder().id(*id).build();
                ListInsightsOutput::builder()
                    .set_insights(Some(ids.iter().map(summary).collect()))
                    .build()
            })
    }

    async fn errors(rules: [&Rule; 2]) -> Result<Vec<Insight>, Error> {
        let aws = Aws::offline().with(crate::mocked!(aws_sdk_eks, [rules[0], rules[1]]));
        find(&aws, &Plan::example().target, &[InsightStatusValue::Error]).await
    }

    #[tokio::test]
    async fn each_insight_is_described() {
        let described = mock!(Client::describe_insight).then_compute_output(|call| {
            let insight = insight(call.id().unwrap());
            DescribeInsightOutput::builder().insight(insight).build()
        });
        let found = errors([&lists(&["a", "b"]), &described]).await.unwrap();
        let names: Vec<_> = found.iter().filter_map(Insight::name).collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[tokio::test]
    async fn insight_that_has_disappeared_is_left_out() {
        let gone = || eks_refusal(404, codes::RESOURCE_NOT_FOUND, "gone");
        let described = mock!(Client::describe_insight).then_http_response(gone);
        assert_eq!(errors([&lists(&["a"]), &described]).await, Ok(vec![]));
        let listed = mock!(Client::list_insights).then_http_response(gone);
        assert_eq!(errors([&listed, &described]).await, Ok(vec![]));
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
