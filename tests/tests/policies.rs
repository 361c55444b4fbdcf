//! Least privilege, proven: each function's policy in the template against the calls that the function
//! really makes, both ways; against the policy of its sessions in other accounts; and all of them
//! against the role that a member account has for hardway.

use functions::aws::Session;
use functions::aws::session::POLICY_MAX;
use functions::model::RoleNames;
use functions::model::names::{ROLE_NAME_PREFIX_MAX, RoleOf};
use functions::model::spec::matches_wildcards;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tests::member_role::{of_partition, trusted_role_arns};
use tests::world::{ACCOUNT, role_of_function};
use tests::{World, generated, project, template};

/// Actions that are allowed without being calls: AWS checks them when it is asked for something else.
/// Source of each: the service authorization reference and AWS.md's sources named in the template.
const IMPLIED: &[(&str, &[&str])] = &[
    ("plan", &["ec2:CreateTags"]),
    // The deletions here and below are of what GuardDuty makes, which no run here has.
    (
        "vpc",
        &[
            "ec2:CreateTags",
            "ec2:DeleteVpcEndpoints",
            "ec2:DeleteSecurityGroup",
        ],
    ),
    (
        "subnets",
        &["ec2:DeleteVpcEndpoints", "ec2:DeleteSecurityGroup"],
    ),
    ("nat-gateways", &["ec2:CreateTags"]),
    ("public-routes", &["ec2:CreateTags"]),
    ("private-routes", &["ec2:CreateTags"]),
    ("cluster-role", &["iam:TagRole"]),
    ("pod-execution-role", &["iam:TagRole"]),
    (
        "cluster",
        &[
            "eks:TagResource",
            "iam:PassRole",
            "iam:GetRole",
            "iam:ListAttachedRolePolicies",
            "iam:CreateServiceLinkedRole",
            "kms:DescribeKey",
            "kms:CreateGrant",
        ],
    ),
    // Profiles are read when the entry of their pods is gone.
    (
        "cluster-access",
        &["eks:TagResource", "eks:DescribeFargateProfile"],
    ),
    (
        "fargate-profiles",
        &[
            "eks:TagResource",
            "iam:PassRole",
            "iam:GetRole",
            "iam:CreateServiceLinkedRole",
            "ec2:Describe*",
        ],
    ),
    ("coredns", &[]),
    ("control-plane-logs", &["logs:TagResource"]),
    ("receipt", &[]),
    ("account-created", &[]),
    ("fleet-member", &[]),
    ("verify", &[]),
    ("registry", &[]),
];

/// The calls that a provisioning run, an upgrade, the check, the teardown, a removal on its own and a fleet
/// make, by function.
async fn calls() -> BTreeMap<String, BTreeSet<String>> {
    let world = World::new(21);
    let mut input = json!({
        "clusterName": "demo",
        "kubernetesVersion": "1.34",
        "logging": ["audit"],
        "access": {"admins": ["arn:aws:iam::111122223333:role/Admin"]},
    });
    world.prepare_for(&input);
    let execution = world.provision(input.clone()).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    // CoreDNS has to be updated for it first, and its new version is previewed.
    input["kubernetesVersion"] = json!("1.35");
    let mut dry = input.clone();
    dry["dryRun"] = true.into();
    let preview = world.provision(dry).await;
    assert!(preview.result.is_ok(), "{}", preview.timeline());
    let execution = world.provision(input.clone()).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    let execution = world.check().await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    world.remove("cluster-access", "demo").await;
    let execution = world.tear_down(json!({"clusterName": "demo"})).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    let execution = world.fleet("fleet", json!({"inputs": [input]})).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    let simulated = world.simulator.calls().into_iter();
    let simulated = simulated.map(|call| (call.access_key.to_lowercase(), call.action()));
    let of_states = world.step_functions.calls().into_iter();
    let of_states = of_states.map(|call| (call.access_key, call.action));
    let mut calls: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (function, action) in simulated.chain(of_states) {
        calls.entry(function).or_default().insert(action);
    }
    calls
}

