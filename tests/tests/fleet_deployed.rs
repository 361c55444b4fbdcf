//! A fleet on the laptop's AWS: real binaries, real state machines, real wire.

use std::process::Command;

use hardway::fleet::Report;
use hardway::local::{Laptop, Options};
use serde_json::{Value, json};
use simulator::State;
use tests::project;
use tests::world::{ACCOUNT, REGION};

const MEMBERS: [&str; 3] = ["444455556666", "555566667777", "666677778888"];
/// The one whose quota is used up.
const FLAWED: &str = MEMBERS[2];

fn inputs() -> Value {
    let input = |account: &&str| {
        json!({
            "clusterName": "demo",
            "account": {"id": account},
            "network": {"availabilityZones": 2, "natGateways": "single"},
        })
    };
    MEMBERS.iter().map(input).collect()
}

fn set_addresses(laptop: &Laptop, number: usize) {
    laptop.simulator().change(|state| {
        let account = state.accounts.get_mut(FLAWED).unwrap();
        let region = account.regions.entry(REGION.to_owned()).or_default();
        region.ec2.quotas.addresses = number;
    });
}

/// Puts the list into the bucket as a person would.
fn upload(laptop: &Laptop, list: &Value, key: &str) {
    let folder = project::root().join("target");
    let file = folder.join(format!("fleet-{}.json", std::process::id()));
    std::fs::write(&file, list.to_string()).unwrap();
    let done = Command::new(folder.join("venv/bin/aws"))
        .args(["s3", "cp", file.to_str().unwrap()])
        .arg(format!("s3://{}/{key}", laptop.fleet_bucket()))
        .envs(laptop.environment())
        .output()
        .unwrap();
    std::fs::remove_file(&file).unwrap();
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{errors}");
}

fn clusters(laptop: &Laptop, account: &str) -> usize {
    let state = laptop.simulator().state();
    let region = state
        .accounts
        .get(account)
        .and_then(|it| it.regions.get(REGION));
    region.map_or(0, |region| region.eks.clusters.len())
}

fn assert_complete(report: &Report) {
    assert_eq!((report.total, report.succeeded), (3, 3), "{report:#?}");
    assert_eq!(report.failures, []);
}

/// One test, because a laptop takes seconds to start: one fails, only that one is done again, and a list
/// in S3 finds everything done.
#[tokio::test(flavor = "multi_thread")]
async fn the_deployed_fleet_builds_clusters_in_other_accounts_and_names_the_one_that_failed() {
    let laptop = Laptop::start(Options {
        speed: 60.0,
        ..Options::default()
    })
    .await
    .unwrap();
    let trust = State::organization_trust(ACCOUNT);
    laptop.simulator().change(|state| {
        for account in MEMBERS {
            state.add_account(account, [("HardwayMember", trust.as_str())]);
        }
    });
    set_addresses(&laptop, 0);

    let fleet = json!({"inputs": inputs()});
    let (ended, report) = laptop.fleet("one", &fleet).await.unwrap();
    // One of three is more than a tenth.
    assert_eq!(
        ended.error.as_deref(),
        Some("States.ExceedToleratedFailureThreshold")
    );
    assert!(ended.cause.unwrap().starts_with("1 of 3 failed"));
    assert_eq!((report.total, report.succeeded, report.left), (3, 2, 0));
    let [failure] = &report.failures[..] else {
        unreachable!("{report:#?}")
    };
    assert_eq!(failure.account, FLAWED);
    assert_eq!(
        (failure.region.as_str(), failure.cluster.as_str()),
        (REGION, "demo")
    );
    assert_eq!(failure.error, "QuotaExceeded");
    let cause = format!("{FLAWED}-{REGION}-demo: Plan: ");
    assert!(failure.cause.starts_with(&cause), "{}", failure.cause);

    set_addresses(&laptop, 5);
    let before = laptop.simulator().calls().len();
    let (_, report) = laptop.fleet("two", &fleet).await.unwrap();
    assert_complete(&report);
    let calls = laptop.simulator().calls();
    let done = |account: &str| calls[before..].iter().any(|call| call.account == account);
    assert_eq!(MEMBERS.map(done), [false, false, true]);
    assert_eq!(MEMBERS.map(|account| clusters(&laptop, account)), [1, 1, 1]);
    assert_eq!(clusters(&laptop, ACCOUNT), 0);

    upload(&laptop, &inputs(), "lists/three.json");
    let before = laptop.simulator().calls().len();
    let key = json!({"key": "lists/three.json"});
    let (ended, report) = laptop.fleet("three", &key).await.unwrap();
    assert_complete(&report);
    assert_eq!(ended.output().unwrap()["succeeded"], 3);
    assert_eq!(laptop.simulator().calls().len(), before);
}
