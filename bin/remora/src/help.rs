//! The output of `--help` and `--version`.

use std::fmt::Write;

use remora_smol::About;

use crate::arguments::{CHECK_FLAGS, WORDS};
use crate::config::effective;
use crate::config::settings::{self, Group, Setting};

const INTRODUCTION: &str = "\
Remora receives Prometheus remote write on localhost, adds a Microsoft Entra token
and forwards it to an Azure Monitor workspace.

Usage: remora [--<setting> <value>]...
       remora check [--<setting> <value>]... [<flag>]...
       remora explain [<code>]
";

const SETTINGS: &str = "
Each setting except secrets is both a flag and an environment variable. The flag takes precedence over the variable,
the variable over the default. An empty value counts as unset. There is no configuration file.
";

const CHECK: &str = "\
Finds out whether this pod can write to Azure Monitor: configuration, environment, network, clock,
projected token, token exchange, role, the running process, and Prometheus' queue. For each failure it
names the root cause and the command that fixes it. It takes the same environment and flags as the
sidecar it runs beside:

  kubectl exec <pod> -n <namespace> -c prom-remotewrite -- /remora check

Flags:
";

const CHECK_CLOSING: &str = "
With --wait, it says on standard error what it waits for, and again when that changes. It does not wait while a setting
is wrong, because settings do not change while it runs; a file that a setting names may still appear.

Exit codes: 0 nothing failed, 1 something failed, 2 there were warnings and --strict is given, 64 wrong usage,
143, 130 or 129 ended by SIGTERM, SIGINT or SIGHUP.
";

const CLOSING: &str = "
Other flags:
  -h, --help       print this text and exit
  -V, --version    print the version and exit

Endpoints: POST /api/v1/write, GET /health, /ready, /ready/token, /metrics, /status.
Exit codes: 0 after SIGTERM, SIGINT or SIGHUP, 143, 130 or 129 if a second one cut it off, 1 failure while running,
64 wrong usage, 78 wrong configuration.

Examples:
  INGESTION_URL=https://... remora      in a pod that the workload identity webhook has changed
  remora --listening-port 8089 --log-format json
";

/// Name, version, target and TLS library.
pub(crate) fn version() -> String {
    format!("remora {} ({}, tls={})", env!("CARGO_PKG_VERSION"), target(), TLS)
}

/// TLS library and cryptography provider.
pub(crate) const TLS: &str = if cfg!(feature = "aws-lc") { "rustls/ring+aws-lc" } else { "rustls/ring" };

/// Architecture, operating system and C library that the program was built for.
pub(crate) fn target() -> String {
    let library = if cfg!(target_env = "musl") { "-musl" } else { "" };
    format!("{}-{}{library}", std::env::consts::ARCH, std::env::consts::OS)
}

/// What `/metrics` and `/status` report about this program and its effective configuration.
pub(crate) fn about(effective: &[(&'static str, String)]) -> About {
    let (identity, settings) = effective.iter().cloned().partition(|(name, _)| effective::is_identity(name));
    About { version: env!("CARGO_PKG_VERSION"), target: target(), tls: TLS, identity, settings }
}

/// Commands, and every setting by group with flag, variable, meaning and default.
pub(crate) fn help() -> String {
    let mut text = format!("{}\n\n{INTRODUCTION}\nCommands:\n", version());
    for (word, meaning) in WORDS {
        let _ = writeln!(text, "  {word:<9} {meaning}");
    }
    text.push_str(SETTINGS);
    for group in Group::ALL {
        let _ = writeln!(text, "\n{group}:");
        for setting in settings::ALL.iter().filter(|setting| setting.group == group) {
            push_setting(&mut text, setting);
        }
    }
    text.push_str(CLOSING);
    text
}

/// The flags of `remora check`.
pub(crate) fn check() -> String {
    let mut text = format!("{}\n\n{CHECK}", version());
    for (flag, does, meaning) in CHECK_FLAGS {
        let _ = writeln!(text, "  {:<20}  {meaning}", format!("{flag} {}", does.placeholder()));
    }
    text.push_str(CHECK_CLOSING);
    text
}

fn push_setting(text: &mut String, setting: &Setting) {
    let flag = if setting.is_secret() {
        "(no flag)".to_owned()
    } else {
        format!("{} {}", setting.flag(), setting.placeholder)
    };
    let _ = writeln!(text, "  {flag:<38}  {}", setting.name);
    let _ = writeln!(text, "      {} [{}]", setting.meaning, setting.preset.words());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_fits_a_terminal_and_names_every_setting() {
        let help = help();
        assert!(WORDS.iter().all(|(word, _)| help.contains(word)));
        for path in ["/api/v1/write", "/health", "/ready", "/ready/token", "/metrics", "/status"] {
            let named = |word: &str| word.trim_end_matches([',', '.']) == path;
            assert!(help.split_whitespace().any(named), "{path}");
        }
        for setting in settings::ALL {
            assert!(help.contains(setting.name), "{}", setting.name);
            assert_ne!(help.contains(&format!("{} ", setting.flag())), setting.is_secret(), "{}", setting.name);
        }
        for line in help.lines().chain(check().lines()) {
            assert!(line.chars().count() <= 120, "{line}");
        }
    }
}
