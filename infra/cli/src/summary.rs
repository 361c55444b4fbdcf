//! What a person sees at the end: the resources, how long AWS took, CoreDNS' pods and their nodes.

use std::time::Duration;

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;
use simulator::Lifetime;
use simulator::kubernetes::View;

use crate::view::minutes;

/// The resources of an execution's output.
#[must_use]
pub fn resources(output: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |field: &str, line: &dyn Fn(&Value) -> String| {
        let items = output[field].as_array().into_iter().flatten();
        items.map(line).collect::<Vec<_>>().join("\n")
    };
    let rows = [
        ("cluster", text(&output["clusterArn"])),
        ("endpoint", text(&output["endpoint"])),
        (
            "version",
            format!(
                "{} ({})",
                text(&output["kubernetesVersion"]),
                text(&output["platformVersion"])
            ),
        ),
        ("VPC", text(&output["vpcId"])),
        (
            "subnets",
            list("subnets", &|zone| {
                format!(
                    "{}  public {}  private {}",
                    text(&zone["zoneId"]),
                    text(&zone["publicSubnetId"]),
                    text(&zone["privateSubnetId"])
                )
            }),
        ),
        (
            "NAT gateways",
            list("natGateways", &|nat| {
                format!(
                    "{}  {}  {}",
                    text(&nat["zoneId"]),
                    text(&nat["natGatewayId"]),
                    text(&nat["publicIp"])
                )
            }),
        ),
        (
            "Fargate profiles",
            list("fargateProfiles", &|profile| text(&profile["name"])),
        ),
        ("administrators", list("admins", &|arn| text(arn))),
        (
            "CoreDNS",
            format!(
                "{} {}",
                text(&output["coredns"]["status"]),
                text(&output["coredns"]["addonVersion"])
            ),
        ),
        (
            "findings",
            list("findings", &|finding| {
                format!("{}  {}", text(&finding["id"]), text(&finding["seen"]))
            }),
        ),
        ("next", text(&output["updateKubeconfig"])),
    ];
    let mut table = table();
    for (name, value) in rows
        .into_iter()
        .filter(|(_, value)| !value.trim().is_empty())
    {
        table.add_row([name.to_owned(), value]);
    }
    table.to_string()
}

/// How long AWS took for each resource. It depends on the seed only.
#[must_use]
pub fn durations(lifetimes: &[Lifetime]) -> String {
    let mut table = table();
    table.set_header(["AWS TOOK", "FOR", ""]);
    for lifetime in lifetimes {
        let took = Duration::from_secs_f64(lifetime.seconds);
        table.add_row([minutes(took), lifetime.kind.clone(), lifetime.name.clone()]);
    }
    table.to_string()
}

/// CoreDNS' pods, as `kubectl get pods` shows them.
#[must_use]
pub fn pods(view: &View) -> String {
    let mut table = table();
    table.set_header(["NAMESPACE", "NAME", "READY", "STATUS", "NODE"]);
    for pod in &view.pods {
        let node = pod.node.as_deref().unwrap_or("<none>");
        table.add_row([&pod.namespace, &pod.name, &pod.ready, &pod.status, node]);
    }
    table.to_string()
}

/// The nodes, as `kubectl get nodes` shows them.
#[must_use]
pub fn nodes(view: &View) -> String {
    let mut table = table();
    table.set_header(["NAME", "STATUS", "VERSION"]);
    for node in &view.nodes {
        table.add_row([&node.name, &node.status, &node.version]);
    }
    table.to_string()
}

/// Whether CoreDNS runs: all its pods Running, and as many Ready nodes as pods.
#[must_use]
pub fn coredns_runs(view: &View) -> bool {
    let ready = view
        .nodes
        .iter()
        .filter(|node| node.status == "Ready")
        .count();
    !view.pods.is_empty()
        && view.pods.iter().all(|pod| pod.status == "Running")
        && ready == view.pods.len()
}

/// Plain columns, as kubectl prints them.
pub(crate) fn table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use simulator::kubernetes::{Node, Pod};

    fn view(statuses: &[&str], nodes: usize) -> View {
        let pod = |status: &&str| Pod {
            status: (*status).to_owned(),
            ..Pod::default()
        };
        let node = Node {
            status: "Ready".to_owned(),
            ..Node::default()
        };
        View {
            pods: statuses.iter().map(pod).collect(),
            nodes: vec![node; nodes],
        }
    }

    #[test]
    fn coredns_runs_only_with_all_pods_on_as_many_nodes() {
        assert!(coredns_runs(&view(&["Running", "Running"], 2)));
        assert!(!coredns_runs(&view(&["Running", "Pending"], 1)));
        assert!(!coredns_runs(&view(&["Running", "Running"], 1)));
        assert!(!coredns_runs(&view(&[], 0)));
    }

    #[test]
    fn the_summary_ends_with_the_next_command() {
        let output =
            json!({"clusterArn": "arn:x", "updateKubeconfig": "aws eks update-kubeconfig"});
        let text = resources(&output);
        assert!(
            text.trim_end().ends_with("aws eks update-kubeconfig"),
            "{text}"
        );
        assert!(!text.contains("administrators"), "{text}");
    }
}
