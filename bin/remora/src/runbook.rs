//! Keeps the pages in the runbook equal to the program's.

use std::fmt::Write as _;

use remora_smol::hint::{self, Sent};

use crate::explain::numbers;
use crate::pages::{self, Category, Side, is_command, split_command};
use crate::readme::assert_part;

const BEGIN: &str = "<!-- pages: made from bin/remora/src/pages.rs and runtime-smol/src/hint/table.rs -->\n";
const END: &str = "<!-- end of pages -->";

const BEGIN_ANSWERS: &str = "<!-- answers: made from bin/remora/src/pages/answers.rs -->\n";
const END_ANSWERS: &str = "<!-- end of answers -->";

const BEGIN_MISSING: &str = "<!-- missing data: made from bin/remora/src/pages/symptoms.rs -->\n";
const END_MISSING: &str = "<!-- end of missing data -->";

/// The answers as Markdown tables. Reasons are quoted as code, and pages are linked.
fn answers() -> String {
    let mut text = String::new();
    for side in [Side::Refused, Side::Delayed, Side::Unanswered, Side::Azure] {
        let is_own = side != Side::Azure;
        let head = if is_own { "| `reason` | Status |" } else { "| `azure_status` |" };
        let line = if is_own { "|---|---|---|" } else { "|---|---|" };
        let _ = writeln!(text, "\n{}:\n\n{head} What to look at |\n{line}", side.about());
        for answer in pages::ANSWERS.iter().filter(|answer| answer.side == side) {
            let reason = if is_own { format!("| `{}` ", answer.reason) } else { String::new() };
            let _ = writeln!(text, "{reason}| {} | {} |", answer.statuses, linked(answer.look));
        }
    }
    text.push('\n');
    text
}

fn linked(text: &str) -> String {
    let text = text.replace("MIGRATION.md", "[MIGRATION.md](MIGRATION.md#other-senders)");
    pages::all().map(ToString::to_string).fold(text, |text, code| {
        let link = format!("[{code}](#{})", code.to_ascii_lowercase());
        text.replace(&code, &link)
    })
}

/// Every page as Markdown, under headings that a link can target: `#remora-cfg-01`, `#federated-subject`.
fn markdown() -> String {
    let mut text = String::new();
    for category in Category::ALL {
        let heading = category.heading();
        let (first, rest) = heading.split_at(1);
        let _ = writeln!(text, "\n## {}{rest}", first.to_uppercase());
        for page in pages::all().filter(|page| page.category == category) {
            let _ = writeln!(text, "\n### {page}\n\n**{}.** Why: {}\n", page.title, page.why);
            push_repair(&mut text, page.repair);
        }
    }
    let _ = writeln!(text, "\n## Token refusals");
    for hint in hint::ALL {
        let numbers = numbers(hint);
        let numbers = if numbers.is_empty() { numbers } else { format!("{numbers}: ") };
        let _ = writeln!(text, "\n### {}\n\n{numbers}{}.\n", hint.word, hint.cause);
        push_repair(&mut text, &hint.steps(&Sent::default()));
    }
    text.push('\n');
    text
}

/// Prose unchanged, commands in code blocks.
fn push_repair(text: &mut String, repair: &str) {
    let mut in_block = false;
    for line in repair.lines().flat_map(parts) {
        if is_command(&line) != in_block {
            in_block = !in_block;
            text.push_str("```\n");
        }
        // Outside a code block Markdown would read a placeholder as a tag.
        let line = if in_block { line } else { line.replace('<', "\\<") };
        let _ = writeln!(text, "{line}");
    }
    if in_block {
        text.push_str("```\n");
    }
}

/// A line, or the sentence and the command in it.
fn parts(line: &str) -> Vec<String> {
    match split_command(line) {
        Some((prose, command)) => vec![format!("{prose}:"), command.to_owned()],
        None => vec![line.to_owned()],
    }
}

#[test]
fn the_runbooks_pages_are_those_of_the_program() {
    assert_part("scripts/deploy/RUNBOOK.md", BEGIN, END, &markdown());
}

#[test]
fn the_runbooks_page_of_missing_data_is_that_of_the_program() {
    let mut made = String::from("\n");
    push_repair(&mut made, pages::MISSING_DATA.lead);
    made.push('\n');
    assert_part("scripts/deploy/RUNBOOK.md", BEGIN_MISSING, END_MISSING, &made);
}

#[test]
fn the_runbooks_answers_are_those_of_the_program() {
    assert_part("scripts/deploy/RUNBOOK.md", BEGIN_ANSWERS, END_ANSWERS, &answers());
}
