//! What IAM and STS do, asked by a role of its own that may do little and is removed at the end.

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use functions::aws::{Aws, codes};
use serde_json::{Value, json};

use super::{Answers, Reply, Said, either};
use crate::acceptance::caller::Kind;
use crate::acceptance::place::Place;

/// Tag key of what the questions make.
pub(in super::super) const TAG: &str = "hardway:acceptance";

/// Service-linked roles of EKS, and the services that have them (EKS user guide, service-linked roles).
const SERVICE_LINKED: &[(&str, &str)] = &[
    ("AWSServiceRoleForAmazonEKS", "eks.amazonaws.com"),
    (
        "AWSServiceRoleForAmazonEKSForFargate",
        "eks-fargate.amazonaws.com",
    ),
    (
        "AWSServiceRoleForAmazonEKSNodegroup",
        "eks-nodegroup.amazonaws.com",
    ),
    (
        "AWSServiceRoleForAmazonEKSConnector",
        "eks-connector.amazonaws.com",
    ),
];
/// How long a new role may take until STS knows it, and until its policy counts.
const SPREAD_TRIES: usize = 30;
const SPREAD_SECONDS: f64 = 5.0;
const SESSION_SECONDS: i32 = 900;

/// The name of the role that asks.
pub(in super::super) fn role_name(place: &Place) -> String {
    format!("{}-questions", place.stack())
}

pub(in super::super) async fn ask(place: &Place, answers: &mut Answers) {
    if let Err(why) = make_role(place).await {
        answers.keep("absent-service-linked-role", why.clone());
        answers.keep("session-policy-size", why);
        return;
    }
    let said = either(session_policy_size(place).await);
    answers.keep("session-policy-size", said);
    let said = either(absent_role(place).await);
    answers.keep("absent-service-linked-role", said);
}

/// Makes it, for the caller alone.
async fn make_role(place: &Place) -> Result<(), Said> {
    let account = place.fill_in("arn:${Partition}:iam::${AccountId}:root");
    let caller = match &place.caller.kind {
        Kind::Entity(arn) => arn.clone(),
        Kind::Root => account.clone(),
        Kind::Other(why) => return Err(Said::not_answered(why)),
    };
    let trust = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": {"AWS": account},
            "Action": "sts:AssumeRole",
            "Condition": {"ArnEquals": {"aws:PrincipalArn": caller}},
        }],
    });
    let tag = aws_sdk_iam::types::Tag::builder();
    let tag = tag.key(TAG).value(place.stack()).build();
    let tag = tag.map_err(|error| Said::not_answered(error.to_string()))?;
    let name = role_name(place);
    let create = place.aws.iam().create_role().role_name(&name).tags(tag);
    let create = create.assume_role_policy_document(trust.to_string()).send();
    Reply::of(create.await).or_why("iam:CreateRole")?;
    let put = place.aws.iam().put_role_policy().role_name(&name);
    let put = put.policy_name("questions");
    let put = put.policy_document(permissions(place).to_string()).send();
    Reply::of(put.await).or_why("iam:PutRolePolicy")?;
    Ok(())
}

/// Looks, and what it takes to be refused a Fargate profile.
fn permissions(place: &Place) -> Value {
    let services = ["eks.amazonaws.com", "eks-fargate-pods.amazonaws.com"];
    json!({"Version": "2012-10-17", "Statement": [
        {
            "Effect": "Allow",
            "Action": ["iam:GetRole", "ec2:Describe*"],
            "Resource": "*",
        },
        {
            "Effect": "Allow",
            "Action": ["eks:CreateFargateProfile", "eks:TagResource"],
            "Resource": [
                place.fill_in("arn:${Partition}:eks:${Region}:${AccountId}:cluster/${Stack}"),
                place.fill_in("arn:${Partition}:eks:${Region}:${AccountId}:fargateprofile/${Stack}/*"),
            ],
        },
        {
            "Effect": "Allow",
            "Action": "iam:PassRole",
            "Resource": place.fill_in("arn:${Partition}:iam::${AccountId}:role/*"),
            "Condition": {"StringEquals": {"iam:PassedToService": services}},
        },
    ]})
}

/// Assumes the role with a policy for the session; what STS says of the session's size.
pub(super) async fn session(place: &Place, policy: &str) -> Result<(Aws, String), Said> {
    let arn = format!(
        "arn:${{Partition}}:iam::${{AccountId}}:role/{}",
        role_name(place)
    );
    let arn = place.fill_in(&arn);
    let mut tries = 0;
    let answer = loop {
        let call = place.aws.sts().assume_role().role_arn(&arn).policy(policy);
        let call = call.role_session_name("hardway-acceptance");
        let reply = Reply::of(call.duration_seconds(SESSION_SECONDS).send().await);
        tries += 1;
        if reply.code() == Some(codes::STS_ACCESS_DENIED) && tries < SPREAD_TRIES {
            place.sleep(SPREAD_SECONDS).await;
            continue;
        }
        break reply.or_why("sts:AssumeRole")?;
    };
    let credentials = answer.credentials();
    let credentials = credentials.ok_or_else(|| Said::not_answered("no credentials"))?;
    let credentials = Credentials::new(
        credentials.access_key_id(),
        credentials.secret_access_key(),
        Some(credentials.session_token().to_owned()),
        None,
        "questions",
    );
    let config = place.config.to_builder();
    let provider = SharedCredentialsProvider::new(credentials);
    let aws = Aws::new(&config.credentials_provider(provider).build());
    let percent = |name: &str, value: Option<i32>| value.map(|it| format!("{name} {it} %"));
    #[allow(
        deprecated,
        reason = "where the new member is not served, the old one says it"
    )]
    let sizes = [
        percent(
            "SessionTokenUtilization",
            answer.session_token_utilization(),
        ),
        percent("PackedPolicySize", answer.packed_policy_size()),
    ];
    let sizes: Vec<String> = sizes.into_iter().flatten().collect();
    Ok((aws, sizes.join(", ")))
}

