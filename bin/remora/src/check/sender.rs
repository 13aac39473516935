//! Prometheus' own queue, according to its `/metrics`.

use std::io;
use std::time::Duration;

use remora_smol::probe::{self, Link};

use super::context::{Checked, Context};
use super::http;
use super::outcome::{Finding, Outcome};

/// Time limit of the name resolution, and of the request with its connection.
const LIMIT: Duration = Duration::from_secs(5);
/// Longest metrics page that is read, in bytes.
const MAX_EXPOSITION: usize = 8 * 1024 * 1024;
/// Prefix of the metrics of a remote-write queue.
const QUEUE: &str = "prometheus_remote_storage_";

/// The address of a Prometheus, from `http://host:port/prefix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PrometheusUrl {
    host: String,
    port: u16,
    prefix: String,
}

impl PrometheusUrl {
    /// Parses an http URL; None for anything else. The Prometheus is in this pod, where it does not use TLS.
    pub(crate) fn parse(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("http://")?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "9090"));
        let prefix = path.trim_end_matches('/');
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'@');
        let slash = if prefix.is_empty() { "" } else { "/" };
        (!host.is_empty() && plain(host) && plain(prefix)).then_some(())?;
        let port = port.parse().ok().filter(|port| *port > 0)?;
        let host = host.trim_matches(['[', ']']).to_owned();
        Some(Self { host, port, prefix: format!("{slash}{prefix}") })
    }

    fn metrics(&self) -> io::Result<String> {
        let addresses = probe::resolve(&self.host, self.port, LIMIT)?;
        let mut link = Link::open(&addresses, LIMIT)?;
        link.send(&http::get(&format!("{}:{}", self.host, self.port), &format!("{}/metrics", self.prefix)))?;
        let answer = http::answer(&mut link, MAX_EXPOSITION)?;
        if answer.status != 200 {
            return Err(io::Error::other(format!("/metrics answers {}", answer.status)));
        }
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }
}

impl Default for PrometheusUrl {
    fn default() -> Self {
        Self { host: "localhost".to_owned(), port: 9090, prefix: String::new() }
    }
}

/// PROM-01. The sender need not be a Prometheus at this address, so its absence is not a failure.
pub(super) fn writes(cx: &mut Context<'_>) -> Checked {
    let port = cx.config()?.listen.port;
    let Ok(metrics) = cx.options.prometheus.metrics() else {
        return Err(Outcome::Left("no Prometheus answers; specify it with --prometheus URL"));
    };
    let queue = Queue::read(&metrics, port);
    cx.queue = Some(queue);
    match cx.queue {
        Some(queue) if queue.known => Ok(format!("{} samples sent so far", queue.sent)),
        _ => Err(Outcome::Warn(Finding::new(format!("it has no remote_write with port {port} in its url")))),
    }
}

/// PROM-02.
pub(super) fn keeps_up(cx: &mut Context<'_>) -> Checked {
    cx.config()?;
    let Some(queue) = cx.queue.filter(|queue| queue.known) else {
        return Err(Outcome::Left("no queue for this sidecar was found"));
    };
    let seen = format!(
        "{} failed, {} retried, {} pending, {} of {} shards",
        queue.failed, queue.retried, queue.pending, queue.shards, queue.most_shards
    );
    let full = queue.most_shards > 0 && queue.shards >= queue.most_shards;
    if queue.failed > 0 || full { Err(Outcome::Warn(Finding::new(seen))) } else { Ok(seen) }
}

/// The metrics of one remote-write queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Queue {
    known: bool,
    sent: u64,
    failed: u64,
    retried: u64,
    pending: u64,
    shards: u64,
    most_shards: u64,
}

impl Queue {
    /// Reads those of the queue that writes to `port` from the text format.
    fn read(metrics: &str, port: u16) -> Self {
        let mut queue = Self::default();
        let (path, end) = (format!(":{port}/"), format!(":{port}\""));
        for line in metrics.lines().filter_map(|line| line.strip_prefix(QUEUE)) {
            let Some((name, rest)) = line.split_once('{') else { continue };
            let Some((labels, value)) = rest.rsplit_once("} ") else { continue };
            let Some(value) = value.split(' ').next().and_then(whole) else { continue };
            if !labels.contains(&path) && !labels.contains(&end) {
                continue;
            }
            queue.known = true;
            let sum = match name {
                "samples_total" => &mut queue.sent,
                "samples_failed_total" => &mut queue.failed,
                "samples_retried_total" => &mut queue.retried,
                "samples_pending" => &mut queue.pending,
                "shards" => &mut queue.shards,
                "shards_max" => &mut queue.most_shards,
                _ => continue,
            };
            *sum = sum.saturating_add(value);
        }
        queue
    }
}

/// A number of the text format without its fraction: `12`, or `1.25e+06` as Go writes large numbers.
fn whole(text: &str) -> Option<u64> {
    let (mantissa, exponent) = text.split_once("e+").unwrap_or((text, "0"));
    let (digits, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: usize = exponent.parse().ok().filter(|exponent| *exponent < 20)?;
    let kept = fraction.chars().chain(std::iter::repeat('0')).take(exponent);
    digits.chars().chain(kept).collect::<String>().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_a_prometheus() {
        let read = |url| PrometheusUrl::parse(url).map(|url| (url.host, url.port, url.prefix));
        for (url, host, port, prefix) in [
            ("http://localhost", "localhost", 9090, ""),
            ("http://127.0.0.1:9091/", "127.0.0.1", 9091, ""),
            ("http://[::1]:9090/prometheus/", "::1", 9090, "/prometheus"),
        ] {
            assert_eq!(read(url), Some((host.to_owned(), port, prefix.to_owned())), "{url}");
        }
        for url in ["https://h", "h:9090", "http://", "http://h:0", "http://h:x", "http://a b", "http://u:p@h"] {
            assert_eq!(read(url), None, "{url}");
        }
    }

    #[test]
    fn numbers_are_read_as_go_writes_them() {
        for (text, number) in [("0", 0), ("12", 12), ("1.5", 1), ("1e+06", 1_000_000), ("1.234567e+06", 1_234_567)] {
            assert_eq!(whole(text), Some(number), "{text}");
        }
        for text in ["NaN", "+Inf", "-1", "1e+30", "1e-05", ""] {
            assert_eq!(whole(text), None, "{text}");
        }
    }

    #[test]
    fn only_the_queue_of_this_port_counts() {
        let metrics = "# TYPE prometheus_remote_storage_shards gauge\n\
            prometheus_remote_storage_shards{remote_name=\"a\",url=\"http://localhost:8081/api/v1/write\"} 2\n\
            prometheus_remote_storage_shards{remote_name=\"b\",url=\"http://localhost:9999/api/v1/write\"} 50\n\
            prometheus_remote_storage_samples_failed_total{remote_name=\"a\",url=\"http://localhost:8081/api/v1/write\"} 1e+03\n\
            prometheus_remote_storage_samples_in_total 7\n";
        let queue = Queue::read(metrics, 8081);
        assert_eq!((queue.known, queue.shards, queue.failed), (true, 2, 1000));
        assert!(!Queue::read(metrics, 808).known);
    }
}
