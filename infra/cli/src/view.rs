//! The live view of an execution: each step as a line that goes from waiting to working to done.
//!
//! Its source are the JSON lines that the functions write (see `functions::aws::telemetry`),
//! because neither the reasons nor, on the laptop, the steps inside Parallel branches are in the
//! execution's history.

use std::time::Duration;

use console::style;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// A step's answer, as a function logs it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Line {
    /// When the function answered.
    pub timestamp: Timestamp,
    /// The step's crate, for example `nat-gateways`.
    pub step: String,
    /// The state that asked, for example `NAT gateways`. A machine may ask one crate in several states.
    #[serde(default)]
    pub state: String,
    /// ARN of the execution that it belongs to.
    pub execution: String,
    /// `READY`, `PENDING` or `ERROR`.
    pub status: String,
    /// What is being waited for, or what went wrong.
    #[serde(default)]
    pub reason: String,
    /// The error's name.
    #[serde(default)]
    pub error: String,
    message: String,
}

impl Line {
    /// Reads a log line; `None` for every line that is no step's answer.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let line: Self = serde_json::from_str(text).ok()?;
        (line.message == functions::aws::telemetry::ANSWERED).then_some(line)
    }

    /// Whether `state` asked. A line that does not name its state is known by its crate.
    fn answers(&self, state: &str) -> bool {
        if self.state.is_empty() {
            crate_of(state) == self.step
        } else {
            state == self.state
        }
    }
}

/// The steps of a state machine: the names of its Task states, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Steps(Vec<String>);

impl Steps {
    /// The Tasks of a definition, branches included.
    #[must_use]
    pub fn of(definition: &Value) -> Self {
        let mut backwards = Vec::new();
        if let Some(start) = definition["StartAt"].as_str() {
            add_from(
                start,
                &definition["States"],
                &mut Vec::new(),
                &mut backwards,
            );
        }
        backwards.reverse();
        Self(backwards)
    }
}

/// Adds the Tasks from a state on, the last one first.
///
/// A state is added after all that may come after it: backwards, that is the order of the machine
/// whichever way a Choice goes, and a loop adds nothing twice. The order of the JSON would not do;
/// some services sort it.
fn add_from<'a>(
    name: &'a str,
    states: &'a Value,
    seen: &mut Vec<&'a str>,
    backwards: &mut Vec<String>,
) {
    if seen.contains(&name) {
        return;
    }
    seen.push(name);
    let state = &states[name];
    let choices = state["Choices"].as_array().into_iter().flatten().rev();
    let choices = choices.map(|choice| &choice["Next"]);
    let nexts = [&state["Default"], &state["Next"]]
        .into_iter()
        .chain(choices);
    for next in nexts.filter_map(Value::as_str) {
        add_from(next, states, seen, backwards);
    }
    for branch in state["Branches"].as_array().into_iter().flatten().rev() {
        backwards.extend(Steps::of(branch).0.into_iter().rev());
    }
    if state["Type"] == "Task" {
        backwards.push(name.to_owned());
    }
}

/// What is known of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    Waiting,
    Working { reason: String },
    Done,
    Failed { reason: String },
}

struct Row {
    name: String,
    stage: Stage,
    started: Option<Timestamp>,
    took: Option<Duration>,
    bar: ProgressBar,
}

/// The live view; on something that is no terminal, a line for each change.
pub struct View {
    rows: Vec<Row>,
    bars: MultiProgress,
    speed: f64,
    is_terminal: bool,
}

impl View {
    /// A view of these steps, all waiting; times are shown multiplied by `speed`.
    #[must_use]
    pub fn new(steps: Steps, speed: f64) -> Self {
        let bars = MultiProgress::new();
        let width = steps.0.iter().map(String::len).max().unwrap_or_default();
        let row = |name: String| {
            let bar = bars.add(ProgressBar::new_spinner());
            bar.set_style(bar_style());
            bar.set_prefix(format!("{name:<width$}"));
            Row {
                name,
                stage: Stage::Waiting,
                started: None,
                took: None,
                bar,
            }
        };
        let rows: Vec<Row> = steps.0.into_iter().map(row).collect();
        let mut view = Self {
            rows,
            bars,
            speed,
            is_terminal: console::user_attended_stderr(),
        };
        view.tick();
        view
    }

