//! How long each step takes in the simulator, and how long it took.
//!
//! `timeline.json` is what many simulated runs of the cheap cluster came to, with the waits between a
//! step's looks; a test of the whole project runs them again and writes it (`UPDATE_TIMELINE=1`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

const TABLE: &str = include_str!("timeline.json");

/// What an invocation, a cold start and a wait that is cut to whole seconds add.
const SLACK_SECONDS: f64 = 5.0;
const SLACK_SHARE: f64 = 0.05;

/// From the shortest to the longest, in seconds.
pub type Range = (f64, f64);

/// One machine's executions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// From start to end.
    pub total: Range,
    /// By state.
    pub states: BTreeMap<String, Range>,
}

/// Both machines' executions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// Of building.
    pub provision: Machine,
    /// Of removing.
    pub teardown: Machine,
}

/// The table.
#[must_use]
pub fn table() -> Timeline {
    // A test reads it.
    serde_json::from_str(TABLE).unwrap_or_default()
}

/// A step that was run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Step {
    /// `provision` or `teardown`.
    pub machine: &'static str,
    /// The state's name, or `total`.
    pub state: String,
    /// How long it took.
    pub seconds: f64,
    /// How long it takes in the simulator; none where it has no such step.
    pub expected: Option<Range>,
    pub is_within: bool,
}

/// The steps of an execution beside the table; `seconds` are those of AWS's clock.
pub(super) fn compare(
    name: &'static str,
    expected: &Machine,
    total: Option<f64>,
    states: Vec<(String, f64)>,
) -> Vec<Step> {
    let step = |state: String, seconds: f64, expected: Option<Range>| Step {
        machine: name,
        is_within: expected.is_some_and(|range| is_within(seconds, range)),
        state,
        seconds,
        expected,
    };
    let total = total.map(|seconds| step("total".to_owned(), seconds, Some(expected.total)));
    let states = states.into_iter().map(|(state, seconds)| {
        let range = expected.states.get(&state).copied();
        step(state, seconds, range)
    });
    states.chain(total).collect()
}

/// Whether it could have taken so long in the simulator.
#[must_use]
pub fn is_within(seconds: f64, (shortest, longest): Range) -> bool {
    let slack = |of: f64| SLACK_SECONDS + of * SLACK_SHARE;
    seconds >= shortest - slack(shortest) && seconds <= longest + slack(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_knows_the_steps_that_take_long() {
        let table = table();
        let longest = |machine: &Machine, state: &str| machine.states[state].1;
        assert!(longest(&table.provision, "Cluster") > 300.0);
        assert!(longest(&table.provision, "NAT gateways") > 60.0);
        assert!(longest(&table.teardown, "Fargate profiles") > 60.0);
        assert!(table.provision.total.0 > longest(&table.provision, "VPC"));
    }

    #[test]
    fn moments_outside_the_timeline_are_marked() {
        let machine = Machine {
            total: (100.0, 200.0),
            states: [("VPC".to_owned(), (0.0, 10.0))].into(),
        };
        let states = vec![("VPC".to_owned(), 60.0), ("New".to_owned(), 1.0)];
        let steps = compare("provision", &machine, Some(150.0), states);
        let within: Vec<bool> = steps.iter().map(|it| it.is_within).collect();
        assert_eq!(within, [false, false, true]);
        assert_eq!(steps[1].expected, None);
        assert_eq!(steps[2].state, "total");
    }

    #[test]
    fn a_little_more_or_less_is_within() {
        assert!(is_within(0.0, (3.0, 4.0)));
        assert!(is_within(214.0, (100.0, 200.0)));
        assert!(!is_within(216.0, (100.0, 200.0)));
    }
}
