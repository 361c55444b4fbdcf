//! The EKS cluster: its control plane.
//!
//! Only the private subnets are given to it. EKS puts its network interfaces there, pods reach the API
//! through them inside the VPC, and a public endpoint needs no public subnet: it lives outside the VPC.
//! Load balancers find the public subnets by their tags.
//!
//! Nobody becomes administrator by creating it (the creator is a function's role); administrators are
//! access entries, made by `cluster-access`. EKS installs no add-ons of its own, so that no CoreDNS pod
//! is born before a Fargate profile selects it.
//!
//! Safe to repeat: a cluster's name is unique in account and region, and its tag says whether it is
//! ours. No token of our own goes with CreateCluster: EKS does not compare what is asked for with a token
//! that it knows, and a token that outlives its cluster would answer with one that is gone.
//!
//! A control plane that is FAILED and never was ACTIVE is replaced by the next execution ([`failed`]). What has
//! drifted from the plan ([`cluster`]) is repaired, one kind at a time, as EKS demands. If the plan's version is
//! the next one, the control plane is upgraded ([`upgrade`]). An update that fails is reported, not repeated
//! ([`update`]).
//!
//! The removal takes what EKS leaves in the VPC with it ([`leftovers`]).

mod config;
mod coredns;
mod failed;
mod leftovers;
mod update;
mod upgrade;

use std::time::Duration;

use aws_sdk_eks::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_eks::operation::create_cluster::CreateClusterError;
use aws_sdk_eks::types::{Cluster as EksCluster, ClusterStatus, VpcConfigResponse};
use serde::{Deserialize, Serialize};

use crate::aws::{Aws, change, codes};
use crate::contract::error::required;
use crate::contract::{During, Error, Memory, Outcome, Removed, Step};
use crate::model::{Plan, Target, ZoneSubnets, tags, zones};
use crate::resources::cluster::{self, Compared, Setting, Wanted};
use crate::resources::eks;
use update::{Standing, remember, standing};

/// The step `cluster`.
pub struct Cluster;

/// What the cluster needs of earlier steps.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// The subnets of all zones.
    pub subnets: Vec<ZoneSubnets>,
    /// ARN of the cluster's IAM role.
    pub role_arn: String,
    /// What the last invocation said: the updates that this execution has asked for.
    #[serde(default)]
    pub memory: Memory,
}

/// What later steps need of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// ARN of the cluster.
    pub arn: String,
    /// URL of the Kubernetes API.
    pub endpoint: String,
    /// The Kubernetes version that really runs, which may be newer than the plan's.
    pub version: String,
    /// EKS's platform version, for example `eks.12`.
    pub platform_version: String,
    /// The security group that EKS made for control plane and Fargate pods.
    pub security_group_id: String,
}

/// The control plane takes 8 to 11 minutes; asking more often tells nothing.
const CHECK_AFTER_SECONDS: u64 = 30;

impl Step for Cluster {
    const NAME: &'static str = "cluster";
    const POLICY: &'static str = include_str!("policy.json");
    /// Terraform gives a new control plane 30 minutes and an update 60. One invocation may follow several
    /// updates: of CoreDNS, of the version, and of the settings that have drifted.
    const ENSURE_LIMIT: Duration = Duration::from_mins(150);
    /// Terraform gives the deletion 15 minutes, after which EKS's network interfaces go. Before it EKS
    /// refuses a cluster for about a quarter of an hour after a change that no describe call shows.
    const REMOVE_LIMIT: Duration = Duration::from_mins(90);
    type Input = Input;
    type Output = Output;

    async fn ensure(aws: &Aws, plan: &Plan, input: Input) -> Result<Outcome<Output>, Error> {
        let mut memory = input.memory.clone();
        let outcome = match cluster::find(aws, &plan.target).await? {
            Some(cluster) => status(aws, plan, &input, &cluster, &mut memory).await?,
            None => create(aws, plan, &input, &mut memory).await?,
        };
        Ok(outcome.remembering(memory))
    }

