//! The program as users run it: its environment, its exit codes, and its output on each stream.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Output, Stdio};

const USAGE: i32 = 64;
const CONFIGURATION: i32 = 78;
const INGESTION: &str = "https://x-1.eastus-1.metrics.ingest.monitor.azure.com/dataCollectionRules/dcr-0/streams/Microsoft-PrometheusMetrics/api/v1/write?api-version=2023-04-24";
const WEBHOOK: [(&str, &str); 4] = [
    ("AZURE_CLIENT_ID", "3913510d-42f4-4e42-8a64-420c390055eb"),
    ("AZURE_TENANT_ID", "72f988bf-86f1-41af-91ab-2d7cd011db47"),
    ("AZURE_FEDERATED_TOKEN_FILE", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")),
    ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com/"),
];

/// Runs the program with these arguments and only these variables.
fn remora(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_remora"));
    command.args(arguments).env_clear().envs(variables.iter().copied()).output().expect("the program runs")
}

/// Runs it with a valid environment except for `changes`, and returns its exit code and standard error.
fn refused(changes: &[(&str, &str)]) -> (Option<i32>, String) {
    let good = [("INGESTION_URL", INGESTION)];
    let variables: Vec<_> = good.iter().chain(&WEBHOOK).chain(changes).copied().collect();
    let output = remora(&[], &variables);
    assert!(output.stdout.is_empty(), "standard output is not for faults");
    (output.status.code(), text(&output.stderr))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("Unicode text")
}

#[test]
fn an_empty_environment_lists_all_that_is_missing() {
    let output = remora(&[], &[]);
    assert_eq!(output.status.code(), Some(CONFIGURATION));
    let said = text(&output.stderr);
    for name in ["INGESTION_URL", "AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE"] {
        assert!(said.contains(name), "{name} is not named:\n{said}");
    }
    assert!(said.contains("fix: ") && said.contains("azure.workload.identity/use"), "{said}");
}

#[test]
fn faults_are_json_lines_when_the_log_is() {
    let output = remora(&["--log-format", "json"], &[("LISTENING_PORT", "0")]);
    assert_eq!(output.status.code(), Some(CONFIGURATION));
    let said = text(&output.stderr);
    let lines: Vec<serde_json::Value> =
        said.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    let port = lines.iter().find(|line| line["name"] == "LISTENING_PORT").expect("a line for the port");
    assert_eq!((port["level"].as_str(), port["value"].as_str()), (Some("error"), Some("0")));
    assert!(port["fix"].as_str().is_some_and(|fix| !fix.is_empty()));
}

#[test]
fn an_unknown_flag_is_wrong_usage() {
    let output = remora(&["--ingestion-urll", "https://h/secret"], &[]);
    assert_eq!(output.status.code(), Some(USAGE));
    let said = text(&output.stderr);
    assert!(said.contains("--ingestion-urll") && said.contains("did you mean --ingestion-url?"), "{said}");
    assert!(!said.contains("secret"), "{said}");
}

#[test]
fn what_is_wrong_with_the_flags_of_check_leads_to_their_help() {
    for arguments in [&["check", "--bogus"][..], &["check", "--only", "bogus"], &["check", "--wait", "5"]] {
        let output = remora(arguments, &[]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(USAGE), "{said}");
        assert!(said.lines().last().is_some_and(|line| line.starts_with("remora check --help lists")), "{said}");
    }
    let said = text(&remora(&["--listening-port", "1", "check"], &[]).stderr);
    assert!(said.contains("must come first: remora check") && said.contains("\nremora --help lists"), "{said}");
}

#[test]
fn a_check_that_is_to_write_without_sockets_is_wrong_usage() {
    for arguments in [["check", "--pre", "--write"], ["check", "--write", "--pre"]] {
        let output = remora(&arguments, &[]);
        let said = text(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(USAGE), 0), "{said}");
        assert!(said.contains("--pre") && said.contains("--write"), "{said}");
    }
}

#[test]
fn a_check_that_waits_ends_at_a_signal() {
    for (signal, code) in [("TERM", 143), ("INT", 130), ("HUP", 129)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_remora"));
        command.args(["check", "--pre", "--wait", "60s"]).env_clear().envs(WEBHOOK).env("INGESTION_URL", INGESTION);
        command.env("AZURE_FEDERATED_TOKEN_FILE", "/nowhere/token").stdout(Stdio::null()).stderr(Stdio::piped());
        let mut waiting = command.spawn().expect("the program runs");
        let mut said = String::new();
        let stderr = waiting.stderr.take().expect("a pipe");
        BufReader::new(stderr).read_line(&mut said).expect("a line");
        assert!(said.starts_with("waiting because "), "{said}");
        let killed = Command::new("kill").args(["-s", signal, &waiting.id().to_string()]).status();
        assert!(killed.expect("kill(1) runs").success());
        // Not killed by the signal: as process 1, it would not be.
        assert_eq!(waiting.wait().expect("it ends").code(), Some(code), "SIG{signal}");
    }
}

#[test]
fn bad_urls_are_explained() {
    for (url, said) in [
        ("http://h.example/x", "scheme is not https"),
        ("https://w.eastus.prometheus.monitor.azure.com/api/v1/write", "query endpoint"),
        ("https://x.eastus-1.ingest.monitor.azure.com/dataCollectionRules/d/x", "x.eastus-1.metrics.ingest"),
        ("https://x.eastus-1.metrics.ingest.monitor.azure.com", "has no path"),
    ] {
        let (code, output) = refused(&[("INGESTION_URL", url)]);
        assert_eq!(code, Some(CONFIGURATION), "{url}");
        assert!(output.contains(&format!("INGESTION_URL={url}")) && output.contains(said), "{output}");
    }
}