#[tokio::test(start_paused = true)]
async fn every_call_that_a_function_makes_is_allowed() {
    let allowed = template::policies();
    // Everybody may ask who they are: the call needs no permission.
    let free = ["sts:GetCallerIdentity"];
    for (function, calls) in calls().await {
        let allowed = allowed
            .get(&function)
            .unwrap_or_else(|| panic!("who is {function}?"));
        for call in calls.iter().filter(|call| !free.contains(&call.as_str())) {
            assert!(
                allowed.iter().any(|action| matches_wildcards(action, call)),
                "{function} calls {call} without being allowed to"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_action_that_is_allowed_is_called_or_implied() {
    let calls = calls().await;
    for (function, allowed) in template::policies() {
        let implied = IMPLIED
            .iter()
            .find(|(name, _)| *name == function)
            .unwrap()
            .1;
        let source = sources(&function);
        let is_used = |action: &str| {
            calls.get(&function).is_some_and(|calls| {
                calls.iter().any(|call| matches_wildcards(action, call))
            })
                || implied.contains(&action)
                || action == "sts:AssumeRole"
                // Repairs that neither run needed are called by their name in the source.
                || source.contains(&format!("\"{action}\""))
        };
        for action in allowed {
            assert!(
                is_used(&action),
                "{function} is allowed {action} and never calls it"
            );
        }
    }
}

/// The sources that a function's calls can be in: its own, and what they use of what functions share.
fn sources(function: &str) -> String {
    let policy = project::root().join(project::policy_file(function));
    let mut text = sources_in(policy.parent().unwrap());
    let mut others = shared();
    loop {
        let uses = |(module, _): &(String, String)| text.contains(&format!("{module}::"));
        let Some(place) = others.iter().position(uses) else {
            return text;
        };
        text += &others.remove(place).1;
    }
}

/// The modules that functions share, each with its source.
fn shared() -> Vec<(String, String)> {
    let folders = ["aws", "resources", "steps"];
    let folders = folders.map(|it| project::root().join("functions/src").join(it));
    let files = folders.iter().flat_map(|it| std::fs::read_dir(it).unwrap());
    let files = files.map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|end| end == "rs"));
    let files = files.filter(|path| !path.ends_with("mod.rs"));
    let read = |path: std::path::PathBuf| {
        let module = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (module, std::fs::read_to_string(path).unwrap())
    };
    files.map(read).collect()
}

fn sources_in(folder: &std::path::Path) -> String {
    let files = std::fs::read_dir(folder).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|end| end == "rs"));
    files
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect()
}

/// What AWS asks for beside the calls themselves, too (`IMPLIED`), as far as the simulator does.
#[tokio::test(start_paused = true)]
async fn the_role_of_each_function_is_enough_for_its_work() {
    let input = json!({
        "clusterName": "demo",
        "logging": ["audit"],
        "access": {"admins": ["arn:aws:iam::111122223333:role/Admin"]},
        "kmsKeyArn": "arn:aws:kms:ap-northeast-1:111122223333:key/1234",
        "permissionsBoundaryArn": "arn:aws:iam::111122223333:policy/Limit",
        "tags": {"team": "platform"},
    });
    let world = World::new(22).with_roles("HardwayMember");
    world.prepare_for(&input);
    let execution = world.provision(input).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    world.remove("cluster-access", "demo").await;
    let execution = world.tear_down(json!({"clusterName": "demo"})).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    let calls = world.simulator.calls();
    let denied: Vec<_> = calls
        .iter()
        .filter(|call| {
            let error = call.error.as_deref().unwrap_or_default();
            // EC2 says AuthFailure of an address that its NAT gateway still holds.
            let is_held = call.operation == "ReleaseAddress" && error == "AuthFailure";
            functions::aws::codes::ACCESS_DENIED.contains(&error) && !is_held
        })
        .collect();
    assert!(denied.is_empty(), "{denied:#?}");
}

#[test]
fn implied_actions_are_named_for_each_function() {
    let named: BTreeSet<&str> = IMPLIED.iter().map(|(name, _)| *name).collect();
    let functions: Vec<String> = template::policies().into_keys().collect();
    assert_eq!(functions, named.into_iter().collect::<Vec<_>>());
    let _: Value = template::template();
}

