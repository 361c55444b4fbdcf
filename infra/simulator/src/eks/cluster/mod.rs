//! Clusters.

mod asked;
mod check;
mod create;
mod delete;
mod logging;

use std::collections::{BTreeMap, BTreeSet};

use ipnet::Ipv4Net;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::errors::{in_use, invalid_request};
use super::eventual_consistency::EventualConsistency;
use super::page::page;
use super::request::{Request, Tags, epoch_seconds};
use super::tokens::Token;
use super::{
    AccessEntry, Addon, Capability, FargateProfile, Update, health, insight, parts, version,
};
use crate::api_error::ApiError;
use crate::kubernetes::{Deployment, Workload};
use crate::state::Context;

pub(super) use check::{check_cidrs, check_name};
pub(super) use create::create;
pub(super) use delete::delete;
pub(super) use logging::Logging;

/// A cluster.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own in the API"
)]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cluster {
    /// Unique in its account and region.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Until then it is CREATING.
    pub active_at: Timestamp,
    /// Whether it is FAILED then.
    #[serde(default)]
    pub fails: bool,
    /// Whether it is FAILED although it was ACTIVE. AWS does not say that there are such clusters, nor that
    /// there are none. Tests turn it on.
    #[serde(default)]
    pub breaks: bool,
    /// When it will be gone, once its deletion has begun.
    pub gone_at: Option<Timestamp>,
    /// For example `1.36`.
    pub version: String,
    /// The role with which the control plane works.
    pub role_arn: String,
    /// Where it is, and how it is reached.
    pub vpc: VpcConfig,
    /// Addresses of Kubernetes services.
    pub service_cidr: Ipv4Net,
    /// Kinds of logs that go to CloudWatch Logs.
    pub logging: BTreeSet<String>,
    /// The ARN of the account's own key for secrets.
    pub key_arn: Option<String>,
    /// `API`, `API_AND_CONFIG_MAP` or `CONFIG_MAP`.
    pub authentication_mode: String,
    /// Whether the creator became an administrator.
    pub is_creator_admin: bool,
    /// Whether CoreDNS, kube-proxy and the VPC CNI came with it, self-managed.
    pub has_self_managed_addons: bool,
    /// `STANDARD` or `EXTENDED`.
    pub support_type: String,
    /// Whether it refuses to be deleted.
    pub deletion_protection: bool,
    /// Whether zonal shift is on.
    pub zonal_shift: bool,
    /// The tier of the control plane.
    pub scaling_tier: String,
    /// Tags.
    pub tags: Tags,
    /// The token of the request that made it.
    pub(super) token: Option<Token>,
    /// Hexadecimal digits that its endpoint, its issuer and other ids are made of.
    pub(super) digits: String,
    /// Network interfaces of the control plane.
    pub(super) interfaces: Vec<String>,
    /// Changes of the cluster and of its add-ons, the oldest first.
    pub updates: Vec<Update>,
    /// Fargate profiles by name.
    pub fargate_profiles: BTreeMap<String, FargateProfile>,
    /// How many profiles and add-ons were made of each name.
    pub(super) made: BTreeMap<String, u32>,
    /// Node groups by name. Tests add them.
    #[serde(default)]
    pub node_groups: BTreeSet<String>,
    /// Capabilities. Tests add them.
    #[serde(default)]
    pub capabilities: Vec<Capability>,
    /// Add-ons by name.
    pub addons: BTreeMap<String, Addon>,
    /// Access entries by the ARN of their principal.
    pub access_entries: BTreeMap<String, AccessEntry>,
    /// CoreDNS in Kubernetes, whoever manages it.
    pub coredns: Option<Deployment>,
    /// What else runs on Fargate. Tests add it.
    #[serde(default)]
    pub workloads: Vec<Workload>,
    /// What EKS saw when it last looked at whether the cluster is ready for an update.
    #[serde(default)]
    pub(super) insights: Option<insight::Look>,
    /// Until then EKS changes the control plane of its own accord: nothing shows, and changes and
    /// deletions are refused (aws/containers-roadmap issues 1500, 1511 and 2677). It follows an update of
    /// the version; tests set it too.
    #[serde(default)]
    pub hidden_update_until: Option<Timestamp>,
    /// Until then everything that happens by itself has happened.
    pub(super) settled_at: Timestamp,
}

