//! Random inputs: fit values and odd ones, mixed.

use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};
use simulator::State;

use crate::World;
use crate::world::ACCOUNT;

/// Another account, with a role to assume.
const MEMBER: &str = "444455556666";
const ROLE: &str = "HardwayMember";
/// What there is in both.
const ADMINS: [&str; 2] = ["Admin", "Ops"];
const KEYS: [&str; 2] = ["key/1234abcd-12ab-34cd-56ef-1234567890ab", "alias/mine"];
const REGIONS: [&str; 4] = ["ap-northeast-1", "us-east-1", "eu-west-1", "ca-central-1"];

/// Makes what fit inputs take for granted.
pub fn prepare(world: &World) {
    let trust = State::organization_trust(ACCOUNT);
    world.simulator.change(|state| {
        for account in [ACCOUNT, MEMBER] {
            let names = ADMINS.iter().chain([&ROLE]);
            state.add_account(account, names.map(|name| (*name, trust.as_str())));
            let iam = &mut state.accounts.entry(account.to_owned()).or_default().iam;
            let boundary = format!("arn:aws:iam::{account}:policy/Boundary");
            iam.policies.insert(boundary);
            for (region, key) in REGIONS
                .iter()
                .flat_map(|region| KEYS.map(|key| (region, key)))
            {
                state.add_key(&format!("arn:aws:kms:{region}:{account}:{key}"));
            }
        }
    });
}

/// An input that `plan` should accept.
pub fn fit(rng: &mut ChaCha8Rng) -> Value {
    input(rng, 0.0)
}

/// An input in which each value is odd with the probability `oddness`.
///
/// # Panics
/// Never: there are values to choose from.
pub fn input(rng: &mut ChaCha8Rng, oddness: f64) -> Value {
    let is_member = rng.random_bool(0.2);
    let account = if is_member { MEMBER } else { ACCOUNT };
    let mut members = Map::new();
    let mut add = |rng: &mut ChaCha8Rng, name: &str, fit: Value| {
        let value = if rng.random_bool(oddness) {
            odd(rng, &fit)
        } else {
            fit
        };
        members.insert(name.to_owned(), value);
    };
    let name = pick(rng, &["demo", "a", "Demo_2-x", &"n".repeat(100)]);
    add(rng, "clusterName", name);
    if is_member {
        add(rng, "account", json!({"id": MEMBER, "roleName": ROLE}));
    }
    let region = *REGIONS.choose(rng).unwrap();
    if rng.random_bool(0.4) {
        add(rng, "region", json!(region));
    }
    let region = members.get("region").and_then(Value::as_str);
    let region = region.unwrap_or("ap-northeast-1").to_owned();
    let mut add = |rng: &mut ChaCha8Rng, name: &str, fit: Value| {
        if rng.random_bool(0.5) {
            return;
        }
        let value = if rng.random_bool(oddness) {
            odd(rng, &fit)
        } else {
            fit
        };
        members.insert(name.to_owned(), value);
    };
    let (version, support) = *[
        ("1.36", "STANDARD"),
        ("1.35", "EXTENDED"),
        ("1.33", "EXTENDED"),
    ]
    .choose(rng)
    .unwrap();
    if rng.random_bool(0.4) {
        add(rng, "supportType", json!(support));
        // STANDARD is the default, and not for a version in extended support.
        if support == "STANDARD" {
            add(rng, "kubernetesVersion", json!(version));
        }
    }
    let network = network(rng, &region);
    add(rng, "network", network);
    let endpoint = endpoint(rng);
    add(rng, "endpoint", endpoint);
    let profiles = profiles(rng);
    add(rng, "fargateProfiles", profiles);
    let admins: Vec<String> = ADMINS
        .iter()
        .filter(|_| rng.random_bool(0.6))
        .map(|name| format!("arn:aws:iam::{account}:role/{name}"))
        .collect();
    add(rng, "access", json!({"admins": admins}));
    let logging = some(
        rng,
        &[
            "api",
            "audit",
            "authenticator",
            "controllerManager",
            "scheduler",
        ],
    );
    add(rng, "logging", logging);
    let key = pick(rng, &KEYS);
    let key = key.as_str().unwrap_or_default();
    add(
        rng,
        "kmsKeyArn",
        json!(format!("arn:aws:kms:{region}:{account}:{key}")),
    );
    let protection = rng.random_bool(0.5);
    add(rng, "deletionProtection", json!(protection));
    let boundary = format!("arn:aws:iam::{account}:policy/Boundary");
    add(rng, "permissionsBoundaryArn", json!(boundary));
    let on_failure = pick(rng, &["keep", "remove"]);
    add(rng, "onFailure", on_failure);
    let tags = tags(rng);
    add(rng, "tags", tags);
    Value::Object(members)
}

