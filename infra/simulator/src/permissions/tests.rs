//! Each rule, through the real SDKs, as a session of a role sees it.

use aws_sdk_ec2::types::{ResourceType, TagSpecification};
use aws_sdk_eks::types::VpcConfigRequest;
use serde_json::{Value, json};

use super::*;
use crate::testing::{client, code, message, wait};
use crate::{Clock, Config, Seed, Simulator, State, iam as iam_service};

const ACCOUNT: &str = "111122223333";
const REGION: &str = "ap-northeast-1";
const KEY: &str = "session";

/// A role with permissions, a session of it, and clients that are the session.
struct World {
    simulator: Simulator,
    ec2: aws_sdk_ec2::Client,
    eks: aws_sdk_eks::Client,
    iam: aws_sdk_iam::Client,
    logs: aws_sdk_cloudwatchlogs::Client,
    sts: aws_sdk_sts::Client,
}

fn policy(statements: &Value) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

fn allow(actions: &Value, resources: &Value) -> Value {
    json!({"Effect": "Allow", "Action": actions, "Resource": resources})
}

fn everything() -> Value {
    allow(&json!("*"), &json!("*"))
}

fn arn(service: &str, resource: &str) -> String {
    format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}")
}

impl World {
    /// The role's permissions are the statements.
    fn new(permissions: &Value) -> Self {
        Self::limited(permissions, None)
    }

    /// The same, with a session policy.
    fn limited(permissions: &Value, session: Option<&Value>) -> Self {
        let simulator = Simulator::new(Config {
            clock: Clock::virtual_time(),
            ..Config::default()
        });
        simulator.change(|state| {
            let trust = State::organization_trust(ACCOUNT);
            state.add_role(ACCOUNT, "narrow", &trust, &policy(permissions));
            let session = session.map(policy);
            let added = state.add_session(KEY, ACCOUNT, "narrow", session.as_deref());
            added.unwrap();
        });
        Self {
            ec2: client!(aws_sdk_ec2, simulator, KEY, REGION),
            eks: client!(aws_sdk_eks, simulator, KEY, REGION),
            iam: client!(aws_sdk_iam, simulator, KEY, REGION),
            logs: client!(aws_sdk_cloudwatchlogs, simulator, KEY, REGION),
            sts: client!(aws_sdk_sts, simulator, KEY, REGION),
            simulator,
        }
    }

    fn change_iam(&self, change: impl FnOnce(&mut iam_service::Iam)) {
        self.simulator
            .change_account(ACCOUNT, |account| change(&mut account.iam));
    }
}