/// A cluster's VPC and endpoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct VpcConfig {
    /// The VPC.
    pub vpc_id: String,
    /// The subnets that the control plane has its network interfaces in.
    pub subnet_ids: Vec<String>,
    /// The names of the zones that the cluster was made in, and stays in.
    pub zones: BTreeSet<String>,
    /// Security groups beside the cluster's own.
    pub security_group_ids: Vec<String>,
    /// The cluster's own security group.
    pub cluster_security_group_id: String,
    /// Whether the endpoint is reached from the internet.
    pub endpoint_public_access: bool,
    /// Whether the endpoint is reached within the VPC.
    pub endpoint_private_access: bool,
    /// From where the public endpoint is reached.
    pub public_access_cidrs: Vec<String>,
    /// How the control plane reaches others.
    pub egress_mode: String,
}

/// The certificate of every simulated cluster's authority, in PEM. Nobody has its key: it is there to be
/// read, by kubectl for example.
const AUTHORITY: &str = include_str!("authority.pem");

/// How long after a change's beginning the cluster still says ACTIVE (the Terraform AWS provider calls
/// the status eventually consistent).
const STATUS_LAG: SignedDuration = SignedDuration::from_secs(2);

impl Cluster {
    /// botocore's EKS model, ClusterStatus.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> &'static str {
        if self.gone_at.is_some() {
            return "DELETING";
        }
        if now < self.active_at {
            return "CREATING";
        }
        if self.fails || self.breaks {
            return "FAILED";
        }
        let is_seen = |update: &Update| super::after(update.created_at, STATUS_LAG) <= now;
        if self.update_in_progress().is_some_and(is_seen) {
            return "UPDATING";
        }
        "ACTIVE"
    }

    /// The cluster's own change that is not finished.
    pub(super) fn update_in_progress(&self) -> Option<&Update> {
        let mut updates = self.updates.iter();
        updates.find(|update| update.addon.is_none() && update.is_in_progress())
    }

    /// Refuses work on a cluster that is on its way up or down.
    pub(super) fn check_active(&self, now: Timestamp) -> Result<(), ApiError> {
        match self.status(now) {
            status @ ("CREATING" | "DELETING" | "FAILED") => {
                let message = format!("Cluster {} is in status {status}, not ACTIVE.", self.name);
                Err(invalid_request(&message))
            }
            _ => Ok(()),
        }
    }

    /// Refuses changes of a cluster that is being deleted (a captured answer of DisassociateAccessPolicy; the
    /// other changes of what is in a cluster are taken to be refused alike).
    pub(super) fn check_not_deleting(&self, what: &str) -> Result<(), ApiError> {
        if self.gone_at.is_some() {
            return Err(invalid_request(&format!(
                "Failed to {what} because cluster was in DELETING state"
            )));
        }
        Ok(())
    }

    /// Refuses to do `what` while the cluster changes, openly or not.
    ///
    /// apache/airflow pull request 73219: for more than ten minutes after a Fargate profile became
    /// ACTIVE, a cluster that says ACTIVE refuses deletions.
    pub(super) fn check_no_update(&self, what: &str, now: Timestamp) -> Result<(), ApiError> {
        let mut profiles = self.fargate_profiles.values();
        let is_busy = self.update_in_progress().is_some()
            || self.is_updating_secretly(now)
            || profiles.any(|profile| profile.is_still_settling(now));
        if is_busy {
            return Err(self.update_in_progress_fault(what));
        }
        Ok(())
    }

    /// Whether there is a change of which nothing shows, and which forbids any other: one of EKS' own, or
    /// that of an add-on that was just made (eksctl-io/eksctl issue 8514).
    pub(super) fn is_updating_secretly(&self, now: Timestamp) -> bool {
        let mut addons = self.addons.values();
        self.hidden_update_until.is_some_and(|until| now < until)
            || addons.any(|addon| now < addon.installed_at)
    }

    pub(super) fn update_in_progress_fault(&self, what: &str) -> ApiError {
        in_use(&format!(
            "Cannot {what} because cluster {} currently has an update in progress",
            self.name
        ))
    }

    /// How many times something with the name was made in the cluster, this time included.
    pub(super) fn count_made(&mut self, name: &str) -> u32 {
        let count = self.made.entry(name.to_owned()).or_default();
        *count += 1;
        *count
    }

    /// A UUID for something with the name.
    pub(super) fn uuid(&self, seed: crate::Seed, name: &str) -> String {
        let hex = seed.hex("uuid", &format!("{}/{}/{name}", self.arn, self.digits), 32);
        let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default().to_owned();
        [
            part(0, 8),
            part(8, 12),
            part(12, 16),
            part(16, 20),
            part(20, 32),
        ]
        .join("-")
    }

    /// The cluster as EKS describes it. What comes to be only with the control plane is absent until
    /// the cluster is ACTIVE, and what there is nothing to say of at all times (botocore's EKS model; EKS
    /// user guide; captured answers of a real account).
    #[must_use]
    pub fn to_json(&self, now: Timestamp) -> Value {
        let mut cluster = json!({
            "name": self.name,
            "arn": self.arn,
            "createdAt": epoch_seconds(self.created_at),
            "version": self.version,
            "roleArn": self.role_arn,
            "resourcesVpcConfig": self.vpc.to_json(),
            "kubernetesNetworkConfig": {
                "serviceIpv4Cidr": self.service_cidr.to_string(),
                "ipFamily": "ipv4",
                "elasticLoadBalancing": {"enabled": false},
            },
            "logging": logging::to_json(&self.logging),
            "status": self.status(now),
            "platformVersion": version::find(&self.version).map_or("eks.1", |it| it.platform),
            "tags": self.tags,
            "certificateAuthority": {},
            "accessConfig": {"authenticationMode": self.authentication_mode},
            "upgradePolicy": {"supportType": self.support_type},
            "deletionProtection": self.deletion_protection,
            "controlPlaneScalingConfig": {"tier": self.scaling_tier},
            "kubeApiServerConfig": {},
            "kubeSchedulerConfig": {},
            "kubeControllerManagerConfig": {},
        });
        if self.status(now) == "FAILED" {
            cluster["health"] = health(true);
        }
        if self.zonal_shift {
            cluster["zonalShiftConfig"] = json!({"enabled": true});
        }
        if let Some(key) = &self.key_arn {
            cluster["encryptionConfig"] =
                json!([{"resources": ["secrets"], "provider": {"keyArn": key}}]);
        }
        if let Value::Object(members) = &mut cluster
            && now >= self.active_at
            && !self.fails
        {
            members.extend(self.control_plane());
            members["resourcesVpcConfig"]["clusterSecurityGroupId"] =
                self.vpc.cluster_security_group_id.clone().into();
        }
        cluster
    }

    fn control_plane(&self) -> Map<String, Value> {
        let region = self.arn.split(':').nth(3).unwrap_or_default();
        let id = &self.digits;
        let issuer = format!("https://oidc.eks.{region}.amazonaws.com/id/{id}");
        Map::from_iter([
            (
                "endpoint".to_owned(),
                json!(format!("https://{id}.gr7.{region}.eks.amazonaws.com")),
            ),
            ("identity".to_owned(), json!({"oidc": {"issuer": issuer}})),
            (
                "certificateAuthority".to_owned(),
                json!({"data": aws_smithy_types::base64::encode(AUTHORITY)}),
            ),
        ])
    }
}

