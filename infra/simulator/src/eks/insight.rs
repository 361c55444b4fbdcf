//! Upgrade insights: `ListInsights` and `DescribeInsight`.
//!
//! EKS user guide, cluster insights: once a day EKS looks at each cluster, and says whether it is ready
//! for the next version of Kubernetes: ERROR if the next version has a problem with it, WARNING if a
//! later one has. Two of EKS' checks are simulated, those of kubelets and of add-ons. Their names, and
//! the reasons of what passes, are those of public reports; the reasons of what does not are the
//! simulator's own words, as are the paths of nodes.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::errors::not_found;
use super::page::page;
use super::request::{Request, check_one_of, epoch_seconds};
use super::update::KUBELET_SKEW_MAX;
use super::version::{self, minor};
use super::{Cluster, addon, after, parts};
use crate::api_error::ApiError;
use crate::seed::Seed;
use crate::state::Context;

/// How often EKS looks (EKS user guide, cluster insights).
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// botocore's EKS model, Category.
const CATEGORIES: &[&str] = &[
    "UPGRADE_READINESS",
    "MISCONFIGURATION",
    "ROLLBACK_READINESS",
];
/// botocore's EKS model, InsightStatusValue.
const STATUSES: &[&str] = &["PASSING", "WARNING", "ERROR", "UNKNOWN"];
const UPGRADE_READINESS: &str = "UPGRADE_READINESS";
const PASSING: &str = "PASSING";
const WARNING: &str = "WARNING";
const ERROR: &str = "ERROR";
/// The name of the check of kubelets.
const KUBELET_SKEW: &str = "Kubelet version skew";

/// What EKS saw when it looked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Look {
    at: Timestamp,
    /// The version that the cluster may be updated to next.
    next: String,
    checks: Vec<Check>,
}

/// One thing that EKS looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Check {
    name: String,
    status: String,
    reason: String,
    recommendation: String,
    /// Members of `resources`.
    resources: Vec<Value>,
    /// Members of `addonCompatibilityDetails`.
    addons: Vec<Value>,
    /// Since when it has had the status.
    since: Timestamp,
}

impl Cluster {
    /// The nodes, and the Kubernetes versions of their kubelets.
    pub(super) fn kubelets(&self) -> impl Iterator<Item = (&str, &str)> {
        let pods = self.coredns.iter().flat_map(|coredns| &coredns.pods);
        let pods = pods.filter_map(|pod| Some((pod.node.as_deref()?, pod.kubernetes.as_str())));
        let others = self.workloads.iter();
        pods.chain(others.map(|it| (it.node.as_str(), it.kubernetes.as_str())))
    }

    /// When EKS will look next.
    pub(super) fn next_look_at(&self) -> Timestamp {
        let last = self.insights.as_ref();
        last.map_or(self.active_at, |look| after(look.at, DAY))
    }

    /// Lets EKS look, if it is time.
    pub(super) fn look_for_insights(&mut self, at: Timestamp) {
        if self.fails || at < self.next_look_at() {
            return;
        }
        let next = version::next(&self.version, at).map(|version| version.name.to_owned());
        let mut checks = match &next {
            Some(next) => vec![self.check_kubelets(next, at), self.check_addons(next, at)],
            None => Vec::new(),
        };
        let earlier = self.insights.take().map(|look| look.checks);
        for check in &mut checks {
            let earlier = earlier.iter().flatten();
            let mut same =
                earlier.filter(|it| (&it.name, &it.status) == (&check.name, &check.status));
            check.since = same.next().map_or(at, |it| it.since);
        }
        self.insights = Some(Look {
            at,
            next: next.unwrap_or_default(),
            checks,
        });
    }

