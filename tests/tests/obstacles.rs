//! For every deletion that a teardown makes, something is put in its way: either the inventory names it
//! before anything is removed, or the teardown gets past it.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use simulator::ec2::address::Association;
use simulator::ec2::network_interface::NewInterface;
use simulator::ec2::tags::Tags;
use simulator::ec2::{EndpointKind, NewSecurityGroup, NewVpcEndpoint};
use simulator::eks::Capability;
use simulator::{Seed, State};
use tests::world::{ACCOUNT, Moment, REGION, region};
use tests::{World, left, many};

const SEED: u64 = 131;
const STRANGER: &str = "444455556666";
const CLUSTER_ROLE: &str = "hardway-demo-ap-northeast-1-cluster";

fn input() -> Value {
    json!({
        "clusterName": "demo",
        "logging": ["audit"],
        "network": {"availabilityZones": 2, "natGateways": "single"},
    })
}

/// What becomes of the teardown.
enum Then {
    /// It is refused before anything is removed, and says all this.
    Named(Vec<String>),
    /// It gets past it, and nothing is left.
    Passed,
}
use Then::{Named, Passed};

/// Puts something in the way, at some time, and says what has to become of it.
type Put = dyn Fn(&mut State, Timestamp) -> Then + Send + Sync;

/// Something in the way of an operation.
struct Obstacle {
    operation: &'static str,
    name: &'static str,
    put: Box<Put>,
}

fn obstacle(
    operation: &'static str,
    name: &'static str,
    put: impl Fn(&mut State, Timestamp) -> Then + Send + Sync + 'static,
) -> Obstacle {
    Obstacle {
        operation,
        name,
        put: Box::new(put),
    }
}

/// What has these tags is found without the one of its role.
fn without_role(
    operation: &'static str,
    tags: fn(&mut simulator::ec2::Ec2) -> Vec<&mut Tags>,
) -> Obstacle {
    obstacle(operation, "the tag of its role is lost", move |state, _| {
        for tags in tags(&mut region(state).ec2) {
            tags.remove("hardway:role");
        }
        Passed
    })
}

fn named(kind: &str, id: &str) -> Then {
    Named(vec![format!("{kind} {id}")])
}

fn vpc(state: &mut State) -> String {
    region(state).ec2.vpcs.keys().next().unwrap().clone()
}

fn subnet(state: &mut State) -> String {
    region(state).ec2.subnets.keys().next().unwrap().clone()
}

/// The group that EKS made.
fn cluster_group(state: &mut State) -> String {
    let mut groups = region(state).ec2.security_groups.values();
    let own = groups.find(|it| it.name.starts_with("eks-cluster-sg-"));
    own.unwrap().id.clone()
}

fn interface(state: &mut State, groups: Vec<String>) -> String {
    let description = "ELB app/web/0123456789abcdef";
    described_interface(state, Some("amazon-elb"), description, groups)
}

fn described_interface(
    state: &mut State,
    requester: Option<&str>,
    description: &str,
    security_groups: Vec<String>,
) -> String {
    let new = NewInterface {
        subnet_id: subnet(state),
        description: description.to_owned(),
        requester_id: requester.map(ToOwned::to_owned),
        security_groups,
        owner: STRANGER.to_owned(),
    };
    region(state).ec2.add_interface(Seed(1), new)
}

/// One that no service has marked, with EKS's group.
fn unused_interface(state: &mut State) -> String {
    let group = cluster_group(state);
    let id = described_interface(state, None, "10.0.0.10 is kept", vec![group]);
    region(state).ec2.detach_interface(&id);
    id
}

/// Makes a route table of the cluster the VPC's main one. The answer is the id of the one that was it.
fn make_own_table_main(state: &mut State, role: &str) -> String {
    let tables = &mut region(state).ec2.route_tables;
    let old = tables.values_mut().find(|it| it.is_main()).unwrap();
    let main = std::mem::take(&mut old.associations);
    let old = old.id.clone();
    let is_it = |tags: &Tags| {
        tags.get("hardway:role")
            .is_some_and(|it| it.starts_with(role))
    };
    let own = tables.values_mut().find(|it| is_it(&it.tags)).unwrap();
    own.associations.extend(main);
    old
}

