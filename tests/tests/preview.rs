//! The preview of a dry run equals the run, in worlds that somebody has changed: what the preview refuses the
//! run refuses in the same words, and what the preview says of each resource is what happens to it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use simulator::State;
use simulator::ec2::Ec2;
use simulator::ec2::nat_gateway::Failure;
use simulator::ec2::route::Target;
use simulator::ec2::tags::Tags;
use simulator::iam::EventuallyConsistent;
use tests::world::{ACCOUNT, REGION, region, small_input};
use tests::{World, many, resources};

const SEED: u64 = 71;
const ADMIN: &str = "arn:aws:iam::111122223333:role/Admin";
const FARGATE_LINUX: &str = "FARGATE_LINUX";

/// The ids of what is there of one kind with one name.
type Ids = BTreeMap<Key, BTreeSet<String>>;

/// Kind and name.
type Key = (String, String);

/// A way in which a world can differ from the plan: its name, and who changes what.
type Case = (&'static str, fn(&mut State));

fn ec2(state: &mut State) -> &mut Ec2 {
    &mut region(state).ec2
}

fn has_role(tags: &Tags, role: &str) -> bool {
    tags.get("hardway:role")
        .is_some_and(|it| it.starts_with(role))
}

/// A second VPC of ours; the id of the first one.
fn add_vpc(state: &mut State, id: &str) -> String {
    let ec2 = ec2(state);
    let first = ec2.vpcs.keys().next().unwrap().clone();
    let mut second = ec2.vpcs[&first].clone();
    second.id = String::from(id);
    ec2.vpcs.insert(id.to_owned(), second);
    first
}

/// Another VPC, which is nobody's.
fn add_strangers_vpc(state: &mut State) -> &'static str {
    let id = "vpc-0aaaaaaaaaaaaaaaa";
    add_vpc(state, id);
    let vpc = ec2(state).vpcs.get_mut(id).unwrap();
    vpc.tags.clear();
    vpc.cidr = "10.9.0.0/16".parse().unwrap();
    id
}

fn fail_nat_gateways(state: &mut State, code: &str) {
    for gateway in ec2(state).nat_gateways.values_mut() {
        gateway.failure = Some(Failure {
            code: code.to_owned(),
            message: "it failed".to_owned(),
        });
    }
}

/// Of one zone so many gateways have failed, one after the other.
fn fail_often(state: &mut State, number: u32) {
    fail_nat_gateways(state, "InternalError");
    let ec2 = ec2(state);
    let failed = ec2.nat_gateways.values().next().unwrap().clone();
    for number in 1..number {
        let mut another = failed.clone();
        another.id = format!("nat-{number:017}");
        ec2.nat_gateways.insert(another.id.clone(), another);
    }
}

