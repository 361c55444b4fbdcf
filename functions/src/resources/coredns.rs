//! The CoreDNS add-on on Fargate: on which profile its pods run, and the add-on's version and configuration, of
//! which what somebody else has set is kept.
//!
//! The pods' annotations say what there was when they were made: a Fargate profile and a Kubernetes version. When
//! one of them changes, so does the configuration, and EKS makes the pods again.

use aws_sdk_eks::primitives::DateTime;
use aws_sdk_eks::types::{Addon, AddonStatus, FargateProfile, FargateProfileStatus};
use serde_json::{Map, Value, json};

use crate::aws::Aws;
use crate::contract::Error;
use crate::contract::error::required;
use crate::model::{Target, tags};
use crate::resources::addon::{self, AddonVersion, KIND, numbers};
use crate::resources::eks::COREDNS;
use crate::resources::fargate_profile;
use crate::resources::resource_change::{Change, Difference, ResourceChange};

/// Annotation of the CoreDNS pods: ARN of the Fargate profile that was ACTIVE when they were made.
pub(crate) const PROFILE_ANNOTATION: &str = "hardway.dev/fargate-profile";
/// Annotation of the CoreDNS pods: the cluster's Kubernetes version when they were made, which is that of
/// their kubelets.
pub(crate) const KUBERNETES_ANNOTATION: &str = "hardway.dev/kubernetes-version";

/// What there was when the pods were made, as their annotations say it. When it changes, the pods are made
/// again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Birth<'a> {
    /// ARN of the Fargate profile that they run on.
    pub profile_arn: &'a str,
    /// The cluster's Kubernetes version, for example `1.36`.
    pub kubernetes: &'a str,
}

/// The profile of a [`Birth`] while there is no ACTIVE one that selects CoreDNS.
pub(crate) const NEW_PROFILE: &str = "the ARN of a new Fargate profile";

/// What there is.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    addon: Option<Addon>,
    /// Those that run on the cluster's Kubernetes version; not looked for where none of them is needed.
    versions: Vec<AddonVersion>,
}

/// What there is beside what is wanted.
#[derive(Debug)]
pub(crate) struct Compared<'a> {
    /// The add-on, which is made again if it is CREATE_FAILED or DELETING.
    pub found: Option<&'a Addon>,
    /// Whether it has our tag; else it came with the cluster, or a person made it.
    pub is_ours: bool,
    /// The configuration that it needs, as JSON text; none if it has it.
    pub configuration: Option<String>,
    /// The version that it needs; none if it keeps its own.
    pub version: Option<&'a str>,
    target: &'a Target,
}

const COMPUTE_TYPE: &str = "computeType";
const RESOURCES: &str = "resources";
const POD_ANNOTATIONS: &str = "podAnnotations";

/// Exactly this spelling: EKS's schema takes any text and says nothing when it means nothing.
const FARGATE: &str = "Fargate";

/// ARN of the ACTIVE Fargate profile that CoreDNS runs on: the oldest of those that select it, so that
/// another profile, made later, changes nothing. The ARN is another one when a profile is made again.
pub(crate) fn selecting_profile(profiles: &[FargateProfile]) -> Option<&str> {
    let selects = |profile: &&FargateProfile| {
        let mut selectors = profile.selectors().iter().map(fargate_profile::selector);
        profile.status() == Some(&FargateProfileStatus::Active)
            && selectors.any(|selector| selector.selects_coredns())
    };
    let age = |profile: &&FargateProfile| profile.created_at().map(DateTime::secs);
    let oldest = profiles.iter().filter(selects).min_by_key(age)?;
    oldest.fargate_profile_arn()
}

/// Looks at the add-on, and at the versions for the cluster's Kubernetes version unless its pods were made for that.
pub(crate) async fn observe(aws: &Aws, target: &Target, kubernetes: &str) -> Result<Seen, Error> {
    let addon = addon::find(aws, target, COREDNS).await?;
    let versions = match addon.as_ref().and_then(rolled_out_for) {
        Some(same) if same == kubernetes => vec![],
        _ => addon::find_versions(aws, COREDNS, kubernetes).await?,
    };
    Ok(Seen { addon, versions })
}

