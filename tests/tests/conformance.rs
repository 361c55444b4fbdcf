//! botocore, AWS' own client, understands everything that the simulator answers.
//!
//! A script calls every operation over a socket and compares what comes back, raw and parsed, with
//! botocore's service models: nothing required is missing, nothing is there that the models do not
//! have, and errors are those of the operation.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Output};

use jiff::Timestamp;
use simulator::ec2::{
    DnsNames, Ec2, NewInstance, NewInterface, NewVpcEndpoint, NewVpcPeeringConnection, Side, Subnet,
};
use simulator::{Clock, Config, Seed, Simulator};
use tests::project;
use tests::world::{ACCOUNT, REGION};
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;

/// So that a cluster takes a second.
const SPEED: f64 = 600.0;

/// Where all is that no operation here makes.
const VPC: &str = "vpc-0000000000000000a";
const SUBNET: &str = "subnet-0000000000000000a";

/// What the script needs, and what no operation here makes.
fn furnish(simulator: &Simulator) {
    let now = simulator.now();
    simulator.change(|state| {
        let account = state.accounts.entry(ACCOUNT.to_owned()).or_default();
        let ec2 = &mut account.regions.entry(REGION.to_owned()).or_default().ec2;
        ec2.subnets.insert(SUBNET.to_owned(), subnet(now));
        leave_an_interface(ec2);
        let_an_instance_run(ec2);
        add_endpoint(ec2);
        connect(ec2);
    });
}

fn subnet(now: Timestamp) -> Subnet {
    Subnet {
        id: SUBNET.to_owned(),
        vpc_id: VPC.to_owned(),
        cidr: "192.168.0.0/24".parse().unwrap(),
        zone_id: "apne1-az1".to_owned(),
        zone_name: "ap-northeast-1a".to_owned(),
        map_public_ip_on_launch: false,
        created_at: now,
        dns_names: DnsNames::default(),
        tags: BTreeMap::new(),
    }
}

/// The tags of what others have made.
fn tags() -> BTreeMap<String, String> {
    [("team".to_owned(), "others".to_owned())].into()
}

/// A network interface that nobody uses: something to delete.
fn leave_an_interface(ec2: &mut Ec2) {
    let new = NewInterface {
        subnet_id: SUBNET.to_owned(),
        description: "left behind".to_owned(),
        owner: ACCOUNT.to_owned(),
        ..NewInterface::default()
    };
    let id = ec2.add_interface(Seed(1), new);
    ec2.detach_interface(&id);
}

/// An instance that runs, and one that did.
fn let_an_instance_run(ec2: &mut Ec2) {
    let new = NewInstance {
        subnet_id: SUBNET.to_owned(),
        owner: ACCOUNT.to_owned(),
        tags: tags(),
        ..NewInstance::default()
    };
    let id = ec2.add_instance(Seed(1), new.clone());
    ec2.terminate_instance(&id);
    ec2.add_instance(Seed(1), new);
}

fn add_endpoint(ec2: &mut Ec2) {
    let new = NewVpcEndpoint {
        vpc_id: VPC.to_owned(),
        service_name: format!("com.amazonaws.{REGION}.s3"),
        subnet_ids: vec![SUBNET.to_owned()],
        owner: ACCOUNT.to_owned(),
        tags: tags(),
        ..NewVpcEndpoint::default()
    };
    ec2.add_vpc_endpoint(Seed(1), new);
}

/// Lets the VPC be reached, and reach, from elsewhere.
fn connect(ec2: &mut Ec2) {
    let side = |vpc_id: &str, cidr: &str| Side {
        vpc_id: vpc_id.to_owned(),
        cidr: cidr.to_owned(),
        owner: ACCOUNT.to_owned(),
        region: REGION.to_owned(),
    };
    let new = NewVpcPeeringConnection {
        requester: side(VPC, "192.168.0.0/16"),
        accepter: side("vpc-0000000000000000b", "172.16.0.0/16"),
        tags: tags(),
    };
    ec2.add_vpc_peering_connection(Seed(1), new);
    ec2.add_vpn_gateway(Seed(1), VPC, tags());
    ec2.add_egress_only_internet_gateway(Seed(1), VPC, tags());
}

async fn run(script: &str, endpoint: String) -> Output {
    let mut python = Command::new(project::root().join("target/venv/bin/python"));
    python.arg(project::root().join(script)).arg(endpoint);
    spawn_blocking(move || python.output())
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn botocore_understands_every_answer_of_every_operation() {
    hardway::local::install_tools().await.unwrap();
    let simulator = Simulator::new(Config {
        clock: Clock::scaled(SPEED),
        ..Config::default()
    });
    furnish(&simulator);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn({
        let simulator = simulator.clone();
        async move { simulator.serve(listener).await }
    });

    let output = run("tests/tests/conformance.py", endpoint).await;
    server.abort();
    let complaints = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaints}{errors}");

    let calls = simulator.calls();
    let mut untried: BTreeSet<(&str, &str)> = simulator::operations().collect();
    for call in calls.iter().filter(|call| call.error.is_none()) {
        untried.remove(&(call.service.as_str(), call.operation.as_str()));
    }
    assert!(untried.is_empty(), "no case for {untried:?}");
}
