//! Runs one scenario of core a given number of times and exits. `scripts/bench` runs it under callgrind, twice with
//! different numbers; the difference gives the cost of one run in instructions. It does not measure time.

mod conversation;
#[path = "../messages.rs"]
mod messages;
mod scenario;

use std::hint::black_box;
use std::process::ExitCode;

use scenario::{SCENARIOS, Scenario, Tools};

const USAGE: &str = "usage: instructions --list | NAME TIMES";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--list"] => {
            for scenario in &SCENARIOS {
                println!("{}", scenario.name);
            }
            ExitCode::SUCCESS
        }
        [name, times] => repeat(name, times),
        _ => fail(USAGE),
    }
}

fn repeat(name: &str, times: &str) -> ExitCode {
    let Some(scenario) = SCENARIOS.iter().find(|scenario| scenario.name == name) else { return fail(USAGE) };
    let Ok(times) = times.parse() else { return fail(USAGE) };
    if run(scenario, times).is_none() {
        return fail("core refused what is good");
    }
    ExitCode::SUCCESS
}

/// `None` when core refuses the scenario's input.
fn run(scenario: &Scenario, times: u32) -> Option<()> {
    let input = (scenario.input)();
    let mut tools = Tools::default();
    for _ in 0..times {
        black_box((scenario.once)(black_box(&input), &mut tools)?);
    }
    Some(())
}

fn fail(line: &str) -> ExitCode {
    eprintln!("instructions: {line}");
    ExitCode::FAILURE
}
