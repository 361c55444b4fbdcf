//! CoreDNS before an upgrade of the control plane.
//!
//! An add-on that does not run on the next Kubernetes version is in the way of the upgrade
//! (terraform-provider-aws issue 42031). So CoreDNS first gets a version that runs on both; its
//! configuration, and with it its place on Fargate, stays.

use std::collections::BTreeSet;

use aws_sdk_eks::types::{Addon, AddonStatus};

use crate::aws::Aws;
use crate::contract::error::required;
use crate::contract::{Error, Memory, Outcome};
use crate::model::{Plan, tags};
use crate::resources::addon::{self, AddonVersion, numbers};
use crate::resources::eks::COREDNS;
use crate::steps::addon::{Asked, update as update_addon};
use crate::steps::cluster::CHECK_AFTER_SECONDS;
use crate::steps::cluster::update::remember;

/// Starts the update that CoreDNS needs before the control plane is upgraded from `current`; what is to be
/// waited for, if anything. What is not ours, or is broken, stays: EKS decides whether it is in the way.
pub async fn make_fit<T>(
    aws: &Aws,
    plan: &Plan,
    current: &str,
    memory: &mut Memory,
) -> Result<Option<Outcome<T>>, Error> {
    let Some(addon) = addon::find(aws, &plan.target, COREDNS).await? else {
        return Ok(None);
    };
    if !tags::map_is_ours(addon.tags(), &plan.target) {
        return Ok(None);
    }
    match addon.status() {
        Some(AddonStatus::Updating | AddonStatus::Creating) => {
            let reason = format!("{}, before the upgrade", addon::line(&addon));
            return Ok(Some(Outcome::pending(CHECK_AFTER_SECONDS, reason)));
        }
        Some(AddonStatus::UpdateFailed) if memory.id(COREDNS).is_some() => {
            return Err(Error::ResourceFailed(addon::line(&addon)));
        }
        Some(AddonStatus::Active | AddonStatus::Degraded | AddonStatus::UpdateFailed) => {}
        _ => return Ok(None),
    }
    match fit_version(aws, plan, current, &addon).await? {
        Some(version) => update(aws, plan, &addon, &version, memory).await.map(Some),
        None => Ok(None),
    }
}

/// A version that runs on both, if the add-on's own does not run on the new one: the new one's default,
/// or the newest.
async fn fit_version(
    aws: &Aws,
    plan: &Plan,
    current: &str,
    addon: &Addon,
) -> Result<Option<String>, Error> {
    let on_new = addon::find_versions(aws, COREDNS, &plan.kubernetes_version).await?;
    let version = required(addon.addon_version(), "eks:DescribeAddon: addonVersion")?;
    if on_new.iter().any(|it| it.name == version) {
        return Ok(None);
    }
    let on_old = addon::find_versions(aws, COREDNS, current).await?;
    let on_old: BTreeSet<&str> = on_old.iter().map(|it| it.name.as_str()).collect();
    let on_both = on_new
        .into_iter()
        .filter(|it| on_old.contains(it.name.as_str()));
    let rank = |it: &AddonVersion| (it.is_default, numbers(&it.name));
    Ok(on_both.max_by_key(rank).map(|it| it.name))
}

async fn update<T>(
    aws: &Aws,
    plan: &Plan,
    addon: &Addon,
    version: &str,
    memory: &mut Memory,
) -> Result<Outcome<T>, Error> {
    let configuration = addon.configuration_values();
    match update_addon(aws, &plan.target, Some(version), configuration).await? {
        Asked::Accepted(update) => remember(memory, COREDNS, update.as_ref()),
        Asked::Later(reason) => return Ok(Outcome::pending(CHECK_AFTER_SECONDS, reason)),
    }
    let kubernetes = &plan.kubernetes_version;
    let reason = format!("CoreDNS is being updated to {version}, which runs on {kubernetes}");
    Ok(Outcome::pending(CHECK_AFTER_SECONDS, reason))
}
