//! Interfaces with EKS's security group that nothing uses, and that no service has marked.
//!
//! Such a one is a pod's that starts or has ended, and Fargate attaches or deletes it within moments; or it is
//! that of a person who keeps an address, and keeps EC2 from deleting group and subnet. EC2 does not tell
//! which: how Fargate describes its interfaces is documented nowhere, and `requesterId` names the caller
//! of EC2 (botocore's EC2 model, NetworkInterface). So the inventory looks again, and what nothing has used all
//! the time is somebody's.

use std::time::Duration;

use crate::contract::{Error, Memory, Outcome};
use crate::receipt::Inventory;
use crate::resources::foreign_resource::{self, Foreign};

/// How long the inventory may answer PENDING.
pub(super) const LIMIT: Duration = Duration::from_mins(10);
/// Longer than Fargate needs for the interface of a pod. AWS states no time for it; pods start within a minute or
/// two.
const SETTLED_AFTER_SECONDS: u64 = 300;
const CHECK_AFTER_SECONDS: u64 = 60;
/// In the memory: the ids of those that were unused at the first look.
const UNUSED: &str = "unused";

/// What the inventory has to wait for, if it has to: that those which were unused at the first look are used or
/// gone. One that comes later is not waited for, or a cluster whose pods come and go would not be removed.
///
/// # Errors
/// [`Error::ResourceConflict`] with those that were unused all the time.
pub(super) fn wait_for(
    unused: Vec<Foreign>,
    memory: &Memory,
) -> Result<Option<Outcome<Inventory>>, Error> {
    let first = memory.id(UNUSED);
    let was_unused = |it: &Foreign| first.is_none_or(|ids| ids.split(' ').any(|id| id == it.id));
    let still: Vec<Foreign> = unused.into_iter().filter(was_unused).collect();
    if still.is_empty() {
        return Ok(None);
    }
    if memory.waited_seconds >= SETTLED_AFTER_SECONDS {
        foreign_resource::refuse(&still)?;
    }
    let ids: Vec<&str> = still.iter().map(|it| it.id.as_str()).collect();
    let reason = format!(
        "{} has EKS's security group, and nothing uses it: a pod's that starts or has ended, or somebody's",
        ids.join(", ")
    );
    let mut next = Memory::default();
    next.remember(UNUSED, &ids.join(" "));
    Ok(Some(
        Outcome::pending(CHECK_AFTER_SECONDS, reason).remembering(next),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interfaces(ids: &[&str]) -> Vec<Foreign> {
        let interface = |id: &&str| Foreign::new("AWS::EC2::NetworkInterface", Some(id), None);
        ids.iter().map(interface).collect()
    }

    /// The memory after a look at these, so many seconds later.
    fn after_look(ids: &[&str], seconds: u64) -> Memory {
        let outcome = wait_for(interfaces(ids), &Memory::default()).unwrap();
        let Some(Outcome::Pending { mut memory, .. }) = outcome else {
            panic!("it waits for {ids:?}");
        };
        memory.waited_seconds = seconds;
        memory
    }

    #[test]
    fn without_unused_interfaces_nothing_is_waited_for() {
        assert_eq!(wait_for(vec![], &Memory::default()), Ok(None));
    }

    #[test]
    fn an_interface_that_is_used_or_gone_soon_was_a_pods() {
        let memory = after_look(&["eni-1"], 60);
        assert_eq!(wait_for(vec![], &memory), Ok(None));
        // That of a pod that starts later.
        assert_eq!(wait_for(interfaces(&["eni-2"]), &memory), Ok(None));
    }

    #[test]
    fn an_interface_that_stays_unused_is_somebodys() {
        let both = interfaces(&["eni-1", "eni-2"]);
        let memory = after_look(&["eni-1"], SETTLED_AFTER_SECONDS - 1);
        assert!(wait_for(both.clone(), &memory).unwrap().is_some());
        let memory = after_look(&["eni-1"], SETTLED_AFTER_SECONDS);
        let error = wait_for(both, &memory).unwrap_err();
        assert_eq!(error.name(), "ResourceConflict");
        let text = error.to_string();
        assert!(
            text.ends_with("teardown again: AWS::EC2::NetworkInterface eni-1"),
            "{text}"
        );
    }
}
