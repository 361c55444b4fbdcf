//! What a person types at the console: the input of the provisioning state machine.
//!
//! Only `clusterName` is required; the `plan` function fills in the rest. The types here say which
//! shapes are possible (an unknown field is an error); what values make sense is checked by `plan`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::contract::Error;

/// The input of a provisioning execution.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "hardway input")]
pub struct Spec {
    /// Name of the EKS cluster: 1 to 100 letters, digits, hyphens and underscores, starting with a
    /// letter or a digit.
    #[schemars(regex(pattern = r"^[0-9A-Za-z][A-Za-z0-9_-]{0,99}$"))]
    pub cluster_name: String,
    /// AWS region of the cluster, for example `ap-northeast-1`. Default: the region of the state
    /// machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The account to build in. Default: the account of the state machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountSpec>,
    /// Kubernetes version, for example `1.36`. Default: the newest one in standard support; of a cluster
    /// that exists, its own. The next minor version upgrades it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^1\.[0-9]{2}$"))]
    pub kubernetes_version: Option<String>,
    /// The VPC and its subnets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkSpec>,
    /// Who reaches the Kubernetes API, from where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<EndpointSpec>,
    /// Which pods run on Fargate. One profile must select the namespace `kube-system`, where
    /// CoreDNS lives. Default: a profile `kube-system` and a profile `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fargate_profiles: Option<Vec<FargateProfile>>,
    /// Who may administer the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
    /// Control-plane logs to send to CloudWatch Logs. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logging: Option<Vec<LogType>>,
    /// ARN of a KMS key of your own for the envelope encryption of Kubernetes secrets. Default:
    /// a key that AWS owns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key_arn: Option<String>,
    /// What happens at the end of the version's standard support: `STANDARD` (upgraded
    /// automatically) or `EXTENDED` (stays, at a higher price). Default: `STANDARD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support_type: Option<SupportType>,
    /// Whether EKS refuses to delete the cluster until the protection is turned off. Default: off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_protection: Option<bool>,
    /// ARN of the permissions boundary that both IAM roles get. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions_boundary_arn: Option<String>,
    /// How the cluster's own IAM roles are called. A cluster that exists keeps its roles. Default: as the
    /// stack's parameters say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iam: Option<IamSpec>,
    /// What to do with a half-made cluster when a step fails for good. Default: `keep`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
    /// Tags for everything that can be tagged, beside hardway's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, String>>,
    /// Whether the execution ends after the plan, with the resources that it would create, change or
    /// adopt, the estimated minutes and the monthly price; nothing is created. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
}

/// The account to build in and how to get into it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccountSpec {
    /// Twelve digits.
    #[schemars(regex(pattern = r"^[0-9]{12}$"))]
    pub id: String,
    /// Name (with its path, if any) of the role to assume there. Default:
    /// `MemberRoleName` of the stack, which is `HardwayMember` unless somebody has changed it. Not used in
    /// the state machine's own account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_name: Option<String>,
    /// External id that the role's trust policy asks for. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Since when the account is new (RFC 3339, for example `2026-11-28T10:00:00Z`): when it was created,
    /// joined the organization, or was enrolled. In an execution that starts within four hours from then,
    /// what a service control policy denies and a role that does not exist yet are waited for. Default: it
    /// is not new, and they are errors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_since: Option<String>,
}

/// How the cluster's own IAM roles are called.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IamSpec {
    /// IAM path of the cluster role, at most 64 characters, for example `/platform/`: the stack's
    /// ClusterRolePath, since the functions reach no other. The pod execution role has the path `/`: EKS
    /// takes no other. Default: the stack's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^/([A-Za-z0-9+=,.@_-]+/)*$"), length(max = 64))]
    pub path: Option<String>,
    /// How the names of both roles begin: 1 to 32 letters, digits and `+=,.@_-`. It begins as the stack's
    /// RoleNamePrefix says. Default: the stack's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9+=,.@_-]{1,32}$"))]
    pub name_prefix: Option<String>,
}

/// The VPC and its subnets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetworkSpec {
    /// IPv4 CIDR block of the VPC, /16 to /24. Default: `10.100.0.0/16`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cidr: Option<String>,
    /// How many Availability Zones: 2 or 3. Default: 3, or 2 where the region has no more; of a cluster
    /// that exists, its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 3))]
    pub availability_zones: Option<u8>,
    /// Ids of the Availability Zones, 2 or 3 of them, for example `apne1-az1`. Default: the first ones in
    /// which EKS makes control planes and runs pods on Fargate. A cluster that exists keeps its zones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 3))]
    pub availability_zone_ids: Option<Vec<String>>,
    /// Ids of Availability Zones to leave out when zones are chosen. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excluded_availability_zone_ids: Option<Vec<String>>,
    /// A NAT gateway for each Availability Zone, or a single one for all. Default: `onePerAz`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nat_gateways: Option<NatGateways>,
}