/// Of a cluster that was built.
const OF_BUILT: &[Case] = &[
    ("nothing", |_| {}),
    ("a second VPC before the one with subnets", |state| {
        add_vpc(state, "vpc-00000000000000000");
    }),
    ("a second VPC after the one with subnets", |state| {
        add_vpc(state, "vpc-0ffffffffffffffff");
    }),
    ("a second VPC with an internet gateway", |state| {
        add_vpc(state, "vpc-0ffffffffffffffff");
        let ec2 = ec2(state);
        let mut gateway = ec2.internet_gateways.values().next().unwrap().clone();
        gateway.id = String::from("igw-0ffffffffffffffff");
        gateway.vpc_id = Some("vpc-0ffffffffffffffff".to_owned());
        gateway.tags.clear();
        ec2.internet_gateways.insert(gateway.id.clone(), gateway);
    }),
    ("a second NAT gateway with an address of its own", |state| {
        let ec2 = ec2(state);
        let mut address = ec2.addresses.values().next().unwrap().clone();
        let mut gateway = ec2.nat_gateways.values().next().unwrap().clone();
        address.id = String::from("eipalloc-0ffffffffffffffff");
        gateway.id = String::from("nat-0ffffffffffffffff");
        gateway.allocation_id = Some(address.id.clone());
        ec2.addresses.insert(address.id.clone(), address);
        ec2.nat_gateways.insert(gateway.id.clone(), gateway);
    }),
    ("NAT gateways that lost their tags", |state| {
        for gateway in ec2(state).nat_gateways.values_mut() {
            gateway.tags.clear();
        }
    }),
    ("DNS hostnames off", |state| {
        for vpc in ec2(state).vpcs.values_mut() {
            vpc.dns_hostnames = false;
        }
    }),
    ("a VPC with another block", |state| {
        for vpc in ec2(state).vpcs.values_mut() {
            vpc.cidr = "10.9.0.0/16".parse().unwrap();
        }
    }),
    ("a subnet with a wrong block", |state| {
        let subnets = ec2(state).subnets.values_mut();
        for subnet in subnets.filter(|it| has_role(&it.tags, "public-apne1-az1")) {
            subnet.cidr = "10.100.255.0/24".parse().unwrap();
        }
    }),
    ("a subnet that lost its tags", |state| {
        let subnets = ec2(state).subnets.values_mut();
        for subnet in subnets.filter(|it| has_role(&it.tags, "public-apne1-az1")) {
            subnet.tags.clear();
        }
    }),
    ("a subnet that no load balancer finds", |state| {
        for subnet in ec2(state).subnets.values_mut() {
            subnet.tags.remove("kubernetes.io/role/elb");
        }
    }),
    ("an internet gateway that is detached", |state| {
        let ec2 = ec2(state);
        for gateway in ec2.internet_gateways.values_mut() {
            gateway.vpc_id = None;
        }
    }),
    ("an internet gateway that is attached elsewhere", |state| {
        let elsewhere = add_strangers_vpc(state).to_owned();
        for gateway in ec2(state).internet_gateways.values_mut() {
            gateway.vpc_id = Some(elsewhere.clone());
        }
    }),
    ("a stranger's internet gateway in the VPC", |state| {
        for gateway in ec2(state).internet_gateways.values_mut() {
            gateway.tags.clear();
        }
    }),
    ("a second internet gateway", |state| {
        let ec2 = ec2(state);
        let mut second = ec2.internet_gateways.values().next().unwrap().clone();
        second.vpc_id = None;
        second.id = String::from("igw-00000000000000000");
        ec2.internet_gateways.insert(second.id.clone(), second);
    }),
    ("NAT gateways that failed", |state| {
        fail_nat_gateways(state, "InternalError");
    }),
    ("three NAT gateways of one zone that failed", |state| {
        fail_often(state, 3);
    }),
    ("more of them than are replaced", |state| {
        fail_often(state, 4);
    }),
    ("NAT gateways that will fail again", |state| {
        fail_nat_gateways(state, "InsufficientFreeAddressesInSubnet");
    }),
    ("a public route that is gone", |state| {
        let tables = ec2(state).route_tables.values_mut();
        for table in tables.filter(|it| has_role(&it.tags, "public-routes")) {
            table.routes.retain(|route| route.target == Target::Local);
        }
    }),
    ("private tables that are a stranger's", |state| {
        let tables = ec2(state).route_tables.values_mut();
        for table in tables.filter(|it| has_role(&it.tags, "private-routes")) {
            table.tags.clear();
        }
    }),
    ("a control plane that logs nothing", |state| {
        for cluster in region(state).eks.clusters.values_mut() {
            cluster.logging.clear();
        }
    }),
    ("a stranger's cluster", |state| {
        for cluster in region(state).eks.clusters.values_mut() {
            cluster.tags.clear();
        }
    }),
    ("a stranger's Fargate profile", |state| {
        for cluster in region(state).eks.clusters.values_mut() {
            for profile in cluster.fargate_profiles.values_mut() {
                profile.tags.clear();
            }
        }
    }),
    ("a Fargate profile with other selectors", |state| {
        for cluster in region(state).eks.clusters.values_mut() {
            let profile = cluster.fargate_profiles.get_mut("default").unwrap();
            profile.selectors[0].namespace = String::from("other");
        }
    }),
    ("CoreDNS that somebody else made", |state| {
        for cluster in region(state).eks.clusters.values_mut() {
            for addon in cluster.addons.values_mut() {
                addon.tags.clear();
            }
        }
    }),
    ("roles without policies", |state| {
        let account = state.accounts.get_mut(ACCOUNT).unwrap();
        for role in account.iam.roles.values_mut() {
            if role.name.starts_with("hardway-") {
                role.managed = EventuallyConsistent::new(BTreeSet::new(), role.created_at);
            }
        }
    }),
    ("roles that are a stranger's", |state| {
        let account = state.accounts.get_mut(ACCOUNT).unwrap();
        for role in account.iam.roles.values_mut() {
            if role.name.starts_with("hardway-") {
                role.tags.clear();
            }
        }
    }),
    ("a cluster's role that is gone", |state| {
        let account = state.accounts.get_mut(ACCOUNT).unwrap();
        let roles = &mut account.iam.roles;
        roles.retain(|_, role| !role.name.ends_with("-cluster"));
    }),
    ("a trust policy without its condition", |state| {
        let account = state.accounts.get_mut(ACCOUNT).unwrap();
        let trust = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": {"Service": "eks-fargate-pods.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }]});
        for role in account.iam.roles.values_mut() {
            if role.name.ends_with("-pod-execution") {
                role.trust = EventuallyConsistent::new(trust.to_string(), role.created_at);
            }
        }
    }),
    ("a control plane with another role", |state| {
        for cluster in region(state).eks.clusters.values_mut() {
            cluster.role_arn = format!("arn:aws:iam::{ACCOUNT}:role/Other");
        }
    }),
    ("a control plane that has deletion protection", |state| {
        for cluster in region(state).eks.clusters.values_mut() {
            cluster.deletion_protection = true;
        }
    }),
    ("a control plane that broke", |state| {
        for cluster in region(state).eks.clusters.values_mut() {
            cluster.breaks = true;
        }
    }),
    ("access entries without policies", |state| {
        for cluster in region(state).eks.clusters.values_mut() {
            for entry in cluster.access_entries.values_mut() {
                entry.policies.clear();
            }
        }
    }),
    ("access entries that somebody else made", |state| {
        for cluster in region(state).eks.clusters.values_mut() {
            for entry in cluster.access_entries.values_mut() {
                entry.tags.clear();
            }
        }
    }),
    ("a pod execution role that was made again", |state| {
        let account = state.accounts.get_mut(ACCOUNT).unwrap();
        for role in account.iam.roles.values_mut() {
            if role.name.ends_with("-pod-execution") {
                role.id = String::from("AROAAGAIN");
                role.created_at += Duration::from_mins(40);
            }
        }
    }),
    ("a pod execution role that is gone", |state| {
        let account = state.accounts.get_mut(ACCOUNT).unwrap();
        let roles = &mut account.iam.roles;
        roles.retain(|_, role| !role.name.ends_with("-pod-execution"));
    }),
    ("the pods' access entry gone", |state| {
        for cluster in region(state).eks.clusters.values_mut() {
            let entries = &mut cluster.access_entries;
            entries.retain(|_, entry| entry.kind != FARGATE_LINUX);
        }
    }),
    ("an administrator's access entry of nodes", |state| {
        for cluster in region(state).eks.clusters.values_mut() {
            let entry = cluster.access_entries.get_mut(ADMIN).unwrap();
            entry.kind = String::from("EC2_LINUX");
            entry.policies.clear();
        }
    }),
];

