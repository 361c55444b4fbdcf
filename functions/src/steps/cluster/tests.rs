//! Unit tests of the cluster.

use aws_sdk_eks::types::Cluster as EksCluster;
use serde_json::{Value, json};
use simulator::ApiError;
use simulator::eks::Capability;

use super::*;
use crate::model::spec::LogType;
use crate::testing::World;

const NOTHING: [&str; 0] = [];
const UPDATE_CONFIG: &str = "UpdateClusterConfig";
/// Longer than an update of deletion protection takes.
const SOON: Duration = Duration::from_secs(31);
/// Longer than anything that EKS does takes.
const LATER: Duration = Duration::from_mins(15);

/// The ACTIVE cluster of [`Plan::example`].
async fn world() -> World {
    World::with_cluster(Plan::example()).await
}

/// The same with deletion protection in the plan.
async fn world_to_protect() -> World {
    let mut world = world().await;
    world.plan.deletion_protection = true;
    world
}

async fn ensure(world: &World) -> Result<Value, Error> {
    world.ensure::<Cluster>(&Value::Null).await
}

async fn remove(world: &World) -> Result<Value, Error> {
    world.remove::<Cluster>().await
}

/// Why the answer is to wait.
fn reason(answer: Result<Value, Error>) -> String {
    let answer = answer.unwrap();
    assert_eq!(answer["status"], "PENDING", "{answer}");
    answer["reason"].as_str().unwrap().to_owned()
}

/// What the next invocation is told.
fn memory(answer: Result<Value, Error>) -> Value {
    let answer = answer.unwrap();
    assert_eq!(answer["status"], "PENDING", "{answer}");
    answer["memory"].clone()
}

#[tokio::test(start_paused = true)]
async fn creates_a_cluster_that_only_access_entries_open_in_the_private_subnets() {
    let world = World::with_cluster_role(Plan::example()).await;
    let answer = ensure(&world).await.unwrap();
    assert_eq!(answer["checkAfterSeconds"], 30);
    assert_eq!(reason(Ok(answer)), "control plane demo is being created");
    let [mut asked] = world.requests("CreateCluster").try_into().unwrap();
    let subnets = world.outputs["subnets"].as_array().unwrap().iter();
    let subnets: Vec<_> = subnets.map(|zone| &zone["privateSubnetId"]).collect();
    let expected = json!({
        "path": "clusters",
        "name": "demo",
        "version": "1.36",
        "roleArn": "arn:aws:iam::111122223333:role/hardway-demo-ap-northeast-1-cluster",
        "resourcesVpcConfig": {
            "subnetIds": subnets,
            "endpointPublicAccess": true,
            "endpointPrivateAccess": true,
            "publicAccessCidrs": ["0.0.0.0/0"],
        },
        "kubernetesNetworkConfig": {"serviceIpv4Cidr": "172.20.0.0/16"},
        "accessConfig": {
            "authenticationMode": "API",
            "bootstrapClusterCreatorAdminPermissions": false,
        },
        "bootstrapSelfManagedAddons": false,
        "upgradePolicy": {"supportType": "STANDARD"},
        "deletionProtection": false,
    });
    let tags = asked["tags"].take();
    assert_eq!(tags[tags::CLUSTER], "demo");
    assert_eq!(tags[tags::ROLE], "cluster");
    let members = asked.as_object_mut().unwrap();
    members.retain(|name, _| name != "tags" && name != "clientRequestToken");
    assert_eq!(asked, expected);
    let looked = "DescribeCluster: ResourceNotFoundException";
    assert_eq!(world.calls(), [looked, "CreateCluster"]);
}

#[tokio::test(start_paused = true)]
async fn creates_a_cluster_with_logs_key_and_protection_as_planned() {
    let key = "arn:aws:kms:ap-northeast-1:111122223333:key/1";
    let world = World::with_cluster_role(Plan {
        logging: vec![LogType::Audit],
        kms_key_arn: Some(key.to_owned()),
        deletion_protection: true,
        ..Plan::example()
    });
    let world = world.await;
    world.simulator.change(|state| state.add_key(key));
    ensure(&world).await.unwrap();
    world.cluster(|cluster| {
        assert_eq!(cluster.logging, ["audit".to_owned()].into());
        assert_eq!(cluster.key_arn.as_deref(), Some(key));
        assert!(cluster.deletion_protection);
    });
}

