//! `hardway acceptance` on the laptop's AWS: the real program, as a person starts it, against the real
//! template; and the simulated times that it compares with.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use hardway::acceptance::timeline::{self, Machine, Range, Timeline};
use hardway::local::{Laptop, Options};
use serde_json::{Value, json};
use simulator::Call;
use tests::laptop::{aws, hardway};
use tests::world::{ACCOUNT, REGION};
use tests::{Execution, World, left, project};
use tokio::process::Child;

const SPEED: f64 = 60.0;
/// How many simulated runs the table is made of, and how many are compared with it.
const SEEDS_OF_TABLE: u64 = 150;
const SEEDS: u64 = 6;

async fn laptop() -> Laptop {
    Laptop::start(Options {
        speed: SPEED,
        ..Options::default()
    })
    .await
    .unwrap()
}

/// A run of the program, which writes its report into a folder of its own.
struct Acceptance {
    name: &'static str,
    folder: tempfile::TempDir,
    child: Child,
}

/// How it ended.
struct Ended {
    code: Option<i32>,
    said: String,
    report: Value,
    markdown: String,
}

impl Acceptance {
    async fn start(laptop: &Laptop, name: &'static str, input: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("input.json");
        std::fs::write(&file, input.to_string()).unwrap();
        let processor = match std::env::consts::ARCH {
            "aarch64" => "arm64",
            _ => "x86_64",
        };
        let child = hardway(laptop)
            .await
            .args(["acceptance", "--yes", "--stack-name", name])
            .args(["--architecture", processor, "--speed", &SPEED.to_string()])
            .arg("--input")
            .arg(&file)
            .arg("--report")
            .arg(folder.path().join("report.md"))
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self {
            name,
            folder,
            child,
        }
    }

    async fn end(self) -> Ended {
        let file = |name: &str| self.folder.path().join(name);
        let output = self.child.wait_with_output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let read = |path: PathBuf| std::fs::read_to_string(path).unwrap_or_else(|_| said.clone());
        let report = serde_json::from_str(&read(file("report.json")));
        let report: Value = report.unwrap_or_else(|error| unreachable!("{error}: {said}"));
        assert_eq!(report["stack"], self.name);
        Ended {
            code: output.status.code(),
            report,
            markdown: read(file("report.md")),
            said,
        }
    }
}

impl Ended {
    fn question(&self, id: &str) -> (&str, &str) {
        let all = self.report["questions"].as_array().unwrap();
        let found = all.iter().find(|it| it["id"] == id).unwrap();
        let text = |key: &str| found[key].as_str().unwrap();
        (text("verdict"), text("answer"))
    }

    fn stages(&self) -> BTreeMap<&str, bool> {
        let stages = self.report["stages"].as_array().unwrap().iter();
        let stages = stages.map(|it| (it["name"].as_str().unwrap(), it["passed"] == true));
        stages.collect()
    }

    /// Nothing is left, as the report says, as its words say, and as the simulator and ministack know.
    fn assert_nothing_is_left(&self, laptop: &Laptop) {
        assert_eq!(self.report["left"], json!([]), "{}", self.said);
        assert_eq!(self.report["unknown"], json!([]), "{}", self.said);
        assert!(self.report["looked"].as_u64().unwrap() >= 10);
        let state = laptop.simulator().state();
        assert_eq!(left::everything(&state, ACCOUNT), [""; 0]);
        assert_eq!(stacks(laptop), ["aws-sam-cli-managed-default", "hardway"]);
        let name = self.report["stack"].as_str().unwrap();
        let mut roles = state.accounts[ACCOUNT].iam.roles.keys();
        assert!(!roles.any(|role| role.contains(name)));
        let buckets = aws(laptop, &["s3api", "list-buckets"]);
        assert!(!buckets.to_string().contains(name), "{buckets:#}");
        let buses = aws(laptop, &["events", "list-event-buses"]);
        assert!(!buses.to_string().contains(name), "{buses:#}");
    }

    /// Neither account nor caller can be read in what may be attached to an issue.
    fn assert_it_is_masked(&self) {
        for text in [&self.markdown, &self.report.to_string()] {
            assert!(!text.contains(ACCOUNT), "{text}");
            assert!(!text.contains("user/operator"), "{text}");
        }
    }
}

