//! Prometheus' own queue, according to its `/metrics`.

use std::time::{Duration, Instant};
use std::{fmt, io, thread};

use remora_smol::endpoint::host_and_port;
use remora_smol::probe::{self, Link};

use super::context::{Checked, Context};
use super::http;
use super::outcome::{Finding, Outcome};
use crate::config::quantity;
use crate::pages;

/// Time limit of the name resolution, and of the request with its connection.
const LIMIT: Duration = Duration::from_secs(5);
/// Longest metrics page that is read, in bytes.
const MAX_EXPOSITION: usize = 8 * 1024 * 1024;
/// Time between two readings of the queue.
const APART: Duration = Duration::from_secs(2);
/// Prefix of the metrics of a remote-write queue.
const QUEUE: &str = "prometheus_remote_storage_";
/// The path on which the sidecar takes samples.
const WRITE: &str = "/api/v1/write";

/// Why there is no queue to check at the default address.
const NOBODY: &str = "no Prometheus answers; specify it with --prometheus URL";
const ELSEWHERE: &str =
    "localhost:9090 answers, but not on /metrics; with --web.route-prefix: --prometheus http://localhost:9090/PREFIX";
/// The fixes for a Prometheus that is not where it was said to be.
const WITH_PREFIX: &str =
    "if Prometheus has a --web.route-prefix (kube-prometheus-stack: routePrefix), add that path to --prometheus";
const OTHER_ADDRESS: &str =
    "correct --prometheus; Prometheus listens on port 9090 unless --web.listen-address says otherwise";

/// The consequence and the fix of another path in the URL of a queue.
const REFUSED: &str = "Remora refuses what is sent to another path (404), and Prometheus drops those samples.";
const PATH: &str = "correct the url of that remote_write: http://localhost:<port>/api/v1/write";

/// The fix for samples that Prometheus dropped.
const FAILED: &str = "check the logs for the answers that Prometheus got, and do what they say";
/// The addition if the sidecar passes on 429, on which Prometheus drops samples by default.
const FAILED_BY_LIMIT: &str = "; with RATE_LIMIT_STATUS=429, also set retryOnRateLimit: true in queueConfig";
/// The addition for samples that Prometheus does not even send.
const TOO_OLD: &str = "Prometheus drops what is older than its sampleAgeLimit: wait until the backlog of an outage is gone; without an outage, see why its queue is behind";
/// The fix for a queue that cannot grow.
const FULL: &str =
    "raise maxSamplesPerSend or max_samples_per_send, and maxShards if Azure does not throttle (RBAC-03)";

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
        // An IPv6 address has colons of its own.
        let port = authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
        let (host, port) = port.unwrap_or((authority, "9090"));
        let prefix = path.trim_end_matches('/');
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'@');
        let slash = if prefix.is_empty() { "" } else { "/" };
        (!host.is_empty() && plain(host) && plain(prefix)).then_some(())?;
        let port = quantity::port(port).ok()?;
        let host = host.trim_matches(['[', ']']).to_owned();
        Some(Self { host, port, prefix: format!("{slash}{prefix}") })
    }

    fn metrics(&self) -> Result<String, Unread> {
        let addresses = probe::resolve(&self.host, self.port, LIMIT)?;
        let mut link = Link::open(&addresses, LIMIT)?;
        link.send(&http::get(&host_and_port(&self.host, self.port), &format!("{}/metrics", self.prefix)))?;
        let answer = http::answer(&mut link, MAX_EXPOSITION)?;
        match answer.status {
            200 => (),
            404 => return Err(Unread::NotThere),
            status => return Err(io::Error::other(format!("/metrics answers {status}")).into()),
        }
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }
}

/// Why there are no metrics.
#[derive(Debug)]
enum Unread {
    /// Something answers, but not on this path.
    NotThere,
    /// There is no other answer that helps.
    Unanswered(io::Error),
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        Self::Unanswered(error)
    }
}

impl fmt::Display for PrometheusUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, prefix } = self;
        write!(f, "http://{}{prefix}", host_and_port(host, *port))
    }
}

impl Default for PrometheusUrl {
    fn default() -> Self {
        Self { host: "localhost".to_owned(), port: 9090, prefix: String::new() }
    }
}

/// PROM-01. The sender need not be a Prometheus, so its absence at the default address is not a failure.
pub(super) fn writes(cx: &mut Context<'_>) -> Checked {
    let port = cx.config()?.listen.port;
    let prometheus = cx.options.prometheus.as_ref();
    let asked = Instant::now();
    let metrics = prometheus.cloned().unwrap_or_default().metrics().map_err(|why| unread(prometheus, &why))?;
    let queue = Queue::read(&metrics, port).map_err(|path| Outcome::Warn(elsewhere(port, path)))?;
    cx.queue = Some((asked, queue));
    Ok(format!("{} samples sent so far", queue.sent))
}