fn default_group(state: &mut State) -> &mut simulator::ec2::SecurityGroup {
    let mut groups = region(state).ec2.security_groups.values_mut();
    groups.find(|it| it.is_default()).unwrap()
}

fn endpoint(state: &mut State, service: &str, tags: Tags, groups: Vec<String>) -> String {
    let (vpc_id, subnet_id) = (vpc(state), subnet(state));
    let new = NewVpcEndpoint {
        kind: EndpointKind::Interface,
        vpc_id,
        service_name: format!("com.amazonaws.{REGION}.{service}"),
        subnet_ids: vec![subnet_id],
        security_groups: groups,
        private_dns_enabled: true,
        owner: ACCOUNT.to_owned(),
        tags,
        ..NewVpcEndpoint::default()
    };
    region(state).ec2.add_vpc_endpoint(Seed(1), new)
}

fn group(state: &mut State, name: String, tags: Tags) -> String {
    let new = NewSecurityGroup {
        name,
        description: "theirs".to_owned(),
        vpc_id: vpc(state),
        owner: ACCOUNT.to_owned(),
        tags,
    };
    region(state).ec2.add_security_group(Seed(1), new)
}

/// GuardDuty's, which its runtime monitoring makes in every VPC with a cluster.
fn guardduty(state: &mut State) -> Then {
    let tags = Tags::from([("GuardDutyManaged".to_owned(), "true".to_owned())]);
    let name = format!("GuardDutyManagedSecurityGroup-{}", vpc(state));
    let group = group(state, name, tags.clone());
    endpoint(state, "guardduty-data", tags, vec![group]);
    Passed
}

fn role(state: &mut State) -> &mut simulator::iam::Role {
    let iam = &mut state.accounts.get_mut(ACCOUNT).unwrap().iam;
    iam.roles.get_mut(CLUSTER_ROLE).unwrap()
}

fn cluster(state: &mut State) -> &mut simulator::eks::Cluster {
    region(state).eks.clusters.get_mut("demo").unwrap()
}

/// What nothing can be put in the way of: no error of these is known.
const UNOPPOSED: &[&str] = &[
    // It goes whatever its state; EKS's own change is waited for.
    "DeleteAddon",
    // It says once that it is being deleted, and then is.
    "DeleteNatGateway",
    // Only a main association stays, and a table that has one goes with the VPC.
    "DisassociateRouteTable",
    // An attachment is the role's own.
    "DetachRolePolicy",
    // hardway's own entry of the cluster.
    "DeleteParameter",
];

fn obstacles() -> Vec<Obstacle> {
    let mut all = in_cluster();
    all.extend(interfaces());
    all.extend(in_vpc());
    all.extend(changed_by_somebody());
    all.extend(elsewhere());
    all
}