fn ids(state: &State) -> Ids {
    let mut all = Ids::new();
    let others = resources::with_ids(state, ACCOUNT, REGION);
    let entries = resources::entries_of_pods(state, ACCOUNT, REGION);
    for (kind, name, id) in others.into_iter().chain(entries) {
        // The administrator's, which was there before.
        if name == "Admin" {
            continue;
        }
        all.entry((kind, name)).or_default().insert(id);
    }
    all
}

async fn built(case: &Case) -> World {
    let world = World::new(SEED);
    world.prepare_for(&small_input());
    let execution = world.provision(small_input()).await;
    assert!(execution.result.is_ok(), "{}", execution.timeline());
    tokio::time::sleep(Duration::from_mins(30)).await;
    world.simulator.change(case.1);
    world
}

/// What is wrong with the preview of a world, if something is.
async fn judge(world: &World) -> Option<String> {
    let mut dry = small_input();
    dry["dryRun"] = json!(true);
    let changes = world.changes().len();
    let preview = world.provision(dry).await;
    if world.changes().len() != changes {
        return Some("the dry run changes something".to_owned());
    }
    let before = ids(&world.simulator.state());
    let run = world.provision(small_input()).await;
    // What is deleted goes, and what is made comes.
    tokio::time::sleep(Duration::from_mins(90)).await;
    let after = ids(&world.simulator.state());
    match (&preview.result, &run.result) {
        (Err(said), Err(done)) => {
            let is_same = said.error == done.error && message(&said.cause) == message(&done.cause);
            (!is_same).then(|| format!("refused otherwise:\n{said:?}\n{done:?}"))
        }
        (Ok(_), Err(done)) => Some(format!("the run is refused, and the preview not: {done:?}")),
        (Err(said), Ok(_)) => Some(format!("the preview is refused, and the run not: {said:?}")),
        (Ok(output), Ok(_)) => compare(&output["preview"], &before, &after),
    }
}