fn stacks(laptop: &Laptop) -> Vec<String> {
    let stacks = aws(laptop, &["cloudformation", "describe-stacks"]);
    let stacks = stacks["Stacks"].as_array().unwrap().iter();
    let names = stacks.map(|it| it["StackName"].as_str().unwrap().to_owned());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn changes(laptop: &Laptop, action: &str) -> Vec<Call> {
    let mut calls = laptop.simulator().calls();
    calls.retain(|call| call.action() == action && call.error.is_none());
    calls
}

/// Waits until a function has made the call for the cluster.
async fn until(laptop: &Laptop, action: &str, number: usize) {
    while changes(laptop, action).len() < number {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acceptance_passes_and_leaves_nothing_but_its_report() {
    let laptop = laptop().await;
    let input = project::read_json("statemachine/examples/cheap.json");
    let run = Acceptance::start(&laptop, "try", &input).await;
    let ended = run.end().await;
    let report = &ended.report;
    assert_eq!(report["problems"], json!([]), "{}", ended.said);
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert_eq!(report["outcome"], "passed", "{}", ended.said);
    for stage in [
        "permissions",
        "questions",
        "deployment",
        "question about events",
        "cluster",
        "second run",
        "diagnosis",
        "questions about EKS",
        "one change",
        "teardown",
        "removal of the questions' things",
        "removal of the stack",
        "proof that nothing is left",
    ] {
        assert_eq!(ended.stages().get(stage), Some(&true), "{stage}");
    }
    assert!(report["permissions"]["checked"].as_u64().unwrap() > 100);
    assert_eq!(report["permissions"]["denied"], json!([]));
    for id in [
        "absent-service-linked-role",
        "session-policy-size",
        "route-after-attach",
        "events-to-the-topic",
        "passed-to-service",
        "address-in-use",
    ] {
        let (verdict, answer) = ended.question(id);
        assert_eq!(verdict, "asBelieved", "{id}: {answer}");
    }
    // What the laptop cannot know is not taken for an answer.
    for (id, why) in [
        ("failed-invocations", "no metrics"),
        ("joined-organization-event", "not asked"),
        ("throttled-start", "not asked"),
    ] {
        let (verdict, answer) = ended.question(id);
        assert_eq!(verdict, "notAnswered", "{id}: {answer}");
        assert!(answer.contains(why), "{id}: {answer}");
    }
    let steps = report["steps"].as_array().unwrap();
    let of = |machine: &str, state: &str| {
        let mut steps = steps.iter();
        let step = steps.find(|it| it["machine"] == machine && it["state"] == state);
        step.unwrap()["seconds"].as_f64().unwrap()
    };
    assert!(of("provision", "Cluster") > 300.0);
    assert!(of("teardown", "Fargate profiles") > 60.0);
    assert!(of("provision", "total") > of("provision", "Cluster"));
    let codes = report["codes"].as_array().unwrap();
    let met = |code: &str| codes.iter().any(|it| it["code"] == code);
    assert!(met("NoSuchEntity") && met("ResourceNotFoundException"));
    assert!(report["cost"]["atMost"].as_f64().unwrap() > 0.1);
    let kept = report["keptByAws"].to_string();
    assert!(
        kept.contains("AWSServiceRoleForAmazonEKSForFargate"),
        "{kept}"
    );
    let removed = report["removed"].as_array().unwrap();
    assert!(removed.iter().any(|it| it["type"] == "AWS::EKS::Cluster"));
    assert!(ended.markdown.starts_with("# hardway acceptance: passed\n"));
    ended.assert_it_is_masked();
    ended.assert_nothing_is_left(&laptop);
}

/// One test, because a laptop takes seconds to start: what fails half way, and what somebody ends half way.
#[tokio::test(flavor = "multi_thread")]
async fn acceptance_removes_and_reports_everything_however_it_ends() {
    let laptop = laptop().await;
    let mut input = project::read_json("statemachine/examples/cheap.json");

    // The quota is used up when `plan` has looked at it: the first VPC is that of the questions.
    let run = Acceptance::start(&laptop, "fails", &input).await;
    until(&laptop, "ec2:CreateVpc", 2).await;
    set_addresses(&laptop, 0);
    let ended = run.end().await;
    set_addresses(&laptop, 5);
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.report["outcome"], "failed");
    let problem = ended.report["problems"][0].as_str().unwrap();
    assert!(problem.starts_with("cluster: "), "{problem}");
    assert!(problem.contains("QuotaExceeded"), "{problem}");
    assert_eq!(ended.stages().get("cluster"), Some(&false));
    assert_eq!(ended.stages().get("teardown"), Some(&true));
    assert_eq!(ended.question("passed-to-service").0, "notAnswered");
    ended.assert_it_is_masked();
    ended.assert_nothing_is_left(&laptop);

    input["network"]["cidr"] = json!("10.101.0.0/16");
    let before = changes(&laptop, "ec2:CreateVpc").len();
    let run = Acceptance::start(&laptop, "ends", &input).await;
    until(&laptop, "ec2:CreateVpc", before + 2).await;
    interrupt(&run.child);
    let ended = run.end().await;
    assert_eq!(ended.code, Some(1));
    let problem = ended.report["problems"][0].as_str().unwrap();
    assert_eq!(problem, "interrupted by the user");
    assert_eq!(ended.stages().get("cluster"), Some(&false));
    assert_eq!(ended.stages().get("teardown"), Some(&true));
    ended.assert_nothing_is_left(&laptop);
}

fn set_addresses(laptop: &Laptop, number: usize) {
    laptop.simulator().change(|state| {
        let account = state.accounts.entry(ACCOUNT.to_owned()).or_default();
        let region = account.regions.entry(REGION.to_owned()).or_default();
        region.ec2.quotas.addresses = number;
    });
}

/// What Ctrl-C does.
fn interrupt(child: &Child) {
    let id = child.id().unwrap().to_string();
    let done = std::process::Command::new("kill")
        .args(["-INT", &id])
        .status();
    assert!(done.unwrap().success());
}

/// From the first time that a state was entered to the last.
fn durations(execution: &Execution) -> BTreeMap<String, f64> {
    let mut states: BTreeMap<String, (Duration, Duration)> = BTreeMap::new();
    for event in execution.events.iter().filter(|it| it.what == "entered") {
        let times = states
            .entry(event.state.clone())
            .or_insert((event.at, event.at));
        times.1 = event.at;
    }
    let seconds = |(first, last): (Duration, Duration)| last.saturating_sub(first).as_secs_f64();
    states
        .into_iter()
        .map(|(state, times)| (state, seconds(times)))
        .collect()
}

/// Every Task of a machine that a function carries out.
fn tasks(machine: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (name, state) in machine["States"].as_object().unwrap() {
        let resource = state["Resource"].as_str().unwrap_or_default();
        if resource.ends_with("FunctionArn}") {
            found.push(name.clone());
        }
        for branch in state["Branches"].as_array().into_iter().flatten() {
            found.extend(tasks(branch));
        }
    }
    found
}

fn add(machine: &mut Machine, tasks: &[String], execution: &Execution, is_first: bool) {
    let widen = |range: &mut Range, seconds: f64| {
        let (shortest, longest) = *range;
        let is_new = (shortest, longest) == (0.0, 0.0) && is_first;
        *range = if is_new {
            (seconds, seconds)
        } else {
            (shortest.min(seconds), longest.max(seconds))
        };
    };
    widen(&mut machine.total, execution.duration.as_secs_f64());
    let times = durations(execution);
    for (state, seconds) in times.iter().filter(|(state, _)| tasks.contains(state)) {
        widen(machine.states.entry(state.clone()).or_default(), *seconds);
    }
}

/// Builds and removes the cheap cluster with each seed.
async fn simulated(seeds: u64) -> Timeline {
    let input = project::read_json("statemachine/examples/cheap.json");
    let [provision, teardown] = ["provision", "teardown"].map(|name| {
        tasks(&project::read_json(&format!(
            "statemachine/{name}.asl.json"
        )))
    });
    let mut timeline = Timeline::default();
    for seed in 1..=seeds {
        let world = World::new(seed);
        let built = world.provision(input.clone()).await;
        assert!(built.result.is_ok(), "{}", built.timeline());
        add(&mut timeline.provision, &provision, &built, seed == 1);
        // As long as the questions and the two further runs take at least.
        tokio::time::sleep(Duration::from_mins(2)).await;
        let removed = world.tear_down(hardway::destroy::input_for(&input)).await;
        assert!(removed.result.is_ok(), "{}", removed.timeline());
        add(&mut timeline.teardown, &teardown, &removed, seed == 1);
    }
    timeline
}

fn rounded(mut timeline: Timeline) -> Timeline {
    for machine in [&mut timeline.provision, &mut timeline.teardown] {
        let ranges = machine.states.values_mut().chain([&mut machine.total]);
        for range in ranges {
            *range = (range.0.floor(), range.1.ceil());
        }
    }
    timeline
}

/// What a run on AWS is compared with is what the simulator does. `UPDATE_TIMELINE=1` writes it.
#[tokio::test(start_paused = true)]
async fn the_table_of_durations_is_the_simulators() {
    if std::env::var_os("UPDATE_TIMELINE").is_some() {
        let timeline = rounded(simulated(SEEDS_OF_TABLE).await);
        let text = serde_json::to_string_pretty(&timeline).unwrap() + "\n";
        let path = project::root().join("infra/cli/src/acceptance/timeline.json");
        std::fs::write(path, text).unwrap();
        return;
    }
    let (table, seen) = (timeline::table(), simulated(SEEDS).await);
    for (machine, seen) in [
        (&table.provision, &seen.provision),
        (&table.teardown, &seen.teardown),
    ] {
        let known: Vec<&String> = machine.states.keys().collect();
        assert_eq!(known, seen.states.keys().collect::<Vec<_>>());
        let states = seen.states.iter();
        let states = states.map(|(state, range)| (state.as_str(), *range, machine.states[state]));
        for (state, seen, range) in states.chain([("total", seen.total, machine.total)]) {
            for seconds in [seen.0, seen.1] {
                assert!(
                    timeline::is_within(seconds, range),
                    "{state}: {seconds} s, and the table has {range:?}; UPDATE_TIMELINE=1 writes it"
                );
            }
        }
    }
}
