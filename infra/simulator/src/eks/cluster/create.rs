//! `CreateCluster`.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::Ipv4Net;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::asked::CreateCluster;
use super::check::check_name;
use super::{Cluster, VpcConfig};
use crate::api_error::ApiError;
use crate::eks::errors::{in_use, limit_exceeded};
use crate::eks::request::Request;
use crate::eks::tokens::{Token, earlier};
use crate::eks::{AccessEntry, Eks, Surroundings, after, parts, roles, version};
use crate::iam::service_linked_role;
use crate::state::{Context, partition};
use crate::{kms, sts};

/// `CreateCluster`.
pub(in crate::eks) fn create(
    context: &mut Context<'_>,
    request: &Request<'_>,
) -> Result<Value, ApiError> {
    let now = context.now;
    let asked: CreateCluster = request.read()?;
    let token = Token::of(request)?;
    check_name(&asked.name)?;
    let (eks, _) = parts(context);
    if let Some(cluster) = repeated(eks, &asked, token.as_ref())? {
        return Ok(answer(cluster, now));
    }
    asked.check(request)?;
    check_key(context, &asked)?;
    let version = version::of_new_cluster(
        asked.version.as_deref(),
        asked.upgrade_policy.support_type(),
        now,
    )?;
    // EKS user guide, service-linked roles: EKS makes its own with the first cluster of an account.
    service_linked_role::ensure(context, service_linked_role::EKS_SERVICE);
    let creator = sts::identity(context).principal_arn;
    check_same_account(context, &asked.role_arn)?;
    let words = roles::Words::of(context);

    let (eks, mut around) = parts(context);
    roles::check_cluster_role(around.iam, &asked.role_arn, words)?;
    roles::check_service_linked_role(around.iam, words)?;
    let vpc = asked.vpc(&around)?;
    let service_cidr = asked.service_cidr(&around, &vpc.vpc_id)?;
    if eks.clusters.len() >= eks.quotas.clusters {
        return Err(limit_exceeded("Cluster limit exceeded for account"));
    }
    let mut cluster = asked.cluster(eks, &around, now, version.name, vpc, service_cidr)?;
    cluster.token = token;
    make_network(&mut cluster, &mut around);
    if cluster.is_creator_admin {
        let entry = AccessEntry::of_creator(&cluster, &around, &creator, now);
        cluster.access_entries.insert(creator, entry);
    }
    let output = answer(&cluster, now);
    eks.clusters.insert(cluster.name.clone(), cluster);
    Ok(output)
}

/// Whether the creator is an administrator is said only here (captured answers of a real account).
fn answer(cluster: &Cluster, now: Timestamp) -> Value {
    let mut output = json!({"cluster": cluster.to_json(now)});
    output["cluster"]["accessConfig"]["bootstrapClusterCreatorAdminPermissions"] =
        cluster.is_creator_admin.into();
    output
}

/// EKS user guide, encrypt Kubernetes secrets with KMS: the key is symmetric, and its caller can use it. What
/// EKS says of one that the caller does not see: aws-quickstart/quickstart-amazon-eks-cluster-resource-provider
/// issue 25; the words for one that cannot be used were not found.
fn check_key(context: &Context<'_>, asked: &CreateCluster) -> Result<(), ApiError> {
    for config in &asked.encryption_config {
        let arn = &config.provider.key_arn;
        match kms::find(context, "DescribeKey", arn) {
            Ok((key, _)) if key.is_usable() => {}
            Ok(_) => {
                let message = format!("The KMS key {arn} is not an enabled symmetric key");
                return Err(ApiError::client("InvalidParameterException", message));
            }
            Err(error) if error.code == "NotFoundException" => {
                let message = error.message;
                return Err(ApiError::client("InvalidParameterException", message));
            }
            Err(_) => {
                let message = "User not authorized to perform kms:DescribeKey operation";
                return Err(ApiError::client("InvalidRequestException", message));
            }
        }
    }
    Ok(())
}

