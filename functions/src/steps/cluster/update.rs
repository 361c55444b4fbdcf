//! Updates of a control plane: what was asked for in this execution, and how it ended.
//!
//! EKS accepts an update and carries it out later. When it has failed, the cluster says ACTIVE, as after
//! one that succeeded, and has not changed: a step that only looks at the cluster would ask for it again
//! for ever. So the invocation that asks for an update remembers its id. If the answer with the id is lost, the
//! update is asked for once more after it failed; another execution remembers nothing and tries again.

use aws_sdk_eks::types::{Update, UpdateStatus};

use crate::aws::Aws;
use crate::contract::{During, Error, Memory};
use crate::model::Target;
use crate::resources::eks;

/// How an update stands that this execution has asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It was not asked for, as far as is known.
    Unasked,
    /// EKS is at work.
    InProgress,
    /// It has succeeded.
    Successful,
}

/// How the update with that name in `memory` stands.
///
/// # Errors
/// [`Error::ResourceFailed`] with EKS's reasons if it failed.
pub async fn standing(
    aws: &Aws,
    target: &Target,
    memory: &Memory,
    what: &str,
) -> Result<Standing, Error> {
    let Some(id) = memory.id(what) else {
        return Ok(Standing::Unasked);
    };
    let name = &target.cluster_name;
    let call = aws.eks().describe_update().name(name).update_id(id);
    let update = match call.send().await {
        // It was accepted, so it will be seen.
        Err(error) if eks::is_absent(&error) => None,
        answer => answer.during("eks:DescribeUpdate")?.update,
    };
    let update = update.unwrap_or_else(|| Update::builder().build());
    match update.status() {
        None | Some(UpdateStatus::InProgress) => Ok(Standing::InProgress),
        Some(UpdateStatus::Successful) => Ok(Standing::Successful),
        Some(status) => {
            let line = eks::status_line(status.as_str(), update.errors());
            Err(Error::ResourceFailed(format!(
                "the update {id} of control plane {name} ({what}) is {line}"
            )))
        }
    }
}

/// Remembers what EKS has accepted.
pub fn remember(memory: &mut Memory, what: &str, update: Option<&Update>) {
    if let Some(id) = update.and_then(Update::id) {
        memory.remember(what, id);
    }
}