fn pick(rng: &mut ChaCha8Rng, values: &[&str]) -> Value {
    json!(values.choose(rng).unwrap())
}

fn some(rng: &mut ChaCha8Rng, values: &[&str]) -> Value {
    let values = values.iter().filter(|_| rng.random_bool(0.5));
    values.map(|value| json!(value)).collect()
}

/// Zones of the regions of inputs in which a cluster can be.
fn zone_ids(region: &str) -> [&'static str; 3] {
    match region {
        "us-east-1" => ["use1-az1", "use1-az2", "use1-az6"],
        "eu-west-1" => ["euw1-az1", "euw1-az2", "euw1-az3"],
        "ca-central-1" => ["cac1-az1", "cac1-az2", "cac1-az4"],
        _ => ["apne1-az1", "apne1-az2", "apne1-az4"],
    }
}

fn network(rng: &mut ChaCha8Rng, region: &str) -> Value {
    let mut network = Map::new();
    if rng.random_bool(0.7) {
        let cidrs = [
            "10.0.0.0/16",
            "10.100.0.0/16",
            "172.16.0.0/16",
            "172.17.4.0/24",
            "172.20.0.0/18",
            "192.168.7.0/24",
            "100.64.0.0/20",
        ];
        network.insert("cidr".to_owned(), pick(rng, &cidrs));
    }
    if rng.random_bool(0.7) {
        let zones = rng.random_range(2..=3);
        network.insert("availabilityZones".to_owned(), json!(zones));
    }
    let mut ids = zone_ids(region);
    ids.shuffle(rng);
    match rng.random_range(0..10) {
        0 | 1 => {
            let named = &ids[..rng.random_range(2..=3)];
            network.insert("availabilityZoneIds".to_owned(), json!(named));
        }
        2 | 3 => {
            let excluded = &ids[..1];
            network.insert("excludedAvailabilityZoneIds".to_owned(), json!(excluded));
        }
        _ => {}
    }
    if rng.random_bool(0.7) {
        let gateways = pick(rng, &["single", "onePerAz"]);
        network.insert("natGateways".to_owned(), gateways);
    }
    Value::Object(network)
}

fn endpoint(rng: &mut ChaCha8Rng) -> Value {
    let endpoints = [
        json!({}),
        json!({"public": false}),
        json!({"public": true, "private": false}),
        json!({"private": false, "publicCidrs": ["0.0.0.0/0"]}),
        json!({"publicCidrs": ["203.0.113.0/24", "198.51.100.7/32"]}),
        json!({"public": true, "private": true, "publicCidrs": ["0.0.0.0/1", "128.0.0.0/1"]}),
    ];
    endpoints.choose(rng).unwrap().clone()
}

