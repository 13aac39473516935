//! The sidecar that runs beside the check, asked on its own port.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use remora_smol::probe::Link;

use super::context::{Checked, Context};
use super::http::{self, Answer};
use super::outcome::{Finding, Outcome};
use crate::pages;

/// For one question to somebody on this machine.
const LIMIT: Duration = Duration::from_secs(5);

/// LIVE-01.
pub(super) fn listens(cx: &mut Context<'_>) -> Checked {
    let port = port(cx)?;
    let fail = |seen: String| Err(Outcome::Fail(Finding::new(seen)));
    match ask(port, "/") {
        Ok(answer) if answer.line().starts_with("remora ") => Ok(format!("port {port}: {}", answer.line())),
        Ok(answer) => fail(format!("something else has port {port}; it answers {} {:?}", answer.status, answer.line())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fail(format!("nothing listens on port {port} of this pod"))
        }
        Err(error) => fail(format!("what has port {port} gives no answer of Remora's: {error}")),
    }
}

/// LIVE-02. Without a token of our own the sidecar has none either: one cause is enough.
pub(super) fn ready(cx: &mut Context<'_>) -> Checked {
    let port = port(cx)?;
    cx.needs(&pages::LIVE_01)?;
    cx.needs(&pages::TOK_10)?;
    let fail = |seen: String| Err(Outcome::Fail(Finding::new(seen)));
    match ask(port, "/ready") {
        Ok(answer) if answer.status == 200 && !answer.line().starts_with("degraded") => Ok(answer.line()),
        Ok(answer) => fail(format!("/ready answers {}: {}", answer.status, answer.line())),
        Err(error) => fail(format!("/ready: {error}")),
    }
}

fn port(cx: &Context<'_>) -> Result<u16, Outcome> {
    cx.config().map(|config| config.listen.port)
}

/// What the port answers to a GET.
pub(super) fn ask(port: u16, target: &str) -> io::Result<Answer> {
    let mut link = Link::open(&[SocketAddr::from((Ipv4Addr::LOCALHOST, port))], LIMIT)?;
    link.send(&http::get(&format!("localhost:{port}"), target))?;
    http::answer(&mut link, 64 * 1024)
}