    /// The kubelets that the next version, or the one after it, would be too new for.
    fn check_kubelets(&self, next: &str, at: Timestamp) -> Check {
        let status = |kubelet: &str| {
            let behind = minor(next).saturating_sub(minor(kubelet));
            match behind.cmp(&KUBELET_SKEW_MAX) {
                std::cmp::Ordering::Less => PASSING,
                std::cmp::Ordering::Equal => WARNING,
                std::cmp::Ordering::Greater => ERROR,
            }
        };
        let behind = self.kubelets().filter(|(_, it)| status(it) != PASSING);
        let resources: Vec<Value> = behind
            .map(|(node, kubelet)| {
                let reason = format!("its kubelet is of Kubernetes {kubelet}");
                json!({
                    "kubernetesResourceUri": format!("/api/v1/nodes/{node}"),
                    "insightStatus": {"status": status(kubelet), "reason": reason},
                })
            })
            .collect();
        let has = |wanted: &str| self.kubelets().any(|(_, it)| status(it) == wanted);
        let (status, reason) = if has(ERROR) {
            (
                ERROR,
                "Kubelets are too old for the next Kubernetes version.",
            )
        } else if has(WARNING) {
            (
                WARNING,
                "Kubelets are as old as the next Kubernetes version allows.",
            )
        } else {
            let reason = "Node kubelet versions match the cluster control plane version.";
            (PASSING, reason)
        };
        Check {
            name: KUBELET_SKEW.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            recommendation:
                "Upgrade your worker nodes to match the Kubernetes version of your cluster \
                             control plane."
                    .to_owned(),
            resources,
            addons: Vec::new(),
            since: at,
        }
    }

    /// The add-ons that do not run on the next version.
    fn check_addons(&self, next: &str, at: Timestamp) -> Check {
        let fit = addon::versions_on(next);
        let unfit = self.addons.values();
        let unfit: Vec<_> = unfit
            .filter(|it| !fit.contains(&it.version.as_str()))
            .collect();
        let (status, reason) = if unfit.is_empty() {
            let reason =
                "All installed EKS add-on versions are compatible with next Kubernetes version.";
            (PASSING, reason)
        } else {
            (
                ERROR,
                "Add-on versions do not run on the next Kubernetes version.",
            )
        };
        let resource = |it: &&addon::Addon| {
            let reason = format!("{} {} does not run on it", it.name, it.version);
            json!({"arn": it.arn, "insightStatus": {"status": ERROR, "reason": reason}})
        };
        let detail = |it: &&addon::Addon| json!({"name": it.name, "compatibleVersions": fit});
        Check {
            name: "EKS add-on version compatibility".to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            recommendation: "Update the add-ons to compatible versions before the cluster."
                .to_owned(),
            resources: unfit.iter().map(resource).collect(),
            addons: unfit.iter().map(detail).collect(),
            since: at,
        }
    }
}

/// Whether nothing is in the way of an update to `next`, as EKS would see it now: before it takes an
/// update back EKS looks anew (EKS user guide, roll back a cluster), and so it is taken to do here.
pub(super) fn is_ready_for(cluster: &Cluster, next: &str) -> bool {
    let now = Timestamp::MIN;
    let checks = [
        cluster.check_kubelets(next, now),
        cluster.check_addons(next, now),
    ];
    checks.iter().all(|check| check.status != ERROR)
}

impl Check {
    /// What it looks at.
    fn description(&self) -> &'static str {
        if self.name == KUBELET_SKEW {
            "Looks at how far the kubelets of the cluster's nodes are behind the control plane."
        } else {
            "Looks at whether the installed EKS add-ons run on the next Kubernetes version."
        }
    }
}

impl Look {
    /// One check as it is listed; more of it when it is described.
    fn to_json(&self, check: &Check, cluster: &Cluster, seed: Seed) -> Value {
        json!({
            "id": cluster.uuid(seed, &format!("insight/{}", check.name)),
            "name": check.name,
            "category": UPGRADE_READINESS,
            "kubernetesVersion": self.next,
            "lastRefreshTime": epoch_seconds(self.at),
            "lastTransitionTime": epoch_seconds(check.since),
            "description": check.description(),
            "insightStatus": {"status": check.status, "reason": check.reason},
        })
    }
}