fn in_cluster() -> Vec<Obstacle> {
    vec![
        obstacle(
            "DeleteFargateProfile",
            "a change of EKS's own",
            |state, now| {
                let soon = now + SignedDuration::from_mins(20);
                cluster(state).hidden_update_until = Some(soon);
                Passed
            },
        ),
        obstacle("DeleteCluster", "a profile of somebody else", |state, _| {
            let profiles = &mut cluster(state).fargate_profiles;
            profiles.get_mut("default").unwrap().tags.clear();
            named("AWS::EKS::FargateProfile", "default")
        }),
        obstacle("DeleteCluster", "a node group", |state, _| {
            cluster(state).node_groups.insert("workers".to_owned());
            named("AWS::EKS::Nodegroup", "workers")
        }),
        obstacle("DeleteCluster", "a capability", |state, _| {
            cluster(state).capabilities.push(Capability {
                name: "argocd".to_owned(),
                kind: "ARGOCD".to_owned(),
            });
            named("AWS::EKS::Capability", "argocd")
        }),
        obstacle("DeleteCluster", "it has lost its tags", |state, _| {
            cluster(state).tags.clear();
            Named(vec![
                "AWS::EKS::Cluster demo".to_owned(),
                "hardway:cluster".to_owned(),
            ])
        }),
        obstacle(
            "DeleteSecurityGroup",
            "a group of somebody else with the cluster's tag",
            |state, _| {
                let tags = Tags::from([("hardway:cluster".to_owned(), "demo".to_owned())]);
                let id = group(state, "theirs".to_owned(), tags);
                named("AWS::EC2::SecurityGroup", &id)
            },
        ),
        obstacle(
            "DeleteSecurityGroup",
            "another VPC has EKS's group",
            |state, _| {
                let (own, other) = (cluster_group(state), "vpc-0123456789abcdef0");
                let ec2 = &mut region(state).ec2;
                ec2.associate_security_group(&own, other, ACCOUNT);
                let association = format!("AWS::EC2::SecurityGroupVpcAssociation {own}");
                Named(vec![association, other.to_owned()])
            },
        ),
        obstacle(
            "DeleteSecurityGroup",
            "a rule of the default group",
            |state, _| {
                let own = cluster_group(state);
                default_group(state).ingress_from.push(own.clone());
                let group = default_group(state).id.clone();
                Named(vec![format!("AWS::EC2::SecurityGroupIngress {group}"), own])
            },
        ),
        obstacle(
            "DeleteSecurityGroup",
            "a rule of another group",
            |state, _| {
                let own = cluster_group(state);
                let id = group(state, "theirs".to_owned(), Tags::new());
                let groups = &mut region(state).ec2.security_groups;
                groups.get_mut(&id).unwrap().ingress_from.push(own);
                named("AWS::EC2::SecurityGroup", &id)
            },
        ),
    ]
}

fn interfaces() -> Vec<Obstacle> {
    vec![
        obstacle(
            "DeleteNetworkInterface",
            "a load balancer's, with EKS's group",
            |state, _| {
                let group = cluster_group(state);
                let id = interface(state, vec![group]);
                named("AWS::EC2::NetworkInterface", &id)
            },
        ),
        obstacle(
            "DeleteNetworkInterface",
            "a file system's, with EKS's group",
            |state, _| {
                let group = cluster_group(state);
                let what = "EFS mount target for fs-0123456789abcdef0 (fsmt-0123456789abcdef0)";
                let id = described_interface(state, None, what, vec![group]);
                named("AWS::EC2::NetworkInterface", &id)
            },
        ),
        obstacle(
            "DeleteNetworkInterface",
            "somebody's that nothing uses, with EKS's group",
            |state, _| {
                let id = unused_interface(state);
                named("AWS::EC2::NetworkInterface", &id)
            },
        ),
        obstacle(
            "DeleteNetworkInterface",
            "a pod's that has ended",
            |state, now| {
                let id = unused_interface(state);
                let soon = now + SignedDuration::from_mins(2);
                region(state).ec2.remove_interface_at(&id, soon);
                Passed
            },
        ),
    ]
}

