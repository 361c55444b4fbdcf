//! Logs: JSON lines on standard output, which Lambda sends to CloudWatch Logs.
//!
//! One line for each change in AWS ([`changing`] before, [`changed`] after) and one for each answer
//! of a step ([`crate::contract::invoke`]). Every line names the execution, the step and the cluster:
//! they are fields of the span that `invoke` opens. `hardway watch` reads these lines.

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, util::SubscriberInitExt};

/// Message of the line that a step writes with its answer.
pub const ANSWERED: &str = "answered";

/// Starts logging to standard output at the level of `AWS_LAMBDA_LOG_LEVEL` (default: info).
pub fn init() {
    let level = std::env::var("AWS_LAMBDA_LOG_LEVEL").unwrap_or_else(|_| "info".to_owned());
    let filter = EnvFilter::new(format!("warn,functions={level},hardway={level}"));
    let _ = tracing_subscriber::registry()
        .with(filter)
        .with(JsonLines)
        .try_init();
}

/// Says that a call that changes AWS (named as IAM does, for example `ec2:CreateVpc`) is about to be made.
pub fn changing(call: &str, resource: &str) {
    tracing::info!(target: "hardway", call, resource, "changing");
}

/// Says that a call that changes AWS was made.
pub fn changed(call: &str, resource: &str) {
    tracing::info!(target: "hardway", call, resource, "changed");
}

/// Writes each event as one flat JSON object: the fields of its spans, then its own.
struct JsonLines;

/// The fields of a span, kept with it.
struct Fields(Map<String, Value>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for JsonLines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Map::new();
        attributes.record(&mut Collect(&mut fields));
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(Fields(fields));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut line = Map::new();
        line.insert(
            "timestamp".into(),
            jiff::Timestamp::now().to_string().into(),
        );
        line.insert("level".into(), event.metadata().level().as_str().into());
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(Fields(fields)) = span.extensions().get() {
                line.extend(fields.clone());
            }
        }
        event.record(&mut Collect(&mut line));
        println!("{}", Value::Object(line));
    }
}

/// Collects the fields of an event or a span as JSON.
struct Collect<'a>(&'a mut Map<String, Value>);

impl Visit for Collect<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0
            .insert(field.name().to_owned(), format!("{value:?}").into());
    }
}