/// No queue writes to this port, or those that do have another path.
fn elsewhere(port: u16, path: Option<&str>) -> Finding {
    let Some(path) = path else {
        return Finding::new(format!("it has no remote_write with port {port} in its url"));
    };
    let seen = format!("its remote_write with port {port} in its url has the path {path:?}, not {WRITE}");
    Finding::new(seen).because(REFUSED).repaired(format!("{PATH}\n{}", pages::PROM_01.commands()))
}

/// The outcome without metrics; whoever names a Prometheus expects them.
fn unread(named: Option<&PrometheusUrl>, why: &Unread) -> Outcome {
    let finding = match (named, why) {
        (None, Unread::NotThere) => return Outcome::Left(ELSEWHERE),
        (None, Unread::Unanswered(_)) => return Outcome::Left(NOBODY),
        (Some(url), Unread::NotThere) => {
            Finding::new(format!("{url} answers, but has no /metrics there (404)")).repaired(WITH_PREFIX)
        }
        (Some(url), Unread::Unanswered(error)) => {
            Finding::new(format!("no Prometheus answers at {url}: {error}")).repaired(OTHER_ADDRESS)
        }
    };
    Outcome::Warn(finding.because("Whether Prometheus writes here cannot be told without its metrics."))
}

/// PROM-02. The counters start with Prometheus, so only their increase between two readings matters.
pub(super) fn keeps_up(cx: &mut Context<'_>) -> Checked {
    let config = cx.config()?;
    let Some((asked, before)) = cx.queue else {
        return Err(without_queue(cx));
    };
    thread::sleep(APART.saturating_sub(asked.elapsed()));
    let metrics = cx.options.prometheus.clone().unwrap_or_default().metrics();
    let Ok(metrics) = metrics else { return Err(Outcome::Left("Prometheus stopped answering")) };
    let Ok(after) = Queue::read(&metrics, config.listen.port) else {
        return Err(Outcome::Left("Prometheus' remote_write for this port is gone"));
    };
    judge(&before, &after, config.pass_rate_limit)
}

/// Why there is no queue: PROM-01 says so, and was left out if there is no Prometheus at all.
fn without_queue(cx: &Context<'_>) -> Outcome {
    let left = cx.done.iter().find_map(|done| match done.outcome {
        Outcome::Left(why) if done.step == &pages::PROM_01 => Some(why),
        _ => None,
    });
    left.map_or(Outcome::Needs(&pages::PROM_01), Outcome::Left)
}

fn judge(before: &Queue, after: &Queue, pass_rate_limit: bool) -> Checked {
    let failed = after.failed.saturating_sub(before.failed);
    let retried = after.retried.saturating_sub(before.retried);
    let too_old = after.too_old.saturating_sub(before.too_old);
    let dropped = if too_old > 0 { format!(", {too_old} dropped as too old") } else { String::new() };
    let seen = format!(
        "{failed} failed and {retried} retried{dropped} within {} s; {} pending, {} of {} shards",
        APART.as_secs(),
        after.pending,
        after.shards,
        after.most_shards
    );
    let limit = if pass_rate_limit { FAILED_BY_LIMIT } else { "" };
    let mut repair = String::new();
    for (is_found, fix, addition) in
        [(failed > 0, FAILED, limit), (too_old > 0, TOO_OLD, ""), (after.is_full(), FULL, "")]
    {
        repair.extend(if is_found { [fix, addition, "\n"] } else { [""; 3] });
    }
    if repair.is_empty() {
        return Ok(seen);
    }
    Err(Outcome::Warn(Finding::new(seen).repaired(repair + &pages::PROM_02.commands())))
}

/// The metrics of one remote-write queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Queue {
    sent: u64,
    failed: u64,
    /// Dropped before sending, by Prometheus' own limit.
    too_old: u64,
    retried: u64,
    pending: u64,
    shards: u64,
    most_shards: u64,
    wanted_shards: Option<u64>,
}

impl Queue {
    /// Whether it uses all of its shards and needs them: a queue with a maximum of one shard always uses it.
    fn is_full(&self) -> bool {
        let needs = self.wanted_shards.is_none_or(|wanted| wanted >= self.most_shards);
        self.most_shards > 0 && self.shards >= self.most_shards && needs
    }

