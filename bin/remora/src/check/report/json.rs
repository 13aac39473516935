//! A report for programs and support tickets. Its categories and checks have the keys of `linkerd check -o json`.

use serde_json::{Map, Value, json};

use super::{Line, Report, Verdict};
use crate::pages::{is_command, split_command};

/// Version of the document; it changes when a key changes its meaning or is removed.
const SCHEMA: u32 = 1;

impl Report {
    /// The report as one JSON document with a trailing line feed.
    pub(in super::super) fn json(&self) -> String {
        let categories: Vec<_> = self
            .categories()
            .map(|(category, lines)| {
                let checks: Vec<_> = lines.into_iter().map(check).collect();
                json!({"categoryName": category.heading(), "checks": checks})
            })
            .collect();
        let document = json!({
            "schema": SCHEMA,
            "tool": "remora",
            "version": env!("CARGO_PKG_VERSION"),
            "success": self.count(Verdict::Error) == 0,
            "pod": self.pod_json(),
            "summary": {
                "ok": self.count(Verdict::Success),
                "warnings": self.count(Verdict::Warning),
                "failed": self.count(Verdict::Error),
                "skipped": self.count(Verdict::Skipped),
            },
            "categories": categories,
        });
        format!("{document:#}\n")
    }

    /// This pod's values by the name of their placeholder.
    fn pod_json(&self) -> Value {
        let mut known = Map::new();
        for (name, value) in self.pod.all() {
            known.insert(name.to_owned(), Value::from(value));
        }
        Value::Object(known)
    }
}

fn check(line: &Line) -> Value {
    let result = match line.verdict {
        Verdict::Success => "success",
        Verdict::Warning => "warning",
        Verdict::Error => "error",
        Verdict::Skipped => "skipped",
    };
    let mut check = json!({"id": line.page.to_string(), "description": line.title(), "result": result});
    match line.verdict {
        Verdict::Success => check["seen"] = line.seen.as_str().into(),
        Verdict::Skipped => {
            check["reason"] = line.seen.as_str().into();
            if let Some(page) = line.needs {
                check["needs"] = page.to_string().into();
            }
        }
        Verdict::Warning | Verdict::Error => {
            check["error"] = line.seen.as_str().into();
            check["why"] = line.why.as_str().into();
            check["hint"] = format!("remora explain {}", line.more).into();
            check["remediation"] = remediation(&line.repair);
        }
    }
    check
}

/// Separates text and commands. A command at the end of a sentence counts as a command.
fn remediation(repair: &[String]) -> Value {
    let (mut text, mut commands) = (Vec::new(), Vec::new());
    for line in repair {
        match split_command(line) {
            None if is_command(line) => commands.push(line.as_str()),
            Some((prose, command)) => {
                text.push(prose);
                commands.push(command);
            }
            None => text.push(line),
        }
    }
    json!({"text": text.join(" "), "commands": commands})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_apart_from_prose() {
        let repair = ["say so", "kubectl get pod", "set it to the output of: az account show", "azcmagent show"];
        let repair = repair.map(str::to_owned);
        assert_eq!(
            remediation(&repair),
            json!({"text": "say so set it to the output of", "commands": ["kubectl get pod", "az account show", "azcmagent show"]})
        );
    }
}
