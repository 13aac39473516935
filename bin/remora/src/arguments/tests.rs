//! Command lines, good and bad.

use std::time::Duration;

use super::*;
use crate::check::{Choice, Form, Reach};
use crate::pages::Category;

fn run(arguments: &[&str]) -> Result<Command, UsageError> {
    parse(arguments.iter().map(OsString::from))
}

fn fault(arguments: &[&str]) -> UsageError {
    run(arguments).expect_err("a usage error")
}

#[test]
fn a_flag_takes_its_value_from_the_next_word_or_after_an_equals_sign() {
    let Ok(Command::Run(values)) = run(&["--ingestion-url", "https://h/x", "--listening-port=9", "--cluster="]) else {
        panic!("no run");
    };
    let expected = [("CLUSTER", ""), ("INGESTION_URL", "https://h/x"), ("LISTENING_PORT", "9")];
    assert!(values.iter().map(|(name, value)| (*name, value.as_str())).eq(expected), "{values:?}");
}

#[test]
fn the_last_of_a_repeated_flag_counts() {
    let Ok(Command::Run(values)) = run(&["--cluster", "a", "--cluster", "b"]) else { panic!("no run") };
    assert_eq!(values["CLUSTER"], "b");
}

#[test]
fn help_and_version_win_over_what_follows() {
    assert!(matches!(run(&["--help", "--nonsense"]), Ok(Command::Help)));
    assert!(matches!(run(&["-h"]), Ok(Command::Help)));
    assert!(matches!(run(&["help"]), Ok(Command::Help)));
    assert!(matches!(run(&["help", "explain"]), Ok(Command::Help)));
    assert!(matches!(run(&["help", "check"]), Ok(Command::CheckHelp)));
    assert!(matches!(run(&["help", "--cluster"]), Ok(Command::Help)));
    assert!(matches!(run(&["version"]), Ok(Command::Version)));
    assert!(matches!(run(&["-V"]), Ok(Command::Version)));
    assert!(matches!(run(&["--version"]), Ok(Command::Version)));
}

#[test]
fn unknown_flag_proposes_the_nearest() {
    for (given, meant) in [
        ("--ingestion-urll", "--ingestion-url"),
        ("--INGESTION_URL", "--ingestion-url"),
        ("--listen-port", "--listening-port"),
        ("--verison", "--version"),
    ] {
        assert!(fault(&[given]).to_string().ends_with(&format!("did you mean {meant}?")), "{given}");
    }
    assert_eq!(fault(&["--bearer-token=hush"]).to_string(), "there is no flag --bearer-token");
    assert_eq!(fault(&["-x"]).to_string(), "there is no flag -x");
}

#[test]
fn missing_value() {
    assert_eq!(fault(&["--cluster"]), UsageError::MissingValue { flag: "--cluster".to_owned() });
}

#[test]
fn unexpected_value() {
    for (arguments, flag) in [
        (&["--help=all"][..], "--help"),
        (&["-h=all"], "-h"),
        (&["--version=1"], "--version"),
        (&["explain", "--help=all"], "--help"),
        (&["check", "--pre=yes"], "--pre"),
        (&["check", "--pre=yes", "--strict"], "--pre"),
    ] {
        assert_eq!(fault(arguments).to_string(), format!("{flag} takes no value"), "{arguments:?}");
    }
}

#[test]
fn an_unknown_word_proposes_the_nearest() {
    assert_eq!(fault(&["chek"]).to_string(), "there is no command chek; did you mean check?");
    assert_eq!(fault(&["serve"]).to_string(), "there is no command serve");
    assert_eq!(fault(&["eyJhbGciOi.x.y"]).to_string(), "there is no command (a token, not shown)");
    assert_eq!(fault(&["help", "foo"]).to_string(), "there is no command foo");
    assert_eq!(fault(&["help", "explian"]).to_string(), "there is no command explian; did you mean explain?");
    assert_eq!(fault(&["help", "--clustr"]).to_string(), "there is no flag --clustr; did you mean --cluster?");
}

#[test]
fn a_check_without_its_flag_is_told_the_flag() {
    for name in ["CFG-01", "remora-cfg-01", "network"] {
        let told = fault(&["check", name]).to_string();
        assert_eq!(told, format!("check takes only flags; did you mean --only {name}?"));
    }
    assert_eq!(fault(&["check", "CFG-99"]).to_string(), "there is no command CFG-99");
}

#[test]
fn a_command_stands_first() {
    for arguments in [&["--listening-port", "1", "check"][..], &["check", "check"]] {
        assert_eq!(fault(arguments), UsageError::NotFirst { word: "check" }, "{arguments:?}");
    }
    assert_eq!(fault(&["--cluster", "a", "help"]), UsageError::NotFirst { word: "help" });
    let told = fault(&["--cluster", "a", "explain"]).to_string();
    assert_eq!(told, "explain is a command and must come first: remora explain");
}

#[test]
fn a_check_without_sockets_writes_nothing() {
    for arguments in [["check", "--pre", "--write"], ["check", "--write", "--pre"]] {
        let told = fault(&arguments).to_string();
        assert_eq!(told, "--pre opens no sockets, and --write sends a write: use only one of them");
    }
    assert_eq!(options(&["check", "--pre", "--pre"]).0.reach, Reach::Offline);
    assert_eq!(options(&["check", "--write", "--write"]).0.reach, Reach::Write);
}

