//! `remora explain`: the page of one code, or the list of all. Besides the codes of `remora check`, of the log and of
//! responses to senders, it knows Entra's error numbers and the words for its refusals, the statuses of answers, the
//! reasons that metrics count them by, and the alerts.

use std::fmt::Write as _;

use remora_smol::hint::{self, Hint, Sent};

use crate::arguments;
use crate::pages::{self, Category, Page, Symptom, is_command, split_command};

/// The page of `code`; if there is none, the name that was probably intended.
pub(crate) fn explain(code: &str) -> Result<String, Option<String>> {
    if let Some(page) = pages::find(code) {
        return Ok(of_page(page));
    }
    if let Some(symptom) = pages::symptom(code) {
        return Ok(of_symptom(&symptom));
    }
    let by_number = |hint: &Hint| !hint.word.eq_ignore_ascii_case(code.trim());
    hint::find(code).map(|hint| of_hint(hint, by_number(hint))).ok_or_else(|| {
        let words = hint::ALL.iter().map(|hint| hint.word).chain(pages::own().map(|answer| answer.reason));
        let codes = pages::all().flat_map(|page| [page.code.to_owned(), page.to_string()]);
        arguments::nearest(&code.to_ascii_uppercase(), codes)
            .or_else(|| arguments::nearest(&code.to_ascii_lowercase(), words.map(str::to_owned)))
            .or_else(|| arguments::nearest(code, symptoms().map(str::to_owned)))
    })
}

/// One line for each code and each word.
pub(crate) fn list() -> String {
    let mut text = String::new();
    for category in Category::ALL {
        let _ = writeln!(text, "{}", category.heading());
        for page in pages::all().filter(|page| page.category == category) {
            let _ = writeln!(text, "  {:<16} {}", page.to_string(), page.title);
        }
    }
    let _ = writeln!(text, "token refusals");
    for hint in hint::ALL {
        let _ = writeln!(text, "  {:<24} {}{}", hint.word, hint.cause, in_parentheses(&numbers(hint)));
    }
    let _ = writeln!(text, "statuses of Azure, alerts and other symptoms");
    for name in pages::STATUSES.into_iter().chain(symptoms()) {
        let about = pages::symptom(name).map(|symptom| in_short(&symptom)).unwrap_or_default();
        let _ = writeln!(text, "  {name:<28} {about}");
    }
    for metric in ["remora_requests_rejected_total", "remora_upstream_errors_total"] {
        let _ = writeln!(text, "reasons of {metric}, and their statuses");
        for answer in pages::of_metric(metric) {
            let _ = writeln!(text, "  {:<28} {}", answer.reason, answer.statuses);
        }
    }
    text
}

/// The names of all alerts, and of what no alert reports.
fn symptoms() -> impl Iterator<Item = &'static str> {
    pages::ALERTS.iter().chain([&pages::MISSING_DATA]).map(|alert| alert.name)
}

/// The codes of a symptom, otherwise what to know first, otherwise what Azure's answer is about.
fn in_short(symptom: &Symptom) -> String {
    if !symptom.pages.is_empty() {
        return codes(symptom);
    }
    let look = symptom.answers.last().map_or("", |answer| answer.look);
    let look = look.split([',', '.']).next().unwrap_or_default();
    symptom.lead.lines().next().unwrap_or(look).to_owned()
}

/// The pages and the answers of a symptom as plain text.
fn of_symptom(symptom: &Symptom) -> String {
    let colon = if symptom.pages.is_empty() { "" } else { ": " };
    let mut text = format!("{}{colon}{}\n", symptom.name, codes(symptom));
    for line in symptom.lead.lines() {
        let _ = writeln!(text, "{}{line}", if is_command(line) { "    " } else { "" });
    }
    for page in &symptom.pages {
        let _ = write!(text, "\n{}", of_page(page));
    }
    let mut side = None;
    for answer in &symptom.answers {
        if side.replace(answer.side) != Some(answer.side) {
            let _ = writeln!(text, "\n{}:", answer.side.about());
        }
        let _ = writeln!(text, "\n{answer}\n  {}", answer.look);
    }
    text
}

