//! Permissions boundaries of roles.

use super::managed_policy::exists;
use super::request::{no_such_entity, policy_arn, role_name};
use crate::api_error::ApiError;
use crate::params::Params;
use crate::state::Context;
use crate::xml::Element;

/// `PutRolePermissionsBoundary`.
pub(super) fn put(context: &mut Context<'_>, params: &Params) -> Result<Vec<Element>, ApiError> {
    let name = role_name(params)?;
    let arn = policy_arn(params, "PermissionsBoundary")?;
    check(context, arn)?;
    context.iam().find_mut(name)?.boundary = Some(arn.to_owned());
    Ok(Vec::new())
}

/// `DeleteRolePermissionsBoundary`.
pub(super) fn delete(context: &mut Context<'_>, params: &Params) -> Result<Vec<Element>, ApiError> {
    let name = role_name(params)?;
    let role = context.iam().find_mut(name)?;
    if role.boundary.take().is_none() {
        let message = format!("Role {name} does not have a permissions boundary set");
        return Err(no_such_entity(message));
    }
    Ok(Vec::new())
}

/// Refuses a boundary that does not exist.
pub(super) fn check(context: &mut Context<'_>, arn: &str) -> Result<(), ApiError> {
    if exists(context, arn) {
        return Ok(());
    }
    let message = format!("Scope ARN: {arn} does not exist or is not attachable.");
    Err(no_such_entity(message))
}

pub(super) fn element(arn: &str) -> Element {
    Element::new("PermissionsBoundary").children([
        Element::text("PermissionsBoundaryType", "PermissionsBoundaryPolicy"),
        Element::text("PermissionsBoundaryArn", arn),
    ])
}

#[cfg(test)]
mod tests {
    use crate::iam::testing::{World, code};

    const BOUNDARY: &str = "arn:aws:iam::111122223333:policy/boundary";

    #[tokio::test(start_paused = true)]
    async fn boundary_is_put_shown_and_deleted() {
        let world = World::new();
        world.role("demo").await;
        world.change(|iam| iam.policies.insert(BOUNDARY.to_owned()));
        let put = world.iam.put_role_permissions_boundary().role_name("demo");
        put.permissions_boundary(BOUNDARY).send().await.unwrap();
        let shown = world.get("demo").await.permissions_boundary.unwrap();
        assert_eq!(shown.permissions_boundary_arn(), Some(BOUNDARY));
        let delete = || {
            world
                .iam
                .delete_role_permissions_boundary()
                .role_name("demo")
                .send()
        };
        delete().await.unwrap();
        assert_eq!(world.get("demo").await.permissions_boundary, None);
        assert_eq!(code(delete().await), "NoSuchEntity");
    }

    #[tokio::test(start_paused = true)]
    async fn unknown_boundary_is_refused() {
        let world = World::new();
        world.role("demo").await;
        let put = world.iam.put_role_permissions_boundary().role_name("demo");
        let put = put.permissions_boundary(BOUNDARY).send().await;
        assert_eq!(code(put), "NoSuchEntity");
    }
}
