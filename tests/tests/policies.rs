//! Least privilege, proven: each function's policy in the template against the calls that the function
//! really makes, both ways; against the policy of its sessions in other accounts; and all of them
//! against the role that a member account has for hardway.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use step::session::{POLICY_MAX, Session};
use tests::member_role::of_partition;
use tests::{World, project, template};

/// Actions that are allowed without being calls: AWS checks them when it is asked for something else.
/// Source of each: the service authorization reference and AWS.md's sources named in the template.
const IMPLIED: &[(&str, &[&str])] = &[
    ("plan", &["ec2:CreateTags"]),
    ("vpc", &["ec2:CreateTags"]),
    ("subnets", &[]),
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
            "ec2:DescribeDhcpOptions",
            "ec2:DescribeInstances",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeRouteTables",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSubnets",
            "ec2:DescribeVpcs",
            "kms:DescribeKey",
            "kms:CreateGrant",
        ],
    ),
    ("cluster-access", &["eks:TagResource"]),
    (
        "fargate-profiles",
        &[
            "eks:TagResource",
            "iam:PassRole",
            "iam:GetRole",
            "iam:CreateServiceLinkedRole",
            "ec2:DescribeRouteTables",
            "ec2:DescribeSubnets",
            "ec2:DescribeVpcs",
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
    // CoreDNS has to be updated for it first.
    input["kubernetesVersion"] = json!("1.35");
    let execution = world.provision(input.clone()).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    let mut dry = input.clone();
    dry["dryRun"] = true.into();
    let preview = world.provision(dry).await;
    assert!(preview.result.is_ok(), "{}", preview.timeline());
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
                allowed.contains(call),
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
            calls.get(&function).is_some_and(|calls| calls.contains(action))
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

/// The sources that a function's calls can be in: its own, and the modules that steps share.
fn sources(function: &str) -> String {
    let folder = project::root().join(format!("functions/{function}/src"));
    let own = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap_or_default());
    let own: String = own.collect();
    // What is in the way of a removal is looked for only when something is.
    let of_removal = ["foreign", "eks_network", "route_tables"];
    let shared = ["route_tables", "iam_role", "eks_insights", "execution"]
        .into_iter()
        .filter(|module| own.contains(&format!("{module}::")))
        .chain(
            of_removal
                .into_iter()
                .filter(|_| own.contains("outcome_in_vpc")),
        );
    let shared: String = shared
        .map(|module| project::read(&format!("functions/step/src/{module}.rs")))
        .collect();
    own + &shared
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
            step::codes::ACCESS_DENIED.contains(&error)
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
            let policy = project::read_json(&format!("functions/{name}/policy.json"));
            (name, policy)
        })
        .collect()
}

/// `UPDATE_POLICIES=1` writes the files anew.
#[test]
fn a_session_may_do_what_the_functions_own_role_allows_and_no_more() {
    for (name, function) in template::functions() {
        let statements = template::statements(&function);
        let path = project::root().join(format!("functions/{name}/policy.json"));
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
            "run `UPDATE_POLICIES=1 cargo test --test policies` and commit {}",
            path.display()
        );
    }
}

/// AWS also packs the policy, for a limit that nobody can work out beforehand (STS API reference,
/// AssumeRole): an eighth of the first limit is kept free for that.
#[test]
fn the_policy_of_every_session_is_short_enough_for_sts() {
    let mut target = step::Plan::example().target;
    // The longest name of a partition.
    target.partition = "aws-us-gov".to_owned();
    target.account.id = "444455556666".to_owned();
    for (name, policy) in session_policies() {
        let session = Session {
            step: "any",
            policy: policy.to_string().leak(),
        };
        let length = session.policy(&target).unwrap().chars().count();
        println!("{length:>5} {name}");
        assert!(length <= POLICY_MAX * 7 / 8, "{name}: {length}");
    }
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
    let trusted = [("TrustedAccountId", "111122223333")];
    let role = of_partition("${Partition}", "${AccountId}", &trusted);
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
    let trusted = [("TrustedAccountId", "111122223333")];
    let role = of_partition("aws", "444455556666", &trusted);
    let own = format!("arn:aws:iam::444455556666:role/{}", role.name);
    for [_, action, resource, _] in grants(&role.permissions) {
        let reads = ["iam:Get", "iam:List"]
            .iter()
            .any(|verb| action.starts_with(verb));
        if action.starts_with("iam:") && !reads {
            let prefix = resource.strip_suffix('*').unwrap();
            assert!(!own.starts_with(prefix), "{action} on {resource}");
        }
    }
    let template = template::read("infra/member-role.yaml");
    let pattern = template["Parameters"]["RoleName"]["AllowedPattern"].as_str();
    assert!(pattern.unwrap().starts_with("(?!hardway-)"));
}

#[test]
fn the_member_role_trusts_the_functions_of_one_stack_and_asks_for_the_external_id() {
    let given = [
        ("TrustedAccountId", "111122223333"),
        ("TrustedStackName", "clusters"),
    ];
    let plain = of_partition("aws-cn", "444455556666", &given).trust;
    let statement = |condition: Value| {
        json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws-cn:iam::111122223333:root"},
            "Action": "sts:AssumeRole",
            "Condition": condition,
        }]})
    };
    let caller = json!({"aws:PrincipalArn": "arn:aws-cn:iam::111122223333:role/clusters-*"});
    assert_eq!(plain, statement(json!({"ArnLike": caller})));
    let agreed = [given[0], given[1], ("ExternalId", "agreed")];
    assert_eq!(
        of_partition("aws-cn", "444455556666", &agreed).trust,
        statement(json!({"ArnLike": caller, "StringEquals": {"sts:ExternalId": "agreed"}}))
    );
}