/// The policies of sessions in other accounts, by function.
fn session_policies() -> BTreeMap<String, Value> {
    let functions = template::functions().into_iter();
    functions
        .filter(|(_, function)| template::statements(function).is_some())
        .map(|(name, _)| {
            let policy = project::read_json(&project::policy_file(&name));
            (name, policy)
        })
        .collect()
}

/// `UPDATE_POLICIES=1` writes the files.
#[test]
fn a_session_may_do_what_the_functions_own_role_allows_and_no_more() {
    for (name, function) in template::functions() {
        let statements = template::statements(&function);
        let path = project::root().join(project::policy_file(&name));
        assert_eq!(
            path.exists(),
            statements.is_some(),
            "{name}: a policy, or a session"
        );
        let Some(statements) = statements else {
            continue;
        };
        let expected = json!({"Version": "2012-10-17", "Statement": statements});
        let expected = serde_json::to_string_pretty(&expected).unwrap() + "\n";
        if std::env::var("UPDATE_POLICIES").is_ok_and(|value| value == "1") {
            std::fs::write(&path, &expected).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap();
        assert!(
            committed == expected,
            "run `UPDATE_POLICIES=1 cargo test --test all policies::` and commit {}",
            path.display()
        );
    }
}

/// `UPDATE_POLICIES=1` writes them.
#[test]
fn generated_parts_of_the_templates_are_up_to_date() {
    for name in ["infra/template.yaml", "infra/member-role.yaml"] {
        let committed = project::read(name);
        let expected = generated::up_to_date(&committed);
        let update = std::env::var("UPDATE_POLICIES").is_ok_and(|value| value == "1");
        if update && committed != expected {
            std::fs::write(project::root().join(name), &expected).unwrap();
        }
        assert!(
            project::read(name) == expected,
            "run `UPDATE_POLICIES=1 cargo test --test all policies::` and commit {name}"
        );
    }
}

/// AWS also packs the policy, for a limit that nobody can work out beforehand (STS API reference,
/// AssumeRole): an eighth of the first limit is kept free for that.
#[test]
fn the_policy_of_every_session_is_short_enough_for_sts() {
    let mut target = functions::model::Plan::example().target;
    // The longest name of a partition.
    target.partition = "aws-us-gov".to_owned();
    target.account.id = "444455556666".to_owned();
    let longest = RoleNames {
        path: format!("/{}/", "p".repeat(62)),
        name_prefix: "p".repeat(ROLE_NAME_PREFIX_MAX),
    };
    for (name, policy) in session_policies() {
        let session = Session {
            step: "any",
            policy: policy.to_string().leak(),
        };
        let length = |names: &RoleNames| session.policy(&target, names).unwrap().chars().count();
        let usual = length(&RoleNames::default());
        println!("{usual:>5} {name}");
        assert!(usual <= POLICY_MAX * 7 / 8, "{name}: {usual}");
        let most = length(&longest);
        assert!(most <= POLICY_MAX, "{name}: {most}");
    }
}

/// What STS in China may still make of it: public reports have 18 actions at 82 % of its packed limit, 31 at
/// 118 %, 42 at 157 %. The simulator refuses 24.
#[test]
fn the_policy_of_every_session_has_few_enough_actions_for_china() {
    for (name, policy) in session_policies() {
        let statements = policy["Statement"].as_array().unwrap();
        let actions = statements
            .iter()
            .map(|it| it["Action"].as_array().map_or(1, Vec::len));
        let actions: usize = actions.sum();
        assert!(actions <= 23, "{name}: {actions}");
    }
}

/// The two statements that no run on a real account got past, before they were mended.
const WRONG: [(&str, &str, &str); 3] = [
    (
        "fargate-profiles",
        "iam:PassRole",
        r#"{"Effect": "Allow", "Action": "iam:PassRole", "Resource": "arn:aws:iam::111122223333:role/hardway-*-pod-execution", "Condition": {"StringEquals": {"iam:PassedToService": "eks-fargate-pods.amazonaws.com"}}}"#,
    ),
    (
        "cluster-role",
        "iam:GetRole",
        r#"{"Effect": "Allow", "Action": "iam:GetRole", "Resource": "arn:aws:iam::111122223333:role/aws-service-role/eks.amazonaws.com/*"}"#,
    ),
    (
        "pod-execution-role",
        "iam:GetRole",
        r#"{"Effect": "Allow", "Action": "iam:GetRole", "Resource": "arn:aws:iam::111122223333:role/aws-service-role/eks-fargate.amazonaws.com/*"}"#,
    ),
];

/// A function whose statement is the wrong one again is denied, in a new account, and the failure names the
/// action.
#[tokio::test(start_paused = true)]
async fn the_wrong_statements_of_before_are_denied_by_name() {
    for (function, action, wrong) in WRONG {
        let world = World::new(24).with_roles("HardwayMember");
        let wrong: Value = serde_json::from_str(wrong).unwrap();
        world.simulator.change(|state| {
            let iam = &mut state.accounts.get_mut(ACCOUNT).unwrap().iam;
            let role = role_of_function(function).to_lowercase();
            let role = iam.roles.get_mut(&role).unwrap();
            let mut inline = role.inline.current().clone();
            let document = inline.values_mut().next().unwrap();
            let mut policy: Value = serde_json::from_str(document).unwrap();
            let statements = policy["Statement"].as_array_mut().unwrap();
            let of_own_role = |it: &Value| {
                it["Resource"]
                    .as_str()
                    .is_some_and(|arn| arn.ends_with("*-cluster"))
                    || it["Resource"]
                        .as_str()
                        .is_some_and(|arn| arn.ends_with("*-pod-execution"))
            };
            // All that is about the action and not about the cluster's own role alone.
            statements.retain(|it| {
                it["Action"] != action || (action == "iam:GetRole" && of_own_role(it))
            });
            statements.push(wrong.clone());
            *document = policy.to_string();
            let created_at = role.created_at;
            role.inline = simulator::iam::EventuallyConsistent::new(inline, created_at);
        });
        let input = json!({"clusterName": "demo"});
        let execution = world.provision(input).await;
        let failure = execution.failure();
        assert_eq!(failure.error, "AccessDenied", "{function}");
        assert!(
            failure.cause.contains(action)
                && failure.cause.contains("is not authorized to perform"),
            "{function}: {}",
            failure.cause
        );
        println!("{function}: {}", failure.cause);
    }
}

/// As an account is that never had EKS: no service-linked role, and every function with its role.
#[tokio::test(start_paused = true)]
async fn todays_policies_are_enough_in_a_brand_new_account() {
    let world = World::new(25).with_roles("HardwayMember");
    let of_aws = |world: &World| {
        let state = world.simulator.state();
        let roles = state.accounts[ACCOUNT].iam.roles.values();
        roles.filter(|role| role.is_service_linked()).count()
    };
    assert_eq!(of_aws(&world), 0);
    let execution = world.provision(json!({"clusterName": "demo"})).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    assert_eq!(of_aws(&world), 2);
}

/// Of what hardway does not only read, no policy reaches a role that is not a cluster's: neither its own, nor
/// the member role, nor anybody's.
#[test]
fn no_policy_reaches_a_role_that_is_not_a_clusters() {
    let patterns = [
        "arn:${Partition}:iam::${AccountId}:role${ClusterRolePath}${RoleNamePrefix}*-cluster",
        "arn:${Partition}:iam::${AccountId}:role/${RoleNamePrefix}*-pod-execution",
    ];
    let with_tag = [
        "aws:ResourceTag/hardway:cluster",
        "aws:RequestTag/hardway:cluster",
    ];
    for (name, policy) in session_policies() {
        for [_, action, resource, condition] in grants(&policy) {
            let reads = ["iam:Get", "iam:List"]
                .iter()
                .any(|verb| action.starts_with(verb));
            if !action.starts_with("iam:") || reads || action == "iam:CreateServiceLinkedRole" {
                continue;
            }
            assert!(
                patterns.contains(&resource.as_str()),
                "{name}: {action} on {resource}"
            );
            // AWS says of iam:PassRole that tags are not reliable there.
            let is_tagged = with_tag.iter().any(|key| condition.contains(key));
            assert!(
                is_tagged || action == "iam:PassRole",
                "{name}: {action}: {condition}"
            );
        }
    }
    // The names that follow from a target are those, and the stack's own are not.
    let fill = |pattern: &str| {
        let pattern = pattern.replace("${ClusterRolePath}", "/");
        let pattern = pattern.replace("${RoleNamePrefix}", "hardway-");
        pattern.rsplit_once(":role/").unwrap().1.to_owned()
    };
    let mut target = functions::model::Plan::example().target;
    for cluster in ["demo", &"x".repeat(100)] {
        target.cluster_name = cluster.to_owned();
        for (of, pattern) in RoleOf::ALL.into_iter().zip(&patterns) {
            assert!(
                matches_wildcards(&fill(pattern), &of.name(&target)),
                "{pattern}"
            );
        }
    }
    for function in template::functions().into_keys() {
        let own = format!("hardway/{}", role_of_function(&function));
        for pattern in &patterns {
            assert!(!matches_wildcards(&fill(pattern), &own), "{own}");
        }
    }
}

/// Deletions and the like of EC2, EKS and CloudWatch Logs are of what carries a cluster's tag. EKS's network
/// interfaces carry none that is documented.
#[test]
fn deletions_and_detachments_require_a_tag() {
    let verbs = ["Delete", "Detach", "Disassociate", "Release"];
    for (name, policy) in session_policies() {
        for [_, action, _, condition] in grants(&policy) {
            let verb = action.split_once(':').unwrap().1;
            if verbs.iter().any(|it| verb.starts_with(it)) && action != "ec2:DeleteNetworkInterface"
            {
                let is_tagged = condition.contains("aws:ResourceTag/");
                assert!(is_tagged, "{name}: {action}: {condition}");
            }
        }
    }
}

/// The stack's parameters reach policies and names, an input may say more of them, a cluster keeps its roles
/// whatever a later input says, and the teardown finds them without being told.
#[tokio::test(start_paused = true)]
async fn roles_with_a_path_and_a_prefix_are_made_kept_and_removed() {
    let names = RoleNames {
        path: "/platform/".to_owned(),
        name_prefix: "platform-".to_owned(),
    };
    let world = World::new(26)
        .with_role_names(names)
        .with_roles("HardwayMember");
    let roles = |world: &World| -> Vec<String> {
        let state = world.simulator.state();
        let roles = state.accounts[ACCOUNT].iam.roles.values();
        let of_cluster = roles.filter(|role| role.tags.contains_key("hardway:cluster"));
        of_cluster
            .map(|role| format!("{}{}", role.path, role.name))
            .collect()
    };
    let input = json!({
        "clusterName": "demo",
        "iam": {"path": "/platform/", "namePrefix": "platform-team-"},
    });
    let execution = world.provision(input.clone()).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    let made = [
        "/platform/platform-team-demo-ap-northeast-1-cluster",
        "/platform-team-demo-ap-northeast-1-pod-execution",
    ];
    assert_eq!(roles(&world), made);
    let execution = world.provision(json!({"clusterName": "demo"})).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    assert_eq!(roles(&world), made);
    let execution = world.tear_down(json!({"clusterName": "demo"})).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    assert_eq!(roles(&world), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_input_does_not_leave_what_the_stack_says_of_roles() {
    let names = RoleNames {
        path: "/platform/".to_owned(),
        name_prefix: "platform-".to_owned(),
    };
    let world = World::new(27).with_role_names(names);
    for (iam, said) in [
        (
            json!({"path": "/other/"}),
            "expected /platform/, which is the stack's ClusterRolePath",
        ),
        (
            json!({"namePrefix": "hardway-"}),
            "one that begins with platform-, which is the stack's RoleNamePrefix",
        ),
    ] {
        let execution = world
            .provision(json!({"clusterName": "demo", "iam": iam}))
            .await;
        let failure = execution.failure();
        assert_eq!(failure.error, "InvalidRequest");
        assert!(failure.cause.contains(said), "{}", failure.cause);
    }
    assert!(world.changes().is_empty());
}

/// What statements allow, one action on one resource under one condition at a time.
fn grants(policy: &Value) -> BTreeSet<[String; 4]> {
    fn each(value: &Value) -> Vec<String> {
        let items = value.as_array().cloned();
        let items = items.unwrap_or_else(|| vec![value.clone()]);
        items
            .iter()
            .map(|it| it.as_str().unwrap().to_owned())
            .collect()
    }
    let mut grants = BTreeSet::new();
    for statement in policy["Statement"].as_array().unwrap() {
        let effect = statement["Effect"].as_str().unwrap();
        let condition = statement["Condition"].to_string();
        for action in each(&statement["Action"]) {
            for resource in each(&statement["Resource"]) {
                let grant = [effect, &action, &resource, &condition];
                grants.insert(grant.map(ToOwned::to_owned));
            }
        }
    }
    grants
}

#[test]
fn the_member_role_allows_what_the_sessions_of_all_functions_may_do_and_no_more() {
    let policies = session_policies();
    let wanted: BTreeSet<_> = policies.values().flat_map(grants).collect();
    let arns = trusted_role_arns(ACCOUNT);
    let trusted = [("TrustedRoleArns", arns.as_str())];
    let names = [
        ("ClusterRolePath", "${ClusterRolePath}"),
        ("RoleNamePrefix", "${RoleNamePrefix}"),
    ];
    let given = [trusted[0], names[0], names[1]];
    let role = of_partition("${Partition}", "${AccountId}", &given);
    let allowed = grants(&role.permissions);
    let missing: Vec<_> = wanted.difference(&allowed).collect();
    assert!(missing.is_empty(), "missing: {missing:#?}");
    let surplus: Vec<_> = allowed.difference(&wanted).collect();
    assert!(surplus.is_empty(), "surplus: {surplus:#?}");
    // IAM's quota for the inline policies of a role, white space apart.
    let role = of_partition("aws-us-gov", "444455556666", &trusted);
    let length = role.permissions.to_string().chars().count();
    assert!(length <= 10_240, "{length}");
}

/// The functions may change every role of that name: not the one that they are let in by.
#[test]
fn the_member_role_is_none_of_those_that_it_may_change() {
    let trusted = [("TrustedRoleArns", "arn:aws:iam::111122223333:role/a")];
    let role = of_partition("aws", "444455556666", &trusted);
    let own = format!("arn:aws:iam::444455556666:role/{}", role.name);
    for [_, action, resource, _] in grants(&role.permissions) {
        let reads = ["iam:Get", "iam:List"]
            .iter()
            .any(|verb| action.starts_with(verb));
        if action.starts_with("iam:") && !reads {
            let reaches = matches_wildcards(&resource, &own);
            assert!(!reaches, "{action} on {resource}");
        }
    }
    let template = template::read("infra/member-role.yaml");
    let pattern = template["Parameters"]["RoleName"]["AllowedPattern"].as_str();
    assert!(pattern.unwrap().starts_with("(?!hardway-)"));
}

#[test]
fn the_member_role_trusts_each_function_by_its_arn_and_asks_for_the_external_id() {
    let arns = trusted_role_arns("111122223333");
    let given = [("TrustedRoleArns", arns.as_str())];
    let listed: Vec<&str> = arns.split(',').collect();
    assert_eq!(listed.len(), session_policies().len());
    let principal = json!({"AWS": listed});
    let plain = of_partition("aws", "444455556666", &given).trust;
    let statement = json!({
        "Effect": "Allow",
        "Principal": principal,
        "Action": "sts:AssumeRole",
    });
    assert_eq!(plain["Statement"], json!([statement]));
    let agreed = [given[0], ("ExternalId", "agreed")];
    let trust = of_partition("aws", "444455556666", &agreed).trust;
    let condition = json!({"StringEquals": {"sts:ExternalId": "agreed"}});
    assert_eq!(trust["Statement"][0]["Condition"], condition);
    // IAM's quota for a trust policy, white space apart.
    let length = trust.to_string().chars().count();
    assert!(length <= 2048, "{length}");
    let template = template::read("infra/member-role.yaml");
    let pattern = template["Parameters"]["TrustedRoleArns"]["AllowedPattern"].as_str();
    let pattern = regex_lite::Regex::new(&format!("^(?:{})$", pattern.unwrap())).unwrap();
    assert!(listed.iter().all(|arn| pattern.is_match(arn)));
    for wrong in [
        "*",
        "arn:aws:iam::111122223333:root",
        "arn:aws:iam::111122223333:role/a*",
    ] {
        assert!(!pattern.is_match(wrong), "{wrong}");
    }
}
