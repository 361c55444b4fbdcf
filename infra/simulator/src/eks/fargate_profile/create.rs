//! `CreateFargateProfile`.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{FargateProfile, Selector, check_alone};
use crate::api_error::ApiError;
use crate::eks::errors::{in_use, invalid_parameter, limit_exceeded};
use crate::eks::request::{Request, Tags, check_tags};
use crate::eks::tokens::{Token, earlier};
use crate::eks::{AccessEntry, Cluster, Surroundings, after, cluster, parts, roles};
use crate::iam::service_linked_role;
use crate::state::{Context, partition};

/// EKS user guide, service quotas: both can be raised, so they are limits to EKS.
const SELECTORS_MAX: usize = 5;
/// Label pairs of a selector.
pub(crate) const LABELS_MAX: usize = 5;

/// botocore's EKS model, CreateFargateProfileRequest.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateFargateProfile {
    fargate_profile_name: String,
    pod_execution_role_arn: String,
    #[serde(default)]
    subnets: Vec<String>,
    #[serde(default)]
    selectors: Vec<Selector>,
    #[serde(default)]
    tags: Tags,
}

/// `CreateFargateProfile`.
pub(in crate::eks) fn create(
    context: &mut Context<'_>,
    request: &Request<'_>,
) -> Result<Value, ApiError> {
    let now = context.now;
    let (account, region) = (context.account.clone(), context.region.clone());
    let asked: CreateFargateProfile = request.read()?;
    let token = Token::of(request)?;
    let (eks, _) = parts(context);
    let profiles_max = eks.quotas.fargate_profiles_per_cluster;
    let cluster = eks.cluster(request.cluster())?;
    cluster.check_active(now)?;
    check_region(&region, &account)?;
    if let Some(profile) = repeated(cluster, &asked, token.as_ref())? {
        return Ok(json!({"fargateProfile": profile.to_json(&cluster.name, now)}));
    }
    asked.check()?;
    let name = &asked.fargate_profile_name;
    check_alone(cluster, &format!("create Fargate Profile {name}"), now)?;
    check_not_updating(cluster, &format!("create Fargate Profile {name}"), now)?;
    if cluster.fargate_profiles.len() >= profiles_max {
        let message = format!(
            "You have reached the limit of {profiles_max} Fargate Profiles for the cluster"
        );
        return Err(limit_exceeded(&message));
    }
    // EKS user guide, service-linked roles: made with the first profile of an account.
    service_linked_role::ensure(context, service_linked_role::FARGATE_SERVICE);

    let (eks, around) = parts(context);
    let fails = eks.fails.fargate_profiles;
    let cluster = eks.cluster(request.cluster())?;
    roles::check_pod_execution_role(around.iam, &asked.pod_execution_role_arn, now)?;
    let mut profile = asked.profile(cluster, &around, now)?;
    profile.token = token;
    profile.fails = fails;
    AccessEntry::ensure_for_pods(cluster, &around, &profile.role_arn, now);
    let output = json!({"fargateProfile": profile.to_json(&cluster.name, now)});
    cluster
        .fargate_profiles
        .insert(profile.name.clone(), profile);
    Ok(output)
}

/// GovCloud user guide, Amazon EKS: "Amazon EKS on Fargate isn't available". Code and words are those
/// that eksctl knows (pkg/eks, IsUnauthorizedError).
fn check_region(region: &str, account: &str) -> Result<(), ApiError> {
    if partition(region) != "aws-us-gov" {
        return Ok(());
    }
    let message = format!("Account {account} is not authorized to use this service");
    Err(ApiError::new(403, "AccessDeniedException", message))
}

/// The profile that an earlier call with the same token has made. A name that is taken otherwise is
/// refused (eksctl-io/eksctl issue 5652).
fn repeated<'a>(
    cluster: &'a Cluster,
    asked: &CreateFargateProfile,
    token: Option<&Token>,
) -> Result<Option<&'a FargateProfile>, ApiError> {
    let profiles = &cluster.fargate_profiles;
    let made = earlier(profiles.values(), |profile| profile.token.as_ref(), token);
    if made.is_none() && profiles.contains_key(&asked.fargate_profile_name) {
        let message = "A Fargate Profile already exists with this name in this cluster.";
        return Err(in_use(message));
    }
    Ok(made)
}

/// Unlike deletions, this is not refused while the cluster is not done with another profile.
fn check_not_updating(cluster: &Cluster, what: &str, now: Timestamp) -> Result<(), ApiError> {
    if cluster.update_in_progress().is_some() || cluster.is_updating_secretly(now) {
        return Err(cluster.update_in_progress_fault(what));
    }
    Ok(())
}

