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
    use serde_json::json;

    use super::*;
    use crate::model::Plan;
    use crate::testing::World;

    /// The probes in their order, as errors name them.
    const PROBES: [&str; 5] = [
        "sts:GetCallerIdentity",
        "ec2:DescribeAvailabilityZones",
        "ec2:CreateVpc (dry run)",
        "iam:ListRoles",
        "eks:ListClusters",
    ];

    /// The operations of the probes.
    fn operations() -> [&'static str; 5] {
        PROBES.map(|probe| probe[4..].trim_end_matches(" (dry run)"))
    }

    fn account() -> World {
        World::new(Plan::example())
    }

    /// An account that refuses one of the probes.
    fn refusing(probe: usize, code: &str, message: &str) -> World {
        let world = account();
        world.fail_next(operations()[probe], code, message);
        world
    }

    async fn ask(world: &World, spec: &Spec) -> Result<Ready, Error> {
        let answer = probe(&world.aws(), &Plan::example().target, spec).await;
        answer.map_err(|error| sort(error, false))
    }

    /// The operations that were called.
    fn called(world: &World) -> Vec<String> {
        let calls = world.simulator.take_calls().into_iter();
        calls.map(|call| call.operation).collect()
    }

    fn spec() -> Spec {
        Spec::parse(&json!({"clusterName": "demo"})).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_ready_account_is_asked_each_question_once_and_says_its_zones() {
        let world = account();
        let Ready { zones, notes } = ask(&world, &spec()).await.unwrap();
        let mut ids: Vec<_> = zones.iter().filter_map(AvailabilityZone::zone_id).collect();
        ids.sort_unstable();
        assert_eq!(ids, ["apne1-az1", "apne1-az2", "apne1-az4"]);
        assert_eq!(notes, [""; 0]);
        assert_eq!(world.parameters("CreateVpc", "DryRun"), ["true"]);
        assert_eq!(world.parameters("ListRoles", "MaxItems"), ["1"]);
        assert_eq!(world.parameters("ListClusters", "maxResults"), ["1"]);
        assert_eq!(called(&world), operations());
        assert!(world.region(|region| region.ec2.vpcs.is_empty()));
    }

    #[tokio::test(start_paused = true)]
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
                let world = refusing(place, code, "not yet");
                let error = ask(&world, &spec()).await.unwrap_err();
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
                assert_eq!(called(&world), operations()[..=place], "{probe}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn account_errors_that_stay_fail_with_advice() {
        let scp = "not authorized with an explicit deny in a service control policy";
        for (place, probe) in PROBES.into_iter().enumerate() {
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
                let world = refusing(place, code, message);
                let error = ask(&world, &spec()).await.unwrap_err();
                assert_eq!(error.name(), name, "{probe} {code}: {error}");
                let text = error.to_string();
                assert!(text.contains(advice), "{text}");
                assert!(!text.contains("asked again"), "{text}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn caller_that_may_only_read_gets_a_preview() {
        let mut spec = spec();
        spec.dry_run = Some(true);
        let reader = refusing(2, "UnauthorizedOperation", "not authorized");
        let ready = ask(&reader, &spec).await.unwrap();
        assert!(!ready.zones.is_empty());
        assert!(ready.notes[0].contains(PROBES[2]), "{:?}", ready.notes);
        // What no permission mends is none of the caller's.
        for code in ["PendingVerification", "Blocked"] {
            let world = refusing(2, code, "no");
            assert!(ask(&world, &spec).await.is_err(), "{code}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_in_another_account_is_not_used() {
        let mut world = account();
        world.plan.target.account.id = "444455556666".to_owned();
        let error = ask(&world, &spec()).await.unwrap_err();
        assert_eq!(error.name(), "Unexpected");
        let text = error.to_string();
        let said = "444455556666 instead of 111122223333";
        assert!(text.contains(said), "{text}");
        assert_eq!(called(&world), ["GetCallerIdentity"]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_dry_run_asks_for_the_vpc_that_will_be_made() {
        let world = account();
        let spec = Spec::parse(&json!({
            "clusterName": "demo",
            "network": {"cidr": "172.20.0.0/20"},
            "tags": {"team": "platform"},
        }));
        ask(&world, &spec.unwrap()).await.unwrap();
        let asked = |parameter: &str| world.parameters("CreateVpc", parameter);
        assert_eq!(asked("CidrBlock"), ["172.20.0.0/20"]);
        assert_eq!(asked("DryRun"), ["true"]);
        assert_eq!(asked("TagSpecification.1.ResourceType"), ["vpc"]);
        let expected = [
            ("team", "platform"),
            ("Name", "demo/vpc"),
            ("hardway:cluster", "demo"),
            ("hardway:role", "vpc"),
            ("", ""),
        ];
        for (place, (key, value)) in expected.into_iter().enumerate() {
            let tag = format!("TagSpecification.1.Tag.{}", place + 1);
            assert_eq!(asked(&format!("{tag}.Key")), [key]);
            assert_eq!(asked(&format!("{tag}.Value")), [value]);
        }
    }
}
