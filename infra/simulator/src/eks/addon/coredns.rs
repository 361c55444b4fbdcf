//! CoreDNS as an add-on: its versions, and the schema of its configuration.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::api_error::ApiError;
use crate::eks::errors::invalid_parameter;
use crate::kubernetes::Template;

/// A version of the add-on, and the Kubernetes versions that it runs on and is the default of.
pub(super) struct Version {
    pub name: &'static str,
    pub kubernetes: &'static [&'static str],
    pub default_of: &'static [&'static str],
}

/// The newest first. The numbers stand for whatever EKS offers: clients ask, and do not know them; the
/// default of 1.36 is that of a captured answer. All are newer than the first versions with `autoScaling`
/// (EKS user guide, CoreDNS autoscaling: v1.11.1-eksbuild.9 for 1.29 and later), so one schema does for
/// them.
pub(super) const VERSIONS: &[Version] = &[
    Version {
        name: "v1.14.3-eksbuild.23",
        kubernetes: &["1.36"],
        default_of: &["1.36"],
    },
    Version {
        name: "v1.14.1-eksbuild.1",
        kubernetes: &["1.35", "1.36"],
        default_of: &[],
    },
    Version {
        name: "v1.13.2-eksbuild.4",
        kubernetes: &["1.34", "1.35", "1.36"],
        default_of: &["1.35"],
    },
    Version {
        name: "v1.12.3-eksbuild.1",
        kubernetes: &["1.32", "1.33", "1.34"],
        default_of: &["1.34"],
    },
    Version {
        name: "v1.12.1-eksbuild.2",
        kubernetes: &["1.31", "1.32", "1.33"],
        default_of: &["1.33"],
    },
    Version {
        name: "v1.11.4-eksbuild.2",
        kubernetes: &["1.31", "1.32"],
        default_of: &["1.31", "1.32"],
    },
];

/// The only value of `computeType` that puts the pods on Fargate. The schema takes any text: that is
/// how a cluster comes to wait for ever (hashicorp/terraform-provider-aws issue 44690).
const FARGATE: &str = "Fargate";
/// How many pods there are without `replicaCount`.
const REPLICAS: u32 = 2;
/// Requests of the pods unless the configuration has others (CoreDNS' manifest in the EKS user guide).
const CPU: &str = "100m";
const MEMORY: &str = "70Mi";
/// The labels of the pods.
const LABELS: [(&str, &str); 2] = [
    ("k8s-app", "kube-dns"),
    ("eks.amazonaws.com/component", "coredns"),
];

/// The version for a cluster: the one asked for, or the default.
pub(super) fn version(name: Option<&str>, kubernetes: &str) -> Result<&'static Version, ApiError> {
    let mut versions = VERSIONS.iter();
    let version = versions.find(|version| match name {
        Some(name) => version.name == name && version.kubernetes.contains(&kubernetes),
        None => version.default_of.contains(&kubernetes),
    });
    version.ok_or_else(|| invalid_parameter("Addon version specified is not supported"))
}

/// The versions that run on a version of Kubernetes, the newest first.
pub(in crate::eks) fn versions_on(kubernetes: &str) -> Vec<&'static str> {
    let versions = VERSIONS.iter();
    let versions = versions.filter(|version| version.kubernetes.contains(&kubernetes));
    versions.map(|version| version.name).collect()
}

/// What `DescribeAddonConfiguration` answers (public log of CoreDNS v1.10.1-eksbuild.11): nothing but
/// the known members, and `computeType` any text.
pub(super) fn schema() -> Value {
    let quantities = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {"cpu": {"type": "string"}, "memory": {"type": "string"}},
    });
    json!({
        "$schema": "http://json-schema.org/draft-06/schema#",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "affinity": {"type": ["object", "null"]},
            "autoScaling": {
                "type": "object",
                "additionalProperties": false,
                "required": ["enabled"],
                "properties": {
                    "enabled": {"type": "boolean"},
                    "minReplicas": {"type": "integer", "minimum": 2},
                    "maxReplicas": {"type": "integer", "minimum": 2},
                },
            },
            "computeType": {"type": "string"},
            "corefile": {"type": "string"},
            "nodeSelector": {"type": "object", "additionalProperties": {"type": "string"}},
            "podAnnotations": {"type": "object"},
            "podDisruptionBudget": {"type": "object"},
            "podLabels": {"type": "object"},
            "replicaCount": {"type": "integer"},
            "resources": {
                "type": "object",
                "additionalProperties": false,
                "properties": {"limits": quantities, "requests": quantities},
            },
            "tolerations": {"type": "array", "items": {"type": "object"}},
            "topologySpreadConstraints": {"type": "array"},
        },
    })
}

