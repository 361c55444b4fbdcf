//! Account activation: a new account becomes usable bit by bit.
//!
//! What is known of it is what users ran into; AWS states only that it takes a while (botocore's
//! Organizations model, CreateAccount).

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::api_error::ApiError;
use crate::params::Params;
use crate::state::Context;

/// From when on what of an account works; what has no time works always.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Activation {
    /// STS serves it: `RegionDisabledException` before (org-formation/org-formation-cli issue 465).
    pub sts_from: Option<Timestamp>,
    /// Its roles can be assumed: `AccessDenied` before (boto/boto3 issue 1216).
    pub assumable_from: Option<Timestamp>,
    /// IAM serves it: `OptInRequired` before (IAM API reference, common errors).
    pub iam_from: Option<Timestamp>,
    /// EC2 serves it: `OptInRequired` before (weaveworks/eks-appmesh-profile issue 17).
    pub ec2_from: Option<Timestamp>,
    /// EKS and CloudWatch Logs serve it: `SubscriptionRequiredException` before
    /// (awslabs/aws-deployment-framework issues 243 and 519).
    pub subscribed_from: Option<Timestamp>,
    /// EC2 changes something for it: `PendingVerification` before (skyplane-project/skyplane issue 799).
    pub verified_from: Option<Timestamp>,
    /// Whether dry runs succeed although a verification is pending or the account is blocked. Users saw
    /// that; by default they tell.
    pub hides_from_dry_runs: bool,
    /// Until then what is changed in IAM takes minutes to reach other services (aws/aws-cdk issue 16037):
    /// a service's own role, too (aws/aws-k8s-tester issue 232).
    pub slow_iam_until: Option<Timestamp>,
    /// Whether EC2 refuses all changes for good: `Blocked` (EC2 API reference, error codes).
    pub blocked: bool,
    /// The service control policy that lies on it until its set-up has ended.
    pub quarantine: Option<Quarantine>,
}

/// A service control policy that lets an account's principals do nothing for a while, as landing zones put
/// it on new accounts (awslabs/landing-zone-accelerator-on-aws issues 850 and 1179). What needs no
/// permission stays allowed; roles of services are not subject to such a policy, nor is somebody from
/// another account who assumes a role (AWS Organizations user guide, service control policies).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantine {
    /// When it is taken off.
    pub until: Timestamp,
    /// Whether it is an allow-list that has nothing on it, rather than a denial.
    pub is_allow_list: bool,
    /// Names of the roles that it does not bind.
    pub exempt: Vec<String>,
}

impl Quarantine {
    /// Why a principal may not do something, in the words of IAM's user guide (troubleshoot access denied
    /// error messages); `None` if it may.
    pub(crate) fn denial(&self, now: Timestamp, principal: &str, action: &str) -> Option<String> {
        let name = principal.rsplit('/').next().unwrap_or_default();
        if now >= self.until || self.exempt.iter().any(|exempt| exempt == name) {
            return None;
        }
        Some(if self.is_allow_list {
            format!("because no service control policy allows the {action} action")
        } else {
            "with an explicit deny in a service control policy".to_owned()
        })
    }
}

/// The stages in their order, as shares of the time until all works. terraform-provider-aws issue 15654:
/// STS, VPCs and IAM within minutes; verification comes last and takes the longest (the error's own
/// words: minutes, up to four hours).
const STS: f64 = 0.1;
const ASSUMABLE: f64 = 0.2;
const IAM: f64 = 0.3;
const EC2: f64 = 0.5;
const SUBSCRIBED: f64 = 0.7;