/// What of a list is wanted.
fn filter<'a>(request: &'a Request<'_>, name: &str) -> Vec<&'a str> {
    let wanted = request.body["filter"][name].as_array();
    wanted
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// `ListInsights`.
pub(super) fn list(context: &mut Context<'_>, request: &Request<'_>) -> Result<Value, ApiError> {
    let seed = context.seed;
    let (eks, _) = parts(context);
    let cluster = eks.cluster(request.cluster())?;
    let categories = filter(request, "categories");
    let versions = filter(request, "kubernetesVersions");
    let statuses = filter(request, "statuses");
    for category in &categories {
        check_one_of("categories", category, CATEGORIES)?;
    }
    for status in &statuses {
        check_one_of("statuses", status, STATUSES)?;
    }
    let look = cluster.insights.iter();
    let checks = look.flat_map(|look| look.checks.iter().map(move |check| (look, check)));
    let wanted = checks.filter(|(look, check)| {
        let has = |wanted: &[&str], value: &str| wanted.is_empty() || wanted.contains(&value);
        has(&categories, UPGRADE_READINESS)
            && has(&versions, &look.next)
            && has(&statuses, &check.status)
    });
    let insights = wanted.map(|(look, check)| look.to_json(check, cluster, seed));
    page(request, "insights", insights)
}

/// `DescribeInsight`.
pub(super) fn describe(
    context: &mut Context<'_>,
    request: &Request<'_>,
) -> Result<Value, ApiError> {
    let seed = context.seed;
    let (eks, _) = parts(context);
    let cluster = eks.cluster(request.cluster())?;
    let id = request.child();
    let look = cluster.insights.iter();
    let mut checks = look.flat_map(|look| look.checks.iter().map(move |check| (look, check)));
    let found = checks.find_map(|(look, check)| {
        let insight = look.to_json(check, cluster, seed);
        (insight["id"] == id).then_some((insight, check))
    });
    let (mut insight, check) =
        found.ok_or_else(|| not_found(&format!("No insight found for ID: {id}")))?;
    insight["recommendation"] = check.recommendation.clone().into();
    insight["additionalInfo"] = json!({
        "EKS cluster insights": "https://docs.aws.amazon.com/eks/latest/userguide/cluster-insights.html",
    });
    insight["resources"] = check.resources.clone().into();
    insight["categorySpecificSummary"] = json!({
        "deprecationDetails": [],
        "addonCompatibilityDetails": check.addons,
    });
    Ok(json!({"insight": insight}))
}

#[cfg(test)]
mod tests {
    use aws_sdk_eks::types::{
        Category, Insight, InsightStatus, InsightStatusValue, InsightSummary, InsightsFilter,
    };

    use crate::eks::testing::{World, code, wait};
    use crate::kubernetes::Workload;

    async fn list(world: &World, filter: Option<InsightsFilter>) -> Vec<InsightSummary> {
        let call = world.eks.list_insights().cluster_name("demo");
        let answer = call.set_filter(filter).send().await.unwrap();
        answer.insights.unwrap()
    }

    async fn kubelets(world: &World) -> Insight {
        let all = list(world, None).await;
        let found = all
            .iter()
            .find(|it| it.name() == Some("Kubelet version skew"));
        let call = world.eks.describe_insight().cluster_name("demo");
        let call = call.id(found.unwrap().id().unwrap()).send().await;
        call.unwrap().insight.unwrap()
    }

    fn status(insight: &Insight) -> Option<&InsightStatusValue> {
        insight.insight_status().and_then(InsightStatus::status)
    }

    fn run(world: &World, node: &str, kubernetes: &str) {
        world.change_cluster(|cluster| {
            cluster.workloads.push(Workload {
                node: node.to_owned(),
                kubernetes: kubernetes.to_owned(),
                ..Workload::default()
            });
        });
    }

    #[tokio::test(start_paused = true)]
    async fn cluster_of_its_version_is_ready_for_the_next() {
        let world = World::new().await;
        world.cluster_creating().await;
        assert!(list(&world, None).await.is_empty());
        world.wait_until_active().await;
        let all = list(&world, None).await;
        assert_eq!(all.len(), 2);
        for insight in &all {
            assert_eq!(insight.kubernetes_version(), Some("1.36"));
            let status = insight.insight_status().and_then(InsightStatus::status);
            assert_eq!(status, Some(&InsightStatusValue::Passing));
        }
        let other = world.eks.describe_insight().cluster_name("demo").id("x");
        assert_eq!(code(&other.send().await), "ResourceNotFoundException");
    }

    #[tokio::test(start_paused = true)]
    async fn old_kubelets_are_named_when_eks_has_looked_again() {
        let world = World::new().await;
        world.cluster_active().await;
        run(&world, "fargate-ip-10-0-2-9", "1.33");
        assert_eq!(
            status(&kubelets(&world).await),
            Some(&InsightStatusValue::Passing)
        );
        wait(24 * 3600).await;
        let insight = kubelets(&world).await;
        assert_eq!(status(&insight), Some(&InsightStatusValue::Warning));
        run(&world, "fargate-ip-10-0-3-9", "1.32");
        wait(24 * 3600).await;
        let insight = kubelets(&world).await;
        assert_eq!(status(&insight), Some(&InsightStatusValue::Error));
        let nodes: Vec<_> = (insight.resources().iter())
            .filter_map(|it| it.kubernetes_resource_uri())
            .collect();
        assert_eq!(
            nodes,
            [
                "/api/v1/nodes/fargate-ip-10-0-2-9",
                "/api/v1/nodes/fargate-ip-10-0-3-9"
            ]
        );
        assert_eq!(insight.last_transition_time(), insight.last_refresh_time());
        wait(24 * 3600).await;
        let later = kubelets(&world).await;
        assert_eq!(later.last_transition_time(), insight.last_transition_time());
        assert_ne!(later.last_refresh_time(), insight.last_refresh_time());
    }

    #[tokio::test(start_paused = true)]
    async fn addon_that_does_not_run_on_the_next_version_is_named_with_those_that_do() {
        let world = World::new().await;
        world.create("demo").version("1.34").send().await.unwrap();
        world.wait_until_active().await;
        world.coredns(None).send().await.unwrap();
        wait(24 * 3600).await;
        let filter = InsightsFilter::builder()
            .categories(Category::UpgradeReadiness)
            .kubernetes_versions("1.35")
            .statuses(InsightStatusValue::Error);
        let errors = list(&world, Some(filter.build())).await;
        assert_eq!(errors.len(), 1);
        let call = world.eks.describe_insight().cluster_name("demo");
        let call = call.id(errors[0].id().unwrap()).send().await.unwrap();
        let summary = call.insight.unwrap().category_specific_summary.unwrap();
        let details = summary.addon_compatibility_details();
        assert_eq!(details[0].name(), Some("coredns"));
        assert!(!details[0].compatible_versions().is_empty());
        let addon = world.addon().await;
        let unfit = addon.addon_version().unwrap().to_owned();
        assert!(!details[0].compatible_versions().contains(&unfit));
    }

    #[tokio::test(start_paused = true)]
    async fn insights_are_filtered_and_paged() {
        let world = World::new().await;
        world.cluster_active().await;
        let of = |status| InsightsFilter::builder().statuses(status).build();
        assert!(
            list(&world, Some(of(InsightStatusValue::Error)))
                .await
                .is_empty()
        );
        assert_eq!(
            list(&world, Some(of(InsightStatusValue::Passing)))
                .await
                .len(),
            2
        );
        let rollback = InsightsFilter::builder().categories(Category::RollbackReadiness);
        assert!(list(&world, Some(rollback.build())).await.is_empty());
        let wrong = of("x".into());
        let call = world.eks.list_insights().cluster_name("demo").filter(wrong);
        assert_eq!(code(&call.send().await), "InvalidParameterException");
        let page = || {
            world
                .eks
                .list_insights()
                .cluster_name("demo")
                .max_results(1)
        };
        let first = page().send().await.unwrap();
        let rest = page()
            .set_next_token(first.next_token)
            .send()
            .await
            .unwrap();
        assert_eq!(rest.insights().len(), 1);
        assert_eq!(rest.next_token(), None);
        assert_ne!(rest.insights()[0].id(), first.insights.unwrap()[0].id());
    }
}
