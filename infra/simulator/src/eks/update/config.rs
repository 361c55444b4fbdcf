//! `UpdateClusterConfig`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::members::{
    AUTHENTICATION_MODES, Enabled, ScalingConfig, UpgradePolicy, VpcConfigRequest,
    refuse_unmodelled,
};
use super::{Change, begin, check_alone};
use crate::api_error::ApiError;
use crate::eks::cluster::Logging;
use crate::eks::errors::{invalid_parameter, invalid_request};
use crate::eks::request::{Request, check_one_of};
use crate::eks::tokens::Token;
use crate::eks::{Cluster, Surroundings, parts, version};
use crate::state::Context;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct UpdateClusterConfig {
    resources_vpc_config: Option<VpcConfigRequest>,
    logging: Option<Logging>,
    access_config: Option<AccessConfig>,
    upgrade_policy: Option<UpgradePolicy>,
    zonal_shift_config: Option<Enabled>,
    deletion_protection: Option<bool>,
    control_plane_scaling_config: Option<ScalingConfig>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AccessConfig {
    authentication_mode: Option<String>,
}

/// `UpdateClusterConfig`.
pub(in crate::eks) fn start(
    context: &mut Context<'_>,
    request: &Request<'_>,
) -> Result<Value, ApiError> {
    let now = context.now;
    let asked: UpdateClusterConfig = request.read()?;
    Token::of(request)?;
    refuse_unmodelled(request)?;
    let (eks, around) = parts(context);
    let fails = eks.fails.updates;
    let cluster = eks.cluster(request.cluster())?;
    let change = asked.only_change(cluster, &around)?;
    cluster.check_active(now)?;
    check_alone(cluster, &change, now)?;
    change.check_allowed(cluster, now)?;
    if change.is_in_effect(cluster) {
        return Err(nothing_to_do(&change));
    }
    let update = begin(cluster, change, (around.seed, fails), now);
    Ok(json!({"update": update}))
}

/// aws/aws-cdk issue 10142, for the endpoint; for logging the words that eksctl and public scripts match.
fn nothing_to_do(change: &Change) -> ApiError {
    let message = match change {
        Change::Endpoint(public, private, cidrs) => format!(
            "Cluster is already at the desired configuration with endpointPrivateAccess: {private} , \
             endpointPublicAccess: {public}, and Public Endpoint Restrictions: [{}]",
            cidrs.join(", ")
        ),
        Change::Logging(_) => "No changes needed for the logging config provided".to_owned(),
        // Nobody has reported what EKS says of the other kinds: these are words that no client can know.
        other => format!("{} would change nothing", other.kind()),
    };
    invalid_parameter(&message)
}

impl UpdateClusterConfig {
    /// The one change that the request asks for (kubernetes-sigs/cluster-api-provider-aws issue 3553).
    fn only_change(
        &self,
        cluster: &Cluster,
        around: &Surroundings<'_>,
    ) -> Result<Change, ApiError> {
        let mut changes = match &self.resources_vpc_config {
            Some(asked) => asked.changes(cluster, around)?,
            None => Vec::new(),
        };
        if let Some(logging) = &self.logging {
            changes.push(Change::Logging(logging.apply(&cluster.logging)?));
        }
        let access = self.access_config.as_ref();
        if let Some(mode) = access.and_then(|access| access.authentication_mode.as_ref()) {
            check_one_of("authenticationMode", mode, AUTHENTICATION_MODES)?;
            changes.push(Change::AuthenticationMode(mode.clone()));
        }
        if let Some(policy) = &self.upgrade_policy {
            policy.check()?;
            changes.push(Change::SupportType(policy.support_type().to_owned()));
        }
        let zonal_shift = self.zonal_shift_config.as_ref();
        changes.extend(
            zonal_shift
                .and_then(|it| it.enabled)
                .map(Change::ZonalShift),
        );
        changes.extend(self.deletion_protection.map(Change::DeletionProtection));
        if let Some(config) = &self.control_plane_scaling_config {
            config.check()?;
            changes.push(Change::Tier(config.tier().to_owned()));
        }
        match changes.len() {
            0 => Err(invalid_parameter(
                "The type for cluster update was not provided.",
            )),
            1 => Ok(changes.remove(0)),
            _ => Err(invalid_parameter("Only one type of update can be allowed.")),
        }
    }
}

impl Change {
    fn check_allowed(&self, cluster: &Cluster, now: jiff::Timestamp) -> Result<(), ApiError> {
        match self {
            Self::AuthenticationMode(new) => {
                let old = &cluster.authentication_mode;
                let rank = |mode: &str| AUTHENTICATION_MODES.iter().position(|it| *it == mode);
                // One step at a time, and none back (EKS user guide, authentication modes).
                let steps = rank(new).unwrap_or(0).checked_sub(rank(old).unwrap_or(0));
                if !matches!(steps, Some(0 | 1)) {
                    let message =
                        format!("Unsupported authentication mode update from {old} to {new}");
                    return Err(invalid_parameter(&message));
                }
            }
            // botocore's EKS model, controlPlaneEgressMode: there is no way back.
            Self::Egress(new) if cluster.vpc.egress_mode != "AWS_MANAGED" => {
                let old = &cluster.vpc.egress_mode;
                if new != old {
                    let message = format!("Cannot change controlPlaneEgressMode {old} to {new}");
                    return Err(invalid_request(&message));
                }
            }
            // botocore's EKS model, upgradePolicy: extended support, once begun, stays.
            Self::SupportType(new) if new == "STANDARD" => {
                let version = version::find(&cluster.version);
                if version.is_some_and(|it| it.is_in_extended_support(now)) {
                    let message = "Cannot disable extended support once it has started";
                    return Err(invalid_request(message));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_eks::types::{
        AuthenticationMode, ClusterStatus, LogSetup, LogType, Logging, UpdateAccessConfigRequest,
        UpdateStatus, UpdateType, VpcConfigRequest,
    };

    use crate::eks::testing::{World, code, message, wait};

    fn audit() -> Logging {
        let setup = LogSetup::builder().types(LogType::Audit).enabled(true);
        Logging::builder().cluster_logging(setup.build()).build()
    }

    fn private() -> VpcConfigRequest {
        VpcConfigRequest::builder()
            .endpoint_private_access(true)
            .build()
    }

    #[tokio::test(start_paused = true)]
    async fn change_takes_effect_when_the_update_is_done() {
        let world = World::new().await;
        world.cluster_active().await;
        let call = world.eks.update_cluster_config().name("demo");
        let update = call.resources_vpc_config(private()).send().await.unwrap();
        let update = update.update.unwrap();
        assert_eq!(update.r#type(), Some(&UpdateType::EndpointAccessUpdate));
        let id = update.id.unwrap();
        wait(3).await;
        assert_eq!(
            world.cluster().await.status(),
            Some(&ClusterStatus::Updating)
        );
        let describe = || async {
            let call = world
                .eks
                .describe_update()
                .name("demo")
                .update_id(&id)
                .send();
            call.await.unwrap().update.unwrap().status.unwrap()
        };
        assert_eq!(describe().await, UpdateStatus::InProgress);
        wait(300).await;
        assert_eq!(describe().await, UpdateStatus::Successful);
        let cluster = world.cluster().await;
        assert_eq!(cluster.status(), Some(&ClusterStatus::Active));
        assert!(
            cluster
                .resources_vpc_config()
                .unwrap()
                .endpoint_private_access
        );
        let listed = world.eks.list_updates().name("demo").send().await.unwrap();
        assert_eq!(listed.update_ids(), [id]);
    }

    #[tokio::test(start_paused = true)]
    async fn change_that_fails_changes_nothing_and_says_so() {
        let world = World::new().await;
        world.cluster_active().await;
        world.fail_updates(true);
        let call = world.eks.update_cluster_config().name("demo");
        let update = call.resources_vpc_config(private()).send().await.unwrap();
        let id = update.update.unwrap().id.unwrap();
        assert!(world.update(&id).await.errors().is_empty());
        wait(300).await;
        let update = world.update(&id).await;
        assert_eq!(update.status(), Some(&UpdateStatus::Failed));
        assert_eq!(update.errors().len(), 1);
        let cluster = world.cluster().await;
        assert_eq!(cluster.status(), Some(&ClusterStatus::Active));
        let vpc = cluster.resources_vpc_config().unwrap();
        assert!(!vpc.endpoint_private_access);
        // What is asked for now goes its way.
        world.fail_updates(false);
        let call = world.eks.update_cluster_config().name("demo");
        call.resources_vpc_config(private()).send().await.unwrap();
        wait(300).await;
        let vpc = world.cluster().await.resources_vpc_config.unwrap();
        assert!(vpc.endpoint_private_access);
    }

    #[tokio::test(start_paused = true)]
    async fn one_kind_of_change_at_a_time() {
        let world = World::new().await;
        world.cluster_active().await;
        let call = || world.eks.update_cluster_config().name("demo");
        let both = call()
            .logging(audit())
            .resources_vpc_config(private())
            .send()
            .await;
        assert_eq!(code(&both), "InvalidParameterException");
        assert_eq!(message(&both), "Only one type of update can be allowed.");
        let none = call().send().await;
        assert_eq!(
            message(&none),
            "The type for cluster update was not provided."
        );
        call().logging(audit()).send().await.unwrap();
        let second = call().resources_vpc_config(private()).send().await;
        assert_eq!(code(&second), "ResourceInUseException");
        let start = "Cannot EndpointAccessUpdate because cluster demo currently has update ";
        assert!(message(&second).starts_with(start), "{}", message(&second));
    }

    #[tokio::test(start_paused = true)]
    async fn change_that_changes_nothing_is_refused() {
        let world = World::new().await;
        world.cluster_active().await;
        let vpc = VpcConfigRequest::builder()
            .endpoint_public_access(true)
            .build();
        let call = world.eks.update_cluster_config().name("demo");
        let call = call.resources_vpc_config(vpc).send().await;
        assert_eq!(code(&call), "InvalidParameterException");
        let start = "Cluster is already at the desired configuration";
        assert!(message(&call).starts_with(start), "{}", message(&call));
    }

    #[tokio::test(start_paused = true)]
    async fn authentication_mode_moves_one_step_and_never_back() {
        let world = World::new().await;
        world
            .create("demo")
            .set_access_config(None)
            .send()
            .await
            .unwrap();
        world.wait_until_active().await;
        let change = |mode: AuthenticationMode| {
            let access = UpdateAccessConfigRequest::builder()
                .authentication_mode(mode)
                .build();
            let call = world.eks.update_cluster_config().name("demo");
            call.access_config(access).send()
        };
        let leap = change(AuthenticationMode::Api).await;
        assert_eq!(code(&leap), "InvalidParameterException");
        change(AuthenticationMode::ApiAndConfigMap).await.unwrap();
        wait(120).await;
        change(AuthenticationMode::Api).await.unwrap();
        wait(120).await;
        let back = change(AuthenticationMode::ApiAndConfigMap).await;
        assert_eq!(code(&back), "InvalidParameterException");
    }

    #[tokio::test(start_paused = true)]
    async fn subnets_change_only_within_the_zones_of_the_creation() {
        let world = World::new().await;
        world.cluster_active().await;
        let network = world.network();
        let change = |subnets: Vec<String>| {
            let vpc = VpcConfigRequest::builder().set_subnet_ids(Some(subnets));
            let call = world.eks.update_cluster_config().name("demo");
            call.resources_vpc_config(vpc.build()).send()
        };
        let call = world.ec2.create_subnet().vpc_id(&network.vpc);
        let call = call
            .cidr_block("10.0.9.0/24")
            .availability_zone_id("apne1-az2");
        let third = call.send().await.unwrap().subnet.unwrap();
        let third = third.subnet_id.unwrap();

        let more = change([network.private.clone(), vec![third]].concat()).await;
        assert_eq!(code(&more), "InvalidParameterException");
        let zones: Vec<_> = world.clusters()["demo"].vpc.zones.iter().cloned().collect();
        assert_eq!(zones.len(), 2);
        let end = format!(
            "But they should belong to the exact set of AZs '{}' in which subnets were provided during \
             cluster creation.",
            zones.join(",")
        );
        assert!(message(&more).ends_with(&end), "{}", message(&more));

        let update = change(network.private.clone()).await.unwrap().update;
        assert_eq!(update.unwrap().r#type(), Some(&UpdateType::VpcConfigUpdate));
        wait(300).await;
        let vpc = world.cluster().await.resources_vpc_config.unwrap();
        assert_eq!(vpc.subnet_ids(), network.private);
    }
}
