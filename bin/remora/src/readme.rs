//! Keeps parts of the README equal to their sources.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::Mutex;

use crate::arguments::CHECK_FLAGS;
use crate::check;
use crate::config::settings::{self, Group};

const INGESTION: &str = "https://amw-7e57.eastus-1.metrics.ingest.monitor.azure.com/dataCollectionRules/dcr-7e57/streams/Microsoft-PrometheusMetrics/api/v1/write?api-version=2023-04-24";
/// Not validly signed: pod `prometheus-0` in namespace `monitoring`, service account `prometheus`.
const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2Vhc3R1cy5vaWMucHJvZC1ha3MuYXp1cmUuY29tLzdlNTcvIiwic3ViIjoic3lzdGVtOnNlcnZpY2VhY2NvdW50Om1vbml0b3Jpbmc6cHJvbWV0aGV1cyIsImF1ZCI6WyJhcGk6Ly9BenVyZUFEVG9rZW5FeGNoYW5nZSJdLCJrdWJlcm5ldGVzLmlvIjp7Im5hbWVzcGFjZSI6Im1vbml0b3JpbmciLCJwb2QiOnsibmFtZSI6InByb21ldGhldXMtMCJ9LCJzZXJ2aWNlYWNjb3VudCI6eyJuYW1lIjoicHJvbWV0aGV1cyJ9fX0.c2ln";

/// If set to anything, the tests rewrite those parts instead of comparing them.
const REWRITE: &str = "REMORA_WRITE_README";

/// One Markdown table for all groups.
fn settings() -> String {
    let mut table = String::from("| Variable | Default | Meaning |\n|---|---|---|\n");
    for group in Group::ALL {
        let _ = writeln!(table, "| **{group}** | | |");
        for setting in settings::ALL.iter().filter(|setting| setting.group == group) {
            let preset = match setting.preset {
                settings::Preset::Value(value) => format!("`{value}`"),
                settings::Preset::Unset(words) => words.to_owned(),
            };
            let _ = writeln!(table, "| `{}` | {preset} | {} |", setting.name, setting.meaning);
        }
    }
    table
}

fn metrics() -> String {
    let mut table = String::from("| Metric | Type | Meaning |\n|---|---|---|\n");
    for family in remora_smol::families() {
        let label = if family.label.is_empty() { String::new() } else { format!("{{{}}}", family.label) };
        let _ = writeln!(table, "| `{}{label}` | {} | {} |", family.name, family.kind.word(), family.help);
    }
    table
}

/// Asserts that the text between the two marks named `name` is `table`.
fn judge(name: &str, source: &str, table: &str) {
    let (begin, end) = (format!("<!-- {name}: made from {source} -->\n"), format!("<!-- end of {name} -->"));
    assert_part("README.md", &begin, &end, table);
}

#[test]
fn the_readmes_tables_list_settings_and_metrics_as_they_are() {
    judge("settings", "bin/remora/src/config/settings.rs", &settings());
    judge("metrics", "runtime-smol/src/report.rs", &metrics());
}

#[test]
fn the_readmes_table_of_check_flags_is_that_of_the_program() {
    let mut table = String::from("| Flag | Meaning |\n|---|---|\n");
    for (flag, does, meaning) in CHECK_FLAGS {
        let placeholder = does.placeholder();
        let value = if placeholder.is_empty() { String::new() } else { format!(" {placeholder}") };
        let _ = writeln!(table, "| `{flag}{value}` | {meaning} |");
    }
    let begin = "<!-- check flags: made from bin/remora/src/arguments/check.rs -->\n";
    assert_part("README.md", begin, "<!-- end of check flags -->", &table);
}

/// A pod whose service account lacks the client ID annotation, checked without a network.
#[test]
fn the_readmes_sample_is_what_the_program_prints() {
    let pod = [("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com/"), ("HOSTNAME", "prometheus-0")];
    let given = [("AZURE_TENANT_ID", "72f988bf-86f1-41af-91ab-2d7cd011db47"), ("INGESTION_URL", INGESTION)];
    let token = std::env::temp_dir().join(format!("remora-readme-{}", std::process::id()));
    std::fs::write(&token, TOKEN).expect("a writable folder");
    let mut source: BTreeMap<&str, String> =
        pod.into_iter().chain(given).map(|(name, value)| (name, value.to_owned())).collect();
    source.insert("AZURE_FEDERATED_TOKEN_FILE", token.display().to_string());
    let printed = check::offline_in_short(&source);
    std::fs::remove_file(token).expect("the file that was written");
    let made = format!("```\n$ remora check --pre -o short\n{printed}```\n");
    assert_part("README.md", "<!-- sample: made by bin/remora/src/readme.rs -->\n", "<!-- end of sample -->", &made);
}

/// Asserts that the part of a document between two marks is `made`, or rewrites it, one part at a time.
pub(crate) fn assert_part(document: &str, begin: &str, end: &str, made: &str) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_AT_A_TIME.lock();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(document);
    let text = std::fs::read_to_string(&path).expect(document);
    let (before, rest) = text.split_once(begin).expect("the mark before the part");
    let (found, after) = rest.split_once(end).expect("the mark behind the part");
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(&path, format!("{before}{begin}{made}{end}{after}")).expect("a writable document");
        return;
    }
    assert_eq!(found, made, "{REWRITE}=1 cargo test -p remora writes {document} anew");
}
