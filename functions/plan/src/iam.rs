//! Whether what the input names in IAM exists. EKS refuses an access entry for a role that does not, and
//! would say so only when the control plane is done; IAM refuses a role with a permissions boundary that
//! does not, when the VPC is there already.
//!
//! Looked for are administrators that are roles of the target account, and the boundary. IAM users and
//! other accounts' roles are taken as they are, and so is everything that the function may not read.

use aws_sdk_iam::error::ProvideErrorMetadata;
use step::{Aws, During, Error, Plan, codes};

/// Refuses administrators that do not exist or are called otherwise, and a boundary that does not exist.
///
/// # Errors
/// [`Error::InvalidRequest`] about the first one; what IAM answers, if it is not that the function must
/// not ask.
pub(crate) async fn check(aws: &Aws, plan: &Plan) -> Result<(), Error> {
    check_admins(aws, plan).await?;
    check_boundary(aws, plan).await
}

async fn check_boundary(aws: &Aws, plan: &Plan) -> Result<(), Error> {
    let Some(arn) = &plan.permissions_boundary_arn else {
        return Ok(());
    };
    let answer = aws.iam.get_policy().policy_arn(arn).send().await;
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
        let Some(name) = role_name(arn, &plan.target.account.id) else {
            continue;
        };
        let answer = aws.iam.get_role().role_name(name).send().await;
        if let Err(error) = &answer
            && error.code() == Some(codes::NO_SUCH_ENTITY)
        {
            let expected = "a role that exists; make it first, or leave it out";
            return Err(invalid(index, arn, expected.to_owned()));
        }
        let role = match answer.during("iam:GetRole") {
            Err(Error::AccessDenied(_) | Error::ExplicitDeny(_)) => return Ok(()),
            answer => answer?.role,
        };
        let actual = role.map_or_else(String::new, |role| role.arn);
        if actual != *arn {
            let expected = format!("{actual}: path and capital letters belong to the ARN");
            return Err(invalid(index, arn, expected));
        }
    }
    Ok(())
}

fn invalid(index: usize, arn: &str, expected: String) -> Error {
    Error::invalid(format!("access.admins[{index}]"), arn, expected)
}

/// The name in the ARN of a role of the account.
fn role_name<'a>(arn: &'a str, account_id: &str) -> Option<&'a str> {
    let (_, role) = arn.split_once(&format!(":iam::{account_id}:role/"))?;
    role.rsplit('/').next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_iam::operation::get_role::GetRoleOutput;
    use aws_sdk_iam::primitives::DateTime;
    use aws_sdk_iam::types::Role;
    use aws_smithy_mocks::{Rule, mock};
    use step::mocks::iam_refusal;

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
        let aws = Aws {
            iam: step::mocked!(aws_sdk_iam, [rule]),
            ..Aws::offline()
        };
        let mut plan = Plan::example();
        plan.admins = admins.iter().map(|arn| (*arn).to_owned()).collect();
        check(&aws, &plan).await
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
            let aws = Aws {
                iam: step::mocked!(aws_sdk_iam, [&rule]),
                ..Aws::offline()
            };
            let mut plan = Plan::example();
            plan.admins.clear();
            plan.permissions_boundary_arn = Some("arn:aws:iam::aws:policy/X".to_owned());
            let answer = check(&aws, &plan).await;
            assert_eq!(answer.err().map(|error| error.name()), expected);
        }
    }

    #[tokio::test]
    async fn who_may_not_look_believes() {
        let denied = refusing(403, "AccessDenied");
        assert_eq!(check_with(&denied, &[ARN]).await, Ok(()));
        let error = check_with(&refusing(400, "Throttling"), &[ARN]).await;
        assert_eq!(error.unwrap_err().name(), "Throttled");
    }
}
