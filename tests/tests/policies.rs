//! Least privilege, proven: each function's policy in the template against the calls that the function
//! really makes, both ways.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tests::{World, project, template};

/// Actions that are allowed without being calls: AWS checks them when it is asked for something else.
/// Source of each: the service authorization reference and AWS.md's sources named in the template.
const IMPLIED: &[(&str, &[&str])] = &[
    ("plan", &["sts:AssumeRole"]),
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
    ("verify", &[]),
    ("registry", &[]),
];

/// The calls that a provisioning run, the check, the teardown and a removal on its own make, by function.
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
    let execution = world.check().await;
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
    // Everybody may ask who they are: the call needs no permission. What the simulator does not play
    // has no name there.
    let free = ["sts:GetCallerIdentity", "servicequotas:Unknown"];
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