#[test]
fn of_every_operation_is_known_what_it_needs() {
    let mut state = State::default();
    let mut context = Context {
        injected_error: None,
        next_calls: &mut Vec::new(),
        now: jiff::Timestamp::UNIX_EPOCH,
        account: ACCOUNT.to_owned(),
        region: REGION.to_owned(),
        access_key: String::new(),
        seed: Seed(1),
        state: &mut state,
    };
    let (params, query, body) = (Params::default(), Query::new(), Value::Null);
    for (service, operation) in crate::operations() {
        let asked = match service {
            "eks" => Asked::Rest(&[], &query, &body),
            "kms" | "logs" | "servicequotas" | "ssm" => Asked::Input(&body),
            _ => Asked::Params(&params),
        };
        let needed = needed(&mut context, service, operation, &asked);
        let needed = needed.unwrap_or_else(|| panic!("{service}:{operation}"));
        let own = format!("{service}:{operation}");
        // It needs no permission to ask who one is.
        let is_first = needed.first().is_some_and(|it| it.action == own);
        assert!(is_first || operation == "GetCallerIdentity", "{own}");
        let is_about = |it: &Needed| !it.resources.is_empty() || own.ends_with("Tags");
        assert!(needed.iter().all(is_about), "{own}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_may_do_what_its_roles_policies_allow() {
    let world = World::new(&json!([
        allow(&json!("ec2:DescribeVpcs"), &json!("*")),
        allow(&json!("ec2:CreateVpc"), &json!(arn("ec2", "vpc/*"))),
    ]));
    world.ec2.describe_vpcs().send().await.unwrap();
    let call = world.ec2.create_vpc().cidr_block("10.0.0.0/16");
    call.send().await.unwrap();
    let refused = world.ec2.describe_subnets().send().await;
    assert_eq!(code(&refused), "UnauthorizedOperation");
    let who = format!("arn:aws:sts::{ACCOUNT}:assumed-role/narrow/{KEY}");
    assert_eq!(
        message(&refused),
        format!(
            "You are not authorized to perform this operation. User: {who} is not authorized to \
             perform: ec2:DescribeSubnets because no identity-based policy allows the \
             ec2:DescribeSubnets action"
        )
    );
    let refused = world.ec2.create_internet_gateway().send().await;
    assert!(message(&refused).contains(&format!(
        "ec2:CreateInternetGateway on resource: {} because no identity-based policy allows",
        arn("ec2", "internet-gateway/*")
    )));
    let raw = refused.unwrap_err().raw_response().unwrap().status();
    assert_eq!(raw.as_u16(), 403);
}

#[tokio::test(start_paused = true)]
async fn a_session_policy_only_takes_away() {
    let world = World::limited(
        &json!([allow(&json!("ec2:Describe*"), &json!("*"))]),
        Some(&json!([allow(
            &json!(["ec2:DescribeVpcs", "ec2:CreateVpc"]),
            &json!("*")
        )])),
    );
    world.ec2.describe_vpcs().send().await.unwrap();
    let refused = world.ec2.describe_subnets().send().await;
    let words = "because no session policy allows the ec2:DescribeSubnets action";
    assert!(message(&refused).ends_with(words), "{}", message(&refused));
    let call = world.ec2.create_vpc().cidr_block("10.0.0.0/16");
    let refused = call.send().await;
    let words = "because no identity-based policy allows the ec2:CreateVpc action";
    assert!(message(&refused).ends_with(words), "{}", message(&refused));
}

#[tokio::test(start_paused = true)]
async fn denial_wins_wherever_it_is() {
    let deny = json!({"Effect": "Deny", "Action": "ec2:Describe*", "Resource": "*"});
    for (permissions, session, kind) in [
        (
            json!([everything(), deny]),
            None,
            "an identity-based policy",
        ),
        (
            json!([everything()]),
            Some(json!([everything(), deny])),
            "a session policy",
        ),
    ] {
        let world = World::limited(&permissions, session.as_ref());
        let refused = world.ec2.describe_vpcs().send().await;
        let words = format!("ec2:DescribeVpcs with an explicit deny in {kind}");
        assert!(message(&refused).ends_with(&words), "{}", message(&refused));
        let gateway = world.ec2.create_internet_gateway().send().await;
        gateway.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_boundary_limits_if_its_document_is_known() {
    let world = World::new(&json!([everything()]));
    let boundary = |arn: &str| {
        let arn = arn.to_owned();
        world.change_iam(|iam| {
            iam.roles.get_mut("narrow").unwrap().boundary = Some(arn);
        });
    };
    let own = format!("arn:aws:iam::{ACCOUNT}:policy/boundary");
    boundary(&own);
    world.iam.list_roles().send().await.unwrap();
    world.change_iam(|iam| {
        let document = policy(&json!([allow(&json!("ec2:*"), &json!("*"))]));
        iam.documents.insert(own, document);
    });
    world.ec2.describe_vpcs().send().await.unwrap();
    let refused = world.iam.list_roles().send().await;
    assert_eq!(code(&refused), "AccessDenied");
    assert!(message(&refused).contains(&format!(
        "iam:ListRoles on resource: arn:aws:iam::{ACCOUNT}:role/ because no permissions boundary \
         allows the iam:ListRoles action"
    )));
    boundary("arn:aws:iam::aws:policy/PowerUserAccess");
    world.iam.list_roles().send().await.unwrap();
    let refused = world.iam.get_role().role_name("narrow").send().await;
    assert_eq!(code(&refused), "AccessDenied");
}

#[tokio::test(start_paused = true)]
async fn managed_policies_count_when_their_documents_are_known_and_services_see_them() {
    let world = World::new(&json!([allow(&json!("ec2:DescribeVpcs"), &json!("*"))]));
    let administrator = client!(aws_sdk_iam, world.simulator, ACCOUNT, REGION);
    let attach = |policy: &str| {
        let call = administrator.attach_role_policy().role_name("narrow");
        call.policy_arn(format!("arn:aws:iam::aws:policy/{policy}"))
            .send()
    };
    attach("ReadOnlyAccess").await.unwrap();
    wait(15).await;
    world.ec2.describe_subnets().send().await.unwrap_err();
    attach("AdministratorAccess").await.unwrap();
    world.ec2.describe_subnets().send().await.unwrap_err();
    wait(15).await;
    world.ec2.describe_subnets().send().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn sessions_of_a_role_that_is_gone_may_nothing() {
    let world = World::new(&json!([everything()]));
    world.ec2.describe_vpcs().send().await.unwrap();
    world.change_iam(|iam| iam.roles.clear());
    let refused = world.ec2.describe_vpcs().send().await;
    assert_eq!(code(&refused), "UnauthorizedOperation");
    world.sts.get_caller_identity().send().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn caller_without_a_session_may_do_everything() {
    let world = World::new(&json!([allow(&json!("ec2:DescribeVpcs"), &json!("*"))]));
    for key in [ACCOUNT, "somebody"] {
        let ec2 = client!(aws_sdk_ec2, world.simulator, key, REGION);
        ec2.create_internet_gateway().send().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn tags_at_a_creation_need_a_permission_of_their_own() {
    let create_tags = |create_action: &str| {
        let condition = json!({"StringEquals": {"ec2:CreateAction": create_action}});
        let mut statement = allow(&json!("ec2:CreateTags"), &json!(arn("ec2", "vpc/*")));
        statement["Condition"] = condition;
        statement
    };
    let create = allow(&json!("ec2:CreateVpc"), &json!("*"));
    for (statements, is_allowed) in [
        (json!([create]), false),
        (json!([create, create_tags("CreateSubnet")]), false),
        (json!([create, create_tags("CreateVpc")]), true),
    ] {
        let world = World::new(&statements);
        let tag = aws_sdk_ec2::types::Tag::builder().key("team").value("a");
        let tags = TagSpecification::builder()
            .resource_type(ResourceType::Vpc)
            .tags(tag.build());
        let call = world.ec2.create_vpc().cidr_block("10.0.0.0/16");
        let made = call.tag_specifications(tags.build()).send().await;
        if is_allowed {
            let vpc = made.unwrap().vpc.unwrap().vpc_id.unwrap();
            // The permission is for creations only.
            let call = world.ec2.create_tags().resources(vpc);
            let tag = aws_sdk_ec2::types::Tag::builder().key("team").value("b");
            let refused = call.tags(tag.build()).send().await;
            assert_eq!(code(&refused), "UnauthorizedOperation");
        } else {
            let words = format!("ec2:CreateTags on resource: {}", arn("ec2", "vpc/*"));
            assert!(message(&made).contains(&words), "{}", message(&made));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn all_resources_must_be_allowed_and_may_be_chosen_by_their_tags() {
    let mut by_tag = allow(&json!("ec2:CreateSubnet"), &json!(arn("ec2", "vpc/*")));
    by_tag["Condition"] = json!({"StringEquals": {"aws:ResourceTag/team": "a"}});
    let world = World::new(&json!([
        by_tag,
        allow(&json!("ec2:CreateSubnet"), &json!(arn("ec2", "subnet/*"))),
        allow(&json!(["ec2:CreateVpc", "ec2:CreateTags"]), &json!("*")),
    ]));
    let call = world.ec2.create_vpc().cidr_block("10.0.0.0/16");
    let vpc = call.send().await.unwrap().vpc.unwrap().vpc_id.unwrap();
    let create = || {
        let call = world.ec2.create_subnet().vpc_id(&vpc);
        call.cidr_block("10.0.0.0/24").send()
    };
    let refused = create().await;
    let words = format!("on resource: {}", arn("ec2", &format!("vpc/{vpc}")));
    assert!(message(&refused).contains(&words), "{}", message(&refused));
    let tag = aws_sdk_ec2::types::Tag::builder().key("team").value("a");
    let call = world.ec2.create_tags().resources(&vpc).tags(tag.build());
    call.send().await.unwrap();
    create().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn regions_can_be_denied() {
    let mut deny = json!({"Effect": "Deny", "Action": "*", "Resource": "*"});
    deny["Condition"] = json!({"StringNotEquals": {"aws:RequestedRegion": "eu-west-1"}});
    let world = World::new(&json!([everything(), deny]));
    let refused = world.ec2.describe_vpcs().send().await;
    assert_eq!(code(&refused), "UnauthorizedOperation");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_shows_what_is_missing() {
    let world = World::new(&json!([allow(&json!("ec2:CreateVpc"), &json!("*"))]));
    let dry = world.ec2.create_vpc().cidr_block("10.0.0.0/16");
    assert_eq!(code(&dry.dry_run(true).send().await), "DryRunOperation");
    let dry = world.ec2.create_internet_gateway().dry_run(true);
    assert_eq!(code(&dry.send().await), "UnauthorizedOperation");
    let dry = world.ec2.describe_subnets().dry_run(true).send().await;
    assert_eq!(code(&dry), "UnauthorizedOperation");
}

#[tokio::test(start_paused = true)]
async fn roles_are_known_by_path_and_called_by_name() {
    let of = |path: &str| format!("arn:aws:iam::{ACCOUNT}:role{path}");
    let world = World::new(&json!([
        allow(
            &json!(["iam:CreateRole", "iam:GetRole"]),
            &json!(of("/teams/*"))
        ),
        allow(
            &json!("iam:GetRole"),
            &json!(of("/aws-service-role/eks.amazonaws.com/*"))
        ),
    ]));
    let create = |path: &str| {
        let call = world.iam.create_role().role_name("a").path(path);
        call.assume_role_policy_document(iam_service::testing::TRUST)
    };
    let refused = create("/").send().await;
    assert!(message(&refused).contains(&format!("iam:CreateRole on resource: {}", of("/a"))));
    let tag = aws_sdk_iam::types::Tag::builder().key("team").value("a");
    let refused = create("/teams/").tags(tag.build().unwrap()).send().await;
    let words = format!("iam:TagRole on resource: {}", of("/teams/a"));
    assert!(message(&refused).contains(&words), "{}", message(&refused));
    create("/teams/").send().await.unwrap();
    let get = |name: &str| world.iam.get_role().role_name(name).send();
    get("a").await.unwrap();
    let refused = get("narrow").await;
    assert_eq!(code(&refused), "AccessDenied");
    assert!(message(&refused).contains("iam:GetRole on resource: role narrow because"));
}

#[tokio::test(start_paused = true)]
async fn the_role_of_a_service_has_a_path_only_when_it_is_there() {
    let name = "AWSServiceRoleForAmazonEKS";
    let get = |world: &World| world.iam.get_role().role_name(name).send();
    let with = |resource: &str| {
        let arn = format!("arn:aws:iam::{ACCOUNT}:role/{resource}");
        World::new(&json!([allow(&json!("iam:GetRole"), &json!(arn))]))
    };
    let make = async |world: &World| {
        let somebody = client!(aws_sdk_iam, world.simulator, ACCOUNT, REGION);
        let call = somebody.create_service_linked_role();
        call.aws_service_name("eks.amazonaws.com").send().await
    };
    let world = with("aws-service-role/eks.amazonaws.com/*");
    let refused = get(&world).await;
    assert_eq!(code(&refused), "AccessDenied");
    assert!(message(&refused).contains(&format!("iam:GetRole on resource: role {name} because")));
    make(&world).await.unwrap();
    get(&world).await.unwrap();
    let world = with(name);
    assert_eq!(code(&get(&world).await), "NoSuchEntity");
    make(&world).await.unwrap();
    assert_eq!(code(&get(&world).await), "AccessDenied");
}

#[tokio::test(start_paused = true)]
async fn a_role_is_assumed_within_the_organization_only_if_a_policy_says_so() {
    let member = "444455556666";
    let role = format!("arn:aws:iam::{member}:role/other");
    let mut assume = allow(&json!("sts:AssumeRole"), &json!(role));
    assume["Condition"] = json!({"StringEquals": {"aws:ResourceOrgID": "${aws:PrincipalOrgID}"}});
    let world = World::new(&json!([assume]));
    let trust = State::organization_trust(ACCOUNT);
    let is_standalone = |is_standalone: bool| {
        world.simulator.change(|state| {
            state.add_account(member, [("other", trust.as_str())]);
            state.accounts.get_mut(member).unwrap().is_standalone = is_standalone;
        });
    };
    let assume = || {
        let call = world.sts.assume_role().role_session_name("test");
        call.role_arn(&role).send()
    };
    is_standalone(true);
    assert_eq!(code(&assume().await), "AccessDenied");
    is_standalone(false);
    assume().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_log_group_is_deleted_by_its_tags() {
    let mut delete = allow(&json!("logs:DeleteLogGroup"), &json!("*"));
    delete["Condition"] = json!({"StringEquals": {"aws:ResourceTag/team": "a"}});
    let world = World::new(&json!([delete]));
    let somebody = client!(aws_sdk_cloudwatchlogs, world.simulator, ACCOUNT, REGION);
    for (name, team) in [("mine", "a"), ("theirs", "b")] {
        let call = somebody.create_log_group().log_group_name(name);
        call.tags("team", team).send().await.unwrap();
    }
    let delete = |name: &str| world.logs.delete_log_group().log_group_name(name).send();
    delete("mine").await.unwrap();
    assert_eq!(code(&delete("theirs").await), "AccessDeniedException");
}

#[tokio::test(start_paused = true)]
async fn log_groups_are_allowed_with_and_without_their_streams() {
    let groups = |suffix: &str| json!(arn("logs", &format!("log-group:/aws/eks/{suffix}")));
    let world = World::new(&json!([
        allow(&json!("logs:CreateLogGroup"), &groups("a")),
        allow(&json!("logs:CreateLogGroup"), &groups("b:*")),
        allow(&json!("logs:TagResource"), &groups("b")),
        allow(&json!("logs:ListTagsForResource"), &groups("*")),
    ]));
    let create = |name: &str| {
        let call = world.logs.create_log_group();
        call.log_group_name(format!("/aws/eks/{name}"))
    };
    let refused = create("a").tags("team", "x").send().await;
    assert_eq!(code(&refused), "AccessDeniedException");
    assert_eq!(
        message(&refused),
        format!(
            "User with accountId: {ACCOUNT} is not authorized to perform CreateLogGroup with Tags"
        )
    );
    create("a").send().await.unwrap();
    create("b").tags("team", "x").send().await.unwrap();
    let refused = create("c").send().await;
    let words = format!(
        "logs:CreateLogGroup on resource: {} because",
        arn("logs", "log-group:/aws/eks/c:log-stream:")
    );
    assert!(message(&refused).contains(&words), "{}", message(&refused));
    let call = world.logs.list_tags_for_resource();
    let call = call.resource_arn(arn("logs", "log-group:/aws/eks/b"));
    call.send().await.unwrap();
    let refused = world.logs.describe_log_groups().send().await;
    assert!(message(&refused).contains("log-group::log-stream: because"));
}

#[tokio::test(start_paused = true)]
async fn a_role_is_assumed_only_by_who_may() {
    let other = format!("arn:aws:iam::{ACCOUNT}:role/other");
    let world = World::new(&json!([allow(&json!("sts:AssumeRole"), &json!(other))]));
    let trust = State::organization_trust(ACCOUNT);
    world.simulator.change(|state| {
        state.add_account(ACCOUNT, [("other", trust.as_str()), ("third", &trust)]);
    });
    let assume = |role: &str| {
        let call = world.sts.assume_role().role_session_name("test");
        call.role_arn(format!("arn:aws:iam::{ACCOUNT}:role/{role}"))
            .send()
    };
    assume("other").await.unwrap();
    let refused = assume("third").await;
    assert_eq!(code(&refused), "AccessDenied");
    let words = "because no identity-based policy allows the sts:AssumeRole action";
    assert!(message(&refused).ends_with(words), "{}", message(&refused));
}

fn pass(role: &str, service: &str) -> Value {
    let role = format!("arn:aws:iam::{ACCOUNT}:role/{role}");
    let mut statement = allow(&json!("iam:PassRole"), &json!(role));
    statement["Condition"] = json!({"StringEquals": {"iam:PassedToService": service}});
    statement
}

fn service_role(service: &str) -> Value {
    let role = format!("arn:aws:iam::{ACCOUNT}:role/aws-service-role/{service}/*");
    let mut statement = allow(&json!("iam:CreateServiceLinkedRole"), &json!(role));
    statement["Condition"] = json!({"StringEquals": {"iam:AWSServiceName": service}});
    statement
}

/// Adds the statements one after the other; before each the call is refused with words.
async fn each_is_needed<F>(steps: &[(Value, &str)], call: impl Fn(World) -> F)
where
    F: Future<Output = Result<(), (String, String)>>,
{
    let mut statements: Vec<Value> = Vec::new();
    for (statement, words) in steps {
        let world = World::new(&json!(if statements.is_empty() {
            vec![allow(&json!("x:Y"), &json!("*"))]
        } else {
            statements.clone()
        }));
        let (code, message) = call(world).await.unwrap_err();
        let said = format!("{code}: {message}");
        assert!(said.contains(words), "{said}\ninstead of\n{words}");
        statements.push(statement.clone());
    }
    let (code, message) = call(World::new(&json!(statements))).await.unwrap_err();
    // All permissions are there, and nothing else is.
    let codes = ["InvalidParameterException", "ResourceNotFoundException"];
    assert!(codes.contains(&code.as_str()), "{code}: {message}");
    assert!(!message.contains("permission"), "{message}");
    assert!(!message.contains("policy must include"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_cluster_takes_more_than_its_own_permission() {
    // A policy about the key allows its use by the alias, too; one about the alias allows nothing.
    let (key, alias) = (arn("kms", "key/*"), arn("kms", "alias/mine"));
    let steps = [
        (
            allow(
                &json!("eks:CreateCluster"),
                &json!(arn("eks", "cluster/demo")),
            ),
            "AccessDeniedException: User: ",
        ),
        (
            allow(&json!("eks:TagResource"), &json!(arn("eks", "cluster/*"))),
            "eks:TagResource on resource: arn:aws:eks:ap-northeast-1:111122223333:cluster/demo",
        ),
        (
            pass("cluster", "eks.amazonaws.com"),
            "iam:PassRole on resource: arn:aws:iam::111122223333:role/cluster",
        ),
        (
            allow(&json!(["kms:DescribeKey", "kms:CreateGrant"]), &json!(key)),
            "InvalidRequestException: User not authorized to perform kms:DescribeKey operation",
        ),
        (
            allow(&json!("iam:ListAttachedRolePolicies"), &json!("*")),
            "InvalidParameterException: Caller does not have permission to perform \
             `iam:listAttachedRolePolicies`",
        ),
        (
            allow(&json!("ec2:DescribeSubnets"), &json!("*")),
            "InvalidParameterException: IAM role's policy must include the `ec2:DescribeSubnets` \
             action",
        ),
        (
            allow(&json!("ec2:DescribeVpcs"), &json!("*")),
            "the `ec2:DescribeVpcs` action",
        ),
        (
            service_role("eks.amazonaws.com"),
            "iam:CreateServiceLinkedRole on resource: arn:aws:iam::111122223333:role/\
             aws-service-role/eks.amazonaws.com/AWSServiceRoleForAmazonEKS",
        ),
    ];
    each_is_needed(&steps, |world| {
        world.simulator.change(|state| state.add_key(&alias));
        let provider = aws_sdk_eks::types::Provider::builder().key_arn(&alias);
        let encryption = aws_sdk_eks::types::EncryptionConfig::builder().provider(provider.build());
        let call = world.eks.create_cluster().name("demo");
        let call = call.role_arn("arn:aws:iam::111122223333:role/cluster");
        let call = call.resources_vpc_config(VpcConfigRequest::builder().build());
        let call = call.tags("team", "a").encryption_config(encryption.build());
        async move {
            let made = call.send().await;
            Err((code(&made).to_owned(), message(&made).to_owned()))
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_fargate_profile_takes_more_than_its_own_permission() {
    let slr = "arn:aws:iam::111122223333:role/AWSServiceRoleForAmazonEKSForFargate";
    let slr_path = "arn:aws:iam::111122223333:role/aws-service-role/eks-fargate.amazonaws.com/*";
    let steps = [
        (
            allow(
                &json!("eks:CreateFargateProfile"),
                &json!(arn("eks", "cluster/demo")),
            ),
            "eks:CreateFargateProfile on resource: \
             arn:aws:eks:ap-northeast-1:111122223333:cluster/demo",
        ),
        (
            allow(
                &json!("eks:TagResource"),
                &json!(arn("eks", "fargateprofile/demo/*")),
            ),
            "eks:TagResource on resource: \
             arn:aws:eks:ap-northeast-1:111122223333:fargateprofile/demo/a/*",
        ),
        (
            // The one that the role trusts is not the one that it is passed to.
            pass("pods", "eks-fargate-pods.amazonaws.com"),
            "iam:PassRole on resource",
        ),
        (
            pass("pods", "eks.amazonaws.com"),
            "iam:PassRole on resource",
        ),
        (
            // While it is not there, it is known without its path.
            allow(&json!("iam:GetRole"), &json!(slr_path)),
            "InvalidRequestException: Failed to validate if SLR: \
             AWSServiceRoleForAmazonEKSForFargate already exists due to missing permissions for \
             'iam:GetRole'",
        ),
        (
            allow(&json!("iam:GetRole"), &json!(slr)),
            "InvalidRequestException: Failed to validate if SLR: \
             AWSServiceRoleForAmazonEKSForFargate already exists due to missing permissions for \
             'iam:GetRole'",
        ),
        (
            service_role("eks-fargate.amazonaws.com"),
            "iam:CreateServiceLinkedRole on resource",
        ),
        (
            allow(&json!("ec2:DescribeSubnets"), &json!("*")),
            "Missing permissions for \"ec2:DescribeSubnets\"",
        ),
        (
            allow(&json!("ec2:DescribeRouteTables"), &json!("*")),
            "Missing permissions for \"ec2:DescribeRouteTables\"",
        ),
    ];
    each_is_needed(&steps, |world| {
        let call = world.eks.create_fargate_profile().cluster_name("demo");
        let call = call.fargate_profile_name("a").tags("team", "a");
        let call = call.pod_execution_role_arn("arn:aws:iam::111122223333:role/pods");
        async move {
            let made = call.send().await;
            Err((code(&made).to_owned(), message(&made).to_owned()))
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn resources_in_a_cluster_have_arns_of_their_own() {
    let on = |resource: &str| json!(arn("eks", resource));
    let world = World::new(&json!([
        allow(
            &json!("eks:DescribeFargateProfile"),
            &on("fargateprofile/demo/a/*")
        ),
        allow(&json!("eks:DescribeAddon"), &on("addon/demo/*")),
        allow(
            &json!("eks:DescribeAccessEntry"),
            &on("access-entry/demo/role/*/b/*")
        ),
        allow(&json!("eks:CreateAddon"), &on("cluster/demo")),
        allow(&json!("eks:ListClusters"), &on("cluster/*")),
        allow(&json!("eks:DescribeClusterVersions"), &json!("*")),
    ]));
    let missing = "ResourceNotFoundException";
    let profile = |name: &str| {
        let call = world.eks.describe_fargate_profile().cluster_name("demo");
        call.fargate_profile_name(name).send()
    };
    assert_eq!(code(&profile("a").await), missing);
    assert_eq!(code(&profile("b").await), "AccessDeniedException");
    let call = world.eks.describe_addon().cluster_name("demo");
    assert_eq!(code(&call.addon_name("coredns").send().await), missing);
    let entry = |name: &str| {
        let call = world.eks.describe_access_entry().cluster_name("demo");
        call.principal_arn(format!("arn:aws:iam::{ACCOUNT}:role/x/{name}"))
            .send()
    };
    assert_eq!(code(&entry("b").await), missing);
    assert_eq!(code(&entry("c").await), "AccessDeniedException");
    let addon = || {
        let call = world.eks.create_addon().cluster_name("demo");
        call.addon_name("coredns")
    };
    assert_eq!(code(&addon().send().await), missing);
    let with_role = addon().service_account_role_arn(format!("arn:aws:iam::{ACCOUNT}:role/x"));
    let refused = with_role.send().await;
    assert!(
        message(&refused).contains("iam:PassRole"),
        "{}",
        message(&refused)
    );
    world.eks.list_clusters().send().await.unwrap();
    let versions = world.eks.describe_cluster_versions().send().await;
    versions.unwrap();
    let refused = world.eks.list_access_policies().send().await;
    let words = format!("on resource: {} because", arn("eks", "*"));
    assert!(message(&refused).contains(&words), "{}", message(&refused));
}