impl VpcConfig {
    fn to_json(&self) -> Value {
        json!({
            "subnetIds": self.subnet_ids,
            "securityGroupIds": self.security_group_ids,
            "vpcId": self.vpc_id,
            "endpointPublicAccess": self.endpoint_public_access,
            "endpointPrivateAccess": self.endpoint_private_access,
            "publicAccessCidrs": self.public_access_cidrs,
            "controlPlaneEgressMode": self.egress_mode,
        })
    }
}

/// `DescribeCluster`.
pub(super) fn describe(
    context: &mut Context<'_>,
    request: &Request<'_>,
) -> Result<Value, ApiError> {
    let (now, consistency) = (context.now, EventualConsistency::of(context));
    let name = request.cluster();
    let cluster = context.eks().clusters.get(name);
    let cluster = cluster.filter(|cluster| consistency.shows_cluster(cluster));
    let cluster = cluster.ok_or_else(|| consistency.cluster_missing(name))?;
    Ok(json!({"cluster": cluster.to_json(now)}))
}

/// `ListClusters`.
pub(super) fn list(context: &mut Context<'_>, request: &Request<'_>) -> Result<Value, ApiError> {
    let consistency = EventualConsistency::of(context);
    let (eks, _) = parts(context);
    let clusters = eks.clusters.values();
    let seen = clusters.filter(|cluster| consistency.shows_cluster(cluster));
    page(request, "clusters", seen.map(|cluster| json!(cluster.name)))
}