/// Who reaches the Kubernetes API, from where.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EndpointSpec {
    /// Whether the API has a public endpoint. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<bool>,
    /// CIDR blocks that may use the public endpoint, at most 40. Default: `0.0.0.0/0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_cidrs: Option<Vec<String>>,
    /// Whether the API has an endpoint inside the VPC. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private: Option<bool>,
}

/// How many NAT gateways.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum NatGateways {
    /// One in each Availability Zone: no zone depends on another.
    #[default]
    OnePerAz,
    /// One for all: cheaper; the cluster's way out is gone when its zone is.
    Single,
}

/// A Fargate profile: which pods run on Fargate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FargateProfile {
    /// Name of the profile, unique in the cluster.
    pub name: String,
    /// 1 to 5 selectors; a pod that matches one of them runs on Fargate.
    #[schemars(length(min = 1, max = 5))]
    pub selectors: Vec<Selector>,
}

/// Which pods a Fargate profile selects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Selector {
    /// Kubernetes namespace; `*` and `?` are wildcards.
    pub namespace: String,
    /// Labels that the pod must have, at most 5. Default: none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// Namespace of the CoreDNS pods.
const COREDNS_NAMESPACE: &str = "kube-system";
/// Labels of the CoreDNS pods, by whichever a Fargate profile may select them.
const COREDNS_LABELS: [(&str, &str); 2] = [
    ("k8s-app", "kube-dns"),
    ("eks.amazonaws.com/component", "coredns"),
];

impl Selector {
    /// Whether a pod of EKS's CoreDNS add-on matches.
    #[must_use]
    pub fn selects_coredns(&self) -> bool {
        matches_wildcards(&self.namespace, COREDNS_NAMESPACE)
            && self.labels.iter().all(|(key, value)| {
                COREDNS_LABELS.iter().any(|label| {
                    matches_wildcards(key, label.0) && matches_wildcards(value, label.1)
                })
            })
    }
}

/// Whether `text` matches a pattern in which `*` stands for any characters and `?` for one.
///
/// Only the last star seen so far ever takes more of the text, so that a pattern of many stars costs no
/// more than its length times the text's.
#[must_use]
pub fn matches_wildcards(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    let mut last_star = None;
    loop {
        let (before, mut after) = (text.clone(), text.clone());
        match (pattern.next(), after.next()) {
            (Some('*'), _) => last_star = Some((pattern.clone(), before)),
            (Some(wanted), Some(c)) if wanted == '?' || wanted == c => text = after,
            (None, None) => return true,
            _ => {
                let Some((rest, taken)) = &mut last_star else {
                    return false;
                };
                if taken.next().is_none() {
                    return false;
                }
                (pattern, text) = (rest.clone(), taken.clone());
            }
        }
    }
}

/// Who may administer the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Access {
    /// ARNs of IAM roles or users that become cluster administrators.
    #[serde(default)]
    pub admins: Vec<String>,
    /// Names of roles of IAM Identity Center in the account that become cluster administrators, with
    /// wildcards for what differs from account to account: `AWSReservedSSO_PlatformAdmin_*`. Each finds one
    /// role. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(regex(
        pattern = r"^AWSReservedSSO_[A-Za-z0-9_+=,.@-][A-Za-z0-9_+=,.@*?-]{0,48}$"
    )))]
    pub admin_role_names: Vec<String>,
}

/// A kind of control-plane log.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum LogType {
    /// Requests to the Kubernetes API server.
    Api,
    /// Who did what, when.
    Audit,
    /// Authentication of IAM principals.
    Authenticator,
    /// The controller manager.
    ControllerManager,
    /// The scheduler.
    Scheduler,
}

/// What happens at the end of a Kubernetes version's standard support.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum SupportType {
    /// The cluster is upgraded automatically.
    #[default]
    Standard,
    /// The cluster stays on its version, at a higher price.
    Extended,
}

/// What to do with a half-made cluster when a step fails for good.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnFailure {
    /// Leave it for a person to look at; the next execution carries on from there.
    #[default]
    Keep,
    /// Remove everything that was made.
    Remove,
}

