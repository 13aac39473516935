//! The control interface: plain HTTP through which tests and people inspect and change the emulator. Azure has no such
//! thing.

mod samples;
mod stats;
mod workload;

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use smol::net::TcpStream;
use smol::{Async, LocalExecutor, Timer};
use smol_hyper::rt::FuturesIo;

use crate::emulator::Emulator;
use crate::faults::{EndpointName, Rule};
use crate::log;
use crate::projected::Wish;
use crate::reply::{self, Reply};
use crate::settings::Changes;
use workload::Workload;

/// Largest body of a control request.
const MAX_BODY: usize = 1 << 20;

/// The content type of Prometheus' text exposition format.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A response whose body may be generated while it is sent.
type Streamed = Response<BoxBody<Bytes, Infallible>>;

/// Serves the control interface forever, on this thread.
pub(crate) async fn serve(emulator: Arc<Emulator>, listener: TcpListener) -> io::Error {
    let listener = match Async::new(listener) {
        Ok(listener) => listener,
        Err(error) => return error,
    };
    let control = Arc::new(Control { workload: Workload::new(emulator.workload_series), emulator });
    let connections = LocalExecutor::new();
    let accepting = async {
        loop {
            match listener.accept().await {
                Ok((socket, _)) => {
                    connections.spawn(speak(Arc::clone(&control), TcpStream::from(socket))).detach();
                }
                Err(error) => {
                    log::line(format_args!("control: accept: {error}"));
                    Timer::after(Duration::from_millis(50)).await;
                }
            }
        }
    };
    connections.run(accepting).await
}

async fn speak(control: Arc<Control>, socket: TcpStream) {
    let service = service_fn(|request| {
        let control = Arc::clone(&control);
        async move { Ok::<_, Infallible>(control.answer(request).await) }
    });
    socket.set_nodelay(true).ok();
    // Connection errors are ignored: the caller notices them itself.
    Box::pin(hyper::server::conn::http1::Builder::new().serve_connection(FuturesIo::new(socket), service)).await.ok();
}

#[derive(Debug)]
struct Control {
    emulator: Arc<Emulator>,
    workload: Workload,
}

impl Control {
    async fn answer(&self, request: Request<Incoming>) -> Streamed {
        let (head, body) = request.into_parts();
        if head.method == Method::GET && head.uri.path() == "/samples" {
            return samples::stream(Arc::clone(&self.emulator), head.uri.query().unwrap_or_default());
        }
        let reply = match Limited::new(body, MAX_BODY).collect().await {
            Ok(body) => self.dispatch(&head, &body.to_bytes()).await,
            Err(error) => Err(Refused::Malformed(error.to_string())),
        };
        reply.unwrap_or_else(|refused| refused.reply()).map(BodyExt::boxed)
    }

    async fn dispatch(&self, head: &Parts, body: &[u8]) -> Result<Reply, Refused> {
        let emulator = &*self.emulator;
        let path: Vec<&str> = head.uri.path().trim_matches('/').split('/').collect();
        match (head.method.as_str(), path.as_slice()) {
            ("GET", ["health"]) => Ok(reply::text("text/plain; charset=utf-8", "ok\n".to_owned())),
            ("GET", ["stats"]) => Ok(shown(&stats::document(emulator))),
            ("GET", ["metrics"]) => Ok(reply::text(METRICS, stats::exposition(emulator) + &self.workload.exposition())),
            ("GET", ["names"]) => Ok(shown(&json!(emulator.archive.lock().names()))),
            ("DELETE", ["samples"]) => done(emulator.archive.lock().clear()),
            ("GET", ["assertions"]) => Ok(shown(&emulator.assertions.lock().document())),
            ("POST", ["identity-binding", "rotate"]) => done(emulator.proxy_certificate.rotate(&emulator.directory)),
            ("GET", ["requests"]) => Ok(shown(&emulator.traffic.lock().last_requests())),
            ("GET", ["faults"]) => Ok(shown(&emulator.faults.lock().list(Instant::now()))),
            ("POST", ["faults"]) => arm(emulator, body),
            ("DELETE", ["faults"]) => {
                emulator.faults.lock().clear();
                done(Ok(()))
            }
            ("GET", ["settings"]) => Ok(shown(&json!(*emulator.settings.lock()))),
            ("POST", ["settings"]) => {
                let changes: Changes = decode(body)?;
                done(emulator.change_settings(|settings| settings.change(changes)))
            }
            ("POST", ["roles", "grant"]) => done(emulator.change_settings(|settings| settings.role_granted = true)),
            ("POST", ["roles", "revoke"]) => done(emulator.change_settings(|settings| settings.role_granted = false)),
            ("POST", ["projected-token"]) => project(emulator, body),
            ("POST", ["endpoints", name, turn]) => self.turn(name, turn, head.uri.query().unwrap_or_default()).await,
            _ => Err(Refused::Unknown),
        }
    }

