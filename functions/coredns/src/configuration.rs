//! The add-on's configuration: what hardway wants in it, merged into what is there.

use serde_json::{Map, Value, json};
use step::Error;

/// Annotation of the CoreDNS pods: ARN of the Fargate profile that was ACTIVE when they were made.
pub const PROFILE_ANNOTATION: &str = "hardway.dev/fargate-profile";

const COMPUTE_TYPE: &str = "computeType";
const RESOURCES: &str = "resources";
const POD_ANNOTATIONS: &str = "podAnnotations";

/// Exactly this spelling: EKS's schema takes any text and says nothing when it means nothing.
const FARGATE: &str = "Fargate";

/// The configuration of a new add-on, as JSON text.
pub fn wanted(profile_arn: &str) -> String {
    let mut configuration = Map::new();
    merge(&mut configuration, profile_arn);
    Value::Object(configuration).to_string()
}

/// The configuration that an existing add-on needs, as JSON text; none if it has all of it.
///
/// # Errors
/// [`Error::ResourceConflict`] if the configuration is not a JSON object: it cannot be kept, and it is
/// not ours to drop.
pub fn merged(current: Option<&str>, profile_arn: &str) -> Result<Option<String>, Error> {
    let mut configuration = parse(current.unwrap_or_default())?;
    let before = configuration.clone();
    merge(&mut configuration, profile_arn);
    Ok((configuration != before).then(|| Value::Object(configuration).to_string()))
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
fn merge(configuration: &mut Map<String, Value>, profile_arn: &str) {
    configuration.insert(COMPUTE_TYPE.to_owned(), FARGATE.into());
    configuration
        .entry(RESOURCES)
        .or_insert_with(smallest_fargate_pod);
    let annotations = configuration
        .entry(POD_ANNOTATIONS)
        .or_insert_with(|| json!({}));
    match annotations {
        Value::Object(annotations) => {
            annotations.insert(PROFILE_ANNOTATION.to_owned(), profile_arn.into());
        }
        other => *other = json!({ PROFILE_ANNOTATION: profile_arn }),
    }
}

/// Fargate adds 256 MB for itself and rounds up to 0.25 vCPU and 0.5 GB, its smallest size.
fn smallest_fargate_pod() -> Value {
    let size = json!({"cpu": "0.25", "memory": "256M"});
    json!({"limits": size, "requests": size})
}
