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
//! ours. What UpdateClusterConfig can change (endpoint access, logging, deletion protection) is
//! repaired, one kind at a time, as EKS demands. Role and subnets are not repaired: moving a running
//! control plane is a person's decision. A Kubernetes version or support type that differs is left
//! alone, because changing either can upgrade the cluster.

mod config;

use aws_sdk_eks::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_eks::operation::create_cluster::CreateClusterError;
use aws_sdk_eks::types::{Cluster as EksCluster, ClusterHealth, ClusterStatus, VpcConfigResponse};
use serde::{Deserialize, Serialize};
use step::error::required;
use step::telemetry::{changed, changing};
use step::{
    Aws, During, Error, Outcome, Plan, Removed, Step, Target, ZoneSubnets, codes, eks, names, tags,
};

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
    type Input = Input;
    type Output = Output;

    async fn ensure(aws: &Aws, plan: &Plan, input: Input) -> Result<Outcome<Output>, Error> {
        match eks::find_cluster(aws, &plan.target).await? {
            Some(cluster) => status(aws, plan, &input, &cluster).await,
            None => create(aws, plan, &input).await,
        }
    }

    async fn remove(aws: &Aws, target: &Target) -> Result<Outcome<Removed>, Error> {
        let Some(cluster) = eks::find_cluster(aws, target).await? else {
            return Ok(Outcome::Ready(Removed::default()));
        };
        if !tags::eks_is_ours(cluster.tags(), target) {
            return Err(not_ours(target));
        }
        match cluster.status() {
            Some(ClusterStatus::Active | ClusterStatus::Failed) => {
                delete(aws, target, &cluster).await
            }
            _ => Ok(pending(target, &cluster)),
        }
    }
}

fn not_ours(target: &Target) -> Error {
    tags::not_ours(&format!("EKS cluster {}", target.cluster_name), target)
}

async fn status(
    aws: &Aws,
    plan: &Plan,
    input: &Input,
    cluster: &EksCluster,
) -> Result<Outcome<Output>, Error> {
    let target = &plan.target;
    if !tags::eks_is_ours(cluster.tags(), target) {
        return Err(not_ours(target));
    }
    match cluster.status() {
        Some(ClusterStatus::Active) => repair(aws, plan, input, cluster).await,
        Some(
            ClusterStatus::Creating
            | ClusterStatus::Pending
            | ClusterStatus::Updating
            | ClusterStatus::Deleting,
        ) => Ok(pending(target, cluster)),
        Some(ClusterStatus::Failed) => Err(Error::ResourceFailed(format!(
            "control plane {} is {}",
            target.cluster_name,
            status_line(cluster)
        ))),
        other => Err(Error::Unexpected(format!(
            "control plane {} has the status {other:?}",
            target.cluster_name
        ))),
    }
}

/// Health issues are part of the reason: a new account's show while the cluster is still CREATING.
fn pending<T>(target: &Target, cluster: &EksCluster) -> Outcome<T> {
    let name = &target.cluster_name;
    Outcome::pending(
        CHECK_AFTER_SECONDS,
        format!("control plane {name} is {}", status_line(cluster)),
    )
}

fn status_line(cluster: &EksCluster) -> String {
    let status = cluster.status().map_or("unknown", ClusterStatus::as_str);
    let issues = cluster.health().map(ClusterHealth::issues);
    eks::status_line(status, issues.unwrap_or_default())
}