fn in_vpc() -> Vec<Obstacle> {
    vec![
        obstacle("DeleteSubnet", "a load balancer's interface", |state, _| {
            let id = interface(state, vec![]);
            named("AWS::EC2::NetworkInterface", &id)
        }),
        obstacle("DeleteSubnet", "an endpoint", |state, _| {
            let id = endpoint(state, "s3", Tags::new(), vec![]);
            named("AWS::EC2::VPCEndpoint", &id)
        }),
        obstacle("DeleteSubnet", "GuardDuty", |state, _| guardduty(state)),
        obstacle(
            "DeleteVpcEndpoints",
            "GuardDuty deletes it itself",
            |state, _| {
                guardduty(state);
                let endpoints = region(state).ec2.vpc_endpoints.values_mut();
                for endpoint in endpoints {
                    "deleted".clone_into(&mut endpoint.state);
                }
                let ec2 = &mut region(state).ec2;
                ec2.network_interfaces
                    .retain(|_, it| !it.description.starts_with("VPC Endpoint"));
                Passed
            },
        ),
        obstacle(
            "DeleteRouteTable",
            "a table of somebody else",
            |state, _| {
                let tables = &mut region(state).ec2.route_tables;
                let mut table = tables.values().find(|it| it.is_main()).unwrap().clone();
                "rtb-0123456789abcdef0".clone_into(&mut table.id);
                table.associations.clear();
                let id = table.id.clone();
                tables.insert(id.clone(), table);
                named("AWS::EC2::RouteTable", &id)
            },
        ),
        obstacle("DetachInternetGateway", "a public address", |state, _| {
            let id = interface(state, vec![]);
            let association = Association {
                id: "eipassoc-0123456789abcdef0".to_owned(),
                interface_id: id.clone(),
            };
            let addresses = &mut region(state).ec2.addresses;
            let mut theirs = addresses.values().next().unwrap().clone();
            "eipalloc-0123456789abcdef0".clone_into(&mut theirs.id);
            theirs.tags.clear();
            theirs.association = Some(association);
            addresses.insert(theirs.id.clone(), theirs);
            named("AWS::EC2::NetworkInterface", &id)
        }),
        obstacle("DeleteVpc", "a network ACL", |state, _| {
            let vpc = vpc(state);
            let ec2 = &mut region(state).ec2;
            let id = ec2.add_network_acl(Seed(1), &vpc, STRANGER, Tags::new());
            named("AWS::EC2::NetworkAcl", &id)
        }),
        obstacle("DeleteVpc", "a transit gateway", |state, _| {
            let (vpc, subnet) = (vpc(state), subnet(state));
            let ec2 = &mut region(state).ec2;
            let id = ec2.attach_to_transit_gateway(Seed(1), &vpc, vec![subnet], ACCOUNT);
            named("AWS::EC2::TransitGatewayAttachment", &id)
        }),
        obstacle("DeleteVpc", "a carrier gateway", |state, _| {
            let vpc = vpc(state);
            let ec2 = &mut region(state).ec2;
            let id = ec2.add_carrier_gateway(Seed(1), &vpc, STRANGER);
            named("AWS::EC2::CarrierGateway", &id)
        }),
        obstacle("DeleteVpc", "a group of another VPC", |state, _| {
            let (vpc, theirs) = (vpc(state), "sg-0123456789abcdef0");
            let ec2 = &mut region(state).ec2;
            ec2.associate_security_group(theirs, &vpc, ACCOUNT);
            named("AWS::EC2::SecurityGroupVpcAssociation", theirs)
        }),
        obstacle("DeleteVpc", "a VPN gateway", |state, _| {
            let vpc = vpc(state);
            let id = region(state)
                .ec2
                .add_vpn_gateway(Seed(1), &vpc, Tags::new());
            named("AWS::EC2::VPNGateway", &id)
        }),
        obstacle("DeleteVpc", "GuardDuty's group alone", |state, _| {
            let name = format!("GuardDutyManagedSecurityGroup-{}", vpc(state));
            let tags = Tags::from([("GuardDutyManaged".to_owned(), "true".to_owned())]);
            group(state, name, tags);
            Passed
        }),
        obstacle(
            "DeleteVpc",
            "what only looks like GuardDuty's",
            |state, _| {
                let name = format!("GuardDutyManagedSecurityGroup-{}", vpc(state));
                let id = group(state, name, Tags::new());
                named("AWS::EC2::SecurityGroup", &id)
            },
        ),
    ]
}

