//! Bodies as senders write them: those of a real Prometheus, and small ones that are easily refused by mistake.

use fastrand::Rng;
use remora_core::remote_write::{Check, Counts, Level, Verdict, Version, Why};
use remora_core::snappy::Window;

use crate::{LIMIT, WINDOW, check, check_cut_anyhow, in_literals, schema, varint};

/// What Prometheus 2.42 posted while it scraped itself and a node exporter.
const REAL: [(&[u8], u32, usize); 3] = [
    (include_bytes!("../vectors/prometheus-2.42-500-samples.snappy"), 500, 159_136),
    (include_bytes!("../vectors/prometheus-2.42-2000-samples.snappy"), 2_000, 587_367),
    (include_bytes!("../vectors/prometheus-2.42-10000-samples.snappy"), 10_000, 2_979_326),
];

const TIMESTAMP: i64 = 1_700_000_000_123;

fn field(number: u8, content: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2], varint(content.len() as u64).as_slice(), content].concat()
}

fn label(name: &str, value: &str) -> Vec<u8> {
    field(1, &[field(1, name.as_bytes()), field(2, value.as_bytes())].concat())
}

/// A sample in field 2 of a series; `bits` is its value.
fn sample(bits: u64) -> Vec<u8> {
    field(2, &[b"\x09", bits.to_le_bytes().as_slice(), b"\x10", &varint(TIMESTAMP.cast_unsigned())].concat())
}

fn one_sample() -> Counts {
    Counts { series: 1, samples: 1, oldest: Some(TIMESTAMP), ..Counts::default() }
}

/// Requires `message` to be good, however it is cut, with `expected` counts.
fn assert_good(version: Version, message: &[u8], expected: Counts) {
    let mut rng = Rng::with_seed(0x5eed_0021);
    for level in [Level::Full, Level::Wire] {
        assert_eq!(check_cut_anyhow(version, level, message, &mut rng), Verdict::Good(expected), "{message:02x?}");
    }
}

#[test]
fn samples_of_more_than_20_minutes_ago_are_counted() {
    let at = |age: i64| field(2, &[b"\x10", varint((schema::OLDEST_FRESH - age).cast_unsigned()).as_slice()].concat());
    let message = field(1, &[at(0), at(1), at(86_400_000), sample(0)].concat());
    let oldest = Some(schema::OLDEST_FRESH - 86_400_000);
    assert_good(Version::V1, &message, Counts { samples: 4, too_old: 2, oldest, ..one_sample() });

    let histogram = field(4, &[b"\x78", varint((schema::OLDEST_FRESH - 1).cast_unsigned()).as_slice()].concat());
    let oldest = Some(schema::OLDEST_FRESH - 1);
    let expected = Counts { series: 1, integer_histograms: 1, too_old: 1, oldest, ..Counts::default() };
    assert_good(Version::V1, &field(1, &histogram), expected);
}

#[test]
fn nothing_is_too_old_when_nobody_says_the_time() {
    let mut window = vec![0; WINDOW];
    let mut check = Check::new(Version::V1, Level::Full, Window::new(&mut window).unwrap(), LIMIT);
    check.feed(&in_literals(&field(1, &field(2, b"\x10\x01"))));
    let expected = Counts { oldest: Some(1), ..one_sample() };
    assert_eq!(check.finish(), Verdict::Good(expected));
}

#[test]
fn real_bodies_hold_what_was_sent() {
    for (body, samples, decoded) in REAL {
        let message = snap::raw::Decoder::new().decompress_vec(body).unwrap();
        assert_eq!(message.len(), decoded);
        let expected = schema::counts(Version::V1, &message).unwrap();
        assert_eq!((expected.series, expected.samples), (samples, samples));
        for level in [Level::Full, Level::Wire] {
            assert_eq!(check(Version::V1, level, body, || 16 * 1024), Verdict::Good(expected));
        }
    }
}

#[test]
fn real_bodies_can_be_cut_anywhere() {
    let mut rng = Rng::with_seed(0x5eed_0022);
    for (body, ..) in REAL {
        let whole = check(Version::V1, Level::Full, body, || usize::MAX);
        assert_eq!(check(Version::V1, Level::Full, body, || 1), whole);
        for most in [2, 10, 100, 1_000, 10_000] {
            assert_eq!(check(Version::V1, Level::Full, body, || rng.usize(1..=most)), whole);
        }
    }
}

#[test]
fn a_real_body_cut_short_is_corrupt() {
    let (body, ..) = REAL[0];
    for end in (0..body.len()).step_by(97) {
        let verdict = check(Version::V1, Level::Full, &body[..end], || usize::MAX);
        assert!(matches!(verdict, Verdict::Corrupt(_)), "{end} bytes: {verdict:?}");
    }
}

#[test]
fn an_empty_request_is_good_and_an_empty_body_is_not() {
    for version in [Version::V1, Version::V2] {
        assert_good(version, b"", Counts::default());
        assert_eq!(check(version, Level::Full, b"\0", || 1), Verdict::Good(Counts::default()));
        assert!(matches!(check(version, Level::Full, b"", || 1), Verdict::Corrupt(_)));
    }
}

