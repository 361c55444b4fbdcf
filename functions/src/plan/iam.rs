//! Whether what the input names in IAM exists. EKS refuses an access entry for a role that does not, and
//! would say so only when the control plane is done; IAM refuses a role with a permissions boundary that
//! does not, when the VPC is there already.
//!
//! Looked for are administrators that are roles of the target account, and the boundary. IAM users and
//! other accounts' roles are taken as they are, and so is everything that the function may not read.
//!
//! The roles of IAM Identity Center have other names in each account, and come minutes after it: they
//! are found by what their names have in common, and in a new account every role is waited for.

use aws_sdk_iam::error::ProvideErrorMetadata;
use aws_sdk_iam::types::Role;

use crate::aws::{Aws, codes};
use crate::contract::{During, Error};
use crate::model::spec::{Access, matches_wildcards};
use crate::model::{Plan, Spec};
use crate::resources::role;

/// The path of the roles that IAM Identity Center makes (its user guide, referencing permission sets in
/// resource policies); outside of us-east-1 its region follows.
const IDENTITY_CENTER_PATH: &str = "/aws-reserved/sso.amazonaws.com/";

/// Refuses administrators that do not exist or are called otherwise, and a boundary that does not exist;
/// adds the administrators that are found by their names.
///
/// # Errors
/// [`Error::InvalidRequest`] about the first one, or [`Error::AccountNotReady`] if it is a role in a new
/// account; what IAM answers, if it is not that the function must not ask.
pub(crate) async fn complete(aws: &Aws, spec: &Spec, plan: &mut Plan) -> Result<(), Error> {
    check_admins(aws, plan).await?;
    if let Some(access) = &spec.access {
        add_admins(aws, access, plan).await?;
    }
    check_boundary(aws, plan).await
}

async fn check_boundary(aws: &Aws, plan: &Plan) -> Result<(), Error> {
    let Some(arn) = &plan.permissions_boundary_arn else {
        return Ok(());
    };
    let answer = aws.iam().get_policy().policy_arn(arn).send().await;
    if let Err(error) = &answer
        && error.code() == Some(codes::NO_SUCH_ENTITY)
    {
        let expected = "a policy that exists; make it first, or leave it out";
        return Err(Error::invalid("permissionsBoundaryArn", arn, expected));
    }
    match answer.during("iam:GetPolicy") {
        Err(Error::AccessDenied(_) | Error::ExplicitDeny(_)) => Ok(()),
        answer => answer.map(|_| ()),
    }
}

async fn check_admins(aws: &Aws, plan: &Plan) -> Result<(), Error> {
    for (index, arn) in plan.admins.iter().enumerate() {
        let Some(name) = role::name_in_arn(&plan.target.account.id, arn) else {
            continue;
        };
        let field = format!("access.admins[{index}]");
        let role = match role::find(aws, name).await {
            Err(Error::AccessDenied(_)) => return Ok(()),
            Err(Error::ExplicitDeny(_)) if !plan.is_new_account => return Ok(()),
            answer => answer?,
        };
        let Some(Role { arn: actual, .. }) = role else {
            let expected = "a role that exists; make it first, or leave it out";
            return Err(missing(plan, Error::invalid(field, arn, expected)));
        };
        if actual != *arn {
            let expected = format!("{actual}: path and capital letters belong to the ARN");
            return Err(Error::invalid(field, arn, expected));
        }
    }
    Ok(())
}

