//! The exchange on another runtime: blocking sockets and threads. Posts bodies to Azure or to the emulator and prints
//! the responses.
//!
//! ```text
//! cargo run -p remora-core --example blocking -- ENVFILE BODY…
//! ```
//!
//! `ENVFILE` holds `KEY=value` lines as the emulator writes them. A thread posts the bodies to a loopback port as any
//! sender would; an exchange behind that port forwards them. Exits with 0 when all were accepted.

#[path = "blocking/azure.rs"]
mod azure;
#[path = "blocking/connection.rs"]
mod connection;

use core::net::SocketAddr;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, thread};

use azure::Azure;
use connection::Connection;
use remora_core::forward::{Exchange, Gateway, INBOX_BYTES, OUTBOX_BYTES, Peer, Policy, RESPONSE_BYTES};
use remora_core::time::Instant;

/// Any error that ends the program early, in one line.
type Failure = Box<dyn core::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1).map(PathBuf::from);
    let Some(environment) = arguments.next() else {
        eprintln!("usage: blocking ENVFILE BODY…");
        return ExitCode::from(64);
    };
    match run(&environment, arguments.collect()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("blocking: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Posts the bodies through an exchange; true when all were accepted.
fn run(environment: &Path, bodies: Vec<PathBuf>) -> Result<bool, Failure> {
    let azure = Azure::from_file(environment)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || serve(&listener, azure));
    let sender = thread::spawn(move || send(address, &bodies));
    sender.join().map_err(|_| "the sender's thread panicked")?
}

/// Serves one connection after the other.
fn serve(listener: &TcpListener, mut azure: Azure) {
    let gateway = Gateway::new(Instant::ZERO, Policy::DEFAULT);
    for sender in listener.incoming().flatten() {
        let (mut inbox, mut outbox, mut response) = ([0; INBOX_BYTES], [0; OUTBOX_BYTES], [0; RESPONSE_BYTES]);
        let exchange = Exchange::new(azure.now(), &gateway, Peer::Loopback, &mut inbox, &mut outbox);
        Connection::new(exchange, &gateway, sender, &mut response).run(&mut azure);
    }
}

/// Posts each body to `address` and prints the response; true when all responses were 2xx.
fn send(address: SocketAddr, bodies: &[PathBuf]) -> Result<bool, Failure> {
    let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().http_status_as_error(false).build());
    let mut all = true;
    for path in bodies {
        let post = agent.post(format!("http://{address}/api/v1/write")).content_type("application/x-protobuf");
        let mut answer = post.header("Content-Encoding", "snappy").send(&fs::read(path)?)?;
        let text = answer.body_mut().read_to_string()?;
        println!("{}: {} {}", path.display(), answer.status().as_u16(), text.trim_end());
        all &= answer.status().is_success();
    }
    Ok(all)
}
