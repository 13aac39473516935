//! The command line: the commands and flags, and usage errors, which exit with code 64.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use hyper::Uri;
use lexopt::prelude::{Long, Short, Value, ValueExt};

use crate::ports::Ports;

/// Printed by `--help`.
pub(crate) const HELP: &str = "\
azure-emulator: an emulator of the parts of Azure that a remote-write sidecar talks to, on loopback

usage: azure-emulator --dir DIR [flags]
       azure-emulator compare --prometheus URL --emulator CONTROL_URL [flags]

  --dir DIR              folder for keys, certificates, ports, settings and samples, which survive a restart
  --listen ADDRESS       loopback address of every endpoint                      (127.0.0.1)
  --issuer-port N        OIDC issuer, TLS            (0 or unset: a free port, kept for the next start)
  --token-port N         Entra token endpoint, TLS
  --ingest-port N        metrics ingestion, TLS
  --imds-port N          instance metadata service of a virtual machine
  --arc-port N           metadata service of a machine under Azure Arc
  --app-service-port N   App Service's token endpoint
  --identity-binding-port N
                         an AKS cluster's token proxy, TLS with an authority of its own
  --control-port N       control interface, plain HTTP
  --token-life TIME      lifetime of an access token                             (86399s)
  --assertion-life TIME  lifetime of a projected service-account token           (3600s)
  --rotate-every TIME    how often that token is rewritten                       (80 % of its lifetime)
  --tenant ID            tenant that the token endpoint knows
  --client-id ID         client that the token endpoint knows
  --subject TEXT         subject of the projected token                          (system:serviceaccount:monitoring:prometheus)
  --audience TEXT        audience of the projected token                         (api://AzureADTokenExchange)
  --arc-tokens PATH      where a client finds DIR/arc-tokens, Arc's challenge files, for
                         example by a bind mount                                 (/var/opt/azcmagent/tokens)
  --pass-on URL          also post what was accepted to this remote-write receiver (http, loopback)
  --workload-series N    gauges that the control interface's /metrics shows      (200)
  -v, --verbose          log every request, not just refused ones
  -h, --help             this text
  -V, --version          name and version

DIR/env holds the settings for the sidecar, one KEY=value a line, once `azure-emulator ready` is printed. Beside it are
those for other identities: env.identity-binding, env.secret, env.certificate, env.pfx, env.imds-system, env.imds-user,
env.arc, env.app-service.

compare reads every raw sample of a Prometheus by remote read and compares it with what the emulator stored, bit for bit:
  --prometheus URL       base URL of the Prometheus
  --emulator URL         base URL of the emulator's control interface
  --since MS, --until MS only samples of this time, milliseconds since 1970, both ends included
  --exclude-job NAME     leave out series with this job label, on both sides
  --json                 one JSON object instead of text
It exits 0 when nothing is missing, extra or different, 1 otherwise, 2 when it could not compare.
";

/// One command of the program.
#[derive(Debug)]
pub(crate) enum Command {
    /// Run the emulator.
    Run(Box<RunOptions>),
    /// Compare a Prometheus with a running emulator.
    Compare(CompareOptions),
    /// Print [`HELP`].
    Help,
    /// Print name and version.
    Version,
}

/// Flags of the emulator itself. `None` means the value stored in the folder, otherwise the default.
#[derive(Debug)]
pub(crate) struct RunOptions {
    pub(crate) dir: PathBuf,
    pub(crate) listen: IpAddr,
    /// 0 means "not given".
    pub(crate) ports: Ports,
    pub(crate) token_life: Option<Duration>,
    pub(crate) assertion_life: Option<Duration>,
    pub(crate) rotate_every: Option<Duration>,
    pub(crate) tenant: Option<String>,
    pub(crate) client_id: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) audience: Option<String>,
    /// `DIR/arc-tokens` as a client sees it.
    pub(crate) arc_tokens: PathBuf,
    pub(crate) pass_on: Option<String>,
    pub(crate) workload_series: usize,
    pub(crate) verbose: bool,
}