async fn create(aws: &Aws, plan: &Plan, input: &Input) -> Result<Outcome<Output>, Error> {
    let name = &plan.target.cluster_name;
    let subnet_ids = private_subnet_ids(input);
    let token_parts = ["cluster", &input.role_arn]
        .into_iter()
        .chain(subnet_ids.iter().map(String::as_str));
    changing("eks:CreateCluster", name);
    let answer = aws
        .eks
        .create_cluster()
        .name(name)
        .version(&plan.kubernetes_version)
        .role_arn(&input.role_arn)
        .resources_vpc_config(config::vpc(plan, subnet_ids.clone()))
        .kubernetes_network_config(config::network(plan))
        .access_config(config::access())
        .bootstrap_self_managed_addons(false)
        .upgrade_policy(config::upgrade_policy(plan))
        .set_logging(config::logging_of_new(&plan.logging))
        .set_encryption_config(config::encryption(plan))
        .deletion_protection(plan.deletion_protection)
        .client_request_token(names::client_token(&plan.target, token_parts))
        .set_tags(Some(tags::eks(plan, "cluster")))
        .send()
        .await;
    match answer {
        Err(error) if eks::is_in_use(&error) => {
            return created_meanwhile(aws, plan, input).await;
        }
        Err(error) if error.code() == Some(codes::UNSUPPORTED_AVAILABILITY_ZONE) => {
            return Err(unsupported_zone(plan, &error));
        }
        answer => answer.during("eks:CreateCluster")?,
    };
    changed("eks:CreateCluster", name);
    let reason = format!("control plane {name} is being created");
    Ok(Outcome::pending(CHECK_AFTER_SECONDS, reason))
}

/// The cluster that took the name between our look and our call: an earlier attempt's, or someone's.
async fn created_meanwhile(
    aws: &Aws,
    plan: &Plan,
    input: &Input,
) -> Result<Outcome<Output>, Error> {
    match eks::find_cluster(aws, &plan.target).await? {
        Some(cluster) => status(aws, plan, input, &cluster).await,
        None => Err(Error::NotYetVisible(format!(
            "cluster {} exists but cannot be described yet",
            plan.target.cluster_name
        ))),
    }
}

/// The plan's zones are the input's to change, so it is the input that is reported; EKS says which
/// zones it has room in.
fn unsupported_zone<R>(plan: &Plan, error: &SdkError<CreateClusterError, R>) -> Error {
    let zones: Vec<_> = plan.network.zones.iter().map(|zone| &zone.name).collect();
    let message = eks::message(error);
    let valid = match error.as_service_error() {
        Some(CreateClusterError::UnsupportedAvailabilityZoneException(e)) => e.valid_zones(),
        _ => &[],
    };
    Error::invalid(
        "network.availabilityZones",
        zones,
        format!("zones among {}; EKS says: {message}", valid.join(", ")),
    )
}

fn private_subnet_ids(input: &Input) -> Vec<String> {
    let zones = input.subnets.iter();
    zones.map(|zone| zone.private_subnet_id.clone()).collect()
}

/// Starts one update if the cluster has drifted from the plan; else the cluster is ready.
async fn repair(
    aws: &Aws,
    plan: &Plan,
    input: &Input,
    cluster: &EksCluster,
) -> Result<Outcome<Output>, Error> {
    config::require_unchangeable(cluster, &input.role_arn, &private_subnet_ids(input))?;
    let name = &plan.target.cluster_name;
    for update in config::drift(plan, cluster) {
        changing("eks:UpdateClusterConfig", name);
        // No token of our own: the request states what is wanted, so repeating it is harmless, while a
        // token made from it would make a later, second repair look like this one's repetition.
        let call = update.apply(aws.eks.update_cluster_config().name(name));
        match call.send().await {
            Err(error) if is_nothing_to_update(&error) => continue,
            Err(error) if eks::is_in_use(&error) => {}
            answer => {
                answer.during("eks:UpdateClusterConfig")?;
                changed("eks:UpdateClusterConfig", name);
            }
        }
        let reason = format!("control plane {name} is being updated: {update}");
        return Ok(Outcome::pending(CHECK_AFTER_SECONDS, reason));
    }
    output(cluster).map(Outcome::Ready)
}