/// Adds the one role that each name fits.
async fn add_admins(aws: &Aws, access: &Access, plan: &mut Plan) -> Result<(), Error> {
    if access.admin_role_names.is_empty() {
        return Ok(());
    }
    let roles = role::find_below(aws, Some(IDENTITY_CENTER_PATH)).await?;
    for (index, pattern) in access.admin_role_names.iter().enumerate() {
        let fits = |role: &&Role| matches_wildcards(pattern, &role.role_name);
        let found: Vec<&Role> = roles.iter().filter(fits).collect();
        let field = format!("access.adminRoleNames[{index}]");
        match found[..] {
            [role] if plan.admins.contains(&role.arn) => {}
            [role] => plan.admins.push(role.arn.clone()),
            [] => {
                let expected = format!(
                    "a role of IAM Identity Center in account {}; it has {}. Assign the permission \
                     set to the account first, or leave it out",
                    plan.target.account.id,
                    names(&roles)
                );
                return Err(missing(plan, Error::invalid(field, pattern, expected)));
            }
            _ => {
                let found: Vec<Role> = found.into_iter().cloned().collect();
                let expected = format!(
                    "more of the name, so that it fits one role; it fits {}",
                    names(&found)
                );
                return Err(Error::invalid(field, pattern, expected));
            }
        }
    }
    Ok(())
}

fn names(roles: &[Role]) -> String {
    match roles {
        [] => "none yet".to_owned(),
        roles => {
            let names: Vec<&str> = roles.iter().map(|role| role.role_name.as_str()).collect();
            names.join(", ")
        }
    }
}