    async fn remove(aws: &Aws, target: &Target) -> Result<Outcome<Removed>, Error> {
        let Some(cluster) = cluster::find(aws, target).await? else {
            return leftovers::remove(aws, target).await;
        };
        if !tags::map_is_ours(cluster.tags(), target) {
            return Ok(Outcome::Ready(Removed::default()));
        }
        match cluster.status() {
            Some(ClusterStatus::Active | ClusterStatus::Failed) => {
                delete(aws, target, &cluster).await
            }
            _ => Ok(pending(target, &cluster)),
        }
    }

    async fn unprotect(aws: &Aws, target: &Target) -> Result<Outcome<()>, Error> {
        let cluster = cluster::find(aws, target).await?;
        let ours = cluster.filter(|cluster| tags::map_is_ours(cluster.tags(), target));
        match ours {
            Some(cluster) if cluster.deletion_protection() == Some(true) => {
                turn_protection_off(aws, target, &cluster).await
            }
            _ => Ok(Outcome::Ready(())),
        }
    }
}

async fn status(
    aws: &Aws,
    plan: &Plan,
    input: &Input,
    cluster: &EksCluster,
    memory: &mut Memory,
) -> Result<Outcome<Output>, Error> {
    let target = &plan.target;
    cluster::require_ours(target, cluster)?;
    // What is at work is compared when it is done.
    if is_at_work(cluster) {
        return Ok(pending(target, cluster));
    }
    let wanted = Wanted {
        role_arn: &input.role_arn,
        subnet_ids: private_subnet_ids(input).map(Some).collect(),
    };
    let compared = cluster::compare(plan, &wanted, Some(cluster))?;
    match compared.kept {
        Some(cluster) => repair(aws, &compared, plan, cluster, memory).await,
        None if failed::is_made(memory) => Err(cluster::failed(target, cluster)),
        None => failed::replace(aws, target, cluster).await,
    }
}

fn is_at_work(cluster: &EksCluster) -> bool {
    matches!(
        cluster.status(),
        Some(
            ClusterStatus::Creating
                | ClusterStatus::Pending
                | ClusterStatus::Updating
                | ClusterStatus::Deleting
        )
    )
}

/// Health issues are part of the reason: a new account's show while the cluster is still CREATING.
fn pending<T>(target: &Target, cluster: &EksCluster) -> Outcome<T> {
    let name = &target.cluster_name;
    Outcome::pending(
        CHECK_AFTER_SECONDS,
        format!("control plane {name} is {}", cluster::status_line(cluster)),
    )
}

async fn create(
    aws: &Aws,
    plan: &Plan,
    input: &Input,
    memory: &mut Memory,
) -> Result<Outcome<Output>, Error> {
    let name = &plan.target.cluster_name;
    let subnet_ids = private_subnet_ids(input).map(ToOwned::to_owned).collect();
    let call = aws
        .eks()
        .create_cluster()
        .name(name)
        .version(&plan.kubernetes_version)
        .role_arn(&input.role_arn)
        .resources_vpc_config(config::vpc(plan, subnet_ids))
        .kubernetes_network_config(config::network(plan))
        .access_config(config::access())
        .bootstrap_self_managed_addons(false)
        .upgrade_policy(config::upgrade_policy(plan))
        .set_logging(config::logging_of_new(&plan.logging))
        .set_encryption_config(config::encryption(plan))
        .deletion_protection(plan.deletion_protection)
        .set_tags(Some(tags::map(plan, "cluster")));
    let answer = change("eks:CreateCluster", name, call.send()).await;
    match answer {
        Err(error) if eks::is_in_use(&error) => {
            return created_meanwhile(aws, plan, input, memory).await;
        }
        Err(error) if error.code() == Some(codes::UNSUPPORTED_AVAILABILITY_ZONE) => {
            return Err(unsupported_zone(plan, &error));
        }
        answer => answer.during("eks:CreateCluster")?,
    };
    failed::remember_made(memory, name);
    let reason = format!("control plane {name} is being created");
    Ok(Outcome::pending(CHECK_AFTER_SECONDS, reason))
}

