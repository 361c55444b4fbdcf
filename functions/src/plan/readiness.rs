//! Whether the account can be used yet.
//!
//! An account exists minutes, sometimes hours, before every service serves it, and each service turns
//! callers away in words of its own. So the cheapest call of each kind is made before anything is
//! decided: what time heals is [`Error::AccountNotReady`], and the state machine asks again, from the
//! first probe on; what it does not heal fails at once. CreateVpc is asked as a dry run, because EC2
//! describes things in an account in which it does not create any yet.

use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_sdk_ec2::types::{AvailabilityZone, ResourceType, Tag, TagSpecification};

use crate::aws::{Aws, Base, codes, identity};
use crate::contract::error::required;
use crate::contract::{During, Error};
use crate::model::{Spec, Target, tags};
use crate::plan::{SESSION, cidr};
use crate::resources::{cluster, role};

/// What is known of an account that can be used.
#[derive(Debug)]
pub(crate) struct Ready {
    /// The Availability Zones that it has in the region.
    pub zones: Vec<AvailabilityZone>,
    /// What stands in the way of more than a preview, a sentence each.
    pub notes: Vec<String>,
}

/// Clients of the target account, which can be used, and what is known of it.
///
/// # Errors
/// [`Error::AccountNotReady`] while it cannot be used yet; else what stands in the way.
pub(crate) async fn enter(
    base: &Base,
    target: &Target,
    spec: &Spec,
    is_new: bool,
) -> Result<(Aws, Ready), Error> {
    // Who may assume the role is no matter of the account's own service control policies.
    let aws = base.target(target, &SESSION).await;
    let aws = aws.map_err(|error| sort(error, false))?;
    let ready = probe(&aws, target, spec).await;
    let ready = ready.map_err(|error| sort(error, is_new))?;
    Ok((aws, ready))
}

/// What an error means in an account that is new, and how long the state machine asks again; a test holds
/// the two together.
pub(crate) fn sort(error: Error, is_new: bool) -> Error {
    let error = if is_new {
        error.in_new_account()
    } else {
        error
    };
    match error {
        Error::AccountNotReady(text) => {
            Error::AccountNotReady(format!("{text}; it is asked again for up to four hours"))
        }
        other => other,
    }
}

/// One call of each kind, in the order in which they usually begin to work.
async fn probe(aws: &Aws, target: &Target, spec: &Spec) -> Result<Ready, Error> {
    check_identity(aws, target).await?;
    let zones = zones(aws, target).await?;
    let notes = match try_create_vpc(aws, target, spec).await {
        // Whoever may only read may look at the plan.
        Err(error @ Error::AccessDenied(_)) if spec.dry_run == Some(true) => {
            vec![format!("these credentials could not build it: {error}")]
        }
        answer => answer.map(|()| vec![])?,
    };
    role::probe(aws, target).await?;
    cluster::probe(aws, target).await?;
    Ok(Ready { zones, notes })
}

/// The session is in the account that was asked for.
async fn check_identity(aws: &Aws, target: &Target) -> Result<(), Error> {
    let identity = identity::of(aws, Some(target)).await?;
    let account = required(identity.account(), "sts:GetCallerIdentity: account")?;
    if account == target.account.id {
        return Ok(());
    }
    Err(Error::Unexpected(format!(
        "the session is in account {account} instead of {}",
        target.account.id
    )))
}

/// All zones of the region that the account can see. DescribeAvailabilityZones has no pages.
async fn zones(aws: &Aws, target: &Target) -> Result<Vec<AvailabilityZone>, Error> {
    let answer = aws.ec2().describe_availability_zones().send().await;
    let answer = answer.during_first("ec2:DescribeAvailabilityZones", target)?;
    Ok(answer.availability_zones.unwrap_or_default())
}