/// The codes of a symptom's pages.
fn codes(symptom: &Symptom) -> String {
    symptom.pages.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A page as plain text.
fn of_page(page: &Page) -> String {
    let mut text = format!("{page}  {}\n\nWhy: {}\n\nWhat to do:\n", page.title, page.why);
    push_repair(&mut text, page.repair);
    text
}

/// The explanation of a refusal as plain text. A number may have several causes, depending on what was sent.
fn of_hint(hint: &Hint, by_number: bool) -> String {
    let variants = hint.variants().filter(|_| by_number);
    let mut text = String::new();
    for (i, cause) in std::iter::once(hint).chain(variants).enumerate() {
        let numbers = if by_number { numbers(hint) } else { numbers(cause) };
        let numbers = in_parentheses(&numbers);
        let or = if i == 0 { "" } else { "\nor " };
        let _ = writeln!(text, "{or}{}{numbers}\n\nWhat it means: {}.\n\nWhat to do:", cause.word, cause.cause);
        push_repair(&mut text, &cause.steps(&Sent::default()));
    }
    text
}

fn push_repair(text: &mut String, repair: &str) {
    for line in repair.lines() {
        let _ = match split_command(line) {
            Some((prose, command)) => writeln!(text, "  {prose}:\n    {command}"),
            None => writeln!(text, "  {}{line}", if is_command(line) { "  " } else { "" }),
        };
    }
}

fn in_parentheses(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" ({text})") }
}

/// Entra's error numbers for a hint.
pub(crate) fn numbers(hint: &Hint) -> String {
    let numbers: Vec<_> = hint.codes.iter().map(|code| format!("AADSTS{code}")).collect();
    numbers.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_a_word_and_a_number_have_a_page() {
        assert!(explain("remora-env-02").unwrap().contains("azure.workload.identity/client-id"));
        for name in ["federated-subject", "AADSTS700213", "700213"] {
            let text = explain(name).unwrap();
            assert!(
                text.contains("--subject <subject>") && text.contains("\n    az ad app federated-credential "),
                "{text}"
            );
        }
    }

    #[test]
    fn a_number_names_each_of_its_causes() {
        for (number, words) in [
            ("AADSTS700024", ["assertion-outdated", "token-outdated"]),
            ("AADSTS700212", ["federated-audience", "token-audience"]),
            ("AADSTS500011", ["resource-unknown", "monitor-unknown"]),
            ("AADSTS7000222", ["secret-expired", "certificate-expired"]),
            ("AADSTS700213", ["federated-subject", "default-account"]),
        ] {
            let text = explain(number).unwrap();
            assert!(words.iter().all(|word| text.contains(word)), "{text}");
        }
        assert!(!explain("assertion-outdated").unwrap().contains("token-outdated"));
    }

    #[test]
    fn a_status_and_an_alert_have_the_pages_of_their_causes() {
        assert!(explain("403").unwrap().contains("az role assignment create"));
        let alert = explain("remoraupstreamrejecting").unwrap();
        assert!(
            alert.starts_with("RemoraUpstreamRejecting: REMORA-RBAC-04, REMORA-RBAC-01, REMORA-RBAC-02\nThe label ")
        );
        assert!(alert.contains("\nREMORA-RBAC-02  "), "{alert}");
    }

    #[test]
    fn a_reason_and_a_status_of_the_data_say_what_to_look_at() {
        let too_large = explain("too_large").unwrap();
        assert!(too_large.starts_with("too_large\n\nIf the log line has no azure_status, "), "{too_large}");
        assert!(too_large.contains(":\n\ntoo_large (400)\n  MAX_BODY_BYTES and "), "{too_large}");
        assert!(explain("413").unwrap().contains("\n413\n  The size of the sender's batches."));
        let refused = explain("RemoraSamplesRefused").unwrap();
        assert!(refused.starts_with("RemoraSamplesRefused\nThe label code ") && refused.contains("\nany other\n"));
        assert_eq!(explain("RemoraBodyMemoryFull").unwrap().lines().count(), 2);
        let missing = explain("Missing-Data").unwrap();
        assert!(
            missing.starts_with("missing-data\nNo alert fires, ") && missing.contains("\n    az monitor metrics list ")
        );
        assert!(
            list()
                .contains("\n  missing-data                 No alert fires, but data is missing in Azure or Grafana.")
        );
        assert_eq!(explain("to_large"), Err(Some("too_large".to_owned())));
    }

    #[test]
    fn a_mistyped_code_is_guessed() {
        assert_eq!(explain("RemoraThrotled"), Err(Some("RemoraThrottled".to_owned())));
        assert_eq!(explain("tok-1O"), Err(Some("TOK-10".to_owned())));
        assert_eq!(explain("something else"), Err(None));
    }

    #[test]
    fn every_line_of_the_list_says_something() {
        for line in list().lines().filter(|line| line.starts_with("  ")) {
            assert!(line.split_whitespace().count() > 1 && line == line.trim_end(), "{line:?}");
        }
        assert!(list().contains("  throttled                too many token requests (AADSTS90055)\n"));
    }

    #[test]
    fn everything_in_the_list_can_be_explained() {
        for line in list().lines().filter(|line| line.starts_with("  ")) {
            let name = line.split_whitespace().next().unwrap();
            assert!(explain(name).is_ok(), "{name}");
        }
    }
}
