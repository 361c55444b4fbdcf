//! `CreateAddon`.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Addon, COREDNS, Phase, coredns};
use crate::api_error::ApiError;
use crate::eks::errors::{in_use, invalid_parameter};
use crate::eks::request::{Request, Tags, check_one_of, check_tags};
use crate::eks::tokens::{Token, earlier};
use crate::eks::{Cluster, Surroundings, after, parts};
use crate::state::{Context, partition};

/// When an add-on fails whose pods do not run: public tools wait that long.
pub(super) const TIMEOUT: SignedDuration = SignedDuration::from_mins(20);

/// botocore's EKS model, CreateAddonRequest.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateAddon {
    addon_name: String,
    addon_version: Option<String>,
    service_account_role_arn: Option<String>,
    resolve_conflicts: Option<String>,
    #[serde(default)]
    tags: Tags,
    configuration_values: Option<String>,
}

/// `CreateAddon`.
pub(in crate::eks) fn create(
    context: &mut Context<'_>,
    request: &Request<'_>,
) -> Result<Value, ApiError> {
    let now = context.now;
    let asked: CreateAddon = request.read()?;
    let token = Token::of(request)?;
    check_members(request, asked.service_account_role_arn.as_deref())?;
    let (eks, mut around) = parts(context);
    let cluster = eks.cluster(request.cluster())?;
    cluster.check_active(now)?;
    let made = earlier(
        cluster.addons.values(),
        |addon| addon.token.as_ref(),
        token.as_ref(),
    );
    if let Some(addon) = made {
        return Ok(json!({"addon": addon.to_json(cluster, now)}));
    }
    if cluster.addons.contains_key(&asked.addon_name) {
        return Err(in_use("Addon already exists."));
    }
    if asked.addon_name != COREDNS {
        // aws/containers-roadmap issue 1429.
        return Err(invalid_parameter("Addon specified is not supported"));
    }
    let version = coredns::version(asked.addon_version.as_deref(), &cluster.version)?;
    let configuration = coredns::read(asked.configuration_values.as_deref())?;
    check_resolve_conflicts(asked.resolve_conflicts.as_deref())?;
    check_tags(&asked.tags)?;

    let is_in_the_way = asked.is_in_the_way(cluster, &configuration);
    let mut addon = asked.addon(cluster, &around, version.name, now);
    if is_in_the_way {
        // 5.9 seconds on a real account.
        let key = format!("{}/{COREDNS}", cluster.name);
        let fails_in = around.seed.duration("addon-conflict", &key, 5.0..8.0);
        addon.phase = Phase::Conflict(after(now, fails_in));
    } else {
        let template = coredns::template(version.name, &configuration);
        let replicas = coredns::replicas(&configuration);
        cluster.deploy_coredns(template, replicas, &mut around, now);
        addon.start_seconds = cluster.coredns_start_seconds(around.seed);
    }
    addon.token = token;
    let output = json!({"addon": addon.to_json(cluster, now)});
    cluster.addons.insert(asked.addon_name, addon);
    Ok(output)
}

/// botocore's EKS model, RoleArn.
const ROLE_ARN_MAX: usize = 255;
/// What is not simulated.
const UNMODELLED: &[&str] = &["podIdentityAssociations", "namespaceConfig"];

/// Checks what `CreateAddon` and `UpdateAddon` have in common.
pub(super) fn check_members(request: &Request<'_>, role_arn: Option<&str>) -> Result<(), ApiError> {
    if let Some(member) = UNMODELLED.iter().find(|member| request.has(member)) {
        return Err(invalid_parameter(&format!("{member} is not simulated")));
    }
    let is_arn = |arn: &str| arn.starts_with("arn:") && arn.contains(":iam::");
    if role_arn.is_some_and(|arn| arn.len() > ROLE_ARN_MAX || !is_arn(arn)) {
        return Err(invalid_parameter("Invalid serviceAccountRoleArn"));
    }
    Ok(())
}

/// botocore's EKS model, ResolveConflicts.
pub(super) fn check_resolve_conflicts(value: Option<&str>) -> Result<(), ApiError> {
    value.map_or(Ok(()), |value| {
        check_one_of(
            "resolveConflicts",
            value,
            &["OVERWRITE", "NONE", "PRESERVE"],
        )
    })
}

impl CreateAddon {
    /// Whether a self-managed CoreDNS differs from what is wanted and must not be overwritten
    /// (botocore's EKS model, resolveConflicts: PRESERVE is like NONE here).
    fn is_in_the_way(&self, cluster: &Cluster, configuration: &Value) -> bool {
        let wants_changes = configuration.as_object().is_some_and(|it| !it.is_empty());
        cluster.coredns.is_some()
            && wants_changes
            && self.resolve_conflicts.as_deref() != Some("OVERWRITE")
    }