/// Reads `configurationValues`; nothing and the empty text are the empty configuration.
///
/// # Errors
/// `InvalidParameterException`, as EKS says it of a configuration that does not fit its schema.
pub(super) fn read(configuration: Option<&str>) -> Result<Value, ApiError> {
    let text = configuration.map(str::trim).filter(|text| !text.is_empty());
    let Some(text) = text else {
        return Ok(json!({}));
    };
    let refuse = |reason: &str| {
        invalid_parameter(&format!(
            "ConfigurationValue provided in request is not supported: Json schema validation failed \
             with error: [{reason}]"
        ))
    };
    let value: Value = serde_json::from_str(text).map_err(|error| refuse(&error.to_string()))?;
    let validator =
        jsonschema::validator_for(&schema()).map_err(|error| refuse(&error.to_string()))?;
    let errors: Vec<String> = (validator.iter_errors(&value))
        .map(|error| format!("${}: {error}", error.instance_path()))
        .collect();
    if errors.is_empty() {
        return Ok(value);
    }
    Err(refuse(&errors.join(", ")))
}

/// How many pods the configuration wants.
pub(super) fn replicas(configuration: &Value) -> u32 {
    let count = configuration["replicaCount"].as_u64();
    count
        .and_then(|count| u32::try_from(count).ok())
        .unwrap_or(REPLICAS)
}

/// The template of the pods.
pub(super) fn template(version: &str, configuration: &Value) -> Template {
    let resource = |name: &str, default: &str| {
        let of = |kind: &str| configuration["resources"][kind][name].as_str();
        // Kubernetes: without a request the limit is it.
        of("requests")
            .or(of("limits"))
            .unwrap_or(default)
            .to_owned()
    };
    let mut labels: BTreeMap<String, String> = LABELS
        .iter()
        .map(|(key, value)| (String::from(*key), String::from(*value)))
        .collect();
    if let Value::Object(more) = &configuration["podLabels"] {
        let more = more
            .iter()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
        labels.extend(more);
    }
    // The number of pods is the deployment's, not the template's.
    let mut rest = configuration.clone();
    if let Value::Object(members) = &mut rest {
        members.remove("replicaCount");
        members.remove("autoScaling");
        members.remove("podDisruptionBudget");
    }
    Template {
        is_for_fargate: configuration["computeType"] == FARGATE,
        cpu: resource("cpu", CPU),
        memory: resource("memory", MEMORY),
        labels,
        text: format!("{version} {rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eks::version::find;

    #[test]
    fn every_version_of_kubernetes_has_one_default() {
        for kubernetes in ["1.31", "1.32", "1.33", "1.34", "1.35", "1.36"] {
            assert!(find(kubernetes).is_some());
            let defaults = VERSIONS
                .iter()
                .filter(|it| it.default_of.contains(&kubernetes));
            let defaults: Vec<_> = defaults.collect();
            assert_eq!(defaults.len(), 1, "{kubernetes}");
            assert!(defaults[0].kubernetes.contains(&kubernetes));
        }
    }

    #[test]
    fn unknown_members_are_refused_and_any_compute_type_is_taken() {
        let error = read(Some(r#"{"computetype":"Fargate"}"#)).unwrap_err();
        assert_eq!(error.code, "InvalidParameterException");
        assert!(
            error
                .message
                .starts_with("ConfigurationValue provided in request is not supported")
        );
        read(Some(r#"{"resources":{"limits":{"cpu":1}}}"#)).unwrap_err();
        read(Some("computeType: Fargate")).unwrap_err();
        for text in [
            r#"{"computeType":"ec2"}"#,
            r#"{"computeType":"fargate"}"#,
            "{}",
            " ",
        ] {
            read(Some(text)).unwrap();
        }
    }

    #[test]
    fn only_the_exact_compute_type_is_for_fargate() {
        let is_for_fargate = |configuration: Value| template("v1", &configuration).is_for_fargate;
        assert!(is_for_fargate(json!({"computeType": "Fargate"})));
        assert!(!is_for_fargate(json!({"computeType": "fargate"})));
        assert!(!is_for_fargate(json!({})));
    }

    #[test]
    fn number_of_replicas_is_not_part_of_the_template() {
        let of = |configuration: Value| template("v1", &configuration).text;
        assert_eq!(of(json!({"replicaCount": 3})), of(json!({})));
        assert_ne!(of(json!({"podAnnotations": {"a": "b"}})), of(json!({})));
    }
}
