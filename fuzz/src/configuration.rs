//! Configurations: any variables with any values, including valid ones and secrets.

use std::collections::BTreeMap;
use std::path::PathBuf;

use arbitrary::{Arbitrary, Unstructured};

/// The secret, which must never be shown, wherever it is put.
const SECRET: &str = "correct-horse-battery-staple";

/// The variables that the configuration reads, and three that it does not.
const NAMES: &[&str] = &[
    "INGESTION_URL",
    "CLOUD",
    "INGESTION_AAD_AUDIENCE",
    "AAD_HOST_ENDPOINT",
    "CLUSTER",
    "IDENTITY_TYPE",
    "AZURE_CLIENT_ID",
    "AZURE_TENANT_ID",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_AUTHORITY_HOST",
    "AZURE_CLIENT_SECRET",
    "AZURE_CLIENT_SECRET_FILE",
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_CLIENT_SEND_CERTIFICATE_CHAIN",
    "AZURE_KUBERNETES_TOKEN_PROXY",
    "AZURE_KUBERNETES_SNI_NAME",
    "AZURE_KUBERNETES_CA_FILE",
    "AZURE_KUBERNETES_CA_DATA",
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
    "IMDS_ENDPOINT",
    "LISTENING_PORT",
    "ADMIN_PORT",
    "ALLOWED_SOURCES",
    "BODY_MEMORY",
    "MAX_BODY_BYTES",
    "MAX_CONNECTIONS",
    "MAX_IN_FLIGHT",
    "THREADS",
    "UPSTREAM_TIMEOUT",
    "REFUSAL_HOLD",
    "RATE_LIMIT_STATUS",
    "CHECK",
    "SHUTDOWN_GRACE",
    "HTTPS_PROXY",
    "https_proxy",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "LOG_LEVEL",
    "LOG_FORMAT",
    "TRACE_LOGGING",
    "NO_COLOR",
    "INGESTON_URL",
    "Ünbekannt",
    // New ones come last: the inputs of the corpus name a variable by its place.
    "AZURE_MANAGED_IDENTITY_OBJECT_ID",
    "AZURE_MANAGED_IDENTITY_RESOURCE_ID",
    "AZURE_POD_IDENTITY_AUTHORITY_HOST",
    "no_proxy",
];

/// Those whose whole value is, or may be, a secret: people paste it where its file should be named.
const WHOLE_SECRETS: &[&str] = &[
    "AZURE_CLIENT_SECRET",
    "AZURE_CLIENT_SECRET_FILE",
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "IDENTITY_HEADER",
];

/// Values and parts of values of all kinds.
const WORDS: &[&str] = &[
    "",
    " ",
    "https://x.eastus-1.metrics.ingest.monitor.azure.com/dataCollectionRules/dcr-0/streams/Microsoft-PrometheusMetrics/api/v1/write?api-version=2023-04-24",
    "https://",
    "http://",
    "://",
    "@",
    ":",
    "/",
    ",",
    "login.microsoftonline.com",
    "https://login.partner.microsoftonline.cn/",
    "AZURE_PUBLIC",
    "AzureChina",
    "azurecustom",
    "https://monitor.azure.com//.default",
    "workloadIdentity",
    "userassigned",
    "SYSTEMASSIGNED",
    "aadApplication",
    "11111111-2222-3333-4444-555555555555",
    "contoso.onmicrosoft.com",
    "8081",
    "0",
    "-1",
    "65536",
    "18446744073709551616",
    "8MiB",
    "4Mi",
    "1GiB",
    "25s",
    "30m",
    "0s",
    "1h",
    "10.0.0.0/8",
    "::ffff:10.0.0.1/96",
    "fd00::/8",
    "true",
    "full",
    "wire",
    "off",
    "429",
    "debug",
    "json",
    "\n",
    "\u{1b}[31m",
    "\u{0}",
    "…",
];

