//! `UpdateAddon` and `DeleteAddon`.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::create::{TIMEOUT, check_members, check_resolve_conflicts};
use super::{COREDNS, Phase, coredns, find};
use crate::api_error::ApiError;
use crate::eks::errors::{in_use, invalid_request};
use crate::eks::request::Request;
use crate::eks::tokens::Token;
use crate::eks::update::{Status, Update};
use crate::eks::{Cluster, after, parts};
use crate::state::Context;

/// botocore's EKS model, UpdateAddonRequest.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct UpdateAddon {
    addon_version: Option<String>,
    service_account_role_arn: Option<String>,
    resolve_conflicts: Option<String>,
    configuration_values: Option<String>,
}

/// `UpdateAddon`: new pods if their template changes. What is not named stays as it is.
pub(in crate::eks) fn update(
    context: &mut Context<'_>,
    request: &Request<'_>,
) -> Result<Value, ApiError> {
    let now = context.now;
    let asked: UpdateAddon = request.read()?;
    Token::of(request)?;
    check_members(request, asked.service_account_role_arn.as_deref())?;
    let (eks, mut around) = parts(context);
    let cluster = eks.cluster(request.cluster())?;
    cluster.check_active(now)?;
    let addon = find(cluster, request.child())?;
    check_updatable(addon.status(cluster.coredns_is_running(), now))?;
    let wanted = asked.addon_version.as_ref().unwrap_or(&addon.version);
    let version = coredns::version(Some(wanted), &cluster.version)?;
    let text = asked
        .configuration_values
        .as_ref()
        .or(addon.configuration.as_ref())
        .cloned();
    let configuration = coredns::read(text.as_deref())?;
    check_resolve_conflicts(asked.resolve_conflicts.as_deref())?;

    let count = cluster.updates.len();
    let key = format!("{}/{COREDNS}/{count}", cluster.name);
    let not_before = after(now, around.seed.duration("addon-update", &key, 5.0..20.0));
    let id = cluster.uuid(around.seed, &format!("update/{count}"));
    let template = coredns::template(version.name, &configuration);
    cluster.deploy_coredns(
        template,
        coredns::replicas(&configuration),
        &mut around,
        now,
    );
    let update = asked.update(id.clone(), now);
    let output = json!({"update": update.to_json()});
    cluster.updates.push(update);
    if let Some(addon) = cluster.addons.get_mut(COREDNS) {
        version.name.clone_into(&mut addon.version);
        addon.configuration = text;
        addon.modified_at = now;
        addon.phase = Phase::Updating(id, not_before, after(now, TIMEOUT));
        if asked.service_account_role_arn.is_some() {
            addon.service_account_role_arn = asked.service_account_role_arn;
        }
    }
    Ok(output)
}

/// eksctl-io/eksctl issue 8091, and aws/containers-roadmap issue 1411 for what has failed.
fn check_updatable(status: &str) -> Result<(), ApiError> {
    let message = format!("Addon {COREDNS} cannot be updated as it is currently in {status} state");
    match status {
        "CREATING" | "UPDATING" | "DELETING" => Err(in_use(&message)),
        "CREATE_FAILED" | "DELETE_FAILED" => Err(invalid_request(&message)),
        _ => Ok(()),
    }
}

impl UpdateAddon {
    fn update(&self, id: String, now: Timestamp) -> Update {
        let params = [
            ("AddonVersion", &self.addon_version),
            ("ServiceAccountRoleArn", &self.service_account_role_arn),
            ("ResolveConflicts", &self.resolve_conflicts),
            ("ConfigurationValues", &self.configuration_values),
        ];
        let given = params.into_iter();
        let given = given.filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)));
        Update {
            id,
            kind: "AddonUpdate".to_owned(),
            addon: Some(COREDNS.to_owned()),
            params: given.collect(),
            created_at: now,
            done_at: None,
            status: Status::InProgress,
            error: None,
            change: None,
            fails: false,
        }
    }
}

/// `DeleteAddon`; with `preserve` the pods stay, self-managed. Gone within 9.7 seconds on a real account.
pub(in crate::eks) fn delete(
    context: &mut Context<'_>,
    request: &Request<'_>,
) -> Result<Value, ApiError> {
    let now = context.now;
    let (eks, around) = parts(context);
    let cluster = eks.cluster(request.cluster())?;
    let addon = find(cluster, request.child())?;
    cluster.check_not_deleting("delete add-on")?;
    if addon.gone_at.is_none() {
        let key = format!("{}/{COREDNS}", cluster.name);
        let life = around.seed.duration("addon-delete", &key, 5.0..30.0);
        abandon_update(cluster);
        if let Some(addon) = cluster.addons.get_mut(COREDNS) {
            addon.gone_at = Some(after(now, life));
            addon.is_preserved = request.flag("preserve");
            addon.modified_at = now;
        }
    }
    let addon = find(cluster, request.child())?;
    Ok(json!({"addon": addon.to_json(cluster, now)}))
}