/// EKS normalises what it stores: what looks like drift to us may be none to EKS.
fn is_nothing_to_update(error: &impl ProvideErrorMetadata) -> bool {
    error.code() == Some(codes::INVALID_PARAMETER)
        && error
            .message()
            .is_some_and(|message| message.contains(codes::NOTHING_TO_UPDATE_MESSAGE))
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

async fn delete(
    aws: &Aws,
    target: &Target,
    cluster: &EksCluster,
) -> Result<Outcome<Removed>, Error> {
    let name = &target.cluster_name;
    if cluster.deletion_protection() == Some(true) {
        return Err(Error::ResourceConflict(format!(
            "cluster {name} has deletion protection; turn it off with `aws eks update-cluster-config \
             --region {} --name {name} --no-deletion-protection`",
            target.region
        )));
    }
    changing("eks:DeleteCluster", name);
    let answer = aws.eks.delete_cluster().name(name).send().await;
    match answer {
        Err(error) if eks::is_absent(&error) => return Ok(Outcome::Ready(Removed::default())),
        // A profile that is still there, or the update in progress that no describe call shows.
        Err(error) if eks::is_in_use(&error) => {
            let message = eks::message(&error);
            let reason = format!("control plane {name} cannot be deleted yet: {message}");
            return Ok(Outcome::pending(CHECK_AFTER_SECONDS, reason));
        }
        answer => answer.during("eks:DeleteCluster")?,
    };
    changed("eks:DeleteCluster", name);
    let reason = format!("control plane {name} is being deleted");
    Ok(Outcome::pending(CHECK_AFTER_SECONDS, reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_eks::Client;
    use aws_sdk_eks::operation::create_cluster::{CreateClusterInput, CreateClusterOutput};
    use aws_sdk_eks::operation::delete_cluster::DeleteClusterOutput;
    use aws_sdk_eks::operation::describe_cluster::DescribeClusterOutput;
    use aws_sdk_eks::operation::update_cluster_config::UpdateClusterConfigOutput;
    use aws_sdk_eks::types::builders::{ClusterBuilder, VpcConfigResponseBuilder};
    use aws_sdk_eks::types::error::UnsupportedAvailabilityZoneException;
    use aws_sdk_eks::types::{
        AuthenticationMode, ClusterHealth, ClusterIssue, ClusterIssueCode, LogType, SupportType,
    };
    use aws_smithy_mocks::{Rule, mock};
    use step::mocks::eks_refusal;

    const ROLE_ARN: &str = "arn:aws:iam::111122223333:role/hardway-demo-ap-northeast-1-cluster";
    const ARN: &str = "arn:aws:eks:ap-northeast-1:111122223333:cluster/demo";

    fn input() -> Input {
        let zone = |number: u8| ZoneSubnets {
            zone_id: format!("apne1-az{number}"),
            zone_name: format!("ap-northeast-1{number}"),
            public_subnet_id: format!("subnet-public{number}"),
            private_subnet_id: format!("subnet-private{number}"),
        };
        Input {
            subnets: [1, 2, 4].map(zone).to_vec(),
            role_arn: ROLE_ARN.to_owned(),
        }
    }

    fn private_subnets() -> Vec<String> {
        [1, 2, 4].map(|n| format!("subnet-private{n}")).to_vec()
    }

    fn vpc() -> VpcConfigResponseBuilder {
        VpcConfigResponse::builder()
            .set_subnet_ids(Some(private_subnets()))
            .cluster_security_group_id("sg-1")
            .endpoint_public_access(true)
            .endpoint_private_access(true)
            .public_access_cidrs("0.0.0.0/0")
    }

    /// The cluster of [`Plan::example`], ours, with the given status.
    fn cluster(status: ClusterStatus) -> ClusterBuilder {
        EksCluster::builder()
            .name("demo")
            .arn(ARN)
            .role_arn(ROLE_ARN)
            .status(status)
            .endpoint("https://example.eks.amazonaws.com")
            .version("1.36")
            .platform_version("eks.3")
            .tags(tags::CLUSTER, "demo")
            .resources_vpc_config(vpc().build())
    }

    fn active() -> ClusterBuilder {
        cluster(ClusterStatus::Active)
    }

    fn found(cluster: ClusterBuilder) -> Rule {
        mock!(Client::describe_cluster).then_output(move || {
            let cluster = cluster.clone().build();
            DescribeClusterOutput::builder().cluster(cluster).build()
        })
    }

    fn missing() -> Rule {
        mock!(Client::describe_cluster).then_http_response(|| {
            eks_refusal(
                404,
                codes::RESOURCE_NOT_FOUND,
                "No cluster found for name: demo.",
            )
        })
    }

    fn creates() -> Rule {
        creates_like(|_| true)
    }

    fn creates_like(is_right: fn(&CreateClusterInput) -> bool) -> Rule {
        mock!(Client::create_cluster)
            .match_requests(is_right)
            .then_output(|| CreateClusterOutput::builder().build())
    }

    fn updates() -> Rule {
        mock!(Client::update_cluster_config)
            .then_output(|| UpdateClusterConfigOutput::builder().build())
    }

    fn deletes() -> Rule {
        mock!(Client::delete_cluster).then_output(|| DeleteClusterOutput::builder().build())
    }

    fn aws(rules: [&Rule; 2]) -> Aws {
        Aws {
            eks: step::mocked!(aws_sdk_eks, [rules[0], rules[1]]),
            ..Aws::offline()
        }
    }

    async fn ensure(rules: [&Rule; 2], plan: &Plan) -> Result<Outcome<Output>, Error> {
        Cluster::ensure(&aws(rules), plan, input()).await
    }

    async fn remove(rules: [&Rule; 2]) -> Result<Outcome<Removed>, Error> {
        Cluster::remove(&aws(rules), &Plan::example().target).await
    }

    fn reason<T: std::fmt::Debug>(outcome: Result<Outcome<T>, Error>) -> String {
        match outcome {
            Ok(Outcome::Pending { reason, .. }) => reason,
            other => panic!("expected Pending, got {other:?}"),
        }
    }

    #[tokio::test]
    async fn creates_a_cluster_that_only_access_entries_open_in_the_private_subnets() {
        let created = creates_like(|call| {
            let vpc = call.resources_vpc_config().unwrap();
            let access = call.access_config().unwrap();
            call.name() == Some("demo")
                && call.version() == Some("1.36")
                && call.role_arn() == Some(ROLE_ARN)
                && vpc.subnet_ids() == private_subnets()
                && vpc.endpoint_public_access() == Some(true)
                && vpc.endpoint_private_access() == Some(true)
                && access.authentication_mode() == Some(&AuthenticationMode::Api)
                && access.bootstrap_cluster_creator_admin_permissions() == Some(false)
                && call.bootstrap_self_managed_addons() == Some(false)
                && call.upgrade_policy().unwrap().support_type() == Some(&SupportType::Standard)
                && call
                    .kubernetes_network_config()
                    .unwrap()
                    .service_ipv4_cidr()
                    == Some("172.20.0.0/16")
                && call.logging().is_none()
                && call.encryption_config().is_empty()
                && call.deletion_protection() == Some(false)
                && call.tags().unwrap()[tags::CLUSTER] == "demo"
                && call.tags().unwrap()[tags::ROLE] == "cluster"
        });
        let outcome = ensure([&missing(), &created], &Plan::example()).await;
        assert_eq!(reason(outcome), "control plane demo is being created");
        assert_eq!(created.num_calls(), 1);
    }

    #[tokio::test]
    async fn creates_a_cluster_with_logs_key_and_protection_as_planned() {
        let mut plan = Plan::example();
        plan.logging = vec![step::spec::LogType::Audit];
        plan.kms_key_arn = Some("arn:aws:kms:ap-northeast-1:111122223333:key/1".to_owned());
        plan.deletion_protection = true;
        let created = creates_like(|call| {
            let key = call.encryption_config()[0].provider().unwrap().key_arn();
            let logs = &call.logging().unwrap().cluster_logging()[0];
            key == Some("arn:aws:kms:ap-northeast-1:111122223333:key/1")
                && logs.enabled() == Some(true)
                && logs.types() == [LogType::Audit]
                && call.deletion_protection() == Some(true)
        });
        ensure([&missing(), &created], &plan).await.unwrap();
        assert_eq!(created.num_calls(), 1);
    }

    #[tokio::test]
    async fn repeating_a_create_uses_the_same_token() {
        let tokens = std::sync::Arc::new(std::sync::Mutex::new(vec![]));
        let seen = std::sync::Arc::clone(&tokens);
        let created = mock!(Client::create_cluster)
            .match_requests(move |call| {
                let token = call.client_request_token().unwrap().to_owned();
                seen.lock().unwrap().push(token);
                true
            })
            .then_output(|| CreateClusterOutput::builder().build());
        for _ in 0..2 {
            ensure([&missing(), &created], &Plan::example())
                .await
                .unwrap();
        }
        let tokens = tokens.lock().unwrap();
        assert_eq!(tokens.len(), 2);
        assert_eq!(tokens[0], tokens[1]);
    }

    #[tokio::test]
    async fn an_active_cluster_is_ready_and_left_alone() {
        let updated = updates();
        let outcome = ensure(
            [&found(active().version("1.37")), &updated],
            &Plan::example(),
        )
        .await;
        let output = outcome.unwrap().ready().unwrap();
        assert_eq!(
            output,
            Output {
                arn: ARN.to_owned(),
                endpoint: "https://example.eks.amazonaws.com".to_owned(),
                version: "1.37".to_owned(),
                platform_version: "eks.3".to_owned(),
                security_group_id: "sg-1".to_owned(),
            }
        );
        assert_eq!(updated.num_calls(), 0);
    }

    #[tokio::test]
    async fn a_cluster_at_work_is_pending_with_its_status() {
        for status in [
            ClusterStatus::Creating,
            ClusterStatus::Pending,
            ClusterStatus::Updating,
            ClusterStatus::Deleting,
        ] {
            let created = creates();
            let rule = found(cluster(status.clone()));
            let outcome = ensure([&rule, &created], &Plan::example()).await;
            assert_eq!(reason(outcome), format!("control plane demo is {status}"));
            assert_eq!(created.num_calls(), 0);
        }
    }

    #[tokio::test]
    async fn a_failed_cluster_carries_its_health_issues() {
        let issue = ClusterIssue::builder()
            .code(ClusterIssueCode::Ec2ServiceNotSubscribed)
            .message("no subscription")
            .build();
        let health = ClusterHealth::builder().issues(issue).build();
        let failed = cluster(ClusterStatus::Failed).health(health);
        let outcome = ensure([&found(failed), &creates()], &Plan::example()).await;
        assert_eq!(
            outcome,
            Err(Error::ResourceFailed(
                "control plane demo is FAILED; Ec2ServiceNotSubscribed: no subscription".to_owned()
            ))
        );
    }

    #[tokio::test]
    async fn refuses_a_cluster_that_is_not_ours_and_touches_nothing() {
        let (updated, deleted) = (updates(), deletes());
        let theirs = || found(active().set_tags(None).deletion_protection(true));
        let error = ensure([&theirs(), &updated], &Plan::example())
            .await
            .unwrap_err();
        assert_eq!(error.name(), "ResourceConflict");
        let error = remove([&theirs(), &deleted]).await.unwrap_err();
        assert_eq!(error.name(), "ResourceConflict");
        assert_eq!((updated.num_calls(), deleted.num_calls()), (0, 0));
    }

    #[tokio::test]
    async fn a_name_taken_by_an_earlier_attempt_is_adopted() {
        let looked = mock!(Client::describe_cluster)
            .sequence()
            .http_response(|| {
                eks_refusal(400, codes::CLIENT_EXCEPTION, "No cluster found for name")
            })
            .output(|| {
                let cluster = cluster(ClusterStatus::Creating).build();
                DescribeClusterOutput::builder().cluster(cluster).build()
            })
            .build();
        let taken = mock!(Client::create_cluster).then_http_response(|| {
            let message = "Cluster already exists with name: demo";
            eks_refusal(409, codes::RESOURCE_IN_USE, message)
        });
        let outcome = ensure([&looked, &taken], &Plan::example()).await;
        assert_eq!(reason(outcome), "control plane demo is CREATING");
        assert_eq!(looked.num_calls(), 2);
    }

    #[tokio::test]
    async fn a_role_that_has_not_spread_is_not_yet_visible() {
        let refused = mock!(Client::create_cluster).then_http_response(|| {
            let message = "Role with arn: x, could not be assumed because it does not exist";
            eks_refusal(400, codes::INVALID_PARAMETER, message)
        });
        let error = ensure([&missing(), &refused], &Plan::example())
            .await
            .unwrap_err();
        assert_eq!(error.name(), "NotYetVisible");
    }

    #[tokio::test]
    async fn an_unsupported_zone_is_reported_with_the_zones_that_can_do() {
        let refused = mock!(Client::create_cluster).then_error(|| {
            let meta = aws_sdk_eks::error::ErrorMetadata::builder()
                .code(codes::UNSUPPORTED_AVAILABILITY_ZONE)
                .message("no capacity")
                .build();
            let error = UnsupportedAvailabilityZoneException::builder()
                .valid_zones("ap-northeast-1a")
                .valid_zones("ap-northeast-1d")
                .meta(meta)
                .build();
            CreateClusterError::UnsupportedAvailabilityZoneException(error)
        });
        let error = ensure([&missing(), &refused], &Plan::example())
            .await
            .unwrap_err();
        assert_eq!(error.name(), "InvalidRequest");
        let text = error.to_string();
        assert!(text.contains("network.availabilityZones"), "{text}");
        assert!(text.contains("ap-northeast-1a, ap-northeast-1d"), "{text}");
    }

    #[tokio::test]
    async fn drift_is_repaired_one_kind_at_a_time() {
        let mut plan = Plan::example();
        plan.logging = vec![step::spec::LogType::Audit];
        plan.deletion_protection = true;
        let open = vpc().endpoint_private_access(false).build();
        let endpoint = mock!(Client::update_cluster_config)
            .match_requests(|call| {
                let vpc = call.resources_vpc_config().unwrap();
                vpc.endpoint_private_access() == Some(true)
                    && vpc.subnet_ids().is_empty()
                    && call.logging().is_none()
                    && call.deletion_protection().is_none()
            })
            .then_output(|| UpdateClusterConfigOutput::builder().build());
        let rule = found(active().resources_vpc_config(open));
        let outcome = ensure([&rule, &endpoint], &plan).await;
        assert_eq!(
            reason(outcome),
            "control plane demo is being updated: endpoint access"
        );
        assert_eq!(endpoint.num_calls(), 1);

        let logging = mock!(Client::update_cluster_config)
            .match_requests(|call| {
                let setups = call.logging().unwrap().cluster_logging();
                setups[0].types() == [LogType::Audit]
                    && setups[1].enabled() == Some(false)
                    && setups[1].types().len() == 4
                    && call.deletion_protection().is_none()
            })
            .then_output(|| UpdateClusterConfigOutput::builder().build());
        let outcome = ensure([&found(active()), &logging], &plan).await;
        assert_eq!(
            reason(outcome),
            "control plane demo is being updated: logging"
        );
        assert_eq!(logging.num_calls(), 1);

        plan.logging = vec![];
        let protection = mock!(Client::update_cluster_config)
            .match_requests(|call| call.deletion_protection() == Some(true))
            .then_output(|| UpdateClusterConfigOutput::builder().build());
        let outcome = ensure([&found(active()), &protection], &plan).await;
        assert_eq!(
            reason(outcome),
            "control plane demo is being updated: deletion protection true"
        );
        assert_eq!(protection.num_calls(), 1);
    }

    #[tokio::test]
    async fn what_eks_calls_no_drift_is_none() {
        let cidrs = vpc().set_public_access_cidrs(Some(vec!["203.0.113.0/24".to_owned()]));
        let mut plan = Plan::example();
        plan.endpoint.public_cidrs = vec!["203.0.113.7/24".to_owned()];
        let refused = mock!(Client::update_cluster_config).then_http_response(|| {
            let message = "Cluster is already at the desired configuration with …";
            eks_refusal(400, codes::INVALID_PARAMETER, message)
        });
        let rule = found(active().resources_vpc_config(cidrs.build()));
        let outcome = ensure([&rule, &refused], &plan).await.unwrap();
        assert!(outcome.ready().is_some());
        assert_eq!(refused.num_calls(), 1);
    }

    #[tokio::test]
    async fn public_cidrs_do_not_count_without_a_public_endpoint() {
        let mut plan = Plan::example();
        plan.endpoint.public = false;
        plan.endpoint.public_cidrs = vec![];
        let private = vpc().endpoint_public_access(false).build();
        let updated = updates();
        let rule = found(active().resources_vpc_config(private));
        let outcome = ensure([&rule, &updated], &plan).await.unwrap();
        assert!(outcome.ready().is_some());
        assert_eq!(updated.num_calls(), 0);
    }

    #[tokio::test]
    async fn another_role_or_subnet_is_a_conflict_that_says_what() {
        let updated = updates();
        let role = active().role_arn("arn:aws:iam::111122223333:role/Other");
        let subnets = active().resources_vpc_config(vpc().subnet_ids("subnet-9").build());
        for (cluster, what) in [(role, "role/Other"), (subnets, "subnet-9")] {
            let error = ensure([&found(cluster), &updated], &Plan::example())
                .await
                .unwrap_err();
            assert_eq!(error.name(), "ResourceConflict");
            assert!(error.to_string().contains(what), "{error}");
        }
        assert_eq!(updated.num_calls(), 0);
    }

    #[tokio::test]
    async fn remove_deletes_and_waits() {
        let deleted = deletes();
        let outcome = remove([&found(active()), &deleted]).await;
        assert_eq!(reason(outcome), "control plane demo is being deleted");
        assert_eq!(deleted.num_calls(), 1);

        let deleted = deletes();
        let deleting = found(cluster(ClusterStatus::Deleting));
        let outcome = remove([&deleting, &deleted]).await;
        assert_eq!(reason(outcome), "control plane demo is DELETING");
        assert_eq!(deleted.num_calls(), 0);
    }

    #[tokio::test]
    async fn remove_of_a_missing_cluster_succeeds() {
        let deleted = deletes();
        let outcome = remove([&missing(), &deleted]).await;
        assert_eq!(outcome, Ok(Outcome::Ready(Removed::default())));
        assert_eq!(deleted.num_calls(), 0);
    }

    #[tokio::test]
    async fn remove_of_a_busy_cluster_waits_with_ekss_reason() {
        for message in [
            "Cluster has Fargate Profiles in ACTIVE state",
            "Cannot delete because cluster demo currently has an update in progress",
        ] {
            let refused = mock!(Client::delete_cluster)
                .then_http_response(move || eks_refusal(409, codes::RESOURCE_IN_USE, message));
            let outcome = remove([&found(active()), &refused]).await;
            assert!(reason(outcome).contains(message));
        }
    }

    #[tokio::test]
    async fn remove_respects_deletion_protection_and_says_how_to_turn_it_off() {
        let deleted = deletes();
        let protected = found(active().deletion_protection(true));
        let error = remove([&protected, &deleted]).await.unwrap_err();
        assert_eq!(error.name(), "ResourceConflict");
        assert!(error.to_string().contains("--no-deletion-protection"));
        assert_eq!(deleted.num_calls(), 0);
    }
}
