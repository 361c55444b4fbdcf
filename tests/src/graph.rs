//! The resources of an account as a graph without ids and times: two runs that made the same have equal
//! graphs.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use simulator::State;

use crate::left;

/// Members that are not what a resource is, but when it was made and what AWS calls it.
const INCIDENTAL: &[&str] = &[
    "id",
    "digits",
    "role_id",
    "dhcp_options_id",
    "cidr_association_id",
    "interface",
    "interfaces",
    "interface_id",
    "association",
    "public_ip",
    "token",
    "updates",
    "insights",
    "coredns",
    "made",
    "minted",
    "before",
    "settled",
    "hidden_update_until",
    "start_seconds",
];

/// Every resource under its name (kind and role), with its members; ids of other resources are
/// replaced by their names. What EKS and NAT gateways make for themselves is left out.
///
/// # Errors
/// If two resources have one name: one of them is surplus.
pub fn of(state: &State, account: &str) -> Result<BTreeMap<String, Value>, String> {
    let mut things = left::things(state, account);
    things.retain(|name, thing| !is_made_by_itself(name, thing));
    let names: BTreeMap<String, String> = things
        .iter()
        .filter_map(|(name, thing)| Some((id(name).to_owned(), name_of(name, thing)?)))
        .collect();
    let mut graph = BTreeMap::new();
    for (name, thing) in &things {
        let role = name_of(name, thing).unwrap_or_else(|| name.clone());
        let thing = without_ids(thing, &names);
        if graph.insert(role.clone(), thing).is_some() {
            return Err(format!("{role} is there twice"));
        }
    }
    Ok(graph)
}

/// Interfaces and groups are EKS' and the NAT gateways', or the VPC's own, as is its main route table.
fn is_made_by_itself(name: &str, thing: &Value) -> bool {
    let made = ["network_interfaces ", "security_groups "];
    made.iter().any(|kind| name.starts_with(kind))
        || (name.starts_with("route_tables ") && thing["tags"] == Value::Object(Map::new()))
}

fn id(name: &str) -> &str {
    name.split_once(' ').map_or(name, |(_, id)| id)
}

/// `subnets private-apne1-az1`; a cluster, a role and a log group have names of their own.
fn name_of(name: &str, thing: &Value) -> Option<String> {
    let kind = name.split_once(' ')?.0;
    if ["clusters", "roles", "log groups", "parameters"].contains(&kind) {
        return Some(name.to_owned());
    }
    let role = thing["tags"]["hardway:role"].as_str()?;
    Some(format!("{kind} {role}"))
}

fn without_ids(value: &Value, names: &BTreeMap<String, String>) -> Value {
    match value {
        // The keys of associations are their ids.
        Value::Object(members) if members.keys().any(|key| key.starts_with("rtbassoc-")) => {
            without_ids(&members.values().cloned().collect(), names)
        }
        Value::Object(members) => members
            .iter()
            .filter(|(key, _)| !is_incidental(key))
            .map(|(key, value)| (key.clone(), without_ids(value, names)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(|it| without_ids(it, names)).collect();
            items.sort_by_key(ToString::to_string);
            items.into()
        }
        Value::String(text) => text_without_ids(text, names).into(),
        other => other.clone(),
    }
}

fn is_incidental(key: &str) -> bool {
    INCIDENTAL.contains(&key)
        || ["_at", "_until", "security_group_id"]
            .iter()
            .any(|end| key.ends_with(end))
}

/// EKS ends the ARNs of profiles, add-ons and access entries with a random part; an add-on's
/// configuration names the profile's.
fn text_without_ids(text: &str, names: &BTreeMap<String, String>) -> String {
    if let Some(name) = names.get(text) {
        return name.clone();
    }
    let is_part = |c: char| c.is_ascii_hexdigit() || c == '-';
    let mut words: Vec<&str> = text.split('/').collect();
    let is_of_eks = ["fargateprofile/", "addon/", "access-entry/"]
        .iter()
        .any(|kind| text.contains(kind));
    if is_of_eks {
        words.retain(|word| word.len() < 36 || !word.starts_with(is_part));
    }
    words.join("/")
}

/// What is in one graph and not, or not so, in the other; one line for each difference.
#[must_use]
pub fn difference(
    expected: &BTreeMap<String, Value>,
    actual: &BTreeMap<String, Value>,
) -> Vec<String> {
    let names = expected.keys().chain(actual.keys());
    let names: std::collections::BTreeSet<_> = names.collect();
    names
        .into_iter()
        .filter_map(|name| match (expected.get(name), actual.get(name)) {
            (Some(_), None) => Some(format!("{name} is missing")),
            (None, Some(_)) => Some(format!("{name} is surplus")),
            (Some(one), Some(other)) if one != other => {
                Some(format!("{name} is\n  {other} instead of\n  {one}"))
            }
            _ => None,
        })
        .collect()
}