/// Prometheus sends metadata of version 1 in requests of their own.
#[test]
fn metadata_alone_is_good() {
    let metadata = [b"\x08\x01".as_slice(), &field(2, b"up"), &field(4, b"Whether it is."), &field(5, b"")].concat();
    let request = [field(3, &metadata), field(3, b"")].concat();
    assert_good(Version::V1, &request, Counts { metadata: 2, ..Counts::default() });
}

/// One system adds tenant numbers to metadata, another uses the reserved field 2.
#[test]
fn fields_of_other_systems_are_passed_over() {
    let metadata = [field(2, b"up").as_slice(), b"\x58\x07\x60\x08"].concat();
    let request = [b"\x10\x01".as_slice(), &field(3, &metadata)].concat();
    assert_good(Version::V1, &request, Counts { metadata: 1, ..Counts::default() });
}

#[test]
fn labels_in_any_order_and_of_any_length_are_good() {
    let long = "x".repeat(5_000);
    let series = [label("z", "1"), label("a", "2"), label("", ""), label("long", &long), label("é", "日本")].concat();
    assert_good(Version::V1, &field(1, &[series, sample(0)].concat()), one_sample());
}

#[test]
fn stale_markers_and_omitted_zeros_are_good() {
    let stale = 0x7ff0_0000_0000_0002;
    assert_good(Version::V1, &field(1, &[label("a", "b"), sample(stale)].concat()), one_sample());
    let zero = Counts { series: 1, samples: 1, too_old: 1, oldest: Some(0), ..Counts::default() };
    assert_good(Version::V1, &field(1, b"\x12\x00"), zero);
}

/// Prometheus writes exemplars before histograms and an empty metadata message at the end of each series; up to 3.7 the
/// schema had a created timestamp in field 6.
#[test]
fn version_2_as_prometheus_writes_it() {
    let exemplar = field(4, &[field(1, &[1, 2]).as_slice(), b"\x18\x05"].concat());
    let histogram = field(3, b"\x08\x03\x20\x02\x78\x07");
    let series = [field(1, &[1, 2]), sample(1), exemplar, histogram, field(5, b""), b"\x30\x05".to_vec()].concat();
    let symbols = [field(4, b""), field(4, b"job"), field(4, b"node")].concat();
    let expected =
        Counts { symbols: 3, exemplars: 1, integer_histograms: 1, too_old: 1, oldest: Some(7), ..one_sample() };
    assert_good(Version::V2, &[symbols.clone(), field(5, &series)].concat(), expected);
    assert_good(Version::V2, &[field(5, &series), symbols].concat(), expected);
}

/// klauspost/compress packs the whole input as one block, so its copies reach back further than 64 KiB.
#[test]
fn a_copy_beyond_the_window_is_unchecked_until_the_window_is_large_enough() {
    let filler = "x".repeat(100_000);
    let series = field(1, &[label("job", "node"), sample(1)].concat());
    let literal = [series.clone(), field(1, &[label("filler", &filler), sample(2)].concat())].concat();
    let message = [literal.clone(), series.clone()].concat();

    // The last series is a copy of the first.
    let in_literals = in_literals(&literal);
    let elements = &in_literals[varint(literal.len() as u64).len()..];
    let offset = literal.len() as u32;
    let copy = [&[(series.len() as u8 - 1) << 2 | 0b11], offset.to_le_bytes().as_slice()].concat();
    let body = [varint(message.len() as u64).as_slice(), elements, &copy].concat();

    let window_bytes = 1 << 17;
    let mut window = vec![0; window_bytes];
    let mut check = Check::new(Version::V1, Level::Full, Window::new(&mut window[..WINDOW]).unwrap(), LIMIT);
    check.feed(&body);
    assert_eq!(check.larger_window(), Some(window_bytes), "what the second pass needs");
    assert_eq!(check.finish(), Verdict::Unchecked(Why::OffsetBeyondWindow { offset }));

    let mut check = Check::new(Version::V1, Level::Full, Window::new(&mut window).unwrap(), LIMIT);
    check.feed(&body);
    assert_eq!(check.larger_window(), None);
    assert_eq!(check.finish(), Verdict::Good(Counts { series: 3, samples: 3, ..one_sample() }));
}

#[test]
fn what_follows_a_fault_changes_nothing() {
    let mut window = vec![0; WINDOW];
    let mut check = Check::new(Version::V1, Level::Full, Window::new(&mut window).unwrap(), LIMIT);
    check.feed(b"\x04\x00");
    check.feed(b"\x01\x00");
    let mut window = vec![0; WINDOW];
    let mut stopped = Check::new(Version::V1, Level::Full, Window::new(&mut window).unwrap(), LIMIT);
    stopped.feed(b"\x04\x00\x01");
    stopped.feed(b"\x00\x0c\x12\x00");
    stopped.feed(&in_literals(b"\x12\x00"));
    assert_eq!(check.finish(), stopped.finish());
}
