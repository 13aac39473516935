//! What the archive stores and counts, and what survives a restart.

use std::fs::OpenOptions;
use std::io::Write;

use prost::Message;

use super::*;
use crate::directory::tests::temporary;
use crate::ingest::schema::{Histogram, Label, Sample, TimeSeries, WriteRequest};

const NOW: i64 = 1_000_000_000_000;

fn body(samples: &[(i64, u64)]) -> Vec<u8> {
    let labels = vec![Label { name: "__name__".into(), value: "up".into() }];
    let samples = samples.iter().map(|(timestamp, value)| Sample { value: *value, timestamp: *timestamp }).collect();
    let mut histogram = Histogram::default();
    histogram.timestamp = NOW;
    let histograms = vec![histogram];
    let series = TimeSeries { labels, samples, histograms, ..TimeSeries::default() };
    let request = WriteRequest { timeseries: vec![series], ..WriteRequest::default() };
    snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).unwrap()
}

fn accept(archive: &mut Archive, samples: &[(i64, u64)]) -> Written {
    let body = body(samples);
    let frame = frame::decode(Schema::V1, &body).unwrap();
    archive.accept(Schema::V1, frame, &body, NOW, 1_200).unwrap()
}

fn stored(archive: &Archive) -> Vec<(i64, u64)> {
    archive.metric("up").flat_map(|(_, series)| series.samples().to_vec()).collect()
}

#[test]
fn counts_what_comes_again_and_keeps_the_first() {
    let directory = temporary();
    let mut archive = Archive::open(&directory).unwrap();
    accept(&mut archive, &[(NOW, 1), (NOW + 2, STALE)]);
    let written = accept(&mut archive, &[(NOW + 1, f64::NAN.to_bits()), (NOW, 1), (NOW + 2, 7)]);
    assert_eq!(written, Written { samples: 3, histograms: 1, exemplars: 0 });
    assert_eq!(stored(&archive), [(NOW, 1), (NOW + 1, f64::NAN.to_bits()), (NOW + 2, STALE)]);
    let Counts { samples, stale, nan, duplicates, conflicts, histograms, series, bodies, .. } = *archive.counts();
    // The second body's histogram is a duplicate as well.
    assert_eq!((samples, stale, nan, duplicates, conflicts), (3, 1, 1, 2, 1));
    assert_eq!((histograms, series, bodies), (1, 1, 2));
    std::fs::remove_dir_all(directory.path("")).unwrap();
}

#[test]
fn counts_and_stores_what_is_out_of_order() {
    let directory = temporary();
    let mut archive = Archive::open(&directory).unwrap();
    accept(&mut archive, &[(NOW + 5, 5), (NOW + 3, 3)]);
    accept(&mut archive, &[(NOW + 3, 3), (NOW + 4, 4), (NOW + 4, 9), (NOW + 6, 6)]);
    assert_eq!(stored(&archive), [(NOW + 3, 3), (NOW + 4, 4), (NOW + 5, 5), (NOW + 6, 6)]);
    let Counts { samples, out_of_order, duplicates, conflicts, .. } = *archive.counts();
    // The second body's histogram is a duplicate as well.
    assert_eq!((samples, out_of_order, duplicates, conflicts), (4, 2, 2, 1));
    std::fs::remove_dir_all(directory.path("")).unwrap();
}

#[test]
fn drops_what_is_too_old_or_too_far_ahead() {
    let directory = temporary();
    let mut archive = Archive::open(&directory).unwrap();
    let edge = 1_200_000;
    let samples = [(NOW - edge - 1, 1), (NOW - edge, 2), (NOW + edge, 3), (NOW + edge + 1, 4)];
    assert_eq!(accept(&mut archive, &samples).samples, 2);
    assert_eq!(stored(&archive), [(NOW - edge, 2), (NOW + edge, 3)]);
    assert_eq!(archive.counts().old_data, 2);
    std::fs::remove_dir_all(directory.path("")).unwrap();
}

#[test]
fn knows_after_a_restart_what_it_accepted() {
    let directory = temporary();
    let mut archive = Archive::open(&directory).unwrap();
    accept(&mut archive, &[(NOW, 1)]);
    accept(&mut archive, &[(NOW, 1), (NOW + 1, STALE), (0, 9)]);
    let (counts, samples) = (archive.counts().clone(), stored(&archive));
    drop(archive);
    let again = Archive::open(&directory).unwrap();
    assert_eq!((again.counts(), stored(&again)), (&counts, samples));
    std::fs::remove_dir_all(directory.path("")).unwrap();
}

#[test]
fn a_record_cut_short_is_taken_off_wherever_the_cut_is() {
    let directory = temporary();
    accept(&mut Archive::open(&directory).unwrap(), &[(NOW, 1)]);
    let path = directory.path("accepted-bodies");
    let whole = std::fs::read(&path).unwrap();
    for cut in 0..whole.len() {
        OpenOptions::new().append(true).open(&path).unwrap().write_all(&whole[..cut]).unwrap();
        let mut archive = Archive::open(&directory).unwrap();
        assert_eq!(archive.counts().bodies, 1, "cut at {cut}");
        accept(&mut archive, &[(NOW + 1, 2)]);
        drop(archive);
        assert_eq!(stored(&Archive::open(&directory).unwrap()).len(), 2, "cut at {cut}");
        std::fs::write(&path, &whole).unwrap();
    }
    std::fs::remove_dir_all(directory.path("")).unwrap();
}

#[test]
fn forgets_when_told_to_also_for_the_next_start() {
    let directory = temporary();
    let mut archive = Archive::open(&directory).unwrap();
    accept(&mut archive, &[(NOW, 1)]);
    archive.clear().unwrap();
    assert_eq!(archive.counts(), &Counts::default());
    accept(&mut archive, &[(NOW + 5, 2)]);
    drop(archive);
    assert_eq!(stored(&Archive::open(&directory).unwrap()), [(NOW + 5, 2)]);
    std::fs::remove_dir_all(directory.path("")).unwrap();
}

#[test]
fn a_second_emulator_in_the_same_folder_is_refused() {
    let directory = temporary();
    let _first = Archive::open(&directory).unwrap();
    let refusal = Archive::open(&directory).unwrap_err().to_string();
    assert!(refusal.contains("in use by another emulator"), "{refusal}");
    std::fs::remove_dir_all(directory.path("")).unwrap();
}
