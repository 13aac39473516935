//! Bounds on memory and concurrency.

use remora_smol::config::Limits;

use super::fault::Reject;
use super::quantity::{self, GIB, KIB, size_text};
use super::reader::Reader;
use super::settings::{BODY_MEMORY, MAX_BODY_BYTES, MAX_CONNECTIONS, MAX_IN_FLIGHT, Setting};

/// What one body must leave of `BODY_MEMORY`, so that the largest one does not stop every other.
const RESERVE: usize = 128 * KIB;

/// Reads all bounds.
pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Limits> {
    let body_memory = reader.value(&BODY_MEMORY, |text| quantity::size(text, &(256 * KIB..=GIB)));
    let max_body_bytes = reader.value(&MAX_BODY_BYTES, |text| quantity::size(text, &(KIB..=GIB)));
    let max_connections = reader.value(&MAX_CONNECTIONS, |text| quantity::count(text, &(1..=4096)));
    let max_in_flight = reader.value(&MAX_IN_FLIGHT, |text| quantity::count(text, &(1..=1024)));
    let (body_memory, max_body_bytes) = (body_memory?, max_body_bytes?);
    if max_body_bytes > body_memory.saturating_sub(RESERVE) {
        refuse_body(reader, body_memory, max_body_bytes);
        return None;
    }
    Some(Limits { body_memory, max_body_bytes, max_connections: max_connections?, max_in_flight: max_in_flight? })
}

/// Blames the one that was given; the preset values fit each other.
fn refuse_body(reader: &mut Reader<'_>, body_memory: usize, max_body_bytes: usize) {
    let blamed: &Setting = if reader.given(&MAX_BODY_BYTES).is_some() { &MAX_BODY_BYTES } else { &BODY_MEMORY };
    let value = reader.given(blamed);
    let wrong = format!(
        "a body of {} (MAX_BODY_BYTES) does not fit into {} (BODY_MEMORY) less {}",
        size_text(max_body_bytes),
        size_text(body_memory),
        size_text(RESERVE)
    );
    let fix = format!(
        "set BODY_MEMORY to {} or more, or MAX_BODY_BYTES to {} or less",
        size_text(max_body_bytes.saturating_add(RESERVE)),
        size_text(body_memory.saturating_sub(RESERVE))
    );
    reader.fault(blamed.name, value.as_deref(), Reject::new(wrong, fix));
}