/// The cluster that took the name between our look and our call: an earlier attempt's, or someone's.
async fn created_meanwhile(
    aws: &Aws,
    plan: &Plan,
    input: &Input,
    memory: &mut Memory,
) -> Result<Outcome<Output>, Error> {
    match cluster::find(aws, &plan.target).await? {
        Some(cluster) => status(aws, plan, input, &cluster, memory).await,
        None => Err(Error::NotYetVisible(format!(
            "cluster {} exists but cannot be described yet",
            plan.target.cluster_name
        ))),
    }
}

/// The plan's zones are the input's to change, so it is the input that is reported; EKS says by name
/// which zones it has room in.
fn unsupported_zone<R>(plan: &Plan, error: &SdkError<CreateClusterError, R>) -> Error {
    let valid = match error.as_service_error() {
        Some(CreateClusterError::UnsupportedAvailabilityZoneException(e)) => e.valid_zones(),
        _ => &[],
    };
    let others = zones::not_among(plan, valid);
    zones::unavailable(plan, "control plane", &others, eks::message(error))
}

fn private_subnet_ids(input: &Input) -> impl Iterator<Item = &str> {
    let zones = input.subnets.iter();
    zones.map(|zone| zone.private_subnet_id.as_str())
}

/// Starts one update if the cluster has drifted from the plan, or is older; else the cluster is ready.
async fn repair(
    aws: &Aws,
    compared: &Compared<'_>,
    plan: &Plan,
    cluster: &EksCluster,
    memory: &mut Memory,
) -> Result<Outcome<Output>, Error> {
    let name = &plan.target.cluster_name;
    for (setting, _) in &compared.drift {
        if is_under_way(aws, plan, *setting, memory).await? {
            let reason = format!("control plane {name} is being updated: {setting}");
            return Ok(Outcome::pending(CHECK_AFTER_SECONDS, reason));
        }
    }
    match compared.upgrade_from {
        Some(current) => upgrade::ensure(aws, plan, current, memory).await,
        None => output(cluster).map(Outcome::Ready),
    }
}

/// Asks for an update, unless this execution has done so; whether there is something to wait for.
async fn is_under_way(
    aws: &Aws,
    plan: &Plan,
    setting: Setting,
    memory: &mut Memory,
) -> Result<bool, Error> {
    let (what, again) = (setting.to_string(), format!("{setting}, again"));
    match standing(aws, &plan.target, memory, &what).await? {
        Standing::Unasked => ask(aws, plan, setting, &what, memory).await,
        Standing::InProgress => Ok(true),
        // What still looks like drift is most often none to EKS: asked once more, it says so.
        Standing::Successful => match standing(aws, &plan.target, memory, &again).await? {
            Standing::Unasked => ask(aws, plan, setting, &again, memory).await,
            Standing::InProgress => Ok(true),
            Standing::Successful => Err(Error::ResourceFailed(format!(
                "control plane {} was updated twice ({what}), and has not changed",
                plan.target.cluster_name
            ))),
        },
    }
}

/// Asks for an update and remembers it as `what`; whether there is something to wait for.
///
/// The second time EKS has taken the very same request before: what it then calls a bad parameter, in
/// words that nobody has reported for each kind, is that there is nothing to do.
async fn ask(
    aws: &Aws,
    plan: &Plan,
    setting: Setting,
    what: &str,
    memory: &mut Memory,
) -> Result<bool, Error> {
    let name = &plan.target.cluster_name;
    // No token of our own: the request states what is wanted, so repeating it is harmless, while a
    // token made from it would make a later, second repair look like this one's repetition.
    let call = aws.eks().update_cluster_config().name(name);
    let call = config::update(plan, setting, call);
    let was_taken = memory.id(&setting.to_string()).is_some();
    let answer = match change("eks:UpdateClusterConfig", name, call.send()).await {
        Err(error) if is_nothing_to_update(&error) => return Ok(false),
        Err(error) if was_taken && is_bad_parameter(&error) => return Ok(false),
        Err(error) if eks::passes_by_itself(&error) => return Ok(true),
        answer => answer.during("eks:UpdateClusterConfig")?,
    };
    remember(memory, what, answer.update());
    Ok(true)
}

