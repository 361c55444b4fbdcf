//! What an execution would do, before anybody starts one.

use functions::aws::Base;
use functions::model::Plan;
use functions::plan::preview::{Change, ResourceChange};
use functions::plan::{MonthlyPrice, Preview};
use std::io::{self, ErrorKind, Write};

use anyhow::{Context, Result};
use comfy_table::{CellAlignment, Table};
use console::style;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::args;
use crate::input;
use crate::stack;
use crate::summary;

/// `hardway plan`: the function `plan` with the caller's own credentials, without a state machine.
///
/// # Errors
/// If the input is wrong, a quota is too small or something is in the way, as the execution would say it.
pub async fn run(options: &args::Plan) -> Result<()> {
    let input = input::read(&options.input)?;
    let base = Base::from_env().await;
    let client = aws_sdk_cloudformation::Client::new(base.config());
    let base = stack::with_roles_of(&client, options.stack.as_deref(), base).await?;
    let (plan, preview) = functions::plan::dry_run(&base, &input).await?;
    if options.json {
        let output = json!({"plan": plan, "preview": preview});
        print(&serde_json::to_string_pretty(&output)?)
    } else {
        print(&text(&plan, &preview))
    }
}

/// Prints it. Whoever reads no further, as `head` does, is no failure.
fn print(text: &str) -> Result<()> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => Ok(done?),
    }
}

/// The output of a dry run as a person reads it.
///
/// # Errors
/// If it is not that of a dry run of this version.
pub fn text_of(output: &Value) -> Result<String> {
    let strange = "the output of the dry run is not of this version";
    let plan = Plan::deserialize(&output["plan"]).context(strange)?;
    let preview = Preview::deserialize(&output["preview"]).context(strange)?;
    Ok(text(&plan, &preview))
}

/// The plan as a person reads it: what is made, what it costs, how long it takes, what to know.
#[must_use]
pub fn text(plan: &Plan, preview: &Preview) -> String {
    let target = &plan.target;
    let title = format!(
        "Cluster {} (Kubernetes {}) in {} of account {}",
        style(&target.cluster_name).bold(),
        plan.kubernetes_version,
        target.region,
        target.account.id
    );
    let mut parts = vec![title, resources(&preview.resources)];
    parts.extend(differences(&preview.resources));
    parts.extend(preview.monthly_price.as_ref().map(price));
    parts.push(verdict(preview));
    if !preview.notes.is_empty() {
        let notes = preview.notes.iter().map(|note| format!("  - {note}"));
        let notes: Vec<String> = notes.collect();
        parts.push(format!("To know:\n{}", notes.join("\n")));
    }
    parts.join("\n\n")
}

fn word(change: Change) -> &'static str {
    match change {
        Change::Create => "create",
        Change::Change => "change",
        Change::Adopt => "adopt",
        Change::Keep => "keep",
        Change::Replace => "replace",
        Change::Remove => "remove",
    }
}

/// Resources of one type and change side by side stand in one row.
fn resources(resources: &[ResourceChange]) -> String {
    let mut table = summary::table();
    table.set_header(["", "TYPE", "COUNT", "NAME"]);
    let is_alike = |one: &ResourceChange, other: &ResourceChange| {
        one.kind == other.kind && one.change == other.change
    };
    let mut rows: Vec<Vec<&ResourceChange>> = vec![];
    for resource in resources {
        match rows.iter_mut().find(|row| is_alike(row[0], resource)) {
            Some(row) => row.push(resource),
            None => rows.push(vec![resource]),
        }
    }
    for row in rows {
        let names: Vec<&str> = row.iter().map(|it| it.name.as_str()).collect();
        table.add_row([
            word(row[0].change),
            &row[0].kind,
            &row.len().to_string(),
            &names.join("\n"),
        ]);
    }
    align_right(&mut table, &[2]);
    table.to_string()
}

/// What of each resource is put right, if there is something.
fn differences(resources: &[ResourceChange]) -> Option<String> {
    let lines = resources.iter().flat_map(|resource| {
        let differences = resource.differences.iter();
        differences.map(move |it| {
            format!(
                "  - {} of {}: {}, and will be {}",
                it.property, resource.name, it.is, it.should_be
            )
        })
    });
    let lines: Vec<String> = lines.collect();
    (!lines.is_empty()).then(|| format!("To change:\n{}", lines.join("\n")))
}

