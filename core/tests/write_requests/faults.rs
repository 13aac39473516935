//! One test for each fault of a message, named after its variant: the bytes, the position, and the line that the sender
//! gets.

use fastrand::Rng;
use remora_core::remote_write::{Fault, FaultKind, Level, Verdict, Version};
use remora_core::snappy::SnappyError;

use crate::{check, check_cut_anyhow};

/// Requires `message` to be refused for `kind` at byte `at`, however it is cut, with the text `line`.
fn assert_fault(version: Version, message: &[u8], kind: FaultKind, at: u64, line: &str) {
    let mut rng = Rng::with_seed(0x5eed_0031);
    let verdict = check_cut_anyhow(version, Level::Full, message, &mut rng);
    assert_eq!(verdict, Verdict::Corrupt(Fault { kind, at }), "{message:02x?}");
    let Verdict::Corrupt(fault) = verdict else { panic!("not a fault") };
    assert_eq!(fault.to_string(), line);
}

#[test]
fn snappy() {
    let kind = FaultKind::Snappy(SnappyError::ZeroOffset);
    let verdict = check(Version::V1, Level::Full, b"\x08\x0c\x0a\x02\x12\x00\x01\x00", || 1);
    assert_eq!(verdict, Verdict::Corrupt(Fault { kind, at: 6 }));
    let Verdict::Corrupt(fault) = verdict else { panic!("not a fault") };
    assert_eq!(fault.to_string(), "snappy: copy offset 0 at byte 6");
}

/// The first fault of the message is reported, even if the same piece holds a later fault of the block.
#[test]
fn the_first_fault_is_told() {
    let body = b"\x08\x04\x02\x00\x01\x00";
    for piece in [1, usize::MAX] {
        let verdict = check(Version::V1, Level::Full, body, || piece);
        assert_eq!(verdict, Verdict::Corrupt(Fault { kind: FaultKind::FieldZero, at: 0 }));
    }
}

#[test]
fn varint() {
    let line = "protobuf: number longer than 10 bytes or 64 bits at byte 0";
    let eleven_bytes = b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00";
    assert_fault(Version::V1, eleven_bytes, FaultKind::Varint, 0, line);
    let bit_64 = b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02";
    assert_fault(Version::V1, bit_64, FaultKind::Varint, 0, line);
}

#[test]
fn cut() {
    let line = "protobuf: field cut off by the end of its message at byte 2";
    let behind_key = b"\x0a\x01\x12";
    let in_number = b"\x0a\x02\x28\x80";
    let in_double = b"\x0a\x05\x29\0\0\0\0\0\0\0\0";
    for message in [behind_key.as_slice(), in_number, in_double] {
        assert_fault(Version::V1, message, FaultKind::Cut, 2, line);
    }
    let in_packed_run = b"\x0a\x06\x22\x04\x4a\x02\x01\x80";
    let line = "protobuf: field cut off by the end of its message at byte 7";
    assert_fault(Version::V1, in_packed_run, FaultKind::Cut, 7, line);
}

#[test]
fn length() {
    let message = b"\x0a\x00\x0a\x84\x07\x00";
    let line = "protobuf: length 900 runs past the message at byte 2";
    assert_fault(Version::V1, message, FaultKind::Length { length: 900 }, 2, line);
    let in_series = b"\x0a\x03\x0a\x02\x00\x0a\x00";
    let line = "protobuf: length 2 runs past the message at byte 2";
    assert_fault(Version::V1, in_series, FaultKind::Length { length: 2 }, 2, line);
    let huge = b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    let line = "protobuf: length 18446744073709551615 runs past the message at byte 0";
    assert_fault(Version::V1, huge, FaultKind::Length { length: u64::MAX }, 0, line);
}

/// `8a 80 80 80 10` is 2^32 + 10: truncated to 32 bits it would be the key of field 1.
#[test]
fn key() {
    let line = "protobuf: field key 4294967306 exceeds 32 bits at byte 0";
    assert_fault(Version::V1, b"\x8a\x80\x80\x80\x10\x00", FaultKind::Key { key: (1 << 32) + 10 }, 0, line);
}

#[test]
fn field_zero() {
    let line = "protobuf: field number 0 at byte 2";
    assert_fault(Version::V1, b"\x0a\x00\x02\x00", FaultKind::FieldZero, 2, line);
}

#[test]
fn wire_type() {
    for wire in [6, 7] {
        let line = format!("protobuf: unknown wire type {wire} at byte 0");
        assert_fault(Version::V1, &[0x50 | wire, 0], FaultKind::WireType { wire }, 0, &line);
        assert_fault(Version::V2, &[0x28 | wire, 0], FaultKind::WireType { wire }, 0, &line);
    }
}

