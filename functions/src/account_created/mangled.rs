//! A property: no event, however mangled, makes the function panic, or start anything for an account id
//! that is not twelve digits, or that the event does not have.

use std::sync::{Arc, Mutex};

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::account_created::tests::{
    PARAMETER, accepting, created, enrolled, example, joined, managed, starter_in, updated,
    world_with,
};
use crate::account_created::{Starter, Status};
use crate::testing::World;

/// How many events are tried; `EVENTS` tries more or fewer.
const EVENTS: usize = 4_000;

/// A starter whose policy builds for everybody, its account, and the inputs of what it has started.
async fn recording() -> (Starter, World, Arc<Mutex<Vec<Value>>>) {
    let (accepts, inputs) = accepting();
    let policy = json!({
        "enabled": true,
        "invitedAccounts": true,
        "input": {"clusterName": "c-{accountId}"},
    });
    let world = world_with(&policy.to_string()).await;
    (starter_in(&world.base(), &[&accepts], &[]), world, inputs)
}

/// Nothing was started before, whatever was.
fn forget_starts(world: &World) {
    world.region(|region| region.ssm.parameters.retain(|name, _| name == PARAMETER));
    world.forget_calls();
}

/// JSON pointers of everything in a value, the value itself first.
fn pointers(value: &Value) -> Vec<String> {
    fn walk(value: &Value, here: &str, found: &mut Vec<String>) {
        found.push(here.to_owned());
        match value {
            Value::Object(members) => members.iter().for_each(|(name, value)| {
                let name = name.replace('~', "~0").replace('/', "~1");
                walk(value, &format!("{here}/{name}"), found);
            }),
            Value::Array(items) => items.iter().enumerate().for_each(|(index, value)| {
                walk(value, &format!("{here}/{index}"), found);
            }),
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(value, "", &mut found);
    found
}

/// A value that may stand anywhere and belongs nowhere; some are nearly an account's id.
fn nonsense(rng: &mut ChaCha8Rng) -> Value {
    match rng.random_range(0..20) {
        0 => Value::Null,
        1 => json!(rng.random::<bool>()),
        2 => json!(444_455_556_666_u64),
        3 => json!(rng.random::<f64>() * 1e300),
        4 => json!([]),
        5 => json!({}),
        6 => json!(["444455556666"]),
        7 => json!({"accountId": "444455556666"}),
        8 => json!(""),
        9 => json!("44445555666"),
        10 => json!("4444555566667"),
        11 => json!(" 44445555666"),
        12 => json!("444455556666\n"),
        // Digits, but not those of ASCII: twelve characters, and twelve bytes.
        13 => json!("４４４４５５５５６６６６"),
        14 => json!("٤٤٤٤٥٥"),
        15 => json!("-44455556666"),
        16 => json!("\u{0}\u{202e}💥\u{fffd}"),
        17 => json!("{accountId}"),
        18 => json!("4".repeat(100_000)),
        _ => {
            let mut deep = json!("444455556666");
            for _ in 0..100 {
                deep = json!({"accountId": deep});
            }
            deep
        }
    }
}

/// Changes one thing.
fn mangle(event: &mut Value, rng: &mut ChaCha8Rng) {
    let pointers = pointers(event);
    let Some(pointer) = pointers.choose(rng) else {
        return;
    };
    match rng.random_range(0..6) {
        0..=2 => {
            if let Some(place) = event.pointer_mut(pointer) {
                *place = nonsense(rng);
            }
        }
        3 => {
            let (parent, name) = pointer.rsplit_once('/').unwrap_or_default();
            if let Some(Value::Object(members)) = event.pointer_mut(parent) {
                members.shift_remove(name);
            }
        }
        4 => {
            let other = pointers
                .choose(rng)
                .and_then(|it| event.pointer(it).cloned());
            if let (Some(place), Some(other)) = (event.pointer_mut(pointer), other) {
                *place = other;
            }
        }
        _ => {
            let name = ["accountId", "createAccountStatus", "detail", "💥"];
            let name = name.choose(rng).copied().unwrap_or_default();
            let value = nonsense(rng);
            if let Some(Value::Object(members)) = event.pointer_mut(pointer) {
                members.insert(name.to_owned(), value);
            }
        }
    }
}

/// An event as text with a member twice, as JSON allows it.
fn doubled(event: &Value, rng: &mut ChaCha8Rng) -> Option<Value> {
    let text = event.to_string();
    let members: Vec<usize> = text.match_indices(",\"").map(|(at, _)| at).collect();
    let at = *members.choose(rng)?;
    let name = ["accountId", "state", "eventName", "source"].choose(rng)?;
    let value = nonsense(rng);
    let (before, after) = text.split_at(at);
    serde_json::from_str(&format!("{before},\"{name}\":{value}{after}")).ok()
}

/// An event that was cut off. Lambda takes only JSON, so what is left of it comes as a string.
fn truncated(event: &Value, rng: &mut ChaCha8Rng) -> Value {
    let mut text = event.to_string();
    let mut end = rng.random_range(0..text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

fn mangled(rng: &mut ChaCha8Rng) -> Value {
    let failed = example("events/organizations-create-account-result-failed");
    let originals = [
        created(),
        joined(),
        managed(),
        updated(),
        enrolled(),
        failed,
    ];
    let mut event = originals.choose(rng).unwrap().clone();
    match rng.random_range(0..10) {
        0 => truncated(&event, rng),
        1 => doubled(&event, rng).unwrap_or(event),
        _ => {
            for _ in 0..rng.random_range(1..=4) {
                mangle(&mut event, rng);
            }
            event
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_event_however_mangled_starts_anything_but_for_twelve_digits_of_its_own() {
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| rand::rng().random());
    let events = std::env::var("EVENTS").ok().and_then(|it| it.parse().ok());
    let events: usize = events.unwrap_or(EVENTS);
    println!("SEED={seed} EVENTS={events}");

    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (starter, world, inputs) = recording().await;
    let (mut clusters, mut refused) = (0, 0);
    for number in 0..events {
        let event = mangled(&mut rng);
        let answer = starter.handle(&event).await;
        forget_starts(&world);
        let starts = std::mem::take(&mut *inputs.lock().unwrap());
        match answer {
            Ok(answer) if answer.status == Status::Started => {
                let [input] = &starts[..] else {
                    panic!("event {number} of seed {seed}: {starts:?}");
                };
                let id = input["account"]["id"].as_str().unwrap();
                let is_twelve_digits = id.len() == 12 && id.chars().all(|c| c.is_ascii_digit());
                assert!(is_twelve_digits, "event {number} of seed {seed}: {id}");
                // Alone, or at the end of an ARN.
                let text = event.to_string();
                assert!(
                    text.contains(&format!("{id}\"")),
                    "event {number} of seed {seed}"
                );
                clusters += 1;
            }
            Ok(_) => assert!(starts.is_empty(), "event {number} of seed {seed}"),
            Err(error) => {
                assert!(starts.is_empty(), "event {number} of seed {seed}");
                assert_eq!(
                    error.name(),
                    "InvalidRequest",
                    "event {number} of seed {seed}"
                );
                refused += 1;
            }
        }
    }
    println!("{clusters} started, {refused} refused");
    // Otherwise it has tried nothing: some changes do not matter, most do.
    assert!(clusters > events / 50, "{clusters} of {events} started");
    assert!(refused > events / 10, "{refused} of {events} refused");
}
