//! What EKS's upgrade insights say of kubelets ([`crate::resources::eks_insights`]). Nothing fails of it before the
//! next upgrade, which EKS refuses.

use aws_sdk_eks::types::Insight;

use super::warning;
use crate::resources::eks_insights::{KUBELET_VERSION_SKEW, resources};
use crate::verify::facts::Facts;
use crate::verify::problem::Problem;

/// More are only counted.
const NODES_MAX: usize = 20;

/// Pods whose kubelets are too old for the next Kubernetes version.
pub fn too_old(facts: &Facts) -> Vec<Problem> {
    let insights = facts
        .blocking_insights
        .read()
        .map_or(&[][..], Vec::as_slice);
    let of_kubelets = insights
        .iter()
        .filter(|it| it.name() == Some(KUBELET_VERSION_SKEW));
    of_kubelets.map(|insight| problem(facts, insight)).collect()
}

fn problem(facts: &Facts, insight: &Insight) -> Problem {
    let version = insight.kubernetes_version().unwrap_or("the next version");
    let nodes = resources(insight);
    let more = nodes.len().saturating_sub(NODES_MAX);
    let more = (more > 0).then(|| format!("and {more} more"));
    let named = nodes.into_iter().take(NODES_MAX).map(str::to_owned);
    let named: Vec<String> = named.chain(more).collect();
    let mut seen = format!("kubelets are too old for Kubernetes {version}");
    if !named.is_empty() {
        seen = format!("{seen}: {}", named.join(", "));
    }
    warning(
        facts.cluster_arn(),
        seen,
        format!("kubelets at most three minor versions older than {version}"),
        format!(
            "make the pods of these nodes again (kubectl get pods -A --field-selector spec.nodeName=NODE \
             tells which, kubectl rollout restart does it), then run aws eks start-insights-refresh \
             --cluster-name {}; until then EKS refuses to upgrade the cluster",
            facts.cluster_name()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::facts::Known;
    use crate::verify::fixtures::healthy;
    use aws_sdk_eks::types::InsightResourceDetail;

    fn with(name: &str, nodes: usize) -> Facts {
        let node = |number: usize| {
            let uri = format!("/api/v1/nodes/fargate-ip-10-0-0-{number}");
            InsightResourceDetail::builder()
                .kubernetes_resource_uri(uri)
                .build()
        };
        let insight = Insight::builder()
            .name(name)
            .kubernetes_version("1.37")
            .set_resources(Some((0..nodes).map(node).collect()));
        let mut facts = healthy();
        facts.blocking_insights = Known::Read(vec![insight.build()]);
        facts
    }

    #[test]
    fn the_nodes_are_named_and_the_rest_is_counted() {
        let seen = |nodes| too_old(&with(KUBELET_VERSION_SKEW, nodes))[0].seen.clone();
        let start = "kubelets are too old for Kubernetes 1.37";
        assert_eq!(seen(0), start);
        let two = format!("{start}: fargate-ip-10-0-0-0, fargate-ip-10-0-0-1");
        assert_eq!(seen(2), two);
        assert!(!seen(20).contains("more"));
        assert!(seen(23).ends_with("fargate-ip-10-0-0-19, and 3 more"));
    }

    #[test]
    fn kubelet_that_hardway_repairs_is_no_finding() {
        assert_eq!(too_old(&with("EKS add-on version compatibility", 0)), []);
    }
}
