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

    /// This pod's values by name.
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

/// Separates text and commands, once for the whole fix and once step by step, so that each command stands with the text
/// that says when to use it. A command at the end of a sentence counts as a command.
fn remediation(repair: &[String]) -> Value {
    let mut steps = Vec::<Step<'_>>::new();
    for line in repair {
        let (prose, command) = match split_command(line) {
            Some((prose, command)) => (Some(prose), Some(command)),
            None if is_command(line) => (None, Some(line.as_str())),
            None => (Some(line.as_str()), None),
        };
        // Text after a command begins another step.
        if steps.last().is_none_or(|last| prose.is_some() && !last.commands.is_empty()) {
            steps.push(Step::default());
        }
        if let Some(step) = steps.last_mut() {
            step.text.extend(prose);
            step.commands.extend(command);
        }
    }
    let text: Vec<_> = steps.iter().flat_map(|step| &step.text).copied().collect();
    let commands: Vec<_> = steps.iter().flat_map(|step| &step.commands).collect();
    let each: Vec<_> =
        steps.iter().map(|step| json!({"text": step.text.join("\n"), "commands": step.commands})).collect();
    json!({"text": text.join("\n"), "commands": commands, "steps": each})
}

/// Lines of text, and the commands that follow them.
#[derive(Default)]
struct Step<'l> {
    text: Vec<&'l str>,
    commands: Vec<&'l str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_apart_from_prose() {
        let repair =
            ["say so", "twice", "kubectl get pod", "azcmagent show", "set it to the output of: az account show"];
        let repair = repair.map(str::to_owned);
        assert_eq!(
            remediation(&repair),
            json!({
                "text": "say so\ntwice\nset it to the output of",
                "commands": ["kubectl get pod", "azcmagent show", "az account show"],
                "steps": [
                    {"text": "say so\ntwice", "commands": ["kubectl get pod", "azcmagent show"]},
                    {"text": "set it to the output of", "commands": ["az account show"]},
                ],
            })
        );
    }

    /// A program that shows only the commands must not show one without its warning.
    #[test]
    fn a_command_stands_with_what_is_said_before_it() {
        for page in crate::pages::all() {
            let repair: Vec<_> = page.repair.lines().map(str::to_owned).collect();
            let remediation = remediation(&repair);
            for step in remediation["steps"].as_array().expect("steps") {
                let commands = step["commands"].to_string();
                let text = step["text"].as_str().expect("text");
                if commands.contains("--enable-oidc-issuer") {
                    assert!(text.contains("cannot be undone"), "{page}: {text}");
                }
                if commands.contains("kubectl delete pod") {
                    assert!(text.contains("queued samples are lost"), "{page}: {text}");
                }
            }
        }
    }
}