impl CreateFargateProfile {
    fn check(&self) -> Result<(), ApiError> {
        cluster::check_name(&self.fargate_profile_name)?;
        // eksctl's checks of Fargate profiles: EKS keeps these names for itself.
        if self.fargate_profile_name.starts_with("eks-") {
            let message = "Fargate Profile name must not start with the reserved prefix eks-";
            return Err(invalid_parameter(message));
        }
        check_tags(&self.tags)?;
        if self.selectors.is_empty() {
            return Err(invalid_parameter(
                "Fargate Profile requires at least one selector.",
            ));
        }
        if self.selectors.len() > SELECTORS_MAX {
            let message = format!("Fargate Profile has more than {SELECTORS_MAX} selectors.");
            return Err(limit_exceeded(&message));
        }
        for selector in &self.selectors {
            if selector.namespace.is_empty() {
                return Err(invalid_parameter(
                    "Fargate Profile must have at least one selector with at least one namespace value.",
                ));
            }
            if selector.labels.len() > LABELS_MAX {
                let message =
                    format!("Request contains Selector with more than {LABELS_MAX} Label pairs");
                return Err(invalid_parameter(&message));
            }
        }
        Ok(())
    }

    fn profile(
        &self,
        cluster: &mut Cluster,
        around: &Surroundings<'_>,
        now: Timestamp,
    ) -> Result<FargateProfile, ApiError> {
        let subnets = self.subnets(cluster, around)?;
        let name = &self.fargate_profile_name;
        let made = cluster.count_made(&format!("fargateprofile/{name}"));
        let uuid = cluster.uuid(around.seed, &format!("fargateprofile/{name}#{made}"));
        let (account, region) = (around.account, around.region);
        let arn = format!(
            "arn:{}:eks:{region}:{account}:fargateprofile/{}/{name}/{uuid}",
            partition(region),
            cluster.name
        );
        let key = format!("{}/{name}", cluster.name);
        // aws/containers-roadmap issue 2392: from 26 seconds to more than five minutes.
        let start = around.seed.duration("fargate-profile", &key, 26.0..300.0);
        let settling = around
            .seed
            .duration("fargate-profile-settling", &key, 600.0..720.0);
        let active_at = after(now, start);
        Ok(FargateProfile {
            name: name.clone(),
            arn,
            created_at: now,
            active_at,
            settled_at: after(active_at, settling),
            gone_at: None,
            role_arn: self.pod_execution_role_arn.clone(),
            subnets,
            selectors: self.selectors.clone(),
            tags: self.tags.clone(),
            fails: false,
            token: None,
        })
    }