impl Activation {
    /// One stage after the other: STS, roles, IAM, EC2 for reading, EKS and logs, and `ready_after` the
    /// creation EC2 for changes.
    #[must_use]
    pub fn in_stages(created_at: Timestamp, ready_after: SignedDuration) -> Self {
        let at = |share: f64| {
            let after = ready_after.as_secs_f64() * share;
            let after = SignedDuration::try_from_secs_f64(after).unwrap_or(ready_after);
            created_at.saturating_add(after).ok()
        };
        Self {
            sts_from: at(STS),
            assumable_from: at(ASSUMABLE),
            iam_from: at(IAM),
            ec2_from: at(EC2),
            subscribed_from: at(SUBSCRIBED),
            verified_from: at(1.0),
            slow_iam_until: at(1.0),
            ..Self::default()
        }
    }

    /// When all of it works, if it ever does.
    #[must_use]
    pub fn ready_at(&self) -> Option<Timestamp> {
        let times = [
            self.sts_from,
            self.assumable_from,
            self.iam_from,
            self.ec2_from,
            self.subscribed_from,
            self.verified_from,
            self.quarantine.as_ref().map(|it| it.until),
        ];
        let last = times.into_iter().flatten().max();
        (!self.blocked).then(|| last.unwrap_or(Timestamp::MIN))
    }

    fn check(
        &self,
        now: Timestamp,
        service: &str,
        operation: &str,
        params: Option<&Params>,
    ) -> Result<(), ApiError> {
        let subscribe = "The AWS Access Key Id needs a subscription for the service";
        match service {
            "iam" if is_early(self.iam_from, now) => {
                Err(ApiError::new(403, "OptInRequired", subscribe))
            }
            "ec2" if is_early(self.ec2_from, now) => {
                let message = "You are not subscribed to this service. Please go to \
                               http://aws.amazon.com to subscribe.";
                Err(ApiError::new(401, "OptInRequired", message))
            }
            "ec2" => self.check_change(now, operation, params),
            "eks" if is_early(self.subscribed_from, now) => Err(ApiError::new(
                403,
                "SubscriptionRequiredException",
                subscribe,
            )),
            "logs" if is_early(self.subscribed_from, now) => {
                Err(ApiError::client("SubscriptionRequiredException", subscribe))
            }
            _ => Ok(()),
        }
    }

    fn check_change(
        &self,
        now: Timestamp,
        operation: &str,
        params: Option<&Params>,
    ) -> Result<(), ApiError> {
        let is_dry = params.and_then(|params| params.get("DryRun")) == Some("true");
        let is_hidden = is_dry && self.hides_from_dry_runs;
        if crate::ec2::only_reads(operation) || is_hidden {
            return Ok(());
        }
        if self.blocked {
            let message = "This account is currently blocked and not recognized as a valid account. \
                           Please contact aws-verification@amazon.com if you have questions.";
            return Err(ApiError::client("Blocked", message));
        }
        if is_early(self.verified_from, now) {
            let message = "Your request for accessing resources in this region is being validated, \
                           and you will not be able to launch additional resources in this region \
                           until the validation is complete. We will notify you by email once your \
                           request has been validated. While normally resolved within minutes, \
                           please allow up to 4 hours for this process to complete. If the issue \
                           still persists, please let us know by writing to \
                           aws-verification@amazon.com for further assistance.";
            return Err(ApiError::client("PendingVerification", message));
        }
        Ok(())
    }
}

/// Whether it is before a stage.
pub(crate) fn is_early(from: Option<Timestamp>, now: Timestamp) -> bool {
    from.is_some_and(|from| now < from)
}

