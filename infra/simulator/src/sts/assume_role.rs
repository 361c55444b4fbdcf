//! `AssumeRole`.

use jiff::{SignedDuration, Timestamp};

use super::session::{Session, identity};
use crate::activation::is_early;
use crate::api_error::ApiError;
use crate::iam::Role;
use crate::iam::request::{invalid, name, number, required};
use crate::iam::trust::{Caller, Document};
use crate::params::Params;
use crate::state::Context;
use crate::xml::Element;
use size::Size;

mod size;

/// botocore's STS model, AssumeRole.
const SECONDS: u32 = 3600;
const SECONDS_MIN: u32 = 900;
const SECONDS_MAX: u32 = 43_200;
const ROLE_ARN_MIN: usize = 20;
const SESSION_NAME_MIN: usize = 2;
const SESSION_NAME_MAX: usize = 64;
/// botocore's STS model, externalIdType.
const EXTERNAL_ID_MIN: usize = 2;
const EXTERNAL_ID_MAX: usize = 1224;
const EXTERNAL_ID_SYMBOLS: &str = "_+=,.@:/-";
/// botocore's STS model, AssumeRole: characters of a session policy in plain text.
const POLICY_MAX: usize = 2048;
const UNMODELLED: &[&str] = &[
    "PolicyArns",
    "ProvidedContexts",
    "SerialNumber",
    "SourceIdentity",
    "Tags",
    "TokenCode",
    "TransitiveTagKeys",
];
/// botocore's STS model, AssumeRole: role chaining limits a session to one hour.
const CHAINED_SECONDS_MAX: u32 = 3600;

/// `AssumeRole`: credentials with which calls act in the role's account.
pub(super) fn assume_role(
    context: &mut Context<'_>,
    params: &Params,
) -> Result<Vec<Element>, ApiError> {
    let arn = required(params, "RoleArn")?;
    if arn.len() < ROLE_ARN_MIN {
        let constraint = "Member must have length greater than or equal to 20";
        return Err(invalid("roleArn", arn, constraint));
    }
    let session_name = name(params, "RoleSessionName", SESSION_NAME_MAX)?;
    if session_name.len() < SESSION_NAME_MIN {
        let constraint = "Member must have length greater than or equal to 2";
        return Err(invalid("roleSessionName", session_name, constraint));
    }
    let seconds = number(params, "DurationSeconds", SECONDS_MIN, SECONDS_MAX)?.unwrap_or(SECONDS);
    check_external_id(params)?;
    refuse_unmodelled(params)?;
    let policy = session_policy(params)?;
    let account = account_of(arn)?.to_owned();
    check_region(context, &account)?;
    let size = Size::of(context.partition(), policy)?;
    let role = trusting_role(context, params, arn, &account)?;
    check_duration(context, role, seconds)?;

    let session = Session {
        role_arn: role.arn.clone(),
        role_id: role.id.clone(),
        name: session_name.to_owned(),
        policy: policy.map(str::to_owned),
        expires_at: after(context.now, seconds),
        account,
    };
    Ok(answer(context, session, size))
}

/// What STS has and the simulator does not model.
fn refuse_unmodelled(params: &Params) -> Result<(), ApiError> {
    let is_given = |name: &&&str| params.get(name).is_some() || !params.under(name).is_empty();
    match UNMODELLED.iter().find(is_given) {
        None => Ok(()),
        Some(name) => {
            let message = format!("The simulator does not model {name}.");
            Err(ApiError::client("ValidationError", message))
        }
    }
}

/// The policy that limits the session.
fn session_policy(params: &Params) -> Result<Option<&str>, ApiError> {
    let Some(policy) = params.get("Policy") else {
        return Ok(None);
    };
    let constraint = match policy.chars().count() {
        0 => Some("Member must have length greater than or equal to 1".to_owned()),
        length if length > POLICY_MAX => Some(format!(
            "Member must have length less than or equal to {POLICY_MAX}"
        )),
        _ => None,
    };
    if let Some(constraint) = constraint {
        return Err(invalid("policy", policy, &constraint));
    }
    Document::parse(policy)?.check_identity_policy()?;
    Ok(Some(policy))
}