/// An update of an add-on that is being deleted comes to nothing.
fn abandon_update(cluster: &mut Cluster) {
    let updates = cluster.updates.iter_mut();
    for update in updates.filter(|it| it.addon.is_some() && it.is_in_progress()) {
        update.status = Status::Failed;
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_eks::types::{AddonStatus, UpdateStatus};

    use crate::eks::testing::{World, code, message, wait};

    const FARGATE: &str = r#"{"computeType":"Fargate"}"#;

    #[tokio::test(start_paused = true)]
    async fn changed_configuration_makes_new_pods() {
        let world = World::new().await;
        world.cluster_with_coredns().await;
        let names = |world: &World| -> Vec<String> {
            world.view().pods.into_iter().map(|pod| pod.name).collect()
        };
        let old = names(&world);
        let changed = r#"{"computeType":"Fargate","podAnnotations":{"restarted":"1"}}"#;
        let update = world
            .update_coredns(changed)
            .send()
            .await
            .unwrap()
            .update
            .unwrap();
        let id = update.id.unwrap();
        assert_eq!(world.addon().await.status(), Some(&AddonStatus::Updating));
        // Without the add-on's name it is not found.
        let without = world
            .eks
            .describe_update()
            .name("demo")
            .update_id(&id)
            .send()
            .await;
        assert_eq!(code(&without), "ResourceNotFoundException");
        let describe = || async {
            let call = world.eks.describe_update().name("demo").update_id(&id);
            let call = call.addon_name("coredns").send().await;
            call.unwrap().update.unwrap().status.unwrap()
        };
        assert_eq!(describe().await, UpdateStatus::InProgress);
        // The old ones run until the new ones do.
        assert_eq!(names(&world).len(), 4);
        wait(128).await;
        assert_eq!(describe().await, UpdateStatus::Successful);
        assert_eq!(world.addon().await.status(), Some(&AddonStatus::Active));
        let new = names(&world);
        assert_eq!(new.len(), 2);
        assert!(new.iter().all(|name| !old.contains(name)));
    }

    #[tokio::test(start_paused = true)]
    async fn same_configuration_keeps_the_pods() {
        let world = World::new().await;
        world.cluster_with_coredns().await;
        let before = world.view();
        world.update_coredns(FARGATE).send().await.unwrap();
        wait(20).await;
        assert_eq!(world.addon().await.status(), Some(&AddonStatus::Active));
        assert_eq!(world.view(), before);
    }

    #[tokio::test(start_paused = true)]
    async fn number_of_pods_follows_the_configuration() {
        let world = World::new().await;
        world.cluster_with_coredns().await;
        let scale = |count| {
            let text = format!(r#"{{"computeType":"Fargate","replicaCount":{count}}}"#);
            world.update_coredns(&text).send()
        };
        scale(3).await.unwrap();
        wait(128).await;
        assert_eq!(world.view().pods.len(), 3);
        scale(1).await.unwrap();
        wait(20).await;
        assert_eq!(world.view().pods.len(), 1);
        assert_eq!(world.addon().await.status(), Some(&AddonStatus::Active));
    }

    #[tokio::test(start_paused = true)]
    async fn addon_that_is_being_made_cannot_be_updated() {
        let world = World::new().await;
        world.cluster_active().await;
        world.coredns(None).send().await.unwrap();
        let call = world.update_coredns(FARGATE).send().await;
        assert_eq!(code(&call), "ResourceInUseException");
        let expected = "Addon coredns cannot be updated as it is currently in CREATING state";
        assert_eq!(message(&call), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn update_whose_pods_do_not_run_fails_after_twenty_minutes() {
        let world = World::new().await;
        world.cluster_with_coredns().await;
        let wrong = r#"{"computeType":"ec2"}"#;
        let update = world
            .update_coredns(wrong)
            .send()
            .await
            .unwrap()
            .update
            .unwrap();
        wait(1200).await;
        let call = world
            .eks
            .describe_update()
            .name("demo")
            .update_id(update.id.unwrap());
        let update = call
            .addon_name("coredns")
            .send()
            .await
            .unwrap()
            .update
            .unwrap();
        assert_eq!(update.status(), Some(&UpdateStatus::Failed));
        let error = update.errors()[0].error_code().unwrap();
        assert_eq!(error.as_str(), "InsufficientNumberOfReplicas");
        assert_eq!(
            world.addon().await.status(),
            Some(&AddonStatus::UpdateFailed)
        );
        // The old pods serve on.
        let running = world
            .view()
            .pods
            .into_iter()
            .filter(|pod| pod.status == "Running");
        assert_eq!(running.count(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn deleted_addon_takes_its_pods_along() {
        let world = World::new().await;
        world.cluster_with_coredns().await;
        let delete = || {
            world
                .eks
                .delete_addon()
                .cluster_name("demo")
                .addon_name("coredns")
                .send()
        };
        let deleted = delete().await.unwrap().addon.unwrap();
        assert_eq!(deleted.status(), Some(&AddonStatus::Deleting));
        wait(40).await;
        assert_eq!(code(&delete().await), "ResourceNotFoundException");
        assert_eq!(world.view(), crate::kubernetes::View::default());
        // What the pods had on the network goes after them.
        wait(30).await;
        let call = world.ec2.describe_network_interfaces().send().await;
        let left = call.unwrap().network_interfaces.unwrap().into_iter();
        let is_of_pod = |text: &str| text.starts_with("Fargate pod");
        let mut left = left.filter_map(|interface| interface.description);
        assert!(!left.any(|description| is_of_pod(&description)));
    }
}