/// The input of a teardown execution.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "hardway teardown input")]
pub struct TeardownSpec {
    /// Name of the EKS cluster that is removed, with everything that was made for it.
    #[schemars(regex(pattern = r"^[0-9A-Za-z][A-Za-z0-9_-]{0,99}$"))]
    pub cluster_name: String,
    /// AWS region of the cluster. Default: the region of the state machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The account that the cluster is in. Default: the account of the state machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountSpec>,
    /// Whether a cluster with deletion protection is removed too. Default: it stays, and the teardown
    /// fails before it removes anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disable_deletion_protection: Option<bool>,
    /// The execution that started this one; Step Functions shows the two together.
    #[serde(
        default,
        rename = "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID",
        skip_serializing_if = "Option::is_none"
    )]
    pub started_by: Option<String>,
}

/// The input of a fleet execution: `inputs` or `key`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "hardway fleet input")]
pub struct FleetSpec {
    /// The inputs of provisioning, one for each cluster. One that is wrong fails alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<Spec>>", length(min = 1))]
    pub inputs: Option<Vec<Value>>,
    /// Key of an object in the stack's bucket: the same list as a JSON array, for more than fits into
    /// an input (256 KiB).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub key: Option<String>,
    /// How many clusters are built at a time, 1 to 1000. Default: 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_concurrency: Option<u32>,
    /// How many of a hundred may fail; when more have failed, the rest is not started. Default: 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub tolerated_failure_percentage: Option<u32>,
}

impl FleetSpec {
    /// Reads a spec from JSON.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] with the path of the field that does not fit.
    pub fn parse(input: &Value) -> Result<Self, Error> {
        parse(input)
    }
}

impl Spec {
    /// Reads a spec from JSON.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] with the path of the field that does not fit.
    pub fn parse(input: &Value) -> Result<Self, Error> {
        parse(input)
    }
}

impl TeardownSpec {
    /// Reads a spec from JSON.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] with the path of the field that does not fit.
    pub fn parse(input: &Value) -> Result<Self, Error> {
        parse(input)
    }
}

fn parse<T: serde::de::DeserializeOwned>(input: &Value) -> Result<T, Error> {
    // Serde would take a list for an object whose members have no names.
    if let Some((field, list)) = find_list_for_object(input) {
        return Err(Error::invalid(field, list, "an object"));
    }
    serde_path_to_error::deserialize(input).map_err(|error| {
        let field = match error.path().to_string() {
            path if path == "." => "input".to_owned(),
            path => path,
        };
        let value = value_at(input, &field);
        Error::InvalidRequest {
            field,
            value,
            expected: remedy(&error.into_inner().to_string()),
        }
    })
}

/// A list where an object belongs, with its path.
fn find_list_for_object(input: &Value) -> Option<(String, &Value)> {
    let elements = |list: &'_ Value| list.as_array().map(Vec::len).unwrap_or_default();
    let mut objects = vec![("input".to_owned(), Some(input))];
    for member in ["account", "network", "endpoint", "access"] {
        objects.push((member.to_owned(), input.get(member)));
    }
    let profiles = &input["fargateProfiles"];
    for profile in 0..elements(profiles) {
        let field = format!("fargateProfiles[{profile}]");
        let selectors = &profiles[profile]["selectors"];
        for selector in 0..elements(selectors) {
            let field = format!("{field}.selectors[{selector}]");
            objects.push((field, selectors.get(selector)));
        }
        objects.push((field, profiles.get(profile)));
    }
    let objects = objects.into_iter();
    let mut objects = objects.filter_map(|(field, value)| Some((field, value?)));
    objects.find(|(_, value)| value.is_array())
}

/// What would be right, of what serde says. A value of the wrong kind is named already.
fn remedy(message: &str) -> String {
    let is_wrong = ["invalid type", "invalid value", "unknown variant"];
    let is_wrong = is_wrong.iter().any(|start| message.starts_with(start));
    match message.split_once(", expected ") {
        Some((_, "a map")) => "an object".to_owned(),
        Some((_, "a sequence")) => "a list".to_owned(),
        Some((_, kind)) if is_wrong && kind.starts_with("struct ") => "an object".to_owned(),
        Some((_, right)) if is_wrong => right.to_owned(),
        _ => message.to_owned(),
    }
}