/// Refuses what does not work yet in the caller's account.
pub(crate) fn check(
    context: &Context<'_>,
    service: &str,
    operation: &str,
    params: Option<&Params>,
) -> Result<(), ApiError> {
    match context.state.accounts.get(&context.account) {
        None => Ok(()),
        Some(account) => (account.activation).check(context.now, service, operation, params),
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;

    use super::*;
    use crate::sts::testing::{MANAGEMENT, MEMBER, World, code};
    use crate::testing::{client, message, wait};

    const REGION: &str = "ap-northeast-1";
    /// An hour and a half.
    const READY: SignedDuration = SignedDuration::from_mins(90);

    /// A member account that is being activated.
    fn with_activation(activation: impl FnOnce(Timestamp) -> Activation) -> World {
        let world = World::new();
        world.member();
        let now = world.simulator.now();
        let activation = activation(now);
        world
            .simulator
            .change_account(MEMBER, |account| account.activation = activation);
        world
    }

    #[tokio::test(start_paused = true)]
    async fn account_is_activated_in_stages() {
        let world = with_activation(|now| Activation::in_stages(now, READY));
        let assume = || world.assume(MANAGEMENT).send();
        assert_eq!(code(assume().await), "RegionDisabledException");
        wait(9 * 60).await;
        assert_eq!(code(assume().await), "AccessDenied");
        wait(9 * 60).await;
        let credentials = assume().await.unwrap().credentials.unwrap();
        let key = &credentials.access_key_id;

        let iam = client!(aws_sdk_iam, world.simulator, key, REGION);
        let ec2 = client!(aws_sdk_ec2, world.simulator, key, REGION);
        let eks = client!(aws_sdk_eks, world.simulator, key, REGION);
        let logs = client!(aws_sdk_cloudwatchlogs, world.simulator, key, REGION);
        let roles = || iam.list_roles().max_items(1).send();
        let refused = roles().await;
        assert_eq!(
            message(&refused),
            "The AWS Access Key Id needs a subscription for the service"
        );
        assert_eq!(code(refused), "OptInRequired");
        wait(9 * 60).await;
        roles().await.unwrap();

        let zones = || ec2.describe_availability_zones().send();
        let refused = zones().await;
        let raw = refused.as_ref().unwrap_err().raw_response().unwrap();
        assert_eq!(raw.status().as_u16(), 401);
        assert_eq!(code(refused), "OptInRequired");
        wait(18 * 60).await;
        zones().await.unwrap();

        let clusters = || eks.list_clusters().max_results(1).send();
        assert_eq!(code(clusters().await), "SubscriptionRequiredException");
        let groups = || logs.describe_log_groups().send();
        assert_eq!(code(groups().await), "SubscriptionRequiredException");
        wait(18 * 60).await;
        // The session is an hour old.
        let credentials = assume().await.unwrap().credentials.unwrap();
        let key = &credentials.access_key_id;
        let ec2 = client!(aws_sdk_ec2, world.simulator, key, REGION);
        let eks = client!(aws_sdk_eks, world.simulator, key, REGION);
        let logs = client!(aws_sdk_cloudwatchlogs, world.simulator, key, REGION);
        let clusters = eks.list_clusters().max_results(1).send().await;
        clusters.unwrap();
        logs.describe_log_groups().send().await.unwrap();

        let create = || ec2.create_vpc().cidr_block("10.0.0.0/16");
        ec2.describe_vpcs().send().await.unwrap();
        for dry in [true, false] {
            let refused = create().dry_run(dry).send().await;
            let raw = refused.as_ref().unwrap_err().raw_response().unwrap();
            assert_eq!(raw.status().as_u16(), 400);
            assert_eq!(code(refused), "PendingVerification");
        }
        wait(27 * 60).await;
        let dry = create().dry_run(true).send().await;
        assert_eq!(code(dry), "DryRunOperation");
        create().send().await.unwrap();
        let account = world
            .simulator
            .look_into(MEMBER, |account| account.activation.ready_at());
        assert_eq!(account.unwrap(), Some(world.simulator.now()));
    }

    #[tokio::test(start_paused = true)]
    async fn dry_runs_may_not_tell() {
        let world = with_activation(|now| Activation {
            verified_from: Some(now + 60.seconds()),
            hides_from_dry_runs: true,
            ..Activation::default()
        });
        let ec2 = client!(aws_sdk_ec2, world.simulator, MEMBER, REGION);
        let create = |dry| {
            let call = ec2.create_vpc().cidr_block("10.0.0.0/16");
            call.dry_run(dry).send()
        };
        assert_eq!(code(create(true).await), "DryRunOperation");
        assert_eq!(code(create(false).await), "PendingVerification");
    }

    #[tokio::test(start_paused = true)]
    async fn a_blocked_account_stays_blocked() {
        let world = with_activation(|_| Activation {
            blocked: true,
            ..Activation::default()
        });
        let ec2 = client!(aws_sdk_ec2, world.simulator, MEMBER, REGION);
        ec2.describe_vpcs().send().await.unwrap();
        wait(24 * 3600).await;
        let dry = ec2.create_internet_gateway().dry_run(true).send().await;
        assert_eq!(code(dry), "Blocked");
        let at = |activation: &Activation| activation.ready_at();
        let ready = world
            .simulator
            .look_into(MEMBER, |account| at(&account.activation));
        assert_eq!(ready, Some(None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_quarantine_denies_all_but_what_needs_no_permission_until_it_is_taken_off() {
        for is_allow_list in [false, true] {
            let world = with_activation(|now| Activation {
                quarantine: Some(Quarantine {
                    until: now + 600.seconds(),
                    is_allow_list,
                    exempt: vec![],
                }),
                ..Activation::default()
            });
            // Whoever assumes the role is in another account.
            let credentials = world.assume(MANAGEMENT).send().await.unwrap().credentials;
            let key = &credentials.unwrap().access_key_id;
            let sts = client!(aws_sdk_sts, world.simulator, key, REGION);
            let ec2 = client!(aws_sdk_ec2, world.simulator, key, REGION);
            let eks = client!(aws_sdk_eks, world.simulator, key, REGION);
            let iam = client!(aws_sdk_iam, world.simulator, key, REGION);
            sts.get_caller_identity().send().await.unwrap();
            let zones = || ec2.describe_availability_zones().send();
            let refused = zones().await;
            let words = if is_allow_list {
                "because no service control policy allows the ec2:DescribeAvailabilityZones action"
            } else {
                "with an explicit deny in a service control policy"
            };
            assert!(message(&refused).ends_with(words), "{}", message(&refused));
            assert_eq!(code(refused), "UnauthorizedOperation");
            let clusters = eks.list_clusters().send().await;
            assert_eq!(code(clusters), "AccessDeniedException");
            assert_eq!(code(iam.list_roles().send().await), "AccessDenied");
            wait(600).await;
            zones().await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_quarantine_does_not_bind_the_roles_that_it_exempts() {
        let world = with_activation(|now| Activation {
            quarantine: Some(Quarantine {
                until: now + 600.seconds(),
                is_allow_list: false,
                exempt: vec!["OrganizationAccountAccessRole".to_owned()],
            }),
            ..Activation::default()
        });
        let credentials = world.assume(MANAGEMENT).send().await.unwrap().credentials;
        let key = &credentials.unwrap().access_key_id;
        let ec2 = client!(aws_sdk_ec2, world.simulator, key, REGION);
        ec2.describe_vpcs().send().await.unwrap();
        let other = client!(aws_sdk_ec2, world.simulator, MEMBER, REGION);
        let refused = other.describe_vpcs().send().await;
        assert_eq!(code(refused), "UnauthorizedOperation");
    }

    #[tokio::test(start_paused = true)]
    async fn a_services_role_takes_minutes_to_spread_in_a_new_account() {
        let world = with_activation(|now| Activation {
            slow_iam_until: Some(now + 600.seconds()),
            ..Activation::default()
        });
        let iam = client!(aws_sdk_iam, world.simulator, MEMBER, REGION);
        let create = iam.create_service_linked_role();
        let create = create.aws_service_name("eks.amazonaws.com").send();
        create.await.unwrap();
        let seen_after = world
            .simulator
            .look_into(MEMBER, |account| {
                let role = account.iam.role("AWSServiceRoleForAmazonEKS").unwrap();
                let lag = role.trust.visible_at().duration_since(role.created_at);
                lag.as_secs()
            })
            .unwrap();
        assert!((15..=180).contains(&seen_after), "{seen_after}");
    }
}
