//! Who asks: the identity behind the credentials, and the entity whose policies count.

use anyhow::{Context, Result};
use functions::aws::Aws;

use super::place::said;

/// Whose the credentials are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    pub account: String,
    /// As STS says it.
    pub arn: String,
    pub kind: Kind,
}

/// What kind of principal it is, as far as policies can be simulated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// An IAM user, or a role whose session it is: the ARN of the entity that has the policies.
    Entity(String),
    /// The account's root user, who may do everything that no policy of the organization forbids.
    Root,
    /// Nobody whose policies IAM could simulate; why.
    Other(String),
}

impl Caller {
    pub async fn find(aws: &Aws) -> Result<Self> {
        let who = aws.sts().get_caller_identity().send().await;
        let who = who.map_err(|error| anyhow::anyhow!(said(&error)));
        let who = who.context("your credentials do not work")?;
        let arn = who.arn().unwrap_or_default().to_owned();
        let kind = kind(aws, &arn).await;
        Ok(Self {
            account: who.account().unwrap_or_default().to_owned(),
            arn,
            kind,
        })
    }

    pub fn partition(&self) -> &str {
        self.arn.split(':').nth(1).unwrap_or("aws")
    }
}

/// A session's ARN has the role's name and not its path, which roles of IAM Identity Center have: only
/// GetRole knows the whole ARN.
async fn kind(aws: &Aws, arn: &str) -> Kind {
    let Some(role) = role_of_session(arn) else {
        return kind_of(arn);
    };
    let found = aws.iam().get_role().role_name(role).send().await;
    match found {
        Ok(found) => match found.role() {
            Some(role) => Kind::Entity(role.arn().to_owned()),
            None => Kind::Other(format!("GetRole answers no role {role}")),
        },
        Err(error) => Kind::Other(format!(
            "the ARN of the role {role} cannot be read: {}",
            said(&error)
        )),
    }
}

/// The name of the role in `arn:…:sts::…:assumed-role/NAME/SESSION`.
fn role_of_session(arn: &str) -> Option<&str> {
    let resource = arn.splitn(6, ':').nth(5)?;
    let (name, _session) = resource.strip_prefix("assumed-role/")?.split_once('/')?;
    Some(name)
}

fn kind_of(arn: &str) -> Kind {
    match arn.splitn(6, ':').nth(5).unwrap_or_default() {
        "root" => Kind::Root,
        user if user.starts_with("user/") => Kind::Entity(arn.to_owned()),
        other => Kind::Other(format!(
            "{} is neither a user nor a role",
            other.split('/').next().unwrap_or_default()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_iam::operation::get_role::GetRoleOutput;
    use aws_sdk_iam::types::Role;
    use aws_smithy_mocks::mock;
    use functions::aws::mocks::iam_error;

    const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Admin_0123456789abcdef/me@example.com";

    #[tokio::test]
    async fn a_session_of_identity_center_is_its_role_with_the_path() {
        let arn = "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Admin_0123456789abcdef";
        let get = mock!(aws_sdk_iam::Client::get_role)
            .match_requests(|call| {
                call.role_name() == Some("AWSReservedSSO_Admin_0123456789abcdef")
            })
            .then_output(move || {
                let role = Role::builder()
                    .arn(arn)
                    .path("/aws-reserved/sso.amazonaws.com/eu-west-1/")
                    .role_name("AWSReservedSSO_Admin_0123456789abcdef")
                    .role_id("AROA")
                    .create_date(aws_sdk_iam::primitives::DateTime::from_secs(0));
                GetRoleOutput::builder().role(role.build().unwrap()).build()
            });
        let aws = Aws::offline().with(functions::mocked!(aws_sdk_iam, [&get]));
        assert_eq!(kind(&aws, SESSION).await, Kind::Entity(arn.to_owned()));
    }

    #[tokio::test]
    async fn a_role_that_may_not_look_at_itself_cannot_be_simulated() {
        let get = mock!(aws_sdk_iam::Client::get_role)
            .then_http_response(|| iam_error(403, "AccessDenied", "no"));
        let aws = Aws::offline().with(functions::mocked!(aws_sdk_iam, [&get]));
        let Kind::Other(why) = kind(&aws, SESSION).await else {
            panic!("it knows the role");
        };
        assert!(why.contains("AWSReservedSSO_Admin"), "{why}");
        assert!(why.contains("AccessDenied"), "{why}");
    }

    #[test]
    fn users_root_and_others_are_told_apart() {
        let user = "arn:aws:iam::111122223333:user/path/me";
        assert_eq!(kind_of(user), Kind::Entity(user.to_owned()));
        assert_eq!(kind_of("arn:aws:iam::111122223333:root"), Kind::Root);
        let federated = kind_of("arn:aws:sts::111122223333:federated-user/me");
        assert!(matches!(federated, Kind::Other(_)));
        assert_eq!(role_of_session(user), None);
    }
}