/// The cluster that an earlier call with the same token has made. A name that is taken otherwise is
/// refused (terraform-aws-modules/terraform-aws-eks issue 1262).
fn repeated<'a>(
    eks: &'a Eks,
    asked: &CreateCluster,
    token: Option<&Token>,
) -> Result<Option<&'a Cluster>, ApiError> {
    let made = earlier(
        eks.clusters.values(),
        |cluster| cluster.token.as_ref(),
        token,
    );
    if made.is_none() && eks.clusters.contains_key(&asked.name) {
        let message = format!("Cluster already exists with name: {}", asked.name);
        return Err(in_use(&message));
    }
    Ok(made)
}

impl CreateCluster {
    fn cluster(
        &self,
        eks: &mut Eks,
        around: &Surroundings<'_>,
        now: Timestamp,
        version: &str,
        vpc: VpcConfig,
        service_cidr: Ipv4Net,
    ) -> Result<Cluster, ApiError> {
        let name = &self.name;
        let made = eks.made.entry(name.clone()).or_default();
        *made += 1;
        let (account, region) = (around.account, around.region);
        let arn = format!(
            "arn:{}:eks:{region}:{account}:cluster/{name}",
            partition(region)
        );
        let digits = around
            .seed
            .hex("cluster", &format!("{arn}#{made}"), 32)
            .to_uppercase();
        // Captured on real accounts: 382, 415, 456, 494, 520, 525 and 686 seconds.
        let start = around.seed.duration("cluster", name, 380.0..690.0);
        let keys = self.encryption_config.first();
        Ok(Cluster {
            name: name.clone(),
            arn,
            created_at: now,
            active_at: after(now, start),
            fails: eks.fails.clusters,
            breaks: false,
            gone_at: None,
            version: version.to_owned(),
            role_arn: self.role_arn.clone(),
            vpc,
            service_cidr,
            logging: self.logging.apply(&BTreeSet::new())?,
            key_arn: keys.map(|config| config.provider.key_arn.clone()),
            // The API's default; the console has another one (EKS user guide, access entries).
            authentication_mode: (self.access_config.authentication_mode.clone())
                .unwrap_or_else(|| "CONFIG_MAP".to_owned()),
            is_creator_admin: (self.access_config)
                .bootstrap_cluster_creator_admin_permissions
                .unwrap_or(true),
            has_self_managed_addons: self.bootstrap_self_managed_addons.unwrap_or(true),
            support_type: self.upgrade_policy.support_type().to_owned(),
            deletion_protection: self.deletion_protection.unwrap_or(false),
            zonal_shift: self.zonal_shift_config.enabled.unwrap_or(false),
            scaling_tier: self.control_plane_scaling_config.tier().to_owned(),
            tags: self.tags.clone(),
            token: None,
            digits,
            interfaces: Vec::new(),
            updates: Vec::new(),
            fargate_profiles: BTreeMap::new(),
            made: BTreeMap::new(),
            addons: BTreeMap::new(),
            node_groups: BTreeSet::new(),
            capabilities: Vec::new(),
            access_entries: BTreeMap::new(),
            coredns: None,
            workloads: Vec::new(),
            insights: None,
            hidden_update_until: None,
            settled_at: now,
        })
    }
}

fn make_network(cluster: &mut Cluster, around: &mut Surroundings<'_>) {
    let vpc = &mut cluster.vpc;
    vpc.cluster_security_group_id =
        around.make_security_group(&cluster.name, &vpc.vpc_id, &cluster.digits);
    let mut groups = vec![vpc.cluster_security_group_id.clone()];
    groups.extend(vpc.security_group_ids.iter().cloned());
    cluster.interfaces =
        around.make_control_plane_interfaces(&cluster.name, &vpc.subnet_ids, &groups);
}

