//! What is said before anything is done: what, where, how long, how much.

use console::style;
use functions::plan::Preview;
use functions::plan::preview::Change;

use super::place::Place;
use super::timeline;
use crate::args::Acceptance;
use crate::summary;

/// Minutes that the parts take which no timeline has: from what stacks of this size take.
const QUESTIONS: u32 = 3;
const DEPLOYMENT: u32 = 5;
const CHANGES: u32 = 6;
const STACK_REMOVAL: u32 = 5;
const SECONDS_PER_MINUTE: f64 = 60.0;

/// How long the whole takes, in minutes.
pub(super) fn minutes(preview: &Preview) -> u32 {
    let table = timeline::table();
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is minutes"
    )]
    let teardown = (table.teardown.total.1 / SECONDS_PER_MINUTE).ceil() as u32;
    QUESTIONS + DEPLOYMENT + preview.minutes + CHANGES + teardown + STACK_REMOVAL
}

/// What so many hours cost at most: AWS counts hours that have begun.
pub(super) fn price(preview: &Preview, hours: f64) -> Option<(f64, &str, &str)> {
    let price = preview.monthly_price.as_ref()?;
    let lines = price.lines.iter();
    let per_hour: f64 = lines.map(|line| line.quantity * line.per_hour).sum();
    Some((per_hour * hours.ceil(), &price.currency, &price.date))
}

pub(super) fn text(place: &Place, options: &Acceptance, preview: &Preview) -> String {
    let minutes = minutes(preview);
    let cost = match price(preview, f64::from(minutes) / SECONDS_PER_MINUTE) {
        Some((amount, currency, date)) => format!(
            "about {amount:.2} {currency}, by the list prices of {date}; Lambda, Step Functions and logs come to cents"
        ),
        None => {
            "hardway has no prices of this region; elsewhere it is less than a dollar".to_owned()
        }
    };
    let created = preview.resources.iter();
    let created = created.filter(|it| it.change == Change::Create).count();
    let stack = place.stack();
    let rows = [
        ("account", place.target.account.id.clone()),
        ("caller", place.caller.arn.clone()),
        ("region", place.region().to_owned()),
        ("stack", format!("{stack}, and a cluster of that name")),
        ("input", options.input.display().to_string()),
        ("time", format!("about {minutes} minutes")),
        ("cost", cost),
    ];
    let mut table = summary::table();
    for (name, value) in rows {
        table.add_row([name, &value]);
    }
    let lasting = if std::env::var_os("AWS_SESSION_TOKEN").is_some() {
        format!("\nYour credentials are a session's: it has to last for {minutes} minutes.")
    } else {
        String::new()
    };
    let end = if options.keep {
        "--keep: nothing is removed at the end, and costs go on until you do it."
    } else {
        "It removes all of that at the end, whatever happens, and looks itself whether anything is left.\n\
         Ctrl-C makes it remove everything earlier."
    };
    format!(
        "{}\n\n{table}\n\n\
         It first asks whether you may do all of it, and some questions that only an account can answer: with a \
         role, a VPC,\na queue and an event bus of their own, which cost nothing.\n\
         It then deploys the stack, builds the cluster ({created} resources), runs again (which must change \
         nothing), diagnoses,\nchanges one thing, and removes the cluster and the stack.\n\
         It touches nothing that is there already. Service-linked roles of EKS stay, as AWS wants it.\n\n{end}{lasting}",
        style("This tries hardway on an AWS account, from the deployment to the last trace:")
            .bold()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use functions::plan::{Line, MonthlyPrice};

    fn preview() -> Preview {
        Preview {
            resources: vec![],
            minutes: 19,
            monthly_price: Some(MonthlyPrice {
                currency: "USD".to_owned(),
                total: 0.0,
                date: "2026-09-25".to_owned(),
                lines: vec![Line {
                    item: "NAT gateways".to_owned(),
                    quantity: 2.0,
                    per_hour: 0.05,
                    per_month: 0.0,
                }],
            }),
            notes: vec![],
        }
    }

    #[test]
    fn hours_that_have_begun_are_paid() {
        let of_preview = preview();
        let (amount, currency, _) = price(&of_preview, 1.1).unwrap_or_default();
        assert!((amount - 0.2).abs() < 1e-9, "{amount}");
        assert_eq!(currency, "USD");
        assert!(minutes(&preview()) > 19 + 5);
        let nowhere = Preview {
            monthly_price: None,
            ..preview()
        };
        assert_eq!(price(&nowhere, 1.0), None);
    }
}
