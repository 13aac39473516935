//! The counters, as JSON for tests and as Prometheus text for scraping.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use serde_json::{Map, Value, json};

use crate::emulator::Emulator;

/// `GET /stats`. Times are seconds since 1970.
pub(super) fn document(emulator: &Emulator) -> Value {
    let mut document = json!(emulator.archive.lock().counts());
    let traffic = emulator.traffic.lock();
    document["requests"] = json!(traffic.requests());
    document["tokens_issued"] = json!(traffic.tokens_issued());
    document["newest_token_expiry"] = json!(traffic.newest_token_expiry());
    drop(traffic);
    document["connections"] = connections(emulator);
    if let Some(pass_on) = &emulator.pass_on {
        let (sent, refused) = (&pass_on.tally.sent, &pass_on.tally.refused);
        document["pass_on"] = json!({"sent": sent.load(Ordering::Relaxed), "refused": refused.load(Ordering::Relaxed)});
    }
    document
}

fn connections(emulator: &Emulator) -> Value {
    let open = emulator
        .switches
        .all()
        .iter()
        .map(|switch| (switch.name.as_str().to_owned(), json!(switch.connections.load(Ordering::Relaxed))));
    Value::Object(open.into_iter().collect())
}

/// The same numbers as metrics, one for each top-level number.
pub(super) fn exposition(emulator: &Emulator) -> String {
    let document = document(emulator);
    let mut text = String::new();
    for (name, value) in document.as_object().into_iter().flatten() {
        match value {
            Value::Number(number) => line(&mut text, name, "", number),
            Value::Object(parts) => exposed_parts(&mut text, name, parts),
            _ => {}
        }
    }
    text
}

fn exposed_parts(text: &mut String, name: &str, parts: &Map<String, Value>) {
    for (part, value) in parts {
        match (name, value) {
            ("requests", Value::Object(statuses)) => {
                for (status, count) in statuses {
                    line(text, name, &format!("{{endpoint=\"{part}\",status=\"{status}\"}}"), count);
                }
            }
            ("connections", count) => line(text, name, &format!("{{endpoint=\"{part}\"}}"), count),
            (_, count) => line(text, &format!("{name}_{part}"), "", count),
        }
    }
}

fn line(text: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    // Writing to a String cannot fail.
    writeln!(text, "emulator_{name}{labels} {value}").unwrap_or_default();
}
