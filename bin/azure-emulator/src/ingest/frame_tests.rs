//! Accepted frames, and one refusal for each fault.

use super::*;
use crate::ingest::schema::{Counted, MetadataV2, Sample};

fn compress(message: &impl Message) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(&message.encode_to_vec()).unwrap()
}

fn copied(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn series(labels: &[(&str, &str)]) -> TimeSeries {
    let label = |(name, value): &(&str, &str)| Label { name: copied(name), value: copied(value) };
    let samples = vec![Sample { value: 0x7ff0_0000_0000_0002, timestamp: 5 }];
    TimeSeries { labels: labels.iter().map(label).collect(), samples, ..TimeSeries::default() }
}

fn decode_v1(labels: &[(&str, &str)]) -> Result<Frame, FrameFault> {
    let request = WriteRequest { timeseries: vec![series(labels)], metadata: vec![Counted {}] };
    decode(Schema::V1, &compress(&request))
}

fn decode_v2(symbols: &[&str], references: &[u32]) -> Result<Frame, FrameFault> {
    let metadata = Some(MetadataV2 { kind: 1, help_ref: 0, unit_ref: 0 });
    let series = TimeSeriesV2 { labels_refs: references.to_vec(), metadata, ..TimeSeriesV2::default() };
    let symbols = symbols.iter().map(|symbol| copied(symbol)).collect();
    decode(Schema::V2, &compress(&RequestV2 { symbols, timeseries: vec![series] }))
}

#[test]
fn keeps_the_bits_of_a_stale_marker_and_sorts_labels() {
    let frame = decode_v1(&[("job", "x"), ("__name__", "up")]).unwrap();
    assert_eq!(frame.entries[0].labels[0].name, "__name__");
    assert_eq!(frame.entries[0].samples[0].value, 0x7ff0_0000_0000_0002);
    assert_eq!((frame.entries[0].metric(), frame.metadata), ("up", 1));
}

#[test]
fn both_versions_give_the_same_labels() {
    let frame = decode_v2(&["", "__name__", "up", "job", "x"], &[3, 4, 1, 2]).unwrap();
    assert_eq!(frame.entries[0].labels, decode_v1(&[("__name__", "up"), ("job", "x")]).unwrap().entries[0].labels);
    assert_eq!(frame.metadata, 1);
}

#[test]
fn an_empty_request_is_a_frame() {
    assert_eq!(decode(Schema::V1, &[0]), Ok(Frame::default()));
    assert_eq!(decode(Schema::V2, &[0]), Ok(Frame::default()));
}

#[test]
fn snappy() {
    assert!(matches!(decode(Schema::V1, &[]), Err(FrameFault::Snappy(_))));
    assert!(matches!(decode(Schema::V1, b"\x05nonsense"), Err(FrameFault::Snappy(_))));
}

#[test]
fn too_large() {
    assert_eq!(decode(Schema::V1, &[0x81, 0x80, 0x80, 0x10]), Err(FrameFault::TooLarge(MAX_DECODED + 1)));
}

#[test]
fn protobuf() {
    let body = snap::raw::Encoder::new().compress_vec(b"\x0a\x7f").unwrap();
    assert!(matches!(decode(Schema::V1, &body), Err(FrameFault::Protobuf(_))));
}

#[test]
fn symbols() {
    assert_eq!(decode_v2(&["__name__", "up"], &[0, 1]), Err(FrameFault::Symbols));
}

#[test]
fn references() {
    let symbols = ["", "__name__", "up"];
    assert_eq!(decode_v2(&symbols, &[1]), Err(FrameFault::References));
    assert_eq!(decode_v2(&symbols, &[1, 3]), Err(FrameFault::References));
}

#[test]
fn no_metric_name() {
    assert_eq!(decode_v1(&[("job", "x")]), Err(FrameFault::NoMetricName));
    assert_eq!(decode_v1(&[]), Err(FrameFault::NoMetricName));
}

#[test]
fn empty_label() {
    let fault = FrameFault::EmptyLabel("up".to_owned());
    assert_eq!(decode_v1(&[("__name__", "up"), ("", "x")]), Err(fault));
    assert!(matches!(decode_v1(&[("__name__", "up"), ("job", "")]), Err(FrameFault::EmptyLabel(_))));
}

#[test]
fn not_utf8() {
    let mut series = series(&[("__name__", "up"), ("job", "x")]);
    series.labels[1].value = Bytes::from_static(b"\xff");
    let request = WriteRequest { timeseries: vec![series], ..WriteRequest::default() };
    assert_eq!(decode(Schema::V1, &compress(&request)), Err(FrameFault::NotUtf8("up".to_owned())));
}

#[test]
fn repeated_label() {
    let fault = FrameFault::RepeatedLabel("up".to_owned());
    assert_eq!(decode_v1(&[("__name__", "up"), ("job", "x"), ("job", "y")]), Err(fault));
}