/// One piece of a value.
#[derive(Arbitrary, Debug)]
enum Piece<'i> {
    Word(u8),
    Text(&'i str),
    /// `user:secret@`, as in the URL of a proxy.
    Credentials,
    /// A JSON web token that contains the secret, after a byte that can end a word.
    Token,
    /// The secret in the form of Entra's client secrets.
    ClientSecret,
}

/// A variable and the pieces of its value.
#[derive(Arbitrary, Debug)]
struct Variable<'i> {
    name: u8,
    pieces: Vec<Piece<'i>>,
}

/// Judges the configuration that `input` describes.
pub fn judge(input: &[u8]) {
    let Ok(variables) = Vec::<Variable<'_>>::arbitrary_take_rest(Unstructured::new(input)) else { return };
    let mut environment = working();
    environment.extend(variables.iter().map(|variable| (pick(NAMES, variable.name).to_owned(), value(variable))));
    let outcome = remora::effective_configuration(&environment);
    match &outcome {
        Ok(fields) => fields.iter().for_each(|(_, value)| assert_no_secret(value)),
        Err(faults) => assert_faults(faults),
    }
    assert_eq!(remora::effective_configuration(&environment), outcome, "the same variables, another outcome");
}

/// The environment of a pod after the webhook has run, so that changing one variable is enough to reach any part.
fn working() -> BTreeMap<String, String> {
    let token_file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    [
        ("INGESTION_URL", WORDS[2]),
        ("AZURE_CLIENT_ID", "11111111-2222-3333-4444-555555555555"),
        ("AZURE_TENANT_ID", "66666666-7777-8888-9999-000000000000"),
        ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com/"),
        ("AZURE_FEDERATED_TOKEN_FILE", &token_file.to_string_lossy()),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

fn pick<'w>(words: &[&'w str], index: u8) -> &'w str {
    words[usize::from(index) % words.len()]
}

/// The value; in the variables that are secrets as a whole, the secret.
fn value(variable: &Variable<'_>) -> String {
    let name = pick(NAMES, variable.name);
    if WHOLE_SECRETS.contains(&name) {
        return SECRET.to_owned();
    }
    variable.pieces.iter().map(text).collect()
}

fn text(piece: &Piece<'_>) -> String {
    match piece {
        Piece::Word(index) => pick(WORDS, *index).to_owned(),
        Piece::Text(text) => (*text).to_owned(),
        Piece::Credentials => format!("user:{SECRET}@"),
        Piece::Token => format!(".eyJhbGciOiJSUzI1NiJ9.{SECRET}.c2ln"),
        Piece::ClientSecret => format!("a1b8Q~{SECRET}"),
    }
}

/// The number of faults is right, every fault has a line with its fix, and every line is presentable.
fn assert_faults(text: &str) {
    let (first, rest) = text.split_once('\n').expect("a first line");
    let count: usize = first.split(' ').nth(1).and_then(|count| count.parse().ok()).expect("how many faults there are");
    let fixes = rest.lines().filter(|line| line.starts_with("    fix: ")).count();
    assert!(count > 0 && fixes == count, "{count} faults, {fixes} ways to mend them: {text}");
    text.lines().for_each(assert_presentable);
}

fn assert_no_secret(text: &str) {
    assert!(!text.contains(SECRET), "a secret is shown: {text}");
}

/// No secret, no control character that a terminal would act on, and a bounded length.
fn assert_presentable(line: &str) {
    assert_no_secret(line);
    assert!(!line.contains(|c: char| c.is_control()), "a control character is shown: {line:?}");
    assert!(line.len() < 100_000, "{} bytes in a line", line.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_that_the_configuration_reads_is_tried() {
        let forgotten: Vec<_> =
            remora::variables().into_iter().filter(|name| !NAMES.contains(&name.as_str())).collect();
        assert_eq!(forgotten, Vec::<String>::new());
    }
}