fn profiles(rng: &mut ChaCha8Rng) -> Value {
    let coredns = [
        json!({"namespace": "kube-system"}),
        json!({"namespace": "kube-*"}),
        json!({"namespace": "*"}),
        json!({"namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}}),
        json!({"namespace": "kube-system", "labels": {"eks.amazonaws.com/component": "cored?s"}}),
    ];
    let apps = [
        json!({"namespace": "default"}),
        json!({"namespace": "prod-?"}),
        json!({"namespace": "apps", "labels": {"example.com/team": "web", "tier": ""}}),
        json!({"namespace": "x".repeat(63), "labels": {"a_b.c": "1-2_3.4"}}),
    ];
    let mut profiles = vec![json!({
        "name": "dns",
        "selectors": [coredns.choose(rng).unwrap()],
    })];
    for number in 0..rng.random_range(0..=2) {
        let selectors: Vec<_> = apps.iter().filter(|_| rng.random_bool(0.5)).collect();
        if !selectors.is_empty() {
            let name = format!("Apps_{number}-x");
            profiles.push(json!({"name": name, "selectors": selectors}));
        }
    }
    Value::Array(profiles)
}

fn tags(rng: &mut ChaCha8Rng) -> Value {
    let tags = [
        json!({}),
        json!({"team": "platform", "cost centre": "a/b=c+d@e:f-1"}),
        json!({"Größe": "klein", "日本": "東京", "empty": ""}),
        json!({"k".repeat(127): "v".repeat(256)}),
        (0..40).map(|n| (format!("k{n}"), json!("v"))).collect(),
    ];
    tags.choose(rng).unwrap().clone()
}

/// Something else in the place of a fit value, often only a little else.
fn odd(rng: &mut ChaCha8Rng, fit: &Value) -> Value {
    match fit {
        Value::Object(members) if !members.is_empty() && rng.random_bool(0.8) => {
            let mut members = members.clone();
            let keys: Vec<String> = members.keys().cloned().collect();
            let key = keys.choose(rng).unwrap();
            if rng.random_bool(0.2) {
                let value = members.remove(key).unwrap_or_default();
                members.insert(mutated(rng, key), value);
            } else {
                let value = odd(rng, &members[key]);
                members.insert(key.clone(), value);
            }
            Value::Object(members)
        }
        Value::Array(items) if !items.is_empty() && rng.random_bool(0.8) => {
            let mut items = items.clone();
            let at = rng.random_range(0..items.len());
            match rng.random_range(0..3) {
                0 => items.push(items[at].clone()),
                1 => drop(items.remove(at)),
                _ => items[at] = odd(rng, &items[at]),
            }
            Value::Array(items)
        }
        Value::String(text) if rng.random_bool(0.9) => json!(mutated(rng, text)),
        _ => {
            let others = [
                json!(null),
                json!(true),
                json!(-1),
                json!(1e300),
                json!(""),
                json!("*".repeat(70)),
                json!([]),
                json!({}),
                json!([[]]),
                json!({"a": {}}),
            ];
            others.choose(rng).unwrap().clone()
        }
    }
}

/// A text with something changed.
fn mutated(rng: &mut ChaCha8Rng, text: &str) -> String {
    const ODD: &[&str] = &[
        "*",
        "?",
        "/",
        "-",
        "_",
        ".",
        ":",
        " ",
        "\n",
        "\0",
        "é",
        "ﬀ",
        "ः",
        "🚀",
        "A",
        "0",
        "%",
        "{}",
        "\"",
        "\\",
        "aws:",
        "eks-",
        "99999999999999999999",
    ];
    let mut chars: Vec<char> = text.chars().collect();
    let at = rng.random_range(0..=chars.len());
    match rng.random_range(0..5) {
        0 => chars.truncate(at),
        1 if at < chars.len() => drop(chars.remove(at)),
        2 => {
            let twice = chars.clone();
            chars.extend(twice);
        }
        3 => {
            let many = ODD.choose(rng).unwrap().repeat(rng.random_range(1..=130));
            chars.splice(at..at, many.chars());
        }
        _ => drop(chars.splice(at..at, ODD.choose(rng).unwrap().chars())),
    }
    chars.into_iter().collect()
}