/// The value at a path like `network.cidr` or `fargateProfiles[0].name`, as JSON text; the whole
/// input where the path leads nowhere.
fn value_at(input: &Value, path: &str) -> String {
    let pointer = format!("/{}", path.replace(['.', '['], "/").replace(']', ""));
    input.pointer(&pointer).unwrap_or(input).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn invalid(input: &Value) -> (String, String, String) {
        match Spec::parse(input) {
            Err(Error::InvalidRequest {
                field,
                value,
                expected,
            }) => (field, value, expected),
            other => panic!("expected InvalidRequest, got {other:?}"),
        }
    }

    #[test]
    fn a_name_is_enough() {
        let spec = Spec::parse(&json!({"clusterName": "demo"})).unwrap();
        assert_eq!(spec.cluster_name, "demo");
        assert_eq!(spec.network, None);
    }

    #[test]
    fn an_unknown_field_is_named_with_its_path() {
        let (field, _, expected) =
            invalid(&json!({"clusterName": "demo", "network": {"cidrs": "10.0.0.0/16"}}));
        assert_eq!(field, "network.cidrs");
        assert!(expected.contains("unknown field `cidrs`"), "{expected}");
        assert!(expected.contains("`cidr`"), "{expected}");
    }

    #[test]
    fn a_wrong_type_is_named_with_its_value() {
        let (field, value, expected) =
            invalid(&json!({"clusterName": "demo", "network": {"natGateways": "two"}}));
        assert_eq!(
            (field.as_str(), value.as_str()),
            ("network.natGateways", "\"two\"")
        );
        assert!(expected.contains("`onePerAz`"), "{expected}");
    }

    #[test]
    fn a_wrong_kind_is_told_what_would_be_right() {
        for (members, right) in [
            (json!({"region": 1}), "a string"),
            (json!({"access": {"admins": "x"}}), "a list"),
            (json!({"tags": []}), "an object"),
            (json!({"account": "444455556666"}), "an object"),
            (json!({"onFailure": "stop"}), "`keep` or `remove`"),
        ] {
            let mut input = json!({"clusterName": "demo"});
            let Value::Object(members) = members else {
                panic!("{members}")
            };
            input.as_object_mut().unwrap().extend(members);
            assert_eq!(invalid(&input).2, right);
        }
        assert_eq!(invalid(&json!("demo")).2, "an object");
    }

    #[test]
    fn a_list_is_no_object_without_names() {
        for (input, list) in [
            (json!(["demo"]), "input"),
            (
                json!({"clusterName": "demo", "network": ["10.0.0.0/16"]}),
                "network",
            ),
            (
                json!({"clusterName": "demo", "fargateProfiles": [["a", []]]}),
                "fargateProfiles[0]",
            ),
            (
                json!({"clusterName": "demo", "fargateProfiles": [{"selectors": [["a"]]}]}),
                "fargateProfiles[0].selectors[0]",
            ),
        ] {
            let (field, _, expected) = invalid(&input);
            assert_eq!((field.as_str(), expected.as_str()), (list, "an object"));
        }
    }

    #[test]
    fn an_element_of_a_list_is_named_with_its_index() {
        let (field, ..) = invalid(
            &json!({"clusterName": "demo", "fargateProfiles": [{"name": "a", "selectors": [{}]}]}),
        );
        assert_eq!(field, "fargateProfiles[0].selectors[0]");
    }

    #[test]
    fn a_missing_name_is_said() {
        let (field, _, expected) = invalid(&json!({}));
        assert_eq!(field, "input");
        assert!(
            expected.contains("missing field `clusterName`"),
            "{expected}"
        );
    }

    fn selector(namespace: &str, labels: &[(&str, &str)]) -> Selector {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Selector {
            namespace: namespace.to_owned(),
            labels: labels.iter().map(owned).collect(),
        }
    }

    #[test]
    fn coredns_is_selected_by_namespace_labels_and_wildcards() {
        for (namespace, labels) in [
            ("kube-system", &[][..]),
            ("kube-*", &[]),
            ("*", &[]),
            ("kube?system", &[("k8s-app", "kube-dns")]),
            ("kube-system", &[("eks.amazonaws.com/component", "core*")]),
        ] {
            assert!(selector(namespace, labels).selects_coredns(), "{namespace}");
        }
    }

    #[test]
    fn coredns_is_not_selected_by_other_namespaces_or_labels() {
        for (namespace, labels) in [
            ("default", &[][..]),
            ("kube-system?", &[]),
            ("kube-system", &[("k8s-app", "metrics-server")]),
            (
                "kube-system",
                &[("k8s-app", "kube-dns"), ("team", "platform")],
            ),
        ] {
            assert!(
                !selector(namespace, labels).selects_coredns(),
                "{namespace}"
            );
        }
    }

    #[test]
    fn a_pattern_of_stars_is_matched_in_no_time() {
        let stars = "*".repeat(62);
        assert!(!matches_wildcards(&format!("{stars}x"), COREDNS_NAMESPACE));
        assert!(matches_wildcards(&format!("{stars}m"), COREDNS_NAMESPACE));
        assert!(matches_wildcards("k*-*s?ste*", COREDNS_NAMESPACE));
        assert!(matches_wildcards("**", "") && !matches_wildcards("?", ""));
        assert!(!matches_wildcards("kube", COREDNS_NAMESPACE));
    }
}
