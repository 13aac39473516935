//! Random requests in every form that the wire format allows: fields in any order, repeated, packed or not, overlong
//! varints, unknown fields and groups.

use fastrand::Rng;
use remora_core::remote_write::Version;

use crate::varint;

/// What a field of a message holds.
#[derive(Clone, Copy)]
enum Kind {
    Number,
    Timestamp,
    Double,
    Text,
    Numbers,
    Doubles,
    References,
    OneReference,
    Message(&'static [(u32, Kind)]),
}

use Kind::{Double, Doubles, Message, Number, Numbers, OneReference, References, Text, Timestamp};

const WRITE_REQUEST: &[(u32, Kind)] = &[(1, Message(TIME_SERIES)), (1, Message(TIME_SERIES)), (3, Message(METADATA))];
const TIME_SERIES: &[(u32, Kind)] = &[
    (1, Message(LABEL)),
    (1, Message(LABEL)),
    (2, Message(SAMPLE)),
    (2, Message(SAMPLE)),
    (3, Message(EXEMPLAR)),
    (4, Message(HISTOGRAM)),
];
const LABEL: &[(u32, Kind)] = &[(1, Text), (2, Text)];
const SAMPLE: &[(u32, Kind)] = &[(1, Double), (2, Timestamp)];
const EXEMPLAR: &[(u32, Kind)] = &[(1, Message(LABEL)), (2, Double), (3, Timestamp)];
const METADATA: &[(u32, Kind)] = &[(1, Number), (2, Text), (4, Text), (5, Text)];

const REQUEST: &[(u32, Kind)] = &[(4, Text), (4, Text), (5, Message(TIME_SERIES_V2)), (5, Message(TIME_SERIES_V2))];
const TIME_SERIES_V2: &[(u32, Kind)] = &[
    (1, References),
    (2, Message(SAMPLE_V2)),
    (3, Message(HISTOGRAM_V2)),
    (4, Message(EXEMPLAR_V2)),
    (5, Message(METADATA_V2)),
];
const SAMPLE_V2: &[(u32, Kind)] = &[(1, Double), (2, Timestamp), (3, Timestamp)];
const EXEMPLAR_V2: &[(u32, Kind)] = &[(1, References), (2, Double), (3, Timestamp)];
const METADATA_V2: &[(u32, Kind)] = &[(1, Number), (3, OneReference), (4, OneReference)];

const SPAN: &[(u32, Kind)] = &[(1, Number), (2, Number)];
const HISTOGRAM: &[(u32, Kind)] = &[
    (1, Number),
    (2, Double),
    (3, Double),
    (4, Number),
    (5, Double),
    (6, Number),
    (7, Double),
    (8, Message(SPAN)),
    (9, Numbers),
    (10, Doubles),
    (11, Message(SPAN)),
    (12, Numbers),
    (13, Doubles),
    (14, Number),
    (15, Timestamp),
    (16, Doubles),
];
const HISTOGRAM_V2: &[(u32, Kind)] = &[
    (1, Number),
    (2, Double),
    (8, Message(SPAN)),
    (9, Numbers),
    (10, Doubles),
    (12, Numbers),
    (15, Timestamp),
    (16, Doubles),
    (17, Timestamp),
];

/// A request of `version`; most are good.
pub(crate) fn request(version: Version, rng: &mut Rng) -> Vec<u8> {
    let mut message = Vec::new();
    let fields = match version {
        Version::V1 => WRITE_REQUEST,
        Version::V2 => REQUEST,
    };
    write_fields(&mut message, fields, rng);
    if version == Version::V2 {
        // Usually enough symbols for the highest possible reference.
        let symbols = if rng.u8(0..8) == 0 { rng.u32(0..HIGHEST_REFERENCE) } else { HIGHEST_REFERENCE };
        (0..symbols).for_each(|_| write_length_delimited(&mut message, 4, b"symbol", rng));
    }
    message
}

/// All references are below this number.
const HIGHEST_REFERENCE: u32 = 6;

fn write_fields(message: &mut Vec<u8>, fields: &[(u32, Kind)], rng: &mut Rng) {
    let repetitions = rng.usize(0..=fields.len() + 1);
    let in_order = rng.bool();
    for index in 0..repetitions {
        let (number, kind) = fields[if in_order { index % fields.len() } else { rng.usize(0..fields.len()) }];
        write_field(message, number, kind, rng);
        if rng.u8(0..24) == 0 {
            write_unknown(message, rng, 0);
        }
    }
}

fn write_field(message: &mut Vec<u8>, number: u32, kind: Kind, rng: &mut Rng) {
    match kind {
        Number => write_number(message, number, any_number(rng), rng),
        Timestamp => write_number(message, number, any_timestamp(rng), rng),
        OneReference => write_number(message, number, rng.u64(0..u64::from(HIGHEST_REFERENCE)), rng),
        Double => write_double(message, number, rng),
        Text => write_length_delimited(message, number, any_text(rng).as_bytes(), rng),
        Message(fields) => {
            let mut inner = Vec::new();
            write_fields(&mut inner, fields, rng);
            write_length_delimited(message, number, &inner, rng);
        }
        Numbers => {
            let values: Vec<u64> = (0..rng.usize(0..5)).map(|_| any_number(rng)).collect();
            write_numbers(message, number, &values, rng);
        }
        References => {
            let odd = usize::from(rng.u8(0..40) == 0);
            let count = rng.usize(0..4) * 2 + odd;
            let values: Vec<u64> = (0..count).map(|_| rng.u64(0..u64::from(HIGHEST_REFERENCE))).collect();
            write_numbers(message, number, &values, rng);
        }
        Doubles if rng.bool() => write_double(message, number, rng),
        Doubles => {
            let bytes: Vec<u8> = (0..rng.usize(0..4) * 8).map(|_| rng.u8(..)).collect();
            write_length_delimited(message, number, &bytes, rng);
        }
    }
}

/// Repeated numbers, packed or one per field.
fn write_numbers(message: &mut Vec<u8>, number: u32, values: &[u64], rng: &mut Rng) {
    if rng.u8(0..4) == 0 {
        for &value in values {
            write_number(message, number, value, rng);
        }
    } else {
        let packed: Vec<u8> = values.iter().flat_map(|&value| any_varint(value, rng)).collect();
        write_length_delimited(message, number, &packed, rng);
    }
}

fn write_key(message: &mut Vec<u8>, number: u32, wire: u32, rng: &mut Rng) {
    message.extend(any_varint(u64::from(number << 3 | wire), rng));
}

fn write_number(message: &mut Vec<u8>, number: u32, value: u64, rng: &mut Rng) {
    write_key(message, number, 0, rng);
    message.extend(any_varint(value, rng));
}

fn write_double(message: &mut Vec<u8>, number: u32, rng: &mut Rng) {
    write_key(message, number, 1, rng);
    // A stale marker is a NaN with a special payload.
    let bits = if rng.u8(0..4) == 0 { 0x7ff0_0000_0000_0002 } else { rng.u64(..) };
    message.extend_from_slice(&bits.to_le_bytes());
}

fn write_length_delimited(message: &mut Vec<u8>, number: u32, content: &[u8], rng: &mut Rng) {
    write_key(message, number, 2, rng);
    message.extend(any_varint(content.len() as u64, rng));
    message.extend_from_slice(content);
}

/// An unknown field of any wire type.
fn write_unknown(message: &mut Vec<u8>, rng: &mut Rng, depth: u32) {
    let number = rng.u32(100..1 << 20);
    match rng.u8(0..5) {
        0 => write_number(message, number, rng.u64(..), rng),
        1 => write_double(message, number, rng),
        2 => write_length_delimited(message, number, &[0xff; 9][..rng.usize(0..9)], rng),
        3 => {
            write_key(message, number, 5, rng);
            message.extend_from_slice(&rng.u32(..).to_le_bytes());
        }
        _ => {
            write_key(message, number, 3, rng);
            (0..rng.u32(0..3)).filter(|_| depth < 5).for_each(|_| write_unknown(message, rng, depth + 1));
            write_key(message, number, 4, rng);
        }
    }
}

/// `value`, now and then in an overlong form.
fn any_varint(value: u64, rng: &mut Rng) -> Vec<u8> {
    let mut bytes = varint(value);
    if rng.u8(0..30) == 0 && bytes.len() < 9 {
        *bytes.last_mut().unwrap() |= 0x80;
        bytes.extend([0x80, 0x00]);
    }
    bytes
}

fn any_number(rng: &mut Rng) -> u64 {
    rng.u64(..) >> rng.u32(0..64)
}

fn any_timestamp(rng: &mut Rng) -> u64 {
    match rng.u8(0..6) {
        0 => 0,
        1 => rng.u64(..),
        _ => 1_700_000_000_000 + rng.u64(0..1_000_000),
    }
}

fn any_text(rng: &mut Rng) -> String {
    let length = rng.choice([0..4, 0..20, 100..200]).map_or(0, |lengths| rng.usize(lengths));
    let is_ascii = rng.u8(0..4) > 0;
    (0..length).map(|_| if is_ascii { rng.alphanumeric() } else { rng.char(..) }).collect()
}