    fn addon(
        &self,
        cluster: &mut Cluster,
        around: &Surroundings<'_>,
        version: &str,
        now: Timestamp,
    ) -> Addon {
        let name = &self.addon_name;
        let made = cluster.count_made(&format!("addon/{name}"));
        let uuid = cluster.uuid(around.seed, &format!("addon/{name}#{made}"));
        let (account, region) = (around.account, around.region);
        let key = format!("{}/{name}", cluster.name);
        let duration = |what: &str, seconds| around.seed.duration(what, &key, seconds);
        Addon {
            name: name.clone(),
            arn: format!(
                "arn:{}:eks:{region}:{account}:addon/{}/{name}/{uuid}",
                partition(region),
                cluster.name
            ),
            version: version.to_owned(),
            configuration: self.configuration_values.clone(),
            service_account_role_arn: self.service_account_role_arn.clone(),
            created_at: now,
            modified_at: now,
            installed_at: after(now, duration("addon-install", 30.0..90.0)),
            start_seconds: 0.0,
            // 11.7 seconds on a real account, and less than 33 on another.
            phase: Phase::Creating(
                after(now, duration("addon-unhealthy", 9.0..15.0)),
                after(now, TIMEOUT),
            ),
            gone_at: None,
            is_preserved: false,
            tags: self.tags.clone(),
            token: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_eks::types::{AddonIssueCode, AddonStatus, ResolveConflicts};

    use crate::eks::testing::{World, code, message, wait};

    #[tokio::test(start_paused = true)]
    async fn addon_becomes_active_with_its_pods() {
        let world = World::new().await;
        world.cluster_with_profile().await;
        let made = world
            .coredns(Some(r#"{"computeType":"Fargate"}"#))
            .send()
            .await
            .unwrap();
        let made = made.addon.unwrap();
        assert_eq!(made.status(), Some(&AddonStatus::Creating));
        assert_eq!(made.addon_version(), Some("v1.13.2-eksbuild.4"));
        wait(128).await;
        let addon = world.addon().await;
        assert_eq!(addon.status(), Some(&AddonStatus::Active));
        assert!(addon.health().unwrap().issues().is_empty());
        assert_eq!(
            addon.configuration_values(),
            Some(r#"{"computeType":"Fargate"}"#)
        );
        let listed = world
            .eks
            .list_addons()
            .cluster_name("demo")
            .send()
            .await
            .unwrap();
        assert_eq!(listed.addons(), ["coredns"]);
    }

    #[tokio::test(start_paused = true)]
    async fn addon_is_degraded_while_pods_wait_and_fails_after_twenty_minutes() {
        let world = World::new().await;
        world.cluster_active().await;
        world
            .coredns(Some(r#"{"computeType":"Fargate"}"#))
            .send()
            .await
            .unwrap();
        wait(9).await;
        assert_eq!(world.addon().await.status(), Some(&AddonStatus::Creating));
        wait(6).await;
        let addon = world.addon().await;
        assert_eq!(addon.status(), Some(&AddonStatus::Degraded));
        let issue = &addon.health().unwrap().issues()[0];
        assert_eq!(
            issue.code(),
            Some(&AddonIssueCode::InsufficientNumberOfReplicas)
        );
        let text = "The add-on is unhealthy because all deployments have all pods unscheduled no nodes \
                    available to schedule pods";
        assert_eq!(issue.message(), Some(text));
        wait(1200 - 15).await;
        assert_eq!(
            world.addon().await.status(),
            Some(&AddonStatus::CreateFailed)
        );
        let update = world.update_coredns(r#"{"replicaCount":2}"#).send().await;
        assert_eq!(code(&update), "InvalidRequestException");
    }

    #[tokio::test(start_paused = true)]
    async fn requests_are_checked() {
        let world = World::new().await;
        world.cluster_active().await;
        let call = world.coredns(None).addon_name("coreDNS").send().await;
        assert_eq!(message(&call), "Addon specified is not supported");
        let call = world
            .coredns(None)
            .addon_version("v1.11.4-eksbuild.2")
            .send()
            .await;
        assert_eq!(message(&call), "Addon version specified is not supported");
        let call = world.coredns(Some(r#"{"x":1}"#)).send().await;
        assert_eq!(code(&call), "InvalidParameterException");
        world.coredns(None).send().await.unwrap();
        let again = world.coredns(None).send().await;
        assert_eq!(code(&again), "ResourceInUseException");
        assert_eq!(message(&again), "Addon already exists.");
    }

    #[tokio::test(start_paused = true)]
    async fn profiles_are_refused_right_after_the_addon_was_made() {
        let world = World::new().await;
        world.cluster_active().await;
        world.coredns(None).send().await.unwrap();
        wait(29).await;
        let create = || world.create_profile("default", "default").send();
        let call = create().await;
        assert_eq!(code(&call), "ResourceInUseException");
        let end = "cluster demo currently has an update in progress";
        assert!(message(&call).ends_with(end), "{}", message(&call));
        wait(61).await;
        create().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn self_managed_coredns_is_taken_over_only_if_overwriting_is_allowed() {
        let world = World::new().await;
        let call = world.create("demo").bootstrap_self_managed_addons(true);
        call.send().await.unwrap();
        world.wait_until_active().await;
        let configuration = Some(r#"{"computeType":"Fargate"}"#);
        world.coredns(configuration).send().await.unwrap();
        wait(90).await;
        let addon = world.addon().await;
        assert_eq!(addon.status(), Some(&AddonStatus::CreateFailed));
        let issue = &addon.health().unwrap().issues()[0];
        assert_eq!(issue.code(), Some(&AddonIssueCode::ConfigurationConflict));
        let delete = world
            .eks
            .delete_addon()
            .cluster_name("demo")
            .addon_name("coredns");
        delete.preserve(true).send().await.unwrap();
        wait(40).await;
        world.profile("kube-system").await;
        wait(301).await;
        let call = world
            .coredns(configuration)
            .resolve_conflicts(ResolveConflicts::Overwrite);
        call.send().await.unwrap();
        wait(128).await;
        assert_eq!(world.addon().await.status(), Some(&AddonStatus::Active));
    }
}
