//! Where the code of a function is, and what it may use.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use tests::{project, world};

/// What all functions share: it knows none of them.
const SHARED: [&str; 4] = ["aws", "contract", "model", "resources"];

/// The ends of the names of files that are code.
const ENDS: [&str; 3] = ["rs", "json", "yaml"];

fn source() -> PathBuf {
    project::root().join("functions/src")
}

/// The names of the folders in a folder.
fn folders(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect()
}

/// The steps, as modules.
fn steps() -> BTreeSet<String> {
    folders(&source().join("steps"))
}

/// The functions that are no steps, as modules.
fn others() -> BTreeSet<String> {
    let mut others = folders(&source());
    others.retain(|name| !["bin", "steps"].contains(&name.as_str()));
    others.retain(|name| !SHARED.contains(&name.as_str()));
    others
}

/// The files of code below a folder, with their texts.
fn files(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path
            .extension()
            .is_some_and(|end| ENDS.iter().any(|it| end == *it))
        {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

/// The names that follow `before` in a text: one, or those of a list in braces.
fn names_after(text: &str, before: &str) -> BTreeSet<String> {
    let name = |text: &str| -> String {
        let is_name = |it: &char| it.is_alphanumeric() || *it == '_';
        text.trim_start().chars().take_while(is_name).collect()
    };
    let mut names = BTreeSet::new();
    for rest in text.split(before).skip(1) {
        let list = rest.strip_prefix('{').and_then(|it| it.split_once('}'));
        match list {
            Some((list, _)) => names.extend(list.split(',').map(name)),
            None => _ = names.insert(name(rest)),
        }
    }
    names
}

/// The steps that the file `path` of `step` names.
fn steps_named(step: &str, path: &Path, text: &str) -> BTreeSet<String> {
    let mut named = names_after(text, "steps::");
    // `super` of a step's mod.rs is the folder of the steps.
    let is_root = path.ends_with(format!("{step}/mod.rs"));
    let up = if is_root { "super::" } else { "super::super::" };
    named.extend(names_after(text, up));
    let steps = steps();
    named.retain(|name| steps.contains(name) && name != step);
    named
}

#[test]
fn a_step_does_not_use_another_step() {
    for step in steps() {
        for (path, text) in files(&source().join("steps").join(&step)) {
            let named = steps_named(&step, &path, &text);
            assert!(named.is_empty(), "{} uses {named:?}", path.display());
        }
    }
}

#[test]
fn a_step_in_another_step_is_noticed() {
    for (path, text) in [
        ("vpc/mod.rs", "use crate::steps::subnets::Subnets;"),
        ("vpc/mod.rs", "use crate::steps::{cluster, subnets};"),
        ("vpc/mod.rs", "use super::subnets;"),
        ("vpc/find.rs", "super::super::subnets::find()"),
    ] {
        let named = steps_named("vpc", Path::new(path), text);
        assert!(named.contains("subnets"), "{text}");
    }
    let own = "use crate::steps::vpc::Output; use super::find;";
    assert!(steps_named("vpc", Path::new("vpc/find.rs"), own).is_empty());
}

#[test]
fn shared_modules_know_no_function() {
    let others = others();
    for folder in SHARED {
        for (path, text) in files(&source().join(folder)) {
            let mut named = names_after(&text, "crate::");
            named.retain(|name| name == "steps" || others.contains(name));
            assert!(named.is_empty(), "{} uses {named:?}", path.display());
        }
    }
}

/// Every place that a new step has to be named in, beside the folder of the steps. Its permissions are in the template
/// as well, and what follows from them is generated.
fn places(step: &str) -> BTreeSet<String> {
    let name = step.replace('_', "-");
    let marks = [
        format!("steps::{step}::"),
        format!("{}:", world::logical_id(&name)),
        format!("${{{}Arn}}", world::logical_id(&name)),
    ];
    let own = source().join("steps");
    let roots = ["functions/src", "infra", "statemachine", "tests/src"];
    let files = roots.map(|root| files(&project::root().join(root)));
    let files = files.into_iter().flatten();
    let naming = files.filter(|(path, text)| {
        !path.starts_with(&own) && marks.iter().any(|mark| text.contains(mark))
    });
    let relative = |(path, _): (PathBuf, String)| {
        let path = path.strip_prefix(project::root()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    naming.map(relative).collect()
}

#[test]
fn a_step_is_named_in_few_places() {
    for step in steps() {
        let mut places = places(&step);
        let machines = ["provision", "teardown"].map(|it| format!("statemachine/{it}.asl.json"));
        let in_machines = machines.iter().filter(|it| places.contains(*it)).count();
        assert!(in_machines > 0, "{step} is in no state machine");
        places.retain(|place| !machines.contains(place));
        // A step whose outputs the unit tests of others need is run there; no other has to be named.
        places.remove("functions/src/testing.rs");
        let expected = [
            format!("functions/src/bin/{}.rs", step.replace('_', "-")),
            "infra/template.yaml".to_owned(),
            // The functions that tests of whole runs call.
            "tests/src/world.rs".to_owned(),
        ];
        assert_eq!(places, BTreeSet::from(expected), "{step}");
    }
}

#[test]
fn each_folder_of_a_function_has_a_binary_and_each_binary_a_folder() {
    let modules = project::functions().into_iter();
    let modules: BTreeSet<String> = modules.map(|name| name.replace('-', "_")).collect();
    let folders: BTreeSet<String> = steps().union(&others()).cloned().collect();
    assert_eq!(modules, folders);
}

/// What the names of operations begin with that only read.
const READS: [&str; 3] = ["describe_", "get_", "list_"];

fn is_of_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The name at the end of a text.
fn last_name(text: &str) -> &str {
    let before = text.trim_end_matches(is_of_name);
    &text[before.len()..]
}

/// The code of a file, without comments and without its tests, which come last.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines();
    let lines = lines.filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The files of a folder that are code of functions and no tests, with their code.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let files = files(folder);
    let tests = files.iter().map(|(_, text)| text);
    let tests: BTreeSet<String> = tests
        .flat_map(|text| names_after(text, "#[cfg(test)]\nmod "))
        .collect();
    let is_code = |path: &Path| {
        let name = path.file_stem().unwrap().to_str().unwrap();
        path.extension().is_some_and(|end| end == "rs") && !tests.contains(name)
    };
    let files = files.into_iter().filter(|(path, _)| is_code(path));
    files.map(|(path, text)| (path, code(&text))).collect()
}

/// What a code calls its clients: what is of a type `Client`.
fn clients(code: &str) -> BTreeSet<String> {
    let code = code.replace("&'a ", "&");
    let types = code.match_indices("Client");
    let names = types.filter_map(|(at, _)| {
        let is_of_type = |it: char| is_of_name(it) || [':', '&', '<'].contains(&it);
        let before = code[..at].trim_end_matches(is_of_type);
        let name = last_name(before.strip_suffix(": ")?);
        (!name.is_empty()).then(|| name.to_owned())
    });
    names.collect()
}

/// The operations that a code asks clients for: `client.operation()` and `client().operation()`.
fn operations(code: &str, clients: &BTreeSet<String>) -> BTreeSet<String> {
    let parts: Vec<&str> = code.split('.').map(str::trim).collect();
    let calls = parts.windows(2).filter_map(|pair| {
        let client = pair[0].strip_suffix("()").unwrap_or(pair[0]);
        let (name, _) = pair[1].split_once("()")?;
        let is_call = clients.contains(last_name(client)) && name.chars().all(is_of_name);
        is_call.then(|| name.to_owned())
    });
    calls.collect()
}

/// What all code of the functions calls its clients.
fn all_clients() -> BTreeSet<String> {
    let sources = sources(&source()).into_iter();
    sources.flat_map(|(_, code)| clients(&code)).collect()
}

fn is_read(operation: &str) -> bool {
    READS.iter().any(|begin| operation.starts_with(begin))
}

#[test]
fn an_operation_that_reads_is_called_from_one_file() {
    let clients = all_clients();
    let mut callers: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for (path, code) in sources(&source()) {
        for operation in operations(&code, &clients) {
            callers.entry(operation).or_default().push(path.clone());
        }
    }
    callers.retain(|operation, _| is_read(operation));
    assert!(callers.len() > 40, "{callers:?}");
    callers.retain(|_, paths| paths.len() > 1);
    assert!(callers.is_empty(), "{callers:#?}");
}

#[test]
fn resources_call_no_operation_that_changes_anything() {
    let clients = all_clients();
    for (path, code) in sources(&source().join("resources")) {
        let mut operations = operations(&code, &clients);
        operations.retain(|operation| !is_read(operation));
        assert!(operations.is_empty(), "{}: {operations:?}", path.display());
    }
}

#[test]
fn operations_of_clients_are_noticed() {
    let clients =
        clients("struct A { ssm: Client, ec2: OnceLock<aws_sdk_ec2::Client>, sfn: &'a Client }");
    assert_eq!(clients, ["ec2", "sfn", "ssm"].map(str::to_owned).into());
    let code = "match ssm.get_parameter().name(name) {}
        let call = aws
            .ec2()
            .delete_vpc()
            .vpc_id(id);
        aws.ec2().describe_vpcs().set_filters(None); other.list_all(); ec2.a(1);";
    let expected = ["delete_vpc", "describe_vpcs", "get_parameter"];
    let expected: BTreeSet<String> = expected.map(str::to_owned).into();
    assert_eq!(operations(code, &clients), expected);
}
