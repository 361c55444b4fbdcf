//! CoreDNS on Fargate: on which profile its pods run, the add-on's configuration, merged into what is there,
//! and its update.

use aws_sdk_eks::primitives::DateTime;
use aws_sdk_eks::types::{FargateProfile, FargateProfileStatus, ResolveConflicts, Update};
use serde_json::{Map, Value, json};

use crate::aws::{Aws, change};
use crate::contract::{During, Error};
use crate::model::Target;
use crate::resources::eks::{self, COREDNS};

const UPDATE: &str = "eks:UpdateAddon";

/// Annotation of the CoreDNS pods: ARN of the Fargate profile that was ACTIVE when they were made.
pub const PROFILE_ANNOTATION: &str = "hardway.dev/fargate-profile";
/// Annotation of the CoreDNS pods: the cluster's Kubernetes version when they were made, which is that of
/// their kubelets.
pub const KUBERNETES_ANNOTATION: &str = "hardway.dev/kubernetes-version";

/// What there was when the pods were made, as their annotations say it. When it changes, the pods are made
/// anew.
#[derive(Debug, Clone, Copy)]
pub struct Birth<'a> {
    /// ARN of the Fargate profile that they run on.
    pub profile_arn: &'a str,
    /// The cluster's Kubernetes version, for example `1.36`.
    pub kubernetes: &'a str,
}

const COMPUTE_TYPE: &str = "computeType";
const RESOURCES: &str = "resources";
const POD_ANNOTATIONS: &str = "podAnnotations";

/// Exactly this spelling: EKS's schema takes any text and says nothing when it means nothing.
const FARGATE: &str = "Fargate";

/// ARN of the ACTIVE Fargate profile that CoreDNS runs on: the oldest of those that select it, so that
/// another profile, made later, changes nothing. The ARN is another one when a profile is made anew.
#[must_use]
pub fn selecting_profile(profiles: &[FargateProfile]) -> Option<&str> {
    let selects = |profile: &&FargateProfile| {
        let mut selectors = profile.selectors().iter().map(eks::selector);
        profile.status() == Some(&FargateProfileStatus::Active)
            && selectors.any(|selector| selector.selects_coredns())
    };
    let age = |profile: &&FargateProfile| profile.created_at().map(DateTime::secs);
    let oldest = profiles.iter().filter(selects).min_by_key(age)?;
    oldest.fargate_profile_arn()
}

/// What comes of asking for an update of the add-on.
#[derive(Debug)]
pub enum Asked {
    /// It is on its way.
    Accepted(Option<Update>),
    /// EKS takes none now, and says why.
    Later(String),
}

/// Asks EKS to bring the add-on to a configuration, and to a version if one is named. What is wanted is
/// all of the request, and the same one twice is one: it has no token of its own.
///
/// # Errors
/// What EKS answers, but that something else is under way.
pub async fn update(
    aws: &Aws,
    target: &Target,
    version: Option<&str>,
    configuration: Option<&str>,
) -> Result<Asked, Error> {
    let call = aws
        .eks()
        .update_addon()
        .cluster_name(&target.cluster_name)
        .addon_name(COREDNS)
        .set_addon_version(version.map(str::to_owned))
        .set_configuration_values(configuration.map(str::to_owned))
        .resolve_conflicts(ResolveConflicts::Overwrite);
    let answer = match change(UPDATE, COREDNS, call.send()).await {
        Err(error) if eks::passes_by_itself(&error) => {
            let message = eks::message(&error);
            let reason = format!("add-on coredns cannot be updated yet: {message}");
            return Ok(Asked::Later(reason));
        }
        answer => answer.during(UPDATE)?,
    };
    Ok(Asked::Accepted(answer.update))
}

/// The configuration of a new add-on, as JSON text.
#[must_use]
pub fn wanted(birth: Birth<'_>) -> String {
    let mut configuration = Map::new();
    merge(&mut configuration, birth);
    Value::Object(configuration).to_string()
}

/// The configuration that an existing add-on needs, as JSON text; none if it has all of it.
///
/// # Errors
/// [`Error::ResourceConflict`] if the configuration is not a JSON object: it cannot be kept, and it is
/// not ours to drop.
pub fn merged(current: Option<&str>, birth: Birth<'_>) -> Result<Option<String>, Error> {
    let mut configuration = parse(current.unwrap_or_default())?;
    let before = configuration.clone();
    merge(&mut configuration, birth);
    Ok((configuration != before).then(|| Value::Object(configuration).to_string()))
}

/// The Kubernetes version that the pods were rolled out for; none if the configuration does not say.
#[must_use]
pub fn kubernetes(current: Option<&str>) -> Option<String> {
    let configuration = parse(current.unwrap_or_default()).ok()?;
    let annotation = configuration
        .get(POD_ANNOTATIONS)?
        .get(KUBERNETES_ANNOTATION)?;
    annotation.as_str().map(str::to_owned)
}

fn parse(current: &str) -> Result<Map<String, Value>, Error> {
    if current.trim().is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_str(current).map_err(|error| {
        Error::ResourceConflict(format!(
            "the configuration of add-on coredns is not a JSON object ({error}): {current}"
        ))
    })
}

/// Sets what Fargate needs. Sizes that someone chose stay, as do all other keys.
fn merge(configuration: &mut Map<String, Value>, birth: Birth<'_>) {
    configuration.insert(COMPUTE_TYPE.to_owned(), FARGATE.into());
    configuration
        .entry(RESOURCES)
        .or_insert_with(smallest_fargate_pod);
    let annotations = configuration
        .entry(POD_ANNOTATIONS)
        .or_insert_with(|| json!({}));
    if !annotations.is_object() {
        *annotations = json!({});
    }
    if let Value::Object(annotations) = annotations {
        annotations.insert(PROFILE_ANNOTATION.to_owned(), birth.profile_arn.into());
        annotations.insert(KUBERNETES_ANNOTATION.to_owned(), birth.kubernetes.into());
    }
}

/// Fargate adds 256 MB for itself and rounds up to 0.25 vCPU and 0.5 GB, its smallest size.
fn smallest_fargate_pod() -> Value {
    let size = json!({"cpu": "0.25", "memory": "256M"});
    json!({"limits": size, "requests": size})
}
