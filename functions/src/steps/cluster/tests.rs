//! Unit tests of the cluster.

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

use crate::aws::mocks::eks_refusal;

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
        memory: Memory::default(),
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

fn vpcs(ids: &'static [&'static str]) -> Rule {
    mock!(aws_sdk_ec2::Client::describe_vpcs).then_output(|| {
        let vpc = |id: &&str| aws_sdk_ec2::types::Vpc::builder().vpc_id(*id).build();
        aws_sdk_ec2::operation::describe_vpcs::DescribeVpcsOutput::builder()
            .set_vpcs(Some(ids.iter().map(vpc).collect()))
            .build()
    })
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
    Aws::offline().with(crate::mocked!(aws_sdk_eks, [rules[0], rules[1]]))
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
    plan.logging = vec![crate::model::spec::LogType::Audit];
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
async fn create_sends_no_token_that_a_later_one_would_send_again() {
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
    assert_ne!(tokens[0], tokens[1]);
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
    // It was in use: it has an endpoint.
    let failed = active().status(ClusterStatus::Failed).health(health);
    let outcome = ensure([&found(failed), &creates()], &Plan::example()).await;
    assert_eq!(
        outcome,
        Err(Error::ResourceFailed(
            "control plane demo is FAILED; Ec2ServiceNotSubscribed: no subscription".to_owned()
        ))
    );
}

#[tokio::test]
async fn a_control_plane_that_never_was_active_is_replaced_once() {
    let deleted = deletes();
    let failed = || {
        let failed = cluster(ClusterStatus::Failed).set_endpoint(None);
        found(failed.deletion_protection(true))
    };
    let outcome = ensure([&failed(), &deleted], &Plan::example()).await;
    assert_eq!(
        reason(outcome),
        "control plane demo is FAILED and never was ACTIVE, so it is replaced: control plane demo is \
         being deleted"
    );
    assert_eq!(deleted.num_calls(), 1);

    let created = creates();
    let outcome = ensure([&missing(), &created], &Plan::example()).await;
    let Ok(Outcome::Pending { memory, .. }) = outcome else {
        panic!("{outcome:?}");
    };
    let input = Input { memory, ..input() };
    let deleted = deletes();
    let error = Cluster::ensure(&aws([&failed(), &deleted]), &Plan::example(), input).await;
    assert_eq!(error.unwrap_err().name(), "ResourceFailed");
    assert_eq!(deleted.num_calls(), 0);
}

#[tokio::test]
async fn refuses_a_cluster_that_is_not_ours_and_touches_nothing() {
    let updated = updates();
    let theirs = found(active().set_tags(None).deletion_protection(true));
    let error = ensure([&theirs, &updated], &Plan::example())
        .await
        .unwrap_err();
    assert_eq!(error.name(), "ResourceConflict");
    assert_eq!(updated.num_calls(), 0);
}

#[tokio::test]
async fn a_name_taken_by_an_earlier_attempt_is_adopted() {
    let looked = mock!(Client::describe_cluster)
        .sequence()
        .http_response(|| eks_refusal(400, codes::CLIENT_EXCEPTION, "No cluster found for name"))
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
    for said in [
        "network.availabilityZoneIds",
        "other than apne1-az1,",
        "network.excludedAvailabilityZoneIds",
        "AWS says: no capacity",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[tokio::test]
async fn drift_is_repaired_one_kind_at_a_time() {
    let mut plan = Plan::example();
    plan.logging = vec![crate::model::spec::LogType::Audit];
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
async fn update_without_changes_is_no_drift() {
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
async fn remove_of_a_missing_cluster_in_no_vpc_succeeds() {
    let deleted = deletes();
    let outcome = Cluster::remove(
        &aws([&missing(), &deleted]).with(crate::mocked!(aws_sdk_ec2, [&vpcs(&[])])),
        &Plan::example().target,
    )
    .await;
    assert_eq!(outcome, Ok(Outcome::Ready(Removed::default())));
    assert_eq!(deleted.num_calls(), 0);
}

#[tokio::test]
async fn remove_leaves_a_cluster_that_is_not_ours() {
    let deleted = deletes();
    let outcome = remove([&found(active().set_tags(None)), &deleted]).await;
    assert_eq!(outcome, Ok(Outcome::Ready(Removed::default())));
    assert_eq!(deleted.num_calls(), 0);
}

#[tokio::test]
async fn remove_of_a_busy_cluster_waits_with_ekss_reason() {
    for message in [
        "Cluster has Fargate Profiles in DELETING state",
        "Cannot delete because cluster demo currently has an update in progress",
    ] {
        let refused = mock!(Client::delete_cluster)
            .then_http_response(move || eks_refusal(409, codes::RESOURCE_IN_USE, message));
        let outcome = remove([&found(active()), &refused]).await;
        assert!(reason(outcome).contains(message));
    }
}

#[tokio::test]
async fn remove_waits_for_nothing_that_stays() {
    for message in [
        "Cluster has nodegroups attached",
        "Cluster has capabilities attached",
        "Cluster has Fargate Profiles in ACTIVE state",
    ] {
        let refused = mock!(Client::delete_cluster)
            .then_http_response(|| eks_refusal(409, codes::RESOURCE_IN_USE, message));
        let error = remove([&found(active()), &refused]).await.unwrap_err();
        assert_eq!(error.name(), "ResourceConflict");
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[tokio::test]
async fn remove_respects_deletion_protection_and_says_how_to_turn_it_off() {
    let deleted = deletes();
    let protected = found(active().deletion_protection(true));
    let error = remove([&protected, &deleted]).await.unwrap_err();
    assert_eq!(error.name(), "ResourceConflict");
    assert!(error.to_string().contains("disableDeletionProtection"));
    assert_eq!(deleted.num_calls(), 0);
}

async fn unprotect(rules: [&Rule; 2]) -> Result<Outcome<()>, Error> {
    Cluster::unprotect(&aws(rules), &Plan::example().target).await
}

#[tokio::test]
async fn unprotect_turns_deletion_protection_off_and_waits() {
    let updated = updates();
    let protected = found(active().deletion_protection(true));
    let text = reason(unprotect([&protected, &updated]).await);
    assert_eq!(text, "deletion protection of demo is being turned off");
    assert_eq!(updated.num_calls(), 1);
}

#[tokio::test]
async fn unprotect_of_a_cluster_that_is_being_updated_waits() {
    let updated = updates();
    let busy = cluster(ClusterStatus::Updating).deletion_protection(true);
    let text = reason(unprotect([&found(busy), &updated]).await);
    assert_eq!(text, "control plane demo is UPDATING");
    assert_eq!(updated.num_calls(), 0);
}

#[tokio::test]
async fn unprotect_leaves_what_is_not_protected_or_not_ours() {
    let protected = || active().deletion_protection(true);
    for cluster in [
        found(active()),
        found(protected().set_tags(None)),
        missing(),
    ] {
        let updated = updates();
        assert_eq!(
            unprotect([&cluster, &updated]).await,
            Ok(Outcome::Ready(()))
        );
        assert_eq!(updated.num_calls(), 0);
    }
}

mod updates {
    //! Updates that EKS accepts, and how they end.

    use super::*;
    use aws_sdk_eks::operation::describe_update::DescribeUpdateOutput;
    use aws_sdk_eks::types::{ErrorCode, ErrorDetail, Update as EksUpdate, UpdateStatus};

    fn plan() -> Plan {
        Plan {
            deletion_protection: true,
            ..Plan::example()
        }
    }

    const WHAT: &str = "deletion protection true";
    const AGAIN: &str = "deletion protection true, again";

    pub(super) fn memory(asked: &[&str]) -> Memory {
        let mut memory = Memory::default();
        for what in asked {
            memory.remember(what, "u-1");
        }
        memory
    }

    pub(super) fn begun() -> EksUpdate {
        EksUpdate::builder().id("u-2").build()
    }

    pub(super) fn ends(status: UpdateStatus) -> Rule {
        mock!(Client::describe_update)
            .match_requests(|call| call.name() == Some("demo") && call.update_id() == Some("u-1"))
            .then_output(move || {
                let error = ErrorDetail::builder()
                    .error_code(ErrorCode::IpNotAvailable)
                    .error_message("no address is left")
                    .resource_ids("subnet-1");
                let update = EksUpdate::builder().status(status.clone());
                DescribeUpdateOutput::builder()
                    .update(update.errors(error.build()).build())
                    .build()
            })
    }

    fn begins() -> Rule {
        mock!(Client::update_cluster_config)
            .then_output(|| UpdateClusterConfigOutput::builder().update(begun()).build())
    }

    async fn invoke(
        asked: &[&str],
        update: &Rule,
        config: &Rule,
    ) -> Result<Outcome<Output>, Error> {
        let aws = Aws::offline().with(crate::mocked!(
            aws_sdk_eks,
            [&found(active()), update, config]
        ));
        let input = Input {
            memory: memory(asked),
            ..input()
        };
        Box::pin(Cluster::ensure(&aws, &plan(), input)).await
    }

    pub(super) fn remembered<T: std::fmt::Debug>(outcome: Result<Outcome<T>, Error>) -> Memory {
        match outcome {
            Ok(Outcome::Pending { memory, .. }) => memory,
            other => panic!("expected Pending, got {other:?}"),
        }
    }

    #[tokio::test]
    async fn requested_update_is_remembered() {
        let (update, config) = (ends(UpdateStatus::InProgress), begins());
        let memory = remembered(invoke(&[], &update, &config).await);
        assert_eq!(memory.id(WHAT), Some("u-2"));
        assert_eq!((update.num_calls(), config.num_calls()), (0, 1));
    }

    #[tokio::test]
    async fn update_in_progress_is_waited_for_and_not_forgotten() {
        let unseen = mock!(Client::describe_update)
            .then_http_response(|| eks_refusal(404, codes::RESOURCE_NOT_FOUND, "no update"));
        for update in [ends(UpdateStatus::InProgress), unseen] {
            let config = begins();
            let memory = remembered(invoke(&[WHAT], &update, &config).await);
            assert_eq!(memory.id(WHAT), Some("u-1"));
            assert_eq!(config.num_calls(), 0);
        }
    }

    #[tokio::test]
    async fn failed_update_is_reported_with_its_reasons_and_not_requested_again() {
        for status in [UpdateStatus::Failed, UpdateStatus::Cancelled] {
            let (update, config) = (ends(status.clone()), begins());
            let error = invoke(&[WHAT], &update, &config).await.unwrap_err();
            let expected = Error::ResourceFailed(format!(
                "the update u-1 of control plane demo (deletion protection true) is {status}; \
                 IpNotAvailable: no address is left (subnet-1)"
            ));
            assert_eq!(error, expected);
            assert_eq!(config.num_calls(), 0);
        }
    }

    #[tokio::test]
    async fn update_that_succeeded_and_still_looks_like_drift_is_requested_once_more() {
        let (update, config) = (ends(UpdateStatus::Successful), begins());
        let memory = remembered(invoke(&[WHAT], &update, &config).await);
        assert_eq!(memory.id(AGAIN), Some("u-2"));

        let none = mock!(Client::update_cluster_config).then_http_response(|| {
            let message = "Cluster is already at the desired configuration";
            eks_refusal(400, codes::INVALID_PARAMETER, message)
        });
        let outcome = invoke(&[WHAT], &update, &none).await.unwrap();
        assert!(outcome.ready().is_some());

        let config = begins();
        let error = invoke(&[WHAT, AGAIN], &update, &config).await.unwrap_err();
        assert_eq!(error.name(), "ResourceFailed");
        assert!(error.to_string().contains("has not changed"), "{error}");
        assert_eq!(config.num_calls(), 0);
    }
}

mod upgrade {
    //! The way to the next Kubernetes version.

    use super::updates::{begun, ends, memory, remembered};
    use super::*;
    use aws_sdk_eks::operation::describe_addon::DescribeAddonOutput;
    use aws_sdk_eks::operation::describe_addon_versions::DescribeAddonVersionsOutput;
    use aws_sdk_eks::operation::describe_insight::DescribeInsightOutput;
    use aws_sdk_eks::operation::list_insights::ListInsightsOutput;
    use aws_sdk_eks::operation::update_addon::UpdateAddonOutput;
    use aws_sdk_eks::operation::update_cluster_version::UpdateClusterVersionOutput;
    use aws_sdk_eks::types::builders::AddonBuilder;
    use aws_sdk_eks::types::{
        Addon, AddonInfo, AddonStatus, AddonVersionInfo, Compatibility, Insight,
        InsightResourceDetail, InsightSummary, UpdateStatus,
    };

    const WHAT: &str = "Kubernetes 1.36";
    const CONFIGURATION: &str = r#"{"computeType":"Fargate"}"#;

    fn addon(version: &str) -> AddonBuilder {
        Addon::builder()
            .addon_name("coredns")
            .addon_version(version)
            .status(AddonStatus::Active)
            .configuration_values(CONFIGURATION)
            .tags(tags::CLUSTER, "demo")
    }

    /// Which versions run on what: `v1` on the old Kubernetes version, `v2` and `v3` on both, `v4` on the
    /// new one, whose default it is.
    fn versions() -> Rule {
        let version = |name: &str, kubernetes: &[&str], default: &str| {
            let compatibilities = kubernetes.iter().map(|kubernetes| {
                Compatibility::builder()
                    .cluster_version(*kubernetes)
                    .default_version(*kubernetes == default)
                    .build()
            });
            AddonVersionInfo::builder()
                .addon_version(name)
                .set_compatibilities(Some(compatibilities.collect()))
                .build()
        };
        mock!(Client::describe_addon_versions).then_output(move || {
            let addon = AddonInfo::builder()
                .addon_versions(version("v1", &["1.35"], "1.35"))
                .addon_versions(version("v3", &["1.35", "1.36"], ""))
                .addon_versions(version("v2", &["1.35", "1.36"], ""))
                .addon_versions(version("v4", &["1.36"], "1.36"));
            DescribeAddonVersionsOutput::builder()
                .addons(addon.build())
                .build()
        })
    }

    struct World {
        cluster: ClusterBuilder,
        addon: Option<AddonBuilder>,
        asked: &'static [&'static str],
        update: Rule,
        insights: Rule,
    }

    impl World {
        /// A cluster that is one version older than planned, with CoreDNS that runs on both.
        fn old() -> Self {
            Self {
                cluster: active().version("1.35"),
                addon: Some(addon("v2")),
                asked: &[],
                update: ends(UpdateStatus::InProgress),
                insights: mock!(Client::list_insights).then_output(|| {
                    let summary = InsightSummary::builder().id("i-1").build();
                    ListInsightsOutput::builder().insights(summary).build()
                }),
            }
        }

        fn aws(self, changes: &Changes) -> Aws {
            let addon = match self.addon {
                Some(addon) => mock!(Client::describe_addon).then_output(move || {
                    let addon = addon.clone().build();
                    DescribeAddonOutput::builder().addon(addon).build()
                }),
                None => mock!(Client::describe_addon).then_http_response(|| {
                    eks_refusal(404, codes::RESOURCE_NOT_FOUND, "no such add-on")
                }),
            };
            let insight = mock!(Client::describe_insight).then_output(|| {
                let node = InsightResourceDetail::builder()
                    .kubernetes_resource_uri("/api/v1/nodes/fargate-ip-10-0-2-9");
                let insight = Insight::builder().resources(node.build()).build();
                DescribeInsightOutput::builder().insight(insight).build()
            });
            let Changes {
                config,
                version,
                addon: updates,
            } = changes;
            let (cluster, offered) = (found(self.cluster), versions());
            let eks = crate::mocked!(
                aws_sdk_eks,
                [
                    &cluster,
                    &addon,
                    &offered,
                    &insight,
                    &self.insights,
                    &self.update,
                    config,
                    version,
                    updates
                ]
            );
            Aws::offline().with(eks)
        }

        async fn invoke(self, changes: &Changes) -> Result<Outcome<Output>, Error> {
            let input = Input {
                memory: memory(self.asked),
                ..input()
            };
            let aws = self.aws(changes);
            Box::pin(Cluster::ensure(&aws, &Plan::example(), input)).await
        }
    }

    struct Changes {
        config: Rule,
        version: Rule,
        addon: Rule,
    }

    impl Changes {
        fn new() -> Self {
            Self {
                config: updates(),
                version: mock!(Client::update_cluster_version)
                    .match_requests(|call| {
                        call.name() == Some("demo")
                            && call.version() == Some("1.36")
                            && call.force().is_none()
                    })
                    .then_output(|| {
                        UpdateClusterVersionOutput::builder()
                            .update(begun())
                            .build()
                    }),
                addon: mock!(Client::update_addon)
                    .match_requests(|call| {
                        call.addon_name() == Some("coredns")
                            && call.addon_version() == Some("v3")
                            && call.configuration_values() == Some(CONFIGURATION)
                    })
                    .then_output(|| UpdateAddonOutput::builder().update(begun()).build()),
            }
        }

        fn refusing(status: u16, code: &'static str, message: &'static str) -> Self {
            Self {
                version: mock!(Client::update_cluster_version)
                    .then_http_response(move || eks_refusal(status, code, message)),
                ..Self::new()
            }
        }

        /// How often configuration, version and add-on were updated.
        fn calls(&self) -> [usize; 3] {
            [&self.config, &self.version, &self.addon].map(Rule::num_calls)
        }
    }

    #[tokio::test]
    async fn a_cluster_that_is_one_version_older_is_upgraded() {
        for addon in [Some(addon("v2")), None] {
            let changes = Changes::new();
            let world = World {
                addon,
                ..World::old()
            };
            let outcome = world.invoke(&changes).await;
            let memory = remembered(outcome.clone());
            assert_eq!(memory.id(WHAT), Some("u-2"));
            assert_eq!(
                reason(outcome),
                "control plane demo is being upgraded from Kubernetes 1.35 to 1.36"
            );
            assert_eq!(changes.calls(), [0, 1, 0]);
        }
    }

    #[tokio::test]
    async fn drift_is_repaired_before() {
        let changes = Changes::new();
        let mut world = World::old();
        world.cluster = world.cluster.deletion_protection(true);
        reason(world.invoke(&changes).await);
        assert_eq!(changes.calls(), [1, 0, 0]);
    }

    #[tokio::test]
    async fn an_upgrade_at_work_is_waited_for() {
        let changes = Changes::new();
        let world = World {
            asked: &[WHAT],
            ..World::old()
        };
        let memory = remembered(world.invoke(&changes).await);
        assert_eq!(memory.id(WHAT), Some("u-1"));
        assert_eq!(changes.calls(), [0, 0, 0]);
    }

    #[tokio::test]
    async fn an_upgrade_that_failed_is_reported_and_not_asked_for_again() {
        let changes = Changes::new();
        let world = World {
            asked: &[WHAT],
            update: ends(UpdateStatus::Failed),
            ..World::old()
        };
        let error = world.invoke(&changes).await.unwrap_err();
        assert_eq!(error.name(), "ResourceFailed");
        let text = error.to_string();
        assert!(
            text.contains("(Kubernetes 1.36) is Failed; IpNotAvailable"),
            "{text}"
        );
        assert_eq!(changes.calls(), [0, 0, 0]);
    }

    #[tokio::test]
    async fn an_upgrade_that_succeeded_will_show() {
        let changes = Changes::new();
        let world = World {
            asked: &[WHAT],
            update: ends(UpdateStatus::Successful),
            ..World::old()
        };
        let error = world.invoke(&changes).await.unwrap_err();
        assert_eq!(error.name(), "NotYetVisible");
        assert_eq!(changes.calls(), [0, 0, 0]);
    }

    #[tokio::test]
    async fn coredns_that_does_not_run_on_the_new_version_is_updated_first() {
        for status in [
            AddonStatus::Active,
            AddonStatus::Degraded,
            AddonStatus::UpdateFailed,
        ] {
            let changes = Changes::new();
            let world = World {
                addon: Some(addon("v1").status(status)),
                ..World::old()
            };
            let outcome = world.invoke(&changes).await;
            assert_eq!(remembered(outcome.clone()).id("coredns"), Some("u-2"));
            assert_eq!(
                reason(outcome),
                "CoreDNS is being updated to v3, which runs on 1.36"
            );
            assert_eq!(changes.calls(), [0, 0, 1]);
        }
    }

    #[tokio::test]
    async fn coredns_at_work_is_waited_for() {
        let changes = Changes::new();
        let world = World {
            addon: Some(addon("v1").status(AddonStatus::Updating)),
            ..World::old()
        };
        let text = reason(world.invoke(&changes).await);
        assert_eq!(text, "add-on coredns is UPDATING, before the upgrade");
        assert_eq!(changes.calls(), [0, 0, 0]);
    }

    #[tokio::test]
    async fn coredns_whose_update_failed_ends_the_upgrade() {
        let changes = Changes::new();
        let world = World {
            addon: Some(addon("v3").status(AddonStatus::UpdateFailed)),
            asked: &["coredns"],
            ..World::old()
        };
        let error = world.invoke(&changes).await.unwrap_err();
        assert_eq!(error.name(), "ResourceFailed");
        assert!(error.to_string().contains("UPDATE_FAILED"), "{error}");
        assert_eq!(changes.calls(), [0, 0, 0]);
    }

    #[tokio::test]
    async fn coredns_that_is_not_ours_is_left_to_eks() {
        let changes = Changes::new();
        let world = World {
            addon: Some(addon("v1").set_tags(None)),
            ..World::old()
        };
        reason(world.invoke(&changes).await);
        assert_eq!(changes.calls(), [0, 1, 0]);
    }

    #[tokio::test]
    async fn update_by_eks_is_waited_for() {
        let message =
            "Cannot VersionUpdate because cluster demo currently has an update in progress";
        let changes = Changes::refusing(409, codes::RESOURCE_IN_USE, message);
        let outcome = World::old().invoke(&changes).await;
        assert_eq!(remembered(outcome.clone()), Memory::default());
        assert!(reason(outcome).contains(message));
    }

    #[tokio::test]
    async fn blocked_upgrade_is_a_conflict_that_names_the_obstacle() {
        let kubelets =
            "Kubelet version of Fargate pods must be updated to match cluster version 1.35";
        for (code, message) in [
            ("InvalidRequestException", kubelets),
            (codes::INVALID_PARAMETER, kubelets),
            (codes::INVALID_STATE, "Upgrade readiness issues detected."),
        ] {
            let changes = Changes::refusing(400, code, message);
            let error = World::old().invoke(&changes).await.unwrap_err();
            assert_eq!(error.name(), "ResourceConflict");
            let text = error.to_string();
            let says = message.trim_end_matches('.');
            for part in [says, "fargate-ip-10-0-2-9", "kubectl rollout restart"] {
                assert!(text.contains(part), "{part}: {text}");
            }
        }
    }

    #[tokio::test]
    async fn blocked_upgrade_is_reported_without_insights_too() {
        let changes = Changes::refusing(400, codes::INVALID_STATE, "not ready");
        let world = World {
            insights: mock!(Client::list_insights)
                .then_http_response(|| eks_refusal(403, "AccessDeniedException", "no")),
            ..World::old()
        };
        let error = world.invoke(&changes).await.unwrap_err();
        assert_eq!(error.name(), "ResourceConflict");
        assert!(error.to_string().contains("not ready"), "{error}");
    }

    #[tokio::test]
    async fn other_errors_stay_what_they_are() {
        let message = "unsupported Kubernetes version 1.36";
        let changes = Changes::refusing(400, codes::INVALID_PARAMETER, message);
        let error = World::old().invoke(&changes).await.unwrap_err();
        assert_eq!(error.name(), "Unexpected");
    }

    #[tokio::test]
    async fn two_versions_are_too_many_for_one_upgrade() {
        let changes = Changes::new();
        let world = World {
            cluster: active().version("1.34"),
            ..World::old()
        };
        let error = world.invoke(&changes).await.unwrap_err();
        assert_eq!(error.name(), "InvalidRequest");
        assert!(
            error.to_string().contains("1.35, the next version"),
            "{error}"
        );
        assert_eq!(changes.calls(), [0, 0, 0]);
    }
}

mod leftovers {
    //! What EKS leaves in the VPC.

    use super::*;
    use aws_sdk_ec2::Client as Ec2;
    use aws_sdk_ec2::operation::delete_network_interface::DeleteNetworkInterfaceOutput;
    use aws_sdk_ec2::operation::delete_security_group::DeleteSecurityGroupOutput;
    use aws_sdk_ec2::operation::describe_network_interfaces::DescribeNetworkInterfacesOutput;
    use aws_sdk_ec2::operation::describe_security_groups::DescribeSecurityGroupsOutput;
    use aws_sdk_ec2::types::{NetworkInterface, NetworkInterfaceStatus, SecurityGroup, Tag};

    fn interfaces(status: NetworkInterfaceStatus, descriptions: &'static [&'static str]) -> Rule {
        mock!(Ec2::describe_network_interfaces).then_output(move || {
            let interface = |(number, description): (usize, &&str)| {
                NetworkInterface::builder()
                    .network_interface_id(format!("eni-{number}"))
                    .description(*description)
                    .status(status.clone())
                    .build()
            };
            let all = descriptions.iter().enumerate().map(interface);
            DescribeNetworkInterfacesOutput::builder()
                .set_network_interfaces(Some(all.collect()))
                .build()
        })
    }

    fn groups() -> Rule {
        mock!(Ec2::describe_security_groups).then_output(|| {
            let tag = Tag::builder().key("aws:eks:cluster-name").value("demo");
            let ours = SecurityGroup::builder().group_id("sg-1").tags(tag.build());
            let default = SecurityGroup::builder()
                .group_id("sg-2")
                .group_name("default");
            DescribeSecurityGroupsOutput::builder()
                .security_groups(ours.build())
                .security_groups(default.build())
                .build()
        })
    }

    fn deletes_interface() -> Rule {
        mock!(Ec2::delete_network_interface)
            .match_requests(|call| call.network_interface_id() == Some("eni-0"))
            .then_output(|| DeleteNetworkInterfaceOutput::builder().build())
    }

    fn deletes_group() -> Rule {
        mock!(Ec2::delete_security_group)
            .match_requests(|call| call.group_id() == Some("sg-1"))
            .then_output(|| DeleteSecurityGroupOutput::builder().build())
    }

    async fn remove(rules: [&Rule; 3]) -> Result<Outcome<Removed>, Error> {
        let [seen, interface, group] = rules;
        let aws = Aws::offline()
            .with(crate::mocked!(aws_sdk_eks, [&missing()]))
            .with(crate::mocked!(
                aws_sdk_ec2,
                [&vpcs(&["vpc-1"]), &groups(), seen, interface, group]
            ));
        Cluster::remove(&aws, &Plan::example().target).await
    }

    #[tokio::test]
    async fn released_interfaces_and_group_are_deleted_and_nothing_else() {
        let (interface, group) = (deletes_interface(), deletes_group());
        let seen = interfaces(
            NetworkInterfaceStatus::Available,
            &["Amazon EKS demo", "somebody's"],
        );
        let removed = remove([&seen, &interface, &group]).await.unwrap().ready();
        let kinds: Vec<_> = removed
            .unwrap()
            .removed
            .into_iter()
            .map(|it| it.id)
            .collect();
        assert_eq!(kinds, ["eni-0", "sg-1"]);
        assert_eq!((interface.num_calls(), group.num_calls()), (1, 1));
    }

    #[tokio::test]
    async fn interfaces_that_eks_holds_are_waited_for() {
        let (interface, group) = (deletes_interface(), deletes_group());
        let seen = interfaces(NetworkInterfaceStatus::InUse, &["Amazon EKS demo"]);
        let text = reason(remove([&seen, &interface, &group]).await);
        assert!(text.contains("eni-0"), "{text}");
        assert_eq!((interface.num_calls(), group.num_calls()), (0, 0));
    }
}