impl Default for RunOptions {
    fn default() -> Self {
        RunOptions {
            dir: PathBuf::new(),
            listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
            ports: Ports::default(),
            token_life: None,
            assertion_life: None,
            rotate_every: None,
            tenant: None,
            client_id: None,
            subject: None,
            audience: None,
            arc_tokens: PathBuf::from("/var/opt/azcmagent/tokens"),
            pass_on: None,
            workload_series: 200,
            verbose: false,
        }
    }
}

/// Flags of `compare`.
#[derive(Debug)]
pub(crate) struct CompareOptions {
    pub(crate) prometheus: String,
    pub(crate) emulator: String,
    /// Milliseconds since 1970, inclusive.
    pub(crate) since: i64,
    /// Milliseconds since 1970, inclusive; `None` is now.
    pub(crate) until: Option<i64>,
    pub(crate) exclude_job: Option<String>,
    pub(crate) json: bool,
}

/// Parses the arguments (without the program's name). The error is one line for the user.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, lexopt::Error> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut options = RunOptions::default();
    let mut first = true;
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Help),
            Short('V') | Long("version") => return Ok(Command::Version),
            Value(word) if first && word == "compare" => return parse_compare(parser),
            Long("dir") => options.dir = parser.value()?.into(),
            Long("listen") => options.listen = parser.value()?.parse_with(loopback)?,
            Long("issuer-port") => options.ports.issuer = parser.value()?.parse_with(port)?,
            Long("token-port") => options.ports.token = parser.value()?.parse_with(port)?,
            Long("ingest-port") => options.ports.ingest = parser.value()?.parse_with(port)?,
            Long("imds-port") => options.ports.imds = parser.value()?.parse_with(port)?,
            Long("arc-port") => options.ports.arc = parser.value()?.parse_with(port)?,
            Long("app-service-port") => options.ports.app_service = parser.value()?.parse_with(port)?,
            Long("identity-binding-port") => options.ports.identity_binding = parser.value()?.parse_with(port)?,
            Long("control-port") => options.ports.control = parser.value()?.parse_with(port)?,
            Long("token-life") => options.token_life = Some(parser.value()?.parse_with(duration)?),
            Long("assertion-life") => options.assertion_life = Some(parser.value()?.parse_with(duration)?),
            Long("rotate-every") => options.rotate_every = Some(parser.value()?.parse_with(duration)?),
            Long("tenant") => options.tenant = Some(parser.value()?.parse_with(identifier)?),
            Long("client-id") => options.client_id = Some(parser.value()?.parse_with(identifier)?),
            Long("subject") => options.subject = Some(parser.value()?.string()?),
            Long("audience") => options.audience = Some(parser.value()?.string()?),
            Long("arc-tokens") => options.arc_tokens = parser.value()?.parse_with(absolute_path)?,
            Long("pass-on") => options.pass_on = Some(parser.value()?.parse_with(loopback_url)?),
            Long("workload-series") => options.workload_series = parser.value()?.parse()?,
            Short('v') | Long("verbose") => options.verbose = true,
            other => return Err(other.unexpected()),
        }
        first = false;
    }
    if options.dir.as_os_str().is_empty() {
        return Err("--dir is missing: set it to a folder for keys and samples".into());
    }
    Ok(Command::Run(Box::new(options)))
}