#[test]
fn field_type() {
    let number_for_series = b"\x08\x00";
    let line = "protobuf: wire type 0 on field 1 at byte 0";
    assert_fault(Version::V1, number_for_series, FaultKind::FieldType { field: 1, wire: 0 }, 0, line);
    let float_for_timestamp = b"\x0a\x07\x12\x05\x15\0\0\0\0";
    let line = "protobuf: wire type 5 on field 2 at byte 4";
    assert_fault(Version::V1, float_for_timestamp, FaultKind::FieldType { field: 2, wire: 5 }, 4, line);
    let group_for_symbol = b"\x23\x24";
    let line = "protobuf: wire type 3 on field 4 at byte 0";
    assert_fault(Version::V2, group_for_symbol, FaultKind::FieldType { field: 4, wire: 3 }, 0, line);
}

#[test]
fn group_end() {
    let line = "protobuf: unmatched end of group 10 at byte 0";
    assert_fault(Version::V1, b"\x54", FaultKind::GroupEnd { field: 10 }, 0, line);
    let other = b"\x53\x5c";
    let line = "protobuf: unmatched end of group 11 at byte 1";
    assert_fault(Version::V1, other, FaultKind::GroupEnd { field: 11 }, 1, line);
}

#[test]
fn group_open() {
    let kind = FaultKind::GroupOpen { field: 10 };
    assert_fault(Version::V1, b"\x53\x08\x01", kind, 3, "protobuf: group 10 is not closed at byte 3");
    assert_fault(Version::V1, b"\x0a\x01\x53\x54", kind, 3, "protobuf: group 10 is not closed at byte 3");
}

#[test]
fn too_deep() {
    let nested = |depth: usize| [vec![0x53; depth], vec![0x54; depth]].concat();
    let line = "protobuf: groups nested deeper than 16 at byte 16";
    assert_fault(Version::V1, &nested(17), FaultKind::TooDeep, 16, line);
    let mut rng = Rng::with_seed(0x5eed_0032);
    let verdict = check_cut_anyhow(Version::V1, Level::Full, &nested(16), &mut rng);
    assert!(matches!(verdict, Verdict::Good(_)), "{verdict:?}");
}

#[test]
fn packed_length() {
    let message = b"\x0a\x0b\x22\x09\x52\x07\0\0\0\0\0\0\0";
    let line = "protobuf: packed length 7 is not a multiple of 8 at byte 4";
    assert_fault(Version::V1, message, FaultKind::PackedLength { length: 7 }, 4, line);
}

#[test]
fn utf8() {
    let line = "protobuf: text is not utf-8 at byte 9";
    let in_value = b"\x0a\x0a\x0a\x06\x0a\x00\x12\x02\xc3\x28\x12\x00";
    assert_fault(Version::V1, in_value, FaultKind::Utf8, 9, line);
    let cut_off = b"\x0a\x07\x0a\x05\x0a\x00\x12\x01\xc3";
    assert_fault(Version::V1, cut_off, FaultKind::Utf8, 9, line);
    let symbol = b"\x22\x00\x22\x07symbol\xff";
    assert_fault(Version::V2, symbol, FaultKind::Utf8, 10, "protobuf: text is not utf-8 at byte 10");

    let mut rng = Rng::with_seed(0x5eed_0033);
    let verdict = check_cut_anyhow(Version::V1, Level::Wire, in_value, &mut rng);
    assert!(matches!(verdict, Verdict::Good(_)), "names and values are left alone: {verdict:?}");
}

#[test]
fn odd_references() {
    let line = "protobuf: odd number of label references at byte 7";
    let packed = b"\x22\x00\x2a\x03\x0a\x01\x00";
    assert_fault(Version::V2, packed, FaultKind::OddReferences, 7, line);
    let one_a_field = b"\x22\x00\x2a\x06\x0a\x02\x00\x00\x08\x00";
    assert_fault(
        Version::V2,
        one_a_field,
        FaultKind::OddReferences,
        10,
        "protobuf: odd number of label references at byte 10",
    );
    let in_exemplar = b"\x2a\x05\x22\x03\x0a\x01\x00\x22\x00";
    assert_fault(Version::V2, in_exemplar, FaultKind::OddReferences, 7, line);
}

#[test]
fn reference() {
    let kind = FaultKind::Reference { reference: 2, symbols: 2 };
    let in_labels = b"\x2a\x06\x0a\x04\x00\x01\x02\x00\x22\x00\x22\x00";
    assert_fault(Version::V2, in_labels, kind, 6, "protobuf: reference 2 is beyond the 2 symbols at byte 6");
    let in_metadata = b"\x22\x00\x22\x00\x2a\x04\x2a\x02\x18\x02";
    assert_fault(Version::V2, in_metadata, kind, 10, "protobuf: reference 2 is beyond the 2 symbols at byte 10");
}
