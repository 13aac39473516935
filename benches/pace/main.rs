//! Posts a body at a fixed rate, however long the responses take, and prints the microseconds that each took, one per
//! line.
//!
//! Requests are due at fixed times and take turns on a few connections. A request that has to wait for the previous
//! response is timed from when it was due, so a proxy that stalls is not spared; one that is sent a little late because
//! this process woke late is timed from its sending.

mod http;

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

const USAGE: &str = "usage: pace ADDRESS PATH BODY RATE SECONDS CONNECTIONS";

/// What to send, and when.
struct Plan {
    address: SocketAddr,
    request: Vec<u8>,
    interval: Duration,
    requests: u32,
    connections: u32,
}

fn main() -> ExitCode {
    match plan().and_then(|plan| run(&plan)) {
        Ok(latencies) => {
            for took in latencies {
                println!("{:.1}", took.as_secs_f64() * 1e6);
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("pace: {error}");
            ExitCode::FAILURE
        }
    }
}

fn plan() -> io::Result<Plan> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [address, path, body, rate, seconds, connections] = words.as_slice() else {
        return Err(io::Error::other(USAGE));
    };
    let rate: u32 = number(rate)?;
    Ok(Plan {
        address: address.parse().map_err(io::Error::other)?,
        request: http::post(address, path, &std::fs::read(body)?),
        interval: Duration::from_secs(1) / rate,
        requests: rate * number(seconds)?,
        connections: number(connections)?,
    })
}

fn number(word: &str) -> io::Result<u32> {
    word.parse().ok().filter(|number| *number > 0).ok_or_else(|| io::Error::other(format!("{word}: {USAGE}")))
}

/// All latencies, in no particular order.
fn run(plan: &Plan) -> io::Result<Vec<Duration>> {
    let begin = Instant::now() + Duration::from_millis(100);
    thread::scope(|scope| {
        let senders: Vec<_> =
            (0..plan.connections).map(|number| scope.spawn(move || send(plan, number, begin))).collect();
        let mut latencies = Vec::new();
        for sender in senders {
            latencies.extend(sender.join().map_err(|_| io::Error::other("a sender panicked"))??);
        }
        Ok(latencies)
    })
}

/// Sends every request assigned to connection `number`; returns the latencies.
fn send(plan: &Plan, number: u32, begin: Instant) -> io::Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(plan.address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut latencies = Vec::new();
    for request in (number..plan.requests).step_by(plan.connections as usize) {
        let due = begin + plan.interval * request;
        let early = due.saturating_duration_since(Instant::now());
        thread::sleep(early);
        let from = if early.is_zero() { due } else { Instant::now() };
        http::exchange(&mut stream, &plan.request)?;
        latencies.push(from.elapsed());
    }
    Ok(latencies)
}