/// Says what is to be done.
///
/// # Errors
/// [`Error::ResourceConflict`] if the configuration is not a JSON object: it cannot be kept, and it is not ours to
/// drop. [`Error::ResourceFailed`] if the add-on could not be deleted.
pub(crate) fn compare<'a>(
    target: &'a Target,
    birth: Birth<'_>,
    seen: &'a Seen,
) -> Result<Compared<'a>, Error> {
    let Some(found) = &seen.addon else {
        return Ok(Compared {
            target,
            found: None,
            is_ours: true,
            configuration: Some(wanted(birth)),
            version: default(&seen.versions),
        });
    };
    let configuration = merged(found.configuration_values(), birth)?;
    check_status(found)?;
    Ok(Compared {
        target,
        found: Some(found),
        is_ours: tags::map_is_ours(found.tags(), target),
        configuration,
        version: version_of_rollout(found, &seen.versions, birth.kubernetes)?,
    })
}

impl Compared<'_> {
    /// The same for a person.
    pub fn change(&self) -> ResourceChange {
        let name = format!("{}/{COREDNS}", self.target.cluster_name);
        let Some(found) = self.found else {
            return ResourceChange::new(KIND, name, Change::Create);
        };
        match found.status() {
            Some(AddonStatus::Deleting) => ResourceChange::new(KIND, name, Change::Create),
            Some(AddonStatus::CreateFailed) => ResourceChange::new(KIND, name, Change::Replace),
            _ => {
                let change = ResourceChange::of(KIND, name, self.differences(found));
                let adopted = (!self.is_ours).then_some(Change::Adopt);
                ResourceChange {
                    change: adopted.unwrap_or(change.change),
                    ..change
                }
            }
        }
    }

    /// An update that failed is tried again, whatever it was.
    fn differences(&self, found: &Addon) -> Vec<Difference> {
        let has_failed = found.status() == Some(&AddonStatus::UpdateFailed);
        let status = has_failed.then(|| Difference::new("Status", "UPDATE_FAILED", "ACTIVE"));
        let version = found.addon_version().unwrap_or("(none)");
        let version = self
            .version
            .map(|it| Difference::new("AddonVersion", version, it));
        let current = found.configuration_values().unwrap_or("(none)");
        let configuration = self.configuration.as_ref();
        let configuration =
            configuration.map(|it| Difference::new("ConfigurationValues", current, it));
        [status, version, configuration]
            .into_iter()
            .flatten()
            .collect()
    }
}

/// Of an add-on that could not be deleted nobody knows what works.
fn check_status(found: &Addon) -> Result<(), Error> {
    match found.status() {
        Some(
            AddonStatus::Active
            | AddonStatus::Creating
            | AddonStatus::Degraded
            | AddonStatus::Updating
            | AddonStatus::UpdateFailed
            | AddonStatus::Deleting
            | AddonStatus::CreateFailed,
        ) => Ok(()),
        Some(AddonStatus::DeleteFailed) => Err(Error::ResourceFailed(addon::line(found))),
        _ => Err(Error::Unexpected(addon::line(found))),
    }
}

/// The version that a rollout brings, if it is another one than the add-on has.
///
/// It follows the cluster's Kubernetes version: pods that were rolled out for another one get the default
/// of this one, unless they are newer already. Where it is not known what they were rolled out for, the
/// version stays as long as it runs, because changing it is an upgrade.
fn version_of_rollout<'a>(
    found: &Addon,
    versions: &'a [AddonVersion],
    kubernetes: &str,
) -> Result<Option<&'a str>, Error> {
    let rolled_out_for = rolled_out_for(found);
    if rolled_out_for.as_deref() == Some(kubernetes) {
        return Ok(None);
    }
    let current = required(found.addon_version(), "eks:DescribeAddon: addonVersion")?;
    let default = required_default(default(versions), kubernetes)?;
    let runs = versions.iter().any(|version| version.name == current);
    let is_new_enough = rolled_out_for.is_none() || numbers(current) >= numbers(default);
    Ok((!runs || !is_new_enough).then_some(default))
}

fn default(versions: &[AddonVersion]) -> Option<&str> {
    let default = versions.iter().find(|version| version.is_default);
    default.map(|version| version.name.as_str())
}

/// The default version for a Kubernetes version, which EKS has of each.
pub(crate) fn required_default<'a>(
    version: Option<&'a str>,
    kubernetes: &str,
) -> Result<&'a str, Error> {
    let what = format!("eks:DescribeAddonVersions: a default version of coredns for {kubernetes}");
    required(version, &what)
}