#[test]
fn a_run_without_checks_would_pass_and_is_refused() {
    for (arguments, why) in [
        (&["check", "--only", "role"][..], "only with --write"),
        (&["check", "--pre", "--only", "network,PROM-01"], "not with --pre"),
        (&["check", "--only", "network", "--skip", "network"], "all are skipped"),
    ] {
        assert_eq!(fault(arguments).to_string(), format!("no check would run: {why}"), "{arguments:?}");
    }
    for arguments in [
        &["check", "--only", "role", "--write"][..],
        &["check", "--only", "role", "--list-checks"],
        &["check", "--only", "role,CFG-01"],
        &["check", "--pre", "--only", "CFG-01"],
    ] {
        assert!(!options(arguments).0.only.is_empty(), "{arguments:?}");
    }
}

fn options(arguments: &[&str]) -> (Box<Options>, Values) {
    match run(arguments) {
        Ok(Command::Check(options, values)) => (options, values),
        other => panic!("{other:?}"),
    }
}

#[test]
fn check_takes_its_own_flags_and_those_of_the_sidecar() {
    let (options, values) =
        options(&["check", "--pre", "-o", "json", "--cluster", "a", "--wait=5m", "--only", "CFG-01,network"]);
    assert!(options.reach == Reach::Offline && options.wait == Some(Duration::from_secs(300)));
    assert_eq!((options.form, options.only.len()), (Form::Json, 2));
    assert_eq!(values["CLUSTER"], "a");
}

#[test]
fn each_flag_of_check_changes_what_it_is_named_after() {
    let set = |flag: &str| options(&["check", flag]).0;
    assert!(set("--strict").strict && set("--no-color").plain && set("--list-checks").list);
    assert_eq!((set("--pre").reach, set("--write").reach), (Reach::Offline, Reach::Write));
    let take = |flag: &str, value: &str| options(&["check", flag, value]).0;
    assert_eq!(take("--output", "short").form, Form::Short);
    assert_eq!(take("--wait", "5m").wait, Some(Duration::from_secs(300)));
    assert_eq!((take("--only", "network").only.len(), take("--skip", "network").skip.len()), (1, 1));
    assert!(take("--prometheus", "http://localhost:9091").prometheus.is_some());
    let none = options(&["check"]).0;
    assert!(!none.strict && !none.plain && !none.list && none.prometheus.is_none());
}

#[test]
fn a_bad_value_of_a_flag_of_check_says_what_it_takes() {
    for (arguments, said) in [
        (["check", "-o", "yaml"], "--output takes table, json or short, not yaml"),
        (["check", "--only", "CFG-99"], "--only takes codes and categories"),
        (["check", "--only", "rbac-03"], "RBAC-03 has no check of its own; RBAC-01 reports it"),
        (["check", "--skip", "netwrk"], "did you mean network?"),
        (["check", "--only", "running"], "did you mean running-process?"),
        (["check", "--only", "live"], "did you mean REMORA-LIVE-01?"),
        (["check", "--prometheus", "localhost"], "--prometheus takes a URL"),
        (["check", "--wait", "soon"], "--wait takes"),
    ] {
        let error = fault(&arguments).to_string();
        assert!(error.contains(said), "{error}");
    }
    assert!(fault(&["check", "--strct"]).to_string().ends_with("did you mean --strict?"));
}

#[test]
fn a_category_is_chosen_as_it_is_printed_or_with_hyphens() {
    for name in ["running process", "running-process", "Running-Process"] {
        let Ok(Command::Check(options, _)) = run(&["check", "--only", name]) else { panic!("{name}") };
        assert_eq!(options.only, [Choice::Category(Category::Process)], "{name}");
    }
}

#[test]
fn explain_takes_one_code_or_none() {
    assert!(matches!(run(&["explain"]), Ok(Command::Explain(None))));
    assert!(matches!(run(&["explain", "CFG-01"]), Ok(Command::Explain(Some(code))) if code == "CFG-01"));
    assert!(matches!(run(&["explain", "--help"]), Ok(Command::Help)));
    assert!(matches!(run(&["explain", "CFG-01", "--help"]), Ok(Command::Help)));
    assert!(matches!(run(&["explain", "CFG-01", "-V"]), Ok(Command::Version)));
    for surplus in ["CFG-02", "check", "--cluster"] {
        let told = fault(&["explain", "CFG-01", surplus]).to_string();
        assert_eq!(told, "explain takes one code and nothing else", "{surplus}");
    }
    assert!(matches!(run(&["check", "--help"]), Ok(Command::CheckHelp)));
}

#[cfg(unix)]
#[test]
fn not_unicode() {
    use std::os::unix::ffi::OsStringExt;
    let value = OsString::from_vec(vec![0xff]);
    let error = parse([OsString::from("--cluster"), value]).expect_err("a usage error");
    assert_eq!(error, UsageError::NotUnicode { flag: "--cluster".to_owned() });
}

#[test]
fn a_secret_is_no_flag() {
    let name = "AZURE_CLIENT_SECRET";
    assert_eq!(fault(&["--azure-client-secret", "hush"]), UsageError::Secret { name });
    assert_eq!(fault(&["check", "--azure-client-secret", "hush"]), UsageError::Secret { name });
    assert!(!fault(&["--azure-client-secret=hush"]).to_string().contains("hush"));

    let (name, login) = ("HTTPS_PROXY", "--https-proxy=http://user:hush@proxy.example:3128");
    assert_eq!(fault(&[login]), UsageError::Login { name });
    assert_eq!(fault(&["check", login]), UsageError::Login { name });
    assert!(!fault(&[login]).to_string().contains("hush"));
    assert!(parse(["--https-proxy=http://proxy.example:3128"].map(OsString::from)).is_ok());
}