/// What is the cluster's, and is not as hardway made it.
fn changed_by_somebody() -> Vec<Obstacle> {
    vec![
        obstacle(
            "DeleteRouteTable",
            "a private table is the main one, and the old one is there",
            |state, _| {
                let old = make_own_table_main(state, "private-routes");
                named("AWS::EC2::RouteTable", &old)
            },
        ),
        obstacle(
            "DeleteRouteTable",
            "a private table is the main one, and the old one is gone",
            |state, _| {
                let old = make_own_table_main(state, "private-routes");
                region(state).ec2.route_tables.remove(&old);
                Passed
            },
        ),
        obstacle(
            "DeleteRouteTable",
            "the public table is the main one, and the old one is tagged",
            |state, _| {
                let old = make_own_table_main(state, "public-routes");
                let old = region(state).ec2.route_tables.get_mut(&old).unwrap();
                let tag = ("hardway:cluster".to_owned(), "demo".to_owned());
                old.tags.extend([tag]);
                Passed
            },
        ),
        without_role("DeleteRouteTable", |ec2| {
            let all = ec2.route_tables.values_mut();
            all.map(|it| &mut it.tags).collect()
        }),
        without_role("DeleteInternetGateway", |ec2| {
            let all = ec2.internet_gateways.values_mut();
            all.map(|it| &mut it.tags).collect()
        }),
        without_role("DeleteVpc", |ec2| {
            let all = ec2.vpcs.values_mut();
            all.map(|it| &mut it.tags).collect()
        }),
        without_role("DeleteSubnet", |ec2| {
            let all = ec2.subnets.values_mut();
            all.map(|it| &mut it.tags).collect()
        }),
    ]
}