async fn session_policy_size(place: &Place) -> Result<Said, Said> {
    let (function, policy) = largest_policy(place)?;
    let length = policy.chars().count();
    let what = format!("the policy of {function}, {length} characters");
    // With a small one first: then an error is about the policy.
    session(
        place,
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}"#,
    )
    .await?;
    match session(place, &policy).await {
        Ok((_, sizes)) => Ok(Said::believed(true, format!("{what}: accepted; {sizes}"))),
        Err(Said(_, why)) => Ok(Said::believed(false, format!("{what}: {why}"))),
    }
}

/// The function with the longest session policy, and the policy as the function would send it.
fn largest_policy(place: &Place) -> Result<(String, String), Said> {
    let functions = crate::local::functions(&place.root);
    let functions = functions.map_err(|error| Said::not_answered(error.to_string()))?;
    let policy = |function: String| {
        let file = place
            .root
            .join(crate::local::policy_file(&place.root, &function));
        // Not every function goes into other accounts.
        let text = std::fs::read_to_string(file).ok()?;
        let policy: Value = serde_json::from_str(&place.fill_in(&text)).ok()?;
        Some((function, policy.to_string()))
    };
    let policies = functions.into_iter().filter_map(policy);
    let largest = policies.max_by_key(|(_, policy)| policy.chars().count());
    largest.ok_or_else(|| Said::not_answered("no function has a policy"))
}

/// Waits until the role's own permissions count: until then everything is denied.
async fn until_it_may_look(place: &Place) -> Result<(), Said> {
    let own = role_name(place);
    for _ in 0..SPREAD_TRIES {
        let reply = get_role(place, &own, &own).await?;
        if reply.code() != Some(codes::STS_ACCESS_DENIED) {
            return reply.or_why("iam:GetRole").map(drop);
        }
        place.sleep(SPREAD_SECONDS).await;
    }
    Err(Said::not_answered(
        "the role's own permissions do not spread",
    ))
}

async fn absent_role(place: &Place) -> Result<Said, Said> {
    until_it_may_look(place).await?;
    let mut absent = None;
    for (role, service) in SERVICE_LINKED {
        let found = place.aws.iam().get_role().role_name(*role).send().await;
        if Reply::of(found).code() == Some(codes::NO_SUCH_ENTITY) {
            absent = Some((*role, *service));
            break;
        }
    }
    let Some((role, service)) = absent else {
        let why = "every service-linked role of EKS is there already; a new account would tell";
        return Err(Said::not_answered(why));
    };
    let with_path = get_role(place, role, &format!("aws-service-role/{service}/{role}")).await?;
    let without = get_role(place, role, role).await?;
    let is_so = with_path.code() == Some(codes::STS_ACCESS_DENIED)
        && without.code() == Some(codes::NO_SUCH_ENTITY);
    let code = |reply: &Reply<_>| reply.code().map_or_else(|| reply.words(), str::to_owned);
    let what = format!(
        "{role}: allowed with its path only: {}; without the path only: {}",
        code(&with_path),
        code(&without)
    );
    Ok(Said::believed(is_so, what))
}

/// GetRole in a session that may do it on one ARN only.
async fn get_role(
    place: &Place,
    role: &str,
    resource: &str,
) -> Result<Reply<aws_sdk_iam::operation::get_role::GetRoleOutput>, Said> {
    let resource = format!("arn:${{Partition}}:iam::${{AccountId}}:role/{resource}");
    let statement = json!({
        "Effect": "Allow",
        "Action": "iam:GetRole",
        "Resource": place.fill_in(&resource),
    });
    let policy = json!({"Version": "2012-10-17", "Statement": [statement]});
    let (aws, _) = session(place, &policy.to_string()).await?;
    let reply = Reply::of(aws.iam().get_role().role_name(role).send().await);
    match reply.says_nothing() {
        Some(said) => Err(said),
        None => Ok(reply),
    }
}

/// Removes the role. What is not there is removed.
pub(in super::super) async fn undo(place: &Place) -> Result<(), String> {
    let iam = place.aws.iam();
    let name = role_name(place);
    let policy = iam.delete_role_policy().role_name(&name);
    let policy = Reply::of(policy.policy_name("questions").send().await);
    let role = Reply::of(iam.delete_role().role_name(&name).send().await);
    let is_gone = |code| code == Some(codes::NO_SUCH_ENTITY);
    for (reply, words) in [
        (is_gone(policy.code()), policy.words()),
        (is_gone(role.code()), role.words()),
    ] {
        if !reply && words != "accepted" {
            return Err(format!("role {name}: {words}"));
        }
    }
    Ok(())
}