/// A dry run of the first call that makes something, with its CIDR block and its tags: a policy of the
/// organization may ask for them.
async fn try_create_vpc(aws: &Aws, target: &Target, spec: &Spec) -> Result<(), Error> {
    let asked = spec.network.as_ref().and_then(|it| it.cidr.as_deref());
    let user_tags = spec.tags.clone().unwrap_or_default();
    let tags = tags::of_target(target, &user_tags, "vpc").into_iter();
    let tags = tags.map(|(key, value)| Tag::builder().key(key).value(value).build());
    let tags = TagSpecification::builder()
        .resource_type(ResourceType::Vpc)
        .set_tags(Some(tags.collect()));
    let call = aws
        .ec2()
        .create_vpc()
        .cidr_block(cidr::of_vpc(asked)?.to_string())
        .tag_specifications(tags.build())
        .dry_run(true);
    match call.send().await {
        Err(error) if error.code() == Some(codes::DRY_RUN_OPERATION) => Ok(()),
        answer => answer
            .during_first("ec2:CreateVpc (dry run)", target)
            .map(drop),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::operation::describe_availability_zones::DescribeAvailabilityZonesOutput;
    use aws_sdk_eks::operation::list_clusters::ListClustersOutput;
    use aws_sdk_iam::operation::list_roles::ListRolesOutput;
    use aws_sdk_sts::operation::get_caller_identity::GetCallerIdentityOutput;
    use aws_smithy_mocks::{Rule, mock};
    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    use serde_json::json;

    use super::*;
    use crate::aws::mocks::{ec2_refusal, eks_refusal, iam_refusal};
    use crate::model::Plan;

    /// The probes in their order, as errors name them.
    const PROBES: [&str; 5] = [
        "sts:GetCallerIdentity",
        "ec2:DescribeAvailabilityZones",
        "ec2:CreateVpc (dry run)",
        "iam:ListRoles",
        "eks:ListClusters",
    ];

    fn refusal(probe: &str, code: &'static str, message: &str) -> HttpResponse {
        match &probe[..4] {
            "ec2:" => ec2_refusal(code, message),
            "eks:" => eks_refusal(403, code, message),
            _ => iam_refusal(403, code, message),
        }
    }

    /// An account that refuses one of the probes, with a rule for each of them.
    struct Account([Rule; 5]);

    impl Account {
        fn ready() -> Self {
            Self::identifying_itself_as("111122223333")
        }

        fn identifying_itself_as(id: &'static str) -> Self {
            let identity = move || GetCallerIdentityOutput::builder().account(id).build();
            let zones = || {
                let zone = AvailabilityZone::builder().zone_id("apne1-az1").build();
                DescribeAvailabilityZonesOutput::builder()
                    .availability_zones(zone)
                    .build()
            };
            let roles = || {
                let roles = ListRolesOutput::builder().set_roles(Some(vec![])).build();
                roles.unwrap()
            };
            let would_succeed = || {
                let message = "Request would have succeeded, but DryRun flag is set.";
                ec2_refusal(codes::DRY_RUN_OPERATION, message)
            };
            Self([
                mock!(aws_sdk_sts::Client::get_caller_identity).then_output(identity),
                mock!(aws_sdk_ec2::Client::describe_availability_zones).then_output(zones),
                mock!(aws_sdk_ec2::Client::create_vpc)
                    .match_requests(|call| call.dry_run() == Some(true))
                    .then_http_response(would_succeed),
                mock!(aws_sdk_iam::Client::list_roles)
                    .match_requests(|call| call.max_items() == Some(1))
                    .then_output(roles),
                mock!(aws_sdk_eks::Client::list_clusters)
                    .match_requests(|call| call.max_results() == Some(1))
                    .then_output(|| ListClustersOutput::builder().build()),
            ])
        }

        fn refusing(probe: &'static str, code: &'static str, message: &'static str) -> Self {
            let Self(mut rules) = Self::ready();
            let answer = move || refusal(probe, code, message);
            let (place, rule) = match probe {
                "sts:GetCallerIdentity" => (
                    0,
                    mock!(aws_sdk_sts::Client::get_caller_identity).then_http_response(answer),
                ),
                "ec2:DescribeAvailabilityZones" => (
                    1,
                    mock!(aws_sdk_ec2::Client::describe_availability_zones)
                        .then_http_response(answer),
                ),
                "ec2:CreateVpc (dry run)" => (
                    2,
                    mock!(aws_sdk_ec2::Client::create_vpc).then_http_response(answer),
                ),
                "iam:ListRoles" => (
                    3,
                    mock!(aws_sdk_iam::Client::list_roles).then_http_response(answer),
                ),
                _ => (
                    4,
                    mock!(aws_sdk_eks::Client::list_clusters).then_http_response(answer),
                ),
            };
            rules[place] = rule;
            Self(rules)
        }

        async fn probe(&self, spec: &Spec) -> Result<Ready, Error> {
            let [identity, zones, vpc, roles, clusters] = &self.0;
            let aws = Aws::offline()
                .with(crate::mocked!(aws_sdk_sts, [identity]))
                .with(crate::mocked!(aws_sdk_ec2, [zones, vpc]))
                .with(crate::mocked!(aws_sdk_iam, [roles]))
                .with(crate::mocked!(aws_sdk_eks, [clusters]));
            let target = Plan::example().target;
            let answer = probe(&aws, &target, spec).await;
            answer.map_err(|error| sort(error, false))
        }

        fn calls(&self) -> [usize; 5] {
            self.0.each_ref().map(Rule::num_calls)
        }
    }

    fn spec() -> Spec {
        Spec::parse(&json!({"clusterName": "demo"})).unwrap()
    }

    #[tokio::test]
    async fn a_ready_account_is_asked_each_question_once_and_says_its_zones() {
        let account = Account::ready();
        let Ready { zones, notes } = account.probe(&spec()).await.unwrap();
        assert_eq!(zones.len(), 1);
        assert_eq!(zones[0].zone_id(), Some("apne1-az1"));
        assert_eq!(notes, [""; 0]);
        assert_eq!(account.calls(), [1; 5]);
    }

    #[tokio::test]
    async fn account_errors_that_pass_are_waited_for_at_every_probe() {
        for (place, probe) in PROBES.into_iter().enumerate() {
            for code in [
                "OptInRequired",
                "SubscriptionRequiredException",
                "PendingVerification",
                "RegionDisabledException",
                "AuthFailure",
                "InvalidClientTokenId",
                "UnrecognizedClientException",
            ] {
                let account = Account::refusing(probe, code, "not yet");
                let error = account.probe(&spec()).await.unwrap_err();
                assert_eq!(error.name(), "AccountNotReady", "{probe} {code}: {error}");
                let text = error.to_string();
                for said in [
                    &format!("{probe} answered {code}: not yet"),
                    "account 111122223333, region ap-northeast-1",
                    "asked again for up to four hours",
                ] {
                    assert!(text.contains(said), "{said}: {text}");
                }
                // The probes up to this one were made once, and no other.
                let expected: [usize; 5] = std::array::from_fn(|it| usize::from(it <= place));
                assert_eq!(account.calls(), expected, "{probe}");
            }
        }
    }

    #[tokio::test]
    async fn account_errors_that_stay_fail_with_advice() {
        let scp = "not authorized with an explicit deny in a service control policy";
        for probe in PROBES {
            for (code, message, name, advice) in [
                ("Blocked", "blocked", "AccountBlocked", "AWS Support"),
                ("AccessDenied", scp, "ExplicitDeny", "ask for an exception"),
                (
                    "UnauthorizedOperation",
                    scp,
                    "ExplicitDeny",
                    "ask for an exception",
                ),
                ("AccessDenied", "not authorized", "AccessDenied", probe),
                (
                    "UnauthorizedOperation",
                    "not authorized",
                    "AccessDenied",
                    probe,
                ),
            ] {
                let error = Account::refusing(probe, code, message)
                    .probe(&spec())
                    .await
                    .unwrap_err();
                assert_eq!(error.name(), name, "{probe} {code}: {error}");
                let text = error.to_string();
                assert!(text.contains(advice), "{text}");
                assert!(!text.contains("asked again"), "{text}");
            }
        }
    }

    #[tokio::test]
    async fn caller_that_may_only_read_gets_a_preview() {
        let mut spec = spec();
        spec.dry_run = Some(true);
        let probe = "ec2:CreateVpc (dry run)";
        let reader = Account::refusing(probe, "UnauthorizedOperation", "not authorized");
        let ready = reader.probe(&spec).await.unwrap();
        assert_eq!(ready.zones.len(), 1);
        assert!(ready.notes[0].contains(probe), "{:?}", ready.notes);
        // What no permission mends is none of the caller's.
        for code in ["PendingVerification", "Blocked"] {
            let account = Account::refusing(probe, code, "no");
            assert!(account.probe(&spec).await.is_err(), "{code}");
        }
    }

    #[tokio::test]
    async fn a_session_in_another_account_is_not_used() {
        let account = Account::identifying_itself_as("444455556666");
        let error = account.probe(&spec()).await.unwrap_err();
        assert_eq!(error.name(), "Unexpected");
        let text = error.to_string();
        assert!(
            text.contains("444455556666 instead of 111122223333"),
            "{text}"
        );
        assert_eq!(account.calls(), [1, 0, 0, 0, 0]);
    }

    #[tokio::test]
    async fn the_dry_run_asks_for_the_vpc_that_will_be_made() {
        let Account(mut rules) = Account::ready();
        rules[2] = mock!(aws_sdk_ec2::Client::create_vpc)
            .match_requests(|call| {
                let tags = call.tag_specifications()[0].tags().iter();
                let tags: Vec<_> = tags
                    .filter_map(|tag| Some((tag.key()?, tag.value()?)))
                    .collect();
                let expected = [
                    ("team", "platform"),
                    ("Name", "demo/vpc"),
                    ("hardway:cluster", "demo"),
                    ("hardway:role", "vpc"),
                ];
                call.cidr_block() == Some("172.20.0.0/20")
                    && call.dry_run() == Some(true)
                    && tags == expected
            })
            .then_http_response(|| ec2_refusal(codes::DRY_RUN_OPERATION, ""));
        let account = Account(rules);
        let spec = Spec::parse(&json!({
            "clusterName": "demo",
            "network": {"cidr": "172.20.0.0/20"},
            "tags": {"team": "platform"},
        }));
        account.probe(&spec.unwrap()).await.unwrap();
        assert_eq!(account.calls(), [1; 5]);
    }
}
