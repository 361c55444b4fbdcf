//! The update of an add-on, which two steps ask for.

use aws_sdk_eks::types::{ResolveConflicts, Update};

use crate::aws::{Aws, change};
use crate::contract::{During, Error};
use crate::model::Target;
use crate::resources::eks::{self, COREDNS};

const UPDATE: &str = "eks:UpdateAddon";

/// What comes of asking for an update of the add-on.
#[derive(Debug)]
pub(crate) enum Asked {
    /// It is on its way.
    Accepted(Option<Update>),
    /// EKS takes none now, and says why.
    Later(String),
}

/// Asks EKS to bring CoreDNS to a configuration, and to a version if one is named. What is wanted is
/// all of the request, and the same one twice is one: it has no token of its own.
///
/// # Errors
/// What EKS answers, but that something else is under way.
pub(crate) async fn update(
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