/// EKS normalises what it stores: what looks like drift to us may be none to EKS.
fn is_nothing_to_update(error: &impl ProvideErrorMetadata) -> bool {
    let mut known = codes::NOTHING_TO_UPDATE_MESSAGES.iter();
    is_bad_parameter(error) && known.any(|words| eks::message(error).contains(words))
}

fn is_bad_parameter(error: &impl ProvideErrorMetadata) -> bool {
    error.code() == Some(codes::INVALID_PARAMETER)
}

fn output(cluster: &EksCluster) -> Result<Output, Error> {
    let member = |value: Option<&str>, name: &str| {
        required(value, &format!("eks:DescribeCluster: {name}")).map(str::to_owned)
    };
    let vpc = cluster.resources_vpc_config();
    let security_group_id = vpc.and_then(VpcConfigResponse::cluster_security_group_id);
    Ok(Output {
        arn: member(cluster.arn(), "arn")?,
        endpoint: member(cluster.endpoint(), "endpoint")?,
        version: member(cluster.version(), "version")?,
        platform_version: member(cluster.platform_version(), "platformVersion")?,
        security_group_id: member(security_group_id, "clusterSecurityGroupId")?,
    })
}

/// EKS takes no update but of an ACTIVE cluster, and none beside another.
async fn turn_protection_off(
    aws: &Aws,
    target: &Target,
    cluster: &EksCluster,
) -> Result<Outcome<()>, Error> {
    if cluster.status() != Some(&ClusterStatus::Active) {
        return Ok(pending(target, cluster));
    }
    let name = &target.cluster_name;
    let call = aws.eks().update_cluster_config().name(name);
    let call = call.deletion_protection(false);
    match change("eks:UpdateClusterConfig", name, call.send()).await {
        Err(error) if eks::passes_by_itself(&error) => {
            let message = eks::message(&error);
            let reason =
                format!("deletion protection of {name} cannot be turned off yet: {message}");
            return Ok(Outcome::pending(CHECK_AFTER_SECONDS, reason));
        }
        answer => answer.during("eks:UpdateClusterConfig")?,
    };
    let reason = format!("deletion protection of {name} is being turned off");
    Ok(Outcome::pending(CHECK_AFTER_SECONDS, reason))
}

async fn delete(
    aws: &Aws,
    target: &Target,
    cluster: &EksCluster,
) -> Result<Outcome<Removed>, Error> {
    let name = &target.cluster_name;
    // EKS user guide, deletion protection: it does not keep a cluster that is FAILED.
    let is_failed = cluster.status() == Some(&ClusterStatus::Failed);
    if cluster.deletion_protection() == Some(true) && !is_failed {
        return Err(eks::deletion_protected(target));
    }
    let call = aws.eks().delete_cluster().name(name);
    let answer = change("eks:DeleteCluster", name, call.send()).await;
    match answer {
        Err(error) if eks::is_absent(&error) => return leftovers::remove(aws, target).await,
        // A profile that is being deleted, or the update in progress that no describe call shows.
        Err(error) if eks::passes_by_itself(&error) => {
            let message = eks::message(&error);
            let reason = format!("control plane {name} cannot be deleted yet: {message}");
            return Ok(Outcome::pending(CHECK_AFTER_SECONDS, reason));
        }
        answer => answer.during("eks:DeleteCluster")?,
    };
    let reason = format!("control plane {name} is being deleted");
    Ok(Outcome::pending(CHECK_AFTER_SECONDS, reason))
}

#[cfg(test)]
mod tests;