#[test]
fn an_unknown_identity_type_lists_those_that_exist() {
    let (code, said) = refused(&[("IDENTITY_TYPE", "podIdentity")]);
    assert_eq!(code, Some(CONFIGURATION));
    assert!(said.contains("IDENTITY_TYPE=podIdentity") && said.contains("use workloadIdentity"), "{said}");
}

#[test]
fn an_identity_is_refused_for_what_it_lacks() {
    for (kind, lacks) in [
        ("userAssigned", "AZURE_CLIENT_ID"),
        ("aadApplication", "AZURE_CLIENT_CERTIFICATE_PATH"),
        ("managed", "IDENTITY_TYPE=managed"),
    ] {
        let output = remora(&[], &[("INGESTION_URL", INGESTION), ("IDENTITY_TYPE", kind)]);
        assert_eq!(output.status.code(), Some(CONFIGURATION), "{kind}");
        assert!(text(&output.stderr).contains(lacks), "{kind}");
    }
}

#[test]
fn what_is_not_unicode_is_refused_without_being_shown() {
    let text = OsStr::from_bytes(b"caf\xe9");
    let application = [("IDENTITY_TYPE", "aadApplication")];
    let certificate = [application[0], ("AZURE_CLIENT_CERTIFICATE_PATH", WEBHOOK[2].1)];
    let platform = [("IDENTITY_TYPE", "systemAssigned"), ("IDENTITY_ENDPOINT", "http://127.0.0.1:1/token")];
    let proxy = [("HTTPS_PROXY", "http://proxy:3128")];
    for (name, named, others) in [
        ("AZURE_CLIENT_SECRET", "AZURE_CLIENT_SECRET", &application[..]),
        ("AZURE_CLIENT_CERTIFICATE_PASSWORD", "AZURE_CLIENT_CERTIFICATE_PASSWORD", &certificate),
        ("IDENTITY_HEADER", "IDENTITY_HEADER", &platform),
        ("NO_PROXY", "NO_PROXY", &proxy),
        ("no_proxy", "NO_PROXY", &proxy),
        ("CLUSTER", "CLUSTER", &[]),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_remora"));
        command.env_clear().env("INGESTION_URL", INGESTION).envs(WEBHOOK).envs(others.iter().copied()).env(name, text);
        // It must not start in any case.
        command.env("LISTENING_PORT", "0");
        let output = command.output().expect("the program runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(CONFIGURATION), "{name}: {said}");
        assert!(
            said.contains(&format!("\n{named}=***: is not UTF-8 ")) && said.starts_with("remora: 2 faults"),
            "{said}"
        );
        assert!(!said.contains("caf"), "{said}");
    }
}

#[test]
fn an_unreadable_token_file_is_named_with_the_reason() {
    for (path, reason) in [("/nowhere/token", "No such file or directory"), ("/", "not a regular file")] {
        let (code, said) = refused(&[("AZURE_FEDERATED_TOKEN_FILE", path)]);
        assert_eq!(code, Some(CONFIGURATION), "{path}");
        assert!(said.contains(&format!("AZURE_FEDERATED_TOKEN_FILE={path}: cannot be read: {reason}")), "{said}");
        assert!(said.contains("fix: "), "{said}");
    }
}

#[test]
fn a_flag_wins_over_the_environment() {
    let output = remora(&["--listening-port", "99999"], &[("LISTENING_PORT", "0")]);
    let said = text(&output.stderr);
    assert!(said.contains("LISTENING_PORT=99999") && !said.contains("LISTENING_PORT=0"), "{said}");
}

#[test]
fn help_names_every_variable_and_its_flag() {
    let output = remora(&["--help"], &[]);
    assert!(output.status.success() && output.stderr.is_empty());
    let help = text(&output.stdout);
    let drop_in = "INGESTION_URL LISTENING_PORT IDENTITY_TYPE CLOUD INGESTION_AAD_AUDIENCE AAD_HOST_ENDPOINT CLUSTER \
                   TRACE_LOGGING AZURE_CLIENT_ID AZURE_TENANT_ID AZURE_FEDERATED_TOKEN_FILE AZURE_AUTHORITY_HOST";
    let own = "ALLOWED_SOURCES BODY_MEMORY MAX_BODY_BYTES MAX_CONNECTIONS MAX_IN_FLIGHT UPSTREAM_TIMEOUT REFUSAL_HOLD \
               RATE_LIMIT_STATUS CHECK SHUTDOWN_GRACE ADMIN_PORT LOG_LEVEL LOG_FORMAT";
    let standard = "HTTPS_PROXY NO_PROXY SSL_CERT_FILE SSL_CERT_DIR";
    for name in [drop_in, own, standard].into_iter().flat_map(str::split_whitespace) {
        let flag = format!("--{} ", name.to_lowercase().replace('_', "-"));
        assert!(help.lines().any(|line| line.contains(&flag) && line.ends_with(name)), "{name} is not in the help");
    }
}

#[test]
fn version_names_target_and_tls() {
    for flag in ["--version", "-V"] {
        let output = remora(&[flag], &[]);
        assert!(output.status.success());
        let version = text(&output.stdout);
        assert!(version.starts_with(concat!("remora ", env!("CARGO_PKG_VERSION"), " (")), "{version}");
        assert!(version.trim_end().ends_with("tls=rustls/ring)"), "{version}");
    }
}