    /// Shows what a function answered.
    pub fn show(&mut self, line: &Line) {
        let Some(row) = self.rows.iter_mut().find(|row| line.answers(&row.name)) else {
            return;
        };
        let started = *row.started.get_or_insert(line.timestamp);
        let stage = match line.status.as_str() {
            "READY" => Stage::Done,
            "PENDING" => Stage::Working {
                reason: line.reason.clone(),
            },
            _ => Stage::Failed {
                reason: format!("{}: {}", line.error, line.reason),
            },
        };
        row.took = (stage == Stage::Done).then(|| between(started, line.timestamp));
        if stage != row.stage {
            row.stage = stage;
            if !self.is_terminal {
                eprintln!("{:<20} {}", row.name, text(row, line.timestamp, self.speed));
            }
        }
    }

    /// Lets the times go on.
    pub fn tick(&mut self) {
        for row in &self.rows {
            row.bar.set_message(text(row, Timestamp::now(), self.speed));
            row.bar.tick();
        }
    }

    /// The execution has ended: what no line said yet is settled.
    pub fn finish(mut self, succeeded: bool) {
        for row in &mut self.rows {
            // The last lines may still be on their way through the logs.
            if succeeded && row.stage != Stage::Done {
                row.took = row
                    .started
                    .map(|started| between(started, Timestamp::now()));
                row.stage = Stage::Done;
            }
        }
        self.tick();
        for row in &self.rows {
            row.bar.abandon();
        }
        drop(self.bars);
    }
}

