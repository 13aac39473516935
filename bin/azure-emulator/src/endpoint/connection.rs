//! One connection: TLS if the endpoint uses it, then a sequence of HTTP/1.1 requests, each answered by the endpoint
//! that received it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Incoming};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use smol::io::{AsyncRead, AsyncWrite};
use smol::net::TcpStream;
use smol_hyper::rt::FuturesIo;

use super::fault;
use super::{Switch, Transport};
use crate::cut::{CutStream, Hold};
use crate::emulator::Emulator;
use crate::faults::{Action, EndpointName};
use crate::reply::{self, Reply};
use crate::traffic::RequestLine;
use crate::{binding, entra, ingest, issuer, log, managed};

/// Largest request body that is read, in bytes; the same limit as in Prometheus' own receiver.
const MAX_BODY: usize = 32 << 20;

/// Counts a connection while it is open.
struct Open<'s>(&'s Switch);

impl<'s> Open<'s> {
    fn new(switch: &'s Switch) -> Self {
        switch.connections.fetch_add(1, Ordering::Relaxed);
        Open(switch)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves one connection to its end.
pub(super) async fn serve(emulator: Arc<Emulator>, switch: Arc<Switch>, transport: Transport, socket: TcpStream) {
    let _open = Open::new(&switch);
    if let Err(error) = Box::pin(speak(&emulator, switch.name, &transport, socket)).await
        && emulator.verbose
    {
        log::line(format_args!("{}: connection ended: {error}", switch.name.as_str()));
    }
}

async fn speak(
    emulator: &Emulator,
    endpoint: EndpointName,
    transport: &Transport,
    socket: TcpStream,
) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let hold = Hold::new(socket.clone());
    match transport {
        Transport::Plain => speak_http(emulator, endpoint, &hold, socket).await,
        Transport::Tls(acceptor) => speak_http(emulator, endpoint, &hold, acceptor.accept(socket).await?).await,
    }
}

async fn speak_http<S: AsyncRead + AsyncWrite + Unpin>(
    emulator: &Emulator,
    endpoint: EndpointName,
    hold: &Hold,
    stream: S,
) -> io::Result<()> {
    let stream = CutStream::new(stream, hold.clone());
    let service = service_fn(|request| respond(emulator, endpoint, hold, request));
    hyper::server::conn::http1::Builder::new()
        .serve_connection(FuturesIo::new(stream), service)
        .await
        .map_err(io::Error::other)
}

/// Answers one request; an error ends its connection without a response.
async fn respond(
    emulator: &Emulator,
    endpoint: EndpointName,
    hold: &Hold,
    request: Request<Incoming>,
) -> io::Result<Reply> {
    let (head, body) = request.into_parts();
    let action = emulator.faults.lock().at_request(endpoint, Instant::now());
    let line = RequestLine::new(endpoint, &head, action.as_ref().map(Action::name));
    let asked = Asked { emulator, endpoint, head, hold };
    match action {
        None => Ok(asked.handle(line, body).await),
        Some(action) => Box::pin(fault::meet(&asked, action, line, body)).await,
    }
}

/// One request: its endpoint, its head, and the connection on which it is answered.
pub(super) struct Asked<'a> {
    pub(super) emulator: &'a Emulator,
    pub(super) endpoint: EndpointName,
    pub(super) head: Parts,
    pub(super) hold: &'a Hold,
}

impl Asked<'_> {
    /// Lets the endpoint answer, and records the request.
    pub(super) async fn handle(&self, line: RequestLine, body: Incoming) -> Reply {
        let reply = match read(body).await {
            Ok(body) => self.answer(body),
            Err(refusal) => refusal,
        };
        self.record(line.answered(reply.status()));
        reply
    }

    fn answer(&self, body: Bytes) -> Reply {
        let Asked { emulator, endpoint, head, .. } = self;
        match endpoint {
            EndpointName::Issuer => issuer::answer(emulator, &head.method, &head.uri),
            EndpointName::Token => entra::answer(emulator, head, &body),
            EndpointName::Ingest => ingest::answer(emulator, head, body),
            EndpointName::Imds => managed::answer_imds(emulator, head),
            EndpointName::Arc => managed::answer_arc(emulator, head),
            EndpointName::AppService => managed::answer_app_service(emulator, head),
            EndpointName::IdentityBinding => binding::answer(emulator, head, &body),
        }
    }

    /// Counts the request. Logs it if a fault was injected or the log is verbose; an endpoint logs its refusals itself.
    pub(super) fn record(&self, line: RequestLine) {
        if self.emulator.verbose || line.fault.is_some() {
            log::line(format_args!("{line}"));
        }
        self.emulator.traffic.lock().record(line);
    }
}

/// Reads a whole request body. A body that is too large or incomplete is refused.
pub(super) async fn read(mut body: Incoming) -> Result<Bytes, Reply> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    // Allocated at full size at once, so that a large body is not copied while it grows.
    let mut whole = Vec::with_capacity(announced.min(MAX_BODY));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| refuse(StatusCode::BAD_REQUEST, &format!("the body broke off: {error}")))?;
        whole.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new()));
        if whole.len() > MAX_BODY {
            return Err(refuse(StatusCode::PAYLOAD_TOO_LARGE, &format!("the body is larger than {MAX_BODY} bytes")));
        }
    }
    Ok(whole.into())
}

fn refuse(status: StatusCode, message: &str) -> Reply {
    log::line(format_args!("refused {}: {message}", status.as_u16()));
    reply::azure_error(status, "BadRequest", message)
}
