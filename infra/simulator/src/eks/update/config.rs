//! `UpdateClusterConfig`, and the members that it shares with `CreateCluster`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Change, Status, Update};
use crate::eks::cluster::{Logging, VpcConfig, check_cidrs};
use crate::eks::refusal::{in_use, invalid_parameter, invalid_request};
use crate::eks::request::{Request, check_one_of};
use crate::eks::{Cluster, Surroundings, after, parts, version};
use crate::fault::Fault;
use crate::state::Context;

/// botocore's EKS model, AuthenticationMode; each can be changed only to a later one (EKS user guide,
/// authentication modes).
pub(in crate::eks) const AUTHENTICATION_MODES: &[&str] =
    &["CONFIG_MAP", "API_AND_CONFIG_MAP", "API"];
/// botocore's EKS model, SupportType.
const SUPPORT_TYPES: &[&str] = &["STANDARD", "EXTENDED"];
/// botocore's EKS model, ControlPlaneEgressModeType.
const EGRESS_MODES: &[&str] = &["AWS_MANAGED", "CUSTOMER_ROUTED", "CUSTOMER_ISOLATED"];
/// botocore's EKS model, ProvisionedControlPlaneTier.
const TIERS: &[&str] = &["standard", "tier-xl", "tier-2xl", "tier-4xl", "tier-8xl"];
/// What is not simulated: Outposts, EKS Auto Mode, hybrid nodes, settings of control plane components.
const UNMODELLED: &[&str] = &[
    "outpostConfig",
    "computeConfig",
    "storageConfig",
    "remoteNetworkConfig",
    "kubeApiServerConfig",
    "kubeSchedulerConfig",
    "kubeControllerManagerConfig",
];

/// botocore's EKS model, VpcConfigRequest.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::eks) struct VpcConfigRequest {
    pub subnet_ids: Option<Vec<String>>,
    pub security_group_ids: Option<Vec<String>>,
    endpoint_public_access: Option<bool>,
    endpoint_private_access: Option<bool>,
    public_access_cidrs: Option<Vec<String>>,
    control_plane_egress_mode: Option<String>,
}

/// Something that is on or off.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::eks) struct Enabled {
    pub enabled: Option<bool>,
}

/// botocore's EKS model, UpgradePolicyRequest.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::eks) struct UpgradePolicy {
    support_type: Option<String>,
}

/// botocore's EKS model, ControlPlaneScalingConfig.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::eks) struct ScalingConfig {
    tier: Option<String>,
}

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
) -> Result<Value, Fault> {
    let now = context.now;
    let asked: UpdateClusterConfig = request.read()?;
    refuse_unmodelled(request)?;
    let (eks, around) = parts(context);
    let cluster = eks.cluster(request.cluster())?;
    let change = asked.only_change(cluster, &around)?;
    cluster.check_active(now)?;
    check_alone(cluster, &change)?;
    change.check_allowed(cluster, now)?;
    if change.is_in_effect(cluster) {
        return Err(nothing_to_do(&change));
    }
    let count = cluster.updates.len();
    let id = cluster.uuid(around.seed, &format!("update/{count}"));
    let key = format!("{}/{}/{count}", cluster.name, change.kind());
    let update = Update {
        id,
        kind: change.kind().to_owned(),
        addon: None,
        params: change.params(),
        created_at: now,
        done_at: Some(after(
            now,
            around.seed.duration("update", &key, change.seconds()),
        )),
        status: Status::InProgress,
        error: None,
        change: Some(change),
    };
    let output = json!({"update": update.to_json()});
    cluster.updates.push(update);
    Ok(output)
}

/// aws/aws-cdk issue 33452.
fn check_alone(cluster: &Cluster, change: &Change) -> Result<(), Fault> {
    if let Some(other) = cluster.update_in_progress() {
        let message = format!(
            "Cannot {} because cluster {} currently has update {} in progress",
            change.kind(),
            cluster.name,
            other.id
        );
        return Err(in_use(&message));
    }
    Ok(())
}

/// aws/aws-cdk issue 10142, for the endpoint.
fn nothing_to_do(change: &Change) -> Fault {
    let message = match change {
        Change::Endpoint(public, private, cidrs) => format!(
            "Cluster is already at the desired configuration with endpointPrivateAccess: {private} , \
             endpointPublicAccess: {public}, and Public Endpoint Restrictions: [{}]",
            cidrs.join(", ")
        ),
        Change::Logging(_) => "No changes needed for the logging config provided".to_owned(),
        _ => "Cluster is already at the desired configuration".to_owned(),
    };
    invalid_parameter(&message)
}