fn bar_style() -> ProgressStyle {
    // A template of literals: it cannot fail.
    ProgressStyle::with_template("  {prefix} {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// The crate that a state is named after: `NAT gateways` is `nat-gateways`.
#[must_use]
pub fn crate_of(state: &str) -> String {
    state.to_lowercase().replace(' ', "-")
}

/// A row as it is at `now`.
fn text(row: &Row, now: Timestamp, speed: f64) -> String {
    let elapsed = row
        .took
        .or(row.started.map(|started| between(started, now)));
    let time = elapsed.map_or_else(String::new, |elapsed| minutes(elapsed.mul_f64(speed)));
    match &row.stage {
        Stage::Waiting => style("· waiting").dim().to_string(),
        Stage::Working { reason } => {
            format!("{} {time:>7}  {reason}", style("● working").yellow())
        }
        Stage::Done => format!("{} {time:>7}", style("✔ done   ").green()),
        Stage::Failed { reason } => format!("{} {time:>7}  {reason}", style("✘ error  ").red()),
    }
}

/// Lines may arrive out of order, and clocks differ: never less than nothing.
fn between(start: Timestamp, end: Timestamp) -> Duration {
    end.duration_since(start).try_into().unwrap_or_default()
}

/// A duration as minutes and seconds, for example `9m05s`.
#[must_use]
pub fn minutes(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds / 60 {
        0 => format!("{seconds}s"),
        minutes => format!("{minutes}m{:02}s", seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn line(step: &str, status: &str, reason: &str) -> Line {
        Line {
            timestamp: Timestamp::now(),
            step: step.to_owned(),
            state: String::new(),
            execution: "e".to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            error: "Throttled".to_owned(),
            message: functions::aws::telemetry::ANSWERED.to_owned(),
        }
    }

    fn view() -> View {
        View::new(
            Steps(vec!["VPC".to_owned(), "NAT gateways".to_owned()]),
            1.0,
        )
    }

    #[test]
    fn only_answers_are_read() {
        let answer = r#"{"timestamp":"2026-11-24T10:09:31.214552954Z","level":"INFO","step":"vpc","execution":"e","status":"READY","message":"answered"}"#;
        assert_eq!(Line::parse(answer).unwrap().step, "vpc");
        assert_eq!(Line::parse(answer).unwrap().state, "");
        let named = answer.replace("\"step\"", "\"state\":\"VPC\",\"step\"");
        assert_eq!(Line::parse(&named).unwrap().state, "VPC");
        assert_eq!(Line::parse(&answer.replace("answered", "changing")), None);
        assert_eq!(Line::parse("START RequestId: 1"), None);
    }

    #[test]
    fn steps_are_the_tasks_in_the_order_of_the_machine() {
        let definition = json!({"StartAt": "Plan", "States": {
            "All": {"Type": "Parallel", "Next": "End", "Branches": [{"StartAt": "VPC", "States": {
                "VPC": {"Type": "Task", "Next": "VPC ready?"},
                "VPC ready?": {"Type": "Choice", "Choices": [{"Next": "Subnets"}], "Default": "Wait"},
                "Wait": {"Type": "Wait", "Next": "VPC"},
                "Subnets": {"Type": "Task", "End": true},
            }}]},
            "End": {"Type": "Succeed"},
            "Plan": {"Type": "Task", "Next": "All"},
        }});
        assert_eq!(Steps::of(&definition).0, ["Plan", "VPC", "Subnets"]);
    }

    #[test]
    fn steps_are_in_order_whichever_way_a_choice_goes_and_loops_end() {
        let definition = json!({"StartAt": "Inventory", "States": {
            "Inventory": {"Type": "Task", "Next": "Cluster left?"},
            "Cluster left?": {"Type": "Choice", "Choices": [{"Next": "VPC"}], "Default": "Cluster"},
            "Cluster": {"Type": "Task", "Next": "Cluster ready?"},
            "Cluster ready?": {"Type": "Choice", "Choices": [{"Next": "VPC"}], "Default": "Wait"},
            "Wait": {"Type": "Wait", "Next": "Cluster"},
            "VPC": {"Type": "Task", "Next": "Logs?"},
            "Logs?": {"Type": "Choice", "Choices": [{"Next": "Logs"}], "Default": "Receipt"},
            "Logs": {"Type": "Task", "Next": "Receipt"},
            "Receipt": {"Type": "Task", "End": true},
        }});
        assert_eq!(
            Steps::of(&definition).0,
            ["Inventory", "Cluster", "VPC", "Logs", "Receipt"]
        );
    }

    #[test]
    fn of_two_rows_of_one_crate_the_one_that_asked_changes() {
        let mut view = View::new(
            Steps(vec!["Inventory".to_owned(), "Receipt".to_owned()]),
            1.0,
        );
        for (state, changed) in [("Receipt", 1), ("Inventory", 0)] {
            assert_eq!(view.rows[changed].stage, Stage::Waiting);
            view.show(&Line {
                state: state.to_owned(),
                ..line("receipt", "READY", "")
            });
            assert_eq!(view.rows[changed].stage, Stage::Done);
        }
    }

    #[test]
    fn a_line_of_a_state_without_a_row_changes_nothing() {
        let mut view = view();
        view.show(&Line {
            state: "Late logs".to_owned(),
            ..line("vpc", "READY", "")
        });
        assert!(view.rows.iter().all(|row| row.stage == Stage::Waiting));
    }

    #[test]
    fn a_step_goes_from_waiting_to_working_to_done() {
        let mut view = view();
        assert!(view.rows.iter().all(|row| row.stage == Stage::Waiting));
        view.show(&line("nat-gateways", "PENDING", "pending in apne1-az1"));
        assert!(text(&view.rows[1], Timestamp::now(), 1.0).contains("pending in apne1-az1"));
        view.show(&line("nat-gateways", "READY", ""));
        assert_eq!(view.rows[1].stage, Stage::Done);
        assert_eq!(view.rows[0].stage, Stage::Waiting);
    }

    #[test]
    fn times_are_those_of_the_lines_not_of_their_reading() {
        let mut view = view();
        let mut first = line("vpc", "PENDING", "pending");
        let mut last = line("vpc", "READY", "");
        first.timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
        last.timestamp = "2026-11-24T10:01:30Z".parse().unwrap();
        view.show(&first);
        view.show(&last);
        assert!(text(&view.rows[0], Timestamp::now(), 2.0).contains("3m00s"));
    }

    #[test]
    fn an_error_that_is_retried_is_shown_until_the_next_answer() {
        let mut view = view();
        view.show(&line("vpc", "ERROR", "slow down"));
        assert!(text(&view.rows[0], Timestamp::now(), 1.0).contains("Throttled: slow down"));
        view.show(&line("vpc", "READY", ""));
        assert_eq!(view.rows[0].stage, Stage::Done);
    }

    #[test]
    fn durations_are_minutes_and_seconds() {
        assert_eq!(minutes(Duration::from_secs(7)), "7s");
        assert_eq!(minutes(Duration::from_secs(545)), "9m05s");
    }
}
