//! The process as its parent sees it: exit codes, signals, messages.

use std::process::{Command, Output};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Emulator, frame, now};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_azure-emulator")).args(arguments).output().unwrap()
}

fn one_line(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

#[test]
fn a_flag_that_does_not_exist_is_named() {
    let output = run(&["--dir", "d", "--frobnicate"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(one_line(&output).contains("--frobnicate"));
}

#[test]
fn a_port_in_use_is_named() {
    let emulator = Emulator::start(&[]);
    let port = emulator.env["EMULATOR_CONTROL_URL"].rsplit(':').next().unwrap();
    let folder = emulator.folder().join("second");
    let output = run(&["--dir", folder.to_str().unwrap(), "--token-port", port]);
    assert_eq!(output.status.code(), Some(1));
    let message = one_line(&output);
    assert!(message.contains("token endpoint") && message.contains(port), "{message}");
}

#[test]
fn a_signal_ends_it_with_success() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut emulator = Emulator::start(&[]);
        let process = emulator.process();
        kill_process(Pid::from_child(process), signal).unwrap();
        assert_eq!(process.wait().unwrap().code(), Some(0), "{signal:?}");
    }
}

#[test]
fn metrics_can_be_scraped_and_show_the_counters() {
    let emulator = Emulator::start(&["--workload-series", "3"]);
    assert_eq!(emulator.write(&emulator.token(&[]), &frame(&[(now(), 1.0)])).status(), 204);
    let text = emulator.ask("GET", "/metrics", "");
    for line in [
        "emulator_samples 1",
        "emulator_requests{endpoint=\"ingest\",status=\"204\"} 1",
        "emulator_workload{i=\"0\"} NaN",
    ] {
        assert!(text.lines().any(|own| own == line), "{line} is not in {text}");
    }
}

#[test]
fn requests_are_shown_without_their_tokens() {
    let emulator = Emulator::start(&[]);
    let token = emulator.token(&[]);
    emulator.write(&token, &frame(&[(now(), 1.0)]));
    let text = emulator.ask("GET", "/requests", "");
    assert!(text.contains("content-encoding") && !text.contains(&token), "{text}");
}