/// A role of another account cannot be passed on (IAM user guide, passing a role).
fn check_same_account(context: &Context<'_>, role_arn: &str) -> Result<(), ApiError> {
    if role_arn.split(':').nth(4) == Some(context.account.as_str()) {
        return Ok(());
    }
    let message = format!("Cross-account pass role is not allowed: {role_arn}");
    Err(ApiError::new(403, "AccessDeniedException", message))
}

#[cfg(test)]
mod tests {
    use aws_sdk_eks::types::{
        AuthenticationMode, CreateAccessConfigRequest, EncryptionConfig,
        KubernetesNetworkConfigRequest, LogSetup, LogType, Logging, Provider, SupportType,
        UpgradePolicyRequest, VpcConfigRequest,
    };

    use crate::eks::testing::{ACCOUNT, World, code, message, wait};

    #[tokio::test(start_paused = true)]
    async fn defaults_are_those_of_the_api() {
        let world = World::new().await;
        let made = world
            .create("demo")
            .set_access_config(None)
            .set_version(None)
            .send()
            .await
            .unwrap();
        let cluster = made.cluster.unwrap();
        assert_eq!(cluster.version(), Some("1.36"));
        let access = cluster.access_config().unwrap();
        assert_eq!(
            access.authentication_mode(),
            Some(&AuthenticationMode::ConfigMap)
        );
        assert_eq!(
            access.bootstrap_cluster_creator_admin_permissions(),
            Some(true)
        );
        let policy = cluster.upgrade_policy().unwrap();
        assert_eq!(policy.support_type(), Some(&SupportType::Extended));
        let vpc = cluster.resources_vpc_config().unwrap();
        assert!(vpc.endpoint_public_access);
        assert!(!vpc.endpoint_private_access);
        assert_eq!(vpc.public_access_cidrs(), ["0.0.0.0/0"]);
        assert_eq!(cluster.deletion_protection(), Some(false));
    }