    /// Reads those of the queue that writes to `port` from the text format. If there is no such queue, the error is the
    /// path of one that differs only in that.
    fn read(metrics: &str, port: u16) -> Result<Self, Option<&str>> {
        let (mut queue, mut is_known, mut other) = (Self::default(), false, None);
        let port = format!(":{port}");
        for line in metrics.lines().filter_map(|line| line.strip_prefix(QUEUE)) {
            let Some((name, rest)) = line.split_once('{') else { continue };
            let Some((labels, value)) = rest.rsplit_once("} ") else { continue };
            let Some(value) = value.split(' ').next().and_then(whole) else { continue };
            let Some(path) = path(labels, &port) else { continue };
            if path != WRITE {
                other = Some(path);
                continue;
            }
            is_known = true;
            let sum = match name {
                "samples_total" => &mut queue.sent,
                "samples_failed_total" => &mut queue.failed,
                // From 2.50 on. Other reasons are relabeling and the like.
                "samples_dropped_total" if labels.contains("reason=\"too_old\"") => &mut queue.too_old,
                "samples_retried_total" => &mut queue.retried,
                "samples_pending" => &mut queue.pending,
                "shards" => &mut queue.shards,
                "shards_max" => &mut queue.most_shards,
                "shards_desired" => queue.wanted_shards.get_or_insert(0),
                _ => continue,
            };
            *sum = sum.saturating_add(value);
        }
        if is_known { Ok(queue) } else { Err(other) }
    }
}

/// The path in the label `url`, if the URL has this port, given as `:8081`.
fn path<'l>(labels: &'l str, port: &str) -> Option<&'l str> {
    let (url, _) = labels.split_once("url=\"")?.1.split_once('"')?;
    let (_, target) = url.split_once(port)?;
    let path = target.split(['?', '#']).next()?;
    (path.is_empty() || path.starts_with('/')).then_some(path)
}

