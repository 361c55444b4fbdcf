//! What there is in a simulated account, for tests that want it to be nothing, or unchanged.

use std::collections::BTreeMap;

use serde_json::Value;
use simulator::State;

/// Everything in the account that somebody made: `kind id`. Service-linked roles are shared by all
/// clusters and stay; the roles that the test itself put there are not counted.
#[must_use]
pub fn everything(state: &State, account: &str) -> Vec<String> {
    things(state, account).into_keys().collect()
}

/// Everything of one cluster: `kind id`, and the thing itself as JSON, without the time at which it was
/// looked at last.
///
/// Something is the cluster's if it has its tag or its name, or is in its VPC.
///
/// # Panics
/// If the state cannot be JSON, which it always can.
#[must_use]
pub fn of_cluster(state: &State, account: &str, cluster: &str) -> BTreeMap<String, String> {
    let all = things(state, account);
    let tag = format!("\"hardway:cluster\":\"{cluster}\"");
    let own = |name: &str, thing: &Value| {
        let text = thing.to_string();
        text.contains(&tag)
            || name.ends_with(&format!("/aws/eks/{cluster}/cluster"))
            || (name.starts_with("parameters ") && name.ends_with(&format!("/{cluster}")))
    };
    let vpcs: Vec<String> = all
        .iter()
        .filter(|(name, thing)| name.starts_with("vpcs ") && own(name, thing))
        .filter_map(|(name, _)| Some(name.split_once(' ')?.1.to_owned()))
        .collect();
    let is_inside = |thing: &Value| {
        let vpc = thing["vpc_id"].as_str();
        vpc.is_some_and(|vpc| vpcs.iter().any(|it| it == vpc))
    };
    all.into_iter()
        .filter(|(name, thing)| own(name, thing) || is_inside(thing))
        .map(|(name, thing)| (name, thing.to_string()))
        .collect()
}

pub(crate) fn things(state: &State, account: &str) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let Some(account) = state.accounts.get(account) else {
        return found;
    };
    let account = serde_json::to_value(account).unwrap();
    let mut add = |kind: &str, things: &Value| {
        for (id, thing) in things.as_object().into_iter().flatten() {
            let mut thing = thing.clone();
            if let Some(members) = thing.as_object_mut() {
                members.remove("settled_at");
            }
            found.insert(format!("{kind} {id}"), thing);
        }
    };
    add("roles", &account["iam"]["roles"]);
    for region in account["regions"].as_object().unwrap().values() {
        for kind in [
            "vpcs",
            "subnets",
            "internet_gateways",
            "addresses",
            "nat_gateways",
            "route_tables",
            "security_groups",
            "network_interfaces",
        ] {
            add(kind, &region["ec2"][kind]);
        }
        add("clusters", &region["eks"]["clusters"]);
        add("log groups", &region["logs"]["groups"]);
        add("parameters", &region["ssm"]["parameters"]);
    }
    found.retain(|name, thing| !is_history(name, thing));
    found
}

/// What AWS shows of the past, what it makes for all clusters, and what the tests take for granted.
fn is_history(name: &str, thing: &Value) -> bool {
    let text = |key: &str| thing[key].as_str().unwrap_or_default();
    (name.starts_with("nat_gateways ") && !thing["deletion"].is_null())
        || (name.starts_with("roles ")
            && (text("path").starts_with("/aws-service-role/")
                || !text("name").starts_with("hardway-")))
}
