//! An emulator of the parts of Azure that a remote-write sidecar talks to: the cluster's OIDC issuer, Entra's token
//! endpoint, the endpoints that issue tokens to managed identities, and the ingestion endpoint of a data collection
//! rule, all on loopback, with faults on request. It shares no code with Remora, so that it can contradict it, and it
//! says nothing about the real service under load.
#![forbid(unsafe_code)]

mod archive;
mod assertions;
mod binding;
mod certificates;
mod cli;
mod compare;
mod control;
mod credentials;
mod cut;
mod directory;
mod emulator;
mod endpoint;
mod entra;
mod environment;
mod failures;
mod faults;
mod ingest;
mod issuer;
mod jwt;
mod listeners;
mod log;
mod managed;
mod pass_on;
mod ports;
mod principal;
mod projected;
mod reply;
mod settings;
mod traffic;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_signal::{Signal, Signals};
use smol::future::or;
use smol::stream::StreamExt;

use cli::{Command, RunOptions};
use emulator::Emulator;
use endpoint::Transport;
use faults::EndpointName;
use listeners::Listeners;

/// `EX_USAGE` in sysexits.h.
const USAGE: u8 = 64;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os().skip(1)) {
        Ok(Command::Help) => print(cli::HELP),
        Ok(Command::Version) => print(concat!("azure-emulator ", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Command::Compare(options)) => compare::main(&options),
        Ok(Command::Run(options)) => match run(*options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error, 1),
        },
        Err(error) => fail(&error, USAGE),
    }
}

fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn fail(error: &dyn std::error::Error, code: u8) -> ExitCode {
    writeln!(io::stderr(), "azure-emulator: {error}").ok();
    ExitCode::from(code)
}

/// Runs until a signal arrives, which is not an error.
fn run(options: RunOptions) -> io::Result<()> {
    // Before anything else, so that a signal during startup is not lost.
    let mut signals = Signals::new([Signal::Term, Signal::Int])?;
    let rotate_every = options.rotate_every;
    let (emulator, listeners) = Emulator::open(options)?;
    let period = rotate_every.unwrap_or_else(|| projected::rotation_period(&emulator.settings.lock()));
    emulator.project_tokens()?;
    let served = serve(&emulator, listeners)?;
    emulator.write_environments()?;
    writeln!(io::stdout(), "azure-emulator ready control=http://{}", emulator.control)?;
    let signalled = async {
        signals.next().await;
        Ok(())
    };
    smol::block_on(or(signalled, or(rotate(&emulator, period), async { Err(served.await) })))
}

/// Starts a thread for each endpoint. The returned future serves the control interface.
fn serve(emulator: &Arc<Emulator>, listeners: Listeners) -> io::Result<impl Future<Output = io::Error>> {
    let usual = Transport::Tls(certificates::server_config(&emulator.directory)?.into());
    let proxy = Transport::Tls(emulator.proxy_certificate.server_config()?.into());
    for ((name, listener), switch) in listeners.endpoints.into_iter().zip(emulator.switches.all()) {
        let transport = match name {
            EndpointName::Issuer | EndpointName::Token | EndpointName::Ingest => usual.clone(),
            EndpointName::IdentityBinding => proxy.clone(),
            EndpointName::Imds | EndpointName::Arc | EndpointName::AppService => Transport::Plain,
        };
        let (emulator, switch) = (Arc::clone(emulator), Arc::clone(switch));
        std::thread::Builder::new()
            .name(name.as_str().to_owned())
            .spawn(move || endpoint::serve(&emulator, &switch, &transport, listener))?;
    }
    Ok(control::serve(Arc::clone(emulator), listeners.control))
}

/// Rewrites the projected tokens after each period, until that fails.
async fn rotate(emulator: &Emulator, period: Duration) -> io::Result<()> {
    loop {
        smol::Timer::after(period).await;
        emulator.project_tokens()?;
    }
}