fn check_external_id(params: &Params) -> Result<(), ApiError> {
    let Some(id) = params.get("ExternalId") else {
        return Ok(());
    };
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || EXTERNAL_ID_SYMBOLS.contains(c);
    if !id.chars().all(is_allowed) {
        let constraint = r"Member must satisfy regular expression pattern: [\w+=,.@:\/-]*";
        return Err(invalid("externalId", id, constraint));
    }
    if !(EXTERNAL_ID_MIN..=EXTERNAL_ID_MAX).contains(&id.len()) {
        let constraint =
            format!("Member must have length between {EXTERNAL_ID_MIN} and {EXTERNAL_ID_MAX}");
        return Err(invalid("externalId", id, &constraint));
    }
    Ok(())
}

fn account_of(arn: &str) -> Result<&str, ApiError> {
    let mut parts = arn.splitn(6, ':');
    let account = parts.nth(4).filter(|_| arn.starts_with("arn:"));
    account.ok_or_else(|| {
        let message = format!("{arn} is invalid");
        ApiError::client("ValidationError", message)
    })
}

/// A region is served to the account that gives the credentials when it has enabled it (STS API
/// reference, AssumeRole, RegionDisabledException), and a brand-new account not at once.
fn check_region(context: &Context<'_>, account: &str) -> Result<(), ApiError> {
    let is_served = context.state.accounts.get(account).is_none_or(|account| {
        account.has_enabled(&context.region) && !is_early(account.activation.sts_from, context.now)
    });
    if !is_served {
        let message = format!(
            "STS is not activated in this region for account:{account}. Your account administrator \
             can activate STS in this region using the IAM Console."
        );
        return Err(ApiError::new(403, "RegionDisabledException", message));
    }
    Ok(())
}

/// The role, if STS sees it and its trust policy lets the caller in.
fn trusting_role<'a>(
    context: &'a Context<'_>,
    params: &Params,
    arn: &str,
    account: &str,
) -> Result<&'a Role, ApiError> {
    let who = identity(context);
    let denied = || {
        let message = format!(
            "User: {} is not authorized to perform: sts:AssumeRole on resource: {arn}",
            who.arn
        );
        ApiError::new(403, "AccessDenied", message)
    };
    let account = context.state.accounts.get(account).ok_or_else(denied)?;
    // Right after an account's creation its role cannot be assumed yet.
    if is_early(account.activation.assumable_from, context.now) {
        return Err(denied());
    }
    let role = account.iam.role_by_arn(arn).ok_or_else(denied)?;
    let external_id = params.get("ExternalId");
    let caller = Caller {
        service: None,
        account: Some(context.account.clone()),
        arns: vec![who.arn.clone(), who.principal_arn.clone()],
        context: [
            ("aws:principalarn", Some(who.principal_arn.as_str())),
            ("aws:principalaccount", Some(context.account.as_str())),
            (
                "aws:principalorgid",
                context.state.organization_of(&context.account),
            ),
            ("sts:externalid", external_id),
            ("sts:rolesessionname", params.get("RoleSessionName")),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned())))
        .collect(),
    };
    let trust = role.trust.seen_at(context.now).ok_or_else(denied)?;
    let trust = Document::parse(trust)?;
    if role.is_service_linked() || !trust.lets_assume(&caller) {
        return Err(denied());
    }
    Ok(role)
}

fn check_duration(context: &Context<'_>, role: &Role, seconds: u32) -> Result<(), ApiError> {
    if identity(context).is_session && seconds > CHAINED_SECONDS_MAX {
        let message = "The requested DurationSeconds exceeds the 1 hour session limit for roles \
                       assumed by role chaining.";
        return Err(ApiError::client("ValidationError", message));
    }
    if seconds > role.max_session_seconds {
        let message =
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
        return Err(ApiError::client("ValidationError", message));
    }
    Ok(())
}

