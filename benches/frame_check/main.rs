//! The frame check compared with `snap` alone and with `snap` plus `prost`, on bodies from a real Prometheus. All of
//! them take turns in one run, so that a machine that slows down slows all of them. Prints a table; checks only that
//! every contender accepts its input.

mod contender;
#[path = "../messages.rs"]
mod messages;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use contender::{Buffers, Contender};
use remora_core::remote_write::Version;

const BODIES: [(&str, &[u8]); 2] = [
    ("2,000 samples", include_bytes!("../../core/tests/vectors/prometheus-2.42-2000-samples.snappy")),
    ("10,000 samples", include_bytes!("../../core/tests/vectors/prometheus-2.42-10000-samples.snappy")),
];

/// Turns per contender.
const TURNS: usize = 101;

/// Passes over the body in one turn. The fastest one counts: it found its caches warm and was not interrupted.
const PASSES: usize = 5;

fn main() -> ExitCode {
    for (name, body) in BODIES {
        let in_version_2 = messages::in_version_2(body).unwrap_or_default();
        for (version, name, body) in
            [(Version::V1, name.to_owned(), body), (Version::V2, format!("{name}, version 2"), &in_version_2)]
        {
            let Some(rows) = compare(version, &name, body) else {
                eprintln!("{name}: refused by a contender");
                return ExitCode::FAILURE;
            };
            println!("{}\n", rows.join("\n"));
        }
    }
    ExitCode::SUCCESS
}

/// Times all contenders on one body; returns a table.
fn compare(version: Version, name: &str, body: &[u8]) -> Option<Vec<String>> {
    let decoded = snap::raw::decompress_len(body).ok()?;
    let times = race(version, body, decoded)?;
    let (yardstick, structs) = (times.first()?, times.last()?);
    let mut rows = vec![
        format!("{name}: {} bytes, {decoded} decoded", body.len()),
        format!("{:14}{:>10}{:>8}{:>8}{:>16}", "", "µs", "GB/s", "x snap", "snap + prost x"),
    ];
    rows.extend(times.iter().zip(Contender::ALL).map(|(times, contender)| {
        let seconds = median(times.iter().copied());
        format!(
            "{:14}{:>10.1}{:>8.2}{:>8.2}{:>16.1}",
            contender.name(),
            seconds * 1e6,
            gigabytes(decoded) / seconds,
            ratio(times, yardstick),
            ratio(structs, times),
        )
    }));
    Some(rows)
}

/// Seconds per contender and turn.
fn race(version: Version, body: &[u8], decoded: usize) -> Option<[Vec<f64>; Contender::ALL.len()]> {
    let mut buffers = Buffers::new(version, decoded);
    let mut times = [const { Vec::new() }; Contender::ALL.len()];
    for _ in 0..TURNS {
        for (times, contender) in times.iter_mut().zip(Contender::ALL) {
            times.push(turn(&mut buffers, contender, body)?);
        }
    }
    Some(times)
}

/// Seconds of the fastest pass of a turn.
fn turn(buffers: &mut Buffers, contender: Contender, body: &[u8]) -> Option<f64> {
    let mut fastest = Duration::MAX;
    for _ in 0..PASSES {
        let began = Instant::now();
        black_box(buffers.pass(contender, black_box(body)))?;
        fastest = fastest.min(began.elapsed());
    }
    Some(fastest.as_secs_f64())
}

/// The median of the ratios of each turn: a disturbance of both sides of a turn cancels out.
fn ratio(times: &[f64], others: &[f64]) -> f64 {
    median(times.iter().zip(others).map(|(time, other)| time / other))
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn gigabytes(bytes: usize) -> f64 {
    f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) / 1e9
}