fn parse_compare(mut parser: lexopt::Parser) -> Result<Command, lexopt::Error> {
    let (mut prometheus, mut emulator, mut exclude_job) = (None, None, None);
    let (mut since, mut until, mut json) = (0, None, false);
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Help),
            Long("prometheus") => prometheus = Some(parser.value()?.parse_with(base_url)?),
            Long("emulator") => emulator = Some(parser.value()?.parse_with(base_url)?),
            Long("since") => since = parser.value()?.parse()?,
            Long("until") => until = Some(parser.value()?.parse()?),
            Long("exclude-job") => exclude_job = Some(parser.value()?.string()?),
            Long("json") => json = true,
            other => return Err(other.unexpected()),
        }
    }
    let prometheus = prometheus.ok_or("--prometheus is missing: set it to the base URL of the Prometheus to read")?;
    let emulator = emulator.ok_or("--emulator is missing: set it to EMULATOR_CONTROL_URL in DIR/env")?;
    Ok(Command::Compare(CompareOptions { prometheus, emulator, since, until, exclude_job, json }))
}

/// Anyone who asks gets a token, so nothing may listen where another machine can connect.
fn loopback(text: &str) -> Result<IpAddr, String> {
    match text.parse::<IpAddr>() {
        Ok(address) if address.is_loopback() => Ok(address),
        _ => Err("not a loopback address".to_owned()),
    }
}

fn port(text: &str) -> Result<u16, &'static str> {
    text.parse().map_err(|_| "not a port number")
}

/// The challenge names this path to clients, which have a working directory of their own.
fn absolute_path(text: &str) -> Result<PathBuf, &'static str> {
    let path = PathBuf::from(text);
    if path.is_absolute() { Ok(path) } else { Err("not an absolute path") }
}

fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration >= Duration::from_secs(1) => Ok(duration),
        _ => Err("not a duration of a second or more, such as 90s, 48m or 1h".to_owned()),
    }
}

/// The characters that Microsoft's own clients allow in a tenant.
fn identifier(text: &str) -> Result<String, &'static str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    if !text.is_empty() && text.chars().all(allowed) { Ok(text.to_owned()) } else { Err("not an id") }
}

/// `http://host[:port]`, without trailing slashes.
fn base_url(text: &str) -> Result<String, &'static str> {
    let uri: Uri = text.parse().map_err(|_| "not a URL")?;
    if uri.scheme_str() == Some("http") && uri.host().is_some() {
        Ok(text.trim_end_matches('/').to_owned())
    } else {
        Err("not an http URL")
    }
}

fn loopback_url(text: &str) -> Result<String, &'static str> {
    let uri: Uri = text.parse().map_err(|_| "not a URL")?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let here = host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    if uri.scheme_str() == Some("http") && here { Ok(text.to_owned()) } else { Err("not an http URL of this machine") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(OsString::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_leave_everything_but_the_folder_open() {
        let Ok(Command::Run(options)) = parse_words("--dir /tmp/azure") else { panic!("refused") };
        assert_eq!(options.listen.to_string(), "127.0.0.1");
        assert_eq!((options.ports.ingest, options.workload_series), (0, 200));
    }

    #[test]
    fn every_refusal_names_what_is_wrong() {
        for (line, expected) in [
            ("", "--dir is missing"),
            ("--dir d --listen 0.0.0.0", "loopback"),
            ("--dir d --token-life soon", "duration"),
            ("--dir d --pass-on http://example.com/api/v1/write", "this machine"),
            ("--dir d --pass-on https://localhost/", "http URL"),
            ("--dir d --token-port 99999", "port"),
            ("--dir d --arc-tokens tokens", "absolute"),
            ("--dir d --frobnicate", "frobnicate"),
            ("compare --prometheus http://localhost:9090", "--emulator is missing"),
        ] {
            let refusal = parse_words(line).expect_err(line);
            assert!(refusal.contains(expected), "{line}: {refusal}");
        }
    }

    #[test]
    fn compare_reads_its_window() {
        let line =
            "compare --prometheus http://localhost:9090/ --emulator http://127.0.0.1:1 --since 5 --until 9 --json";
        let Ok(Command::Compare(options)) = parse_words(line) else { panic!("refused") };
        assert_eq!(options.prometheus, "http://localhost:9090");
        assert_eq!((options.since, options.until, options.json), (5, Some(9), true));
    }
}
