//! `DescribeAddon`, `ListAddons`, `DescribeAddonVersions`, `DescribeAddonConfiguration`.

use serde_json::{Value, json};

use super::coredns::{VERSIONS, schema};
use super::{COREDNS, find, missing};
use crate::api_error::ApiError;
use crate::eks::errors::{invalid_parameter, not_found};
use crate::eks::eventual_consistency::EventualConsistency;
use crate::eks::page::page;
use crate::eks::parts;
use crate::eks::request::Request;
use crate::state::Context;

/// `DescribeAddon`.
pub(in crate::eks) fn describe(
    context: &mut Context<'_>,
    request: &Request<'_>,
) -> Result<Value, ApiError> {
    let (now, consistency) = (context.now, EventualConsistency::of(context));
    let (eks, _) = parts(context);
    let cluster = eks.cluster(request.cluster())?;
    let addon = find(cluster, request.child())?;
    if !consistency.shows(&addon.arn, addon.created_at) {
        return Err(missing(cluster, &addon.name));
    }
    Ok(json!({"addon": addon.to_json(cluster, now)}))
}

/// `ListAddons`: those that EKS manages.
pub(in crate::eks) fn list(
    context: &mut Context<'_>,
    request: &Request<'_>,
) -> Result<Value, ApiError> {
    let consistency = EventualConsistency::of(context);
    let (eks, _) = parts(context);
    let cluster = eks.cluster(request.cluster())?;
    let addons = cluster.addons.values();
    let seen = addons.filter(|it| consistency.shows(&it.arn, it.created_at));
    page(request, "addons", seen.map(|addon| json!(addon.name)))
}

/// `DescribeAddonVersions`, of all add-ons or one, for all Kubernetes versions or one.
pub(in crate::eks) fn versions(
    _context: &mut Context<'_>,
    request: &Request<'_>,
) -> Result<Value, ApiError> {
    let kubernetes = request.query("kubernetesVersion");
    let is_wanted = request
        .query("addonName")
        .is_none_or(|name| name == COREDNS);
    let versions = VERSIONS.iter().filter_map(|version| {
        let known = version.kubernetes.iter();
        let compatibilities: Vec<Value> = known
            .filter(|known| kubernetes.is_none_or(|wanted| wanted == **known))
            .map(|known| {
                json!({
                    "clusterVersion": known,
                    "platformVersions": ["*"],
                    "defaultVersion": version.default_of.contains(known),
                })
            })
            .collect();
        (!compatibilities.is_empty()).then(|| {
            json!({
                "addonVersion": version.name,
                "architecture": ["amd64", "arm64"],
                "computeTypes": ["ec2", "auto", "hybrid", "fargate"],
                "compatibilities": compatibilities,
                "requiresConfiguration": false,
                "requiresIamPermissions": false,
            })
        })
    });
    let versions: Vec<Value> = versions.collect();
    let addon = (is_wanted && !versions.is_empty()).then(|| {
        json!({
            "addonName": COREDNS,
            "type": "networking",
            "addonVersions": versions,
            "publisher": "eks",
            "owner": "aws",
            "defaultNamespace": "kube-system",
        })
    });
    page(request, "addons", addon)
}

/// `DescribeAddonConfiguration`.
pub(in crate::eks) fn configuration(
    _context: &mut Context<'_>,
    request: &Request<'_>,
) -> Result<Value, ApiError> {
    let name = request.query("addonName").unwrap_or_default();
    let version = request.query("addonVersion").unwrap_or_default();
    if name.is_empty() || version.is_empty() {
        return Err(invalid_parameter("addonName and addonVersion are required"));
    }
    let is_known = name == COREDNS && VERSIONS.iter().any(|known| known.name == version);
    if !is_known {
        let message = format!("Addon {name} with version {version} not found");
        return Err(not_found(&message));
    }
    Ok(json!({
        "addonName": name,
        "addonVersion": version,
        "configurationSchema": schema().to_string(),
    }))
}

#[cfg(test)]
mod tests {
    use crate::eks::testing::{World, code};

    #[tokio::test(start_paused = true)]
    async fn versions_for_a_kubernetes_version_have_one_default() {
        let world = World::new().await;
        let call = world.eks.describe_addon_versions().addon_name("coredns");
        let answer = call.kubernetes_version("1.36").send().await.unwrap();
        let versions = answer.addons()[0].addon_versions();
        assert_eq!(versions.len(), 3);
        let defaults = versions
            .iter()
            .filter(|it| it.compatibilities()[0].default_version);
        let defaults: Vec<_> = defaults.map(|it| it.addon_version().unwrap()).collect();
        assert_eq!(defaults, ["v1.14.3-eksbuild.23"]);
    }

    #[tokio::test(start_paused = true)]
    async fn unknown_addons_and_versions_have_nothing() {
        let world = World::new().await;
        let call = world
            .eks
            .describe_addon_versions()
            .addon_name("x")
            .send()
            .await;
        assert!(call.unwrap().addons().is_empty());
        let call = world
            .eks
            .describe_addon_versions()
            .kubernetes_version("1.20");
        assert!(call.send().await.unwrap().addons().is_empty());
        let call = world
            .eks
            .describe_addon_configuration()
            .addon_name("coredns");
        let call = call.addon_version("v0").send().await;
        assert_eq!(code(&call), "ResourceNotFoundException");
    }

    #[tokio::test(start_paused = true)]
    async fn schema_does_not_restrict_the_compute_type() {
        let world = World::new().await;
        let call = world
            .eks
            .describe_addon_configuration()
            .addon_name("coredns");
        let answer = call
            .addon_version("v1.13.2-eksbuild.4")
            .send()
            .await
            .unwrap();
        let schema = answer.configuration_schema.unwrap();
        let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(
            schema["properties"]["computeType"],
            serde_json::json!({"type": "string"})
        );
    }
}