#[cfg(test)]
mod tests {
    use aws_sdk_eks::types::ClusterStatus;

    use crate::eks::testing::{World, code, message, wait};

    /// Whether it is base64 of a PEM block whose content is one whole DER sequence.
    fn is_certificate(data: &str) -> bool {
        let pem = aws_smithy_types::base64::decode(data).unwrap();
        let pem = String::from_utf8(pem).unwrap();
        let body: String = pem.lines().filter(|line| !line.starts_with("--")).collect();
        let der = aws_smithy_types::base64::decode(body).unwrap();
        let length = usize::from(der[2]) * 256 + usize::from(der[3]);
        der[..2] == [0x30, 0x82] && der.len() == 4 + length
    }

    #[tokio::test(start_paused = true)]
    async fn missing_cluster_is_not_found() {
        let world = World::new().await;
        let error = world.eks.describe_cluster().name("x").send().await;
        let error = error.unwrap_err().into_service_error();
        assert!(error.is_resource_not_found_exception());
        assert_eq!(
            error.meta().message(),
            Some("No cluster found for name: x.")
        );
    }

    #[tokio::test(start_paused = true)]
    async fn control_plane_shows_once_the_cluster_is_active() {
        let world = World::new().await;
        world.cluster_creating().await;
        let cluster = world.cluster().await;
        assert_eq!(cluster.status(), Some(&ClusterStatus::Creating));
        assert_eq!(cluster.endpoint(), None);
        assert_eq!(cluster.certificate_authority().unwrap().data(), None);
        assert_eq!(cluster.health(), None);
        assert_eq!(cluster.identity(), None);
        let seconds = world.seconds_until_active().await;
        assert!((380..=690).contains(&seconds), "{seconds}");
        let cluster = world.cluster().await;
        let endpoint = cluster.endpoint().unwrap();
        assert!(
            endpoint.ends_with(".gr7.ap-northeast-1.eks.amazonaws.com"),
            "{endpoint}"
        );
        let data = cluster.certificate_authority().unwrap().data().unwrap();
        assert!(is_certificate(data), "{data}");
        let vpc = cluster.resources_vpc_config().unwrap();
        let group = vpc.cluster_security_group_id().unwrap();
        let groups = world.ec2.describe_security_groups().group_ids(group).send();
        let groups = groups.await.unwrap().security_groups.unwrap();
        let name = groups[0].group_name().unwrap();
        assert!(name.starts_with("eks-cluster-sg-demo-"), "{name}");
    }

    #[tokio::test(start_paused = true)]
    async fn clusters_are_listed_in_pages() {
        let world = World::new().await;
        world.cluster_creating().await;
        world.create("other").send().await.unwrap();
        let first = world
            .eks
            .list_clusters()
            .max_results(1)
            .send()
            .await
            .unwrap();
        assert_eq!(first.clusters(), ["demo"]);
        let rest = world
            .eks
            .list_clusters()
            .set_next_token(first.next_token)
            .send();
        let rest = rest.await.unwrap();
        assert_eq!(rest.clusters(), ["other"]);
        assert_eq!(rest.next_token(), None);
        let call = world.eks.list_clusters().max_results(101).send().await;
        assert_eq!(code(&call), "InvalidParameterException");
    }

    #[tokio::test(start_paused = true)]
    async fn protected_cluster_refuses_to_be_deleted() {
        let world = World::new().await;
        world
            .create("demo")
            .deletion_protection(true)
            .send()
            .await
            .unwrap();
        world.wait_until_active().await;
        let call = world.eks.delete_cluster().name("demo").send().await;
        assert_eq!(code(&call), "InvalidRequestException");
        let call = world.eks.update_cluster_config().name("demo");
        call.deletion_protection(false).send().await.unwrap();
        wait(60).await;
        world
            .eks
            .delete_cluster()
            .name("demo")
            .send()
            .await
            .unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn cluster_with_profiles_refuses_to_be_deleted() {
        let world = World::new().await;
        world.cluster_active().await;
        world.profile("kube-system").await;
        let call = world.eks.delete_cluster().name("demo").send().await;
        assert_eq!(code(&call), "ResourceInUseException");
        assert_eq!(
            message(&call),
            "Cluster has Fargate Profiles in CREATING state"
        );
        wait(301).await;
        let call = world.eks.delete_cluster().name("demo").send().await;
        assert_eq!(code(&call), "ResourceInUseException");
    }
}
