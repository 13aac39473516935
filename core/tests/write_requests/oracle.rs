//! The check against `prost`, which decodes the whole message: both accept it, with equal counts, or both refuse it.

use fastrand::Rng;
use remora_core::remote_write::{Counts, FaultKind, Level, Verdict, Version};

use crate::{LIMIT, check, check_cut_anyhow, generate, schema, varint};

/// How many requests of each kind are tried; `REMORA_ORACLE_RUNS` overrides it.
fn runs(usual: usize) -> usize {
    std::env::var("REMORA_ORACLE_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(usual)
}

/// Compares the verdict on `message` with that of `prost`.
fn compare(version: Version, message: &[u8], rng: &mut Rng) -> Option<Counts> {
    let verdict = check_cut_anyhow(version, Level::Full, message, rng);
    let wire = check_cut_anyhow(version, Level::Wire, message, rng);
    match (verdict, schema::counts(version, message)) {
        (Verdict::Good(ours), Some(theirs)) => assert_eq!(ours, theirs, "{message:02x?}"),
        (Verdict::Corrupt(_), None) => {}
        (verdict, theirs) => panic!("{verdict:?}, but prost finds {theirs:?}: {message:02x?}"),
    }
    if !matches!(verdict, Verdict::Corrupt(fault) if fault.kind == FaultKind::Utf8) {
        assert_eq!(wire, verdict, "text makes no difference here: {message:02x?}");
    }
    match verdict {
        Verdict::Good(counts) => Some(counts),
        _ => None,
    }
}

fn mutate(message: &mut Vec<u8>, rng: &mut Rng) {
    for _ in 0..rng.usize(1..=4) {
        let at = rng.usize(0..=message.len());
        match rng.u8(0..6) {
            0 => message.truncate(at),
            1 => message.insert(at, rng.u8(..)),
            2 if at < message.len() => drop(message.remove(at)),
            3 if at < message.len() => message[at] ^= 1 << rng.u8(0..8),
            4 if at < message.len() => message[at] = rng.u8(..),
            5 => {
                let part = message[at..].to_vec();
                message.extend_from_slice(&part);
            }
            _ => {}
        }
    }
}

fn requests_are_counted_alike(version: Version, seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let mut tried = Counts::default();
    for _ in 0..runs(1_500) {
        let message = generate::request(version, &mut rng);
        let Some(counts) = compare(version, &message, &mut rng) else { continue };
        tried.series += counts.series;
        tried.samples += counts.samples;
        tried.integer_histograms += counts.integer_histograms;
        tried.float_histograms += counts.float_histograms;
        tried.exemplars += counts.exemplars;
        tried.metadata += counts.metadata;
    }
    let each = [
        tried.series,
        tried.samples,
        tried.integer_histograms,
        tried.float_histograms,
        tried.exemplars,
        tried.metadata,
    ];
    assert!(each.iter().all(|&count| count > 100), "some of {tried:?} was hardly tried");
}

fn mutations_are_judged_alike(version: Version, seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..runs(2_500) {
        let mut message = generate::request(version, &mut rng);
        mutate(&mut message, &mut rng);
        match compare(version, &message, &mut rng) {
            Some(_) => accepted += 1,
            None => refused += 1,
        }
    }
    assert!(accepted > 200 && refused > 200, "one-sided: {accepted} accepted, {refused} refused");
}

/// Up to four bytes of a packed body are changed: `snap` decides whether it is a valid block, `prost` what is in it.
fn mutated_bodies_are_judged_alike(version: Version, seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..runs(2_500) {
        let message = generate::request(version, &mut rng);
        let mut body = snap::raw::Encoder::new().compress_vec(&message).unwrap();
        for _ in 0..rng.usize(1..=4) {
            let at = rng.usize(..body.len());
            body[at] = rng.u8(..);
        }
        let expected = unpacked(&body).and_then(|message| schema::counts(version, &message));
        match (check(version, Level::Full, &body, || rng.usize(1..40)), expected) {
            (Verdict::Good(ours), Some(theirs)) => {
                assert_eq!(ours, theirs, "{body:02x?}");
                accepted += 1;
            }
            (Verdict::Corrupt(_), None) => refused += 1,
            (verdict, theirs) => panic!("{verdict:?}, but snap and prost find {theirs:?}: {body:02x?}"),
        }
    }
    assert!(accepted > 100 && refused > 200, "one-sided: {accepted} accepted, {refused} refused");
}

/// `body` decoded by `snap`, if it announces no more than [`LIMIT`] bytes.
fn unpacked(body: &[u8]) -> Option<Vec<u8>> {
    let length = snap::raw::decompress_len(body).ok()?;
    (length <= LIMIT as usize).then(|| snap::raw::Decoder::new().decompress_vec(body).ok())?
}

#[test]
fn version_1_requests_are_counted_alike() {
    requests_are_counted_alike(Version::V1, 0x5eed_0011);
}

#[test]
fn version_2_requests_are_counted_alike() {
    requests_are_counted_alike(Version::V2, 0x5eed_0012);
}

#[test]
fn mutated_version_1_requests_are_judged_alike() {
    mutations_are_judged_alike(Version::V1, 0x5eed_0013);
}

#[test]
fn mutated_version_2_requests_are_judged_alike() {
    mutations_are_judged_alike(Version::V2, 0x5eed_0014);
}

#[test]
fn mutated_version_1_bodies_are_judged_alike() {
    mutated_bodies_are_judged_alike(Version::V1, 0x5eed_0016);
}

#[test]
fn mutated_version_2_bodies_are_judged_alike() {
    mutated_bodies_are_judged_alike(Version::V2, 0x5eed_0017);
}

/// The path from the request to each of its messages, as field numbers.
const MESSAGES: [(Version, &[&[u8]]); 2] = [
    (Version::V1, &[&[], &[1], &[1, 1], &[1, 2], &[1, 3], &[1, 3, 1], &[1, 4], &[1, 4, 8], &[1, 4, 11], &[3]]),
    (Version::V2, &[&[], &[5], &[5, 2], &[5, 3], &[5, 3, 8], &[5, 3, 11], &[5, 4], &[5, 5]]),
];

/// Content for a field of each wire type: among them good and bad numbers, packed runs, texts and messages.
const CONTENTS: [(u8, &[u8]); 8] = [
    (0, b"\x01"),
    (1, b"\0\0\0\0\0\0\0\0"),
    (2, b"\x00"),
    (2, b"\x01\x80"),
    (2, b"\x02\xc3\xa9"),
    (2, b"\x02\x08\x00"),
    (2, b"\x08\x50\0\x50\0\x50\0\x50\0"),
    (5, b"\0\0\0\0"),
];

/// Each field of each message, and the unused field numbers around them, with content of each kind.
#[test]
fn every_field_takes_what_its_type_can_have() {
    let mut rng = Rng::with_seed(0x5eed_0015);
    for (version, paths) in MESSAGES {
        for &path in paths {
            for number in 1..=20 {
                for (wire, content) in CONTENTS {
                    let field = [varint(number << 3 | u64::from(wire)).as_slice(), content].concat();
                    let message = path.iter().rev().fold(field, |inner, &outer| {
                        [&[outer << 3 | 2], varint(inner.len() as u64).as_slice(), &inner].concat()
                    });
                    compare(version, &message, &mut rng);
                }
            }
        }
    }
}
