//! Keeps the README's table of settings equal to the settings.

use std::fmt::Write;
use std::path::Path;

use crate::config::settings::{self, Group};

const BEGIN: &str = "<!-- settings: made from bin/remora/src/config/settings.rs -->\n";
const END: &str = "<!-- end of settings -->";
/// Set to anything, it makes the test write the table instead of comparing it.
const REWRITE: &str = "REMORA_WRITE_README";

/// One Markdown table for all groups.
fn table() -> String {
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

#[test]
fn the_readmes_table_lists_the_settings_as_they_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = std::fs::read_to_string(&path).expect("README.md");
    let (before, rest) = readme.split_once(BEGIN).expect("the mark before the table");
    let (found, after) = rest.split_once(END).expect("the mark behind the table");
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{}{END}{after}", table())).expect("a writable README.md");
        return;
    }
    assert_eq!(found, table(), "{REWRITE}=1 cargo test -p remora readme writes it anew");
}