fn elsewhere() -> Vec<Obstacle> {
    vec![
        obstacle("ReleaseAddress", "it is somewhere else", |state, _| {
            let addresses = &mut region(state).ec2.addresses;
            let address = addresses.values_mut().next().unwrap();
            address.association = Some(Association {
                id: "eipassoc-0123456789abcdef0".to_owned(),
                interface_id: "eni-0123456789abcdef0".to_owned(),
            });
            Named(vec![
                format!("AWS::EC2::EIP {}", address.id),
                "the cluster's, associated with".to_owned(),
            ])
        }),
        obstacle("ReleaseAddress", "a PTR record", |state, _| {
            let addresses = &mut region(state).ec2.addresses;
            let address = addresses.values_mut().next().unwrap();
            address.ptr_record = Some("mail.example.com.".to_owned());
            let id = format!("AWS::EC2::EIP {}", address.id);
            Named(vec![id, "mail.example.com.".to_owned()])
        }),
        obstacle(
            "ReleaseAddress",
            "a PTR record that was reset just now",
            |state, now| {
                let addresses = region(state).ec2.addresses.values_mut();
                for address in addresses {
                    address.ptr_holds_until = Some(now + SignedDuration::from_mins(25));
                }
                Passed
            },
        ),
        obstacle("DeleteInternetGateway", "another VPC has it", |state, _| {
            let gateways = &mut region(state).ec2.internet_gateways;
            let gateway = gateways.values_mut().next().unwrap();
            gateway.vpc_id = Some("vpc-0123456789abcdef0".to_owned());
            Named(vec![
                format!("AWS::EC2::InternetGateway {}", gateway.id),
                "vpc-0123456789abcdef0".to_owned(),
            ])
        }),
        obstacle("DeleteRole", "an instance profile", |state, _| {
            let iam = &mut state.accounts.get_mut(ACCOUNT).unwrap().iam;
            let profiles = &mut iam.instance_profiles;
            profiles.insert("nodes".to_owned(), CLUSTER_ROLE.to_owned());
            named("AWS::IAM::InstanceProfile", "nodes")
        }),
        obstacle("DeleteRole", "an inline policy", |state, _| {
            let document = r#"{"Version": "2012-10-17", "Statement": []}"#.to_owned();
            let at = Timestamp::UNIX_EPOCH;
            let inline = [("theirs".to_owned(), document)].into();
            role(state).inline.set(inline, at, at);
            Passed
        }),
        obstacle("DeleteRolePolicy", "two of them", |state, _| {
            let document = r#"{"Version": "2012-10-17", "Statement": []}"#.to_owned();
            let at = Timestamp::UNIX_EPOCH;
            let both = ["one", "other"].map(|it| (it.to_owned(), document.clone()));
            role(state).inline.set(both.into(), at, at);
            Passed
        }),
        obstacle(
            "DeleteRole",
            "a managed policy of somebody else",
            |state, _| {
                let at = Timestamp::UNIX_EPOCH;
                let mut managed = role(state).managed.current().clone();
                managed.insert("arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned());
                role(state).managed.set(managed, at, at);
                Passed
            },
        ),
        obstacle("DeleteLogGroup", "deletion protection", |state, _| {
            let groups = &mut region(state).logs.groups;
            let group = groups.values_mut().next().unwrap();
            group.deletion_protection = true;
            named("AWS::Logs::LogGroup", "/aws/eks/demo/cluster")
        }),
    ]
}

/// The world with a cluster of some age, in which nothing is under way.
fn moment() -> Moment {
    many::one(async || {
        let world = World::new(SEED);
        world.prepare_for(&input());
        let execution = world.provision(input()).await;
        assert!(execution.result.is_ok(), "{}", execution.timeline());
        tokio::time::sleep(Duration::from_hours(1)).await;
        Moment::of(&world.simulator)
    })
}

async fn check(moment: &Moment, obstacle: &Obstacle) -> Result<BTreeSet<String>, String> {
    let world = World::resume(SEED, moment);
    let then = world
        .simulator
        .change(|state| (obstacle.put)(state, moment.at));
    let execution = world.tear_down(json!({"clusterName": "demo"})).await;
    let operations = world.changes().into_iter().map(|call| call.operation);
    let operations: BTreeSet<String> = operations.collect();
    let wrong = |what: String| {
        let timeline = execution.timeline();
        Err(format!("{}: {what}\n{timeline}", obstacle.name))
    };
    match (then, &execution.result) {
        (Named(says), Err(failure)) => {
            let is_conflict = failure.error == "ResourceConflict" && operations.is_empty();
            let mut says = says.iter();
            match says.find(|it| !failure.cause.contains(*it)) {
                None if is_conflict => Ok(operations),
                missing => wrong(format!("{missing:?} of {failure:?} after {operations:?}")),
            }
        }
        (Passed, Ok(_)) => {
            tokio::time::sleep(Duration::from_mins(30)).await;
            match left::everything(&world.simulator.state(), ACCOUNT) {
                left if left.is_empty() => Ok(operations),
                left => wrong(format!("left: {left:?}")),
            }
        }
        (Named(says), Ok(_)) => wrong(format!("{says:?} is not named")),
        (Passed, Err(failure)) => wrong(format!("{failure:?}")),
    }
}

#[test]
fn every_obstacle_to_a_deletion_is_named_first_or_overcome() {
    let moment = moment();
    let obstacles = obstacles();
    let results = many::each(&obstacles, async |_, it| check(&moment, it).await);
    let mut made = BTreeSet::new();
    let mut problems = vec![];
    for result in results {
        match result {
            Ok(operations) => made.extend(operations),
            Err(problem) => problems.push(problem),
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
    // Every deletion that a teardown makes has its line.
    let verbs = ["Delete", "Detach", "Disassociate", "Release", "Revoke"];
    made.retain(|it| verbs.iter().any(|verb| it.starts_with(verb)));
    let opposed = obstacles.iter().map(|it| it.operation);
    let known: BTreeSet<String> = opposed
        .chain(UNOPPOSED.iter().copied())
        .map(ToOwned::to_owned)
        .collect();
    assert_eq!(made, known);
    println!(
        "{} obstacles to {} operations",
        obstacles.len(),
        known.len()
    );
}
