//! The parts of CloudFormation templates that follow from what stands elsewhere. They lie between the lines
//! `# Generated: NAME` and `# End of what is generated`. `UPDATE_POLICIES=1 cargo test --test all policies::`
//! writes them, and the same test fails while they are out of date.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{project, template, world};

const BEGIN: &str = "# Generated: ";
const END: &str = "# End of what is generated";

/// The text of a template with its generated parts as they should be.
///
/// # Panics
/// If a part has a name that is not known, or no end.
#[must_use]
pub fn up_to_date(text: &str) -> String {
    let mut lines = text.lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        found.push(line.to_owned());
        if let Some(name) = line.trim_start().strip_prefix(BEGIN) {
            let indent = &line[..line.len() - line.trim_start().len()];
            found.extend(part(name).iter().map(|line| format!("{indent}{line}")));
            let end = lines.find(|line| line.trim() == END);
            found.push(
                end.unwrap_or_else(|| panic!("{name} has no end"))
                    .to_owned(),
            );
        }
    }
    found.join("\n") + "\n"
}

fn part(name: &str) -> Vec<String> {
    match name.split_once(" of ") {
        Some(("substitutions", machine)) => {
            let functions = functions_of(machine).into_iter();
            functions
                .map(|id| format!("{id}Arn: !GetAtt {id}.Arn"))
                .collect()
        }
        Some(("functions", machine)) => {
            let functions = functions_of(machine).into_iter();
            functions.map(|id| format!("- !GetAtt {id}.Arn")).collect()
        }
        Some(("roles", "functions that enter accounts")) => {
            let functions = template::functions().into_iter();
            functions
                .filter(|(_, function)| template::statements(function).is_some())
                .map(|(name, _)| format!("- !GetAtt {}Role.Arn", world::logical_id(&name)))
                .collect()
        }
        Some(("statements", "functions that enter accounts")) => statements_of_all_functions(),
        _ => panic!("nobody knows how to generate {name}"),
    }
}

/// The functions that a definition names as `${…FunctionArn}`.
fn functions_of(machine: &str) -> BTreeSet<String> {
    let definition = project::read(&format!("statemachine/{machine}.asl.json"));
    let placeholders = definition.split("${").skip(1);
    placeholders
        .filter_map(|rest| rest.split('}').next()?.strip_suffix("FunctionArn"))
        .map(|name| format!("{name}Function"))
        .collect()
}

/// What the statements that begin with a service's actions are for.
const SERVICES: &[(&str, &str)] = &[
    ("ec2", "Networks."),
    (
        "eks",
        "Clusters, their profiles, add-ons and access entries.",
    ),
    (
        "iam",
        "The cluster's roles, the service-linked roles of EKS, and whether what the input names exists.",
    ),
    (
        "kms",
        "A key for secrets, if the input names one; the key's own policy has the last word.",
    ),
    ("logs", "The control plane's logs."),
    ("servicequotas", "What Fargate may run at once."),
];

/// The statements of all functions, as few as say the same: actions of one service on the same resources under
/// the same condition are one statement.
fn statements_of_all_functions() -> Vec<String> {
    // Service, condition as lines, and action; its resources.
    let mut resources: BTreeMap<(String, Vec<String>, String), BTreeSet<String>> = BTreeMap::new();
    let functions = template::functions();
    for statement in functions
        .values()
        .filter_map(template::statements)
        .flatten()
    {
        assert_eq!(statement["Effect"], "Allow", "{statement}");
        let condition = statement.get("Condition").map(|it| member("Condition", it));
        let condition = condition.unwrap_or_default();
        for action in texts(&statement["Action"]) {
            let service = action.split(':').next().unwrap().to_owned();
            let of_action = resources.entry((service, condition.clone(), action));
            let named = texts(&statement["Resource"]);
            of_action.or_default().extend(named);
        }
    }
    let mut actions: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for ((service, condition, action), resources) in resources {
        let key = (service, condition, resources);
        actions.entry(key).or_default().push(action);
    }
    let mut lines = Vec::new();
    let mut services = SERVICES.iter().peekable();
    for ((service, condition, resources), actions) in actions {
        if let Some((_, purpose)) = services.next_if(|(name, _)| *name == service) {
            lines.push(format!("# {purpose}"));
        }
        lines.push("- Effect: Allow".to_owned());
        lines.extend(indented(member("Action", &one_or_all(actions))));
        let resources = one_or_all(resources.into_iter().collect());
        lines.extend(indented(member("Resource", &resources)));
        lines.extend(indented(condition));
    }
    assert_eq!(
        services.next(),
        None,
        "a service of which nothing is allowed"
    );
    lines
}

fn texts(value: &Value) -> Vec<String> {
    let items = value.as_array().cloned();
    let items = items.unwrap_or_else(|| vec![value.clone()]);
    let texts = items.iter().map(|it| it.as_str().unwrap().to_owned());
    texts.collect()
}

fn one_or_all(mut texts: Vec<String>) -> Value {
    if texts.len() == 1 {
        texts.remove(0).into()
    } else {
        texts.into()
    }
}

/// A member of a statement as lines of YAML, with CloudFormation's names for what `policy.json` calls partition
/// and account.
fn member(key: &str, value: &Value) -> Vec<String> {
    // Without quotation marks it would be no text.
    let key = if key == "Null" { "\"Null\"" } else { key };
    let mut lines = match value {
        Value::Object(members) => {
            let members = members.iter();
            members
                .flat_map(|(key, value)| member(key, value))
                .collect()
        }
        Value::Array(items) => items.iter().map(|it| format!("- {}", scalar(it))).collect(),
        other => return vec![format!("{key}: {}", scalar(other))],
    };
    lines = indented(lines);
    lines.insert(0, format!("{key}:"));
    lines
}

fn scalar(value: &Value) -> String {
    let text = value.as_str().unwrap();
    if text.contains("${") {
        let text = text.replace("${Partition}", "${AWS::Partition}");
        let text = text.replace("${AccountId}", "${AWS::AccountId}");
        return format!("!Sub {text:?}");
    }
    // Names of actions and of services need no quotation marks.
    let is_name = text.starts_with(char::is_alphabetic) && text.contains([':', '.']);
    if is_name {
        text.to_owned()
    } else {
        format!("{text:?}")
    }
}

fn indented(lines: Vec<String>) -> Vec<String> {
    lines.into_iter().map(|line| format!("  {line}")).collect()
}