#[tokio::test(start_paused = true)]
async fn create_sends_no_token_that_a_later_one_would_send_again() {
    let world = World::with_cluster_role(Plan::example()).await;
    for _ in 0..2 {
        ensure(&world).await.unwrap();
        world.region(|region| region.eks.clusters.clear());
    }
    let asked = world.requests("CreateCluster");
    let [one, other] = [0, 1].map(|place: usize| asked[place]["clientRequestToken"].as_str());
    assert!(one.is_some());
    assert_ne!(one, other);
}

#[tokio::test(start_paused = true)]
async fn an_active_cluster_is_ready_and_left_alone() {
    let mut world = world().await;
    // EKS has upgraded it.
    world.plan.kubernetes_version = "1.35".to_owned();
    let answer = ensure(&world).await.unwrap();
    let now = world.simulator.now();
    let cluster = world.cluster(|cluster| cluster.to_json(now));
    let network = &cluster["resourcesVpcConfig"];
    let expected = json!({
        "status": "READY",
        "arn": "arn:aws:eks:ap-northeast-1:111122223333:cluster/demo",
        "endpoint": cluster["endpoint"],
        "version": "1.36",
        "platformVersion": cluster["platformVersion"],
        "securityGroupId": network["clusterSecurityGroupId"],
    });
    assert_eq!(answer, expected);
    assert_eq!(world.calls(), ["DescribeCluster"]);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_at_work_is_pending_with_its_status() {
    let world = World::with_cluster_role(Plan::example()).await;
    ensure(&world).await.unwrap();
    let creating = ensure(&world).await;
    assert_eq!(reason(creating), "control plane demo is CREATING");
    tokio::time::sleep(LATER).await;
    let call = world.aws().eks().update_cluster_config().name("demo");
    call.deletion_protection(true).send().await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    world.forget_calls();
    let updating = ensure(&world).await;
    assert_eq!(reason(updating), "control plane demo is UPDATING");
    let now = world.simulator.now();
    world.cluster(|cluster| cluster.gone_at = Some(now + Duration::from_secs(9)));
    let deleting = ensure(&world).await;
    assert_eq!(reason(deleting), "control plane demo is DELETING");
    assert_eq!(world.changes(), NOTHING);
    // No cluster of the simulator's is PENDING.
    let pending = EksCluster::builder().status(ClusterStatus::Pending);
    assert!(is_at_work(&pending.build()));
}

#[tokio::test(start_paused = true)]
async fn a_failed_cluster_carries_its_health_issues() {
    let world = world().await;
    world.cluster(|cluster| cluster.breaks = true);
    let expected = "control plane demo is FAILED; InternalFailure: An internal error has occurred";
    let expected = Error::ResourceFailed(expected.to_owned());
    assert_eq!(ensure(&world).await, Err(expected));
    assert_eq!(world.changes(), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn a_control_plane_that_never_was_active_is_replaced_once() {
    let mut world = World::with_cluster_role(Plan::example()).await;
    world.plan.deletion_protection = true;
    world.region(|region| region.eks.fails.clusters = true);
    let memory = memory(ensure(&world).await);
    tokio::time::sleep(LATER).await;
    world.forget_calls();
    let error = world.ensure::<Cluster>(&memory).await.unwrap_err();
    assert_eq!(error.name(), "ResourceFailed");
    assert_eq!(world.changes(), NOTHING);

    assert_eq!(
        reason(ensure(&world).await),
        "control plane demo is FAILED; InternalFailure: An internal error has occurred and never was \
         ACTIVE, so it is replaced: control plane demo is being deleted"
    );
    assert_eq!(world.changes(), ["DeleteCluster"]);
    tokio::time::sleep(LATER).await;
    let created = ensure(&world).await;
    assert_eq!(reason(created), "control plane demo is being created");
}

#[tokio::test(start_paused = true)]
async fn refuses_a_cluster_that_is_not_ours_and_touches_nothing() {
    let world = world_to_protect().await;
    world.cluster(|cluster| cluster.tags.clear());
    let error = ensure(&world).await.unwrap_err();
    assert_eq!(error.name(), "ResourceConflict");
    assert_eq!(remove(&world).await.unwrap()["removed"], json!([]));
    assert_eq!(world.changes(), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn a_name_taken_by_an_earlier_attempt_is_adopted() {
    let world = World::with_cluster_role(Plan::example()).await;
    ensure(&world).await.unwrap();
    world.forget_calls();
    let message = "No cluster found for name";
    world.fail_next("DescribeCluster", codes::CLIENT_EXCEPTION, message);
    let adopted = ensure(&world).await;
    assert_eq!(reason(adopted), "control plane demo is CREATING");
    let expected = [
        "DescribeCluster: ClientException",
        "CreateCluster: ResourceInUseException",
        "DescribeCluster",
    ];
    assert_eq!(world.calls(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_role_that_has_not_spread_is_not_yet_visible() {
    let world = World::with_new_cluster_role(Plan::example()).await;
    let error = ensure(&world).await.unwrap_err();
    assert_eq!(error.name(), "NotYetVisible");
}

#[tokio::test(start_paused = true)]
async fn an_unsupported_zone_is_reported_with_the_zones_that_can_do() {
    let world = World::with_cluster_role(Plan::example()).await;
    let valid = vec!["ap-northeast-1a", "ap-northeast-1d"];
    let refused = ApiError::client(codes::UNSUPPORTED_AVAILABILITY_ZONE, "no capacity");
    let refused = refused.with("validZones", valid);
    world.simulator.fail_next("CreateCluster", refused);
    let error = ensure(&world).await.unwrap_err();
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

#[tokio::test(start_paused = true)]
async fn drift_is_repaired_one_kind_at_a_time() {
    let mut world = world_to_protect().await;
    world.plan.logging = vec![LogType::Audit];
    world.cluster(|cluster| cluster.vpc.endpoint_private_access = false);
    let mut reasons = vec![];
    let mut memory = Value::Null;
    loop {
        let mut answer = world.ensure::<Cluster>(&memory).await.unwrap();
        if answer["status"] == "READY" {
            break;
        }
        reasons.push(answer["reason"].to_string());
        crate::testing::wait(&answer).await;
        memory = answer["memory"].take();
    }
    let updates = reasons.iter().filter_map(|it| it.split("updated: ").nth(1));
    let updates: Vec<&str> = updates.map(|it| it.trim_end_matches('"')).collect();
    let expected = ["endpoint access", "logging", "deletion protection true"];
    assert_eq!(updates, expected);
    let expected = [
        json!({"resourcesVpcConfig": {
            "endpointPublicAccess": true,
            "endpointPrivateAccess": true,
            "publicAccessCidrs": ["0.0.0.0/0"],
        }}),
        json!({"logging": {"clusterLogging": [
            {"types": ["audit"], "enabled": true},
            {"types": ["api", "authenticator", "controllerManager", "scheduler"], "enabled": false},
        ]}}),
        json!({"deletionProtection": true}),
    ];
    let mut asked = world.requests(UPDATE_CONFIG);
    for members in asked.iter_mut().filter_map(Value::as_object_mut) {
        members.retain(|name, _| name != "path" && name != "clientRequestToken");
    }
    assert_eq!(asked, expected);
}

#[tokio::test(start_paused = true)]
async fn update_without_changes_is_no_drift() {
    let mut world = world().await;
    world.plan.endpoint.public_cidrs = vec!["203.0.113.7/24".to_owned()];
    let message = "Cluster is already at the desired configuration with …";
    world.fail_next(UPDATE_CONFIG, codes::INVALID_PARAMETER, message);
    assert_eq!(ensure(&world).await.unwrap()["status"], "READY");
    let expected = ["UpdateClusterConfig: InvalidParameterException"];
    assert_eq!(world.changes(), expected);
}

#[tokio::test(start_paused = true)]
async fn public_cidrs_do_not_count_without_a_public_endpoint() {
    let mut world = world().await;
    world.plan.endpoint.public = false;
    world.plan.endpoint.public_cidrs = vec![];
    world.cluster(|cluster| cluster.vpc.endpoint_public_access = false);
    assert_eq!(ensure(&world).await.unwrap()["status"], "READY");
    assert_eq!(world.changes(), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn another_role_or_subnet_is_a_conflict_that_says_what() {
    let role = world_to_protect().await;
    role.cluster(|cluster| {
        cluster.role_arn = "arn:aws:iam::111122223333:role/Other".to_owned();
    });
    let subnet = world_to_protect().await;
    subnet.cluster(|cluster| cluster.vpc.subnet_ids.push("subnet-9".to_owned()));
    for (world, what) in [(role, "role/Other"), (subnet, "subnet-9")] {
        let error = ensure(&world).await.unwrap_err();
        assert_eq!(error.name(), "ResourceConflict");
        assert!(error.to_string().contains(what), "{error}");
        assert_eq!(world.changes(), NOTHING);
    }
}

#[tokio::test(start_paused = true)]
async fn remove_deletes_and_waits() {
    let world = world().await;
    let deleted = remove(&world).await;
    assert_eq!(reason(deleted), "control plane demo is being deleted");
    let deleting = remove(&world).await;
    assert_eq!(reason(deleting), "control plane demo is DELETING");
    assert_eq!(world.changes(), ["DeleteCluster"]);
}

#[tokio::test(start_paused = true)]
async fn remove_of_a_missing_cluster_in_no_vpc_succeeds() {
    let world = World::new(Plan::example());
    assert_eq!(remove(&world).await.unwrap()["removed"], json!([]));
    assert_eq!(world.changes(), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn remove_of_a_busy_cluster_waits_with_ekss_reason() {
    let world = world().await;
    let message = "Cluster has Fargate Profiles in DELETING state";
    world.fail_next("DeleteCluster", codes::RESOURCE_IN_USE, message);
    assert!(reason(remove(&world).await).contains(message));

    let now = world.simulator.now();
    world.cluster(|cluster| cluster.hidden_update_until = Some(now + LATER));
    let message = "Cannot delete because cluster demo currently has an update in progress";
    assert!(reason(remove(&world).await).contains(message));
}

#[tokio::test(start_paused = true)]
async fn remove_waits_for_nothing_that_stays() {
    let nodes = world().await;
    nodes.cluster(|cluster| cluster.node_groups.insert("nodes".to_owned()));
    let capability = world().await;
    let (name, kind) = ("argocd".to_owned(), "ARGOCD".to_owned());
    let argo = Capability { name, kind };
    capability.cluster(|cluster| cluster.capabilities.push(argo));
    let profiles = world().await;
    let message = "Cluster has Fargate Profiles in ACTIVE state";
    profiles.fail_next("DeleteCluster", codes::RESOURCE_IN_USE, message);
    for (world, message) in [
        (nodes, "Cluster has nodegroups attached"),
        (capability, "Cluster has capabilities attached"),
        (profiles, message),
    ] {
        let error = remove(&world).await.unwrap_err();
        assert_eq!(error.name(), "ResourceConflict");
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn remove_respects_deletion_protection_and_says_how_to_turn_it_off() {
    let world = world().await;
    world.cluster(|cluster| cluster.deletion_protection = true);
    let error = remove(&world).await.unwrap_err();
    assert_eq!(error.name(), "ResourceConflict");
    assert!(error.to_string().contains("disableDeletionProtection"));
    assert_eq!(world.changes(), NOTHING);
}

async fn unprotect(world: &World) -> Outcome<()> {
    let unprotected = Cluster::unprotect(&world.aws(), &world.plan.target).await;
    unprotected.unwrap()
}

#[tokio::test(start_paused = true)]
async fn unprotect_turns_deletion_protection_off_and_waits() {
    let world = world().await;
    world.cluster(|cluster| cluster.deletion_protection = true);
    let begun = "deletion protection of demo is being turned off";
    assert_eq!(unprotect(&world).await, Outcome::pending(30, begun));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let busy = "control plane demo is UPDATING";
    assert_eq!(unprotect(&world).await, Outcome::pending(30, busy));
    tokio::time::sleep(SOON).await;
    assert_eq!(unprotect(&world).await, Outcome::Ready(()));
    assert_eq!(world.changes(), [UPDATE_CONFIG]);
}

#[tokio::test(start_paused = true)]
async fn unprotect_leaves_what_is_not_protected_or_not_ours() {
    let world = world().await;
    assert_eq!(unprotect(&world).await, Outcome::Ready(()));
    world.cluster(|cluster| {
        cluster.deletion_protection = true;
        cluster.tags.clear();
    });
    assert_eq!(unprotect(&world).await, Outcome::Ready(()));
    assert_eq!(world.changes(), NOTHING);
    let without_cluster = World::new(Plan::example());
    assert_eq!(unprotect(&without_cluster).await, Outcome::Ready(()));
}

mod updates {
    //! Updates that EKS accepts, and how they end.

    use aws_sdk_eks::Client;
    use aws_sdk_eks::operation::describe_update::DescribeUpdateOutput;
    use aws_sdk_eks::types::{ErrorCode, ErrorDetail, Update as EksUpdate, UpdateStatus};
    use aws_smithy_mocks::mock;

    use super::*;

    const WHAT: &str = "deletion protection true";
    const AGAIN: &str = "deletion protection true, again";

    /// The id of the last update that EKS has accepted.
    pub(super) fn last_update(world: &World) -> String {
        world.cluster(|cluster| cluster.updates.last().unwrap().id.clone())
    }

    /// Asks for an update, of which the answer is remembered.
    async fn asked(world: &World) -> Value {
        let memory = memory(ensure(world).await);
        world.forget_calls();
        memory
    }

    /// Lets the update succeed, and undoes it.
    async fn undo(world: &World) {
        tokio::time::sleep(SOON).await;
        world.cluster(|cluster| cluster.deletion_protection = false);
    }

    #[tokio::test(start_paused = true)]
    async fn requested_update_is_remembered() {
        let world = world_to_protect().await;
        let memory = memory(ensure(&world).await);
        assert_eq!(memory["created"], json!({WHAT: last_update(&world)}));
        assert_eq!(world.calls(), ["DescribeCluster", UPDATE_CONFIG]);
    }

    #[tokio::test(start_paused = true)]
    async fn update_in_progress_is_waited_for_and_not_forgotten() {
        let world = world_to_protect().await;
        let before = asked(&world).await;
        for is_seen in [true, false] {
            if !is_seen {
                world.fail_next("DescribeUpdate", codes::RESOURCE_NOT_FOUND, "no update");
            }
            let after = memory(world.ensure::<Cluster>(&before).await);
            assert_eq!(after["created"], before["created"]);
        }
        assert_eq!(world.changes(), NOTHING);
    }

    #[tokio::test(start_paused = true)]
    async fn failed_update_is_reported_with_its_reasons_and_not_requested_again() {
        let world = world_to_protect().await;
        world.region(|region| region.eks.fails.updates = true);
        let memory = asked(&world).await;
        tokio::time::sleep(SOON).await;
        let error = world.ensure::<Cluster>(&memory).await.unwrap_err();
        let expected = format!(
            "the update {} of control plane demo (deletion protection true) is Failed; Unknown: An \
             internal error has occurred",
            last_update(&world)
        );
        assert_eq!(error, Error::ResourceFailed(expected));
        assert_eq!(world.changes(), NOTHING);
    }

    /// Scripted: the simulator cancels no update, and its failed ones are about no resources.
    #[tokio::test]
    async fn cancelled_update_is_reported_with_its_resources() {
        let cancelled = mock!(Client::describe_update).then_output(|| {
            let error = ErrorDetail::builder()
                .error_code(ErrorCode::IpNotAvailable)
                .error_message("no address is left")
                .resource_ids("subnet-1");
            let update = EksUpdate::builder().status(UpdateStatus::Cancelled);
            DescribeUpdateOutput::builder()
                .update(update.errors(error.build()).build())
                .build()
        });
        let aws = Aws::offline().with(crate::mocked!(aws_sdk_eks, [&cancelled]));
        let mut memory = Memory::default();
        memory.remember(WHAT, "u-1");
        let error = standing(&aws, &Plan::example().target, &memory, WHAT).await;
        let expected = "the update u-1 of control plane demo (deletion protection true) is Cancelled; \
                        IpNotAvailable: no address is left (subnet-1)";
        assert_eq!(error, Err(Error::ResourceFailed(expected.to_owned())));
    }

    #[tokio::test(start_paused = true)]
    async fn update_that_succeeded_and_still_looks_like_drift_is_requested_once_more() {
        let world = world_to_protect().await;
        let once = asked(&world).await;
        undo(&world).await;
        // Words that nobody has reported.
        world.fail_next(UPDATE_CONFIG, codes::INVALID_PARAMETER, "nothing to do");
        let answer = world.ensure::<Cluster>(&once).await.unwrap();
        assert_eq!(answer["status"], "READY");

        let twice = memory(world.ensure::<Cluster>(&once).await);
        assert_eq!(twice["created"][AGAIN], last_update(&world));
        undo(&world).await;
        world.forget_calls();
        let error = world.ensure::<Cluster>(&twice).await.unwrap_err();
        assert_eq!(error.name(), "ResourceFailed");
        assert!(error.to_string().contains("has not changed"), "{error}");
        assert_eq!(world.changes(), NOTHING);
    }
}

mod upgrade {
    //! The way to the next Kubernetes version.

    use simulator::eks::Addon;
    use simulator::eks::addon::Phase;
    use simulator::kubernetes::Workload;

    use super::updates::last_update;
    use super::*;

    const UPDATE_VERSION: &str = "UpdateClusterVersion";
    const WHAT: &str = "Kubernetes 1.36";
    const UPGRADING: &str = "control plane demo is being upgraded from Kubernetes 1.35 to 1.36";
    const CONFIGURATION: &str = r#"{"computeType":"Fargate"}"#;
    /// A version of CoreDNS that does not run on the new Kubernetes version.
    const UNFIT: &str = "v1.12.3-eksbuild.1";
    /// The newest one that runs on both.
    const FIT: &str = "v1.14.1-eksbuild.1";
    const DAY: Duration = Duration::from_hours(24);

    /// A cluster of a version, with a plan for 1.36.
    async fn old(version: &str) -> World {
        let world = World::with_cluster(Plan {
            kubernetes_version: version.to_owned(),
            ..Plan::example()
        });
        let mut world = world.await;
        world.plan.kubernetes_version = "1.36".to_owned();
        world
    }

    /// One of 1.35, with CoreDNS that is ours and ACTIVE, changed by hand.
    async fn with_coredns(change: impl FnOnce(&mut Addon)) -> World {
        let world = old("1.35").await;
        let call = world.aws().eks().create_addon().cluster_name("demo");
        let call = call.addon_name("coredns").tags(tags::CLUSTER, "demo");
        let call = call.configuration_values(CONFIGURATION);
        call.send().await.unwrap();
        // It needs no pods, so it runs.
        world.cluster(|cluster| cluster.coredns.as_mut().unwrap().replicas = 0);
        tokio::time::sleep(LATER).await;
        world.cluster(|cluster| change(cluster.addons.get_mut("coredns").unwrap()));
        world.forget_calls();
        world
    }

    /// One that an old kubelet keeps from the new version, and EKS has seen it.
    async fn with_old_kubelet() -> World {
        let world = old("1.35").await;
        world.cluster(|cluster| {
            cluster.workloads.push(Workload {
                node: "fargate-ip-10-0-2-9".to_owned(),
                kubernetes: "1.32".to_owned(),
                ..Workload::default()
            });
        });
        tokio::time::sleep(DAY).await;
        world
    }

    fn make_unfit(addon: &mut Addon) {
        UNFIT.clone_into(&mut addon.version);
    }

    #[tokio::test(start_paused = true)]
    async fn a_cluster_that_is_one_version_older_is_upgraded() {
        for world in [with_coredns(|_| ()).await, old("1.35").await] {
            let answer = ensure(&world).await;
            let remembered = memory(answer.clone());
            assert_eq!(remembered["created"], json!({WHAT: last_update(&world)}));
            assert_eq!(reason(answer), UPGRADING);
            let asked = &world.requests(UPDATE_VERSION)[0];
            assert_eq!(asked["version"], "1.36");
            assert_eq!(asked["force"], Value::Null);
            assert_eq!(world.changes(), [UPDATE_VERSION]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn drift_is_repaired_before() {
        let world = old("1.35").await;
        world.cluster(|cluster| cluster.deletion_protection = true);
        reason(ensure(&world).await);
        assert_eq!(world.changes(), [UPDATE_CONFIG]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_upgrade_at_work_is_waited_for() {
        let world = old("1.35").await;
        let before = memory(ensure(&world).await);
        world.forget_calls();
        let answer = world.ensure::<Cluster>(&before).await;
        assert_eq!(memory(answer.clone())["created"], before["created"]);
        assert_eq!(reason(answer), UPGRADING);
        assert_eq!(world.changes(), NOTHING);
    }

    #[tokio::test(start_paused = true)]
    async fn an_upgrade_that_failed_is_reported_and_not_asked_for_again() {
        let world = old("1.35").await;
        world.region(|region| region.eks.fails.updates = true);
        let memory = memory(ensure(&world).await);
        tokio::time::sleep(LATER).await;
        world.forget_calls();
        let error = world.ensure::<Cluster>(&memory).await.unwrap_err();
        assert_eq!(error.name(), "ResourceFailed");
        let text = error.to_string();
        let said = "(Kubernetes 1.36) is Failed; Unknown";
        assert!(text.contains(said), "{text}");
        assert_eq!(world.changes(), NOTHING);
    }

    #[tokio::test(start_paused = true)]
    async fn an_upgrade_that_succeeded_will_show() {
        let world = old("1.35").await;
        let memory = memory(ensure(&world).await);
        tokio::time::sleep(LATER).await;
        world.cluster(|cluster| cluster.version = "1.35".to_owned());
        world.forget_calls();
        let error = world.ensure::<Cluster>(&memory).await.unwrap_err();
        assert_eq!(error.name(), "NotYetVisible");
        assert_eq!(world.changes(), NOTHING);
    }

    #[tokio::test(start_paused = true)]
    async fn coredns_that_does_not_run_on_the_new_version_is_updated_first() {
        let active = with_coredns(make_unfit).await;
        let degraded = with_coredns(make_unfit).await;
        degraded.cluster(|cluster| cluster.coredns.as_mut().unwrap().replicas = 2);
        let failed = with_coredns(make_unfit).await;
        failed.cluster(|cluster| {
            cluster.addons.get_mut("coredns").unwrap().phase = Phase::UpdateFailed;
        });
        for (world, status) in [
            (active, "ACTIVE"),
            (degraded, "DEGRADED"),
            (failed, "UPDATE_FAILED"),
        ] {
            let now = world.simulator.now();
            world.cluster(|cluster| {
                let is_running = cluster.coredns_is_running();
                assert_eq!(cluster.addons["coredns"].status(is_running, now), status);
            });
            let answer = ensure(&world).await;
            let remembered = memory(answer.clone());
            assert_eq!(
                remembered["created"],
                json!({"coredns": last_update(&world)})
            );
            let text = format!("CoreDNS is being updated to {FIT}, which runs on 1.36");
            assert_eq!(reason(answer), text);
            let asked = &world.requests("UpdateAddon")[0];
            assert_eq!(asked["addonVersion"], FIT);
            assert_eq!(asked["configurationValues"], CONFIGURATION);
            assert_eq!(world.changes(), ["UpdateAddon"]);

            let waiting = world.ensure::<Cluster>(&remembered).await;
            let text = "add-on coredns is UPDATING, before the upgrade";
            assert_eq!(reason(waiting), text);
            assert_eq!(world.changes(), NOTHING);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn coredns_whose_update_failed_ends_the_upgrade() {
        let world = with_coredns(|addon| addon.phase = Phase::UpdateFailed).await;
        let memory = json!({"created": {"coredns": "u-1"}});
        let error = world.ensure::<Cluster>(&memory).await.unwrap_err();
        assert_eq!(error.name(), "ResourceFailed");
        assert!(error.to_string().contains("UPDATE_FAILED"), "{error}");
        assert_eq!(world.changes(), NOTHING);
    }

    #[tokio::test(start_paused = true)]
    async fn coredns_that_is_not_ours_is_left_to_eks() {
        let world = with_coredns(|addon| {
            make_unfit(addon);
            addon.tags.clear();
        });
        let world = world.await;
        let error = ensure(&world).await.unwrap_err();
        assert_eq!(error.name(), "ResourceConflict");
        let expected = ["UpdateClusterVersion: InvalidStateException"];
        assert_eq!(world.changes(), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn update_by_eks_is_waited_for() {
        let world = old("1.35").await;
        let now = world.simulator.now();
        world.cluster(|cluster| cluster.hidden_update_until = Some(now + LATER));
        let answer = ensure(&world).await;
        assert_eq!(memory(answer.clone())["created"], json!({}));
        let message =
            "Cannot VersionUpdate because cluster demo currently has an update in progress";
        assert!(reason(answer).contains(message));
    }

    #[tokio::test(start_paused = true)]
    async fn blocked_upgrade_is_a_conflict_that_names_the_obstacle() {
        let world = with_old_kubelet().await;
        let kubelets =
            "Kubelet version of Fargate pods must be updated to match cluster version 1.35";
        // What the simulator says, and what EKS has said as well.
        for (code, message) in [
            (None, kubelets),
            (Some(codes::INVALID_PARAMETER), kubelets),
            (
                Some(codes::INVALID_STATE),
                "Upgrade readiness issues detected",
            ),
        ] {
            if let Some(code) = code {
                world.fail_next(UPDATE_VERSION, code, &format!("{message}."));
            }
            let error = ensure(&world).await.unwrap_err();
            assert_eq!(error.name(), "ResourceConflict");
            let text = error.to_string();
            for part in [message, "fargate-ip-10-0-2-9", "kubectl rollout restart"] {
                assert!(text.contains(part), "{part}: {text}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn blocked_upgrade_is_reported_without_insights_too() {
        let world = old("1.35").await;
        world.fail_next(UPDATE_VERSION, codes::INVALID_STATE, "not ready");
        world.fail_next("ListInsights", "AccessDeniedException", "no");
        let error = ensure(&world).await.unwrap_err();
        assert_eq!(error.name(), "ResourceConflict");
        assert!(error.to_string().contains("not ready"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn other_errors_stay_what_they_are() {
        let world = old("1.35").await;
        let message = "unsupported Kubernetes version 1.36";
        world.fail_next(UPDATE_VERSION, codes::INVALID_PARAMETER, message);
        let error = ensure(&world).await.unwrap_err();
        assert_eq!(error.name(), "Unexpected");
    }

    #[tokio::test(start_paused = true)]
    async fn two_versions_are_too_many_for_one_upgrade() {
        let world = old("1.34").await;
        let error = ensure(&world).await.unwrap_err();
        assert_eq!(error.name(), "InvalidRequest");
        let said = "1.35, the next version";
        assert!(error.to_string().contains(said), "{error}");
        assert_eq!(world.changes(), NOTHING);
    }
}

mod leftovers {
    //! What EKS leaves in the VPC.

    use simulator::Seed;
    use simulator::ec2::{Ec2, NewInterface};

    use super::*;

    fn interfaces(ec2: &Ec2) -> Vec<String> {
        ec2.network_interfaces.keys().cloned().collect()
    }

    /// A VPC whose cluster is gone, and not what EKS made in it.
    async fn world() -> World {
        let world = super::world().await;
        world.region(|region| region.eks.clusters.clear());
        world
    }

    #[tokio::test(start_paused = true)]
    async fn released_interfaces_and_group_are_deleted_and_nothing_else() {
        let world = world().await;
        let (mut expected, somebodys) = world.region(|region| {
            let ec2 = &mut region.ec2;
            let mut ids = interfaces(ec2);
            let mut groups = ec2.security_groups.values();
            let group = groups.find(|group| group.name.starts_with("eks-cluster-sg-demo-"));
            ids.push(group.unwrap().id.clone());
            let new = NewInterface {
                subnet_id: ec2.subnets.keys().next().unwrap().clone(),
                description: "somebody's".to_owned(),
                ..NewInterface::default()
            };
            let somebodys = ec2.add_interface(Seed(1), new);
            for id in interfaces(ec2) {
                ec2.detach_interface(&id);
            }
            (ids, somebodys)
        });
        let answer = remove(&world).await.unwrap();
        let removed = answer["removed"].as_array().unwrap().iter();
        let mut removed: Vec<_> = removed.filter_map(|it| it["id"].as_str()).collect();
        assert!(removed.last().unwrap().starts_with("sg-"), "{removed:?}");
        removed.sort_unstable();
        expected.sort_unstable();
        assert_eq!(removed, expected);
        world.region(|region| {
            assert_eq!(interfaces(&region.ec2), [somebodys]);
            let mut groups = region.ec2.security_groups.values();
            assert!(groups.all(|group| group.name == "default"));
        });
    }

    #[tokio::test(start_paused = true)]
    async fn interfaces_that_eks_holds_are_waited_for() {
        let world = world().await;
        let [id, ..] = &world.region(|region| interfaces(&region.ec2))[..] else {
            panic!("EKS has made no interface");
        };
        let text = reason(remove(&world).await);
        assert!(text.contains(id), "{text}");
        assert_eq!(world.changes(), NOTHING);
    }
}
