//! Pages of metrics, written to any text writer.

use core::hint::black_box;
use core::time::Duration;
use remora_core::forward::{Gateway, counters};
use remora_core::metrics::{CounterSet, Exposition, Family, Format, Histogram, Kind, Sink, Value};

use crate::outside::{Eye, bytes, count, flag, look, look_at, number, text};

#[unsafe(no_mangle)]
extern "C" fn page(gateway: &Gateway, counters: &CounterSet<2>, histogram: &Histogram, words: &mut [u8; 512]) {
    let format = Format::negotiate([bytes(words)].into_iter());
    look(format.content_type().as_bytes());
    let mut page = Exposition::new(format, Eye);
    gateway.counters.report(&mut page);
    let family = family();
    counters.add(count(), number());
    counters.series().report(&family, &mut page);
    histogram.observe(Duration::from_millis(number()));
    histogram.series().report(&family, &mut page);
    page.values(&family, &mut [Value::Whole(number()), Value::Milli(number())].into_iter());
    page.info(&family, &[(family.name, text(words))]);
    look_at(histogram.sum_ms());
    black_box(&page.finish());
}

/// Any metric family.
fn family() -> Family {
    let known = counters::families().nth(count()).copied();
    let family = known.unwrap_or(Family::new(if flag() { Kind::Gauge } else { Kind::Info }, "", ""));
    look(family.kind.word().as_bytes());
    family
}