/// What it means that a role is not there: in a new account it may be on its way.
fn missing(plan: &Plan, error: Error) -> Error {
    if plan.is_new_account {
        Error::AccountNotReady(error.to_string())
    } else {
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::World;

    const ARN: &str = "arn:aws:iam::111122223333:role/team/Admin";
    /// The same without its path.
    const WITHOUT_PATH: &str = "arn:aws:iam::111122223333:role/Admin";
    const BOUNDARY_ARN: &str = "arn:aws:iam::111122223333:policy/Boundary";

    /// An account with these roles, with their paths before their names, and a plan without administrators.
    fn world(roles: &[&str]) -> World {
        let mut world = World::new(Plan::example());
        world.plan.admins.clear();
        let account = &world.plan.target.account.id;
        let roles = roles.iter().map(|role| (*role, "{}"));
        world
            .simulator
            .change(|state| state.add_account(account, roles));
        world
    }

    async fn complete_in(world: &mut World, spec: &Spec) -> Result<(), Error> {
        let aws = world.aws();
        complete(&aws, spec, &mut world.plan).await
    }

    async fn check_with(world: &mut World, admins: &[&str]) -> Result<(), Error> {
        world.plan.admins = admins.iter().map(|arn| (*arn).to_owned()).collect();
        complete_in(world, &Spec::default()).await
    }

    const ROLES: &[&str] = &[
        "AWSReservedSSO_Admin_0123456789abcdef",
        "AWSReservedSSO_Admin_Read_89abcdef01234567",
        "AWSReservedSSO_Ops_fedcba9876543210",
    ];
    const ROLE_ELSEWHERE: &str = "AWSReservedSSO_Ops_0000000000000000";

    /// The administrators that are found for these names, in an account that has IAM Identity Center's roles,
    /// in the region of its instance, and another one.
    async fn found(names: &[&str], is_new: bool) -> Result<Vec<String>, Error> {
        let path = |name: &&str| format!("aws-reserved/sso.amazonaws.com/eu-west-1/{name}");
        let roles: Vec<String> = ROLES.iter().map(path).collect();
        let roles: Vec<&str> = roles.iter().map(String::as_str).collect();
        let mut world = world(&[&roles[..], &[ROLE_ELSEWHERE]].concat());
        world.plan.is_new_account = is_new;
        let spec = Spec {
            access: Some(Access {
                admins: vec![],
                admin_role_names: names.iter().map(|name| (*name).to_owned()).collect(),
            }),
            ..Spec::default()
        };
        let answer = complete_in(&mut world, &spec).await;
        assert_eq!(world.calls(), ["ListRoles"]);
        answer.map(|()| world.plan.admins)
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_finds_the_one_role_of_identity_center_that_it_fits() {
        let names = [
            "AWSReservedSSO_Ops_*",
            "AWSReservedSSO_Admin_????????????????",
        ];
        let path = "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1";
        let expected = [ROLES[2], ROLES[0]].map(|name| format!("{path}/{name}"));
        assert_eq!(found(&names, false).await.unwrap(), expected);
        // Two names for one role are one administrator.
        let twice = ["AWSReservedSSO_Ops_*", "AWSReservedSSO_O*"];
        assert_eq!(found(&twice, false).await.unwrap(), expected[..1]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_fits_several_roles_is_refused_with_their_names() {
        for is_new in [false, true] {
            let error = found(&["AWSReservedSSO_Admin_*"], is_new).await;
            let error = error.unwrap_err();
            assert_eq!(error.name(), "InvalidRequest");
            let text = error.to_string();
            assert!(text.starts_with("access.adminRoleNames[0]: "), "{text}");
            assert!(text.contains(ROLES[0]) && text.contains(ROLES[1]), "{text}");
            assert!(!text.contains(ROLES[2]), "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_fits_no_role_is_refused_but_waited_for_in_a_new_account() {
        for (is_new, name) in [(false, "InvalidRequest"), (true, "AccountNotReady")] {
            let error = found(&["AWSReservedSSO_Dev_*"], is_new).await;
            let error = error.unwrap_err();
            assert_eq!(error.name(), name);
            let text = error.to_string();
            assert!(text.contains("access.adminRoleNames[0]"), "{text}");
            assert!(text.contains(ROLES[2]), "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_role_that_does_not_exist_is_refused_but_waited_for_in_a_new_account() {
        for (is_new, name) in [(false, "InvalidRequest"), (true, "AccountNotReady")] {
            let mut world = world(&[]);
            world.plan.is_new_account = is_new;
            let error = check_with(&mut world, &[ARN]).await.unwrap_err();
            assert_eq!(error.name(), name);
            let text = error.to_string();
            assert!(
                text.contains(ARN) && text.contains("make it first"),
                "{text}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_role_that_exists_is_fit_and_others_are_not_looked_for() {
        let mut world = world(&["team/Admin"]);
        let admins = [
            ARN,
            "arn:aws:iam::111122223333:user/anna",
            "arn:aws:iam::444455556666:role/Elsewhere",
        ];
        assert_eq!(check_with(&mut world, &admins).await, Ok(()));
        assert_eq!(world.calls(), ["GetRole"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_role_with_another_path_is_refused_with_the_one_that_is_there() {
        for is_new in [false, true] {
            let mut world = world(&["team/Admin"]);
            world.plan.is_new_account = is_new;
            let error = check_with(&mut world, &[WITHOUT_PATH]).await.unwrap_err();
            assert_eq!(error.name(), "InvalidRequest");
            let message = error.to_string();
            assert!(message.starts_with("access.admins[0]: "), "{message}");
            assert!(message.contains(ARN), "{message}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_boundary_that_does_not_exist_is_refused() {
        let mut world = world(&[]);
        world.plan.permissions_boundary_arn = Some(BOUNDARY_ARN.to_owned());
        let error = complete_in(&mut world, &Spec::default()).await;
        assert_eq!(error.unwrap_err().name(), "InvalidRequest");
        world.account(|account| account.iam.policies.insert(BOUNDARY_ARN.to_owned()));
        assert_eq!(complete_in(&mut world, &Spec::default()).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_not_be_read_is_taken_for_right() {
        for (code, expected) in [("AccessDenied", None), ("Throttling", Some("Throttled"))] {
            let mut world = world(&[]);
            world.fail_next("GetRole", code, "no");
            let answer = check_with(&mut world, &[ARN]).await;
            assert_eq!(answer.err().map(|error| error.name()), expected);

            world.plan.admins.clear();
            world.plan.permissions_boundary_arn = Some(BOUNDARY_ARN.to_owned());
            world.fail_next("GetPolicy", code, "no");
            let answer = complete_in(&mut world, &Spec::default()).await;
            assert_eq!(answer.err().map(|error| error.name()), expected);
        }
    }
}
