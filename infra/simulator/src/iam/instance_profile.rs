//! Instance profiles. Nothing here makes them: others may have put a role into one.

use super::page::page;
use super::request::role_name;
use crate::api_error::ApiError;
use crate::params::Params;
use crate::state::Context;
use crate::xml::Element;

/// `ListInstanceProfilesForRole`.
pub(super) fn list_for_role(
    context: &mut Context<'_>,
    params: &Params,
) -> Result<Vec<Element>, ApiError> {
    let (partition, account) = (context.partition(), context.account.clone());
    let name = context.iam().find(role_name(params)?)?.name.clone();
    let profiles = &context.iam().instance_profiles;
    let holding = profiles.iter().filter(|(_, role)| **role == name);
    let (names, end) = page(params, holding.map(|(profile, _)| profile.clone()))?;
    let members = names.into_iter().map(|profile| {
        Element::new("member").children([
            Element::text("Path", "/"),
            Element::text("InstanceProfileName", &profile),
            Element::text("InstanceProfileId", "AIPAEXAMPLE0123456789"),
            Element::text(
                "Arn",
                format!("arn:{partition}:iam::{account}:instance-profile/{profile}"),
            ),
            Element::text("CreateDate", "2026-01-01T00:00:00Z"),
            Element::new("Roles"),
        ])
    });
    let mut answer = vec![Element::new("InstanceProfiles").children(members)];
    answer.extend(end);
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use crate::iam::testing::{World, code};

    #[tokio::test(start_paused = true)]
    async fn a_role_in_an_instance_profile_is_not_deleted() {
        let world = World::new();
        world.role("demo").await;
        let list = || {
            world
                .iam
                .list_instance_profiles_for_role()
                .role_name("demo")
        };
        assert!(list().send().await.unwrap().instance_profiles().is_empty());
        world.change(|iam| {
            let profiles = &mut iam.instance_profiles;
            profiles.insert("nodes".to_owned(), "demo".to_owned());
        });
        let found = list().send().await.unwrap().instance_profiles;
        assert_eq!(found[0].instance_profile_name(), "nodes");
        let delete = || world.iam.delete_role().role_name("demo").send();
        assert_eq!(code(delete().await), "DeleteConflict");
        world.change(|iam| iam.instance_profiles.clear());
        delete().await.unwrap();
    }
}