/// A number of the text format without its fraction: `12`, or `1.25e+06` as Go writes large numbers.
fn whole(text: &str) -> Option<u64> {
    if text.contains("e-") {
        return Some(0);
    }
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
            ("http://[::1]", "::1", 9090, ""),
            ("http://[::1]:9090/prometheus/", "::1", 9090, "/prometheus"),
        ] {
            assert_eq!(read(url), Some((host.to_owned(), port, prefix.to_owned())), "{url}");
        }
        for url in
            ["https://h", "h:9090", "http://", "http://h:0", "http://h:+80", "http://h:x", "http://a b", "http://u:p@h"]
        {
            assert_eq!(read(url), None, "{url}");
        }
    }

    #[test]
    fn numbers_are_read_as_go_writes_them() {
        for (text, number) in
            [("0", 0), ("12", 12), ("1.5", 1), ("2e-05", 0), ("1e+06", 1_000_000), ("1.234567e+06", 1_234_567)]
        {
            assert_eq!(whole(text), Some(number), "{text}");
        }
        for text in ["NaN", "+Inf", "-1", "1e+30", ""] {
            assert_eq!(whole(text), None, "{text}");
        }
    }

    #[test]
    fn only_the_queue_of_this_port_counts() {
        let metrics = "# TYPE prometheus_remote_storage_shards gauge\n\
            prometheus_remote_storage_shards{remote_name=\"a\",url=\"http://localhost:8081/api/v1/write\"} 2\n\
            prometheus_remote_storage_shards{remote_name=\"b\",url=\"http://localhost:9999/api/v1/write\"} 50\n\
            prometheus_remote_storage_samples_failed_total{remote_name=\"a\",url=\"http://localhost:8081/api/v1/write\"} 1e+03\n\
            prometheus_remote_storage_samples_dropped_total{reason=\"too_old\",url=\"http://localhost:8081/api/v1/write\"} 5\n\
            prometheus_remote_storage_samples_dropped_total{reason=\"dropped_series\",url=\"http://localhost:8081/api/v1/write\"} 80\n\
            prometheus_remote_storage_samples_in_total 7\n";
        let queue = Queue::read(metrics, 8081).unwrap();
        assert_eq!((queue.shards, queue.failed, queue.too_old), (2, 1000, 5));
        assert_eq!(Queue::read(metrics, 808), Err(None));
    }

    #[test]
    fn a_queue_with_another_path_is_named_by_it() {
        let read = |url: &str| {
            let line = format!("prometheus_remote_storage_shards{{remote_name=\"a\",url=\"{url}\"}} 2\n");
            Queue::read(&line, 8081).map(|queue| queue.shards).map_err(|path| elsewhere(8081, path))
        };
        for end in ["", "?x=/", "#x"] {
            assert_eq!(read(&format!("http://[::1]:8081/api/v1/write{end}")).unwrap(), 2, "{end}");
        }
        for (end, path) in [("", ""), ("?x", ""), ("/write", "/write"), ("/api/v1/write/", "/api/v1/write/")] {
            let finding = read(&format!("http://localhost:8081{end}")).unwrap_err();
            let seen = format!("its remote_write with port 8081 in its url has the path {path:?}, not /api/v1/write");
            assert_eq!(finding.seen, seen);
            assert!(
                finding.repair.is_some_and(|repair| repair.starts_with("correct the url") && repair.contains('\n'))
            );
        }
        assert_eq!(read("http://localhost:80812/write").unwrap_err().repair, None);
    }

    #[test]
    fn only_what_fails_now_and_a_queue_without_room_are_warned_of() {
        let old = Queue { failed: 4000, retried: 9, shards: 2, most_shards: 50, ..Queue::default() };
        let told = |after: &Queue, pass_rate_limit| match judge(&old, after, pass_rate_limit) {
            Ok(seen) => (seen, None),
            Err(Outcome::Warn(finding)) => (finding.seen, finding.repair),
            Err(other) => panic!("{other:?}"),
        };
        let quiet = "0 failed and 0 retried within 2 s; 0 pending, 2 of 50 shards".to_owned();
        assert_eq!(told(&old, false), (quiet, None));
        // Prometheus restarted in between.
        assert_eq!(told(&Queue { failed: 0, ..old }, false).1, None);
        assert_eq!(told(&Queue { retried: 12, ..old }, false).1, None);

        let losing = Queue { failed: 4003, ..old };
        let (seen, repair) = told(&losing, false);
        assert!(
            seen.starts_with("3 failed ") && repair.as_ref().is_some_and(|repair| !repair.contains("retryOnRateLimit"))
        );
        assert!(repair.is_some_and(|repair| !repair.contains("maxShards") && repair.contains("kubectl logs")));
        assert!(told(&losing, true).1.is_some_and(|repair| repair.contains("retryOnRateLimit")));
        let (seen, repair) = told(&Queue { too_old: 7, ..old }, false);
        assert!(seen.starts_with("0 failed and 0 retried, 7 dropped as too old within 2 s; "), "{seen}");
        assert!(repair.is_some_and(|repair| repair.contains("sampleAgeLimit") && !repair.contains("maxShards")));
        assert_eq!(told(&Queue { too_old: 7, ..old }, true).1.map(|repair| repair.contains("RATE_LIMIT")), Some(false));
        let full = Queue { shards: 50, wanted_shards: Some(61), ..old };
        assert!(told(&full, true).1.is_some_and(|repair| repair.starts_with("raise maxSamplesPerSend")));
        assert_eq!(told(&Queue { wanted_shards: Some(0), ..full }, false).1, None);
    }

    #[test]
    fn a_server_without_metrics_at_this_path_may_be_a_prometheus_with_a_prefix() {
        use std::io::{Read as _, Write as _};

        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = PrometheusUrl::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let server = thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let _ = peer.read(&mut [0; 1024]).unwrap();
            peer.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").unwrap();
        });
        let why = url.metrics().unwrap_err();
        server.join().unwrap();
        let Outcome::Warn(finding) = unread(Some(&url), &why) else { panic!("no warning") };
        assert_eq!(finding.seen, format!("{url} answers, but has no /metrics there (404)"));
        assert!(finding.repair.is_some_and(|repair| repair.contains("routePrefix")));
        assert!(matches!(unread(None, &why), Outcome::Left(why) if why.contains("--web.route-prefix")));
    }

    #[test]
    fn a_prometheus_that_was_named_and_does_not_answer_is_warned_of() {
        use std::collections::BTreeMap;

        use crate::check::Options;

        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = format!("http://127.0.0.1:{port}");
        let options = Options { prometheus: PrometheusUrl::parse(&url), ..Options::default() };
        let whole =
            [("INGESTION_URL", "https://h/dataCollectionRules/d/x?api-version=1"), ("IDENTITY_TYPE", "systemAssigned")];
        let source: BTreeMap<&str, String> = whole.map(|(name, value)| (name, value.to_owned())).into();
        let Err(Outcome::Warn(finding)) = writes(&mut Context::new(&options, &source)) else { panic!("no warning") };
        assert!(finding.seen.starts_with(&format!("no Prometheus answers at {url}: ")), "{}", finding.seen);
    }
}