/// A cause without the name of the step before it.
fn message(cause: &str) -> &str {
    cause.split_once(": ").map_or(cause, |(_, message)| message)
}

fn compare(preview: &Value, before: &Ids, after: &Ids) -> Option<String> {
    let none = BTreeSet::new();
    let mut left = after.clone();
    let mut problems = vec![];
    let listed = preview["resources"].as_array().unwrap();
    let key_of = |resource: &Value| {
        let text = |key: &str| resource[key].as_str().unwrap().to_owned();
        (text("type"), text("name"))
    };
    let is_listed = |key: &Key| listed.iter().any(|it| key_of(it) == *key);
    for resource in listed {
        let key = key_of(resource);
        let (was, is) = (
            before.get(&key).unwrap_or(&none),
            after.get(&key).unwrap_or(&none),
        );
        left.remove(&key);
        let has_gone = !after.values().any(|ids| ids.contains(&key.1));
        let is_right = match resource["change"].as_str().unwrap() {
            "create" => was.is_empty() && is.len() == 1,
            "keep" => is.len() == 1 && is.is_subset(was) && differences(resource) == 0,
            "change" => is.len() == 1 && is.is_subset(was) && differences(resource) > 0,
            "adopt" => is.len() == 1 && is.is_subset(was),
            // A NAT gateway that failed is not among what is there.
            "replace" => is.len() == 1 && is.is_disjoint(was),
            _ => has_gone,
        };
        if !is_right {
            problems.push(format!("{resource}: {was:?} before, {is:?} after"));
        }
    }
    let is_as_before = |key: &Key| before.get(key) == after.get(key);
    let all: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    for key in all.into_iter().filter(|key| is_entry_of_pods(key)) {
        // EKS makes it, so it is listed only where the run changes it.
        left.remove(key);
        if !is_listed(key) && !is_as_before(key) {
            problems.push(format!("{key:?} is changed and not listed"));
        }
    }
    problems.extend(left.keys().map(|it| format!("{it:?} is not listed")));
    (!problems.is_empty()).then(|| problems.join("\n"))
}

fn is_entry_of_pods((kind, name): &Key) -> bool {
    kind == "AWS::EKS::AccessEntry" && name.ends_with("-pod-execution")
}

fn differences(resource: &Value) -> usize {
    resource["differences"].as_array().map_or(0, Vec::len)
}

#[test]
fn the_preview_of_a_world_that_differs_is_what_the_run_does() {
    let problems = many::each(OF_BUILT, async |_, case| {
        let world = built(case).await;
        let problem = judge(&world).await?;
        Some(format!("{}: {problem}", case.0))
    });
    let problems: Vec<String> = problems.into_iter().flatten().collect();
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}
