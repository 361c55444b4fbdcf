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
    use aws_sdk_iam::operation::get_role::GetRoleOutput;
    use aws_sdk_iam::operation::list_roles::ListRolesOutput;
    use aws_sdk_iam::primitives::DateTime;
    use aws_smithy_mocks::{Rule, mock};

    use crate::aws::mocks::iam_refusal;

    const ARN: &str = "arn:aws:iam::111122223333:role/team/Admin";

    fn role() -> Rule {
        mock!(aws_sdk_iam::Client::get_role)
            .match_requests(|call| call.role_name() == Some("Admin"))
            .then_output(|| {
                let role = Role::builder()
                    .path("/team/")
                    .role_name("Admin")
                    .role_id("AROAEXAMPLE")
                    .arn(ARN)
                    .create_date(DateTime::from_secs(0));
                let role = role.build().unwrap();
                GetRoleOutput::builder().role(role).build()
            })
    }

    fn refusing(status: u16, code: &'static str) -> Rule {
        mock!(aws_sdk_iam::Client::get_role)
            .then_http_response(move || iam_refusal(status, code, "no"))
    }

    async fn check_with(rule: &Rule, admins: &[&str]) -> Result<(), Error> {
        check_in(rule, admins, false).await
    }

    async fn check_in(rule: &Rule, admins: &[&str], is_new: bool) -> Result<(), Error> {
        let aws = Aws::offline().with(crate::mocked!(aws_sdk_iam, [rule]));
        let mut plan = Plan::example();
        plan.is_new_account = is_new;
        plan.admins = admins.iter().map(|arn| (*arn).to_owned()).collect();
        complete(&aws, &Spec::default(), &mut plan).await
    }

    /// Roles of IAM Identity Center in the region of its instance.
    fn identity_center(names: &'static [&'static str]) -> Rule {
        mock!(aws_sdk_iam::Client::list_roles)
            .match_requests(|call| call.path_prefix() == Some(IDENTITY_CENTER_PATH))
            .then_output(move || {
                let roles = names.iter().map(|name| {
                    let path = format!("{IDENTITY_CENTER_PATH}eu-west-1/");
                    let role = Role::builder()
                        .arn(format!("arn:aws:iam::111122223333:role{path}{name}"))
                        .path(path)
                        .role_name(*name)
                        .role_id("AROAEXAMPLE")
                        .create_date(DateTime::from_secs(0));
                    role.build().unwrap()
                });
                let roles = ListRolesOutput::builder().set_roles(Some(roles.collect()));
                roles.build().unwrap()
            })
    }

    /// The administrators that are found for these names.
    async fn found(
        roles: &'static [&'static str],
        names: &[&str],
        is_new: bool,
    ) -> Result<Vec<String>, Error> {
        let rule = identity_center(roles);
        let aws = Aws::offline().with(crate::mocked!(aws_sdk_iam, [&rule]));
        let spec = Spec {
            access: Some(Access {
                admins: vec![],
                admin_role_names: names.iter().map(|name| (*name).to_owned()).collect(),
            }),
            ..Spec::default()
        };
        let mut plan = Plan::example();
        plan.admins.clear();
        plan.is_new_account = is_new;
        let answer = complete(&aws, &spec, &mut plan).await;
        assert_eq!(rule.num_calls(), 1);
        answer.map(|()| plan.admins)
    }

    const ROLES: &[&str] = &[
        "AWSReservedSSO_Admin_0123456789abcdef",
        "AWSReservedSSO_Admin_Read_89abcdef01234567",
        "AWSReservedSSO_Ops_fedcba9876543210",
    ];

    #[tokio::test]
    async fn a_name_finds_the_one_role_of_identity_center_that_it_fits() {
        let names = [
            "AWSReservedSSO_Ops_*",
            "AWSReservedSSO_Admin_????????????????",
        ];
        let path = "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1";
        let expected = [ROLES[2], ROLES[0]].map(|name| format!("{path}/{name}"));
        assert_eq!(found(ROLES, &names, false).await.unwrap(), expected);
        // Two names for one role are one administrator.
        let twice = ["AWSReservedSSO_Ops_*", "AWSReservedSSO_O*"];
        assert_eq!(found(ROLES, &twice, false).await.unwrap(), expected[..1]);
    }

    #[tokio::test]
    async fn a_name_that_fits_several_roles_is_refused_with_their_names() {
        for is_new in [false, true] {
            let error = found(ROLES, &["AWSReservedSSO_Admin_*"], is_new).await;
            let error = error.unwrap_err();
            assert_eq!(error.name(), "InvalidRequest");
            let text = error.to_string();
            assert!(text.starts_with("access.adminRoleNames[0]: "), "{text}");
            assert!(text.contains(ROLES[0]) && text.contains(ROLES[1]), "{text}");
            assert!(!text.contains(ROLES[2]), "{text}");
        }
    }

    #[tokio::test]
    async fn a_name_that_fits_no_role_is_refused_but_waited_for_in_a_new_account() {
        for (is_new, name) in [(false, "InvalidRequest"), (true, "AccountNotReady")] {
            let error = found(ROLES, &["AWSReservedSSO_Dev_*"], is_new).await;
            let error = error.unwrap_err();
            assert_eq!(error.name(), name);
            let text = error.to_string();
            assert!(text.contains("access.adminRoleNames[0]"), "{text}");
            assert!(text.contains(ROLES[2]), "{text}");
        }
    }

    #[tokio::test]
    async fn a_role_that_does_not_exist_yet_is_waited_for_in_a_new_account() {
        let missing = refusing(404, codes::NO_SUCH_ENTITY);
        let error = check_in(&missing, &[ARN], true).await.unwrap_err();
        assert_eq!(error.name(), "AccountNotReady");
        assert!(error.to_string().contains(ARN), "{error}");
        // A path that is wrong stays wrong.
        let admins = ["arn:aws:iam::111122223333:role/Admin"];
        let error = check_in(&role(), &admins, true).await.unwrap_err();
        assert_eq!(error.name(), "InvalidRequest");
    }

    #[tokio::test]
    async fn a_role_that_exists_is_fit_and_others_are_not_looked_for() {
        let rule = role();
        let admins = [
            ARN,
            "arn:aws:iam::111122223333:user/anna",
            "arn:aws:iam::444455556666:role/Elsewhere",
        ];
        assert_eq!(check_with(&rule, &admins).await, Ok(()));
        assert_eq!(rule.num_calls(), 1);
    }

    #[tokio::test]
    async fn a_role_with_another_path_is_refused_with_the_one_that_is_there() {
        let admins = ["arn:aws:iam::111122223333:role/Admin"];
        let message = check_with(&role(), &admins).await.unwrap_err().to_string();
        assert!(message.starts_with("access.admins[0]: "), "{message}");
        assert!(message.contains(ARN), "{message}");
    }

    #[tokio::test]
    async fn a_role_that_does_not_exist_is_refused() {
        let error = check_with(&refusing(404, codes::NO_SUCH_ENTITY), &[ARN]).await;
        let error = error.unwrap_err();
        assert_eq!(error.name(), "InvalidRequest");
        assert!(error.to_string().contains("make it first"), "{error}");
    }

    #[tokio::test]
    async fn a_boundary_that_does_not_exist_is_refused() {
        for (code, expected) in [
            (codes::NO_SUCH_ENTITY, Some("InvalidRequest")),
            ("AccessDenied", None),
            ("Throttling", Some("Throttled")),
        ] {
            let rule = mock!(aws_sdk_iam::Client::get_policy)
                .then_http_response(move || iam_refusal(404, code, "no"));
            let aws = Aws::offline().with(crate::mocked!(aws_sdk_iam, [&rule]));
            let mut plan = Plan::example();
            plan.admins.clear();
            plan.permissions_boundary_arn = Some("arn:aws:iam::aws:policy/X".to_owned());
            let answer = complete(&aws, &Spec::default(), &mut plan).await;
            assert_eq!(answer.err().map(|error| error.name()), expected);
        }
    }

    #[tokio::test]
    async fn role_that_may_not_be_read_is_taken_for_right() {
        let denied = refusing(403, "AccessDenied");
        assert_eq!(check_with(&denied, &[ARN]).await, Ok(()));
        let error = check_with(&refusing(400, "Throttling"), &[ARN]).await;
        assert_eq!(error.unwrap_err().name(), "Throttled");
    }
}