fn answer(context: &mut Context<'_>, session: Session, size: Size) -> Vec<Element> {
    let count = context.state.sessions.count();
    let key = format!("{}/{}/{count}", session.role_arn, session.name);
    let hex = |what: &str, digits| context.seed.hex(what, &key, digits);
    let access_key = format!("ASIA{}", hex("session", 16).to_uppercase());
    let credentials = Element::new("Credentials").children([
        Element::text("AccessKeyId", &access_key),
        Element::text("SecretAccessKey", hex("secret", 40)),
        Element::text("SessionToken", hex("token", 64)),
        Element::text(
            "Expiration",
            session.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        ),
    ]);
    let id = format!("{}:{}", session.role_id, session.name);
    let user = Element::new("AssumedRoleUser").children([
        Element::text("AssumedRoleId", id),
        Element::text("Arn", session.arn(context.partition())),
    ]);
    let mut answer = vec![credentials, user];
    answer.extend(size.elements());
    context.state.sessions.add(access_key, session, context.now);
    answer
}

fn after(now: Timestamp, seconds: u32) -> Timestamp {
    let duration = SignedDuration::from_secs(i64::from(seconds));
    now.saturating_add(duration).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::sts::testing::{MANAGEMENT, MEMBER, ROLE_ARN, World, code};

    #[tokio::test(start_paused = true)]
    async fn session_acts_in_the_account_of_the_role() {
        let world = World::new();
        world.member();
        let assumed = world.assume(MANAGEMENT).send().await.unwrap();
        let user = assumed.assumed_role_user().unwrap();
        assert_eq!(
            user.arn,
            format!("arn:aws:sts::{MEMBER}:assumed-role/OrganizationAccountAccessRole/test")
        );
        let session = world.session(assumed.credentials().unwrap());
        let who = session.get_caller_identity().send().await.unwrap();
        assert_eq!(who.account(), Some(MEMBER));
        assert_eq!(who.arn(), Some(user.arn.as_str()));
        assert_eq!(who.user_id(), Some(user.assumed_role_id.as_str()));
    }

    #[tokio::test(start_paused = true)]
    async fn session_expires() {
        let world = World::new();
        world.member();
        let assumed = world.assume(MANAGEMENT).duration_seconds(900).send().await;
        let session = world.session(assumed.unwrap().credentials().unwrap());
        tokio::time::sleep(Duration::from_secs(899)).await;
        session.get_caller_identity().send().await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(
            code(session.get_caller_identity().send().await),
            "ExpiredToken"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn expired_session_stays_expired_whoever_comes_after_it() {
        let world = World::new();
        world.member();
        let assume = || world.assume(MANAGEMENT).duration_seconds(900).send();
        let first = assume().await.unwrap().credentials.unwrap();
        let session = world.session(&first);
        tokio::time::sleep(Duration::from_mins(15)).await;
        let second = assume().await.unwrap().credentials.unwrap();
        assert_ne!(first.access_key_id, second.access_key_id);
        let call = session.get_caller_identity().send().await;
        assert_eq!(code(call), "ExpiredToken");
        let session = world.session(&second);
        session.get_caller_identity().send().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn strangers_and_missing_roles_are_denied_alike() {
        let world = World::new();
        world.member();
        assert_eq!(
            code(world.assume("999900001111").send().await),
            "AccessDenied"
        );
        let missing = ROLE_ARN.replace("Access", "Missing");
        let call = world.assume(MANAGEMENT).role_arn(missing).send().await;
        assert_eq!(code(call), "AccessDenied");
        let unknown = ROLE_ARN.replace(MEMBER, "999900001111");
        let call = world.assume(MANAGEMENT).role_arn(unknown).send().await;
        assert_eq!(code(call), "AccessDenied");
    }

    #[tokio::test(start_paused = true)]
    async fn external_id_must_be_the_agreed_one() {
        let world = World::new();
        let trust = format!(
            r#"{{"Statement":{{"Effect":"Allow","Principal":{{"AWS":"{MANAGEMENT}"}},"Action":"sts:AssumeRole","Condition":{{"StringEquals":{{"sts:ExternalId":"secret"}}}}}}}}"#
        );
        world.simulator.change(|state| {
            state.add_account(
                MEMBER,
                [(ROLE_ARN.rsplit('/').next().unwrap(), trust.as_str())],
            );
        });
        let assume = || world.assume(MANAGEMENT);
        assert_eq!(code(assume().send().await), "AccessDenied");
        assert_eq!(
            code(assume().external_id("guess").send().await),
            "AccessDenied"
        );
        assume().external_id("secret").send().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn external_id_follows_the_rules() {
        let world = World::new();
        world.member();
        for id in ["x", "a b", &"x".repeat(1225)] {
            let call = world.assume(MANAGEMENT).external_id(id).send().await;
            assert_eq!(code(call), "ValidationError", "{id}");
        }
        let call = world.assume(MANAGEMENT).external_id("a/b:c@d");
        call.send().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    #[allow(deprecated, reason = "STS still says it")]
    async fn a_session_policy_limits_the_session() {
        let world = World::new();
        world.member();
        let policy = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:ListRoles","Resource":"*"}}"#;
        let assumed = world
            .assume(MANAGEMENT)
            .policy(policy)
            .send()
            .await
            .unwrap();
        let utilization = assumed.session_token_utilization();
        assert_eq!(assumed.packed_policy_size(), utilization);
        let size = assumed.session_token_size().unwrap();
        assert_eq!(utilization, Some((size * 100 + 4095) / 4096));
        let session = world.session(assumed.credentials().unwrap());
        let call = session.assume_role().role_arn(ROLE_ARN);
        let refused = call.role_session_name("test").send().await;
        let words = "because no session policy allows the sts:AssumeRole action";
        let message = crate::testing::message(&refused);
        assert!(message.ends_with(words), "{message}");
    }

    #[tokio::test(start_paused = true)]
    async fn session_policies_are_checked() {
        let world = World::new();
        world.member();
        let assume = |policy: &str| world.assume(MANAGEMENT).policy(policy).send();
        let padding = " ".repeat(2048);
        let long = format!(r#"{{"Statement":[]}}{padding}"#);
        assert_eq!(code(assume(&long).await), "ValidationError");
        for policy in [
            "{",
            r#"{"Statement":[]}"#,
            r#"{"Statement":{"Effect":"Allow","Action":"*"}}"#,
            r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Principal":"*"}}"#,
        ] {
            assert_eq!(
                code(assume(policy).await),
                "MalformedPolicyDocument",
                "{policy}"
            );
        }
        let arn = aws_sdk_sts::types::PolicyDescriptorType::builder();
        let arn = arn.arn("arn:aws:iam::aws:policy/ReadOnlyAccess").build();
        let call = world.assume(MANAGEMENT).policy_arns(arn).send().await;
        assert_eq!(code(call), "ValidationError");
    }

    #[tokio::test(start_paused = true)]
    async fn chained_sessions_last_an_hour_at_most() {
        let world = World::new();
        world.member();
        world.simulator.change(|state| {
            let iam = &mut state.accounts.get_mut(MEMBER).unwrap().iam;
            for role in iam.roles.values_mut() {
                role.max_session_seconds = 43_200;
            }
            let trust = crate::iam::testing::TRUST.replace(
                r#""Service":"eks.amazonaws.com""#,
                &format!(r#""AWS":"{MEMBER}""#),
            );
            state.add_account(MEMBER, [("next", trust.as_str())]);
        });
        world
            .assume(MANAGEMENT)
            .duration_seconds(7200)
            .send()
            .await
            .unwrap();
        let assumed = world.assume(MANAGEMENT).send().await.unwrap();
        let session = world.session(assumed.credentials().unwrap());
        let chain = |seconds| {
            let call = session
                .assume_role()
                .role_arn(format!("arn:aws:iam::{MEMBER}:role/next"));
            call.role_session_name("test")
                .duration_seconds(seconds)
                .send()
        };
        assert_eq!(code(chain(3601).await), "ValidationError");
        chain(3600).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn duration_and_name_stay_within_their_bounds() {
        let world = World::new();
        world.member();
        for seconds in [899, 3601, 43_201] {
            let call = world
                .assume(MANAGEMENT)
                .duration_seconds(seconds)
                .send()
                .await;
            assert_eq!(code(call), "ValidationError", "{seconds}");
        }
        for name in ["x", "a b"] {
            let call = world
                .assume(MANAGEMENT)
                .role_session_name(name)
                .send()
                .await;
            assert_eq!(code(call), "ValidationError", "{name}");
        }
    }
}