fn price(price: &MonthlyPrice) -> String {
    let mut table = summary::table();
    let unit = &price.currency;
    let headers = ["A MONTH", "QUANTITY", &format!("{unit} AN HOUR"), unit];
    table.set_header(headers);
    for line in &price.lines {
        table.add_row([
            line.item.clone(),
            line.quantity.to_string(),
            dollars(line.per_hour),
            format!("{:.2}", line.per_month),
        ]);
    }
    let total = format!("{:.2}", price.total);
    table.add_row(["total", "", "", &total]);
    align_right(&mut table, &[1, 2, 3]);
    table.to_string()
}

/// With all its digits, but no fewer than cents.
fn dollars(price: f64) -> String {
    let (all, cents) = (price.to_string(), format!("{price:.2}"));
    if all.len() < cents.len() { cents } else { all }
}

fn align_right(table: &mut Table, columns: &[usize]) {
    for column in columns {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// `29 to create, 2 to keep; about 19 minutes.`
fn verdict(preview: &Preview) -> String {
    let all = [
        Change::Create,
        Change::Change,
        Change::Adopt,
        Change::Replace,
        Change::Remove,
        Change::Keep,
    ];
    let counts: Vec<String> = all
        .into_iter()
        .filter_map(|change| {
            let resources = preview.resources.iter();
            let number = resources.filter(|it| it.change == change).count();
            (number > 0).then(|| format!("{number} to {}", word(change)))
        })
        .collect();
    let time = match preview.minutes {
        0 => "less than a minute".to_owned(),
        1 => "about a minute".to_owned(),
        minutes => format!("about {minutes} minutes"),
    };
    format!("{}; {time}.", counts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use functions::plan::Line;
    use functions::plan::preview::Difference;

    fn resource(kind: &str, name: &str, change: Change) -> ResourceChange {
        ResourceChange {
            kind: kind.to_owned(),
            name: name.to_owned(),
            change,
            differences: vec![],
        }
    }

    fn preview() -> Preview {
        Preview {
            resources: vec![
                resource("AWS::EC2::VPC", "vpc", Change::Keep),
                resource("AWS::EC2::Subnet", "public-a", Change::Create),
                resource("AWS::EC2::Subnet", "private-a", Change::Create),
            ],
            minutes: 19,
            monthly_price: Some(MonthlyPrice {
                currency: "USD".to_owned(),
                total: 73.0,
                date: "2026-09-25".to_owned(),
                lines: vec![Line {
                    item: "EKS control plane".to_owned(),
                    quantity: 1.0,
                    per_hour: 0.1,
                    per_month: 73.0,
                }],
            }),
            notes: vec!["nobody administers the cluster".to_owned()],
        }
    }

    fn words(text: &str) -> Vec<Vec<&str>> {
        text.lines()
            .map(|line| line.split_whitespace().collect())
            .collect()
    }

    #[test]
    fn resources_of_a_type_stand_together() {
        let table = resources(&preview().resources);
        let expected: [&[&str]; 4] = [
            &["TYPE", "COUNT", "NAME"],
            &["keep", "AWS::EC2::VPC", "1", "vpc"],
            &["create", "AWS::EC2::Subnet", "2", "public-a"],
            &["private-a"],
        ];
        assert_eq!(words(&table), expected);
    }

    #[test]
    fn a_difference_is_said_with_what_is_and_what_will_be() {
        let mut resources = preview().resources;
        assert_eq!(differences(&resources), None);
        resources[0].differences.push(Difference {
            property: "EnableDnsHostnames".to_owned(),
            is: "false".to_owned(),
            should_be: "true".to_owned(),
        });
        let said = differences(&resources).unwrap();
        assert_eq!(
            said,
            "To change:\n  - EnableDnsHostnames of vpc: false, and will be true"
        );
    }

    #[test]
    fn the_price_ends_with_its_total() {
        let table = price(preview().monthly_price.as_ref().unwrap());
        let expected: [&[&str]; 3] = [
            &["A", "MONTH", "QUANTITY", "USD", "AN", "HOUR", "USD"],
            &["EKS", "control", "plane", "1", "0.10", "73.00"],
            &["total", "73.00"],
        ];
        assert_eq!(words(&table), expected);
    }

    #[test]
    fn the_text_says_all_of_it_and_reads_its_own_data() {
        let (plan, preview) = (Plan::example(), preview());
        let text = text(&plan, &preview);
        assert!(text.starts_with("Cluster "), "{text}");
        assert!(text.contains("2 to create, 1 to keep; about 19 minutes."));
        assert!(text.ends_with("  - nobody administers the cluster"));
        let output = json!({"plan": plan, "preview": preview});
        assert_eq!(text_of(&output).unwrap(), text);
        assert!(text_of(&json!({"preview": {}})).is_err());
    }
}