/// The configuration of a new add-on, as JSON text.
pub(crate) fn wanted(birth: Birth<'_>) -> String {
    let mut configuration = Map::new();
    merge(&mut configuration, birth);
    Value::Object(configuration).to_string()
}

/// The configuration that an existing add-on needs, as JSON text; none if it has all of it.
fn merged(current: Option<&str>, birth: Birth<'_>) -> Result<Option<String>, Error> {
    let mut configuration = parse(current.unwrap_or_default())?;
    let before = configuration.clone();
    merge(&mut configuration, birth);
    Ok((configuration != before).then(|| Value::Object(configuration).to_string()))
}

/// The Kubernetes version that the pods were rolled out for; none if the configuration does not say.
fn rolled_out_for(found: &Addon) -> Option<String> {
    let configuration = parse(found.configuration_values()?).ok()?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Plan;
    use aws_sdk_eks::types::builders::AddonBuilder;

    const NOW: Birth<'static> = Birth {
        profile_arn: "arn:profile",
        kubernetes: "1.36",
    };

    /// Ours and as it should be.
    fn addon(status: AddonStatus) -> AddonBuilder {
        Addon::builder()
            .addon_version("v2")
            .status(status)
            .configuration_values(wanted(NOW))
            .tags(tags::CLUSTER, "demo")
    }

    /// What is said of an add-on where `v2` is the default version.
    fn change(found: AddonBuilder) -> Result<ResourceChange, Error> {
        let default = AddonVersion {
            name: "v2".to_owned(),
            is_default: true,
        };
        let seen = Seen {
            addon: Some(found.build()),
            versions: vec![default],
        };
        Ok(compare(&Plan::example().target, NOW, &seen)?.change())
    }

    #[test]
    fn what_becomes_of_an_addon_depends_on_its_status() {
        for (status, expected) in [
            (AddonStatus::Active, Change::Keep),
            (AddonStatus::Degraded, Change::Keep),
            (AddonStatus::CreateFailed, Change::Replace),
            (AddonStatus::Deleting, Change::Create),
        ] {
            let change = change(addon(status)).unwrap();
            assert_eq!((change.change, change.differences), (expected, vec![]));
        }
    }

    #[test]
    fn an_update_that_failed_is_tried_again() {
        let change = change(addon(AddonStatus::UpdateFailed)).unwrap();
        let status = Difference::new("Status", "UPDATE_FAILED", "ACTIVE");
        assert_eq!(
            (change.change, change.differences),
            (Change::Change, vec![status])
        );
    }

    #[test]
    fn an_addon_of_an_earlier_version_is_told_with_what_it_becomes() {
        let before = Birth {
            kubernetes: "1.35",
            ..NOW
        };
        let older = addon(AddonStatus::Active).addon_version("v1");
        let change = change(older.configuration_values(wanted(before))).unwrap();
        let differences = vec![
            Difference::new("AddonVersion", "v1", "v2"),
            Difference::new("ConfigurationValues", wanted(before), wanted(NOW)),
        ];
        assert_eq!(
            (change.change, change.differences),
            (Change::Change, differences)
        );
    }

    #[test]
    fn an_adopted_addon_is_told_with_the_configuration_that_it_gets() {
        let theirs = || addon(AddonStatus::Active).set_tags(None);
        let adopted = change(theirs().set_configuration_values(None)).unwrap();
        let configuration = Difference::new("ConfigurationValues", "(none)", wanted(NOW));
        assert_eq!(
            (adopted.change, adopted.differences),
            (Change::Adopt, vec![configuration])
        );
        let failed = change(theirs().status(AddonStatus::CreateFailed)).unwrap();
        assert_eq!(failed.change, Change::Replace);
    }

    #[test]
    fn an_addon_whose_configuration_is_no_json_is_refused_whosever_it_is() {
        for found in [
            addon(AddonStatus::Active),
            addon(AddonStatus::Active).set_tags(None),
        ] {
            let error = change(found.configuration_values("replicaCount: 3")).unwrap_err();
            assert_eq!(error.name(), "ResourceConflict");
        }
    }

    #[test]
    fn an_addon_that_could_not_be_deleted_is_refused() {
        let error = change(addon(AddonStatus::DeleteFailed));
        let said = "add-on coredns is DELETE_FAILED".to_owned();
        assert_eq!(error, Err(Error::ResourceFailed(said)));
    }
}
