//! Limits on memory and concurrency.

use std::num::NonZeroUsize;
use std::ops::RangeInclusive;

use remora_smol::config::{Limits, SMALL_ARENA};

use super::fault::Reject;
use super::quantity::{self, GIB, KIB, size_text};
use super::reader::Reader;
use super::settings::{BODY_MEMORY, MAX_BODY_BYTES, MAX_CONNECTIONS, MAX_IN_FLIGHT, Setting, THREADS};

/// What `BODY_MEMORY` can be.
const MEMORY: RangeInclusive<usize> = 256 * KIB..=GIB;
/// What `MAX_BODY_BYTES` can be, if there is memory for it.
const BODY: RangeInclusive<usize> = KIB..=GIB;

/// Reads all limits.
pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Limits> {
    let body_memory = reader.value(&BODY_MEMORY, |text| quantity::size(text, &MEMORY));
    let max_body_bytes = reader.value(&MAX_BODY_BYTES, |text| quantity::size(text, &BODY));
    let max_connections = reader.value(&MAX_CONNECTIONS, |text| quantity::count(text, &(1..=4096)));
    let max_in_flight = reader.value(&MAX_IN_FLIGHT, |text| quantity::count(text, &(1..=1024)));
    let threads = reader.value(&THREADS, |text| quantity::count(text, &(1..=64)));
    let (body_memory, max_body_bytes, threads) = (body_memory?, max_body_bytes?, threads?);
    let (max_connections, max_in_flight) = (max_connections?, max_in_flight?);
    let limits = Limits { body_memory, max_body_bytes, max_connections, max_in_flight, threads };
    // All of them, so that no fault hides another.
    let fit = [
        fits_body(reader, &limits),
        fits_threads(reader, &MAX_CONNECTIONS, max_connections, threads),
        fits_threads(reader, &MAX_IN_FLIGHT, max_in_flight, threads),
    ];
    (fit == [true; 3]).then_some(limits)
}

/// Whether each thread's share of the memory holds the longest body. If not, blames a setting that was given; the
/// presets fit each other.
fn fits_body(reader: &mut Reader<'_>, limits: &Limits) -> bool {
    let Limits { body_memory, max_body_bytes, threads, .. } = *limits;
    let longest = |memory: usize| (memory / threads).saturating_sub(SMALL_ARENA);
    let most = longest(body_memory);
    if max_body_bytes <= most {
        return true;
    }
    let given = |setting: &&&Setting| reader.given(setting).is_some();
    let blamed = [&MAX_BODY_BYTES, &BODY_MEMORY, &THREADS].iter().find(given).copied().unwrap_or(&BODY_MEMORY);
    let part = if threads.get() > 1 { format!(" divided by {threads} (THREADS)") } else { String::new() };
    let wrong = format!(
        "a body of {} (MAX_BODY_BYTES) does not fit in {} (BODY_MEMORY){part} less {}",
        size_text(max_body_bytes),
        size_text(body_memory),
        size_text(SMALL_ARENA)
    );
    let enough = max_body_bytes.saturating_add(SMALL_ARENA).saturating_mul(threads.get());
    let more = format!("BODY_MEMORY to {} or more", size_text(enough));
    let less = |most| format!("MAX_BODY_BYTES to {} or less", size_text(most));
    // Neither alone may be enough.
    let fix = match (MEMORY.contains(&enough), BODY.contains(&most)) {
        (true, true) => format!("set {more}, or {}", less(most)),
        (true, false) => format!("set {more}"),
        (false, true) => format!("set {}", less(most)),
        (false, false) => format!("set BODY_MEMORY to {}, and {}", size_text(GIB), less(longest(GIB))),
    };
    let value = reader.given(blamed);
    reader.fault(blamed.name, value.as_deref(), Reject::new(wrong, fix));
    false
}

/// Whether a limit gives each thread at least one.
fn fits_threads(reader: &mut Reader<'_>, setting: &Setting, count: usize, threads: NonZeroUsize) -> bool {
    let fits = count >= threads.get();
    if !fits {
        let value = reader.given(setting);
        let wrong = format!("is less than {threads} (THREADS), among which it is divided");
        let fix = format!("set {} to {threads} or more, or THREADS to {count} or less", setting.name);
        reader.fault(setting.name, value.as_deref(), Reject::new(wrong, fix));
    }
    fits
}