    #[tokio::test(start_paused = true)]
    async fn cluster_is_described_as_it_was_asked_for() {
        let world = World::new().await;
        let setup = LogSetup::builder()
            .types(LogType::Audit)
            .enabled(true)
            .build();
        let key = "arn:aws:kms:ap-northeast-1:111122223333:key/1234";
        world.simulator.change(|state| state.add_key(key));
        let provider = Provider::builder().key_arn(key).build();
        let encryption = EncryptionConfig::builder().provider(provider);
        let call = world
            .create("demo")
            .version("1.36")
            .logging(Logging::builder().cluster_logging(setup).build())
            .encryption_config(encryption.build())
            .tags("team", "platform");
        let cluster = call.send().await.unwrap().cluster.unwrap();
        assert_eq!(cluster.version(), Some("1.36"));
        let logs = cluster.logging().unwrap().cluster_logging();
        assert_eq!(logs[0].types(), [LogType::Audit]);
        assert_eq!(logs[1].types().len(), 4);
        let config = &cluster.encryption_config()[0];
        assert_eq!(config.provider().unwrap().key_arn(), Some(key));
        assert_eq!(cluster.tags().unwrap()["team"], "platform");
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_cannot_be_used_is_refused() {
        let world = World::new().await;
        let key = "arn:aws:kms:ap-northeast-1:111122223333:key/1234";
        let create = async |key: &str| {
            let provider = Provider::builder().key_arn(key).build();
            let encryption = EncryptionConfig::builder().provider(provider);
            let call = world.create("demo").encryption_config(encryption.build());
            let refused = call.send().await;
            (code(&refused).to_owned(), message(&refused).to_owned())
        };
        let (code, message) = create(key).await;
        assert_eq!(code, "InvalidParameterException");
        assert_eq!(message, format!("Key '{key}' does not exist"));
        world.simulator.change(|state| {
            state.add_key(key);
            let account = state.accounts.get_mut(ACCOUNT).unwrap();
            let keys = &mut account.region("ap-northeast-1").kms.keys;
            keys.get_mut("1234").unwrap().state = crate::kms::KeyState::Disabled;
        });
        let (code, message) = create(key).await;
        assert_eq!(code, "InvalidParameterException");
        assert!(
            message.contains("is not an enabled symmetric key"),
            "{message}"
        );
        let (code, message) = create(&key.replace(ACCOUNT, "444455556666")).await;
        assert_eq!(code, "InvalidRequestException");
        assert!(message.contains("kms:DescribeKey"), "{message}");
    }

    #[tokio::test(start_paused = true)]
    async fn repetition_with_the_same_token_is_the_same_cluster() {
        let world = World::new().await;
        let create = |token: &str| {
            let call = world.create("demo");
            call.client_request_token(token.repeat(40)).send()
        };
        let first = create("a").await.unwrap().cluster.unwrap();
        wait(5).await;
        assert_eq!(create("a").await.unwrap().cluster.unwrap(), first);
        let other = create("b").await;
        assert_eq!(code(&other), "ResourceInUseException");
        assert_eq!(message(&other), "Cluster already exists with name: demo");
    }

    #[tokio::test(start_paused = true)]
    async fn new_role_cannot_be_assumed_at_once() {
        let world = World::without_roles().await;
        world.service_linked_role().await;
        world.cluster_role().await;
        let call = world.create("demo").send().await;
        assert_eq!(code(&call), "InvalidParameterException");
        let expected = format!(
            "Role with arn: arn:aws:iam::{ACCOUNT}:role/cluster, could not be assumed because it \
             does not exist or the trusted entity is not correct"
        );
        assert_eq!(message(&call), expected);
        wait(15).await;
        world.create("demo").send().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn role_needs_its_policy() {
        let world = World::without_roles().await;
        world.service_linked_role().await;
        world.role("cluster", "eks.amazonaws.com").await;
        wait(15).await;
        let call = world.create("demo").send().await;
        assert_eq!(code(&call), "InvalidParameterException");
        let start =
            "The provided role doesn't have the Amazon EKS Managed Policies associated with it";
        assert!(message(&call).starts_with(start), "{}", message(&call));
    }

    #[tokio::test(start_paused = true)]
    async fn first_cluster_of_an_account_waits_for_the_service_linked_role() {
        let world = World::without_roles().await;
        world.cluster_role().await;
        wait(15).await;
        let call = world.create("demo").send().await;
        assert_eq!(code(&call), "InvalidParameterException");
        let role = "role/aws-service-role/eks.amazonaws.com/AWSServiceRoleForAmazonEKS, could not";
        assert!(message(&call).contains(role), "{}", message(&call));
        wait(15).await;
        world.create("demo").send().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn roles_take_minutes_to_spread_when_iam_is_slow() {
        let world = World::without_roles().await;
        world
            .simulator
            .change(|state| state.faults.iam_lag_seconds = 600.0);
        world.service_linked_role().await;
        world.cluster_role().await;
        wait(15).await;
        let mut attempts = 0;
        while world.create("demo").send().await.is_err() {
            attempts += 1;
            wait(15).await;
        }
        assert!((4..40).contains(&attempts), "{attempts}");
    }

    #[tokio::test(start_paused = true)]
    async fn subnets_are_in_two_zones_of_one_vpc() {
        let world = World::new().await;
        let with = |ids: &[&String]| {
            let ids = ids.iter().map(|id| (*id).clone()).collect();
            let vpc = VpcConfigRequest::builder()
                .set_subnet_ids(Some(ids))
                .build();
            world.create("demo").resources_vpc_config(vpc).send()
        };
        let network = world.network();
        let one_zone = with(&[&network.public[0], &network.private[0]]).await;
        assert_eq!(code(&one_zone), "InvalidParameterException");
        let expected = "Subnets specified must be in at least two different AZs";
        assert_eq!(message(&one_zone), expected);
        let missing = "subnet-0123456789abcdef0".to_owned();
        let missing = with(&[&network.public[0], &missing]).await;
        assert_eq!(code(&missing), "InvalidParameterException");
    }

    #[tokio::test(start_paused = true)]
    async fn each_subnet_has_six_free_addresses() {
        let world = World::new().await;
        let small = world.small_subnet("10.0.9.0/28").await;
        let take = |count| {
            world.simulator.change(|state| {
                let account = state.accounts.get_mut(ACCOUNT).unwrap();
                let ec2 = &mut account.regions.get_mut("ap-northeast-1").unwrap().ec2;
                for n in 0..count {
                    let new = crate::ec2::NewInterface {
                        subnet_id: small.clone(),
                        description: n.to_string(),
                        ..crate::ec2::NewInterface::default()
                    };
                    ec2.add_interface(crate::Seed(1), new);
                }
            });
        };
        let create = || {
            let vpc = world.vpc_config().subnet_ids(&small).build();
            world.create("demo").resources_vpc_config(vpc).send()
        };
        take(6);
        let call = create().await;
        assert_eq!(code(&call), "InvalidParameterException");
        world.simulator.change(|state| {
            let account = state.accounts.get_mut(ACCOUNT).unwrap();
            let ec2 = &mut account.regions.get_mut("ap-northeast-1").unwrap().ec2;
            let mut interfaces = ec2.network_interfaces.values();
            let one = interfaces
                .find(|it| it.subnet_id == small)
                .unwrap()
                .id
                .clone();
            ec2.remove_interface(&one);
        });
        create().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn unsupported_zones_are_answered_with_those_that_would_do() {
        let world = World::in_region("us-east-1", ["use1-az3", "use1-az1"]).await;
        let error = world
            .create("demo")
            .send()
            .await
            .unwrap_err()
            .into_service_error();
        let aws_sdk_eks::operation::create_cluster::CreateClusterError::UnsupportedAvailabilityZoneException(error) =
            error
        else {
            panic!("{error:?}");
        };
        assert_eq!(error.valid_zones().len(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn versions_and_blocks_of_addresses_are_checked() {
        let world = World::new().await;
        let call = world.create("demo").version("1.20").send().await;
        assert_eq!(message(&call), "unsupported Kubernetes version 1.20");
        let policy = UpgradePolicyRequest::builder().support_type(SupportType::Standard);
        let call = world
            .create("demo")
            .version("1.32")
            .upgrade_policy(policy.build());
        assert_eq!(code(&call.send().await), "InvalidParameterException");
        for cidr in [
            "10.0.128.0/20",
            "8.8.0.0/16",
            "10.200.0.0/11",
            "10.200.0.0/25",
        ] {
            let network = KubernetesNetworkConfigRequest::builder().service_ipv4_cidr(cidr);
            let call = world
                .create("demo")
                .kubernetes_network_config(network.build());
            assert_eq!(
                code(&call.send().await),
                "InvalidParameterException",
                "{cidr}"
            );
        }
        let network = KubernetesNetworkConfigRequest::builder().service_ipv4_cidr("10.200.0.0/16");
        let call = world
            .create("demo")
            .kubernetes_network_config(network.build());
        call.send().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn names_follow_the_rules() {
        let world = World::new().await;
        for name in ["-demo", "a.b", &"x".repeat(101)] {
            let call = world.create(name).send().await;
            assert_eq!(code(&call), "InvalidParameterException", "{name}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn creator_is_not_admin_if_not_wanted() {
        let world = World::new().await;
        let access = CreateAccessConfigRequest::builder()
            .authentication_mode(AuthenticationMode::Api)
            .bootstrap_cluster_creator_admin_permissions(false);
        world
            .create("demo")
            .access_config(access.build())
            .send()
            .await
            .unwrap();
        world.wait_until_active().await;
        let entries = world.eks.list_access_entries().cluster_name("demo").send();
        let entries = entries.await.unwrap().access_entries.unwrap();
        // EKS' own is the only one.
        assert_eq!(entries.len(), 1);
        assert!(entries[0].contains(":role/aws-service-role/"));
    }
}