/// Refuses what is not simulated, unless it is switched off.
pub(in crate::eks) fn refuse_unmodelled(request: &Request<'_>) -> Result<(), Fault> {
    let is_off = |member: &str| request.body[member]["enabled"] == json!(false);
    let block_storage_off =
        |member: &str| request.body[member]["blockStorage"]["enabled"] == json!(false);
    let mut wanted = UNMODELLED
        .iter()
        .filter(|member| request.has(member) && !is_off(member) && !block_storage_off(member));
    match wanted.next() {
        Some(member) => Err(invalid_parameter(&format!("{member} is not simulated"))),
        None => Ok(()),
    }
}

impl UpdateClusterConfig {
    /// The one change that the request asks for (kubernetes-sigs/cluster-api-provider-aws issue 3553).
    fn only_change(&self, cluster: &Cluster, around: &Surroundings<'_>) -> Result<Change, Fault> {
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
    fn check_allowed(&self, cluster: &Cluster, now: jiff::Timestamp) -> Result<(), Fault> {
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

impl VpcConfigRequest {
    fn changes(&self, cluster: &Cluster, around: &Surroundings<'_>) -> Result<Vec<Change>, Fault> {
        let old = &cluster.vpc;
        let mut changes = Vec::new();
        let is_about_endpoint = self.endpoint_public_access.is_some()
            || self.endpoint_private_access.is_some()
            || self.public_access_cidrs.is_some();
        if is_about_endpoint {
            let (public, private, cidrs) = self.endpoint(old)?;
            changes.push(Change::Endpoint(public, private, cidrs));
        }
        if self.subnet_ids.is_some() || self.security_group_ids.is_some() {
            let subnets = self.subnet_ids.as_ref().unwrap_or(&old.subnet_ids).clone();
            let groups = self.security_group_ids.as_ref();
            let groups = groups.unwrap_or(&old.security_group_ids).clone();
            let vpc_id = around.check_cluster_subnets(&cluster.name, &subnets)?;
            if vpc_id != old.vpc_id {
                return Err(invalid_parameter("The VPC of a cluster cannot be changed"));
            }
            around.check_security_groups(&vpc_id, &groups)?;
            changes.push(Change::Vpc(subnets, groups));
        }
        let mode = self.egress_mode()?;
        changes.extend(mode.map(|mode| Change::Egress(mode.to_owned())));
        Ok(changes)
    }

    /// Public access, private access, and from where.
    pub(in crate::eks) fn endpoint(
        &self,
        old: &VpcConfig,
    ) -> Result<(bool, bool, Vec<String>), Fault> {
        let public = self
            .endpoint_public_access
            .unwrap_or(old.endpoint_public_access);
        let private = self
            .endpoint_private_access
            .unwrap_or(old.endpoint_private_access);
        if !public && !private {
            let message = "Private and public endpoint access cannot be false";
            return Err(invalid_parameter(message));
        }
        let cidrs = match &self.public_access_cidrs {
            Some(cidrs) if !cidrs.is_empty() => {
                check_cidrs(cidrs)?;
                cidrs.clone()
            }
            _ => old.public_access_cidrs.clone(),
        };
        Ok((public, private, cidrs))
    }

    pub(in crate::eks) fn egress_mode(&self) -> Result<Option<&str>, Fault> {
        if let Some(mode) = &self.control_plane_egress_mode {
            check_one_of("controlPlaneEgressMode", mode, EGRESS_MODES)?;
        }
        Ok(self.control_plane_egress_mode.as_deref())
    }
}

impl UpgradePolicy {
    /// New clusters have extended support unless they say otherwise (botocore's EKS model).
    pub(in crate::eks) fn support_type(&self) -> &str {
        self.support_type.as_deref().unwrap_or("EXTENDED")
    }

    pub(in crate::eks) fn check(&self) -> Result<(), Fault> {
        check_one_of("supportType", self.support_type(), SUPPORT_TYPES)
    }
}

impl ScalingConfig {
    pub(in crate::eks) fn tier(&self) -> &str {
        self.tier.as_deref().unwrap_or("standard")
    }

    pub(in crate::eks) fn check(&self) -> Result<(), Fault> {
        check_one_of("tier", self.tier(), TIERS)
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
}
