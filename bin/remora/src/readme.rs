//! Keeps the README's tables of settings and of metrics equal to the tables in the code.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::config::settings::{self, Group};

/// Set to anything, it makes the tests write the tables instead of comparing them.
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

fn readme() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md")
}

/// The table between the two marks that name it is `table`.
fn judge(name: &str, source: &str, table: &str) {
    let (begin, end) = (format!("<!-- {name}: made from {source} -->\n"), format!("<!-- end of {name} -->"));
    let text = std::fs::read_to_string(readme()).expect("README.md");
    let (before, rest) = text.split_once(&begin).expect("the mark before the table");
    let (found, after) = rest.split_once(&end).expect("the mark behind the table");
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(readme(), format!("{before}{begin}{table}{end}{after}")).expect("a writable README.md");
    } else {
        assert_eq!(found, table, "{REWRITE}=1 cargo test -p remora readme writes it anew");
    }
}

#[test]
fn the_readmes_tables_list_settings_and_metrics_as_they_are() {
    judge("settings", "bin/remora/src/config/settings.rs", &settings());
    judge("metrics", "runtime-smol/src/report.rs", &metrics());
}
