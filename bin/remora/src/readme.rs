//! Keeps parts of the README equal to what they are made from.

use std::fmt::Write;
use std::path::Path;

use crate::config::settings::{self, Group};

/// Set to anything, it makes the tests write those parts instead of comparing them.
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

/// The table between the two marks that name it is `table`.
fn judge(name: &str, source: &str, table: &str) {
    let (begin, end) = (format!("<!-- {name}: made from {source} -->\n"), format!("<!-- end of {name} -->"));
    assert_part("README.md", &begin, &end, table);
}

#[test]
fn the_readmes_tables_list_settings_and_metrics_as_they_are() {
    judge("settings", "bin/remora/src/config/settings.rs", &settings());
    judge("metrics", "runtime-smol/src/report.rs", &metrics());
}

/// The part between two marks of a document is `made`; or it is written anew.
pub(crate) fn assert_part(document: &str, begin: &str, end: &str, made: &str) {
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