    /// The subnets asked for, else the cluster's private ones.
    fn subnets(
        &self,
        cluster: &Cluster,
        around: &Surroundings<'_>,
    ) -> Result<Vec<String>, ApiError> {
        let subnets = if self.subnets.is_empty() {
            around.private_of(&cluster.vpc.subnet_ids)
        } else {
            self.subnets.clone()
        };
        if subnets.is_empty() {
            let message = "No private subnets found for the Fargate Profile";
            return Err(invalid_parameter(message));
        }
        around.check_profile_subnets(&cluster.vpc.vpc_id, &subnets)?;
        Ok(subnets)
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_eks::operation::create_fargate_profile::CreateFargateProfileError;
    use aws_sdk_eks::types::{AuthenticationMode, FargateProfileSelector};

    use crate::eks::testing::{World, code, message, wait};

    fn selector(namespace: &str) -> FargateProfileSelector {
        FargateProfileSelector::builder()
            .namespace(namespace)
            .build()
    }

    #[tokio::test(start_paused = true)]
    async fn one_profile_at_a_time() {
        let world = World::new().await;
        world.cluster_active().await;
        world.profile("kube-system").await;
        let second = world.create_profile("default", "default").send().await;
        assert_eq!(code(&second), "ResourceInUseException");
        assert_eq!(
            message(&second),
            "Cannot create Fargate Profile default because cluster demo currently has Fargate \
             profile kube-system in status CREATING"
        );
        let delete = world.delete_profile("kube-system").await;
        assert_eq!(code(&delete), "ResourceInUseException");
    }

    #[tokio::test(start_paused = true)]
    async fn taken_name_is_in_use_and_the_same_token_is_the_same_profile() {
        let world = World::new().await;
        world.cluster_active().await;
        let create = |token: &str| {
            let call = world.create_profile("kube-system", "kube-system");
            call.client_request_token(token.repeat(40)).send()
        };
        let first = create("a").await.unwrap();
        assert_eq!(
            create("a").await.unwrap().fargate_profile,
            first.fargate_profile
        );
        let other = create("b").await;
        assert_eq!(code(&other), "ResourceInUseException");
        let expected = "A Fargate Profile already exists with this name in this cluster.";
        assert_eq!(message(&other), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn public_subnets_are_refused() {
        let world = World::new().await;
        world.cluster_active().await;
        let public = world.network().public[0].clone();
        let call = world
            .create_profile("p", "default")
            .set_subnets(Some(vec![public.clone()]));
        let call = call.send().await;
        assert_eq!(code(&call), "InvalidParameterException");
        let expected =
            format!("Subnet {public} provided in Fargate Profile is not a private subnet");
        assert_eq!(message(&call), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn role_needs_the_trust_of_fargate_and_time_to_spread() {
        let world = World::new().await;
        world.cluster_active().await;
        let wrong = format!("arn:aws:iam::{}:role/cluster", crate::eks::testing::ACCOUNT);
        let call = world
            .create_profile("p", "default")
            .pod_execution_role_arn(wrong);
        let call = call.send().await;
        assert_eq!(code(&call), "InvalidParameterException");
        let start = "Misconfigured PodExecutionRole Trust Policy";
        assert!(message(&call).starts_with(start), "{}", message(&call));
        let new = world.role("late", "eks-fargate-pods.amazonaws.com").await;
        let create = || {
            world
                .create_profile("p", "default")
                .pod_execution_role_arn(&new)
                .send()
        };
        assert!(message(&create().await).starts_with(start));
        wait(15).await;
        create().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn selectors_and_labels_are_counted() {
        let world = World::new().await;
        world.cluster_active().await;
        let with = |selectors: Vec<FargateProfileSelector>| {
            let call = world.create_profile("p", "default");
            call.set_selectors(Some(selectors)).send()
        };
        let invalid = "InvalidParameterException";
        let too_many = "ResourceLimitExceededException";
        assert_eq!(code(&with(vec![]).await), invalid);
        assert_eq!(code(&with(vec![selector("a"); 6]).await), too_many);
        assert_eq!(code(&with(vec![selector("")]).await), invalid);
        let mut many = FargateProfileSelector::builder().namespace("a");
        for n in 0..6 {
            many = many.labels(n.to_string(), "x");
        }
        let refused = with(vec![many.build()]).await;
        assert_eq!(code(&refused), invalid);
        let expected = "Request contains Selector with more than 5 Label pairs";
        assert_eq!(message(&refused), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn cluster_must_be_active() {
        let world = World::new().await;
        world.cluster_creating().await;
        let call = world.create_profile("p", "default").send().await;
        assert_eq!(code(&call), "InvalidRequestException");
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_ten_profiles() {
        let world = World::new().await;
        world.cluster_active().await;
        for n in 0..10 {
            let call = world.create_profile(&format!("p{n}"), "default");
            call.send().await.unwrap();
            wait(301).await;
        }
        let one_more = world.create_profile("one-more", "default").send().await;
        assert_eq!(code(&one_more), "ResourceLimitExceededException");
    }

    #[tokio::test(start_paused = true)]
    async fn without_access_entries_none_is_made() {
        let world = World::new().await;
        world
            .create("demo")
            .set_access_config(None)
            .send()
            .await
            .unwrap();
        world.wait_until_active().await;
        let mode = world
            .cluster()
            .await
            .access_config
            .unwrap()
            .authentication_mode;
        assert_eq!(mode, Some(AuthenticationMode::ConfigMap));
        world.profile("kube-system").await;
        let clusters = world.clusters();
        let mut entries = clusters["demo"].access_entries.values();
        assert!(entries.all(|entry| entry.kind == "STANDARD"));
    }

    #[tokio::test(start_paused = true)]
    async fn fargate_has_only_some_zones_of_some_regions() {
        let world = World::in_region("cn-north-1", ["cnn1-az4", "cnn1-az1"]).await;
        world.cluster_active().await;
        let refused = world.create_profile("default", "default").send().await;
        let error = refused.unwrap_err().into_service_error();
        let CreateFargateProfileError::UnsupportedAvailabilityZoneException(error) = error else {
            panic!("{error:?}");
        };
        assert_eq!(error.valid_zones().len(), 2);
        assert!(error.message().unwrap().contains("is not supported"));
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_no_fargate_in_govcloud() {
        let world = World::in_region("us-gov-west-1", ["usgw1-az1", "usgw1-az2"]).await;
        world.cluster_active().await;
        let refused = world.create_profile("default", "default").send().await;
        assert_eq!(code(&refused), "AccessDeniedException");
        assert!(message(&refused).contains("not authorized to use this service"));
    }
}
