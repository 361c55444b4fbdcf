//! Least privilege, proven: each function's policy in the template against the calls that the function
//! really makes, both ways, and against the policy of its sessions in other accounts.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use step::session::{POLICY_MAX, Session};
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
];

/// The calls that a provisioning run, the teardown and a removal on its own make, by function.
async fn calls() -> BTreeMap<String, BTreeSet<String>> {
    let world = World::new(21);
    let input = json!({
        "clusterName": "demo",
        "logging": ["audit"],
        "access": {"admins": ["arn:aws:iam::111122223333:role/Admin"]},
    });
    world.prepare_for(&input);
    let execution = world.provision(input.clone()).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    world.remove("cluster-access", "demo").await;
    let execution = world.tear_down(json!({"clusterName": "demo"})).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    let mut calls: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for call in world.simulator.calls() {
        let function = call.access_key.to_lowercase();
        calls.entry(function).or_default().insert(call.action());
    }
    calls
}

#[tokio::test(start_paused = true)]
async fn every_call_that_a_function_makes_is_allowed() {
    let allowed = template::policies();
    // Everybody may ask who they are: the call needs no permission.
    let free = "sts:GetCallerIdentity";
    for (function, calls) in calls().await {
        let allowed = allowed
            .get(&function)
            .unwrap_or_else(|| panic!("who is {function}?"));
        for call in calls.iter().filter(|call| *call != free) {
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
            calls[&function].contains(action)
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
    let shared = ["route_tables", "iam_role"]
        .into_iter()
        .filter(|module| own.contains(module))
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
        .filter(|(_, function)| template::statements(function).1)
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
        let (statements, assumes) = template::statements(&function);
        let path = project::root().join(format!("functions/{name}/policy.json"));
        assert_eq!(path.exists(), assumes, "{name}: a policy, or a session");
        if !assumes {
            continue;
        }
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
/// AssumeRole): a quarter of the first limit is kept free for that.
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
        assert!(length <= POLICY_MAX * 3 / 4, "{name}: {length}");
    }
}