    async fn turn(&self, name: &str, turn: &str, query: &str) -> Result<Reply, Refused> {
        let name: EndpointName = serde_json::from_value(json!(name)).map_err(|_| Refused::Unknown)?;
        let switch = self.emulator.switches.of(name).ok_or(Refused::Unknown)?;
        match turn {
            "stop" => done(switch.stop(seconds(query)?).await),
            "start" => done(switch.start().await),
            _ => Err(Refused::Unknown),
        }
    }
}

/// Why a control request was refused.
enum Refused {
    /// No such path or method.
    Unknown,
    /// The body or the query is invalid for the path.
    Malformed(String),
    /// The request was valid but failed.
    Failed(io::Error),
}

impl Refused {
    fn reply(&self) -> Reply {
        let (status, message) = match self {
            Refused::Unknown => (StatusCode::NOT_FOUND, "no such path and method".to_owned()),
            Refused::Malformed(cause) => (StatusCode::BAD_REQUEST, cause.clone()),
            Refused::Failed(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        };
        log::line(format_args!("control: refused {}: {message}", status.as_u16()));
        reply::json(status, &json!({"error": message}))
    }
}

fn shown(document: &Value) -> Reply {
    reply::json(StatusCode::OK, document)
}

fn done(result: io::Result<()>) -> Result<Reply, Refused> {
    result.map(|()| reply::empty(StatusCode::NO_CONTENT)).map_err(Refused::Failed)
}

/// An empty body counts as `{}`.
fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| Refused::Malformed(error.to_string()))
}

fn arm(emulator: &Emulator, body: &[u8]) -> Result<Reply, Refused> {
    let rules: Vec<Rule> = match decode(body)? {
        Value::Array(rules) => rules.into_iter().map(rule).collect::<Result<_, _>>()?,
        one => vec![rule(one)?],
    };
    let mut faults = emulator.faults.lock();
    for rule in rules {
        faults.arm(rule, Instant::now());
    }
    done(Ok(()))
}

fn rule(document: Value) -> Result<Rule, Refused> {
    let rule: Rule = serde_json::from_value(document).map_err(|error| Refused::Malformed(format!("rule: {error}")))?;
    rule.check().map_err(|error| Refused::Malformed(format!("rule: {error}")))?;
    Ok(rule)
}

fn project(emulator: &Emulator, body: &[u8]) -> Result<Reply, Refused> {
    let wish: Wish = decode(body)?;
    let token = emulator.project_token(&wish).map_err(Refused::Failed)?;
    Ok(reply::text("application/jwt", token))
}

/// The `seconds=N` parameter of a query.
fn seconds(query: &str) -> Result<Option<Duration>, Refused> {
    match parameter(query, "seconds") {
        None => Ok(None),
        Some(text) => match text.parse() {
            Ok(seconds) => Ok(Some(Duration::from_secs(seconds))),
            Err(_) => Err(Refused::Malformed("seconds is not a whole number".to_owned())),
        },
    }
}

/// One parameter of a query, decoded.
fn parameter(query: &str, name: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes()).find(|(own, _)| own == name).map(|(_, value)| value.into_owned())
}
