//! `compare`: whether the emulator stored what a Prometheus holds, compared sample by sample and bit by bit in both
//! directions.

mod remote_read;
mod report;
mod stored;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use ureq::Agent;

use crate::cli::CompareOptions;
use crate::settings::unix_millis;
use remote_read::Prometheus;
use report::Report;
use stored::Stored;

/// The time range that is compared, milliseconds since 1970, both ends included.
#[derive(Debug, Clone, Copy)]
struct Span {
    since: i64,
    until: i64,
}

/// The value at one timestamp of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Point {
    /// Bits of the double.
    Sample(u64),
    /// A native histogram, encoded.
    Histogram(Box<[u8]>),
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Point::Sample(bits) => write!(f, "{} ({bits:016x})", f64::from_bits(*bits)),
            Point::Histogram(encoding) => write!(f, "a histogram of {} bytes", encoding.len()),
        }
    }
}

/// Names and values, sorted by name.
type Labels = Vec<(String, String)>;

/// A series, or a part of it, as returned by one side.
#[derive(Debug)]
struct SeriesPoints {
    labels: Labels,
    points: Vec<(i64, Point)>,
}

/// Why nothing could be compared, in one line.
#[derive(Debug)]
struct Failure(String);

impl Failure {
    fn new(url: &str, cause: &dyn fmt::Display) -> Self {
        Failure(format!("{url}: {cause}"))
    }
}

/// Exit code if the comparison could not be made.
const NOT_COMPARED: u8 = 2;

/// Compares and prints. The exit code is 0 if both sides are equal, 1 if not, 2 if they could not be compared.
pub(crate) fn main(options: &CompareOptions) -> ExitCode {
    match compare(options) {
        Ok(report) => {
            let text = if options.json { format!("{}\n", serde_json::json!(report)) } else { report.to_string() };
            let printed = io::stdout().write_all(text.as_bytes());
            if printed.is_ok() && report.is_equal() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(Failure(cause)) => {
            writeln!(io::stderr(), "azure-emulator: compare: {cause}").ok();
            ExitCode::from(NOT_COMPARED)
        }
    }
}

fn compare(options: &CompareOptions) -> Result<Report, Failure> {
    let config = Agent::config_builder().timeout_global(Some(Duration::from_secs(120))).proxy(None).build();
    let agent = Agent::from(config);
    let prometheus = Prometheus { agent: &agent, url: &options.prometheus };
    let stored = Stored { agent: &agent, url: &options.emulator };
    let now = unix_millis(SystemTime::now());
    let span = Span { since: options.since, until: options.until.unwrap_or(now) };
    let head_start = prometheus.head_start()?;
    let names: BTreeSet<String> = prometheus.names()?.into_iter().chain(stored.names()?).collect();
    let mut report = Report::default();
    for name in names {
        let excluded = |series: &SeriesPoints| is_of_job(&series.labels, options.exclude_job.as_deref());
        let mut ours = prometheus.read(&name, span, head_start)?;
        let mut theirs = stored.read(&name, span)?;
        ours.retain(|series| !excluded(series));
        theirs.retain(|series| !excluded(series));
        compare_metric(&mut report, ours, theirs);
    }
    Ok(report)
}

fn is_of_job(labels: &Labels, job: Option<&str>) -> bool {
    job.is_some_and(|job| labels.iter().any(|(name, value)| name == "job" && value == job))
}

type Side = BTreeMap<Labels, BTreeMap<i64, Point>>;

fn side(parts: Vec<SeriesPoints>) -> Side {
    let mut side = Side::new();
    for part in parts {
        side.entry(part.labels).or_default().extend(part.points);
    }
    side
}

fn compare_metric(report: &mut Report, sent: Vec<SeriesPoints>, stored: Vec<SeriesPoints>) {
    let (sent, mut stored) = (side(sent), side(stored));
    for (labels, sent) in sent {
        let stored = stored.remove(&labels).unwrap_or_default();
        compare_series(report, &labels, &sent, &stored);
    }
    for (labels, stored) in stored {
        compare_series(report, &labels, &BTreeMap::new(), &stored);
    }
}

fn compare_series(report: &mut Report, labels: &Labels, sent: &BTreeMap<i64, Point>, stored: &BTreeMap<i64, Point>) {
    let timestamps: BTreeSet<i64> = sent.keys().chain(stored.keys()).copied().collect();
    for timestamp in timestamps {
        report.add(labels, timestamp, sent.get(&timestamp), stored.get(&timestamp));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up(points: &[(i64, u64)]) -> SeriesPoints {
        let labels = vec![("__name__".to_owned(), "up".to_owned())];
        SeriesPoints { labels, points: points.iter().map(|(at, bits)| (*at, Point::Sample(*bits))).collect() }
    }

    #[test]
    fn finds_what_is_missing_extra_and_different() {
        let mut report = Report::default();
        let stale = crate::archive::STALE;
        let sent = vec![up(&[(1, 10), (2, stale)]), up(&[(3, f64::NAN.to_bits())])];
        compare_metric(&mut report, sent, vec![up(&[(2, stale + 1), (3, f64::NAN.to_bits()), (4, 5)])]);
        assert_eq!((report.sent, report.stored), (3, 3));
        assert_eq!((report.missing, report.extra, report.differing), (1, 1, 1));
        assert!(!report.is_equal());
        let text = report.to_string();
        assert!(text.contains("stale 1, other NaN 1"), "{text}");
        assert!(text.contains("at 1 in {__name__=\"up\"}") && text.contains("7ff0000000000003"), "{text}");
    }

    #[test]
    fn equal_sides_are_equal_whatever_parts_they_come_in() {
        let mut report = Report::default();
        compare_metric(&mut report, vec![up(&[(1, 1)]), up(&[(2, 2)])], vec![up(&[(1, 1), (2, 2)])]);
        assert!(report.is_equal());
        assert_eq!(report.sent, 2);
    }
}
